/* What the store says of jobs, held against what the jobs saw: each change of a row must have been
 * caused by an execution that went that way, or by somebody who cancelled.
 *
 * From the records and the executions alone: whatever a node believes, a wrong belief shows here as
 * soon as it is written. The invariants of the ledger would not mind a store full of outcomes that
 * never were. One thread. */
#include <assert.h>
#include <inttypes.h>

#include "tests/sim/cluster_internal.h"

enum { RUNS_MAX = 32 }; /* bits of a mask; I4 keeps runs far below */

static struct witness *witness_of(struct cluster *cluster, int64_t token)
{
    return token > 0 && token < cluster->tokens_max ? &cluster->witnesses[token] : NULL;
}

/* ---- what jobs saw ------------------------------------------------------------------------- */

void truth_started(struct cluster *cluster, const struct job *job)
{
    struct witness *witness = witness_of(cluster, job->token);
    assert(witness != NULL && job->run < RUNS_MAX);
    witness->started |= UINT32_C(1) << job->run;
}

void truth_ended(struct cluster *cluster, const struct member *member, const struct executing *job)
{
    struct witness *witness = witness_of(cluster, job->token);
    if (!job->ok && job->asked)
        return; /* its node ended it: that is no failure */
    if (witness->n_ends == WITNESS_ENDS)
        ledger_check_break(cluster->check, "job %" PRId64 " came to its end %d times",
                           id_seq(job->id), WITNESS_ENDS);
    else
        witness->ends[witness->n_ends++] =
            (struct job_seen_end){.node = member->identity.id, .run = job->run, .ok = job->ok};
}

static bool ended(const struct witness *witness, int64_t node, int32_t run, bool ok)
{
    for (size_t i = 0; i < witness->n_ends; i++)
        if (witness->ends[i].run == run && witness->ends[i].ok == ok &&
            (node == 0 || witness->ends[i].node == node))
            return true;
    return false;
}

/* ---- what rows say ------------------------------------------------------------------------- */

/* A job that was named may have started: who buried its node cannot tell. */
static bool may_be_interrupted(const struct witness *witness, const struct ledger_row *before)
{
    return ((witness->started | before->named) >> before->run & 1) != 0;
}

static const char *queued_again(const struct witness *witness, const struct ledger_row *before,
                                const struct ledger_row *after)
{
    if (after->run != before->run + 1 || after->interruptions > before->interruptions + 1)
        return "skipped a run";
    if (after->interruptions > before->interruptions)
        return may_be_interrupted(witness, before) ? NULL : "was interrupted, but never started";
    return ended(witness, 0, before->run, false) ? NULL : "is to run again, but did not fail";
}

static const char *failed(const struct cluster *cluster, const struct witness *witness,
                          const struct ledger_row *before, const struct ledger_row *after)
{
    if (fate_of(cluster, &(struct job){.token = after->token}).never)
        return NULL;
    bool last = before->run - before->interruptions == attempts_of(after->token);
    if (last && ended(witness, after->node, before->run, false))
        return NULL;
    bool often = before->interruptions == MAX_INTERRUPTIONS_DEFAULT;
    if (often && may_be_interrupted(witness, before))
        return NULL;
    return "failed, though it may yet come right";
}

static const char *wrong(const struct cluster *cluster, const struct witness *witness,
                         const struct ledger_row *before, const struct ledger_row *after)
{
    switch (after->state) {
    case JOB_QUEUED:
        return queued_again(witness, before, after);
    case JOB_DONE:
        return witness->noop || ended(witness, after->node, before->run, true)
                   ? NULL
                   : "is done, but its node has not done it";
    case JOB_FAILED:
        return failed(cluster, witness, before, after);
    case JOB_CANCELLED:
        return witness->cancelled ? NULL : "is cancelled, but nobody cancelled it";
    default:
        return "came to a state that no job has here";
    }
}

/* A row that is new has its key to itself among the unfinished. */
static void key_check(struct cluster *cluster, int64_t id, const struct ledger_row *row)
{
    int key = row->state != JOB_VOID ? key_of(cluster, row->token) : -1;
    if (key < 0)
        return;
    int64_t last = cluster->key_ids[key];
    if (last != 0 && !job_state_finished(ledger_check_row(cluster->check, last)->state))
        ledger_check_break(cluster->check, "I2: jobs %" PRId64 " and %" PRId64 " have one key",
                           id_seq(last), id_seq(id));
    cluster->key_ids[key] = id;
}

void truth_changed(void *ctx, int64_t id, const struct ledger_row *before,
                   const struct ledger_row *after)
{
    struct cluster *cluster = ctx;
    const struct witness *witness = witness_of(cluster, after->token);
    if (!before->there) {
        if (after->state != JOB_VOID &&
            (after->state != JOB_QUEUED || after->run != 1 || witness == NULL))
            ledger_check_break(cluster->check, "job %" PRId64 " was not submitted like that",
                               id_seq(id));
        key_check(cluster, id, after);
        return;
    }
    if (before->state != JOB_QUEUED || witness == NULL)
        return; /* I2, I9 */
    const char *why = wrong(cluster, witness, before, after);
    if (why != NULL)
        ledger_check_break(cluster->check, "job %" PRId64 " at run %d %s", id_seq(id), before->run,
                           why);
}

/* ---- cancel -------------------------------------------------------------------------------- */

void truth_told(struct member *member, const struct ds_run *run)
{
    if (run->n_steps != 2 || run->steps[0].kind != DS_META_READ || run->steps[0].rc != 0 ||
        run->steps[1].kind != DS_NODES_READ || run->steps[1].rc != 0)
        return;
    const struct node *own = &run->steps[1].nodes_read.ret_nodes[0];
    for (size_t i = 0; i < own->n_requests && own->state != NODE_DEAD; i++)
        if (own->requests[i].kind == REQUEST_CANCEL)
            member->cancels[member->n_cancels++ % CANCELS_TOLD] = own->requests[i].id;
}

static bool told(const struct member *member, int64_t id)
{
    for (size_t i = 0; i < member->n_cancels && i < CANCELS_TOLD; i++)
        if (member->cancels[i] == id)
            return true;
    return false;
}

/* Does that node know that the job was cancelled? It was told, or has taken the request out of its
 * record. */
static bool knows_cancelled(struct cluster *cluster, const struct member *member, int64_t id)
{
    const struct ledger_row *row = ledger_check_row(cluster->check, id);
    const struct witness *witness = row != NULL ? witness_of(cluster, row->token) : NULL;
    if (row == NULL || row->state != JOB_CANCELLED || witness == NULL || witness->unasked)
        return false;
    if (told(member, id))
        return true;
    struct ds_step step = {.kind = DS_NODES_READ, .nodes_read = {.node = member->identity.id}};
    struct arena mem = {0};
    bool knows = datastore_step(cluster->ds, &step, &mem, NULL) == 0 &&
                 step.nodes_read.ret_nodes[0].state != NODE_DEAD;
    for (size_t i = 0; knows && i < step.nodes_read.ret_nodes[0].n_requests; i++) {
        const struct node_request *request = &step.nodes_read.ret_nodes[0].requests[i];
        knows = request->kind != REQUEST_CANCEL || request->id != id;
    }
    arena_release(&mem);
    return knows;
}

void truth_cancel_check(struct cluster *cluster, const struct member *member, int64_t id,
                        const char *what)
{
    if (knows_cancelled(cluster, member, id))
        ledger_check_break(cluster->check, "cancelled job %" PRId64 " %s on %s, which knows it",
                           id_seq(id), what, member->identity.name);
}
