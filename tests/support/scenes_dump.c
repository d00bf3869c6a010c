/* What a store holds as text, read step by step through a handle of its own (scenes.h). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/scenes.h"

static void read_step(struct scene *scene, struct ds_step *step)
{
    struct error err = {0};
    int rc = datastore_step(scene->reader, step, &scene->s->mem, &err);
    ck_assert_msg(rc == 0, "%s: %d %s", ds_kind_name(step->kind), rc, err.text);
}

static void dump_range(FILE *out, struct range range)
{
    fprintf(out, " [%" PRIx64 " %" PRIx64 "%s)", range.a, range.b, range.suspect ? " suspect" : "");
}

static void dump_chunks(struct scene *scene, FILE *out)
{
    struct ds_step step = {.kind = DS_SUBMIT_FIND, .submit_find.submit = "bulk"};
    read_step(scene, &step);
    for (size_t i = 0; i < step.submit_find.ret_n; i++) {
        const struct submit_chunk *chunk = &step.submit_find.ret_chunks[i];
        fprintf(out, "chunk %" PRId64 " at %" PRIx64 " count %" PRId64 "%s%s\n", chunk->index,
                chunk->id, chunk->count, chunk->last ? " last" : "", chunk->cut ? " cut" : "");
    }
}

static void dump_job(FILE *out, const struct job *job)
{
    fprintf(out,
            "job %" PRIx64 " %s run %d interruptions %d %s token %" PRId64 " node %" PRId64
            " payload %zu started %" PRId64 " due %" PRId64 " batch %s key %s",
            job->id, job_state_name(job->state), job->run, job->interruptions, job->type,
            job->token, job->node, job->payload.len, job->started_ms, job->due_ms,
            job->batch != NULL ? job->batch : "-",
            job->spec != NULL && job->spec->key != NULL ? job->spec->key : "-");
    if (job->ending != NULL)
        fprintf(out, " exit %d result %zu output %zu trace %zu", job->ending->exit_code,
                job->ending->result.len, job->ending->output.len, job->ending->n_trace);
    fputc('\n', out);
}

static void dump_jobs(struct scene *scene, FILE *out, const struct lane *lane)
{
    struct ds_step step = {
        .kind = DS_LOAD,
        .load = {.range = {.a = id_make(lane->number, 1), .b = lane->tail}, .rows_max = 1000}};
    while (step.load.range.a < step.load.range.b) {
        read_step(scene, &step);
        for (size_t i = 0; i < step.load.ret_n; i++)
            dump_job(out, &step.load.ret_jobs[i]);
        step.load.range.a = step.load.ret_next;
    }
}

static void dump_lanes(struct scene *scene, FILE *out, bool leaves)
{
    struct ds_step step = {.kind = DS_LANES_READ, .lanes_read.lane = -1};
    read_step(scene, &step);
    for (size_t i = 0; i < step.lanes_read.ret_n; i++) {
        const struct lane *lane = &step.lanes_read.ret_lanes[i];
        fprintf(out, "lane %s %d %d holder %" PRId64 "%s", lane->name.queue, lane->name.priority,
                lane->name.partition, lane->holder, lane->exclusive ? " exclusive" : "");
        if (!leaves)
            fprintf(out, " number %d head %" PRIx64 " tail %" PRIx64, lane->number, lane->head,
                    lane->tail);
        for (size_t j = 0; j < lane->n_types; j++)
            fprintf(out, " %s", lane->types[j]);
        for (size_t j = 0; j < lane->n_pool; j++)
            dump_range(out, lane->pool[j]);
        for (size_t j = 0; j < lane->n_entries; j++) {
            const struct lane_entry *entry = &lane->entries[j];
            fprintf(out, " entry %" PRId64 " g %" PRIu64 " r %" PRIu64, entry->node, entry->g,
                    entry->r);
            dump_range(out, entry->last);
        }
        fputc('\n', out);
        dump_jobs(scene, out, lane);
    }
}

static void dump_meta(struct scene *scene, FILE *out)
{
    struct ds_step step = {.kind = DS_META_READ};
    read_step(scene, &step);
    const struct meta *meta = &step.meta_read.ret_meta;
    fprintf(out, "meta schema %d copying '%s'%s\n", meta->schema_version, meta->copying,
            meta->created_ms == SCENE_MADE_MS ? " a copy" : "");
}

static void dump_queues(struct scene *scene, FILE *out)
{
    struct ds_step step = {.kind = DS_QUEUES_READ};
    read_step(scene, &step);
    for (size_t i = 0; i < step.queues_read.ret_n; i++) {
        const struct queue *queue = &step.queues_read.ret_queues[i];
        fprintf(out, "queue %s weight %d partitions %d by '%s'%s\n", queue->name, queue->weight,
                queue->partitions, queue->changed_by, queue->paused ? " paused" : "");
    }
}

static void dump_nodes(struct scene *scene, FILE *out)
{
    struct ds_step step = {.kind = DS_NODES_READ};
    read_step(scene, &step);
    for (size_t i = 0; i < step.nodes_read.ret_n; i++) {
        const struct node *node = &step.nodes_read.ret_nodes[i];
        fprintf(out,
                "node %" PRId64 " %s %s beat %" PRIu64 " done %" PRId64 " desired %d seq %" PRIu64
                " cause '%s'",
                node->id, node->name, node_state_name(node->state), node->beat, node->done,
                node->desired, node->request_seq, node->cause);
        for (size_t j = 0; j < node->n_ranges; j++)
            dump_range(out, node->ranges[j].range);
        for (size_t j = 0; j < node->n_granted; j++)
            fprintf(out, " granted %d %" PRIu64, node->granted[j].lane, node->granted[j].g);
        for (size_t j = 0; j < node->n_requests; j++)
            fprintf(out, " request %" PRIu64 " %d %" PRIx64, node->requests[j].seq,
                    node->requests[j].kind, node->requests[j].id);
        fputc('\n', out);
    }
}

static void dump_logs(struct scene *scene, FILE *out)
{
    struct ds_step history = {.kind = DS_HISTORY_READ,
                              .history_read = {.after_seq = -1, .rows_max = 100}};
    for (int totals = 0; totals < 2; totals++) {
        struct ds_step step = {
            .kind = DS_STINTS_READ,
            .stints_read = {.lane = -1, .totals_only = totals == 1, .rows_max = 100}};
        read_step(scene, &step);
        for (size_t i = 0; i < step.stints_read.ret_n; i++) {
            const struct stint_row *row = &step.stints_read.ret_rows[i];
            fprintf(out, "%s", totals == 1 ? "total" : "stint");
            dump_range(out, row->range);
            fprintf(out,
                    " node %" PRId64 " done %" PRId64 " failed %" PRId64 " cancelled %" PRId64
                    " %" PRId64 " to %" PRId64 "\n",
                    row->node, row->done, row->failed, row->cancelled, row->first_start_ms,
                    row->last_finish_ms);
        }
    }
    read_step(scene, &history);
    for (size_t i = 0; i < history.history_read.ret_n; i++) {
        const struct history_row *row = &history.history_read.ret_rows[i];
        fprintf(out, "history %" PRId64 " %" PRId64 " at %" PRId64 " %d bytes %zu\n", row->node,
                row->seq, row->at_ms, row->whole, row->body.len);
    }
}

char *scene_dump(struct scene *scene, bool leaves)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    ck_assert_ptr_nonnull(out);
    dump_meta(scene, out);
    dump_queues(scene, out);
    dump_lanes(scene, out, leaves);
    dump_nodes(scene, out);
    dump_logs(scene, out);
    dump_chunks(scene, out);
    fclose(out);
    return text;
}
