/* Jobs made from the options and from plain lines.
 *
 * A batch has memory for its largest content from the start (untouched pages cost nothing), so that
 * pointers into it stay good and a job costs no allocation. Single-threaded. */
#define _GNU_SOURCE
#include "cli/submit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* ---- batches --------------------------------------------------------------------------------- */

void batch_init(struct submit_batch *batch)
{
    *batch = (struct submit_batch){.size = SUBMIT_CLOSE_BYTES + SUBMIT_JOB_BYTES};
    batch->bytes = cli_alloc(batch->size);
    batch->jobs = cli_alloc(SUBMIT_BATCH_JOBS * sizeof(*batch->jobs));
}

void batch_reset(struct submit_batch *batch)
{
    batch->n = batch->used = batch->n_pieces = 0;
}

void batch_clear(struct submit_batch *batch)
{
    free(batch->bytes);
    free(batch->jobs);
    *batch = (struct submit_batch){0};
}

void *batch_take(struct submit_batch *batch, size_t size)
{
    size_t at = (batch->used + 15) & ~(size_t)15;
    assert(size <= batch->size && at <= batch->size - size);
    batch->used = at + size;
    return batch->bytes + at;
}

struct bytes batch_bytes(struct submit_batch *batch, struct bytes from)
{
    if (from.len == 0)
        return (struct bytes){0};
    return (struct bytes){memcpy(batch_take(batch, from.len), from.data, from.len), from.len};
}

char *batch_text(struct submit_batch *batch, const char *text, size_t len)
{
    char *copy = batch_take(batch, len + 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

/* ---- templates ------------------------------------------------------------------------------- */

void template_init(struct submit_template *template, struct bytes text)
{
    static const uint8_t nothing[1];
    const uint8_t *at = text.len > 0 ? text.data : nothing, *end = at + text.len, *hole;
    *template = (struct submit_template){0};
    do {
        hole = memmem(at, (size_t)(end - at), "{}", 2);
        template->pieces =
            cli_grow(template->pieces, (template->n + 1) * sizeof(*template->pieces));
        template->pieces[template->n++] =
            (struct bytes){at, (size_t)((hole != NULL ? hole : end) - at)};
        at = hole != NULL ? hole + 2 : end;
    } while (hole != NULL);
}

size_t template_bytes(const struct submit_template *template, size_t line_len)
{
    size_t bytes = (template->n - 1) * line_len;
    for (size_t i = 0; i < template->n; i++)
        bytes += template->pieces[i].len;
    return bytes;
}

void template_fill(const struct submit_template *template, struct bytes line, uint8_t *to)
{
    for (size_t i = 0; i < template->n; i++) {
        if (i > 0) {
            memcpy(to, line.data, line.len);
            to += line.len;
        }
        if (template->pieces[i].len > 0)
            memcpy(to, template->pieces[i].data, template->pieces[i].len);
        to += template->pieces[i].len;
    }
}

void template_clear(struct submit_template *template)
{
    free(template->pieces);
    *template = (struct submit_template){0};
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static bool plan_is_exec(const struct submit_plan *plan)
{
    return plan->argv.len > 0;
}

static struct job job_from_plan(const struct submit_plan *plan)
{
    return (struct job){
        .state = JOB_QUEUED,
        .run = 1,
        .type = plan->type,
        .payload = plan->payload,
        .argv = plan->argv,
        .batch = plan->batch,
        .spec = plan->spec_used ? &plan->spec : NULL,
    };
}

int submit_job_plain(const struct submit_plan *plan, struct submit_batch *batch,
                     struct job *ret_job, struct lane_name *ret_lane, struct error *err)
{
    (void)batch, (void)err; /* the options were checked when the plan was made */
    *ret_job = job_from_plan(plan);
    *ret_lane = plan->lane;
    return 0;
}

int submit_job_line(const struct submit_plan *plan, struct bytes line, struct submit_batch *batch,
                    struct job *ret_job, struct lane_name *ret_lane, struct error *err)
{
    bool exec = plan_is_exec(plan);
    size_t max = exec ? LIMIT_ARGV_BYTES : LIMIT_PAYLOAD_BYTES;
    size_t size = template_bytes(&plan->each, line.len);
    if (size > max)
        return error_set(err, ERR_LIMIT, "%s of %zu bytes; at most %zu",
                         exec ? "arguments" : "a payload", size, max);
    struct job job = job_from_plan(plan);
    uint8_t *to = batch_take(batch, size);
    template_fill(&plan->each, line, to);
    *(exec ? &job.argv : &job.payload) = (struct bytes){to, size};
    *ret_job = job;
    *ret_lane = plan->lane;
    return 0;
}

int env_check(const char *text, size_t len, struct error *err)
{
    const char *equals = memchr(text, '=', len);
    char quoted[QUOTE_BYTES];
    if (equals == NULL || equals == text)
        return error_set(err, ERR_INVALID, "'%s' must be NAME=VALUE", cli_quote(quoted, text));
    return 0;
}

int rlimit_parse(const char *text, struct job_limit *ret_limit, struct error *err)
{
    static const struct {
        const char *name;
        int32_t resource;
    } known[] = {
        {"as", RLIMIT_AS},         {"core", RLIMIT_CORE},   {"cpu", RLIMIT_CPU},
        {"data", RLIMIT_DATA},     {"fsize", RLIMIT_FSIZE}, {"memlock", RLIMIT_MEMLOCK},
        {"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC}, {"stack", RLIMIT_STACK},
    };
    size_t len = strcspn(text, "=");
    char quoted[QUOTE_BYTES], *end = NULL;
    const char *number = text[len] == '=' ? text + len + 1 : "";
    errno = 0;
    uint64_t value = *number >= '0' && *number <= '9' ? strtoull(number, &end, 10) : 0;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strlen(known[i].name) == len && strncmp(known[i].name, text, len) == 0 && end != NULL &&
            *end == '\0' && errno == 0) {
            *ret_limit = (struct job_limit){.resource = known[i].resource, .value = value};
            return 0;
        }
    return error_set(err, ERR_INVALID,
                     "'%s' must be NAME=N; names: as, core, cpu, data, fsize, memlock, nofile, "
                     "nproc, stack",
                     cli_quote(quoted, text));
}
