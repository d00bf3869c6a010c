/* What happened, the newest last. The list follows the newest until somebody moves away from it.
 * Pure. */
#include <stdio.h>
#include <string.h>

#include "observer/list.h"
#include "observer/text.h"

struct events_state {
    struct list_state list;
    bool away; /* not at the newest */
};

static const struct list_column columns[] = {
    {"TIME", 8, 0, 0, false},
    {"AGO", 7, 0, 2, true},
    {"", 1, 0, 0, false},
    {"WHAT", 30, 1, 0, false},
};

static const struct {
    enum role role;
    char letter;
} kinds[EVENT_KINDS] = {
    [EVENT_NODE_CAME] = {ROLE_GOOD, '+'},  [EVENT_NODE_STATE] = {ROLE_WARN, '='},
    [EVENT_NODE_BUSY] = {ROLE_DIM, '~'},   [EVENT_NODE_DIED] = {ROLE_BAD, 'X'},
    [EVENT_CLAIMED] = {ROLE_DIM, '>'},     [EVENT_RETURNED] = {ROLE_TEXT, '<'},
    [EVENT_RESCUED] = {ROLE_SUSPECT, '!'}, [EVENT_RECLAIMED] = {ROLE_SUSPECT, '>'},
    [EVENT_FINISHED] = {ROLE_DONE, '.'},   [EVENT_FAILED] = {ROLE_FAILED, 'x'},
    [EVENT_QUEUE] = {ROLE_WARN, 'q'},      [EVENT_STORE] = {ROLE_BAD, 'S'},
};

static const struct moment_event *event_at(void *ctx, size_t row)
{
    return &((const struct moment *)ctx)->events[row];
}

/* Events stay where they are while newer ones are added; the oldest are forgotten rarely. */
static int64_t row_key(void *ctx, size_t row)
{
    (void)ctx;
    return (int64_t)row + 1;
}

static void row_text(void *ctx, size_t row, char *text, size_t size)
{
    snprintf(text, size, "%s", event_at(ctx, row)->text);
}

static void cell_draw(void *ctx, size_t row, size_t column, struct area cell)
{
    const struct moment *moment = ctx;
    const struct moment_event *event = event_at(ctx, row);
    char text[TEXT_BYTES];
    struct pen_style style = {kinds[event->kind].role, ROLE_TEXT, 0};
    struct pen_style dim = {ROLE_DIM, ROLE_TEXT, 0};
    if (column == 0)
        area_text(cell, 0, 0, dim, text_clock(text, event->at_ms));
    else if (column == 1)
        area_print(cell, 0, 0, dim, "%7s", text_span(text, moment->at_ms - event->at_ms));
    else if (column == 2)
        area_put(cell, 0, 0, (uint32_t)kinds[event->kind].letter, style);
    else
        area_text(cell, 0, 0, style, event->text);
}

static struct list list_of(const struct moment *moment)
{
    return (struct list){
        .columns = columns,
        .n_columns = sizeof(columns) / sizeof(columns[0]),
        .n = moment->n_events,
        .ctx = (void *)moment,
        .key = row_key,
        .draw = cell_draw,
        .text = row_text,
    };
}

static void events_draw(const struct moment *moment, struct focus *focus, void *own,
                        struct area area)
{
    struct events_state *state = own;
    struct list list = list_of(moment);
    if (moment->n_events == 0) {
        area_text(area, 2, 1, (struct pen_style){ROLE_DIM, ROLE_TEXT, 0},
                  "Nothing has happened yet, as far as is known.");
        return;
    }
    if (!state->away)
        list_move(&list, &state->list, focus, MOVE_LAST);
    list_draw(&list, &state->list, focus, area);
}

static bool events_move(const struct moment *moment, struct focus *focus, void *own, enum move move)
{
    struct events_state *state = own;
    struct list list = list_of(moment);
    if (move == MOVE_OUT && state->away) {
        state->away = false;
        return true;
    }
    bool moved = list_move(&list, &state->list, focus, move);
    if (moved)
        state->away = move != MOVE_LAST;
    return moved;
}

static bool events_click(const struct moment *moment, struct focus *focus, void *own, int x, int y)
{
    (void)x;
    struct events_state *state = own;
    struct list list = list_of(moment);
    return state->away = list_click(&list, &state->list, focus, y);
}

const struct view view_events = {
    .kind = VIEW_EVENTS,
    .name = "Events",
    .state_bytes = sizeof(struct events_state),
    .draw = events_draw,
    .move = events_move,
    .click = events_click,
};
