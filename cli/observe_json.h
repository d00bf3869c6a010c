/* A moment of a cluster as one JSON object: `stint observe --json`. */
#ifndef STINT_OBSERVE_JSON_H
#define STINT_OBSERVE_JSON_H

#include "observer/moment.h"

void moment_print_json(const struct moment *moment);

#endif
