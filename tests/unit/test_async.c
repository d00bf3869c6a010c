/* Goal: runs pushed to the worker threads all come back, in the promised order and no more than the
 * promised number waiting, and stopping loses none.
 * Method: a fake backend whose writer stands at a gate, so that what waits is known; then many runs
 * on the memory backend. Runs under ThreadSanitizer too. Waits are for conditions, with a bound. */
#include "datastore/async.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "datastore/memory.h"

enum { WAIT_MS = 120000, LOG_MAX = 512 };

/* ---- a backend that can be held ------------------------------------------------------------- */

struct fakes {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool held;   /* the writer waits before it carries out anything */
    int arrived; /* calls of the writer that have come to the gate */
    int opened, closed;
    int fail_open; /* the nth open fails; 0: none */
    size_t n_calls, n_log;
    size_t runs_of_call[LOG_MAX];
    int log[LOG_MAX]; /* numbers of the runs in the order carried out by the writer */
    bool signals_blocked, signals_open;
};

struct fake {
    struct datastore base;
    struct fakes *all;
};

struct numbered {
    struct ds_run run;
    struct ds_step step;
    int number;
    struct async *async;
    int again; /* times to be pushed once more from `done` */
    int *done_order, *n_done;
    int pushed_again_rc;
};

static void gate_pass(struct fakes *all)
{
    pthread_mutex_lock(&all->lock);
    all->arrived++;
    pthread_cond_broadcast(&all->changed);
    while (all->held)
        pthread_cond_wait(&all->changed, &all->lock);
    pthread_mutex_unlock(&all->lock);
}

static void fake_run(struct datastore *ds, struct ds_run *const *runs, size_t n_runs)
{
    struct fakes *all = ((struct fake *)ds)->all;
    bool writes = ds_run_writes(runs[0]);
    if (writes)
        gate_pass(all);
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    pthread_mutex_lock(&all->lock);
    all->signals_blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGCHLD) == 1 &&
                           sigismember(&mask, SIGWINCH) == 1 && sigismember(&mask, SIGINT) == 1;
    all->signals_open = sigismember(&mask, SIGRTMIN) == 0 && sigismember(&mask, SIGSEGV) == 0;
    if (writes)
        all->runs_of_call[all->n_calls++] = n_runs;
    for (size_t i = 0; i < n_runs; i++) {
        ck_assert(ds_run_writes(runs[i]) == writes);
        if (writes)
            all->log[all->n_log++] = ((struct numbered *)runs[i]->ctx)->number;
        runs[i]->steps[0].rc = 0;
    }
    pthread_mutex_unlock(&all->lock);
}

static int fake_wake_fd(struct datastore *ds)
{
    (void)ds;
    return -1;
}

static void fake_close(struct datastore *ds)
{
    ((struct fake *)ds)->all->closed++;
    free(ds);
}

static const char *fake_doorbell(struct datastore *ds)
{
    (void)ds;
    return "127.0.0.1:1/0123456789abcd";
}

static const struct datastore_class fake_class = {
    .name = "fake",
    .run = fake_run,
    .wake_fd = fake_wake_fd,
    .doorbell = fake_doorbell,
    .close = fake_close,
};

static int fake_open(void *ctx, struct datastore **ret_ds, struct error *err)
{
    struct fakes *all = ctx;
    all->opened++;
    if (all->opened == all->fail_open)
        return error_set(err, ERR_CORRUPT, "no such luck");
    struct fake *fake = calloc(1, sizeof(*fake));
    fake->base.class = &fake_class;
    fake->all = all;
    *ret_ds = &fake->base;
    return 0;
}

static void gate_set(struct fakes *all, bool held)
{
    pthread_mutex_lock(&all->lock);
    all->held = held;
    pthread_cond_broadcast(&all->changed);
    pthread_mutex_unlock(&all->lock);
}

static void gate_await_arrival(struct fakes *all)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&all->lock);
    int rc = 0;
    while (all->arrived == 0 && rc == 0)
        rc = pthread_cond_timedwait(&all->changed, &all->lock, &until);
    pthread_mutex_unlock(&all->lock);
    ck_assert_int_eq(rc, 0);
}

/* ---- runs ----------------------------------------------------------------------------------- */

static struct fakes fakes;
static struct async *async;
static struct numbered runs[LIMIT_ASYNC_RUNS + 8];
static int done_order[LOG_MAX], n_done;

static void on_done(struct ds_run *run, void *ctx)
{
    struct numbered *numbered = ctx;
    ck_assert_ptr_eq(run, &numbered->run);
    ck_assert_int_eq(run->steps[0].rc, 0);
    done_order[n_done++] = numbered->number;
    if (numbered->again > 0) {
        numbered->again--;
        numbered->pushed_again_rc = async_push(async, run);
    }
}

static struct numbered *prepare(int number, enum ds_kind kind, bool urgent)
{
    struct numbered *numbered = &runs[number];
    *numbered = (struct numbered){.number = number, .step.kind = kind};
    numbered->run = (struct ds_run){
        .steps = &numbered->step, .n_steps = 1, .urgent = urgent, .done = on_done, .ctx = numbered};
    return numbered;
}

static void push(int number, enum ds_kind kind, bool urgent)
{
    ck_assert_int_eq(async_push(async, &prepare(number, kind, urgent)->run), 0);
}

static void drain_until(int wanted)
{
    while (n_done < wanted) {
        struct pollfd p = {.fd = async_fd(async), .events = POLLIN};
        ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
        async_drain(async);
    }
}

static void set_up(void)
{
    memset(&fakes, 0, sizeof(fakes));
    pthread_mutex_init(&fakes.lock, NULL);
    pthread_cond_init(&fakes.changed, NULL);
    n_done = 0;
    struct error err = {0};
    ck_assert_int_eq(async_start(fake_open, &fakes, &async, &err), 0);
}

static void tear_down(void)
{
    async_stop(async);
    ck_assert_int_eq(fakes.closed, 2);
}

/* ---- tests ---------------------------------------------------------------------------------- */

START_TEST(a_run_comes_back_through_the_descriptor)
{
    ck_assert_uint_eq(async_drain(async), 0);
    ck_assert_int_eq(async_wake_fd(async), -1);
    ck_assert_str_eq(async_doorbell(async), "127.0.0.1:1/0123456789abcd");
    push(0, DS_RESERVE, false);
    drain_until(1);
    push(1, DS_LOAD, false);
    drain_until(2);
    ck_assert_int_eq(done_order[0], 0);
    ck_assert_int_eq(done_order[1], 1);
    ck_assert_uint_eq(async_drain(async), 0);
    struct pollfd p = {.fd = async_fd(async), .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, 0), 0);
}
END_TEST

START_TEST(what_waits_for_the_writer_goes_at_once_and_urgent_first)
{
    gate_set(&fakes, true);
    push(0, DS_RESERVE, false);
    gate_await_arrival(&fakes);
    push(1, DS_RESERVE, false);
    push(2, DS_NODE_WRITE, true);
    push(3, DS_INSERT, false);
    push(4, DS_NODE_WRITE, true);
    gate_set(&fakes, false);
    drain_until(5);
    static const int order[] = {0, 2, 4, 1, 3};
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(fakes.log[i], order[i]);
        ck_assert_int_eq(done_order[i], order[i]);
    }
    ck_assert_uint_eq(fakes.n_calls, 2);
    ck_assert_uint_eq(fakes.runs_of_call[0], 1);
    ck_assert_uint_eq(fakes.runs_of_call[1], 4);
}
END_TEST

START_TEST(a_read_passes_a_held_writer)
{
    gate_set(&fakes, true);
    push(0, DS_RESERVE, false);
    gate_await_arrival(&fakes);
    push(1, DS_JOBS_READ, false);
    drain_until(1);
    ck_assert_int_eq(done_order[0], 1);
    gate_set(&fakes, false);
    drain_until(2);
}
END_TEST

START_TEST(past_the_limit_a_push_is_refused_and_nothing_is_lost)
{
    gate_set(&fakes, true);
    push(0, DS_RESERVE, false);
    gate_await_arrival(&fakes);
    for (int i = 1; i <= LIMIT_ASYNC_RUNS; i++)
        push(i, DS_RESERVE, i % 7 == 0);
    struct numbered *late = prepare(LIMIT_ASYNC_RUNS + 1, DS_RESERVE, true);
    ck_assert_int_eq(async_push(async, &late->run), ERR_BUSY);
    push(LIMIT_ASYNC_RUNS + 2, DS_LOAD, false); /* the reader has a limit of its own */
    gate_set(&fakes, false);
    drain_until(LIMIT_ASYNC_RUNS + 2);
    ck_assert_int_eq(async_push(async, &late->run), 0);
    drain_until(LIMIT_ASYNC_RUNS + 3);
    ck_assert_uint_eq(fakes.n_log, LIMIT_ASYNC_RUNS + 2);
}
END_TEST

START_TEST(done_may_push_the_run_again)
{
    prepare(0, DS_RESERVE, false)->again = 20;
    ck_assert_int_eq(async_push(async, &runs[0].run), 0);
    drain_until(21);
    ck_assert_int_eq(runs[0].pushed_again_rc, 0);
    ck_assert_uint_eq(fakes.n_log, 21);
}
END_TEST

START_TEST(a_stuck_worker_is_seen)
{
    ck_assert_uint_eq(async_stuck_ms(async), 0);
    gate_set(&fakes, true);
    push(0, DS_RESERVE, false);
    gate_await_arrival(&fakes);
    uint64_t seen = 0;
    for (int i = 0; i < WAIT_MS && (seen = async_stuck_ms(async)) == 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    ck_assert_uint_gt(seen, 0);
    gate_set(&fakes, false);
    drain_until(1);
    ck_assert_uint_eq(async_stuck_ms(async), 0);
}
END_TEST

START_TEST(stopping_brings_all_runs_back_and_takes_no_more)
{
    struct error err = {0};
    struct async *other = async; /* for the fixture's end */
    ck_assert_int_eq(async_start(fake_open, &fakes, &async, &err), 0);
    for (int i = 0; i < 10; i++)
        push(i, i % 2 == 0 ? DS_RESERVE : DS_LOAD, false);
    runs[0].again = 1;
    async_stop(async);
    async = other;
    ck_assert_int_eq(n_done, 10);
    ck_assert_int_eq(runs[0].pushed_again_rc, ERR_BUSY);
    ck_assert_int_eq(fakes.closed, 2);
    fakes.closed = 0;
}
END_TEST

START_TEST(workers_leave_the_loops_signals_alone)
{
    sigset_t before, after;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    push(0, DS_RESERVE, false);
    drain_until(1);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    ck_assert(fakes.signals_blocked);
    ck_assert(fakes.signals_open);
    ck_assert_int_eq(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
}
END_TEST

START_TEST(a_handle_that_cannot_be_opened_is_told)
{
    struct fakes bad = {.fail_open = _i};
    struct async *none = NULL;
    struct error err = {0};
    ck_assert_int_eq(async_start(fake_open, &bad, &none, &err), ERR_CORRUPT);
    ck_assert_str_eq(err.text, "no such luck");
    ck_assert_ptr_null(none);
    ck_assert_int_eq(bad.closed, _i - 1);
}
END_TEST

/* ---- on a real backend ---------------------------------------------------------------------- */

static int64_t no_time(void *ctx)
{
    (void)ctx;
    return 1;
}

static int memory_handle_open(void *ctx, struct datastore **ret_ds, struct error *err)
{
    (void)err;
    *ret_ds = memory_open(ctx);
    return 0;
}

static void on_reserved(struct ds_run *run, void *ctx)
{
    bool *taken = ctx;
    ck_assert_int_eq(run->steps[0].rc, 0);
    if (run->steps[0].kind == DS_RESERVE) {
        int64_t id = run->steps[0].reserve.ret_first;
        ck_assert(!taken[id]);
        taken[id] = true;
    }
    arena_release(&run->mem);
    free(run->steps);
    free(run);
    n_done++;
}

static void push_new(struct async *real, enum ds_kind kind, bool *taken)
{
    struct ds_run *run = calloc(1, sizeof(*run));
    struct ds_step *step = calloc(1, sizeof(*step));
    *step = (struct ds_step){.kind = kind};
    if (kind == DS_RESERVE)
        step->reserve.count = 1;
    *run = (struct ds_run){.steps = step, .n_steps = 1, .done = on_reserved, .ctx = taken};
    while (async_push(real, run) == ERR_BUSY) {
        struct pollfd p = {.fd = async_fd(real), .events = POLLIN};
        ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
        async_drain(real);
    }
}

START_TEST(many_runs_on_a_shared_store)
{
    enum { N = 3000 };
    static bool taken[2][N + 1];
    struct memory_store *store = memory_store_new(no_time, NULL);
    struct async *real;
    struct error err = {0};
    n_done = 0;
    ck_assert_int_eq(async_start(memory_handle_open, store, &real, &err), 0);
    ck_assert_int_ge(async_wake_fd(real), 0);
    struct datastore *own = memory_open(store);
    for (int i = 0; i < N / 2; i++) {
        push_new(real, DS_RESERVE, taken[0]);
        push_new(real, DS_LANES_READ, taken[0]);
        struct ds_step step = {.kind = DS_RESERVE, .reserve = {.count = 1}};
        struct arena mem = {0};
        ck_assert_int_eq(datastore_step(own, &step, &mem, NULL), 0);
        ck_assert(!taken[1][step.reserve.ret_first]);
        taken[1][step.reserve.ret_first] = true;
        arena_release(&mem);
        if (i % 64 == 0)
            async_wake_clear(real);
    }
    async_stop(real);
    ck_assert_int_eq(n_done, N);
    for (int i = 1; i <= N; i++)
        ck_assert(taken[0][i] != taken[1][i]);
    datastore_close(own);
    memory_store_free(store);
}
END_TEST

START_TEST(another_handles_write_rings)
{
    struct memory_store *store = memory_store_new(no_time, NULL);
    struct async *real;
    struct error err = {0};
    ck_assert_int_eq(async_start(memory_handle_open, store, &real, &err), 0);
    struct datastore *own = memory_open(store);
    struct pollfd p = {.fd = async_wake_fd(real), .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    struct ds_step step = {.kind = DS_QUEUE_SET, .queue_set.queue = {.name = "q", .weight = 1}};
    struct arena mem = {0};
    ck_assert_int_eq(datastore_step(own, &step, &mem, NULL), 0);
    ck_assert_int_eq(poll(&p, 1, WAIT_MS), 1);
    async_wake_clear(real);
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    arena_release(&mem);
    async_stop(real);
    datastore_close(own);
    memory_store_free(store);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("async");
    TCase *held = tcase_create("held");
    tcase_add_checked_fixture(held, set_up, tear_down);
    tcase_add_test(held, a_run_comes_back_through_the_descriptor);
    tcase_add_test(held, what_waits_for_the_writer_goes_at_once_and_urgent_first);
    tcase_add_test(held, a_read_passes_a_held_writer);
    tcase_add_test(held, past_the_limit_a_push_is_refused_and_nothing_is_lost);
    tcase_add_test(held, done_may_push_the_run_again);
    tcase_add_test(held, a_stuck_worker_is_seen);
    tcase_add_test(held, stopping_brings_all_runs_back_and_takes_no_more);
    tcase_add_test(held, workers_leave_the_loops_signals_alone);
    suite_add_tcase(suite, held);
    TCase *real = tcase_create("real");
    tcase_add_loop_test(real, a_handle_that_cannot_be_opened_is_told, 1, 3);
    tcase_add_test(real, many_runs_on_a_shared_store);
    tcase_add_test(real, another_handles_write_rings);
    suite_add_tcase(suite, real);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
