/* The reaper process, and the node's handle on it.
 *
 * Why a process beside the node: only the living can clean up after a kill -9. It is forked before
 * the node has threads and an open datastore, so it is tiny, shares no lock and no descriptor with
 * the node, and has nothing to crash on. It runs no job itself: keepers do (keeper.h).
 *
 * Invariants:
 * 1. Every child is a known keeper, or a stray to be ended: the leftover of a keeper that died.
 * 2. The reaper exits only after everything below it is gone, or could not be ended for DIE_MS_MAX.
 * 3. Neither end of a keeper's socket stays open here.
 * Thread: reaper_* calls on the node's main thread; reaper_main in a process of its own. */
#define _GNU_SOURCE
#include "node/reaper.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "datastore/limits.h"
#include "node/keeper.h"
#include "node/proctree.h"

enum {
    KEEPERS = 2 * LIMIT_SLOTS, /* closed ones may take a while to go */
    OPEN_MS_MAX = 5000,
    DIE_MS_MAX = 10000,
    STRAY_MS_MAX = 500, /* for one try; then requests are looked at again */
    STRAY_RETRY_MS = 200,
    STOP_POLL_MS = 2,
};

struct reaper {
    pid_t pid;
    int sock; /* -1 once it failed */
};

/* --- The reaper process ----------------------------------------------------------------------- */

struct reaping {
    int sock;
    int signal_fd;
    pid_t node_pid;
    char **base_env;
    bool strays; /* there may be some */
    pid_t keepers[KEEPERS];
    struct proctree_spare spare; /* the keepers */
};

static void on_reaped(void *ctx, pid_t pid, int status, const struct rusage *usage)
{
    (void)status;
    (void)usage;
    struct reaping *reaping = ctx;
    reaping->strays = true; /* what died was a keeper, or had children that are ours now */
    for (size_t i = 0; i < reaping->spare.n; i++) {
        if (reaping->keepers[i] == pid) {
            reaping->keepers[i] = reaping->keepers[--reaping->spare.n];
            return;
        }
    }
}

static noreturn void end_all(struct reaping *reaping)
{
    bool clean = proctree_end(NULL, DIE_MS_MAX, on_reaped, reaping);
    _exit(clean ? 0 : 1);
}

static void end_strays(struct reaping *reaping)
{
    reaping->strays = false;
    if (!proctree_end(&reaping->spare, STRAY_MS_MAX, on_reaped, reaping))
        reaping->strays = true;
}

/* Forks a keeper; gives the node's end of its socket, or returns -errno. */
static int fork_keeper(struct reaping *reaping, int *ret_fd)
{
    int pair[2];
    if (reaping->spare.n == KEEPERS)
        return -EAGAIN;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -errno;
    pid_t reaper_pid = getpid();
    pid_t pid = fork();
    if (pid < 0) {
        int error = errno;
        close(pair[0]);
        close(pair[1]);
        return -error;
    }
    if (pid == 0) {
        close(pair[0]);
        close(reaping->sock);
        close(reaping->signal_fd);
        keeper_main(pair[1], reaper_pid, reaping->base_env);
    }
    close(pair[1]);
    reaping->keepers[reaping->spare.n++] = pid;
    *ret_fd = pair[0];
    return 0;
}

union fd_message {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int))];
};

/* `fd` may be -1. */
static void reply(int sock, int32_t code, int fd)
{
    union fd_message control = {0};
    struct iovec part = {&code, sizeof(code)};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    }
    sendmsg(sock, &message, MSG_NOSIGNAL); /* a node that is gone is seen at the next read */
}

static void serve(struct reaping *reaping)
{
    char request = 0;
    ssize_t got = recv(reaping->sock, &request, 1, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        end_all(reaping);
    int fd = -1;
    int code = fork_keeper(reaping, &fd);
    reply(reaping->sock, code, fd);
    if (fd >= 0)
        close(fd);
}

static void on_signals(struct reaping *reaping)
{
    struct signalfd_siginfo infos[4];
    while (read(reaping->signal_fd, infos, sizeof(infos)) == (ssize_t)sizeof(infos))
        continue;
    if (getppid() != reaping->node_pid)
        end_all(reaping);
    (void)!proctree_reap(on_reaped, reaping); /* having no child left is fine */
}

/* Drops what came from the node: descriptors, dispositions, and STINT_* settings, which may hold
 * passwords. All signals are blocked, so that no stray one ends what must outlive the node. */
static void leave_the_node(struct reaping *reaping)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction action = {.sa_handler = SIG_DFL};
        action.sa_flags = signal == SIGCHLD ? SA_NOCLDSTOP : 0;
        sigaction(signal, &action, NULL);
    }
    int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null_fd < 0)
        _exit(1);
    dup2(null_fd, 0);
    dup2(null_fd, 1);
    if (reaping->sock > 3)
        close_range(3, (unsigned int)reaping->sock - 1, 0);
    close_range((unsigned int)reaping->sock + 1, ~0U, 0);
    size_t n = 0;
    for (char **setting = environ; *setting != NULL; setting++) {
        if (strncmp(*setting, "STINT_", 6) != 0)
            environ[n++] = *setting;
    }
    environ[n] = NULL;
    reaping->base_env = environ;
}

static noreturn void reaper_main(int sock, pid_t node_pid)
{
    static struct reaping reaping;
    reaping.sock = sock;
    reaping.node_pid = node_pid;
    reaping.spare.pids = reaping.keepers;
    leave_the_node(&reaping);
    setsid(); /* Ctrl-C in the node's terminal is not for us */
    prctl(PR_SET_NAME, "stint-reaper");
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM); /* the death of the node, even where a copy of its socket lives on */
    reaping.signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (reaping.signal_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != node_pid)
        _exit(1);
    for (;;) {
        struct pollfd fds[] = {
            {.fd = reaping.signal_fd, .events = POLLIN},
            {.fd = reaping.sock, .events = POLLIN},
        };
        poll(fds, 2, reaping.strays ? STRAY_RETRY_MS : -1);
        if (fds[0].revents != 0)
            on_signals(&reaping);
        if (fds[1].revents != 0)
            serve(&reaping);
        if (reaping.strays)
            end_strays(&reaping);
    }
}

/* --- The node's side -------------------------------------------------------------------------- */

/* A descriptor below 3 must never be a socket: jobs get those three. */
static int fill_standard_fds(struct error *err)
{
    for (;;) {
        int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return error_set(err, ERR_IO, "cannot open /dev/null: %s", strerror(errno));
        if (fd > 2)
            return close(fd);
        fcntl(fd, F_SETFD, 0);
    }
}

int reaper_start(struct reaper **ret_reaper, struct error *err)
{
    if (!proctree_usable())
        return error_set(err, ERR_IO, "running jobs needs /proc: mount it, or run noop jobs only");
    int code = fill_standard_fds(err);
    if (code != 0)
        return code;
    struct reaper *reaper = calloc(1, sizeof(*reaper));
    if (reaper == NULL)
        return error_set(err, ERR_NO_MEMORY, "out of memory");
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        code = error_set(err, ERR_IO, "cannot make the reaper's socket: %s", strerror(errno));
        goto free_reaper;
    }
    pid_t node_pid = getpid();
    reaper->pid = fork();
    if (reaper->pid < 0) {
        code = error_set(err, ERR_IO, "cannot fork the reaper: %s", strerror(errno));
        goto close_pair;
    }
    if (reaper->pid == 0)
        reaper_main(pair[1], node_pid);
    close(pair[1]);
    reaper->sock = pair[0];
    *ret_reaper = reaper;
    return 0;

close_pair:
    close(pair[0]);
    close(pair[1]);
free_reaper:
    free(reaper);
    return code;
}

static bool is_gone(pid_t pid)
{
    pid_t got = waitpid(pid, NULL, WNOHANG);
    return got == pid || (got < 0 && errno == ECHILD);
}

void reaper_stop(struct reaper *reaper)
{
    if (reaper == NULL)
        return;
    if (reaper->sock >= 0)
        close(reaper->sock);
    const struct timespec pause = {.tv_nsec = STOP_POLL_MS * 1000000L};
    for (int waited_ms = 0; !is_gone(reaper->pid); waited_ms += STOP_POLL_MS) {
        if (waited_ms == DIE_MS_MAX + 1000)
            kill(reaper->pid, SIGKILL); /* its keepers see that and end their trees */
        if (waited_ms > DIE_MS_MAX + 2000)
            break;
        nanosleep(&pause, NULL);
    }
    free(reaper);
}

int reaper_pid(const struct reaper *reaper)
{
    return reaper->pid;
}

/* Returns the code in the reply, or -errno; -ETIMEDOUT when none came. */
static int receive_reply(int sock, int *ret_fd)
{
    struct pollfd ready = {.fd = sock, .events = POLLIN};
    int n = 0;
    do {
        n = poll(&ready, 1, OPEN_MS_MAX);
    } while (n < 0 && errno == EINTR);
    if (n <= 0)
        return n == 0 ? -ETIMEDOUT : -errno;
    int32_t code = 0;
    union fd_message control = {0};
    struct iovec part = {&code, sizeof(code)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
    if (got != (ssize_t)sizeof(code))
        return got < 0 ? -errno : -EPIPE;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (code == 0 && head == NULL)
        return -EMFILE; /* this process has no descriptor left to receive it in */
    if (code == 0)
        memcpy(ret_fd, CMSG_DATA(head), sizeof(*ret_fd));
    return code;
}

int reaper_open_keeper(struct reaper *reaper, int *ret_fd, struct error *err)
{
    int fd = -1;
    int code = -EPIPE;
    if (reaper->sock >= 0)
        code = send(reaper->sock, "k", 1, MSG_NOSIGNAL) == 1 ? receive_reply(reaper->sock, &fd)
                                                             : -errno;
    if (code == -ETIMEDOUT) { /* its reply must not be taken for that of a later request */
        close(reaper->sock);
        reaper->sock = -1;
    }
    if (code != 0)
        return error_set(err, ERR_IO, "cannot open a slot for jobs: %s", strerror(-code));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    *ret_fd = fd;
    return 0;
}
