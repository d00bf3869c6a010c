/* The seam: everything a node's core cannot decide by itself comes through here: clock, randomness,
 * the datastore, running a job, seeing whether a neighbour's process is there.
 *
 * Two implementations: node/loop.c (libevent, real processes) and the simulator (virtual time, one
 * seed). The core runs on one thread; the environment calls back on that thread only, and never
 * from inside one of these calls. */
#ifndef STINT_ENV_H
#define STINT_ENV_H

#include "datastore/datastore.h"

/* How a job that was started through the environment came to its end. */
struct job_end {
    int64_t id;
    int32_t run;
    bool lost;        /* no result: whoever ran it is gone; an interruption */
    bool not_started; /* no result: the machine had no process to spare; as if never asked */
    bool ok;          /* handled: the outcome is done */
    int64_t started_ms, finished_ms; /* UTC by this machine's clock; 0 when it never started */
    struct job_ending ending;        /* borrowed during the call */
};

struct env;

struct env_class {
    /* Monotonic ms that goes on while the machine sleeps (CLOCK_BOOTTIME). Does not move within
     * one callback. */
    uint64_t (*now_ms)(struct env *env);
    int64_t (*utc_ms)(struct env *env); /* this machine's clock */
    uint64_t (*random)(struct env *env);
    double (*load)(struct env *env); /* load average over a minute */

    /* Hands a run to the datastore; run->done is called later. Never refuses: the core keeps only
     * few runs under way (fewer than LIMIT_ASYNC_RUNS). */
    void (*run)(struct env *env, struct ds_run *run);

    /* Starts a job of that lane on a free slot (the core counts slots). Both are borrowed during
     * the call.
     * 0: core_job_ended follows. ERR_INVALID: this job can never be started (err says why).
     * Another code: not now (the machine has no process to spare). */
    int (*start)(struct env *env, const struct job *job, const struct lane_name *lane,
                 struct error *err);

    /* Asks for the end of a started job: TERM, and KILL after grace_ms (0: at once). */
    void (*end)(struct env *env, int64_t id, int32_t run, uint64_t grace_ms);

    /* Is that node's process there? 1: yes, 0: gone, -1: cannot be seen from here. */
    int (*peer_alive)(struct env *env, const struct node *peer);

    /* Call core_peer_gone as soon as this peer's process is gone (a hint; may do nothing; called
     * again for the same peer is nothing new). */
    void (*peer_watch)(struct env *env, const struct node *peer);
};

struct env {
    const struct env_class *class;
};

#endif
