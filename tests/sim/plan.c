/* Plans: drawn from a seed, printed, read. Swarm testing (Groce et al. 2012): each seed leaves out
 * most kinds of trouble, so that those it has are not drowned by the others.
 * A change to plan_draw gives all seeds another meaning: so seeds.txt keeps whole plans.
 * Pure. */
#include "tests/sim/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/random.h"

#define WEATHER_LIST(X)                                                                            \
    X(UNAVAILABLE, "unavailable")                                                                  \
    X(REPLY_LOST, "reply_lost")                                                                    \
    X(CALL_LOST, "call_lost")                                                                      \
    X(LATE, "late")                                                                                \
    X(RUN_LOST, "run_lost")                                                                        \
    X(DOUBLED, "doubled")                                                                          \
    X(REPLY_LATE, "reply_late")                                                                    \
    X(FREEZE, "freeze_after")                                                                      \
    X(CRASH_BEFORE, "crash_before")                                                                \
    X(CRASH, "crash_after")

#define CHAOS_LIST(X)                                                                              \
    X(START, "start")                                                                              \
    X(STOP, "stop")                                                                                \
    X(STOP_ASKED, "stop_asked")                                                                    \
    X(PAUSE, "pause")                                                                              \
    X(RESUME, "resume")                                                                            \
    X(CANCEL, "cancel")                                                                            \
    X(QUEUE_PAUSE, "queue_pause")                                                                  \
    X(QUEUE_RESUME, "queue_resume")                                                                \
    X(STOP_AT_ONCE, "stop_at_once")                                                                \
    X(CRASH, "crash")                                                                              \
    X(FREEZE, "freeze")                                                                            \
    X(FREEZE_ALL, "freeze_all")                                                                    \
    X(OUTAGE, "outage")                                                                            \
    X(SLOW, "slow")                                                                                \
    X(CLOCK, "clock")                                                                              \
    X(STORE_CLOCK, "store_clock")

#define WEATHER_NAME(kind, name) [WEATHER_##kind] = name,
#define CHAOS_NAME(kind, name) [CHAOS_##kind] = name,

static const char *const weather_names[WEATHERS] = {[WEATHER_FAIR] = "fair",
                                                    WEATHER_LIST(WEATHER_NAME)};
static const char *const chaos_names[CHAOS_KINDS] = {CHAOS_LIST(CHAOS_NAME)};

const char *weather_name(enum weather weather)
{
    return weather_names[weather];
}

const char *chaos_name(enum chaos chaos)
{
    return chaos_names[chaos];
}

/* ---- drawing ------------------------------------------------------------------------------- */

static uint64_t pick(uint64_t *rng, const uint64_t *of, size_t n)
{
    return of[random_below(rng, n)];
}

static bool one_in(uint64_t *rng, uint64_t n)
{
    return random_below(rng, n) == 0;
}

static void draw_size(struct cluster_plan *plan, uint64_t *rng)
{
    static const uint64_t job_ms[] = {10, 60, 60, 1500};
    bool many = one_in(rng, 40);
    plan->nodes = many ? 5 + random_below(rng, 12) : 1 + random_below(rng, 4);
    plan->slots = 1 + random_below(rng, 3);
    plan->hosts = 1 + random_below(rng, plan->nodes);
    plan->lanes = 1 + random_below(rng, 3);
    plan->submitters = 1 + random_below(rng, 2);
    plan->jobs = many ? 60 + random_below(rng, 60) : 5 + random_below(rng, 30);
    plan->job_ms_max = pick(rng, job_ms, 4);
    plan->stop_timeout_ms = one_in(rng, 2) ? 60000 : 1500;
    plan->quiet_ms = 4000 + random_below(rng, 20000);
    plan->names_fixed = one_in(rng, 2);
    plan->unsure = one_in(rng, 2);
    plan->idle = one_in(rng, 10);
    if (plan->idle)
        plan->quiet_ms += 200000;
}

static void draw_jobs(struct cluster_plan *plan, uint64_t *rng)
{
    static const uint64_t some[] = {20, 50, 200};
    plan->fails = one_in(rng, 3) ? 0 : 200;
    plan->long_jobs = one_in(rng, 2) ? 0 : pick(rng, some, 3);
    plan->never_jobs = one_in(rng, 2) ? 0 : pick(rng, some, 2);
    plan->killers = one_in(rng, 2) ? 0 : pick(rng, some, 2);
    plan->busy = one_in(rng, 2) ? 0 : pick(rng, some, 2);
    plan->lost_ends = one_in(rng, 2) ? 0 : pick(rng, some, 2);
}

static void draw_trouble(struct cluster_plan *plan, uint64_t *rng)
{
    static const uint64_t faults[] = {1, 5, 30}, crashes[] = {1, 2, 4}, holes[] = {50, 200};
    static const uint64_t deaf[] = {100, 300, 1000}, drift[] = {100, 2000, 10000};
    for (int i = WEATHER_UNAVAILABLE; i < WEATHERS; i++)
        if (one_in(rng, 3))
            plan->weather[i] = pick(rng, i < WEATHER_FREEZE ? faults : crashes, 3);
    if (one_in(rng, 4)) /* much of one kind of what leaves the nodes alive */
        plan->weather[WEATHER_UNAVAILABLE + random_below(rng, WEATHER_FREEZE - 1)] = 150;
    plan->holes = one_in(rng, 2) ? 0 : pick(rng, holes, 2);
    plan->deaf = one_in(rng, 2) ? 0 : pick(rng, deaf, 3);
    plan->stalls = one_in(rng, 3) ? 0 : 5;
    plan->stall_ms = one_in(rng, 2) ? 500 : 2000;
    plan->drift_ppm = one_in(rng, 2) ? 0 : pick(rng, drift, 3);
}

struct cluster_plan plan_draw(uint64_t seed)
{
    uint64_t rng = seed ^ 0x5bd1e995U;
    struct cluster_plan plan = {.seed = seed};
    draw_size(&plan, &rng);
    draw_jobs(&plan, &rng);
    draw_trouble(&plan, &rng);
    uint64_t other = ~seed; /* so that it changes nothing else of what a seed stands for */
    plan.crowd = one_in(&other, 2);
    plan.keys = one_in(&other, 3) ? 300 : 0;
    if (one_in(&rng, 4))
        return plan;
    static const uint64_t every_ms[] = {500, 2000, 6000};
    plan.chaos_ms = pick(&rng, every_ms, 3);
    plan.chaos[CHAOS_START] = 3; /* or soon nobody is left */
    for (int i = CHAOS_STOP; i < CHAOS_KINDS; i++)
        plan.chaos[i] = one_in(&rng, 2) ? 1 : 0;
    if (plan.idle)
        plan.chaos[CHAOS_STORE_CLOCK] = 2; /* long enough for old records to be cleaned away */
    plan.chaos[CHAOS_RESUME] = plan.chaos[CHAOS_PAUSE];
    plan.chaos[CHAOS_QUEUE_RESUME] = plan.chaos[CHAOS_QUEUE_PAUSE];
    return plan;
}

void plan_steps_fail(struct cluster_plan *plan, uint64_t permille)
{
    for (int i = WEATHER_UNAVAILABLE; i <= WEATHER_LATE; i++)
        plan->weather[i] = permille / 4;
}

void plan_people(struct cluster_plan *plan)
{
    plan->chaos_ms = 2000;
    plan->chaos[CHAOS_START] = 2;
    for (int i = CHAOS_STOP; i <= CHAOS_QUEUE_RESUME; i++)
        plan->chaos[i] = 1;
}

/* ---- text ---------------------------------------------------------------------------------- */

#define FIELD(field, least)                                                                        \
    {                                                                                              \
#field, offsetof(struct cluster_plan, field), least                                        \
    }
#define WEATHER_FIELD(kind, name)                                                                  \
    {"step." name, offsetof(struct cluster_plan, weather[WEATHER_##kind]), 0},
#define CHAOS_FIELD(kind, name)                                                                    \
    {"chaos." name, offsetof(struct cluster_plan, chaos[CHAOS_##kind]), 0},

static const struct plan_field fields[] = {
    WEATHER_LIST(WEATHER_FIELD) CHAOS_LIST(CHAOS_FIELD) FIELD(nodes, 1),
    FIELD(submitters, 1),
    FIELD(jobs, 1),
    FIELD(lanes, 1),
    FIELD(slots, 1),
    FIELD(hosts, 1),
    FIELD(idle, 0),
    FIELD(quiet_ms, 1000),
    FIELD(chaos_ms, 0),
    FIELD(drift_ppm, 0),
    FIELD(killers, 0),
    FIELD(keys, 0),
    FIELD(never_jobs, 0),
    FIELD(long_jobs, 0),
    FIELD(lost_ends, 0),
    FIELD(busy, 0),
    FIELD(fails, 0),
    FIELD(holes, 0),
    FIELD(stalls, 0),
    FIELD(stall_ms, 0),
    FIELD(deaf, 0),
    FIELD(unsure, 0),
    FIELD(crowd, 0),
    FIELD(names_fixed, 0),
    FIELD(one_burst, 0),
    FIELD(job_ms_max, 1),
    FIELD(submit_after_ms, 0),
    FIELD(stop_timeout_ms, 0),
    FIELD(lease_ms, 0),
    FIELD(look_ms, 0),
    FIELD(seed, 0),
};

enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

const struct plan_field *plan_fields(size_t *ret_n)
{
    *ret_n = FIELDS;
    return fields;
}

static uint64_t *field_of(struct cluster_plan *plan, const struct plan_field *field)
{
    return (uint64_t *)((char *)plan + field->offset);
}

void plan_print(const struct cluster_plan *plan, char *text, size_t size)
{
    struct cluster_plan copy = *plan;
    size_t used = (size_t)snprintf(text, size, "seed=%llu", (unsigned long long)plan->seed);
    for (size_t i = 0; i < FIELDS && used < size; i++) {
        uint64_t value = *field_of(&copy, &fields[i]);
        if (value != 0 && fields[i].offset != offsetof(struct cluster_plan, seed))
            used += (size_t)snprintf(text + used, size - used, " %s=%llu", fields[i].name,
                                     (unsigned long long)value);
    }
}

static bool field_parse(const char *word, size_t len, struct cluster_plan *plan)
{
    const char *equals = memchr(word, '=', len);
    for (size_t i = 0; equals != NULL && i < FIELDS; i++) {
        size_t name = strlen(fields[i].name);
        if (name != (size_t)(equals - word) || memcmp(word, fields[i].name, name) != 0)
            continue;
        char *end;
        errno = 0;
        uint64_t value = strtoull(equals + 1, &end, 10);
        if (errno != 0 || end != word + len || end == equals + 1 || value < fields[i].least)
            return false;
        *field_of(plan, &fields[i]) = value;
        return true;
    }
    return false;
}

bool plan_parse(const char *text, struct cluster_plan *plan, char *why, size_t why_size)
{
    *plan = (struct cluster_plan){0};
    for (text += strspn(text, " "); *text != '\0'; text += strspn(text, " ")) {
        size_t len = strcspn(text, " ");
        if (!field_parse(text, len, plan)) {
            snprintf(why, why_size, "'%.*s' is no part of a plan", (int)len, text);
            return false;
        }
        text += len;
    }
    bool whole = plan->nodes > 0 && plan->slots > 0 && plan->hosts > 0 && plan->lanes > 0 &&
                 plan->job_ms_max > 0 && plan->quiet_ms > 0;
    bool fits = plan->nodes <= 1000 && plan->slots <= PLAN_SLOTS_MAX &&
                plan->lanes <= PLAN_LANES_MAX && plan->submitters <= 1000 && plan->jobs <= 1000;
    if (!whole)
        snprintf(why, why_size, "nodes, slots, hosts, lanes, job_ms_max and quiet_ms are needed");
    else if (!fits)
        snprintf(why, why_size, "at most %d slots, %d lanes, 1000 nodes, submitters and jobs",
                 PLAN_SLOTS_MAX, PLAN_LANES_MAX);
    return whole && fits;
}
