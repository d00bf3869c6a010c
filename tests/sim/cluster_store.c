/* What becomes of a step on its way to the store and back. One thread. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/memory.h"
#include "datastore/steps.h"
#include "datastore/trace.h"
#include "tests/sim/cluster_internal.h"

void store_tell(struct cluster *cluster, const char *who, const char *what,
                const struct ds_step *step)
{
    if (cluster->trace == NULL)
        return;
    fprintf(cluster->trace, "%8" PRIu64 " %-6s %s", cluster->now_ms, who, what);
    trace_step(cluster->trace, step);
}

/* ---- applying ---------------------------------------------------------------- */

/* Nobody may be buried who may yet start jobs: that premise holds up the rest (DESIGN §4). */
static void kill_check(struct cluster *cluster, const struct ds_node_kill *kill)
{
    uint64_t silent_ms = ledger_check_silent_ms(cluster->check, kill->node);
    if (member_find(cluster, kill->node) != NULL && silent_ms < LEASE_MS * 3 / 4)
        ledger_check_break(cluster->check, "%s is there, silent for %" PRIu64 " ms, and buried",
                           kill->ret_node.name, silent_ms);
}

/* I2: an outcome counts for the run it is of, and no other. */
static void runs_check(struct cluster *cluster, const struct ds_finish *finish)
{
    for (size_t i = 0; i < finish->n; i++) {
        const struct outcome *outcome = &finish->outcomes[i];
        const struct ledger_row *row = ledger_check_row(cluster->check, outcome->id);
        if (outcome->count != 1 || outcome->ret_accepted != 1)
            continue;
        int32_t run = row->state == JOB_QUEUED ? row->run - 1 : row->run;
        if (run != outcome->run)
            ledger_check_break(cluster->check, "I2: job %" PRId64 ": run %d's outcome for run %d",
                               id_seq(outcome->id), outcome->run, run);
    }
}

static void count_applied(struct cluster *cluster, const struct ds_step *step)
{
    struct cluster_tally *tally = &cluster->tally;
    tally->applied[step->kind]++;
    /* (At beat 1 it never said a word: its record came late, it was gone by then.) */
    if (step->kind == DS_NODE_KILL && strcmp(step->node_kill.cause, "stopped") != 0 &&
        step->node_kill.beat > 1) {
        kill_check(cluster, &step->node_kill);
        tally->buried++;
        unwell_add(cluster, step->node_kill.node);
    }
    if (step->kind == DS_INSERT && step->insert.jobs[0].state == JOB_VOID)
        tally->voided++;
    if (step->kind == DS_FINISH)
        for (size_t i = 0; i < step->finish.n; i++)
            if (step->finish.outcomes[i].kind == OUTCOME_INTERRUPTED)
                tally->interrupted += step->finish.outcomes[i].ret_accepted;
}

int store_apply(struct cluster *cluster, struct ds_run *run, size_t i)
{
    struct ds_step *step = &run->steps[i];
    step->rc = memory_step(cluster->ds, run, i);
    cluster->tally.steps++;
    if (step->rc == 0)
        count_applied(cluster, step);
    if (step->rc == 0 && ds_kind_rings(step->kind))
        members_wake(cluster);
    if (ds_kind_writes(step->kind))
        ledger_check_all(cluster->check);
    if (step->rc == 0 && step->kind == DS_FINISH)
        runs_check(cluster, &step->finish);
    if (step->rc == 0 && (step->kind == DS_LANE_BURY || run->n_steps == 1))
        late_spring(cluster, step);
    return step->rc;
}

int store_plain(struct cluster *cluster, struct ds_step *step)
{
    struct ds_run run = {.steps = step, .n_steps = 1};
    int rc = store_apply(cluster, &run, 0);
    store_tell(cluster, "person", "", step);
    arena_release(&run.mem);
    return rc;
}

/* ---- trouble ---------------------------------------------------------------- */

bool weather_can_hit(enum weather weather, enum ds_kind kind)
{
    switch (weather) {
    case WEATHER_UNAVAILABLE:
    case WEATHER_REPLY_LATE:
    case WEATHER_FREEZE:
    case WEATHER_CRASH_BEFORE:
    case WEATHER_CRASH:
        return true;
    default:
        return ds_kind_writes(kind);
    }
}

static enum weather torture_pick(struct cluster *cluster, const struct ds_step *step)
{
    const struct cluster_torture *torture = &cluster->torture;
    bool counts = !torture->one_kind || step->kind == torture->kind;
    if (cluster->quiet || !counts || !weather_can_hit(torture->fault, step->kind))
        return WEATHER_FAIR;
    uint64_t nth = ++cluster->torture_seen;
    bool now = nth >= torture->nth && nth < torture->nth + torture->count;
    return now ? torture->fault : WEATHER_FAIR;
}

/* Somebody who is not a node (member is NULL) does not die or stand still here. */
static enum weather weather_draw(struct cluster *cluster, const struct member *member,
                                 const struct ds_step *step)
{
    uint64_t roll = cluster_below(cluster, 1000), sum = 0;
    for (enum weather weather = WEATHER_UNAVAILABLE; weather < WEATHERS; weather++) {
        sum += cluster->plan.weather[weather];
        if (roll >= sum)
            continue;
        bool possible = weather_can_hit(weather, step->kind) &&
                        (member != NULL || weather < WEATHER_REPLY_LATE);
        return possible && cluster_happens(cluster) ? weather : WEATHER_FAIR;
    }
    return WEATHER_FAIR;
}

static enum weather weather_pick(struct cluster *cluster, const struct member *member,
                                 const struct ds_step *step)
{
    if (cluster->torture.nth != 0)
        return member != NULL ? torture_pick(cluster, step) : WEATHER_FAIR;
    if (cluster->quiet)
        return WEATHER_FAIR;
    if (cluster->now_ms < cluster->outage_until_ms)
        return WEATHER_UNAVAILABLE;
    return weather_draw(cluster, member, step);
}

static void weather_count(struct cluster *cluster, const struct ds_run *run, size_t i,
                          enum weather weather)
{
    enum ds_kind before = i > 0 ? run->steps[i - 1].kind : DS_KINDS, kind = run->steps[i].kind;
    if (!cluster->quiet)
        cluster->tally.passed[before][kind]++;
    if (weather != WEATHER_FAIR)
        cluster->tally.hit[weather][before][kind]++;
}

/* The step as it was before it was carried out, but for its code: what a lost reply leaves. */
static bool lose(struct ds_run *run, size_t i, const struct ds_step *before, int code)
{
    for (size_t k = 0; before->kind == DS_FINISH && k < before->finish.n; k++) {
        before->finish.outcomes[k].ret_accepted = UINT32_MAX;
        before->finish.outcomes[k].ret_state = JOB_STATES;
    }
    run->steps[i] = *before;
    run->steps[i].rc = code;
    run->err.code = code;
    return false;
}

/* Applies the rest of the run; its caller hears of none of it. */
static void run_lost(struct cluster *cluster, struct ds_run *run, size_t from)
{
    size_t n = run->n_steps - from, done = 0;
    struct ds_step *before = malloc(n * sizeof(*before));
    assert(before != NULL);
    memcpy(before, run->steps + from, n * sizeof(*before));
    for (bool on = true; on && done < n; done++)
        on = store_apply(cluster, run, from + done) == 0 || before[done].independent;
    for (size_t i = 0; i < done; i++)
        lose(run, from + i, &before[i],
             ds_kind_writes(before[i].kind) ? ERR_UNKNOWN_OUTCOME : ERR_UNAVAILABLE);
    free(before);
}

static bool store_weather(struct cluster *cluster, const struct member *member, struct ds_run *run,
                          size_t i, enum weather weather)
{
    struct ds_step before = run->steps[i];
    cluster->tally.weather[weather]++;
    switch (weather) {
    case WEATHER_UNAVAILABLE:
    case WEATHER_CRASH_BEFORE:
        return lose(run, i, &before, ERR_UNAVAILABLE);
    case WEATHER_REPLY_LOST:
        store_apply(cluster, run, i);
        return lose(run, i, &before, ERR_UNKNOWN_OUTCOME);
    case WEATHER_CALL_LOST:
        return lose(run, i, &before, ERR_UNKNOWN_OUTCOME);
    case WEATHER_LATE:
        late_add(cluster, member, run, i);
        return lose(run, i, &before, ERR_UNKNOWN_OUTCOME);
    case WEATHER_RUN_LOST:
        run_lost(cluster, run, i);
        return false;
    case WEATHER_DOUBLED:
        apply_twice(cluster, run, i);
        return run->steps[i].rc == 0 || run->steps[i].independent;
    case WEATHER_FAIR:
    case WEATHER_REPLY_LATE:
    case WEATHER_FREEZE:
    case WEATHER_CRASH:
    case WEATHERS:
        break;
    }
    int rc = store_apply(cluster, run, i);
    return rc == 0 || run->steps[i].independent;
}

/* What a node ran that knows it is buried may run elsewhere by now: it must not move that on. */
static void finish_check(struct cluster *cluster, const struct member *member,
                         const struct ds_finish *finish)
{
    for (size_t i = 0; i < finish->n; i++) {
        const struct outcome *outcome = &finish->outcomes[i];
        if (outcome->kind == OUTCOME_INTERRUPTED && outcome->ret_accepted > 0 &&
            outcome->node == member->identity.id && outcome->id == member->hushed)
            ledger_check_break(cluster->check, "buried %s interrupted job %" PRId64,
                               member->identity.name, id_seq(outcome->id));
    }
}

bool store_step(struct cluster *cluster, struct member *member, struct ds_run *run, size_t i,
                uint64_t *ret_wait_ms)
{
    enum weather weather = weather_pick(cluster, member, &run->steps[i]);
    if (member != NULL)
        weather_count(cluster, run, i, weather);
    for (size_t k = i + 1; k < run->n_steps; k++)
        run->steps[k].rc = ERR_SKIPPED;
    bool on = store_weather(cluster, member, run, i, weather);
    if (member != NULL && run->steps[i].kind == DS_FINISH && run->steps[i].rc == 0)
        finish_check(cluster, member, &run->steps[i].finish);
    char what[32] = "";
    if (weather != WEATHER_FAIR)
        snprintf(what, sizeof(what), "<%s> ", weather_name(weather));
    store_tell(cluster, member != NULL ? member->identity.name : "submit", what, &run->steps[i]);
    if (weather == WEATHER_CRASH || weather == WEATHER_CRASH_BEFORE)
        member->doomed = true;
    else if (weather == WEATHER_FREEZE)
        cluster_freeze(cluster, (size_t)(member - cluster->members),
                       cluster_below(cluster, 6 * LEASE_MS));
    else if (weather == WEATHER_REPLY_LATE)
        *ret_wait_ms = 1000 + cluster_below(cluster, 2 * LEASE_MS);
    return on;
}
