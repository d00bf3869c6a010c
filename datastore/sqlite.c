/* The SQLite backend: how runs become transactions.
 *
 * Several runs are carried out in one transaction under the lock and committed at once (group
 * commit), heartbeats first; past LIMIT_BATCH_BYTES or LIMIT_TURN_MS it is committed between two
 * steps and the lock is offered to others. A guard that is not met has written nothing, so only
 * trouble with SQLite itself rolls back, and then every step carried out in that transaction gets
 * its code: nobody acts on what was taken back. Checkpoints come after a commit, under the same
 * lock: SQLite up to 3.51.2 may corrupt a store when one connection checkpoints while another
 * writes. Runs that only read take no lock and hold no transaction for long.
 * Invariants: I9 (a step's 0 is given after the commit is on the disk); the lock is held exactly
 * while a write transaction or a checkpoint is under way. Thread: the handle's. */
#include "datastore/sqlite.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datastore/sqlite_store.h"

enum {
    /* Measured (bench/raw_pair): smaller ones sync more often, larger ones stall others longer. */
    CHECKPOINT_PAGES = (16 << 20) / 4096,
    RESTART_PAGES = (64 << 20) / 4096,
    READERS_WAIT_MS = 100, /* how long a restart of the log waits for readers */
};

/* ---- statements ----------------------------------------------------------------------------- */

/* Keeps the first trouble of a transaction. Returns our code for it. */
static int trouble_keep(struct sqlite_store *store, int sqlite_rc)
{
    assert(sqlite_rc != SQLITE_OK);
    if (store->trouble == SQLITE_OK)
        store->trouble = sqlite_rc;
    return sqlite_code_map(store->db, sqlite_rc, store->path, store->err);
}

int sql_damaged(struct sqlite_store *store, const char *what, int64_t id)
{
    store->trouble = SQLITE_CORRUPT;
    return error_set(store->err, ERR_CORRUPT,
                     "%.300s: the record of %s %lld is damaged; go back to a copy", store->path,
                     what, (long long)id);
}

sqlite3_stmt *sql_use(struct sqlite_store *store, enum sql_id id)
{
    if (store->stmts[id] == NULL) {
        int rc = sqlite3_prepare_v3(store->db, sql_text(id), -1, SQLITE_PREPARE_PERSISTENT,
                                    &store->stmts[id], NULL);
        if (rc != SQLITE_OK)
            (void)trouble_keep(store, rc);
    }
    return store->stmts[id];
}

int sql_step(struct sqlite_store *store, sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE) {
        sqlite3_reset(stmt);
        return 0;
    }
    int code = trouble_keep(store, rc); /* before the reset: it has the text */
    sqlite3_reset(stmt);
    return code;
}

int sql_run(struct sqlite_store *store, sqlite3_stmt *stmt)
{
    int rc;
    do
        rc = sql_step(store, stmt);
    while (rc == 1);
    return rc;
}

/* A statement left in the middle would keep the transaction open. */
static void statements_reset(struct sqlite_store *store)
{
    for (int i = 0; i < SQL_COUNT; i++)
        if (store->stmts[i] != NULL && sqlite3_stmt_busy(store->stmts[i]))
            sqlite3_reset(store->stmts[i]);
}

static int begin(struct sqlite_store *store, enum sql_id sql)
{
    store->trouble = SQLITE_OK;
    store->bytes = 0;
    store->ring = false;
    sqlite3_stmt *stmt = sql_use(store, sql);
    if (stmt != NULL && sql_run(store, stmt) == 0)
        return 0;
    return store->err->code;
}

static void roll_back(struct sqlite_store *store)
{
    statements_reset(store);
    /* SQLite has rolled back by itself after some errors. */
    if (!sqlite3_get_autocommit(store->db))
        (void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- steps ---------------------------------------------------------------------------------- */

static sqlite_step_fn *const step_fns[DS_KINDS] = {
#define X(kind, member, writes) [kind] = sqlite_##member,
    DS_STEP_MAP(X)
#undef X
};

static int step_run(struct sqlite_store *store, struct ds_run *run, size_t i)
{
    struct ds_step *step = &run->steps[i];
    assert((unsigned)step->kind < DS_KINDS);
    store->err = &run->err;
    if (store->read_only && ds_kind_writes(step->kind))
        return error_set(&run->err, ERR_READ_ONLY, "%.300s: opened for reading only", store->path);
    struct sqlite_call call = {.store = store,
                               .step = step,
                               .before = i > 0 ? step - 1 : NULL,
                               .mem = &run->mem,
                               .err = &run->err,
                               .utc_ms = clock_now_ms(CLOCK_REALTIME)};
    int rc = step_fns[step->kind](&call);
    assert(store->trouble == SQLITE_OK || rc != 0);
    store->ring = store->ring || (rc == 0 && ds_kind_rings(step->kind));
    if (store->trouble != SQLITE_OK && run->err.code != 0)
        return run->err.code;
    if (ds_code_is_trouble(rc) && run->err.code == 0)
        error_set(&run->err, rc, "%s: %s", ds_kind_name(step->kind), error_text(rc));
    return rc;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* A file read as immutable is read without any lock: it must not have changed since. */
static int immutable_check(struct sqlite_store *store)
{
    struct stat st;
    if (!store->immutable)
        return 0;
    if (stat(store->path, &st) == 0 && st.st_size == store->opened.st_size &&
        st.st_mtim.tv_sec == store->opened.st_mtim.tv_sec &&
        st.st_mtim.tv_nsec == store->opened.st_mtim.tv_nsec)
        return 0;
    store->trouble = SQLITE_IOERR;
    return error_set(store->err, ERR_UNAVAILABLE,
                     "%.300s: somebody writes to it, which this user cannot follow; run as its"
                     " owner",
                     store->path);
}

static int read_begin(struct sqlite_store *store)
{
    int rc = begin(store, SQL_BEGIN_READ);
    return rc == 0 ? immutable_check(store) : rc;
}

static void read_end(struct sqlite_store *store)
{
    statements_reset(store);
    sqlite3_stmt *stmt = sql_use(store, SQL_COMMIT);
    if (stmt == NULL || sqlite3_step(stmt) != SQLITE_DONE)
        roll_back(store);
    sqlite3_reset(stmt);
}

static void read_run(struct sqlite_store *store, struct ds_run *run)
{
    bool open = false;
    int64_t began_ms = 0;
    store->err = &run->err;
    for (size_t i = 0; i < run->n_steps; i++) {
        struct ds_step *step = &run->steps[i];
        if (open && clock_now_ms(CLOCK_MONOTONIC) - began_ms >= LIMIT_READ_MS / 2) {
            read_end(store);
            open = false;
        }
        step->rc = open ? 0 : read_begin(store);
        if (!open)
            began_ms = clock_now_ms(CLOCK_MONOTONIC);
        open = true;
        if (step->rc == 0)
            step->rc = step_run(store, run, i);
        if (store->trouble != SQLITE_OK || (step->rc != 0 && !step->independent))
            break;
    }
    if (store->trouble != SQLITE_OK)
        roll_back(store);
    else
        read_end(store);
}

/* ---- checkpoints ---------------------------------------------------------------------------- */

static int on_commit(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct sqlite_store *store = ctx;
    (void)db;
    (void)name;
    store->counts.commits++;
    store->counts.syncs += pages < store->wal_pages ? 2 : 1; /* a restarted log syncs its header */
    store->wal_pages = pages;
    return SQLITE_OK;
}

static void checkpoint(struct sqlite_store *store, int mode)
{
    int log = 0, done = 0;
    sqlite3_busy_timeout(store->db, READERS_WAIT_MS);
    int rc = sqlite3_wal_checkpoint_v2(store->db, NULL, mode, &log, &done);
    sqlite3_busy_timeout(store->db, SQLITE_BUSY_MS);
    store->counts.checkpoints++;
    store->counts.syncs += 2;
    if (rc == SQLITE_OK && mode == SQLITE_CHECKPOINT_TRUNCATE)
        store->wal_pages = 0;
}

/* The lock's note says how far the log had grown at the last checkpoint, whoever made it. What goes
 * wrong here is no run's fault: their data is safe, and the next one tries again. */
void sqlite_checkpoint_if_due(struct sqlite_store *store)
{
    int64_t done = store->lock.self.note <= store->wal_pages ? store->lock.self.note : 0;
    if (store->wal_pages - done >= CHECKPOINT_PAGES) {
        checkpoint(store, store->wal_pages >= RESTART_PAGES ? SQLITE_CHECKPOINT_TRUNCATE
                                                            : SQLITE_CHECKPOINT_PASSIVE);
        done = store->wal_pages;
    }
    if (done != store->lock.self.note)
        sqlite_lock_note(&store->lock, done);
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Runs on their way through transactions. */
struct group {
    struct sqlite_store *store;
    struct ds_run *runs[LIMIT_ASYNC_RUNS]; /* in the order they are carried out */
    size_t n;
    size_t run;                   /* under way */
    size_t first_run, first_step; /* of the open transaction */
    bool open;
    int64_t began_ms;
    struct error lost; /* the lock cannot be had: the rest need not try */
};

/* Every step carried out in the transaction gets the code; those not tried stay ERR_SKIPPED. */
static void group_fail(struct group *group, const struct error *err)
{
    for (size_t r = group->first_run; r <= group->run && r < group->n; r++) {
        struct ds_run *run = group->runs[r];
        for (size_t i = r == group->first_run ? group->first_step : 0; i < run->n_steps; i++) {
            if (run->steps[i].rc == ERR_SKIPPED)
                continue;
            run->steps[i].rc = err->code;
            run->err = *err;
        }
    }
}

static void group_abort(struct group *group, const struct error *err)
{
    struct sqlite_store *store = group->store;
    struct error copy = *err;
    bool full = (store->trouble & 0xff) == SQLITE_FULL;
    roll_back(store);
    if (full) /* what the log holds may fit where it was copied to before */
        checkpoint(store, SQLITE_CHECKPOINT_TRUNCATE);
    sqlite_lock_give(&store->lock);
    group->open = false;
    group_fail(group, &copy);
}

/* Nobody can tell whether a commit whose sync failed will be found after a crash. */
static void commit_trouble(struct sqlite_store *store, int sqlite_rc, struct error *err)
{
    store->trouble = sqlite_rc;
    (void)sqlite_code_map(store->db, sqlite_rc, store->path, err);
    if ((sqlite_rc & 0xff) == SQLITE_IOERR)
        err->code = ERR_UNKNOWN_OUTCOME;
}

/* Commits what is open. 0, or the code that its steps have got. */
static int group_commit(struct group *group)
{
    struct sqlite_store *store = group->store;
    struct error err = {0};
    if (!group->open)
        return 0;
    statements_reset(store);
    store->err = &err;
    sqlite3_stmt *stmt = sql_use(store, SQL_COMMIT);
    int rc = stmt != NULL ? sqlite3_step(stmt) : store->trouble;
    if (rc != SQLITE_DONE) {
        commit_trouble(store, rc, &err);
        sqlite3_reset(stmt);
        group_abort(group, &err);
        return err.code;
    }
    sqlite3_reset(stmt);
    sqlite_checkpoint_if_due(store);
    sqlite_lock_give(&store->lock);
    group->open = false;
    if (store->ring && store->bell_fd >= 0)
        (void)!pwrite(store->bell_fd, "", 1, 0);
    return 0;
}

/* Takes the lock and opens a transaction; a failure is the step's that needed it. */
static int group_begin(struct group *group, size_t step)
{
    struct sqlite_store *store = group->store;
    struct ds_run *run = group->runs[group->run];
    store->err = &run->err;
    if (group->lost.code != 0) {
        run->err = group->lost;
        return run->err.code;
    }
    int rc = sqlite_lock_take(&store->lock, &run->err);
    if (rc < 0) {
        group->lost = run->err;
        return rc;
    }
    rc = begin(store, SQL_BEGIN_WRITE);
    if (rc < 0) {
        roll_back(store);
        sqlite_lock_give(&store->lock);
        return rc;
    }
    group->open = true;
    group->first_run = group->run;
    group->first_step = step;
    group->began_ms = clock_now_ms(CLOCK_MONOTONIC);
    return 0;
}

static bool turn_over(const struct group *group)
{
    return group->store->bytes >= LIMIT_BATCH_BYTES ||
           clock_now_ms(CLOCK_MONOTONIC) - group->began_ms >= LIMIT_TURN_MS;
}

/* Does the step after this one take its ids or range from it? Then one commit has both: no reserved
 * id without a row, no grant that its node's record does not name. */
static bool leads_on(const struct ds_run *run, size_t i)
{
    const struct ds_step *next = i + 1 < run->n_steps ? &run->steps[i + 1] : NULL;
    return next != NULL && ((next->kind == DS_INSERT && next->insert.from_reserve) ||
                            (next->kind == DS_NODE_WRITE && next->node_write.accept));
}

static void write_run(struct group *group)
{
    struct ds_run *run = group->runs[group->run];
    for (size_t i = 0; i < run->n_steps; i++) {
        struct ds_step *step = &run->steps[i];
        if (!group->open) {
            step->rc = group_begin(group, i);
            if (step->rc < 0)
                return;
        }
        step->rc = step_run(group->store, run, i);
        if (group->store->trouble != SQLITE_OK) {
            group_abort(group, &run->err);
            return;
        }
        if (!leads_on(run, i) && turn_over(group) && group_commit(group) < 0)
            return;
        if (step->rc != 0 && !step->independent)
            return;
    }
}

static void runs_reset(struct group *group)
{
    for (size_t r = 0; r < group->n; r++) {
        group->runs[r]->err = (struct error){0};
        for (size_t i = 0; i < group->runs[r]->n_steps; i++)
            group->runs[r]->steps[i].rc = ERR_SKIPPED;
    }
}

/* At most LIMIT_ASYNC_RUNS runs. */
static void group_run(struct sqlite_store *store, struct ds_run *const *runs, size_t n_runs)
{
    struct group group = {.store = store};
    for (int urgent = 1; urgent >= 0; urgent--)
        for (size_t r = 0; r < n_runs; r++)
            if (runs[r]->urgent == (urgent == 1))
                group.runs[group.n++] = runs[r];
    runs_reset(&group);
    for (group.run = 0; group.run < group.n; group.run++) {
        struct ds_run *run = group.runs[group.run];
        if (ds_run_writes(run) && !store->read_only) {
            write_run(&group);
            continue;
        }
        /* It may expect to see what those before it wrote. */
        (void)group_commit(&group);
        read_run(store, run);
    }
    (void)group_commit(&group);
}

static void sqlite_run(struct datastore *ds, struct ds_run *const *runs, size_t n_runs)
{
    struct sqlite_store *store = (struct sqlite_store *)ds;
    for (size_t at = 0; at < n_runs; at += LIMIT_ASYNC_RUNS) {
        size_t left = n_runs - at;
        group_run(store, runs + at, left < LIMIT_ASYNC_RUNS ? left : LIMIT_ASYNC_RUNS);
    }
    store->err = NULL;
}

/* ---- the handle ----------------------------------------------------------------------------- */

static int sqlite_wake_fd(struct datastore *ds)
{
    struct sqlite_store *store = (struct sqlite_store *)ds;
    if (store->watch_fd >= 0)
        return store->watch_fd;
    char bell[LIMIT_PATH_BYTES + 8];
    snprintf(bell, sizeof(bell), "%s-bell", store->path);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd >= 0 && inotify_add_watch(fd, bell, IN_MODIFY) < 0) {
        close(fd);
        fd = -1;
    }
    store->watch_fd = fd;
    return fd;
}

static bool sqlite_wake_clear(struct datastore *ds)
{
    struct sqlite_store *store = (struct sqlite_store *)ds;
    char events[4096];
    bool rung = false;
    while (store->watch_fd >= 0 && read(store->watch_fd, events, sizeof(events)) > 0)
        rung = true;
    return rung;
}

static void sqlite_close(struct datastore *ds)
{
    struct sqlite_store *store = (struct sqlite_store *)ds;
    for (int i = 0; i < SQL_COUNT; i++)
        sqlite3_finalize(store->stmts[i]);
    int rc = sqlite3_close(store->db);
    assert(rc == SQLITE_OK);
    (void)rc;
    sqlite_lock_close(&store->lock);
    if (store->bell_fd >= 0)
        close(store->bell_fd);
    if (store->watch_fd >= 0)
        close(store->watch_fd);
    free(store);
}

static const struct datastore_class sqlite_class = {
    .name = "sqlite",
    .one_commit = true,
    .run = sqlite_run,
    .wake_fd = sqlite_wake_fd,
    .wakes_waiters = true,
    .wake_clear = sqlite_wake_clear,
    .close = sqlite_close,
};

struct sqlite_store *sqlite_store_new(void)
{
    struct sqlite_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return NULL;
    store->base.class = &sqlite_class;
    store->bell_fd = store->watch_fd = -1;
    store->lock.next_fd = store->lock.main_fd = -1;
    return store;
}

void sqlite_store_watch_commits(struct sqlite_store *store)
{
    sqlite3_wal_hook(store->db, on_commit, store);
}

struct sqlite_counts sqlite_counts_of(const struct datastore *ds)
{
    assert(ds->class == &sqlite_class);
    const struct sqlite_store *store = (const struct sqlite_store *)ds;
    struct sqlite_counts counts = store->counts;
    counts.holders_killed = store->lock.killed;
    return counts;
}
