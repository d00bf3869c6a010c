/* Parses a command's arguments by its table, and prints its help from the same table.
 *
 * getopt_long does the walking. Every command takes --store and --help, and --json where it lists.
 * Single-threaded; before anything else runs. */
#include "cli/cli.h"

#include <assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTIONS_MAX = 32, LONG_BASE = 256, GIVEN_MIN = 16 };

static const struct cli_option common_options[] = {
    {"store", 0, "URI|@PATH",
     "the datastore, or a file with its URI (else $STINT_STORE, the config file, a default)",
     SETTING_STORE},
    {"json", 0, NULL, "one JSON object a line", SETTING_NONE},
    {"help", 'h', NULL, "this page", SETTING_NONE},
    {0},
};

/* All options of a command, its own first. Returns how many. */
static size_t options_of(const struct cli_command *command,
                         const struct cli_option *ret_options[OPTIONS_MAX])
{
    size_t n = 0;
    for (const struct cli_option *o = command->options; o != NULL && o->name != NULL; o++) {
        assert(n < OPTIONS_MAX);
        ret_options[n++] = o;
    }
    for (const struct cli_option *o = common_options; o->name != NULL; o++) {
        if (strcmp(o->name, "json") == 0 && !command->json)
            continue;
        assert(n < OPTIONS_MAX);
        ret_options[n++] = o;
    }
    return n;
}

static void help_print(const struct cli_command *command)
{
    printf("usage: stint %s%s%s%s\n\n%s\n", command->words,
           strcmp(command->words, "submit") == 0 ? "" : " [options]",
           command->operands[0] != '\0' ? " " : "", command->operands, command->summary);
    if (command->notes != NULL)
        printf("\n%s\n", command->notes);
    printf("\nOptions:\n");
    const struct cli_option *options[OPTIONS_MAX];
    size_t n = options_of(command, options);
    for (size_t i = 0; i < n; i++) {
        const struct cli_option *o = options[i];
        char left[64];
        snprintf(left, sizeof(left), "%s%s%s", o->name, o->value != NULL ? " " : "",
                 o->value != NULL ? o->value : "");
        if (o->letter != 0)
            printf("  -%c, --%-22s %s\n", o->letter, left, o->help);
        else
            printf("      --%-22s %s\n", left, o->help);
    }
    printf("\nExample:\n%s\n", command->example);
}

/* What getopt did not like, said in one line. */
static int complain(const struct cli *cli, int argc, char **argv, int code,
                    const struct cli_option *const *options)
{
    char quoted[QUOTE_BYTES];
    const char *words = cli->command->words;
    if (code == ':')
        return cli_error(CLI_USAGE, "option '%s' needs a value; see `stint %s --help`",
                         cli_quote(quoted, argv[optind - 1]), words);
    if (optopt >= LONG_BASE)
        return cli_error(CLI_USAGE, "option '--%s' takes no value; see `stint %s --help`",
                         options[optopt - LONG_BASE]->name, words);
    if (optopt != 0)
        return cli_error(CLI_USAGE, "unknown option '-%c'; see `stint %s --help`", optopt, words);
    const char *at = optind >= 1 && optind <= argc ? argv[optind - 1] : "";
    return cli_error(CLI_USAGE, "unknown option '%s'; see `stint %s --help`", cli_quote(quoted, at),
                     words);
}

static int operands_check(const struct cli *cli)
{
    const struct cli_command *command = cli->command;
    char quoted[QUOTE_BYTES];
    if (cli->n_operands < command->operands_min)
        return cli_error(CLI_USAGE, "`stint %s` needs %s; see `stint %s --help`", command->words,
                         command->operands, command->words);
    if (command->operands_max >= 0 && cli->n_operands > command->operands_max)
        return cli_error(CLI_USAGE, "unexpected argument '%s'; see `stint %s --help`",
                         cli_quote(quoted, cli->operands[command->operands_max]), command->words);
    return CLI_OK;
}

int cli_parse(struct cli *cli, int argc, char **argv, bool *ret_help)
{
    const struct cli_option *options[OPTIONS_MAX];
    size_t n = options_of(cli->command, options);
    struct option longs[OPTIONS_MAX + 1] = {0};
    char letters[2 * OPTIONS_MAX + 3];
    size_t at = 0;
    if (cli->command->tail)
        letters[at++] = '+';
    letters[at++] = ':';
    for (size_t i = 0; i < n; i++) {
        bool valued = options[i]->value != NULL;
        longs[i] = (struct option){.name = options[i]->name,
                                   .has_arg = valued ? required_argument : no_argument,
                                   .val = LONG_BASE + (int)i};
        if (options[i]->letter == 0)
            continue;
        letters[at++] = options[i]->letter;
        if (valued)
            letters[at++] = ':';
    }
    letters[at] = '\0';

    size_t given_max = 0; /* one argument may hold many letters */
    opterr = 0;
    optind = 0; /* glibc: start anew, reading the first character of `letters` again */
    for (int code; (code = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
        size_t i = code >= LONG_BASE ? (size_t)(code - LONG_BASE) : 0;
        while (code < LONG_BASE && i < n && options[i]->letter != code)
            i++;
        if (code == '?' || code == ':' || i >= n)
            return complain(cli, argc, argv, code, options);
        if (strcmp(options[i]->name, "help") == 0) {
            help_print(cli->command);
            *ret_help = true;
            return CLI_OK;
        }
        cli->json = cli->json || strcmp(options[i]->name, "json") == 0;
        if (cli->n_given == given_max) {
            given_max = given_max > 0 ? 2 * given_max : GIVEN_MIN;
            cli->given = cli_grow(cli->given, given_max * sizeof(*cli->given));
        }
        cli->given[cli->n_given++] = (struct cli_given){options[i], optarg};
    }
    cli->operands = argv + optind;
    cli->n_operands = argc - optind;
    *ret_help = false;
    return operands_check(cli);
}

void cli_clear(struct cli *cli)
{
    free(cli->given);
    free(cli->store_uri);
    settings_clear(&cli->settings);
    *cli = (struct cli){0};
}

/* ---- values ---------------------------------------------------------------------------------- */

static const char *setting_of(const struct cli *cli, const char *name)
{
    const struct cli_option *options[OPTIONS_MAX];
    size_t n = options_of(cli->command, options);
    for (size_t i = 0; i < n; i++)
        if (strcmp(options[i]->name, name) == 0)
            return options[i]->setting != SETTING_NONE ? cli->settings.value[options[i]->setting]
                                                       : NULL;
    assert(!"an option asked for stands in the command's table");
    return NULL;
}

const char *cli_option(const struct cli *cli, const char *name)
{
    for (size_t i = cli->n_given; i > 0; i--)
        if (strcmp(cli->given[i - 1].option->name, name) == 0)
            return cli->given[i - 1].text != NULL ? cli->given[i - 1].text : "";
    return setting_of(cli, name);
}

const char *cli_option_next(const struct cli *cli, const char *name, size_t *at)
{
    bool first = *at == 0;
    for (size_t i = *at; i < cli->n_given; i++)
        if (strcmp(cli->given[i].option->name, name) == 0) {
            *at = i + 1;
            return cli->given[i].text;
        }
    bool given = false;
    for (size_t i = 0; i < cli->n_given; i++)
        given = given || strcmp(cli->given[i].option->name, name) == 0;
    *at = cli->n_given + 1;
    return first && !given ? setting_of(cli, name) : NULL;
}

int cli_option_number(const struct cli *cli, const char *name, int64_t min, int64_t max,
                      int64_t *ret_value)
{
    const char *text = cli_option(cli, name);
    char quoted[QUOTE_BYTES];
    if (text != NULL && number_parse(text, min, max, ret_value) < 0)
        return cli_error(CLI_USAGE, "--%s must be a number from %lld to %lld, not '%s'", name,
                         (long long)min, (long long)max, cli_quote(quoted, text));
    return CLI_OK;
}

int cli_option_duration(const struct cli *cli, const char *name, int64_t *ret_ms)
{
    const char *text = cli_option(cli, name);
    char quoted[QUOTE_BYTES];
    if (text != NULL && duration_parse(text, ret_ms) < 0)
        return cli_error(CLI_USAGE, "--%s must be a duration like 500ms, 10s, 5m or 2h, not '%s'",
                         name, cli_quote(quoted, text));
    return CLI_OK;
}

int cli_option_name(const struct cli *cli, const char *name, const char **ret_name)
{
    const char *text = cli_option(cli, name);
    char quoted[QUOTE_BYTES];
    if (text != NULL && !name_valid(text))
        return cli_error(CLI_USAGE,
                         "--%s must be 1 to %d letters, digits, '.', '_' or '-', not '%s'", name,
                         LIMIT_NAME_BYTES, cli_quote(quoted, text));
    *ret_name = text;
    return CLI_OK;
}

int number_parse(const char *text, int64_t min, int64_t max, int64_t *ret_value)
{
    int64_t value = 0;
    if (*text == '\0')
        return ERR_INVALID;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || value > (INT64_MAX - 9) / 10)
            return ERR_INVALID;
        value = value * 10 + (*text - '0');
    }
    if (value < min || value > max)
        return ERR_INVALID;
    *ret_value = value;
    return 0;
}

int duration_parse(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"", 1000},       {"ms", 1},          {"s", 1000},
                 {"m", 60 * 1000}, {"h", 3600 * 1000}, {"d", 24 * 3600 * 1000}};
    size_t digits = strspn(text, "0123456789"), fraction = 0;
    if (digits == 0 || digits > 12)
        return ERR_INVALID;
    int64_t whole = 0, part = 0, scale = 1;
    for (size_t i = 0; i < digits; i++)
        whole = whole * 10 + (text[i] - '0');
    text += digits;
    if (*text == '.') {
        fraction = strspn(++text, "0123456789");
        if (fraction == 0 || fraction > 6)
            return ERR_INVALID;
        for (size_t i = 0; i < fraction; i++, scale *= 10)
            part = part * 10 + (text[i] - '0');
        text += fraction;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(text, units[i].unit) != 0)
            continue;
        if (whole > DURATION_MS_MAX / units[i].ms)
            return ERR_INVALID;
        *ret_ms = whole * units[i].ms + part * units[i].ms / scale;
        return *ret_ms <= DURATION_MS_MAX ? 0 : ERR_INVALID;
    }
    return ERR_INVALID;
}
