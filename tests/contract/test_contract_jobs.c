/* Goal: rows of jobs keep the contract of datastore.h: insert, outcomes (I2, I4) and cancel.
 * Method: the same tests on every kind of store; what a step says is read back from the row. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "tests/support/store.h"

enum { NODE_A = 101, NODE_B = 202 };

static struct job plain_job(int64_t id, int64_t token)
{
    return (struct job){.id = id, .run = 1, .type = "noop", .token = token};
}

/* ---- insert --------------------------------------------------------------------------------- */

CONTRACT_TEST(a_plain_job_is_queued_at_its_first_run, s)
{
    int64_t id = submit(s, LANE_DEFAULT, 1);
    struct job job = job_now(s, id);
    ck_assert_int_eq(job.state, JOB_QUEUED);
    ck_assert_int_eq(job.run, 1);
    ck_assert_int_eq(job.interruptions, 0);
    ck_assert_str_eq(job.type, "noop");
    ck_assert_int_eq(job.token, 1);
    ck_assert_int_gt(job.created_ms, 0);
    ck_assert_int_eq(job.started_ms + job.finished_ms + job.node + job.slot + job.due_ms, 0);
    ck_assert_uint_eq(job.payload.len + job.argv.len, 0);
    ck_assert_ptr_null(job.batch);
    ck_assert(job.ending == NULL);
}

static const char env_bytes[] = "A=1\0B=\xff\xfe";
static const char argv_bytes[] = "sh\0-c\0\0";
static const uint8_t payload_bytes[] = {0, 1, 2, 0, 0xff, 0xc3, 0x28, '\n', 0};

static struct job full_job(void)
{
    static const int64_t after[] = {3, (INT64_C(2) << ID_SEQ_BITS) + 9};
    static const struct job_limit limits[] = {{RLIMIT_AS, 1ULL << 40}, {RLIMIT_NOFILE, 64}};
    static const struct job_spec spec = {
        .max_attempts = 5,
        .max_interruptions = 7,
        .timeout_ms = 60000,
        .backoff_ms = 250,
        .run_at_ms = 1700000000123,
        .cwd = "/tmp/a b",
        .env = {(const uint8_t *)env_bytes, sizeof(env_bytes)},
        .limits = limits,
        .n_limits = 2,
        .key = "k:1/2",
        .group = "g",
        .after = after,
        .n_after = 2,
        .copy_of = 4,
    };
    return (struct job){
        .state = JOB_BLOCKED,
        .run = 1,
        .type = "exec",
        .payload = {payload_bytes, sizeof(payload_bytes)},
        .argv = {(const uint8_t *)argv_bytes, sizeof(argv_bytes)},
        .token = INT64_MIN + 5,
        .created_ms = 1600000000001,
        .batch = "b-1",
        .spec = &spec,
    };
}

CONTRACT_TEST(a_job_comes_back_as_it_was_inserted, s)
{
    struct job want = full_job(), job = job_now(s, submit_job(s, LANE_DEFAULT, &want));
    ck_assert_int_eq(job.state, JOB_BLOCKED);
    ck_assert_int_eq(job.token, want.token);
    ck_assert_str_eq(job.type, "exec");
    assert_bytes(job.payload, payload_bytes, sizeof(payload_bytes));
    assert_bytes(job.argv, argv_bytes, sizeof(argv_bytes));
    ck_assert_int_eq(job.created_ms, 1600000000001);
    ck_assert_str_eq(job.batch, "b-1");
    ck_assert_ptr_nonnull(job.spec);
    ck_assert_int_eq(job.spec->max_attempts, 5);
    ck_assert_int_eq(job.spec->max_interruptions, 7);
    ck_assert_int_eq(job.spec->timeout_ms, 60000);
    ck_assert_int_eq(job.spec->backoff_ms, 250);
    ck_assert_int_eq(job.spec->run_at_ms, 1700000000123);
    ck_assert_str_eq(job.spec->cwd, "/tmp/a b");
    assert_bytes(job.spec->env, env_bytes, sizeof(env_bytes));
    ck_assert_uint_eq(job.spec->n_limits, 2);
    ck_assert_int_eq(job.spec->limits[0].resource, RLIMIT_AS);
    ck_assert_uint_eq(job.spec->limits[0].value, 1ULL << 40);
    ck_assert_uint_eq(job.spec->limits[1].value, 64);
    ck_assert_str_eq(job.spec->key, "k:1/2");
    ck_assert_str_eq(job.spec->group, "g");
    ck_assert_uint_eq(job.spec->n_after, 2);
    ck_assert_int_eq(job.spec->after[1], id_make(2, 9));
    ck_assert_int_eq(job.spec->copy_of, 4);
}

CONTRACT_TEST(a_row_is_inserted_once_by_its_token, s)
{
    int64_t id = reserve(s, LANE_DEFAULT, 3);
    struct job mine = plain_job(id + 1, 77), other = plain_job(id + 1, 78);
    ck_assert_int_eq(insert_row(s, &mine), 0);
    ck_assert_int_eq(insert_row(s, &mine), 0);
    ck_assert_int_eq(insert_row(s, &other), ERR_DUPLICATE);
    ck_assert_int_eq(job_now(s, id + 1).token, 77);
    /* Each row of a batch stands alone. */
    struct job jobs[] = {plain_job(id, 1), plain_job(id + 1, 1), plain_job(id + 1, 77),
                         plain_job(id + 2, 1)};
    struct ds_step step = {.kind = DS_INSERT, .insert = {.jobs = jobs, .n_jobs = 4}};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_eq(step.insert.ret_rc[0], 0);
    ck_assert_int_eq(step.insert.ret_rc[1], ERR_DUPLICATE);
    ck_assert_int_eq(step.insert.ret_rc[2], 0);
    ck_assert_int_eq(step.insert.ret_rc[3], 0);
    ck_assert_int_eq(job_now(s, id + 2).token, 1);
}

CONTRACT_TEST(the_same_token_after_the_end_of_a_job_is_still_ones_own, s)
{
    int64_t id = submit(s, LANE_DEFAULT, 1);
    ck_assert_uint_eq(finish(s, (struct outcome){.id = id, .run = 1}, NULL), 1);
    struct job again = plain_job(id, 1);
    ck_assert_int_eq(insert_row(s, &again), 0);
    ck_assert_int_eq(job_now(s, id).state, JOB_DONE);
}

static int payload_insert(struct store *s, size_t len)
{
    struct job job = plain_job(reserve(s, LANE_DEFAULT, 1), 1);
    job.payload = (struct bytes){arena_alloc(&s->mem, len), len};
    struct ds_step step = {.kind = DS_INSERT, .insert = {.jobs = &job, .n_jobs = 1}};
    int rc = do_step(s, &step);
    struct job found;
    ck_assert(job_find(s, job.id, &found) == (rc == 0));
    return rc;
}

CONTRACT_TEST(a_payload_past_the_limit_is_refused, s)
{
    ck_assert_int_eq(payload_insert(s, LIMIT_PAYLOAD_BYTES), 0);
    ck_assert_int_eq(payload_insert(s, LIMIT_PAYLOAD_BYTES + 1), ERR_LIMIT);
}

CONTRACT_TEST(a_batch_past_the_limit_is_refused, s)
{
    size_t n = LIMIT_BATCH_JOBS + 1;
    struct job *jobs = arena_alloc(&s->mem, n * sizeof(*jobs));
    reserve(s, LANE_DEFAULT, LIMIT_BATCH_JOBS);
    reserve(s, LANE_DEFAULT, 1);
    for (size_t i = 0; i < n; i++)
        jobs[i] = plain_job((int64_t)i + 1, 1);
    struct ds_step step = {.kind = DS_INSERT, .insert = {.jobs = jobs, .n_jobs = n}};
    ck_assert_int_eq(do_step(s, &step), ERR_LIMIT);
    struct job found;
    ck_assert(!job_find(s, 1, &found));
    step.insert.n_jobs = LIMIT_BATCH_JOBS;
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert(job_find(s, LIMIT_BATCH_JOBS, &found));
}

/* ---- unique keys ---------------------------------------------------------------------------- */

static struct job keyed_job(int64_t id, int64_t token, const struct job_spec *spec)
{
    struct job job = plain_job(id, token);
    job.spec = spec;
    return job;
}

/* The unfinished job that holds a key, told by the listing; 0: none. */
static int64_t key_holder(struct store *s, const char *key)
{
    struct ds_step step = {.kind = DS_JOBS_READ, .jobs_read = {.key = key, .rows_max = 2}};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_le(step.jobs_read.ret_n, 1);
    ck_assert(!step.jobs_read.ret_more);
    return step.jobs_read.ret_n == 1 ? step.jobs_read.ret_jobs[0].id : 0;
}

CONTRACT_TEST(a_key_is_unique_among_unfinished_jobs, s)
{
    static const struct job_spec one = {.key = "one"}, two = {.key = "two"};
    int64_t id = reserve(s, LANE_DEFAULT, 6);
    struct job first = keyed_job(id, 1, &one), second = keyed_job(id + 1, 1, &one);
    ck_assert_int_eq(insert_row(s, &first), 0);
    ck_assert_int_eq(insert_row(s, &second), ERR_DUPLICATE);
    struct job none;
    ck_assert(!job_find(s, id + 1, &none));
    ck_assert_int_eq(insert_row(s, &first), 0); /* one's own */
    struct job batch[] = {keyed_job(id + 2, 1, &two), keyed_job(id + 3, 1, &two)};
    struct ds_step step = {.kind = DS_INSERT, .insert = {.jobs = batch, .n_jobs = 2}};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_eq(step.insert.ret_rc[0], 0);
    ck_assert_int_eq(step.insert.ret_rc[1], ERR_DUPLICATE);
    /* A failure that is followed by another run keeps the key; an end frees it. */
    finish(s, (struct outcome){.id = id, .run = 1, .kind = OUTCOME_INTERRUPTED}, NULL);
    ck_assert_int_eq(insert_row(s, &second), ERR_DUPLICATE);
    ck_assert_int_eq(key_holder(s, "one"), id);
    ck_assert_uint_eq(finish(s, (struct outcome){.id = id, .run = 2}, NULL), 1);
    ck_assert_int_eq(key_holder(s, "one"), 0);
    ck_assert_int_eq(insert_row(s, &second), 0);
    ck_assert_int_eq(key_holder(s, "one"), id + 1);
    ck_assert_int_eq(cancel(s, id + 2, NULL), 0);
    ck_assert_int_eq(key_holder(s, "two"), 0);
    ck_assert_int_eq(insert_row(s, &batch[1]), 0);
}

/* ---- holes ---------------------------------------------------------------------------------- */

CONTRACT_TEST(a_reserved_id_is_a_hole_until_a_row_fills_it, s)
{
    int64_t id = reserve(s, LANE_DEFAULT, 3);
    struct job late = plain_job(id, 5), there = plain_job(id + 1, 5);
    ck_assert_int_eq(insert_row(s, &there), 0);
    assert_range(claim(s, LANE_DEFAULT, NODE_A, 0, 10), id, id + 3, false);
    struct ds_step step = {.kind = DS_LOAD, .load = {.range = {id, id + 3, false}, .rows_max = 10}};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.load.ret_n, 1);
    ck_assert_int_eq(step.load.ret_jobs[0].id, id + 1);
    ck_assert_int_eq(step.load.ret_next, id + 3);
    ck_assert_uint_eq(finish(s, (struct outcome){.id = id, .run = 1}, NULL), 0);
    ck_assert_int_eq(cancel(s, id, NULL), ERR_NOT_FOUND);
    /* The owner's grace is over: the submitter comes too late. */
    struct job hole = {.id = id, .state = JOB_VOID, .run = 1, .token = 9};
    ck_assert_int_eq(insert_row(s, &hole), 0);
    ck_assert_int_eq(insert_row(s, &late), ERR_DUPLICATE);
    ck_assert_int_eq(job_now(s, id).state, JOB_VOID);
    /* The other way round, the row stays. */
    hole.id = id + 1;
    ck_assert_int_eq(insert_row(s, &hole), ERR_DUPLICATE);
    ck_assert_int_eq(job_now(s, id + 1).state, JOB_QUEUED);
}

CONTRACT_TEST(void_and_slot_rows_are_not_jobs_to_people, s)
{
    int64_t id = reserve(s, LANE_DEFAULT, 2);
    struct job empty = {.id = id, .state = JOB_VOID, .run = 1, .token = 1};
    struct job slot = {.id = id + 1, .state = JOB_SLOT, .run = 3, .slot = 55, .token = 1};
    ck_assert_int_eq(insert_row(s, &empty), 0);
    ck_assert_int_eq(insert_row(s, &slot), 0);
    struct job found = job_now(s, id + 1);
    ck_assert_int_eq(found.state, JOB_SLOT);
    ck_assert_int_eq(found.slot, 55);
    ck_assert_int_eq(found.run, 3);
    for (int64_t i = id; i < id + 2; i++) {
        ck_assert_int_eq(cancel(s, i, NULL), ERR_NOT_FOUND);
        ck_assert_uint_eq(finish(s, (struct outcome){.id = i, .run = i == id ? 1 : 3}, NULL), 0);
    }
    struct ds_step step = {.kind = DS_JOBS_READ, .jobs_read.rows_max = 10};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.jobs_read.ret_n, 0);
    ck_assert(!step.jobs_read.ret_more);
}

/* ---- load ----------------------------------------------------------------------------------- */

CONTRACT_TEST(rows_are_loaded_page_by_page, s)
{
    int64_t first = submit(s, LANE_DEFAULT, 25), next = first, seen = 0;
    for (struct range rest = {first, first + 25, false}; rest.a < rest.b; rest.a = next) {
        struct ds_step step = {.kind = DS_LOAD, .load = {.range = rest, .rows_max = 7}};
        ck_assert_int_eq(do_step(s, &step), 0);
        ck_assert_uint_le(step.load.ret_n, 7);
        for (size_t i = 0; i < step.load.ret_n; i++)
            ck_assert_int_eq(step.load.ret_jobs[i].id, first + seen++);
        ck_assert_int_gt(step.load.ret_next, rest.a);
        next = step.load.ret_next;
    }
    ck_assert_int_eq(seen, 25);
    ck_assert_int_eq(next, first + 25);
}

CONTRACT_TEST(a_page_of_large_rows_is_cut, s)
{
    int64_t first = 0, seen = 0, pages = 0;
    for (int i = 0; i < 10; i++) {
        struct job job = plain_job(0, 1);
        job.payload =
            (struct bytes){arena_alloc(&s->mem, LIMIT_PAYLOAD_BYTES), LIMIT_PAYLOAD_BYTES};
        int64_t id = submit_job(s, LANE_DEFAULT, &job);
        first = i == 0 ? id : first;
    }
    for (struct range rest = {first, first + 10, false}; rest.a < rest.b; pages++) {
        struct ds_step step = {.kind = DS_LOAD, .load = {.range = rest, .rows_max = 100}};
        ck_assert_int_eq(do_step(s, &step), 0);
        ck_assert_uint_ge(step.load.ret_n, 1);
        ck_assert_uint_le(step.load.ret_n, 5);
        seen += (int64_t)step.load.ret_n;
        rest.a = step.load.ret_next;
    }
    ck_assert_int_eq(seen, 10);
    ck_assert_int_ge(pages, 2);
}

CONTRACT_TEST(a_brief_load_gives_what_a_decision_needs, s)
{
    struct job full = full_job();
    full.state = JOB_QUEUED;
    int64_t id = submit_job(s, LANE_DEFAULT, &full);
    struct ds_step step = {.kind = DS_LOAD,
                           .load = {.range = {id, id + 1, false}, .rows_max = 1, .brief = true}};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.load.ret_n, 1);
    ck_assert_int_eq(step.load.ret_jobs[0].id, id);
    ck_assert_int_eq(step.load.ret_jobs[0].state, JOB_QUEUED);
    ck_assert_int_eq(step.load.ret_jobs[0].run, 1);
    ck_assert_uint_eq(step.load.ret_jobs[0].payload.len, 0);
}

/* ---- outcomes ------------------------------------------------------------------------------- */

CONTRACT_TEST(an_outcome_is_recorded_once, s)
{
    int64_t id = submit(s, LANE_DEFAULT, 1);
    struct outcome outcome = {
        .id = id, .run = 1, .node = NODE_A, .started_ms = 100, .finished_ms = 200};
    enum job_state state = JOB_STATES;
    ck_assert_uint_eq(finish(s, outcome, &state), 1);
    ck_assert_int_eq(state, JOB_DONE);
    struct job job = job_now(s, id);
    ck_assert_int_eq(job.state, JOB_DONE);
    ck_assert_int_eq(job.node, NODE_A);
    ck_assert_int_eq(job.started_ms, 100);
    ck_assert_int_eq(job.finished_ms, 200);
    ck_assert_int_eq(job.run, 1);
    /* I2: whoever comes second changes nothing, whatever it says. */
    outcome.node = NODE_B;
    for (int kind = OUTCOME_DONE; kind <= OUTCOME_INTERRUPTED; kind++) {
        outcome.kind = (enum outcome_kind)kind;
        ck_assert_uint_eq(finish(s, outcome, NULL), 0);
    }
    job = job_now(s, id);
    ck_assert_int_eq(job.state, JOB_DONE);
    ck_assert_int_eq(job.node, NODE_A);
    ck_assert_int_eq(job.run, 1);
}

CONTRACT_TEST(an_outcome_of_another_run_is_refused, s)
{
    int64_t id = submit(s, LANE_DEFAULT, 1);
    ck_assert_uint_eq(finish(s, (struct outcome){.id = id, .run = 2}, NULL), 0);
    struct outcome interrupted = {.id = id, .run = 1, .kind = OUTCOME_INTERRUPTED};
    ck_assert_uint_eq(finish(s, interrupted, NULL), 1);
    ck_assert_uint_eq(finish(s, interrupted, NULL), 0);
    ck_assert_uint_eq(finish(s, (struct outcome){.id = id, .run = 1}, NULL), 0);
    ck_assert_int_eq(job_now(s, id).state, JOB_QUEUED);
    ck_assert_uint_eq(finish(s, (struct outcome){.id = id, .run = 2}, NULL), 1);
}

CONTRACT_TEST(a_range_of_outcomes_is_accepted_row_by_row, s)
{
    int64_t id = submit(s, LANE_DEFAULT, 20);
    ck_assert_int_eq(cancel(s, id + 3, NULL), 0);
    ck_assert_uint_eq(finish(s, (struct outcome){.id = id + 7, .run = 1}, NULL), 1);
    ck_assert_uint_eq(
        finish(s, (struct outcome){.id = id + 9, .run = 1, .kind = OUTCOME_INTERRUPTED}, NULL), 1);
    struct outcome outcomes[] = {
        {.id = id, .count = 12, .run = 1, .node = NODE_A, .started_ms = 5, .finished_ms = 6},
        {.id = id + 12, .count = 4, .run = 1, .kind = OUTCOME_FAILED, .node = NODE_A},
        {.id = id + 9, .count = 1, .run = 2, .node = NODE_B},
        {.id = id + 16, .count = 100, .run = 1, .node = NODE_B}, /* past the end */
    };
    struct ds_step step = {.kind = DS_FINISH, .finish = {.outcomes = outcomes, .n = 4}};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(outcomes[0].ret_accepted, 9);
    ck_assert_int_eq(outcomes[0].ret_state, JOB_DONE);
    ck_assert_uint_eq(outcomes[1].ret_accepted, 4);
    ck_assert_int_eq(outcomes[1].ret_state, JOB_FAILED);
    ck_assert_uint_eq(outcomes[2].ret_accepted, 1);
    ck_assert_uint_eq(outcomes[3].ret_accepted, 4);
    for (int64_t i = 0; i < 20; i++) {
        enum job_state want = i == 3 ? JOB_CANCELLED : i >= 12 && i < 16 ? JOB_FAILED : JOB_DONE;
        ck_assert_int_eq(job_now(s, id + i).state, want);
    }
    ck_assert_int_eq(job_now(s, id + 7).node, 0);
    ck_assert_int_eq(job_now(s, id + 9).node, NODE_B);
    ck_assert_int_eq(job_now(s, id + 9).interruptions, 1);
    ck_assert_int_eq(job_now(s, id).started_ms, 5);
}

CONTRACT_TEST(a_range_with_an_ending_is_invalid, s)
{
    int64_t id = submit(s, LANE_DEFAULT, 2);
    struct job_ending ending = {.exit_code = 0};
    struct outcome outcome = {.id = id, .count = 2, .run = 1, .ending = &ending};
    struct ds_step step = {.kind = DS_FINISH, .finish = {.outcomes = &outcome, .n = 1}};
    ck_assert_int_eq(do_step(s, &step), ERR_INVALID);
    ck_assert_int_eq(job_now(s, id).state, JOB_QUEUED);
}

CONTRACT_TEST(an_ending_comes_back_as_it_was_recorded, s)
{
    int64_t id = submit(s, LANE_DEFAULT, 1);
    struct job_ending ending = {
        .exit_code = 3,
        .signal = 0,
        .timed_out = true,
        .user_ms = 11,
        .sys_ms = 12,
        .maxrss_kb = 13,
        .result = {payload_bytes, sizeof(payload_bytes)},
        .output = {(const uint8_t *)argv_bytes, sizeof(argv_bytes)},
        .output_total = 1ULL << 33,
        .error = "exit 3: \xc3\x28",
    };
    struct outcome outcome = {.id = id, .run = 1, .kind = OUTCOME_FAILED, .ending = &ending};
    ck_assert_uint_eq(finish(s, outcome, NULL), 1);
    const struct job_ending *got = job_now(s, id).ending;
    ck_assert_ptr_nonnull(got);
    ck_assert_int_eq(got->exit_code, 3);
    ck_assert_int_eq(got->signal, 0);
    ck_assert(got->timed_out);
    ck_assert_int_eq(got->user_ms, 11);
    ck_assert_int_eq(got->sys_ms, 12);
    ck_assert_int_eq(got->maxrss_kb, 13);
    assert_bytes(got->result, payload_bytes, sizeof(payload_bytes));
    assert_bytes(got->output, argv_bytes, sizeof(argv_bytes));
    ck_assert_uint_eq(got->output_total, 1ULL << 33);
    ck_assert_str_eq(got->error, "exit 3: \xc3\x28");
    ck_assert_uint_eq(got->n_trace, 0);
}

/* ---- attempts and interruptions (I4) -------------------------------------------------------- */

static enum job_state fail_run(struct store *s, int64_t id, int32_t run, enum outcome_kind kind,
                               const char *output)
{
    struct job_ending ending = {.exit_code = run,
                                .signal = 9,
                                .output = {(const uint8_t *)output, strlen(output)},
                                .error = "no luck"};
    struct outcome outcome = {.id = id,
                              .run = run,
                              .kind = kind,
                              .node = NODE_A,
                              .started_ms = run * 10,
                              .finished_ms = run * 10 + 5,
                              .ending = &ending};
    enum job_state state = JOB_STATES;
    ck_assert_uint_eq(finish(s, outcome, &state), 1);
    return state;
}

static int64_t submit_with(struct store *s, struct job_spec spec)
{
    struct job job = plain_job(0, 1);
    job.spec = &spec;
    return submit_job(s, LANE_DEFAULT, &job);
}

CONTRACT_TEST(a_job_is_retried_until_its_attempts_are_used_up, s)
{
    int64_t id = submit_with(s, (struct job_spec){.max_attempts = 3});
    ck_assert_int_eq(fail_run(s, id, 1, OUTCOME_RETRY, "one"), JOB_QUEUED);
    ck_assert_int_eq(fail_run(s, id, 2, OUTCOME_INTERRUPTED, "two"), JOB_QUEUED);
    ck_assert_int_eq(fail_run(s, id, 3, OUTCOME_RETRY, "three"), JOB_QUEUED);
    ck_assert_int_eq(fail_run(s, id, 4, OUTCOME_RETRY, "four"), JOB_FAILED);
    struct job job = job_now(s, id);
    ck_assert_int_eq(job.state, JOB_FAILED);
    ck_assert_int_eq(job.run, 4);
    ck_assert_int_eq(job.interruptions, 1);
    ck_assert_int_eq(job.ending->exit_code, 4);
    assert_bytes(job.ending->output, "four", 4);
    ck_assert_uint_eq(job.ending->n_trace, 3);
    static const char *const outputs[] = {"one", "two", "three"};
    for (int i = 0; i < 3; i++) {
        const struct job_attempt *attempt = &job.ending->trace[i];
        ck_assert_int_eq(attempt->run, i + 1);
        ck_assert_int_eq(attempt->interrupted, i == 1);
        ck_assert_int_eq(attempt->node, NODE_A);
        ck_assert_int_eq(attempt->started_ms, attempt->run * 10);
        ck_assert_int_eq(attempt->finished_ms, attempt->run * 10 + 5);
        ck_assert_int_eq(attempt->exit_code, i + 1);
        ck_assert_int_eq(attempt->signal, 9);
        ck_assert_str_eq(attempt->error, "no luck");
        assert_bytes(attempt->output, outputs[i], strlen(outputs[i]));
    }
}

CONTRACT_TEST(a_job_without_a_spec_has_one_attempt, s)
{
    int64_t id = submit(s, LANE_DEFAULT, 1);
    ck_assert_int_eq(fail_run(s, id, 1, OUTCOME_RETRY, ""), JOB_FAILED);
    ck_assert_int_eq(job_now(s, id).run, 1);
}

CONTRACT_TEST(a_job_that_fails_for_good_is_not_retried, s)
{
    int64_t id = submit_with(s, (struct job_spec){.max_attempts = 3});
    ck_assert_int_eq(fail_run(s, id, 1, OUTCOME_FAILED, ""), JOB_FAILED);
    ck_assert_int_eq(job_now(s, id).state, JOB_FAILED);
}

CONTRACT_TEST(interruptions_have_a_limit_of_their_own, s)
{
    int64_t plain = submit(s, LANE_DEFAULT, 1);
    int64_t five = submit_with(s, (struct job_spec){.max_interruptions = 5});
    for (int32_t run = 1; run <= MAX_INTERRUPTIONS_DEFAULT; run++) {
        struct outcome outcome = {.id = plain, .run = run, .kind = OUTCOME_INTERRUPTED};
        enum job_state state = JOB_STATES;
        ck_assert_uint_eq(finish(s, outcome, &state), 1);
        ck_assert_int_eq(state, JOB_QUEUED);
        ck_assert_int_eq(job_now(s, plain).interruptions, run);
        ck_assert_int_eq(job_now(s, plain).run, run + 1);
    }
    struct outcome last = {.id = plain,
                           .run = MAX_INTERRUPTIONS_DEFAULT + 1,
                           .kind = OUTCOME_INTERRUPTED,
                           .node = NODE_A};
    enum job_state state = JOB_STATES;
    ck_assert_uint_eq(finish(s, last, &state), 1);
    ck_assert_int_eq(state, JOB_FAILED);
    struct job job = job_now(s, plain);
    ck_assert_int_eq(job.state, JOB_FAILED);
    ck_assert_int_eq(job.interruptions, MAX_INTERRUPTIONS_DEFAULT);
    ck_assert_int_eq(job.run, MAX_INTERRUPTIONS_DEFAULT + 1);
    ck_assert_ptr_nonnull(job.ending);
    ck_assert_ptr_nonnull(job.ending->error);
    ck_assert_uint_eq(job.ending->n_trace, MAX_INTERRUPTIONS_DEFAULT);
    for (int32_t run = 1; run <= 5; run++)
        ck_assert_int_eq(fail_run(s, five, run, OUTCOME_INTERRUPTED, ""), JOB_QUEUED);
    ck_assert_int_eq(fail_run(s, five, 6, OUTCOME_INTERRUPTED, ""), JOB_FAILED);
}

CONTRACT_TEST(a_job_that_ends_well_keeps_its_earlier_runs, s)
{
    int64_t id = submit_with(s, (struct job_spec){.max_attempts = 2});
    ck_assert_int_eq(fail_run(s, id, 1, OUTCOME_RETRY, "one"), JOB_QUEUED);
    ck_assert_uint_eq(finish(s, (struct outcome){.id = id, .run = 2}, NULL), 1);
    struct job job = job_now(s, id);
    ck_assert_int_eq(job.state, JOB_DONE);
    ck_assert_uint_eq(job.ending->n_trace, 1);
    assert_bytes(job.ending->trace[0].output, "one", 3);
}

CONTRACT_TEST(traces_are_bounded, s)
{
    enum { RUNS = LIMIT_TRACE_ATTEMPTS + 3 };
    int64_t id = submit_with(s, (struct job_spec){.max_attempts = RUNS + 1});
    char *output = arena_alloc(&s->mem, 2 * LIMIT_TRACE_OUTPUT_BYTES + 1);
    for (int32_t run = 1; run <= RUNS; run++) {
        memset(output, 'a' + run, 2 * LIMIT_TRACE_OUTPUT_BYTES);
        output[2 * LIMIT_TRACE_OUTPUT_BYTES - 1] = '$';
        ck_assert_int_eq(fail_run(s, id, run, OUTCOME_RETRY, output), JOB_QUEUED);
    }
    const struct job_ending *ending = job_now(s, id).ending;
    ck_assert_uint_eq(ending->n_trace, LIMIT_TRACE_ATTEMPTS);
    for (int32_t i = 0; i < LIMIT_TRACE_ATTEMPTS; i++) {
        const struct job_attempt *attempt = &ending->trace[i];
        ck_assert_int_eq(attempt->run, RUNS - LIMIT_TRACE_ATTEMPTS + 1 + i);
        ck_assert_uint_eq(attempt->output.len, LIMIT_TRACE_OUTPUT_BYTES);
        ck_assert_int_eq(attempt->output.data[0], 'a' + attempt->run);
        ck_assert_int_eq(attempt->output.data[LIMIT_TRACE_OUTPUT_BYTES - 1], '$');
    }
}

/* ---- cancel --------------------------------------------------------------------------------- */

/* Together they are more than a server takes in one command. */
CONTRACT_TEST(many_jobs_with_long_traces_end_at_once, s)
{
    enum { JOBS = 240, AT_ONCE = 40, RUN = LIMIT_TRACE_ATTEMPTS + 1 };
    static struct outcome outcomes[JOBS];
    static uint8_t text[LIMIT_TRACE_OUTPUT_BYTES];
    memset(text, 'x', sizeof(text));
    struct job_attempt trace[LIMIT_TRACE_ATTEMPTS];
    for (int32_t i = 0; i < LIMIT_TRACE_ATTEMPTS; i++)
        trace[i] = (struct job_attempt){.run = i + 1, .output = {text, sizeof(text)}};
    const struct job_ending before = {.trace = trace, .n_trace = LIMIT_TRACE_ATTEMPTS};
    const struct job_ending last = {.output = {text, 1}};
    int64_t id = reserve(s, LANE_DEFAULT, JOBS);
    for (int at = 0; at < JOBS; at += AT_ONCE) {
        struct job jobs[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            jobs[i] = plain_job(id + at + i, 1);
            jobs[i].run = RUN;
            jobs[i].ending = &before;
        }
        struct ds_step step = {.kind = DS_INSERT, .insert = {.jobs = jobs, .n_jobs = AT_ONCE}};
        ck_assert_int_eq(do_step(s, &step), 0);
    }
    for (int i = 0; i < JOBS; i++)
        outcomes[i] = (struct outcome){.id = id + i,
                                       .count = 1,
                                       .run = RUN,
                                       .kind = i % 2 == 0 ? OUTCOME_DONE : OUTCOME_FAILED,
                                       .node = NODE_A,
                                       .ending = &last};
    struct ds_step step = {.kind = DS_FINISH, .finish = {.outcomes = outcomes, .n = JOBS}};
    ck_assert_int_eq(do_step(s, &step), 0);
    for (int i = 0; i < JOBS; i++)
        ck_assert_uint_eq(outcomes[i].ret_accepted, 1);
    struct job job = job_now(s, id + JOBS - 1);
    ck_assert_int_eq(job.state, JOB_FAILED);
    ck_assert_uint_eq(job.ending->n_trace, LIMIT_TRACE_ATTEMPTS);
    assert_bytes(job.ending->trace[0].output, text, sizeof(text));
}

CONTRACT_TEST(an_unfinished_job_is_cancelled_once, s)
{
    static const enum job_state states[] = {JOB_QUEUED, JOB_SCHEDULED, JOB_BLOCKED};
    for (size_t i = 0; i < 3; i++) {
        struct job job = plain_job(0, 1);
        job.state = states[i];
        int64_t id = submit_job(s, LANE_DEFAULT, &job);
        enum job_state before;
        ck_assert_int_eq(cancel(s, id, &before), 0);
        ck_assert_int_eq(before, states[i]);
        ck_assert_int_eq(job_now(s, id).state, JOB_CANCELLED);
        ck_assert_int_gt(job_now(s, id).finished_ms, 0);
        ck_assert_int_eq(cancel(s, id, &before), ERR_CONFLICT);
        ck_assert_int_eq(before, JOB_CANCELLED);
        ck_assert_uint_eq(finish(s, (struct outcome){.id = id, .run = 1}, NULL), 0);
    }
    ck_assert_int_eq(cancel(s, 99, NULL), ERR_NOT_FOUND);
    ck_assert_int_eq(cancel(s, id_make(50, 1), NULL), ERR_NOT_FOUND);
}

CONTRACT_TEST(a_finished_job_is_not_cancelled, s)
{
    int64_t id = submit(s, LANE_DEFAULT, 2);
    finish(s, (struct outcome){.id = id, .run = 1}, NULL);
    finish(s, (struct outcome){.id = id + 1, .run = 1, .kind = OUTCOME_FAILED}, NULL);
    enum job_state before;
    ck_assert_int_eq(cancel(s, id, &before), ERR_CONFLICT);
    ck_assert_int_eq(before, JOB_DONE);
    ck_assert_int_eq(cancel(s, id + 1, &before), ERR_CONFLICT);
    ck_assert_int_eq(before, JOB_FAILED);
    ck_assert_int_eq(job_now(s, id).state, JOB_DONE);
}

CONTRACT_TEST(a_cancelled_job_keeps_its_earlier_runs, s)
{
    int64_t id = submit_with(s, (struct job_spec){.max_attempts = 3});
    ck_assert_int_eq(fail_run(s, id, 1, OUTCOME_RETRY, "one"), JOB_QUEUED);
    ck_assert_int_eq(cancel(s, id, NULL), 0);
    struct job job = job_now(s, id);
    ck_assert_int_eq(job.run, 2);
    ck_assert_uint_eq(job.ending->n_trace, 1);
    assert_bytes(job.ending->trace[0].output, "one", 3);
}

int main(void)
{
    const TTest *const tests[] = {
        a_plain_job_is_queued_at_its_first_run,
        a_job_comes_back_as_it_was_inserted,
        a_row_is_inserted_once_by_its_token,
        the_same_token_after_the_end_of_a_job_is_still_ones_own,
        a_payload_past_the_limit_is_refused,
        a_batch_past_the_limit_is_refused,
        a_key_is_unique_among_unfinished_jobs,
        a_reserved_id_is_a_hole_until_a_row_fills_it,
        void_and_slot_rows_are_not_jobs_to_people,
        rows_are_loaded_page_by_page,
        a_page_of_large_rows_is_cut,
        a_brief_load_gives_what_a_decision_needs,
        an_outcome_is_recorded_once,
        an_outcome_of_another_run_is_refused,
        a_range_of_outcomes_is_accepted_row_by_row,
        a_range_with_an_ending_is_invalid,
        an_ending_comes_back_as_it_was_recorded,
        a_job_is_retried_until_its_attempts_are_used_up,
        a_job_without_a_spec_has_one_attempt,
        a_job_that_fails_for_good_is_not_retried,
        interruptions_have_a_limit_of_their_own,
        a_job_that_ends_well_keeps_its_earlier_runs,
        traces_are_bounded,
        many_jobs_with_long_traces_end_at_once,
        an_unfinished_job_is_cancelled_once,
        a_finished_job_is_not_cancelled,
        a_cancelled_job_keeps_its_earlier_runs,
    };
    return contract_main("jobs", tests, sizeof(tests) / sizeof(tests[0]));
}
