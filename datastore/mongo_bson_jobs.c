/* Jobs, finished ranges and history to the MongoDB backend's documents and back.
 *
 * A job's spec and ending are the same sub-documents as in sqlite's blobs (record_bson.c). A job's
 * document is read in one pass over its fields, since rows are read by the thousand; the rest is
 * looked up by name. Pure. */
#include <stddef.h>

#include "datastore/bson_fields.h"
#include "datastore/mongo_bson.h"
#include "datastore/record_bson.h"

/* ---- jobs ----------------------------------------------------------------------------------- */

const char *job_unique_key(const struct job *job)
{
    bool unfinished =
        job->state == JOB_QUEUED || job->state == JOB_SCHEDULED || job->state == JOB_BLOCKED;
    return unfinished && job->spec != NULL ? job->spec->key : NULL;
}

static void put_sub(bson_t *doc, const char *key, struct bytes sub)
{
    bson_t view;
    if (sub.len > 0 && bson_init_static(&view, sub.data, sub.len))
        bson_append_document(doc, key, -1, &view);
}

void ending_to_doc(const struct job_ending *ending, const char *key, struct arena *mem, bson_t *doc)
{
    put_sub(doc, key, ending_encode(ending, mem));
}

void chunk_to_doc(const struct submit_chunk *chunk, bson_t *doc)
{
    bson_t sub;
    bson_append_document_begin(doc, "chunk", -1, &sub);
    put_text(&sub, "submit", chunk->submit);
    put_int(&sub, "index", chunk->index);
    put_int(&sub, "count", chunk->count);
    if (chunk->last)
        put_bool(&sub, "last", true);
    if (chunk->cut)
        put_bool(&sub, "cut", true);
    bson_append_document_end(doc, &sub);
}

void job_to_doc(const struct job *job, int64_t id, int64_t created_ms,
                const struct submit_chunk *chunk, struct arena *mem, bson_t *doc)
{
    put_int(doc, "_id", id);
    put_text(doc, "state", job_state_name(job->state));
    bson_append_int32(doc, "run", -1, job->run);
    put_text(doc, "type", job->type);
    put_int(doc, "token", job->token);
    put_date(doc, "created", created_ms);
    put_bytes(doc, "payload", job->payload);
    put_bytes(doc, "argv", job->argv);
    put_text(doc, "batch", job->batch);
    put_date(doc, "started", job->started_ms);
    put_date(doc, "finished", job->finished_ms);
    put_nonzero(doc, "node", job->node);
    put_nonzero(doc, "interruptions", job->interruptions);
    put_nonzero(doc, "slot", job->slot);
    put_date(doc, "due", job->due_ms);
    put_text(doc, "key", job_unique_key(job));
    if (job->spec != NULL)
        put_sub(doc, "spec", spec_encode(job->spec, mem));
    if (job->ending != NULL)
        ending_to_doc(job->ending, "ending", mem, doc);
    if (chunk != NULL)
        chunk_to_doc(chunk, doc);
}

static bool text_at(const bson_iter_t *at, const char **last, struct arena *mem)
{
    const char *text;
    uint32_t len;
    if (!text_of(at, &text, &len))
        return false;
    if (*last == NULL || strlen(*last) != len || memcmp(*last, text, len) != 0)
        *last = arena_string_n(mem, text, len);
    return true;
}

static bool bytes_at(const bson_iter_t *at, struct arena *mem, struct bytes *ret_bytes)
{
    bson_subtype_t subtype;
    uint32_t len;
    const uint8_t *data;
    if (!BSON_ITER_HOLDS_BINARY(at))
        return false;
    bson_iter_binary(at, &subtype, &len, &data);
    *ret_bytes = arena_bytes(mem, (struct bytes){data, len});
    return true;
}

static struct bytes sub_at(const bson_iter_t *at)
{
    const uint8_t *data = NULL;
    uint32_t len = 0;
    if (BSON_ITER_HOLDS_DOCUMENT(at))
        bson_iter_document(at, &len, &data);
    return (struct bytes){data, len};
}

/* The numbers of a row, by their fields' names. */
static int64_t *job_number(struct job *job, const char *key)
{
    static const struct {
        const char *key;
        size_t offset;
    } numbers[] = {
        {"_id", offsetof(struct job, id)},
        {"token", offsetof(struct job, token)},
        {"created", offsetof(struct job, created_ms)},
        {"started", offsetof(struct job, started_ms)},
        {"finished", offsetof(struct job, finished_ms)},
        {"node", offsetof(struct job, node)},
        {"slot", offsetof(struct job, slot)},
        {"due", offsetof(struct job, due_ms)},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (strcmp(numbers[i].key, key) == 0)
            return (int64_t *)((char *)job + numbers[i].offset);
    return NULL;
}

/* False: damaged. */
static bool job_field(struct job *job, const bson_iter_t *at, struct arena *mem,
                      struct job_texts *texts)
{
    const char *key = bson_iter_key(at);
    int64_t *to = job_number(job, key), value = 0;
    if (to != NULL)
        return number_at(at, to);
    if (strcmp(key, "state") == 0) {
        int state = BSON_ITER_HOLDS_UTF8(at) ? job_state_parse(bson_iter_utf8(at, NULL)) : -1;
        job->state = state >= 0 ? (enum job_state)state : JOB_VOID;
        return state >= 0;
    }
    if (strcmp(key, "run") == 0 || strcmp(key, "interruptions") == 0) {
        bool good = number_at(at, &value) && value >= 0 && value <= INT32_MAX;
        *(key[0] == 'r' ? &job->run : &job->interruptions) = (int32_t)value;
        return good;
    }
    if (strcmp(key, "type") == 0) {
        bool good = text_at(at, &texts->type, mem);
        job->type = texts->type;
        return good;
    }
    if (strcmp(key, "batch") == 0) {
        bool good = text_at(at, &texts->batch, mem);
        job->batch = texts->batch;
        return good;
    }
    if (strcmp(key, "payload") == 0)
        return bytes_at(at, mem, &job->payload);
    if (strcmp(key, "argv") == 0)
        return bytes_at(at, mem, &job->argv);
    if (strcmp(key, "spec") == 0)
        return spec_decode(sub_at(at), mem, &job->spec) == 0;
    if (strcmp(key, "ending") == 0)
        return ending_decode(sub_at(at), mem, &job->ending) == 0;
    return true;
}

int job_from_doc(const bson_t *doc, struct arena *mem, struct job_texts *texts, struct job *ret_job)
{
    struct job job = {.type = ""};
    bson_iter_t at;
    uint32_t end = 0;
    if (!bson_iter_init(&at, doc))
        return ERR_CORRUPT;
    while (bson_iter_next(&at)) {
        end = at.next_off;
        if (!job_field(&job, &at, mem, texts))
            return ERR_CORRUPT;
    }
    if (job.id < 1 || end != doc->len - 1) /* else not at its end, but where it is damaged */
        return ERR_CORRUPT;
    *ret_job = job;
    return 0;
}

int chunk_from_doc(const bson_t *doc, struct arena *mem, struct submit_chunk *ret_chunk)
{
    struct reader reader, sub;
    bson_iter_t at;
    reader_on(&reader, doc, mem);
    if (!find(&reader, "chunk", BSON_TYPE_DOCUMENT, &at))
        return reader.damaged ? ERR_CORRUPT : ERR_NOT_FOUND;
    reader_init(&sub, sub_at(&at), mem);
    struct submit_chunk chunk = {.submit = get_text(&sub, "submit"),
                                 .index = number(&sub, "index"),
                                 .id = number(&reader, "_id"),
                                 .count = number(&sub, "count"),
                                 .last = number(&sub, "last") != 0,
                                 .cut = number(&sub, "cut") != 0};
    if (reader.damaged || sub.damaged || chunk.submit == NULL || chunk.count < 1)
        return ERR_CORRUPT;
    *ret_chunk = chunk;
    return 0;
}

/* ---- finished ranges and history ------------------------------------------------------------ */

void stint_to_doc(const struct stint_row *row, bson_t *doc)
{
    put_int(doc, "a", row->range.a);
    put_int(doc, "b", row->range.b);
    put_int(doc, "node", row->node);
    put_int(doc, "done", row->done);
    put_int(doc, "failed", row->failed);
    put_int(doc, "cancelled", row->cancelled);
    put_date(doc, "first", row->first_start_ms);
    put_date(doc, "last", row->last_finish_ms);
}

int stint_from_doc(const bson_t *doc, struct stint_row *ret_row)
{
    struct reader reader;
    reader_on(&reader, doc, NULL);
    struct stint_row row = {.range = {.a = number(&reader, "a"), .b = number(&reader, "b")},
                            .node = number(&reader, "node"),
                            .done = number(&reader, "done"),
                            .failed = number(&reader, "failed"),
                            .cancelled = number(&reader, "cancelled"),
                            .first_start_ms = number(&reader, "first"),
                            .last_finish_ms = number(&reader, "last")};
    if (reader.damaged)
        return ERR_CORRUPT;
    *ret_row = row;
    return 0;
}

void history_to_doc(const struct history_row *row, bson_t *doc)
{
    put_int(doc, "node", row->node);
    put_int(doc, "seq", row->seq);
    put_date(doc, "at", row->at_ms);
    put_bool(doc, "whole", row->whole);
    put_bytes(doc, "body", row->body);
}

int history_from_doc(const bson_t *doc, struct arena *mem, struct history_row *ret_row)
{
    struct reader reader;
    reader_on(&reader, doc, mem);
    struct history_row row = {.node = number(&reader, "node"),
                              .seq = number(&reader, "seq"),
                              .at_ms = number(&reader, "at"),
                              .whole = number(&reader, "whole") != 0,
                              .body = get_bytes(&reader, "body")};
    if (reader.damaged)
        return ERR_CORRUPT;
    *ret_row = row;
    return 0;
}
