/* The MongoDB backend: how runs are carried out.
 *
 * A run is its steps in order, each a command or a few; nothing is held between them. Runs that
 * are urgent (heartbeats) go first. Once the server did not answer, what else was handed over with
 * that run is not tried: each would wait for the time-out, and a heartbeat behind them all. A step
 * that could not be told from one that was carried out gives ERR_UNKNOWN_OUTCOME, and its caller
 * reads back (datastore.h). Thread: the handle's. */
#include <assert.h>
#include <stdlib.h>

#include "datastore/mongo_store.h"

enum { CLOCK_EVERY_MS = 60000 };

static mongo_step_fn *const step_fns[DS_KINDS] = {
#define X(kind, member, writes) [kind] = mongo_##member,
    DS_STEP_MAP(X)
#undef X
};

/* A step of several commands that breaks off has written what the first ones wrote; a read that
 * writes on its way (DS_SUBMIT_FIND) is a read all the same. */
static int code_of_whole(const struct mongo_store *store, const struct ds_step *step, int rc)
{
    bool nothing_written = rc == ERR_UNAVAILABLE || rc == ERR_FULL || rc == ERR_READ_ONLY;
    if (!ds_kind_writes(step->kind))
        return rc == ERR_UNKNOWN_OUTCOME ? ERR_UNAVAILABLE : rc;
    return nothing_written && store->wrote ? ERR_UNKNOWN_OUTCOME : rc;
}

static int step_run(struct mongo_store *store, struct ds_run *run, size_t i)
{
    struct ds_step *step = &run->steps[i];
    assert((unsigned)step->kind < DS_KINDS);
    store->err = &run->err;
    if (store->lost.code != 0)
        return error_set(&run->err, ERR_UNAVAILABLE, "%s", store->lost.text);
    if (store->read_only && ds_kind_writes(step->kind))
        return error_set(&run->err, ERR_READ_ONLY, "%.200s: opened for reading only", store->shown);
    struct mongo_call call = {.store = store,
                              .step = step,
                              .before = i > 0 ? step - 1 : NULL,
                              .mem = &run->mem,
                              .err = &run->err,
                              .utc_ms = mongo_utc_ms(store)};
    store->wrote = false;
    int last = step_fns[step->kind](&call), rc = code_of_whole(store, step, last);
    if (run->err.code == last)
        run->err.code = rc;
    if (ds_code_is_trouble(rc) && run->err.code == 0)
        error_set(&run->err, rc, "%s: %s", ds_kind_name(step->kind), error_text(rc));
    if (rc == ERR_UNAVAILABLE || rc == ERR_UNKNOWN_OUTCOME)
        store->lost = run->err;
    return rc;
}

static void run_one(struct mongo_store *store, struct ds_run *run)
{
    bool stopped = false;
    run->err = (struct error){0};
    for (size_t i = 0; i < run->n_steps; i++) {
        struct ds_step *step = &run->steps[i];
        step->rc = stopped ? ERR_SKIPPED : step_run(store, run, i);
        stopped = stopped || (step->rc != 0 && !step->independent);
    }
}

int mongo_step_alone(struct mongo_store *store, struct ds_step *step, struct arena *mem)
{
    struct ds_run run = {.steps = step, .n_steps = 1, .mem = *mem};
    struct error *err = store->err;
    run_one(store, &run);
    store->err = err;
    *mem = run.mem;
    return step->rc;
}

/* The server's clock may be set, and ours drift: it is asked for now and then. Failing to is the
 * next step's trouble. */
static void clock_refresh(struct mongo_store *store)
{
    struct error err = {0};
    store->err = &err;
    if (mongo_now_ms(CLOCK_BOOTTIME) - store->clock_read_ms > CLOCK_EVERY_MS)
        (void)!mongo_clock_read(store);
}

static void mongo_run(struct datastore *ds, struct ds_run *const *runs, size_t n_runs)
{
    struct mongo_store *store = (struct mongo_store *)ds;
    store->lost = (struct error){0};
    clock_refresh(store);
    for (int urgent = 1; urgent >= 0; urgent--)
        for (size_t r = 0; r < n_runs; r++)
            if (runs[r]->urgent == (urgent == 1)) {
                run_one(store, runs[r]);
                mongo_wake_others(store, runs[r]);
            }
    store->err = NULL;
}

static void mongo_close(struct datastore *ds)
{
    struct mongo_store *store = (struct mongo_store *)ds;
    mongo_wake_close(store);
    for (size_t i = 0; i < MONGO_COLLECTIONS; i++)
        if (store->collections[i] != NULL)
            mongoc_collection_destroy(store->collections[i]);
    if (store->client != NULL)
        mongoc_client_pool_push(store->pool, store->client);
    if (store->pool != NULL)
        mongoc_client_pool_destroy(store->pool);
    bson_destroy(&store->write_opts);
    free(store);
}

const struct datastore_class mongo_class = {
    .name = "mongodb",
    .run = mongo_run,
    .wake_fd = mongo_wake_fd,
    .wake_clear = mongo_wake_clear,
    .doorbell = mongo_doorbell,
    .close = mongo_close,
};

struct mongo_counts mongo_counts_of(const struct datastore *ds)
{
    assert(ds->class == &mongo_class);
    return ((const struct mongo_store *)ds)->counts;
}
