/* The protocol's single-record changes to lanes and nodes, applied to a record in memory.
 *
 * One statement of each guard, used by every backend that reads, changes and writes back under a
 * lock (memory, sqlite), so that they cannot differ. Rows of jobs: datastore/job_steps.c.
 * Invariants: I1 (an id of a lane is in one place), I5 (node states).
 * Pure; the backend's thread. */
#include "datastore/steps.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* ---- pool ---------------------------------------------------------------------------------- */

void pool_add(struct range **pool, size_t *n_pool, struct range range, struct arena *mem)
{
    assert(range.a < range.b && id_lane(range.a) == id_lane(range.b - 1));
    const struct range *old = *pool;
    size_t n = *n_pool, at = 0;
    while (at < n && old[at].a < range.a)
        at++;
    assert(at == 0 || old[at - 1].b <= range.a);
    assert(at == n || range.b <= old[at].a);
    size_t from = at, to = at; /* old[from..to) melt into the new one */
    if (at > 0 && old[at - 1].b == range.a && old[at - 1].suspect == range.suspect) {
        from = at - 1;
        range.a = old[from].a;
    }
    if (at < n && old[at].a == range.b && old[at].suspect == range.suspect) {
        to = at + 1;
        range.b = old[at].b;
    }
    struct range *fresh = arena_alloc(mem, (n + 1) * sizeof(*fresh));
    if (from > 0)
        memcpy(fresh, old, from * sizeof(*fresh));
    fresh[from] = range;
    if (to < n)
        memcpy(fresh + from + 1, old + to, (n - to) * sizeof(*fresh));
    *pool = fresh;
    *n_pool = n - (to - from) + 1;
}

/* Takes the first `want` ids of the pool's first range. */
static struct range pool_take(struct lane *lane, int64_t want, struct arena *mem)
{
    struct range first = lane->pool[0], taken = first;
    struct range *fresh = arena_copy(mem, lane->pool, lane->n_pool * sizeof(*fresh));
    if (range_count(first) > want) {
        taken.b = first.a + want;
        fresh[0].a = taken.b;
    } else {
        fresh++;
        lane->n_pool--;
    }
    lane->pool = fresh;
    return taken;
}

/* ---- lanes --------------------------------------------------------------------------------- */

static struct lane_entry *entry_find(const struct lane *lane, int64_t node)
{
    for (size_t i = 0; i < lane->n_entries; i++)
        if (lane->entries[i].node == node)
            return &lane->entries[i];
    return NULL;
}

/* Replaces the node's entry, or adds it; always in a new array. */
static void entry_put(struct lane *lane, const struct lane_entry *entry, struct arena *mem)
{
    struct lane_entry *fresh = arena_alloc(mem, (lane->n_entries + 1) * sizeof(*fresh));
    size_t n = 0;
    for (size_t i = 0; i < lane->n_entries; i++)
        if (lane->entries[i].node != entry->node)
            fresh[n++] = lane->entries[i];
    fresh[n++] = *entry;
    lane->entries = fresh;
    lane->n_entries = n;
}

static void entry_remove(struct lane *lane, int64_t node, struct arena *mem)
{
    struct lane_entry *fresh = arena_alloc(mem, lane->n_entries * sizeof(*fresh));
    size_t n = 0;
    for (size_t i = 0; i < lane->n_entries; i++)
        if (lane->entries[i].node != node)
            fresh[n++] = lane->entries[i];
    assert(n + 1 == lane->n_entries);
    lane->entries = fresh;
    lane->n_entries = n;
}

static bool types_hold(const struct lane *lane, const char *type)
{
    for (size_t i = 0; i < lane->n_types; i++)
        if (strcmp(lane->types[i], type) == 0)
            return true;
    return false;
}

int step_reserve(struct lane *lane, struct ds_reserve *step, struct arena *mem)
{
    if (step->count < 1 || step->count > LIMIT_BATCH_JOBS || step->n_types > LIMIT_TYPES)
        return ERR_INVALID;
    if (id_seq(lane->tail) + step->count > ID_SEQ_MAX)
        return ERR_LIMIT;
    const char **types = arena_alloc(mem, (lane->n_types + step->n_types) * sizeof(*types));
    size_t n = lane->n_types;
    if (n > 0)
        memcpy(types, lane->types, n * sizeof(*types));
    for (size_t i = 0; i < step->n_types; i++)
        if (!types_hold(lane, step->types[i]))
            types[n++] = arena_string(mem, step->types[i]);
    if (n > LIMIT_TYPES)
        return ERR_LIMIT;
    lane->types = types;
    lane->n_types = n;
    step->ret_first = lane->tail;
    lane->tail += step->count;
    return 0;
}

int step_claim(struct lane *lane, struct ds_claim *step, struct arena *mem, bool *ret_changed)
{
    if (step->want < 1 || step->want > LIMIT_GRANT_JOBS)
        return ERR_INVALID;
    const struct lane_entry *old = entry_find(lane, step->node);
    if (old == NULL && !step->make_entry)
        return ERR_NOT_FOUND;
    if (old != NULL && old->g != step->g)
        return ERR_CONFLICT;
    *ret_changed = false;
    step->ret_range = (struct range){0};
    bool barred = lane->exclusive && lane->holder != 0 && lane->holder != step->node;
    if (!barred && lane->n_pool > 0) {
        step->ret_range = pool_take(lane, step->want, mem);
        *ret_changed = true;
    } else if (!barred && lane->head < lane->tail) {
        int64_t left = lane->tail - lane->head;
        int64_t take = left < step->want ? left : step->want;
        step->ret_range = (struct range){.a = lane->head, .b = lane->head + take};
        lane->head += take;
        *ret_changed = true;
    }
    step->ret_backlog = lane_backlog(lane);
    if (!*ret_changed)
        return 0;
    if (lane->exclusive)
        lane->holder = step->node;
    entry_put(lane,
              &(struct lane_entry){.node = step->node,
                                   .g = step->g + 1,
                                   .last = step->ret_range,
                                   .r = old != NULL ? old->r : step->r},
              mem);
    return 0;
}

static bool overlaps(const struct range *pool, size_t n_pool, struct range range)
{
    for (size_t i = 0; i < n_pool; i++)
        if (pool[i].a < range.b && range.a < pool[i].b)
            return true;
    return false;
}

/* Adds ranges to a copy of the pool; ERR_LIMIT when they do not fit. Ids that are there already are
 * refused, not asserted: a damaged record must not bring down every node that reads it. */
static int pool_add_all(struct lane *lane, const struct range *ranges, size_t n, bool suspect,
                        struct arena *mem)
{
    struct range *pool = lane->pool;
    size_t n_pool = lane->n_pool;
    for (size_t i = 0; i < n; i++) {
        struct range r = ranges[i];
        if (r.a >= r.b || id_lane(r.a) != lane->number || r.b > lane->head ||
            overlaps(pool, n_pool, r))
            return ERR_INVALID;
        r.suspect = r.suspect || suspect;
        pool_add(&pool, &n_pool, r, mem);
    }
    if (n_pool > LIMIT_POOL_RANGES)
        return ERR_LIMIT;
    lane->pool = pool;
    lane->n_pool = n_pool;
    return 0;
}

int step_give_back(struct lane *lane, const struct ds_give_back *step, struct arena *mem)
{
    if (step->n_ranges < 1 || step->n_ranges > LIMIT_RETURN_RANGES)
        return ERR_INVALID;
    const struct lane_entry *old = entry_find(lane, step->node);
    if (old == NULL)
        return ERR_NOT_FOUND;
    if (old->r != step->r)
        return ERR_CONFLICT;
    int rc = pool_add_all(lane, step->ranges, step->n_ranges, false, mem);
    if (rc < 0)
        return rc;
    struct lane_entry entry = *old;
    entry.r = step->r + 1;
    entry_put(lane, &entry, mem);
    if (step->clear_holder && lane->holder == step->node)
        lane->holder = 0;
    return 0;
}

int step_entry_drop(struct lane *lane, const struct ds_entry_drop *step, struct arena *mem)
{
    const struct lane_entry *old = entry_find(lane, step->node);
    if (old == NULL)
        return ERR_NOT_FOUND;
    if (old->g != step->g)
        return ERR_CONFLICT;
    entry_remove(lane, step->node, mem);
    if (lane->holder == step->node)
        lane->holder = 0;
    return 0;
}

int step_lane_bury(struct lane *lane, const struct ds_lane_bury *step, struct arena *mem)
{
    const struct lane_entry *old = entry_find(lane, step->expect.node);
    if (old == NULL)
        return ERR_NOT_FOUND;
    if (old->g != step->expect.g || old->r != step->expect.r)
        return ERR_CONFLICT;
    int rc = pool_add_all(lane, step->estate, step->n_estate, true, mem);
    if (rc < 0)
        return rc;
    entry_remove(lane, step->expect.node, mem);
    if (lane->holder == step->expect.node)
        lane->holder = 0;
    return 0;
}

/* ---- nodes --------------------------------------------------------------------------------- */

static void grant_set(struct node *node, int32_t lane, uint64_t g, struct arena *mem)
{
    struct node_grant *fresh = arena_alloc(mem, (node->n_granted + 1) * sizeof(*fresh));
    size_t n = 0;
    for (size_t i = 0; i < node->n_granted; i++)
        if (node->granted[i].lane != lane)
            fresh[n++] = node->granted[i];
    fresh[n++] = (struct node_grant){.lane = lane, .g = g};
    node->granted = fresh;
    node->n_granted = n;
}

static void range_append(struct node *node, struct range range, struct arena *mem)
{
    struct node_range *fresh = arena_alloc(mem, (node->n_ranges + 1) * sizeof(*fresh));
    if (node->n_ranges > 0)
        memcpy(fresh, node->ranges, node->n_ranges * sizeof(*fresh));
    fresh[node->n_ranges] = (struct node_range){.range = range};
    node->ranges = fresh;
    node->n_ranges++;
}

static void requests_drop(struct node *node, uint64_t acked, struct arena *mem)
{
    struct node_request *fresh = arena_alloc(mem, (node->n_requests + 1) * sizeof(*fresh));
    size_t n = 0;
    for (size_t i = 0; i < node->n_requests; i++)
        if (node->requests[i].seq > acked)
            fresh[n++] = node->requests[i];
    node->requests = fresh;
    node->n_requests = n;
}

/* The node's own part of `from` over that of `node`. */
static void own_part_set(struct node *node, const struct node *from, struct arena *mem)
{
    struct node own = node_copy(from, mem);
    node->state = own.state;
    node->since_ms = own.since_ms;
    node->beat = own.beat;
    node->ranges = own.ranges;
    node->n_ranges = own.n_ranges;
    node->granted = own.granted;
    node->n_granted = own.n_granted;
    node->running = own.running;
    node->n_running = own.n_running;
    node->done = own.done;
    node->failed = own.failed;
    node->interrupted = own.interrupted;
    node->rate = own.rate;
    node->load = own.load;
}

int step_node_write(struct node *node, struct ds_node_write *step, const struct ds_claim *accepted,
                    int64_t utc_ms, struct arena *mem)
{
    step->ret_dead = node->state == NODE_DEAD;
    if (step->ret_dead || node->beat >= step->node->beat)
        return ERR_CONFLICT;
    assert(step->node->state != NODE_DEAD);
    own_part_set(node, step->node, mem);
    node->beat_ms = utc_ms;
    if (accepted != NULL && range_count(accepted->ret_range) > 0) {
        range_append(node, accepted->ret_range, mem);
        grant_set(node, accepted->lane, accepted->g + 1, mem);
    }
    requests_drop(node, step->acked_request, mem);
    step->ret_desired = node->desired;
    step->ret_n_requests = node->n_requests;
    step->ret_requests =
        arena_copy(mem, node->requests, node->n_requests * sizeof(*node->requests));
    step->ret_utc_ms = utc_ms;
    return 0;
}

int step_node_ask(struct node *node, const struct ds_node_ask *step, struct arena *mem,
                  bool *ret_changed)
{
    if (node->state == NODE_DEAD)
        return ERR_CONFLICT;
    *ret_changed = false;
    bool add = step->add_request;
    for (size_t i = 0; add && i < node->n_requests; i++)
        add = node->requests[i].kind != step->request.kind ||
              node->requests[i].id != step->request.id;
    if (add && node->n_requests >= LIMIT_REQUESTS)
        return ERR_BUSY;
    if (step->set_desired && node->desired != step->desired) {
        node->desired = step->desired;
        *ret_changed = true;
    }
    if (add) {
        struct node_request *fresh = arena_alloc(mem, (node->n_requests + 1) * sizeof(*fresh));
        if (node->n_requests > 0)
            memcpy(fresh, node->requests, node->n_requests * sizeof(*fresh));
        fresh[node->n_requests] = step->request;
        fresh[node->n_requests].seq = ++node->request_seq;
        node->requests = fresh;
        node->n_requests++;
        *ret_changed = true;
    }
    return 0;
}

int step_node_kill(struct node *node, const struct ds_node_kill *step, int64_t utc_ms)
{
    if (node->state == NODE_DEAD || node->beat != step->beat)
        return ERR_CONFLICT;
    node->state = NODE_DEAD;
    node->since_ms = utc_ms;
    snprintf(node->cause, sizeof(node->cause), "%s", step->cause);
    return 0;
}

int step_node_clear(struct node *node, const struct ds_node_clear *step, struct arena *mem)
{
    if (node->state != NODE_DEAD)
        return ERR_CONFLICT;
    struct node_range *fresh = arena_alloc(mem, (node->n_ranges + 1) * sizeof(*fresh));
    size_t n = 0;
    for (size_t i = 0; i < node->n_ranges; i++)
        if (id_lane(node->ranges[i].range.a) != step->lane)
            fresh[n++] = node->ranges[i];
    node->ranges = fresh;
    node->n_ranges = n;
    return 0;
}

void lane_entries_keep(struct lane *lane, int64_t node)
{
    if (node == 0)
        return;
    for (size_t i = 0; i < lane->n_entries; i++)
        if (lane->entries[i].node == node) {
            lane->entries += i;
            lane->n_entries = 1;
            return;
        }
    lane->n_entries = 0;
}

/* ---- copies -------------------------------------------------------------------------------- */

struct lane lane_copy(const struct lane *lane, struct arena *mem)
{
    struct lane to = *lane;
    to.types = arena_alloc(mem, (lane->n_types + 1) * sizeof(*to.types));
    for (size_t i = 0; i < lane->n_types; i++)
        to.types[i] = arena_string(mem, lane->types[i]);
    to.pool = arena_copy(mem, lane->pool, lane->n_pool * sizeof(*to.pool));
    to.entries = arena_copy(mem, lane->entries, lane->n_entries * sizeof(*to.entries));
    return to;
}

struct node node_copy(const struct node *node, struct arena *mem)
{
    struct node to = *node;
    to.queues = arena_copy(mem, node->queues, node->n_queues * sizeof(*to.queues));
    to.types = arena_copy(mem, node->types, node->n_types * sizeof(*to.types));
    to.ranges = arena_copy(mem, node->ranges, node->n_ranges * sizeof(*to.ranges));
    to.granted = arena_copy(mem, node->granted, node->n_granted * sizeof(*to.granted));
    to.running = arena_copy(mem, node->running, node->n_running * sizeof(*to.running));
    to.requests = arena_copy(mem, node->requests, node->n_requests * sizeof(*to.requests));
    return to;
}
