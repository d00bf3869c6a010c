/* `stint observe`: the cluster in the terminal, now and then.
 *
 * A loop over keys, facts and a clock; nothing here waits for a store. Facts come from the
 * datastore, or from a recording, which is taken in piece by piece between two pictures. It writes
 * nothing to a store (I8), unless --control was given and a question answered with y.
 * Single-threaded. */
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/observe_json.h"
#include "observer/feed.h"
#include "observer/recording.h"
#include "observer/term.h"
#include "observer/text.h"
#include "observer/wishes.h"

enum {
    FRAME_MS = 250,
    POLL_MS = 500,
    PAST_BYTES = 256 << 20,
    ONCE_MS = 10000, /* as long may a first reading take */
    ONCE_WIDTH = 100,
    REPLAY_MS = 50, /* of taking in a recording, between two looks at the keys */
};

static const struct cli_option options[] = {
    {"once", 0, NULL, "print the cluster once, as plain text", SETTING_NONE},
    {"since", 0, "DURATION", "how much of the past to read at first (default: 10m)", SETTING_NONE},
    {"record", 0, "FILE", "record what is seen (up to 256 MiB); without a terminal, only that",
     SETTING_NONE},
    {"replay", 0, "FILE", "look at a recording instead of a store", SETTING_NONE},
    {"control", 0, NULL, "let Shift letters pause, resume, stop and cancel", SETTING_NONE},
    {0},
};

struct observer {
    struct cli *cli;
    const char *uri;
    struct async *async;
    struct past *past;
    struct feed *feed;           /* NULL: a recording is looked at */
    struct recording *recording; /* NULL: nothing is recorded */
    struct replay *replay;       /* NULL: a store is looked at */
    bool replayed;               /* all of it is in the past */
    struct error damage;         /* of the recording; code 0: none */
    struct ui *ui;               /* NULL: nobody looks */
    struct grid *grid;
    bool control;
};

static int store_open(void *ctx, struct datastore **ret_ds, struct error *err)
{
    const struct observer *observer = ctx;
    return datastore_open(observer->uri, observer->control ? 0 : DS_READ_ONLY, ret_ds, err);
}

/* ---- wishes: through the same door as the command line -------------------------------------- */

static void wish_do(struct observer *observer, const struct wish *wish)
{
    char who[LIMIT_NAME_BYTES + 1];
    cli_who(who);
    wish_start(observer->async, observer->ui, ui_moment(observer->ui), wish, who);
}

/* ---- the loop ------------------------------------------------------------------------------- */

static void picture(struct observer *observer)
{
    int width, height;
    term_size(&width, &height);
    if (observer->grid == NULL || observer->grid->width != width ||
        observer->grid->height != height) {
        grid_free(observer->grid);
        observer->grid = grid_new(width, height, term_ascii());
    }
    ui_draw(observer->ui, observer->grid);
    term_show(observer->grid);
}

/* True: quit. */
static bool keys_take(struct observer *observer)
{
    int x = 0, y = 0;
    for (int code; (code = term_key(&x, &y)) != KEYS_NONE;) {
        struct wish wish =
            code == KEYS_CLICK ? ui_click(observer->ui, x, y) : ui_key(observer->ui, code);
        if (wish.kind == WISH_QUIT)
            return true;
        if (wish.kind == WISH_REDRAW)
            term_redraw();
        else if (wish.kind != WISH_NONE)
            wish_do(observer, &wish);
    }
    return false;
}

/* What there is to say when no more can be read of a recording. */
static void replay_over(struct observer *observer, int rc)
{
    observer->replayed = true;
    if (rc < 0)
        ui_tell(observer->ui, "%s", observer->damage.text);
    else
        ui_tell(observer->ui, "%s",
                replay_full(observer->replay) ? "the recording ended at its limit"
                                              : "this is the end of the recording");
}

/* Takes in some more of a recording. In how many ms there is more to do. */
static uint64_t replay_tick(struct observer *observer)
{
    uint64_t until_ms = clock_ms() + REPLAY_MS;
    int rc = 1;
    while (!observer->replayed && rc > 0 && clock_ms() < until_ms)
        rc = replay_step(observer->replay, observer->past, &observer->damage);
    if (observer->replayed)
        return UINT64_MAX;
    ui_end_at(observer->ui, replay_last_ms(observer->replay));
    if (rc > 0) {
        ui_tell(observer->ui, "reading the recording: %.0f %%",
                replay_part(observer->replay) * 100);
        return 0;
    }
    replay_over(observer, rc);
    return 0;
}

/* Somebody goes back to where nothing has been read yet. */
static void earlier_tick(struct observer *observer)
{
    if (ui_wants_earlier(observer->ui) && feed_earlier(observer->feed) == FEED_EARLIER_ASKED)
        ui_tell(observer->ui, "reading what was before");
}

/* What is due now; in how many ms to come again. */
static uint64_t facts_tick(struct observer *observer, uint64_t now_ms)
{
    if (observer->replay != NULL)
        return replay_tick(observer);
    if (observer->ui != NULL) {
        struct jobs_ask ask = ui_jobs_ask(observer->ui);
        feed_want_jobs(observer->feed, &ask);
        earlier_tick(observer);
    }
    uint64_t wait_ms = feed_tick(observer->feed, now_ms);
    if (observer->recording == NULL)
        return wait_ms;
    bool over = recording_over(observer->recording) != NULL;
    recording_tick(observer->recording, now_ms);
    if (!over && recording_over(observer->recording) != NULL && observer->ui != NULL)
        ui_tell(observer->ui, "nothing more is recorded: %s", recording_over(observer->recording));
    return wait_ms < FRAME_MS ? wait_ms : FRAME_MS;
}

static int64_t store_ms(const struct observer *observer)
{
    return observer->feed != NULL ? feed_store_ms(observer->feed) : clock_utc_ms();
}

static int loop(struct observer *observer, struct interrupt *interrupt)
{
    uint64_t frame_at_ms = 0;
    while (interrupt_seen(interrupt) == 0) {
        uint64_t now_ms = clock_ms();
        uint64_t wait_ms = facts_tick(observer, now_ms);
        if (now_ms >= frame_at_ms) {
            ui_clock(observer->ui, store_ms(observer));
            picture(observer);
            frame_at_ms = now_ms + FRAME_MS;
        }
        uint64_t frame_ms = frame_at_ms > now_ms ? frame_at_ms - now_ms : 0;
        wait_ms = wait_ms < frame_ms ? wait_ms : frame_ms;
        struct pollfd fds[] = {
            {.fd = 0, .events = POLLIN},
            {.fd = observer->async != NULL ? async_fd(observer->async) : -1, .events = POLLIN},
            {.fd = interrupt->fd, .events = POLLIN}};
        if (poll(fds, 3, (int)wait_ms) < 0) {
            frame_at_ms = 0; /* a signal: the terminal has another size */
            continue;
        }
        if ((fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
            return CLI_OK; /* the terminal is gone; nobody may have told: SIGHUP can be ignored */
        if ((fds[0].revents & POLLIN) != 0) {
            if (keys_take(observer))
                return CLI_OK;
            frame_at_ms = 0;
        }
        if (fds[1].revents != 0 && async_drain(observer->async) > 0 && observer->grid != NULL &&
            past_last_ms(observer->past) == 0)
            frame_at_ms = 0;
    }
    return CLI_OK;
}

/* A file or a terminal that is no good is no datastore that cannot be reached. */
static int file_fail(const struct error *err)
{
    int status = cli_status_of(err->code);
    return cli_error(status == CLI_UNREACHABLE ? CLI_FAILED : status, "%s", err->text);
}

/* Of a recording that holds nothing there is nothing to be shown: CLI_OK, or a status after the
 * error was printed. */
static int replay_begin(struct observer *observer)
{
    int rc = 1;
    while (rc > 0 && replay_last_ms(observer->replay) == 0)
        rc = replay_step(observer->replay, observer->past, &observer->damage);
    if (rc < 0 && replay_last_ms(observer->replay) == 0)
        return file_fail(&observer->damage);
    ui_end_at(observer->ui, replay_last_ms(observer->replay));
    if (rc <= 0)
        replay_over(observer, rc);
    return CLI_OK;
}

static int observe(struct observer *observer)
{
    struct error err = {0};
    struct interrupt interrupt;
    int begun = observer->replay != NULL ? replay_begin(observer) : CLI_OK;
    if (begun != CLI_OK)
        return begun;
    if (term_open(&err) < 0)
        return file_fail(&err);
    interrupt_open(&interrupt);
    int status = loop(observer, &interrupt);
    interrupt_close(&interrupt);
    term_close();
    if (observer->damage.code != 0)
        cli_note("%s", observer->damage.text);
    return status;
}

/* ---- once ----------------------------------------------------------------------------------- */

/* All of the recording; CLI_OK, or a status after the error was printed. */
static int once_replay(struct observer *observer)
{
    int rc = 1;
    while (rc > 0)
        rc = replay_step(observer->replay, observer->past, &observer->damage);
    ui_end_at(observer->ui, replay_last_ms(observer->replay));
    return rc < 0 ? file_fail(&observer->damage) : CLI_OK;
}

static int once_read(struct observer *observer)
{
    uint64_t until_ms = clock_ms() + ONCE_MS;
    while (!feed_caught_up(observer->feed) && clock_ms() < until_ms) {
        uint64_t wait_ms = feed_tick(observer->feed, clock_ms());
        struct pollfd fd = {.fd = async_fd(observer->async), .events = POLLIN};
        if (poll(&fd, 1, (int)(wait_ms < 100 ? wait_ms : 100)) > 0)
            async_drain(observer->async);
    }
    return past_last_ms(observer->past) != 0
               ? CLI_OK
               : cli_error(CLI_UNREACHABLE, "the datastore does not answer");
}

static int once(struct observer *observer)
{
    int status = observer->replay != NULL ? once_replay(observer) : once_read(observer);
    if (past_last_ms(observer->past) == 0)
        return status;
    ui_clock(observer->ui, store_ms(observer));
    if (observer->cli->json) {
        moment_print_json(ui_moment(observer->ui));
        return status;
    }
    setlocale(LC_CTYPE, "");
    bool ascii = strcmp(nl_langinfo(CODESET), "UTF-8") != 0;
    char *text = ui_text(observer->ui, ONCE_WIDTH, ascii);
    fputs(text, stdout);
    free(text);
    return status;
}

/* ---- recording ------------------------------------------------------------------------------ */

/* Nobody looks: until a signal comes, or nothing more is recorded. */
static int record_only(struct observer *observer)
{
    struct interrupt interrupt;
    interrupt_open(&interrupt);
    cli_note("recording to %s until Ctrl-C", cli_option(observer->cli, "record"));
    while (interrupt_seen(&interrupt) == 0 && recording_over(observer->recording) == NULL)
        if (interrupt_wait(&interrupt, async_fd(observer->async), facts_tick(observer, clock_ms())))
            async_drain(observer->async);
    interrupt_close(&interrupt);
    return CLI_OK;
}

/* Ends the recording and says what is there. */
static int record_end(struct observer *observer, int status)
{
    struct error err = {0};
    char why[160], span[TEXT_BYTES];
    const char *over = recording_over(observer->recording);
    snprintf(why, sizeof(why), "%s", over != NULL ? over : "");
    size_t bytes = recording_bytes(observer->recording);
    if (recording_end(observer->recording, &err) < 0)
        return file_fail(&err);
    text_span(span, past_last_ms(observer->past) - past_first_ms(observer->past));
    if (why[0] != '\0')
        cli_note("%s ended early: %s", cli_option(observer->cli, "record"), why);
    else
        cli_note("%s holds %s, in %zu KiB", cli_option(observer->cli, "record"), span,
                 bytes / 1024 + 1);
    return status;
}

/* ---- from options to all of it -------------------------------------------------------------- */

/* The store, and the recording of it; or the recording that is looked at. */
static int observer_open(struct observer *observer, const struct feed_config *config)
{
    char shown[256];
    struct error err = {0};
    const char *record = cli_option(observer->cli, "record");
    const char *replay = cli_option(observer->cli, "replay");
    if (replay != NULL) {
        struct replay_about about;
        if (replay_open(replay, &observer->replay, &about, &err) < 0)
            return file_fail(&err);
        observer->past = past_new(about.store, PAST_BYTES);
        return CLI_OK;
    }
    observer->uri = cli_store_uri(observer->cli);
    if (observer->uri == NULL)
        return CLI_USAGE;
    uri_redact(shown, sizeof(shown), observer->uri);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow further is full, not the end */
    if (async_start(store_open, observer, &observer->async, &err) < 0)
        return cli_fail(&err);
    if (record != NULL &&
        recording_new(record, shown, clock_utc_ms(), clock_utc_ms() - config->since_ms,
                      RECORDING_BYTES_MAX, &observer->recording, &err) < 0)
        return file_fail(&err);
    observer->past = past_new(shown, PAST_BYTES);
    observer->feed = feed_new(observer->async, observer->past, config);
    if (observer->recording != NULL) {
        struct feed_tap tap = recording_tap(observer->recording);
        feed_tap(observer->feed, &tap);
    }
    return CLI_OK;
}

static int observer_close(struct observer *observer, int status)
{
    if (observer->async != NULL)
        async_stop(observer->async);
    if (observer->recording != NULL)
        status = record_end(observer, status);
    if (observer->feed != NULL)
        feed_free(observer->feed);
    if (observer->replay != NULL)
        replay_free(observer->replay);
    if (observer->ui != NULL)
        ui_free(observer->ui);
    past_free(observer->past);
    grid_free(observer->grid);
    return status;
}

/* CLI_USAGE, printed, for options that contradict each other. */
static int options_check(const struct cli *cli)
{
    static const struct {
        const char *one, *other;
    } never[] = {{"replay", "record"},
                 {"replay", "since"},
                 {"replay", "control"},
                 {"record", "once"},
                 {"control", "once"}};
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
        if (cli_option(cli, never[i].one) != NULL && cli_option(cli, never[i].other) != NULL)
            return cli_error(CLI_USAGE, "--%s and --%s do not go together", never[i].one,
                             never[i].other);
    if (cli->json && (cli_option(cli, "record") != NULL || cli_option(cli, "control") != NULL))
        return cli_error(CLI_USAGE, "--%s and --json do not go together",
                         cli_option(cli, "record") != NULL ? "record" : "control");
    return CLI_OK;
}

static int run(struct cli *cli)
{
    struct observer observer = {.cli = cli, .control = cli_option(cli, "control") != NULL};
    struct feed_config config = {.since_ms = 600000, .poll_ms = POLL_MS};
    int status = options_check(cli);
    if (status == CLI_OK)
        status = cli_option_duration(cli, "since", &config.since_ms);
    if (status == CLI_OK)
        status = observer_open(&observer, &config);
    if (status != CLI_OK)
        return observer_close(&observer, status);
    if (observer.recording != NULL && (!isatty(0) || !isatty(1))) {
        status = record_only(&observer);
        return observer_close(&observer, status);
    }
    observer.ui = ui_new(observer.past, observer.control, observer.replay != NULL ? 1 : 0);
    ui_jobs_page(observer.ui, observer.feed != NULL ? feed_jobs(observer.feed) : NULL);
    bool one = cli_option(cli, "once") != NULL || cli->json;
    status = one ? once(&observer) : observe(&observer);
    return observer_close(&observer, status);
}

const struct cli_command observe_command = {
    .words = "observe",
    .operands = "",
    .summary = "See the cluster in the terminal, now and then",
    .example = "  stint observe\n  stint observe --once\n  stint observe --record today.stint\n"
               "  stint observe --replay today.stint",
    .notes = "--json prints the cluster once, as one object.",
    .options = options,
    .json = true,
    .run = run,
};
