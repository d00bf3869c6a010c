/* How many jobs each queue has, and where they are. */
#ifndef STINT_COUNTS_H
#define STINT_COUNTS_H

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/view.h"

struct queue_counts {
    const struct queue *queue;
    int64_t submitted, waiting, held, done, failed, cancelled;
};

struct counts {
    struct arena mem;
    struct queue_counts *queues; /* by name */
    size_t n;
};

/* `view` holds the live nodes. Given: free with counts_clear. */
int counts_read(struct datastore *ds, const struct view *view, struct counts *ret_counts,
                struct error *err) __attribute__((warn_unused_result));
void counts_clear(struct counts *counts);
void counts_print_table(const struct counts *counts);
void counts_write_json(struct json *json, const struct queue_counts *counts); /* its fields */

/* Nodes, the same way. */
void nodes_print_table(const struct view *view, bool dead_too);
void node_write_json(struct json *json, const struct view *view, const struct node *node);
void node_write_who(struct json *json, const struct node *node);  /* parts of it: up to slots ... */
void node_write_work(struct json *json, const struct node *node); /* ... and what it has done */

#endif
