/* Goal: the ledger keeps what is promised of certain moments: a graceful stop, an outage, a stall
 * (DESIGN §4, §6). Whatever may happen, and when, is the simulator's (tests/sim).
 * Method: clusters under virtual time, many seeds; I1, I2, I4, I5, I7 and I9 are checked on the
 * records after every step that writes, I3 once all is quiet. A failure prints how to run it again,
 * with every step told on stderr. */
#include <check.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/memory.h"
#include "datastore/steps.h"
#include "tests/sim/cluster.h"

enum { CALM_SEEDS = 300, LEASE_MS = 4000 };

/* The seeds of a test, or the one asked for. */
struct seeds {
    const char *test;
    uint64_t from, to;
    FILE *trace;
};

static struct seeds seeds_of(const char *test, uint64_t from, uint64_t n)
{
    if (getenv("STINT_SEED") == NULL)
        return (struct seeds){.test = test, .from = from, .to = from + n};
    uint64_t one = strtoull(getenv("STINT_SEED"), NULL, 10);
    return (struct seeds){.test = test, .from = one, .to = one + 1, .trace = stderr};
}

static void assert_kept(bool ok, const struct cluster *cluster, const struct seeds *seeds,
                        uint64_t seed)
{
    if (!ok)
        ck_abort_msg("%s (again: CK_RUN_CASE=%s STINT_SEED=%" PRIu64 ")", cluster_broken(cluster),
                     seeds->test, seed);
}

static void start_all(struct cluster *cluster, const struct cluster_plan *plan)
{
    for (size_t i = 0; i < plan->nodes; i++)
        cluster_start(cluster, i);
}

static void run_seed(const struct cluster_plan *plan, const struct seeds *seeds,
                     struct cluster_tally *total)
{
    struct cluster *cluster = cluster_new(plan, seeds->trace);
    bool ok = cluster_run(cluster);
    assert_kept(ok, cluster, seeds, plan->seed);
    tally_add(total, cluster_tally(cluster));
    cluster_free(cluster);
}

/* A cluster where nothing happens but what a test does; no node sees another's process. */
static struct cluster_plan quiet_plan(uint64_t seed)
{
    return (struct cluster_plan){
        .seed = seed,
        .nodes = 3,
        .slots = 2,
        .hosts = 3,
        .submitters = 2,
        .jobs = 30,
        .job_ms_max = 500,
        .stop_timeout_ms = 60000,
        .quiet_ms = UINT64_MAX,
        .lanes = 3,
        .fails = 200,
        .busy = 10,
        .stalls = 5,
        .stall_ms = LEASE_MS / 8,
    };
}

START_TEST(I7_a_graceful_stop_runs_nothing_twice)
{
    struct cluster_tally total = {0};
    struct seeds seeds = seeds_of("stop", 0, CALM_SEEDS);
    for (uint64_t seed = seeds.from; seed < seeds.to; seed++) {
        struct cluster_plan plan = quiet_plan(seed);
        plan.quiet_ms = 20000;
        plan_people(&plan);
        plan_steps_fail(&plan, seed % 3 * 15);
        run_seed(&plan, &seeds, &total);
    }
    printf("stops %" PRIu64 ", returns %" PRIu64 ", starts %" PRIu64 "\n", total.stops,
           total.applied[DS_RETURN], total.starts);
    ck_assert_uint_gt(total.stops, 0);
    ck_assert_uint_gt(total.applied[DS_RETURN], 0);
    /* Otherwise I7 was not looked at from then on. */
    ck_assert_uint_eq(total.buried, 0);
    ck_assert_uint_eq(total.interrupted, 0);
}
END_TEST

/* DESIGN §4, Silence: after an outage or a common stall nobody buries anybody. */
static void buries_nobody(const struct seeds *seeds,
                          void (*trouble)(struct cluster *cluster, uint64_t seed))
{
    for (uint64_t seed = seeds->from; seed < seeds->to; seed++) {
        struct cluster_plan plan = quiet_plan(seed);
        struct cluster *cluster = cluster_new(&plan, seeds->trace);
        start_all(cluster, &plan);
        bool ok = cluster_until(cluster, 4000 + seed * 10);
        trouble(cluster, seed);
        ok = ok && cluster_until(cluster, 40000) && cluster_finish(cluster);
        assert_kept(ok, cluster, seeds, seed);
        ck_assert_msg(cluster_tally(cluster)->buried == 0,
                      "somebody was buried (again: CK_RUN_CASE=%s STINT_SEED=%" PRIu64 ")",
                      seeds->test, seed);
        cluster_free(cluster);
    }
}

static void outage(struct cluster *cluster, uint64_t seed)
{
    cluster_outage(cluster, 3 * LEASE_MS + seed * 7);
}

static void stall(struct cluster *cluster, uint64_t seed)
{
    /* The worst moment: with the neighbours being read. */
    while (!cluster_awaits(cluster, 0, DS_NODES_READ) && cluster_step(cluster))
        ;
    for (size_t i = 0; i < 3; i++)
        cluster_freeze(cluster, i, 3 * LEASE_MS + i * (seed % 300));
}

START_TEST(an_outage_of_the_store_buries_nobody)
{
    struct seeds seeds = seeds_of("outage", 0, CALM_SEEDS);
    buries_nobody(&seeds, outage);
}
END_TEST

START_TEST(a_common_stall_buries_nobody)
{
    struct seeds seeds = seeds_of("stall", 0, CALM_SEEDS);
    buries_nobody(&seeds, stall);
}
END_TEST

START_TEST(a_node_buried_before_it_was_there_starts_anew)
{
    struct seeds seeds = seeds_of("added", 0, 20);
    for (uint64_t seed = seeds.from; seed < seeds.to; seed++) {
        struct cluster_plan plan = quiet_plan(seed);
        struct cluster *cluster = cluster_new(&plan, seeds.trace);
        cluster_start(cluster, 0);
        bool ok = cluster_until(cluster, 3500);
        cluster_torture(
            cluster, &(struct cluster_torture){.fault = WEATHER_REPLY_LOST, .nth = 1, .count = 1});
        cluster_start(cluster, 1);
        uint64_t added = cluster_tally(cluster)->applied[DS_NODE_ADD];
        while (ok && cluster_tally(cluster)->applied[DS_NODE_ADD] == added)
            ok = cluster_step(cluster);
        cluster_freeze(cluster, 1, 4 * LEASE_MS);
        ok = ok && cluster_until(cluster, 40000) && cluster_finish(cluster);
        assert_kept(ok, cluster, &seeds, seed);
        ck_assert_uint_eq(cluster_tally(cluster)->fenced, 1);
        cluster_free(cluster);
    }
}
END_TEST

/* An idle node drops its entry; when that comes late the entry is in use again. */
START_TEST(a_late_drop_takes_nothing)
{
    struct seeds seeds = seeds_of("drop", 0, 100);
    uint64_t fired = 0;
    for (uint64_t seed = seeds.from; seed < seeds.to; seed++) {
        struct cluster_plan plan = quiet_plan(seed);
        plan.nodes = plan.submitters = 1;
        plan.idle = true;
        struct cluster *cluster = cluster_new(&plan, seeds.trace);
        cluster_torture(cluster, &(struct cluster_torture){.fault = WEATHER_LATE,
                                                           .nth = 1,
                                                           .count = 4,
                                                           .one_kind = true,
                                                           .kind = DS_ENTRY_DROP});
        start_all(cluster, &plan);
        bool ok = cluster_until(cluster, 300000) && cluster_finish(cluster);
        assert_kept(ok, cluster, &seeds, seed);
        fired += cluster_tally(cluster)->hit[WEATHER_LATE][DS_KINDS][DS_ENTRY_DROP];
        cluster_free(cluster);
    }
    ck_assert_uint_gt(fired, 0);
}
END_TEST

/* ---- records alone ---------------------------------------------------------------- */

/* I6 needs of the ledger that an exclusive lane's ids are in one node's hands, lowest first. */
START_TEST(I6_an_exclusive_lane_is_in_one_hand_at_a_time)
{
    struct arena mem = {0};
    srandom(1);
    for (int round = 0; round < 200; round++) {
        struct lane lane = {.head = 1, .tail = 40, .exclusive = true};
        struct range held[3] = {0};
        uint64_t g[3] = {0}, r[3] = {0};
        for (int turn = 0; turn < 60; turn++) {
            int node = (int)(random() % 3);
            int holder = held[0].b > 0 ? 0 : held[1].b > 0 ? 1 : held[2].b > 0 ? 2 : -1;
            if (held[node].b == 0) {
                struct ds_claim claim = {
                    .node = node + 1, .g = g[node], .make_entry = true, .want = 1 + random() % 4};
                int64_t lowest = lane.n_pool > 0 ? lane.pool[0].a : lane.head;
                bool changed;
                ck_assert_int_eq(step_claim(&lane, &claim, &mem, &changed), 0);
                if (!changed)
                    continue;
                ck_assert_msg(holder == -1, "I6: two nodes hold ids of an exclusive lane");
                ck_assert_msg(claim.ret_range.a == lowest, "I6: not the lowest id first");
                held[node] = claim.ret_range;
                g[node]++;
            } else {
                struct ds_give_back back = {.node = node + 1,
                                            .r = r[node]++,
                                            .ranges = &held[node],
                                            .n_ranges = 1,
                                            .clear_holder = true};
                ck_assert_int_eq(step_give_back(&lane, &back, &mem), 0);
                held[node] = (struct range){0};
            }
        }
    }
    arena_release(&mem);
}
END_TEST

static void test_add(Suite *suite, const char *name, const TTest *test)
{
    TCase *tcase = tcase_create(name);
    tcase_add_test(tcase, test);
    suite_add_tcase(suite, tcase);
}

int main(void)
{
    Suite *suite = suite_create("ledger properties");
    test_add(suite, "stop", I7_a_graceful_stop_runs_nothing_twice);
    test_add(suite, "outage", an_outage_of_the_store_buries_nobody);
    test_add(suite, "stall", a_common_stall_buries_nobody);
    test_add(suite, "added", a_node_buried_before_it_was_there_starts_anew);
    test_add(suite, "drop", a_late_drop_takes_nothing);
    test_add(suite, "exclusive", I6_an_exclusive_lane_is_in_one_hand_at_a_time);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
