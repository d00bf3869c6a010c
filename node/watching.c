/* Watching neighbours (DESIGN §4): who of them has died, how many nodes there are, who has work to
 * share.
 *
 * Silence is this node's own clock since a counter last moved, and counts only while its own
 * renewals succeed: a gap in those restarts all watches, so after an outage nobody buries anybody.
 * A process seen to be gone (same host, boot and pid namespace) is buried at once.
 *
 * A few nodes all watch each other. In a crowd, where that would cost the store the square of their
 * number, each watches the next RING_NODES on the ring of ids, so that each is watched by as many
 * also when some of those die with it; and for some rounds twice as many from a random place, then
 * from another: whoever died with all its watchers is in somebody's view before long. Ids are
 * random, so from how densely they stand in such a stretch follows how many nodes there are.
 * Invariant: I1 (nobody is buried twice: burial.c). Thread: the environment's; pure but for env. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "datastore/steps.h"
#include "node/core_internal.h"

enum {
    RANKS_MAX = 8,     /* buriers step forward one after another */
    FROZEN_LEASES = 6, /* a silent process that is there */
    FEW_NODES = 16,    /* so many neighbours and no more are all read */
    RING_NODES = 8,
    SWEEP_EVERY = 3,  /* rounds between readings of those ... */
    SWEEP_STAYS = 4,  /* ... and readings before others are watched: longer than a lease */
    MET_ENOUGH = 160, /* ... but one reading, each round, until so many have been met */
    SUSPECTS = 8,     /* of a crowd's lane entries, looked into after a reading of all */
};

static size_t few_nodes(const struct core *core)
{
    return core->config.few_nodes > 0 ? core->config.few_nodes : FEW_NODES;
}

/* Tests have nodes that are a crowd when they are three: those must not see all of it, either. */
static size_t ring_nodes(const struct core *core)
{
    return few_nodes(core) < RING_NODES ? few_nodes(core) : RING_NODES;
}

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

static uint64_t silent_ms(const struct core *core, const struct watch *watch)
{
    return core_now(core) - watch->moved_at_ms;
}

/* Could it bury somebody? One that is silent for so long starts nothing any more. */
static bool moves(const struct core *core, const struct watch *watch)
{
    return silent_ms(core, watch) < (uint64_t)core->self.lease_ms * 3 / 4;
}

static bool reported_gone(const struct core *core, int64_t node)
{
    for (size_t i = 0; i < core->n_gone; i++)
        if (core->gone[i] == node)
            return true;
    return false;
}

/* rank: how many others would bury it sooner than this node. */
static void peer_judge(struct core *core, const struct node *peer, const struct watch *watch,
                       uint64_t rank)
{
    uint64_t lease_ms = (uint64_t)peer->lease_ms;
    int alive = core->env->class->peer_alive(core->env, peer);
    uint64_t patience_ms = 0;
    if (alive == 1)
        patience_ms = FROZEN_LEASES * lease_ms;
    else if (alive < 0)
        patience_ms = lease_ms + (rank < RANKS_MAX ? rank : RANKS_MAX) * (lease_ms / 4);
    core->remote_peers = core->remote_peers || alive < 0;
    if (alive == 1 && !reported_gone(core, peer->id))
        core->env->class->peer_watch(core->env, peer);
    if (alive != 0 && silent_ms(core, watch) <= patience_ms) {
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

static const struct watch *peer_seen(struct core *core, const struct node *peer, uint64_t rank,
                                     bool swept)
{
    struct watch *watch = watch_of(core, peer->id);
    if (watch == NULL)
        watch = watch_add(core, peer->id);
    if (peer->beat != watch->beat) {
        watch->beat = peer->beat;
        watch->moved_at_ms = core_now(core);
    }
    watch->swept = swept && (watch->swept || !watch->seen);
    watch->seen = true;
    peer_judge(core, peer, watch, rank);
    wealth_note(core, peer);
    return watch;
}

/* ---- how many there are ---------------------------------------------------------------------- */

/* How much of the ring lies between two ids. */
static double arc(int64_t from, int64_t to)
{
    return (double)(((uint64_t)to - (uint64_t)from) & INT64_MAX) / (double)INT64_MAX;
}

/* One more stretch of the ring with n nodes. The past fades; where it is far from what is seen now
 * the cluster has grown or shrunk, and it counts no more. */
static void stretch_met(struct core *core, int64_t from, const struct ds_nodes_read *read)
{
    enum { FADES = 20, FAR = 3 };
    if (read->ret_n == 0)
        return;
    double n = (double)read->ret_n, part = arc(from, read->ret_nodes[read->ret_n - 1].id);
    double past = core->met_arc > 0 ? core->met / core->met_arc : 0;
    if (part * past > FAR * n || n > FAR * part * past)
        core->met = core->met_arc = 0;
    core->met = core->met * (FADES - 1) / FADES + n;
    core->met_arc = core->met_arc * (FADES - 1) / FADES + part;
}

/* Rather too many while little was seen: who takes itself for one of few claims too much. */
static size_t crowd_size(const struct core *core)
{
    enum { DOUBT = 8 };
    double n = core->met_arc > 0 ? (core->met + DOUBT) / core->met_arc : 0;
    if (n < (double)few_nodes(core) + 1)
        return few_nodes(core) + 1;
    return n < LIMIT_NODES ? (size_t)n : LIMIT_NODES;
}

/* ---- nodes met in lane entries --------------------------------------------------------------- */

/* A few know all the living; of a crowd some of the entries are looked into, any of them as likely
 * as any other. */
void watching_suspect(struct core *core, int64_t node)
{
    if (watch_of(core, node) != NULL)
        return;
    size_t room = core->crowd ? SUSPECTS : sizeof(core->unburied) / sizeof(core->unburied[0]);
    core->unburied_met++;
    if (core->n_unburied < room) {
        core->unburied[core->n_unburied++] = node;
    } else if (core->crowd) {
        size_t at = core->env->class->random(core->env) % core->unburied_met;
        if (at < room)
            core->unburied[at] = node;
    }
}

/* Dead with work left, or gone. The kill step tells which; no beat matches this guard, so it never
 * kills anybody. */
static void unburied_check(struct core *core)
{
    for (size_t i = 0; i < core->n_unburied; i++)
        if (watch_of(core, core->unburied[i]) == NULL)
            burial_start(core, core->unburied[i], UINT64_MAX, "");
    core->n_unburied = 0;
}

/* The same of a crowd: the record of each was read. */
static void single_seen(struct core *core, const struct ds_step *step)
{
    const struct node *node = step->rc == 0 ? &step->nodes_read.ret_nodes[0] : NULL;
    if (node == NULL && step->rc != ERR_NOT_FOUND)
        return;
    if (node == NULL || node->state == NODE_DEAD)
        burial_start(core, step->nodes_read.node, UINT64_MAX, "");
    else
        peer_seen(core, node, RANKS_MAX, true);
}

/* ---- reading --------------------------------------------------------------------------------- */

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

/* Those that were not in this reading are forgotten, but for those swept when none were read. */
static void watches_prune(struct core *core, bool swept_too)
{
    size_t n = 0;
    for (size_t i = 0; i < core->n_watches; i++)
        if (core->watches[i].seen || (core->watches[i].swept && !swept_too))
            core->watches[n++] = core->watches[i];
    core->n_watches = n;
}

/* Those next on the ring, in its order: the nearest that lives buries first. */
static void ring_seen(struct core *core, const struct ds_nodes_read *ring)
{
    uint64_t rank = 0;
    for (size_t i = 0; i < ring->ret_n; i++) {
        if (ring->ret_nodes[i].id == core->self.id)
            continue;
        const struct watch *watch = peer_seen(core, &ring->ret_nodes[i], rank, false);
        rank += moves(core, watch) ? 1 : 0;
    }
    bool was_crowd = core->crowd;
    core->crowd = ring->ret_n == ring->max;
    if (!core->crowd)
        core->live_nodes = ring->ret_n > 0 ? ring->ret_n : 1;
    else if (!was_crowd)
        stretch_met(core, core->self.id, ring);
}

static void swept_seen(struct core *core, const struct ds_nodes_read *swept)
{
    if (core->sweep_new)
        stretch_met(core, core->sweep_from, swept);
    core->sweep_new = false;
    core->sweeps_left--;
    for (size_t i = 0; i < swept->ret_n; i++)
        if (swept->ret_nodes[i].id != core->self.id)
            peer_seen(core, &swept->ret_nodes[i], RANKS_MAX, true);
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
    for (size_t i = 0; i < core->n_watches; i++)
        core->watches[i].seen = false;
    core->remote_peers = false;
    core->judge_at_ms = UINT64_MAX;
    core->rich_peer = 0;
    ring_seen(core, &run->steps[0].nodes_read);
    bool swept = false;
    for (size_t i = 1; i < run->n_steps; i++) {
        const struct ds_step *step = &run->steps[i];
        swept = swept || (step->rc == 0 && step->nodes_read.node == 0);
        if (step->nodes_read.node != 0)
            single_seen(core, step);
        else if (step->rc == 0)
            swept_seen(core, &step->nodes_read);
    }
    watches_prune(core, swept || !core->crowd);
    core->n_gone = 0;
    if (core->crowd)
        core->live_nodes = crowd_size(core);
    else
        unburied_check(core);
    arena_release(&run->mem);
}

static struct ds_step *step_add(struct core *core, size_t *n)
{
    struct ds_step *step = &core->peers.steps[(*n)++];
    *step = (struct ds_step){.kind = DS_NODES_READ, .independent = true};
    return step;
}

/* Beside those next to it: some from elsewhere, and those of whom something was heard. */
static void crowd_steps(struct core *core, size_t *n)
{
    bool enough = core->met >= MET_ENOUGH;
    if (core->peers_readings % SWEEP_EVERY == 0 || !enough) {
        if (core->sweeps_left == 0) {
            core->sweeps_left = enough ? SWEEP_STAYS : 1;
            core->sweep_new = true;
            core->sweep_from = (int64_t)(core->env->class->random(core->env) & INT64_MAX);
        }
        step_add(core, n)->nodes_read = (struct ds_nodes_read){
            .live_only = true, .after = core->sweep_from, .max = 2 * ring_nodes(core)};
    }
    for (size_t i = 0; i < core->n_gone; i++)
        step_add(core, n)->nodes_read = (struct ds_nodes_read){.node = core->gone[i]};
    for (size_t i = 0; i < core->n_unburied; i++)
        step_add(core, n)->nodes_read = (struct ds_nodes_read){.node = core->unburied[i]};
    core->n_unburied = 0;
}

static void peers_read(struct core *core)
{
    core->peers_at_ms = core->peers_sent_ms = core_now(core);
    core->judge_at_ms = UINT64_MAX; /* its reply says anew */
    core->peers_readings++;
    if (own_gap(core))
        watches_restart(core);
    /* All but for a large crowd: so it is seen when it is none any more. */
    bool large = core->crowd && core->live_nodes > 2 * few_nodes(core);
    size_t n = 0;
    struct ds_step *ring = step_add(core, &n);
    ring->independent = false;
    ring->nodes_read =
        (struct ds_nodes_read){.live_only = true,
                               .after = core->self.id,
                               .max = large ? ring_nodes(core) : few_nodes(core) + 2};
    if (core->crowd)
        crowd_steps(core, &n);
    assert(n <= LIMIT_RUN_STEPS);
    call_issue(core, &core->peers, n, peers_seen);
}

void watching_tick(struct core *core)
{
    if (core_now(core) >= peers_due_ms(core) && call_ready(core, &core->peers))
        peers_read(core);
}

uint64_t watching_due_ms(const struct core *core)
{
    if (core->peers.under_way)
        return UINT64_MAX;
    uint64_t due = peers_due_ms(core);
    return core->peers.retry_at_ms > due ? core->peers.retry_at_ms : due;
}

void watching_release(struct core *core)
{
    arena_release(&core->peers.run.mem);
    free(core->watches);
}
