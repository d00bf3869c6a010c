/* What many runs of the simulated cluster came to, as text. */
#ifndef STINT_SIM_REPORT_H
#define STINT_SIM_REPORT_H

#include "tests/sim/cluster.h"

/* Also names each gap: a trouble that never hit some step after some other, though that was passed
 * with it. Returns how many gaps there are. */
size_t report_print(FILE *out, uint64_t seeds, const struct cluster_tally *total);

#endif
