/* A datastore that fails on purpose: a decorator over any other, for tests.
 *
 * It counts the steps that are carried out (all, or those of one kind) and faults the nth of them,
 * once or from then on. When a step is faulted, the run ends there: what came before in the run is
 * done, the rest is ERR_SKIPPED, even where the step is `independent`. */
#ifndef STINT_FAULTY_H
#define STINT_FAULTY_H

#include "datastore/datastore.h"

enum fault {
    FAULT_UNAVAILABLE, /* ERR_UNAVAILABLE, not applied */
    FAULT_REPLY_LOST,  /* ERR_UNKNOWN_OUTCOME, though applied; nothing in ret_ */
    FAULT_CALL_LOST,   /* ERR_UNKNOWN_OUTCOME, not applied */
    FAULT_DELAY,       /* the step's run begins delay_ms later; nothing fails */
};
/* A step that only reads has no unknown outcome: it gets ERR_UNAVAILABLE instead. */

struct faulty_plan {
    uint64_t nth; /* 1: the next step that counts; 0: no fault */
    bool from_then_on;
    bool one_kind; /* only steps of `kind` count */
    enum ds_kind kind;
    enum fault fault;
    uint32_t delay_ms;
};

/* Taken: inner (closed with the handle). Given: a handle, to be closed. */
struct datastore *faulty_wrap(struct datastore *inner, const struct faulty_plan *plan);

/* Another plan; counting starts again, what has fired stays counted. On the handle's thread. */
void faulty_set(struct datastore *faulty, const struct faulty_plan *plan);

/* How often a fault hit a step of that kind; DS_KINDS: of any. Any thread. */
uint64_t faulty_fired(const struct datastore *faulty, enum ds_kind kind);

#endif
