/* Goal: every line of JSON is valid whatever bytes are in it; times, sizes and tables are as said.
 * Method: write into memory and compare; libbson reads each line back. */
#define _GNU_SOURCE
#include "cli/output.h"

#include <bson/bson.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/view.h"

static char *text;
static size_t text_len;

static FILE *memory_open(void)
{
    FILE *file = open_memstream(&text, &text_len);
    ck_assert_ptr_nonnull(file);
    return file;
}

static struct bytes bytes_of(const char *from, size_t len)
{
    return (struct bytes){(const uint8_t *)from, len};
}

START_TEST(a_line_holds_each_kind_of_field)
{
    struct json json;
    FILE *file = memory_open();
    json_open(&json, file);
    json_text(&json, "name", "a\"b\\c\n\x01");
    json_number(&json, "count", -5);
    json_real(&json, "rate", 1.5);
    json_bool(&json, "paused", true);
    json_text(&json, "none", NULL);
    json_time(&json, "never", 0);
    json_array_open(&json, "ids");
    json_text(&json, NULL, "1");
    json_array_open(&json, NULL);
    json_number(&json, NULL, 2);
    json_array_close(&json);
    json_object_open(&json, NULL);
    json_object_close(&json);
    json_array_close(&json);
    json_number(&json, "after", 1);
    json_close(&json);
    fclose(file);
    ck_assert_str_eq(text, "{\"name\":\"a\\\"b\\\\c\\n\\u0001\",\"count\":-5,\"rate\":1.500,"
                           "\"paused\":true,\"none\":null,\"never\":null,"
                           "\"ids\":[\"1\",[2],{}],\"after\":1}\n");
    free(text);
}
END_TEST

static const struct {
    const char *data;
    size_t len;
    const char *want;
} strings[] = {
    {"", 0, "{\"v\":\"\"}\n"},
    {"\xff", 1, "{\"v_b64\":\"/w==\"}\n"},
    {"\xff\xfe", 2, "{\"v_b64\":\"//4=\"}\n"},
    {"ab\xc3", 3, "{\"v_b64\":\"YWLD\"}\n"},
    {"\xed\xa0\x80z", 4, NULL}, /* half a surrogate pair: whatever it becomes, valid */
    {"na\xc3\xafve", 6, "{\"v\":\"na\xc3\xafve\"}\n"},
    {"a\0b", 3, "{\"v\":\"a\\u0000b\"}\n"},
};

START_TEST(bytes_that_are_not_utf8_become_base64_under_another_name)
{
    struct json json;
    FILE *file = memory_open();
    json_open(&json, file);
    json_bytes(&json, "v", bytes_of(strings[_i].data, strings[_i].len));
    json_close(&json);
    fclose(file);
    if (strings[_i].want != NULL)
        ck_assert_str_eq(text, strings[_i].want);
    bson_t read;
    bson_error_t why;
    ck_assert_msg(bson_init_from_json(&read, text, (ssize_t)text_len, &why), "%s: %s", text,
                  why.message);
    bson_destroy(&read);
    free(text);
}
END_TEST

START_TEST(every_byte_string_gives_a_valid_line)
{
    uint32_t state = 12345;
    for (int round = 0; round < 2000; round++) {
        char data[24];
        size_t len = (size_t)round % sizeof(data);
        for (size_t i = 0; i < len; i++) {
            state = state * 1664525 + 1013904223;
            data[i] = (char)(state >> 24);
        }
        struct json json;
        FILE *file = memory_open();
        json_open(&json, file);
        json_bytes(&json, "v", bytes_of(data, len));
        json_close(&json);
        fclose(file);
        bson_t read;
        bson_error_t why;
        ck_assert_msg(bson_init_from_json(&read, text, (ssize_t)text_len, &why), "%s", why.message);
        bson_destroy(&read);
        free(text);
    }
}
END_TEST

START_TEST(times_are_rfc_3339_with_ms)
{
    char when[TIME_TEXT_BYTES];
    ck_assert_str_eq(time_format(when, 1), "1970-01-01T00:00:00.001Z");
    ck_assert_str_eq(time_format(when, 1772357400123), "2026-03-01T09:30:00.123Z");
    ck_assert_str_eq(time_format(when, 0), "-");
    ck_assert_str_eq(time_format(when, INT64_MAX), "-");
}
END_TEST

START_TEST(durations_and_sizes_are_short)
{
    char shown[TIME_TEXT_BYTES], other[TIME_TEXT_BYTES];
    ck_assert_str_eq(duration_format(shown, 12), "12 ms");
    ck_assert_str_eq(duration_format(shown, 3400), "3.4 s");
    ck_assert_str_eq(duration_format(shown, 5 * 60000), "5 min");
    ck_assert_str_eq(duration_format(shown, -3), "0 ms");
    ck_assert_str_eq(span_format(shown, 1000, 4400), "3.4 s");
    ck_assert_str_eq(span_format(shown, INT64_MIN, 1), duration_format(other, INT64_MAX));
    ck_assert_str_eq(size_format(shown, 999), "999 B");
    ck_assert_str_eq(size_format(shown, 1234567), "1.2 MB");
}
END_TEST

START_TEST(a_text_on_a_terminal_moves_no_cursor)
{
    char hostile[] = "a\x1b[2Jb\r\xc2\x9b"
                     "c\x7f";
    text_clean(hostile);
    ck_assert_str_eq(hostile, "a?[2Jb???c?");
}
END_TEST

START_TEST(a_set_of_ids_melts_what_touches)
{
    struct id_set set = {0};
    for (int64_t i = 0; i < 1000; i++) { /* two lanes, in turns */
        int64_t id = id_make((int32_t)(i % 2), 1 + i / 2);
        id_set_add(&set, (struct range){.a = id, .b = id + 1});
    }
    id_set_add(&set, (struct range){.a = id_make(0, 3), .b = id_make(0, 9)}); /* known already */
    id_set_sort(&set);
    ck_assert_uint_eq(set.n, 2);
    ck_assert_int_eq(set.ranges[0].a, id_make(0, 1));
    ck_assert_int_eq(set.ranges[0].b, id_make(0, 501));
    ck_assert_int_eq(set.ranges[1].b, id_make(1, 501));
    ck_assert_int_eq(id_set_count(&set), 1000);
    ck_assert_uint_le(set.max, 1024);
    id_set_clear(&set);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("output");
    TCase *tcase = tcase_create("output");
    tcase_add_test(tcase, a_line_holds_each_kind_of_field);
    tcase_add_loop_test(tcase, bytes_that_are_not_utf8_become_base64_under_another_name, 0,
                        (int)(sizeof(strings) / sizeof(strings[0])));
    tcase_add_test(tcase, every_byte_string_gives_a_valid_line);
    tcase_add_test(tcase, times_are_rfc_3339_with_ms);
    tcase_add_test(tcase, durations_and_sizes_are_short);
    tcase_add_test(tcase, a_text_on_a_terminal_moves_no_cursor);
    tcase_add_test(tcase, a_set_of_ids_melts_what_touches);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
