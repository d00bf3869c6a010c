/* Insides of the cluster, shared by its parts and included by nobody else:
 *   cluster.c         the order of events
 *   cluster_member.c  nodes: their environment, life and death
 *   cluster_store.c   what becomes of a step: trouble, checks
 *   cluster_late.c    steps that reach the store after their caller gave them up
 *   cluster_people.c  submitters, chaos, and the end of it all
 *   cluster_truth.c   rows against what the jobs saw */
#ifndef STINT_SIM_CLUSTER_INTERNAL_H
#define STINT_SIM_CLUSTER_INTERNAL_H

#include "node/core.h"
#include "tests/sim/cluster.h"
#include "tests/sim/ledger_check.h"

enum {
    FLIGHTS_MAX = 32,
    GONE_MAX = 16,
    LATE_MAX = 256,
    SUBMIT_BATCH = 8,
    UNIQUE_KEYS = 3,
    WITNESS_ENDS = 24,
    CANCELS_TOLD = 16,
    LEASE_MS = 4000,
};

#define NEVER UINT64_MAX
#define EPOCH_MS INT64_C(1700000000000)

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
    bool asked; /* by its node, to end */
    bool kills; /* its node */
    int64_t token;
};

/* A place for a node; its incarnations come one after another. */
struct member {
    struct env env; /* first */
    struct cluster *cluster;
    struct core *core; /* NULL: not running */
    struct node identity;
    uint64_t started_ms, boot_ms;  /* its clock showed boot_ms at started_ms ... */
    int64_t drift_ppm;             /* ... and runs that much faster */
    int64_t utc_ms;                /* its UTC clock is ahead by that */
    bool doomed;                   /* it dies as soon as the present event is over */
    bool told_dead;                /* a reply told it that it is buried */
    int64_t cancels[CANCELS_TOLD]; /* the last jobs that a reply asked it to cancel */
    size_t n_cancels;
    int64_t hushed; /* last job that ended badly after that: its outcome is none */
    uint64_t tick_ms, thaw_ms, restart_ms, wake_ms; /* NEVER: not */
    struct flight flights[FLIGHTS_MAX];
    size_t n_flights;
    struct executing jobs[PLAN_SLOTS_MAX];
    size_t n_jobs;
    int64_t gone[GONE_MAX]; /* watched processes that ended */
    size_t n_gone;
};

/* A step that reaches the store after its caller had given it up, with the step it is linked
 * to. The worst moments are chosen on purpose: */
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
    bool refused;  /* its one job, which has a key */
    bool asked;    /* for that: who holds the key */
    int64_t owner; /* that job; 0: nobody any more */
    struct submission batch[SUBMIT_BATCH];
    size_t n;
};

/* An execution that came to an end of its own. */
struct job_seen_end {
    int64_t node;
    int32_t run;
    bool ok;
};

/* What is known of a job from outside the store, by its token. */
struct witness {
    int64_t acked_id;     /* of an accepted submit; 0: not accepted */
    int64_t told_id;      /* of the job that had its key, told in its place; 0: not */
    int32_t run;          /* highest run started */
    int64_t starter;      /* the node that started it */
    uint8_t killed_nodes; /* how many */
    bool noop;            /* nodes do it on the spot: nobody sees that */
    bool cancelled;       /* somebody did, or tried to */
    bool unasked;         /* some node was not told of it: it had no room for requests */
    uint32_t started;     /* bit k: at run k */
    struct job_seen_end ends[WITNESS_ENDS];
    size_t n_ends;
};

struct cluster {
    struct cluster_plan plan;
    uint64_t now_ms, rng;
    struct memory_store *store;
    int64_t store_utc_ms; /* the store's clock is ahead by that */
    struct datastore *ds;
    struct ledger_check *check;
    FILE *trace;
    struct member *members;       /* plan.nodes */
    struct submitter *submitters; /* plan.submitters */
    struct late late[LATE_MAX];
    size_t n_late;
    int32_t lanes[PLAN_LANES_MAX];
    size_t n_lanes;
    int64_t next_token, next_node;
    struct witness *witnesses; /* by token; tokens_max */
    int64_t tokens_max;
    int64_t key_ids[UNIQUE_KEYS]; /* the job that was the last one to take it */
    int64_t *unwell; /* nodes that died, gave up, were stopped at once or buried: I7 exempts them */
    size_t n_unwell;
    uint64_t chaos_ms, tend_ms, outage_until_ms, slow_until_ms;
    bool quiet;    /* nothing bad happens any more */
    bool stopping; /* all nodes are being stopped for good */
    struct cluster_torture torture;
    uint64_t torture_seen;
    uint64_t troubles;
    const uint64_t *only; /* NULL: all of them */
    size_t n_only;
    struct cluster_tally tally;
};

/* cluster.c */
uint64_t cluster_below(struct cluster *cluster, uint64_t n); /* 0..n-1; n > 0 */
bool cluster_chance(struct cluster *cluster, uint64_t permille);
/* The same for trouble: not once all is quiet, and not for what is to be left out. */
bool cluster_trouble(struct cluster *cluster, uint64_t permille);
bool cluster_happens(struct cluster *cluster);      /* is the next trouble not to be left out? */
uint64_t cluster_delay_ms(struct cluster *cluster); /* of a way to the store, or back */
int64_t store_utc_ms(void *ctx);                    /* of the cluster */
void cluster_note(struct cluster *cluster, const struct member *who, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* cluster_member.c */
void member_init(struct cluster *cluster, struct member *member);
bool member_up(const struct member *member);
struct member *member_find(struct cluster *cluster, int64_t id); /* NULL: its process is gone */
void member_tick(struct member *member);
void member_over(struct cluster *cluster, struct member *member); /* its core came to its end */
void member_release(struct member *member);
void members_wake(struct cluster *cluster); /* the doorbells ring */
void flight_fire(struct cluster *cluster, struct member *member, size_t i);
void job_fire(struct cluster *cluster, struct member *member, size_t i);
bool unwell(const struct cluster *cluster, int64_t node);
void unwell_add(struct cluster *cluster, int64_t node);

/* cluster_store.c */
/* Carries out step i of a run of that member (NULL: somebody else's). False: the run ends here. */
bool store_step(struct cluster *cluster, struct member *member, struct ds_run *run, size_t i,
                uint64_t *ret_wait_ms);
/* The same without trouble, for a step on its own; results die with it. Returns its code. */
int store_plain(struct cluster *cluster, struct ds_step *step);
int store_apply(struct cluster *cluster, struct ds_run *run, size_t i);
void store_tell(struct cluster *cluster, const char *who, const char *what,
                const struct ds_step *step);

/* cluster_late.c */
uint64_t late_due_ms(const struct cluster *cluster);
void late_fire(struct cluster *cluster);
/* The step i of that run gets there later, or never. */
void late_add(struct cluster *cluster, const struct member *member, const struct ds_run *run,
              size_t i);
/* Applies step i of that run, and at once a copy of it. */
void apply_twice(struct cluster *cluster, struct ds_run *run, size_t i);
/* A step was applied: do others lie in wait for it? */
void late_spring(struct cluster *cluster, const struct ds_step *step);
void late_release(struct cluster *cluster);

/* cluster_people.c */
void people_init(struct cluster *cluster);
uint64_t people_due_ms(const struct cluster *cluster);
void people_fire(struct cluster *cluster);

/* What becomes of a job, by its token. */
struct fate {
    uint64_t ms;
    int32_t fails; /* so many attempts fail */
    bool killer, never, slow;
};
struct fate fate_of(const struct cluster *cluster, const struct job *job);
int32_t attempts_of(int64_t token);
int key_of(const struct cluster *cluster, int64_t token); /* -1: none */

/* cluster_truth.c */
void truth_started(struct cluster *cluster, const struct job *job);
void truth_ended(struct cluster *cluster, const struct member *member, const struct executing *job);
void truth_changed(void *ctx, int64_t id, const struct ledger_row *before,
                   const struct ledger_row *after);
/* The reply of a node that reads what it is asked: it knows then. */
void truth_told(struct member *member, const struct ds_run *run);
/* No node goes on with a job of which it knows that it is cancelled. */
void truth_cancel_check(struct cluster *cluster, const struct member *member, int64_t id,
                        const char *what);

#endif
