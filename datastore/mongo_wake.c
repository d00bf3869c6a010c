/* The MongoDB backend's waking of those who wait.
 *
 * Where the server has change streams, a thread with a client of its own follows one, and makes an
 * eventfd readable when there is work that was not there before, or somebody was asked something.
 * Elsewhere the handle listens at a doorbell (doorbell.h), and whoever makes work rings those that
 * wait (bells.h). Both are hints: a stream that breaks is opened again and taken for a wake.
 *
 * The thread blocks in the server for up to STREAM_WAIT_MS and cannot be interrupted: it is let go
 * and frees what it has when it next looks. Threads: the handle's, and the stream's. */
#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "datastore/bells.h"
#include "datastore/doorbell.h"
#include "datastore/mongo_store.h"

enum {
    STREAM_WAIT_MS = 2000,  /* the server answers then at the latest; below the socket's time-out */
    STREAM_AGAIN_MS = 1000, /* before it is opened again ... */
    STREAM_FAILED_MS = 2000, /* ... after a try that failed: as often as nodes look without one */
};

static_assert((int)STREAM_WAIT_MS < (int)MONGO_TIMEOUT_MS, "an answer is awaited that long");

struct mongo_stream {
    mongoc_client_pool_t *pool; /* of its own: the thread may outlive the handle */
    mongoc_client_t *client;
    char database[LIMIT_NAME_BYTES + 1];
    char names[3][LIMIT_NAME_BYTES + 16]; /* of the collections followed */
    int fd;                               /* eventfd */
    atomic_bool over;                     /* the handle is closed */
    atomic_int owners;                    /* handle and thread; the last one frees */
};

static void stream_drop(struct mongo_stream *stream)
{
    if (atomic_fetch_sub(&stream->owners, 1) > 1)
        return;
    if (stream->client != NULL)
        mongoc_client_pool_push(stream->pool, stream->client);
    if (stream->pool != NULL)
        mongoc_client_pool_destroy(stream->pool);
    if (stream->fd >= 0)
        close(stream->fd);
    free(stream);
}

/* Work that came to a lane, somebody who was asked, a queue that changed. A claim is none of it. */
static bson_t *stream_pipeline(const struct mongo_stream *stream)
{
    return BCON_NEW(
        "0", "{", "$match", "{", "$or", "[", "{", "ns.coll", BCON_UTF8(stream->names[0]), "$or",
        "[", "{", "operationType", BCON_UTF8("insert"), "}", "{",
        "updateDescription.updatedFields.tail", "{", "$exists", BCON_BOOL(true), "}", "}", "{",
        "updateDescription.updatedFields.pool", "{", "$exists", BCON_BOOL(true), "}", "}", "]", "}",
        "{", "ns.coll", BCON_UTF8(stream->names[1]), "updateDescription.updatedFields.request_seq",
        "{", "$exists", BCON_BOOL(true), "}", "}", "{", "ns.coll", BCON_UTF8(stream->names[2]), "}",
        "]", "}", "}", "1", "{", "$project", "{", "_id", BCON_INT32(1), "}", "}");
}

static void stream_wake(struct mongo_stream *stream)
{
    (void)eventfd_write(stream->fd, 1); /* EAGAIN: it is readable already */
}

/* Until it breaks. False: it never worked. What came before it was open is taken for a wake. */
static bool stream_follow(struct mongo_stream *stream)
{
    bson_t *pipeline = stream_pipeline(stream);
    int32_t timeout_ms = mongoc_uri_get_option_as_int32(
        mongoc_client_get_uri(stream->client), MONGOC_URI_SOCKETTIMEOUTMS, MONGO_TIMEOUT_MS);
    int32_t wait_ms = timeout_ms * 2 / 3 < STREAM_WAIT_MS ? timeout_ms * 2 / 3 : STREAM_WAIT_MS;
    bson_t *opts = BCON_NEW("maxAwaitTimeMS", BCON_INT64(wait_ms));
    mongoc_database_t *database = mongoc_client_get_database(stream->client, stream->database);
    mongoc_change_stream_t *changes = mongoc_database_watch(database, pipeline, opts);
    const bson_t *event, *reply;
    bson_error_t error;
    bool worked = !mongoc_change_stream_error_document(changes, &error, &reply), broken = !worked;
    stream_wake(stream);
    while (!broken && !atomic_load(&stream->over)) {
        if (mongoc_change_stream_next(changes, &event))
            stream_wake(stream);
        else
            broken = mongoc_change_stream_error_document(changes, &error, &reply);
    }
    mongoc_change_stream_destroy(changes);
    mongoc_database_destroy(database);
    bson_destroy(opts);
    bson_destroy(pipeline);
    return worked;
}

static void *stream_main(void *ctx)
{
    struct mongo_stream *stream = ctx;
    while (!atomic_load(&stream->over)) {
        int again_ms = stream_follow(stream) ? STREAM_AGAIN_MS : STREAM_FAILED_MS;
        if (!atomic_load(&stream->over))
            usleep((useconds_t)again_ms * 1000);
    }
    stream_drop(stream);
    return NULL;
}

static struct mongo_stream *stream_open(struct mongo_store *store)
{
    struct mongo_stream *stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return NULL;
    pthread_attr_t detached;
    pthread_t thread;
    sigset_t all, before;
    stream->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_init(&stream->over, false);
    atomic_init(&stream->owners, 2);
    memcpy(stream->database, store->database, sizeof(stream->database));
    memcpy(stream->names[0], store->names[MONGO_LANES], sizeof(stream->names[0]));
    memcpy(stream->names[1], store->names[MONGO_NODES], sizeof(stream->names[1]));
    memcpy(stream->names[2], store->names[MONGO_QUEUES], sizeof(stream->names[2]));
    stream->pool = mongoc_client_pool_new(mongoc_client_get_uri(store->client));
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    if (stream->pool != NULL)
        stream->client = mongoc_client_pool_pop(stream->pool);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    bool good = stream->fd >= 0 && stream->client != NULL &&
                pthread_create(&thread, &detached, stream_main, stream) == 0;
    pthread_attr_destroy(&detached);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!good) {
        atomic_store(&stream->owners, 1);
        stream_drop(stream);
        return NULL;
    }
    return stream;
}

/* ---- the handle ----------------------------------------------------------------------------- */

int mongo_wake_fd(struct datastore *ds)
{
    struct mongo_store *store = (struct mongo_store *)ds;
    struct mongo_wake *wake = &store->wake;
    struct error err;
    if (wake->stream == NULL && wake->bell == NULL && wake->streams)
        wake->stream = stream_open(store);
    if (wake->stream == NULL && wake->bell == NULL &&
        doorbell_open(wake->host[0] != '\0' ? wake->host : NULL, wake->port, &wake->bell, &err) < 0)
        return -1;
    return wake->stream != NULL ? wake->stream->fd : doorbell_fd(wake->bell);
}

bool mongo_wake_clear(struct datastore *ds)
{
    struct mongo_store *store = (struct mongo_store *)ds;
    eventfd_t rung;
    if (store->wake.bell != NULL)
        return doorbell_clear(store->wake.bell);
    return store->wake.stream != NULL && eventfd_read(store->wake.stream->fd, &rung) == 0;
}

const char *mongo_doorbell(struct datastore *ds)
{
    const struct mongo_store *store = (const struct mongo_store *)ds;
    return store->wake.bell != NULL ? doorbell_address(store->wake.bell) : "";
}

static int read_alone(void *ctx, struct ds_step *step, struct arena *mem)
{
    return mongo_step_alone(ctx, step, mem);
}

void mongo_wake_others(struct mongo_store *store, const struct ds_run *run)
{
    struct error err;
    struct bell_want wants[LIMIT_RUN_STEPS];
    if (store->read_only || (!ds_run_writes(run) && bells_wanted(run, wants) == 0))
        return;
    if (store->wake.bells == NULL && bells_open(&store->wake.bells, &err) < 0)
        return;
    bells_ran(store->wake.bells, run, (uint64_t)mongo_now_ms(CLOCK_MONOTONIC), read_alone, store);
}

void mongo_wake_close(struct mongo_store *store)
{
    bells_close(store->wake.bells);
    doorbell_close(store->wake.bell);
    if (store->wake.stream != NULL) {
        atomic_store(&store->wake.stream->over, true);
        stream_drop(store->wake.stream);
    }
}
