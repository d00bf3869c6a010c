/* Sends batches of jobs: reserve ids and insert rows, one run a batch.
 *
 * Each stretch of one lane is a chunk that carries the submit's name and its place in the input
 * (records.h), so a chunk is there once whatever happens to a reply, and a submit run again skips
 * what is there. What is found is taken as it is: an older chunk may be cut differently.
 *
 * On a store that does not commit a run at once, what may happen to a part of a batch is this:
 *
 *   no ids --reserve--> ids --insert--> sent
 *     ^                      ^----'  outcome unknown: the same insert again adds what is missing
 *     '--- rows refused (their id went to a VOID row): a part, and a chunk, of their own
 *
 * However long this process, or its machine, slept between two of these: a node that gives up on an
 * id puts a VOID row there first, and that refuses ours for good, as no row is ever deleted. So a
 * row that is there will be run, and is never taken back: another submit may have been told its id,
 * for its key or for the submit's name, and counts on it (docs/CORRECTNESS.md says what it takes to
 * delete rows).
 * Invariants: I9 (acknowledged only after the run has returned). Single-threaded. */
#include "cli/submit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    RETRY_MS = 15000,
    BACKOFF_MS_MIN = 20,
    BACKOFF_MS_MAX = 1000,
    TRIES_MAX = 20, /* ids that a job is given, one after the other */
};

void sender_init(struct submit_sender *sender, struct datastore *ds, struct interrupt *interrupt)
{
    *sender =
        (struct submit_sender){.ds = ds, .interrupt = interrupt, .backoff_ms_max = BACKOFF_MS_MAX};
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

/* A stretch of the batch on its way. Those that are sent are taken out of the list. */
struct part {
    const struct lane_name *lane;
    size_t first, n; /* in the batch */
    uint64_t types;  /* bits of the sender's types */
    int64_t id;      /* of its first row, reserved; 0: none yet */
    bool unsure;     /* some of its rows may be there */
    int tries;
};

struct sending {
    struct submit_sender *sender;
    struct submit_batch *batch;
    struct part *parts; /* in the order of the input */
    size_t n_parts, at; /* `at`: the one whose steps are looked at */
    bool last;
    bool lost; /* nobody can tell whether a part is there */
    /* Of the run under way. */
    struct submit_chunk chunks[SUBMIT_PIECES];
    const char *types[SUBMIT_PIECES][SUBMIT_TYPES];
};

/* Puts `n` parts in the place of the one at `at`, and goes on to the next one. */
static void parts_replace(struct sending *sending, const struct part *by, size_t n)
{
    size_t at = sending->at, rest = sending->n_parts - at - 1;
    sending->parts = cli_grow(sending->parts, (at + n + rest + 1) * sizeof(*sending->parts));
    memmove(sending->parts + at + n, sending->parts + at + 1, rest * sizeof(*sending->parts));
    memcpy(sending->parts + at, by, n * sizeof(*by));
    sending->n_parts = at + n + rest;
    sending->at = at + n;
}

/* The part is dealt with but for the rows that are `left`: each stretch of those is a part of its
 * own from now on. */
static int parts_again(struct sending *sending, const bool *left, struct error *err)
{
    const struct part part = sending->parts[sending->at];
    struct part *again = cli_alloc((part.n / 2 + 1) * sizeof(*again));
    size_t n = 0;
    for (size_t i = 0; i < part.n; i++) {
        if (!left[i])
            continue;
        if (i == 0 || !left[i - 1])
            again[n++] = (struct part){.lane = part.lane,
                                       .first = part.first + i,
                                       .types = part.types,
                                       .tries = part.tries + 1};
        again[n - 1].n++;
    }
    parts_replace(sending, again, n);
    free(again);
    if (n > 0 && part.tries + 1 == TRIES_MAX)
        return error_set(err, ERR_REFUSED,
                         "the ids of %zu jobs were taken %d times over by somebody else", part.n,
                         TRIES_MAX);
    return 0;
}

static void ids_note(struct submit_sender *sender, int64_t id, int64_t n)
{
    id_set_add(&sender->ids, (struct range){.a = id, .b = id + n});
}

/* ---- rows that were refused ------------------------------------------------------------------ */

/* The unfinished job that owns a key; 0: there is none any more. */
static int key_owner(struct submit_sender *sender, const char *key, int64_t *ret_id,
                     struct error *err)
{
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_JOBS_READ,
                           .jobs_read = {.key = key, .rows_max = 1, .brief = true}};
    int rc = datastore_step(sender->ds, &step, &mem, err);
    if (rc == 0)
        *ret_id = step.jobs_read.ret_n > 0 ? step.jobs_read.ret_jobs[0].id : 0;
    arena_release(&mem);
    return rc;
}

/* What becomes of the rows of a part. */
struct fates {
    bool *left;      /* to be sent again, under a new id */
    bool *taken;     /* refused: its key belongs to another job */
    int64_t *owners; /* that job; 0: it has ended since */
    struct job *voids;
    size_t n_voids;
};

/* A row refused for its key stands for the owner of that. Where that has ended meanwhile, or the
 * key is not the reason, there is nothing in the way of the job. The first row of a chunk is
 * settled: where it was its key, a VOID row has its place in the submit. */
static int fates_find(struct sending *sending, const struct part *part, const int32_t *row_rc,
                      struct fates *fates, struct error *err)
{
    struct submit_sender *sender = sending->sender;
    for (size_t i = 0; i < part->n; i++) {
        const struct job *job = &sending->batch->jobs[part->first + i];
        const char *key = job->spec != NULL ? job->spec->key : NULL;
        if (row_rc[i] == 0)
            continue;
        int rc = key != NULL ? key_owner(sender, key, &fates->owners[i], err) : 0;
        if (rc < 0)
            return rc;
        bool carrier = i == 0 && sender->name[0] != '\0';
        fates->taken[i] = fates->owners[i] > 0 || (key != NULL && carrier);
        fates->left[i] = !fates->taken[i];
        /* A token of its own: an insert tried again must not take the void for its job. */
        fates->voids[fates->n_voids++] = (struct job){.id = part->id + (int64_t)i,
                                                      .state = JOB_VOID,
                                                      .run = 1,
                                                      .type = "void",
                                                      .token = fates->taken[i] ? -job->token : 0};
    }
    return 0;
}

/* Puts VOID rows where no job will be: a hole would make the nodes wait for it. What keeps a row
 * out for its key is that void's being there; where another row has that id, too, the job is sent
 * again, and its key decides there. Without its first row a chunk is not there at all. */
static int fates_settle(struct sending *sending, const struct part *part, struct fates *fates,
                        struct error *err)
{
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_INSERT,
                           .insert = {.jobs = fates->voids, .n_jobs = fates->n_voids}};
    int rc = datastore_step(sending->sender->ds, &step, &mem, err);
    bool carried = sending->sender->name[0] == '\0' || !fates->left[0];
    for (size_t i = 0; rc == 0 && i < fates->n_voids; i++) {
        size_t row = (size_t)(fates->voids[i].id - part->id);
        if (row == 0 && fates->taken[0] && step.insert.ret_rc[i] != 0)
            carried = sending->sender->name[0] == '\0';
        if (fates->taken[row] && (step.insert.ret_rc[i] != 0 || !carried)) {
            fates->taken[row] = false;
            fates->left[row] = true;
        }
    }
    arena_release(&mem);
    return rc;
}

/* The part's insert has looked at every row: takes note of the ids, and what is left stays
 * in the list. After an error nothing is noted: the same insert comes to the same. */
static int part_accept(struct sending *sending, const int32_t *row_rc, struct error *err)
{
    struct submit_sender *sender = sending->sender;
    const struct part part = sending->parts[sending->at];
    struct arena mem = {0};
    struct fates fates = {.left = arena_alloc(&mem, part.n * sizeof(*fates.left)),
                          .taken = arena_alloc(&mem, part.n * sizeof(*fates.taken)),
                          .owners = arena_alloc(&mem, part.n * sizeof(*fates.owners)),
                          .voids = arena_alloc(&mem, part.n * sizeof(*fates.voids))};
    int rc = fates_find(sending, &part, row_rc, &fates, err);
    if (rc == 0 && fates.n_voids > 0)
        rc = fates_settle(sending, &part, &fates, err);
    for (size_t i = 0; rc == 0 && i < part.n; i++) {
        if (row_rc[i] == 0)
            ids_note(sender, part.id + (int64_t)i, 1);
        if (fates.taken[i] && fates.owners[i] > 0)
            ids_note(sender, fates.owners[i], 1);
        sender->taken += fates.taken[i];
    }
    if (rc == 0)
        rc = parts_again(sending, fates.left, err);
    else
        sending->parts[sending->at].unsure = true;
    arena_release(&mem);
    return rc;
}

/* ---- what somebody else has sent ------------------------------------------------------------- */

static int64_t part_index(const struct sending *sending, const struct part *part)
{
    return sending->sender->index + (int64_t)part->first;
}

static int other_input(const struct submit_sender *sender, struct error *err)
{
    return error_set(err, ERR_REFUSED,
                     "another submit named %s is under way with other input; wait for it, or give "
                     "another --token",
                     sender->name);
}

/* Whether the found chunks are the part: all of it in one, or what is there of one that was cut,
 * and what fills its gaps. */
static int found_check(const struct sending *sending, const struct part *part, struct error *err)
{
    const struct submit_sender *sender = sending->sender;
    int64_t a = part_index(sending, part), b = a + (int64_t)part->n;
    bool whole = false, cut = false, any = false;
    for (size_t i = 0; i < sender->n_found; i++) {
        const struct submit_chunk *chunk = &sender->found[i];
        int64_t end = chunk->index + chunk->count;
        if (end <= a || chunk->index >= b)
            continue;
        if (chunk->index < a || end > b)
            return other_input(sender, err);
        any = true;
        cut = cut || chunk->cut;
        whole = whole || (chunk->index == a && end == b);
    }
    return any && !whole && !cut ? other_input(sender, err) : 0;
}

/* Somebody else has inserted the part's chunk, or our own reply was lost: takes what is there
 * and leaves the rest in the list. *ret_there: something was. */
static int part_look(struct sending *sending, bool *ret_there, struct error *err)
{
    struct submit_sender *sender = sending->sender;
    const struct part part = sending->parts[sending->at];
    int64_t a = part_index(sending, &part), b = a + (int64_t)part.n;
    *ret_there = false;
    int rc = found_read(sender, err);
    if (rc == 0)
        rc = found_check(sending, &part, err);
    if (rc < 0)
        return rc;
    bool *left = cli_alloc(part.n * sizeof(*left));
    memset(left, true, part.n * sizeof(*left));
    for (size_t i = 0; i < sender->n_found; i++) {
        const struct submit_chunk *chunk = &sender->found[i];
        if (chunk->index < a || chunk->index >= b)
            continue;
        ids_note(sender, chunk->id, chunk->count);
        memset(left + (chunk->index - a), false, (size_t)chunk->count * sizeof(*left));
        *ret_there = true;
    }
    if (*ret_there)
        rc = parts_again(sending, left, err);
    free(left);
    return rc;
}

/* Reserved ids that are of no use. Best effort: what is left of them the nodes declare void. */
static void ids_void(struct submit_sender *sender, int64_t first, size_t n)
{
    struct arena mem = {0};
    struct job *rows = arena_alloc(&mem, n * sizeof(*rows));
    for (size_t i = 0; i < n; i++)
        rows[i] =
            (struct job){.id = first + (int64_t)i, .state = JOB_VOID, .run = 1, .type = "void"};
    struct ds_step step = {.kind = DS_INSERT, .insert = {.jobs = rows, .n_jobs = n}};
    (void)datastore_step(sender->ds, &step, &mem, NULL);
    arena_release(&mem);
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* The steps of one part: to reserve, unless it has ids, and to insert. */
static int steps_add(struct sending *sending, size_t at, size_t *n, struct error *err)
{
    struct submit_sender *sender = sending->sender;
    struct part *part = &sending->parts[at];
    struct job *jobs = sending->batch->jobs + part->first;
    int32_t lane = 0;
    int rc = lane_open(sender, part->lane, &lane, err);
    if (rc < 0)
        return rc;
    size_t n_types = 0;
    for (size_t t = 0; t < sender->n_types; t++)
        if (part->types >> t & 1)
            sending->types[at][n_types++] = sender->types[t];
    sending->chunks[at] = (struct submit_chunk){
        .submit = sender->name,
        .index = part_index(sending, part),
        .count = (int64_t)part->n,
        .last = sending->last && part->first + part->n == sending->batch->n,
    };
    if (part->id == 0)
        sender->steps[(*n)++] = (struct ds_step){.kind = DS_RESERVE,
                                                 .reserve = {.lane = lane,
                                                             .count = (int64_t)part->n,
                                                             .types = sending->types[at],
                                                             .n_types = n_types}};
    for (size_t i = 0; i < part->n; i++)
        jobs[i].id = part->id != 0 ? part->id + (int64_t)i : 0;
    sender->steps[(*n)++] = (struct ds_step){
        .kind = DS_INSERT,
        .insert = {.jobs = jobs,
                   .n_jobs = part->n,
                   .from_reserve = part->id == 0,
                   .chunk = sender->name[0] != '\0' ? &sending->chunks[at] : NULL}};
    return 0;
}

/* The part did not succeed. 0: dealt with, go on; or what to do about it. */
static int part_failed(struct sending *sending, const struct ds_step *reserve,
                       const struct ds_step *insert, struct error *err)
{
    struct submit_sender *sender = sending->sender;
    struct part *part = &sending->parts[sending->at];
    bool reserved = reserve == NULL || reserve->rc == 0;
    /* Without ids of ours only a commit of both steps can have put the rows there. */
    bool both = !reserved && insert->rc == ERR_UNKNOWN_OUTCOME;
    bool other = reserved && insert->rc == ERR_DUPLICATE, there = false;
    int code = reserved ? insert->rc : reserve->rc;
    part->unsure = part->unsure || (reserved && code == ERR_UNKNOWN_OUTCOME);
    sending->lost = both && sender->name[0] == '\0';
    if (sending->lost || (!both && !other))
        return code;
    int64_t first = part->id;
    size_t n = part->n;
    int rc = part_look(sending, &there, err);
    if (rc == 0 && other)
        ids_void(sender, first, n);
    return rc < 0 ? rc : there ? 0 : code;
}

/* One run with what is left, or with as much of it as a run takes. 0: progress was made, or a code
 * that says why not. */
static int parts_send(struct sending *sending, struct error *err)
{
    struct submit_sender *sender = sending->sender;
    size_t n_steps = 0, n_parts = 0;
    int rc = 0;
    for (; n_parts < sending->n_parts && n_parts < SUBMIT_PIECES && rc == 0; n_parts++)
        rc = steps_add(sending, n_parts, &n_steps, err);
    if (rc < 0)
        return rc;
    struct ds_run run = {.steps = sender->steps, .n_steps = n_steps};
    datastore_run(sender->ds, &run);
    sending->at = 0;
    bool failed = false;
    for (size_t i = 0, step = 0; i < n_parts && rc == 0 && !failed; i++) {
        struct part *part = &sending->parts[sending->at];
        const struct ds_step *reserve = part->id == 0 ? &sender->steps[step++] : NULL;
        const struct ds_step *insert = &sender->steps[step++];
        if (reserve != NULL && reserve->rc == 0)
            part->id = reserve->reserve.ret_first;
        failed = insert->rc != 0;
        rc = failed ? part_failed(sending, reserve, insert, err)
                    : part_accept(sending, insert->insert.ret_rc, err);
        if (rc < 0 && err->code != rc)
            error_set(err, rc, "%s", run.err.code != 0 ? run.err.text : error_text(rc));
    }
    arena_release(&run.mem);
    return rc;
}

/* True when trying again is safe and may help. */
static bool retry_helps(const struct sending *sending, int rc)
{
    return rc == ERR_UNAVAILABLE || rc == ERR_BUSY || (rc == ERR_UNKNOWN_OUTCOME && !sending->lost);
}

static void sending_init(struct sending *sending, struct submit_sender *sender,
                         struct submit_batch *batch, bool last)
{
    *sending = (struct sending){.sender = sender, .batch = batch, .last = last};
    sending->parts = cli_alloc(batch->n_pieces * sizeof(*sending->parts));
    for (size_t i = 0; i < batch->n_pieces; i++) {
        const struct submit_piece *piece = &batch->pieces[i];
        sending->parts[sending->n_parts++] = (struct part){
            .lane = &piece->lane, .first = piece->first, .n = piece->n, .types = piece->types};
    }
}

static bool sending_unsure(const struct sending *sending)
{
    bool unsure = false;
    for (size_t i = 0; i < sending->n_parts; i++)
        unsure = unsure || sending->parts[i].unsure;
    return unsure;
}

/* What was accepted counts also when the rest was not. */
static void sending_end(struct sending *sending)
{
    struct submit_sender *sender = sending->sender;
    size_t sent = sending->n_parts > 0 ? sending->parts[0].first : sending->batch->n;
    sender->beyond = (int64_t)(sending->batch->n - sent);
    for (size_t i = 0; i < sending->n_parts; i++)
        sender->beyond -= (int64_t)sending->parts[i].n;
    sender->index += (int64_t)sent;
    batch_reset(sending->batch);
    free(sending->parts);
    free(sending);
}

int sender_send(struct submit_sender *sender, struct submit_batch *batch, bool last,
                struct error *err)
{
    struct sending *sending = cli_alloc(sizeof(*sending));
    sending_init(sending, sender, batch, last);
    uint64_t began_ms = clock_ms(), backoff_ms = BACKOFF_MS_MIN;
    int rc = 0;
    while (sending->n_parts > 0) {
        err->code = 0;
        rc = parts_send(sending, err);
        if (rc == 0)
            continue;
        if (!retry_helps(sending, rc) || clock_ms() - began_ms > RETRY_MS ||
            interrupt_seen(sender->interrupt) != 0)
            break;
        if (backoff_ms > sender->backoff_ms_max)
            backoff_ms = sender->backoff_ms_max;
        interrupt_wait(sender->interrupt, -1, backoff_ms);
        backoff_ms *= 2;
    }
    sender->unsure = rc < 0 && (sending->lost || sending_unsure(sending));
    sending_end(sending);
    return rc;
}
