/* Insides of the past, shared by its parts and included by nobody else:
 *   past.c         facts: tracks of nodes and lanes, and forgetting
 *   past_stints.c  finished ranges, and where some are missing
 *   past_check.c   what can be, and what cannot
 *   past_events.c  what happened between two states of a node
 *   past_moment.c  the moment at a time */
#ifndef STINT_OBSERVER_PAST_INTERNAL_H
#define STINT_OBSERVER_PAST_INTERNAL_H

#include "observer/past.h"
#include "observer/version.h"

/* A list that several states share while it does not change. */
struct block {
    uint32_t refs;
    uint32_t n; /* items */
    size_t bytes;
    _Alignas(16) uint8_t data[];
};

/* A node as it was from at_ms on. */
struct state {
    int64_t at_ms;
    int64_t beat_ms; /* its last sign of life */
    int64_t since_ms, done, failed, interrupted;
    double rate, load;
    enum node_state state;
    enum node_desired desired;
    struct block *ranges;  /* of struct node_range */
    struct block *running; /* of struct node_running */
};

/* One incarnation of a node. */
struct track {
    int64_t node;
    struct node identity; /* what never changes; queues and types are the arena's */
    struct arena mem;
    char cause[160];
    int64_t died_ms;      /* 0: not known to have */
    int64_t seen_ms;      /* the last reading of the store in which it lived; 0: none */
    struct state *states; /* by at_ms */
    size_t n, max;
    struct version version; /* the newest that was added, to put the next one over */
    struct arena version_mem;
    int64_t seq;
    bool broken;       /* a version was missing: wait for a whole one */
    int64_t untold_ms; /* events from then on are to be made again; 0: none are */
    bool amid;         /* ... and events were made of states after that */
    int number;        /* in the order in which they came: colour and letter */
};

struct lane_state {
    int64_t at_ms;
    int64_t head, tail; /* sequence numbers; they only rise */
    struct block *pool; /* of struct range */
};

struct lane_track {
    int32_t number;
    bool named;
    struct lane_name name;
    const char **types;
    size_t n_types;
    struct arena types_mem;
    struct lane_state *states; /* by at_ms */
    size_t n, max;
    struct finished finished;
    bool complete;
    int64_t done, failed, cancelled; /* all that ended, as the store sums it up */
};

struct queue_state {
    int64_t at_ms;
    struct queue queue;
};

struct past {
    char store[256];
    size_t bytes, bytes_max; /* of tracks, states, blocks and events */
    size_t rows;             /* finished ranges of all lanes */
    struct track **tracks;   /* by node */
    size_t n_tracks, tracks_max;
    int tracks_ever;
    struct lane_track **lanes; /* by number */
    size_t n_lanes;
    struct queue_state *queues; /* as they were told; one for each change */
    size_t n_queues, queues_max;
    size_t *queues_last; /* indices of those that hold now, by name */
    size_t n_queues_last, queues_last_max;
    struct events {
        struct moment_event *items; /* by at_ms; each owns its text */
        size_t n, max;
    } loud, quiet;
    size_t n_untold; /* states whose events are to be made */
    int64_t first_ms, last_ms;
    int64_t floor_ms;   /* what was before is not kept; 0: everything is */
    bool forgot;        /* ... as there was no room for it */
    int64_t trouble_ms; /* 0: none */
    char trouble[160];
    struct moment moment;
};

/* past.c */
struct block *block_of(struct past *past, struct block *before, const void *items, size_t n,
                       size_t size);
void block_drop(struct past *past, struct block *block);
struct track *track_find(const struct past *past, int64_t node); /* NULL: none */
/* The last state at or before that time; NULL: none. */
const struct state *state_at(const struct track *track, int64_t at_ms);
struct lane_track *lane_get(struct past *past, int32_t number); /* made where there is none */
struct lane_track *lane_find(const struct past *past, int32_t number); /* NULL: none */
const struct lane_state *lane_at(const struct lane_track *lane, int64_t at_ms);

/* past_check.c: false: it cannot be. */
bool time_good(int64_t ms);
bool count_good(int64_t n);
bool node_good(const struct node *node);
bool lane_good(int32_t number, int64_t head, int64_t tail, const struct range *pool, size_t n_pool);
bool stint_good(const struct stint_row *row);
bool totals_good(const struct stint_row *row);

/* past_events.c */
/* States of that node from then on are others: their events are to be made again. */
void events_untell(struct past *past, struct track *track, int64_t from_ms);
/* Makes what is to be made. */
void events_tell(struct past *past);
/* One that is made of no states. The text is copied. */
void past_event_add(struct past *past, const struct moment_event *event);
void past_events_forget(struct past *past, int64_t before_ms);
size_t events_until(const struct events *events, int64_t at_ms);
/* The loud ones to at_ms as they were then; in mem where that differs from what they came to be. */
const struct moment_event *events_then(struct past *past, int64_t at_ms, size_t *ret_n,
                                       struct arena *mem);

#endif
