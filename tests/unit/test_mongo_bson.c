/* Goal: what the MongoDB backend keeps of a record comes back the same, as a shell or a server
 * writes it too.
 * Method: round trips of full, empty and largest records, of texts in an encoding of old, and of
 * numbers in each width. */
#include "tests/support/docs.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/error.h"

static struct arena mem;

static void setup(void)
{
    mem = (struct arena){0};
}

static void teardown(void)
{
    arena_release(&mem);
}

static void assert_bytes(struct bytes got, struct bytes want)
{
    ck_assert_uint_eq(got.len, want.len);
    ck_assert(want.len == 0 || memcmp(got.data, want.data, want.len) == 0);
}

static void assert_ranges(struct range got, struct range want)
{
    ck_assert(got.a == want.a && got.b == want.b && got.suspect == want.suspect);
}

/* ---- round trips ---------------------------------------------------------------------------- */

START_TEST(meta_and_queues_come_back)
{
    bson_t docs[RECORDS];
    struct meta meta;
    struct queue queue;
    docs_make(docs, &mem);
    ck_assert_int_eq(meta_from_doc(&docs[META], &meta), 0);
    ck_assert(meta.schema_version == 3 && meta.reader_version_min == 1);
    ck_assert(meta.writer_version_min == 2 && meta.features == INT64_C(1) << 40);
    ck_assert_int_eq(meta.created_ms, 1700000000001);
    ck_assert_int_eq(queue_from_doc(&docs[QUEUE], &queue), 0);
    ck_assert_str_eq(queue.name, full_queue().name);
    ck_assert_str_eq(queue.changed_by, "u@h");
    ck_assert(queue.paused && queue.weight == 3 && queue.partitions == 4);
    ck_assert_int_eq(queue.changed_ms, 1700000000002);
    docs_destroy(docs);
}
END_TEST

START_TEST(a_lane_comes_back)
{
    bson_t doc = BSON_INITIALIZER;
    struct lane back;
    int64_t version = -1;
    lane_to_doc(&full_lane, &doc);
    ck_assert_int_eq(lane_from_doc(&doc, &mem, &back, &version), 0);
    ck_assert_int_eq(version, 0);
    ck_assert_str_eq(back.name.queue, "mail");
    ck_assert(back.number == LIMIT_LANES - 1 && back.name.priority == 9);
    ck_assert(back.name.partition == 4096 && back.exclusive && back.holder == 77);
    ck_assert(back.tail == (int64_t)LIMIT_LANES << 48 && back.head == INT64_C(1) << 50);
    ck_assert(back.n_types == 2 && back.n_pool == 2 && back.n_entries == 2);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_str_eq(back.types[i], full_lane.types[i]);
        assert_ranges(back.pool[i], full_lane.pool[i]);
        assert_ranges(back.entries[i].last, full_lane.entries[i].last);
        ck_assert_int_eq(back.entries[i].node, full_lane.entries[i].node);
        ck_assert(back.entries[i].g == full_lane.entries[i].g &&
                  back.entries[i].r == full_lane.entries[i].r);
    }
    bson_destroy(&doc);
}
END_TEST

/* A lane as large as it gets: a full pool, an entry for each of as many nodes as there may be. */
START_TEST(the_largest_lane_comes_back)
{
    struct lane lane = {.n_pool = LIMIT_POOL_RANGES, .n_entries = LIMIT_NODES}, back;
    bson_t doc = BSON_INITIALIZER;
    lane.pool = arena_alloc(&mem, lane.n_pool * sizeof(*lane.pool));
    lane.entries = arena_alloc(&mem, lane.n_entries * sizeof(*lane.entries));
    for (size_t i = 0; i < lane.n_pool; i++)
        lane.pool[i] = (struct range){(int64_t)(2 * i) + 1, (int64_t)(2 * i) + 2, i % 2 == 0};
    for (size_t i = 0; i < lane.n_entries; i++)
        lane.entries[i] = (struct lane_entry){INT64_MAX - (int64_t)i, i, {1, 2, false}, i};
    lane_to_doc(&lane, &doc);
    ck_assert_int_eq(lane_from_doc(&doc, &mem, &back, NULL), 0);
    ck_assert(back.n_pool == lane.n_pool && back.n_entries == lane.n_entries);
    for (size_t i = 0; i < lane.n_pool; i++)
        assert_ranges(back.pool[i], lane.pool[i]);
    for (size_t i = 0; i < lane.n_entries; i++)
        ck_assert(back.entries[i].node == lane.entries[i].node && back.entries[i].r == i);
    bson_destroy(&doc);
}
END_TEST

START_TEST(a_node_comes_back)
{
    bson_t doc = BSON_INITIALIZER;
    struct node back;
    node_to_doc(&full_node, &doc);
    ck_assert(bson_has_field(&doc, "live"));
    ck_assert_int_eq(node_from_doc(&doc, &mem, &back), 0);
    ck_assert_str_eq(back.name, "one");
    ck_assert_str_eq(back.host, "h");
    ck_assert_str_eq(back.boot_id, "8c1b");
    ck_assert_str_eq(back.version, "1.2.3");
    ck_assert_str_eq(back.doorbell, "127.0.0.1:9");
    ck_assert_str_eq(back.cause, "stopped");
    ck_assert(back.id == INT64_MAX && back.pid_ns == 1 && back.pid == 2 && back.pid_start == 3);
    ck_assert(back.slots == LIMIT_SLOTS && back.lease_ms == 5000 && back.created_ms == 6);
    ck_assert(back.state == NODE_PAUSED && back.since_ms == 7 && back.beat == 8);
    ck_assert(back.done == 10 && back.failed == 11 && back.interrupted == 12);
    ck_assert_double_eq(back.rate, 1.5);
    ck_assert_double_eq(back.load, 0.25);
    ck_assert(back.desired == DESIRED_STOPPED && back.request_seq == 10);
    ck_assert(back.n_queues == 2 && back.n_types == 1 && back.n_ranges == 2);
    ck_assert(back.n_granted == 1 && back.n_running == 2 && back.n_requests == 2);
    ck_assert_str_eq(back.queues[1], "mail");
    ck_assert_str_eq(back.types[0], "exec");
    ck_assert(back.granted[0].lane == LIMIT_LANES - 1 &&
              back.granted[0].g == full_node.granted[0].g);
    for (size_t i = 0; i < 2; i++) {
        const struct node_request *request = &back.requests[i];
        assert_ranges(back.ranges[i].range, full_node.ranges[i].range);
        ck_assert_uint_eq(back.ranges[i].returning, full_node.ranges[i].returning);
        ck_assert(back.running[i].id == full_node.running[i].id &&
                  back.running[i].run == full_node.running[i].run);
        ck_assert_int_eq(back.running[i].started_ms, full_node.running[i].started_ms);
        ck_assert_str_eq(back.running[i].type, full_node.running[i].type);
        ck_assert(request->seq == full_node.requests[i].seq &&
                  request->kind == full_node.requests[i].kind);
        ck_assert(request->id == full_node.requests[i].id &&
                  request->from == full_node.requests[i].from);
    }
    bson_destroy(&doc);
}
END_TEST

START_TEST(only_a_live_node_has_its_name)
{
    bson_t doc = BSON_INITIALIZER;
    struct node node = full_node, back;
    node.state = NODE_DEAD;
    node_to_doc(&node, &doc);
    ck_assert(!bson_has_field(&doc, "live"));
    ck_assert_int_eq(node_from_doc(&doc, &mem, &back), 0);
    ck_assert_int_eq(back.state, NODE_DEAD);
    bson_destroy(&doc);
}
END_TEST

static void assert_spec(const struct job_spec *got)
{
    ck_assert_ptr_nonnull(got);
    ck_assert(got->max_attempts == LIMIT_ATTEMPTS && got->max_interruptions == 2);
    ck_assert(got->timeout_ms == 1000 && got->backoff_ms == 2000 && got->copy_of == 17);
    ck_assert_int_eq(got->run_at_ms, 1700000000003);
    ck_assert_str_eq(got->cwd, "/tmp");
    ck_assert_str_eq(got->key, "only one");
    ck_assert_str_eq(got->group, "g");
    assert_bytes(got->env, full_spec.env);
    ck_assert(got->n_limits == 2 && got->limits[1].value == UINT64_MAX);
    ck_assert(got->n_after == 2 && got->after[1] == 4);
}

static void assert_ending(const struct job_ending *got)
{
    ck_assert_ptr_nonnull(got);
    ck_assert(got->exit_code == 3 && got->timed_out && got->user_ms == 4 && got->sys_ms == 5);
    ck_assert(got->maxrss_kb == 6 && got->output_total == 1 << 20 && got->n_trace == 1);
    assert_bytes(got->result, full_ending.result);
    assert_bytes(got->output, full_ending.output);
    ck_assert_str_eq(got->error, "exit status 3");
    ck_assert(got->trace[0].interrupted && got->trace[0].signal == 9);
    assert_bytes(got->trace[0].output, full_ending.trace[0].output);
}

START_TEST(a_job_comes_back)
{
    bson_t doc = BSON_INITIALIZER;
    struct job_texts texts = {0};
    struct job back;
    job_to_doc(&full_job, 6, 7, NULL, &mem, &doc);
    ck_assert_int_eq(job_from_doc(&doc, &mem, &texts, &back), 0);
    ck_assert(back.id == 6 && back.created_ms == 7); /* as given beside the record */
    ck_assert(back.state == JOB_FAILED && back.run == 2 && back.interruptions == 1);
    ck_assert(back.token == INT64_MIN && back.node == 77 && back.slot == 6);
    ck_assert(back.started_ms == 1700000000005 && back.finished_ms == 1700000000006);
    ck_assert_int_eq(back.due_ms, 1700000000007);
    ck_assert_str_eq(back.type, "exec");
    ck_assert_str_eq(back.batch, "b");
    assert_bytes(back.payload, full_job.payload);
    assert_bytes(back.argv, full_job.argv);
    assert_spec(back.spec);
    assert_ending(back.ending);
    struct submit_chunk chunk;
    ck_assert_int_eq(chunk_from_doc(&doc, &mem, &chunk), ERR_NOT_FOUND);
    bson_destroy(&doc);
}
END_TEST

START_TEST(a_chunk_comes_back)
{
    bson_t docs[RECORDS];
    struct submit_chunk back;
    docs_make(docs, &mem);
    ck_assert_int_eq(chunk_from_doc(&docs[JOB], &mem, &back), 0);
    ck_assert_str_eq(back.submit, "bulk");
    ck_assert(back.index == 10000 && back.count == LIMIT_BATCH_JOBS && back.last && !back.cut);
    ck_assert_int_eq(back.id, full_job.id);
    docs_destroy(docs);
}
END_TEST

START_TEST(the_largest_job_comes_back)
{
    uint8_t *large = arena_alloc(&mem, LIMIT_PAYLOAD_BYTES);
    struct job job = {.id = INT64_MAX,
                      .type = "x",
                      .payload = {large, LIMIT_PAYLOAD_BYTES},
                      .argv = {large, LIMIT_ARGV_BYTES}},
               back;
    struct job_texts texts = {0};
    bson_t doc = BSON_INITIALIZER;
    large[LIMIT_PAYLOAD_BYTES - 1] = 1;
    job_to_doc(&job, job.id, 1, NULL, &mem, &doc);
    ck_assert_int_eq(job_from_doc(&doc, &mem, &texts, &back), 0);
    ck_assert_int_eq(back.id, INT64_MAX);
    assert_bytes(back.payload, job.payload);
    assert_bytes(back.argv, job.argv);
    bson_destroy(&doc);
}
END_TEST

/* The unique index takes in what is unfinished: a key is free again when its job has ended. */
START_TEST(an_unfinished_job_has_its_key)
{
    for (int state = 0; state < JOB_STATES; state++) {
        struct job job = full_job, back;
        struct job_texts texts = {0};
        bson_t doc = BSON_INITIALIZER;
        job.state = (enum job_state)state;
        bool unfinished = state == JOB_QUEUED || state == JOB_SCHEDULED || state == JOB_BLOCKED;
        job_to_doc(&job, 1, 1, NULL, &mem, &doc);
        ck_assert(bson_has_field(&doc, "key") == unfinished);
        ck_assert_int_eq(job_from_doc(&doc, &mem, &texts, &back), 0);
        ck_assert_int_eq(back.state, state);
        assert_spec(back.spec);
        bson_destroy(&doc);
    }
}
END_TEST

START_TEST(logs_come_back)
{
    bson_t docs[RECORDS];
    struct stint_row stint;
    struct history_row history;
    docs_make(docs, &mem);
    ck_assert_int_eq(stint_from_doc(&docs[STINT], &stint), 0);
    assert_ranges(stint.range, full_stint.range);
    ck_assert(stint.node == 77 && stint.done == 2 && stint.failed == 1 && stint.cancelled == 1);
    ck_assert_int_eq(stint.first_start_ms, 1700000000008);
    ck_assert_int_eq(stint.last_finish_ms, 1700000000009);
    ck_assert_int_eq(history_from_doc(&docs[HISTORY], &mem, &history), 0);
    ck_assert(history.node == 77 && history.seq == 3 && history.at_ms == 1700000000010);
    ck_assert(history.whole);
    assert_bytes(history.body, full_history.body);
    docs_destroy(docs);
}
END_TEST

START_TEST(empty_records_come_back)
{
    const struct lane lane = {0};
    const struct node node = {.id = 1};
    const struct job job = {.type = ""};
    const struct stint_row stint = {0};
    const struct history_row history = {0};
    bson_t docs[RECORDS];
    for (size_t i = 0; i < RECORDS; i++)
        bson_init(&docs[i]);
    lane_to_doc(&lane, &docs[LANE]);
    node_to_doc(&node, &docs[NODE]);
    job_to_doc(&job, 1, 0, NULL, &mem, &docs[JOB]);
    stint_to_doc(&stint, &docs[STINT]);
    history_to_doc(&history, &docs[HISTORY]);
    for (int record = LANE; record < RECORDS; record++)
        ck_assert_int_eq(read_as(record, &docs[record], &mem), 0);
    struct job_texts texts = {0};
    struct job back;
    ck_assert_int_eq(job_from_doc(&docs[JOB], &mem, &texts, &back), 0);
    ck_assert_str_eq(back.type, "");
    ck_assert(back.payload.len == 0 && back.spec == NULL && back.ending == NULL);
    ck_assert_ptr_null(back.batch);
    docs_destroy(docs);
}
END_TEST

/* ---- as others write them ------------------------------------------------------------------- */

/* What programs said or people typed, in some encoding of old. */
START_TEST(texts_that_are_not_utf8_come_back)
{
    static const char old[] = "J\xfcrg";
    struct queue queue = {.changed_by = "J\xfcrg@h"}, queue_back;
    struct node node = {.id = 1, .host = "J\xfcrg", .cause = "said \xff\xfe"}, node_back;
    const struct job_spec spec = {.key = old, .group = old, .cwd = old};
    const struct job_ending ending = {.error = old};
    const struct job job = {.type = old, .batch = old, .spec = &spec, .ending = &ending};
    struct job_texts texts = {0};
    struct job back;
    bson_t docs[3] = {BSON_INITIALIZER, BSON_INITIALIZER, BSON_INITIALIZER};
    queue_to_doc(&queue, &docs[0]);
    node_to_doc(&node, &docs[1]);
    job_to_doc(&job, 1, 1, NULL, &mem, &docs[2]);
    for (size_t i = 0; i < 3; i++)
        ck_assert(bson_validate(&docs[i], BSON_VALIDATE_UTF8, NULL)); /* else a server refuses it */
    ck_assert_int_eq(queue_from_doc(&docs[0], &queue_back), 0);
    ck_assert_str_eq(queue_back.changed_by, queue.changed_by);
    ck_assert_int_eq(node_from_doc(&docs[1], &mem, &node_back), 0);
    ck_assert_str_eq(node_back.host, node.host);
    ck_assert_str_eq(node_back.cause, node.cause);
    ck_assert_int_eq(job_from_doc(&docs[2], &mem, &texts, &back), 0);
    ck_assert_str_eq(back.type, old);
    ck_assert_str_eq(back.batch, old);
    ck_assert_str_eq(back.spec->key, old);
    ck_assert_str_eq(back.spec->group, old);
    ck_assert_str_eq(back.spec->cwd, old);
    ck_assert_str_eq(back.ending->error, old);
    for (size_t i = 0; i < 3; i++)
        bson_destroy(&docs[i]);
}
END_TEST

/* A shell writes doubles, and int32 where it is told to. */
START_TEST(numbers_come_in_any_width)
{
    bson_t *doc =
        BCON_NEW("_id", BCON_DOUBLE(4503599627370497.0), "state", BCON_UTF8("done"), "run",
                 BCON_DOUBLE(2), "token", BCON_INT32(-7), "created", BCON_INT64(12), "started",
                 BCON_DOUBLE(13), "node", BCON_INT32(3), "type", BCON_UTF8("x"));
    struct job_texts texts = {0};
    struct job job;
    ck_assert_int_eq(job_from_doc(doc, &mem, &texts, &job), 0);
    ck_assert(job.id == 4503599627370497 && job.run == 2 && job.token == -7 && job.node == 3);
    ck_assert(job.created_ms == 12 && job.started_ms == 13);
    bson_destroy(doc);
    doc = BCON_NEW("_id", BCON_UTF8("mail"), "paused", BCON_INT32(1), "weight", BCON_DOUBLE(3),
                   "changed", BCON_DATE_TIME(5));
    struct queue queue;
    ck_assert_int_eq(queue_from_doc(doc, &queue), 0);
    ck_assert(queue.paused && queue.weight == 3 && queue.changed_ms == 5);
    bson_destroy(doc);
}
END_TEST

START_TEST(the_path_of_an_entry)
{
    char path[ENTRY_PATH_BYTES];
    ck_assert_str_eq(entry_path(path, INT64_MAX, NULL), "entries.n9223372036854775807");
    ck_assert_str_eq(entry_path(path, 7, "last_field"), "entries.n7.last_field");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mongo_bson");
    TCase *tcase = tcase_create("mongo_bson");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, meta_and_queues_come_back);
    tcase_add_test(tcase, a_lane_comes_back);
    tcase_add_test(tcase, the_largest_lane_comes_back);
    tcase_add_test(tcase, a_node_comes_back);
    tcase_add_test(tcase, only_a_live_node_has_its_name);
    tcase_add_test(tcase, a_job_comes_back);
    tcase_add_test(tcase, a_chunk_comes_back);
    tcase_add_test(tcase, the_largest_job_comes_back);
    tcase_add_test(tcase, an_unfinished_job_has_its_key);
    tcase_add_test(tcase, logs_come_back);
    tcase_add_test(tcase, empty_records_come_back);
    tcase_add_test(tcase, texts_that_are_not_utf8_come_back);
    tcase_add_test(tcase, numbers_come_in_any_width);
    tcase_add_test(tcase, the_path_of_an_entry);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
