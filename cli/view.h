/* The cluster as commands see it: lanes and nodes read at one moment, and ids read and shown by
 * them. */
#ifndef STINT_VIEW_H
#define STINT_VIEW_H

#include "datastore/datastore.h"

struct view_running {
    int64_t id;
    const struct node *node;
    const struct node_running *job;
};

struct view {
    struct arena mem;
    struct lane *lanes; /* by number */
    size_t n_lanes;
    struct node *nodes; /* by id */
    size_t n_nodes;
    struct view_running *running; /* of live nodes, by id */
    size_t n_running;
};

/* Lanes, and nodes: live ones only, or all. Given: free with view_clear. */
int view_read(struct datastore *ds, bool live_only, struct view *ret_view, struct error *err)
    __attribute__((warn_unused_result));
void view_clear(struct view *view);

const struct lane *view_lane(const struct view *view, int32_t number); /* NULL: none */
const struct lane *view_lane_named(const struct view *view, const struct lane_name *name);
const struct node *view_node(const struct view *view, int64_t id);

/* Why no live node takes what waits in that lane (a text to be freed); NULL: one does, or nothing
 * waits, or no node runs at all. */
char *view_unserved(const struct view *view, const struct lane *lane);

/* Where a job runs now: it is named at that run, and has started. NULL: nowhere. */
const struct view_running *view_running(const struct view *view, int64_t id, int32_t run);

/* A stored id as people write it. Returns text. */
char *view_id(const struct view *view, char text[ID_TEXT_BYTES], int64_t id);

/* "1-2000", or "17" for one id; `text` holds 2 * ID_TEXT_BYTES. */
char *view_range(const struct view *view, char text[2 * ID_TEXT_BYTES], struct range range);

/* An id or a range as people write it, of a lane that is there and ids it has handed out.
 * ERR_INVALID: not an id; ERR_NOT_FOUND: no such job (yet). */
int view_parse(const struct view *view, const char *text, struct range *ret_range,
               struct error *err) __attribute__((warn_unused_result));

/* A set of ids as ranges. Zeroed is empty. */
struct id_set {
    struct range *ranges;
    size_t n, max;
    bool sorted;
};

void id_set_add(struct id_set *set, struct range range);
void id_set_sort(struct id_set *set); /* ascending and coalesced, after any number of adds */
int64_t id_set_count(const struct id_set *set);
void id_set_clear(struct id_set *set);

#endif
