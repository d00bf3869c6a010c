/* The comparison of two moments (observer/diff.h). A moment lives until the next is made, so what
 * is to be compared of the first one is copied. Pure. */
#include "observer/diff.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observer/array.h"
#include "observer/text.h"

struct diff_node {
    int64_t id;
    enum node_state state;
    char name[LIMIT_NAME_BYTES + 1];
};

struct diff_base {
    int64_t at_ms, done, failed, backlog;
    size_t n_live;
    struct diff_node *nodes; /* by id */
    size_t n_nodes;
    struct moment_queue *queues; /* by name */
    size_t n_queues;
};

static const struct pen_style plain = {ROLE_TEXT, ROLE_TEXT, 0};
static const struct pen_style dim = {ROLE_DIM, ROLE_TEXT, 0};
static const struct pen_style strong = {ROLE_TITLE, ROLE_TEXT, STYLE_BOLD};

struct diff_base *diff_base_new(const struct moment *moment)
{
    struct diff_base *base = malloc(sizeof(*base));
    struct diff_node *nodes = calloc(moment->n_nodes + 1, sizeof(*nodes));
    struct moment_queue *queues = calloc(moment->n_queues + 1, sizeof(*queues));
    if (base == NULL || nodes == NULL || queues == NULL)
        abort();
    for (size_t i = 0; i < moment->n_nodes; i++) {
        const struct node *node = &moment->nodes[moment->by_id[i]].node;
        nodes[i] = (struct diff_node){.id = node->id, .state = node->state};
        snprintf(nodes[i].name, sizeof(nodes[i].name), "%s", node->name);
    }
    if (moment->n_queues > 0)
        memcpy(queues, moment->queues, moment->n_queues * sizeof(*queues));
    *base = (struct diff_base){
        .at_ms = moment->at_ms,
        .done = moment->done,
        .failed = moment->failed,
        .backlog = moment->backlog,
        .n_live = moment->n_live,
        .nodes = nodes,
        .n_nodes = moment->n_nodes,
        .queues = queues,
        .n_queues = moment->n_queues,
    };
    return base;
}

void diff_base_free(struct diff_base *base)
{
    if (base == NULL)
        return;
    free(base->nodes);
    free(base->queues);
    free(base);
}

/* "+12", "-3", "0" with marks between thousands. */
static char *change_text(char text[TEXT_BYTES], int64_t by)
{
    char number[TEXT_BYTES];
    text_count(number, by < 0 ? -by : by);
    snprintf(text, TEXT_BYTES, "%s%.40s", by > 0 ? "+" : by < 0 ? "-" : "", number);
    return text;
}

static void sums_draw(const struct diff_base *base, const struct moment *now, struct area area)
{
    char clock[TEXT_BYTES], span[TEXT_BYTES], done[TEXT_BYTES], failed[TEXT_BYTES];
    char waiting[TEXT_BYTES], nodes[TEXT_BYTES];
    int64_t ms = now->at_ms - base->at_ms;
    area_print(
        area, 0, 0, strong, "%s %s (%s): nodes %s, done %s, failed %s, waiting %s",
        ms < 0 ? "until" : "since", text_when(clock, base->at_ms, now->at_ms),
        text_span(span, ms < 0 ? -ms : ms),
        change_text(nodes, (int64_t)now->n_live - (int64_t)base->n_live),
        change_text(done, now->done - base->done), change_text(failed, now->failed - base->failed),
        now->backlog < 0 || base->backlog < 0 ? "?"
                                              : change_text(waiting, now->backlog - base->backlog));
}

static const struct diff_node *node_then(const struct diff_base *base, int64_t id)
{
    size_t at = ARRAY_BELOW(base->nodes, base->n_nodes, id, id);
    return at < base->n_nodes && base->nodes[at].id == id ? &base->nodes[at] : NULL;
}

static int change_draw(struct area area, int x, const char *name, const char *from, const char *to)
{
    x += area_print(area, x, 0, plain, "%s ", name);
    return x + area_print(area, x, 0, dim, "%s > %s  ", from, to);
}

static void nodes_draw(const struct diff_base *base, const struct moment *now, struct area area)
{
    int x = 2;
    for (size_t i = 0; i < now->n_nodes && x < area.width; i++) {
        const struct node *node = &now->nodes[i].node;
        const struct diff_node *then = node_then(base, node->id);
        if (then == NULL || then->state != node->state)
            x = change_draw(area, x, node->name, then != NULL ? node_state_name(then->state) : "-",
                            node_state_name(node->state));
    }
    for (size_t i = 0; i < base->n_nodes && x < area.width; i++)
        if (moment_node_index(now, base->nodes[i].id) < 0)
            x = change_draw(area, x, base->nodes[i].name, node_state_name(base->nodes[i].state),
                            "-");
    if (x == 2)
        area_text(area, x, 0, dim, "no node changed its state");
}

static void queues_draw(const struct diff_base *base, const struct moment *now, struct area area)
{
    int x = 2;
    if (now->backlog < 0 || base->backlog < 0) {
        area_text(area, x, 0, dim, "nothing is known of queues at one of the two");
        return;
    }
    for (size_t i = 0; i < now->n_queues && x < area.width; i++) {
        const struct moment_queue *queue = &now->queues[i];
        struct moment_queue then = {0};
        char done[TEXT_BYTES], waiting[TEXT_BYTES];
        for (size_t k = 0; k < base->n_queues; k++)
            if (strcmp(base->queues[k].queue.name, queue->queue.name) == 0)
                then = base->queues[k];
        int64_t by = queue->done - then.done, waits = queue->waiting - then.waiting;
        if (by == 0 && waits == 0)
            continue;
        x += area_print(area, x, 0, plain, "%s ", queue->queue.name);
        x += area_print(area, x, 0, dim, "%s done, %s waiting  ", change_text(done, by),
                        change_text(waiting, waits));
    }
    if (x == 2)
        area_text(area, x, 0, dim, "nothing changed in any queue");
}

void diff_draw(const struct diff_base *base, const struct moment *now, struct area area)
{
    sums_draw(base, now, area_rows(area, 0, 1));
    nodes_draw(base, now, area_rows(area, 1, 1));
    queues_draw(base, now, area_rows(area, 2, 1));
}
