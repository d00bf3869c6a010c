/* Insides of the cluster, shared by its parts and included by nobody else:
 *   cluster.c          nodes and their environment, the order of events
 *   cluster_store.c    what becomes of a step: trouble, late arrival, checks
 *   cluster_weather.c  submitters, chaos, and the end of it all */
#ifndef STINT_TEST_CLUSTER_INTERNAL_H
#define STINT_TEST_CLUSTER_INTERNAL_H

#include "node/core.h"
#include "tests/support/cluster.h"
#include "tests/support/ledger_check.h"

enum {
    MEMBERS_MAX = 8,
    FLIGHTS_MAX = 32,
    EXECUTING_MAX = 32,
    GONE_MAX = 16,
    LATE_MAX = 64,
    SUBMITTERS_MAX = 4,
    SUBMIT_BATCH = 8,
    TOKENS_MAX = 1024,
    LEASE_MS = 4000,
};

#define NEVER UINT64_MAX

/* A run that a node asked for. */
struct flight {
    struct ds_run *run;
    size_t next; /* step to carry out; n_steps: the reply is under way */
    uint64_t due_ms;
};

/* A job that a node runs. */
struct executing {
    int64_t id;
    int32_t run;
    uint64_t end_ms;
    bool ok;
    int64_t token; /* of one that kills its node; else 0 */
};

/* A place for a node; its incarnations come one after another. */
struct member {
    struct env env; /* first */
    struct cluster *cluster;
    struct core *core; /* NULL: not running */
    struct node identity;
    uint64_t boot_ms; /* its clock is ours plus this */
    bool doomed;      /* it dies as soon as the present event is over */
    bool told_dead;   /* a reply told it that it is buried */
    int64_t hushed;   /* last job that ended badly after that: its outcome is none */
    uint64_t tick_ms, thaw_ms, restart_ms, wake_ms; /* NEVER: not */
    struct flight flights[FLIGHTS_MAX];
    size_t n_flights;
    struct executing jobs[EXECUTING_MAX];
    size_t n_jobs;
    int64_t gone[GONE_MAX]; /* watched processes that ended */
    size_t n_gone;
};

/* A step that reaches the store after its caller had given it up, with the step it is linked to.
 * The worst moments are chosen on purpose: */
enum ambush {
    AMBUSH_NONE,
    AMBUSH_READ, /* when a burier has read the lanes, and not taken anything out of them yet */
    AMBUSH_BURY, /* when the caller's entry has been taken out */
    AMBUSHES
};

struct late {
    enum ambush ambush;
    int64_t node; /* its caller; 0: not a node */
    struct ds_step steps[2];
    size_t n_steps;
    struct ds_run run;
    uint64_t due_ms;
};

struct submission {
    int64_t token, id;
};

struct submitter {
    uint64_t due_ms;
    size_t left;  /* jobs to submit yet */
    int32_t lane; /* of the present batch */
    const char *type;
    bool reserved; /* the batch has ids */
    struct submission batch[SUBMIT_BATCH];
    size_t n;
};

struct cluster {
    struct cluster_plan plan;
    uint64_t now_ms, rng;
    struct memory_store *store;
    struct datastore *ds;
    struct ledger_check *check;
    FILE *trace;
    struct member members[MEMBERS_MAX];
    struct submitter submitters[SUBMITTERS_MAX];
    struct late late[LATE_MAX];
    size_t n_late;
    int32_t lanes[3];
    size_t n_lanes;
    int64_t next_token, next_node;
    int64_t acked[TOKENS_MAX]; /* ids of accepted submits */
    int64_t acked_tokens[TOKENS_MAX];
    size_t n_acked;
    int32_t started_run[TOKENS_MAX]; /* by token: highest run started */
    uint8_t kills[TOKENS_MAX];       /* by token: nodes it killed */
    uint64_t chaos_ms, outage_until_ms, tend_ms;
    bool quiet;     /* nothing bad happens any more */
    bool stopping;  /* all nodes are being stopped for good */
    bool disturbed; /* a node died, froze, was stopped at once or buried: I7 says nothing now */
    struct cluster_torture torture;
    uint64_t torture_seen;
    uint64_t fired[DS_KINDS + 1][DS_KINDS];
    struct cluster_tally tally;
};

/* cluster.c */
uint64_t cluster_random(struct cluster *cluster);
uint64_t cluster_below(struct cluster *cluster, uint64_t n); /* 0..n-1; n > 0 */
bool cluster_chance(struct cluster *cluster, unsigned permille);
bool member_up(const struct member *member);
struct member *member_find(struct cluster *cluster, int64_t id); /* NULL: its process is gone */
int64_t store_utc_ms(void *ctx);                                 /* of the cluster */
void members_wake(struct cluster *cluster);                      /* the doorbells ring */

/* cluster_store.c */
/* Carries out step i of a run of that member (NULL: somebody else's). False: the run ends here. */
bool store_step(struct cluster *cluster, struct member *member, struct ds_run *run, size_t i);
/* The same without trouble, for a step on its own; results die with it. Returns its code. */
int store_plain(struct cluster *cluster, struct ds_step *step);
uint64_t late_due_ms(const struct cluster *cluster);
void late_fire(struct cluster *cluster);
/* The step i of that run gets there later, or never. */
void late_add(struct cluster *cluster, const struct member *member, const struct ds_run *run,
              size_t i);
void late_release(struct cluster *cluster);

/* cluster_weather.c */
void weather_init(struct cluster *cluster);
uint64_t weather_due_ms(const struct cluster *cluster);
void weather_fire(struct cluster *cluster);

/* What becomes of a job, by its token. */
struct fate {
    uint64_t ms;
    int32_t fails; /* so many attempts fail */
    bool killer, never;
};
struct fate fate_of(const struct cluster *cluster, const struct job *job);

#endif
