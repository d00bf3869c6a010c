/* Goal: what is said of any stretch of ids is what its finished ranges add up to.
 * Method: ranges in random order, some twice and some over others, beside an array with an entry
 * for each id, from a printed seed; and more ranges than are kept. */
#include "observer/finished.h"

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "datastore/random.h"

enum { IDS = 600, ROUNDS = 300, ROWS = 120, ASKED = 60 };

static int64_t below(uint64_t *seed, int64_t n)
{
    return (int64_t)(random_next(seed) % (uint64_t)n);
}

struct naive {
    bool ended[IDS + 1];
    bool failed[IDS + 1], cancelled[IDS + 1], done[IDS + 1];
    int64_t node[IDS + 1];
};

static struct finished_row row_random(uint64_t *seed)
{
    int64_t a = 1 + below(seed, IDS - 1), most = IDS - a < 12 ? IDS - a : 12;
    struct finished_row row = {.a = a, .b = a + 1 + below(seed, most), .node = below(seed, 5) + 1};
    row.failed = below(seed, row.b - row.a + 1);
    row.cancelled = below(seed, row.b - row.a - row.failed + 1);
    row.done = below(seed, row.b - row.a - row.failed - row.cancelled + 1);
    return row;
}

/* Of n, `some` are spread evenly: is the i-th one of them? */
static bool due(int64_t some, int64_t n, int64_t i)
{
    int64_t until = (2 * some * i + n) / (2 * n), before = (2 * some * (i - 1) + n) / (2 * n);
    return until > before;
}

static void naive_add(struct naive *naive, const struct finished_row *row)
{
    for (int64_t id = row->a; id < row->b; id++)
        if (naive->ended[id])
            return; /* the first one counts */
    int64_t n = row->b - row->a, others = 0, rest = 0;
    for (int64_t i = 1; i <= n; i++) {
        int64_t id = row->a + i - 1;
        naive->ended[id] = true;
        naive->node[id] = row->node;
        if ((naive->failed[id] = due(row->failed, n, i)))
            continue;
        others++;
        if ((naive->cancelled[id] = due(row->cancelled, n - row->failed, others)))
            continue;
        rest++;
        naive->done[id] = due(row->done, n - row->failed - row->cancelled, rest);
    }
}

/* The row of the id before goes on past it. */
static bool row_goes_on(const struct finished *finished, int64_t id)
{
    const struct finished_row *row = finished_find(finished, id - 1);
    return row != NULL && row->b > id;
}

static int row_compare(const void *a, const void *b)
{
    const struct finished_row *x = a, *y = b;
    return (x->a > y->a) - (x->a < y->a);
}

static void compare(struct finished *finished, const struct naive *naive, uint64_t *seed)
{
    for (int i = 0; i < ASKED; i++) {
        int64_t a = 1 + below(seed, IDS), b = a + below(seed, IDS + 1 - a + 1);
        int64_t ids = 0, failed = 0, cancelled = 0, done = 0;
        for (int64_t id = a; id < b && id <= IDS; id++) {
            ids += naive->ended[id];
            failed += naive->failed[id];
            cancelled += naive->cancelled[id];
            done += naive->done[id];
        }
        struct finished_counts counts = finished_count(finished, a, b);
        ck_assert_int_eq(counts.ids, ids);
        ck_assert_int_eq(counts.failed, failed);
        ck_assert_int_eq(counts.cancelled, cancelled);
        ck_assert_int_eq(counts.done, done);
        int64_t from = a <= IDS ? a : IDS;
        const struct finished_row *row = finished_find(finished, from);
        ck_assert_int_eq(row != NULL ? row->node : 0, naive->node[from]);
        int64_t low = b;
        while (low > 1 && low - 1 <= IDS && naive->ended[low - 1])
            low--;
        ck_assert_int_eq(finished_from(finished, b), low);
        int64_t end = from; /* no row ends inside another: the id before the end is in one */
        while (end > 1 && (!naive->ended[end - 1] || row_goes_on(finished, end)))
            end--;
        ck_assert_int_eq(finished_end_before(finished, from), end);
    }
}

START_TEST(sums_are_those_of_single_ids)
{
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        struct finished finished = {0};
        struct naive naive = {0};
        uint64_t seed = round;
        for (int i = 0; i < ROWS; i++) {
            struct finished_row row = row_random(&seed);
            finished_add(&finished, &row, 1);
            naive_add(&naive, &row);
            if (i % 40 == 39)
                compare(&finished, &naive, &seed);
        }
        finished_clear(&finished);
    }
}
END_TEST

/* Pages, of which each is in order, come to the same as their rows one by one. */
START_TEST(pages_are_their_rows)
{
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        struct finished finished = {0};
        struct naive naive = {0};
        uint64_t seed = round;
        for (int page = 0; page < 6; page++) {
            struct finished_row rows[20];
            for (int i = 0; i < 20; i++) {
                rows[i] = row_random(&seed);
                rows[i].b = rows[i].a + 1 + i % 2; /* no two rows begin alike */
                rows[i].failed = rows[i].cancelled = 0;
                rows[i].done = 1;
            }
            qsort(rows, 20, sizeof(rows[0]), row_compare);
            for (int i = 1; i < 20; i++)
                if (rows[i].a == rows[i - 1].a)
                    rows[i] = rows[i - 1];
            finished_add(&finished, rows, 20);
            for (int i = 0; i < 20; i++)
                naive_add(&naive, &rows[i]);
            compare(&finished, &naive, &seed);
        }
        finished_clear(&finished);
    }
}
END_TEST

/* However many ranges there are, what is kept is bounded, and no job gets lost from the sums. */
START_TEST(many_rows_become_fewer)
{
    enum { MANY = 3 * FINISHED_ROWS_MAX };
    struct finished finished = {0};
    size_t most = 0;
    int64_t failed = 0;
    for (int64_t i = 0; i < MANY; i++) {
        struct finished_row row = {.a = 1 + 2 * i, .b = 3 + 2 * i, .node = 7, .failed = i % 3 == 0};
        row.done = 2 - row.failed;
        failed += row.failed;
        finished_add(&finished, &row, 1);
        most = finished.n > most ? finished.n : most;
    }
    ck_assert_uint_le(most, FINISHED_ROWS_MAX);
    struct finished_counts counts = finished_count(&finished, 1, 2 * MANY + 1);
    ck_assert_int_eq(counts.ids, 2 * MANY);
    ck_assert_int_eq(counts.failed, failed);
    ck_assert_int_eq(finished_from(&finished, 2 * MANY + 1), 1);
    size_t n = finished.n;
    finished_add(&finished, &(struct finished_row){.a = 41, .b = 43, .node = 8}, 1);
    ck_assert_uint_eq(finished.n, n); /* it is in there already */
    finished_clear(&finished);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("finished");
    TCase *tcase = tcase_create("finished");
    tcase_add_test(tcase, sums_are_those_of_single_ids);
    tcase_add_test(tcase, pages_are_their_rows);
    tcase_add_test(tcase, many_rows_become_fewer);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
