/* Goal: documents of the MongoDB backend, from any bytes a server may send: refused with nothing
 * set, or read into a record within its limits that comes back the same from the document made of
 * it.
 * Method: the first byte chooses the record (numbered as in tests/support/docs.h). Read, write,
 * read and write again: both times the same document. */
#include "datastore/mongo_bson.h"
#include "tests/fuzz/bson_mutator.h"

enum { META, QUEUE, LANE, NODE, JOB, STINT, HISTORY, CHUNK, KINDS };

union record {
    struct meta meta;
    struct queue queue;
    struct lane lane;
    struct node node;
    struct job job;
    struct stint_row stint;
    struct history_row history;
    struct submit_chunk chunk;
};

static int record_read(int kind, const bson_t *doc, struct arena *mem, union record *ret_record)
{
    struct job_texts texts = {0};
    int64_t version;
    switch (kind) {
    case META:
        return meta_from_doc(doc, &ret_record->meta);
    case QUEUE:
        return queue_from_doc(doc, &ret_record->queue);
    case LANE:
        return lane_from_doc(doc, mem, &ret_record->lane, &version);
    case NODE:
        return node_from_doc(doc, mem, &ret_record->node);
    case JOB:
        return job_from_doc(doc, mem, &texts, &ret_record->job);
    case STINT:
        return stint_from_doc(doc, &ret_record->stint);
    case HISTORY:
        return history_from_doc(doc, mem, &ret_record->history);
    default:
        return chunk_from_doc(doc, mem, &ret_record->chunk);
    }
}

static void record_write(int kind, const union record *record, struct arena *mem, bson_t *doc)
{
    switch (kind) {
    case META:
        meta_to_doc(&record->meta, 1, doc);
        bson_append_utf8(doc, "copying", -1, record->meta.copying, -1);
        break;
    case QUEUE:
        bson_append_utf8(doc, "_id", -1, record->queue.name, -1);
        queue_to_doc(&record->queue, doc);
        break;
    case LANE:
        lane_to_doc(&record->lane, doc);
        break;
    case NODE:
        node_to_doc(&record->node, doc);
        break;
    case JOB:
        job_to_doc(&record->job, record->job.id, record->job.created_ms, NULL, mem, doc);
        break;
    case STINT:
        stint_to_doc(&record->stint, doc);
        break;
    case HISTORY:
        history_to_doc(&record->history, doc);
        break;
    default:
        bson_append_int64(doc, "_id", -1, record->chunk.id);
        chunk_to_doc(&record->chunk, doc);
    }
}

/* What whoever reads the record relies on. */
static void require_limits(int kind, const union record *record)
{
    if (kind == JOB) {
        REQUIRE(record->job.id >= 1 && record->job.type != NULL);
        REQUIRE(record->job.run >= 0 && record->job.interruptions >= 0);
        REQUIRE((int)record->job.state >= 0 && record->job.state < JOB_STATES);
    } else if (kind == LANE) {
        REQUIRE(record->lane.number >= 0 && record->lane.number < LIMIT_LANES);
        for (size_t i = 0; i < record->lane.n_entries; i++)
            REQUIRE(record->lane.entries[i].node > 0);
    } else if (kind == NODE) {
        REQUIRE(record->node.id > 0 && record->node.state < NODE_STATES);
        REQUIRE(memchr(record->node.name, '\0', sizeof(record->node.name)) != NULL);
        REQUIRE(memchr(record->node.cause, '\0', sizeof(record->node.cause)) != NULL);
    } else if (kind == CHUNK) {
        REQUIRE(record->chunk.submit != NULL && record->chunk.count >= 1);
    }
}

static void record_again(int kind, const union record *record, struct arena *mem)
{
    bson_t first = BSON_INITIALIZER, second = BSON_INITIALIZER;
    union record again;
    memset(&again, 0, sizeof(again));
    record_write(kind, record, mem, &first);
    REQUIRE(record_read(kind, &first, mem, &again) == 0);
    record_write(kind, &again, mem, &second);
    REQUIRE(bson_equal(&first, &second));
    bson_destroy(&first);
    bson_destroy(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const union record nothing;
    struct bytes input = {data, size};
    struct arena mem = {0};
    union record record;
    bson_t doc;
    int kind = take_byte(&input) % KINDS;
    memset(&record, 0, sizeof(record));
    if (!bson_init_static(&doc, input.data, input.len)) /* as the driver does */
        return 0;
    int rc = record_read(kind, &doc, &mem, &record);
    if (rc == 0) {
        require_limits(kind, &record);
        record_again(kind, &record, &mem);
    } else {
        REQUIRE(rc == ERR_CORRUPT || (kind == CHUNK && rc == ERR_NOT_FOUND));
        REQUIRE(memcmp(&record, &nothing, sizeof(record)) == 0);
    }
    arena_release(&mem);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static const char *const names[] = {
        "_id",     "schema",  "features", "created",   "copying",       "paused",   "weight",
        "changed", "by",      "queue",    "priority",  "partition",     "tail",     "head",
        "holder",  "types",   "pool",     "entries",   "pool_version",  "suspect",  "a",
        "b",       "n77",     "g",        "r",         "state",         "since",    "beat",
        "ranges",  "running", "granted",  "returning", "rate",          "desired",  "requests",
        "queued",  "dead",    "working",  "cancel",    "shed",          "type",     "batch",
        "payload", "argv",    "spec",     "ending",    "interruptions", "run",      "chunk",
        "submit",  "index",   "count",    "last",      "node",          "seq",      "body",
        "whole",   "env",     "limits",   "trace",     "exit",          "due",      "slot",
        "done",    "failed",  "token",    "started",   "finished",      "tomorrow", "paused"};
    return mutate_documents(data, size, max_size, seed, 1, names, sizeof(names) / sizeof(names[0]));
}
