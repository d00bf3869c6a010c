/* What happened, the newest last. The list follows the newest until somebody moves away from it.
 * What happens all the time (ranges claimed and done with) would drown the rest: it is shown when
 * asked for. Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observer/list.h"
#include "observer/text.h"

enum { LOUD_MAX = 4000, TRAFFIC_MAX = 2000 }; /* events shown: the newest */

struct events_state {
    struct list_state list;
    bool away; /* not at the newest */
    bool all;  /* the quiet ones, too */
};

/* The events shown, oldest first. */
struct shown {
    const struct moment *moment;
    const struct moment_event **events;
    size_t n;
};

static const struct list_column columns[] = {
    {"TIME", 8, 0, 0, false, false},
    {"AGO", 7, 0, 2, true, false},
    {"", 1, 0, 0, false, false},
    {"WHAT", 30, 1, 0, false, false},
};

static const struct {
    enum role role;
    char letter;
} kinds[EVENT_KINDS] = {
    [EVENT_NODE_CAME] = {ROLE_GOOD, '+'},  [EVENT_NODE_STATE] = {ROLE_WARN, '='},
    [EVENT_NODE_BUSY] = {ROLE_DIM, '~'},   [EVENT_NODE_DIED] = {ROLE_BAD, 'X'},
    [EVENT_CLAIMED] = {ROLE_DIM, '>'},     [EVENT_RETURNED] = {ROLE_TEXT, '<'},
    [EVENT_RESCUED] = {ROLE_SUSPECT, '!'}, [EVENT_RECLAIMED] = {ROLE_SUSPECT, '>'},
    [EVENT_FINISHED] = {ROLE_DIM, '.'},    [EVENT_FAILED] = {ROLE_FAILED, 'x'},
    [EVENT_QUEUE] = {ROLE_WARN, 'q'},      [EVENT_STORE_LOST] = {ROLE_BAD, 'S'},
    [EVENT_STORE_BACK] = {ROLE_GOOD, 'S'},
};

static void shown_make(const struct moment *moment, const struct events_state *state,
                       struct shown *shown)
{
    size_t loud = moment->n_events > LOUD_MAX ? moment->n_events - LOUD_MAX : 0;
    size_t quiet = moment->n_traffic;
    if (state->all)
        quiet = moment->n_traffic > TRAFFIC_MAX ? moment->n_traffic - TRAFFIC_MAX : 0;
    size_t n = moment->n_events - loud + moment->n_traffic - quiet;
    *shown = (struct shown){.moment = moment, .events = malloc((n + 1) * sizeof(*shown->events))};
    if (shown->events == NULL)
        abort();
    while (shown->n < n) {
        bool is_loud =
            quiet == moment->n_traffic ||
            (loud < moment->n_events && moment->events[loud].at_ms <= moment->traffic[quiet].at_ms);
        shown->events[shown->n++] = is_loud ? &moment->events[loud] : &moment->traffic[quiet];
        *(is_loud ? &loud : &quiet) += 1;
    }
}

static const struct moment_event *event_at(void *ctx, size_t row)
{
    return ((const struct shown *)ctx)->events[row];
}

/* Events move in their list as others are added before them: they are told apart by what they say
 * (FNV-1a). */
static int64_t row_key(void *ctx, size_t row)
{
    const struct moment_event *event = event_at(ctx, row);
    uint64_t hash = (0xcbf29ce484222325U ^ (uint64_t)event->at_ms) * 0x100000001b3U;
    for (const char *c = event->text; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3U;
    return (int64_t)(hash | 1);
}

static void row_text(void *ctx, size_t row, char *text, size_t size)
{
    snprintf(text, size, "%s", event_at(ctx, row)->text);
}

static void cell_draw(void *ctx, size_t row, size_t column, struct area cell)
{
    const struct moment *moment = ((const struct shown *)ctx)->moment;
    const struct moment_event *event = event_at(ctx, row);
    char text[TEXT_BYTES];
    struct pen_style style = {kinds[event->kind].role, ROLE_TEXT, 0};
    struct pen_style dim = {ROLE_DIM, ROLE_TEXT, 0};
    if (column == 0)
        area_text(cell, 0, 0, dim, text_brief(text, event->at_ms, moment->at_ms));
    else if (column == 1)
        area_print(cell, 0, 0, dim, "%7s", text_span(text, moment->at_ms - event->at_ms));
    else if (column == 2)
        area_put(cell, 0, 0, (uint32_t)kinds[event->kind].letter, style);
    else
        area_text(cell, 0, 0, style, event->text);
}

static struct list list_of(struct shown *shown)
{
    return (struct list){
        .columns = columns,
        .n_columns = sizeof(columns) / sizeof(columns[0]),
        .n = shown->n,
        .ctx = shown,
        .key = row_key,
        .draw = cell_draw,
        .text = row_text,
    };
}

static void events_draw(const struct moment *moment, struct focus *focus, void *own,
                        struct area area)
{
    struct events_state *state = own;
    struct pen_style dim = {ROLE_DIM, ROLE_TEXT, 0};
    struct shown shown;
    shown_make(moment, state, &shown);
    struct list list = list_of(&shown);
    bool more = moment->n_traffic > TRAFFIC_MAX || moment->n_events > LOUD_MAX;
    area_text(area_rows(area, area.height - 1, 1), 0, 0, dim,
              !state->all ? "what matters; a: also ranges claimed, given back and done with"
              : more      ? "the newest; a: only what matters"
                          : "all; a: only what matters");
    if (shown.n == 0)
        area_text(area, 2, 1, dim, "Nothing has happened yet, as far as is known.");
    else if (!state->away)
        list_move(&list, &state->list, focus, MOVE_LAST);
    if (shown.n > 0)
        list_draw(&list, &state->list, focus, area_rows(area, 0, area.height - 1));
    free(shown.events);
}

/* To where it happened: on the map, or in the cluster. */
static bool enter(const struct moment *moment, struct focus *focus, struct list *list,
                  const struct list_state *state)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct moment_event *event = event_at(list->ctx, i);
        if (row_key(list->ctx, i) != state->chosen)
            continue;
        bool range = event->range.a < event->range.b;
        bool node = moment_node_index(moment, event->node) >= 0;
        focus->show = event->range;
        focus->node = node ? event->node : focus->node;
        focus->go_to = range ? VIEW_MAP + 1 : node ? VIEW_CLUSTER + 1 : 0;
        return range || node;
    }
    return false;
}

static bool events_move(const struct moment *moment, struct focus *focus, void *own, enum move move)
{
    struct events_state *state = own;
    if (move == MOVE_OUT && state->away) {
        state->away = false;
        return true;
    }
    if (move == MOVE_ALL) {
        state->all = !state->all;
        return true;
    }
    struct shown shown;
    shown_make(moment, state, &shown);
    struct list list = list_of(&shown);
    bool moved = move == MOVE_IN ? enter(moment, focus, &list, &state->list)
                                 : list_move(&list, &state->list, focus, move);
    if (move == MOVE_LAST)
        state->away = false;
    else if (moved && move != MOVE_IN)
        state->away = true;
    free(shown.events);
    return moved;
}

static bool events_click(const struct moment *moment, struct focus *focus, void *own, int x, int y)
{
    (void)x;
    struct events_state *state = own;
    struct shown shown;
    shown_make(moment, state, &shown);
    struct list list = list_of(&shown);
    bool there = list_click(&list, &state->list, focus, y);
    state->away = state->away || there;
    free(shown.events);
    return there;
}

const struct view view_events = {
    .kind = VIEW_EVENTS,
    .name = "Events",
    .state_bytes = sizeof(struct events_state),
    .draw = events_draw,
    .move = events_move,
    .click = events_click,
};
