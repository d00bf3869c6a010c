/* `stint node list|stop|pause|resume`: a node is reached through the datastore alone, by what its
 * record says is desired of it. (`node start`: node_start.c.) Single-threaded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/node_print.h"
#include "cli/output.h"

enum { LOOK_MS = 50 };

/* ---- list ------------------------------------------------------------------------------------ */

static void ranges_write(struct json *json, const struct view *view, const struct node *node)
{
    json_array_open(json, "ranges");
    for (size_t i = 0; i < node->n_ranges; i++) {
        struct range range = node->ranges[i].range;
        char text[ID_TEXT_BYTES], name[ID_TEXT_BYTES];
        const struct lane *lane = view_lane(view, id_lane(range.a));
        /* The lane is what stands before the colon of an id; the default lane has its name. */
        snprintf(name, sizeof(name), "%s", lane != NULL ? id_format(text, &lane->name, 1) : "?");
        char *colon = strrchr(name, ':');
        if (colon != NULL)
            *colon = '\0';
        json_array_open(json, NULL);
        json_text(json, NULL, colon != NULL ? name : QUEUE_DEFAULT);
        json_number(json, NULL, id_seq(range.a));
        json_number(json, NULL, id_seq(range.b - 1) + 1);
        json_array_close(json);
    }
    json_array_close(json);
}

static void running_write(struct json *json, const struct view *view, const struct node *node)
{
    json_array_open(json, "running");
    for (size_t i = 0; node->state != NODE_DEAD && i < node->n_running; i++) {
        char text[ID_TEXT_BYTES];
        json_text(json, NULL, view_id(view, text, node->running[i].id));
    }
    json_array_close(json);
}

void node_write_who(struct json *json, const struct node *node)
{
    char id[32];
    snprintf(id, sizeof(id), "%" PRId64, node->id);
    json_text(json, "name", node->name);
    json_text(json, "id", id);
    json_number(json, "pid", node->pid);
    json_text(json, "host", node->host);
    json_text(json, "state", node_state_name(node->state));
    json_time(json, "since", node->since_ms);
    json_text(json, "cause", node->cause[0] != '\0' ? node->cause : NULL);
    json_number(json, "slots", node->slots);
}

void node_write_work(struct json *json, const struct node *node)
{
    json_number(json, "done", node->done);
    json_number(json, "failed", node->failed);
    json_real(json, "rate", node->rate);
}

void node_write_json(struct json *json, const struct view *view, const struct node *node)
{
    node_write_who(json, node);
    running_write(json, view, node);
    node_write_work(json, node);
    ranges_write(json, view, node);
}

static int64_t node_held(const struct node *node)
{
    int64_t ids = 0;
    for (size_t i = 0; i < node->n_ranges; i++)
        ids += range_count(node->ranges[i].range);
    return ids;
}

static void node_row(struct table *table, const struct node *node)
{
    char since[TIME_TEXT_BYTES], age[TIME_TEXT_BYTES];
    bool dead = node->state == NODE_DEAD;
    int64_t now_ms = clock_utc_ms();
    table_cell(table, "%s", node->name);
    table_cell(table, "%s", node_state_name(node->state));
    table_cell(table, "%s", span_format(since, node->since_ms, now_ms));
    table_cell(table, "%d", node->slots);
    table_cell(table, "%zu", dead ? 0 : node->n_running);
    table_cell(table, "%" PRId64, node->done);
    table_cell(table, "%" PRId64, node->failed);
    table_cell(table, "%.1f/s", dead ? 0 : node->rate);
    table_cell(table, "%" PRId64, node_held(node));
    table_cell(table, "%s", dead ? "-" : span_format(age, node->beat_ms, now_ms));
    table_cell(table, "%s", node->host);
    table_cell(table, "%s", node->cause[0] != '\0' ? node->cause : "-");
}

void nodes_print_table(const struct view *view, bool dead_too)
{
    static const char *const columns[] = {"NODE",    "STATE",     "FOR",    "SLOTS",
                                          "RUNNING", "DONE",      "FAILED", "RATE",
                                          "HELD",    "HEARTBEAT", "HOST",   "CAUSE"};
    struct table table;
    table_open(&table, columns, 12, 0x3fc);
    for (size_t i = 0; i < view->n_nodes; i++)
        if (dead_too || view->nodes[i].state != NODE_DEAD)
            node_row(&table, &view->nodes[i]);
    table_close(&table);
}

static int list_run(struct cli *cli)
{
    struct datastore *ds = NULL;
    struct view view = {0};
    struct error err = {0};
    int status = cli_open(cli, DS_READ_ONLY, &ds);
    if (status != CLI_OK)
        return status;
    int rc = view_read(ds, false, &view, &err);
    if (rc < 0)
        status = cli_fail(&err);
    for (size_t i = 0; rc == 0 && cli->json && i < view.n_nodes; i++) {
        struct json json;
        json_open(&json, stdout);
        node_write_json(&json, &view, &view.nodes[i]);
        json_close(&json);
    }
    if (rc == 0 && !cli->json)
        nodes_print_table(&view, true);
    view_clear(&view);
    datastore_close(ds);
    return status;
}

/* ---- stop, pause, resume --------------------------------------------------------------------- */

struct ask {
    enum node_desired desired;
    int64_t *nodes; /* those asked */
    size_t n;
};

static bool wanted(const struct cli *cli, const struct node *node)
{
    bool all = cli_option(cli, "all") != NULL;
    for (int i = 0; i < cli->n_operands && !all; i++)
        all = strcmp(cli->operands[i], node->name) == 0;
    return all && node->state != NODE_DEAD;
}

/* Every name must be that of a live node before any is asked. */
static int names_check(const struct cli *cli, const struct view *view)
{
    char quoted[QUOTE_BYTES];
    for (int i = 0; i < cli->n_operands; i++) {
        bool found = false;
        for (size_t j = 0; j < view->n_nodes && !found; j++)
            found = strcmp(view->nodes[j].name, cli->operands[i]) == 0;
        if (!found)
            return cli_error(CLI_REFUSED, "no live node %s; see `stint node list`",
                             cli_quote(quoted, cli->operands[i]));
    }
    return CLI_OK;
}

static int ask_all(const struct cli *cli, struct datastore *ds, struct ask *ask)
{
    struct view view;
    struct error err = {0};
    if (view_read(ds, true, &view, &err) < 0)
        return cli_fail(&err);
    int status = names_check(cli, &view);
    ask->nodes = cli_alloc((view.n_nodes + 1) * sizeof(*ask->nodes));
    for (size_t i = 0; i < view.n_nodes && status == CLI_OK; i++) {
        const struct node *node = &view.nodes[i];
        if (!wanted(cli, node))
            continue;
        struct ds_step step = {
            .kind = DS_NODE_ASK,
            .node_ask = {.node = node->id, .set_desired = true, .desired = ask->desired}};
        struct arena mem = {0};
        int rc = cli_step(ds, &step, &mem, NULL, &err);
        arena_release(&mem);
        if (rc == 0)
            ask->nodes[ask->n++] = node->id;
        else if (rc != ERR_CONFLICT && rc != ERR_NOT_FOUND) /* it died meanwhile */
            status = cli_fail(&err);
    }
    view_clear(&view);
    return status;
}

static bool followed(const struct node *node, enum node_desired desired)
{
    switch (desired) {
    case DESIRED_STOPPED:
        return node->state == NODE_DEAD;
    case DESIRED_PAUSED:
        return node->state == NODE_PAUSED || node->state == NODE_DEAD;
    default:
        return node->state != NODE_PAUSED;
    }
}

/* How many have not done what was asked yet. */
static int ask_left(struct datastore *ds, const struct ask *ask, size_t *ret_left,
                    struct error *err)
{
    struct view view;
    int rc = view_read(ds, false, &view, err);
    if (rc < 0)
        return rc;
    size_t left = 0;
    for (size_t i = 0; i < ask->n; i++) {
        const struct node *node = view_node(&view, ask->nodes[i]);
        left += node != NULL && !followed(node, ask->desired);
    }
    view_clear(&view);
    *ret_left = left;
    return 0;
}

static int ask_wait(struct datastore *ds, const struct ask *ask)
{
    struct interrupt interrupt;
    struct error err = {0};
    struct patience patience = {0};
    size_t left = 1;
    int rc = 0, signal = 0;
    interrupt_open(&interrupt);
    while (left > 0 && (signal = interrupt_seen(&interrupt)) == 0) {
        rc = ask_left(ds, ask, &left, &err);
        if (rc < 0 && !cli_try_again(&patience, rc))
            break;
        if (rc < 0)
            continue;
        patience = (struct patience){0};
        if (left > 0)
            interrupt_wait(&interrupt, -1, LOOK_MS);
    }
    interrupt_close(&interrupt);
    if (rc < 0 && signal == 0)
        return cli_fail(&err);
    return signal == 0 ? CLI_OK
                       : cli_error(CLI_SIGNAL + signal,
                                   "stopped waiting for %zu nodes; look again with `stint node "
                                   "list`",
                                   left);
}

static int ask_run(struct cli *cli, enum node_desired desired)
{
    struct ask ask = {.desired = desired};
    struct datastore *ds = NULL;
    if ((cli_option(cli, "all") != NULL) == (cli->n_operands > 0))
        return cli_error(CLI_USAGE, "give names of nodes, or --all; see `stint %s --help`",
                         cli->command->words);
    int status = cli_open(cli, 0, &ds);
    if (status == CLI_OK)
        status = ask_all(cli, ds, &ask);
    if (status == CLI_OK && cli_option(cli, "wait") != NULL)
        status = ask_wait(ds, &ask);
    if (status == CLI_OK)
        printf("%zu %s\n", ask.n, ask.n == 1 ? "node" : "nodes");
    free(ask.nodes);
    datastore_close(ds);
    return status;
}

static int stop_run(struct cli *cli)
{
    return ask_run(cli, DESIRED_STOPPED);
}

static int pause_run(struct cli *cli)
{
    return ask_run(cli, DESIRED_PAUSED);
}

static int resume_run(struct cli *cli)
{
    return ask_run(cli, DESIRED_RUN);
}

static const struct cli_option ask_options[] = {
    {"all", 0, NULL, "all live nodes", SETTING_NONE},
    {"wait", 0, NULL, "wait until they have done it", SETTING_NONE},
    {0},
};

const struct cli_command node_list_command = {
    .words = "node list",
    .operands = "",
    .summary = "List nodes, those that died lately too",
    .example = "  stint node list --json",
    .json = true,
    .run = list_run,
};

const struct cli_command node_stop_command = {
    .words = "node stop",
    .operands = "NAME...|--all",
    .summary = "Stop nodes: running jobs end, the rest goes back",
    .example = "  stint node stop --all --wait",
    .options = ask_options,
    .operands_max = -1,
    .run = stop_run,
};

const struct cli_command node_pause_command = {
    .words = "node pause",
    .operands = "NAME...|--all",
    .summary = "Pause nodes: running jobs end, no others start",
    .example = "  stint node pause worker-1 --wait",
    .options = ask_options,
    .operands_max = -1,
    .run = pause_run,
};

const struct cli_command node_resume_command = {
    .words = "node resume",
    .operands = "NAME...|--all",
    .summary = "Let paused nodes work again",
    .example = "  stint node resume worker-1",
    .options = ask_options,
    .operands_max = -1,
    .run = resume_run,
};
