/* The map: the axis of ids of each lane, from the first to the last or any part of it, down to
 * single jobs.
 *
 * A cell stands for a stretch of ids. Whose they are is told by colour and letter, what became of
 * them by shape:
 *   A  running on A     a  granted to A     <  on its way back     !  rescued     o  pooled
 *   solid  done   x  failed   -  cancelled   .  queued   ?  nothing is known yet
 * The chosen lane is as high as there is room, its rows one behind the other, and where there is
 * room for it each job has its number; other lanes take what is left. Pure. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "observer/array.h"
#include "observer/axis.h"
#include "observer/list.h"
#include "observer/text.h"
#include "observer/view.h"

enum {
    ROWS_MAX = 30,
    ROWS_MIN = 3,
    TITLE = 1, /* above a lane */
    SCALE = 1, /* below the chosen one */
    NAME = 18, /* beside a lane that has one row */
    IDS_MIN = 8,
    MORE = 14, /* columns of "and 1234 more" */
};

struct map_state {
    size_t lane;      /* index of the chosen one */
    size_t first;     /* ... and of the first shown */
    int64_t from, to; /* what of it is shown; to 0: all */
    int64_t cursor;   /* an id; 0: none yet */
    bool owners;
    /* As last drawn, for clicks and steps of the cursor. */
    int rows, width, top;
};

static const struct pen_style plain = {ROLE_TEXT, ROLE_TEXT, 0};
static const struct pen_style dim = {ROLE_DIM, ROLE_TEXT, 0};

/* ---- what is shown of the chosen lane ------------------------------------------------------- */

struct span {
    int64_t a, b; /* b > a */
};

static int64_t end_of(const struct moment_lane *lane)
{
    return lane->tail > 1 ? lane->tail : 2;
}

static struct span shown_of(const struct moment_lane *lane, const struct map_state *state)
{
    struct span span = {1, end_of(lane)};
    if (state->to > state->from) {
        span.a = state->from;
        span.b = state->to;
    }
    return span;
}

static void show(struct map_state *state, const struct moment_lane *lane, int64_t from, int64_t to)
{
    int64_t end = end_of(lane), size = to - from;
    if (size >= end - 1) {
        state->from = state->to = 0;
        return;
    }
    if (from + size > end)
        from = end - size;
    if (from < 1)
        from = 1;
    state->from = from;
    state->to = from + size;
}

static bool lane_holds(const struct moment_lane *lane, const struct focus *focus)
{
    char name[2 * TEXT_BYTES];
    return list_holds(text_lane(name, &lane->name), focus->filter);
}

/* The chosen lane; NULL: there is none. What another view asked for is shown first. */
static const struct moment_lane *chosen(const struct moment *moment, struct focus *focus,
                                        struct map_state *state)
{
    struct range show_ids = focus->show;
    focus->show = (struct range){0};
    for (size_t i = 0; i < moment->n_lanes && show_ids.a < show_ids.b; i++) {
        if (moment->lanes[i].number != id_lane(show_ids.a))
            continue;
        int64_t a = id_seq(show_ids.a), size = show_ids.b - show_ids.a;
        size = size < IDS_MIN ? IDS_MIN : size;
        bool all = a == 1 && size >= moment->lanes[i].tail - 1;
        *state = (struct map_state){.lane = i, .cursor = all ? 0 : a, .owners = state->owners};
        show(state, &moment->lanes[i], a - size, a + 2 * size);
    }
    if (state->lane >= moment->n_lanes)
        state->lane = 0;
    for (size_t i = 0; i < moment->n_lanes; i++) {
        size_t lane = (state->lane + i) % moment->n_lanes;
        if (!lane_holds(&moment->lanes[lane], focus))
            continue;
        if (i > 0)
            *state = (struct map_state){.lane = lane, .owners = state->owners};
        focus->lane = moment->lanes[lane].number;
        return &moment->lanes[lane];
    }
    return NULL;
}

/* ---- where ids are -------------------------------------------------------------------------- */

struct layout {
    struct span span;
    int64_t cells; /* of so many columns each */
    int wide, per_row;
};

/* A column a cell; where there is room for it, each id has a cell with its number. */
static struct layout layout_of(struct span span, int width, int rows)
{
    char number[TEXT_BYTES];
    int wide = text_columns(text_count(number, span.b)) + 3;
    struct layout layout = {.span = span, .wide = 1, .per_row = width > 0 ? width : 1};
    int64_t boxes = (int64_t)(width / wide) * rows;
    if (boxes >= span.b - span.a) {
        layout.wide = wide;
        layout.per_row = width / wide;
    }
    layout.cells = (int64_t)layout.per_row * (rows > 0 ? rows : 1);
    return layout;
}

/* The ids of cell i: [a, b), empty where there are more cells than ids. */
static struct span cell_ids(const struct layout *layout, int64_t i)
{
    struct span span = layout->span;
    int64_t ids = span.b - span.a, n = layout->cells;
    if (ids <= n)
        return (struct span){span.a + i, i < ids ? span.a + i + 1 : span.a + i};
    double per_cell = (double)ids / (double)n;
    int64_t a = span.a + (int64_t)((double)i * per_cell);
    int64_t b = i == n - 1 ? span.b : span.a + (int64_t)((double)(i + 1) * per_cell);
    return (struct span){a, b};
}

/* The cell that holds that id; -1: none. */
static int64_t cell_of(const struct layout *layout, int64_t id)
{
    int64_t ids = layout->span.b - layout->span.a;
    if (id < layout->span.a || id >= layout->span.b)
        return -1;
    double per_cell = ids > layout->cells ? (double)ids / (double)layout->cells : 1;
    int64_t i = (int64_t)((double)(id - layout->span.a) / per_cell);
    for (i = i > 1 ? i - 1 : 0; i + 1 < layout->cells && cell_ids(layout, i).b <= id;)
        i++;
    return i;
}

static struct layout layout_shown(const struct moment_lane *lane, const struct map_state *state)
{
    return layout_of(shown_of(lane, state), state->width, state->rows);
}

/* ---- single jobs ---------------------------------------------------------------------------- */

/* Where each id has its number the rows themselves are read: of a finished range only these say
 * which of its jobs failed. */
static void ask_make(const struct moment_lane *lane, const struct layout *layout,
                     struct focus *focus)
{
    int64_t end = layout->span.b < lane->tail ? layout->span.b : lane->tail;
    bool wanted = layout->wide > 1 && end > layout->span.a;
    focus->ask = (struct jobs_ask){0};
    if (wanted)
        focus->ask = (struct jobs_ask){.a = id_make(lane->number, layout->span.a),
                                       .b = id_make(lane->number, end),
                                       .rows = (uint32_t)(end - layout->span.a),
                                       .oldest_first = true,
                                       .brief = true};
}

/* What a row says of its id at the moment shown; ID_UNKNOWN: nothing. An id that was read and has
 * no row is void where its range has ended, else a hole: its submitter is still at it, or was
 * cut. */
static enum id_kind row_kind(const struct moment *moment, const struct focus *focus,
                             const struct axis_part *part, int64_t id, int64_t *ret_node)
{
    const struct jobs_page *page = focus->page;
    if (page == NULL || memcmp(&page->ask, &focus->ask, sizeof(page->ask)) != 0 ||
        id < page->ask.a || id >= page->ask.b)
        return ID_UNKNOWN;
    size_t at = ARRAY_BELOW(page->jobs, page->n, id, id);
    if (at < page->n && page->jobs[at].id == id) {
        const struct job *job = &page->jobs[at];
        *ret_node = job->node;
        if (!job_state_finished(job->state) || job->finished_ms > moment->at_ms)
            return ID_UNKNOWN;
        return job->state == JOB_DONE     ? ID_DONE
               : job->state == JOB_FAILED ? ID_FAILED
                                          : ID_CANCELLED;
    }
    if (at == page->n && page->more)
        return ID_UNKNOWN; /* the page ends before it */
    enum id_kind kind = axis_kind(part);
    bool ended = kind == ID_DONE || kind == ID_FAILED || kind == ID_CANCELLED || kind == ID_VOID;
    return ended ? ID_VOID : kind == ID_UNKNOWN ? ID_UNKNOWN : ID_HOLE;
}

static struct axis_part part_of(const struct moment *moment, const struct moment_lane *lane,
                                const struct focus *focus, struct span ids)
{
    struct axis_part part = axis_part(moment, lane, ids.a, ids.b);
    int64_t node = 0;
    enum id_kind kind = ID_UNKNOWN;
    if (ids.b - ids.a == 1)
        kind = row_kind(moment, focus, &part, id_make(lane->number, ids.a), &node);
    if (kind == ID_UNKNOWN)
        return part;
    part = (struct axis_part){.node = node != 0 ? moment_node_index(moment, node) : part.node};
    part.counts[kind] = 1;
    return part;
}

/* ---- cells ---------------------------------------------------------------------------------- */

static const struct {
    uint32_t code, ascii;
    enum role role;
    const char *name;
} shapes[ID_KINDS] = {
    [ID_RUNNING] = {'A', 'A', ROLE_BUSY, "runs"},
    [ID_GRANTED] = {'a', 'a', ROLE_BUSY, "granted"},
    [ID_RETURNING] = {'<', '<', ROLE_BUSY, "going back"},
    [ID_DONE] = {0x2588, '=', ROLE_DONE, "done"},
    [ID_FAILED] = {'x', 'x', ROLE_FAILED, "failed"},
    [ID_CANCELLED] = {'-', '-', ROLE_CANCELLED, "cancelled"},
    [ID_VOID] = {0x2591, '_', ROLE_DIM, "void"},
    [ID_SUSPECT] = {'!', '!', ROLE_SUSPECT, "rescued"},
    [ID_POOLED] = {'o', 'o', ROLE_POOLED, "pooled"},
    [ID_QUEUED] = {0x00b7, '.', ROLE_QUEUED, "queued"},
    [ID_HOLE] = {'~', '~', ROLE_WARN, "without a row"},
    [ID_UNKNOWN] = {'?', '?', ROLE_UNKNOWN, "unknown"},
};

static enum role node_role(const struct moment *moment, int32_t node)
{
    return (enum role)(ROLE_NODE + moment->nodes[node].colour % NODE_COLOURS);
}

/* In a long lane nearly every cell has a job or two that failed: these are not to drown the cells
 * that have many. */
static bool failed_few(const struct axis_part *part)
{
    double ids = 0;
    for (int i = 0; i < ID_KINDS; i++)
        ids += part->counts[i];
    return part->counts[ID_FAILED] * 100 < ids;
}

/* What a part looks like; ret_code: the character. */
static struct pen_style look_of(const struct moment *moment, const struct map_state *state,
                                const struct axis_part *part, bool ascii, uint32_t *ret_code)
{
    enum id_kind kind = axis_kind(part);
    struct pen_style style = {shapes[kind].role, ROLE_TEXT, 0};
    *ret_code = ascii ? shapes[kind].ascii : shapes[kind].code;
    bool held = kind == ID_GRANTED || kind == ID_RUNNING || kind == ID_RETURNING;
    if (kind == ID_FAILED || kind == ID_SUSPECT)
        style.style = STYLE_BOLD;
    if (kind == ID_FAILED && failed_few(part))
        style = (struct pen_style){ROLE_DONE, ROLE_TEXT, STYLE_REVERSE};
    if (part->node < 0 || (!held && !(state->owners && kind == ID_DONE)))
        return style;
    style.fore = node_role(moment, part->node);
    char letter = moment->nodes[part->node].letter;
    if (kind == ID_RUNNING) {
        style.style = STYLE_BOLD | STYLE_REVERSE;
        *ret_code = (uint32_t)letter;
    } else if (kind == ID_GRANTED || kind == ID_DONE) {
        style.style = kind == ID_DONE ? STYLE_REVERSE : 0;
        *ret_code = (uint32_t)tolower((unsigned char)letter);
    }
    return style;
}

struct canvas {
    const struct moment *moment;
    const struct moment_lane *lane;
    const struct map_state *state;
    const struct focus *focus;
    struct area area;
    unsigned *kinds; /* bits of those drawn */
};

static void cursor_mark(struct area area, int x, int y)
{
    struct cell *cell = &area.grid->cells[(area.y + y) * area.grid->width + area.x + x];
    bool block = cell->code == 0x2588;
    cell->code = block ? 0x25c6 : cell->code;
    cell->fore = block ? ROLE_TITLE : cell->fore;
    cell->style = STYLE_REVERSE | STYLE_BOLD;
}

static void cell_draw(const struct canvas *canvas, const struct layout *layout, int64_t i,
                      struct span ids)
{
    struct area area = canvas->area;
    struct axis_part part = part_of(canvas->moment, canvas->lane, canvas->focus, ids);
    int x = (int)(i % layout->per_row) * layout->wide, y = (int)(i / layout->per_row);
    uint32_t code;
    struct pen_style style = look_of(canvas->moment, canvas->state, &part, area.grid->ascii, &code);
    *canvas->kinds |= 1U << axis_kind(&part);
    area_put(area, x, y, code, style);
    if (layout->wide > 1) {
        char number[TEXT_BYTES];
        area_text(area_columns(area, 0, x + layout->wide - 1), x + 2, y, plain,
                  text_count(number, ids.a));
    }
    int64_t cursor = canvas->state->cursor; /* of other lanes 0 */
    if (cursor >= ids.a && cursor < ids.b && y < area.height && x < area.width)
        cursor_mark(area, x, y);
}

static void axis_draw(const struct canvas *canvas, const struct layout *layout)
{
    int64_t n = (int64_t)layout->per_row * canvas->area.height;
    n = n < layout->cells ? n : layout->cells;
    for (int64_t i = 0; i < n; i++) {
        struct span ids = cell_ids(layout, i);
        if (ids.b > canvas->lane->tail)
            ids.b = canvas->lane->tail;
        if (ids.a < ids.b)
            cell_draw(canvas, layout, i, ids);
    }
}

/* ---- what is written beside it -------------------------------------------------------------- */

/* "412 done, 3 failed, 8 running": what there is of. */
static void counts_text(char *text, size_t size, const struct axis_part *part)
{
    static const enum id_kind order[] = {ID_FAILED,    ID_SUSPECT,   ID_RUNNING, ID_GRANTED,
                                         ID_POOLED,    ID_RETURNING, ID_QUEUED,  ID_DONE,
                                         ID_CANCELLED, ID_VOID,      ID_HOLE,    ID_UNKNOWN};
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
    x += area_print(area, x, 0, plain, "  %s id%s", text_count(number, lane->tail - 1),
                    lane->tail == 2 ? "" : "s");
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

/* What the cursor is at. */
static void cursor_draw(const struct moment *moment, const struct moment_lane *lane,
                        const struct map_state *state, const struct focus *focus, struct area area)
{
    char a[ID_TEXT_BYTES], b[TEXT_BYTES], counts[256];
    struct layout layout = layout_shown(lane, state);
    int64_t i = cell_of(&layout, state->cursor);
    struct span ids = i >= 0 ? cell_ids(&layout, i) : (struct span){0};
    if (ids.b > lane->tail)
        ids.b = lane->tail;
    if (ids.a >= ids.b) {
        area_text(area, 0, 0, dim,
                  "left right: along the ids  up down: lanes  + -: closer, farther");
        return;
    }
    struct axis_part part = part_of(moment, lane, focus, ids);
    if (ids.b - ids.a == 1)
        snprintf(counts, sizeof(counts), "%s", id_kind_name(axis_kind(&part)));
    else
        counts_text(counts, sizeof(counts), &part);
    id_format(a, &lane->name, ids.a);
    int x = ids.b - ids.a == 1
                ? area_print(area, 0, 0, plain, "%s: ", a)
                : area_print(area, 0, 0, plain, "%s-%s: ", a, text_count(b, ids.b - 1));
    x += area_text(area, x, 0, plain, counts);
    if (part.node < 0)
        return;
    const struct moment_node *node = &moment->nodes[part.node];
    struct pen_style style = {node_role(moment, part.node), ROLE_TEXT, STYLE_BOLD};
    x += area_print(area, x, 0, style, "  %c %s", node->letter, node->node.name);
    if (node->node.state == NODE_DEAD)
        area_print(area, x, 0, dim, ", dead");
}

/* Of what is drawn, and who is who. */
static void legend_draw(const struct moment *moment, bool owners, unsigned kinds, struct area area)
{
    static const enum id_kind order[] = {ID_RUNNING,   ID_GRANTED, ID_RETURNING, ID_SUSPECT,
                                         ID_POOLED,    ID_QUEUED,  ID_DONE,      ID_FAILED,
                                         ID_CANCELLED, ID_VOID,    ID_HOLE,      ID_UNKNOWN};
    int x = 0;
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if ((kinds & 1U << order[i]) == 0)
            continue;
        bool runs = order[i] == ID_RUNNING;
        struct pen_style style = {shapes[order[i]].role, ROLE_TEXT,
                                  runs ? STYLE_BOLD | STYLE_REVERSE : 0};
        uint32_t code = area.grid->ascii ? shapes[order[i]].ascii : shapes[order[i]].code;
        if (owners && order[i] == ID_DONE) {
            style = (struct pen_style){ROLE_BUSY, ROLE_TEXT, STYLE_REVERSE};
            code = 'a';
        }
        area_put(area, x, 0, code, style);
        x += 2 + area_print(area, x + 1, 0, dim, " %s", shapes[order[i]].name) + 1;
    }
    int y = area.height > 1 ? 1 : 0;
    x = y > 0 ? 0 : x;
    for (size_t i = 0; i < moment->n_live; i++) {
        const struct moment_node *node = &moment->nodes[i];
        bool last = i + 1 == moment->n_live;
        if (x + 4 + text_columns(node->node.name) + (last ? 0 : MORE) > area.width) {
            area_print(area, x, y, dim, "and %zu more", moment->n_live - i);
            break;
        }
        struct pen_style style = {node_role(moment, (int32_t)i), ROLE_TEXT, STYLE_BOLD};
        x += area_print(area, x, y, style, "%c", node->letter);
        x += area_print(area, x, y, dim, " %s  ", node->node.name);
    }
}

/* ---- lanes under each other ----------------------------------------------------------------- */

/* How high the others are, the chosen one, and which is the first. */
struct stack {
    int other, rows;
    size_t shown[LIMIT_LANES];
    size_t n, at; /* at: of the chosen one among those shown */
};

static void stack_make(const struct moment *moment, const struct focus *focus,
                       struct map_state *state, int room, struct stack *stack)
{
    stack->n = stack->at = 0;
    for (size_t i = 0; i < moment->n_lanes; i++) {
        if (!lane_holds(&moment->lanes[i], focus))
            continue;
        stack->at = i == state->lane ? stack->n : stack->at;
        stack->shown[stack->n++] = i;
    }
    int others = (int)stack->n - 1, least = TITLE + ROWS_MIN + SCALE;
    for (stack->other = 3; stack->other > 1 && others * stack->other + least > room;)
        stack->other--;
    int rows = room - TITLE - SCALE - others * stack->other;
    int half = room / 2 - TITLE - SCALE;
    rows = rows < ROWS_MIN ? (half > 1 ? half : 1) : rows > ROWS_MAX ? ROWS_MAX : rows;
    struct layout layout =
        layout_of(shown_of(&moment->lanes[state->lane], state), state->width, rows);
    int64_t needed = (layout.span.b - layout.span.a + layout.per_row - 1) / layout.per_row;
    stack->rows = needed < rows ? (int)needed : rows;
    int high = stack->rows + TITLE + SCALE;
    if (state->first > stack->at)
        state->first = stack->at;
    while (state->first < stack->at && (int)(stack->at - state->first) * stack->other + high > room)
        state->first++;
    while (state->first > 0 && (int)(stack->n - state->first) * stack->other + high <= room)
        state->first--;
}

/* A lane that is not chosen: with a title where there is room, else with its name beside it. */
static void other_draw(struct canvas canvas, int high)
{
    struct area area = canvas.area;
    struct map_state all = {.owners = canvas.state->owners};
    canvas.state = &all;
    if (high > 1) {
        title_draw(canvas.moment, canvas.lane, area_rows(area, 0, 1), false);
        canvas.area = area_rows(area, 1, 1);
    } else {
        char name[2 * TEXT_BYTES];
        area_text_ends(area_columns(area, 0, NAME - 1), 2, 0, (struct pen_style){ROLE_TITLE, 0, 0},
                       text_lane(name, &canvas.lane->name));
        canvas.area = area_columns(area, NAME, area.width - NAME);
    }
    struct layout layout = layout_of((struct span){1, end_of(canvas.lane)}, canvas.area.width, 1);
    layout.wide = 1;
    layout.per_row = canvas.area.width > 0 ? canvas.area.width : 1;
    layout.cells = layout.per_row;
    axis_draw(&canvas, &layout);
}

static void chosen_draw(struct canvas canvas, const struct map_state *state,
                        const struct stack *stack)
{
    struct area area = canvas.area;
    title_draw(canvas.moment, canvas.lane, area_rows(area, 0, 1), true);
    canvas.area = area_rows(area, TITLE, stack->rows);
    if (canvas.lane->tail <= 1) {
        area_text(canvas.area, 2, 0, dim, "No job was submitted here yet.");
        return;
    }
    struct layout layout = layout_shown(canvas.lane, state);
    axis_draw(&canvas, &layout);
    scale_draw(layout.span, area_rows(area, TITLE + stack->rows, SCALE));
}

/* ---- the view ------------------------------------------------------------------------------- */

static void map_draw(const struct moment *moment, struct focus *focus, void *own, struct area area)
{
    struct map_state *state = own;
    const struct moment_lane *lane = chosen(moment, focus, state);
    if (lane == NULL) {
        area_text(area, 2, 1, dim,
                  moment->n_lanes > 0   ? "No lane is called that."
                  : moment->backlog < 0 ? "Nothing is known of jobs at that time."
                                        : "No job was ever submitted here.");
        return;
    }
    unsigned kinds = 0;
    int foot = area.height >= 18 ? 3 : 2, room = area.height - foot, y = 0;
    struct stack stack;
    state->width = area.width;
    stack_make(moment, focus, state, room, &stack);
    struct area lanes = area_rows(area, 0, room);
    state->rows = stack.rows;
    struct layout layout = layout_shown(lane, state);
    ask_make(lane, &layout, focus);
    for (size_t i = state->first; i < stack.n && y < room; i++) {
        struct canvas canvas = {.moment = moment,
                                .lane = &moment->lanes[stack.shown[i]],
                                .state = state,
                                .focus = focus,
                                .area = area_rows(lanes, y, room),
                                .kinds = &kinds};
        if (i == stack.at) {
            state->top = y + TITLE;
            chosen_draw(canvas, state, &stack);
            y += TITLE + stack.rows + SCALE + (stack.other > 2 ? 1 : 0);
        } else {
            other_draw(canvas, stack.other);
            y += stack.other;
        }
    }
    cursor_draw(moment, lane, state, focus, area_rows(area, room, 1));
    legend_draw(moment, state->owners, kinds, area_rows(area, room + 1, foot - 1));
}

/* ---- moving --------------------------------------------------------------------------------- */

/* Around the cursor; else around where the work is. */
static bool zoom(struct map_state *state, const struct moment_lane *lane, double factor)
{
    struct span span = shown_of(lane, state);
    if (factor > 1 ? state->to == 0 : span.b - span.a <= IDS_MIN)
        return false;
    /* Whole ids, or the cursor could fall out at the end. */
    double size = (double)(int64_t)((double)(span.b - span.a) * factor);
    int64_t at = state->cursor > 0 ? state->cursor : lane->head;
    int64_t middle = at >= span.a && at < span.b ? at : span.a + (span.b - span.a) / 2;
    double part = (double)(middle - span.a) / (double)(span.b - span.a);
    size = size < IDS_MIN ? IDS_MIN : size;
    int64_t from = middle - (int64_t)(size * part);
    show(state, lane, from, from + (int64_t)size);
    return true;
}

static void step(struct map_state *state, const struct moment_lane *lane, double ids)
{
    struct span span = shown_of(lane, state);
    if (state->cursor == 0)
        state->cursor = ids < 0 || lane->head > span.b ? span.a : lane->head;
    else
        state->cursor += (int64_t)(ids < 0 ? ids - 0.999 : ids + 0.999);
    if (state->cursor >= lane->tail)
        state->cursor = lane->tail - 1;
    if (state->cursor < 1)
        state->cursor = 1;
    int64_t size = span.b - span.a;
    if (state->cursor < span.a)
        show(state, lane, state->cursor, state->cursor + size);
    else if (state->cursor >= span.b)
        show(state, lane, state->cursor - size + 1, state->cursor + 1);
}

static bool lane_step(const struct moment *moment, const struct focus *focus,
                      struct map_state *state, int by)
{
    for (int64_t i = (int64_t)state->lane + by; i >= 0 && i < (int64_t)moment->n_lanes; i += by) {
        if (!lane_holds(&moment->lanes[i], focus))
            continue;
        *state =
            (struct map_state){.lane = (size_t)i, .first = state->first, .owners = state->owners};
        return true;
    }
    return false;
}

/* To an id, "mail:17" or "17" in this lane, or to a lane by a part of its name. */
static bool search(const struct moment *moment, const struct moment_lane *lane, struct focus *focus,
                   struct map_state *state)
{
    int64_t id = text_to_id(moment, focus->search, lane->number);
    if (id != 0) {
        focus->show = (struct range){.a = id, .b = id + 1};
        return true;
    }
    for (size_t i = 1; i <= moment->n_lanes; i++) {
        char text[2 * TEXT_BYTES];
        size_t at = (state->lane + i) % moment->n_lanes;
        if (!list_holds(text_lane(text, &moment->lanes[at].name), focus->search))
            continue;
        *state = (struct map_state){.lane = at, .owners = state->owners};
        return true;
    }
    return false;
}

/* Closer; where ids have numbers, to the job at the cursor. */
static bool enter(const struct moment_lane *lane, struct focus *focus, struct map_state *state)
{
    struct layout layout = layout_shown(lane, state);
    if (layout.wide == 1 || cell_of(&layout, state->cursor) < 0) {
        return zoom(state, lane, 0.25);
    }
    focus->job = id_make(lane->number, state->cursor);
    focus->detail = true;
    focus->go_to = VIEW_JOBS + 1;
    return true;
}

static bool out(struct map_state *state)
{
    bool inside = state->to != 0 || state->cursor != 0;
    state->from = state->to = state->cursor = 0;
    return inside;
}

static bool map_move(const struct moment *moment, struct focus *focus, void *own, enum move move)
{
    struct map_state *state = own;
    const struct moment_lane *lane = chosen(moment, focus, state);
    if (lane == NULL)
        return false;
    struct layout layout = layout_shown(lane, state);
    double cell = (double)(layout.span.b - layout.span.a) / (double)layout.cells;
    cell = cell > 1 ? cell : 1;
    switch (move) {
    case MOVE_LEFT:
        step(state, lane, -cell);
        return true;
    case MOVE_RIGHT:
        step(state, lane, cell);
        return true;
    case MOVE_PAGE_UP:
        step(state, lane, -cell * layout.per_row);
        return true;
    case MOVE_PAGE_DOWN:
        step(state, lane, cell * layout.per_row);
        return true;
    case MOVE_UP:
        return lane_step(moment, focus, state, -1);
    case MOVE_DOWN:
    case MOVE_NEXT:
        return lane_step(moment, focus, state, 1);
    case MOVE_FIRST:
        state->cursor = 1;
        step(state, lane, 0);
        return true;
    case MOVE_LAST:
        state->cursor = lane->tail;
        step(state, lane, 0);
        return true;
    case MOVE_IN:
        return enter(lane, focus, state);
    case MOVE_ZOOM_IN:
        return zoom(state, lane, 0.25);
    case MOVE_ZOOM_OUT:
        return zoom(state, lane, 4);
    case MOVE_OUT:
        return out(state);
    case MOVE_SEARCH_NEXT:
        return search(moment, lane, focus, state);
    case MOVE_OWNERS:
        state->owners = !state->owners;
        return true;
    default:
        return false;
    }
}

static bool map_click(const struct moment *moment, struct focus *focus, void *own, int x, int y)
{
    struct map_state *state = own;
    const struct moment_lane *lane = chosen(moment, focus, state);
    if (lane == NULL || y < state->top || y >= state->top + state->rows)
        return false;
    struct layout layout = layout_shown(lane, state);
    if (x / layout.wide >= layout.per_row)
        return false;
    struct span ids =
        cell_ids(&layout, (int64_t)(y - state->top) * layout.per_row + x / layout.wide);
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
