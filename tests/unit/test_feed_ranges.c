/* Goal: finished ranges of any number of lanes reach the observer, the newest first; what has been
 * read is not read again, whatever is missing; and what is kept of them is bounded.
 * Method: lanes of a memory store with ranges in all of them but some holes; how many rows the
 * store gives is counted; then more end, in the holes and at the end. */
#include "observer/feed.h"

#include <check.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/support/store.h"

enum { LANES = 150, RANGES = 40, IDS = 10, TICKS_MAX = 100000 };

/* Counts what passes through it. */
struct counted {
    struct datastore ds;
    struct datastore *to;
};

static atomic_size_t n_rows, n_runs_empty;
static atomic_llong first_id; /* of the first row of a lane that was read */

static void counted_run(struct datastore *ds, struct ds_run *const *runs, size_t n_runs)
{
    struct datastore *to = ((struct counted *)ds)->to;
    to->class->run(to, runs, n_runs);
    for (size_t i = 0; i < n_runs; i++)
        for (size_t k = 0; k < runs[i]->n_steps; k++) {
            const struct ds_step *step = &runs[i]->steps[k];
            if (step->kind != DS_STINTS_READ || step->stints_read.totals_only)
                continue;
            long long none = 0;
            size_t n = step->stints_read.ret_n;
            atomic_fetch_add(&n_rows, n);
            atomic_fetch_add(&n_runs_empty, n == 0);
            if (n > 0)
                atomic_compare_exchange_strong(&first_id, &none,
                                               step->stints_read.ret_rows[0].range.a);
        }
}

static int counted_fd(struct datastore *ds)
{
    (void)ds;
    return -1;
}

static void counted_close(struct datastore *ds)
{
    datastore_close(((struct counted *)ds)->to);
    free(ds);
}

static const struct datastore_class counted_class = {
    .name = "counted", .run = counted_run, .wake_fd = counted_fd, .close = counted_close};

static int handle_open(void *ctx, struct datastore **ret_ds, struct error *err)
{
    struct counted *handle = calloc(1, sizeof(*handle));
    ck_assert_ptr_nonnull(handle);
    (void)err;
    handle->ds.class = &counted_class;
    handle->to = store_handle(ctx);
    *ret_ds = &handle->ds;
    return 0;
}

static uint64_t clock_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until that many rows have been given and taken in. */
static void read_rows(struct async *async, struct feed *feed, size_t rows)
{
    for (int i = 0; i < TICKS_MAX && atomic_load(&n_rows) < rows; i++) {
        uint64_t wait_ms = feed_tick(feed, clock_now_ms());
        struct pollfd fd = {.fd = async_fd(async), .events = POLLIN};
        if (poll(&fd, 1, (int)(wait_ms < 100 ? wait_ms : 100)) > 0)
            async_drain(async);
    }
    ck_assert_uint_eq(atomic_load(&n_rows), rows);
    for (int i = 0; i < 100; i++) { /* what was asked for meanwhile, and a hundred times nothing */
        feed_tick(feed, clock_now_ms());
        struct pollfd fd = {.fd = async_fd(async), .events = POLLIN};
        if (poll(&fd, 1, 5) > 0)
            async_drain(async);
    }
    ck_assert_uint_eq(atomic_load(&n_rows), rows);
}

static void range_add(struct store *s, int32_t lane, int64_t number)
{
    int64_t a = id_make(lane, 1 + number * IDS);
    struct stint_row row = {.range = {a, a + IDS, false},
                            .node = 7,
                            .done = IDS,
                            .first_start_ms = 1000 * number,
                            .last_finish_ms = 1000 * number + 900};
    struct ds_step step = {.kind = DS_STINTS_ADD, .stints_add = {.rows = &row, .n = 1}};
    ck_assert_int_eq(do_step(s, &step), 0);
}

static int64_t ended(struct past *past, int32_t lane)
{
    const struct moment *moment = past_moment(past, past_last_ms(past), 60000, 0, true);
    for (size_t i = 0; i < moment->n_lanes; i++)
        if (moment->lanes[i].number == lane)
            return finished_count(moment->lanes[i].finished, 1, INT64_MAX).done;
    return -1;
}

START_TEST(every_lane_is_read_once)
{
    struct store *s = store_new(0);
    struct async *async;
    struct error err;
    struct past *past = past_new("memory:", 64 << 20);
    for (int i = 0; i < LANES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "q%d", i);
        int32_t lane = lane_make(s, name, 5, 0);
        reserve(s, lane, RANGES * IDS);
        claim(s, lane, 7, 0, RANGES * IDS - 5 * IDS);
        for (int64_t k = 0; k < RANGES - 5; k++)
            if (k % 10 != 3) /* a hole: nobody has said what came of it */
                range_add(s, lane, k);
    }
    ck_assert_int_eq(async_start(handle_open, s, &async, &err), 0);
    struct feed_config config = {.since_ms = 600000, .poll_ms = 5};
    struct feed *feed = feed_new(async, past, &config);
    size_t rows = LANES * (RANGES - 5 - 4);
    read_rows(async, feed, rows);
    ck_assert_int_eq(id_seq(atomic_load(&first_id)), 1 + (RANGES - 6) * IDS); /* the newest */
    for (int32_t lane = 1; lane <= LANES; lane += 7) {
        ck_assert(past_is_complete(past, lane));
        ck_assert_int_eq(ended(past, lane), (RANGES - 9) * IDS);
    }
    ck_assert_uint_lt(atomic_load(&n_runs_empty), LANES * 10);
    range_add(s, LANES, 3); /* ends after all behind it */
    claim(s, 2, 7, 1, 2 * IDS);
    range_add(s, 2, RANGES - 5);
    range_add(s, 2, RANGES - 4);
    read_rows(async, feed, rows + 3);
    ck_assert_int_eq(ended(past, LANES), (RANGES - 8) * IDS);
    ck_assert_int_eq(ended(past, 2), (RANGES - 7) * IDS);
    async_stop(async);
    feed_free(feed);
    past_free(past);
    store_free(s);
}
END_TEST

/* More than are kept, in pages from the newest down, as the feed gives them. */
START_TEST(what_is_kept_is_bounded)
{
    enum { PAGE = 2000, PAGES = 4 * PAST_ROWS_MAX / PAGE, MANY_LANES = 8 };
    static struct stint_row rows[PAGE];
    struct past *past = past_new("memory:", 64 << 20);
    for (int i = 0; i < MANY_LANES; i++)
        past_stints_complete(past, i);
    for (int page = PAGES; page-- > 0;) {
        int32_t lane = page % MANY_LANES;
        for (int k = 0; k < PAGE; k++) {
            int64_t a =
                id_make(lane, 1 + IDS * ((int64_t)(page / MANY_LANES) * PAGE + PAGE - 1 - k));
            rows[k] = (struct stint_row){.range = {a, a + IDS, false}, .node = 7, .done = IDS};
        }
        ck_assert(past_add_stints(past, rows, PAGE));
    }
    struct range gap;
    int64_t tail = 1 + (int64_t)IDS * PAGE * (PAGES / MANY_LANES);
    for (int32_t lane = 0; lane < MANY_LANES; lane++)
        ck_assert_uint_eq(past_stints_gaps(past, lane, tail, &gap, 1), 0);
    past_free(past);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("feed_ranges");
    TCase *tcase = tcase_create("feed_ranges");
    tcase_add_test(tcase, every_lane_is_read_once);
    tcase_add_test(tcase, what_is_kept_is_bounded);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
