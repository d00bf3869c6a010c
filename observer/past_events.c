/* What happened: events made of two states of a node that follow each other, kept by time. Pure but
 * for the past they go into; one thread. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observer/past_internal.h"

static size_t events_until(const struct past *past, int64_t at_ms)
{
    size_t low = 0, high = past->n_events;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (past->events[middle].at_ms <= at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void past_event_add(struct past *past, const struct moment_event *event)
{
    size_t at = events_until(past, event->at_ms);
    if (past->n_events == past->max_events) {
        past->max_events = past->max_events > 0 ? past->max_events * 2 : 64;
        past->events = realloc(past->events, past->max_events * sizeof(*past->events));
        if (past->events == NULL)
            abort();
    }
    memmove(past->events + at + 1, past->events + at,
            (past->n_events - at) * sizeof(*past->events));
    past->events[at] = *event;
    past->n_events++;
    past->bytes += sizeof(*event);
}

int64_t past_event_after(const struct past *past, int64_t at_ms)
{
    size_t at = events_until(past, at_ms);
    return at < past->n_events ? past->events[at].at_ms : 0;
}

int64_t past_event_before(const struct past *past, int64_t at_ms)
{
    size_t at = events_until(past, at_ms - 1);
    return at > 0 ? past->events[at - 1].at_ms : 0;
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

static void range_event(struct past *past, const struct track *track, int64_t at_ms,
                        enum event_kind kind, const struct range *range, const char *what)
{
    struct moment_event event = {
        .at_ms = at_ms, .kind = kind, .node = track->node, .range = *range};
    int64_t n = range->b - range->a;
    snprintf(event.text, sizeof(event.text), "%s %s %" PRId64 " job%s: %" PRId64 "-%" PRId64,
             track->identity.name, what, n, n == 1 ? "" : "s", id_seq(range->a),
             id_seq(range->b - 1));
    past_event_add(past, &event);
}

static void ranges_compare(struct past *past, const struct track *track, const struct state *before,
                           const struct state *after)
{
    size_t n_old, n_new;
    const struct node_range *old = ranges_of(before, &n_old), *now = ranges_of(after, &n_new);
    for (size_t i = 0; i < n_new; i++)
        if (holder(before, now[i].range.a) == NULL)
            range_event(past, track, after->at_ms, EVENT_CLAIMED, &now[i].range,
                        now[i].range.suspect ? "claims again" : "claims");
    for (size_t i = 0; i < n_old; i++) {
        if (holder(after, old[i].range.a) != NULL)
            continue;
        bool dead = after->state == NODE_DEAD, back = old[i].returning != 0;
        range_event(past, track, after->at_ms,
                    dead   ? EVENT_RESCUED
                    : back ? EVENT_RETURNED
                           : EVENT_FINISHED,
                    &old[i].range,
                    dead   ? "is dead; rescued from it are"
                    : back ? "gives back"
                           : "is done with");
    }
}

static void state_event(struct past *past, const struct track *track, const struct state *after)
{
    bool dead = after->state == NODE_DEAD;
    struct moment_event event = {.at_ms = after->at_ms,
                                 .kind = dead ? EVENT_NODE_DIED : EVENT_NODE_STATE,
                                 .node = track->node};
    if (dead)
        snprintf(event.text, sizeof(event.text), "%s is dead: %.80s", track->identity.name,
                 track->cause[0] != '\0' ? track->cause : "no cause given");
    else
        snprintf(event.text, sizeof(event.text), "%s is %s", track->identity.name,
                 node_state_name(after->state));
    past_event_add(past, &event);
}

void events_of(struct past *past, const struct track *track, const struct state *before,
               const struct state *after)
{
    if (before == NULL) {
        struct moment_event event = {
            .at_ms = after->at_ms, .kind = EVENT_NODE_CAME, .node = track->node};
        int64_t created_ms = track->identity.created_ms;
        /* What was there before our time began did not come just now. */
        if (created_ms == 0 || after->at_ms - created_ms > 3000 || after->state == NODE_DEAD)
            return;
        snprintf(event.text, sizeof(event.text), "%s came, on %s", track->identity.name,
                 track->identity.host);
        past_event_add(past, &event);
        return;
    }
    if (before->state != after->state)
        state_event(past, track, after);
    if (before->ranges != after->ranges)
        ranges_compare(past, track, before, after);
    int64_t failed = after->failed - before->failed;
    if (failed <= 0)
        return;
    struct moment_event event = {.at_ms = after->at_ms, .kind = EVENT_FAILED, .node = track->node};
    snprintf(event.text, sizeof(event.text), "%" PRId64 " job%s failed on %s", failed,
             failed == 1 ? "" : "s", track->identity.name);
    past_event_add(past, &event);
}
