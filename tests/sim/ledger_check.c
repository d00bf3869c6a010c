/* The invariants of DESIGN §6, computed from the records alone.
 *
 * Where an id is (I1) is counted as the model checkers beside DESIGN count it: at or above head; in
 * the pool; in a range of a node's record whose return the lane has not taken, or in a last grant
 * which that record does not know yet, as long as the lane has the node's entry. An entry of
 * another life than the record's (records.h) has its last grant only. One thread. */
#include "tests/sim/ledger_check.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/lifecycle.h"

enum { LANES_MAX = 8 };

struct seen_lane {
    struct ledger_row *rows; /* by sequence */
    size_t n;
};

struct seen_node {
    int64_t id;
    enum node_state state;
    uint64_t beat, moved_ms;
};

struct ledger_check {
    struct datastore *ds;
    const uint64_t *now_ms;
    struct seen_lane lanes[LANES_MAX];
    struct seen_node *nodes;
    size_t n_nodes;
    bool drained;
    ledger_changed_fn *changed; /* NULL: nobody wants to know */
    void *changed_ctx;
    char broken[256];
};

struct ledger_check *ledger_check_new(struct datastore *ds, const uint64_t *now_ms)
{
    struct ledger_check *check = calloc(1, sizeof(*check));
    assert(check != NULL);
    check->ds = ds;
    check->now_ms = now_ms;
    return check;
}

void ledger_check_free(struct ledger_check *check)
{
    for (size_t i = 0; i < LANES_MAX; i++)
        free(check->lanes[i].rows);
    free(check->nodes);
    free(check);
}

void ledger_check_tell(struct ledger_check *check, ledger_changed_fn *changed, void *ctx)
{
    check->changed = changed;
    check->changed_ctx = ctx;
}

const char *ledger_check_broken(const struct ledger_check *check)
{
    return check->broken;
}

void ledger_check_break(struct ledger_check *check, const char *format, ...)
{
    if (check->broken[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(check->broken, sizeof(check->broken), format, args);
    va_end(args);
}

bool ledger_check_drained(const struct ledger_check *check)
{
    return check->drained;
}

const struct ledger_row *ledger_check_row(const struct ledger_check *check, int64_t id)
{
    const struct seen_lane *lane = &check->lanes[id_lane(id)];
    size_t seq = (size_t)id_seq(id);
    return seq < lane->n ? &lane->rows[seq] : NULL;
}

/* ---- rows: I2, I4 ---------------------------------------------------------------- */

static void row_compare(struct ledger_check *check, const struct ledger_row *old,
                        const struct job *job)
{
    int64_t seq = id_seq(job->id);
    int32_t attempts_max =
        job->spec != NULL && job->spec->max_attempts > 0 ? job->spec->max_attempts : 1;
    if (job->state != JOB_VOID &&
        (job->run - job->interruptions > attempts_max || job->run < 1 ||
         job->interruptions > MAX_INTERRUPTIONS_DEFAULT || job->interruptions < 0))
        ledger_check_break(check, "I4: job %" PRId64 " at run %d, %d interruptions", seq, job->run,
                           job->interruptions);
    if (!old->there)
        return;
    if (job->run < old->run || job->interruptions < old->interruptions)
        ledger_check_break(check, "I4: job %" PRId64 " went back from run %d to %d", seq, old->run,
                           job->run);
    if (job->token != old->token)
        ledger_check_break(check, "I9: the row of job %" PRId64 " became another's", seq);
    bool ended = job_state_finished(old->state) || old->state == JOB_VOID;
    if (ended && (job->state != old->state || job->finished_ms != old->finished_ms ||
                  job->node != old->node || job->run != old->run))
        ledger_check_break(check, "I2: job %" PRId64 " was %s, is %s", seq,
                           job_state_name(old->state), job_state_name(job->state));
}

static void rows_grow(struct seen_lane *lane, size_t n)
{
    if (n <= lane->n)
        return;
    lane->rows = realloc(lane->rows, n * sizeof(*lane->rows));
    assert(lane->rows != NULL);
    memset(lane->rows + lane->n, 0, (n - lane->n) * sizeof(*lane->rows));
    lane->n = n;
}

static void rows_see(struct ledger_check *check, const struct lane *lane, struct arena *mem)
{
    struct seen_lane *seen = &check->lanes[lane->number];
    rows_grow(seen, (size_t)id_seq(lane->tail));
    if (id_seq(lane->tail) <= 1)
        return;
    struct ds_step step = {
        .kind = DS_LOAD,
        .load = {.range = {.a = id_make(lane->number, 1), .b = lane->tail},
                 .rows_max = LIMIT_PAGE_JOBS},
    };
    int rc = datastore_step(check->ds, &step, mem, NULL);
    assert(rc == 0 && step.load.ret_next == lane->tail);
    (void)rc;
    for (size_t i = 0; i < step.load.ret_n; i++) {
        const struct job *job = &step.load.ret_jobs[i];
        struct ledger_row *row = &seen->rows[id_seq(job->id)], before = *row;
        row_compare(check, row, job);
        *row = (struct ledger_row){
            .there = true,
            .state = job->state,
            .run = job->run,
            .interruptions = job->interruptions,
            .token = job->token,
            .node = job->node,
            .finished_ms = job->finished_ms,
            .named = before.named,
        };
        if (check->changed != NULL &&
            (!before.there || before.state != row->state || before.run != row->run))
            check->changed(check->changed_ctx, job->id, &before, row);
    }
    for (size_t i = 1, k = 0; i < seen->n; i++) {
        bool there = k < step.load.ret_n && id_seq(step.load.ret_jobs[k].id) == (int64_t)i;
        k += there ? 1 : 0;
        if (seen->rows[i].there && !there)
            ledger_check_break(check, "I9: the row of job %zu is gone", i);
    }
}

/* ---- places: I1 ---------------------------------------------------------------- */

static void place(struct ledger_check *check, const struct lane *lane, uint8_t *places,
                  struct range range)
{
    if (id_lane(range.a) != lane->number || range.b > lane->head)
        ledger_check_break(check, "I1: a range held in lane %d ends past its head", lane->number);
    else
        for (int64_t id = range.a; id < range.b; id++)
            places[id_seq(id)]++;
}

static void entry_place(struct ledger_check *check, const struct lane *lane,
                        const struct lane_entry *entry, const struct node *node, uint8_t *places)
{
    uint64_t granted = 0;
    for (size_t i = 0; node != NULL && i < node->n_granted; i++)
        if (node->granted[i].lane == lane->number)
            granted = node->granted[i].g;
    bool same_life = grant_life(entry->g) == grant_life(granted);
    for (size_t i = 0; node != NULL && same_life && i < node->n_ranges; i++) {
        const struct node_range *held = &node->ranges[i];
        if (id_lane(held->range.a) == lane->number &&
            !(held->returning != 0 && held->returning <= entry->r))
            place(check, lane, places, held->range);
    }
    if (!same_life || entry->g > granted)
        place(check, lane, places, entry->last);
}

static const struct node *node_of(const struct ds_nodes_read *nodes, int64_t id)
{
    for (size_t i = 0; i < nodes->ret_n; i++)
        if (nodes->ret_nodes[i].id == id)
            return &nodes->ret_nodes[i];
    return NULL;
}

static void lane_check(struct ledger_check *check, const struct lane *lane,
                       const struct ds_nodes_read *nodes, struct arena *mem)
{
    const struct seen_lane *seen = &check->lanes[lane->number];
    uint8_t *places = arena_alloc(mem, seen->n + 1);
    for (size_t i = 0; i < lane->n_pool; i++)
        place(check, lane, places, lane->pool[i]);
    for (size_t i = 0; i < lane->n_entries; i++) {
        const struct node *node = node_of(nodes, lane->entries[i].node);
        entry_place(check, lane, &lane->entries[i], node, places);
        check->drained = check->drained && node != NULL && node->state != NODE_DEAD;
    }
    check->drained = check->drained && lane->head == lane->tail && lane->n_pool == 0;
    for (int64_t id = lane->head; id < lane->tail; id++)
        places[id_seq(id)]++;
    for (size_t i = 1; i < seen->n; i++) {
        const struct ledger_row *row = &seen->rows[i];
        bool leads = !row->there || row->state == JOB_QUEUED;
        check->drained = check->drained && !leads;
        if (places[i] > 1 || (leads && places[i] == 0))
            ledger_check_break(check, "I1: id %zu of lane %d is in %u places (%s)", i, lane->number,
                               places[i], row->there ? job_state_name(row->state) : "no row");
    }
}

/* ---- nodes: I5 ---------------------------------------------------------------- */

static struct seen_node *seen_find(const struct ledger_check *check, int64_t node)
{
    for (size_t i = 0; i < check->n_nodes; i++)
        if (check->nodes[i].id == node)
            return &check->nodes[i];
    return NULL;
}

static struct seen_node *seen_add(struct ledger_check *check, int64_t node)
{
    check->nodes = realloc(check->nodes, (check->n_nodes + 1) * sizeof(*check->nodes));
    assert(check->nodes != NULL);
    struct seen_node *seen = &check->nodes[check->n_nodes++];
    *seen = (struct seen_node){.id = node, .state = NODE_INITIALIZING, .moved_ms = *check->now_ms};
    return seen;
}

static void node_see(struct ledger_check *check, const struct node *node)
{
    struct seen_node *seen = seen_find(check, node->id);
    if (seen == NULL)
        seen = seen_add(check, node->id);
    if (seen->state != node->state && !lifecycle_allows(seen->state, node->state))
        ledger_check_break(check, "I5: node %s went from %s to %s", node->name,
                           node_state_name(seen->state), node_state_name(node->state));
    if (seen->beat != node->beat)
        seen->moved_ms = *check->now_ms;
    seen->beat = node->beat;
    seen->state = node->state;
    for (size_t i = 0; i < node->n_running; i++) {
        const struct node_running *running = &node->running[i];
        struct seen_lane *lane = &check->lanes[id_lane(running->id)];
        if ((size_t)id_seq(running->id) < lane->n && running->run < 32)
            lane->rows[id_seq(running->id)].named |= UINT32_C(1) << running->run;
    }
}

/* A name is one live node's. */
static void names_check(struct ledger_check *check, const struct ds_nodes_read *nodes)
{
    for (size_t i = 0; i < nodes->ret_n; i++)
        for (size_t k = 0; k < i && nodes->ret_nodes[i].state != NODE_DEAD; k++)
            if (nodes->ret_nodes[k].state != NODE_DEAD &&
                strcmp(nodes->ret_nodes[i].name, nodes->ret_nodes[k].name) == 0)
                ledger_check_break(check, "two live nodes are named %s", nodes->ret_nodes[i].name);
}

uint64_t ledger_check_silent_ms(const struct ledger_check *check, int64_t node)
{
    const struct seen_node *seen = seen_find(check, node);
    return seen != NULL ? *check->now_ms - seen->moved_ms : 0;
}

/* ---- all of it ---------------------------------------------------------------- */

bool ledger_check_all(struct ledger_check *check)
{
    struct ds_step steps[] = {
        {.kind = DS_LANES_READ, .lanes_read = {.lane = -1}},
        {.kind = DS_NODES_READ},
    };
    struct ds_run run = {.steps = steps, .n_steps = 2};
    int rc = datastore_run(check->ds, &run);
    assert(rc == 0 && steps[0].lanes_read.ret_n <= LANES_MAX);
    (void)rc;
    check->drained = true;
    for (size_t i = 0; i < steps[1].nodes_read.ret_n; i++)
        node_see(check, &steps[1].nodes_read.ret_nodes[i]);
    names_check(check, &steps[1].nodes_read);
    for (size_t i = 0; i < steps[0].lanes_read.ret_n; i++) {
        const struct lane *lane = &steps[0].lanes_read.ret_lanes[i];
        rows_see(check, lane, &run.mem);
        lane_check(check, lane, &steps[1].nodes_read, &run.mem);
    }
    arena_release(&run.mem);
    return check->broken[0] == '\0';
}

/* ---- starts ---------------------------------------------------------------- */

static bool names_run(const struct node *node, const struct job *job)
{
    for (size_t i = 0; i < node->n_running; i++)
        if (node->running[i].id == job->id && node->running[i].run == job->run)
            return true;
    return false;
}

static void start_check(struct ledger_check *check, const struct ds_nodes_read *nodes, int64_t id,
                        const struct job *job)
{
    int64_t seq = id_seq(job->id);
    const struct node *own = node_of(nodes, id);
    if (own == NULL || own->state == NODE_DEAD) {
        ledger_check_break(check, "job %" PRId64 " started by a node that is dead already", seq);
        return;
    }
    const struct node_range *held = NULL;
    for (size_t i = 0; i < own->n_ranges && held == NULL; i++)
        if (range_holds(own->ranges[i].range, job->id))
            held = &own->ranges[i];
    if (held == NULL || held->returning != 0)
        ledger_check_break(check, "job %" PRId64 " started, not held by the record of %s", seq,
                           own->name);
    else if (held->range.suspect && !names_run(own, job))
        ledger_check_break(check, "job %" PRId64 " of a suspect range started without being named",
                           seq);
    for (size_t i = 0; i < nodes->ret_n; i++) {
        const struct node *node = &nodes->ret_nodes[i];
        if (node->state == NODE_DEAD && names_run(node, job))
            ledger_check_break(check, "job %" PRId64 " run %d started, though dead %s names it",
                               seq, job->run, node->name);
    }
}

bool ledger_check_start(struct ledger_check *check, int64_t node, const struct job *job)
{
    struct ds_step step = {.kind = DS_NODES_READ};
    struct arena mem = {0};
    int rc = datastore_step(check->ds, &step, &mem, NULL);
    assert(rc == 0);
    (void)rc;
    start_check(check, &step.nodes_read, node, job);
    arena_release(&mem);
    return check->broken[0] == '\0';
}
