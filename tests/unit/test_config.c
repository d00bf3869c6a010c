/* Goal: settings come from the file, the environment over it, and a mistake in the file is named
 * with its line; a password in a URI is noticed.
 * Method: write config files into a fresh folder and load them with chosen variables. */
#include "cli/cli.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], path[96];

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/stint-config-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/config", folder);
    static const char *const variables[] = {"STINT_STORE",     "STINT_QUEUE",        "STINT_SLOTS",
                                            "STINT_LEASE",     "STINT_STOP_TIMEOUT", "STINT_CONFIG",
                                            "XDG_CONFIG_HOME", "XDG_STATE_HOME"};
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        unsetenv(variables[i]);
    setenv("HOME", folder, 1);
}

static void teardown(void)
{
    unlink(path);
    rmdir(folder);
}

static void file_write(const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

START_TEST(a_file_sets_values_and_comments_do_not)
{
    struct settings settings = {0};
    struct error err = {0};
    file_write("# mine\n\n  store = sqlite:/srv/a=b.db  \nslots=4\n\tqueue =mail\r\n");
    ck_assert_int_eq(settings_read_file(&settings, path, &err), 0);
    ck_assert_str_eq(settings.value[SETTING_STORE], "sqlite:/srv/a=b.db");
    ck_assert_str_eq(settings.value[SETTING_SLOTS], "4");
    ck_assert_str_eq(settings.value[SETTING_QUEUE], "mail");
    ck_assert_ptr_null(settings.value[SETTING_LEASE]);
    settings_clear(&settings);
}
END_TEST

START_TEST(a_mistake_is_named_with_file_and_line)
{
    struct settings settings = {0};
    struct error err = {0};
    char want[128];
    snprintf(want, sizeof(want), "%s:2: unknown key 'stroe'", path);
    file_write("slots = 1\nstroe = x\n");
    ck_assert_int_eq(settings_read_file(&settings, path, &err), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, want));
    snprintf(want, sizeof(want), "%s:1: a line must be", path);
    file_write("store\n");
    ck_assert_int_eq(settings_read_file(&settings, path, &err), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, want));
    settings_clear(&settings);
}
END_TEST

START_TEST(an_overlong_line_is_refused)
{
    struct settings settings = {0};
    struct error err = {0};
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 10000; i++)
        fputc('x', file);
    fclose(file);
    ck_assert_int_eq(settings_read_file(&settings, path, &err), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "longer than"));
}
END_TEST

START_TEST(the_environment_goes_over_the_file)
{
    struct settings settings = {0};
    struct error err = {0};
    file_write("store = sqlite:/file\nslots = 2\n");
    setenv("STINT_CONFIG", path, 1);
    setenv("STINT_STORE", "sqlite:/environment", 1);
    setenv("STINT_NODE", "a job's own variable is no setting", 1);
    ck_assert_int_eq(settings_load(&settings, &err), 0);
    ck_assert_str_eq(settings.value[SETTING_STORE], "sqlite:/environment");
    ck_assert_str_eq(settings.value[SETTING_SLOTS], "2");
    settings_clear(&settings);
}
END_TEST

START_TEST(a_named_file_must_be_there_and_the_usual_one_need_not)
{
    struct settings settings = {0};
    struct error err = {0};
    ck_assert_int_eq(settings_load(&settings, &err), 0);
    setenv("STINT_CONFIG", "/nonexistent/config", 1);
    ck_assert_int_eq(settings_load(&settings, &err), ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/config"));
    settings_clear(&settings);
}
END_TEST

START_TEST(the_default_store_lies_under_the_state_folder)
{
    char *uri = NULL, want[128];
    struct error err = {0};
    ck_assert_int_eq(settings_default_store(&uri, &err), 0);
    snprintf(want, sizeof(want), "sqlite:%s/.local/state/stint/stint.db", folder);
    ck_assert_str_eq(uri, want);
    free(uri);
    setenv("XDG_STATE_HOME", "relative/is/void", 1);
    ck_assert_int_eq(settings_default_store(&uri, &err), 0);
    ck_assert_str_eq(uri, want);
    free(uri);
    setenv("XDG_STATE_HOME", "/var/x", 1);
    ck_assert_int_eq(settings_default_store(&uri, &err), 0);
    ck_assert_str_eq(uri, "sqlite:/var/x/stint/stint.db");
    free(uri);
    unsetenv("XDG_STATE_HOME");
    unsetenv("HOME");
    ck_assert_int_eq(settings_default_store(&uri, &err), ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_password_in_a_uri_is_seen)
{
    ck_assert(uri_has_password("mongodb://me:secret@host/db"));
    ck_assert(uri_has_password("mongodb://me:se@cret@host/db?x=y"));
    ck_assert(!uri_has_password("mongodb://me@host:27017/db"));
    ck_assert(!uri_has_password("mongodb://host:27017/a:b@c"));
    ck_assert(!uri_has_password("sqlite:/home/a:b@c/stint.db"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("config");
    TCase *tcase = tcase_create("config");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_file_sets_values_and_comments_do_not);
    tcase_add_test(tcase, a_mistake_is_named_with_file_and_line);
    tcase_add_test(tcase, an_overlong_line_is_refused);
    tcase_add_test(tcase, the_environment_goes_over_the_file);
    tcase_add_test(tcase, a_named_file_must_be_there_and_the_usual_one_need_not);
    tcase_add_test(tcase, the_default_store_lies_under_the_state_folder);
    tcase_add_test(tcase, a_password_in_a_uri_is_seen);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
