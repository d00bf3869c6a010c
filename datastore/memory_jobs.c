/* The memory datastore's jobs: rows by id in each lane, unique keys, chunks of bulk submits.
 *
 * Rows and what they point to lie in one arena of the store: jobs are never deleted here. Only
 * endings that keep earlier runs are replaced again and again; each of those has its own.
 * Invariants: at most one unfinished row has a given key; the tree of keys holds unfinished rows
 * only. Thread: the caller's, under the store's lock. */
#include <assert.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/memory_store.h"
#include "datastore/steps.h"

enum { SCAN_ROWS_MAX = 65536 }; /* rows that one DS_SCAN looks at */

static bool unfinished(const struct job *job)
{
    return job->state == JOB_QUEUED || job->state == JOB_SCHEDULED || job->state == JOB_BLOCKED;
}

static struct row *row_find(const struct memory_store *store, int64_t id)
{
    const struct lane_record *lane = memory_lane(store, id_lane(id));
    return lane != NULL ? keyed_find(&lane->rows, id) : NULL;
}

/* ---- unique keys ---------------------------------------------------------------------------- */

static int key_compare(const void *a, const void *b)
{
    const struct row *row_a = a, *row_b = b;
    return strcmp(row_a->job.spec->key, row_b->job.spec->key);
}

static bool keyed_job(const struct job *job)
{
    return job->spec != NULL && job->spec->key != NULL && unfinished(job);
}

/* To be called before a row's state changes to a finished one. */
static void key_drop(struct memory_store *store, const struct row *row)
{
    if (keyed_job(&row->job))
        tdelete(row, &store->unique, key_compare);
}

/* ---- insert --------------------------------------------------------------------------------- */

static int64_t insert_id(const struct memory_call *call, size_t i)
{
    return step_insert_id(&call->step->insert, call->before, i);
}

static int lane_tail(void *ctx, int32_t number, int64_t *ret_tail)
{
    const struct lane_record *lane = memory_lane(ctx, number);
    if (lane != NULL)
        *ret_tail = lane->lane.tail;
    return lane != NULL ? 0 : ERR_NOT_FOUND;
}

static int insert_row(struct memory_call *call, const struct job *job, int64_t id)
{
    struct memory_store *store = call->store;
    struct keyed_array *rows = &memory_lane(store, id_lane(id))->rows;
    size_t at = keyed_at(rows, id);
    if (at < rows->n && rows->items[at]->key == id)
        return ((struct row *)rows->items[at])->job.token == job->token ? 0 : ERR_DUPLICATE;
    if (keyed_job(job) && tfind(&(struct row){.job = *job}, &store->unique, key_compare) != NULL)
        return ERR_DUPLICATE;
    struct row *row = arena_alloc(&store->jobs, sizeof(*row));
    row->keyed.key = id;
    row->job = job_copy(job, &store->jobs);
    row->job.id = id;
    if (row->job.created_ms == 0)
        row->job.created_ms = call->utc_ms;
    keyed_insert(rows, at, &row->keyed);
    if (keyed_job(&row->job) && tsearch(row, &store->unique, key_compare) == NULL)
        abort();
    return 0;
}

/* Index of the first chunk that is not below (submit, index). */
static size_t chunk_at(const struct memory_store *store, const char *submit, int64_t index)
{
    size_t low = 0, high = store->n_chunks;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct submit_chunk *chunk = &store->chunks[middle];
        int order = strcmp(chunk->submit, submit);
        if (order < 0 || (order == 0 && chunk->index < index))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* NULL: it is not there. */
static const struct submit_chunk *chunk_find(const struct memory_store *store,
                                             const struct submit_chunk *chunk)
{
    size_t at = chunk_at(store, chunk->submit, chunk->index);
    bool there = at < store->n_chunks && store->chunks[at].index == chunk->index &&
                 strcmp(store->chunks[at].submit, chunk->submit) == 0;
    return there ? &store->chunks[at] : NULL;
}

static void chunk_add(struct memory_store *store, const struct submit_chunk *chunk, int64_t id)
{
    if (chunk_find(store, chunk) != NULL)
        return;
    if (store->n_chunks == store->chunks_capacity) {
        store->chunks_capacity = store->chunks_capacity > 0 ? store->chunks_capacity * 2 : 16;
        store->chunks = realloc(store->chunks, store->chunks_capacity * sizeof(*store->chunks));
        assert(store->chunks != NULL);
    }
    size_t at = chunk_at(store, chunk->submit, chunk->index);
    memmove(store->chunks + at + 1, store->chunks + at,
            (store->n_chunks - at) * sizeof(*store->chunks));
    store->chunks[at] = *chunk;
    store->chunks[at].submit = arena_string(&store->jobs, chunk->submit);
    store->chunks[at].id = id;
    store->n_chunks++;
}

static int chunk_check(const struct memory_call *call, const struct submit_chunk *chunk)
{
    size_t len = chunk->submit != NULL ? strlen(chunk->submit) : 0;
    if (len < 1 || len > LIMIT_NAME_BYTES || chunk->index < 0 || chunk->count < 1)
        return ERR_INVALID;
    const struct submit_chunk *there = chunk_find(call->store, chunk);
    return there != NULL && there->id != insert_id(call, 0) ? ERR_DUPLICATE : 0;
}

/* The first row, and the chunk with it. ERR_DUPLICATE: nothing may be written. */
static int chunk_begin(struct memory_call *call, int32_t *ret_rc)
{
    const struct ds_insert *insert = &call->step->insert;
    int64_t id = insert_id(call, 0);
    struct job stand_in = {
        .state = JOB_VOID, .run = 1, .type = "void", .token = -insert->jobs[0].token};
    *ret_rc = insert_row(call, &insert->jobs[0], id);
    if (*ret_rc != 0 && insert_row(call, &stand_in, id) != 0)
        return ERR_DUPLICATE;
    chunk_add(call->store, insert->chunk, id);
    return 0;
}

int memory_insert(struct memory_call *call)
{
    struct ds_insert *insert = &call->step->insert;
    int rc = step_insert_check(insert, call->before, lane_tail, call->store, call->err);
    if (rc < 0)
        return rc;
    if (insert->chunk != NULL)
        rc = chunk_check(call, insert->chunk);
    if (rc < 0)
        return rc;
    insert->ret_rc = arena_alloc(call->mem, insert->n_jobs * sizeof(*insert->ret_rc));
    bool taken = insert->chunk != NULL && chunk_begin(call, &insert->ret_rc[0]) != 0;
    for (size_t i = insert->chunk != NULL; i < insert->n_jobs; i++)
        insert->ret_rc[i] =
            taken ? ERR_DUPLICATE : insert_row(call, &insert->jobs[i], insert_id(call, i));
    return 0;
}

int memory_chunks_add(struct memory_call *call)
{
    const struct ds_chunks_add *add = &call->step->chunks_add;
    if (call->store->meta.copying[0] == '\0')
        return ERR_CONFLICT;
    for (size_t i = 0; i < add->n; i++) {
        if (row_find(call->store, add->chunks[i].id) == NULL)
            return ERR_NOT_FOUND;
        chunk_add(call->store, &add->chunks[i], add->chunks[i].id);
    }
    return 0;
}

int memory_submits_read(struct memory_call *call)
{
    struct ds_submits_read *read = &call->step->submits_read;
    const struct memory_store *store = call->store;
    if (read->rows_max < 1)
        return ERR_INVALID;
    size_t n = 0, most = store->n_chunks < read->rows_max ? store->n_chunks : read->rows_max;
    const char **submits = arena_alloc(call->mem, most * sizeof(*submits)), *last = read->after;
    for (size_t i = 0; i < store->n_chunks && n < most; i++) {
        const char *submit = store->chunks[i].submit;
        if (last == NULL || strcmp(submit, last) > 0)
            last = submits[n++] = arena_string(call->mem, submit);
    }
    read->ret_submits = submits;
    read->ret_n = n;
    return 0;
}

/* Whether a row stands for its job of the submit. Where there is none, none will be. */
static bool chunk_row_there(struct memory_call *call, int64_t id)
{
    struct job none = {.state = JOB_VOID, .run = 1, .type = "void"};
    const struct row *row = row_find(call->store, id);
    if (row == NULL)
        return insert_row(call, &none, id) != 0;
    /* A void with another token is of a node, or of whoever gave the id up. */
    return row->job.state != JOB_VOID || row->job.token < 0;
}

/* Adds the runs of the chunk's rows that are there to `runs`; how many. */
static size_t chunk_runs(struct memory_call *call, const struct submit_chunk *chunk,
                         struct submit_chunk *runs)
{
    size_t n = 0;
    bool before = false;
    for (int64_t i = 0; i < chunk->count; i++) {
        bool there = chunk_row_there(call, chunk->id + i);
        if (there && !before) {
            runs[n] = *chunk;
            runs[n].index += i;
            runs[n].id += i;
            runs[n++].count = 0;
        }
        if (there)
            runs[n - 1].count++;
        before = there;
    }
    for (size_t i = 0; i < n; i++) {
        runs[i].cut = chunk->cut || runs[i].count < chunk->count;
        runs[i].last = chunk->last && runs[i].id + runs[i].count == chunk->id + chunk->count;
    }
    return n;
}

static int chunk_order(const void *a, const void *b)
{
    const struct submit_chunk *chunk_a = a, *chunk_b = b;
    return (chunk_a->index > chunk_b->index) - (chunk_a->index < chunk_b->index);
}

int memory_submit_find(struct memory_call *call)
{
    struct ds_submit_find *find = &call->step->submit_find;
    const struct memory_store *store = call->store;
    size_t from = chunk_at(store, find->submit, INT64_MIN), to = from;
    while (to < store->n_chunks && strcmp(store->chunks[to].submit, find->submit) == 0)
        to++;
    size_t runs_max = 0;
    for (size_t i = from; i < to; i++)
        runs_max += (size_t)store->chunks[i].count / 2 + 1;
    find->ret_n = 0;
    find->ret_chunks = arena_alloc(call->mem, runs_max * sizeof(*find->ret_chunks));
    for (size_t i = from; i < to; i++)
        find->ret_n += chunk_runs(call, &store->chunks[i], find->ret_chunks + find->ret_n);
    for (size_t i = 0; i < find->ret_n; i++)
        find->ret_chunks[i].submit = arena_string(call->mem, find->ret_chunks[i].submit);
    /* A chunk that fills a gap comes after the one that has it. */
    qsort(find->ret_chunks, find->ret_n, sizeof(*find->ret_chunks), chunk_order);
    return 0;
}

/* ---- outcomes ------------------------------------------------------------------------------- */

/* Replaces the row's columns by those of `job`, whose ending lies elsewhere. */
static void row_put(struct memory_store *store, struct row *row, const struct job *job)
{
    struct arena trace_mem = {0};
    struct job put = *job;
    if (job->ending != NULL) {
        struct arena *mem = job->ending->n_trace > 0 ? &trace_mem : &store->jobs;
        put.ending = job_copy(&(struct job){.ending = job->ending}, mem).ending;
    }
    if (!unfinished(&put))
        key_drop(store, row);
    row->job = put;
    arena_release(&row->trace_mem);
    row->trace_mem = trace_mem;
}

int memory_finish(struct memory_call *call)
{
    struct ds_finish *finish = &call->step->finish;
    int rc = step_finish_check(finish);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < finish->n; i++) {
        struct outcome *outcome = &finish->outcomes[i];
        outcome->ret_accepted = 0;
        for (int64_t id = outcome->id; id < outcome->id + outcome->count; id++) {
            struct row *row = row_find(call->store, id);
            if (row == NULL)
                continue;
            struct job job = row->job;
            if (!step_finish(&job, outcome, call->mem))
                continue;
            row_put(call->store, row, &job);
            outcome->ret_accepted++;
            outcome->ret_state = job.state;
        }
    }
    return 0;
}

int memory_cancel(struct memory_call *call)
{
    struct ds_cancel *cancel = &call->step->cancel;
    struct row *row = row_find(call->store, cancel->id);
    if (row == NULL)
        return ERR_NOT_FOUND;
    struct job job = row->job;
    int rc = step_cancel(&job, cancel, call->utc_ms);
    if (rc < 0)
        return rc;
    key_drop(call->store, row); /* the ending stays: only columns changed */
    row->job = job;
    return 0;
}

/* ---- reads ---------------------------------------------------------------------------------- */

static bool range_valid(struct range range)
{
    return range.a >= 0 && range.a <= range.b &&
           (range.a == range.b || id_lane(range.a) == id_lane(range.b - 1));
}

int memory_load(struct memory_call *call)
{
    struct ds_load *load = &call->step->load;
    if (!range_valid(load->range) || load->rows_max < 1 || load->rows_max > LIMIT_PAGE_JOBS)
        return ERR_INVALID;
    load->ret_jobs = NULL;
    load->ret_n = 0;
    load->ret_next = load->range.b;
    const struct lane_record *lane = memory_lane(call->store, id_lane(load->range.a));
    if (lane == NULL)
        return 0;
    size_t ids = (size_t)range_count(load->range);
    size_t most = ids < load->rows_max ? ids : load->rows_max;
    load->ret_jobs = arena_alloc(call->mem, most * sizeof(*load->ret_jobs));
    size_t bytes = 0;
    for (size_t at = keyed_at(&lane->rows, load->range.a);
         at < lane->rows.n && lane->rows.items[at]->key < load->range.b; at++) {
        const struct job *job = &((const struct row *)lane->rows.items[at])->job;
        if (load->ret_n == load->rows_max || bytes >= LIMIT_PAGE_BYTES) {
            load->ret_next = job->id;
            return 0;
        }
        bytes += load->brief ? 0 : job_bytes(job);
        load->ret_jobs[load->ret_n++] = load->brief ? (struct job){.id = job->id,
                                                                   .state = job->state,
                                                                   .run = job->run,
                                                                   .slot = job->slot}
                                                    : job_copy(job, call->mem);
    }
    return 0;
}

static bool text_matches(const char *wanted, const char *text)
{
    return wanted == NULL || (text != NULL && strcmp(wanted, text) == 0);
}

static bool job_matches(const struct ds_jobs_read *read, const struct job *job)
{
    return job->state != JOB_VOID && job->state != JOB_SLOT &&
           (read->states == 0 || (read->states & 1U << job->state) != 0) &&
           text_matches(read->type, job->type) && text_matches(read->batch, job->batch) &&
           (read->node == 0 || read->node == job->node) &&
           (read->key == NULL ||
            (unfinished(job) && job->spec != NULL && text_matches(read->key, job->spec->key)));
}

/* Adds a row to the page where it matches; false: the page was full before it. */
static bool page_add(struct ds_jobs_read *read, const struct job *job, struct arena *mem)
{
    if (!job_matches(read, job))
        return true;
    if (read->ret_n == read->rows_max) {
        read->ret_more = true;
        return false;
    }
    struct job seen = *job;
    if (read->brief) {
        seen.payload = (struct bytes){0};
        seen.spec = NULL;
        seen.ending = NULL;
    }
    read->ret_jobs[read->ret_n++] = job_copy(&seen, mem);
    read->ret_next = job->id;
    return true;
}

int memory_jobs_read(struct memory_call *call)
{
    struct ds_jobs_read *read = &call->step->jobs_read;
    const struct memory_store *store = call->store;
    if (!range_valid(read->range) || read->rows_max < 1 || read->rows_max > LIMIT_PAGE_JOBS)
        return ERR_INVALID;
    bool all = read->range.a == 0 && read->range.b == 0;
    int64_t low = read->range.a, high = all ? INT64_MAX : read->range.b;
    if (read->after_id != 0 && read->newest_first && read->after_id < high)
        high = read->after_id;
    if (read->after_id != 0 && !read->newest_first && read->after_id >= low)
        low = read->after_id + 1;
    read->ret_jobs = arena_alloc(call->mem, read->rows_max * sizeof(*read->ret_jobs));
    read->ret_n = 0;
    read->ret_more = false;
    read->ret_next = read->after_id;
    for (size_t i = 0; i < store->n_lanes; i++) {
        size_t number = read->newest_first ? store->n_lanes - 1 - i : i;
        const struct keyed_array *rows = &store->lanes[number]->rows;
        size_t from = keyed_at(rows, low), to = keyed_at(rows, high);
        for (size_t k = from; k < to; k++) {
            size_t at = read->newest_first ? from + to - 1 - k : k;
            if (!page_add(read, &((const struct row *)rows->items[at])->job, call->mem))
                return 0;
        }
    }
    return 0;
}

/* Looks at one lane's rows in [from, b); true: an unfinished one stopped it, or the bound did. */
static bool scan_rows(struct ds_scan *scan, const struct keyed_array *rows, int64_t from, int64_t b,
                      size_t *left)
{
    int64_t next = from; /* ids of the range before it are accounted for */
    for (size_t at = keyed_at(rows, from); at < rows->n && rows->items[at]->key < b; at++) {
        const struct job *job = &((const struct row *)rows->items[at])->job;
        bool counts = text_matches(scan->batch, job->batch);
        scan->ret_missing += scan->batch == NULL ? job->id - next : 0;
        scan->ret_stopped = counts && unfinished(job);
        if (scan->ret_stopped || *left == 0) {
            scan->ret_next = job->id;
            return true;
        }
        --*left;
        scan->ret_counts[job->state] += counts;
        next = job->id + 1;
    }
    scan->ret_missing += scan->batch == NULL ? b - next : 0;
    return false;
}

int memory_scan(struct memory_call *call)
{
    struct ds_scan *scan = &call->step->scan;
    const struct memory_store *store = call->store;
    if (scan->batch == NULL && !range_valid(scan->range))
        return ERR_INVALID;
    *scan = (struct ds_scan){.range = scan->range, .batch = scan->batch};
    size_t left = SCAN_ROWS_MAX;
    if (scan->batch == NULL) {
        const struct lane_record *lane = memory_lane(store, id_lane(scan->range.a));
        const struct keyed_array none = {0};
        if (!scan_rows(scan, lane != NULL ? &lane->rows : &none, scan->range.a, scan->range.b,
                       &left))
            scan->ret_next = scan->range.b;
        return 0;
    }
    for (size_t i = 0; i < store->n_lanes; i++)
        if (scan_rows(scan, &store->lanes[i]->rows, scan->range.a, INT64_MAX, &left))
            return 0;
    scan->ret_next = INT64_MAX;
    return 0;
}

void memory_jobs_clear(struct memory_store *store)
{
    while (store->unique != NULL)
        tdelete(*(void **)store->unique, &store->unique, key_compare);
    for (size_t i = 0; i < store->n_lanes; i++) {
        struct lane_record *lane = store->lanes[i];
        for (size_t at = 0; at < lane->rows.n; at++)
            arena_release(&((struct row *)lane->rows.items[at])->trace_mem);
        free(lane->rows.items);
        free(lane);
    }
    free(store->chunks);
    arena_release(&store->jobs);
}
