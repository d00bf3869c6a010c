/* The records that a datastore holds (DESIGN §3). Plain data, and what can be said of one record
 * by looking at it.
 *
 * Pointers inside a record are borrowed from whoever made it: the arena of the run that read it,
 * or the caller that writes it, until the run is done. Times are UTC in ms by the datastore's
 * clock (0: not yet); durations are in ms. Ids are stored ids (datastore/id.h). */
#ifndef STINT_RECORDS_H
#define STINT_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datastore/bytes.h"
#include "datastore/id.h"
#include "datastore/limits.h"

/* ---- meta ------------------------------------------------------------------------------- */

enum { SCHEMA_VERSION = 1, FEATURES_KNOWN = 0 };

struct meta {
    int32_t schema_version;
    int32_t reader_version_min; /* lowest schema a program must know to read this store */
    int32_t writer_version_min; /* ... to write to it */
    int64_t features;           /* bits a node must know before it claims */
    int64_t created_ms;
    char copying[LIMIT_COPYING_BYTES + 1]; /* an unfinished copy: of what; else "" */
};

/* ---- queues and lanes ------------------------------------------------------------------- */

struct queue {
    char name[LIMIT_NAME_BYTES + 1];
    bool paused;
    int32_t weight;     /* 1 by default */
    int32_t partitions; /* exclusive lanes of an ordered or limited queue; 0: an ordinary queue */
    int64_t changed_ms;
    char changed_by[LIMIT_NAME_BYTES + 1]; /* user@host, cut to fit */
};

/* Grant and return numbers have two parts: which life of the entry, and a count within it. A claim
 * that was to make the entry and was given up may yet be carried out, even after another made it
 * and a burial took it out again: the node gives each such claim a life of its own, so that an
 * entry and a record that do not speak of the same one can be told apart. */
enum { GRANT_COUNT_BITS = 40 };

static inline uint64_t grant_life(uint64_t number)
{
    return number >> GRANT_COUNT_BITS;
}

/* One node's line in a lane record (DESIGN §4). */
struct lane_entry {
    int64_t node;
    uint64_t g;        /* number of its last grant */
    struct range last; /* that grant */
    uint64_t r;        /* number of its last return */
};

struct lane {
    int32_t number;
    struct lane_name name;
    int64_t tail;   /* stored id to hand out next to a submitter */
    int64_t head;   /* stored id to grant next; head <= tail */
    int64_t holder; /* exclusive lanes: the node that may claim; 0: nobody */
    bool exclusive;
    const char **types; /* every type ever submitted here */
    size_t n_types;
    struct range *pool; /* taken back, ascending, coalesced where equally suspect */
    size_t n_pool;
    struct lane_entry *entries;
    size_t n_entries;
};

/* Ids left to grant; of a damaged record, at most what a number holds. */
int64_t lane_backlog(const struct lane *lane);

/* ---- nodes ------------------------------------------------------------------------------ */

enum node_state {
    NODE_INITIALIZING,
    NODE_WAITING,
    NODE_WORKING,
    NODE_PAUSED,
    NODE_DEAD,
    NODE_STATES
};

const char *node_state_name(enum node_state state);
int node_state_parse(const char *name); /* -1 for no such state */

enum node_desired { DESIRED_RUN, DESIRED_PAUSED, DESIRED_STOPPED };

/* A range the node answers for. returning: 0, or the number of the return that gives it back. */
struct node_range {
    struct range range;
    uint64_t returning;
};

struct node_grant {
    int32_t lane;
    uint64_t g; /* highest grant accepted from that lane */
};

struct node_running {
    int64_t id;
    int32_t run;
    int64_t started_ms; /* 0: named before its start, from a suspect range */
    char type[LIMIT_NAME_BYTES + 1];
};

enum request_kind { REQUEST_CANCEL, REQUEST_SHED };

struct node_request {
    uint64_t seq; /* given by the record, ascending */
    enum request_kind kind;
    int64_t id;   /* CANCEL: the job; SHED: any id of the lane asked about */
    int64_t from; /* node that asks; 0: a person */
};

struct node {
    /* Set once, when the record is added. */
    int64_t id; /* random, > 0 */
    char name[LIMIT_NAME_BYTES + 1];
    char host[LIMIT_NAME_BYTES + 1];
    char boot_id[40]; /* of the kernel; with pid_ns and pid: whether watchers can see the process */
    int64_t pid_ns;   /* inode of the pid namespace */
    int64_t pid;
    int64_t pid_start; /* process start, clock ticks since boot */
    char version[24];
    int32_t slots;
    int64_t lease_ms;
    char (*queues)[LIMIT_NAME_BYTES + 1];
    size_t n_queues;
    char (*types)[LIMIT_NAME_BYTES + 1];
    size_t n_types;
    char doorbell[64];
    int64_t created_ms;

    /* The node's own part: written by nobody else while it lives (DS_NODE_WRITE). */
    enum node_state state;
    int64_t since_ms;
    uint64_t beat; /* heartbeat counter: grows by one with every write of this part */
    int64_t beat_ms;
    struct node_range *ranges;
    size_t n_ranges;
    struct node_grant *granted;
    size_t n_granted;
    struct node_running *running;
    size_t n_running;
    int64_t done, failed, interrupted; /* outcomes it recorded */
    double rate;                       /* jobs ended a second, lately */
    double load;                       /* the machine's load average over a minute */

    /* Written by others (DS_NODE_ASK), consumed by the node. */
    enum node_desired desired;
    uint64_t request_seq; /* number of the newest request ever made */
    struct node_request *requests;
    size_t n_requests;

    /* Written by whoever buries it, itself included; then final. */
    char cause[160]; /* "stopped", "buried by X", "fenced", "crashed" */
};

/* ---- jobs ------------------------------------------------------------------------------- */

enum job_state {
    JOB_QUEUED,
    JOB_SCHEDULED,
    JOB_BLOCKED,
    JOB_DONE,
    JOB_FAILED,
    JOB_CANCELLED,
    JOB_VOID, /* internal: an id that will never hold a job */
    JOB_SLOT, /* internal: an id that leads to job `slot` at run `run` (DESIGN §5) */
    JOB_STATES
};

const char *job_state_name(enum job_state state);
int job_state_parse(const char *name); /* -1 for no such state */

static inline bool job_state_finished(enum job_state s)
{
    return s == JOB_DONE || s == JOB_FAILED || s == JOB_CANCELLED;
}

struct job_limit {
    int32_t resource; /* RLIMIT_* */
    uint64_t value;
};

/* What was asked for beyond the common columns; NULL in a job means all defaults. */
struct job_spec {
    int32_t max_attempts;      /* 0: 1 */
    int32_t max_interruptions; /* 0: MAX_INTERRUPTIONS_DEFAULT */
    int64_t timeout_ms;        /* 0: none */
    int64_t backoff_ms;
    int64_t run_at_ms;
    const char *cwd;  /* NULL: the node's */
    struct bytes env; /* NAME=VALUE\0 ... */
    const struct job_limit *limits;
    size_t n_limits;
    const char *key;
    const char *group;
    const int64_t *after;
    size_t n_after;
    int64_t copy_of;
};

enum { MAX_INTERRUPTIONS_DEFAULT = 3 };

/* How one attempt ended. */
struct job_attempt {
    int32_t run;
    bool interrupted; /* cut short by its node's death or stop; else it ended by itself */
    int64_t node;
    int64_t started_ms, finished_ms;
    int32_t exit_code; /* -1: it did not exit by itself */
    int32_t signal;    /* 0: none */
    bool timed_out;
    const char *error; /* why it failed, for a person; NULL: nothing to add */
    struct bytes output;
};

/* What came of a job beyond the common columns; NULL means: nothing but its times. */
struct job_ending {
    int32_t exit_code; /* -1: it did not exit by itself */
    int32_t signal;
    bool timed_out;
    int64_t user_ms, sys_ms, maxrss_kb;
    struct bytes result;
    struct bytes output; /* tail */
    uint64_t output_total;
    const char *error;
    const struct job_attempt *trace; /* earlier runs, oldest first */
    size_t n_trace;
};

struct job {
    int64_t id;
    enum job_state state;
    int32_t run;           /* 1 at first; moved on by each failure and each interruption */
    int32_t interruptions; /* attempt = run - interruptions */
    const char *type;
    struct bytes payload; /* a handler's input; an exec job's standard input */
    struct bytes argv;    /* exec: arguments, each followed by a NUL */
    int64_t token;        /* submit token of this row: tells one's own insert from another's */
    int64_t created_ms, started_ms, finished_ms;
    int64_t node; /* that recorded the outcome */
    int64_t slot; /* row that leads here instead of the own one; of a SLOT row: the job; 0: none */
    int64_t due_ms;    /* SCHEDULED: when */
    const char *batch; /* NULL: none */
    const struct job_spec *spec;
    const struct job_ending *ending;
};

/* The limits that hold for a job, whether it was given any or not. */
static inline int32_t job_max_attempts(const struct job *job)
{
    return job->spec != NULL && job->spec->max_attempts > 0 ? job->spec->max_attempts : 1;
}

static inline int32_t job_max_interruptions(const struct job *job)
{
    return job->spec != NULL && job->spec->max_interruptions > 0 ? job->spec->max_interruptions
                                                                 : MAX_INTERRUPTIONS_DEFAULT;
}

static inline size_t ending_bytes(const struct job_ending *ending)
{
    size_t bytes = ending->result.len + ending->output.len;
    for (size_t i = 0; i < ending->n_trace; i++)
        bytes += ending->trace[i].output.len;
    return bytes;
}

/* What was given with it and what came of it, in bytes: what pages and batches are bounded by. */
static inline size_t job_bytes(const struct job *job)
{
    return job->payload.len + job->argv.len + (job->spec != NULL ? job->spec->env.len : 0) +
           (job->ending != NULL ? ending_bytes(job->ending) : 0);
}

static inline bool job_fits(const struct job *job)
{
    return job->payload.len <= LIMIT_PAYLOAD_BYTES && job->argv.len <= LIMIT_ARGV_BYTES &&
           (job->spec == NULL || job->spec->env.len <= LIMIT_ENV_BYTES);
}

/* A chunk of one bulk submit: its first row carries this, so that an interrupted submit run again
 * finds what is there already (DS_SUBMIT_FIND). */
struct submit_chunk {
    const char *submit; /* the submit's name, 1..LIMIT_NAME_BYTES */
    int64_t index;      /* number of the chunk's first job within the submit, from 0 */
    int64_t id;         /* its stored id (found); ignored when inserting */
    int64_t count;      /* jobs in the chunk, consecutive ids */
    bool last;          /* no chunk follows */
    bool cut;           /* found: a part of a chunk of which not all rows are there */
};

/* ---- finished ranges, history ------------------------------------------------------------ */

struct stint_row {
    struct range range;
    int64_t node;
    int64_t done, failed, cancelled; /* the rest of the range led nowhere */
    int64_t first_start_ms, last_finish_ms;
};

/* A version of one node's record (DESIGN §3): a BSON document made by node/history.c. */
struct history_row {
    int64_t node;
    int64_t seq;
    int64_t at_ms;
    bool whole; /* else: only the fields that changed since the version before */
    struct bytes body;
};

#endif
