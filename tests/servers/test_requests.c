/* Goal: each step that nodes repeat while they are idle, or that stands between a submit and the
 * start of its job, is one request to the server; so the steps that tests/props/test_idle.c counts
 * are requests, too.
 * Method: the handle's own count of its commands, around each step, in stores of one node and of a
 * few. */
#include <stdio.h>
#include <stdlib.h>

#include "datastore/mongo.h"
#include "tests/support/store.h"

enum { FEW = 18 }; /* as many records as a node reads of its neighbours */

/* How many requests that step takes; it must succeed. */
static uint64_t requests_of(struct store *s, struct ds_step step)
{
    uint64_t before = mongo_counts_of(s->ds).commands;
    ck_assert_int_eq(do_step(s, &step), 0);
    return mongo_counts_of(s->ds).commands - before;
}

static void assert_single(struct store *s, const char *what, struct ds_step step)
{
    uint64_t n = requests_of(s, step);
    ck_assert_msg(n == 1, "%s: %llu requests", what, (unsigned long long)n);
}

static struct ds_step neighbours(int64_t after)
{
    return (struct ds_step){.kind = DS_NODES_READ,
                            .nodes_read = {.live_only = true, .after = after, .max = FEW}};
}

static void assert_idle_single(struct store *s, struct node *self)
{
    self->beat++;
    assert_single(s, "heartbeat",
                  (struct ds_step){.kind = DS_NODE_WRITE, .node_write = {.node = self}});
    assert_single(s, "neighbours", neighbours(self->id));
    assert_single(s, "a look", (struct ds_step){.kind = DS_LANES_READ, .lanes_read = {.lane = -1}});
    assert_single(s, "queues", (struct ds_step){.kind = DS_QUEUES_READ});
    assert_single(s, "settings", (struct ds_step){.kind = DS_META_READ});
    assert_single(s, "own record",
                  (struct ds_step){.kind = DS_NODES_READ, .nodes_read.node = self->id});
}

START_TEST(what_an_idle_node_does_is_one_request_each)
{
    struct store *s = store_new(store_kind_of_server());
    struct node self = node_make(100, "alpha");
    node_add(s, self.id, self.name);
    self.beat = 1;
    assert_idle_single(s, &self);
    for (int64_t i = 1; i + 1 < FEW; i++) { /* before and behind it on the ring */
        char name[16];
        snprintf(name, sizeof(name), "n%d", (int)i);
        node_add(s, i % 2 == 0 ? 100 - i : 100 + i, name);
    }
    assert_idle_single(s, &self);
    /* Too many for one reading: which ones it is to be takes two requests at most, once that is
     * known. */
    node_add(s, 50, "last");
    (void)requests_of(s, neighbours(100));
    ck_assert_uint_le(requests_of(s, neighbours(100)), 2);
    ck_assert_uint_eq(requests_of(s, neighbours(1)), 1);
    store_free(s);
}
END_TEST

START_TEST(a_claim_is_one_request_a_step)
{
    struct store *s = store_new(store_kind_of_server());
    struct node self = node_make(100, "alpha");
    node_add(s, self.id, self.name);
    int64_t id = submit(s, LANE_DEFAULT, 1);
    assert_single(
        s, "claim",
        (struct ds_step){
            .kind = DS_CLAIM,
            .claim = {.lane = LANE_DEFAULT, .node = self.id, .make_entry = true, .want = 2}});
    assert_single(s, "rows",
                  (struct ds_step){.kind = DS_LOAD,
                                   .load = {.range = {.a = id, .b = id + 1}, .rows_max = 2}});
    struct outcome outcome = {.id = id, .count = 1, .run = 1, .node = self.id};
    assert_single(s, "outcome",
                  (struct ds_step){.kind = DS_FINISH, .finish = {.outcomes = &outcome, .n = 1}});
    store_free(s);
}
END_TEST

int main(void)
{
    if (store_kind_of_server() < 0)
        return 77;
    Suite *suite = suite_create("requests");
    TCase *tcase = tcase_create("requests");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, what_an_idle_node_does_is_one_request_each);
    tcase_add_test(tcase, a_claim_is_one_request_a_step);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
