/* The MongoDB backend's node records: each step one guarded change of one document.
 *
 * Where a guard is not met, the record is read to tell why; it may change between the two, so what
 * is told is true of that reading. Invariants: I1, I5. Thread: the handle's. */
#include <assert.h>

#include "datastore/mongo_bson.h"
#include "datastore/mongo_store.h"
#include "datastore/steps.h"

enum { TRIES = 24 };

static bson_t *by_id(int64_t node)
{
    return BCON_NEW("_id", BCON_INT64(node));
}

static bson_t *by_id_alive(int64_t node)
{
    return BCON_NEW("_id", BCON_INT64(node), "state", "{", "$ne", BCON_UTF8("dead"), "}");
}

static int node_read(struct mongo_call *call, const bson_t *doc, int64_t id, struct node *ret_node)
{
    int rc = node_from_doc(doc, call->mem, ret_node);
    return rc < 0 ? mongo_damaged(call->store, MONGO_NODES, id) : 0;
}

static int node_get(struct mongo_call *call, int64_t id, struct node *ret_node)
{
    bson_t *query = by_id(id), doc;
    int rc = mongo_find_one(call->store, MONGO_NODES, query, NULL, &doc);
    bson_destroy(query);
    if (rc < 0)
        return rc;
    rc = node_read(call, &doc, id, ret_node);
    bson_destroy(&doc);
    return rc;
}

/* ---- adding --------------------------------------------------------------------------------- */

int mongo_node_add(struct mongo_call *call)
{
    struct node node = *call->step->node_add.node;
    bson_t doc = BSON_INITIALIZER, all = BSON_INITIALIZER;
    int64_t n_nodes = 0;
    if (node.id <= 0 || !name_valid(node.name))
        return ERR_INVALID;
    bool as_is = call->step->node_add.as_is;
    int rc = as_is ? mongo_copying(call) : 0;
    if (rc == 0)
        rc = mongo_count(call->store, MONGO_NODES, &all, &n_nodes);
    if (rc == 0 && n_nodes >= LIMIT_NODE_RECORDS)
        rc = error_set(call->err, ERR_LIMIT, "no more than %d node records", LIMIT_NODE_RECORDS);
    if (rc == 0) {
        if (!as_is)
            node.created_ms = node.beat_ms = call->utc_ms;
        node_to_doc(&node, &doc);
        rc = mongo_insert_one(call->store, MONGO_NODES, &doc);
    }
    bson_destroy(&doc);
    return rc;
}

/* ---- the node's own writes ------------------------------------------------------------------ */

/* The own part as it is to be, an accepted grant included. */
static struct node own_part(struct mongo_call *call, const struct ds_claim *accepted)
{
    const struct ds_node_write *write = &call->step->node_write;
    struct node node = node_copy(write->node, call->mem);
    struct ds_node_write plain = *write;
    if (accepted != NULL) {
        /* The shared step does it, on a record that is one beat behind. */
        node.beat--;
        int rc = step_node_write(&node, &plain, accepted, call->utc_ms, call->mem);
        assert(rc == 0);
        (void)rc;
    }
    return node;
}

static bson_t *own_change(const struct node *node, int64_t utc_ms, uint64_t acked_request)
{
    bson_t *change = bson_new(), part;
    BSON_APPEND_DOCUMENT_BEGIN(change, "$set", &part);
    node_own_to_doc(node, &part);
    BSON_APPEND_DATE_TIME(&part, "beat_at", utc_ms);
    bson_append_document_end(change, &part);
    if (acked_request > 0) {
        bson_t *pull = BCON_NEW("requests", "{", "seq", "{", "$lte",
                                BCON_INT64((int64_t)acked_request), "}", "}");
        BSON_APPEND_DOCUMENT(change, "$pull", pull);
        bson_destroy(pull);
    }
    return change;
}

static int write_refused(struct mongo_call *call)
{
    struct ds_node_write *write = &call->step->node_write;
    struct node now;
    int rc = node_get(call, write->node->id, &now);
    if (rc < 0)
        return rc;
    write->ret_dead = now.state == NODE_DEAD;
    return ERR_CONFLICT;
}

int mongo_node_write(struct mongo_call *call)
{
    struct ds_node_write *write = &call->step->node_write;
    const struct ds_claim *accepted = NULL;
    struct node now;
    if (write->accept) {
        if (call->before == NULL || call->before->kind != DS_CLAIM || call->before->rc != 0)
            return ERR_INVALID;
        accepted = &call->before->claim;
    }
    struct node own = own_part(call, accepted);
    bson_t *query = by_id_alive(own.id), doc;
    bson_t *beat = BCON_NEW("beat", "{", "$lt", BCON_INT64((int64_t)own.beat), "}");
    bson_concat(query, beat);
    bson_t *change = own_change(&own, call->utc_ms, write->acked_request);
    bson_t *fields =
        BCON_NEW("state", BCON_INT32(1), "desired", BCON_INT32(1), "requests", BCON_INT32(1));
    int rc = mongo_find_and_modify(call->store, MONGO_NODES, query,
                                   (struct mongo_change){.doc = change}, fields, &doc);
    if (rc == 0) {
        rc = node_read(call, &doc, own.id, &now);
        bson_destroy(&doc);
        if (rc == 0) {
            write->ret_dead = false;
            write->ret_desired = now.desired;
            write->ret_requests = now.requests;
            write->ret_n_requests = now.n_requests;
            write->ret_utc_ms = call->utc_ms;
        }
    } else if (rc == ERR_NOT_FOUND) {
        rc = write_refused(call);
    }
    bson_destroy(fields);
    bson_destroy(change);
    bson_destroy(beat);
    bson_destroy(query);
    return rc;
}

/* ---- what others write ---------------------------------------------------------------------- */

/* Written under the guard that nobody asked since it was read; the node may have taken requests
 * away meanwhile. */
static int ask_write(struct mongo_call *call, const struct node *node, uint64_t seq_was,
                     bool add_request)
{
    bson_t *query = by_id_alive(node->id), *change, request = BSON_INITIALIZER;
    BSON_APPEND_INT64(query, "request_seq", (int64_t)seq_was);
    change = BCON_NEW("$set", "{", "desired",
                      BCON_UTF8(node->desired == DESIRED_RUN      ? "run"
                                : node->desired == DESIRED_PAUSED ? "paused"
                                                                  : "stopped"),
                      "request_seq", BCON_INT64((int64_t)seq_was + 1), "}");
    if (add_request) {
        bson_t push;
        request_to_doc(&node->requests[node->n_requests - 1], &request);
        BSON_APPEND_DOCUMENT_BEGIN(change, "$push", &push);
        BSON_APPEND_DOCUMENT(&push, "requests", &request);
        bson_append_document_end(change, &push);
    }
    int64_t n = 0;
    int rc =
        mongo_update(call->store, MONGO_NODES, query, (struct mongo_change){.doc = change}, &n);
    bson_destroy(&request);
    bson_destroy(change);
    bson_destroy(query);
    return rc == 0 && n == 0 ? ERR_NOT_FOUND : rc;
}

int mongo_node_ask(struct mongo_call *call)
{
    const struct ds_node_ask *ask = &call->step->node_ask;
    for (int i = 0; i < TRIES; i++) {
        struct node node;
        bool changed = false;
        int rc = node_get(call, ask->node, &node);
        size_t n_requests = node.n_requests;
        uint64_t seq = node.request_seq;
        if (rc == 0)
            rc = step_node_ask(&node, ask, call->mem, &changed);
        if (rc < 0 || !changed)
            return rc;
        rc = ask_write(call, &node, seq, node.n_requests > n_requests);
        if (rc != ERR_NOT_FOUND)
            return rc;
    }
    return ERR_BUSY;
}

int mongo_node_kill(struct mongo_call *call)
{
    struct ds_node_kill *kill = &call->step->node_kill;
    char cause[sizeof(((struct node *)0)->cause)];
    snprintf(cause, sizeof(cause), "%s", kill->cause);
    bson_t *query = by_id_alive(kill->node), doc;
    BSON_APPEND_INT64(query, "beat", (int64_t)kill->beat);
    bson_t *change =
        BCON_NEW("$set", "{", "state", BCON_UTF8("dead"), "since", BCON_DATE_TIME(call->utc_ms),
                 "cause", BCON_UTF8(cause), "}", "$unset", "{", "live", BCON_UTF8(""), "}");
    int rc = mongo_find_and_modify(call->store, MONGO_NODES, query,
                                   (struct mongo_change){.doc = change}, NULL, &doc);
    bson_destroy(change);
    bson_destroy(query);
    if (rc == 0) {
        rc = node_read(call, &doc, kill->node, &kill->ret_node);
        bson_destroy(&doc);
        return rc;
    }
    if (rc != ERR_NOT_FOUND)
        return rc;
    rc = node_get(call, kill->node, &kill->ret_node);
    return rc < 0 ? rc : ERR_CONFLICT;
}

/* 0 where a dead node's record changed; else why not. */
static int dead_only(struct mongo_call *call, int64_t id, int rc, int64_t n)
{
    struct node node;
    if (rc < 0 || n > 0)
        return rc;
    rc = node_get(call, id, &node);
    return rc < 0 ? rc : ERR_CONFLICT;
}

int mongo_node_clear(struct mongo_call *call)
{
    const struct ds_node_clear *clear = &call->step->node_clear;
    if (clear->lane < 0 || clear->lane >= LIMIT_LANES)
        return ERR_INVALID;
    bson_t *query = BCON_NEW("_id", BCON_INT64(clear->node), "state", BCON_UTF8("dead"));
    bson_t *change =
        BCON_NEW("$pull", "{", "ranges", "{", "a", "{", "$gte", BCON_INT64(id_make(clear->lane, 0)),
                 "$lte", BCON_INT64(id_make(clear->lane, ID_SEQ_MAX)), "}", "}", "}");
    int64_t n = 0;
    int rc =
        mongo_update(call->store, MONGO_NODES, query, (struct mongo_change){.doc = change}, &n);
    bson_destroy(change);
    bson_destroy(query);
    return dead_only(call, clear->node, rc, n);
}

int mongo_node_delete(struct mongo_call *call)
{
    int64_t id = call->step->node_delete.node, n = 0;
    struct node node;
    int rc = node_get(call, id, &node);
    if (rc == 0 && node.state != NODE_DEAD)
        rc = ERR_CONFLICT;
    if (rc < 0)
        return rc;
    /* The dead stay dead. First what nobody would find any more without the record. */
    bson_t *versions = BCON_NEW("node", BCON_INT64(id));
    rc = mongo_delete(call->store, MONGO_HISTORY, versions, NULL);
    bson_destroy(versions);
    if (rc < 0)
        return rc;
    bson_t *query = BCON_NEW("_id", BCON_INT64(id), "state", BCON_UTF8("dead"));
    rc = mongo_delete(call->store, MONGO_NODES, query, &n);
    bson_destroy(query);
    return dead_only(call, id, rc, n);
}

/* Those that the query finds, by id, added to what was read. */
static int nodes_add(struct mongo_call *call, bson_t *query, size_t *capacity, size_t *seen)
{
    struct ds_nodes_read *read = &call->step->nodes_read;
    bson_t *opts = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}");
    if (read->max > 0)
        BSON_APPEND_INT64(opts, "limit", (int64_t)(read->max - read->ret_n));
    if (read->live_only && read->node == 0) {
        bson_t part;
        BSON_APPEND_DOCUMENT_BEGIN(query, "state", &part);
        BSON_APPEND_UTF8(&part, "$ne", "dead");
        bson_append_document_end(query, &part);
    }
    mongoc_cursor_t *cursor = mongo_find(call->store, MONGO_NODES, query, opts);
    const bson_t *doc;
    int rc;
    while ((rc = mongo_next(call->store, cursor, &doc)) == 1) {
        read->ret_nodes =
            arena_grow(call->mem, read->ret_nodes, read->ret_n, capacity, sizeof(*read->ret_nodes));
        rc = node_read(call, doc, read->node, &read->ret_nodes[read->ret_n]);
        if (rc < 0)
            break;
        ++*seen;
        read->ret_n += read->live_only && read->ret_nodes[read->ret_n].state == NODE_DEAD ? 0 : 1;
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(query);
    return rc;
}

/* The part of the circle past `after`, then the rest of it. */
static int circle_add(struct mongo_call *call, size_t *capacity, size_t *seen)
{
    struct ds_nodes_read *read = &call->step->nodes_read;
    bson_t *past = BCON_NEW("_id", "{", "$gt", BCON_INT64(read->after), "}");
    int rc = nodes_add(call, past, capacity, seen);
    if (rc < 0 || read->ret_n >= read->max)
        return rc;
    bson_t *up_to = BCON_NEW("_id", "{", "$lte", BCON_INT64(read->after), "}");
    return nodes_add(call, up_to, capacity, seen);
}

/* By id, brought into the circle's order. */
static void circle_turn(struct mongo_call *call)
{
    struct ds_nodes_read *read = &call->step->nodes_read;
    size_t n = read->ret_n, first = 0;
    while (first < n && read->ret_nodes[first].id <= read->after)
        first++;
    struct node *turned = arena_alloc(call->mem, (n + 1) * sizeof(*turned));
    for (size_t i = 0; i < n; i++)
        turned[i] = read->ret_nodes[(first + i) % n];
    read->ret_nodes = turned;
}

int mongo_nodes_read(struct mongo_call *call)
{
    struct ds_nodes_read *read = &call->step->nodes_read;
    size_t capacity = 0, seen = 0;
    read->ret_nodes = NULL;
    read->ret_n = 0;
    if (read->node != 0) {
        read->max = 0;
        int rc = nodes_add(call, by_id(read->node), &capacity, &seen);
        return rc == 0 && seen == 0 ? ERR_NOT_FOUND : rc;
    }
    if (read->max == 0)
        return nodes_add(call, bson_new(), &capacity, &seen);
    /* Every idle node reads a circle now and then: while they are few, by one request. */
    int rc = 0;
    bool at_once = call->store->circle_nodes < read->max;
    if (at_once)
        rc = nodes_add(call, bson_new(), &capacity, &seen);
    if (at_once && rc == 0 && read->ret_n < read->max) {
        circle_turn(call);
    } else if (rc == 0) {
        read->ret_n = 0;
        rc = circle_add(call, &capacity, &seen);
    }
    call->store->circle_nodes = read->ret_n;
    return rc;
}
