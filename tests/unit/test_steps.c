/* Goal: each record step does what DESIGN §4 and §5 say to the one record it is given, and a guard
 * that is not met leaves the record exactly as it was, old arrays included.
 * Method: records made by hand; the pool against a model that keeps one byte an id. */
#include "datastore/steps.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { NODE_A = 11, NODE_B = 22 };

static struct arena mem;

static void set_up(void)
{
    mem = (struct arena){0};
}

static void tear_down(void)
{
    arena_release(&mem);
}

static struct range ids(int64_t a, int64_t b, bool suspect)
{
    return (struct range){.a = a, .b = b, .suspect = suspect};
}

static void assert_range(struct range r, int64_t a, int64_t b, bool suspect)
{
    ck_assert_int_eq(r.a, a);
    ck_assert_int_eq(r.b, b);
    ck_assert_int_eq(r.suspect, suspect);
}

/* ---- pool ----------------------------------------------------------------------------------- */

START_TEST(a_range_melts_into_neighbours_that_are_equally_suspect)
{
    static const struct {
        struct range add, expect[3];
        size_t n;
    } cases[] = {
        {{20, 30, false}, {{10, 40, false}}, 1},
        {{20, 30, true}, {{10, 20, false}, {20, 30, true}, {30, 40, false}}, 3},
        {{20, 25, false}, {{10, 25, false}, {30, 40, false}}, 2},
        {{25, 30, false}, {{10, 20, false}, {25, 40, false}}, 2},
        {{22, 28, false}, {{10, 20, false}, {22, 28, false}, {30, 40, false}}, 3},
        {{1, 10, false}, {{1, 20, false}, {30, 40, false}}, 2},
        {{40, 50, false}, {{10, 20, false}, {30, 50, false}}, 2},
        {{50, 60, true}, {{10, 20, false}, {30, 40, false}, {50, 60, true}}, 3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct range first[] = {ids(10, 20, false), ids(30, 40, false)}, *pool = first;
        size_t n = 2;
        pool_add(&pool, &n, cases[i].add, &mem);
        ck_assert_uint_eq(n, cases[i].n);
        for (size_t k = 0; k < n; k++)
            assert_range(pool[k], cases[i].expect[k].a, cases[i].expect[k].b,
                         cases[i].expect[k].suspect);
        assert_range(first[0], 10, 20, false);
        assert_range(first[1], 30, 40, false);
    }
}
END_TEST

/* Adds random free ranges in random order; what the pool says of each id must be what the model
 * says, and no two neighbours could be one. */
START_TEST(the_pool_agrees_with_a_byte_for_each_id)
{
    enum { IDS = 200 };
    uint64_t seed = 0x5717 + (uint64_t)_i;
    char model[IDS + 1] = {0}; /* 0 absent, 1 clean, 2 suspect */
    struct range *pool = NULL;
    size_t n = 0;
    for (int round = 0; round < 150; round++) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        int64_t a = 1 + (int64_t)(seed >> 33) % (IDS - 1), b = a;
        bool suspect = (seed >> 60) % 2 != 0;
        while (b < IDS && b < a + 1 + (int64_t)(seed >> 50) % 6 && model[b] == 0)
            b++;
        if (b == a)
            continue;
        memset(model + a, suspect ? 2 : 1, (size_t)(b - a));
        pool_add(&pool, &n, ids(a, b, suspect), &mem);
        char seen[IDS + 1] = {0};
        for (size_t i = 0; i < n; i++) {
            ck_assert_int_lt(pool[i].a, pool[i].b);
            ck_assert(i == 0 || pool[i - 1].b < pool[i].a ||
                      (pool[i - 1].b == pool[i].a && pool[i - 1].suspect != pool[i].suspect));
            memset(seen + pool[i].a, pool[i].suspect ? 2 : 1, (size_t)range_count(pool[i]));
        }
        ck_assert_msg(memcmp(seen, model, sizeof(model)) == 0, "seed %d round %d", _i, round);
    }
    ck_assert_uint_gt(n, 0);
}
END_TEST

/* ---- lanes ---------------------------------------------------------------------------------- */

static struct range a_pool[] = {{5, 8, true}, {8, 10, false}};
static struct lane_entry a_entries[] = {{.node = NODE_A, .g = 3, .last = {10, 20, false}, .r = 2},
                                        {.node = NODE_B, .g = 1, .last = {5, 10, false}, .r = 1}};

static struct lane a_lane(void)
{
    return (struct lane){
        .tail = 50, .head = 20, .pool = a_pool, .n_pool = 2, .entries = a_entries, .n_entries = 2};
}

static const struct lane_entry *entry_of(const struct lane *lane, int64_t node)
{
    for (size_t i = 0; i < lane->n_entries; i++)
        if (lane->entries[i].node == node)
            return &lane->entries[i];
    return NULL;
}

START_TEST(a_claim_takes_from_the_pool_before_the_head)
{
    struct lane lane = a_lane();
    struct ds_claim claim = {.node = NODE_A, .g = 3, .r = 99, .want = 2};
    bool changed = false;
    ck_assert_int_eq(step_claim(&lane, &claim, &mem, &changed), 0);
    ck_assert(changed);
    assert_range(claim.ret_range, 5, 7, true);
    ck_assert_int_eq(claim.ret_backlog, 30 + 3);
    const struct lane_entry *entry = entry_of(&lane, NODE_A);
    ck_assert_uint_eq(entry->g, 4);
    ck_assert_uint_eq(entry->r, 2); /* the entry's own, not what the claimer said */
    assert_range(entry->last, 5, 7, true);
    assert_range(lane.pool[0], 7, 8, true);
    assert_range(a_pool[0], 5, 8, true);
    ck_assert_uint_eq(a_entries[0].g, 3);
    /* The rest of the first range, whole; the next range is not joined to it: it is not suspect. */
    claim = (struct ds_claim){.node = NODE_A, .g = 4, .want = 100};
    ck_assert_int_eq(step_claim(&lane, &claim, &mem, &changed), 0);
    assert_range(claim.ret_range, 7, 8, true);
    claim = (struct ds_claim){.node = NODE_A, .g = 5, .want = 100};
    ck_assert_int_eq(step_claim(&lane, &claim, &mem, &changed), 0);
    assert_range(claim.ret_range, 8, 10, false);
    claim = (struct ds_claim){.node = NODE_A, .g = 6, .want = 100};
    ck_assert_int_eq(step_claim(&lane, &claim, &mem, &changed), 0);
    assert_range(claim.ret_range, 20, 50, false);
    ck_assert_int_eq(lane.head, 50);
    ck_assert_int_eq(claim.ret_backlog, 0);
    claim = (struct ds_claim){.node = NODE_A, .g = 7, .want = 100};
    ck_assert_int_eq(step_claim(&lane, &claim, &mem, &changed), 0);
    ck_assert(!changed);
    ck_assert_int_eq(range_count(claim.ret_range), 0);
    ck_assert_uint_eq(entry_of(&lane, NODE_A)->g, 7);
}
END_TEST

START_TEST(a_claim_whose_guard_is_not_met_changes_nothing)
{
    static const struct {
        struct ds_claim claim;
        int rc;
    } cases[] = {
        {{.node = NODE_A, .g = 2, .want = 1}, ERR_CONFLICT},
        {{.node = NODE_A, .g = 4, .want = 1}, ERR_CONFLICT},
        {{.node = NODE_A, .g = 4, .want = 1, .make_entry = true}, ERR_CONFLICT},
        {{.node = 33, .g = 0, .want = 1}, ERR_NOT_FOUND},
        {{.node = NODE_A, .g = 3, .want = 0}, ERR_INVALID},
        {{.node = NODE_A, .g = 3, .want = LIMIT_GRANT_JOBS + 1}, ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct lane lane = a_lane(), before = lane;
        struct ds_claim claim = cases[i].claim;
        bool changed;
        ck_assert_int_eq(step_claim(&lane, &claim, &mem, &changed), cases[i].rc);
        ck_assert(memcmp(&lane, &before, sizeof(lane)) == 0);
    }
}
END_TEST

START_TEST(a_return_goes_to_the_pool_once)
{
    struct lane lane = a_lane();
    struct range back[] = {ids(15, 20, false), ids(10, 12, false)};
    struct ds_give_back give = {.node = NODE_A, .r = 2, .ranges = back, .n_ranges = 2};
    ck_assert_int_eq(step_give_back(&lane, &give, &mem), 0);
    ck_assert_uint_eq(lane.n_pool, 3);
    assert_range(lane.pool[1], 8, 12, false); /* merged with [8, 10) */
    assert_range(lane.pool[2], 15, 20, false);
    ck_assert_uint_eq(entry_of(&lane, NODE_A)->r, 3);
    ck_assert_uint_eq(entry_of(&lane, NODE_A)->g, 3);
    struct lane before = lane;
    ck_assert_int_eq(step_give_back(&lane, &give, &mem), ERR_CONFLICT);
    give.node = 33;
    ck_assert_int_eq(step_give_back(&lane, &give, &mem), ERR_NOT_FOUND);
    struct range never_granted[] = {ids(20, 21, false)};
    give = (struct ds_give_back){.node = NODE_A, .r = 3, .ranges = never_granted, .n_ranges = 1};
    ck_assert_int_eq(step_give_back(&lane, &give, &mem), ERR_INVALID);
    ck_assert(memcmp(&lane, &before, sizeof(lane)) == 0);
}
END_TEST

START_TEST(a_burial_marks_the_estate_and_removes_the_entry)
{
    struct lane lane = a_lane(), before = lane;
    lane.exclusive = before.exclusive = true;
    lane.holder = before.holder = NODE_A;
    struct range estate[] = {ids(10, 20, false)};
    struct ds_lane_bury bury = {
        .expect = {.node = NODE_A, .g = 3, .r = 1}, .estate = estate, .n_estate = 1};
    ck_assert_int_eq(step_lane_bury(&lane, &bury, &mem), ERR_CONFLICT);
    bury.expect.r = 2;
    bury.expect.g = 4;
    ck_assert_int_eq(step_lane_bury(&lane, &bury, &mem), ERR_CONFLICT);
    ck_assert(memcmp(&lane, &before, sizeof(lane)) == 0);
    bury.expect.g = 3;
    ck_assert_int_eq(step_lane_bury(&lane, &bury, &mem), 0);
    ck_assert_uint_eq(lane.n_pool, 3);
    assert_range(lane.pool[2], 10, 20, true); /* touches [8, 10), which is not suspect */
    ck_assert_ptr_null(entry_of(&lane, NODE_A));
    ck_assert_ptr_nonnull(entry_of(&lane, NODE_B));
    ck_assert_int_eq(lane.holder, 0);
    ck_assert_int_eq(step_lane_bury(&lane, &bury, &mem), ERR_NOT_FOUND);
}
END_TEST

START_TEST(an_exclusive_lane_serves_its_holder_only)
{
    struct lane lane = a_lane();
    lane.exclusive = true;
    bool changed;
    struct ds_claim claim = {.node = NODE_A, .g = 3, .want = 1};
    ck_assert_int_eq(step_claim(&lane, &claim, &mem, &changed), 0);
    ck_assert_int_eq(lane.holder, NODE_A);
    struct ds_claim other = {.node = NODE_B, .g = 1, .want = 1};
    ck_assert_int_eq(step_claim(&lane, &other, &mem, &changed), 0);
    ck_assert(!changed);
    ck_assert_int_eq(range_count(other.ret_range), 0);
    struct range back[] = {claim.ret_range};
    struct ds_give_back give = {.node = NODE_A, .r = 2, .ranges = back, .n_ranges = 1};
    ck_assert_int_eq(step_give_back(&lane, &give, &mem), 0);
    ck_assert_int_eq(lane.holder, NODE_A);
    give = (struct ds_give_back){.node = NODE_B,
                                 .r = 1,
                                 .ranges = (struct range[]){ids(10, 11, false)},
                                 .n_ranges = 1,
                                 .clear_holder = true};
    ck_assert_int_eq(step_give_back(&lane, &give, &mem), 0);
    ck_assert_int_eq(lane.holder, NODE_A); /* not its to clear */
    give.node = NODE_A;
    give.r = 3;
    give.ranges = (struct range[]){ids(12, 13, false)};
    ck_assert_int_eq(step_give_back(&lane, &give, &mem), 0);
    ck_assert_int_eq(lane.holder, 0);
    ck_assert_int_eq(step_claim(&lane, &other, &mem, &changed), 0);
    ck_assert(changed);
    ck_assert_int_eq(lane.holder, NODE_B);
}
END_TEST

START_TEST(a_reservation_stops_at_the_last_sequence)
{
    struct lane lane = a_lane();
    lane.tail = id_make(0, ID_SEQ_MAX - 3);
    struct ds_reserve reserve = {.count = 3};
    ck_assert_int_eq(step_reserve(&lane, &reserve, &mem), 0);
    ck_assert_int_eq(reserve.ret_first, ID_SEQ_MAX - 3);
    reserve.count = 1;
    ck_assert_int_eq(step_reserve(&lane, &reserve, &mem), ERR_LIMIT);
    ck_assert_int_eq(lane.tail, ID_SEQ_MAX);
}
END_TEST

/* ---- jobs ----------------------------------------------------------------------------------- */

START_TEST(the_trace_keeps_the_last_attempts_and_the_tail_of_their_output)
{
    struct job_spec spec = {.max_attempts = LIMIT_TRACE_ATTEMPTS + 10};
    struct job job = {.id = 1, .state = JOB_QUEUED, .run = 1, .spec = &spec};
    static uint8_t output[LIMIT_TRACE_OUTPUT_BYTES + 100];
    for (int run = 1; run < spec.max_attempts; run++) {
        memset(output, run, sizeof(output));
        output[sizeof(output) - 1] = 0xff;
        struct job_ending ending = {.exit_code = run, .output = {output, sizeof(output)}};
        struct outcome outcome = {
            .id = 1, .count = 1, .run = run, .kind = OUTCOME_RETRY, .ending = &ending};
        ck_assert(step_finish(&job, &outcome, &mem));
        job = job_copy(&job, &mem); /* as a backend does: the outcome's bytes are borrowed */
        ck_assert_int_eq(job.run, run + 1);
        ck_assert_int_eq(job.state, JOB_QUEUED);
    }
    ck_assert_uint_eq(job.ending->n_trace, LIMIT_TRACE_ATTEMPTS);
    for (size_t i = 0; i < LIMIT_TRACE_ATTEMPTS; i++) {
        const struct job_attempt *attempt = &job.ending->trace[i];
        ck_assert_int_eq(attempt->run, spec.max_attempts - LIMIT_TRACE_ATTEMPTS + (int)i);
        ck_assert_int_eq(attempt->exit_code, attempt->run);
        ck_assert_uint_eq(attempt->output.len, LIMIT_TRACE_OUTPUT_BYTES);
        ck_assert_int_eq(attempt->output.data[0], attempt->run);
        ck_assert_uint_eq(attempt->output.data[LIMIT_TRACE_OUTPUT_BYTES - 1], 0xff);
    }
}
END_TEST

START_TEST(copies_share_nothing)
{
    char key[] = "key", type[] = "noop", error[] = "why", cwd[] = "/tmp";
    uint8_t bytes[] = "bytes";
    int64_t after[] = {7};
    struct job_limit limits[] = {{.resource = 1, .value = 2}};
    struct job_attempt trace[] = {{.run = 1, .error = error, .output = {bytes, 5}}};
    struct job_spec spec = {.key = key,
                            .cwd = cwd,
                            .env = {bytes, 5},
                            .limits = limits,
                            .n_limits = 1,
                            .after = after,
                            .n_after = 1};
    struct job_ending ending = {
        .error = error, .result = {bytes, 5}, .output = {bytes, 5}, .trace = trace, .n_trace = 1};
    struct job job = {.type = type,
                      .payload = {bytes, 5},
                      .argv = {bytes, 5},
                      .batch = key,
                      .spec = &spec,
                      .ending = &ending};
    struct job copy = job_copy(&job, &mem);
    memset(key, 'x', 3);
    memset(type, 'x', 4);
    memset(error, 'x', 3);
    memset(cwd, 'x', 4);
    memset(bytes, 'x', 5);
    memset(after, 0, sizeof(after));
    memset(limits, 0, sizeof(limits));
    memset(trace, 0, sizeof(trace));
    ck_assert_str_eq(copy.type, "noop");
    ck_assert_str_eq(copy.batch, "key");
    ck_assert_str_eq(copy.spec->key, "key");
    ck_assert_str_eq(copy.spec->cwd, "/tmp");
    ck_assert_int_eq(copy.spec->after[0], 7);
    ck_assert_uint_eq(copy.spec->limits[0].value, 2);
    ck_assert(memcmp(copy.payload.data, "bytes", 5) == 0);
    ck_assert(memcmp(copy.argv.data, "bytes", 5) == 0);
    ck_assert(memcmp(copy.spec->env.data, "bytes", 5) == 0);
    ck_assert(memcmp(copy.ending->result.data, "bytes", 5) == 0);
    ck_assert(memcmp(copy.ending->output.data, "bytes", 5) == 0);
    ck_assert_str_eq(copy.ending->error, "why");
    ck_assert_int_eq(copy.ending->trace[0].run, 1);
    ck_assert_str_eq(copy.ending->trace[0].error, "why");
    ck_assert(memcmp(copy.ending->trace[0].output.data, "bytes", 5) == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("steps");
    TCase *tcase = tcase_create("steps");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_range_melts_into_neighbours_that_are_equally_suspect);
    tcase_add_loop_test(tcase, the_pool_agrees_with_a_byte_for_each_id, 0, 50);
    tcase_add_test(tcase, a_claim_takes_from_the_pool_before_the_head);
    tcase_add_test(tcase, a_claim_whose_guard_is_not_met_changes_nothing);
    tcase_add_test(tcase, a_return_goes_to_the_pool_once);
    tcase_add_test(tcase, a_burial_marks_the_estate_and_removes_the_entry);
    tcase_add_test(tcase, an_exclusive_lane_serves_its_holder_only);
    tcase_add_test(tcase, a_reservation_stops_at_the_last_sequence);
    tcase_add_test(tcase, the_trace_keeps_the_last_attempts_and_the_tail_of_their_output);
    tcase_add_test(tcase, copies_share_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
