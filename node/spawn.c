/* Starts a process by clone(CLONE_VM | CLONE_VFORK).
 *
 * Why not posix_spawn: it sets no resource limits, so limits would cost a second exec. Why not
 * fork: it copies page tables. The child borrows our memory while we wait, so it reports a failure
 * by writing it down, and PATH is searched there, after its chdir, without a race.
 *
 * Invariants:
 * 1. The child calls only what is safe after fork in a program with threads, and writes only to its
 *    own stack and to `struct child`.
 * 2. All signals stay blocked until the child's mask is emptied right before exec; the caller has
 *    set all dispositions to default, so nothing runs in borrowed memory.
 * Thread: the only one of its process (a keeper). */
#define _GNU_SOURCE
#include "node/spawn.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__GNUC__)
#define UNCHECKED __attribute__((no_sanitize("address", "undefined")))
#endif

enum { STACK_BYTES = 64 << 10 };

static const char default_path[] = "/usr/local/bin:/usr/bin:/bin";

struct child {
    const struct spawn_plan *plan;
    const char *path; /* NULL: argv[0] has a slash */
    pid_t parent;
    char file[PATH_MAX];
    struct spawn_failure failure;
};

UNCHECKED static int fail(struct child *child, enum spawn_step step)
{
    child->failure.error = errno;
    child->failure.step = step;
    return 1;
}

/* Appends `len` bytes to child->file at `at`; returns the new end, or 0 when there is no room. */
UNCHECKED static size_t put(struct child *child, size_t at, const char *text, size_t len)
{
    if (at + len >= sizeof(child->file))
        return 0;
    for (size_t i = 0; i < len; i++)
        child->file[at + i] = text[i];
    child->file[at + len] = '\0';
    return at + len;
}

UNCHECKED static size_t length(const char *text)
{
    size_t len = 0;
    while (text[len] != '\0')
        len++;
    return len;
}

/* As the shell does: the first file found that can be run; "permission denied" only if no later
 * folder has one. */
UNCHECKED static void exec_along_path(struct child *child)
{
    const char *name = child->plan->argv[0];
    size_t name_len = length(name);
    bool denied = false;
    for (const char *dir = child->path;;) {
        size_t dir_len = 0;
        while (dir[dir_len] != '\0' && dir[dir_len] != ':')
            dir_len++;
        size_t end = dir_len == 0 ? put(child, 0, ".", 1) : put(child, 0, dir, dir_len);
        end = end == 0 ? 0 : put(child, end, "/", 1);
        end = end == 0 ? 0 : put(child, end, name, name_len);
        if (end != 0) {
            execve(child->file, child->plan->argv, child->plan->envp);
            if (errno == EACCES)
                denied = true;
            else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP &&
                     errno != ENAMETOOLONG && errno != ENODEV && errno != ESTALE)
                return;
        }
        if (dir[dir_len] == '\0')
            break;
        dir += dir_len + 1;
    }
    errno = denied ? EACCES : ENOENT;
}

UNCHECKED static int child_main(void *arg)
{
    struct child *child = arg;
    const struct spawn_plan *plan = child->plan;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != child->parent)
        _exit(1); /* it ended before the line above */
    setpgid(0, 0);
    if (plan->cwd != NULL && chdir(plan->cwd) != 0)
        return fail(child, SPAWN_CWD);
    if (plan->stdin_fd != 0)
        dup2(plan->stdin_fd, 0);
    dup2(plan->output_fd, 1);
    dup2(plan->output_fd, 2);
    for (size_t i = 0; i < plan->n_limits; i++) {
        if (setrlimit((__rlimit_resource_t)plan->limits[i].resource, &plan->limits[i].limit) != 0) {
            child->failure.resource = plan->limits[i].resource;
            return fail(child, SPAWN_LIMIT);
        }
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (child->path == NULL)
        execve(plan->argv[0], plan->argv, plan->envp);
    else
        exec_along_path(child);
    return fail(child, SPAWN_EXEC);
}

static const char *path_of(char *const *envp)
{
    for (; *envp != NULL; envp++) {
        if (strncmp(*envp, "PATH=", 5) == 0)
            return *envp + 5;
    }
    return default_path;
}

pid_t spawn(const struct spawn_plan *plan, struct spawn_failure *ret_failure)
{
    static _Alignas(16) char stack[STACK_BYTES]; /* one thread, one spawn at a time */
    static struct child child;
    child.plan = plan;
    child.path = strchr(plan->argv[0], '/') != NULL ? NULL : path_of(plan->envp);
    child.parent = getpid();
    child.failure = (struct spawn_failure){.step = SPAWN_OK};
    pid_t pid = clone(child_main, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &child);
    if (pid < 0) {
        *ret_failure = (struct spawn_failure){.step = SPAWN_CLONE, .error = errno};
        return -1;
    }
    __asm__ volatile("" ::: "memory"); /* the child wrote to `child` */
    if (child.failure.step == SPAWN_OK)
        return pid;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    *ret_failure = child.failure;
    return -1;
}

static size_t count_strings(struct bytes strings)
{
    size_t n = 0;
    for (size_t i = 0; i < strings.len; i++)
        n += strings.data[i] == '\0' ? 1 : 0;
    return n;
}

static size_t put_strings(struct bytes strings, char **array)
{
    size_t n = 0;
    for (size_t at = 0; at < strings.len; at += strlen(array[n - 1]) + 1)
        array[n++] = (char *)(uintptr_t)(strings.data + at); /* exec takes char *, and only reads */
    return n;
}

char **spawn_strings(struct bytes strings)
{
    char **array = calloc(count_strings(strings) + 1, sizeof(*array));
    if (array != NULL)
        put_strings(strings, array);
    return array;
}

/* Compares NAME of two NAME=VALUE. */
static int compare_names(const char *a, const char *b)
{
    size_t i = 0;
    while (a[i] == b[i] && a[i] != '=' && a[i] != '\0')
        i++;
    unsigned char left = a[i] == '=' ? 0 : (unsigned char)a[i];
    unsigned char right = b[i] == '=' ? 0 : (unsigned char)b[i];
    return (left > right) - (left < right);
}

/* By name; settings of one name by their place, which is also their address. */
static int by_name(const void *a, const void *b)
{
    const char *left = *(char *const *)a;
    const char *right = *(char *const *)b;
    int order = compare_names(left, right);
    if (order != 0)
        return order;
    return ((uintptr_t)left > (uintptr_t)right) - ((uintptr_t)left < (uintptr_t)right);
}

static int find_name(const void *key, const void *element)
{
    return compare_names(key, *(char *const *)element);
}

char **spawn_environment(char *const *base, struct bytes settings)
{
    size_t n_base = 0;
    while (base[n_base] != NULL)
        n_base++;
    char **array = calloc(n_base + count_strings(settings) + 1, sizeof(*array));
    if (array == NULL)
        return NULL;
    size_t n_set = put_strings(settings, array);
    if (n_set > 0)
        qsort(array, n_set, sizeof(*array), by_name);
    size_t n = 0;
    for (size_t i = 0; i < n_set; i++) {
        if (i + 1 == n_set || compare_names(array[i], array[i + 1]) != 0)
            array[n++] = array[i];
    }
    n_set = n;
    for (size_t i = 0; i < n_base; i++) {
        if (bsearch(base[i], array, n_set, sizeof(*array), find_name) == NULL)
            array[n++] = base[i];
    }
    array[n] = NULL;
    return array;
}
