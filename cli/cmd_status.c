/* `stint status`: nodes, queues and rates on one screen. Single-threaded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/counts.h"

struct totals {
    size_t nodes, running;
    int64_t slots;
    double rate;
};

static struct totals totals_of(const struct view *view)
{
    struct totals totals = {.nodes = view->n_nodes};
    for (size_t i = 0; i < view->n_nodes; i++) {
        totals.slots += view->nodes[i].slots;
        totals.running += view->nodes[i].n_running;
        totals.rate += view->nodes[i].rate;
    }
    return totals;
}

static void print_json(const struct view *view, const struct counts *counts)
{
    struct totals totals = totals_of(view);
    struct json json;
    json_open(&json, stdout);
    json_time(&json, "at", clock_utc_ms());
    json_number(&json, "slots", totals.slots);
    json_number(&json, "running", (int64_t)totals.running);
    json_real(&json, "rate", totals.rate);
    json_array_open(&json, "nodes");
    for (size_t i = 0; i < view->n_nodes; i++) {
        json_object_open(&json, NULL);
        node_write_json(&json, view, &view->nodes[i]);
        json_object_close(&json);
    }
    json_array_close(&json);
    json_array_open(&json, "queues");
    for (size_t i = 0; i < counts->n; i++) {
        json_object_open(&json, NULL);
        counts_write_json(&json, &counts->queues[i]);
        json_object_close(&json);
    }
    json_array_close(&json);
    json_close(&json);
}

static void print_screen(const struct view *view, const struct counts *counts)
{
    struct totals totals = totals_of(view);
    printf("%zu %s, %zu of %" PRId64 " slots busy, %.1f jobs/s\n\n", totals.nodes,
           totals.nodes == 1 ? "node" : "nodes", totals.running, totals.slots, totals.rate);
    if (totals.nodes > 0) {
        nodes_print_table(view, false);
        printf("\n");
    }
    counts_print_table(counts);
    if (totals.nodes == 0)
        printf("\nNo node is running; start one with `stint node start`.\n");
    for (size_t i = 0; i < view->n_lanes; i++) {
        char *why = view_unserved(view, &view->lanes[i]);
        if (why != NULL)
            printf("\nNote: %s.\n", why);
        free(why);
    }
}

static int run(struct cli *cli)
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
    else if (cli->json)
        print_json(&view, &counts);
    else
        print_screen(&view, &counts);
    counts_clear(&counts);
    view_clear(&view);
    datastore_close(ds);
    return status;
}

const struct cli_command status_command = {
    .words = "status",
    .operands = "",
    .summary = "Show nodes, queues and rates on one screen",
    .example = "  stint status",
    .json = true,
    .run = run,
};
