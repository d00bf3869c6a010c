/* The SQLite backend's queues, lanes, nodes, finished ranges and history.
 *
 * Lanes and nodes are read, changed by the pure steps of datastore/steps.h and written back, all
 * inside one transaction under the lock. What the bodies hold beyond this program's knowledge is
 * carried over. Totals of finished ranges are kept by the step that adds them, never counted.
 * Thread: the handle's. */
#include <assert.h>
#include <stdio.h>

#include "datastore/record_bson.h"
#include "datastore/steps.h"

#include "datastore/sqlite_store.h"

/* Reads all rows of a statement into an array that grows; `add` handles one. */
#define ROWS_FIRST 16

static void name_copy(char *to, size_t size, sqlite3_stmt *stmt, int column)
{
    const unsigned char *text = sqlite3_column_text(stmt, column);
    snprintf(to, size, "%s", text != NULL ? (const char *)text : "");
}

/* An array with room for one more element. */
static void *room_for(void *items, size_t n, size_t size, struct arena *mem)
{
    bool full = n == 0 || (n >= ROWS_FIRST && (n & (n - 1)) == 0);
    if (!full)
        return items;
    void *fresh = arena_alloc(mem, (n == 0 ? ROWS_FIRST : 2 * n) * size);
    if (n > 0)
        memcpy(fresh, items, n * size);
    return fresh;
}

int sqlite_meta_read(struct sqlite_call *call)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_META_READ);
    int rc = stmt != NULL ? sql_step(call->store, stmt) : ERR_UNAVAILABLE;
    if (rc <= 0)
        return rc < 0 ? rc : sql_damaged(call->store, "meta", 0);
    struct meta meta = {.schema_version = sqlite3_column_int(stmt, 0),
                        .reader_version_min = sqlite3_column_int(stmt, 1),
                        .writer_version_min = sqlite3_column_int(stmt, 2),
                        .features = sqlite3_column_int64(stmt, 3),
                        .created_ms = sqlite3_column_int64(stmt, 4)};
    struct bytes body = column_bytes(stmt, 5);
    rc = body.len > 0 ? meta_decode(body, &meta) : 0;
    sqlite3_reset(stmt);
    if (rc < 0)
        return sql_damaged(call->store, "meta", 0);
    call->step->meta_read.ret_meta = meta;
    return 0;
}

/* ---- queues --------------------------------------------------------------------------------- */

static int queue_row(struct sqlite_store *store, sqlite3_stmt *stmt, struct queue *ret_queue)
{
    *ret_queue = (struct queue){0};
    name_copy(ret_queue->name, sizeof(ret_queue->name), stmt, 0);
    if (queue_decode(column_bytes(stmt, 1), ret_queue) < 0)
        return sql_damaged(store, "queue", 0);
    return 0;
}

/* 1 found, 0 not there, or a code. *ret_body: what is stored, for unknown fields. */
static int queue_get(struct sqlite_call *call, const char *name, struct queue *ret_queue,
                     struct bytes *ret_body)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_QUEUE_GET);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_text(stmt, 1, name);
    int rc = sql_step(call->store, stmt);
    if (rc <= 0)
        return rc;
    rc = queue_row(call->store, stmt, ret_queue);
    *ret_body = arena_bytes(call->mem, column_bytes(stmt, 1));
    sqlite3_reset(stmt);
    return rc < 0 ? rc : 1;
}

static int queue_put(struct sqlite_call *call, const struct queue *queue, struct bytes old)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_QUEUE_PUT);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_text(stmt, 1, queue->name);
    bind_bytes(stmt, 2, queue_encode(queue, old, call->mem));
    return sql_run(call->store, stmt);
}

int sqlite_queue_set(struct sqlite_call *call)
{
    const struct ds_queue_set *set = &call->step->queue_set;
    struct queue queue = set->queue, old;
    struct bytes body = {0};
    if (!name_valid(queue.name) || queue.partitions < 0 || queue.partitions > LIMIT_LANES)
        return ERR_INVALID;
    int found = set->as_is ? sqlite_copying(call) : 0;
    if (found == 0)
        found = queue_get(call, queue.name, &old, &body);
    if (found < 0)
        return found;
    if (found == 0 && set->alter_only)
        return ERR_NOT_FOUND;
    if (found == 1 && set->create_only)
        return ERR_DUPLICATE;
    if (found == 1 && old.partitions != queue.partitions)
        return ERR_CONFLICT;
    if (!set->as_is)
        queue.changed_ms = call->utc_ms;
    return queue_put(call, &queue, body);
}

int sqlite_queues_read(struct sqlite_call *call)
{
    struct ds_queues_read *read = &call->step->queues_read;
    sqlite3_stmt *stmt = sql_use(call->store, SQL_QUEUES_ALL);
    struct queue *queues = NULL;
    size_t n = 0;
    int rc = stmt != NULL ? 0 : ERR_UNAVAILABLE;
    while (rc == 0 && (rc = sql_step(call->store, stmt)) == 1) {
        queues = room_for(queues, n, sizeof(*queues), call->mem);
        rc = queue_row(call->store, stmt, &queues[n++]);
    }
    if (rc < 0)
        return rc;
    read->ret_queues = queues;
    read->ret_n = n;
    return 0;
}

/* ---- lanes ---------------------------------------------------------------------------------- */

static int lane_row(struct sqlite_call *call, sqlite3_stmt *stmt, struct lane *ret_lane)
{
    *ret_lane = (struct lane){
        .number = sqlite3_column_int(stmt, 0),
        .name = {.priority = sqlite3_column_int(stmt, 2), .partition = sqlite3_column_int(stmt, 3)},
        .exclusive = sqlite3_column_int(stmt, 4) != 0,
        .tail = sqlite3_column_int64(stmt, 5),
        .head = sqlite3_column_int64(stmt, 6),
        .holder = sqlite3_column_int64(stmt, 7)};
    name_copy(ret_lane->name.queue, sizeof(ret_lane->name.queue), stmt, 1);
    if (lane_decode(column_bytes(stmt, 8), call->mem, ret_lane) < 0 || ret_lane->number < 0 ||
        ret_lane->number >= LIMIT_LANES || !id_possible(ret_lane->head) ||
        !id_possible(ret_lane->tail))
        return sql_damaged(call->store, "lane", ret_lane->number);
    return 0;
}

/* 0 or a code; ERR_NOT_FOUND. *ret_body (may be NULL): what is stored. */
static int lane_get(struct sqlite_call *call, int32_t number, struct lane *ret_lane,
                    struct bytes *ret_body)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_LANE_GET);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, number);
    int rc = sql_step(call->store, stmt);
    if (rc <= 0)
        return rc < 0 ? rc : ERR_NOT_FOUND;
    rc = lane_row(call, stmt, ret_lane);
    if (ret_body != NULL)
        *ret_body = arena_bytes(call->mem, column_bytes(stmt, 8));
    sqlite3_reset(stmt);
    return rc;
}

static int lane_put(struct sqlite_call *call, const struct lane *lane, struct bytes old)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_LANE_PUT);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    struct bytes body = lane_encode(lane, old, call->mem);
    bind_int(stmt, 1, lane->number);
    bind_int(stmt, 2, lane->tail);
    bind_int(stmt, 3, lane->head);
    bind_int(stmt, 4, lane->holder);
    bind_bytes(stmt, 5, body);
    call->store->bytes += body.len;
    return sql_run(call->store, stmt);
}

int sqlite_lane_tail(struct sqlite_store *store, int32_t lane, int64_t *ret_tail)
{
    sqlite3_stmt *stmt = sql_use(store, SQL_LANE_TAIL);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, lane);
    int rc = sql_step(store, stmt);
    if (rc <= 0)
        return rc < 0 ? rc : ERR_NOT_FOUND;
    *ret_tail = sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    return 0;
}

static int lane_find(struct sqlite_call *call, const struct lane_name *name, int32_t *ret_number)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_LANE_FIND);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_text(stmt, 1, name->queue);
    bind_int(stmt, 2, name->priority);
    bind_int(stmt, 3, name->partition);
    int rc = sql_step(call->store, stmt);
    if (rc == 1)
        *ret_number = sqlite3_column_int(stmt, 0);
    sqlite3_reset(stmt);
    return rc;
}

/* Takes the next number from the allocator. */
static int lane_number_take(struct sqlite_call *call, int32_t *ret_number)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_LANE_NUMBER_TAKE);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, LIMIT_LANES);
    int rc = sql_step(call->store, stmt);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return error_set(call->err, ERR_LIMIT, "no more than %d lanes", LIMIT_LANES);
    *ret_number = sqlite3_column_int(stmt, 0);
    return sql_run(call->store, stmt); /* a RETURNING is stepped to its end */
}

static int lane_add(struct sqlite_call *call, const struct lane_name *name, int32_t *ret_number)
{
    int32_t number = 0;
    int rc = lane_number_take(call, &number);
    sqlite3_stmt *stmt = rc == 0 ? sql_use(call->store, SQL_LANE_ADD) : NULL;
    if (stmt == NULL)
        return rc < 0 ? rc : ERR_UNAVAILABLE;
    bind_int(stmt, 1, number);
    bind_text(stmt, 2, name->queue);
    bind_int(stmt, 3, name->priority);
    bind_int(stmt, 4, name->partition);
    bind_int(stmt, 5, name->partition > 0);
    bind_int(stmt, 6, id_make(number, 1));
    bind_int(stmt, 7, id_make(number, 1));
    bind_bytes(stmt, 8, lane_encode(&(struct lane){0}, (struct bytes){0}, call->mem));
    rc = sql_run(call->store, stmt);
    if (rc == 0)
        *ret_number = number;
    return rc;
}

int sqlite_lane_open(struct sqlite_call *call)
{
    struct ds_lane_open *open = &call->step->lane_open;
    const struct lane_name *name = &open->name;
    struct queue queue = {.weight = 1, .changed_ms = call->utc_ms};
    struct bytes body = {0};
    if (!name_valid(name->queue) || name->priority < 0 || name->priority >= LIMIT_PRIORITIES)
        return ERR_INVALID;
    int found = lane_find(call, name, &open->ret_lane);
    if (found != 0)
        return found < 0 ? found : 0;
    found = queue_get(call, name->queue, &queue, &body);
    if (found < 0)
        return found;
    if (name->partition < 0 || name->partition > queue.partitions)
        return ERR_INVALID;
    int rc = lane_add(call, name, &open->ret_lane);
    if (rc < 0 || found == 1)
        return rc;
    memcpy(queue.name, name->queue, sizeof(queue.name));
    return queue_put(call, &queue, body);
}

int sqlite_lanes_read(struct sqlite_call *call)
{
    struct ds_lanes_read *read = &call->step->lanes_read;
    struct lane *lanes = NULL;
    size_t n = 0;
    if (read->lane >= 0) {
        lanes = arena_alloc(call->mem, sizeof(*lanes));
        int rc = lane_get(call, read->lane, &lanes[n++], NULL);
        if (rc < 0)
            return rc;
    } else {
        sqlite3_stmt *stmt = sql_use(call->store, SQL_LANES_ALL);
        int rc = stmt != NULL ? 0 : ERR_UNAVAILABLE;
        while (rc == 0 && (rc = sql_step(call->store, stmt)) == 1) {
            lanes = room_for(lanes, n, sizeof(*lanes), call->mem);
            rc = lane_row(call, stmt, &lanes[n++]);
        }
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < n; i++)
        lane_entries_keep(&lanes[i], read->entries_of);
    read->ret_lanes = lanes;
    read->ret_n = n;
    return 0;
}

int sqlite_reserve(struct sqlite_call *call)
{
    struct lane lane;
    struct bytes body;
    int rc = lane_get(call, call->step->reserve.lane, &lane, &body);
    if (rc == 0)
        rc = step_reserve(&lane, &call->step->reserve, call->mem);
    return rc == 0 ? lane_put(call, &lane, body) : rc;
}

int sqlite_claim(struct sqlite_call *call)
{
    struct lane lane;
    struct bytes body;
    bool changed = false;
    int rc = lane_get(call, call->step->claim.lane, &lane, &body);
    if (rc == 0)
        rc = step_claim(&lane, &call->step->claim, call->mem, &changed);
    return rc == 0 && changed ? lane_put(call, &lane, body) : rc;
}

int sqlite_give_back(struct sqlite_call *call)
{
    struct lane lane;
    struct bytes body;
    int rc = lane_get(call, call->step->give_back.lane, &lane, &body);
    if (rc == 0)
        rc = step_give_back(&lane, &call->step->give_back, call->mem);
    return rc == 0 ? lane_put(call, &lane, body) : rc;
}

int sqlite_entry_drop(struct sqlite_call *call)
{
    struct lane lane;
    struct bytes body;
    int rc = lane_get(call, call->step->entry_drop.lane, &lane, &body);
    if (rc == 0)
        rc = step_entry_drop(&lane, &call->step->entry_drop, call->mem);
    return rc == 0 ? lane_put(call, &lane, body) : rc;
}

int sqlite_lane_bury(struct sqlite_call *call)
{
    struct lane lane;
    struct bytes body;
    int rc = lane_get(call, call->step->lane_bury.lane, &lane, &body);
    if (rc == 0)
        rc = step_lane_bury(&lane, &call->step->lane_bury, call->mem);
    return rc == 0 ? lane_put(call, &lane, body) : rc;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static int node_row(struct sqlite_call *call, sqlite3_stmt *stmt, struct node *ret_node)
{
    *ret_node = (struct node){.id = sqlite3_column_int64(stmt, 0),
                              .state = (enum node_state)sqlite3_column_int(stmt, 2),
                              .beat = (uint64_t)sqlite3_column_int64(stmt, 3),
                              .desired = (enum node_desired)sqlite3_column_int(stmt, 4)};
    name_copy(ret_node->name, sizeof(ret_node->name), stmt, 1);
    if (node_decode(column_bytes(stmt, 5), call->mem, ret_node) < 0)
        return sql_damaged(call->store, "node", ret_node->id);
    return 0;
}

static int node_get(struct sqlite_call *call, int64_t id, struct node *ret_node,
                    struct bytes *ret_body)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_NODE_GET);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, id);
    int rc = sql_step(call->store, stmt);
    if (rc <= 0)
        return rc < 0 ? rc : ERR_NOT_FOUND;
    rc = node_row(call, stmt, ret_node);
    *ret_body = arena_bytes(call->mem, column_bytes(stmt, 5));
    sqlite3_reset(stmt);
    return rc;
}

static int node_put(struct sqlite_call *call, const struct node *node, struct bytes old)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_NODE_PUT);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    struct bytes body = node_encode(node, old, call->mem);
    bind_int(stmt, 1, node->id);
    bind_int(stmt, 2, node->state);
    bind_int(stmt, 3, (int64_t)node->beat);
    bind_int(stmt, 4, node->desired);
    bind_bytes(stmt, 5, body);
    call->store->bytes += body.len;
    return sql_run(call->store, stmt);
}

static int nodes_count(struct sqlite_store *store, int64_t *ret_n)
{
    sqlite3_stmt *stmt = sql_use(store, SQL_NODES_COUNT);
    int rc = stmt != NULL ? sql_step(store, stmt) : ERR_UNAVAILABLE;
    if (rc < 0)
        return rc;
    *ret_n = sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    return 0;
}

int sqlite_node_add(struct sqlite_call *call)
{
    struct node node = *call->step->node_add.node;
    int64_t n_nodes = 0;
    if (node.id <= 0 || !name_valid(node.name))
        return ERR_INVALID;
    bool as_is = call->step->node_add.as_is;
    int rc = as_is ? sqlite_copying(call) : 0;
    if (rc == 0)
        rc = nodes_count(call->store, &n_nodes);
    if (rc < 0)
        return rc;
    if (n_nodes >= LIMIT_NODE_RECORDS)
        return error_set(call->err, ERR_LIMIT, "no more than %d node records", LIMIT_NODE_RECORDS);
    sqlite3_stmt *stmt = sql_use(call->store, SQL_NODE_ADD);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    if (!as_is)
        node.created_ms = node.beat_ms = call->utc_ms;
    bind_int(stmt, 1, node.id);
    bind_text(stmt, 2, node.name);
    bind_int(stmt, 3, node.state);
    bind_int(stmt, 4, (int64_t)node.beat);
    bind_int(stmt, 5, node.desired);
    bind_bytes(stmt, 6, node_encode(&node, (struct bytes){0}, call->mem));
    rc = sql_run(call->store, stmt);
    return rc == 0 && sqlite3_changes(call->store->db) == 0 ? ERR_DUPLICATE : rc;
}

int sqlite_node_write(struct sqlite_call *call)
{
    struct ds_node_write *write = &call->step->node_write;
    const struct ds_claim *accepted = NULL;
    struct node node;
    struct bytes body;
    if (write->accept) {
        if (call->before == NULL || call->before->kind != DS_CLAIM || call->before->rc != 0)
            return ERR_INVALID;
        accepted = &call->before->claim;
    }
    int rc = node_get(call, write->node->id, &node, &body);
    if (rc == 0)
        rc = step_node_write(&node, write, accepted, call->utc_ms, call->mem);
    return rc == 0 ? node_put(call, &node, body) : rc;
}

int sqlite_node_ask(struct sqlite_call *call)
{
    struct node node;
    struct bytes body;
    bool changed = false;
    int rc = node_get(call, call->step->node_ask.node, &node, &body);
    if (rc == 0)
        rc = step_node_ask(&node, &call->step->node_ask, call->mem, &changed);
    return rc == 0 && changed ? node_put(call, &node, body) : rc;
}

int sqlite_node_kill(struct sqlite_call *call)
{
    struct ds_node_kill *kill = &call->step->node_kill;
    struct node node;
    struct bytes body;
    int rc = node_get(call, kill->node, &node, &body);
    if (rc < 0)
        return rc;
    rc = step_node_kill(&node, kill, call->utc_ms);
    kill->ret_node = node;
    return rc == 0 ? node_put(call, &node, body) : rc;
}

int sqlite_node_clear(struct sqlite_call *call)
{
    struct node node;
    struct bytes body;
    int rc = node_get(call, call->step->node_clear.node, &node, &body);
    if (rc == 0)
        rc = step_node_clear(&node, &call->step->node_clear, call->mem);
    return rc == 0 ? node_put(call, &node, body) : rc;
}

static int history_forget(struct sqlite_call *call, enum sql_id sql, int64_t node,
                          int64_t before_ms)
{
    if (before_ms == 0)
        return 0;
    sqlite3_stmt *stmt = sql_use(call->store, sql);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, node);
    bind_int(stmt, 2, before_ms);
    return sql_run(call->store, stmt);
}

int sqlite_node_delete(struct sqlite_call *call)
{
    struct node node;
    struct bytes body;
    int rc = node_get(call, call->step->node_delete.node, &node, &body);
    if (rc < 0)
        return rc;
    if (node.state != NODE_DEAD)
        return ERR_CONFLICT;
    rc = history_forget(call, SQL_HISTORY_DROP, node.id, INT64_MAX);
    if (rc < 0)
        return rc;
    sqlite3_stmt *stmt = sql_use(call->store, SQL_NODE_DELETE);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, node.id);
    return sql_run(call->store, stmt);
}

/* Adds what the statement gives to what was read; *seen: rows, the dead included. */
static int nodes_add(struct sqlite_call *call, enum sql_id sql, int64_t id, size_t *seen)
{
    struct ds_nodes_read *read = &call->step->nodes_read;
    sqlite3_stmt *stmt = sql_use(call->store, sql);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    if (sql != SQL_NODES_ALL)
        bind_int(stmt, 1, id);
    int rc = 0;
    while (rc == 0 && (read->max == 0 || read->ret_n < read->max) &&
           (rc = sql_step(call->store, stmt)) == 1) {
        rc = 0;
        ++*seen;
        if (read->live_only && sqlite3_column_int(stmt, 2) == NODE_DEAD)
            continue;
        read->ret_nodes =
            room_for(read->ret_nodes, read->ret_n, sizeof(*read->ret_nodes), call->mem);
        rc = node_row(call, stmt, &read->ret_nodes[read->ret_n++]);
    }
    sqlite3_reset(stmt);
    return rc;
}

int sqlite_nodes_read(struct sqlite_call *call)
{
    struct ds_nodes_read *read = &call->step->nodes_read;
    size_t seen = 0;
    read->ret_nodes = NULL;
    read->ret_n = 0;
    if (read->node != 0) {
        int rc = nodes_add(call, SQL_NODE_GET, read->node, &seen);
        return rc == 0 && seen == 0 ? ERR_NOT_FOUND : rc;
    }
    if (read->max == 0)
        return nodes_add(call, SQL_NODES_ALL, 0, &seen);
    int rc = nodes_add(call, SQL_NODES_PAST, read->after, &seen);
    return rc == 0 ? nodes_add(call, SQL_NODES_UP_TO, read->after, &seen) : rc;
}

/* ---- finished ranges ------------------------------------------------------------------------ */

static void stint_bind(sqlite3_stmt *stmt, const struct stint_row *row)
{
    bind_int(stmt, 1, row->range.a);
    bind_int(stmt, 2, row->range.b);
    bind_int(stmt, 3, row->node);
    bind_int(stmt, 4, row->done);
    bind_int(stmt, 5, row->failed);
    bind_int(stmt, 6, row->cancelled);
    bind_int(stmt, 7, row->first_start_ms);
    bind_int(stmt, 8, row->last_finish_ms);
}

int sqlite_stints_add(struct sqlite_call *call)
{
    const struct ds_stints_add *add = &call->step->stints_add;
    struct sqlite_store *store = call->store;
    for (size_t i = 0; i < add->n; i++)
        if (add->rows[i].range.a < 1 || add->rows[i].range.a >= add->rows[i].range.b)
            return ERR_INVALID;
    bool totals = add->part == STINTS_TOTALS;
    int rc = add->part != STINTS_BOTH ? sqlite_copying(call) : 0;
    for (size_t i = 0; rc == 0 && i < add->n; i++) {
        sqlite3_stmt *row = sql_use(store, SQL_STINT_ADD);
        sqlite3_stmt *total = sql_use(store, totals ? SQL_TOTAL_PUT : SQL_TOTAL_ADD);
        if (row == NULL || total == NULL)
            return ERR_UNAVAILABLE;
        stint_bind(row, &add->rows[i]);
        rc = totals ? 0 : sql_run(store, row);
        if (rc < 0 || (!totals && sqlite3_changes(store->db) == 0) || add->part == STINTS_ROWS)
            continue;
        stint_bind(total, &add->rows[i]);
        rc = sql_run(store, total);
    }
    return rc;
}

int sqlite_stints_read(struct sqlite_call *call)
{
    struct ds_stints_read *read = &call->step->stints_read;
    struct stint_row *rows = NULL;
    size_t n = 0;
    if (read->rows_max < 1 || read->lane >= LIMIT_LANES)
        return ERR_INVALID;
    sqlite3_stmt *stmt = sql_use(call->store, read->totals_only    ? SQL_TOTALS_READ
                                              : read->newest_first ? SQL_STINTS_READ_DOWN
                                                                   : SQL_STINTS_READ);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bool all = read->lane < 0;
    int64_t below = all ? INT64_MAX : id_make(read->lane, 0) + ID_SEQ_MAX + 1;
    if (!read->totals_only && read->before_id != 0 && read->before_id < below)
        below = read->before_id;
    bind_int(stmt, 1, read->after_id);
    bind_int(stmt, 2, all ? 0 : id_make(read->lane, 0));
    bind_int(stmt, 3, below);
    bind_int(stmt, 4, (int64_t)read->rows_max);
    int rc;
    while ((rc = sql_step(call->store, stmt)) == 1) {
        rows = room_for(rows, n, sizeof(*rows), call->mem);
        rows[n++] = (struct stint_row){
            .range = {.a = sqlite3_column_int64(stmt, 0), .b = sqlite3_column_int64(stmt, 1)},
            .node = sqlite3_column_int64(stmt, 2),
            .done = sqlite3_column_int64(stmt, 3),
            .failed = sqlite3_column_int64(stmt, 4),
            .cancelled = sqlite3_column_int64(stmt, 5),
            .first_start_ms = sqlite3_column_int64(stmt, 6),
            .last_finish_ms = sqlite3_column_int64(stmt, 7)};
    }
    if (rc < 0)
        return rc;
    read->ret_rows = rows;
    read->ret_n = n;
    return 0;
}

/* ---- history -------------------------------------------------------------------------------- */

static int history_put(struct sqlite_call *call, const struct history_row *row)
{
    sqlite3_stmt *stmt = sql_use(call->store, SQL_HISTORY_ADD);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, row->node);
    bind_int(stmt, 2, row->seq);
    bind_int(stmt, 3, row->at_ms);
    bind_int(stmt, 4, row->whole);
    bind_bytes(stmt, 5, row->body);
    call->store->bytes += row->body.len;
    return sql_run(call->store, stmt);
}

int sqlite_history_add(struct sqlite_call *call)
{
    const struct ds_history_add *add = &call->step->history_add;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < add->n; i++)
        rc = history_put(call, &add->rows[i]);
    for (size_t i = 0; rc == 0 && i < add->n; i++) {
        if (i > 0 && add->rows[i].node == add->rows[i - 1].node)
            continue;
        rc = history_forget(call, SQL_HISTORY_THIN, add->rows[i].node, add->thin_before_ms);
        if (rc == 0)
            rc = history_forget(call, SQL_HISTORY_DROP, add->rows[i].node, add->drop_before_ms);
    }
    return rc;
}

int sqlite_history_read(struct sqlite_call *call)
{
    struct ds_history_read *read = &call->step->history_read;
    struct history_row *rows = NULL;
    size_t n = 0;
    if (!ds_history_read_valid(read))
        return ERR_INVALID;
    bool stretch = read->from_ms != 0 || read->until_ms != 0;
    sqlite3_stmt *stmt = sql_use(call->store, stretch           ? SQL_HISTORY_STRETCH
                                              : read->node != 0 ? SQL_HISTORY_NODE
                                                                : SQL_HISTORY_ALL);
    if (stmt == NULL)
        return ERR_UNAVAILABLE;
    bind_int(stmt, 1, read->after_seq);
    bind_int(stmt, 2, (int64_t)read->rows_max);
    bind_int(stmt, 3, read->node != 0 ? read->node : read->after_node);
    if (stretch) {
        bind_int(stmt, 4, read->from_ms != 0 ? read->from_ms : INT64_MIN);
        bind_int(stmt, 5, read->until_ms != 0 ? read->until_ms : INT64_MAX);
    }
    int rc;
    while ((rc = sql_step(call->store, stmt)) == 1) {
        rows = room_for(rows, n, sizeof(*rows), call->mem);
        struct bytes body = column_bytes(stmt, 4);
        rows[n++] = (struct history_row){.node = sqlite3_column_int64(stmt, 0),
                                         .seq = sqlite3_column_int64(stmt, 1),
                                         .at_ms = sqlite3_column_int64(stmt, 2),
                                         .whole = sqlite3_column_int(stmt, 3) != 0,
                                         .body = arena_bytes(call->mem, body)};
    }
    if (rc < 0)
        return rc;
    read->ret_rows = rows;
    read->ret_n = n;
    return 0;
}
