/* What one run of the simulated cluster is made of: how many of what, and how often which trouble
 * comes. Everything else follows from it, to the last step. */
#ifndef STINT_SIM_PLAN_H
#define STINT_SIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What can become of a step. */
enum weather {
    WEATHER_FAIR,
    WEATHER_UNAVAILABLE,  /* ERR_UNAVAILABLE, not applied */
    WEATHER_REPLY_LOST,   /* ERR_UNKNOWN_OUTCOME, though applied */
    WEATHER_CALL_LOST,    /* ERR_UNKNOWN_OUTCOME, not applied */
    WEATHER_LATE,         /* ERR_UNKNOWN_OUTCOME, and applied seconds later */
    WEATHER_RUN_LOST,     /* the whole run applied, and its reply lost */
    WEATHER_DOUBLED,      /* applied twice in a row */
    WEATHER_REPLY_LATE,   /* applied; the reply takes seconds */
    WEATHER_FREEZE,       /* its node stands still just after it, mostly past its lease */
    WEATHER_CRASH_BEFORE, /* its node dies just before it */
    WEATHER_CRASH,        /* its node dies just after it */
    WEATHERS
};

/* What happens around the nodes. */
enum chaos {
    CHAOS_START,        /* a node that is not there */
    CHAOS_STOP,         /* a signal */
    CHAOS_STOP_ASKED,   /* through its record */
    CHAOS_PAUSE,        /* likewise */
    CHAOS_RESUME,       /* likewise */
    CHAOS_CANCEL,       /* a job */
    CHAOS_QUEUE_PAUSE,  /* one of two */
    CHAOS_QUEUE_RESUME, /* the same */
    CHAOS_STOP_AT_ONCE, /* a second signal */
    CHAOS_CRASH,
    CHAOS_FREEZE,
    CHAOS_FREEZE_ALL, /* a common stall */
    CHAOS_OUTAGE,     /* no step reaches the store */
    CHAOS_SLOW,       /* each takes 50 times as long */
    CHAOS_CLOCK,      /* a node's UTC clock is set anew */
    CHAOS_STORE_CLOCK,
    CHAOS_KINDS
};

/* All numbers, so that plans can be printed, read and made smaller field by field. Where a field
 * is not told to be something else, 0 is none. */
struct cluster_plan {
    uint64_t seed;
    uint64_t nodes, slots;
    uint64_t hosts;            /* nodes of one host see each other's processes */
    uint64_t lanes;            /* 1 to 3 */
    uint64_t submitters, jobs; /* jobs of each submitter */
    uint64_t job_ms_max;       /* how long most jobs take */
    uint64_t stop_timeout_ms;
    uint64_t submit_after_ms;
    uint64_t quiet_ms; /* from then on nothing bad happens any more */
    uint64_t lease_ms; /* 0: 4 s */
    uint64_t look_ms;  /* 0: 1 s, or 2 s where wakes are unsure */
    uint64_t names_fixed;
    uint64_t unsure;    /* nodes are woken, most times; without it they only look now and then */
    uint64_t crowd;     /* three nodes are a crowd, which goes about everything otherwise */
    uint64_t idle;      /* submitters rest for a minute and more: entries are dropped */
    uint64_t one_burst; /* exec jobs, submitted at once */
    uint64_t drift_ppm; /* clocks run faster or slower by up to that */

    /* Of a thousand ... */
    uint64_t deaf;              /* wakes: they do not get there */
    uint64_t holes;             /* turns of submitters: they die or sleep before the insert */
    uint64_t stalls;            /* ways to the store and back: they take long */
    uint64_t stall_ms;          /* ... up to that and 200 ms */
    uint64_t busy;              /* starts of jobs: the machine has no process to spare */
    uint64_t lost_ends;         /* ends of jobs: whoever ran it is gone */
    uint64_t fails;             /* jobs: some attempts fail */
    uint64_t long_jobs;         /* jobs: they take 10,000 times as long as the shortest */
    uint64_t never_jobs;        /* jobs: nobody can run them */
    uint64_t killers;           /* jobs: they kill their node */
    uint64_t keys;              /* jobs: they have one of three unique keys */
    uint64_t weather[WEATHERS]; /* steps */

    uint64_t chaos_ms;           /* one of these within each so many ms, about */
    uint64_t chaos[CHAOS_KINDS]; /* ... chosen by these weights */
};

/* A plan drawn from the seed: which kinds of trouble there are, and how often each. */
struct cluster_plan plan_draw(uint64_t seed);

/* Steps fail in the ways that need no crash, together so often. */
void plan_steps_fail(struct cluster_plan *plan, uint64_t permille);
/* Nodes are started, stopped, paused, jobs cancelled, queues paused. */
void plan_people(struct cluster_plan *plan);

/* `seed=1 nodes=3 ...`: what is not 0. Returns false for what is no plan, and says why. */
void plan_print(const struct cluster_plan *plan, char *text, size_t size);
bool plan_parse(const char *text, struct cluster_plan *plan, char *why, size_t why_size);

enum { PLAN_TEXT_BYTES = 2048, PLAN_SLOTS_MAX = 32, PLAN_LANES_MAX = 3 };

/* Its fields one by one, in the order in which to make them smaller. */
struct plan_field {
    char name[24];
    size_t offset;  /* of a uint64_t */
    uint64_t least; /* that makes sense */
};
const struct plan_field *plan_fields(size_t *ret_n);

const char *weather_name(enum weather weather);
const char *chaos_name(enum chaos chaos);

#endif
