/* Checks the ledger's records against each other (DESIGN §6: I1, I4, I5).
 *
 * An id handed to the nodes is in one place: above head, or in the pool, or in one node's ranges.
 * Nodes go on while this reads, and a range may move between the reading of the lanes and that of
 * the nodes: what looks wrong is looked at again, and only what stays is a problem.
 * Single-threaded. */
#include "cli/store_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/view.h"

enum { LOOKS_MAX = 3, LOOK_AGAIN_MS = 1500, PROBLEM_BYTES = 400, LEDGER_PROBLEMS_MAX = 100 };

/* Problems of one look; said only when the last look still has them. */
struct findings {
    char text[LEDGER_PROBLEMS_MAX][PROBLEM_BYTES];
    size_t n;
};

static void find(struct findings *findings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void find(struct findings *findings, const char *format, ...)
{
    if (findings->n == LEDGER_PROBLEMS_MAX)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(findings->text[findings->n++], PROBLEM_BYTES, format, args);
    va_end(args);
}

/* A range and who has it. */
struct place {
    struct range range;
    const char *who;
};

static int place_compare(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return (x->range.a > y->range.a) - (x->range.a < y->range.a);
}

static void places_check(struct findings *findings, const struct view *view,
                         const struct lane *lane, struct place *places, size_t n)
{
    char text[2 * ID_TEXT_BYTES];
    qsort(places, n, sizeof(*places), place_compare);
    for (size_t i = 0; i < n; i++) {
        struct range range = places[i].range;
        if (range.a >= range.b || range.b > lane->head)
            find(findings, "%s, held by %s, lies not below the lane's head",
                 view_range(view, text, range), places[i].who);
        if (i > 0 && places[i - 1].range.b > range.a)
            find(findings, "%s is held by %s and overlaps what %s has",
                 view_range(view, text, range), places[i].who, places[i - 1].who);
    }
}

/* An id is in one place (I1). */
static void lane_check(struct findings *findings, const struct view *view, const struct lane *lane)
{
    size_t n = 0, max = lane->n_pool;
    if (lane->head > lane->tail || id_lane(lane->head) != lane->number)
        find(findings, "lane %d: head %" PRId64 " is not at or below tail %" PRId64, lane->number,
             id_seq(lane->head), id_seq(lane->tail));
    for (size_t i = 0; i < view->n_nodes; i++)
        max += view->nodes[i].n_ranges;
    struct place *places = cli_alloc(max * sizeof(*places));
    for (size_t i = 0; i < lane->n_pool; i++)
        places[n++] = (struct place){lane->pool[i], "the pool"};
    for (size_t i = 0; i < view->n_nodes; i++) {
        const struct node *node = &view->nodes[i];
        bool entry = false;
        for (size_t e = 0; e < lane->n_entries; e++)
            entry = entry || lane->entries[e].node == node->id;
        for (size_t j = 0; j < node->n_ranges; j++) {
            /* A dead node's ranges count while its entry stands; a range on its way back may
             * have arrived. */
            bool counts = id_lane(node->ranges[j].range.a) == lane->number && entry &&
                          node->ranges[j].returning == 0;
            if (counts)
                places[n++] = (struct place){node->ranges[j].range, node->name};
        }
    }
    places_check(findings, view, lane, places, n);
    for (size_t e = 0; e < lane->n_entries; e++)
        if (view_node(view, lane->entries[e].node) == NULL)
            find(findings, "lane %d has an entry of node %" PRId64 ", which has no record",
                 lane->number, lane->entries[e].node);
    free(places);
}

static void node_check(struct findings *findings, const struct node *node)
{
    if (node->state != NODE_DEAD && node->cause[0] != '\0')
        find(findings, "node %s is %s, but has a cause of death: %s", node->name,
             node_state_name(node->state), node->cause);
    if (node->n_running > (size_t)LIMIT_SLOTS)
        find(findings, "node %s names %zu running jobs", node->name, node->n_running);
}

static int ledger_look(struct datastore *ds, struct store_check *check, struct findings *findings,
                       struct error *err)
{
    struct view view;
    int rc = view_read(ds, false, &view, err);
    if (rc < 0)
        return rc;
    findings->n = 0;
    for (size_t i = 0; i < view.n_lanes; i++)
        lane_check(findings, &view, &view.lanes[i]);
    for (size_t i = 0; i < view.n_nodes; i++)
        node_check(findings, &view.nodes[i]);
    check->lanes = (int64_t)view.n_lanes;
    check->nodes = (int64_t)view.n_nodes;
    view_clear(&view);
    return 0;
}

static int ledger_check(struct datastore *ds, struct store_check *check, struct error *err)
{
    struct findings *findings = cli_alloc(sizeof(*findings));
    int rc = 0;
    for (int look = 0; look < LOOKS_MAX && rc == 0 && (look == 0 || findings->n > 0); look++) {
        if (look > 0) {
            struct timespec pause = {.tv_sec = LOOK_AGAIN_MS / 1000,
                                     .tv_nsec = LOOK_AGAIN_MS % 1000 * 1000000L};
            nanosleep(&pause, NULL);
        }
        rc = ledger_look(ds, check, findings, err);
    }
    for (size_t i = 0; rc == 0 && i < findings->n; i++)
        check->problem(check->ctx, findings->text[i]);
    check->problems += rc == 0 ? (int64_t)findings->n : 0;
    free(findings);
    return rc;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static void complain(struct store_check *check, const struct view *view, const struct job *job,
                     const char *what)
{
    char text[PROBLEM_BYTES], id[ID_TEXT_BYTES];
    snprintf(text, sizeof(text), "job %s: %s", view_id(view, id, job->id), what);
    check->problem(check->ctx, text);
    check->problems++;
}

static void job_check(struct store_check *check, const struct view *view, const struct job *job)
{
    int32_t attempts = job_max_attempts(job);
    if ((unsigned)job->state >= JOB_STATES)
        complain(check, view, job, "a state that is none");
    if (job->state == JOB_VOID || job->state == JOB_SLOT)
        return;
    check->jobs++;
    if (job->type == NULL || !name_valid(job->type))
        complain(check, view, job, "a type that is none");
    if (job->run < 1 || job->interruptions < 0 || job->interruptions >= job->run + 1)
        complain(check, view, job, "run and interruptions that cannot be (I4)");
    if (job->run - job->interruptions > attempts)
        complain(check, view, job, "more attempts than its limit (I4)");
    if (job_state_finished(job->state) != (job->finished_ms != 0))
        complain(check, view, job, "a state and a time of its end that do not fit (I2)");
}

/* Rows in [from, tail) of one lane; those past the tail seen at the start are newer. */
static int jobs_check(struct datastore *ds, struct store_check *check, const struct view *view,
                      const struct lane *lane, struct error *err)
{
    struct range range = {.a = id_make(lane->number, 1), .b = lane->tail};
    while (range.a < range.b) {
        struct ds_step step = {.kind = DS_LOAD,
                               .load = {.range = range, .rows_max = LIMIT_PAGE_JOBS}};
        struct arena mem = {0};
        int rc = datastore_step(ds, &step, &mem, err);
        for (size_t i = 0; rc == 0 && i < step.load.ret_n; i++)
            job_check(check, view, &step.load.ret_jobs[i]);
        int64_t next = step.load.ret_next;
        arena_release(&mem);
        if (rc < 0)
            return rc;
        if (next <= range.a)
            return error_set(err, ERR_CORRUPT, "lane %d cannot be read past id %" PRId64,
                             lane->number, id_seq(range.a));
        range.a = next;
    }
    return 0;
}

/* No row may lie past the tail: its id would be handed out again (I1). */
static int tail_check(struct datastore *ds, struct store_check *check, const struct view *view,
                      const struct lane *lane, struct error *err)
{
    if (id_seq(lane->tail) >= ID_SEQ_MAX)
        return 0;
    struct ds_step step = {.kind = DS_JOBS_READ,
                           .jobs_read = {.range = {.a = id_make(lane->number, 1),
                                                   .b = id_make(lane->number, ID_SEQ_MAX)},
                                         .newest_first = true,
                                         .rows_max = 1,
                                         .brief = true}};
    struct ds_step lanes = {.kind = DS_LANES_READ, .lanes_read = {.lane = lane->number}};
    struct arena mem = {0};
    int rc = datastore_step(ds, &step, &mem, err);
    if (rc == 0) /* after the row: the tail only grows */
        rc = datastore_step(ds, &lanes, &mem, err);
    if (rc == 0 && step.jobs_read.ret_n > 0 && lanes.lanes_read.ret_n > 0 &&
        step.jobs_read.ret_jobs[0].id >= lanes.lanes_read.ret_lanes[0].tail)
        complain(check, view, &step.jobs_read.ret_jobs[0], "lies past its lane's tail (I1)");
    arena_release(&mem);
    return rc;
}

int store_check(struct datastore *ds, struct store_check *check, struct error *err)
{
    struct view view;
    int rc = ledger_check(ds, check, err);
    if (rc == 0)
        rc = view_read(ds, true, &view, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < view.n_lanes && rc == 0; i++) {
        rc = jobs_check(ds, check, &view, &view.lanes[i], err);
        if (rc == 0)
            rc = tail_check(ds, check, &view, &view.lanes[i], err);
    }
    view_clear(&view);
    return rc;
}
