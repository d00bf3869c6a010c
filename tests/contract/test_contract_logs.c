/* Goal: the append-only records keep the contract of datastore.h: finished ranges once, history
 * thinned and dropped by age.
 * Method: the same tests on every kind of store; rows are read back. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/store.h"

enum { NODE_A = 101, NODE_B = 202 };

/* ---- finished ranges ------------------------------------------------------------------------ */

static void stints_add(struct store *s, const struct stint_row *rows, size_t n)
{
    struct ds_step step = {.kind = DS_STINTS_ADD, .stints_add = {.rows = rows, .n = n}};
    ck_assert_int_eq(do_step(s, &step), 0);
}

static struct ds_stints_read stints_read(struct store *s, struct ds_stints_read read)
{
    struct ds_step step = {.kind = DS_STINTS_READ, .stints_read = read};
    if (read.rows_max == 0)
        step.stints_read.rows_max = 100;
    ck_assert_int_eq(do_step(s, &step), 0);
    return step.stints_read;
}

CONTRACT_TEST(a_finished_range_is_there_once, s)
{
    struct stint_row rows[] = {{.range = {11, 21, false}, .node = NODE_A, .done = 9, .failed = 1},
                               {.range = {1, 11, false}, .node = NODE_A, .done = 10}};
    stints_add(s, rows, 2);
    stints_add(s, rows, 2); /* a lost reply, tried again */
    struct stint_row other = rows[1];
    other.node = NODE_B; /* its second holder, after a burial */
    stints_add(s, &other, 1);
    struct ds_stints_read read = stints_read(s, (struct ds_stints_read){.lane = -1});
    ck_assert_uint_eq(read.ret_n, 3);
    ck_assert_int_eq(read.ret_rows[0].range.a, 1);
    ck_assert_int_eq(read.ret_rows[1].range.a, 1);
    ck_assert_int_ne(read.ret_rows[0].node, read.ret_rows[1].node);
    ck_assert_int_eq(read.ret_rows[2].range.a, 11);
    ck_assert_int_eq(read.ret_rows[2].range.b, 21);
    ck_assert_int_eq(read.ret_rows[2].done, 9);
    ck_assert_int_eq(read.ret_rows[2].failed, 1);
}

CONTRACT_TEST(finished_ranges_are_paged_and_told_by_lane, s)
{
    int32_t mail = lane_make(s, "mail", 5, 0);
    struct stint_row rows[20];
    for (int64_t i = 0; i < 20; i++) {
        int32_t lane = i % 2 == 0 ? LANE_DEFAULT : mail;
        rows[i] = (struct stint_row){
            .range = {id_make(lane, 100 - 4 * i), id_make(lane, 104 - 4 * i), false},
            .node = NODE_A,
            .done = i};
    }
    stints_add(s, rows, 20);
    int64_t after = 0;
    size_t seen = 0;
    for (;;) {
        struct ds_stints_read page =
            stints_read(s, (struct ds_stints_read){.lane = mail, .after_id = after, .rows_max = 3});
        if (page.ret_n == 0)
            break;
        ck_assert_uint_le(page.ret_n, 3);
        for (size_t i = 0; i < page.ret_n; i++, seen++) {
            ck_assert_int_gt(page.ret_rows[i].range.a, after);
            ck_assert_int_eq(id_lane(page.ret_rows[i].range.a), mail);
            after = page.ret_rows[i].range.a;
        }
    }
    ck_assert_uint_eq(seen, 10);
    ck_assert_uint_eq(stints_read(s, (struct ds_stints_read){.lane = -1}).ret_n, 20);
}

CONTRACT_TEST(finished_ranges_are_read_from_the_last_one_down, s)
{
    int32_t mail = lane_make(s, "mail", 5, 0);
    struct stint_row rows[20];
    for (int64_t i = 0; i < 20; i++) {
        int32_t lane = i % 2 == 0 ? LANE_DEFAULT : mail;
        int64_t a = id_make(lane, 1 + i / 2 * 10);
        rows[i] = (struct stint_row){.range = {a, a + 10, false}, .node = NODE_A, .done = i};
    }
    stints_add(s, rows, 20);
    int64_t before = 0, expected = 91;
    for (;;) {
        struct ds_stints_read page = stints_read(
            s, (struct ds_stints_read){
                   .lane = mail, .before_id = before, .newest_first = true, .rows_max = 3});
        for (size_t i = 0; i < page.ret_n; i++, expected -= 10)
            ck_assert_int_eq(page.ret_rows[i].range.a, id_make(mail, expected));
        if (page.ret_n == 0)
            break;
        before = page.ret_rows[page.ret_n - 1].range.a;
    }
    ck_assert_int_eq(expected, -9);
    /* Between two ids, neither included, either way round. */
    struct ds_stints_read read = {.lane = mail,
                                  .after_id = id_make(mail, 21),
                                  .before_id = id_make(mail, 61),
                                  .newest_first = true};
    struct ds_stints_read page = stints_read(s, read);
    ck_assert_uint_eq(page.ret_n, 3);
    ck_assert_int_eq(page.ret_rows[0].range.a, id_make(mail, 51));
    ck_assert_int_eq(page.ret_rows[2].range.a, id_make(mail, 31));
    read.newest_first = false;
    page = stints_read(s, read);
    ck_assert_uint_eq(page.ret_n, 3);
    ck_assert_int_eq(page.ret_rows[0].range.a, id_make(mail, 31));
    read.before_id = read.after_id; /* nothing is between them */
    ck_assert_uint_eq(stints_read(s, read).ret_n, 0);
    read.before_id = read.after_id - 15;
    ck_assert_uint_eq(stints_read(s, read).ret_n, 0);
}

CONTRACT_TEST(totals_are_one_row_a_lane, s)
{
    int32_t mail = lane_make(s, "mail", 5, 0);
    int64_t m = id_make(mail, 1);
    struct stint_row rows[] = {
        {{11, 21, false}, NODE_A, 8, 1, 1, 500, 700},
        {{1, 11, false}, NODE_B, 10, 0, 0, 600, 900},
        {{31, 41, false}, NODE_A, 3, 4, 2, 800, 850},
        {{m, m + 5, false}, NODE_A, 5, 0, 0, 100, 200},
    };
    stints_add(s, rows, 4);
    struct ds_stints_read read =
        stints_read(s, (struct ds_stints_read){.lane = -1, .totals_only = true});
    ck_assert_uint_eq(read.ret_n, 2);
    const struct stint_row *total = &read.ret_rows[0];
    ck_assert_int_eq(total->range.a, 1);
    ck_assert_int_eq(total->range.b, 41);
    ck_assert_int_eq(total->done, 21);
    ck_assert_int_eq(total->failed, 5);
    ck_assert_int_eq(total->cancelled, 3);
    ck_assert_int_eq(total->first_start_ms, 500);
    ck_assert_int_eq(total->last_finish_ms, 900);
    ck_assert_int_eq(read.ret_rows[1].range.a, m);
    ck_assert_int_eq(read.ret_rows[1].done, 5);
    read = stints_read(s, (struct ds_stints_read){.lane = mail, .totals_only = true});
    ck_assert_uint_eq(read.ret_n, 1);
    ck_assert_int_eq(read.ret_rows[0].range.b, m + 5);
}

/* ---- history -------------------------------------------------------------------------------- */

static struct history_row version(int64_t node, int64_t seq, int64_t at_ms, bool whole)
{
    static const uint8_t body[] = {5, 0, 0, 0, 0};
    return (struct history_row){
        .node = node, .seq = seq, .at_ms = at_ms, .whole = whole, .body = {body, sizeof(body)}};
}

static void history_add(struct store *s, struct history_row row, int64_t thin, int64_t drop)
{
    struct ds_step step = {
        .kind = DS_HISTORY_ADD,
        .history_add = {.rows = &row, .n = 1, .thin_before_ms = thin, .drop_before_ms = drop}};
    ck_assert_int_eq(do_step(s, &step), 0);
}

static struct ds_history_read history_read(struct store *s, int64_t node, int64_t after,
                                           size_t rows_max)
{
    struct ds_step step = {
        .kind = DS_HISTORY_READ,
        .history_read = {.node = node, .after_seq = after, .rows_max = rows_max}};
    ck_assert_int_eq(do_step(s, &step), 0);
    return step.history_read;
}

CONTRACT_TEST(versions_are_read_by_node_and_number, s)
{
    static const uint8_t other[] = "other";
    for (int64_t seq = 1; seq <= 5; seq++) {
        history_add(s, version(NODE_B, seq, seq * 100, seq == 1), 0, 0);
        history_add(s, version(NODE_A, seq, seq * 100, seq == 1), 0, 0);
    }
    struct history_row again = version(NODE_A, 3, 999, true);
    again.body = (struct bytes){other, sizeof(other)};
    history_add(s, again, 0, 0); /* there already: left as it is */
    struct ds_history_read read = history_read(s, 0, 0, 100);
    ck_assert_uint_eq(read.ret_n, 10);
    for (size_t i = 0; i < 10; i++) {
        const struct history_row *row = &read.ret_rows[i];
        ck_assert_int_eq(row->node, i < 5 ? NODE_A : NODE_B);
        ck_assert_int_eq(row->seq, (int64_t)i % 5 + 1);
        ck_assert_int_eq(row->at_ms, row->seq * 100);
        ck_assert_int_eq(row->whole, row->seq == 1);
        ck_assert_uint_eq(row->body.len, 5);
        ck_assert_uint_eq(row->body.data[0], 5);
    }
    read = history_read(s, NODE_B, 2, 2);
    ck_assert_uint_eq(read.ret_n, 2);
    ck_assert_int_eq(read.ret_rows[0].node, NODE_B);
    ck_assert_int_eq(read.ret_rows[0].seq, 3);
    ck_assert_int_eq(read.ret_rows[1].seq, 4);
    ck_assert_uint_eq(history_read(s, NODE_A, 5, 10).ret_n, 0);
    ck_assert_uint_eq(history_read(s, 7, 0, 10).ret_n, 0);
}

static void assert_stretch(struct store *s, int64_t from_ms, int64_t until_ms, int64_t first,
                           int64_t last)
{
    struct ds_step step = {
        .kind = DS_HISTORY_READ,
        .history_read = {.node = NODE_A, .from_ms = from_ms, .until_ms = until_ms, .rows_max = 4}};
    for (int64_t seq = first; seq <= last;) {
        ck_assert_int_eq(do_step(s, &step), 0);
        ck_assert_uint_gt(step.history_read.ret_n, 0);
        for (size_t i = 0; i < step.history_read.ret_n; i++) {
            ck_assert_int_eq(step.history_read.ret_rows[i].node, NODE_A);
            ck_assert_int_eq(step.history_read.ret_rows[i].seq, seq++);
        }
        step.history_read.after_seq = seq - 1;
    }
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.history_read.ret_n, 0);
}

/* Whole: 1 6 11 16. */
CONTRACT_TEST(a_stretch_of_time_is_told_from_whole_to_whole, s)
{
    for (int64_t seq = 1; seq <= 20; seq++) {
        history_add(s, version(NODE_A, seq, seq * 100, seq % 5 == 1), 0, 0);
        history_add(s, version(NODE_B, seq, seq * 100, seq % 7 == 1), 0, 0);
    }
    assert_stretch(s, 1100, 0, 11, 20); /* the whole one at that time is the last by then */
    assert_stretch(s, 1099, 0, 6, 20);
    assert_stretch(s, 5000, 0, 16, 20);
    assert_stretch(s, 50, 0, 1, 20); /* none by then: from the first on */
    assert_stretch(s, 0, 1100, 1, 10);
    assert_stretch(s, 0, 1101, 1, 15);
    assert_stretch(s, 0, 1601, 1, 20); /* none since: to the last */
    assert_stretch(s, 700, 800, 6, 10);
    assert_stretch(s, 1000, 1000, 6, 10);
    assert_stretch(s, 2500, 3000, 16, 20);
    assert_stretch(s, 0, 50, 1, 0); /* before there was anything */
    struct ds_step all = {.kind = DS_HISTORY_READ,
                          .history_read = {.from_ms = 1100, .rows_max = 10}};
    ck_assert_int_eq(do_step(s, &all), ERR_INVALID);
}

/* Nothing to begin with is whole. */
CONTRACT_TEST(a_stretch_without_whole_versions_is_all_of_them, s)
{
    for (int64_t seq = 1; seq <= 5; seq++)
        history_add(s, version(NODE_A, seq, seq * 100, false), 0, 0);
    assert_stretch(s, 300, 400, 1, 5);
}

CONTRACT_TEST(old_deltas_go_first_then_everything, s)
{
    for (int64_t seq = 1; seq <= 20; seq++) {
        history_add(s, version(NODE_A, seq, seq * 100, seq % 5 == 1), 0, 0);
        history_add(s, version(NODE_B, seq, seq * 100, false), 0, 0);
    }
    /* Whole: 1 6 11 16. Deltas before 1200 go, all before 600 goes. */
    history_add(s, version(NODE_A, 21, 2100, true), 1200, 600);
    static const int64_t kept[] = {6, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21};
    struct ds_history_read read = history_read(s, NODE_A, 0, 100);
    ck_assert_uint_eq(read.ret_n, sizeof(kept) / sizeof(kept[0]));
    for (size_t i = 0; i < read.ret_n; i++)
        ck_assert_int_eq(read.ret_rows[i].seq, kept[i]);
    ck_assert_uint_eq(history_read(s, NODE_B, 0, 100).ret_n, 20); /* of that node only */
}

int main(void)
{
    const TTest *const tests[] = {
        a_finished_range_is_there_once,
        finished_ranges_are_paged_and_told_by_lane,
        finished_ranges_are_read_from_the_last_one_down,
        totals_are_one_row_a_lane,
        versions_are_read_by_node_and_number,
        a_stretch_of_time_is_told_from_whole_to_whole,
        a_stretch_without_whole_versions_is_all_of_them,
        old_deltas_go_first_then_everything,
    };
    return contract_main("logs", tests, sizeof(tests) / sizeof(tests[0]));
}
