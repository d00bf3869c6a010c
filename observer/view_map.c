/* The map: the axis of ids of each lane, from the first to the last or any part of it, down to
 * single jobs.
 *
 * A cell stands for a stretch of ids. Whose they are is told by colour and letter, what became of
 * them by shape:
 *   A  running on A     a  granted to A     A underlined: on its way back    !  rescued
 *   solid  done   x  failed   -  cancelled   o  pooled   .  queued   ?  nothing is known yet
 * The chosen lane is as high as there is room, its rows one behind the other; others take one row.
 * Pure. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "observer/axis.h"
#include "observer/text.h"
#include "observer/view.h"

enum { ROWS_MAX = 12, LANE_MARGIN = 1 };

struct map_state {
    size_t lane;      /* index of the chosen one */
    int64_t from, to; /* what of it is shown; to 0: all */
    int64_t cursor;   /* an id; 0: none yet */
    /* As last drawn, for clicks and steps of the cursor. */
    int rows, width, top;
    double per_cell;
};

static const struct pen_style plain = {ROLE_TEXT, ROLE_TEXT, 0};
static const struct pen_style dim = {ROLE_DIM, ROLE_TEXT, 0};

/* ---- what is shown of the chosen lane ------------------------------------------------------- */

static const struct moment_lane *chosen(const struct moment *moment, struct map_state *state)
{
    if (state->lane >= moment->n_lanes)
        state->lane = moment->n_lanes > 0 ? moment->n_lanes - 1 : 0;
    return moment->n_lanes > 0 ? &moment->lanes[state->lane] : NULL;
}

struct span {
    int64_t a, b; /* b > a */
};

/* All of a lane has room for a few more: so the end does not jump with every submit. */
static struct span shown_of(const struct moment_lane *lane, const struct map_state *state)
{
    struct span span = {1, lane->tail > 1 ? lane->tail : 2};
    if (state->to > state->from) {
        span.a = state->from;
        span.b = state->to;
    }
    return span;
}

static void show(struct map_state *state, const struct moment_lane *lane, int64_t from, int64_t to)
{
    int64_t end = lane->tail > 1 ? lane->tail : 2, size = to - from;
    if (size >= end - 1) {
        state->from = state->to = 0;
        return;
    }
    if (from < 1)
        from = 1;
    if (from + size > end)
        from = end - size;
    state->from = from;
    state->to = from + size;
}

/* ---- cells ---------------------------------------------------------------------------------- */

static enum role node_role(const struct moment *moment, int32_t node)
{
    return (enum role)(ROLE_NODE + moment->nodes[node].colour % NODE_COLOURS);
}

static void held_draw(const struct moment *moment, struct area area, int x, int y,
                      enum id_kind kind, int32_t node)
{
    char letter = moment->nodes[node].letter;
    enum role role = node_role(moment, node);
    struct pen_style style = {role, ROLE_TEXT, 0};
    if (kind == ID_RUNNING)
        style.style = STYLE_BOLD | STYLE_REVERSE;
    else if (kind == ID_RETURNING)
        style.style = STYLE_UNDERLINE;
    else
        letter = (char)tolower((unsigned char)letter);
    area_put(area, x, y, (uint32_t)letter, style);
}

static void cell_draw(const struct moment *moment, struct area area, int x, int y,
                      const struct axis_part *part)
{
    static const struct {
        uint32_t code, ascii;
        enum role role;
    } shapes[ID_KINDS] = {
        [ID_UNKNOWN] = {'?', '?', ROLE_UNKNOWN}, [ID_DONE] = {0x2588, '#', ROLE_DONE},
        [ID_FAILED] = {'x', 'x', ROLE_FAILED},   [ID_CANCELLED] = {'-', '-', ROLE_CANCELLED},
        [ID_VOID] = {0x2591, ' ', ROLE_DIM},     [ID_SUSPECT] = {'!', '!', ROLE_SUSPECT},
        [ID_POOLED] = {'o', 'o', ROLE_POOLED},   [ID_QUEUED] = {0x00b7, '.', ROLE_QUEUED},
        [ID_GRANTED] = {'g', 'g', ROLE_BUSY},    [ID_RUNNING] = {'R', 'R', ROLE_BUSY},
        [ID_RETURNING] = {'r', 'r', ROLE_BUSY},
    };
    enum id_kind kind = axis_kind(part);
    bool held = kind == ID_GRANTED || kind == ID_RUNNING || kind == ID_RETURNING;
    if (held && part->node >= 0) {
        held_draw(moment, area, x, y, kind, part->node);
        return;
    }
    struct pen_style style = {shapes[kind].role, ROLE_TEXT, 0};
    if (kind == ID_FAILED || kind == ID_SUSPECT)
        style.style = STYLE_BOLD;
    area_put(area, x, y, area.grid->ascii ? shapes[kind].ascii : shapes[kind].code, style);
}

/* The ids of cell i of n: [a, b), empty where there are more cells than ids. */
static struct span cell_ids(struct span span, int64_t i, int64_t n)
{
    int64_t ids = span.b - span.a;
    if (ids <= n)
        return (struct span){span.a + i, i < ids ? span.a + i + 1 : span.a + i};
    double per_cell = (double)ids / (double)n;
    int64_t a = span.a + (int64_t)((double)i * per_cell);
    int64_t b = i == n - 1 ? span.b : span.a + (int64_t)((double)(i + 1) * per_cell);
    return (struct span){a, b};
}

static void axis_draw(const struct moment *moment, const struct moment_lane *lane, struct span span,
                      struct area area, int64_t cursor)
{
    int64_t n = (int64_t)area.width * area.height;
    for (int64_t i = 0; i < n; i++) {
        struct span ids = cell_ids(span, i, n);
        int x = (int)(i % area.width), y = (int)(i / area.width);
        if (ids.a >= ids.b || ids.a >= lane->tail)
            continue;
        if (ids.b > lane->tail)
            ids.b = lane->tail;
        struct axis_part part = axis_part(moment, lane, ids.a, ids.b);
        cell_draw(moment, area, x, y, &part);
        if (cursor >= ids.a && cursor < ids.b) {
            struct cell *cell = &area.grid->cells[(area.y + y) * area.grid->width + area.x + x];
            cell->style |= STYLE_REVERSE | STYLE_BOLD;
        }
    }
}

/* ---- what is written beside it -------------------------------------------------------------- */

/* "412 done, 3 failed, 8 running": what there is of. */
static void counts_text(char *text, size_t size, const struct axis_part *part)
{
    static const enum id_kind order[] = {ID_DONE,    ID_FAILED,    ID_CANCELLED, ID_RUNNING,
                                         ID_GRANTED, ID_RETURNING, ID_SUSPECT,   ID_POOLED,
                                         ID_QUEUED,  ID_VOID,      ID_UNKNOWN};
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]) && used < size; i++) {
        char number[TEXT_BYTES];
        int64_t n = (int64_t)(part->counts[order[i]] + 0.5);
        if (n > 0)
            used += (size_t)snprintf(text + used, size - used, "%s%s %s", used > 0 ? ", " : "",
                                     text_count(number, n), id_kind_name(order[i]));
    }
}

static void title_draw(const struct moment *moment, const struct moment_lane *lane,
                       struct area area, bool is_chosen)
{
    char name[2 * TEXT_BYTES], counts[256] = "empty", number[TEXT_BYTES];
    struct pen_style style = {ROLE_TITLE, ROLE_TEXT, is_chosen ? STYLE_BOLD : 0};
    if (lane->tail > 1) {
        struct axis_part part = axis_part(moment, lane, 1, lane->tail);
        counts_text(counts, sizeof(counts), &part);
    }
    int x = area_print(area, 0, 0, style, "%s%s", is_chosen ? "> " : "  ",
                       text_lane(name, &lane->name));
    x += area_print(area, x, 0, plain, "  %s ids", text_count(number, lane->tail - 1));
    area_print(area, x, 0, dim, "  %s", counts);
}

static void scale_draw(struct span span, struct area area)
{
    char from[TEXT_BYTES], to[TEXT_BYTES];
    text_count(from, span.a);
    text_count(to, span.b - 1);
    area_text(area, 0, 0, dim, from);
    area_text(area, area.width - text_columns(to), 0, dim, to);
}

static void cursor_draw(const struct moment *moment, const struct moment_lane *lane,
                        struct map_state *state, struct span span, struct area area)
{
    char a[TEXT_BYTES], b[TEXT_BYTES], counts[256];
    if (state->cursor < span.a || state->cursor >= span.b)
        return;
    int64_t cells = (int64_t)state->rows * state->width, i = 0;
    struct span ids = cell_ids(span, 0, cells);
    if (state->per_cell > 0)
        i = (int64_t)((double)(state->cursor - span.a) / state->per_cell);
    for (i = i > 1 ? i - 2 : 0; i < cells; i++) {
        ids = cell_ids(span, i, cells);
        if (state->cursor >= ids.a && state->cursor < ids.b)
            break;
    }
    if (ids.b > lane->tail)
        ids.b = lane->tail;
    if (ids.a >= ids.b)
        return;
    struct axis_part part = axis_part(moment, lane, ids.a, ids.b);
    counts_text(counts, sizeof(counts), &part);
    int x = ids.b - ids.a == 1
                ? area_print(area, 0, 0, plain, "id %s: ", text_count(a, ids.a))
                : area_print(area, 0, 0, plain, "ids %s to %s: ", text_count(a, ids.a),
                             text_count(b, ids.b - 1));
    x += area_text(area, x, 0, plain, counts);
    if (part.node >= 0) {
        const struct moment_node *node = &moment->nodes[part.node];
        area_print(area, x, 0, (struct pen_style){node_role(moment, part.node), ROLE_TEXT, 0},
                   "  %c %s", node->letter, node->node.name);
    }
}

static void legend_draw(const struct moment *moment, struct area area)
{
    int x = area_print(area, 0, 0, dim, "A runs  a granted  ");
    x += area_print(area, x, 0, (struct pen_style){ROLE_DONE, ROLE_TEXT, 0}, "%s",
                    area.grid->ascii ? "#" : "\xe2\x96\x88");
    x += area_print(area, x, 0, dim, " done  ");
    x += area_print(area, x, 0, (struct pen_style){ROLE_FAILED, ROLE_TEXT, STYLE_BOLD}, "x");
    x += area_print(area, x, 0, dim, " failed  ");
    x += area_print(area, x, 0, (struct pen_style){ROLE_SUSPECT, ROLE_TEXT, STYLE_BOLD}, "!");
    x += area_print(area, x, 0, dim, " rescued  o pooled  %s queued  ? unknown   ",
                    area.grid->ascii ? "." : "\xc2\xb7");
    for (size_t i = 0; i < moment->n_live && x < area.width - 4; i++) {
        const struct moment_node *node = &moment->nodes[i];
        x += area_print(area, x, 0,
                        (struct pen_style){node_role(moment, (int32_t)i), ROLE_TEXT, STYLE_BOLD},
                        "%c", node->letter);
        x += area_print(area, x, 0, dim, " %s  ", node->node.name);
    }
}

/* ---- the view ------------------------------------------------------------------------------- */

static void map_draw(const struct moment *moment, struct focus *focus, void *own, struct area area)
{
    struct map_state *state = own;
    const struct moment_lane *lane = chosen(moment, state);
    if (lane == NULL) {
        area_text(area, 2, 1, dim, "No job was ever submitted here.");
        return;
    }
    focus->lane = lane->number;
    struct span span = shown_of(lane, state);
    int others = (int)moment->n_lanes - 1, foot = 3;
    /* Lanes that do not fit are left out below, but never the chosen one. */
    int rows = area.height - foot - 2 - others * (2 + LANE_MARGIN);
    rows = rows < 1 ? 1 : rows > ROWS_MAX ? ROWS_MAX : rows;
    state->rows = rows;
    state->width = area.width;
    state->per_cell = (double)(span.b - span.a) / ((double)rows * area.width);
    size_t first = 0;
    int room = area.height - foot, before = (int)state->lane * (2 + LANE_MARGIN);
    if (before + rows + 2 > room)
        first = state->lane;
    int y = 0;
    for (size_t i = first; i < moment->n_lanes && y + 2 <= room; i++) {
        bool is_chosen = i == state->lane;
        int high = is_chosen ? rows : 1;
        const struct moment_lane *shown = &moment->lanes[i];
        title_draw(moment, shown, area_rows(area, y, 1), is_chosen);
        if (is_chosen)
            state->top = y + 1;
        axis_draw(moment, shown,
                  is_chosen ? span : (struct span){1, shown->tail > 1 ? shown->tail : 2},
                  area_rows(area, y + 1, y + 1 + high > room ? room - y - 1 : high),
                  is_chosen ? state->cursor : 0);
        if (is_chosen)
            scale_draw(span, area_rows(area, y + 1 + high, y + 1 + high < room ? 1 : 0));
        y += high + 1 + (is_chosen ? 1 : 0) + LANE_MARGIN;
    }
    cursor_draw(moment, lane, state, span, area_rows(area, area.height - 2, 1));
    legend_draw(moment, area_rows(area, area.height - 1, 1));
}

static void zoom(struct map_state *state, const struct moment_lane *lane, double factor)
{
    struct span span = shown_of(lane, state);
    double size = (double)(span.b - span.a) * factor;
    int64_t middle = state->cursor >= span.a && state->cursor < span.b
                         ? state->cursor
                         : span.a + (span.b - span.a) / 2;
    double part = (double)(middle - span.a) / (double)(span.b - span.a);
    if (size < 10)
        size = 10;
    int64_t from = middle - (int64_t)(size * part);
    show(state, lane, from, from + (int64_t)size);
}

static void step(struct map_state *state, const struct moment_lane *lane, double ids)
{
    struct span span = shown_of(lane, state);
    if (state->cursor == 0)
        state->cursor = span.a;
    else
        state->cursor += (int64_t)(ids < 0 ? ids - 0.999 : ids + 0.999);
    if (state->cursor < 1)
        state->cursor = 1;
    if (state->cursor >= lane->tail)
        state->cursor = lane->tail > 1 ? lane->tail - 1 : 1;
    int64_t size = span.b - span.a;
    if (state->cursor < span.a)
        show(state, lane, state->cursor, state->cursor + size);
    else if (state->cursor >= span.b)
        show(state, lane, state->cursor - size + 1, state->cursor + 1);
}

static bool lane_step(const struct moment *moment, struct map_state *state, int by)
{
    if ((by < 0 && state->lane == 0) || (by > 0 && state->lane + 1 >= moment->n_lanes))
        return false;
    *state = (struct map_state){.lane = state->lane + (size_t)by};
    return true;
}

static bool map_move(const struct moment *moment, struct focus *focus, void *own, enum move move)
{
    (void)focus;
    struct map_state *state = own;
    const struct moment_lane *lane = chosen(moment, state);
    if (lane == NULL)
        return false;
    double cell = state->per_cell > 1 ? state->per_cell : 1;
    double row = cell * (state->width > 0 ? state->width : 1);
    switch (move) {
    case MOVE_LEFT:
        step(state, lane, -cell);
        return true;
    case MOVE_RIGHT:
        step(state, lane, cell);
        return true;
    case MOVE_PAGE_UP:
        step(state, lane, -row);
        return true;
    case MOVE_PAGE_DOWN:
        step(state, lane, row);
        return true;
    case MOVE_UP:
        return lane_step(moment, state, -1);
    case MOVE_DOWN:
    case MOVE_NEXT:
        return lane_step(moment, state, 1);
    case MOVE_FIRST:
        step(state, lane, -(double)lane->tail);
        return true;
    case MOVE_LAST:
        step(state, lane, (double)lane->tail);
        return true;
    case MOVE_IN:
    case MOVE_ZOOM_IN:
        zoom(state, lane, 0.25);
        return true;
    case MOVE_ZOOM_OUT:
        zoom(state, lane, 4);
        return true;
    case MOVE_OUT:
        if (state->to == 0)
            return false;
        state->from = state->to = 0;
        return true;
    default:
        return false;
    }
}

static bool map_click(const struct moment *moment, struct focus *focus, void *own, int x, int y)
{
    (void)focus;
    struct map_state *state = own;
    const struct moment_lane *lane = chosen(moment, state);
    if (lane == NULL || y < state->top || y >= state->top + state->rows)
        return false;
    struct span ids = cell_ids(shown_of(lane, state), (int64_t)(y - state->top) * state->width + x,
                               (int64_t)state->rows * state->width);
    if (ids.a >= ids.b || ids.a >= lane->tail)
        return false;
    state->cursor = ids.a;
    return true;
}

const struct view view_map = {
    .kind = VIEW_MAP,
    .name = "Map",
    .state_bytes = sizeof(struct map_state),
    .draw = map_draw,
    .move = map_move,
    .click = map_click,
};
