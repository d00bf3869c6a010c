/* The memory datastore's queues, lanes and nodes.
 *
 * A changed lane or node is copied into an arena of its own, which replaces the one before: what
 * steps.c built in the run's arena never outlives the run. Thread: the caller's, under the store's
 * lock. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/memory_store.h"
#include "datastore/steps.h"

int memory_meta_read(struct memory_call *call)
{
    call->step->meta_read.ret_meta = call->store->meta;
    return 0;
}

int memory_copy_mark(struct memory_call *call)
{
    const struct ds_copy_mark *mark = &call->step->copy_mark;
    struct meta *meta = &call->store->meta;
    size_t len = mark->from != NULL ? strlen(mark->from) : 0;
    if (len < 1 || len > LIMIT_COPYING_BYTES)
        return ERR_INVALID;
    if (meta->copying[0] == '\0' && mark->done)
        return ERR_NOT_FOUND;
    if (meta->copying[0] != '\0' && strcmp(meta->copying, mark->from) != 0)
        return ERR_CONFLICT;
    if (!mark->done && meta->created_ms != mark->created_ms)
        return ERR_CONFLICT;
    memset(meta->copying, 0, sizeof(meta->copying));
    if (mark->done)
        meta->created_ms = mark->created_ms;
    else
        memcpy(meta->copying, mark->from, len);
    return 0;
}

static bool copying(const struct memory_call *call)
{
    return call->store->meta.copying[0] != '\0';
}

/* ---- queues --------------------------------------------------------------------------------- */

static struct queue *queue_find(const struct memory_store *store, const char *name)
{
    for (size_t i = 0; i < store->n_queues; i++)
        if (strcmp(store->queues[i].name, name) == 0)
            return &store->queues[i];
    return NULL;
}

static struct queue *queue_add(struct memory_store *store, const struct queue *queue)
{
    store->queues = realloc(store->queues, (store->n_queues + 1) * sizeof(*store->queues));
    assert(store->queues != NULL);
    size_t at = store->n_queues++;
    for (; at > 0 && strcmp(store->queues[at - 1].name, queue->name) > 0; at--)
        store->queues[at] = store->queues[at - 1];
    store->queues[at] = *queue;
    return &store->queues[at];
}

int memory_queue_set(struct memory_call *call)
{
    const struct ds_queue_set *set = &call->step->queue_set;
    struct queue queue = set->queue;
    if (!name_valid(queue.name) || queue.partitions < 0 || queue.partitions > LIMIT_LANES)
        return ERR_INVALID;
    if (set->as_is && !copying(call))
        return ERR_CONFLICT;
    if (!set->as_is)
        queue.changed_ms = call->utc_ms;
    struct queue *old = queue_find(call->store, queue.name);
    if (old == NULL) {
        if (set->alter_only)
            return ERR_NOT_FOUND;
        queue_add(call->store, &queue);
        return 0;
    }
    if (set->create_only)
        return ERR_DUPLICATE;
    if (old->partitions != queue.partitions)
        return ERR_CONFLICT;
    *old = queue;
    return 0;
}

int memory_queues_read(struct memory_call *call)
{
    struct ds_queues_read *read = &call->step->queues_read;
    read->ret_n = call->store->n_queues;
    read->ret_queues =
        arena_copy(call->mem, call->store->queues, read->ret_n * sizeof(*read->ret_queues));
    return 0;
}

/* ---- lanes ---------------------------------------------------------------------------------- */

struct lane_record *memory_lane(const struct memory_store *store, int32_t number)
{
    return number >= 0 && (size_t)number < store->n_lanes ? store->lanes[number] : NULL;
}

static void lane_put(struct lane_record *record, const struct lane *lane)
{
    struct arena mem = {0};
    record->lane = lane_copy(lane, &mem);
    arena_release(&record->mem);
    record->mem = mem;
}

static bool lane_name_equal(const struct lane_name *a, const struct lane_name *b)
{
    return a->priority == b->priority && a->partition == b->partition &&
           strcmp(a->queue, b->queue) == 0;
}

static int32_t lane_add(struct memory_store *store, const struct lane_name *name, bool exclusive)
{
    struct lane_record *record = calloc(1, sizeof(*record));
    assert(record != NULL);
    int32_t number = (int32_t)store->n_lanes;
    record->lane = (struct lane){.number = number,
                                 .name = *name,
                                 .head = id_make(number, 1),
                                 .tail = id_make(number, 1),
                                 .exclusive = exclusive};
    store->lanes[store->n_lanes++] = record;
    return number;
}

int memory_lane_open(struct memory_call *call)
{
    struct ds_lane_open *open = &call->step->lane_open;
    struct memory_store *store = call->store;
    const struct lane_name *name = &open->name;
    for (size_t i = 0; i < store->n_lanes; i++)
        if (lane_name_equal(&store->lanes[i]->lane.name, name)) {
            open->ret_lane = (int32_t)i;
            return 0;
        }
    const struct queue *queue = queue_find(store, name->queue);
    int32_t partitions = queue != NULL ? queue->partitions : 0;
    if (!name_valid(name->queue) || name->priority < 0 || name->priority >= LIMIT_PRIORITIES ||
        name->partition < 0 || name->partition > partitions)
        return ERR_INVALID;
    if (store->n_lanes == LIMIT_LANES)
        return error_set(call->err, ERR_LIMIT, "no more than %d lanes", LIMIT_LANES);
    if (queue == NULL) {
        struct queue fresh = {.weight = 1, .changed_ms = call->utc_ms};
        memcpy(fresh.name, name->queue, sizeof(fresh.name));
        queue_add(store, &fresh);
    }
    open->ret_lane = lane_add(store, name, name->partition > 0);
    return 0;
}

/* Numbers are places here: none is left out. */
int memory_lane_put(struct memory_call *call)
{
    const struct lane *lane = call->step->lane_put.lane;
    struct memory_store *store = call->store;
    if (!copying(call))
        return ERR_CONFLICT;
    if (lane->number < 0 || lane->number >= LIMIT_LANES || (size_t)lane->number > store->n_lanes)
        return ERR_INVALID;
    for (size_t i = 0; i < store->n_lanes; i++)
        if (i != (size_t)lane->number && lane_name_equal(&store->lanes[i]->lane.name, &lane->name))
            return ERR_DUPLICATE;
    if ((size_t)lane->number == store->n_lanes)
        lane_add(store, &lane->name, lane->exclusive);
    lane_put(store->lanes[lane->number], lane);
    return 0;
}

int memory_lanes_read(struct memory_call *call)
{
    struct ds_lanes_read *read = &call->step->lanes_read;
    const struct memory_store *store = call->store;
    if (read->lane >= 0 && memory_lane(store, read->lane) == NULL)
        return ERR_NOT_FOUND;
    size_t from = read->lane >= 0 ? (size_t)read->lane : 0;
    size_t to = read->lane >= 0 ? from + 1 : store->n_lanes;
    read->ret_n = to - from;
    read->ret_lanes = arena_alloc(call->mem, read->ret_n * sizeof(*read->ret_lanes));
    for (size_t i = from; i < to; i++) {
        struct lane lane = store->lanes[i]->lane;
        lane_entries_keep(&lane, read->entries_of);
        read->ret_lanes[i - from] = lane_copy(&lane, call->mem);
    }
    return 0;
}

int memory_reserve(struct memory_call *call)
{
    struct lane_record *record = memory_lane(call->store, call->step->reserve.lane);
    if (record == NULL)
        return ERR_NOT_FOUND;
    struct lane lane = record->lane;
    int rc = step_reserve(&lane, &call->step->reserve, call->mem);
    if (rc == 0)
        lane_put(record, &lane);
    return rc;
}

int memory_claim(struct memory_call *call)
{
    struct lane_record *record = memory_lane(call->store, call->step->claim.lane);
    if (record == NULL)
        return ERR_NOT_FOUND;
    struct lane lane = record->lane;
    bool changed = false;
    int rc = step_claim(&lane, &call->step->claim, call->mem, &changed);
    if (rc == 0 && changed)
        lane_put(record, &lane);
    return rc;
}

int memory_give_back(struct memory_call *call)
{
    struct lane_record *record = memory_lane(call->store, call->step->give_back.lane);
    if (record == NULL)
        return ERR_NOT_FOUND;
    struct lane lane = record->lane;
    int rc = step_give_back(&lane, &call->step->give_back, call->mem);
    if (rc == 0)
        lane_put(record, &lane);
    return rc;
}

int memory_entry_drop(struct memory_call *call)
{
    struct lane_record *record = memory_lane(call->store, call->step->entry_drop.lane);
    if (record == NULL)
        return ERR_NOT_FOUND;
    struct lane lane = record->lane;
    int rc = step_entry_drop(&lane, &call->step->entry_drop, call->mem);
    if (rc == 0)
        lane_put(record, &lane);
    return rc;
}

int memory_lane_bury(struct memory_call *call)
{
    struct lane_record *record = memory_lane(call->store, call->step->lane_bury.lane);
    if (record == NULL)
        return ERR_NOT_FOUND;
    struct lane lane = record->lane;
    int rc = step_lane_bury(&lane, &call->step->lane_bury, call->mem);
    if (rc == 0)
        lane_put(record, &lane);
    return rc;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static void node_put(struct node_record *record, const struct node *node)
{
    struct arena mem = {0};
    record->node = node_copy(node, &mem);
    arena_release(&record->mem);
    record->mem = mem;
}

static bool name_taken(const struct memory_store *store, const char *name)
{
    for (size_t i = 0; i < store->nodes.n; i++) {
        const struct node_record *record = (const void *)store->nodes.items[i];
        if (record->node.state != NODE_DEAD && strcmp(record->node.name, name) == 0)
            return true;
    }
    return false;
}

int memory_node_add(struct memory_call *call)
{
    const struct node *node = call->step->node_add.node;
    struct keyed_array *nodes = &call->store->nodes;
    if (node->id <= 0 || !name_valid(node->name))
        return ERR_INVALID;
    if (call->step->node_add.as_is && !copying(call))
        return ERR_CONFLICT;
    if (keyed_find(nodes, node->id) != NULL || name_taken(call->store, node->name))
        return ERR_DUPLICATE;
    if (nodes->n == LIMIT_NODE_RECORDS)
        return error_set(call->err, ERR_LIMIT, "no more than %d node records", LIMIT_NODE_RECORDS);
    struct node_record *record = calloc(1, sizeof(*record));
    assert(record != NULL);
    record->keyed.key = node->id;
    node_put(record, node);
    if (!call->step->node_add.as_is)
        record->node.created_ms = record->node.beat_ms = call->utc_ms;
    keyed_insert(nodes, keyed_at(nodes, node->id), &record->keyed);
    return 0;
}

int memory_node_write(struct memory_call *call)
{
    struct ds_node_write *write = &call->step->node_write;
    const struct ds_claim *accepted = NULL;
    if (write->accept) {
        if (call->before == NULL || call->before->kind != DS_CLAIM || call->before->rc != 0)
            return ERR_INVALID;
        accepted = &call->before->claim;
    }
    struct node_record *record = keyed_find(&call->store->nodes, write->node->id);
    if (record == NULL)
        return ERR_NOT_FOUND;
    struct node node = record->node;
    int rc = step_node_write(&node, write, accepted, call->utc_ms, call->mem);
    if (rc == 0)
        node_put(record, &node);
    return rc;
}

int memory_node_ask(struct memory_call *call)
{
    struct node_record *record = keyed_find(&call->store->nodes, call->step->node_ask.node);
    if (record == NULL)
        return ERR_NOT_FOUND;
    struct node node = record->node;
    bool changed = false;
    int rc = step_node_ask(&node, &call->step->node_ask, call->mem, &changed);
    if (rc == 0 && changed)
        node_put(record, &node);
    return rc;
}

int memory_node_kill(struct memory_call *call)
{
    struct ds_node_kill *kill = &call->step->node_kill;
    struct node_record *record = keyed_find(&call->store->nodes, kill->node);
    if (record == NULL)
        return ERR_NOT_FOUND;
    struct node node = record->node;
    int rc = step_node_kill(&node, kill, call->utc_ms);
    if (rc == 0)
        node_put(record, &node);
    kill->ret_node = node_copy(&record->node, call->mem);
    return rc;
}

int memory_node_clear(struct memory_call *call)
{
    struct node_record *record = keyed_find(&call->store->nodes, call->step->node_clear.node);
    if (record == NULL)
        return ERR_NOT_FOUND;
    struct node node = record->node;
    int rc = step_node_clear(&node, &call->step->node_clear, call->mem);
    if (rc == 0)
        node_put(record, &node);
    return rc;
}

static void node_free(struct node_record *record)
{
    arena_release(&record->mem);
    free(record);
}

int memory_node_delete(struct memory_call *call)
{
    struct keyed_array *nodes = &call->store->nodes;
    int64_t id = call->step->node_delete.node;
    const struct node_record *record = keyed_find(nodes, id);
    if (record == NULL)
        return ERR_NOT_FOUND;
    if (record->node.state != NODE_DEAD)
        return ERR_CONFLICT;
    memory_history_drop(call->store, id);
    node_free((struct node_record *)keyed_take(nodes, keyed_at(nodes, id)));
    return 0;
}

int memory_nodes_read(struct memory_call *call)
{
    struct ds_nodes_read *read = &call->step->nodes_read;
    const struct keyed_array *nodes = &call->store->nodes;
    size_t from = 0, looked = nodes->n, max = nodes->n;
    if (read->node != 0 && keyed_find(nodes, read->node) == NULL)
        return ERR_NOT_FOUND;
    if (read->node != 0) {
        from = keyed_at(nodes, read->node);
        looked = max = 1;
    } else if (read->max > 0) {
        from = read->after < INT64_MAX ? keyed_at(nodes, read->after + 1) : 0;
        max = read->max < max ? read->max : max;
    }
    read->ret_nodes = arena_alloc(call->mem, (max + 1) * sizeof(*read->ret_nodes));
    read->ret_n = 0;
    for (size_t k = 0; k < looked && read->ret_n < max; k++) {
        size_t i = (from + k) % nodes->n;
        const struct node *node = &((const struct node_record *)nodes->items[i])->node;
        if (!(read->live_only && node->state == NODE_DEAD))
            read->ret_nodes[read->ret_n++] = node_copy(node, call->mem);
    }
    return 0;
}

void memory_records_clear(struct memory_store *store)
{
    for (size_t i = 0; i < store->n_lanes; i++)
        arena_release(&store->lanes[i]->mem);
    for (size_t i = 0; i < store->nodes.n; i++)
        node_free((struct node_record *)store->nodes.items[i]);
    free(store->nodes.items);
    free(store->queues);
}
