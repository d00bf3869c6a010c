/* The scenarios (scenes.h). Each is as small as the kind allows, and where a step sends several
 * commands, there is one that makes it send all of them. */
#include "tests/support/scenes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/mongo.h"

enum { NODE = 7, OTHER = 8, SCENES_MAX = 1024 /* of one test */ };

static struct job *job_of(struct scene *scene, size_t i, int64_t token)
{
    scene->jobs[i] =
        (struct job){.id = scene->first + (int64_t)i, .run = 1, .type = "noop", .token = token};
    return &scene->jobs[i];
}

static const struct job_spec *keyed(void)
{
    static const struct job_spec spec = {.key = "taken"};
    return &spec;
}

/* ---- queues and lanes ----------------------------------------------------------------------- */

static void mail_queue(struct scene *scene)
{
    struct queue *queue = &scene->step.queue_set.queue;
    *queue = (struct queue){.weight = 3};
    snprintf(queue->name, sizeof(queue->name), "mail");
    snprintf(queue->changed_by, sizeof(queue->changed_by), "somebody@host");
}

static void mail_queue_new(struct scene *scene)
{
    mail_queue(scene);
    scene->step.queue_set.create_only = true;
}

static void mail_queue_altered(struct scene *scene)
{
    queue_make(scene->s, "mail", 0);
    mail_queue(scene);
    scene->step.queue_set.queue.paused = true;
    scene->step.queue_set.alter_only = true;
}

static void lane_new(struct scene *scene)
{
    scene->step.lane_open.name = (struct lane_name){"mail", 2, 0};
}

static void lane_partition(struct scene *scene)
{
    queue_make(scene->s, "mail", 4);
    scene->step.lane_open.name = (struct lane_name){"mail", 2, 3};
}

static void look_lane(struct scene *scene, const struct ds_step *last)
{
    struct lane lane = lane_now(scene->s, last->lane_open.ret_lane);
    ck_assert_str_eq(lane.name.queue, "mail");
}

static void reserve_known(struct scene *scene)
{
    static const char *const types[] = {"noop"};
    scene->first = reserve(scene->s, 0, 1);
    scene->step.reserve = (struct ds_reserve){.count = 5, .types = types, .n_types = 1};
}

static void reserve_new_type(struct scene *scene)
{
    static const char *const types[] = {"noop", "mail"};
    reserve_known(scene);
    scene->step.reserve = (struct ds_reserve){.count = 5, .types = types, .n_types = 2};
}

/* The ids are nobody else's, whatever came of the tries before. */
static void look_reserved(struct scene *scene, const struct ds_step *last)
{
    struct lane lane = lane_now(scene->s, 0);
    ck_assert_int_gt(last->reserve.ret_first, scene->first);
    ck_assert_int_eq(last->reserve.ret_first + 5, lane.tail);
    ck_assert_int_eq((lane.tail - scene->first - 1) % 5, 0);
}

/* ---- inserting ------------------------------------------------------------------------------ */

/* Rows of which one finds its id taken, and one its key. */
static void insert_rows(struct scene *scene)
{
    struct job keeper = {.run = 1, .type = "noop", .token = 90, .spec = keyed()};
    submit_job(scene->s, 0, &keeper);
    scene->first = reserve(scene->s, 0, 4);
    struct job taken = {
        .id = scene->first + 1, .run = 1, .type = "void", .state = JOB_VOID, .token = 91};
    ck_assert_int_eq(insert_row(scene->s, &taken), 0);
    for (size_t i = 0; i < 4; i++)
        job_of(scene, i, 100 + (int64_t)i);
    scene->jobs[2].spec = keyed();
    scene->step.insert = (struct ds_insert){.jobs = scene->jobs, .n_jobs = 4};
}

static void look_rows(struct scene *scene, const struct ds_step *last)
{
    (void)scene;
    ck_assert_int_eq(last->insert.ret_rc[0], 0);
    ck_assert_int_eq(last->insert.ret_rc[1], ERR_DUPLICATE);
    ck_assert_int_eq(last->insert.ret_rc[2], ERR_DUPLICATE);
    ck_assert_int_eq(last->insert.ret_rc[3], 0);
}

static void insert_chunk(struct scene *scene)
{
    static const struct submit_chunk chunk = {.submit = "bulk", .count = 4, .last = true};
    scene->first = reserve(scene->s, 0, 4);
    for (size_t i = 0; i < 4; i++)
        job_of(scene, i, 100 + (int64_t)i);
    scene->step.insert = (struct ds_insert){.jobs = scene->jobs, .n_jobs = 4, .chunk = &chunk};
}

static void look_chunk(struct scene *scene, const struct ds_step *last)
{
    (void)scene;
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(last->insert.ret_rc[i], 0);
}

/* Rows so large that they go in two statements. */
static void insert_parts(struct scene *scene)
{
    static uint8_t large[MONGO_ROWS_BYTES * 5 / 8];
    scene->first = reserve(scene->s, 0, 3);
    for (size_t i = 0; i < 3; i++)
        job_of(scene, i, 100 + (int64_t)i)->payload = (struct bytes){large, sizeof(large)};
    scene->step.insert = (struct ds_insert){.jobs = scene->jobs, .n_jobs = 3};
}

static void look_parts(struct scene *scene, const struct ds_step *last)
{
    (void)scene;
    for (size_t i = 0; i < 3; i++)
        ck_assert_int_eq(last->insert.ret_rc[i], 0);
}

/* The first row is refused for its key: a VOID row carries the chunk. */
static void insert_chunk_keyed(struct scene *scene)
{
    struct job keeper = {.run = 1, .type = "noop", .token = 90, .spec = keyed()};
    submit_job(scene->s, 0, &keeper);
    insert_chunk(scene);
    scene->jobs[0].spec = keyed();
}

static void look_chunk_keyed(struct scene *scene, const struct ds_step *last)
{
    (void)scene;
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(last->insert.ret_rc[i], i == 0 ? ERR_DUPLICATE : 0);
}

static void chunk_there(struct scene *scene)
{
    insert_chunk(scene);
    struct ds_step step = scene->step;
    step.kind = DS_INSERT;
    ck_assert_int_eq(do_step(scene->s, &step), 0);
}

static void find_chunk(struct scene *scene)
{
    chunk_there(scene);
    scene->step.submit_find = (struct ds_submit_find){.submit = "bulk"};
}

static void find_cut_chunk(struct scene *scene)
{
    insert_chunk(scene);
    struct ds_step step = scene->step;
    step.kind = DS_INSERT;
    step.insert.n_jobs = 2;
    ck_assert_int_eq(do_step(scene->s, &step), 0);
    scene->step.submit_find = (struct ds_submit_find){.submit = "bulk"};
}

static void look_found(struct scene *scene, const struct ds_step *last)
{
    ck_assert_uint_eq(last->submit_find.ret_n, 1);
    ck_assert_int_eq(last->submit_find.ret_chunks[0].id, scene->first);
}

/* ---- grants --------------------------------------------------------------------------------- */

static void claim_head(struct scene *scene)
{
    scene->first = submit(scene->s, 0, 6);
    scene->step.claim =
        (struct ds_claim){.node = NODE, .want = 4, .make_entry = true, .g = 1 << 20, .r = 3};
}

static void claim_pool(struct scene *scene)
{
    scene->first = submit(scene->s, 0, 6);
    claim(scene->s, 0, NODE, 0, 4);
    struct range back = {.a = scene->first + 1, .b = scene->first + 4};
    ck_assert_int_eq(give_back(scene->s, 0, NODE, 0, back), 0);
    scene->step.claim = (struct ds_claim){.node = NODE, .want = 2, .g = 1};
}

static void look_claim(struct scene *scene, const struct ds_step *last)
{
    const struct lane_entry *entry = entry_now(scene->s, 0, NODE);
    ck_assert_ptr_nonnull(entry);
    ck_assert_uint_eq(entry->g, scene->step.claim.g + 1);
    if (last->rc == 0)
        assert_range(last->claim.ret_range, entry->last.a, entry->last.b, entry->last.suspect);
}

static void claim_nothing(struct scene *scene)
{
    scene->step.claim = (struct ds_claim){.node = NODE, .want = 2, .make_entry = true};
}

static void held(struct scene *scene)
{
    static struct range ranges[2];
    scene->first = submit(scene->s, 0, 8);
    claim(scene->s, 0, NODE, 0, 6);
    ranges[0] = (struct range){.a = scene->first + 1, .b = scene->first + 3};
    ranges[1] = (struct range){.a = scene->first + 4, .b = scene->first + 6};
    scene->step.give_back = (struct ds_give_back){.node = NODE, .ranges = ranges, .n_ranges = 2};
}

static void entry_idle(struct scene *scene)
{
    held(scene);
    scene->step.entry_drop = (struct ds_entry_drop){.node = NODE, .g = 1};
}

static void lane_burial(struct scene *scene)
{
    held(scene);
    const struct range *estate = scene->step.give_back.ranges;
    scene->step.lane_bury = (struct ds_lane_bury){
        .expect = *entry_now(scene->s, 0, NODE), .estate = estate, .n_estate = 2};
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static void node_new(struct scene *scene)
{
    scene->node = node_make(NODE, "one");
    scene->step.node_add.node = &scene->node;
}

static void ask_cancel(struct store *s, int64_t job)
{
    struct ds_step step = {.kind = DS_NODE_ASK,
                           .node_ask = {.node = NODE, .add_request = true, .request = {.id = job}}};
    ck_assert_int_eq(do_step(s, &step), 0);
}

static void node_beats(struct scene *scene)
{
    static struct node_range ranges[] = {{{1, 5, false}, 0}, {{9, 12, true}, 0}};
    node_add(scene->s, NODE, "one");
    ask_cancel(scene->s, 1);
    ask_cancel(scene->s, 2);
    scene->node = node_make(NODE, "one");
    scene->node.beat = 2;
    scene->node.done = 4;
    scene->node.ranges = ranges;
    scene->node.n_ranges = 2;
    scene->step.node_write = (struct ds_node_write){.node = &scene->node, .acked_request = 1};
}

static void look_beat(struct scene *scene, const struct ds_step *last)
{
    ck_assert_uint_eq(node_now(scene->s, NODE).beat, 2);
    if (last->rc == 0)
        ck_assert_uint_eq(last->node_write.ret_n_requests, 1);
    else
        ck_assert(!last->node_write.ret_dead);
}

static void node_asked(struct scene *scene)
{
    node_add(scene->s, NODE, "one");
    scene->step.node_ask = (struct ds_node_ask){.node = NODE,
                                                .set_desired = true,
                                                .desired = DESIRED_PAUSED,
                                                .add_request = true,
                                                .request = {.kind = REQUEST_SHED, .id = 5}};
}

static void node_dies(struct scene *scene)
{
    node_add(scene->s, NODE, "one");
    scene->step.node_kill = (struct ds_node_kill){.node = NODE, .beat = 1, .cause = "by a test"};
}

static void look_killed(struct scene *scene, const struct ds_step *last)
{
    (void)scene;
    ck_assert_int_eq(last->node_kill.ret_node.state, NODE_DEAD);
    ck_assert_str_eq(last->node_kill.ret_node.cause, "by a test");
}

static void node_dead(struct scene *scene)
{
    node_beats(scene);
    struct ds_step step = {.kind = DS_NODE_WRITE, .node_write = scene->step.node_write};
    ck_assert_int_eq(do_step(scene->s, &step), 0);
    ck_assert_int_eq(node_kill(scene->s, NODE, 2), 0);
}

static void node_cleared(struct scene *scene)
{
    node_dead(scene);
    scene->step.node_clear = (struct ds_node_clear){.node = NODE};
}

static void node_deleted(struct scene *scene)
{
    node_dead(scene);
    scene->step.node_delete = (struct ds_node_delete){.node = NODE};
}

/* ---- outcomes ------------------------------------------------------------------------------- */

static struct outcome *outcome_of(struct scene *scene, size_t i, enum outcome_kind kind)
{
    scene->outcomes[i] = (struct outcome){.id = scene->first + (int64_t)i,
                                          .count = 1,
                                          .run = 1,
                                          .kind = kind,
                                          .node = NODE,
                                          .started_ms = 1000,
                                          .finished_ms = 2000};
    return &scene->outcomes[i];
}

static void finish_alike(struct scene *scene)
{
    scene->first = submit(scene->s, 0, 4);
    outcome_of(scene, 0, OUTCOME_DONE)->count = 4;
    ck_assert_int_eq(cancel(scene->s, scene->first + 2, NULL), 0);
    scene->step.finish = (struct ds_finish){.outcomes = scene->outcomes, .n = 1};
}

static void finish_each(struct scene *scene)
{
    static const struct job_ending bad = {.exit_code = 3, .output = {(const uint8_t *)"no", 2}};
    static const struct job_ending good = {.result = {(const uint8_t *)"yes", 3}};
    static const struct job_spec spec = {.max_attempts = 5};
    struct job again = {.run = 1, .type = "noop", .token = 50, .spec = &spec};
    scene->first = submit(scene->s, 0, 5);
    int64_t id = submit_job(scene->s, 0, &again);
    ck_assert_int_eq(id, scene->first + 5);
    struct outcome retry = *outcome_of(scene, 5, OUTCOME_RETRY);
    retry.ending = &bad;
    ck_assert_uint_eq(finish(scene->s, retry, NULL), 1);
    outcome_of(scene, 0, OUTCOME_DONE)->ending = &good;
    outcome_of(scene, 1, OUTCOME_FAILED)->ending = &bad;
    outcome_of(scene, 2, OUTCOME_INTERRUPTED);
    outcome_of(scene, 3, OUTCOME_DONE)->count = 1;
    outcome_of(scene, 4, OUTCOME_FAILED)->ending = &bad;
    outcome_of(scene, 5, OUTCOME_FAILED)->ending = &bad;
    scene->outcomes[5].run = 2;
    ck_assert_int_eq(cancel(scene->s, scene->first + 4, NULL), 0);
    scene->step.finish = (struct ds_finish){.outcomes = scene->outcomes, .n = 6};
}

static void cancel_one(struct scene *scene)
{
    scene->first = submit(scene->s, 0, 1);
    scene->step.cancel = (struct ds_cancel){.id = scene->first};
}

static void look_cancelled(struct scene *scene, const struct ds_step *last)
{
    (void)scene;
    ck_assert_int_eq(last->cancel.ret_before, last->rc == 0 ? JOB_QUEUED : JOB_CANCELLED);
}

/* ---- logs ----------------------------------------------------------------------------------- */

static const struct stint_row stints[] = {{{1, 5, false}, NODE, 3, 1, 0, 100, 200},
                                          {{5, 9, false}, NODE, 4, 0, 0, 150, 250},
                                          {{9, 11, false}, OTHER, 1, 0, 1, 160, 260}};

static void stints_some(struct scene *scene)
{
    struct ds_step step = {.kind = DS_STINTS_ADD, .stints_add = {.rows = stints, .n = 1}};
    ck_assert_int_eq(do_step(scene->s, &step), 0);
    scene->step.stints_add = (struct ds_stints_add){.rows = stints, .n = 3};
}

static void stints_rows(struct scene *scene)
{
    stints_some(scene);
    scene->step.stints_read = (struct ds_stints_read){.lane = -1, .rows_max = 10};
}

static void stints_totals(struct scene *scene)
{
    stints_rows(scene);
    scene->step.stints_read.totals_only = true;
}

static const struct history_row versions[] = {
    {NODE, 1, 100, false, {(const uint8_t *)"abc", 3}},
    {NODE, 2, 200, true, {(const uint8_t *)"abcd", 4}},
    {NODE, 3, 300, false, {(const uint8_t *)"abcde", 5}},
    {OTHER, 1, 300, true, {(const uint8_t *)"ab", 2}},
};

static void history_some(struct scene *scene)
{
    struct ds_step step = {.kind = DS_HISTORY_ADD, .history_add = {.rows = versions, .n = 2}};
    ck_assert_int_eq(do_step(scene->s, &step), 0);
    scene->step.history_add =
        (struct ds_history_add){.rows = versions + 1, .n = 3, .thin_before_ms = 150};
}

static void history_rows(struct scene *scene)
{
    history_some(scene);
    scene->step.history_read = (struct ds_history_read){.after_seq = 0, .rows_max = 10};
}

static void history_stretch(struct scene *scene)
{
    history_some(scene);
    scene->step.history_read =
        (struct ds_history_read){.node = NODE, .from_ms = 250, .until_ms = 350, .rows_max = 10};
}

/* ---- other reads ---------------------------------------------------------------------------- */

static void read_lanes(struct scene *scene)
{
    scene->step.lanes_read.lane = -1;
}

static void read_nothing(struct scene *scene)
{
    (void)scene;
}

static void read_nodes(struct scene *scene)
{
    node_add(scene->s, NODE, "one");
}

static void load_rows(struct scene *scene)
{
    scene->first = submit(scene->s, 0, 4);
    scene->step.load =
        (struct ds_load){.range = {.a = scene->first, .b = scene->first + 4}, .rows_max = 10};
}

static void list_rows(struct scene *scene)
{
    scene->first = submit(scene->s, 0, 4);
    scene->step.jobs_read = (struct ds_jobs_read){.type = "noop", .rows_max = 10};
}

static void scan_rows(struct scene *scene)
{
    finish_alike(scene);
    ck_assert_uint_eq(finish(scene->s, scene->outcomes[0], NULL), 3);
    scene->step.scan = (struct ds_scan){.range = {.a = scene->first, .b = scene->first + 4}};
}

/* ---- copies --------------------------------------------------------------------------------- */

#define SOURCE "sqlite:/somewhere (made then)"

static void mark_new(struct scene *scene)
{
    struct ds_step step = {.kind = DS_META_READ};
    ck_assert_int_eq(do_step(scene->s, &step), 0);
    scene->step.copy_mark =
        (struct ds_copy_mark){.from = SOURCE, .created_ms = step.meta_read.ret_meta.created_ms};
}

static void marked(struct scene *scene)
{
    mark_new(scene);
    struct ds_step step = {.kind = DS_COPY_MARK, .copy_mark = scene->step.copy_mark};
    ck_assert_int_eq(do_step(scene->s, &step), 0);
}

static void mark_taken(struct scene *scene)
{
    marked(scene);
    scene->step.copy_mark.done = true;
    scene->step.copy_mark.created_ms = SCENE_MADE_MS;
}

static void lane_put_new(struct scene *scene)
{
    static struct range pool[] = {{0, 0, true}};
    static struct lane_entry entry = {NODE, 5, {0, 0, false}, 3};
    static const char *types[] = {"noop"};
    static struct lane lane;
    marked(scene);
    queue_make(scene->s, "mail", 4);
    pool[0] = (struct range){id_make(1, 3), id_make(1, 5), true};
    entry.last = (struct range){id_make(1, 5), id_make(1, 9), false};
    lane = (struct lane){.number = 1,
                         .name = {"mail", 2, 3},
                         .tail = id_make(1, 20),
                         .head = id_make(1, 10),
                         .holder = NODE,
                         .exclusive = true,
                         .types = types,
                         .n_types = 1,
                         .pool = pool,
                         .n_pool = 1,
                         .entries = &entry,
                         .n_entries = 1};
    scene->step.lane_put.lane = &lane;
}

static void lane_put_anew(struct scene *scene)
{
    static struct lane lane;
    lane_put_new(scene);
    lane = *scene->step.lane_put.lane;
    struct ds_step step = {.kind = DS_LANE_PUT, .lane_put.lane = &lane};
    ck_assert_int_eq(do_step(scene->s, &step), 0);
    lane.tail += 4;
    lane.n_pool = 0;
    scene->step.lane_put.lane = &lane;
}

static void chunks_noted(struct scene *scene)
{
    static struct submit_chunk chunks[2];
    marked(scene);
    scene->first = submit(scene->s, 0, 4);
    for (int i = 0; i < 2; i++)
        chunks[i] = (struct submit_chunk){.submit = "bulk",
                                          .index = 2 * i,
                                          .id = scene->first + 2 * i,
                                          .count = 2,
                                          .last = i == 1};
    scene->step.chunks_add = (struct ds_chunks_add){.chunks = chunks, .n = 2};
}

static void submits_some(struct scene *scene)
{
    chunk_there(scene);
    scene->step.submits_read = (struct ds_submits_read){.rows_max = 10};
}

/* ---- all of them ---------------------------------------------------------------------------- */

/* clang-format off */
const struct scenario scenarios[] = {
    {DS_QUEUE_SET, "queue_set", mail_queue, 0, false, false, NULL},
    {DS_QUEUE_SET, "queue_set create_only", mail_queue_new, ERR_DUPLICATE, false, false, NULL},
    {DS_QUEUE_SET, "queue_set alter_only", mail_queue_altered, 0, false, false, NULL},
    {DS_LANE_OPEN, "lane_open", lane_new, 0, true, false, look_lane},
    {DS_LANE_OPEN, "lane_open partition", lane_partition, 0, true, false, look_lane},
    {DS_RESERVE, "reserve", reserve_known, 0, true, false, look_reserved},
    {DS_RESERVE, "reserve new type", reserve_new_type, 0, true, false, look_reserved},
    {DS_INSERT, "insert", insert_rows, 0, false, false, look_rows},
    {DS_INSERT, "insert in parts", insert_parts, 0, false, false, look_parts},
    {DS_INSERT, "insert chunk", insert_chunk, 0, false, false, look_chunk},
    {DS_INSERT, "insert keyed chunk", insert_chunk_keyed, 0, false, false, look_chunk_keyed},
    {DS_CLAIM, "claim head", claim_head, ERR_CONFLICT, false, false, look_claim},
    {DS_CLAIM, "claim pool", claim_pool, ERR_CONFLICT, false, false, look_claim},
    {DS_CLAIM, "claim nothing", claim_nothing, 0, false, false, NULL},
    {DS_RETURN, "return", held, ERR_CONFLICT, false, false, NULL},
    {DS_ENTRY_DROP, "entry_drop", entry_idle, ERR_NOT_FOUND, false, false, NULL},
    {DS_LANE_BURY, "lane_bury", lane_burial, ERR_NOT_FOUND, false, false, NULL},
    {DS_NODE_ADD, "node_add", node_new, ERR_DUPLICATE, false, false, NULL},
    {DS_NODE_WRITE, "node_write", node_beats, ERR_CONFLICT, false, false, look_beat},
    {DS_NODE_ASK, "node_ask", node_asked, 0, false, false, NULL},
    {DS_NODE_KILL, "node_kill", node_dies, ERR_CONFLICT, false, false, look_killed},
    {DS_NODE_CLEAR, "node_clear", node_cleared, 0, false, false, NULL},
    {DS_NODE_DELETE, "node_delete", node_deleted, ERR_NOT_FOUND, false, false, NULL},
    {DS_FINISH, "finish alike", finish_alike, 0, false, false, NULL},
    {DS_FINISH, "finish each", finish_each, 0, false, false, NULL},
    {DS_CANCEL, "cancel", cancel_one, ERR_CONFLICT, false, false, look_cancelled},
    {DS_STINTS_ADD, "stints_add", stints_some, 0, false, false, NULL},
    {DS_HISTORY_ADD, "history_add", history_some, 0, false, false, NULL},
    {DS_META_READ, "meta_read", read_nothing, 0, false, false, NULL},
    {DS_QUEUES_READ, "queues_read", read_nothing, 0, false, false, NULL},
    {DS_LANES_READ, "lanes_read", read_lanes, 0, false, false, NULL},
    {DS_SUBMIT_FIND, "submit_find", find_chunk, 0, false, false, look_found},
    {DS_SUBMIT_FIND, "submit_find cut", find_cut_chunk, 0, false, true, look_found},
    {DS_NODES_READ, "nodes_read", read_nodes, 0, false, false, NULL},
    {DS_LOAD, "load", load_rows, 0, false, false, NULL},
    {DS_JOBS_READ, "jobs_read", list_rows, 0, false, false, NULL},
    {DS_SCAN, "scan", scan_rows, 0, false, false, NULL},
    {DS_STINTS_READ, "stints_read", stints_rows, 0, false, false, NULL},
    {DS_STINTS_READ, "stints_read totals", stints_totals, 0, false, false, NULL},
    {DS_HISTORY_READ, "history_read", history_rows, 0, false, false, NULL},
    {DS_HISTORY_READ, "history_read stretch", history_stretch, 0, false, false, NULL},
    {DS_COPY_MARK, "copy_mark", mark_new, 0, false, false, NULL},
    {DS_COPY_MARK, "copy_mark done", mark_taken, ERR_NOT_FOUND, false, false, NULL},
    {DS_LANE_PUT, "lane_put", lane_put_new, 0, false, false, NULL},
    {DS_LANE_PUT, "lane_put anew", lane_put_anew, 0, false, false, NULL},
    {DS_CHUNKS_ADD, "chunks_add", chunks_noted, 0, false, false, NULL},
    {DS_SUBMITS_READ, "submits_read", submits_some, 0, false, false, NULL},
};
/* clang-format on */
const size_t n_scenarios = sizeof(scenarios) / sizeof(scenarios[0]);

struct scene *scene_new(const struct scenario *scenario)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    struct error err;
    ck_assert_ptr_nonnull(scene);
    scene->s = store_new(store_kind_of_server());
    scenario->prepare(scene);
    scene->step.kind = scenario->kind;
    int rc = datastore_open(scene->s->uri, DS_READ_ONLY | DS_COPY, &scene->reader, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return scene;
}

static struct {
    pthread_t threads[3 * SCENES_MAX];
    size_t n;
} closing;

static void *close_main(void *ds)
{
    datastore_close(ds);
    return NULL;
}

static void close_meanwhile(struct datastore *ds)
{
    if (ds == NULL)
        return;
    ck_assert_uint_lt(closing.n, 3 * SCENES_MAX);
    ck_assert_int_eq(pthread_create(&closing.threads[closing.n++], NULL, close_main, ds), 0);
}

void scene_free(struct scene *scene, struct datastore *also)
{
    close_meanwhile(also);
    close_meanwhile(scene->reader);
    close_meanwhile(scene->s->ds);
    scene->s->ds = NULL;
    store_free(scene->s);
    free(scene);
}

void scenes_await(void)
{
    while (closing.n > 0)
        ck_assert_int_eq(pthread_join(closing.threads[--closing.n], NULL), 0);
}

int scene_try(struct scene *scene, struct datastore *ds, struct ds_step *ret_step)
{
    struct error err = {0};
    struct ds_step step = scene->step;
    int rc = datastore_step(ds, &step, &scene->s->mem, &err);
    ck_assert(!ds_code_is_trouble(rc) || (err.code == rc && err.text[0] != '\0'));
    ck_assert_ptr_null(strchr(err.text, '\n'));
    if (ret_step != NULL)
        *ret_step = step;
    return rc;
}
