/* Goal: every key does what the table says or says why not; and no sequence of keys and clicks, at
 * any size and any time, brings the observer down.
 * Method: all keys of the table in all views of a made-up cluster; the help, page by page, beside
 * the table; what --control asks; a fuzzer that types, clicks, resizes and moves time, from a
 * printed seed (STINT_SEED and STINT_KEYS choose another, and how many). */
#include "observer/text.h"
#include "observer/ui.h"

#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/random.h"
#include "tests/support/lifelike.h"

enum { FUZZ_KEYS = 200000, WIDTH_MAX = 300, HEIGHT_MAX = 100 };

static const struct lifelike_config few = {.nodes = 9, .lanes = 4, .seconds = 60};
static const struct lifelike_config still = {.nodes = 3, .lanes = 1, .seconds = 30, .quiet = true};
static const struct lifelike_config many = {.nodes = 40, .lanes = 10, .seconds = 30, .lost = true};

struct screen {
    struct past *past;
    struct ui *ui;
    struct grid *grid;
    struct jobs_page page;
    int64_t now_ms;
};

static void screen_open(struct screen *screen, const struct lifelike_config *config, bool control)
{
    *screen = (struct screen){.past = lifelike_past(config), .now_ms = lifelike_end_ms(config)};
    screen->ui = ui_new(screen->past, control, 0);
    screen->grid = grid_new(100, 30, false);
    ui_clock(screen->ui, screen->now_ms);
}

static void screen_close(struct screen *screen)
{
    ui_free(screen->ui);
    past_free(screen->past);
    grid_free(screen->grid);
}

static void show(struct screen *screen)
{
    struct jobs_ask ask = ui_jobs_ask(screen->ui);
    lifelike_jobs(&screen->page, &ask);
    ui_jobs_page(screen->ui, &screen->page);
    ui_draw(screen->ui, screen->grid);
}

/* To be freed. */
static char *shown(struct screen *screen)
{
    show(screen);
    return grid_text_roles(screen->grid);
}

static struct wish press(struct screen *screen, int code)
{
    show(screen);
    return ui_key(screen->ui, code);
}

static void type(struct screen *screen, const char *keys)
{
    for (; *keys != '\0'; keys++)
        press(screen, *keys);
}

static void expect(struct screen *screen, const char *text)
{
    show(screen);
    char *drawn = grid_text(screen->grid);
    ck_assert_msg(strstr(drawn, text) != NULL, "'%s' is not in\n%s", text, drawn);
    free(drawn);
}

static void expect_none(struct screen *screen, const char *text)
{
    show(screen);
    char *drawn = grid_text(screen->grid);
    ck_assert_msg(strstr(drawn, text) == NULL, "'%s' is in\n%s", text, drawn);
    free(drawn);
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* What is searched for may be of any script; Backspace takes whole characters. */
START_TEST(lines_take_all_characters)
{
    static const int keys[] = {'\\', 'a', 0xe9, 0x6f22, 0x1f469, 27 + 0x80, 0x5b57, KEYS_BACKSPACE};
    struct past *past = past_new("memory:", 1 << 20);
    struct ui *ui = ui_new(past, false, 0);
    struct grid *grid = grid_new(80, 24, false);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        ui_key(ui, keys[i]);
    ui_draw(ui, grid);
    char *text = grid_text(grid);
    ck_assert_ptr_nonnull(strstr(text, "\\aé漢👩_\n"));
    free(text);
    for (int i = 0; i < 100; i++)
        ui_key(ui, 0x1f469);
    for (int i = 0; i < 100; i++)
        ui_key(ui, KEYS_BACKSPACE);
    ui_draw(ui, grid);
    text = grid_text(grid);
    ck_assert_ptr_nonnull(strstr(text, "\n\\_\n"));
    free(text);
    grid_free(grid);
    ui_free(ui);
    past_free(past);
}
END_TEST

/* Of another day than today a time says which. */
START_TEST(times_of_other_days_say_the_day)
{
    static const int64_t noon_ms = INT64_C(1700049600000), hour_ms = 3600000; /* 2023-11-15 */
    char text[TEXT_BYTES];
    ck_assert_str_eq(text_when(text, noon_ms, noon_ms + 11 * hour_ms), "12:00:00");
    ck_assert_str_eq(text_when(text, noon_ms, noon_ms + 12 * hour_ms), "11-15 12:00:00");
    ck_assert_str_eq(text_when(text, noon_ms - 366 * 24 * hour_ms, noon_ms), "11-14 12:00:00");
    ck_assert_str_eq(text_when(text, 0, noon_ms), "-");
    ck_assert_str_eq(text_brief(text, noon_ms, noon_ms + 11 * hour_ms), "12:00:00");
    ck_assert_str_eq(text_brief(text, noon_ms, noon_ms + 12 * hour_ms), "11-15");
    ck_assert_str_eq(text_brief(text, 0, noon_ms), "-");
    ck_assert_str_eq(text_when(text, noon_ms, 0), "12:00:00");
}
END_TEST

/* A lane's name is known at moments at which the lane was not, yet. */
START_TEST(ids_have_names_at_all_times)
{
    struct past *past = past_new("", 1 << 20);
    struct lane lane = {.number = 3, .name = {.queue = "mail"}, .head = id_make(3, 1)};
    lane.tail = lane.head;
    lane.name.priority = PRIORITY_DEFAULT;
    ck_assert(past_add_reading(
        past, &(struct past_reading){.at_ms = 900000, .lanes = &lane, .n_lanes = 1}));
    char text[ID_TEXT_BYTES];
    for (int64_t at_ms = 800000; at_ms <= 1000000; at_ms += 200000) {
        const struct moment *moment = past_moment(past, at_ms, 60000, 0, false);
        ck_assert_uint_eq(moment->n_lanes, at_ms > 900000);
        ck_assert_str_eq(text_id(text, moment, id_make(3, 12)), "mail:12");
        ck_assert_str_eq(text_id(text, moment, id_make(4, 12)), "4:12");
    }
    past_free(past);
}
END_TEST

/* Where the dot of the scrubber is, in columns after the first time; -1: nowhere. */
static int dot_at(struct screen *screen, int *ret_end)
{
    show(screen);
    const struct cell *row = &screen->grid->cells[28 * 100];
    int dot = -1;
    *ret_end = 0;
    for (int x = 0; x < 100; x++) {
        dot = row[x].code == 0x25cf ? x : dot;
        *ret_end = row[x].code == 0x25cf || row[x].code == 0x2500 ? x : *ret_end;
    }
    return dot;
}

START_TEST(the_end_of_time_is_at_the_end_of_its_line)
{
    struct screen screen;
    int end;
    screen_open(&screen, &few, false);
    for (int ms = 0; ms < 200; ms++) {
        ui_clock(screen.ui, screen.now_ms + 7 * ms);
        ui_stop_at(screen.ui, screen.now_ms + 7 * ms);
        int dot = dot_at(&screen, &end);
        ck_assert_int_eq(dot, end);
    }
    screen_close(&screen);
}
END_TEST

/* The store is gone: why stands in the last row, but for what is asked or typed there. */
START_TEST(what_is_typed_is_seen_though_the_store_is_lost)
{
    struct screen screen;
    screen_open(&screen, &many, true);
    ui_clock(screen.ui, screen.now_ms + 60000);
    expect(&screen, "the datastore cannot be read");
    type(&screen, "/n1");
    expect(&screen, "/n1_");
    press(&screen, KEYS_ESC);
    expect(&screen, "the datastore cannot be read");
    type(&screen, "P");
    expect(&screen, "(y/n)");
    press(&screen, 'n');
    expect(&screen, "nothing was done");
    ui_clock(screen.ui, screen.now_ms + 90000);
    expect(&screen, "the datastore cannot be read");
    type(&screen, " ");
    ui_clock(screen.ui, screen.now_ms + 120000);
    expect(&screen, "the datastore cannot be read");
    expect(&screen, "? help");
    screen_close(&screen);
}
END_TEST

/* Each stands alone, whatever room there is. */
START_TEST(times_of_the_timeline_stand_apart)
{
    struct screen screen;
    screen_open(&screen, &few, false);
    type(&screen, "3");
    for (int width = 40; width <= 130; width++) {
        grid_free(screen.grid);
        screen.grid = grid_new(width, 30, false);
        show(&screen);
        char *drawn = grid_text(screen.grid);
        for (const char *c = strchr(drawn, ':'); c != NULL; c = strchr(c + 1, ':'))
            ck_assert_msg(c - drawn < 6 || c[3] != ':' || c[6] != ':', "width %d:\n%s", width,
                          drawn);
        free(drawn);
    }
    screen_close(&screen);
}
END_TEST

/* What is of the day before is not told as if it were of this one. */
START_TEST(lists_say_the_day_of_what_is_old)
{
    struct screen screen;
    screen_open(&screen, &few, false);
    char day[TEXT_BYTES], clock[TEXT_BYTES];
    text_brief(day, screen.now_ms, screen.now_ms + INT64_C(2) * 86400000);
    text_clock(clock, screen.now_ms);
    day[5] = clock[5] = '\0'; /* "11-14", "22:13" */
    type(&screen, "4");
    expect(&screen, clock);
    ui_clock(screen.ui, screen.now_ms + INT64_C(2) * 86400000);
    expect(&screen, day);
    type(&screen, "6");
    expect(&screen, day);
    screen_close(&screen);
}
END_TEST

START_TEST(each_key_does_something_or_says_why_not)
{
    size_t n;
    const struct key *keys = keys_all(&n);
    for (size_t i = 0; i < n; i++)
        for (int view = 0; view < VIEWS; view++)
            for (int k = 0; k < 3 && keys[i].codes[k] != KEYS_NONE; k++) {
                struct screen screen;
                screen_open(&screen, &few, _i != 0);
                ui_go(screen.ui, (enum view_kind)view);
                type(&screen, view == VIEW_TIMELINE ? "j" : "jj");
                show(&screen);
                ui_clock(screen.ui, screen.now_ms + 60000); /* what was told is over */
                char *before = shown(&screen);
                struct wish wish = press(&screen, keys[i].codes[k]);
                char *after = shown(&screen);
                bool same = strcmp(before, after) == 0 && wish.kind == WISH_NONE;
                bool here = keys[i].command == CMD_VIEW && keys[i].arg == view;
                bool live = keys[i].command == CMD_LIVE;
                ck_assert_msg(!same || here || live, "'%s' (%s) does nothing in %s", keys[i].shown,
                              keys[i].help, view_of((enum view_kind)view)->name);
                free(before);
                free(after);
                screen_close(&screen);
            }
}
END_TEST

/* Of two entries that mean the same key in the same view, the second would never be reached. */
START_TEST(no_key_means_two_things)
{
    size_t n;
    const struct key *keys = keys_all(&n);
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 3 && keys[i].codes[k] != KEYS_NONE; k++) {
            bool reached = false;
            for (int view = 0; view < VIEWS; view++)
                reached =
                    reached || keys_find(keys[i].codes[k], (enum view_kind)view, true) == &keys[i];
            ck_assert_msg(reached, "'%s' (%s) is never reached", keys[i].shown, keys[i].help);
        }
}
END_TEST

/* Marks the keys whose lines are on the screen; how many there are. */
static size_t keys_shown(struct screen *screen, bool *found)
{
    size_t n, shown = 0;
    const struct key *keys = keys_all(&n);
    show(screen);
    char *text = grid_text(screen->grid), line[256];
    for (size_t i = 0; i < n; i++) {
        snprintf(line, sizeof(line), "   %-9s %.20s", keys[i].shown, keys[i].help);
        bool here = strstr(text, line) != NULL;
        found[i] = found[i] || here;
        shown += here;
    }
    free(text);
    return shown;
}

static const struct {
    int width, height;
} help_sizes[] = {{80, 24}, {40, 10}, {120, 40}};
enum { HELP_SIZES = sizeof(help_sizes) / sizeof(help_sizes[0]) };

START_TEST(help_moves_by_pages)
{
    size_t n;
    keys_all(&n);
    struct screen screen;
    screen_open(&screen, &few, true);
    grid_free(screen.grid);
    screen.grid = grid_new(help_sizes[_i].width, help_sizes[_i].height, false);
    press(&screen, '?');
    bool by_pages[256] = {false}, last[256] = {false}, first[256] = {false}, all[256] = {false};
    size_t page = keys_shown(&screen, by_pages);
    for (size_t i = 0; i < 2 * n / page + 2; i++) {
        press(&screen, KEYS_PAGE_DOWN);
        keys_shown(&screen, by_pages);
    }
    for (size_t i = 0; i < n; i++)
        ck_assert(by_pages[i]);
    press(&screen, 'g');
    ck_assert_uint_eq(keys_shown(&screen, first), page);
    press(&screen, 'G');
    size_t full = keys_shown(&screen, last);
    ck_assert(first[0] && last[n - 1]);
    ck_assert(page == n || !first[n - 1]);
    ck_assert(page == n || full > 1);
    press(&screen, KEYS_UP);
    press(&screen, KEYS_DOWN); /* it did not go beyond the end: one down undoes one up */
    ck_assert_uint_eq(keys_shown(&screen, all), full);
    ck_assert(memcmp(all, last, sizeof(all)) == 0);
    screen_close(&screen);
}
END_TEST

START_TEST(help_lists_every_key)
{
    size_t n;
    const struct key *keys = keys_all(&n);
    struct screen screen;
    bool found[256] = {false};
    ck_assert_uint_le(n, 256);
    screen_open(&screen, &few, true);
    grid_free(screen.grid);
    screen.grid = grid_new(help_sizes[_i].width, help_sizes[_i].height, false);
    press(&screen, '?');
    for (size_t page = 0; page < n; page++) {
        keys_shown(&screen, found);
        press(&screen, KEYS_DOWN);
    }
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(found[i], "'%s' is not in the help at %d columns", keys[i].shown,
                      help_sizes[_i].width);
    press(&screen, KEYS_ESC);
    expect(&screen, "NODE");
    screen_close(&screen);
}
END_TEST

/* docs/OBSERVER.md holds the table, row by row. */
START_TEST(manual_lists_every_key)
{
    const char *source = getenv("STINT_SOURCE"), *group = "";
    char path[512], *manual = NULL, *rows = NULL;
    size_t n, size = 0;
    const struct key *keys = keys_all(&n);
    ck_assert_ptr_nonnull(source);
    snprintf(path, sizeof(path), "%s/docs/OBSERVER.md", source);
    FILE *in = fopen(path, "r"), *out = open_memstream(&rows, &size);
    ck_assert(in != NULL && getdelim(&manual, &(size_t){0}, '\0', in) > 0);
    for (size_t i = 0; i < n; i++) {
        fprintf(out, "| %s | `%s` | %s |\n", strcmp(group, keys[i].group) == 0 ? "" : keys[i].group,
                keys[i].shown, keys[i].help);
        group = keys[i].group;
    }
    fclose(out);
    fclose(in);
    ck_assert_msg(strstr(manual, rows) != NULL, "docs/OBSERVER.md should hold:\n%s", rows);
    free(manual);
    free(rows);
}
END_TEST

/* ---- going about ---------------------------------------------------------------------------- */

START_TEST(views_lead_to_each_other)
{
    struct screen screen;
    screen_open(&screen, &few, false);
    type(&screen, "5\r"); /* a queue, to its lane on the map */
    expect(&screen, "> default");
    type(&screen, "2/mail:12\r");
    expect(&screen, "> mail");
    expect(&screen, "mail:12: ");
    type(&screen, "\r"); /* a job, to its detail */
    expect(&screen, "reading ...");
    type(&screen, "\x1b"
                  "6\\behind\rg\r"); /* an event, to where it happened */
    expect(&screen, "> mail ");
    type(&screen, "\x1b\x1b"); /* out of the range, and back to the events */
    expect(&screen, "what matters");
    ui_clock(screen.ui, screen.now_ms + 10000);
    expect(&screen, "only what holds 'behind'");
    type(&screen, "3gGgj\r"); /* a node */
    expect(&screen, "process");
    type(&screen, ":ev\r");
    expect(&screen, "what matters");
    type(&screen, ":nosuch\r");
    expect(&screen, "no view is called 'nosuch'");
    screen_close(&screen);
}
END_TEST

START_TEST(lists_search_filter_and_sort)
{
    struct screen screen;
    screen_open(&screen, &few, false);
    type(&screen, "\\batch\r");
    expect(&screen, "only what holds 'batch'");
    show(&screen);
    char *text = grid_text(screen.grid);
    ck_assert_ptr_null(strstr(text, "A n1 "));
    free(text);
    press(&screen, KEYS_ESC);
    expect(&screen, "A n1 ");
    type(&screen, "/n4\r");
    expect(&screen, " n4 \xe2\x94\x80"); /* the detail below is that node's */
    type(&screen, "/nosuch\r");
    expect(&screen, "'nosuch' is not here");
    type(&screen, "s"); /* by name: the dead among the living */
    show(&screen);
    text = grid_text(screen.grid);
    ck_assert(strstr(text, "B n2") < strstr(text, "C n3"));
    free(text);
    screen_close(&screen);
}
END_TEST

START_TEST(time_stops_goes_and_comes_back)
{
    struct screen screen;
    screen_open(&screen, &few, false);
    expect(&screen, "LIVE");
    type(&screen, "((");
    expect(&screen, "20.0s ago");
    type(&screen, ",");
    expect(&screen, "STOPPED");
    type(&screen, "] ");
    ui_clock(screen.ui, screen.now_ms + 1000);
    expect(&screen, "PLAY x2");
    ui_clock(screen.ui, screen.now_ms + 120000); /* it meets the present */
    expect(&screen, "LIVE");
    type(&screen, "(L");
    expect(&screen, "LIVE");
    for (int i = 0; i < 500; i++)
        press(&screen, ','); /* there is a first event */
    expect(&screen, "no event before this");
    screen_close(&screen);
}
END_TEST

/* ---- as text -------------------------------------------------------------------------------- */

/* What is before all that is known may be in the store. */
START_TEST(who_goes_back_to_the_beginning_wants_more)
{
    static const struct lifelike_config quiet = {
        .nodes = 3, .lanes = 1, .seconds = 300, .quiet = true};
    struct screen screen;
    screen_open(&screen, &quiet, false);
    type(&screen, " ((((((((((");
    ck_assert(!ui_wants_earlier(screen.ui)); /* 100 of 300 seconds */
    type(&screen, "((((((((((((((((");
    ck_assert(ui_wants_earlier(screen.ui));
    ck_assert(!ui_wants_earlier(screen.ui)); /* once for each key */
    type(&screen, "(");
    ck_assert(ui_wants_earlier(screen.ui));
    type(&screen, "L");
    ck_assert(!ui_wants_earlier(screen.ui));
    for (int i = 0; i < 20 && !ui_wants_earlier(screen.ui); i++)
        type(&screen, ","); /* past the first event */
    type(&screen, ",");
    ck_assert(ui_wants_earlier(screen.ui));
    screen_close(&screen);
}
END_TEST

START_TEST(text_has_every_node)
{
    struct screen screen;
    screen_open(&screen, &many, false);
    char *text = ui_text(screen.ui, 100, true), name[32];
    for (int i = 1; i <= many.nodes; i++) {
        snprintf(name, sizeof(name), i % 9 == 5 ? " batch-%02d.eu" : " n%d ", i);
        ck_assert_msg(strstr(text, name) != NULL, "'%s' is not in\n%s", name, text);
    }
    for (const char *c = text; *c != '\0'; c++)
        ck_assert(*c == '\n' || (*c >= ' ' && *c < 127));
    free(text);
    screen_close(&screen);
}
END_TEST

/* ---- the map, down to single jobs ----------------------------------------------------------- */

/* Ids without a row: void where their range has ended; else their submitter wrote none. */
START_TEST(ids_without_a_row_are_seen)
{
    static const struct {
        const char *keys, *shown;
        bool more;
    } cases[] = {
        {"2/31\r", "31: void", false},
        {"2/31\r", "31: done", true}, /* the page ends before it */
        {"2G", ": without a row", false},
        {"2G", ": queued", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct screen screen;
        struct job none[1] = {0};
        screen_open(&screen, &many, false);
        type(&screen, cases[i].keys);
        for (int k = 0; k < 8; k++)
            type(&screen, "+");
        show(&screen);
        struct jobs_page page = {.ask = ui_jobs_ask(screen.ui),
                                 .jobs = none,
                                 .more = cases[i].more,
                                 .at_ms = screen.now_ms};
        ck_assert(page.ask.brief);
        ui_jobs_page(screen.ui, &page);
        ui_draw(screen.ui, screen.grid);
        char *text = grid_text(screen.grid);
        ck_assert_msg(strstr(text, cases[i].shown) != NULL, "no '%s' in\n%s", cases[i].shown, text);
        free(text);
        screen_close(&screen);
    }
}
END_TEST

/* Of a range the store says how many jobs failed; which, only their rows do. */
START_TEST(single_jobs_are_what_their_rows_say)
{
    struct screen screen;
    struct job jobs[64] = {0};
    screen_open(&screen, &still, false);
    type(&screen, "2/31\r");
    for (int i = 0; i < 3; i++)
        type(&screen, "+");
    show(&screen);
    struct jobs_ask ask = ui_jobs_ask(screen.ui);
    ck_assert(ask.brief && ask.oldest_first && ask.b > ask.a && ask.b - ask.a <= 64);
    struct jobs_page page = {.ask = ask, .jobs = jobs, .n = ask.rows, .at_ms = screen.now_ms};
    for (int64_t id = ask.a; id < ask.b; id++)
        jobs[id - ask.a] = (struct job){.id = id,
                                        .state = id == 31 ? JOB_FAILED : JOB_DONE,
                                        .finished_ms = screen.now_ms - 1000,
                                        .node = 1000003};
    ui_jobs_page(screen.ui, &page);
    ui_draw(screen.ui, screen.grid);
    char *text = grid_text(screen.grid);
    ck_assert_msg(strstr(text, "x 31 ") != NULL && strstr(text, "31: failed  A n1") != NULL, "%s",
                  text);
    free(text);
    page.ask.a++; /* it answers something else: then it says nothing */
    ui_draw(screen.ui, screen.grid);
    text = grid_text(screen.grid);
    ck_assert_msg(strstr(text, "31: done") != NULL, "%s", text);
    free(text);
    screen_close(&screen);
}
END_TEST

/* ---- control -------------------------------------------------------------------------------- */

START_TEST(control_asks_before_it_does)
{
    struct screen screen;
    screen_open(&screen, &few, true);
    type(&screen, "1S");
    expect(&screen, "Stop node ");
    ck_assert_int_eq(press(&screen, 'n').kind, WISH_NONE);
    expect(&screen, "nothing was done");
    type(&screen, "P");
    struct wish wish = press(&screen, 'y');
    ck_assert_int_eq(wish.kind, WISH_NODE_PAUSE);
    ck_assert_int_ne(wish.node, 0);
    type(&screen, "5P");
    wish = press(&screen, 'y');
    ck_assert_int_eq(wish.kind, WISH_QUEUE_PAUSE);
    ck_assert_str_eq(wish.queue, "default");
    type(&screen, "4C");
    wish = press(&screen, 'y');
    ck_assert_int_eq(wish.kind, WISH_JOB_CANCEL);
    ck_assert_uint_eq(wish.n_jobs, 1);
    type(&screen, "g  C"); /* two are marked */
    expect(&screen, "Cancel jobs 9120 and 1 more that are marked?");
    wish = press(&screen, 'y');
    ck_assert_uint_eq(wish.n_jobs, 2);
    ck_assert_int_eq(wish.jobs[0], 9120);
    ck_assert_int_eq(wish.jobs[1], 4711);
    type(&screen, "1(S");
    expect(&screen, "this is the past");
    screen_close(&screen);
}
END_TEST

/* Nothing that is told is over before it was on the screen; what came of a wish waits for a key. */
START_TEST(what_is_told_is_seen)
{
    struct screen screen;
    screen_open(&screen, &few, true);
    ui_tell(screen.ui, "a word");
    ui_clock(screen.ui, screen.now_ms += 60000); /* no picture meanwhile */
    expect(&screen, "a word");
    ui_clock(screen.ui, screen.now_ms += 7000);
    expect_none(&screen, "a word");

    ui_tell(screen.ui, "it was done");
    ui_tell_held(screen.ui);
    ui_key(screen.ui, '?'); /* the help hides it: it was not seen when this was pressed */
    ui_clock(screen.ui, screen.now_ms += 60000);
    expect_none(&screen, "it was done");
    ui_key(screen.ui, KEYS_ESC);
    for (int i = 0; i < 3; i++) {
        ui_clock(screen.ui, screen.now_ms += 60000);
        expect(&screen, "it was done");
    }
    ui_key(screen.ui, '2');
    expect_none(&screen, "it was done");
    screen_close(&screen);
}
END_TEST

START_TEST(without_control_nothing_is_asked)
{
    struct screen screen;
    screen_open(&screen, &few, false);
    for (int code = 1; code < 127; code++)
        if (code != 'q' && code != 3 && code != 12 && strchr("?:/\\", code) == NULL)
            for (int view = 0; view < VIEWS; view++) {
                ui_go(screen.ui, (enum view_kind)view);
                ck_assert_int_eq(press(&screen, code).kind, WISH_NONE);
            }
    ui_go(screen.ui, VIEW_CLUSTER);
    type(&screen, "P");
    expect(&screen, "only with --control");
    screen_close(&screen);
}
END_TEST

/* ---- the fuzzer ----------------------------------------------------------------------------- */

static int between(uint64_t *seed, int from, int to)
{
    return from + (int)(random_next(seed) % (uint64_t)(to - from + 1));
}

static void resize(struct screen *screen, uint64_t *seed)
{
    bool tiny = between(seed, 0, 3) == 0, large = between(seed, 0, 19) == 0;
    int width = between(seed, 1, tiny ? 12 : large ? WIDTH_MAX : 100);
    int height = between(seed, 1, tiny ? 6 : large ? HEIGHT_MAX : 30);
    grid_free(screen->grid);
    screen->grid = grid_new(width, height, between(seed, 0, 1) == 0);
    show(screen);
}

static void fuzz_step(struct screen *screen, uint64_t *seed)
{
    size_t n;
    const struct key *keys = keys_all(&n), *key = &keys[(size_t)between(seed, 0, (int)n - 1)];
    switch (between(seed, 0, 59)) {
    case 0:
        resize(screen, seed);
        break;
    case 1:
        ui_click(screen->ui, between(seed, -2, screen->grid->width + 2),
                 between(seed, -2, screen->grid->height + 2));
        break;
    case 2:
        ui_stop_at(screen->ui, screen->now_ms - between(seed, -5000, 90000));
        break;
    case 3:
        screen->now_ms += between(seed, 0, 300);
        ui_clock(screen->ui, screen->now_ms);
        break;
    case 4:
        ui_key(screen->ui, between(seed, 1, 0x110010)); /* any at all */
        break;
    case 5:
        ui_key(screen->ui, between(seed, 0, 1) == 0 ? KEYS_ESC : 'y');
        break;
    case 6:
    case 7:
    case 8:
        show(screen);
        break;
    default:
        ui_key(screen->ui, key->codes[between(seed, 0, 2)]);
        break;
    }
}

START_TEST(no_keys_bring_it_down)
{
    const char *seed_text = getenv("STINT_SEED"), *keys_text = getenv("STINT_KEYS");
    uint64_t seed = seed_text != NULL ? strtoull(seed_text, NULL, 10) : 1 + (uint64_t)_i;
    int64_t n = keys_text != NULL ? strtoll(keys_text, NULL, 10) : FUZZ_KEYS / 2;
    printf("test_ui: fuzzer, seed %lu\n", (unsigned long)seed);
    fflush(stdout);
    struct screen screen;
    screen_open(&screen, _i == 0 ? &few : &many, true);
    for (int64_t i = 0; i < n; i++)
        fuzz_step(&screen, &seed);
    screen_close(&screen);
}
END_TEST

int main(void)
{
    setenv("TZ", "UTC", 1);
    if (setlocale(LC_ALL, "C.UTF-8") == NULL) {
        fputs("test_ui: no locale C.UTF-8\n", stderr);
        return 1;
    }
    Suite *suite = suite_create("ui");
    TCase *tcase = tcase_create("ui");
    tcase_add_loop_test(tcase, each_key_does_something_or_says_why_not, 0, 2);
    tcase_add_test(tcase, times_of_other_days_say_the_day);
    tcase_add_test(tcase, ids_have_names_at_all_times);
    tcase_add_test(tcase, the_end_of_time_is_at_the_end_of_its_line);
    tcase_add_test(tcase, what_is_typed_is_seen_though_the_store_is_lost);
    tcase_add_test(tcase, times_of_the_timeline_stand_apart);
    tcase_add_test(tcase, lists_say_the_day_of_what_is_old);
    tcase_add_test(tcase, lines_take_all_characters);
    tcase_add_test(tcase, no_key_means_two_things);
    tcase_add_loop_test(tcase, help_lists_every_key, 0, HELP_SIZES);
    tcase_add_loop_test(tcase, help_moves_by_pages, 0, HELP_SIZES);
    tcase_add_test(tcase, manual_lists_every_key);
    tcase_add_test(tcase, views_lead_to_each_other);
    tcase_add_test(tcase, lists_search_filter_and_sort);
    tcase_add_test(tcase, time_stops_goes_and_comes_back);
    tcase_add_test(tcase, who_goes_back_to_the_beginning_wants_more);
    tcase_add_test(tcase, text_has_every_node);
    tcase_add_test(tcase, single_jobs_are_what_their_rows_say);
    tcase_add_test(tcase, ids_without_a_row_are_seen);
    tcase_add_test(tcase, control_asks_before_it_does);
    tcase_add_test(tcase, what_is_told_is_seen);
    tcase_add_test(tcase, without_control_nothing_is_asked);
    tcase_add_loop_test(tcase, no_keys_bring_it_down, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
