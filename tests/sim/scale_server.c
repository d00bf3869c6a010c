/* The store as a server of finite speed (struct scale_server).
 *
 *   run ── half a round trip ─▶ ARRIVED ─(record free)─(processor free)─▶ WORKED ─(flush)─▶ WRITTEN
 *     ▲                                                                                        │
 *     └── next step: a round trip later ◀──────────── the step is carried out ◀────────────────┘
 *
 * A run's steps go one after the other, each a request, as on a server of MongoDB's protocol. What
 * a step costs is known from the records as they are when it gets a processor. Lanes and nodes are
 * in the memory datastore; rows of jobs in scale_rows.c. One thread. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/memory.h"
#include "datastore/memory_store.h"
#include "datastore/mongo_bson.h"
#include "tests/sim/scale_internal.h"

/* From bench/scale_server on FerretDB with DocumentDB: see docs/SCALE.md. */
const struct scale_server scale_server_default = {
    .cpus = 16,
    .round_trip_us = 1000,
    .cpu_us = 300,
    .flush_us = 700,
    .us_per_kb_read = 17,
    .us_per_kb_written = 25,
    .us_per_kb_passed = 2,
    .us_per_document = 40,
    .us_per_100_rows = 1000,
};

enum kind_class { ON_NOTHING, ON_LANE, ON_NODE, ON_ROWS, ON_LOG };

static const enum kind_class classes[DS_KINDS] = {
    [DS_LANES_READ] = ON_LANE, [DS_RESERVE] = ON_LANE,    [DS_CLAIM] = ON_LANE,
    [DS_RETURN] = ON_LANE,     [DS_ENTRY_DROP] = ON_LANE, [DS_LANE_BURY] = ON_LANE,
    [DS_NODE_ADD] = ON_NODE,   [DS_NODE_WRITE] = ON_NODE, [DS_NODE_ASK] = ON_NODE,
    [DS_NODE_KILL] = ON_NODE,  [DS_NODE_CLEAR] = ON_NODE, [DS_NODE_DELETE] = ON_NODE,
    [DS_NODES_READ] = ON_NODE, [DS_LOAD] = ON_ROWS,       [DS_FINISH] = ON_ROWS,
    [DS_STINTS_ADD] = ON_LOG,  [DS_HISTORY_ADD] = ON_LOG,
};

/* ---- sizes ---------------------------------------------------------------------------------- */

enum {
    LANE_BYTES = 197, /* without its lists */
    ENTRY_BYTES = 71, /* key of 20 characters, five fields */
    POOL_BYTES = 38,
    NODE_BYTES = 532,
    RANGE_BYTES = 32,
    GRANT_BYTES = 33,
    RUNNING_BYTES = 47,
    REQUEST_BYTES = 80,
};

size_t lane_doc_bytes(const struct lane *lane)
{
    return LANE_BYTES + lane->n_entries * ENTRY_BYTES + lane->n_pool * POOL_BYTES;
}

size_t node_doc_bytes(const struct node *node)
{
    return NODE_BYTES + node->n_ranges * RANGE_BYTES + node->n_granted * GRANT_BYTES +
           node->n_running * RUNNING_BYTES + node->n_requests * REQUEST_BYTES;
}

static size_t lanes_bytes(const struct server *server, int32_t number, size_t *ret_n)
{
    size_t bytes = 0;
    *ret_n = 0;
    for (size_t i = 0; i < server->store->n_lanes; i++)
        if (number < 0 || (size_t)number == i) {
            bytes += lane_doc_bytes(&server->store->lanes[i]->lane);
            ++*ret_n;
        }
    return bytes;
}

/* Lanes that are read; with one node's entries only the server looks at all of a record, too. */
static size_t look_bytes(const struct server *server, const struct ds_lanes_read *read,
                         struct flight *flight, size_t *ret_n)
{
    size_t bytes = lanes_bytes(server, read->lane, ret_n);
    size_t few = *ret_n * (LANE_BYTES + ENTRY_BYTES);
    if (read->entries_of == 0 || bytes <= few)
        return bytes;
    flight->cpu_us += (bytes - few) * server->speed.us_per_kb_passed / 1024;
    return few;
}

static size_t nodes_bytes(const struct server *server, const struct ds_nodes_read *read,
                          size_t *ret_n)
{
    const struct keyed_array *nodes = &server->store->nodes;
    size_t bytes = 0;
    *ret_n = 0;
    if (read->node != 0) {
        const struct node_record *record = keyed_find(nodes, read->node);
        *ret_n = record != NULL ? 1 : 0;
        return record != NULL ? node_doc_bytes(&record->node) : 0;
    }
    size_t from = read->max > 0 && nodes->n > 0 ? keyed_at(nodes, read->after) : 0;
    size_t max = read->max > 0 && read->max < nodes->n ? read->max : nodes->n;
    for (size_t k = 0; k < nodes->n && *ret_n < max; k++) {
        size_t i = (from + k) % nodes->n;
        const struct node *node = &((const struct node_record *)nodes->items[i])->node;
        if (!read->live_only || node->state != NODE_DEAD) {
            bytes += node_doc_bytes(node);
            ++*ret_n;
        }
    }
    return bytes;
}

/* ---- what a step costs ---------------------------------------------------------------------- */

static int32_t lane_of(const struct ds_step *step)
{
    switch (step->kind) {
    case DS_CLAIM:
        return step->claim.lane;
    case DS_RETURN:
        return step->give_back.lane;
    case DS_ENTRY_DROP:
        return step->entry_drop.lane;
    case DS_LANE_BURY:
        return step->lane_bury.lane;
    case DS_RESERVE:
        return step->reserve.lane;
    default:
        return -1;
    }
}

static size_t rows_of(const struct ds_step *step)
{
    if (step->kind == DS_LOAD)
        return (size_t)range_count(step->load.range) < 1024 ? (size_t)range_count(step->load.range)
                                                            : 1024;
    size_t n = 0;
    for (size_t i = 0; i < step->finish.n; i++)
        n += step->finish.outcomes[i].count;
    return n;
}

static void cost(struct server *server, struct flight *flight)
{
    const struct ds_step *step = &flight->run->steps[flight->next];
    const struct scale_server *speed = &server->speed;
    size_t bytes = 0, documents = 1;
    bool writes = ds_kind_writes(step->kind);
    flight->flush_us = writes ? speed->flush_us : 0;
    flight->cpu_us = speed->cpu_us;
    if (classes[step->kind] == ON_ROWS) {
        flight->cpu_us += rows_of(step) * speed->us_per_100_rows / 100;
        server->row_ops++;
        return;
    }
    if (step->kind == DS_LANES_READ)
        bytes = look_bytes(server, &step->lanes_read, flight, &documents);
    else if (step->kind == DS_NODES_READ)
        bytes = nodes_bytes(server, &step->nodes_read, &documents);
    else if (classes[step->kind] == ON_LANE)
        bytes = lanes_bytes(server, lane_of(step), &documents);
    else if (step->kind == DS_NODE_WRITE)
        bytes = node_doc_bytes(step->node_write.node);
    else
        bytes = NODE_BYTES;
    if (classes[step->kind] == ON_LANE && bytes > server->lane_bytes_max)
        server->lane_bytes_max = bytes / (documents > 0 ? documents : 1);
    flight->cpu_us += bytes * (writes ? speed->us_per_kb_written : speed->us_per_kb_read) / 1024 +
                      (documents > 1 ? (documents - 1) * speed->us_per_document : 0);
    server->ops++;
    server->bytes += bytes;
    server->cpu_us += flight->cpu_us;
}

/* ---- queues --------------------------------------------------------------------------------- */

static void queue_put(struct queue_of_flights *queue, struct flight *flight)
{
    flight->waits_behind = NULL;
    if (queue->last != NULL)
        queue->last->waits_behind = flight;
    else
        queue->first = flight;
    queue->last = flight;
}

static struct flight *queue_take(struct queue_of_flights *queue)
{
    struct flight *flight = queue->first;
    if (flight == NULL)
        return NULL;
    queue->first = flight->waits_behind;
    if (queue->first == NULL)
        queue->last = NULL;
    return flight;
}

/* ---- the way of a step ---------------------------------------------------------------------- */

static struct ds_step *step_of(const struct flight *flight)
{
    return &flight->run->steps[flight->next];
}

static bool on_rows(const struct flight *flight)
{
    return classes[step_of(flight)->kind] == ON_ROWS;
}

static void work(struct world *world, struct flight *flight)
{
    struct server *server = &world->server;
    cost(server, flight);
    event_add(world, world->now_us + flight->cpu_us, EVENT_WORKED, flight);
}

static void processor_wanted(struct world *world, struct flight *flight)
{
    struct server *server = &world->server;
    if (on_rows(flight)) {
        work(world, flight);
    } else if (server->busy < server->speed.cpus) {
        server->busy++;
        work(world, flight);
    } else {
        queue_put(&server->ready, flight);
    }
}

static void arrived(struct world *world, struct flight *flight)
{
    const struct ds_step *step = step_of(flight);
    int32_t lane = lane_of(step);
    flight->record = lane >= 0 ? &world->server.lanes[lane] : NULL;
    if (flight->record == NULL) {
        processor_wanted(world, flight); /* a node's record has one writer, as good as always */
    } else if (flight->record->held) {
        queue_put(&flight->record->waiting, flight);
    } else {
        flight->record->held = true;
        processor_wanted(world, flight);
    }
}

static void worked(struct world *world, struct flight *flight)
{
    struct server *server = &world->server;
    if (!on_rows(flight)) {
        struct flight *next = queue_take(&server->ready);
        if (next != NULL)
            work(world, next);
        else
            server->busy--;
    }
    event_add(world, world->now_us + flight->flush_us, EVENT_WRITTEN, flight);
}

static int carry_out(struct world *world, struct flight *flight)
{
    struct server *server = &world->server;
    struct ds_step *step = step_of(flight);
    server->kinds[step->kind]++;
    if (flight->bell != NULL)
        return 0; /* the world knows whom to ring */
    switch (step->kind) {
    case DS_LOAD:
        rows_load(&world->rows, &step->load, &flight->run->mem);
        return 0;
    case DS_FINISH:
        rows_finish(&world->rows, &step->finish);
        return 0;
    case DS_STINTS_ADD:
    case DS_HISTORY_ADD:
        return 0; /* nobody reads them here */
    default:
        break;
    }
    int rc = memory_step(server->memory, flight->run, flight->next);
    if (step->kind == DS_CLAIM && rc == 0) {
        server->claims++;
        server->granted += (uint64_t)range_count(step->claim.ret_range);
    }
    return rc;
}

static void written(struct world *world, struct flight *flight)
{
    struct ds_run *run = flight->run;
    struct ds_step *step = step_of(flight);
    struct record *record = flight->record;
    step->rc = carry_out(world, flight);
    if (record != NULL) {
        struct flight *next = queue_take(&record->waiting);
        record->held = next != NULL;
        if (next != NULL)
            processor_wanted(world, next);
    }
    uint64_t half_us = world->server.speed.round_trip_us / 2;
    bool on = step->rc == 0 || step->independent;
    if (on && flight->next + 1 < run->n_steps && !flight->member->killed) {
        flight->next++;
        event_add(world, world->now_us + 2 * half_us, EVENT_ARRIVED, flight);
        return;
    }
    for (size_t i = flight->next + 1; i < run->n_steps; i++)
        run->steps[i].rc = ERR_SKIPPED;
    event_add(world, world->now_us + half_us, EVENT_REPLY, flight);
}

void flight_free(struct flight *flight)
{
    *flight->all_link = flight->all_next;
    if (flight->all_next != NULL)
        flight->all_next->all_link = flight->all_link;
    free(flight->bell);
    free(flight);
}

void server_run(struct world *world, struct member *member, struct ds_run *run, struct bell *bell)
{
    struct flight *flight = calloc(1, sizeof(*flight));
    assert(flight != NULL);
    flight->member = member;
    flight->run = run;
    flight->bell = bell;
    flight->all_link = &world->flights;
    flight->all_next = world->flights;
    if (flight->all_next != NULL)
        flight->all_next->all_link = &flight->all_next;
    world->flights = flight;
    event_add(world, world->now_us + world->server.speed.round_trip_us / 2, EVENT_ARRIVED, flight);
}

void server_event(struct world *world, const struct event *event)
{
    struct flight *flight = event->of;
    if (event->kind == EVENT_ARRIVED)
        arrived(world, flight);
    else if (event->kind == EVENT_WORKED)
        worked(world, flight);
    else
        written(world, flight);
}

/* ---- the store ------------------------------------------------------------------------------ */

static int64_t utc_ms(void *ctx)
{
    return (int64_t)(((const struct world *)ctx)->now_us / 1000) + 1700000000000;
}

int server_step(struct world *world, struct ds_step *step, struct arena *mem)
{
    struct ds_run run = {.steps = step, .n_steps = 1, .mem = *mem};
    step->rc = memory_step(world->server.memory, &run, 0);
    *mem = run.mem;
    return step->rc;
}

void server_left_of(const struct world *world, int64_t node, size_t *alive, size_t *entries)
{
    const struct memory_store *store = world->server.store;
    const struct node_record *record = keyed_find(&store->nodes, node);
    *alive += record != NULL && record->node.state != NODE_DEAD ? 1 : 0;
    for (size_t i = 0; i < store->n_lanes; i++)
        for (size_t k = 0; k < store->lanes[i]->lane.n_entries; k++)
            *entries += store->lanes[i]->lane.entries[k].node == node ? 1 : 0;
}

void server_init(struct world *world)
{
    struct server *server = &world->server;
    server->speed = world->plan.server;
    server->store = memory_store_new(utc_ms, world);
    server->memory = memory_open(server->store);
    server->lanes = calloc(LIMIT_LANES, sizeof(*server->lanes));
    assert(server->lanes != NULL);
}

void server_release(struct world *world)
{
    datastore_close(world->server.memory);
    memory_store_free(world->server.store);
    free(world->server.lanes);
}
