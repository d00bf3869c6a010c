/* What can be said of a record by looking at it; names of states, as people and the stores that
 * keep them as text see them. Pure. */
#include "datastore/records.h"

#include <string.h>

static const char *const node_names[NODE_STATES] = {
    [NODE_INITIALIZING] = "initializing",
    [NODE_WAITING] = "waiting",
    [NODE_WORKING] = "working",
    [NODE_PAUSED] = "paused",
    [NODE_DEAD] = "dead",
};

static const char *const job_names[JOB_STATES] = {
    [JOB_QUEUED] = "queued", [JOB_SCHEDULED] = "scheduled", [JOB_BLOCKED] = "blocked",
    [JOB_DONE] = "done",     [JOB_FAILED] = "failed",       [JOB_CANCELLED] = "cancelled",
    [JOB_VOID] = "void",     [JOB_SLOT] = "slot",
};

const char *node_state_name(enum node_state state)
{
    return (unsigned)state < NODE_STATES ? node_names[state] : "?";
}

const char *job_state_name(enum job_state state)
{
    return (unsigned)state < JOB_STATES ? job_names[state] : "?";
}

static int name_find(const char *const *names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

int node_state_parse(const char *name)
{
    return name_find(node_names, NODE_STATES, name);
}

int job_state_parse(const char *name)
{
    return name_find(job_names, JOB_STATES, name);
}

int64_t lane_backlog(const struct lane *lane)
{
    int64_t ids = lane->tail - lane->head;
    for (size_t i = 0; i < lane->n_pool; i++)
        if (__builtin_add_overflow(ids, range_count(lane->pool[i]), &ids))
            return INT64_MAX;
    return ids;
}
