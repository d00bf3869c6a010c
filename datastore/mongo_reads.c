/* The MongoDB backend's reads of job rows: loading, listing, scanning. Each looks at a bounded
 * number of rows and says where to go on. Thread: the handle's. */
#include <stdlib.h>

#include "datastore/bson_fields.h"
#include "datastore/mongo_bson.h"
#include "datastore/mongo_store.h"

enum { LOOKED_ROWS_MAX = 65536, BATCH_ROWS_MIN = 16 };

static const char *const unfinished[] = {"queued", "scheduled", "blocked"};

static bool range_valid(struct range range)
{
    return range.a >= 0 && range.a <= range.b &&
           (range.a == range.b || id_lane(range.a) == id_lane(range.b - 1));
}

static bson_t *in_range(int64_t a, int64_t b)
{
    return BCON_NEW("_id", "{", "$gte", BCON_INT64(a), "$lt", BCON_INT64(b), "}");
}

/* ---- load ----------------------------------------------------------------------------------- */

/* Rows asked of the server at a time: about a page's bytes, by the size of the rows so far. */
static int64_t batch_rows(const struct mongo_store *store, size_t rows_max)
{
    size_t rows = store->row_bytes > 0 ? LIMIT_PAGE_BYTES / store->row_bytes : BATCH_ROWS_MIN;
    rows = rows < BATCH_ROWS_MIN ? BATCH_ROWS_MIN : rows;
    return (int64_t)(rows < rows_max ? rows : rows_max);
}

/* Once the first rows are here: what the rest is asked for by. `wire_bytes`: of `rows` rows. The
 * driver changes a batchSize only where it is an int64. */
static void learn_row_bytes(struct mongo_store *store, mongoc_cursor_t *cursor, size_t rows,
                            size_t wire_bytes)
{
    store->row_bytes = wire_bytes / rows;
    if (rows == BATCH_ROWS_MIN)
        mongoc_cursor_set_batch_size(cursor, (uint32_t)batch_rows(store, LIMIT_PAGE_JOBS));
}

static int by_id(const void *a, const void *b)
{
    const struct job *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Reads what comes, up to rows_max rows and about `bytes_max` bytes. *ret_full: there was more. */
static int load_rows(struct mongo_call *call, mongoc_cursor_t *cursor, struct ds_load *load,
                     size_t bytes_max, bool *ret_full)
{
    struct job_texts texts = {0};
    const bson_t *doc;
    size_t bytes = 0, wire_bytes = 0;
    bool ascending = true;
    int rc;
    load->ret_n = 0;
    load->ret_next = load->range.b;
    *ret_full = false;
    while ((rc = mongo_next(call->store, cursor, &doc)) == 1) {
        struct job job;
        if (job_from_doc(doc, call->mem, &texts, &job) < 0)
            return mongo_damaged(call->store, MONGO_JOBS, load->range.a);
        if (load->ret_n == load->rows_max || bytes >= bytes_max) {
            load->ret_next = job.id;
            *ret_full = true;
            break;
        }
        bytes += job_bytes(&job);
        wire_bytes += doc->len;
        ascending = ascending && (load->ret_n == 0 || load->ret_jobs[load->ret_n - 1].id < job.id);
        load->ret_jobs[load->ret_n++] = job;
        learn_row_bytes(call->store, cursor, load->ret_n, wire_bytes);
    }
    if (!ascending)
        qsort(load->ret_jobs, load->ret_n, sizeof(*load->ret_jobs), by_id);
    return rc < 0 ? rc : 0;
}

static int load_query(struct mongo_call *call, struct ds_load *load, bson_t *opts, size_t bytes_max,
                      bool *ret_full)
{
    bson_t *query = in_range(load->range.a, load->range.b);
    if (load->brief) {
        bson_t *fields = BCON_NEW("projection", "{", "state", BCON_INT32(1), "run", BCON_INT32(1),
                                  "slot", BCON_INT32(1), "}");
        bson_concat(opts, fields);
        bson_destroy(fields);
    }
    mongoc_cursor_t *cursor = mongo_find(call->store, MONGO_JOBS, query, opts);
    int rc = load_rows(call, cursor, load, bytes_max, ret_full);
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(query);
    return rc;
}

/* As many ids as rows are wanted, in whatever order they come: a server that sorts a page takes
 * twice as long for it. Only where the rows are small, since all of them are read. */
static int load_window(struct mongo_call *call, struct ds_load *load, bool *ret_full)
{
    size_t most = load->rows_max;
    int64_t end = load->range.b;
    if (range_count(load->range) > (int64_t)most)
        load->range.b = load->range.a + (int64_t)most;
    bson_t *opts = BCON_NEW("batchSize", BCON_INT64((int64_t)most + 1));
    int rc = load_query(call, load, opts, (size_t)2 * LIMIT_PAGE_BYTES, ret_full);
    load->ret_next = load->range.b;
    load->range.b = end;
    return rc;
}

int mongo_load(struct mongo_call *call)
{
    struct ds_load load = call->step->load;
    if (!range_valid(load.range) || load.rows_max < 1 || load.rows_max > LIMIT_PAGE_JOBS)
        return ERR_INVALID;
    size_t most = load.rows_max, row_bytes = load.brief ? 1 : call->store->row_bytes;
    if (range_count(load.range) < (int64_t)most)
        most = (size_t)range_count(load.range);
    load.ret_jobs = arena_alloc(call->mem, (most + 1) * sizeof(*load.ret_jobs));
    bool small = row_bytes > 0 && row_bytes * most <= LIMIT_PAGE_BYTES, full = !small;
    int rc = small ? load_window(call, &load, &full) : 0;
    if (rc == 0 && full) {
        bson_t *opts =
            BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}", "limit", BCON_INT64((int64_t)most + 1),
                     "batchSize", BCON_INT64(batch_rows(call->store, most + 1)));
        rc = load_query(call, &load, opts, LIMIT_PAGE_BYTES, &full);
    }
    if (rc == 0)
        call->step->load = load;
    return rc;
}

/* ---- listing -------------------------------------------------------------------------------- */

static void states_append(bson_t *query, uint32_t states)
{
    bson_t part, list;
    uint32_t n = 0;
    BSON_APPEND_DOCUMENT_BEGIN(query, "state", &part);
    BSON_APPEND_ARRAY_BEGIN(&part, "$in", &list);
    for (int s = 0; s < JOB_STATES; s++) {
        char text[16];
        const char *key;
        if (s == JOB_VOID || s == JOB_SLOT || (states != 0 && (states & 1U << s) == 0))
            continue;
        bson_uint32_to_string(n++, &key, text, sizeof(text));
        bson_append_utf8(&list, key, -1, job_state_name((enum job_state)s), -1);
    }
    bson_append_array_end(&part, &list);
    bson_append_document_end(query, &part);
}

/* The ids of the page: [*low, *high). */
static void page_bounds(const struct ds_jobs_read *read, int64_t *low, int64_t *high)
{
    bool all = read->range.a == 0 && read->range.b == 0;
    *low = read->range.a;
    *high = all ? INT64_MAX : read->range.b;
    if (read->after_id != 0 && read->newest_first && read->after_id < *high)
        *high = read->after_id;
    if (read->after_id != 0 && !read->newest_first && read->after_id >= *low)
        *low = read->after_id + 1;
}

/* Where no index leads to the rows, no more than LOOKED_ROWS_MAX are looked at: the window ends
 * there. *ret_cut: it does. */
static int window(struct mongo_call *call, int64_t *low, int64_t *high, bool *ret_cut)
{
    const struct ds_jobs_read *read = &call->step->jobs_read;
    *ret_cut = false;
    bool plain = read->type == NULL && read->node == 0 && read->states == 0;
    if (plain || read->batch != NULL || read->key != NULL || read->states == 1U << JOB_FAILED)
        return 0;
    int64_t id;
    bson_t *query = in_range(*low, *high);
    bson_t *opts = BCON_NEW("sort", "{", "_id", BCON_INT32(read->newest_first ? -1 : 1), "}",
                            "skip", BCON_INT64(LOOKED_ROWS_MAX));
    int rc = mongo_find_int(call->store, MONGO_JOBS, query, "_id", opts, &id);
    bson_destroy(opts);
    bson_destroy(query);
    if (rc == 0 && (id < *low || id >= *high))
        return mongo_damaged(call->store, MONGO_JOBS, id); /* not what was asked for */
    if (rc == 0) {
        *(read->newest_first ? low : high) = id + (read->newest_first ? 1 : 0);
        *ret_cut = true;
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static bson_t *page_query(const struct ds_jobs_read *read, int64_t low, int64_t high)
{
    /* At most one row has the key: no other condition may tempt a server to another index. */
    bson_t *query = read->key != NULL ? bson_new() : in_range(low, high);
    if (read->key != NULL) {
        put_text(query, "key", read->key);
        return query;
    }
    if (read->batch != NULL)
        BSON_APPEND_UTF8(query, "batch", read->batch);
    if (read->type != NULL)
        BSON_APPEND_UTF8(query, "type", read->type);
    if (read->node != 0)
        BSON_APPEND_INT64(query, "node", read->node);
    if (read->states == 1U << JOB_FAILED)
        BSON_APPEND_UTF8(query, "state", "failed"); /* as the partial index says it */
    else
        states_append(query, read->states);
    return query;
}

/* The order by which the index of the failed is found, too. */
static void page_sort(const struct ds_jobs_read *read, bson_t *opts)
{
    bson_t sort;
    int32_t way = read->newest_first ? -1 : 1;
    BSON_APPEND_DOCUMENT_BEGIN(opts, "sort", &sort);
    if (read->states == 1U << JOB_FAILED && read->batch == NULL)
        BSON_APPEND_INT32(&sort, "state", way);
    BSON_APPEND_INT32(&sort, "_id", way);
    bson_append_document_end(opts, &sort);
}

/* What a query by key alone did not ask for. */
static bool page_takes(const struct ds_jobs_read *page, const struct job *job, int64_t low,
                       int64_t high)
{
    return job->id >= low && job->id < high && job->state != JOB_VOID && job->state != JOB_SLOT &&
           (page->states == 0 || (page->states & 1U << job->state) != 0) &&
           (page->type == NULL || (job->type != NULL && strcmp(job->type, page->type) == 0)) &&
           (page->batch == NULL || (job->batch != NULL && strcmp(job->batch, page->batch) == 0)) &&
           (page->node == 0 || job->node == page->node);
}

static int page_fill(struct mongo_call *call, mongoc_cursor_t *cursor, int64_t low, int64_t high,
                     struct ds_jobs_read *page)
{
    struct job_texts texts = {0};
    const bson_t *doc;
    size_t bytes = 0, rows = 0, wire_bytes = 0;
    int rc;
    while ((rc = mongo_next(call->store, cursor, &doc)) == 1) {
        struct job *job = &page->ret_jobs[page->ret_n];
        if (page->ret_n == page->rows_max || bytes >= LIMIT_PAGE_BYTES) {
            page->ret_more = true;
            return 0;
        }
        wire_bytes += doc->len;
        learn_row_bytes(call->store, cursor, ++rows, wire_bytes);
        if (job_from_doc(doc, call->mem, &texts, job) < 0)
            return mongo_damaged(call->store, MONGO_JOBS, page->ret_next);
        if (page->key != NULL && !page_takes(page, job, low, high))
            continue;
        page->ret_n++;
        page->ret_next = job->id;
        bytes += job_bytes(job);
    }
    return rc;
}

int mongo_jobs_read(struct mongo_call *call)
{
    struct ds_jobs_read page = call->step->jobs_read;
    int64_t low, high;
    bool cut;
    if (!range_valid(page.range) || page.rows_max < 1 || page.rows_max > LIMIT_PAGE_JOBS)
        return ERR_INVALID;
    page_bounds(&page, &low, &high);
    int rc = window(call, &low, &high, &cut);
    if (rc < 0)
        return rc;
    bson_t *query = page_query(&page, low, high);
    bson_t *opts = BCON_NEW("limit", BCON_INT64((int64_t)page.rows_max + 1), "batchSize",
                            BCON_INT64(batch_rows(call->store, page.rows_max + 1)));
    if (page.key == NULL)
        page_sort(&page, opts);
    if (page.brief) {
        bson_t *fields = BCON_NEW("projection", "{", "payload", BCON_INT32(0), "spec",
                                  BCON_INT32(0), "ending", BCON_INT32(0), "}");
        bson_concat(opts, fields);
        bson_destroy(fields);
    }
    page.ret_jobs = arena_alloc(call->mem, (page.rows_max + 1) * sizeof(*page.ret_jobs));
    page.ret_n = 0;
    page.ret_more = false;
    page.ret_next = page.after_id;
    mongoc_cursor_t *cursor = mongo_find(call->store, MONGO_JOBS, query, opts);
    rc = page_fill(call, cursor, low, high, &page);
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(query);
    if (rc < 0)
        return rc;
    if (!page.ret_more && cut) {
        page.ret_more = true;
        page.ret_next = page.newest_first ? low : high - 1;
    }
    call->step->jobs_read = page;
    return 0;
}

/* ---- scanning ------------------------------------------------------------------------------- */

static void scan_part(bson_t *query, const struct ds_scan *scan)
{
    if (scan->batch != NULL)
        BSON_APPEND_UTF8(query, "batch", scan->batch);
}

/* The first unfinished row in [a, b). */
static int scan_stop(struct mongo_call *call, int64_t a, int64_t b, int64_t *ret_id)
{
    bson_t *query = in_range(a, b), part, list;
    bson_t *opts = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}");
    scan_part(query, &call->step->scan);
    BSON_APPEND_DOCUMENT_BEGIN(query, "state", &part);
    BSON_APPEND_ARRAY_BEGIN(&part, "$in", &list);
    BSON_APPEND_UTF8(&list, "0", unfinished[0]);
    BSON_APPEND_UTF8(&list, "1", unfinished[1]);
    BSON_APPEND_UTF8(&list, "2", unfinished[2]);
    bson_append_array_end(&part, &list);
    bson_append_document_end(query, &part);
    int rc = mongo_find_int(call->store, MONGO_JOBS, query, "_id", opts, ret_id);
    bson_destroy(opts);
    bson_destroy(query);
    return rc;
}

/* Counts the rows of [a, b) by state. */
static int scan_count(struct mongo_call *call, struct ds_scan *scan, int64_t a, int64_t b,
                      int64_t *ret_rows)
{
    bson_t *match = in_range(a, b);
    scan_part(match, scan);
    bson_t *pipeline =
        BCON_NEW("0", "{", "$match", BCON_DOCUMENT(match), "}", "1", "{", "$group", "{", "_id",
                 BCON_UTF8("$state"), "n", "{", "$sum", BCON_INT64(1), "}", "}", "}");
    mongoc_cursor_t *cursor = mongo_aggregate(call->store, MONGO_JOBS, pipeline);
    const bson_t *doc;
    bson_iter_t at;
    int rc;
    *ret_rows = 0;
    while ((rc = mongo_next(call->store, cursor, &doc)) == 1) {
        int state = bson_iter_init_find(&at, doc, "_id") && BSON_ITER_HOLDS_UTF8(&at)
                        ? job_state_parse(bson_iter_utf8(&at, NULL))
                        : -1;
        int64_t n = bson_iter_init_find(&at, doc, "n") ? bson_iter_as_int64(&at) : 0;
        if (n < 0 || n > INT32_MAX) {
            rc = mongo_damaged(call->store, MONGO_JOBS, a);
            break;
        }
        if (state >= 0)
            scan->ret_counts[state] += n;
        *ret_rows += n;
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(pipeline);
    bson_destroy(match);
    return rc;
}

/* The common case, a quarter of the work for the server: all of them done. *ret_n: those. */
static int scan_done(struct mongo_call *call, int64_t a, int64_t b, int64_t *ret_n)
{
    bson_t *query = in_range(a, b);
    BSON_APPEND_UTF8(query, "state", "done");
    int rc = mongo_count(call->store, MONGO_JOBS, query, ret_n);
    bson_destroy(query);
    return rc;
}

/* A batch's ids lie far apart: the end of the next LOOKED_ROWS_MAX of its rows. */
static int scan_window(struct mongo_call *call, struct ds_scan *scan, int64_t *ret_end)
{
    if (scan->batch == NULL) {
        int64_t most = scan->range.a + LOOKED_ROWS_MAX;
        *ret_end = most < scan->range.b ? most : scan->range.b;
        return 0;
    }
    bson_t *query = in_range(scan->range.a, INT64_MAX);
    bson_t *opts =
        BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}", "skip", BCON_INT64(LOOKED_ROWS_MAX));
    scan_part(query, scan);
    *ret_end = INT64_MAX;
    int rc = mongo_find_int(call->store, MONGO_JOBS, query, "_id", opts, ret_end);
    bson_destroy(opts);
    bson_destroy(query);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int mongo_scan(struct mongo_call *call)
{
    struct ds_scan scan = {.range = call->step->scan.range, .batch = call->step->scan.batch};
    int64_t end, stop, rows = 0;
    if (scan.batch == NULL && !range_valid(scan.range))
        return ERR_INVALID;
    int rc = scan_window(call, &scan, &end);
    if (rc < 0)
        return rc;
    rc = scan_stop(call, scan.range.a, end, &stop);
    if (rc < 0 && rc != ERR_NOT_FOUND)
        return rc;
    if (end < scan.range.a || (rc == 0 && (stop < scan.range.a || stop >= end)))
        return mongo_damaged(call->store, MONGO_JOBS, scan.range.a); /* not what was asked for */
    scan.ret_stopped = rc == 0;
    scan.ret_next = rc == 0 ? stop : end;
    int64_t ids = scan.ret_next - scan.range.a;
    rc = 0;
    if (ids > 0 && scan.batch == NULL)
        rc = scan_done(call, scan.range.a, scan.ret_next, &rows);
    if (rc == 0 && ids > 0 && rows == ids)
        scan.ret_counts[JOB_DONE] = rows;
    else if (rc == 0 && ids > 0)
        rc = scan_count(call, &scan, scan.range.a, scan.ret_next, &rows);
    if (rc < 0)
        return rc;
    if (scan.batch == NULL)
        scan.ret_missing = scan.ret_next - scan.range.a - rows;
    call->step->scan = scan;
    return 0;
}
