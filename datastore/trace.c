/* The tracing datastore: one line a step, for whoever asks what a node says to its store.
 *
 * A kind without a line of its own in `tell` shows its name and code only. Thread: the handle's. */
#include "datastore/trace.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

struct trace {
    struct datastore base;
    struct datastore *inner;
    FILE *out;
};

/* Lane and sequences, half-open: "0:[1,11)". */
static void tell_range(FILE *out, struct range r)
{
    if (r.a >= r.b)
        fprintf(out, " []");
    else
        fprintf(out, " %" PRId32 ":[%" PRId64 ",%" PRId64 ")%s", id_lane(r.a), id_seq(r.a),
                id_seq(r.a) + range_count(r), r.suspect ? " suspect" : "");
}

static void tell_id(FILE *out, int64_t id)
{
    fprintf(out, " %" PRId32 ":%" PRId64, id_lane(id), id_seq(id));
}

static void tell_reserve(FILE *out, const struct ds_step *step)
{
    const struct ds_reserve *s = &step->reserve;
    fprintf(out, " lane=%" PRId32 " count=%" PRId64, s->lane, s->count);
    if (step->rc == 0)
        tell_id(out, s->ret_first);
}

static void tell_insert(FILE *out, const struct ds_step *step)
{
    const struct ds_insert *s = &step->insert;
    fprintf(out, " jobs=%zu%s", s->n_jobs, s->from_reserve ? " from_reserve" : "");
    if (!s->from_reserve && s->n_jobs > 0)
        tell_id(out, s->jobs[0].id);
}

static void tell_claim(FILE *out, const struct ds_step *step)
{
    const struct ds_claim *s = &step->claim;
    fprintf(out, " lane=%" PRId32 " node=%" PRId64 " g=%" PRIu64 " want=%" PRId64, s->lane, s->node,
            s->g, s->want);
    if (step->rc == 0)
        tell_range(out, s->ret_range);
}

static void tell_give_back(FILE *out, const struct ds_step *step)
{
    const struct ds_give_back *s = &step->give_back;
    fprintf(out, " lane=%" PRId32 " node=%" PRId64 " r=%" PRIu64 "%s", s->lane, s->node, s->r,
            s->clear_holder ? " clear_holder" : "");
    for (size_t i = 0; i < s->n_ranges; i++)
        tell_range(out, s->ranges[i]);
}

static void tell_entry_drop(FILE *out, const struct ds_step *step)
{
    const struct ds_entry_drop *s = &step->entry_drop;
    fprintf(out, " lane=%" PRId32 " node=%" PRId64 " g=%" PRIu64, s->lane, s->node, s->g);
}

static void tell_lane_bury(FILE *out, const struct ds_step *step)
{
    const struct ds_lane_bury *s = &step->lane_bury;
    fprintf(out, " lane=%" PRId32 " node=%" PRId64 " g=%" PRIu64 " r=%" PRIu64, s->lane,
            s->expect.node, s->expect.g, s->expect.r);
    for (size_t i = 0; i < s->n_estate; i++)
        tell_range(out, s->estate[i]);
}

static void tell_node_add(FILE *out, const struct ds_step *step)
{
    const struct node *node = step->node_add.node;
    fprintf(out, " node=%" PRId64 " name=%s", node->id, node->name);
}

static void tell_node_write(FILE *out, const struct ds_step *step)
{
    const struct ds_node_write *s = &step->node_write;
    fprintf(out, " node=%" PRId64 " beat=%" PRIu64 " ranges=%zu running=%zu%s%s", s->node->id,
            s->node->beat, s->node->n_ranges, s->node->n_running, s->accept ? " accept" : "",
            step->rc == ERR_CONFLICT && s->ret_dead ? " dead" : "");
}

static void tell_node_ask(FILE *out, const struct ds_step *step)
{
    const struct ds_node_ask *s = &step->node_ask;
    fprintf(out, " node=%" PRId64, s->node);
    if (s->set_desired)
        fprintf(out, " desired=%d", (int)s->desired);
    if (s->add_request) {
        fprintf(out, " request=%d", (int)s->request.kind);
        tell_id(out, s->request.id);
    }
}

static void tell_node_kill(FILE *out, const struct ds_step *step)
{
    const struct ds_node_kill *s = &step->node_kill;
    fprintf(out, " node=%" PRId64 " beat=%" PRIu64 " cause='%s'", s->node, s->beat, s->cause);
}

static void tell_node_clear(FILE *out, const struct ds_step *step)
{
    fprintf(out, " node=%" PRId64 " lane=%" PRId32, step->node_clear.node, step->node_clear.lane);
}

static void tell_node_delete(FILE *out, const struct ds_step *step)
{
    fprintf(out, " node=%" PRId64, step->node_delete.node);
}

static void tell_load(FILE *out, const struct ds_step *step)
{
    tell_range(out, step->load.range);
    if (step->rc == 0)
        fprintf(out, " rows=%zu", step->load.ret_n);
}

static void tell_finish(FILE *out, const struct ds_step *step)
{
    static const char *const kinds[] = {"done", "failed", "retry", "interrupted"};
    const struct ds_finish *s = &step->finish;
    for (size_t i = 0; i < s->n; i++) {
        const struct outcome *outcome = &s->outcomes[i];
        tell_id(out, outcome->id);
        fprintf(out, "+%" PRIu32 " %s run=%" PRId32, outcome->count, kinds[outcome->kind],
                outcome->run);
        if (step->rc == 0)
            fprintf(out, " accepted=%" PRIu32, outcome->ret_accepted);
    }
}

static void tell_cancel(FILE *out, const struct ds_step *step)
{
    tell_id(out, step->cancel.id);
}

static void tell_scan(FILE *out, const struct ds_step *step)
{
    const struct ds_scan *s = &step->scan;
    if (s->batch != NULL)
        fprintf(out, " batch=%s", s->batch);
    else
        tell_range(out, s->range);
    if (step->rc == 0)
        fprintf(out, " missing=%" PRId64 "%s", s->ret_missing, s->ret_stopped ? " stopped" : "");
}

static void tell_stints_add(FILE *out, const struct ds_step *step)
{
    for (size_t i = 0; i < step->stints_add.n; i++)
        tell_range(out, step->stints_add.rows[i].range);
}

static void (*const tell[DS_KINDS])(FILE *out, const struct ds_step *step) = {
    [DS_RESERVE] = tell_reserve,
    [DS_INSERT] = tell_insert,
    [DS_CLAIM] = tell_claim,
    [DS_RETURN] = tell_give_back,
    [DS_ENTRY_DROP] = tell_entry_drop,
    [DS_LANE_BURY] = tell_lane_bury,
    [DS_NODE_ADD] = tell_node_add,
    [DS_NODE_WRITE] = tell_node_write,
    [DS_NODE_ASK] = tell_node_ask,
    [DS_NODE_KILL] = tell_node_kill,
    [DS_NODE_CLEAR] = tell_node_clear,
    [DS_NODE_DELETE] = tell_node_delete,
    [DS_LOAD] = tell_load,
    [DS_FINISH] = tell_finish,
    [DS_CANCEL] = tell_cancel,
    [DS_SCAN] = tell_scan,
    [DS_STINTS_ADD] = tell_stints_add,
};

void trace_step(FILE *out, const struct ds_step *step)
{
    fputs(ds_kind_name(step->kind), out);
    if (tell[step->kind] != NULL)
        tell[step->kind](out, step);
    fprintf(out, " -> %d %s\n", step->rc, error_text(step->rc));
}

static void trace_run(struct datastore *ds, struct ds_run *const *runs, size_t n_runs)
{
    struct trace *trace = (struct trace *)ds;
    trace->inner->class->run(trace->inner, runs, n_runs);
    flockfile(trace->out);
    for (size_t r = 0; r < n_runs; r++)
        for (size_t i = 0; i < runs[r]->n_steps; i++)
            trace_step(trace->out, &runs[r]->steps[i]);
    funlockfile(trace->out);
}

static int trace_wake_fd(struct datastore *ds)
{
    struct datastore *inner = ((struct trace *)ds)->inner;
    return inner->class->wake_fd(inner);
}

static bool trace_wake_clear(struct datastore *ds)
{
    struct datastore *inner = ((struct trace *)ds)->inner;
    return inner->class->wake_clear(inner);
}

static const char *trace_doorbell(struct datastore *ds)
{
    return datastore_doorbell(((struct trace *)ds)->inner);
}

static void trace_close(struct datastore *ds)
{
    struct trace *trace = (struct trace *)ds;
    datastore_close(trace->inner);
    fflush(trace->out);
    free(trace);
}

static const struct datastore_class trace_class = {
    .name = "trace",
    .run = trace_run,
    .wake_fd = trace_wake_fd,
    .wake_clear = trace_wake_clear,
    .doorbell = trace_doorbell,
    .close = trace_close,
};

struct datastore *trace_wrap(struct datastore *inner, FILE *out)
{
    struct trace *trace = calloc(1, sizeof(*trace));
    assert(trace != NULL && inner != NULL);
    trace->base.class = &trace_class;
    trace->inner = inner;
    trace->out = out;
    return &trace->base;
}
