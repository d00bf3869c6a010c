/* The digest of a store: the sum of a hash of each record, so that the order in which a store gives
 * them does not matter, nor how it keeps them. A record is hashed by its fields as datastore.h has
 * them. A VOID row with the token 0 says no more than no row does, and is left out: a store without
 * holes has such rows in their place. Single-threaded. */
#include "cli/store_digest.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/hash.h"
#include "cli/store_walk.h"

struct adding {
    struct store_digest digest;
    struct progress *progress;
    int64_t *looked, whole;
    int64_t at; /* id up to which the lane was looked at */
};

static struct hash hash_of(const char *kind)
{
    struct hash hash = {HASH_BASIS};
    hash_text(&hash, kind);
    return hash;
}

static void hash_real(struct hash *hash, double value)
{
    hash_add(hash, &value, sizeof(value));
}

static void hash_range(struct hash *hash, struct range range)
{
    hash_number(hash, range.a);
    hash_number(hash, range.b);
    hash_number(hash, range.suspect);
}

/* ---- queues, lanes, nodes -------------------------------------------------------------------- */

static void queue_add(struct adding *adding, const struct queue *queue)
{
    struct hash hash = hash_of("queue");
    hash_text(&hash, queue->name);
    hash_number(&hash, queue->paused);
    hash_number(&hash, queue->weight);
    hash_number(&hash, queue->partitions);
    hash_number(&hash, queue->changed_ms);
    hash_text(&hash, queue->changed_by);
    adding->digest.sum += hash.value;
    adding->digest.queues++;
}

static void entry_add(struct hash *hash, const struct lane_entry *entry)
{
    hash_number(hash, entry->node);
    hash_number(hash, (int64_t)entry->g);
    hash_range(hash, entry->last);
    hash_number(hash, (int64_t)entry->r);
}

static void lane_add(struct adding *adding, const struct lane *lane)
{
    struct hash hash = hash_of("lane");
    hash_number(&hash, lane->number);
    hash_text(&hash, lane->name.queue);
    hash_number(&hash, lane->name.priority);
    hash_number(&hash, lane->name.partition);
    hash_number(&hash, lane->tail);
    hash_number(&hash, lane->head);
    hash_number(&hash, lane->holder);
    hash_number(&hash, lane->exclusive);
    hash_number(&hash, (int64_t)lane->n_types);
    for (size_t i = 0; i < lane->n_types; i++)
        hash_text(&hash, lane->types[i]);
    hash_number(&hash, (int64_t)lane->n_pool);
    for (size_t i = 0; i < lane->n_pool; i++)
        hash_range(&hash, lane->pool[i]);
    hash_number(&hash, (int64_t)lane->n_entries);
    /* In whatever order a store keeps them. */
    for (size_t i = 0; i < lane->n_entries; i++) {
        struct hash entry = hash_of("entry");
        hash_number(&entry, lane->number);
        entry_add(&entry, &lane->entries[i]);
        adding->digest.sum += entry.value;
    }
    adding->digest.sum += hash.value;
    adding->digest.lanes++;
}

static void node_fixed_add(struct hash *hash, const struct node *node)
{
    hash_number(hash, node->id);
    hash_text(hash, node->name);
    hash_text(hash, node->host);
    hash_text(hash, node->boot_id);
    hash_number(hash, node->pid_ns);
    hash_number(hash, node->pid);
    hash_number(hash, node->pid_start);
    hash_text(hash, node->version);
    hash_number(hash, node->slots);
    hash_number(hash, node->lease_ms);
    hash_number(hash, (int64_t)node->n_queues);
    for (size_t i = 0; i < node->n_queues; i++)
        hash_text(hash, node->queues[i]);
    hash_number(hash, (int64_t)node->n_types);
    for (size_t i = 0; i < node->n_types; i++)
        hash_text(hash, node->types[i]);
    hash_text(hash, node->doorbell);
    hash_number(hash, node->created_ms);
}

static void node_own_add(struct hash *hash, const struct node *node)
{
    hash_number(hash, node->state);
    hash_number(hash, node->since_ms);
    hash_number(hash, (int64_t)node->beat);
    hash_number(hash, node->beat_ms);
    hash_number(hash, (int64_t)node->n_ranges);
    for (size_t i = 0; i < node->n_ranges; i++) {
        hash_range(hash, node->ranges[i].range);
        hash_number(hash, (int64_t)node->ranges[i].returning);
    }
    hash_number(hash, (int64_t)node->n_granted);
    for (size_t i = 0; i < node->n_granted; i++) {
        hash_number(hash, node->granted[i].lane);
        hash_number(hash, (int64_t)node->granted[i].g);
    }
    hash_number(hash, (int64_t)node->n_running);
    for (size_t i = 0; i < node->n_running; i++) {
        hash_number(hash, node->running[i].id);
        hash_number(hash, node->running[i].run);
        hash_number(hash, node->running[i].started_ms);
        hash_text(hash, node->running[i].type);
    }
    hash_number(hash, node->done);
    hash_number(hash, node->failed);
    hash_number(hash, node->interrupted);
    hash_real(hash, node->rate);
    hash_real(hash, node->load);
}

static void node_add(struct adding *adding, const struct node *node)
{
    struct hash hash = hash_of("node");
    node_fixed_add(&hash, node);
    node_own_add(&hash, node);
    hash_number(&hash, node->desired);
    hash_number(&hash, (int64_t)node->request_seq);
    hash_number(&hash, (int64_t)node->n_requests);
    for (size_t i = 0; i < node->n_requests; i++) {
        hash_number(&hash, (int64_t)node->requests[i].seq);
        hash_number(&hash, node->requests[i].kind);
        hash_number(&hash, node->requests[i].id);
        hash_number(&hash, node->requests[i].from);
    }
    hash_text(&hash, node->cause);
    adding->digest.sum += hash.value;
    adding->digest.nodes++;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static void spec_add(struct hash *hash, const struct job_spec *spec)
{
    static const struct job_spec none = {0};
    if (spec == NULL)
        spec = &none;
    hash_number(hash, spec->max_attempts);
    hash_number(hash, spec->max_interruptions);
    hash_number(hash, spec->timeout_ms);
    hash_number(hash, spec->backoff_ms);
    hash_number(hash, spec->run_at_ms);
    hash_text(hash, spec->cwd);
    hash_bytes(hash, spec->env);
    hash_number(hash, (int64_t)spec->n_limits);
    for (size_t i = 0; i < spec->n_limits; i++) {
        hash_number(hash, spec->limits[i].resource);
        hash_number(hash, (int64_t)spec->limits[i].value);
    }
    hash_text(hash, spec->key);
    hash_text(hash, spec->group);
    hash_number(hash, (int64_t)spec->n_after);
    for (size_t i = 0; i < spec->n_after; i++)
        hash_number(hash, spec->after[i]);
    hash_number(hash, spec->copy_of);
}

static void attempt_add(struct hash *hash, const struct job_attempt *attempt)
{
    hash_number(hash, attempt->run);
    hash_number(hash, attempt->interrupted);
    hash_number(hash, attempt->node);
    hash_number(hash, attempt->started_ms);
    hash_number(hash, attempt->finished_ms);
    hash_number(hash, attempt->exit_code);
    hash_number(hash, attempt->signal);
    hash_number(hash, attempt->timed_out);
    hash_text(hash, attempt->error);
    hash_bytes(hash, attempt->output);
}

static void ending_add(struct hash *hash, const struct job_ending *ending)
{
    hash_number(hash, ending != NULL);
    if (ending == NULL)
        return;
    hash_number(hash, ending->exit_code);
    hash_number(hash, ending->signal);
    hash_number(hash, ending->timed_out);
    hash_number(hash, ending->user_ms);
    hash_number(hash, ending->sys_ms);
    hash_number(hash, ending->maxrss_kb);
    hash_bytes(hash, ending->result);
    hash_bytes(hash, ending->output);
    hash_number(hash, (int64_t)ending->output_total);
    hash_text(hash, ending->error);
    hash_number(hash, (int64_t)ending->n_trace);
    for (size_t i = 0; i < ending->n_trace; i++)
        attempt_add(hash, &ending->trace[i]);
}

static void job_add(struct adding *adding, const struct job *job)
{
    struct hash hash = hash_of("job");
    if (job->state == JOB_VOID && job->token == 0)
        return;
    hash_number(&hash, job->id);
    hash_number(&hash, job->state);
    hash_number(&hash, job->run);
    hash_number(&hash, job->interruptions);
    hash_text(&hash, job->type);
    hash_bytes(&hash, job->payload);
    hash_bytes(&hash, job->argv);
    hash_number(&hash, job->token);
    hash_number(&hash, job->created_ms);
    hash_number(&hash, job->started_ms);
    hash_number(&hash, job->finished_ms);
    hash_number(&hash, job->node);
    hash_number(&hash, job->slot);
    hash_number(&hash, job->due_ms);
    hash_text(&hash, job->batch);
    spec_add(&hash, job->spec);
    ending_add(&hash, job->ending);
    adding->digest.sum += hash.value;
    *(job->state == JOB_VOID   ? &adding->digest.voids
      : job->state == JOB_SLOT ? &adding->digest.slots
                               : &adding->digest.jobs) += 1;
}

static int jobs_add(void *ctx, struct job *jobs, size_t n, struct error *err)
{
    struct adding *adding = ctx;
    (void)err;
    for (size_t i = 0; i < n; i++)
        job_add(adding, &jobs[i]);
    *adding->looked += jobs[n - 1].id + 1 - adding->at;
    adding->at = jobs[n - 1].id + 1;
    progress_show(adding->progress, *adding->looked, adding->whole, *adding->looked);
    return 0;
}

/* ---- chunks, finished ranges, history -------------------------------------------------------- */

/* `cut` is left out: it says how a store came to present the chunk so. */
static int chunks_add(void *ctx, const struct submit_chunk *chunks, size_t n, struct error *err)
{
    struct adding *adding = ctx;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        struct hash hash = hash_of("chunk");
        hash_text(&hash, chunks[i].submit);
        hash_number(&hash, chunks[i].index);
        hash_number(&hash, chunks[i].id);
        hash_number(&hash, chunks[i].count);
        hash_number(&hash, chunks[i].last);
        adding->digest.sum += hash.value;
    }
    adding->digest.chunks += (int64_t)n;
    return 0;
}

static void ranges_add(struct adding *adding, const char *kind, const struct stint_row *rows,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct hash hash = hash_of(kind);
        hash_range(&hash, rows[i].range);
        hash_number(&hash, rows[i].node);
        hash_number(&hash, rows[i].done);
        hash_number(&hash, rows[i].failed);
        hash_number(&hash, rows[i].cancelled);
        hash_number(&hash, rows[i].first_start_ms);
        hash_number(&hash, rows[i].last_finish_ms);
        adding->digest.sum += hash.value;
    }
}

static int stints_add(void *ctx, const struct stint_row *rows, size_t n, struct error *err)
{
    struct adding *adding = ctx;
    (void)err;
    ranges_add(adding, "stint", rows, n);
    adding->digest.stints += (int64_t)n;
    return 0;
}

static int totals_add(void *ctx, const struct stint_row *rows, size_t n, struct error *err)
{
    (void)err;
    ranges_add(ctx, "total", rows, n);
    return 0;
}

static int history_add(void *ctx, const struct history_row *rows, size_t n, struct error *err)
{
    struct adding *adding = ctx;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        struct hash hash = hash_of("history");
        hash_number(&hash, rows[i].node);
        hash_number(&hash, rows[i].seq);
        hash_number(&hash, rows[i].at_ms);
        hash_number(&hash, rows[i].whole);
        hash_bytes(&hash, rows[i].body);
        adding->digest.sum += hash.value;
    }
    adding->digest.history += (int64_t)n;
    return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int lane_jobs_add(struct datastore *ds, struct adding *adding, const struct lane *lane,
                         struct error *err)
{
    struct range range = {.a = id_make(lane->number, 1), .b = lane->tail};
    adding->at = range.a;
    int rc = walk_jobs(ds, range, jobs_add, adding, err);
    *adding->looked += range.b - adding->at;
    return rc;
}

static int records_add(struct datastore *ds, struct adding *adding, struct error *err)
{
    struct arena mem = {0};
    struct ds_step queues = {.kind = DS_QUEUES_READ}, nodes = {.kind = DS_NODES_READ};
    struct ds_step lanes = {.kind = DS_LANES_READ, .lanes_read.lane = -1};
    int rc = cli_step(ds, &queues, &mem, NULL, err);
    if (rc == 0)
        rc = cli_step(ds, &nodes, &mem, NULL, err);
    if (rc == 0)
        rc = cli_step(ds, &lanes, &mem, NULL, err);
    for (size_t i = 0; rc == 0 && i < queues.queues_read.ret_n; i++)
        queue_add(adding, &queues.queues_read.ret_queues[i]);
    for (size_t i = 0; rc == 0 && i < nodes.nodes_read.ret_n; i++)
        node_add(adding, &nodes.nodes_read.ret_nodes[i]);
    for (size_t i = 0; rc == 0 && i < lanes.lanes_read.ret_n; i++) {
        lane_add(adding, &lanes.lanes_read.ret_lanes[i]);
        rc = lane_jobs_add(ds, adding, &lanes.lanes_read.ret_lanes[i], err);
    }
    arena_release(&mem);
    return rc;
}

int store_digest(struct datastore *ds, struct progress *progress, int64_t *looked, int64_t whole,
                 struct store_digest *ret_digest, struct error *err)
{
    struct adding adding = {.progress = progress, .looked = looked, .whole = whole};
    int rc = records_add(ds, &adding, err);
    if (rc == 0)
        rc = walk_chunks(ds, chunks_add, &adding, err);
    if (rc == 0)
        rc = walk_stints(ds, stints_add, &adding, err);
    if (rc == 0)
        rc = walk_totals(ds, totals_add, &adding, err);
    if (rc == 0)
        rc = walk_history(ds, history_add, &adding, err);
    if (rc == 0)
        *ret_digest = adding.digest;
    return rc;
}

bool store_digest_equal(const struct store_digest *a, const struct store_digest *b)
{
    return a->sum == b->sum && a->queues == b->queues && a->lanes == b->lanes &&
           a->nodes == b->nodes && a->jobs == b->jobs && a->slots == b->slots &&
           a->voids == b->voids && a->chunks == b->chunks && a->stints == b->stints &&
           a->history == b->history;
}

char *store_digest_text(char text[DIGEST_TEXT_BYTES], const struct store_digest *digest)
{
    snprintf(text, DIGEST_TEXT_BYTES, "%016llx%016llx", (unsigned long long)(digest->sum >> 64),
             (unsigned long long)digest->sum);
    return text;
}
