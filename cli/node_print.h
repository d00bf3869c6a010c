/* Nodes as `stint node list` and `stint status` show them (cmd_node.c). */
#ifndef STINT_NODE_PRINT_H
#define STINT_NODE_PRINT_H

#include "cli/output.h"
#include "cli/view.h"

void nodes_print_table(const struct view *view, bool dead_too);
void node_write_json(struct json *json, const struct view *view, const struct node *node);
void node_write_who(struct json *json, const struct node *node);  /* parts of it: up to slots ... */
void node_write_work(struct json *json, const struct node *node); /* ... and what it has done */

#endif
