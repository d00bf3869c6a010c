/* `stint queue list|create|pause|resume`, and the counts of queues that `stint status` shows too.
 *
 * Counts are kept, never counted: lanes say what was handed out and what waits, nodes what they
 * hold, finished ranges what came of them. Single-threaded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/counts.h"
#include "cli/output.h"

/* ---- counts ---------------------------------------------------------------------------------- */

static int64_t lane_waiting(const struct lane *lane)
{
    int64_t ids = lane->tail - lane->head;
    for (size_t i = 0; i < lane->n_pool; i++)
        ids += range_count(lane->pool[i]);
    return ids;
}

static int64_t lane_held(const struct view *view, int32_t lane)
{
    int64_t ids = 0;
    for (size_t i = 0; i < view->n_nodes; i++)
        for (size_t j = 0; j < view->nodes[i].n_ranges; j++)
            if (id_lane(view->nodes[i].ranges[j].range.a) == lane)
                ids += range_count(view->nodes[i].ranges[j].range);
    return ids;
}

static void lane_count(struct queue_counts *counts, const struct view *view,
                       const struct lane *lane, const struct ds_stints_read *totals)
{
    counts->submitted += id_seq(lane->tail) - 1;
    counts->waiting += lane_waiting(lane);
    counts->held += lane_held(view, lane->number);
    for (size_t i = 0; i < totals->ret_n; i++) {
        const struct stint_row *row = &totals->ret_rows[i];
        if (id_lane(row->range.a) != lane->number)
            continue;
        counts->done += row->done;
        counts->failed += row->failed;
        counts->cancelled += row->cancelled;
    }
}

int counts_read(struct datastore *ds, const struct view *view, struct counts *ret_counts,
                struct error *err)
{
    struct counts counts = {0};
    struct ds_step queues = {.kind = DS_QUEUES_READ};
    struct ds_step totals = {
        .kind = DS_STINTS_READ,
        .stints_read = {.lane = -1, .totals_only = true, .rows_max = LIMIT_LANES}};
    int rc = datastore_step(ds, &queues, &counts.mem, err);
    if (rc == 0)
        rc = datastore_step(ds, &totals, &counts.mem, err);
    if (rc < 0) {
        arena_release(&counts.mem);
        return rc;
    }
    counts.n = queues.queues_read.ret_n;
    counts.queues = arena_alloc(&counts.mem, (counts.n + 1) * sizeof(*counts.queues));
    for (size_t q = 0; q < counts.n; q++) {
        counts.queues[q].queue = &queues.queues_read.ret_queues[q];
        for (size_t i = 0; i < view->n_lanes; i++)
            if (strcmp(view->lanes[i].name.queue, counts.queues[q].queue->name) == 0)
                lane_count(&counts.queues[q], view, &view->lanes[i], &totals.stints_read);
    }
    *ret_counts = counts;
    return 0;
}

void counts_clear(struct counts *counts)
{
    arena_release(&counts->mem);
    *counts = (struct counts){0};
}

void counts_print_table(const struct counts *counts)
{
    static const char *const columns[] = {"QUEUE", "STATE", "SUBMITTED", "WAITING",
                                          "HELD",  "DONE",  "FAILED",    "CANCELLED"};
    struct table table;
    table_open(&table, columns, 8, 0xfc);
    for (size_t i = 0; i < counts->n; i++) {
        const struct queue_counts *q = &counts->queues[i];
        table_cell(&table, "%s", q->queue->name);
        table_cell(&table, "%s", q->queue->paused ? "paused" : "open");
        table_cell(&table, "%" PRId64, q->submitted);
        table_cell(&table, "%" PRId64, q->waiting);
        table_cell(&table, "%" PRId64, q->held);
        table_cell(&table, "%" PRId64, q->done);
        table_cell(&table, "%" PRId64, q->failed);
        table_cell(&table, "%" PRId64, q->cancelled);
    }
    table_close(&table);
}

void counts_write_json(struct json *json, const struct queue_counts *q)
{
    json_text(json, "name", q->queue->name);
    json_bool(json, "paused", q->queue->paused);
    json_number(json, "submitted", q->submitted);
    json_number(json, "waiting", q->waiting);
    json_number(json, "held", q->held);
    json_number(json, "done", q->done);
    json_number(json, "failed", q->failed);
    json_number(json, "cancelled", q->cancelled);
    json_time(json, "changed", q->queue->changed_ms);
    json_text(json, "changed_by", q->queue->changed_by[0] != '\0' ? q->queue->changed_by : NULL);
}

/* ---- list ------------------------------------------------------------------------------------ */

static int list_run(struct cli *cli)
{
    struct datastore *ds = NULL;
    struct view view = {0};
    struct counts counts = {0};
    struct error err = {0};
    int status = cli_open(cli, DS_READ_ONLY, &ds);
    if (status != CLI_OK)
        return status;
    int rc = view_read(ds, true, &view, &err);
    if (rc == 0)
        rc = counts_read(ds, &view, &counts, &err);
    if (rc < 0)
        status = cli_fail(&err);
    for (size_t i = 0; rc == 0 && cli->json && i < counts.n; i++) {
        struct json json;
        json_open(&json, stdout);
        counts_write_json(&json, &counts.queues[i]);
        json_close(&json);
    }
    if (rc == 0 && !cli->json)
        counts_print_table(&counts);
    counts_clear(&counts);
    view_clear(&view);
    datastore_close(ds);
    return status;
}

/* ---- create, pause, resume ------------------------------------------------------------------- */

static int names_check(const struct cli *cli)
{
    char quoted[QUOTE_BYTES];
    for (int i = 0; i < cli->n_operands; i++)
        if (!name_valid(cli->operands[i]))
            return cli_error(CLI_USAGE,
                             "'%s' is no queue name; use 1 to %d letters, digits, '.', '_' or '-'",
                             cli_quote(quoted, cli->operands[i]), LIMIT_NAME_BYTES);
    return CLI_OK;
}

static int create_run(struct cli *cli)
{
    struct datastore *ds = NULL;
    int status = names_check(cli);
    if (status == CLI_OK)
        status = cli_open(cli, DS_CREATE, &ds);
    for (int i = 0; i < cli->n_operands && status == CLI_OK; i++) {
        struct error err = {0};
        struct arena mem = {0};
        struct ds_step step = {.kind = DS_QUEUE_SET,
                               .queue_set = {.queue = {.weight = 1}, .create_only = true}};
        struct queue *queue = &step.queue_set.queue;
        snprintf(queue->name, sizeof(queue->name), "%s", cli->operands[i]);
        cli_who(queue->changed_by);
        bool unsure = false; /* then it is likely our own that is there */
        int rc = cli_step(ds, &step, &mem, &unsure, &err);
        if (rc == ERR_DUPLICATE && !unsure)
            status = cli_error(CLI_REFUSED, "queue %s is there already; see `stint queue list`",
                               queue->name);
        else if (rc < 0 && rc != ERR_DUPLICATE)
            status = cli_fail(&err);
        arena_release(&mem);
    }
    datastore_close(ds);
    return status;
}

/* Reads a queue's settings, changes `paused`, writes them. */
static int queue_pause(struct datastore *ds, const char *name, bool paused)
{
    struct error err = {0};
    struct arena mem = {0};
    struct ds_step read = {.kind = DS_QUEUES_READ};
    const struct queue *found = NULL;
    int rc = cli_step(ds, &read, &mem, NULL, &err);
    for (size_t i = 0; rc == 0 && i < read.queues_read.ret_n; i++)
        if (strcmp(read.queues_read.ret_queues[i].name, name) == 0)
            found = &read.queues_read.ret_queues[i];
    if (found != NULL) {
        struct ds_step set = {.kind = DS_QUEUE_SET,
                              .queue_set = {.queue = *found, .alter_only = true}};
        set.queue_set.queue.paused = paused;
        cli_who(set.queue_set.queue.changed_by);
        rc = cli_step(ds, &set, &mem, NULL, &err);
    }
    arena_release(&mem);
    if (rc < 0)
        return cli_fail(&err);
    return found != NULL ? CLI_OK
                         : cli_error(CLI_REFUSED, "no queue %s; see `stint queue list`", name);
}

static int pause_or_resume(struct cli *cli, bool paused)
{
    struct datastore *ds = NULL;
    int status = names_check(cli);
    if (status == CLI_OK)
        status = cli_open(cli, 0, &ds);
    for (int i = 0; i < cli->n_operands && status == CLI_OK; i++)
        status = queue_pause(ds, cli->operands[i], paused);
    datastore_close(ds);
    return status;
}

static int pause_run(struct cli *cli)
{
    return pause_or_resume(cli, true);
}

static int resume_run(struct cli *cli)
{
    return pause_or_resume(cli, false);
}

const struct cli_command queue_list_command = {
    .words = "queue list",
    .operands = "",
    .summary = "List queues with their counts",
    .notes = "waiting: not yet with a node; held: with a node, ended ones of ranges under way\n"
             "included. A job counts as done, failed or cancelled once its range has ended.",
    .example = "  stint queue list --json",
    .json = true,
    .run = list_run,
};

const struct cli_command queue_create_command = {
    .words = "queue create",
    .operands = "NAME...",
    .summary = "Create queues (submitting to one creates it, too)",
    .example = "  stint queue create mail",
    .operands_min = 1,
    .operands_max = -1,
    .run = create_run,
};

const struct cli_command queue_pause_command = {
    .words = "queue pause",
    .operands = "NAME...",
    .summary = "Start no more jobs of these queues; running ones go on",
    .example = "  stint queue pause mail",
    .operands_min = 1,
    .operands_max = -1,
    .run = pause_run,
};

const struct cli_command queue_resume_command = {
    .words = "queue resume",
    .operands = "NAME...",
    .summary = "Start jobs of paused queues again",
    .example = "  stint queue resume mail",
    .operands_min = 1,
    .operands_max = -1,
    .run = resume_run,
};
