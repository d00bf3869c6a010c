/* Inside the MongoDB backend: a handle, and how steps send commands. Included by mongo*.c only. */
#ifndef STINT_MONGO_STORE_H
#define STINT_MONGO_STORE_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "datastore/datastore.h"
#include "datastore/mongo.h"
#include "datastore/mongo_driver.h"

#define MONGO_COLLECTION_MAP(X)                                                                    \
    X(META, "meta")                                                                                \
    X(QUEUES, "queues")                                                                            \
    X(LANES, "lanes")                                                                              \
    X(NODES, "nodes")                                                                              \
    X(JOBS, "jobs")                                                                                \
    X(STINTS, "stints")                                                                            \
    X(TOTALS, "totals")                                                                            \
    X(HISTORY, "history")

enum mongo_collection {
#define X(name, text) MONGO_##name,
    MONGO_COLLECTION_MAP(X)
#undef X
        MONGO_COLLECTIONS
};

struct bells;
struct doorbell;
struct mongo_stream;

/* How this handle hears of others' doings, and tells them (mongo_wake.c). */
struct mongo_wake {
    char host[BSON_HOST_NAME_MAX + 1]; /* of the server; "": not known */
    uint16_t port;
    bool streams;                /* the server announces what change streams need */
    struct mongo_stream *stream; /* NULL: none */
    struct doorbell *bell;       /* NULL: none */
    struct bells *bells;         /* to ring others; NULL: not yet */
};

struct mongo_store {
    struct datastore base;
    mongoc_client_pool_t *pool;
    mongoc_client_t *client; /* popped from it, for the handle's one thread */
    mongoc_collection_t *collections[MONGO_COLLECTIONS];
    char names[MONGO_COLLECTIONS][LIMIT_NAME_BYTES + 16]; /* with the namespace before them */
    char database[LIMIT_NAME_BYTES + 1];
    char shown[256]; /* the URI without its secrets */
    bool read_only;
    bool copy;         /* opened with DS_COPY */
    bson_t write_opts; /* majority write concern */
    struct mongo_counts counts;
    int64_t clock_offset_ms; /* the server's UTC minus our CLOCK_BOOTTIME */
    int64_t clock_read_ms;   /* CLOCK_BOOTTIME then; 0: not yet */
    size_t row_bytes;        /* of the rows loaded lately, in the mean */
    size_t circle_nodes;     /* records found when a circle of them was read last */
    struct error *err;       /* where trouble is told: the run's */
    struct error lost;       /* the server did not answer, in this call of `run`; code 0: it did */
    bool wrote;              /* a command of this step has changed something */
    struct mongo_wake wake;
};

/* What a step is carried out with. */
struct mongo_call {
    struct mongo_store *store;
    struct ds_step *step;
    const struct ds_step *before; /* the step before it in the run; NULL: none */
    struct arena *mem;
    struct error *err;
    int64_t utc_ms; /* the server's clock, about */
};

/* One for each kind of step: returns its code. */
typedef int mongo_step_fn(struct mongo_call *call);

#define X(kind, member, writes) int mongo_##member(struct mongo_call *call);
DS_STEP_MAP(X)
#undef X

extern const struct datastore_class mongo_class;

/* Sets what steps rely on, whatever the URI says: its time-outs may be shorter, no longer. */
void mongo_uri_settle(mongoc_uri_t *uri, int32_t timeout_ms);

/* Makes indexes and first records where there are none, or reads what is there (mongo_schema.c). */
int mongo_schema_make(struct mongo_store *store) __attribute__((warn_unused_result));
int mongo_schema_check(struct mongo_store *store) __attribute__((warn_unused_result));

/* ---- waking (mongo_wake.c) ------------------------------------------------------------------- */

int mongo_wake_fd(struct datastore *ds);
bool mongo_wake_clear(struct datastore *ds);
const char *mongo_doorbell(struct datastore *ds);
/* Tells those whom a run that was carried out concerns. */
void mongo_wake_others(struct mongo_store *store, const struct ds_run *run);
void mongo_wake_close(struct mongo_store *store);

/* Carries out one step of its own accord, outside of any run. */
int mongo_step_alone(struct mongo_store *store, struct ds_step *step, struct arena *mem);

/* ERR_CONFLICT where the store is no unfinished copy (mongo_copy.c). */
int mongo_copying(struct mongo_call *call) __attribute__((warn_unused_result));

struct lane mongo_lane_new(int32_t number, const struct lane_name *name, bool exclusive);

/* ---- commands (mongo_command.c) -------------------------------------------------------------- */

/* An update: operators as a document, or a pipeline as an array. */
struct mongo_change {
    const bson_t *doc;
    bool pipeline, many, upsert;
};

/* Sends a command to the store's database. *ret_reply is initialised in any case, and the caller
 * destroys it. 0 or a code with its text told. Errors of single statements are in the reply. */
int mongo_command(struct mongo_store *store, const bson_t *command, bool writes, bson_t *ret_reply)
    __attribute__((warn_unused_result));

/* The code of the first failed statement of an insert, update or delete, told; 0: none. */
int mongo_statement_code(struct mongo_store *store, const bson_t *reply);

/* The code of one of a reply's writeErrors, told but for ERR_DUPLICATE. */
int mongo_write_error_code(struct mongo_store *store, const bson_iter_t *write_error);

/* What a server's error means for a step; `writes`: it may have been carried out. */
int mongo_code_of(const bson_error_t *error, const bson_t *reply, bool writes);

/* *ret_doc: the document as it is after the change, of `fields` (NULL: all); to be destroyed after
 * success. ERR_NOT_FOUND: none matched. ERR_DUPLICATE. */
int mongo_find_and_modify(struct mongo_store *store, enum mongo_collection in, const bson_t *query,
                          struct mongo_change change, const bson_t *fields, bson_t *ret_doc)
    __attribute__((warn_unused_result));

/* *ret_n: documents that matched. ERR_DUPLICATE. */
int mongo_update(struct mongo_store *store, enum mongo_collection in, const bson_t *query,
                 struct mongo_change change, int64_t *ret_n) __attribute__((warn_unused_result));

/* ERR_DUPLICATE: nothing was written. */
int mongo_insert_one(struct mongo_store *store, enum mongo_collection in, const bson_t *doc)
    __attribute__((warn_unused_result));

/* All that match; how many those were. */
int mongo_delete(struct mongo_store *store, enum mongo_collection in, const bson_t *query,
                 int64_t *ret_n) __attribute__((warn_unused_result));

/* The first match; to be destroyed after success. ERR_NOT_FOUND. */
int mongo_find_one(struct mongo_store *store, enum mongo_collection in, const bson_t *query,
                   const bson_t *opts, bson_t *ret_doc) __attribute__((warn_unused_result));

/* One number of the first match. opts: sort and skip, or NULL. ERR_NOT_FOUND. */
int mongo_find_int(struct mongo_store *store, enum mongo_collection in, const bson_t *query,
                   const char *field, const bson_t *opts, int64_t *ret_value)
    __attribute__((warn_unused_result));

/* How many match. */
int mongo_count(struct mongo_store *store, enum mongo_collection in, const bson_t *query,
                int64_t *ret_n) __attribute__((warn_unused_result));

/* opts as the driver takes them: projection, sort, limit, batchSize. Never NULL. */
mongoc_cursor_t *mongo_find(struct mongo_store *store, enum mongo_collection in,
                            const bson_t *query, const bson_t *opts);
mongoc_cursor_t *mongo_aggregate(struct mongo_store *store, enum mongo_collection in,
                                 const bson_t *pipeline);
/* 1 a document (borrowed until the next call), 0 the end, or a code, told. */
int mongo_next(struct mongo_store *store, mongoc_cursor_t *cursor, const bson_t **ret_doc);

/* Tells that a document does not read as it should: ERR_CORRUPT. */
int mongo_damaged(struct mongo_store *store, enum mongo_collection in, int64_t id);

/* ---- clock ---------------------------------------------------------------------------------- */

static inline int64_t mongo_now_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Asks the server for its clock: the hello that also tells whether anybody is there. */
int mongo_clock_read(struct mongo_store *store) __attribute__((warn_unused_result));

static inline int64_t mongo_utc_ms(const struct mongo_store *store)
{
    return mongo_now_ms(CLOCK_BOOTTIME) + store->clock_offset_ms;
}

#endif
