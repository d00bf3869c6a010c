/* The moment at a time, put together from what was known of it (observer/past.h). Made for each
 * picture, so it looks at as little as it can: what lies between two times is walked through once,
 * nothing is counted that is kept. Pure. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observer/array.h"
#include "observer/past_internal.h"

enum {
    RATE_MS_MIN = 2000,     /* nodes write at most once a second: less would show that */
    SILENT_MS_MAX = 60000,  /* a node that never was said to be dead, but fell silent */
    DEAD_SHOWN_MS = 600000, /* dead ones are shown so long */
    LEFT_MS = 3000,         /* by then whoever buried it has told of the pool */
};

/* ---- nodes ---------------------------------------------------------------------------------- */

static char letter_of(int number)
{
    static const char letters[] = MOMENT_LETTERS;
    return letters[(size_t)number % (sizeof(letters) - 1)];
}

/* Goes through the states of a node as time goes on: cheaper than to look for each. */
struct walk {
    const struct track *track;
    size_t n; /* states until then */
};

static struct walk walk_from(const struct track *track, int64_t at_ms)
{
    const struct state *state = state_at(track, at_ms);
    return (struct walk){track, state != NULL ? (size_t)(state - track->states) + 1 : 0};
}

static const struct state *walk_to(struct walk *walk, int64_t at_ms)
{
    while (walk->n < walk->track->n && walk->track->states[walk->n].at_ms <= at_ms)
        walk->n++;
    return walk->n > 0 ? &walk->track->states[walk->n - 1] : NULL;
}

/* Jobs ended since it began; -1: it is not known to have. */
static double ended_of(const struct state *state)
{
    return state != NULL ? (double)(state->done + state->failed) : -1;
}

/* Jobs ended a second in the time up to at_ms, walked to by both; -1: not known. */
static float rate_at(struct walk *now, struct walk *before, int64_t at_ms, int64_t step_ms)
{
    int64_t over_ms = step_ms > RATE_MS_MIN ? step_ms : RATE_MS_MIN;
    double from = ended_of(walk_to(before, at_ms - over_ms)), to = ended_of(walk_to(now, at_ms));
    int64_t created_ms = now->track->identity.created_ms;
    if (to < 0)
        return -1;
    /* What it had done when it was first heard of, it did at another time, unless it is new. */
    if (from < 0 && created_ms < at_ms - over_ms)
        return -1;
    from = from < 0 ? 0 : from;
    return to > from ? (float)((to - from) * 1000 / (double)over_ms) : 0;
}

static void rates_make(const struct track *track, struct moment_node *node, int64_t at_ms,
                       int64_t window_ms)
{
    int64_t step_ms = window_ms / MOMENT_RATES > 0 ? window_ms / MOMENT_RATES : 1;
    int64_t first_ms = at_ms - step_ms * (MOMENT_RATES - 1);
    struct walk now = walk_from(track, first_ms);
    struct walk before = walk_from(track, first_ms - RATE_MS_MIN - step_ms);
    for (int i = 0; i < MOMENT_RATES; i++)
        node->rates[i] = rate_at(&now, &before, first_ms + step_ms * i, step_ms);
}

static const struct state *state_after(const struct track *track, const struct state *state)
{
    return state + 1 < track->states + track->n ? state + 1 : NULL;
}

/* Its last sign of life by then. Versions are written when there is something to say; between two
 * of them it lived on, but for a death, whose record tells the last heartbeat. */
static int64_t beat_at(const struct track *track, const struct state *state, int64_t at_ms)
{
    const struct state *after = state_after(track, state);
    int64_t beat_ms = state->beat_ms;
    if (after == NULL || at_ms - beat_ms <= track->identity.lease_ms)
        return beat_ms;
    int64_t later_ms = after->state == NODE_DEAD ? after->beat_ms : at_ms;
    later_ms = later_ms < at_ms ? later_ms : at_ms;
    return later_ms > beat_ms ? later_ms : beat_ms;
}

/* Until when, at most at_ms, it is known to have been there. Who is known to have lived later was
 * not silent: it had nothing to say. */
static int64_t alive_until(const struct track *track, const struct state *state, int64_t at_ms)
{
    if (state_after(track, state) != NULL || track->seen_ms >= at_ms)
        return at_ms;
    return track->seen_ms > state->at_ms ? track->seen_ms : state->at_ms;
}

static void node_make(const struct track *track, const struct state *state, struct moment_node *ret,
                      int64_t at_ms, int64_t window_ms)
{
    struct node *node = &ret->node;
    *node = track->identity;
    node->state = state->state;
    node->desired = state->desired;
    node->since_ms = state->since_ms;
    node->beat_ms = beat_at(track, state, at_ms);
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
    int names = strverscmp(x->node.name, y->node.name); /* n2 before n10 */
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
        moment->done += state->done; /* of those long dead, too */
        moment->failed += state->failed;
        bool dead = track->died_ms != 0 && track->died_ms <= moment->at_ms;
        int64_t since_ms =
            moment->at_ms - (dead ? track->died_ms : alive_until(track, state, moment->at_ms));
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
        if (node->state == NODE_DEAD)
            continue;
        moment->n_live++;
        moment->slots += node->slots;
        moment->running += (int64_t)node->n_running;
        moment->rate += node->rate;
    }
}

static int index_compare(const void *a, const void *b, void *ctx)
{
    const struct moment_node *nodes = ctx;
    int64_t x = nodes[*(const int32_t *)a].node.id, y = nodes[*(const int32_t *)b].node.id;
    return x < y ? -1 : x > y;
}

static void index_make(struct moment *moment)
{
    moment->by_id = arena_alloc(&moment->mem, (moment->n_nodes + 1) * sizeof(*moment->by_id));
    for (size_t i = 0; i < moment->n_nodes; i++)
        moment->by_id[i] = (int32_t)i;
    qsort_r(moment->by_id, moment->n_nodes, sizeof(*moment->by_id), index_compare, moment->nodes);
}

int32_t moment_node_index(const struct moment *moment, int64_t node)
{
    size_t low = 0, high = moment->n_nodes;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int64_t id = moment->nodes[moment->by_id[middle]].node.id;
        if (id == node)
            return moment->by_id[middle];
        if (id < node)
            low = middle + 1;
        else
            high = middle;
    }
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

/* What nodes hold and run in all lanes, each by its stored id: a lane takes its part of it. */
struct holdings {
    struct moment_held *held; /* a and b are stored ids */
    int64_t *running;
    size_t n_held, n_running;
    struct left_behind *left; /* by who died a moment ago */
    size_t n_left;
};

struct left_behind {
    struct range range;
    int64_t died_ms;
};

/* What a node had that died just before went to the pool; where no pool is known that is newer than
 * its death, only its last record tells of it. */
static void left_gather(const struct past *past, struct moment *moment, struct holdings *all)
{
    size_t max = 0;
    for (size_t i = moment->n_nodes; i-- > moment->n_live;) {
        const struct moment_node *node = &moment->nodes[i];
        if (node->died_ms <= moment->at_ms - LEFT_MS || node->node.n_ranges > 0 ||
            strcmp(node->node.cause, "stopped") == 0)
            continue;
        const struct state *last = state_at(track_find(past, node->node.id), node->died_ms - 1);
        if (last == NULL || last->state == NODE_DEAD)
            continue;
        const struct node_range *ranges = (const struct node_range *)last->ranges->data;
        for (size_t k = 0; k < last->ranges->n; k++) {
            all->left = arena_grow(&moment->mem, all->left, all->n_left, &max, sizeof(*all->left));
            all->left[all->n_left++] = (struct left_behind){ranges[k].range, node->died_ms};
        }
    }
}

static size_t left_take(const struct holdings *all, const struct lane_track *track,
                        const struct lane_state *state, struct moment_held *held)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n_left; i++) {
        const struct left_behind *left = &all->left[i];
        if (id_lane(left->range.a) != track->number || state->at_ms >= left->died_ms)
            continue;
        const struct finished_row *row = finished_find(&track->finished, id_seq(left->range.a));
        if (row != NULL && row->last_finish_ms <= left->died_ms)
            continue; /* it was done with, and had not said so yet */
        held[n++] = (struct moment_held){
            .a = left->range.a, .b = left->range.b, .node = -1, .suspect = true};
    }
    return n;
}

static struct holdings holdings_gather(const struct past *past, struct moment *moment)
{
    struct holdings all = {0};
    size_t n_held = 0, n_running = 0;
    for (size_t i = 0; i < moment->n_nodes; i++) {
        n_held += moment->nodes[i].node.n_ranges;
        n_running += moment->nodes[i].node.n_running;
    }
    all.held = arena_alloc(&moment->mem, (n_held + 1) * sizeof(*all.held));
    all.running = arena_alloc(&moment->mem, (n_running + 1) * sizeof(*all.running));
    for (size_t i = 0; i < moment->n_nodes; i++) {
        const struct node *node = &moment->nodes[i].node;
        for (size_t k = 0; k < node->n_ranges; k++) {
            const struct node_range *r = &node->ranges[k];
            all.held[all.n_held++] = (struct moment_held){
                .a = r->range.a,
                .b = r->range.b,
                .node = (int32_t)i,
                .returning = r->returning != 0,
                .suspect = r->range.suspect || node->state == NODE_DEAD,
            };
        }
        for (size_t k = 0; k < node->n_running; k++)
            all.running[all.n_running++] = node->running[k].id;
    }
    qsort(all.held, all.n_held, sizeof(*all.held), held_compare);
    qsort(all.running, all.n_running, sizeof(*all.running), id_compare);
    left_gather(past, moment, &all);
    return all;
}

static void held_take(const struct holdings *all, const struct lane_track *track,
                      const struct lane_state *state, struct moment_lane *lane, struct arena *mem)
{
    const struct range *pool = (const struct range *)state->pool->data;
    size_t n_pool = state->pool->n;
    int64_t first = id_make(lane->number, 0);
    size_t from = ARRAY_BELOW(all->held, all->n_held, a, first), to = from;
    while (to < all->n_held && id_lane(all->held[to].a) == lane->number)
        to++;
    lane->held = arena_alloc(mem, (to - from + n_pool + all->n_left + 1) * sizeof(*lane->held));
    for (size_t i = from; i < to; i++)
        lane->held[lane->n_held++] = all->held[i];
    for (size_t i = 0; i < n_pool; i++)
        lane->held[lane->n_held++] = (struct moment_held){
            .a = pool[i].a, .b = pool[i].b, .node = -1, .suspect = pool[i].suspect};
    lane->n_held += left_take(all, track, state, lane->held + lane->n_held);
    for (size_t i = 0; i < lane->n_held; i++) {
        lane->held[i].b = id_seq(lane->held[i].b - 1) + 1;
        lane->held[i].a = id_seq(lane->held[i].a);
    }
    lane->n_held = held_settle(lane->held, lane->n_held);
}

/* In place, lane by lane as they ascend: what the lanes before have taken is below all ids of this
 * one, as ids or as sequence numbers. */
static void running_take(const struct holdings *all, struct moment_lane *lane)
{
    size_t from = all->n_running > 0 ? array_below(all->running, all->n_running, sizeof(int64_t),
                                                   id_make(lane->number, 0))
                                     : 0;
    lane->running = all->running + from;
    while (from < all->n_running && id_lane(all->running[from]) == lane->number) {
        all->running[from] = id_seq(all->running[from]);
        lane->n_running++;
        from++;
    }
}

static void lane_make(struct moment *moment, const struct holdings *all,
                      const struct lane_track *track, const struct lane_state *state,
                      struct moment_lane *lane)
{
    *lane = (struct moment_lane){.number = track->number,
                                 .name = track->name,
                                 .types = track->types,
                                 .n_types = track->n_types,
                                 .head = state->head,
                                 .tail = state->tail,
                                 .finished = (struct finished *)&track->finished,
                                 .complete = track->complete};
    held_take(all, track, state, lane, &moment->mem);
    running_take(all, lane);
    /* A node's record may be newer than what was last seen of the lane. */
    if (lane->n_held > 0 && lane->held[lane->n_held - 1].b > lane->head)
        lane->head = lane->held[lane->n_held - 1].b;
    if (lane->head > lane->tail)
        lane->tail = lane->head;
}

static void lanes_make(const struct past *past, struct moment *moment)
{
    struct holdings all = holdings_gather(past, moment);
    moment->lanes = arena_alloc(&moment->mem, (past->n_lanes + 1) * sizeof(*moment->lanes));
    moment->names = arena_alloc(&moment->mem, (past->n_lanes + 1) * sizeof(*moment->names));
    for (size_t i = 0; i < past->n_lanes; i++) {
        const struct lane_track *track = past->lanes[i];
        if (track->named)
            moment->names[moment->n_names++] = (struct moment_name){track->number, &track->name};
        const struct lane_state *state = lane_at(past->lanes[i], moment->at_ms);
        if (state != NULL && past->lanes[i]->named)
            lane_make(moment, &all, past->lanes[i], state, &moment->lanes[moment->n_lanes++]);
    }
}

/* ---- queues --------------------------------------------------------------------------------- */

static int queue_compare(const void *a, const void *b)
{
    return strcmp(((const struct moment_queue *)a)->queue.name,
                  ((const struct moment_queue *)b)->queue.name);
}

static struct moment_queue *queue_find(struct moment *moment, const char *name)
{
    struct moment_queue key = {0};
    snprintf(key.queue.name, sizeof(key.queue.name), "%s", name);
    return bsearch(&key, moment->queues, moment->n_queues, sizeof(key), queue_compare);
}

static double per_second(int64_t now, int64_t before, int64_t ms)
{
    return ms > 0 && now > before ? (double)(now - before) * 1000 / (double)ms : 0;
}

/* Now, the store's own sums are exact; of the past, the ranges that had ended by then are. */
static void ended_add(const struct lane_track *track, const struct moment *moment,
                      const struct moment_lane *lane, struct moment_queue *queue)
{
    struct finished_counts ended = {
        .done = track->done, .failed = track->failed, .cancelled = track->cancelled};
    if (!moment->live && track->complete) {
        ended = finished_count(lane->finished, 1, lane->head);
    } else if (!moment->live) {
        /* The newest ranges are read first: all that ended, but for those. */
        struct finished_counts after = finished_count(lane->finished, lane->head, INT64_MAX);
        ended.done -= after.done < ended.done ? after.done : ended.done;
        ended.failed -= after.failed < ended.failed ? after.failed : ended.failed;
        ended.cancelled -= after.cancelled < ended.cancelled ? after.cancelled : ended.cancelled;
    }
    for (size_t i = 0; i < lane->n_held && !moment->live; i++) {
        /* What was held then and has ended since had not ended. */
        struct finished_counts since =
            finished_count(lane->finished, lane->held[i].a, lane->held[i].b);
        ended.done -= since.done < ended.done ? since.done : ended.done;
        ended.failed -= since.failed < ended.failed ? since.failed : ended.failed;
        ended.cancelled -= since.cancelled < ended.cancelled ? since.cancelled : ended.cancelled;
    }
    queue->done += ended.done;
    queue->failed += ended.failed;
    queue->cancelled += ended.cancelled;
}

/* The lane some seconds ago, or as early as it is known; NULL: that is too short to tell a rate. */
static const struct lane_state *rate_from(const struct lane_track *track, int64_t at_ms,
                                          int64_t *ret_ms)
{
    enum { RATE_MS = 10000 };
    const struct lane_state *before = lane_at(track, at_ms - RATE_MS);
    *ret_ms = RATE_MS;
    if (before != NULL || track->n == 0)
        return before;
    *ret_ms = at_ms - track->states[0].at_ms;
    return *ret_ms >= RATE_MS_MIN ? &track->states[0] : NULL;
}

static void queue_add_lane(const struct lane_track *track, struct moment *moment,
                           const struct moment_lane *lane)
{
    struct moment_queue *queue = queue_find(moment, lane->name.queue);
    int64_t over_ms = 0;
    const struct lane_state *before = rate_from(track, moment->at_ms, &over_ms);
    int64_t held = 0, pooled = 0;
    for (size_t i = 0; i < lane->n_held; i++)
        *(lane->held[i].node < 0 ? &pooled : &held) += lane->held[i].b - lane->held[i].a;
    queue->submitted += lane->tail - 1;
    queue->waiting += lane->tail - lane->head + pooled;
    queue->held += held;
    queue->running += (int64_t)lane->n_running;
    moment->backlog += lane->tail - lane->head + pooled;
    ended_add(track, moment, lane, queue);
    if (before == NULL)
        return;
    queue->rate_in += per_second(lane->tail, before->tail, over_ms);
    queue->rate_out += per_second(lane->head, before->head, over_ms);
}

/* A queue at one of its changes, or only the name that a lane has. */
struct queue_name {
    const char *name;
    const struct queue_state *state; /* NULL: none */
};

static int queue_name_compare(const void *a, const void *b)
{
    const struct queue_name *x = a, *y = b;
    int names = strcmp(x->name, y->name);
    return names != 0 ? names : (x->state > y->state) - (x->state < y->state);
}

/* Each once, in the order of names, as its last change left it. */
static void queues_list(const struct past *past, struct moment *moment)
{
    size_t n = 0, max = past->n_queues + moment->n_lanes + 1;
    struct queue_name *names = arena_alloc(&moment->mem, max * sizeof(*names));
    for (size_t i = 0; i < past->n_queues; i++)
        if (past->queues[i].at_ms <= moment->at_ms)
            names[n++] = (struct queue_name){past->queues[i].queue.name, &past->queues[i]};
    for (size_t i = 0; i < moment->n_lanes; i++)
        names[n++] = (struct queue_name){moment->lanes[i].name.queue, NULL};
    qsort(names, n, sizeof(*names), queue_name_compare);
    moment->queues = arena_alloc(&moment->mem, (n + 1) * sizeof(*moment->queues));
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && strcmp(names[i].name, names[i + 1].name) == 0)
            continue;
        struct queue *queue = &moment->queues[moment->n_queues++].queue;
        if (names[i].state != NULL)
            *queue = names[i].state->queue;
        else
            snprintf(queue->name, sizeof(queue->name), "%s", names[i].name);
    }
}

static void queues_make(const struct past *past, struct moment *moment)
{
    queues_list(past, moment);
    for (size_t i = 0; i < moment->n_lanes; i++)
        queue_add_lane(lane_find(past, moment->lanes[i].number), moment, &moment->lanes[i]);
    /* Lanes are seen first when somebody looks: that they were not there before is not said. */
    if (!moment->live && moment->n_lanes == 0 && moment->n_names > 0)
        moment->backlog = -1;
}

/* ---- the timeline --------------------------------------------------------------------------- */

static void span_put(struct moment_node *node, size_t *max, struct arena *mem,
                     const struct moment_span *span)
{
    node->spans = arena_grow(mem, node->spans, node->n_spans, max, sizeof(*span));
    node->spans[node->n_spans++] = *span;
}

/* From the last state back: each says since when it was, and what was before that is before. */
static void spans_make(const struct track *track, struct moment *moment, struct moment_node *node)
{
    int64_t from_ms = moment->at_ms - moment->timeline_ms, to_ms = moment->at_ms;
    size_t max = 0;
    if (node->died_ms != 0) {
        to_ms = node->died_ms;
        struct moment_span dead = {to_ms, to_ms, NODE_DEAD};
        if (to_ms > from_ms)
            span_put(node, &max, &moment->mem, &dead);
    }
    for (const struct state *state = state_at(track, to_ms); state != NULL && to_ms > from_ms;) {
        int64_t since_ms =
            state->since_ms > 0 && state->since_ms < state->at_ms ? state->since_ms : state->at_ms;
        struct moment_span span = {since_ms > from_ms ? since_ms : from_ms, to_ms, state->state};
        if (state->state != NODE_DEAD && span.from_ms < span.to_ms) {
            span_put(node, &max, &moment->mem, &span);
            to_ms = span.from_ms;
        }
        state = state_at(track, since_ms - 1);
    }
    for (size_t i = 0; i < node->n_spans / 2; i++) {
        struct moment_span span = node->spans[i];
        node->spans[i] = node->spans[node->n_spans - 1 - i];
        node->spans[node->n_spans - 1 - i] = span;
    }
}

static float *points(struct moment *moment)
{
    return arena_alloc(&moment->mem, MOMENT_POINTS * sizeof(float));
}

static int64_t point_ms(const struct moment *moment, int i)
{
    int64_t step_ms = moment->timeline_ms / MOMENT_POINTS + 1;
    return moment->at_ms - step_ms * (MOMENT_POINTS - 1 - i);
}

static void track_curves(const struct track *track, struct moment *moment)
{
    int64_t step_ms = point_ms(moment, 1) - point_ms(moment, 0);
    struct walk now = walk_from(track, point_ms(moment, 0));
    struct walk before = walk_from(track, point_ms(moment, 0) - step_ms - RATE_MS_MIN);
    for (int i = 0; i < MOMENT_POINTS; i++) {
        float rate = rate_at(&now, &before, point_ms(moment, i), step_ms);
        moment->rates[i] += rate > 0 ? rate : 0;
    }
}

static void lane_curve(const struct lane_track *lane, struct moment *moment)
{
    const struct lane_state *state = lane_at(lane, point_ms(moment, 0));
    size_t n = state != NULL ? (size_t)(state - lane->states) + 1 : 0;
    const struct block *pool = NULL;
    float pooled = 0;
    for (int i = 0; i < MOMENT_POINTS; i++) {
        while (n < lane->n && lane->states[n].at_ms <= point_ms(moment, i))
            n++;
        if (n == 0)
            continue;
        state = &lane->states[n - 1];
        const struct range *ranges = (const struct range *)state->pool->data;
        if (state->pool != pool) {
            pool = state->pool;
            pooled = 0;
            for (size_t k = 0; k < pool->n; k++)
                pooled += (float)(ranges[k].b - ranges[k].a);
        }
        moment->backlogs[i] += (float)(state->tail - state->head) + pooled;
    }
}

static void curves_make(const struct past *past, struct moment *moment)
{
    moment->rates = points(moment);
    moment->backlogs = points(moment);
    for (size_t k = 0; k < past->n_tracks; k++)
        track_curves(past->tracks[k], moment);
    for (size_t k = 0; k < past->n_lanes; k++)
        lane_curve(past->lanes[k], moment);
    for (int i = 0; i < MOMENT_POINTS && point_ms(moment, i) < past->first_ms; i++)
        moment->rates[i] = moment->backlogs[i] = -1;
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
    events_tell(past);
    struct moment *moment = &past->moment;
    arena_release(&moment->mem);
    *moment = (struct moment){
        .at_ms = at_ms,
        .live = live,
        /* What is after the loss is as little known as now. */
        .stale_ms = live || at_ms >= past->trouble_ms ? past->trouble_ms : 0,
        .first_ms = past->first_ms,
        .last_ms = past->last_ms,
        .window_ms = window_ms,
        .timeline_ms = timeline_ms,
        .traffic = past->quiet.items,
        .n_traffic = events_until(&past->quiet, at_ms),
    };
    snprintf(moment->store, sizeof(moment->store), "%s", past->store);
    if (moment->stale_ms != 0)
        snprintf(moment->trouble, sizeof(moment->trouble), "%s", past->trouble);
    moment->events = events_then(past, at_ms, &moment->n_events, &moment->mem);
    nodes_make(past, moment);
    index_make(moment);
    lanes_make(past, moment);
    queues_make(past, moment);
    if (timeline_ms > 0)
        timeline_make(past, moment);
    return moment;
}
