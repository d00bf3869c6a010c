/* The moment at a time, put together from what was known of it (observer/past.h). Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observer/past_internal.h"

enum {
    SILENT_MS_MAX = 60000,  /* a node that never was said to be dead, but fell silent */
    DEAD_SHOWN_MS = 600000, /* dead ones are shown so long */
};

/* ---- nodes ---------------------------------------------------------------------------------- */

static char letter_of(int number)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    return letters[(size_t)number % (sizeof(letters) - 1)];
}

/* Jobs ended by then. */
static double ended_at(const struct track *track, int64_t at_ms)
{
    const struct state *state = state_at(track, at_ms);
    return state != NULL ? (double)(state->done + state->failed) : -1;
}

static void rates_make(const struct track *track, struct moment_node *node, int64_t at_ms,
                       int64_t window_ms)
{
    int64_t step_ms = window_ms / MOMENT_RATES > 0 ? window_ms / MOMENT_RATES : 1;
    double before = ended_at(track, at_ms - step_ms * MOMENT_RATES);
    for (int i = 0; i < MOMENT_RATES; i++) {
        double ended = ended_at(track, at_ms - step_ms * (MOMENT_RATES - 1 - i));
        double rate = before < 0 || ended < 0 ? -1 : (ended - before) * 1000 / (double)step_ms;
        node->rates[i] = (float)(rate < 0 && ended >= 0 && before >= 0 ? 0 : rate);
        before = ended;
    }
}

static void node_make(const struct track *track, const struct state *state, struct moment_node *ret,
                      int64_t at_ms, int64_t window_ms)
{
    struct node *node = &ret->node;
    *node = track->identity;
    node->state = state->state;
    node->desired = state->desired;
    node->since_ms = state->since_ms;
    node->beat_ms = state->beat_ms;
    node->done = state->done;
    node->failed = state->failed;
    node->interrupted = state->interrupted;
    node->rate = state->state == NODE_DEAD ? 0 : state->rate;
    node->load = state->load;
    node->ranges = (struct node_range *)state->ranges->data;
    node->n_ranges = state->ranges->n;
    node->running = (struct node_running *)state->running->data;
    node->n_running = state->state == NODE_DEAD ? 0 : state->running->n;
    node->cause[0] = '\0';
    ret->died_ms = track->died_ms != 0 && track->died_ms <= at_ms ? track->died_ms : 0;
    if (ret->died_ms != 0) {
        node->state = NODE_DEAD;
        snprintf(node->cause, sizeof(node->cause), "%s", track->cause);
    }
    ret->first_ms =
        track->identity.created_ms != 0 ? track->identity.created_ms : track->states[0].at_ms;
    ret->letter = letter_of(track->number);
    ret->colour = track->number;
    rates_make(track, ret, at_ms, window_ms);
}

static int nodes_compare(const void *a, const void *b)
{
    const struct moment_node *x = a, *y = b;
    bool dead_x = x->node.state == NODE_DEAD, dead_y = y->node.state == NODE_DEAD;
    if (dead_x != dead_y)
        return dead_x ? 1 : -1;
    if (dead_x && x->died_ms != y->died_ms)
        return x->died_ms < y->died_ms ? 1 : -1;
    int names = strcmp(x->node.name, y->node.name);
    return names != 0 ? names : x->node.id < y->node.id ? -1 : 1;
}

static void nodes_make(const struct past *past, struct moment *moment)
{
    moment->nodes = arena_alloc(&moment->mem, (past->n_tracks + 1) * sizeof(*moment->nodes));
    for (size_t i = 0; i < past->n_tracks; i++) {
        const struct track *track = past->tracks[i];
        const struct state *state = state_at(track, moment->at_ms);
        if (state == NULL)
            continue;
        bool dead = track->died_ms != 0 && track->died_ms <= moment->at_ms;
        int64_t since_ms = moment->at_ms - (dead ? track->died_ms : state->at_ms);
        /* A cluster that has nobody alive still shows who was there last. */
        if (since_ms > (dead ? DEAD_SHOWN_MS : SILENT_MS_MAX) &&
            !(moment->stale_ms != 0 && !dead) && state->ranges->n == 0)
            continue;
        node_make(track, state, &moment->nodes[moment->n_nodes++], moment->at_ms,
                  moment->window_ms);
    }
    qsort(moment->nodes, moment->n_nodes, sizeof(*moment->nodes), nodes_compare);
    for (size_t i = 0; i < moment->n_nodes; i++) {
        const struct node *node = &moment->nodes[i].node;
        moment->done += node->done;
        moment->failed += node->failed;
        if (node->state == NODE_DEAD)
            continue;
        moment->n_live++;
        moment->slots += node->slots;
        moment->running += (int64_t)node->n_running;
        moment->rate += node->rate;
    }
}

int32_t moment_node_index(const struct moment *moment, int64_t node)
{
    for (size_t i = 0; i < moment->n_nodes; i++)
        if (moment->nodes[i].node.id == node)
            return (int32_t)i;
    return -1;
}

/* ---- lanes ---------------------------------------------------------------------------------- */

static int held_compare(const void *a, const void *b)
{
    const struct moment_held *x = a, *y = b;
    return x->a < y->a ? -1 : x->a > y->a ? 1 : 0;
}

static int id_compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* What two records claim at once, as one was written before the other, is the first one's; the pool
 * comes last: who took from it has it. */
static size_t held_settle(struct moment_held *held, size_t n)
{
    size_t kept = 0;
    qsort(held, n, sizeof(*held), held_compare);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && held[i].a < held[kept - 1].b) {
            if (held[kept - 1].node < 0 && held[i].node >= 0)
                held[kept - 1].b = held[i].a;
            else
                held[i].a = held[kept - 1].b;
        }
        if (kept > 0 && held[kept - 1].a >= held[kept - 1].b)
            kept--;
        if (held[i].a < held[i].b)
            held[kept++] = held[i];
    }
    return kept;
}

static void lane_make(struct moment *moment, const struct lane_track *track,
                      const struct lane_state *state, struct moment_lane *lane)
{
    const struct range *pool = (const struct range *)state->pool->data;
    size_t n = state->pool->n, running = 0;
    for (size_t i = 0; i < moment->n_nodes; i++) {
        n += moment->nodes[i].node.n_ranges;
        running += moment->nodes[i].node.n_running;
    }
    *lane = (struct moment_lane){.number = track->number,
                                 .name = track->name,
                                 .head = state->head,
                                 .tail = state->tail,
                                 .finished = (struct finished *)&track->finished,
                                 .complete = track->complete};
    lane->held = arena_alloc(&moment->mem, (n + 1) * sizeof(*lane->held));
    lane->running = arena_alloc(&moment->mem, (running + 1) * sizeof(*lane->running));
    for (size_t i = 0; i < moment->n_nodes; i++) {
        const struct node *node = &moment->nodes[i].node;
        for (size_t k = 0; k < node->n_ranges; k++) {
            const struct node_range *r = &node->ranges[k];
            if (id_lane(r->range.a) == track->number)
                lane->held[lane->n_held++] = (struct moment_held){
                    .a = id_seq(r->range.a),
                    .b = id_seq(r->range.b - 1) + 1,
                    .node = (int32_t)i,
                    .returning = r->returning != 0,
                    .suspect = r->range.suspect || node->state == NODE_DEAD,
                };
        }
        for (size_t k = 0; k < node->n_running; k++)
            if (id_lane(node->running[k].id) == track->number)
                lane->running[lane->n_running++] = id_seq(node->running[k].id);
    }
    for (size_t i = 0; i < state->pool->n; i++)
        lane->held[lane->n_held++] = (struct moment_held){.a = id_seq(pool[i].a),
                                                          .b = id_seq(pool[i].b - 1) + 1,
                                                          .node = -1,
                                                          .suspect = pool[i].suspect};
    lane->n_held = held_settle(lane->held, lane->n_held);
    qsort(lane->running, lane->n_running, sizeof(*lane->running), id_compare);
    /* A node's record may be newer than what was last seen of the lane. */
    if (lane->n_held > 0 && lane->held[lane->n_held - 1].b > lane->head)
        lane->head = lane->held[lane->n_held - 1].b;
    if (lane->head > lane->tail)
        lane->tail = lane->head;
}

static void lanes_make(const struct past *past, struct moment *moment)
{
    moment->lanes = arena_alloc(&moment->mem, (past->n_lanes + 1) * sizeof(*moment->lanes));
    for (size_t i = 0; i < past->n_lanes; i++) {
        const struct lane_state *state = lane_at(past->lanes[i], moment->at_ms);
        if (state != NULL && past->lanes[i]->named)
            lane_make(moment, past->lanes[i], state, &moment->lanes[moment->n_lanes++]);
    }
}

/* ---- queues --------------------------------------------------------------------------------- */

static struct moment_queue *queue_get(struct moment *moment, const char *name)
{
    for (size_t i = 0; i < moment->n_queues; i++)
        if (strcmp(moment->queues[i].queue.name, name) == 0)
            return &moment->queues[i];
    struct moment_queue *queue = &moment->queues[moment->n_queues++];
    *queue = (struct moment_queue){0};
    snprintf(queue->queue.name, sizeof(queue->queue.name), "%s", name);
    return queue;
}

static double per_second(int64_t now, int64_t before, int64_t ms)
{
    return ms > 0 && now > before ? (double)(now - before) * 1000 / (double)ms : 0;
}

/* Now, the store's own sums are exact; of the past, the ranges that had ended by then are. */
static void ended_add(const struct lane_track *track, const struct moment *moment,
                      const struct moment_lane *lane, struct moment_queue *queue)
{
    struct finished_counts ended = {.done = (double)track->done,
                                    .failed = (double)track->failed,
                                    .cancelled = (double)track->cancelled};
    if (!moment->live)
        ended = finished_count(lane->finished, 1, lane->head);
    queue->done += (int64_t)ended.done;
    queue->failed += (int64_t)ended.failed;
    queue->cancelled += (int64_t)ended.cancelled;
}

static void queue_add_lane(const struct lane_track *track, struct moment *moment,
                           const struct moment_lane *lane)
{
    enum { RATE_MS = 10000 };
    struct moment_queue *queue = queue_get(moment, lane->name.queue);
    const struct lane_state *before = lane_at(track, moment->at_ms - RATE_MS);
    int64_t held = 0, pooled = 0;
    for (size_t i = 0; i < lane->n_held; i++)
        *(lane->held[i].node < 0 ? &pooled : &held) += lane->held[i].b - lane->held[i].a;
    queue->waiting += lane->tail - lane->head + pooled;
    queue->held += held;
    queue->running += (int64_t)lane->n_running;
    moment->backlog += lane->tail - lane->head + pooled;
    ended_add(track, moment, lane, queue);
    if (before == NULL)
        return;
    queue->rate_in += per_second(lane->tail, before->tail, RATE_MS);
    queue->rate_out += per_second(lane->head, before->head, RATE_MS);
}

static int queue_compare(const void *a, const void *b)
{
    return strcmp(((const struct moment_queue *)a)->queue.name,
                  ((const struct moment_queue *)b)->queue.name);
}

static void queues_make(const struct past *past, struct moment *moment)
{
    moment->queues =
        arena_alloc(&moment->mem, (past->n_queues + past->n_lanes + 1) * sizeof(*moment->queues));
    for (size_t i = 0; i < past->n_queues; i++)
        if (past->queues[i].at_ms <= moment->at_ms)
            queue_get(moment, past->queues[i].queue.name)->queue = past->queues[i].queue;
    for (size_t i = 0, k = 0; i < moment->n_lanes; i++) {
        while (past->lanes[k]->number != moment->lanes[i].number)
            k++;
        queue_add_lane(past->lanes[k], moment, &moment->lanes[i]);
    }
    qsort(moment->queues, moment->n_queues, sizeof(*moment->queues), queue_compare);
}

/* ---- the timeline --------------------------------------------------------------------------- */

static void spans_make(const struct track *track, struct moment *moment, struct moment_node *node)
{
    int64_t from_ms = moment->at_ms - moment->timeline_ms;
    size_t first = 0;
    while (first + 1 < track->n && track->states[first + 1].at_ms <= from_ms)
        first++;
    node->spans = arena_alloc(&moment->mem, (track->n - first + 2) * sizeof(*node->spans));
    for (size_t i = first; i < track->n && track->states[i].at_ms <= moment->at_ms; i++) {
        const struct state *state = &track->states[i];
        struct moment_span *last = node->n_spans > 0 ? &node->spans[node->n_spans - 1] : NULL;
        int64_t at_ms = state->at_ms > from_ms ? state->at_ms : from_ms;
        if (last != NULL)
            last->to_ms = at_ms;
        if (last == NULL || last->state != state->state)
            node->spans[node->n_spans++] =
                (struct moment_span){.from_ms = at_ms, .to_ms = at_ms, .state = state->state};
    }
    if (node->n_spans > 0 && node->spans[node->n_spans - 1].state != NODE_DEAD)
        node->spans[node->n_spans - 1].to_ms = moment->at_ms;
}

static float *points(struct moment *moment)
{
    return arena_alloc(&moment->mem, MOMENT_POINTS * sizeof(float));
}

static float backlog_at(const struct past *past, int64_t at_ms)
{
    float backlog = -1;
    for (size_t i = 0; i < past->n_lanes; i++) {
        const struct lane_state *state = lane_at(past->lanes[i], at_ms);
        if (state == NULL)
            continue;
        backlog = backlog < 0 ? 0 : backlog;
        backlog += (float)(state->tail - state->head);
        const struct range *pool = (const struct range *)state->pool->data;
        for (size_t k = 0; k < state->pool->n; k++)
            backlog += (float)(pool[k].b - pool[k].a);
    }
    return backlog;
}

static void curves_make(const struct past *past, struct moment *moment)
{
    moment->rates = points(moment);
    moment->backlogs = points(moment);
    moment->busy = points(moment);
    int64_t step_ms = moment->timeline_ms / MOMENT_POINTS + 1;
    double before = -1;
    for (int i = 0; i < MOMENT_POINTS; i++) {
        int64_t at_ms = moment->at_ms - step_ms * (MOMENT_POINTS - 1 - i);
        double ended = 0, busy = 0;
        for (size_t k = 0; k < past->n_tracks; k++) {
            const struct state *state = state_at(past->tracks[k], at_ms);
            if (state == NULL)
                continue;
            ended += (double)(state->done + state->failed);
            busy += state->state == NODE_DEAD ? 0 : (double)state->running->n;
        }
        bool known = at_ms >= past->first_ms;
        double rate =
            before >= 0 && ended >= before ? (ended - before) * 1000 / (double)step_ms : 0;
        moment->rates[i] = (float)(known && before >= 0 ? rate : -1);
        moment->busy[i] = (float)(known ? busy : -1);
        moment->backlogs[i] = known ? backlog_at(past, at_ms) : -1;
        before = known ? ended : -1;
    }
}

static void timeline_make(const struct past *past, struct moment *moment)
{
    curves_make(past, moment);
    for (size_t i = 0; i < moment->n_nodes; i++)
        spans_make(track_find(past, moment->nodes[i].node.id), moment, &moment->nodes[i]);
}

/* ---- all of it ------------------------------------------------------------------------------ */

const struct moment *past_moment(struct past *past, int64_t at_ms, int64_t window_ms,
                                 int64_t timeline_ms, bool live)
{
    struct moment *moment = &past->moment;
    arena_release(&moment->mem);
    *moment = (struct moment){
        .at_ms = at_ms,
        .live = live,
        .stale_ms = live ? past->trouble_ms : 0,
        .first_ms = past->first_ms,
        .last_ms = past->last_ms,
        .window_ms = window_ms,
        .timeline_ms = timeline_ms,
        .events = past->events,
    };
    snprintf(moment->store, sizeof(moment->store), "%s", past->store);
    if (moment->stale_ms != 0)
        snprintf(moment->trouble, sizeof(moment->trouble), "%s", past->trouble);
    while (moment->n_events < past->n_events && past->events[moment->n_events].at_ms <= at_ms)
        moment->n_events++;
    nodes_make(past, moment);
    lanes_make(past, moment);
    queues_make(past, moment);
    if (timeline_ms > 0)
        timeline_make(past, moment);
    return moment;
}
