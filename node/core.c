/* A node's life: registering, stopping, being fenced, and what is due when.
 *
 *     core_new -> (ledger: add record) -> work ... core_stop -> return, bury oneself -> STOPPED
 *                                          fence  -> end jobs, offer outcomes        -> FENCED
 *                                          trouble that no retry mends               -> FAILED
 *
 * Every tick asks each part to do what is due and returns when the next thing will be. Each write
 * to the store is one guarded step of DESIGN §4, so the process may die between any two of them.
 * Invariants: I5 (state moves, enforced in ledger.c through lifecycle.h), I7 (a graceful stop runs
 * nothing twice). Thread: the environment's. */
#include "node/core_internal.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/steps.h"

uint64_t core_now(const struct core *core)
{
    return core->env->class->now_ms(core->env);
}

int64_t core_store_ms(const struct core *core)
{
    return core->env->class->utc_ms(core->env) + core->clock_offset_ms;
}

/* ---- calls ---------------------------------------------------------------------------------- */

void call_issue(struct core *core, struct call *call, size_t n_steps,
                void (*done)(struct ds_run *run, void *ctx))
{
    assert(!call->under_way && n_steps >= 1 && n_steps <= LIMIT_RUN_STEPS);
    call->core = core;
    call->run.steps = call->steps;
    call->run.n_steps = n_steps;
    call->run.done = done;
    call->run.ctx = call;
    call->run.err = (struct error){0};
    call->under_way = true;
    core->calls_under_way++;
    core->steps_asked += n_steps;
    core->env->class->run(core->env, &call->run);
}

struct core *call_returned(struct call *call)
{
    assert(call->under_way && call->core->calls_under_way > 0);
    call->under_way = false;
    call->core->calls_under_way--;
    return call->core;
}

bool call_ready(const struct core *core, const struct call *call)
{
    return !call->under_way && core_now(core) >= call->retry_at_ms;
}

void call_retry(struct core *core, struct call *call)
{
    call->wait_ms = call->wait_ms == 0 ? RETRY_MS_MIN : call->wait_ms * 2;
    if (call->wait_ms > RETRY_MS_MAX)
        call->wait_ms = RETRY_MS_MAX;
    /* Jitter, so that nodes that failed together do not come back together. */
    uint64_t jitter = core->env->class->random(core->env) % (call->wait_ms / 2 + 1);
    call->retry_at_ms = core_now(core) + call->wait_ms / 2 + jitter;
}

void call_ok(struct call *call)
{
    call->wait_ms = 0;
    call->retry_at_ms = 0;
}

uint64_t call_due_ms(const struct call *call)
{
    return !call->under_way && call->retry_at_ms != 0 ? call->retry_at_ms : UINT64_MAX;
}

/* ---- making and freeing --------------------------------------------------------------------- */

struct core *core_new(const struct core_config *config, struct env *env)
{
    struct core *core = calloc(1, sizeof(*core));
    struct running *slots = calloc((size_t)config->identity->slots, sizeof(*slots));
    if (core == NULL || slots == NULL)
        abort();
    assert(config->identity->slots >= 1 && config->identity->slots <= LIMIT_SLOTS);
    assert(config->identity->lease_ms >= 1);
    core->config = *config;
    core->env = env;
    core->self = node_copy(config->identity, &core->identity_mem);
    core->self.state = NODE_INITIALIZING;
    core->config.identity = NULL;
    core->running = slots;
    core->name_number = 1;
    snprintf(core->name_base, sizeof(core->name_base), "%s", core->self.name);
    core->live_nodes = 1;
    core->renewed_at_ms = core_now(core);
    core->rate_at_ms = core->renewed_at_ms;
    core->look_wanted = core->own_wanted = true;
    core->history = history_new();
    outcomes_init(core);
    return core;
}

void core_free(struct core *core)
{
    assert(core->calls_under_way == 0);
    holds_release(core);
    outcomes_release(core);
    lanes_release(core);
    burial_release(core);
    ledger_release(core);
    history_free(core->history);
    free(core->running);
    arena_release(&core->identity_mem);
    free(core);
}

/* ---- what it may do now --------------------------------------------------------------------- */

bool core_leaving(const struct core *core)
{
    return core->stopping || core->desired != DESIRED_RUN;
}

/* Self-fencing: a node that could not renew for most of its lease starts nothing, because others
 * may bury it before long (DESIGN §4). */
static bool renewed_in_time(const struct core *core)
{
    return core_now(core) - core->renewed_at_ms < (uint64_t)core->self.lease_ms * 3 / 4;
}

bool core_may_start(const struct core *core)
{
    return core->phase == CORE_RUNNING && core->registered && !core->fenced &&
           !core_leaving(core) && renewed_in_time(core) && outcomes_room(core);
}

bool core_may_claim(const struct core *core)
{
    return core_may_start(core) && core->introduced;
}

/* ---- ends ----------------------------------------------------------------------------------- */

void core_fence(struct core *core, const char *why)
{
    if (core->fenced || core->phase != CORE_RUNNING)
        return;
    core->fenced = true;
    core->fenced_at_ms = core_now(core);
    snprintf(core->fence_cause, sizeof(core->fence_cause), "%s", why);
    /* Its ranges belong to others now: end what runs, whatever its outcome would be. */
    tasks_end_all(core, 0, true);
}

void core_fail(struct core *core, int code, const char *format, ...)
{
    if (core->phase != CORE_RUNNING)
        return;
    va_list args;
    va_start(args, format);
    core->error.code = code;
    vsnprintf(core->error.text, sizeof(core->error.text), format, args);
    va_end(args);
    core->phase = CORE_FAILED;
    tasks_end_all(core, 0, true);
}

void core_stop(struct core *core, bool at_once)
{
    if (!core->stopping) {
        core->stopping = true;
        core->stop_asked_at_ms = core_now(core);
    }
    if (at_once && !core->stop_at_once) {
        core->stop_at_once = true;
        tasks_end_all(core, 0, true);
    }
}

void core_requests(struct core *core, enum node_desired desired,
                   const struct node_request *requests, size_t n)
{
    core->desired = desired;
    if (desired == DESIRED_STOPPED && !core->stopping)
        core_stop(core, false);
    for (size_t i = 0; i < n; i++) {
        if (requests[i].seq <= core->request_seq)
            continue;
        core->request_seq = requests[i].seq;
        /* Acknowledged by the next write of the record: have one soon, there is room for few. */
        ledger_beat_by(core, core_now(core) + LOOK_MS_MIN);
        if (requests[i].kind == REQUEST_SHED) {
            lanes_shed(core, id_lane(requests[i].id));
        } else {
            size_t index;
            struct page *page = holds_find(core, requests[i].id, &index);
            if (page != NULL)
                task_cancelled(core, page, index);
            else
                holds_outdated(core, requests[i].id);
        }
    }
}

bool core_hands_empty(const struct core *core)
{
    return core->n_holds == 0 && core->n_running == 0 && outcomes_idle(core);
}

static void stop_tick(struct core *core)
{
    uint64_t now = core_now(core);
    if (!core->registered && !core->pen.call.under_way && core->pen.work == PEN_IDLE) {
        core->phase = CORE_STOPPED;
        return;
    }
    if (now - core->stop_asked_at_ms >= core->config.stop_timeout_ms)
        tasks_end_all(core, core->stop_at_once ? 0 : core->config.kill_grace_ms, true);
    bool empty = core->registered && core_hands_empty(core) && core->pen.work == PEN_IDLE;
    if (empty && !core->farewell)
        ledger_beat_by(core, now);
    else if (empty && burial_idle(core))
        burial_start(core, core->self.id, core->self.beat, "stopped");
    /* A second request to stop does not wait for a datastore that does not answer: others bury. */
    uint64_t patience = core->config.stop_timeout_ms + (uint64_t)core->self.lease_ms;
    if (core->stop_at_once && core->n_running == 0 && now - core->renewed_at_ms > patience)
        core_fail(core, ERR_UNAVAILABLE,
                  "stopped without an answer from the datastore; other nodes will bury %s",
                  core->self.name);
}

/* A fenced node offers the outcomes it had gathered; the guard decides. Then it is over. */
static void fenced_tick(struct core *core)
{
    bool patience_over = core_now(core) - core->fenced_at_ms > (uint64_t)core->self.lease_ms;
    if (core->n_running == 0 && (outcomes_idle(core) || patience_over)) {
        core->phase = CORE_FENCED;
        error_set(&core->error, ERR_REFUSED, "%s", core->fence_cause);
    }
}

/* ---- ticking -------------------------------------------------------------------------------- */

static uint64_t soonest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t core_tick(struct core *core)
{
    if (core->phase != CORE_RUNNING)
        return UINT64_MAX;
    if (core->fenced) {
        outcomes_tick(core);
        fenced_tick(core);
    } else {
        holds_tick(core);
        tasks_tick(core);
        outcomes_tick(core);
        ledger_tick(core);
        lanes_tick(core);
        burial_tick(core);
        if (core->stopping && !core->fenced)
            stop_tick(core);
    }
    if (core->phase != CORE_RUNNING)
        return UINT64_MAX;
    uint64_t now = core_now(core);
    uint64_t due = now + (uint64_t)core->self.lease_ms;
    due = soonest(due, outcomes_due_ms(core));
    if (!core->fenced) {
        due = soonest(due, ledger_due_ms(core));
        due = soonest(due, lanes_due_ms(core));
        due = soonest(due, holds_due_ms(core));
        due = soonest(due, tasks_due_ms(core));
        due = soonest(due, burial_due_ms(core));
    }
    if (core->stopping)
        due = soonest(due, now + RETRY_MS_MAX / 4);
    return due > now ? due - now : 1;
}

void core_woken(struct core *core)
{
    /* Who has a turn looks again when it comes. */
    core->look_wanted = core->look_wanted || !core->turn_taken;
    core->own_wanted = true;
    core->rung = true;
}

void core_peer_gone(struct core *core, int64_t node)
{
    if (core->n_gone < sizeof(core->gone) / sizeof(core->gone[0]))
        core->gone[core->n_gone++] = node;
    core->peers_at_ms = 0; /* its beat is needed for the guard: read the peers now */
}

enum core_phase core_phase(const struct core *core)
{
    return core->phase;
}

const struct error *core_error(const struct core *core)
{
    return &core->error;
}

bool core_quiet(const struct core *core)
{
    return core->calls_under_way == 0 && core->n_running == 0;
}

struct core_view core_view(const struct core *core)
{
    size_t held = 0;
    for (size_t i = 0; i < core->n_holds; i++)
        held += core->holds[i]->state != HOLD_RESOLVED ? 1 : 0;
    return (struct core_view){
        .name = core->self.name,
        .id = core->self.id,
        .state = core->self.state,
        .running = core->n_running,
        .held_ranges = held,
        .done = core->self.done,
        .failed = core->self.failed,
        .interrupted = core->self.interrupted,
        .claims = core->claims,
        .steps = core->steps_asked,
    };
}
