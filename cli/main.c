/* `stint`: finds the command, reads the settings, runs it, and turns a failed write to stdout into
 * an exit status. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/selftest.h"

static const struct cli_command *const commands[] = {
    &submit_command,      &wait_command,         &job_list_command,    &job_show_command,
    &job_log_command,     &job_cancel_command,   &queue_list_command,  &queue_create_command,
    &queue_pause_command, &queue_resume_command, &node_start_command,  &node_list_command,
    &node_stop_command,   &node_pause_command,   &node_resume_command, &status_command,
    &store_init_command,  &store_info_command,   &store_check_command, &store_copy_command,
    &selftest_command,    &jobs_command,         &observe_command,
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static void help_print(FILE *file)
{
    fprintf(file, "usage: stint COMMAND [options]\n\n"
                  "Stint runs jobs on the machines you have; its nodes share one datastore.\n\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(file, "  %-14s %s\n", commands[i]->words, commands[i]->summary);
    fprintf(file, "\n`stint COMMAND --help` says more. A first try:\n"
                  "  stint submit -- echo hello\n"
                  "  stint node start --detach\n"
                  "  stint wait 1 && stint job log 1\n");
}

/* The command whose words stand at argv[1..]; *ret_words: how many. NULL: none. */
static const struct cli_command *command_find(int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        const char *words = commands[i]->words, *space = strchr(words, ' ');
        size_t first = space != NULL ? (size_t)(space - words) : strlen(words);
        if (strlen(argv[1]) != first || strncmp(argv[1], words, first) != 0)
            continue;
        if (space != NULL && (argc < 3 || strcmp(argv[2], space + 1) != 0))
            continue;
        *ret_words = space != NULL ? 2 : 1;
        return commands[i];
    }
    return NULL;
}

static bool in_group(const struct cli_command *command, const char *group)
{
    size_t len = strlen(group);
    return strncmp(command->words, group, len) == 0 && command->words[len] == ' ';
}

/* `stint job --help`: the commands of a group. False: there is no such group. */
static bool group_help(const char *group)
{
    bool any = false;
    for (size_t i = 0; i < COMMANDS; i++) {
        const struct cli_command *command = commands[i];
        if (!in_group(command, group))
            continue;
        printf("%s stint %s [options]%s%s\n         %s\n",
               any ? "      " : "usage:", command->words, command->operands[0] != '\0' ? " " : "",
               command->operands, command->summary);
        any = true;
    }
    return any;
}

/* `stint job`: says which verbs there are. False: there is no such group. */
static bool group_complain(const char *group)
{
    char verbs[256] = "";
    size_t used = 0;
    for (size_t i = 0; i < COMMANDS; i++)
        if (in_group(commands[i], group) && used < sizeof(verbs))
            used += (size_t)snprintf(verbs + used, sizeof(verbs) - used, "%s%s",
                                     used > 0 ? ", " : "", strchr(commands[i]->words, ' ') + 1);
    if (used > 0)
        cli_note("`stint %s` needs one of %s; see `stint %s --help`", group, verbs, group);
    return used > 0;
}

static int command_unknown(int argc, char **argv)
{
    char quoted[QUOTE_BYTES];
    bool help = argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0);
    if (help && group_help(argv[1]))
        return CLI_OK;
    if (argc == 2 && group_complain(argv[1]))
        return CLI_USAGE;
    char *words = cli_format("%.40s%s%.40s", argv[1], argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
    int status =
        cli_error(CLI_USAGE, "unknown command '%s'; see `stint --help`", cli_quote(quoted, words));
    free(words);
    return status;
}

static int command_run(const struct cli_command *command, int argc, char **argv)
{
    struct cli cli = {.command = command};
    bool help = false;
    int status = cli_parse(&cli, argc, argv, &help);
    struct error err = {0};
    if (status == CLI_OK && !help && settings_load(&cli.settings, &err) < 0)
        status = cli_error(CLI_USAGE, "%s", err.text);
    else if (status == CLI_OK && !help)
        status = command->run(&cli);
    cli_clear(&cli);
    return status;
}

/* A reader that went away is no news; a full disk is. */
static int output_end(int status)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    int why = errno; /* 0: it failed earlier, and nothing is left to flush */
    struct stat file;
    bool pipe =
        fstat(STDOUT_FILENO, &file) == 0 && !S_ISREG(file.st_mode) && !S_ISCHR(file.st_mode);
    if (why != EPIPE && !(why == 0 && pipe))
        cli_error(CLI_FAILED, "cannot write the output: %s",
                  why != 0 ? strerror(why) : "the disk may be full");
    return status != CLI_OK ? status : CLI_FAILED;
}

/* A closed standard stream would become the number of the next file opened, the store's even. What
 * takes its place cannot be used the way the stream would be, so that its use is an error. */
static void streams_fill(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            _exit(CLI_FAILED);
}

int main(int argc, char **argv)
{
    streams_fill();
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        help_print(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        help_print(stdout);
        return output_end(CLI_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("stint " STINT_VERSION "\n");
        return output_end(CLI_OK);
    }
    if (strcmp(argv[1], SELFTEST_JOB) == 0)
        return selftest_job(argc - 2, argv + 2);
    int words = 0;
    const struct cli_command *command = command_find(argc, argv, &words);
    if (command == NULL)
        return output_end(command_unknown(argc, argv));
    return output_end(command_run(command, argc - words, argv + words));
}
