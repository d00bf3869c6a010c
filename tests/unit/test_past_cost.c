/* Goal: a picture is cheap, however long the observer has been open: at four a second a hundred
 * nodes are to take less than 2 % of a core, which is 5 ms a picture.
 * Method: ten minutes of a hundred nodes and ten lanes, and a million finished ranges beside;
 * moments and whole pictures of each view are made and their mean times printed. Nothing is
 * asserted of the clock, as tests share their machine: bench/RESULTS.md is where numbers count. */
#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "observer/ui.h"
#include "tests/support/lifelike.h"

enum { RANGES = 1000000, RUNS = 20 };

static const struct lifelike_config large = {.nodes = 100, .lanes = 10, .seconds = 600};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1000 + (double)now.tv_nsec / 1e6;
}

/* In the first lane, ids far past those of the history. */
static void ranges_add(struct past *past)
{
    for (int64_t i = 0; i < RANGES; i++) {
        int64_t a = (INT64_C(1) << 40) + 10 * i;
        past_add_stints(
            past, &(struct stint_row){.range = {a, a + 10, false}, .node = 1000003, .done = 10}, 1);
    }
}

static void moments_time(struct past *past, int64_t timeline_ms, bool live, const char *what)
{
    double began_ms = now_ms();
    size_t nodes = 0;
    for (int i = 0; i < RUNS; i++)
        nodes +=
            past_moment(past, lifelike_end_ms(&large) - i * 100, 60000, timeline_ms, live)->n_nodes;
    ck_assert_uint_gt(nodes, 0);
    printf("test_past_cost: %-28s %6.2f ms\n", what, (now_ms() - began_ms) / RUNS);
}

static void pictures_time(struct past *past, int width, int height)
{
    struct grid *grid = grid_new(width, height, false);
    struct ui *ui = ui_new(past, false, 0);
    ui_clock(ui, lifelike_end_ms(&large));
    for (int view = 0; view < VIEWS; view++) {
        ui_go(ui, (enum view_kind)view);
        ui_draw(ui, grid);
        double began_ms = now_ms();
        for (int i = 0; i < RUNS; i++)
            ui_draw(ui, grid);
        printf("test_past_cost: %-9s at %3dx%-3d         %6.2f ms\n",
               view_of((enum view_kind)view)->name, width, height, (now_ms() - began_ms) / RUNS);
    }
    ui_free(ui);
    grid_free(grid);
}

START_TEST(pictures_are_cheap)
{
    double began_ms = now_ms();
    struct past *past = lifelike_past(&large);
    printf("test_past_cost: 60,000 versions taken in %.0f ms, %.1f MB\n", now_ms() - began_ms,
           (double)past_bytes(past) / 1e6);
    began_ms = now_ms();
    ranges_add(past);
    printf("test_past_cost: a million ranges taken in %.0f ms\n", now_ms() - began_ms);
    moments_time(past, 0, true, "a moment");
    moments_time(past, 0, false, "a moment of the past");
    moments_time(past, 600000, true, "a moment with its timeline");
    pictures_time(past, 120, 40);
    pictures_time(past, 300, 100);
    past_free(past);
}
END_TEST

int main(void)
{
    if (setlocale(LC_ALL, "C.UTF-8") == NULL)
        return 1;
    Suite *suite = suite_create("past_cost");
    TCase *tcase = tcase_create("past_cost");
    tcase_add_test(tcase, pictures_are_cheap);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
