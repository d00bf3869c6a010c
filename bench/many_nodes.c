/* What many busy nodes write, without the nodes: for measuring who looks at them.
 *
 *   many_nodes URI NODES LANES SECONDS PAST_S
 *
 * Each node writes its record once a second, as a node does: a finished range dropped, another
 * claimed, jobs named that run, a version for the history. The time before, PAST_S seconds of it,
 * is written first as fast as it can be; then it prints `ready` and goes on by the clock for
 * SECONDS. All through the datastore contract; there are ids, but no rows of jobs. One thread. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "datastore/datastore.h"
#include "node/history.h"

enum {
    NODES_MAX = 1000,
    LANES_MAX = 16,
    SECONDS_MAX = 3600,
    PER_S = 10, /* commits a second: a tenth of the nodes in each */
    RANGE = 50, /* ids of a range, about a second's work */
    HELD = 3,
    SLOTS = 4,
};

struct worker {
    struct node node;
    struct history *history;
    struct node_range ranges[HELD + 1];
    struct node_running running[SLOTS];
    struct node_grant granted[LANES_MAX]; /* g 0: nothing from that lane yet */
    struct ds_step steps[5];
    struct stint_row stint;
    struct history_row version;
    struct ds_run run;
};

struct fleet {
    struct datastore *ds;
    long n_nodes, n_lanes;
    struct worker *workers;
    struct history_lane lanes[LANES_MAX];
    int64_t now_ms; /* as the history is told */
    int64_t turn;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "many_nodes: %s: %s\n", what, why);
    exit(1);
}

static int64_t utc_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void step_do(struct fleet *fleet, struct ds_step *step, const char *what)
{
    struct arena mem = {0};
    struct error err = {0};
    int rc = datastore_step(fleet->ds, step, &mem, &err);
    if (rc != 0)
        die(what, err.code != 0 ? err.text : error_text(rc));
    arena_release(&mem);
}

static void lanes_begin(struct fleet *fleet)
{
    for (long i = 0; i < fleet->n_lanes; i++) {
        struct ds_step step = {.kind = DS_LANE_OPEN, .lane_open = {.name = {.priority = 5}}};
        snprintf(step.lane_open.name.queue, sizeof(step.lane_open.name.queue),
                 i == 0 ? "default" : "queue%ld", i);
        step_do(fleet, &step, "a lane");
        int32_t lane = step.lane_open.ret_lane;
        fleet->lanes[i] = (struct history_lane){lane, id_make(lane, 1), id_make(lane, 1), NULL, 0};
    }
}

static void workers_begin(struct fleet *fleet)
{
    for (long i = 0; i < fleet->n_nodes; i++) {
        struct worker *worker = &fleet->workers[i];
        struct node *node = &worker->node;
        for (long k = 0; k < fleet->n_lanes; k++)
            worker->granted[k].lane = fleet->lanes[k].lane;
        *node = (struct node){.id = 1000003 * (i + 1),
                              .pid = i + 1,
                              .ranges = worker->ranges,
                              .granted = worker->granted,
                              .n_granted = (size_t)fleet->n_lanes,
                              .running = worker->running,
                              .slots = SLOTS,
                              .lease_ms = 10000,
                              .state = NODE_WORKING,
                              .created_ms = fleet->now_ms,
                              .since_ms = fleet->now_ms};
        snprintf(node->name, sizeof(node->name), "node%03ld", i);
        snprintf(node->host, sizeof(node->host), "box%ld", i / 4);
        snprintf(node->version, sizeof(node->version), "0.1.0");
        worker->history = history_new();
        struct ds_step step = {.kind = DS_NODE_ADD, .node_add = {.node = node}};
        step_do(fleet, &step, "a node");
    }
}

/* The oldest range has ended: it leaves the record and is summed up. */
static void finish(const struct fleet *fleet, struct worker *worker)
{
    struct node *node = &worker->node;
    int64_t ids = range_count(node->ranges[0].range);
    int64_t failed = node->ranges[0].range.a % 997 < RANGE ? 1 : 0;
    worker->stint = (struct stint_row){.range = node->ranges[0].range,
                                       .node = node->id,
                                       .done = ids - failed,
                                       .failed = failed,
                                       .first_start_ms = fleet->now_ms - 1000,
                                       .last_finish_ms = fleet->now_ms};
    node->done += ids - failed;
    node->failed += failed;
    memmove(node->ranges, node->ranges + 1, --node->n_ranges * sizeof(*node->ranges));
    worker->steps[worker->run.n_steps++] =
        (struct ds_step){.kind = DS_STINTS_ADD, .stints_add = {.rows = &worker->stint, .n = 1}};
}

static void record_make(struct worker *worker)
{
    struct node *node = &worker->node;
    node->n_running = 0;
    node->beat++;
    node->rate = RANGE - (double)(node->id % 7) + (double)(node->beat % 13);
    for (int64_t i = 0; node->n_ranges > 0 && i < SLOTS; i++) {
        struct node_running *running = &worker->running[node->n_running++];
        *running = (struct node_running){.id = node->ranges[0].range.a + i, .run = 1};
        snprintf(running->type, sizeof(running->type), "exec");
    }
}

/* One node's second, as a run: not carried out yet. */
static void turn_make(struct fleet *fleet, struct worker *worker, long number)
{
    struct node *node = &worker->node;
    worker->run = (struct ds_run){.steps = worker->steps};
    if (node->n_ranges == HELD)
        finish(fleet, worker);
    long lane = (number + (long)node->beat / 20) % fleet->n_lanes;
    worker->steps[worker->run.n_steps++] = (struct ds_step){
        .kind = DS_CLAIM,
        .claim = {.lane = fleet->lanes[lane].lane,
                  .node = node->id,
                  .g = worker->granted[lane].g,
                  .make_entry = worker->granted[lane].g == 0,
                  .want = RANGE},
    };
    record_make(worker);
    worker->steps[worker->run.n_steps++] =
        (struct ds_step){.kind = DS_NODE_WRITE, .node_write = {.node = node, .accept = true}};
    if (history_version(worker->history, node, fleet->lanes, (size_t)fleet->n_lanes, fleet->now_ms,
                        &worker->version, &worker->run.mem) == 0)
        return;
    struct ds_step *step = &worker->steps[worker->run.n_steps++];
    *step =
        (struct ds_step){.kind = DS_HISTORY_ADD, .history_add = {.rows = &worker->version, .n = 1}};
    history_thin(worker->history, fleet->now_ms, &step->history_add.thin_before_ms,
                 &step->history_add.drop_before_ms);
}

static void turn_take(struct fleet *fleet, struct worker *worker)
{
    if (ds_run_code(&worker->run) != 0)
        die("a node's turn", worker->run.err.code != 0 ? worker->run.err.text
                                                       : error_text(ds_run_code(&worker->run)));
    for (size_t i = 0; i < worker->run.n_steps; i++) {
        const struct ds_claim *claim = &worker->steps[i].claim;
        if (worker->steps[i].kind != DS_CLAIM || range_count(claim->ret_range) == 0)
            continue;
        for (long k = 0; k < fleet->n_lanes; k++)
            if (fleet->lanes[k].lane == claim->lane) {
                worker->granted[k].g = claim->g + 1;
                fleet->lanes[k].head = claim->ret_range.b;
            }
        worker->ranges[worker->node.n_ranges++] = (struct node_range){claim->ret_range, 0};
    }
    arena_release(&worker->run.mem);
}

/* Ids for some seconds more in each lane, now and then. */
static void submit(struct fleet *fleet)
{
    for (long i = 0; i < fleet->n_lanes; i++) {
        struct ds_step step = {
            .kind = DS_RESERVE,
            .reserve = {.lane = fleet->lanes[i].lane, .count = LIMIT_BATCH_JOBS}};
        if (fleet->lanes[i].tail - fleet->lanes[i].head > RANGE * fleet->n_nodes * 10)
            continue;
        step_do(fleet, &step, "ids");
        fleet->lanes[i].tail = step.reserve.ret_first + LIMIT_BATCH_JOBS;
    }
}

/* A tenth of a second: every tenth node, all in one commit. */
static void tick(struct fleet *fleet)
{
    struct ds_run *runs[NODES_MAX];
    size_t n = 0;
    long first = (long)(fleet->turn++ % PER_S);
    submit(fleet);
    for (long i = first; i < fleet->n_nodes; i += PER_S) {
        turn_make(fleet, &fleet->workers[i], i);
        runs[n++] = &fleet->workers[i].run;
    }
    if (n > 0)
        fleet->ds->class->run(fleet->ds, runs, n);
    for (long i = first; i < fleet->n_nodes; i += PER_S)
        turn_take(fleet, &fleet->workers[i]);
}

static void live(struct fleet *fleet, long seconds)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    for (long i = 0; i < seconds * PER_S; i++) {
        fleet->now_ms = utc_ms();
        tick(fleet);
        at.tv_nsec += 1000000000 / PER_S;
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {
        }
    }
}

/* Returns the number in `text`, or -1. */
static long parse(const char *text, long min, long max)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    return errno != 0 || end == text || *end != '\0' || number < min || number > max ? -1 : number;
}

int main(int argc, char **argv)
{
    struct fleet fleet = {0};
    struct error err = {0};
    fleet.n_nodes = argc == 6 ? parse(argv[2], 1, NODES_MAX) : -1;
    fleet.n_lanes = argc == 6 ? parse(argv[3], 1, LANES_MAX) : -1;
    long seconds = argc == 6 ? parse(argv[4], 0, SECONDS_MAX) : -1;
    long past_s = argc == 6 ? parse(argv[5], 0, SECONDS_MAX) : -1;
    if (fleet.n_nodes < 0 || fleet.n_lanes < 0 || seconds < 0 || past_s < 0) {
        fputs("usage: many_nodes URI NODES LANES SECONDS PAST_S\n", stderr);
        return 2;
    }
    if (datastore_open(argv[1], DS_CREATE, &fleet.ds, &err) != 0)
        die(argv[1], err.text);
    fleet.workers = calloc((size_t)fleet.n_nodes, sizeof(*fleet.workers));
    if (fleet.workers == NULL)
        die("memory", strerror(errno));
    int64_t began_ms = utc_ms() - past_s * 1000;
    fleet.now_ms = began_ms;
    lanes_begin(&fleet);
    workers_begin(&fleet);
    for (long i = 0; i < past_s * PER_S; i++) {
        fleet.now_ms = began_ms + i * 1000 / PER_S;
        tick(&fleet);
    }
    puts("ready");
    fflush(stdout);
    live(&fleet, seconds);
    for (long i = 0; i < fleet.n_nodes; i++)
        history_free(fleet.workers[i].history);
    free(fleet.workers);
    datastore_close(fleet.ds);
    return 0;
}
