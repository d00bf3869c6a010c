/* `stint selftest`: what its parts share. cmd_selftest.c says what is done in which order, and what
 * becomes of it when it is killed. All single-threaded. Times: us of the monotonic clock, which the
 * jobs' processes read, too. */
#ifndef STINT_SELFTEST_H
#define STINT_SELFTEST_H

#include <sys/types.h>

#include "cli/cli.h"
#include "cli/progress.h"

enum {
    SELFTEST_NODES_MAX = 16,
    SELFTEST_NAME_BYTES = 24, /* of a node: n12.345 */
    SELFTEST_SHOWN_MAX = 40,  /* findings told in words; the rest is counted */
};

struct selftest;

/* ---- the scratch namespace and folder (selftest_scratch.c) ----------------------------------- */

/* The folder holds notes, logs and the submits' files, and the file `owner`, which is locked as
 * long as its selftest lives: so leftovers are told from what is in use. */
struct scratch {
    char name[LIMIT_NAME_BYTES + 1]; /* selftest-RANDOM: of namespace and folder */
    char *base;                      /* the user's store, in no namespace; may hold a password */
    char *uri;                       /* of the scratch store; likewise */
    char *folder;                    /* NULL: not made yet */
    bool used;                       /* something may be in the namespace */
    int owner;
};

/* Names the namespace and makes the folder. CLI_OK or a status, printed. Zeroed before;
 * scratch_clear frees it. */
int scratch_make(struct scratch *scratch, const char *store, int64_t frozen_ms)
    __attribute__((warn_unused_result));

/* Makes the store. CLI_OK or a status, printed. */
int scratch_open(struct scratch *scratch, struct datastore **ret_ds)
    __attribute__((warn_unused_result));

/* Removes what dead selftests have left in the same store. */
void scratch_leftovers(const struct scratch *scratch);

/* Drops the namespace and removes the folder: CLI_OK or a status, printed. All processes that use
 * them have ended. */
int scratch_remove(struct scratch *scratch) __attribute__((warn_unused_result));
void scratch_clear(struct scratch *scratch);

/* A path in the folder: given, to be freed. */
char *scratch_path(const struct scratch *scratch, const char *name);

/* ---- processes (selftest_process.c) ---------------------------------------------------------- */

/* The program itself as a child that dies with this process: argv[1..] (argv[0] is put in), output
 * into the file `out` of the scratch folder (emptied; NULL: the log), errors appended to `log`.
 * Returns its pid, or 0 after an error was printed. */
pid_t process_start(const struct selftest *test, const char **argv, const char *out,
                    const char *log);

/* How children have ended since: 1 with one of them, 0. Orphans of theirs are reaped on the way. */
int process_ended(pid_t *ret_pid, int *ret_how);

/* Waits until no process is left below this one; false: some are, after that time. */
bool process_none_left(uint64_t wait_ms);

int64_t now_us(void);

/* ---- jobs and their notes (selftest_job.c) --------------------------------------------------- */

/* What a job of that number does, and how it should end. */
struct work {
    const char *kind;
    int32_t ms;           /* takes so long */
    int32_t bad_attempts; /* its first attempts fail ... */
    bool hangs;           /* ... by running until their time-out, else by exit status 1 */
    int32_t max_attempts, timeout_ms;
};

struct work work_of(uint64_t seed, uint32_t number);

/* SELFTEST_JOB NOTES NUMBER KIND MS: the process of such a job. */
#define SELFTEST_JOB "selftest-job"
int selftest_job(int argc, char **argv);

/* One execution, as its own process noted it: in a file, by one write before and one after. */
struct execution {
    int64_t id;
    uint32_t number;
    int32_t run, pid;
    int64_t start_us, end_us; /* end 0: it did not come to its end */
    char node[SELFTEST_NAME_BYTES];
};

/* All executions by id, run and start: given. *ret_strange: lines that are no notes, or ends
 * without a start. ERR_IO. */
int notes_read(const char *path, struct execution **ret_executions, size_t *ret_n,
               int64_t *ret_strange, struct error *err) __attribute__((warn_unused_result));

/* ---- submitting (selftest_feed.c) ------------------------------------------------------------ */

/* One submit at a time, by `stint submit --jsonl FILE --token NAME`, again until it has said the
 * ids. */
struct feed {
    uint32_t next;     /* number of the next job */
    uint32_t first, n; /* of the submit under way */
    int32_t submits, cut, again;
    pid_t pid; /* 0: none is under way */
    bool pending;
    int32_t failures; /* of this submit, not by our doing */
    int64_t due_us, began_us, took_us;
    bool cut_wanted, cut_sent;
    uint32_t cut_share; /* of the time that one takes, in thousandths */
    int64_t accepted;
};

/* Starts the next submit when it is due and the backlog leaves room, kills it where that was
 * wanted. CLI_OK, or a status, printed. */
int feeder_tick(struct selftest *test, bool more);
int feeder_ended(struct selftest *test, int how);
void feeder_cut(struct selftest *test, uint32_t share);

/* ---- nodes and what is done to them (selftest_fleet.c) --------------------------------------- */

enum fault_kind { FAULT_KILL, FAULT_FREEZE, FAULT_NAP, FAULT_STOP, FAULT_CUT, FAULT_KINDS };

/* Something done to a node. */
struct fault {
    enum fault_kind kind;
    char node[SELFTEST_NAME_BYTES];
    int64_t at_us, until_us; /* until it went on again; of a kill: at */
    int64_t earlier;         /* the fault before it of the same node; -1: none */
};

enum member_life { MEMBER_GONE, MEMBER_RUNS, MEMBER_FROZEN, MEMBER_STOPPING };

struct member {
    enum member_life life;
    pid_t pid;
    char name[SELFTEST_NAME_BYTES];
    bool ready;     /* its record was seen */
    int64_t due_us; /* to be started, or to be woken */
    int64_t fault;  /* that froze it */
    int64_t for_us; /* frozen so long; or so long after its burial */
};

struct fleet {
    struct member members[SELFTEST_NODES_MAX];
    int32_t starts;
    uint64_t plan; /* the state that faults are drawn from */
    int32_t drawn;
    struct { /* the fault that comes next */
        enum fault_kind kind;
        uint32_t target;
        int64_t for_ms;
        int64_t due_us;
    } next;
    struct fault *faults;
    size_t n_faults, faults_max;
    int64_t *last; /* fault of each process ever started, by its number; -1: none */
    int32_t done[FAULT_KINDS];
    int32_t killed_frozen; /* by others: a frozen one held the store's lock */
    int32_t ended;         /* by themselves, with an error */
};

int fleet_start(struct selftest *test) __attribute__((warn_unused_result));
/* Faults, as far as they are `wanted`, restarts and wakes that are due. */
int fleet_tick(struct selftest *test, bool wanted) __attribute__((warn_unused_result));
bool fleet_ended(struct selftest *test, pid_t pid, int how); /* false: no node's pid */
void fleet_wake(struct selftest *test);                      /* all that are frozen */
void fleet_stop(struct selftest *test);                      /* gracefully */
bool fleet_gone(const struct selftest *test);
void fleet_kill(struct selftest *test);

/* The last fault of a node's process, by its name; -1: none. */
int64_t fleet_fault_of(const struct selftest *test, const char *node);

/* Whether something befell that node between these times. */
bool fleet_excuses(const struct selftest *test, const char *node, int64_t from_us, int64_t to_us);

/* ---- looking at the store (selftest_look.c) -------------------------------------------------- */

struct row_seen {
    bool accepted; /* a submit has said its id */
    bool there;    /* in the last reading of all rows */
    bool wrong;    /* told already */
    enum job_state state;
    int32_t run, interruptions;
    int64_t node;
    uint64_t digest; /* of the outcome when it was seen first; 0: none seen */
};

struct node_seen {
    int64_t id;
    char name[SELFTEST_NAME_BYTES];
    char cause[160];
    int64_t dead_us; /* seen not to be among the living any more; 0: it is */
    int64_t done;
    bool now;
    bool timed; /* it was among the living a look before */
};

struct sight {
    struct row_seen *rows; /* by id */
    int64_t n_rows;
    int64_t high; /* past the highest id accepted */
    int64_t low;  /* the lowest that had no outcome at the last look */
    int64_t again;
    int64_t finished;
    struct node_seen *nodes;
    size_t n_nodes;
    int64_t rows_due_us, nodes_due_us;
    int64_t slowest_us;
    uint64_t away_since_ms; /* the store does not answer since; 0: it does */
};

/* Reads rows whose outcome is not known yet, some of the others again, and the live nodes, when
 * that is due. CLI_OK or a status, printed: the store is away for too long. */
int look_tick(struct selftest *test) __attribute__((warn_unused_result));
void look_accepted(struct selftest *test, struct range ids);

/* All nodes, and each job by id, which goes to `fn`, too. */
typedef void look_fn(struct selftest *test, const struct job *job);
int look_at_all(struct selftest *test, look_fn *fn, struct error *err)
    __attribute__((warn_unused_result));

/* NULL: none of that id. */
const struct node_seen *look_node(const struct selftest *test, int64_t id);

/* ---- the verdict (selftest_judge.c, selftest_report.c) --------------------------------------- */

#define WRONG_MAP(X)                                                                               \
    /* kind, key in JSON, in the report */                                                         \
    X(WRONG_LOST, "lost", "jobs lost")                                                             \
    X(WRONG_RECORDED_TWICE, "recorded_twice", "recorded twice")                                    \
    X(WRONG_SUBMITTED_TWICE, "submitted_twice", "submitted twice")                                 \
    X(WRONG_AGAIN, "executed_twice", "executed twice without a fault")                             \
    X(WRONG_UNFIT, "outcome_wrong", "outcome and executions disagree")                             \
    X(WRONG_OTHER, "other", "other findings")

enum wrong {
#define X(kind, key, text) kind,
    WRONG_MAP(X)
#undef X
        WRONGS
};

/* Times of one kind, in us. */
struct times {
    int64_t *us;
    size_t n, max;
};

struct verdict {
    int64_t wrong[WRONGS];
    char *texts[SELFTEST_SHOWN_MAX];
    size_t n_texts;
    int64_t done, failed, failed_interrupted, timed_out;
    int64_t unasked;       /* nodes buried without a fault of ours */
    char unasked_one[200]; /* one of them, in words */
    int64_t executions, attempts, again, same_run_again, done_again, interruptions;
    struct times buried_killed, buried_frozen, restarted_killed, restarted_frozen;
    int64_t ran_ms, drained_ms;
    struct execution *notes; /* all executions, by id, run and start */
    size_t n_notes, at_note; /* ... dealt with so far */
    int64_t *ids;            /* of each job's number; 0: none seen */
};

void wrong_add(struct selftest *test, enum wrong kind, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Compares rows, notes and faults. CLI_OK (whatever was found), or a status, printed. */
int judge(struct selftest *test) __attribute__((warn_unused_result));
void report_print(struct selftest *test);
int report_status(const struct selftest *test); /* CLI_OK, or CLI_FAILED after a line on stderr */

/* ---------------------------------------------------------------------------------------------- */

struct selftest {
    struct cli *cli;
    int64_t run_ms, lease_ms, n_nodes, slots;
    uint64_t seed;
    struct scratch scratch;
    char *program; /* this one, to be run again */
    char **env;    /* of children */
    struct datastore *ds;
    struct interrupt interrupt;
    struct progress progress;
    struct feed feed;
    struct fleet fleet;
    struct sight sight;
    struct verdict verdict;
};

#endif
