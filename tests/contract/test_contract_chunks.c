/* Goal: whatever part of an insert came through, a chunk of a bulk submit is told as what is there
 * of it, and what is not there can be sent once more and only once.
 * Method: the same tests on every kind of store; an insert that was cut is one of only some of the
 * rows of its chunk. */
#include "tests/support/store.h"

static struct job plain_job(int64_t id, int64_t token)
{
    return (struct job){.id = id, .run = 1, .type = "noop", .token = token};
}

static int chunk_submit(struct store *s, const char *name, int64_t index, int64_t count, bool last,
                        int64_t *ret_first)
{
    struct submit_chunk chunk = {.submit = name, .index = index, .count = count, .last = last};
    struct job *jobs = arena_alloc(&s->mem, (size_t)count * sizeof(*jobs));
    for (int64_t i = 0; i < count; i++)
        jobs[i] = plain_job(0, index + i);
    struct ds_step steps[] = {
        {.kind = DS_RESERVE, .reserve.count = count},
        {.kind = DS_INSERT,
         .insert = {.jobs = jobs, .n_jobs = (size_t)count, .from_reserve = true, .chunk = &chunk}}};
    int rc = do_run(s, steps, 2);
    *ret_first = steps[0].reserve.ret_first;
    return rc;
}

CONTRACT_TEST(a_chunk_is_there_once, s)
{
    int64_t first[4], late;
    ck_assert_int_eq(chunk_submit(s, "big", 10, 5, true, &first[2]), 0);
    ck_assert_int_eq(chunk_submit(s, "big", 0, 4, false, &first[0]), 0);
    ck_assert_int_eq(chunk_submit(s, "big", 4, 6, false, &first[1]), 0);
    ck_assert_int_eq(chunk_submit(s, "other", 4, 1, true, &first[3]), 0);
    ck_assert_int_eq(chunk_submit(s, "big", 4, 6, false, &late), ERR_DUPLICATE);
    struct job none;
    for (int64_t i = 0; i < 6; i++)
        ck_assert(!job_find(s, late + i, &none));
    struct ds_step step = {.kind = DS_SUBMIT_FIND, .submit_find.submit = "big"};
    ck_assert_int_eq(do_step(s, &step), 0);
    static const int64_t indexes[] = {0, 4, 10}, counts[] = {4, 6, 5};
    ck_assert_uint_eq(step.submit_find.ret_n, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct submit_chunk *chunk = &step.submit_find.ret_chunks[i];
        ck_assert_str_eq(chunk->submit, "big");
        ck_assert_int_eq(chunk->index, indexes[i]);
        ck_assert_int_eq(chunk->count, counts[i]);
        ck_assert_int_eq(chunk->id, first[i]);
        ck_assert_int_eq(chunk->last, i == 2);
    }
    step = (struct ds_step){.kind = DS_SUBMIT_FIND, .submit_find.submit = "bi"};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.submit_find.ret_n, 0);
}

static struct ds_step chunk_find(struct store *s, const char *name)
{
    struct ds_step step = {.kind = DS_SUBMIT_FIND, .submit_find.submit = name};
    ck_assert_int_eq(do_step(s, &step), 0);
    return step;
}

static void assert_chunk(const struct submit_chunk *chunk, int64_t index, int64_t id, int64_t count,
                         bool cut, bool last)
{
    ck_assert_int_eq(chunk->index, index);
    ck_assert_int_eq(chunk->id, id);
    ck_assert_int_eq(chunk->count, count);
    ck_assert_int_eq(chunk->cut, cut);
    ck_assert_int_eq(chunk->last, last);
}

CONTRACT_TEST(an_insert_of_a_chunk_again_completes_it, s)
{
    struct submit_chunk chunk = {.submit = "big", .index = 0, .count = 6, .last = true};
    struct job jobs[6];
    int64_t id = reserve(s, LANE_DEFAULT, 6);
    for (int64_t i = 0; i < 6; i++)
        jobs[i] = plain_job(id + i, 100 + i);
    struct ds_step part = {.kind = DS_INSERT,
                           .insert = {.jobs = jobs, .n_jobs = 3, .chunk = &chunk}};
    ck_assert_int_eq(do_step(s, &part), 0);
    struct job none = {
        .id = id + 4, .state = JOB_VOID, .type = "", .token = 4711}; /* a node's: its id */
    ck_assert_int_eq(insert_row(s, &none), 0);
    struct ds_step whole = {.kind = DS_INSERT,
                            .insert = {.jobs = jobs, .n_jobs = 6, .chunk = &chunk}};
    ck_assert_int_eq(do_step(s, &whole), 0);
    for (int i = 0; i < 6; i++)
        ck_assert_int_eq(whole.insert.ret_rc[i], i == 4 ? ERR_DUPLICATE : 0);
    struct ds_step find = chunk_find(s, "big");
    if (s->sqlite)
        return; /* nobody gives up on an id there */
    ck_assert_uint_eq(find.submit_find.ret_n, 2);
    assert_chunk(&find.submit_find.ret_chunks[0], 0, id, 4, true, false);
    assert_chunk(&find.submit_find.ret_chunks[1], 5, id + 5, 1, true, true);
}

CONTRACT_TEST(a_chunk_that_was_cut_has_no_late_rows, s)
{
    if (s->sqlite)
        return; /* it is never cut there */
    struct submit_chunk chunk = {.submit = "big", .index = 10, .count = 4, .last = true};
    struct job jobs[4];
    int64_t id = reserve(s, LANE_DEFAULT, 4);
    for (int64_t i = 0; i < 4; i++)
        jobs[i] = plain_job(id + i, 100 + i);
    struct ds_step step = {.kind = DS_INSERT,
                           .insert = {.jobs = jobs, .n_jobs = 2, .chunk = &chunk}};
    ck_assert_int_eq(do_step(s, &step), 0);
    struct ds_step find = chunk_find(s, "big");
    ck_assert_uint_eq(find.submit_find.ret_n, 1);
    assert_chunk(&find.submit_find.ret_chunks[0], 10, id, 2, true, false);
    step.insert.n_jobs = 4;
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_eq(step.insert.ret_rc[1], 0);
    ck_assert_int_eq(step.insert.ret_rc[2], ERR_DUPLICATE);
    ck_assert_int_eq(job_now(s, id + 3).state, JOB_VOID);
    /* What is missing comes as a chunk of its own. */
    struct submit_chunk rest = {.submit = "big", .index = 12, .count = 2, .last = true};
    int64_t more = reserve(s, LANE_DEFAULT, 2);
    jobs[2].id = more;
    jobs[3].id = more + 1;
    step = (struct ds_step){.kind = DS_INSERT,
                            .insert = {.jobs = jobs + 2, .n_jobs = 2, .chunk = &rest}};
    ck_assert_int_eq(do_step(s, &step), 0);
    find = chunk_find(s, "big");
    ck_assert_uint_eq(find.submit_find.ret_n, 2);
    assert_chunk(&find.submit_find.ret_chunks[1], 12, more, 2, false, true);
}

CONTRACT_TEST(a_chunk_whose_first_id_is_taken_writes_nothing, s)
{
    struct submit_chunk chunk = {.submit = "big", .index = 0, .count = 3, .last = true};
    struct job jobs[3], none = {.state = JOB_VOID, .run = 1, .type = "void"}, found;
    none.id = reserve(s, LANE_DEFAULT, 3);
    for (int64_t i = 0; i < 3; i++)
        jobs[i] = plain_job(none.id + i, 100 + i);
    ck_assert_int_eq(insert_row(s, &none), 0);
    struct ds_step step = {.kind = DS_INSERT,
                           .insert = {.jobs = jobs, .n_jobs = 3, .chunk = &chunk}};
    ck_assert_int_eq(do_step(s, &step), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(step.insert.ret_rc[i], ERR_DUPLICATE);
    ck_assert(!job_find(s, none.id + 1, &found));
    ck_assert_uint_eq(chunk_find(s, "big").submit_find.ret_n, 0);
}

CONTRACT_TEST(a_chunk_whose_first_key_is_in_use_is_there, s)
{
    static const struct job_spec one = {.key = "one"};
    struct submit_chunk chunk = {.submit = "big", .index = 0, .count = 2, .last = true};
    int64_t id = reserve(s, LANE_DEFAULT, 3);
    struct job owner = plain_job(id, 7);
    struct job jobs[] = {plain_job(id + 1, 100), plain_job(id + 2, 101)};
    owner.spec = jobs[0].spec = &one;
    ck_assert_int_eq(insert_row(s, &owner), 0);
    struct ds_step step = {.kind = DS_INSERT,
                           .insert = {.jobs = jobs, .n_jobs = 2, .chunk = &chunk}};
    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(do_step(s, &step), 0);
        ck_assert_int_eq(step.insert.ret_rc[0], ERR_DUPLICATE);
        ck_assert_int_eq(step.insert.ret_rc[1], 0);
    }
    ck_assert_int_eq(job_now(s, id + 1).state, JOB_VOID);
    ck_assert_int_eq(job_now(s, id + 1).token, -100);
    struct ds_step find = chunk_find(s, "big");
    ck_assert_uint_eq(find.submit_find.ret_n, 1);
    assert_chunk(&find.submit_find.ret_chunks[0], 0, id + 1, 2, false, true);
}

int main(void)
{
    const TTest *const tests[] = {
        a_chunk_is_there_once,
        an_insert_of_a_chunk_again_completes_it,
        a_chunk_that_was_cut_has_no_late_rows,
        a_chunk_whose_first_id_is_taken_writes_nothing,
        a_chunk_whose_first_key_is_in_use_is_there,
    };
    return contract_main("chunks", tests, sizeof(tests) / sizeof(tests[0]));
}
