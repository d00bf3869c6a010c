/* Makes a store that looks as if it had been in use for long, for measuring what opens it: finished
 * jobs as the sums of their ranges (the rows of the jobs themselves are left out), and versions of
 * nodes over the last hours.
 *
 *   old_store URI JOBS JOBS_OF_A_RANGE NODES HOURS
 *
 * Through the datastore's steps, so on any store. Prints what it made. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "datastore/datastore.h"
#include "node/history.h"

enum { PAGE = 1000, LANE = 0, NODE_BASE = 1000 };

static struct datastore *ds;

static void step_run(struct ds_step *step)
{
    struct error err = {0};
    struct arena mem = {0};
    int rc = datastore_step(ds, step, &mem, &err);
    if (rc < 0) {
        fprintf(stderr, "old_store: %s: %s\n", ds_kind_name(step->kind),
                err.code != 0 ? err.text : error_text(rc));
        exit(1);
    }
    arena_release(&mem);
}

/* Ids handed out and granted; the node that had them is gone. */
static void ids_use(int64_t jobs)
{
    uint64_t g = 0;
    for (int64_t left = jobs; left > 0; left -= LIMIT_BATCH_JOBS)
        step_run(&(struct ds_step){
            .kind = DS_RESERVE,
            .reserve = {.lane = LANE, .count = left < LIMIT_BATCH_JOBS ? left : LIMIT_BATCH_JOBS}});
    for (int64_t left = jobs; left > 0; left -= LIMIT_GRANT_JOBS, g++)
        step_run(&(struct ds_step){.kind = DS_CLAIM,
                                   .claim = {.lane = LANE,
                                             .node = NODE_BASE,
                                             .g = g,
                                             .make_entry = g == 0,
                                             .want = LIMIT_GRANT_JOBS}});
    step_run(&(struct ds_step){.kind = DS_ENTRY_DROP,
                               .entry_drop = {.lane = LANE, .node = NODE_BASE, .g = g}});
}

static void ranges_add(int64_t jobs, int64_t of_a_range, int64_t now_ms)
{
    static struct stint_row rows[PAGE];
    size_t n = 0;
    for (int64_t a = 1; a <= jobs; a += of_a_range) {
        int64_t b = a + of_a_range <= jobs ? a + of_a_range : jobs + 1;
        int64_t at_ms = now_ms - (jobs - b) - 10000;
        rows[n++] = (struct stint_row){.range = {id_make(LANE, a), id_make(LANE, b), false},
                                       .node = NODE_BASE + a % 7,
                                       .done = b - a - (a % 1009 == 0),
                                       .failed = a % 1009 == 0,
                                       .first_start_ms = at_ms - 1000,
                                       .last_finish_ms = at_ms};
        if (n < PAGE && b <= jobs)
            continue;
        step_run(&(struct ds_step){.kind = DS_STINTS_ADD, .stints_add = {.rows = rows, .n = n}});
        n = 0;
    }
}

/* A version a second in the last ten minutes, and one a minute before that. */
static int64_t versions_add(int64_t id, int hours, int64_t now_ms)
{
    struct node node = {.id = id, .slots = 8, .lease_ms = 6000, .created_ms = now_ms};
    struct node_range range = {.range = {0}};
    struct history *history = history_new();
    struct history_row rows[PAGE];
    struct arena mem = {0};
    size_t n = 0;
    int64_t made = 0, from_ms = now_ms - (int64_t)hours * 3600000;
    snprintf(node.name, sizeof(node.name), "old-%" PRId64, id - NODE_BASE);
    node.state = NODE_WORKING;
    node.ranges = &range;
    node.n_ranges = 1;
    for (int64_t at_ms = from_ms; at_ms < now_ms;) {
        range.range =
            (struct range){id_make(LANE, made * 10 + 1), id_make(LANE, made * 10 + 11), false};
        node.done += 10;
        node.beat_ms = at_ms;
        n += (size_t)history_version(history, &node, NULL, 0, at_ms, &rows[n], &mem);
        made++;
        at_ms += at_ms < now_ms - HISTORY_DELTAS_MS ? HISTORY_WHOLE_MS : HISTORY_GAP_MS_MIN;
        if (n == PAGE || at_ms >= now_ms) {
            step_run(
                &(struct ds_step){.kind = DS_HISTORY_ADD, .history_add = {.rows = rows, .n = n}});
            n = 0;
        }
    }
    arena_release(&mem);
    history_free(history);
    node.n_ranges = 0;
    node.beat = 1;
    step_run(&(struct ds_step){.kind = DS_NODE_ADD, .node_add = {.node = &node}});
    return made;
}

int main(int argc, char **argv)
{
    struct error err = {0};
    struct timespec now;
    if (argc != 6) {
        fprintf(stderr, "usage: old_store URI JOBS JOBS_OF_A_RANGE NODES HOURS\n");
        return 2;
    }
    int64_t jobs = strtoll(argv[2], NULL, 10), of_a_range = strtoll(argv[3], NULL, 10);
    int nodes = (int)strtol(argv[4], NULL, 10), hours = (int)strtol(argv[5], NULL, 10);
    if (jobs < 0 || of_a_range < 1 || nodes < 0 || hours < 0) {
        fprintf(stderr, "old_store: what is to be made?\n");
        return 2;
    }
    if (datastore_open(argv[1], DS_CREATE, &ds, &err) < 0) {
        fprintf(stderr, "old_store: %s\n", err.text);
        return 1;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000, versions = 0;
    if (jobs > 0) {
        ids_use(jobs);
        ranges_add(jobs, of_a_range, now_ms);
    }
    for (int i = 0; i < nodes; i++)
        versions += versions_add(NODE_BASE + 1 + i, hours, now_ms);
    printf("%" PRId64 " finished jobs in ranges of %" PRId64 ", %d nodes with %" PRId64
           " versions\n",
           jobs, of_a_range, nodes, versions);
    datastore_close(ds);
    return 0;
}
