/* Goal: what a run promises (order, stopping, independence), and for every step that writes: a
 * reply that is lost though the step was applied can be tried again, and read back, without harm.
 * Method: the same tests on every kind of store; replies are lost by a faulty handle of the test's
 * own, whose counter must show the fault. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/store.h"

enum { NODE_A = 101, NODE_B = 202 };

/* ---- runs ----------------------------------------------------------------------------------- */

static struct ds_step reserve_step(int64_t count)
{
    return (struct ds_step){.kind = DS_RESERVE, .reserve.count = count};
}

CONTRACT_TEST(a_run_stops_at_its_first_failure, s)
{
    struct ds_step steps[] = {
        reserve_step(2),
        {.kind = DS_NODE_DELETE, .node_delete.node = NODE_A},
        reserve_step(3),
        {.kind = DS_META_READ},
    };
    ck_assert_int_eq(do_run(s, steps, 4), ERR_NOT_FOUND);
    ck_assert_int_eq(steps[0].rc, 0);
    ck_assert_int_eq(steps[1].rc, ERR_NOT_FOUND);
    ck_assert_int_eq(steps[2].rc, ERR_SKIPPED);
    ck_assert_int_eq(steps[3].rc, ERR_SKIPPED);
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).tail, 3); /* what came before stays done */
}

CONTRACT_TEST(an_independent_step_may_fail, s)
{
    struct ds_step steps[] = {
        {.kind = DS_NODE_DELETE, .independent = true, .node_delete.node = NODE_A},
        reserve_step(2),
        {.kind = DS_CANCEL, .independent = true, .cancel.id = 77},
        reserve_step(3),
    };
    ck_assert_int_eq(do_run(s, steps, 4), 0);
    ck_assert_int_eq(steps[0].rc, ERR_NOT_FOUND);
    ck_assert_int_eq(steps[1].rc, 0);
    ck_assert_int_eq(steps[2].rc, ERR_NOT_FOUND);
    ck_assert_int_eq(steps[3].reserve.ret_first, 3);
}

CONTRACT_TEST(a_step_sees_what_the_steps_before_it_did, s)
{
    struct job job = {.run = 1, .type = "noop", .token = 4};
    struct ds_step steps[] = {
        reserve_step(1),
        {.kind = DS_INSERT, .insert = {.jobs = &job, .n_jobs = 1, .from_reserve = true}},
        {.kind = DS_CLAIM, .claim = {.node = NODE_A, .want = 9, .make_entry = true}},
        {.kind = DS_LOAD, .load = {.range = {1, 2, false}, .rows_max = 1}},
        {.kind = DS_CANCEL, .cancel.id = 1},
    };
    ck_assert_int_eq(do_run(s, steps, 5), 0);
    assert_range(steps[2].claim.ret_range, 1, 2, false);
    ck_assert_uint_eq(steps[3].load.ret_n, 1);
    ck_assert_int_eq(steps[3].load.ret_jobs[0].token, 4);
    ck_assert_int_eq(job_now(s, 1).state, JOB_CANCELLED);
}

CONTRACT_TEST(runs_handed_over_together_stand_alone, s)
{
    struct ds_step first[] = {
        reserve_step(1), {.kind = DS_NODE_DELETE, .node_delete.node = NODE_A}, reserve_step(1)};
    struct ds_step second[] = {reserve_step(1), reserve_step(1)};
    struct ds_step third[] = {{.kind = DS_LANES_READ}};
    struct ds_run runs[] = {{.steps = first, .n_steps = 3},
                            {.steps = second, .n_steps = 2},
                            {.steps = third, .n_steps = 1}};
    struct ds_run *list[] = {&runs[0], &runs[1], &runs[2]};
    struct datastore *ds = store_handle(s);
    ds->class->run(ds, list, 3);
    ck_assert_int_eq(ds_run_code(&runs[0]), ERR_NOT_FOUND);
    ck_assert_int_eq(first[2].rc, ERR_SKIPPED);
    ck_assert_int_eq(ds_run_code(&runs[1]), 0);
    ck_assert_int_eq(second[0].reserve.ret_first, 2);
    ck_assert_int_eq(second[1].reserve.ret_first, 3);
    ck_assert_int_eq(ds_run_code(&runs[2]), 0);
    ck_assert_int_eq(third[0].lanes_read.ret_lanes[0].tail, 4);
    for (size_t i = 0; i < 3; i++)
        arena_release(&runs[i].mem);
    datastore_close(ds);
}

CONTRACT_TEST(handles_of_one_store_see_each_others_writes, s)
{
    struct datastore *other = store_handle(s);
    int64_t id = submit(s, LANE_DEFAULT, 2);
    struct ds_step step = {.kind = DS_CANCEL, .cancel.id = id};
    ck_assert_int_eq(datastore_step(other, &step, &s->mem, NULL), 0);
    ck_assert_int_eq(job_now(s, id).state, JOB_CANCELLED);
    step = (struct ds_step){.kind = DS_CLAIM,
                            .claim = {.node = NODE_B, .want = 1, .make_entry = true}};
    ck_assert_int_eq(datastore_step(other, &step, &s->mem, NULL), 0);
    assert_range(claim(s, LANE_DEFAULT, NODE_A, 0, 9), id + 1, id + 2, false);
    datastore_close(other);
}

/* ---- applied, but the reply is lost --------------------------------------------------------- */

/* Carries out the run so that its last step is applied and its reply lost. */
static void run_reply_lost(struct store *s, struct ds_step *steps, size_t n)
{
    struct ds_step *copy = arena_copy(&s->mem, steps, n * sizeof(*steps));
    struct datastore *ds =
        faulty_wrap(store_handle(s), &(struct faulty_plan){.nth = n, .fault = FAULT_REPLY_LOST});
    struct ds_run run = {.steps = copy, .n_steps = n};
    ck_assert_int_eq(datastore_run(ds, &run), ERR_UNKNOWN_OUTCOME);
    for (size_t i = 0; i + 1 < n; i++)
        ck_assert_int_eq(copy[i].rc, 0);
    ck_assert_uint_eq(faulty_fired(ds, steps[n - 1].kind), 1);
    ck_assert_uint_eq(faulty_fired(ds, DS_KINDS), 1);
    arena_release(&run.mem);
    datastore_close(ds);
}

/* The step applied with its reply lost, then tried again: what the second try says. */
static int try_twice(struct store *s, struct ds_step *step)
{
    run_reply_lost(s, step, 1);
    return do_step(s, step);
}

CONTRACT_TEST(queues_and_lanes_after_a_lost_reply, s)
{
    struct ds_step queue = {
        .kind = DS_QUEUE_SET,
        .queue_set = {.queue = {.name = "mail", .weight = 2}, .create_only = true}};
    ck_assert_int_eq(try_twice(s, &queue), ERR_DUPLICATE);
    queue.queue_set.create_only = false;
    queue.queue_set.queue.paused = true;
    ck_assert_int_eq(try_twice(s, &queue), 0);
    struct ds_step lane = {.kind = DS_LANE_OPEN, .lane_open.name = {"mail", 5, 0}};
    ck_assert_int_eq(try_twice(s, &lane), 0);
    struct ds_step read = {.kind = DS_LANES_READ, .lanes_read.lane = -1};
    ck_assert_int_eq(do_step(s, &read), 0);
    ck_assert_uint_eq(read.lanes_read.ret_n, 2);
}

CONTRACT_TEST(a_reservation_after_a_lost_reply_takes_other_ids, s)
{
    struct ds_step step = reserve_step(3);
    ck_assert_int_eq(try_twice(s, &step), 0);
    ck_assert_int_eq(step.reserve.ret_first, 4);
    struct job lost = {.id = 1, .state = JOB_VOID, .run = 1, .token = 1};
    ck_assert_int_eq(insert_row(s, &lost), 0);
}

CONTRACT_TEST(an_insert_after_a_lost_reply_finds_its_own_rows, s)
{
    int64_t id = reserve(s, LANE_DEFAULT, 2);
    static const struct job_spec spec = {.key = "once"};
    struct job jobs[] = {{.id = id, .run = 1, .type = "noop", .token = 5, .spec = &spec},
                         {.id = id + 1, .run = 1, .type = "noop", .token = 6}};
    struct ds_step step = {.kind = DS_INSERT, .insert = {.jobs = jobs, .n_jobs = 2}};
    ck_assert_int_eq(try_twice(s, &step), 0);
    ck_assert_int_eq(step.insert.ret_rc[0], 0);
    ck_assert_int_eq(step.insert.ret_rc[1], 0);
    struct ds_step read = {.kind = DS_JOBS_READ, .jobs_read.rows_max = 10};
    ck_assert_int_eq(do_step(s, &read), 0);
    ck_assert_uint_eq(read.jobs_read.ret_n, 2);
}

CONTRACT_TEST(a_chunk_after_a_lost_reply_is_found, s)
{
    struct job jobs[2] = {{.run = 1, .type = "noop", .token = 5},
                          {.run = 1, .type = "noop", .token = 6}};
    struct submit_chunk chunk = {.submit = "big", .index = 0, .count = 2, .last = true};
    struct ds_step steps[] = {
        reserve_step(2),
        {.kind = DS_INSERT,
         .insert = {.jobs = jobs, .n_jobs = 2, .from_reserve = true, .chunk = &chunk}}};
    run_reply_lost(s, steps, 2);
    ck_assert_int_eq(do_run(s, steps, 2), ERR_DUPLICATE);
    struct ds_step find = {.kind = DS_SUBMIT_FIND, .submit_find.submit = "big"};
    ck_assert_int_eq(do_step(s, &find), 0);
    ck_assert_uint_eq(find.submit_find.ret_n, 1);
    ck_assert_int_eq(find.submit_find.ret_chunks[0].id, 1);
    ck_assert_int_eq(find.submit_find.ret_chunks[0].count, 2);
    ck_assert(find.submit_find.ret_chunks[0].last);
}

CONTRACT_TEST(a_claim_after_a_lost_reply_is_read_from_the_entry, s)
{
    submit(s, LANE_DEFAULT, 10);
    struct ds_step step = {.kind = DS_CLAIM,
                           .claim = {.node = NODE_A, .want = 4, .make_entry = true}};
    ck_assert_int_eq(try_twice(s, &step), ERR_CONFLICT);
    const struct lane_entry *entry = entry_now(s, LANE_DEFAULT, NODE_A);
    ck_assert_uint_eq(entry->g, 1);
    assert_range(entry->last, 1, 5, false);
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).head, 5);
}

CONTRACT_TEST(a_return_after_a_lost_reply_is_in_the_pool_once, s)
{
    submit(s, LANE_DEFAULT, 10);
    claim(s, LANE_DEFAULT, NODE_A, 0, 10);
    struct range tail = {6, 11, false};
    struct ds_step step = {.kind = DS_RETURN,
                           .give_back = {.node = NODE_A, .ranges = &tail, .n_ranges = 1}};
    ck_assert_int_eq(try_twice(s, &step), ERR_CONFLICT);
    ck_assert_uint_eq(entry_now(s, LANE_DEFAULT, NODE_A)->r, 1);
    ck_assert_uint_eq(lane_now(s, LANE_DEFAULT).n_pool, 1);
    assert_range(lane_now(s, LANE_DEFAULT).pool[0], 6, 11, false);
}

CONTRACT_TEST(a_drop_and_a_burial_after_a_lost_reply, s)
{
    submit(s, LANE_DEFAULT, 10);
    claim(s, LANE_DEFAULT, NODE_A, 0, 5);
    claim(s, LANE_DEFAULT, NODE_B, 0, 5);
    struct range estate = {1, 6, false};
    struct ds_step step = {
        .kind = DS_LANE_BURY,
        .lane_bury = {.expect = {.node = NODE_A, .g = 1}, .estate = &estate, .n_estate = 1}};
    ck_assert_int_eq(try_twice(s, &step), ERR_NOT_FOUND);
    ck_assert_uint_eq(lane_now(s, LANE_DEFAULT).n_pool, 1);
    assert_range(lane_now(s, LANE_DEFAULT).pool[0], 1, 6, true);
    step = (struct ds_step){.kind = DS_ENTRY_DROP, .entry_drop = {.node = NODE_B, .g = 1}};
    ck_assert_int_eq(try_twice(s, &step), ERR_NOT_FOUND);
    ck_assert_uint_eq(lane_now(s, LANE_DEFAULT).n_entries, 0);
}

CONTRACT_TEST(a_heartbeat_after_a_lost_reply_finds_its_own_counter, s)
{
    struct node node = node_make(NODE_A, "alpha");
    struct ds_step add = {.kind = DS_NODE_ADD, .node_add.node = &node};
    ck_assert_int_eq(try_twice(s, &add), ERR_DUPLICATE);
    ck_assert_str_eq(node_now(s, NODE_A).name, "alpha");
    node.beat = 2;
    node.done = 7;
    struct ds_step write = {.kind = DS_NODE_WRITE, .node_write.node = &node};
    ck_assert_int_eq(try_twice(s, &write), ERR_CONFLICT);
    ck_assert(!write.node_write.ret_dead);
    ck_assert_uint_eq(node_now(s, NODE_A).beat, 2);
    ck_assert_int_eq(node_now(s, NODE_A).done, 7);
}

CONTRACT_TEST(an_accept_after_a_lost_reply_is_read_from_the_record, s)
{
    submit(s, LANE_DEFAULT, 10);
    node_add(s, NODE_A, "alpha");
    struct node node = node_make(NODE_A, "alpha");
    node.beat = 2;
    struct ds_step steps[] = {
        {.kind = DS_CLAIM, .claim = {.node = NODE_A, .want = 4, .make_entry = true}},
        {.kind = DS_NODE_WRITE, .node_write = {.node = &node, .accept = true}}};
    run_reply_lost(s, steps, 2);
    ck_assert_int_eq(do_run(s, steps, 2), ERR_CONFLICT);
    ck_assert_int_eq(steps[0].rc, ERR_CONFLICT);
    struct node now = node_now(s, NODE_A);
    ck_assert_uint_eq(now.beat, 2);
    ck_assert_uint_eq(now.n_ranges, 1);
    assert_range(now.ranges[0].range, 1, 5, false);
    ck_assert_uint_eq(now.granted[0].g, 1);
}

CONTRACT_TEST(asking_and_burying_a_node_after_a_lost_reply, s)
{
    node_add(s, NODE_A, "alpha");
    struct ds_step ask = {.kind = DS_NODE_ASK,
                          .node_ask = {.node = NODE_A, .add_request = true, .request = {.id = 5}}};
    ck_assert_int_eq(try_twice(s, &ask), 0);
    ck_assert_uint_eq(node_now(s, NODE_A).n_requests, 1);
    struct ds_step kill = {.kind = DS_NODE_KILL,
                           .node_kill = {.node = NODE_A, .beat = 1, .cause = "buried by me"}};
    ck_assert_int_eq(try_twice(s, &kill), ERR_CONFLICT);
    ck_assert_int_eq(kill.node_kill.ret_node.state, NODE_DEAD);
    ck_assert_str_eq(kill.node_kill.ret_node.cause, "buried by me");
    struct ds_step clear = {.kind = DS_NODE_CLEAR, .node_clear.node = NODE_A};
    ck_assert_int_eq(try_twice(s, &clear), 0);
    struct ds_step delete = {.kind = DS_NODE_DELETE, .node_delete.node = NODE_A};
    ck_assert_int_eq(try_twice(s, &delete), ERR_NOT_FOUND);
}

CONTRACT_TEST(outcomes_after_a_lost_reply_are_refused_and_stand, s)
{
    static const struct job_spec spec = {.max_attempts = 5};
    int64_t id = submit(s, LANE_DEFAULT, 2);
    struct job retried = {.run = 1, .type = "noop", .token = 1, .spec = &spec};
    int64_t again = submit_job(s, LANE_DEFAULT, &retried);
    struct outcome outcomes[] = {
        {.id = id, .count = 2, .run = 1, .node = NODE_A},
        {.id = again, .count = 1, .run = 1, .kind = OUTCOME_RETRY, .node = NODE_A}};
    struct ds_step step = {.kind = DS_FINISH, .finish = {.outcomes = outcomes, .n = 2}};
    ck_assert_int_eq(try_twice(s, &step), 0);
    ck_assert_uint_eq(outcomes[0].ret_accepted, 0);
    ck_assert_uint_eq(outcomes[1].ret_accepted, 0);
    ck_assert_int_eq(job_now(s, id).state, JOB_DONE);
    ck_assert_int_eq(job_now(s, id).node, NODE_A);
    ck_assert_int_eq(job_now(s, again).run, 2);
    ck_assert_uint_eq(job_now(s, again).ending->n_trace, 1);
    struct ds_step cancel_it = {.kind = DS_CANCEL, .cancel.id = again};
    ck_assert_int_eq(try_twice(s, &cancel_it), ERR_CONFLICT);
    ck_assert_int_eq(cancel_it.cancel.ret_before, JOB_CANCELLED);
}

CONTRACT_TEST(appended_rows_after_a_lost_reply_are_there_once, s)
{
    struct stint_row stint = {.range = {1, 9, false}, .node = NODE_A, .done = 8};
    struct ds_step step = {.kind = DS_STINTS_ADD, .stints_add = {.rows = &stint, .n = 1}};
    ck_assert_int_eq(try_twice(s, &step), 0);
    struct history_row version = {.node = NODE_A, .seq = 1, .at_ms = 5, .whole = true};
    version.body = (struct bytes){(const uint8_t *)"\5\0\0\0", 5};
    step = (struct ds_step){.kind = DS_HISTORY_ADD, .history_add = {.rows = &version, .n = 1}};
    ck_assert_int_eq(try_twice(s, &step), 0);
    struct ds_step steps[] = {{.kind = DS_STINTS_READ, .stints_read = {.lane = -1, .rows_max = 10}},
                              {.kind = DS_HISTORY_READ, .history_read.rows_max = 10}};
    ck_assert_int_eq(do_run(s, steps, 2), 0);
    ck_assert_uint_eq(steps[0].stints_read.ret_n, 1);
    ck_assert_uint_eq(steps[1].history_read.ret_n, 1);
}

int main(void)
{
    const TTest *const tests[] = {
        a_run_stops_at_its_first_failure,
        an_independent_step_may_fail,
        a_step_sees_what_the_steps_before_it_did,
        runs_handed_over_together_stand_alone,
        handles_of_one_store_see_each_others_writes,
        queues_and_lanes_after_a_lost_reply,
        a_reservation_after_a_lost_reply_takes_other_ids,
        an_insert_after_a_lost_reply_finds_its_own_rows,
        a_chunk_after_a_lost_reply_is_found,
        a_claim_after_a_lost_reply_is_read_from_the_entry,
        a_return_after_a_lost_reply_is_in_the_pool_once,
        a_drop_and_a_burial_after_a_lost_reply,
        a_heartbeat_after_a_lost_reply_finds_its_own_counter,
        an_accept_after_a_lost_reply_is_read_from_the_record,
        asking_and_burying_a_node_after_a_lost_reply,
        outcomes_after_a_lost_reply_are_refused_and_stand,
        appended_rows_after_a_lost_reply_are_there_once,
    };
    return contract_main("runs", tests, sizeof(tests) / sizeof(tests[0]));
}
