/* The order of events, and how a cluster comes about.
 *
 * Time stands still within an event and jumps from one to the next; of several due at once the one
 * that stands first in the tables goes first, so a plan gives one history. One thread. */
#include "tests/sim/cluster.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/memory.h"
#include "datastore/random.h"
#include "tests/sim/cluster_internal.h"

/* ---- chance -------------------------------------------------------------------------------- */

uint64_t cluster_below(struct cluster *cluster, uint64_t n)
{
    return random_below(&cluster->rng, n);
}

bool cluster_chance(struct cluster *cluster, uint64_t permille)
{
    return permille > 0 && cluster_below(cluster, 1000) < permille;
}

bool cluster_happens(struct cluster *cluster)
{
    uint64_t number = cluster->troubles++;
    if (cluster->only == NULL)
        return true;
    for (size_t i = 0; i < cluster->n_only && cluster->only[i] <= number; i++)
        if (cluster->only[i] == number)
            return true;
    return false;
}

bool cluster_trouble(struct cluster *cluster, uint64_t permille)
{
    return !cluster->quiet && cluster_chance(cluster, permille) && cluster_happens(cluster);
}

/* Mostly a few ms; now and then much, even so much that leases run out. */
uint64_t cluster_delay_ms(struct cluster *cluster)
{
    const struct cluster_plan *plan = &cluster->plan;
    uint64_t ms = 1 + cluster_below(cluster, 12);
    if (cluster_trouble(cluster, plan->stalls)) {
        cluster->tally.stalls++;
        ms = 200 + cluster_below(cluster, plan->stall_ms + 1);
    }
    return cluster->now_ms < cluster->slow_until_ms ? ms * 50 : ms;
}

int64_t store_utc_ms(void *ctx)
{
    const struct cluster *cluster = ctx;
    return (int64_t)cluster->now_ms + EPOCH_MS + cluster->store_utc_ms;
}

void cluster_note(struct cluster *cluster, const struct member *who, const char *format, ...)
{
    if (cluster->trace == NULL)
        return;
    fprintf(cluster->trace, "%8" PRIu64 " %-6s ", cluster->now_ms,
            who != NULL ? who->identity.name : "");
    va_list args;
    va_start(args, format);
    vfprintf(cluster->trace, format, args);
    va_end(args);
    fputc('\n', cluster->trace);
}

/* ---- events ---------------------------------------------------------------- */

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
        member_tick(member);
        break;
    case EVENT_WAKE:
        member->wake_ms = NEVER;
        core_woken(member->core);
        member_tick(member);
        break;
    case EVENT_TICK:
        member_tick(member);
        break;
    case EVENT_THAW:
        member->thaw_ms = NEVER;
        member_tick(member);
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
    uint64_t people = people_due_ms(cluster), late = late_due_ms(cluster);
    uint64_t first = next.due_ms < people ? next.due_ms : people;
    first = late < first ? late : first;
    if (first == NEVER)
        return false;
    cluster->now_ms = first > cluster->now_ms ? first : cluster->now_ms;
    cluster->tally.simulated_ms = cluster->now_ms;
    cluster->tally.events++;
    if (first == late)
        late_fire(cluster);
    else if (first == people)
        people_fire(cluster);
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

/* ---- making and freeing -------------------------------------------------------------------- */

static void *zeroed(size_t n, size_t size)
{
    void *memory = calloc(n, size);
    assert(memory != NULL);
    return memory;
}

struct cluster *cluster_new(const struct cluster_plan *plan, FILE *trace)
{
    assert(plan->nodes > 0 && plan->slots <= PLAN_SLOTS_MAX && plan->hosts > 0);
    struct cluster *cluster = zeroed(1, sizeof(*cluster));
    cluster->plan = *plan;
    cluster->rng = plan->seed;
    cluster->trace = trace;
    cluster->next_node = cluster->next_token = 1;
    cluster->now_ms = 1000;
    cluster->members = zeroed(plan->nodes, sizeof(*cluster->members));
    cluster->submitters = zeroed(plan->submitters + 1, sizeof(*cluster->submitters));
    cluster->tokens_max = (int64_t)(plan->submitters * plan->jobs) + 1;
    cluster->witnesses = zeroed((size_t)cluster->tokens_max, sizeof(*cluster->witnesses));
    cluster->store = memory_store_new(store_utc_ms, cluster);
    cluster->ds = memory_open(cluster->store);
    cluster->check = ledger_check_new(cluster->ds, &cluster->now_ms);
    ledger_check_tell(cluster->check, truth_changed, cluster);
    for (size_t i = 0; i < plan->nodes; i++)
        member_init(cluster, &cluster->members[i]);
    people_init(cluster);
    return cluster;
}

void cluster_free(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan.nodes; i++)
        member_release(&cluster->members[i]);
    late_release(cluster);
    ledger_check_free(cluster->check);
    datastore_close(cluster->ds);
    memory_store_free(cluster->store);
    free(cluster->members);
    free(cluster->submitters);
    free(cluster->witnesses);
    free(cluster->unwell);
    free(cluster);
}

void cluster_torture(struct cluster *cluster, const struct cluster_torture *torture)
{
    cluster->torture = *torture;
}

void cluster_only(struct cluster *cluster, const uint64_t *numbers, size_t n)
{
    cluster->only = numbers;
    cluster->n_only = n;
}

uint64_t cluster_troubles(const struct cluster *cluster)
{
    return cluster->troubles;
}

uint64_t cluster_now_ms(const struct cluster *cluster)
{
    return cluster->now_ms;
}

const char *cluster_broken(const struct cluster *cluster)
{
    return ledger_check_broken(cluster->check);
}

const struct cluster_tally *cluster_tally(const struct cluster *cluster)
{
    return &cluster->tally;
}

void tally_add(struct cluster_tally *total, const struct cluster_tally *tally)
{
    const uint64_t *from = (const uint64_t *)tally;
    uint64_t *to = (uint64_t *)total;
    for (size_t i = 0; i < sizeof(*total) / sizeof(*to); i++)
        to[i] += from[i];
}

bool cluster_run(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->plan.nodes; i++)
        cluster_start(cluster, i);
    return cluster_until(cluster, cluster->plan.quiet_ms) && cluster_finish(cluster);
}
