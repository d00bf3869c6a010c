/* The command line: what all commands share.
 *
 * A command is one const entry: its words, its usage, its options, its function. The parser, the
 * help and the fall-back from a flag to the environment and the config file all read that entry.
 * Commands return an exit status (DESIGN §9) after having printed at most one line on stderr. */
#ifndef STINT_CLI_H
#define STINT_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datastore/datastore.h"
#include "datastore/uri.h"

enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,      /* the work failed */
    CLI_USAGE = 2,       /* the caller's arguments */
    CLI_UNREACHABLE = 3, /* the datastore */
    CLI_TIMED_OUT = 4,
    CLI_REFUSED = 5, /* refused, or not found */
    CLI_PARTLY = 6,  /* partly submitted */
    CLI_SIGNAL = 128 /* + the signal's number */
};

/* ---- settings: config file, then environment, then flags (config.c) -------------------------- */

#define SETTING_MAP(X)                                                                             \
    /* kind, key in the config file and name of the flag, variable */                              \
    X(SETTING_STORE, "store", "STINT_STORE")                                                       \
    X(SETTING_QUEUE, "queue", "STINT_QUEUE")                                                       \
    X(SETTING_SLOTS, "slots", "STINT_SLOTS")                                                       \
    X(SETTING_LEASE, "lease", "STINT_LEASE")                                                       \
    X(SETTING_STOP_TIMEOUT, "stop-timeout", "STINT_STOP_TIMEOUT")

enum setting {
    SETTING_NONE,
#define X(kind, key, variable) kind,
    SETTING_MAP(X)
#undef X
        SETTINGS
};

/* Zeroed is empty. Texts are owned; NULL: not set. */
struct settings {
    char *value[SETTINGS];
    char *exposed; /* path of the config file whose store has a password that others can read */
};

/* Reads `key = value` lines. `path` is named in errors. ERR_INVALID: a line that is none, or an
 * unknown key; ERR_NOT_FOUND: no such file; ERR_IO. */
int settings_read_file(struct settings *settings, const char *path, struct error *err)
    __attribute__((warn_unused_result));

/* The config file ($STINT_CONFIG, else under the XDG config directory, where it may be missing),
 * then the environment over it. */
int settings_load(struct settings *settings, struct error *err) __attribute__((warn_unused_result));
void settings_clear(struct settings *settings);

/* Stint's folder under the XDG state directory: given, to be freed. NULL: no home folder. */
char *settings_state_folder(void);

/* The store used when nobody names one: given, to be freed. ERR_NOT_FOUND: no home folder. */
int settings_default_store(char **ret_uri, struct error *err) __attribute__((warn_unused_result));

/* The URI that `named` stands for: itself, or for `@PATH` the first line of that file, so that a
 * password is neither in the arguments nor in the environment. *ret_uri is given, to be freed.
 * *ret_exposed: others can read the password that is in that file. ERR_INVALID, with one clear
 * line: the file cannot be read, or its first line is empty. */
int store_uri_resolve(const char *named, char **ret_uri, bool *ret_exposed, struct error *err)
    __attribute__((warn_unused_result));

/* ---- commands and their options (options.c) -------------------------------------------------- */

struct cli;

struct cli_option {
    const char *name;
    char letter;       /* 0: none */
    const char *value; /* what its value is called; NULL: a switch */
    const char *help;
    enum setting setting; /* where its value comes from when it is not given */
};

struct cli_command {
    const char *words;    /* "job list" */
    const char *operands; /* "ID|RANGE..." */
    const char *summary;  /* one line */
    const char *notes;    /* more for --help; may be NULL */
    const char *example;
    const struct cli_option *options; /* ends with a NULL name; may be NULL */
    bool tail; /* options end at the first operand: what follows is somebody else's */
    int operands_min, operands_max; /* max -1: any number */
    bool json;                      /* takes --json */
    int (*run)(struct cli *cli);
};

struct cli_given {
    const struct cli_option *option;
    const char *text; /* NULL: a switch */
};

struct cli {
    const struct cli_command *command;
    struct settings settings;
    struct cli_given *given; /* in the order given */
    size_t n_given;
    char **operands; /* borrowed from argv */
    int n_operands;
    bool json;
    char *store_uri; /* what cli_store_uri has found; NULL: not asked yet */
};

/* Parses what follows the command's words (argv[0] is taken for a name). CLI_OK, or an exit status
 * after the error was printed; *ret_help: --help was printed, nothing is left to do. */
int cli_parse(struct cli *cli, int argc, char **argv, bool *ret_help)
    __attribute__((warn_unused_result));
void cli_clear(struct cli *cli);

/* The option's (last) text: flag, else setting, else NULL. For a switch: "" when given. */
const char *cli_option(const struct cli *cli, const char *name);

/* The texts of an option given several times: NULL after the last; *at starts at 0. The setting
 * stands for it where it is not given at all. */
const char *cli_option_next(const struct cli *cli, const char *name, size_t *at);

/* A number in min..max: CLI_OK (untouched when the option is not there) or CLI_USAGE, printed. */
int cli_option_number(const struct cli *cli, const char *name, int64_t min, int64_t max,
                      int64_t *ret_value) __attribute__((warn_unused_result));
int cli_option_duration(const struct cli *cli, const char *name, int64_t *ret_ms)
    __attribute__((warn_unused_result));

/* A valid name (name_valid) or not there: *ret_name as cli_option. */
int cli_option_name(const struct cli *cli, const char *name, const char **ret_name)
    __attribute__((warn_unused_result));

/* "500ms", "10s", "5m", "2h", "1d", or seconds; one fraction is allowed ("1.5s"). ERR_INVALID
 * otherwise, and past DURATION_MS_MAX. */
#define DURATION_MS_MAX (INT64_C(10) * 365 * 24 * 3600 * 1000)
int duration_parse(const char *text, int64_t *ret_ms) __attribute__((warn_unused_result));

/* Decimal digits only, min..max; ERR_INVALID otherwise. */
int number_parse(const char *text, int64_t min, int64_t max, int64_t *ret_value)
    __attribute__((warn_unused_result));

/* ---- errors, the store, clocks (common.c) ---------------------------------------------------- */

/* Prints "stint: ..." as one line on stderr, whatever bytes are in it; returns `status`. */
int cli_error(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The exit status that a code stands for, and the same after printing the error. */
int cli_status_of(int code);
int cli_fail(const struct error *err);

/* A text for an error line: cut when long, strange bytes replaced. */
enum { QUOTE_BYTES = 80 };
char *cli_quote(char quoted[QUOTE_BYTES], const char *text);

/* Replaces what a terminal must not see (controls, bytes that are not UTF-8) by '?'. */
void text_clean(char *text);

/* Opens the store that flag, environment, file or default name. CLI_OK or a status, printed. */
int cli_open(struct cli *cli, unsigned flags, struct datastore **ret_ds)
    __attribute__((warn_unused_result));

/* A URI that is no setting, or @PATH: given, to be freed. CLI_OK or a status, printed. */
int cli_uri(const char *named, char **ret_uri) __attribute__((warn_unused_result));
int cli_open_uri(const char *uri, unsigned flags, struct datastore **ret_ds)
    __attribute__((warn_unused_result));

/* The URI cli_open takes: borrowed, as long as `cli`. NULL after an error was printed. It may hold
 * a password: it is shown through uri_redact only (cli_error, cli_note and cli_quote do). */
const char *cli_store_uri(struct cli *cli);

/* "user@host", cut to fit: who changed a queue. */
void cli_who(char who[LIMIT_NAME_BYTES + 1]);

uint64_t clock_ms(void);    /* monotonic */
int64_t clock_utc_ms(void); /* of this machine */

/* Makes a value of enough bytes or aborts: all callers are bounded. */
void *cli_alloc(size_t size);
void *cli_grow(void *old, size_t size);
char *cli_copy(const char *text);
char *cli_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- short outages (retry.c) ----------------------------------------------------------------- */

/* How long one step has been tried. Zeroed at first. */
struct patience {
    uint64_t began_ms, pause_ms;
};

/* A code that may pass by itself. */
bool cli_passing(int rc);

/* True, after a pause, when a step that gave `rc` is to be tried again: for some 10 s in all. */
bool cli_try_again(struct patience *patience, int rc);

/* datastore_step for a step that may be carried out twice, again while the store is away.
 * *ret_unsure (may be NULL): an earlier try may have done it already. */
int cli_step(struct datastore *ds, struct ds_step *step, struct arena *mem, bool *ret_unsure,
             struct error *err);

/* ---- Ctrl-C (common.c) ----------------------------------------------------------------------- */

/* SIGINT and SIGTERM as a descriptor, so that a step under way always comes to its end. */
struct interrupt {
    int fd;
    int signal; /* the first that came; 0: none */
};

void interrupt_open(struct interrupt *interrupt);
int interrupt_seen(struct interrupt *interrupt); /* the signal, or 0 */

/* Sleeps until `fd` (-1: none) is readable, a signal comes, or the time is over. True: fd is. */
bool interrupt_wait(struct interrupt *interrupt, int fd, uint64_t wait_ms);
void interrupt_close(struct interrupt *interrupt);

/* ---- the commands ---------------------------------------------------------------------------- */

extern const struct cli_command submit_command, wait_command, status_command, observe_command;
extern const struct cli_command job_list_command, jobs_command, job_show_command, job_log_command,
    job_cancel_command;
extern const struct cli_command queue_list_command, queue_create_command, queue_pause_command,
    queue_resume_command;
extern const struct cli_command node_start_command, node_list_command, node_stop_command,
    node_pause_command, node_resume_command;
extern const struct cli_command store_init_command, store_info_command, store_check_command,
    store_copy_command;
extern const struct cli_command selftest_command;

#endif
