/* Goal: the faulty datastore fails exactly the steps its plan names, in the way it names, and
 * counts them; the tracing one writes one line a step and changes nothing.
 * Method: both over the memory store, whose records tell what was applied. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/faulty.h"
#include "datastore/memory.h"
#include "datastore/trace.h"

static struct memory_store *store;
static struct datastore *ds;
static struct arena mem;

static int64_t no_time(void *ctx)
{
    (void)ctx;
    return 1;
}

static void set_up(void)
{
    store = memory_store_new(no_time, NULL);
    mem = (struct arena){0};
    ds = faulty_wrap(memory_open(store), &(struct faulty_plan){0});
}

static void tear_down(void)
{
    arena_release(&mem);
    datastore_close(ds);
    memory_store_free(store);
}

/* Three reservations of 1, 10 and 100 ids, then a read: the tail tells which were applied. */
static int run_steps(struct ds_step steps[4], struct error *ret_err)
{
    static const int64_t counts[] = {1, 10, 100};
    for (size_t i = 0; i < 3; i++)
        steps[i] = (struct ds_step){.kind = DS_RESERVE, .reserve.count = counts[i]};
    steps[3] = (struct ds_step){.kind = DS_LANES_READ};
    struct ds_run run = {.steps = steps, .n_steps = 4, .mem = mem};
    int rc = datastore_run(ds, &run);
    mem = run.mem;
    if (ret_err != NULL)
        *ret_err = run.err;
    return rc;
}

static int64_t applied(void)
{
    struct datastore *own = memory_open(store);
    struct ds_step step = {.kind = DS_LANES_READ};
    ck_assert_int_eq(datastore_step(own, &step, &mem, NULL), 0);
    datastore_close(own);
    return step.lanes_read.ret_lanes[0].tail - 1;
}

static void plan(struct faulty_plan p)
{
    faulty_set(ds, &p);
}

START_TEST(without_a_plan_nothing_fails)
{
    struct ds_step steps[4];
    ck_assert_int_eq(run_steps(steps, NULL), 0);
    ck_assert_int_eq(steps[3].lanes_read.ret_lanes[0].tail, 112);
    ck_assert_uint_eq(faulty_fired(ds, DS_KINDS), 0);
}
END_TEST

static const struct {
    enum fault fault;
    int rc;
    int64_t applied;
} faults[] = {
    {FAULT_UNAVAILABLE, ERR_UNAVAILABLE, 1},
    {FAULT_CALL_LOST, ERR_UNKNOWN_OUTCOME, 1},
    {FAULT_REPLY_LOST, ERR_UNKNOWN_OUTCOME, 11},
};

START_TEST(the_nth_step_fails_and_the_rest_is_skipped)
{
    plan((struct faulty_plan){.nth = 2, .fault = faults[_i].fault});
    struct ds_step steps[4];
    struct error err = {0};
    ck_assert_int_eq(run_steps(steps, &err), faults[_i].rc);
    ck_assert_int_eq(err.code, faults[_i].rc);
    ck_assert_int_eq(steps[0].rc, 0);
    ck_assert_int_eq(steps[0].reserve.ret_first, 1);
    ck_assert_int_eq(steps[1].rc, faults[_i].rc);
    ck_assert_int_eq(steps[1].reserve.ret_first, 0);
    ck_assert_int_eq(steps[2].rc, ERR_SKIPPED);
    ck_assert_int_eq(steps[3].rc, ERR_SKIPPED);
    ck_assert_int_eq(applied(), faults[_i].applied);
    ck_assert_uint_eq(faulty_fired(ds, DS_RESERVE), 1);
    ck_assert_uint_eq(faulty_fired(ds, DS_LANES_READ), 0);
    ck_assert_int_eq(run_steps(steps, NULL), 0); /* once */
    ck_assert_uint_eq(faulty_fired(ds, DS_KINDS), 1);
}
END_TEST

START_TEST(every_step_fails_from_then_on)
{
    plan((struct faulty_plan){.nth = 2, .from_then_on = true, .fault = faults[_i].fault});
    struct ds_step steps[4];
    for (uint64_t i = 1; i <= 5; i++) {
        ck_assert_int_eq(run_steps(steps, NULL), faults[_i].rc);
        ck_assert_int_eq(steps[0].rc, i == 1 ? 0 : faults[_i].rc);
        ck_assert_uint_eq(faulty_fired(ds, DS_RESERVE), i);
    }
}
END_TEST

START_TEST(a_plan_may_be_for_one_kind)
{
    plan((struct faulty_plan){
        .nth = 1, .one_kind = true, .kind = DS_LANES_READ, .fault = FAULT_REPLY_LOST});
    struct ds_step steps[4];
    /* A read has no unknown outcome. */
    ck_assert_int_eq(run_steps(steps, NULL), ERR_UNAVAILABLE);
    ck_assert_int_eq(steps[2].rc, 0);
    ck_assert_int_eq(steps[3].rc, ERR_UNAVAILABLE);
    ck_assert_uint_eq(faulty_fired(ds, DS_LANES_READ), 1);
    ck_assert_int_eq(applied(), 111);
}
END_TEST

START_TEST(a_step_that_was_never_reached_does_not_count)
{
    plan((struct faulty_plan){.nth = 2, .fault = faults[_i].fault});
    for (int i = 0; i < 3; i++) {
        struct ds_step steps[] = {{.kind = DS_CANCEL, .cancel.id = 9},
                                  {.kind = DS_RESERVE, .reserve.count = 1}};
        struct ds_run run = {.steps = steps, .n_steps = 2};
        int rc = datastore_run(ds, &run);
        ck_assert_int_eq(rc, i == 1 ? faults[_i].rc : ERR_NOT_FOUND);
        ck_assert_int_eq(steps[1].rc, ERR_SKIPPED);
        ck_assert_uint_eq(faulty_fired(ds, DS_CANCEL), i == 0 ? 0 : 1);
        arena_release(&run.mem);
    }
}
END_TEST

START_TEST(a_delay_fails_nothing)
{
    plan((struct faulty_plan){.nth = 3, .fault = FAULT_DELAY, .delay_ms = 1});
    struct ds_step steps[4];
    ck_assert_int_eq(run_steps(steps, NULL), 0);
    ck_assert_uint_eq(faulty_fired(ds, DS_RESERVE), 1);
    ck_assert_int_eq(run_steps(steps, NULL), 0);
    ck_assert_uint_eq(faulty_fired(ds, DS_KINDS), 1);
}
END_TEST

START_TEST(a_trace_has_one_line_a_step)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    struct datastore *traced = trace_wrap(memory_open(store), out);
    struct job job = {.run = 1, .type = "noop", .token = 1};
    struct ds_step steps[] = {
        {.kind = DS_RESERVE, .reserve.count = 1},
        {.kind = DS_INSERT, .insert = {.jobs = &job, .n_jobs = 1, .from_reserve = true}},
        {.kind = DS_CLAIM, .claim = {.node = 7, .want = 5, .make_entry = true}},
        {.kind = DS_NODE_DELETE, .node_delete.node = 7},
        {.kind = DS_META_READ}};
    struct ds_run run = {.steps = steps, .n_steps = 5};
    ck_assert_int_eq(datastore_run(traced, &run), ERR_NOT_FOUND);
    arena_release(&run.mem);
    datastore_close(traced);
    fclose(out);
    ck_assert_str_eq(text, "reserve lane=0 count=1 0:1 -> 0 ok\n"
                           "insert jobs=1 from_reserve -> 0 ok\n"
                           "claim lane=0 node=7 g=0 want=5 0:[1,2) -> 0 ok\n"
                           "node_delete node=7 -> -1 not found\n"
                           "meta_read -> -6 not tried: an earlier step of the run did not "
                           "succeed\n");
    free(text);
}
END_TEST

/* ---- a store with a doorbell ---- */

static int unrung;

static bool bell_wake_clear(struct datastore *bell)
{
    (void)bell;
    unrung++;
    return false;
}

static const char *bell_doorbell(struct datastore *bell)
{
    (void)bell;
    return "127.0.0.1:1/0123456789abcd";
}

static void bell_close(struct datastore *bell)
{
    (void)bell;
}

START_TEST(the_doorbell_is_passed_on)
{
    static const struct datastore_class bell_class = {
        .name = "bell",
        .wake_clear = bell_wake_clear,
        .doorbell = bell_doorbell,
        .close = bell_close,
    };
    static struct datastore bell = {.class = &bell_class};
    FILE *out = fopen("/dev/null", "w");
    struct datastore *both = faulty_wrap(trace_wrap(&bell, out), &(struct faulty_plan){0});
    ck_assert_str_eq(datastore_doorbell(both), "127.0.0.1:1/0123456789abcd");
    ck_assert(!both->class->wake_clear(both));
    ck_assert_int_eq(unrung, 1);
    ck_assert_str_eq(datastore_doorbell(ds), ""); /* over one that has no such operation */
    datastore_close(both);
    fclose(out);
}
END_TEST

int main(void)
{
    enum { FAULTS = sizeof(faults) / sizeof(faults[0]) };
    Suite *suite = suite_create("decorators");
    TCase *tcase = tcase_create("decorators");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, without_a_plan_nothing_fails);
    tcase_add_loop_test(tcase, the_nth_step_fails_and_the_rest_is_skipped, 0, FAULTS);
    tcase_add_loop_test(tcase, every_step_fails_from_then_on, 0, FAULTS);
    tcase_add_test(tcase, a_plan_may_be_for_one_kind);
    tcase_add_loop_test(tcase, a_step_that_was_never_reached_does_not_count, 0, FAULTS);
    tcase_add_test(tcase, a_delay_fails_nothing);
    tcase_add_test(tcase, a_trace_has_one_line_a_step);
    tcase_add_test(tcase, the_doorbell_is_passed_on);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
