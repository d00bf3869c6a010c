/* The queues: what waits, runs and ended in each, and how fast. Schedules will stand below.
 * Pure. */
#include <stdio.h>
#include <string.h>

#include "observer/list.h"
#include "observer/text.h"

struct queues_state {
    struct list_state list;
};

enum column { QUEUE, STATE, WAITING, HELD, RUNNING, DONE, FAILED, CANCELLED, IN, OUT, SHARE };

static const struct list_column columns[] = {
    [QUEUE] = {"QUEUE", 14, 2, 0, false, false},
    [STATE] = {"STATE", 8, 0, 0, false, false},
    [WAITING] = {"WAITING", 9, 0, 0, true, false},
    [HELD] = {"HELD", 7, 0, 4, true, false},
    [RUNNING] = {"RUNNING", 7, 0, 0, true, false},
    [DONE] = {"DONE", 9, 0, 0, true, false},
    [FAILED] = {"FAILED", 7, 0, 0, true, false},
    [CANCELLED] = {"CANCEL.", 7, 0, 5, true, false},
    [IN] = {"IN/S", 6, 0, 3, true, false},
    [OUT] = {"OUT/S", 6, 0, 2, true, false},
    [SHARE] = {"DONE OF ALL", 11, 2, 6, false, true},
};

static const struct moment_queue *queue_at(void *ctx, size_t row)
{
    return &((const struct moment *)ctx)->queues[row];
}

/* FNV-1a of the name: rows are told apart by it. */
static int64_t row_key(void *ctx, size_t row)
{
    uint64_t hash = 0xcbf29ce484222325U;
    for (const char *c = queue_at(ctx, row)->queue.name; *c != '\0'; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3U;
    return (int64_t)(hash | 1);
}

static void row_text(void *ctx, size_t row, char *text, size_t size)
{
    snprintf(text, size, "%s", queue_at(ctx, row)->queue.name);
}

static double value_of(const struct moment_queue *queue, enum column column)
{
    double ended = (double)(queue->done + queue->failed + queue->cancelled);
    double all = ended + (double)(queue->waiting + queue->held);
    switch (column) {
    case WAITING:
        return (double)queue->waiting;
    case HELD:
        return (double)queue->held;
    case RUNNING:
        return (double)queue->running;
    case DONE:
        return (double)queue->done;
    case FAILED:
        return (double)queue->failed;
    case CANCELLED:
        return (double)queue->cancelled;
    case IN:
        return queue->rate_in;
    case OUT:
        return queue->rate_out;
    case SHARE:
        return all > 0 ? ended / all : 0;
    default:
        return queue->queue.paused;
    }
}

static int row_compare(void *ctx, size_t a, size_t b, size_t column)
{
    const struct moment_queue *x = queue_at(ctx, a), *y = queue_at(ctx, b);
    if (column == QUEUE)
        return strcmp(x->queue.name, y->queue.name);
    double left = value_of(x, (enum column)column), right = value_of(y, (enum column)column);
    return left > right ? -1 : left < right ? 1 : 0;
}

static void cell_draw(void *ctx, size_t row, size_t column, struct area cell)
{
    const struct moment_queue *queue = queue_at(ctx, row);
    struct pen_style plain = {ROLE_TEXT, ROLE_TEXT, 0};
    char text[TEXT_BYTES];
    if (column == QUEUE) {
        area_text_ends(cell, 0, 0, plain, queue->queue.name);
        return;
    }
    if (column == STATE) {
        bool paused = queue->queue.paused;
        area_text(cell, 0, 0, (struct pen_style){paused ? ROLE_WARN : ROLE_GOOD, ROLE_TEXT, 0},
                  paused ? "paused" : "open");
        return;
    }
    double value = value_of(queue, (enum column)column);
    if (column == SHARE) {
        area_bar(cell, 0, 0, cell.width, value, (struct pen_style){ROLE_DONE, ROLE_TEXT, 0});
        return;
    }
    text_short(text, value);
    bool bad = column == FAILED && value > 0;
    int space = cell.width - text_columns(text);
    area_text(cell, space > 0 ? space : 0, 0,
              bad ? (struct pen_style){ROLE_FAILED, ROLE_TEXT, 0} : plain, text);
}

static struct list list_of(const struct moment *moment)
{
    return (struct list){
        .columns = columns,
        .n_columns = sizeof(columns) / sizeof(columns[0]),
        .n = moment->n_queues,
        .ctx = (void *)moment,
        .key = row_key,
        .draw = cell_draw,
        .compare = row_compare,
        .text = row_text,
    };
}

static void queues_draw(const struct moment *moment, struct focus *focus, void *own,
                        struct area area)
{
    struct queues_state *state = own;
    struct list list = list_of(moment);
    if (moment->n_queues == 0) {
        area_text(area, 2, 1, (struct pen_style){ROLE_DIM, ROLE_TEXT, 0},
                  moment->backlog < 0 ? "Nothing is known of queues at that time."
                                      : "There is no queue yet: the first submit makes one.");
        return;
    }
    size_t chosen = list_draw(&list, &state->list, focus, area);
    if (chosen < moment->n_queues)
        snprintf(focus->queue, sizeof(focus->queue), "%s", moment->queues[chosen].queue.name);
}

static void chosen_note(const struct moment *moment, const struct list_state *state,
                        struct focus *focus)
{
    for (size_t i = 0; i < moment->n_queues; i++)
        if (row_key((void *)moment, i) == state->chosen)
            snprintf(focus->queue, sizeof(focus->queue), "%s", moment->queues[i].queue.name);
}

/* To its first lane on the map. */
static bool enter(const struct moment *moment, struct focus *focus)
{
    for (size_t i = 0; i < moment->n_lanes; i++) {
        const struct moment_lane *lane = &moment->lanes[i];
        if (strcmp(lane->name.queue, focus->queue) != 0)
            continue;
        focus->show = (struct range){.a = id_make(lane->number, 1),
                                     .b = id_make(lane->number, lane->tail > 1 ? lane->tail : 2)};
        focus->go_to = VIEW_MAP + 1;
        return true;
    }
    return false;
}

static bool queues_move(const struct moment *moment, struct focus *focus, void *own, enum move move)
{
    struct queues_state *state = own;
    struct list list = list_of(moment);
    bool moved =
        move == MOVE_IN ? enter(moment, focus) : list_move(&list, &state->list, focus, move);
    chosen_note(moment, &state->list, focus);
    return moved;
}

static bool queues_click(const struct moment *moment, struct focus *focus, void *own, int x, int y)
{
    (void)x;
    struct queues_state *state = own;
    struct list list = list_of(moment);
    bool there = list_click(&list, &state->list, focus, y);
    chosen_note(moment, &state->list, focus);
    return there;
}

const struct view view_queues = {
    .kind = VIEW_QUEUES,
    .name = "Queues",
    .state_bytes = sizeof(struct queues_state),
    .draw = queues_draw,
    .move = queues_move,
    .click = queues_click,
};
