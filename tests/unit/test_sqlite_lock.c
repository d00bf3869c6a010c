/* Goal: the lock excludes, starves nobody, and is never lost to a dead or frozen holder, while a
 * slow or foreign holder is left alone and named.
 * Method: several processes on one pair of lock files, their counts in shared memory; a child that
 * stops itself inside the lock; a holder's record rewritten to look like a stranger's. */
#include "datastore/sqlite_lock.h"

#include <check.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROCESSES = 4, TAKES = 4000, FROZEN_MS = 100, PATIENT_MS = 60000 };

struct shared {
    volatile int ready;
    volatile int total; /* plain: only the lock protects it */
    volatile int taken[PROCESSES];
    volatile int spin;
    volatile int stop;
};

static char folder[64], path[80];
static struct shared *shared;

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/stint-lock-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/store", folder);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(shared != MAP_FAILED);
}

static void teardown(void)
{
    char name[128];
    snprintf(name, sizeof(name), "%s-lock.next", path);
    unlink(name);
    snprintf(name, sizeof(name), "%s-lock.main", path);
    unlink(name);
    rmdir(folder);
    munmap(shared, sizeof(*shared));
}

static struct sqlite_lock *lock_new(int64_t frozen_ms)
{
    struct error err;
    struct sqlite_lock *lock = malloc(sizeof(*lock));
    ck_assert_ptr_nonnull(lock);
    ck_assert_int_eq(sqlite_lock_open(lock, path, frozen_ms, &err), 0);
    return lock;
}

static void lock_free(struct sqlite_lock *lock)
{
    sqlite_lock_close(lock);
    free(lock);
}

/* Takes and gives back until all together have done it often enough. */
static void contend(int self)
{
    struct error err;
    struct sqlite_lock *lock = lock_new(PATIENT_MS);
    __atomic_add_fetch(&shared->ready, 1, __ATOMIC_SEQ_CST);
    while (shared->ready < PROCESSES)
        sched_yield();
    for (bool more = true; more;) {
        if (sqlite_lock_take(lock, &err) < 0)
            _exit(1);
        int before = shared->total;
        more = before < TAKES;
        if (more) {
            sched_yield(); /* whoever else is inside now loses a count */
            shared->total = before + 1;
            shared->taken[self]++;
        }
        sqlite_lock_give(lock);
    }
    lock_free(lock);
    _exit(0);
}

START_TEST(processes_exclude_each_other)
{
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (children[i] == 0)
            contend(i);
    }
    int sum = 0, status;
    for (int i = 0; i < PROCESSES; i++) {
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
        sum += shared->taken[i];
    }
    ck_assert_int_eq(shared->total, TAKES);
    ck_assert_int_eq(sum, TAKES);
}
END_TEST

/* Somebody has passed the turnstile and waits for the one inside. */
static bool somebody_waits(int next_fd)
{
    if (flock(next_fd, LOCK_EX | LOCK_NB) < 0)
        return true;
    flock(next_fd, LOCK_UN);
    return false;
}

static void take_again_and_again(void)
{
    struct error err;
    struct sqlite_lock *lock = lock_new(PATIENT_MS);
    while (!shared->stop) {
        if (sqlite_lock_take(lock, &err) < 0)
            _exit(1);
        shared->total++;
        sqlite_lock_give(lock);
    }
    _exit(0);
}

START_TEST(one_that_waits_goes_before_one_that_comes_back)
{
    struct error err;
    char next[128];
    int status;
    struct sqlite_lock *lock = lock_new(PATIENT_MS);
    snprintf(next, sizeof(next), "%s-lock.next", path);
    int next_fd = open(next, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(next_fd, 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        take_again_and_again();
    ck_assert_int_eq(sqlite_lock_take(lock, &err), 0);
    for (int round = 0; round < 200; round++) {
        while (!somebody_waits(next_fd))
            sched_yield();
        int before = shared->total;
        sqlite_lock_give(lock);
        ck_assert_int_eq(sqlite_lock_take(lock, &err), 0);
        ck_assert_int_gt(shared->total, before);
    }
    shared->stop = 1;
    sqlite_lock_give(lock);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    close(next_fd);
    lock_free(lock);
}
END_TEST

/* A child that holds the lock (or only its turnstile) and then does `then`. */
static pid_t holder_start(bool only_next, void (*then)(void))
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child != 0)
        return child;
    struct error err;
    struct sqlite_lock *lock = lock_new(PATIENT_MS);
    if (sqlite_lock_take(lock, &err) < 0)
        _exit(1);
    if (only_next) { /* as if it were stopped just before it takes `main` */
        if (pwrite(lock->next_fd, &lock->self, sizeof(lock->self), 0) < 0 ||
            flock(lock->next_fd, LOCK_EX) < 0)
            _exit(1);
        sqlite_lock_give(lock);
    }
    then();
    _exit(0);
}

static void stop(void)
{
    raise(SIGSTOP);
}

static void spin(void)
{
    shared->ready = 1;
    while (shared->spin)
        continue;
}

static void leave(void)
{
}

static void stopped_wait(pid_t child)
{
    int status;
    ck_assert_int_eq(waitpid(child, &status, WUNTRACED), child);
    ck_assert(WIFSTOPPED(status));
}

static void frozen_is_killed(bool only_next)
{
    struct error err;
    int status;
    pid_t child = holder_start(only_next, stop);
    stopped_wait(child);
    struct sqlite_lock *lock = lock_new(FROZEN_MS);
    ck_assert_msg(sqlite_lock_take(lock, &err) == 0, "%s", err.text);
    ck_assert_uint_eq(lock->killed, 1);
    sqlite_lock_give(lock);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    lock_free(lock);
}

START_TEST(a_holder_stopped_inside_is_killed)
{
    frozen_is_killed(false);
}
END_TEST

START_TEST(one_stopped_in_the_turnstile_is_killed)
{
    frozen_is_killed(true);
}
END_TEST

START_TEST(a_dead_holder_holds_nothing)
{
    struct error err;
    int status;
    pid_t child = holder_start(false, leave);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    struct sqlite_lock *lock = lock_new(PATIENT_MS);
    ck_assert_int_eq(sqlite_lock_take(lock, &err), 0);
    ck_assert_uint_eq(lock->killed, 0);
    sqlite_lock_give(lock);
    lock_free(lock);
}
END_TEST

/* Asserts that the lock cannot be had, that the text names the child, and that it still lives. */
static void refused_and_alive(pid_t child)
{
    struct error err = {0};
    char named[32];
    struct sqlite_lock *lock = lock_new(FROZEN_MS);
    ck_assert_int_eq(sqlite_lock_take(lock, &err), ERR_UNAVAILABLE);
    snprintf(named, sizeof(named), "process %d ", (int)child);
    ck_assert_msg(strstr(err.text, named) != NULL, "%s", err.text);
    ck_assert_uint_eq(lock->killed, 0);
    ck_assert_int_eq(kill(child, 0), 0);
    lock_free(lock);
}

START_TEST(a_slow_holder_is_left_alone_and_named)
{
    struct error err;
    int status;
    shared->spin = 1;
    pid_t child = holder_start(false, spin);
    while (!shared->ready)
        sched_yield();
    refused_and_alive(child);
    shared->spin = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    /* Nothing is left over from having given up. */
    struct sqlite_lock *lock = lock_new(PATIENT_MS);
    ck_assert_int_eq(sqlite_lock_take(lock, &err), 0);
    sqlite_lock_give(lock);
    lock_free(lock);
}
END_TEST

START_TEST(a_stranger_frozen_inside_is_left_alone_and_named)
{
    struct lock_holder holder;
    int status;
    pid_t child = holder_start(false, stop);
    stopped_wait(child);
    struct sqlite_lock *lock = lock_new(FROZEN_MS);
    ck_assert_int_eq(pread(lock->main_fd, &holder, sizeof(holder), 0), sizeof(holder));
    if (_i == 0)
        holder.boot_id[0] = 'x';
    else if (_i == 1)
        holder.uid++;
    else if (_i == 2)
        holder.pid_ns++;
    else
        holder.start++;
    ck_assert_int_eq(pwrite(lock->main_fd, &holder, sizeof(holder), 0), sizeof(holder));
    lock_free(lock);
    refused_and_alive(child);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
}
END_TEST

START_TEST(holders_keep_a_number_for_each_other)
{
    struct error err;
    struct sqlite_lock *a = lock_new(PATIENT_MS), *b = lock_new(PATIENT_MS);
    ck_assert_int_eq(sqlite_lock_take(a, &err), 0);
    sqlite_lock_note(a, 4711);
    sqlite_lock_give(a);
    ck_assert_int_eq(sqlite_lock_take(b, &err), 0);
    ck_assert_int_eq(b->self.note, 4711);
    ck_assert_uint_eq(b->self.count, a->self.count + 1);
    sqlite_lock_give(b);
    lock_free(a);
    lock_free(b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite_lock");
    TCase *tcase = tcase_create("sqlite_lock");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, processes_exclude_each_other);
    tcase_add_test(tcase, one_that_waits_goes_before_one_that_comes_back);
    tcase_add_test(tcase, a_holder_stopped_inside_is_killed);
    tcase_add_test(tcase, one_stopped_in_the_turnstile_is_killed);
    tcase_add_test(tcase, a_dead_holder_holds_nothing);
    tcase_add_test(tcase, a_slow_holder_is_left_alone_and_named);
    tcase_add_loop_test(tcase, a_stranger_frozen_inside_is_left_alone_and_named, 0, 4);
    tcase_add_test(tcase, holders_keep_a_number_for_each_other);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
