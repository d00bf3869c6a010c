/* Processes of a selftest: this program again, as a user would start it.
 *
 * A child dies when this process does, however that ends (PR_SET_PDEATHSIG), and a node's own
 * processes when it does. That holds before anything is done to it: frozen earlier it would stay
 * for ever. Between fork and exec only what is safe beside the driver's threads. This process is
 * a subreaper: what a killed node leaves comes here and is waited for, so that nothing runs on
 * when it ends. Children have a group of their own: Ctrl-C is for this process alone.
 * Single-threaded. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/selftest.h"

enum { ARGUMENTS_MAX = 32, LOOK_MS = 10 };

int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Never returns. Closes `gate` when it will die with its parent. */
static void child_run(const struct selftest *test, char *const *argv, int in, int out, int log,
                      pid_t parent, int gate)
{
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || dup2(in, 0) < 0 ||
        dup2(out, 1) < 0 || dup2(log, 2) < 0)
        _exit(CLI_FAILED);
    close(gate);
    syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execve(test->program, argv, test->env);
    _exit(CLI_FAILED);
}

/* The child, or 0. It dies with this process when this returns. */
static pid_t child_start(const struct selftest *test, char *const *argv, int in, int out, int log)
{
    int gate[2];
    pid_t parent = getpid(), pid = -1;
    if (pipe2(gate, O_CLOEXEC) == 0) {
        pid = fork();
        if (pid == 0)
            child_run(test, argv, in, out, log, parent, gate[1]);
        close(gate[1]);
        char none;
        while (pid > 0 && read(gate[0], &none, 1) < 0 && errno == EINTR)
            continue;
        close(gate[0]);
    }
    if (pid < 0)
        cli_error(CLI_FAILED, "cannot start a process: %s", strerror(errno));
    return pid > 0 ? pid : 0;
}

static int file_open(const struct selftest *test, const char *name, int flags)
{
    char *path = scratch_path(&test->scratch, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        cli_error(CLI_REFUSED, "cannot write %s: %s", path, strerror(errno));
    free(path);
    return fd;
}

pid_t process_start(const struct selftest *test, const char **argv, const char *out,
                    const char *log)
{
    char *args[ARGUMENTS_MAX] = {0};
    argv[0] = "stint";
    for (size_t i = 0; i + 1 < ARGUMENTS_MAX && argv[i] != NULL; i++)
        args[i] = (char *)(uintptr_t)argv[i]; /* exec takes char *, and only reads */
    int log_fd = file_open(test, log, O_APPEND);
    int out_fd = out != NULL ? file_open(test, out, O_TRUNC) : log_fd;
    int in_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t pid = 0;
    if (log_fd >= 0 && out_fd >= 0 && in_fd >= 0)
        pid = child_start(test, args, in_fd, out_fd, log_fd);
    if (out_fd != log_fd)
        close(out_fd);
    close(log_fd);
    close(in_fd);
    return pid;
}

int process_ended(pid_t *ret_pid, int *ret_how)
{
    *ret_pid = waitpid(-1, ret_how, WNOHANG);
    return *ret_pid > 0 ? 1 : 0;
}

bool process_none_left(uint64_t wait_ms)
{
    uint64_t began_ms = clock_ms();
    for (;;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0 && errno == ECHILD)
            return true;
        if (pid > 0)
            continue;
        if (clock_ms() - began_ms > wait_ms)
            return false;
        struct timespec pause = {.tv_nsec = LOOK_MS * 1000000};
        nanosleep(&pause, NULL);
    }
}
