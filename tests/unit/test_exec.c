/* Goal: jobs run as processes with what they were given, every end is told as what it was, and no
 * process of a job survives its end, its keeper or its node, whatever it does to hide.
 * Method: real reaper, keepers and jobs, most of them this program again in a helper mode. Survivors
 * are counted by a token in any process's environment or arguments, never by parentage. */
#define _GNU_SOURCE
#include "node/exec.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "datastore/limits.h"

enum {
    BOUND_MS = 30000, /* for anything to happen at all */
    TREE = 300,       /* processes of the fork bomb at a time */
    HARES = 5,        /* that never stay */
    SETTINGS_MAX = 4096,
};

static char self_path[LIMIT_PATH_BYTES];
static char token[64]; /* of this test; in each job's environment, or in its arguments */

/* --- Helper jobs ------------------------------------------------------------------------------ */

static void sleep_for_ever(void)
{
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
    char *argv[] = {self_path, (char *)(uintptr_t) "--helper", "sleeper",
                    (char *)(uintptr_t)name, NULL};
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
    int *made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
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
    ignore_term();
    for (;;) {
        pid_t pid = fork();
        if (pid > 0)
            _exit(0);
        if (pid == 0 && sessions)
            setsid();
    }
}

static int help(int argc, char **argv)
{
    const char *mode = argv[2];
    const char *name = argc > 3 ? argv[3] : "";
    if (strcmp(mode, "sleeper") == 0)
        sleep_for_ever();
    if (strcmp(mode, "stubborn") == 0) {
        ignore_term();
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

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void nap(void)
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
    for (ssize_t got = 1; got > 0 && len < sizeof(content); len += got > 0 ? (size_t)got : 0)
        got = read(fd, content + len, sizeof(content) - len);
    close(fd);
    return memmem(content, len, text, strlen(text)) != NULL;
}

/* Processes with the token in environment or arguments. */
static int count_marked(void)
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

static void wait_until_marked(int low, int high)
{
    uint64_t stop_ms = now_ms() + BOUND_MS;
    int n = count_marked();
    for (; (n < low || n > high) && now_ms() < stop_ms; n = count_marked())
        nap();
    ck_assert_msg(n >= low && n <= high, "%d processes with %s, wanted %d to %d", n, token, low,
                  high);
}

/* --- Running a job ---------------------------------------------------------------------------- */

static struct reaper *reaper;
static struct exec_slot *slot;
static char settings[SETTINGS_MAX];

static struct bytes strings_of(char *text, size_t size, const char *const *strings)
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
static struct exec_request request_for(const char *a, const char *b, const char *c, const char *d)
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

static struct exec_request shell(const char *script)
{
    return request_for("sh", "-c", script, NULL);
}

static struct exec_request helper(const char *mode)
{
    return request_for(self_path, "--helper", mode, token);
}

static void start(const struct exec_request *request)
{
    struct error err = {0};
    int code = exec_slot_start(slot, request, &err);
    ck_assert_msg(code == 0, "%s", err.text);
}

/* Returns what exec_slot_ready says once it says anything. */
static int await(struct exec_slot *from, struct exec_result *result)
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

static struct exec_result run(struct exec_request request)
{
    start(&request);
    struct exec_result result;
    ck_assert_int_eq(await(slot, &result), 1);
    return result;
}

static void assert_output(const struct exec_result *result, const char *text)
{
    ck_assert_msg(result->output.len == strlen(text) &&
                      memcmp(result->output.data, text, strlen(text)) == 0,
                  "output is '%.*s', not '%s'", (int)result->output.len,
                  (const char *)result->output.data, text);
}

static void set_up(void)
{
    snprintf(token, sizeof(token), "stint-test-%d-%llu", (int)getpid(),
             (unsigned long long)now_ms());
    setenv("STINT_STORE", "mongodb://user:secret@host/", 1);
    setenv("INHERITED", "yes", 1);
    struct error err = {0};
    ck_assert_msg(reaper_start(&reaper, &err) == 0, "%s", err.text);
    ck_assert_msg(exec_slot_open(reaper, &slot, &err) == 0, "%s", err.text);
}

static void tear_down(void)
{
    exec_slot_close(slot);
    reaper_stop(reaper);
    ck_assert_int_eq(count_marked(), 0);
}

/* --- What a job is given, and what is told of it ---------------------------------------------- */

START_TEST(an_exit_status_is_told)
{
    struct exec_result result = run(shell("exit 3"));
    ck_assert_int_eq(result.end, EXEC_EXITED);
    ck_assert_int_eq(result.exit_code, 3);
    ck_assert_int_eq(result.signal, 0);
    ck_assert_int_ge(result.finished_ms, result.started_ms);
    ck_assert_int_gt(result.started_ms, 1600000000000);
    ck_assert_uint_gt(result.maxrss_kb, 0);
    result = run(request_for("/bin/true", NULL, NULL, NULL));
    ck_assert_int_eq(result.end, EXEC_EXITED);
    ck_assert_int_eq(result.exit_code, 0);
}
END_TEST

START_TEST(a_signal_is_told)
{
    struct exec_result result = run(shell("kill -SEGV $$"));
    ck_assert_int_eq(result.end, EXEC_SIGNALLED);
    ck_assert_int_eq(result.signal, SIGSEGV);
    ck_assert_int_eq(result.exit_code, -1);
}
END_TEST

START_TEST(cpu_time_is_counted)
{
    struct exec_result result = run(shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"));
    ck_assert_uint_gt(result.user_ms + result.sys_ms, 0);
    ck_assert_uint_ge(result.wall_ms + 20, result.user_ms + result.sys_ms);
}
END_TEST

START_TEST(stdout_and_stderr_come_in_order)
{
    struct exec_result result = run(shell("echo one; echo two >&2; echo three"));
    assert_output(&result, "one\ntwo\nthree\n");
    ck_assert_uint_eq(result.output_total, 14);
}
END_TEST

START_TEST(only_the_tail_of_the_output_is_kept)
{
    struct exec_request request = shell("seq 100000; printf END");
    request.output_cap_bytes = 10;
    struct exec_result result = run(request);
    assert_output(&result, "100000\nEND");
    ck_assert_uint_eq(result.output_total, 588898);

    request.output_cap_bytes = LIMIT_OUTPUT_BYTES;
    result = run(request);
    ck_assert_uint_eq(result.output.len, LIMIT_OUTPUT_BYTES);
    ck_assert_mem_eq(result.output.data + LIMIT_OUTPUT_BYTES - 10, "100000\nEND", 10);

    request.output_cap_bytes = 0;
    result = run(request);
    ck_assert_uint_eq(result.output.len, 0);
    ck_assert_uint_eq(result.output_total, 588898);
}
END_TEST

START_TEST(a_job_that_closes_its_output_goes_on)
{
    struct exec_result result = run(shell("echo a; exec >&- 2>&-; sleep 0.1; exit 4"));
    ck_assert_int_eq(result.exit_code, 4);
    assert_output(&result, "a\n");
}
END_TEST

START_TEST(stdin_is_what_was_given_or_nothing)
{
    struct exec_result result = run(shell("wc -c; readlink /proc/self/fd/0"));
    assert_output(&result, "0\n/dev/null\n");
    struct exec_request request = shell("cat");
    request.stdin_bytes = (struct bytes){(const uint8_t *)"a\0b", 3};
    result = run(request);
    ck_assert_uint_eq(result.output.len, 3);
    ck_assert_mem_eq(result.output.data, "a\0b", 3);
}
END_TEST

START_TEST(a_stdin_of_the_largest_size_arrives_whole)
{
    uint8_t *data = malloc(LIMIT_PAYLOAD_BYTES);
    ck_assert_ptr_nonnull(data);
    memset(data, 'x', LIMIT_PAYLOAD_BYTES);
    struct exec_request request = shell("wc -c");
    request.stdin_bytes = (struct bytes){data, LIMIT_PAYLOAD_BYTES};
    for (int i = 0; i < 3; i++) {
        struct exec_result result = run(request);
        assert_output(&result, "1048576\n");
    }
    free(data);
}
END_TEST

START_TEST(the_working_folder_is_entered_or_its_absence_told)
{
    struct exec_request request = shell("pwd");
    request.cwd = "/usr/bin";
    struct exec_result result = run(request);
    assert_output(&result, "/usr/bin\n");
    request.cwd = "/no/such/folder";
    result = run(request);
    ck_assert_int_eq(result.end, EXEC_SPAWN_FAILED);
    ck_assert_str_eq(result.error, "cannot enter the working folder '/no/such/folder': "
                                   "No such file or directory");
    request = request_for("./true", NULL, NULL, NULL); /* from the job's folder, not the node's */
    request.cwd = "/usr/bin";
    result = run(request);
    ck_assert_int_eq(result.end, EXEC_EXITED);
}
END_TEST

START_TEST(a_command_that_cannot_run_is_told)
{
    struct exec_result result = run(request_for("no-such-command-1", NULL, NULL, NULL));
    ck_assert_int_eq(result.end, EXEC_SPAWN_FAILED);
    ck_assert_str_eq(result.error, "cannot run 'no-such-command-1': command not found");
    result = run(request_for("/etc/passwd", NULL, NULL, NULL));
    ck_assert_int_eq(result.end, EXEC_SPAWN_FAILED);
    ck_assert_str_eq(result.error, "cannot run '/etc/passwd': Permission denied");
    result = run(shell("exit 5")); /* the slot goes on */
    ck_assert_int_eq(result.exit_code, 5);
}
END_TEST

START_TEST(the_command_is_looked_up_in_the_jobs_own_path)
{
    const char *const env[] = {"PATH=/no/such:/etc::/usr/bin", NULL};
    char text[128];
    struct exec_request request = request_for("env", NULL, NULL, NULL);
    request.env = strings_of(text, sizeof(text), env);
    ck_assert_int_eq(run(request).end, EXEC_EXITED);
    const char *const elsewhere[] = {"PATH=/no/such", NULL};
    request.env = strings_of(text, sizeof(text), elsewhere);
    ck_assert_int_eq(run(request).end, EXEC_SPAWN_FAILED);
}
END_TEST

START_TEST(resource_limits_hold)
{
    struct exec_limit limits[] = {{RLIMIT_NOFILE, 33}, {RLIMIT_CORE, 0}};
    struct exec_request request = shell("ulimit -Sn; ulimit -Hn; ulimit -c");
    request.limits = limits;
    request.n_limits = 2;
    struct exec_result result = run(request);
    assert_output(&result, "33\n33\n0\n");
    result = run(shell("ulimit -n")); /* the next job does not inherit them */
    ck_assert_int_ne(strtol((const char *)result.output.data, NULL, 10), 33);

    limits[0] = (struct exec_limit){RLIMIT_CPU, 1};
    request = shell("while :; do :; done");
    request.limits = limits;
    request.n_limits = 2;
    result = run(request);
    ck_assert_int_eq(result.end, EXEC_SIGNALLED);
    ck_assert_int_eq(result.signal, SIGXCPU);
}
END_TEST

START_TEST(the_environment_has_the_markers_and_no_secret)
{
    const char *const env[] = {"A=1", "A=2", "INHERITED=no", "STINT_RUN=9", NULL};
    char text[128];
    struct exec_request request =
        shell("echo $STINT_JOB_ID $STINT_RUN $STINT_ATTEMPT $STINT_NODE $A $INHERITED; env | grep -c "
              "-e STINT_STORE -e secret; true");
    request.env = strings_of(text, sizeof(text), env);
    strncpy(request.job_name, "mail/2:17", sizeof(request.job_name) - 1);
    request.run = 3;
    request.attempt = 2;
    struct exec_result result = run(request);
    assert_output(&result, "mail/2:17 3 2 tester 2 no\n0\n");
    result = run(shell("echo $STINT_JOB_ID $INHERITED"));
    assert_output(&result, "17 yes\n");
}
END_TEST

START_TEST(a_job_has_three_descriptors_a_group_and_clean_signals)
{
    struct exec_result result = run(shell("ls /proc/self/fd | wc -l")); /* and that of ls itself */
    assert_output(&result, "4\n");
    result = run(shell("[ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] && echo own group"));
    assert_output(&result, "own group\n");
    result = run(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status"));
    assert_output(&result, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}
END_TEST

START_TEST(bad_requests_are_refused_and_leave_the_slot_usable)
{
    enum { HUGE_BYTES = 5 << 20 };
    struct error err = {0};
    uint8_t *huge = calloc(1, HUGE_BYTES);
    ck_assert_ptr_nonnull(huge);
    memset(huge, 'x', HUGE_BYTES - 1);
    struct exec_request good = shell("exit 1");

    struct exec_request bad = good;
    bad.argv = (struct bytes){huge, HUGE_BYTES};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_LIMIT);
    ck_assert_str_eq(err.text, "command of 5242880 bytes: at most 131072");
    bad.argv = (struct bytes){NULL, 0};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_INVALID);
    bad.argv = (struct bytes){(const uint8_t *)"\0a", 3};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_INVALID);
    bad.argv = (struct bytes){(const uint8_t *)"true", 4};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_INVALID);
    bad = good;
    bad.env = (struct bytes){(const uint8_t *)"A=1\0B", 6};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_INVALID);
    ck_assert_str_eq(err.text, "environment: 'B' is not NAME=VALUE");
    bad.env = (struct bytes){huge, HUGE_BYTES};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_LIMIT);
    bad = good;
    bad.stdin_bytes = (struct bytes){huge, HUGE_BYTES};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_LIMIT);
    bad = good;
    bad.cwd = (const char *)huge;
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_LIMIT);
    bad = good;
    bad.output_cap_bytes = LIMIT_OUTPUT_BYTES + 1;
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_LIMIT);
    bad = good;
    bad.limits = &(struct exec_limit){RLIM_NLIMITS, 1};
    bad.n_limits = 1;
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_INVALID);
    free(huge);
    ck_assert_int_eq(run(good).exit_code, 1);
}
END_TEST

START_TEST(the_longest_argument_and_environment_arrive)
{
    enum { LONG_BYTES = 100000, MANY = LIMIT_ENV_BYTES / 4 };
    static char text[LIMIT_ARGV_BYTES];
    static char env[LIMIT_ENV_BYTES];
    const char script[] = "sh\0-c\0printf %s \"$0\" | wc -c; exit $A";
    memcpy(text, script, sizeof(script));
    memset(text + sizeof(script), 'y', LONG_BYTES);
    for (size_t i = 0; i < MANY; i++)
        memcpy(env + 4 * i, i + 1 < MANY ? "A=1" : "A=8", 4);
    struct exec_request request = shell("");
    request.argv = (struct bytes){(const uint8_t *)text, sizeof(script) + LONG_BYTES + 1};
    request.env = (struct bytes){(const uint8_t *)env, sizeof(env)};
    struct exec_result result = run(request);
    assert_output(&result, "100000\n");
    ck_assert_int_eq(result.exit_code, 8);
}
END_TEST

START_TEST(a_slot_runs_one_job_at_a_time)
{
    struct exec_request request = shell("sleep 1000");
    struct error err = {0};
    ck_assert_int_eq(exec_slot_end(slot, 0), ERR_NOT_FOUND);
    start(&request);
    ck_assert_int_eq(exec_slot_start(slot, &request, &err), ERR_BUSY);
    ck_assert_int_eq(exec_slot_end(slot, 0), 0);
    struct exec_result result;
    ck_assert_int_eq(await(slot, &result), 1);
    ck_assert_int_eq(result.end, EXEC_ENDED);
    ck_assert_int_eq(result.signal, SIGKILL);
}
END_TEST

START_TEST(an_end_asked_too_late_does_not_reach_the_next_job)
{
    for (int i = 0; i < 50; i++) {
        struct exec_request request = request_for("/bin/true", NULL, NULL, NULL);
        start(&request);
        struct pollfd ready = {.fd = exec_slot_fd(slot), .events = POLLIN};
        ck_assert_int_eq(poll(&ready, 1, BOUND_MS), 1);
        ck_assert_int_eq(exec_slot_end(slot, 0), 0); /* its result is written already */
        struct exec_result result;
        ck_assert_int_eq(await(slot, &result), 1);
        ck_assert_int_eq(result.end, EXEC_EXITED);
        ck_assert_int_eq(run(shell("exit 6")).exit_code, 6);
    }
}
END_TEST

/* --- Ends -------------------------------------------------------------------------------------- */

START_TEST(a_time_out_sends_term_first)
{
    struct exec_request request = shell("trap 'echo got term; exit 9' TERM; sleep 1000 & wait");
    request.timeout_ms = 200;
    request.grace_ms = BOUND_MS;
    struct exec_result result = run(request);
    ck_assert_int_eq(result.end, EXEC_TIMED_OUT);
    ck_assert_int_eq(result.exit_code, 9);
    assert_output(&result, "got term\n");
}
END_TEST

START_TEST(a_time_out_kills_what_ignores_term)
{
    struct exec_request request = helper("stubborn");
    request.timeout_ms = 100;
    struct exec_result result = run(request);
    ck_assert_int_eq(result.end, EXEC_TIMED_OUT);
    ck_assert_int_eq(result.signal, SIGKILL);
    ck_assert_int_eq(count_marked(), 0);
}
END_TEST

START_TEST(a_stopped_job_is_ended_too)
{
    struct exec_request request = shell("trap 'exit 9' TERM; kill -STOP $$");
    request.timeout_ms = 200;
    request.grace_ms = BOUND_MS;
    struct exec_result result = run(request);
    ck_assert_int_eq(result.end, EXEC_TIMED_OUT);
    ck_assert_int_eq(result.exit_code, 9);
}
END_TEST

/* Starts the helper, sees `processes` of it, ends it, and sees none. */
static void end_tree(const char *mode, int low, int high)
{
    struct exec_request request = helper(mode);
    start(&request);
    wait_until_marked(low, high);
    ck_assert_int_eq(exec_slot_end(slot, 20), 0);
    struct exec_result result;
    ck_assert_int_eq(await(slot, &result), 1);
    ck_assert_int_eq(count_marked(), 0);
    ck_assert_int_eq(result.end, EXEC_ENDED);
    ck_assert_str_eq(result.error, "");
    ck_assert_int_eq(run(shell("exit 2")).exit_code, 2);
}

START_TEST(daemons_without_environment_are_ended)
{
    end_tree("daemon", 2, 2);
}
END_TEST

START_TEST(a_fork_bomb_is_ended)
{
    end_tree("bomb", TREE, TREE + 1);
}
END_TEST

START_TEST(processes_that_never_stay_are_ended)
{
    end_tree("hares", 1, 100);
}
END_TEST

START_TEST(processes_that_never_stay_in_a_session_are_ended)
{
    end_tree("session-hares", 1, 100);
}
END_TEST

START_TEST(nothing_outlives_the_root_of_a_job)
{
    for (int i = 0; i < 10; i++) {
        struct exec_result result = run(helper("daemon-exit"));
        ck_assert_int_eq(result.end, EXEC_EXITED);
        ck_assert_int_eq(result.exit_code, 7);
        ck_assert_int_eq(count_marked(), 0);
    }
}
END_TEST

START_TEST(a_held_pipe_does_not_hold_up_the_result)
{
    struct exec_result result = run(shell("setsid sleep 1000 & echo done"));
    ck_assert_int_eq(result.end, EXEC_EXITED);
    assert_output(&result, "done\n");
}
END_TEST

START_TEST(closing_a_slot_ends_its_job_and_no_other)
{
    struct exec_slot *other = NULL;
    ck_assert_int_eq(exec_slot_open(reaper, &other, NULL), 0);
    struct exec_request request = helper("daemon");
    ck_assert_int_eq(exec_slot_start(other, &request, NULL), 0);
    wait_until_marked(2, 2);
    request = shell("read line < /dev/null; sleep 1000");
    start(&request);
    wait_until_marked(3, 4);
    exec_slot_close(other);
    wait_until_marked(1, 2);
    ck_assert_int_eq(exec_slot_end(slot, 0), 0);
    struct exec_result result;
    ck_assert_int_eq(await(slot, &result), 1);
    ck_assert_int_eq(result.end, EXEC_ENDED);
}
END_TEST

/* --- Deaths ----------------------------------------------------------------------------------- */

START_TEST(the_tree_of_a_killed_keeper_is_ended_and_the_slot_says_so)
{
    struct exec_slot *other = NULL;
    ck_assert_int_eq(exec_slot_open(reaper, &other, NULL), 0);
    struct exec_request request = shell("echo $PPID; exit 0"); /* a job's parent is its keeper */
    struct exec_result result = run(request);
    pid_t keeper = (pid_t)strtol((const char *)result.output.data, NULL, 10);
    ck_assert_int_gt(keeper, 1);
    request = helper("daemon");
    start(&request);
    wait_until_marked(2, 2);
    ck_assert_int_eq(kill(keeper, SIGKILL), 0);
    ck_assert_int_lt(await(slot, &result), 0);
    wait_until_marked(0, 0);
    struct error err = {0};
    ck_assert_int_eq(exec_slot_start(slot, &request, &err), ERR_IO);
    exec_slot_close(slot);
    slot = other; /* the others go on */
    ck_assert_int_eq(run(shell("exit 3")).exit_code, 3);
}
END_TEST

START_TEST(keepers_end_their_trees_when_the_reaper_is_killed)
{
    struct exec_request request = helper("daemon");
    start(&request);
    wait_until_marked(2, 2);
    ck_assert_int_eq(kill(reaper_pid(reaper), SIGKILL), 0);
    struct exec_result result;
    ck_assert_int_lt(await(slot, &result), 0);
    wait_until_marked(0, 0);
    struct exec_slot *other = NULL;
    ck_assert_int_eq(exec_slot_open(reaper, &other, NULL), ERR_IO);
}
END_TEST

/* A node of its own that runs a job of each kind, says so, and waits. */
static void be_a_node(int ready_fd)
{
    static const char *const modes[] = {"sleeper", "stubborn", "daemon", "bomb", "hares",
                                        "session-hares"};
    enum { MODES = sizeof(modes) / sizeof(modes[0]) };
    struct reaper *own = NULL;
    struct exec_slot *slots[MODES];
    if (reaper_start(&own, NULL) != 0)
        _exit(1);
    for (int i = 0; i < MODES; i++) {
        struct exec_request request = helper(modes[i]);
        if (exec_slot_open(own, &slots[i], NULL) != 0 ||
            exec_slot_start(slots[i], &request, NULL) != 0)
            _exit(1);
    }
    if (write(ready_fd, "x", 1) != 1)
        _exit(1);
    sleep_for_ever();
}

START_TEST(nothing_outlives_a_killed_node)
{
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    pid_t node = fork();
    ck_assert_int_ge(node, 0);
    if (node == 0)
        be_a_node(fds[1]);
    char byte = 0;
    ck_assert_int_eq(read(fds[0], &byte, 1), 1);
    wait_until_marked(TREE, 2 * TREE);
    uint64_t killed_ms = now_ms();
    ck_assert_int_eq(kill(node, SIGKILL), 0);
    ck_assert_int_eq(waitpid(node, NULL, 0), node);
    wait_until_marked(0, 0);
    fprintf(stderr, "gone %d ms after the node\n", (int)(now_ms() - killed_ms));
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(stopping_the_reaper_ends_everything)
{
    struct exec_request request = helper("bomb");
    start(&request);
    wait_until_marked(TREE, TREE + 1);
    reaper_stop(reaper);
    reaper = NULL;
    ck_assert_int_eq(count_marked(), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("exec");
    TCase *runs = tcase_create("runs");
    tcase_add_checked_fixture(runs, set_up, tear_down);
    tcase_add_test(runs, an_exit_status_is_told);
    tcase_add_test(runs, a_signal_is_told);
    tcase_add_test(runs, cpu_time_is_counted);
    tcase_add_test(runs, stdout_and_stderr_come_in_order);
    tcase_add_test(runs, only_the_tail_of_the_output_is_kept);
    tcase_add_test(runs, a_job_that_closes_its_output_goes_on);
    tcase_add_test(runs, stdin_is_what_was_given_or_nothing);
    tcase_add_test(runs, a_stdin_of_the_largest_size_arrives_whole);
    tcase_add_test(runs, the_working_folder_is_entered_or_its_absence_told);
    tcase_add_test(runs, a_command_that_cannot_run_is_told);
    tcase_add_test(runs, the_command_is_looked_up_in_the_jobs_own_path);
    tcase_add_test(runs, resource_limits_hold);
    tcase_add_test(runs, the_environment_has_the_markers_and_no_secret);
    tcase_add_test(runs, a_job_has_three_descriptors_a_group_and_clean_signals);
    tcase_add_test(runs, bad_requests_are_refused_and_leave_the_slot_usable);
    tcase_add_test(runs, the_longest_argument_and_environment_arrive);
    tcase_add_test(runs, a_slot_runs_one_job_at_a_time);
    tcase_add_test(runs, an_end_asked_too_late_does_not_reach_the_next_job);
    suite_add_tcase(suite, runs);
    TCase *ends = tcase_create("ends");
    tcase_add_checked_fixture(ends, set_up, tear_down);
    tcase_add_test(ends, a_time_out_sends_term_first);
    tcase_add_test(ends, a_time_out_kills_what_ignores_term);
    tcase_add_test(ends, a_stopped_job_is_ended_too);
    tcase_add_test(ends, daemons_without_environment_are_ended);
    tcase_add_test(ends, a_fork_bomb_is_ended);
    tcase_add_test(ends, processes_that_never_stay_are_ended);
    tcase_add_test(ends, processes_that_never_stay_in_a_session_are_ended);
    tcase_add_test(ends, nothing_outlives_the_root_of_a_job);
    tcase_add_test(ends, a_held_pipe_does_not_hold_up_the_result);
    tcase_add_test(ends, closing_a_slot_ends_its_job_and_no_other);
    suite_add_tcase(suite, ends);
    TCase *deaths = tcase_create("deaths");
    tcase_add_checked_fixture(deaths, set_up, tear_down);
    tcase_add_test(deaths, the_tree_of_a_killed_keeper_is_ended_and_the_slot_says_so);
    tcase_add_test(deaths, keepers_end_their_trees_when_the_reaper_is_killed);
    tcase_add_test(deaths, nothing_outlives_a_killed_node);
    tcase_add_test(deaths, stopping_the_reaper_ends_everything);
    suite_add_tcase(suite, deaths);
    return suite;
}

int main(int argc, char **argv)
{
    ssize_t len = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
    if (len <= 0)
        return EXIT_FAILURE;
    if (argc > 2 && strcmp(argv[1], "--helper") == 0)
        return help(argc, argv);
    SRunner *runner = srunner_create(make_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
