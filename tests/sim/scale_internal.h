/* Between the parts of the simulator of scale: scale_world.c (events, nodes), scale_server.c (the
 * store as a server of finite speed), scale_rows.c (jobs that are no rows). */
#ifndef STINT_TESTS_SIM_SCALE_INTERNAL_H
#define STINT_TESTS_SIM_SCALE_INTERNAL_H

#include "datastore/bells.h"
#include "tests/sim/scale_world.h"

#define NEVER UINT64_MAX

struct world;
struct member;

/* ---- events --------------------------------------------------------------------------------- */

enum event_kind {
    EVENT_TICK,
    EVENT_JOBS,    /* of a node have ended */
    EVENT_ARRIVED, /* a step is at the server */
    EVENT_WORKED,  /* its processor is free again */
    EVENT_WRITTEN, /* ... and what it wrote is on the disk */
    EVENT_REPLY,   /* a run is over */
    EVENT_RING,
    EVENT_START,
    EVENT_JOBS_COME,
    EVENT_KILL,
    EVENT_WATCH, /* the world looks at itself */
};

struct event {
    uint64_t at_us;
    uint64_t seq; /* of two at the same time the first that was asked for */
    void *of;     /* what it concerns */
    enum event_kind kind;
};

void event_add(struct world *world, uint64_t at_us, enum event_kind kind, void *of);

/* ---- the server ----------------------------------------------------------------------------- */

/* A run on its way. */
struct flight {
    struct member *member;
    struct ds_run *run;
    size_t next; /* step under way */
    uint64_t cpu_us, flush_us;
    struct record *record; /* that it holds, or waits for */
    struct flight *waits_behind;
    struct flight *all_next, **all_link;
    struct bell *bell; /* a reading of the nodes to be rung, instead of a run of a core */
};

/* What a run's handle does after it: ring those whom it concerns (datastore/bells.h). */
struct bell {
    struct ds_run run;
    struct ds_step step;
    struct bell_want wants[LIMIT_RUN_STEPS];
    size_t n_wants;
};

struct queue_of_flights {
    struct flight *first, *last;
};

/* One record, as far as those who write it wait for each other. */
struct record {
    bool held;
    struct queue_of_flights waiting;
};

struct server {
    struct scale_server speed;
    unsigned busy; /* processors */
    struct queue_of_flights ready;
    struct record *lanes; /* by number */
    struct memory_store *store;
    struct datastore *memory;
    size_t lane_bytes_base, entry_bytes, pool_bytes, node_bytes_base;
    uint64_t ops, row_ops, claims, granted, bytes, cpu_us; /* so far */
    uint64_t kinds[DS_KINDS];
    size_t lane_bytes_max;
};

void server_init(struct world *world);
void server_release(struct world *world);
/* bell: NULL, or whose reading of the nodes the run is. */
void server_run(struct world *world, struct member *member, struct ds_run *run, struct bell *bell);
void flight_free(struct flight *flight);
void server_event(struct world *world, const struct event *event);
/* One step of the world's own, at no cost. */
int server_step(struct world *world, struct ds_step *step, struct arena *mem);
/* Adds to the counts: is its record not dead, and how many lanes have an entry of it? */
void server_left_of(const struct world *world, int64_t node, size_t *alive, size_t *entries);
/* Bytes of a record as a document of the MongoDB backend: an estimate, see test_scale.c. */
size_t lane_doc_bytes(const struct lane *lane);
size_t node_doc_bytes(const struct node *node);

/* ---- jobs that are no rows ------------------------------------------------------------------ */

struct rows {
    int64_t per_lane; /* ids 1 .. per_lane of each lane */
    size_t lanes;
    uint8_t *done;  /* a bit each */
    uint8_t *moved; /* by how much its run has moved on */
    int64_t n_done;
    uint64_t refused; /* outcomes */
    uint64_t interrupted;
};

void rows_init(struct rows *rows, size_t lanes, int64_t per_lane);
void rows_release(struct rows *rows);
void rows_load(struct rows *rows, struct ds_load *load, struct arena *mem);
void rows_finish(struct rows *rows, struct ds_finish *finish);

/* ---- nodes ---------------------------------------------------------------------------------- */

struct executing {
    int64_t id;
    int32_t run;
    uint64_t end_us; /* NEVER: a free slot */
};

struct member {
    struct env env; /* first: the core knows no more of it */
    struct world *world;
    struct core *core;
    struct node identity;
    struct executing *jobs; /* one for each slot */
    bool killed, extra, ran;
    uint64_t tick_us, tick_event_us; /* due; the earliest event there is for it */
    bool ring_comes;
    uint64_t last_end_us; /* of a job */
    uint64_t bell_read_us;
};

struct world {
    struct scale_plan plan;
    uint64_t now_us;
    uint64_t rng;
    struct event *heap;
    size_t n_events, events_capacity;
    uint64_t event_seq;
    struct member *members;
    size_t n_members;
    struct flight *flights;
    struct server server;
    struct rows rows;
    uint64_t come_us;           /* when the jobs came */
    uint64_t start_us, kill_us; /* when the extra nodes were started, others killed */
    size_t n_joined;
    uint64_t last_end_us;
    uint64_t starts;
    bool begun[LIMIT_QUEUES_SERVED]; /* lanes of which a job has been started */
    struct scale_result result;
};

uint64_t world_random(struct world *world);

#endif
