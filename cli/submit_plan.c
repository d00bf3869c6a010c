/* What `stint submit` is asked for: options read, checked against each other, and made a plan.
 * Texts are borrowed from the command line or live in the plan's arena. Single-threaded. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/submit.h"

/* Reads a whole payload, bounded. */
static int payload_read(const char *path, struct arena *mem, struct bytes *ret_payload)
{
    char quoted[QUOTE_BYTES];
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "re");
    if (file == NULL)
        return cli_error(CLI_USAGE, "cannot read the payload from %s: %s", cli_quote(quoted, path),
                         strerror(errno));
    uint8_t *bytes = arena_alloc(mem, LIMIT_PAYLOAD_BYTES + 1);
    errno = 0;
    size_t n = fread(bytes, 1, LIMIT_PAYLOAD_BYTES + 1, file);
    bool bad = ferror(file) != 0;
    if (!standard)
        fclose(file);
    if (bad)
        return cli_error(CLI_USAGE, "cannot read the payload from %s: %s", cli_quote(quoted, path),
                         strerror(errno));
    if (n > LIMIT_PAYLOAD_BYTES)
        return cli_error(CLI_USAGE,
                         "the payload is larger than %d bytes; give the job a file's "
                         "name instead",
                         LIMIT_PAYLOAD_BYTES);
    *ret_payload = (struct bytes){bytes, n};
    return CLI_OK;
}

static int plan_payload(struct submit_request *request)
{
    struct submit_plan *plan = &request->plan;
    const char *text = request->payload;
    if (text == NULL)
        return CLI_OK;
    bool standard = strcmp(text, "-") == 0;
    if (standard && ((request->each != NULL && strcmp(request->each, "-") == 0) ||
                     (request->jsonl != NULL && strcmp(request->jsonl, "-") == 0)))
        return cli_error(CLI_USAGE, "standard input cannot be both the payload and the lines");
    if (standard || text[0] == '@')
        return payload_read(standard ? "-" : text + 1, &plan->mem, &plan->payload);
    if (strlen(text) > LIMIT_PAYLOAD_BYTES)
        return cli_error(CLI_USAGE, "the payload is larger than %d bytes", LIMIT_PAYLOAD_BYTES);
    plan->payload = (struct bytes){(const uint8_t *)text, strlen(text)};
    return CLI_OK;
}

/* The command, each argument with its NUL. */
static int plan_argv(struct submit_request *request)
{
    struct cli *cli = request->cli;
    size_t size = 0;
    bool hole = false;
    for (int i = 0; i < cli->n_operands; i++) {
        size += strlen(cli->operands[i]) + 1;
        hole = hole || strstr(cli->operands[i], "{}") != NULL;
    }
    bool append = request->each != NULL && !hole && size > 0;
    size += append ? sizeof("{}") : 0;
    if (size > LIMIT_ARGV_BYTES)
        return cli_error(CLI_USAGE,
                         "the command's arguments are %zu bytes; at most %d are allowed: put them "
                         "into a file or --payload",
                         size, LIMIT_ARGV_BYTES);
    if (cli->n_operands > 0 && cli->operands[0][0] == '\0')
        return cli_error(CLI_USAGE, "the command is empty; see `stint submit --help`");
    uint8_t *to = arena_alloc(&request->plan.mem, size);
    request->plan.argv = (struct bytes){to, size};
    for (int i = 0; i < cli->n_operands; i++) {
        size_t len = strlen(cli->operands[i]) + 1;
        memcpy(to, cli->operands[i], len);
        to += len;
    }
    if (append)
        memcpy(to, "{}", sizeof("{}"));
    return CLI_OK;
}

static int plan_env(struct submit_request *request)
{
    size_t at = 0, size = 0;
    struct error err = {0};
    for (const char *text; (text = cli_option_next(request->cli, "env", &at)) != NULL;) {
        if (env_check(text, strlen(text), &err) < 0)
            return cli_error(CLI_USAGE, "--env %s", err.text);
        size += strlen(text) + 1;
    }
    if (size > LIMIT_ENV_BYTES)
        return cli_error(CLI_USAGE, "--env settings are %zu bytes; at most %d", size,
                         LIMIT_ENV_BYTES);
    uint8_t *to = arena_alloc(&request->plan.mem, size);
    request->plan.spec.env = (struct bytes){to, size};
    at = 0;
    for (const char *text; (text = cli_option_next(request->cli, "env", &at)) != NULL;) {
        memcpy(to, text, strlen(text) + 1);
        to += strlen(text) + 1;
    }
    return CLI_OK;
}

static int plan_rlimits(struct submit_request *request)
{
    struct job_limit *limits = arena_alloc(&request->plan.mem, LIMIT_RLIMITS * sizeof(*limits));
    size_t at = 0, n = 0;
    struct error err = {0};
    for (const char *text; (text = cli_option_next(request->cli, "rlimit", &at)) != NULL; n++) {
        if (n == LIMIT_RLIMITS)
            return cli_error(CLI_USAGE, "--rlimit at most %d times", LIMIT_RLIMITS);
        if (rlimit_parse(text, &limits[n], &err) < 0)
            return cli_error(CLI_USAGE, "--rlimit %s", err.text);
    }
    request->plan.spec.limits = limits;
    request->plan.spec.n_limits = n;
    return CLI_OK;
}

/* An absolute folder: the job runs elsewhere and later. */
static int plan_cwd(struct submit_request *request)
{
    const char *cwd = cli_option(request->cli, "cwd");
    char here[LIMIT_PATH_BYTES] = "";
    if (cwd != NULL && (cwd[0] == '\0' || strlen(cwd) >= LIMIT_PATH_BYTES))
        return cli_error(CLI_USAGE, "--cwd must be a path of 1 to %d bytes", LIMIT_PATH_BYTES - 1);
    if (cwd != NULL && cwd[0] == '/') {
        request->plan.cwd = cwd;
        return CLI_OK;
    }
    if (getcwd(here, sizeof(here)) == NULL)
        return cli_error(CLI_USAGE, "cannot tell the current folder: %s; give --cwd",
                         strerror(errno));
    char *path = cli_format("%s%s%s", here, cwd != NULL ? "/" : "", cwd != NULL ? cwd : "");
    request->plan.cwd = arena_string(&request->plan.mem, path);
    free(path);
    if (strlen(request->plan.cwd) >= LIMIT_PATH_BYTES)
        return cli_error(CLI_USAGE, "--cwd is too long a path");
    return CLI_OK;
}

static int plan_names(struct submit_request *request)
{
    struct cli *cli = request->cli;
    struct submit_plan *plan = &request->plan;
    const char *queue = NULL;
    int64_t priority = PRIORITY_DEFAULT, attempts = 0;
    int status = cli_option_name(cli, "queue", &queue);
    if (status == CLI_OK)
        status = cli_option_name(cli, "type", &plan->type);
    if (status == CLI_OK)
        status = cli_option_name(cli, "batch", &plan->batch);
    if (status == CLI_OK)
        status = cli_option_name(cli, "key", &plan->spec.key);
    if (status == CLI_OK)
        status = cli_option_name(cli, "token", &request->token);
    if (status == CLI_OK)
        status = cli_option_number(cli, "priority", 0, LIMIT_PRIORITIES - 1, &priority);
    if (status == CLI_OK)
        status = cli_option_number(cli, "max-attempts", 1, LIMIT_ATTEMPTS, &attempts);
    if (status == CLI_OK)
        status = cli_option_duration(cli, "timeout", &plan->spec.timeout_ms);
    if (status == CLI_OK && cli_option(cli, "timeout") != NULL && plan->spec.timeout_ms == 0)
        status = cli_error(CLI_USAGE, "--timeout must be longer than nothing");
    if (status != CLI_OK)
        return status;
    plan->spec.max_attempts = (int32_t)attempts;
    plan->lane = (struct lane_name){.priority = (int32_t)priority};
    snprintf(plan->lane.queue, sizeof(plan->lane.queue), "%s",
             queue != NULL ? queue : QUEUE_DEFAULT);
    return CLI_OK;
}

/* What fits what: forms, types, and options that only some take. */
static int forms_check(struct submit_request *request)
{
    struct cli *cli = request->cli;
    const char *type = request->plan.type;
    bool command = cli->n_operands > 0, exec = type != NULL && strcmp(type, "exec") == 0;
    if (request->each != NULL && request->jsonl != NULL)
        return cli_error(CLI_USAGE, "give --each or --jsonl, not both");
    if (cli_option(cli, "null") != NULL && request->each == NULL)
        return cli_error(CLI_USAGE, "-0 goes with --each");
    if (request->jsonl != NULL && command)
        return cli_error(CLI_USAGE, "--jsonl takes no command; each line has its \"argv\"");
    if (request->jsonl != NULL && request->plan.spec.key != NULL)
        return cli_error(CLI_USAGE, "--key would be the same for all lines; put \"key\" into them");
    if (request->each != NULL && request->plan.spec.key != NULL)
        return cli_error(CLI_USAGE, "--key would be the same for all lines; use --jsonl");
    if (command && type != NULL && !exec)
        return cli_error(CLI_USAGE, "a job of type %s takes no command; give it --payload", type);
    if (request->jsonl == NULL && !command && (type == NULL || exec))
        return cli_error(CLI_USAGE,
                         "no command; give one after --, or --type with --payload, or --jsonl; see "
                         "`stint submit --help`");
    if (!command && request->jsonl == NULL &&
        (cli_option(cli, "cwd") != NULL || cli_option(cli, "env") != NULL ||
         cli_option(cli, "rlimit") != NULL))
        return cli_error(CLI_USAGE, "--cwd, --env and --rlimit are for commands only");
    return CLI_OK;
}

int submit_request_make(struct submit_request *request)
{
    struct cli *cli = request->cli;
    struct submit_plan *plan = &request->plan;
    request->each = cli_option(cli, "each");
    request->jsonl = cli_option(cli, "jsonl");
    request->payload = cli_option(cli, "payload");
    request->bulk = request->each != NULL || request->jsonl != NULL;
    int status = plan_names(request);
    if (status == CLI_OK)
        status = forms_check(request);
    if (status == CLI_OK)
        status = plan_payload(request);
    if (status == CLI_OK)
        status = plan_argv(request);
    if (status == CLI_OK)
        status = plan_env(request);
    if (status == CLI_OK)
        status = plan_rlimits(request);
    bool commands = cli->n_operands > 0 || request->jsonl != NULL;
    if (status == CLI_OK && commands)
        status = plan_cwd(request);
    if (status != CLI_OK)
        return status;
    if (cli->n_operands > 0) {
        plan->type = "exec";
        plan->spec.cwd = plan->cwd; /* a JSON line that is no command has none */
    }
    const struct job_spec *spec = &plan->spec;
    plan->spec_used = spec->max_attempts != 0 || spec->timeout_ms != 0 || spec->cwd != NULL ||
                      spec->env.len > 0 || spec->key != NULL || spec->n_limits > 0;
    if (plan->argv.len == 0 && request->payload == NULL && request->each != NULL)
        template_init(&plan->each, (struct bytes){(const uint8_t *)"{}", 2});
    else
        template_init(&plan->each, plan->argv.len > 0 ? plan->argv : plan->payload);
    return CLI_OK;
}
