/* Submitting: lines in, jobs made of them, chunks sent.
 *
 * Input is read line by line with one buffer; each line becomes a job in a batch whose memory is
 * used again for the next; a full batch is sent as one run. So memory does not grow with the
 * input. */
#ifndef STINT_SUBMIT_H
#define STINT_SUBMIT_H

#include "cli/cli.h"
#include "cli/view.h"

enum {
    SUBMIT_BATCH_JOBS = 5000,
    SUBMIT_CLOSE_BYTES = 2 << 20, /* a batch past this takes no further job */
    SUBMIT_JOB_BYTES = LIMIT_PAYLOAD_BYTES + LIMIT_ARGV_BYTES + LIMIT_ENV_BYTES + (16 << 10),
    SUBMIT_PIECES = LIMIT_RUN_STEPS / 2,
    SUBMIT_TYPES = 64,
    SUBMIT_LINE_BYTES = 8 << 20, /* a JSON line: escapes and base64 make it longer than the job */
};

static_assert((int)SUBMIT_BATCH_JOBS <= (int)LIMIT_BATCH_JOBS, "a batch is one insert");
static_assert((int)SUBMIT_CLOSE_BYTES + (int)SUBMIT_JOB_BYTES <= (int)LIMIT_BATCH_BYTES,
              "with the largest job");

/* ---- input (submit_input.c) ------------------------------------------------------------------ */

struct submit_input {
    int fd;
    const char *name; /* for errors */
    bool zero;        /* records end with a NUL, not a newline */
    bool regular;
    int64_t size; /* of a regular file; else 0 */
    size_t line_max;
    int64_t line;  /* number of the line given last, from 1 */
    int64_t bytes; /* of input taken so far */
    uint8_t *buffer;
    size_t buffer_size, at, end;
    bool eof;
    /* Called before a read that may block: 0, or a code that ends input_next. */
    int (*wait)(void *ctx);
    void *ctx;
};

/* Opens a file, or standard input for "-". */
int input_open(struct submit_input *input, const char *path, bool zero, size_t line_max,
               struct error *err) __attribute__((warn_unused_result));

/* The next line that is not empty, borrowed until the next call: 1; 0 at the end; or a code. */
int input_next(struct submit_input *input, struct bytes *ret_line, struct error *err)
    __attribute__((warn_unused_result));
void input_close(struct submit_input *input);

/* ---- jobs (submit_job.c, submit_json.c) ------------------------------------------------------ */

/* A text with places for a line: pieces[0] line pieces[1] line ... pieces[n-1]. */
struct submit_template {
    struct bytes *pieces; /* into the text, which is borrowed */
    size_t n;
};

void template_init(struct submit_template *template, struct bytes text);
size_t template_bytes(const struct submit_template *template, size_t line_len);
void template_fill(const struct submit_template *template, struct bytes line, uint8_t *to);
void template_clear(struct submit_template *template);

/* What the options say of every job. Owned texts live in `mem`. */
struct submit_plan {
    struct arena mem;
    struct lane_name lane;
    const char *type; /* NULL: none given, and no command (--jsonl) */
    struct bytes payload, argv;
    const char *batch;
    struct job_spec spec;
    bool spec_used;              /* else NULL does */
    const char *cwd;             /* of exec jobs */
    struct submit_template each; /* of argv for exec jobs, else of the payload */
};

struct submit_request {
    struct cli *cli;
    struct submit_plan plan;
    const char *each, *jsonl, *token, *payload; /* as given; NULL: not */
    bool bulk;
};

/* Reads the options (submit_plan.c). CLI_OK, or a status after the error was printed. */
int submit_request_make(struct submit_request *request) __attribute__((warn_unused_result));

/* Jobs about to be sent, of one or several lanes: each piece is a stretch of one lane. */
struct submit_piece {
    struct lane_name lane;
    size_t first, n;
    uint64_t types; /* bits of the sender's types */
};

struct submit_batch {
    struct job *jobs;
    size_t n;
    uint8_t *bytes; /* what the jobs point to */
    size_t used, size;
    struct submit_piece pieces[SUBMIT_PIECES];
    size_t n_pieces;
};

void batch_init(struct submit_batch *batch);
void batch_reset(struct submit_batch *batch);
void batch_clear(struct submit_batch *batch);
void *batch_take(struct submit_batch *batch, size_t size); /* aligned; there is room for a job */
struct bytes batch_bytes(struct submit_batch *batch, struct bytes from);
char *batch_text(struct submit_batch *batch, const char *text, size_t len);

/* Fills a job from the plan alone, from a line (--each), and from a JSON line (--jsonl). *ret_lane
 * says where it goes. ERR_INVALID, ERR_LIMIT with a text that needs "line N: " before it. */
int submit_job_plain(const struct submit_plan *plan, struct submit_batch *batch,
                     struct job *ret_job, struct lane_name *ret_lane, struct error *err)
    __attribute__((warn_unused_result));
int submit_job_line(const struct submit_plan *plan, struct bytes line, struct submit_batch *batch,
                    struct job *ret_job, struct lane_name *ret_lane, struct error *err)
    __attribute__((warn_unused_result));
int submit_job_json(const struct submit_plan *plan, struct bytes line, struct submit_batch *batch,
                    struct job *ret_job, struct lane_name *ret_lane, struct error *err)
    __attribute__((warn_unused_result));

/* Adds NAME=VALUE\0 to `env` (in `mem`). ERR_INVALID without a name, ERR_LIMIT when too long. */
int env_check(const char *text, size_t len, struct error *err) __attribute__((warn_unused_result));

/* NAME=N as setrlimit(2) names and counts them: as, core, cpu (seconds), data, fsize, memlock,
 * nofile, nproc, stack. ERR_INVALID otherwise. */
int rlimit_parse(const char *text, struct job_limit *ret_limit, struct error *err)
    __attribute__((warn_unused_result));

/* ---- sending (submit_send.c) ----------------------------------------------------------------- */

struct submit_sender {
    struct datastore *ds;
    struct interrupt *interrupt;
    char name[LIMIT_NAME_BYTES + 1]; /* of the submit; "": none */
    int64_t token;                   /* of the first job; random */
    int64_t index;                   /* jobs of the input dealt with so far */
    int64_t already;                 /* of these: found from an earlier try */
    int64_t taken;                   /* of these: their key belongs to an unfinished job */
    int64_t beyond; /* jobs behind these that a batch which failed has sent all the same */
    bool unsure;    /* of the jobs that it has not sent some may be there */
    struct id_set ids;
    struct arena found_mem;
    struct submit_chunk *found; /* chunks that are there, by index */
    size_t n_found, at_found;
    char *types[SUBMIT_TYPES];
    size_t n_types;
    struct lane_name *lane_names; /* lanes opened, with their numbers */
    int32_t *lane_numbers;
    size_t n_lanes;
    struct ds_step *steps;
    uint64_t backoff_ms_max; /* between two tries */
};

void sender_init(struct submit_sender *sender, struct datastore *ds, struct interrupt *interrupt);
void sender_clear(struct submit_sender *sender);

/* Takes a name and reads what is there of it. *ret_complete: its last chunk is there. */
int sender_name(struct submit_sender *sender, const char *name, bool *ret_complete,
                struct error *err) __attribute__((warn_unused_result));

/* The chunk that is there already and starts at the next job; NULL: none. */
const struct submit_chunk *sender_found(struct submit_sender *sender);
void sender_skip(struct submit_sender *sender, const struct submit_chunk *chunk);

/* Jobs that may be sent before the next chunk that is there; INT64_MAX: none lies ahead. */
int64_t sender_room(const struct submit_sender *sender);

/* Puts a filled job (jobs[batch->n]) at the batch's end. ERR_BUSY: send the batch first;
 * ERR_LIMIT: too many types. */
int sender_add(struct submit_sender *sender, struct submit_batch *batch,
               const struct lane_name *lane, struct error *err) __attribute__((warn_unused_result));

/* Sends the batch, again where that is safe, and empties it. `last`: no job follows. */
int sender_send(struct submit_sender *sender, struct submit_batch *batch, bool last,
                struct error *err) __attribute__((warn_unused_result));

/* ---- its name (submit_name.c) ---------------------------------------------------------------- */

struct submit_naming {
    bool resumable; /* the same again goes on where this one stops */
    char *mark;     /* a file that stands until the ids are printed; NULL: none */
};

/* Names the submit and finds what is there of it. *ret_complete: nothing is left to add. Free
 * `naming` with submit_naming_clear, also after an error. */
int submit_name(const struct submit_request *request, const struct submit_input *input,
                struct submit_sender *sender, struct submit_naming *naming, bool *ret_complete,
                struct error *err) __attribute__((warn_unused_result));

/* The ids are printed: from now on the same again is new work. */
void submit_acknowledged(struct submit_naming *naming);
void submit_naming_clear(struct submit_naming *naming);

#endif
