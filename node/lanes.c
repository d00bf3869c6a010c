/* What a node knows of the lanes: looking at them, and sharing of work when there is nothing to
 * claim: asking a rich peer, and giving back.
 *
 * Looks only read, and each step may be a round trip: between a wake and a claim stand two.
 *
 *   look  [queues, lanes]  woken, or with work in sight
 *         [lanes]          idle, to see whether there is work: then a look with the queues follows
 *   own   [meta, own record]  woken: a pause or a cancel does not wait for a heartbeat
 *         [meta]              once in a while
 *
 * Where wakes are sure a look follows each, and is rare without. Where they are not, looks without
 * a wake come soon after there was work and ever more seldom, down to look_ms: an idle node may
 * cost two steps a second, heartbeats and all.
 * Thread: the environment's; pure but for env. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/core_internal.h"

enum {
    LOOK_MS_A_NODE = 2,
    PASS_ON_APART_MS = 1000,
    ENTRIES_MS = 32000, /* of a crowd's entries, between readings of all */
    ASKERS = 256, /* of a crowd that has nothing to do, after each reading of the peers, about */
    ASK_APART_MS = 1000,
    SURPLUS_MS = 500, /* of a crowd: more work in hand while the lane is empty is too much ... */
    SURPLUS_LOOK_MS = 1000, /* ... so who has as much looks so often whether it is */
};

struct lane_view *lane_view_get(struct core *core, int32_t number)
{
    for (size_t i = 0; i < core->n_lanes; i++)
        if (core->lanes[i]->number == number)
            return core->lanes[i];
    struct lane_view **lanes = realloc(core->lanes, (core->n_lanes + 1) * sizeof(*lanes));
    struct lane_view *lane = calloc(1, sizeof(*lane));
    if (lanes == NULL || lane == NULL)
        abort();
    lane->number = number;
    lane->mean_ms = -1;
    core->lanes = lanes;
    core->lanes[core->n_lanes++] = lane;
    return lane;
}

void lanes_release(struct core *core)
{
    for (size_t i = 0; i < core->n_lanes; i++)
        free(core->lanes[i]);
    free(core->lanes);
    arena_release(&core->look.run.mem);
    arena_release(&core->own.run.mem);
    arena_release(&core->ask.run.mem);
}

/* ---- looking -------------------------------------------------------------------------------- */

static bool serves_queue(const struct core *core, const char *queue)
{
    for (size_t i = 0; i < core->self.n_queues; i++)
        if (strcmp(core->self.queues[i], queue) == 0)
            return true;
    return false;
}

static bool serves_types(const struct core *core, const struct lane *lane)
{
    for (size_t i = 0; i < lane->n_types; i++) {
        bool found = false;
        for (size_t k = 0; k < core->self.n_types && !found; k++)
            found = strcmp(core->self.types[k], lane->types[i]) == 0;
        if (!found)
            return false;
    }
    return true;
}

static uint64_t jittered(const struct core *core, uint64_t ms)
{
    return ms - ms / 8 + core->env->class->random(core->env) % (ms / 4 + 1);
}

/* The longest and the shortest time between looks that nobody asked for. A crowd looks more seldom:
 * it is many who look. */
static uint64_t look_ms_max(const struct core *core)
{
    uint64_t crowd_ms = core->crowd ? core->live_nodes * LOOK_MS_A_NODE : 0;
    return core->config.look_ms > crowd_ms ? core->config.look_ms : crowd_ms;
}

void lanes_look_soon(struct core *core)
{
    uint64_t crowd_ms = core->crowd ? core->live_nodes / 2 : 0;
    core->look_backoff_ms = crowd_ms > LOOK_SOON_MS ? crowd_ms : LOOK_SOON_MS;
    core->look_gap_ms = jittered(core, core->look_backoff_ms);
}

/* The next one without a wake comes after a longer while. */
static void look_later(struct core *core)
{
    uint64_t max_ms = look_ms_max(core);
    uint64_t ms = core->look_backoff_ms * 2;
    core->look_backoff_ms = ms > 0 && ms < max_ms ? ms : max_ms;
    core->look_gap_ms = jittered(core, core->look_backoff_ms);
}

/* queues: NULL when they were not read with it. What was found then is not claimed before it is
 * known whether its queue is paused. */
static void lane_seen(struct core *core, const struct lane *lane,
                      const struct ds_queues_read *queues)
{
    struct lane_view *view = lane_view_get(core, lane->number);
    view->name = lane->name;
    view->serves = serves_queue(core, lane->name.queue) && serves_types(core, lane);
    view->paused = view->paused && queues == NULL;
    for (size_t i = 0; queues != NULL && i < queues->ret_n; i++)
        if (strcmp(queues->ret_queues[i].name, lane->name.queue) == 0)
            view->paused = queues->ret_queues[i].paused;
    if (view->serves && lane->tail != view->tail)
        lanes_look_soon(core);
    view->seen_at_ms = core_now(core);
    view->head = lane->head;
    view->tail = lane->tail;
    view->backlog = lane->tail - lane->head;
    view->n_pool = 0;
    for (size_t i = 0; i < lane->n_pool; i++) {
        view->backlog += range_count(lane->pool[i]);
        if (view->n_pool < sizeof(view->pool) / sizeof(view->pool[0]))
            view->pool[view->n_pool++] = lane->pool[i];
    }
    if (queues == NULL && view->serves && view->backlog > 0) {
        view->backlog = 0;
        core->look_wanted = true;
    }
    bool steady = core->look_works != UINT64_MAX && core->look_works == ledger_lane_works(core);
    for (size_t i = 0; i < lane->n_entries; i++)
        if (lane->entries[i].node != core->self.id)
            watching_suspect(core, lane->entries[i].node);
        else if (steady)
            ledger_entry_seen(core, view, &lane->entries[i]);
}

/* In a crowd what comes back costs a claim, and others look for it, too: small pieces are kept. */
void lanes_shed(struct core *core, int32_t number)
{
    const struct lane_view *lane = lane_view_get(core, number);
    double ms = lane_ahead_ms(core, lane);
    if (ms < 0 || ms >= 2 * lane_round_ms(core, lane))
        holds_shed(core, number);
}

/* In a crowd those who have nothing to do hardly find those few who hold more than they can start.
 * So who holds much, and sees that nothing else is left, gives half of it back unasked; and looks
 * more often when that will be so before long. */
static void surplus_leave(struct core *core)
{
    for (size_t i = 0; core->crowd && i < core->n_lanes; i++) {
        const struct lane_view *lane = core->lanes[i];
        int64_t left = lane->tail - lane->head;
        if (lane_ahead_ms(core, lane) < SURPLUS_MS + 2 * lane_round_ms(core, lane))
            continue;
        if (left == 0 && lane->n_pool == 0)
            holds_shed(core, lane->number);
        if (left < (int64_t)lane_sharers(core, lane) * core->self.slots)
            core->look_gap_ms = jittered(core, SURPLUS_LOOK_MS);
    }
}

static void looked(struct ds_run *run, void *ctx)
{
    struct call *call = ctx;
    struct core *core = call_returned(call);
    if (ds_run_code(run) != 0) {
        call_retry(core, call);
        core->look_wanted = true;
    } else {
        call_ok(call);
        const struct ds_lanes_read *lanes = &run->steps[run->n_steps - 1].lanes_read;
        const struct ds_queues_read *queues = run->n_steps > 1 ? &run->steps[0].queues_read : NULL;
        bool was_work = lanes_claimable_priority(core) >= 0;
        for (size_t i = 0; i < lanes->ret_n; i++)
            lane_seen(core, &lanes->ret_lanes[i], queues);
        int32_t priority = lanes_claimable_priority(core);
        if (!was_work && priority >= 0 && !core->turn_taken)
            turn_take(core, priority);
        core->rung = core->rung && priority >= 0;
        surplus_leave(core);
    }
    arena_release(&run->mem);
}

/* Is anything in sight whose queue might be paused meanwhile? */
static bool work_in_sight(const struct core *core)
{
    for (size_t i = 0; i < core->n_lanes; i++)
        if (core->lanes[i]->serves && core->lanes[i]->backlog > 0)
            return true;
    return core->n_holds > 0;
}

/* Is there room in the hands for more than is there? */
static bool hungry(const struct core *core)
{
    if (!core_may_claim(core))
        return false;
    for (size_t i = 0; i < core->n_lanes; i++)
        if (core->lanes[i]->serves && core->lanes[i]->backlog > 0 && !core->lanes[i]->paused)
            return false; /* there is something to claim without looking */
    return holds_unstarted(core, NULL) < CLAIM_JOBS;
}

static uint64_t look_at_ms(const struct core *core)
{
    if (!core->registered)
        return UINT64_MAX;
    bool unsure = core->config.wake_unsure;
    uint64_t gap_ms = look_ms_max(core);
    if (core->look_wanted)
        gap_ms = !hungry(core) && !core->turn_taken ? LOOK_MS_MIN : unsure ? LOOK_APART_MS : 0;
    else if (unsure && hungry(core))
        gap_ms = core->look_gap_ms;
    return core->looked_at_ms + gap_ms;
}

/* Whose entries a look reads: all while they are few. Of a crowd the own one, and all only now and
 * then, to see whether one of them is a dead node's. */
static int64_t entries_wanted(struct core *core)
{
    uint64_t now = core_now(core);
    uint64_t later_ms = core->rung ? ENTRIES_MS : 0;
    if (!core->crowd || now >= core->entries_at_ms + later_ms) {
        core->entries_at_ms = now + jittered(core, ENTRIES_MS);
        core->unburied_met = 0;
        return 0;
    }
    return core->self.id;
}

static void look_start(struct core *core)
{
    struct ds_step *steps = core->look.steps;
    size_t n = 0;
    if (core->look_wanted || work_in_sight(core))
        steps[n++] = (struct ds_step){.kind = DS_QUEUES_READ};
    struct ds_lanes_read *read = &steps[n].lanes_read;
    steps[n++] = (struct ds_step){.kind = DS_LANES_READ,
                                  .lanes_read = {.lane = -1, .entries_of = entries_wanted(core)}};
    if (core->crowd && core->rung && !core->turn_taken && core->n_holds == 0 &&
        core_now(core) - core->passed_on_at_ms >= PASS_ON_APART_MS) {
        core->passed_on_at_ms = core_now(core);
        read->pass_on = (int64_t)core->live_nodes;
    }
    core->look_wanted = false;
    core->looked_at_ms = core_now(core);
    core->look_works = ledger_lane_works(core);
    look_later(core);
    call_issue(core, &core->look, n, looked);
}

/* ---- what others asked of this node --------------------------------------------------------- */

static void own_seen(struct ds_run *run, void *ctx)
{
    struct call *call = ctx;
    struct core *core = call_returned(call);
    if (run->steps[0].rc != 0) {
        call_retry(core, call);
        core->own_wanted = true;
    } else {
        call_ok(call);
        const struct meta *meta = &run->steps[0].meta_read.ret_meta;
        const struct ds_step *own = run->n_steps > 1 ? &run->steps[1] : NULL;
        if ((meta->features & ~(int64_t)FEATURES_KNOWN) != 0)
            core_fail(core, ERR_VERSION,
                      "the store uses features this version does not know: "
                      "install the newer version");
        if (own != NULL && own->rc == 0 && own->nodes_read.ret_nodes[0].state != NODE_DEAD)
            core_requests(core, own->nodes_read.ret_nodes[0].desired,
                          own->nodes_read.ret_nodes[0].requests,
                          own->nodes_read.ret_nodes[0].n_requests);
    }
    arena_release(&run->mem);
}

static uint64_t own_at_ms(const struct core *core)
{
    if (!core->registered)
        return UINT64_MAX;
    return core->own_at_ms + (core->own_wanted ? LOOK_MS_MIN : META_MS);
}

static void own_read(struct core *core)
{
    struct ds_step *steps = core->own.steps;
    size_t n = 0;
    steps[n++] = (struct ds_step){.kind = DS_META_READ};
    if (core->own_wanted)
        steps[n++] = (struct ds_step){
            .kind = DS_NODES_READ,
            .independent = true,
            .nodes_read = {.node = core->self.id},
        };
    core->own_wanted = false;
    core->own_at_ms = core_now(core);
    call_issue(core, &core->own, n, own_seen);
}

/* ---- asking a peer to share ------------------------------------------------------------------ */

static void asked(struct ds_run *run, void *ctx)
{
    (void)call_returned(ctx);
    arena_release(&run->mem); /* a hint: whatever came of it, it may be asked again */
}

/* In a crowd what comes back costs a claim, and others look for it, too: small pieces are left. */
static bool worth_asking(struct core *core)
{
    const struct lane_view *lane = lane_view_get(core, id_lane(core->rich_id));
    double ms = lane_job_ms(core, lane);
    int round = lane_round_ms(core, lane);
    return ms < 0 || core->rich_count >= 2 * lane_ids_worth(core, ms, round);
}

static void ask_to_share(struct core *core)
{
    uint64_t now = core_now(core);
    if (core->rich_peer == 0 || !worth_asking(core) || !call_ready(core, &core->ask) ||
        !core_may_claim(core) || core->n_holds > 0 || now - core->asked_at_ms < ASK_APART_MS)
        return;
    if (core->crowd && core->looked_at_ms < core->peers_at_ms)
        return; /* what was to be had then may be had without asking */
    for (size_t i = 0; i < core->n_lanes; i++)
        if (core->lanes[i]->serves && core->lanes[i]->backlog > 0 && !core->lanes[i]->paused)
            return;
    if (core->crowd && core->env->class->random(core->env) % core->live_nodes >= ASKERS) {
        core->rich_peer = 0; /* others ask; perhaps this one after the next reading */
        return;
    }
    core->asked_at_ms = now;
    core->ask.steps[0] = (struct ds_step){
        .kind = DS_NODE_ASK,
        .node_ask = {.node = core->rich_peer,
                     .add_request = true,
                     .request = {.kind = REQUEST_SHED, .id = core->rich_id, .from = core->self.id}},
    };
    core->rich_peer = 0; /* until the next reading of the peers */
    call_issue(core, &core->ask, 1, asked);
}

void lanes_tick(struct core *core)
{
    if (call_ready(core, &core->look) && core_now(core) >= look_at_ms(core))
        look_start(core);
    if (call_ready(core, &core->own) && core_now(core) >= own_at_ms(core))
        own_read(core);
    ask_to_share(core);
}

static uint64_t call_at_ms(const struct call *call, uint64_t at_ms)
{
    if (call->under_way)
        return UINT64_MAX;
    return call->retry_at_ms > at_ms ? call->retry_at_ms : at_ms;
}

uint64_t lanes_due_ms(const struct core *core)
{
    uint64_t look = call_at_ms(&core->look, look_at_ms(core));
    uint64_t own = call_at_ms(&core->own, own_at_ms(core));
    return look < own ? look : own;
}
