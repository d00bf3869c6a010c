/* The cluster: its nodes, the living first, then those that died lately with what they died of; and
 * the chosen one in detail, where there is room or when it is asked for. Pure. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "observer/list.h"
#include "observer/text.h"

enum { DETAIL_ROWS = 9, NAME = 12 };

struct cluster_state {
    struct list_state list;
    bool detail; /* it was asked for, whatever room it takes */
    bool panel;  /* as last drawn: it was there */
};

enum column { NODE, STATE, SINCE, SLOTS, RATE, CURVE, DONE, FAILED, RANGES, BEAT, HOST };

static const struct list_column columns[] = {
    [NODE] = {"NODE", 14, 2, 0, false, false},
    [STATE] = {"STATE", 12, 0, 0, false, false},
    [SINCE] = {"SINCE", 7, 0, 5, true, false},
    [SLOTS] = {"BUSY", 7, 0, 0, true, false},
    [RATE] = {"JOBS/S", 6, 0, 0, true, false},
    [CURVE] = {"LAST MINUTE", 12, 2, 2, false, true},
    [DONE] = {"DONE", 6, 0, 4, true, false},
    [FAILED] = {"FAILED", 6, 0, 3, true, false},
    [RANGES] = {"ANSWERS FOR", 16, 2, 6, false, false},
    [BEAT] = {"BEAT", 6, 0, 7, true, false},
    [HOST] = {"HOST", 8, 1, 8, false, false},
};

static const struct {
    enum role role;
    uint32_t code, ascii;
} states[NODE_STATES] = {
    [NODE_INITIALIZING] = {ROLE_DIM, 0x25cc, 'i'}, [NODE_WAITING] = {ROLE_TEXT, 0x25cb, 'w'},
    [NODE_WORKING] = {ROLE_GOOD, 0x25cf, 'W'},     [NODE_PAUSED] = {ROLE_WARN, 0x2016, 'p'},
    [NODE_DEAD] = {ROLE_BAD, 0x2717, 'X'},
};

static const struct moment_node *node_at(void *ctx, size_t row)
{
    const struct moment *moment = ctx;
    return &moment->nodes[row];
}

static int64_t row_key(void *ctx, size_t row)
{
    return node_at(ctx, row)->node.id;
}

static void row_text(void *ctx, size_t row, char *text, size_t size)
{
    const struct node *node = &node_at(ctx, row)->node;
    snprintf(text, size, "%s %s %s %s", node->name, node_state_name(node->state), node->host,
             node->cause);
}

static int by_number(double a, double b)
{
    return a > b ? -1 : a < b ? 1 : 0; /* the highest first */
}

static int row_compare(void *ctx, size_t a, size_t b, size_t column)
{
    const struct node *x = &node_at(ctx, a)->node, *y = &node_at(ctx, b)->node;
    switch ((enum column)column) {
    case NODE:
        return strverscmp(x->name, y->name);
    case STATE:
        return (int)x->state - (int)y->state;
    case SINCE:
        return by_number((double)x->since_ms, (double)y->since_ms);
    case SLOTS:
        return by_number((double)x->n_running, (double)y->n_running);
    case RATE:
    case CURVE:
        return by_number(x->rate, y->rate);
    case DONE:
        return by_number((double)x->done, (double)y->done);
    case FAILED:
        return by_number((double)x->failed, (double)y->failed);
    case RANGES:
        return by_number((double)x->n_ranges, (double)y->n_ranges);
    case BEAT:
        return by_number((double)x->beat_ms, (double)y->beat_ms);
    case HOST:
        return strcmp(x->host, y->host);
    }
    return 0;
}

/* ---- cells ---------------------------------------------------------------------------------- */

static void right_text(struct area cell, struct pen_style style, const char *text)
{
    int space = cell.width - text_columns(text);
    area_text(cell, space > 0 ? space : 0, 0, style, text);
}

/* "1-400 +2": the first of its ranges, and how many more. */
static void ranges_draw(const struct moment *moment, const struct node *node, struct area cell)
{
    if (node->n_ranges == 0) {
        area_text(cell, 0, 0, (struct pen_style){ROLE_DIM, ROLE_TEXT, 0}, "-");
        return;
    }
    int64_t ids = 0;
    for (size_t i = 0; i < node->n_ranges; i++)
        ids += node->ranges[i].range.b - node->ranges[i].range.a;
    const struct range *first = &node->ranges[0].range;
    char id[ID_TEXT_BYTES], last[TEXT_BYTES] = "", count[TEXT_BYTES];
    struct pen_style plain = {ROLE_TEXT, ROLE_TEXT, 0};
    text_id(id, moment, first->a);
    if (first->b - first->a > 1)
        snprintf(last, sizeof(last), "-%" PRId64, id_seq(first->b - 1));
    int x = text_columns(id) > cell.width ? area_text_ends(cell, 0, 0, plain, id)
                                          : area_print(cell, 0, 0, plain, "%s%s", id, last);
    if (node->n_ranges > 1)
        area_print(cell, x, 0, (struct pen_style){ROLE_DIM, ROLE_TEXT, 0}, " and %zu more, %s ids",
                   node->n_ranges - 1, text_short(count, (double)ids));
}

/* A node that stopped as it was told to is no bad news. */
static bool stopped(const struct node *node)
{
    return node->state == NODE_DEAD && strcmp(node->cause, "stopped") == 0;
}

static void state_draw(const struct node *node, struct area cell)
{
    struct pen_style style = {stopped(node) ? ROLE_DIM : states[node->state].role, ROLE_TEXT, 0};
    bool leaving =
        node->desired != DESIRED_RUN && node->state != NODE_DEAD && node->state != NODE_PAUSED;
    area_put(cell, 0, 0, cell.grid->ascii ? states[node->state].ascii : states[node->state].code,
             style);
    area_print(cell, 2, 0, style, "%s",
               !leaving                           ? node_state_name(node->state)
               : node->desired == DESIRED_STOPPED ? "stopping"
                                                  : "pausing");
}

/* A dead node has nothing to say but what it died of: across all columns. */
static void cause_draw(const struct node *node, struct area cell)
{
    struct area row = cell;
    row.width = cell.grid->width - cell.x;
    area_text(row, 0, 0, (struct pen_style){ROLE_DIM, ROLE_TEXT, 0}, node->cause);
}

/* All to one scale, so that nodes can be compared; never quite as high as a row, so that rows stay
 * apart. */
static void curve_draw(const struct moment *moment, const struct moment_node *seen,
                       struct area cell)
{
    float most = 0;
    int n = cell.width < MOMENT_RATES ? cell.width : MOMENT_RATES;
    for (size_t i = 0; i < moment->n_live; i++)
        for (int k = 0; k < MOMENT_RATES; k++)
            most = moment->nodes[i].rates[k] > most ? moment->nodes[i].rates[k] : most;
    area_spark(cell, 0, 0, seen->rates + MOMENT_RATES - n, (size_t)n, most * 8.0 / 7,
               (struct pen_style){ROLE_GOOD, ROLE_TEXT, 0});
}

static void cell_draw(void *ctx, size_t row, size_t column, struct area cell)
{
    const struct moment *moment = ctx;
    const struct moment_node *seen = node_at(ctx, row);
    const struct node *node = &seen->node;
    bool dead = node->state == NODE_DEAD;
    char text[TEXT_BYTES];
    struct pen_style style = {dead ? ROLE_DIM : ROLE_TEXT, ROLE_TEXT, 0};
    struct pen_style own = {(enum role)(ROLE_NODE + seen->colour % NODE_COLOURS), ROLE_TEXT,
                            STYLE_BOLD};
    if (dead && column > SINCE) {
        if (column == SLOTS)
            cause_draw(node, cell);
        return;
    }
    switch ((enum column)column) {
    case NODE:
        area_put(cell, 0, 0, (uint32_t)seen->letter, own);
        area_text(cell, 2, 0, style, node->name);
        break;
    case STATE:
        state_draw(node, cell);
        break;
    case SINCE:
        right_text(cell, style,
                   text_span(text, moment->at_ms - (dead ? seen->died_ms : node->since_ms)));
        break;
    case SLOTS:
        snprintf(text, sizeof(text), "%zu/%d", node->n_running, node->slots);
        right_text(cell, style, text);
        break;
    case RATE:
        right_text(cell, style, text_short(text, node->rate));
        break;
    case CURVE:
        curve_draw(moment, seen, cell);
        break;
    case DONE:
        right_text(cell, style, text_short(text, (double)node->done));
        break;
    case FAILED:
        right_text(cell, node->failed > 0 ? (struct pen_style){ROLE_FAILED, ROLE_TEXT, 0} : style,
                   text_short(text, (double)node->failed));
        break;
    case RANGES:
        ranges_draw(moment, node, cell);
        break;
    case BEAT: {
        int64_t age_ms = moment->at_ms - node->beat_ms;
        bool late = node->lease_ms > 0 && age_ms > node->lease_ms / 2;
        right_text(cell, late ? (struct pen_style){ROLE_WARN, ROLE_TEXT, STYLE_BOLD} : style,
                   text_span(text, age_ms));
        break;
    }
    case HOST:
        area_text(cell, 0, 0, style, node->host);
        break;
    }
}

static struct list list_of(const struct moment *moment)
{
    return (struct list){
        .columns = columns,
        .n_columns = sizeof(columns) / sizeof(columns[0]),
        .n = moment->n_nodes,
        .ctx = (void *)moment,
        .key = row_key,
        .draw = cell_draw,
        .compare = row_compare,
        .text = row_text,
    };
}

/* ---- one of them ---------------------------------------------------------------------------- */

__attribute__((format(printf, 4, 5))) static void
line_draw(struct area area, int *y, const char *name, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    area_text(area, 1, *y, (struct pen_style){ROLE_DIM, ROLE_TEXT, 0}, name);
    area_text(area_columns(area, 1 + NAME, area.width), 0, *y,
              (struct pen_style){ROLE_TEXT, ROLE_TEXT, 0}, text);
    *y += 1;
}

static void names_text(char *text, size_t size, const char (*names)[LIMIT_NAME_BYTES + 1], size_t n)
{
    size_t used = 0;
    snprintf(text, size, "all");
    for (size_t i = 0; i < n && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "", names[i]);
}

/* Ranges, then the jobs that run, one behind the other as far as there is room. */
static void holds_draw(const struct moment *moment, const struct node *node, struct area area,
                       int y)
{
    char id[ID_TEXT_BYTES], to[TEXT_BYTES];
    struct area line = area_columns(area, 1 + NAME, area.width);
    struct pen_style plain = {ROLE_TEXT, ROLE_TEXT, 0}, dim = {ROLE_DIM, ROLE_TEXT, 0};
    struct pen_style warn = {ROLE_SUSPECT, ROLE_TEXT, STYLE_BOLD};
    area_text(area, 1, y, dim, "answers for");
    int x = node->n_ranges == 0 ? area_text(line, 0, y, dim, "nothing") : 0;
    for (size_t i = 0; i < node->n_ranges && x < line.width; i++) {
        const struct node_range *r = &node->ranges[i];
        snprintf(to, sizeof(to), "-%" PRId64, id_seq(r->range.b - 1));
        x += area_print(line, x, y, plain, "%s%s", text_id(id, moment, r->range.a),
                        r->range.b - r->range.a > 1 ? to : "");
        x += area_text(line, x, y, warn, r->range.suspect ? " rescued" : "");
        x += area_text(line, x, y, dim, r->returning != 0 ? " going back" : "") + 2;
    }
    area_text(area, 1, y + 1, dim, "runs");
    x = node->n_running == 0 ? area_text(line, 0, y + 1, dim, "nothing") : 0;
    for (size_t i = 0; i < node->n_running && x < line.width; i++)
        x += 2 + area_text(line, x, y + 1, plain, text_id(id, moment, node->running[i].id));
}

static void detail_draw(const struct moment *moment, const struct moment_node *seen,
                        struct area area)
{
    const struct node *node = &seen->node;
    char a[TEXT_BYTES], b[TEXT_BYTES], c[TEXT_BYTES], names[400];
    int y = 0;
    area_fill(area_rows(area, 0, 1), area.grid->ascii ? '-' : 0x2500,
              (struct pen_style){ROLE_DIM, ROLE_TEXT, 0});
    area_print(area, 2, y++, (struct pen_style){ROLE_TITLE, ROLE_TEXT, STYLE_BOLD}, " %s ",
               node->name);
    line_draw(area, &y, "state", "%s for %s, since %s%s%s", node_state_name(node->state),
              text_span(a, moment->at_ms - node->since_ms),
              text_when(b, node->since_ms, moment->at_ms), node->cause[0] != '\0' ? ": " : "",
              node->cause);
    line_draw(area, &y, "process", "%" PRId64 " on %s, stint %s, load %.2f, came %s", node->pid,
              node->host, node->version, node->load, text_when(a, seen->first_ms, moment->at_ms));
    line_draw(area, &y, "jobs", "%s done, %s failed, %s interrupted", text_count(a, node->done),
              text_count(b, node->failed), text_count(c, node->interrupted));
    names_text(names, sizeof(names), node->queues, node->n_queues);
    line_draw(area, &y, "queues", "%s", names);
    names_text(names, sizeof(names), node->types, node->n_types);
    line_draw(area, &y, "types", "%s", names);
    holds_draw(moment, node, area, y);
}

/* ---- the view ------------------------------------------------------------------------------- */

static void cluster_draw(const struct moment *moment, struct focus *focus, void *own,
                         struct area area)
{
    struct cluster_state *state = own;
    struct list list = list_of(moment);
    if (moment->n_nodes == 0) {
        area_text(area, 2, 1, (struct pen_style){ROLE_DIM, ROLE_TEXT, 0},
                  moment->live ? "No node is running; start one with `stint node start`."
                               : "No node was running then.");
        return;
    }
    bool room = area.height - (int)moment->n_nodes >= DETAIL_ROWS + 2;
    state->panel = room || state->detail;
    int high = area.height - (state->panel ? DETAIL_ROWS : 0);
    high = high < 3 ? 3 : high;
    state->list.chosen = focus->node != 0 ? focus->node : state->list.chosen;
    size_t chosen = list_draw(&list, &state->list, focus, area_rows(area, 0, high));
    focus->node = chosen < moment->n_nodes ? moment->nodes[chosen].node.id : 0;
    if (chosen < moment->n_nodes)
        detail_draw(moment, &moment->nodes[chosen], area_rows(area, high, DETAIL_ROWS));
}

/* To what it answers for, on the map. */
static bool enter(const struct moment *moment, struct focus *focus)
{
    int32_t at = moment_node_index(moment, focus->node);
    if (at < 0 || moment->nodes[at].node.n_ranges == 0)
        return false;
    focus->show = moment->nodes[at].node.ranges[0].range;
    focus->go_to = VIEW_MAP + 1;
    return true;
}

static bool cluster_move(const struct moment *moment, struct focus *focus, void *own,
                         enum move move)
{
    struct cluster_state *state = own;
    struct list list = list_of(moment);
    if (move == MOVE_IN && state->panel)
        return enter(moment, focus);
    if ((move == MOVE_IN && moment->n_nodes > 0) || (move == MOVE_OUT && state->detail)) {
        state->detail = move == MOVE_IN;
        return true;
    }
    state->list.chosen = focus->node != 0 ? focus->node : state->list.chosen;
    bool moved = list_move(&list, &state->list, focus, move);
    focus->node = state->list.chosen;
    return moved;
}

static bool cluster_click(const struct moment *moment, struct focus *focus, void *own, int x, int y)
{
    (void)x;
    struct cluster_state *state = own;
    struct list list = list_of(moment);
    bool there = list_click(&list, &state->list, focus, y);
    focus->node = state->list.chosen;
    return there;
}

const struct view view_cluster = {
    .kind = VIEW_CLUSTER,
    .name = "Cluster",
    .state_bytes = sizeof(struct cluster_state),
    .draw = cluster_draw,
    .move = cluster_move,
    .click = cluster_click,
};
