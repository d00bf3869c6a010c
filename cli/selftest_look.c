/* What a selftest sees of its scratch store while it goes on.
 *
 * Rows are read from the lowest id without an outcome on; an outcome seen once is kept as a digest,
 * and a page of older rows is read again each time: an outcome that has changed, or is gone, is
 * found out. Live nodes are read more often: one that is not among them any more has died. Reads
 * only, and not more than a fifth of the time. Single-threaded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/hash.h"
#include "cli/selftest.h"
#include "cli/store_walk.h"

enum {
    ROWS_US = 200000,
    NODES_US = 100000,
    REST = 4, /* times as long as the last look took, at least, between two */
    PAGE = 2000,
    AGAIN_PAGE = 300,
    AWAY_MS_MAX = 30000,
};

/* ---- rows ------------------------------------------------------------------------------------ */

static struct row_seen *row_of(struct sight *sight, int64_t id)
{
    if (id >= sight->n_rows) {
        int64_t n = id + 1 > 2 * sight->n_rows ? id + 1024 : 2 * sight->n_rows;
        sight->rows = cli_grow(sight->rows, (size_t)n * sizeof(*sight->rows));
        memset(sight->rows + sight->n_rows, 0, (size_t)(n - sight->n_rows) * sizeof(*sight->rows));
        sight->n_rows = n;
    }
    return &sight->rows[id];
}

void look_accepted(struct selftest *test, struct range ids)
{
    for (int64_t id = ids.a; id < ids.b; id++) {
        struct row_seen *row = row_of(&test->sight, id);
        if (row->accepted)
            wrong_add(test, WRONG_SUBMITTED_TWICE, "job %" PRId64 ": two submits were told this id",
                      id);
        row->accepted = true;
        test->sight.finished += row->digest != 0 ? 1 : 0;
    }
    if (ids.b > test->sight.high)
        test->sight.high = ids.b;
    if (test->sight.low == 0)
        test->sight.low = 1;
}

static uint64_t outcome_digest(const struct job *job)
{
    struct hash hash = {HASH_BASIS};
    hash_number(&hash, job->state);
    hash_number(&hash, job->run);
    hash_number(&hash, job->interruptions);
    hash_number(&hash, job->node);
    hash_number(&hash, job->started_ms);
    hash_number(&hash, job->finished_ms);
    if (job->ending != NULL) {
        hash_number(&hash, job->ending->exit_code);
        hash_number(&hash, job->ending->signal);
        hash_number(&hash, job->ending->timed_out);
        hash_bytes(&hash, job->ending->output);
        hash_text(&hash, job->ending->error);
        hash_number(&hash, (int64_t)job->ending->n_trace);
    }
    return (uint64_t)hash.value != 0 ? (uint64_t)hash.value : 1;
}

static const char *name_of(const struct selftest *test, int64_t node)
{
    const struct node_seen *seen = look_node(test, node);
    return seen != NULL ? seen->name : "an unknown node";
}

static void changed(struct selftest *test, struct row_seen *row, const struct job *job)
{
    if (!row->wrong)
        wrong_add(test, WRONG_RECORDED_TWICE,
                  "job %" PRId64 " was %s at run %d by %s, and is %s at run %d by %s", job->id,
                  job_state_name(row->state), row->run, name_of(test, row->node),
                  job_state_name(job->state), job->run, name_of(test, job->node));
    row->wrong = true;
}

static void row_look(struct selftest *test, const struct job *job)
{
    struct row_seen *row = row_of(&test->sight, job->id);
    row->there = true;
    bool finished = job_state_finished(job->state);
    if (row->digest != 0 && (!finished || outcome_digest(job) != row->digest)) {
        changed(test, row, job);
    } else if (row->digest == 0) {
        row->state = job->state;
        row->run = job->run;
        row->interruptions = job->interruptions;
        row->node = job->node;
        row->digest = finished ? outcome_digest(job) : 0;
        test->sight.finished += finished && row->accepted ? 1 : 0;
    }
}

static int page_look(struct selftest *test, int64_t from, int64_t to, struct error *err)
{
    struct range range = {.a = from, .b = to};
    while (range.a < range.b) {
        struct arena mem = {0};
        struct ds_step step = {.kind = DS_LOAD, .load = {.range = range, .rows_max = PAGE}};
        int rc = datastore_step(test->ds, &step, &mem, err);
        for (size_t i = 0; rc == 0 && i < step.load.ret_n; i++)
            row_look(test, &step.load.ret_jobs[i]);
        if (rc == 0 && step.load.ret_next <= range.a)
            rc = error_set(err, ERR_CORRUPT, "the store cannot be read past id %" PRId64, range.a);
        range.a = step.load.ret_next;
        arena_release(&mem);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int rows_look(struct selftest *test, struct error *err)
{
    struct sight *sight = &test->sight;
    int64_t to = sight->high < sight->low + PAGE ? sight->high : sight->low + PAGE;
    if (sight->high == 0)
        return 0;
    int rc = page_look(test, sight->low, to, err);
    while (rc == 0 && sight->low < sight->high &&
           (row_of(sight, sight->low)->digest != 0 || !row_of(sight, sight->low)->accepted))
        sight->low++;
    if (sight->again == 0 || sight->again >= sight->low)
        sight->again = 1;
    to = sight->again + AGAIN_PAGE < sight->low ? sight->again + AGAIN_PAGE : sight->low;
    if (rc == 0)
        rc = page_look(test, sight->again, to, err);
    sight->again = to;
    return rc;
}

struct looking {
    struct selftest *test;
    look_fn *fn;
};

static int page_of_all(void *ctx, struct job *jobs, size_t n, struct error *err)
{
    const struct looking *looking = ctx;
    (void)err;
    for (size_t i = 0; i < n; i++) {
        if (jobs[i].state == JOB_VOID || jobs[i].state == JOB_SLOT)
            continue;
        row_look(looking->test, &jobs[i]);
        looking->fn(looking->test, &jobs[i]);
    }
    return 0;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

const struct node_seen *look_node(const struct selftest *test, int64_t id)
{
    for (size_t i = test->sight.n_nodes; i > 0; i--) /* the newest are asked for most */
        if (test->sight.nodes[i - 1].id == id)
            return &test->sight.nodes[i - 1];
    return NULL;
}

static struct node_seen *node_note(struct selftest *test, const struct node *node)
{
    struct sight *sight = &test->sight;
    const struct node_seen *known = look_node(test, node->id);
    if (known == NULL) {
        sight->nodes = cli_grow(sight->nodes, (sight->n_nodes + 1) * sizeof(*sight->nodes));
        known = &sight->nodes[sight->n_nodes++];
        struct node_seen fresh = {.id = node->id};
        snprintf(fresh.name, sizeof(fresh.name), "%.*s", SELFTEST_NAME_BYTES - 1, node->name);
        sight->nodes[sight->n_nodes - 1] = fresh;
    }
    struct node_seen *seen = &sight->nodes[known - sight->nodes];
    seen->done = node->done;
    for (int64_t i = 0; i < test->n_nodes; i++)
        if (strcmp(test->fleet.members[i].name, node->name) == 0)
            test->fleet.members[i].ready = true;
    return seen;
}

static int nodes_look(struct selftest *test, bool live_only, struct error *err)
{
    struct sight *sight = &test->sight;
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_NODES_READ, .nodes_read = {.live_only = live_only}};
    int rc = datastore_step(test->ds, &step, &mem, err);
    for (size_t i = 0; i < sight->n_nodes; i++)
        sight->nodes[i].now = false;
    for (size_t i = 0; rc == 0 && i < step.nodes_read.ret_n; i++) {
        const struct node *node = &step.nodes_read.ret_nodes[i];
        struct node_seen *seen = node_note(test, node);
        seen->now = node->state != NODE_DEAD;
        if (!seen->now)
            snprintf(seen->cause, sizeof(seen->cause), "%s", node->cause);
    }
    for (size_t i = 0; rc == 0 && i < sight->n_nodes; i++)
        if (!sight->nodes[i].now && sight->nodes[i].dead_us == 0) {
            sight->nodes[i].dead_us = now_us();
            sight->nodes[i].timed = live_only;
        }
    arena_release(&mem);
    return rc;
}

/* ---- together -------------------------------------------------------------------------------- */

/* A store that is away for a short time is the nodes' business. */
static int look_failed(struct selftest *test, int rc, const struct error *err)
{
    struct sight *sight = &test->sight;
    uint64_t now = clock_ms();
    if (rc == 0)
        sight->away_since_ms = 0;
    else if (sight->away_since_ms == 0)
        sight->away_since_ms = now;
    if (rc == 0 || (cli_passing(rc) && now - sight->away_since_ms < AWAY_MS_MAX))
        return CLI_OK;
    return cli_fail(err);
}

int look_tick(struct selftest *test)
{
    struct sight *sight = &test->sight;
    struct error err = {0};
    int rc = 0;
    int64_t began = now_us();
    if (began >= sight->nodes_due_us) {
        rc = nodes_look(test, true, &err);
        int64_t took = now_us() - began;
        sight->nodes_due_us = began + (took * REST > NODES_US ? took * REST : NODES_US);
        sight->slowest_us = took > sight->slowest_us ? took : sight->slowest_us;
    }
    began = now_us();
    if (rc == 0 && began >= sight->rows_due_us) {
        rc = rows_look(test, &err);
        int64_t took = now_us() - began;
        sight->rows_due_us = began + (took * REST > ROWS_US ? took * REST : ROWS_US);
        sight->slowest_us = took > sight->slowest_us ? took : sight->slowest_us;
    }
    return look_failed(test, rc, &err);
}

int look_at_all(struct selftest *test, look_fn *fn, struct error *err)
{
    struct sight *sight = &test->sight;
    struct looking looking = {test, fn};
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_LANES_READ, .lanes_read.lane = 0};
    int rc = cli_step(test->ds, &step, &mem, NULL, err);
    int64_t tail = rc == 0 ? step.lanes_read.ret_lanes[0].tail : 0;
    arena_release(&mem);
    for (int64_t id = 0; id < sight->n_rows; id++)
        sight->rows[id].there = false;
    if (rc == 0)
        rc = nodes_look(test, false, err);
    if (rc == 0)
        rc = walk_jobs(test->ds, (struct range){.a = 1, .b = tail}, page_of_all, &looking, err);
    return rc;
}
