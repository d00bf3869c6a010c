/* A made-up cluster (tests/support/lifelike.h): a simulation by seconds of what nodes and lanes
 * would write, much simpler than a node. One thread. */
#include "tests/support/lifelike.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/random.h"
#include "node/history.h"

enum { NODES_MAX = 100, LANES_MAX = 10, RANGES_MAX = 4, POOL_MAX = 64, SLOTS = 4 };
enum { LEASE_MS = 5000, CLAIM_S = 3, READ_S = 5 };

struct held {
    struct range range;
    int64_t next; /* the first id that has not ended */
    uint64_t returning;
};

struct worker {
    struct node node;
    struct history *history;
    struct held held[RANGES_MAX];
    size_t n_held;
    bool frozen; /* does nothing any more; to be buried */
    struct node_range ranges[RANGES_MAX];
    struct node_running running[SLOTS];
};

struct sim {
    struct lifelike_config config;
    struct past *past;
    struct worker workers[NODES_MAX];
    struct lane lanes[LANES_MAX];
    struct range pools[LANES_MAX][POOL_MAX];
    struct queue queues[LANES_MAX];
    struct stint_row totals[LANES_MAX];
    size_t n_queues;
    uint64_t seed;
    int64_t now_ms;
    int second;
};

static int64_t below(struct sim *sim, int64_t n)
{
    return (int64_t)random_below(&sim->seed, (uint64_t)n);
}

/* ---- facts ---------------------------------------------------------------------------------- */

static void tell_reading(struct sim *sim, const struct past_reading *reading)
{
    if (sim->config.tap != NULL)
        sim->config.tap->reading(sim->config.tap->ctx, reading);
    past_add_reading(sim->past, reading);
}

static void tell_version(struct sim *sim, const struct history_row *row)
{
    if (sim->config.tap != NULL)
        sim->config.tap->version(sim->config.tap->ctx, row);
    past_add_version(sim->past, row);
}

static void tell_stint(struct sim *sim, const struct stint_row *row)
{
    if (sim->config.tap != NULL)
        sim->config.tap->stints(sim->config.tap->ctx, row, 1);
    past_add_stints(sim->past, row, 1);
}

static void tell_complete(struct sim *sim, int32_t lane)
{
    if (sim->config.tap != NULL)
        sim->config.tap->complete(sim->config.tap->ctx, lane);
    past_stints_complete(sim->past, lane);
}

static void tell_trouble(struct sim *sim, const char *why)
{
    if (sim->config.tap != NULL)
        sim->config.tap->trouble(sim->config.tap->ctx, sim->now_ms, why);
    past_add_trouble(sim->past, sim->now_ms, why);
}

/* ---- what there is at first ----------------------------------------------------------------- */

static const struct {
    struct lane_name name;
    int share; /* of what is submitted, in percent */
} plan[LANES_MAX] = {
    {{"default", 5, 0}, 40},    {{"mail", 5, 0}, 20},   {{"mail", 2, 0}, 4},
    {{"orders", 5, 1}, 5},      {{"orders", 5, 2}, 5},  {{"orders", 5, 3}, 5},
    {{"thumbnails", 5, 0}, 10}, {{"reports", 7, 0}, 5}, {{"sync-with-the-other-side", 5, 0}, 5},
    {{"night", 9, 0}, 1},
};

static void queue_add(struct sim *sim, const char *name)
{
    for (size_t i = 0; i < sim->n_queues; i++)
        if (strcmp(sim->queues[i].name, name) == 0)
            return;
    struct queue *queue = &sim->queues[sim->n_queues++];
    *queue = (struct queue){.weight = 1, .changed_ms = LIFELIKE_START_MS - 3600000};
    snprintf(queue->name, sizeof(queue->name), "%.60s", name);
    snprintf(queue->changed_by, sizeof(queue->changed_by), "ana@desk");
}

static void lanes_begin(struct sim *sim)
{
    for (int i = 0; i < sim->config.lanes; i++) {
        sim->lanes[i] = (struct lane){.number = i,
                                      .name = plan[i].name,
                                      .head = id_make(i, 1),
                                      .tail = id_make(i, 1),
                                      .pool = sim->pools[i]};
        sim->totals[i].range.a = sim->lanes[i].head;
        queue_add(sim, plan[i].name.queue);
    }
}

static void workers_begin(struct sim *sim)
{
    for (int i = 0; i < sim->config.nodes; i++) {
        struct worker *worker = &sim->workers[i];
        struct node *node = &worker->node;
        *node = (struct node){.id = 1000003 * (i + 1),
                              .pid = 4000 + i,
                              .slots = SLOTS,
                              .lease_ms = LEASE_MS,
                              .created_ms = LIFELIKE_START_MS + i % 7 * 300,
                              .state = NODE_WAITING,
                              .since_ms = LIFELIKE_START_MS + i % 7 * 300};
        snprintf(node->name, sizeof(node->name), i % 9 == 4 ? "batch-%02d.eu-west" : "n%d", i + 1);
        snprintf(node->host, sizeof(node->host), "box%d", i / 4 + 1);
        snprintf(node->version, sizeof(node->version), "0.1.0");
        worker->history = history_new();
    }
}

/* ---- lanes ---------------------------------------------------------------------------------- */

static void submit(struct sim *sim)
{
    int speed = sim->config.speed, wave = sim->second / 20 % 3; /* busy, less, none */
    for (int i = 0; i < sim->config.lanes; i++) {
        int64_t jobs = (int64_t)sim->config.nodes * speed * plan[i].share / 100;
        sim->lanes[i].tail += wave == 0 ? jobs * 2 : wave == 1 ? jobs : jobs / 8;
        if (i == 9 && sim->second == 5)
            sim->lanes[i].tail += 10 * (int64_t)sim->config.nodes * speed;
    }
}

static void pool_add(struct lane *lane, struct range range)
{
    assert(lane->n_pool < POOL_MAX);
    size_t at = lane->n_pool++;
    for (; at > 0 && lane->pool[at - 1].a > range.a; at--)
        lane->pool[at] = lane->pool[at - 1];
    lane->pool[at] = range;
}

static void claim(struct sim *sim, struct worker *worker)
{
    int lanes = sim->config.lanes, first = (int)below(sim, lanes);
    for (int i = 0; i < lanes && worker->n_held < RANGES_MAX; i++) {
        struct lane *lane = &sim->lanes[(first + i) % lanes];
        int64_t left = lane->tail - lane->head, size = sim->config.speed * CLAIM_S;
        struct held *held = &worker->held[worker->n_held];
        if (lane->n_pool > 0) {
            *held = (struct held){.range = lane->pool[0], .next = lane->pool[0].a};
            memmove(lane->pool, lane->pool + 1, --lane->n_pool * sizeof(*lane->pool));
        } else if (left > 0) {
            size = left / sim->config.nodes + 1 < size ? left / sim->config.nodes + 1 : size;
            *held = (struct held){.range = {lane->head, lane->head + size, false}};
            held->next = lane->head;
            lane->head += size;
        } else {
            continue;
        }
        worker->n_held++;
        return;
    }
}

/* ---- a node's second ------------------------------------------------------------------------ */

static void state_set(struct sim *sim, struct worker *worker, enum node_state state)
{
    if (worker->node.state != state)
        worker->node.since_ms = sim->now_ms;
    worker->node.state = state;
}

static void finish(struct sim *sim, struct worker *worker, const struct held *held)
{
    const struct range *range = &held->range;
    int64_t ids = range->b - range->a;
    bool bad = !sim->config.quiet && below(sim, 30) == 0;
    struct stint_row row = {.range = *range,
                            .node = worker->node.id,
                            .failed = bad ? 1 + below(sim, ids < 5 ? ids : 5) : 0,
                            .first_start_ms = sim->now_ms - 2500,
                            .last_finish_ms = sim->now_ms};
    row.done = ids - row.failed;
    worker->node.failed += row.failed;
    worker->node.done -= row.failed;
    tell_stint(sim, &row);
    struct stint_row *total = &sim->totals[id_lane(range->a)];
    total->range.a = range->a;
    total->done += row.done;
    total->failed += row.failed;
}

static void work(struct sim *sim, struct worker *worker)
{
    int64_t jobs =
        sim->config.speed - sim->config.speed / 4 + below(sim, sim->config.speed / 2 + 1);
    worker->node.rate = 0;
    while (worker->n_held > 0 && jobs > 0) {
        struct held *held = &worker->held[0];
        int64_t n = held->range.b - held->next < jobs ? held->range.b - held->next : jobs;
        held->next += n;
        jobs -= n;
        worker->node.done += n;
        worker->node.rate += (double)n;
        if (held->next < held->range.b)
            break;
        finish(sim, worker, held);
        memmove(worker->held, worker->held + 1, --worker->n_held * sizeof(*worker->held));
    }
}

/* What is left goes back; the part that ended is finished. */
static void give_back(struct sim *sim, struct worker *worker, bool suspect)
{
    for (size_t i = 0; i < worker->n_held; i++) {
        struct held *held = &worker->held[i];
        struct held begun = {.range = {held->range.a, held->next, false}};
        if (held->next > held->range.a)
            finish(sim, worker, &begun);
        pool_add(&sim->lanes[id_lane(held->range.a)],
                 (struct range){held->next, held->range.b, suspect});
    }
    worker->n_held = 0;
}

static void record_make(struct worker *worker)
{
    struct node *node = &worker->node;
    node->ranges = worker->ranges;
    node->running = worker->running;
    node->n_ranges = worker->n_held;
    node->n_running = 0;
    for (size_t i = 0; i < worker->n_held; i++) {
        const struct held *held = &worker->held[i];
        worker->ranges[i] = (struct node_range){held->range, held->returning};
        for (int64_t id = held->next; id < held->range.b && node->n_running < SLOTS; id++)
            if (held->returning == 0 && node->state == NODE_WORKING)
                worker->running[node->n_running++] = (struct node_running){.id = id, .run = 1};
    }
}

static void version_write(struct sim *sim, struct worker *worker)
{
    struct history_lane lanes[LANES_MAX];
    struct history_row row;
    struct arena mem = {0};
    for (int i = 0; i < sim->config.lanes; i++)
        lanes[i] = (struct history_lane){i, sim->lanes[i].head, sim->lanes[i].tail,
                                         sim->lanes[i].pool, sim->lanes[i].n_pool};
    record_make(worker);
    worker->node.beat_ms = sim->now_ms;
    worker->node.beat++;
    if (history_version(worker->history, &worker->node, lanes, (size_t)sim->config.lanes,
                        sim->now_ms, &row, &mem) > 0)
        tell_version(sim, &row);
    arena_release(&mem);
}

static void die(struct sim *sim, struct worker *worker, const char *cause)
{
    state_set(sim, worker, NODE_DEAD);
    give_back(sim, worker, strcmp(cause, "stopped") != 0);
    worker->node.n_running = 0;
    worker->node.n_ranges = 0;
    snprintf(worker->node.cause, sizeof(worker->node.cause), "%s", cause);
}

/* Of every eight nodes one is buried, one stops and one pauses, at times of their own. */
static void fate(struct sim *sim, struct worker *worker, int number)
{
    int fate = number % 8, at = sim->config.seconds * (3 + number % 5) / 10;
    int late = sim->config.seconds - 4; /* so that what follows is going on at the end */
    at = number == 1 ? late : at;
    if (sim->config.quiet || worker->node.state == NODE_DEAD)
        return;
    if (fate == 1 && sim->second == at)
        worker->frozen = true;
    if (fate == 1 && sim->second == at + (number == 1 ? 2 : 6))
        die(sim, worker, "buried by n1, which has not heard of it for 5.2 s");
    if (fate == 5 && sim->second == at)
        worker->node.desired = DESIRED_STOPPED;
    if (fate == 5 && sim->second == at + 2)
        die(sim, worker, "stopped");
    if (fate == 3 && sim->second == at)
        worker->node.desired = DESIRED_PAUSED;
}

static void pause(struct sim *sim, struct worker *worker)
{
    bool returning = worker->n_held > 0 && worker->held[0].returning != 0;
    if (returning || worker->n_held == 0) {
        give_back(sim, worker, false);
        state_set(sim, worker, NODE_PAUSED);
    }
    for (size_t i = 0; i < worker->n_held; i++)
        worker->held[i].returning = 1;
    worker->node.rate = 0;
}

static void worker_step(struct sim *sim, struct worker *worker, int number)
{
    fate(sim, worker, number);
    if (worker->frozen || worker->node.state == NODE_DEAD)
        return;
    if (worker->node.desired == DESIRED_PAUSED) {
        pause(sim, worker);
    } else {
        if (worker->node.desired == DESIRED_RUN && worker->n_held < 2)
            claim(sim, worker);
        state_set(sim, worker, worker->n_held > 0 ? NODE_WORKING : NODE_WAITING);
        work(sim, worker);
        if (worker->node.desired == DESIRED_RUN && worker->n_held < 1)
            claim(sim, worker);
    }
    version_write(sim, worker);
}

/* ---- readings ------------------------------------------------------------------------------- */

static void read_all(struct sim *sim)
{
    static struct node nodes[NODES_MAX];
    for (int i = 0; i < sim->config.nodes; i++)
        nodes[i] = sim->workers[i].node;
    struct past_reading reading = {.at_ms = sim->now_ms,
                                   .nodes = nodes,
                                   .n_nodes = (size_t)sim->config.nodes,
                                   .lanes = sim->lanes,
                                   .n_lanes = (size_t)sim->config.lanes,
                                   .queues = sim->queues,
                                   .n_queues = sim->n_queues,
                                   .totals = sim->totals,
                                   .n_totals = (size_t)sim->config.lanes};
    tell_reading(sim, &reading);
}

static void store_step(struct sim *sim)
{
    int third = sim->config.seconds / 3;
    bool away = !sim->config.quiet && sim->second >= third && sim->second < third + 8;
    if (sim->second == third && away)
        tell_trouble(sim, "unable to open database file");
    if (sim->second == third + 12 && !sim->config.quiet && sim->n_queues > 1) {
        sim->queues[1].paused = true;
        sim->queues[1].changed_ms = sim->now_ms;
    }
    if (!away && (sim->second % READ_S == 0 || sim->second + 1 >= sim->config.seconds))
        read_all(sim);
}

int64_t lifelike_end_ms(const struct lifelike_config *config)
{
    return LIFELIKE_START_MS + (int64_t)(config->seconds - 1) * 1000 + 400;
}

struct past *lifelike_past(const struct lifelike_config *config)
{
    struct sim *sim = calloc(1, sizeof(*sim));
    if (sim == NULL)
        abort();
    sim->config = *config;
    sim->config.speed = config->speed > 0 ? config->speed : 40;
    sim->seed = (uint64_t)config->nodes;
    sim->past = past_new("sqlite:/var/lib/stint/stint.db", 256 << 20);
    lanes_begin(sim);
    workers_begin(sim);
    for (sim->second = 0; sim->second < config->seconds; sim->second++) {
        sim->now_ms = LIFELIKE_START_MS + (int64_t)sim->second * 1000;
        submit(sim);
        for (int i = 0; i < config->nodes; i++)
            worker_step(sim, &sim->workers[i], i);
        store_step(sim);
    }
    for (int i = 0; i < config->lanes; i++)
        tell_complete(sim, i);
    if (config->lost)
        tell_trouble(sim, "No suitable servers found: connection refused");
    struct past *past = sim->past;
    for (int i = 0; i < config->nodes; i++)
        history_free(sim->workers[i].history);
    free(sim);
    return past;
}

/* ---- jobs ----------------------------------------------------------------------------------- */

#define AT(s) (LIFELIKE_START_MS + (s)*1000)
#define ARGS(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text)                                                      \
    }
#define OUTPUT(text)                                                                               \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

static const struct job_attempt attempts[] = {
    {1, true, 2000006, AT(31), AT(42), -1, 0, false, "the node was buried", {0}},
    {2, false, 1000003, AT(50), AT(51), 2, 0, false, NULL,
     OUTPUT("convert:\tno decode delegate for this image format `HEIC'\n")},
};
static const struct job_ending failed_ending = {
    .exit_code = 2,
    .user_ms = 410,
    .sys_ms = 32,
    .maxrss_kb = 48312,
    .output = OUTPUT("reading /srv/in/4711.heic\nconvert: no decode delegate `HEIC'\n"
                     "\x1b[31mred\x1b[0m and \xff no UTF-8, 漢字 wide\n"),
    .output_total = 15231,
    .error = "it gave up after 3 attempts",
    .trace = attempts,
    .n_trace = 2,
};
static const struct job_spec thrice = {.max_attempts = 3, .timeout_ms = 60000, .key = "img-4711"};

static const struct job jobs[] = {
    {.id = 9120,
     .state = JOB_QUEUED,
     .run = 1,
     .type = "exec",
     .created_ms = AT(59),
     .argv = ARGS("make\0-j4\0release")},
    {.id = 4711,
     .state = JOB_FAILED,
     .run = 3,
     .interruptions = 1,
     .type = "exec",
     .created_ms = AT(30),
     .started_ms = AT(55),
     .finished_ms = AT(57),
     .node = 1000003,
     .argv = ARGS("convert\0/srv/in/4711.heic\0-resize\0"
                  "1024x\0/srv/out/4711.jpg"),
     .batch = "upload-2023-11",
     .spec = &thrice,
     .ending = &failed_ending},
    {.id = (INT64_C(1) << ID_SEQ_BITS) + 412,
     .state = JOB_DONE,
     .run = 1,
     .type = "mail",
     .created_ms = AT(40),
     .started_ms = AT(41),
     .finished_ms = AT(41) + 120,
     .node = 3000009},
    {.id = 318,
     .state = JOB_SCHEDULED,
     .run = 2,
     .type = "exec",
     .created_ms = AT(12),
     .due_ms = AT(300),
     .argv = ARGS("sync\0--to\0other-side")},
    {.id = 200,
     .state = JOB_CANCELLED,
     .run = 1,
     .type = "noop",
     .created_ms = AT(9),
     .finished_ms = AT(11),
     .node = 99},
    {.id = 17,
     .state = JOB_BLOCKED,
     .run = 1,
     .type = "exec",
     .created_ms = AT(1),
     .argv =
         ARGS("/bin/sh\0-c\0echo a long line that does not fit into what a row has left for it")},
};

void lifelike_jobs(struct jobs_page *page, const struct jobs_ask *ask)
{
    *page = (struct jobs_page){
        .ask = *ask, .jobs = (struct job *)jobs, .n = 6, .more = true, .at_ms = AT(60)};
    if (ask->brief)
        page->n = 0; /* they are not the ids of the map */
    for (size_t i = 0; i < page->n; i++)
        if (jobs[i].id == ask->detail)
            page->detail = &jobs[i];
}
