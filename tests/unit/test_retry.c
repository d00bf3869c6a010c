/* Goal: a command gets over a short outage of the store, knows what a step tried twice comes to,
 * and says so in bounded time when the store stays away.
 * Method: the memory datastore under the faulty one, whose counter must show the fault. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/wait.h"
#include "datastore/faulty.h"
#include "datastore/memory.h"

static struct memory_store *store;
static struct datastore *ds;
static struct interrupt interrupt;

static int64_t tick(void *ctx)
{
    (void)ctx;
    return 1000;
}

static void setup(void)
{
    store = memory_store_new(tick, NULL);
    ds = faulty_wrap(memory_open(store), &(struct faulty_plan){0});
    interrupt_open(&interrupt);
}

static void teardown(void)
{
    interrupt_close(&interrupt);
    datastore_close(ds);
    memory_store_free(store);
}

START_TEST(a_step_is_tried_again_and_says_what_it_may_find)
{
    static const enum fault faults[] = {FAULT_UNAVAILABLE, FAULT_CALL_LOST, FAULT_REPLY_LOST};
    struct ds_step step = {
        .kind = DS_QUEUE_SET,
        .queue_set = {.queue = {.name = "mail", .weight = 1}, .create_only = true}};
    struct error err = {0};
    struct arena mem = {0};
    bool unsure = false;
    faulty_set(ds, &(struct faulty_plan){
                       .nth = 1, .one_kind = true, .kind = DS_QUEUE_SET, .fault = faults[_i]});
    int rc = cli_step(ds, &step, &mem, &unsure, &err);
    ck_assert_uint_eq(faulty_fired(ds, DS_QUEUE_SET), 1);
    ck_assert_int_eq(rc, faults[_i] == FAULT_REPLY_LOST ? ERR_DUPLICATE : 0);
    ck_assert_int_eq(unsure, faults[_i] != FAULT_UNAVAILABLE);
    arena_release(&mem);
}
END_TEST

START_TEST(an_answer_is_no_outage)
{
    struct ds_step step = {.kind = DS_CANCEL, .cancel = {.id = id_make(0, 7)}};
    struct error err = {0};
    struct arena mem = {0};
    bool unsure = true;
    ck_assert_int_eq(cli_step(ds, &step, &mem, &unsure, &err), ERR_NOT_FOUND);
    ck_assert(!unsure);
    ck_assert(!cli_passing(ERR_CORRUPT) && !cli_passing(ERR_READ_ONLY) && !cli_passing(0));
    arena_release(&mem);
}
END_TEST

/* One job that was cancelled. */
static struct range job_ended(void)
{
    struct job job = {.state = JOB_QUEUED, .run = 1, .type = "noop", .token = 1};
    struct ds_step steps[] = {
        {.kind = DS_RESERVE, .reserve.count = 1},
        {.kind = DS_INSERT, .insert = {.jobs = &job, .n_jobs = 1, .from_reserve = true}},
        {.kind = DS_CANCEL, .cancel = {.id = id_make(0, 1)}}};
    struct ds_run run = {.steps = steps, .n_steps = 3};
    ck_assert_int_eq(datastore_run(ds, &run), 0);
    arena_release(&run.mem);
    return (struct range){.a = id_make(0, 1), .b = id_make(0, 2)};
}

static int wait_with(bool from_then_on)
{
    struct range range = job_ended();
    struct cli cli = {0};
    struct wait_request request = {.ranges = &range,
                                   .n_ranges = 1,
                                   .timeout_ms = -1,
                                   .again = "stint wait 1",
                                   .outage_ms = 50};
    faulty_set(ds, &(struct faulty_plan){.nth = 1,
                                         .from_then_on = from_then_on,
                                         .one_kind = true,
                                         .kind = DS_SCAN,
                                         .fault = FAULT_UNAVAILABLE});
    return wait_for(&cli, ds, &interrupt, &request);
}

START_TEST(waiting_survives_an_outage)
{
    ck_assert_int_eq(wait_with(false), CLI_FAILED); /* the job was cancelled */
    ck_assert_uint_eq(faulty_fired(ds, DS_SCAN), 1);
}
END_TEST

START_TEST(waiting_ends_when_the_store_stays_away)
{
    uint64_t began_ms = clock_ms();
    ck_assert_int_eq(wait_with(true), CLI_UNREACHABLE);
    ck_assert_uint_ge(clock_ms() - began_ms, 50);
    ck_assert_uint_gt(faulty_fired(ds, DS_SCAN), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("retry");
    TCase *tcase = tcase_create("retry");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, a_step_is_tried_again_and_says_what_it_may_find, 0, 3);
    tcase_add_test(tcase, an_answer_is_no_outage);
    tcase_add_test(tcase, waiting_survives_an_outage);
    tcase_add_test(tcase, waiting_ends_when_the_store_stays_away);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
