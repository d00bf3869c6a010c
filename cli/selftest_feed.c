/* Submits of a selftest, one after another, while the backlog leaves room.
 *
 * Each is the program itself with a file of jobs and a token. One that is killed, or fails, is run
 * again as it was: it must add what is missing and say the ids of all. An id that it says is
 * accepted; from then on its job must not be lost. Single-threaded. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/selftest.h"
#include "datastore/random.h"

enum {
    JOBS_MIN = 20,
    JOBS_SPAN = 41, /* up to 60 a submit */
    EACH_US = 250000,
    AGAIN_US = 500000,
    FAILURES_MAX = 20,
    BACKLOG_SLOT = 25, /* jobs without an outcome for each slot, at most */
    TOOK_US = 20000,   /* that the first one takes, about */
};

#define JOBS_FILE "jobs.jsonl"
#define IDS_FILE "ids"
#define LOG_FILE "submit.log"

static int jobs_write(struct selftest *test)
{
    char *path = scratch_path(&test->scratch, JOBS_FILE);
    char *notes = scratch_path(&test->scratch, "notes");
    FILE *file = fopen(path, "we");
    for (uint32_t i = 0; file != NULL && i < test->feed.n; i++) {
        uint32_t number = test->feed.first + i;
        struct work work = work_of(test->seed, number);
        char text[2][16];
        struct json json;
        snprintf(text[0], sizeof(text[0]), "%" PRIu32, number);
        snprintf(text[1], sizeof(text[1]), "%" PRId32, work.ms);
        const char *const argv[] = {test->program, SELFTEST_JOB, notes,
                                    text[0],       work.kind,    text[1]};
        json_open(&json, file);
        json_array_open(&json, "argv");
        for (size_t k = 0; k < sizeof(argv) / sizeof(argv[0]); k++)
            json_text(&json, NULL, argv[k]);
        json_array_close(&json);
        json_number(&json, "max_attempts", work.max_attempts);
        if (work.timeout_ms > 0)
            json_real(&json, "timeout", (double)work.timeout_ms / 1000);
        json_close(&json);
    }
    int status = CLI_OK;
    if (file == NULL || (ferror(file) | fclose(file)) != 0)
        status = cli_error(CLI_REFUSED, "cannot write %s: %s", path, strerror(errno));
    free(path);
    free(notes);
    return status;
}

static int submit_start(struct selftest *test)
{
    struct feed *feed = &test->feed;
    char token[32];
    char *path = scratch_path(&test->scratch, JOBS_FILE);
    snprintf(token, sizeof(token), "s%" PRId32, feed->submits);
    const char *argv[] = {NULL,      "submit",     "--jsonl", path,    "--token", token, "--queue",
                          "default", "--priority", "5",       "--cwd", "/",       NULL};
    feed->began_us = now_us();
    feed->cut_sent = false;
    feed->pid = process_start(test, argv, IDS_FILE, LOG_FILE);
    free(path);
    return feed->pid > 0 ? CLI_OK : CLI_FAILED;
}

/* Its time: a share of what the last one took. */
static void cut_if_due(struct feed *feed)
{
    int64_t took_us = feed->took_us > 0 ? feed->took_us : TOOK_US;
    if (!feed->cut_wanted || feed->cut_sent ||
        now_us() < feed->began_us + took_us * feed->cut_share / 1000)
        return;
    kill(feed->pid, SIGKILL);
    feed->cut_sent = true;
}

void feeder_cut(struct selftest *test, uint32_t share)
{
    test->feed.cut_wanted = true;
    test->feed.cut_share = share;
}

int feeder_tick(struct selftest *test, bool more)
{
    struct feed *feed = &test->feed;
    if (feed->pid != 0)
        cut_if_due(feed);
    if (feed->pid != 0 || now_us() < feed->due_us)
        return CLI_OK;
    int64_t backlog = feed->accepted - test->sight.finished;
    if (feed->pending)
        return submit_start(test);
    if (!more || backlog > BACKLOG_SLOT * test->n_nodes * test->slots)
        return CLI_OK;
    uint64_t state = test->seed + (uint64_t)feed->next;
    feed->first = feed->next;
    feed->n = JOBS_MIN + (uint32_t)(random_next(&state) % JOBS_SPAN);
    feed->next += feed->n;
    feed->submits++;
    feed->failures = 0;
    feed->pending = true;
    int status = jobs_write(test);
    return status == CLI_OK ? submit_start(test) : status;
}

/* ---- its end --------------------------------------------------------------------------------- */

/* "17" or "17-40", as the program says ids of the default queue. */
static bool ids_parse(char *line, struct range *ret_range)
{
    line[strcspn(line, "\n")] = '\0';
    char *dash = strchr(line, '-');
    struct range range = {0};
    if (dash != NULL)
        *dash = '\0';
    if (number_parse(line, 1, INT32_MAX, &range.a) < 0 ||
        number_parse(dash != NULL ? dash + 1 : line, range.a, INT32_MAX, &range.b) < 0)
        return false;
    range.b++;
    *ret_range = range;
    return true;
}

static int ids_take(struct selftest *test)
{
    struct feed *feed = &test->feed;
    char *path = scratch_path(&test->scratch, IDS_FILE), line[128];
    FILE *file = fopen(path, "re");
    int64_t n = 0;
    int status =
        file == NULL ? cli_error(CLI_REFUSED, "cannot read %s: %s", path, strerror(errno)) : CLI_OK;
    while (status == CLI_OK && fgets(line, sizeof(line), file) != NULL) {
        struct range range;
        if (!ids_parse(line, &range)) {
            wrong_add(test, WRONG_OTHER, "submit s%d said '%s' where ids were due", feed->submits,
                      line);
            continue;
        }
        look_accepted(test, range);
        n += range_count(range);
    }
    if (file != NULL)
        fclose(file);
    free(path);
    if (status == CLI_OK && n != feed->n)
        wrong_add(test, n > feed->n ? WRONG_SUBMITTED_TWICE : WRONG_LOST,
                  "submit s%d has %" PRIu32 " jobs and said %" PRId64 " ids", feed->submits,
                  feed->n, n);
    feed->accepted += n;
    return status;
}

/* The last line of its messages: what it said of its failure. */
static void last_words(const struct selftest *test, char *line, size_t size)
{
    char *path = scratch_path(&test->scratch, LOG_FILE), text[512];
    FILE *file = fopen(path, "re");
    snprintf(line, size, "it said nothing");
    while (file != NULL && fgets(text, sizeof(text), file) != NULL) {
        text[strcspn(text, "\n")] = '\0';
        snprintf(line, size, "%s", strncmp(text, "stint: ", 7) == 0 ? text + 7 : text);
    }
    if (file != NULL)
        fclose(file);
    free(path);
}

int feeder_ended(struct selftest *test, int how)
{
    struct feed *feed = &test->feed;
    bool cut = feed->cut_sent && WIFSIGNALED(how);
    feed->pid = 0;
    feed->due_us = feed->began_us + EACH_US;
    if (WIFEXITED(how) && WEXITSTATUS(how) == CLI_OK) {
        feed->pending = false;
        feed->took_us = now_us() - feed->began_us;
        return ids_take(test);
    }
    feed->again++;
    if (cut) {
        feed->cut++;
        feed->cut_wanted = false;
        feed->due_us = 0;
        test->fleet.done[FAULT_CUT]++;
        return CLI_OK;
    }
    feed->due_us = now_us() + AGAIN_US;
    if (WIFSIGNALED(how))
        wrong_add(test, WRONG_OTHER, "submit s%d was ended by signal %d", feed->submits,
                  WTERMSIG(how));
    if (++feed->failures < FAILURES_MAX)
        return CLI_OK;
    char line[512];
    last_words(test, line, sizeof(line));
    return cli_error(CLI_UNREACHABLE, "nothing can be submitted to the scratch namespace: %s",
                     line);
}
