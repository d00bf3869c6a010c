/* The SQLite backend's tables: making them, and telling whether a file has them.
 *
 * A file is ours by its application id; `user_version` is the lowest schema a program must know to
 * read it, `meta.writer_min` the lowest to write to it, so that two versions can share a store.
 * Thread: the handle's. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

#include "datastore/datastore.h"
#include "datastore/record_bson.h"

#include "datastore/sqlite_schema.h"

#define TEXT_OF(x) TEXT_OF_(x)
#define TEXT_OF_(x) #x

static const char *const tables[] = {
    "CREATE TABLE meta(one INTEGER PRIMARY KEY CHECK(one=1), schema INTEGER NOT NULL,"
    " reader_min INTEGER NOT NULL, writer_min INTEGER NOT NULL, features INTEGER NOT NULL,"
    " created INTEGER NOT NULL, lane_next INTEGER NOT NULL, body BLOB)",

    "CREATE TABLE queues(name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",

    "CREATE TABLE lanes(number INTEGER PRIMARY KEY, queue TEXT NOT NULL, priority INTEGER NOT NULL,"
    " part INTEGER NOT NULL, exclusive INTEGER NOT NULL, tail INTEGER NOT NULL,"
    " head INTEGER NOT NULL, holder INTEGER NOT NULL, body BLOB NOT NULL,"
    " UNIQUE(queue,priority,part))",

    "CREATE TABLE nodes(id INTEGER PRIMARY KEY, name TEXT NOT NULL, state INTEGER NOT NULL,"
    " beat INTEGER NOT NULL, desired INTEGER NOT NULL, body BLOB NOT NULL)",
    "CREATE UNIQUE INDEX nodes_live ON nodes(name) WHERE state<>4",

    "CREATE TABLE jobs(id INTEGER PRIMARY KEY, state INTEGER NOT NULL, run INTEGER NOT NULL,"
    " type TEXT, payload BLOB, token INTEGER NOT NULL, created INTEGER NOT NULL,"
    " started INTEGER NOT NULL, finished INTEGER NOT NULL, node INTEGER NOT NULL,"
    " ints INTEGER NOT NULL, argv BLOB, slot INTEGER, due INTEGER, batch TEXT, spec BLOB,"
    " ending BLOB, ukey TEXT, failed INTEGER)",
    "CREATE UNIQUE INDEX jobs_ukey ON jobs(ukey) WHERE ukey IS NOT NULL",
    "CREATE INDEX jobs_batch ON jobs(batch) WHERE batch IS NOT NULL",
    "CREATE INDEX jobs_due ON jobs(due) WHERE due IS NOT NULL",
    "CREATE INDEX jobs_failed ON jobs(failed) WHERE failed IS NOT NULL",

    "CREATE TABLE waits(parent INTEGER, child INTEGER, PRIMARY KEY(parent,child)) WITHOUT ROWID",
    "CREATE TABLE chunks(submit TEXT, at INTEGER, id INTEGER NOT NULL, count INTEGER NOT NULL,"
    " last INTEGER NOT NULL, PRIMARY KEY(submit,at)) WITHOUT ROWID",

    "CREATE TABLE stints(a INTEGER, b INTEGER, node INTEGER, done INTEGER NOT NULL,"
    " failed INTEGER NOT NULL, cancelled INTEGER NOT NULL, first INTEGER NOT NULL,"
    " last INTEGER NOT NULL, PRIMARY KEY(a,b,node)) WITHOUT ROWID",
    "CREATE TABLE totals(lane INTEGER PRIMARY KEY, a INTEGER NOT NULL, b INTEGER NOT NULL,"
    " done INTEGER NOT NULL, failed INTEGER NOT NULL, cancelled INTEGER NOT NULL,"
    " first INTEGER NOT NULL, last INTEGER NOT NULL)",

    "CREATE TABLE history(node INTEGER, seq INTEGER, at INTEGER NOT NULL, whole INTEGER NOT NULL,"
    " body BLOB, PRIMARY KEY(node,seq)) WITHOUT ROWID",
    "CREATE INDEX history_age ON history(node,whole,at)",

    "CREATE TABLE schedules(name TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID",

    "PRAGMA application_id=" TEXT_OF(SQLITE_APPLICATION_ID),
};

static_assert(NODE_DEAD == 4, "the index nodes_live names the state");
static_assert(JOB_STATE_BASE + JOB_QUEUED == 10 && JOB_STATE_BASE + JOB_DONE == 13,
              "the statement JOBS_DONE names the states");
static_assert(LANE_DEFAULT == 0 && PRIORITY_DEFAULT == 5, "the insert of the default lane");

const char *sql_text(enum sql_id id)
{
    static const char *const texts[SQL_COUNT] = {
#define X(name, text) [SQL_##name] = text,
        SQL_MAP(X)
#undef X
    };
    return texts[id];
}

/* ---- errors --------------------------------------------------------------------------------- */

static const struct {
    int sqlite_rc;
    int code;
    const char *advice;
} code_map[] = {
    {SQLITE_FULL, ERR_FULL, "free some space on its disk (or raise the quota), then try again"},
    {SQLITE_READONLY, ERR_READ_ONLY, "make the file and its folder writable for this user"},
    {SQLITE_PERM, ERR_READ_ONLY, "make the file and its folder writable for this user"},
    {SQLITE_CANTOPEN, ERR_UNAVAILABLE, "see that the file and its folder are there and readable"},
    {SQLITE_BUSY, ERR_UNAVAILABLE, "another program has it locked; close that one"},
    {SQLITE_LOCKED, ERR_UNAVAILABLE, "another program has it locked; close that one"},
    {SQLITE_NOTADB, ERR_CORRUPT, "this is no Stint store; name another file"},
    {SQLITE_CORRUPT, ERR_CORRUPT, "the file is damaged; go back to a copy"},
    {SQLITE_NOMEM, ERR_NO_MEMORY, "free some memory"},
    {SQLITE_IOERR, ERR_UNAVAILABLE, "see `dmesg` and whether its disk is well"},
    {SQLITE_ERROR, ERR_CORRUPT, "the tables are not as Stint made them; go back to a copy"},
    {SQLITE_SCHEMA, ERR_CORRUPT, "the tables are not as Stint made them; go back to a copy"},
};

int sqlite_code_map(sqlite3 *db, int sqlite_rc, const char *path, struct error *err)
{
    const char *text = db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(sqlite_rc);
    int error = db != NULL ? sqlite3_system_errno(db) : 0;
    /* Of a full disk, SQLite itself only tells when it writes to the log. */
    if ((sqlite_rc & 0xff) == SQLITE_IOERR && (error == ENOSPC || error == EDQUOT))
        sqlite_rc = SQLITE_FULL;
    for (size_t i = 0; i < sizeof(code_map) / sizeof(code_map[0]); i++)
        if (code_map[i].sqlite_rc == (sqlite_rc & 0xff))
            return error_set(err, code_map[i].code, "%.250s: %.100s; %s", path, text,
                             code_map[i].advice);
    return error_set(err, ERR_UNAVAILABLE, "%.250s: %.100s (SQLite code %d)", path, text,
                     sqlite_rc);
}

/* ---- making --------------------------------------------------------------------------------- */

static int meta_add(sqlite3 *db, int64_t utc_ms)
{
    char sql[256];
    snprintf(sql, sizeof(sql),
             "INSERT INTO meta VALUES(1,%d,%d,%d,%d,%lld,1,NULL); PRAGMA user_version=%d",
             SCHEMA_VERSION, SCHEMA_VERSION, SCHEMA_VERSION, FEATURES_KNOWN, (long long)utc_ms,
             SCHEMA_VERSION);
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static int body_insert(sqlite3 *db, const char *sql, struct bytes body)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_blob(stmt, 1, body.data, (int)body.len, SQLITE_STATIC);
        rc = sqlite3_step(stmt);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

/* The default queue, and its lane, which is always number 0. */
static int default_lane_add(sqlite3 *db, int64_t utc_ms)
{
    struct arena mem = {0};
    struct queue queue = {.name = QUEUE_DEFAULT, .weight = 1, .changed_ms = utc_ms};
    int rc = body_insert(db, "INSERT INTO queues VALUES('" QUEUE_DEFAULT "',?1)",
                         queue_encode(&queue, (struct bytes){0}, &mem));
    if (rc == SQLITE_OK)
        rc = body_insert(db, "INSERT INTO lanes VALUES(0,'" QUEUE_DEFAULT "',5,0,0,1,1,0,?1)",
                         lane_encode(&(struct lane){0}, (struct bytes){0}, &mem));
    arena_release(&mem);
    return rc;
}

int sqlite_schema_make(sqlite3 *db, int64_t utc_ms)
{
    int rc = sqlite3_exec(db, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; BEGIN IMMEDIATE",
                          NULL, NULL, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof(tables) / sizeof(tables[0]); i++)
        rc = sqlite3_exec(db, tables[i], NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = meta_add(db, utc_ms);
    if (rc == SQLITE_OK)
        rc = default_lane_add(db, utc_ms);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (rc != SQLITE_OK && !sqlite3_get_autocommit(db))
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

/* ---- checking ------------------------------------------------------------------------------- */

static int number_read(sqlite3 *db, const char *sql, int64_t *ret_number)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *ret_number = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW ? SQLITE_OK : rc == SQLITE_DONE ? SQLITE_CORRUPT : rc;
}

static int newer(const char *path, int64_t wanted, const char *to_do, struct error *err)
{
    return error_set(err, ERR_VERSION,
                     "%.300s: made by a newer Stint (%s needs schema %lld, this one knows %d);"
                     " use that version",
                     path, to_do, (long long)wanted, SCHEMA_VERSION);
}

int sqlite_schema_check(sqlite3 *db, const char *path, bool to_write, enum schema_state *ret_state,
                        struct error *err)
{
    int64_t application = 0, reader_min = 0, writer_min = 0, objects = 0;
    int rc = number_read(db, "PRAGMA application_id", &application);
    if (rc == SQLITE_OK)
        rc = number_read(db, "PRAGMA user_version", &reader_min);
    if (rc == SQLITE_OK)
        rc = number_read(db, "SELECT count(*) FROM sqlite_schema", &objects);
    if (rc != SQLITE_OK)
        return sqlite_code_map(db, rc, path, err);
    if (application == 0 && objects == 0) {
        *ret_state = SCHEMA_EMPTY;
        return 0;
    }
    if (application != SQLITE_APPLICATION_ID)
        return error_set(err, ERR_CORRUPT,
                         "%.300s: a SQLite database of another program; name another file", path);
    if (reader_min > SCHEMA_VERSION)
        return newer(path, reader_min, "reading", err);
    rc = number_read(db, "SELECT writer_min FROM meta", &writer_min);
    if (rc != SQLITE_OK)
        return sqlite_code_map(db, rc, path, err);
    if (to_write && writer_min > SCHEMA_VERSION)
        return newer(path, writer_min, "writing", err);
    *ret_state = SCHEMA_OURS;
    return 0;
}

int sqlite_copying_check(sqlite3 *db, const char *path, struct error *err)
{
    struct meta meta = {0};
    sqlite3_stmt *stmt = NULL;
    bool whole = true;
    int rc = sqlite3_prepare_v2(db, "SELECT body FROM meta", -1, &stmt, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW && sqlite3_column_bytes(stmt, 0) > 0)
        whole = meta_decode((struct bytes){sqlite3_column_blob(stmt, 0),
                                           (size_t)sqlite3_column_bytes(stmt, 0)},
                            &meta) == 0;
    sqlite3_finalize(stmt);
    if (rc != SQLITE_ROW)
        return sqlite_code_map(db, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, path, err);
    if (!whole)
        return error_set(err, ERR_CORRUPT, "%.300s: the table meta is damaged", path);
    return ds_copying_refuse(&meta, path, err);
}
