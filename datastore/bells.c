/* Who is to be rung after a run (bells.h).
 *
 * Names of lanes are learned from runs that pass by: a submitter has opened its lane before it
 * inserts, so its first ring costs one read, of the nodes.
 * Invariants: nobody is rung before the run's reply was there, so who is rung finds what it is
 * about; a failed read is not repeated before its time.
 * Thread: the handle's. */
#include "datastore/bells.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/doorbell.h"

static_assert(sizeof(((struct node *)0)->doorbell) == DOORBELL_ADDRESS_BYTES,
              "a record holds an address");

/* ---- what a run wants ------------------------------------------------------------------------ */

static size_t queued_rows(const struct ds_insert *insert)
{
    size_t n = 0;
    for (size_t i = 0; i < insert->n_jobs; i++) {
        enum job_state state = insert->jobs[i].state;
        n += insert->ret_rc[i] == 0 && (state == JOB_QUEUED || state == JOB_SLOT) ? 1 : 0;
    }
    return n;
}

static bool insert_wants(const struct ds_run *run, size_t i, struct bell_want *ret_want)
{
    const struct ds_insert *insert = &run->steps[i].insert;
    *ret_want = (struct bell_want){.whom = BELL_LANE, .count = queued_rows(insert)};
    if (ret_want->count == 0)
        return false;
    if (!insert->from_reserve) {
        ret_want->lane = id_lane(insert->jobs[0].id);
        return true;
    }
    assert(i > 0 && run->steps[i - 1].kind == DS_RESERVE);
    const struct ds_reserve *reserve = &run->steps[i - 1].reserve;
    ret_want->lane = reserve->lane;
    ret_want->types = reserve->types;
    ret_want->n_types = reserve->n_types;
    return true;
}

static bool ranges_want(int32_t lane, int64_t but, const struct range *ranges, size_t n,
                        struct bell_want *ret_want)
{
    int64_t ids = 0;
    for (size_t i = 0; i < n; i++)
        ids += range_count(ranges[i]);
    /* Whoever comes takes what is worth a claim: no need for as many as there are ids. */
    size_t count = ids < BELLS_BACK_MAX ? (size_t)ids : BELLS_BACK_MAX;
    *ret_want = (struct bell_want){.whom = BELL_LANE, .node = but, .lane = lane, .count = count};
    return ids > 0;
}

static bool paused_then(const struct ds_run *run, const char *queue)
{
    for (size_t i = 0; i < run->n_steps; i++) {
        const struct ds_queues_read *read = &run->steps[i].queues_read;
        if (run->steps[i].kind != DS_QUEUES_READ || run->steps[i].rc != 0)
            continue;
        for (size_t k = 0; k < read->ret_n; k++)
            if (strcmp(read->ret_queues[k].name, queue) == 0)
                return read->ret_queues[k].paused;
    }
    return false;
}

/* Nobody passes on what those who are rung could not claim either: they would ring each other
 * without end. */
static bool look_wants(const struct ds_run *run, size_t step, struct bell_want *ret_want)
{
    const struct ds_lanes_read *read = &run->steps[step].lanes_read;
    for (size_t i = 0; read->pass_on > 0 && i < read->ret_n; i++) {
        const struct lane *lane = &read->ret_lanes[i];
        if (lane_backlog(lane) < read->pass_on || paused_then(run, lane->name.queue))
            continue;
        *ret_want = (struct bell_want){.whom = BELL_PASS_ON,
                                       .node = read->entries_of,
                                       .lane = lane->number,
                                       .count = BELLS_PASS_ON,
                                       .types = lane->types,
                                       .n_types = lane->n_types};
        return true;
    }
    return false;
}

static bool step_wants(const struct ds_run *run, size_t i, struct bell_want *ret_want)
{
    const struct ds_step *step = &run->steps[i];
    switch (step->kind) {
    case DS_INSERT:
        return insert_wants(run, i, ret_want);
    case DS_RETURN:
        return ranges_want(step->give_back.lane, step->give_back.node, step->give_back.ranges,
                           step->give_back.n_ranges, ret_want);
    case DS_LANE_BURY:
        return ranges_want(step->lane_bury.lane, 0, step->lane_bury.estate,
                           step->lane_bury.n_estate, ret_want);
    case DS_LANES_READ:
        return look_wants(run, i, ret_want);
    case DS_NODE_ASK:
        *ret_want = (struct bell_want){.whom = BELL_NODE, .node = step->node_ask.node};
        return true;
    case DS_QUEUE_SET:
        *ret_want = (struct bell_want){.whom = BELL_ALL};
        return true;
    default:
        return false;
    }
}

size_t bells_wanted(const struct ds_run *run, struct bell_want ret_wants[LIMIT_RUN_STEPS])
{
    size_t n = 0;
    for (size_t i = 0; i < run->n_steps; i++)
        if (run->steps[i].rc == 0 && step_wants(run, i, &ret_wants[n]))
            n++;
    return n;
}

size_t bells_of(const struct bell_want *want)
{
    return want->whom == BELL_NODE      ? 0
           : want->whom == BELL_PASS_ON ? BELLS_PASS_ON_NODES
                                        : BELLS_NODES_MAX;
}

/* ---- whom that concerns ---------------------------------------------------------------------- */

/* Is it about a lane, for those who may claim there? */
static bool for_claimers(const struct bell_want *want)
{
    return want->whom == BELL_LANE || want->whom == BELL_PASS_ON;
}

static bool holds_name(const char (*names)[LIMIT_NAME_BYTES + 1], size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static bool may_claim(const struct node *node, const struct bell_want *want, const char *queue)
{
    if (node->id == want->node || (node->state != NODE_WAITING && node->state != NODE_WORKING))
        return false;
    const char(*queues)[LIMIT_NAME_BYTES + 1] = (const char(*)[LIMIT_NAME_BYTES + 1]) node->queues;
    const char(*types)[LIMIT_NAME_BYTES + 1] = (const char(*)[LIMIT_NAME_BYTES + 1]) node->types;
    if (queue != NULL && !holds_name(queues, node->n_queues, queue))
        return false;
    for (size_t i = 0; i < want->n_types; i++)
        if (!holds_name(types, node->n_types, want->types[i]))
            return false;
    return true;
}

static bool concerns(const struct node *node, const struct bell_want *want, const char *queue)
{
    if (node->doorbell[0] == '\0' || node->state == NODE_DEAD)
        return false;
    if (for_claimers(want))
        return may_claim(node, want, queue);
    return want->whom == BELL_ALL || node->id == want->node;
}

size_t bells_pick(const struct bell_want *want, const char *queue, const struct node *nodes,
                  size_t n, const struct node **ret_picked, size_t *ret_preferred)
{
    size_t n_picked = 0, preferred = 0;
    for (size_t i = 0; i < n; i++) {
        if (!concerns(&nodes[i], want, queue))
            continue;
        ret_picked[n_picked++] = &nodes[i];
        if (!for_claimers(want) || nodes[i].state == NODE_WAITING) {
            const struct node *other = ret_picked[preferred];
            ret_picked[preferred++] = &nodes[i];
            ret_picked[n_picked - 1] = other;
        }
    }
    *ret_preferred = preferred;
    return n_picked;
}

/* ---- ringing --------------------------------------------------------------------------------- */

struct bells {
    struct ringer *ringer;
    bool was_read;
    uint64_t read_at_ms;
    struct arena mem; /* of the nodes */
    struct node *nodes;
    size_t n_nodes;
    char (*queues[LIMIT_LANES])[LIMIT_NAME_BYTES + 1]; /* by lane; NULL: not known */
};

int bells_open(struct bells **ret_bells, struct error *err)
{
    struct bells *bells = calloc(1, sizeof(*bells));
    if (bells == NULL)
        return error_set(err, ERR_NO_MEMORY, "doorbells: out of memory");
    int rc = ringer_open(&bells->ringer, err);
    if (rc < 0) {
        free(bells);
        return rc;
    }
    *ret_bells = bells;
    return 0;
}

void bells_close(struct bells *bells)
{
    if (bells == NULL)
        return;
    for (size_t i = 0; i < LIMIT_LANES; i++)
        free(bells->queues[i]);
    arena_release(&bells->mem);
    ringer_close(bells->ringer);
    free(bells);
}

static void lane_learn(struct bells *bells, int32_t lane, const char *queue)
{
    if (lane < 0 || lane >= LIMIT_LANES || bells->queues[lane] != NULL)
        return;
    bells->queues[lane] = malloc(sizeof(*bells->queues[lane]));
    if (bells->queues[lane] != NULL)
        snprintf(*bells->queues[lane], sizeof(*bells->queues[lane]), "%s", queue);
}

static void lanes_learn(struct bells *bells, const struct ds_step *step)
{
    if (step->rc != 0)
        return;
    if (step->kind == DS_LANE_OPEN)
        lane_learn(bells, step->lane_open.ret_lane, step->lane_open.name.queue);
    for (size_t i = 0; step->kind == DS_LANES_READ && i < step->lanes_read.ret_n; i++)
        lane_learn(bells, step->lanes_read.ret_lanes[i].number,
                   step->lanes_read.ret_lanes[i].name.queue);
}

/* A lane's queue never changes; NULL: not to be had now. */
static const char *queue_of(struct bells *bells, int32_t lane, bells_read_fn read, void *ctx)
{
    assert(lane >= 0 && lane < LIMIT_LANES);
    if (bells->queues[lane] == NULL) {
        struct arena mem = {0};
        struct ds_step step = {.kind = DS_LANES_READ, .lanes_read = {.lane = lane}};
        step.rc = read(ctx, &step, &mem);
        lanes_learn(bells, &step);
        arena_release(&mem);
    }
    return bells->queues[lane] != NULL ? *bells->queues[lane] : NULL;
}

static void nodes_read(struct bells *bells, size_t max, uint64_t now_ms, bells_read_fn read,
                       void *ctx)
{
    if (bells->was_read && now_ms - bells->read_at_ms < BELLS_READ_MS)
        return;
    bells->was_read = true;
    bells->read_at_ms = now_ms;
    struct arena mem = {0};
    /* Of a crowd some, from anywhere in the circle: it has others that may be rung as well. */
    int64_t from = (int64_t)(now_ms * 0x9e3779b97f4a7c15U & INT64_MAX);
    struct ds_step step = {.kind = DS_NODES_READ,
                           .nodes_read = {.live_only = true, .after = from, .max = max}};
    if (read(ctx, &step, &mem) != 0) {
        arena_release(&mem);
        return;
    }
    arena_release(&bells->mem);
    bells->mem = mem;
    bells->nodes = step.nodes_read.ret_nodes;
    bells->n_nodes = step.nodes_read.ret_n;
}

/* One that was asked for something: where it is not among those read, its record is. */
static size_t node_ring(struct bells *bells, int64_t id, uint64_t now_ms, bells_read_fn read,
                        void *ctx)
{
    for (size_t i = 0; i < bells->n_nodes; i++)
        if (bells->nodes[i].id == id && bells->nodes[i].doorbell[0] != '\0')
            return ringer_ring(bells->ringer, bells->nodes[i].doorbell, now_ms) ? 1 : 0;
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_NODES_READ, .nodes_read = {.node = id}};
    size_t rung = 0;
    if (read(ctx, &step, &mem) == 0 && step.nodes_read.ret_nodes[0].state != NODE_DEAD &&
        step.nodes_read.ret_nodes[0].doorbell[0] != '\0')
        rung = ringer_ring(bells->ringer, step.nodes_read.ret_nodes[0].doorbell, now_ms) ? 1 : 0;
    arena_release(&mem);
    return rung;
}

static size_t ring_some(struct bells *bells, const struct node **nodes, size_t n, size_t want,
                        uint64_t now_ms)
{
    struct arena mem = {0};
    char(*addresses)[DOORBELL_ADDRESS_BYTES] = arena_alloc(&mem, (n + 1) * sizeof(*addresses));
    for (size_t i = 0; i < n; i++)
        memcpy(addresses[i], nodes[i]->doorbell, sizeof(addresses[i]));
    size_t rung = ringer_ring_some(bells->ringer, (const char(*)[DOORBELL_ADDRESS_BYTES])addresses,
                                   n, want, now_ms);
    arena_release(&mem);
    return rung;
}

/* Those who wait first; where they are fewer than the work, others too: their records may be a
 * heartbeat old, and they may have hands free. */
static size_t want_serve(struct bells *bells, const struct bell_want *want, const char *queue,
                         uint64_t now_ms)
{
    struct arena mem = {0};
    const struct node **picked = arena_alloc(&mem, (bells->n_nodes + 1) * sizeof(const void *));
    size_t preferred;
    size_t n = bells_pick(want, queue, bells->nodes, bells->n_nodes, picked, &preferred);
    size_t rung = 0;
    if (for_claimers(want)) {
        rung = ring_some(bells, picked, preferred, want->count, now_ms);
        if (want->whom == BELL_LANE && want->count > preferred)
            rung += ring_some(bells, picked + preferred, n - preferred, want->count - preferred,
                              now_ms);
    } else {
        for (size_t i = 0; i < n; i++)
            rung += ringer_ring(bells->ringer, picked[i]->doorbell, now_ms) ? 1 : 0;
    }
    arena_release(&mem);
    return rung;
}

/* Whoever opens a lane is about to submit: with the nodes read now, its ring goes out at once. */
static bool opens_lane(const struct ds_run *run)
{
    for (size_t i = 0; i < run->n_steps; i++)
        if (run->steps[i].kind == DS_LANE_OPEN && run->steps[i].rc == 0)
            return true;
    return false;
}

size_t bells_ran(struct bells *bells, const struct ds_run *run, uint64_t now_ms, bells_read_fn read,
                 void *ctx)
{
    struct bell_want wants[LIMIT_RUN_STEPS];
    for (size_t i = 0; i < run->n_steps; i++)
        lanes_learn(bells, &run->steps[i]);
    size_t n = bells_wanted(run, wants), rung = 0;
    size_t of = opens_lane(run) ? BELLS_NODES_MAX : 0;
    for (size_t i = 0; i < n; i++) {
        size_t of_these = bells_of(&wants[i]);
        of = of_these > of ? of_these : of;
    }
    if (of > 0)
        nodes_read(bells, of, now_ms, read, ctx);
    for (size_t i = 0; i < n; i++) {
        const char *queue = NULL;
        if (wants[i].whom == BELL_NODE) {
            rung += node_ring(bells, wants[i].node, now_ms, read, ctx);
            continue;
        }
        if (bells->n_nodes == 0)
            continue;
        if (for_claimers(&wants[i]))
            queue = queue_of(bells, wants[i].lane, read, ctx);
        rung += want_serve(bells, &wants[i], queue, now_ms);
    }
    return rung;
}
