/* Goal: input becomes jobs line by line, whatever its shape; what is wrong is refused with a text
 * that says why, and no line is lost or doubled at the edges of the buffer.
 * Method: files and pipes made here; JSON lines good and bad. */
#include "cli/submit.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static struct submit_input input;
static struct submit_batch batch;
static struct submit_plan plan;
static struct error err;
static char path[64];

static void setup(void)
{
    snprintf(path, sizeof(path), "/tmp/stint-input-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    batch_init(&batch);
    memset(&err, 0, sizeof(err));
    plan = (struct submit_plan){.lane = {.queue = "default", .priority = 5}, .cwd = "/here"};
}

static void teardown(void)
{
    batch_clear(&batch);
    unlink(path);
}

static void input_make(const void *data, size_t len, bool zero, size_t line_max)
{
    FILE *file = fopen(path, "w");
    ck_assert_uint_eq(fwrite(data, 1, len, file), len);
    fclose(file);
    ck_assert_int_eq(input_open(&input, path, zero, line_max, &err), 0);
}

static void next_is(const char *want)
{
    struct bytes line;
    ck_assert_int_eq(input_next(&input, &line, &err), 1);
    ck_assert_uint_eq(line.len, strlen(want));
    ck_assert_mem_eq(line.data, want, line.len);
}

static void next_gives(int rc)
{
    struct bytes line;
    ck_assert_int_eq(input_next(&input, &line, &err), rc);
}

/* ---- lines ----------------------------------------------------------------------------------- */

START_TEST(lines_come_in_order_without_empty_ones)
{
    input_make("a\n\n\nbc\nlast", 11, false, 100);
    next_is("a");
    next_is("bc");
    ck_assert_int_eq(input.line, 4);
    next_is("last");
    next_gives(0);
    next_gives(0);
    ck_assert_int_eq(input.bytes, 11);
    input_close(&input);
}
END_TEST

START_TEST(records_that_end_with_nul_may_hold_newlines)
{
    input_make("a\nb\0c\0", 6, true, 100);
    next_is("a\nb");
    next_is("c");
    next_gives(0);
    input_close(&input);
}
END_TEST

START_TEST(a_nul_in_a_line_is_refused)
{
    input_make("ok\na\0b\n", 7, false, 100);
    next_is("ok");
    next_gives(ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "line 2: a NUL byte; give -0"));
    input_close(&input);
}
END_TEST

START_TEST(a_line_past_the_limit_is_refused_wherever_it_lies)
{
    size_t len = 700000;
    char *data = malloc(len);
    memset(data, 'x', len);
    input_make(data, len, false, 1000); /* without an end */
    size_t buffer_size = input.buffer_size;
    next_gives(ERR_LIMIT);
    ck_assert_uint_eq(input.buffer_size, buffer_size); /* it did not read on in vain */
    input_close(&input);
    data[len - 1] = '\n';
    input_make(data, len, false, 699998);
    next_gives(ERR_LIMIT);
    input_close(&input);
    input_make(data, len, false, 699999);
    struct bytes line;
    ck_assert_int_eq(input_next(&input, &line, &err), 1);
    ck_assert_uint_eq(line.len, 699999);
    next_gives(0);
    input_close(&input);
    free(data);
}
END_TEST

START_TEST(no_line_is_lost_at_the_edges_of_the_buffer)
{
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 200000; i++)
        fprintf(file, "%d%.*s\n", i, i % 13, "............");
    fclose(file);
    ck_assert_int_eq(input_open(&input, path, false, 100, &err), 0);
    for (int i = 0; i < 200000; i++) {
        char want[64];
        snprintf(want, sizeof(want), "%d%.*s", i, i % 13, "............");
        next_is(want);
    }
    next_gives(0);
    ck_assert_int_eq(input.line, 200000);
    ck_assert_int_eq(input.bytes, input.size);
    input_close(&input);
}
END_TEST

START_TEST(a_folder_or_nothing_is_no_input)
{
    ck_assert_int_eq(input_open(&input, "/tmp", false, 100, &err), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "folder"));
    ck_assert_int_eq(input_open(&input, "/nonexistent", false, 100, &err), ERR_INVALID);
}
END_TEST

/* ---- templates ------------------------------------------------------------------------------- */

static struct bytes bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static const struct {
    const char *template, *line, *want;
} fills[] = {
    {"{}", "x", "x"},       {"a{}b", "x", "axb"},
    {"{}{}", "xy", "xyxy"}, {"a {} b {} c", "", "a  b  c"},
    {"none", "x", "none"},  {"{{}}", "x", "{x}"},
    {"{", "x", "{"},        {"", "x", ""},
    {"{}", "{}", "{}"},
};

START_TEST(each_hole_takes_the_line)
{
    struct submit_template template;
    uint8_t to[64];
    template_init(&template, bytes_of(fills[_i].template));
    size_t size = template_bytes(&template, strlen(fills[_i].line));
    ck_assert_uint_eq(size, strlen(fills[_i].want));
    template_fill(&template, bytes_of(fills[_i].line), to);
    ck_assert_mem_eq(to, fills[_i].want, size);
    template_clear(&template);
}
END_TEST

START_TEST(a_line_makes_arguments_or_a_payload)
{
    struct job job;
    struct lane_name lane;
    plan.type = "exec";
    plan.argv = (struct bytes){(const uint8_t *)"echo\0-{}-", 10};
    template_init(&plan.each, plan.argv);
    ck_assert_int_eq(submit_job_line(&plan, bytes_of("a b"), &batch, &job, &lane, &err), 0);
    ck_assert_uint_eq(job.argv.len, 11);
    ck_assert_mem_eq(job.argv.data, "echo\0-a b-", 11);
    template_clear(&plan.each);
    plan.type = "noop";
    plan.argv = (struct bytes){0};
    template_init(&plan.each, bytes_of("{}"));
    ck_assert_int_eq(submit_job_line(&plan, bytes_of("\xff"), &batch, &job, &lane, &err), 0);
    ck_assert_uint_eq(job.payload.len, 1);
    ck_assert_uint_eq(job.payload.data[0], 0xff);
    ck_assert_uint_eq(job.argv.len, 0);
    template_clear(&plan.each);
}
END_TEST

START_TEST(arguments_past_their_limit_are_refused)
{
    struct job job;
    struct lane_name lane;
    char *line = malloc(LIMIT_ARGV_BYTES + 1);
    memset(line, 'x', LIMIT_ARGV_BYTES);
    line[LIMIT_ARGV_BYTES] = '\0';
    plan.argv = (struct bytes){(const uint8_t *)"echo\0{}", 8};
    template_init(&plan.each, plan.argv);
    ck_assert_int_eq(submit_job_line(&plan, bytes_of(line), &batch, &job, &lane, &err), ERR_LIMIT);
    ck_assert_uint_eq(batch.used, 0);
    template_clear(&plan.each);
    free(line);
}
END_TEST

/* ---- JSON ------------------------------------------------------------------------------------ */

static int json(const char *line, struct job *ret_job, struct lane_name *ret_lane)
{
    batch_reset(&batch);
    return submit_job_json(&plan, bytes_of(line), &batch, ret_job, ret_lane, &err);
}

START_TEST(a_json_line_sets_every_key)
{
    struct job job;
    struct lane_name lane;
    ck_assert_int_eq(
        json("{\"argv\":[\"sh\",\"-c\",\"\"],\"stdin\":\"in\",\"cwd\":\"/x\",\"env\":{\"A\":\"1\","
             "\"B\":\"\"},\"timeout\":1.5,\"max_attempts\":3,\"batch\":\"b\",\"key\":\"k\","
             "\"priority\":2,\"queue\":\"mail\",\"type\":\"exec\"}",
             &job, &lane),
        0);
    ck_assert_str_eq(job.type, "exec");
    ck_assert_uint_eq(job.argv.len, 7);
    ck_assert_mem_eq(job.argv.data, "sh\0-c\0", 7);
    ck_assert_mem_eq(job.payload.data, "in", 2);
    ck_assert_str_eq(job.spec->cwd, "/x");
    ck_assert_uint_eq(job.spec->env.len, 7);
    ck_assert_mem_eq(job.spec->env.data, "A=1\0B=", 7);
    ck_assert_int_eq(job.spec->timeout_ms, 1500);
    ck_assert_int_eq(job.spec->max_attempts, 3);
    ck_assert_str_eq(job.spec->key, "k");
    ck_assert_str_eq(job.batch, "b");
    ck_assert_str_eq(lane.queue, "mail");
    ck_assert_int_eq(lane.priority, 2);
}
END_TEST

START_TEST(what_a_line_leaves_out_comes_from_the_options)
{
    struct job job;
    struct lane_name lane;
    plan.type = "noop";
    plan.batch = "all";
    plan.payload = bytes_of("p");
    plan.spec.max_attempts = 4;
    plan.spec_used = true;
    ck_assert_int_eq(json("{}", &job, &lane), 0);
    ck_assert_str_eq(job.type, "noop");
    ck_assert_str_eq(job.batch, "all");
    ck_assert_uint_eq(job.payload.len, 1);
    ck_assert_int_eq(job.spec->max_attempts, 4);
    ck_assert_ptr_null(job.spec->cwd);
    ck_assert_int_eq(lane.priority, 5);
    plan.type = NULL;
    plan.spec.env = (struct bytes){(const uint8_t *)"A=0", 4};
    ck_assert_int_eq(json("{\"argv\":[\"x\"],\"env\":{\"B\":\"1\"}}", &job, &lane), 0);
    ck_assert_str_eq(job.spec->cwd, "/here");
    ck_assert_uint_eq(job.spec->env.len, 8);
    ck_assert_mem_eq(job.spec->env.data, "A=0\0B=1", 8);
}
END_TEST

START_TEST(base64_gives_any_bytes)
{
    struct job job;
    struct lane_name lane;
    plan.type = "noop";
    ck_assert_int_eq(json("{\"payload_b64\":\"AP/+\"}", &job, &lane), 0);
    ck_assert_uint_eq(job.payload.len, 3);
    ck_assert_mem_eq(job.payload.data, "\0\xff\xfe", 3);
    ck_assert_int_eq(json("{\"payload_b64\":\"AP8=\"}", &job, &lane), 0);
    ck_assert_uint_eq(job.payload.len, 2);
    ck_assert_int_eq(json("{\"payload_b64\":\"\"}", &job, &lane), 0);
    ck_assert_uint_eq(job.payload.len, 0);
}
END_TEST

static const struct {
    const char *line, *why;
} refused[] = {
    {"", "not a JSON object"},
    {"[1]", "not a JSON object"},
    {"{\"argv\":[\"x\"]", "no valid JSON"},
    {"{\"argv\":[\"x\"]} {}", "more than one"},
    {"{\"argv\":[\"x\"]} x", "no valid JSON"},
    {"{\"argv\":[\"x\"]},", "no valid JSON"},
    {"{\"argv\":[\"x\"]},{\"argv\":[\"y\"]}", "no valid JSON"},
    {"{\"argv\":[\"x\"]} {\"argv\":", "more than one"},
    {"{\"arg\":[\"x\"]}", "unknown key \"arg\""},
    {"{\"argv\":\"x\"}", "array of strings"},
    {"{\"argv\":[1]}", "array of strings"},
    {"{\"argv\":[]}", "argv"},
    {"{\"argv\":[\"\"]}", "empty string"},
    {"{\"argv\":[\"a\\u0000b\"]}", "NUL"},
    {"{}", "neither"},
    {"{\"type\":\"exec\"}", "needs \"argv\""},
    {"{\"type\":\"noop\",\"argv\":[\"x\"]}", "exec only"},
    {"{\"type\":\"a/b\"}", "type"},
    {"{\"type\":\"noop\",\"queue\":\"a/b\"}", "queue"},
    {"{\"type\":\"noop\",\"priority\":10}", "priority"},
    {"{\"type\":\"noop\",\"priority\":\"1\"}", "priority"},
    {"{\"type\":\"noop\",\"max_attempts\":0}", "max_attempts"},
    {"{\"type\":\"noop\",\"max_attempts\":99999999999}", "max_attempts"},
    {"{\"type\":\"noop\",\"timeout\":-1}", "timeout"},
    {"{\"type\":\"noop\",\"timeout\":\"1x\"}", "timeout"},
    {"{\"type\":\"noop\",\"timeout\":1e300}", "timeout"},
    {"{\"type\":\"noop\",\"type\":\"noop\"}", "twice"},
    {"{\"type\":\"noop\",\"payload\":\"a\",\"payload_b64\":\"\"}", "twice"},
    {"{\"type\":\"noop\",\"payload_b64\":\"A\"}", "base64"},
    {"{\"type\":\"noop\",\"payload_b64\":\"A===\"}", "base64"},
    {"{\"type\":\"noop\",\"payload_b64\":\"!!!!\"}", "base64"},
    {"{\"argv\":[\"x\"],\"env\":{\"A\":1}}", "env"},
    {"{\"argv\":[\"x\"],\"env\":{\"\":\"1\"}}", "env"},
    {"{\"argv\":[\"x\"],\"env\":{\"A=B\":\"1\"}}", "env"},
    {"{\"argv\":[\"x\"],\"cwd\":\"relative\"}", "cwd"},
    {"{\"type\":\"noop\",\"payload\":\"\xff\"}", "no valid JSON"},
};

START_TEST(a_bad_json_line_is_refused_and_says_why)
{
    struct job job;
    struct lane_name lane;
    int rc = json(refused[_i].line, &job, &lane);
    ck_assert_msg(rc == ERR_INVALID || rc == ERR_LIMIT, "%s: %d", refused[_i].line, rc);
    ck_assert_msg(strstr(err.text, refused[_i].why) != NULL, "%s: %s", refused[_i].line, err.text);
}
END_TEST

START_TEST(the_largest_json_job_fits_a_batch)
{
    struct job job;
    struct lane_name lane;
    size_t len = LIMIT_PAYLOAD_BYTES + 100;
    char *line = malloc(len);
    int head = snprintf(line, len, "{\"type\":\"noop\",\"payload\":\"");
    memset(line + head, 'x', LIMIT_PAYLOAD_BYTES);
    snprintf(line + head + LIMIT_PAYLOAD_BYTES, 10, "\"}");
    ck_assert_int_eq(json(line, &job, &lane), 0);
    ck_assert_uint_eq(job.payload.len, LIMIT_PAYLOAD_BYTES);
    snprintf(line + head + LIMIT_PAYLOAD_BYTES, 10, "x\"}");
    ck_assert_int_eq(json(line, &job, &lane), ERR_LIMIT);
    free(line);
}
END_TEST

START_TEST(a_resource_limit_has_a_name_and_a_number)
{
    static const char *const bad[] = {"", "cpu", "cpu=", "=1", "cpu=-1", "cpu=1x", "cpus=1",
                                      "cpu=99999999999999999999", "cpu= 1"};
    struct job_limit limit = {0};
    ck_assert_int_eq(rlimit_parse("nofile=64", &limit, &err), 0);
    ck_assert_int_eq(limit.resource, RLIMIT_NOFILE);
    ck_assert_uint_eq(limit.value, 64);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(rlimit_parse(bad[i], &limit, &err) == ERR_INVALID, "'%s'", bad[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("submit_parse");
    TCase *tcase = tcase_create("submit_parse");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, lines_come_in_order_without_empty_ones);
    tcase_add_test(tcase, records_that_end_with_nul_may_hold_newlines);
    tcase_add_test(tcase, a_nul_in_a_line_is_refused);
    tcase_add_test(tcase, a_line_past_the_limit_is_refused_wherever_it_lies);
    tcase_add_test(tcase, no_line_is_lost_at_the_edges_of_the_buffer);
    tcase_add_test(tcase, a_folder_or_nothing_is_no_input);
    tcase_add_loop_test(tcase, each_hole_takes_the_line, 0,
                        (int)(sizeof(fills) / sizeof(fills[0])));
    tcase_add_test(tcase, a_line_makes_arguments_or_a_payload);
    tcase_add_test(tcase, arguments_past_their_limit_are_refused);
    tcase_add_test(tcase, a_json_line_sets_every_key);
    tcase_add_test(tcase, what_a_line_leaves_out_comes_from_the_options);
    tcase_add_test(tcase, base64_gives_any_bytes);
    tcase_add_loop_test(tcase, a_bad_json_line_is_refused_and_says_why, 0,
                        (int)(sizeof(refused) / sizeof(refused[0])));
    tcase_add_test(tcase, the_largest_json_job_fits_a_batch);
    tcase_add_test(tcase, a_resource_limit_has_a_name_and_a_number);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
