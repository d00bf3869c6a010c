/* Waits for jobs to end.
 *
 * A cursor goes over the ids and stops at the first one that is unfinished; it is looked at again
 * when the store says that something changed, and at growing intervals in any case: 2 ms after
 * progress, up to 250 ms without. Nothing is counted twice and a finished job is read once.
 * Single-threaded. */
#include "cli/wait.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/progress.h"

enum { LOOK_MS_MIN = 2, LOOK_MS_MAX = 250, LONELY_MS = 1500, OUTAGE_MS = 30000 };

struct waiter {
    const struct wait_request *request;
    struct datastore *ds;
    size_t at;    /* range looked at now */
    int64_t next; /* first id not looked at */
    int64_t counts[JOB_STATES];
    int64_t missing;
    int64_t whole; /* ids to look at; 0: unknown */
    bool over;
};

static int64_t ended_of(const struct waiter *waiter)
{
    return waiter->counts[JOB_DONE] + waiter->counts[JOB_FAILED] + waiter->counts[JOB_CANCELLED];
}

/* One step on. *ret_moved: the cursor did. */
static int look(struct waiter *waiter, bool *ret_moved, struct error *err)
{
    const struct wait_request *request = waiter->request;
    bool batch = request->batch != NULL;
    struct range range =
        batch ? (struct range){.a = waiter->next, .b = INT64_MAX}
              : (struct range){.a = waiter->next, .b = request->ranges[waiter->at].b};
    struct ds_step step = {.kind = DS_SCAN, .scan = {.range = range, .batch = request->batch}};
    struct arena mem = {0};
    int rc = datastore_step(waiter->ds, &step, &mem, err);
    arena_release(&mem);
    if (rc < 0)
        return rc;
    for (int i = 0; i < JOB_STATES; i++)
        waiter->counts[i] += step.scan.ret_counts[i];
    waiter->missing += step.scan.ret_missing;
    *ret_moved = step.scan.ret_next > waiter->next;
    waiter->next = step.scan.ret_next;
    if (step.scan.ret_stopped || waiter->next < range.b)
        return 0;
    *ret_moved = true;
    waiter->at++;
    waiter->over = batch || waiter->at == request->n_ranges;
    if (!waiter->over)
        waiter->next = request->ranges[waiter->at].a;
    return 0;
}

/* Says once that nobody is there to do the work. */
static void lonely_note(struct waiter *waiter)
{
    struct ds_step step = {.kind = DS_NODES_READ, .nodes_read = {.live_only = true}};
    struct arena mem = {0};
    if (datastore_step(waiter->ds, &step, &mem, NULL) == 0 && step.nodes_read.ret_n == 0)
        cli_note("no node is running; start one with `stint node start`");
    arena_release(&mem);
}

static int summary(const struct cli *cli, const struct waiter *waiter)
{
    int64_t done = waiter->counts[JOB_DONE], failed = waiter->counts[JOB_FAILED],
            cancelled = waiter->counts[JOB_CANCELLED];
    if (done + failed + cancelled == 0)
        return waiter->request->batch != NULL
                   ? cli_error(CLI_REFUSED, "no job in batch %s; see `stint job list`",
                               waiter->request->batch)
                   : cli_error(CLI_REFUSED, "no such job; see `stint job list`");
    if (cli->json) {
        struct json json;
        json_open(&json, stdout);
        json_number(&json, "done", done);
        json_number(&json, "failed", failed);
        json_number(&json, "cancelled", cancelled);
        json_close(&json);
    } else {
        printf("%" PRId64 " done, %" PRId64 " failed, %" PRId64 " cancelled\n", done, failed,
               cancelled);
    }
    return failed + cancelled > 0 ? CLI_FAILED : CLI_OK;
}

static int gave_up(const struct waiter *waiter, int signal)
{
    const char *again = waiter->request->again;
    if (signal != 0)
        return cli_error(CLI_SIGNAL + signal,
                         "stopped waiting, the jobs go on; look again with `%s`", again);
    return cli_error(CLI_TIMED_OUT, "timed out with %" PRId64 " jobs ended; look again with `%s`",
                     ended_of(waiter), again);
}

static int store_lost(int rc, const struct error *err)
{
    const char *text = err->code != 0 ? err->text : error_text(rc);
    return cli_error(cli_passing(rc) ? CLI_UNREACHABLE : cli_status_of(rc), "%s", text);
}

/* The time to sleep before the next look; grows while nothing moves. */
static uint64_t pause_next(uint64_t pause_ms)
{
    return pause_ms * 2 < LOOK_MS_MAX ? pause_ms * 2 : LOOK_MS_MAX;
}

int wait_for(const struct cli *cli, struct datastore *ds, struct interrupt *interrupt,
             const struct wait_request *request)
{
    struct waiter waiter = {.request = request, .ds = ds};
    for (size_t i = 0; i < request->n_ranges; i++)
        waiter.whole += range_count(request->ranges[i]);
    if (request->batch == NULL && request->n_ranges == 0)
        return CLI_OK;
    if (request->batch == NULL)
        waiter.next = request->ranges[0].a;
    struct progress progress;
    progress_start(&progress, "jobs ended");
    int wake = ds->class->wakes_waiters ? ds->class->wake_fd(ds) : -1;
    uint64_t began_ms = clock_ms(), pause_ms = LOOK_MS_MIN, trouble_ms = 0;
    uint64_t outage_ms = request->outage_ms > 0 ? request->outage_ms : OUTAGE_MS;
    bool told = false;
    for (;;) {
        struct error err = {0};
        bool moved = false;
        int rc = look(&waiter, &moved, &err);
        uint64_t now = clock_ms();
        trouble_ms = rc == 0 ? 0 : trouble_ms != 0 ? trouble_ms : now;
        int signal = interrupt_seen(interrupt);
        bool late = request->timeout_ms >= 0 && now - began_ms >= (uint64_t)request->timeout_ms;
        bool broken = rc < 0 && (!cli_passing(rc) || now - trouble_ms > outage_ms);
        if (waiter.over || broken || signal != 0 || late) {
            progress_clear(&progress);
            return broken        ? store_lost(rc, &err)
                   : waiter.over ? summary(cli, &waiter)
                                 : gave_up(&waiter, signal);
        }
        progress_show(&progress, ended_of(&waiter), waiter.whole, ended_of(&waiter));
        if (moved) {
            pause_ms = LOOK_MS_MIN;
            told = true; /* somebody works */
            continue;
        }
        if (!told && now - began_ms > LONELY_MS) {
            told = true;
            progress_clear(&progress);
            lonely_note(&waiter);
        }
        uint64_t sleep_ms = pause_ms;
        uint64_t left_ms =
            request->timeout_ms >= 0 ? began_ms + (uint64_t)request->timeout_ms - now : UINT64_MAX;
        if (interrupt_wait(interrupt, wake, sleep_ms < left_ms ? sleep_ms : left_ms) &&
            ds->class->wake_clear != NULL)
            ds->class->wake_clear(ds);
        pause_ms = pause_next(pause_ms);
    }
}
