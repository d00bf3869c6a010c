/* Jobs that are no rows: a bit and a byte each, so that hundreds of millions fit.
 *
 * All of them have been submitted before anything reads them. What the guards of the datastore
 * contract say of rows holds: an outcome is accepted once, at the job's present run (I2).
 * One thread. */
#include <assert.h>
#include <stdlib.h>

#include "tests/sim/scale_internal.h"

enum { PAGE_ROWS = 1024, JOB_BYTES = 1024 }; /* a job brings 1 KiB, so a page is a thousand */

void rows_init(struct rows *rows, size_t lanes, int64_t per_lane)
{
    size_t n = lanes * (size_t)per_lane;
    *rows = (struct rows){.per_lane = per_lane, .lanes = lanes};
    rows->done = calloc(n / 8 + 1, 1);
    rows->moved = calloc(n + 1, 1); /* pages of it are there once somebody was interrupted */
    assert(rows->done != NULL && rows->moved != NULL);
}

void rows_release(struct rows *rows)
{
    free(rows->done);
    free(rows->moved);
}

static size_t place(const struct rows *rows, int64_t id)
{
    int64_t seq = id_seq(id);
    assert(seq >= 1 && seq <= rows->per_lane && (size_t)id_lane(id) < rows->lanes);
    return (size_t)id_lane(id) * (size_t)rows->per_lane + (size_t)seq - 1;
}

static bool is_done(const struct rows *rows, size_t at)
{
    return (rows->done[at / 8] >> at % 8 & 1) != 0;
}

void rows_load(struct rows *rows, struct ds_load *load, struct arena *mem)
{
    size_t n = (size_t)range_count(load->range);
    if (n > PAGE_ROWS)
        n = PAGE_ROWS;
    if (n > load->rows_max)
        n = load->rows_max;
    load->ret_jobs = arena_alloc(mem, n * sizeof(*load->ret_jobs));
    load->ret_n = n;
    load->ret_next = load->range.a + (int64_t)n;
    size_t at = place(rows, load->range.a);
    for (size_t i = 0; i < n; i++)
        load->ret_jobs[i] = (struct job){
            .id = load->range.a + (int64_t)i,
            .state = is_done(rows, at + i) ? JOB_DONE : JOB_QUEUED,
            .run = 1 + rows->moved[at + i],
            .interruptions = rows->moved[at + i],
            .type = "exec",
        };
    mem->bytes += n * JOB_BYTES; /* the node's bounds on what it has loaded count them */
}

static void job_finish(struct rows *rows, struct outcome *outcome, size_t at)
{
    if (is_done(rows, at) || outcome->run != 1 + rows->moved[at]) {
        rows->refused++;
        return;
    }
    outcome->ret_accepted++;
    if (outcome->kind == OUTCOME_INTERRUPTED) {
        rows->moved[at]++;
        rows->interrupted++;
        outcome->ret_state = JOB_QUEUED;
        return;
    }
    assert(outcome->kind == OUTCOME_DONE);
    rows->done[at / 8] |= (uint8_t)(1 << at % 8);
    rows->n_done++;
    outcome->ret_state = JOB_DONE;
}

void rows_finish(struct rows *rows, struct ds_finish *finish)
{
    for (size_t i = 0; i < finish->n; i++) {
        struct outcome *outcome = &finish->outcomes[i];
        outcome->ret_accepted = 0;
        for (uint32_t k = 0; k < outcome->count; k++)
            job_finish(rows, outcome, place(rows, outcome->id + k));
    }
}
