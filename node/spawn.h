/* Starting one process of a job, by one clone and one exec. */
#ifndef STINT_SPAWN_H
#define STINT_SPAWN_H

#include <limits.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "datastore/bytes.h"

enum spawn_step {
    SPAWN_OK,
    SPAWN_CLONE,
    SPAWN_CWD,
    SPAWN_LIMIT,
    SPAWN_EXEC,
};

struct spawn_limit {
    int resource; /* RLIMIT_* */
    struct rlimit limit;
};

/* Everything is borrowed for the call. The process leads a group of its own, has default signal
 * dispositions if the caller has them, an empty signal mask, `stdin_fd`, `output_fd` twice, and
 * those of the caller's descriptors that are not close-on-exec; SIGKILL when the caller ends. */
struct spawn_plan {
    char *const *argv; /* NULL-terminated; argv[0] with a slash is a path from `cwd` */
    char *const *envp; /* its PATH finds an argv[0] without a slash */
    const char *cwd;   /* NULL: the caller's */
    int stdin_fd;
    int output_fd; /* stdout and stderr */
    const struct spawn_limit *limits;
    size_t n_limits;
};

struct spawn_failure {
    enum spawn_step step;
    int error; /* errno */
    int resource; /* with SPAWN_LIMIT */
};

/* Returns the pid, or -1 with what failed. The caller has one thread. */
pid_t spawn(const struct spawn_plan *plan, struct spawn_failure *ret_failure)
    __attribute__((warn_unused_result));

/* The environment of a job: `base` with `settings` (NAME=VALUE, NUL, again and again) over it; of
 * two settings of a name the later counts. One block, given to the caller to free; its strings stay
 * in `base` and `settings`. NULL when out of memory. */
char **spawn_environment(char *const *base, struct bytes settings)
    __attribute__((warn_unused_result));

/* The strings in `strings` (each ends in a NUL) as a NULL-terminated array; as above. */
char **spawn_strings(struct bytes strings) __attribute__((warn_unused_result));

#endif
