/* Goal: the simulator does what its users rely on: a plan gives one history, a plan survives being
 * printed and read, and what is left out does not happen. That it finds faults is shown by the
 * mutants (tests/sim/mutants.cmake).
 * Method: plans of many seeds; traces compared byte by byte. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/minimise.h"

enum { PLANS = 5000, HISTORIES = 25 };

START_TEST(a_plan_survives_being_printed_and_read)
{
    for (uint64_t seed = 1; seed <= PLANS; seed++) {
        struct cluster_plan plan = plan_draw(seed * seed), again;
        char text[PLAN_TEXT_BYTES], why[128];
        plan_print(&plan, text, sizeof(text));
        ck_assert_uint_lt(strlen(text), sizeof(text) - 1);
        ck_assert_msg(plan_parse(text, &again, why, sizeof(why)), "%s: %s", text, why);
        ck_assert_msg(memcmp(&plan, &again, sizeof(plan)) == 0, "%s", text);
    }
}
END_TEST

static const char *const no_plans[] = {
    "",
    "nodes",
    "nodes=3",
    "nodes=0 slots=1 hosts=1 lanes=1 job_ms_max=1 quiet_ms=1000",
    "nodes=1 slots=1 hosts=1 lanes=1 job_ms_max=1 quiet_ms=1000 bodes=1",
    "nodes=1x slots=1 hosts=1 lanes=1 job_ms_max=1 quiet_ms=1000",
    "nodes= slots=1 hosts=1 lanes=1 job_ms_max=1 quiet_ms=1000",
    "nodes=1 slots=33 hosts=1 lanes=1 job_ms_max=1 quiet_ms=1000",
    "nodes=99999999999999999999999 slots=1 hosts=1 lanes=1 job_ms_max=1 quiet_ms=1000",
    "step.fair=1 nodes=1 slots=1 hosts=1 lanes=1 job_ms_max=1 quiet_ms=1000",
};

START_TEST(what_is_no_plan_is_refused)
{
    struct cluster_plan plan;
    char why[128] = "";
    ck_assert(!plan_parse(no_plans[_i], &plan, why, sizeof(why)));
    ck_assert_str_ne(why, "");
}
END_TEST

static char *history(uint64_t seed)
{
    struct finding finding = {.plan = plan_draw(seed)};
    char *text = NULL;
    size_t size;
    FILE *trace = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(trace);
    ck_assert_msg(!finding_run(&finding, trace, NULL), "%s", finding.broken);
    fclose(trace);
    return text;
}

START_TEST(a_seed_gives_one_history)
{
    char *before = NULL;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        char *a = history(seed), *b = history(seed);
        ck_assert_msg(strcmp(a, b) == 0, "seed %d", (int)seed);
        ck_assert(before == NULL || strcmp(a, before) != 0);
        free(before);
        free(b);
        before = a;
    }
    free(before);
}
END_TEST

START_TEST(what_is_left_out_does_not_happen)
{
    struct cluster_tally with = {0}, without = {0}, tally;
    for (uint64_t seed = 1; seed <= HISTORIES; seed++) {
        struct finding finding = {.plan = plan_draw(seed)};
        ck_assert(!finding_run(&finding, NULL, &tally));
        tally_add(&with, &tally);
        finding.only = calloc(1, sizeof(uint64_t)); /* none of them */
        ck_assert(!finding_run(&finding, NULL, &tally));
        tally_add(&without, &tally);
        finding_free(&finding);
    }
    for (enum weather i = WEATHER_UNAVAILABLE; i < WEATHERS; i++) {
        ck_assert_msg(with.weather[i] > 0, "no %s", weather_name(i));
        ck_assert_msg(without.weather[i] == 0, "%s", weather_name(i));
    }
    for (enum chaos i = 0; i < CHAOS_KINDS; i++) {
        ck_assert_msg(with.chaos[i] > 0, "no %s", chaos_name(i));
        ck_assert_msg(without.chaos[i] == 0, "%s", chaos_name(i));
    }
    ck_assert(with.stalls && with.holes && with.busy && with.lost_ends && with.deaf);
    ck_assert(!(without.stalls || without.holes || without.busy || without.lost_ends));
    ck_assert_uint_eq(without.deaf, 0);
    ck_assert_uint_eq(without.freezes, 0);
    ck_assert_uint_gt(without.starts, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("simulator");
    TCase *tcase = tcase_create("simulator");
    tcase_add_test(tcase, a_plan_survives_being_printed_and_read);
    tcase_add_loop_test(tcase, what_is_no_plan_is_refused, 0,
                        sizeof(no_plans) / sizeof(no_plans[0]));
    tcase_add_test(tcase, a_seed_gives_one_history);
    tcase_add_test(tcase, what_is_left_out_does_not_happen);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
