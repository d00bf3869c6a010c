/* Paging through each kind of record (store_walk.h). Single-threaded. */
#include "cli/store_walk.h"

#include <stdio.h>

#include "cli/cli.h"

enum { NAMES_PAGE = 256 };

int walk_jobs(struct datastore *ds, struct range range, walk_jobs_fn *fn, void *ctx,
              struct error *err)
{
    int rc = 0;
    while (rc == 0 && range.a < range.b) {
        struct arena mem = {0};
        struct ds_step step = {.kind = DS_LOAD, .load = {.range = range, .rows_max = WALK_JOBS}};
        rc = cli_step(ds, &step, &mem, NULL, err);
        if (rc == 0 && step.load.ret_next <= range.a)
            rc = error_set(err, ERR_CORRUPT, "the store cannot be read past id %lld of lane %d",
                           (long long)id_seq(range.a), id_lane(range.a));
        if (rc == 0 && step.load.ret_n > 0)
            rc = fn(ctx, step.load.ret_jobs, step.load.ret_n, err);
        range.a = step.load.ret_next;
        arena_release(&mem);
    }
    return rc;
}

/* ---- chunks --------------------------------------------------------------------------------- */

static int submit_walk(struct datastore *ds, const char *submit, walk_chunks_fn *fn, void *ctx,
                       struct error *err)
{
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_SUBMIT_FIND, .submit_find.submit = submit};
    int rc = cli_step(ds, &step, &mem, NULL, err);
    for (size_t at = 0; rc == 0 && at < step.submit_find.ret_n; at += WALK_CHUNKS) {
        size_t left = step.submit_find.ret_n - at;
        rc =
            fn(ctx, step.submit_find.ret_chunks + at, left < WALK_CHUNKS ? left : WALK_CHUNKS, err);
    }
    arena_release(&mem);
    return rc;
}

int walk_chunks(struct datastore *ds, walk_chunks_fn *fn, void *ctx, struct error *err)
{
    char last[LIMIT_NAME_BYTES + 1] = "";
    int rc = 0;
    for (size_t n = NAMES_PAGE; rc == 0 && n == NAMES_PAGE;) {
        struct arena mem = {0};
        struct ds_step step = {.kind = DS_SUBMITS_READ,
                               .submits_read = {.after = last, .rows_max = NAMES_PAGE}};
        rc = cli_step(ds, &step, &mem, NULL, err);
        n = rc == 0 ? step.submits_read.ret_n : 0;
        for (size_t i = 0; rc == 0 && i < n; i++)
            rc = submit_walk(ds, step.submits_read.ret_submits[i], fn, ctx, err);
        if (rc == 0 && n > 0)
            snprintf(last, sizeof(last), "%s", step.submits_read.ret_submits[n - 1]);
        arena_release(&mem);
    }
    return rc;
}

/* ---- finished ranges ------------------------------------------------------------------------ */

/* Several rows may begin at one id, and a page must not end between them: those of the last id are
 * left to the next page. How many rows are sure; 0: the page was too small for one id. */
static size_t rows_sure(const struct ds_stints_read *read)
{
    size_t n = read->ret_n;
    if (n < read->rows_max)
        return n;
    int64_t last = read->ret_rows[n - 1].range.a;
    while (n > 0 && read->ret_rows[n - 1].range.a == last)
        n--;
    return n;
}

static int rows_hand(const struct stint_row *rows, size_t n, walk_stints_fn *fn, void *ctx,
                     struct error *err)
{
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < n; at += WALK_STINTS)
        rc = fn(ctx, rows + at, n - at < WALK_STINTS ? n - at : WALK_STINTS, err);
    return rc;
}

int walk_stints(struct datastore *ds, walk_stints_fn *fn, void *ctx, struct error *err)
{
    size_t rows_max = WALK_STINTS;
    int64_t after = 0;
    bool more = true;
    int rc = 0;
    while (rc == 0 && more) {
        struct arena mem = {0};
        struct ds_step step = {
            .kind = DS_STINTS_READ,
            .stints_read = {.lane = -1, .after_id = after, .rows_max = rows_max}};
        rc = cli_step(ds, &step, &mem, NULL, err);
        if (rc == 0) {
            size_t n = rows_sure(&step.stints_read);
            more = step.stints_read.ret_n == rows_max;
            rc = rows_hand(step.stints_read.ret_rows, n, fn, ctx, err);
            if (n > 0)
                after = step.stints_read.ret_rows[n - 1].range.a;
            else if (more)
                rows_max *= 2;
        }
        arena_release(&mem);
    }
    return rc;
}

int walk_totals(struct datastore *ds, walk_stints_fn *fn, void *ctx, struct error *err)
{
    struct arena mem = {0};
    struct ds_step step = {
        .kind = DS_STINTS_READ,
        .stints_read = {.lane = -1, .totals_only = true, .rows_max = LIMIT_LANES}};
    int rc = cli_step(ds, &step, &mem, NULL, err);
    if (rc == 0)
        rc = rows_hand(step.stints_read.ret_rows, step.stints_read.ret_n, fn, ctx, err);
    arena_release(&mem);
    return rc;
}

/* ---- history -------------------------------------------------------------------------------- */

static int versions_walk(struct datastore *ds, int64_t node, walk_history_fn *fn, void *ctx,
                         struct error *err)
{
    int64_t after = 0;
    int rc = 0;
    for (size_t n = WALK_HISTORY; rc == 0 && n == WALK_HISTORY;) {
        struct arena mem = {0};
        struct ds_step step = {
            .kind = DS_HISTORY_READ,
            .history_read = {.node = node, .after_seq = after, .rows_max = WALK_HISTORY}};
        rc = cli_step(ds, &step, &mem, NULL, err);
        n = rc == 0 ? step.history_read.ret_n : 0;
        if (n > 0) {
            after = step.history_read.ret_rows[n - 1].seq;
            rc = fn(ctx, step.history_read.ret_rows, n, err);
        }
        arena_release(&mem);
    }
    return rc;
}

int walk_history(struct datastore *ds, walk_history_fn *fn, void *ctx, struct error *err)
{
    int64_t node = 0;
    for (;;) {
        struct arena mem = {0};
        struct ds_step step = {.kind = DS_HISTORY_READ,
                               .history_read = {.after_node = node, .rows_max = 1}};
        int rc = cli_step(ds, &step, &mem, NULL, err);
        bool more = rc == 0 && step.history_read.ret_n > 0;
        if (more)
            node = step.history_read.ret_rows[0].node;
        arena_release(&mem);
        if (more)
            rc = versions_walk(ds, node, fn, ctx, err);
        if (rc < 0 || !more)
            return rc;
    }
}
