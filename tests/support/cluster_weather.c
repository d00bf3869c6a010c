/* What goes on around the nodes: submitters, people, trouble; and the end, when all must come
 * right.
 *
 * A submitter reserves and inserts in two steps, and may die or sleep in between: a hole. What it
 * was told is there counts as accepted, and must come to an outcome (I3, I9). One thread. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "tests/support/cluster_internal.h"

enum { PATIENCE_MS = 1800 * 1000, TEND_MS = 500, REST_MS = 64000 };

struct cluster_plan cluster_plan_of(uint64_t seed)
{
    struct cluster c = {.rng = seed ^ 0x5bd1e995U};
    static const unsigned faults[] = {0, 5, 30, 100}, holes[] = {0, 50, 200};
    bool calm = cluster_below(&c, 3) == 0;
    struct cluster_plan plan = {
        .seed = seed,
        .nodes = 1 + cluster_below(&c, 4),
        .slots = 1 + cluster_below(&c, 3),
        .submitters = 1 + cluster_below(&c, 2),
        .jobs = 5 + cluster_below(&c, 30),
        .job_ms_max = cluster_below(&c, 2) == 0 ? 60 : 1500,
        .stop_timeout_ms = calm ? 60000 : 1500,
        .quiet_ms = 4000 + cluster_below(&c, 20000),
        .names_fixed = cluster_below(&c, 2) == 0,
        .bad_jobs = !calm,
        .chaos = cluster_below(&c, 4) != 0,
        .violence = !calm,
        .fault_permille = faults[cluster_below(&c, calm ? 3 : 4)],
        .crash_permille = calm ? 0 : (unsigned)cluster_below(&c, 4),
        .hole_permille = holes[cluster_below(&c, 3)],
    };
    plan.unsure = seed % 2 == 1;
    plan.deaf_permille = 200;
    plan.idle = cluster_below(&c, 12) == 0;
    if (plan.idle)
        plan.quiet_ms += 200000;
    plan.hosts = 1 + cluster_below(&c, plan.nodes);
    return plan;
}

/* ---- jobs ---------------------------------------------------------------- */

static int32_t attempts_of(int64_t token)
{
    return (int32_t)(token % 3) + 1;
}

struct fate fate_of(const struct cluster *cluster, const struct job *job)
{
    struct cluster c = {.rng = cluster->plan.seed * 31 + (uint64_t)job->token};
    struct fate fate = {.ms = 1 + cluster_below(&c, cluster->plan.job_ms_max)};
    fate.fails = cluster_below(&c, 5) == 0 ? (int32_t)cluster_below(&c, 4) : 0;
    if (!cluster->plan.bad_jobs)
        return fate;
    fate.never = cluster_below(&c, 50) == 0;
    fate.killer = cluster_below(&c, 40) == 0;
    if (cluster_below(&c, 30) == 0)
        fate.ms = 20000 + cluster_below(&c, 40000);
    return fate;
}

/* ---- submitters ---------------------------------------------------------------- */

static void batch_begin(struct cluster *cluster, struct submitter *s)
{
    s->n = 1 + cluster_below(cluster, SUBMIT_BATCH);
    s->n = s->n < s->left ? s->n : s->left;
    s->left -= s->n;
    s->lane = cluster->lanes[cluster_below(cluster, cluster->n_lanes)];
    s->type = cluster_below(cluster, 3) == 0 && !cluster->plan.one_burst ? "noop" : "exec";
    for (size_t i = 0; i < s->n; i++)
        s->batch[i].token = cluster->next_token++;
    assert(cluster->next_token < TOKENS_MAX);
}

static void ids_reserve(struct cluster *cluster, struct submitter *s)
{
    struct ds_step step = {
        .kind = DS_RESERVE,
        .reserve = {.lane = s->lane, .count = (int64_t)s->n, .types = &s->type, .n_types = 1},
    };
    struct ds_run run = {.steps = &step, .n_steps = 1};
    store_step(cluster, NULL, &run, 0);
    for (size_t i = 0; step.rc == 0 && i < s->n; i++)
        s->batch[i].id = step.reserve.ret_first + (int64_t)i;
    s->reserved = step.rc == 0;
    arena_release(&run.mem);
}

/* Accepted ones leave the batch; those whose id was taken need another. */
static void inserted(struct cluster *cluster, struct submitter *s, const struct ds_insert *insert)
{
    size_t left = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (insert->ret_rc[i] != 0) {
            s->batch[left++] = s->batch[i];
            continue;
        }
        cluster->acked_tokens[cluster->n_acked] = s->batch[i].token;
        cluster->acked[cluster->n_acked++] = s->batch[i].id;
        cluster->tally.acked++;
    }
    s->n = left;
    s->reserved = false;
}

static void rows_insert(struct cluster *cluster, struct submitter *s)
{
    struct job jobs[SUBMIT_BATCH];
    struct job_spec specs[SUBMIT_BATCH];
    for (size_t i = 0; i < s->n; i++) {
        specs[i] = (struct job_spec){.max_attempts = attempts_of(s->batch[i].token)};
        jobs[i] = (struct job){.id = s->batch[i].id,
                               .run = 1,
                               .type = s->type,
                               .token = s->batch[i].token,
                               .spec = &specs[i]};
    }
    struct ds_step step = {.kind = DS_INSERT, .insert = {.jobs = jobs, .n_jobs = s->n}};
    struct ds_run run = {.steps = &step, .n_steps = 1};
    store_step(cluster, NULL, &run, 0);
    if (step.rc == 0)
        inserted(cluster, s, &step.insert);
    arena_release(&run.mem);
}

static void submitter_fire(struct cluster *cluster, struct submitter *s)
{
    s->due_ms = cluster->now_ms + 1 + cluster_below(cluster, 60);
    if (s->n == 0 && s->left == 0) {
        s->due_ms = NEVER;
        return;
    }
    if (s->n == 0) {
        batch_begin(cluster, s);
        s->due_ms += cluster->plan.one_burst ? 0 : cluster_below(cluster, 1500);
        if (cluster->plan.idle && cluster_below(cluster, 3) == 0)
            s->due_ms += REST_MS;
    } else if (!s->reserved) {
        ids_reserve(cluster, s);
    } else if (cluster_chance(cluster, cluster->plan.hole_permille) && !cluster->quiet) {
        if (cluster_below(cluster, 2) == 0)
            s->n = 0, s->reserved = false; /* it dies; another one goes on */
        else
            s->due_ms += 4000;
    } else {
        rows_insert(cluster, s);
    }
}

/* ---- people ---------------------------------------------------------------- */

static void ask(struct cluster *cluster, const struct member *member, struct ds_node_ask ask)
{
    ask.node = member->identity.id;
    store_plain(cluster, &(struct ds_step){.kind = DS_NODE_ASK, .node_ask = ask});
}

static void desire(struct cluster *cluster, const struct member *member, enum node_desired desired)
{
    ask(cluster, member, (struct ds_node_ask){.set_desired = true, .desired = desired});
}

static void cancel_some(struct cluster *cluster)
{
    if (cluster->n_acked == 0)
        return;
    int64_t id = cluster->acked[cluster_below(cluster, cluster->n_acked)];
    if (store_plain(cluster, &(struct ds_step){.kind = DS_CANCEL, .cancel = {.id = id}}) != 0)
        return;
    cluster->tally.cancelled++;
    for (size_t i = 0; i < cluster->plan.nodes; i++)
        if (member_up(&cluster->members[i]))
            ask(cluster, &cluster->members[i],
                (struct ds_node_ask){.add_request = true,
                                     .request = {.kind = REQUEST_CANCEL, .id = id}});
}

void cluster_queue(struct cluster *cluster, const char *queue, bool paused)
{
    struct ds_step step = {.kind = DS_QUEUE_SET,
                           .queue_set.queue = {.paused = paused, .weight = 1}};
    snprintf(step.queue_set.queue.name, sizeof(step.queue_set.queue.name), "%s", queue);
    store_plain(cluster, &step);
}

static void queue_pause(struct cluster *cluster, bool paused)
{
    cluster_queue(cluster, "mail", paused);
}

static void gentle(struct cluster *cluster, size_t node)
{
    struct member *member = &cluster->members[node];
    switch (cluster_below(cluster, 9)) {
    case 0:
        cluster_stop(cluster, node, false);
        break;
    case 1:
        desire(cluster, member, DESIRED_STOPPED);
        break;
    case 2:
        desire(cluster, member, DESIRED_PAUSED);
        break;
    case 3:
        desire(cluster, member, DESIRED_RUN);
        break;
    case 4:
        cancel_some(cluster);
        break;
    case 5:
        queue_pause(cluster, true);
        break;
    case 6:
        queue_pause(cluster, false);
        break;
    default:
        cluster_start(cluster, node);
    }
}

static void violent(struct cluster *cluster, size_t node)
{
    switch (cluster_below(cluster, 8)) {
    case 0:
    case 1:
        cluster_crash(cluster, node);
        break;
    case 2:
        cluster_stop(cluster, node, true);
        break;
    case 3:
        cluster_outage(cluster, cluster_below(cluster, 3 * LEASE_MS));
        break;
    case 4:
        for (size_t i = 0; i < cluster->plan.nodes; i++)
            cluster_freeze(cluster, i, cluster_below(cluster, 3 * LEASE_MS));
        break;
    default:
        cluster_freeze(cluster, node, cluster_below(cluster, 8 * LEASE_MS));
    }
}

static void chaos_fire(struct cluster *cluster)
{
    cluster->chaos_ms = cluster->now_ms + 20 + cluster_below(cluster, 2000);
    if (cluster->now_ms >= cluster->plan.quiet_ms) {
        cluster->quiet = true;
        cluster->chaos_ms = NEVER;
        return;
    }
    size_t node = cluster_below(cluster, cluster->plan.nodes);
    if (cluster->plan.violence && cluster_below(cluster, 2) == 0)
        violent(cluster, node);
    else if (cluster->plan.chaos)
        gentle(cluster, node);
}

/* Once all is quiet: nothing stays paused, and one node lives. */
static void tend_fire(struct cluster *cluster)
{
    cluster->tend_ms = cluster->now_ms + TEND_MS;
    if (!cluster->quiet || cluster->stopping)
        return;
    queue_pause(cluster, false);
    bool up = false;
    for (size_t i = 0; i < cluster->plan.nodes; i++) {
        struct member *member = &cluster->members[i];
        if (!member_up(member))
            continue;
        up = true;
        desire(cluster, member, DESIRED_RUN);
    }
    if (!up)
        cluster_start(cluster, 0);
}

/* ---- the whole ---------------------------------------------------------------- */

void weather_init(struct cluster *cluster)
{
    static const struct lane_name names[] = {
        {QUEUE_DEFAULT, PRIORITY_DEFAULT, 0}, {QUEUE_DEFAULT, 2, 0}, {"mail", 5, 0}};
    cluster->n_lanes = cluster->plan.one_burst ? 1 : 1 + cluster_below(cluster, 3);
    for (size_t i = 0; i < cluster->n_lanes; i++) {
        struct ds_step step = {.kind = DS_LANE_OPEN, .lane_open.name = names[i]};
        int rc = store_plain(cluster, &step);
        assert(rc == 0);
        (void)rc;
        cluster->lanes[i] = step.lane_open.ret_lane;
    }
    for (size_t i = 0; i < SUBMITTERS_MAX; i++)
        cluster->submitters[i].due_ms = NEVER;
    for (size_t i = 0; i < cluster->plan.submitters; i++)
        cluster->submitters[i] = (struct submitter){
            .due_ms = cluster->now_ms + cluster->plan.submit_after_ms, .left = cluster->plan.jobs};
    cluster->chaos_ms = cluster->tend_ms = cluster->now_ms + 1;
}

uint64_t weather_due_ms(const struct cluster *cluster)
{
    uint64_t due = cluster->chaos_ms < cluster->tend_ms ? cluster->chaos_ms : cluster->tend_ms;
    for (size_t i = 0; i < SUBMITTERS_MAX; i++)
        due = cluster->submitters[i].due_ms < due ? cluster->submitters[i].due_ms : due;
    return due;
}

void weather_fire(struct cluster *cluster)
{
    uint64_t due = weather_due_ms(cluster);
    for (size_t i = 0; i < SUBMITTERS_MAX; i++)
        if (cluster->submitters[i].due_ms == due) {
            submitter_fire(cluster, &cluster->submitters[i]);
            return;
        }
    if (cluster->tend_ms == due)
        tend_fire(cluster);
    else
        chaos_fire(cluster);
}

static bool all_submitted(const struct cluster *cluster)
{
    for (size_t i = 0; i < SUBMITTERS_MAX; i++)
        if (cluster->submitters[i].due_ms != NEVER)
            return false;
    return true;
}

static bool all_stopped(const struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan.nodes; i++)
        if (cluster->members[i].core != NULL)
            return false;
    return true;
}

static void accepted_check(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->n_acked; i++) {
        const struct ledger_row *row = ledger_check_row(cluster->check, cluster->acked[i]);
        if (row == NULL || !row->there || row->token != cluster->acked_tokens[i])
            ledger_check_break(cluster->check, "I9: accepted job %" PRId64 " is not there",
                               id_seq(cluster->acked[i]));
        else if (!job_state_finished(row->state))
            ledger_check_break(cluster->check, "I3: accepted job %" PRId64 " has no outcome",
                               id_seq(cluster->acked[i]));
    }
}

bool cluster_finish(struct cluster *cluster)
{
    cluster->quiet = true;
    cluster->chaos_ms = NEVER;
    uint64_t until_ms = cluster->now_ms + PATIENCE_MS;
    while (
        !(all_submitted(cluster) && cluster->n_late == 0 && ledger_check_drained(cluster->check))) {
        if (cluster->now_ms > until_ms) {
            accepted_check(cluster);
            ledger_check_break(cluster->check, "I3: something is left to do for ever");
        }
        if (!cluster_step(cluster))
            return false;
    }
    accepted_check(cluster);
    cluster->stopping = true;
    for (size_t i = 0; i < cluster->plan.nodes; i++) {
        cluster->members[i].restart_ms = NEVER;
        cluster_stop(cluster, i, false);
    }
    while (!all_stopped(cluster)) {
        if (cluster->now_ms > until_ms)
            ledger_check_break(cluster->check, "a node does not come to its end");
        if (!cluster_step(cluster))
            return false;
    }
    ledger_check_all(cluster->check);
    return cluster_broken(cluster)[0] == '\0';
}
