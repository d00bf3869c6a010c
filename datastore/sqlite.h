/* The SQLite backend's door (DESIGN §7): one file, any number of processes of one machine.
 *
 * Beside the store PATH lie PATH-wal and PATH-shm (SQLite's), PATH-lock.next and PATH-lock.main
 * (the fair lock, datastore/sqlite_lock.h) and PATH-bell (touched when somebody may wait for what
 * was written). */
#ifndef STINT_SQLITE_H
#define STINT_SQLITE_H

#include "datastore/datastore.h"

enum { SQLITE_FROZEN_MS_DEFAULT = 5000 };

struct sqlite_options {
    const char *path;  /* borrowed for the call */
    unsigned flags;    /* DS_CREATE, DS_READ_ONLY */
    int64_t frozen_ms; /* a holder of the lock without a sign of life for so long is killed; > 0 */
};

/* As datastore_open. */
int sqlite_open(const struct sqlite_options *options, struct datastore **ret_ds, struct error *err)
    __attribute__((warn_unused_result));

/* Removes the file and what lies beside it. 0 also where nothing is there. */
int sqlite_drop(const char *path, struct error *err) __attribute__((warn_unused_result));

/* What a handle has cost so far, for measurements. Syncs are those that SQLite asks for at these
 * settings: one for each commit that wrote, two for each checkpoint, one for each restart of the
 * write-ahead log. */
struct sqlite_counts {
    uint64_t commits, checkpoints, syncs, holders_killed;
};

/* Asserts that `ds` is a SQLite handle. */
struct sqlite_counts sqlite_counts_of(const struct datastore *ds);

/* The name of a network file system by its statfs type; NULL: it is none. */
const char *sqlite_network_fs(long type);

#endif
