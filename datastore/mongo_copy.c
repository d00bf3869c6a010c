/* The MongoDB backend as the destination of a copy: its mark, and the steps that put records as
 * they are elsewhere (datastore.h). The mark is looked at before such a step, not with it: it keeps
 * others out (datastore_open), and two copies into one store write the same. Of two, the slower may
 * have looked just before the other was done: so a lane, by which work is given out, is written
 * only where it is as it was found before that look.
 * Thread: the handle's. */
#include "datastore/bson_fields.h"
#include "datastore/mongo_bson.h"
#include "datastore/mongo_store.h"

static int meta_get(struct mongo_call *call, struct meta *ret_meta)
{
    struct ds_step step = {.kind = DS_META_READ};
    struct mongo_call inner = *call;
    inner.step = &step;
    int rc = mongo_meta_read(&inner);
    *ret_meta = step.meta_read.ret_meta;
    return rc;
}

int mongo_copying(struct mongo_call *call)
{
    struct meta meta;
    int rc = meta_get(call, &meta);
    return rc == 0 && meta.copying[0] == '\0' ? ERR_CONFLICT : rc;
}

/* ---- the mark ------------------------------------------------------------------------------- */

static int meta_change(struct mongo_call *call, const bson_t *query, const bson_t *change,
                       int64_t *ret_n)
{
    return mongo_update(call->store, MONGO_META, query, (struct mongo_change){.doc = change},
                        ret_n);
}

static int mark_set(struct mongo_call *call, int64_t *ret_n)
{
    const struct ds_copy_mark *mark = &call->step->copy_mark;
    bson_t *query = BCON_NEW("_id", BCON_UTF8("meta"), "created", BCON_DATE_TIME(mark->created_ms),
                             "$or", "[", "{", "copying", "{", "$exists", BCON_BOOL(false), "}", "}",
                             "{", "copying", BCON_UTF8(mark->from), "}", "]");
    bson_t *change = BCON_NEW("$set", "{", "copying", BCON_UTF8(mark->from), "}");
    int rc = meta_change(call, query, change, ret_n);
    bson_destroy(change);
    bson_destroy(query);
    return rc;
}

static int mark_take(struct mongo_call *call, int64_t *ret_n)
{
    const struct ds_copy_mark *mark = &call->step->copy_mark;
    bson_t *query = BCON_NEW("_id", BCON_UTF8("meta"), "copying", BCON_UTF8(mark->from));
    bson_t *change = BCON_NEW("$set", "{", "created", BCON_DATE_TIME(mark->created_ms), "}",
                              "$unset", "{", "copying", BCON_UTF8(""), "}");
    int rc = meta_change(call, query, change, ret_n);
    bson_destroy(change);
    bson_destroy(query);
    return rc;
}

int mongo_copy_mark(struct mongo_call *call)
{
    const struct ds_copy_mark *mark = &call->step->copy_mark;
    size_t len = mark->from != NULL ? strlen(mark->from) : 0;
    struct meta meta;
    int64_t n = 0;
    if (len < 1 || len > LIMIT_COPYING_BYTES || !bson_utf8_validate(mark->from, len, false))
        return ERR_INVALID;
    int rc = mark->done ? mark_take(call, &n) : mark_set(call, &n);
    if (rc < 0 || n > 0)
        return rc;
    rc = meta_get(call, &meta);
    return rc < 0 ? rc : mark->done && meta.copying[0] == '\0' ? ERR_NOT_FOUND : ERR_CONFLICT;
}

/* ---- records -------------------------------------------------------------------------------- */

/* Whatever changes a lane changes its tail or its entries. */
static int lane_write(struct mongo_call *call, const bson_t *old)
{
    bson_t doc = BSON_INITIALIZER, query = BSON_INITIALIZER;
    bson_iter_t at;
    int64_t n = 0;
    int rc;
    lane_to_doc(call->step->lane_put.lane, &doc);
    if (old == NULL) {
        rc = mongo_insert_one(call->store, MONGO_LANES, &doc);
    } else {
        static const char *const guards[] = {"_id", "tail", "entries"};
        for (size_t i = 0; i < sizeof(guards) / sizeof(guards[0]); i++)
            if (bson_iter_init_find(&at, old, guards[i]))
                bson_append_iter(&query, guards[i], -1, &at);
        rc = mongo_update(call->store, MONGO_LANES, &query, (struct mongo_change){.doc = &doc}, &n);
        rc = rc == 0 && n == 0 ? ERR_CONFLICT : rc;
    }
    bson_destroy(&query);
    bson_destroy(&doc);
    return rc;
}

static int number_take(struct mongo_call *call, int32_t number)
{
    bson_t *meta = BCON_NEW("_id", BCON_UTF8("meta"));
    bson_t *next = BCON_NEW("$max", "{", "lane_next", BCON_INT64(number + 1), "}");
    int64_t n;
    int rc = meta_change(call, meta, next, &n);
    bson_destroy(next);
    bson_destroy(meta);
    return rc;
}

int mongo_lane_put(struct mongo_call *call)
{
    const struct lane *lane = call->step->lane_put.lane;
    if (lane->number < 0 || lane->number >= LIMIT_LANES)
        return ERR_INVALID;
    bson_t *query = BCON_NEW("_id", BCON_INT64(lane->number)), old;
    int found = mongo_find_one(call->store, MONGO_LANES, query, NULL, &old);
    int rc = found == ERR_NOT_FOUND ? 0 : found;
    if (rc == 0)
        rc = mongo_copying(call);
    if (rc == 0)
        rc = number_take(call, lane->number);
    if (rc == 0)
        rc = lane_write(call, found == 0 ? &old : NULL);
    if (found == 0)
        bson_destroy(&old);
    bson_destroy(query);
    return rc;
}

/* ---- chunks --------------------------------------------------------------------------------- */

int mongo_chunks_add(struct mongo_call *call)
{
    const struct ds_chunks_add *add = &call->step->chunks_add;
    bson_t command = BSON_INITIALIZER, list, statement, part, set, reply;
    bson_iter_t at;
    int rc = add->n > 0 ? mongo_copying(call) : 0;
    if (rc < 0 || add->n == 0)
        return rc;
    BSON_APPEND_UTF8(&command, "update", call->store->names[MONGO_JOBS]);
    BSON_APPEND_ARRAY_BEGIN(&command, "updates", &list);
    for (size_t i = 0; i < add->n; i++) {
        char text[16];
        const char *key;
        bson_uint32_to_string((uint32_t)i, &key, text, sizeof(text));
        bson_append_document_begin(&list, key, -1, &statement);
        BSON_APPEND_DOCUMENT_BEGIN(&statement, "q", &part);
        put_int(&part, "_id", add->chunks[i].id);
        bson_append_document_end(&statement, &part);
        BSON_APPEND_DOCUMENT_BEGIN(&statement, "u", &part);
        BSON_APPEND_DOCUMENT_BEGIN(&part, "$set", &set);
        chunk_to_doc(&add->chunks[i], &set);
        bson_append_document_end(&part, &set);
        bson_append_document_end(&statement, &part);
        bson_append_document_end(&list, &statement);
    }
    bson_append_array_end(&command, &list);
    rc = mongo_command(call->store, &command, true, &reply);
    if (rc == 0)
        rc = mongo_statement_code(call->store, &reply);
    if (rc == 0 && bson_iter_init_find(&at, &reply, "n") &&
        bson_iter_as_int64(&at) < (int64_t)add->n)
        rc = ERR_NOT_FOUND;
    bson_destroy(&reply);
    bson_destroy(&command);
    return rc;
}

int mongo_submits_read(struct mongo_call *call)
{
    struct ds_submits_read *read = &call->step->submits_read;
    if (read->rows_max < 1)
        return ERR_INVALID;
    const char **submits = arena_alloc(call->mem, read->rows_max * sizeof(*submits)), *last = NULL;
    bson_t *query = BCON_NEW("chunk.submit", "{", "$gt",
                             BCON_UTF8(read->after != NULL ? read->after : ""), "}");
    bson_t *opts = BCON_NEW("projection", "{", "chunk", BCON_INT32(1), "}", "sort", "{",
                            "chunk.submit", BCON_INT32(1), "chunk.index", BCON_INT32(1), "}");
    mongoc_cursor_t *cursor = mongo_find(call->store, MONGO_JOBS, query, opts);
    const bson_t *doc;
    size_t n = 0;
    int rc = 0;
    while (n < read->rows_max && (rc = mongo_next(call->store, cursor, &doc)) == 1) {
        struct submit_chunk chunk;
        if (chunk_from_doc(doc, call->mem, &chunk) < 0) {
            rc = mongo_damaged(call->store, MONGO_JOBS, 0);
            break;
        }
        if (last == NULL || strcmp(chunk.submit, last) != 0)
            last = submits[n++] = chunk.submit;
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(query);
    if (rc < 0)
        return rc;
    read->ret_submits = submits;
    read->ret_n = n;
    return 0;
}
