/* Inside the SQLite backend: a handle, and how steps use statements. Included by sqlite*.c only. */
#ifndef STINT_SQLITE_STORE_H
#define STINT_SQLITE_STORE_H

#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "datastore/datastore.h"
#include "datastore/sqlite.h"
#include "datastore/sqlite_lock.h"
#include "datastore/sqlite_schema.h"

enum { SQLITE_BUSY_MS = 2000 }; /* for programs that lock the file without taking our lock */

struct sqlite_store {
    struct datastore base;
    sqlite3 *db;
    sqlite3_stmt *stmts[SQL_COUNT]; /* prepared when first used */
    struct sqlite_lock lock;        /* not open where read_only */
    bool read_only;
    bool immutable;     /* read without locks, since the folder cannot be written to */
    struct stat opened; /* the file then */
    char path[LIMIT_PATH_BYTES];
    int bell_fd;       /* to be written to; -1: none */
    int watch_fd;      /* inotify; -1: not asked for yet, or there is none */
    int64_t wal_pages; /* in the write-ahead log, after the last commit that wrote */
    struct sqlite_counts counts;

    /* The transaction under way. */
    size_t bytes;      /* written, roughly */
    bool ring;         /* somebody may wait for what it writes */
    int trouble;       /* SQLite's code that dooms it; SQLITE_OK: none */
    struct error *err; /* where its text goes: the run's */
};

/* A handle without a file yet (sqlite_open.c fills it in); NULL: no memory. Closed as any other. */
struct sqlite_store *sqlite_store_new(void);
/* To be called once the file is open. */
void sqlite_store_watch_commits(struct sqlite_store *store);

/* Checkpoints when the log has grown enough since the last time; the lock is held. */
void sqlite_checkpoint_if_due(struct sqlite_store *store);

/* What a step is carried out with. */
struct sqlite_call {
    struct sqlite_store *store;
    struct ds_step *step;
    const struct ds_step *before; /* the step before it in the run; NULL: none */
    struct arena *mem;
    struct error *err;
    int64_t utc_ms;
};

/* One for each kind of step: returns its code. Trouble with SQLite itself is kept in the store. */
typedef int sqlite_step_fn(struct sqlite_call *call);

#define X(kind, member, writes) int sqlite_##member(struct sqlite_call *call);
DS_STEP_MAP(X)
#undef X

/* The lane's tail; ERR_NOT_FOUND: no such lane. */
int sqlite_lane_tail(struct sqlite_store *store, int32_t lane, int64_t *ret_tail);

/* Notes a chunk (sqlite_jobs.c). */
int sqlite_chunk_add(struct sqlite_call *call, const struct submit_chunk *chunk, int64_t id);

/* ERR_CONFLICT where the store is no unfinished copy (sqlite_copy.c). */
int sqlite_copying(struct sqlite_call *call);

/* ---- statements ----------------------------------------------------------------------------- */

/* The statement, ready to be bound; NULL with trouble kept. */
sqlite3_stmt *sql_use(struct sqlite_store *store, enum sql_id id);

/* Steps it: 1 a row, 0 the end (and then it is reset), or a code with the trouble kept. */
int sql_step(struct sqlite_store *store, sqlite3_stmt *stmt);

/* A statement whose rows nobody wants: 0 or a code. */
int sql_run(struct sqlite_store *store, sqlite3_stmt *stmt);

/* Keeps trouble with the data itself (a blob that does not decode): ERR_CORRUPT. */
int sql_damaged(struct sqlite_store *store, const char *what, int64_t id);

static inline void bind_int(sqlite3_stmt *stmt, int at, int64_t value)
{
    sqlite3_bind_int64(stmt, at, value);
}

/* NULL and empty stay NULL. The text or bytes are borrowed until the statement is reset. */
static inline void bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
    if (text != NULL)
        sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
    else
        sqlite3_bind_null(stmt, at);
}

static inline void bind_bytes(sqlite3_stmt *stmt, int at, struct bytes bytes)
{
    if (bytes.len > 0)
        sqlite3_bind_blob(stmt, at, bytes.data, (int)bytes.len, SQLITE_STATIC);
    else
        sqlite3_bind_null(stmt, at);
}

/* Valid until the statement moves on. */
static inline struct bytes column_bytes(sqlite3_stmt *stmt, int at)
{
    const void *data = sqlite3_column_blob(stmt, at);
    return (struct bytes){data, (size_t)sqlite3_column_bytes(stmt, at)};
}

static inline int64_t clock_now_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
