/* The table of allowed moves between node states, and the states' names. Pure; any thread. */
#include "node/lifecycle.h"

#include <assert.h>

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

bool lifecycle_allows(enum node_state from, enum node_state to)
{
    assert((unsigned)from < NODE_STATES && (unsigned)to < NODE_STATES);
    return allowed[from][to];
}
