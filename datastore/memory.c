/* The memory datastore: its store, its handles, and how a run is carried out.
 *
 * The guards of single records are in steps.c and job_steps.c, shared with sqlite; here and in
 * memory_records.c, memory_jobs.c and memory_logs.c is only where records are kept. Where it could
 * be stricter than the contract or laxer, it is laxer: steps of other handles come between any two
 * steps of a run, and an id may be reserved for long before its row is there (a hole), as on a
 * server.
 * Invariants: a step that fails changes nothing; what a run hands out is a copy in its own arena.
 * Threads: a handle's own; the store is under one lock, held for one step at a time. */
#include "datastore/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "datastore/memory_store.h"

struct memory_handle {
    struct datastore base;
    struct memory_store *store;
    struct memory_handle *next;
    int wake_fd; /* made when first asked for: the simulator never asks, and pays nothing */
};

/* ---- keyed arrays --------------------------------------------------------------------------- */

size_t keyed_at(const struct keyed_array *array, int64_t key)
{
    /* New keys are mostly the highest. */
    if (array->n == 0 || array->items[array->n - 1]->key < key)
        return array->n;
    size_t low = 0, high = array->n - 1;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (array->items[middle]->key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void *keyed_find(const struct keyed_array *array, int64_t key)
{
    size_t at = keyed_at(array, key);
    return at < array->n && array->items[at]->key == key ? array->items[at] : NULL;
}

void keyed_insert(struct keyed_array *array, size_t at, struct keyed *item)
{
    assert(at <= array->n);
    if (array->n == array->capacity) {
        array->capacity = array->capacity > 0 ? array->capacity * 2 : 16;
        array->items = realloc(array->items, array->capacity * sizeof(struct keyed *));
        assert(array->items != NULL);
    }
    memmove(array->items + at + 1, array->items + at, (array->n - at) * sizeof(struct keyed *));
    array->items[at] = item;
    array->n++;
}

struct keyed *keyed_take(struct keyed_array *array, size_t at)
{
    assert(at < array->n);
    struct keyed *item = array->items[at];
    array->n--;
    memmove(array->items + at, array->items + at + 1, (array->n - at) * sizeof(struct keyed *));
    return item;
}

/* ---- runs ----------------------------------------------------------------------------------- */

static memory_step_fn *const step_fns[DS_KINDS] = {
#define X(kind, member, writes) [kind] = memory_##member,
    DS_STEP_MAP(X)
#undef X
};

static void ring_others(const struct memory_handle *own)
{
    for (const struct memory_handle *h = own->store->handles; h != NULL; h = h->next)
        if (h != own && h->wake_fd >= 0)
            (void)eventfd_write(h->wake_fd, 1); /* EAGAIN: it is readable already */
}

static int run_step(struct memory_handle *handle, struct ds_run *run, size_t i)
{
    struct memory_store *store = handle->store;
    struct ds_step *step = &run->steps[i];
    assert((unsigned)step->kind < DS_KINDS);
    pthread_mutex_lock(&store->lock);
    struct memory_call call = {.store = store,
                               .step = step,
                               .before = i > 0 ? step - 1 : NULL,
                               .mem = &run->mem,
                               .err = &run->err,
                               .utc_ms = store->utc_ms(store->ctx)};
    int rc = step_fns[step->kind](&call);
    if (rc == 0 && ds_kind_rings(step->kind))
        ring_others(handle);
    pthread_mutex_unlock(&store->lock);
    if (ds_code_is_trouble(rc) && run->err.code == 0)
        error_set(&run->err, rc, "%s: %s", ds_kind_name(step->kind), error_text(rc));
    return rc;
}

int memory_step(struct datastore *memory, struct ds_run *run, size_t i)
{
    return run_step((struct memory_handle *)memory, run, i);
}

static void memory_run(struct datastore *ds, struct ds_run *const *runs, size_t n_runs)
{
    struct memory_handle *handle = (struct memory_handle *)ds;
    for (size_t r = 0; r < n_runs; r++) {
        struct ds_run *run = runs[r];
        bool stopped = false;
        for (size_t i = 0; i < run->n_steps; i++) {
            struct ds_step *step = &run->steps[i];
            step->rc = stopped ? ERR_SKIPPED : run_step(handle, run, i);
            stopped = stopped || (step->rc != 0 && !step->independent);
        }
    }
}

/* ---- handles -------------------------------------------------------------------------------- */

static int memory_wake_fd(struct datastore *ds)
{
    struct memory_handle *handle = (struct memory_handle *)ds;
    pthread_mutex_lock(&handle->store->lock);
    if (handle->wake_fd < 0)
        handle->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int fd = handle->wake_fd;
    pthread_mutex_unlock(&handle->store->lock);
    return fd;
}

static bool memory_wake_clear(struct datastore *ds)
{
    int fd = memory_wake_fd(ds);
    eventfd_t rung;
    return fd >= 0 && eventfd_read(fd, &rung) == 0;
}

static void memory_close(struct datastore *ds)
{
    struct memory_handle *handle = (struct memory_handle *)ds;
    pthread_mutex_lock(&handle->store->lock);
    struct memory_handle **at = &handle->store->handles;
    while (*at != handle)
        at = &(*at)->next;
    *at = handle->next;
    pthread_mutex_unlock(&handle->store->lock);
    if (handle->wake_fd >= 0)
        close(handle->wake_fd);
    free(handle);
}

static const struct datastore_class memory_class = {
    .name = "memory",
    .run = memory_run,
    .wake_fd = memory_wake_fd,
    .wakes_waiters = true,
    .wake_clear = memory_wake_clear,
    .close = memory_close,
};

struct datastore *memory_open(struct memory_store *store)
{
    struct memory_handle *handle = calloc(1, sizeof(*handle));
    assert(handle != NULL);
    handle->base.class = &memory_class;
    handle->store = store;
    handle->wake_fd = -1;
    pthread_mutex_lock(&store->lock);
    handle->next = store->handles;
    store->handles = handle;
    pthread_mutex_unlock(&store->lock);
    return &handle->base;
}

/* ---- the store ------------------------------------------------------------------------------ */

struct memory_store *memory_store_new(int64_t (*utc_ms)(void *ctx), void *ctx)
{
    struct memory_store *store = calloc(1, sizeof(*store));
    assert(store != NULL);
    store->lanes = calloc(LIMIT_LANES, sizeof(struct lane_record *));
    assert(store->lanes != NULL);
    pthread_mutex_init(&store->lock, NULL);
    store->utc_ms = utc_ms;
    store->ctx = ctx;
    store->meta = (struct meta){.schema_version = SCHEMA_VERSION,
                                .reader_version_min = SCHEMA_VERSION,
                                .writer_version_min = SCHEMA_VERSION,
                                .features = FEATURES_KNOWN,
                                .created_ms = utc_ms(ctx)};
    struct ds_step step = {.kind = DS_LANE_OPEN,
                           .lane_open.name = {QUEUE_DEFAULT, PRIORITY_DEFAULT, 0}};
    struct memory_call call = {.store = store, .step = &step, .utc_ms = store->meta.created_ms};
    int rc = memory_lane_open(&call);
    assert(rc == 0 && step.lane_open.ret_lane == LANE_DEFAULT);
    (void)rc;
    return store;
}

void memory_store_free(struct memory_store *store)
{
    if (store == NULL)
        return;
    assert(store->handles == NULL);
    memory_records_clear(store);
    memory_jobs_clear(store);
    memory_logs_clear(store);
    pthread_mutex_destroy(&store->lock);
    free(store->lanes);
    free(store);
}
