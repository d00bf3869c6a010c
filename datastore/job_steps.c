/* The protocol's changes to one job row: outcomes and cancel (DESIGN §5).
 *
 * An outcome is accepted only while the row says `queued` at the run it names; whoever comes second
 * changes nothing. Invariants: I2 (one outcome, never changed), I4 (counts never go down nor past
 * their limits). Pure; the backend's thread. */
#include <string.h>

#include "datastore/id.h"
#include "datastore/steps.h"

/* ---- what may be written at all ------------------------------------------------------------- */

int64_t step_insert_id(const struct ds_insert *insert, const struct ds_step *before, size_t i)
{
    return insert->from_reserve ? before->reserve.ret_first + (int64_t)i : insert->jobs[i].id;
}

static bool chunk_valid(const struct submit_chunk *chunk)
{
    size_t len = chunk->submit != NULL ? strlen(chunk->submit) : 0;
    return len >= 1 && len <= LIMIT_NAME_BYTES && chunk->index >= 0 && chunk->count >= 1;
}

static int ids_check(const struct ds_insert *insert, lane_tail_fn *tail_of, void *ctx)
{
    int32_t lane = -1;
    int64_t tail = 0;
    for (size_t i = 0; i < insert->n_jobs; i++) {
        int64_t id = insert->jobs[i].id;
        if (id < 1 || id_lane(id) >= LIMIT_LANES)
            return ERR_INVALID;
        if (lane != id_lane(id)) {
            lane = id_lane(id);
            int rc = tail_of(ctx, lane, &tail);
            if (rc < 0)
                return rc == ERR_NOT_FOUND ? ERR_INVALID : rc;
        }
        if (id_seq(id) < 1 || id >= tail)
            return ERR_INVALID;
    }
    return 0;
}

int step_insert_check(const struct ds_insert *insert, const struct ds_step *before,
                      lane_tail_fn *tail_of, void *ctx, struct error *err)
{
    size_t bytes = 0;
    if (insert->n_jobs == 0 || (insert->chunk != NULL && !chunk_valid(insert->chunk)))
        return ERR_INVALID;
    if (insert->n_jobs > LIMIT_BATCH_JOBS)
        return error_set(err, ERR_LIMIT, "more than %d jobs in a batch", LIMIT_BATCH_JOBS);
    if (insert->from_reserve && (before == NULL || before->kind != DS_RESERVE || before->rc != 0 ||
                                 before->reserve.count < (int64_t)insert->n_jobs))
        return ERR_INVALID;
    for (size_t i = 0; i < insert->n_jobs; i++) {
        if (!job_fits(&insert->jobs[i]))
            return ERR_LIMIT;
        bytes += job_bytes(&insert->jobs[i]);
    }
    if (bytes > LIMIT_BATCH_BYTES)
        return error_set(err, ERR_LIMIT, "more than %d bytes in a batch", LIMIT_BATCH_BYTES);
    return insert->from_reserve ? 0 : ids_check(insert, tail_of, ctx);
}

int step_finish_check(const struct ds_finish *finish)
{
    for (size_t i = 0; i < finish->n; i++) {
        const struct outcome *outcome = &finish->outcomes[i];
        if (outcome->id < 1 || outcome->count < 1 ||
            (outcome->ending != NULL && outcome->count != 1))
            return ERR_INVALID;
        if (outcome->ending != NULL && outcome->ending->result.len > LIMIT_RESULT_BYTES)
            return ERR_LIMIT;
    }
    return 0;
}

/* ---- outcomes and cancel -------------------------------------------------------------------- */

/* Output kept of an earlier attempt: its last bytes. */
static struct bytes tail_of(struct bytes output, size_t max)
{
    if (output.len <= max)
        return output;
    return (struct bytes){output.data + (output.len - max), max};
}

/* What the run that just ended leaves in the trace once another run follows. */
static struct job_attempt attempt_of(const struct outcome *outcome)
{
    struct job_attempt attempt = {
        .run = outcome->run,
        .interrupted = outcome->kind == OUTCOME_INTERRUPTED,
        .node = outcome->node,
        .started_ms = outcome->started_ms,
        .finished_ms = outcome->finished_ms,
        .exit_code = -1,
    };
    const struct job_ending *ending = outcome->ending;
    if (ending != NULL) {
        attempt.exit_code = ending->exit_code;
        attempt.signal = ending->signal;
        attempt.timed_out = ending->timed_out;
        attempt.error = ending->error;
        attempt.output = tail_of(ending->output, LIMIT_TRACE_OUTPUT_BYTES);
    }
    return attempt;
}

/* The row's new ending: the outcome's, with earlier runs kept, this one among them when it is not
 * the last. NULL when there is nothing to keep. */
static const struct job_ending *ending_after(const struct job *job, const struct outcome *outcome,
                                             bool another_run, struct arena *mem)
{
    size_t n_old = job->ending != NULL ? job->ending->n_trace : 0;
    if (!another_run && outcome->ending == NULL && n_old == 0)
        return NULL;
    struct job_ending *ending = arena_alloc(mem, sizeof(*ending));
    ending->exit_code = -1;
    if (!another_run && outcome->ending != NULL)
        *ending = *outcome->ending;
    size_t n_new = n_old + (another_run ? 1 : 0);
    size_t skip = n_new > LIMIT_TRACE_ATTEMPTS ? n_new - LIMIT_TRACE_ATTEMPTS : 0;
    struct job_attempt *trace = arena_alloc(mem, (n_new + 1) * sizeof(*trace));
    for (size_t i = skip; i < n_old; i++)
        trace[i - skip] = job->ending->trace[i];
    if (another_run)
        trace[n_new - skip - 1] = attempt_of(outcome);
    ending->trace = trace;
    ending->n_trace = n_new - skip;
    return ending;
}

static void end_job(struct job *job, enum job_state state, const struct outcome *outcome)
{
    job->state = state;
    job->started_ms = outcome->started_ms;
    job->finished_ms = outcome->finished_ms;
    job->node = outcome->node;
}

bool step_finish(struct job *job, const struct outcome *outcome, struct arena *mem)
{
    if (job->state != JOB_QUEUED || job->run != outcome->run)
        return false;
    enum outcome_kind kind = outcome->kind;
    /* A retry is offered by whoever ran the job; the row's own limit decides. */
    if (kind == OUTCOME_RETRY && job->run - job->interruptions >= job_max_attempts(job))
        kind = OUTCOME_FAILED;
    bool last_interruption =
        kind == OUTCOME_INTERRUPTED && job->interruptions + 1 > job_max_interruptions(job);
    bool another_run = kind == OUTCOME_RETRY || (kind == OUTCOME_INTERRUPTED && !last_interruption);
    const struct job_ending *ending = ending_after(job, outcome, another_run, mem);
    if (another_run) {
        job->run++;
        job->interruptions += kind == OUTCOME_INTERRUPTED ? 1 : 0;
        job->ending = ending;
        return true;
    }
    if (last_interruption) {
        struct job_ending *last = ending != NULL ? arena_copy(mem, ending, sizeof(*ending))
                                                 : arena_alloc(mem, sizeof(*last));
        if (ending == NULL)
            last->exit_code = -1;
        if (last->error == NULL)
            last->error = "interrupted too often: its node died or stopped under it each time";
        ending = last;
    }
    job->ending = ending;
    end_job(job, kind == OUTCOME_DONE ? JOB_DONE : JOB_FAILED, outcome);
    return true;
}

int step_cancel(struct job *job, struct ds_cancel *step, int64_t utc_ms)
{
    if (job->state == JOB_VOID || job->state == JOB_SLOT)
        return ERR_NOT_FOUND;
    step->ret_before = job->state;
    if (job_state_finished(job->state))
        return ERR_CONFLICT;
    job->state = JOB_CANCELLED;
    job->finished_ms = utc_ms;
    return 0;
}

/* ---- copy ---------------------------------------------------------------------------------- */

static const struct job_spec *spec_copy(const struct job_spec *spec, struct arena *mem)
{
    struct job_spec *to = arena_copy(mem, spec, sizeof(*spec));
    to->cwd = arena_string(mem, spec->cwd);
    to->env = arena_bytes(mem, spec->env);
    to->limits = arena_copy(mem, spec->limits, spec->n_limits * sizeof(*spec->limits));
    to->key = arena_string(mem, spec->key);
    to->group = arena_string(mem, spec->group);
    to->after = arena_copy(mem, spec->after, spec->n_after * sizeof(*spec->after));
    return to;
}

static const struct job_ending *ending_copy(const struct job_ending *ending, struct arena *mem)
{
    struct job_ending *to = arena_copy(mem, ending, sizeof(*ending));
    to->result = arena_bytes(mem, ending->result);
    to->output = arena_bytes(mem, ending->output);
    to->error = arena_string(mem, ending->error);
    struct job_attempt *trace = arena_copy(mem, ending->trace, ending->n_trace * sizeof(*trace));
    for (size_t i = 0; i < ending->n_trace; i++) {
        trace[i].error = arena_string(mem, trace[i].error);
        trace[i].output = arena_bytes(mem, trace[i].output);
    }
    to->trace = trace;
    return to;
}

struct job job_copy(const struct job *job, struct arena *mem)
{
    struct job to = *job;
    to.type = arena_string(mem, job->type);
    to.payload = arena_bytes(mem, job->payload);
    to.argv = arena_bytes(mem, job->argv);
    to.batch = arena_string(mem, job->batch);
    if (job->spec != NULL)
        to.spec = spec_copy(job->spec, mem);
    if (job->ending != NULL)
        to.ending = ending_copy(job->ending, mem);
    return to;
}
