/* What a version of a node's record costs where it is written: the same write of the record, a
 * commit of its own each time, with a version beside it and without, in turn.
 *
 *   history_cost URI WRITES
 *
 * A node writes one version a second at most, so the difference is what the history takes of a
 * second. Prints one JSON line: medians of both in microseconds, and bytes of a version. One
 * thread. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "datastore/datastore.h"
#include "node/history.h"

enum { WRITES_MAX = 100000, RANGES = 4, RUNNING = 8, LANES = 4 };

struct worker {
    struct node node;
    struct node_range ranges[RANGES];
    struct node_running running[RUNNING];
    struct history_lane lanes[LANES];
    struct history *history;
    int64_t now_ms;
    size_t bytes; /* of all versions */
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "history_cost: %s: %s\n", what, why);
    exit(1);
}

static double now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void worker_begin(struct worker *worker, struct datastore *ds)
{
    struct arena mem = {0};
    struct error err = {0};
    worker->node = (struct node){.id = 4711,
                                 .name = "cost",
                                 .host = "here",
                                 .version = "0.1.0",
                                 .slots = RUNNING,
                                 .lease_ms = 10000,
                                 .state = NODE_WORKING,
                                 .ranges = worker->ranges,
                                 .n_ranges = RANGES,
                                 .running = worker->running,
                                 .n_running = RUNNING};
    worker->history = history_new();
    worker->now_ms = (int64_t)time(NULL) * 1000;
    struct ds_step step = {.kind = DS_NODE_ADD, .node_add = {.node = &worker->node}};
    if (datastore_step(ds, &step, &mem, &err) != 0)
        die("the node", err.text);
    arena_release(&mem);
}

/* All that changes in a busy second has changed. */
static void second_pass(struct worker *worker)
{
    int64_t n = (int64_t)worker->node.beat++;
    worker->now_ms += HISTORY_GAP_MS_MIN;
    worker->node.done += 100000;
    worker->node.rate = (double)(100000 + n % 1000);
    for (int i = 0; i < RANGES; i++) {
        int64_t a = id_make(i, 1 + n * 4096);
        worker->ranges[i].range = (struct range){a, a + 4096, false};
        worker->lanes[i] = (struct history_lane){i, a + 4096, a + 1000000, NULL, 0};
    }
    for (int i = 0; i < RUNNING; i++)
        worker->running[i] = (struct node_running){.id = worker->ranges[0].range.a + i, .run = 1};
}

/* Returns what the commit took, in us. */
static double write_record(struct worker *worker, struct datastore *ds, bool version)
{
    struct history_row row;
    struct ds_step steps[2] = {{.kind = DS_NODE_WRITE, .node_write = {.node = &worker->node}}};
    struct ds_run run = {.steps = steps, .n_steps = 1};
    second_pass(worker);
    double began_us = now_us();
    if (version && history_version(worker->history, &worker->node, worker->lanes, LANES,
                                   worker->now_ms, &row, &run.mem)) {
        steps[1] = (struct ds_step){.kind = DS_HISTORY_ADD, .history_add = {.rows = &row, .n = 1}};
        history_thin(worker->history, worker->now_ms, &steps[1].history_add.thin_before_ms,
                     &steps[1].history_add.drop_before_ms);
        run.n_steps = 2;
        worker->bytes += row.body.len;
    }
    if (datastore_run(ds, &run) != 0)
        die("a write", run.err.text);
    double took_us = now_us() - began_us;
    arena_release(&run.mem);
    return took_us;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median(double *values, long n)
{
    qsort(values, (size_t)n, sizeof(*values), compare);
    return values[n / 2];
}

int main(int argc, char **argv)
{
    char *end = NULL;
    errno = 0;
    long n = argc == 3 ? strtol(argv[2], &end, 10) : 0;
    if (errno != 0 || end == NULL || *end != '\0' || n < 1 || n > WRITES_MAX) {
        fputs("usage: history_cost URI WRITES\n", stderr);
        return 2;
    }
    struct worker worker = {0};
    struct datastore *ds;
    struct error err = {0};
    if (datastore_open(argv[1], DS_CREATE, &ds, &err) != 0)
        die(argv[1], err.text);
    double *with = calloc((size_t)n, sizeof(*with)), *without = calloc((size_t)n, sizeof(*with));
    if (with == NULL || without == NULL)
        die("memory", "none left");
    worker_begin(&worker, ds);
    for (long i = 0; i < n; i++) {
        with[i] = write_record(&worker, ds, true);
        without[i] = write_record(&worker, ds, false);
    }
    printf("{\"with_us\":%.1f,\"without_us\":%.1f,\"version_bytes\":%.0f}\n", median(with, n),
           median(without, n), (double)worker.bytes / (double)n);
    free(with);
    free(without);
    history_free(worker.history);
    datastore_close(ds);
    return 0;
}
