/* Goal: pages of jobs and scans keep the contract of datastore.h: complete, in order, both ways,
 * whatever the filter and wherever a page ends.
 * Method: a population with every state in two lanes; each filter is compared with a plain loop
 * over what was put there, page by page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/store.h"
#include "tests/support/wire_proxy.h"

enum { NODE_A = 101, NODE_B = 202, PER_LANE = 60, JOBS = 2 * PER_LANE };

struct population {
    int32_t mail;
    struct job jobs[JOBS]; /* what each should be now, by id */
};

static struct job job_of(int64_t i)
{
    static const char *const types[] = {"noop", "exec", "mail"};
    struct job job = {.run = 1, .type = types[i % 3], .token = i + 1};
    job.batch = i % 4 == 0 ? "night" : i % 4 == 1 ? "day" : NULL;
    job.state = i % 10 == 7 ? JOB_SCHEDULED : i % 10 == 8 ? JOB_BLOCKED : JOB_QUEUED;
    return job;
}

static void end_some(struct store *s, struct job *job, int64_t i)
{
    struct outcome outcome = {.id = job->id, .run = 1, .node = i % 2 == 0 ? NODE_A : NODE_B};
    if (job->state == JOB_QUEUED && i % 10 < 3) {
        ck_assert_uint_eq(finish(s, outcome, &job->state), 1);
        job->node = outcome.node;
    } else if (job->state == JOB_QUEUED && i % 10 == 3) {
        outcome.kind = OUTCOME_FAILED;
        ck_assert_uint_eq(finish(s, outcome, &job->state), 1);
        job->node = outcome.node;
    } else if (i % 10 == 4) {
        ck_assert_int_eq(cancel(s, job->id, NULL), 0);
        job->state = JOB_CANCELLED;
    }
}

static struct population *populate(struct store *s)
{
    struct population *p = arena_alloc(&s->mem, sizeof(*p));
    p->mail = lane_make(s, "mail", 5, 0);
    for (int64_t i = 0; i < JOBS; i++) {
        int32_t lane = i < PER_LANE ? LANE_DEFAULT : p->mail;
        if (i % 10 == 5) { /* a row nobody sees */
            struct job none = {.id = reserve(s, lane, 1), .state = JOB_VOID, .run = 1};
            ck_assert_int_eq(insert_row(s, &none), 0);
        }
        p->jobs[i] = job_of(i);
        p->jobs[i].id = submit_job(s, lane, &p->jobs[i]);
        end_some(s, &p->jobs[i], i);
    }
    return p;
}

static bool text_is(const char *wanted, const char *text)
{
    return wanted == NULL || (text != NULL && strcmp(wanted, text) == 0);
}

static bool wanted(const struct ds_jobs_read *filter, const struct job *job)
{
    bool everywhere = filter->range.a == 0 && filter->range.b == 0;
    return (everywhere || range_holds(filter->range, job->id)) &&
           (filter->states == 0 || (filter->states & 1U << job->state) != 0) &&
           text_is(filter->type, job->type) && text_is(filter->batch, job->batch) &&
           (filter->node == 0 || filter->node == job->node);
}

/* The next job of the population that the filter lets through, or NULL; moves *at past it. */
static const struct job *next_wanted(const struct population *p, const struct ds_jobs_read *filter,
                                     size_t *at)
{
    while (*at < JOBS) {
        const struct job *job = &p->jobs[filter->newest_first ? JOBS - 1 - *at : *at];
        ++*at;
        if (wanted(filter, job))
            return job;
    }
    return NULL;
}

/* Reads all pages of the filter and compares them with the population. */
static void assert_pages(struct store *s, const struct population *p, struct ds_jobs_read filter)
{
    size_t at = 0, pages = 0;
    for (bool more = true; more; pages++) {
        struct ds_step step = {.kind = DS_JOBS_READ, .jobs_read = filter};
        ck_assert_int_eq(do_step(s, &step), 0);
        ck_assert_uint_le(step.jobs_read.ret_n, filter.rows_max);
        for (size_t i = 0; i < step.jobs_read.ret_n; i++) {
            const struct job *got = &step.jobs_read.ret_jobs[i];
            const struct job *want = next_wanted(p, &filter, &at);
            ck_assert_ptr_nonnull(want);
            ck_assert_int_eq(got->id, want->id);
            ck_assert_int_eq(got->state, want->state);
            ck_assert_str_eq(got->type, want->type);
        }
        more = step.jobs_read.ret_more;
        filter.after_id = step.jobs_read.ret_next;
        ck_assert_uint_lt(pages, 1000);
    }
    ck_assert_ptr_null(next_wanted(p, &filter, &at));
}

CONTRACT_TEST(every_filter_gives_all_its_jobs_in_order_both_ways, s)
{
    const struct population *p = populate(s);
    int64_t mail = id_make(p->mail, 1);
    const struct ds_jobs_read filters[] = {
        {.type = NULL},
        {.states = 1U << JOB_QUEUED},
        {.states = 1U << JOB_DONE | 1U << JOB_FAILED | 1U << JOB_CANCELLED},
        {.states = 1U << JOB_BLOCKED | 1U << JOB_SCHEDULED},
        {.type = "exec"},
        {.type = "nothing"},
        {.batch = "night"},
        {.batch = "day", .states = 1U << JOB_DONE},
        {.node = NODE_A},
        {.node = NODE_B, .states = 1U << JOB_FAILED},
        {.range = {10, 30, false}},
        {.range = {mail, id_make(p->mail, ID_SEQ_MAX + 1), false}},
        {.range = {mail + 5, mail + 25, false}, .type = "noop", .states = 1U << JOB_DONE},
        {.range = {mail, mail + 40, false}, .batch = "night"},
        {.range = {1, id_make(0, ID_SEQ_MAX + 1), false}, .node = NODE_A, .batch = "night"},
    };
    static const size_t page_rows[] = {1, 7, 4096};
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        for (size_t k = 0; k < 6; k++) {
            struct ds_jobs_read filter = filters[i];
            filter.newest_first = k % 2 != 0;
            filter.rows_max = page_rows[k / 2];
            filter.brief = k % 2 == 0;
            assert_pages(s, p, filter);
        }
}

CONTRACT_TEST(a_full_page_says_whether_more_follows, s)
{
    int64_t id = submit(s, LANE_DEFAULT, 3);
    struct ds_step step = {.kind = DS_JOBS_READ, .jobs_read.rows_max = 2};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.jobs_read.ret_n, 2);
    ck_assert(step.jobs_read.ret_more);
    step =
        (struct ds_step){.kind = DS_JOBS_READ, .jobs_read = {.rows_max = 2, .newest_first = true}};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_eq(step.jobs_read.ret_jobs[0].id, id + 2);
    ck_assert(step.jobs_read.ret_more);
    step = (struct ds_step){.kind = DS_JOBS_READ, .jobs_read = {.rows_max = 0}};
    ck_assert_int_eq(do_step(s, &step), ERR_INVALID);
    step.jobs_read.rows_max = LIMIT_PAGE_JOBS + 1;
    ck_assert_int_eq(do_step(s, &step), ERR_INVALID);
}

CONTRACT_TEST(a_brief_page_leaves_out_what_may_be_large, s)
{
    static const struct job_spec spec = {.max_attempts = 2};
    struct job job = {.run = 1,
                      .type = "exec",
                      .token = 1,
                      .spec = &spec,
                      .payload = {(const uint8_t *)"large", 5}};
    int64_t id = submit_job(s, LANE_DEFAULT, &job);
    struct job_ending ending = {.exit_code = 1};
    finish(s, (struct outcome){.id = id, .run = 1, .kind = OUTCOME_FAILED, .ending = &ending},
           NULL);
    struct ds_step step = {.kind = DS_JOBS_READ, .jobs_read = {.rows_max = 2, .brief = true}};
    ck_assert_int_eq(do_step(s, &step), 0);
    const struct job *brief = &step.jobs_read.ret_jobs[0];
    ck_assert_int_eq(brief->state, JOB_FAILED);
    ck_assert_uint_eq(brief->payload.len, 0);
    ck_assert(brief->spec == NULL && brief->ending == NULL);
    step.jobs_read.brief = false;
    ck_assert_int_eq(do_step(s, &step), 0);
    const struct job *whole = &step.jobs_read.ret_jobs[0];
    assert_bytes(whole->payload, "large", 5);
    ck_assert_int_eq(whole->spec->max_attempts, 2);
    ck_assert_int_eq(whole->ending->exit_code, 1);
}

/* ---- scans ---------------------------------------------------------------------------------- */

/* Scans on until it stops or everything was looked at; sums up what the parts counted. */
static struct ds_scan scan_all(struct store *s, struct range range, const char *batch)
{
    struct ds_scan sum = {.range = range, .batch = batch};
    int64_t end = batch != NULL ? INT64_MAX : range.b;
    do {
        struct ds_step step = {.kind = DS_SCAN, .scan = {.range = range, .batch = batch}};
        ck_assert_int_eq(do_step(s, &step), 0);
        ck_assert_int_ge(step.scan.ret_next, range.a);
        ck_assert(step.scan.ret_stopped || step.scan.ret_next > range.a || range.a == range.b);
        for (int i = 0; i < JOB_STATES; i++)
            sum.ret_counts[i] += step.scan.ret_counts[i];
        sum.ret_missing += step.scan.ret_missing;
        sum.ret_stopped = step.scan.ret_stopped;
        sum.ret_next = range.a = step.scan.ret_next;
    } while (!sum.ret_stopped && sum.ret_next < end);
    return sum;
}

CONTRACT_TEST(a_scan_counts_up_to_the_first_unfinished_job, s)
{
    int64_t id = submit(s, LANE_DEFAULT, 10);
    struct range all = {id, id + 10, false};
    struct ds_scan scan = scan_all(s, all, NULL);
    ck_assert(scan.ret_stopped);
    ck_assert_int_eq(scan.ret_next, id);
    finish(s, (struct outcome){.id = id, .count = 4, .run = 1}, NULL);
    finish(s, (struct outcome){.id = id + 5, .run = 1, .kind = OUTCOME_FAILED}, NULL);
    scan = scan_all(s, all, NULL);
    ck_assert(scan.ret_stopped);
    ck_assert_int_eq(scan.ret_next, id + 4);
    ck_assert_int_eq(scan.ret_counts[JOB_DONE], 4);
    ck_assert_int_eq(scan.ret_counts[JOB_FAILED], 0);
    ck_assert_int_eq(cancel(s, id + 4, NULL), 0);
    finish(s, (struct outcome){.id = id + 6, .count = 4, .run = 1}, NULL);
    scan = scan_all(s, all, NULL);
    ck_assert(!scan.ret_stopped);
    ck_assert_int_eq(scan.ret_next, id + 10);
    ck_assert_int_eq(scan.ret_counts[JOB_DONE], 8);
    ck_assert_int_eq(scan.ret_counts[JOB_FAILED], 1);
    ck_assert_int_eq(scan.ret_counts[JOB_CANCELLED], 1);
    ck_assert_int_eq(scan.ret_missing, 0);
}

CONTRACT_TEST(a_scan_counts_the_ids_without_a_row, s)
{
    int64_t id = reserve(s, LANE_DEFAULT, 10);
    struct job third = {.id = id + 3, .run = 1, .type = "noop", .token = 1}, sixth = third;
    sixth.id = id + 6;
    ck_assert_int_eq(insert_row(s, &third), 0);
    ck_assert_int_eq(insert_row(s, &sixth), 0);
    finish(s, (struct outcome){.id = id + 3, .run = 1}, NULL);
    struct ds_scan scan = scan_all(s, (struct range){id, id + 20, false}, NULL);
    ck_assert(scan.ret_stopped);
    ck_assert_int_eq(scan.ret_next, id + 6);
    ck_assert_int_eq(scan.ret_missing, 5);
    ck_assert_int_eq(scan.ret_counts[JOB_DONE], 1);
    finish(s, (struct outcome){.id = id + 6, .run = 1}, NULL);
    scan = scan_all(s, (struct range){id, id + 20, false}, NULL);
    ck_assert(!scan.ret_stopped);
    ck_assert_int_eq(scan.ret_next, id + 20);
    ck_assert_int_eq(scan.ret_missing, 18);
    ck_assert_int_eq(scan.ret_counts[JOB_DONE], 2);
}

CONTRACT_TEST(a_batch_is_scanned_over_all_lanes, s)
{
    const struct population *p = populate(s);
    int64_t first = 0, done = 0;
    for (size_t i = 0; i < JOBS && first == 0; i++) {
        if (!text_is("night", p->jobs[i].batch))
            continue;
        if (!job_state_finished(p->jobs[i].state))
            first = p->jobs[i].id;
        else if (p->jobs[i].state == JOB_DONE)
            done++;
    }
    struct ds_scan scan = scan_all(s, (struct range){0}, "night");
    ck_assert(scan.ret_stopped);
    ck_assert_int_eq(scan.ret_next, first);
    ck_assert_int_eq(scan.ret_counts[JOB_DONE], done);
    int64_t counts[JOB_STATES] = {0};
    for (size_t i = 0; i < JOBS; i++) {
        struct job *job = arena_copy(&s->mem, &p->jobs[i], sizeof(*job));
        if (!text_is("night", job->batch))
            continue;
        if (!job_state_finished(job->state)) {
            ck_assert_int_eq(cancel(s, job->id, NULL), 0);
            job->state = JOB_CANCELLED;
        }
        counts[job->state]++;
    }
    scan = scan_all(s, (struct range){0}, "night");
    ck_assert(!scan.ret_stopped);
    ck_assert_int_eq(scan.ret_next, INT64_MAX);
    for (int i = 0; i < JOB_STATES; i++)
        ck_assert_int_eq(scan.ret_counts[i], counts[i]);
    scan = scan_all(s, (struct range){0}, "no such batch");
    ck_assert(!scan.ret_stopped);
    ck_assert_int_eq(scan.ret_next, INT64_MAX);
}

CONTRACT_TEST(a_long_scan_is_cut_and_goes_on, s)
{
    if (s->slow)
        return; /* it reads the whole collection for a part of it, longer than a step may take */
    int64_t id = 0;
    for (int i = 0; i < 8; i++) {
        int64_t first = submit(s, LANE_DEFAULT, LIMIT_BATCH_JOBS);
        id = i == 0 ? first : id;
        struct outcome outcome = {.id = first, .count = LIMIT_BATCH_JOBS, .run = 1};
        ck_assert_uint_eq(finish(s, outcome, NULL), LIMIT_BATCH_JOBS);
    }
    int64_t last = id + 8 * LIMIT_BATCH_JOBS;
    submit(s, LANE_DEFAULT, 1);
    struct ds_scan scan = scan_all(s, (struct range){id, last + 1, false}, NULL);
    ck_assert(scan.ret_stopped);
    ck_assert_int_eq(scan.ret_next, last);
    ck_assert_int_eq(scan.ret_counts[JOB_DONE], 8 * LIMIT_BATCH_JOBS);
    ck_assert_int_eq(scan.ret_missing, 0);
}

/* A client does not know how large rows are; after a few it does, and asks for many at a time. */
CONTRACT_TEST(a_page_comes_in_few_replies, s)
{
    enum { ROWS = 1000, REPLIES_MAX = 2 };
    char uri[300], host[64];
    unsigned port;
    int rest;
    struct datastore *ds;
    if (!s->server || sscanf(s->uri, "mongodb://%63[0-9.]:%u%n", host, &port, &rest) != 2)
        return; /* no connection that can be looked into */
    submit(s, LANE_DEFAULT, ROWS);
    struct wire_proxy *proxy = wire_proxy_start(host, (uint16_t)port);
    ck_assert_ptr_nonnull(proxy);
    snprintf(uri, sizeof(uri), "mongodb://127.0.0.1:%u%s", wire_proxy_port(proxy), s->uri + rest);
    ck_assert_int_eq(datastore_open(uri, 0, &ds, &s->err), 0);
    struct ds_step page = {.kind = DS_JOBS_READ, .jobs_read = {.rows_max = ROWS}};
    ck_assert_int_eq(datastore_step(ds, &page, &s->mem, &s->err), 0);
    ck_assert_uint_eq(page.jobs_read.ret_n, ROWS);
    ck_assert_uint_le(wire_proxy_requests(proxy, "getMore"), REPLIES_MAX - 1);
    datastore_close(ds);
    wire_proxy_stop(proxy);
}

int main(void)
{
    const TTest *const tests[] = {
        every_filter_gives_all_its_jobs_in_order_both_ways,
        a_full_page_says_whether_more_follows,
        a_brief_page_leaves_out_what_may_be_large,
        a_scan_counts_up_to_the_first_unfinished_job,
        a_scan_counts_the_ids_without_a_row,
        a_batch_is_scanned_over_all_lanes,
        a_long_scan_is_cut_and_goes_on,
        a_page_comes_in_few_replies,
    };
    return contract_main("reads", tests, sizeof(tests) / sizeof(tests[0]));
}
