/* Jobs for tests of the executor: requests, helper programs, and counting what is left of them.
 * Why a token and no parentage: a process that hides from its parents must be counted too.
 * Thread: the test's only one. */
#define _GNU_SOURCE
#include "tests/support/jobs.h"

#include <assert.h>
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "datastore/limits.h"

enum {
    SETTINGS_MAX = 4096,
    LIFE_S = 240, /* of a helper, so that a broken executor does not fill the machine for ever */
};
static_assert(LIFE_S * 1000 > BOUND_MS, "no test may pass because helpers end by themselves");

char self_path[LIMIT_PATH_BYTES];
char token[64];

/* --- Helper jobs ------------------------------------------------------------------------------ */

void sleep_for_ever(void)
{
    alarm(LIFE_S);
    for (;;)
        pause();
}

static void ignore_term(void)
{
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
}

/* Replaces this process by one without any environment, known by its arguments alone. */
static void hide(const char *name)
{
    char *argv[] = {self_path, (char *)(uintptr_t) "--helper", "sleeper", (char *)(uintptr_t)name,
                    NULL};
    char *envp[] = {NULL};
    execve(self_path, argv, envp);
    _exit(1);
}

static void double_fork(const char *name)
{
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            ignore_term();
            hide(name);
        }
        _exit(0);
    }
    sleep_for_ever();
}

/* Forks wherever it can until TREE processes were made, each ignoring TERM. */
static void bomb(void)
{
    int *made =
        mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ignore_term();
    while (__atomic_fetch_add(made, 1, __ATOMIC_RELAXED) < TREE) {
        pid_t pid = fork();
        if (pid == 0 && __atomic_load_n(made, __ATOMIC_RELAXED) % 3 == 0)
            setsid();
    }
    sleep_for_ever();
}

/* Never stays: each process forks the next one and exits. With `sessions`, in a new group too. */
static void hare(bool sessions)
{
    uint64_t stop_ms = now_ms() + LIFE_S * 1000;
    ignore_term();
    while (now_ms() < stop_ms) {
        pid_t pid = fork();
        if (pid > 0)
            _exit(0);
        if (pid == 0 && sessions)
            setsid();
    }
    _exit(0);
}

int help(int argc, char **argv)
{
    const char *mode = argv[2];
    const char *name = argc > 3 ? argv[3] : "";
    if (strcmp(mode, "sleeper") == 0)
        sleep_for_ever();
    if (strcmp(mode, "stubborn") == 0) {
        ignore_term();
        printf("ready\n");
        fflush(stdout);
        sleep_for_ever();
    }
    if (strcmp(mode, "daemon") == 0)
        double_fork(name);
    if (strcmp(mode, "daemon-exit") == 0) { /* leaves two others behind */
        if (fork() == 0)
            double_fork(name);
        return 7;
    }
    if (strcmp(mode, "bomb") == 0)
        bomb();
    if (strcmp(mode, "hares") == 0 || strcmp(mode, "session-hares") == 0) {
        for (int i = 0; i < HARES; i++) {
            if (fork() == 0)
                hare(strcmp(mode, "session-hares") == 0);
        }
        sleep_for_ever();
    }
    return 99;
}

/* --- What is left ----------------------------------------------------------------------------- */

uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void nap(void)
{
    const struct timespec pause_ns = {.tv_nsec = 2000000};
    nanosleep(&pause_ns, NULL);
}

static bool file_holds(const char *path, const char *text)
{
    static char content[256 << 10];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t len = 0;
    for (ssize_t got = 1; got > 0 && len<sizeof(content); len += got> 0 ? (size_t)got : 0)
        got = read(fd, content + len, sizeof(content) - len);
    close(fd);
    return memmem(content, len, text, strlen(text)) != NULL;
}

/* Processes with the token in environment or arguments. */
int count_marked(void)
{
    int n = 0;
    DIR *dir = opendir("/proc");
    ck_assert_ptr_nonnull(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        int pid = (int)strtol(entry->d_name, NULL, 10);
        char path[64];
        if (pid <= 0 || pid == getpid())
            continue;
        snprintf(path, sizeof(path), "/proc/%d/environ", pid);
        bool marked = file_holds(path, token);
        snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
        n += marked || file_holds(path, token) ? 1 : 0;
    }
    closedir(dir);
    return n;
}

void wait_until_marked(int low, int high)
{
    uint64_t stop_ms = now_ms() + BOUND_MS;
    int n = count_marked();
    for (; (n < low || n > high) && now_ms() < stop_ms; n = count_marked())
        nap();
    ck_assert_msg(n >= low && n <= high, "%d processes with %s, wanted %d to %d", n, token, low,
                  high);
}

/* --- Running a job ---------------------------------------------------------------------------- */

struct reaper *reaper;
struct exec_slot *slot;
static char settings[SETTINGS_MAX];

struct bytes strings_of(char *text, size_t size, const char *const *strings)
{
    size_t len = 0;
    for (; *strings != NULL; strings++) {
        size_t n = strlen(*strings) + 1;
        ck_assert_uint_le(len + n, size);
        memcpy(text + len, *strings, n);
        len += n;
    }
    return (struct bytes){(const uint8_t *)text, len};
}

/* A request for `argv` (at most six, up to NULL), with the token in its environment. */
struct exec_request request_for(const char *a, const char *b, const char *c, const char *d)
{
    static char arguments[SETTINGS_MAX];
    const char *const argv[] = {a, b, c, d, NULL};
    char marker[96];
    snprintf(marker, sizeof(marker), "MARKER=%s", token);
    const char *const env[] = {marker, NULL};
    return (struct exec_request){
        .job_id = 17,
        .run = 1,
        .attempt = 1,
        .node_name = "tester",
        .argv = strings_of(arguments, sizeof(arguments), argv),
        .env = strings_of(settings, sizeof(settings), env),
        .output_cap_bytes = LIMIT_OUTPUT_BYTES,
        .grace_ms = 50,
    };
}

struct exec_request shell(const char *script)
{
    return request_for("sh", "-c", script, NULL);
}

struct exec_request helper(const char *mode)
{
    return request_for(self_path, "--helper", mode, token);
}

void start(const struct exec_request *request)
{
    struct error err = {0};
    int code = exec_slot_start(slot, request, &err);
    ck_assert_msg(code == 0, "%s", err.text);
}

/* Returns what exec_slot_ready says once it says anything. */
int await(struct exec_slot *from, struct exec_result *result)
{
    uint64_t stop_ms = now_ms() + BOUND_MS;
    while (now_ms() < stop_ms) {
        struct pollfd ready = {.fd = exec_slot_fd(from), .events = POLLIN};
        if (exec_slot_wants_write(from))
            ready.events |= POLLOUT;
        if (poll(&ready, 1, 1000) <= 0)
            continue;
        int code = exec_slot_ready(from, result);
        if (code != 0)
            return code;
    }
    ck_abort_msg("no result");
}

struct exec_result run(struct exec_request request)
{
    start(&request);
    struct exec_result result;
    ck_assert_int_eq(await(slot, &result), 1);
    return result;
}

struct exec_result run_out_of_time(struct exec_request request)
{
    static const char ready[] = "ready\n";
    struct exec_result result;
    request.timeout_ms = 50;
    do {
        request.timeout_ms *= 2;
        result = run(request);
    } while (request.timeout_ms < BOUND_MS &&
             (result.output.len < strlen(ready) ||
              memcmp(result.output.data, ready, strlen(ready)) != 0));
    return result;
}

void assert_output(const struct exec_result *result, const char *text)
{
    ck_assert_msg(result->output.len == strlen(text) &&
                      memcmp(result->output.data, text, strlen(text)) == 0,
                  "output is '%.*s', not '%s'", (int)result->output.len,
                  (const char *)result->output.data, text);
}

void set_up(void)
{
    snprintf(token, sizeof(token), "stint-test-%d-%llu", (int)getpid(),
             (unsigned long long)now_ms());
    setenv("STINT_STORE", "mongodb://user:secret@host/", 1);
    setenv("INHERITED", "yes", 1);
    struct error err = {0};
    ck_assert_msg(reaper_start(&reaper, &err) == 0, "%s", err.text);
    ck_assert_msg(exec_slot_open(reaper, &slot, &err) == 0, "%s", err.text);
}

void tear_down(void)
{
    exec_slot_close(slot);
    reaper_stop(reaper);
    ck_assert_int_eq(count_marked(), 0);
}
