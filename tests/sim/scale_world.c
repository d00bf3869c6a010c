/* Events, nodes and what is measured of them (scale_world.h).
 *
 * Time stands still within an event and jumps from one to the next, which a binary heap tells in
 * O(log n). A job takes exactly as long as it is long: starting costs nothing, so what a drain
 * takes beyond the ideal is the queue's doing. A node that is killed is no longer asked anything;
 * what it had sent to the store is carried out. One thread. */
#include "tests/sim/scale_world.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "datastore/random.h"
#include "datastore/steps.h"
#include "tests/sim/scale_internal.h"

enum {
    LEASE_MS = 5000, /* as nodes have it by default, like what follows */
    HOLE_GRACE_MS = 20000,
    LOOK_MS = 10000,
    LOOK_UNWOKEN_MS = 2000,
    STOP_TIMEOUT_MS = 10000,
    KILL_GRACE_MS = 2000,
    BOOT_MS = 1000000,
    START_SPREAD_MS = 5000,                /* nodes are started within that long, at first */
    RINGS_MAX = BELLS_NODES_MAX,           /* by one handle, as datastore/bells.c has it ... */
    RINGS_APART_US = BELLS_READ_MS * 1000, /* ... in that time */
    RING_US = 300,
    WATCH_US = 20000,
    TRACE_US = 1000000,
};

/* ---- jobs ----------------------------------------------------------------------------------- */

uint64_t world_random(struct world *world)
{
    return random_next(&world->rng);
}

const char *scale_jobs_name(enum scale_jobs jobs)
{
    static const char *const names[] = {"1 ms", "100 ms", "10 s", "mix"};
    return names[jobs];
}

/* The mix: 80 % of 10 ms, 15 % of 100 ms, 4.9 % of 1 s, one in a thousand of 10 s; 82 ms in the
 * mean, an eighth of all work in a thousandth of the jobs. */
uint64_t scale_job_ms(enum scale_jobs jobs, int64_t id)
{
    static const uint64_t fixed[] = {1, 100, 10000};
    if (jobs != JOBS_MIX)
        return fixed[jobs];
    uint64_t x = random_mix((uint64_t)id * 0x9e3779b97f4a7c15U) % 1000;
    return x < 800 ? 10 : x < 950 ? 100 : x < 999 ? 1000 : 10000;
}

/* ---- events --------------------------------------------------------------------------------- */

static bool before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->seq < b->seq;
}

void event_add(struct world *world, uint64_t at_us, enum event_kind kind, void *of)
{
    if (world->n_events == world->events_capacity) {
        world->events_capacity = world->events_capacity > 0 ? world->events_capacity * 2 : 1024;
        world->heap = realloc(world->heap, world->events_capacity * sizeof(*world->heap));
        assert(world->heap != NULL);
    }
    struct event event = {at_us, world->event_seq++, of, kind};
    size_t i = world->n_events++;
    for (; i > 0 && before(&event, &world->heap[(i - 1) / 2]); i = (i - 1) / 2)
        world->heap[i] = world->heap[(i - 1) / 2];
    world->heap[i] = event;
}

static struct event event_take(struct world *world)
{
    assert(world->n_events > 0);
    struct event first = world->heap[0], last = world->heap[--world->n_events];
    size_t n = world->n_events, i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && before(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!before(&world->heap[child], &last))
            break;
        world->heap[i] = world->heap[child];
        i = child;
    }
    if (n > 0)
        world->heap[i] = last;
    return first;
}

/* ---- the environment of a core -------------------------------------------------------------- */

static struct member *member_of(struct env *env)
{
    return (struct member *)env;
}

static uint64_t env_now_ms(struct env *env)
{
    return member_of(env)->world->now_us / 1000 + BOOT_MS;
}

static int64_t env_utc_ms(struct env *env)
{
    return (int64_t)(member_of(env)->world->now_us / 1000) + 1700000000000;
}

static uint64_t env_random(struct env *env)
{
    return world_random(member_of(env)->world);
}

static double env_load(struct env *env)
{
    (void)env;
    return 0;
}

static void env_run(struct env *env, struct ds_run *run)
{
    server_run(member_of(env)->world, member_of(env), run, NULL);
}

static int env_start(struct env *env, const struct job *job, const struct lane_name *lane,
                     struct error *err)
{
    (void)lane, (void)err;
    struct member *member = member_of(env);
    struct world *world = member->world;
    struct executing *slot = member->jobs;
    while (slot->end_us != NEVER)
        slot++;
    assert(slot < member->jobs + world->plan.slots);
    *slot = (struct executing){
        .id = job->id,
        .run = job->run,
        .end_us = world->now_us + scale_job_ms(world->plan.jobs, job->id) * 1000,
    };
    world->starts++;
    if (!world->begun[id_lane(job->id)]) {
        world->begun[id_lane(job->id)] = true;
        world->result.begun_ms = (world->now_us - world->come_us) / 1000;
    }
    if (member->extra && !member->ran)
        world->n_joined++;
    member->ran = true;
    event_add(world, slot->end_us, EVENT_JOBS, member);
    return 0;
}

static void env_end(struct env *env, int64_t id, int32_t run, uint64_t grace_ms)
{
    (void)grace_ms;
    struct member *member = member_of(env);
    for (int32_t i = 0; i < member->world->plan.slots; i++)
        if (member->jobs[i].id == id && member->jobs[i].run == run &&
            member->jobs[i].end_us != NEVER) {
            member->jobs[i].end_us = member->world->now_us + 1000;
            event_add(member->world, member->jobs[i].end_us, EVENT_JOBS, member);
        }
}

static int env_peer_alive(struct env *env, const struct node *peer)
{
    (void)env, (void)peer;
    return -1; /* each node is a machine of its own */
}

static void env_peer_watch(struct env *env, const struct node *peer)
{
    (void)env, (void)peer;
}

static const struct env_class env_class = {
    .now_ms = env_now_ms,
    .utc_ms = env_utc_ms,
    .random = env_random,
    .load = env_load,
    .run = env_run,
    .start = env_start,
    .end = env_end,
    .peer_alive = env_peer_alive,
    .peer_watch = env_peer_watch,
};

/* ---- nodes ---------------------------------------------------------------------------------- */

static bool member_up(const struct member *member)
{
    return member->core != NULL && !member->killed && core_phase(member->core) == CORE_RUNNING;
}

static void member_tick(struct member *member)
{
    struct world *world = member->world;
    if (!member_up(member))
        return;
    uint64_t wait_ms = core_tick(member->core);
    if (core_phase(member->core) == CORE_FENCED)
        world->result.fenced++;
    if (wait_ms == UINT64_MAX)
        return;
    member->tick_us = (world->now_us / 1000 + wait_ms) * 1000;
    if (member->tick_us < member->tick_event_us) {
        member->tick_event_us = member->tick_us;
        event_add(world, member->tick_us, EVENT_TICK, member);
    }
}

/* One event may stand for a later tick than was asked for when it was made. */
static void tick_due(struct world *world, struct member *member)
{
    if (member->tick_event_us != world->now_us)
        return;
    member->tick_event_us = NEVER;
    if (member->tick_us <= world->now_us) {
        member_tick(member);
    } else {
        member->tick_event_us = member->tick_us;
        event_add(world, member->tick_us, EVENT_TICK, member);
    }
}

static void jobs_ended(struct world *world, struct member *member)
{
    bool any = false;
    for (int32_t i = 0; i < world->plan.slots; i++) {
        struct executing job = member->jobs[i];
        if (job.end_us > world->now_us)
            continue;
        member->jobs[i].end_us = NEVER;
        if (member->killed)
            continue;
        member->last_end_us = world->last_end_us = world->now_us;
        struct job_end end = {.id = job.id, .run = job.run, .ok = true};
        core_job_ended(member->core, &end);
        any = true;
    }
    if (any)
        member_tick(member);
}

static void ring(struct world *world, struct member *member)
{
    if (!member_up(member) || member->ring_comes)
        return;
    member->ring_comes = true;
    event_add(world, world->now_us + RING_US + world_random(world) % 1000, EVENT_RING, member);
}

/* Some of those who wait, from anywhere among the nodes; where they are fewer, others too. */
static void ring_some(struct world *world, size_t want, bool others)
{
    size_t n = world->n_members, from = world_random(world) % n, left = want;
    if (left > RINGS_MAX)
        left = RINGS_MAX;
    for (int waiting = 1; waiting >= (others ? 0 : 1); waiting--)
        for (size_t i = 0; i < n && left > 0; i++) {
            struct member *member = &world->members[(from + i) % n];
            if (!member_up(member) || member->ring_comes ||
                (core_view(member->core).state == NODE_WAITING) != (waiting == 1))
                continue;
            ring(world, member);
            left--;
        }
}

static struct member *member_find(struct world *world, int64_t id)
{
    for (size_t i = 0; i < world->n_members; i++)
        if (world->members[i].identity.id == id)
            return &world->members[i];
    return NULL;
}

static void rings_out(struct world *world, const struct bell_want *wants, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct member *member =
            wants[i].whom == BELL_NODE ? member_find(world, wants[i].node) : NULL;
        if (member != NULL)
            ring(world, member);
        else if (wants[i].whom != BELL_ALL)
            ring_some(world, wants[i].count, wants[i].whom == BELL_LANE);
    }
}

/* Where the server tells by itself, it tells everybody. */
static void ring_all(struct world *world)
{
    for (size_t i = 0; i < world->n_members; i++)
        ring(world, &world->members[i]);
}

/* After a run of a node: who is to hear of it? */
static void bells_after(struct world *world, struct member *member, const struct ds_run *run)
{
    struct bell_want wants[LIMIT_RUN_STEPS];
    size_t n = bells_wanted(run, wants);
    if (n == 0)
        return;
    if (world->plan.wake_sure) {
        ring_all(world);
        return;
    }
    size_t of = bells_of(&wants[0]);
    bool one = n == 1 && of == 0;
    uint64_t since_us = world->now_us - member->bell_read_us;
    if (!one && member->bell_read_us != 0 && since_us < BELLS_READ_MS * 1000) {
        rings_out(world, wants, n);
        return;
    }
    if (!one)
        member->bell_read_us = world->now_us;
    struct bell *bell = calloc(1, sizeof(*bell));
    assert(bell != NULL);
    memcpy(bell->wants, wants, n * sizeof(wants[0]));
    bell->n_wants = n;
    bell->step = (struct ds_step){.kind = DS_NODES_READ, .nodes_read = {.live_only = true}};
    if (one)
        bell->step.nodes_read.node = wants[0].node;
    else
        bell->step.nodes_read.max = of;
    bell->run = (struct ds_run){.steps = &bell->step, .n_steps = 1};
    server_run(world, member, &bell->run, bell);
}

static void replied(struct world *world, struct flight *flight)
{
    struct member *member = flight->member;
    struct ds_run *run = flight->run;
    if (flight->bell != NULL) {
        rings_out(world, flight->bell->wants, flight->bell->n_wants);
        flight_free(flight);
        return;
    }
    if (member->killed)
        return; /* its core is freed in the end, with what it had under way */
    flight_free(flight);
    bells_after(world, member, run);
    run->done(run, run->ctx);
    member_tick(member);
}

static char queue_names[LIMIT_QUEUES_SERVED][LIMIT_NAME_BYTES + 1];
static char type_names[][LIMIT_NAME_BYTES + 1] = {"exec", "noop"};

static void member_init(struct world *world, struct member *member)
{
    size_t number = (size_t)(member - world->members);
    member->env.class = &env_class;
    member->world = world;
    member->tick_us = member->tick_event_us = NEVER;
    member->jobs = calloc((size_t)world->plan.slots, sizeof(*member->jobs));
    assert(member->jobs != NULL);
    for (int32_t i = 0; i < world->plan.slots; i++)
        member->jobs[i].end_us = NEVER;
    member->identity = (struct node){
        .id = (int64_t)(world_random(world) >> 1),
        .pid = (int64_t)number + 1,
        .slots = world->plan.slots,
        .lease_ms = LEASE_MS,
        .queues = queue_names,
        .n_queues = world->plan.lanes,
        .types = type_names,
        .n_types = 2,
        .version = "0",
        .boot_id = "01234567-89ab-cdef-0123-456789abcdef",
    };
    snprintf(member->identity.name, sizeof(member->identity.name), "n%zu", number);
    snprintf(member->identity.host, sizeof(member->identity.host), "h%zu", number);
    snprintf(member->identity.doorbell, sizeof(member->identity.doorbell),
             "10.0.%zu.%zu:40000/0123456789abcdef", number / 256, number % 256);
}

static void member_start(struct member *member)
{
    const struct core_config config = {
        .identity = &member->identity,
        .stop_timeout_ms = STOP_TIMEOUT_MS,
        .kill_grace_ms = KILL_GRACE_MS,
        .hole_grace_ms = HOLE_GRACE_MS,
        .look_ms = member->world->plan.wake_sure ? LOOK_MS : LOOK_UNWOKEN_MS,
        .wake_unsure = !member->world->plan.wake_sure,
    };
    member->core = core_new(&config, &member->env);
    member_tick(member);
}

/* ---- what happens to all -------------------------------------------------------------------- */

static void jobs_come(struct world *world)
{
    static const char *const types[] = {"exec"};
    for (size_t lane = 0; lane < world->plan.lanes; lane++)
        for (int64_t left = world->rows.per_lane; left > 0; left -= LIMIT_BATCH_JOBS) {
            struct arena mem = {0};
            struct ds_step step = {
                .kind = DS_RESERVE,
                .reserve = {.lane = (int32_t)lane,
                            .count = left < LIMIT_BATCH_JOBS ? left : LIMIT_BATCH_JOBS,
                            .types = types,
                            .n_types = 1}};
            int rc = server_step(world, &step, &mem);
            assert(rc == 0);
            (void)rc;
            arena_release(&mem);
        }
}

/* Somebody claims, dies, and is declared dead by one who dies before it gives the claim back. */
static void ghost_add(struct world *world)
{
    struct node ghost = world->members[0].identity;
    struct arena mem = {0};
    ghost.id = (int64_t)(world_random(world) >> 1);
    ghost.beat = 1;
    snprintf(ghost.name, sizeof(ghost.name), "ghost");
    struct ds_step steps[] = {
        {.kind = DS_NODE_ADD, .node_add = {.node = &ghost}},
        {.kind = DS_CLAIM, .claim = {.node = ghost.id, .make_entry = true, .want = 10}},
        {.kind = DS_NODE_KILL, .node_kill = {.node = ghost.id, .beat = 1, .cause = "gone"}},
    };
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        int rc = server_step(world, &steps[i], &mem);
        assert(rc == 0);
        (void)rc;
    }
    arena_release(&mem);
}

/* The submitter rings as many as it may for each of its batches. */
static void come(struct world *world)
{
    if (world->come_us == 0) {
        const struct server *server = &world->server;
        double s = (double)world->plan.idle_ms / 1000, n = (double)world->plan.nodes;
        world->come_us = world->now_us;
        world->result.idle_ops_a_node = (double)server->ops / s / n;
        world->result.idle_kb_a_node = (double)server->bytes / 1024 / s / n;
        world->server.ops = world->server.bytes = world->server.row_ops = 0;
        world->server.cpu_us = 0;
        memset(world->server.kinds, 0, sizeof(world->server.kinds));
        jobs_come(world);
        if (world->plan.ghost)
            ghost_add(world);
        if (world->plan.wake_sure)
            ring_all(world);
    }
    uint64_t rounds = (world->now_us - world->come_us) / RINGS_APART_US;
    if (world->plan.wake_sure || rounds > world->plan.nodes / RINGS_MAX + 4)
        return;
    ring_some(world, RINGS_MAX, true);
    event_add(world, world->now_us + RINGS_APART_US, EVENT_JOBS_COME, NULL);
}

static void kill_some(struct world *world)
{
    world->kill_us = world->now_us;
    size_t step = world->plan.nodes / world->plan.kill;
    for (size_t i = 0; i < world->plan.kill; i++)
        world->members[i * step].killed = true;
}

static void start_some(struct world *world)
{
    world->start_us = world->now_us;
    for (size_t i = world->plan.nodes; i < world->n_members; i++)
        member_start(&world->members[i]);
}

/* Of the nodes that were killed: how many have a record that is not dead, how many a lane entry? */
static void mourned(struct world *world, size_t *ret_alive, size_t *ret_entries)
{
    *ret_alive = *ret_entries = 0;
    size_t step = world->plan.nodes / world->plan.kill;
    for (size_t i = 0; i < world->plan.kill; i++)
        server_left_of(world, world->members[i * step].identity.id, ret_alive, ret_entries);
}

static void trace(struct world *world)
{
    static uint64_t ops, claims;
    const struct server *server = &world->server;
    size_t running = 0, idle = 0;
    for (size_t i = 0; i < world->n_members; i++) {
        const struct member *member = &world->members[i];
        for (int32_t k = 0; k < world->plan.slots; k++)
            running += member->jobs[k].end_us != NEVER && !member->killed ? 1 : 0;
        idle += member_up(member) && core_view(member->core).running == 0 ? 1 : 0;
    }
    fprintf(stderr,
            "%7.1f s: running %zu, idle nodes %zu, done %" PRId64 ", ops/s %" PRIu64
            ", claims/s %" PRIu64 ", lane bytes %zu, busy %u\n",
            (double)world->now_us / 1e6, running, idle, world->rows.n_done, server->ops - ops,
            server->claims - claims, server->lane_bytes_max, server->busy);
    ops = server->ops;
    claims = server->claims;
    static uint64_t kinds[DS_KINDS];
    for (int k = 0; k < DS_KINDS; k++) {
        if (server->kinds[k] > kinds[k] + 50)
            fprintf(stderr, " %s %" PRIu64, ds_kind_name(k), server->kinds[k] - kinds[k]);
        kinds[k] = server->kinds[k];
    }
    fprintf(stderr, "\n");
}

static void watch(struct world *world)
{
    struct scale_result *result = &world->result;
    event_add(world, world->now_us + WATCH_US, EVENT_WATCH, NULL);
    if (world->plan.trace && world->now_us % TRACE_US == 0)
        trace(world);
    if (world->start_us != 0 && result->joined_ms == 0 &&
        world->n_joined == world->plan.start_extra)
        result->joined_ms = (world->now_us - world->start_us) / 1000;
    if (world->kill_us == 0 || (result->rescued_ms != 0 && result->buried_ms != 0))
        return;
    size_t alive, entries;
    mourned(world, &alive, &entries);
    uint64_t since_ms = (world->now_us - world->kill_us) / 1000;
    if (alive == 0 && result->buried_ms == 0)
        result->buried_ms = since_ms;
    if (alive == 0 && entries == 0)
        result->rescued_ms = since_ms;
}

static void event_fire(struct world *world, const struct event *event)
{
    switch (event->kind) {
    case EVENT_TICK:
        tick_due(world, event->of);
        break;
    case EVENT_JOBS:
        jobs_ended(world, event->of);
        break;
    case EVENT_ARRIVED:
    case EVENT_WORKED:
    case EVENT_WRITTEN:
        server_event(world, event);
        break;
    case EVENT_REPLY:
        replied(world, event->of);
        break;
    case EVENT_RING: {
        struct member *member = event->of;
        member->ring_comes = false;
        if (member_up(member)) {
            core_woken(member->core);
            member_tick(member);
        }
        break;
    }
    case EVENT_START:
        if (event->of != NULL)
            member_start(event->of);
        else
            start_some(world);
        break;
    case EVENT_JOBS_COME:
        come(world);
        break;
    case EVENT_KILL:
        kill_some(world);
        break;
    case EVENT_WATCH:
        watch(world);
        break;
    }
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void world_init(struct world *world, const struct scale_plan *plan)
{
    *world = (struct world){.plan = *plan, .rng = plan->seed};
    assert(plan->lanes >= 1 && plan->lanes <= LIMIT_QUEUES_SERVED);
    world->now_us = 1000000;
    world->n_members = plan->nodes + plan->start_extra;
    world->members = calloc(world->n_members, sizeof(*world->members));
    assert(world->members != NULL);
    server_init(world);
    for (size_t i = 0; i < plan->lanes; i++) {
        struct ds_step step = {.kind = DS_LANE_OPEN,
                               .lane_open.name = {.priority = PRIORITY_DEFAULT}};
        struct arena mem = {0};
        snprintf(queue_names[i], sizeof(queue_names[i]), i == 0 ? QUEUE_DEFAULT : "q%zu", i);
        memcpy(step.lane_open.name.queue, queue_names[i], sizeof(queue_names[i]));
        int rc = server_step(world, &step, &mem);
        assert(rc == 0 && step.lane_open.ret_lane == (int32_t)i);
        (void)rc;
        arena_release(&mem);
    }
    rows_init(&world->rows, plan->lanes, plan->n_jobs / (int64_t)plan->lanes);
    for (size_t i = 0; i < world->n_members; i++) {
        struct member *member = &world->members[i];
        member_init(world, member);
        member->extra = i >= plan->nodes;
        if (!member->extra)
            event_add(world, world->now_us + world_random(world) % (START_SPREAD_MS * 1000),
                      EVENT_START, member);
    }
    uint64_t come_us = world->now_us + (START_SPREAD_MS + plan->idle_ms) * 1000;
    event_add(world, come_us, EVENT_JOBS_COME, NULL);
    if (plan->start_extra > 0)
        event_add(world, come_us + plan->start_after_ms * 1000, EVENT_START, NULL);
    if (plan->kill > 0)
        event_add(world, come_us + plan->kill_after_ms * 1000, EVENT_KILL, NULL);
    event_add(world, 1000000, EVENT_WATCH, NULL);
}

/* Nobody waits for a reply any more. */
static void world_release(struct world *world)
{
    for (struct flight *flight; (flight = world->flights) != NULL;) {
        struct ds_run *run = flight->bell == NULL ? flight->run : NULL;
        flight_free(flight);
        for (size_t i = 0; run != NULL && i < run->n_steps; i++)
            run->steps[i].rc = ERR_UNAVAILABLE;
        if (run != NULL)
            run->done(run, run->ctx);
    }
    for (size_t i = 0; i < world->n_members; i++) {
        if (world->members[i].core != NULL)
            core_free(world->members[i].core);
        free(world->members[i].jobs);
    }
    server_release(world);
    rows_release(&world->rows);
    free(world->members);
    free(world->heap);
}

/* What a dispatcher without any cost would take: all slots busy to the end, or the longest job. */
static uint64_t ideal_ms(const struct world *world)
{
    uint64_t sum = 0, longest = 0;
    for (size_t lane = 0; lane < world->rows.lanes; lane++)
        for (int64_t seq = 1; seq <= world->rows.per_lane; seq++) {
            uint64_t ms = scale_job_ms(world->plan.jobs, id_make((int32_t)lane, seq));
            sum += ms;
            longest = ms > longest ? ms : longest;
        }
    uint64_t slots = world->plan.nodes * (uint64_t)world->plan.slots;
    return sum / slots > longest ? sum / slots : longest;
}

static void result_fill(struct world *world)
{
    struct scale_result *result = &world->result;
    const struct server *server = &world->server;
    double jobs = (double)world->rows.per_lane * (double)world->plan.lanes;
    size_t n = 0;
    if (world->last_end_us == 0)
        world->last_end_us = world->now_us; /* not one job has ended */
    double s = (double)(world->last_end_us - world->come_us) / 1e6, sum_us = 0;
    for (size_t i = 0; i < world->n_members; i++)
        if (world->members[i].ran && !world->members[i].killed) {
            sum_us += (double)world->members[i].last_end_us;
            n++;
        }
    result->ideal_ms = ideal_ms(world);
    result->drain_ms = (world->last_end_us - world->come_us) / 1000;
    result->imbalance_ms = ((double)world->last_end_us - sum_us / (double)(n > 0 ? n : 1)) / 1000;
    result->ops_a_job = (double)server->ops / jobs;
    result->row_ops_a_job = (double)server->row_ops / jobs;
    result->ops_a_second = (double)server->ops / s;
    result->kb_a_second = (double)server->bytes / 1024 / s;
    result->claims_a_second = (double)server->claims / s;
    result->jobs_a_claim = (double)server->granted / (double)(server->claims + 1);
    result->busy = (double)server->cpu_us / 1e6 / s / server->speed.cpus;
    result->lane_bytes_max = server->lane_bytes_max;
    result->interrupted = world->rows.interrupted;
}

static uint64_t wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct scale_result scale_run(const struct scale_plan *plan)
{
    struct world world;
    uint64_t from_ms = wall_ms();
    world_init(&world, plan);
    int64_t all = world.rows.per_lane * (int64_t)plan->lanes;
    uint64_t until_us =
        world.now_us + (START_SPREAD_MS + plan->idle_ms + plan->drain_ms_max) * 1000;
    while (world.rows.n_done < all && world.now_us < until_us) {
        struct event event = event_take(&world);
        assert(event.at_us >= world.now_us);
        world.now_us = event.at_us;
        event_fire(&world, &event);
    }
    world.result.drained = world.rows.n_done == all;
    /* Without kills nothing may run twice, and whatever ran was recorded (I2, I7). */
    if (plan->kill == 0 && world.result.drained && world.result.fenced == 0)
        assert(world.rows.refused == 0 && world.starts == (uint64_t)all);
    if (plan->trace) {
        for (int k = 0; k < DS_KINDS; k++)
            if (world.server.kinds[k] > 0)
                fprintf(stderr, "%-16s %" PRIu64 "\n", ds_kind_name(k), world.server.kinds[k]);
    }
    result_fill(&world);
    world_release(&world);
    world.result.wall_ms = wall_ms() - from_ms;
    return world.result;
}
