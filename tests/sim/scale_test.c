/* Goal: what the cluster asks of its store stays in proportion to the ranges it claims and does not
 * grow with the nodes; the queue is drained in about the time that the work takes; and the
 * simulator's estimate of a record's size is right.
 * Method: tests/sim/scale_world.h, small clusters; counts and virtual times are the same in every
 * run. docs/SCALE.md has larger ones. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "datastore/mongo_bson.h"
#include "tests/sim/scale_internal.h"

static struct scale_result run(size_t nodes, enum scale_jobs jobs, int64_t jobs_a_slot)
{
    const struct scale_plan plan = {.nodes = nodes,
                                    .slots = 2,
                                    .jobs = jobs,
                                    .n_jobs = (int64_t)nodes * 2 * jobs_a_slot,
                                    .seed = 7,
                                    .lanes = 1,
                                    .idle_ms = 20000,
                                    .drain_ms_max = 120000,
                                    .server = scale_server_default};
    struct scale_result result = scale_run(&plan);
    ck_assert(result.drained);
    ck_assert_uint_eq(result.fenced, 0);
    printf("%zu nodes, jobs of %s: %.3f of the ideal, %.6f operations a job, %.1f jobs a claim\n",
           nodes, scale_jobs_name(jobs), (double)result.drain_ms / (double)result.ideal_ms,
           result.ops_a_job, result.jobs_a_claim);
    return result;
}

static void assert_drains(const struct scale_result *result, double most)
{
    ck_assert_double_le((double)result->drain_ms, most * (double)result->ideal_ms);
}

START_TEST(operations_a_job_fall_with_the_range_and_do_not_grow_with_the_nodes)
{
    struct scale_result few[2], many[2];
    few[0] = run(10, JOBS_100MS, 200);
    many[0] = run(100, JOBS_100MS, 200);
    few[1] = run(10, JOBS_1MS, 20000);
    many[1] = run(50, JOBS_1MS, 20000);
    for (int i = 0; i < 2; i++) {
        assert_drains(&few[i], 1.05);
        assert_drains(&many[i], 1.05);
        ck_assert_double_le(many[i].ops_a_job, 1.2 * few[i].ops_a_job);
    }
    /* A hundredth of the job's time: a hundred times the range, a hundredth of the operations. */
    ck_assert_double_gt(few[1].jobs_a_claim, 50 * few[0].jobs_a_claim);
    ck_assert_double_lt(few[1].ops_a_job, few[0].ops_a_job / 50);
}
END_TEST

START_TEST(long_jobs_among_short_ones_are_no_hindrance)
{
    struct scale_result result = run(100, JOBS_MIX, 900);
    assert_drains(&result, 1.2);
}
END_TEST

/* The submitter rings 128 of them in half a second, and an idle node of so many looks every four:
 * those who are rung must pass it on. And at the end of several lanes nobody is left with much. */
START_TEST(a_crowd_drains_several_lanes_at_once)
{
    const struct scale_plan plan = {.nodes = 2000,
                                    .slots = 2,
                                    .jobs = JOBS_100MS,
                                    .n_jobs = 2000 * 2 * 60,
                                    .seed = 3,
                                    .lanes = 8,
                                    .idle_ms = 30000,
                                    .drain_ms_max = 120000,
                                    .server = scale_server_default};
    struct scale_result result = scale_run(&plan);
    printf("2000 nodes, 8 lanes: %.3f of the ideal\n",
           (double)result.drain_ms / (double)result.ideal_ms);
    ck_assert(result.drained);
    ck_assert_uint_le(result.drain_ms, result.ideal_ms + 2000);
}
END_TEST

/* A crowd that keeps to some of the lanes must not leave others waiting. */
START_TEST(no_lane_is_left_waiting)
{
    static const size_t sizes[][2] = {{20, 32}, {40, 32}, {100, 8}};
    for (size_t i = 0; i < 3; i++) {
        const struct scale_plan plan = {.nodes = sizes[i][0],
                                        .slots = 2,
                                        .jobs = JOBS_100MS,
                                        .n_jobs = (int64_t)sizes[i][0] * 2 * 320,
                                        .seed = 5,
                                        .lanes = sizes[i][1],
                                        .idle_ms = 20000,
                                        .drain_ms_max = 120000,
                                        .server = scale_server_default};
        struct scale_result result = scale_run(&plan);
        printf("%zu nodes, %zu lanes: the last lane was begun after %" PRIu64 " ms of %" PRIu64
               "\n",
               plan.nodes, plan.lanes, result.begun_ms, result.drain_ms);
        ck_assert(result.drained);
        ck_assert_uint_le(result.begun_ms, 5000);
    }
}
END_TEST

/* In a crowd most looks leave out the entries of others. */
START_TEST(an_entry_that_nobody_answers_for_is_found_by_a_crowd)
{
    const struct scale_plan plan = {.nodes = 48,
                                    .slots = 2,
                                    .jobs = JOBS_100MS,
                                    .n_jobs = 48 * 2 * 50,
                                    .seed = 11,
                                    .lanes = 1,
                                    .idle_ms = 40000,
                                    .drain_ms_max = 300000,
                                    .ghost = true,
                                    .server = scale_server_default};
    struct scale_result result = scale_run(&plan);
    printf("a dead node's entry is found, and its jobs are done, %.1f s after it got it\n",
           (double)result.drain_ms / 1000);
    ck_assert(result.drained);
    ck_assert_uint_le(result.drain_ms, 60000);
}
END_TEST

START_TEST(the_estimate_of_a_record_is_right)
{
    for (size_t n = 0; n <= 1000; n = n * 10 + 1) {
        struct lane_entry *entries = calloc(n + 1, sizeof(*entries));
        struct range pool[3] = {{1000, 2000, true}, {3000, 4000, false}, {5000, 6000, true}};
        const char *types[] = {"exec"};
        for (size_t i = 0; i < n; i++)
            entries[i] = (struct lane_entry){.node = INT64_C(4000000000000000000) + (int64_t)i,
                                             .g = 1000,
                                             .last = {1, 1001, false},
                                             .r = 7};
        const struct lane lane = {.name = {QUEUE_DEFAULT, PRIORITY_DEFAULT, 0},
                                  .types = types,
                                  .n_types = 1,
                                  .pool = pool,
                                  .n_pool = 3,
                                  .entries = entries,
                                  .n_entries = n};
        bson_t doc = BSON_INITIALIZER;
        lane_to_doc(&lane, &doc);
        printf("lane with %zu entries: %zu, estimated %zu bytes\n", n, (size_t)doc.len,
               lane_doc_bytes(&lane));
        ck_assert_double_eq_tol((double)lane_doc_bytes(&lane), doc.len, 0.1 * doc.len);
        bson_destroy(&doc);
        free(entries);
    }
}
END_TEST

START_TEST(the_estimate_of_a_node_is_right)
{
    static char queues[][LIMIT_NAME_BYTES + 1] = {QUEUE_DEFAULT};
    static char types[][LIMIT_NAME_BYTES + 1] = {"exec", "noop"};
    struct node_range ranges[4] = {{.range = {1, 2, false}}, {.range = {3, 4, false}}};
    struct node_grant granted[2] = {{0, 1}, {1, 2}};
    struct node_running running[8] = {{.id = 1, .run = 1, .type = "exec"}};
    for (size_t i = 1; i < 8; i++)
        running[i] = running[0];
    for (size_t n = 0; n <= 4; n++) {
        const struct node node = {.id = 4000000000000000000,
                                  .name = "n1234",
                                  .host = "h1234",
                                  .boot_id = "01234567-89ab-cdef-0123-456789abcdef",
                                  .version = "0",
                                  .slots = 2,
                                  .queues = queues,
                                  .n_queues = 1,
                                  .types = types,
                                  .n_types = 2,
                                  .doorbell = "10.0.100.100:40000/0123456789abcdef",
                                  .state = NODE_WORKING,
                                  .ranges = ranges,
                                  .n_ranges = n,
                                  .granted = granted,
                                  .n_granted = n / 2,
                                  .running = running,
                                  .n_running = 2 * n};
        bson_t doc = BSON_INITIALIZER;
        node_to_doc(&node, &doc);
        printf("node with %zu ranges: %zu, estimated %zu bytes\n", n, (size_t)doc.len,
               node_doc_bytes(&node));
        ck_assert_double_eq_tol((double)node_doc_bytes(&node), doc.len, 0.1 * doc.len);
        bson_destroy(&doc);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scale");
    TCase *tcase = tcase_create("scale");
    tcase_add_test(tcase, operations_a_job_fall_with_the_range_and_do_not_grow_with_the_nodes);
    tcase_add_test(tcase, long_jobs_among_short_ones_are_no_hindrance);
    tcase_add_test(tcase, a_crowd_drains_several_lanes_at_once);
    tcase_add_test(tcase, no_lane_is_left_waiting);
    tcase_add_test(tcase, an_entry_that_nobody_answers_for_is_found_by_a_crowd);
    tcase_add_test(tcase, the_estimate_of_a_record_is_right);
    tcase_add_test(tcase, the_estimate_of_a_node_is_right);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
