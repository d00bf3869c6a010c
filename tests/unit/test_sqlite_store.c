/* Goal: a SQLite store that cannot be opened or written to says what is wrong and what to do, and
 * nothing that was acknowledged is lost.
 * Method: files and folders of the wrong kind; a small tmpfs filled up and freed again (as root);
 * a folder that an ordinary user may only read (as root, in a child); records damaged by SQL. */
#define _GNU_SOURCE /* nftw */
#include "datastore/sqlite.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], path[96];

static int entry_delete(const char *name, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(name);
}

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/stint-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/store.db", folder);
}

static void teardown(void)
{
    nftw(folder, entry_delete, 16, FTW_DEPTH | FTW_PHYS);
}

static struct datastore *open_ok(const char *uri, unsigned flags)
{
    struct datastore *ds = NULL;
    struct error err = {0};
    int rc = datastore_open(uri, flags, &ds, &err);
    ck_assert_msg(rc == 0, "%s: %s", uri, err.text);
    return ds;
}

/* Asserts the code, and that the text holds `says`. */
static void open_refused(const char *uri, unsigned flags, int code, const char *says)
{
    struct datastore *ds = NULL;
    struct error err = {0};
    int rc = datastore_open(uri, flags, &ds, &err);
    ck_assert_msg(rc == code, "%s: %d %s", uri, rc, err.text);
    ck_assert_ptr_null(ds);
    ck_assert_int_eq(err.code, code);
    ck_assert_msg(strstr(err.text, says) != NULL, "'%s' does not say '%s'", err.text, says);
    ck_assert_ptr_null(strchr(err.text, '\n'));
}

static void sql_do(const char *file, const char *sql)
{
    sqlite3 *db = NULL;
    ck_assert_int_eq(sqlite3_open(file, &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void file_write(const char *file, const char *text)
{
    FILE *out = fopen(file, "we");
    ck_assert_ptr_nonnull(out);
    ck_assert_int_ge(fputs(text, out), 0);
    ck_assert_int_eq(fclose(out), 0);
}

static int entries_in(const char *name)
{
    char command[160], count[16] = "";
    snprintf(command, sizeof(command), "ls -A %s | wc -l", name);
    FILE *in = popen(command, "re");
    ck_assert_ptr_nonnull(in);
    ck_assert_ptr_nonnull(fgets(count, sizeof(count), in));
    pclose(in);
    return (int)strtol(count, NULL, 10);
}

/* Submits `count` jobs with a payload of `bytes` each; the code, and the first id. */
static int submit(struct datastore *ds, size_t count, size_t bytes, int64_t *ret_first,
                  struct error *err)
{
    struct job *jobs = calloc(count, sizeof(*jobs));
    uint8_t *payload = calloc(1, bytes + 1);
    ck_assert(jobs != NULL && payload != NULL);
    for (size_t i = 0; i < count; i++)
        jobs[i] = (struct job){
            .run = 1, .type = "noop", .token = (int64_t)i + 1, .payload = {payload, bytes}};
    struct ds_step steps[] = {
        {.kind = DS_RESERVE, .reserve = {.count = (int64_t)count}},
        {.kind = DS_INSERT, .insert = {.jobs = jobs, .n_jobs = count, .from_reserve = true}}};
    struct ds_run run = {.steps = steps, .n_steps = 2};
    int rc = datastore_run(ds, &run);
    *ret_first = steps[0].reserve.ret_first;
    *err = run.err;
    arena_release(&run.mem);
    free(payload);
    free(jobs);
    return rc;
}

static int64_t submit_ok(struct datastore *ds, size_t count)
{
    struct error err;
    int64_t first = 0;
    ck_assert_msg(submit(ds, count, 32, &first, &err) == 0, "%s", err.text);
    return first;
}

/* How many rows there are from `a` on. */
static size_t rows_from(struct datastore *ds, int64_t a)
{
    struct arena mem = {0};
    struct error err;
    size_t n = 0;
    for (int64_t at = a, next; at < a + 100000; at = next) {
        struct ds_step step = {.kind = DS_LOAD,
                               .load = {.range = {.a = at, .b = a + 100000}, .rows_max = 4096}};
        ck_assert_msg(datastore_step(ds, &step, &mem, &err) == 0, "%s", err.text);
        n += step.load.ret_n;
        next = step.load.ret_next;
    }
    arena_release(&mem);
    return n;
}

/* ---- opening -------------------------------------------------------------------------------- */

START_TEST(a_uri_names_a_file)
{
    char uri[160], made[160];
    struct stat st;
    snprintf(uri, sizeof(uri), "sqlite:%s/deep/er/store.db?namespace=x&frozen_ms=100", folder);
    open_refused(uri, 0, ERR_NOT_FOUND, "stint store init");
    datastore_close(open_ok(uri, DS_CREATE));
    snprintf(made, sizeof(made), "%s/deep/er/store.db.x", folder);
    ck_assert_int_eq(stat(made, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    snprintf(made, sizeof(made), "%s/deep", folder);
    ck_assert_int_eq(stat(made, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0700);
    /* A relative bare path, and one that SQLite would take for a URI. */
    ck_assert_int_eq(chdir(folder), 0);
    datastore_close(open_ok("bare.db", DS_CREATE));
    datastore_close(open_ok("sqlite:file:odd", DS_CREATE));
    ck_assert_int_eq(access("bare.db", F_OK), 0);
    ck_assert_int_eq(access("file:odd", F_OK), 0);
}
END_TEST

START_TEST(a_bad_uri_is_refused)
{
    open_refused("redis://localhost", 0, ERR_INVALID, "redis");
    open_refused("sqlite:", 0, ERR_INVALID, "no path");
    open_refused("sqlite:/tmp/x?namespace=a/b", 0, ERR_INVALID, "namespace");
    open_refused("sqlite:/tmp/x?namespace=", 0, ERR_INVALID, "namespace");
    open_refused("sqlite:/tmp/x?frozen_ms=0", 0, ERR_INVALID, "frozen_ms");
    open_refused("sqlite:/tmp/x?frozen_ms=1x", 0, ERR_INVALID, "frozen_ms");
    open_refused("sqlite:/tmp/x?mode=memory", 0, ERR_INVALID, "mode");
    char longer[2 * LIMIT_PATH_BYTES];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    open_refused(longer, DS_CREATE, ERR_INVALID, "too long");
}
END_TEST

START_TEST(a_folder_is_refused)
{
    open_refused(folder, DS_CREATE, ERR_INVALID, "is a folder");
    open_refused(folder, DS_READ_ONLY, ERR_INVALID, "is a folder");
    file_write(path, "");
    char below[160];
    snprintf(below, sizeof(below), "%s/x.db", path);
    open_refused(below, DS_CREATE, ERR_INVALID, "ot a directory");
}
END_TEST

START_TEST(a_file_of_another_kind_is_refused_and_left_alone)
{
    file_write(path, "This is no database, but a text that is long enough to be taken for one: "
                     "SQLite looks at the first hundred bytes of a file before it says so.\n");
    open_refused(path, DS_CREATE, ERR_CORRUPT, "name another file");
    open_refused(path, DS_READ_ONLY, ERR_CORRUPT, "name another file");
    ck_assert_int_eq(entries_in(folder), 1);
    ck_assert_int_eq(unlink(path), 0);
    sql_do(path, "CREATE TABLE mine(x); INSERT INTO mine VALUES(1)");
    open_refused(path, DS_CREATE, ERR_CORRUPT, "another program");
    ck_assert_int_eq(entries_in(folder), 1);
}
END_TEST

START_TEST(a_newer_schema_is_refused)
{
    datastore_close(open_ok(path, DS_CREATE));
    sql_do(path, "UPDATE meta SET writer_min=2");
    open_refused(path, 0, ERR_VERSION, "newer Stint");
    datastore_close(open_ok(path, DS_READ_ONLY));
    sql_do(path, "PRAGMA user_version=2");
    open_refused(path, 0, ERR_VERSION, "newer Stint");
    open_refused(path, DS_READ_ONLY, ERR_VERSION, "newer Stint");
}
END_TEST

START_TEST(network_file_systems_are_known)
{
    ck_assert_str_eq(sqlite_network_fs(NFS_SUPER_MAGIC), "NFS");
    ck_assert_str_eq(sqlite_network_fs((long)(int32_t)CIFS_SUPER_MAGIC), "CIFS");
    ck_assert_ptr_null(sqlite_network_fs(EXT4_SUPER_MAGIC));
    ck_assert_ptr_null(sqlite_network_fs(TMPFS_MAGIC));
}
END_TEST

START_TEST(a_half_made_store_is_finished)
{
    file_write(path, ""); /* as a crash between making the file and its tables leaves it */
    open_refused(path, 0, ERR_NOT_FOUND, "stint store init");
    open_refused(path, DS_READ_ONLY, ERR_NOT_FOUND, "stint store init");
    struct datastore *ds = open_ok(path, DS_CREATE);
    ck_assert_int_eq(submit_ok(ds, 1), 1);
    datastore_close(ds);
}
END_TEST

/* ---- trouble while it runs ------------------------------------------------------------------ */

START_TEST(a_damaged_record_fails_the_run_and_nothing_of_it_is_kept)
{
    struct datastore *ds = open_ok(path, DS_CREATE);
    struct error err;
    int64_t first;
    ck_assert_int_eq(submit_ok(ds, 3), 1);
    sql_do(path, "UPDATE lanes SET body=x'0102'");
    ck_assert_int_eq(submit(ds, 1, 32, &first, &err), ERR_CORRUPT);
    ck_assert_msg(strstr(err.text, path) != NULL && strstr(err.text, "lane 0") != NULL, "%s",
                  err.text);
    ck_assert_uint_eq(rows_from(ds, 1), 3);
    datastore_close(ds);
}
END_TEST

START_TEST(every_run_of_a_transaction_that_is_rolled_back_is_told)
{
    struct datastore *ds = open_ok(path, DS_CREATE);
    (void)submit_ok(ds, 1);
    struct ds_step set = {.kind = DS_QUEUE_SET, .queue_set.queue = {.name = "q", .weight = 1}};
    struct ds_step reserve = {.kind = DS_RESERVE, .reserve.count = 1};
    struct ds_run runs[] = {{.steps = &set, .n_steps = 1}, {.steps = &reserve, .n_steps = 1}};
    struct ds_run *both[] = {&runs[0], &runs[1]};
    sql_do(path, "UPDATE lanes SET body=x'0102'");
    ds->class->run(ds, both, 2);
    ck_assert_int_eq(set.rc, ERR_CORRUPT);
    ck_assert_int_eq(reserve.rc, ERR_CORRUPT);
    ck_assert_int_eq(runs[0].err.code, ERR_CORRUPT);
    arena_release(&runs[0].mem);
    arena_release(&runs[1].mem);
    struct ds_step read = {.kind = DS_QUEUES_READ};
    struct arena mem = {0};
    ck_assert_int_eq(datastore_step(ds, &read, &mem, NULL), 0);
    ck_assert_uint_eq(read.queues_read.ret_n, 1); /* "default" only */
    arena_release(&mem);
    datastore_close(ds);
}
END_TEST

START_TEST(runs_are_committed_together)
{
    enum { RUNS = 20 };
    struct datastore *ds = open_ok(path, DS_CREATE);
    struct ds_step steps[RUNS];
    struct ds_run runs[RUNS], *list[RUNS];
    for (int i = 0; i < RUNS; i++) {
        steps[i] = (struct ds_step){.kind = DS_RESERVE, .reserve.count = 1};
        runs[i] = (struct ds_run){.steps = &steps[i], .n_steps = 1, .urgent = i == RUNS - 1};
        list[i] = &runs[i];
    }
    uint64_t before = sqlite_counts_of(ds).commits;
    ds->class->run(ds, list, RUNS);
    uint64_t commits = sqlite_counts_of(ds).commits - before;
    for (int i = 0; i < RUNS; i++) {
        ck_assert_int_eq(steps[i].rc, 0);
        arena_release(&runs[i].mem);
    }
    ck_assert_int_eq(steps[RUNS - 1].reserve.ret_first, 1); /* the urgent one went first */
    ck_assert_uint_ge(commits, 1);
    ck_assert_uint_lt(commits, RUNS); /* one, unless the machine stood still */
    datastore_close(ds);
}
END_TEST

START_TEST(the_log_is_copied_back_and_does_not_grow_for_ever)
{
    char wal[128];
    struct stat st;
    struct error err;
    int64_t first;
    snprintf(wal, sizeof(wal), "%s-wal", path);
    struct datastore *ds = open_ok(path, DS_CREATE);
    for (int i = 0; i < 40; i++)
        ck_assert_int_eq(submit(ds, 1000, 3000, &first, &err), 0);
    ck_assert_uint_ge(sqlite_counts_of(ds).checkpoints, 3);
    ck_assert_int_eq(stat(wal, &st), 0);
    ck_assert_int_lt(st.st_size, 40 << 20); /* of 120 MB written */
    datastore_close(ds);
}
END_TEST

START_TEST(a_commit_rings_the_bell)
{
    struct datastore *writer = open_ok(path, DS_CREATE), *reader = open_ok(path, DS_READ_ONLY);
    struct pollfd poll_fd = {.fd = reader->class->wake_fd(reader), .events = POLLIN};
    ck_assert_int_ge(poll_fd.fd, 0);
    ck_assert_int_eq(poll(&poll_fd, 1, 0), 0);
    (void)submit_ok(writer, 1);
    ck_assert_int_eq(poll(&poll_fd, 1, 10000), 1);
    reader->class->wake_clear(reader);
    ck_assert_int_eq(poll(&poll_fd, 1, 0), 0);
    struct ds_step refused = {.kind = DS_CANCEL, .cancel.id = 99};
    struct arena mem = {0};
    ck_assert_int_eq(datastore_step(writer, &refused, &mem, NULL), ERR_NOT_FOUND);
    ck_assert_int_eq(poll(&poll_fd, 1, 0), 0);
    arena_release(&mem);
    datastore_close(reader);
    datastore_close(writer);
}
END_TEST

/* ---- as root -------------------------------------------------------------------------------- */

static bool skipped_unless_root(const char *what)
{
    if (geteuid() == 0)
        return false;
    printf("SKIP: %s: needs root\n", what);
    return true;
}

START_TEST(a_full_disk_loses_nothing)
{
    if (skipped_unless_root("a full disk"))
        return;
    if (mount("stint", folder, "tmpfs", 0, "size=8m") < 0) {
        printf("SKIP: a full disk: cannot mount a tmpfs: %s\n", strerror(errno));
        return;
    }
    struct error err = {0};
    int64_t first;
    size_t kept = 0;
    char ballast[128];
    snprintf(ballast, sizeof(ballast), "%s/ballast", folder);
    struct datastore *ds = open_ok(path, DS_CREATE);
    int fd = open(ballast, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(posix_fallocate(fd, 0, 4 << 20), 0);
    int rc;
    while ((rc = submit(ds, 100, 1000, &first, &err)) == 0)
        kept += 100;
    ck_assert_msg(rc == ERR_FULL, "%d %s", rc, err.text);
    ck_assert_msg(strstr(err.text, path) != NULL && strstr(err.text, "free some space") != NULL,
                  "%s", err.text);
    ck_assert_uint_ge(kept, 100);
    ck_assert_uint_eq(rows_from(ds, 1), kept);
    /* What was refused took no ids: the next ones follow. */
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(submit_ok(ds, 100), (int64_t)kept + 1);
    datastore_close(ds);
    ds = open_ok(path, 0);
    ck_assert_uint_eq(rows_from(ds, 1), kept + 100);
    datastore_close(ds);
    close(fd);
    ck_assert_int_eq(umount(folder), 0);
}
END_TEST

/* In a child, so that the rest stays root. */
static void as_nobody(void (*then)(void))
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(99);
        then();
        _exit(0);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(status == 0, "the child ended with %d", status);
}

static void expect(bool ok, const char *what, const struct error *err)
{
    if (ok)
        return;
    fprintf(stderr, "%s: %s\n", what, err->text);
    _exit(1);
}

static void reads_but_does_not_write(void)
{
    struct datastore *ds;
    struct error err = {0};
    struct arena mem = {0};
    expect(datastore_open(path, 0, &ds, &err) == ERR_READ_ONLY, "opened to write", &err);
    expect(datastore_open(path, DS_READ_ONLY, &ds, &err) == 0, "cannot be read", &err);
    struct ds_step load = {.kind = DS_LOAD, .load = {.range = {1, 100, false}, .rows_max = 100}};
    expect(datastore_step(ds, &load, &mem, &err) == 0 && load.load.ret_n == 7, "rows", &err);
    struct ds_step cancel = {.kind = DS_CANCEL, .cancel.id = 1};
    expect(datastore_step(ds, &cancel, &mem, &err) == ERR_READ_ONLY, "cancelled", &err);
    arena_release(&mem);
    datastore_close(ds);
}

static void is_told_why_not(void)
{
    struct datastore *ds;
    struct error err = {0};
    expect(datastore_open(path, DS_READ_ONLY, &ds, &err) == ERR_UNAVAILABLE &&
               strstr(err.text, "owner") != NULL,
           "unreadable log", &err);
}

static void modes_set(mode_t file, mode_t dir)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char name[128];
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffixes[i]);
        if (chmod(name, file) < 0)
            ck_assert_int_eq(errno, ENOENT);
    }
    ck_assert_int_eq(chmod(folder, dir), 0);
}

START_TEST(a_folder_that_cannot_be_written_to_can_be_read)
{
    if (skipped_unless_root("a read-only folder"))
        return;
    struct datastore *ds = open_ok(path, DS_CREATE);
    (void)submit_ok(ds, 7);
    modes_set(0644, 0555);
    as_nobody(reads_but_does_not_write); /* beside a writer at work */
    datastore_close(ds);
    as_nobody(reads_but_does_not_write);
    char name[128];
    snprintf(name, sizeof(name), "%s-shm", path);
    ck_assert_int_eq(unlink(name), 0); /* a log with content, and no shared memory */
    as_nobody(is_told_why_not);
    sql_do(path, "PRAGMA wal_checkpoint(TRUNCATE)"); /* its last connection deletes the log */
    modes_set(0644, 0555);
    as_nobody(reads_but_does_not_write);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sqlite_store");
    TCase *tcase = tcase_create("sqlite_store");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_uri_names_a_file);
    tcase_add_test(tcase, a_bad_uri_is_refused);
    tcase_add_test(tcase, a_folder_is_refused);
    tcase_add_test(tcase, a_file_of_another_kind_is_refused_and_left_alone);
    tcase_add_test(tcase, a_newer_schema_is_refused);
    tcase_add_test(tcase, network_file_systems_are_known);
    tcase_add_test(tcase, a_half_made_store_is_finished);
    tcase_add_test(tcase, a_damaged_record_fails_the_run_and_nothing_of_it_is_kept);
    tcase_add_test(tcase, every_run_of_a_transaction_that_is_rolled_back_is_told);
    tcase_add_test(tcase, runs_are_committed_together);
    tcase_add_test(tcase, the_log_is_copied_back_and_does_not_grow_for_ever);
    tcase_add_test(tcase, a_commit_rings_the_bell);
    tcase_add_test(tcase, a_full_disk_loses_nothing);
    tcase_add_test(tcase, a_folder_that_cannot_be_written_to_can_be_read);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
