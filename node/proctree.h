/* The processes below this one: signalling them all, and ending them for certain.
 *
 * Only for a single-threaded process that is a child subreaper (so that every orphan below it
 * becomes its child), that leads a session of its own, and that has SIGCHLD blocked. */
#ifndef STINT_PROCTREE_H
#define STINT_PROCTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

/* Children that are left alone, with all that is below them. Borrowed; read anew in each round, so
 * `reaped` may change it. */
struct proctree_spare {
    const pid_t *pids;
    size_t n;
};

/* What to do with each child as it is reaped. */
typedef void (*proctree_reaped)(void *ctx, pid_t pid, int status, const struct rusage *usage);

/* False where /proc does not show this process: nothing below works there. */
bool proctree_usable(void);

/* Reaps the children that have ended. Returns true when no child is left at all. */
bool proctree_reap(proctree_reaped reaped, void *ctx) __attribute__((warn_unused_result));

/* Sends SIGTERM once to everything below this process, and SIGCONT: what is stopped acts on it only
 * then. */
void proctree_terminate(void);

/* Ends and reaps everything below this process but `spare` (may be NULL). True when nothing is
 * left, false when `bound_ms` passed first (processes of another user, or stuck in the kernel).
 * Costs one wait call when there is nothing. */
bool proctree_end(const struct proctree_spare *spare, uint64_t bound_ms, proctree_reaped reaped,
                  void *ctx) __attribute__((warn_unused_result));

#endif
