/* Goal: any arguments to any command: options read as they stand, or refused with exit status 2 and
 * one line that a terminal shows in full.
 * Method: the first byte chooses the command, the rest is arguments with a NUL between them. Of
 * what was parsed every option is asked for as a text, a number, a duration and a name; `submit`
 * makes its plan, which must be within the limits. */
#include "tests/fuzz/fuzz.h"

#include "cli/submit.h"

enum { ARGUMENTS_MAX = 40 };

static const struct cli_command *const commands[] = {
    &submit_command,      &wait_command,         &job_list_command,    &job_show_command,
    &job_log_command,     &job_cancel_command,   &queue_list_command,  &queue_create_command,
    &queue_pause_command, &queue_resume_command, &node_start_command,  &node_list_command,
    &node_stop_command,   &node_pause_command,   &node_resume_command, &status_command,
    &store_init_command,  &store_info_command,   &store_check_command, &store_copy_command,
    &jobs_command,
};

/* Whoever refuses says so, once; whoever does not, says nothing. */
static void require_status(int status, const struct caught *caught)
{
    REQUIRE(status == CLI_OK || status == CLI_USAGE);
    if (status == CLI_OK)
        REQUIRE(caught->len == 0);
    else
        require_message(caught);
    free(caught->text);
}

static void option_look(const struct cli *cli, const char *name)
{
    struct caught caught;
    int64_t number = 1, ms = 0;
    const char *text = NULL;
    catch_begin(&caught, &stderr);
    int status = cli_option_number(cli, name, 1, LIMIT_SLOTS, &number);
    catch_end(&caught);
    require_status(status, &caught);
    REQUIRE(number >= 1 && number <= LIMIT_SLOTS);
    catch_begin(&caught, &stderr);
    status = cli_option_duration(cli, name, &ms);
    catch_end(&caught);
    require_status(status, &caught);
    catch_begin(&caught, &stderr);
    status = cli_option_name(cli, name, &text);
    catch_end(&caught);
    require_status(status, &caught);
    REQUIRE(status != CLI_OK || text == NULL || name_valid(text));
    size_t at = 0, n = 0;
    while (cli_option_next(cli, name, &at) != NULL)
        REQUIRE(++n <= cli->n_given);
}

/* No file is read. */
static bool payload_is_text(const struct cli *cli)
{
    const char *payload = cli_option(cli, "payload");
    return payload == NULL || (payload[0] != '@' && strcmp(payload, "-") != 0);
}

static void plan_look(struct cli *cli)
{
    struct submit_request request = {.cli = cli};
    struct caught caught;
    if (!payload_is_text(cli))
        return;
    catch_begin(&caught, &stderr);
    int status = submit_request_make(&request);
    catch_end(&caught);
    require_status(status, &caught);
    if (status == CLI_OK) {
        const struct submit_plan *plan = &request.plan;
        REQUIRE(name_valid(plan->lane.queue) && plan->lane.priority < LIMIT_PRIORITIES);
        REQUIRE(plan->argv.len <= LIMIT_ARGV_BYTES && plan->payload.len <= LIMIT_PAYLOAD_BYTES);
        REQUIRE(plan->argv.len == 0 || plan->argv.data[plan->argv.len - 1] == '\0');
        REQUIRE(plan->spec.env.len <= LIMIT_ENV_BYTES && plan->spec.n_limits <= LIMIT_RLIMITS);
        REQUIRE(plan->type != NULL || request.jsonl != NULL);
        REQUIRE(plan->cwd == NULL || plan->cwd[0] == '/');
    }
    template_clear(&request.plan.each);
    arena_release(&request.plan.mem);
}

static void arguments_look(const struct cli_command *command, int argc, char **argv)
{
    struct cli cli = {.command = command};
    struct caught out, err;
    bool help = false;
    catch_begin(&out, &stdout);
    catch_begin(&err, &stderr);
    int status = cli_parse(&cli, argc, argv, &help);
    catch_end(&err);
    catch_end(&out);
    require_status(status, &err);
    REQUIRE((out.len > 0) == help && (!help || status == CLI_OK));
    free(out.text);
    if (status == CLI_OK && !help) {
        REQUIRE(cli.n_operands >= command->operands_min);
        REQUIRE(command->operands_max < 0 || cli.n_operands <= command->operands_max);
        for (const struct cli_option *o = command->options; o != NULL && o->name != NULL; o++)
            option_look(&cli, o->name);
        option_look(&cli, "store");
        if (command == &submit_command)
            plan_look(&cli);
    }
    cli_clear(&cli);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = {data, size};
    char *argv[ARGUMENTS_MAX + 1] = {NULL}, *order[ARGUMENTS_MAX + 1];
    int argc = 0;
    size_t command = take_byte(&input) % (sizeof(commands) / sizeof(commands[0]));
    argv[argc++] = strdup("stint");
    while (input.len > 0 && argc < ARGUMENTS_MAX)
        argv[argc++] = take_text(&input, '\0');
    memcpy(order, argv, sizeof(argv)); /* getopt changes the order */
    arguments_look(commands[command], argc, order);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return 0;
}
