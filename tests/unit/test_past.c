/* Goal: a moment of any time is what was known of that time, however the facts came in; and what is
 * kept is bounded.
 * Method: the states of a few nodes at random, from a printed seed, put in as readings in random
 * order, beside a plain list of them that is searched from end to end; events and forgetting in
 * small cases of their own. */
#include "observer/past.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/random.h"

enum { NODES = 4, STATES = 60, ROUNDS = 60, ASKED = 40, TIMELINE_MS = 100000 };

static const int64_t start_ms = INT64_C(1700000000000);

static int64_t below(uint64_t *seed, int64_t n)
{
    return (int64_t)(random_next(seed) % (uint64_t)n);
}

/* ---- states, beside a list of them ---------------------------------------------------------- */

struct fact {
    struct node node;
    struct node_range ranges[2];
    struct node_running running[3];
};

static void facts_make(uint64_t *seed, int64_t id, struct fact facts[STATES])
{
    int64_t at_ms = start_ms + below(seed, 5000), since_ms = at_ms, done = below(seed, 1000);
    enum node_state state = NODE_WAITING;
    for (int i = 0; i < STATES; i++) {
        struct fact *fact = &facts[i];
        *fact = (struct fact){.node = {.id = id, .slots = 3, .created_ms = start_ms}};
        snprintf(fact->node.name, sizeof(fact->node.name), "n%d", (int)id);
        if (below(seed, 4) == 0) {
            state = (enum node_state)(NODE_WAITING + below(seed, 3));
            since_ms = at_ms;
        }
        done += below(seed, 30);
        fact->node.state = state;
        fact->node.since_ms = since_ms;
        fact->node.beat_ms = at_ms;
        fact->node.done = done;
        fact->node.ranges = fact->ranges;
        fact->node.running = fact->running;
        fact->node.n_ranges = (size_t)below(seed, 3);
        fact->node.n_running = (size_t)below(seed, 4);
        for (int64_t k = 0; k < 2; k++)
            fact->ranges[k].range =
                (struct range){id * 1000 + k * 10, id * 1000 + k * 10 + 5, false};
        for (int64_t k = 0; k < 3; k++)
            fact->running[k].id = id * 1000 + k;
        at_ms += 200 + below(seed, 3000);
    }
}

static void facts_add(uint64_t *seed, struct past *past, struct fact facts[NODES][STATES])
{
    int order[NODES * STATES];
    for (int i = 0; i < NODES * STATES; i++)
        order[i] = i;
    for (int i = NODES * STATES; i-- > 1;) {
        int k = (int)below(seed, i + 1), other = order[i];
        order[i] = order[k];
        order[k] = other;
    }
    for (int i = 0; i < NODES * STATES; i++) {
        const struct node *node = &facts[order[i] / STATES][order[i] % STATES].node;
        past_add_reading(
            past, &(struct past_reading){.at_ms = node->beat_ms, .nodes = node, .n_nodes = 1});
    }
}

/* What was last written by then; NULL: nothing. */
static const struct node *naive_at(const struct fact facts[STATES], int64_t at_ms)
{
    const struct node *last = NULL;
    for (int i = 0; i < STATES && facts[i].node.beat_ms <= at_ms; i++)
        last = &facts[i].node;
    return last;
}

static void node_compare(const struct moment *moment, const struct fact facts[STATES], int64_t id)
{
    const struct node *expected = naive_at(facts, moment->at_ms);
    int32_t at = moment_node_index(moment, id);
    ck_assert_int_eq(at >= 0, expected != NULL);
    if (expected == NULL)
        return;
    const struct moment_node *seen = &moment->nodes[at];
    ck_assert_int_eq(seen->node.id, id);
    ck_assert_int_eq(seen->node.state, expected->state);
    ck_assert_int_eq(seen->node.done, expected->done);
    ck_assert_uint_eq(seen->node.n_ranges, expected->n_ranges);
    ck_assert_uint_eq(seen->node.n_running, expected->n_running);
    /* The last of the curve: jobs ended over the last two seconds, as far as it was known. */
    const struct node *before = naive_at(facts, moment->at_ms - 2000);
    double rate = before != NULL ? (double)(expected->done - before->done) / 2 : -1;
    bool fresh = before == NULL && start_ms >= moment->at_ms - 2000;
    rate = fresh ? (double)expected->done / 2 : rate;
    ck_assert_double_eq_tol(seen->rates[MOMENT_RATES - 1], rate, 0.01);
}

/* Spans follow each other up to now, and each says the state that was known then. */
static void spans_compare(const struct moment *moment, const struct fact facts[STATES], int64_t id)
{
    int32_t at = moment_node_index(moment, id);
    if (at < 0 || naive_at(facts, moment->at_ms - 1) == NULL)
        return;
    const struct moment_node *seen = &moment->nodes[at];
    ck_assert_uint_gt(seen->n_spans, 0);
    ck_assert_int_eq(seen->spans[seen->n_spans - 1].to_ms, moment->at_ms);
    for (size_t i = 0; i < seen->n_spans; i++) {
        const struct moment_span *span = &seen->spans[i];
        ck_assert_int_lt(span->from_ms, span->to_ms);
        ck_assert_int_ge(span->from_ms, moment->at_ms - moment->timeline_ms);
        ck_assert(i == 0 || seen->spans[i - 1].to_ms == span->from_ms);
    }
    for (int64_t t = moment->at_ms; t > moment->at_ms - moment->timeline_ms; t -= 977) {
        const struct node *known = naive_at(facts, t);
        for (size_t i = 0; i < seen->n_spans && known != NULL; i++)
            if (t >= seen->spans[i].from_ms && t < seen->spans[i].to_ms)
                ck_assert_int_eq(seen->spans[i].state, known->state);
    }
}

START_TEST(moments_are_what_was_known)
{
    static struct fact facts[NODES][STATES];
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        uint64_t seed = round;
        struct past *past = past_new("memory:", 64 << 20);
        for (int i = 0; i < NODES; i++)
            facts_make(&seed, i + 1, facts[i]);
        facts_add(&seed, past, facts);
        for (int i = 0; i < ASKED; i++) {
            /* Not so late that a node counts as silent. */
            int64_t at_ms = start_ms + below(&seed, (int64_t)STATES * 1500);
            const struct moment *moment = past_moment(past, at_ms, 60000, TIMELINE_MS, false);
            for (int k = 0; k < NODES; k++) {
                node_compare(moment, facts[k], k + 1);
                spans_compare(moment, facts[k], k + 1);
            }
        }
        past_free(past);
    }
}
END_TEST

/* ---- events --------------------------------------------------------------------------------- */

static void read_node(struct past *past, const struct node *node, int64_t at_ms)
{
    struct node copy = *node;
    copy.beat_ms = at_ms;
    past_add_reading(past, &(struct past_reading){.at_ms = at_ms, .nodes = &copy, .n_nodes = 1});
}

START_TEST(traffic_does_not_drown_what_matters)
{
    struct past *past = past_new("memory:", 64 << 20);
    struct node_range range = {.range = {1, 11, false}};
    struct node node = {.id = 7, .name = "n", .created_ms = 1, .state = NODE_WAITING};
    read_node(past, &node, start_ms);
    for (int i = 1; i <= 20; i++) { /* works and waits */
        node.state = i % 2 == 1 ? NODE_WORKING : NODE_WAITING;
        node.ranges = i % 2 == 1 ? &range : NULL;
        node.n_ranges = i % 2 == 1 ? 1 : 0;
        read_node(past, &node, start_ms + 1000 * i);
    }
    node.failed = 2;
    read_node(past, &node, start_ms + 21000);
    node.failed = 5; /* soon after: one event tells of both */
    read_node(past, &node, start_ms + 22000);
    node.failed = 6;
    read_node(past, &node, start_ms + 40000);
    node.state = NODE_PAUSED;
    read_node(past, &node, start_ms + 41000);
    const struct moment *moment = past_moment(past, start_ms + 50000, 60000, 0, true);
    ck_assert_uint_eq(moment->n_traffic, 40);
    ck_assert_uint_eq(moment->n_events, 3);
    ck_assert_str_eq(moment->events[0].text, "5 jobs failed on n");
    ck_assert_str_eq(moment->events[1].text, "1 job failed on n");
    ck_assert_str_eq(moment->events[2].text, "n is paused");
    ck_assert_int_eq(past_event_after(past, start_ms), start_ms + 21000);
    ck_assert_int_eq(past_event_before(past, start_ms + 41000), start_ms + 40000);
    ck_assert_int_eq(past_event_after(past, start_ms + 41000), 0);
    past_free(past);
}
END_TEST

START_TEST(a_death_is_told_with_what_it_left)
{
    struct past *past = past_new("memory:", 64 << 20);
    struct node_range range = {.range = {1, 11, false}};
    struct node node = {.id = 7, .name = "n", .created_ms = 1, .state = NODE_WORKING};
    node.ranges = &range;
    node.n_ranges = 1;
    read_node(past, &node, start_ms);
    node.state = NODE_DEAD;
    node.since_ms = start_ms + 5000;
    node.n_ranges = 0;
    snprintf(node.cause, sizeof(node.cause), "crashed (buried by m)");
    read_node(past, &node, start_ms + 5000);
    const struct moment *moment = past_moment(past, start_ms + 6000, 60000, 60000, true);
    ck_assert_uint_eq(moment->n_live, 0);
    ck_assert_str_eq(moment->nodes[0].node.cause, "crashed (buried by m)");
    ck_assert_uint_eq(moment->n_events, 2);
    ck_assert_str_eq(moment->events[0].text, "n is dead: crashed (buried by m)");
    ck_assert_str_eq(moment->events[1].text, "n leaves behind 10 jobs: 1-10");
    ck_assert_int_eq(moment->nodes[0].spans[moment->nodes[0].n_spans - 1].state, NODE_DEAD);
    moment = past_moment(past, start_ms + 4000, 60000, 0, false); /* then it lived */
    ck_assert_uint_eq(moment->n_live, 1);
    ck_assert_uint_eq(moment->n_events, 0);
    past_free(past);
}
END_TEST

/* A node's death is known before the pool is read that has what it held: those ids did not end. */
START_TEST(what_the_dead_left_is_nowhere_done)
{
    struct past *past = past_new("memory:", 64 << 20);
    struct node_range range = {.range = {1, 11, false}};
    struct node node = {.id = 7, .name = "n", .created_ms = 1, .state = NODE_WORKING};
    struct lane lane = {.number = 0, .name = {.queue = "default"}, .head = 11, .tail = 21};
    struct past_reading reading = {
        .at_ms = start_ms, .nodes = &node, .n_nodes = 1, .lanes = &lane, .n_lanes = 1};
    node.beat_ms = start_ms;
    node.ranges = &range;
    node.n_ranges = 1;
    ck_assert(past_add_reading(past, &reading));
    node.state = NODE_DEAD;
    node.since_ms = start_ms + 5000;
    node.n_ranges = 0;
    snprintf(node.cause, sizeof(node.cause), "crashed (buried by m)");
    struct range pooled = {1, 11, true};
    lane.pool = &pooled;
    lane.n_pool = 1;
    reading.at_ms = start_ms + 5400; /* by then the pool is known, too */
    ck_assert(past_add_reading(past, &reading));
    for (int64_t at_ms = start_ms + 5000; at_ms <= start_ms + 5500; at_ms += 100) {
        const struct moment *moment = past_moment(past, at_ms, 60000, 0, false);
        ck_assert_uint_eq(moment->lanes[0].n_held, 1);
        ck_assert_int_eq(moment->lanes[0].held[0].node, -1);
        ck_assert(moment->lanes[0].held[0].suspect);
        ck_assert_int_eq(moment->lanes[0].held[0].b, 11);
        ck_assert_int_eq(moment->queues[0].waiting, 20);
    }
    past_free(past);
}
END_TEST

/* What is after the loss of the store is as little known as now is. */
START_TEST(moments_after_a_loss_are_stale)
{
    struct past *past = past_new("memory:", 64 << 20);
    struct past_reading reading = {.at_ms = start_ms};
    ck_assert(past_add_reading(past, &reading));
    ck_assert(past_add_trouble(past, start_ms + 1000, "gone"));
    ck_assert_int_eq(past_moment(past, start_ms + 900, 60000, 0, false)->stale_ms, 0);
    ck_assert_int_eq(past_moment(past, start_ms + 3000, 60000, 0, false)->stale_ms,
                     start_ms + 1000);
    reading.at_ms = start_ms + 5000;
    ck_assert(past_add_reading(past, &reading));
    ck_assert_int_eq(past_moment(past, start_ms + 3000, 60000, 0, false)->stale_ms, 0);
    past_free(past);
}
END_TEST

/* What is known of less than ten seconds is a rate, too. */
START_TEST(rates_begin_with_what_is_known)
{
    struct past *past = past_new("memory:", 64 << 20);
    struct lane lane = {.number = 0, .name = {.queue = "default"}, .head = 11, .tail = 21};
    struct past_reading reading = {.at_ms = start_ms, .lanes = &lane, .n_lanes = 1};
    ck_assert(past_add_reading(past, &reading));
    lane.head = 31;
    lane.tail = 61;
    reading.at_ms = start_ms + 4000;
    ck_assert(past_add_reading(past, &reading));
    const struct moment *moment = past_moment(past, start_ms + 4000, 60000, 0, true);
    ck_assert_double_eq(moment->queues[0].rate_in, 10);
    ck_assert_double_eq(moment->queues[0].rate_out, 5);
    past_free(past);
}
END_TEST

/* ---- bounds --------------------------------------------------------------------------------- */

/* A queue that a script pauses and resumes all day: its state now is right, what was lately is
 * kept, and there is room for other queues. */
START_TEST(the_oldest_change_of_a_queue_is_forgotten)
{
    struct past *past = past_new("memory:", 64 << 20);
    struct queue queues[] = {{.name = "b", .weight = 1}, {.name = "a", .weight = 1}};
    struct past_reading reading = {.at_ms = start_ms, .queues = queues, .n_queues = 1};
    int64_t changes = 2 * PAST_QUEUES_MAX + 1, last_ms = start_ms + changes;
    for (int64_t i = 1; i <= changes; i++) {
        queues[0].paused = i % 2 == 1;
        queues[0].changed_ms = reading.at_ms = start_ms + i;
        ck_assert(past_add_reading(past, &reading));
    }
    reading.n_queues = 2;
    ck_assert(past_add_reading(past, &reading));
    const struct moment *moment = past_moment(past, last_ms, 60000, 0, true);
    ck_assert_uint_eq(moment->n_queues, 2);
    ck_assert_str_eq(moment->queues[0].queue.name, "a");
    ck_assert(moment->queues[1].queue.paused);
    for (int64_t i = changes - 1000; i < changes; i += 37)
        ck_assert_int_eq(past_moment(past, start_ms + i, 60000, 0, false)->queues[1].queue.paused,
                         i % 2 == 1);
    past_free(past);
}
END_TEST

/* Where nodes come and go all day, those that died long ago make room for those that live. */
START_TEST(who_died_long_ago_makes_room)
{
    struct past *past = past_new("memory:", 1 << 30);
    struct node node = {.name = "n", .created_ms = 1, .state = NODE_WORKING};
    for (int64_t i = 1; i <= PAST_NODES_MAX + 100; i++) {
        node.id = i;
        node.state = NODE_DEAD;
        node.since_ms = start_ms + i * 1000;
        read_node(past, &node, node.since_ms);
    }
    node.id = PAST_NODES_MAX + 101;
    node.state = NODE_WORKING;
    read_node(past, &node, node.since_ms + 1000);
    const struct moment *moment = past_moment(past, node.since_ms + 1000, 60000, 0, true);
    ck_assert_uint_eq(moment->n_live, 1);
    ck_assert_uint_gt(moment->n_nodes, 100); /* the newest of the dead are still there */
    past_free(past);
}
END_TEST

START_TEST(the_oldest_is_forgotten)
{
    enum { BYTES_MAX = 200000, READINGS = 20000 };
    struct past *past = past_new("memory:", BYTES_MAX);
    struct node node = {.id = 7, .name = "n", .created_ms = 1, .state = NODE_WORKING};
    size_t most = 0;
    for (int i = 0; i < READINGS; i++) {
        struct node_range range = {.range = {1 + i, 11 + i, false}};
        node.ranges = &range;
        node.n_ranges = 1;
        node.done = i;
        read_node(past, &node, start_ms + 1000 * i);
        most = past_bytes(past) > most ? past_bytes(past) : most;
    }
    ck_assert_uint_lt(most, BYTES_MAX + 1000);
    ck_assert_int_gt(past_first_ms(past), start_ms);
    int64_t last_ms = past_last_ms(past);
    const struct moment *moment = past_moment(past, last_ms, 60000, TIMELINE_MS, true);
    ck_assert_uint_eq(moment->n_live, 1);
    ck_assert_int_eq(moment->nodes[0].node.done, READINGS - 1);
    past_free(past);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("past");
    TCase *tcase = tcase_create("past");
    tcase_add_test(tcase, moments_are_what_was_known);
    tcase_add_test(tcase, traffic_does_not_drown_what_matters);
    tcase_add_test(tcase, a_death_is_told_with_what_it_left);
    tcase_add_test(tcase, what_the_dead_left_is_nowhere_done);
    tcase_add_test(tcase, moments_after_a_loss_are_stale);
    tcase_add_test(tcase, rates_begin_with_what_is_known);
    tcase_add_test(tcase, the_oldest_change_of_a_queue_is_forgotten);
    tcase_add_test(tcase, who_died_long_ago_makes_room);
    tcase_add_test(tcase, the_oldest_is_forgotten);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
