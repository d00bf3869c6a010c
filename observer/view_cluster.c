/* The cluster: its nodes, the living first, then those that died lately with what they died of.
 * Pure. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "observer/list.h"
#include "observer/text.h"

struct cluster_state {
    struct list_state list;
};

enum column { NODE, STATE, SINCE, SLOTS, RATE, CURVE, DONE, FAILED, RANGES, BEAT, HOST };

static const struct list_column columns[] = {
    [NODE] = {"NODE", 12, 1, 0, false},
    [STATE] = {"STATE", 12, 0, 0, false},
    [SINCE] = {"SINCE", 7, 0, 5, true},
    [SLOTS] = {"BUSY", 7, 0, 0, true},
    [RATE] = {"JOBS/S", 6, 0, 0, true},
    [CURVE] = {"LAST MINUTE", 12, 2, 2, false},
    [DONE] = {"DONE", 6, 0, 4, true},
    [FAILED] = {"FAILED", 6, 0, 3, true},
    [RANGES] = {"ANSWERS FOR", 16, 3, 6, false},
    [BEAT] = {"BEAT", 6, 0, 7, true},
    [HOST] = {"HOST", 8, 1, 8, false},
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
        return strcmp(x->name, y->name);
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
    char lane[2 * TEXT_BYTES] = "", a[TEXT_BYTES], b[TEXT_BYTES], count[TEXT_BYTES];
    for (size_t i = 0; i < moment->n_lanes; i++)
        if (moment->lanes[i].number == id_lane(first->a) && moment->n_lanes > 1)
            text_lane(lane, &moment->lanes[i].name);
    int x = area_print(cell, 0, 0, (struct pen_style){ROLE_TEXT, ROLE_TEXT, 0}, "%s%s%s-%s", lane,
                       lane[0] != '\0' ? ":" : "", text_count(a, id_seq(first->a)),
                       text_count(b, id_seq(first->b - 1)));
    if (node->n_ranges > 1)
        area_print(cell, x, 0, (struct pen_style){ROLE_DIM, ROLE_TEXT, 0}, " and %zu more, %s ids",
                   node->n_ranges - 1, text_short(count, (double)ids));
}

static void state_draw(const struct node *node, struct area cell)
{
    struct pen_style style = {states[node->state].role, ROLE_TEXT, 0};
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
        area_spark(cell, 0, 0,
                   seen->rates + (cell.width < MOMENT_RATES ? MOMENT_RATES - cell.width : 0),
                   cell.width < MOMENT_RATES ? (size_t)cell.width : MOMENT_RATES, 0,
                   (struct pen_style){ROLE_GOOD, ROLE_TEXT, 0});
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

/* ---- the view ------------------------------------------------------------------------------- */

static void cluster_draw(const struct moment *moment, struct focus *focus, void *own,
                         struct area area)
{
    struct cluster_state *state = own;
    struct list list = list_of(moment);
    if (moment->n_nodes == 0) {
        area_text(area, 2, 1, (struct pen_style){ROLE_DIM, ROLE_TEXT, 0},
                  "No node is running; start one with `stint node start`.");
        return;
    }
    size_t chosen = list_draw(&list, &state->list, focus, area);
    focus->node = chosen < moment->n_nodes ? moment->nodes[chosen].node.id : 0;
}

static bool cluster_move(const struct moment *moment, struct focus *focus, void *own,
                         enum move move)
{
    struct cluster_state *state = own;
    struct list list = list_of(moment);
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
