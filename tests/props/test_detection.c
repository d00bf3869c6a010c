/* Goal (I3): a node that is gone, and whose process nobody sees, is buried within its lease and two
 * heartbeats, also when others are there that would do it later.
 * Method: clusters under virtual time, each node on a host of its own, with the default lease.
 * One stands still from some moment of its heartbeat on (one that is killed would be started again
 * before it is buried); the clock says when it is buried. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/sim/cluster.h"

enum {
    KILLS = 300,
    KILLS_LARGE = 40,
    LEASE_MS = 5000, /* the default */
    BEAT_MS = LEASE_MS / 4,
    SETTLE_MS = 30000,
};

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* In the larger ones nodes watch only some of the others; there several fall silent at once, so
 * that some of them were watched by others of them. */
static const struct {
    size_t nodes, silent;
} sizes[] = {{2, 1}, {3, 1}, {6, 1}, {6, 3}, {24, 1}, {24, 6}, {48, 1}, {48, 8}};

static uint64_t buried_after_ms(uint64_t seed, size_t nodes, size_t silent)
{
    struct cluster_plan plan = {
        .seed = seed,
        .nodes = nodes,
        .slots = 2,
        .hosts = nodes,
        .submitters = 1,
        .jobs = 1,
        .job_ms_max = 500,
        .stop_timeout_ms = 60000,
        .quiet_ms = UINT64_MAX,
        .lease_ms = LEASE_MS,
        .lanes = 1,
        .fails = 200,
        .busy = 10,
        .stalls = 5,
        .stall_ms = 500,
    };
    struct cluster *cluster = cluster_new(&plan, NULL);
    const struct cluster_tally *tally = cluster_tally(cluster);
    bool ok = true;
    for (size_t i = 0; i < nodes; i++)
        cluster_start(cluster, i);
    ok = cluster_until(cluster, SETTLE_MS + seed * 37);
    ck_assert_uint_eq(tally->buried, 0);
    uint64_t from_ms = cluster_now_ms(cluster);
    for (size_t i = 0; i < silent; i++)
        cluster_freeze(cluster, (seed + i) % nodes, 60000);
    while (ok && tally->buried < silent)
        ok = cluster_step(cluster);
    ck_assert_msg(ok, "seed %" PRIu64 ": %s", seed, cluster_broken(cluster));
    uint64_t took_ms = cluster_now_ms(cluster) - from_ms;
    cluster_free(cluster);
    return took_ms;
}

START_TEST(a_silent_node_is_buried_within_its_lease_and_two_heartbeats)
{
    size_t nodes = sizes[_i].nodes, silent = sizes[_i].silent;
    size_t kills = nodes <= 6 ? KILLS : KILLS_LARGE;
    uint64_t ms[KILLS];
    for (uint64_t seed = 0; seed < kills; seed++)
        ms[seed] = buried_after_ms(seed, nodes, silent);
    qsort(ms, kills, sizeof(ms[0]), by_value);
    printf("%zu of %zu nodes: buried after p50 %" PRIu64 " ms, at most %" PRIu64 " ms\n", silent,
           nodes, ms[kills / 2], ms[kills - 1]);
    ck_assert_uint_gt(ms[0], LEASE_MS - BEAT_MS - 100);
    ck_assert_uint_le(ms[kills - 1], LEASE_MS + 2 * BEAT_MS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("detection");
    TCase *tcase = tcase_create("detection");
    tcase_add_loop_test(tcase, a_silent_node_is_buried_within_its_lease_and_two_heartbeats, 0,
                        sizeof(sizes) / sizeof(sizes[0]));
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
