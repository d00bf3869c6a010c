/* The SQLite backend as the destination of a copy: its mark, and the steps that put records as they
 * are elsewhere (datastore.h). Thread: the handle's. */
#include "datastore/record_bson.h"

#include "datastore/sqlite_store.h"

static int meta_get(struct sqlite_call *call, struct meta *ret_meta)
{
    struct ds_step step = {.kind = DS_META_READ};
    struct sqlite_call inner = *call;
    inner.step = &step;
    int rc = sqlite_meta_read(&inner);
    *ret_meta = step.meta_read.ret_meta;
    return rc;
}

int sqlite_copying(struct sqlite_call *call)
{
    struct meta meta;
    int rc = meta_get(call, &meta);
    return rc == 0 && meta.copying[0] == '\0' ? ERR_CONFLICT : rc;
}

/* What the body holds beyond this program's knowledge stays. */
static int meta_put(struct sqlite_call *call, const struct meta *meta)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_META_READ);
    int rc = stmt != NULL ? sql_step(call->store, stmt) : ERR_UNAVAILABLE;
    if (rc <= 0)
        return rc < 0 ? rc : sql_damaged(call->store, "meta", 0);
    struct bytes body = meta_encode(meta, column_bytes(stmt, 5), call->mem);
    sqlite3_reset(stmt);
    stmt = sql_use(call->store, SQL_META_MARK);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, meta->created_ms);
    bind_bytes(stmt, 2, body);
    return sql_run(call->store, stmt);
}

int sqlite_copy_mark(struct sqlite_call *call)
{
    const struct ds_copy_mark *mark = &call->step->copy_mark;
    struct meta meta;
    size_t len = mark->from != NULL ? strlen(mark->from) : 0;
    if (len < 1 || len > LIMIT_COPYING_BYTES)
        return ERR_INVALID;
    int rc = meta_get(call, &meta);
    if (rc < 0)
        return rc;
    if (meta.copying[0] == '\0' && mark->done)
        return ERR_NOT_FOUND;
    if (meta.copying[0] != '\0' && strcmp(meta.copying, mark->from) != 0)
        return ERR_CONFLICT;
    if (!mark->done && meta.created_ms != mark->created_ms)
        return ERR_CONFLICT;
    memset(meta.copying, 0, sizeof(meta.copying));
    if (mark->done)
        meta.created_ms = mark->created_ms;
    else
        memcpy(meta.copying, mark->from, len);
    return meta_put(call, &meta);
}

static int lane_write(struct sqlite_call *call, enum sql_id sql)
{
    const struct lane *lane = call->step->lane_put.lane;
    sqlite3_stmt *stmt = sql_use(call->store, sql);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, lane->number);
    bind_text(stmt, 2, lane->name.queue);
    bind_int(stmt, 3, lane->name.priority);
    bind_int(stmt, 4, lane->name.partition);
    bind_int(stmt, 5, lane->exclusive);
    bind_int(stmt, 6, lane->tail);
    bind_int(stmt, 7, lane->head);
    bind_int(stmt, 8, lane->holder);
    bind_bytes(stmt, 9, lane_encode(lane, (struct bytes){0}, call->mem));
    return sql_run(call->store, stmt);
}

int sqlite_lane_put(struct sqlite_call *call)
{
    const struct lane *lane = call->step->lane_put.lane;
    if (lane->number < 0 || lane->number >= LIMIT_LANES)
        return ERR_INVALID;
    int rc = sqlite_copying(call);
    sqlite3_stmt *next = rc == 0 ? sql_use(call->store, SQL_LANE_NEXT) : NULL;
    if (next == NULL)
        return rc < 0 ? rc : ERR_UNAVAILABLE;
    rc = lane_write(call, SQL_LANE_COPY);
    if (rc == 0 && sqlite3_changes(call->store->db) == 0)
        rc = lane_write(call, SQL_LANE_COPY_ADD);
    if (rc == 0 && sqlite3_changes(call->store->db) == 0)
        return ERR_DUPLICATE;
    bind_int(next, 1, lane->number + 1);
    return rc == 0 ? sql_run(call->store, next) : rc;
}

static int row_there(struct sqlite_call *call, int64_t id)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_JOB_TOKEN);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, id);
    int rc = sql_step(call->store, stmt);
    sqlite3_reset(stmt);
    return rc == 0 ? ERR_NOT_FOUND : rc < 0 ? rc : 0;
}

int sqlite_chunks_add(struct sqlite_call *call)
{
    const struct ds_chunks_add *add = &call->step->chunks_add;
    int rc = sqlite_copying(call);
    for (size_t i = 0; rc == 0 && i < add->n; i++) {
        rc = row_there(call, add->chunks[i].id);
        if (rc == 0)
            rc = sqlite_chunk_add(call, &add->chunks[i], add->chunks[i].id);
    }
    return rc;
}

int sqlite_submits_read(struct sqlite_call *call)
{
    struct ds_submits_read *read = &call->step->submits_read;
    if (read->rows_max < 1)
        return ERR_INVALID;
    sqlite3_stmt *stmt = sql_use(call->store, SQL_SUBMITS);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_text(stmt, 1, read->after != NULL ? read->after : "");
    bind_int(stmt, 2, (int64_t)read->rows_max);
    const char **submits = arena_alloc(call->mem, read->rows_max * sizeof(*submits));
    size_t n = 0;
    int rc;
    while ((rc = sql_step(call->store, stmt)) == 1)
        submits[n++] = arena_string(call->mem, (const char *)sqlite3_column_text(stmt, 0));
    if (rc < 0)
        return rc;
    read->ret_submits = submits;
    read->ret_n = n;
    return 0;
}
