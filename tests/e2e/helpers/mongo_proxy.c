/* The proxy of tests/support/wire_proxy.h as a program, for scripts and measuring.
 *
 *   helper_mongo_proxy HOST:PORT REPORT [CONTROL]
 *
 * Prints "port N" and serves until SIGTERM or SIGINT. The counts are written into the file REPORT
 * at the end, on SIGUSR1 and by the command `report`; it is replaced, never half there. CONTROL is
 * a FIFO (made if it is not there) of commands, one a line; each is answered on standard output by
 * "ok LINE" or "bad LINE" once it holds. Numbers that are left out are 1.
 *
 *   cut_reply ON [NTH [TIMES]]       ON: any, write, COMMAND or COMMAND:COLLECTION
 *   cut_request ON [NTH [TIMES]]
 *   late ON MS [NTH [TIMES]]
 *   delay_ms MS
 *   stall on|off
 *   refuse on|off
 *   kill_all
 *   reset
 *   report */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/wire_proxy.h"

enum { LINE_BYTES = 512, WORDS_MAX = 5 };

struct program {
    struct wire_proxy *proxy;
    const char *report;
    char line[LINE_BYTES]; /* what has come of the next command */
    size_t len;
};

static bool number_of(const char *text, uint32_t max, uint32_t *ret)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value > max)
        return false;
    *ret = (uint32_t)value;
    return true;
}

static bool write_report(const struct program *program)
{
    char path[4096];
    int len = snprintf(path, sizeof(path), "%s.new", program->report);
    if (len < 0 || (size_t)len >= sizeof(path))
        return false;
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return false;
    wire_proxy_report(program->proxy, out);
    return fclose(out) == 0 && rename(path, program->report) == 0;
}

/* ---- commands ------------------------------------------------------------------------------- */

struct command {
    const char *name;
    int words_min, words_max; /* behind the name */
    bool (*run)(struct program *program, enum wire_fault fault, char **words, int n);
    enum wire_fault fault;
};

static bool run_trap(struct program *program, enum wire_fault fault, char **words, int n)
{
    struct wire_trap trap = {.fault = fault, .on = words[0]};
    int i = 1;
    if (fault == WIRE_LATE && (i >= n || !number_of(words[i++], UINT32_MAX, &trap.late_ms)))
        return false;
    if (i < n && !number_of(words[i++], UINT32_MAX, &trap.nth))
        return false;
    if (i < n && !number_of(words[i++], UINT32_MAX, &trap.times))
        return false;
    return i == n && wire_proxy_trap(program->proxy, trap);
}

static bool run_number(struct program *program, enum wire_fault fault, char **words, int n)
{
    (void)fault, (void)n;
    uint32_t ms;
    if (!number_of(words[0], UINT32_MAX, &ms))
        return false;
    wire_proxy_delay(program->proxy, ms);
    return true;
}

static bool run_switch(struct program *program, enum wire_fault fault, char **words, int n)
{
    (void)n;
    bool on = strcmp(words[0], "on") == 0;
    if (!on && strcmp(words[0], "off") != 0)
        return false;
    if (fault == WIRE_STALL)
        wire_proxy_stall(program->proxy, on);
    else
        wire_proxy_refuse(program->proxy, on);
    return true;
}

static bool run_plain(struct program *program, enum wire_fault fault, char **words, int n)
{
    (void)words, (void)n;
    if (fault == WIRE_KILL)
        wire_proxy_kill_all(program->proxy);
    else
        wire_proxy_reset(program->proxy);
    return true;
}

static bool run_report(struct program *program, enum wire_fault fault, char **words, int n)
{
    (void)fault, (void)words, (void)n;
    return write_report(program);
}

static const struct command commands[] = {
    {"cut_reply", 1, 3, run_trap, WIRE_CUT_REPLY},
    {"cut_request", 1, 3, run_trap, WIRE_CUT_REQUEST},
    {"late", 2, 4, run_trap, WIRE_LATE},
    {"delay_ms", 1, 1, run_number, WIRE_DELAY},
    {"stall", 1, 1, run_switch, WIRE_STALL},
    {"refuse", 1, 1, run_switch, WIRE_REFUSE},
    {"kill_all", 0, 0, run_plain, WIRE_KILL},
    {"reset", 0, 0, run_plain, WIRE_FAULTS},
    {"report", 0, 0, run_report, WIRE_FAULTS},
};

static bool run_line(struct program *program, char *line)
{
    char *words[WORDS_MAX + 1];
    int n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \t", &rest); word != NULL;
         word = strtok_r(NULL, " \t", &rest)) {
        if (n > WORDS_MAX)
            return false;
        words[n++] = word;
    }
    for (size_t i = 0; n > 0 && i < sizeof(commands) / sizeof(commands[0]); i++) {
        const struct command *command = &commands[i];
        if (strcmp(command->name, words[0]) == 0)
            return n - 1 >= command->words_min && n - 1 <= command->words_max &&
                   command->run(program, command->fault, words + 1, n - 1);
    }
    return false;
}

static void take_lines(struct program *program)
{
    char *newline;
    while ((newline = memchr(program->line, '\n', program->len)) != NULL) {
        *newline = '\0';
        char copy[LINE_BYTES];
        memcpy(copy, program->line, (size_t)(newline - program->line) + 1);
        bool ok = run_line(program, copy);
        printf("%s %s\n", ok ? "ok" : "bad", program->line);
        fflush(stdout);
        program->len -= (size_t)(newline - program->line) + 1;
        memmove(program->line, newline + 1, program->len);
    }
    if (program->len == LINE_BYTES)
        program->len = 0;
}

/* ---- the program ---------------------------------------------------------------------------- */

/* Opened for writing too, so that it does not end when a writer goes. */
static int open_control(const char *path)
{
    if (mkfifo(path, 0600) != 0 && errno != EEXIST)
        return -1;
    return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}

/* Exit status. */
static int serve(struct program *program, int signals, int control)
{
    struct pollfd fds[] = {{.fd = signals, .events = POLLIN}, {.fd = control, .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return 1;
        struct signalfd_siginfo info;
        if (fds[1].revents != 0) {
            ssize_t n =
                read(control, program->line + program->len, sizeof(program->line) - program->len);
            if (n > 0)
                program->len += (size_t)n;
            take_lines(program);
        }
        if (fds[0].revents == 0 || read(signals, &info, sizeof(info)) != sizeof(info))
            continue;
        if (!write_report(program)) {
            perror(program->report);
            return 1;
        }
        if (info.ssi_signo != SIGUSR1)
            return 0;
    }
}

int main(int argc, char **argv)
{
    char *colon = argc == 3 || argc == 4 ? strrchr(argv[1], ':') : NULL;
    uint32_t port;
    if (colon == NULL || !number_of(colon + 1, UINT16_MAX, &port)) {
        fprintf(stderr, "usage: %s HOST:PORT REPORT [CONTROL]\n", argv[0]);
        return 2;
    }
    *colon = '\0';

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, SFD_CLOEXEC);
    int control = argc == 4 ? open_control(argv[3]) : -1;
    struct program program = {.report = argv[2]};
    if (signals >= 0 && (argc == 3 || control >= 0))
        program.proxy = wire_proxy_start(argv[1], (uint16_t)port);
    if (program.proxy == NULL) {
        perror(argv[0]);
        return 1;
    }
    printf("port %u\n", wire_proxy_port(program.proxy));
    fflush(stdout);
    int status = serve(&program, signals, control);
    wire_proxy_stop(program.proxy);
    if (control >= 0)
        close(control);
    close(signals);
    return status;
}
