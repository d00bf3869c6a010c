/* Opening a SQLite store: its folder, its file, its tables; for writing or for reading only.
 *
 * The file is looked at before anything is made beside it, so that naming a wrong file leaves no
 * trace. This program never opens the file itself once SQLite may have: closing any descriptor of
 * it would drop SQLite's POSIX locks in this process.
 * Thread: the caller's. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "datastore/sqlite_store.h"

enum { CACHE_KIB_WRITER = 4000, CACHE_KIB_READER = 2000 };

/* ---- paths ---------------------------------------------------------------------------------- */

static int path_trouble(const char *path, int error, struct error *err)
{
    int code = error == ENOENT                                       ? ERR_NOT_FOUND
               : error == EACCES || error == EPERM || error == EROFS ? ERR_READ_ONLY
               : error == ENOSPC || error == EDQUOT                  ? ERR_FULL
               : error == ENOTDIR || error == ENAMETOOLONG           ? ERR_INVALID
                                                                     : ERR_UNAVAILABLE;
    return error_set(err, code, "%.400s: %s", path, strerror(error));
}

static int path_absolute(const char *path, char absolute[LIMIT_PATH_BYTES], struct error *err)
{
    char folder[LIMIT_PATH_BYTES] = "";
    if (path[0] != '/' && getcwd(folder, sizeof(folder)) == NULL)
        return path_trouble("the current folder", errno, err);
    int len =
        snprintf(absolute, LIMIT_PATH_BYTES, "%s%s%s", folder, path[0] != '/' ? "/" : "", path);
    /* Names of the files beside it must fit too. */
    if (len < 0 || len >= LIMIT_PATH_BYTES - 16)
        return error_set(err, ERR_INVALID, "%.100s...: the path is too long", path);
    return 0;
}

static void folder_of(const char *path, char folder[LIMIT_PATH_BYTES])
{
    snprintf(folder, LIMIT_PATH_BYTES, "%s", path);
    char *slash = strrchr(folder, '/');
    slash[slash == folder ? 1 : 0] = '\0';
}

static int folders_make(const char *folder, struct error *err)
{
    char path[LIMIT_PATH_BYTES];
    snprintf(path, sizeof(path), "%s", folder);
    for (char *at = path + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char end = *at;
        *at = '\0';
        if (mkdir(path, 0700) < 0 && errno != EEXIST) {
            struct stat st;
            int error = errno;
            if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
                return path_trouble(path, error, err);
        }
        *at = end;
        if (end == '\0')
            return 0;
    }
}

const char *sqlite_network_fs(long type)
{
    static const struct {
        uint32_t type;
        const char *name;
    } known[] = {
        {NFS_SUPER_MAGIC, "NFS"},   {SMB_SUPER_MAGIC, "SMB"}, {CIFS_SUPER_MAGIC, "CIFS"},
        {SMB2_SUPER_MAGIC, "SMB"},  {AFS_SUPER_MAGIC, "AFS"}, {AFS_FS_MAGIC, "AFS"},
        {CODA_SUPER_MAGIC, "Coda"}, {V9FS_MAGIC, "9p"},       {CEPH_SUPER_MAGIC, "Ceph"},
        {NCP_SUPER_MAGIC, "NCP"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].type == (uint32_t)type)
            return known[i].name;
    return NULL;
}

/* Locks and shared memory do not work from machine to machine. */
static int network_refuse(const char *path, const char *folder, struct error *err)
{
    struct statfs fs;
    if (statfs(folder, &fs) < 0)
        return path_trouble(folder, errno, err);
    const char *name = sqlite_network_fs(fs.f_type);
    if (name == NULL)
        return 0;
    return error_set(err, ERR_INVALID,
                     "%.300s: lies on a network file system (%s), where a SQLite store is not safe;"
                     " name a path on a local disk",
                     path, name);
}

/* What is at the path: 0, ERR_NOT_FOUND (no text), or a code. */
static int file_look(const char *path, struct stat *ret_st, struct error *err)
{
    if (stat(path, ret_st) < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : path_trouble(path, errno, err);
    if (S_ISDIR(ret_st->st_mode))
        return error_set(err, ERR_INVALID,
                         "%.300s: is a folder; name a file in it, such as %.60s/stint.db", path,
                         path);
    if (!S_ISREG(ret_st->st_mode))
        return error_set(err, ERR_INVALID, "%.300s: is not a regular file; name another", path);
    return 0;
}

static int not_there(const char *path, struct error *err)
{
    return error_set(err, ERR_NOT_FOUND, "%.300s: no store there; make one with `stint store init`",
                     path);
}

/* ---- the database --------------------------------------------------------------------------- */

static int pragma_set(struct sqlite_store *store, const char *sql, struct error *err)
{
    int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : sqlite_code_map(store->db, rc, store->path, err);
}

static int database_open(struct sqlite_store *store, const char *name, int flags, struct error *err)
{
    int rc = sqlite3_open_v2(name, &store->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return sqlite_code_map(store->db, rc, store->path, err);
    sqlite3_busy_timeout(store->db, SQLITE_BUSY_MS);
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_wal_autocheckpoint(store->db, 0);
    char sql[256];
    snprintf(sql, sizeof(sql),
             "PRAGMA synchronous=FULL; PRAGMA secure_delete=OFF; PRAGMA temp_store=MEMORY;"
             " PRAGMA mmap_size=0; PRAGMA cache_size=-%d",
             store->read_only ? CACHE_KIB_READER : CACHE_KIB_WRITER);
    return pragma_set(store, sql, err);
}

static void database_close(struct sqlite_store *store)
{
    sqlite3_close(store->db);
    store->db = NULL;
}

/* ---- for writing ---------------------------------------------------------------------------- */

/* Makes the empty file, so that it has the right mode from the start; SQLite gives its own files
 * the same. */
static int file_make(const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? 0 : path_trouble(path, errno, err);
    close(fd);
    return 0;
}

static int bell_open(struct sqlite_store *store, struct error *err)
{
    char bell[LIMIT_PATH_BYTES + 8];
    snprintf(bell, sizeof(bell), "%s-bell", store->path);
    store->bell_fd = open(bell, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return store->bell_fd >= 0 ? 0 : path_trouble(bell, errno, err);
}

/* Whether the file is in WAL mode already; copies made by other tools may not be. */
static bool is_wal(sqlite3 *db)
{
    sqlite3_stmt *stmt = NULL;
    bool wal = sqlite3_prepare_v2(db, "PRAGMA journal_mode", -1, &stmt, NULL) == SQLITE_OK &&
               sqlite3_step(stmt) == SQLITE_ROW &&
               strcmp((const char *)sqlite3_column_text(stmt, 0), "wal") == 0;
    sqlite3_finalize(stmt);
    return wal;
}

/* Makes the tables, or sets the journal's mode: under the lock, where it is still needed. */
static int tables_make(struct sqlite_store *store, struct error *err)
{
    enum schema_state state;
    int rc = sqlite_lock_take(&store->lock, err);
    if (rc < 0)
        return rc;
    rc = sqlite_schema_check(store->db, store->path, true, &state, err);
    if (rc == 0 && state == SCHEMA_EMPTY) {
        int made = sqlite_schema_make(store->db, clock_now_ms(CLOCK_REALTIME));
        if (made != SQLITE_OK)
            rc = sqlite_code_map(store->db, made, store->path, err);
    } else if (rc == 0 && !is_wal(store->db)) {
        rc = pragma_set(store, "PRAGMA journal_mode=WAL", err);
    }
    sqlite_lock_give(&store->lock);
    return rc;
}

static int open_to_write(struct sqlite_store *store, const struct sqlite_options *options,
                         const char *folder, struct error *err)
{
    struct stat st;
    int rc = file_look(store->path, &st, err);
    if (rc == ERR_NOT_FOUND)
        rc = (options->flags & DS_CREATE) != 0 ? file_make(store->path, err)
                                               : not_there(store->path, err);
    if (rc == 0 && access(folder, W_OK) < 0)
        rc = error_set(err, ERR_READ_ONLY, "%.300s: its folder cannot be written to: %s",
                       store->path, strerror(errno));
    if (rc == 0)
        rc = database_open(store, store->path, SQLITE_OPEN_READWRITE, err);
    if (rc == 0 && sqlite3_db_readonly(store->db, "main") == 1)
        rc = error_set(err, ERR_READ_ONLY, "%.300s: this user may not write to it", store->path);
    enum schema_state state = SCHEMA_OURS;
    if (rc == 0)
        rc = sqlite_schema_check(store->db, store->path, true, &state, err);
    if (rc == 0 && state == SCHEMA_EMPTY && (options->flags & DS_CREATE) == 0)
        rc = not_there(store->path, err);
    if (rc == 0)
        rc = sqlite_lock_open(&store->lock, store->path, options->frozen_ms, err);
    if (rc == 0 && (state == SCHEMA_EMPTY || !is_wal(store->db)))
        rc = tables_make(store, err);
    if (rc == 0)
        rc = bell_open(store, err);
    if (rc < 0)
        return rc;
    sqlite_store_watch_commits(store);
    return 0;
}

/* ---- for reading ---------------------------------------------------------------------------- */

/* "file:PATH?immutable=1", with what a URI gives a meaning escaped. */
static void immutable_name(const char *path, char name[3 * LIMIT_PATH_BYTES + 32])
{
    size_t n = (size_t)snprintf(name, 8, "file:");
    for (; *path != '\0'; path++) {
        bool plain = strchr("?#%", *path) == NULL;
        n += (size_t)snprintf(name + n, 4, plain ? "%c" : "%%%02X", (unsigned char)*path);
    }
    snprintf(name + n, 16, "?immutable=1");
}

/* A folder that cannot be written to has no room for SQLite's shared memory. The file alone is
 * whole when no log with anything in it lies beside it. */
static int open_immutable(struct sqlite_store *store, struct error *err)
{
    char name[3 * LIMIT_PATH_BYTES + 32], wal[LIMIT_PATH_BYTES + 8];
    struct stat st;
    snprintf(wal, sizeof(wal), "%s-wal", store->path);
    if (stat(wal, &st) == 0 && st.st_size > 0)
        return error_set(err, ERR_UNAVAILABLE,
                         "%.200s: its log %.200s cannot be read by this user; run as its owner",
                         store->path, wal);
    if (stat(store->path, &store->opened) < 0)
        return path_trouble(store->path, errno, err);
    immutable_name(store->path, name);
    database_close(store);
    store->immutable = true;
    return database_open(store, name, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, err);
}

static int open_to_read(struct sqlite_store *store, const char *folder, struct error *err)
{
    struct stat st;
    enum schema_state state = SCHEMA_EMPTY;
    int rc = file_look(store->path, &st, err);
    if (rc == ERR_NOT_FOUND)
        return not_there(store->path, err);
    if (rc < 0)
        return rc;
    rc = database_open(store, store->path, SQLITE_OPEN_READONLY, err);
    if (rc == 0)
        rc = sqlite_schema_check(store->db, store->path, false, &state, err);
    if ((rc == ERR_UNAVAILABLE || rc == ERR_READ_ONLY) && access(folder, W_OK) < 0) {
        rc = open_immutable(store, err);
        if (rc == 0)
            rc = sqlite_schema_check(store->db, store->path, false, &state, err);
    }
    return rc == 0 && state == SCHEMA_EMPTY ? not_there(store->path, err) : rc;
}

int sqlite_open(const struct sqlite_options *options, struct datastore **ret_ds, struct error *err)
{
    char folder[LIMIT_PATH_BYTES];
    struct sqlite_store *store = sqlite_store_new();
    if (store == NULL)
        return error_set(err, ERR_NO_MEMORY, "%.300s: out of memory", options->path);
    store->read_only = (options->flags & DS_READ_ONLY) != 0;
    int rc = path_absolute(options->path, store->path, err);
    if (rc < 0)
        goto failed;
    folder_of(store->path, folder);
    if ((options->flags & DS_CREATE) != 0 && !store->read_only)
        rc = folders_make(folder, err);
    else if (access(folder, F_OK) < 0 && errno == ENOENT)
        rc = not_there(store->path, err);
    if (rc == 0)
        rc = network_refuse(store->path, folder, err);
    if (rc == 0)
        rc = store->read_only ? open_to_read(store, folder, err)
                              : open_to_write(store, options, folder, err);
    if (rc == 0 && (options->flags & DS_COPY) == 0)
        rc = sqlite_copying_check(store->db, store->path, err);
    if (rc < 0)
        goto failed;
    *ret_ds = &store->base;
    return 0;
failed:
    datastore_close(&store->base);
    return rc;
}

int sqlite_drop(const char *path, struct error *err)
{
    /* The file first: without its log it would be another store, not half of one. */
    static const char *const parts[] = {"", "-wal", "-shm", "-lock.next", "-lock.main", "-bell"};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char part[LIMIT_PATH_BYTES];
        int len = snprintf(part, sizeof(part), "%s%s", path, parts[i]);
        if (len < 0 || len >= (int)sizeof(part))
            return error_set(err, ERR_INVALID, "%.100s...: the path is too long", path);
        if (unlink(part) < 0 && errno != ENOENT)
            return path_trouble(part, errno, err);
    }
    return 0;
}
