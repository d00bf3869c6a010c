/* Goal: whatever is secret in a URI is not shown, well-formed or not, and nothing else is lost.
 * Method: a table of texts and what is shown of them; those without a secret are shown as they
 * are. */
#include "datastore/uri.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    const char *shown; /* NULL: as it is, there is no secret */
} cases[] = {
    {"mongodb://me:secret@host/db", "mongodb://me:***@host/db"},
    {"mongodb+srv://me:s%40%3a%2f@host/db?x=y@z", "mongodb+srv://me:***@host/db?x=y@z"},
    {"mongodb://me:@host", "mongodb://me:***@host"},
    {"mongodb://me:p@a:1,b:2,[::1]:3/db", "mongodb://me:***@a:1,b:2,[::1]:3/db"},
    /* Not well-formed: what a person types who does not know of %2F. */
    {"mongodb://me:se@cret@host/db?x=y", "mongodb://me:***@host/db?x=y"},
    {"mongodb://me:se/cret@host/db", "mongodb://me:***@host/db"},
    {"mongodb://me:se?cret@host/db", "mongodb://me:***@host/db"},
    {"mongodb://me:1s/cret@host", "mongodb://me:***@host"},
    {"mongodb://me:12/34@host/db?x=y@z", "mongodb://me:***@host/db?x=y@z"},
    {"mongodb://me:12?34@host/db?x=y@z", "mongodb://me:***@host/db?x=y@z"},
    {"mongodb://me:se cret@host/db; no", "mongodb://me:***@host/db; no"},
    {"mongodb://me:12 s@c ret@host/db", "mongodb://me:***@host/db"},
    {"mongodb:/me:secret@host/db", "mongodb:/me:***@host/db"},
    {"mongodb:me:secret@host/db", "mongodb:me:***@host/db"},
    {"MongoDB+srv:///me:secret@host/db", "MongoDB+srv:///me:***@host/db"},
    {"'mongodb:' to mongodb://me:secret@host", "'mongodb:' to mongodb://me:***@host"},
    /* In the query. */
    {"mongodb://host/?tls=true&tlsCertificateKeyFilePassword=pw&w=1",
     "mongodb://host/?tls=true&tlsCertificateKeyFilePassword=***&w=1"},
    {"mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:t",
     "mongodb://h/?authMechanismProperties=***"},
    {"mongodb://u:p@h/?PASSWORD=a&password=b", "mongodb://u:***@h/?PASSWORD=***&password=***"},
    /* In a line, and several. */
    {"from 'mongodb://u:p@h/a' to http://u:p@h; no",
     "from 'mongodb://u:***@h/a' to http://u:***@h; no"},
    {"mongodb://me@host:27017/db", NULL},
    {"mongodb://host:27017/db: mail b@c", NULL},
    {"unknown kind 'mongodb': use mongodb://HOST/DATABASE", NULL},
    {"mongodb://host:27017/db?x=a:b@c", NULL},
    {"mongodb://[::1]:27017,b/db?x=@", NULL},
    {"mongodb://host/?passwords=1&x", NULL},
    {"sqlite:/home/a:b@c/stint.db", NULL},
    {"mongodb://", NULL},
    {"://", NULL},
    {"://?", NULL},
    {"", NULL},
};

START_TEST(a_secret_is_not_shown)
{
    char shown[256];
    const char *want = cases[_i].shown != NULL ? cases[_i].shown : cases[_i].text;
    ck_assert_str_eq(uri_redact(shown, sizeof(shown), cases[_i].text), want);
    ck_assert(uri_has_password(cases[_i].text) == (cases[_i].shown != NULL));
}
END_TEST

START_TEST(what_is_shown_is_cut_to_fit)
{
    const char *want = cases[_i].shown != NULL ? cases[_i].shown : cases[_i].text;
    for (size_t size = 1; size <= strlen(want) + 1; size++) {
        char *shown = malloc(size);
        ck_assert_ptr_nonnull(shown);
        uri_redact(shown, size, cases[_i].text);
        ck_assert_uint_eq(strlen(shown), size - 1);
        ck_assert_int_eq(strncmp(shown, want, size - 1), 0);
        free(shown);
    }
}
END_TEST

int main(void)
{
    enum { CASES = sizeof(cases) / sizeof(cases[0]) };
    Suite *suite = suite_create("uri");
    TCase *tcase = tcase_create("uri");
    tcase_add_loop_test(tcase, a_secret_is_not_shown, 0, CASES);
    tcase_add_loop_test(tcase, what_is_shown_is_cut_to_fit, 0, CASES);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
