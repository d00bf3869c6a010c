/* Goal: nothing that is drawn leaves its area, whatever the text, and columns stay columns.
 * Method: each case of characters one and two columns wide, of none, and of bytes that are no
 * UTF-8, at each place of a narrow area; then random texts in random areas, from a printed seed,
 * with guards all around that nothing may touch. */
#define _GNU_SOURCE
#include "observer/grid.h"

#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "datastore/random.h"

static const struct pen_style style = {ROLE_TEXT, ROLE_TEXT, 0};

/* What a text becomes in that many columns. */
static void expect(const char *text, int width, bool ascii, const char *drawn)
{
    struct grid *grid = grid_new(width, 1, ascii);
    area_text(grid_area(grid), 0, 0, style, text);
    char *got = grid_text(grid), wanted[256];
    snprintf(wanted, sizeof(wanted), "%s\n", drawn);
    ck_assert_str_eq(got, wanted);
    free(got);
    grid_free(grid);
}

START_TEST(texts_are_cut_with_an_ellipsis)
{
    expect("abcdef", 6, false, "abcdef");
    expect("abcdef", 5, false, "abcd…");
    expect("abcdef", 5, true, "abcd~");
    expect("abcdef", 1, false, "…");
    expect("", 3, false, "");
}
END_TEST

START_TEST(names_keep_their_ends)
{
    static const struct {
        const char *text, *drawn;
        int width;
        bool ascii;
    } cases[] = {{"queue-0007:12", "queue-0007:12", 13, false},
                 {"queue-0007:12", "que…0007:12", 11, false},
                 {"queue-0007:12", "q~:12", 5, true},
                 {"queue-0007:12", "qu…", 3, false},
                 {"日本語日本語:12", "日本…", 6, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct grid *grid = grid_new(cases[i].width, 1, cases[i].ascii);
        int columns = area_text_ends(grid_area(grid), 0, 0, style, cases[i].text);
        char *got = grid_text(grid);
        ck_assert_int_le(columns, cases[i].width);
        got[strcspn(got, "\n")] = '\0';
        ck_assert_str_eq(got, cases[i].drawn);
        free(got);
        grid_free(grid);
    }
}
END_TEST

START_TEST(wide_characters_take_two_columns_or_none)
{
    ck_assert_int_eq(text_columns("漢字"), 4);
    expect("漢字", 4, false, "漢字");
    expect("漢字x", 4, false, "漢…"); /* a column is left over */
    expect("漢字", 3, false, "漢…");
    expect("漢字", 2, false, "…");
    expect("漢字x", 3, true, "??x"); /* where they cannot be drawn, they take one */
    expect("漢字", 2, true, "??");
}
END_TEST

START_TEST(half_a_wide_character_is_none)
{
    struct grid *grid = grid_new(6, 1, false);
    struct area area = grid_area(grid);
    area_text(area, 0, 0, style, "漢字x");
    area_put(area, 1, 0, 'a', style); /* over the second half of the first */
    area_put(area, 2, 0, 'b', style); /* over the first half of the second */
    char *text = grid_text(grid);
    ck_assert_str_eq(text, " ab x\n");
    free(text);
    grid_free(grid);
}
END_TEST

START_TEST(what_is_no_utf8_is_replaced)
{
    expect("a\xff"
           "b",
           9, false,
           "a\xef\xbf\xbd"
           "b");
    expect("\xc3", 9, false, "\xef\xbf\xbd");                                 /* cut short */
    expect("\xe6\xbc", 9, false, "\xef\xbf\xbd\xef\xbf\xbd");                 /* likewise */
    expect("\xc0\x80", 9, false, "\xef\xbf\xbd\xef\xbf\xbd");                 /* overlong */
    expect("\xed\xa0\x80", 9, false, "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* a surrogate */
    expect("\xf5\x80\x80\x80", 2, false, "\xef\xbf\xbd\xe2\x80\xa6"); /* past the last one */
    expect("a\x1b[31m", 9, false, "a\xef\xbf\xbd[31m");               /* no control reaches it */
    expect("a\tb\x7f", 9, true, "a?b?");
    expect("e\xcc\x81", 9, false, "e\xef\xbf\xbd"); /* what combines has no column of its own */
}
END_TEST

START_TEST(ascii_grids_hold_ascii)
{
    struct grid *grid = grid_new(40, 3, true);
    struct area area = grid_area(grid);
    float values[40];
    for (int i = 0; i < 40; i++)
        values[i] = (float)i;
    area_spark(area, 0, 0, values, 40, 0, style);
    area_bar(area, 0, 1, 40, 0.4, style);
    area_text(area, 0, 2, style, "äöü — 漢字 …");
    for (int i = 0; i < 40 * 3; i++)
        ck_assert_uint_lt(grid->cells[i].code, 128);
    grid_free(grid);
}
END_TEST

START_TEST(bars_and_curves_have_ends)
{
    struct grid *grid = grid_new(5, 1, false);
    struct area area = grid_area(grid);
    const float values[] = {-1, 0, 0.001F, 4, 9};
    area_bar(area, 0, 0, 5, 7.5, style); /* too much is full */
    ck_assert_uint_eq(grid->cells[4].code, 0x2588);
    area_bar(area, 0, 0, 5, -1, style);
    ck_assert_uint_eq(grid->cells[0].code, ' ');
    grid_clear(grid);
    area_spark(area, 0, 0, values, 5, 8, style);
    ck_assert_uint_eq(grid->cells[0].code, ' ');    /* not known */
    ck_assert_uint_eq(grid->cells[2].code, 0x2581); /* something is never drawn as nothing */
    ck_assert_uint_eq(grid->cells[3].code, 0x2584);
    ck_assert_uint_eq(grid->cells[4].code, 0x2588);
    grid_free(grid);
}
END_TEST

/* ---- random --------------------------------------------------------------------------------- */

static int between(uint64_t *seed, int from, int to)
{
    return from + (int)(random_next(seed) % (uint64_t)(to - from + 1));
}

static void text_random(uint64_t *seed, char text[40])
{
    static const char *const pieces[] = {"a", "漢",   "é", "\xff",    "\xc3",
                                         " ", "\x1b", "…", "\xe6\xbc"};
    text[0] = '\0';
    for (int n = between(seed, 0, 12); n > 0; n--)
        strncat(text, pieces[between(seed, 0, 8)], 3);
}

static void draw_random(uint64_t *seed, struct area area)
{
    char text[40];
    float values[5] = {1, 2, -1, 0, 3};
    int x = between(seed, -3, 12), y = between(seed, -1, 4);
    text_random(seed, text);
    switch (between(seed, 0, 3)) {
    case 0:
        area_text(area, x, y, style, text);
        break;
    case 1:
        area_put(area, x, y, (uint32_t)between(seed, 0, 0x3000), style);
        break;
    case 2:
        area_bar(area, x, y, between(seed, -2, 12), 0.4, style);
        break;
    default:
        area_spark(area, x, y, values, 5, 0, style);
        break;
    }
}

START_TEST(nothing_leaves_its_area)
{
    enum { WIDTH = 12, HEIGHT = 4, DRAWN = 20 };
    for (uint64_t round = 1; round <= 3000; round++) {
        uint64_t seed = round;
        struct grid *grid = grid_new(WIDTH, HEIGHT, round % 4 == 0);
        for (int i = 0; i < WIDTH * HEIGHT; i++)
            grid->cells[i].code = '#';
        struct area area =
            area_rows(area_columns(grid_area(grid), between(&seed, 0, 9), between(&seed, -1, 12)),
                      between(&seed, 0, 4), between(&seed, -1, 5));
        for (int i = 0; i < DRAWN; i++)
            draw_random(&seed, area);
        bool wrong = false;
        for (int i = 0; i < WIDTH * HEIGHT; i++) {
            int x = i % WIDTH, y = i / WIDTH;
            bool inside =
                x >= area.x && x < area.x + area.width && y >= area.y && y < area.y + area.height;
            uint32_t code = grid->cells[i].code;
            wrong = wrong || (!inside && code != '#');
            bool half = code == 0 && (x == 0 || wcwidth((wchar_t)grid->cells[i - 1].code) != 2);
            bool alone =
                wcwidth((wchar_t)code) == 2 && (x + 1 == WIDTH || grid->cells[i + 1].code != 0);
            wrong = wrong || half || alone;
        }
        char *text = grid_text_roles(grid);
        ck_assert_msg(!wrong, "seed %lu:\n%s", (unsigned long)round, text);
        free(text);
        grid_free(grid);
    }
}
END_TEST

int main(void)
{
    if (setlocale(LC_ALL, "C.UTF-8") == NULL) {
        fputs("test_grid: no locale C.UTF-8\n", stderr);
        return 1;
    }
    Suite *suite = suite_create("grid");
    TCase *tcase = tcase_create("grid");
    tcase_add_test(tcase, texts_are_cut_with_an_ellipsis);
    tcase_add_test(tcase, names_keep_their_ends);
    tcase_add_test(tcase, wide_characters_take_two_columns_or_none);
    tcase_add_test(tcase, half_a_wide_character_is_none);
    tcase_add_test(tcase, what_is_no_utf8_is_replaced);
    tcase_add_test(tcase, ascii_grids_hold_ascii);
    tcase_add_test(tcase, bars_and_curves_have_ends);
    tcase_add_test(tcase, nothing_leaves_its_area);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
