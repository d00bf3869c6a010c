/* A moment as JSON: at, store, nodes (the dead of the last minutes, too), lanes, queues, events.
 * Ids of nodes are strings, ids of jobs are sequence numbers within their lane. */
#include "cli/observe_json.h"

#include <stdio.h>

#include "cli/node_print.h"
#include "observer/text.h"

static const char *const kinds[EVENT_KINDS] = {
    [EVENT_NODE_CAME] = "came",        [EVENT_NODE_STATE] = "state",
    [EVENT_NODE_BUSY] = "busy",        [EVENT_NODE_DIED] = "died",
    [EVENT_CLAIMED] = "claimed",       [EVENT_RETURNED] = "returned",
    [EVENT_RESCUED] = "rescued",       [EVENT_RECLAIMED] = "reclaimed",
    [EVENT_FINISHED] = "finished",     [EVENT_FAILED] = "failed",
    [EVENT_QUEUE] = "queue",           [EVENT_STORE_LOST] = "store_lost",
    [EVENT_STORE_BACK] = "store_back",
};

static void node_print(struct json *json, const struct moment_node *seen)
{
    const struct node *node = &seen->node;
    json_object_open(json, NULL);
    node_write_who(json, node);
    json_time(json, "heartbeat", node->beat_ms);
    json_number(json, "running", (int64_t)node->n_running);
    json_number(json, "ranges", (int64_t)node->n_ranges);
    node_write_work(json, node);
    json_object_close(json);
}

static void lane_print(struct json *json, const struct moment *moment,
                       const struct moment_lane *lane)
{
    char name[2 * TEXT_BYTES];
    json_object_open(json, NULL);
    json_text(json, "lane", text_lane(name, &lane->name));
    json_number(json, "head", lane->head);
    json_number(json, "tail", lane->tail);
    json_array_open(json, "held");
    for (size_t i = 0; i < lane->n_held; i++) {
        const struct moment_held *held = &lane->held[i];
        json_object_open(json, NULL);
        json_number(json, "from", held->a);
        json_number(json, "to", held->b);
        json_text(json, "node", held->node >= 0 ? moment->nodes[held->node].node.name : NULL);
        json_bool(json, "returning", held->returning);
        json_bool(json, "suspect", held->suspect);
        json_object_close(json);
    }
    json_array_close(json);
    json_object_close(json);
}

static void queue_print(struct json *json, const struct moment_queue *queue)
{
    json_object_open(json, NULL);
    json_text(json, "queue", queue->queue.name);
    json_bool(json, "paused", queue->queue.paused);
    json_number(json, "waiting", queue->waiting);
    json_number(json, "held", queue->held);
    json_number(json, "running", queue->running);
    json_number(json, "done", queue->done);
    json_number(json, "failed", queue->failed);
    json_number(json, "cancelled", queue->cancelled);
    json_object_close(json);
}

static void events_print(struct json *json, const struct moment *moment)
{
    json_array_open(json, "events");
    for (size_t i = 0; i < moment->n_events; i++) {
        const struct moment_event *event = &moment->events[i];
        json_object_open(json, NULL);
        json_time(json, "at", event->at_ms);
        json_text(json, "event", kinds[event->kind]);
        json_text(json, "text", event->text);
        json_object_close(json);
    }
    json_array_close(json);
}

void moment_print_json(const struct moment *moment)
{
    struct json json;
    json_open(&json, stdout);
    json_time(&json, "at", moment->at_ms);
    json_text(&json, "store", moment->store);
    json_number(&json, "slots", moment->slots);
    json_number(&json, "running", moment->running);
    json_number(&json, "waiting", moment->backlog);
    json_real(&json, "rate", moment->rate);
    json_array_open(&json, "nodes");
    for (size_t i = 0; i < moment->n_nodes; i++)
        node_print(&json, &moment->nodes[i]);
    json_array_close(&json);
    json_array_open(&json, "lanes");
    for (size_t i = 0; i < moment->n_lanes; i++)
        lane_print(&json, moment, &moment->lanes[i]);
    json_array_close(&json);
    json_array_open(&json, "queues");
    for (size_t i = 0; i < moment->n_queues; i++)
        queue_print(&json, &moment->queues[i]);
    json_array_close(&json);
    events_print(&json, moment);
    json_close(&json);
}
