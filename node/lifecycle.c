/* The table of allowed moves between node states, and the states' names. Pure; any thread. */
#include "node/lifecycle.h"

#include <assert.h>
#include <string.h>

/* clang-format off */
static const bool allowed[NODE_STATES][NODE_STATES] = {
    /* from \ to            initializing  waiting  working  paused  dead */
    [NODE_INITIALIZING] = { true,         true,    false,   false,  true  },
    [NODE_WAITING]      = { false,        true,    true,    true,   true  },
    [NODE_WORKING]      = { false,        true,    true,    true,   true  },
    [NODE_PAUSED]       = { false,        true,    true,    true,   true  },
    [NODE_DEAD]         = { false,        false,   false,   false,  false },
};
/* clang-format on */

static const char *const node_names[NODE_STATES] = {
    [NODE_INITIALIZING] = "initializing", [NODE_WAITING] = "waiting", [NODE_WORKING] = "working",
    [NODE_PAUSED] = "paused",             [NODE_DEAD] = "dead",
};

static const char *const job_names[JOB_STATES] = {
    [JOB_QUEUED] = "queued", [JOB_SCHEDULED] = "scheduled", [JOB_BLOCKED] = "blocked",
    [JOB_DONE] = "done",     [JOB_FAILED] = "failed",       [JOB_CANCELLED] = "cancelled",
    [JOB_VOID] = "void",     [JOB_SLOT] = "slot",
};

bool lifecycle_allows(enum node_state from, enum node_state to)
{
    assert((unsigned)from < NODE_STATES && (unsigned)to < NODE_STATES);
    return allowed[from][to];
}

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
