/* The cluster at one moment, as the views draw it: now, or any moment of the past that is kept.
 *
 * Made by past_moment (past.h), from records and versions of records alone; views read it and
 * change nothing. Plain data in one arena; pointers live until the next moment is made. Times are
 * UTC in ms by the datastore's clock. */
#ifndef STINT_OBSERVER_MOMENT_H
#define STINT_OBSERVER_MOMENT_H

#include "datastore/arena.h"
#include "datastore/records.h"
#include "observer/finished.h"

enum { MOMENT_RATES = 60, MOMENT_POINTS = 240 };

/* Of nodes, large and small: neither means anything else on the map. As many as have no divisor in
 * common with the colours: so a letter and a colour together stand for one of 276 nodes. */
#define MOMENT_LETTERS "ABCDEFGHJKLMNPQRSTUVWYZ"

/* A stretch of time in which a node was in one state. */
struct moment_span {
    int64_t from_ms, to_ms;
    enum node_state state;
};

struct moment_node {
    struct node node;          /* as its record said then; beat_ms: its last sign of life by then */
    int64_t died_ms;           /* 0: it lived */
    int64_t first_ms;          /* when it came */
    float rates[MOMENT_RATES]; /* jobs ended a second, in equal steps over the window, to at_ms;
                                  < 0: not known */
    struct moment_span *spans; /* within the timeline; none when it was not asked for */
    size_t n_spans;
    char letter; /* one of MOMENT_LETTERS: stands for it in bars, beside its colour */
    int colour;  /* index of a colour of its own, 0..; the same all day */
};

/* Ids that a node answers for, or the pool has. */
struct moment_held {
    int64_t a, b;   /* sequence numbers, half open */
    int32_t node;   /* index in moment.nodes; -1: the pool */
    bool returning; /* on its way back to the pool */
    bool suspect;   /* its node died */
};

/* One lane's ids: from 1 to head, what is held, pooled, or finished; from head to tail, queued.
 * axis.h says what a stretch of them is. */
struct moment_lane {
    int32_t number;
    struct lane_name name;
    const char **types; /* every type ever submitted here, as far as it is known */
    size_t n_types;
    int64_t head, tail;       /* sequence numbers */
    struct moment_held *held; /* by a; they do not overlap */
    size_t n_held;
    int64_t *running; /* sequence numbers of jobs that run, ascending */
    size_t n_running;
    struct finished *finished; /* ranges that ended, at any time; NULL: none known */
    bool complete;             /* all ranges that ended by now have been read */
};

/* A lane's name never changes: it is the same at moments at which the lane was not known yet. */
struct moment_name {
    int64_t number;
    const struct lane_name *name;
};

struct moment_queue {
    struct queue queue;
    int64_t submitted, waiting, held, running, done, failed, cancelled;
    double rate_in, rate_out; /* submitted to it, and claimed from it, a second, lately */
};

enum event_kind {
    EVENT_NODE_CAME,
    EVENT_NODE_STATE, /* paused, resumed, stopping */
    EVENT_NODE_BUSY,  /* from waiting to working, or back */
    EVENT_NODE_DIED,
    EVENT_CLAIMED,
    EVENT_RETURNED,
    EVENT_RESCUED,   /* ranges of a dead node went to the pool ... */
    EVENT_RECLAIMED, /* ... and to another node */
    EVENT_FINISHED,  /* a range */
    EVENT_FAILED,    /* jobs failed for good */
    EVENT_QUEUE,     /* paused, resumed */
    EVENT_STORE_LOST,
    EVENT_STORE_BACK,
    EVENT_KINDS
};

/* Few and loud: what somebody who looks after the cluster wants to know. Many and quiet, kept
 * apart so that they do not drown the others: ranges claimed, returned and done with, and nodes
 * that wait for work or have some. */
struct moment_event {
    int64_t at_ms;
    enum event_kind kind;
    int64_t node;       /* id; 0: none */
    struct range range; /* a == b: none */
    int64_t count;      /* of jobs failed */
    const char *text;
};

struct moment {
    int64_t at_ms;
    bool live;                 /* it is now */
    int64_t stale_ms;          /* the store cannot be read since then, which is before; 0: it can */
    char trouble[160];         /* why it cannot */
    char store[256];           /* its URI without a password */
    int64_t first_ms, last_ms; /* what is kept of the past */
    int64_t window_ms;         /* what the curves below span, to at_ms */

    struct moment_node *nodes; /* live ones by name, then dead ones, the last to die first */
    size_t n_nodes, n_live;
    int32_t *by_id;            /* their indices, ascending by id */
    struct moment_lane *lanes; /* by number */
    size_t n_lanes;
    struct moment_name *names; /* by number: of all lanes ever heard of, earlier or later */
    size_t n_names;
    struct moment_queue *queues; /* by name */
    size_t n_queues;
    const struct moment_event *events; /* the loud ones, oldest first, to at_ms */
    size_t n_events;
    const struct moment_event *traffic; /* the quiet ones likewise */
    size_t n_traffic;

    int64_t slots, running, done, failed;
    int64_t backlog; /* ids that wait; < 0: of no lane is anything known that early */
    double rate;

    /* Curves over the timeline, to at_ms, when it was asked for; < 0: not known. */
    int64_t timeline_ms;     /* 0: it was not */
    float *rates, *backlogs; /* MOMENT_POINTS each: jobs/s, ids waiting */
    struct arena mem;
};

/* Index of that node, or -1. */
int32_t moment_node_index(const struct moment *moment, int64_t node);

#endif
