/* Goal: arguments are parsed by the command's table; bad ones are refused with exit status 2;
 * durations and numbers have one meaning.
 * Method: a command made for the test, and argument lists good and bad. */
#include "cli/cli.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static int run_nothing(struct cli *cli)
{
    (void)cli;
    return CLI_OK;
}

static const struct cli_option options[] = {
    {"slots", 's', "N", "a number with a setting behind it", SETTING_SLOTS},
    {"env", 0, "NAME=VALUE", "may be repeated", SETTING_NONE},
    {"wait", 'w', NULL, "a switch", SETTING_NONE},
    {0},
};

static const struct cli_command mixed = {.words = "test mixed",
                                         .operands = "[WORD...]",
                                         .summary = "options anywhere",
                                         .example = "-",
                                         .options = options,
                                         .operands_max = -1,
                                         .json = true,
                                         .run = run_nothing};
static const struct cli_command tailed = {.words = "test tailed",
                                          .operands = "CMD...",
                                          .summary = "options first",
                                          .example = "-",
                                          .options = options,
                                          .tail = true,
                                          .operands_min = 1,
                                          .operands_max = 2,
                                          .run = run_nothing};

static struct cli cli;

static int parse(const struct cli_command *command, const char *const *words)
{
    static char *argv[16];
    int argc = 0;
    bool help = false;
    argv[argc++] = "x";
    for (; *words != NULL; words++)
        argv[argc++] = (char *)*words;
    argv[argc] = NULL;
    cli_clear(&cli);
    cli.command = command;
    int status = cli_parse(&cli, argc, argv, &help);
    ck_assert(!help);
    return status;
}

#define PARSE(command, ...) parse(command, (const char *const[]){__VA_ARGS__, NULL})

START_TEST(options_stand_anywhere_but_behind_the_separator)
{
    ck_assert_int_eq(PARSE(&mixed, "a", "--slots", "3", "b", "-w", "--", "--json"), CLI_OK);
    ck_assert_int_eq(cli.n_operands, 3);
    ck_assert_str_eq(cli.operands[2], "--json");
    ck_assert_str_eq(cli_option(&cli, "slots"), "3");
    ck_assert_ptr_nonnull(cli_option(&cli, "wait"));
    ck_assert(!cli.json);
}
END_TEST

START_TEST(a_tail_belongs_to_somebody_else)
{
    ck_assert_int_eq(PARSE(&tailed, "-w", "ls", "--slots"), CLI_OK);
    ck_assert_int_eq(cli.n_operands, 2);
    ck_assert_str_eq(cli.operands[1], "--slots");
    ck_assert_int_eq(PARSE(&tailed, "-w", "--", "ls"), CLI_OK);
    ck_assert_str_eq(cli.operands[0], "ls");
}
END_TEST

START_TEST(what_is_unknown_or_missing_is_refused)
{
    ck_assert_int_eq(PARSE(&mixed, "--delay", "3"), CLI_USAGE);
    ck_assert_int_eq(PARSE(&mixed, "-x"), CLI_USAGE);
    ck_assert_int_eq(PARSE(&mixed, "--slots"), CLI_USAGE);
    ck_assert_int_eq(PARSE(&mixed, "--wait=yes"), CLI_USAGE);
    ck_assert_int_eq(PARSE(&tailed, "-w"), CLI_USAGE);
    ck_assert_int_eq(PARSE(&tailed, "a", "b", "c"), CLI_USAGE);
    ck_assert_int_eq(PARSE(&tailed, "--json", "a"), CLI_USAGE); /* it lists nothing */
}
END_TEST

START_TEST(a_repeated_option_gives_all_its_values_and_the_last_one)
{
    size_t at = 0;
    ck_assert_int_eq(PARSE(&mixed, "--env", "A=1", "x", "--env=B=2"), CLI_OK);
    ck_assert_str_eq(cli_option(&cli, "env"), "B=2");
    ck_assert_str_eq(cli_option_next(&cli, "env", &at), "A=1");
    ck_assert_str_eq(cli_option_next(&cli, "env", &at), "B=2");
    ck_assert_ptr_null(cli_option_next(&cli, "env", &at));
    ck_assert_ptr_null(cli_option_next(&cli, "env", &at));
}
END_TEST

START_TEST(a_flag_goes_over_its_setting)
{
    size_t at = 0;
    ck_assert_int_eq(PARSE(&mixed, "x"), CLI_OK);
    ck_assert_ptr_null(cli_option(&cli, "slots"));
    cli.settings.value[SETTING_SLOTS] = cli_copy("7");
    ck_assert_str_eq(cli_option(&cli, "slots"), "7");
    ck_assert_str_eq(cli_option_next(&cli, "slots", &at), "7");
    ck_assert_ptr_null(cli_option_next(&cli, "slots", &at));
    ck_assert_int_eq(PARSE(&mixed, "-s", "8"), CLI_OK);
    cli.settings.value[SETTING_SLOTS] = cli_copy("7");
    at = 0;
    ck_assert_str_eq(cli_option(&cli, "slots"), "8");
    ck_assert_str_eq(cli_option_next(&cli, "slots", &at), "8");
    ck_assert_ptr_null(cli_option_next(&cli, "slots", &at));
}
END_TEST

static const struct {
    const char *text;
    int64_t ms; /* -1: refused */
} durations[] = {
    {"500ms", 500},  {"10s", 10000},    {"5m", 300000},
    {"2h", 7200000}, {"1d", 86400000},  {"3", 3000},
    {"1.5s", 1500},  {"0.25", 250},     {"0", 0},
    {"", -1},        {"-1", -1},        {"1x", -1},
    {"s", -1},       {"1.", -1},        {" 1", -1},
    {"1 s", -1},     {"4000d", -1},     {"9999999999999", -1},
    {"1e3", -1},     {"1.1234567", -1},
};

START_TEST(a_duration_has_one_meaning)
{
    int64_t ms = -7;
    int rc = duration_parse(durations[_i].text, &ms);
    if (durations[_i].ms < 0) {
        ck_assert_int_eq(rc, ERR_INVALID);
    } else {
        ck_assert_int_eq(rc, 0);
        ck_assert_int_eq(ms, durations[_i].ms);
    }
}
END_TEST

START_TEST(a_number_is_digits_within_its_bounds)
{
    int64_t value = 0;
    ck_assert_int_eq(number_parse("9", 0, 9, &value), 0);
    ck_assert_int_eq(value, 9);
    static const char *const bad[] = {
        "", "10", "-1", "+1", " 1", "1 ", "0x1", "1.0", "99999999999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_int_eq(number_parse(bad[i], 0, 9, &value), ERR_INVALID);
    ck_assert_int_eq(number_parse("0", 1, 9, &value), ERR_INVALID);
}
END_TEST

START_TEST(a_strange_argument_is_quoted_short_and_clean)
{
    char quoted[QUOTE_BYTES], longer[100001];
    ck_assert_str_eq(cli_quote(quoted, "a\nb\x1b[31m\xff"), "a?b?[31m?");
    ck_assert_str_eq(cli_quote(quoted, "na\xc3\xafve"), "na\xc3\xafve");
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    ck_assert_uint_lt(strlen(cli_quote(quoted, longer)), QUOTE_BYTES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tcase = tcase_create("options");
    tcase_add_test(tcase, options_stand_anywhere_but_behind_the_separator);
    tcase_add_test(tcase, a_tail_belongs_to_somebody_else);
    tcase_add_test(tcase, what_is_unknown_or_missing_is_refused);
    tcase_add_test(tcase, a_repeated_option_gives_all_its_values_and_the_last_one);
    tcase_add_test(tcase, a_flag_goes_over_its_setting);
    tcase_add_loop_test(tcase, a_duration_has_one_meaning, 0,
                        (int)(sizeof(durations) / sizeof(durations[0])));
    tcase_add_test(tcase, a_number_is_digits_within_its_bounds);
    tcase_add_test(tcase, a_strange_argument_is_quoted_short_and_clean);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
