/* A fair lock between processes and threads of one machine, on two files beside the store.
 *
 * A turnstile: take `next`, then `main`, release `next`. Whoever gives the lock back and wants it
 * again queues behind the one that waits already; nobody polls. The kernel releases a dead
 * process's lock. One that is stopped while holding it would stop everybody: waiters look about
 * once a second, and when the same acquisition shows no sign of life for `frozen_ms`, they kill the
 * holder if it is a process of this program, of the same user, boot and pid namespace; otherwise
 * they give up with a text that names it. */
#ifndef STINT_SQLITE_LOCK_H
#define STINT_SQLITE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "datastore/error.h"
#include "datastore/limits.h"

/* Who holds a lock file: what the file contains, in host byte order. */
struct lock_holder {
    uint64_t magic;
    uint64_t count;   /* acquisitions ever */
    int64_t pid, tid; /* as its own pid namespace numbers them */
    int64_t start;    /* process start, clock ticks since boot */
    int64_t pid_ns;   /* inode of its pid namespace */
    int64_t uid;
    int64_t note; /* a number that the holders keep for each other */
    char boot_id[40];
    char host[64];
};

struct sqlite_lock {
    int next_fd, main_fd;
    int64_t frozen_ms;
    char path[LIMIT_PATH_BYTES]; /* of the store, for messages */
    struct lock_holder self;     /* written at each acquisition; note: as last read or set */
    uint64_t killed;             /* frozen holders killed */
    bool held;
};

/* Opens (and makes) the lock files. ERR_READ_ONLY where that is not permitted. */
int sqlite_lock_open(struct sqlite_lock *lock, const char *path, int64_t frozen_ms,
                     struct error *err) __attribute__((warn_unused_result));

/* ERR_UNAVAILABLE: somebody holds it for too long and cannot be removed; the text says who. */
int sqlite_lock_take(struct sqlite_lock *lock, struct error *err)
    __attribute__((warn_unused_result));

/* Keeps a number for later holders; only while held. */
void sqlite_lock_note(struct sqlite_lock *lock, int64_t note);

void sqlite_lock_give(struct sqlite_lock *lock);
void sqlite_lock_close(struct sqlite_lock *lock);

#endif
