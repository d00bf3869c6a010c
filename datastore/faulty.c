/* The faulty datastore: hands the inner one the part of a run before the fault, the faulted step
 * among it when it is to be applied, and then says of that step what the plan says.
 *
 * A prefix keeps every link between a step and the one just before it (from_reserve, accept).
 * Invariant: a step counts once, and only when it is carried out or faulted; not when the run had
 * stopped before it. Thread: the handle's, but for the counters. */
#include "datastore/faulty.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

struct faulty {
    struct datastore base;
    struct datastore *inner;
    struct faulty_plan plan;
    uint64_t counted; /* steps of this plan so far */
    atomic_uint_least64_t fired[DS_KINDS];
};

static bool counts(const struct faulty *faulty, const struct ds_step *step)
{
    return !faulty->plan.one_kind || step->kind == faulty->plan.kind;
}

/* Whether the plan's fault hits the nth step counted. */
static bool hits(const struct faulty *faulty, uint64_t nth)
{
    return faulty->plan.nth != 0 &&
           (nth == faulty->plan.nth || (nth > faulty->plan.nth && faulty->plan.from_then_on));
}

/* Index of the first step that the fault hits, if the run gets that far; n_steps: none. */
static size_t first_hit(const struct faulty *faulty, const struct ds_run *run)
{
    uint64_t nth = faulty->counted;
    for (size_t i = 0; i < run->n_steps; i++)
        if (counts(faulty, &run->steps[i]) && hits(faulty, ++nth))
            return i;
    return run->n_steps;
}

/* Carries out the first n steps; returns whether the run would go on after them. */
static bool run_prefix(struct faulty *faulty, struct ds_run *run, size_t n)
{
    if (n == 0)
        return true;
    struct ds_run prefix = {
        .steps = run->steps, .n_steps = n, .urgent = run->urgent, .mem = run->mem};
    faulty->inner->class->run(faulty->inner, &(struct ds_run *){&prefix}, 1);
    run->mem = prefix.mem;
    if (prefix.err.code != 0)
        run->err = prefix.err;
    for (size_t i = 0; i < n; i++)
        if (run->steps[i].rc != ERR_SKIPPED && counts(faulty, &run->steps[i]))
            faulty->counted++;
    return ds_run_code(&prefix) == 0;
}

static void skip_from(struct ds_run *run, size_t from)
{
    for (size_t i = from; i < run->n_steps; i++)
        run->steps[i].rc = ERR_SKIPPED;
}

static void fire(struct faulty *faulty, struct ds_run *run, size_t at)
{
    struct ds_step *step = &run->steps[at];
    bool unknown = faulty->plan.fault != FAULT_UNAVAILABLE && ds_kind_writes(step->kind);
    step->rc = error_set(&run->err, unknown ? ERR_UNKNOWN_OUTCOME : ERR_UNAVAILABLE,
                         "%s: fault injected", ds_kind_name(step->kind));
    atomic_fetch_add(&faulty->fired[step->kind], 1);
    skip_from(run, at + 1);
}

static void run_delayed(struct faulty *faulty, struct ds_run *run)
{
    struct timespec left = {.tv_sec = faulty->plan.delay_ms / 1000,
                            .tv_nsec = (long)(faulty->plan.delay_ms % 1000) * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        ;
    uint64_t nth = faulty->counted;
    run_prefix(faulty, run, run->n_steps);
    for (size_t i = 0; i < run->n_steps; i++) {
        const struct ds_step *step = &run->steps[i];
        if (step->rc != ERR_SKIPPED && counts(faulty, step) && hits(faulty, ++nth))
            atomic_fetch_add(&faulty->fired[step->kind], 1);
    }
}

static void run_one(struct faulty *faulty, struct ds_run *run)
{
    size_t at = first_hit(faulty, run);
    if (at == run->n_steps) {
        run_prefix(faulty, run, at);
    } else if (faulty->plan.fault == FAULT_DELAY) {
        run_delayed(faulty, run);
    } else if (faulty->plan.fault == FAULT_REPLY_LOST && ds_kind_writes(run->steps[at].kind)) {
        struct ds_step before = run->steps[at];
        run_prefix(faulty, run, at + 1);
        if (run->steps[at].rc == ERR_SKIPPED) {
            skip_from(run, at + 1);
            return;
        }
        run->steps[at] = before; /* the caller sees nothing of the reply */
        fire(faulty, run, at);
    } else if (run_prefix(faulty, run, at)) {
        faulty->counted++;
        fire(faulty, run, at);
    } else {
        skip_from(run, at);
    }
}

static void faulty_run(struct datastore *ds, struct ds_run *const *runs, size_t n_runs)
{
    for (size_t i = 0; i < n_runs; i++)
        run_one((struct faulty *)ds, runs[i]);
}

static int faulty_wake_fd(struct datastore *ds)
{
    struct datastore *inner = ((struct faulty *)ds)->inner;
    return inner->class->wake_fd(inner);
}

static bool faulty_wake_clear(struct datastore *ds)
{
    struct datastore *inner = ((struct faulty *)ds)->inner;
    return inner->class->wake_clear(inner);
}

static const char *faulty_doorbell(struct datastore *ds)
{
    return datastore_doorbell(((struct faulty *)ds)->inner);
}

static void faulty_close(struct datastore *ds)
{
    struct faulty *faulty = (struct faulty *)ds;
    datastore_close(faulty->inner);
    free(faulty);
}

static const struct datastore_class faulty_class = {
    .name = "faulty",
    .run = faulty_run,
    .wake_fd = faulty_wake_fd,
    .wake_clear = faulty_wake_clear,
    .doorbell = faulty_doorbell,
    .close = faulty_close,
};

struct datastore *faulty_wrap(struct datastore *inner, const struct faulty_plan *plan)
{
    struct faulty *faulty = calloc(1, sizeof(*faulty));
    assert(faulty != NULL && inner != NULL);
    faulty->base.class = &faulty_class;
    faulty->inner = inner;
    faulty->plan = *plan;
    return &faulty->base;
}

void faulty_set(struct datastore *ds, const struct faulty_plan *plan)
{
    assert(ds->class == &faulty_class);
    struct faulty *faulty = (struct faulty *)ds;
    faulty->plan = *plan;
    faulty->counted = 0;
}

uint64_t faulty_fired(const struct datastore *ds, enum ds_kind kind)
{
    assert(ds->class == &faulty_class);
    const struct faulty *faulty = (const struct faulty *)ds;
    if (kind != DS_KINDS)
        return atomic_load(&faulty->fired[kind]);
    uint64_t sum = 0;
    for (size_t i = 0; i < DS_KINDS; i++)
        sum += atomic_load(&faulty->fired[i]);
    return sum;
}
