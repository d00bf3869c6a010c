/* What the files in /proc say, as text that somebody has read: one place for their forms. Pure. */
#ifndef STINT_PROCFS_H
#define STINT_PROCFS_H

#include <stdbool.h>
#include <stdint.h>

/* Of /proc/PID/stat, or /proc/PID/task/TID/stat. */
struct proc_stat {
    char state; /* 'R', 'S', 'T', 'Z' ... */
    int64_t parent, group;
    int64_t cpu_ticks; /* user and system */
    int64_t start;     /* clock ticks since boot */
};

/* Reads a whole stat line. False, and nothing set: it is none. */
bool proc_stat_parse(const char *line, struct proc_stat *ret_stat)
    __attribute__((warn_unused_result));

/* A line of /proc/locks: which process holds a lock of flock() for writing, on which inode. False:
 * it tells of another kind of lock, or of one who waits. */
bool proc_lock_parse(const char *line, int64_t *ret_pid, uint64_t *ret_inode)
    __attribute__((warn_unused_result));

/* The next of the numbers in /proc/PID/task/TID/children; *at moves on. 0: no more that are whole
 * (a number at the very end may be cut off). */
int64_t proc_child_next(const char **at);

#endif
