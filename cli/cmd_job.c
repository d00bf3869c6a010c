/* `stint job list|show|log|cancel`.
 *
 * The rows of a listing come page by page; what a row cannot know (does it run now?) is read from
 * the nodes' records once, before the first page. Single-threaded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/job_print.h"

enum {
    LIST_LIMIT_DEFAULT = 50,
    PAGE_WHOLE_JOBS = 1024, /* rows with all they carry; a page of large ones ends sooner */
    ASK_MS_MAX = 10000,     /* how long to try to tell nodes about cancelled jobs */
    ASK_PAUSE_MS = 50,
    NODES_OF_NAME = 16
};

/* Opens the store and reads the view: what all of these begin with. */
static int job_open(struct cli *cli, unsigned flags, struct datastore **ret_ds,
                    struct view *ret_view)
{
    struct error err = {0};
    int status = cli_open(cli, flags, ret_ds);
    if (status != CLI_OK)
        return status;
    if (view_read(*ret_ds, false, ret_view, &err) == 0)
        return CLI_OK;
    datastore_close(*ret_ds);
    return cli_fail(&err);
}

static void job_close(struct datastore *ds, struct view *view)
{
    view_clear(view);
    datastore_close(ds);
}

/* ---- list ------------------------------------------------------------------------------------ */

static const struct cli_option list_options[] = {
    {"state", 0, "STATE", "queued, running, scheduled, blocked, done, failed or cancelled",
     SETTING_NONE},
    {"queue", 'q', "NAME", "jobs of this queue", SETTING_NONE},
    {"type", 0, "NAME", "jobs of this type", SETTING_NONE},
    {"batch", 0, "NAME", "jobs of this batch", SETTING_NONE},
    {"node", 0, "NAME", "jobs that run on this node or ended there", SETTING_NONE},
    {"sort", 0, "id|-id", "lowest ids first, or highest (default: id)", SETTING_NONE},
    {"limit", 'n', "N", "at most so many (default 50)", SETTING_NONE},
    {"after-id", 0, "ID", "those past this id, in the order asked for", SETTING_NONE},
    {0},
};

struct listing {
    struct cli *cli;
    struct datastore *ds;
    struct view view;
    const char *queue, *type, *batch, *node;
    int64_t nodes[NODES_OF_NAME]; /* incarnations of that name */
    size_t n_nodes;
    int state; /* -1: all */
    bool running_only, newest_first;
    int64_t after_id, limit, shown;
    struct table table;
};

static int list_state(struct listing *list)
{
    const char *text = cli_option(list->cli, "state");
    char quoted[QUOTE_BYTES];
    list->state = -1;
    if (text == NULL)
        return CLI_OK;
    list->running_only = strcmp(text, "running") == 0;
    list->state = list->running_only ? (int)JOB_QUEUED : job_state_parse(text);
    if (list->state < 0 || list->state >= JOB_VOID)
        return cli_error(CLI_USAGE,
                         "--state must be queued, running, scheduled, blocked, done, failed or "
                         "cancelled, not '%s'",
                         cli_quote(quoted, text));
    return CLI_OK;
}

static int list_parse(struct listing *list)
{
    struct cli *cli = list->cli;
    const char *sort = cli_option(cli, "sort");
    char quoted[QUOTE_BYTES];
    list->limit = LIST_LIMIT_DEFAULT;
    int status = list_state(list);
    if (status == CLI_OK)
        status = cli_option_name(cli, "queue", &list->queue);
    if (status == CLI_OK)
        status = cli_option_name(cli, "type", &list->type);
    if (status == CLI_OK)
        status = cli_option_name(cli, "batch", &list->batch);
    if (status == CLI_OK)
        status = cli_option_name(cli, "node", &list->node);
    if (status == CLI_OK)
        status = cli_option_number(cli, "limit", 1, INT64_C(1) << 40, &list->limit);
    if (status == CLI_OK && sort != NULL && strcmp(sort, "id") != 0 && strcmp(sort, "-id") != 0)
        status =
            cli_error(CLI_USAGE, "--sort must be id or -id, not '%s'", cli_quote(quoted, sort));
    list->newest_first = sort != NULL && strcmp(sort, "-id") == 0;
    return status;
}

/* What needs the view: names of queues and nodes, and the id to go on from. */
static int list_resolve(struct listing *list)
{
    const struct view *view = &list->view;
    const char *after = cli_option(list->cli, "after-id");
    bool found = list->queue == NULL;
    for (size_t i = 0; i < view->n_lanes && !found; i++)
        found = strcmp(view->lanes[i].name.queue, list->queue) == 0;
    if (!found)
        return cli_error(CLI_REFUSED, "no queue %s; see `stint queue list`", list->queue);
    for (size_t i = 0; i < view->n_nodes && list->node != NULL; i++)
        if (strcmp(view->nodes[i].name, list->node) == 0 && list->n_nodes < NODES_OF_NAME)
            list->nodes[list->n_nodes++] = view->nodes[i].id;
    if (list->node != NULL && list->n_nodes == 0)
        return cli_error(CLI_REFUSED, "no node %s; see `stint node list`", list->node);
    struct lane_name name;
    int64_t first = 0, last = 0;
    char quoted[QUOTE_BYTES];
    if (after == NULL)
        return CLI_OK;
    if (id_parse(after, &name, &first, &last) < 0 || first != last)
        return cli_error(CLI_USAGE, "--after-id must be a job id like 17 or mail:17, not '%s'",
                         cli_quote(quoted, after));
    const struct lane *lane = view_lane_named(view, &name);
    if (lane == NULL)
        return cli_error(CLI_REFUSED, "no job %s; see `stint job list`", cli_quote(quoted, after));
    list->after_id = id_make(lane->number, first);
    return CLI_OK;
}

/* What the datastore cannot filter by: what runs, and where. */
static bool list_wants(const struct listing *list, const struct job *job)
{
    const struct view_running *running =
        job->state == JOB_QUEUED ? view_running(&list->view, job->id, job->run) : NULL;
    if (list->state == JOB_QUEUED && (running != NULL) != list->running_only)
        return false;
    if (list->node == NULL)
        return true;
    int64_t where = running != NULL ? running->node->id : job->node;
    for (size_t i = 0; i < list->n_nodes; i++)
        if (list->nodes[i] == where)
            return true;
    return false;
}

static void list_show(struct listing *list, const struct job *job)
{
    if (list->shown >= list->limit || !list_wants(list, job))
        return;
    list->shown++;
    if (list->cli->json)
        job_print_json(&list->view, job);
    else
        job_table_add(&list->table, &list->view, job);
}

static bool list_over(const struct listing *list)
{
    return list->shown >= list->limit || ferror(stdout) != 0;
}

static struct ds_step list_step(const struct listing *list, struct range range, int64_t after_id)
{
    int64_t left = list->limit - list->shown;
    bool filtered = list->state == JOB_QUEUED || list->node != NULL, whole = list->cli->json;
    int64_t page = whole ? PAGE_WHOLE_JOBS : LIMIT_PAGE_JOBS;
    return (struct ds_step){
        .kind = DS_JOBS_READ,
        .jobs_read = {.range = range,
                      .states = list->state >= 0 ? 1U << list->state : 0,
                      .type = list->type,
                      .batch = list->batch,
                      .after_id = after_id,
                      .newest_first = list->newest_first,
                      .rows_max = (size_t)(filtered || left > page ? page : left),
                      .brief = !whole}};
}

/* Pages through a range, or through all lanes for an empty one. */
static int list_range(struct listing *list, struct range range, struct error *err)
{
    int64_t after_id = list->after_id;
    for (bool more = true; more && !list_over(list);) {
        struct ds_step step = list_step(list, range, after_id);
        struct arena mem = {0};
        int rc = datastore_step(list->ds, &step, &mem, err);
        for (size_t i = 0; rc == 0 && i < step.jobs_read.ret_n; i++)
            list_show(list, &step.jobs_read.ret_jobs[i]);
        if (rc == 0 && !list->cli->json && list->shown > 0)
            table_print(&list->table);
        arena_release(&mem);
        if (rc < 0)
            return rc;
        more = step.jobs_read.ret_more;
        after_id = step.jobs_read.ret_next;
    }
    return 0;
}

/* Running jobs are named by the nodes: no need to go through all that is queued. */
static int list_running(struct listing *list, struct error *err)
{
    const struct view *view = &list->view;
    for (size_t k = 0; k < view->n_running && !list_over(list); k++) {
        int64_t id = view->running[list->newest_first ? view->n_running - 1 - k : k].id;
        const struct lane *lane = view_lane(view, id_lane(id));
        bool past =
            list->after_id == 0 || (list->newest_first ? id < list->after_id : id > list->after_id);
        if (!past || lane == NULL ||
            (list->queue != NULL && strcmp(lane->name.queue, list->queue) != 0))
            continue;
        struct ds_step step = list_step(list, (struct range){.a = id, .b = id + 1}, 0);
        struct arena mem = {0};
        int rc = datastore_step(list->ds, &step, &mem, err);
        if (rc == 0 && step.jobs_read.ret_n > 0)
            list_show(list, &step.jobs_read.ret_jobs[0]);
        arena_release(&mem);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int list_jobs(struct listing *list, struct error *err)
{
    const struct view *view = &list->view;
    if (list->running_only)
        return list_running(list, err);
    if (list->queue == NULL)
        return list_range(list, (struct range){0}, err);
    for (size_t k = 0; k < view->n_lanes && !list_over(list); k++) {
        const struct lane *lane = &view->lanes[list->newest_first ? view->n_lanes - 1 - k : k];
        if (strcmp(lane->name.queue, list->queue) != 0 || id_seq(lane->tail) <= 1)
            continue;
        struct range range = {.a = id_make(lane->number, 1), .b = lane->tail};
        int rc = list_range(list, range, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int list_run(struct cli *cli)
{
    struct listing list = {.cli = cli};
    struct error err = {0};
    int status = list_parse(&list);
    if (status == CLI_OK)
        status = job_open(cli, DS_READ_ONLY, &list.ds, &list.view);
    if (status != CLI_OK)
        return status;
    job_table_open(&list.table);
    status = list_resolve(&list);
    if (status == CLI_OK && list_jobs(&list, &err) < 0)
        status = cli_fail(&err);
    if (status == CLI_OK && !cli->json)
        table_close(&list.table);
    job_close(list.ds, &list.view);
    return status;
}

/* ---- show, log ------------------------------------------------------------------------------- */

/* Reads one job by what was typed. */
static int job_find(struct datastore *ds, const struct view *view, const char *text,
                    struct arena *mem, const struct job **ret_job)
{
    struct range range;
    struct error err = {0};
    char quoted[QUOTE_BYTES];
    if (view_parse(view, text, &range, &err) < 0)
        return cli_fail(&err);
    if (range_count(range) != 1)
        return cli_error(CLI_USAGE, "one id is needed, not the range '%s'",
                         cli_quote(quoted, text));
    struct ds_step step = {.kind = DS_JOBS_READ, .jobs_read = {.range = range, .rows_max = 1}};
    if (datastore_step(ds, &step, mem, &err) < 0)
        return cli_fail(&err);
    if (step.jobs_read.ret_n == 0)
        return cli_error(CLI_REFUSED, "no job %s; see `stint job list`", cli_quote(quoted, text));
    *ret_job = &step.jobs_read.ret_jobs[0];
    return CLI_OK;
}

static int show_run(struct cli *cli)
{
    struct datastore *ds = NULL;
    struct view view;
    int status = job_open(cli, DS_READ_ONLY, &ds, &view);
    if (status != CLI_OK)
        return status;
    for (int i = 0; i < cli->n_operands && status == CLI_OK; i++) {
        struct arena mem = {0};
        const struct job *job = NULL;
        status = job_find(ds, &view, cli->operands[i], &mem, &job);
        if (status == CLI_OK && cli->json)
            job_print_json(&view, job);
        else if (status == CLI_OK)
            job_print_full(&view, job);
        arena_release(&mem);
    }
    job_close(ds, &view);
    return status;
}

static int log_run(struct cli *cli)
{
    struct datastore *ds = NULL;
    struct view view;
    struct arena mem = {0};
    const struct job *job = NULL;
    int status = job_open(cli, DS_READ_ONLY, &ds, &view);
    if (status != CLI_OK)
        return status;
    status = job_find(ds, &view, cli->operands[0], &mem, &job);
    if (status == CLI_OK) {
        const struct job_ending *ending = job->ending;
        if (!job_state_finished(job->state))
            cli_note("job %s is %s; its output is kept when it has ended", cli->operands[0],
                     job_shown_state(&view, job));
        if (ending != NULL && ending->output_total > ending->output.len)
            cli_note("the last %zu of %" PRIu64 " bytes", ending->output.len, ending->output_total);
        if (ending != NULL && ending->output.len > 0)
            fwrite(ending->output.data, 1, ending->output.len, stdout);
    }
    arena_release(&mem);
    job_close(ds, &view);
    return status;
}

/* ---- cancel ---------------------------------------------------------------------------------- */

struct cancelling {
    struct datastore *ds;
    int64_t cancelled, ended, missing;
    struct id_set gone; /* ids cancelled now */
};

/* What came of one step. unsure: an earlier try may have done it. A code when it is none of the
 * usual answers. */
static int cancel_note(struct cancelling *c, const struct ds_step *step, bool unsure)
{
    int64_t id = step->cancel.id;
    bool ours = unsure && step->rc == ERR_CONFLICT && step->cancel.ret_before == JOB_CANCELLED;
    if (step->rc == 0 || ours) {
        c->cancelled++;
        id_set_add(&c->gone, (struct range){.a = id, .b = id + 1});
    } else if (step->rc == ERR_CONFLICT) {
        c->ended++;
    } else if (step->rc == ERR_NOT_FOUND) {
        c->missing++;
    } else {
        return step->rc;
    }
    return 0;
}

/* Cancels one run's worth of ids from `at` on, again those that the store gave no answer for; *at:
 * where to go on. */
static int cancel_some(struct cancelling *c, struct range range, int64_t *at, struct error *err)
{
    struct ds_step steps[LIMIT_RUN_STEPS];
    bool unsure[LIMIT_RUN_STEPS] = {0};
    struct patience patience = {0};
    size_t n = 0;
    int rc = 0;
    for (int64_t id = *at; id < range.b && n < LIMIT_RUN_STEPS; id++)
        steps[n++] = (struct ds_step){.kind = DS_CANCEL, .independent = true, .cancel = {.id = id}};
    *at += (int64_t)n;
    while (n > 0) {
        struct ds_run run = {.steps = steps, .n_steps = n};
        size_t left = 0;
        datastore_run(c->ds, &run);
        rc = 0;
        for (size_t i = 0; i < n; i++) {
            int code = cancel_note(c, &steps[i], unsure[i]);
            if (code == 0)
                continue;
            rc = rc == 0 || (cli_passing(rc) && code != ERR_SKIPPED) ? code : rc;
            unsure[left] = unsure[i] || code == ERR_UNKNOWN_OUTCOME;
            steps[left++] = (struct ds_step){
                .kind = DS_CANCEL, .independent = true, .cancel = {.id = steps[i].cancel.id}};
        }
        n = left;
        if (rc < 0)
            error_set(err, rc, "%s", run.err.code != 0 ? run.err.text : error_text(rc));
        arena_release(&run.mem);
        if (rc < 0 && !cli_try_again(&patience, rc))
            break;
    }
    return rc;
}

/* Asks one node to end (or not to start) one job, again while its list of requests is full. */
static bool ask_node(struct datastore *ds, const struct node *node, int64_t id,
                     uint64_t deadline_ms)
{
    for (;;) {
        struct ds_step step = {.kind = DS_NODE_ASK,
                               .node_ask = {.node = node->id,
                                            .add_request = true,
                                            .request = {.kind = REQUEST_CANCEL, .id = id}}};
        struct arena mem = {0};
        int rc = datastore_step(ds, &step, &mem, NULL);
        arena_release(&mem);
        if (!cli_passing(rc))
            return rc == 0 || rc == ERR_CONFLICT || rc == ERR_NOT_FOUND; /* dead: runs nothing */
        if (clock_ms() > deadline_ms)
            return false;
        struct timespec pause = {.tv_nsec = ASK_PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
}

static bool set_holds(const struct id_set *set, int64_t id)
{
    for (size_t i = 0; i < set->n; i++)
        if (range_holds(set->ranges[i], id))
            return true;
    return false;
}

/* Every live node that holds a cancelled id is told: first what runs, then what it may start. */
static void ask_nodes(struct cancelling *c)
{
    struct view view;
    struct error err = {0};
    uint64_t deadline_ms = clock_ms() + ASK_MS_MAX;
    bool told = true;
    if (view_read(c->ds, true, &view, &err) < 0) {
        cli_note("the jobs are cancelled, but the nodes cannot be told: %s", err.text);
        return;
    }
    id_set_sort(&c->gone);
    for (size_t i = 0; i < view.n_running; i++)
        if (set_holds(&c->gone, view.running[i].id))
            told &= ask_node(c->ds, view.running[i].node, view.running[i].id, deadline_ms);
    for (size_t i = 0; i < view.n_nodes; i++)
        for (size_t j = 0; j < view.nodes[i].n_ranges; j++)
            for (size_t k = 0; k < c->gone.n; k++) {
                struct range held = view.nodes[i].ranges[j].range, gone = c->gone.ranges[k];
                int64_t a = held.a > gone.a ? held.a : gone.a;
                int64_t b = held.b < gone.b ? held.b : gone.b;
                for (int64_t id = a; id < b && told; id++)
                    told = ask_node(c->ds, &view.nodes[i], id, deadline_ms);
            }
    if (!told)
        cli_note("the jobs are cancelled, but not every node could be told in time; a few may "
                 "still run, without effect on their state");
    view_clear(&view);
}

static int cancel_report(const struct cli *cli, const struct cancelling *c)
{
    if (cli->json) {
        struct json json;
        json_open(&json, stdout);
        json_number(&json, "cancelled", c->cancelled);
        json_number(&json, "ended_before", c->ended);
        json_number(&json, "not_found", c->missing);
        json_close(&json);
    } else if (c->cancelled > 0) {
        printf("%" PRId64 " cancelled\n", c->cancelled);
    }
    if (c->cancelled > 0 && c->missing == 0)
        return CLI_OK;
    return cli_error(CLI_REFUSED,
                     "%" PRId64 " cancelled; %" PRId64 " had ended before, %" PRId64
                     " are not there; see `stint job list`",
                     c->cancelled, c->ended, c->missing);
}

static int cancel_run(struct cli *cli)
{
    struct cancelling c = {0};
    struct view view;
    struct id_set ids = {0};
    struct error err = {0};
    int status = job_open(cli, 0, &c.ds, &view), rc = 0;
    if (status != CLI_OK)
        return status;
    for (int i = 0; i < cli->n_operands && rc == 0; i++) {
        struct range range;
        rc = view_parse(&view, cli->operands[i], &range, &err);
        if (rc == 0)
            id_set_add(&ids, range);
    }
    id_set_sort(&ids);
    for (size_t i = 0; i < ids.n && rc == 0; i++)
        for (int64_t at = ids.ranges[i].a; at < ids.ranges[i].b && rc == 0;)
            rc = cancel_some(&c, ids.ranges[i], &at, &err);
    if (c.cancelled > 0)
        ask_nodes(&c);
    status = rc < 0 ? cli_fail(&err) : cancel_report(cli, &c);
    id_set_clear(&ids);
    id_set_clear(&c.gone);
    job_close(c.ds, &view);
    return status;
}

/* ---- the commands ---------------------------------------------------------------------------- */

#define LIST_COMMAND(name)                                                                         \
    {                                                                                              \
        .words = name, .operands = "", .summary = "List jobs",                                     \
        .notes = "A job is shown as running while a live node's record names it.",                 \
        .example = "  stint " name " --state failed --queue mail\n"                                \
                   "  stint " name " --sort -id --limit 10 --json",                                \
        .options = list_options, .json = true, .run = list_run                                     \
    }

const struct cli_command job_list_command = LIST_COMMAND("job list");
const struct cli_command jobs_command = LIST_COMMAND("jobs");

const struct cli_command job_show_command = {
    .words = "job show",
    .operands = "ID...",
    .summary = "Show all about a job: what, where, when, how it ended, earlier runs",
    .example = "  stint job show 17",
    .operands_min = 1,
    .operands_max = -1,
    .json = true,
    .run = show_run,
};

const struct cli_command job_log_command = {
    .words = "job log",
    .operands = "ID",
    .summary = "Print the kept end of a job's output, as it is",
    .example = "  stint job log 17 | less",
    .operands_min = 1,
    .operands_max = 1,
    .run = log_run,
};

const struct cli_command job_cancel_command = {
    .words = "job cancel",
    .operands = "ID|RANGE...",
    .summary = "Cancel jobs that have not ended; running ones are ended",
    .notes = "Exit status 5 when nothing was left to cancel.",
    .example = "  stint job cancel 17 mail:1-100",
    .operands_min = 1,
    .operands_max = -1,
    .json = true,
    .run = cancel_run,
};
