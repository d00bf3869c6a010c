/* A keeper: runs one job at a time, holds its output, ends all that is left of it.
 *
 *     idle ──START──▶ running ──root exits──────────────────────▶ RESULT, idle
 *                        │                                          ▲
 *                        └─time-out, END──▶ ending (TERM sent) ─────┘ root exits, or KILL
 *     any ──node or reaper gone──▶ everything below killed, exit
 *
 * Why a process for each slot: as a subreaper it adopts every orphan of its job and of no other, so
 * what belongs to a job needs no bookkeeping, and a job costs one clone and no fork.
 *
 * Invariants:
 * 1. Idle means that no process is below: a result is sent only when waitpid says so, or else (it
 *    could not be ended) the keeper exits after it, and the reaper takes over what is left.
 * 2. Each START is answered by one RESULT, unless the node is gone.
 * 3. Reading output never waits for an end of file: who still holds the pipe does not matter. The
 *    keeper holds its writing end itself, so that an exiting job wakes it once, by SIGCHLD, and not
 *    by the end of file first (measured: about one context switch less a job).
 * Thread: the only one of the keeper process. */
#define _GNU_SOURCE
#include "node/keeper.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/exec.h"
#include "node/proctree.h"
#include "node/spawn.h"

enum {
    INPUT_BYTES = 16 << 10, /* kept for requests; larger ones are freed after their job */
    READ_BYTES = 64 << 10,
    DRAIN_READS = 64, /* a pipe holds at most 1 MiB; somebody outside might go on writing */
    END_MS_MAX = 5000,
    DIE_MS_MAX = 10000,
};

static const uint64_t NEVER = UINT64_MAX;

struct job {
    bool running;
    bool root_gone;
    bool ending; /* TERM is sent */
    pid_t root;
    int status; /* of the root, once gone */
    int output_fds[2]; /* both ends of its pipe, -1 when there is none */
    uint32_t output_cap;
    uint64_t output_total;
    uint64_t grace_ms;
    uint64_t started_at_ms; /* monotonic, as the two below */
    uint64_t timeout_at_ms;
    uint64_t kill_at_ms;
    uint64_t user_us;
    uint64_t sys_us;
    struct keeper_result result;
};

struct keeper {
    int sock;
    int signal_fd;
    pid_t reaper_pid;
    char *const *base_env;
    uint8_t *input;
    size_t input_len;
    size_t input_cap;
    struct job job;
    uint8_t tail[LIMIT_OUTPUT_BYTES]; /* ring: byte n of the output is at n % output_cap */
};

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t at_most_never(uint64_t from_ms, uint64_t plus_ms)
{
    return plus_ms > NEVER - from_ms ? NEVER : from_ms + plus_ms;
}

/* --- What runs -------------------------------------------------------------------------------- */

static uint64_t time_us(struct timeval time)
{
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static void on_reaped(void *ctx, pid_t pid, int status, const struct rusage *usage)
{
    struct job *job = &((struct keeper *)ctx)->job;
    job->user_us += time_us(usage->ru_utime);
    job->sys_us += time_us(usage->ru_stime);
    uint64_t maxrss_kb = (uint64_t)usage->ru_maxrss;
    if (maxrss_kb > job->result.maxrss_kb)
        job->result.maxrss_kb = maxrss_kb;
    if (!job->running || pid != job->root)
        return;
    job->root_gone = true;
    job->status = status;
    job->result.finished_ms = (int64_t)clock_ms(CLOCK_REALTIME);
    job->result.wall_ms = clock_ms(CLOCK_MONOTONIC) - job->started_at_ms;
}

static noreturn void leave(struct keeper *keeper)
{
    bool clean = proctree_end(NULL, DIE_MS_MAX, on_reaped, keeper);
    _exit(clean ? 0 : 1);
}

/* --- Output ----------------------------------------------------------------------------------- */

static void keep_tail(struct keeper *keeper, const uint8_t *data, size_t len)
{
    struct job *job = &keeper->job;
    uint64_t at = job->output_total;
    job->output_total += len;
    size_t cap = job->output_cap;
    if (cap == 0)
        return;
    if (len > cap) {
        at += len - cap;
        data += len - cap;
        len = cap;
    }
    size_t from = (size_t)(at % cap);
    size_t first = len < cap - from ? len : cap - from;
    memcpy(keeper->tail + from, data, first);
    memcpy(keeper->tail, data + first, len - first);
}

/* Returns false when there is nothing more for now. */
static bool read_output(struct keeper *keeper)
{
    static uint8_t buffer[READ_BYTES];
    struct job *job = &keeper->job;
    ssize_t got = read(job->output_fds[0], buffer, sizeof(buffer));
    if (got <= 0)
        return false;
    keep_tail(keeper, buffer, (size_t)got);
    return true;
}

static void close_output(struct job *job)
{
    for (int i = 0; i < 2; i++) {
        if (job->output_fds[i] >= 0)
            close(job->output_fds[i]);
        job->output_fds[i] = -1;
    }
}

/* --- Results ---------------------------------------------------------------------------------- */

/* Blocks: a node that reads no more ends or is ended, and then the socket says so. */
static void send_all(struct keeper *keeper, struct iovec *parts, size_t n_parts)
{
    while (n_parts > 0) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = n_parts};
        ssize_t sent = sendmsg(keeper->sock, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            leave(keeper);
        size_t left = (size_t)sent;
        for (; n_parts > 0 && left >= parts->iov_len; parts++, n_parts--)
            left -= parts->iov_len;
        if (n_parts > 0) {
            parts->iov_base = (uint8_t *)parts->iov_base + left;
            parts->iov_len -= left;
        }
    }
}

static void send_result(struct keeper *keeper)
{
    struct job *job = &keeper->job;
    size_t cap = job->output_cap;
    size_t from = 0;
    size_t len = (size_t)job->output_total;
    if (job->output_total > cap) {
        len = cap;
        from = cap == 0 ? 0 : (size_t)(job->output_total % cap);
    }
    size_t first = len < cap - from ? len : cap - from;
    job->result.output_len = (uint32_t)len;
    job->result.output_total = job->output_total;
    job->result.user_ms = job->user_us / 1000;
    job->result.sys_ms = job->sys_us / 1000;
    struct keeper_head head = {.len = (uint32_t)(sizeof(job->result) + len),
                               .kind = KEEPER_RESULT};
    struct iovec parts[] = {
        {&head, sizeof(head)},
        {&job->result, sizeof(job->result)},
        {keeper->tail + from, first},
        {keeper->tail, len - first},
    };
    job->running = false;
    send_all(keeper, parts, sizeof(parts) / sizeof(parts[0]));
}

static void describe_end(struct job *job)
{
    struct keeper_result *result = &job->result;
    if (!job->root_gone) { /* it could not be ended */
        result->finished_ms = (int64_t)clock_ms(CLOCK_REALTIME);
        result->wall_ms = clock_ms(CLOCK_MONOTONIC) - job->started_at_ms;
        return;
    }
    if (WIFEXITED(job->status))
        result->exit_code = WEXITSTATUS(job->status);
    else
        result->signal = WTERMSIG(job->status);
    if (!job->ending)
        result->end = WIFEXITED(job->status) ? EXEC_EXITED : EXEC_SIGNALLED;
}

/* The root is gone, or all of it must go now. */
static void finish(struct keeper *keeper)
{
    struct job *job = &keeper->job;
    bool clean = proctree_end(NULL, END_MS_MAX, on_reaped, keeper);
    for (int i = 0; i < DRAIN_READS && read_output(keeper); i++)
        continue;
    close_output(job);
    describe_end(job);
    if (!clean)
        snprintf(job->result.error, sizeof(job->result.error),
                 "some of its processes could not be ended (another user's, or stuck)");
    send_result(keeper);
    if (!clean)
        leave(keeper);
}

/* --- Starting --------------------------------------------------------------------------------- */

/* What a START frame holds; views into the input buffer. */
struct start {
    struct keeper_start head;
    struct spawn_limit limits[KEEPER_LIMITS];
    struct bytes argv;
    struct bytes env;
    struct bytes cwd;
    struct bytes stdin_bytes;
};

static struct bytes take(const uint8_t **at, size_t len)
{
    struct bytes bytes = {*at, len};
    *at += len;
    return bytes;
}

static bool ends_in_nul(struct bytes strings)
{
    return strings.len == 0 || strings.data[strings.len - 1] == '\0';
}

/* Soft and hard limit both, or the job could lift it; but never above today's hard limit silently:
 * setrlimit refuses that to an ordinary user. */
static struct spawn_limit to_spawn_limit(const struct exec_limit *limit)
{
    struct spawn_limit spawned = {limit->resource, {limit->value, limit->value}};
    struct rlimit now;
    if (limit->resource == RLIMIT_CPU && limit->value < RLIM_INFINITY - 1 &&
        getrlimit(RLIMIT_CPU, &now) == 0 && limit->value < now.rlim_max)
        spawned.limit.rlim_max = limit->value + 1;
    return spawned;
}

/* The node checks requests; here a wrong one is a bug. */
static void parse_start(const uint8_t *data, size_t len, struct start *ret_start)
{
    const uint8_t *at = data;
    assert(len >= sizeof(ret_start->head));
    memcpy(&ret_start->head, take(&at, sizeof(ret_start->head)).data, sizeof(ret_start->head));
    const struct keeper_start *head = &ret_start->head;
    assert(head->n_limits <= KEEPER_LIMITS && head->output_cap_bytes <= LIMIT_OUTPUT_BYTES);
    size_t limits_len = head->n_limits * sizeof(struct exec_limit);
    assert(len == sizeof(*head) + limits_len + (size_t)head->argv_len + head->env_len +
                      head->cwd_len + head->stdin_len);
    for (uint32_t i = 0; i < head->n_limits; i++) {
        struct exec_limit limit;
        memcpy(&limit, take(&at, sizeof(limit)).data, sizeof(limit));
        ret_start->limits[i] = to_spawn_limit(&limit);
    }
    ret_start->argv = take(&at, head->argv_len);
    ret_start->env = take(&at, head->env_len);
    ret_start->cwd = take(&at, head->cwd_len);
    ret_start->stdin_bytes = take(&at, head->stdin_len);
    assert(ret_start->argv.len > 0 && ends_in_nul(ret_start->argv));
    assert(ends_in_nul(ret_start->env) && ends_in_nul(ret_start->cwd));
}

static const char *limit_name(int resource)
{
    static const char *const names[RLIM_NLIMITS] = {
        [RLIMIT_AS] = "address space",     [RLIMIT_CORE] = "core size",
        [RLIMIT_CPU] = "CPU time",         [RLIMIT_DATA] = "data size",
        [RLIMIT_FSIZE] = "file size",      [RLIMIT_MEMLOCK] = "locked memory",
        [RLIMIT_NOFILE] = "open files",    [RLIMIT_NPROC] = "processes",
        [RLIMIT_STACK] = "stack size",
    };
    const char *name = resource >= 0 && resource < RLIM_NLIMITS ? names[resource] : NULL;
    return name != NULL ? name : "resource";
}

static void describe_failure(const struct start *start, const struct spawn_failure *failure,
                             char *text, size_t size)
{
    const char *command = (const char *)start->argv.data;
    const char *why = strerror(failure->error);
    switch (failure->step) {
    case SPAWN_CWD:
        snprintf(text, size, "cannot enter the working folder '%.160s': %s",
                 (const char *)start->cwd.data, why);
        return;
    case SPAWN_LIMIT:
        snprintf(text, size, "cannot set the limit on %s: %s", limit_name(failure->resource), why);
        return;
    case SPAWN_EXEC:
        if (failure->error == ENOENT && strchr(command, '/') == NULL)
            snprintf(text, size, "cannot run '%.160s': command not found", command);
        else
            snprintf(text, size, "cannot run '%.160s': %s", command, why);
        return;
    case SPAWN_OK:
    case SPAWN_CLONE:
        break;
    }
    snprintf(text, size, "cannot start a process: %s", why);
}

/* Anonymous memory as the job's stdin: nobody has to write while it runs. Returns 0 (our stdin,
 * /dev/null) for no bytes, -1 on failure. */
static int open_stdin(struct bytes bytes)
{
    if (bytes.len == 0)
        return 0;
    int fd = memfd_create("stint-stdin", MFD_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t done = 0;
    while (done < bytes.len) {
        ssize_t wrote = pwrite(fd, bytes.data + done, bytes.len - done, (off_t)done);
        if (wrote <= 0) {
            close(fd);
            return -1;
        }
        done += (size_t)wrote;
    }
    return fd;
}

/* A pipe for each job: what one does to its flags must not reach the next. */
static int open_output(int ret_fds[2])
{
    if (pipe2(ret_fds, O_CLOEXEC) != 0)
        return -1;
    return fcntl(ret_fds[0], F_SETFL, O_NONBLOCK);
}

/* Returns the pid, or -1 with result.error written. */
static pid_t spawn_job(struct keeper *keeper, const struct start *start)
{
    struct job *job = &keeper->job;
    struct spawn_failure failure = {.step = SPAWN_CLONE};
    pid_t pid = -1;
    int stdin_fd = -1;
    char **envp = NULL;
    char **argv = spawn_strings(start->argv);
    if (argv != NULL)
        envp = spawn_environment(keeper->base_env, start->env);
    if (envp != NULL)
        stdin_fd = open_stdin(start->stdin_bytes);
    if (stdin_fd >= 0 && open_output(job->output_fds) == 0) {
        struct spawn_plan plan = {
            .argv = argv,
            .envp = envp,
            .cwd = start->cwd.len > 0 ? (const char *)start->cwd.data : NULL,
            .stdin_fd = stdin_fd,
            .output_fd = job->output_fds[1],
            .limits = start->limits,
            .n_limits = start->head.n_limits,
        };
        pid = spawn(&plan, &failure);
    } else {
        failure.error = errno;
    }
    if (pid < 0) {
        describe_failure(start, &failure, job->result.error, sizeof(job->result.error));
        /* Before there is a process nothing of the job's own has been looked at yet. */
        if (failure.step == SPAWN_CLONE)
            job->result.end = EXEC_NOT_STARTED;
        close_output(job);
    }
    if (stdin_fd > 0)
        close(stdin_fd);
    free(envp);
    free(argv);
    return pid;
}

static void start_job(struct keeper *keeper, const uint8_t *data, size_t len)
{
    assert(!keeper->job.running);
    struct start start;
    parse_start(data, len, &start);
    struct job *job = &keeper->job;
    *job = (struct job){
        .running = true,
        .output_fds = {-1, -1},
        .output_cap = start.head.output_cap_bytes,
        .grace_ms = start.head.grace_ms,
        .started_at_ms = clock_ms(CLOCK_MONOTONIC),
        .timeout_at_ms = NEVER,
        .kill_at_ms = NEVER,
        .result = {.end = EXEC_SPAWN_FAILED,
                   .exit_code = -1,
                   .started_ms = (int64_t)clock_ms(CLOCK_REALTIME)},
    };
    if (start.head.timeout_ms > 0)
        job->timeout_at_ms = at_most_never(job->started_at_ms, start.head.timeout_ms);
    job->root = spawn_job(keeper, &start);
    if (job->root < 0) {
        job->result.finished_ms = (int64_t)clock_ms(CLOCK_REALTIME);
        send_result(keeper);
    }
}

/* --- Ending ----------------------------------------------------------------------------------- */

/* The first reason stays; a second request can only shorten the grace. */
static void end_job(struct keeper *keeper, enum exec_end why, uint64_t grace_ms)
{
    struct job *job = &keeper->job;
    if (!job->running)
        return; /* it ended while the request was under way */
    uint64_t kill_at_ms = at_most_never(clock_ms(CLOCK_MONOTONIC), grace_ms);
    if (kill_at_ms < job->kill_at_ms)
        job->kill_at_ms = kill_at_ms;
    if (job->ending)
        return;
    job->ending = true;
    job->timeout_at_ms = NEVER;
    job->result.end = why;
    if (grace_ms == 0)
        return;
    proctree_terminate();
}

static void check_deadlines(struct keeper *keeper)
{
    struct job *job = &keeper->job;
    if (!job->running || (job->timeout_at_ms == NEVER && job->kill_at_ms == NEVER))
        return;
    if (clock_ms(CLOCK_MONOTONIC) >= job->timeout_at_ms)
        end_job(keeper, EXEC_TIMED_OUT, job->grace_ms);
    if (clock_ms(CLOCK_MONOTONIC) >= job->kill_at_ms)
        finish(keeper);
}

/* --- The loop --------------------------------------------------------------------------------- */

static void handle_frame(struct keeper *keeper, uint32_t kind, const uint8_t *data, size_t len)
{
    if (kind == KEEPER_START) {
        start_job(keeper, data, len);
        return;
    }
    struct keeper_end end;
    assert(kind == KEEPER_END && len == sizeof(end));
    memcpy(&end, data, sizeof(end));
    end_job(keeper, EXEC_ENDED, end.grace_ms);
}

/* Returns the bytes used: 0 while the frame at the front is not whole. */
static size_t handle_front(struct keeper *keeper)
{
    struct keeper_head head;
    if (keeper->input_len < sizeof(head))
        return 0;
    memcpy(&head, keeper->input, sizeof(head));
    assert(head.len <= KEEPER_FRAME_BYTES);
    size_t whole = sizeof(head) + head.len;
    if (keeper->input_len >= whole) {
        handle_frame(keeper, head.kind, keeper->input + sizeof(head), head.len);
        return whole;
    }
    if (keeper->input_cap < whole) {
        uint8_t *input = realloc(keeper->input, whole);
        if (input == NULL)
            leave(keeper); /* the node learns that this slot is gone */
        keeper->input = input;
        keeper->input_cap = whole;
    }
    return 0;
}

static void receive(struct keeper *keeper)
{
    ssize_t got = recv(keeper->sock, keeper->input + keeper->input_len,
                       keeper->input_cap - keeper->input_len, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        leave(keeper); /* the node closed the slot, or is gone */
    keeper->input_len += (size_t)got;
    for (size_t used = handle_front(keeper); used > 0; used = handle_front(keeper)) {
        keeper->input_len -= used;
        memmove(keeper->input, keeper->input + used, keeper->input_len);
    }
    if (keeper->input_len == 0 && keeper->input_cap > INPUT_BYTES) {
        uint8_t *input = realloc(keeper->input, INPUT_BYTES);
        keeper->input = input != NULL ? input : keeper->input;
        keeper->input_cap = INPUT_BYTES;
    }
}

static void on_signals(struct keeper *keeper)
{
    struct signalfd_siginfo infos[4];
    while (read(keeper->signal_fd, infos, sizeof(infos)) == (ssize_t)sizeof(infos))
        continue;
    if (getppid() != keeper->reaper_pid)
        leave(keeper);
    if (proctree_reap(on_reaped, keeper))
        assert(!keeper->job.running || keeper->job.root_gone);
    if (keeper->job.running && keeper->job.root_gone)
        finish(keeper);
}

/* Poll's wait until the next deadline: rounded down at most to now, so never late by a round. */
static int wait_ms(const struct job *job)
{
    if (!job->running)
        return -1;
    uint64_t at_ms = job->timeout_at_ms < job->kill_at_ms ? job->timeout_at_ms : job->kill_at_ms;
    if (at_ms == NEVER)
        return -1;
    uint64_t now_ms = clock_ms(CLOCK_MONOTONIC);
    uint64_t left_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    return left_ms > 60000 ? 60000 : (int)left_ms;
}

static noreturn void run(struct keeper *keeper)
{
    for (;;) {
        struct pollfd fds[] = {
            {.fd = keeper->signal_fd, .events = POLLIN},
            {.fd = keeper->sock, .events = POLLIN},
            {.fd = keeper->job.running ? keeper->job.output_fds[0] : -1, .events = POLLIN},
        };
        if (poll(fds, 3, wait_ms(&keeper->job)) < 0 && errno != EINTR)
            leave(keeper);
        if (fds[2].revents != 0)
            read_output(keeper);
        if (fds[0].revents != 0)
            on_signals(keeper);
        if (fds[1].revents != 0)
            receive(keeper);
        check_deadlines(keeper);
    }
}

noreturn void keeper_main(int sock, pid_t reaper_pid, char *const *base_env)
{
    static struct keeper keeper;
    static_assert(sizeof(struct exec_limit) == 16, "as KEEPER_FRAME_BYTES counts them");
    keeper.sock = sock;
    keeper.reaper_pid = reaper_pid;
    keeper.base_env = base_env;
    keeper.input_cap = INPUT_BYTES;
    keeper.input = malloc(INPUT_BYTES);
    setsid(); /* see proctree.c, invariant 1 */
    prctl(PR_SET_NAME, "stint-keeper");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM); /* the death of the reaper */
    keeper.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (keeper.input == NULL || keeper.signal_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != reaper_pid)
        _exit(1);
    run(&keeper);
}
