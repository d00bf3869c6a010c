/* What a node claims next: of which lane, how many ids, and when.
 *
 * Sizes of claims are DESIGN §4's: about a second of work, at most backlog / (2 x live nodes), but
 * no less than is worth a claim.
 *
 * Of a crowd, where claims are many for a lane's record and for the store, each
 *   keeps to one of several lanes, to more of them where more waits (rendezvous hashing);
 *   claims further ahead, and at the end in pieces that cost a claim about as long as they last;
 *   waits for its turn where little is left, looks again then, and leaves it to others when those
 *   who look are many more than what is left has room for (docs/SCALE.md).
 * Thread: the environment's; pure but for env. */
#include <math.h>

#include "datastore/random.h"

#include "node/core_internal.h"

enum {
    WORK_AHEAD_MS = 1000,
    CLAIM_AHEAD_JOBS = 2 * CLAIM_JOBS,
    SHARE_JOBS_MIN = 256, /* fewer are shared out, whatever they took lately */
    SPREAD_MS_MIN = 20,   /* less work than that is no use to share: to take it costs as much */
    /* What a claim keeps a lane's record busy for, about, on a server: so much, and with each
     * node's entry in it so much more (docs/SCALE.md). */
    CLAIM_US = 1000,
    CLAIM_US_ENTRY = 2,
    CLAIM_US_STORE = 250, /* ... and with all that follows from it the store as a whole */
    SHARERS_MIN = 4,      /* of a lane, so that each has some who keep to it ... */
    LEFT_MS_MAX = 60000,  /* older is what was seen as good as unknown */
    KEEP_MS = 60000,      /* ... for so long: nobody is left to no one */
    ROUNDS_AHEAD = 4,     /* of a crowd: claims, made by the half, take half of a lane's time */
    LUCKY_ONE_IN = 8,     /* at least, of those who look and see something */
    FIRST_PART = 8,       /* of what falls to each: claimed while nobody knows how long jobs take */
};

/* ---- how long jobs take ---------------------------------------------------------------------- */

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
double lane_job_ms(const struct core *core, const struct lane_view *lane)
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

/* Ids that all slots together need so long for; a job that takes no time at all counts as 10 us. */
int64_t lane_ids_worth(const struct core *core, double job_ms, int work_ms)
{
    return (int64_t)((double)core->self.slots * work_ms / (job_ms > 0.01 ? job_ms : 0.01));
}

/* How long all slots will be busy with what is in hand of a lane; < 0: not known. */
double lane_ahead_ms(const struct core *core, const struct lane_view *lane)
{
    double ms = lane_job_ms(core, lane);
    return ms < 0 ? ms : (double)holds_unstarted(core, lane) * ms / core->self.slots;
}

/* ---- a crowd at a lane ----------------------------------------------------------------------- */

static bool claimable(const struct lane_view *lane)
{
    return lane->serves && !lane->paused && lane->backlog > 0;
}

/* Of a crowd each keeps to one of the lanes of that priority, if they are few enough. */
static bool keeps_to_one(const struct core *core, int32_t priority, size_t *ret_lanes,
                         int64_t *ret_backlog)
{
    *ret_lanes = 0;
    *ret_backlog = 0;
    for (size_t i = 0; i < core->n_lanes; i++)
        if (claimable(core->lanes[i]) && core->lanes[i]->name.priority == priority) {
            *ret_backlog += core->lanes[i]->backlog;
            ++*ret_lanes;
        }
    return core->crowd && *ret_lanes > 1 && core->live_nodes / *ret_lanes >= SHARERS_MIN;
}

/* The part of a crowd that a lane gets: by what waits there, so that all of them are done at the
 * same time; but at least half of what falls to each, so that none waits for the long ones. */
static double part_of(const struct lane_view *lane, size_t lanes, int64_t backlog)
{
    double part = (double)lane->backlog / (double)backlog, least = 0.5 / (double)lanes;
    return part > least ? part : least;
}

/* How many nodes claim from a lane; from an empty one, when something comes back. */
size_t lane_sharers(const struct core *core, const struct lane_view *lane)
{
    size_t lanes = 0;
    int64_t backlog;
    double part = 1;
    if (!claimable(lane)) {
        for (size_t i = 0; core->crowd && i < core->n_lanes; i++)
            lanes += core->lanes[i]->serves && lane->name.priority == core->lanes[i]->name.priority;
        part = lanes > 1 ? 1.0 / (double)lanes : 1;
    } else if (keeps_to_one(core, lane->name.priority, &lanes, &backlog)) {
        part = part_of(lane, lanes, backlog);
    }
    size_t n = (size_t)((double)core->live_nodes * part);
    return n > 1 ? n : 1;
}

static uint64_t claim_us(const struct core *core, const struct lane_view *lane)
{
    return CLAIM_US + lane_sharers(core, lane) * CLAIM_US_ENTRY;
}

/* ... and of those who claim from other lanes meanwhile, too. */
static uint64_t piece_us(const struct core *core, const struct lane_view *lane)
{
    uint64_t lane_us = claim_us(core, lane);
    uint64_t store_us = core->live_nodes / lane_sharers(core, lane) * CLAIM_US_STORE;
    return lane_us > store_us ? lane_us : store_us;
}

/* How long it takes until each of a crowd has claimed once; of a few it is as good as nothing. */
int lane_round_ms(const struct core *core, const struct lane_view *lane)
{
    if (!core->crowd)
        return 0;
    uint64_t lane_us = lane_sharers(core, lane) * claim_us(core, lane);
    uint64_t store_us = core->live_nodes * CLAIM_US_STORE;
    return (int)((lane_us > store_us ? lane_us : store_us) / 1000);
}

/* The lanes' highest priority with something to claim; -1: nothing. */
int32_t lanes_claimable_priority(const struct core *core)
{
    int32_t priority = -1;
    for (size_t i = 0; i < core->n_lanes; i++)
        if (claimable(core->lanes[i]) && (priority < 0 || core->lanes[i]->name.priority < priority))
            priority = core->lanes[i]->name.priority;
    return priority;
}

/* A number for that node and lane at this time, greater by the part of the nodes that it is to be
 * greatest for. */
static double liking(const struct core *core, const struct lane_view *lane, double part)
{
    uint64_t id = (uint64_t)core->self.id, minute = (core_now(core) + id % KEEP_MS) / KEEP_MS;
    uint64_t z = id + (uint64_t)(lane->number + 1) * 0x9e3779b97f4a7c15U + minute;
    return part / -log(((double)(random_mix(z) >> 12) + 0.5) / 0x1p52);
}

/* Of the highest priority there is. A few nodes take turns among several lanes, and so do many
 * where the lanes are many, too. Else each of a crowd keeps to a lane for a while, so that none has
 * the entries of all of them (rendezvous hashing, Thaler and Ravishankar 1998). */
static struct lane_view *best_lane(const struct core *core)
{
    struct lane_view *best = NULL;
    double best_liking = 0;
    int32_t priority = lanes_claimable_priority(core);
    size_t lanes;
    int64_t backlog;
    bool keeps = keeps_to_one(core, priority, &lanes, &backlog);
    /* Not all of a crowd go from the same lane to the same next one. */
    size_t from = core->turn + (core->crowd ? (size_t)core->self.id : 0);
    for (size_t k = 0; k < core->n_lanes; k++) {
        struct lane_view *lane = core->lanes[(from + k) % core->n_lanes];
        if (!claimable(lane) || lane->name.priority != priority)
            continue;
        double like =
            keeps ? liking(core, lane, part_of(lane, lanes, backlog)) : (double)(core->n_lanes - k);
        if (best == NULL || like > best_liking) {
            best = lane;
            best_liking = like;
        }
    }
    return best;
}

/* What may be left there, for all have gone on working since it was seen. */
static int64_t left_of(const struct core *core, const struct lane_view *lane)
{
    double ms = lane_job_ms(core, lane);
    uint64_t age_ms = core_now(core) - lane->seen_at_ms;
    int worked_ms = age_ms < LEFT_MS_MAX ? (int)age_ms : LEFT_MS_MAX;
    for (size_t i = 0; ms < 0 && i < core->n_lanes; i++)
        ms = core->lanes[i]->mean_ms;
    if (ms < 0)
        return lane->backlog;
    return lane->backlog - (int64_t)lane_sharers(core, lane) * lane_ids_worth(core, ms, worked_ms);
}

/* So little is left that not all of a crowd can have of it. */
static bool scarce(const struct core *core, const struct lane_view *lane, int64_t want)
{
    int64_t claimers = (int64_t)lane_sharers(core, lane);
    return core->crowd && left_of(core, lane) < claimers * want;
}

/* Of those who would claim only some do, when they are many more than the claims that there can
 * be: those who drew a low number, and who were rung. */
static bool lucky(const struct core *core, const struct lane_view *lane, int64_t want)
{
    uint64_t claimers = lane_sharers(core, lane), claims = 2 * (uint64_t)(lane->backlog / want + 1);
    uint64_t least = claimers / LUCKY_ONE_IN + 1;
    return core->luck % claimers < (claims > least ? claims : least);
}

/* ---- turns ----------------------------------------------------------------------------------- */

/* So many share the lane that a claim which waits for all of theirs comes near the lease's end: a
 * crowd that began at the same time runs out of work at the same time. */
static bool crowded(const struct core *core, const struct lane_view *lane)
{
    return lane_round_ms(core, lane) > core->self.lease_ms * 3 / 4;
}

/* A crowd does not claim at the same time: the lane would be done with all of them soon enough, but
 * a node whose claim waits does not renew its lease meanwhile. No more are rung than there is work,
 * so those need not wait for all the others. */
void turn_take(struct core *core, int32_t priority)
{
    int64_t backlog = 0, claimers = (int64_t)core->live_nodes;
    for (size_t i = 0; i < core->n_lanes; i++)
        if (claimable(core->lanes[i]) && core->lanes[i]->name.priority == priority)
            backlog += core->lanes[i]->backlog;
    double part = core->rung && backlog < claimers ? (double)backlog / (double)claimers : 1;
    const struct lane_view *lane = best_lane(core);
    if (crowded(core, lane))
        part *= 1.5; /* the lane would be busy all that time, and claims would pile up */
    uint64_t within_ms = (uint64_t)(lane_round_ms(core, lane) * part);
    core->turn_taken = true;
    core->luck = core->rung ? 0 : core->env->class->random(core->env);
    core->claim_after_ms =
        core_now(core) + (within_ms > 0 ? core->env->class->random(core->env) % within_ms : 0);
    core->rung = false;
}

/* Where little is left each waits for its turn, and looks whether anything is left then: a look
 * holds up nobody. Where a lane has room for their claims only if they are spread, each waits. */
static bool turn_come(struct core *core, struct lane_view *lane, int64_t want)
{
    if (core_now(core) < core->claim_after_ms)
        return false;
    bool little = scarce(core, lane, want), begins = !core->turn_taken;
    if (!little && !crowded(core, lane))
        return true;
    if (begins)
        turn_take(core, lane->name.priority);
    if (begins && little && !lucky(core, lane, want)) {
        lane->backlog = 0; /* as good as nothing, until it is seen again */
        core->turn_taken = false;
    }
    if (begins || !little)
        return !begins;
    bool seen = !core->look.under_way && core->looked_at_ms >= core->claim_after_ms;
    core->look_wanted = core->look_wanted || (!seen && !core->look.under_way);
    return seen;
}

/* ---- how much -------------------------------------------------------------------------------- */

/* How many ids should be in hand: about a second of work, or as much as it takes for all who share
 * the lane to have their turn. Before any job has ended a few nodes take one for each slot; of a
 * crowd each would take a second turn at once, so there it is what falls to it. */
static int64_t target_of(const struct core *core, const struct lane_view *lane, double ms,
                         int64_t share, bool higher_waits)
{
    int64_t slots = core->self.slots, free_slots = slots - (int64_t)core->n_running;
    int round = lane_round_ms(core, lane);
    int ahead = ROUNDS_AHEAD * round > WORK_AHEAD_MS ? ROUNDS_AHEAD * round : WORK_AHEAD_MS;
    if (higher_waits || ms > ahead)
        return free_slots;
    if (ms < 0)
        return core->crowd && share > slots ? share : slots;
    int64_t target = lane_ids_worth(core, ms, ahead);
    int64_t most = core->crowd ? 2 * LIMIT_GRANT_JOBS : CLAIM_AHEAD_JOBS;
    target = target < most ? target : most;
    return target > slots ? target : slots;
}

/* A small backlog is shared out, but in no smaller pieces than are worth a claim. */
static int64_t share_of(const struct core *core, const struct lane_view *lane, double ms)
{
    int64_t claimers = (int64_t)lane_sharers(core, lane);
    if (ms < 0 && core->crowd)
        return lane->backlog / (FIRST_PART * claimers);
    int64_t share = lane->backlog / (2 * claimers);
    int64_t few = ms >= 0 ? lane_ids_worth(core, ms, SPREAD_MS_MIN) : 0;
    if (few >= SHARE_JOBS_MIN && share < few)
        share = few;
    if (!core->crowd)
        return share;
    int64_t turn = lane_ids_worth(core, ms, lane_round_ms(core, lane));
    double c_ms = (double)piece_us(core, lane) / 1000;
    int64_t piece =
        (int64_t)sqrt((double)lane->backlog * c_ms * core->self.slots / (ms > 0.01 ? ms : 0.01));
    int64_t least = piece < turn ? piece : turn;
    return share > least ? share : least;
}

static int64_t want_of(const struct core *core, const struct lane_view *lane, bool higher_waits)
{
    /* What is of lower priority stands behind: it must not bar a higher lane from being claimed. */
    int64_t unstarted = holds_unstarted_before(core, lane->name.priority);
    double ms = lane_job_ms(core, lane);
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
    int64_t most = core->crowd ? LIMIT_GRANT_JOBS : CLAIM_JOBS;
    return want < most ? want : most;
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
    core->turn_taken = core->rung = false;
    core->turn++;
    *ret_want = want;
    return best;
}
