/* A job from one line of --jsonl.
 *
 * libbson parses; a table says what each key takes. What the line leaves out comes from the
 * options; an unknown key is an error, since a misspelt one would be silently without effect.
 * Single-threaded. */
#include <bson/bson.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/submit.h"

/* A job being filled. */
struct draft {
    const struct submit_plan *plan;
    struct submit_batch *batch;
    struct job job;
    struct job_spec spec;
    bool spec_used, payload_given, cwd_given;
    struct lane_name lane;
};

typedef int (*key_fn)(struct draft *draft, const bson_iter_t *at, struct error *err);

static const char *key_of(const bson_iter_t *at)
{
    return bson_iter_key(at);
}

/* ---- values ---------------------------------------------------------------------------------- */

static int text_take(const bson_iter_t *at, struct bytes *ret_text, struct error *err)
{
    uint32_t len = 0;
    if (!BSON_ITER_HOLDS_UTF8(at))
        return error_set(err, ERR_INVALID, "\"%s\" must be a string", key_of(at));
    const char *text = bson_iter_utf8(at, &len);
    *ret_text = (struct bytes){(const uint8_t *)text, len};
    return 0;
}

/* A string without a NUL in it, shorter than `max`. */
static int plain_take(struct draft *draft, const bson_iter_t *at, size_t max, const char **ret_text,
                      struct error *err)
{
    struct bytes text;
    int rc = text_take(at, &text, err);
    if (rc < 0)
        return rc;
    if (text.len == 0 || text.len > max || memchr(text.data, '\0', text.len) != NULL)
        return error_set(err, ERR_INVALID, "\"%s\" must be 1 to %zu bytes without a NUL",
                         key_of(at), max);
    *ret_text = batch_text(draft->batch, (const char *)text.data, text.len);
    return 0;
}

static int name_take(struct draft *draft, const bson_iter_t *at, const char **ret_name,
                     struct error *err)
{
    int rc = plain_take(draft, at, LIMIT_NAME_BYTES, ret_name, err);
    if (rc == 0 && !name_valid(*ret_name))
        rc = error_set(err, ERR_INVALID, "\"%s\" must be letters, digits, '.', '_' or '-'",
                       key_of(at));
    return rc;
}

static int number_take(const bson_iter_t *at, int64_t min, int64_t max, int32_t *ret_value,
                       struct error *err)
{
    int64_t value = BSON_ITER_HOLDS_INT(at) ? bson_iter_as_int64(at) : INT64_MIN;
    if (value < min || value > max)
        return error_set(err, ERR_INVALID, "\"%s\" must be a number from %" PRId64 " to %" PRId64,
                         key_of(at), min, max);
    *ret_value = (int32_t)value;
    return 0;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static int take_type(struct draft *draft, const bson_iter_t *at, struct error *err)
{
    return name_take(draft, at, &draft->job.type, err);
}

static int payload_put(struct draft *draft, struct bytes payload, struct error *err)
{
    if (draft->payload_given)
        return error_set(err, ERR_INVALID, "the payload is given twice");
    if (payload.len > LIMIT_PAYLOAD_BYTES)
        return error_set(err, ERR_LIMIT, "a payload of %zu bytes; at most %d", payload.len,
                         LIMIT_PAYLOAD_BYTES);
    draft->payload_given = true;
    draft->job.payload = batch_bytes(draft->batch, payload);
    return 0;
}

static int take_payload(struct draft *draft, const bson_iter_t *at, struct error *err)
{
    struct bytes text;
    int rc = text_take(at, &text, err);
    return rc < 0 ? rc : payload_put(draft, text, err);
}

static int base64_digit(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* `to` holds 3 bytes for every 4 of `from`. Padding may be left out. -1: not base64. */
static int64_t base64_read(struct bytes from, uint8_t *to)
{
    size_t n = 0, len = from.len;
    uint32_t held = 0;
    int bits = 0;
    while (len > 0 && from.len - len < 2 && from.data[len - 1] == '=')
        len--;
    if (len % 4 == 1 || (len < from.len && from.len % 4 != 0))
        return -1;
    for (size_t i = 0; i < len; i++) {
        int digit = base64_digit(from.data[i]);
        if (digit < 0)
            return -1;
        held = held << 6 | (uint32_t)digit;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            to[n++] = (uint8_t)(held >> bits);
        }
    }
    return (int64_t)n;
}

static int take_payload_b64(struct draft *draft, const bson_iter_t *at, struct error *err)
{
    struct bytes text;
    int rc = text_take(at, &text, err);
    if (rc < 0)
        return rc;
    uint8_t *bytes = cli_alloc(text.len / 4 * 3 + 3);
    int64_t n = base64_read(text, bytes);
    if (n < 0)
        rc = error_set(err, ERR_INVALID, "\"payload_b64\" is not base64");
    else
        rc = payload_put(draft, (struct bytes){bytes, (size_t)n}, err);
    free(bytes);
    return rc;
}

static int take_argv(struct draft *draft, const bson_iter_t *at, struct error *err)
{
    bson_iter_t element;
    size_t size = 0;
    if (!BSON_ITER_HOLDS_ARRAY(at) || !bson_iter_recurse(at, &element))
        return error_set(err, ERR_INVALID, "\"argv\" must be an array of strings");
    while (bson_iter_next(&element)) {
        uint32_t len = 0;
        if (!BSON_ITER_HOLDS_UTF8(&element))
            return error_set(err, ERR_INVALID, "\"argv\" must be an array of strings");
        const char *text = bson_iter_utf8(&element, &len);
        if (memchr(text, '\0', len) != NULL)
            return error_set(err, ERR_INVALID, "\"argv\" holds a NUL");
        if (size == 0 && len == 0)
            return error_set(err, ERR_INVALID, "\"argv\" begins with an empty string");
        size += len + 1;
    }
    if (size == 0 || size > LIMIT_ARGV_BYTES)
        return error_set(err, ERR_LIMIT, "\"argv\" of %zu bytes; 1 to %d are allowed", size,
                         LIMIT_ARGV_BYTES);
    uint8_t *to = batch_take(draft->batch, size);
    draft->job.argv = (struct bytes){to, size};
    bson_iter_recurse(at, &element);
    while (bson_iter_next(&element)) {
        uint32_t len = 0;
        const char *text = bson_iter_utf8(&element, &len);
        memcpy(to, text, len + 1);
        to += len + 1;
    }
    return 0;
}

static int take_cwd(struct draft *draft, const bson_iter_t *at, struct error *err)
{
    draft->cwd_given = true;
    int rc = plain_take(draft, at, LIMIT_PATH_BYTES - 1, &draft->spec.cwd, err);
    if (rc == 0 && draft->spec.cwd[0] != '/')
        rc = error_set(err, ERR_INVALID, "\"cwd\" must begin with /");
    return rc;
}

/* The options' settings first, the line's after them. */
static int take_env(struct draft *draft, const bson_iter_t *at, struct error *err)
{
    bson_iter_t element;
    struct bytes before = draft->spec.env;
    size_t size = before.len;
    if (!BSON_ITER_HOLDS_DOCUMENT(at) || !bson_iter_recurse(at, &element))
        return error_set(err, ERR_INVALID, "\"env\" must be an object of strings");
    while (bson_iter_next(&element)) {
        uint32_t len = 0;
        const char *name = bson_iter_key(&element);
        const char *value = BSON_ITER_HOLDS_UTF8(&element) ? bson_iter_utf8(&element, &len) : NULL;
        if (value == NULL || name[0] == '\0' || strchr(name, '=') != NULL ||
            memchr(value, '\0', len) != NULL)
            return error_set(err, ERR_INVALID, "\"env\" must be an object of strings without NULs");
        size += strlen(name) + 1 + len + 1;
    }
    if (size > LIMIT_ENV_BYTES)
        return error_set(err, ERR_LIMIT, "\"env\" of %zu bytes; at most %d", size, LIMIT_ENV_BYTES);
    if (size == 0)
        return 0;
    uint8_t *to = batch_take(draft->batch, size);
    draft->spec.env = (struct bytes){to, size};
    if (before.len > 0)
        memcpy(to, before.data, before.len);
    to += before.len;
    bson_iter_recurse(at, &element);
    while (bson_iter_next(&element)) {
        uint32_t len = 0;
        const char *name = bson_iter_key(&element), *value = bson_iter_utf8(&element, &len);
        size_t name_len = strlen(name);
        memcpy(to, name, name_len);
        to[name_len] = '=';
        memcpy(to + name_len + 1, value, len + 1);
        to += name_len + 1 + len + 1;
    }
    return 0;
}

/* Seconds, or a text like "10s". */
static int take_timeout(struct draft *draft, const bson_iter_t *at, struct error *err)
{
    int64_t ms = 0;
    bool good = false;
    if (BSON_ITER_HOLDS_UTF8(at)) {
        good = duration_parse(bson_iter_utf8(at, NULL), &ms) == 0;
    } else if (BSON_ITER_HOLDS_NUMBER(at)) {
        double seconds = bson_iter_as_double(at);
        good = seconds > 0 && seconds <= (double)DURATION_MS_MAX / 1000;
        ms = good ? (int64_t)(seconds * 1000) : 0;
    }
    if (!good || ms <= 0)
        return error_set(err, ERR_INVALID, "\"timeout\" must be seconds or a text like \"10s\"");
    draft->spec.timeout_ms = ms;
    return 0;
}

static int take_max_attempts(struct draft *draft, const bson_iter_t *at, struct error *err)
{
    return number_take(at, 1, LIMIT_ATTEMPTS, &draft->spec.max_attempts, err);
}

static int take_batch(struct draft *draft, const bson_iter_t *at, struct error *err)
{
    return name_take(draft, at, &draft->job.batch, err);
}

static int take_key(struct draft *draft, const bson_iter_t *at, struct error *err)
{
    return name_take(draft, at, &draft->spec.key, err);
}

static int take_priority(struct draft *draft, const bson_iter_t *at, struct error *err)
{
    return number_take(at, 0, LIMIT_PRIORITIES - 1, &draft->lane.priority, err);
}

static int take_queue(struct draft *draft, const bson_iter_t *at, struct error *err)
{
    const char *name = NULL;
    int rc = name_take(draft, at, &name, err);
    if (rc == 0)
        memcpy(draft->lane.queue, name, strlen(name) + 1);
    return rc;
}

static const struct {
    const char *name;
    key_fn take;
    bool spec; /* the value goes into the job's spec */
} keys[] = {
    {"type", take_type, false},
    {"payload", take_payload, false},
    {"stdin", take_payload, false},
    {"payload_b64", take_payload_b64, false},
    {"argv", take_argv, false},
    {"cwd", take_cwd, true},
    {"env", take_env, true},
    {"timeout", take_timeout, true},
    {"max_attempts", take_max_attempts, true},
    {"batch", take_batch, false},
    {"key", take_key, true},
    {"priority", take_priority, false},
    {"queue", take_queue, false},
};

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

static int fields_take(struct draft *draft, const bson_t *line, struct error *err)
{
    bson_iter_t at;
    uint32_t seen = 0;
    char quoted[QUOTE_BYTES];
    if (!bson_iter_init(&at, line))
        return error_set(err, ERR_INVALID, "not a JSON object");
    while (bson_iter_next(&at)) {
        const char *key = bson_iter_key(&at);
        size_t i = 0;
        while (i < KEYS && strcmp(keys[i].name, key) != 0)
            i++;
        if (i == KEYS)
            return error_set(err, ERR_INVALID,
                             "unknown key \"%s\"; see `stint submit --help` for those there are",
                             cli_quote(quoted, key));
        if (seen >> i & 1)
            return error_set(err, ERR_INVALID, "\"%s\" is given twice", key);
        seen |= UINT32_C(1) << i;
        int rc = keys[i].take(draft, &at, err);
        if (rc < 0)
            return rc;
        draft->spec_used = draft->spec_used || keys[i].spec;
    }
    return 0;
}

/* What only the whole line tells: the type, the arguments and the folder fit each other. */
static int draft_end(struct draft *draft, struct error *err)
{
    struct job *job = &draft->job;
    if (job->type == NULL && job->argv.len > 0)
        job->type = "exec";
    if (job->type == NULL)
        return error_set(err, ERR_INVALID, "neither \"type\" nor \"argv\" says what to do");
    bool exec = strcmp(job->type, "exec") == 0;
    if (exec != (job->argv.len > 0))
        return error_set(err, ERR_INVALID,
                         exec ? "a job of type exec needs \"argv\""
                              : "\"argv\" is for jobs of type exec only");
    if (exec && !draft->cwd_given && draft->plan->cwd != NULL) {
        draft->spec.cwd = draft->plan->cwd;
        draft->spec_used = true;
    }
    if (draft->spec_used) {
        struct job_spec *spec = batch_take(draft->batch, sizeof(*spec));
        *spec = draft->spec;
        job->spec = spec;
    }
    return 0;
}

static struct bytes white_skip(struct bytes line)
{
    while (line.len > 0 && memchr(" \t\r\n", line.data[0], 4) != NULL)
        line.data++, line.len--;
    return line;
}

/* The bytes of the object at the front, by its brackets; all, where it does not end. */
static size_t object_bytes(struct bytes line)
{
    bool text = false;
    int64_t depth = 0;
    for (size_t i = 0; i < line.len; i++) {
        uint8_t c = line.data[i];
        if (text && c == '\\')
            i++;
        else if (c == '"')
            text = !text;
        else if (!text && (c == '{' || c == '['))
            depth++;
        else if (!text && (c == '}' || c == ']') && --depth == 0)
            return i + 1;
    }
    return line.len;
}

static int line_parse(struct bytes line, bson_t *json, struct error *err)
{
    line = white_skip(line);
    if (line.len == 0 || line.data[0] != '{')
        return error_set(err, ERR_INVALID, "not a JSON object");
    /* libbson passes over some of what may stand behind an object. */
    size_t len = object_bytes(line);
    struct bytes rest = white_skip((struct bytes){line.data + len, line.len - len});
    if (rest.len > 0)
        return error_set(err, ERR_INVALID,
                         rest.data[0] == '{' ? "more than one JSON object"
                                             : "no valid JSON: something stands behind the object");
    bson_error_t why = {0};
    bson_json_reader_t *reader = bson_json_data_reader_new(true, len);
    bson_json_data_reader_ingest(reader, line.data, len);
    int got = bson_json_reader_read(reader, json, &why);
    bson_json_reader_destroy(reader);
    if (got == 1)
        return 0;
    text_clean(why.message); /* it quotes the line */
    return error_set(err, ERR_INVALID, "no valid JSON: %.200s", why.message);
}

int submit_job_json(const struct submit_plan *plan, struct bytes line, struct submit_batch *batch,
                    struct job *ret_job, struct lane_name *ret_lane, struct error *err)
{
    struct draft draft = {
        .plan = plan,
        .batch = batch,
        .job = {.state = JOB_QUEUED, .run = 1, .type = plan->type, .batch = plan->batch},
        .spec = plan->spec,
        .spec_used = plan->spec_used,
        .lane = plan->lane,
    };
    bson_t json = BSON_INITIALIZER;
    int rc = line_parse(line, &json, err);
    if (rc == 0)
        rc = fields_take(&draft, &json, err);
    if (rc == 0)
        rc = draft_end(&draft, err);
    bson_destroy(&json);
    if (rc < 0)
        return rc;
    if (!draft.payload_given)
        draft.job.payload = plan->payload;
    *ret_job = draft.job;
    *ret_lane = draft.lane;
    return 0;
}
