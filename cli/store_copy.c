/* A copy is made in steps that can each be made again, in this order: the mark that keeps everybody
 * else out of the destination (datastore.h: copies), queues, lanes, nodes' records, rows by id,
 * chunks, finished ranges, history; then both sides are read and compared, and the mark goes.
 *
 * Where it was cut, it goes on from what the destination holds: rows are written by ascending id in
 * batches, so that all are there but for some of the last batch; everything else is little, and is
 * written again. What has the same id and token is left as it is: a row that has changed in the
 * source since it was copied shows in the digest.
 *
 * Entries of dead nodes in lanes are copied as they are, and so are those nodes' records: whoever
 * starts a node on the copy finishes their burial. Single-threaded. */
#include "cli/store_copy.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/store_walk.h"
#include "cli/view.h"
#include "datastore/uri.h"

enum { URI_SHOWN_BYTES = 201, TAIL_PAGE = LIMIT_PAGE_JOBS };

static_assert((int)TAIL_PAGE > (int)WALK_JOBS, "a page reaches back past the last batch");

/* What names the source, to the program and to people: its URI without secrets, and when it was
 * made, by which stores of one URI are told apart where that has to be cut. */
static void mark_text(const char *uri, const struct meta *meta, char text[LIMIT_COPYING_BYTES + 1])
{
    char made[TIME_TEXT_BYTES], shown[URI_SHOWN_BYTES];
    uri_redact(shown, sizeof(shown), uri);
    snprintf(text, LIMIT_COPYING_BYTES + 1, "%s (made %s)", shown,
             time_format(made, meta->created_ms));
    text_clean(text);
}

/* ---- before ---------------------------------------------------------------------------------- */

static int meta_read(struct datastore *ds, struct meta *ret_meta, struct error *err)
{
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_META_READ};
    int rc = cli_step(ds, &step, &mem, NULL, err);
    *ret_meta = step.meta_read.ret_meta;
    arena_release(&mem);
    return rc;
}

static int nobody_alive(struct datastore *ds, const char *uri, struct error *err)
{
    struct arena mem = {0};
    char quoted[QUOTE_BYTES];
    struct ds_step step = {.kind = DS_NODES_READ, .nodes_read.live_only = true};
    int rc = cli_step(ds, &step, &mem, NULL, err);
    if (rc == 0 && step.nodes_read.ret_n > 0)
        rc = error_set(err, ERR_REFUSED,
                       "node %s is alive in %s (%zu in all): stop them; one whose machine is gone "
                       "is buried by any node started there",
                       step.nodes_read.ret_nodes[0].name, cli_quote(quoted, uri),
                       step.nodes_read.ret_n);
    arena_release(&mem);
    return rc;
}

static int ids_seen(void *ctx, const struct stint_row *rows, size_t n, struct error *err)
{
    (void)rows;
    (void)err;
    *(size_t *)ctx += n;
    return 0;
}

/* As it was made: nothing submitted, nothing set, no node ever. */
static int empty_check(struct datastore *ds, const char *uri, struct error *err)
{
    struct view view;
    struct arena mem = {0};
    struct ds_step queues = {.kind = DS_QUEUES_READ};
    char quoted[QUOTE_BYTES];
    size_t others = 0;
    int rc = view_read(ds, false, &view, err);
    if (rc < 0)
        return rc;
    rc = cli_step(ds, &queues, &mem, NULL, err);
    if (rc == 0)
        rc = walk_totals(ds, ids_seen, &others, err);
    others += view.n_nodes + (view.n_lanes > 1 ? view.n_lanes : 0);
    if (view.n_lanes > 0)
        others += (size_t)(id_seq(view.lanes[0].tail) - 1);
    if (rc == 0)
        others += queues.queues_read.ret_n > 1 || queues.queues_read.ret_queues[0].paused;
    view_clear(&view);
    arena_release(&mem);
    if (rc == 0 && others > 0)
        rc = error_set(err, ERR_REFUSED,
                       "%s holds something already, and is no unfinished copy: name a store that "
                       "is empty or not there",
                       cli_quote(quoted, uri));
    return rc;
}

static int mark_step(struct store_copy *copy, const char *text, bool done, int64_t created_ms,
                     struct error *err)
{
    struct arena mem = {0};
    bool unsure = false;
    struct ds_step step = {.kind = DS_COPY_MARK,
                           .copy_mark = {.from = text, .done = done, .created_ms = created_ms}};
    int rc = cli_step(copy->to, &step, &mem, &unsure, err);
    arena_release(&mem);
    return rc == ERR_NOT_FOUND && unsure ? 0 : rc;
}

/* Looked at before and after: who had it open before the mark may have been quicker. */
static int mark_begin(struct store_copy *copy, const struct meta *source, const char *text,
                      struct error *err)
{
    struct meta meta;
    char quoted[QUOTE_BYTES];
    int rc = meta_read(copy->to, &meta, err);
    copy->resumed = rc == 0 && meta.copying[0] != '\0';
    if (rc == 0 && copy->resumed && strcmp(meta.copying, text) != 0)
        rc = error_set(err, ERR_REFUSED, "the destination is an unfinished copy of %s",
                       meta.copying);
    if (rc == 0 && !copy->resumed && meta.created_ms == source->created_ms)
        rc = error_set(err, ERR_REFUSED, "%s is the source itself, or a complete copy of it",
                       cli_quote(quoted, copy->to_uri));
    if (rc == 0 && !copy->resumed)
        rc = empty_check(copy->to, copy->to_uri, err);
    if (rc == 0)
        rc = mark_step(copy, text, false, meta.created_ms, err);
    if (rc == ERR_CONFLICT)
        rc = error_set(err, ERR_REFUSED, "somebody else copies into the destination just now");
    if (rc < 0 || copy->resumed)
        return rc;
    rc = empty_check(copy->to, copy->to_uri, err);
    struct error ignored = {0};
    if (rc == ERR_REFUSED)
        (void)!mark_step(copy, text, true, meta.created_ms, &ignored);
    return rc;
}

/* ---- queues, lanes, nodes -------------------------------------------------------------------- */

/* One step that puts a record; one that is there is as good. */
static int put(struct store_copy *copy, struct ds_step step, struct error *err)
{
    struct arena mem = {0};
    int rc = cli_step(copy->to, &step, &mem, NULL, err);
    arena_release(&mem);
    if (rc == ERR_CONFLICT)
        rc = error_set(err, ERR_REFUSED, "%s: the destination is not as this copy left it",
                       ds_kind_name(step.kind));
    return rc;
}

static int nodes_copy(struct store_copy *copy, struct error *err)
{
    struct arena mem = {0};
    struct ds_step read = {.kind = DS_NODES_READ};
    int rc = cli_step(copy->from, &read, &mem, NULL, err);
    for (size_t i = 0; rc == 0 && i < read.nodes_read.ret_n; i++) {
        rc = put(copy,
                 (struct ds_step){.kind = DS_NODE_ADD,
                                  .node_add = {&read.nodes_read.ret_nodes[i], .as_is = true}},
                 err);
        rc = rc == ERR_DUPLICATE ? 0 : rc; /* the dead do not change */
    }
    arena_release(&mem);
    return rc;
}

static int queues_copy(struct store_copy *copy, struct error *err)
{
    struct arena mem = {0};
    struct ds_step read = {.kind = DS_QUEUES_READ};
    int rc = cli_step(copy->from, &read, &mem, NULL, err);
    for (size_t i = 0; rc == 0 && i < read.queues_read.ret_n; i++)
        rc = put(
            copy,
            (struct ds_step){.kind = DS_QUEUE_SET,
                             .queue_set = {.queue = read.queues_read.ret_queues[i], .as_is = true}},
            err);
    arena_release(&mem);
    return rc;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

struct jobs_copying {
    struct store_copy *copy;
    int64_t at, looked, whole;
};

/* A row that is refused (another has its id, or its key) shows in the digest. */
static int jobs_write(struct store_copy *copy, struct job *jobs, size_t n, struct error *err)
{
    int rc = 0;
    for (size_t at = 0, end; rc == 0 && at < n; at = end) {
        size_t bytes = 0;
        for (end = at; end < n && (end == at || bytes + job_bytes(&jobs[end]) <= LIMIT_PAGE_BYTES);)
            bytes += job_bytes(&jobs[end++]);
        rc = put(
            copy,
            (struct ds_step){.kind = DS_INSERT, .insert = {.jobs = jobs + at, .n_jobs = end - at}},
            err);
    }
    return rc;
}

static int jobs_put(void *ctx, struct job *jobs, size_t n, struct error *err)
{
    struct jobs_copying *copying = ctx;
    int rc = jobs_write(copying->copy, jobs, n, err);
    copying->looked += jobs[n - 1].id + 1 - copying->at;
    copying->at = jobs[n - 1].id + 1;
    progress_show(copying->copy->progress, copying->looked, copying->whole, copying->looked);
    return rc;
}

/* Where to go on: past rows that are all there, since more than a batch of higher ones is. */
static int lane_resume(struct store_copy *copy, struct range range, int64_t *ret_from,
                       struct error *err)
{
    struct ds_jobs_read page = {
        .range = range, .newest_first = true, .rows_max = TAIL_PAGE, .brief = true};
    size_t seen = 0;
    *ret_from = range.a;
    for (bool more = true; more && seen <= WALK_JOBS;) {
        struct arena mem = {0};
        struct ds_step step = {.kind = DS_JOBS_READ, .jobs_read = page};
        int rc = cli_step(copy->to, &step, &mem, NULL, err);
        seen += rc == 0 ? step.jobs_read.ret_n : 0;
        if (rc == 0 && seen > WALK_JOBS)
            *ret_from = step.jobs_read.ret_jobs[step.jobs_read.ret_n - 1].id;
        more = rc == 0 && step.jobs_read.ret_more;
        page.after_id = step.jobs_read.ret_next;
        arena_release(&mem);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int lane_jobs_copy(struct jobs_copying *copying, const struct lane *lane, struct error *err)
{
    struct range range = {.a = id_make(lane->number, 1), .b = lane->tail};
    int64_t from = range.a;
    int rc = copying->copy->resumed ? lane_resume(copying->copy, range, &from, err) : 0;
    copying->looked += from - range.a;
    copying->at = range.a = from;
    if (rc == 0)
        rc = walk_jobs(copying->copy->from, range, jobs_put, copying, err);
    copying->looked += range.b - copying->at;
    return rc;
}

static int lanes_copy(struct store_copy *copy, int64_t *ret_ids, struct error *err)
{
    struct arena mem = {0};
    struct jobs_copying copying = {.copy = copy};
    struct ds_step read = {.kind = DS_LANES_READ, .lanes_read.lane = -1};
    int rc = cli_step(copy->from, &read, &mem, NULL, err);
    size_t n = rc == 0 ? read.lanes_read.ret_n : 0;
    const struct lane *lanes = read.lanes_read.ret_lanes;
    for (size_t i = 0; i < n; i++)
        copying.whole += id_seq(lanes[i].tail) - 1;
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = put(copy, (struct ds_step){.kind = DS_LANE_PUT, .lane_put.lane = &lanes[i]}, err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = lane_jobs_copy(&copying, &lanes[i], err);
    *ret_ids = copying.whole;
    arena_release(&mem);
    return rc;
}

/* ---- chunks, finished ranges, history -------------------------------------------------------- */

static int chunks_put(void *ctx, const struct submit_chunk *chunks, size_t n, struct error *err)
{
    return put(ctx,
               (struct ds_step){.kind = DS_CHUNKS_ADD, .chunks_add = {.chunks = chunks, .n = n}},
               err);
}

static int stints_put(void *ctx, const struct stint_row *rows, size_t n, struct error *err)
{
    return put(ctx,
               (struct ds_step){.kind = DS_STINTS_ADD,
                                .stints_add = {.rows = rows, .n = n, .part = STINTS_ROWS}},
               err);
}

static int totals_put(void *ctx, const struct stint_row *rows, size_t n, struct error *err)
{
    return put(ctx,
               (struct ds_step){.kind = DS_STINTS_ADD,
                                .stints_add = {.rows = rows, .n = n, .part = STINTS_TOTALS}},
               err);
}

static int history_put(void *ctx, const struct history_row *rows, size_t n, struct error *err)
{
    return put(ctx, (struct ds_step){.kind = DS_HISTORY_ADD, .history_add = {.rows = rows, .n = n}},
               err);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static int records_copy(struct store_copy *copy, int64_t *ret_ids, struct error *err)
{
    progress_start(copy->progress, "copied");
    int rc = queues_copy(copy, err);
    if (rc == 0)
        rc = nodes_copy(copy, err);
    if (rc == 0)
        rc = lanes_copy(copy, ret_ids, err);
    if (rc == 0)
        rc = walk_chunks(copy->from, chunks_put, copy, err);
    if (rc == 0)
        rc = walk_stints(copy->from, stints_put, copy, err);
    if (rc == 0)
        rc = walk_totals(copy->from, totals_put, copy, err);
    if (rc == 0)
        rc = walk_history(copy->from, history_put, copy, err);
    progress_clear(copy->progress);
    return rc;
}

static int compare(struct store_copy *copy, int64_t ids, struct error *err)
{
    int64_t looked = 0;
    progress_start(copy->progress, "checked");
    int rc = store_digest(copy->to, copy->progress, &looked, 2 * ids, &copy->copy, err);
    if (rc == 0)
        rc = store_digest(copy->from, copy->progress, &looked, 2 * ids, &copy->source, err);
    progress_clear(copy->progress);
    if (rc == 0 && !store_digest_equal(&copy->source, &copy->copy))
        rc = ERR_CONFLICT;
    return rc;
}

int store_copy(struct store_copy *copy, struct error *err)
{
    char text[LIMIT_COPYING_BYTES + 1];
    struct meta meta;
    int64_t ids = 0;
    int rc = meta_read(copy->from, &meta, err);
    if (rc == 0)
        rc = nobody_alive(copy->from, copy->from_uri, err);
    if (rc == 0)
        rc = nobody_alive(copy->to, copy->to_uri, err);
    if (rc < 0)
        return rc;
    mark_text(copy->from_uri, &meta, text);
    rc = mark_begin(copy, &meta, text, err);
    if (rc == 0)
        rc = records_copy(copy, &ids, err);
    if (rc == 0)
        rc = compare(copy, ids, err);
    if (rc == 0)
        rc = nobody_alive(copy->from, copy->from_uri, err); /* started since it was looked at */
    if (rc < 0)
        return rc;
    rc = mark_step(copy, text, true, meta.created_ms, err);
    return rc == ERR_CONFLICT || rc == ERR_NOT_FOUND
               ? error_set(err, ERR_REFUSED, "somebody else copied into the destination, too")
               : rc;
}
