/* A step that loses, in turn, each of the requests it sends, on each scenario (scenes.h). */
#ifndef STINT_TEST_CUT_H
#define STINT_TEST_CUT_H

#include <stdint.h>

enum cut_fault {
    /* By a proxy in between (wire_proxy.h): */
    CUT_REPLY,
    CUT_REQUEST,
    CUT_LATE,
    /* By a fail point of the server, which must have that: */
    CUT_REFUSED,  /* the request is refused with a code that says so */
    CUT_INTERNAL, /* it is refused with a code that says nothing */
    CUT_CONCERN,  /* it is carried out, and then said not to be safe from a failover */
};

/* Runs every scenario with that fault on the server STINT_TEST_STORE names; the exit status. */
int cut_main(const char *suite, enum cut_fault fault);

/* The kth command from now on of a client with that appName is failed so; 0: none any more
 * (cut_fails.c). */
#define CUT_APP "stint-cut"
void fail_point_set(enum cut_fault fault, uint32_t k);

#endif
