/* Recording outcomes: gathered into batches, one write for many jobs, at most two under way.
 *
 * A batch is offered until the store has looked at every outcome in it; what was applied by an
 * earlier try with a lost reply is refused the second time, and every refused row is read again
 * (TASK_CHECK), so the row alone decides what became of the job.
 * Invariants: I2, I9 (a task leaves memory only after its outcome is acknowledged).
 * Thread: the environment's; pure but for env. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/steps.h"
#include "node/core_internal.h"

void outcomes_init(struct core *core)
{
    for (size_t i = 0; i < BATCHES; i++) {
        core->batches[i] = calloc(1, sizeof(*core->batches[i]));
        if (core->batches[i] == NULL)
            abort();
    }
    core->filling = core->batches[0];
}

void outcomes_release(struct core *core)
{
    for (size_t i = 0; i < BATCHES; i++) {
        arena_release(&core->batches[i]->mem);
        arena_release(&core->batches[i]->call.run.mem);
        free(core->batches[i]);
    }
}

bool outcomes_room(const struct core *core)
{
    /* Those running now must find room when they end, whatever the store does. */
    return core->filling->n + LIMIT_SLOTS < BATCH_ENTRIES &&
           core->filling->mem.bytes < LIMIT_OUTCOME_BYTES / BATCHES &&
           core->outcomes_waiting + LIMIT_PAGE_JOBS + LIMIT_SLOTS < LIMIT_OUTCOMES_WAITING;
}

bool outcomes_idle(const struct core *core)
{
    for (size_t i = 0; i < BATCHES; i++)
        if (core->batches[i]->n > 0 || core->batches[i]->call.under_way)
            return false;
    return true;
}

void outcome_add(struct core *core, struct page *page, size_t index, struct outcome outcome)
{
    struct batch *batch = core->filling;
    assert(batch->n < BATCH_ENTRIES && !batch->full);
    if (outcome.ending != NULL) {
        struct job carrier = {.ending = outcome.ending};
        outcome.ending = job_copy(&carrier, &batch->mem).ending;
    }
    batch->outcomes[batch->n] = outcome;
    batch->tasks[batch->n].page = page;
    batch->tasks[batch->n].index = index;
    batch->tasks[batch->n].asked = false;
    batch->n++;
    batch->jobs += outcome.count;
    core->outcomes_waiting += outcome.count;
    task_set(page, index, outcome.count, TASK_ENDED);
}

void outcome_cancelled(struct core *core, const struct page *page, size_t index)
{
    for (size_t b = 0; b < BATCHES; b++) {
        struct batch *batch = core->batches[b];
        for (size_t i = 0; i < batch->n; i++)
            if (batch->tasks[i].page == page && batch->tasks[i].index <= index &&
                index - batch->tasks[i].index < batch->outcomes[i].count)
                batch->tasks[i].asked = true;
    }
}

/* ---- replies ---------------------------------------------------------------- */

static void counters_add(struct core *core, const struct outcome *outcome)
{
    int64_t n = outcome->ret_accepted;
    if (outcome->kind == OUTCOME_DONE)
        core->self.done += n;
    else if (outcome->kind == OUTCOME_INTERRUPTED)
        core->self.interrupted += n;
    else if (outcome->ret_state == JOB_FAILED)
        core->self.failed += n;
}

static void times_note(struct page *page, const struct outcome *outcome)
{
    if (page->first_start_ms == 0 || outcome->started_ms < page->first_start_ms)
        page->first_start_ms = outcome->started_ms;
    if (outcome->finished_ms > page->last_finish_ms)
        page->last_finish_ms = outcome->finished_ms;
}

/* Accepted, yet not over: the same job at its next run, in place, unless cancelled meanwhile. */
static void runs_again(struct page *page, size_t index, const struct outcome *outcome, bool asked)
{
    struct job *row = page->rows[index];
    row->run++;
    row->interruptions += outcome->kind == OUTCOME_INTERRUPTED ? 1 : 0;
    task_set(page, index, 1, asked ? TASK_CHECK : TASK_READY);
}

static void outcome_settle(struct core *core, struct page *page, size_t index,
                           const struct outcome *outcome, bool asked)
{
    counters_add(core, outcome);
    if (outcome->ret_accepted < outcome->count) {
        task_set(page, index, outcome->count, TASK_CHECK);
        return;
    }
    if (outcome->ret_state == JOB_QUEUED) {
        runs_again(page, index, outcome, asked);
        return;
    }
    times_note(page, outcome);
    task_set(page, index, outcome->count,
             outcome->ret_state == JOB_FAILED ? TASK_FAILED : TASK_DONE);
}

static void batch_clear(struct core *core, struct batch *batch)
{
    core->outcomes_waiting -= batch->jobs;
    batch->n = 0;
    batch->jobs = 0;
    batch->full = false;
    arena_release(&batch->mem);
}

static void batch_done(struct ds_run *run, void *ctx)
{
    struct call *call = ctx;
    struct core *core = call_returned(call);
    struct batch *batch = (struct batch *)call; /* its first member */
    bool ok = run->steps[0].rc == 0;
    for (size_t i = 0; ok && i < batch->n; i++)
        outcome_settle(core, batch->tasks[i].page, batch->tasks[i].index, &batch->outcomes[i],
                       batch->tasks[i].asked);
    arena_release(&run->mem);
    if (ok) {
        call_ok(call);
        batch_clear(core, batch);
    } else {
        call_retry(core, call);
    }
}

/* ---- offering ---------------------------------------------------------------- */

static void batch_offer(struct core *core, struct batch *batch)
{
    batch->call.steps[0] = (struct ds_step){
        .kind = DS_FINISH,
        .finish = {.outcomes = batch->outcomes, .n = batch->n},
    };
    batch->full = true;
    call_issue(core, &batch->call, 1, batch_done);
}

static struct batch *batch_free(const struct core *core)
{
    for (size_t i = 0; i < BATCHES; i++)
        if (core->batches[i] != core->filling && !core->batches[i]->full)
            return core->batches[i];
    return NULL;
}

/* When what was gathered goes out though it is little: at once after a while without any or when
 * nothing runs, else some ms after the flight before. So a flood of short jobs costs few commits,
 * and a single job no wait. */
static uint64_t gathered_at_ms(const struct core *core)
{
    return core->n_running == 0 ? 0 : core->offered_at_ms + GATHER_MS;
}

void outcomes_tick(struct core *core)
{
    size_t out = 0;
    for (size_t i = 0; i < BATCHES; i++) {
        struct batch *batch = core->batches[i];
        if (batch->full && call_ready(core, &batch->call))
            batch_offer(core, batch);
        out += batch->full ? 1 : 0;
    }
    struct batch *batch = core->filling;
    struct batch *next = batch_free(core);
    /* With nothing out when there is no more to gather; a second flight only when worth one. */
    bool gathered = out == 0 && core_now(core) >= gathered_at_ms(core);
    bool worth = gathered || batch->jobs >= BATCH_JOBS || batch->n >= BATCH_ENTRIES / 2;
    if (batch->n == 0 || next == NULL || !worth)
        return;
    core->filling = next;
    core->offered_at_ms = core_now(core);
    batch_offer(core, batch);
}

uint64_t outcomes_due_ms(const struct core *core)
{
    uint64_t due = UINT64_MAX;
    bool out = false;
    for (size_t i = 0; i < BATCHES; i++) {
        out = out || core->batches[i]->full;
        if (core->batches[i]->full && call_due_ms(&core->batches[i]->call) < due)
            due = call_due_ms(&core->batches[i]->call);
    }
    if (!out && core->filling->n > 0)
        due = gathered_at_ms(core);
    return due;
}
