/* What every command needs: error lines, the store, clocks, memory, Ctrl-C.
 *
 * An error is one line on stderr whatever was in the arguments: controls and bytes that are not
 * UTF-8 are replaced and long texts cut. Signals are blocked and read from a descriptor, so a write
 * to the store is never cut short by Ctrl-C. Single-threaded. */
#define _GNU_SOURCE
#include "cli/cli.h"

#include <bson/bson.h>
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* ---- memory ---------------------------------------------------------------------------------- */

static void *memory_or_die(void *memory, size_t size)
{
    if (memory != NULL)
        return memory;
    fprintf(stderr, "stint: out of memory (%zu bytes); nothing more was written\n", size);
    exit(CLI_UNREACHABLE);
}

void *cli_alloc(size_t size)
{
    return memory_or_die(calloc(1, size > 0 ? size : 1), size);
}

void *cli_grow(void *old, size_t size)
{
    return memory_or_die(realloc(old, size), size);
}

char *cli_copy(const char *text)
{
    return memory_or_die(strdup(text), strlen(text));
}

char *cli_format(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    return memory_or_die(n >= 0 ? text : NULL, 0);
}

/* ---- errors ---------------------------------------------------------------------------------- */

void text_clean(char *text)
{
    bool utf8 = bson_utf8_validate(text, strlen(text), false);
    for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++)
        if (*p < 0x20 || *p == 0x7f || (*p >= 0x80 && !utf8))
            *p = '?';
        else if (p[0] == 0xc2 && p[1] < 0xa0) /* U+0080..U+009F: controls too */
            p[0] = p[1] = '?';
}

char *cli_quote(char quoted[QUOTE_BYTES], const char *text)
{
    char shown[LIMIT_PATH_BYTES];
    uri_redact(shown, sizeof(shown), text);
    bool cut = strlen(shown) >= QUOTE_BYTES;
    snprintf(quoted, QUOTE_BYTES, cut ? "%.60s..." : "%s", shown);
    text_clean(quoted);
    return quoted;
}

static void line_print(const char *format, va_list args)
{
    char line[2 * ERROR_BYTES], shown[2 * ERROR_BYTES];
    vsnprintf(line, sizeof(line), format, args);
    uri_redact(shown, sizeof(shown), line);
    text_clean(shown);
    fprintf(stderr, "stint: %s\n", shown);
}

int cli_error(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line_print(format, args);
    va_end(args);
    return status;
}

void cli_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    line_print(format, args);
    va_end(args);
}

int cli_status_of(int code)
{
    switch (code) {
    case 0:
        return CLI_OK;
    case ERR_INVALID:
        return CLI_USAGE;
    case ERR_NOT_FOUND:
    case ERR_CONFLICT:
    case ERR_DUPLICATE:
    case ERR_LIMIT:
    case ERR_BUSY:
    case ERR_REFUSED:
        return CLI_REFUSED;
    case ERR_TIMED_OUT:
        return CLI_TIMED_OUT;
    default:
        return CLI_UNREACHABLE;
    }
}

int cli_fail(const struct error *err)
{
    return cli_error(cli_status_of(err->code), "%s", err->text);
}

/* ---- the store ------------------------------------------------------------------------------- */

static void file_exposed_note(const char *path)
{
    cli_note("warning: other users can read the password in %s; chmod 600 it", path);
}

/* Where a password stands in the open. */
static void exposure_note(const struct cli *cli, const char *named, bool exposed)
{
    for (size_t i = 0; i < cli->n_given; i++)
        if (cli->given[i].text == named && uri_has_password(named))
            cli_note("warning: the password in --store can be seen by other users of this machine; "
                     "put the URI into a file and give --store @PATH, or set it in $STINT_STORE");
    if (exposed)
        file_exposed_note(named + 1);
    if (named == cli->settings.value[SETTING_STORE] && cli->settings.exposed != NULL)
        file_exposed_note(cli->settings.exposed);
}

const char *cli_store_uri(struct cli *cli)
{
    const char *named = cli_option(cli, "store");
    bool exposed = false;
    struct error err = {0};
    if (cli->store_uri != NULL)
        return cli->store_uri;
    int rc = named != NULL ? store_uri_resolve(named, &cli->store_uri, &exposed, &err)
                           : settings_default_store(&cli->store_uri, &err);
    if (rc < 0)
        cli_error(CLI_UNREACHABLE, "%s", err.text);
    else if (named != NULL)
        exposure_note(cli, named, exposed);
    return cli->store_uri;
}

int cli_uri(const char *named, char **ret_uri)
{
    bool exposed = false;
    struct error err = {0};
    if (store_uri_resolve(named, ret_uri, &exposed, &err) < 0)
        return cli_error(CLI_UNREACHABLE, "%s", err.text);
    if (uri_has_password(named))
        cli_note("warning: the password in a URI that is an argument can be seen by other users of "
                 "this machine; put the URI into a file and give @PATH");
    if (exposed)
        file_exposed_note(named + 1);
    return CLI_OK;
}

int cli_open(struct cli *cli, unsigned flags, struct datastore **ret_ds)
{
    const char *uri = cli_store_uri(cli);
    return uri != NULL ? cli_open_uri(uri, flags, ret_ds) : CLI_UNREACHABLE;
}

int cli_open_uri(const char *uri, unsigned flags, struct datastore **ret_ds)
{
    struct error err = {0};
    char quoted[QUOTE_BYTES];
    int rc = datastore_open(uri, flags, ret_ds, &err);
    if (rc == ERR_NOT_FOUND && (flags & DS_CREATE) == 0)
        return cli_error(CLI_UNREACHABLE,
                         "no store at %s; run `stint store init` or submit something",
                         cli_quote(quoted, uri));
    if (rc < 0)
        return cli_error(rc == ERR_INVALID   ? CLI_USAGE
                         : rc == ERR_REFUSED ? CLI_REFUSED
                                             : CLI_UNREACHABLE,
                         "%s", err.code != 0 ? err.text : error_text(rc));
    return CLI_OK;
}

void cli_who(char who[LIMIT_NAME_BYTES + 1])
{
    char host[LIMIT_NAME_BYTES + 1] = "?";
    struct passwd *user = getpwuid(getuid());
    if (gethostname(host, sizeof(host)) < 0)
        host[0] = '?';
    host[sizeof(host) - 1] = '\0';
    char text[256];
    snprintf(text, sizeof(text), "%s@%s", user != NULL ? user->pw_name : "?", host);
    snprintf(who, LIMIT_NAME_BYTES + 1, "%.*s", LIMIT_NAME_BYTES, text);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static int64_t clock_read_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

uint64_t clock_ms(void)
{
    return (uint64_t)clock_read_ms(CLOCK_MONOTONIC);
}

int64_t clock_utc_ms(void)
{
    return clock_read_ms(CLOCK_REALTIME);
}

/* ---- Ctrl-C ---------------------------------------------------------------------------------- */

/* Those that end a command in good order. A terminal that is closed is one (not under nohup): what
 * is to be put away must not be left behind. */
static sigset_t interrupts(void)
{
    struct sigaction hangup;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN)
        sigaddset(&signals, SIGHUP);
    return signals;
}

void interrupt_open(struct interrupt *interrupt)
{
    sigset_t signals = interrupts();
    sigprocmask(SIG_BLOCK, &signals, NULL);
    *interrupt = (struct interrupt){.fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC)};
}

int interrupt_seen(struct interrupt *interrupt)
{
    struct signalfd_siginfo info;
    if (interrupt->signal == 0 && read(interrupt->fd, &info, sizeof(info)) == sizeof(info))
        interrupt->signal = (int)info.ssi_signo;
    return interrupt->signal;
}

bool interrupt_wait(struct interrupt *interrupt, int fd, uint64_t wait_ms)
{
    struct pollfd fds[] = {{.fd = interrupt->fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
    int ms = wait_ms > INT32_MAX ? INT32_MAX : (int)wait_ms;
    int n = poll(fds, 2, ms);
    return n > 0 && fds[1].revents != 0;
}

void interrupt_close(struct interrupt *interrupt)
{
    if (interrupt->fd >= 0)
        close(interrupt->fd);
    sigset_t signals = interrupts();
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
}
