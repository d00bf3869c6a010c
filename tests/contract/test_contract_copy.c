/* Goal: a store can be filled from another one record by record, as they are there, and nobody
 * else may work on it before that is complete (datastore.h: copies).
 * Method: the same tests on every kind of store; each record is written twice, read back and
 * compared field by field; without the mark every step of a copy is refused. */
#include <stdio.h>
#include <string.h>

#include "tests/support/store.h"

enum { NODE_A = 101, NODE_B = 202 };

#define SOURCE "sqlite:/somewhere (made then)"
#define MADE_MS 1600000000123

static struct meta meta_now(struct store *s)
{
    struct ds_step step = {.kind = DS_META_READ};
    ck_assert_int_eq(do_step(s, &step), 0);
    return step.meta_read.ret_meta;
}

static int mark_of(struct store *s, const char *from, bool done, int64_t created_ms)
{
    struct ds_step step = {.kind = DS_COPY_MARK,
                           .copy_mark = {.from = from, .done = done, .created_ms = created_ms}};
    return do_step(s, &step);
}

static int mark(struct store *s, const char *from, bool done)
{
    return mark_of(s, from, done, done ? MADE_MS : meta_now(s).created_ms);
}

/* ---- the mark ------------------------------------------------------------------------------- */

CONTRACT_TEST(a_mark_stands_until_its_own_source_takes_it_away, s)
{
    struct meta before = meta_now(s);
    ck_assert_str_eq(before.copying, "");
    ck_assert_int_eq(mark(s, SOURCE, true), ERR_NOT_FOUND);
    ck_assert_int_eq(mark(s, SOURCE, false), 0);
    ck_assert_int_eq(mark(s, SOURCE, false), 0);
    ck_assert_str_eq(meta_now(s).copying, SOURCE);
    ck_assert_int_eq(meta_now(s).created_ms, before.created_ms);
    ck_assert_int_eq(mark(s, "another", false), ERR_CONFLICT);
    ck_assert_int_eq(mark(s, "another", true), ERR_CONFLICT);
    ck_assert_int_eq(mark(s, SOURCE, true), 0);
    struct meta after = meta_now(s);
    ck_assert_str_eq(after.copying, "");
    ck_assert_int_eq(after.created_ms, MADE_MS);
    ck_assert_int_eq(after.schema_version, before.schema_version);
    ck_assert_int_eq(mark(s, SOURCE, true), ERR_NOT_FOUND);
    /* Sent before that, and late: the store is in use by now. */
    ck_assert_int_eq(mark_of(s, SOURCE, false, before.created_ms), ERR_CONFLICT);
    ck_assert_str_eq(meta_now(s).copying, "");
    ck_assert_int_eq(mark(s, "", false), ERR_INVALID);
    ck_assert_int_eq(mark(s, "another", false), 0);
}

CONTRACT_TEST(an_unfinished_copy_is_opened_for_copying_only, s)
{
    struct datastore *ds = NULL;
    struct error err = {0};
    ck_assert_int_eq(mark(s, SOURCE, false), 0);
    if (s->uri[0] == '\0')
        return; /* nothing to be opened by */
    ck_assert_int_eq(datastore_open(s->uri, 0, &ds, &err), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(err.text, SOURCE));
    ck_assert_int_eq(datastore_open(s->uri, DS_READ_ONLY, &ds, &err), ERR_REFUSED);
    ck_assert_int_eq(datastore_open(s->uri, DS_CREATE, &ds, &err), ERR_REFUSED);
    ck_assert_int_eq(datastore_open(s->uri, DS_COPY | DS_CREATE, &ds, &err), 0);
    datastore_close(ds);
    ck_assert_int_eq(mark(s, SOURCE, true), 0);
    ck_assert_int_eq(datastore_open(s->uri, 0, &ds, &err), 0);
    datastore_close(ds);
}

CONTRACT_TEST(without_the_mark_nothing_is_put, s)
{
    struct lane lane = lane_now(s, LANE_DEFAULT);
    struct node node = node_make(NODE_A, "a");
    struct stint_row row = {.range = {1, 2, false}, .node = NODE_A, .done = 1};
    int64_t id = submit(s, LANE_DEFAULT, 1);
    struct submit_chunk chunk = {.submit = "x", .id = id, .count = 1};
    struct ds_step steps[] = {
        {.kind = DS_LANE_PUT, .lane_put.lane = &lane},
        {.kind = DS_NODE_ADD, .node_add = {.node = &node, .as_is = true}},
        {.kind = DS_QUEUE_SET, .queue_set = {.queue = {.name = "q", .weight = 1}, .as_is = true}},
        {.kind = DS_CHUNKS_ADD, .chunks_add = {.chunks = &chunk, .n = 1}},
        {.kind = DS_STINTS_ADD, .stints_add = {.rows = &row, .n = 1, .part = STINTS_ROWS}},
        {.kind = DS_STINTS_ADD, .stints_add = {.rows = &row, .n = 1, .part = STINTS_TOTALS}}};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        int rc = do_step(s, &steps[i]);
        ck_assert_msg(rc == ERR_CONFLICT, "%s: step %zu gives %d", s->name, i, rc);
    }
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).tail, id + 1);
}

/* ---- lanes, queues, nodes ------------------------------------------------------------------- */

static int lane_put(struct store *s, const struct lane *lane)
{
    struct ds_step step = {.kind = DS_LANE_PUT, .lane_put.lane = lane};
    return do_step(s, &step);
}

CONTRACT_TEST(a_lane_is_put_as_it_is, s)
{
    const char *types[] = {"exec", "resize"};
    struct range pool[] = {{id_make(1, 3), id_make(1, 5), true},
                           {id_make(1, 5), id_make(1, 9), false}};
    struct lane_entry entries[] = {
        {NODE_A, (UINT64_C(5) << GRANT_COUNT_BITS) + 7, {id_make(1, 20), id_make(1, 40), false}, 3},
        {NODE_B, 1, {id_make(1, 9), id_make(1, 9), false}, 0}};
    struct lane lane = {.number = 1,
                        .name = {"mail", 2, 3},
                        .tail = id_make(1, 100),
                        .head = id_make(1, 50),
                        .holder = NODE_A,
                        .exclusive = true,
                        .types = types,
                        .n_types = 2,
                        .pool = pool,
                        .n_pool = 2,
                        .entries = entries,
                        .n_entries = 2};
    ck_assert_int_eq(mark(s, SOURCE, false), 0);
    queue_make(s, "mail", 4);
    for (int i = 0; i < 2; i++) {
        lane.tail += i; /* what is there is replaced */
        ck_assert_int_eq(lane_put(s, &lane), 0);
        struct lane now = lane_now(s, 1);
        ck_assert_str_eq(now.name.queue, "mail");
        ck_assert_int_eq(now.name.priority, 2);
        ck_assert_int_eq(now.name.partition, 3);
        ck_assert_int_eq(now.tail, lane.tail);
        ck_assert_int_eq(now.head, lane.head);
        ck_assert_int_eq(now.holder, NODE_A);
        ck_assert(now.exclusive);
        ck_assert_uint_eq(now.n_types, 2);
        ck_assert_str_eq(now.types[1], "resize");
        ck_assert_uint_eq(now.n_pool, 2);
        assert_range(now.pool[0], pool[0].a, pool[0].b, true);
        assert_range(now.pool[1], pool[1].a, pool[1].b, false);
        ck_assert_uint_eq(now.n_entries, 2);
        const struct lane_entry *entry = entry_now(s, 1, NODE_A);
        ck_assert_uint_eq(entry->g, entries[0].g);
        ck_assert_uint_eq(entry->r, 3);
        assert_range(entry->last, entries[0].last.a, entries[0].last.b, false);
    }
    ck_assert_int_eq(lane_make(s, "mail", 2, 3), 1);
    ck_assert_int_eq(lane_make(s, "mail", 2, 4), 2);
    struct lane same_name = lane_now(s, 1);
    same_name.number = 3;
    ck_assert_int_eq(lane_put(s, &same_name), ERR_DUPLICATE);
}

CONTRACT_TEST(what_was_put_goes_on_as_if_it_had_been_there, s)
{
    struct range pool[] = {{3, 5, true}};
    struct lane_entry dead = {NODE_A, 2, {10, 20, false}, 1};
    struct lane lane = {.name = {QUEUE_DEFAULT, PRIORITY_DEFAULT, 0},
                        .tail = 41,
                        .head = 31,
                        .pool = pool,
                        .n_pool = 1,
                        .entries = &dead,
                        .n_entries = 1};
    ck_assert_int_eq(mark(s, SOURCE, false), 0);
    ck_assert_int_eq(lane_put(s, &lane), 0);
    ck_assert_int_eq(mark(s, SOURCE, true), 0);
    assert_range(claim(s, LANE_DEFAULT, NODE_B, 0, 100), 3, 5, true);
    assert_range(claim(s, LANE_DEFAULT, NODE_B, 1, 100), 31, 41, false);
    ck_assert_int_eq(reserve(s, LANE_DEFAULT, 1), 41);
    ck_assert_int_eq(bury(s, LANE_DEFAULT, dead, dead.last), 0);
    assert_range(claim(s, LANE_DEFAULT, NODE_B, 2, 100), 10, 20, true);
}

CONTRACT_TEST(a_dead_nodes_record_is_put_as_it_is, s)
{
    struct node_range ranges[] = {{{10, 20, true}, 0}, {{30, 40, false}, 4}};
    struct node_grant granted[] = {{0, 7}};
    struct node_running running[] = {{12, 2, 1600000000500, "exec"}};
    struct node_request requests[] = {{.seq = 3, .kind = REQUEST_CANCEL, .id = 12}};
    struct node node = node_make(NODE_A, "gone");
    node.state = NODE_DEAD;
    node.beat = 99;
    node.created_ms = MADE_MS;
    node.beat_ms = MADE_MS + 5;
    node.since_ms = MADE_MS + 6;
    node.ranges = ranges;
    node.n_ranges = 2;
    node.granted = granted;
    node.n_granted = 1;
    node.running = running;
    node.n_running = 1;
    node.requests = requests;
    node.n_requests = 1;
    node.request_seq = 3;
    node.rate = 0.25;
    snprintf(node.cause, sizeof(node.cause), "buried by test");
    struct ds_step step = {.kind = DS_NODE_ADD, .node_add = {.node = &node, .as_is = true}};
    ck_assert_int_eq(mark(s, SOURCE, false), 0);
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_eq(do_step(s, &step), ERR_DUPLICATE);
    struct node now = node_now(s, NODE_A);
    ck_assert_int_eq(now.state, NODE_DEAD);
    ck_assert_uint_eq(now.beat, 99);
    ck_assert_int_eq(now.created_ms, MADE_MS);
    ck_assert_int_eq(now.beat_ms, MADE_MS + 5);
    ck_assert_int_eq(now.since_ms, MADE_MS + 6);
    ck_assert_uint_eq(now.n_ranges, 2);
    assert_range(now.ranges[0].range, 10, 20, true);
    ck_assert_uint_eq(now.ranges[1].returning, 4);
    ck_assert_uint_eq(now.granted[0].g, 7);
    ck_assert_int_eq(now.running[0].run, 2);
    ck_assert_uint_eq(now.n_requests, 1);
    ck_assert_uint_eq(now.request_seq, 3);
    ck_assert(now.rate == 0.25);
    ck_assert_str_eq(now.cause, node.cause);
    node_add(s, NODE_B, "gone"); /* the name of a dead one is free */
}

CONTRACT_TEST(a_queue_keeps_who_changed_it_and_when, s)
{
    struct ds_step step = {.kind = DS_QUEUE_SET,
                           .queue_set = {.queue = {.name = "mail",
                                                   .weight = 3,
                                                   .paused = true,
                                                   .changed_ms = MADE_MS,
                                                   .changed_by = "ann@far"},
                                         .as_is = true}};
    struct ds_step read = {.kind = DS_QUEUES_READ};
    ck_assert_int_eq(mark(s, SOURCE, false), 0);
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_eq(do_step(s, &read), 0);
    ck_assert_uint_eq(read.queues_read.ret_n, 2);
    const struct queue *now = &read.queues_read.ret_queues[1];
    ck_assert_str_eq(now->name, "mail");
    ck_assert_int_eq(now->changed_ms, MADE_MS);
    ck_assert_str_eq(now->changed_by, "ann@far");
    ck_assert(now->paused);
    ck_assert_int_eq(now->weight, 3);
}

/* ---- rows ----------------------------------------------------------------------------------- */

static void job_equal(const struct job *a, const struct job *b)
{
    ck_assert_int_eq(a->id, b->id);
    ck_assert_int_eq(a->state, b->state);
    ck_assert_int_eq(a->run, b->run);
    ck_assert_int_eq(a->interruptions, b->interruptions);
    ck_assert_str_eq(a->type, b->type);
    assert_bytes(a->payload, b->payload.data, b->payload.len);
    assert_bytes(a->argv, b->argv.data, b->argv.len);
    ck_assert_int_eq(a->token, b->token);
    ck_assert_int_eq(a->created_ms, b->created_ms);
    ck_assert_int_eq(a->started_ms, b->started_ms);
    ck_assert_int_eq(a->finished_ms, b->finished_ms);
    ck_assert_int_eq(a->node, b->node);
    ck_assert_int_eq(a->slot, b->slot);
    ck_assert_int_eq(a->due_ms, b->due_ms);
    ck_assert_str_eq(a->batch, b->batch);
    ck_assert_str_eq(a->spec->key, b->spec->key);
    ck_assert_int_eq(a->spec->max_attempts, b->spec->max_attempts);
    ck_assert_uint_eq(a->spec->n_after, b->spec->n_after);
    ck_assert_int_eq(a->ending->exit_code, b->ending->exit_code);
    assert_bytes(a->ending->output, b->ending->output.data, b->ending->output.len);
    assert_bytes(a->ending->result, b->ending->result.data, b->ending->result.len);
    ck_assert_uint_eq(a->ending->n_trace, b->ending->n_trace);
    ck_assert_int_eq(a->ending->trace[0].started_ms, b->ending->trace[0].started_ms);
    assert_bytes(a->ending->trace[0].output, b->ending->trace[0].output.data,
                 b->ending->trace[0].output.len);
    ck_assert_str_eq(a->ending->trace[0].error, b->ending->trace[0].error);
}

CONTRACT_TEST(a_row_of_any_state_is_there_with_all_its_fields, s)
{
    static const uint8_t bytes[] = "\0\377said\n";
    const int64_t after[] = {1};
    const struct job_attempt trace[] = {{.run = 1,
                                         .node = NODE_B,
                                         .started_ms = 11,
                                         .finished_ms = 12,
                                         .error = "gone",
                                         .output = {bytes, 4},
                                         .interrupted = true}};
    const struct job_ending ending = {
        .exit_code = 3, .output = {bytes, 8}, .result = {bytes, 5}, .trace = trace, .n_trace = 1};
    int64_t first = reserve(s, LANE_DEFAULT, JOB_STATES);
    ck_assert_int_eq(mark(s, SOURCE, false), 0);
    for (int64_t state = 0; state < JOB_STATES; state++) {
        char key[] = "key-0";
        key[4] = (char)('0' + state);
        struct job_spec spec = {.max_attempts = 4, .key = key, .after = after, .n_after = 1};
        struct job job = {.id = first + state,
                          .state = (enum job_state)state,
                          .run = 2,
                          .interruptions = 1,
                          .type = "exec",
                          .payload = {bytes, 3},
                          .argv = {bytes, 6},
                          .token = -7 - state,
                          .created_ms = 10,
                          .started_ms = 20,
                          .finished_ms = 30,
                          .node = NODE_A,
                          .slot = 40 + state,
                          .due_ms = 50,
                          .batch = "night",
                          .spec = &spec,
                          .ending = &ending};
        ck_assert_int_eq(insert_row(s, &job), 0);
        ck_assert_int_eq(insert_row(s, &job), 0);
        struct job now = job_now(s, job.id);
        job_equal(&now, &job);
        /* The key is held by the unfinished alone. */
        struct job rival = {.id = reserve(s, LANE_DEFAULT, 1),
                            .run = 1,
                            .type = "noop",
                            .token = 99,
                            .spec = &spec};
        bool holds = state == JOB_QUEUED || state == JOB_SCHEDULED || state == JOB_BLOCKED;
        ck_assert_int_eq(insert_row(s, &rival), holds ? ERR_DUPLICATE : 0);
    }
}

CONTRACT_TEST(a_page_ends_by_what_came_of_its_jobs_too, s)
{
    enum { ROWS = 24, OUTPUT = 64 << 10 };
    uint8_t *output = arena_alloc(&s->mem, OUTPUT);
    const struct job_ending ending = {.output = {output, OUTPUT}};
    int64_t first = reserve(s, LANE_DEFAULT, ROWS);
    for (int64_t i = 0; i < ROWS; i++)
        ck_assert_int_eq(insert_row(s, &(struct job){.id = first + i,
                                                     .state = JOB_DONE,
                                                     .run = 1,
                                                     .type = "noop",
                                                     .token = 1,
                                                     .ending = &ending}),
                         0);
    struct ds_step step = {.kind = DS_LOAD,
                           .load = {.range = {first, first + ROWS, false}, .rows_max = ROWS}};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.load.ret_n, LIMIT_PAGE_BYTES / OUTPUT);
    ck_assert_int_eq(step.load.ret_next, first + LIMIT_PAGE_BYTES / OUTPUT);
}

/* ---- chunks --------------------------------------------------------------------------------- */

static int chunks_add(struct store *s, const struct submit_chunk *chunks, size_t n)
{
    struct ds_step step = {.kind = DS_CHUNKS_ADD, .chunks_add = {.chunks = chunks, .n = n}};
    return do_step(s, &step);
}

static struct ds_submits_read submits(struct store *s, const char *after, size_t rows_max)
{
    struct ds_step step = {.kind = DS_SUBMITS_READ,
                           .submits_read = {.after = after, .rows_max = rows_max}};
    ck_assert_int_eq(do_step(s, &step), 0);
    return step.submits_read;
}

CONTRACT_TEST(chunks_are_noted_at_rows_that_are_there, s)
{
    int64_t first = submit(s, LANE_DEFAULT, 30);
    struct submit_chunk chunks[] = {
        {.submit = "b", .index = 10, .id = first + 10, .count = 5, .last = true},
        {.submit = "b", .index = 0, .id = first, .count = 10, .cut = true},
        {.submit = "a", .index = 0, .id = first + 20, .count = 10}};
    ck_assert_uint_eq(submits(s, NULL, 9).ret_n, 0);
    ck_assert_int_eq(mark(s, SOURCE, false), 0);
    ck_assert_int_eq(chunks_add(s, chunks, 3), 0);
    ck_assert_int_eq(chunks_add(s, chunks, 3), 0);
    struct ds_step find = {.kind = DS_SUBMIT_FIND, .submit_find.submit = "b"};
    ck_assert_int_eq(do_step(s, &find), 0);
    ck_assert_uint_eq(find.submit_find.ret_n, 2);
    const struct submit_chunk *found = find.submit_find.ret_chunks;
    ck_assert_int_eq(found[0].id, first);
    ck_assert_int_eq(found[0].count, 10);
    ck_assert(found[0].cut && !found[0].last);
    ck_assert_int_eq(found[1].index, 10);
    ck_assert(!found[1].cut && found[1].last);
    struct submit_chunk nowhere = {.submit = "c", .id = first + 30, .count = 1};
    ck_assert_int_eq(chunks_add(s, &nowhere, 1), ERR_NOT_FOUND);

    struct ds_submits_read page = submits(s, NULL, 1);
    ck_assert_uint_eq(page.ret_n, 1);
    ck_assert_str_eq(page.ret_submits[0], "a");
    page = submits(s, "a", 9);
    ck_assert_uint_eq(page.ret_n, 1);
    ck_assert_str_eq(page.ret_submits[0], "b");
    ck_assert_uint_eq(submits(s, "b", 9).ret_n, 0);
}

/* ---- finished ranges, history --------------------------------------------------------------- */

static void stints_put(struct store *s, const struct stint_row *rows, size_t n,
                       enum stints_part part)
{
    struct ds_step step = {.kind = DS_STINTS_ADD,
                           .stints_add = {.rows = rows, .n = n, .part = part}};
    ck_assert_int_eq(do_step(s, &step), 0);
}

CONTRACT_TEST(finished_ranges_and_totals_are_put_apart, s)
{
    enum { ROWS = 300 }; /* more than any store remembers having added */
    static struct stint_row rows[ROWS];
    struct stint_row total = {.range = {1, 10 * ROWS + 1, false},
                              .done = 9 * ROWS,
                              .failed = ROWS,
                              .first_start_ms = 100,
                              .last_finish_ms = 200 + ROWS - 1};
    for (int64_t i = 0; i < ROWS; i++)
        rows[i] = (struct stint_row){.range = {10 * i + 1, 10 * i + 11, false},
                                     .node = NODE_A,
                                     .done = 9,
                                     .failed = 1,
                                     .first_start_ms = 100 + i,
                                     .last_finish_ms = 200 + i};
    reserve(s, LANE_DEFAULT, 10 * ROWS + 10);
    ck_assert_int_eq(mark(s, SOURCE, false), 0);
    for (int i = 0; i < 2; i++) {
        stints_put(s, rows, ROWS, STINTS_ROWS);
        stints_put(s, &total, 1, STINTS_TOTALS);
    }
    ck_assert_int_eq(mark(s, SOURCE, true), 0);
    for (int i = 0; i < 2; i++) {
        struct ds_step read = {.kind = DS_STINTS_READ,
                               .stints_read = {.lane = -1, .totals_only = true, .rows_max = 9}};
        ck_assert_int_eq(do_step(s, &read), 0);
        ck_assert_uint_eq(read.stints_read.ret_n, 1);
        const struct stint_row *now = &read.stints_read.ret_rows[0];
        assert_range(now->range, 1, total.range.b + 10 * i, false);
        ck_assert_int_eq(now->done, total.done + 10 * i);
        ck_assert_int_eq(now->failed, total.failed);
        ck_assert_int_eq(now->first_start_ms, 100);
        /* What is added afterwards counts on top. */
        stints_put(s,
                   &(struct stint_row){.range = {total.range.b, total.range.b + 10, false},
                                       .node = NODE_B,
                                       .done = 10},
                   1, STINTS_BOTH);
    }
    struct ds_step all = {.kind = DS_STINTS_READ,
                          .stints_read = {.lane = -1, .rows_max = 2 * ROWS}};
    ck_assert_int_eq(do_step(s, &all), 0);
    ck_assert_uint_eq(all.stints_read.ret_n, ROWS + 1);
}

CONTRACT_TEST(history_is_found_node_by_node, s)
{
    struct history_row rows[] = {{.node = NODE_A, .seq = 5, .at_ms = 1},
                                 {.node = NODE_B, .seq = 1, .at_ms = 2},
                                 {.node = NODE_A, .seq = 6, .at_ms = 3}};
    struct ds_step add = {.kind = DS_HISTORY_ADD, .history_add = {.rows = rows, .n = 3}};
    ck_assert_int_eq(do_step(s, &add), 0);
    static const struct {
        int64_t after, node;
    } expected[] = {{0, NODE_A}, {NODE_A, NODE_B}, {NODE_B, 0}};
    for (size_t i = 0; i < 3; i++) {
        struct ds_step read = {.kind = DS_HISTORY_READ,
                               .history_read = {.after_node = expected[i].after, .rows_max = 1}};
        ck_assert_int_eq(do_step(s, &read), 0);
        ck_assert_uint_eq(read.history_read.ret_n, expected[i].node != 0 ? 1 : 0);
        if (expected[i].node != 0)
            ck_assert_int_eq(read.history_read.ret_rows[0].node, expected[i].node);
    }
}

int main(void)
{
    const TTest *const tests[] = {
        a_mark_stands_until_its_own_source_takes_it_away,
        an_unfinished_copy_is_opened_for_copying_only,
        without_the_mark_nothing_is_put,
        a_lane_is_put_as_it_is,
        what_was_put_goes_on_as_if_it_had_been_there,
        a_dead_nodes_record_is_put_as_it_is,
        a_queue_keeps_who_changed_it_and_when,
        a_row_of_any_state_is_there_with_all_its_fields,
        a_page_ends_by_what_came_of_its_jobs_too,
        chunks_are_noted_at_rows_that_are_there,
        finished_ranges_and_totals_are_put_apart,
        history_is_found_node_by_node,
    };
    return contract_main("copy", tests, sizeof(tests) / sizeof(tests[0]));
}
