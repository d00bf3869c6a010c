/* Goal: every error code has a text of its own, and the caller's buffer holds one bounded line.
 * Method: walk the X-macro; overfill the buffer. */
#include "datastore/error.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    int code;
    const char *text;
} codes[] = {
#define X(name, value, text) {name, text},
    ERROR_MAP(X)
#undef X
};

enum { CODES = sizeof(codes) / sizeof(codes[0]) };

START_TEST(each_code_is_negative_and_says_something_of_its_own)
{
    for (size_t i = 0; i < CODES; i++) {
        ck_assert_int_lt(codes[i].code, 0);
        ck_assert_str_eq(error_text(codes[i].code), codes[i].text);
        for (size_t j = 0; j < i; j++) {
            ck_assert_int_ne(codes[i].code, codes[j].code);
            ck_assert_str_ne(codes[i].text, codes[j].text);
        }
    }
    ck_assert_str_eq(error_text(0), "ok");
    ck_assert_str_eq(error_text(-9999), "unknown error");
}
END_TEST

START_TEST(error_set_returns_the_code_and_keeps_the_text)
{
    struct error err = {0};
    ck_assert_int_eq(error_set(&err, ERR_LIMIT, "queue '%s': %d jobs", "mail", 7), ERR_LIMIT);
    ck_assert_int_eq(err.code, ERR_LIMIT);
    ck_assert_str_eq(err.text, "queue 'mail': 7 jobs");
    ck_assert_int_eq(error_set(NULL, ERR_BUSY, "nobody listens"), ERR_BUSY);
}
END_TEST

START_TEST(a_long_text_is_cut_at_the_end_of_the_buffer)
{
    char longer[2 * ERROR_BYTES];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    struct error err = {0};
    ck_assert_int_eq(error_set(&err, ERR_IO, "%s", longer), ERR_IO);
    ck_assert_uint_eq(strlen(err.text), ERROR_BYTES - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("error");
    TCase *tcase = tcase_create("error");
    tcase_add_test(tcase, each_code_is_negative_and_says_something_of_its_own);
    tcase_add_test(tcase, error_set_returns_the_code_and_keeps_the_text);
    tcase_add_test(tcase, a_long_text_is_cut_at_the_end_of_the_buffer);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
