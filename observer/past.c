/* Facts about a cluster, by time (observer/past.h).
 *
 * Versions and readings end up as states of a node, by time; a list that did not change is shared
 * with the state before. States are forgotten from the oldest on when they take too much memory,
 * but each node keeps its last. Invariants: states ascend by time; a lane's head and tail never
 * fall; `bytes` is what blocks and states take. One thread. */
#include "observer/past.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/steps.h"
#include "observer/array.h"
#include "observer/past_internal.h"

enum { GONE_MS = 60000, FORGET_MS_MIN = 1000 };

/* ---- blocks --------------------------------------------------------------------------------- */

struct block *block_of(struct past *past, struct block *before, const void *items, size_t n,
                       size_t size)
{
    size_t bytes = n * size;
    if (before != NULL && before->bytes == bytes && before->n == n &&
        (bytes == 0 || memcmp(before->data, items, bytes) == 0)) {
        before->refs++;
        return before;
    }
    struct block *block = malloc(sizeof(*block) + bytes);
    if (block == NULL)
        abort();
    *block = (struct block){.refs = 1, .n = (uint32_t)n, .bytes = bytes};
    if (bytes > 0)
        memcpy(block->data, items, bytes);
    past->bytes += sizeof(*block) + bytes;
    return block;
}

void block_drop(struct past *past, struct block *block)
{
    if (block == NULL || --block->refs > 0)
        return;
    past->bytes -= sizeof(*block) + block->bytes;
    free(block);
}

/* ---- making and freeing --------------------------------------------------------------------- */

struct past *past_new(const char *store, size_t bytes_max)
{
    struct past *past = calloc(1, sizeof(*past));
    if (past == NULL)
        abort();
    snprintf(past->store, sizeof(past->store), "%s", store);
    past->bytes_max = bytes_max;
    return past;
}

static void state_drop(struct past *past, struct state *state)
{
    block_drop(past, state->ranges);
    block_drop(past, state->running);
    past->bytes -= sizeof(*state);
}

static void track_free(struct past *past, struct track *track)
{
    for (size_t i = 0; i < track->n; i++)
        state_drop(past, &track->states[i]);
    free(track->states);
    past->bytes -= sizeof(*track) + track->mem.bytes + track->version_mem.bytes;
    arena_release(&track->mem);
    arena_release(&track->version_mem);
    free(track);
}

static void lane_free(struct past *past, struct lane_track *lane)
{
    for (size_t i = 0; i < lane->n; i++)
        block_drop(past, lane->states[i].pool);
    past->bytes -= lane->n * sizeof(*lane->states);
    free(lane->states);
    finished_clear(&lane->finished);
    arena_release(&lane->types_mem);
    free(lane);
}

void past_free(struct past *past)
{
    if (past == NULL)
        return;
    for (size_t i = 0; i < past->n_tracks; i++)
        track_free(past, past->tracks[i]);
    for (size_t i = 0; i < past->n_lanes; i++)
        lane_free(past, past->lanes[i]);
    past_events_forget(past, INT64_MAX);
    assert(past->bytes == 0);
    free(past->tracks);
    free(past->lanes);
    free(past->queues);
    free(past->queues_last);
    free(past->loud.items);
    free(past->quiet.items);
    arena_release(&past->moment.mem);
    free(past);
}

/* ---- finding -------------------------------------------------------------------------------- */

static size_t track_at(const struct past *past, int64_t node)
{
    size_t low = 0, high = past->n_tracks;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (past->tracks[middle]->node < node)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct track *track_find(const struct past *past, int64_t node)
{
    size_t at = track_at(past, node);
    return at < past->n_tracks && past->tracks[at]->node == node ? past->tracks[at] : NULL;
}

/* How many lanes have a lower number. */
static size_t lane_index(const struct past *past, int32_t number)
{
    size_t low = 0, high = past->n_lanes;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (past->lanes[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct lane_track *lane_find(const struct past *past, int32_t number)
{
    size_t at = lane_index(past, number);
    return at < past->n_lanes && past->lanes[at]->number == number ? past->lanes[at] : NULL;
}

struct lane_track *lane_get(struct past *past, int32_t number)
{
    size_t at = lane_index(past, number);
    if (at < past->n_lanes && past->lanes[at]->number == number)
        return past->lanes[at];
    struct lane_track *lane = calloc(1, sizeof(*lane));
    past->lanes = realloc(past->lanes, (past->n_lanes + 1) * sizeof(*past->lanes));
    if (past->lanes == NULL || lane == NULL)
        abort();
    lane->number = number;
    memmove(past->lanes + at + 1, past->lanes + at, (past->n_lanes - at) * sizeof(*past->lanes));
    past->lanes[at] = lane;
    past->n_lanes++;
    return lane;
}

/* How many states are at or before that time. */
static size_t states_until(const struct track *track, int64_t at_ms)
{
    return ARRAY_UNTIL(track->states, track->n, at_ms, at_ms);
}

const struct state *state_at(const struct track *track, int64_t at_ms)
{
    size_t n = states_until(track, at_ms);
    return n > 0 ? &track->states[n - 1] : NULL;
}

static size_t lane_states_until(const struct lane_track *lane, int64_t at_ms)
{
    return ARRAY_UNTIL(lane->states, lane->n, at_ms, at_ms);
}

const struct lane_state *lane_at(const struct lane_track *lane, int64_t at_ms)
{
    size_t n = lane_states_until(lane, at_ms);
    return n > 0 ? &lane->states[n - 1] : NULL;
}

/* ---- forgetting ----------------------------------------------------------------------------- */

static void track_forget(struct past *past, struct track *track, int64_t before_ms)
{
    size_t n = states_until(track, before_ms);
    n = n > 0 ? n - 1 : 0; /* the one that holds at that time stays */
    for (size_t i = 0; i < n; i++)
        state_drop(past, &track->states[i]);
    memmove(track->states, track->states + n, (track->n - n) * sizeof(*track->states));
    track->n -= n;
}

static void lane_forget(struct past *past, struct lane_track *lane, int64_t before_ms)
{
    size_t n = lane_states_until(lane, before_ms);
    n = n > 0 ? n - 1 : 0;
    for (size_t i = 0; i < n; i++)
        block_drop(past, lane->states[i].pool);
    past->bytes -= n * sizeof(*lane->states);
    memmove(lane->states, lane->states + n, (lane->n - n) * sizeof(*lane->states));
    lane->n -= n;
}

/* A tenth of the time goes at once, so that this is rare. */
static void forget_some(struct past *past)
{
    int64_t before_ms = past->first_ms + (past->last_ms - past->first_ms) / 10 + 1;
    size_t kept = 0;
    for (size_t i = 0; i < past->n_tracks; i++) {
        struct track *track = past->tracks[i];
        track_forget(past, track, before_ms);
        if (track->died_ms != 0 && track->died_ms < before_ms)
            track_free(past, track);
        else
            past->tracks[kept++] = track;
    }
    past->n_tracks = kept;
    for (size_t i = 0; i < past->n_lanes; i++)
        lane_forget(past, past->lanes[i], before_ms);
    past_events_forget(past, before_ms);
    past->first_ms = past->floor_ms = before_ms;
    past->forgot = true;
}

static void forget(struct past *past)
{
    while (past->bytes > past->bytes_max && past->last_ms - past->first_ms > FORGET_MS_MIN)
        forget_some(past);
}

static void time_note(struct past *past, int64_t at_ms)
{
    at_ms = at_ms > past->floor_ms ? at_ms : past->floor_ms;
    if (past->first_ms == 0 || at_ms < past->first_ms)
        past->first_ms = at_ms;
    if (at_ms > past->last_ms)
        past->last_ms = at_ms;
}

bool past_since(struct past *past, int64_t from_ms)
{
    if (past->forgot)
        return false;
    past->floor_ms = from_ms > 0 && time_good(from_ms) ? from_ms : 0;
    return true;
}

/* NULL: there are too many. */
static struct track *track_get(struct past *past, int64_t node)
{
    struct track *track = track_find(past, node);
    if (track != NULL)
        return track;
    while (past->n_tracks == PAST_NODES_MAX && past->last_ms - past->first_ms > FORGET_MS_MIN)
        forget_some(past);
    if (past->n_tracks == PAST_NODES_MAX)
        return NULL;
    size_t at = track_at(past, node);
    past->tracks =
        array_grown(past->tracks, past->n_tracks, &past->tracks_max, sizeof(struct track *));
    track = calloc(1, sizeof(*track));
    if (track == NULL)
        abort();
    track->node = node;
    track->number = past->tracks_ever++;
    memmove(past->tracks + at + 1, past->tracks + at,
            (past->n_tracks - at) * sizeof(*past->tracks));
    past->tracks[at] = track;
    past->n_tracks++;
    past->bytes += sizeof(*track);
    return track;
}

/* ---- states --------------------------------------------------------------------------------- */

static void state_add(struct past *past, struct track *track, const struct node *node,
                      int64_t at_ms)
{
    size_t at = states_until(track, at_ms);
    struct state *before = at > 0 ? &track->states[at - 1] : NULL;
    if (before != NULL && before->at_ms == at_ms)
        return; /* the same write, seen twice */
    if (at < track->n && track->states[at].at_ms <= past->floor_ms)
        return; /* before what is kept there is one state, and that is a later one */
    struct state state = {
        .at_ms = at_ms,
        .beat_ms = node->beat_ms != 0 ? node->beat_ms : at_ms,
        .since_ms = node->since_ms,
        .done = node->done,
        .failed = node->failed,
        .interrupted = node->interrupted,
        .rate = node->rate,
        .load = node->load,
        .state = node->state,
        .desired = node->desired,
        .ranges = block_of(past, before != NULL ? before->ranges : NULL, node->ranges,
                           node->n_ranges, sizeof(*node->ranges)),
        .running = block_of(past, before != NULL ? before->running : NULL, node->running,
                            node->n_running, sizeof(*node->running)),
    };
    track->states = array_grown(track->states, track->n, &track->max, sizeof(state));
    memmove(track->states + at + 1, track->states + at, (track->n - at) * sizeof(state));
    track->states[at] = state;
    track->n++;
    past->bytes += sizeof(state);
    time_note(past, at_ms);
    events_untell(past, track, at_ms);
    if (at > 0 && at_ms <= past->floor_ms)
        track_forget(past, track, past->floor_ms);
}

static bool lane_older(const struct lane_state *state, int64_t head, int64_t tail)
{
    return state->head < head || state->tail < tail;
}

static void lane_state_drop(struct past *past, struct lane_track *lane, size_t at)
{
    block_drop(past, lane->states[at].pool);
    past->bytes -= sizeof(*lane->states);
    memmove(lane->states + at, lane->states + at + 1, (lane->n - at - 1) * sizeof(*lane->states));
    lane->n--;
}

/* A node tells in its version what it last saw of a lane, which may be some time ago: as head and
 * tail only rise, who tells lower ones tells of the time before. */
static void lane_state_add(struct past *past, struct lane_track *lane, int64_t at_ms, int64_t head,
                           int64_t tail, const struct range *pool, size_t n_pool)
{
    size_t at = lane_states_until(lane, at_ms);
    struct lane_state *before = at > 0 ? &lane->states[at - 1] : NULL;
    if (at < lane->n && lane->states[at].at_ms <= past->floor_ms)
        return; /* as with states of nodes */
    if (before != NULL && (head < before->head || tail < before->tail))
        return;
    struct block *block =
        block_of(past, before != NULL ? before->pool : NULL, pool, n_pool, sizeof(*pool));
    if (before != NULL && !lane_older(before, head, tail) && before->pool == block) {
        block_drop(past, block);
        return;
    }
    if (before != NULL && before->at_ms == at_ms)
        lane_state_drop(past, lane, --at);
    while (at < lane->n && lane_older(&lane->states[at], head, tail))
        lane_state_drop(past, lane, at);
    lane->states = array_grown(lane->states, lane->n, &lane->max, sizeof(*lane->states));
    memmove(lane->states + at + 1, lane->states + at, (lane->n - at) * sizeof(*lane->states));
    lane->states[at] = (struct lane_state){at_ms, head, tail, block};
    lane->n++;
    past->bytes += sizeof(*lane->states);
    if (at > 0 && at_ms <= past->floor_ms)
        lane_forget(past, lane, past->floor_ms);
}

/* ---- facts ---------------------------------------------------------------------------------- */

/* What changes of a node is in its states. */
static void identity_take(struct past *past, struct track *track, const struct node *node)
{
    if (track->identity.id != 0 && track->identity.n_queues > 0)
        return;
    struct node fixed = *node;
    fixed.n_ranges = fixed.n_granted = fixed.n_running = fixed.n_requests = 0;
    past->bytes -= track->mem.bytes;
    arena_release(&track->mem);
    track->identity = node_copy(&fixed, &track->mem);
    track->identity.id = track->node;
    past->bytes += track->mem.bytes;
}

/* The version is as good as its parts; a lane that cannot be spoils it. */
static bool version_good(const struct version *version, const struct history_row *row)
{
    struct node node = version->node;
    node.id = row->node;
    for (size_t i = 0; i < version->n_lanes; i++) {
        const struct version_lane *lane = &version->lanes[i];
        if (!lane_good(lane->lane, lane->head, lane->tail, lane->pool, lane->n_pool))
            return false;
    }
    return node_good(&node);
}

bool past_add_version(struct past *past, const struct history_row *row)
{
    bool good = row->node > 0 && row->seq > 0 && count_good(row->seq) && row->at_ms > 0 &&
                time_good(row->at_ms);
    struct track *track = good ? track_get(past, row->node) : NULL;
    if (track == NULL)
        return false;
    if (row->seq <= track->seq)
        return true;
    bool follows = row->seq == track->seq + 1 && !track->broken;
    track->seq = row->seq;
    track->broken = !row->whole && !follows;
    if (track->broken)
        return true;
    struct arena mem = {0};
    struct version version = row->whole ? (struct version){0} : track->version;
    if (!version_apply(&version, row->body, &mem) || !version_good(&version, row)) {
        arena_release(&mem);
        track->broken = true;
        return false;
    }
    version.node.id = row->node;
    state_add(past, track, &version.node, row->at_ms);
    for (size_t i = 0; i < version.n_lanes; i++) {
        const struct version_lane *lane = &version.lanes[i];
        lane_state_add(past, lane_get(past, lane->lane), row->at_ms, id_seq(lane->head),
                       id_seq(lane->tail), lane->pool, lane->n_pool);
    }
    /* Keeps its lists: in an arena of their own, as those of earlier versions are done with. */
    struct arena kept = {0};
    track->version = version;
    track->version.node = node_copy(&version.node, &kept);
    track->version.lanes = NULL;
    track->version.n_lanes = 0;
    identity_take(past, track, &track->version.node);
    past->bytes -= track->version_mem.bytes;
    arena_release(&track->version_mem);
    arena_release(&mem);
    track->version_mem = kept;
    past->bytes += kept.bytes;
    forget(past);
    return true;
}

void past_versions_again(struct past *past)
{
    for (size_t i = 0; i < past->n_tracks; i++) {
        struct track *track = past->tracks[i];
        past->bytes -= track->version_mem.bytes;
        arena_release(&track->version_mem);
        track->version = (struct version){0};
        track->seq = 0;
        track->broken = false;
    }
}

/* Where among the queues by name it is, or belongs. */
static size_t queue_at(const struct past *past, const char *name, bool *ret_there)
{
    size_t low = 0, high = past->n_queues_last;
    *ret_there = false;
    while (low < high && !*ret_there) {
        size_t middle = low + (high - low) / 2;
        int names = strcmp(past->queues[past->queues_last[middle]].queue.name, name);
        if (names == 0) {
            *ret_there = true;
            low = middle;
        } else if (names < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Makes room: of the changes after which there was another the oldest go, many at once, so that
 * this is rare. False: there are none. */
static bool queues_forget(struct past *past)
{
    enum { AT_ONCE = PAST_QUEUES_MAX / 8 };
    size_t *to = malloc(past->n_queues * sizeof(*to)), kept = 0, gone = 0;
    if (to == NULL)
        abort();
    for (size_t i = 0; i < past->n_queues; i++)
        to[i] = SIZE_MAX;
    for (size_t i = 0; i < past->n_queues_last; i++)
        to[past->queues_last[i]] = 0;
    for (size_t i = 0; i < past->n_queues; i++) {
        if (to[i] == SIZE_MAX && gone < AT_ONCE) {
            gone++;
            continue;
        }
        to[i] = kept;
        past->queues[kept++] = past->queues[i];
    }
    for (size_t i = 0; i < past->n_queues_last; i++)
        past->queues_last[i] = to[past->queues_last[i]];
    past->n_queues = kept;
    free(to);
    return gone > 0;
}

static void queue_told(struct past *past, const struct queue *last, const struct queue *queue,
                       int64_t at_ms)
{
    char text[256];
    struct moment_event event = {.at_ms = at_ms, .kind = EVENT_QUEUE, .text = text};
    if (last == NULL || last->paused == queue->paused)
        return;
    snprintf(text, sizeof(text), "queue %s %s by %s", queue->name,
             queue->paused ? "paused" : "resumed", queue->changed_by);
    past_event_add(past, &event);
}

static bool queue_take(struct past *past, const struct queue *queue, int64_t at_ms)
{
    bool there;
    size_t at = queue_at(past, queue->name, &there);
    const struct queue *last = there ? &past->queues[past->queues_last[at]].queue : NULL;
    if (!time_good(queue->changed_ms))
        return false;
    if (there && last->paused == queue->paused && last->weight == queue->weight &&
        last->changed_ms == queue->changed_ms)
        return true;
    int64_t changed_ms = queue->changed_ms > 0 ? queue->changed_ms : at_ms;
    queue_told(past, last, queue, changed_ms);
    if (past->n_queues == PAST_QUEUES_MAX && !queues_forget(past)) {
        if (there) /* what it is now matters more than what it was */
            past->queues[past->queues_last[at]].queue = *queue;
        return there;
    }
    past->queues =
        array_grown(past->queues, past->n_queues, &past->queues_max, sizeof(*past->queues));
    /* Before it was first seen it was the same, as far as anybody knows. */
    past->queues[past->n_queues] = (struct queue_state){there ? changed_ms : 0, *queue};
    if (!there) {
        past->queues_last = array_grown(past->queues_last, past->n_queues_last,
                                        &past->queues_last_max, sizeof(*past->queues_last));
        memmove(past->queues_last + at + 1, past->queues_last + at,
                (past->n_queues_last - at) * sizeof(*past->queues_last));
        past->n_queues_last++;
    }
    past->queues_last[at] = past->n_queues++;
    return true;
}

static bool node_take(struct past *past, const struct node *node, int64_t at_ms)
{
    struct track *track = node_good(node) ? track_get(past, node->id) : NULL;
    if (track == NULL)
        return false;
    identity_take(past, track, node);
    int64_t told_ms = node->beat_ms;
    if (node->state != NODE_DEAD && at_ms > track->seen_ms)
        track->seen_ms = at_ms;
    if (node->state == NODE_DEAD) {
        told_ms = node->since_ms > 0 ? node->since_ms : at_ms;
        if (track->died_ms != told_ms)
            events_untell(past, track, told_ms); /* of what it died is known now */
        track->died_ms = told_ms;
        snprintf(track->cause, sizeof(track->cause), "%s", node->cause);
    }
    state_add(past, track, node, told_ms > 0 ? told_ms : at_ms);
    return true;
}

static bool beat_take(struct past *past, const struct past_beat *beat)
{
    const struct track *track = track_find(past, beat->node);
    const struct state *state = track != NULL ? state_at(track, beat->beat_ms) : NULL;
    if (!time_good(beat->beat_ms) || !(beat->load >= 0 && beat->load < 1e15))
        return false;
    if (state == NULL)
        return true; /* what it was then is forgotten */
    struct node node = {
        .id = beat->node,
        .state = state->state,
        .desired = state->desired,
        .since_ms = state->since_ms,
        .beat_ms = beat->beat_ms,
        .done = state->done,
        .failed = state->failed,
        .interrupted = state->interrupted,
        .rate = state->rate,
        .load = beat->load,
        .ranges = (struct node_range *)state->ranges->data,
        .n_ranges = state->ranges->n,
        .running = (struct node_running *)state->running->data,
        .n_running = state->running->n,
    };
    state_add(past, track_find(past, beat->node), &node, beat->beat_ms);
    return true;
}

/* Of a lane, types only become more. */
static void types_take(struct lane_track *track, const struct lane *lane)
{
    if (lane->n_types <= track->n_types || lane->n_types > LIMIT_TYPES)
        return;
    /* The earlier list stays: a moment may show it. */
    track->types = arena_alloc(&track->types_mem, lane->n_types * sizeof(*track->types));
    for (size_t i = 0; i < lane->n_types; i++)
        track->types[i] = arena_string(&track->types_mem, lane->types[i]);
    track->n_types = lane->n_types;
}

static bool lane_take(struct past *past, const struct lane *lane, int64_t at_ms)
{
    if (!lane_good(lane->number, lane->head, lane->tail, lane->pool, lane->n_pool))
        return false;
    struct lane_track *track = lane_get(past, lane->number);
    track->name = lane->name;
    track->named = true;
    types_take(track, lane);
    lane_state_add(past, track, at_ms, id_seq(lane->head), id_seq(lane->tail), lane->pool,
                   lane->n_pool);
    return true;
}

/* Some time after its death a node's record goes. Who comes later knows it by its versions only. */
static void gone_take(struct past *past, struct track *track, const struct past_reading *reading)
{
    const struct state *last = track->n > 0 ? &track->states[track->n - 1] : NULL;
    if (track->died_ms != 0 || last == NULL || last->at_ms > reading->at_ms - GONE_MS)
        return;
    for (size_t i = 0; i < reading->n_nodes; i++)
        if (reading->nodes[i].id == track->node)
            return;
    struct node node = {
        .state = NODE_DEAD,
        .since_ms = last->at_ms + 1,
        .beat_ms = last->beat_ms,
        .done = last->done,
        .failed = last->failed,
        .interrupted = last->interrupted,
    };
    track->died_ms = node.since_ms;
    snprintf(track->cause, sizeof(track->cause), "%s", "long ago: its record is gone");
    state_add(past, track, &node, node.since_ms);
}

static bool totals_take(struct past *past, const struct stint_row *row)
{
    if (!totals_good(row))
        return false;
    struct lane_track *track = lane_get(past, id_lane(row->range.a));
    track->done = row->done;
    track->failed = row->failed;
    track->cancelled = row->cancelled;
    return true;
}

bool past_add_reading(struct past *past, const struct past_reading *reading)
{
    bool good = reading->at_ms > 0 && time_good(reading->at_ms);
    if (!good)
        return false;
    past_add_trouble(past, reading->at_ms, NULL);
    for (size_t i = 0; i < reading->n_nodes; i++)
        good = node_take(past, &reading->nodes[i], reading->at_ms) && good;
    for (size_t i = 0; reading->all && i < past->n_tracks; i++)
        gone_take(past, past->tracks[i], reading);
    for (size_t i = 0; i < reading->n_beats; i++)
        good = beat_take(past, &reading->beats[i]) && good;
    for (size_t i = 0; i < reading->n_lanes; i++)
        good = lane_take(past, &reading->lanes[i], reading->at_ms) && good;
    for (size_t i = 0; i < reading->n_totals; i++)
        good = totals_take(past, &reading->totals[i]) && good;
    for (size_t i = 0; i < reading->n_queues; i++)
        good = queue_take(past, &reading->queues[i], reading->at_ms) && good;
    time_note(past, reading->at_ms);
    forget(past);
    return good;
}

bool past_add_trouble(struct past *past, int64_t at_ms, const char *why)
{
    bool was = past->trouble_ms != 0, is = why != NULL;
    if (at_ms <= 0 || !time_good(at_ms))
        return false;
    if (is)
        snprintf(past->trouble, sizeof(past->trouble), "%s", why);
    if (was == is)
        return true;
    char text[256];
    struct moment_event event = {
        .at_ms = at_ms, .kind = is ? EVENT_STORE_LOST : EVENT_STORE_BACK, .text = text};
    snprintf(text, sizeof(text),
             is ? "the datastore cannot be read: %s" : "the datastore is back%s", is ? why : "");
    past_event_add(past, &event);
    past->trouble_ms = is ? at_ms : 0;
    return true;
}

bool past_add_time(struct past *past, int64_t at_ms)
{
    if (at_ms <= 0 || !time_good(at_ms))
        return false;
    time_note(past, at_ms);
    return true;
}

/* ---- what is there -------------------------------------------------------------------------- */

int64_t past_first_ms(const struct past *past)
{
    return past->first_ms;
}

int64_t past_last_ms(const struct past *past)
{
    return past->last_ms;
}

size_t past_bytes(const struct past *past)
{
    return past->bytes;
}

bool past_too_much(const struct past *past)
{
    return past->bytes / 2 > past->bytes_max;
}
