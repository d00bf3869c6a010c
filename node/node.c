/* A node as a process: reaper first, then threads and the datastore, then one incarnation after
 * another until it is stopped. A fenced incarnation ends its jobs; the next one starts anew under
 * another id. Thread: main. */
#define _GNU_SOURCE
#include "node/node.h"

#include <inttypes.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "datastore/uri.h"
#include "node/host.h"
#include "node/loop.h"

enum {
    LEASE_MS_DEFAULT = 5000,
    LEASE_MS_MIN = 100,
    LEASE_MS_MAX = 3600 * 1000,
    STOP_TIMEOUT_MS_DEFAULT = 30000,
    KILL_GRACE_MS = 5000,
    HOLE_GRACE_MS = 20000,
    LOOK_MS = 10000,        /* where the store wakes its nodes ... */
    LOOK_UNWOKEN_MS = 2000, /* ... and where it does not, or others do and may fail to */
    FENCED_MAX = 10,        /* incarnations lost within FENCED_SPAN_S before it gives up */
    FENCED_SPAN_S = 60,
    LARGE_BYTES = 512 << 10,
};

static int32_t processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set) < LIMIT_SLOTS ? CPU_COUNT(&set) : LIMIT_SLOTS;
    return 1;
}

/* How the worker threads open the store. */
struct opening {
    const char *uri;
    uint32_t timeout_ms;
};

static int open_store(void *ctx, struct datastore **ret_ds, struct error *err)
{
    const struct opening *opening = ctx;
    return datastore_open_within(opening->uri, DS_CREATE, opening->timeout_ms, ret_ds, err);
}

static int64_t random_id(void)
{
    uint64_t id = 0;
    while (id >> 1 == 0)
        if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
            id = (uint64_t)time(NULL) << 20 ^ (uint64_t)getpid();
    return (int64_t)(id >> 1);
}

struct identity {
    struct node node;
    const char *store_uri;
    char queues[LIMIT_QUEUES_SERVED][LIMIT_NAME_BYTES + 1];
    char types[2][LIMIT_NAME_BYTES + 1];
};

static int identity_make(const struct node_config *config, struct identity *id, struct error *err)
{
    *id = (struct identity){.store_uri = config->store_uri};
    struct node *node = &id->node;
    host_identify(node);
    host_name(node->name);
    if (config->name != NULL) {
        if (!name_valid(config->name))
            return error_set(err, ERR_INVALID,
                             "node name '%.80s' is not 1 to %d of A-Z a-z 0-9 . _ -", config->name,
                             LIMIT_NAME_BYTES);
        snprintf(node->name, sizeof(node->name), "%s", config->name);
    }
    if (config->slots < 0 || config->slots > LIMIT_SLOTS)
        return error_set(err, ERR_LIMIT, "slots must be 1 to %d", LIMIT_SLOTS);
    if (config->lease_ms != 0 &&
        (config->lease_ms < LEASE_MS_MIN || config->lease_ms > LEASE_MS_MAX))
        return error_set(err, ERR_LIMIT, "a lease must be %d ms to %d s", LEASE_MS_MIN,
                         LEASE_MS_MAX / 1000);
    if (config->n_queues > LIMIT_QUEUES_SERVED)
        return error_set(err, ERR_LIMIT, "a node serves at most %d queues", LIMIT_QUEUES_SERVED);
    node->slots = config->slots > 0 ? config->slots : processors();
    node->lease_ms = config->lease_ms > 0 ? (int64_t)config->lease_ms : LEASE_MS_DEFAULT;
    for (size_t i = 0; i < config->n_queues; i++) {
        if (!name_valid(config->queues[i]))
            return error_set(err, ERR_INVALID, "queue name '%.80s' is not valid",
                             config->queues[i]);
        snprintf(id->queues[i], sizeof(id->queues[i]), "%s", config->queues[i]);
    }
    node->n_queues = config->n_queues;
    if (node->n_queues == 0)
        snprintf(id->queues[node->n_queues++], sizeof(id->queues[0]), "%s", QUEUE_DEFAULT);
    node->queues = id->queues;
    snprintf(id->types[0], sizeof(id->types[0]), "exec");
    snprintf(id->types[1], sizeof(id->types[1]), "noop");
    node->types = id->types;
    node->n_types = 2;
    return 0;
}

/* What the store needs of a program must be known to this one before it writes a word. */
static int features_check(const char *uri, struct error *err)
{
    struct datastore *ds;
    int rc = datastore_open(uri, DS_CREATE, &ds, err);
    if (rc < 0)
        return rc;
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_META_READ};
    rc = datastore_step(ds, &step, &mem, err);
    if (rc == 0 && (step.meta_read.ret_meta.features & ~(int64_t)FEATURES_KNOWN) != 0)
        rc = error_set(err, ERR_VERSION,
                       "the store at %s uses features this version of stint does not know: "
                       "install the newer version",
                       uri);
    arena_release(&mem);
    datastore_close(ds);
    return rc;
}

/* ---- what it says on stderr ------------------------------------------------------------------ */

static void started(void *ctx, const struct core_view *view)
{
    const struct identity *id = ctx;
    char store[LIMIT_PATH_BYTES];
    fprintf(stderr, "stint: node %s started: pid %d, %d slots, queues ", view->name, (int)getpid(),
            id->node.slots);
    for (size_t i = 0; i < id->node.n_queues; i++)
        fprintf(stderr, "%s%s", i > 0 ? "," : "", id->queues[i]);
    /* Without a password: logs are read by many. */
    fprintf(stderr, ", store %s\n", uri_redact(store, sizeof(store), id->store_uri));
}

static void over(void *ctx, const struct core_view *view)
{
    (void)ctx;
    fprintf(stderr,
            "stint: node %s ended: %" PRId64 " done, %" PRId64 " failed, %" PRId64
            " interrupted; %" PRIu64 " grants, %" PRIu64 " datastore steps\n",
            view->name, view->done, view->failed, view->interrupted, view->claims, view->steps);
}

/* ---- incarnations ---------------------------------------------------------------------------- */

/* The node is over: a late signal must not make a failure of it. */
static void signals_ignore(void)
{
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
}

static int incarnations(const struct loop_config *loop, struct identity *id, struct error *err)
{
    bool stopped = false;
    unsigned fenced = 0;
    time_t span_start = time(NULL);
    for (;;) {
        id->node.id = random_id();
        struct error why = {0};
        enum core_phase phase = loop_run(loop, &stopped, &why);
        if (phase == CORE_STOPPED) {
            signals_ignore();
            return 0;
        }
        if (phase == CORE_FAILED) {
            *err = why;
            return why.code;
        }
        fprintf(stderr, "stint: it was fenced off (%s) and its jobs were ended%s\n", why.text,
                stopped ? "" : "; starting anew");
        if (stopped)
            return 0;
        if (time(NULL) - span_start > FENCED_SPAN_S) {
            span_start = time(NULL);
            fenced = 0;
        }
        if (++fenced >= FENCED_MAX)
            return error_set(err, ERR_REFUSED,
                             "fenced off %u times within %d s: is the lease of %lld ms too short "
                             "for this machine or its datastore?",
                             fenced, FENCED_SPAN_S, (long long)id->node.lease_ms);
    }
}

int node_main(const struct node_config *config, struct error *err)
{
    struct identity id;
    struct reaper *reaper = NULL;
    struct async *async = NULL;
    char *uri = strdup(config->store_uri);
    int rc = uri != NULL ? identity_make(config, &id, err) : ERR_NO_MEMORY;
    if (rc < 0)
        goto out;
    /* What is freed goes back to the system: a node stays small after large jobs, too. */
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
    mallopt(M_TRIM_THRESHOLD, LARGE_BYTES);
    signal(SIGPIPE, SIG_IGN);
    rc = reaper_start(&reaper, err);
    if (rc < 0)
        goto out;
    rc = features_check(uri, err);
    if (rc < 0)
        goto out;
    /* A step that fails leaves time for another before the lease is over. */
    struct opening opening = {uri, (uint32_t)((uint64_t)id.node.lease_ms * 3 / 5)};
    rc = async_start(open_store, &opening, &async, err);
    if (rc < 0)
        goto out;
    snprintf(id.node.doorbell, sizeof(id.node.doorbell), "%s", async_doorbell(async));
    bool unsure = async_wake_fd(async) < 0 || id.node.doorbell[0] != '\0';
    struct loop_config loop = {
        .core = {.identity = &id.node,
                 .name_fixed = config->name != NULL,
                 .stop_timeout_ms = config->stop_timeout_ms != UINT64_MAX ? config->stop_timeout_ms
                                                                          : STOP_TIMEOUT_MS_DEFAULT,
                 .kill_grace_ms = KILL_GRACE_MS,
                 .hole_grace_ms = HOLE_GRACE_MS,
                 .look_ms = unsure ? LOOK_UNWOKEN_MS : LOOK_MS,
                 .wake_unsure = unsure},
        .async = async,
        .reaper = reaper,
        .started = started,
        .over = over,
        .ctx = &id,
    };
    rc = incarnations(&loop, &id, err);
out:
    if (async != NULL)
        async_stop(async);
    reaper_stop(reaper);
    free(uri);
    return rc;
}
