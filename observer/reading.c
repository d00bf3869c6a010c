/* One reading of the store (observer/reading.h): which steps it is, and what their answers come to.
 * In one place, so that whatever shows the cluster shows the same one. Thread: the caller's. */
#include "observer/reading.h"

#include "datastore/error.h"

/* Sums before nodes: a range that ended is summed up in the run in which its node drops it, and who
 * has seen the sums change must not find it held. */
enum { TOTALS, NODES, LANES, QUEUES };

static const int64_t window_ms = 60000; /* nothing is known of it yet */
static const size_t bytes_max = SIZE_MAX / 4;

void reading_ask(struct ds_step steps[READING_STEPS], bool all)
{
    steps[NODES] = (struct ds_step){.kind = DS_NODES_READ, .nodes_read = {.live_only = !all}};
    steps[LANES] = (struct ds_step){.kind = DS_LANES_READ, .lanes_read = {.lane = -1}};
    steps[QUEUES] = (struct ds_step){.kind = DS_QUEUES_READ};
    steps[TOTALS] = (struct ds_step){
        .kind = DS_STINTS_READ,
        .stints_read = {.lane = -1, .totals_only = true, .rows_max = LIMIT_LANES},
    };
}

struct past_reading reading_of(const struct ds_step steps[READING_STEPS], int64_t ours_ms)
{
    const struct ds_nodes_read *nodes = &steps[NODES].nodes_read;
    struct past_reading reading = {
        .at_ms = ours_ms,
        .nodes = nodes->ret_nodes,
        .n_nodes = nodes->ret_n,
        .lanes = steps[LANES].lanes_read.ret_lanes,
        .n_lanes = steps[LANES].lanes_read.ret_n,
        .queues = steps[QUEUES].queues_read.ret_queues,
        .n_queues = steps[QUEUES].queues_read.ret_n,
        .totals = steps[TOTALS].stints_read.ret_rows,
        .n_totals = steps[TOTALS].stints_read.ret_n,
        .all = !nodes->live_only,
    };
    for (size_t i = 0; i < nodes->ret_n; i++)
        if (nodes->ret_nodes[i].state != NODE_DEAD && nodes->ret_nodes[i].beat_ms > reading.at_ms)
            reading.at_ms = nodes->ret_nodes[i].beat_ms;
    return reading;
}

int reading_now(struct datastore *ds, int64_t ours_ms, struct past **ret_past,
                const struct moment **ret_moment, bool *ret_whole, struct error *err)
{
    struct ds_step steps[READING_STEPS];
    struct ds_run run = {.steps = steps, .n_steps = READING_STEPS};
    reading_ask(steps, false);
    int rc = datastore_run(ds, &run);
    if (rc < 0) {
        if (run.err.code != 0)
            *err = run.err;
        else
            error_set(err, rc, "%s", error_text(rc));
        arena_release(&run.mem);
        return rc;
    }
    struct past *past = past_new("", bytes_max);
    struct past_reading reading = reading_of(steps, ours_ms);
    *ret_whole = past_add_reading(past, &reading);
    arena_release(&run.mem);
    *ret_moment = past_moment(past, reading.at_ms, window_ms, 0, true);
    *ret_past = past;
    return 0;
}
