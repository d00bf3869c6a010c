/* `stint queue list|create|pause|resume`. Single-threaded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/now.h"

/* ---- list ------------------------------------------------------------------------------------ */

static int list_run(struct cli *cli)
{
    struct now now;
    int status = now_read(cli, &now);
    if (status != CLI_OK)
        return status;
    for (size_t i = 0; cli->json && i < now.moment->n_queues; i++) {
        struct json json;
        json_open(&json, stdout);
        queue_write_json(&json, &now.moment->queues[i]);
        json_close(&json);
    }
    if (!cli->json)
        queues_print_table(now.moment);
    now_clear(&now);
    return CLI_OK;
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
    .notes =
        "waiting: not yet with a node, those cancelled meanwhile included; held: with a node,\n"
        "ended ones of ranges under way included. A job counts as done, failed or cancelled\n"
        "once its range has ended.",
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
