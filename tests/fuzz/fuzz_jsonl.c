/* Goal: lines given to `stint submit --jsonl` and `--each`: each becomes a job within its limits
 * that a store gives back as it was, or is refused with one line.
 * Method: the first byte says what the options ask of every job, and whether the line is JSON. A
 * job is written as a document, read, and written again. */
#include "tests/fuzz/fuzz.h"

#include "cli/submit.h"
#include "datastore/mongo_bson.h"

enum { WITH_TYPE = 1, WITH_SPEC = 2, WITH_COMMAND = 4, PLAIN_LINE = 8, WITH_PAYLOAD = 16 };

static void plan_make(struct submit_plan *plan, uint8_t with)
{
    static const uint8_t argv[] = "echo\0a{}b\0{}", payload[] = "<{}>", env[] = "A=1\0B=2";
    static const struct job_limit limits[] = {{0, 5}};
    *plan = (struct submit_plan){.lane = {"mail", 3, 0}, .batch = with & WITH_SPEC ? "b" : NULL};
    if (with & WITH_TYPE)
        plan->type = "noop";
    if (with & WITH_PAYLOAD)
        plan->payload = (struct bytes){payload, sizeof(payload) - 1};
    if (with & WITH_SPEC) {
        plan->spec = (struct job_spec){.max_attempts = 2,
                                       .timeout_ms = 1000,
                                       .env = {env, sizeof(env)},
                                       .limits = limits,
                                       .n_limits = 1};
        plan->spec_used = true;
    }
    plan->cwd = "/tmp";
    if (with & WITH_COMMAND) { /* as --each with a command: a JSON line has none */
        plan->type = "exec";
        plan->argv = (struct bytes){argv, sizeof(argv)};
    }
    template_init(&plan->each, plan->argv.len > 0 ? plan->argv : plan->payload);
}

/* The line is one object, as its brackets say, and nothing else. */
static void require_one_object(struct bytes line)
{
    bool text = false, over = false;
    int depth = 0;
    for (size_t i = 0; i < line.len; i++) {
        uint8_t c = line.data[i];
        REQUIRE(!over || strchr(" \t\r\n", c) != NULL);
        if (text && c == '\\')
            i++;
        else if (c == '"')
            text = !text;
        else if (!text && (c == '{' || c == '['))
            depth++;
        else if (!text && (c == '}' || c == ']'))
            over = --depth == 0;
    }
    REQUIRE(over && !text);
}

/* Each with its NUL. */
static void require_strings(struct bytes strings, bool settings)
{
    REQUIRE(strings.len == 0 || strings.data[strings.len - 1] == '\0');
    for (size_t at = 0; settings && at < strings.len;) {
        const char *text = (const char *)strings.data + at, *equals = strchr(text, '=');
        REQUIRE(equals != NULL && equals != text);
        at += strlen(text) + 1;
    }
}

static void require_limits(const struct job *job, const struct lane_name *lane)
{
    const struct job_spec *spec = job->spec;
    REQUIRE(job_fits(job) && job->run == 1 && job->state == JOB_QUEUED && job->ending == NULL);
    REQUIRE(job->type != NULL && name_valid(job->type));
    REQUIRE((strcmp(job->type, "exec") == 0) == (job->argv.len > 0));
    REQUIRE(job->argv.len == 0 || job->argv.data[0] != '\0');
    REQUIRE(job->batch == NULL || name_valid(job->batch));
    REQUIRE(name_valid(lane->queue) && lane->priority >= 0 && lane->priority < LIMIT_PRIORITIES);
    require_strings(job->argv, false);
    if (spec == NULL)
        return;
    REQUIRE(spec->max_attempts >= 0 && spec->max_attempts <= LIMIT_ATTEMPTS);
    REQUIRE(spec->timeout_ms >= 0 && spec->timeout_ms <= DURATION_MS_MAX);
    REQUIRE(spec->cwd == NULL || (spec->cwd[0] == '/' && strlen(spec->cwd) < LIMIT_PATH_BYTES));
    REQUIRE(spec->key == NULL || name_valid(spec->key));
    require_strings(spec->env, true);
}

static void require_stored(const struct job *job)
{
    bson_t first = BSON_INITIALIZER, second = BSON_INITIALIZER;
    struct arena mem = {0};
    struct job_texts texts = {0};
    struct job back;
    job_to_doc(job, 17, 1, NULL, &mem, &first);
    REQUIRE(bson_validate(&first, BSON_VALIDATE_UTF8 | BSON_VALIDATE_UTF8_ALLOW_NULL, NULL));
    REQUIRE(job_from_doc(&first, &mem, &texts, &back) == 0);
    REQUIRE(same_bytes(job->payload, back.payload) && same_bytes(job->argv, back.argv));
    REQUIRE((job->spec == NULL) == (back.spec == NULL));
    job_to_doc(&back, 17, 1, NULL, &mem, &second);
    REQUIRE(bson_equal(&first, &second));
    bson_destroy(&first);
    bson_destroy(&second);
    arena_release(&mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct submit_batch batch; /* large: made once */
    struct bytes input = {data, size};
    uint8_t with = take_byte(&input);
    struct submit_plan plan;
    struct job job;
    struct lane_name lane;
    struct error err = {0};
    if (batch.bytes == NULL)
        batch_init(&batch);
    batch_reset(&batch);
    plan_make(&plan, with & PLAIN_LINE ? with : with & (uint8_t)~WITH_COMMAND);
    if ((with & PLAIN_LINE) && plan.type == NULL)
        plan.type = "noop";
    int rc = with & PLAIN_LINE ? submit_job_line(&plan, input, &batch, &job, &lane, &err)
                               : submit_job_json(&plan, input, &batch, &job, &lane, &err);
    if (rc == 0) {
        if ((with & PLAIN_LINE) == 0)
            require_one_object(input);
        if ((with & PLAIN_LINE) == 0 || memchr(input.data, '\0', input.len) == NULL) {
            require_limits(&job, &lane);
            require_stored(&job);
        }
    } else {
        REQUIRE(rc == ERR_INVALID || rc == ERR_LIMIT);
        require_told(rc, &err);
    }
    template_clear(&plan.each);
    return 0;
}
