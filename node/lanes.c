/* What a node knows of the lanes: looking at them, choosing what to claim and how much, and asking
 * a rich peer to share when there is nothing to claim.
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
 * cost two steps a second, heartbeats and all. Sizes of claims are DESIGN §4's: about a second of
 * work, at most backlog / (2 x live nodes), but no less than is worth a claim.
 * Thread: the environment's; pure but for env. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/random.h"

#include "node/core_internal.h"

enum {
    LOOK_MS_A_NODE = 2,
    ENTRIES_MS = 32000, /* of a crowd's entries, between readings of all */
    WORK_AHEAD_MS = 1000,
    GRANT_JOBS = 16384, /* ids of one grant, but for a crowd's */
    CLAIM_AHEAD_JOBS = 2 * GRANT_JOBS,
    SHARE_JOBS_MIN = 256, /* fewer are shared out, whatever they took lately */
    SPREAD_MS_MIN = 20,   /* less work than that is no use to share: to take it costs as much */
    /* What a claim keeps a lane's record busy for, about, on a server: so much, and with each
     * node's entry in it so much more (docs/SCALE.md). */
    CLAIM_US = 1000,
    CLAIM_US_ENTRY = 2,
    CLAIM_US_STORE = 250, /* ... and with all that follows from it the store as a whole */
    SHARERS_MIN = 4,      /* of a lane, so that each has some who keep to it ... */
    KEEP_MS = 60000,      /* ... for so long: nobody is left to no one */
    ASKERS = 256, /* of a crowd that has nothing to do, after each reading of the peers, about */
    ROUNDS_AHEAD = 4, /* of a crowd: claims, made by the half, take half of a lane's time */
    SURPLUS_MS =
        2000, /* of a crowd: more work than that in hand while the lane is empty goes back */
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

void lane_sample(struct lane_view *lane, double ms, size_t jobs)
{
    enum { WEIGHT = 8 }; /* of the past, in samples */
    double sample = jobs > 0 ? ms / (double)jobs : ms;
    if (sample < 0.001)
        sample = 0.001;
    /* A bulk counts as the many samples it is: the past fades at once. */
    if (lane->mean_ms < 0 || jobs > WEIGHT)
        lane->mean_ms = sample;
    else
        lane->mean_ms += (sample - lane->mean_ms) / WEIGHT;
}

/* The slower of the recent mean and the age of the oldest job running; < 0: not known. Before any
 * has ended a young age says nothing: taken for a mean, a millisecond would claim the whole
 * backlog. */
static double job_ms(const struct core *core, const struct lane_view *lane)
{
    double oldest_ms = 0;
    uint64_t now = core_now(core);
    for (size_t i = 0; i < (size_t)core->self.slots; i++) {
        const struct running *r = &core->running[i];
        if (r->page != NULL && r->page->hold->lane == lane &&
            (double)(now - r->started_at_ms) > oldest_ms)
            oldest_ms = (double)(now - r->started_at_ms);
    }
    if (lane->mean_ms < 0)
        return oldest_ms > WORK_AHEAD_MS ? oldest_ms : -1;
    return oldest_ms > lane->mean_ms ? oldest_ms : lane->mean_ms;
}

/* ---- a crowd at a lane ----------------------------------------------------------------------- */

static bool claimable(const struct lane_view *lane)
{
    return lane->serves && !lane->paused && lane->backlog > 0;
}

/* Of a crowd each keeps to one of the lanes of that priority, if they are few enough. */
static bool keeps_to_one(const struct core *core, int32_t priority, size_t *ret_lanes)
{
    *ret_lanes = 0;
    for (size_t i = 0; i < core->n_lanes; i++)
        *ret_lanes +=
            claimable(core->lanes[i]) && core->lanes[i]->name.priority == priority ? 1 : 0;
    return core->crowd && *ret_lanes > 1 && core->live_nodes / *ret_lanes >= SHARERS_MIN;
}

/* How many nodes claim from a lane of that priority. */
static size_t sharers(const struct core *core, int32_t priority)
{
    size_t lanes;
    return keeps_to_one(core, priority, &lanes) ? core->live_nodes / lanes : core->live_nodes;
}

/* How long it takes until each of a crowd has claimed once; of a few it is as good as nothing. */
static int round_ms(const struct core *core, int32_t priority)
{
    if (!core->crowd)
        return 0;
    uint64_t claimers = sharers(core, priority);
    uint64_t lane_us = claimers * (CLAIM_US + claimers * CLAIM_US_ENTRY);
    uint64_t store_us = core->live_nodes * CLAIM_US_STORE;
    return (int)((lane_us > store_us ? lane_us : store_us) / 1000);
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

/* A crowd does not claim at the same time: the lane would be done with all of them soon enough, but
 * a node whose claim waits does not renew its lease meanwhile. No more are rung than there is work,
 * so those need not wait for all the others. */
static void turn_take(struct core *core, int32_t priority)
{
    int64_t backlog = 0, claimers = (int64_t)core->live_nodes;
    for (size_t i = 0; i < core->n_lanes; i++)
        if (claimable(core->lanes[i]) && core->lanes[i]->name.priority == priority)
            backlog += core->lanes[i]->backlog;
    double part = core->rung && backlog < claimers ? (double)backlog / (double)claimers : 1;
    uint64_t within_ms = (uint64_t)(round_ms(core, priority) * part);
    core->rung = false;
    core->claim_after_ms =
        core_now(core) + (within_ms > 0 ? core->env->class->random(core->env) % within_ms : 0);
    core->turn_taken = true;
}

/* The lanes' highest priority with something to claim; -1: nothing. */
static int32_t claimable_priority(const struct core *core)
{
    int32_t priority = -1;
    for (size_t i = 0; i < core->n_lanes; i++)
        if (claimable(core->lanes[i]) && (priority < 0 || core->lanes[i]->name.priority < priority))
            priority = core->lanes[i]->name.priority;
    return priority;
}

/* So little is left that not all of a crowd can have of it. */
static bool scarce(const struct core *core, const struct lane_view *lane, int64_t want)
{
    size_t claimers = sharers(core, lane->name.priority);
    return core->crowd && lane->backlog / 2 < (int64_t)claimers * want;
}

/* Where little is left each waits for its turn, and looks whether anything is left then: a look
 * holds up nobody. */
static bool turn_come(struct core *core, const struct lane_view *lane, int64_t want)
{
    if (core_now(core) < core->claim_after_ms)
        return false;
    if (!scarce(core, lane, want))
        return true;
    if (!core->turn_taken) {
        turn_take(core, lane->name.priority);
        return false;
    }
    bool seen = !core->look.under_way && core->looked_at_ms >= core->claim_after_ms;
    core->look_wanted = core->look_wanted || (!seen && !core->look.under_way);
    return seen;
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

/* In a crowd those who have nothing to do hardly find those few who hold more than they can start.
 * So who holds much, and sees that nothing else is left, gives half of it back unasked; and looks
 * more often when that will be so before long. */
static void surplus_leave(struct core *core)
{
    for (size_t i = 0; core->crowd && i < core->n_lanes; i++) {
        const struct lane_view *lane = core->lanes[i];
        double ms = job_ms(core, lane);
        double ahead_ms = (double)holds_unstarted(core, lane) * ms / core->self.slots;
        int64_t left = lane->tail - lane->head;
        if (ms < 0 || ahead_ms < SURPLUS_MS + round_ms(core, lane->name.priority))
            continue;
        if (left == 0 && lane->n_pool == 0)
            holds_shed(core, lane->number);
        if (left < (int64_t)sharers(core, lane->name.priority) * core->self.slots)
            core->look_gap_ms = jittered(core, SURPLUS_MS / 2);
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
        bool was_work = claimable_priority(core) >= 0;
        for (size_t i = 0; i < lanes->ret_n; i++)
            lane_seen(core, &lanes->ret_lanes[i], queues);
        int32_t priority = claimable_priority(core);
        if (!was_work && priority >= 0 && !core->turn_taken)
            turn_take(core, priority);
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
    return holds_unstarted(core, NULL) < GRANT_JOBS;
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
    if (!core->crowd || now >= core->entries_at_ms) {
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
    steps[n++] = (struct ds_step){.kind = DS_LANES_READ,
                                  .lanes_read = {.lane = -1, .entries_of = entries_wanted(core)}};
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

/* ---- choosing ------------------------------------------------------------------------------- */

/* Ids that all slots together need so long for; a job that takes no time at all counts as 10 us. */
static int64_t ids_worth(const struct core *core, double job_ms, int work_ms)
{
    return (int64_t)((double)core->self.slots * work_ms / (job_ms > 0.01 ? job_ms : 0.01));
}

/* How many ids should be in hand: about a second of work, or as much as it takes for all who share
 * the lane to have their turn. Before any job has ended a few nodes take one for each slot; of a
 * crowd each would take a second turn at once, so there it is what falls to it. */
static int64_t target_of(const struct core *core, const struct lane_view *lane, double ms,
                         int64_t share, bool higher_waits)
{
    int64_t slots = core->self.slots, free_slots = slots - (int64_t)core->n_running;
    int round = round_ms(core, lane->name.priority);
    int ahead = ROUNDS_AHEAD * round > WORK_AHEAD_MS ? ROUNDS_AHEAD * round : WORK_AHEAD_MS;
    if (higher_waits || ms > ahead)
        return free_slots;
    if (ms < 0)
        return core->crowd && share > slots ? share : slots;
    int64_t target = ids_worth(core, ms, ahead);
    int64_t most = core->crowd ? 2 * LIMIT_GRANT_JOBS : CLAIM_AHEAD_JOBS;
    target = target < most ? target : most;
    return target > slots ? target : slots;
}

/* A small backlog is shared out, but in no smaller pieces than are worth a claim. */
static int64_t share_of(const struct core *core, const struct lane_view *lane, double ms)
{
    int64_t claimers = (int64_t)sharers(core, lane->name.priority);
    int64_t share = lane->backlog / (2 * claimers);
    int round = round_ms(core, lane->name.priority);
    int64_t few = ms >= 0 ? ids_worth(core, ms, SPREAD_MS_MIN) : 0;
    int64_t turn = ms >= 0 ? ids_worth(core, ms, round) : 0;
    if (few >= SHARE_JOBS_MIN && share < few)
        share = few;
    return share > turn ? share : turn;
}

static int64_t want_of(const struct core *core, const struct lane_view *lane, bool higher_waits)
{
    /* What is of lower priority stands behind: it must not bar a higher lane from being claimed. */
    int64_t unstarted = holds_unstarted_before(core, lane->name.priority);
    double ms = job_ms(core, lane);
    int64_t share = share_of(core, lane, ms);
    int64_t target = target_of(core, lane, ms, share, higher_waits);
    /* Claims are worth making by the half: one claim for many jobs. */
    if (target <= 0 || unstarted * 2 > target || (core->crowd && unstarted > share))
        return 0;
    /* Ids whose submitter died come in stretches: as many again, so that they are soon passed. */
    int64_t want = target - unstarted + holds_old_holes(core, lane);
    if (want > share)
        want = share;
    if (want < 1)
        want = 1;
    int64_t most = core->crowd ? LIMIT_GRANT_JOBS : GRANT_JOBS;
    return want < most ? want : most;
}

/* A number for that node and lane at this time. */
static uint64_t liking(const struct core *core, const struct lane_view *lane)
{
    uint64_t id = (uint64_t)core->self.id, minute = (core_now(core) + id % KEEP_MS) / KEEP_MS;
    uint64_t z = id + (uint64_t)(lane->number + 1) * 0x9e3779b97f4a7c15U + minute;
    return random_mix(z);
}

/* Of the highest priority there is. A few nodes take turns among several lanes, and so do many
 * where the lanes are many, too. Else each of a crowd keeps to a lane for a while, so that none has
 * the entries of all of them (rendezvous hashing, Thaler and Ravishankar 1998). */
static struct lane_view *best_lane(const struct core *core)
{
    struct lane_view *best = NULL;
    uint64_t best_liking = 0;
    int32_t priority = claimable_priority(core);
    size_t lanes;
    bool keeps = keeps_to_one(core, priority, &lanes);
    /* Not all of a crowd go from the same lane to the same next one. */
    size_t from = core->turn + (core->crowd ? (size_t)core->self.id : 0);
    for (size_t k = 0; k < core->n_lanes; k++) {
        struct lane_view *lane = core->lanes[(from + k) % core->n_lanes];
        if (!claimable(lane) || lane->name.priority != priority)
            continue;
        uint64_t like = keeps ? liking(core, lane) : core->n_lanes - k;
        if (best == NULL || like > best_liking) {
            best = lane;
            best_liking = like;
        }
    }
    return best;
}

struct lane_view *lanes_choose(struct core *core, int64_t *ret_want)
{
    size_t live_holds = 0;
    for (size_t i = 0; i < core->n_holds; i++)
        live_holds += core->holds[i]->state == HOLD_LIVE ? 1 : 0;
    if (live_holds >= LIMIT_HELD_RANGES || core->n_holds >= HOLDS_MAX)
        return NULL;
    struct lane_view *best = best_lane(core);
    bool higher_waits = false;
    if (best == NULL)
        return NULL;
    /* Work of a higher priority is in hand and waits: more of a lower one only for free slots. */
    for (size_t i = 0; i < core->n_holds && !higher_waits; i++)
        higher_waits = core->holds[i]->lane->name.priority < best->name.priority &&
                       holds_unstarted(core, core->holds[i]->lane) > 0;
    int64_t want = want_of(core, best, higher_waits);
    if (want == 0 || !turn_come(core, best, want))
        return NULL;
    core->turn_taken = false;
    core->turn++;
    *ret_want = want;
    return best;
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
    double ms = job_ms(core, lane);
    int round = round_ms(core, lane->name.priority);
    return ms < 0 || core->rich_count >= 2 * ids_worth(core, ms, round);
}

static void ask_to_share(struct core *core)
{
    uint64_t now = core_now(core);
    if (core->rich_peer == 0 || !worth_asking(core) || !call_ready(core, &core->ask) ||
        !core_may_claim(core) || core->n_holds > 0 || now - core->asked_at_ms < WORK_AHEAD_MS)
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
