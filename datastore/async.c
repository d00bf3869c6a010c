/* Worker threads that carry out runs, so that the event loop never blocks.
 *
 *   async_push -> queue of the writer or the reader -> class->run -> done list + eventfd
 *                                                                 -> async_drain -> run->done
 *
 * Two workers rather than a pool: writes have one order and gain from being committed together,
 * reads must not wait behind them. The writer takes all that waits at once; the reader takes one
 * run at a time, so that its answers come back as they are ready.
 * Invariants:
 *   1. A run is in exactly one place: the caller's hands, a queue, a worker, the done list.
 *   2. Everything in `struct async` but the constants is under `lock`; a run's contents belong to
 *      whoever has it, and the lock is taken at each hand-over.
 *   3. When the done list is not empty, the eventfd is readable or async_drain is about to take it.
 * Threads: the caller's, and the two workers; a worker uses its own handle only. */
#include "datastore/async.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct run_list {
    struct ds_run *first, **end;
};

struct worker {
    struct async *async;  /* constant */
    struct datastore *ds; /* constant; used by the worker's thread while it runs */
    size_t take_max;      /* constant: runs handed to the backend at once */
    pthread_t thread;
    bool started;
    pthread_cond_t pushed;
    struct run_list urgent, plain;
    size_t n_waiting;
    uint64_t busy_since_ms; /* 0: idle */
};

struct async {
    pthread_mutex_t lock;
    struct worker writer, reader;
    struct run_list done;
    bool stopping;
    int fd;      /* constant */
    int wake_fd; /* constant */
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- lists ---------------------------------------------------------------------------------- */

static void list_clear(struct run_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void list_append(struct run_list *list, struct ds_run *run)
{
    run->next = NULL;
    *list->end = run;
    list->end = &run->next;
}

static struct ds_run *list_take(struct run_list *list)
{
    struct ds_run *run = list->first;
    if (run != NULL) {
        list->first = run->next;
        if (list->first == NULL)
            list->end = &list->first;
        run->next = NULL;
    }
    return run;
}

/* ---- workers -------------------------------------------------------------------------------- */

/* Waits for runs and takes them, urgent ones first; 0: none is left and the worker is to stop. */
static size_t take_runs(struct worker *worker, struct ds_run *runs[LIMIT_ASYNC_RUNS])
{
    struct async *async = worker->async;
    size_t n = 0;
    pthread_mutex_lock(&async->lock);
    while (worker->n_waiting == 0 && !async->stopping)
        pthread_cond_wait(&worker->pushed, &async->lock);
    while (worker->n_waiting > 0 && n < worker->take_max) {
        struct ds_run *run = list_take(&worker->urgent);
        runs[n++] = run != NULL ? run : list_take(&worker->plain);
        worker->n_waiting--;
    }
    if (n > 0)
        worker->busy_since_ms = now_ms();
    pthread_mutex_unlock(&async->lock);
    return n;
}

static void give_back(struct worker *worker, struct ds_run *const *runs, size_t n)
{
    struct async *async = worker->async;
    pthread_mutex_lock(&async->lock);
    bool was_empty = async->done.first == NULL;
    for (size_t i = 0; i < n; i++)
        list_append(&async->done, runs[i]);
    worker->busy_since_ms = 0;
    if (was_empty)
        (void)eventfd_write(async->fd, 1); /* EAGAIN: readable already */
    pthread_mutex_unlock(&async->lock);
}

static void *work(void *ctx)
{
    struct worker *worker = ctx;
    struct ds_run *runs[LIMIT_ASYNC_RUNS];
    for (size_t n; (n = take_runs(worker, runs)) > 0;) {
        worker->ds->class->run(worker->ds, runs, n);
        give_back(worker, runs, n);
    }
    return NULL;
}

/* The event loop's signals must reach its thread; the sqlite lock's own stay open. */
static int thread_start(struct worker *worker)
{
    static const int loop_signals[] = {SIGINT,  SIGTERM, SIGHUP,  SIGCHLD,
                                       SIGUSR1, SIGUSR2, SIGPIPE, SIGWINCH};
    sigset_t block, before;
    sigemptyset(&block);
    for (size_t i = 0; i < sizeof(loop_signals) / sizeof(loop_signals[0]); i++)
        sigaddset(&block, loop_signals[i]);
    pthread_sigmask(SIG_BLOCK, &block, &before);
    int rc = pthread_create(&worker->thread, NULL, work, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    worker->started = rc == 0;
    return rc;
}

static void worker_init(struct worker *worker, struct async *async, size_t take_max)
{
    worker->async = async;
    worker->take_max = take_max;
    pthread_cond_init(&worker->pushed, NULL);
    list_clear(&worker->urgent);
    list_clear(&worker->plain);
}

/* ---- the caller's side ---------------------------------------------------------------------- */

static void workers_join(struct async *async)
{
    struct worker *const workers[] = {&async->writer, &async->reader};
    pthread_mutex_lock(&async->lock);
    async->stopping = true;
    for (size_t i = 0; i < 2; i++)
        pthread_cond_signal(&workers[i]->pushed);
    pthread_mutex_unlock(&async->lock);
    for (size_t i = 0; i < 2; i++)
        if (workers[i]->started)
            pthread_join(workers[i]->thread, NULL);
}

static void async_free(struct async *async)
{
    datastore_close(async->reader.ds);
    datastore_close(async->writer.ds);
    if (async->fd >= 0)
        close(async->fd);
    pthread_cond_destroy(&async->reader.pushed);
    pthread_cond_destroy(&async->writer.pushed);
    pthread_mutex_destroy(&async->lock);
    free(async);
}

int async_start(async_open_fn open, void *ctx, struct async **ret_async, struct error *err)
{
    struct async *async = calloc(1, sizeof(*async));
    if (async == NULL)
        return error_set(err, ERR_NO_MEMORY, "worker threads: out of memory");
    pthread_mutex_init(&async->lock, NULL);
    list_clear(&async->done);
    worker_init(&async->writer, async, LIMIT_ASYNC_RUNS);
    worker_init(&async->reader, async, 1);
    int rc;
    async->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (async->fd < 0) {
        rc = error_set(err, ERR_IO, "eventfd: %m");
        goto fail;
    }
    rc = open(ctx, &async->writer.ds, err);
    if (rc < 0)
        goto fail;
    rc = open(ctx, &async->reader.ds, err);
    if (rc < 0)
        goto fail;
    async->wake_fd = async->writer.ds->class->wake_fd(async->writer.ds);
    int code = thread_start(&async->writer);
    if (code == 0)
        code = thread_start(&async->reader);
    if (code != 0) {
        rc = error_set(err, ERR_IO, "cannot start a thread: %s", strerror(code));
        goto fail_threads;
    }
    *ret_async = async;
    return 0;

fail_threads:
    workers_join(async);
fail:
    async_free(async);
    return rc;
}

int async_push(struct async *async, struct ds_run *run)
{
    assert(run->n_steps >= 1 && run->n_steps <= LIMIT_RUN_STEPS && run->done != NULL);
    struct worker *worker = ds_run_writes(run) ? &async->writer : &async->reader;
    pthread_mutex_lock(&async->lock);
    bool full = worker->n_waiting == LIMIT_ASYNC_RUNS || async->stopping;
    if (!full) {
        list_append(run->urgent ? &worker->urgent : &worker->plain, run);
        worker->n_waiting++;
        pthread_cond_signal(&worker->pushed);
    }
    pthread_mutex_unlock(&async->lock);
    return full ? ERR_BUSY : 0;
}

int async_fd(const struct async *async)
{
    return async->fd;
}

size_t async_drain(struct async *async)
{
    /* The descriptor first: what comes in between is taken now and rings once more for nothing. */
    eventfd_t rung;
    (void)eventfd_read(async->fd, &rung);
    pthread_mutex_lock(&async->lock);
    struct ds_run *run = async->done.first;
    list_clear(&async->done);
    pthread_mutex_unlock(&async->lock);
    size_t n = 0;
    for (struct ds_run *next; run != NULL; run = next, n++) {
        next = run->next; /* done may free the run, or push it again */
        run->next = NULL;
        run->done(run, run->ctx);
    }
    return n;
}

uint64_t async_stuck_ms(const struct async *async)
{
    pthread_mutex_t *lock = (pthread_mutex_t *)&async->lock;
    pthread_mutex_lock(lock);
    uint64_t writer = async->writer.busy_since_ms, reader = async->reader.busy_since_ms;
    pthread_mutex_unlock(lock);
    uint64_t oldest = writer != 0 && (reader == 0 || writer < reader) ? writer : reader;
    return oldest != 0 ? now_ms() - oldest : 0;
}

int async_wake_fd(const struct async *async)
{
    return async->wake_fd;
}

bool async_wake_clear(struct async *async)
{
    return async->writer.ds->class->wake_clear(async->writer.ds);
}

const char *async_doorbell(const struct async *async)
{
    return datastore_doorbell(async->writer.ds);
}

void async_stop(struct async *async)
{
    if (async == NULL)
        return;
    workers_join(async);
    while (async_drain(async) > 0)
        ;
    async_free(async);
}
