/* Every bound of Stint in one place (DESIGN: Limits), and how they relate.
 * Past a limit the caller gets ERR_LIMIT or ERR_BUSY and nothing is lost. */
#ifndef STINT_LIMITS_H
#define STINT_LIMITS_H

#include <assert.h>

enum {
    LIMIT_PAYLOAD_BYTES = 1 << 20,      /* input of one job */
    LIMIT_RESULT_BYTES = 1 << 20,       /* result of one job */
    LIMIT_ARGV_BYTES = 128 << 10,       /* all arguments of one exec job, NULs included */
    LIMIT_ENV_BYTES = 128 << 10,        /* all --env settings of one job, NULs included */
    LIMIT_OUTPUT_BYTES = 64 << 10,      /* kept tail of an exec job's output, at most */
    LIMIT_TRACE_ATTEMPTS = 20,          /* earlier attempts kept with a job */
    LIMIT_TRACE_OUTPUT_BYTES = 4 << 10, /* output kept of each of those */
    LIMIT_ERROR_BYTES = 1 << 10,        /* error text kept with a job */
    LIMIT_NAME_BYTES = 64,              /* names: 1..64 of [A-Za-z0-9._-] */
    LIMIT_PATH_BYTES = 4096,
    LIMIT_COPYING_BYTES = 255, /* what an unfinished copy says of its source */
    LIMIT_BATCH_JOBS = 10000,  /* rows of one insert */
    LIMIT_BATCH_BYTES = 4 << 20,
    LIMIT_TURN_MS = 50,         /* one write transaction */
    LIMIT_READ_MS = 100,        /* one read transaction */
    LIMIT_PAGE_JOBS = 4096,     /* rows of one load or listing page */
    LIMIT_RLIMITS = 16,         /* resource limits of one job */
    LIMIT_PAGE_BYTES = 1 << 20, /* of payloads and the like, after which a page ends */
    LIMIT_ATTEMPTS = 1000,      /* --max-attempts */
    LIMIT_PRIORITIES = 10,      /* 0 first .. 9 last */
    LIMIT_LANES = 4096,
    LIMIT_NODES = 4096,
    LIMIT_NODE_RECORDS = 2 * LIMIT_NODES, /* with the dead, which are kept for a day */
    LIMIT_QUEUES_SERVED = 32,             /* queues one node serves */
    LIMIT_TYPES = 32,                     /* job types of one lane, or served by one node */
    LIMIT_POOL_RANGES = 256,              /* ranges in a lane's pool; past it returns wait */
    LIMIT_GRANT_JOBS = 65536,             /* ids of one grant */
    LIMIT_HELD_RANGES = 320,        /* ranges one node holds: one for each slot, and some ahead */
    LIMIT_RETURN_RANGES = 16,       /* ranges of one return */
    LIMIT_SLOTS = 256,              /* jobs one node runs at a time */
    LIMIT_REQUESTS = 32,            /* requests waiting in a node's record */
    LIMIT_RUN_STEPS = 64,           /* steps of one run */
    LIMIT_ASYNC_RUNS = 64,          /* runs waiting for a worker thread */
    LIMIT_OUTCOMES_WAITING = 65536, /* outcomes not yet acknowledged, a node */
    LIMIT_OUTCOME_BYTES = 6 << 20,  /* what they may take, all batches together */
    LIMIT_FRAME_BYTES = 4 << 20,    /* body of one frame, packed or not */
};

static_assert(LIMIT_TRACE_OUTPUT_BYTES <= LIMIT_OUTPUT_BYTES, "a trace keeps a part of the output");
static_assert(LIMIT_PAYLOAD_BYTES + LIMIT_ARGV_BYTES + LIMIT_ENV_BYTES + LIMIT_RESULT_BYTES +
                      LIMIT_OUTPUT_BYTES + LIMIT_TRACE_ATTEMPTS * LIMIT_TRACE_OUTPUT_BYTES <
                  LIMIT_BATCH_BYTES,
              "the largest job fits a batch, with what came of it");
static_assert(LIMIT_PAGE_JOBS <= LIMIT_GRANT_JOBS, "a grant is loaded page by page");
static_assert(LIMIT_GRANT_JOBS <= LIMIT_OUTCOMES_WAITING, "a node can finish a whole grant");
static_assert(LIMIT_SLOTS < LIMIT_HELD_RANGES, "long jobs are claimed one by one, a range each");
static_assert(LIMIT_RETURN_RANGES <= LIMIT_POOL_RANGES, "a return fits an empty pool");

#endif
