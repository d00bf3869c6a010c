/* Jobs as people and programs read them. Single-threaded. */
#define _GNU_SOURCE
#include "cli/job_print.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

enum { WORK_TABLE_BYTES = 60, WORK_FULL_BYTES = 4000 };

static const char *const columns[] = {"ID",      "STATE",   "TYPE", "NODE",
                                      "ATTEMPT", "CREATED", "TOOK", "WORK"};

static const struct view_running *running_of(const struct view *view, const struct job *job)
{
    return job->state == JOB_QUEUED ? view_running(view, job->id, job->run) : NULL;
}

const char *job_shown_state(const struct view *view, const struct job *job)
{
    return running_of(view, job) != NULL ? "running" : job_state_name(job->state);
}

/* Its node's name while that is known, else the number; NULL: none. */
static const char *node_name(const struct view *view, int64_t id, char text[32])
{
    if (id == 0)
        return NULL;
    const struct node *node = view_node(view, id);
    if (node != NULL)
        return node->name;
    snprintf(text, 32, "%" PRId64, id);
    return text;
}

static const char *job_node(const struct view *view, const struct job *job, char text[32])
{
    const struct view_running *running = running_of(view, job);
    return running != NULL ? running->node->name : node_name(view, job->node, text);
}

static int64_t job_started(const struct view *view, const struct job *job)
{
    const struct view_running *running = running_of(view, job);
    return running != NULL ? running->job->started_ms : job->started_ms;
}

char *job_shown_work(const struct job *job, size_t max)
{
    struct bytes from = job->argv.len > 0 ? job->argv : job->payload;
    size_t len = from.len;
    if (job->argv.len > 0)
        len--; /* the last argument's NUL */
    bool cut = len > max;
    if (cut)
        len = max;
    while (cut && len > 0 && (from.data[len] & 0xc0) == 0x80)
        len--; /* not within a character */
    char *text = cli_alloc(len + 4);
    for (size_t i = 0; i < len; i++)
        text[i] = from.data[i] != '\0' ? (char)from.data[i] : ' ';
    memcpy(text + len, cut ? "..." : "", cut ? 4 : 1);
    text_clean(text);
    return text;
}

/* An ending that is not there says: exit status 0, no output. */
static bool exit_known(const struct job *job, int32_t *ret_exit)
{
    bool ended = job->state == JOB_DONE || job->state == JOB_FAILED;
    *ret_exit = job->ending != NULL ? job->ending->exit_code : 0;
    return ended && strcmp(job->type, "exec") == 0 && *ret_exit >= 0 &&
           (job->ending != NULL || job->state == JOB_DONE);
}

static void after_print(struct json *json, const struct view *view, const struct job_spec *spec)
{
    json_array_open(json, "after");
    for (size_t i = 0; spec != NULL && i < spec->n_after; i++) {
        char text[ID_TEXT_BYTES];
        json_text(json, NULL, view_id(view, text, spec->after[i]));
    }
    json_array_close(json);
}

void job_print_json(const struct view *view, const struct job *job)
{
    const struct lane *lane = view_lane(view, id_lane(job->id));
    const struct job_spec *spec = job->spec;
    const struct job_ending *ending = job->ending;
    struct bytes none = {0};
    int64_t run_at = job->due_ms != 0 ? job->due_ms : spec != NULL ? spec->run_at_ms : 0;
    int32_t exit_code = 0;
    char id[ID_TEXT_BYTES], node[32];
    struct json json;
    json_open(&json, stdout);
    json_text(&json, "id", view_id(view, id, job->id));
    json_text(&json, "queue", lane != NULL ? lane->name.queue : NULL);
    json_text(&json, "type", job->type);
    json_text(&json, "state", job_shown_state(view, job));
    json_number(&json, "priority", lane != NULL ? lane->name.priority : PRIORITY_DEFAULT);
    json_number(&json, "run", job->run);
    json_number(&json, "attempt", job->run - job->interruptions);
    json_number(&json, "max_attempts", job_max_attempts(job));
    json_number(&json, "interruptions", job->interruptions);
    json_text(&json, "node", job_node(view, job, node));
    json_time(&json, "created", job->created_ms);
    json_time(&json, "run_at", run_at);
    json_time(&json, "started", job_started(view, job));
    json_time(&json, "finished", job->finished_ms);
    if (exit_known(job, &exit_code))
        json_number(&json, "exit", exit_code);
    else
        json_null(&json, "exit");
    if (ending != NULL && ending->signal != 0)
        json_number(&json, "signal", ending->signal);
    else
        json_null(&json, "signal");
    json_bytes(&json, "output", ending != NULL ? ending->output : none);
    json_bytes(&json, "result", ending != NULL ? ending->result : none);
    json_null(&json, "progress");
    json_text(&json, "key", spec != NULL ? spec->key : NULL);
    json_text(&json, "group", spec != NULL ? spec->group : NULL);
    after_print(&json, view, spec);
    json_text(&json, "batch", job->batch);
    json_text(&json, "error", ending != NULL ? ending->error : NULL);
    json_close(&json);
}

/* ---- table ----------------------------------------------------------------------------------- */

void job_table_open(struct table *table)
{
    table_open(table, columns, sizeof(columns) / sizeof(columns[0]), 1U << 4 | 1U << 6);
}

void job_table_add(struct table *table, const struct view *view, const struct job *job)
{
    char id[ID_TEXT_BYTES], node[32], created[TIME_TEXT_BYTES], took[TIME_TEXT_BYTES] = "-";
    const char *where = job_node(view, job, node);
    int64_t started = job_started(view, job);
    if (job->finished_ms != 0 && started != 0)
        span_format(took, started, job->finished_ms);
    else if (started != 0)
        span_format(took, started, clock_utc_ms());
    char *work = job_shown_work(job, WORK_TABLE_BYTES);
    table_cell(table, "%s", view_id(view, id, job->id));
    table_cell(table, "%s", job_shown_state(view, job));
    table_cell(table, "%s", job->type);
    table_cell(table, "%s", where != NULL ? where : "-");
    table_cell(table, "%d", job->run - job->interruptions);
    table_cell(table, "%s", time_format(created, job->created_ms));
    table_cell(table, "%s", took);
    table_cell(table, "%s", work);
    free(work);
}

/* ---- in full --------------------------------------------------------------------------------- */

static void line(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void line(const char *name, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        return;
    text_clean(text);
    printf("%-14s %s\n", name, text);
    free(text);
}

/* "exit 1", "signal 9", "timed out"... */
static char *ending_text(bool interrupted, int32_t exit_code, int32_t signal, bool timed_out,
                         const char *error)
{
    char how[64] = "";
    if (signal != 0)
        snprintf(how, sizeof(how), "signal %d", signal);
    else if (exit_code >= 0)
        snprintf(how, sizeof(how), "exit %d", exit_code);
    return cli_format("%s%s%s%s%s", interrupted ? "interrupted " : "",
                      timed_out ? "timed out " : "", how, error != NULL ? ": " : "",
                      error != NULL ? error : "");
}

static void attempts_print(const struct view *view, const struct job_ending *ending)
{
    for (size_t i = 0; i < ending->n_trace; i++) {
        const struct job_attempt *run = &ending->trace[i];
        char node[32], started[TIME_TEXT_BYTES];
        const char *where = node_name(view, run->node, node);
        char *how =
            ending_text(run->interrupted, run->exit_code, run->signal, run->timed_out, run->error);
        line(i == 0 ? "earlier runs" : "", "run %d on %s at %s: %s", run->run,
             where != NULL ? where : "-", time_format(started, run->started_ms), how);
        free(how);
    }
}

static void spec_print(const struct job_spec *spec)
{
    char text[TIME_TEXT_BYTES];
    if (spec->timeout_ms > 0)
        line("time-out", "%s", duration_format(text, spec->timeout_ms));
    if (spec->cwd != NULL)
        line("folder", "%s", spec->cwd);
    for (size_t at = 0; at < spec->env.len;) {
        const char *setting = (const char *)spec->env.data + at;
        size_t len = strnlen(setting, spec->env.len - at); /* damaged, the last has no NUL */
        line("environment", "%.*s", (int)len, setting);
        at += len + 1;
    }
    if (spec->key != NULL)
        line("key", "%s", spec->key);
}

static void ending_print(const struct view *view, const struct job *job)
{
    const struct job_ending *ending = job->ending;
    char size[TIME_TEXT_BYTES];
    if (ending == NULL)
        return;
    attempts_print(view, ending);
    if (job_state_finished(job->state)) {
        char *how =
            ending_text(false, ending->exit_code, ending->signal, ending->timed_out, ending->error);
        line("ended", "%s", how);
        free(how);
        line("used", "%.3f s user, %.3f s system, %s resident", (double)ending->user_ms / 1000,
             (double)ending->sys_ms / 1000, size_format(size, (double)ending->maxrss_kb * 1024));
    }
    if (ending->output_total > 0) {
        char id[ID_TEXT_BYTES];
        line("output", "%s; see `stint job log %s`",
             size_format(size, (double)ending->output_total), view_id(view, id, job->id));
    }
}

void job_print_full(const struct view *view, const struct job *job)
{
    const struct lane *lane = view_lane(view, id_lane(job->id));
    char text[ID_TEXT_BYTES], node[32], when[TIME_TEXT_BYTES];
    const char *where = job_node(view, job, node);
    char *work = job_shown_work(job, WORK_FULL_BYTES);
    line("job", "%s", view_id(view, text, job->id));
    line("state", "%s", job_shown_state(view, job));
    line("queue", "%s, priority %d", lane != NULL ? lane->name.queue : "?",
         lane != NULL ? lane->name.priority : PRIORITY_DEFAULT);
    line("type", "%s", job->type);
    line(job->argv.len > 0 ? "command" : "payload", "%s", work);
    line("attempt", "%d of %d (run %d, %d interruptions)", job->run - job->interruptions,
         job_max_attempts(job), job->run, job->interruptions);
    if (job->batch != NULL)
        line("batch", "%s", job->batch);
    if (job->spec != NULL)
        spec_print(job->spec);
    line("created", "%s", time_format(when, job->created_ms));
    line("started", "%s", time_format(when, job_started(view, job)));
    line("finished", "%s", time_format(when, job->finished_ms));
    line("node", "%s", where != NULL ? where : "-");
    ending_print(view, job);
    free(work);
}
