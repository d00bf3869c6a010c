/* Goal: a node tells a neighbour's process that is there from one that is gone, and says so only
 * where it can see.
 * Method: real child processes, held at a pipe: alive, a zombie, waited for; records that differ in
 * one field; a child in a pid namespace of its own under the outer /proc. */
#define _GNU_SOURCE
#include "node/host.h"

#include <check.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void identify(struct node *ret_node)
{
    *ret_node = (struct node){0};
    host_identify(ret_node);
}

/* A child that waits to be killed, and its record as it wrote it itself. */
static pid_t child_start(struct node *ret_node)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct node node;
        identify(&node);
        if (write(ends[1], &node, sizeof(node)) != sizeof(node))
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ends[0], ret_node, sizeof(*ret_node)), sizeof(*ret_node));
    close(ends[0]);
    close(ends[1]);
    return pid;
}

START_TEST(a_process_is_there_until_it_ends)
{
    struct node self, peer;
    identify(&self);
    ck_assert_int_eq(host_process_alive(&self, &self), 1);
    pid_t pid = child_start(&peer);
    ck_assert_int_eq(peer.pid, pid);
    ck_assert_int_gt(peer.pid_start, 0);
    ck_assert_int_eq(host_process_alive(&self, &peer), 1);
    ck_assert_int_eq(kill(pid, SIGSTOP), 0);
    ck_assert_int_eq(host_process_alive(&self, &peer), 1); /* frozen is not gone */
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    siginfo_t info;
    ck_assert_int_eq(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    ck_assert_int_eq(host_process_alive(&self, &peer), 0); /* a zombie does nothing any more */
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(host_process_alive(&self, &peer), 0);
}
END_TEST

START_TEST(another_process_under_the_same_number_is_not_it)
{
    struct node self, peer;
    identify(&self);
    peer = self;
    peer.pid_start--;
    ck_assert_int_eq(host_process_alive(&self, &peer), 0);
}
END_TEST

START_TEST(what_cannot_be_seen_is_not_judged)
{
    struct node self, peer;
    identify(&self);
    pid_t pid = child_start(&peer);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    const struct node gone = peer;
    ck_assert_int_eq(host_process_alive(&self, &peer), 0);
    peer.boot_id[0] ^= 1;
    ck_assert_int_eq(host_process_alive(&self, &peer), -1);
    peer = gone;
    peer.boot_id[0] = '\0';
    ck_assert_int_eq(host_process_alive(&self, &peer), -1);
    peer = gone;
    peer.host[0] ^= 1;
    ck_assert_int_eq(host_process_alive(&self, &peer), -1);
    peer = gone;
    peer.pid_ns++;
    ck_assert_int_eq(host_process_alive(&self, &peer), -1);
    peer = gone;
    peer.pid_start = 0;
    ck_assert_int_eq(host_process_alive(&self, &peer), -1);
    const int64_t bad_pids[] = {0, -1, INT64_C(1) << 32};
    for (size_t i = 0; i < 3; i++) {
        peer = gone;
        peer.pid = bad_pids[i];
        ck_assert_int_eq(host_process_alive(&self, &peer), -1);
    }
}
END_TEST

/* In a pid namespace whose /proc is still the outer one, its numbers are other processes'. Exit
 * status: 0 as it should be, 1 not so, 77 no such namespace here. */
static int namespace_check(void)
{
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0)
        return 77;
    pid_t pid = fork();
    if (pid == 0) {
        struct node self, outside;
        identify(&self);
        outside = self;
        outside.pid = 12345; /* nobody here, whoever that is out there */
        bool right = self.pid == 1 && host_process_alive(&self, &self) == -1 &&
                     host_process_alive(&self, &outside) == 0;
        _exit(right ? 0 : 1);
    }
    int status = 1;
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status)
                                                                           : 77;
}

START_TEST(a_foreign_proc_is_not_believed)
{
    struct node self;
    identify(&self);
    fflush(stdout);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(namespace_check());
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        printf(
            "SKIPPED a_foreign_proc_is_not_believed: this machine lets us make no pid namespace\n");
    else
        ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(the_host_names_a_node)
{
    char name[LIMIT_NAME_BYTES + 1];
    host_name(name);
    ck_assert(name_valid(name));
    struct node self;
    identify(&self);
    ck_assert_str_eq(self.host, name);
    ck_assert_str_eq(self.version, STINT_VERSION);
    ck_assert_int_eq(self.pid, getpid());
    ck_assert_int_ne(self.pid_ns, 0);
    ck_assert_uint_eq(strlen(self.boot_id), 36);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("host");
    TCase *tcase = tcase_create("host");
    tcase_add_test(tcase, a_process_is_there_until_it_ends);
    tcase_add_test(tcase, another_process_under_the_same_number_is_not_it);
    tcase_add_test(tcase, what_cannot_be_seen_is_not_judged);
    tcase_add_test(tcase, a_foreign_proc_is_not_believed);
    tcase_add_test(tcase, the_host_names_a_node);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
