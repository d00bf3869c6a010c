/* `stint submit`: one job, or many from lines or JSON lines. What is asked for: submit_plan.c; how
 * an interrupted one is found again: submit_name.c; how jobs get into the store: submit_send.c.
 * Single-threaded. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/progress.h"
#include "cli/submit.h"
#include "cli/wait.h"

enum { IDLE_MS = 20, SHOWN_RANGES = 4 };

static const struct cli_option options[] = {
    {"each", 0, "FILE|-", "one job a line; {} in the command (or --payload) is the line",
     SETTING_NONE},
    {"null", '0', NULL, "lines of --each end with a NUL (find -print0)", SETTING_NONE},
    {"jsonl", 0, "FILE|-", "one JSON job a line", SETTING_NONE},
    {"queue", 'q', "NAME", "queue (default: default)", SETTING_QUEUE},
    {"priority", 0, "N", "0 (first) to 9 (last), 5 by default", SETTING_NONE},
    {"type", 0, "NAME", "type of job (exec when a command is given)", SETTING_NONE},
    {"payload", 0, "TEXT|@FILE|-", "input of the job; standard input of a command", SETTING_NONE},
    {"max-attempts", 0, "N", "run a failing job up to N times (default 1)", SETTING_NONE},
    {"timeout", 0, "DURATION", "end an attempt after this long: 500ms, 10s, 5m, 2h", SETTING_NONE},
    {"batch", 0, "NAME", "a name to wait for and to list by", SETTING_NONE},
    {"cwd", 0, "FOLDER", "where the command runs (default: here)", SETTING_NONE},
    {"env", 0, "NAME=VALUE", "add to the command's environment; may be repeated", SETTING_NONE},
    {"rlimit", 0, "NAME=N", "resource limit of a command (setrlimit): cpu=10, nofile=64, ...",
     SETTING_NONE},
    {"key", 0, "NAME", "unique among unfinished jobs; else the first one's id is printed",
     SETTING_NONE},
    {"token", 0, "NAME", "name of this submit: the same again adds only what is missing",
     SETTING_NONE},
    {"wait", 0, NULL, "wait until the jobs have ended", SETTING_NONE},
    {0},
};

struct submit {
    struct submit_request request;
    struct submit_input input;
    struct datastore *ds;
    struct interrupt interrupt;
    struct submit_sender sender;
    struct submit_batch batch;
    struct progress progress;
    struct bytes line; /* of the input, not yet a job */
    bool pending, at_end;
    struct submit_naming naming;
};

/* ---- the bulk loop --------------------------------------------------------------------------- */

static int batch_send(struct submit *submit, bool last, struct error *err)
{
    int rc = sender_send(&submit->sender, &submit->batch, last, err);
    progress_show(&submit->progress, submit->input.bytes, submit->input.size,
                  submit->sender.index - submit->sender.already);
    return rc;
}

/* Before a read of a pipe that may block: what has gathered is sent when the writer pauses. */
static int input_wait(void *ctx)
{
    struct submit *submit = ctx;
    struct error err = {0};
    for (;;) {
        bool gathered = submit->batch.n > 0 && sender_room(&submit->sender) == INT64_MAX;
        if (interrupt_wait(&submit->interrupt, submit->input.fd, gathered ? IDLE_MS : 60 * 1000))
            return 0;
        if (interrupt_seen(&submit->interrupt) != 0)
            return ERR_REFUSED;
        int rc = gathered ? batch_send(submit, false, &err) : 0;
        if (rc < 0) {
            progress_clear(&submit->progress);
            cli_note("%s", err.text);
            return rc;
        }
    }
}

/* Makes sure that a line is pending, or at_end. */
static int line_ahead(struct submit *submit, struct error *err)
{
    if (submit->pending || submit->at_end)
        return 0;
    int rc = input_next(&submit->input, &submit->line, err);
    submit->pending = rc == 1;
    submit->at_end = rc == 0;
    return rc < 0 ? rc : 0;
}

static int job_add(struct submit *submit, struct error *err)
{
    struct submit_batch *batch = &submit->batch;
    struct lane_name lane;
    struct error why = {0};
    size_t used = batch->used;
    struct job *job = &batch->jobs[batch->n];
    const struct submit_plan *plan = &submit->request.plan;
    int rc = submit->request.jsonl != NULL
                 ? submit_job_json(plan, submit->line, batch, job, &lane, &why)
                 : submit_job_line(plan, submit->line, batch, job, &lane, &why);
    if (rc == 0)
        rc = sender_add(&submit->sender, batch, &lane, &why);
    if (rc == ERR_BUSY)
        batch->used = used;
    char quoted[QUOTE_BYTES];
    if (rc < 0 && rc != ERR_BUSY)
        error_set(err, ERR_INVALID, "%s, line %" PRId64 ": %s",
                  cli_quote(quoted, submit->input.name), submit->input.line, why.text);
    return rc < 0 && rc != ERR_BUSY ? ERR_INVALID : rc;
}

/* Fills the batch from the input: 0 when it is to be sent. */
static int batch_fill(struct submit *submit, struct error *err)
{
    struct submit_batch *batch = &submit->batch;
    int rc = 0;
    while (batch->n < SUBMIT_BATCH_JOBS && batch->used < SUBMIT_CLOSE_BYTES &&
           (int64_t)batch->n < sender_room(&submit->sender)) {
        rc = line_ahead(submit, err);
        if (rc < 0 || submit->at_end)
            return rc;
        rc = job_add(submit, err);
        if (rc == ERR_BUSY)
            return 0;
        if (rc < 0)
            return rc;
        submit->pending = false;
    }
    /* The last chunk says so, and only the line after it tells which one that is. */
    return submit->input.regular ? line_ahead(submit, err) : 0;
}

/* Passes over the lines of a chunk that is there. */
static int chunk_skip(struct submit *submit, const struct submit_chunk *chunk, struct error *err)
{
    for (int64_t i = 0; i < chunk->count; i++) {
        int rc = line_ahead(submit, err);
        if (rc < 0)
            return rc;
        if (submit->at_end)
            return error_set(err, ERR_REFUSED,
                             "the input ends before what was submitted under token %s; was it "
                             "another file?",
                             submit->sender.name);
        submit->pending = false;
    }
    sender_skip(&submit->sender, chunk);
    return 0;
}

static int bulk_run(struct submit *submit, struct error *err)
{
    bool told = false;
    int rc = 0;
    while (rc == 0 && !submit->at_end) {
        const struct submit_chunk *chunk = sender_found(&submit->sender);
        if (chunk != NULL) {
            rc = chunk_skip(submit, chunk, err);
            continue;
        }
        if (!told && submit->sender.already > 0)
            cli_note("continuing an interrupted submit: %" PRId64 " jobs were there already",
                     submit->sender.already);
        told = true;
        if (interrupt_seen(&submit->interrupt) != 0)
            return ERR_REFUSED;
        rc = batch_fill(submit, err);
        if (rc == 0 && submit->batch.n > 0)
            rc = batch_send(submit, submit->at_end, err);
    }
    return rc;
}

/* ---- what came of it ------------------------------------------------------------------------- */

static void ids_print(struct submit *submit, const struct view *view)
{
    struct id_set *ids = &submit->sender.ids;
    id_set_sort(ids);
    for (size_t i = 0; i < ids->n; i++) {
        char text[2 * ID_TEXT_BYTES], end[ID_TEXT_BYTES];
        struct range range = ids->ranges[i];
        const struct lane *lane = view_lane(view, id_lane(range.a));
        if (!submit->request.cli->json) {
            printf("%s\n", view_range(view, text, range));
            continue;
        }
        struct json json;
        json_open(&json, stdout);
        if (!submit->request.bulk)
            json_text(&json, "id", view_id(view, text, range.a));
        json_text(&json, "range", view_range(view, text, range));
        json_text(&json, "first", view_id(view, text, range.a));
        json_text(&json, "last", view_id(view, end, range.b - 1));
        json_number(&json, "count", range_count(range));
        json_text(&json, "queue", lane != NULL ? lane->name.queue : NULL);
        json_number(&json, "priority", lane != NULL ? lane->name.priority : PRIORITY_DEFAULT);
        json_close(&json);
    }
    fflush(stdout);
}

/* "1-5000 7001-9000 ..." for a line to a person. */
static char *ids_text(const struct submit *submit, const struct view *view)
{
    const struct id_set *ids = &submit->sender.ids;
    char *text = cli_copy("");
    for (size_t i = 0; i < ids->n && i < SHOWN_RANGES; i++) {
        char range[2 * ID_TEXT_BYTES];
        char *more =
            cli_format("%s%s%s", text, i > 0 ? " " : "", view_range(view, range, ids->ranges[i]));
        free(text);
        text = more;
    }
    if (ids->n <= SHOWN_RANGES)
        return text;
    char *more = cli_format("%s ...", text);
    free(text);
    return more;
}

/* Jobs in the whole input, by reading on; -1 where that would wait. */
static int64_t jobs_in_input(struct submit *submit)
{
    struct error err = {0};
    int64_t rest = 0;
    if (!submit->input.regular)
        return -1;
    while (line_ahead(submit, &err) == 0 && !submit->at_end) {
        submit->pending = false;
        rest++;
    }
    return err.code == 0 ? submit->sender.index + rest : -1;
}

static int partly(struct submit *submit, const struct view *view, int rc, const struct error *err)
{
    int64_t sent = submit->sender.index;
    int signal = interrupt_seen(&submit->interrupt);
    if (sent == 0 && submit->sender.beyond == 0 && !submit->sender.unsure && signal != 0)
        return cli_error(CLI_SIGNAL + signal, "interrupted; nothing was submitted");
    if (sent == 0 && submit->sender.unsure)
        return cli_error(cli_status_of(rc), "%s; %s", err->text,
                         submit->request.token != NULL || submit->naming.resumable
                             ? "run the same command again to have every job there once"
                             : "what was sent may be submitted or not, see `stint job list` (with "
                               "--token NAME a submit can be repeated safely)");
    if (sent == 0 && submit->sender.beyond == 0)
        return cli_error(rc == ERR_INVALID || rc == ERR_LIMIT ? CLI_USAGE : cli_status_of(rc),
                         "%s; nothing was submitted", err->text);
    char *ids = ids_text(submit, view);
    int64_t whole = signal != 0 || rc != ERR_INVALID ? jobs_in_input(submit) : -1;
    char *of = whole >= 0 ? cli_format(" of %" PRId64, whole) : cli_copy("");
    const char *next = rc == ERR_INVALID || rc == ERR_LIMIT ? "submit the lines after these"
                       : submit->naming.resumable ? "run the same command again to add the rest"
                                                  : "submit the lines after these";
    char *beyond = submit->sender.beyond > 0
                       ? cli_format(" and %" PRId64 " of those behind them", submit->sender.beyond)
                       : cli_copy("");
    int status = cli_error(CLI_PARTLY, "%s%spartly submitted: %" PRId64 "%s jobs%s (ids %s); %s",
                           signal != 0 ? "" : err->text, signal != 0 ? "" : "; ", sent, of, beyond,
                           ids, next);
    free(beyond);
    free(ids);
    free(of);
    return status;
}

static int report(struct submit *submit, int rc, const struct error *err)
{
    struct view view = {0};
    struct error view_err = {0};
    progress_clear(&submit->progress);
    int view_rc = view_read(submit->ds, true, &view, &view_err);
    if (submit->sender.ids.n > 0 && view_rc < 0)
        cli_note("the jobs are submitted, but their ids cannot be shown: %s", view_err.text);
    else if (submit->sender.ids.n > 0)
        ids_print(submit, &view);
    if (submit->request.bulk && submit->sender.taken > 0)
        cli_note("%" PRId64 " lines were not added: an unfinished job has their key",
                 submit->sender.taken);
    for (size_t i = 0; view_rc == 0 && i < submit->sender.ids.n; i++) {
        int32_t number = id_lane(submit->sender.ids.ranges[i].a);
        bool told = i > 0 && id_lane(submit->sender.ids.ranges[i - 1].a) == number;
        char *why = told ? NULL : view_unserved(&view, view_lane(&view, number));
        if (why != NULL)
            cli_note("%s", why);
        free(why);
    }
    if (rc == 0 && view_rc == 0 && !ferror(stdout))
        submit_acknowledged(&submit->naming);
    int status = rc < 0 ? partly(submit, &view, rc, err) : CLI_OK;
    if (status == CLI_OK && cli_option(submit->request.cli, "wait") != NULL) {
        char *ids = ids_text(submit, &view);
        char *again = cli_format("stint wait %s", ids);
        struct wait_request request = {.ranges = submit->sender.ids.ranges,
                                       .n_ranges = submit->sender.ids.n,
                                       .timeout_ms = -1,
                                       .again = again};
        status = wait_for(submit->request.cli, submit->ds, &submit->interrupt, &request);
        free(again);
        free(ids);
    }
    view_clear(&view);
    return status;
}

/* ---- the command ----------------------------------------------------------------------------- */

static int single_run(struct submit *submit, struct error *err)
{
    struct lane_name lane;
    int rc =
        submit_job_plain(&submit->request.plan, &submit->batch, &submit->batch.jobs[0], &lane, err);
    if (rc == 0)
        rc = sender_add(&submit->sender, &submit->batch, &lane, err);
    return rc < 0 ? rc : sender_send(&submit->sender, &submit->batch, true, err);
}

static int submit_all(struct submit *submit)
{
    struct error err = {0};
    bool complete = false;
    int rc = submit_name(&submit->request, &submit->input, &submit->sender, &submit->naming,
                         &complete, &err);
    if (rc == 0 && complete) {
        for (const struct submit_chunk *chunk; (chunk = sender_found(&submit->sender)) != NULL;)
            sender_skip(&submit->sender, chunk);
        cli_note("submit %s: all %" PRId64 " jobs were there already", submit->sender.name,
                 submit->sender.already);
    } else if (rc == 0) {
        rc = submit->request.bulk ? bulk_run(submit, &err) : single_run(submit, &err);
    }
    if (rc < 0 && err.code == 0)
        error_set(&err, rc, "%s", error_text(rc));
    return report(submit, rc, &err);
}

static int run(struct cli *cli)
{
    struct submit submit = {.request = {.cli = cli}, .input = {.fd = -1}};
    struct error err = {0};
    int status = submit_request_make(&submit.request);
    bool json = submit.request.jsonl != NULL;
    if (status == CLI_OK && submit.request.bulk &&
        input_open(&submit.input, json ? submit.request.jsonl : submit.request.each,
                   cli_option(cli, "null") != NULL,
                   json ? (size_t)SUBMIT_LINE_BYTES : (size_t)LIMIT_PAYLOAD_BYTES, &err) < 0)
        status = cli_error(CLI_USAGE, "%s", err.text);
    if (status == CLI_OK)
        status = cli_open(cli, DS_CREATE, &submit.ds);
    if (status == CLI_OK) {
        submit.input.wait = input_wait;
        submit.input.ctx = &submit;
        interrupt_open(&submit.interrupt);
        sender_init(&submit.sender, submit.ds, &submit.interrupt);
        batch_init(&submit.batch);
        progress_start(&submit.progress, "jobs submitted");
        status = submit_all(&submit);
        batch_clear(&submit.batch);
        sender_clear(&submit.sender);
        interrupt_close(&submit.interrupt);
    }
    datastore_close(submit.ds);
    input_close(&submit.input);
    submit_naming_clear(&submit.naming);
    template_clear(&submit.request.plan.each);
    arena_release(&submit.request.plan.mem);
    return status;
}

const struct cli_command submit_command = {
    .words = "submit",
    .operands = "[options] -- CMD ARG...\n"
                "       stint submit [options] --each FILE|- [-0] -- CMD {}\n"
                "       stint submit [options] --jsonl FILE|-\n"
                "       stint submit [options] --type NAME --payload TEXT|@FILE|-",
    .summary = "Submit one job, or one for each line; prints their ids",
    .notes =
        "--each: {} in the command is the line; without {} it becomes the last argument. Empty\n"
        "lines are skipped. --jsonl: keys type, argv, payload (or stdin), payload_b64, cwd, env,\n"
        "timeout, max_attempts, batch, key, priority, queue; the options stand for what a line\n"
        "leaves out. A bulk submit from a file that was interrupted can be run again: it adds\n"
        "what is missing. Exit status 6: partly submitted.",
    .example = "  stint submit -- gzip -9 big.log\n"
               "  find . -name '*.png' -print0 | stint submit --each - -0 -- optipng {}\n"
               "  stint submit --jsonl jobs.jsonl --queue mail --wait",
    .options = options,
    .tail = true,
    .operands_max = -1,
    .json = true,
    .run = run,
};
