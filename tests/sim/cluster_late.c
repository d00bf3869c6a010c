/* Steps that reach the store after their caller had given them up, or a second time.
 *
 * A late step is copied whole, with the step before it where that one fills something in: its
 * caller's memory may be gone when it arrives. One thread. */
#include <assert.h>
#include <string.h>

#include "datastore/steps.h"
#include "tests/sim/cluster_internal.h"

static void outcomes_copy(struct ds_finish *finish, struct arena *mem)
{
    finish->outcomes = arena_copy(mem, finish->outcomes, finish->n * sizeof(*finish->outcomes));
    for (size_t i = 0; i < finish->n; i++) {
        struct job carrier = {.ending = finish->outcomes[i].ending};
        if (carrier.ending != NULL)
            finish->outcomes[i].ending = job_copy(&carrier, mem).ending;
    }
}

static void jobs_copy(struct ds_insert *insert, struct arena *mem)
{
    struct job *jobs = arena_alloc(mem, insert->n_jobs * sizeof(*jobs));
    for (size_t i = 0; i < insert->n_jobs; i++)
        jobs[i] = job_copy(&insert->jobs[i], mem);
    insert->jobs = jobs;
}

static void history_copy(struct ds_history_add *add, struct arena *mem)
{
    struct history_row *rows = arena_copy(mem, add->rows, add->n * sizeof(*rows));
    for (size_t i = 0; i < add->n; i++)
        rows[i].body = arena_bytes(mem, rows[i].body);
    add->rows = rows;
}

static const struct node *node_keep(const struct node *node, struct arena *mem)
{
    struct node kept = node_copy(node, mem);
    return arena_copy(mem, &kept, sizeof(kept));
}

/* Makes what the step points to the arena's own. */
static void step_keep(struct ds_step *step, struct arena *mem)
{
    switch (step->kind) {
    case DS_INSERT:
        jobs_copy(&step->insert, mem);
        break;
    case DS_RETURN:
        step->give_back.ranges = arena_copy(mem, step->give_back.ranges,
                                            step->give_back.n_ranges * sizeof(struct range));
        break;
    case DS_LANE_BURY:
        step->lane_bury.estate = arena_copy(mem, step->lane_bury.estate,
                                            step->lane_bury.n_estate * sizeof(struct range));
        break;
    case DS_NODE_ADD:
        step->node_add.node = node_keep(step->node_add.node, mem);
        break;
    case DS_NODE_WRITE:
        step->node_write.node = node_keep(step->node_write.node, mem);
        break;
    case DS_NODE_KILL:
        step->node_kill.cause = arena_string(mem, step->node_kill.cause);
        break;
    case DS_FINISH:
        outcomes_copy(&step->finish, mem);
        break;
    case DS_STINTS_ADD:
        step->stints_add.rows =
            arena_copy(mem, step->stints_add.rows, step->stints_add.n * sizeof(struct stint_row));
        break;
    case DS_HISTORY_ADD:
        history_copy(&step->history_add, mem);
        break;
    default:
        break; /* plain values, or names that are constants here */
    }
}

/* A copy of step i of that run, to be carried out on its own. */
static struct late late_make(const struct ds_run *run, size_t i)
{
    struct late late = {0};
    if (i > 0)
        late.steps[late.n_steps++] = run->steps[i - 1];
    late.steps[late.n_steps++] = run->steps[i];
    for (size_t k = 0; k < late.n_steps; k++)
        step_keep(&late.steps[k], &late.run.mem);
    return late;
}

static void late_apply(struct cluster *cluster, struct late *late, const char *who)
{
    late->run.steps = late->steps;
    late->run.n_steps = late->n_steps;
    store_apply(cluster, &late->run, late->n_steps - 1);
    store_tell(cluster, who, "", &late->steps[late->n_steps - 1]);
    arena_release(&late->run.mem);
}

void late_add(struct cluster *cluster, const struct member *member, const struct ds_run *run,
              size_t i)
{
    if (cluster->n_late == LATE_MAX || !ds_kind_writes(run->steps[i].kind))
        return;
    struct late *late = &cluster->late[cluster->n_late++];
    *late = late_make(run, i);
    uint64_t max_ms = cluster_below(cluster, 2) == 0 ? 60 : 9000;
    late->due_ms = cluster->now_ms + 1 + cluster_below(cluster, max_ms);
    if (member != NULL) {
        late->node = member->identity.id;
        late->ambush = (enum ambush)cluster_below(cluster, AMBUSHES);
    }
    if (late->ambush != AMBUSH_NONE)
        late->due_ms += 20000;
}

void apply_twice(struct cluster *cluster, struct ds_run *run, size_t i)
{
    struct late twin = late_make(run, i);
    store_apply(cluster, run, i);
    late_apply(cluster, &twin, "again");
}

uint64_t late_due_ms(const struct cluster *cluster)
{
    uint64_t due = NEVER;
    for (size_t i = 0; i < cluster->n_late; i++)
        if (cluster->late[i].due_ms < due)
            due = cluster->late[i].due_ms;
    return due;
}

void late_fire(struct cluster *cluster)
{
    size_t i = 0;
    while (cluster->late[i].due_ms > cluster->now_ms)
        i++;
    struct late late = cluster->late[i];
    cluster->late[i] = cluster->late[--cluster->n_late];
    late_apply(cluster, &late, "late");
}

void late_release(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->n_late; i++)
        arena_release(&cluster->late[i].run.mem);
    cluster->n_late = 0;
}

void late_spring(struct cluster *cluster, const struct ds_step *step)
{
    for (size_t i = 0; i < cluster->n_late; i++) {
        struct late *late = &cluster->late[i];
        bool read = late->ambush == AMBUSH_READ && step->kind == DS_LANES_READ;
        bool buried = late->ambush == AMBUSH_BURY && step->kind == DS_LANE_BURY &&
                      step->lane_bury.expect.node == late->node;
        if (read || buried) {
            late->ambush = AMBUSH_NONE;
            late->due_ms = cluster->now_ms + 1 + cluster_below(cluster, 8);
        }
    }
}
