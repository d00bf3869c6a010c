/* Goal: whatever a node's record went through, its versions replay to the same state, cost little
 * and stay within their bounds.
 * Method: golden texts of a whole version and of deltas; a record changed at random from a printed
 * seed, replayed field by field against a whole version made of the same record; a model of the
 * store that drops what history_thin says. */
#include "node/history.h"

#include <bson/bson.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NODE_ID = 7, SECOND = 1000, MINUTE = 60 * SECOND };

static const int64_t start_ms = INT64_C(1700000000000);

static char queues[1][LIMIT_NAME_BYTES + 1] = {"default"};
static char types[2][LIMIT_NAME_BYTES + 1] = {"exec", "noop"};

static struct node sample(void)
{
    struct node node = {
        .id = NODE_ID,
        .name = "n1",
        .host = "box",
        .version = "0.1.0",
        .pid = 42,
        .slots = 2,
        .lease_ms = 5000,
        .queues = queues,
        .n_queues = 1,
        .types = types,
        .n_types = 2,
        .created_ms = start_ms,
        .state = NODE_WAITING,
        .since_ms = start_ms,
    };
    return node;
}

static char *text_of(const struct history_row *row)
{
    bson_t body;
    ck_assert(bson_init_static(&body, row->body.data, row->body.len));
    ck_assert(bson_validate(&body, BSON_VALIDATE_UTF8, NULL));
    char *text = bson_as_relaxed_extended_json(&body, NULL);
    ck_assert_ptr_nonnull(text);
    return text;
}

static void expect_text(const struct history_row *row, const char *expected)
{
    char *text = text_of(row);
    ck_assert_str_eq(text, expected);
    bson_free(text);
}

/* ---- golden ---------------------------------------------------------------------------------- */

START_TEST(first_version_is_whole)
{
    struct history *history = history_new();
    struct arena mem = {0};
    struct history_row row;
    struct node node = sample();
    struct range pool[] = {{.a = 5, .b = 9, .suspect = true}};
    struct history_lane lane = {.lane = 0, .head = 20, .tail = 30, .pool = pool, .n_pool = 1};
    struct node_range ranges[] = {{.range = {.a = 10, .b = 20}, .returning = 3}};
    struct node_grant granted[] = {{.lane = 0, .g = 4}};
    struct node_running running[] = {{.id = 11, .run = 1}};
    node.ranges = ranges;
    node.granted = granted;
    node.running = running;
    node.n_ranges = node.n_granted = node.n_running = 1;
    node.rate = 12.34;
    node.load = 0.456;
    ck_assert_int_eq(history_version(history, &node, &lane, 1, start_ms, &row, &mem), 1);
    ck_assert_int_eq(row.node, NODE_ID);
    ck_assert_int_eq(row.seq, 1);
    ck_assert_int_eq(row.at_ms, start_ms);
    ck_assert(row.whole);
    expect_text(&row,
                "{ \"name\" : \"n1\", \"host\" : \"box\", \"version\" : \"0.1.0\", "
                "\"queues\" : [ \"default\" ], \"types\" : [ \"exec\", \"noop\" ], "
                "\"slots\" : 2, \"lease_ms\" : 5000, \"pid\" : 42, \"created\" : 1700000000000, "
                "\"state\" : 1, \"since\" : 1700000000000, \"desired\" : 0, "
                "\"running\" : [ 11 ], "
                "\"ranges\" : [ { \"a\" : 10, \"b\" : 20, \"returning\" : 3 } ], "
                "\"granted\" : [ { \"lane\" : 0, \"g\" : 4 } ], "
                "\"done\" : 0, \"failed\" : 0, \"interrupted\" : 0, "
                "\"rate\" : 12.300000000000000711, \"load\" : 0.46000000000000001998, "
                "\"lanes\" : [ { \"lane\" : 0, \"head\" : 20, \"tail\" : 30, "
                "\"pool\" : [ { \"a\" : 5, \"b\" : 9, \"suspect\" : true } ] } ] }");
    history_free(history);
    arena_release(&mem);
}
END_TEST

START_TEST(delta_names_what_changed)
{
    struct history *history = history_new();
    struct arena mem = {0};
    struct history_row row;
    struct node node = sample();
    ck_assert_int_eq(history_version(history, &node, NULL, 0, start_ms, &row, &mem), 1);
    node.done = 5;
    node.state = NODE_WORKING;
    ck_assert_int_eq(history_version(history, &node, NULL, 0, start_ms + SECOND, &row, &mem), 1);
    ck_assert_int_eq(row.seq, 2);
    ck_assert(!row.whole);
    expect_text(&row, "{ \"state\" : 2, \"done\" : 5 }");
    history_free(history);
    arena_release(&mem);
}
END_TEST

START_TEST(nothing_is_written_when_nothing_happens)
{
    struct history *history = history_new();
    struct arena mem = {0};
    struct history_row row = {.seq = -1};
    struct node node = sample();
    ck_assert_int_eq(history_version(history, &node, NULL, 0, start_ms, &row, &mem), 1);
    row.seq = -1;
    int64_t at_ms = start_ms;
    for (int i = 0; i < 200; i++) {
        at_ms += SECOND;
        node.load += 0.1; /* somebody else's */
        node.rate = 0.01; /* too little to be told */
        node.beat++;
        ck_assert_int_eq(history_version(history, &node, NULL, 0, at_ms, &row, &mem), 0);
    }
    ck_assert_int_eq(row.seq, -1);
    node.failed = 1;
    ck_assert_int_eq(history_version(history, &node, NULL, 0, at_ms + SECOND, &row, &mem), 1);
    ck_assert_int_eq(row.seq, 2);
    ck_assert(row.whole); /* the last whole one is older than a minute */
    history_free(history);
    arena_release(&mem);
}
END_TEST

START_TEST(a_change_too_soon_is_told_later)
{
    struct history *history = history_new();
    struct arena mem = {0};
    struct history_row row;
    struct node node = sample();
    ck_assert_int_eq(history_version(history, &node, NULL, 0, start_ms, &row, &mem), 1);
    node.done = 1;
    ck_assert_int_eq(history_version(history, &node, NULL, 0, start_ms + 999, &row, &mem), 0);
    node.done = 2;
    node.load = 1;
    ck_assert_int_eq(history_version(history, &node, NULL, 0, start_ms + 1000, &row, &mem), 1);
    expect_text(&row, "{ \"done\" : 2, \"load\" : 1.0 }");
    /* A clock set back by an hour silences nobody for an hour. */
    node.done = 3;
    int64_t back_ms = start_ms - 60 * MINUTE;
    ck_assert_int_eq(history_version(history, &node, NULL, 0, back_ms, &row, &mem), 1);
    ck_assert_int_eq(row.at_ms, back_ms);
    history_free(history);
    arena_release(&mem);
}
END_TEST

START_TEST(after_a_loss_the_next_is_whole)
{
    struct history *history = history_new();
    struct arena mem = {0};
    struct history_row row;
    struct node node = sample();
    ck_assert_int_eq(history_version(history, &node, NULL, 0, start_ms, &row, &mem), 1);
    history_lost(history);
    ck_assert_int_eq(history_version(history, &node, NULL, 0, start_ms + SECOND, &row, &mem), 1);
    ck_assert(row.whole);
    ck_assert_int_eq(row.seq, 2);
    node.done++;
    ck_assert_int_eq(history_version(history, &node, NULL, 0, start_ms + 2 * SECOND, &row, &mem),
                     1);
    ck_assert(!row.whole);
    history_free(history);
    arena_release(&mem);
}
END_TEST

/* ---- replay ---------------------------------------------------------------------------------- */

static uint64_t draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

struct life {
    uint64_t random;
    struct node node;
    struct node_range ranges[4];
    struct node_running running[4];
    struct node_grant granted[2];
    struct range pool[4];
    struct history_lane lanes[2];
    size_t n_lanes;
};

static void life_init(struct life *life, uint64_t seed)
{
    *life = (struct life){.random = seed, .node = sample()};
    life->node.ranges = life->ranges;
    life->node.running = life->running;
    life->node.granted = life->granted;
    for (int32_t i = 0; i < 2; i++)
        life->lanes[i] = (struct history_lane){.lane = i, .pool = life->pool};
}

static void life_change(struct life *life)
{
    struct node *node = &life->node;
    size_t i = draw(&life->random) % 4;
    int64_t n = (int64_t)draw(&life->random) % 1000;
    switch (draw(&life->random) % 9) {
    case 0:
        node->state = n % 2 == 0 ? NODE_WORKING : NODE_WAITING;
        node->since_ms += n;
        break;
    case 1:
        node->ranges[i] = (struct node_range){.range = {n, n + 10, n % 3 == 0}, .returning = i};
        node->n_ranges = i;
        break;
    case 2:
        life->running[i].id = n;
        node->n_running = i;
        break;
    case 3:
        life->granted[i % 2] = (struct node_grant){.lane = (int32_t)i % 2, .g = (uint64_t)n};
        node->n_granted = i % 3;
        break;
    case 4:
        node->done += n;
        break;
    case 5:
        node->rate = (double)n / 7;
        break;
    case 6:
        life->lanes[i % 2].head += n;
        life->lanes[i % 2].tail += 2 * n;
        life->n_lanes = i % 3;
        break;
    case 7:
        life->pool[i] = (struct range){n, n + 1, n % 2 == 0};
        life->lanes[i % 2].n_pool = i;
        break;
    default:
        node->load = (double)n / 11;
        break;
    }
}

static void body_as(bson_t *ret_doc, const struct history_row *row)
{
    ck_assert(bson_init_static(ret_doc, row->body.data, row->body.len));
}

/* The state after one more version: its fields, and those of before that it does not name. */
static void replay(bson_t *state, const struct history_row *row)
{
    bson_t body, next;
    bson_iter_t at;
    body_as(&body, row);
    bson_copy_to(&body, &next);
    ck_assert(bson_iter_init(&at, state));
    while (bson_iter_next(&at))
        if (!bson_has_field(&next, bson_iter_key(&at)))
            bson_append_value(&next, bson_iter_key(&at), -1, bson_iter_value(&at));
    bson_destroy(state);
    bson_steal(state, &next);
}

/* The same fields with the same values, in whatever order. */
static void expect_state(const bson_t *state, const struct life *life)
{
    struct history *fresh = history_new();
    struct arena mem = {0};
    struct history_row row;
    bson_t truth;
    bson_iter_t at, found;
    ck_assert_int_eq(
        history_version(fresh, &life->node, life->lanes, life->n_lanes, start_ms, &row, &mem), 1);
    body_as(&truth, &row);
    ck_assert_uint_eq(bson_count_keys(&truth), bson_count_keys(state));
    ck_assert(bson_iter_init(&at, &truth));
    while (bson_iter_next(&at)) {
        if (strcmp(bson_iter_key(&at), "load") == 0)
            continue; /* may be told later */
        ck_assert(bson_iter_init_find(&found, state, bson_iter_key(&at)));
        bson_t one = BSON_INITIALIZER, other = BSON_INITIALIZER;
        bson_append_value(&one, "v", 1, bson_iter_value(&at));
        bson_append_value(&other, "v", 1, bson_iter_value(&found));
        ck_assert_msg(bson_equal(&one, &other), "field %s differs", bson_iter_key(&at));
        bson_destroy(&one);
        bson_destroy(&other);
    }
    history_free(fresh);
    arena_release(&mem);
}

START_TEST(versions_replay_to_the_record)
{
    uint64_t seed = UINT64_C(0x5eed0000) + (uint64_t)_i;
    printf("seed %llu\n", (unsigned long long)seed);
    struct life life;
    life_init(&life, seed);
    struct history *history = history_new();
    bson_t state = BSON_INITIALIZER;
    int64_t at_ms = start_ms, whole_at_ms = 0, seq = 0;
    int deltas = 0;
    for (int i = 0; i < 500; i++) {
        struct arena mem = {0};
        struct history_row row;
        life_change(&life);
        at_ms += 1000 + (int64_t)draw(&life.random) % 500;
        if (history_version(history, &life.node, life.lanes, life.n_lanes, at_ms, &row, &mem)) {
            ck_assert_int_eq(row.seq, ++seq);
            ck_assert(row.whole == (seq == 1 || at_ms - whole_at_ms >= HISTORY_WHOLE_MS));
            if (row.whole)
                whole_at_ms = at_ms;
            deltas += row.whole ? 0 : 1;
            replay(&state, &row);
        }
        expect_state(&state, &life);
        arena_release(&mem);
    }
    ck_assert_int_gt(deltas, 100);
    bson_destroy(&state);
    history_free(history);
}
END_TEST

/* ---- bounds ---------------------------------------------------------------------------------- */

enum { KEPT_MAX = 20000 };

struct kept {
    int64_t at_ms;
    size_t bytes;
    bool whole;
};

/* Applies what a DS_HISTORY_ADD says to the model of the store; returns the bytes left. */
static size_t store_add(struct kept *kept, size_t *n, const struct history_row *row,
                        int64_t thin_before_ms, int64_t drop_before_ms)
{
    ck_assert_uint_lt(*n, KEPT_MAX);
    kept[(*n)++] = (struct kept){row->at_ms, row->body.len, row->whole};
    size_t left = 0, bytes = 0;
    for (size_t i = 0; i < *n; i++)
        if (kept[i].at_ms >= drop_before_ms && (kept[i].whole || kept[i].at_ms >= thin_before_ms)) {
            bytes += kept[i].bytes;
            kept[left++] = kept[i];
        }
    *n = left;
    return bytes;
}

/* A node with `n_ranges` ranges that changes something every second, for `versions` seconds. */
static void live(size_t n_ranges, int versions, struct kept *kept, size_t *n, size_t *ret_bytes,
                 size_t *ret_thinned)
{
    struct history *history = history_new();
    struct node node = sample();
    node.ranges = calloc(n_ranges + 1, sizeof(*node.ranges));
    node.n_ranges = n_ranges;
    int64_t at_ms = start_ms, thin_ms, drop_ms;
    for (int i = 0; i < versions; i++) {
        struct arena mem = {0};
        struct history_row row;
        at_ms += SECOND;
        for (size_t k = 0; k < n_ranges; k++)
            node.ranges[k].range = (struct range){.a = i, .b = i + 1};
        node.done++;
        ck_assert_int_eq(history_version(history, &node, NULL, 0, at_ms, &row, &mem), 1);
        history_thin(history, at_ms, &thin_ms, &drop_ms);
        ck_assert(thin_ms == 0 || thin_ms == at_ms - HISTORY_DELTAS_MS);
        *ret_thinned += thin_ms != 0 ? 1 : 0;
        ck_assert_int_lt(drop_ms, at_ms); /* the newest stays */
        *ret_bytes = store_add(kept, n, &row, thin_ms, drop_ms);
        ck_assert_uint_le(*ret_bytes, HISTORY_BYTES_MAX);
        ck_assert_uint_le(*n, HISTORY_ROWS_MAX);
        arena_release(&mem);
    }
    free(node.ranges);
    history_free(history);
}

START_TEST(an_ordinary_life_keeps_a_version_a_minute)
{
    struct kept *kept = calloc(KEPT_MAX, sizeof(*kept));
    size_t n = 0, bytes = 0, thinned = 0;
    live(2, 2 * 3600, kept, &n, &bytes, &thinned);
    ck_assert_uint_eq(thinned, 120);
    ck_assert_int_eq(kept[0].at_ms, start_ms + SECOND); /* nothing whole went */
    size_t wholes = 0;
    for (size_t i = 0; i < n; i++) {
        wholes += kept[i].whole ? 1 : 0;
        ck_assert(kept[i].whole || kept[i].at_ms >= start_ms + 7140 * SECOND - HISTORY_DELTAS_MS);
    }
    ck_assert_uint_eq(wholes, 120);
    ck_assert_uint_ge(n, 120 + 580);
    free(kept);
}
END_TEST

START_TEST(a_big_record_stays_under_its_bytes)
{
    struct kept *kept = calloc(KEPT_MAX, sizeof(*kept));
    size_t n = 0, bytes = 0, thinned = 0;
    live(400, 1200, kept, &n, &bytes, &thinned);
    ck_assert_int_gt(kept[0].at_ms, start_ms + SECOND);
    /* What is kept is not thrown away in heaps: most of the room is used. */
    ck_assert_uint_gt(bytes, HISTORY_BYTES_MAX * 3 / 4);
    free(kept);
}
END_TEST

START_TEST(a_long_life_stays_within_its_rows)
{
    struct kept *kept = calloc(KEPT_MAX, sizeof(*kept));
    struct history *history = history_new();
    struct node node = sample();
    size_t n = 0;
    int64_t at_ms = start_ms, thin_ms, drop_ms;
    for (int i = 0; i < HISTORY_ROWS_MAX + 500; i++) {
        struct arena mem = {0};
        struct history_row row;
        at_ms += MINUTE;
        node.done++;
        ck_assert_int_eq(history_version(history, &node, NULL, 0, at_ms, &row, &mem), 1);
        ck_assert(row.whole);
        history_thin(history, at_ms, &thin_ms, &drop_ms);
        store_add(kept, &n, &row, thin_ms, drop_ms);
        ck_assert_uint_le(n, HISTORY_ROWS_MAX);
        arena_release(&mem);
    }
    ck_assert_uint_eq(n, HISTORY_ROWS_MAX);
    history_free(history);
    free(kept);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("history");
    TCase *tcase = tcase_create("history");
    tcase_add_test(tcase, first_version_is_whole);
    tcase_add_test(tcase, delta_names_what_changed);
    tcase_add_test(tcase, nothing_is_written_when_nothing_happens);
    tcase_add_test(tcase, a_change_too_soon_is_told_later);
    tcase_add_test(tcase, after_a_loss_the_next_is_whole);
    tcase_add_loop_test(tcase, versions_replay_to_the_record, 0, 4);
    tcase_add_test(tcase, an_ordinary_life_keeps_a_version_a_minute);
    tcase_add_test(tcase, a_big_record_stays_under_its_bytes);
    tcase_add_test(tcase, a_long_life_stays_within_its_rows);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
