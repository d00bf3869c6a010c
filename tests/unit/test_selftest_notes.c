/* Goal: a selftest reads from its notes what its jobs have done, and does not overlook a note that
 * is damaged, doubled, or an end without a start; and each kind of job comes up.
 * Method: notes written by the job's own function, and by hand. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/selftest.h"

static char path[200];

static void setup(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(path, sizeof(path), "%s/stint-notes-XXXXXX", base != NULL ? base : "/tmp");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void teardown(void)
{
    unlink(path);
}

static void job_run(const char *id, const char *run, const char *number, int status)
{
    char kind[] = "broken", ms[] = "0", number_text[16];
    snprintf(number_text, sizeof(number_text), "%s", number);
    setenv("STINT_JOB_ID", id, 1);
    setenv("STINT_RUN", run, 1);
    setenv("STINT_ATTEMPT", run, 1);
    setenv("STINT_NODE", "n2.17", 1);
    char *argv[] = {path, number_text, kind, ms, NULL};
    ck_assert_int_eq(selftest_job(4, argv), status);
}

static void append(const char *bytes, size_t len)
{
    FILE *file = fopen(path, "a");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
    ck_assert_int_eq(fclose(file), 0);
}

static size_t read_all(struct execution **ret_all, int64_t *ret_strange)
{
    struct error err = {0};
    size_t n = 0;
    *ret_strange = -1;
    ck_assert_int_eq(notes_read(path, ret_all, &n, ret_strange, &err), 0);
    return n;
}

/* The line `at` of the file; its length. */
static size_t line_of(size_t at, char *line, size_t size)
{
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    for (size_t i = 0; i <= at; i++)
        ck_assert_ptr_nonnull(fgets(line, (int)size, file));
    fclose(file);
    return strlen(line);
}

START_TEST(executions_are_read_as_they_were)
{
    struct execution *all;
    int64_t strange;
    job_run("70", "2", "9", 1);
    job_run("8", "1", "4000000000", 1);
    job_run("70", "1", "9", 1);
    job_run("70", "3", "9", 0); /* its third attempt succeeds */
    ck_assert_uint_eq(read_all(&all, &strange), 4);
    ck_assert_int_eq(strange, 0);
    ck_assert_int_eq(all[0].id, 8);
    ck_assert_uint_eq(all[0].number, 4000000000);
    for (int i = 1; i < 4; i++) {
        ck_assert_int_eq(all[i].id, 70);
        ck_assert_int_eq(all[i].run, i);
        ck_assert_int_eq(all[i].pid, getpid());
        ck_assert_str_eq(all[i].node, "n2.17");
        ck_assert_int_gt(all[i].start_us, 0);
        ck_assert_int_ge(all[i].end_us, all[i].start_us);
    }
    free(all);
}
END_TEST

START_TEST(a_start_alone_is_an_execution_without_an_end)
{
    struct execution *all;
    int64_t strange;
    char line[200];
    job_run("5", "1", "1", 1);
    size_t len = line_of(0, line, sizeof(line));
    append(line, len); /* the start once more: another execution */
    ck_assert_uint_eq(read_all(&all, &strange), 2);
    ck_assert_int_eq(strange, 0);
    ck_assert_int_eq((all[0].end_us == 0) + (all[1].end_us == 0), 1);
    free(all);
}
END_TEST

START_TEST(strange_notes_are_counted)
{
    struct execution *all;
    int64_t strange;
    char line[200];
    job_run("5", "1", "1", 1);
    size_t len = line_of(1, line, sizeof(line));
    append(line, len); /* an end without a start */
    line[0] = 'X';
    append(line, len);
    append(line, len / 2); /* cut */
    ck_assert_uint_eq(read_all(&all, &strange), 1);
    ck_assert_int_eq(strange, 3);
    free(all);
}
END_TEST

START_TEST(work_follows_from_the_seed_and_every_kind_comes_up)
{
    static const char *const kinds[] = {"quick",  "short", "long",      "flaky",
                                        "broken", "stuck", "stuck-once"};
    int seen[sizeof(kinds) / sizeof(kinds[0])] = {0};
    for (uint32_t number = 0; number < 10000; number++) {
        struct work work = work_of(42, number), again = work_of(42, number);
        ck_assert_str_eq(work.kind, again.kind);
        ck_assert_int_eq(work.ms, again.ms);
        ck_assert_int_le(work.bad_attempts, work.max_attempts);
        ck_assert(!work.hangs || work.timeout_ms > 0);
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
            seen[i] += strcmp(kinds[i], work.kind) == 0;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        ck_assert_msg(seen[i] >= 40, "%s: %d of 10000", kinds[i], seen[i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("selftest notes");
    TCase *tcase = tcase_create("notes");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, executions_are_read_as_they_were);
    tcase_add_test(tcase, a_start_alone_is_an_execution_without_an_end);
    tcase_add_test(tcase, strange_notes_are_counted);
    tcase_add_test(tcase, work_follows_from_the_seed_and_every_kind_comes_up);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
