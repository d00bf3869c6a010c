/* Inside the memory datastore: what a store is made of. Included by memory*.c only. */
#ifndef STINT_MEMORY_STORE_H
#define STINT_MEMORY_STORE_H

#include <pthread.h>

#include "datastore/datastore.h"

/* ---- arrays of records in ascending order of a key ------------------------------------------ */

struct keyed { /* the first member of what is kept in a keyed_array */
    int64_t key;
};

struct keyed_array {
    struct keyed **items;
    size_t n, capacity;
};

/* Index of the first item whose key is not below `key`; n when there is none. */
size_t keyed_at(const struct keyed_array *array, int64_t key);
/* The item of that key, or NULL. */
void *keyed_find(const struct keyed_array *array, int64_t key);
void keyed_insert(struct keyed_array *array, size_t at, struct keyed *item);
/* Takes items[at] out, for the caller to free. */
struct keyed *keyed_take(struct keyed_array *array, size_t at);

/* ---- records -------------------------------------------------------------------------------- */

/* A record that is replaced as a whole owns an arena, so that a replaced version is freed. */
struct lane_record {
    struct lane lane;
    struct arena mem;
    struct keyed_array rows; /* of struct row, by id */
};

struct node_record {
    struct keyed keyed; /* node id */
    struct node node;
    struct arena mem;
};

struct row {
    struct keyed keyed; /* stored id */
    struct job job;
    struct arena trace_mem; /* the ending, where it keeps earlier runs: it is replaced often */
};

struct stint_record {
    struct keyed keyed; /* range.a */
    struct stint_row row;
};

struct history_record {
    struct keyed keyed; /* seq */
    struct history_row row;
    uint8_t body[];
};

struct history_list {
    struct keyed keyed; /* node id */
    struct keyed_array versions;
};

struct memory_handle;

struct memory_store {
    pthread_mutex_t lock; /* over everything below */
    int64_t (*utc_ms)(void *ctx);
    void *ctx;
    struct meta meta;
    struct queue *queues; /* by name */
    size_t n_queues;
    struct lane_record **lanes; /* by number; LIMIT_LANES pointers */
    size_t n_lanes;
    struct submit_chunk *chunks; /* by submit and index */
    size_t n_chunks, chunks_capacity;
    void *unique;      /* tsearch tree of unfinished rows that have a key */
    struct arena jobs; /* rows, and what they point to: never freed before the store is */
    struct keyed_array nodes, stints, history;
    struct memory_handle *handles;
};

/* The record of that lane, or NULL. */
struct lane_record *memory_lane(const struct memory_store *store, int32_t number);

/* ---- steps ---------------------------------------------------------------------------------- */

struct memory_call {
    struct memory_store *store;
    struct ds_step *step;
    const struct ds_step *before; /* the step just before in the run, or NULL */
    struct arena *mem;            /* of the run */
    struct error *err;
    int64_t utc_ms;
};

/* Carries out one step, under the store's lock, and returns its code. */
typedef int memory_step_fn(struct memory_call *call);

memory_step_fn memory_meta_read, memory_queue_set, memory_queues_read, memory_lane_open,
    memory_lanes_read, memory_reserve, memory_insert, memory_submit_find, memory_claim,
    memory_give_back, memory_entry_drop, memory_lane_bury, memory_node_add, memory_node_write,
    memory_node_ask, memory_node_kill, memory_node_clear, memory_node_delete, memory_nodes_read,
    memory_load, memory_finish, memory_cancel, memory_jobs_read, memory_scan, memory_stints_add,
    memory_stints_read, memory_history_add, memory_history_read, memory_copy_mark, memory_lane_put,
    memory_chunks_add, memory_submits_read;

/* All versions of that node go. */
void memory_history_drop(struct memory_store *store, int64_t node);

/* Each frees what its file keeps in the store. */
void memory_records_clear(struct memory_store *store);
void memory_jobs_clear(struct memory_store *store);
void memory_logs_clear(struct memory_store *store);

#endif
