/* The node's own record and its dealings with the lanes: heartbeat, claim, return (DESIGN §4).
 *
 * One pen: at most one of these is under way, so the store sees them in the order meant. Each write
 * of the own record carries the whole own part and the next beat number; the guard (alive, stored
 * beat lower) lets a late duplicate change nothing. States of the pen, and what a crash or a lost
 * reply leaves between two steps:
 *
 *   ADD     [node_add]                        record there or not: added again under the same id
 *   BEAT    [stints, node_write]              there or not: written again with a higher beat
 *   CLAIM   [stints, claim, node_write, load] granted but not accepted: burial gives it back
 *   RETURN  [node_write(mark r+1), return r]  marked, not taken: burial returns it once, by number
 *   DROP    [entry_drop]                      gone or not
 *   broken  reads own record and lane back, learns which steps were applied, goes on from there
 *
 * Invariants: I1 (with steps.c), I5. Thread: the environment's; pure but for env. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/steps.h"
#include "node/core_internal.h"
#include "node/lifecycle.h"

/* ---- the own part --------------------------------------------------------------------------- */

static enum node_state state_now(const struct core *core)
{
    if (!core->registered)
        return NODE_INITIALIZING;
    if (!core->introduced)
        return NODE_WAITING;
    if (core->desired == DESIRED_PAUSED && !core->stopping)
        return NODE_PAUSED;
    return core->n_holds > 0 || core->n_running > 0 ? NODE_WORKING : NODE_WAITING;
}

static void state_move(struct core *core, enum node_state to)
{
    assert(lifecycle_allows(core->self.state, to));
    if (core->self.state == to)
        return;
    core->self.state = to;
    core->self.since_ms = core_store_ms(core);
}

static void rate_update(struct core *core)
{
    uint64_t now = core_now(core), span = now - core->rate_at_ms;
    if (span < 500)
        return;
    int64_t ended = core->self.done + core->self.failed;
    core->self.rate = (double)(ended - core->rate_done) * 1000.0 / (double)span;
    core->rate_done = ended;
    core->rate_at_ms = now;
}

static void ranges_fill(struct core *core, struct node *part, struct arena *mem)
{
    part->ranges = arena_alloc(mem, (core->n_holds + 1) * sizeof(*part->ranges));
    part->n_ranges = 0;
    for (size_t i = 0; i < core->n_holds; i++) {
        struct hold *hold = core->holds[i];
        hold->named = true;
        if (!hold->dropped)
            part->ranges[part->n_ranges++] =
                (struct node_range){.range = hold->range, .returning = hold->returning};
    }
    part->granted = arena_alloc(mem, (core->n_lanes + 1) * sizeof(*part->granted));
    part->n_granted = 0;
    for (size_t i = 0; i < core->n_lanes; i++)
        if (core->lanes[i]->g > 0)
            part->granted[part->n_granted++] =
                (struct node_grant){.lane = core->lanes[i]->number, .g = core->lanes[i]->g};
}

static void running_put(struct node *part, const struct job *row, int64_t started_ms)
{
    struct node_running *to = &part->running[part->n_running++];
    *to = (struct node_running){.id = row->id, .run = row->run, .started_ms = started_ms};
    snprintf(to->type, sizeof(to->type), "%s", row->type);
}

static void running_fill(struct core *core, struct node *part, struct arena *mem)
{
    size_t slots = (size_t)core->self.slots;
    part->running = arena_alloc(mem, (slots + core->n_naming + 1) * sizeof(*part->running));
    part->n_running = 0;
    for (size_t i = 0; i < slots; i++) {
        const struct running *r = &core->running[i];
        if (r->page != NULL)
            running_put(part, r->page->rows[r->index], r->started_ms);
    }
    for (size_t i = 0; i < core->n_naming; i++) {
        core->naming[i].sent = true;
        running_put(part, core->naming[i].page->rows[core->naming[i].index], 0);
    }
}

static struct ds_step *step_add(struct pen *pen, enum ds_kind kind)
{
    struct ds_step *step = &pen->call.steps[pen->n_steps++];
    *step = (struct ds_step){.kind = kind};
    return step;
}

/* The step of that kind in the run whose reply is here; NULL: it has none. */
static struct ds_step *step_of(struct pen *pen, enum ds_kind kind)
{
    for (size_t i = 0; i < pen->call.run.n_steps; i++)
        if (pen->call.steps[i].kind == kind)
            return &pen->call.steps[i];
    return NULL;
}

/* Rows of the ranges that are finished; the same run's write leaves them out of the record. A crash
 * between the two (not on backends that commit runs) has them counted again by whoever rescues. */
static void stints_make(struct core *core)
{
    struct pen *pen = &core->pen;
    struct stint_row *rows = arena_alloc(&pen->mem, (core->n_holds + 1) * sizeof(*rows));
    size_t n = 0;
    for (size_t i = 0; i < core->n_holds; i++) {
        struct hold *hold = core->holds[i];
        hold->dropped = hold->state == HOLD_RESOLVED;
        if (hold->dropped)
            rows[n++] = (struct stint_row){
                .range = hold->range,
                .node = core->self.id,
                .done = hold->done,
                .failed = hold->failed,
                .cancelled = hold->cancelled,
                .first_start_ms = hold->first_start_ms,
                .last_finish_ms = hold->last_finish_ms,
            };
    }
    if (n > 0)
        step_add(pen, DS_STINTS_ADD)->stints_add = (struct ds_stints_add){.rows = rows, .n = n};
}

/* A node_write step with the whole own part, copied so that it stays as it is while under way. */
static void write_make(struct core *core, enum node_state state, bool accept)
{
    struct pen *pen = &core->pen;
    state_move(core, state);
    rate_update(core);
    core->self.load = core->env->class->load(core->env);
    core->self.beat++;
    struct node *part = arena_alloc(&pen->mem, sizeof(*part));
    *part = core->self;
    ranges_fill(core, part, &pen->mem);
    running_fill(core, part, &pen->mem);
    step_add(pen, DS_NODE_WRITE)->node_write =
        (struct ds_node_write){.node = part, .accept = accept, .acked_request = core->request_seq};
    pen->sent_at_ms = core_now(core);
    core->farewell_sent = core->stopping && core_hands_empty(core);
}

/* A version of the record for the history rides on the write just made, when something changed. */
static void history_make(struct core *core)
{
    struct pen *pen = &core->pen;
    struct arena *mem = &pen->mem;
    const struct node *part = pen->call.steps[pen->n_steps - 1].node_write.node;
    struct history_lane *lanes = arena_alloc(mem, (core->n_lanes + 1) * sizeof(*lanes));
    for (size_t i = 0; i < core->n_lanes; i++) {
        const struct lane_view *lane = core->lanes[i];
        lanes[i] =
            (struct history_lane){lane->number, lane->head, lane->tail, lane->pool, lane->n_pool};
    }
    struct history_row *row = arena_alloc(mem, sizeof(*row));
    if (!history_version(core->history, part, lanes, core->n_lanes, core_store_ms(core), row, mem))
        return;
    struct ds_step *step = step_add(pen, DS_HISTORY_ADD);
    step->independent = true;
    step->history_add = (struct ds_history_add){.rows = row, .n = 1};
    history_thin(core->history, core_store_ms(core), &step->history_add.thin_before_ms,
                 &step->history_add.drop_before_ms);
}

static uint64_t beat_interval_ms(const struct core *core)
{
    return (uint64_t)core->self.lease_ms / 4;
}

void ledger_beat_by(struct core *core, uint64_t at_ms)
{
    if (at_ms < core->beat_due_ms)
        core->beat_due_ms = at_ms;
}

/* The write under way is known to be in the store. */
static void write_acknowledged(struct core *core)
{
    core->introduced = true;
    core->renewed_at_ms = core->pen.sent_at_ms;
    core->farewell = core->farewell || core->farewell_sent;
    core->beat_due_ms = core->pen.sent_at_ms + beat_interval_ms(core);
    for (size_t i = core->n_holds; i-- > 0;) {
        core->holds[i]->accepted = core->holds[i]->accepted || core->holds[i]->named;
        if (core->holds[i]->dropped)
            hold_remove(core, core->holds[i]);
    }
    naming_acknowledged(core);
    if (state_now(core) != core->self.state)
        ledger_beat_by(core, core_now(core) + beat_interval_ms(core) / 8);
}

static void write_reply(struct core *core, const struct ds_node_write *reply)
{
    core->clock_offset_ms = reply->ret_utc_ms - core->env->class->utc_ms(core->env);
    write_acknowledged(core);
    core_requests(core, reply->ret_desired, reply->ret_requests, reply->ret_n_requests);
}

/* ---- what each work does when its reply comes ------------------------------------------------ */

static void pen_idle(struct core *core)
{
    struct pen *pen = &core->pen;
    pen->work = PEN_IDLE;
    pen->broken = false;
    pen->lane = NULL;
    call_ok(&pen->call);
}

static void pen_break(struct core *core, int rc)
{
    core->pen.broken = true;
    core->pen.return_unsure = core->pen.return_unsure || rc == ERR_UNKNOWN_OUTCOME;
    /* A guard that was not met is looked into at once; trouble is given a moment. */
    if (rc == ERR_CONFLICT || rc == ERR_NOT_FOUND)
        call_ok(&core->pen.call);
    else
        call_retry(core, &core->pen.call);
}

static void added(struct core *core)
{
    core->registered = true;
    core->renewed_at_ms = core->pen.sent_at_ms;
    core->beat_due_ms = 0;
    pen_idle(core);
}

/* Another record has the name. Alive: a number makes another name, unless this one was chosen. Its
 * process gone, or silent for longer than its lease: it is buried first. */
static void name_taken(struct core *core, const struct node *owner)
{
    uint64_t now = core_now(core);
    int alive = core->env->class->peer_alive(core->env, owner);
    if (!core->config.name_fixed && alive != 0 && core->name_number < LIMIT_NODES) {
        char number[16];
        int len = snprintf(number, sizeof(number), "-%d", ++core->name_number);
        snprintf(core->self.name, sizeof(core->self.name), "%.*s%s", LIMIT_NAME_BYTES - len,
                 core->name_base, number);
        pen_idle(core);
        return;
    }
    if (core->name_owner != owner->id || core->name_owner_beat != owner->beat) {
        bool moved = core->name_owner == owner->id;
        core->name_owner = owner->id;
        core->name_owner_beat = owner->beat;
        core->name_since_ms = now;
        if (moved)
            alive = 1;
    }
    if (alive == 1) {
        core_fail(core, ERR_DUPLICATE,
                  "a node named %s is alive (host %s, pid %" PRId64
                  "): choose another --name, or stop that one first",
                  owner->name, owner->host, owner->pid);
        return;
    }
    if (alive == 0 || now - core->name_since_ms > (uint64_t)owner->lease_ms * 3 / 2)
        burial_start(core, owner->id, owner->beat, "crashed");
    pen_idle(core);
    call_retry(core, &core->pen.call); /* and add again in a moment */
}

/* The lane granted something: `entry` is what it has of this node now. */
static struct hold *granted(struct core *core, struct lane_view *lane,
                            const struct lane_entry *entry)
{
    lane->g = entry->g;
    lane->r = entry->r;
    lane->entry_there = true;
    lane->used_at_ms = core_now(core);
    core->claims++;
    lanes_look_soon(core);
    return hold_add(core, entry->last, lane);
}

/* NULL: it granted nothing. */
static struct hold *claimed(struct core *core, const struct ds_claim *claim)
{
    struct lane_view *lane = core->pen.lane;
    lane->backlog = claim->ret_backlog;
    lane->seen_at_ms = core_now(core);
    lane->used_at_ms = core_now(core);
    if (range_count(claim->ret_range) == 0) {
        lane->backlog = 0; /* nothing to be had: wait for the next look */
        return NULL;
    }
    return granted(core, lane,
                   &(struct lane_entry){.g = claim->g + 1, .last = claim->ret_range, .r = lane->r});
}

static void return_taken(struct core *core)
{
    struct lane_view *lane = core->pen.lane;
    lane->r++;
    lane->used_at_ms = core_now(core);
    for (size_t i = core->n_holds; i-- > 0;)
        if (core->holds[i]->state == HOLD_RETURNING)
            hold_remove(core, core->holds[i]);
    ledger_beat_by(core, core_now(core) + beat_interval_ms(core) / 4);
    pen_idle(core);
}

/* The lane's pool had no room: keep the ranges (unmarked) and offer them again later. */
static void return_refused(struct core *core)
{
    for (size_t i = 0; i < core->n_holds; i++)
        if (core->holds[i]->state == HOLD_RETURNING) {
            core->holds[i]->state = HOLD_LEAVING;
            core->holds[i]->returning = 0;
        }
    core->pen.return_wait_until_ms = core_now(core) + RETRY_MS_MAX;
    ledger_beat_by(core, core_now(core));
    pen_idle(core);
}

static void claim_reply(struct core *core)
{
    const struct ds_step *claim = step_of(&core->pen, DS_CLAIM);
    const struct ds_step *write = step_of(&core->pen, DS_NODE_WRITE);
    int rc = ds_run_code(&core->pen.call.run);
    if (rc != 0) {
        pen_break(core, rc);
        return;
    }
    /* Whoever was asked about meanwhile may have been read before; by this reply's own requests the
     * rows are not older. */
    const struct ds_step *load = step_of(&core->pen, DS_LOAD);
    bool loaded = load != NULL && load->rc == 0 && !core->claim_outdated;
    struct hold *hold = claimed(core, &claim->claim);
    pen_idle(core);
    write_reply(core, &write->node_write);
    if (hold != NULL && loaded)
        holds_load_take(core, hold, &load->load, &core->pen.call.run.mem);
}

static void return_reply(struct core *core)
{
    const struct ds_step *write = step_of(&core->pen, DS_NODE_WRITE);
    int rc = step_of(&core->pen, DS_RETURN)->rc;
    if (write->rc != 0) {
        pen_break(core, write->rc);
        return;
    }
    write_reply(core, &write->node_write);
    if (rc == 0)
        return_taken(core);
    else if (rc == ERR_LIMIT && !core->pen.return_unsure)
        return_refused(core);
    else
        pen_break(core, rc);
}

static void beat_reply(struct core *core)
{
    int rc = ds_run_code(&core->pen.call.run);
    if (rc != 0) {
        pen_break(core, rc);
        return;
    }
    pen_idle(core);
    write_reply(core, &step_of(&core->pen, DS_NODE_WRITE)->node_write);
}

static void add_reply(struct core *core, const struct ds_step *step)
{
    if (step->rc == 0)
        added(core);
    else if (step->rc == ERR_DUPLICATE)
        pen_break(core, ERR_CONFLICT); /* our own earlier try, or somebody of that name? */
    else if (step->rc == ERR_INVALID || step->rc == ERR_VERSION || step->rc == ERR_CORRUPT ||
             step->rc == ERR_READ_ONLY)
        core_fail(core, step->rc, "cannot register the node: %s",
                  core->pen.call.run.err.code != 0 ? core->pen.call.run.err.text
                                                   : error_text(step->rc));
    else
        pen_break(core, step->rc);
}

static void drop_reply(struct core *core, const struct ds_step *step)
{
    if (step->rc != 0 && step->rc != ERR_NOT_FOUND) {
        pen_break(core, step->rc);
        return;
    }
    core->pen.lane->entry_there = false;
    pen_idle(core);
}

static void pen_done(struct ds_run *run, void *ctx)
{
    struct call *call = ctx;
    struct core *core = call_returned(call);
    struct pen *pen = &core->pen;
    const struct ds_step *history = step_of(pen, DS_HISTORY_ADD);
    if (history != NULL && history->rc != 0)
        history_lost(core->history);
    switch (pen->work) {
    case PEN_ADD:
        add_reply(core, &run->steps[0]);
        break;
    case PEN_BEAT:
        beat_reply(core);
        break;
    case PEN_CLAIM:
        claim_reply(core);
        break;
    case PEN_RETURN:
        return_reply(core);
        break;
    case PEN_DROP:
        drop_reply(core, &run->steps[0]);
        break;
    case PEN_IDLE:
        assert(!"a reply without work");
    }
    arena_release(&run->mem);
}

/* ---- making good a lost reply ---------------------------------------------------------------- */

static const struct lane_entry *own_entry(const struct core *core, const struct lane *lane)
{
    for (size_t i = 0; i < lane->n_entries; i++)
        if (lane->entries[i].node == core->self.id)
            return &lane->entries[i];
    return NULL;
}

/* What the lane has of this node while no claim or return of it is under way. A grant that is not
 * known: a claim that had been given up was carried out after all. */
void ledger_entry_seen(struct core *core, struct lane_view *lane, const struct lane_entry *entry)
{
    if (entry->g == lane->g)
        return;
    bool next = entry->g == lane->g + 1;
    bool other_life = !lane->entry_there && grant_life(entry->g) != grant_life(lane->g);
    if (!next && !other_life) {
        core_fence(core, "a lane knows other grants than it took");
    } else if (core->n_holds < HOLDS_MAX) {
        /* The record may not name it yet: nothing of it starts before a write that does. */
        granted(core, lane, entry)->accepted = false;
        ledger_beat_by(core, 0);
    }
}

static void claim_made_good(struct core *core, const struct lane_entry *entry)
{
    struct lane_view *lane = core->pen.lane;
    if (entry == NULL && lane->entry_there) {
        core_fence(core, "its entry was taken out of a lane");
        return;
    }
    if (entry == NULL)
        lane->g = lane->r = ++lane->life << GRANT_COUNT_BITS; /* given up: another life */
    else
        ledger_entry_seen(core, lane, entry);
    pen_idle(core);
    ledger_beat_by(core, 0);
}

static void return_start_again(struct core *core);

static void return_made_good(struct core *core, const struct lane_entry *entry)
{
    struct lane_view *lane = core->pen.lane;
    if (entry == NULL) {
        core_fence(core, "its entry was taken out of a lane");
    } else if (entry->r == lane->r + 1) {
        return_taken(core);
        ledger_beat_by(core, 0);
    } else if (entry->r == lane->r) {
        return_start_again(core);
    } else {
        core_fence(core, "a lane knows more returns than it made");
    }
}

static void name_check(struct core *core, const struct ds_nodes_read *live)
{
    for (size_t i = 0; i < live->ret_n; i++)
        if (strcmp(live->ret_nodes[i].name, core->self.name) == 0) {
            name_taken(core, &live->ret_nodes[i]);
            return;
        }
    pen_idle(core); /* nobody has it: add again */
}

/* What the store says of our record: true when we may go on. */
static bool own_record_read(struct core *core, const struct ds_step *step)
{
    if (core->pen.work == PEN_ADD) {
        if (step->rc == 0 && step->nodes_read.ret_nodes[0].state == NODE_DEAD)
            core_fence(core, step->nodes_read.ret_nodes[0].cause); /* buried before it heard */
        else if (step->rc == 0)
            added(core);
        else
            name_check(core, &core->pen.call.steps[1].nodes_read);
        return false;
    }
    if (step->rc == ERR_NOT_FOUND) {
        core_fence(core, "its record is gone");
        return false;
    }
    const struct node *record = &step->nodes_read.ret_nodes[0];
    if (record->state == NODE_DEAD) {
        core_fence(core, record->cause);
        return false;
    }
    if (record->beat == core->self.beat)
        write_acknowledged(core);
    else
        ledger_beat_by(core, 0);
    return true;
}

static void made_good(struct ds_run *run, void *ctx)
{
    struct call *call = ctx;
    struct core *core = call_returned(call);
    struct pen *pen = &core->pen;
    int rc0 = run->steps[0].rc;
    int rc1 = run->n_steps > 1 ? run->steps[1].rc : 0;
    if ((rc0 != 0 && rc0 != ERR_NOT_FOUND) || rc1 != 0) {
        call_retry(core, call);
    } else if (own_record_read(core, &run->steps[0])) {
        const struct lane_entry *entry =
            run->n_steps > 1 ? own_entry(core, &run->steps[1].lanes_read.ret_lanes[0]) : NULL;
        if (pen->work == PEN_CLAIM)
            claim_made_good(core, entry);
        else if (pen->work == PEN_RETURN)
            return_made_good(core, entry);
        else if (pen->work == PEN_DROP) {
            pen->lane->entry_there = entry != NULL;
            pen_idle(core);
        } else
            pen_idle(core);
    }
    arena_release(&run->mem);
}

/* Reads back what the broken work may have changed. ADD: whether another live node has the name is
 * told by the second step: is anybody there at all under this name? */
static void make_good(struct core *core)
{
    struct pen *pen = &core->pen;
    size_t n = 0;
    pen->call.steps[n++] = (struct ds_step){
        .kind = DS_NODES_READ,
        .independent = true,
        .nodes_read = {.node = core->self.id},
    };
    if (pen->work == PEN_ADD)
        pen->call.steps[n++] =
            (struct ds_step){.kind = DS_NODES_READ, .nodes_read = {.live_only = true}};
    else if (pen->lane != NULL)
        pen->call.steps[n++] = (struct ds_step){
            .kind = DS_LANES_READ,
            .lanes_read = {.lane = pen->lane->number, .entries_of = core->self.id},
        };
    call_issue(core, &pen->call, n, made_good);
}

/* ---- starting work --------------------------------------------------------------------------- */

static void add_start(struct core *core)
{
    struct pen *pen = &core->pen;
    pen->work = PEN_ADD;
    pen->sent_at_ms = core_now(core);
    core->self.beat = 1;
    core->self.since_ms = core->env->class->utc_ms(core->env);
    core->self.created_ms = core->self.since_ms;
    pen->call.steps[0] = (struct ds_step){.kind = DS_NODE_ADD, .node_add = {.node = &core->self}};
    call_issue(core, &pen->call, 1, pen_done);
}

static void gather(struct pen *pen)
{
    arena_release(&pen->mem);
    pen->n_steps = 0;
}

static void beat_start(struct core *core)
{
    struct pen *pen = &core->pen;
    pen->work = PEN_BEAT;
    gather(pen);
    stints_make(core);
    write_make(core, state_now(core), false);
    history_make(core);
    pen->call.run.urgent = true;
    call_issue(core, &pen->call, pen->n_steps, pen_done);
}

static void claim_start(struct core *core, struct lane_view *lane, int64_t want)
{
    struct pen *pen = &core->pen;
    pen->work = PEN_CLAIM;
    pen->lane = lane;
    pen->lane_works++;
    gather(pen);
    stints_make(core);
    step_add(pen, DS_CLAIM)->claim = (struct ds_claim){
        .lane = lane->number,
        .node = core->self.id,
        .g = lane->g,
        .r = lane->r,
        .make_entry = !lane->entry_there,
        .want = want,
    };
    write_make(core, NODE_WORKING, true);
    /* Where nobody commits a run at once the jobs would wait for it: the next heartbeat has it. */
    if (!core->config.wake_unsure)
        history_make(core);
    if (holds_load_make(core, lane, want, &pen->call.steps[pen->n_steps]))
        pen->n_steps++;
    pen->call.run.urgent = true;
    call_issue(core, &pen->call, pen->n_steps, pen_done);
}

static void return_start_again(struct core *core)
{
    struct pen *pen = &core->pen;
    pen->broken = false;
    gather(pen);
    stints_make(core);
    write_make(core, state_now(core), false);
    step_add(pen, DS_RETURN)->give_back = (struct ds_give_back){
        .lane = pen->lane->number,
        .node = core->self.id,
        .r = pen->lane->r,
        .ranges = pen->ranges,
        .n_ranges = pen->n_ranges,
    };
    call_issue(core, &pen->call, pen->n_steps, pen_done);
}

/* Gathers leaving ranges of one lane under one return. */
static bool return_start(struct core *core)
{
    struct pen *pen = &core->pen;
    pen->lane = NULL;
    pen->n_ranges = 0;
    pen->return_unsure = false;
    if (core_now(core) < pen->return_wait_until_ms)
        return false;
    for (size_t i = 0; i < core->n_holds && pen->n_ranges < LIMIT_RETURN_RANGES; i++) {
        struct hold *hold = core->holds[i];
        if (hold->state != HOLD_LEAVING || hold->loading)
            continue;
        if (pen->lane == NULL)
            pen->lane = hold->lane;
        if (hold->lane != pen->lane)
            continue;
        hold->state = HOLD_RETURNING;
        hold->returning = pen->lane->r + 1;
        pen->ranges[pen->n_ranges++] = hold->range;
    }
    if (pen->lane == NULL)
        return false;
    pen->work = PEN_RETURN;
    pen->lane_works++;
    return_start_again(core);
    return true;
}

static bool drop_start(struct core *core)
{
    struct pen *pen = &core->pen;
    uint64_t now = core_now(core);
    for (size_t i = 0; i < core->n_lanes; i++) {
        struct lane_view *lane = core->lanes[i];
        bool held = false;
        for (size_t k = 0; k < core->n_holds; k++)
            held = held || core->holds[k]->lane == lane;
        if (held || !lane->entry_there || now - lane->used_at_ms < ENTRY_IDLE_MS)
            continue;
        pen->work = PEN_DROP;
        pen->lane = lane;
        pen->lane_works++;
        pen->call.steps[0] = (struct ds_step){
            .kind = DS_ENTRY_DROP,
            .entry_drop = {.lane = lane->number, .node = core->self.id, .g = lane->g},
        };
        call_issue(core, &pen->call, 1, pen_done);
        return true;
    }
    return false;
}

/* A grant is held that the own record may not know yet: the lane remembers the last one only, so
 * nothing is claimed before a write that accepts it (I1). */
static bool grant_unaccepted(const struct core *core)
{
    for (size_t i = 0; i < core->n_holds; i++)
        if (!core->holds[i]->accepted)
            return true;
    return false;
}

static bool beat_needed(const struct core *core)
{
    if (core_now(core) >= core->beat_due_ms || grant_unaccepted(core))
        return true;
    for (size_t i = 0; i < core->n_naming; i++)
        if (!core->naming[i].sent)
            return true;
    return false;
}

uint64_t ledger_lane_works(const struct core *core)
{
    enum pen_work work = core->pen.work;
    bool busy = work == PEN_CLAIM || work == PEN_RETURN || work == PEN_DROP;
    return busy ? UINT64_MAX : core->pen.lane_works;
}

void ledger_tick(struct core *core)
{
    struct pen *pen = &core->pen;
    if (!call_ready(core, &pen->call))
        return;
    if (pen->broken) {
        make_good(core);
        return;
    }
    assert(pen->work == PEN_IDLE);
    pen->call.run.urgent = false;
    if (!core->registered) {
        if (!core->stopping)
            add_start(core);
        return;
    }
    /* Once the node has asked for its own burial its record is no longer its to write. */
    if (core->burial.stage != BURY_IDLE && core->burial.target == core->self.id)
        return;
    if (!core->introduced) {
        beat_start(core);
        return;
    }
    if (return_start(core))
        return;
    int64_t want;
    bool may_claim = core_may_claim(core) && !grant_unaccepted(core);
    struct lane_view *lane = may_claim ? lanes_choose(core, &want) : NULL;
    if (lane != NULL)
        claim_start(core, lane, want);
    else if (beat_needed(core))
        beat_start(core);
    else
        drop_start(core);
}

uint64_t ledger_due_ms(const struct core *core)
{
    const struct pen *pen = &core->pen;
    if (pen->call.under_way)
        return UINT64_MAX;
    if (pen->call.retry_at_ms != 0)
        return pen->call.retry_at_ms;
    uint64_t turn_ms = core->claim_after_ms;
    if (turn_ms > core_now(core) && turn_ms < core->beat_due_ms)
        return turn_ms;
    return core->beat_due_ms;
}

void ledger_release(struct core *core)
{
    arena_release(&core->pen.mem);
    arena_release(&core->pen.call.run.mem);
}
