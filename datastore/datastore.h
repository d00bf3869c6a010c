/* The datastore contract: this page is the manual for every backend and every caller.
 *
 * A datastore keeps the records of datastore/records.h and changes them by **steps**. Each step
 * changes one record (or a batch of independent ones) atomically, guarded by what it expects to
 * find, and reports what it did in its own `rc`. A **run** is a list of steps carried out in order;
 * it stops at the first step that does not succeed (the rest get ERR_SKIPPED) unless that step is
 * marked `independent`. A guard that is not met writes nothing. A run is NOT a transaction: callers
 * must be correct when it is cut between any two steps; a backend that can (SQLite) commits a run,
 * or several, at once, and then an I/O failure takes back all of them.
 *
 * Codes every step can give beside its own:
 *   ERR_UNAVAILABLE, ERR_FULL, ERR_READ_ONLY   nothing was written by this run's transaction
 *   ERR_UNKNOWN_OUTCOME                        written or not: read back and compare
 *   ERR_CORRUPT, ERR_VERSION                   give up on this store
 *   ERR_INVALID, ERR_LIMIT                     the caller's arguments; nothing was written
 * Every step can be tried again after any of these; what a second try finds is said at each step.
 *
 * Durability: when `run` returns, every step with rc 0 survives the death of all processes and of
 * the machine (memory backend aside).
 *
 * Threads: one handle serves one thread at a time. Open several for several threads. */
#ifndef STINT_DATASTORE_H
#define STINT_DATASTORE_H

#include "datastore/arena.h"
#include "datastore/error.h"
#include "datastore/records.h"

/* Adding a step: its kind here, its struct below, its line in the backends' tables. `writes`
 * tells whether it can change anything. */
#define DS_STEP_MAP(X)                                                                             \
    /* kind, struct member, writes */                                                              \
    X(DS_META_READ, meta_read, false)                                                              \
    X(DS_QUEUE_SET, queue_set, true)                                                               \
    X(DS_QUEUES_READ, queues_read, false)                                                          \
    X(DS_LANE_OPEN, lane_open, true)                                                               \
    X(DS_LANES_READ, lanes_read, false)                                                            \
    X(DS_RESERVE, reserve, true)                                                                   \
    X(DS_INSERT, insert, true)                                                                     \
    X(DS_SUBMIT_FIND, submit_find, false)                                                          \
    X(DS_CLAIM, claim, true)                                                                       \
    X(DS_RETURN, give_back, true)                                                                  \
    X(DS_ENTRY_DROP, entry_drop, true)                                                             \
    X(DS_LANE_BURY, lane_bury, true)                                                               \
    X(DS_NODE_ADD, node_add, true)                                                                 \
    X(DS_NODE_WRITE, node_write, true)                                                             \
    X(DS_NODE_ASK, node_ask, true)                                                                 \
    X(DS_NODE_KILL, node_kill, true)                                                               \
    X(DS_NODE_CLEAR, node_clear, true)                                                             \
    X(DS_NODE_DELETE, node_delete, true)                                                           \
    X(DS_NODES_READ, nodes_read, false)                                                            \
    X(DS_LOAD, load, false)                                                                        \
    X(DS_FINISH, finish, true)                                                                     \
    X(DS_CANCEL, cancel, true)                                                                     \
    X(DS_JOBS_READ, jobs_read, false)                                                              \
    X(DS_SCAN, scan, false)                                                                        \
    X(DS_STINTS_ADD, stints_add, true)                                                             \
    X(DS_STINTS_READ, stints_read, false)                                                          \
    X(DS_HISTORY_ADD, history_add, true)                                                           \
    X(DS_HISTORY_READ, history_read, false)                                                        \
    X(DS_COPY_MARK, copy_mark, true)                                                               \
    X(DS_LANE_PUT, lane_put, true)                                                                 \
    X(DS_CHUNKS_ADD, chunks_add, true)                                                             \
    X(DS_SUBMITS_READ, submits_read, false)

enum ds_kind {
#define X(kind, member, writes) kind,
    DS_STEP_MAP(X)
#undef X
        DS_KINDS
};

/* In each struct: inputs first (borrowed until the run is done), then outputs (ret_, in the run's
 * arena, set only when rc is 0 unless said otherwise). */

struct ds_meta_read {
    struct meta ret_meta;
};

/* Makes a queue or changes one. create_only: ERR_DUPLICATE when it is there.
 * alter_only: ERR_NOT_FOUND when it is not. partitions of a queue never change: ERR_CONFLICT.
 * changed_ms is set by the store; as_is (copies only, see DS_COPY_MARK): as given. Trying again is
 * harmless, but create_only may then give ERR_DUPLICATE. */
struct ds_queue_set {
    struct queue queue;
    bool create_only, alter_only, as_is;
};

struct ds_queues_read {
    struct queue *ret_queues; /* by name */
    size_t ret_n;
};

/* Finds the lane of that name, making it (and its queue, with default settings) where it is not
 * there yet. ERR_LIMIT past LIMIT_LANES. The lane (default, 5, none) is always lane 0. */
struct ds_lane_open {
    struct lane_name name;
    int32_t ret_lane;
};

struct ds_lanes_read {
    int32_t lane;           /* -1: all */
    int64_t entries_of;     /* 0: with all entries; else with those of this node alone */
    int64_t pass_on;        /* > 0: where so many ids wait in a lane, a few nodes that wait are rung
                               by stores that do not wake them all by themselves */
    struct lane *ret_lanes; /* by number; ERR_NOT_FOUND for one that does not exist */
    size_t ret_n;
};

/* lane.tail += count; adds `types` to the lane's types in the same step. A lost reply is not read
 * back: reserve again, and insert VOID rows for ids known to be lost. ERR_NOT_FOUND: no such
 * lane. */
struct ds_reserve {
    int32_t lane;
    int64_t count; /* 1..LIMIT_BATCH_JOBS */
    const char *const *types;
    size_t n_types;
    int64_t ret_first; /* stored id; the ids are ret_first .. ret_first + count - 1 */
};

/* Inserts rows whose ids were reserved (or are holes: VOID rows, SLOT rows). Each row stands alone:
 *   ret_rc[i]  0: there now (inserted, or found with the same token: one's own earlier try)
 *              ERR_DUPLICATE: another row has that id (a VOID row that a node put into a hole,
 *              say), or another unfinished job has that key
 * The step's rc is 0 when every row was looked at. from_reserve: the ids are those of the
 * DS_RESERVE just before in the same run, jobs[i].id is ignored. created_ms 0: the store's clock.
 * No row is ever deleted: a VOID row refuses, for good, what comes to its id later.
 *
 * A store without one_commit may cut an insert in the middle: ERR_UNKNOWN_OUTCOME, and any of the
 * rows are there. The same insert again (the same ids, now in jobs[].id, tokens and chunk) adds
 * those that are missing.
 *
 * chunk: NULL, or what the first row carries (records.h). ERR_DUPLICATE for the whole step, nothing
 * written, when a chunk of that submit and index begins at another id: somebody else's. The first
 * row is written before, or with, the others, so that none is there without the chunk. When it is
 * refused, ret_rc[0] is ERR_DUPLICATE, and
 *   for its key      a VOID row with the token -jobs[0].token takes its id and carries the chunk;
 *                    found there by a second try, it is left as it is
 *   for its id       no row is written, and all of ret_rc are ERR_DUPLICATE */
struct ds_insert {
    struct job *jobs;
    size_t n_jobs;
    bool from_reserve;
    const struct submit_chunk *chunk;
    int32_t *ret_rc; /* n_jobs codes */
};

/* The chunks of a submit, ascending by index (none: ret_n 0).
 *
 * A store without one_commit presents a chunk as the longest runs of its rows that are there, each
 * a chunk with its own index, id and count; `cut` where that is not all of it, `last` only with the
 * last row of a chunk that is the last. So what is presented may have gaps, for the caller to fill
 * with chunks of their own. A row is not there when its id has none, or one that stands for no
 * job of the submit: VOID (put there by a node, say, with a token of its own). Ids without a row
 * get a VOID row first: so an insert that was cut, or
 * that is still under way, adds nothing to a gap any more (it is refused there, and its sender
 * takes new ids). A VOID row with a token below 0 is there: it stands for a job that was refused
 * for its key. */
struct ds_submit_find {
    const char *submit;
    struct submit_chunk *ret_chunks;
    size_t ret_n;
};

/* Claim, step 1 (DESIGN §4): guard entry[node].g = g -> the pool's first range (whole, or its first
 * `want` ids), else [head, min(tail, head + want)); entry = (g + 1, that range, r).
 * Exclusive lanes: only when holder is 0 or the node; holder = node.
 *   entry not there: made, with (g, r) given here, when make_entry; else ERR_NOT_FOUND (fenced)
 *   entry.g differs: ERR_CONFLICT; g + 1 there means one's own earlier try was applied
 * Nothing to grant: rc 0, ret_range empty, nothing written. */
struct ds_claim {
    int32_t lane;
    int64_t node;
    uint64_t g, r;
    bool make_entry;
    int64_t want; /* 1..LIMIT_GRANT_JOBS */
    struct range ret_range;
    int64_t ret_backlog; /* ids left to grant after this: tail - head + pool */
};

/* Return, step 1: guard entry[node].r = r -> pool += ranges (adjacent equally suspect pieces
 * merged), entry.r = r + 1. entry not there: ERR_NOT_FOUND; entry.r differs: ERR_CONFLICT (r + 1
 * means applied). ERR_LIMIT when the pool would hold more than LIMIT_POOL_RANGES.
 * clear_holder: holder = 0 too, where it is the node (exclusive lanes, DESIGN §5). */
struct ds_give_back {
    int32_t lane;
    int64_t node;
    uint64_t r;
    const struct range *ranges;
    size_t n_ranges; /* 1..LIMIT_RETURN_RANGES */
    bool clear_holder;
};

/* Drops an idle node's entry: guard entry.g = g. Gone already: ERR_NOT_FOUND. */
struct ds_entry_drop {
    int32_t lane;
    int64_t node;
    uint64_t g;
};

/* Burial, step 1: guard entry[expect.node] equals `expect` (g and r) -> pool += estate, marked
 * suspect; entry removed; holder cleared where it is the node. No entry: ERR_NOT_FOUND (somebody
 * did it); another g or r: ERR_CONFLICT (read again). */
struct ds_lane_bury {
    int32_t lane;
    struct lane_entry expect;
    const struct range *estate;
    size_t n_estate; /* any; ERR_LIMIT when the pool would hold too many ranges */
};

/* Adds a record. ERR_DUPLICATE: a node of that name is not dead (or that id exists).
 * created_ms and beat_ms are set by the store; as_is (copies only, see DS_COPY_MARK): as given. */
struct ds_node_add {
    const struct node *node;
    bool as_is;
};

/* The node writes its own part (heartbeat, accept, mark returning, drop: all the same write).
 * Guard: not dead, and the stored beat < node->beat. ret_ fields are what others wrote.
 *   record dead: ERR_CONFLICT with ret_dead set; record gone: ERR_NOT_FOUND
 *   stored beat >= node->beat: ERR_CONFLICT, ret_dead unset; equal means one's own try was applied
 * accept: the range of the DS_CLAIM just before in the same run is added to the ranges and granted
 * for its lane becomes that claim's g + 1; a claim that granted nothing adds nothing.
 * acked_request: requests up to that seq are removed. */
struct ds_node_write {
    const struct node *node;
    bool accept;
    uint64_t acked_request;
    bool ret_dead;
    enum node_desired ret_desired;
    struct node_request *ret_requests;
    size_t ret_n_requests;
    int64_t ret_utc_ms; /* the store's clock */
};

/* Somebody wants something of a live node: sets `desired` (set_desired) and/or adds a request (its
 * seq is given by the store; the same kind and id waiting already: nothing is added, rc 0).
 * Dead: ERR_CONFLICT; gone: ERR_NOT_FOUND; LIMIT_REQUESTS waiting: ERR_BUSY. */
struct ds_node_ask {
    int64_t node;
    bool set_desired;
    enum node_desired desired;
    bool add_request;
    struct node_request request;
};

/* Burial, step 0: guard not dead and beat = beat -> dead, with that cause. ret_node is the frozen
 * record, also with ERR_CONFLICT when it is dead already (ret_node.state says so). Gone:
 * ERR_NOT_FOUND. */
struct ds_node_kill {
    int64_t node;
    uint64_t beat;
    const char *cause;
    struct node ret_node;
};

/* Burial, step 2: a dead node's record loses its ranges of that lane. Not dead: ERR_CONFLICT. */
struct ds_node_clear {
    int64_t node;
    int32_t lane;
};

/* Deletes a dead node's history and then its record; the caller has seen that no lane has its
 * entry. Not dead: ERR_CONFLICT; gone: ERR_NOT_FOUND. */
struct ds_node_delete {
    int64_t node;
};

struct ds_nodes_read {
    int64_t node;   /* 0: all */
    bool live_only; /* leaves out the dead */
    size_t max;     /* 0: as many as there are; else so many, in a circle: those with ids
                               past `after`, then from the lowest on to `after` itself */
    int64_t after;
    struct node *ret_nodes; /* by id; ERR_NOT_FOUND for one that does not exist */
    size_t ret_n;
};

/* The rows of [range.a, range.b) by id, at most rows_max and about LIMIT_PAGE_BYTES. Holes are
 * simply not there. ret_next: first id not looked at (range.b when all were). brief: only id,
 * state, run, slot. */
struct ds_load {
    struct range range;
    size_t rows_max; /* 1..LIMIT_PAGE_JOBS */
    bool brief;
    struct job *ret_jobs;
    size_t ret_n;
    int64_t ret_next;
};

enum outcome_kind {
    OUTCOME_DONE,
    OUTCOME_FAILED,      /* for good */
    OUTCOME_RETRY,       /* failed, runs again in place: run + 1, stays queued */
    OUTCOME_INTERRUPTED, /* run + 1, interruptions + 1, stays queued; past its limit: failed */
};

/* How `count` jobs with consecutive ids ended, alike, at the same run. Guard, each row: queued at
 * `run`. With an ending, count is 1. */
struct outcome {
    int64_t id;
    uint32_t count;
    int32_t run;
    enum outcome_kind kind;
    int64_t node, started_ms, finished_ms;
    const struct job_ending *ending; /* without trace: the store moves earlier runs there */
    uint32_t ret_accepted;           /* rows changed; the rest had another state or run: refused */
    enum job_state ret_state;        /* of the (last) row now, when accepted */
};

/* Records outcomes, each on its own. rc 0 when every one was looked at. Trying again after an
 * unknown outcome is harmless: what was applied is refused the second time. */
struct ds_finish {
    struct outcome *outcomes;
    size_t n;
};

/* Guard: unfinished -> cancelled. ret_before: its state until then. Finished already: ERR_CONFLICT
 * with ret_before set; no such job: ERR_NOT_FOUND. Whoever runs it must be asked (DS_NODE_ASK). */
struct ds_cancel {
    int64_t id;
    enum job_state ret_before;
};

/* A page of jobs (VOID and SLOT rows never show). */
struct ds_jobs_read {
    struct range range; /* within one lane; a == b == 0: all lanes */
    uint32_t states;    /* bits 1 << enum job_state; 0: all */
    const char *type;   /* NULL: any */
    const char *batch;  /* NULL: any */
    const char *key;    /* NULL: any; else the unfinished job that holds this key */
    int64_t node;       /* 0: any */
    int64_t after_id;   /* rows past this id in the order asked for; 0: from the start */
    bool newest_first;  /* descending ids */
    size_t rows_max;    /* 1..LIMIT_PAGE_JOBS */
    bool brief;         /* leaves out payload, spec and ending */
    struct job *ret_jobs;
    size_t ret_n;
    bool ret_more; /* the page ended early: ask again with after_id = ret_next */
    int64_t ret_next;
};

/* How far a range (or a batch within all lanes) has come: looks at ids from range.a on and stops at
 * the first unfinished one, or after a bounded number of rows.
 * ret_counts: of the finished rows before ret_next by state. ret_stopped: an unfinished row stands
 * at ret_next; else ret_next is where to go on (range.b, or INT64_MAX for a batch: all looked at).
 * ret_missing: ids before ret_next without a row. */
struct ds_scan {
    struct range range;
    const char *batch; /* NULL: the range */
    int64_t ret_counts[JOB_STATES];
    int64_t ret_missing;
    int64_t ret_next;
    bool ret_stopped;
};

enum stints_part { STINTS_BOTH, STINTS_ROWS, STINTS_TOTALS };

/* Appends; a row with the same range and node is there once, and in the totals once.
 * STINTS_ROWS, STINTS_TOTALS: for copies only (DS_COPY_MARK). The rows, and the totals left alone;
 * the totals, one row a lane as DS_STINTS_READ gives them, in the place of what is there. */
struct ds_stints_add {
    const struct stint_row *rows;
    size_t n;
    enum stints_part part;
};

struct ds_stints_read {
    int32_t lane;     /* -1: all */
    bool totals_only; /* one row a lane: range = its lowest a .. highest b, sums, first and last */
    int64_t after_id; /* rows with range.a past this */
    /* Of rows, not of totals: only those with range.a below this (0: all); the last ones first. */
    int64_t before_id;
    bool newest_first;
    size_t rows_max;
    struct stint_row *ret_rows; /* by range.a, ascending; newest_first: descending */
    size_t ret_n;
};

/* Appends versions; deltas of that node older than thin_before_ms go, and everything of it older
 * than drop_before_ms. A (node, seq) there already is left as it is. */
struct ds_history_add {
    const struct history_row *rows;
    size_t n;
    int64_t thin_before_ms, drop_before_ms; /* 0: nothing goes */
};

/* A stretch of time of one node is read by from_ms and until_ms: from its last whole version at or
 * before from_ms (else from its first), up to its first whole one at or after until_ms, without
 * that one. So what is read tells what the node was all that time. ERR_INVALID without a node. */
struct ds_history_read {
    int64_t node;       /* 0: all */
    int64_t after_node; /* node 0: of nodes past this id */
    int64_t after_seq;  /* versions past this */
    int64_t from_ms;    /* 0: from its first version on */
    int64_t until_ms;   /* 0: to its last one */
    size_t rows_max;
    struct history_row *ret_rows; /* by node, seq */
    size_t ret_n;
};

/* ---- copies: a store that is being filled from another ---------------------------------------
 *
 * Between its two DS_COPY_MARKs a store is an unfinished copy: datastore_open refuses it without
 * DS_COPY, so that nobody works on the part that is there. Steps that put records as they are in
 * the source (marked "copies only") give ERR_CONFLICT elsewhere. Each can be tried again. */

/* Marks the store as an unfinished copy of `from`, a text that names the source. Guard: created_ms
 * is the store's; it is not marked, or by that text (rc 0). Else ERR_CONFLICT: somebody else copies
 * into it, or has done so: `done` changes created_ms, so a mark that comes late does no harm.
 * done: takes the mark away, and created_ms is the store's from then on. Marked by another text:
 * ERR_CONFLICT; not marked: ERR_NOT_FOUND (one's own earlier try may have done it). */
struct ds_copy_mark {
    const char *from; /* 1..LIMIT_COPYING_BYTES */
    bool done;
    int64_t created_ms;
};

/* Copies only. Writes a whole lane as given, making it where there is none of that number; numbers
 * given out later are higher. Its queue must be there. ERR_DUPLICATE: another lane has that name.
 * ERR_CONFLICT also where somebody has just changed it.
 * Lanes are put by ascending number: a store may refuse (ERR_INVALID) to leave numbers out. */
struct ds_lane_put {
    const struct lane *lane;
};

/* Copies only. Notes chunks whose rows are there; one that is there is left as it is.
 * ERR_NOT_FOUND: no row of chunk.id (those before it were noted). */
struct ds_chunks_add {
    const struct submit_chunk *chunks;
    size_t n;
};

/* The names of submits that have chunks, ascending by bytes. */
struct ds_submits_read {
    const char *after; /* names past this; NULL: from the start */
    size_t rows_max;
    const char **ret_submits;
    size_t ret_n;
};

struct ds_step {
    enum ds_kind kind;
    int rc;           /* out: 0 or a code */
    bool independent; /* the run goes on when this step does not succeed */
    union {
#define X(kind, member, writes) struct ds_##member member;
        DS_STEP_MAP(X)
#undef X
    };
};

struct ds_run {
    struct ds_step *steps; /* borrowed until done */
    size_t n_steps;        /* 1..LIMIT_RUN_STEPS */
    bool urgent;           /* heartbeats: ahead of other runs waiting for the same worker */
    struct arena mem;      /* results live here; the caller releases it */
    struct error err;      /* what went wrong, for a person, when a step has a code of trouble */

    /* For datastore/async.h only. */
    void (*done)(struct ds_run *run, void *ctx);
    void *ctx;
    struct ds_run *next;
};

struct datastore;

struct datastore_class {
    const char *name;
    /* A run is one commit as far as its steps lead on to each other: a DS_RESERVE and the DS_INSERT
     * that takes its ids are there together or not at all, and there are no holes. */
    bool one_commit;
    /* Carries out the runs in order. Backends that can commit several at once do. */
    void (*run)(struct datastore *ds, struct ds_run *const *runs, size_t n_runs);
    /* A descriptor that becomes readable when something that nodes wait for may have changed (a
     * hint, never needed for correctness); -1 where there is none. wakes_waiters: also when jobs
     * have ended. */
    int (*wake_fd)(struct datastore *ds);
    bool wakes_waiters;
    /* Reads the descriptor empty; may be called while another thread carries out a run here. False:
     * it was readable for nothing (a stray datagram). */
    bool (*wake_clear)(struct datastore *ds);
    /* For the node's record: the address at which others can make that descriptor readable, once it
     * was asked for (doorbell.h); lives as long as ds. "" or no such operation: the store itself
     * does it, or nobody. Where there is one, a wake may fail to come. */
    const char *(*doorbell)(struct datastore *ds);
    void (*close)(struct datastore *ds); /* frees ds */
};

/* Backends embed this as their first member. */
struct datastore {
    const struct datastore_class *class;
};

enum {
    DS_CREATE = 1,    /* make the store where there is none (and its folder) */
    DS_READ_ONLY = 2, /* every writing step gives ERR_READ_ONLY; also where the folder is */
    DS_COPY = 4,      /* open an unfinished copy, too; else ERR_REFUSED */
};

/* Opens by URI: `sqlite:PATH[?namespace=NAME]` (a bare path is sqlite too), `mongodb://...` or
 * `mongodb+srv://...`.
 * Taken: nothing. Given: *ret_ds, to be closed. ERR_NOT_FOUND without DS_CREATE, ERR_CORRUPT (not a
 * Stint store), ERR_VERSION, ERR_UNAVAILABLE, ERR_INVALID (bad URI, network file system). */
int datastore_open(const char *uri, unsigned flags, struct datastore **ret_ds, struct error *err)
    __attribute__((warn_unused_result));

static inline const char *datastore_doorbell(struct datastore *ds)
{
    return ds->class->doorbell != NULL ? ds->class->doorbell(ds) : "";
}

/* The same, for who must know in time that a step did not succeed: no single exchange with a server
 * takes longer than timeout_ms (0: as above). Embedded stores have no use for it. */
int datastore_open_within(const char *uri, unsigned flags, uint32_t timeout_ms,
                          struct datastore **ret_ds, struct error *err)
    __attribute__((warn_unused_result));

/* Removes a namespace with everything in it, as no step can: for scratch stores. Nobody may be
 * using it any more. The rest of the file's folder, or of the database, is not touched. 0 also
 * where there is nothing, or a part, so it can be tried again. ERR_INVALID: the URI names no
 * namespace. */
int datastore_drop(const char *uri, struct error *err) __attribute__((warn_unused_result));

static inline void datastore_close(struct datastore *ds)
{
    if (ds != NULL)
        ds->class->close(ds);
}

/* Carries out one run and returns the code of its first step that failed and is not independent,
 * or 0. */
int datastore_run(struct datastore *ds, struct ds_run *run);

/* One step on its own; results live in `mem`. Returns the step's rc; `err` (may be NULL) says why
 * when there is trouble. */
int datastore_step(struct datastore *ds, struct ds_step *step, struct arena *mem,
                   struct error *err);

/* ERR_REFUSED, told, where the store is an unfinished copy. For backends that open one. */
int ds_copying_refuse(const struct meta *meta, const char *shown, struct error *err);

const char *ds_kind_name(enum ds_kind kind);
bool ds_kind_writes(enum ds_kind kind);

/* False: a read that gives ERR_INVALID. */
bool ds_history_read_valid(const struct ds_history_read *read);

/* Steps after which somebody may have something to do. The rest is housekeeping; heartbeats among
 * it, or idle nodes would keep each other awake. */
bool ds_kind_rings(enum ds_kind kind);

/* A guard that was not met is an answer, not trouble. */
bool ds_code_is_trouble(int rc);

bool ds_run_writes(const struct ds_run *run);

/* What a run's outcome is when looked at as a whole: the code datastore_run returns. */
int ds_run_code(const struct ds_run *run);

#endif
