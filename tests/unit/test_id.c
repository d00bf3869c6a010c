/* Goal: ids are shown and read back alike, and nothing else is taken for one.
 * Method: tables of texts both ways; every lane bound; names at their limits. */
#include "datastore/id.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/error.h"

static const struct {
    const char *text;
    struct lane_name lane;
    int64_t first, last;
} good[] = {
    {"1", {"default", 5, 0}, 1, 1},
    {"17", {"default", 5, 0}, 17, 17},
    {"17-2000", {"default", 5, 0}, 17, 2000},
    {"mail:17", {"mail", 5, 0}, 17, 17},
    {"mail/2:17", {"mail", 2, 0}, 17, 17},
    {"default/0:3", {"default", 0, 0}, 3, 3},
    {"ord#3:17", {"ord", 5, 3}, 17, 17},
    {"ord/9#4096:1", {"ord", 9, 4096}, 1, 1},
    {"mail/2:17-2000", {"mail", 2, 0}, 17, 2000},
    {"a.b_c-D9:281474976710654", {"a.b_c-D9", 5, 0}, ID_SEQ_MAX, ID_SEQ_MAX},
};

static const char *const bad[] = {
    "",
    "0",
    "-1",
    "+1",
    " 1",
    "1 ",
    "1-",
    "-",
    "2-1",
    "0-1",
    "1-2-3",
    "x",
    "mail:",
    ":1",
    "mail:x",
    "mail:0",
    "mail/:1",
    "mail/10:1",
    "mail/-1:1",
    "mail#:1",
    "mail#0:1",
    "m#4097:1",
    "-m:1",
    "m ail:1",
    "m/2#:1",
    "m#3/2:1",
    "m//2:1",
    "m:1:2",
    "1\n",
    "0x10",
    "1e3",
    "m\xc3\xa4:1",
    "281474976710655",
    "99999999999999999999999999",
};

START_TEST(a_good_text_is_read_and_shown_again)
{
    struct lane_name lane;
    int64_t first, last;
    ck_assert_int_eq(id_parse(good[_i].text, &lane, &first, &last), 0);
    ck_assert_str_eq(lane.queue, good[_i].lane.queue);
    ck_assert_int_eq(lane.priority, good[_i].lane.priority);
    ck_assert_int_eq(lane.partition, good[_i].lane.partition);
    ck_assert_int_eq(first, good[_i].first);
    ck_assert_int_eq(last, good[_i].last);

    char text[ID_TEXT_BYTES];
    id_format(text, &lane, first);
    int64_t again;
    struct lane_name lane_again;
    ck_assert_int_eq(id_parse(text, &lane_again, &again, &last), 0);
    ck_assert_int_eq(again, first);
    ck_assert_str_eq(lane_again.queue, lane.queue);
    if (good[_i].first == good[_i].last)
        ck_assert_str_eq(text, good[_i].text);
}
END_TEST

START_TEST(a_bad_text_is_refused_and_the_outputs_stay)
{
    struct lane_name lane = {"kept", 1, 2};
    int64_t first = 3, last = 4;
    ck_assert_msg(id_parse(bad[_i], &lane, &first, &last) == ERR_INVALID, "'%s'", bad[_i]);
    ck_assert_str_eq(lane.queue, "kept");
    ck_assert_int_eq(first, 3);
    ck_assert_int_eq(last, 4);
}
END_TEST

START_TEST(the_longest_id_fits_its_text)
{
    struct lane_name lane = {.priority = 9, .partition = LIMIT_LANES};
    memset(lane.queue, 'q', LIMIT_NAME_BYTES);
    char text[ID_TEXT_BYTES];
    id_format(text, &lane, ID_SEQ_MAX);
    struct lane_name back;
    int64_t first, last;
    ck_assert_int_eq(id_parse(text, &back, &first, &last), 0);
    ck_assert_str_eq(back.queue, lane.queue);
    ck_assert_int_eq(back.partition, LIMIT_LANES);
    ck_assert_int_eq(first, ID_SEQ_MAX);
}
END_TEST

START_TEST(a_stored_id_holds_its_lane_and_sequence)
{
    static const int32_t lanes[] = {0, 1, 77, LIMIT_LANES - 1};
    static const int64_t seqs[] = {1, 2, 1000000, ID_SEQ_MAX};
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) {
            int64_t id = id_make(lanes[i], seqs[j]);
            ck_assert_int_gt(id, 0);
            ck_assert_int_eq(id_lane(id), lanes[i]);
            ck_assert_int_eq(id_seq(id), seqs[j]);
        }
    /* The end of a range may be one past the last id, and is still in its lane. */
    ck_assert_int_eq(id_lane(id_make(3, ID_SEQ_MAX + 1)), 3);
    struct range r = {.a = id_make(2, 5), .b = id_make(2, 8)};
    ck_assert_int_eq(range_count(r), 3);
    ck_assert(range_holds(r, r.a) && range_holds(r, r.b - 1));
    ck_assert(!range_holds(r, r.b) && !range_holds(r, r.a - 1));
}
END_TEST

START_TEST(names_are_bounded_and_plain)
{
    char longest[LIMIT_NAME_BYTES + 2];
    memset(longest, 'n', sizeof(longest));
    longest[LIMIT_NAME_BYTES] = '\0';
    ck_assert(name_valid(longest));
    longest[LIMIT_NAME_BYTES] = 'n';
    longest[LIMIT_NAME_BYTES + 1] = '\0';
    ck_assert(!name_valid(longest));
    ck_assert(name_valid("a") && name_valid("A.b-c_9") && name_valid("9") && name_valid("."));
    ck_assert(!name_valid("") && !name_valid("-x") && !name_valid("a/b") && !name_valid("a b"));
    ck_assert(!name_valid("a:b") && !name_valid("a#b") && !name_valid("\xff"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("id");
    TCase *tcase = tcase_create("id");
    tcase_add_loop_test(tcase, a_good_text_is_read_and_shown_again, 0,
                        sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(tcase, a_bad_text_is_refused_and_the_outputs_stay, 0,
                        sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tcase, the_longest_id_fits_its_text);
    tcase_add_test(tcase, a_stored_id_holds_its_lane_and_sequence);
    tcase_add_test(tcase, names_are_bounded_and_plain);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
