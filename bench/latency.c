/* How long an idle system takes from a submitter's call to the start of the job's program.
 *
 *   latency --store URI --stamp PROGRAM --folder DIR [--samples N] [--cli STINT]
 *
 * Every sample submits one exec job that writes its start time into a FIFO, after a random pause
 * long enough for the node to be idle again. The submitter has the store open and calls it (or,
 * with --cli, runs `stint submit` each time, whose own start then counts too). Between samples it
 * appends 4 KiB to a file in DIR and calls fdatasync, what one commit costs at least, and starts
 * the same program itself, what its start costs without a queue.
 *
 * Prints one JSON line; times in microseconds. A job that has not started within 10 s ends it with
 * status 1. One thread. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "datastore/datastore.h"

enum { SAMPLES_MAX = 10000, PAUSE_MS_MIN = 5, PAUSE_MS_MAX = 45, START_MS_MAX = 10000 };

struct latency {
    const char *store, *stamp, *folder, *cli;
    long samples;
    struct datastore *ds;
    int32_t lane;
    char fifo_path[LIMIT_PATH_BYTES], sync_path[LIMIT_PATH_BYTES];
    int fifo, sync_file;
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "latency: %s: %s\n", what, why);
    exit(1);
}

static int64_t now_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t random_number(void)
{
    uint64_t number;
    if (getrandom(&number, sizeof(number), 0) != sizeof(number))
        die("getrandom", strerror(errno));
    return number;
}

static int compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Through the datastore contract, as the command line does it: reserve an id, insert the row. */
static void submit_by_store(struct latency *latency)
{
    char argv[2 * LIMIT_PATH_BYTES];
    int len = snprintf(argv, sizeof(argv), "%s%c%s", latency->stamp, 0, latency->fifo_path);
    struct job job = {
        .state = JOB_QUEUED,
        .run = 1,
        .type = "exec",
        .argv = {(const uint8_t *)argv, (size_t)len + 1},
        .token = (int64_t)(random_number() >> 1) | 1,
    };
    const char *type = "exec";
    struct ds_step steps[] = {
        {.kind = DS_RESERVE,
         .reserve = {.lane = latency->lane, .count = 1, .types = &type, .n_types = 1}},
        {.kind = DS_INSERT, .insert = {.jobs = &job, .n_jobs = 1, .from_reserve = true}},
    };
    struct ds_run run = {.steps = steps, .n_steps = 2};
    if (datastore_run(latency->ds, &run) < 0)
        die("submit", run.err.text);
    arena_release(&run.mem);
}

static void submit_by_cli(struct latency *latency)
{
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(null, STDOUT_FILENO);
        execl(latency->cli, latency->cli, "submit", "--store", latency->store, "--",
              latency->stamp, latency->fifo_path, (char *)NULL);
        _exit(127);
    }
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        die(latency->cli, "submit failed");
}

static int64_t sample(struct latency *latency)
{
    int64_t began = now_us(CLOCK_REALTIME), stamp;
    if (latency->cli != NULL)
        submit_by_cli(latency);
    else
        submit_by_store(latency);
    struct pollfd wait = {.fd = latency->fifo, .events = POLLIN};
    if (poll(&wait, 1, START_MS_MAX) != 1 ||
        read(latency->fifo, &stamp, sizeof(stamp)) != sizeof(stamp))
        die("no job started", "is a node running?");
    return stamp - began;
}

static int64_t sample_sync(struct latency *latency)
{
    char page[4096];
    memset(page, 'x', sizeof(page));
    int64_t began = now_us(CLOCK_MONOTONIC);
    if (write(latency->sync_file, page, sizeof(page)) != sizeof(page) ||
        fdatasync(latency->sync_file) != 0)
        die(latency->sync_path, strerror(errno));
    return now_us(CLOCK_MONOTONIC) - began;
}

/* The same program started by nobody but us: what its own start takes, without a queue. */
static int64_t sample_spawn(struct latency *latency)
{
    char *argv[] = {(char *)latency->stamp, latency->fifo_path, NULL};
    int64_t began = now_us(CLOCK_REALTIME), stamp;
    pid_t pid;
    int status;
    if (posix_spawn(&pid, latency->stamp, NULL, NULL, argv, environ) != 0 ||
        read(latency->fifo, &stamp, sizeof(stamp)) != sizeof(stamp) ||
        waitpid(pid, &status, 0) != pid)
        die(latency->stamp, "cannot be started");
    return stamp - began;
}

static void prepare(struct latency *latency)
{
    struct error err;
    struct arena mem = {0};
    if (datastore_open(latency->store, 0, &latency->ds, &err) < 0)
        die("open", err.text);
    struct ds_step step = {
        .kind = DS_LANE_OPEN,
        .lane_open = {.name = {.queue = QUEUE_DEFAULT, .priority = PRIORITY_DEFAULT}}};
    if (datastore_step(latency->ds, &step, &mem, &err) < 0)
        die("open the lane", err.text);
    latency->lane = step.lane_open.ret_lane;
    arena_release(&mem);

    snprintf(latency->fifo_path, sizeof(latency->fifo_path), "%s/latency.%d.fifo",
             latency->folder, getpid());
    snprintf(latency->sync_path, sizeof(latency->sync_path), "%s/latency.%d.sync",
             latency->folder, getpid());
    if (mkfifo(latency->fifo_path, 0600) != 0)
        die(latency->fifo_path, strerror(errno));
    /* Also open for writing: so the end of one job is no end of file. */
    latency->fifo = open(latency->fifo_path, O_RDWR | O_CLOEXEC);
    latency->sync_file = open(latency->sync_path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (latency->fifo < 0 || latency->sync_file < 0)
        die(latency->folder, strerror(errno));
}

static void measure(struct latency *latency)
{
    size_t n = (size_t)latency->samples;
    int64_t *start_us = calloc(n, sizeof(*start_us)), *sync_us = calloc(n, sizeof(*sync_us));
    int64_t *spawn_us = calloc(n, sizeof(*spawn_us));
    if (start_us == NULL || sync_us == NULL || spawn_us == NULL)
        die("calloc", strerror(errno));
    for (size_t i = 0; i < n; i++) {
        sync_us[i] = sample_sync(latency);
        spawn_us[i] = sample_spawn(latency);
        poll(NULL, 0, PAUSE_MS_MIN + (int)(random_number() % (PAUSE_MS_MAX - PAUSE_MS_MIN)));
        start_us[i] = sample(latency);
    }
    qsort(start_us, n, sizeof(*start_us), compare);
    qsort(spawn_us, n, sizeof(*spawn_us), compare);
    qsort(sync_us, n, sizeof(*sync_us), compare);
    printf("{\"submitter\":\"%s\",\"samples\":%zu,\"p50_us\":%" PRId64 ",\"p90_us\":%" PRId64
           ",\"p99_us\":%" PRId64 ",\"max_us\":%" PRId64 ",\"fdatasync_p50_us\":%" PRId64
           ",\"fdatasync_p99_us\":%" PRId64 ",\"spawn_p50_us\":%" PRId64 "}\n",
           latency->cli != NULL ? "stint submit" : "open store", n, start_us[n / 2],
           start_us[n * 9 / 10], start_us[n * 99 / 100], start_us[n - 1], sync_us[n / 2],
           sync_us[n * 99 / 100], spawn_us[n / 2]);
    free(spawn_us);
    free(start_us);
    free(sync_us);
}

int main(int argc, char **argv)
{
    struct latency latency = {.samples = 500};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--store") == 0)
            latency.store = argv[i + 1];
        else if (strcmp(argv[i], "--stamp") == 0)
            latency.stamp = argv[i + 1];
        else if (strcmp(argv[i], "--folder") == 0)
            latency.folder = argv[i + 1];
        else if (strcmp(argv[i], "--cli") == 0)
            latency.cli = argv[i + 1];
        else if (strcmp(argv[i], "--samples") == 0)
            latency.samples = strtol(argv[i + 1], NULL, 10);
    }
    if (latency.store == NULL || latency.stamp == NULL || latency.folder == NULL ||
        latency.samples < 1 || latency.samples > SAMPLES_MAX) {
        fprintf(stderr, "usage: latency --store URI --stamp PROGRAM --folder DIR [--samples N] "
                        "[--cli STINT]\n");
        return 2;
    }
    prepare(&latency);
    measure(&latency);
    unlink(latency.fifo_path);
    unlink(latency.sync_path);
    close(latency.fifo);
    close(latency.sync_file);
    datastore_close(latency.ds);
    return 0;
}
