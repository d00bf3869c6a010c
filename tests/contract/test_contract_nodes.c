/* Goal: node records keep the contract of datastore.h: who may write which part, and that death is
 * final (I5).
 * Method: the same tests on every kind of store; what a step says is read back from the record. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/store.h"

enum { NODE_A = 101, NODE_B = 202 };

static struct ds_step write_step(const struct node *node)
{
    return (struct ds_step){.kind = DS_NODE_WRITE, .node_write.node = node};
}

static struct ds_step ask_step(int64_t node, enum request_kind kind, int64_t id)
{
    return (struct ds_step){
        .kind = DS_NODE_ASK,
        .node_ask = {.node = node, .add_request = true, .request = {.kind = kind, .id = id}}};
}

static int ask(struct store *s, int64_t node, enum request_kind kind, int64_t id)
{
    struct ds_step step = ask_step(node, kind, id);
    return do_step(s, &step);
}

/* ---- adding --------------------------------------------------------------------------------- */

static struct node full_node(void)
{
    static char queues[2][LIMIT_NAME_BYTES + 1] = {"default", "mail"};
    static char types[1][LIMIT_NAME_BYTES + 1] = {"noop"};
    static struct node_range ranges[] = {{{5, 9, false}, 0}, {{20, 30, true}, 7}};
    static struct node_grant granted[] = {{0, 3}, {2, 8}};
    static struct node_running running[] = {{5, 1, 1234, "noop"}, {20, 2, 0, "exec"}};
    struct node node = {
        .id = NODE_A,
        .name = "alpha",
        .host = "host-1",
        .boot_id = "boot-1",
        .pid_ns = 77,
        .pid = 4242,
        .pid_start = 999,
        .version = "0.1.0",
        .slots = 3,
        .lease_ms = 10000,
        .queues = queues,
        .n_queues = 2,
        .types = types,
        .n_types = 1,
        .doorbell = "bell",
        .state = NODE_WORKING,
        .since_ms = 5000,
        .beat = 4,
        .ranges = ranges,
        .n_ranges = 2,
        .granted = granted,
        .n_granted = 2,
        .running = running,
        .n_running = 2,
        .done = 11,
        .failed = 12,
        .interrupted = 13,
        .rate = 1.5,
        .load = 0.25,
    };
    return node;
}

static void assert_own_part(const struct node *now, const struct node *want)
{
    ck_assert_int_eq(now->state, want->state);
    ck_assert_int_eq(now->since_ms, want->since_ms);
    ck_assert_uint_eq(now->beat, want->beat);
    ck_assert_uint_eq(now->n_ranges, want->n_ranges);
    for (size_t i = 0; i < want->n_ranges; i++) {
        assert_range(now->ranges[i].range, want->ranges[i].range.a, want->ranges[i].range.b,
                     want->ranges[i].range.suspect);
        ck_assert_uint_eq(now->ranges[i].returning, want->ranges[i].returning);
    }
    ck_assert_uint_eq(now->n_granted, want->n_granted);
    for (size_t i = 0; i < want->n_granted; i++) {
        ck_assert_int_eq(now->granted[i].lane, want->granted[i].lane);
        ck_assert_uint_eq(now->granted[i].g, want->granted[i].g);
    }
    ck_assert_uint_eq(now->n_running, want->n_running);
    for (size_t i = 0; i < want->n_running; i++) {
        ck_assert_int_eq(now->running[i].id, want->running[i].id);
        ck_assert_int_eq(now->running[i].run, want->running[i].run);
        ck_assert_int_eq(now->running[i].started_ms, want->running[i].started_ms);
        ck_assert_str_eq(now->running[i].type, want->running[i].type);
    }
    ck_assert_int_eq(now->done, want->done);
    ck_assert_int_eq(now->failed, want->failed);
    ck_assert_int_eq(now->interrupted, want->interrupted);
    ck_assert_double_eq(now->rate, want->rate);
    ck_assert_double_eq(now->load, want->load);
}

CONTRACT_TEST(a_record_comes_back_as_it_was_added, s)
{
    struct node node = full_node();
    struct ds_step step = {.kind = DS_NODE_ADD, .node_add.node = &node};
    ck_assert_int_eq(do_step(s, &step), 0);
    struct node now = node_now(s, NODE_A);
    ck_assert_int_eq(now.id, NODE_A);
    ck_assert_str_eq(now.name, "alpha");
    ck_assert_str_eq(now.host, "host-1");
    ck_assert_str_eq(now.boot_id, "boot-1");
    ck_assert_int_eq(now.pid_ns, 77);
    ck_assert_int_eq(now.pid, 4242);
    ck_assert_int_eq(now.pid_start, 999);
    ck_assert_str_eq(now.version, "0.1.0");
    ck_assert_int_eq(now.slots, 3);
    ck_assert_int_eq(now.lease_ms, 10000);
    ck_assert_uint_eq(now.n_queues, 2);
    ck_assert_str_eq(now.queues[1], "mail");
    ck_assert_uint_eq(now.n_types, 1);
    ck_assert_str_eq(now.types[0], "noop");
    ck_assert_str_eq(now.doorbell, "bell");
    ck_assert_int_gt(now.created_ms, 0);
    ck_assert_int_eq(now.desired, DESIRED_RUN);
    ck_assert_uint_eq(now.n_requests, 0);
    assert_own_part(&now, &node);
}

CONTRACT_TEST(a_live_nodes_name_cannot_be_taken, s)
{
    node_add(s, NODE_A, "alpha");
    struct node same_name = node_make(NODE_B, "alpha"), same_id = node_make(NODE_A, "beta");
    struct ds_step step = {.kind = DS_NODE_ADD, .node_add.node = &same_name};
    ck_assert_int_eq(do_step(s, &step), ERR_DUPLICATE);
    struct ds_step other = {.kind = DS_NODE_ADD, .node_add.node = &same_id};
    ck_assert_int_eq(do_step(s, &other), ERR_DUPLICATE);
    ck_assert_int_eq(node_kill(s, NODE_A, 1), 0);
    ck_assert_int_eq(do_step(s, &step), 0); /* a new incarnation */
    ck_assert_int_eq(do_step(s, &other), ERR_DUPLICATE);
}

CONTRACT_TEST(records_are_listed_by_id_with_or_without_the_dead, s)
{
    node_add(s, 30, "c");
    node_add(s, 10, "a");
    node_add(s, 20, "b");
    ck_assert_int_eq(node_kill(s, 20, 1), 0);
    struct ds_step step = {.kind = DS_NODES_READ};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.nodes_read.ret_n, 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(step.nodes_read.ret_nodes[i].id, ((int64_t)i + 1) * 10);
    step = (struct ds_step){.kind = DS_NODES_READ, .nodes_read.live_only = true};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.nodes_read.ret_n, 2);
    ck_assert_int_eq(step.nodes_read.ret_nodes[1].id, 30);
    step = (struct ds_step){.kind = DS_NODES_READ, .nodes_read.node = 40};
    ck_assert_int_eq(do_step(s, &step), ERR_NOT_FOUND);
}

/* The ids that a reading in a circle gives, in its order. */
static void assert_circle(struct store *s, int64_t after, size_t max, bool live_only,
                          const char *ids)
{
    char text[64] = "";
    struct ds_step step = {.kind = DS_NODES_READ,
                           .nodes_read = {.after = after, .max = max, .live_only = live_only}};
    ck_assert_int_eq(do_step(s, &step), 0);
    for (size_t i = 0; i < step.nodes_read.ret_n; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%" PRId64 " ",
                 step.nodes_read.ret_nodes[i].id);
    ck_assert_str_eq(text, ids);
}

CONTRACT_TEST(some_records_are_read_in_a_circle, s)
{
    assert_circle(s, 0, 3, false, "");
    node_add(s, 30, "c");
    node_add(s, 10, "a");
    node_add(s, 40, "d");
    node_add(s, 20, "b");
    assert_circle(s, 0, 3, false, "10 20 30 ");
    assert_circle(s, 20, 2, false, "30 40 ");
    assert_circle(s, 20, 3, false, "30 40 10 ");
    assert_circle(s, 25, 9, false, "30 40 10 20 ");
    assert_circle(s, 20, 9, false, "30 40 10 20 "); /* itself last */
    assert_circle(s, 40, 1, false, "10 ");
    assert_circle(s, INT64_MAX, 2, false, "10 20 ");
    ck_assert_int_eq(node_kill(s, 40, 1), 0);
    assert_circle(s, 20, 2, true, "30 10 ");
    assert_circle(s, 30, 9, true, "10 20 30 ");
    assert_circle(s, 30, 9, false, "40 10 20 30 ");
}

/* ---- the node's own writes ------------------------------------------------------------------ */

CONTRACT_TEST(a_heartbeat_must_move_the_counter_on, s)
{
    node_add(s, NODE_A, "alpha");
    struct node node = full_node();
    node.beat = 2;
    struct ds_step step = write_step(&node);
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_gt(step.node_write.ret_utc_ms, 0);
    ck_assert_int_eq(step.node_write.ret_desired, DESIRED_RUN);
    struct node now = node_now(s, NODE_A);
    assert_own_part(&now, &node);
    ck_assert_int_gt(now.beat_ms, 0);
    /* Set once: a heartbeat does not touch these. */
    ck_assert_int_eq(now.slots, 2);
    ck_assert_int_eq(now.pid, 0);
    node.done = 99;
    ck_assert_int_eq(do_step(s, &step), ERR_CONFLICT); /* equal */
    ck_assert(!step.node_write.ret_dead);
    node.beat = 1;
    ck_assert_int_eq(do_step(s, &step), ERR_CONFLICT);
    ck_assert(!step.node_write.ret_dead);
    ck_assert_int_eq(node_now(s, NODE_A).done, 11);
    node.beat = 7; /* lost ones leave a gap */
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_eq(node_now(s, NODE_A).done, 99);
}

CONTRACT_TEST(a_dead_or_missing_record_is_not_written, s)
{
    node_add(s, NODE_A, "alpha");
    ck_assert_int_eq(node_kill(s, NODE_A, 1), 0);
    struct node node = node_make(NODE_A, "alpha");
    node.beat = 2;
    node.done = 5;
    struct ds_step step = write_step(&node);
    ck_assert_int_eq(do_step(s, &step), ERR_CONFLICT);
    ck_assert(step.node_write.ret_dead);
    ck_assert_int_eq(node_now(s, NODE_A).done, 0);
    ck_assert_int_eq(node_now(s, NODE_A).state, NODE_DEAD);
    node.id = NODE_B;
    ck_assert_int_eq(do_step(s, &step), ERR_NOT_FOUND);
}

CONTRACT_TEST(a_claim_is_accepted_in_the_same_run, s)
{
    submit(s, LANE_DEFAULT, 10);
    node_add(s, NODE_A, "alpha");
    struct node node = node_make(NODE_A, "alpha");
    for (uint64_t g = 0; g < 3; g++) {
        node.beat++;
        struct ds_step steps[] = {
            {.kind = DS_CLAIM, .claim = {.node = NODE_A, .g = g, .want = 6, .make_entry = g == 0}},
            {.kind = DS_NODE_WRITE, .node_write = {.node = &node, .accept = true}}};
        ck_assert_int_eq(do_run(s, steps, 2), 0);
        struct node now = node_now(s, NODE_A);
        /* The third grants nothing: nothing is added, and the number stays. */
        uint64_t grants = g < 2 ? g + 1 : 2;
        ck_assert_uint_eq(now.n_ranges, grants);
        assert_range(now.ranges[0].range, 1, 7, false);
        if (grants == 2)
            assert_range(now.ranges[1].range, 7, 11, false);
        ck_assert_uint_eq(now.ranges[grants - 1].returning, 0);
        ck_assert_uint_eq(now.n_granted, 1);
        ck_assert_int_eq(now.granted[0].lane, LANE_DEFAULT);
        ck_assert_uint_eq(now.granted[0].g, grants);
        ck_assert_uint_eq(now.beat, node.beat);
        node = now;
    }
}

CONTRACT_TEST(a_claim_that_fails_is_not_accepted, s)
{
    submit(s, LANE_DEFAULT, 10);
    node_add(s, NODE_A, "alpha");
    struct node node = node_make(NODE_A, "alpha");
    node.beat = 2;
    struct ds_step steps[] = {
        {.kind = DS_CLAIM, .claim = {.node = NODE_A, .g = 3, .want = 6}},
        {.kind = DS_NODE_WRITE, .node_write = {.node = &node, .accept = true}}};
    ck_assert_int_eq(do_run(s, steps, 2), ERR_NOT_FOUND);
    ck_assert_int_eq(steps[1].rc, ERR_SKIPPED);
    ck_assert_uint_eq(node_now(s, NODE_A).beat, 1);
}

CONTRACT_TEST(a_dead_node_cannot_accept_but_the_lane_has_its_grant, s)
{
    submit(s, LANE_DEFAULT, 10);
    node_add(s, NODE_A, "alpha");
    ck_assert_int_eq(node_kill(s, NODE_A, 1), 0);
    struct node node = node_make(NODE_A, "alpha");
    node.beat = 2;
    struct ds_step steps[] = {
        {.kind = DS_CLAIM, .claim = {.node = NODE_A, .want = 6, .make_entry = true}},
        {.kind = DS_NODE_WRITE, .node_write = {.node = &node, .accept = true}}};
    ck_assert_int_eq(do_run(s, steps, 2), ERR_CONFLICT);
    ck_assert_int_eq(steps[0].rc, 0);
    ck_assert(steps[1].node_write.ret_dead);
    /* I1: the ids are in an unaccepted grant, for the burier to find. */
    const struct lane_entry *entry = entry_now(s, LANE_DEFAULT, NODE_A);
    ck_assert_uint_eq(entry->g, 1);
    assert_range(entry->last, 1, 7, false);
    ck_assert_uint_eq(node_now(s, NODE_A).n_ranges, 0);
}

/* ---- what others ask ------------------------------------------------------------------------ */

CONTRACT_TEST(requests_wait_once_each_until_they_are_acknowledged, s)
{
    node_add(s, NODE_A, "alpha");
    ck_assert_int_eq(ask(s, NODE_A, REQUEST_CANCEL, 7), 0);
    ck_assert_int_eq(ask(s, NODE_A, REQUEST_SHED, 7), 0);
    ck_assert_int_eq(ask(s, NODE_A, REQUEST_CANCEL, 7), 0); /* waits already */
    ck_assert_int_eq(ask(s, NODE_A, REQUEST_CANCEL, 8), 0);
    struct node node = node_make(NODE_A, "alpha");
    node.beat = 2;
    struct ds_step step = write_step(&node);
    ck_assert_int_eq(do_step(s, &step), 0);
    const struct ds_node_write *told = &step.node_write;
    ck_assert_uint_eq(told->ret_n_requests, 3);
    ck_assert_int_eq(told->ret_requests[0].kind, REQUEST_CANCEL);
    ck_assert_int_eq(told->ret_requests[0].id, 7);
    ck_assert_int_eq(told->ret_requests[1].kind, REQUEST_SHED);
    ck_assert_int_eq(told->ret_requests[2].id, 8);
    uint64_t second = told->ret_requests[1].seq, last = told->ret_requests[2].seq;
    ck_assert_uint_lt(told->ret_requests[0].seq, second);
    ck_assert_uint_lt(second, last);

    node.beat = 3;
    step = write_step(&node);
    step.node_write.acked_request = second;
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.node_write.ret_n_requests, 1);
    ck_assert_int_eq(step.node_write.ret_requests[0].id, 8);
    node.beat = 4;
    step = write_step(&node);
    step.node_write.acked_request = last;
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.node_write.ret_n_requests, 0);
    /* Asked again, it waits again, under a number that never was. */
    ck_assert_int_eq(ask(s, NODE_A, REQUEST_CANCEL, 7), 0);
    struct node now = node_now(s, NODE_A);
    ck_assert_uint_eq(now.n_requests, 1);
    ck_assert_uint_gt(now.requests[0].seq, last);
    ck_assert_uint_eq(now.request_seq, now.requests[0].seq);
}

CONTRACT_TEST(requests_are_bounded, s)
{
    node_add(s, NODE_A, "alpha");
    for (int64_t id = 1; id <= LIMIT_REQUESTS; id++)
        ck_assert_int_eq(ask(s, NODE_A, REQUEST_CANCEL, id), 0);
    ck_assert_int_eq(ask(s, NODE_A, REQUEST_CANCEL, LIMIT_REQUESTS + 1), ERR_BUSY);
    ck_assert_int_eq(ask(s, NODE_A, REQUEST_CANCEL, 3), 0);
    ck_assert_uint_eq(node_now(s, NODE_A).n_requests, LIMIT_REQUESTS);
    struct ds_step step = {
        .kind = DS_NODE_ASK,
        .node_ask = {.node = NODE_A, .set_desired = true, .desired = DESIRED_STOPPED}};
    ck_assert_int_eq(do_step(s, &step), 0); /* a stop always gets through */
}

CONTRACT_TEST(what_is_desired_is_told_by_the_next_heartbeat, s)
{
    node_add(s, NODE_A, "alpha");
    struct ds_step step = ask_step(NODE_A, REQUEST_SHED, 5);
    step.node_ask.request.from = NODE_B;
    step.node_ask.set_desired = true;
    step.node_ask.desired = DESIRED_PAUSED;
    ck_assert_int_eq(do_step(s, &step), 0);
    /* Asking leaves the counter alone: a watcher must not take it for a sign of life. */
    ck_assert_uint_eq(node_now(s, NODE_A).beat, 1);
    struct node node = node_make(NODE_A, "alpha");
    node.desired = DESIRED_RUN; /* not the node's to write */
    for (node.beat = 2; node.beat < 4; node.beat++) {
        struct ds_step write = write_step(&node);
        ck_assert_int_eq(do_step(s, &write), 0);
        ck_assert_int_eq(write.node_write.ret_desired, DESIRED_PAUSED);
        ck_assert_uint_eq(write.node_write.ret_n_requests, 1);
        ck_assert_int_eq(write.node_write.ret_requests[0].from, NODE_B);
    }
    ck_assert_int_eq(node_now(s, NODE_A).desired, DESIRED_PAUSED);
}

CONTRACT_TEST(nothing_is_asked_of_the_dead, s)
{
    node_add(s, NODE_A, "alpha");
    ck_assert_int_eq(node_kill(s, NODE_A, 1), 0);
    ck_assert_int_eq(ask(s, NODE_A, REQUEST_CANCEL, 7), ERR_CONFLICT);
    ck_assert_int_eq(ask(s, NODE_B, REQUEST_CANCEL, 7), ERR_NOT_FOUND);
    ck_assert_uint_eq(node_now(s, NODE_A).n_requests, 0);
}

/* ---- death ---------------------------------------------------------------------------------- */

CONTRACT_TEST(a_burier_must_have_seen_the_last_heartbeat, s)
{
    struct node node = full_node();
    struct ds_step add = {.kind = DS_NODE_ADD, .node_add.node = &node};
    ck_assert_int_eq(do_step(s, &add), 0);
    ck_assert_int_eq(node_kill(s, NODE_A, 3), ERR_CONFLICT);
    ck_assert_int_eq(node_kill(s, NODE_A, 5), ERR_CONFLICT);
    ck_assert_int_eq(node_now(s, NODE_A).state, NODE_WORKING);
    struct ds_step step = {.kind = DS_NODE_KILL,
                           .node_kill = {.node = NODE_A, .beat = 4, .cause = "buried by me"}};
    ck_assert_int_eq(do_step(s, &step), 0);
    const struct node *frozen = &step.node_kill.ret_node;
    ck_assert_int_eq(frozen->state, NODE_DEAD);
    ck_assert_str_eq(frozen->cause, "buried by me");
    ck_assert_uint_eq(frozen->n_ranges, 2);
    assert_range(frozen->ranges[1].range, 20, 30, true);
    ck_assert_uint_eq(frozen->ranges[1].returning, 7);
    ck_assert_uint_eq(frozen->n_running, 2);
    ck_assert_uint_eq(frozen->n_granted, 2);
    /* A second burier is told, and gets the same frozen record. */
    struct ds_step again = {.kind = DS_NODE_KILL,
                            .node_kill = {.node = NODE_A, .beat = 4, .cause = "by another"}};
    ck_assert_int_eq(do_step(s, &again), ERR_CONFLICT);
    ck_assert_int_eq(again.node_kill.ret_node.state, NODE_DEAD);
    ck_assert_uint_eq(again.node_kill.ret_node.n_ranges, 2);
    ck_assert_str_eq(node_now(s, NODE_A).cause, "buried by me");
    ck_assert_int_eq(node_kill(s, NODE_B, 1), ERR_NOT_FOUND);
}

CONTRACT_TEST(only_the_dead_are_cleared_lane_by_lane, s)
{
    struct node node = full_node();
    struct node_range ranges[] = {
        {{5, 9, false}, 0}, {{id_make(2, 1), id_make(2, 3), false}, 0}, {{20, 30, true}, 7}};
    node.ranges = ranges;
    node.n_ranges = 3;
    struct ds_step add = {.kind = DS_NODE_ADD, .node_add.node = &node};
    ck_assert_int_eq(do_step(s, &add), 0);
    struct ds_step clear = {.kind = DS_NODE_CLEAR, .node_clear = {.node = NODE_A, .lane = 0}};
    ck_assert_int_eq(do_step(s, &clear), ERR_CONFLICT);
    ck_assert_uint_eq(node_now(s, NODE_A).n_ranges, 3);
    ck_assert_int_eq(node_kill(s, NODE_A, 4), 0);
    for (int i = 0; i < 2; i++) { /* again and again */
        ck_assert_int_eq(do_step(s, &clear), 0);
        struct node now = node_now(s, NODE_A);
        ck_assert_uint_eq(now.n_ranges, 1);
        assert_range(now.ranges[0].range, id_make(2, 1), id_make(2, 3), false);
    }
    clear.node_clear.node = NODE_B;
    ck_assert_int_eq(do_step(s, &clear), ERR_NOT_FOUND);
}

static size_t versions_of(struct store *s, int64_t node)
{
    struct ds_step step = {.kind = DS_HISTORY_READ, .history_read = {.node = node, .rows_max = 9}};
    ck_assert_int_eq(do_step(s, &step), 0);
    return step.history_read.ret_n;
}

CONTRACT_TEST(only_the_dead_are_deleted_and_with_them_their_history, s)
{
    struct history_row rows[4];
    for (int i = 0; i < 4; i++)
        rows[i] = (struct history_row){
            .node = i < 2 ? NODE_A : NODE_B, .seq = i + 1, .at_ms = 1000 + i, .whole = i % 2 == 0};
    struct ds_step add = {.kind = DS_HISTORY_ADD, .history_add = {.rows = rows, .n = 4}};
    ck_assert_int_eq(do_step(s, &add), 0);
    node_add(s, NODE_A, "alpha");
    struct ds_step step = {.kind = DS_NODE_DELETE, .node_delete.node = NODE_A};
    ck_assert_int_eq(do_step(s, &step), ERR_CONFLICT);
    ck_assert_uint_eq(versions_of(s, NODE_A), 2);
    ck_assert_int_eq(node_now(s, NODE_A).state, NODE_WAITING);
    ck_assert_int_eq(node_kill(s, NODE_A, 1), 0);
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_eq(do_step(s, &step), ERR_NOT_FOUND);
    ck_assert_uint_eq(versions_of(s, NODE_A), 0);
    ck_assert_uint_eq(versions_of(s, NODE_B), 2);
    struct ds_step read = {.kind = DS_NODES_READ};
    ck_assert_int_eq(do_step(s, &read), 0);
    ck_assert_uint_eq(read.nodes_read.ret_n, 0);
}

int main(void)
{
    const TTest *const tests[] = {
        a_record_comes_back_as_it_was_added,
        a_live_nodes_name_cannot_be_taken,
        records_are_listed_by_id_with_or_without_the_dead,
        some_records_are_read_in_a_circle,
        a_heartbeat_must_move_the_counter_on,
        a_dead_or_missing_record_is_not_written,
        a_claim_is_accepted_in_the_same_run,
        a_claim_that_fails_is_not_accepted,
        a_dead_node_cannot_accept_but_the_lane_has_its_grant,
        requests_wait_once_each_until_they_are_acknowledged,
        requests_are_bounded,
        what_is_desired_is_told_by_the_next_heartbeat,
        nothing_is_asked_of_the_dead,
        a_burier_must_have_seen_the_last_heartbeat,
        only_the_dead_are_cleared_lane_by_lane,
        only_the_dead_are_deleted_and_with_them_their_history,
    };
    return contract_main("nodes", tests, sizeof(tests) / sizeof(tests[0]));
}
