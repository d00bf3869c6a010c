/* What becomes of a step on its way to the store and back.
 *
 * A late step is copied whole, with the step before it where that one fills something in: its
 * caller's memory may be gone when it arrives. One thread. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/memory.h"
#include "datastore/steps.h"
#include "datastore/trace.h"
#include "tests/support/cluster_internal.h"

static void tell(struct cluster *cluster, const char *who, const char *what,
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
    int64_t silent_ms = store_utc_ms(cluster) - kill->ret_node.beat_ms;
    if (member_find(cluster, kill->node) != NULL && silent_ms < LEASE_MS * 3 / 4)
        ledger_check_break(cluster->check, "%s is there, silent for %" PRId64 " ms, and buried",
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
        cluster->disturbed = true;
    }
    if (step->kind == DS_INSERT && step->insert.jobs[0].state == JOB_VOID)
        tally->voided++;
    if (step->kind == DS_FINISH)
        for (size_t i = 0; i < step->finish.n; i++)
            if (step->finish.outcomes[i].kind == OUTCOME_INTERRUPTED)
                tally->interrupted += step->finish.outcomes[i].ret_accepted;
}

static void ambush(struct cluster *cluster, const struct ds_step *step)
{
    for (size_t i = 0; i < cluster->n_late; i++) {
        struct late *late = &cluster->late[i];
        bool read = late->ambush == AMBUSH_READ && step->kind == DS_LANES_READ;
        bool buried = late->ambush == AMBUSH_BURY && step->kind == DS_LANE_BURY &&
                      step->lane_bury.expect.node == late->node;
        if (read || buried) {
            late->ambush = AMBUSH_NONE;
            late->due_ms = cluster->now_ms + 1 + cluster_below(cluster, 8);
        }
    }
}

static int apply(struct cluster *cluster, struct ds_run *run, size_t i)
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
        ambush(cluster, step);
    return step->rc;
}

int store_plain(struct cluster *cluster, struct ds_step *step)
{
    struct ds_run run = {.steps = step, .n_steps = 1};
    int rc = apply(cluster, &run, 0);
    tell(cluster, "person", "", step);
    arena_release(&run.mem);
    return rc;
}

/* ---- late steps ---------------------------------------------------------------- */

static void outcomes_copy(struct ds_finish *finish, struct arena *mem)
{
    finish->outcomes = arena_copy(mem, finish->outcomes, finish->n * sizeof(*finish->outcomes));
    for (size_t i = 0; i < finish->n; i++) {
        struct job carrier = {.ending = finish->outcomes[i].ending};
        if (carrier.ending != NULL)
            finish->outcomes[i].ending = job_copy(&carrier, mem).ending;
    }
}

static void jobs_copy(struct ds_insert *insert, struct arena *mem)
{
    struct job *jobs = arena_alloc(mem, insert->n_jobs * sizeof(*jobs));
    for (size_t i = 0; i < insert->n_jobs; i++)
        jobs[i] = job_copy(&insert->jobs[i], mem);
    insert->jobs = jobs;
}

static void history_copy(struct ds_history_add *add, struct arena *mem)
{
    struct history_row *rows = arena_copy(mem, add->rows, add->n * sizeof(*rows));
    for (size_t i = 0; i < add->n; i++)
        rows[i].body = arena_bytes(mem, rows[i].body);
    add->rows = rows;
}

static const struct node *node_keep(const struct node *node, struct arena *mem)
{
    struct node kept = node_copy(node, mem);
    return arena_copy(mem, &kept, sizeof(kept));
}

/* Makes what the step points to the arena's own. */
static void step_keep(struct ds_step *step, struct arena *mem)
{
    switch (step->kind) {
    case DS_INSERT:
        jobs_copy(&step->insert, mem);
        break;
    case DS_RETURN:
        step->give_back.ranges = arena_copy(mem, step->give_back.ranges,
                                            step->give_back.n_ranges * sizeof(struct range));
        break;
    case DS_LANE_BURY:
        step->lane_bury.estate = arena_copy(mem, step->lane_bury.estate,
                                            step->lane_bury.n_estate * sizeof(struct range));
        break;
    case DS_NODE_ADD:
        step->node_add.node = node_keep(step->node_add.node, mem);
        break;
    case DS_NODE_WRITE:
        step->node_write.node = node_keep(step->node_write.node, mem);
        break;
    case DS_NODE_KILL:
        step->node_kill.cause = arena_string(mem, step->node_kill.cause);
        break;
    case DS_FINISH:
        outcomes_copy(&step->finish, mem);
        break;
    case DS_STINTS_ADD:
        step->stints_add.rows =
            arena_copy(mem, step->stints_add.rows, step->stints_add.n * sizeof(struct stint_row));
        break;
    case DS_HISTORY_ADD:
        history_copy(&step->history_add, mem);
        break;
    default:
        break; /* plain values, or names that are constants here */
    }
}

void late_add(struct cluster *cluster, const struct member *member, const struct ds_run *run,
              size_t i)
{
    if (cluster->n_late == LATE_MAX || !ds_kind_writes(run->steps[i].kind))
        return;
    struct late *late = &cluster->late[cluster->n_late++];
    *late = (struct late){.due_ms = cluster->now_ms + 1 + cluster_below(cluster, 9000),
                          .node = member != NULL ? member->identity.id : 0};
    if (member != NULL)
        late->ambush = (enum ambush)cluster_below(cluster, AMBUSHES);
    if (late->ambush != AMBUSH_NONE)
        late->due_ms += 20000;
    if (i > 0)
        late->steps[late->n_steps++] = run->steps[i - 1];
    late->steps[late->n_steps++] = run->steps[i];
    for (size_t k = 0; k < late->n_steps; k++)
        step_keep(&late->steps[k], &late->run.mem);
}

uint64_t late_due_ms(const struct cluster *cluster)
{
    uint64_t due = NEVER;
    for (size_t i = 0; i < cluster->n_late; i++)
        if (cluster->late[i].due_ms < due)
            due = cluster->late[i].due_ms;
    return due;
}

void late_fire(struct cluster *cluster)
{
    size_t i = 0;
    while (cluster->late[i].due_ms > cluster->now_ms)
        i++;
    struct late late = cluster->late[i];
    cluster->late[i] = cluster->late[--cluster->n_late];
    late.run.steps = late.steps;
    late.run.n_steps = late.n_steps;
    apply(cluster, &late.run, late.n_steps - 1);
    tell(cluster, "late", "", &late.steps[late.n_steps - 1]);
    arena_release(&late.run.mem);
}

void late_release(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->n_late; i++)
        arena_release(&cluster->late[i].run.mem);
    cluster->n_late = 0;
}

/* ---- trouble ---------------------------------------------------------------- */

static bool can_hit(enum weather weather, const struct ds_step *step)
{
    return weather == WEATHER_UNAVAILABLE || weather == WEATHER_CRASH || ds_kind_writes(step->kind);
}

static enum weather torture_pick(struct cluster *cluster, const struct ds_run *run, size_t i)
{
    const struct cluster_torture *torture = &cluster->torture;
    bool counts = !torture->one_kind || run->steps[i].kind == torture->kind;
    if (cluster->quiet || !counts || !can_hit(torture->fault, &run->steps[i]))
        return WEATHER_FAIR;
    uint64_t nth = ++cluster->torture_seen;
    if (nth < torture->nth || nth >= torture->nth + torture->count)
        return WEATHER_FAIR;
    cluster->fired[i > 0 ? run->steps[i - 1].kind : DS_KINDS][run->steps[i].kind]++;
    return torture->fault;
}

static enum weather weather_pick(struct cluster *cluster, const struct member *member,
                                 const struct ds_run *run, size_t i)
{
    if (cluster->torture.nth != 0)
        return member != NULL ? torture_pick(cluster, run, i) : WEATHER_FAIR;
    if (cluster->quiet)
        return WEATHER_FAIR;
    if (cluster->now_ms < cluster->outage_until_ms)
        return WEATHER_UNAVAILABLE;
    if (member != NULL && cluster_chance(cluster, cluster->plan.crash_permille))
        return WEATHER_CRASH;
    if (!cluster_chance(cluster, cluster->plan.fault_permille))
        return WEATHER_FAIR;
    enum weather weather = WEATHER_UNAVAILABLE + cluster_below(cluster, WEATHER_RUN_LOST);
    return can_hit(weather, &run->steps[i]) ? weather : WEATHER_UNAVAILABLE;
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
        on = apply(cluster, run, from + done) == 0 || before[done].independent;
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
        return lose(run, i, &before, ERR_UNAVAILABLE);
    case WEATHER_REPLY_LOST:
        apply(cluster, run, i);
        return lose(run, i, &before, ERR_UNKNOWN_OUTCOME);
    case WEATHER_CALL_LOST:
        return lose(run, i, &before, ERR_UNKNOWN_OUTCOME);
    case WEATHER_LATE:
        late_add(cluster, member, run, i);
        return lose(run, i, &before, ERR_UNKNOWN_OUTCOME);
    case WEATHER_RUN_LOST:
        run_lost(cluster, run, i);
        return false;
    case WEATHER_FAIR:
    case WEATHER_CRASH:
    case WEATHERS:
        break;
    }
    int rc = apply(cluster, run, i);
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

bool store_step(struct cluster *cluster, struct member *member, struct ds_run *run, size_t i)
{
    enum weather weather = weather_pick(cluster, member, run, i);
    static const char *const texts[WEATHERS] = {
        "", "UNAVAILABLE ", "REPLY_LOST ", "CALL_LOST ", "LATE ", "RUN_LOST ", "CRASH ",
    };
    for (size_t k = i + 1; k < run->n_steps; k++)
        run->steps[k].rc = ERR_SKIPPED;
    bool on = store_weather(cluster, member, run, i, weather);
    if (member != NULL && run->steps[i].kind == DS_FINISH && run->steps[i].rc == 0)
        finish_check(cluster, member, &run->steps[i].finish);
    tell(cluster, member != NULL ? member->identity.name : "submit", texts[weather],
         &run->steps[i]);
    if (weather == WEATHER_CRASH)
        member->doomed = true;
    return on;
}
