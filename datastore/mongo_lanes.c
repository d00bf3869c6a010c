/* The MongoDB backend's queues and lanes.
 *
 * A lane is changed in two ways. Reserve and claim, which everybody does all the time, are one
 * findAndModify each: the guard is the query, the change is worked out by the server. Changes of
 * the pool (return, burial), which are rare, are worked out here by the shared step (steps.h) from
 * what was read, and written under the guard that the pool (pool_version) and the entry are still
 * as they were read; else they are worked out again.
 * Invariants: I1. Thread: the handle's. */
#include <assert.h>
#include <unistd.h>

#include "datastore/mongo_bson.h"
#include "datastore/mongo_store.h"
#include "datastore/steps.h"

enum { TRIES = 24, PAUSE_US = 500, LANE_MAKE_TRIES = 8 };

/* ---- reading -------------------------------------------------------------------------------- */

/* All that is known of a lane, but of its entries, of which there may be thousands, only one. */
static void without_others(bson_t *opts, int64_t node)
{
    static const char *const fields[] = {"queue", "priority",    "partition", "exclusive",
                                         "tail",  "head",        "holder",    "types",
                                         "pool",  "pool_version"};
    char entry[ENTRY_PATH_BYTES];
    bson_t part;
    BSON_APPEND_DOCUMENT_BEGIN(opts, "projection", &part);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        BSON_APPEND_INT32(&part, fields[i], 1);
    BSON_APPEND_INT32(&part, entry_path(entry, node, NULL), 1);
    bson_append_document_end(opts, &part);
}

/* With the entry of that node alone; 0: of none. */
static int lane_get(struct mongo_call *call, int32_t number, int64_t node, struct lane *ret_lane,
                    int64_t *ret_pool_version)
{
    bson_t *query = BCON_NEW("_id", BCON_INT64(number)), opts = BSON_INITIALIZER, doc;
    without_others(&opts, node);
    int rc = mongo_find_one(call->store, MONGO_LANES, query, &opts, &doc);
    bson_destroy(&opts);
    bson_destroy(query);
    if (rc < 0)
        return rc;
    rc = lane_from_doc(&doc, call->mem, ret_lane, ret_pool_version);
    bson_destroy(&doc);
    return rc < 0 ? mongo_damaged(call->store, MONGO_LANES, number) : 0;
}

/* An array in the arena with room for one more. */
static void *room_for(void *items, size_t n, size_t size, struct arena *mem)
{
    if (n > 0 && (n & (n - 1)) != 0)
        return items;
    void *fresh = arena_alloc(mem, (n > 0 ? 2 * n : 1) * size);
    if (n > 0)
        memcpy(fresh, items, n * size);
    return fresh;
}

int mongo_lanes_read(struct mongo_call *call)
{
    struct ds_lanes_read *read = &call->step->lanes_read;
    bson_t *query = read->lane >= 0 ? BCON_NEW("_id", BCON_INT64(read->lane)) : bson_new();
    bson_t *opts = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}");
    if (read->entries_of != 0)
        without_others(opts, read->entries_of);
    mongoc_cursor_t *cursor = mongo_find(call->store, MONGO_LANES, query, opts);
    const bson_t *doc;
    struct lane *lanes = NULL;
    size_t n = 0;
    int rc;
    while ((rc = mongo_next(call->store, cursor, &doc)) == 1) {
        lanes = room_for(lanes, n, sizeof(*lanes), call->mem);
        if (lane_from_doc(doc, call->mem, &lanes[n++], NULL) < 0) {
            rc = mongo_damaged(call->store, MONGO_LANES, read->lane);
            break;
        }
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(query);
    if (rc < 0 || (read->lane >= 0 && n == 0))
        return rc < 0 ? rc : ERR_NOT_FOUND;
    read->ret_lanes = lanes;
    read->ret_n = n;
    return 0;
}

int mongo_queues_read(struct mongo_call *call)
{
    struct ds_queues_read *read = &call->step->queues_read;
    bson_t query = BSON_INITIALIZER, *opts = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}");
    mongoc_cursor_t *cursor = mongo_find(call->store, MONGO_QUEUES, &query, opts);
    const bson_t *doc;
    struct queue *queues = NULL;
    size_t n = 0;
    int rc;
    while ((rc = mongo_next(call->store, cursor, &doc)) == 1) {
        queues = room_for(queues, n, sizeof(*queues), call->mem);
        if (queue_from_doc(doc, &queues[n++]) < 0) {
            rc = mongo_damaged(call->store, MONGO_QUEUES, (int64_t)n - 1);
            break;
        }
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(opts);
    bson_destroy(&query);
    if (rc < 0)
        return rc;
    read->ret_queues = queues;
    read->ret_n = n;
    return 0;
}

/* ---- queues --------------------------------------------------------------------------------- */

static int queue_get(struct mongo_call *call, const char *name, struct queue *ret_queue)
{
    bson_t *query = BCON_NEW("_id", BCON_UTF8(name)), doc;
    int rc = mongo_find_one(call->store, MONGO_QUEUES, query, NULL, &doc);
    bson_destroy(query);
    if (rc < 0)
        return rc;
    rc = queue_from_doc(&doc, ret_queue);
    bson_destroy(&doc);
    return rc < 0 ? mongo_damaged(call->store, MONGO_QUEUES, 0) : 0;
}

static int queue_add(struct mongo_call *call, const struct queue *queue)
{
    bson_t doc = BSON_INITIALIZER;
    BSON_APPEND_UTF8(&doc, "_id", queue->name);
    queue_to_doc(queue, &doc);
    int rc = mongo_insert_one(call->store, MONGO_QUEUES, &doc);
    bson_destroy(&doc);
    return rc;
}

/* ERR_NOT_FOUND: none of that name and that many partitions. */
static int queue_change(struct mongo_call *call, const struct queue *queue)
{
    bson_t *query =
        BCON_NEW("_id", BCON_UTF8(queue->name), "partitions", BCON_INT64(queue->partitions));
    bson_t change = BSON_INITIALIZER, set;
    int64_t n = 0;
    BSON_APPEND_DOCUMENT_BEGIN(&change, "$set", &set);
    queue_to_doc(queue, &set);
    bson_append_document_end(&change, &set);
    int rc =
        mongo_update(call->store, MONGO_QUEUES, query, (struct mongo_change){.doc = &change}, &n);
    bson_destroy(&change);
    bson_destroy(query);
    return rc == 0 && n == 0 ? ERR_NOT_FOUND : rc;
}

int mongo_queue_set(struct mongo_call *call)
{
    const struct ds_queue_set *set = &call->step->queue_set;
    struct queue queue = set->queue, there;
    if (!name_valid(queue.name) || queue.partitions < 0 || queue.partitions > LIMIT_LANES)
        return ERR_INVALID;
    int rc = set->as_is ? mongo_copying(call) : 0;
    if (rc < 0)
        return rc;
    if (!set->as_is)
        queue.changed_ms = call->utc_ms;
    if (!set->create_only) {
        rc = queue_change(call, &queue);
        if (rc != ERR_NOT_FOUND)
            return rc;
        rc = queue_get(call, queue.name, &there);
        if (rc != ERR_NOT_FOUND)
            return rc < 0 ? rc : ERR_CONFLICT; /* of another number of partitions */
        if (set->alter_only)
            return rc;
    }
    rc = queue_add(call, &queue);
    if (rc != ERR_DUPLICATE || set->create_only)
        return rc;
    rc = queue_change(call, &queue); /* somebody made it just now */
    return rc == ERR_NOT_FOUND ? ERR_CONFLICT : rc;
}

/* ---- making lanes --------------------------------------------------------------------------- */

struct lane mongo_lane_new(int32_t number, const struct lane_name *name, bool exclusive)
{
    return (struct lane){.number = number,
                         .name = *name,
                         .tail = id_make(number, 1),
                         .head = id_make(number, 1),
                         .exclusive = exclusive};
}

static int lane_find(struct mongo_call *call, const struct lane_name *name, int32_t *ret_number)
{
    bson_t *query = BCON_NEW("queue", BCON_UTF8(name->queue), "priority",
                             BCON_INT64(name->priority), "partition", BCON_INT64(name->partition));
    int64_t number;
    int rc = mongo_find_int(call->store, MONGO_LANES, query, "_id", NULL, &number);
    bson_destroy(query);
    if (rc == 0 && (number < 0 || number >= LIMIT_LANES))
        return mongo_damaged(call->store, MONGO_LANES, number);
    if (rc == 0)
        *ret_number = (int32_t)number;
    return rc;
}

/* A number is given out once, whatever becomes of the lane. */
static int lane_number_take(struct mongo_call *call, int32_t *ret_number)
{
    bson_t *query =
        BCON_NEW("_id", BCON_UTF8("meta"), "lane_next", "{", "$lt", BCON_INT64(LIMIT_LANES), "}");
    bson_t *change = BCON_NEW("$inc", "{", "lane_next", BCON_INT64(1), "}"), doc;
    bson_iter_t at;
    int rc = mongo_find_and_modify(call->store, MONGO_META, query,
                                   (struct mongo_change){.doc = change}, NULL, &doc);
    bson_destroy(change);
    bson_destroy(query);
    if (rc == ERR_NOT_FOUND)
        return error_set(call->err, ERR_LIMIT, "no more than %d lanes", LIMIT_LANES);
    if (rc < 0)
        return rc;
    int64_t next = bson_iter_init_find(&at, &doc, "lane_next") ? bson_iter_as_int64(&at) : 0;
    bson_destroy(&doc);
    if (next < 1 || next > LIMIT_LANES)
        return error_set(call->err, ERR_CORRUPT, "%.200s: lane_next of meta is damaged",
                         call->store->shown);
    *ret_number = (int32_t)next - 1;
    return 0;
}

static int lane_add(struct mongo_call *call, const struct lane_name *name, int32_t *ret_number)
{
    bson_t doc = BSON_INITIALIZER;
    int rc = lane_number_take(call, ret_number);
    if (rc == 0) {
        struct lane lane = mongo_lane_new(*ret_number, name, name->partition > 0);
        lane_to_doc(&lane, &doc);
        rc = mongo_insert_one(call->store, MONGO_LANES, &doc);
    }
    bson_destroy(&doc);
    return rc;
}

int mongo_lane_open(struct mongo_call *call)
{
    struct ds_lane_open *open = &call->step->lane_open;
    const struct lane_name *name = &open->name;
    struct queue queue = {.weight = 1, .changed_ms = call->utc_ms};
    if (!name_valid(name->queue) || name->priority < 0 || name->priority >= LIMIT_PRIORITIES)
        return ERR_INVALID;
    int rc = lane_find(call, name, &open->ret_lane);
    if (rc != ERR_NOT_FOUND)
        return rc;
    rc = queue_get(call, name->queue, &queue);
    if (rc == ERR_NOT_FOUND) {
        snprintf(queue.name, sizeof(queue.name), "%s", name->queue);
        rc = name->partition == 0 ? queue_add(call, &queue) : ERR_INVALID;
        rc = rc == ERR_DUPLICATE ? queue_get(call, name->queue, &queue) : rc;
    }
    if (rc < 0)
        return rc;
    if (name->partition < 0 || name->partition > queue.partitions)
        return ERR_INVALID;
    rc = lane_add(call, name, &open->ret_lane);
    /* Somebody made it just now; the number taken for ours stays unused. */
    return rc == ERR_DUPLICATE ? lane_find(call, name, &open->ret_lane) : rc;
}

/* ---- reserve -------------------------------------------------------------------------------- */

static void types_append(bson_t *to, const char *key, const struct ds_reserve *reserve)
{
    bson_t list;
    bson_append_array_begin(to, key, -1, &list);
    for (size_t i = 0; i < reserve->n_types; i++) {
        char text[16];
        const char *at;
        bson_uint32_to_string((uint32_t)i, &at, text, sizeof(text));
        bson_append_utf8(&list, at, -1, reserve->types[i], -1);
    }
    bson_append_array_end(to, &list);
}

/* One try. n_types_seen < 0: the lane has all the types already; else it may get more, if it has
 * as many as were seen. */
static int reserve_try(struct mongo_call *call, int64_t n_types_seen)
{
    struct ds_reserve *reserve = &call->step->reserve;
    int64_t tail_max = id_make(reserve->lane, ID_SEQ_MAX) - reserve->count;
    bson_t *query =
        BCON_NEW("_id", BCON_INT64(reserve->lane), "tail", "{", "$lte", BCON_INT64(tail_max), "}");
    bson_t *change = BCON_NEW("$inc", "{", "tail", BCON_INT64(reserve->count), "}");
    bson_t *fields = BCON_NEW("tail", BCON_INT32(1)), condition, doc;
    bson_iter_t at;
    if (n_types_seen >= 0) {
        BSON_APPEND_DOCUMENT_BEGIN(query, "types", &condition);
        BSON_APPEND_INT64(&condition, "$size", n_types_seen);
        bson_append_document_end(query, &condition);
        bson_t add, types;
        BSON_APPEND_DOCUMENT_BEGIN(change, "$addToSet", &add);
        BSON_APPEND_DOCUMENT_BEGIN(&add, "types", &types);
        types_append(&types, "$each", reserve);
        bson_append_document_end(&add, &types);
        bson_append_document_end(change, &add);
    } else if (reserve->n_types > 0) {
        BSON_APPEND_DOCUMENT_BEGIN(query, "types", &condition);
        types_append(&condition, "$all", reserve);
        bson_append_document_end(query, &condition);
    }
    int rc = mongo_find_and_modify(call->store, MONGO_LANES, query,
                                   (struct mongo_change){.doc = change}, fields, &doc);
    if (rc == 0) {
        int64_t tail = bson_iter_init_find(&at, &doc, "tail") ? bson_iter_as_int64(&at) : 0;
        bson_destroy(&doc);
        if (tail < id_make(reserve->lane, 1) + reserve->count || tail > tail_max + reserve->count)
            rc = mongo_damaged(call->store, MONGO_LANES, reserve->lane);
        else
            reserve->ret_first = tail - reserve->count;
    }
    bson_destroy(fields);
    bson_destroy(change);
    bson_destroy(query);
    return rc;
}

int mongo_reserve(struct mongo_call *call)
{
    struct ds_reserve *reserve = &call->step->reserve;
    if (reserve->count < 1 || reserve->count > LIMIT_BATCH_JOBS || reserve->lane < 0 ||
        reserve->lane >= LIMIT_LANES || reserve->n_types > LIMIT_TYPES)
        return ERR_INVALID;
    int rc = reserve_try(call, -1);
    for (int i = 0; i < TRIES && rc == ERR_NOT_FOUND; i++) {
        struct lane lane;
        rc = lane_get(call, reserve->lane, 0, &lane, NULL);
        int64_t n_types = rc == 0 ? (int64_t)lane.n_types : 0;
        if (rc == 0)
            rc = step_reserve(&lane, reserve, call->mem); /* why not: a limit */
        if (rc < 0)
            return rc;
        rc = reserve_try(call, n_types);
    }
    return rc;
}

/* ---- claim ---------------------------------------------------------------------------------- */

/* What may be granted, to whom, on what: see ds_claim. */
static bson_t *claim_query(const struct ds_claim *claim)
{
    char entry[ENTRY_PATH_BYTES], g[ENTRY_PATH_BYTES];
    entry_path(entry, claim->node, NULL);
    entry_path(g, claim->node, "g");
    bson_t *query =
        BCON_NEW("_id", BCON_INT64(claim->lane), "$and", "[", "{", "$or", "[", "{", "pool.0", "{",
                 "$exists", BCON_BOOL(true), "}", "}", "{", "$expr", "{", "$lt", "[",
                 BCON_UTF8("$head"), BCON_UTF8("$tail"), "]", "}", "}", "]", "}", "{", "$or", "[",
                 "{", "exclusive", BCON_BOOL(false), "}", "{", "holder", "{", "$in", "[",
                 BCON_INT64(0), BCON_INT64(claim->node), "]", "}", "}", "]", "}", "]");
    bson_t *guard = claim->make_entry
                        ? BCON_NEW("$or", "[", "{", entry, "{", "$exists", BCON_BOOL(false), "}",
                                   "}", "{", g, BCON_INT64((int64_t)claim->g), "}", "]")
                        : BCON_NEW(g, BCON_INT64((int64_t)claim->g));
    bson_concat(query, guard);
    bson_destroy(guard);
    return query;
}

#define POOL_FIRST "{", "$arrayElemAt", "[", BCON_UTF8("$pool"), BCON_INT32(0), "]", "}"

/* Stage 1: `_grant` is what is granted, from the pool's first range or from head. Stage 2: it is
 * taken out there and noted in the entry. Stage 3: `_grant` goes. */
static bson_t *claim_pipeline(const struct ds_claim *claim)
{
    char entry[ENTRY_PATH_BYTES], r[ENTRY_PATH_BYTES + 1] = "$";
    entry_path(entry, claim->node, NULL);
    entry_path(r + 1, claim->node, "r");
    /* clang-format off */
    return BCON_NEW(
        "0", "{", "$set", "{", "_grant", "{", "$cond", "[",
            "{", "$gt", "[", "{", "$size", BCON_UTF8("$pool"), "}", BCON_INT32(0), "]", "}",
            "{", "$let", "{", "vars", "{", "first", POOL_FIRST, "}",
                "in", "{", "a", BCON_UTF8("$$first.a"),
                    "b", "{", "$min", "[", BCON_UTF8("$$first.b"), "{", "$add", "[",
                        BCON_UTF8("$$first.a"), BCON_INT64(claim->want), "]", "}", "]", "}",
                    "end", BCON_UTF8("$$first.b"),
                    "suspect", "{", "$ifNull", "[", BCON_UTF8("$$first.suspect"),
                        BCON_BOOL(false), "]", "}",
                    "pooled", BCON_BOOL(true), "}", "}", "}",
            "{", "a", BCON_UTF8("$head"),
                "b", "{", "$min", "[", BCON_UTF8("$tail"), "{", "$add", "[", BCON_UTF8("$head"),
                    BCON_INT64(claim->want), "]", "}", "]", "}",
                "suspect", BCON_BOOL(false), "pooled", BCON_BOOL(false), "}",
        "]", "}", "}", "}",
        "1", "{", "$set", "{",
            "head", "{", "$cond", "[", BCON_UTF8("$_grant.pooled"), BCON_UTF8("$head"),
                BCON_UTF8("$_grant.b"), "]", "}",
            "pool", "{", "$cond", "[", BCON_UTF8("$_grant.pooled"),
                "{", "$concatArrays", "[",
                    "{", "$cond", "[", "{", "$lt", "[", BCON_UTF8("$_grant.b"),
                        BCON_UTF8("$_grant.end"), "]", "}",
                        "[", "{", "a", BCON_UTF8("$_grant.b"), "b", BCON_UTF8("$_grant.end"),
                            "suspect", BCON_UTF8("$_grant.suspect"), "}", "]",
                        "[", "]", "]", "}",
                    "{", "$slice", "[", BCON_UTF8("$pool"), BCON_INT32(1),
                        BCON_INT32(LIMIT_POOL_RANGES), "]", "}", "]", "}",
                BCON_UTF8("$pool"), "]", "}",
            "pool_version", "{", "$cond", "[", BCON_UTF8("$_grant.pooled"),
                "{", "$add", "[", BCON_UTF8("$pool_version"), BCON_INT64(1), "]", "}",
                BCON_UTF8("$pool_version"), "]", "}",
            "holder", "{", "$cond", "[", BCON_UTF8("$exclusive"), BCON_INT64(claim->node),
                BCON_UTF8("$holder"), "]", "}",
            entry, "{", "g", BCON_INT64((int64_t)claim->g + 1),
                "r", "{", "$ifNull", "[", BCON_UTF8(r), BCON_INT64((int64_t)claim->r), "]", "}",
                "a", BCON_UTF8("$_grant.a"), "b", BCON_UTF8("$_grant.b"),
                "suspect", BCON_UTF8("$_grant.suspect"), "}", "}", "}",
        "2", "{", "$unset", BCON_UTF8("_grant"), "}");
    /* clang-format on */
}

static struct lane_entry *entry_of(const struct lane *lane, int64_t node)
{
    for (size_t i = 0; i < lane->n_entries; i++)
        if (lane->entries[i].node == node)
            return &lane->entries[i];
    return NULL;
}

static int claim_granted(struct mongo_call *call, const bson_t *doc)
{
    struct ds_claim *claim = &call->step->claim;
    struct lane lane;
    const struct lane_entry *entry = NULL;
    if (lane_from_doc(doc, call->mem, &lane, NULL) == 0)
        entry = entry_of(&lane, claim->node);
    if (entry == NULL || entry->g != claim->g + 1 || entry->last.a >= entry->last.b)
        return mongo_damaged(call->store, MONGO_LANES, claim->lane);
    claim->ret_range = entry->last;
    claim->ret_backlog = lane_backlog(&lane);
    return 0;
}

/* Why nothing was granted; what is not there to be granted now is none of the caller's mistakes. */
static int claim_denied(struct mongo_call *call)
{
    struct ds_claim *claim = &call->step->claim;
    struct lane lane;
    int rc = lane_get(call, claim->lane, claim->node, &lane, NULL);
    if (rc < 0)
        return rc;
    const struct lane_entry *entry = entry_of(&lane, claim->node);
    if (entry == NULL && !claim->make_entry)
        return ERR_NOT_FOUND;
    if (entry != NULL && entry->g != claim->g)
        return ERR_CONFLICT;
    claim->ret_range = (struct range){0};
    claim->ret_backlog = lane_backlog(&lane);
    return 0;
}

int mongo_claim(struct mongo_call *call)
{
    struct ds_claim *claim = &call->step->claim;
    char entry[ENTRY_PATH_BYTES];
    if (claim->want < 1 || claim->want > LIMIT_GRANT_JOBS || claim->node <= 0)
        return ERR_INVALID;
    bson_t *query = claim_query(claim), *pipeline = claim_pipeline(claim), doc;
    /* Not the others' entries: there may be thousands. */
    bson_t *fields = BCON_NEW("head", BCON_INT32(1), "tail", BCON_INT32(1), "pool", BCON_INT32(1),
                              entry_path(entry, claim->node, NULL), BCON_INT32(1));
    int rc = mongo_find_and_modify(call->store, MONGO_LANES, query,
                                   (struct mongo_change){.doc = pipeline, .pipeline = true}, fields,
                                   &doc);
    if (rc == 0) {
        rc = claim_granted(call, &doc);
        bson_destroy(&doc);
    } else if (rc == ERR_NOT_FOUND) {
        rc = claim_denied(call);
    }
    bson_destroy(fields);
    bson_destroy(pipeline);
    bson_destroy(query);
    return rc;
}

/* ---- changes of the pool -------------------------------------------------------------------- */

/* A change worked out from the lane as it was read at `pool_version`, under the guard that this and
 * the node's entry are still so. entry: what becomes of it, NULL: it goes. let_go: the node was the
 * holder (and is it still, since it would have to change its entry to end that). ERR_NOT_FOUND: the
 * guard is not met. */
static int pool_write(struct mongo_call *call, const struct lane *lane, int64_t pool_version,
                      const struct lane_entry *was, const struct lane_entry *entry, bool let_go)
{
    char path[ENTRY_PATH_BYTES], g[ENTRY_PATH_BYTES], r[ENTRY_PATH_BYTES];
    entry_path(path, was->node, NULL);
    entry_path(g, was->node, "g");
    entry_path(r, was->node, "r");
    bson_t *query = BCON_NEW("_id", BCON_INT64(lane->number), "pool_version",
                             BCON_INT64(pool_version), r, BCON_INT64((int64_t)was->r));
    bson_t change = BSON_INITIALIZER, part;
    int64_t n = 0;
    BSON_APPEND_DOCUMENT_BEGIN(&change, "$set", &part);
    pool_to_doc(lane->pool, lane->n_pool, &part);
    BSON_APPEND_INT64(&part, "pool_version", pool_version + 1);
    if (let_go)
        BSON_APPEND_INT64(&part, "holder", 0);
    if (entry != NULL)
        bson_append_int64(&part, r, -1, (int64_t)entry->r);
    bson_append_document_end(&change, &part);
    if (entry == NULL) {
        BSON_APPEND_DOCUMENT_BEGIN(&change, "$unset", &part);
        bson_append_utf8(&part, path, -1, "", -1);
        bson_append_document_end(&change, &part);
    }
    /* A burial takes the last grant for what it read; a return cares for no grant, unless the lane
     * is let go with it. */
    if (entry == NULL || let_go)
        bson_append_int64(query, g, -1, (int64_t)was->g);
    int rc =
        mongo_update(call->store, MONGO_LANES, query, (struct mongo_change){.doc = &change}, &n);
    bson_destroy(&change);
    bson_destroy(query);
    return rc == 0 && n == 0 ? ERR_NOT_FOUND : rc;
}

/* Return or burial of `node`: read, work out, write; again while others come between. */
static int pool_change(struct mongo_call *call, int32_t number, int64_t node)
{
    const struct ds_step *step = call->step;
    for (int i = 0; i < TRIES; i++) {
        struct lane lane;
        int64_t pool_version;
        int rc = lane_get(call, number, node, &lane, &pool_version);
        if (rc < 0)
            return rc;
        const struct lane_entry *old = entry_of(&lane, node);
        struct lane_entry was = old != NULL ? *old : (struct lane_entry){0};
        int64_t holder = lane.holder;
        rc = step->kind == DS_RETURN ? step_give_back(&lane, &step->give_back, call->mem)
                                     : step_lane_bury(&lane, &step->lane_bury, call->mem);
        if (rc < 0)
            return rc;
        rc = pool_write(call, &lane, pool_version, &was, entry_of(&lane, node),
                        lane.holder != holder);
        if (rc != ERR_NOT_FOUND)
            return rc;
        usleep((useconds_t)(PAUSE_US * (1 + (mongo_now_ms(CLOCK_BOOTTIME) + node) % (i + 1))));
    }
    return error_set(call->err, ERR_UNAVAILABLE,
                     "%.200s: lane %d changes too fast; nothing was written", call->store->shown,
                     number);
}

int mongo_give_back(struct mongo_call *call)
{
    return pool_change(call, call->step->give_back.lane, call->step->give_back.node);
}

int mongo_lane_bury(struct mongo_call *call)
{
    return pool_change(call, call->step->lane_bury.lane, call->step->lane_bury.expect.node);
}

int mongo_entry_drop(struct mongo_call *call)
{
    const struct ds_entry_drop *drop = &call->step->entry_drop;
    char path[ENTRY_PATH_BYTES], g[ENTRY_PATH_BYTES];
    entry_path(path, drop->node, NULL);
    entry_path(g, drop->node, "g");
    bson_t *query = BCON_NEW("_id", BCON_INT64(drop->lane), g, BCON_INT64((int64_t)drop->g));
    bson_t *change = BCON_NEW("0", "{", "$set", "{", "holder", "{", "$cond", "[", "{", "$eq", "[",
                              BCON_UTF8("$holder"), BCON_INT64(drop->node), "]", "}", BCON_INT64(0),
                              BCON_UTF8("$holder"), "]", "}", "}", "}", "1", "{", "$unset",
                              BCON_UTF8(path), "}");
    int64_t n = 0;
    int rc = mongo_update(call->store, MONGO_LANES, query,
                          (struct mongo_change){.doc = change, .pipeline = true}, &n);
    bson_destroy(change);
    bson_destroy(query);
    if (rc < 0 || n > 0)
        return rc;
    struct lane lane;
    rc = lane_get(call, drop->lane, drop->node, &lane, NULL);
    if (rc < 0)
        return rc;
    const struct lane_entry *entry = entry_of(&lane, drop->node);
    /* As asked by now: somebody else's drop is as good. */
    return entry == NULL ? ERR_NOT_FOUND : ERR_CONFLICT;
}
