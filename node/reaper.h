/* The reaper: a small process beside each node, parent of all processes that run jobs.
 *
 *     node ──── reaper (subreaper)
 *        ╲        ├── keeper (subreaper) ── job, its children, their orphans
 *         ╲═══════╪══ keeper              one socket pair from node to each keeper
 *
 * One keeper runs one job at a time, so everything below it belongs to that job, whatever it does
 * to its session, group or environment. When the node ends, by kill -9 too, its ends of the sockets
 * close: keepers and reaper end everything below them and exit. */
#ifndef STINT_REAPER_H
#define STINT_REAPER_H

#include "datastore/error.h"

struct reaper;

/* Forks the reaper. Call it while this process has one thread and has not opened the datastore; it
 * also opens /dev/null in place of a closed stdin, stdout or stderr. Gives `*ret_reaper`. */
int reaper_start(struct reaper **ret_reaper, struct error *err)
    __attribute__((warn_unused_result));

/* Ends every job process still there and the reaper, waits for that (at most about ten seconds),
 * and frees it. NULL does nothing. Slots may be closed before or after. */
void reaper_stop(struct reaper *reaper);

int reaper_pid(const struct reaper *reaper);

/* Asks for a keeper. Gives the node's end of its socket, non-blocking and close-on-exec. Blocks
 * for the time of a fork. */
int reaper_open_keeper(struct reaper *reaper, int *ret_fd, struct error *err)
    __attribute__((warn_unused_result));

#endif
