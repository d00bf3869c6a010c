/* `stint wait`. Single-threaded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/wait.h"

static const struct cli_option options[] = {
    {"batch", 0, "NAME", "wait for all jobs of this batch", SETTING_NONE},
    {"timeout", 0, "DURATION", "give up after this long (exit status 4)", SETTING_NONE},
    {0},
};

static int ranges_read(struct cli *cli, struct datastore *ds, struct id_set *set)
{
    struct view view;
    struct error err = {0};
    if (view_read(ds, true, &view, &err) < 0)
        return cli_fail(&err);
    int rc = 0;
    for (int i = 0; i < cli->n_operands && rc == 0; i++) {
        struct range range;
        rc = view_parse(&view, cli->operands[i], &range, &err);
        if (rc == 0)
            id_set_add(set, range);
    }
    id_set_sort(set); /* an id named twice counts once */
    view_clear(&view);
    return rc < 0 ? cli_fail(&err) : CLI_OK;
}

/* The command as it was given, for the message that says how to look again. */
static char *again_make(const struct cli *cli, const char *batch)
{
    if (batch != NULL)
        return cli_format("stint wait --batch %s", batch);
    return cli_format("stint wait %.64s%s", cli->operands[0], cli->n_operands > 1 ? " ..." : "");
}

static int run(struct cli *cli)
{
    const char *batch = NULL;
    int64_t timeout_ms = -1;
    int status = cli_option_name(cli, "batch", &batch);
    if (status == CLI_OK)
        status = cli_option_duration(cli, "timeout", &timeout_ms);
    if (status == CLI_OK && (batch != NULL) == (cli->n_operands > 0))
        status = cli_error(CLI_USAGE, "give job ids or --batch NAME; see `stint wait --help`");
    struct datastore *ds = NULL;
    if (status == CLI_OK)
        status = cli_open(cli, 0, &ds);
    if (status != CLI_OK)
        return status;
    struct interrupt interrupt;
    interrupt_open(&interrupt);
    struct id_set set = {0};
    status = ranges_read(cli, ds, &set);
    if (status == CLI_OK) {
        char *again = again_make(cli, batch);
        struct wait_request request = {.ranges = set.ranges,
                                       .n_ranges = set.n,
                                       .batch = batch,
                                       .timeout_ms = timeout_ms,
                                       .again = again};
        status = wait_for(cli, ds, &interrupt, &request);
        free(again);
    }
    id_set_clear(&set);
    interrupt_close(&interrupt);
    datastore_close(ds);
    return status;
}

const struct cli_command wait_command = {
    .words = "wait",
    .operands = "ID|RANGE...",
    .summary = "Wait until jobs have ended",
    .notes = "Exit status: 0 all are done, 1 some failed or were cancelled, 4 timed out,\n"
             "5 no such job. Ctrl-C stops the waiting, not the jobs.",
    .example = "  stint wait 1-2000 --timeout 10m",
    .options = options,
    .operands_max = -1,
    .json = true,
    .run = run,
};
