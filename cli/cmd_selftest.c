/* `stint selftest --chaos`: real nodes, really killed, frozen and stopped, in a scratch namespace
 * of the user's own store; at the end each job is accounted for.
 *
 * Phases, and what becomes of it when this process is killed (kill -9) in each. Its children, nodes
 * and submitters, get SIGKILL from the kernel when it dies, and with a node end its jobs. So what
 * may be left is the folder STATE/stint/selftest/selftest-RANDOM and the namespace of that name:
 *
 *   1 prepare  the folder, its `owner` file (locked while this lives)   left: the folder
 *   2 start    the namespace, the nodes                                 left: folder, namespace
 *   3 chaos    submits, faults, looks at the store                      left: folder, namespace
 *   4 drain    no more of both; frozen ones are woken; until every
 *              job has its outcome, or nothing moves any more           left: folder, namespace
 *   5 judge    nodes are stopped gracefully; rows, notes and faults
 *              are held against each other                              left: folder, namespace
 *   6 remove   the namespace, then the folder                           left: a part of both
 *
 * The next selftest finds such folders; their lock is free, so their owner is dead. What lies in
 * the store that it uses itself it removes (the namespace first, so 6 can be cut anywhere); of the
 * rest it says where it is. On SIGINT and SIGTERM, in any phase: nodes are killed, 6 is done, and
 * the exit status is 128 + n.
 *
 * Nothing outside of namespace and folder is read or written: the namespace's name is random, and
 * every step, by whatever process, goes through the URI that names it. Single-threaded. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/selftest.h"

enum {
    TICK_MS = 10,
    NODES_DEFAULT = 4,
    SLOTS_DEFAULT = 4,
    SLOTS_MAX = 32,
    LEASE_MS_DEFAULT = 1000,
    LEASE_MS_MIN = 200,
    LEASE_MS_MAX = 60000,
    RUN_MS_MIN = 1000,
    RUN_MS_MAX = 60 * 60 * 1000,
    STILL_MS = 60000, /* nothing moves any more: the rest is lost; a hole takes 20 s of it */
    STILL_LEASES = 10,
    STOP_MS = 60000, /* a graceful stop: its time-out, and much more on a busy machine */
    LEFT_MS = 10000, /* for what killed nodes leave to end */
};

static const struct cli_option options[] = {
    {"chaos", 0, NULL, "nodes are killed, frozen, stopped, and started again", SETTING_NONE},
    {"minutes", 0, "M", "how long, e.g. 0.5 (default 1); some seconds more to drain", SETTING_NONE},
    {"nodes", 0, "N", "nodes at a time, 2 to 16 (default 4)", SETTING_NONE},
    {"slots", 0, "N", "jobs at a time on each (default 4)", SETTING_NONE},
    {"lease", 0, "DURATION", "of these nodes (default 1s)", SETTING_NONE},
    {"seed", 0, "N", "the same faults again in the same order, on the same jobs", SETTING_NONE},
    {0},
};

/* ---- settings -------------------------------------------------------------------------------- */

static int minutes_take(struct selftest *test)
{
    const char *text = cli_option(test->cli, "minutes");
    char quoted[QUOTE_BYTES];
    if (text == NULL)
        return CLI_OK;
    char *minutes = cli_format("%sm", text);
    bool good = duration_parse(minutes, &test->run_ms) == 0 && test->run_ms >= RUN_MS_MIN &&
                test->run_ms <= RUN_MS_MAX;
    free(minutes);
    return good ? CLI_OK
                : cli_error(CLI_USAGE, "--minutes must be a number from 0.02 to 60, not '%s'",
                            cli_quote(quoted, text));
}

static int settings_take(struct selftest *test)
{
    int64_t seed = -1;
    if (cli_option(test->cli, "chaos") == NULL)
        return cli_error(CLI_USAGE, "say `stint selftest --chaos`: it is the only test so far");
    int status = minutes_take(test);
    if (status == CLI_OK)
        status = cli_option_number(test->cli, "nodes", 2, SELFTEST_NODES_MAX, &test->n_nodes);
    if (status == CLI_OK)
        status = cli_option_number(test->cli, "slots", 1, SLOTS_MAX, &test->slots);
    if (status == CLI_OK)
        status = cli_option_duration(test->cli, "lease", &test->lease_ms);
    if (status == CLI_OK && (test->lease_ms < LEASE_MS_MIN || test->lease_ms > LEASE_MS_MAX))
        status =
            cli_error(CLI_USAGE, "--lease must be %dms to %ds", LEASE_MS_MIN, LEASE_MS_MAX / 1000);
    if (status == CLI_OK)
        status = cli_option_number(test->cli, "seed", 0, INT32_MAX, &seed);
    if (seed < 0 && getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        seed = clock_utc_ms();
    test->seed = (uint64_t)seed & INT32_MAX;
    return status;
}

/* ---- 1 and 2 --------------------------------------------------------------------------------- */

/* What children get: this environment, but for settings of ours; the store by its URI, which is in
 * no argument. */
static char **environment_make(const char *uri)
{
    size_t n = 0, at = 0;
    while (environ[n] != NULL)
        n++;
    char **env = cli_alloc((n + 3) * sizeof(*env));
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "STINT_", 6) != 0)
            env[at++] = cli_copy(environ[i]);
    env[at++] = cli_format("STINT_STORE=%s", uri);
    env[at++] = cli_copy("STINT_CONFIG=/dev/null");
    return env;
}

/* Its path, so that `ps` shows it by name; or, where that is another file by now, what stands for
 * it. */
static char *program_find(void)
{
    static const char self[] = "/proc/self/exe";
    char path[LIMIT_PATH_BYTES];
    struct stat own, found;
    ssize_t len = readlink(self, path, sizeof(path) - 1);
    path[len > 0 ? len : 0] = '\0';
    bool same = stat(self, &own) == 0 && stat(path, &found) == 0 && own.st_dev == found.st_dev &&
                own.st_ino == found.st_ino;
    return cli_copy(same ? path : self);
}

static int notes_make(const struct selftest *test)
{
    char *path = scratch_path(&test->scratch, "notes");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int status =
        fd < 0 ? cli_error(CLI_REFUSED, "cannot make %s: %s", path, strerror(errno)) : CLI_OK;
    if (fd >= 0)
        close(fd);
    free(path);
    return status;
}

static int prepare(struct selftest *test)
{
    const char *store = cli_store_uri(test->cli);
    if (store == NULL)
        return CLI_UNREACHABLE;
    int status = scratch_make(&test->scratch, store, test->lease_ms);
    if (status != CLI_OK)
        return status;
    test->program = program_find();
    test->env = environment_make(test->scratch.uri);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    status = notes_make(test);
    if (status == CLI_OK)
        status = scratch_open(&test->scratch, &test->ds);
    if (status == CLI_OK)
        scratch_leftovers(&test->scratch);
    return status;
}

/* ---- 3 and 4 --------------------------------------------------------------------------------- */

static int children_reap(struct selftest *test)
{
    pid_t pid;
    int how, status = CLI_OK;
    while (status == CLI_OK && process_ended(&pid, &how) == 1) {
        if (test->feed.pid == pid)
            status = feeder_ended(test, how);
        else
            (void)fleet_ended(test, pid, how); /* or an orphan of one that was killed */
    }
    return status;
}

static void progress_tell(struct selftest *test, int64_t part_ms, int64_t whole_ms)
{
    char verb[96];
    const int32_t *done = test->fleet.done;
    snprintf(verb, sizeof(verb), "jobs ended, %d killed, %d frozen, %d stopped, seed %" PRIu64,
             done[FAULT_KILL], done[FAULT_FREEZE] + done[FAULT_NAP], done[FAULT_STOP], test->seed);
    test->progress.verb = verb;
    progress_show(&test->progress, part_ms, whole_ms, test->sight.finished);
    test->progress.verb = "";
}

static int tick(struct selftest *test, bool chaos)
{
    int status = children_reap(test);
    if (status == CLI_OK)
        status = fleet_tick(test, chaos);
    if (status == CLI_OK)
        status = feeder_tick(test, chaos);
    if (status == CLI_OK)
        status = look_tick(test);
    interrupt_wait(&test->interrupt, -1, TICK_MS);
    return status;
}

static int chaos(struct selftest *test)
{
    int64_t began = now_us(), past_ms = 0;
    int status = fleet_start(test);
    while (status == CLI_OK && past_ms < test->run_ms && interrupt_seen(&test->interrupt) == 0) {
        status = tick(test, true);
        past_ms = (now_us() - began) / 1000;
        progress_tell(test, past_ms, test->run_ms);
    }
    test->verdict.ran_ms = past_ms;
    return status;
}

static int drain(struct selftest *test)
{
    struct feed *feed = &test->feed;
    int64_t began = now_us(), moved_us = began, finished = -1;
    int64_t still_us = (STILL_MS + STILL_LEASES * test->lease_ms) * 1000;
    int status = CLI_OK;
    feed->cut_wanted = false;
    fleet_wake(test);
    while (status == CLI_OK && interrupt_seen(&test->interrupt) == 0 &&
           now_us() - moved_us < still_us &&
           (feed->pending || test->sight.finished < feed->accepted)) {
        if (test->sight.finished != finished || feed->pending)
            moved_us = now_us();
        finished = test->sight.finished;
        status = tick(test, false);
        progress_tell(test, test->run_ms, test->run_ms);
    }
    test->verdict.drained_ms = (now_us() - began) / 1000;
    return status;
}

/* ---- 5 and 6 --------------------------------------------------------------------------------- */

static int nodes_stop(struct selftest *test)
{
    int64_t began = now_us();
    int status = children_reap(test);
    fleet_stop(test);
    while (status == CLI_OK && !fleet_gone(test) && interrupt_seen(&test->interrupt) == 0 &&
           now_us() - began < (int64_t)STOP_MS * 1000) {
        interrupt_wait(&test->interrupt, -1, TICK_MS);
        status = children_reap(test);
    }
    if (status == CLI_OK && !fleet_gone(test) && interrupt_seen(&test->interrupt) == 0)
        wrong_add(test, WRONG_OTHER, "a node has not stopped within %d s", STOP_MS / 1000);
    return status;
}

static int end_and_judge(struct selftest *test)
{
    int status = nodes_stop(test);
    if (status == CLI_OK && interrupt_seen(&test->interrupt) == 0)
        status = judge(test);
    progress_clear(&test->progress);
    if (status == CLI_OK && interrupt_seen(&test->interrupt) == 0) {
        report_print(test);
        status = report_status(test);
    }
    return status;
}

/* Whatever happened: nothing runs on, and nothing is left. */
static int clean_up(struct selftest *test)
{
    fleet_kill(test);
    if (test->feed.pid != 0)
        kill(test->feed.pid, SIGKILL);
    bool ended = process_none_left(LEFT_MS);
    datastore_close(test->ds);
    progress_clear(&test->progress);
    if (!ended)
        return cli_error(CLI_FAILED,
                         "processes of %s are still there after %d s: it is not "
                         "removed, the next selftest does it",
                         test->scratch.name, LEFT_MS / 1000);
    return scratch_remove(&test->scratch);
}

static void clear(struct selftest *test)
{
    struct verdict *verdict = &test->verdict;
    for (size_t i = 0; test->env != NULL && test->env[i] != NULL; i++)
        free(test->env[i]);
    for (size_t i = 0; i < verdict->n_texts; i++)
        free(verdict->texts[i]);
    free(test->env);
    free(test->program);
    free(test->fleet.faults);
    free(test->fleet.last);
    free(test->sight.rows);
    free(test->sight.nodes);
    free(verdict->notes);
    free(verdict->ids);
    free(verdict->buried_killed.us);
    free(verdict->buried_frozen.us);
    free(verdict->restarted_killed.us);
    free(verdict->restarted_frozen.us);
    scratch_clear(&test->scratch);
}

static int run(struct cli *cli)
{
    struct selftest test = {.cli = cli,
                            .run_ms = 60000,
                            .lease_ms = LEASE_MS_DEFAULT,
                            .n_nodes = NODES_DEFAULT,
                            .slots = SLOTS_DEFAULT,
                            .scratch = {.owner = -1}};
    int status = settings_take(&test);
    if (status != CLI_OK)
        return status;
    interrupt_open(&test.interrupt);
    progress_start(&test.progress, "");
    status = prepare(&test);
    if (status == CLI_OK)
        status = chaos(&test);
    if (status == CLI_OK && interrupt_seen(&test.interrupt) == 0)
        status = drain(&test);
    if (status == CLI_OK && interrupt_seen(&test.interrupt) == 0)
        status = end_and_judge(&test);
    int cleaned = clean_up(&test), signal = interrupt_seen(&test.interrupt);
    if (cleaned != CLI_OK && status == CLI_OK)
        status = cleaned;
    else if (signal != 0 && cleaned == CLI_OK)
        status =
            cli_error(CLI_SIGNAL + signal, "interrupted; nothing of %s is left", test.scratch.name);
    interrupt_close(&test.interrupt);
    clear(&test);
    return status;
}

const struct cli_command selftest_command = {
    .words = "selftest",
    .operands = "--chaos",
    .summary = "Kill nodes under load in a scratch namespace of your store; account for every job",
    .notes =
        "It starts nodes of its own, submits jobs, kills nodes and submitters with -9, freezes,\n"
        "stops and restarts nodes. Each job's process notes its executions in a file; at the end\n"
        "these and the store must agree: no accepted job lost, none recorded twice, no outcome\n"
        "changed, none executed twice unless its node was killed or frozen (execution is at least\n"
        "once). Nothing outside of its namespace is touched, which is dropped at the end, also\n"
        "after Ctrl-C; what a selftest that was killed has left, the next one in that store\n"
        "removes. Exit status 1: something was found; the report names the jobs.",
    .example = "  stint selftest --chaos\n"
               "  stint selftest --chaos --minutes 10 --store @/etc/stint/mongodb.uri",
    .options = options,
    .json = true,
    .run = run,
};
