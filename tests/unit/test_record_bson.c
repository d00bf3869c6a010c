/* Goal: what is stored of a record comes back the same, what a newer program added survives a
 * rewrite, and a damaged document is told as such.
 * Method: round trips of full and of empty records; a document with fields of tomorrow; every
 * truncation and every flipped byte of a document, which must be refused or decoded, never more. */
#include "datastore/record_bson.h"

#include <bson/bson.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

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

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

static const char *lane_types[] = {"exec", "noop"};
static struct range pool[] = {{10, 20, false}, {20, 25, true}};
static struct lane_entry entries[] = {{77, 3, {1, 9, true}, 2}, {INT64_MAX, 1, {30, 31, false}, 0}};
static const struct lane full_lane = {.types = lane_types,
                                      .n_types = 2,
                                      .pool = pool,
                                      .n_pool = 2,
                                      .entries = entries,
                                      .n_entries = 2};

START_TEST(a_lane_comes_back)
{
    struct lane back = {0};
    ck_assert_int_eq(lane_decode(lane_encode(&full_lane, (struct bytes){0}, &mem), &mem, &back), 0);
    ck_assert_uint_eq(back.n_types, 2);
    ck_assert_str_eq(back.types[1], "noop");
    ck_assert_uint_eq(back.n_pool, 2);
    ck_assert(back.pool[1].a == 20 && back.pool[1].b == 25 && back.pool[1].suspect);
    ck_assert(!back.pool[0].suspect);
    ck_assert_uint_eq(back.n_entries, 2);
    ck_assert(back.entries[0].node == 77 && back.entries[0].g == 3 && back.entries[0].r == 2);
    ck_assert(back.entries[0].last.b == 9 && back.entries[0].last.suspect);
    ck_assert(back.entries[1].node == INT64_MAX);
    struct lane empty = {0};
    ck_assert_int_eq(lane_decode(lane_encode(&empty, (struct bytes){0}, &mem), &mem, &empty), 0);
    ck_assert_uint_eq(empty.n_types + empty.n_pool + empty.n_entries, 0);
}
END_TEST

static struct node full_node(void)
{
    static char queues[2][LIMIT_NAME_BYTES + 1] = {"default", "mail"};
    static char types[1][LIMIT_NAME_BYTES + 1] = {"exec"};
    static struct node_range ranges[] = {{{1, 5, true}, 0}, {{7, 9, false}, 4}};
    static struct node_grant granted[] = {{0, 12}};
    static struct node_running running[] = {{5, 2, 123, "exec"}};
    static struct node_request requests[] = {{9, REQUEST_SHED, 6, 4}};
    return (struct node){.host = "h",
                         .boot_id = "b",
                         .pid_ns = 1,
                         .pid = 2,
                         .pid_start = 3,
                         .version = "0.1",
                         .slots = 4,
                         .lease_ms = 5,
                         .queues = queues,
                         .n_queues = 2,
                         .types = types,
                         .n_types = 1,
                         .doorbell = "d",
                         .created_ms = 6,
                         .since_ms = 7,
                         .beat_ms = 8,
                         .ranges = ranges,
                         .n_ranges = 2,
                         .granted = granted,
                         .n_granted = 1,
                         .running = running,
                         .n_running = 1,
                         .done = 10,
                         .failed = 11,
                         .interrupted = 12,
                         .rate = 1.5,
                         .load = 0.25,
                         .request_seq = 9,
                         .requests = requests,
                         .n_requests = 1,
                         .cause = "stopped"};
}

START_TEST(a_node_comes_back)
{
    struct node node = full_node(), back = {.id = 42, .beat = 9};
    ck_assert_int_eq(node_decode(node_encode(&node, (struct bytes){0}, &mem), &mem, &back), 0);
    ck_assert(back.id == 42 && back.beat == 9); /* not its business */
    ck_assert_str_eq(back.host, "h");
    ck_assert_str_eq(back.cause, "stopped");
    ck_assert(back.pid_ns == 1 && back.pid == 2 && back.pid_start == 3 && back.slots == 4);
    ck_assert(back.lease_ms == 5 && back.created_ms == 6 && back.since_ms == 7);
    ck_assert(back.beat_ms == 8 && back.done == 10 && back.failed == 11 && back.interrupted == 12);
    ck_assert(back.rate > 1.4 && back.rate < 1.6 && back.load > 0.2 && back.load < 0.3);
    ck_assert_uint_eq(back.n_queues, 2);
    ck_assert_str_eq(back.queues[1], "mail");
    ck_assert_str_eq(back.types[0], "exec");
    ck_assert(back.n_ranges == 2 && back.ranges[0].range.suspect && back.ranges[1].returning == 4);
    ck_assert(back.n_granted == 1 && back.granted[0].g == 12);
    ck_assert(back.n_running == 1 && back.running[0].run == 2 && back.running[0].started_ms == 123);
    ck_assert_str_eq(back.running[0].type, "exec");
    ck_assert(back.n_requests == 1 && back.requests[0].kind == REQUEST_SHED);
    ck_assert(back.requests[0].seq == 9 && back.requests[0].id == 6 && back.requests[0].from == 4);
}
END_TEST

START_TEST(a_queue_comes_back)
{
    struct queue queue = {
        .paused = true, .weight = 3, .partitions = 4, .changed_ms = 5, .changed_by = "u@h"};
    struct queue back = {.name = "kept"};
    ck_assert_int_eq(queue_decode(queue_encode(&queue, (struct bytes){0}, &mem), &back), 0);
    ck_assert_str_eq(back.name, "kept");
    ck_assert_str_eq(back.changed_by, "u@h");
    ck_assert(back.paused && back.weight == 3 && back.partitions == 4 && back.changed_ms == 5);
}
END_TEST

START_TEST(a_spec_comes_back)
{
    static const struct job_limit limits[] = {{RLIMIT_CORE, 0}, {RLIMIT_AS, UINT64_MAX}};
    static const int64_t after[] = {3, 1};
    struct job_spec spec = {.max_attempts = 1,
                            .max_interruptions = 2,
                            .timeout_ms = 3,
                            .backoff_ms = 4,
                            .run_at_ms = 5,
                            .cwd = "/\xff",
                            .env = {(const uint8_t *)"A=1\0B=2", 8},
                            .limits = limits,
                            .n_limits = 2,
                            .key = "k",
                            .group = "g",
                            .after = after,
                            .n_after = 2,
                            .copy_of = 6};
    const struct job_spec *back = NULL, *empty = NULL;
    ck_assert_int_eq(spec_decode(spec_encode(&spec, &mem), &mem, &back), 0);
    ck_assert(back->max_attempts == 1 && back->max_interruptions == 2 && back->timeout_ms == 3);
    ck_assert(back->backoff_ms == 4 && back->run_at_ms == 5 && back->copy_of == 6);
    ck_assert_str_eq(back->cwd, "/\xff");
    ck_assert(bytes_equal(back->env, spec.env));
    ck_assert(back->n_limits == 2 && back->limits[1].resource == RLIMIT_AS);
    ck_assert(back->limits[0].value == 0 && back->limits[1].value == UINT64_MAX);
    ck_assert_str_eq(back->key, "k");
    ck_assert_str_eq(back->group, "g");
    ck_assert(back->n_after == 2 && back->after[0] == 3 && back->after[1] == 1);
    ck_assert_int_eq(spec_decode(spec_encode(&(struct job_spec){0}, &mem), &mem, &empty), 0);
    ck_assert(empty->cwd == NULL && empty->key == NULL && empty->n_after == 0);
}
END_TEST

static struct job_ending full_ending(void)
{
    static struct job_attempt trace[] = {
        {.run = 1,
         .interrupted = true,
         .node = 5,
         .started_ms = 6,
         .finished_ms = 7,
         .exit_code = -1},
        {.run = 2, .exit_code = 3, .signal = 9, .timed_out = true, .error = "why"}};
    trace[1].output = bytes_of("tail");
    return (struct job_ending){.exit_code = -1,
                               .signal = 15,
                               .timed_out = true,
                               .user_ms = 1,
                               .sys_ms = 2,
                               .maxrss_kb = 3,
                               .result = bytes_of("r"),
                               .output = bytes_of("o"),
                               .output_total = UINT64_MAX,
                               .error = "e",
                               .trace = trace,
                               .n_trace = 2};
}

START_TEST(an_ending_comes_back)
{
    struct job_ending ending = full_ending();
    const struct job_ending *back = NULL;
    ck_assert_int_eq(ending_decode(ending_encode(&ending, &mem), &mem, &back), 0);
    ck_assert(back->exit_code == -1 && back->signal == 15 && back->timed_out);
    ck_assert(back->user_ms == 1 && back->sys_ms == 2 && back->maxrss_kb == 3);
    ck_assert(bytes_equal(back->result, ending.result) && bytes_equal(back->output, ending.output));
    ck_assert(back->output_total == UINT64_MAX);
    ck_assert_str_eq(back->error, "e");
    ck_assert_uint_eq(back->n_trace, 2);
    ck_assert(back->trace[0].interrupted && back->trace[0].node == 5 && back->trace[0].run == 1);
    ck_assert(back->trace[0].started_ms == 6 && back->trace[0].finished_ms == 7);
    ck_assert(back->trace[0].exit_code == -1 && back->trace[0].error == NULL);
    ck_assert(back->trace[1].exit_code == 3 && back->trace[1].signal == 9);
    ck_assert(back->trace[1].timed_out && !back->trace[1].interrupted);
    ck_assert_str_eq(back->trace[1].error, "why");
    ck_assert(bytes_equal(back->trace[1].output, bytes_of("tail")));
}
END_TEST

static struct bytes of_tomorrow(void)
{
    bson_t doc = BSON_INITIALIZER;
    bson_append_utf8(&doc, "tomorrow", -1, "kept", -1);
    struct bytes bytes = {arena_copy(&mem, bson_get_data(&doc), doc.len), doc.len};
    bson_destroy(&doc);
    return bytes;
}

static void assert_kept(struct bytes doc)
{
    bson_t bson;
    bson_iter_t at;
    ck_assert(bson_init_static(&bson, doc.data, doc.len));
    ck_assert(bson_iter_init_find(&at, &bson, "tomorrow"));
    ck_assert_str_eq(bson_iter_utf8(&at, NULL), "kept");
}

START_TEST(unknown_fields_survive_a_rewrite)
{
    struct node node = full_node();
    struct queue queue = {.weight = 1};
    assert_kept(lane_encode(&full_lane, of_tomorrow(), &mem));
    assert_kept(node_encode(&node, of_tomorrow(), &mem));
    assert_kept(queue_encode(&queue, of_tomorrow(), &mem));
    /* ... and what is known is written anew, once. */
    struct bytes old = queue_encode(&queue, of_tomorrow(), &mem);
    queue.weight = 2;
    struct queue back = {0};
    struct bytes fresh = queue_encode(&queue, old, &mem);
    ck_assert_uint_eq(fresh.len, old.len);
    ck_assert_int_eq(queue_decode(fresh, &back), 0);
    ck_assert_int_eq(back.weight, 2);
    assert_kept(fresh);
}
END_TEST

/* Whatever it makes of the document; the sanitizers watch. */
static int decode_all(struct bytes doc)
{
    struct lane lane = {0};
    struct node node = {0};
    struct queue queue = {0};
    const struct job_spec *spec;
    const struct job_ending *ending;
    struct arena scratch = {0};
    int refused = 0;
    refused += lane_decode(doc, &scratch, &lane) < 0;
    refused += node_decode(doc, &scratch, &node) < 0;
    refused += queue_decode(doc, &queue) < 0;
    refused += spec_decode(doc, &scratch, &spec) < 0;
    refused += ending_decode(doc, &scratch, &ending) < 0;
    arena_release(&scratch);
    return refused;
}

START_TEST(damage_is_told)
{
    struct node node = full_node();
    struct job_ending ending = full_ending();
    struct bytes docs[] = {lane_encode(&full_lane, (struct bytes){0}, &mem),
                           node_encode(&node, (struct bytes){0}, &mem),
                           ending_encode(&ending, &mem)};
    for (size_t d = 0; d < sizeof(docs) / sizeof(docs[0]); d++) {
        for (size_t len = 0; len < docs[d].len; len++) {
            uint8_t *cut = malloc(len + 1); /* so that a read past the end is seen */
            ck_assert_ptr_nonnull(cut);
            memcpy(cut, docs[d].data, len);
            ck_assert_int_eq(decode_all((struct bytes){cut, len}), 5);
            free(cut);
        }
        for (size_t at = 0; at < docs[d].len; at++) {
            uint8_t *flipped = arena_copy(&mem, docs[d].data, docs[d].len);
            flipped[at] ^= 0x5a;
            (void)decode_all((struct bytes){flipped, docs[d].len});
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("record_bson");
    TCase *tcase = tcase_create("record_bson");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_lane_comes_back);
    tcase_add_test(tcase, a_node_comes_back);
    tcase_add_test(tcase, a_queue_comes_back);
    tcase_add_test(tcase, a_spec_comes_back);
    tcase_add_test(tcase, an_ending_comes_back);
    tcase_add_test(tcase, unknown_fields_survive_a_rewrite);
    tcase_add_test(tcase, damage_is_told);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
