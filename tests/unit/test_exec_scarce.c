/* Goal: a job that could not be started because the machine had no process to spare is told apart
 * from one that can never be started, and runs when there is one again.
 * Method: a user of the test's own with a limit on processes, all taken; then one let go. */
#define _GNU_SOURCE
#include "tests/support/jobs.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* This process, the reaper, the keeper, and one that is in the way of the job. */
enum { PROCESSES = 4, FIRST_FREE_USER = 200000 };

static pid_t in_the_way(void)
{
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        sleep_for_ever();
    return pid;
}

START_TEST(a_job_waits_for_a_process)
{
    if (getuid() != 0) {
        printf(
            "SKIPPED a_job_waits_for_a_process: only root can become a user without processes\n");
        return;
    }
    const struct rlimit limit = {PROCESSES, PROCESSES};
    uid_t user = FIRST_FREE_USER + (uid_t)getpid();
    ck_assert_int_eq(setrlimit(RLIMIT_NPROC, &limit), 0);
    ck_assert_int_eq(setresuid(user, user, user), 0);
    struct error err;
    ck_assert_int_eq(reaper_start(&reaper, &err), 0);
    ck_assert_int_eq(exec_slot_open(reaper, &slot, &err), 0);
    pid_t other = in_the_way();

    struct exec_result result = run(request_for("/bin/true", NULL, NULL, NULL));
    ck_assert_int_eq(result.end, EXEC_NOT_STARTED);
    ck_assert_str_eq(result.error, "cannot start a process: Resource temporarily unavailable");
    ck_assert_int_eq(run(request_for("/no/such", NULL, NULL, NULL)).end, EXEC_NOT_STARTED);

    ck_assert_int_eq(kill(other, SIGKILL), 0);
    ck_assert_int_eq(waitpid(other, NULL, 0), other);
    result = run(request_for("/bin/true", NULL, NULL, NULL));
    ck_assert_int_eq(result.end, EXEC_EXITED);
    ck_assert_int_eq(result.exit_code, 0);
    ck_assert_int_eq(run(request_for("/no/such", NULL, NULL, NULL)).end, EXEC_SPAWN_FAILED);
    exec_slot_close(slot);
    reaper_stop(reaper);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exec_scarce");
    TCase *tcase = tcase_create("exec_scarce");
    tcase_add_test(tcase, a_job_waits_for_a_process);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
