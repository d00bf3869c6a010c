/* The jobs: a page of the list, and one job in detail. It is the one view that reads as it goes;
 * in the past, what the rows tell of it (jobs.h). Pure: the page comes from outside. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "observer/list.h"
#include "observer/text.h"

enum { PAGES_MAX = 4096 };

struct jobs_state {
    struct list_state list;
    int64_t pages[PAGES_MAX]; /* after_id of the pages before this one */
    size_t page;
    int detail_from; /* first line shown of the detail ... */
    int detail_last; /* ... and at most */
    size_t shown;    /* which states: index in `shown` below */
    bool oldest;     /* the oldest first */
};

enum column { MARK, ID, STATE, TYPE, RUN, NODE, CREATED, TOOK, COMMAND };

static const struct list_column columns[] = {
    [MARK] = {"", 1, 0, 0, false, false},
    [ID] = {"ID", 14, 0, 0, true, false},
    [STATE] = {"STATE", 9, 0, 0, false, false},
    [TYPE] = {"TYPE", 8, 0, 4, false, false},
    [RUN] = {"RUN", 3, 0, 3, true, false},
    [NODE] = {"NODE", 12, 0, 2, false, false},
    [CREATED] = {"SUBMITTED", 9, 0, 5, false, false},
    [TOOK] = {"TOOK", 7, 0, 1, true, false},
    [COMMAND] = {"WHAT", 20, 1, 0, false, false},
};

static const struct {
    const char *name;
    uint32_t states;
} shown[] = {
    {"all", 0},
    {"queued", 1U << JOB_QUEUED},
    {"failed", 1U << JOB_FAILED},
    {"done", 1U << JOB_DONE},
    {"cancelled", 1U << JOB_CANCELLED},
};

static const struct pen_style plain = {ROLE_TEXT, ROLE_TEXT, 0};
static const struct pen_style dim = {ROLE_DIM, ROLE_TEXT, 0};

struct page_ctx {
    const struct moment *moment;
    const struct jobs_page *page; /* NULL: nothing was read yet */
    const struct focus *focus;
};

/* What was read for this view; NULL: nothing yet. */
static const struct jobs_page *page_of(const struct focus *focus)
{
    const struct jobs_page *page = focus->page;
    bool ours = page != NULL && page->at_ms != 0 && !page->ask.brief;
    return ours ? page : NULL;
}

static const struct job *job_at(void *ctx, size_t row)
{
    return &((const struct page_ctx *)ctx)->page->jobs[row];
}

static int64_t row_key(void *ctx, size_t row)
{
    return job_at(ctx, row)->id;
}

/* Arguments as one line; what is not printable is left to the grid. */
static void command_text(const struct job *job, char *text, size_t size)
{
    size_t used = 0;
    const char *args = (const char *)job->argv.data;
    for (size_t i = 0; i + 1 < job->argv.len && used + 1 < size; i++)
        text[used++] = args[i] == '\0' || args[i] == '\n' ? ' ' : args[i];
    text[used] = '\0';
}

static bool runs_now(const struct moment *moment, const struct job *job, int32_t *ret_node)
{
    for (size_t i = 0; i < moment->n_live; i++)
        for (size_t k = 0; k < moment->nodes[i].node.n_running; k++)
            if (moment->nodes[i].node.running[k].id == job->id) {
                *ret_node = (int32_t)i;
                return job->state == JOB_QUEUED;
            }
    return false;
}

/* It was submitted after the moment shown. */
static bool later(const struct moment *moment, const struct job *job)
{
    return !moment->live && job->created_ms > moment->at_ms;
}

/* Seen in a node's record, or, in the past, told by its own row. */
static bool runs(const struct moment *moment, const struct job *job)
{
    int32_t node;
    bool told = !moment->live && job->state == JOB_QUEUED && job->started_ms != 0;
    return told || runs_now(moment, job, &node);
}

static void row_text(void *ctx, size_t row, char *text, size_t size)
{
    const struct job *job = job_at(ctx, row);
    char command[256], id[ID_TEXT_BYTES];
    command_text(job, command, sizeof(command));
    snprintf(text, size, "%s %s %s %s",
             text_id(id, ((const struct page_ctx *)ctx)->moment, job->id),
             job_state_name(job->state), job->type, command);
}

static void right_text(struct area cell, struct pen_style style, const char *text)
{
    int space = cell.width - text_columns(text);
    area_text(cell, space > 0 ? space : 0, 0, style, text);
}

static bool marked(const struct focus *focus, int64_t job)
{
    for (size_t i = 0; i < focus->n_marks; i++)
        if (focus->marks[i] == job)
            return true;
    return false;
}

static void state_draw(const struct moment *moment, const struct job *job, struct area cell)
{
    static const struct {
        enum role role;
        uint32_t code;
    } looks[JOB_STATES] = {
        [JOB_QUEUED] = {ROLE_QUEUED, '.'},  [JOB_SCHEDULED] = {ROLE_QUEUED, 't'},
        [JOB_BLOCKED] = {ROLE_QUEUED, 'b'}, [JOB_DONE] = {ROLE_GOOD, '+'},
        [JOB_FAILED] = {ROLE_FAILED, 'x'},  [JOB_CANCELLED] = {ROLE_CANCELLED, '-'},
    };
    if (later(moment, job))
        area_text(cell, 0, 0, dim, "not yet");
    else if (runs(moment, job))
        area_text(cell, 0, 0, (struct pen_style){ROLE_BUSY, ROLE_TEXT, STYLE_BOLD}, "running");
    else if (!moment->live && job->state == JOB_QUEUED)
        area_text(cell, 0, 0, (struct pen_style){ROLE_QUEUED, ROLE_TEXT, 0}, "waiting");
    else
        area_text(cell, 0, 0, (struct pen_style){looks[job->state].role, ROLE_TEXT, 0},
                  job_state_name(job->state));
}

static void node_draw(const struct moment *moment, const struct job *job, struct area cell)
{
    int32_t node = -1;
    if (!runs_now(moment, job, &node) && job->node != 0)
        node = moment_node_index(moment, job->node);
    if (node < 0)
        area_text(cell, 0, 0, dim, job->node != 0 ? "gone" : "-");
    else
        area_text(
            cell, 0, 0,
            (struct pen_style){(enum role)(ROLE_NODE + moment->nodes[node].colour % NODE_COLOURS),
                               ROLE_TEXT, 0},
            moment->nodes[node].node.name);
}

static void cell_draw(void *ctx, size_t row, size_t column, struct area cell)
{
    const struct page_ctx *page = ctx;
    const struct job *job = job_at(ctx, row);
    char text[512];
    switch ((enum column)column) {
    case MARK:
        if (marked(page->focus, job->id))
            area_put(cell, 0, 0, '*', (struct pen_style){ROLE_WARN, ROLE_TEXT, STYLE_BOLD});
        break;
    case ID:
        text_id(text, page->moment, job->id);
        if (text_columns(text) > cell.width)
            area_text_ends(cell, 0, 0, plain, text);
        else
            right_text(cell, plain, text);
        break;
    case STATE:
        state_draw(page->moment, job, cell);
        break;
    case TYPE:
        area_text(cell, 0, 0, plain, job->type);
        break;
    case RUN:
        snprintf(text, sizeof(text), job->run > 0 ? "%d" : "?", job->run);
        right_text(cell, job->run > 1 ? (struct pen_style){ROLE_WARN, ROLE_TEXT, 0} : plain, text);
        break;
    case NODE:
        node_draw(page->moment, job, cell);
        break;
    case CREATED:
        area_text(cell, 0, 0, dim, text_brief(text, job->created_ms, page->moment->at_ms));
        break;
    case TOOK:
        right_text(cell, plain,
                   job->finished_ms != 0 && job->started_ms != 0
                       ? text_span(text, job->finished_ms - job->started_ms)
                       : "-");
        break;
    case COMMAND:
        command_text(job, text, sizeof(text));
        area_text(cell, 0, 0, plain, text);
        break;
    }
}

static struct list list_of(struct page_ctx *ctx)
{
    return (struct list){
        .columns = columns,
        .n_columns = sizeof(columns) / sizeof(columns[0]),
        .n = ctx->page != NULL ? ctx->page->n : 0,
        .ctx = ctx,
        .key = row_key,
        .draw = cell_draw,
        .text = row_text,
    };
}

/* ---- the detail ----------------------------------------------------------------------------- */

struct lines {
    struct area area;
    int skip, y, n;
};

static void line_put(struct lines *lines, struct pen_style style, const char *text)
{
    lines->n++;
    if (lines->skip > 0)
        lines->skip--;
    else if (lines->y < lines->area.height)
        area_text(lines->area, 1, lines->y++, style, text);
}

__attribute__((format(printf, 3, 4))) static void line_print(struct lines *lines, const char *name,
                                                             const char *format, ...)
{
    char text[1024];
    int len = snprintf(text, sizeof(text), "%-13s", name);
    va_list args;
    va_start(args, format);
    vsnprintf(text + len, sizeof(text) - (size_t)len, format, args);
    va_end(args);
    line_put(lines, plain, text);
}

/* A line of output as it is drawn: tabs go to the next eighth column, of the end of a line no more
 * than that is left, and what else cannot be printed is left to the grid. */
static void output_line(char text[512], const char *line, size_t len)
{
    enum { TAB = 8, INDENT = 2, MOST = 500 };
    size_t used = INDENT, column = 0;
    memset(text, ' ', INDENT);
    len -= len > 0 && line[len - 1] == '\r' ? 1 : 0;
    for (size_t i = 0; i < len && used < MOST; i++) {
        bool inside = ((unsigned char)line[i] & 0xc0) == 0x80; /* of a character of UTF-8 */
        size_t spaces = line[i] == '\t' ? TAB - column % TAB : 0;
        for (size_t k = 0; k < spaces && used < MOST; k++)
            text[used++] = ' ';
        if (spaces == 0)
            text[used++] = line[i] != '\0' ? line[i] : '\1';
        column += spaces > 0 ? spaces : inside ? 0 : 1;
    }
    text[used] = '\0';
}

/* Output line by line, cut at what a line holds. */
static void output_put(struct lines *lines, struct bytes output)
{
    const char *at = (const char *)output.data, *end = at + output.len;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((stop != NULL ? stop : end) - at);
        char text[512];
        output_line(text, at, len);
        line_put(lines, dim, text);
        at = stop != NULL ? stop + 1 : end;
    }
}

static void attempt_put(struct lines *lines, const struct moment *moment,
                        const struct job_attempt *attempt)
{
    char took[TEXT_BYTES], at[TEXT_BYTES];
    int32_t node = moment_node_index(moment, attempt->node);
    line_print(lines, "", "run %d on %s at %s, %s: %s%s%s", attempt->run,
               node >= 0 ? moment->nodes[node].node.name : "a node that is gone",
               text_when(at, attempt->started_ms, moment->at_ms),
               text_span(took, attempt->finished_ms - attempt->started_ms),
               attempt->interrupted ? "interrupted"
               : attempt->timed_out ? "timed out"
                                    : "failed",
               attempt->error != NULL ? ": " : "", attempt->error != NULL ? attempt->error : "");
    output_put(lines, attempt->output);
}

static void ending_put(struct lines *lines, const struct moment *moment,
                       const struct job_ending *ending)
{
    if (ending->signal != 0)
        line_print(lines, "ended by", "signal %d%s", ending->signal,
                   ending->timed_out ? ", past its time-out" : "");
    else if (ending->exit_code >= 0)
        line_print(lines, "exit status", "%d", ending->exit_code);
    if (ending->error != NULL)
        line_print(lines, "error", "%s", ending->error);
    if (ending->user_ms + ending->sys_ms > 0 || ending->maxrss_kb > 0)
        line_print(lines, "used", "%.2f s user, %.2f s system, %.1f MB",
                   (double)ending->user_ms / 1000, (double)ending->sys_ms / 1000,
                   (double)ending->maxrss_kb / 1024);
    if (ending->n_trace > 0)
        line_print(lines, "earlier runs", "%zu", ending->n_trace);
    for (size_t i = 0; i < ending->n_trace; i++)
        attempt_put(lines, moment, &ending->trace[i]);
    if (ending->output.len > 0)
        line_print(lines, "output", "the last %zu of %" PRIu64 " bytes", ending->output.len,
                   ending->output_total);
    output_put(lines, ending->output);
}

/* What it was submitted with that is not the default. */
static void spec_put(struct lines *lines, const struct moment *moment, const struct job_spec *spec)
{
    char text[ID_TEXT_BYTES];
    if (spec->timeout_ms > 0)
        line_print(lines, "time-out", "%s", text_span(text, spec->timeout_ms));
    if (spec->cwd != NULL)
        line_print(lines, "folder", "%s", spec->cwd);
    if (spec->key != NULL)
        line_print(lines, "key", "%s", spec->key);
    if (spec->group != NULL)
        line_print(lines, "group", "%s", spec->group);
    for (size_t i = 0; i < spec->n_after; i++)
        line_print(lines, "after", "%s", text_id(text, moment, spec->after[i]));
    if (spec->copy_of != 0)
        line_print(lines, "copy of", "%s", text_id(text, moment, spec->copy_of));
}

static void state_put(struct lines *lines, const struct moment *moment, const struct job *job)
{
    char at[TEXT_BYTES];
    int32_t node = -1;
    if (!runs_now(moment, job, &node) && runs(moment, job))
        node = moment_node_index(moment, job->node);
    if (later(moment, job))
        line_print(lines, "state", "not yet submitted");
    else if (runs(moment, job))
        line_print(lines, "state", "running on %s",
                   node >= 0 ? moment->nodes[node].node.name : "a node that is gone");
    else
        line_print(lines, "state", "%s",
                   !moment->live && job->state == JOB_QUEUED ? "waiting"
                                                             : job_state_name(job->state));
    if (!moment->live)
        line_print(lines, "as of", "%s; what came later is not shown (L: live)",
                   text_when(at, moment->at_ms, moment->last_ms));
}

/* Who runs it says its state; here, who ran it last, or found out how it ended. */
static void node_put(struct lines *lines, const struct moment *moment, const struct job *job)
{
    int32_t node = moment_node_index(moment, job->node);
    if (job->node != 0 && !runs(moment, job))
        line_print(lines, "node", "%s",
                   node >= 0 ? moment->nodes[node].node.name : "one that is gone");
}

static void times_put(struct lines *lines, const struct moment *moment, const struct job *job)
{
    char a[TEXT_BYTES], b[TEXT_BYTES];
    line_print(lines, "submitted", "%s", text_when(a, job->created_ms, moment->at_ms));
    if (job->state == JOB_SCHEDULED && job->due_ms != 0)
        line_print(lines, "due", "%s", text_when(a, job->due_ms, moment->at_ms));
    if (job->started_ms != 0)
        line_print(lines, "started", "%s, after %s", text_when(a, job->started_ms, moment->at_ms),
                   text_span(b, job->started_ms - job->created_ms));
    if (job->finished_ms != 0 && job->started_ms != 0)
        line_print(lines, "finished", "%s, took %s", text_when(a, job->finished_ms, moment->at_ms),
                   text_span(b, job->finished_ms - job->started_ms));
    else if (job->finished_ms != 0)
        line_print(lines, "finished", "%s", text_when(a, job->finished_ms, moment->at_ms));
}

static void detail_draw(const struct moment *moment, const struct focus *focus,
                        struct jobs_state *state, struct area area)
{
    const struct jobs_page *page = page_of(focus);
    const struct job *job = page != NULL ? page->detail : NULL;
    if (job == NULL || job->id != focus->job) {
        bool gone = page != NULL && page->ask.detail == focus->job && job == NULL;
        area_text(area, 1, 0, dim,
                  !gone                ? "reading ..."
                  : page->only_running ? "it did not run then: a recording tells of no other jobs"
                                       : "this job is no longer there");
        return;
    }
    if (state->detail_from > state->detail_last)
        state->detail_from = state->detail_last;
    struct lines lines = {.area = area, .skip = state->detail_from};
    char text[512], id[ID_TEXT_BYTES];
    line_print(&lines, "job", "%s", text_id(id, moment, job->id));
    state_put(&lines, moment, job);
    line_print(&lines, "type", "%s", job->type);
    command_text(job, text, sizeof(text));
    if (text[0] != '\0')
        line_print(&lines, "command", "%s", text);
    if (job->batch != NULL)
        line_print(&lines, "batch", "%s", job->batch);
    if (job->run > 0)
        line_print(&lines, "run", "%d, of %d attempt%s, %d interruption%s", job->run,
                   job_max_attempts(job), job_max_attempts(job) == 1 ? "" : "s", job->interruptions,
                   job->interruptions == 1 ? "" : "s");
    if (job->spec != NULL)
        spec_put(&lines, moment, job->spec);
    times_put(&lines, moment, job);
    node_put(&lines, moment, job);
    if (job->ending != NULL)
        ending_put(&lines, moment, job->ending);
    state->detail_last = lines.n > area.height ? lines.n - area.height : 0;
}

/* ---- the view ------------------------------------------------------------------------------- */

static void ask_make(const struct moment *moment, struct jobs_state *state, struct focus *focus,
                     uint32_t rows)
{
    focus->ask = (struct jobs_ask){
        .after_id = state->page > 0 ? state->pages[state->page - 1] : 0,
        .detail = focus->detail ? focus->job : 0,
        .states = shown[state->shown].states,
        .rows = rows,
        .oldest_first = state->oldest,
        .then = !moment->live,
    };
}

/* What the list is of. */
static void head_draw(const struct moment *moment, const struct focus *focus,
                      const struct jobs_state *state, struct area area)
{
    char at[TEXT_BYTES];
    const struct jobs_page *page = page_of(focus);
    if (page != NULL && page->only_running) {
        area_print(area, 0, 0, dim, "%zu running then: a recording tells of no other jobs",
                   page->n);
        return;
    }
    const char *name = shown[state->shown].name;
    if (!moment->live && shown[state->shown].states == 1U << JOB_QUEUED)
        name = "waiting or running";
    int x = area_print(
        area, 0, 0, dim, "%s, %s first, page %zu%s, %s %s", name,
        state->oldest ? "oldest" : "newest", state->page + 1,
        page != NULL && page->more ? " (PgDn: more)" : "", moment->live ? "read at" : "as of",
        page != NULL ? text_clock(at, moment->live ? page->at_ms : moment->at_ms) : "-");
    if (focus->n_marks > 0)
        area_print(area, x, 0, (struct pen_style){ROLE_WARN, ROLE_TEXT, STYLE_BOLD}, "  %zu marked",
                   focus->n_marks);
    else
        area_text(area, x, 0, dim, "  Tab: others  s: turn");
}

static void jobs_draw(const struct moment *moment, struct focus *focus, void *own, struct area area)
{
    struct jobs_state *state = own;
    struct page_ctx ctx = {moment, page_of(focus), focus};
    struct list list = list_of(&ctx);
    int rows = area.height > 3 ? area.height - 2 : 1;
    ask_make(moment, state, focus, (uint32_t)rows);
    if (focus->detail) {
        detail_draw(moment, focus, state, area);
        return;
    }
    const struct jobs_page *page = page_of(focus);
    head_draw(moment, focus, state, area);
    if (list.n == 0) {
        bool more = page != NULL && page->more;
        area_text(area, 2, 2, dim,
                  page == NULL ? "reading ..."
                  : more       ? "none on this page; PgDn: the next"
                               : "there is none");
        return;
    }
    size_t chosen = list_draw(&list, &state->list, focus, area_rows(area, 1, area.height - 1));
    focus->job = chosen < list.n ? page->jobs[chosen].id : 0;
}

static bool page_step(struct jobs_state *state, const struct focus *focus, bool on)
{
    const struct jobs_page *page = page_of(focus);
    int64_t last = page == NULL         ? 0
                   : page->last_id != 0 ? page->last_id
                   : page->n > 0        ? page->jobs[page->n - 1].id
                                        : 0;
    if (on && last != 0 && page->more && state->page < PAGES_MAX)
        state->pages[state->page++] = last;
    else if (!on && state->page > 0)
        state->page--;
    else
        return false;
    state->list = (struct list_state){0};
    return true;
}

static void mark(struct focus *focus)
{
    for (size_t i = 0; i < focus->n_marks; i++)
        if (focus->marks[i] == focus->job) {
            focus->marks[i] = focus->marks[--focus->n_marks];
            return;
        }
    if (focus->job != 0 && focus->n_marks < FOCUS_MARKS_MAX)
        focus->marks[focus->n_marks++] = focus->job;
}

static bool marks_clear(struct focus *focus)
{
    bool any = focus->n_marks > 0;
    focus->n_marks = 0;
    return any;
}

static bool first_page(struct jobs_state *state)
{
    bool away = state->page > 0;
    state->page = 0;
    return away;
}

/* To the page that begins with the id searched for. */
static bool id_go(const struct moment *moment, const struct focus *focus, struct jobs_state *state)
{
    int64_t id = text_to_id(moment, focus->search, LANE_DEFAULT);
    if (id == 0)
        return false;
    *state = (struct jobs_state){.shown = state->shown, .oldest = state->oldest, .page = 1};
    state->pages[0] = state->oldest ? id - 1 : id + 1;
    return true;
}

static bool detail_move(struct focus *focus, struct jobs_state *state, enum move move)
{
    int page = 10, to = state->detail_from;
    switch (move) {
    case MOVE_OUT:
        focus->detail = false;
        state->detail_from = 0;
        return true;
    case MOVE_UP:
    case MOVE_PAGE_UP:
        to -= move == MOVE_UP ? 1 : page;
        break;
    case MOVE_DOWN:
    case MOVE_PAGE_DOWN:
        to += move == MOVE_DOWN ? 1 : page;
        break;
    case MOVE_FIRST:
    case MOVE_LAST:
        to = move == MOVE_FIRST ? 0 : state->detail_last;
        break;
    default:
        return false;
    }
    to = to > state->detail_last ? state->detail_last : to;
    to = to > 0 ? to : 0;
    bool moved = to != state->detail_from || move == MOVE_FIRST || move == MOVE_LAST;
    state->detail_from = to;
    return moved;
}

static bool jobs_move(const struct moment *moment, struct focus *focus, void *own, enum move move)
{
    struct jobs_state *state = own;
    struct page_ctx ctx = {moment, page_of(focus), focus};
    struct list list = list_of(&ctx);
    if (focus->detail)
        return detail_move(focus, state, move);
    switch (move) {
    case MOVE_IN:
        state->detail_from = 0;
        focus->detail = focus->job != 0;
        return focus->detail;
    case MOVE_SORT:
        *state = (struct jobs_state){.shown = state->shown, .oldest = !state->oldest};
        return true;
    case MOVE_NEXT:
        state->shown = (state->shown + 1) % (sizeof(shown) / sizeof(shown[0]));
        state->page = 0;
        state->list = (struct list_state){0};
        return true;
    case MOVE_PAGE_DOWN:
    case MOVE_RIGHT:
        return page_step(state, focus, true);
    case MOVE_PAGE_UP:
    case MOVE_LEFT:
        return page_step(state, focus, false);
    case MOVE_MARK:
        mark(focus);
        if (list_move(&list, &state->list, focus, MOVE_DOWN))
            focus->job = state->list.chosen;
        return true;
    case MOVE_OUT:
        return marks_clear(focus) || first_page(state);
    case MOVE_SEARCH_NEXT:
        if (id_go(moment, focus, state))
            return true;
        break;
    default:
        break;
    }
    bool moved = list_move(&list, &state->list, focus, move);
    focus->job = moved ? state->list.chosen : focus->job;
    return moved;
}

static bool jobs_click(const struct moment *moment, struct focus *focus, void *own, int x, int y)
{
    (void)x;
    struct jobs_state *state = own;
    struct page_ctx ctx = {moment, page_of(focus), focus};
    struct list list = list_of(&ctx);
    if (focus->detail || y < 1 || !list_click(&list, &state->list, focus, y - 1))
        return false;
    focus->job = state->list.chosen;
    return true;
}

const struct view view_jobs = {
    .kind = VIEW_JOBS,
    .name = "Jobs",
    .state_bytes = sizeof(struct jobs_state),
    .draw = jobs_draw,
    .move = jobs_move,
    .click = jobs_click,
};
