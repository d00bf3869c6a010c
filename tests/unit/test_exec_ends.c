/* Goal: no process of a job survives its end, its keeper or its node, whatever it does to hide.
 * Method: real reaper, keepers and jobs, most of them this program again in a helper mode.
 * Survivors are counted by a token in any process's environment or arguments, never by
 * parentage. */
#define _GNU_SOURCE
#include "tests/support/jobs.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- Ends ------------------------------------------------------------------------ */

START_TEST(a_time_out_sends_term_first)
{
    struct exec_request request =
        shell("trap 'echo got term; exit 9' TERM; echo ready; sleep 1000 & wait");
    request.grace_ms = BOUND_MS;
    struct exec_result result = run_out_of_time(request);
    ck_assert_int_eq(result.end, EXEC_TIMED_OUT);
    ck_assert_int_eq(result.exit_code, 9);
    assert_output(&result, "ready\ngot term\n");
}
END_TEST

START_TEST(a_time_out_kills_what_ignores_term)
{
    struct exec_result result = run_out_of_time(helper("stubborn"));
    ck_assert_int_eq(result.end, EXEC_TIMED_OUT);
    ck_assert_int_eq(result.signal, SIGKILL);
    ck_assert_int_eq(count_marked(), 0);
}
END_TEST

START_TEST(a_stopped_job_is_ended_too)
{
    struct exec_request request = shell("trap 'exit 9' TERM; echo ready; kill -STOP $$");
    request.grace_ms = BOUND_MS;
    struct exec_result result = run_out_of_time(request);
    ck_assert_int_eq(result.end, EXEC_TIMED_OUT);
    ck_assert_int_eq(result.exit_code, 9);
}
END_TEST

/* Starts the helper, sees `processes` of it, ends it, and sees none. */
static void end_tree(const char *mode, int low, int high)
{
    struct exec_request request = helper(mode);
    start(&request);
    wait_until_marked(low, high);
    ck_assert_int_eq(exec_slot_end(slot, 20), 0);
    struct exec_result result;
    ck_assert_int_eq(await(slot, &result), 1);
    ck_assert_int_eq(count_marked(), 0);
    ck_assert_int_eq(result.end, EXEC_ENDED);
    ck_assert_str_eq(result.error, "");
    ck_assert_int_eq(run(shell("exit 2")).exit_code, 2);
}

START_TEST(daemons_without_environment_are_ended)
{
    end_tree("daemon", 2, 2);
}
END_TEST

START_TEST(a_fork_bomb_is_ended)
{
    end_tree("bomb", TREE, TREE + 1);
}
END_TEST

START_TEST(processes_that_never_stay_are_ended)
{
    end_tree("hares", 1, 100);
}
END_TEST

START_TEST(processes_that_never_stay_in_a_session_are_ended)
{
    end_tree("session-hares", 1, 100);
}
END_TEST

START_TEST(nothing_outlives_the_root_of_a_job)
{
    for (int i = 0; i < 10; i++) {
        struct exec_result result = run(helper("daemon-exit"));
        ck_assert_int_eq(result.end, EXEC_EXITED);
        ck_assert_int_eq(result.exit_code, 7);
        ck_assert_int_eq(count_marked(), 0);
    }
}
END_TEST

START_TEST(a_held_pipe_does_not_hold_up_the_result)
{
    struct exec_result result = run(shell("setsid sleep 1000 & echo done"));
    ck_assert_int_eq(result.end, EXEC_EXITED);
    assert_output(&result, "done\n");
}
END_TEST

START_TEST(closing_a_slot_ends_its_job_and_no_other)
{
    struct exec_slot *other = NULL;
    ck_assert_int_eq(exec_slot_open(reaper, &other, NULL), 0);
    struct exec_request request = helper("daemon");
    ck_assert_int_eq(exec_slot_start(other, &request, NULL), 0);
    wait_until_marked(2, 2);
    request = shell("read line < /dev/null; sleep 1000");
    start(&request);
    wait_until_marked(3, 4);
    exec_slot_close(other);
    wait_until_marked(1, 2);
    ck_assert_int_eq(exec_slot_end(slot, 0), 0);
    struct exec_result result;
    ck_assert_int_eq(await(slot, &result), 1);
    ck_assert_int_eq(result.end, EXEC_ENDED);
}
END_TEST

/* --- Deaths ----------------------------------------------------------------------------------- */

START_TEST(the_tree_of_a_killed_keeper_is_ended_and_the_slot_says_so)
{
    struct exec_slot *other = NULL;
    ck_assert_int_eq(exec_slot_open(reaper, &other, NULL), 0);
    struct exec_request request = shell("echo $PPID; exit 0"); /* a job's parent is its keeper */
    struct exec_result result = run(request);
    pid_t keeper = (pid_t)strtol((const char *)result.output.data, NULL, 10);
    ck_assert_int_gt(keeper, 1);
    request = helper("daemon");
    start(&request);
    wait_until_marked(2, 2);
    ck_assert_int_eq(kill(keeper, SIGKILL), 0);
    ck_assert_int_lt(await(slot, &result), 0);
    wait_until_marked(0, 0);
    struct error err = {0};
    ck_assert_int_eq(exec_slot_start(slot, &request, &err), ERR_IO);
    exec_slot_close(slot);
    slot = other; /* the others go on */
    ck_assert_int_eq(run(shell("exit 3")).exit_code, 3);
}
END_TEST

START_TEST(keepers_end_their_trees_when_the_reaper_is_killed)
{
    struct exec_request request = helper("daemon");
    start(&request);
    wait_until_marked(2, 2);
    ck_assert_int_eq(kill(reaper_pid(reaper), SIGKILL), 0);
    struct exec_result result;
    ck_assert_int_lt(await(slot, &result), 0);
    wait_until_marked(0, 0);
    struct exec_slot *other = NULL;
    ck_assert_int_eq(exec_slot_open(reaper, &other, NULL), ERR_IO);
}
END_TEST

/* A node of its own that runs a job of each kind, says so, and waits. */
static void be_a_node(int ready_fd)
{
    static const char *const modes[] = {"sleeper", "stubborn", "daemon", "bomb", "hares",
                                        "session-hares"};
    enum { MODES = sizeof(modes) / sizeof(modes[0]) };
    struct reaper *own = NULL;
    struct exec_slot *slots[MODES];
    if (reaper_start(&own, NULL) != 0)
        _exit(1);
    for (int i = 0; i < MODES; i++) {
        struct exec_request request = helper(modes[i]);
        if (exec_slot_open(own, &slots[i], NULL) != 0 ||
            exec_slot_start(slots[i], &request, NULL) != 0)
            _exit(1);
    }
    if (write(ready_fd, "x", 1) != 1)
        _exit(1);
    sleep_for_ever();
}

START_TEST(nothing_outlives_a_killed_node)
{
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    pid_t node = fork();
    ck_assert_int_ge(node, 0);
    if (node == 0)
        be_a_node(fds[1]);
    char byte = 0;
    ck_assert_int_eq(read(fds[0], &byte, 1), 1);
    wait_until_marked(TREE, 2 * TREE);
    uint64_t killed_ms = now_ms();
    ck_assert_int_eq(kill(node, SIGKILL), 0);
    ck_assert_int_eq(waitpid(node, NULL, 0), node);
    wait_until_marked(0, 0);
    fprintf(stderr, "gone %d ms after the node\n", (int)(now_ms() - killed_ms));
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(stopping_the_reaper_ends_everything)
{
    struct exec_request request = helper("bomb");
    start(&request);
    wait_until_marked(TREE, TREE + 1);
    reaper_stop(reaper);
    reaper = NULL;
    ck_assert_int_eq(count_marked(), 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("exec_ends");
    TCase *ends = tcase_create("ends");
    tcase_add_checked_fixture(ends, set_up, tear_down);
    tcase_add_test(ends, a_time_out_sends_term_first);
    tcase_add_test(ends, a_time_out_kills_what_ignores_term);
    tcase_add_test(ends, a_stopped_job_is_ended_too);
    tcase_add_test(ends, daemons_without_environment_are_ended);
    tcase_add_test(ends, a_fork_bomb_is_ended);
    tcase_add_test(ends, processes_that_never_stay_are_ended);
    tcase_add_test(ends, processes_that_never_stay_in_a_session_are_ended);
    tcase_add_test(ends, nothing_outlives_the_root_of_a_job);
    tcase_add_test(ends, a_held_pipe_does_not_hold_up_the_result);
    tcase_add_test(ends, closing_a_slot_ends_its_job_and_no_other);
    suite_add_tcase(suite, ends);
    TCase *deaths = tcase_create("deaths");
    tcase_add_checked_fixture(deaths, set_up, tear_down);
    tcase_add_test(deaths, the_tree_of_a_killed_keeper_is_ended_and_the_slot_says_so);
    tcase_add_test(deaths, keepers_end_their_trees_when_the_reaper_is_killed);
    tcase_add_test(deaths, nothing_outlives_a_killed_node);
    tcase_add_test(deaths, stopping_the_reaper_ends_everything);
    suite_add_tcase(suite, deaths);
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
