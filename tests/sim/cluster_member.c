/* Nodes of the cluster: their environment, their life and death.
 *
 * A crash throws a core away as a kill -9 would: nothing of it reaches the store any more (but what
 * is late). One thread. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/random.h"
#include "tests/sim/cluster_internal.h"

enum { MILLION = 1000000 };

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
    const struct member *member = member_of(env);
    int64_t since_ms = (int64_t)(member->cluster->now_ms - member->started_ms);
    return member->boot_ms + (uint64_t)(since_ms + since_ms * member->drift_ppm / MILLION);
}

static int64_t env_utc_ms(struct env *env)
{
    const struct member *member = member_of(env);
    return (int64_t)member->cluster->now_ms + EPOCH_MS + member->utc_ms;
}

static uint64_t env_random(struct env *env)
{
    return random_next(&member_of(env)->cluster->rng);
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
    member->flights[member->n_flights++] = (struct flight){
        .run = run, .due_ms = member->cluster->now_ms + cluster_delay_ms(member->cluster)};
}

bool unwell(const struct cluster *cluster, int64_t node)
{
    for (size_t i = 0; i < cluster->n_unwell; i++)
        if (cluster->unwell[i] == node)
            return true;
    return false;
}

void unwell_add(struct cluster *cluster, int64_t node)
{
    if (unwell(cluster, node))
        return;
    cluster->unwell = realloc(cluster->unwell, (cluster->n_unwell + 1) * sizeof(int64_t));
    assert(cluster->unwell != NULL);
    cluster->unwell[cluster->n_unwell++] = node;
}

/* I7: who started this run before must have come to harm. */
static void start_note(struct cluster *cluster, const struct member *member, const struct job *job)
{
    struct witness *witness = &cluster->witnesses[job->token];
    if (job->run <= witness->run && !unwell(cluster, witness->starter))
        ledger_check_break(cluster->check, "I7: job %" PRId64 " started twice at run %d",
                           id_seq(job->id), job->run);
    if (job->run >= witness->run) {
        witness->run = job->run;
        witness->starter = member->identity.id;
    }
    cluster->tally.starts++;
}

static int env_start(struct env *env, const struct job *job, const struct lane_name *lane,
                     struct error *err)
{
    (void)lane;
    struct member *member = member_of(env);
    struct cluster *cluster = member->cluster;
    struct fate fate = fate_of(cluster, job);
    if (fate.never) {
        cluster->tally.never_jobs++;
        return error_set(err, ERR_INVALID, "nobody can run this");
    }
    if (cluster_trouble(cluster, cluster->plan.busy)) {
        cluster->tally.busy++;
        return error_set(err, ERR_BUSY, "no process to spare");
    }
    cluster_note(cluster, member, "starts job %" PRId64 " run %d", id_seq(job->id), job->run);
    ledger_check_start(cluster->check, member->identity.id, job);
    truth_cancel_check(cluster, member, job->id, "starts");
    start_note(cluster, member, job);
    truth_started(cluster, job);
    cluster->tally.long_jobs += fate.slow ? 1 : 0;
    assert(member->n_jobs < cluster->plan.slots);
    member->jobs[member->n_jobs++] = (struct executing){
        .id = job->id,
        .run = job->run,
        .end_ms = cluster->now_ms + fate.ms,
        .ok = job->run - job->interruptions > fate.fails,
        .kills = fate.killer,
        .token = job->token,
    };
    return 0;
}

static void env_end(struct env *env, int64_t id, int32_t run, uint64_t grace_ms)
{
    struct member *member = member_of(env);
    uint64_t end_ms = member->cluster->now_ms + 1 + cluster_below(member->cluster, grace_ms + 1);
    for (size_t i = 0; i < member->n_jobs; i++) {
        struct executing *job = &member->jobs[i];
        if (job->id != id || job->run != run)
            continue;
        job->asked = true;
        if (job->end_ms <= end_ms)
            continue;
        job->end_ms = end_ms;
        job->ok = job->kills = false;
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

void member_tick(struct member *member)
{
    member->tick_ms = NEVER;
    if (member->core == NULL)
        return;
    uint64_t wait_ms = core_tick(member->core);
    if (wait_ms == UINT64_MAX)
        return;
    /* By its own clock; a ms more, so that it is due then. */
    int64_t fast_ms = (int64_t)wait_ms * member->drift_ppm / MILLION;
    member->tick_ms = member->cluster->now_ms + wait_ms - (uint64_t)fast_ms;
    member->tick_ms += member->drift_ppm != 0 ? 1 : 0;
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
        if (member->core == NULL || member->wake_ms != NEVER)
            continue;
        if (cluster_trouble(cluster, cluster->plan.deaf))
            cluster->tally.deaf++;
        else
            member->wake_ms = cluster->now_ms + 1 + cluster_below(cluster, 3);
    }
}

static void member_clear(struct member *member)
{
    core_free(member->core);
    member->core = NULL;
    member->doomed = member->told_dead = false;
    member->hushed = 0;
    member->n_cancels = 0;
    member->tick_ms = member->thaw_ms = member->wake_ms = NEVER;
    member->n_jobs = member->n_gone = 0;
}

static void name_member(struct cluster *cluster, struct member *member)
{
    static char queues[][LIMIT_NAME_BYTES + 1] = {QUEUE_DEFAULT, "mail"};
    static char types[][LIMIT_NAME_BYTES + 1] = {"exec", "noop"};
    size_t number = (size_t)(member - cluster->members);
    member->identity = (struct node){
        .id = (int64_t)((random_next(&cluster->rng) >> 8) * 100) + cluster->next_node++,
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

static void clock_set(struct cluster *cluster, struct member *member)
{
    int64_t drift = (int64_t)cluster->plan.drift_ppm;
    member->started_ms = cluster->now_ms;
    member->boot_ms = 1 + cluster_below(cluster, 1000000);
    member->utc_ms = (int64_t)cluster_below(cluster, 5000);
    member->drift_ppm = (int64_t)cluster_below(cluster, 2 * (uint64_t)drift + 1) - drift;
    cluster->tally.drifting += member->drift_ppm != 0 ? 1 : 0;
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

        .few_nodes = cluster->plan.crowd ? 1 : 0,
        .stop_timeout_ms = cluster->plan.stop_timeout_ms,
        .kill_grace_ms = 200,
        .hole_grace_ms = 1500,
        .look_ms = cluster->plan.look_ms != 0 ? cluster->plan.look_ms
                   : cluster->plan.unsure     ? 2000
                                              : 1000,
        .wake_unsure = cluster->plan.unsure,
    };
    clock_set(cluster, member);
    member->restart_ms = member->thaw_ms = NEVER;
    member->core = core_new(&config, &member->env);
    cluster_note(cluster, member, "is started");
    member_tick(member);
}

void cluster_stop(struct cluster *cluster, size_t node, bool at_once)
{
    struct member *member = &cluster->members[node];
    if (!member_up(member))
        return;
    cluster->tally.stops++;
    cluster_note(cluster, member, at_once ? "is stopped at once" : "is stopped");
    if (at_once)
        unwell_add(cluster, member->identity.id);
    core_stop(member->core, at_once);
    if (member->thaw_ms == NEVER)
        member_tick(member);
}

void cluster_crash(struct cluster *cluster, size_t node)
{
    struct member *member = &cluster->members[node];
    if (member->core == NULL)
        return;
    cluster->tally.crashes++;
    cluster_note(cluster, member, "dies");
    unwell_add(cluster, member->identity.id);
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
    cluster_note(cluster, member, "stands still for %" PRIu64 " ms", ms);
    member->thaw_ms = cluster->now_ms + ms;
}

/* Its core came to its end by itself. */
void member_over(struct cluster *cluster, struct member *member)
{
    enum core_phase phase = core_phase(member->core);
    if (phase == CORE_FENCED)
        cluster->tally.fenced++;
    cluster_note(cluster, member, "came to its end: %s", core_error(member->core)->text);
    if (core_error(member->core)->code != 0)
        unwell_add(cluster, member->identity.id);
    member_clear(member);
    tell_neighbours(cluster, member);
    if (phase != CORE_STOPPED && !cluster->stopping)
        member->restart_ms = cluster->now_ms + 1 + cluster_below(cluster, 3000);
}

/* ---- replies and ends of jobs -------------------------------------------------------------- */

/* Is this the reply of a node that reads its own record back, and finds itself buried? */
static bool tells_dead(const struct member *member, const struct ds_run *run)
{
    const struct ds_step *step = &run->steps[0];
    return step->kind == DS_NODES_READ && step->rc == 0 &&
           step->nodes_read.node == member->identity.id &&
           step->nodes_read.ret_nodes[0].state == NODE_DEAD;
}

void flight_fire(struct cluster *cluster, struct member *member, size_t i)
{
    struct flight *flight = &member->flights[i];
    struct ds_run *run = flight->run;
    if (flight->next < run->n_steps) {
        uint64_t wait_ms = 0;
        bool on = store_step(cluster, member, run, flight->next, &wait_ms);
        flight->next = on ? flight->next + 1 : run->n_steps;
        flight->due_ms = cluster->now_ms + wait_ms + cluster_delay_ms(cluster);
        return;
    }
    cluster->tally.reordered += i > 0 ? 1 : 0; /* those before it were asked earlier */
    flight_remove(member, i);
    member->told_dead = member->told_dead || tells_dead(member, run);
    truth_told(member, run);
    run->done(run, run->ctx);
    member_tick(member);
}

/* The first time it was in no heartbeat yet; from then on each counts as an interruption. */
static void node_killed_by(struct cluster *cluster, const struct executing *job)
{
    uint8_t killed = ++cluster->witnesses[job->token].killed_nodes;
    cluster->tally.killed_nodes++;
    if (killed > MAX_INTERRUPTIONS_DEFAULT + 2)
        ledger_check_break(cluster->check, "job %" PRId64 " killed %d nodes", id_seq(job->id),
                           killed);
}

void job_fire(struct cluster *cluster, struct member *member, size_t i)
{
    struct executing job = member->jobs[i];
    member->jobs[i] = member->jobs[--member->n_jobs];
    if (job.kills) {
        node_killed_by(cluster, &job);
        member->doomed = true;
        return;
    }
    truth_ended(cluster, member, &job);
    if (!job.asked)
        truth_cancel_check(cluster, member, job.id, "runs to its end");
    bool lost = cluster_trouble(cluster, cluster->plan.lost_ends);
    cluster->tally.lost_ends += lost ? 1 : 0;
    cluster_note(cluster, member, "job %" PRId64 " run %d ends%s", id_seq(job.id), job.run,
                 lost     ? ", its result lost"
                 : job.ok ? ""
                          : ", failed");
    struct job_end end = {
        .id = job.id,
        .run = job.run,
        .ok = job.ok,
        .lost = lost,
        .ending = {.exit_code = job.ok ? 0 : 1},
    };
    if (member->told_dead && !job.ok)
        member->hushed = job.id;
    core_job_ended(member->core, &end);
    member_tick(member);
}

/* ---- for the others ------------------------------------------------------------------------ */

void member_init(struct cluster *cluster, struct member *member)
{
    member->env.class = &env_class;
    member->cluster = cluster;
    member->tick_ms = member->thaw_ms = member->restart_ms = member->wake_ms = NEVER;
}

void member_release(struct member *member)
{
    if (member->core == NULL)
        return;
    flights_drop(member);
    member_clear(member);
}

bool cluster_awaits(const struct cluster *cluster, size_t node, enum ds_kind kind)
{
    const struct member *member = &cluster->members[node];
    for (size_t i = 0; i < member->n_flights; i++)
        if (member->flights[i].run->steps[0].kind == kind)
            return true;
    return false;
}

uint64_t cluster_steps(const struct cluster *cluster, size_t node)
{
    const struct member *member = &cluster->members[node];
    return member->core != NULL ? core_view(member->core).steps : 0;
}
