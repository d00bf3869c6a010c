/* The cluster now (cli/now.h). Counts are kept, never counted: lanes say what was handed out and
 * what waits, nodes what they hold, finished ranges what came of them. Single-threaded. */
#include "cli/now.h"

#include <inttypes.h>

#include "observer/reading.h"

/* What the moment says of a lane. Its pool is among what is held; only whether there is any
 * matters here. */
static struct lane lane_of(const struct moment_lane *seen, struct arena *mem)
{
    struct lane lane = {
        .number = seen->number,
        .name = seen->name,
        .head = id_make(seen->number, seen->head),
        .tail = id_make(seen->number, seen->tail),
        .types = seen->types,
        .n_types = seen->n_types,
        .pool = arena_alloc(mem, (seen->n_held + 1) * sizeof(*lane.pool)),
    };
    for (size_t i = 0; i < seen->n_held; i++)
        if (seen->held[i].node < 0)
            lane.pool[lane.n_pool++] = (struct range){.a = id_make(seen->number, seen->held[i].a),
                                                      .b = id_make(seen->number, seen->held[i].b),
                                                      .suspect = seen->held[i].suspect};
    return lane;
}

static struct view view_of(const struct moment *moment)
{
    struct view view = {0};
    view.lanes = arena_alloc(&view.mem, (moment->n_lanes + 1) * sizeof(*view.lanes));
    view.nodes = arena_alloc(&view.mem, (moment->n_live + 1) * sizeof(*view.nodes));
    for (size_t i = 0; i < moment->n_lanes; i++)
        view.lanes[view.n_lanes++] = lane_of(&moment->lanes[i], &view.mem);
    for (size_t i = 0; i < moment->n_live; i++) /* they come first */
        view.nodes[view.n_nodes++] = moment->nodes[i].node;
    return view;
}

int now_read(struct cli *cli, struct now *ret_now)
{
    struct datastore *ds = NULL;
    struct error err = {0};
    struct now now = {0};
    bool whole = true;
    int status = cli_open(cli, DS_READ_ONLY, &ds);
    if (status != CLI_OK)
        return status;
    int rc = reading_now(ds, clock_utc_ms(), &now.past, &now.moment, &whole, &err);
    datastore_close(ds);
    if (rc < 0)
        return cli_fail(&err);
    if (!whole)
        cli_note("what makes no sense in the store is left out; see `stint store check`");
    now.view = view_of(now.moment);
    *ret_now = now;
    return CLI_OK;
}

void now_clear(struct now *now)
{
    view_clear(&now->view);
    past_free(now->past);
    *now = (struct now){0};
}

void queues_print_table(const struct moment *moment)
{
    static const char *const columns[] = {"QUEUE", "STATE", "SUBMITTED", "WAITING",
                                          "HELD",  "DONE",  "FAILED",    "CANCELLED"};
    struct table table;
    table_open(&table, columns, 8, 0xfc);
    for (size_t i = 0; i < moment->n_queues; i++) {
        const struct moment_queue *q = &moment->queues[i];
        table_cell(&table, "%s", q->queue.name);
        table_cell(&table, "%s", q->queue.paused ? "paused" : "open");
        table_cell(&table, "%" PRId64, q->submitted);
        table_cell(&table, "%" PRId64, q->waiting);
        table_cell(&table, "%" PRId64, q->held);
        table_cell(&table, "%" PRId64, q->done);
        table_cell(&table, "%" PRId64, q->failed);
        table_cell(&table, "%" PRId64, q->cancelled);
    }
    table_close(&table);
}

void queue_write_json(struct json *json, const struct moment_queue *q)
{
    json_text(json, "name", q->queue.name);
    json_bool(json, "paused", q->queue.paused);
    json_number(json, "submitted", q->submitted);
    json_number(json, "waiting", q->waiting);
    json_number(json, "held", q->held);
    json_number(json, "done", q->done);
    json_number(json, "failed", q->failed);
    json_number(json, "cancelled", q->cancelled);
    json_time(json, "changed", q->queue.changed_ms);
    json_text(json, "changed_by", q->queue.changed_by[0] != '\0' ? q->queue.changed_by : NULL);
}
