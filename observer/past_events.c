/* What happened: events made of two states of a node that follow each other, kept by time.
 *
 * States come in any order: what happened between two of them may turn out to have happened before
 * a third. So events are made when somebody asks for them, from the first state on that is new.
 * Pure but for the past they go into; one thread. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observer/array.h"
#include "observer/past_internal.h"

enum {
    CAME_MS = 3000,
    UNTOLD_MAX = 16384,
    TOGETHER_MS = 10000, /* where many fail, one event tells of so long */
};

size_t events_until(const struct events *events, int64_t at_ms)
{
    return ARRAY_UNTIL(events->items, events->n, at_ms, at_ms);
}

static bool is_quiet(const struct moment_event *event)
{
    return event->kind == EVENT_CLAIMED || event->kind == EVENT_RETURNED ||
           event->kind == EVENT_FINISHED || event->kind == EVENT_NODE_BUSY;
}

static const char *copy_of(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        abort();
    return copy;
}

static void event_put(struct past *past, struct events *events, size_t at,
                      const struct moment_event *event)
{
    events->items = array_grown(events->items, events->n, &events->max, sizeof(*event));
    memmove(events->items + at + 1, events->items + at, (events->n - at) * sizeof(*events->items));
    events->items[at] = *event;
    events->items[at].text = copy_of(event->text);
    events->n++;
    past->bytes += sizeof(*event) + strlen(event->text) + 1;
}

void past_event_add(struct past *past, const struct moment_event *event)
{
    struct events *events = is_quiet(event) ? &past->quiet : &past->loud;
    event_put(past, events, events_until(events, event->at_ms), event);
}

/* Of a node: behind all others, to be sorted when all are there. */
static void event_append(struct past *past, const struct moment_event *event)
{
    struct events *events = is_quiet(event) ? &past->quiet : &past->loud;
    if (event->at_ms >= past->floor_ms)
        event_put(past, events, events->n, event);
}

static void events_forget(struct past *past, struct events *events, int64_t before_ms)
{
    size_t n = 0;
    for (; n < events->n && events->items[n].at_ms < before_ms; n++) {
        past->bytes -= sizeof(*events->items) + strlen(events->items[n].text) + 1;
        free((char *)events->items[n].text);
    }
    if (n > 0)
        memmove(events->items, events->items + n, (events->n - n) * sizeof(*events->items));
    events->n -= n;
}

void past_events_forget(struct past *past, int64_t before_ms)
{
    events_forget(past, &past->loud, before_ms);
    events_forget(past, &past->quiet, before_ms);
}

int64_t past_event_after(struct past *past, int64_t at_ms)
{
    events_tell(past);
    size_t at = events_until(&past->loud, at_ms);
    return at < past->loud.n ? past->loud.items[at].at_ms : 0;
}

int64_t past_event_before(struct past *past, int64_t at_ms)
{
    events_tell(past);
    size_t at = events_until(&past->loud, at_ms - 1);
    return at > 0 ? past->loud.items[at - 1].at_ms : 0;
}

/* ---- of a node ------------------------------------------------------------------------------ */

static const struct node_range *ranges_of(const struct state *state, size_t *ret_n)
{
    *ret_n = state->ranges->n;
    return (const struct node_range *)state->ranges->data;
}

/* Does some range of that state hold this id? */
static const struct node_range *holder(const struct state *state, int64_t id)
{
    size_t n;
    const struct node_range *ranges = ranges_of(state, &n);
    for (size_t i = 0; i < n; i++)
        if (id >= ranges[i].range.a && id < ranges[i].range.b)
            return &ranges[i];
    return NULL;
}

/* "n1 claims 40 jobs: mail:1-40" */
static void range_event(struct past *past, const struct track *track, int64_t at_ms,
                        enum event_kind kind, const struct range *range, const char *what)
{
    char text[256], first[ID_TEXT_BYTES];
    struct moment_event event = {
        .at_ms = at_ms, .kind = kind, .node = track->node, .range = *range, .text = text};
    int64_t n = range->b - range->a;
    snprintf(first, sizeof(first), "%" PRId64, id_seq(range->a));
    const struct lane_track *lane = lane_find(past, id_lane(range->a));
    if (lane != NULL && lane->named)
        id_format(first, &lane->name, id_seq(range->a));
    snprintf(text, sizeof(text), "%s %s %" PRId64 " job%s: %s", track->identity.name, what, n,
             n == 1 ? "" : "s", first);
    size_t len = strlen(text);
    if (n > 1)
        snprintf(text + len, sizeof(text) - len, "-%" PRId64, id_seq(range->b - 1));
    event_append(past, &event);
}

static void ranges_compare(struct past *past, const struct track *track, const struct state *before,
                           const struct state *after)
{
    size_t n_old, n_new;
    const struct node_range *old = ranges_of(before, &n_old), *now = ranges_of(after, &n_new);
    for (size_t i = 0; i < n_new; i++)
        if (holder(before, now[i].range.a) == NULL)
            range_event(past, track, after->at_ms,
                        now[i].range.suspect ? EVENT_RECLAIMED : EVENT_CLAIMED, &now[i].range,
                        now[i].range.suspect ? "takes over" : "claims");
    for (size_t i = 0; i < n_old; i++) {
        if (holder(after, old[i].range.a) != NULL)
            continue;
        /* Who stopped in order has given back what it had not done. */
        bool dead = after->state == NODE_DEAD && strcmp(track->cause, "stopped") != 0,
             back = old[i].returning != 0;
        range_event(past, track, after->at_ms,
                    dead   ? EVENT_RESCUED
                    : back ? EVENT_RETURNED
                           : EVENT_FINISHED,
                    &old[i].range,
                    dead   ? "leaves behind"
                    : back ? "gives back"
                           : "is done with");
    }
}

static void state_event(struct past *past, const struct track *track, const struct state *before,
                        const struct state *after)
{
    char text[256];
    bool dead = after->state == NODE_DEAD, stopped = dead && strcmp(track->cause, "stopped") == 0;
    bool busy = (after->state == NODE_WAITING || after->state == NODE_WORKING) &&
                (before->state == NODE_WAITING || before->state == NODE_WORKING);
    struct moment_event event = {.at_ms = after->at_ms,
                                 .kind = stopped ? EVENT_NODE_STATE
                                         : dead  ? EVENT_NODE_DIED
                                         : busy  ? EVENT_NODE_BUSY
                                                 : EVENT_NODE_STATE,
                                 .node = track->node,
                                 .text = text};
    if (stopped)
        snprintf(text, sizeof(text), "%s has stopped", track->identity.name);
    else if (dead)
        snprintf(text, sizeof(text), "%s is dead: %.80s", track->identity.name,
                 track->cause[0] != '\0' ? track->cause : "no cause given");
    else
        snprintf(text, sizeof(text), "%s is %s", track->identity.name,
                 node_state_name(after->state));
    event_append(past, &event);
}

static void failed_text(char text[256], const struct track *track, int64_t count)
{
    snprintf(text, 256, "%" PRId64 " job%s failed on %s", count, count == 1 ? "" : "s",
             track->identity.name);
}

/* One for those that failed within TOGETHER_MS, at the time of the first. */
static void failed_event(struct past *past, const struct track *track, int64_t at_ms, int64_t count)
{
    enum { LOOK_AT = 256 };
    char text[256];
    size_t at = events_until(&past->loud, at_ms);
    for (size_t i = at; i-- > 0 && at - i < LOOK_AT;) {
        struct moment_event *last = &past->loud.items[i];
        if (last->at_ms <= at_ms - TOGETHER_MS)
            break;
        if (last->kind != EVENT_FAILED || last->node != track->node)
            continue;
        last->count += count;
        failed_text(text, track, last->count);
        past->bytes -= strlen(last->text);
        past->bytes += strlen(text);
        free((char *)last->text);
        last->text = copy_of(text);
        return;
    }
    failed_text(text, track, count);
    past_event_add(past, &(struct moment_event){.at_ms = at_ms,
                                                .kind = EVENT_FAILED,
                                                .node = track->node,
                                                .count = count,
                                                .text = text});
}

/* `before` may be NULL: it came. */
static void events_of(struct past *past, const struct track *track, const struct state *before,
                      const struct state *after)
{
    char text[256];
    struct moment_event event = {.at_ms = after->at_ms, .node = track->node, .text = text};
    if (before == NULL) {
        int64_t created_ms = track->identity.created_ms;
        /* What was there before our time began did not come just now. */
        if (after->state == NODE_DEAD)
            state_event(past, track, after, after); /* it came and went unseen */
        if (created_ms == 0 || after->at_ms - created_ms > CAME_MS || after->state == NODE_DEAD)
            return;
        event.kind = EVENT_NODE_CAME;
        snprintf(text, sizeof(text), "%s came, on %s", track->identity.name, track->identity.host);
        event_append(past, &event);
        return;
    }
    if (before->state != after->state)
        state_event(past, track, before, after);
    if (before->ranges != after->ranges)
        ranges_compare(past, track, before, after);
    if (after->failed > before->failed)
        failed_event(past, track, after->at_ms, after->failed - before->failed);
}

/* ---- making them again ---------------------------------------------------------------------- */

void events_untell(struct past *past, struct track *track, int64_t from_ms)
{
    if (track->untold_ms == 0 || from_ms < track->untold_ms)
        track->untold_ms = from_ms;
    track->amid =
        track->amid || (track->n > 0 && track->states[track->n - 1].at_ms > track->untold_ms);
    if (++past->n_untold > UNTOLD_MAX)
        events_tell(past);
}

/* Takes out what is to be made again; at or after from_ms. */
static void events_drop(struct past *past, struct events *events, int64_t from_ms)
{
    size_t kept = events_until(events, from_ms - 1);
    for (size_t i = kept; i < events->n; i++) {
        struct moment_event event = events->items[i];
        const struct track *track = event.node != 0 ? track_find(past, event.node) : NULL;
        if (track != NULL && track->untold_ms != 0 && event.at_ms >= track->untold_ms) {
            past->bytes -= sizeof(event) + strlen(event.text) + 1;
            free((char *)event.text);
        } else {
            events->items[kept++] = event;
        }
    }
    events->n = kept;
}

static int event_compare(const void *a, const void *b)
{
    const struct moment_event *x = a, *y = b;
    if (x->at_ms != y->at_ms)
        return x->at_ms < y->at_ms ? -1 : 1;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return x->range.a < y->range.a ? -1 : x->range.a > y->range.a;
}

static void events_sort(struct events *events, int64_t from_ms)
{
    /* Those from before are in order, and none of the new ones is older than from_ms. */
    size_t first = events_until(events, from_ms - 1);
    if (first < events->n)
        qsort(events->items + first, events->n - first, sizeof(*events->items), event_compare);
}

static void track_tell(struct past *past, struct track *track)
{
    size_t i = 0;
    while (i < track->n && track->states[i].at_ms < track->untold_ms)
        i++;
    for (; i < track->n; i++)
        events_of(past, track, i > 0 ? &track->states[i - 1] : NULL, &track->states[i]);
    track->untold_ms = 0;
    track->amid = false;
}

/* An event that tells of many failures stands before some of them. When a state comes to lie among
 * those, it is made again as a whole, or what is after that state would be counted twice. */
static void failures_untell(struct past *past)
{
    int64_t from_ms = INT64_MAX;
    for (size_t i = 0; i < past->n_tracks; i++) {
        const struct track *track = past->tracks[i];
        if (track->amid && track->untold_ms != 0 && track->untold_ms < from_ms)
            from_ms = track->untold_ms;
    }
    if (from_ms == INT64_MAX)
        return;
    for (size_t i = events_until(&past->loud, from_ms - TOGETHER_MS); i < past->loud.n; i++) {
        const struct moment_event *event = &past->loud.items[i];
        struct track *track = event->kind == EVENT_FAILED ? track_find(past, event->node) : NULL;
        if (track != NULL && track->amid && event->at_ms < track->untold_ms &&
            event->at_ms > track->untold_ms - TOGETHER_MS)
            track->untold_ms = event->at_ms;
    }
}

void events_tell(struct past *past)
{
    int64_t from_ms = INT64_MAX;
    if (past->n_untold == 0)
        return;
    past->n_untold = 0;
    failures_untell(past);
    for (size_t i = 0; i < past->n_tracks; i++)
        if (past->tracks[i]->untold_ms != 0 && past->tracks[i]->untold_ms < from_ms)
            from_ms = past->tracks[i]->untold_ms;
    events_drop(past, &past->loud, from_ms);
    events_drop(past, &past->quiet, from_ms);
    for (size_t i = 0; i < past->n_tracks; i++)
        if (past->tracks[i]->untold_ms != 0)
            track_tell(past, past->tracks[i]);
    events_sort(&past->loud, from_ms);
    events_sort(&past->quiet, from_ms);
}

/* ---- as they were ---------------------------------------------------------------------------- */

/* How many of the failures that this event tells of there had been by then. */
static int64_t failed_until(const struct track *track, const struct moment_event *event,
                            int64_t at_ms)
{
    const struct state *before = state_at(track, event->at_ms - 1), *then = state_at(track, at_ms);
    int64_t count = (then != NULL ? then->failed : 0) - (before != NULL ? before->failed : 0);
    return count < 1 ? 1 : count < event->count ? count : event->count;
}

const struct moment_event *events_then(struct past *past, int64_t at_ms, size_t *ret_n,
                                       struct arena *mem)
{
    size_t n = events_until(&past->loud, at_ms);
    struct moment_event *copy = NULL;
    *ret_n = n;
    for (size_t i = events_until(&past->loud, at_ms - TOGETHER_MS); i < n; i++) {
        const struct moment_event *event = &past->loud.items[i];
        const struct track *track =
            event->kind == EVENT_FAILED ? track_find(past, event->node) : NULL;
        if (track == NULL || track->n == 0 || track->states[track->n - 1].at_ms <= at_ms)
            continue;
        int64_t count = failed_until(track, event, at_ms);
        if (count == event->count)
            continue;
        if (copy == NULL) {
            copy = arena_alloc(mem, n * sizeof(*copy));
            memcpy(copy, past->loud.items, n * sizeof(*copy));
        }
        char text[256];
        failed_text(text, track, count);
        copy[i].count = count;
        copy[i].text = arena_string(mem, text);
    }
    return copy != NULL ? copy : past->loud.items;
}
