/* What came of a selftest: rows, the jobs' own notes and the faults, held against each other.
 *
 * Promised (I2, I3, I9), so any breach is a finding: each id that a submit has said has one row,
 * with one outcome, which fits what its executions noted, and which never changed while it was
 * looked at; each job was submitted once.
 * Promised (I7): an execution is repeated only when something befell its node: it was killed, it
 * was frozen, or it was buried. One that was stopped gracefully gives no such reason.
 * Not promised: that nothing is executed twice when something did befall it. Those are counted.
 * A job can be executed twice at one run (its node died before a heartbeat named it), or at the
 * next one (the heartbeat did). Single-threaded. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/selftest.h"
#include "cli/store_check.h"

enum { NUMBER_ARGUMENT = 3, SLACK_US = 1000000 };

void wrong_add(struct selftest *test, enum wrong kind, const char *format, ...)
{
    struct verdict *verdict = &test->verdict;
    verdict->wrong[kind]++;
    if (verdict->n_texts == SELFTEST_SHOWN_MAX)
        return;
    va_list args;
    char text[ERROR_BYTES];
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    text_clean(text);
    verdict->texts[verdict->n_texts++] = cli_copy(text);
}

static void times_add(struct times *times, int64_t us)
{
    if (times->n == times->max) {
        times->max = times->max > 0 ? times->max * 2 : 64;
        times->us = cli_grow(times->us, times->max * sizeof(*times->us));
    }
    times->us[times->n++] = us;
}

/* ---- executions of one job ------------------------------------------------------------------- */

/* A job with its executions. */
struct matter {
    struct selftest *test;
    const struct job *job;
    const struct execution *executions;
    size_t n;
    struct work work;
};

/* When an execution was over, noted or not: later something that befalls its node is no reason for
 * another one. An outcome that has ended is recorded within a commit or two. */
static int64_t over_us(const struct matter *matter, const struct execution *e)
{
    const struct selftest *test = matter->test;
    int64_t longest_ms =
        matter->work.ms > matter->work.timeout_ms ? matter->work.ms : matter->work.timeout_ms;
    int64_t end_us = e->end_us != 0 ? e->end_us : e->start_us + longest_ms * 1000;
    return end_us + test->lease_ms * 1000 + SLACK_US + 2 * test->sight.slowest_us;
}

/* Why `next` came after `before` although that run was begun already. */
static bool excused(const struct matter *matter, const struct execution *before,
                    const struct execution *next)
{
    return fleet_excuses(matter->test, before->node, before->start_us, over_us(matter, before)) ||
           fleet_excuses(matter->test, next->node, next->start_us, next->start_us);
}

static void repeats_judge(const struct matter *matter)
{
    struct verdict *verdict = &matter->test->verdict;
    for (size_t i = 1; i < matter->n; i++) {
        const struct execution *before = &matter->executions[i - 1], *next = before + 1;
        if (before->run != next->run)
            continue;
        verdict->same_run_again++;
        if (!excused(matter, before, next))
            wrong_add(matter->test, WRONG_AGAIN,
                      "job %" PRId64
                      " was executed twice at run %d, by %s (pid %d) and %.1f s later "
                      "by %s (pid %d), and nothing had befallen these",
                      next->id, next->run, before->node, before->pid,
                      (double)(next->start_us - before->start_us) / 1e6, next->node, next->pid);
    }
}

/* An interruption needs a node that something befell. */
static void interruptions_judge(const struct matter *matter)
{
    const struct job_ending *ending = matter->job->ending;
    for (size_t i = 0; ending != NULL && i < ending->n_trace; i++) {
        const struct job_attempt *attempt = &ending->trace[i];
        const struct node_seen *node = look_node(matter->test, attempt->node);
        if (attempt->interrupted && node != NULL &&
            !fleet_excuses(matter->test, node->name, 0, INT64_MAX / 2))
            wrong_add(matter->test, WRONG_AGAIN,
                      "job %" PRId64
                      " was interrupted at run %d, and nothing had befallen its node %s",
                      matter->job->id, attempt->run, node->name);
    }
}

/* How long until what a node ran was running again. */
static void recovery_note(const struct matter *matter)
{
    struct selftest *test = matter->test;
    for (size_t i = 0; i + 1 < matter->n; i++) {
        const struct execution *e = &matter->executions[i];
        for (int64_t f = fleet_fault_of(test, e->node); f >= 0; f = test->fleet.faults[f].earlier) {
            const struct fault *fault = &test->fleet.faults[f];
            bool counts = fault->kind == FAULT_KILL || fault->kind == FAULT_FREEZE;
            if (!counts || e->start_us > fault->at_us ||
                (e->end_us != 0 && e->end_us <= fault->at_us) || e[1].start_us <= fault->at_us)
                continue;
            times_add(fault->kind == FAULT_KILL ? &test->verdict.restarted_killed
                                                : &test->verdict.restarted_frozen,
                      e[1].start_us - fault->at_us);
        }
    }
}

/* ---- its outcome ----------------------------------------------------------------------------- */

static bool came_to_its_end(const struct matter *matter, int32_t run)
{
    for (size_t i = 0; i < matter->n; i++)
        if (matter->executions[i].run == run && matter->executions[i].end_us != 0)
            return true;
    return false;
}

static void unfit(const struct matter *matter, const char *why)
{
    const struct job *job = matter->job;
    wrong_add(matter->test, WRONG_UNFIT,
              "job %" PRId64 " (%s) is %s at run %d with %d interruptions, exit status %d: %s",
              job->id, matter->work.kind, job_state_name(job->state), job->run, job->interruptions,
              job->ending != NULL ? job->ending->exit_code : 0, why);
}

static void outcome_judge(const struct matter *matter)
{
    const struct job *job = matter->job;
    struct verdict *verdict = &matter->test->verdict;
    int32_t attempt = job->run - job->interruptions;
    bool timed_out = job->ending != NULL && job->ending->timed_out;
    bool exited = job->ending != NULL && job->ending->exit_code >= 0;
    if (job->state == JOB_DONE) {
        verdict->done++;
        if (!came_to_its_end(matter, job->run))
            unfit(matter, "no execution came to its end at that run");
        else if (attempt <= matter->work.bad_attempts)
            unfit(matter, "that attempt was to fail");
    } else if (job->state == JOB_CANCELLED) {
        unfit(matter, "nobody cancelled it");
    } else if (timed_out && matter->work.timeout_ms > 0) {
        verdict->failed++;
        verdict->timed_out++;
    } else if (!exited && job->interruptions >= job_max_interruptions(job)) {
        verdict->failed_interrupted++;
    } else {
        verdict->failed++;
        if (attempt < matter->work.max_attempts || attempt > matter->work.bad_attempts)
            unfit(matter, "that attempt was not to be its last, or not to fail");
        else if (!came_to_its_end(matter, job->run))
            unfit(matter, "no execution came to its end at that run");
    }
    verdict->attempts += attempt;
    verdict->interruptions += job->interruptions;
}

/* A job whose work was done more often than it was to be. */
static bool done_again(const struct matter *matter)
{
    int64_t ends = 0, due = matter->job->run - matter->job->interruptions;
    for (size_t i = 0; i < matter->n; i++)
        ends += matter->executions[i].end_us != 0 ? 1 : 0;
    due -= matter->work.hangs ? matter->work.bad_attempts : 0;
    return ends > due;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* The number among its arguments; -1: it is none of ours. */
static int64_t number_of(const struct job *job)
{
    const char *text = (const char *)job->argv.data;
    size_t left = job->argv.len;
    int64_t number = -1;
    for (int i = 0; i < NUMBER_ARGUMENT && left > 0; i++) {
        size_t len = strnlen(text, left);
        len += len < left ? 1 : 0;
        text += len;
        left -= len;
    }
    if (left == 0 || strnlen(text, left) == left || number_parse(text, 0, UINT32_MAX, &number) < 0)
        return -1;
    return number;
}

/* Executions of ids that have no row, up to this one: told where no submit has said that id, as the
 * others are lost. */
static void strangers_judge(struct selftest *test, int64_t before)
{
    struct verdict *verdict = &test->verdict;
    for (; verdict->at_note < verdict->n_notes && verdict->notes[verdict->at_note].id < before;
         verdict->at_note++) {
        const struct execution *e = &verdict->notes[verdict->at_note];
        bool accepted = e->id < test->sight.n_rows && test->sight.rows[e->id].accepted;
        if (!accepted)
            wrong_add(test, WRONG_OTHER, "job %" PRId64 " was executed by %s, and has no row",
                      e->id, e->node);
    }
}

static void job_judge(struct selftest *test, const struct job *job)
{
    struct verdict *verdict = &test->verdict;
    strangers_judge(test, job->id);
    int64_t number = number_of(job);
    if (number < 0 || number >= test->feed.next) {
        wrong_add(test, WRONG_OTHER, "job %" PRId64 " was never submitted", job->id);
        return;
    }
    if (verdict->ids[number] != 0)
        wrong_add(test, WRONG_SUBMITTED_TWICE, "job %" PRId64 " is job %" PRId64 " once more",
                  job->id, verdict->ids[number]);
    verdict->ids[number] = job->id;
    struct matter matter = {.test = test,
                            .job = job,
                            .executions = verdict->notes + verdict->at_note,
                            .work = work_of(test->seed, (uint32_t)number)};
    while (verdict->at_note < verdict->n_notes && verdict->notes[verdict->at_note].id == job->id) {
        verdict->at_note++;
        matter.n++;
    }
    verdict->executions += (int64_t)matter.n;
    repeats_judge(&matter);
    interruptions_judge(&matter);
    recovery_note(&matter);
    if (!job_state_finished(job->state)) {
        wrong_add(test, WRONG_LOST,
                  "job %" PRId64 " is still %s at run %d, after all nodes had "
                  "time to run it",
                  job->id, job_state_name(job->state), job->run);
        return;
    }
    outcome_judge(&matter);
    verdict->done_again += done_again(&matter) ? 1 : 0;
}

/* Ids that were said, and have no row. */
static void rows_judge(struct selftest *test)
{
    const struct sight *sight = &test->sight;
    for (int64_t id = 0; id < sight->n_rows; id++) {
        const struct row_seen *row = &sight->rows[id];
        if (row->accepted && !row->there && row->digest != 0)
            wrong_add(test, WRONG_LOST, "job %" PRId64 " was %s at run %d, and its row is gone", id,
                      job_state_name(row->state), row->run);
        else if (row->accepted && !row->there)
            wrong_add(test, WRONG_LOST, "job %" PRId64 " was accepted, and has no row", id);
        else if (row->there && !row->accepted)
            wrong_add(test, WRONG_SUBMITTED_TWICE,
                      "job %" PRId64 " is there, and no submit has said its id", id);
    }
}

/* Whether something was done to that node before it died. */
static bool asked_for(const struct selftest *test, const struct node_seen *node)
{
    const struct fault *faults = test->fleet.faults;
    int64_t i = fleet_fault_of(test, node->name);
    while (i >= 0 && (faults[i].kind == FAULT_STOP || faults[i].at_us > node->dead_us))
        i = faults[i].earlier;
    return i >= 0;
}

static void nodes_judge(struct selftest *test)
{
    struct verdict *verdict = &test->verdict;
    int64_t done = 0;
    for (size_t i = 0; i < test->sight.n_nodes; i++) {
        const struct node_seen *node = &test->sight.nodes[i];
        done += node->done;
        if (node->dead_us == 0 || strcmp(node->cause, "stopped") == 0 || asked_for(test, node))
            continue;
        verdict->unasked++;
        snprintf(verdict->unasked_one, sizeof(verdict->unasked_one), "%s: %s", node->name,
                 node->cause);
    }
    if (done > verdict->done)
        wrong_add(test, WRONG_RECORDED_TWICE,
                  "the nodes say that they recorded %" PRId64 " jobs as done, and %" PRId64 " are",
                  done, verdict->done);
    for (size_t f = 0; f < test->fleet.n_faults; f++) {
        const struct fault *fault = &test->fleet.faults[f];
        int64_t first = 0;
        for (size_t i = 0; i < test->sight.n_nodes; i++) {
            const struct node_seen *node = &test->sight.nodes[i];
            if (strcmp(node->name, fault->node) == 0 && node->timed &&
                node->dead_us > fault->at_us && strcmp(node->cause, "stopped") != 0 &&
                (first == 0 || node->dead_us < first))
                first = node->dead_us;
        }
        if (first != 0 && fault->kind == FAULT_KILL)
            times_add(&verdict->buried_killed, first - fault->at_us);
        else if (first != 0 && fault->kind == FAULT_FREEZE)
            times_add(&verdict->buried_frozen, first - fault->at_us);
    }
}

static void problem_note(void *ctx, const char *text)
{
    wrong_add(ctx, WRONG_OTHER, "the store's check says: %s", text);
}

int judge(struct selftest *test)
{
    struct verdict *verdict = &test->verdict;
    struct store_check check = {.problem = problem_note, .ctx = test};
    struct error err = {0};
    int64_t strange = 0;
    char *path = scratch_path(&test->scratch, "notes");
    verdict->ids = cli_alloc(((size_t)test->feed.next + 1) * sizeof(*verdict->ids));
    int rc = notes_read(path, &verdict->notes, &verdict->n_notes, &strange, &err);
    free(path);
    if (rc == 0)
        rc = look_at_all(test, job_judge, &err);
    if (rc == 0) {
        strangers_judge(test, INT64_MAX);
        rows_judge(test);
        nodes_judge(test);
        rc = store_check(test->ds, &check, &err);
    }
    if (strange > 0)
        wrong_add(test, WRONG_OTHER,
                  "%" PRId64 " of the jobs' notes are damaged, or tell of an end "
                  "without a start",
                  strange);
    verdict->again = verdict->executions - verdict->attempts;
    return rc < 0 ? cli_fail(&err) : CLI_OK;
}
