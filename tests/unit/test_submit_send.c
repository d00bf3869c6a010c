/* Goal: each job of a submit is there exactly once whatever happens between the sender and the
 * store, and a submit run again adds only what is missing.
 * Method: the memory datastore under the faulty one; the nth insert or reservation fails in each
 * way a step can fail; then every row is read and counted by its payload. */
#include "cli/submit.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/faulty.h"
#include "datastore/memory.h"

enum { JOBS = 30, BATCH = 10 };

static struct memory_store *store;
static struct datastore *ds;
static struct interrupt interrupt;
static struct submit_sender sender;
static struct submit_batch batch;
static struct error err;

static int64_t tick(void *ctx)
{
    (void)ctx;
    return 1000;
}

static void sender_open(void)
{
    ds = faulty_wrap(memory_open(store), &(struct faulty_plan){0});
    sender_init(&sender, ds, &interrupt);
    batch_init(&batch);
    err = (struct error){0};
}

static void sender_shut(void)
{
    batch_clear(&batch);
    sender_clear(&sender);
    datastore_close(ds);
}

static void setup(void)
{
    store = memory_store_new(tick, NULL);
    interrupt_open(&interrupt);
    sender_open();
}

static void teardown(void)
{
    sender_shut();
    interrupt_close(&interrupt);
    memory_store_free(store);
}

/* Job `number` of the input, into lane `priority`. */
static void job_put(int number, int priority, const char *key)
{
    char text[16];
    struct lane_name lane = {.queue = QUEUE_DEFAULT, .priority = priority};
    struct job *job = &batch.jobs[batch.n];
    int len = snprintf(text, sizeof(text), "%d", number);
    *job = (struct job){.state = JOB_QUEUED, .run = 1, .type = "noop"};
    job->payload = batch_bytes(&batch, (struct bytes){(const uint8_t *)text, (size_t)len});
    if (key != NULL) {
        struct job_spec *spec = batch_take(&batch, sizeof(*spec));
        *spec = (struct job_spec){.key = batch_text(&batch, key, strlen(key))};
        job->spec = spec;
    }
    ck_assert_int_eq(sender_add(&sender, &batch, &lane, &err), 0);
}

/* Sends what is missing of jobs 0..JOBS-1, as `stint submit` does. mixed: over two lanes. */
static int submit_rest(bool mixed)
{
    while (sender.index < JOBS) {
        const struct submit_chunk *chunk = sender_found(&sender);
        if (chunk != NULL) {
            sender_skip(&sender, chunk);
            continue;
        }
        int64_t room = sender_room(&sender);
        for (int64_t i = 0; i < BATCH && i < room && sender.index + i < JOBS; i++)
            job_put((int)(sender.index + i), mixed && (sender.index + i) % 4 > 1 ? 2 : 5, NULL);
        bool last = sender.index + (int64_t)batch.n == JOBS;
        int rc = sender_send(&sender, &batch, last, &err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Every job is there once; nothing else is but voids. */
static void all_there_once(void)
{
    int seen[JOBS] = {0};
    struct datastore *reader = memory_open(store);
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_JOBS_READ, .jobs_read = {.rows_max = LIMIT_PAGE_JOBS}};
    ck_assert_int_eq(datastore_step(reader, &step, &mem, NULL), 0);
    ck_assert(!step.jobs_read.ret_more);
    for (size_t i = 0; i < step.jobs_read.ret_n; i++) {
        struct bytes payload = step.jobs_read.ret_jobs[i].payload;
        char text[16] = "";
        memcpy(text, payload.data, payload.len);
        seen[strtol(text, NULL, 10)]++;
    }
    for (int i = 0; i < JOBS; i++)
        ck_assert_msg(seen[i] == 1, "job %d is there %d times", i, seen[i]);
    arena_release(&mem);
    datastore_close(reader);
    ck_assert_int_eq(id_set_count(&sender.ids), JOBS);
}

START_TEST(a_submit_gives_its_ids_lane_by_lane)
{
    bool complete = true;
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    ck_assert(!complete);
    ck_assert_int_eq(submit_rest(true), 0);
    all_there_once();
    id_set_sort(&sender.ids);
    ck_assert_uint_eq(sender.ids.n, 2);
    ck_assert_int_eq(sender.ids.ranges[0].a, id_make(0, 1));
}
END_TEST

START_TEST(the_same_name_again_adds_nothing)
{
    bool complete = false;
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    ck_assert_int_eq(submit_rest(true), 0);
    sender_shut();
    sender_open();
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    ck_assert(complete);
    ck_assert_int_eq(submit_rest(true), 0);
    ck_assert_int_eq(sender.already, JOBS);
    all_there_once();
}
END_TEST

static const enum fault faults[] = {FAULT_UNAVAILABLE, FAULT_REPLY_LOST, FAULT_CALL_LOST};
static const enum ds_kind kinds[] = {DS_RESERVE, DS_INSERT, DS_SUBMIT_FIND, DS_LANE_OPEN};

/* One fault at the nth step of a kind: the sender gets over it by itself. */
START_TEST(a_fault_once_is_got_over)
{
    enum fault fault = faults[_i % 3];
    enum ds_kind kind = kinds[_i / 3 % 2];
    uint64_t nth = (uint64_t)(_i / 6) + 1;
    bool complete;
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    faulty_set(ds,
               &(struct faulty_plan){.nth = nth, .one_kind = true, .kind = kind, .fault = fault});
    int rc = submit_rest(true);
    ck_assert_msg(rc == 0, "%d: %s", rc, err.text);
    ck_assert_uint_eq(faulty_fired(ds, kind), 1);
    all_there_once();
}
END_TEST

/* The store goes away for good at the nth step; the process dies; another one runs it again. */
START_TEST(an_interrupted_submit_run_again_adds_what_is_missing)
{
    enum fault fault = faults[_i % 3];
    enum ds_kind kind = kinds[_i / 3 % 4];
    uint64_t nth = (uint64_t)(_i / 12) + 1;
    bool complete;
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    faulty_set(
        ds, &(struct faulty_plan){
                .nth = nth, .from_then_on = true, .one_kind = true, .kind = kind, .fault = fault});
    interrupt.signal = 2; /* no patience: one try */
    int rc = submit_rest(true);
    /* Inserts that are applied and only lose their reply are found by reading back. */
    ck_assert(rc != 0 || faulty_fired(ds, kind) == 0 ||
              (kind == DS_INSERT && fault == FAULT_REPLY_LOST));
    interrupt.signal = 0;
    sender_shut();
    sender_open();
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    ck_assert_int_eq(submit_rest(true), 0);
    all_there_once();
}
END_TEST

START_TEST(a_twin_that_was_faster_is_believed)
{
    bool complete;
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    struct submit_sender twin;
    struct datastore *other = memory_open(store);
    sender_init(&twin, other, &interrupt);
    ck_assert_int_eq(sender_name(&twin, "mine", &complete, &err), 0);
    struct submit_sender mine = sender;
    sender = twin; /* the twin sends its first chunk */
    for (int i = 0; i < BATCH; i++)
        job_put(i, 5, NULL);
    ck_assert_int_eq(sender_send(&sender, &batch, false, &err), 0);
    twin = sender;
    sender = mine;
    ck_assert_int_eq(submit_rest(false), 0);
    all_there_once();
    sender_clear(&twin);
    datastore_close(other);
}
END_TEST

START_TEST(a_twin_with_other_input_is_refused)
{
    bool complete;
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    struct submit_sender twin;
    struct datastore *other = memory_open(store);
    sender_init(&twin, other, &interrupt);
    ck_assert_int_eq(sender_name(&twin, "mine", &complete, &err), 0);
    struct submit_sender mine = sender;
    sender = twin;
    job_put(0, 5, NULL);
    ck_assert_int_eq(sender_send(&sender, &batch, false, &err), 0);
    twin = sender;
    sender = mine;
    ck_assert_int_eq(submit_rest(false), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, "another submit named mine"));
    sender_clear(&twin);
    datastore_close(other);
}
END_TEST

START_TEST(a_key_in_use_gives_the_first_jobs_id)
{
    job_put(0, 5, "only");
    ck_assert_int_eq(sender_send(&sender, &batch, true, &err), 0);
    job_put(1, 5, "only");
    job_put(2, 5, "other");
    ck_assert_int_eq(sender_send(&sender, &batch, true, &err), 0);
    ck_assert_int_eq(sender.taken, 1);
    id_set_sort(&sender.ids);
    ck_assert_uint_eq(sender.ids.n, 2);
    ck_assert_int_eq(sender.ids.ranges[0].a, id_make(0, 1));
    ck_assert_int_eq(range_count(sender.ids.ranges[0]), 1);
    ck_assert_int_eq(sender.ids.ranges[1].a, id_make(0, 3)); /* 2 is void */
    struct arena mem = {0};
    struct ds_step step = {
        .kind = DS_LOAD,
        .load = {.range = {.a = id_make(0, 2), .b = id_make(0, 3)}, .rows_max = 1}};
    ck_assert_int_eq(datastore_step(ds, &step, &mem, NULL), 0);
    ck_assert_uint_eq(step.load.ret_n, 1);
    ck_assert_int_eq(step.load.ret_jobs[0].state, JOB_VOID);
    arena_release(&mem);
}
END_TEST

START_TEST(a_chunk_whose_first_job_is_refused_is_still_there)
{
    bool complete = false;
    job_put(0, 5, "only");
    ck_assert_int_eq(sender_send(&sender, &batch, true, &err), 0);
    sender_shut();
    sender_open();
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    job_put(0, 5, "only");
    job_put(1, 5, NULL);
    ck_assert_int_eq(sender_send(&sender, &batch, true, &err), 0);
    sender_shut();
    sender_open();
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    ck_assert(complete);
    ck_assert_int_eq(sender_found(&sender)->count, 2);
}
END_TEST

START_TEST(a_single_job_without_a_name_is_never_sent_twice)
{
    faulty_set(ds, &(struct faulty_plan){
                       .nth = 1, .one_kind = true, .kind = DS_INSERT, .fault = FAULT_REPLY_LOST});
    job_put(0, 5, NULL);
    ck_assert_int_eq(sender_send(&sender, &batch, true, &err), ERR_UNKNOWN_OUTCOME);
    ck_assert_ptr_nonnull(strstr(err.text, "--token"));
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_JOBS_READ, .jobs_read = {.rows_max = 10}};
    ck_assert_int_eq(datastore_step(ds, &step, &mem, NULL), 0);
    ck_assert_uint_eq(step.jobs_read.ret_n, 1);
    arena_release(&mem);
}
END_TEST

START_TEST(a_batch_takes_no_more_lanes_than_a_run_has_steps)
{
    struct lane_name lane = {.queue = QUEUE_DEFAULT, .priority = 2};
    for (int i = 0; i < SUBMIT_PIECES; i++)
        job_put(i, i % 2 == 0 ? 5 : 2, NULL);
    batch.jobs[batch.n] = (struct job){.state = JOB_QUEUED, .run = 1, .type = "noop"};
    lane.priority = 5;
    ck_assert_int_eq(sender_add(&sender, &batch, &lane, &err), ERR_BUSY);
    ck_assert_int_eq(sender_send(&sender, &batch, true, &err), 0);
    ck_assert_int_eq(id_set_count(&sender.ids), SUBMIT_PIECES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("submit_send");
    TCase *tcase = tcase_create("submit_send");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_submit_gives_its_ids_lane_by_lane);
    tcase_add_test(tcase, the_same_name_again_adds_nothing);
    tcase_add_loop_test(tcase, a_fault_once_is_got_over, 0, 6 * 3);
    tcase_add_loop_test(tcase, an_interrupted_submit_run_again_adds_what_is_missing, 0, 12 * 5);
    tcase_add_test(tcase, a_twin_that_was_faster_is_believed);
    tcase_add_test(tcase, a_twin_with_other_input_is_refused);
    tcase_add_test(tcase, a_key_in_use_gives_the_first_jobs_id);
    tcase_add_test(tcase, a_chunk_whose_first_job_is_refused_is_still_there);
    tcase_add_test(tcase, a_single_job_without_a_name_is_never_sent_twice);
    tcase_add_test(tcase, a_batch_takes_no_more_lanes_than_a_run_has_steps);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
