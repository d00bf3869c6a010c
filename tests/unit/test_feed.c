/* Goal: the feed reads of the past what is asked for, with the state of things at its beginning,
 * and more when somebody goes further back, until all there is was read: nothing is lost, and
 * nothing is read that nobody wants.
 * Method: the versions of a made-up cluster in a memory store, so shifted that they end now; what
 * the feed makes of them against a past that was given all of them; how many the store gives is
 * counted. */

#include <check.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/support/lifelike.h"
#include "tests/support/store.h"

enum { SECONDS = 5400, TICKS_MAX = 100000, BYTES_MAX = 256 << 20, MINUTE_MS = 60000 };

static const struct lifelike_config cluster = {.nodes = 5, .lanes = 2, .seconds = SECONDS};

/* All that there is, and where it goes. */
struct world {
    struct store *s;
    struct past *all, *past; /* given all; made by the feed */
    struct async *async;
    struct feed *feed;
    int64_t shift_ms, now_ms;
    int64_t nodes[64];
    size_t n_nodes, n_rows;
    atomic_size_t n_read;  /* versions that the store gave */
    atomic_size_t n_pages; /* of jobs */
    int64_t held_back_ms;  /* what is younger is not in the store yet */
    struct history_row held_back[4096];
    size_t n_held_back;
    struct arena mem;
    atomic_bool lost; /* the store cannot be read */
};

static int64_t utc_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t clock_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void version_store(struct world *world, const struct history_row *row)
{
    struct ds_step step = {.kind = DS_HISTORY_ADD, .history_add = {.rows = row, .n = 1}};
    ck_assert_int_eq(do_step(world->s, &step), 0);
}

static void version_keep(void *ctx, const struct history_row *row)
{
    struct world *world = ctx;
    struct history_row shifted = *row;
    shifted.at_ms += world->shift_ms;
    ck_assert(past_add_version(world->all, &shifted));
    if (world->held_back_ms != 0 && shifted.at_ms > world->held_back_ms) {
        ck_assert_uint_lt(world->n_held_back, 4096);
        shifted.body = arena_bytes(&world->mem, row->body);
        world->held_back[world->n_held_back++] = shifted;
    } else {
        version_store(world, &shifted);
    }
    world->n_rows++;
    for (size_t i = 0; i < world->n_nodes; i++)
        if (world->nodes[i] == row->node)
            return;
    world->nodes[world->n_nodes++] = row->node;
}

static void reading_pass(void *ctx, const struct past_reading *reading)
{
    (void)ctx, (void)reading;
}

static void stints_pass(void *ctx, const struct stint_row *rows, size_t n)
{
    (void)ctx, (void)rows, (void)n;
}

static void complete_pass(void *ctx, int32_t lane)
{
    (void)ctx, (void)lane;
}

static void trouble_pass(void *ctx, int64_t at_ms, const char *why)
{
    (void)ctx, (void)at_ms, (void)why;
}

/* A handle that can be lost. */
struct cut_handle {
    struct datastore ds;
    struct datastore *to;
    struct world *world;
};

static void cut_run(struct datastore *ds, struct ds_run *const *runs, size_t n_runs)
{
    struct cut_handle *handle = (struct cut_handle *)ds;
    if (!atomic_load(&handle->world->lost)) {
        handle->to->class->run(handle->to, runs, n_runs);
        for (size_t i = 0; i < n_runs; i++)
            for (size_t k = 0; k < runs[i]->n_steps; k++)
                if (runs[i]->steps[k].kind == DS_HISTORY_READ)
                    atomic_fetch_add(&handle->world->n_read, runs[i]->steps[k].history_read.ret_n);
                else if (runs[i]->steps[k].kind == DS_JOBS_READ)
                    atomic_fetch_add(&handle->world->n_pages, 1);
        return;
    }
    for (size_t i = 0; i < n_runs; i++)
        for (size_t k = 0; k < runs[i]->n_steps; k++)
            runs[i]->steps[k].rc = ERR_UNAVAILABLE;
}

static int cut_fd(struct datastore *ds)
{
    (void)ds;
    return -1;
}

static void cut_close(struct datastore *ds)
{
    datastore_close(((struct cut_handle *)ds)->to);
    free(ds);
}

static const struct datastore_class cut_class = {
    .name = "cut", .run = cut_run, .wake_fd = cut_fd, .close = cut_close};

static int handle_open(void *ctx, struct datastore **ret_ds, struct error *err)
{
    struct world *world = ctx;
    (void)err;
    struct cut_handle *handle = calloc(1, sizeof(*handle));
    ck_assert_ptr_nonnull(handle);
    handle->ds.class = &cut_class;
    handle->to = store_handle(world->s);
    handle->world = world;
    *ret_ds = &handle->ds;
    return 0;
}

/* without: a node that has versions and no record any more; -1: none. */
static struct world *world_make(int64_t since_ms, int without, int64_t hold_back_ms)
{
    struct error err;
    struct world *world = calloc(1, sizeof(*world));
    ck_assert_ptr_nonnull(world);
    world->s = store_new(0);
    world->now_ms = utc_ms();
    world->held_back_ms = hold_back_ms != 0 ? world->now_ms - hold_back_ms : 0;
    world->shift_ms = world->now_ms - lifelike_end_ms(&cluster);
    world->all = past_new("memory:", BYTES_MAX);
    world->past = past_new("memory:", BYTES_MAX);
    const struct feed_tap keep = {world,       version_keep,  reading_pass,
                                  stints_pass, complete_pass, trouble_pass};
    struct lifelike_config config = cluster;
    config.tap = &keep;
    past_free(lifelike_past(&config));
    world->s->clock_ms = world->now_ms; /* it goes on with every step */
    for (size_t i = 0; i < world->n_nodes; i++) {
        char name[32];
        snprintf(name, sizeof(name), "n%zu", i);
        if ((int)i != without)
            node_add(world->s, world->nodes[i], name);
    }
    ck_assert_int_eq(async_start(handle_open, world, &world->async, &err), 0);
    struct feed_config feed = {.since_ms = since_ms, .poll_ms = 5};
    world->feed = feed_new(world->async, world->past, &feed);
    return world;
}

static void world_free(struct world *world)
{
    async_stop(world->async);
    feed_free(world->feed);
    past_free(world->all);
    past_free(world->past);
    store_free(world->s);
    arena_release(&world->mem);
    free(world);
}

static void world_read_until(struct world *world, bool caught_up)
{
    for (int i = 0; i < TICKS_MAX && feed_caught_up(world->feed) != caught_up; i++) {
        uint64_t wait_ms = feed_tick(world->feed, clock_now_ms());
        struct pollfd fd = {.fd = async_fd(world->async), .events = POLLIN};
        if (poll(&fd, 1, (int)(wait_ms < 100 ? wait_ms : 100)) > 0)
            async_drain(world->async);
    }
    ck_assert(feed_caught_up(world->feed) == caught_up);
}

static void world_read(struct world *world)
{
    world_read_until(world, true);
}

/* What both say of the nodes that have versions. */
static void assert_alike(struct world *world, int64_t at_ms)
{
    const struct moment *a = past_moment(world->all, at_ms, MINUTE_MS, 0, false);
    const struct moment *b = past_moment(world->past, at_ms, MINUTE_MS, 0, false);
    for (size_t i = 0; i < world->n_nodes; i++) {
        int32_t x = moment_node_index(a, world->nodes[i]);
        int32_t y = moment_node_index(b, world->nodes[i]);
        /* Who fell silent is there where its record tells that it lived on. */
        if (x < 0)
            continue;
        ck_assert_int_ge(y, 0);
        const struct node *one = &a->nodes[x].node, *other = &b->nodes[y].node;
        ck_assert_int_eq(one->state, other->state);
        ck_assert_int_eq(one->done, other->done);
        ck_assert_int_eq(one->failed, other->failed);
        ck_assert_uint_eq(one->n_ranges, other->n_ranges);
        ck_assert_uint_eq(one->n_running, other->n_running);
    }
}

START_TEST(going_back_loses_nothing)
{
    struct world *world = world_make(10 * MINUTE_MS, -1, 0);
    world_read(world);
    /* The feed counts from when it began. */
    int64_t from_ms = world->now_ms - 10 * MINUTE_MS, took_ms = utc_ms() - world->now_ms;
    ck_assert_int_ge(past_first_ms(world->past), from_ms);
    ck_assert_int_le(past_first_ms(world->past), from_ms + took_ms + 10000);
    /* Twelve minutes of ninety are more than what is read, the last whole versions included. */
    ck_assert_uint_lt(world->n_read, world->n_rows / 7);
    for (int64_t at_ms = from_ms + took_ms + 10000; at_ms < world->now_ms - 2000; at_ms += 7001)
        assert_alike(world, at_ms);
    int rounds = 0;
    while (feed_earlier(world->feed) == FEED_EARLIER_ASKED) {
        ck_assert(feed_earlier(world->feed) == FEED_EARLIER_BUSY);
        world_read(world);
        ck_assert_int_lt(++rounds, 10);
        int64_t first_ms = past_first_ms(world->past);
        for (int64_t at_ms = first_ms + 10000; at_ms < world->now_ms - 2000; at_ms += 17001)
            assert_alike(world, at_ms);
    }
    ck_assert_int_ge(rounds, 3); /* 20, 40, 80, 160 minutes */
    ck_assert_int_eq(past_first_ms(world->past), past_first_ms(world->all));
    world_free(world);
}
END_TEST

START_TEST(since_reads_as_much_at_first)
{
    struct world *world = world_make(2 * SECONDS * INT64_C(1000), -1, 0);
    world_read(world);
    ck_assert_int_eq(past_first_ms(world->past), past_first_ms(world->all));
    ck_assert_uint_eq(world->n_read, world->n_rows);
    for (int64_t at_ms = past_first_ms(world->all); at_ms < world->now_ms - 2000; at_ms += 9001)
        assert_alike(world, at_ms);
    world_free(world);
}
END_TEST

/* Records of the dead go after a day; their versions stay. */
START_TEST(who_has_no_record_is_found_further_back)
{
    struct world *world = world_make(10 * MINUTE_MS, 0, 0);
    world_read(world);
    int64_t at_ms = world->now_ms - 30 * MINUTE_MS;
    const struct moment *moment = past_moment(world->past, at_ms, MINUTE_MS, 0, false);
    ck_assert_int_lt(moment_node_index(moment, world->nodes[0]), 0);
    while (feed_earlier(world->feed) == FEED_EARLIER_ASKED)
        world_read(world);
    moment = past_moment(world->past, at_ms, MINUTE_MS, 0, false);
    ck_assert_int_ge(moment_node_index(moment, world->nodes[0]), 0);
    world_free(world);
}
END_TEST

START_TEST(what_an_outage_hid_is_read)
{
    struct world *world = world_make(10 * MINUTE_MS, -1, MINUTE_MS);
    world_read(world);
    size_t n_read = world->n_read;
    atomic_store(&world->lost, true);
    world_read_until(world, false);
    ck_assert_uint_gt(world->n_held_back, 10);
    for (size_t i = 0; i < world->n_held_back; i++)
        version_store(world, &world->held_back[i]);
    atomic_store(&world->lost, false);
    world_read(world);
    ck_assert_uint_lt(world->n_read - n_read, n_read / 2); /* no more than what was missed */
    for (int64_t at_ms = world->now_ms - 8 * MINUTE_MS; at_ms < world->now_ms - 2000; at_ms += 1001)
        assert_alike(world, at_ms);
    world_free(world);
}
END_TEST

/* Waits for a page that was asked for. */
static const struct jobs_page *page_read(struct world *world)
{
    for (int i = 0; i < TICKS_MAX && feed_jobs(world->feed)->at_ms == 0; i++) {
        uint64_t wait_ms = feed_tick(world->feed, clock_now_ms());
        struct pollfd fd = {.fd = async_fd(world->async), .events = POLLIN};
        if (poll(&fd, 1, (int)(wait_ms < 100 ? wait_ms : 100)) > 0)
            async_drain(world->async);
    }
    ck_assert_int_ne(feed_jobs(world->feed)->at_ms, 0);
    return feed_jobs(world->feed);
}

/* Somebody looks at the jobs, elsewhere, and at the jobs again, when there are others. */
START_TEST(a_page_of_jobs_is_not_shown_again)
{
    struct world *world = world_make(MINUTE_MS, -1, 0);
    const struct jobs_ask ask = {.rows = 10}, none = {0};
    world_read(world);
    feed_want_jobs(world->feed, &ask);
    int64_t first_ms = page_read(world)->at_ms;
    feed_want_jobs(world->feed, &none);
    ck_assert_int_eq(feed_jobs(world->feed)->at_ms, 0);
    feed_want_jobs(world->feed, &ask);
    ck_assert_int_eq(feed_jobs(world->feed)->at_ms, 0);
    ck_assert_int_ge(page_read(world)->at_ms, first_ms);

    /* A page that comes when nobody looks any more is old when somebody does. */
    feed_want_jobs(world->feed, &none);
    feed_want_jobs(world->feed, &ask);
    size_t n_pages = world->n_pages;
    feed_tick(world->feed, clock_now_ms());
    feed_want_jobs(world->feed, &none);
    for (int idle = 0; idle == 0 || world->n_pages == n_pages;) {
        struct pollfd fd = {.fd = async_fd(world->async), .events = POLLIN};
        idle = poll(&fd, 1, 100) == 0;
        async_drain(world->async);
    }
    ck_assert_int_eq(feed_jobs(world->feed)->at_ms, 0);
    world_free(world);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("feed");
    TCase *tcase = tcase_create("feed");
    tcase_add_test(tcase, going_back_loses_nothing);
    tcase_add_test(tcase, a_page_of_jobs_is_not_shown_again);
    tcase_add_test(tcase, since_reads_as_much_at_first);
    tcase_add_test(tcase, what_an_outage_hid_is_read);
    tcase_add_test(tcase, who_has_no_record_is_found_further_back);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
