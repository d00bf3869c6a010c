/* `stint status`: nodes, queues and rates on one screen, of the observer's model (cli/now.h).
 * Single-threaded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/node_print.h"
#include "cli/now.h"

static void print_json(const struct now *now)
{
    const struct moment *moment = now->moment;
    struct json json;
    json_open(&json, stdout);
    json_time(&json, "at", moment->at_ms);
    json_number(&json, "slots", moment->slots);
    json_number(&json, "running", moment->running);
    json_real(&json, "rate", moment->rate);
    json_array_open(&json, "nodes");
    for (size_t i = 0; i < now->view.n_nodes; i++) {
        json_object_open(&json, NULL);
        node_write_json(&json, &now->view, &now->view.nodes[i]);
        json_object_close(&json);
    }
    json_array_close(&json);
    json_array_open(&json, "queues");
    for (size_t i = 0; i < moment->n_queues; i++) {
        json_object_open(&json, NULL);
        queue_write_json(&json, &moment->queues[i]);
        json_object_close(&json);
    }
    json_array_close(&json);
    json_close(&json);
}

static int note_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Why jobs wait that no node takes; a queue's lanes have that in common. */
static void print_notes(const struct view *view)
{
    enum { NOTES_SHOWN = 5 };
    size_t n = 0, told = 0;
    char **notes = calloc(view->n_lanes + 1, sizeof(*notes));
    if (notes == NULL)
        abort();
    for (size_t i = 0; i < view->n_lanes; i++) {
        notes[n] = view_unserved(view, &view->lanes[i]);
        n += notes[n] != NULL;
    }
    qsort(notes, n, sizeof(*notes), note_compare);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && strcmp(notes[i], notes[i - 1]) == 0)
            continue;
        if (told++ < NOTES_SHOWN)
            printf("\nNote: %s.\n", notes[i]);
    }
    if (told > NOTES_SHOWN)
        printf("\nNote: jobs wait for %zu more reasons of this kind.\n", told - NOTES_SHOWN);
    for (size_t i = 0; i < n; i++)
        free(notes[i]);
    free(notes);
}

static void print_screen(const struct now *now)
{
    const struct moment *moment = now->moment;
    printf("%zu %s, %" PRId64 " of %" PRId64 " slots busy, %.1f jobs/s\n\n", moment->n_live,
           moment->n_live == 1 ? "node" : "nodes", moment->running, moment->slots, moment->rate);
    if (moment->n_live > 0) {
        nodes_print_table(&now->view, false);
        printf("\n");
    }
    queues_print_table(moment);
    if (moment->n_live == 0)
        printf("\nNo node is running; start one with `stint node start`.\n");
    print_notes(&now->view);
}

static int run(struct cli *cli)
{
    struct now now;
    int status = now_read(cli, &now);
    if (status != CLI_OK)
        return status;
    if (cli->json)
        print_json(&now);
    else
        print_screen(&now);
    now_clear(&now);
    return CLI_OK;
}

const struct cli_command status_command = {
    .words = "status",
    .operands = "",
    .summary = "Show nodes, queues and rates on one screen",
    .example = "  stint status",
    .json = true,
    .run = run,
};
