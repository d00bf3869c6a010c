/* The observer's state of mind: which view, which time, what is being typed (observer/ui.h).
 *
 *   time   LIVE -- Space --> STOPPED -- Space --> PLAYING, which ends LIVE where it meets now
 *          any  -- , . ( ) left right --> STOPPED           any -- L --> LIVE
 *   mode   NORMAL -- / \ : ? --> a line or the help -- Enter, Esc --> NORMAL
 *          NORMAL -- Shift letter (--control) --> CONFIRM -- y --> a wish
 *
 * Keys go to what is being typed first, then by the table. Pure; one thread. */
#include "observer/ui.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observer/diff.h"
#include "observer/help.h"
#include "observer/text.h"

enum {
    LINE_BYTES = 64,
    TOLD_MS = 6000,
    STEP_MS = 1000,
    WINDOW_MS = 60000,
    EARLIER_MS = 60000, /* so close to the beginning, more is wanted */
    SPEED_MIN = -3,     /* powers of two: 1/8 .. 64 */
    SPEED_MAX = 6,
    HEAD_ROWS = 2,
    HIGH_ENOUGH = 18, /* for all rows of a comparison */
};

enum mode { MODE_NORMAL, MODE_SEARCH, MODE_FILTER, MODE_GO_TO, MODE_HELP, MODE_CONFIRM };
enum time_mode { TIME_LIVE, TIME_STOPPED, TIME_PLAYING };

struct ui {
    struct past *past;
    bool control;
    int64_t ends_ms;
    const struct jobs_page *page; /* as it was read */
    struct jobs_page then;        /* ... and as it was at the moment shown */
    enum view_kind view;
    void *states[VIEWS];
    char filters[VIEWS][LINE_BYTES]; /* of the views not shown */
    bool earlier;                    /* what is before all that is known is wanted */
    int back;                        /* the view + 1 that led to this one; 0: none did */
    struct focus focus;
    struct area view_area; /* as last drawn */
    struct area bar;       /* the scrubber likewise; no width: there was none */

    enum time_mode time;
    int64_t now_ms, at_ms; /* at_ms: shown, when not LIVE */
    int64_t played_ms;     /* clock when at_ms was last moved on by playing */
    int speed;
    int64_t diff_ms; /* the moment to compare with; 0: none */

    enum mode mode;
    char line[LINE_BYTES];
    struct wish asked; /* to be confirmed */
    int64_t jobs[FOCUS_MARKS_MAX];
    char question[256];
    char told[160];
    int64_t told_until_ms; /* 0: it was not drawn yet */
    bool told_held;        /* it stays until a key is pressed after that */
    struct help help;
};

static const struct pen_style plain = {ROLE_TEXT, ROLE_TEXT, 0};
static const struct pen_style dim = {ROLE_DIM, ROLE_TEXT, 0};
static const struct pen_style strong = {ROLE_TITLE, ROLE_TEXT, STYLE_BOLD};

struct ui *ui_new(struct past *past, bool control, int64_t ends_ms)
{
    struct ui *ui = calloc(1, sizeof(*ui));
    if (ui == NULL)
        abort();
    *ui = (struct ui){.past = past, .control = control, .ends_ms = ends_ms};
    ui->focus = (struct focus){
        .lane = -1,
        .control = control,
    };
    for (int i = 0; i < VIEWS; i++) {
        ui->states[i] = calloc(1, view_of((enum view_kind)i)->state_bytes + 1);
        if (ui->states[i] == NULL)
            abort();
    }
    return ui;
}

void ui_free(struct ui *ui)
{
    for (int i = 0; i < VIEWS; i++)
        free(ui->states[i]);
    arena_release(&ui->then.mem);
    free(ui);
}

void ui_tell(struct ui *ui, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(ui->told, sizeof(ui->told), format, args);
    va_end(args);
    ui->told_until_ms = 0;
    ui->told_held = false;
}

void ui_tell_held(struct ui *ui)
{
    ui->told_held = true;
}

void ui_end_at(struct ui *ui, int64_t ends_ms)
{
    ui->ends_ms = ends_ms > 0 ? ends_ms : 1;
}

struct jobs_ask ui_jobs_ask(const struct ui *ui)
{
    bool reads = ui->view == VIEW_JOBS || ui->view == VIEW_MAP;
    return reads ? ui->focus.ask : (struct jobs_ask){0};
}

void ui_jobs_page(struct ui *ui, const struct jobs_page *page)
{
    ui->page = ui->focus.page = page;
}

/* A filter is about what one view shows: each keeps its own. */
static void view_set(struct ui *ui, enum view_kind view)
{
    snprintf(ui->filters[ui->view], sizeof(ui->filters[0]), "%s", ui->focus.filter);
    snprintf(ui->focus.filter, sizeof(ui->focus.filter), "%s", ui->filters[view]);
    ui->view = view;
    ui->focus.ask = (struct jobs_ask){0};
    ui->back = 0;
}

void ui_go(struct ui *ui, enum view_kind view)
{
    view_set(ui, view);
}

/* ---- time ----------------------------------------------------------------------------------- */

static int64_t end_of_time(const struct ui *ui)
{
    return ui->ends_ms != 0 ? ui->ends_ms : ui->now_ms;
}

static int64_t shown_ms(const struct ui *ui)
{
    return ui->time == TIME_LIVE ? end_of_time(ui) : ui->at_ms;
}

void ui_stop_at(struct ui *ui, int64_t at_ms)
{
    int64_t first_ms = past_first_ms(ui->past), end_ms = end_of_time(ui);
    ui->earlier = ui->earlier || at_ms < first_ms + EARLIER_MS;
    ui->at_ms = at_ms < first_ms ? first_ms : at_ms > end_ms ? end_ms : at_ms;
    ui->time = TIME_STOPPED;
}

bool ui_wants_earlier(struct ui *ui)
{
    bool earlier = ui->earlier;
    ui->earlier = false;
    return earlier;
}

void ui_clock(struct ui *ui, int64_t store_ms)
{
    ui->now_ms = store_ms;
    if (ui->time != TIME_PLAYING)
        return;
    int64_t passed_ms = store_ms - ui->played_ms;
    ui->played_ms = store_ms;
    ui->at_ms += ui->speed >= 0 ? passed_ms << ui->speed : passed_ms >> -ui->speed;
    if (ui->at_ms < end_of_time(ui))
        return;
    ui->time = ui->ends_ms != 0 ? TIME_STOPPED : TIME_LIVE;
    ui->at_ms = end_of_time(ui);
}

static void stop_or_play(struct ui *ui)
{
    if (ui->time == TIME_STOPPED) {
        ui->time = TIME_PLAYING;
        ui->played_ms = ui->now_ms;
    } else {
        ui_stop_at(ui, shown_ms(ui));
    }
}

static void event_step(struct ui *ui, bool on)
{
    int64_t at_ms =
        on ? past_event_after(ui->past, shown_ms(ui)) : past_event_before(ui->past, shown_ms(ui));
    ui->earlier = ui->earlier || (!on && at_ms == 0);
    if (at_ms == 0)
        ui_tell(ui, on ? "no event after this" : "no event before this");
    else
        ui_stop_at(ui, at_ms);
}

static void speed_step(struct ui *ui, int by)
{
    int speed = ui->speed + by;
    ui->speed = speed < SPEED_MIN ? SPEED_MIN : speed > SPEED_MAX ? SPEED_MAX : speed;
    if (ui->time == TIME_LIVE)
        ui_tell(ui, "the speed counts in the past: Space stops time");
}

/* ---- wishes --------------------------------------------------------------------------------- */

/* As wide as was asked for; else as much as is known of, up to ten minutes. */
static int64_t timeline_ms(const struct ui *ui)
{
    static const int64_t widths_ms[] = {WINDOW_MS / 4, WINDOW_MS / 2, WINDOW_MS,
                                        2 * WINDOW_MS, 5 * WINDOW_MS, 10 * WINDOW_MS};
    int64_t known_ms = shown_ms(ui) - past_first_ms(ui->past), width_ms = widths_ms[0];
    for (size_t i = 1; i < sizeof(widths_ms) / sizeof(widths_ms[0]) && width_ms < known_ms; i++)
        width_ms = widths_ms[i];
    return ui->focus.zoom_ms != 0 ? ui->focus.zoom_ms : width_ms;
}

static const struct moment *moment_of(struct ui *ui)
{
    const struct moment *moment =
        past_moment(ui->past, shown_ms(ui), WINDOW_MS,
                    ui->view == VIEW_TIMELINE ? timeline_ms(ui) : 0, ui->time == TIME_LIVE);
    const struct jobs_page *page = ui->page;
    bool jobs = ui->view == VIEW_JOBS;
    if (jobs && ui->ends_ms != 0) {
        jobs_of_moment(moment, &ui->focus.ask, &ui->then);
        page = &ui->then;
    } else if (jobs && ui->time != TIME_LIVE && page != NULL && page->at_ms != 0) {
        jobs_then(moment, page, &ui->then);
        page = &ui->then;
    }
    ui->focus.page = page;
    return moment;
}

const struct moment *ui_moment(struct ui *ui)
{
    return moment_of(ui);
}

/* What follows when the answer is y; as the command line says it of its commands. */
static const char *const what_follows[] = {
    [WISH_NODE_PAUSE] = "running jobs end, no others start",
    [WISH_NODE_RUN] = "it starts jobs again",
    [WISH_NODE_STOP] = "running jobs end, the rest goes back",
    [WISH_QUEUE_PAUSE] = "no more jobs start, running ones go on",
    [WISH_QUEUE_RUN] = "its jobs start again",
    [WISH_JOB_CANCEL] = "it never runs, or is ended; for good",
};

static void ask(struct ui *ui, struct wish wish, const char *what, const char *whom)
{
    ui->asked = wish;
    ui->mode = MODE_CONFIRM;
    snprintf(ui->question, sizeof(ui->question), "%s %s? (y/n) %s", what, whom,
             wish.n_jobs > 1 ? "they never run, or are ended; for good" : what_follows[wish.kind]);
}

static void control_node(struct ui *ui, enum command command)
{
    const struct moment *moment = moment_of(ui);
    int32_t at = moment_node_index(moment, ui->focus.node);
    if (at < 0 || moment->nodes[at].node.state == NODE_DEAD) {
        ui_tell(ui, "choose a living node first");
        return;
    }
    struct wish wish = {.node = ui->focus.node};
    wish.kind = command == CMD_PAUSE    ? WISH_NODE_PAUSE
                : command == CMD_RESUME ? WISH_NODE_RUN
                                        : WISH_NODE_STOP;
    ask(ui, wish,
        command == CMD_PAUSE    ? "Pause node"
        : command == CMD_RESUME ? "Resume node"
                                : "Stop node",
        moment->nodes[at].node.name);
}

static void control_queue(struct ui *ui, enum command command)
{
    const char *name = ui->focus.queue;
    if (name[0] == '\0') {
        ui_tell(ui, "choose a queue first");
        return;
    }
    struct wish wish = {.kind = command == CMD_PAUSE ? WISH_QUEUE_PAUSE : WISH_QUEUE_RUN};
    snprintf(wish.queue, sizeof(wish.queue), "%s", name);
    ask(ui, wish, command == CMD_PAUSE ? "Pause queue" : "Resume queue", name);
}

static void control_jobs(struct ui *ui)
{
    char id[ID_TEXT_BYTES], whom[ID_TEXT_BYTES + 64];
    struct focus *focus = &ui->focus;
    size_t n = focus->n_marks > 0 ? focus->n_marks : focus->job != 0 ? 1 : 0;
    if (n == 0) {
        ui_tell(ui, "choose a job first");
        return;
    }
    memcpy(ui->jobs, focus->n_marks > 0 ? focus->marks : &focus->job, n * sizeof(*ui->jobs));
    text_id(id, moment_of(ui), ui->jobs[0]);
    if (n == 1)
        snprintf(whom, sizeof(whom), "%s", id);
    else
        snprintf(whom, sizeof(whom), "%s and %zu more that are marked", id, n - 1);
    ask(ui, (struct wish){.kind = WISH_JOB_CANCEL, .jobs = ui->jobs, .n_jobs = n},
        n == 1 ? "Cancel job" : "Cancel jobs", whom);
}

static void control(struct ui *ui, enum command command)
{
    if (ui->ends_ms != 0)
        ui_tell(ui, "this is a recording: nothing can be changed in it");
    else if (ui->time != TIME_LIVE)
        ui_tell(ui, "this is the past: L is live again");
    else if (ui->view == VIEW_CLUSTER)
        control_node(ui, command);
    else if (ui->view == VIEW_QUEUES)
        control_queue(ui, command);
    else
        control_jobs(ui);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static bool view_named(const char *name, enum view_kind *ret)
{
    for (int i = 0; i < VIEWS; i++)
        if (name[0] != '\0' &&
            strncasecmp(view_of((enum view_kind)i)->name, name, strlen(name)) == 0) {
            *ret = (enum view_kind)i;
            return true;
        }
    return false;
}

static void move(struct ui *ui, enum move move);

static void line_over(struct ui *ui)
{
    enum mode mode = ui->mode;
    enum view_kind view = ui->view;
    ui->mode = MODE_NORMAL;
    if (mode == MODE_SEARCH) {
        snprintf(ui->focus.search, sizeof(ui->focus.search), "%s", ui->line);
        move(ui, MOVE_SEARCH_NEXT);
    } else if (mode == MODE_FILTER) {
        snprintf(ui->focus.filter, sizeof(ui->focus.filter), "%s", ui->line);
    } else if (view_named(ui->line, &view)) {
        view_set(ui, view);
    } else if (ui->line[0] != '\0') {
        ui_tell(ui, "no view is called '%s'", ui->line);
    }
}

static void line_key(struct ui *ui, int code)
{
    size_t len = strlen(ui->line);
    if (code == KEYS_ESC)
        ui->mode = MODE_NORMAL;
    else if (code == '\r' || code == '\n')
        line_over(ui);
    else if (code == KEYS_BACKSPACE) {
        while (len > 0 && ((unsigned char)ui->line[--len] & 0xc0) == 0x80)
            continue; /* all bytes of a character */
        ui->line[len] = '\0';
    } else {
        text_add(ui->line, sizeof(ui->line), code);
    }
}

static void line_begin(struct ui *ui, enum mode mode)
{
    ui->mode = mode;
    snprintf(ui->line, sizeof(ui->line), "%s", mode == MODE_FILTER ? ui->focus.filter : "");
}

static struct wish confirm_key(struct ui *ui, int code)
{
    struct wish wish = ui->asked;
    ui->mode = MODE_NORMAL;
    if (code == 'y' || code == 'Y') {
        if (wish.kind == WISH_JOB_CANCEL)
            ui->focus.n_marks = 0;
        return wish;
    }
    ui_tell(ui, "nothing was done");
    return (struct wish){0};
}

/* Why a move does nothing in a view that has no use for it. */
static const char *const why_not[MOVES] = {
    [MOVE_UP] = "nothing is above",
    [MOVE_DOWN] = "nothing is below",
    [MOVE_PAGE_UP] = "nothing is above",
    [MOVE_PAGE_DOWN] = "nothing is below",
    [MOVE_FIRST] = "this is the first",
    [MOVE_LAST] = "this is the last",
    [MOVE_IN] = "there is nothing further in",
    [MOVE_OUT] = "this is the outside; q quits",
    [MOVE_NEXT] = "there is no other part",
    [MOVE_MARK] = "there is no job to mark",
    [MOVE_SORT] = "there is nothing to sort",
    [MOVE_ZOOM_IN] = "no closer than this; the map and the timeline zoom",
    [MOVE_ZOOM_OUT] = "no farther than this; the map and the timeline zoom",
    [MOVE_SEARCH_NEXT] = "nothing of the kind is here",
    [MOVE_ALL] = "these are all",
    [MOVE_OWNERS] = "there is no map yet",
};

static void view_follow(struct ui *ui)
{
    int from = (int)ui->view + 1;
    if (ui->focus.go_to > 0) {
        view_set(ui, (enum view_kind)(ui->focus.go_to - 1));
        ui->back = from;
    }
    ui->focus.go_to = 0;
}

static void move(struct ui *ui, enum move move)
{
    const struct view *view = view_of(ui->view);
    if (move == MOVE_SEARCH_NEXT && ui->focus.search[0] == '\0')
        ui_tell(ui, "nothing was searched for yet: / does");
    else if (view->move(moment_of(ui), &ui->focus, ui->states[ui->view], move))
        view_follow(ui);
    else if (move == MOVE_LEFT || move == MOVE_RIGHT)
        ui_stop_at(ui, shown_ms(ui) + (move == MOVE_LEFT ? -STEP_MS : STEP_MS));
    else if (move == MOVE_OUT && ui->focus.filter[0] != '\0')
        ui->focus.filter[0] = '\0';
    else if (move == MOVE_OUT && ui->back > 0)
        view_set(ui, (enum view_kind)(ui->back - 1));
    else if (move == MOVE_SEARCH_NEXT)
        ui_tell(ui, "'%s' is not here", ui->focus.search);
    else
        ui_tell(ui, "%s", why_not[move]);
}

static struct wish command_do(struct ui *ui, const struct key *key)
{
    switch (key->command) {
    case CMD_VIEW:
        view_set(ui, (enum view_kind)key->arg);
        break;
    case CMD_MOVE:
        move(ui, (enum move)key->arg);
        break;
    case CMD_QUIT:
        return (struct wish){.kind = WISH_QUIT};
    case CMD_REDRAW:
        return (struct wish){.kind = WISH_REDRAW};
    case CMD_HELP:
        ui->mode = MODE_HELP;
        ui->help = (struct help){.control = ui->control};
        break;
    case CMD_SEARCH:
        line_begin(ui, MODE_SEARCH);
        break;
    case CMD_FILTER:
        line_begin(ui, MODE_FILTER);
        break;
    case CMD_GO_TO:
        line_begin(ui, MODE_GO_TO);
        break;
    case CMD_STOP_TIME:
        stop_or_play(ui);
        break;
    case CMD_LIVE:
        ui->time = TIME_LIVE;
        if (ui->ends_ms != 0)
            ui_tell(ui, "this is a recording: here it ends");
        break;
    case CMD_TIME_BACK:
    case CMD_TIME_ON:
        ui_stop_at(ui, shown_ms(ui) + (key->command == CMD_TIME_BACK ? -STEP_MS : STEP_MS) * 10);
        break;
    case CMD_EVENT_BACK:
    case CMD_EVENT_ON:
        event_step(ui, key->command == CMD_EVENT_ON);
        break;
    case CMD_SLOWER:
    case CMD_FASTER:
        speed_step(ui, key->command == CMD_SLOWER ? -1 : 1);
        break;
    case CMD_DIFF:
        ui->diff_ms = ui->diff_ms != 0 ? 0 : shown_ms(ui);
        break;
    case CMD_PAUSE:
    case CMD_RESUME:
    case CMD_STOP:
    case CMD_CANCEL:
        control(ui, key->command);
        break;
    case CMD_NONE:
        break;
    }
    return (struct wish){0};
}

static void help_key(struct ui *ui, int code)
{
    const struct key *key = keys_find(code, ui->view, ui->control);
    if (code == KEYS_ESC || code == '\r' || code == 'q' || code == '?')
        ui->mode = MODE_NORMAL;
    else if (code == ' ')
        help_move(&ui->help, MOVE_PAGE_DOWN);
    else if (code == KEYS_WHEEL_UP || code == KEYS_WHEEL_DOWN)
        help_move(&ui->help, code == KEYS_WHEEL_UP ? MOVE_UP : MOVE_DOWN);
    else if (key != NULL && key->command == CMD_MOVE)
        help_move(&ui->help, (enum move)key->arg);
}

/* Why that key does nothing here. */
static void no_key(struct ui *ui, int code)
{
    for (int view = 0; view < VIEWS && code != KEYS_RESIZE; view++) {
        const struct key *key = keys_find(code, (enum view_kind)view, true);
        if (key != NULL && key->control && !ui->control) {
            ui_tell(ui, "%s: only with --control", key->help);
            return;
        }
        if (key != NULL) {
            ui_tell(ui, "%s: in the view %s", key->help, view_of((enum view_kind)view)->name);
            return;
        }
    }
    if (code != KEYS_RESIZE)
        ui_tell(ui, "no such key; ? lists them");
}

struct wish ui_key(struct ui *ui, int code)
{
    ui->told_held = ui->told_held && ui->told_until_ms == 0;
    if (ui->mode == MODE_CONFIRM)
        return confirm_key(ui, code);
    if (ui->mode == MODE_HELP) {
        help_key(ui, code);
        return (struct wish){0};
    }
    if (ui->mode != MODE_NORMAL) {
        line_key(ui, code);
        return (struct wish){0};
    }
    const struct key *key = keys_find(code, ui->view, ui->control);
    if (key != NULL)
        return command_do(ui, key);
    no_key(ui, code);
    return (struct wish){0};
}

/* Column of the name of that view in the second row; the width it takes there. */
static int tab_at(enum view_kind kind, int *ret_width)
{
    int x = 0;
    for (int i = 0; i < (int)kind; i++)
        x += (int)strlen(view_of((enum view_kind)i)->name) + 4;
    *ret_width = (int)strlen(view_of(kind)->name) + 2;
    return x;
}

struct wish ui_click(struct ui *ui, int x, int y)
{
    if (ui->mode != MODE_NORMAL)
        return (struct wish){0};
    for (int i = 0; i < VIEWS && y == 1; i++) {
        int width, from = tab_at((enum view_kind)i, &width);
        if (x >= from && x < from + width)
            view_set(ui, (enum view_kind)i);
    }
    const struct area *area = &ui->view_area, *bar = &ui->bar;
    if (bar->width > 1 && y == bar->y && x >= bar->x && x < bar->x + bar->width) {
        int64_t first_ms = past_first_ms(ui->past);
        ui_stop_at(ui, first_ms + (end_of_time(ui) - first_ms) * (x - bar->x) / (bar->width - 1));
    }
    if (y >= area->y && y < area->y + area->height &&
        view_of(ui->view)->click(moment_of(ui), &ui->focus, ui->states[ui->view], x - area->x,
                                 y - area->y))
        view_follow(ui);
    return (struct wish){0};
}

/* ---- drawing -------------------------------------------------------------------------------- */

static void time_text(const struct ui *ui, const struct moment *moment, char *text, size_t size,
                      struct pen_style *ret_style)
{
    char clock[TEXT_BYTES], span[TEXT_BYTES];
    const char *from = ui->ends_ms != 0 ? "before its end" : "ago";
    text_when(clock, shown_ms(ui), end_of_time(ui));
    text_span(span, end_of_time(ui) - shown_ms(ui));
    if (moment->stale_ms != 0) {
        snprintf(text, size, "LOST since %s", text_when(clock, moment->stale_ms, end_of_time(ui)));
        *ret_style = (struct pen_style){ROLE_BAD, ROLE_TEXT, STYLE_BOLD | STYLE_REVERSE};
    } else if (ui->time == TIME_LIVE && ui->ends_ms == 0) {
        snprintf(text, size, "LIVE %s", clock);
        *ret_style = (struct pen_style){ROLE_GOOD, ROLE_TEXT, STYLE_BOLD};
    } else if (ui->time == TIME_LIVE) {
        /* Of whatever day: that of now is no matter to a recording. */
        snprintf(text, size, "RECORDING, its end: %s", text_when(clock, ui->ends_ms, ANY_DAY));
        *ret_style = (struct pen_style){ROLE_WARN, ROLE_TEXT, STYLE_BOLD};
    } else if (ui->time == TIME_PLAYING) {
        snprintf(text, size, "PLAY x%s%d %s, %s %s", ui->speed < 0 ? "1/" : "", 1 << abs(ui->speed),
                 clock, span, from);
        *ret_style = (struct pen_style){ROLE_WARN, ROLE_TEXT, STYLE_BOLD};
    } else {
        bool now = end_of_time(ui) - shown_ms(ui) < STEP_MS;
        const char *end = ui->ends_ms != 0 ? "its end" : "now";
        snprintf(text, size, "STOPPED %s, %s%s%s", clock, now ? end : span, now ? "" : " ",
                 now ? "" : from);
        *ret_style = (struct pen_style){ROLE_WARN, ROLE_TEXT, STYLE_BOLD | STYLE_REVERSE};
    }
}

static void head_draw(const struct ui *ui, const struct moment *moment, struct area area)
{
    char time[192], rate[TEXT_BYTES], backlog[TEXT_BYTES];
    struct pen_style style;
    time_text(ui, moment, time, sizeof(time), &style);
    int time_x = area.width - text_columns(time);
    struct area left = area_columns(area, 0, time_x - 1);
    const char *format = left.width >= 64 ? "%zu node%s, %" PRId64 " of %" PRId64
                                            " slots busy, %s jobs/s, %s waiting"
                                          : "%zu node%s %" PRId64 "/%" PRId64 " busy %s/s %s wait";
    char text[256];
    snprintf(text, sizeof(text), format, moment->n_live, moment->n_live == 1 ? "" : "s",
             moment->running, moment->slots, text_short(rate, moment->rate),
             moment->backlog < 0 ? "?" : text_short(backlog, (double)moment->backlog));
    int x = area_text(left, 0, 0, strong, "stint ");
    x += area_text(left, x, 0, plain, text);
    if (x + 3 + text_columns(moment->store) <= left.width)
        area_print(left, x, 0, dim, "   %s", moment->store);
    area_text(area, time_x, 0, style, time);
    for (int i = 0; i < VIEWS; i++) {
        int width;
        bool here = i == (int)ui->view;
        x = tab_at((enum view_kind)i, &width);
        struct pen_style tab = {here ? ROLE_TITLE : ROLE_DIM, ROLE_TEXT,
                                here ? STYLE_BOLD | STYLE_REVERSE : 0};
        area_print(area, x, 1, tab, "%d %s", i + 1, view_of((enum view_kind)i)->name);
    }
}

/* Where in what is kept the shown time is; events are marks on it. */
static void scrubber_draw(struct ui *ui, const struct moment *moment, struct area area)
{
    char from[TEXT_BYTES], to[TEXT_BYTES];
    int64_t first_ms = moment->first_ms, last_ms = end_of_time(ui);
    if (last_ms <= first_ms || area.width < 40)
        return;
    text_when(from, first_ms, last_ms);
    text_clock(to, last_ms);
    area_text(area, 0, 0, dim, from);
    area_text(area, area.width - text_columns(to), 0, dim, to);
    struct area bar = area_columns(area, text_columns(from) + 1,
                                   area.width - text_columns(from) - text_columns(to) - 2);
    area_fill(bar, area.grid->ascii ? '-' : 0x2500, dim);
    ui->bar = bar;
    double scale = (double)(bar.width - 1) / (double)(last_ms - first_ms);
    for (size_t i = 0; i < moment->n_events; i++) {
        enum event_kind kind = moment->events[i].kind;
        bool loud = kind == EVENT_NODE_DIED || kind == EVENT_RESCUED || kind == EVENT_STORE_LOST;
        if (loud)
            area_put(bar, (int)lround((double)(moment->events[i].at_ms - first_ms) * scale), 0, '!',
                     (struct pen_style){ROLE_BAD, ROLE_TEXT, STYLE_BOLD});
    }
    if (ui->diff_ms != 0)
        area_put(bar, (int)lround((double)(ui->diff_ms - first_ms) * scale), 0, 'd', strong);
    area_put(bar, (int)lround((double)(shown_ms(ui) - first_ms) * scale), 0,
             area.grid->ascii ? 'O' : 0x25cf, (struct pen_style){ROLE_WARN, ROLE_TEXT, STYLE_BOLD});
}

/* Its time counts from when it is drawn: what hid it or held this program up does not use it up. */
static bool is_told(struct ui *ui)
{
    if (ui->told_until_ms == 0)
        ui->told_until_ms = ui->now_ms + TOLD_MS;
    return ui->told[0] != '\0' && (ui->told_held || ui->now_ms < ui->told_until_ms);
}

static void foot_draw(struct ui *ui, struct area area)
{
    static const char prompts[] = {[MODE_SEARCH] = '/', [MODE_FILTER] = '\\', [MODE_GO_TO] = ':'};
    if (ui->mode == MODE_HELP)
        area_text(area, 0, 0, dim, "up down: more of it  Esc: back");
    else if (ui->mode == MODE_CONFIRM)
        area_text(area, 0, 0, (struct pen_style){ROLE_WARN, ROLE_TEXT, STYLE_BOLD}, ui->question);
    else if (ui->mode == MODE_SEARCH || ui->mode == MODE_FILTER || ui->mode == MODE_GO_TO)
        area_print(area, 0, 0, plain, "%c%s_", prompts[ui->mode], ui->line);
    else if (is_told(ui))
        area_text(area, 0, 0, (struct pen_style){ROLE_WARN, ROLE_TEXT, 0}, ui->told);
    else if (ui->focus.filter[0] != '\0')
        area_print(area, 0, 0, plain, "only what holds '%s'%s (Esc: all)", ui->focus.filter,
                   ui->view == VIEW_JOBS ? " on this page" : "");
    else
        area_text(area, 0, 0, dim,
                  "? help  1-6 views  Space stop time  , . events  / search  Enter  Esc  q quit");
}

/* What changed between the moment kept for comparison and the one shown. */
static void changes_draw(struct ui *ui, struct area area)
{
    struct diff_base *base = diff_base_new(past_moment(ui->past, ui->diff_ms, WINDOW_MS, 0, false));
    diff_draw(base, moment_of(ui), area);
    diff_base_free(base);
}

/* Why what is shown is old. */
static void trouble_draw(const struct moment *moment, struct area area)
{
    area_print(area, 0, 0, (struct pen_style){ROLE_BAD, ROLE_TEXT, STYLE_BOLD},
               "the datastore cannot be read: %s", moment->trouble);
}

void ui_draw(struct ui *ui, struct grid *grid)
{
    struct area all = grid_area(grid);
    grid_clear(grid);
    ui->bar = (struct area){0};
    bool scrubber = ui->time != TIME_LIVE || ui->ends_ms != 0;
    int foot = scrubber ? 2 : 1, diff = 0;
    if (ui->diff_ms != 0)
        diff = grid->height >= HIGH_ENOUGH ? DIFF_ROWS : 1;
    if (diff != 0)
        changes_draw(ui, area_rows(all, HEAD_ROWS, diff));
    const struct moment *moment = moment_of(ui);
    head_draw(ui, moment, area_rows(all, 0, HEAD_ROWS));
    ui->view_area = area_rows(all, HEAD_ROWS + diff, grid->height - HEAD_ROWS - diff - foot);
    if (ui->mode == MODE_HELP)
        help_draw(&ui->help, ui->view_area);
    else
        view_of(ui->view)->draw(moment, &ui->focus, ui->states[ui->view], ui->view_area);
    if (moment->stale_ms != 0) {
        area_grey(ui->view_area); /* the last picture stays */
        if (foot == 1 && ui->mode == MODE_NORMAL && !is_told(ui)) {
            trouble_draw(moment, area_rows(all, grid->height - 1, 1));
            return;
        }
        if (foot == 2)
            trouble_draw(moment, area_rows(all, grid->height - 2, 1));
    } else if (scrubber) {
        scrubber_draw(ui, moment, area_rows(all, grid->height - 2, 1));
    }
    foot_draw(ui, area_rows(all, grid->height - 1, 1));
}

char *ui_text(struct ui *ui, int width, bool ascii)
{
    enum { ABOVE = 2 }; /* the head, and the titles of columns */
    view_set(ui, VIEW_CLUSTER);
    const struct moment *moment = moment_of(ui);
    int rows = moment->n_nodes > 0 ? (int)moment->n_nodes : 1;
    struct grid *grid = grid_new(width, ABOVE + rows, ascii);
    struct area all = grid_area(grid);
    head_draw(ui, moment, area_rows(all, 0, 1));
    view_of(VIEW_CLUSTER)
        ->draw(moment, &ui->focus, ui->states[VIEW_CLUSTER], area_rows(all, 1, ABOVE - 1 + rows));
    char *text = grid_text(grid);
    grid_free(grid);
    return text;
}
