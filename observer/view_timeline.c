/* The timeline: what state each node was in, over curves of the whole cluster. Pure. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "observer/list.h"
#include "observer/text.h"
#include "observer/view.h"

enum {
    LABEL = 15, /* columns left of the plot: a name, or a scale and its line */
    LABEL_WIDE = 24,
    CURVES = 3,
    CURVE_MAX = 9,
    ZOOM_MS_MIN = 10000,
    ZOOM_MS_MAX = 24 * 3600 * 1000,
};

struct timeline_state {
    size_t top;  /* first node shown */
    size_t rows; /* as last drawn */
};

static const struct pen_style plain = {ROLE_TEXT, ROLE_TEXT, 0};
static const struct pen_style dim = {ROLE_DIM, ROLE_TEXT, 0};

/* Not as high as a row, so that rows stay apart. */
static const struct {
    enum role role;
    uint32_t code, ascii;
} states[NODE_STATES] = {
    [NODE_INITIALIZING] = {ROLE_DIM, 0x254c, 'i'}, [NODE_WAITING] = {ROLE_DIM, 0x2500, '-'},
    [NODE_WORKING] = {ROLE_GOOD, 0x2585, '#'},     [NODE_PAUSED] = {ROLE_WARN, '=', 'p'},
    [NODE_DEAD] = {ROLE_BAD, 0x2717, 'X'},
};

static int label_width(struct area area)
{
    return area.width >= 110 ? LABEL_WIDE : LABEL;
}

static struct area plot_of(struct area area)
{
    return area_columns(area, label_width(area), area.width);
}

/* ---- which nodes ---------------------------------------------------------------------------- */

struct rows {
    size_t nodes[LIMIT_NODES]; /* indices of those that pass the filter */
    size_t n, at;              /* at: of the chosen one; n: none is */
};

static void rows_make(const struct moment *moment, const struct focus *focus, struct rows *rows)
{
    rows->n = 0;
    rows->at = SIZE_MAX;
    for (size_t i = 0; i < moment->n_nodes && rows->n < LIMIT_NODES; i++) {
        if (!list_holds(moment->nodes[i].node.name, focus->filter))
            continue;
        if (moment->nodes[i].node.id == focus->node)
            rows->at = rows->n;
        rows->nodes[rows->n++] = i;
    }
    rows->at = rows->at < rows->n ? rows->at : rows->n;
}

/* ---- states --------------------------------------------------------------------------------- */

static int column_of(const struct moment *moment, int64_t at_ms, int width)
{
    double part = 1 - (double)(moment->at_ms - at_ms) / (double)moment->timeline_ms;
    return (int)floor(fmax(-1, fmin(part, 2)) * width); /* a recording may tell of any time */
}

static void span_draw(const struct moment *moment, const struct moment_node *seen,
                      const struct moment_span *span, struct area line)
{
    int from = column_of(moment, span->from_ms, line.width);
    int to = column_of(moment, span->to_ms, line.width);
    uint32_t code = line.grid->ascii ? states[span->state].ascii : states[span->state].code;
    struct pen_style style = {states[span->state].role, ROLE_TEXT, 0};
    if (span->state == NODE_DEAD && strcmp(seen->node.cause, "stopped") == 0)
        style.fore = ROLE_DIM;
    from = from < line.width ? from : line.width - 1;
    /* However short, it shows. */
    for (int x = from > 0 ? from : 0; x <= (to > from ? to - 1 : from) && x < line.width; x++)
        area_put(line, x, 0, code, style);
}

static void node_draw(const struct moment *moment, const struct moment_node *seen, bool is_chosen,
                      struct area area)
{
    struct pen_style own = {(enum role)(ROLE_NODE + seen->colour % NODE_COLOURS), ROLE_TEXT,
                            STYLE_BOLD};
    struct pen_style style = seen->node.state == NODE_DEAD ? dim : plain;
    struct area line = plot_of(area);
    style.style = is_chosen ? STYLE_REVERSE : 0;
    area_put(area, 0, 0, (uint32_t)seen->letter, own);
    area_text(area_columns(area, 2, label_width(area) - 3), 0, 0, style, seen->node.name);
    for (size_t i = 0; i < seen->n_spans; i++)
        span_draw(moment, seen, &seen->spans[i], line);
    int end = column_of(moment, seen->died_ms, line.width) + 2;
    if (seen->died_ms != 0 && end >= 0)
        area_text(area_columns(line, end, line.width), 0, 0, dim, seen->node.cause);
}

static void axis_draw(const struct moment *moment, struct area area)
{
    char text[TEXT_BYTES];
    struct area line = plot_of(area);
    int end = 0;
    for (int i = 0; i < 5; i++) {
        int64_t at_ms = moment->at_ms - moment->timeline_ms * (4 - i) / 4;
        text_clock(text, at_ms);
        int x = (line.width - 1) * i / 4, len = text_columns(text);
        x = i == 0 ? 0 : i == 4 ? line.width - len : x - len / 2;
        /* The ends are always told, of the others as many as there is room for. */
        bool room = x > 0 && x > end && (i == 4 || x + len < line.width - len);
        if (i > 0 && !room)
            continue;
        area_text(line, x, 0, dim, text);
        end = x + len;
    }
    area_print(area, 0, 0, dim, "%s", text_span(text, moment->timeline_ms));
}

/* ---- curves --------------------------------------------------------------------------------- */

/* The highest of the points that fall into each column: a peak is never lost. */
static float column_value(const float *values, int x, int width)
{
    int from = x * MOMENT_POINTS / width, to = (x + 1) * MOMENT_POINTS / width;
    float most = -1;
    for (int i = from; i < (to > from ? to : from + 1) && i < MOMENT_POINTS; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

/* 1, 2 or 5 times a power of ten, so that the scale can be read. */
static double rounded_up(double value)
{
    static const double steps[] = {1, 2, 5, 10};
    double power = value > 0 ? pow(10, floor(log10(value))) : 1;
    for (size_t i = 0; i < 4; i++)
        if (steps[i] * power >= value * (1 - 1e-9))
            return steps[i] * power;
    return 10 * power;
}

static void scale_draw(struct area area, const char *name, const char *unit, double max, float now)
{
    char text[TEXT_BYTES], scale[2 * TEXT_BYTES];
    int x = label_width(area) - 2;
    uint32_t line = area.grid->ascii ? '|' : 0x2502;
    for (int y = 0; y < area.height; y++)
        area_put(area, x, y, line, dim);
    area_text(area, 0, 0, plain, name);
    snprintf(scale, sizeof(scale), "%s%s", text_short(text, max), unit);
    area_text(area, x - 1 - text_columns(scale), area.height > 1 ? 0 : 1, dim, scale);
    if (area.height > 1) {
        area_print(area, 0, 1, plain, "%s%s", now < 0 ? "-" : text_short(text, now),
                   now < 0 ? "" : unit);
        area_put(area, x - 2, area.height - 1, '0', dim);
    }
}

static void curve_draw(struct area area, const char *name, const char *unit, const float *values,
                       enum role role)
{
    struct area plot = plot_of(area);
    double max = 0;
    for (int i = 0; i < MOMENT_POINTS; i++)
        max = values[i] > max ? values[i] : max;
    max = rounded_up(max);
    scale_draw(area, name, unit, max, values[MOMENT_POINTS - 1]);
    for (int x = 0; x < plot.width; x++) {
        float value = column_value(values, x, plot.width);
        if (value <= 0)
            continue;
        double height = (double)value / max * plot.height;
        for (int y = 0; y < plot.height; y++) {
            double part = height - (plot.height - 1 - y);
            float level = (float)(part < 0 ? 0 : part > 1 ? 1 : part);
            if (y == plot.height - 1 && level < 0.125F)
                level = 0.125F; /* something is never drawn as nothing */
            if (level > 0)
                area_spark(plot, x, y, &level, 1, 1, (struct pen_style){role, ROLE_TEXT, 0});
        }
    }
}

/* How long what is submitted now will wait: the backlog by the rate (Little's law). */
static void wait_make(const struct moment *moment, float waits[MOMENT_POINTS])
{
    for (int i = 0; i < MOMENT_POINTS; i++) {
        bool known = moment->backlogs[i] >= 0 && moment->rates[i] > 0;
        waits[i] = known                      ? moment->backlogs[i] / moment->rates[i]
                   : moment->backlogs[i] == 0 ? 0
                                              : -1;
    }
}

/* More nodes above or below. */
static void more_draw(const struct timeline_state *state, size_t n, struct area area)
{
    struct pen_style style = {ROLE_KEY, ROLE_TEXT, 0};
    int x = label_width(area) - 1;
    if (state->top > 0)
        area_put(area, x, 0, area.grid->ascii ? '^' : 0x25b4, style);
    if (state->top + state->rows < n)
        area_put(area, x, area.height - 1, area.grid->ascii ? 'v' : 0x25be, style);
}

/* ---- the view ------------------------------------------------------------------------------- */

static void timeline_draw(const struct moment *moment, struct focus *focus, void *own,
                          struct area area)
{
    struct timeline_state *state = own;
    if (moment->timeline_ms == 0 || area.width < LABEL + 10)
        return;
    struct rows rows;
    rows_make(moment, focus, &rows);
    /* Curves get what nodes leave, but never less than a row each, nor much more than they need. */
    int left = area.height - 1 - (int)rows.n;
    int least = area.height >= 30 ? 4 : area.height >= 18 ? 3 : 1;
    int curve = left / CURVES - 1;
    curve = curve < least ? least : curve > CURVE_MAX ? CURVE_MAX : curve;
    int gap = curve > 1 ? 1 : 0, high = area.height - 1 - CURVES * (curve + gap);
    high = high < 1 ? 1 : high > (int)rows.n ? (int)rows.n : high;
    state->rows = (size_t)(high > 0 ? high : 1);
    if (rows.at < rows.n && rows.at < state->top)
        state->top = rows.at;
    if (rows.at < rows.n && rows.at >= state->top + state->rows)
        state->top = rows.at - state->rows + 1;
    if (state->top + state->rows > rows.n)
        state->top = rows.n > state->rows ? rows.n - state->rows : 0;
    for (int i = 0; i < high && state->top + (size_t)i < rows.n; i++) {
        size_t row = state->top + (size_t)i;
        node_draw(moment, &moment->nodes[rows.nodes[row]], row == rows.at, area_rows(area, i, 1));
    }
    more_draw(state, rows.n, area_rows(area, 0, high));
    axis_draw(moment, area_rows(area, high, 1));
    float waits[MOMENT_POINTS];
    wait_make(moment, waits);
    int y = high + 1, step = curve + gap;
    curve_draw(area_rows(area, y, curve), "jobs", "/s", moment->rates, ROLE_GOOD);
    curve_draw(area_rows(area, y + step, curve), "waiting", "", moment->backlogs, ROLE_QUEUED);
    curve_draw(area_rows(area, y + 2 * step, curve), "wait", "s", waits, ROLE_WARN);
}

static bool row_go(const struct moment *moment, struct focus *focus, const struct rows *rows,
                   size_t row)
{
    if (row >= rows->n || row == rows->at)
        return false;
    focus->node = moment->nodes[rows->nodes[row]].node.id;
    return true;
}

static bool search(const struct moment *moment, struct focus *focus, const struct rows *rows)
{
    for (size_t i = 1; i <= rows->n; i++) {
        size_t row = (rows->at + i) % rows->n;
        if (list_holds(moment->nodes[rows->nodes[row]].node.name, focus->search))
            return row_go(moment, focus, rows, row);
    }
    return false;
}

static bool zoom(const struct moment *moment, struct focus *focus, bool closer)
{
    int64_t zoom_ms = closer ? moment->timeline_ms / 2 : moment->timeline_ms * 2;
    zoom_ms = zoom_ms < ZOOM_MS_MIN ? ZOOM_MS_MIN : zoom_ms > ZOOM_MS_MAX ? ZOOM_MS_MAX : zoom_ms;
    if (zoom_ms == moment->timeline_ms)
        return false;
    focus->zoom_ms = zoom_ms;
    return true;
}

static bool timeline_move(const struct moment *moment, struct focus *focus, void *own,
                          enum move move)
{
    const struct timeline_state *state = own;
    struct rows rows;
    rows_make(moment, focus, &rows);
    bool none = rows.at == rows.n;
    size_t page = state->rows > 1 ? state->rows - 1 : 1, last = rows.n > 0 ? rows.n - 1 : 0;
    switch (move) {
    case MOVE_ZOOM_IN:
    case MOVE_ZOOM_OUT:
        return zoom(moment, focus, move == MOVE_ZOOM_IN);
    case MOVE_UP:
        return row_go(moment, focus, &rows, none ? 0 : rows.at - 1);
    case MOVE_DOWN:
        return row_go(moment, focus, &rows, none ? 0 : rows.at + 1);
    case MOVE_PAGE_UP:
        return row_go(moment, focus, &rows, none || rows.at < page ? 0 : rows.at - page);
    case MOVE_PAGE_DOWN:
        return row_go(moment, focus, &rows,
                      none                    ? 0
                      : rows.at + page > last ? last
                                              : rows.at + page);
    case MOVE_FIRST:
        return row_go(moment, focus, &rows, 0);
    case MOVE_LAST:
        return row_go(moment, focus, &rows, last);
    case MOVE_SEARCH_NEXT:
        return search(moment, focus, &rows);
    case MOVE_IN:
        focus->go_to = none ? 0 : VIEW_CLUSTER + 1;
        return !none;
    case MOVE_OUT:
        none = focus->zoom_ms == 0;
        focus->zoom_ms = 0;
        return !none;
    default:
        return false;
    }
}

static bool timeline_click(const struct moment *moment, struct focus *focus, void *own, int x,
                           int y)
{
    const struct timeline_state *state = own;
    struct rows rows;
    (void)x;
    rows_make(moment, focus, &rows);
    return y >= 0 && (size_t)y < state->rows &&
           row_go(moment, focus, &rows, state->top + (size_t)y);
}

const struct view view_timeline = {
    .kind = VIEW_TIMELINE,
    .name = "Timeline",
    .state_bytes = sizeof(struct timeline_state),
    .draw = timeline_draw,
    .move = timeline_move,
    .click = timeline_click,
};
