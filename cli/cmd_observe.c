/* `stint observe`: the cluster in the terminal, now and then.
 *
 * A loop over keys, replies of the datastore and a clock; nothing here waits for a store. It writes
 * nothing (I8), unless --control was given and a question answered with y. Single-threaded. */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "observer/feed.h"
#include "observer/term.h"
#include "observer/wishes.h"

enum {
    FRAME_MS = 250,
    POLL_MS = 500,
    PAST_BYTES = 256 << 20,
    ONCE_MS = 10000, /* as long may a first reading take */
    ONCE_WIDTH = 100,
};

static const struct cli_option options[] = {
    {"once", 0, NULL, "print the cluster once, as plain text", SETTING_NONE},
    {"since", 0, "DURATION", "how much of the past to read at first (default: 10m)", SETTING_NONE},
    {"control", 0, NULL, "let Shift letters pause, resume, stop and cancel", SETTING_NONE},
    {0},
};

struct observer {
    struct cli *cli;
    const char *uri;
    struct async *async;
    struct past *past;
    struct feed *feed;
    struct ui *ui;
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

static int loop(struct observer *observer, struct interrupt *interrupt)
{
    uint64_t frame_at_ms = 0;
    while (interrupt_seen(interrupt) == 0) {
        uint64_t now_ms = clock_ms();
        struct jobs_ask ask = ui_jobs_ask(observer->ui);
        feed_want_jobs(observer->feed, &ask);
        uint64_t wait_ms = feed_tick(observer->feed, now_ms);
        if (now_ms >= frame_at_ms) {
            ui_clock(observer->ui, feed_store_ms(observer->feed));
            picture(observer);
            frame_at_ms = now_ms + FRAME_MS;
        }
        uint64_t frame_ms = frame_at_ms > now_ms ? frame_at_ms - now_ms : 0;
        wait_ms = wait_ms < frame_ms ? wait_ms : frame_ms;
        struct pollfd fds[] = {{.fd = 0, .events = POLLIN},
                               {.fd = async_fd(observer->async), .events = POLLIN},
                               {.fd = interrupt->fd, .events = POLLIN}};
        if (poll(fds, 3, (int)wait_ms) < 0)
            continue;
        if ((fds[0].revents & POLLIN) != 0) {
            if (keys_take(observer))
                return CLI_OK;
            frame_at_ms = 0;
        } else if (fds[0].revents != 0) {
            return CLI_OK; /* the terminal is gone */
        }
        if (fds[1].revents != 0 && async_drain(observer->async) > 0 && observer->grid != NULL &&
            past_last_ms(observer->past) == 0)
            frame_at_ms = 0;
    }
    return CLI_OK;
}

/* ---- once ----------------------------------------------------------------------------------- */

static int once(struct observer *observer)
{
    uint64_t until_ms = clock_ms() + ONCE_MS;
    while (past_last_ms(observer->past) == 0 && clock_ms() < until_ms) {
        uint64_t wait_ms = feed_tick(observer->feed, clock_ms());
        struct pollfd fd = {.fd = async_fd(observer->async), .events = POLLIN};
        if (poll(&fd, 1, (int)(wait_ms < 100 ? wait_ms : 100)) > 0)
            async_drain(observer->async);
    }
    if (past_last_ms(observer->past) == 0)
        return cli_error(CLI_UNREACHABLE, "the datastore does not answer");
    ui_clock(observer->ui, feed_store_ms(observer->feed));
    struct grid *grid = grid_new(ONCE_WIDTH, 40, false);
    ui_draw(observer->ui, grid);
    char *text = grid_text(grid);
    fputs(text, stdout);
    free(text);
    grid_free(grid);
    return CLI_OK;
}

static int observe(struct observer *observer)
{
    struct error err = {0};
    struct interrupt interrupt;
    if (term_open(&err) < 0)
        return cli_fail(&err);
    interrupt_open(&interrupt);
    int status = loop(observer, &interrupt);
    interrupt_close(&interrupt);
    term_close();
    return status;
}

static int run(struct cli *cli)
{
    struct observer observer = {.cli = cli, .control = cli_option(cli, "control") != NULL};
    struct feed_config config = {.since_ms = 600000, .poll_ms = POLL_MS};
    struct error err = {0};
    int status = cli_option_duration(cli, "since", &config.since_ms);
    if (status != CLI_OK)
        return status;
    observer.uri = cli_store_uri(cli);
    if (observer.uri == NULL)
        return CLI_USAGE;
    if (async_start(store_open, &observer, &observer.async, &err) < 0)
        return cli_fail(&err);
    char shown[256];
    observer.past = past_new(uri_redact(shown, sizeof(shown), observer.uri), PAST_BYTES);
    observer.feed = feed_new(observer.async, observer.past, &config);
    observer.ui = ui_new(observer.past, observer.control, 0);
    ui_jobs_page(observer.ui, feed_jobs(observer.feed));
    status = cli_option(cli, "once") != NULL ? once(&observer) : observe(&observer);
    async_stop(observer.async);
    feed_free(observer.feed);
    ui_free(observer.ui);
    past_free(observer.past);
    grid_free(observer.grid);
    return status;
}

const struct cli_command observe_command = {
    .words = "observe",
    .operands = "",
    .summary = "See the cluster in the terminal, now and then",
    .example = "  stint observe\n  stint observe --once",
    .options = options,
    .run = run,
};
