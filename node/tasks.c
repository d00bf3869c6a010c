/* Starting jobs and taking their ends.
 *
 * `noop` jobs are done on the spot, a stretch at a time: one outcome for many ids. Others go to the
 * environment, one for each slot. A job of a suspect range starts only after a heartbeat that names
 * it is acknowledged (DESIGN §5), so that whoever buries this node knows which job it died of.
 * Invariants: I4 (which kind of end counts for what), I7. Thread: the environment's; pure but for
 * env. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "datastore/steps.h"
#include "node/core_internal.h"

enum { NOOP_A_TICK = 4 * LIMIT_PAGE_JOBS, START_PAUSE_MS = 500 };

static bool is_noop(const struct job *row)
{
    return strcmp(row->type, "noop") == 0;
}

/* ---- naming ---------------------------------------------------------------- */

static void naming_remove(struct core *core, size_t at)
{
    core->naming[at] = core->naming[--core->n_naming];
}

void naming_forget(struct core *core, const struct page *page, size_t from_index)
{
    for (size_t i = core->n_naming; i-- > 0;)
        if (core->naming[i].page == page && core->naming[i].index >= from_index)
            naming_remove(core, i);
}

void naming_acknowledged(struct core *core)
{
    for (size_t i = 0; i < core->n_naming; i++)
        if (core->naming[i].sent && !core->naming[i].acked) {
            core->naming[i].acked = true;
            task_set(core->naming[i].page, core->naming[i].index, 1, TASK_NAMED);
        }
}

static void naming_add(struct core *core, struct page *page, size_t index)
{
    assert(core->n_naming < LIMIT_SLOTS);
    core->naming[core->n_naming++] = (struct naming){.page = page, .index = index};
    task_set(page, index, 1, TASK_NAMING);
}

/* ---- starting ---------------------------------------------------------------- */

static struct running *slot_free(struct core *core)
{
    for (size_t i = 0; i < (size_t)core->self.slots; i++)
        if (core->running[i].page == NULL)
            return &core->running[i];
    return NULL;
}

static void never_startable(struct core *core, struct page *page, size_t index, const char *why)
{
    const struct job *row = page->rows[index];
    struct job_ending ending = {.exit_code = -1, .error = why};
    int64_t now_ms = core_store_ms(core);
    outcome_add(core, page, index,
                (struct outcome){.id = row->id,
                                 .count = 1,
                                 .run = row->run,
                                 .kind = OUTCOME_FAILED,
                                 .node = core->self.id,
                                 .started_ms = now_ms,
                                 .finished_ms = now_ms,
                                 .ending = &ending});
}

/* False: not now, the task is as it was. */
static bool task_start(struct core *core, struct page *page, size_t index)
{
    struct job *row = page->rows[index];
    struct running *slot = slot_free(core);
    assert(slot != NULL);
    struct error err = {0};
    int rc = core->env->class->start(core->env, row, &page->hold->lane->name, &err);
    if (rc == ERR_INVALID) {
        never_startable(core, page, index, err.text);
        return true;
    }
    if (rc != 0) {
        core->start_after_ms = core_now(core) + START_PAUSE_MS;
        return false;
    }
    *slot = (struct running){
        .page = page,
        .index = index,
        .id = row->id,
        .run = row->run,
        .started_at_ms = core_now(core),
        .started_ms = core_store_ms(core),
    };
    core->n_running++;
    task_set(page, index, 1, TASK_RUNNING);
    return true;
}

/* Jobs whose naming is in the store start now or are named again later: the next heartbeat would
 * not name them any more. */
static void named_start(struct core *core)
{
    for (size_t i = core->n_naming; i-- > 0;) {
        if (!core->naming[i].acked)
            continue;
        struct naming named = core->naming[i];
        naming_remove(core, i);
        bool started = core_may_start(core) && core->n_running < (size_t)core->self.slots &&
                       core_now(core) >= core->start_after_ms &&
                       task_start(core, named.page, named.index);
        if (!started)
            task_set(named.page, named.index, 1, TASK_READY);
    }
}

/* Does a stretch of noop jobs from `index` on; returns how many. */
static size_t noop_do(struct core *core, struct page *page, size_t index)
{
    const struct job *first = page->rows[index];
    size_t end = index + 1;
    while (end < page->n && page->tasks[end] == TASK_READY && is_noop(page->rows[end]) &&
           page->rows[end]->run == first->run)
        end++;
    int64_t now_ms = core_store_ms(core);
    outcome_add(core, page, index,
                (struct outcome){.id = first->id,
                                 .count = (uint32_t)(end - index),
                                 .run = first->run,
                                 .kind = OUTCOME_DONE,
                                 .node = core->self.id,
                                 .started_ms = now_ms,
                                 .finished_ms = now_ms});
    lane_sample(page->hold->lane, 0, end - index);
    return end - index;
}

/* May one more interruption be the end of it? */
static bool last_chance(const struct job *row)
{
    return row->interruptions + 1 >= job_max_interruptions(row);
}

static bool last_chance_taken(const struct core *core)
{
    for (size_t i = 0; i < core->n_naming; i++)
        if (last_chance(core->naming[i].page->rows[core->naming[i].index]))
            return true;
    for (size_t i = 0; i < (size_t)core->self.slots; i++)
        if (core->running[i].page != NULL &&
            last_chance(core->running[i].page->rows[core->running[i].index]))
            return true;
    return false;
}

enum progress { WENT_ON, HOLD_BARRED, ALL_BARRED };

/* Starts the task at `index`, which is READY. ret_n: how many tasks that took care of. */
static enum progress ready_start(struct core *core, struct page *page, size_t index, size_t *ret_n)
{
    *ret_n = 1;
    if (!outcomes_room(core))
        return ALL_BARRED;
    if (is_noop(page->rows[index])) {
        *ret_n = noop_do(core, page, index);
        return WENT_ON;
    }
    if (core->n_running + core->n_naming >= (size_t)core->self.slots ||
        core_now(core) < core->start_after_ms)
        return ALL_BARRED;
    if (page->hold->range.suspect) {
        /* One at a time of those that have died with their nodes so often: so the one that kills
         * its nodes is found out, and takes none of the others down with it. */
        if (last_chance(page->rows[index]) && last_chance_taken(core))
            return HOLD_BARRED;
        naming_add(core, page, index);
        return WENT_ON;
    }
    return task_start(core, page, index) ? WENT_ON : ALL_BARRED;
}

static enum progress hold_start(struct core *core, struct hold *hold, size_t *budget)
{
    for (struct page *page = hold->pages; page != NULL; page = page->next) {
        while (page->ready_from < page->n) {
            if (page->tasks[page->ready_from] != TASK_READY) {
                page->ready_from++;
                continue;
            }
            size_t n;
            enum progress progress = ready_start(core, page, page->ready_from, &n);
            if (progress != WENT_ON)
                return progress;
            page->ready_from += n;
            *budget -= n < *budget ? n : *budget;
            if (*budget == 0)
                return ALL_BARRED;
        }
    }
    return HOLD_BARRED;
}

static struct hold *hold_next(const struct core *core)
{
    struct hold *best = NULL;
    for (size_t i = 0; i < core->n_holds; i++) {
        struct hold *hold = core->holds[i];
        if (hold->state == HOLD_LIVE && hold->accepted && !hold->barred && hold->ready > 0 &&
            !hold->lane->paused &&
            (best == NULL || hold->lane->name.priority < best->lane->name.priority))
            best = hold;
    }
    return best;
}

void tasks_tick(struct core *core)
{
    named_start(core);
    if (!core_may_start(core))
        return;
    for (size_t i = 0; i < core->n_holds; i++)
        core->holds[i]->barred = false;
    size_t budget = NOOP_A_TICK;
    for (struct hold *hold; (hold = hold_next(core)) != NULL;) {
        if (hold_start(core, hold, &budget) == ALL_BARRED)
            return;
        hold->barred = true;
    }
}

uint64_t tasks_due_ms(const struct core *core)
{
    if (!core_may_start(core) || hold_next(core) == NULL)
        return UINT64_MAX;
    if (core_now(core) < core->start_after_ms)
        return core->start_after_ms;
    /* READY tasks are left though a slot is free only when this tick's budget ran out. */
    return core->n_running + core->n_naming < (size_t)core->self.slots ? 0 : UINT64_MAX;
}

/* ---- ends ---------------------------------------------------------------- */

static enum outcome_kind kind_of(const struct running *r, const struct job *row,
                                 const struct job_end *end)
{
    if (end->ok)
        return OUTCOME_DONE;
    /* Ended by us, or whoever ran it is gone: not the job's own doing. */
    if (end->lost || r->interrupt)
        return OUTCOME_INTERRUPTED;
    return row->run - row->interruptions < job_max_attempts(row) ? OUTCOME_RETRY : OUTCOME_FAILED;
}

/* The job is as it was: it waits for a better moment, on this node or where it is returned to. What
 * was to be ended may have been cancelled. */
static void not_started(struct core *core, struct running *r)
{
    task_set(r->page, r->index, 1, r->ending ? TASK_CHECK : TASK_READY);
    *r = (struct running){0};
    core->n_running--;
    core->start_after_ms = core_now(core) + START_PAUSE_MS;
}

void core_job_ended(struct core *core, const struct job_end *end)
{
    struct running *r = NULL;
    for (size_t i = 0; i < (size_t)core->self.slots && r == NULL; i++)
        if (core->running[i].page != NULL && core->running[i].id == end->id &&
            core->running[i].run == end->run)
            r = &core->running[i];
    if (r == NULL)
        return;
    if (end->not_started) {
        not_started(core, r);
        return;
    }
    struct page *page = r->page;
    struct job *row = page->rows[r->index];
    int64_t offset = core->clock_offset_ms;
    struct outcome outcome = {
        .id = end->id,
        .count = 1,
        .run = end->run,
        .kind = kind_of(r, row, end),
        .node = core->self.id,
        .started_ms = end->started_ms != 0 ? end->started_ms + offset : r->started_ms,
        .finished_ms = end->finished_ms != 0 ? end->finished_ms + offset : core_store_ms(core),
        .ending = &end->ending,
    };
    struct job_ending lost = {.exit_code = -1, .error = "the process that ran it is gone"};
    if (end->lost)
        outcome.ending = &lost;
    lane_sample(page->hold->lane, (double)(core_now(core) - r->started_at_ms), 1);
    size_t index = r->index;
    *r = (struct running){0};
    core->n_running--;
    /* A buried node's interruptions are its buriers' to tell: the job may run elsewhere by now. */
    if (core->fenced && outcome.kind == OUTCOME_INTERRUPTED)
        task_set(page, index, 1, TASK_CHECK);
    else
        outcome_add(core, page, index, outcome);
}

void task_cancelled(struct core *core, struct page *page, size_t index)
{
    uint8_t state = page->tasks[index];
    /* Of a row that is to be read again, a reading under way may be older than the cancel. */
    if (state == TASK_READY || state == TASK_HOLE || state == TASK_CHECK) {
        task_set(page, index, 1, TASK_CHECK);
        return;
    }
    if (state == TASK_NAMING || state == TASK_NAMED) {
        for (size_t i = core->n_naming; i-- > 0;)
            if (core->naming[i].page == page && core->naming[i].index == index)
                naming_remove(core, i);
        task_set(page, index, 1, TASK_CHECK);
        return;
    }
    if (state == TASK_ENDED)
        outcome_cancelled(core, page, index);
    if (state != TASK_RUNNING)
        return;
    /* Its outcome will be refused, as the row says `cancelled`. Should somebody have asked without
     * cancelling, it counts as interrupted and runs again: nothing is lost. */
    for (size_t i = 0; i < (size_t)core->self.slots; i++) {
        struct running *r = &core->running[i];
        if (r->page != page || r->index != index || r->ending)
            continue;
        r->ending = true;
        r->interrupt = true;
        core->env->class->end(core->env, r->id, r->run, core->config.kill_grace_ms);
    }
}

void tasks_end_all(struct core *core, uint64_t grace_ms, bool interrupt)
{
    for (size_t i = 0; i < (size_t)core->self.slots; i++) {
        struct running *r = &core->running[i];
        if (r->page == NULL || r->killed || (r->ending && grace_ms > 0))
            continue;
        r->ending = true;
        r->killed = grace_ms == 0;
        r->interrupt = r->interrupt || interrupt;
        core->env->class->end(core->env, r->id, r->run, grace_ms);
    }
}
