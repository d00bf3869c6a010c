/* The MongoDB backend's append-only records: finished ranges with their totals, and history.
 *
 * Totals are kept, never counted: one document for each lane and node, to which a range is added
 * once, since the document remembers the ranges added last. Rows go first: a crash between the two
 * leaves a row that is in no total until its node, if it lives, tries again.
 * Thread: the handle's. */
#include "datastore/mongo_bson.h"
#include "datastore/mongo_store.h"

enum { REMEMBERED = 128 };

/* ---- finished ranges ------------------------------------------------------------------------ */

static const char *nth(uint32_t n, char text[16])
{
    const char *key;
    bson_uint32_to_string(n, &key, text, 16);
    return key;
}

/* Appends the i-th of what is to be written to a document. */
typedef void item_put_fn(const struct ds_step *step, size_t i, bson_t *doc);

/* One command `name` with a list of n items. Each stands alone; one that finds its document there
 * already is as good. */
static int send_items(struct mongo_call *call, const char *name, enum mongo_collection in,
                      const char *list_name, item_put_fn *put, size_t n)
{
    bson_t command = BSON_INITIALIZER, list, doc, reply;
    bson_iter_t at, errors;
    bson_append_utf8(&command, name, -1, call->store->names[in], -1);
    BSON_APPEND_BOOL(&command, "ordered", false);
    bson_append_array_begin(&command, list_name, -1, &list);
    for (size_t i = 0; i < n; i++) {
        char text[16];
        bson_append_document_begin(&list, nth((uint32_t)i, text), -1, &doc);
        put(call->step, i, &doc);
        bson_append_document_end(&list, &doc);
    }
    bson_append_array_end(&command, &list);
    int rc = mongo_command(call->store, &command, true, &reply);
    if (rc == 0 && bson_iter_init_find(&at, &reply, "writeErrors") && BSON_ITER_HOLDS_ARRAY(&at) &&
        bson_iter_recurse(&at, &errors))
        while (rc == 0 && bson_iter_next(&errors)) {
            rc = mongo_write_error_code(call->store, &errors);
            rc = rc == ERR_DUPLICATE ? 0 : rc;
        }
    bson_destroy(&reply);
    bson_destroy(&command);
    return rc;
}

static void row_put(const struct ds_step *step, size_t i, bson_t *doc)
{
    stint_to_doc(&step->stints_add.rows[i], doc);
}

static void total_put(const struct ds_step *step, size_t i, bson_t *statement)
{
    const struct stint_row *row = &step->stints_add.rows[i];
    char id[48], mark[48];
    bson_t part;
    snprintf(id, sizeof(id), "%d.%" PRId64, id_lane(row->range.a), row->node);
    snprintf(mark, sizeof(mark), "%" PRId64 "-%" PRId64, row->range.a, row->range.b);
    bson_t *query = BCON_NEW("_id", BCON_UTF8(id), "recent", "{", "$ne", BCON_UTF8(mark), "}");
    bson_t *change =
        BCON_NEW("$inc", "{", "done", BCON_INT64(row->done), "failed", BCON_INT64(row->failed),
                 "cancelled", BCON_INT64(row->cancelled), "}", "$max", "{", "b",
                 BCON_INT64(row->range.b), "last", BCON_DATE_TIME(row->last_finish_ms), "}", "$set",
                 "{", "lane", BCON_INT64(id_lane(row->range.a)), "}", "$push", "{", "recent", "{",
                 "$each", "[", BCON_UTF8(mark), "]", "$slice", BCON_INT32(-REMEMBERED), "}", "}");
    BSON_APPEND_DOCUMENT_BEGIN(change, "$min", &part);
    BSON_APPEND_INT64(&part, "a", row->range.a);
    if (row->first_start_ms != 0)
        BSON_APPEND_DATE_TIME(&part, "first", row->first_start_ms);
    bson_append_document_end(change, &part);
    BSON_APPEND_DOCUMENT(statement, "q", query);
    BSON_APPEND_DOCUMENT(statement, "u", change);
    BSON_APPEND_BOOL(statement, "upsert", true); /* added already: the upsert finds its id taken */
    bson_destroy(change);
    bson_destroy(query);
}

/* What is there of each lane goes; one document stands for it, as if a node 0 had done it all. */
static int totals_put(struct mongo_call *call)
{
    const struct ds_stints_add *add = &call->step->stints_add;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < add->n; i++) {
        int32_t lane = id_lane(add->rows[i].range.a);
        char id[32];
        bson_t doc = BSON_INITIALIZER, *query = BCON_NEW("lane", BCON_INT64(lane));
        snprintf(id, sizeof(id), "%d.0", lane);
        BSON_APPEND_UTF8(&doc, "_id", id);
        BSON_APPEND_INT64(&doc, "lane", lane);
        stint_to_doc(&add->rows[i], &doc);
        rc = mongo_delete(call->store, MONGO_TOTALS, query, NULL);
        if (rc == 0)
            rc = mongo_insert_one(call->store, MONGO_TOTALS, &doc);
        bson_destroy(query);
        bson_destroy(&doc);
    }
    return rc == ERR_DUPLICATE ? ERR_CONFLICT : rc; /* somebody else copies at the same time */
}

int mongo_stints_add(struct mongo_call *call)
{
    const struct ds_stints_add *add = &call->step->stints_add;
    for (size_t i = 0; i < add->n; i++)
        if (add->rows[i].range.a < 1 || add->rows[i].range.a >= add->rows[i].range.b)
            return ERR_INVALID;
    if (add->n == 0)
        return 0;
    int rc = add->part != STINTS_BOTH ? mongo_copying(call) : 0;
    if (rc == 0 && add->part == STINTS_TOTALS)
        return totals_put(call);
    if (rc == 0)
        rc = send_items(call, "insert", MONGO_STINTS, "documents", row_put, add->n);
    if (rc == 0 && add->part == STINTS_BOTH)
        rc = send_items(call, "update", MONGO_TOTALS, "updates", total_put, add->n);
    return rc;
}

static bson_t *stints_query(const struct ds_stints_read *read)
{
    bool all = read->lane < 0;
    int64_t low = all ? 0 : id_make(read->lane, 0);
    int64_t high = all ? INT64_MAX : id_make(read->lane, ID_SEQ_MAX + 1);
    low = read->after_id >= low ? read->after_id + 1 : low;
    if (!read->totals_only && read->before_id != 0 && read->before_id <= high)
        high = read->before_id - 1;
    return BCON_NEW("a", "{", "$gte", BCON_INT64(low), "$lte", BCON_INT64(high), "}");
}

static mongoc_cursor_t *stints_open(struct mongo_call *call)
{
    const struct ds_stints_read *read = &call->step->stints_read;
    bson_t *query = stints_query(read), *opts;
    mongoc_cursor_t *cursor;
    if (read->totals_only) {
        opts = BCON_NEW(
            "0", "{", "$group", "{", "_id", BCON_UTF8("$lane"), "a", "{", "$min", BCON_UTF8("$a"),
            "}", "b", "{", "$max", BCON_UTF8("$b"), "}", "done", "{", "$sum", BCON_UTF8("$done"),
            "}", "failed", "{", "$sum", BCON_UTF8("$failed"), "}", "cancelled", "{", "$sum",
            BCON_UTF8("$cancelled"), "}", "first", "{", "$min", BCON_UTF8("$first"), "}", "last",
            "{", "$max", BCON_UTF8("$last"), "}", "}", "}", "1", "{", "$match",
            BCON_DOCUMENT(query), "}", "2", "{", "$sort", "{", "a", BCON_INT32(1), "}", "}", "3",
            "{", "$limit", BCON_INT64((int64_t)read->rows_max), "}");
        cursor = mongo_aggregate(call->store, MONGO_TOTALS, opts);
    } else {
        int32_t up = read->newest_first ? -1 : 1;
        opts = BCON_NEW("sort", "{", "a", BCON_INT32(up), "b", BCON_INT32(up), "node",
                        BCON_INT32(up), "}", "limit", BCON_INT64((int64_t)read->rows_max));
        cursor = mongo_find(call->store, MONGO_STINTS, query, opts);
    }
    bson_destroy(opts);
    bson_destroy(query);
    return cursor;
}

int mongo_stints_read(struct mongo_call *call)
{
    struct ds_stints_read *read = &call->step->stints_read;
    struct stint_row *rows = NULL;
    size_t n = 0, capacity = 0;
    const bson_t *doc;
    int rc;
    if (read->rows_max < 1 || read->lane >= LIMIT_LANES)
        return ERR_INVALID;
    mongoc_cursor_t *cursor = stints_open(call);
    while ((rc = mongo_next(call->store, cursor, &doc)) == 1) {
        rows = arena_grow(call->mem, rows, n, &capacity, sizeof(*rows));
        if (stint_from_doc(doc, &rows[n++]) < 0) {
            rc = mongo_damaged(call->store, MONGO_STINTS, 0);
            break;
        }
    }
    mongoc_cursor_destroy(cursor);
    if (rc < 0)
        return rc;
    read->ret_rows = rows;
    read->ret_n = n;
    return 0;
}

/* ---- history -------------------------------------------------------------------------------- */

static void version_put(const struct ds_step *step, size_t i, bson_t *doc)
{
    history_to_doc(&step->history_add.rows[i], doc);
}

static int versions_forget(struct mongo_call *call, int64_t node)
{
    const struct ds_history_add *add = &call->step->history_add;
    bson_t *query =
        BCON_NEW("node", BCON_INT64(node), "$or", "[", "{", "at", "{", "$lt",
                 BCON_DATE_TIME(add->drop_before_ms), "}", "}", "{", "whole", BCON_BOOL(false),
                 "at", "{", "$lt", BCON_DATE_TIME(add->thin_before_ms), "}", "}", "]");
    int rc = mongo_delete(call->store, MONGO_HISTORY, query, NULL);
    bson_destroy(query);
    return rc;
}

int mongo_history_add(struct mongo_call *call)
{
    const struct ds_history_add *add = &call->step->history_add;
    int rc = 0;
    if (add->n > 0)
        rc = send_items(call, "insert", MONGO_HISTORY, "documents", version_put, add->n);
    if (add->thin_before_ms == 0 && add->drop_before_ms == 0)
        return rc;
    for (size_t i = 0; rc == 0 && i < add->n; i++)
        if (i == 0 || add->rows[i].node != add->rows[i - 1].node)
            rc = versions_forget(call, add->rows[i].node);
    return rc;
}

/* The number of a node's first (up: 1) or last (-1) whole version on one side of a time; left as
 * it is where there is none. */
static int whole_find(struct mongo_call *call, const char *side, int64_t at_ms, int32_t up,
                      int64_t *seq)
{
    bson_t *query = BCON_NEW("node", BCON_INT64(call->step->history_read.node), "whole",
                             BCON_BOOL(true), "at", "{", side, BCON_DATE_TIME(at_ms), "}");
    bson_t *opts = BCON_NEW("sort", "{", "seq", BCON_INT32(up), "}");
    int rc = mongo_find_int(call->store, MONGO_HISTORY, query, "seq", opts, seq);
    bson_destroy(opts);
    bson_destroy(query);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* NULL, with *ret_rc, when the server does not say. */
static bson_t *history_query(struct mongo_call *call, int *ret_rc)
{
    const struct ds_history_read *read = &call->step->history_read;
    int64_t from = 0, until = INT64_MAX;
    *ret_rc = 0;
    if (read->from_ms != 0)
        *ret_rc = whole_find(call, "$lte", read->from_ms, -1, &from);
    if (*ret_rc == 0 && read->until_ms != 0)
        *ret_rc = whole_find(call, "$gte", read->until_ms, 1, &until);
    if (*ret_rc < 0)
        return NULL;
    from = from > read->after_seq ? from : read->after_seq + 1;
    bson_t *query = bson_new();
    if (read->node != 0)
        BSON_APPEND_INT64(query, "node", read->node);
    else if (read->after_node != 0)
        BCON_APPEND(query, "node", "{", "$gt", BCON_INT64(read->after_node), "}");
    if (until < INT64_MAX)
        BCON_APPEND(query, "seq", "{", "$gte", BCON_INT64(from), "$lt", BCON_INT64(until), "}");
    else
        BCON_APPEND(query, "seq", "{", "$gte", BCON_INT64(from), "}");
    return query;
}

int mongo_history_read(struct mongo_call *call)
{
    struct ds_history_read *read = &call->step->history_read;
    struct history_row *rows = NULL;
    size_t n = 0, capacity = 0;
    const bson_t *doc;
    int rc;
    if (!ds_history_read_valid(read))
        return ERR_INVALID;
    bson_t *query = history_query(call, &rc);
    if (query == NULL)
        return rc;
    bson_t *opts = BCON_NEW("sort", "{", "node", BCON_INT32(1), "seq", BCON_INT32(1), "}", "limit",
                            BCON_INT64((int64_t)read->rows_max));
    mongoc_cursor_t *cursor = mongo_find(call->store, MONGO_HISTORY, query, opts);
    while ((rc = mongo_next(call->store, cursor, &doc)) == 1) {
        rows = arena_grow(call->mem, rows, n, &capacity, sizeof(*rows));
        if (history_from_doc(doc, call->mem, &rows[n++]) < 0) {
            rc = mongo_damaged(call->store, MONGO_HISTORY, 0);
            break;
        }
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(query);
    if (rc < 0)
        return rc;
    read->ret_rows = rows;
    read->ret_n = n;
    return 0;
}
