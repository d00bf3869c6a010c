/* `stint node start`: a node in this process, or with --detach in one of its own.
 *
 * Detaching: fork, setsid, fork; the daemon tells its pid through a pipe, and later only why it
 * failed. The parent waits until a live record has that pid, so that when the command returns the
 * node is there for everybody. The store is opened once before the fork, so that what is wrong with
 * it is said here, and closed again: no connection crosses a fork. Single-threaded. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/view.h"
#include "node/node.h"

enum { START_MS_MAX = 20000, LOOK_MS = 20, LEASE_MS_MIN = 200 };

static const struct cli_option options[] = {
    {"name", 0, "NAME", "name of the node (else made of the host's and a number)", SETTING_NONE},
    {"slots", 0, "N", "jobs at a time (default: one for each processor)", SETTING_SLOTS},
    {"queue", 'q', "NAME", "serve this queue; may be repeated (default: default)", SETTING_QUEUE},
    {"lease", 0, "DURATION", "silent for longer, it is buried (default 5s)", SETTING_LEASE},
    {"stop-timeout", 0, "DURATION", "how long a stop waits for running jobs (default 30s)",
     SETTING_STOP_TIMEOUT},
    {"detach", 'd', NULL, "run in the background; returns when the node is there", SETTING_NONE},
    {"log", 0, "FILE", "with --detach: where its messages go (default: beside the store)",
     SETTING_NONE},
    {0},
};

struct start {
    struct node_config config;
    const char *queues[LIMIT_QUEUES_SERVED];
    const char *uri;
    char *log;
};

static int queues_read(struct cli *cli, struct start *start)
{
    size_t at = 0;
    char quoted[QUOTE_BYTES];
    for (const char *name; (name = cli_option_next(cli, "queue", &at)) != NULL;) {
        if (!name_valid(name))
            return cli_error(CLI_USAGE, "'%s' is no queue name; use letters, digits, '.', '_', '-'",
                             cli_quote(quoted, name));
        if (start->config.n_queues == LIMIT_QUEUES_SERVED)
            return cli_error(CLI_USAGE, "a node serves at most %d queues", LIMIT_QUEUES_SERVED);
        start->queues[start->config.n_queues++] = name;
    }
    start->config.queues = start->queues;
    return CLI_OK;
}

static int config_make(struct cli *cli, struct start *start)
{
    int64_t slots = 0, lease_ms = 0, stop_ms = -1;
    int status = cli_option_name(cli, "name", &start->config.name);
    if (status == CLI_OK)
        status = cli_option_number(cli, "slots", 1, LIMIT_SLOTS, &slots);
    if (status == CLI_OK)
        status = queues_read(cli, start);
    if (status == CLI_OK)
        status = cli_option_duration(cli, "lease", &lease_ms);
    if (status == CLI_OK && cli_option(cli, "lease") != NULL && lease_ms < LEASE_MS_MIN)
        status = cli_error(CLI_USAGE, "--lease must be at least %dms", LEASE_MS_MIN);
    if (status == CLI_OK)
        status = cli_option_duration(cli, "stop-timeout", &stop_ms);
    if (status == CLI_OK && cli_option(cli, "log") != NULL && cli_option(cli, "detach") == NULL)
        status = cli_error(CLI_USAGE, "--log goes with --detach");
    if (status != CLI_OK)
        return status;
    start->config.slots = (int32_t)slots;
    start->config.lease_ms = (uint64_t)lease_ms;
    start->config.stop_timeout_ms = stop_ms < 0 ? UINT64_MAX : (uint64_t)stop_ms;
    start->uri = cli_store_uri(cli);
    start->config.store_uri = start->uri;
    return start->uri != NULL ? CLI_OK : CLI_UNREACHABLE;
}

/* ---- in the background ----------------------------------------------------------------------- */

/* Beside an embedded store, else in the current folder. */
static char *log_path(const struct cli *cli, const struct start *start)
{
    const char *given = cli_option(cli, "log"), *name = start->config.name;
    const char *path = strncmp(start->uri, "sqlite:", 7) == 0 ? start->uri + 7 : start->uri;
    if (given != NULL)
        return cli_copy(given);
    size_t len = strcspn(path, "?");
    const char *slash = memrchr(path, '/', len);
    size_t folder = strstr(path, "://") == NULL && slash != NULL ? (size_t)(slash - path) + 1 : 0;
    return cli_format("%.*snode-%s.log", (int)folder, path, name != NULL ? name : "detached");
}

/* The daemon: its standard streams go to the log, and it becomes the node. Never returns. */
static void daemon_run(const struct start *start, int log, int pipe)
{
    struct error err = {0};
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t pid = getpid();
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(log, STDOUT_FILENO) < 0 ||
        dup2(log, STDERR_FILENO) < 0 || write(pipe, &pid, sizeof(pid)) != sizeof(pid))
        _exit(CLI_FAILED);
    int rc = node_main(&start->config, &err);
    if (rc < 0) {
        cli_fail(&err);
        if (write(pipe, &err, sizeof(err)) != sizeof(err))
            _exit(cli_status_of(rc)); /* nobody listens any more */
    }
    exit(cli_status_of(rc));
}

/* CLI_OK and the reading end of the daemon's pipe, or a status. */
static int daemon_fork(const struct start *start, int log, int *ret_pipe)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return cli_error(CLI_FAILED, "cannot make a pipe: %s", strerror(errno));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        close(ends[0]);
        if (setsid() < 0)
            _exit(CLI_FAILED);
        pid_t daemon = fork();
        if (daemon == 0)
            daemon_run(start, log, ends[1]);
        _exit(daemon > 0 ? CLI_OK : CLI_FAILED);
    }
    close(ends[1]);
    int how = 0;
    if (child < 0 || waitpid(child, &how, 0) != child || how != 0) {
        close(ends[0]);
        return cli_error(CLI_FAILED, "cannot start a process for the node: %s",
                         child < 0 ? strerror(errno) : "fork failed");
    }
    *ret_pipe = ends[0];
    return CLI_OK;
}

/* The live record of that process, if it is there; its name goes to `name`. */
static int record_find(struct datastore *ds, pid_t pid, char name[LIMIT_NAME_BYTES + 1],
                       bool *ret_found, struct error *err)
{
    char host[LIMIT_NAME_BYTES + 1] = "";
    struct ds_step step = {.kind = DS_NODES_READ, .nodes_read = {.live_only = true}};
    struct arena mem = {0};
    int rc = datastore_step(ds, &step, &mem, err);
    if (gethostname(host, sizeof(host) - 1) < 0)
        host[0] = '\0';
    for (size_t i = 0; rc == 0 && i < step.nodes_read.ret_n; i++) {
        const struct node *node = &step.nodes_read.ret_nodes[i];
        if (node->pid != pid || strcmp(node->host, host) != 0 || node->state == NODE_INITIALIZING)
            continue;
        snprintf(name, LIMIT_NAME_BYTES + 1, "%s", node->name);
        *ret_found = true;
    }
    arena_release(&mem);
    return rc;
}

/* Waits for the record, or for the daemon's word that it failed. */
static int daemon_wait(struct cli *cli, int pipe, const char *log)
{
    struct datastore *ds = NULL;
    struct error err = {0};
    pid_t pid = 0;
    bool found = false;
    char name[LIMIT_NAME_BYTES + 1] = "";
    if (read(pipe, &pid, sizeof(pid)) != sizeof(pid))
        return cli_error(CLI_FAILED, "the node did not start; see %s", log);
    int status = cli_open(cli, 0, &ds);
    uint64_t began_ms = clock_ms();
    while (status == CLI_OK && !found) {
        struct pollfd end = {.fd = pipe, .events = POLLIN};
        struct error why = {0};
        if (poll(&end, 1, LOOK_MS) > 0) {
            bool told = read(pipe, &why, sizeof(why)) == sizeof(why);
            status = told ? cli_fail(&why)
                          : cli_error(CLI_FAILED, "the node ended at once; see %s", log);
        } else if (record_find(ds, pid, name, &found, &err) < 0) {
            status = cli_fail(&err);
        } else if (!found && clock_ms() - began_ms > START_MS_MAX) {
            status = cli_error(CLI_TIMED_OUT, "the node (pid %d) is not there yet; see %s",
                               (int)pid, log);
        }
    }
    datastore_close(ds);
    if (status == CLI_OK)
        printf("%s\n", name);
    return status;
}

static int detach(struct cli *cli, struct start *start)
{
    char quoted[QUOTE_BYTES];
    start->log = log_path(cli, start);
    int pipe = -1, log = open(start->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log < 0)
        return cli_error(CLI_USAGE, "cannot write the log %s: %s; give --log FILE",
                         cli_quote(quoted, start->log), strerror(errno));
    int status = daemon_fork(start, log, &pipe);
    close(log);
    if (status != CLI_OK)
        return status;
    status = daemon_wait(cli, pipe, start->log);
    close(pipe);
    return status;
}

static int run(struct cli *cli)
{
    struct start start = {0};
    struct datastore *ds = NULL;
    struct error err = {0};
    int status = config_make(cli, &start);
    if (status == CLI_OK)
        status = cli_open(cli, DS_CREATE, &ds);
    datastore_close(ds);
    if (status == CLI_OK && cli_option(cli, "detach") != NULL)
        status = detach(cli, &start);
    else if (status == CLI_OK && node_main(&start.config, &err) < 0)
        status = cli_fail(&err);
    free(start.log);
    return status;
}

const struct cli_command node_start_command = {
    .words = "node start",
    .operands = "",
    .summary = "Start a node: it claims jobs and runs them until it is stopped",
    .notes = "Ctrl-C (or SIGTERM, or `stint node stop`) stops it gracefully, a second one at once.",
    .example = "  stint node start --slots 4 --detach",
    .options = options,
    .json = false,
    .run = run,
};
