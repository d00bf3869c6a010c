/* The cluster as commands see it, and ids as people write them.
 *
 * *Running* is no stored state: a job runs where a live node's record names it at its present run.
 * Single-threaded. */
#include "cli/view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static int running_compare(const void *a, const void *b)
{
    const struct view_running *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static void running_gather(struct view *view)
{
    size_t n = 0;
    for (size_t i = 0; i < view->n_nodes; i++)
        n += view->nodes[i].state != NODE_DEAD ? view->nodes[i].n_running : 0;
    if (n == 0)
        return;
    view->running = arena_alloc(&view->mem, n * sizeof(*view->running));
    for (size_t i = 0; i < view->n_nodes; i++) {
        const struct node *node = &view->nodes[i];
        for (size_t j = 0; node->state != NODE_DEAD && j < node->n_running; j++)
            if (node->running[j].started_ms != 0)
                view->running[view->n_running++] =
                    (struct view_running){node->running[j].id, node, &node->running[j]};
    }
    qsort(view->running, view->n_running, sizeof(*view->running), running_compare);
}

int view_read(struct datastore *ds, bool live_only, struct view *ret_view, struct error *err)
{
    struct view view = {0};
    struct ds_step lanes = {.kind = DS_LANES_READ, .lanes_read = {.lane = -1}};
    struct ds_step nodes = {.kind = DS_NODES_READ, .nodes_read = {.live_only = live_only}};
    int rc = datastore_step(ds, &lanes, &view.mem, err);
    if (rc == 0)
        rc = datastore_step(ds, &nodes, &view.mem, err);
    if (rc < 0) {
        arena_release(&view.mem);
        return rc;
    }
    view.lanes = lanes.lanes_read.ret_lanes;
    view.n_lanes = lanes.lanes_read.ret_n;
    view.nodes = nodes.nodes_read.ret_nodes;
    view.n_nodes = nodes.nodes_read.ret_n;
    running_gather(&view);
    *ret_view = view;
    return 0;
}

void view_clear(struct view *view)
{
    arena_release(&view->mem);
    *view = (struct view){0};
}

const struct lane *view_lane(const struct view *view, int32_t number)
{
    if (number >= 0 && (size_t)number < view->n_lanes && view->lanes[number].number == number)
        return &view->lanes[number];
    for (size_t i = 0; i < view->n_lanes; i++)
        if (view->lanes[i].number == number)
            return &view->lanes[i];
    return NULL;
}

const struct lane *view_lane_named(const struct view *view, const struct lane_name *name)
{
    for (size_t i = 0; i < view->n_lanes; i++) {
        const struct lane_name *have = &view->lanes[i].name;
        if (strcmp(have->queue, name->queue) == 0 && have->priority == name->priority &&
            have->partition == name->partition)
            return &view->lanes[i];
    }
    return NULL;
}

static bool names_hold(char (*names)[LIMIT_NAME_BYTES + 1], size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* A type of the lane that this node does not serve; NULL: it serves them all. */
static const char *type_missing(const struct node *node, const struct lane *lane)
{
    for (size_t i = 0; i < lane->n_types; i++)
        if (!names_hold(node->types, node->n_types, lane->types[i]))
            return lane->types[i];
    return NULL;
}

char *view_unserved(const struct view *view, const struct lane *lane)
{
    const char *missing = NULL;
    size_t live = 0;
    if (lane->head == lane->tail && lane->n_pool == 0)
        return NULL;
    for (size_t i = 0; i < view->n_nodes; i++) {
        const struct node *node = &view->nodes[i];
        if (node->state == NODE_DEAD)
            continue;
        live++;
        if (!names_hold(node->queues, node->n_queues, lane->name.queue))
            continue;
        missing = type_missing(node, lane);
        if (missing == NULL)
            return NULL;
    }
    if (live == 0)
        return NULL;
    if (missing != NULL)
        return cli_format("jobs wait in queue %s at priority %d: no live node serves type %s, "
                          "and a node takes only from where it serves every type",
                          lane->name.queue, lane->name.priority, missing);
    return cli_format("jobs wait in queue %s: no live node serves it; start one with "
                      "`stint node start --queue %s`",
                      lane->name.queue, lane->name.queue);
}

const struct node *view_node(const struct view *view, int64_t id)
{
    for (size_t i = 0; i < view->n_nodes; i++)
        if (view->nodes[i].id == id)
            return &view->nodes[i];
    return NULL;
}

const struct view_running *view_running(const struct view *view, int64_t id, int32_t run)
{
    struct view_running key = {.id = id};
    if (view->n_running == 0)
        return NULL;
    const struct view_running *found =
        bsearch(&key, view->running, view->n_running, sizeof(*view->running), running_compare);
    return found != NULL && found->job->run == run ? found : NULL;
}

char *view_id(const struct view *view, char text[ID_TEXT_BYTES], int64_t id)
{
    const struct lane *lane = view_lane(view, id_lane(id));
    if (lane != NULL)
        return id_format(text, &lane->name, id_seq(id));
    snprintf(text, ID_TEXT_BYTES, "?%" PRId32 ":%" PRId64, id_lane(id), id_seq(id));
    return text;
}

char *view_range(const struct view *view, char text[2 * ID_TEXT_BYTES], struct range range)
{
    view_id(view, text, range.a);
    size_t used = strlen(text);
    if (range_count(range) > 1)
        snprintf(text + used, 2 * ID_TEXT_BYTES - used, "-%" PRId64, id_seq(range.b - 1));
    return text;
}

int view_parse(const struct view *view, const char *text, struct range *ret_range,
               struct error *err)
{
    struct lane_name name;
    int64_t first, last;
    char quoted[QUOTE_BYTES];
    if (id_parse(text, &name, &first, &last) < 0)
        return error_set(err, ERR_INVALID,
                         "'%s' is no job id; write 17, 1-2000, or queue:17 for another queue",
                         cli_quote(quoted, text));
    const struct lane *lane = view_lane_named(view, &name);
    if (lane == NULL || id_make(lane->number, last) >= lane->tail)
        return error_set(err, ERR_NOT_FOUND, "no job %s; see `stint job list`",
                         cli_quote(quoted, text));
    *ret_range =
        (struct range){.a = id_make(lane->number, first), .b = id_make(lane->number, last) + 1};
    return 0;
}

/* ---- sets of ids ----------------------------------------------------------------------------- */

static int range_compare(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return (x->a > y->a) - (x->a < y->a);
}

void id_set_sort(struct id_set *set)
{
    if (set->sorted || set->n == 0)
        return;
    qsort(set->ranges, set->n, sizeof(*set->ranges), range_compare);
    size_t n = 0;
    for (size_t i = 1; i < set->n; i++) {
        struct range *last = &set->ranges[n], next = set->ranges[i];
        if (next.a > last->b || id_lane(next.a) != id_lane(last->a))
            set->ranges[++n] = next;
        else if (next.b > last->b)
            last->b = next.b;
    }
    set->n = n + 1;
    set->sorted = true;
}

void id_set_add(struct id_set *set, struct range range)
{
    if (set->n > 0 && set->ranges[set->n - 1].b == range.a &&
        id_lane(range.a) == id_lane(set->ranges[set->n - 1].a)) {
        set->ranges[set->n - 1].b = range.b;
        return;
    }
    if (set->n == set->max) {
        id_set_sort(set); /* interleaved lanes melt together */
        if (set->n >= set->max / 2) {
            set->max = set->max > 0 ? set->max * 2 : 16;
            set->ranges = cli_grow(set->ranges, set->max * sizeof(*set->ranges));
        }
    }
    set->ranges[set->n++] = range;
    set->sorted = false;
}

int64_t id_set_count(const struct id_set *set)
{
    int64_t count = 0;
    for (size_t i = 0; i < set->n; i++)
        count += range_count(set->ranges[i]);
    return count;
}

void id_set_clear(struct id_set *set)
{
    free(set->ranges);
    *set = (struct id_set){0};
}
