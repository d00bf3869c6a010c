/* Goal: what commands show of the cluster now is the observer's moment of one reading, right for
 * many queues and lanes, and it shows nodes that the store has though they are silent.
 * Method: a memory store with ranges in the pools and in hand, in queues and lanes whose numbers
 * are in another order than their names; counts compared with those put in. */
#include "observer/reading.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/store.h"

enum { QUEUES = 40, PRIORITIES = 3, LANES = QUEUES * PRIORITIES, NODES = 3, SUBMITTED = 100 };

static void queue_name(char name[LIMIT_NAME_BYTES + 1], int queue)
{
    snprintf(name, LIMIT_NAME_BYTES + 1, "q%d", queue * 7 % QUEUES);
}

/* Of each lane: node k holds 10 + k ids and runs the first of these; the first 5 went back. */
static void cluster_make(struct store *s)
{
    struct node_range ranges[NODES][LANES] = {0};
    struct node_running running[NODES][LANES] = {0};
    const char *type = "noop";
    for (int i = 0; i < LANES; i++) {
        char name[LIMIT_NAME_BYTES + 1];
        queue_name(name, i % QUEUES);
        int32_t lane = lane_make(s, name, i / QUEUES, 0);
        struct ds_step step = {
            .kind = DS_RESERVE,
            .reserve = {.lane = lane, .count = SUBMITTED, .types = &type, .n_types = 1}};
        ck_assert_int_eq(do_step(s, &step), 0);
        struct range back = claim(s, lane, 1, 0, 5);
        for (int k = 0; k < NODES; k++) {
            ranges[k][i].range = claim(s, lane, k + 1, k == 0 ? 1 : 0, 10 + k);
            running[k][i] = (struct node_running){.id = ranges[k][i].range.a, .started_ms = 1};
        }
        ck_assert_int_eq(give_back(s, lane, 1, 0, back), 0);
    }
    for (int k = 0; k < NODES; k++) {
        char name[16];
        snprintf(name, sizeof(name), "n%d", NODES - k);
        struct node node = node_make(k + 1, name);
        node.slots = 200;
        node.ranges = ranges[k];
        node.running = running[k];
        node.n_ranges = node.n_running = LANES;
        struct ds_step step = {.kind = DS_NODE_ADD, .node_add = {.node = &node}};
        ck_assert_int_eq(do_step(s, &step), 0);
    }
}

START_TEST(counts_are_those_of_all_lanes)
{
    struct store *s = store_new(0);
    cluster_make(s);
    struct past *past;
    const struct moment *moment;
    bool whole = false;
    ck_assert_int_eq(reading_now(s->ds, s->clock_ms, &past, &moment, &whole, &s->err), 0);
    ck_assert(whole && moment->live);
    ck_assert_uint_eq(moment->n_live, NODES);
    ck_assert_str_eq(moment->nodes[0].node.name, "n1");
    ck_assert_int_eq(moment->slots, NODES * 200);
    ck_assert_int_eq(moment->running, NODES * LANES);
    ck_assert_uint_eq(moment->n_lanes, LANES + 1);
    ck_assert_uint_eq(moment->n_queues, QUEUES + 1);
    ck_assert_str_eq(moment->queues[0].queue.name, "default");
    for (size_t i = 1; i <= QUEUES; i++) {
        const struct moment_queue *queue = &moment->queues[i];
        ck_assert_str_lt(queue[-1].queue.name, queue->queue.name);
        ck_assert_int_eq(queue->submitted, SUBMITTED * PRIORITIES);
        ck_assert_int_eq(queue->held, (10 + 11 + 12) * PRIORITIES);
        ck_assert_int_eq(queue->waiting, (SUBMITTED - 10 - 11 - 12) * PRIORITIES);
        ck_assert_int_eq(queue->running, NODES * PRIORITIES);
    }
    for (size_t i = 1; i <= LANES; i++) {
        const struct moment_lane *lane = &moment->lanes[i];
        ck_assert_uint_eq(lane->n_held, NODES + 1);
        ck_assert_uint_eq(lane->n_running, NODES);
        ck_assert_uint_eq(lane->n_types, 1);
        ck_assert_str_eq(lane->types[0], "noop");
        ck_assert_int_eq(lane->held[0].node, -1);
        for (size_t k = 0; k < NODES; k++)
            ck_assert_int_eq(lane->running[k], lane->held[k + 1].a);
    }
    past_free(past);
    store_free(s);
}
END_TEST

/* Nobody is there who could bury it. */
START_TEST(who_is_silent_and_in_the_store_is_shown)
{
    struct store *s = store_new(0);
    node_add(s, 1, "n1");
    int64_t later_ms = node_now(s, 1).beat_ms + INT64_C(3600) * 1000;
    struct past *past;
    const struct moment *moment;
    bool whole;
    ck_assert_int_eq(reading_now(s->ds, later_ms, &past, &moment, &whole, &s->err), 0);
    ck_assert_uint_eq(moment->n_live, 1);
    ck_assert_int_eq(moment->nodes[0].node.beat_ms, node_now(s, 1).beat_ms);
    /* A minute after it was last seen there, nobody knows. */
    ck_assert_uint_eq(past_moment(past, later_ms + 50000, 60000, 0, true)->n_live, 1);
    ck_assert_uint_eq(past_moment(past, later_ms + 61000, 60000, 0, true)->n_live, 0);
    past_free(past);
    store_free(s);
}
END_TEST

START_TEST(what_cannot_be_is_left_out_and_said)
{
    struct store *s = store_new(0);
    struct node odd = node_make(1, "odd");
    odd.rate = 1e300;
    struct ds_step step = {.kind = DS_NODE_ADD, .node_add = {.node = &odd}};
    ck_assert_int_eq(do_step(s, &step), 0);
    node_add(s, 2, "n2");
    struct past *past;
    const struct moment *moment;
    bool whole = true;
    ck_assert_int_eq(reading_now(s->ds, s->clock_ms, &past, &moment, &whole, &s->err), 0);
    ck_assert(!whole);
    ck_assert_uint_eq(moment->n_live, 1);
    ck_assert_str_eq(moment->nodes[0].node.name, "n2");
    past_free(past);
    store_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reading");
    TCase *tcase = tcase_create("reading");
    tcase_add_test(tcase, counts_are_those_of_all_lanes);
    tcase_add_test(tcase, who_is_silent_and_in_the_store_is_shown);
    tcase_add_test(tcase, what_cannot_be_is_left_out_and_said);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
