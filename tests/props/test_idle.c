/* Goal: a node that has nothing to do costs its store at most two steps a second, heartbeats and
 * watching included; and a node that is rung starts a job after a few steps, one that is not rung
 * after the time between two looks.
 * Method: clusters under virtual time with the lease that nodes have by default. Steps are counted
 * over a minute that begins when the work of the minutes before is done. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/cluster.h"

enum {
    SEEDS = 20,
    LEASE_MS_DEFAULT = 5000,
    SETTLE_MS = 240000, /* jobs end, entries are dropped */
    IDLE_MS = 60000,
    IDLE_STEPS_MAX = 2 * IDLE_MS / 1000,
    LOOK_MS = 2000,       /* the longest that nodes wait between looks, about ... */
    LOOK_SURE_MS = 10000, /* ... and where they are sure to be woken */
    STEP_MS_MEAN = 7,     /* the cluster's */
    STARTS = 200,
};

static struct cluster_plan plan_of(uint64_t seed, size_t nodes, size_t hosts)
{
    return (struct cluster_plan){
        .seed = seed,
        .nodes = nodes,
        .slots = 2,
        .hosts = hosts,
        .submitters = 1,
        .jobs = 1,
        .job_ms_max = 500,
        .stop_timeout_ms = 60000,
        .quiet_ms = UINT64_MAX,
        .lease_ms = LEASE_MS_DEFAULT,
        .one_burst = true,
        .unsure = true,
        .lanes = 1,
        .fails = 200,
        .busy = 10,
        .stalls = 5,
        .stall_ms = 500,
    };
}

static void assert_ok(bool ok, const struct cluster *cluster, uint64_t seed)
{
    ck_assert_msg(ok, "seed %" PRIu64 ": %s", seed, cluster_broken(cluster));
}

static const struct {
    size_t nodes, hosts;
    bool sure;
} idle[] = {{1, 1, false}, {3, 1, false}, {3, 3, false}, {8, 2, false}, {1, 1, true}, {3, 3, true}};

START_TEST(an_idle_node_costs_two_steps_a_second)
{
    uint64_t most = 0, sum = 0, n = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct cluster_plan plan = plan_of(seed, idle[_i].nodes, idle[_i].hosts);
        plan.unsure = !idle[_i].sure;
        plan.look_ms = idle[_i].sure ? LOOK_SURE_MS : LOOK_MS;
        struct cluster *cluster = cluster_new(&plan, NULL);
        uint64_t before[8];
        for (size_t i = 0; i < plan.nodes; i++)
            cluster_start(cluster, i);
        assert_ok(cluster_until(cluster, SETTLE_MS), cluster, seed);
        ck_assert_uint_gt(cluster_tally(cluster)->starts, 0);
        for (size_t i = 0; i < plan.nodes; i++)
            before[i] = cluster_steps(cluster, i);
        assert_ok(cluster_until(cluster, SETTLE_MS + IDLE_MS), cluster, seed);
        for (size_t i = 0; i < plan.nodes; i++, n++) {
            uint64_t steps = cluster_steps(cluster, i) - before[i];
            sum += steps;
            most = steps > most ? steps : most;
        }
        assert_ok(cluster_finish(cluster), cluster, seed);
        cluster_free(cluster);
    }
    printf("%zu nodes on %zu hosts, wakes %s: %.2f steps a second and node, at most %.2f\n",
           idle[_i].nodes, idle[_i].hosts, idle[_i].sure ? "sure" : "unsure",
           (double)sum / (double)n / (IDLE_MS / 1000), (double)most / (IDLE_MS / 1000));
    ck_assert_uint_le(most, IDLE_STEPS_MAX);
}
END_TEST

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

struct start_times {
    uint64_t ms[STARTS], steps[STARTS]; /* ascending */
};

/* From the insert of a job to its start on a node that has long been idle. */
static void start_times(unsigned deaf, struct start_times *ret)
{
    for (uint64_t seed = 0; seed < STARTS; seed++) {
        struct cluster_plan plan = plan_of(seed, 1, 1);
        plan.submit_after_ms = 90000 + seed * 37;
        plan.deaf = deaf;
        struct cluster *cluster = cluster_new(&plan, NULL);
        const struct cluster_tally *tally = cluster_tally(cluster);
        cluster_start(cluster, 0);
        while (tally->acked == 0)
            assert_ok(cluster_step(cluster), cluster, seed);
        uint64_t from_ms = cluster_now_ms(cluster), from = cluster_steps(cluster, 0);
        while (tally->starts == 0)
            assert_ok(cluster_step(cluster), cluster, seed);
        ret->ms[seed] = cluster_now_ms(cluster) - from_ms;
        ret->steps[seed] = cluster_steps(cluster, 0) - from;
        assert_ok(cluster_finish(cluster), cluster, seed);
        cluster_free(cluster);
    }
    qsort(ret->ms, STARTS, sizeof(ret->ms[0]), by_value);
    qsort(ret->steps, STARTS, sizeof(ret->steps[0]), by_value);
    printf("%s: started after p50 %" PRIu64 " ms, p99 %" PRIu64 " ms; steps p50 %" PRIu64
           ", p99 %" PRIu64 "\n",
           deaf == 0 ? "rung" : "not rung", ret->ms[STARTS / 2], ret->ms[STARTS * 99 / 100],
           ret->steps[STARTS / 2], ret->steps[STARTS * 99 / 100]);
}

START_TEST(a_rung_node_starts_after_a_few_steps)
{
    struct start_times times;
    start_times(0, &times);
    /* look (2), claim, own record, rows; beside them what others asked (2), and as steps are slow
     * here a second look (2). Each run's reply takes a step's time: the claim's has the rows, and
     * another reply that had to be waited for would be noticed here. */
    ck_assert_uint_le(times.steps[STARTS / 2], 9);
    ck_assert_uint_le(times.ms[STARTS / 2], 7 * STEP_MS_MEAN + STEP_MS_MEAN / 2);
}
END_TEST

START_TEST(a_node_not_rung_starts_after_a_look)
{
    struct start_times times;
    start_times(1000, &times);
    ck_assert_uint_gt(times.ms[STARTS / 2], LOOK_MS / 4); /* or the rings did get through */
    ck_assert_uint_le(times.ms[STARTS * 99 / 100], LOOK_MS * 9 / 8 + 1000);
}
END_TEST

/* A look without the queues must not lead to a claim. */
START_TEST(a_paused_queue_is_left_alone_by_nodes_that_are_not_rung)
{
    uint64_t most = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct cluster_plan plan = plan_of(seed, 2, 2);
        plan.submit_after_ms = 20000 + seed * 111;
        plan.deaf = 1000;
        struct cluster *cluster = cluster_new(&plan, NULL);
        cluster_start(cluster, 0);
        cluster_start(cluster, 1);
        assert_ok(cluster_until(cluster, 10000), cluster, seed);
        cluster_queue(cluster, "default", true);
        assert_ok(cluster_until(cluster, 60000), cluster, seed);
        ck_assert_uint_gt(cluster_tally(cluster)->acked, 0);
        uint64_t before = cluster_steps(cluster, 0);
        assert_ok(cluster_until(cluster, 60000 + IDLE_MS), cluster, seed);
        uint64_t steps = cluster_steps(cluster, 0) - before;
        most = steps > most ? steps : most;
        ck_assert_uint_eq(cluster_tally(cluster)->starts, 0);
        cluster_queue(cluster, "default", false);
        assert_ok(cluster_until(cluster, 64000 + IDLE_MS), cluster, seed);
        ck_assert_uint_gt(cluster_tally(cluster)->starts, 0);
        assert_ok(cluster_finish(cluster), cluster, seed);
        cluster_free(cluster);
    }
    printf("paused with work in it: at most %.2f steps a second\n",
           (double)most / (IDLE_MS / 1000));
    ck_assert_uint_le(most, IDLE_STEPS_MAX * 3 / 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("idle");
    TCase *tcase = tcase_create("idle");
    tcase_add_loop_test(tcase, an_idle_node_costs_two_steps_a_second, 0,
                        sizeof(idle) / sizeof(idle[0]));
    tcase_add_test(tcase, a_rung_node_starts_after_a_few_steps);
    tcase_add_test(tcase, a_node_not_rung_starts_after_a_look);
    tcase_add_test(tcase, a_paused_queue_is_left_alone_by_nodes_that_are_not_rung);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
