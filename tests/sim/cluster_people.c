/* What goes on around the nodes: submitters, people, trouble; and the end, when all must come
 * right.
 *
 * A submitter reserves and inserts in two steps, and may die or sleep in between: a hole. What it
 * was told is there counts as accepted, and must come to an outcome (I3, I9); so must the job of
 * another that it was told of because that one has the key. It goes about a refused key as
 * cli/submit_send.c does. One thread. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "datastore/random.h"
#include "tests/sim/cluster_internal.h"

enum { NAP_MS = 4000, LONG_SLEEP_MS = 40000 }; /* before and after nodes give up on an id */
enum { PATIENCE_MS = 1800 * 1000, TEND_MS = 500, REST_MS = 64000, HOUR_MS = 3600 * 1000 };

/* ---- jobs ---------------------------------------------------------------- */

int32_t attempts_of(int64_t token)
{
    return (int32_t)(token % 3) + 1;
}

struct fate fate_of(const struct cluster *cluster, const struct job *job)
{
    const struct cluster_plan *plan = &cluster->plan;
    uint64_t rng = plan->seed * 31 + (uint64_t)job->token;
    struct fate fate = {.ms = 1 + random_below(&rng, plan->job_ms_max)};
    fate.fails = random_below(&rng, 1000) < plan->fails ? (int32_t)random_below(&rng, 4) : 0;
    fate.never = random_below(&rng, 1000) < plan->never_jobs;
    fate.killer = random_below(&rng, 1000) < plan->killers;
    fate.slow = random_below(&rng, 1000) < plan->long_jobs;
    if (fate.slow)
        fate.ms = 10000 + random_below(&rng, 50000);
    return fate;
}

int key_of(const struct cluster *cluster, int64_t token)
{
    uint64_t rng = cluster->plan.seed * 131 + (uint64_t)token;
    return random_below(&rng, 1000) < cluster->plan.keys ? (int)random_below(&rng, UNIQUE_KEYS)
                                                         : -1;
}

/* ---- submitters ---------------------------------------------------------------- */

/* A job with a key is a batch of its own. */
static size_t keyed_apart(const struct cluster *cluster, size_t n)
{
    size_t i = 1;
    while (i < n && key_of(cluster, cluster->next_token) < 0 &&
           key_of(cluster, cluster->next_token + (int64_t)i) < 0)
        i++;
    return i;
}

static void batch_begin(struct cluster *cluster, struct submitter *s)
{
    s->n = 1 + cluster_below(cluster, SUBMIT_BATCH);
    s->n = keyed_apart(cluster, s->n < s->left ? s->n : s->left);
    s->left -= s->n;
    s->lane = cluster->lanes[cluster_below(cluster, cluster->n_lanes)];
    s->type = cluster_below(cluster, 3) == 0 && !cluster->plan.one_burst ? "noop" : "exec";
    for (size_t i = 0; i < s->n; i++)
        s->batch[i].token = cluster->next_token++;
    assert(cluster->next_token <= cluster->tokens_max);
    for (size_t i = 0; i < s->n; i++)
        cluster->witnesses[s->batch[i].token].noop = strcmp(s->type, "noop") == 0;
}

static void ids_reserve(struct cluster *cluster, struct submitter *s)
{
    struct ds_step step = {
        .kind = DS_RESERVE,
        .reserve = {.lane = s->lane, .count = (int64_t)s->n, .types = &s->type, .n_types = 1},
    };
    struct ds_run run = {.steps = &step, .n_steps = 1};
    uint64_t wait_ms;
    store_step(cluster, NULL, &run, 0, &wait_ms);
    for (size_t i = 0; step.rc == 0 && i < s->n; i++)
        s->batch[i].id = step.reserve.ret_first + (int64_t)i;
    s->reserved = step.rc == 0;
    arena_release(&run.mem);
}

/* Accepted ones leave the batch; those whose id was taken need another. */
static void inserted(struct cluster *cluster, struct submitter *s, const struct ds_insert *insert)
{
    size_t left = 0;
    s->refused = insert->ret_rc[0] != 0 && key_of(cluster, s->batch[0].token) >= 0;
    if (s->refused)
        return;
    for (size_t i = 0; i < s->n; i++) {
        if (insert->ret_rc[i] != 0) {
            s->batch[left++] = s->batch[i];
            continue;
        }
        cluster->witnesses[s->batch[i].token].acked_id = s->batch[i].id;
        cluster->tally.acked++;
    }
    s->n = left;
    s->reserved = false;
}

static const char *const unique_keys[UNIQUE_KEYS] = {"one", "two", "three"};

static void rows_insert(struct cluster *cluster, struct submitter *s)
{
    struct job jobs[SUBMIT_BATCH];
    struct job_spec specs[SUBMIT_BATCH];
    for (size_t i = 0; i < s->n; i++) {
        int key = key_of(cluster, s->batch[i].token);
        specs[i] = (struct job_spec){.max_attempts = attempts_of(s->batch[i].token),
                                     .key = key >= 0 ? unique_keys[key] : NULL};
        jobs[i] = (struct job){.id = s->batch[i].id,
                               .run = 1,
                               .type = s->type,
                               .token = s->batch[i].token,
                               .spec = &specs[i]};
    }
    struct ds_step step = {.kind = DS_INSERT, .insert = {.jobs = jobs, .n_jobs = s->n}};
    struct ds_run run = {.steps = &step, .n_steps = 1};
    uint64_t wait_ms;
    store_step(cluster, NULL, &run, 0, &wait_ms);
    if (step.rc == 0)
        inserted(cluster, s, &step.insert);
    arena_release(&run.mem);
}

static void batch_drop(struct submitter *s)
{
    s->reserved = s->refused = s->asked = false;
}

static void owner_ask(struct cluster *cluster, struct submitter *s)
{
    struct ds_step step = {
        .kind = DS_JOBS_READ,
        .jobs_read = {.key = unique_keys[key_of(cluster, s->batch[0].token)], .rows_max = 1}};
    struct ds_run run = {.steps = &step, .n_steps = 1};
    uint64_t wait_ms;
    store_step(cluster, NULL, &run, 0, &wait_ms);
    s->asked = step.rc == 0;
    if (s->asked)
        s->owner = step.jobs_read.ret_n > 0 ? step.jobs_read.ret_jobs[0].id : 0;
    arena_release(&run.mem);
}

/* Its own id becomes void; where that cannot be, or nobody has the key any more, it sends again. */
static void owner_tell(struct cluster *cluster, struct submitter *s)
{
    int64_t token = s->batch[0].token;
    struct job none = {.id = s->batch[0].id,
                       .state = JOB_VOID,
                       .run = 1,
                       .type = "void",
                       .token = s->owner != 0 ? -token : 0};
    struct ds_step step = {.kind = DS_INSERT, .insert = {.jobs = &none, .n_jobs = 1}};
    struct ds_run run = {.steps = &step, .n_steps = 1};
    uint64_t wait_ms;
    store_step(cluster, NULL, &run, 0, &wait_ms);
    if (step.rc == 0) {
        if (s->owner != 0 && step.insert.ret_rc[0] == 0) {
            cluster->witnesses[token].told_id = s->owner;
            cluster->tally.told++;
            s->n = 0;
        }
        batch_drop(s);
    }
    arena_release(&run.mem);
}

/* Before any step of a batch that has ids: it dies and another one goes on, or it sleeps. */
static void submitter_trouble(struct cluster *cluster, struct submitter *s)
{
    cluster->tally.holes++;
    if (cluster_below(cluster, 2) == 0) {
        s->n = 0;
        batch_drop(s);
    } else {
        bool long_one = cluster->plan.keys > 0 && cluster_below(cluster, 2) == 0;
        s->due_ms += long_one ? LONG_SLEEP_MS : NAP_MS;
    }
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
    } else if (cluster_trouble(cluster, cluster->plan.holes)) {
        submitter_trouble(cluster, s);
    } else if (s->refused && !s->asked) {
        owner_ask(cluster, s);
    } else if (s->refused) {
        owner_tell(cluster, s);
    } else {
        rows_insert(cluster, s);
    }
}

/* ---- people ---------------------------------------------------------------- */

static int ask(struct cluster *cluster, const struct member *member, struct ds_node_ask ask)
{
    ask.node = member->identity.id;
    return store_plain(cluster, &(struct ds_step){.kind = DS_NODE_ASK, .node_ask = ask});
}

static void desire(struct cluster *cluster, const struct member *member, enum node_desired desired)
{
    ask(cluster, member, (struct ds_node_ask){.set_desired = true, .desired = desired});
}

/* The token of some accepted job, mostly of one that has no outcome yet; 0: there is none. */
static int64_t cancelled_pick(struct cluster *cluster)
{
    int64_t n = cluster->tokens_max - 1;
    int64_t from = (int64_t)cluster_below(cluster, (uint64_t)n + 1);
    for (int64_t i = 0; i < n; i++) {
        int64_t token = 1 + (from + i) % n;
        int64_t id = cluster->witnesses[token].acked_id;
        bool any = i == 0 && token % 3 == 0;
        if (id != 0 && (any || !job_state_finished(ledger_check_row(cluster->check, id)->state)))
            return token;
    }
    return 0;
}

static void cancel_some(struct cluster *cluster)
{
    int64_t token = cancelled_pick(cluster);
    if (token == 0)
        return;
    struct witness *witness = &cluster->witnesses[token];
    int64_t id = witness->acked_id;
    witness->cancelled = true;
    if (store_plain(cluster, &(struct ds_step){.kind = DS_CANCEL, .cancel = {.id = id}}) != 0)
        return;
    cluster->tally.cancelled++;
    for (size_t i = 0; i < cluster->plan.nodes; i++)
        if (member_up(&cluster->members[i]) &&
            ask(cluster, &cluster->members[i],
                (struct ds_node_ask){.add_request = true,
                                     .request = {.kind = REQUEST_CANCEL, .id = id}}) == ERR_BUSY)
            witness->unasked = true;
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

void cluster_outage(struct cluster *cluster, uint64_t ms)
{
    cluster_note(cluster, NULL, "the store cannot be reached for %" PRIu64 " ms", ms);
    cluster->outage_until_ms = cluster->now_ms + ms;
}

static void chaos_nodes(struct cluster *cluster, enum chaos chaos, size_t node)
{
    struct member *member = &cluster->members[node];
    if (chaos == CHAOS_START)
        cluster_start(cluster, node);
    else if (chaos == CHAOS_STOP || chaos == CHAOS_STOP_AT_ONCE)
        cluster_stop(cluster, node, chaos == CHAOS_STOP_AT_ONCE);
    else if (chaos == CHAOS_STOP_ASKED)
        desire(cluster, member, DESIRED_STOPPED);
    else if (chaos == CHAOS_PAUSE)
        desire(cluster, member, DESIRED_PAUSED);
    else if (chaos == CHAOS_RESUME)
        desire(cluster, member, DESIRED_RUN);
    else if (chaos == CHAOS_CRASH)
        cluster_crash(cluster, node);
    else if (chaos == CHAOS_FREEZE)
        cluster_freeze(cluster, node, cluster_below(cluster, 8 * LEASE_MS));
    else if (chaos == CHAOS_CLOCK)
        member->utc_ms = (int64_t)cluster_below(cluster, 4 * HOUR_MS) - 2 * HOUR_MS;
}

/* The store moved to another machine, say, or somebody set its clock. */
static void store_clock_jump(struct cluster *cluster)
{
    if (cluster_below(cluster, 4) == 0)
        cluster->store_utc_ms += 26 * HOUR_MS; /* what is old is cleaned away */
    else
        cluster->store_utc_ms += (int64_t)cluster_below(cluster, HOUR_MS) - HOUR_MS / 2;
}

static void chaos_make(struct cluster *cluster, enum chaos chaos)
{
    size_t node = cluster_below(cluster, cluster->plan.nodes);
    uint64_t ms = cluster_below(cluster, 3 * LEASE_MS);
    cluster_note(cluster, &cluster->members[node], "chaos: %s", chaos_name(chaos));
    switch (chaos) {
    case CHAOS_CANCEL:
        cancel_some(cluster);
        break;
    case CHAOS_QUEUE_PAUSE:
    case CHAOS_QUEUE_RESUME:
        queue_pause(cluster, chaos == CHAOS_QUEUE_PAUSE);
        break;
    case CHAOS_FREEZE_ALL:
        for (size_t i = 0; i < cluster->plan.nodes; i++)
            cluster_freeze(cluster, i, cluster_below(cluster, 3 * LEASE_MS));
        break;
    case CHAOS_OUTAGE:
        cluster_outage(cluster, ms);
        break;
    case CHAOS_SLOW:
        cluster->slow_until_ms = cluster->now_ms + ms;
        break;
    case CHAOS_STORE_CLOCK:
        store_clock_jump(cluster);
        break;
    default:
        chaos_nodes(cluster, chaos, node);
    }
}

static void chaos_fire(struct cluster *cluster)
{
    uint64_t sum = 0;
    for (int i = 0; i < CHAOS_KINDS; i++)
        sum += cluster->plan.chaos[i];
    cluster->chaos_ms = NEVER;
    if (cluster->quiet || sum == 0)
        return;
    cluster->chaos_ms = cluster->now_ms + 20 + cluster_below(cluster, cluster->plan.chaos_ms);
    uint64_t roll = cluster_below(cluster, sum);
    enum chaos chaos = CHAOS_START;
    for (; roll >= cluster->plan.chaos[chaos]; chaos++)
        roll -= cluster->plan.chaos[chaos];
    if (!cluster_happens(cluster))
        return;
    cluster->tally.chaos[chaos]++;
    chaos_make(cluster, chaos);
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

void people_init(struct cluster *cluster)
{
    static const struct lane_name names[] = {
        {QUEUE_DEFAULT, PRIORITY_DEFAULT, 0}, {QUEUE_DEFAULT, 2, 0}, {"mail", 5, 0}};
    cluster->n_lanes = cluster->plan.lanes;
    for (size_t i = 0; i < cluster->n_lanes; i++) {
        struct ds_step step = {.kind = DS_LANE_OPEN, .lane_open.name = names[i]};
        int rc = store_plain(cluster, &step);
        assert(rc == 0);
        (void)rc;
        cluster->lanes[i] = step.lane_open.ret_lane;
    }
    for (size_t i = 0; i < cluster->plan.submitters; i++)
        cluster->submitters[i] = (struct submitter){
            .due_ms = cluster->now_ms + cluster->plan.submit_after_ms, .left = cluster->plan.jobs};
    cluster->tend_ms = cluster->now_ms + 1;
    cluster->chaos_ms = cluster->plan.chaos_ms > 0 ? cluster->tend_ms : NEVER;
}

uint64_t people_due_ms(const struct cluster *cluster)
{
    uint64_t due = cluster->chaos_ms < cluster->tend_ms ? cluster->chaos_ms : cluster->tend_ms;
    for (size_t i = 0; i < cluster->plan.submitters; i++)
        due = cluster->submitters[i].due_ms < due ? cluster->submitters[i].due_ms : due;
    return due;
}

void people_fire(struct cluster *cluster)
{
    uint64_t due = people_due_ms(cluster);
    for (size_t i = 0; i < cluster->plan.submitters; i++)
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
    for (size_t i = 0; i < cluster->plan.submitters; i++)
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
    for (int64_t token = 1; token < cluster->tokens_max; token++) {
        int64_t id = cluster->witnesses[token].acked_id;
        const struct ledger_row *row = id != 0 ? ledger_check_row(cluster->check, id) : NULL;
        if (id == 0)
            continue;
        if (row == NULL || !row->there || row->token != token)
            ledger_check_break(cluster->check, "I9: accepted job %" PRId64 " is not there",
                               id_seq(id));
        else if (!job_state_finished(row->state))
            ledger_check_break(cluster->check, "I3: accepted job %" PRId64 " has no outcome",
                               id_seq(id));
    }
}

/* Who was told the job that has its key can count on that one like on its own. */
static void told_check(struct cluster *cluster)
{
    for (int64_t token = 1; token < cluster->tokens_max; token++) {
        int64_t id = cluster->witnesses[token].told_id;
        const struct ledger_row *row = id != 0 ? ledger_check_row(cluster->check, id) : NULL;
        if (id == 0)
            continue;
        if (row == NULL || !row->there || row->state == JOB_VOID ||
            key_of(cluster, row->token) != key_of(cluster, token))
            ledger_check_break(cluster->check, "I9: job %" PRId64 ", told for its key, is none",
                               id_seq(id));
        else if (!job_state_finished(row->state))
            ledger_check_break(cluster->check,
                               "I3: job %" PRId64 ", told for its key, has no outcome", id_seq(id));
    }
}

static bool pool_holds(const struct ds_lanes_read *lanes, int64_t id)
{
    for (size_t i = 0; i < lanes->ret_n; i++)
        for (size_t k = 0; k < lanes->ret_lanes[i].n_pool; k++)
            if (range_holds(lanes->ret_lanes[i].pool[k], id))
                return true;
    return false;
}

/* What has ended is counted in `stints` at least once, or will be by who takes it from the pool. */
static void stints_check(struct cluster *cluster, const struct ds_lanes_read *lanes,
                         const struct ds_stints_read *stints)
{
    int64_t rows[JOB_STATES] = {0}, counted[JOB_STATES] = {0};
    for (int64_t token = 1; token < cluster->tokens_max; token++) {
        int64_t id = cluster->witnesses[token].acked_id;
        if (id != 0 && !pool_holds(lanes, id))
            rows[ledger_check_row(cluster->check, id)->state]++;
    }
    for (size_t i = 0; i < stints->ret_n; i++) {
        counted[JOB_DONE] += stints->ret_rows[i].done;
        counted[JOB_FAILED] += stints->ret_rows[i].failed;
        counted[JOB_CANCELLED] += stints->ret_rows[i].cancelled;
    }
    for (enum job_state state = 0; state < JOB_STATES; state++)
        if (job_state_finished(state) && counted[state] < rows[state])
            ledger_check_break(cluster->check, "stints count %" PRId64 " jobs %s of %" PRId64,
                               counted[state], job_state_name(state), rows[state]);
}

/* Who stopped well has left nothing: no live record, no entry in a lane. */
static void left_check(struct cluster *cluster)
{
    struct ds_step steps[] = {
        {.kind = DS_LANES_READ, .lanes_read = {.lane = -1}},
        {.kind = DS_NODES_READ},
        {.kind = DS_STINTS_READ, .stints_read = {.lane = -1, .totals_only = true, .rows_max = 100}},
    };
    struct ds_run run = {.steps = steps, .n_steps = 3};
    size_t entries = 0;
    int rc = datastore_run(cluster->ds, &run);
    assert(rc == 0);
    (void)rc;
    for (size_t i = 0; i < steps[0].lanes_read.ret_n; i++)
        for (size_t k = 0; k < steps[0].lanes_read.ret_lanes[i].n_entries; k++, entries++)
            if (!unwell(cluster, steps[0].lanes_read.ret_lanes[i].entries[k].node))
                ledger_check_break(cluster->check,
                                   "lane %zu has the entry of a node that has "
                                   "stopped well",
                                   i);
    for (size_t i = 0; i < steps[1].nodes_read.ret_n; i++)
        if (steps[1].nodes_read.ret_nodes[i].state != NODE_DEAD &&
            steps[1].nodes_read.ret_nodes[i].beat > 1 && /* else it came late, its node was gone */
            !unwell(cluster, steps[1].nodes_read.ret_nodes[i].id))
            ledger_check_break(cluster->check, "%s has stopped well, and is not dead",
                               steps[1].nodes_read.ret_nodes[i].name);
    if (entries == 0) /* else somebody is to be buried yet, and counts what it held */
        stints_check(cluster, &steps[0].lanes_read, &steps[2].stints_read);
    arena_release(&run.mem);
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
            told_check(cluster);
            ledger_check_break(cluster->check, "I3: something is left to do for ever");
        }
        if (!cluster_step(cluster))
            return false;
    }
    accepted_check(cluster);
    told_check(cluster);
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
    left_check(cluster);
    return cluster_broken(cluster)[0] == '\0';
}
