/* Goal: each job of a submit is there exactly once whatever happens between the sender and the
 * store, and a submit run again adds only what is missing.
 * Method: the memory datastore under the faulty one; the nth insert or reservation fails in each
 * way a step can fail; then every row is read and counted by its payload. Inserts that are cut in
 * the middle, and ids that nodes declare void before their row comes, are made by a torn datastore
 * over the memory one, at random from seeds. */
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

/* ---- a store that cuts inserts --------------------------------------------------------------- */

static struct torn {
    struct datastore base;
    struct datastore *inner;
    uint64_t random;
    int faults;                       /* inserts that are yet to be hurt */
    bool always;                      /* each of the next; else some */
    bool one_runs;                    /* and its second row has ended by then */
    void (*meanwhile)(int64_t first); /* NULL: nobody is about */
    enum { TORN_SOME, TORN_LOST, TORN_ANSWERED, TORN_GIVEN_UP } how;
} torn;

static uint64_t chance(uint64_t n)
{
    torn.random = torn.random * 6364136223846793005u + 1442695040888963407u;
    return (torn.random >> 33) % n;
}

static void step_inner(struct ds_step *step, struct ds_run *run)
{
    step->rc = datastore_step(torn.inner, step, &run->mem, &run->err);
}

/* What a node does that has waited long enough for a row; the token is its own. */
static void give_up(int64_t id, struct ds_run *run)
{
    struct job none = {.id = id, .state = JOB_VOID, .type = "", .token = 4711};
    struct ds_step step = {.kind = DS_INSERT, .insert = {.jobs = &none, .n_jobs = 1}};
    step_inner(&step, run);
    ck_assert_int_eq(step.rc, 0);
}

static void end_one(int64_t id, struct ds_run *run)
{
    struct outcome outcome = {.id = id, .count = 1, .run = 1, .kind = OUTCOME_DONE, .node = 1};
    struct ds_step step = {.kind = DS_FINISH, .finish = {.outcomes = &outcome, .n = 1}};
    step_inner(&step, run);
    ck_assert_int_eq(step.rc, 0);
}

/* All of the rows, for somebody who sleeps before that until others have given up on the ids, or
 * after it while they act on what is there. */
static void insert_slowly(struct ds_step *step, struct ds_run *run)
{
    int64_t first = step->insert.jobs[0].id;
    for (size_t i = 0; torn.how == TORN_GIVEN_UP && i < step->insert.n_jobs; i++)
        give_up(step->insert.jobs[i].id, run);
    if (torn.how == TORN_GIVEN_UP && torn.meanwhile != NULL)
        torn.meanwhile(first);
    step_inner(step, run);
    if (torn.one_runs)
        end_one(step->insert.jobs[1].id, run);
    if (torn.how != TORN_GIVEN_UP && torn.meanwhile != NULL)
        torn.meanwhile(first);
    if (torn.how == TORN_LOST)
        step->rc = error_set(&run->err, ERR_UNKNOWN_OUTCOME, "torn");
}

/* Some of the rows: the first before all others when they are a chunk. */
static void insert_torn(struct ds_step *step, struct ds_run *run)
{
    struct ds_insert *insert = &step->insert;
    struct job *some = arena_alloc(&run->mem, insert->n_jobs * sizeof(*some));
    size_t n = 0;
    uint64_t way = chance(3); /* a node is as slow as that: nothing void, some before, some after */
    for (size_t i = 0; i < insert->n_jobs; i++) {
        if (way == 1 && chance(4) == 0)
            give_up(insert->jobs[i].id, run);
        if (chance(2) == 0)
            some[n++] = insert->jobs[i];
    }
    if (n > 0 && (insert->chunk == NULL || some[0].id == insert->jobs[0].id)) {
        struct ds_step part = *step;
        part.insert.jobs = some;
        part.insert.n_jobs = n;
        step_inner(&part, run);
    }
    for (size_t i = 0; way == 2 && i < insert->n_jobs; i++)
        if (chance(4) == 0)
            give_up(insert->jobs[i].id, run);
    step->rc = error_set(&run->err, ERR_UNKNOWN_OUTCOME, "torn");
}

static void torn_insert(struct ds_step *step, struct ds_run *run)
{
    if (torn.faults == 0 || step->insert.jobs[0].state == JOB_VOID ||
        (!torn.always && chance(2) == 0)) {
        step_inner(step, run);
        return;
    }
    torn.faults--;
    if (torn.how == TORN_SOME)
        insert_torn(step, run);
    else
        insert_slowly(step, run);
}

/* Step by step: nothing is one commit here. */
static void torn_run(struct datastore *handle, struct ds_run *const *runs, size_t n_runs)
{
    (void)handle;
    ck_assert_uint_eq(n_runs, 1);
    struct ds_run *run = runs[0];
    for (size_t i = 0; i < run->n_steps; i++)
        run->steps[i].rc = ERR_SKIPPED;
    for (size_t i = 0; i < run->n_steps; i++) {
        struct ds_step *step = &run->steps[i];
        if (step->kind == DS_INSERT) {
            struct ds_step given = *step;
            if (step->insert.from_reserve)
                for (size_t row = 0; row < step->insert.n_jobs; row++)
                    step->insert.jobs[row].id = step[-1].reserve.ret_first + (int64_t)row;
            step->insert.from_reserve = false;
            torn_insert(step, run);
            given.rc = step->rc;
            given.insert.ret_rc = step->insert.ret_rc;
            *step = given;
        } else {
            step_inner(step, run);
        }
        if (step->rc != 0)
            return;
    }
}

static void torn_close(struct datastore *handle)
{
    (void)handle;
    datastore_close(torn.inner);
}

static const struct datastore_class torn_class = {
    .name = "torn", .run = torn_run, .close = torn_close};

/* ---- a sender on it -------------------------------------------------------------------------- */

static int64_t tick(void *ctx)
{
    (void)ctx;
    return 1000;
}

static bool over_torn;

static void sender_open(void)
{
    torn.base.class = &torn_class;
    torn.inner = over_torn ? memory_open(store) : NULL;
    ds = over_torn ? &torn.base : faulty_wrap(memory_open(store), &(struct faulty_plan){0});
    sender_init(&sender, ds, &interrupt);
    batch_init(&batch);
    sender.backoff_ms_max = 0;
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

static void setup_torn(void)
{
    over_torn = true;
    torn = (struct torn){0};
    setup();
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

/* Every job is there once, and what is cancelled does not count; nothing else is but voids. The ids
 * that were told are those of the jobs. Returns the number of cancelled rows. */
static int all_there_once(void)
{
    int seen[JOBS] = {0}, cancelled = 0;
    struct datastore *reader = memory_open(store);
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_JOBS_READ, .jobs_read = {.rows_max = LIMIT_PAGE_JOBS}};
    ck_assert_int_eq(datastore_step(reader, &step, &mem, NULL), 0);
    ck_assert(!step.jobs_read.ret_more);
    id_set_sort(&sender.ids);
    for (size_t i = 0; i < step.jobs_read.ret_n; i++) {
        const struct job *job = &step.jobs_read.ret_jobs[i];
        char text[16] = "";
        memcpy(text, job->payload.data, job->payload.len);
        bool told = false;
        for (size_t r = 0; r < sender.ids.n; r++)
            told = told || range_holds(sender.ids.ranges[r], job->id);
        if (job->state == JOB_CANCELLED)
            cancelled++;
        else
            seen[strtol(text, NULL, 10)]++;
        ck_assert_msg(told == (job->state != JOB_CANCELLED), "job %s, id %lld", text,
                      (long long)job->id);
    }
    for (int i = 0; i < JOBS; i++)
        ck_assert_msg(seen[i] == 1, "job %d is there %d times", i, seen[i]);
    arena_release(&mem);
    datastore_close(reader);
    ck_assert_int_eq(id_set_count(&sender.ids), JOBS);
    return cancelled;
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

static size_t rows_now(void)
{
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_JOBS_READ, .jobs_read = {.rows_max = 10}};
    ck_assert_int_eq(datastore_step(ds, &step, &mem, NULL), 0);
    arena_release(&mem);
    return step.jobs_read.ret_n;
}

START_TEST(a_single_job_whose_reply_is_lost_is_acknowledged)
{
    faulty_set(ds, &(struct faulty_plan){
                       .nth = 1, .one_kind = true, .kind = DS_INSERT, .fault = faults[_i]});
    job_put(0, 5, NULL);
    ck_assert_int_eq(sender_send(&sender, &batch, true, &err), 0);
    ck_assert_int_eq(id_set_count(&sender.ids), 1);
    ck_assert_int_eq(sender.ids.ranges[0].a, id_make(0, 1)); /* the ids it had reserved */
    ck_assert_uint_eq(rows_now(), 1);
}
END_TEST

START_TEST(a_single_job_that_nobody_answers_for_may_be_there)
{
    faulty_set(ds, &(struct faulty_plan){.nth = 1,
                                         .from_then_on = true,
                                         .one_kind = true,
                                         .kind = DS_INSERT,
                                         .fault = FAULT_REPLY_LOST});
    interrupt.signal = 2;
    job_put(0, 5, NULL);
    ck_assert_int_eq(sender_send(&sender, &batch, true, &err), ERR_UNKNOWN_OUTCOME);
    ck_assert(sender.unsure);
    ck_assert_int_eq(id_set_count(&sender.ids), 0);
    ck_assert_uint_eq(rows_now(), 1);
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

/* ---- inserts cut in the middle --------------------------------------------------------------- */

enum { TORN_SEEDS = 400 };

START_TEST(inserts_that_are_cut_are_completed)
{
    bool complete, named = _i % 2 == 0;
    torn.random = (uint64_t)_i * 7919;
    torn.faults = 6;
    if (named)
        ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    int rc = submit_rest(_i % 4 > 1);
    ck_assert_msg(rc == 0, "%d: %s", rc, err.text);
    ck_assert_int_eq(all_there_once(), 0);
    if (!named)
        return;
    sender_shut();
    sender_open();
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    ck_assert(complete);
    ck_assert_int_eq(submit_rest(false), 0);
    ck_assert_int_eq(all_there_once(), 0);
}
END_TEST

/* The sender dies with an insert cut and is run again, several times over. */
START_TEST(a_submit_that_died_in_an_insert_is_completed_by_the_next)
{
    bool complete = false;
    torn.random = (uint64_t)_i * 104729;
    torn.faults = 5;
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
        interrupt.signal = 2; /* no patience: one try */
        int rc = submit_rest(_i % 2 == 0);
        interrupt.signal = 0;
        if (rc == 0)
            break;
        ck_assert_int_eq(rc, ERR_UNKNOWN_OUTCOME);
        sender_shut();
        sender_open();
    }
    ck_assert_int_eq(all_there_once(), 0);
}
END_TEST

/* A row whose id another took has another one; its key still decides. */
START_TEST(keys_decide_after_their_ids_were_taken)
{
    bool complete;
    torn.random = (uint64_t)_i * 15485863;
    job_put(0, 5, "only");
    ck_assert_int_eq(sender_send(&sender, &batch, true, &err), 0);
    sender_shut();
    sender_open();
    torn.faults = 3;
    torn.always = true;
    if (_i % 2 == 0)
        ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    int own = (int)chance(BATCH);
    for (int i = 0; i < BATCH; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key-%d", i);
        job_put(i, 5, i == own ? "only" : key);
    }
    int rc = sender_send(&sender, &batch, true, &err);
    ck_assert_msg(rc == 0, "%d: %s", rc, err.text);
    ck_assert_int_eq(sender.taken, 1);
    ck_assert_int_eq(id_set_count(&sender.ids), BATCH); /* the owner's among them */
    id_set_sort(&sender.ids);
    ck_assert_int_eq(sender.ids.ranges[0].a, id_make(0, 1));
    ck_assert_uint_eq(rows_now(), BATCH);
    if (_i % 2 != 0)
        return;
    sender_shut();
    sender_open();
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    ck_assert(complete);
}
END_TEST

/* Two of the same name at once, each taking the other's for cut: no job is there twice. */
START_TEST(a_twins_insert_that_was_cut_is_completed)
{
    bool complete;
    torn.random = (uint64_t)_i * 32452843;
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    struct submit_sender mine = sender;
    sender_init(&sender, ds, &interrupt);
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    torn.faults = 1;
    torn.always = true;
    interrupt.signal = 2; /* the twin dies in its first insert */
    for (int i = 0; i < BATCH; i++)
        job_put(i, 5, NULL);
    ck_assert_int_eq(sender_send(&sender, &batch, false, &err), ERR_UNKNOWN_OUTCOME);
    interrupt.signal = 0;
    sender_clear(&sender);
    sender = mine;
    torn.always = false;
    torn.faults = 3;
    int rc = submit_rest(false);
    ck_assert_msg(rc == 0, "%d: %s", rc, err.text);
    ck_assert_int_eq(all_there_once(), 0);
}
END_TEST

/* ---- senders that sleep ---------------------------------------------------------------------- */

static const int slow_ways[] = {TORN_LOST, TORN_ANSWERED, TORN_GIVEN_UP};

static void sleeps(int way, void (*meanwhile)(int64_t first))
{
    torn.faults = 1;
    torn.always = true;
    torn.how = slow_ways[way];
    torn.meanwhile = meanwhile;
}

static enum job_state state_of(int64_t id)
{
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_LOAD,
                           .load = {.range = {.a = id, .b = id + 1}, .rows_max = 1, .brief = true}};
    ck_assert_int_eq(datastore_step(ds, &step, &mem, NULL), 0);
    ck_assert_uint_eq(step.load.ret_n, 1);
    enum job_state state = step.load.ret_jobs[0].state;
    arena_release(&mem);
    return state;
}

/* What another submitter was told while this one slept. */
static struct id_set others;

/* `send` does it, with a sender, a batch and a handle of its own. */
static void another_submits(int (*send)(void))
{
    const struct submit_sender mine = sender;
    const struct submit_batch my_batch = batch;
    struct datastore *own = memory_open(store);
    sender_init(&sender, own, &interrupt);
    batch_init(&batch);
    ck_assert_int_eq(send(), 0);
    others = sender.ids;
    sender.ids = (struct id_set){0};
    id_set_sort(&others);
    batch_clear(&batch);
    sender_clear(&sender);
    datastore_close(own);
    sender = mine;
    batch = my_batch;
}

static int keyed_send(void)
{
    job_put(1, 5, "only");
    return sender_send(&sender, &batch, true, &err);
}

static void another_has_that_key(int64_t first)
{
    another_submits(keyed_send);
    /* The job that is there, or one's own where its row never came. */
    ck_assert_uint_eq(others.n, 1);
    ck_assert(others.ranges[0].a == first || torn.how == TORN_GIVEN_UP);
}

/* Two with one key, one of whom sleeps in its insert: both are told one id, whose job is there. */
START_TEST(who_was_told_an_id_for_its_key_can_count_on_it)
{
    bool complete;
    sleeps(_i % 3, another_has_that_key);
    if (_i / 3 == 1)
        ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    ck_assert_int_eq(keyed_send(), 0);
    id_set_sort(&sender.ids);
    ck_assert_uint_eq(sender.ids.n, 1);
    ck_assert_int_eq(sender.ids.ranges[0].a, others.ranges[0].a);
    ck_assert_int_eq(state_of(others.ranges[0].a), JOB_QUEUED);
    ck_assert_uint_eq(rows_now(), 1);
    id_set_clear(&others);
}
END_TEST

static int named_send(void)
{
    bool complete;
    ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    return submit_rest(false);
}

static void another_finds_the_submit(int64_t first)
{
    (void)first;
    another_submits(named_send);
    ck_assert_int_eq(id_set_count(&others), JOBS);
}

/* The same for a submit that is run again while the first one of that name sleeps. */
START_TEST(who_was_told_the_ids_of_a_submit_can_count_on_them)
{
    sleeps(_i, another_finds_the_submit);
    ck_assert_int_eq(named_send(), 0);
    ck_assert_int_eq(all_there_once(), 0);
    ck_assert_uint_eq(sender.ids.n, others.n);
    for (size_t i = 0; i < others.n; i++)
        ck_assert_mem_eq(&sender.ids.ranges[i], &others.ranges[i], sizeof(*others.ranges));
    id_set_clear(&others);
}
END_TEST

/* However long it took: what is there is not taken back, nor sent twice. */
START_TEST(rows_that_are_there_stay)
{
    bool complete, named = _i / 3 % 2 == 0;
    sleeps(_i % 3, NULL);
    torn.faults = 1 + _i / 6;
    torn.one_runs = torn.how != TORN_GIVEN_UP && _i % 2 == 0;
    if (named)
        ck_assert_int_eq(sender_name(&sender, "mine", &complete, &err), 0);
    int rc = submit_rest(false);
    ck_assert_msg(rc == 0, "%d: %s", rc, err.text);
    ck_assert_int_eq(all_there_once(), 0);
    if (!named)
        return;
    sender_shut();
    sender_open();
    ck_assert_int_eq(named_send(), 0);
    ck_assert_int_eq(all_there_once(), 0);
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
    tcase_add_loop_test(tcase, a_single_job_whose_reply_is_lost_is_acknowledged, 0, 3);
    tcase_add_test(tcase, a_single_job_that_nobody_answers_for_may_be_there);
    tcase_add_test(tcase, a_batch_takes_no_more_lanes_than_a_run_has_steps);
    suite_add_tcase(suite, tcase);
    TCase *cut = tcase_create("torn");
    tcase_add_checked_fixture(cut, setup_torn, teardown);
    tcase_add_loop_test(cut, inserts_that_are_cut_are_completed, 0, TORN_SEEDS);
    tcase_add_loop_test(cut, a_submit_that_died_in_an_insert_is_completed_by_the_next, 0,
                        TORN_SEEDS);
    tcase_add_loop_test(cut, a_twins_insert_that_was_cut_is_completed, 0, TORN_SEEDS);
    tcase_add_loop_test(cut, keys_decide_after_their_ids_were_taken, 0, TORN_SEEDS);
    tcase_add_loop_test(cut, who_was_told_an_id_for_its_key_can_count_on_it, 0, 6);
    tcase_add_loop_test(cut, who_was_told_the_ids_of_a_submit_can_count_on_them, 0, 3);
    tcase_add_loop_test(cut, rows_that_are_there_stay, 0, 12);
    suite_add_tcase(suite, cut);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
