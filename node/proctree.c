/* Walks /proc for the processes below this one, and ends them.
 *
 * Why by parentage: a process can leave its group, its session and its environment, but never the
 * subtree of a subreaper. Why our children first: the kernel lists them in microseconds, and each
 * kill makes their children ours; a walk over all of /proc is long out of date for processes that
 * always fork and exit. Why whole groups: kill(-group) and fork exclude each other in the kernel,
 * so a process that never stays is hit too. Why nothing is stopped first: what has a SIGKILL
 * pending cannot fork either. The walk finds what the list left out, and what to send a TERM.
 *
 * Invariants:
 * 1. A group found below us holds no process from elsewhere: groups cannot cross sessions, and we
 *    lead ours. Our own group is the one exception, and it is never signalled as a group.
 * 2. A process is looked at again (same start time, same group) right before it is signalled.
 * 3. Only waitpid decides that nothing is left; /proc only says what to signal.
 * 4. Every loop is bounded.
 * Thread: the only one of its process (a keeper or the reaper). */
#define _GNU_SOURCE
#include "node/proctree.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "datastore/procfs.h"

enum {
    STAT_BYTES = 1024,
    HUNT_PASSES = 200, /* looks at our own children, microseconds each */
    HUNT_BYTES = 16 << 10,
    ROUND_WAIT_MS = 10, /* for the killed to be gone */
};

struct process {
    pid_t pid;
    pid_t parent;
    pid_t group;
    int64_t start; /* clock ticks since boot */
};

struct processes {
    struct process *items;
    size_t n;
    size_t cap;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool look_at(pid_t pid, struct process *ret_process)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    char line[STAT_BYTES];
    ssize_t got = read(fd, line, sizeof(line) - 1);
    close(fd);
    if (got <= 0)
        return false;
    line[got] = '\0';
    struct proc_stat stat;
    if (!proc_stat_parse(line, &stat))
        return false;
    *ret_process = (struct process){
        .pid = pid, .parent = (pid_t)stat.parent, .group = (pid_t)stat.group, .start = stat.start};
    return true;
}

bool proctree_usable(void)
{
    struct process self;
    return look_at(getpid(), &self) && self.parent == getppid();
}

static bool append(struct processes *list, const struct process *process)
{
    if (list->n == list->cap) {
        size_t cap = list->cap == 0 ? 512 : list->cap * 2;
        struct process *items = realloc(list->items, cap * sizeof(*items));
        if (items == NULL)
            return false;
        list->items = items;
        list->cap = cap;
    }
    list->items[list->n++] = *process;
    return true;
}

/* Out of memory or not, what was found is used: the rounds go on until waitpid says all is done. */
static void list_all(struct processes *list)
{
    DIR *dir = opendir("/proc");
    if (dir == NULL)
        return;
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        char *end = NULL;
        long pid = strtol(entry->d_name, &end, 10);
        struct process process;
        if (pid <= 0 || *end != '\0' || !look_at((pid_t)pid, &process))
            continue;
        if (!append(list, &process))
            break;
    }
    closedir(dir);
}

static int by_parent(const void *a, const void *b)
{
    const struct process *left = a;
    const struct process *right = b;
    return (left->parent > right->parent) - (left->parent < right->parent);
}

static int by_group(const void *a, const void *b)
{
    const struct process *left = a;
    const struct process *right = b;
    return (left->group > right->group) - (left->group < right->group);
}

static bool is_spared(const struct proctree_spare *spare, pid_t pid)
{
    for (size_t i = 0; spare != NULL && i < spare->n; i++) {
        if (spare->pids[i] == pid)
            return true;
    }
    return false;
}

/* Adds the children of `parent` in `all` (sorted by parent) to `below`. */
static void append_children(const struct processes *all, pid_t parent,
                            const struct proctree_spare *spare, struct processes *below)
{
    size_t low = 0;
    size_t high = all->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (all->items[middle].parent < parent)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < all->n && all->items[low].parent == parent && below->n < all->n; low++) {
        if (!is_spared(spare, all->items[low].pid) && !append(below, &all->items[low]))
            return;
    }
}

/* Fills `below` (freed by the caller) with what is below this process, sorted by group. */
static void list_below(const struct proctree_spare *spare, struct processes *below)
{
    struct processes all = {0};
    list_all(&all);
    if (all.n == 0)
        return;
    qsort(all.items, all.n, sizeof(*all.items), by_parent);
    append_children(&all, getpid(), spare, below);
    for (size_t i = 0; i < below->n; i++)
        append_children(&all, below->items[i].pid, NULL, below);
    free(all.items);
    if (below->n > 0)
        qsort(below->items, below->n, sizeof(*below->items), by_group);
}

/* Invariant 2. Returns true when a signal went out. */
static bool signal_checked(const struct process *process, bool whole_group, int signal)
{
    struct process now;
    if (!look_at(process->pid, &now) || now.start != process->start || now.group != process->group)
        return false;
    return kill(whole_group ? -process->group : process->pid, signal) == 0;
}

static void signal_all(const struct processes *below, int signal)
{
    pid_t own_group = getpgrp();
    pid_t done = 0;
    for (size_t i = 0; i < below->n; i++) {
        const struct process *process = &below->items[i];
        bool whole_group = process->group != own_group && process->group > 1;
        if (whole_group && process->group == done)
            continue;
        if (signal_checked(process, whole_group, signal) && whole_group)
            done = process->group;
    }
}

/* Kills our own children as the kernel lists them, with their groups. No check is needed: a child,
 * dead or alive, holds its pid and its group's number until we reap it. Their children become ours.
 * A kernel without this file hunts nothing; the walk still does. True when a child was found. */
static bool hunt_once(const struct proctree_spare *spare)
{
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    char line[HUNT_BYTES];
    ssize_t got = read(fd, line, sizeof(line) - 1);
    close(fd);
    if (got <= 0)
        return false;
    line[got] = '\0';
    bool found = false;
    const char *at = line;
    for (pid_t pid; (pid = (pid_t)proc_child_next(&at)) != 0;) {
        if (is_spared(spare, pid))
            continue;
        found = true;
        pid_t group = getpgid(pid);
        if (group > 1 && group != getpgrp())
            kill(-group, SIGKILL);
        kill(pid, SIGKILL);
    }
    return found;
}

/* Returns how many processes were found below. */
static size_t kill_round(const struct proctree_spare *spare)
{
    struct processes below = {0};
    list_below(spare, &below);
    signal_all(&below, SIGKILL);
    free(below.items);
    return below.n;
}

bool proctree_reap(proctree_reaped reaped, void *ctx)
{
    for (;;) {
        int status = 0;
        struct rusage usage;
        pid_t pid = wait4(-1, &status, WNOHANG, &usage);
        if (pid == 0)
            return false;
        if (pid < 0)
            return errno == ECHILD;
        reaped(ctx, pid, status, &usage);
    }
}

void proctree_terminate(void)
{
    struct processes below = {0};
    list_below(NULL, &below);
    signal_all(&below, SIGTERM);
    signal_all(&below, SIGCONT);
    free(below.items);
}

static void wait_for_a_child(int wait_ms)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    struct timespec wait = {.tv_nsec = wait_ms * 1000000L};
    sigtimedwait(&set, NULL, &wait);
}

bool proctree_end(const struct proctree_spare *spare, uint64_t bound_ms, proctree_reaped reaped,
                  void *ctx)
{
    uint64_t stop_ms = now_ms() + bound_ms;
    for (;;) {
        if (proctree_reap(reaped, ctx))
            return true;
        if (now_ms() >= stop_ms)
            return false;
        bool found = false;
        for (int pass = 0; pass < HUNT_PASSES; pass++) {
            if (proctree_reap(reaped, ctx))
                return true;
            if (!hunt_once(spare))
                break;
            found = true;
        }
        if (kill_round(spare) == 0 && !found && spare != NULL)
            return true; /* all the children there are, are spared */
        wait_for_a_child(ROUND_WAIT_MS);
    }
}
