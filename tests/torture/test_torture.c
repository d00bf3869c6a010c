/* Goal: whichever step of a node fails, and however, once or for a while, every job ends once and
 * nothing is left behind (I1 to I5, I9).
 * Method: one fixed scenario: submit, claim, run, shed to a second node, stop the first gracefully,
 * crash the second, which a third one buries. The nth step of all nodes is faulted, for each n,
 * until n is past the last. Each test tells how often its fault hit between which two steps; a
 * place where it never did fails the test. A failure says how to have it again. */
#include <check.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tests/sim/cluster.h"

enum { AWHILE = 12, N_MAX = 5000, SEEDS = 3 };

/* Which step after which (DS_KINDS: first in its run) a fault must have hit. */
static const enum ds_kind places[][2] = {
    {DS_KINDS, DS_NODE_ADD},         {DS_KINDS, DS_NODE_WRITE},     {DS_KINDS, DS_CLAIM},
    {DS_CLAIM, DS_NODE_WRITE},       {DS_STINTS_ADD, DS_CLAIM},     {DS_KINDS, DS_STINTS_ADD},
    {DS_STINTS_ADD, DS_NODE_WRITE},  {DS_NODE_WRITE, DS_RETURN},    {DS_KINDS, DS_FINISH},
    {DS_NODE_WRITE, DS_HISTORY_ADD}, {DS_KINDS, DS_NODE_KILL},      {DS_KINDS, DS_LANE_BURY},
    {DS_KINDS, DS_NODE_CLEAR},       {DS_KINDS, DS_NODE_ASK},       {DS_KINDS, DS_LOAD},
    {DS_KINDS, DS_META_READ},        {DS_META_READ, DS_NODES_READ}, {DS_KINDS, DS_QUEUES_READ},
    {DS_QUEUES_READ, DS_LANES_READ}, {DS_KINDS, DS_LANES_READ},     {DS_KINDS, DS_NODES_READ},
};

static FILE *trace; /* STINT_AGAIN: every step is told */
static uint64_t fired[DS_KINDS + 1][DS_KINDS];

/* Returns false once the fault found no step to hit any more. */
static bool scenario(uint64_t seed, const struct cluster_torture *torture)
{
    const struct cluster_plan plan = {
        .seed = seed,
        .nodes = 3,
        .slots = 2,
        .hosts = seed % 2 == 0 ? 3 : 1, /* buried when silent, or when seen to be gone */
        .submitters = 1,
        .jobs = 26,
        .job_ms_max = 900,
        .stop_timeout_ms = 300,
        .quiet_ms = UINT64_MAX,
        .names_fixed = true,
        .lanes = 1,
        .fails = 200,
        .busy = 10,
        .stalls = 5,
        .stall_ms = 500,
        .one_burst = true,
        .unsure = seed < 2,
        .deaf = 200,
    };
    struct cluster *cluster = cluster_new(&plan, trace);
    cluster_torture(cluster, torture);
    cluster_start(cluster, 0);
    bool ok = cluster_until(cluster, 2500);
    cluster_start(cluster, 1);
    ok = ok && cluster_until(cluster, 4200);
    cluster_stop(cluster, 0, false);
    ok = ok && cluster_until(cluster, 4600);
    cluster_start(cluster, 2);
    ok = ok && cluster_until(cluster, 5000);
    cluster_crash(cluster, 1);
    ok = ok && cluster_until(cluster, 14000) && cluster_finish(cluster);
    if (!ok)
        ck_abort_msg("%s: %s (again, every step told: STINT_AGAIN='%d %" PRIu64 " %" PRIu64
                     " %" PRIu64 "')",
                     weather_name(torture->fault), cluster_broken(cluster), (int)torture->fault,
                     seed, torture->nth, torture->count);
    ck_assert_uint_ge(cluster_tally(cluster)->acked, 26);
    bool any = false;
    for (int before = 0; before <= DS_KINDS; before++)
        for (int kind = 0; kind < DS_KINDS; kind++) {
            uint64_t n = cluster_tally(cluster)->hit[torture->fault][before][kind];
            fired[before][kind] += n;
            any = any || n > 0;
        }
    cluster_free(cluster);
    return any;
}

static void tell(const char *title)
{
    printf("%s:", title);
    for (int before = 0; before <= DS_KINDS; before++)
        for (int kind = 0; kind < DS_KINDS; kind++)
            if (fired[before][kind] > 0)
                printf(" %s>%s %" PRIu64,
                       before < DS_KINDS ? ds_kind_name((enum ds_kind)before) : "",
                       ds_kind_name((enum ds_kind)kind), fired[before][kind]);
    printf("\n");
}

static void seed_torture(uint64_t seed, enum weather fault)
{
    bool more = true;
    for (uint64_t nth = 1; more; nth++) {
        ck_assert_uint_lt(nth, N_MAX);
        more = scenario(seed, &(struct cluster_torture){.fault = fault, .nth = nth, .count = 1});
        if (fault != WEATHER_CRASH)
            more =
                scenario(seed,
                         &(struct cluster_torture){.fault = fault, .nth = nth, .count = AWHILE}) &&
                more;
    }
}

static void torture_with(enum weather fault)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        seed_torture(seed, fault);
    tell(weather_name(fault));
    bool reads_too = fault == WEATHER_UNAVAILABLE || fault >= WEATHER_REPLY_LATE;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        enum ds_kind before = places[i][0], kind = places[i][1];
        if (reads_too || ds_kind_writes(kind))
            ck_assert_msg(fired[before][kind] > 0, "%s: never hit %s after %s", weather_name(fault),
                          ds_kind_name(kind), ds_kind_name(before));
    }
}

/* The faults are numbered from 1; each is a test of its own, in a process of its own. */
START_TEST(every_job_ends_once_whichever_step_fails)
{
    torture_with((enum weather)_i);
}
END_TEST

START_TEST(again)
{
    int fault;
    uint64_t seed;
    struct cluster_torture torture = {0};
    ck_assert_int_eq(sscanf(getenv("STINT_AGAIN"), "%d %" SCNu64 " %" SCNu64 " %" SCNu64, &fault,
                            &seed, &torture.nth, &torture.count),
                     4);
    torture.fault = (enum weather)fault;
    trace = stderr;
    scenario(seed, &torture);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("torture");
    TCase *tcase = tcase_create("steps");
    if (getenv("STINT_AGAIN") != NULL)
        tcase_add_test(tcase, again);
    else
        tcase_add_loop_test(tcase, every_job_ends_once_whichever_step_fails, WEATHER_UNAVAILABLE,
                            WEATHERS);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
