/* Watching neighbours and burying the dead (DESIGN §4).
 *
 * Silence is this node's own clock since a counter last moved, and counts only while its own
 * renewals succeed: a gap in those restarts all watches, so after an outage nobody buries anybody.
 * A process seen to be gone (same host, boot and pid namespace) is buried at once.
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
    RANKS_MAX = 8,     /* buriers step forward one after another */
    FROZEN_LEASES = 6, /* a silent process that is there */
    CLEAN_EVERY = 64,  /* readings of the peers between clean-ups */
    CLEAN_AFTER_MS = 24 * 3600 * 1000,
};

/* ---- burying ---------------------------------------------------------------- */

bool burial_idle(const struct core *core)
{
    return core->burial.stage == BURY_IDLE;
}

void burial_start(struct core *core, int64_t target, uint64_t beat, const char *cause)
{
    struct burial *burial = &core->burial;
    if (burial->stage != BURY_IDLE)
        return;
    burial->stage = BURY_KILL;
    burial->target = target;
    burial->beat = beat;
    burial->record_gone = false;
    snprintf(burial->cause, sizeof(burial->cause), "%s", cause);
    call_ok(&burial->call);
}

static void burial_over(struct core *core)
{
    struct burial *burial = &core->burial;
    burial->stage = BURY_IDLE;
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
            burial->stage = BURY_IDLE; /* it lives */
        return;
    }
    if (burial->target == core->self.id && step->rc == ERR_CONFLICT &&
        strcmp(record->cause, burial->cause) != 0) {
        burial->stage = BURY_IDLE;
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
        steps[0] = (struct ds_step){.kind = DS_LANES_READ, .lanes_read = {.lane = -1}};
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

/* ---- watching ---------------------------------------------------------------- */

static struct watch *watch_of(struct core *core, int64_t node)
{
    for (size_t i = 0; i < core->n_watches; i++)
        if (core->watches[i].node == node)
            return &core->watches[i];
    return NULL;
}

static struct watch *watch_add(struct core *core, int64_t node)
{
    struct watch *watches = realloc(core->watches, (core->n_watches + 1) * sizeof(*watches));
    if (watches == NULL)
        abort();
    core->watches = watches;
    struct watch *watch = &watches[core->n_watches++];
    *watch = (struct watch){.node = node, .moved_at_ms = core_now(core)};
    return watch;
}

/* How many live nodes stand between D and this one on the ring of ids. */
static uint64_t rank_after(const struct core *core, const struct ds_nodes_read *read, int64_t d)
{
    uint64_t rank = 0;
    for (size_t i = 0; i < read->ret_n; i++) {
        int64_t id = read->ret_nodes[i].id;
        if (id == d || id == core->self.id)
            continue;
        bool between =
            d < core->self.id ? id > d && id < core->self.id : id > d || id < core->self.id;
        rank += between ? 1 : 0;
    }
    return rank < RANKS_MAX ? rank : RANKS_MAX;
}

static bool reported_gone(const struct core *core, int64_t node)
{
    for (size_t i = 0; i < core->n_gone; i++)
        if (core->gone[i] == node)
            return true;
    return false;
}

static void peer_judge(struct core *core, const struct ds_nodes_read *read, const struct node *peer,
                       const struct watch *watch)
{
    uint64_t silent_ms = core_now(core) - watch->moved_at_ms;
    uint64_t lease_ms = (uint64_t)peer->lease_ms;
    int alive = core->env->class->peer_alive(core->env, peer);
    uint64_t patience_ms = 0;
    if (alive == 1)
        patience_ms = FROZEN_LEASES * lease_ms;
    else if (alive < 0)
        patience_ms = lease_ms + rank_after(core, read, peer->id) * (lease_ms / 4);
    core->remote_peers = core->remote_peers || alive < 0;
    if (alive == 1 && !reported_gone(core, peer->id))
        core->env->class->peer_watch(core->env, peer);
    if (alive != 0 && silent_ms <= patience_ms) {
        uint64_t over_ms = watch->moved_at_ms + patience_ms + 1;
        if (alive < 0 && over_ms < core->judge_at_ms)
            core->judge_at_ms = over_ms;
        return;
    }
    char cause[160];
    snprintf(cause, sizeof(cause), alive == 0 ? "crashed (buried by %s)" : "buried by %s",
             core->self.name);
    burial_start(core, peer->id, peer->beat, cause);
}

/* Where the unstarted part of a range begins, as far as the record tells: jobs start in order, so
 * behind the last that runs. */
static int64_t unstarted_from(const struct node *peer, struct range range)
{
    int64_t from = range.a;
    for (size_t i = 0; i < peer->n_running; i++)
        if (range_holds(range, peer->running[i].id) && peer->running[i].id >= from)
            from = peer->running[i].id + 1;
    return from;
}

/* Who has most to give of what this node may run? */
static void wealth_note(struct core *core, const struct node *peer)
{
    for (size_t i = 0; i < peer->n_ranges; i++) {
        struct range range = peer->ranges[i].range;
        const struct lane_view *lane = lane_view_get(core, id_lane(range.a));
        int64_t count = range.b - unstarted_from(peer, range);
        if (peer->ranges[i].returning == 0 && count > 0 && lane->serves && !lane->paused &&
            (core->rich_peer == 0 || count > core->rich_count)) {
            core->rich_peer = peer->id;
            core->rich_id = range.a;
            core->rich_count = count;
        }
    }
}

static void peer_seen(struct core *core, const struct ds_nodes_read *read, const struct node *peer)
{
    struct watch *watch = watch_of(core, peer->id);
    if (watch == NULL)
        watch = watch_add(core, peer->id);
    if (peer->beat != watch->beat) {
        watch->beat = peer->beat;
        watch->moved_at_ms = core_now(core);
    }
    watch->seen = true;
    peer_judge(core, read, peer, watch);
    wealth_note(core, peer);
}

static void watches_prune(struct core *core)
{
    size_t n = 0;
    for (size_t i = 0; i < core->n_watches; i++)
        if (core->watches[i].seen)
            core->watches[n++] = core->watches[i];
    core->n_watches = n;
}

/* Nodes met in lane entries that are not among the living: dead with work left, or gone. The kill
 * step tells which; no beat matches this guard, so it never kills anybody. */
static void unburied_check(struct core *core)
{
    for (size_t i = 0; i < core->n_unburied; i++)
        if (watch_of(core, core->unburied[i]) == NULL)
            burial_start(core, core->unburied[i], UINT64_MAX, "");
    core->n_unburied = 0;
}

void burial_suspect(struct core *core, int64_t node)
{
    if (watch_of(core, node) == NULL &&
        core->n_unburied < sizeof(core->unburied) / sizeof(core->unburied[0]))
        core->unburied[core->n_unburied++] = node;
}

/* When the peers are to be read: now and then, and at once when a silent one's time is over. The
 * next round may be later than is promised, when its last heartbeat had been noticed a round late:
 * it is to be buried within its lease and two heartbeats. */
static uint64_t peers_due_ms(const struct core *core)
{
    uint64_t interval_ms = (uint64_t)core->self.lease_ms / (core->remote_peers ? 3 : 2);
    if (core->peers_at_ms == 0 || core->n_unburied > 0)
        return 0;
    uint64_t due = core->peers_at_ms + interval_ms;
    return core->judge_at_ms < due ? core->judge_at_ms : due;
}

/* Did own renewals stop for a while? Then what looks like silence may be our own stall. */
static bool own_gap(const struct core *core)
{
    uint64_t lease_ms = (uint64_t)core->self.lease_ms;
    return core_now(core) - core->renewed_at_ms > lease_ms / 4 + lease_ms / 4;
}

static void watches_restart(struct core *core)
{
    for (size_t i = 0; i < core->n_watches; i++)
        core->watches[i].moved_at_ms = core_now(core);
}

static void peers_seen(struct ds_run *run, void *ctx)
{
    struct call *call = ctx;
    struct core *core = call_returned(call);
    if (run->steps[0].rc != 0) {
        call_retry(core, call);
        arena_release(&run->mem);
        return;
    }
    call_ok(call);
    /* A reading that was long under way says nothing of now: this node may have stood still. */
    if (own_gap(core) || core_now(core) - core->peers_sent_ms > (uint64_t)core->self.lease_ms / 4)
        watches_restart(core);
    const struct ds_nodes_read *read = &run->steps[0].nodes_read;
    for (size_t i = 0; i < core->n_watches; i++)
        core->watches[i].seen = false;
    core->remote_peers = false;
    core->judge_at_ms = UINT64_MAX;
    core->rich_peer = 0;
    core->live_nodes = 1;
    for (size_t i = 0; i < read->ret_n; i++) {
        if (read->ret_nodes[i].id == core->self.id)
            continue;
        core->live_nodes++;
        peer_seen(core, read, &read->ret_nodes[i]);
    }
    watches_prune(core);
    core->n_gone = 0;
    unburied_check(core);
    arena_release(&run->mem);
}

static void peers_read(struct core *core)
{
    core->peers_at_ms = core->peers_sent_ms = core_now(core);
    core->judge_at_ms = UINT64_MAX; /* its reply says anew */
    core->peers_readings++;
    if (own_gap(core))
        watches_restart(core);
    core->peers.steps[0] =
        (struct ds_step){.kind = DS_NODES_READ, .nodes_read = {.live_only = true}};
    call_issue(core, &core->peers, 1, peers_seen);
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
        for (size_t i = 0; i < read->ret_n && n < LIMIT_RUN_STEPS; i++) {
            const struct node *node = &read->ret_nodes[i];
            if (node->state != NODE_DEAD || core_store_ms(core) - node->since_ms < CLEAN_AFTER_MS ||
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
    uint64_t now = core_now(core);
    if (now >= peers_due_ms(core) && call_ready(core, &core->peers))
        peers_read(core);
    if (core->peers_readings >= CLEAN_EVERY && !core->clean.under_way) {
        core->peers_readings = 0;
        clean_start(core);
    }
}

uint64_t burial_due_ms(const struct core *core)
{
    uint64_t due = UINT64_MAX;
    if (core->burial.stage != BURY_IDLE && !core->burial.call.under_way)
        due = core->burial.call.retry_at_ms;
    if (core->registered && !core->stopping && !core->peers.under_way) {
        uint64_t peers = peers_due_ms(core);
        if (core->peers.retry_at_ms > peers)
            peers = core->peers.retry_at_ms;
        due = peers < due ? peers : due;
    }
    return due;
}

void burial_release(struct core *core)
{
    arena_release(&core->burial.mem);
    arena_release(&core->burial.call.run.mem);
    arena_release(&core->peers.run.mem);
    arena_release(&core->clean.run.mem);
    free(core->watches);
}
