/* Nodes of the cluster: their environment, their life and death, and the order of events.
 *
 * Time stands still within an event and jumps from one to the next; of several due at once the one
 * that stands first in the tables goes first, so a seed gives one history. A crash throws a core
 * away as a kill -9 would: nothing of it reaches the store any more (but what is late).
 * One thread. */
#include "tests/support/cluster.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/memory.h"
#include "tests/support/cluster_internal.h"

/* ---- randomness (splitmix64, Steele et al. 2014) ------------------------------------ */

uint64_t cluster_random(struct cluster *cluster)
{
    uint64_t z = cluster->rng += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

uint64_t cluster_below(struct cluster *cluster, uint64_t n)
{
    return cluster_random(cluster) % n;
}

bool cluster_chance(struct cluster *cluster, unsigned permille)
{
    return permille > 0 && cluster_below(cluster, 1000) < permille;
}

/* Mostly a few ms; now and then much, and in a violent world so much that leases run out. */
static uint64_t delay_ms(struct cluster *cluster)
{
    if (!cluster->quiet && cluster_chance(cluster, 5))
        return 200 + cluster_below(cluster, cluster->plan.violence ? 2000 : LEASE_MS / 8);
    return 1 + cluster_below(cluster, 12);
}

/* ---- the environment of a core ------------------------------------------------------ */

static struct member *member_of(struct env *env)
{
    return (struct member *)env;
}

bool member_up(const struct member *member)
{
    return member->core != NULL && core_phase(member->core) == CORE_RUNNING;
}

static uint64_t env_now_ms(struct env *env)
{
    return member_of(env)->cluster->now_ms + member_of(env)->boot_ms;
}

static int64_t env_utc_ms(struct env *env)
{
    const struct member *member = member_of(env);
    return (int64_t)(member->cluster->now_ms + 1700000000000U + member->boot_ms % 5000);
}

int64_t store_utc_ms(void *ctx)
{
    return (int64_t)((struct cluster *)ctx)->now_ms + 1700000000000;
}

static uint64_t env_random(struct env *env)
{
    return cluster_random(member_of(env)->cluster);
}

static double env_load(struct env *env)
{
    (void)env;
    return 0;
}

static void env_run(struct env *env, struct ds_run *run)
{
    struct member *member = member_of(env);
    assert(member->n_flights < FLIGHTS_MAX);
    member->flights[member->n_flights++] =
        (struct flight){.run = run, .due_ms = member->cluster->now_ms + delay_ms(member->cluster)};
}

static void start_note(struct cluster *cluster, const struct job *job)
{
    int32_t *run = &cluster->started_run[job->token];
    if (!cluster->disturbed && job->run <= *run)
        ledger_check_break(cluster->check, "I7: job %" PRId64 " started twice at run %d",
                           id_seq(job->id), job->run);
    if (job->run > *run)
        *run = job->run;
    cluster->tally.starts++;
}

static int env_start(struct env *env, const struct job *job, const struct lane_name *lane,
                     struct error *err)
{
    (void)lane;
    struct member *member = member_of(env);
    struct cluster *cluster = member->cluster;
    struct fate fate = fate_of(cluster, job);
    if (fate.never)
        return error_set(err, ERR_INVALID, "nobody can run this");
    if (!cluster->quiet && cluster_chance(cluster, 10))
        return error_set(err, ERR_BUSY, "no process to spare");
    ledger_check_start(cluster->check, member->identity.id, job);
    start_note(cluster, job);
    assert(member->n_jobs < member->cluster->plan.slots);
    member->jobs[member->n_jobs++] = (struct executing){
        .id = job->id,
        .run = job->run,
        .end_ms = cluster->now_ms + fate.ms,
        .ok = job->run - job->interruptions > fate.fails,
        .token = fate.killer ? job->token : 0,
    };
    return 0;
}

static void env_end(struct env *env, int64_t id, int32_t run, uint64_t grace_ms)
{
    struct member *member = member_of(env);
    uint64_t end_ms = member->cluster->now_ms + 1 + cluster_below(member->cluster, grace_ms + 1);
    for (size_t i = 0; i < member->n_jobs; i++) {
        struct executing *job = &member->jobs[i];
        if (job->id != id || job->run != run || job->end_ms <= end_ms)
            continue;
        job->end_ms = end_ms;
        job->ok = false;
        job->token = 0;
    }
}

struct member *member_find(struct cluster *cluster, int64_t id)
{
    for (size_t i = 0; i < cluster->plan.nodes; i++)
        if (cluster->members[i].core != NULL && cluster->members[i].identity.id == id)
            return &cluster->members[i];
    return NULL;
}

static int env_peer_alive(struct env *env, const struct node *peer)
{
    struct member *member = member_of(env);
    if (strcmp(peer->host, member->identity.host) != 0)
        return -1;
    return member_find(member->cluster, peer->id) != NULL ? 1 : 0;
}

static void env_peer_watch(struct env *env, const struct node *peer)
{
    (void)env, (void)peer; /* whoever is on the same host is told: tell_neighbours */
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

/* ---- life and death ---------------------------------------------------------------- */

static void core_tick_now(struct member *member)
{
    member->tick_ms = NEVER;
    if (member->core == NULL)
        return;
    uint64_t wait_ms = core_tick(member->core);
    if (wait_ms != UINT64_MAX)
        member->tick_ms = member->cluster->now_ms + wait_ms;
}

static void flight_remove(struct member *member, size_t i)
{
    memmove(member->flights + i, member->flights + i + 1,
            (member->n_flights - i - 1) * sizeof(member->flights[0]));
    member->n_flights--;
}

/* No reply comes any more: whoever waits for one gets trouble, and what it asks for then too. */
static void flights_drop(struct member *member)
{
    while (member->n_flights > 0) {
        struct ds_run *run = member->flights[0].run;
        flight_remove(member, 0);
        for (size_t i = 0; i < run->n_steps; i++)
            run->steps[i].rc = ERR_UNAVAILABLE;
        run->done(run, run->ctx);
    }
}

static void tell_neighbours(struct cluster *cluster, const struct member *gone)
{
    for (size_t i = 0; i < cluster->plan.nodes; i++) {
        struct member *member = &cluster->members[i];
        if (member->core != NULL && strcmp(member->identity.host, gone->identity.host) == 0 &&
            member->n_gone < GONE_MAX)
            member->gone[member->n_gone++] = gone->identity.id;
    }
}

void members_wake(struct cluster *cluster)
{
    for (size_t i = 0; cluster->plan.unsure && i < cluster->plan.nodes; i++) {
        struct member *member = &cluster->members[i];
        if (member->core != NULL && member->wake_ms == NEVER &&
            !cluster_chance(cluster, cluster->plan.deaf_permille))
            member->wake_ms = cluster->now_ms + 1 + cluster_below(cluster, 3);
    }
}

static void member_clear(struct member *member)
{
    core_free(member->core);
    member->core = NULL;
    member->doomed = member->told_dead = false;
    member->hushed = 0;
    member->tick_ms = member->thaw_ms = member->wake_ms = NEVER;
    member->n_jobs = member->n_gone = 0;
}

static void name_member(struct cluster *cluster, struct member *member)
{
    static char queues[][LIMIT_NAME_BYTES + 1] = {QUEUE_DEFAULT, "mail"};
    static char types[][LIMIT_NAME_BYTES + 1] = {"exec", "noop"};
    size_t number = (size_t)(member - cluster->members);
    member->identity = (struct node){
        .id = (int64_t)((cluster_random(cluster) >> 24) * 100) + cluster->next_node++,
        .pid = cluster->next_node,
        .slots = (int32_t)cluster->plan.slots,
        .lease_ms = cluster->plan.lease_ms != 0 ? (int64_t)cluster->plan.lease_ms : LEASE_MS,
        .queues = queues,
        .n_queues = 2,
        .types = types,
        .n_types = 2,
        .version = "0",
    };
    snprintf(member->identity.name, sizeof(member->identity.name), "n%zu", number);
    snprintf(member->identity.host, sizeof(member->identity.host), "h%zu",
             number % cluster->plan.hosts);
}

void cluster_start(struct cluster *cluster, size_t node)
{
    struct member *member = &cluster->members[node];
    if (member->core != NULL)
        return;
    name_member(cluster, member);
    const struct core_config config = {
        .identity = &member->identity,
        .name_fixed = cluster->plan.names_fixed,
        .stop_timeout_ms = cluster->plan.stop_timeout_ms,
        .kill_grace_ms = 200,
        .hole_grace_ms = 1500,
        .look_ms = cluster->plan.look_ms != 0 ? cluster->plan.look_ms
                   : cluster->plan.unsure     ? 2000
                                              : 1000,
        .wake_unsure = cluster->plan.unsure,
    };
    member->boot_ms = cluster_below(cluster, 1000000);
    member->restart_ms = member->thaw_ms = NEVER;
    member->core = core_new(&config, &member->env);
    core_tick_now(member);
}

void cluster_stop(struct cluster *cluster, size_t node, bool at_once)
{
    struct member *member = &cluster->members[node];
    if (!member_up(member))
        return;
    cluster->tally.stops++;
    cluster->disturbed = cluster->disturbed || at_once;
    core_stop(member->core, at_once);
    if (member->thaw_ms == NEVER)
        core_tick_now(member);
}

void cluster_crash(struct cluster *cluster, size_t node)
{
    struct member *member = &cluster->members[node];
    if (member->core == NULL)
        return;
    cluster->tally.crashes++;
    cluster->disturbed = true;
    /* What it was just asking for may reach the store yet. */
    for (size_t i = 0; i < member->n_flights; i++) {
        struct flight *flight = &member->flights[i];
        if (flight->next < flight->run->n_steps && cluster_chance(cluster, 600))
            late_add(cluster, member, flight->run, flight->next);
    }
    flights_drop(member);
    member_clear(member);
    tell_neighbours(cluster, member);
    if (!cluster->stopping)
        member->restart_ms = cluster->now_ms + cluster_below(cluster, 10000);
}

void cluster_freeze(struct cluster *cluster, size_t node, uint64_t ms)
{
    struct member *member = &cluster->members[node];
    if (member->core == NULL || member->thaw_ms != NEVER)
        return;
    cluster->tally.freezes++;
    cluster->disturbed = true;
    member->thaw_ms = cluster->now_ms + ms;
}

void cluster_outage(struct cluster *cluster, uint64_t ms)
{
    cluster->outage_until_ms = cluster->now_ms + ms;
}

/* Its core came to its end by itself. */
static void member_over(struct cluster *cluster, struct member *member)
{
    enum core_phase phase = core_phase(member->core);
    if (phase == CORE_FENCED)
        cluster->tally.fenced++;
    member_clear(member);
    tell_neighbours(cluster, member);
    if (phase != CORE_STOPPED && !cluster->stopping)
        member->restart_ms = cluster->now_ms + 1 + cluster_below(cluster, 3000);
}

/* ---- events ---------------------------------------------------------------- */

/* Is this the reply of a node that reads its own record back, and finds itself buried? */
static bool tells_dead(const struct member *member, const struct ds_run *run)
{
    const struct ds_step *step = &run->steps[0];
    return step->kind == DS_NODES_READ && step->rc == 0 &&
           step->nodes_read.node == member->identity.id &&
           step->nodes_read.ret_nodes[0].state == NODE_DEAD;
}

static void flight_fire(struct cluster *cluster, struct member *member, size_t i)
{
    struct flight *flight = &member->flights[i];
    struct ds_run *run = flight->run;
    if (flight->next < run->n_steps) {
        bool on = store_step(cluster, member, run, flight->next);
        flight->next = on ? flight->next + 1 : run->n_steps;
        flight->due_ms = cluster->now_ms + delay_ms(cluster);
        return;
    }
    flight_remove(member, i);
    member->told_dead = member->told_dead || tells_dead(member, run);
    run->done(run, run->ctx);
    core_tick_now(member);
}

/* The first time it was in no heartbeat yet; from then on each counts as an interruption. */
static void node_killed_by(struct cluster *cluster, const struct executing *job)
{
    if (++cluster->kills[job->token] > MAX_INTERRUPTIONS_DEFAULT + 2)
        ledger_check_break(cluster->check, "job %" PRId64 " killed %d nodes", id_seq(job->id),
                           cluster->kills[job->token]);
}

static void job_fire(struct cluster *cluster, struct member *member, size_t i)
{
    struct executing job = member->jobs[i];
    member->jobs[i] = member->jobs[--member->n_jobs];
    if (job.token != 0) {
        node_killed_by(cluster, &job);
        member->doomed = true;
        return;
    }
    struct job_end end = {
        .id = job.id,
        .run = job.run,
        .ok = job.ok,
        .lost = cluster->plan.bad_jobs && !cluster->quiet && cluster_chance(cluster, 20),
        .ending = {.exit_code = job.ok ? 0 : 1},
    };
    if (member->told_dead && !job.ok)
        member->hushed = job.id;
    core_job_ended(member->core, &end);
    core_tick_now(member);
}

enum event {
    EVENT_NONE,
    EVENT_FLIGHT,
    EVENT_JOB,
    EVENT_GONE,
    EVENT_WAKE,
    EVENT_TICK,
    EVENT_THAW,
    EVENT_START
};

struct next {
    uint64_t due_ms;
    enum event event;
    size_t index;
};

static void sooner(struct next *next, uint64_t due_ms, enum event event, size_t index)
{
    if (due_ms < next->due_ms)
        *next = (struct next){.due_ms = due_ms, .event = event, .index = index};
}

static struct next member_next(const struct cluster *cluster, const struct member *member)
{
    struct next next = {.due_ms = NEVER};
    bool frozen = member->thaw_ms != NEVER;
    for (size_t i = 0; i < member->n_flights; i++) {
        /* Frozen: what the store was given goes on; no reply is taken, no step sent after it. */
        const struct flight *flight = &member->flights[i];
        if (!frozen || flight->next == 0)
            sooner(&next, flight->due_ms, EVENT_FLIGHT, i);
    }
    sooner(&next, member->thaw_ms, EVENT_THAW, 0);
    if (member->core == NULL)
        sooner(&next, member->restart_ms, EVENT_START, 0);
    if (frozen)
        return next;
    for (size_t i = 0; i < member->n_jobs; i++)
        sooner(&next, member->jobs[i].end_ms, EVENT_JOB, i);
    if (member->n_gone > 0)
        sooner(&next, cluster->now_ms + 1, EVENT_GONE, 0);
    sooner(&next, member->wake_ms, EVENT_WAKE, 0);
    sooner(&next, member->tick_ms, EVENT_TICK, 0);
    return next;
}

static void member_fire(struct cluster *cluster, struct member *member, struct next next)
{
    switch (next.event) {
    case EVENT_FLIGHT:
        flight_fire(cluster, member, next.index);
        break;
    case EVENT_JOB:
        job_fire(cluster, member, next.index);
        break;
    case EVENT_GONE:
        core_peer_gone(member->core, member->gone[--member->n_gone]);
        core_tick_now(member);
        break;
    case EVENT_WAKE:
        member->wake_ms = NEVER;
        core_woken(member->core);
        core_tick_now(member);
        break;
    case EVENT_TICK:
        core_tick_now(member);
        break;
    case EVENT_THAW:
        member->thaw_ms = NEVER;
        core_tick_now(member);
        break;
    case EVENT_START:
        cluster_start(cluster, (size_t)(member - cluster->members));
        break;
    case EVENT_NONE:
        assert(!"no event");
    }
}

/* Buries nobody: takes away what died or came to its end in this event. */
static void members_settle(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan.nodes; i++) {
        struct member *member = &cluster->members[i];
        if (member->core != NULL && member->doomed)
            cluster_crash(cluster, i);
        else if (member->core != NULL && core_phase(member->core) != CORE_RUNNING &&
                 core_quiet(member->core))
            member_over(cluster, member);
    }
}

bool cluster_step(struct cluster *cluster)
{
    struct next next = {.due_ms = NEVER};
    struct member *whose = NULL;
    for (size_t i = 0; i < cluster->plan.nodes; i++) {
        struct next own = member_next(cluster, &cluster->members[i]);
        if (own.due_ms < next.due_ms) {
            next = own;
            whose = &cluster->members[i];
        }
    }
    uint64_t weather = weather_due_ms(cluster), late = late_due_ms(cluster);
    uint64_t first = next.due_ms < weather ? next.due_ms : weather;
    first = late < first ? late : first;
    if (first == NEVER)
        return false;
    cluster->now_ms = first > cluster->now_ms ? first : cluster->now_ms;
    if (first == late)
        late_fire(cluster);
    else if (first == weather)
        weather_fire(cluster);
    else
        member_fire(cluster, whose, next);
    members_settle(cluster);
    return ledger_check_broken(cluster->check)[0] == '\0';
}

bool cluster_until(struct cluster *cluster, uint64_t ms)
{
    while (cluster->now_ms < ms)
        if (!cluster_step(cluster))
            break;
    return cluster_broken(cluster)[0] == '\0';
}

/* ---- making and freeing ---------------------------------------------------------------- */

struct cluster *cluster_new(const struct cluster_plan *plan, FILE *trace)
{
    assert(plan->nodes <= MEMBERS_MAX && plan->slots <= EXECUTING_MAX && plan->hosts > 0);
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    assert(cluster != NULL);
    cluster->plan = *plan;
    cluster->rng = plan->seed;
    cluster->trace = trace;
    cluster->next_node = cluster->next_token = 1;
    cluster->now_ms = 1000;
    cluster->store = memory_store_new(store_utc_ms, cluster);
    cluster->ds = memory_open(cluster->store);
    cluster->check = ledger_check_new(cluster->ds);
    for (size_t i = 0; i < MEMBERS_MAX; i++) {
        struct member *member = &cluster->members[i];
        member->env.class = &env_class;
        member->cluster = cluster;
        member->tick_ms = member->thaw_ms = member->restart_ms = member->wake_ms = NEVER;
    }
    weather_init(cluster);
    return cluster;
}

void cluster_free(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan.nodes; i++)
        if (cluster->members[i].core != NULL) {
            flights_drop(&cluster->members[i]);
            member_clear(&cluster->members[i]);
        }
    late_release(cluster);
    ledger_check_free(cluster->check);
    datastore_close(cluster->ds);
    memory_store_free(cluster->store);
    free(cluster);
}

void cluster_torture(struct cluster *cluster, const struct cluster_torture *torture)
{
    cluster->torture = *torture;
}

bool cluster_awaits(const struct cluster *cluster, size_t node, enum ds_kind kind)
{
    const struct member *member = &cluster->members[node];
    for (size_t i = 0; i < member->n_flights; i++)
        if (member->flights[i].run->steps[0].kind == kind)
            return true;
    return false;
}

uint64_t cluster_now_ms(const struct cluster *cluster)
{
    return cluster->now_ms;
}

uint64_t cluster_steps(const struct cluster *cluster, size_t node)
{
    const struct member *member = &cluster->members[node];
    return member->core != NULL ? core_view(member->core).steps : 0;
}

const char *cluster_broken(const struct cluster *cluster)
{
    return ledger_check_broken(cluster->check);
}

const struct cluster_tally *cluster_tally(const struct cluster *cluster)
{
    return &cluster->tally;
}

uint64_t cluster_fired(const struct cluster *cluster, enum ds_kind before, enum ds_kind after)
{
    return cluster->fired[before][after];
}
