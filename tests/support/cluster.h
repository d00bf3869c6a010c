/* A cluster in one process, one thread and virtual time, from one seed: node cores on one memory
 * store, submitters, jobs that take their time, and every kind of trouble.
 *
 * The steps of a node's runs are carried out one by one, so that others' steps come between any
 * two; after each step that writes, the invariants are checked on the records (ledger_check.h).
 * The same plan gives the same run, to the last step. */
#ifndef STINT_TEST_CLUSTER_H
#define STINT_TEST_CLUSTER_H

#include <stdio.h>

#include "datastore/datastore.h"

/* What can become of a step. */
enum weather {
    WEATHER_FAIR,
    WEATHER_UNAVAILABLE, /* ERR_UNAVAILABLE, not applied */
    WEATHER_REPLY_LOST,  /* ERR_UNKNOWN_OUTCOME, though applied */
    WEATHER_CALL_LOST,   /* ERR_UNKNOWN_OUTCOME, not applied */
    WEATHER_LATE,        /* ERR_UNKNOWN_OUTCOME, and applied seconds later */
    WEATHER_RUN_LOST,    /* the whole run applied, and its reply lost */
    WEATHER_CRASH,       /* its node dies just after it */
    WEATHERS
};

struct cluster_plan {
    uint64_t seed;
    size_t nodes, slots;
    size_t hosts;            /* nodes of one host see each other's processes */
    size_t submitters, jobs; /* jobs of each submitter */
    uint64_t job_ms_max;     /* how long most jobs take */
    uint64_t stop_timeout_ms;
    uint64_t submit_after_ms;
    uint64_t quiet_ms; /* from then on nothing bad happens any more */
    uint64_t lease_ms; /* 0: 4 s */
    uint64_t look_ms;  /* 0: 1 s, or 2 s where wakes are unsure */
    bool names_fixed;
    bool unsure; /* nodes are woken, most times; without it they only look now and then */
    unsigned deaf_permille; /* of the wakes: they do not get there */
    bool idle;              /* submitters rest for a minute and more: entries are dropped */
    bool one_burst;         /* one lane, exec jobs, submitted at once */
    bool bad_jobs;          /* some hang, some kill their node */
    bool chaos;             /* nodes are stopped, started, paused; jobs cancelled */
    bool violence;          /* ... crashed and frozen; the store has outages */
    unsigned fault_permille, crash_permille; /* of all steps */
    unsigned hole_permille; /* of the submitters' turns: they die or sleep before the insert */
};

/* Faults steps by their number instead of by chance: of the nodes' steps that `fault` can hit (an
 * unknown outcome needs one that writes) the nth and the `count - 1` after it. */
struct cluster_torture {
    enum weather fault;
    uint64_t nth, count;
    bool one_kind; /* only steps of `kind` count */
    enum ds_kind kind;
};

struct cluster_tally {
    uint64_t steps, starts, acked, cancelled;
    uint64_t crashes, freezes, stops, fenced, buried, interrupted, voided;
    uint64_t weather[WEATHERS];
    uint64_t applied[DS_KINDS];
};

struct cluster;

/* A plan with all kinds of weather, drawn from the seed. */
struct cluster_plan cluster_plan_of(uint64_t seed);

/* Borrowed until freed: trace (NULL: none), which gets a line for every step. */
struct cluster *cluster_new(const struct cluster_plan *plan, FILE *trace);
void cluster_free(struct cluster *cluster);

void cluster_torture(struct cluster *cluster, const struct cluster_torture *torture);

/* Fires the next event. False: an invariant is broken, or nothing is left to happen. */
bool cluster_step(struct cluster *cluster);
bool cluster_until(struct cluster *cluster, uint64_t ms); /* false: broken */

/* What happens to the nodes, numbered from 0. Nothing happens to one that is not as expected. */
void cluster_start(struct cluster *cluster, size_t node);
void cluster_stop(struct cluster *cluster, size_t node, bool at_once);
void cluster_crash(struct cluster *cluster, size_t node);
void cluster_freeze(struct cluster *cluster, size_t node, uint64_t ms);
void cluster_outage(struct cluster *cluster, uint64_t ms);

/* Somebody pauses a queue, or has it go on. */
void cluster_queue(struct cluster *cluster, const char *queue, bool paused);

/* Is a run of that node under way whose first step is of that kind? */
bool cluster_awaits(const struct cluster *cluster, size_t node, enum ds_kind kind);

/* From now on nothing bad happens. Runs until every accepted job has an outcome (I3), stops all
 * nodes, and looks whether anything is left. False: broken. */
bool cluster_finish(struct cluster *cluster);

uint64_t cluster_now_ms(const struct cluster *cluster);
/* Datastore steps that the node has asked for since it was started. */
uint64_t cluster_steps(const struct cluster *cluster, size_t node);

const char *cluster_broken(const struct cluster *cluster); /* "": nothing */
const struct cluster_tally *cluster_tally(const struct cluster *cluster);

/* How often a torture's fault hit a step of kind `after` that followed `before` in its run
 * (DS_KINDS: it was the first). */
uint64_t cluster_fired(const struct cluster *cluster, enum ds_kind before, enum ds_kind after);

#endif
