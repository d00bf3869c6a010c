/* Runs jobs as processes: one slot, one job at a time. Owned by the node's loop thread; nothing
 * here blocks but exec_slot_open. */
#ifndef STINT_EXEC_H
#define STINT_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datastore/bytes.h"
#include "datastore/error.h"
#include "node/reaper.h"

/* One resource limit. The soft limit becomes `value`, the hard limit too (RLIMIT_CPU: a second
 * more, so that the job gets SIGXCPU and not SIGKILL). */
struct exec_limit {
    int resource; /* RLIMIT_* */
    uint64_t value;
};

/* Borrowed for the call. At most LIMIT_ARGV_BYTES, LIMIT_ENV_BYTES, LIMIT_PAYLOAD_BYTES of stdin,
 * LIMIT_OUTPUT_BYTES of kept output, 16 limits. */
struct exec_request {
    int64_t job_id;
    char job_name[96]; /* STINT_JOB_ID, as shown to people; empty: the number */
    int32_t run;
    int32_t attempt;
    const char *node_name;
    struct bytes argv;        /* strings, each with its NUL; never a shell unless it names one */
    struct bytes env;         /* NAME=VALUE, each with its NUL, over the node's own environment */
    struct bytes stdin_bytes; /* len 0: /dev/null */
    const char *cwd;          /* NULL: the node's */
    uint64_t timeout_ms;      /* 0: none */
    uint64_t grace_ms;        /* from TERM to KILL after the time-out */
    uint32_t output_cap_bytes;
    const struct exec_limit *limits;
    size_t n_limits;
};

enum exec_end {
    EXEC_EXITED,       /* by itself, with exit_code */
    EXEC_SIGNALLED,    /* by `signal`, that Stint did not send */
    EXEC_TIMED_OUT,    /* ended at its time-out; exit_code or signal say how it took it */
    EXEC_ENDED,        /* ended because exec_slot_end asked for it; likewise */
    EXEC_SPAWN_FAILED, /* never ran, whenever it is tried; `error` says why */
    EXEC_NOT_STARTED,  /* never ran: the machine had no process or memory to spare; likewise */
};

struct exec_result {
    enum exec_end end;
    int exit_code;      /* -1 unless it exited */
    int signal;         /* 0 unless a signal ended it */
    int64_t started_ms; /* UTC, by this machine's clock */
    int64_t finished_ms;
    uint64_t wall_ms;
    uint64_t user_ms; /* of the processes that were waited for, as the shell's `time` counts */
    uint64_t sys_ms;
    uint64_t maxrss_kb;  /* of the largest; never less than a keeper's own (a megabyte or two) */
    struct bytes output; /* the last bytes of stdout and stderr, in the order of writing */
    uint64_t output_total;
    char error[256]; /* empty unless it could not start, or could not be ended */
};

struct exec_slot;

/* Gives `*ret_slot`; close it with exec_slot_close. */
int exec_slot_open(struct reaper *reaper, struct exec_slot **ret_slot, struct error *err)
    __attribute__((warn_unused_result));

/* Kills what still runs in it. NULL does nothing. */
void exec_slot_close(struct exec_slot *slot);

/* To be polled for reading always, and for writing while exec_slot_wants_write. */
int exec_slot_fd(const struct exec_slot *slot);
bool exec_slot_wants_write(const struct exec_slot *slot);

/* Starts a job. ERR_INVALID or ERR_LIMIT for a bad request, ERR_BUSY while one runs, ERR_IO when
 * the keeper is gone. A command that cannot be run is no error here but a result. */
int exec_slot_start(struct exec_slot *slot, const struct exec_request *request, struct error *err)
    __attribute__((warn_unused_result));

/* Asks for the end of the job: TERM to all its processes, KILL after `grace_ms` (0: at once). May
 * be asked again with a shorter grace. The result still comes. ERR_NOT_FOUND when nothing runs. */
int exec_slot_end(struct exec_slot *slot, uint64_t grace_ms);

/* Call when the descriptor is ready. Returns 1 with a result (its output is borrowed until the next
 * call on this slot), 0 when there is none yet, ERR_IO when the keeper is gone: the job, if one
 * ran, was interrupted, and the slot can only be closed. */
int exec_slot_ready(struct exec_slot *slot, struct exec_result *ret_result)
    __attribute__((warn_unused_result));

#endif
