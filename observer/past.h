/* What is known of a cluster over time, and the moment at any time of it.
 *
 * Facts go in as they are read: from a store (feed.h) or a recording; in any order, as history may
 * be read backwards. Moments come out. Bounded: the oldest is forgotten first. Pure; one thread. */
#ifndef STINT_OBSERVER_PAST_H
#define STINT_OBSERVER_PAST_H

#include "datastore/datastore.h"
#include "observer/moment.h"

struct past;

enum {
    PAST_NODES_MAX = 1 << 16,
    PAST_ROWS_MAX = 1 << 20,   /* finished ranges; of more, neighbours become one */
    PAST_QUEUES_MAX = 1 << 14, /* changes of queues; of more, the oldest is forgotten */
};

/* bytes_max: about how much memory what is kept may take. */
struct past *past_new(const char *store, size_t bytes_max);
void past_free(struct past *past);

/* What was before that time is not kept, but for the state of things then. To be called before the
 * first fact; later with an earlier time, before facts of that time are added. False: there is no
 * room for more, and it stays as it was. */
bool past_since(struct past *past, int64_t from_ms);

/* ---- facts ---------------------------------------------------------------------------------- */

/* Each gives false when something in it cannot be, or there is no room for it: then that part was
 * passed over. */

/* A version of a node's record. Those of one node ascending, from a whole one on; others are passed
 * over. */
bool past_add_version(struct past *past, const struct history_row *row);
/* Versions are told from an earlier one on; those that were added before change nothing. */
void past_versions_again(struct past *past);

/* A node of which nothing is new but that it lived. */
struct past_beat {
    int64_t node;
    int64_t beat_ms;
    double load;
};

/* What the store says now: all its nodes, lanes and queues, or those that are new. */
struct past_reading {
    int64_t at_ms;
    const struct node *nodes;
    size_t n_nodes;
    const struct lane *lanes;
    size_t n_lanes;
    const struct queue *queues;
    size_t n_queues;
    const struct stint_row *totals; /* of each lane that has any: what ended, summed up */
    size_t n_totals;
    const struct past_beat *beats;
    size_t n_beats;
    bool all; /* a node that is not among `nodes` is in the store no more */
};
bool past_add_reading(struct past *past, const struct past_reading *reading);

bool past_add_stints(struct past *past, const struct stint_row *rows, size_t n);
/* All rows of that lane up to now have been added, but for those that came meanwhile. */
void past_stints_complete(struct past *past, int32_t lane);

/* The store cannot be read since then, and why; NULL: it can. */
bool past_add_trouble(struct past *past, int64_t at_ms, const char *why);

/* It was looked at until then. */
bool past_add_time(struct past *past, int64_t at_ms);

/* ---- what is there -------------------------------------------------------------------------- */

int64_t past_first_ms(const struct past *past); /* 0: nothing yet */
int64_t past_last_ms(const struct past *past);
bool past_has_stint(const struct past *past, const struct stint_row *row);
bool past_is_complete(const struct past *past, int32_t lane);
/* The highest stretches of ids of that lane below `below` (all: sequence numbers) of which no
 * finished range is known and that neither the pool nor a living node has: what can still be read,
 * and nothing else, so a long job does not have all that ended behind it read again and again.
 * Returns how many, the highest first. */
size_t past_stints_gaps(const struct past *past, int32_t lane, int64_t below, struct range *gaps,
                        size_t max);
int64_t past_head(const struct past *past, int32_t lane); /* the newest, a sequence number; or 1 */

/* The first loud event after at_ms, or the last one before; 0: none. */
int64_t past_event_after(struct past *past, int64_t at_ms);
int64_t past_event_before(struct past *past, int64_t at_ms);

/* The cluster at that time, its nodes' curves over window_ms before. timeline_ms: also their states
 * and the cluster's curves over that time; 0: without. live: at_ms is now. Lives until the next
 * call. */
const struct moment *past_moment(struct past *past, int64_t at_ms, int64_t window_ms,
                                 int64_t timeline_ms, bool live);

/* How much memory it takes, about. */
size_t past_bytes(const struct past *past);
/* It takes far more than it should, and there is nothing left to forget. */
bool past_too_much(const struct past *past);

#endif
