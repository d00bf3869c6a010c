/* Goal: settings come from the file, the environment over it, and a mistake in the file is named
 * with its line; a URI comes out of a file, and its password goes nowhere else.
 * Method: write config files into a fresh folder and load them with chosen variables. */
#include "cli/cli.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

START_TEST(a_uri_comes_out_of_a_file)
{
    struct error err = {0};
    char *uri = NULL, named[128];
    bool exposed = true;
    ck_assert_int_eq(store_uri_resolve("sqlite:/srv/@x", &uri, &exposed, &err), 0);
    ck_assert_str_eq(uri, "sqlite:/srv/@x");
    ck_assert(!exposed);
    free(uri);
    snprintf(named, sizeof(named), "@%s", path);
    file_write(" mongodb://me:secret@host/db \r\nignored\n");
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_int_eq(store_uri_resolve(named, &uri, &exposed, &err), 0);
    ck_assert_str_eq(uri, "mongodb://me:secret@host/db");
    ck_assert(exposed);
    free(uri);
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(store_uri_resolve(named, &uri, &exposed, &err), 0);
    ck_assert(!exposed);
    free(uri);
    file_write("sqlite:/srv/a.db"); /* without an end of line, and without a secret */
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_int_eq(store_uri_resolve(named, &uri, &exposed, &err), 0);
    ck_assert_str_eq(uri, "sqlite:/srv/a.db");
    ck_assert(!exposed);
    free(uri);
}
END_TEST

START_TEST(a_file_without_a_uri_is_named)
{
    struct error err = {0};
    char *uri = NULL, named[128];
    bool exposed;
    snprintf(named, sizeof(named), "@%s", path);
    ck_assert_int_eq(store_uri_resolve(named, &uri, &exposed, &err), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
    static const char *const texts[] = {"", "\n", "  \nsqlite:/second\n", "@/another\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        file_write(texts[i]);
        ck_assert_int_eq(store_uri_resolve(named, &uri, &exposed, &err), ERR_INVALID);
        ck_assert_ptr_nonnull(strstr(err.text, path));
    }
    snprintf(named, sizeof(named), "@%s", folder);
    ck_assert_int_eq(store_uri_resolve(named, &uri, &exposed, &err), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "Is a directory"));
    ck_assert_int_eq(store_uri_resolve("@", &uri, &exposed, &err), ERR_INVALID);
    ck_assert_ptr_null(uri);
}
END_TEST

START_TEST(a_file_named_in_the_config_lies_beside_it)
{
    struct settings settings = {0};
    struct error err = {0};
    char want[128];
    file_write("store = @secret\n");
    snprintf(want, sizeof(want), "@%s/secret", folder);
    ck_assert_int_eq(settings_read_file(&settings, path, &err), 0);
    ck_assert_str_eq(settings.value[SETTING_STORE], want);
    settings_clear(&settings);
}
END_TEST

START_TEST(a_password_that_others_can_read_is_noticed)
{
    struct settings settings = {0};
    struct error err = {0};
    file_write("store = mongodb://me:secret@host/db\n");
    ck_assert_int_eq(chmod(path, 0640), 0);
    ck_assert_int_eq(settings_read_file(&settings, path, &err), 0);
    ck_assert_str_eq(settings.exposed, path);
    settings_clear(&settings);
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(settings_read_file(&settings, path, &err), 0);
    ck_assert_ptr_null(settings.exposed);
    settings_clear(&settings);
}
END_TEST

START_TEST(a_password_does_not_stay_in_the_environment)
{
    struct settings settings = {0};
    struct error err = {0};
    char given[] = "STINT_STORE=mongodb://me:secret@host/db";
    ck_assert_int_eq(putenv(given), 0);
    ck_assert_int_eq(settings_load(&settings, &err), 0);
    ck_assert_str_eq(settings.value[SETTING_STORE], "mongodb://me:secret@host/db");
    ck_assert_str_eq(given, "STINT_STORE=");
    unsetenv("STINT_STORE");
    settings_clear(&settings);
}
END_TEST

START_TEST(a_mistake_in_the_file_shows_no_password)
{
    struct settings settings = {0};
    struct error err = {0};
    file_write("mongodb://me:secret@host/db\n");
    ck_assert_int_eq(settings_read_file(&settings, path, &err), ERR_INVALID);
    ck_assert_ptr_null(strstr(err.text, "secret"));
    file_write("mongodb://me:secret@host/db?a=b\n");
    ck_assert_int_eq(settings_read_file(&settings, path, &err), ERR_INVALID);
    ck_assert_ptr_null(strstr(err.text, "secret"));
    settings_clear(&settings);
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
    tcase_add_test(tcase, a_uri_comes_out_of_a_file);
    tcase_add_test(tcase, a_file_without_a_uri_is_named);
    tcase_add_test(tcase, a_file_named_in_the_config_lies_beside_it);
    tcase_add_test(tcase, a_password_that_others_can_read_is_noticed);
    tcase_add_test(tcase, a_password_does_not_stay_in_the_environment);
    tcase_add_test(tcase, a_mistake_in_the_file_shows_no_password);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
