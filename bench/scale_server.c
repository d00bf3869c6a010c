/* What the steps that matter at scale cost on a server: what tests/sim/scale.c takes its model of a
 * datastore from, and how that grows with the nodes there are.
 *
 *   scale_server URI NODES [CLIENTS]
 *
 * Makes NODES node records and as many entries in one lane, then times steps by one client, and
 * claims by CLIENTS at once on that one record. Prints one JSON object; times are in microseconds a
 * step. The URI names a database of its own. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "datastore/datastore.h"

enum { CLIENTS_MAX = 16, CLAIMS_EACH = 100, TIMED_MS = 1500, JOBS = 10000 };

static const int64_t first_node = INT64_C(5000000000000000000);

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "scale_server: %s: %s\n", what, why);
    exit(1);
}

static struct datastore *store_open(const char *uri)
{
    struct datastore *ds;
    struct error err = {0};
    if (datastore_open(uri, DS_CREATE, &ds, &err) < 0)
        die(uri, err.text);
    return ds;
}

static void step_must(struct datastore *ds, struct ds_step *step)
{
    struct arena mem = {0};
    struct error err = {0};
    int rc = datastore_step(ds, step, &mem, &err);
    if (rc != 0)
        die(ds_kind_name(step->kind), err.code != 0 ? err.text : error_text(rc));
    arena_release(&mem);
}

static struct node node_of(int64_t number, uint64_t beat)
{
    static char queues[][LIMIT_NAME_BYTES + 1] = {QUEUE_DEFAULT};
    static char types[][LIMIT_NAME_BYTES + 1] = {"exec", "noop"};
    static struct node_range range = {.range = {.a = 1, .b = 1001}};
    static struct node_grant grant = {.g = 1000};
    struct node node = {.id = first_node + number,
                        .boot_id = "01234567-89ab-cdef-0123-456789abcdef",
                        .version = "0.1.0",
                        .slots = 2,
                        .lease_ms = 5000,
                        .queues = queues,
                        .n_queues = 1,
                        .types = types,
                        .n_types = 2,
                        .ranges = &range,
                        .n_ranges = 1,
                        .granted = &grant,
                        .n_granted = 1,
                        .state = NODE_WORKING,
                        .doorbell = "192.168.100.100:40000/0123456789abcdef",
                        .beat = beat};
    snprintf(node.name, sizeof(node.name), "node%" PRId64, number);
    snprintf(node.host, sizeof(node.host), "host%" PRId64, number);
    return node;
}

static void lane_fill(struct datastore *ds, int64_t jobs)
{
    const char *types[] = {"noop"};
    for (; jobs > 0; jobs -= LIMIT_BATCH_JOBS) {
        struct ds_step step = {
            .kind = DS_RESERVE,
            .reserve = {.count = LIMIT_BATCH_JOBS, .types = types, .n_types = 1}};
        step_must(ds, &step);
    }
}

static struct ds_step claim_of(int64_t number, uint64_t g)
{
    return (struct ds_step){
        .kind = DS_CLAIM,
        .claim = {.node = first_node + number, .g = g, .make_entry = g == 0, .want = 1}};
}

/* The mean of a step repeated for a while. */
static double timed(struct datastore *ds, struct ds_step (*make)(int64_t n), int64_t *n)
{
    double from = now_us(), until = from + TIMED_MS * 1e3;
    int64_t count = 0;
    for (; now_us() < until; count++) {
        struct ds_step step = make((*n)++);
        step_must(ds, &step);
    }
    return (now_us() - from) / (double)count;
}

static struct ds_step meta_read(int64_t n)
{
    (void)n;
    return (struct ds_step){.kind = DS_META_READ};
}

static struct ds_step look(int64_t n)
{
    (void)n;
    return (struct ds_step){.kind = DS_LANES_READ, .lanes_read = {.lane = -1}};
}

static struct ds_step own_look(int64_t n)
{
    (void)n;
    return (struct ds_step){.kind = DS_LANES_READ,
                            .lanes_read = {.lane = -1, .entries_of = first_node}};
}

static struct ds_step ring(int64_t n)
{
    return (struct ds_step){.kind = DS_NODES_READ,
                            .nodes_read = {.live_only = true, .after = first_node + n, .max = 8}};
}

static struct ds_step peers(int64_t n)
{
    (void)n;
    return (struct ds_step){.kind = DS_NODES_READ, .nodes_read = {.live_only = true}};
}

static struct ds_step one_node(int64_t n)
{
    (void)n;
    return (struct ds_step){.kind = DS_NODES_READ, .nodes_read = {.node = first_node}};
}

static struct ds_step beat(int64_t n)
{
    static struct node node;
    node = node_of(0, 2 + (uint64_t)n);
    return (struct ds_step){.kind = DS_NODE_WRITE, .node_write = {.node = &node}};
}

static struct ds_step claim(int64_t n)
{
    return claim_of(0, 1 + (uint64_t)n);
}

struct client {
    pthread_t thread;
    struct datastore *ds;
    int64_t number;
};

static void *claims(void *ctx)
{
    struct client *client = ctx;
    for (uint64_t i = 0; i < CLAIMS_EACH; i++) {
        struct ds_step step = claim_of(client->number, 1 + i);
        step_must(client->ds, &step);
    }
    return NULL;
}

static double together(const char *uri, int64_t n)
{
    struct client clients[CLIENTS_MAX];
    for (int64_t i = 0; i < n; i++)
        clients[i] = (struct client){.ds = store_open(uri), .number = 1 + i};
    double from = now_us();
    for (int64_t i = 0; i < n; i++)
        if (pthread_create(&clients[i].thread, NULL, claims, &clients[i]) != 0)
            die("thread", "cannot be started");
    for (int64_t i = 0; i < n; i++)
        pthread_join(clients[i].thread, NULL);
    double took = now_us() - from;
    for (int64_t i = 0; i < n; i++)
        datastore_close(clients[i].ds);
    return took / (double)(n * CLAIMS_EACH);
}

int main(int argc, char **argv)
{
    int64_t nodes = argc > 2 ? strtoll(argv[2], NULL, 10) : 0;
    int64_t clients = argc > 3 ? strtoll(argv[3], NULL, 10) : 8;
    if (argc < 3 || nodes < 1 || nodes > LIMIT_NODES || clients < 1 || clients > CLIENTS_MAX ||
        clients >= nodes)
        die("usage", "scale_server URI NODES [CLIENTS], CLIENTS < NODES");
    struct datastore *ds = store_open(argv[1]);
    int64_t zero = 0, one = 0, beats = 0, grants = 0;
    lane_fill(ds, nodes + JOBS);
    for (int64_t i = 0; i < nodes; i++) {
        struct node node = node_of(i, 1);
        struct ds_step add = {.kind = DS_NODE_ADD, .node_add = {.node = &node}};
        struct ds_step grant = claim_of(i, 0);
        step_must(ds, &add);
        step_must(ds, &grant);
    }
    printf("{\"nodes\":%" PRId64 ",\"meta_read_us\":%.0f", nodes, timed(ds, meta_read, &zero));
    printf(",\"node_read_us\":%.0f", timed(ds, one_node, &one));
    printf(",\"node_write_us\":%.0f", timed(ds, beat, &beats));
    printf(",\"lanes_read_us\":%.0f", timed(ds, look, &zero));
    printf(",\"own_look_us\":%.0f", timed(ds, own_look, &zero));
    zero = 0;
    printf(",\"ring_us\":%.0f", timed(ds, ring, &zero));
    printf(",\"nodes_read_us\":%.0f", timed(ds, peers, &zero));
    printf(",\"claim_us\":%.0f", timed(ds, claim, &grants));
    printf(",\"claim_us_%" PRId64 "_clients\":%.0f}\n", clients, together(argv[1], clients));
    datastore_close(ds);
    return 0;
}
