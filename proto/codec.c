/* Structs to messages and back (proto/codec.h): the only user of the generated types.
 *
 * What protobuf-c allocates while it unpacks comes from an arena and stops at UNPACKED_BYTES_MAX: a
 * frame of a few bytes for each of millions of empty messages is refused instead of filling the
 * machine's memory. Thread: the caller's. */
#include "proto/codec.h"

#include <stdio.h>
#include <string.h>

#include "datastore/record_bson.h"
#include "proto/stint.pb-c.h"

enum { UNPACKED_BYTES_MAX = 64 << 20, DECODED_BYTES_MAX = 2 * UNPACKED_BYTES_MAX };

/* ---- memory --------------------------------------------------------------------------------- */

static void *bounded_alloc(void *data, size_t size)
{
    struct arena *mem = data;
    if (size > UNPACKED_BYTES_MAX || mem->bytes > UNPACKED_BYTES_MAX - size)
        return NULL;
    return arena_alloc(mem, size);
}

static void bounded_free(void *data, void *pointer)
{
    (void)data, (void)pointer; /* the arena goes as a whole */
}

static ProtobufCAllocator allocator_of(struct arena *mem)
{
    return (ProtobufCAllocator){bounded_alloc, bounded_free, mem};
}

static struct bytes pack(const ProtobufCMessage *message, struct arena *mem)
{
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *data = arena_alloc(mem, len + 1);
    protobuf_c_message_pack(message, data);
    return (struct bytes){data, len};
}

static ProtobufCBinaryData binary(struct bytes bytes)
{
    return (ProtobufCBinaryData){bytes.len, (uint8_t *)bytes.data};
}

static struct bytes bytes_of(ProtobufCBinaryData binary)
{
    return (struct bytes){binary.data, binary.len};
}

/* False: it does not fit. */
static bool text_of(char *to, size_t size, const char *from)
{
    size_t len = from != NULL ? strlen(from) : 0;
    if (len >= size)
        return false;
    memcpy(to, from != NULL ? from : "", len + 1);
    return true;
}

/* ---- start and end -------------------------------------------------------------------------- */

struct bytes wire_start_encode(const struct wire_start *start, struct arena *mem)
{
    Stint__RecordingStart message = STINT__RECORDING_START__INIT;
    message.has_format = message.has_at_ms = message.has_since_ms = true;
    message.format = start->format;
    message.program = (char *)start->program;
    message.store = (char *)start->store;
    message.at_ms = start->at_ms;
    message.since_ms = start->since_ms;
    return pack(&message.base, mem);
}

int wire_start_decode(struct bytes bytes, struct wire_start *ret_start)
{
    struct arena mem = {0};
    struct wire_start start = {0};
    ProtobufCAllocator allocator = allocator_of(&mem);
    Stint__RecordingStart *message =
        stint__recording_start__unpack(&allocator, bytes.len, bytes.data);
    bool good = message != NULL &&
                text_of(start.program, sizeof(start.program), message->program) &&
                text_of(start.store, sizeof(start.store), message->store);
    if (good) {
        start.format = message->format;
        start.at_ms = message->at_ms;
        start.since_ms = message->since_ms;
        *ret_start = start;
    }
    arena_release(&mem);
    return good ? 0 : ERR_CORRUPT;
}

struct bytes wire_end_encode(const struct wire_end *end, struct arena *mem)
{
    Stint__RecordingEnd message = STINT__RECORDING_END__INIT;
    message.has_at_ms = message.has_full = true;
    message.at_ms = end->at_ms;
    message.full = end->full;
    return pack(&message.base, mem);
}

int wire_end_decode(struct bytes bytes, struct wire_end *ret_end)
{
    struct arena mem = {0};
    ProtobufCAllocator allocator = allocator_of(&mem);
    Stint__RecordingEnd *message = stint__recording_end__unpack(&allocator, bytes.len, bytes.data);
    bool good = message != NULL;
    if (good)
        *ret_end = (struct wire_end){.at_ms = message->at_ms, .full = message->full != 0};
    arena_release(&mem);
    return good ? 0 : ERR_CORRUPT;
}

/* ---- facts to bytes ------------------------------------------------------------------------- */

static Stint__Node *node_to(const struct node *node, struct arena *mem)
{
    Stint__Node *to = arena_alloc(mem, sizeof(*to));
    struct node shown = *node;
    memset(shown.doorbell, 0, sizeof(shown.doorbell));
    stint__node__init(to);
    to->has_id = to->has_state = to->has_desired = to->has_beat = to->has_record = true;
    to->id = node->id;
    to->name = (char *)node->name;
    to->state = (uint32_t)node->state;
    to->desired = (uint32_t)node->desired;
    to->beat = node->beat;
    to->record = binary(node_encode(&shown, (struct bytes){0}, mem));
    return to;
}

static Stint__Lane *lane_to(const struct lane *lane, struct arena *mem)
{
    Stint__Lane *to = arena_alloc(mem, sizeof(*to));
    struct lane shown = *lane;
    shown.n_entries = 0;
    stint__lane__init(to);
    to->has_number = to->has_priority = to->has_partition = to->has_tail = to->has_head = true;
    to->has_holder = to->has_exclusive = to->has_record = true;
    to->number = (uint32_t)lane->number;
    to->queue = (char *)lane->name.queue;
    to->priority = lane->name.priority;
    to->partition = lane->name.partition;
    to->tail = lane->tail;
    to->head = lane->head;
    to->holder = lane->holder;
    to->exclusive = lane->exclusive;
    to->record = binary(lane_encode(&shown, (struct bytes){0}, mem));
    return to;
}

static Stint__Queue *queue_to(const struct queue *queue, struct arena *mem)
{
    Stint__Queue *to = arena_alloc(mem, sizeof(*to));
    stint__queue__init(to);
    to->has_record = true;
    to->name = (char *)queue->name;
    to->record = binary(queue_encode(queue, (struct bytes){0}, mem));
    return to;
}

static Stint__Stint *stint_to(const struct stint_row *row, struct arena *mem)
{
    Stint__Stint *to = arena_alloc(mem, sizeof(*to));
    stint__stint__init(to);
    to->has_a = to->has_b = to->has_node = to->has_done = to->has_failed = true;
    to->has_cancelled = to->has_first_start_ms = to->has_last_finish_ms = true;
    to->a = row->range.a;
    to->b = row->range.b;
    to->node = row->node;
    to->done = row->done;
    to->failed = row->failed;
    to->cancelled = row->cancelled;
    to->first_start_ms = row->first_start_ms;
    to->last_finish_ms = row->last_finish_ms;
    return to;
}

static Stint__Reading *reading_to(const struct wire_reading *reading, struct arena *mem)
{
    Stint__Reading *to = arena_alloc(mem, sizeof(*to));
    stint__reading__init(to);
    to->has_at_ms = true;
    to->at_ms = reading->at_ms;
    to->n_nodes = reading->n_nodes;
    to->nodes = arena_alloc(mem, (to->n_nodes + 1) * sizeof(*to->nodes));
    for (size_t i = 0; i < to->n_nodes; i++)
        to->nodes[i] = node_to(&reading->nodes[i], mem);
    to->n_lanes = reading->n_lanes;
    to->lanes = arena_alloc(mem, (to->n_lanes + 1) * sizeof(*to->lanes));
    for (size_t i = 0; i < to->n_lanes; i++)
        to->lanes[i] = lane_to(&reading->lanes[i], mem);
    to->n_queues = reading->n_queues;
    to->queues = arena_alloc(mem, (to->n_queues + 1) * sizeof(*to->queues));
    for (size_t i = 0; i < to->n_queues; i++)
        to->queues[i] = queue_to(&reading->queues[i], mem);
    size_t n = reading->n_beats;
    to->n_beat_nodes = to->n_beat_later_ms = to->n_beat_loads = n;
    to->beat_nodes = arena_alloc(mem, (n + 1) * sizeof(*to->beat_nodes));
    to->beat_later_ms = arena_alloc(mem, (n + 1) * sizeof(*to->beat_later_ms));
    to->beat_loads = arena_alloc(mem, (n + 1) * sizeof(*to->beat_loads));
    for (size_t i = 0; i < n; i++) {
        to->beat_nodes[i] = reading->beats[i].node;
        to->beat_later_ms[i] = reading->beats[i].later_ms;
        to->beat_loads[i] = reading->beats[i].load;
    }
    to->n_totals = reading->n_totals;
    to->totals = arena_alloc(mem, (to->n_totals + 1) * sizeof(*to->totals));
    for (size_t i = 0; i < to->n_totals; i++)
        to->totals[i] = stint_to(&reading->totals[i], mem);
    return to;
}

static Stint__Version *version_to(const struct history_row *row, struct arena *mem)
{
    Stint__Version *to = arena_alloc(mem, sizeof(*to));
    stint__version__init(to);
    to->has_node = to->has_seq = to->has_at_ms = to->has_whole = to->has_body = true;
    to->node = row->node;
    to->seq = row->seq;
    to->at_ms = row->at_ms;
    to->whole = row->whole;
    to->body = binary(row->body);
    return to;
}

struct bytes wire_fact_encode(const struct wire_fact *fact, struct arena *mem)
{
    Stint__Fact message = STINT__FACT__INIT, *list[] = {&message};
    Stint__Facts facts = STINT__FACTS__INIT;
    Stint__Trouble trouble = STINT__TROUBLE__INIT;
    switch (fact->kind) {
    case WIRE_READING:
        message.reading = reading_to(&fact->reading, mem);
        break;
    case WIRE_VERSION:
        message.version = version_to(&fact->version, mem);
        break;
    case WIRE_STINT:
        message.stint = stint_to(&fact->stint, mem);
        break;
    case WIRE_COMPLETE:
        message.has_complete = true;
        message.complete = (uint32_t)fact->complete;
        break;
    case WIRE_TROUBLE:
        trouble.has_at_ms = true;
        trouble.at_ms = fact->trouble.at_ms;
        trouble.why = (char *)fact->trouble.why;
        message.trouble = &trouble;
        break;
    }
    facts.n_facts = 1;
    facts.facts = list;
    return pack(&facts.base, mem);
}

/* ---- bytes to facts ------------------------------------------------------------------------- */

static int node_of(const Stint__Node *from, struct arena *mem, struct node *ret_node)
{
    if (from->state >= NODE_STATES || from->desired > DESIRED_STOPPED ||
        node_decode(bytes_of(from->record), mem, ret_node) < 0 ||
        !text_of(ret_node->name, sizeof(ret_node->name), from->name))
        return ERR_CORRUPT;
    ret_node->id = from->id;
    ret_node->state = (enum node_state)from->state;
    ret_node->desired = (enum node_desired)from->desired;
    ret_node->beat = from->beat;
    return 0;
}

static int lane_of(const Stint__Lane *from, struct arena *mem, struct lane *ret_lane)
{
    if (from->number >= LIMIT_LANES || lane_decode(bytes_of(from->record), mem, ret_lane) < 0 ||
        !text_of(ret_lane->name.queue, sizeof(ret_lane->name.queue), from->queue))
        return ERR_CORRUPT;
    ret_lane->number = (int32_t)from->number;
    ret_lane->name.priority = from->priority;
    ret_lane->name.partition = from->partition;
    ret_lane->tail = from->tail;
    ret_lane->head = from->head;
    ret_lane->holder = from->holder;
    ret_lane->exclusive = from->exclusive != 0;
    return 0;
}

static int queue_of(const Stint__Queue *from, struct queue *ret_queue)
{
    if (queue_decode(bytes_of(from->record), ret_queue) < 0 ||
        !text_of(ret_queue->name, sizeof(ret_queue->name), from->name))
        return ERR_CORRUPT;
    return 0;
}

static int beats_of(const Stint__Reading *from, struct arena *mem, struct wire_reading *reading)
{
    size_t n = from->n_beat_nodes;
    if (from->n_beat_later_ms != n || from->n_beat_loads != n)
        return ERR_CORRUPT;
    struct wire_beat *beats = arena_alloc(mem, (n + 1) * sizeof(*beats));
    for (size_t i = 0; i < n; i++)
        beats[i] =
            (struct wire_beat){from->beat_nodes[i], from->beat_later_ms[i], from->beat_loads[i]};
    reading->beats = beats;
    reading->n_beats = n;
    return 0;
}

static struct stint_row stint_of(const Stint__Stint *from)
{
    return (struct stint_row){
        .range = {.a = from->a, .b = from->b},
        .node = from->node,
        .done = from->done,
        .failed = from->failed,
        .cancelled = from->cancelled,
        .first_start_ms = from->first_start_ms,
        .last_finish_ms = from->last_finish_ms,
    };
}

static int reading_of(const Stint__Reading *from, struct arena *mem, struct wire_reading *reading)
{
    /* A record takes far more memory than a message that says nothing. */
    if (from->n_nodes > LIMIT_NODES || from->n_lanes > LIMIT_LANES || from->n_queues > LIMIT_LANES)
        return ERR_LIMIT;
    struct node *nodes = arena_alloc(mem, (from->n_nodes + 1) * sizeof(*nodes));
    struct lane *lanes = arena_alloc(mem, (from->n_lanes + 1) * sizeof(*lanes));
    struct queue *queues = arena_alloc(mem, (from->n_queues + 1) * sizeof(*queues));
    struct stint_row *totals = arena_alloc(mem, (from->n_totals + 1) * sizeof(*totals));
    int rc = 0;
    for (size_t i = 0; i < from->n_totals; i++)
        totals[i] = stint_of(from->totals[i]);
    for (size_t i = 0; rc == 0 && i < from->n_nodes; i++)
        rc = node_of(from->nodes[i], mem, &nodes[i]);
    for (size_t i = 0; rc == 0 && i < from->n_lanes; i++)
        rc = lane_of(from->lanes[i], mem, &lanes[i]);
    for (size_t i = 0; rc == 0 && i < from->n_queues; i++)
        rc = queue_of(from->queues[i], &queues[i]);
    *reading = (struct wire_reading){
        .at_ms = from->at_ms,
        .nodes = nodes,
        .n_nodes = from->n_nodes,
        .lanes = lanes,
        .n_lanes = from->n_lanes,
        .queues = queues,
        .n_queues = from->n_queues,
        .totals = totals,
        .n_totals = from->n_totals,
    };
    return rc < 0 ? rc : beats_of(from, mem, reading);
}

/* 1: that is a fact; 0: of a kind that is not known. */
static int fact_of(const Stint__Fact *from, struct arena *mem, struct wire_fact *fact)
{
    if (from->reading != NULL) {
        fact->kind = WIRE_READING;
        int rc = reading_of(from->reading, mem, &fact->reading);
        return rc < 0 ? rc : 1;
    }
    if (from->version != NULL) {
        const Stint__Version *version = from->version;
        fact->kind = WIRE_VERSION;
        fact->version = (struct history_row){.node = version->node,
                                             .seq = version->seq,
                                             .at_ms = version->at_ms,
                                             .whole = version->whole != 0,
                                             .body = bytes_of(version->body)};
        return 1;
    }
    if (from->stint != NULL) {
        fact->kind = WIRE_STINT;
        fact->stint = stint_of(from->stint);
        return 1;
    }
    if (from->has_complete) {
        fact->kind = WIRE_COMPLETE;
        fact->complete = (int32_t)from->complete;
        return from->complete < LIMIT_LANES ? 1 : ERR_CORRUPT;
    }
    if (from->trouble != NULL) {
        fact->kind = WIRE_TROUBLE;
        fact->trouble.at_ms = from->trouble->at_ms;
        fact->trouble.why = from->trouble->why != NULL ? from->trouble->why : "";
        return 1;
    }
    return 0;
}

int wire_facts_decode(struct bytes bytes, struct arena *mem, struct wire_fact **ret_facts,
                      size_t *ret_n)
{
    ProtobufCAllocator allocator = allocator_of(mem);
    const Stint__Facts *message = stint__facts__unpack(&allocator, bytes.len, bytes.data);
    if (message == NULL)
        return ERR_CORRUPT;
    struct wire_fact *facts = arena_alloc(mem, (message->n_facts + 1) * sizeof(*facts));
    size_t n = 0;
    for (size_t i = 0; i < message->n_facts; i++) {
        int rc = fact_of(message->facts[i], mem, &facts[n]);
        if (rc < 0 || mem->bytes > DECODED_BYTES_MAX)
            return rc < 0 ? rc : ERR_LIMIT;
        n += (size_t)rc;
    }
    *ret_facts = facts;
    *ret_n = n;
    return 0;
}
