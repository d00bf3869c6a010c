/* The node's end of a slot: writes requests to its keeper, reads results, never blocks.
 *
 * Why it buffers at all: a request of up to a MiB does not fit a socket's buffer. Small requests
 * and results, the common case, pass in one send and one receive.
 *
 * Invariants:
 * 1. START goes out only when the result of the one before is read: so a late END, written before
 *    it, finds an idle keeper and does nothing.
 * 2. At most one START and END_FRAMES ENDs wait in `out`.
 * Thread: the node's loop. */
#define _GNU_SOURCE
#include "node/exec.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "datastore/limits.h"
#include "node/keeper.h"

enum {
    BUFFER_BYTES = 4 << 10, /* kept by each buffer; larger ones are freed after use */
    END_FRAMES = 8,
    OUT_BYTES_MAX = KEEPER_FRAME_BYTES +
                    (END_FRAMES + 1) *
                        (int)(sizeof(struct keeper_head) + sizeof(struct keeper_end)),
    RESULT_BYTES_MAX =
        sizeof(struct keeper_head) + sizeof(struct keeper_result) + LIMIT_OUTPUT_BYTES,
};

struct buffer {
    uint8_t *data;
    size_t len;
    size_t cap;
};

struct exec_slot {
    int fd;
    bool running; /* from START until its result is handed out */
    bool handed_out; /* `in` holds a result that the caller may still look at */
    struct buffer out;
    struct buffer in;
};

/* Room for `len` bytes in all. */
static int reserve(struct buffer *buffer, size_t len)
{
    if (len <= buffer->cap)
        return 0;
    size_t cap = len < BUFFER_BYTES ? BUFFER_BYTES : len;
    uint8_t *data = realloc(buffer->data, cap);
    if (data == NULL)
        return ERR_NO_MEMORY;
    buffer->data = data;
    buffer->cap = cap;
    return 0;
}

static void reset(struct buffer *buffer)
{
    buffer->len = 0;
    if (buffer->cap <= BUFFER_BYTES)
        return;
    free(buffer->data);
    *buffer = (struct buffer){0};
}

static void put(struct buffer *buffer, const void *data, size_t len)
{
    assert(buffer->len + len <= buffer->cap);
    if (len > 0)
        memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
}

int exec_slot_open(struct reaper *reaper, struct exec_slot **ret_slot, struct error *err)
{
    struct exec_slot *slot = calloc(1, sizeof(*slot));
    if (slot == NULL)
        return error_set(err, ERR_NO_MEMORY, "out of memory");
    int code = reaper_open_keeper(reaper, &slot->fd, err);
    if (code != 0) {
        free(slot);
        return code;
    }
    *ret_slot = slot;
    return 0;
}

void exec_slot_close(struct exec_slot *slot)
{
    if (slot == NULL)
        return;
    close(slot->fd);
    free(slot->out.data);
    free(slot->in.data);
    free(slot);
}

int exec_slot_fd(const struct exec_slot *slot)
{
    return slot->fd;
}

bool exec_slot_wants_write(const struct exec_slot *slot)
{
    return slot->out.len > 0;
}

/* --- Requests --------------------------------------------------------------------------------- */

static int check_argv(struct bytes argv, struct error *err)
{
    if (argv.len > LIMIT_ARGV_BYTES)
        return error_set(err, ERR_LIMIT, "command of %zu bytes: at most %d", argv.len,
                         LIMIT_ARGV_BYTES);
    if (argv.len == 0 || argv.data[0] == '\0')
        return error_set(err, ERR_INVALID, "no command: its first argument is empty");
    if (argv.data[argv.len - 1] != '\0')
        return error_set(err, ERR_INVALID, "command: the last argument does not end in a NUL");
    return 0;
}

static int check_env(struct bytes env, struct error *err)
{
    if (env.len > LIMIT_ENV_BYTES)
        return error_set(err, ERR_LIMIT, "environment of %zu bytes: at most %d", env.len,
                         LIMIT_ENV_BYTES);
    if (env.len > 0 && env.data[env.len - 1] != '\0')
        return error_set(err, ERR_INVALID, "environment: the last setting does not end in a NUL");
    for (size_t at = 0; at < env.len;) {
        const char *setting = (const char *)env.data + at;
        const char *equals = strchr(setting, '=');
        if (equals == NULL || equals == setting)
            return error_set(err, ERR_INVALID, "environment: '%.100s' is not NAME=VALUE", setting);
        at += strlen(setting) + 1;
    }
    return 0;
}

static int check_rest(const struct exec_request *request, struct error *err)
{
    if (request->stdin_bytes.len > LIMIT_PAYLOAD_BYTES)
        return error_set(err, ERR_LIMIT, "input of %zu bytes: at most %d",
                         request->stdin_bytes.len, LIMIT_PAYLOAD_BYTES);
    if (request->cwd != NULL && strnlen(request->cwd, LIMIT_PATH_BYTES) == LIMIT_PATH_BYTES)
        return error_set(err, ERR_LIMIT, "working folder: a path of at most %d bytes",
                         LIMIT_PATH_BYTES - 1);
    if (request->cwd != NULL && request->cwd[0] == '\0')
        return error_set(err, ERR_INVALID, "working folder: the path is empty");
    if (request->output_cap_bytes > LIMIT_OUTPUT_BYTES)
        return error_set(err, ERR_LIMIT, "output of %" PRIu32 " bytes to keep: at most %d",
                         request->output_cap_bytes, LIMIT_OUTPUT_BYTES);
    if (request->n_limits > KEEPER_LIMITS)
        return error_set(err, ERR_LIMIT, "%zu resource limits: at most %d", request->n_limits,
                         (int)KEEPER_LIMITS);
    for (size_t i = 0; i < request->n_limits; i++) {
        int resource = request->limits[i].resource;
        if (resource < 0 || resource >= RLIM_NLIMITS)
            return error_set(err, ERR_INVALID, "there is no resource limit %d", resource);
    }
    if (request->node_name == NULL ||
        strnlen(request->node_name, LIMIT_NAME_BYTES + 1) > LIMIT_NAME_BYTES)
        return error_set(err, ERR_INVALID, "node name: 1 to %d bytes", LIMIT_NAME_BYTES);
    if (memchr(request->job_name, '\0', sizeof(request->job_name)) == NULL)
        return error_set(err, ERR_INVALID, "job name: at most %zu bytes",
                         sizeof(request->job_name) - 1);
    return 0;
}

static int check(const struct exec_request *request, struct error *err)
{
    int code = check_argv(request->argv, err);
    if (code == 0)
        code = check_env(request->env, err);
    return code == 0 ? check_rest(request, err) : code;
}

/* The settings every job gets; returns their bytes, NULs included. They come after the caller's
 * own, so that they count. */
static size_t write_markers(const struct exec_request *request, char *text, size_t size)
{
    char number[24];
    snprintf(number, sizeof(number), "%" PRId64, request->job_id);
    const char *name = request->job_name[0] != '\0' ? request->job_name : number;
    int len = snprintf(text, size,
                       "STINT_JOB_ID=%s%cSTINT_ATTEMPT=%" PRId32 "%cSTINT_RUN=%" PRId32
                       "%cSTINT_NODE=%s",
                       name, '\0', request->attempt, '\0', request->run, '\0', request->node_name);
    assert(len > 0 && (size_t)len < size);
    return (size_t)len + 1;
}

static int write_start(struct exec_slot *slot, const struct exec_request *request)
{
    char markers[KEEPER_ENV_SLACK];
    size_t markers_len = write_markers(request, markers, sizeof(markers));
    size_t cwd_len = request->cwd != NULL ? strlen(request->cwd) + 1 : 0;
    size_t limits_len = request->n_limits * sizeof(struct exec_limit);
    struct keeper_start start = {
        .timeout_ms = request->timeout_ms,
        .grace_ms = request->grace_ms,
        .output_cap_bytes = request->output_cap_bytes,
        .n_limits = (uint32_t)request->n_limits,
        .argv_len = (uint32_t)request->argv.len,
        .env_len = (uint32_t)(request->env.len + markers_len),
        .cwd_len = (uint32_t)cwd_len,
        .stdin_len = (uint32_t)request->stdin_bytes.len,
    };
    size_t len = sizeof(start) + limits_len + request->argv.len + start.env_len + cwd_len +
                 request->stdin_bytes.len;
    assert(len <= KEEPER_FRAME_BYTES);
    struct keeper_head head = {.len = (uint32_t)len, .kind = KEEPER_START};
    struct buffer *out = &slot->out;
    if (reserve(out, out->len + sizeof(head) + len) != 0)
        return ERR_NO_MEMORY;
    put(out, &head, sizeof(head));
    put(out, &start, sizeof(start));
    put(out, request->limits, limits_len);
    put(out, request->argv.data, request->argv.len);
    put(out, request->env.data, request->env.len);
    put(out, markers, markers_len);
    put(out, request->cwd, cwd_len);
    put(out, request->stdin_bytes.data, request->stdin_bytes.len);
    return 0;
}

static int flush(struct exec_slot *slot)
{
    struct buffer *out = &slot->out;
    size_t done = 0;
    while (done < out->len) {
        ssize_t sent = send(slot->fd, out->data + done, out->len - done, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            break;
        if (sent < 0)
            return ERR_IO;
        done += (size_t)sent;
    }
    if (done == out->len) {
        reset(out);
    } else if (done > 0) {
        out->len -= done;
        memmove(out->data, out->data + done, out->len);
    }
    return 0;
}

int exec_slot_start(struct exec_slot *slot, const struct exec_request *request, struct error *err)
{
    if (slot->running)
        return error_set(err, ERR_BUSY, "this slot runs a job already");
    int code = check(request, err);
    if (code != 0)
        return code;
    if (write_start(slot, request) != 0)
        return error_set(err, ERR_NO_MEMORY, "out of memory");
    if (flush(slot) != 0)
        return error_set(err, ERR_IO, "the process that keeps this slot's jobs is gone");
    slot->running = true;
    return 0;
}

int exec_slot_end(struct exec_slot *slot, uint64_t grace_ms)
{
    if (!slot->running)
        return ERR_NOT_FOUND;
    struct keeper_head head = {.len = sizeof(struct keeper_end), .kind = KEEPER_END};
    struct keeper_end end = {.grace_ms = grace_ms};
    struct buffer *out = &slot->out;
    size_t len = out->len + sizeof(head) + sizeof(end);
    if (len > OUT_BYTES_MAX)
        return ERR_BUSY;
    if (reserve(out, len) != 0)
        return ERR_NO_MEMORY;
    put(out, &head, sizeof(head));
    put(out, &end, sizeof(end));
    return flush(slot);
}

/* --- Results ---------------------------------------------------------------------------------- */

/* The bytes that the frame in `in` takes as a whole, as far as known yet. */
static size_t wanted(const struct buffer *in)
{
    struct keeper_head head;
    if (in->len < sizeof(head))
        return sizeof(head) + sizeof(struct keeper_result);
    memcpy(&head, in->data, sizeof(head));
    assert(head.kind == KEEPER_RESULT && head.len >= sizeof(struct keeper_result));
    assert(sizeof(head) + head.len <= RESULT_BYTES_MAX);
    return sizeof(head) + head.len;
}

static void to_result(const struct buffer *in, struct exec_result *ret_result)
{
    struct keeper_result result;
    memcpy(&result, in->data + sizeof(struct keeper_head), sizeof(result));
    assert(in->len == sizeof(struct keeper_head) + sizeof(result) + result.output_len);
    *ret_result = (struct exec_result){
        .end = (enum exec_end)result.end,
        .exit_code = result.exit_code,
        .signal = result.signal,
        .started_ms = result.started_ms,
        .finished_ms = result.finished_ms,
        .wall_ms = result.wall_ms,
        .user_ms = result.user_ms,
        .sys_ms = result.sys_ms,
        .maxrss_kb = result.maxrss_kb,
        .output = {in->data + sizeof(struct keeper_head) + sizeof(result), result.output_len},
        .output_total = result.output_total,
    };
    static_assert(sizeof(result.error) == sizeof(ret_result->error), "one text, one size");
    memcpy(ret_result->error, result.error, sizeof(result.error));
}

/* Reads what is there. Returns 1 when a whole result is in `in`. */
static int fill(struct exec_slot *slot)
{
    struct buffer *in = &slot->in;
    for (;;) {
        size_t want = wanted(in);
        if (in->len > 0 && in->len == want)
            return 1;
        if (reserve(in, want) != 0)
            return ERR_NO_MEMORY;
        /* No more than one result is ever under way, so reading ahead is safe. */
        ssize_t got = recv(slot->fd, in->data + in->len, in->cap - in->len, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return 0;
        if (got <= 0)
            return ERR_IO;
        in->len += (size_t)got;
    }
}

int exec_slot_ready(struct exec_slot *slot, struct exec_result *ret_result)
{
    if (slot->handed_out)
        reset(&slot->in);
    slot->handed_out = false;
    int flushed = flush(slot);
    int code = fill(slot); /* a result may be there although the keeper is gone */
    if (code == 1) {
        to_result(&slot->in, ret_result);
        slot->handed_out = true;
        slot->running = false;
        return 1;
    }
    code = code == 0 ? flushed : code;
    if (code == ERR_IO)
        slot->running = false; /* interrupted */
    return code;
}
