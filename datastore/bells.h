/* Who is to be rung after a run: for backends on stores that cannot wake waiters.
 *
 * The backend gives each run that it has carried out to bells_ran, on the thread of its handle:
 *
 *   bells_wanted  what the run made for others to do (pure)
 *   bells_pick    which nodes are to hear of it (pure)
 *   bells_ran     both, on nodes read from the store at most every BELLS_READ_MS, and rings them
 *
 * As many nodes are rung as there is work, waiting ones first, chosen at random (of a crowd among
 * BELLS_NODES_MAX; who of it is rung and finds much work passes the ring on, so that all have heard
 * of it after a few steps). A ring makes its node look, no more. Whoever is not rung finds the work
 * by looking. */
#ifndef STINT_BELLS_H
#define STINT_BELLS_H

#include "datastore/datastore.h"

enum {
    BELLS_READ_MS = 500,
    BELLS_NODES_MAX = 128,
    BELLS_BACK_MAX = 16,      /* rung for ids that come back */
    BELLS_PASS_ON = 3,        /* rung by each of a crowd who was rung, and finds much work ... */
    BELLS_PASS_ON_NODES = 16, /* ... of so many that are read */
};

enum bell_whom {
    BELL_LANE,    /* nodes that may claim there */
    BELL_PASS_ON, /* a few such */
    BELL_NODE,    /* one, whatever it does */
    BELL_ALL,     /* every live one */
};

struct bell_want {
    enum bell_whom whom;
    int64_t node; /* NODE: which; LANE: which not (0: none) */
    int32_t lane;
    size_t count;             /* LANE, PASS_ON: so many nodes are enough */
    const char *const *types; /* LANE: what the jobs need; borrowed from the run */
    size_t n_types;
};

/* Of a run that was carried out, the steps that succeeded. Returns how many wants (0: nobody needs
 * to hear of it). */
size_t bells_wanted(const struct ds_run *run, struct bell_want ret_wants[LIMIT_RUN_STEPS]);

/* Among how many nodes those are looked for; 0: it is one, who is known. */
size_t bells_of(const struct bell_want *want);

/* Moves the nodes that are to be rung to the front of `picked` (room for n), those to be preferred
 * first, *ret_preferred of them. Returns how many. queue: the lane's, NULL: not known. Nodes that
 * serve another queue or not these types, are not ready for work, or have no bell, are left out. */
size_t bells_pick(const struct bell_want *want, const char *queue, const struct node *nodes,
                  size_t n, const struct node **ret_picked, size_t *ret_preferred);

struct bells;

/* Given: *ret_bells, to be closed. ERR_IO, ERR_NO_MEMORY. */
int bells_open(struct bells **ret_bells, struct error *err) __attribute__((warn_unused_result));
void bells_close(struct bells *bells); /* NULL: nothing */

/* Carries out one reading step now, with results in `mem`; returns its rc. Asked for:
 * DS_NODES_READ (some of the live ones, or one; id, state, slots, queues, types and doorbell of
 * each are used) and
 * DS_LANES_READ of one lane (its name is). */
typedef int (*bells_read_fn)(void *ctx, struct ds_step *step, struct arena *mem);

/* After a run has been carried out: rings whom it concerns. Costs a read at most every
 * BELLS_READ_MS (with the opening of a lane, so that the ring of a submit need not wait for it),
 * one more for a lane not met before; failures are passed over in silence.
 * now_ms: monotonic. Returns how many rings were sent. */
size_t bells_ran(struct bells *bells, const struct ds_run *run, uint64_t now_ms, bells_read_fn read,
                 void *ctx);

#endif
