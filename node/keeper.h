/* A keeper runs one job at a time for the node, and what node and keeper say to each other.
 *
 * Frames on a stream socket between processes of one binary: a head, then `len` bytes, in host
 * layout. Node to keeper: START, END. Keeper to node: one RESULT for each START. */
#ifndef STINT_KEEPER_H
#define STINT_KEEPER_H

#include <assert.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>

#include "datastore/limits.h"

enum keeper_frame_kind { KEEPER_START = 1, KEEPER_END, KEEPER_RESULT };

struct keeper_head {
    uint32_t len;
    uint32_t kind;
};

/* Then, in this order: the limits, argv, env, cwd (with its NUL; 0 bytes: inherit), stdin. */
struct keeper_start {
    uint64_t timeout_ms; /* 0: none */
    uint64_t grace_ms;
    uint32_t output_cap_bytes;
    uint32_t n_limits;
    uint32_t argv_len;
    uint32_t env_len;
    uint32_t cwd_len;
    uint32_t stdin_len;
};

struct keeper_end {
    uint64_t grace_ms;
};

/* Then output_len bytes of output. */
struct keeper_result {
    int32_t end; /* enum exec_end */
    int32_t exit_code;
    int32_t signal;
    uint32_t output_len;
    int64_t started_ms;
    int64_t finished_ms;
    uint64_t wall_ms;
    uint64_t user_ms;
    uint64_t sys_ms;
    uint64_t maxrss_kb;
    uint64_t output_total;
    char error[256];
};

enum {
    KEEPER_LIMITS = 16,      /* resource limits of one job */
    KEEPER_ENV_SLACK = 1024, /* for the markers that come on top of the settings */
    KEEPER_FRAME_BYTES = sizeof(struct keeper_start) + KEEPER_LIMITS * 16 + LIMIT_ARGV_BYTES +
                         LIMIT_ENV_BYTES + KEEPER_ENV_SLACK + LIMIT_PATH_BYTES +
                         LIMIT_PAYLOAD_BYTES,
};

/* The keeper process: never returns. `sock` is its end, given; `base_env` lives as long as it. The
 * caller has one thread, default dispositions, all signals blocked, no other descriptor but 0 to
 * 2. */
noreturn void keeper_main(int sock, pid_t reaper_pid, char *const *base_env);

#endif
