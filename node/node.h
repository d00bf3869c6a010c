/* A node as a process: what `stint node start` runs. */
#ifndef STINT_NODE_H
#define STINT_NODE_H

#include "datastore/error.h"
#include "datastore/limits.h"

#include <stddef.h>
#include <stdint.h>

struct node_config {
    const char *store_uri;
    const char *name;    /* NULL: made of the host's name and a number */
    int32_t slots;       /* jobs at a time; 0: one for each processor this process may use */
    const char *const *queues; /* served; none: "default" */
    size_t n_queues;
    uint64_t lease_ms;        /* 0: 5,000 */
    uint64_t stop_timeout_ms; /* UINT64_MAX: 30,000 */
};

/* Runs a node in this process until it is stopped (SIGTERM, SIGINT, `stint node stop`) and returns
 * 0, or a code with `err` filled when it cannot start or go on. Takes over signal handling of the
 * process; must be called while it has a single thread. */
int node_main(const struct node_config *config, struct error *err)
    __attribute__((warn_unused_result));

#endif
