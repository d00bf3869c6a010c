/* Sends batches of jobs: reserve ids and insert rows, one run a batch.
 *
 * Each stretch of one lane is a chunk that carries the submit's name and its place in the input
 * (records.h), so a chunk is there once whatever happens to a reply, and a submit run again skips
 * what is there. What is found is taken as it is: an older chunk may be cut differently.
 * Invariants: I9 (acknowledged only after the run has returned). Single-threaded. */
#include "cli/submit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { RETRY_MS = 15000, BACKOFF_MS_MIN = 20, BACKOFF_MS_MAX = 1000 };

void sender_init(struct submit_sender *sender, struct datastore *ds, struct interrupt *interrupt)
{
    *sender = (struct submit_sender){.ds = ds, .interrupt = interrupt};
    uint64_t random = 1;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = clock_ms() << 20 ^ (uint64_t)clock_utc_ms();
    sender->token = (int64_t)(random >> 2) + 1;
    sender->steps = cli_alloc(LIMIT_RUN_STEPS * sizeof(*sender->steps));
}

void sender_clear(struct submit_sender *sender)
{
    for (size_t i = 0; i < sender->n_types; i++)
        free(sender->types[i]);
    free(sender->lane_names);
    free(sender->lane_numbers);
    free(sender->steps);
    id_set_clear(&sender->ids);
    arena_release(&sender->found_mem);
    *sender = (struct submit_sender){0};
}

/* ---- what is there already ------------------------------------------------------------------- */

static int found_read(struct submit_sender *sender, struct error *err)
{
    arena_release(&sender->found_mem);
    sender->found = NULL;
    sender->n_found = sender->at_found = 0;
    struct ds_step step = {.kind = DS_SUBMIT_FIND, .submit_find = {.submit = sender->name}};
    int rc = datastore_step(sender->ds, &step, &sender->found_mem, err);
    if (rc < 0)
        return rc;
    sender->found = step.submit_find.ret_chunks;
    sender->n_found = step.submit_find.ret_n;
    return 0;
}

int sender_name(struct submit_sender *sender, const char *name, bool *ret_complete,
                struct error *err)
{
    memcpy(sender->name, name, strlen(name) + 1);
    int rc = found_read(sender, err);
    if (rc < 0)
        return rc;
    int64_t index = 0;
    bool last = false;
    for (size_t i = 0; i < sender->n_found && sender->found[i].index == index; i++) {
        index += sender->found[i].count;
        last = sender->found[i].last;
    }
    *ret_complete = last;
    return 0;
}

const struct submit_chunk *sender_found(struct submit_sender *sender)
{
    while (sender->at_found < sender->n_found &&
           sender->found[sender->at_found].index < sender->index)
        sender->at_found++;
    if (sender->at_found == sender->n_found ||
        sender->found[sender->at_found].index != sender->index)
        return NULL;
    return &sender->found[sender->at_found];
}

void sender_skip(struct submit_sender *sender, const struct submit_chunk *chunk)
{
    id_set_add(&sender->ids, (struct range){.a = chunk->id, .b = chunk->id + chunk->count});
    sender->index += chunk->count;
    sender->already += chunk->count;
}

int64_t sender_room(const struct submit_sender *sender)
{
    for (size_t i = sender->at_found; i < sender->n_found; i++)
        if (sender->found[i].index > sender->index)
            return sender->found[i].index - sender->index;
    return INT64_MAX;
}

/* ---- filling a batch ------------------------------------------------------------------------- */

static int type_number(struct submit_sender *sender, const char *type, struct error *err)
{
    for (size_t i = 0; i < sender->n_types; i++)
        if (strcmp(sender->types[i], type) == 0)
            return (int)i;
    if (sender->n_types == SUBMIT_TYPES)
        return error_set(err, ERR_LIMIT, "more than %d job types in one submit", SUBMIT_TYPES);
    sender->types[sender->n_types] = cli_copy(type);
    return (int)sender->n_types++;
}

static bool lanes_equal(const struct lane_name *a, const struct lane_name *b)
{
    return a->priority == b->priority && a->partition == b->partition &&
           strcmp(a->queue, b->queue) == 0;
}

int sender_add(struct submit_sender *sender, struct submit_batch *batch,
               const struct lane_name *lane, struct error *err)
{
    struct job *job = &batch->jobs[batch->n];
    struct submit_piece *piece = batch->n_pieces > 0 ? &batch->pieces[batch->n_pieces - 1] : NULL;
    int type = type_number(sender, job->type, err);
    if (type < 0)
        return type;
    if (piece == NULL || !lanes_equal(&piece->lane, lane)) {
        if (batch->n_pieces == SUBMIT_PIECES)
            return ERR_BUSY;
        piece = &batch->pieces[batch->n_pieces++];
        *piece = (struct submit_piece){.lane = *lane, .first = batch->n};
    }
    job->token = sender->token + sender->index + (int64_t)batch->n;
    piece->types |= UINT64_C(1) << type;
    piece->n++;
    batch->n++;
    return 0;
}

/* ---- sending --------------------------------------------------------------------------------- */

static int lane_open(struct submit_sender *sender, const struct lane_name *name, int32_t *ret_lane,
                     struct error *err)
{
    for (size_t i = sender->n_lanes; i > 0; i--)
        if (lanes_equal(&sender->lane_names[i - 1], name)) {
            *ret_lane = sender->lane_numbers[i - 1];
            return 0;
        }
    struct ds_step step = {.kind = DS_LANE_OPEN, .lane_open = {.name = *name}};
    struct arena mem = {0};
    int rc = datastore_step(sender->ds, &step, &mem, err);
    arena_release(&mem);
    if (rc < 0)
        return rc;
    size_t n = sender->n_lanes + 1;
    sender->lane_names = cli_grow(sender->lane_names, n * sizeof(*sender->lane_names));
    sender->lane_numbers = cli_grow(sender->lane_numbers, n * sizeof(*sender->lane_numbers));
    sender->lane_names[sender->n_lanes] = *name;
    sender->lane_numbers[sender->n_lanes] = step.lane_open.ret_lane;
    sender->n_lanes = n;
    *ret_lane = step.lane_open.ret_lane;
    return 0;
}

/* Ids that were reserved and will hold no job: a hole would make the nodes wait for it. `chunk`:
 * what the first of them has to carry, or NULL. */
static int void_ids(struct submit_sender *sender, const int64_t *ids, size_t n,
                    const struct submit_chunk *chunk, struct error *err)
{
    struct arena mem = {0};
    struct job *rows = arena_alloc(&mem, n * sizeof(*rows));
    for (size_t i = 0; i < n; i++)
        rows[i] = (struct job){.id = ids[i], .state = JOB_VOID, .run = 1, .type = "void"};
    struct ds_step step = {.kind = DS_INSERT,
                           .insert = {.jobs = rows, .n_jobs = n, .chunk = chunk}};
    int rc = datastore_step(sender->ds, &step, &mem, err);
    arena_release(&mem);
    return rc;
}

/* The unfinished job that owns a key. ERR_NOT_FOUND: it has ended by now. */
static int key_owner(struct submit_sender *sender, const char *key, int64_t *ret_id,
                     struct error *err)
{
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_JOBS_READ,
                           .jobs_read = {.key = key, .rows_max = 1, .brief = true}};
    int rc = datastore_step(sender->ds, &step, &mem, err);
    if (rc == 0 && step.jobs_read.ret_n == 0)
        rc = ERR_NOT_FOUND;
    if (rc == 0)
        *ret_id = step.jobs_read.ret_jobs[0].id;
    arena_release(&mem);
    return rc;
}

/* Takes note of the ids of an inserted piece. Rows refused for their key stand for the job that
 * owns the key; their own ids become void. */
static int piece_accept(struct submit_sender *sender, const struct submit_batch *batch,
                        const struct submit_piece *piece, const struct ds_step *insert,
                        int64_t first, struct error *err)
{
    const int32_t *row_rc = insert->insert.ret_rc;
    int64_t *refused = NULL;
    size_t n_refused = 0;
    int rc = 0;
    for (size_t i = 0; i < piece->n && rc == 0; i++) {
        int64_t id = first + (int64_t)i;
        const struct job *job = &batch->jobs[piece->first + i];
        if (row_rc[i] == 0) {
            id_set_add(&sender->ids, (struct range){.a = id, .b = id + 1});
            continue;
        }
        refused = cli_grow(refused, (n_refused + 1) * sizeof(*refused));
        refused[n_refused++] = id;
        sender->taken++;
        int64_t owner = 0;
        if (job->spec != NULL && job->spec->key != NULL)
            rc = key_owner(sender, job->spec->key, &owner, err);
        if (owner > 0)
            id_set_add(&sender->ids, (struct range){.a = owner, .b = owner + 1});
        if (rc == ERR_NOT_FOUND)
            rc = 0;
    }
    /* The chunk stands with its first row: where that was refused, with the void in its place. */
    if (rc == 0 && n_refused > 0)
        rc =
            void_ids(sender, refused, n_refused, row_rc[0] != 0 ? insert->insert.chunk : NULL, err);
    free(refused);
    return rc;
}

/* Someone else has inserted this chunk, or our own reply was lost. *ret_there: it is there. */
static int piece_look(struct submit_sender *sender, int64_t index, size_t n, bool *ret_there,
                      struct error *err)
{
    *ret_there = false;
    if (sender->name[0] == '\0')
        return 0;
    int rc = found_read(sender, err);
    for (size_t i = 0; rc == 0 && i < sender->n_found; i++) {
        const struct submit_chunk *chunk = &sender->found[i];
        if (chunk->index != index)
            continue;
        if (chunk->count != (int64_t)n)
            return error_set(err, ERR_REFUSED,
                             "another submit named %s is under way with other input; wait for it, "
                             "or give another --token",
                             sender->name);
        id_set_add(&sender->ids, (struct range){.a = chunk->id, .b = chunk->id + chunk->count});
        *ret_there = true;
    }
    return rc;
}

struct sending {
    struct submit_sender *sender;
    struct submit_batch *batch;
    struct submit_chunk chunks[SUBMIT_PIECES];
    const char *types[SUBMIT_PIECES][SUBMIT_TYPES];
    size_t at; /* pieces before this are dealt with */
    bool last;
};

/* Two steps for each piece from `at` on. */
static int steps_make(struct sending *sending, size_t *ret_n, struct error *err)
{
    struct submit_sender *sender = sending->sender;
    struct submit_batch *batch = sending->batch;
    size_t n = 0;
    for (size_t i = sending->at; i < batch->n_pieces; i++) {
        const struct submit_piece *piece = &batch->pieces[i];
        int32_t lane = 0;
        int rc = lane_open(sender, &piece->lane, &lane, err);
        if (rc < 0)
            return rc;
        size_t n_types = 0;
        for (size_t t = 0; t < sender->n_types; t++)
            if (piece->types >> t & 1)
                sending->types[i][n_types++] = sender->types[t];
        sending->chunks[i] = (struct submit_chunk){
            .submit = sender->name,
            .index = sender->index + (int64_t)piece->first,
            .count = (int64_t)piece->n,
            .last = sending->last && i + 1 == batch->n_pieces,
        };
        sender->steps[n++] = (struct ds_step){.kind = DS_RESERVE,
                                              .reserve = {.lane = lane,
                                                          .count = (int64_t)piece->n,
                                                          .types = sending->types[i],
                                                          .n_types = n_types}};
        sender->steps[n++] = (struct ds_step){
            .kind = DS_INSERT,
            .insert = {.jobs = batch->jobs + piece->first,
                       .n_jobs = piece->n,
                       .from_reserve = true,
                       .chunk = sender->name[0] != '\0' ? &sending->chunks[i] : NULL}};
    }
    *ret_n = n;
    return 0;
}

/* The first piece that did not succeed. 0: dealt with, go on; or what to do about it. */
static int piece_failed(struct sending *sending, const struct ds_step *reserve,
                        const struct ds_step *insert, struct error *err)
{
    struct submit_sender *sender = sending->sender;
    const struct submit_piece *piece = &sending->batch->pieces[sending->at];
    int code = reserve->rc != 0 ? reserve->rc : insert->rc;
    bool there = false;
    if (code != ERR_DUPLICATE && code != ERR_UNKNOWN_OUTCOME)
        return code;
    int rc = piece_look(sender, sender->index + (int64_t)piece->first, piece->n, &there, err);
    if (rc == 0 && code == ERR_DUPLICATE && reserve->rc == 0) {
        int64_t *ids = cli_alloc(piece->n * sizeof(*ids));
        for (size_t i = 0; i < piece->n; i++)
            ids[i] = reserve->reserve.ret_first + (int64_t)i;
        rc = void_ids(sender, ids, piece->n, NULL, err);
        free(ids);
    }
    if (rc < 0)
        return rc;
    if (!there)
        return code;
    sending->at++;
    return 0;
}

/* One run with all that is left. 0: progress was made, or a code that says why not. */
static int pieces_send(struct sending *sending, struct error *err)
{
    struct submit_sender *sender = sending->sender;
    size_t n_steps = 0;
    int rc = steps_make(sending, &n_steps, err);
    if (rc < 0)
        return rc;
    struct ds_run run = {.steps = sender->steps, .n_steps = n_steps};
    datastore_run(sender->ds, &run);
    for (size_t i = 0; i < n_steps && rc == 0; i += 2) {
        const struct ds_step *reserve = &sender->steps[i], *insert = &sender->steps[i + 1];
        if (reserve->rc != 0 || insert->rc != 0) {
            rc = piece_failed(sending, reserve, insert, err);
            if (rc < 0 && err->code != rc)
                error_set(err, rc, "%s", run.err.code != 0 ? run.err.text : error_text(rc));
            break;
        }
        rc = piece_accept(sender, sending->batch, &sending->batch->pieces[sending->at], insert,
                          reserve->reserve.ret_first, err);
        sending->at++;
    }
    arena_release(&run.mem);
    return rc;
}

/* True when trying again is safe and may help. */
static bool retry_helps(const struct submit_sender *sender, int rc)
{
    return rc == ERR_UNAVAILABLE || rc == ERR_BUSY ||
           (rc == ERR_UNKNOWN_OUTCOME && sender->name[0] != '\0');
}

int sender_send(struct submit_sender *sender, struct submit_batch *batch, bool last,
                struct error *err)
{
    struct sending *sending = cli_alloc(sizeof(*sending));
    *sending = (struct sending){.sender = sender, .batch = batch, .last = last};
    uint64_t began_ms = clock_ms(), backoff_ms = BACKOFF_MS_MIN;
    int rc = 0;
    while (sending->at < batch->n_pieces) {
        err->code = 0;
        rc = pieces_send(sending, err);
        if (rc == 0)
            continue;
        if (!retry_helps(sender, rc) || clock_ms() - began_ms > RETRY_MS ||
            interrupt_seen(sender->interrupt) != 0)
            break;
        interrupt_wait(sender->interrupt, -1, backoff_ms);
        backoff_ms = backoff_ms * 2 < BACKOFF_MS_MAX ? backoff_ms * 2 : BACKOFF_MS_MAX;
    }
    /* What was accepted counts also when the rest was not. */
    size_t sent = batch->n;
    if (sending->at < batch->n_pieces)
        sent = batch->pieces[sending->at].first;
    sender->index += (int64_t)sent;
    free(sending);
    batch_reset(batch);
    if (rc == ERR_UNKNOWN_OUTCOME && sender->name[0] == '\0')
        error_set(err, rc,
                  "the datastore did not answer, the job may be submitted or not; see `stint job "
                  "list` (with --token NAME a submit can be repeated safely)");
    return rc;
}
