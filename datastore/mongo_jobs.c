/* The MongoDB backend's outcomes and cancels.
 *
 * Outcomes that are alike and carry nothing beyond their times are one updateMany over their range
 * of ids. Others are gathered: what each row becomes is worked out by the shared step (steps.h),
 * and rows that end at the same run are one updateMany whose pipeline gives each row its own part
 * of a list. The guard (queued, at this run) stands in the query of every one, so each row decides
 * for itself. A first run's outcome needs no reading: such a row has no earlier runs to keep.
 * Where fewer rows changed than were offered, those that carry this outcome are accepted.
 * Invariants: I2, I4. Thread: the handle's. */
#include <stdlib.h>

#include "datastore/mongo_bson.h"
#include "datastore/mongo_store.h"
#include "datastore/steps.h"

enum {
    RANGE_ROWS = 4096, /* of one statement: a slow server, too, is done with it in time */
    GROUP_ROWS = 512,
    GROUP_BYTES = 512 << 10,
    STATEMENT_BYTES = 2 << 20, /* the largest row alone may be more */
    CANCEL_TRIES = 8,
};

/* ---- alike ---------------------------------------------------------------------------------- */

static void put_date(bson_t *doc, const char *key, int64_t ms)
{
    if (ms != 0)
        bson_append_date_time(doc, key, -1, ms);
}

/* The rows [id, id + count). */
static int finish_part(struct mongo_call *call, struct outcome *outcome, int64_t id, int64_t count)
{
    bson_t *query = BCON_NEW("_id", "{", "$gte", BCON_INT64(id), "$lt", BCON_INT64(id + count), "}",
                             "state", BCON_UTF8("queued"), "run", BCON_INT32(outcome->run));
    bson_t change = BSON_INITIALIZER, part;
    int64_t n = 0;
    BSON_APPEND_DOCUMENT_BEGIN(&change, "$set", &part);
    BSON_APPEND_UTF8(&part, "state", "done");
    put_date(&part, "started", outcome->started_ms);
    put_date(&part, "finished", outcome->finished_ms);
    BSON_APPEND_INT64(&part, "node", outcome->node);
    bson_append_document_end(&change, &part);
    BSON_APPEND_DOCUMENT_BEGIN(&change, "$unset", &part);
    BSON_APPEND_UTF8(&part, "key", "");
    bson_append_document_end(&change, &part);
    int rc = mongo_update(call->store, MONGO_JOBS, query,
                          (struct mongo_change){.doc = &change, .many = true}, &n);
    outcome->ret_accepted += (uint32_t)n;
    bson_destroy(&change);
    bson_destroy(query);
    return rc;
}

static int finish_range(struct mongo_call *call, struct outcome *outcome)
{
    int rc = 0;
    outcome->ret_state = JOB_DONE;
    for (int64_t at = 0; rc == 0 && at < outcome->count; at += RANGE_ROWS) {
        int64_t left = outcome->count - at;
        rc = finish_part(call, outcome, outcome->id + at, left < RANGE_ROWS ? left : RANGE_ROWS);
    }
    return rc;
}

/* ---- each its own --------------------------------------------------------------------------- */

/* A row and what the outcome makes of it. */
struct ending_row {
    struct outcome *outcome;
    struct job job; /* afterwards */
    int64_t id;
    size_t bytes; /* of what it becomes, about */
    bool there;   /* it was read, or need not be */
    bool changes; /* ... and is still to be written */
};

struct group {
    struct mongo_call *call;
    struct ending_row rows[GROUP_ROWS];
    size_t n, bytes;
};

static void ids_append(bson_t *query, const struct ending_row *const *rows, size_t n)
{
    bson_t in, list;
    BSON_APPEND_DOCUMENT_BEGIN(query, "_id", &in);
    BSON_APPEND_ARRAY_BEGIN(&in, "$in", &list);
    for (size_t i = 0; i < n; i++) {
        char text[16];
        const char *key;
        bson_uint32_to_string((uint32_t)i, &key, text, sizeof(text));
        bson_append_int64(&list, key, -1, rows[i]->id);
    }
    bson_append_array_end(&in, &list);
    bson_append_document_end(query, &in);
}

/* The rows as they are; `found` is called for each that is there. */
static int rows_read(struct group *group, const struct ending_row *const *rows, size_t n,
                     void (*found)(struct group *group, const struct job *job))
{
    struct mongo_call *call = group->call;
    bson_t query = BSON_INITIALIZER, *opts = BCON_NEW("projection", "{", "payload", BCON_INT32(0),
                                                      "argv", BCON_INT32(0), "}");
    struct job_texts texts = {0};
    const bson_t *doc;
    int rc = 0;
    ids_append(&query, rows, n);
    mongoc_cursor_t *cursor = n > 0 ? mongo_find(call->store, MONGO_JOBS, &query, opts) : NULL;
    while (cursor != NULL && (rc = mongo_next(call->store, cursor, &doc)) == 1) {
        struct job job;
        if (job_from_doc(doc, call->mem, &texts, &job) < 0) {
            rc = mongo_damaged(call->store, MONGO_JOBS, rows[0]->id);
            break;
        }
        found(group, &job);
    }
    if (cursor != NULL)
        mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(&query);
    return rc;
}

static struct ending_row *row_of(struct group *group, int64_t id)
{
    for (size_t i = 0; i < group->n; i++)
        if (group->rows[i].id == id)
            return &group->rows[i];
    return NULL;
}

static void row_found(struct group *group, const struct job *job)
{
    struct ending_row *row = row_of(group, job->id);
    if (row != NULL && !row->there) {
        row->job = *job;
        row->there = true;
    }
}

/* Nothing of an earlier run can be kept, and no limit matters. */
static bool needs_no_reading(const struct outcome *outcome)
{
    return outcome->run == 1 && (outcome->kind == OUTCOME_DONE || outcome->kind == OUTCOME_FAILED);
}

/* What an ending takes in a command, about: texts, and its other fields. */
static size_t ending_room(const struct job_ending *ending)
{
    enum { FIELDS_BYTES = 256 };
    size_t bytes = FIELDS_BYTES;
    if (ending == NULL)
        return bytes;
    bytes += ending_bytes(ending) + (ending->error != NULL ? strlen(ending->error) : 0);
    for (size_t i = 0; i < ending->n_trace; i++)
        bytes +=
            FIELDS_BYTES + (ending->trace[i].error != NULL ? strlen(ending->trace[i].error) : 0);
    return bytes;
}

static int rows_work_out(struct group *group)
{
    const struct ending_row *wanted[GROUP_ROWS];
    size_t n = 0;
    for (size_t i = 0; i < group->n; i++) {
        struct ending_row *row = &group->rows[i];
        row->there = needs_no_reading(row->outcome);
        if (row->there)
            row->job = (struct job){.id = row->id, .state = JOB_QUEUED, .run = 1};
        else
            wanted[n++] = row;
    }
    int rc = rows_read(group, wanted, n, row_found);
    for (size_t i = 0; rc == 0 && i < group->n; i++) {
        struct ending_row *row = &group->rows[i];
        row->changes = row->there && step_finish(&row->job, row->outcome, group->call->mem);
        row->bytes = row->changes ? ending_room(row->job.ending) : 0;
    }
    return rc;
}

/* The part of a row's document that its outcome sets. */
static void change_append(struct group *group, const struct ending_row *row, bson_t *doc)
{
    const struct job *job = &row->job;
    BSON_APPEND_UTF8(doc, "state", job_state_name(job->state));
    BSON_APPEND_INT32(doc, "run", job->run);
    if (job->interruptions != 0)
        BSON_APPEND_INT64(doc, "interruptions", job->interruptions);
    if (job_state_finished(job->state)) {
        put_date(doc, "started", job->started_ms);
        put_date(doc, "finished", job->finished_ms);
        BSON_APPEND_INT64(doc, "node", job->node);
    }
    if (job->ending != NULL)
        ending_to_doc(job->ending, "ending", group->call->mem, doc);
}

/* [{$replaceWith: the row and its part of the list}, {$unset: what only unfinished rows have}] */
static bson_t *rows_pipeline(struct group *group, const struct ending_row *const *rows, size_t n)
{
    bson_t *pipeline, parts = BSON_INITIALIZER, ids = BSON_INITIALIZER, doc;
    for (size_t i = 0; i < n; i++) {
        char text[16];
        const char *key;
        bson_uint32_to_string((uint32_t)i, &key, text, sizeof(text));
        bson_append_int64(&ids, key, -1, rows[i]->id);
        bson_append_document_begin(&parts, key, -1, &doc);
        change_append(group, rows[i], &doc);
        bson_append_document_end(&parts, &doc);
    }
    pipeline = BCON_NEW("0", "{", "$replaceWith", "{", "$mergeObjects", "[", BCON_UTF8("$$ROOT"),
                        "{", "$arrayElemAt", "[", "{", "$literal", BCON_ARRAY(&parts), "}", "{",
                        "$indexOfArray", "[", "{", "$literal", BCON_ARRAY(&ids), "}",
                        BCON_UTF8("$_id"), "]", "}", "]", "}", "]", "}", "}");
    if (job_state_finished(rows[0]->job.state)) {
        bson_t *unset = BCON_NEW("1", "{", "$unset", "[", BCON_UTF8("key"), "]", "}");
        bson_concat(pipeline, unset);
        bson_destroy(unset);
    }
    bson_destroy(&ids);
    bson_destroy(&parts);
    return pipeline;
}

static void accept_row(struct ending_row *row)
{
    row->outcome->ret_accepted++;
    row->outcome->ret_state = row->job.state;
}

/* Called with a row as it is: does it carry what was offered? */
static void row_accepted(struct group *group, const struct job *job)
{
    struct ending_row *row = row_of(group, job->id);
    if (row == NULL || !row->changes || job->state != row->job.state || job->run != row->job.run)
        return;
    if (!job_state_finished(job->state) ||
        (job->node == row->job.node && job->started_ms == row->job.started_ms &&
         job->finished_ms == row->job.finished_ms))
        accept_row(row);
}

/* Rows that end at the same run, all for good or all to run again. */
static int rows_write(struct group *group, const struct ending_row *const *rows, size_t n)
{
    bson_t *query =
        BCON_NEW("state", BCON_UTF8("queued"), "run", BCON_INT32(rows[0]->outcome->run));
    bson_t *pipeline = rows_pipeline(group, rows, n);
    int64_t changed = 0;
    ids_append(query, rows, n);
    int rc = mongo_update(group->call->store, MONGO_JOBS, query,
                          (struct mongo_change){.doc = pipeline, .pipeline = true, .many = true},
                          &changed);
    bson_destroy(pipeline);
    bson_destroy(query);
    if (rc < 0 || changed == 0)
        return rc;
    if ((size_t)changed < n)
        return rows_read(group, rows, n, row_accepted);
    for (size_t i = 0; i < n; i++)
        accept_row(row_of(group, rows[i]->id));
    return 0;
}

/* The rows from the ith on that are written with it: earlier runs that rows keep are many times
 * what they end with, so not all that are alike may fit one command. */
static size_t alike_take(struct group *group, size_t i, const struct ending_row **alike)
{
    const struct ending_row *first = &group->rows[i];
    size_t n = 0, bytes = 0;
    for (size_t j = i; j < group->n; j++) {
        struct ending_row *row = &group->rows[j];
        if (!row->changes || row->outcome->run != first->outcome->run ||
            job_state_finished(row->job.state) != job_state_finished(first->job.state) ||
            (n > 0 && bytes + row->bytes > STATEMENT_BYTES))
            continue;
        bytes += row->bytes;
        alike[n++] = row;
    }
    return n;
}

static int group_write(struct group *group)
{
    int rc = rows_work_out(group);
    for (size_t i = 0; rc == 0 && i < group->n; i++) {
        const struct ending_row *alike[GROUP_ROWS];
        if (!group->rows[i].changes)
            continue;
        size_t n = alike_take(group, i, alike);
        rc = rows_write(group, alike, n);
        for (size_t k = 0; k < n; k++)
            row_of(group, alike[k]->id)->changes = false;
    }
    group->n = group->bytes = 0;
    return rc;
}

static size_t outcome_bytes(const struct outcome *outcome)
{
    const struct job_ending *ending = outcome->ending;
    return ending != NULL ? ending->result.len + ending->output.len : 0;
}

static int group_add(struct group *group, struct outcome *outcome, int64_t id)
{
    size_t bytes = outcome_bytes(outcome);
    int rc = 0;
    if (group->n == GROUP_ROWS || (group->n > 0 && group->bytes + bytes > GROUP_BYTES) ||
        row_of(group, id) != NULL)
        rc = group_write(group);
    if (rc == 0) {
        group->rows[group->n++] = (struct ending_row){.outcome = outcome, .id = id};
        group->bytes += bytes;
    }
    return rc;
}

int mongo_finish(struct mongo_call *call)
{
    struct ds_finish *finish = &call->step->finish;
    struct group *group = arena_alloc(call->mem, sizeof(*group));
    group->call = call;
    int rc = step_finish_check(finish);
    for (size_t i = 0; rc == 0 && i < finish->n; i++) {
        struct outcome *outcome = &finish->outcomes[i];
        outcome->ret_accepted = 0;
        if (outcome->kind == OUTCOME_DONE && outcome->ending == NULL)
            rc = finish_range(call, outcome);
        else
            for (uint32_t at = 0; rc == 0 && at < outcome->count; at++)
                rc = group_add(group, outcome, outcome->id + at);
    }
    return rc == 0 ? group_write(group) : rc;
}

/* ---- cancel --------------------------------------------------------------------------------- */

static bson_t *cancel_change(const struct job *job)
{
    bson_t *change = bson_new(), part;
    BSON_APPEND_DOCUMENT_BEGIN(change, "$set", &part);
    BSON_APPEND_UTF8(&part, "state", "cancelled");
    put_date(&part, "finished", job->finished_ms);
    bson_append_document_end(change, &part);
    BSON_APPEND_DOCUMENT_BEGIN(change, "$unset", &part);
    BSON_APPEND_UTF8(&part, "key", "");
    BSON_APPEND_UTF8(&part, "due", "");
    bson_append_document_end(change, &part);
    return change;
}

int mongo_cancel(struct mongo_call *call)
{
    struct ds_cancel *cancel = &call->step->cancel;
    for (int i = 0; i < CANCEL_TRIES; i++) {
        bson_t *query = BCON_NEW("_id", BCON_INT64(cancel->id)), doc;
        struct job_texts texts = {0};
        struct job job;
        int rc = mongo_find_one(call->store, MONGO_JOBS, query, NULL, &doc);
        bson_destroy(query);
        if (rc < 0)
            return rc;
        rc = job_from_doc(&doc, call->mem, &texts, &job);
        bson_destroy(&doc);
        if (rc < 0)
            return mongo_damaged(call->store, MONGO_JOBS, cancel->id);
        const char *before = job_state_name(job.state);
        rc = step_cancel(&job, cancel, call->utc_ms);
        if (rc < 0)
            return rc;
        query = BCON_NEW("_id", BCON_INT64(cancel->id), "state", BCON_UTF8(before));
        bson_t *change = cancel_change(&job);
        int64_t n = 0;
        rc = mongo_update(call->store, MONGO_JOBS, query, (struct mongo_change){.doc = change}, &n);
        bson_destroy(change);
        bson_destroy(query);
        if (rc < 0 || n > 0)
            return rc;
    }
    return ERR_BUSY;
}
