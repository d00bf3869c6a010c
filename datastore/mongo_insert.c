/* The MongoDB backend's inserting of job rows, and the finding of a submit's chunks.
 *
 * A batch is a few statements, and may be cut between any two rows. Each row stands alone: its id
 * is unique, and its token tells one's own earlier try from somebody else's row. A batch of a named
 * submit begins with the row that carries the chunk, alone; the others follow. Which of them are
 * there is no stored state but looked up when somebody asks for the chunk (datastore.h), who also
 * voids the missing ids first, so that what is then inserted anew cannot come twice.
 * Invariants: I2 (ids and keys are unique), I9. Thread: the handle's. */
#include <stdlib.h>

#include "datastore/mongo_bson.h"
#include "datastore/mongo_store.h"
#include "datastore/steps.h"

struct inserting {
    struct mongo_call *call;
    int32_t *codes;
    bool taken; /* a row was refused for its id */
};

static int64_t insert_id(const struct mongo_call *call, size_t i)
{
    return step_insert_id(&call->step->insert, call->before, i);
}

static int lane_tail(void *ctx, int32_t lane, int64_t *ret_tail)
{
    const struct mongo_call *call = ctx;
    bson_t *query = BCON_NEW("_id", BCON_INT64(lane));
    int rc = mongo_find_int(call->store, MONGO_LANES, query, "tail", NULL, ret_tail);
    bson_destroy(query);
    return rc;
}

/* ---- statements ----------------------------------------------------------------------------- */

/* Marks the rows that a unique index refused; 0, or the code of another failure, told. */
static int refusals_read(struct inserting *ins, const bson_t *reply, const size_t *rows, size_t n)
{
    bson_iter_t at, errors, field;
    int rc = 0;
    if (!bson_iter_init_find(&at, reply, "writeErrors") || !BSON_ITER_HOLDS_ARRAY(&at) ||
        !bson_iter_recurse(&at, &errors))
        return 0;
    while (rc == 0 && bson_iter_next(&errors)) {
        rc = mongo_write_error_code(ins->call->store, &errors);
        if (rc == ERR_DUPLICATE && bson_iter_recurse(&errors, &field) &&
            bson_iter_find(&field, "index") && (uint64_t)bson_iter_as_int64(&field) < n) {
            ins->codes[rows[bson_iter_as_int64(&field)]] = ERR_DUPLICATE;
            rc = 0;
        }
    }
    return rc;
}

/* One statement with these rows; codes of those refused by a unique index are ERR_DUPLICATE. */
static int statement(struct inserting *ins, const size_t *rows, size_t n,
                     const struct submit_chunk *chunk)
{
    struct mongo_call *call = ins->call;
    const struct ds_insert *insert = &call->step->insert;
    bson_t command = BSON_INITIALIZER, list, doc, reply;
    BSON_APPEND_UTF8(&command, "insert", call->store->names[MONGO_JOBS]);
    BSON_APPEND_BOOL(&command, "ordered", false);
    BSON_APPEND_ARRAY_BEGIN(&command, "documents", &list);
    for (size_t i = 0; i < n; i++) {
        const struct job *job = &insert->jobs[rows[i]];
        char text[16];
        const char *key;
        bson_uint32_to_string((uint32_t)i, &key, text, sizeof(text));
        bson_append_document_begin(&list, key, -1, &doc);
        job_to_doc(job, insert_id(call, rows[i]),
                   job->created_ms != 0 ? job->created_ms : call->utc_ms, chunk, call->mem, &doc);
        bson_append_document_end(&list, &doc);
        ins->codes[rows[i]] = 0;
    }
    bson_append_array_end(&command, &list);
    int rc = mongo_command(call->store, &command, true, &reply);
    if (rc == 0)
        rc = refusals_read(ins, &reply, rows, n);
    bson_destroy(&reply);
    bson_destroy(&command);
    return rc;
}

/* Of rows that were refused: which are there by one's own earlier try (0), and whether somebody
 * else has an id (`taken`); the others were refused for their keys. */
static int refused_look(struct inserting *ins, const size_t *rows, size_t n)
{
    struct mongo_call *call = ins->call;
    bson_t query = BSON_INITIALIZER, in, list;
    bson_t *opts = BCON_NEW("projection", "{", "token", BCON_INT32(1), "}");
    const bson_t *doc;
    size_t n_refused = 0;
    BSON_APPEND_DOCUMENT_BEGIN(&query, "_id", &in);
    BSON_APPEND_ARRAY_BEGIN(&in, "$in", &list);
    for (size_t i = 0; i < n; i++) {
        char text[16];
        const char *key;
        bson_uint32_to_string((uint32_t)n_refused, &key, text, sizeof(text));
        if (ins->codes[rows[i]] != ERR_DUPLICATE)
            continue;
        bson_append_int64(&list, key, -1, insert_id(call, rows[i]));
        n_refused++;
    }
    bson_append_array_end(&in, &list);
    bson_append_document_end(&query, &in);
    int rc = 0;
    mongoc_cursor_t *cursor =
        n_refused > 0 ? mongo_find(call->store, MONGO_JOBS, &query, opts) : NULL;
    while (cursor != NULL && (rc = mongo_next(call->store, cursor, &doc)) == 1) {
        struct job found;
        struct job_texts texts = {0};
        if (job_from_doc(doc, call->mem, &texts, &found) < 0)
            continue;
        for (size_t i = 0; i < n; i++)
            if (insert_id(call, rows[i]) == found.id) {
                bool own = found.token == call->step->insert.jobs[rows[i]].token;
                ins->codes[rows[i]] = own ? 0 : ERR_DUPLICATE;
                ins->taken = ins->taken || !own;
            }
    }
    if (cursor != NULL)
        mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(&query);
    return rc;
}

/* ---- the chunk ------------------------------------------------------------------------------ */

/* The row that carries the chunk of that submit and index. ERR_NOT_FOUND: there is none. */
static int chunk_find(struct mongo_call *call, const struct submit_chunk *chunk, int64_t *ret_id)
{
    bson_t *query =
        BCON_NEW("chunk.submit", BCON_UTF8(chunk->submit), "chunk.index", BCON_INT64(chunk->index));
    int rc = mongo_find_int(call->store, MONGO_JOBS, query, "_id", NULL, ret_id);
    bson_destroy(query);
    return rc;
}

/* Stands for a job that was refused for its key, and carries the chunk. */
static int stand_in(struct mongo_call *call, const struct submit_chunk *chunk)
{
    const struct job row = {
        .state = JOB_VOID, .run = 1, .type = "void", .token = -call->step->insert.jobs[0].token};
    bson_t doc = BSON_INITIALIZER;
    job_to_doc(&row, insert_id(call, 0), call->utc_ms, chunk, call->mem, &doc);
    int rc = mongo_insert_one(call->store, MONGO_JOBS, &doc);
    bson_destroy(&doc);
    return rc;
}

/* The first row, with the chunk. ERR_DUPLICATE: the chunk is there, at another id. *ret_go: the
 * others may follow; else their ids, too, are somebody else's. */
static int chunk_begin(struct inserting *ins, bool *ret_go)
{
    struct mongo_call *call = ins->call;
    const struct submit_chunk *chunk = call->step->insert.chunk;
    const size_t first = 0;
    int64_t id = 0;
    *ret_go = true;
    int rc = statement(ins, &first, 1, chunk);
    if (rc < 0 || ins->codes[0] == 0)
        return rc;
    rc = chunk_find(call, chunk, &id);
    if (rc == 0 && id != insert_id(call, 0))
        return ERR_DUPLICATE;
    if (rc < 0 && rc != ERR_NOT_FOUND)
        return rc;
    bool there = rc == 0;
    rc = refused_look(ins, &first, 1);
    if (rc < 0 || there)
        return rc;
    /* Refused for its key, unless somebody has the id. */
    rc = ins->taken ? ERR_DUPLICATE : stand_in(call, chunk);
    *ret_go = rc == 0;
    return rc == ERR_DUPLICATE ? 0 : rc;
}

/* ---- the step ------------------------------------------------------------------------------- */

static size_t statement_rows(const struct ds_insert *insert, size_t from)
{
    size_t n = 0, bytes = 0;
    while (from + n < insert->n_jobs && n < MONGO_ROWS && bytes < MONGO_ROWS_BYTES)
        bytes += job_bytes(&insert->jobs[from + n++]);
    return n;
}

static int rest_insert(struct inserting *ins, size_t from)
{
    const struct ds_insert *insert = &ins->call->step->insert;
    size_t rows[MONGO_ROWS];
    int rc = 0;
    while (rc == 0 && from < insert->n_jobs) {
        size_t n = statement_rows(insert, from);
        bool refused = false;
        for (size_t i = 0; i < n; i++)
            rows[i] = from + i;
        rc = statement(ins, rows, n, NULL);
        for (size_t i = 0; i < n; i++)
            refused = refused || ins->codes[rows[i]] != 0;
        if (rc == 0 && refused)
            rc = refused_look(ins, rows, n);
        from += n;
    }
    return rc;
}

int mongo_insert(struct mongo_call *call)
{
    struct ds_insert *insert = &call->step->insert;
    int rc = step_insert_check(insert, call->before, lane_tail, call, call->err);
    if (rc < 0)
        return rc;
    struct inserting ins = {.call = call};
    ins.codes = arena_alloc(call->mem, insert->n_jobs * sizeof(*ins.codes));
    bool go = true;
    if (insert->chunk != NULL)
        rc = chunk_begin(&ins, &go);
    if (rc == 0 && go)
        rc = rest_insert(&ins, insert->chunk != NULL ? 1 : 0);
    for (size_t i = 0; rc == 0 && !go && i < insert->n_jobs; i++)
        ins.codes[i] = ERR_DUPLICATE;
    if (rc == 0)
        insert->ret_rc = ins.codes;
    return rc;
}

/* ---- finding chunks ------------------------------------------------------------------------- */

struct finding {
    struct mongo_call *call;
    struct submit_chunk *chunks;
    size_t n, capacity;
};

static void found_add(struct finding *finding, struct submit_chunk chunk)
{
    finding->chunks = arena_grow(finding->call->mem, finding->chunks, finding->n,
                                 &finding->capacity, sizeof(*finding->chunks));
    finding->chunks[finding->n++] = chunk;
}

/* Rows of the chunk that stand for its jobs (datastore.h). */
static bson_t *there_query(const struct submit_chunk *chunk)
{
    return BCON_NEW("_id", "{", "$gte", BCON_INT64(chunk->id), "$lt",
                    BCON_INT64(chunk->id + chunk->count), "}", "$or", "[", "{", "token", "{", "$lt",
                    BCON_INT64(0), "}", "}", "{", "state", "{", "$ne", BCON_UTF8("void"), "}", "}",
                    "]");
}

static int there_count(struct mongo_call *call, const struct submit_chunk *chunk, int64_t *ret_n)
{
    bson_t *query = there_query(chunk);
    int rc = mongo_count(call->store, MONGO_JOBS, query, ret_n);
    bson_destroy(query);
    return rc;
}

/* Marks in `there`, one a row. */
static int there_look(struct mongo_call *call, const struct submit_chunk *chunk, bool *there)
{
    bson_t *query = there_query(chunk);
    bson_t *opts = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}");
    mongoc_cursor_t *cursor = mongo_find(call->store, MONGO_JOBS, query, opts);
    const bson_t *doc;
    bson_iter_t at;
    int rc;
    while ((rc = mongo_next(call->store, cursor, &doc)) == 1) {
        int64_t id = bson_iter_init_find(&at, doc, "_id") ? bson_iter_as_int64(&at) : 0;
        if (id < chunk->id || id >= chunk->id + chunk->count) {
            rc = mongo_damaged(call->store, MONGO_JOBS, id); /* not what was asked for */
            break;
        }
        there[id - chunk->id] = true;
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(query);
    return rc;
}

/* Voids at the ids of the chunk that are free, so that nobody inserts there any more. */
static int missing_void(struct mongo_call *call, const struct submit_chunk *chunk,
                        const bool *there)
{
    struct job *rows = arena_alloc(call->mem, (size_t)chunk->count * sizeof(*rows));
    size_t n = 0;
    for (int64_t i = 0; i < chunk->count; i++)
        if (!there[i])
            rows[n++] =
                (struct job){.id = chunk->id + i, .state = JOB_VOID, .run = 1, .type = "void"};
    struct ds_step step = {.kind = DS_INSERT, .insert = {.jobs = rows, .n_jobs = n}};
    struct mongo_call inner = *call;
    inner.step = &step;
    inner.before = NULL;
    return n > 0 && !call->store->read_only ? mongo_insert(&inner) : 0;
}

/* A chunk of which not all rows are there, as the runs of those that are. */
static int cut_found(struct finding *finding, const struct submit_chunk *chunk)
{
    struct mongo_call *call = finding->call;
    bool *there = arena_alloc(call->mem, (size_t)chunk->count * sizeof(*there));
    int rc = there_look(call, chunk, there);
    if (rc == 0)
        rc = missing_void(call, chunk, there);
    /* The first submitter may have gone on between the look and the voids. */
    if (rc == 0)
        rc = there_look(call, chunk, there);
    for (int64_t i = 0; rc == 0 && i < chunk->count; i++) {
        int64_t from = i;
        while (i < chunk->count && there[i])
            i++;
        if (i > from)
            found_add(finding, (struct submit_chunk){.submit = chunk->submit,
                                                     .index = chunk->index + from,
                                                     .id = chunk->id + from,
                                                     .count = i - from,
                                                     .last = chunk->last && i == chunk->count,
                                                     .cut = chunk->cut || i - from < chunk->count});
    }
    return rc;
}

static int chunk_found(struct finding *finding, const bson_t *doc)
{
    struct mongo_call *call = finding->call;
    struct submit_chunk chunk;
    int64_t n;
    if (chunk_from_doc(doc, call->mem, &chunk) < 0 || chunk.count > LIMIT_BATCH_JOBS ||
        chunk.index < 0 || chunk.index > ID_SEQ_MAX || chunk.id < 1 || !id_possible(chunk.id))
        return mongo_damaged(call->store, MONGO_JOBS, 0);
    int rc = there_count(call, &chunk, &n);
    if (rc < 0)
        return rc;
    if (n < chunk.count)
        return cut_found(finding, &chunk);
    found_add(finding, chunk);
    return 0;
}

static int by_index(const void *a, const void *b)
{
    const struct submit_chunk *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

int mongo_submit_find(struct mongo_call *call)
{
    struct ds_submit_find *find = &call->step->submit_find;
    struct finding finding = {.call = call};
    bson_t *query = BCON_NEW("chunk.submit", BCON_UTF8(find->submit));
    bson_t *opts = BCON_NEW("projection", "{", "chunk", BCON_INT32(1), "}", "sort", "{",
                            "chunk.index", BCON_INT32(1), "}");
    mongoc_cursor_t *cursor = mongo_find(call->store, MONGO_JOBS, query, opts);
    const bson_t *doc;
    int rc;
    while ((rc = mongo_next(call->store, cursor, &doc)) == 1) {
        rc = chunk_found(&finding, doc);
        if (rc < 0)
            break;
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(query);
    if (rc < 0)
        return rc;
    if (finding.n > 0)
        qsort(finding.chunks, finding.n, sizeof(*finding.chunks), by_index);
    find->ret_chunks = finding.chunks;
    find->ret_n = finding.n;
    return 0;
}
