/* A step through a proxy that loses, in turn, each of the requests it sends (scenes.h). */
#ifndef STINT_TEST_CUT_H
#define STINT_TEST_CUT_H

#include "tests/support/wire_proxy.h"

/* Runs every scenario with that fault on the server STINT_TEST_STORE names; the exit status. */
int cut_main(const char *suite, enum wire_fault fault);

#endif
