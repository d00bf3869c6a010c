/* Ranges in hand: loading their rows, meeting holes, giving back what has not started, and seeing
 * that a range is finished.
 *
 * A hold is a range of the own record. Its rows are loaded page by page, ahead of the jobs, and a
 * page's memory goes when every id in it leads nowhere. Row states decide what an id is worth
 * (DESIGN §5): an own row leads only while its job is queued and names no slot.
 *
 *   LIVE -> RESOLVED -> (stints row and record without it acknowledged) removed
 *   LIVE -> LEAVING -> RETURNING -> (return taken) removed        tails are cut off first
 *
 * Invariant I1: a hold is removed only when it is finished or its return was taken.
 * Thread: the environment's; pure but for env. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/steps.h"
#include "node/core_internal.h"

enum {
    HOLE_WAIT_MS_MIN = 2,
    HOLE_WAIT_MS_MAX = 1000,
    HOLE_ROWS_PER_MS = 100,
    HOLE_OLD_MS = 2000, /* no submitter is that slow as a rule: its rows may never come */
    VOIDS_MAX = 256,
    CLAIM_LOAD_JOBS = 64, /* at most, in the claim's own run: it holds up others who write */
    DROP_MS_MAX = 100,    /* a finished range waits that long for a claim to ride on */
};

static bool task_waits(uint8_t state)
{
    return state <= TASK_NAMED;
}

static bool task_busy(uint8_t state)
{
    return state >= TASK_RUNNING && state <= TASK_CHECK;
}

static void count(struct page *page, uint8_t state, size_t n, bool add)
{
    struct hold *hold = page->hold;
    struct core *core = hold->core;
    size_t by = add ? n : (size_t)0 - n; /* wraps: the counters stay >= 0 */
    if (state == TASK_READY)
        hold->ready += by;
    if (task_waits(state))
        hold->waiting += by;
    if (task_waits(state) && state != TASK_HOLE) /* a hole is no row: others load behind it */
        core->loaded += by;
    if (state == TASK_CHECK)
        page->checks += by;
    if (state == TASK_HOLE)
        page->holes += by;
    if (state < TASK_DONE)
        page->unresolved += by;
}

void task_set(struct page *page, size_t index, size_t n, enum task_state state)
{
    assert(index + n <= page->n);
    for (size_t i = index; i < index + n;) {
        size_t end = i + 1;
        while (end < index + n && page->tasks[end] == page->tasks[i])
            end++;
        count(page, page->tasks[i], end - i, false);
        count(page, (uint8_t)state, end - i, true);
        memset(page->tasks + i, (int)state, end - i);
        i = end;
    }
    if (state == TASK_READY && index < page->ready_from)
        page->ready_from = index;
    if (state == TASK_CHECK)
        page->checks_came = true;
}

/* ---- holds ---------------------------------------------------------------- */

struct hold *hold_add(struct core *core, struct range range, struct lane_view *lane)
{
    assert(core->n_holds < HOLDS_MAX && range_count(range) > 0);
    struct hold *hold = calloc(1, sizeof(*hold));
    if (hold == NULL)
        abort();
    hold->core = core;
    hold->range = range;
    hold->lane = lane;
    hold->accepted = true;
    hold->next_load = range.a;
    core->holds[core->n_holds++] = hold;
    return hold;
}

static void page_free(struct core *core, struct page *page)
{
    for (size_t i = 0; i < page->n; i++)
        count(page, page->tasks[i], 1, false);
    naming_forget(core, page, 0);
    core->loaded_bytes -= page->mem.bytes;
    arena_release(&page->mem);
    free(page->tasks);
    free(page->rows);
    free(page);
}

static void pages_free(struct core *core, struct hold *hold)
{
    for (struct page *page = hold->pages, *next; page != NULL; page = next) {
        next = page->next;
        page_free(core, page);
    }
    hold->pages = hold->pages_last = NULL;
}

void hold_remove(struct core *core, struct hold *hold)
{
    assert(!hold->loading);
    size_t at = 0;
    while (core->holds[at] != hold)
        at++;
    memmove(core->holds + at, core->holds + at + 1,
            (core->n_holds - at - 1) * sizeof(*core->holds));
    core->n_holds--;
    pages_free(core, hold);
    free(hold);
}

void holds_release(struct core *core)
{
    for (size_t i = 0; i < core->n_holds; i++) {
        pages_free(core, core->holds[i]);
        free(core->holds[i]);
    }
    core->n_holds = 0;
    arena_release(&core->load.run.mem);
    arena_release(&core->again.run.mem);
}

/* Missing rows that are no work in sight any more. */
static int64_t old_holes(const struct hold *hold)
{
    int64_t n = 0;
    uint64_t now = core_now(hold->core);
    for (const struct page *page = hold->pages; page != NULL; page = page->next)
        if (page->holes > 0 && page->hole_since_ms != 0 && now - page->hole_since_ms >= HOLE_OLD_MS)
            n += (int64_t)page->holes;
    return n;
}

int64_t holds_old_holes(const struct core *core, const struct lane_view *lane)
{
    int64_t n = 0;
    for (size_t i = 0; i < core->n_holds; i++)
        if (core->holds[i]->lane == lane && core->holds[i]->state == HOLD_LIVE)
            n += old_holes(core->holds[i]);
    return n;
}

static int64_t hold_unstarted(const struct hold *hold)
{
    if (hold->state != HOLD_LIVE)
        return 0;
    return hold->range.b - hold->next_load + (int64_t)hold->waiting - old_holes(hold);
}

int64_t holds_unstarted(const struct core *core, const struct lane_view *lane)
{
    int64_t n = 0;
    for (size_t i = 0; i < core->n_holds; i++)
        if (lane == NULL || core->holds[i]->lane == lane)
            n += hold_unstarted(core->holds[i]);
    return n;
}

int64_t holds_unstarted_before(const struct core *core, int32_t priority)
{
    int64_t n = 0;
    for (size_t i = 0; i < core->n_holds; i++)
        if (core->holds[i]->lane->name.priority <= priority)
            n += hold_unstarted(core->holds[i]);
    return n;
}

struct page *holds_find(const struct core *core, int64_t id, size_t *ret_index)
{
    for (size_t i = 0; i < core->n_holds; i++) {
        if (!range_holds(core->holds[i]->range, id))
            continue;
        for (struct page *page = core->holds[i]->pages; page != NULL; page = page->next)
            if (id >= page->first && id < page->first + (int64_t)page->n) {
                *ret_index = (size_t)(id - page->first);
                return page;
            }
    }
    return NULL;
}

/* ---- what a row is worth ---------------------------------------------------------------- */

static void times_note(struct page *page, const struct job *row)
{
    if (row->started_ms != 0 &&
        (page->first_start_ms == 0 || row->started_ms < page->first_start_ms))
        page->first_start_ms = row->started_ms;
    if (row->finished_ms > page->last_finish_ms)
        page->last_finish_ms = row->finished_ms;
}

static enum task_state judge(struct core *core, struct page *page, const struct job *row)
{
    switch (row->state) {
    case JOB_QUEUED:
        return row->slot == 0 ? TASK_READY : TASK_NOTHING;
    case JOB_DONE:
        times_note(page, row);
        return TASK_DONE;
    case JOB_FAILED:
        times_note(page, row);
        return TASK_FAILED;
    case JOB_CANCELLED:
        return TASK_CANCELLED;
    case JOB_SCHEDULED:
    case JOB_BLOCKED:
    case JOB_VOID:
        return TASK_NOTHING;
    case JOB_SLOT:
    case JOB_STATES:
        break;
    }
    core_fail(core, ERR_VERSION, "a row of a kind this version does not know: install the newer");
    return TASK_CHECK;
}

/* ---- loading ---------------------------------------------------------------- */

static void page_append(struct hold *hold, struct page *page)
{
    if (hold->pages_last != NULL)
        hold->pages_last->next = page;
    else
        hold->pages = page;
    hold->pages_last = page;
}

/* mem: where the rows are; taken. */
static void page_make(struct core *core, struct hold *hold, const struct ds_load *load,
                      struct arena *mem)
{
    int64_t end = load->ret_next < hold->range.b ? load->ret_next : hold->range.b;
    assert(load->range.a == hold->next_load && end > hold->next_load);
    struct page *page = calloc(1, sizeof(*page));
    size_t n = (size_t)(end - hold->next_load);
    uint8_t *tasks = malloc(n);
    struct job **rows = calloc(n, sizeof(*rows));
    if (page == NULL || tasks == NULL || rows == NULL)
        abort();
    *page = (struct page){.hold = hold, .first = hold->next_load, .n = n, .tasks = tasks};
    page->rows = rows;
    page->mem = *mem;
    *mem = (struct arena){0};
    core->loaded_bytes += page->mem.bytes;
    memset(tasks, TASK_HOLE, n);
    count(page, TASK_HOLE, n, true);
    for (size_t i = 0; i < load->ret_n; i++) {
        struct job *row = &load->ret_jobs[i];
        if (row->id >= end)
            break;
        size_t index = (size_t)(row->id - page->first);
        rows[index] = row;
        task_set(page, index, 1, judge(core, page, row));
    }
    page->ready_from = 0;
    hold->next_load = end;
    page_append(hold, page);
}

static void loaded(struct ds_run *run, void *ctx)
{
    struct call *call = ctx;
    struct core *core = call_returned(call);
    struct hold *hold = core->load_hold;
    hold->loading = false;
    if (run->steps[0].rc != 0) {
        call_retry(core, call);
    } else {
        call_ok(call);
        if (hold->state == HOLD_LIVE && hold->next_load < hold->range.b && !core->load_outdated)
            page_make(core, hold, &run->steps[0].load, &run->mem);
    }
    arena_release(&run->mem);
}

void holds_outdated(struct core *core, int64_t id)
{
    core->claim_outdated = true;
    for (size_t i = 0; i < core->n_holds; i++)
        if (core->holds[i]->loading && range_holds(core->holds[i]->range, id))
            core->load_outdated = true;
}

/* Room for rows of that priority? Where none of it or above is loaded there is as much again:
 * memory full of lower ones must not make a higher one wait for them. */
static bool load_room(const struct core *core, int32_t priority)
{
    size_t times = 2;
    for (size_t i = 0; i < core->n_holds; i++)
        if (core->holds[i]->waiting > 0 && core->holds[i]->lane->name.priority <= priority)
            times = 1;
    return core->loaded < times * LOADED_JOBS_MAX && core->loaded_bytes < times * LOADED_BYTES_MAX;
}

static void load_start(struct core *core)
{
    if (!call_ready(core, &core->load))
        return;
    struct hold *best = NULL;
    for (size_t i = 0; i < core->n_holds; i++) {
        struct hold *hold = core->holds[i];
        if (hold->state == HOLD_LIVE && !hold->lane->paused && hold->next_load < hold->range.b &&
            (best == NULL || hold->lane->name.priority < best->lane->name.priority))
            best = hold;
    }
    if (best == NULL || !load_room(core, best->lane->name.priority))
        return;
    best->loading = true;
    core->load_outdated = false;
    core->load_hold = best;
    core->load.steps[0] = (struct ds_step){
        .kind = DS_LOAD,
        .load = {.range = {.a = best->next_load, .b = best->range.b}, .rows_max = LIMIT_PAGE_JOBS},
    };
    call_issue(core, &core->load, 1, loaded);
}

/* ---- loading with the claim ------------------------------------------------------------------ */

/* Where the jobs will start as soon as they are there, and are few: the rows come with the claim's
 * own reply. Which ids it will grant is taken from the last look; what it read for nothing is
 * forgotten. (Of a crowd hardly anybody would guess right, and all would keep the store busy.) */
bool holds_load_make(struct core *core, const struct lane_view *lane, int64_t want,
                     struct ds_step *ret_step)
{
    bool idle = core->n_running < (size_t)core->self.slots && holds_unstarted(core, NULL) == 0;
    if (!idle || core->crowd || want > CLAIM_LOAD_JOBS || !load_room(core, lane->name.priority))
        return false;
    int64_t first = lane->n_pool > 0 ? lane->pool[0].a : lane->head;
    *ret_step = (struct ds_step){
        .kind = DS_LOAD,
        .independent = true,
        .load = {.range = {.a = first, .b = first + want}, .rows_max = (size_t)want},
    };
    core->claim_outdated = false;
    return true;
}

/* They were read after the own record named the range: whoever cancelled one of them before is seen
 * in its row, and whoever does so later asks this node. */
void holds_load_take(struct core *core, struct hold *hold, const struct ds_load *load,
                     struct arena *mem)
{
    if (hold->state == HOLD_LIVE && load->range.a == hold->next_load)
        page_make(core, hold, load, mem);
}

/* ---- reading again, and declaring holes void ------------------------------------------------- */

/* A reading that was sent before a task was to be checked may show it as it was before it ran. */
static bool answers(const struct page *page, size_t index)
{
    uint8_t state = page->tasks[index];
    return state == TASK_HOLE || (state == TASK_CHECK && !page->checks_came);
}

static void row_again(struct core *core, struct page *page, const struct job *row)
{
    size_t index = (size_t)(row->id - page->first);
    if (!answers(page, index))
        return;
    struct job *copy = arena_alloc(&page->mem, sizeof(*copy));
    *copy = job_copy(row, &page->mem);
    page->rows[index] = copy;
    task_set(page, index, 1, judge(core, page, copy));
}

/* A submitter between its two steps takes its time for each row: to read sooner is no use. */
static uint64_t hole_next_ms(const struct core *core, const struct page *page)
{
    return core_now(core) + page->hole_wait_ms + page->holes / HOLE_ROWS_PER_MS;
}

static void read_again(struct ds_run *run, void *ctx)
{
    struct call *call = ctx;
    struct core *core = call_returned(call);
    struct page *page = core->again_page;
    page->pinned = false;
    if (run->steps[0].rc != 0) {
        call_retry(core, call);
    } else {
        call_ok(call);
        const struct ds_load *load = &run->steps[0].load;
        size_t before = page->mem.bytes;
        for (size_t i = 0; i < load->ret_n; i++)
            row_again(core, page, &load->ret_jobs[i]);
        core->loaded_bytes += page->mem.bytes - before;
        /* What was looked at and is not there is a hole. */
        size_t end = (size_t)(load->ret_next - page->first);
        for (size_t i = core->again_index; i < end; i++)
            if (page->tasks[i] == TASK_CHECK && answers(page, i))
                task_set(page, i, 1, TASK_HOLE);
        page->hole_wait_ms =
            page->hole_wait_ms * 2 < HOLE_WAIT_MS_MAX ? page->hole_wait_ms * 2 : HOLE_WAIT_MS_MAX;
        page->hole_next_ms = hole_next_ms(core, page);
    }
    arena_release(&run->mem);
}

static void voided(struct ds_run *run, void *ctx)
{
    struct call *call = ctx;
    struct core *core = call_returned(call);
    struct page *page = core->again_page;
    page->pinned = false;
    const struct ds_insert *insert = &run->steps[0].insert;
    if (run->steps[0].rc != 0) {
        call_retry(core, call);
    } else {
        call_ok(call);
        for (size_t i = 0; i < insert->n_jobs; i++) {
            size_t index = (size_t)(insert->jobs[i].id - page->first);
            if (page->tasks[index] == TASK_HOLE)
                task_set(page, index, 1, insert->ret_rc[i] == 0 ? TASK_NOTHING : TASK_CHECK);
        }
    }
    arena_release(&run->mem);
}

/* After the grace a missing row's submitter counts as dead (DESIGN §5): the id is taken from it. */
static void void_start(struct core *core, struct page *page)
{
    struct job *jobs = arena_alloc(&core->again.run.mem, VOIDS_MAX * sizeof(*jobs));
    size_t n = 0;
    for (size_t i = 0; i < page->n && n < VOIDS_MAX; i++)
        if (page->tasks[i] == TASK_HOLE)
            jobs[n++] = (struct job){
                .id = page->first + (int64_t)i,
                .state = JOB_VOID,
                .type = "",
                .token = core->self.id,
            };
    core->again.steps[0] =
        (struct ds_step){.kind = DS_INSERT, .insert = {.jobs = jobs, .n_jobs = n}};
    call_issue(core, &core->again, 1, voided);
}

static bool hole_due(const struct core *core, struct page *page)
{
    if (page->holes == 0)
        return false;
    uint64_t now = core_now(core);
    if (page->hole_since_ms == 0) {
        page->hole_since_ms = now;
        page->hole_wait_ms = HOLE_WAIT_MS_MIN;
        page->hole_next_ms = hole_next_ms(core, page);
    }
    return now >= page->hole_next_ms;
}

static void again_start(struct core *core, struct page *page)
{
    page->pinned = true;
    core->again_page = page;
    if (page->checks == 0 && core_now(core) - page->hole_since_ms >= core->config.hole_grace_ms) {
        void_start(core, page);
        return;
    }
    size_t from = 0, to = page->n;
    uint8_t wanted = page->checks > 0 ? TASK_CHECK : TASK_HOLE;
    while (page->tasks[from] != wanted)
        from++;
    while (page->tasks[to - 1] != wanted)
        to--;
    core->again_index = from;
    page->checks_came = false;
    core->again.steps[0] = (struct ds_step){
        .kind = DS_LOAD,
        .load = {.range = {.a = page->first + (int64_t)from, .b = page->first + (int64_t)to},
                 .rows_max = LIMIT_PAGE_JOBS},
    };
    call_issue(core, &core->again, 1, read_again);
}

static void again_tick(struct core *core)
{
    if (!call_ready(core, &core->again))
        return;
    for (size_t i = 0; i < core->n_holds; i++)
        for (struct page *page = core->holds[i]->pages; page != NULL; page = page->next)
            if (page->checks > 0 || hole_due(core, page)) {
                again_start(core, page);
                return;
            }
}

/* ---- giving back ---------------------------------------------------------------- */

/* Where the unstarted tail begins; range.b when there is none. While something runs or is on its
 * way to the store: behind the last such; else at the first id that is not resolved. A page pinned
 * by a read cannot be cut: then nothing leaves now. */
static int64_t tail_from(const struct hold *hold)
{
    int64_t first_open = hold->next_load, behind_busy = 0;
    for (const struct page *page = hold->pages; page != NULL; page = page->next) {
        if (page->pinned)
            return hold->range.b;
        for (size_t i = 0; i < page->n; i++) {
            int64_t id = page->first + (int64_t)i;
            if (task_busy(page->tasks[i]))
                behind_busy = id + 1;
            else if (task_waits(page->tasks[i]) && id < first_open)
                first_open = id;
        }
    }
    return behind_busy != 0 ? behind_busy : first_open;
}

static void page_cut(struct core *core, struct page *page, size_t n)
{
    for (size_t i = n; i < page->n; i++)
        count(page, page->tasks[i], 1, false);
    naming_forget(core, page, n);
    page->n = n;
}

/* Cuts [at, b) off; what was loaded of it is forgotten. */
static void hold_cut(struct core *core, struct hold *hold, int64_t at)
{
    struct page *last = NULL;
    struct page **link = &hold->pages;
    while (*link != NULL && (*link)->first < at) {
        last = *link;
        link = &last->next;
    }
    for (struct page *page = *link, *next; page != NULL; page = next) {
        next = page->next;
        page_free(core, page);
    }
    *link = NULL;
    hold->pages_last = last;
    if (last != NULL && at < last->first + (int64_t)last->n)
        page_cut(core, last, (size_t)(at - last->first));
    hold->range.b = at;
    if (hold->next_load > at)
        hold->next_load = at;
}

static void hold_leave(struct core *core, struct hold *hold, int64_t from)
{
    if (from >= hold->range.b || core->n_holds >= HOLDS_MAX)
        return;
    if (from == hold->range.a) {
        pages_free(core, hold);
        hold->next_load = from;
        hold->state = HOLD_LEAVING;
        return;
    }
    struct range tail = {.a = from, .b = hold->range.b, .suspect = hold->range.suspect};
    hold_cut(core, hold, from);
    struct hold *leaving = hold_add(core, tail, hold->lane);
    leaving->state = HOLD_LEAVING;
    leaving->named = hold->named;
    leaving->accepted = hold->accepted;
}

/* All goes back, or what is of paused queues: kept, it would fill the hands. */
static void leave_tick(struct core *core)
{
    bool all = core_leaving(core);
    for (size_t i = 0, n = core->n_holds; i < n; i++)
        if (core->holds[i]->state == HOLD_LIVE && (all || core->holds[i]->lane->paused))
            hold_leave(core, core->holds[i], tail_from(core->holds[i]));
}

void holds_shed(struct core *core, int32_t lane)
{
    struct hold *best = NULL;
    int64_t best_from = 0;
    for (size_t i = 0; i < core->n_holds; i++) {
        struct hold *hold = core->holds[i];
        if (hold->state != HOLD_LIVE || hold->lane->number != lane)
            continue;
        int64_t from = tail_from(hold);
        if (best == NULL || hold->range.b - from > best->range.b - best_from) {
            best = hold;
            best_from = from;
        }
    }
    if (best == NULL)
        return;
    int64_t tail = best->range.b - best_from;
    bool slots_busy = core->n_running >= (size_t)core->self.slots;
    int64_t give = slots_busy ? (tail + 1) / 2 : tail / 2;
    hold_leave(core, best, best->range.b - give);
}

/* ---- finished ---------------------------------------------------------------- */

static void page_leaves(struct core *core, struct hold *hold, struct page *page)
{
    for (size_t i = 0; i < page->n; i++) {
        hold->done += page->tasks[i] == TASK_DONE ? 1 : 0;
        hold->failed += page->tasks[i] == TASK_FAILED ? 1 : 0;
        hold->cancelled += page->tasks[i] == TASK_CANCELLED ? 1 : 0;
    }
    if (page->first_start_ms != 0 &&
        (hold->first_start_ms == 0 || page->first_start_ms < hold->first_start_ms))
        hold->first_start_ms = page->first_start_ms;
    if (page->last_finish_ms > hold->last_finish_ms)
        hold->last_finish_ms = page->last_finish_ms;
    hold->pages = page->next;
    if (hold->pages == NULL)
        hold->pages_last = NULL;
    page_free(core, page);
}

static void settle_tick(struct core *core)
{
    for (size_t i = 0; i < core->n_holds; i++) {
        struct hold *hold = core->holds[i];
        while (hold->pages != NULL && hold->pages->unresolved == 0 && !hold->pages->pinned)
            page_leaves(core, hold, hold->pages);
        if (hold->state == HOLD_LIVE && hold->pages == NULL && !hold->loading &&
            hold->next_load == hold->range.b) {
            hold->state = HOLD_RESOLVED;
            ledger_beat_by(core, core_now(core) + DROP_MS_MAX);
        }
    }
}

void holds_tick(struct core *core)
{
    settle_tick(core);
    again_tick(core);
    leave_tick(core);
    if (!core_leaving(core))
        load_start(core);
}

uint64_t holds_due_ms(const struct core *core)
{
    uint64_t due = call_due_ms(&core->load);
    uint64_t again = call_due_ms(&core->again);
    if (again < due)
        due = again;
    if (core->again.under_way)
        return due;
    for (size_t i = 0; i < core->n_holds; i++)
        for (const struct page *page = core->holds[i]->pages; page != NULL; page = page->next)
            if (page->holes > 0 && page->hole_next_ms < due && again == UINT64_MAX)
                due = page->hole_next_ms;
    return due;
}
