/* A cluster in one process, one thread and virtual time, from one seed: node cores on one memory
 * store, submitters, jobs that take their time, and every kind of trouble (plan.h).
 *
 * The cores are the product's own, behind node/env.h. The steps of a node's runs are carried out
 * one by one, so that others' steps come between any two; after each step that writes, the
 * invariants are checked on the records (ledger_check.h). The same plan gives the same run, to the
 * last step. */
#ifndef STINT_SIM_CLUSTER_H
#define STINT_SIM_CLUSTER_H

#include <stdio.h>

#include "datastore/datastore.h"
#include "tests/sim/plan.h"

/* Faults steps by their number instead of by chance: of the nodes' steps that `fault` can hit (an
 * unknown outcome needs one that writes) the nth and the `count - 1` after it. */
struct cluster_torture {
    enum weather fault;
    uint64_t nth, count;
    bool one_kind; /* only steps of `kind` count */
    enum ds_kind kind;
};

/* Counts, all of them; so that they can be added up as an array. */
struct cluster_tally {
    uint64_t events, simulated_ms;
    uint64_t steps, starts, acked, told, cancelled;
    uint64_t crashes, freezes, stops, fenced, buried, interrupted, voided;
    uint64_t holes, stalls, deaf, reordered, busy, lost_ends, long_jobs, never_jobs, killed_nodes;
    uint64_t drifting; /* nodes started with a clock that runs wrong */
    uint64_t weather[WEATHERS], chaos[CHAOS_KINDS];
    uint64_t applied[DS_KINDS];
    /* [before][kind]: steps of that kind that followed `before` in their run (DS_KINDS: that were
     * its first), while trouble was possible; and of those, how many each hit. Nodes' only. */
    uint64_t passed[DS_KINDS + 1][DS_KINDS];
    uint64_t hit[WEATHERS][DS_KINDS + 1][DS_KINDS];
};

struct cluster;

/* Borrowed until freed: trace (NULL: none), which gets a line for every step and event. */
struct cluster *cluster_new(const struct cluster_plan *plan, FILE *trace);
void cluster_free(struct cluster *cluster);

void cluster_torture(struct cluster *cluster, const struct cluster_torture *torture);

/* Of all the trouble that comes by chance (each is numbered, from 0) only that with these numbers
 * happens, in ascending order. Borrowed until freed. */
void cluster_only(struct cluster *cluster, const uint64_t *numbers, size_t n);
uint64_t cluster_troubles(const struct cluster *cluster); /* how many there were */

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

/* All of a plan: its nodes are started, its trouble happens, all comes right. False: broken. */
bool cluster_run(struct cluster *cluster);

uint64_t cluster_now_ms(const struct cluster *cluster);
/* Datastore steps that the node has asked for since it was started. */
uint64_t cluster_steps(const struct cluster *cluster, size_t node);

/* Can that trouble come to a step of that kind? */
bool weather_can_hit(enum weather weather, enum ds_kind kind);

const char *cluster_broken(const struct cluster *cluster); /* "": nothing */
const struct cluster_tally *cluster_tally(const struct cluster *cluster);
void tally_add(struct cluster_tally *total, const struct cluster_tally *tally);

#endif
