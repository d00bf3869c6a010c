/* Goal: the jobs of an earlier moment are told as they were, as far as rows of now and the nodes'
 * records tell, and nothing of what came later.
 * Method: rows and a moment made by hand; every field that may tell too much is looked at. */
#include <check.h>
#include <stdlib.h>

#include "observer/jobs.h"
#include "observer/moment.h"

enum { AT_MS = 1000 };

static const struct job_attempt trace[] = {
    {.run = 1, .interrupted = true, .started_ms = 100, .finished_ms = 300, .exit_code = -1},
    {.run = 2, .started_ms = 400, .finished_ms = 1200, .exit_code = 1},
};
static const struct job_ending ending = {
    .exit_code = 7, .error = "later", .trace = trace, .n_trace = 2};

static const struct job rows[] = {
    {.id = 1, .state = JOB_DONE, .run = 1, .created_ms = 1, .started_ms = 5, .finished_ms = 900},
    {.id = 2, .state = JOB_DONE, .run = 1, .node = 9, .started_ms = 950, .finished_ms = 1001},
    {.id = 3, .state = JOB_FAILED, .run = 1, .started_ms = 1001, .finished_ms = 1002, .node = 9},
    {.id = 4,
     .state = JOB_FAILED,
     .run = 3,
     .started_ms = 1300,
     .finished_ms = 1400,
     .interruptions = 1,
     .ending = &ending,
     .node = 9},
    {.id = 5, .state = JOB_QUEUED, .run = 1},
    {.id = 6, .state = JOB_QUEUED, .run = 1, .created_ms = 1001},
    {.id = 7, .state = JOB_BLOCKED, .run = 1},
    {.id = 8, .state = JOB_SCHEDULED, .run = 2},
    {.id = 9, .state = JOB_CANCELLED, .run = 1, .finished_ms = 1000},
    {.id = 10, .state = JOB_CANCELLED, .run = 1, .finished_ms = 1001},
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static struct node_running running[] = {{.id = 5, .run = 1, .started_ms = 990},
                                        {.id = 8, .run = 1, .started_ms = 980}};
static struct moment_node nodes[] = {{.node = {.id = 9, .running = running, .n_running = 2}}};
static const struct moment moment = {.at_ms = AT_MS, .nodes = nodes, .n_nodes = 1, .n_live = 1};

static const struct job *found(const struct jobs_page *page, int64_t id)
{
    for (size_t i = 0; i < page->n; i++)
        if (page->jobs[i].id == id)
            return &page->jobs[i];
    return NULL;
}

static void then(struct jobs_page *page, uint32_t states)
{
    struct jobs_page now = {.ask = {.states = states, .then = true},
                            .jobs = (struct job *)rows,
                            .n = ROWS,
                            .detail = &rows[3],
                            .at_ms = 2000};
    jobs_then(&moment, &now, page);
    ck_assert_int_eq(page->last_id, rows[ROWS - 1].id);
}

START_TEST(each_is_as_it_was)
{
    struct jobs_page page = {0};
    then(&page, 0);
    ck_assert_uint_eq(page.n, ROWS);
    ck_assert_int_eq(found(&page, 1)->state, JOB_DONE);
    ck_assert_int_eq(found(&page, 1)->finished_ms, 900);
    const struct job *ran = found(&page, 2);
    ck_assert(ran->state == JOB_QUEUED && ran->started_ms == 950 && ran->node == 9);
    ck_assert_int_eq(ran->finished_ms, 0);
    const struct job *waited = found(&page, 3);
    ck_assert(waited->state == JOB_QUEUED && waited->started_ms == 0 && waited->node == 0);
    ck_assert_int_eq(found(&page, 5)->started_ms, 990);
    ck_assert_int_eq(found(&page, 7)->state, JOB_BLOCKED);
    ck_assert_int_eq(found(&page, 8)->state, JOB_QUEUED);
    ck_assert_int_eq(found(&page, 8)->run, 1);
    ck_assert_int_eq(found(&page, 9)->state, JOB_CANCELLED);
    ck_assert_int_eq(found(&page, 10)->state, JOB_QUEUED);
    arena_release(&page.mem);
}
END_TEST

START_TEST(of_its_runs_those_that_were_over)
{
    struct jobs_page page = {0};
    then(&page, 0);
    ck_assert_int_eq(page.detail->run, 2);
    ck_assert_int_eq(page.detail->interruptions, 1);
    ck_assert_uint_eq(page.detail->ending->n_trace, 1);
    ck_assert_int_eq(page.detail->ending->exit_code, -1);
    ck_assert_ptr_null(page.detail->ending->error);
    arena_release(&page.mem);
}
END_TEST

START_TEST(a_filter_is_about_then)
{
    struct jobs_page page = {0};
    struct jobs_ask ask = {.states = 1U << JOB_QUEUED, .then = true};
    ck_assert_uint_eq(jobs_states_read(&ask), 0);
    ask.then = false;
    ck_assert_uint_eq(jobs_states_read(&ask), 1U << JOB_QUEUED);
    then(&page, 1U << JOB_QUEUED);
    static const int64_t queued[] = {2, 3, 4, 5, 8, 10};
    ck_assert_uint_eq(page.n, sizeof(queued) / sizeof(queued[0]));
    for (size_t i = 0; i < page.n; i++)
        ck_assert_int_eq(page.jobs[i].id, queued[i]);
    then(&page, 1U << JOB_FAILED);
    ck_assert_uint_eq(page.n, 0);
    then(&page, 1U << JOB_CANCELLED);
    ck_assert_uint_eq(page.n, 1);
    arena_release(&page.mem);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jobs");
    TCase *tcase = tcase_create("then");
    tcase_add_test(tcase, each_is_as_it_was);
    tcase_add_test(tcase, of_its_runs_those_that_were_over);
    tcase_add_test(tcase, a_filter_is_about_then);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
