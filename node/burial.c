/* Burying the dead (DESIGN §4); who is to be buried is found out in watching.c.
 *
 *   KILL       record D -> dead, at the beat seen; gives the frozen record
 *   INTERRUPT  each job that record names as running, at its run             (before any lane)
 *   LANES      which lanes have an entry of D
 *   ESTATE     per lane: ranges of D there, less returns taken, plus a grant not accepted -> pool;
 *              back to LANES until no lane has its entry
 *   CLEAR      D's record loses its ranges, lane by lane
 *
 * Any live node may do any part, again and again; guards make the second one change nothing. The
 * same steps end a node's own life at a graceful stop. Invariants: I1, I4.
 * Thread: the environment's; pure but for env. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/steps.h"
#include "node/core_internal.h"

enum {
    CLEAN_EVERY = 64, /* readings of the peers between clean-ups ... */
    CLEANERS = 16,    /* ... which so many of the nodes make, however many there are */
    CLEAN_AFTER_MS = 24 * 3600 * 1000,
    CLEAN_CROWDED_MS = 60 * 1000, /* where the records are too many to keep the dead for long */
};

/* ---- burying ---------------------------------------------------------------- */

bool burial_idle(const struct core *core)
{
    return core->burial.stage == BURY_IDLE;
}

void burial_start(struct core *core, int64_t target, uint64_t beat, const char *cause)
{
    struct burial *burial = &core->burial;
    if (burial->stage != BURY_IDLE) {
        burial->others_wait = burial->others_wait || target != burial->target;
        return;
    }
    burial->stage = BURY_KILL;
    burial->target = target;
    burial->beat = beat;
    burial->record_gone = false;
    snprintf(burial->cause, sizeof(burial->cause), "%s", cause);
    call_ok(&burial->call);
}

/* When several died at once the next of them does not wait for the next round. */
static void burial_idles(struct core *core)
{
    core->burial.stage = BURY_IDLE;
    if (core->burial.others_wait)
        core->peers_at_ms = 0;
    core->burial.others_wait = false;
}

static void burial_over(struct core *core)
{
    struct burial *burial = &core->burial;
    burial_idles(core);
    arena_release(&burial->mem);
    if (burial->target == core->self.id)
        core->phase = CORE_STOPPED;
    else
        core->look_wanted = true; /* its estate is in the pools now */
}

static void killed(struct core *core, const struct ds_step *step)
{
    struct burial *burial = &core->burial;
    if (step->rc == ERR_NOT_FOUND) {
        burial->record_gone = true;
        burial->stage = BURY_LANES;
        return;
    }
    const struct node *record = &step->node_kill.ret_node;
    if (step->rc == ERR_CONFLICT && record->state != NODE_DEAD) {
        if (burial->target == core->self.id)
            burial->beat = record->beat; /* an own write with a lost reply */
        else
            burial_idles(core); /* it lives */
        return;
    }
    if (burial->target == core->self.id && step->rc == ERR_CONFLICT &&
        strcmp(record->cause, burial->cause) != 0) {
        burial_idles(core);
        core_fence(core, record->cause);
        return;
    }
    arena_release(&burial->mem);
    burial->record = node_copy(record, &burial->mem);
    burial->stage = record->n_running > 0 ? BURY_INTERRUPT : BURY_LANES;
}

/* What record and entry together say the dead node still answered for in that lane. An entry of
 * another life is not the one the record speaks of: that was taken out, and a claim that came late
 * made this one; it stands for its own grant alone. */
static size_t estate_of(const struct burial *burial, const struct lane *lane,
                        const struct lane_entry *entry, struct range *ranges)
{
    static const struct node nothing;
    const struct node *d = burial->record_gone ? &nothing : &burial->record;
    size_t n = 0;
    uint64_t granted = 0;
    for (size_t i = 0; i < d->n_granted; i++)
        if (d->granted[i].lane == lane->number)
            granted = d->granted[i].g;
    bool same_life = grant_life(entry->g) == grant_life(granted);
    for (size_t i = 0; same_life && i < d->n_ranges; i++) {
        bool here = id_lane(d->ranges[i].range.a) == lane->number;
        bool taken = d->ranges[i].returning != 0 && d->ranges[i].returning <= entry->r;
        if (here && !taken)
            ranges[n++] = d->ranges[i].range;
    }
    bool accepted = same_life && entry->g <= granted;
    if (!accepted && range_count(entry->last) > 0)
        ranges[n++] = entry->last;
    return n;
}

/* No lane has its entry: whatever ranges its record still names were put into the pools by the
 * step that removed the entry. */
static void clear_make(struct core *core)
{
    struct burial *burial = &core->burial;
    for (size_t i = 0; !burial->record_gone && i < burial->record.n_ranges; i++) {
        int32_t lane = id_lane(burial->record.ranges[i].range.a);
        bool known = false;
        for (size_t k = 0; k < burial->n_lanes; k++)
            known = known || burial->lanes[k] == lane;
        if (!known && burial->n_lanes < LIMIT_RUN_STEPS)
            burial->lanes[burial->n_lanes++] = lane;
    }
    if (burial->n_lanes > 0)
        burial->stage = BURY_CLEAR;
    else
        burial_over(core);
}

static void lanes_seen(struct core *core, struct ds_run *run)
{
    struct burial *burial = &core->burial;
    const struct ds_lanes_read *read = &run->steps[0].lanes_read;
    struct ds_step steps[LIMIT_RUN_STEPS];
    burial->n_lanes = 0;
    for (size_t i = 0; i < read->ret_n && burial->n_lanes < LIMIT_RUN_STEPS; i++) {
        const struct lane *lane = &read->ret_lanes[i];
        for (size_t k = 0; k < lane->n_entries; k++) {
            if (lane->entries[k].node != burial->target)
                continue;
            struct range *estate =
                arena_alloc(&burial->mem, (burial->record.n_ranges + 1) * sizeof(*estate));
            size_t n = estate_of(burial, lane, &lane->entries[k], estate);
            steps[burial->n_lanes] = (struct ds_step){
                .kind = DS_LANE_BURY,
                .independent = true,
                .lane_bury = {.lane = lane->number,
                              .expect = lane->entries[k],
                              .estate = estate,
                              .n_estate = n},
            };
            burial->lanes[burial->n_lanes++] = lane->number;
            break;
        }
    }
    if (burial->n_lanes == 0) {
        clear_make(core);
        return;
    }
    memcpy(burial->call.steps, steps, burial->n_lanes * sizeof(steps[0]));
    burial->stage = BURY_ESTATE;
}

static bool trouble(int rc)
{
    return rc != 0 && rc != ERR_NOT_FOUND && rc != ERR_CONFLICT;
}

/* Whatever came of each, the lanes are read again: only they tell that nothing is left. */
static void estate_taken(struct core *core, const struct ds_run *run)
{
    core->burial.stage = BURY_LANES;
    for (size_t i = 0; i < run->n_steps; i++)
        if (trouble(run->steps[i].rc)) {
            call_retry(core, &core->burial.call);
            return;
        }
}

static void buried(struct ds_run *run, void *ctx)
{
    struct call *call = ctx;
    struct core *core = call_returned(call);
    struct burial *burial = &core->burial;
    call_ok(call);
    if (burial->stage == BURY_ESTATE) {
        estate_taken(core, run);
    } else if (trouble(run->steps[0].rc)) {
        call_retry(core, call);
    } else if (burial->stage == BURY_KILL) {
        killed(core, &run->steps[0]);
    } else if (burial->stage == BURY_INTERRUPT) {
        burial->stage = BURY_LANES;
    } else if (burial->stage == BURY_CLEAR) {
        burial_over(core);
    } else {
        lanes_seen(core, run);
    }
    arena_release(&run->mem);
}

static size_t interrupts_make(struct core *core, struct ds_step *step)
{
    struct burial *burial = &core->burial;
    const struct node *d = &burial->record;
    struct outcome *outcomes = arena_alloc(&burial->mem, d->n_running * sizeof(*outcomes));
    struct job_ending *ending = arena_alloc(&burial->mem, sizeof(*ending));
    char why[256];
    snprintf(why, sizeof(why), "interrupted: node %s died (%s)", d->name, d->cause);
    *ending = (struct job_ending){.exit_code = -1, .error = arena_string(&burial->mem, why)};
    for (size_t i = 0; i < d->n_running; i++)
        outcomes[i] = (struct outcome){
            .id = d->running[i].id,
            .count = 1,
            .run = d->running[i].run,
            .kind = OUTCOME_INTERRUPTED,
            .node = d->id,
            .started_ms = d->running[i].started_ms,
            .finished_ms = core_store_ms(core),
            .ending = ending,
        };
    *step = (struct ds_step){
        .kind = DS_FINISH,
        .finish = {.outcomes = outcomes, .n = d->n_running},
    };
    return 1;
}

static void burial_step(struct core *core)
{
    struct burial *burial = &core->burial;
    struct ds_step *steps = burial->call.steps;
    size_t n = 1;
    switch (burial->stage) {
    case BURY_KILL:
        steps[0] = (struct ds_step){
            .kind = DS_NODE_KILL,
            .node_kill = {.node = burial->target, .beat = burial->beat, .cause = burial->cause},
        };
        break;
    case BURY_INTERRUPT:
        n = interrupts_make(core, &steps[0]);
        break;
    case BURY_LANES:
        steps[0] = (struct ds_step){.kind = DS_LANES_READ,
                                    .lanes_read = {.lane = -1, .entries_of = burial->target}};
        break;
    case BURY_ESTATE:
        n = burial->n_lanes; /* made by lanes_seen */
        break;
    case BURY_CLEAR:
        n = burial->n_lanes;
        for (size_t i = 0; i < n; i++)
            steps[i] = (struct ds_step){
                .kind = DS_NODE_CLEAR,
                .independent = true,
                .node_clear = {.node = burial->target, .lane = burial->lanes[i]},
            };
        break;
    case BURY_IDLE:
        return;
    }
    call_issue(core, &burial->call, n, buried);
}

/* ---- cleaning up old records ---------------------------------------------------------------- */

static void cleaned(struct ds_run *run, void *ctx)
{
    (void)call_returned(ctx);
    arena_release(&run->mem);
}

static bool entry_anywhere(const struct ds_lanes_read *lanes, int64_t node)
{
    for (size_t i = 0; i < lanes->ret_n; i++)
        for (size_t k = 0; k < lanes->ret_lanes[i].n_entries; k++)
            if (lanes->ret_lanes[i].entries[k].node == node)
                return true;
    return false;
}

/* A record is deleted only when it is dead and no lane has its entry: seen in that order. */
static void clean_seen(struct ds_run *run, void *ctx)
{
    struct call *call = ctx;
    struct core *core = call_returned(call);
    size_t n = 0;
    struct ds_step steps[LIMIT_RUN_STEPS];
    if (ds_run_code(run) == 0) {
        const struct ds_nodes_read *read = &run->steps[0].nodes_read;
        int64_t after_ms = read->ret_n > LIMIT_NODES ? CLEAN_CROWDED_MS : CLEAN_AFTER_MS;
        for (size_t i = 0; i < read->ret_n && n < LIMIT_RUN_STEPS; i++) {
            const struct node *node = &read->ret_nodes[i];
            if (node->state != NODE_DEAD || core_store_ms(core) - node->since_ms < after_ms ||
                entry_anywhere(&run->steps[1].lanes_read, node->id))
                continue;
            steps[n++] = (struct ds_step){
                .kind = DS_NODE_DELETE,
                .independent = true,
                .node_delete = {.node = node->id},
            };
        }
    }
    arena_release(&run->mem);
    if (n == 0)
        return;
    memcpy(call->steps, steps, n * sizeof(steps[0]));
    call_issue(core, call, n, cleaned);
}

static void clean_start(struct core *core)
{
    core->clean.steps[0] = (struct ds_step){.kind = DS_NODES_READ};
    core->clean.steps[1] = (struct ds_step){.kind = DS_LANES_READ, .lanes_read = {.lane = -1}};
    call_issue(core, &core->clean, 2, clean_seen);
}

/* ---- ticking ---------------------------------------------------------------- */

void burial_tick(struct core *core)
{
    if (core->burial.stage != BURY_IDLE && call_ready(core, &core->burial.call))
        burial_step(core);
    if (!core->registered || core->stopping)
        return;
    watching_tick(core);
    if (core->peers_readings >= CLEAN_EVERY && !core->clean.under_way) {
        core->peers_readings = 0;
        if (core->env->class->random(core->env) % core->live_nodes < CLEANERS)
            clean_start(core);
    }
}

uint64_t burial_due_ms(const struct core *core)
{
    uint64_t due = UINT64_MAX;
    if (core->burial.stage != BURY_IDLE && !core->burial.call.under_way)
        due = core->burial.call.retry_at_ms;
    if (core->registered && !core->stopping) {
        uint64_t watching = watching_due_ms(core);
        due = watching < due ? watching : due;
    }
    return due;
}

void burial_release(struct core *core)
{
    arena_release(&core->burial.mem);
    arena_release(&core->burial.call.run.mem);
    arena_release(&core->clean.run.mem);
    watching_release(core);
}
