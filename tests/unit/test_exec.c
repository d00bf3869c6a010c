/* Goal: jobs run as processes with what they were given, and every end is told as what it was.
 * Method: real reaper, keeper and jobs. */
#define _GNU_SOURCE
#include "tests/support/jobs.h"

#include <check.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- What a job is given, and what is told of it ---------------------------------------------- */

START_TEST(an_exit_status_is_told)
{
    struct exec_result result = run(shell("exit 3"));
    ck_assert_int_eq(result.end, EXEC_EXITED);
    ck_assert_int_eq(result.exit_code, 3);
    ck_assert_int_eq(result.signal, 0);
    ck_assert_int_ge(result.finished_ms, result.started_ms);
    ck_assert_int_gt(result.started_ms, 1600000000000);
    ck_assert_uint_gt(result.maxrss_kb, 0);
    result = run(request_for("/bin/true", NULL, NULL, NULL));
    ck_assert_int_eq(result.end, EXEC_EXITED);
    ck_assert_int_eq(result.exit_code, 0);
}
END_TEST

START_TEST(a_signal_is_told)
{
    struct exec_result result = run(shell("kill -SEGV $$"));
    ck_assert_int_eq(result.end, EXEC_SIGNALLED);
    ck_assert_int_eq(result.signal, SIGSEGV);
    ck_assert_int_eq(result.exit_code, -1);
}
END_TEST

START_TEST(cpu_time_is_counted)
{
    struct exec_result result = run(shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"));
    ck_assert_uint_gt(result.user_ms + result.sys_ms, 0);
    ck_assert_uint_ge(result.wall_ms + 20, result.user_ms + result.sys_ms);
}
END_TEST

START_TEST(stdout_and_stderr_come_in_order)
{
    struct exec_result result = run(shell("echo one; echo two >&2; echo three"));
    assert_output(&result, "one\ntwo\nthree\n");
    ck_assert_uint_eq(result.output_total, 14);
}
END_TEST

START_TEST(only_the_tail_of_the_output_is_kept)
{
    struct exec_request request = shell("seq 100000; printf END");
    request.output_cap_bytes = 10;
    struct exec_result result = run(request);
    assert_output(&result, "100000\nEND");
    ck_assert_uint_eq(result.output_total, 588898);

    request.output_cap_bytes = LIMIT_OUTPUT_BYTES;
    result = run(request);
    ck_assert_uint_eq(result.output.len, LIMIT_OUTPUT_BYTES);
    ck_assert_mem_eq(result.output.data + LIMIT_OUTPUT_BYTES - 10, "100000\nEND", 10);

    request.output_cap_bytes = 0;
    result = run(request);
    ck_assert_uint_eq(result.output.len, 0);
    ck_assert_uint_eq(result.output_total, 588898);
}
END_TEST

START_TEST(a_job_that_closes_its_output_goes_on)
{
    struct exec_result result = run(shell("echo a; exec >&- 2>&-; sleep 0.1; exit 4"));
    ck_assert_int_eq(result.exit_code, 4);
    assert_output(&result, "a\n");
}
END_TEST

START_TEST(stdin_is_what_was_given_or_nothing)
{
    struct exec_result result = run(shell("wc -c; readlink /proc/self/fd/0"));
    assert_output(&result, "0\n/dev/null\n");
    struct exec_request request = shell("cat");
    request.stdin_bytes = (struct bytes){(const uint8_t *)"a\0b", 3};
    result = run(request);
    ck_assert_uint_eq(result.output.len, 3);
    ck_assert_mem_eq(result.output.data, "a\0b", 3);
}
END_TEST

START_TEST(a_stdin_of_the_largest_size_arrives_whole)
{
    uint8_t *data = malloc(LIMIT_PAYLOAD_BYTES);
    ck_assert_ptr_nonnull(data);
    memset(data, 'x', LIMIT_PAYLOAD_BYTES);
    struct exec_request request = shell("wc -c");
    request.stdin_bytes = (struct bytes){data, LIMIT_PAYLOAD_BYTES};
    for (int i = 0; i < 3; i++) {
        struct exec_result result = run(request);
        assert_output(&result, "1048576\n");
    }
    free(data);
}
END_TEST

START_TEST(the_working_folder_is_entered_or_its_absence_told)
{
    struct exec_request request = shell("pwd");
    request.cwd = "/usr/bin";
    struct exec_result result = run(request);
    assert_output(&result, "/usr/bin\n");
    request.cwd = "/no/such/folder";
    result = run(request);
    ck_assert_int_eq(result.end, EXEC_SPAWN_FAILED);
    ck_assert_str_eq(result.error, "cannot enter the working folder '/no/such/folder': "
                                   "No such file or directory");
    request = request_for("./true", NULL, NULL, NULL); /* from the job's folder, not the node's */
    request.cwd = "/usr/bin";
    result = run(request);
    ck_assert_int_eq(result.end, EXEC_EXITED);
}
END_TEST

START_TEST(a_command_that_cannot_run_is_told)
{
    struct exec_result result = run(request_for("no-such-command-1", NULL, NULL, NULL));
    ck_assert_int_eq(result.end, EXEC_SPAWN_FAILED);
    ck_assert_str_eq(result.error, "cannot run 'no-such-command-1': command not found");
    result = run(request_for("/etc/passwd", NULL, NULL, NULL));
    ck_assert_int_eq(result.end, EXEC_SPAWN_FAILED);
    ck_assert_str_eq(result.error, "cannot run '/etc/passwd': Permission denied");
    result = run(shell("exit 5")); /* the slot goes on */
    ck_assert_int_eq(result.exit_code, 5);
}
END_TEST

START_TEST(the_command_is_looked_up_in_the_jobs_own_path)
{
    const char *const env[] = {"PATH=/no/such:/etc::/usr/bin", NULL};
    char text[128];
    struct exec_request request = request_for("env", NULL, NULL, NULL);
    request.env = strings_of(text, sizeof(text), env);
    ck_assert_int_eq(run(request).end, EXEC_EXITED);
    const char *const elsewhere[] = {"PATH=/no/such", NULL};
    request.env = strings_of(text, sizeof(text), elsewhere);
    ck_assert_int_eq(run(request).end, EXEC_SPAWN_FAILED);
}
END_TEST

START_TEST(resource_limits_hold)
{
    struct exec_limit limits[] = {{RLIMIT_NOFILE, 33}, {RLIMIT_CORE, 0}};
    struct exec_request request = shell("ulimit -Sn; ulimit -Hn; ulimit -c");
    request.limits = limits;
    request.n_limits = 2;
    struct exec_result result = run(request);
    assert_output(&result, "33\n33\n0\n");
    result = run(shell("ulimit -n")); /* the next job does not inherit them */
    ck_assert_int_ne(strtol((const char *)result.output.data, NULL, 10), 33);

    limits[0] = (struct exec_limit){RLIMIT_CPU, 1};
    request = shell("while :; do :; done");
    request.limits = limits;
    request.n_limits = 2;
    result = run(request);
    ck_assert_int_eq(result.end, EXEC_SIGNALLED);
    ck_assert_int_eq(result.signal, SIGXCPU);
}
END_TEST

START_TEST(the_environment_has_the_markers_and_no_secret)
{
    const char *const env[] = {"A=1", "A=2", "INHERITED=no", "STINT_RUN=9", NULL};
    char text[128];
    struct exec_request request =
        shell("echo $STINT_JOB_ID $STINT_RUN $STINT_ATTEMPT $STINT_NODE $A $INHERITED;"
              " env | grep -c "
              "-e STINT_STORE -e secret; true");
    request.env = strings_of(text, sizeof(text), env);
    strncpy(request.job_name, "mail/2:17", sizeof(request.job_name) - 1);
    request.run = 3;
    request.attempt = 2;
    struct exec_result result = run(request);
    assert_output(&result, "mail/2:17 3 2 tester 2 no\n0\n");
    result = run(shell("echo $STINT_JOB_ID $INHERITED"));
    assert_output(&result, "17 yes\n");
}
END_TEST

START_TEST(a_job_has_three_descriptors_a_group_and_clean_signals)
{
    struct exec_result result = run(shell("ls /proc/self/fd | wc -l")); /* and that of ls itself */
    assert_output(&result, "4\n");
    result = run(shell("[ $(cut -d' ' -f5 /proc/$$/stat) = $$ ] && echo own group"));
    assert_output(&result, "own group\n");
    result = run(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status"));
    assert_output(&result, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}
END_TEST

START_TEST(bad_requests_are_refused_and_leave_the_slot_usable)
{
    enum { HUGE_BYTES = 5 << 20 };
    struct error err = {0};
    uint8_t *huge = calloc(1, HUGE_BYTES);
    ck_assert_ptr_nonnull(huge);
    memset(huge, 'x', HUGE_BYTES - 1);
    struct exec_request good = shell("exit 1");

    struct exec_request bad = good;
    bad.argv = (struct bytes){huge, HUGE_BYTES};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_LIMIT);
    ck_assert_str_eq(err.text, "command of 5242880 bytes: at most 131072");
    bad.argv = (struct bytes){NULL, 0};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_INVALID);
    bad.argv = (struct bytes){(const uint8_t *)"\0a", 3};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_INVALID);
    bad.argv = (struct bytes){(const uint8_t *)"true", 4};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_INVALID);
    bad = good;
    bad.env = (struct bytes){(const uint8_t *)"A=1\0B", 6};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_INVALID);
    ck_assert_str_eq(err.text, "environment: 'B' is not NAME=VALUE");
    bad.env = (struct bytes){huge, HUGE_BYTES};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_LIMIT);
    bad = good;
    bad.stdin_bytes = (struct bytes){huge, HUGE_BYTES};
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_LIMIT);
    bad = good;
    bad.cwd = (const char *)huge;
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_LIMIT);
    bad = good;
    bad.output_cap_bytes = LIMIT_OUTPUT_BYTES + 1;
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_LIMIT);
    bad = good;
    bad.limits = &(struct exec_limit){RLIM_NLIMITS, 1};
    bad.n_limits = 1;
    ck_assert_int_eq(exec_slot_start(slot, &bad, &err), ERR_INVALID);
    free(huge);
    ck_assert_int_eq(run(good).exit_code, 1);
}
END_TEST

START_TEST(the_longest_argument_and_environment_arrive)
{
    enum { LONG_BYTES = 100000, MANY = LIMIT_ENV_BYTES / 4 };
    static char text[LIMIT_ARGV_BYTES];
    static char env[LIMIT_ENV_BYTES];
    const char script[] = "sh\0-c\0printf %s \"$0\" | wc -c; exit $A";
    memcpy(text, script, sizeof(script));
    memset(text + sizeof(script), 'y', LONG_BYTES);
    for (size_t i = 0; i < MANY; i++)
        memcpy(env + 4 * i, i + 1 < MANY ? "A=1" : "A=8", 4);
    struct exec_request request = shell("");
    request.argv = (struct bytes){(const uint8_t *)text, sizeof(script) + LONG_BYTES + 1};
    request.env = (struct bytes){(const uint8_t *)env, sizeof(env)};
    struct exec_result result = run(request);
    assert_output(&result, "100000\n");
    ck_assert_int_eq(result.exit_code, 8);
}
END_TEST

START_TEST(a_slot_runs_one_job_at_a_time)
{
    struct exec_request request = shell("sleep 1000");
    struct error err = {0};
    ck_assert_int_eq(exec_slot_end(slot, 0), ERR_NOT_FOUND);
    start(&request);
    ck_assert_int_eq(exec_slot_start(slot, &request, &err), ERR_BUSY);
    ck_assert_int_eq(exec_slot_end(slot, 0), 0);
    struct exec_result result;
    ck_assert_int_eq(await(slot, &result), 1);
    ck_assert_int_eq(result.end, EXEC_ENDED);
    ck_assert_int_eq(result.signal, SIGKILL);
}
END_TEST

START_TEST(an_end_asked_too_late_does_not_reach_the_next_job)
{
    for (int i = 0; i < 50; i++) {
        struct exec_request request = request_for("/bin/true", NULL, NULL, NULL);
        start(&request);
        struct pollfd ready = {.fd = exec_slot_fd(slot), .events = POLLIN};
        ck_assert_int_eq(poll(&ready, 1, BOUND_MS), 1);
        ck_assert_int_eq(exec_slot_end(slot, 0), 0); /* its result is written already */
        struct exec_result result;
        ck_assert_int_eq(await(slot, &result), 1);
        ck_assert_int_eq(result.end, EXEC_EXITED);
        ck_assert_int_eq(run(shell("exit 6")).exit_code, 6);
    }
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("exec");
    TCase *runs = tcase_create("runs");
    tcase_add_checked_fixture(runs, set_up, tear_down);
    tcase_add_test(runs, an_exit_status_is_told);
    tcase_add_test(runs, a_signal_is_told);
    tcase_add_test(runs, cpu_time_is_counted);
    tcase_add_test(runs, stdout_and_stderr_come_in_order);
    tcase_add_test(runs, only_the_tail_of_the_output_is_kept);
    tcase_add_test(runs, a_job_that_closes_its_output_goes_on);
    tcase_add_test(runs, stdin_is_what_was_given_or_nothing);
    tcase_add_test(runs, a_stdin_of_the_largest_size_arrives_whole);
    tcase_add_test(runs, the_working_folder_is_entered_or_its_absence_told);
    tcase_add_test(runs, a_command_that_cannot_run_is_told);
    tcase_add_test(runs, the_command_is_looked_up_in_the_jobs_own_path);
    tcase_add_test(runs, resource_limits_hold);
    tcase_add_test(runs, the_environment_has_the_markers_and_no_secret);
    tcase_add_test(runs, a_job_has_three_descriptors_a_group_and_clean_signals);
    tcase_add_test(runs, bad_requests_are_refused_and_leave_the_slot_usable);
    tcase_add_test(runs, the_longest_argument_and_environment_arrive);
    tcase_add_test(runs, a_slot_runs_one_job_at_a_time);
    tcase_add_test(runs, an_end_asked_too_late_does_not_reach_the_next_job);
    suite_add_tcase(suite, runs);
    return suite;
}

int main(int argc, char **argv)
{
    ssize_t len = readlink("/proc/self/exe", self_path, sizeof(self_path) - 1);
    if (len <= 0)
        return EXIT_FAILURE;
    if (argc > 2 && strcmp(argv[1], "--helper") == 0)
        return help(argc, argv);
    SRunner *runner = srunner_create(make_suite());
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
