/* node/env.h made real: libevent, CLOCK_BOOTTIME, worker threads for the datastore, keepers for
 * jobs, pidfds for neighbours. The only file that includes libevent.
 *
 * One turn of the loop: wait for events, deliver them all to the core, then one core_tick. The core
 * is never called from inside one of its own calls: what an environment call finds out at once (a
 * keeper gone, a peer gone) is delivered in the next turn.
 * Thread: the loop's; nothing here blocks but opening a keeper (the time of a fork). */
#define _GNU_SOURCE
#include "node/loop.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "node/exec.h"
#include "node/host.h"

enum {
    PEERS_WATCHED_MAX = 64,
    STUCK_WARN_MS = 60000,
    NO_PROCESS_WARN_MS = 60000,
    SCARCE_MS = 10000, /* no further keepers for so long after a job got no process */
    TURN_WAIT_MS_MAX = 60000,
};

/* One execution slot and the job it runs. */
struct worker_slot {
    struct loop *loop;
    struct exec_slot *exec; /* NULL: not opened */
    struct event *read, *write;
    bool busy;
    int64_t id;
    int32_t run;
    uint64_t timeout_ms;
};

struct peer_watch {
    struct loop *loop;
    int64_t node; /* 0: free */
    int fd;
    struct event *event;
};

struct loop {
    struct env env; /* first member */
    const struct loop_config *config;
    struct core *core;
    struct event_base *base;
    struct event *timer, *completions, *wake, *signals[4];
    uint64_t now_ms; /* 0: to be read again */
    uint64_t random[2];
    bool *stopped;
    struct worker_slot slots[LIMIT_SLOTS];
    struct peer_watch peers[PEERS_WATCHED_MAX];
    bool stuck_told, started;
    uint64_t no_process_told_ms; /* 0: never */
    uint64_t scarce_until_ms;
    size_t n_open; /* slots with a keeper */
};

static struct loop *loop_of(struct env *env)
{
    return (struct loop *)env;
}

/* ---- clock, randomness, load ----------------------------------------------------------------- */

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Read once for each batch of events and each tick, so never stale by the time spent waiting. */
static uint64_t env_now_ms(struct env *env)
{
    struct loop *loop = loop_of(env);
    if (loop->now_ms == 0)
        loop->now_ms = clock_ms(CLOCK_BOOTTIME);
    return loop->now_ms;
}

static int64_t env_utc_ms(struct env *env)
{
    (void)env;
    return (int64_t)clock_ms(CLOCK_REALTIME);
}

/* xorshift128+ (Vigna, 2014): spreads back-offs and picks; nothing secret hangs on it. */
static uint64_t env_random(struct env *env)
{
    uint64_t *s = loop_of(env)->random;
    uint64_t a = s[0], b = s[1];
    s[0] = b;
    a ^= a << 23;
    s[1] = a ^ b ^ (a >> 17) ^ (b >> 26);
    return s[1] + b;
}

static double env_load(struct env *env)
{
    (void)env;
    double load;
    return getloadavg(&load, 1) == 1 ? load : 0;
}

/* ---- datastore ---------------------------------------------------------------- */

static void env_run(struct env *env, struct ds_run *run)
{
    int rc = async_push(loop_of(env)->config->async, run);
    assert(rc == 0); /* the core keeps fewer runs under way than the queue holds */
    (void)rc;
}

static void on_completions(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    async_drain(((struct loop *)ctx)->config->async);
}

static void on_wake(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct loop *loop = ctx;
    if (async_wake_clear(loop->config->async))
        core_woken(loop->core);
}

/* ---- jobs ---------------------------------------------------------------- */

static void slot_close(struct worker_slot *slot)
{
    if (slot->read != NULL)
        event_free(slot->read);
    if (slot->write != NULL)
        event_free(slot->write);
    if (slot->exec != NULL)
        slot->loop->n_open--;
    exec_slot_close(slot->exec);
    slot->read = slot->write = NULL;
    slot->exec = NULL;
}

/* The machine has no process to spare: an idle keeper must not take the last one from a job. Told
 * once in a while: it may go on for long, and jobs wait. */
static void scarce(struct loop *loop, const char *why)
{
    uint64_t now = env_now_ms(&loop->env);
    loop->scarce_until_ms = now + SCARCE_MS;
    if (loop->no_process_told_ms != 0 && now - loop->no_process_told_ms < NO_PROCESS_WARN_MS)
        return;
    loop->no_process_told_ms = now;
    fprintf(stderr, "stint: this machine cannot start a job now: %s; trying again\n", why);
}

static void ending_text(const struct worker_slot *slot, const struct exec_result *result,
                        char text[320])
{
    text[0] = '\0';
    if (result->error[0] != '\0')
        snprintf(text, 320, "%s", result->error);
    else if (result->end == EXEC_TIMED_OUT)
        snprintf(text, 320, "timed out after %g s", (double)slot->timeout_ms / 1000.0);
    else if (result->end == EXEC_SIGNALLED)
        snprintf(text, 320, "killed by signal %d (SIG%s)", result->signal,
                 sigabbrev_np(result->signal) != NULL ? sigabbrev_np(result->signal) : "?");
}

static void slot_result(struct worker_slot *slot, const struct exec_result *result)
{
    char text[320];
    ending_text(slot, result, text);
    struct job_end end = {
        .id = slot->id,
        .run = slot->run,
        .not_started = result->end == EXEC_NOT_STARTED,
        .ok = result->end == EXEC_EXITED && result->exit_code == 0,
        .started_ms = result->started_ms,
        .finished_ms = result->finished_ms,
        .ending = {.exit_code = result->exit_code,
                   .signal = result->signal,
                   .timed_out = result->end == EXEC_TIMED_OUT,
                   .user_ms = (int64_t)result->user_ms,
                   .sys_ms = (int64_t)result->sys_ms,
                   .maxrss_kb = (int64_t)result->maxrss_kb,
                   .output = result->output,
                   .output_total = result->output_total,
                   .error = text[0] != '\0' ? text : NULL},
    };
    slot->busy = false;
    core_job_ended(slot->loop->core, &end);
    if (!end.not_started)
        return;
    scarce(slot->loop, text);
    if (slot->loop->n_open > 1)
        slot_close(slot);
}

/* Its keeper is gone, and with it the job. */
static void slot_lost(struct worker_slot *slot)
{
    bool busy = slot->busy;
    struct job_end end = {.id = slot->id, .run = slot->run, .lost = true};
    end.ending.exit_code = -1;
    slot->busy = false;
    slot_close(slot);
    if (busy)
        core_job_ended(slot->loop->core, &end);
}

static void on_slot(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct worker_slot *slot = ctx;
    struct exec_result result;
    int rc = exec_slot_ready(slot->exec, &result);
    if (rc < 0) {
        slot_lost(slot);
        return;
    }
    if (rc == 1 && slot->busy)
        slot_result(slot, &result);
    if (slot->exec != NULL && exec_slot_wants_write(slot->exec))
        event_add(slot->write, NULL);
}

static int slot_open(struct worker_slot *slot, struct error *err)
{
    int rc = exec_slot_open(slot->loop->config->reaper, &slot->exec, err);
    if (rc < 0)
        return rc;
    slot->loop->n_open++;
    int fd = exec_slot_fd(slot->exec);
    slot->read = event_new(slot->loop->base, fd, EV_READ | EV_PERSIST, on_slot, slot);
    slot->write = event_new(slot->loop->base, fd, EV_WRITE, on_slot, slot);
    if (slot->read == NULL || slot->write == NULL || event_add(slot->read, NULL) != 0) {
        slot_close(slot);
        return error_set(err, ERR_NO_MEMORY, "cannot watch a keeper");
    }
    return 0;
}

static struct worker_slot *slot_free(struct loop *loop)
{
    /* An open one first: a keeper is made only when more jobs run at once than ever before. */
    struct worker_slot *closed = NULL;
    for (size_t i = 0; i < LIMIT_SLOTS; i++) {
        if (loop->slots[i].busy)
            continue;
        if (loop->slots[i].exec != NULL)
            return &loop->slots[i];
        if (closed == NULL)
            closed = &loop->slots[i];
    }
    return closed;
}

static int exec_begin(struct loop *loop, struct worker_slot *slot, const struct job *job,
                      const struct lane_name *lane, struct error *err)
{
    const struct job_spec none = {0}, *spec = job->spec != NULL ? job->spec : &none;
    struct exec_limit limits[16];
    if (spec->n_limits > sizeof(limits) / sizeof(limits[0]))
        return error_set(err, ERR_INVALID, "more than 16 resource limits");
    for (size_t i = 0; i < spec->n_limits; i++)
        limits[i] = (struct exec_limit){spec->limits[i].resource, spec->limits[i].value};
    struct exec_request request = {
        .job_id = job->id,
        .run = job->run,
        .attempt = job->run - job->interruptions,
        .node_name = core_view(loop->core).name,
        .argv = job->argv,
        .env = spec->env,
        .stdin_bytes = job->payload,
        .cwd = spec->cwd,
        .timeout_ms = (uint64_t)spec->timeout_ms,
        .grace_ms = loop->config->core.kill_grace_ms,
        .output_cap_bytes = LIMIT_OUTPUT_BYTES,
        .limits = limits,
        .n_limits = spec->n_limits,
    };
    char name[ID_TEXT_BYTES];
    snprintf(request.job_name, sizeof(request.job_name), "%s",
             id_format(name, lane, id_seq(job->id)));
    int rc = exec_slot_start(slot->exec, &request, err);
    if (rc == ERR_LIMIT)
        return ERR_INVALID; /* no later try makes this job fit */
    if (rc < 0)
        return rc;
    slot->busy = true;
    slot->id = job->id;
    slot->run = job->run;
    slot->timeout_ms = request.timeout_ms;
    if (exec_slot_wants_write(slot->exec))
        event_add(slot->write, NULL);
    return 0;
}

static int job_start(struct loop *loop, const struct job *job, const struct lane_name *lane,
                     struct error *err)
{
    struct worker_slot *slot = slot_free(loop);
    if (slot == NULL)
        return error_set(err, ERR_BUSY, "no free slot");
    if (slot->exec == NULL) {
        if (loop->n_open > 0 && env_now_ms(&loop->env) < loop->scarce_until_ms)
            return error_set(err, ERR_BUSY, "few processes to spare");
        int rc = slot_open(slot, err);
        if (rc < 0)
            return rc == ERR_INVALID ? ERR_IO : rc;
    }
    int rc = exec_begin(loop, slot, job, lane, err);
    if (rc == ERR_IO)
        slot_close(slot); /* its keeper is gone: another one at the next try */
    return rc;
}

static int env_start(struct env *env, const struct job *job, const struct lane_name *lane,
                     struct error *err)
{
    struct loop *loop = loop_of(env);
    if (strcmp(job->type, "exec") != 0)
        return error_set(err, ERR_INVALID, "no handler for type %s on this node", job->type);
    int rc = job_start(loop, job, lane, err);
    if (rc < 0 && rc != ERR_INVALID && rc != ERR_BUSY)
        scarce(loop, err->text);
    return rc;
}

static void env_end(struct env *env, int64_t id, int32_t run, uint64_t grace_ms)
{
    struct loop *loop = loop_of(env);
    for (size_t i = 0; i < LIMIT_SLOTS; i++) {
        struct worker_slot *slot = &loop->slots[i];
        if (!slot->busy || slot->id != id || slot->run != run)
            continue;
        /* Nothing runs there any more: its result is on the way. */
        int rc = exec_slot_end(slot->exec, grace_ms);
        if (rc == 0 && exec_slot_wants_write(slot->exec))
            event_add(slot->write, NULL);
    }
}

/* ---- neighbours ---------------------------------------------------------------- */

static int env_peer_alive(struct env *env, const struct node *peer)
{
    return host_process_alive(loop_of(env)->config->core.identity, peer);
}

static void peer_unwatch(struct peer_watch *watch)
{
    event_free(watch->event);
    close(watch->fd);
    watch->node = 0;
}

static void on_peer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what;
    struct peer_watch *watch = ctx;
    int64_t node = watch->node;
    peer_unwatch(watch);
    core_peer_gone(watch->loop->core, node);
}

static void env_peer_watch(struct env *env, const struct node *peer)
{
    struct loop *loop = loop_of(env);
    struct peer_watch *to = NULL;
    for (size_t i = 0; i < PEERS_WATCHED_MAX; i++) {
        if (loop->peers[i].node == peer->id)
            return;
        if (to == NULL && loop->peers[i].node == 0)
            to = &loop->peers[i];
    }
    if (to == NULL)
        return;
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)peer->pid, 0);
    if (fd < 0)
        return; /* gone meanwhile, or no pidfd: the next reading of the peers sees it */
    to->event = event_new(loop->base, fd, EV_READ, on_peer, to);
    /* Between reading the record and opening the pidfd the number may have gone to another. */
    bool same = env_peer_alive(env, peer) == 1;
    if (to->event == NULL || !same || event_add(to->event, NULL) != 0) {
        if (to->event != NULL)
            event_free(to->event);
        close(fd);
        return;
    }
    to->loop = loop;
    to->fd = fd;
    to->node = peer->id;
}

static const struct env_class loop_env = {
    .now_ms = env_now_ms,
    .utc_ms = env_utc_ms,
    .random = env_random,
    .load = env_load,
    .run = env_run,
    .start = env_start,
    .end = env_end,
    .peer_alive = env_peer_alive,
    .peer_watch = env_peer_watch,
};

/* ---- the loop ---------------------------------------------------------------- */

static void on_signal(evutil_socket_t number, short what, void *ctx)
{
    (void)number, (void)what;
    struct loop *loop = ctx;
    core_stop(loop->core, *loop->stopped);
    *loop->stopped = true;
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd, (void)what, (void)ctx; /* it only ends the wait; the turn ticks the core */
}

static const int stop_signals[4] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

/* As nohup asks. */
static bool hangup_ignored(void)
{
    struct sigaction action;
    return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static int loop_open(struct loop *loop, struct error *err)
{
    struct event_config *config = event_config_new();
    if (config == NULL)
        return error_set(err, ERR_NO_MEMORY, "cannot make an event loop");
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    loop->base = event_base_new_with_config(config);
    event_config_free(config);
    if (loop->base == NULL)
        return error_set(err, ERR_NO_MEMORY, "cannot make an event loop");
    struct async *async = loop->config->async;
    loop->timer = event_new(loop->base, -1, 0, on_timer, loop);
    loop->completions =
        event_new(loop->base, async_fd(async), EV_READ | EV_PERSIST, on_completions, loop);
    if (async_wake_fd(async) >= 0)
        loop->wake =
            event_new(loop->base, async_wake_fd(async), EV_READ | EV_PERSIST, on_wake, loop);
    bool ok = loop->timer != NULL && loop->completions != NULL &&
              event_add(loop->completions, NULL) == 0 &&
              (loop->wake == NULL || event_add(loop->wake, NULL) == 0);
    for (size_t i = 0; i < 4 && ok; i++) {
        if (stop_signals[i] == SIGHUP && hangup_ignored())
            continue;
        loop->signals[i] = evsignal_new(loop->base, stop_signals[i], on_signal, loop);
        ok = loop->signals[i] != NULL && event_add(loop->signals[i], NULL) == 0;
    }
    return ok ? 0 : error_set(err, ERR_NO_MEMORY, "cannot set up the event loop");
}

static void event_drop(struct event *event)
{
    if (event != NULL)
        event_free(event);
}

static void loop_close(struct loop *loop)
{
    for (size_t i = 0; i < LIMIT_SLOTS; i++)
        slot_close(&loop->slots[i]);
    for (size_t i = 0; i < PEERS_WATCHED_MAX; i++)
        if (loop->peers[i].node != 0)
            peer_unwatch(&loop->peers[i]);
    for (size_t i = 0; i < 4; i++)
        event_drop(loop->signals[i]);
    event_drop(loop->timer);
    event_drop(loop->completions);
    event_drop(loop->wake);
    if (loop->base != NULL)
        event_base_free(loop->base);
}

static void stuck_tell(struct loop *loop)
{
    bool stuck = async_stuck_ms(loop->config->async) > STUCK_WARN_MS;
    if (stuck && !loop->stuck_told)
        fprintf(stderr, "stint: the datastore has not answered for %d s; waiting on\n",
                STUCK_WARN_MS / 1000);
    loop->stuck_told = stuck;
}

static void started_tell(struct loop *loop)
{
    struct core_view view = core_view(loop->core);
    if (loop->started || view.state == NODE_INITIALIZING)
        return;
    loop->started = true;
    loop->config->started(loop->config->ctx, &view);
}

static void turns(struct loop *loop)
{
    for (;;) {
        loop->now_ms = 0;
        uint64_t wait_ms = core_tick(loop->core);
        started_tell(loop);
        if (core_phase(loop->core) != CORE_RUNNING && core_quiet(loop->core))
            return;
        if (wait_ms > TURN_WAIT_MS_MAX)
            wait_ms = TURN_WAIT_MS_MAX;
        struct timeval wait = {
            .tv_sec = (time_t)(wait_ms / 1000),
            .tv_usec = (suseconds_t)(wait_ms % 1000) * 1000,
        };
        event_add(loop->timer, &wait);
        loop->now_ms = 0;
        event_base_loop(loop->base, EVLOOP_ONCE);
        stuck_tell(loop);
    }
}

enum core_phase loop_run(const struct loop_config *config, bool *stopped, struct error *err)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        error_set(err, ERR_NO_MEMORY, "out of memory");
        return CORE_FAILED;
    }
    enum core_phase phase = CORE_FAILED;
    loop->env.class = &loop_env;
    loop->config = config;
    loop->stopped = stopped;
    for (size_t i = 0; i < LIMIT_SLOTS; i++)
        loop->slots[i].loop = loop;
    if (getrandom(loop->random, sizeof(loop->random), 0) != (ssize_t)sizeof(loop->random))
        loop->random[0] = clock_ms(CLOCK_REALTIME) + 1;
    if (loop_open(loop, err) < 0)
        goto out;
    loop->core = core_new(&config->core, &loop->env);
    if (*stopped)
        core_stop(loop->core, false);
    turns(loop);
    phase = core_phase(loop->core);
    if (phase == CORE_FAILED || phase == CORE_FENCED)
        *err = *core_error(loop->core);
    if (loop->started) {
        struct core_view view = core_view(loop->core);
        config->over(config->ctx, &view);
    }
    core_free(loop->core);
out:
    loop_close(loop);
    free(loop);
    return phase;
}
