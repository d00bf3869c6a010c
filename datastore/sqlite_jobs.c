/* The SQLite backend's job rows: inserting, outcomes, loading, listing, scanning.
 *
 * Two paths are hot. Inserting binds one statement over and over. Outcomes that are alike and carry
 * nothing beyond their times are one UPDATE over their range of ids; where that finds fewer rows
 * than there are, the rest goes row by row through the shared step (datastore/steps.h), which is
 * also the way of every other outcome.
 * Invariants: I2, I4 (kept by the guard in the statement, and by step_finish); `ukey` is set in
 * unfinished rows only. Thread: the handle's. */
#include <assert.h>
#include <stdio.h>

#include "datastore/record_bson.h"
#include "datastore/steps.h"

#include "datastore/sqlite_store.h"

enum {
    ROW_BYTES = 64,         /* what a row costs beside its blobs, roughly */
    CLOCK_EVERY_ROWS = 256, /* how often a long read looks at the clock */
    SCAN_ROWS_MAX = 65536,
};

static bool unfinished(enum job_state state)
{
    return state == JOB_QUEUED || state == JOB_SCHEDULED || state == JOB_BLOCKED;
}

static void bind_time(sqlite3_stmt *stmt, int at, int64_t ms)
{
    bind_int(stmt, at, ms != 0 ? ms : NO_TIME);
}

static void bind_nonzero(sqlite3_stmt *stmt, int at, int64_t value)
{
    if (value != 0)
        bind_int(stmt, at, value);
    else
        sqlite3_bind_null(stmt, at);
}

static const char *unique_key(const struct job *job)
{
    return unfinished(job->state) && job->spec != NULL ? job->spec->key : NULL;
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* Types and batches repeat from row to row: each text is kept once for a page. */
struct interned {
    const char *text[LIMIT_TYPES];
    size_t len[LIMIT_TYPES];
    size_t n, last;
};

static const char *intern(struct interned *seen, const unsigned char *text, int bytes,
                          struct arena *mem)
{
    if (text == NULL)
        return NULL;
    size_t len = (size_t)bytes;
    if (seen->n > 0 && seen->len[seen->last] == len &&
        memcmp(seen->text[seen->last], text, len) == 0)
        return seen->text[seen->last];
    for (size_t i = 0; i < seen->n; i++)
        if (seen->len[i] == len && memcmp(seen->text[i], text, len) == 0)
            return seen->text[seen->last = i];
    size_t at = seen->n < LIMIT_TYPES ? seen->n++ : 0;
    seen->text[at] = arena_string_n(mem, (const char *)text, len);
    seen->len[at] = len;
    seen->last = at;
    return seen->text[at];
}

static int64_t column_time(sqlite3_stmt *stmt, int at)
{
    int64_t ms = sqlite3_column_int64(stmt, at);
    return ms == NO_TIME ? 0 : ms;
}

static enum job_state column_state(sqlite3_stmt *stmt, int at)
{
    int state = sqlite3_column_int(stmt, at) - JOB_STATE_BASE;
    return state >= 0 && state < JOB_STATES ? (enum job_state)state : JOB_VOID;
}

/* How much of a row is read. */
enum row_parts {
    ROW_BRIEF,  /* without payload, spec and ending */
    ROW_RECORD, /* without payload: what the steps look at */
    ROW_WHOLE,
};

static int job_row_blobs(struct sqlite_call *call, sqlite3_stmt *stmt, struct job *job)
{
    struct bytes spec = column_bytes(stmt, 15), ending = column_bytes(stmt, 16);
    int rc = 0;
    if (spec.len > 0)
        rc = spec_decode(spec, call->mem, &job->spec);
    if (rc == 0 && ending.len > 0)
        rc = ending_decode(ending, call->mem, &job->ending);
    return rc < 0 ? sql_damaged(call->store, "job", job->id) : 0;
}

/* A row of JOB_COLUMNS. */
static int job_row(struct sqlite_call *call, sqlite3_stmt *stmt, struct interned *seen,
                   enum row_parts parts, struct job *ret_job)
{
    int64_t node = sqlite3_column_int64(stmt, 9);
    *ret_job = (struct job){.id = sqlite3_column_int64(stmt, 0),
                            .state = column_state(stmt, 1),
                            .run = sqlite3_column_int(stmt, 2),
                            .type = intern(seen, sqlite3_column_text(stmt, 3),
                                           sqlite3_column_bytes(stmt, 3), call->mem),
                            .token = sqlite3_column_int64(stmt, 5),
                            .created_ms = sqlite3_column_int64(stmt, 6),
                            .started_ms = column_time(stmt, 7),
                            .finished_ms = column_time(stmt, 8),
                            .node = node == NO_NODE ? 0 : node,
                            .interruptions = sqlite3_column_int(stmt, 10),
                            .argv = arena_bytes(call->mem, column_bytes(stmt, 11)),
                            .slot = sqlite3_column_int64(stmt, 12),
                            .due_ms = sqlite3_column_int64(stmt, 13),
                            .batch = intern(seen, sqlite3_column_text(stmt, 14),
                                            sqlite3_column_bytes(stmt, 14), call->mem)};
    if (parts == ROW_WHOLE)
        ret_job->payload = arena_bytes(call->mem, column_bytes(stmt, 4));
    return parts == ROW_BRIEF ? 0 : job_row_blobs(call, stmt, ret_job);
}

/* 1 found, 0 not there, or a code. */
static int job_get(struct sqlite_call *call, int64_t id, struct interned *seen,
                   enum row_parts parts, struct job *ret_job)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_JOB_GET);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, id);
    int rc = sql_step(call->store, stmt);
    if (rc <= 0)
        return rc;
    rc = job_row(call, stmt, seen, parts, ret_job);
    sqlite3_reset(stmt);
    return rc < 0 ? rc : 1;
}

/* Writes what may change in a row. */
static int job_put(struct sqlite_call *call, const struct job *job)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_JOB_PUT);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    struct bytes ending = {0};
    if (job->ending != NULL)
        ending = ending_encode(job->ending, call->mem);
    bind_int(stmt, 1, job->id);
    bind_int(stmt, 2, (int)job->state + JOB_STATE_BASE);
    bind_int(stmt, 3, job->run);
    bind_time(stmt, 4, job->started_ms);
    bind_time(stmt, 5, job->finished_ms);
    bind_int(stmt, 6, job->node != 0 ? job->node : NO_NODE);
    bind_int(stmt, 7, job->interruptions);
    bind_nonzero(stmt, 8, job->slot);
    bind_nonzero(stmt, 9, job->due_ms);
    bind_bytes(stmt, 10, ending);
    bind_text(stmt, 11, unique_key(job));
    bind_nonzero(stmt, 12, job->state == JOB_FAILED);
    call->store->bytes += ROW_BYTES + ending.len;
    return sql_run(call->store, stmt);
}

/* The column `last`. Chunks of which a part is missing come from stores of other kinds only. */
enum { CHUNK_LAST = 1, CHUNK_CUT = 2 };

static int chunk_flags(const struct submit_chunk *chunk)
{
    return (chunk->last ? CHUNK_LAST : 0) | (chunk->cut ? CHUNK_CUT : 0);
}

/* ---- insert --------------------------------------------------------------------------------- */

static int64_t insert_id(const struct sqlite_call *call, size_t i)
{
    return step_insert_id(&call->step->insert, call->before, i);
}

static int lane_tail(void *ctx, int32_t lane, int64_t *ret_tail)
{
    return sqlite_lane_tail(ctx, lane, ret_tail);
}

/* A blocked job is found by what it waits for. */
static int waits_add(struct sqlite_call *call, const struct job *job, int64_t id)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < job->spec->n_after; i++) {
        sqlite3_stmt *stmt = sql_use(call->store, SQL_WAIT_ADD);
        if (stmt == NULL)
            return ERR_UNAVAILABLE;
        bind_int(stmt, 1, job->spec->after[i]);
        bind_int(stmt, 2, id);
        rc = sql_run(call->store, stmt);
    }
    return rc;
}

/* Why a row was not inserted: one's own earlier try (0), or ERR_DUPLICATE; else a code. */
static int insert_refused(struct sqlite_call *call, const struct job *job, int64_t id)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_JOB_TOKEN);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, id);
    int rc = sql_step(call->store, stmt);
    if (rc < 0)
        return rc;
    bool own = rc == 1 && sqlite3_column_int64(stmt, 0) == job->token;
    sqlite3_reset(stmt);
    return own ? 0 : ERR_DUPLICATE;
}

static int insert_row(struct sqlite_call *call, sqlite3_stmt *stmt, const struct job *job,
                      int64_t id)
{
    struct sqlite_store *store = call->store;
    struct bytes spec = {0}, ending = {0};
    if (job->spec != NULL)
        spec = spec_encode(job->spec, call->mem);
    if (job->ending != NULL)
        ending = ending_encode(job->ending, call->mem);
    bind_int(stmt, 1, id);
    bind_int(stmt, 2, (int)job->state + JOB_STATE_BASE);
    bind_int(stmt, 3, job->run);
    bind_text(stmt, 4, job->type);
    bind_bytes(stmt, 5, job->payload);
    bind_int(stmt, 6, job->token);
    bind_int(stmt, 7, job->created_ms != 0 ? job->created_ms : call->utc_ms);
    bind_time(stmt, 8, job->started_ms);
    bind_time(stmt, 9, job->finished_ms);
    bind_int(stmt, 10, job->node != 0 ? job->node : NO_NODE);
    bind_int(stmt, 11, job->interruptions);
    bind_bytes(stmt, 12, job->argv);
    bind_nonzero(stmt, 13, job->slot);
    bind_nonzero(stmt, 14, job->due_ms);
    bind_text(stmt, 15, job->batch);
    bind_bytes(stmt, 16, spec);
    bind_bytes(stmt, 17, ending);
    bind_text(stmt, 18, unique_key(job));
    bind_nonzero(stmt, 19, job->state == JOB_FAILED);
    store->bytes += ROW_BYTES + job->payload.len + job->argv.len + spec.len + ending.len;
    int rc = sql_run(store, stmt);
    if (rc < 0)
        return rc;
    if (sqlite3_changes(store->db) == 0)
        return insert_refused(call, job, id);
    return job->state == JOB_BLOCKED && job->spec != NULL ? waits_add(call, job, id) : 0;
}

static int chunk_check(struct sqlite_call *call, const struct submit_chunk *chunk)
{
    size_t len = chunk->submit != NULL ? strlen(chunk->submit) : 0;
    if (len < 1 || len > LIMIT_NAME_BYTES || chunk->index < 0 || chunk->count < 1)
        return ERR_INVALID;
    sqlite3_stmt *stmt = sql_use(call->store, SQL_CHUNK_THERE);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_text(stmt, 1, chunk->submit);
    bind_int(stmt, 2, chunk->index);
    int rc = sql_step(call->store, stmt);
    bool same = rc == 1 && sqlite3_column_int64(stmt, 0) == insert_id(call, 0);
    sqlite3_reset(stmt);
    return rc == 1 && !same ? ERR_DUPLICATE : rc < 0 ? rc : 0;
}

int sqlite_chunk_add(struct sqlite_call *call, const struct submit_chunk *chunk, int64_t id)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_CHUNK_ADD);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_text(stmt, 1, chunk->submit);
    bind_int(stmt, 2, chunk->index);
    bind_int(stmt, 3, id);
    bind_int(stmt, 4, chunk->count);
    bind_int(stmt, 5, chunk_flags(chunk));
    return sql_run(call->store, stmt);
}

static int row_add(struct sqlite_call *call, const struct job *job, int64_t id)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_JOB_ADD);
    return stmt != NULL ? insert_row(call, stmt, job, id) : ERR_UNAVAILABLE;
}

/* The first row, and the chunk with it. *ret_taken: another has the id, nothing may be written. */
static int chunk_begin(struct sqlite_call *call, int32_t *ret_code, bool *ret_taken)
{
    const struct ds_insert *insert = &call->step->insert;
    int64_t id = insert_id(call, 0);
    struct job stand_in = {
        .state = JOB_VOID, .run = 1, .type = "void", .token = -insert->jobs[0].token};
    *ret_code = row_add(call, &insert->jobs[0], id);
    int rc = *ret_code == ERR_DUPLICATE ? row_add(call, &stand_in, id) : *ret_code;
    *ret_taken = rc == ERR_DUPLICATE;
    return *ret_taken ? 0 : rc < 0 ? rc : sqlite_chunk_add(call, insert->chunk, id);
}

int sqlite_insert(struct sqlite_call *call)
{
    struct ds_insert *insert = &call->step->insert;
    int rc = step_insert_check(insert, call->before, lane_tail, call->store, call->err);
    if (rc == 0 && insert->chunk != NULL)
        rc = chunk_check(call, insert->chunk);
    if (rc < 0)
        return rc;
    bool taken = false;
    int32_t *codes = arena_alloc(call->mem, insert->n_jobs * sizeof(*codes));
    if (insert->chunk != NULL)
        rc = chunk_begin(call, &codes[0], &taken);
    for (size_t i = insert->chunk != NULL; rc == 0 && i < insert->n_jobs; i++) {
        codes[i] = taken ? ERR_DUPLICATE : row_add(call, &insert->jobs[i], insert_id(call, i));
        if (call->store->trouble != SQLITE_OK)
            rc = codes[i];
    }
    insert->ret_rc = codes;
    return rc;
}

int sqlite_submit_find(struct sqlite_call *call)
{
    struct ds_submit_find *find = &call->step->submit_find;
    sqlite3_stmt *stmt = sql_use(call->store, SQL_CHUNKS_FIND);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_text(stmt, 1, find->submit);
    const char *submit = arena_string(call->mem, find->submit);
    struct submit_chunk *chunks = NULL;
    size_t n = 0, capacity = 0;
    int rc;
    while ((rc = sql_step(call->store, stmt)) == 1) {
        chunks = arena_grow(call->mem, chunks, n, &capacity, sizeof(*chunks));
        chunks[n++] = (struct submit_chunk){.submit = submit,
                                            .index = sqlite3_column_int64(stmt, 0),
                                            .id = sqlite3_column_int64(stmt, 1),
                                            .count = sqlite3_column_int64(stmt, 2),
                                            .last = (sqlite3_column_int(stmt, 3) & CHUNK_LAST) != 0,
                                            .cut = (sqlite3_column_int(stmt, 3) & CHUNK_CUT) != 0};
    }
    if (rc < 0)
        return rc;
    find->ret_chunks = chunks;
    find->ret_n = n;
    return 0;
}

/* ---- outcomes ------------------------------------------------------------------------------- */

/* All rows of the range that are as expected and have no unique key, at once. */
static int finish_range(struct sqlite_call *call, struct outcome *outcome)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_JOBS_DONE);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, outcome->id);
    bind_int(stmt, 2, outcome->id + outcome->count - 1);
    bind_time(stmt, 3, outcome->started_ms);
    bind_time(stmt, 4, outcome->finished_ms);
    bind_int(stmt, 5, outcome->node != 0 ? outcome->node : NO_NODE);
    bind_int(stmt, 6, outcome->run);
    int rc = sql_run(call->store, stmt);
    if (rc < 0)
        return rc;
    outcome->ret_accepted = (uint32_t)sqlite3_changes64(call->store->db);
    outcome->ret_state = JOB_DONE;
    call->store->bytes += outcome->ret_accepted * (size_t)ROW_BYTES;
    return 0;
}

static int finish_rows(struct sqlite_call *call, struct outcome *outcome)
{
    for (int64_t id = outcome->id; id < outcome->id + outcome->count; id++) {
        struct job job;
        struct interned seen = {0};
        int rc = job_get(call, id, &seen, ROW_RECORD, &job);
        if (rc < 0)
            return rc;
        if (rc == 0 || !step_finish(&job, outcome, call->mem))
            continue;
        rc = job_put(call, &job);
        if (rc < 0)
            return rc;
        outcome->ret_accepted++;
        outcome->ret_state = job.state;
    }
    return 0;
}

int sqlite_finish(struct sqlite_call *call)
{
    struct ds_finish *finish = &call->step->finish;
    int rc = step_finish_check(finish);
    for (size_t i = 0; rc == 0 && i < finish->n; i++) {
        struct outcome *outcome = &finish->outcomes[i];
        outcome->ret_accepted = 0;
        if (outcome->kind == OUTCOME_DONE && outcome->ending == NULL)
            rc = finish_range(call, outcome);
        if (rc == 0 && outcome->ret_accepted < outcome->count)
            rc = finish_rows(call, outcome);
    }
    return rc;
}

int sqlite_cancel(struct sqlite_call *call)
{
    struct job job;
    struct interned seen = {0};
    int rc = job_get(call, call->step->cancel.id, &seen, ROW_RECORD, &job);
    if (rc <= 0)
        return rc < 0 ? rc : ERR_NOT_FOUND;
    rc = step_cancel(&job, &call->step->cancel, call->utc_ms);
    job.due_ms = 0;
    return rc == 0 ? job_put(call, &job) : rc;
}

/* ---- load ----------------------------------------------------------------------------------- */

static bool range_valid(struct range range)
{
    return range.a >= 0 && range.a <= range.b &&
           (range.a == range.b || id_lane(range.a) == id_lane(range.b - 1));
}

static int load_row(struct sqlite_call *call, sqlite3_stmt *stmt, struct interned *seen,
                    struct job *ret_job)
{
    if (!call->step->load.brief)
        return job_row(call, stmt, seen, ROW_WHOLE, ret_job);
    *ret_job = (struct job){.id = sqlite3_column_int64(stmt, 0),
                            .state = column_state(stmt, 1),
                            .run = sqlite3_column_int(stmt, 2),
                            .slot = sqlite3_column_int64(stmt, 3)};
    return 0;
}

int sqlite_load(struct sqlite_call *call)
{
    struct ds_load *load = &call->step->load;
    if (!range_valid(load->range) || load->rows_max < 1 || load->rows_max > LIMIT_PAGE_JOBS)
        return ERR_INVALID;
    sqlite3_stmt *stmt = sql_use(call->store, load->brief ? SQL_JOBS_BRIEF : SQL_JOBS_LOAD);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, load->range.a);
    bind_int(stmt, 2, load->range.b);
    size_t most = load->rows_max;
    if (range_count(load->range) < (int64_t)most)
        most = (size_t)range_count(load->range);
    struct job *jobs = arena_alloc(call->mem, (most + 1) * sizeof(*jobs));
    struct interned seen = {0};
    size_t n = 0, bytes = 0;
    int64_t next = load->range.b;
    int rc;
    while ((rc = sql_step(call->store, stmt)) == 1) {
        if (n == load->rows_max || bytes >= LIMIT_PAGE_BYTES) {
            next = sqlite3_column_int64(stmt, 0);
            break;
        }
        rc = load_row(call, stmt, &seen, &jobs[n]);
        if (rc < 0)
            break;
        bytes += job_bytes(&jobs[n++]);
    }
    sqlite3_reset(stmt);
    if (rc < 0)
        return rc;
    load->ret_jobs = jobs;
    load->ret_n = n;
    load->ret_next = next;
    return 0;
}

/* ---- listing -------------------------------------------------------------------------------- */

static bool column_is(sqlite3_stmt *stmt, int at, const char *wanted)
{
    if (wanted == NULL)
        return true;
    const unsigned char *text = sqlite3_column_text(stmt, at);
    return text != NULL && strcmp((const char *)text, wanted) == 0;
}

static bool page_matches(const struct ds_jobs_read *read, sqlite3_stmt *stmt)
{
    enum job_state state = column_state(stmt, 1);
    return state != JOB_VOID && state != JOB_SLOT &&
           (read->states == 0 || (read->states & 1U << state) != 0) &&
           column_is(stmt, 2, read->type) && column_is(stmt, 3, read->batch) &&
           (read->node == 0 || read->node == sqlite3_column_int64(stmt, 4));
}

/* The shortest way to the rows asked for. */
static enum sql_id page_sql(const struct ds_jobs_read *read)
{
    if (read->key != NULL)
        return SQL_PAGE_KEY; /* at most one row: no order to speak of */
    if (read->batch != NULL)
        return read->newest_first ? SQL_PAGE_BATCH_DOWN : SQL_PAGE_BATCH_UP;
    if (read->states == 1U << JOB_FAILED)
        return read->newest_first ? SQL_PAGE_FAILED_DOWN : SQL_PAGE_FAILED_UP;
    return read->newest_first ? SQL_PAGE_DOWN : SQL_PAGE_UP;
}

static sqlite3_stmt *page_open(struct sqlite_call *call)
{
    const struct ds_jobs_read *read = &call->step->jobs_read;
    bool all = read->range.a == 0 && read->range.b == 0;
    int64_t low = read->range.a, high = all ? INT64_MAX : read->range.b;
    if (read->after_id != 0 && read->newest_first && read->after_id < high)
        high = read->after_id;
    if (read->after_id != 0 && !read->newest_first && read->after_id >= low)
        low = read->after_id + 1;
    sqlite3_stmt *stmt = sql_use(call->store, page_sql(read));
    if (stmt == NULL)
        return NULL;
    bind_int(stmt, 1, low);
    bind_int(stmt, 2, high);
    if (read->key != NULL || read->batch != NULL)
        bind_text(stmt, 3, read->key != NULL ? read->key : read->batch);
    return stmt;
}

/* Rows are told by a few columns first; only those of the page are read whole. */
static int page_fill(struct sqlite_call *call, sqlite3_stmt *stmt, struct ds_jobs_read *page)
{
    struct interned seen = {0};
    int64_t began_ms = clock_now_ms(CLOCK_MONOTONIC);
    size_t looked = 0, bytes = 0;
    int rc;
    while ((rc = sql_step(call->store, stmt)) == 1) {
        int64_t id = sqlite3_column_int64(stmt, 0);
        looked++;
        if (bytes >= LIMIT_PAGE_BYTES ||
            (looked % CLOCK_EVERY_ROWS == 0 &&
             clock_now_ms(CLOCK_MONOTONIC) - began_ms >= LIMIT_READ_MS)) {
            page->ret_more = true;
            return 0;
        }
        if (!page_matches(page, stmt)) {
            page->ret_next = id;
            continue;
        }
        if (page->ret_n == page->rows_max) {
            page->ret_more = true;
            return 0;
        }
        struct job *job = &page->ret_jobs[page->ret_n];
        rc = job_get(call, id, &seen, page->brief ? ROW_BRIEF : ROW_WHOLE, job);
        if (rc < 0)
            return rc;
        page->ret_n += (size_t)rc;
        page->ret_next = id;
        bytes += job_bytes(job);
    }
    return rc;
}

int sqlite_jobs_read(struct sqlite_call *call)
{
    struct ds_jobs_read page = call->step->jobs_read;
    if (!range_valid(page.range) || page.rows_max < 1 || page.rows_max > LIMIT_PAGE_JOBS)
        return ERR_INVALID;
    sqlite3_stmt *stmt = page_open(call);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    page.ret_jobs = arena_alloc(call->mem, page.rows_max * sizeof(*page.ret_jobs));
    page.ret_n = 0;
    page.ret_more = false;
    page.ret_next = page.after_id;
    int rc = page_fill(call, stmt, &page);
    sqlite3_reset(stmt);
    if (rc == 0)
        call->step->jobs_read = page;
    return rc;
}

/* ---- scanning ------------------------------------------------------------------------------- */

static int scan_rows(struct sqlite_call *call, sqlite3_stmt *stmt, struct ds_scan *scan,
                     int64_t end)
{
    int64_t next = scan->range.a, began_ms = clock_now_ms(CLOCK_MONOTONIC);
    size_t looked = 0;
    bool cut = false;
    int rc;
    while (!cut && (rc = sql_step(call->store, stmt)) == 1) {
        int64_t id = sqlite3_column_int64(stmt, 0);
        enum job_state state = column_state(stmt, 1);
        scan->ret_missing += scan->batch == NULL ? id - next : 0;
        next = id;
        scan->ret_stopped = unfinished(state);
        looked++;
        cut = scan->ret_stopped || looked > SCAN_ROWS_MAX ||
              (looked % CLOCK_EVERY_ROWS == 0 &&
               clock_now_ms(CLOCK_MONOTONIC) - began_ms >= LIMIT_READ_MS);
        if (!cut) {
            scan->ret_counts[state]++;
            next = id + 1;
        }
    }
    if (!cut && rc < 0)
        return rc;
    if (!cut) {
        scan->ret_missing += scan->batch == NULL ? end - next : 0;
        next = end;
    }
    scan->ret_next = next;
    return 0;
}

int sqlite_scan(struct sqlite_call *call)
{
    struct ds_scan scan = {.range = call->step->scan.range, .batch = call->step->scan.batch};
    if (scan.batch == NULL && !range_valid(scan.range))
        return ERR_INVALID;
    int64_t end = scan.batch != NULL ? INT64_MAX : scan.range.b;
    sqlite3_stmt *stmt = sql_use(call->store, scan.batch != NULL ? SQL_BATCH_SCAN : SQL_JOBS_SCAN);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, scan.range.a);
    bind_int(stmt, 2, end);
    if (scan.batch != NULL)
        bind_text(stmt, 3, scan.batch);
    int rc = scan_rows(call, stmt, &scan, end);
    sqlite3_reset(stmt);
    if (rc == 0)
        call->step->scan = scan;
    return rc;
}
