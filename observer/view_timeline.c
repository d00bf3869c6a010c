/* The timeline: what state each node was in, over curves of the whole cluster. Pure. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "observer/text.h"
#include "observer/view.h"

enum { LABEL = 14, ZOOM_MS_MIN = 10000, ZOOM_MS_MAX = 24 * 3600 * 1000 };

struct timeline_state {
    size_t top; /* first node shown */
    size_t rows;
};

static const struct pen_style plain = {ROLE_TEXT, ROLE_TEXT, 0};
static const struct pen_style dim = {ROLE_DIM, ROLE_TEXT, 0};

static const struct {
    enum role role;
    uint32_t code, ascii;
} states[NODE_STATES] = {
    [NODE_INITIALIZING] = {ROLE_DIM, 0x254c, 'i'}, [NODE_WAITING] = {ROLE_TEXT, 0x2500, '-'},
    [NODE_WORKING] = {ROLE_GOOD, 0x2588, '#'},     [NODE_PAUSED] = {ROLE_WARN, 0x2592, 'p'},
    [NODE_DEAD] = {ROLE_BAD, 0x2717, 'X'},
};

/* ---- states --------------------------------------------------------------------------------- */

static int column_of(const struct moment *moment, int64_t at_ms, int width)
{
    double part = 1 - (double)(moment->at_ms - at_ms) / (double)moment->timeline_ms;
    return (int)floor(part * width);
}

static void node_draw(const struct moment *moment, const struct moment_node *seen, struct area area)
{
    struct pen_style own = {(enum role)(ROLE_NODE + seen->colour % NODE_COLOURS), ROLE_TEXT,
                            STYLE_BOLD};
    area_put(area, 0, 0, (uint32_t)seen->letter, own);
    area_text(area_columns(area, 2, LABEL - 3), 0, 0, seen->node.state == NODE_DEAD ? dim : plain,
              seen->node.name);
    struct area line = area_columns(area, LABEL, area.width - LABEL);
    for (size_t i = 0; i < seen->n_spans; i++) {
        const struct moment_span *span = &seen->spans[i];
        int from = column_of(moment, span->from_ms, line.width);
        int to = column_of(moment, span->to_ms, line.width);
        struct pen_style style = {states[span->state].role, ROLE_TEXT, 0};
        /* However short, it shows. */
        for (int x = from > 0 ? from : 0; x <= (to > from ? to - 1 : from) && x < line.width; x++)
            area_put(line, x, 0,
                     line.grid->ascii ? states[span->state].ascii : states[span->state].code,
                     style);
    }
}

static void axis_draw(const struct moment *moment, struct area area)
{
    char text[TEXT_BYTES];
    struct area line = area_columns(area, LABEL, area.width - LABEL);
    for (int i = 0; i < 5; i++) {
        int64_t at_ms = moment->at_ms - moment->timeline_ms * (4 - i) / 4;
        text_clock(text, at_ms);
        int x = (line.width - 1) * i / 4, len = text_columns(text);
        x = i == 0 ? 0 : i == 4 ? line.width - len : x - len / 2;
        area_text(line, x, 0, dim, text);
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

static void curve_draw(struct area area, const char *name, const char *unit, const float *values,
                       enum role role)
{
    char text[TEXT_BYTES];
    struct area plot = area_columns(area, LABEL, area.width - LABEL);
    float max = 0;
    for (int i = 0; i < MOMENT_POINTS; i++)
        max = values[i] > max ? values[i] : max;
    area_text(area_columns(area, 0, LABEL - 1), 0, 0, plain, name);
    float now = values[MOMENT_POINTS - 1];
    if (area.height > 1)
        area_print(area_columns(area, 0, LABEL - 1), 0, 1, dim, "max %s%s", text_short(text, max),
                   unit);
    if (area.height > 2)
        area_print(area_columns(area, 0, LABEL - 1), 0, 2, dim, "now %s%s",
                   now < 0 ? "-" : text_short(text, now), unit);
    for (int x = 0; x < plot.width; x++) {
        float value = column_value(values, x, plot.width);
        if (value < 0 || max <= 0)
            continue;
        double height = (double)value / max * plot.height;
        for (int y = 0; y < plot.height; y++) {
            double part = height - (plot.height - 1 - y);
            float level = (float)(part < 0 ? 0 : part > 1 ? 1 : part);
            if (y == plot.height - 1 && value > 0 && level < 0.125F)
                level = 0.125F;
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

/* ---- the view ------------------------------------------------------------------------------- */

static void timeline_draw(const struct moment *moment, struct focus *focus, void *own,
                          struct area area)
{
    (void)focus;
    struct timeline_state *state = own;
    if (moment->timeline_ms == 0 || area.width < LABEL + 10)
        return;
    int curve = area.height >= 30 ? 4 : area.height >= 18 ? 3 : 1;
    int curves = 3 * (curve + (curve > 1 ? 1 : 0));
    int rows = area.height - 1 - curves;
    rows = rows < 1 ? 1 : rows > (int)moment->n_nodes ? (int)moment->n_nodes : rows;
    state->rows = (size_t)(rows > 0 ? rows : 1);
    if (state->top + state->rows > moment->n_nodes)
        state->top = moment->n_nodes > state->rows ? moment->n_nodes - state->rows : 0;
    for (int i = 0; i < rows && state->top + (size_t)i < moment->n_nodes; i++)
        node_draw(moment, &moment->nodes[state->top + (size_t)i], area_rows(area, i, 1));
    axis_draw(moment, area_rows(area, rows, 1));
    float waits[MOMENT_POINTS];
    wait_make(moment, waits);
    int y = rows + 1, step = curve + (curve > 1 ? 1 : 0);
    curve_draw(area_rows(area, y, curve), "throughput", "/s", moment->rates, ROLE_GOOD);
    curve_draw(area_rows(area, y + step, curve), "backlog", "", moment->backlogs, ROLE_QUEUED);
    curve_draw(area_rows(area, y + 2 * step, curve), "wait", "s", waits, ROLE_WARN);
}

static bool timeline_move(const struct moment *moment, struct focus *focus, void *own,
                          enum move move)
{
    struct timeline_state *state = own;
    int64_t zoom_ms = focus->zoom_ms;
    switch (move) {
    case MOVE_ZOOM_IN:
    case MOVE_IN:
        focus->zoom_ms = zoom_ms / 2 > ZOOM_MS_MIN ? zoom_ms / 2 : ZOOM_MS_MIN;
        return true;
    case MOVE_ZOOM_OUT:
        focus->zoom_ms = zoom_ms * 2 < ZOOM_MS_MAX ? zoom_ms * 2 : ZOOM_MS_MAX;
        return true;
    case MOVE_UP:
        state->top -= state->top > 0 ? 1 : 0;
        return true;
    case MOVE_DOWN:
        state->top += state->top + state->rows < moment->n_nodes ? 1 : 0;
        return true;
    case MOVE_FIRST:
        state->top = 0;
        return true;
    case MOVE_LAST:
        state->top = moment->n_nodes;
        return true;
    default:
        return false;
    }
}

static bool timeline_click(const struct moment *moment, struct focus *focus, void *own, int x,
                           int y)
{
    const struct timeline_state *state = own;
    (void)x;
    size_t row = state->top + (size_t)y;
    if (y < 0 || row >= moment->n_nodes)
        return false;
    focus->node = moment->nodes[row].node.id;
    return true;
}

const struct view view_timeline = {
    .kind = VIEW_TIMELINE,
    .name = "Timeline",
    .state_bytes = sizeof(struct timeline_state),
    .draw = timeline_draw,
    .move = timeline_move,
    .click = timeline_click,
};
