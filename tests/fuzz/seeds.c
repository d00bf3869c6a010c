/* Writes first inputs for the fuzz targets that read records: the full ones of the unit tests, as
 * the backends write them. `fuzz_seeds FOLDER` fills FOLDER/TARGET; script/fuzz --minimize does so
 * and keeps what says something new. */
#include <sys/stat.h>

#include "datastore/datastore.h"
#include "datastore/record_bson.h"
#include "proto/codec.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/docs.h"

/* One input: `lead` first, then the document. */
static void seed(const char *folder, const char *target, const char *name, struct bytes lead,
                 struct bytes doc)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, target);
    (void)mkdir(path, 0777);
    snprintf(path, sizeof(path), "%s/%s/%s", folder, target, name);
    FILE *file = fopen(path, "wbe");
    REQUIRE(file != NULL);
    REQUIRE(fwrite(lead.data, 1, lead.len, file) == lead.len);
    REQUIRE(fwrite(doc.data, 1, doc.len, file) == doc.len);
    REQUIRE(fclose(file) == 0);
}

static void seed_numbered(const char *folder, const char *target, const char *name, uint8_t number,
                          struct bytes doc)
{
    seed(folder, target, name, (struct bytes){&number, 1}, doc);
}

/* As record_bson.c writes them; numbered as in fuzz_bson.c. */
static void bson_seeds(const char *folder, struct arena *mem)
{
    struct bytes none = {0};
    struct meta meta = full_meta;
    struct queue queue = full_queue();
    snprintf(meta.copying, sizeof(meta.copying), "sqlite:/tmp/x.db");
    const struct {
        const char *name;
        struct bytes doc;
    } docs[] = {
        {"seed-meta", meta_encode(&meta, none, mem)},
        {"seed-queue", queue_encode(&queue, none, mem)},
        {"seed-lane", lane_encode(&full_lane, none, mem)},
        {"seed-node", node_encode(&full_node, none, mem)},
        {"seed-spec", spec_encode(&full_spec, mem)},
        {"seed-ending", ending_encode(&full_ending, mem)},
    };
    for (size_t i = 0; i < sizeof(docs) / sizeof(docs[0]); i++)
        seed_numbered(folder, "bson", docs[i].name, (uint8_t)i, docs[i].doc);
}

/* As mongo_bson.c writes them; numbered as in docs.h. */
static void docs_seeds(const char *folder, struct arena *mem)
{
    static const char *const names[RECORDS] = {"seed-meta",   "seed-queue", "seed-lane",
                                               "seed-node",   "seed-job",   "seed-stint",
                                               "seed-history"};
    bson_t docs[RECORDS];
    docs_make(docs, mem);
    for (int i = 0; i < RECORDS; i++)
        seed_numbered(folder, "docs", names[i], (uint8_t)i,
                      (struct bytes){bson_get_data(&docs[i]), docs[i].len});
    seed_numbered(folder, "docs", "seed-chunk", CHUNK,
                  (struct bytes){bson_get_data(&docs[JOB]), docs[JOB].len});
    seed_numbered(folder, "print", "seed-job", 0,
                  (struct bytes){bson_get_data(&docs[JOB]), docs[JOB].len});
    docs_destroy(docs);
}

/* ---- replies, as fuzz_replies.c takes them ---- */

enum { HEAD_BYTES = 32, DOCUMENTS_BYTES = 8192 };

struct documents {
    uint8_t bytes[DOCUMENTS_BYTES];
    size_t len;
};

static void document_add(struct documents *documents, bson_t *doc)
{
    REQUIRE(documents->len + doc->len <= sizeof(documents->bytes));
    memcpy(documents->bytes + documents->len, bson_get_data(doc), doc->len);
    documents->len += doc->len;
    bson_destroy(doc);
}

/* What findAndModify gives. */
static void value_add(struct documents *documents, bson_t *doc)
{
    bson_t reply = BSON_INITIALIZER;
    bson_append_document(&reply, "value", -1, doc);
    bson_append_double(&reply, "ok", -1, 1);
    document_add(documents, &reply);
    bson_destroy(doc);
}

/* What insert and update give, with one row refused for a key that is there. */
static void counts_add(struct documents *documents, bool refused)
{
    bson_t *reply =
        refused ? BCON_NEW("n", BCON_INT32(5), "nModified", BCON_INT32(5), "ok", BCON_DOUBLE(1),
                           "writeErrors", "[", "{", "index", BCON_INT32(0), "code",
                           BCON_INT32(11000), "errmsg", BCON_UTF8("E11000 duplicate key"), "}", "]")
                : BCON_NEW("n", BCON_INT32(6), "nModified", BCON_INT32(6), "ok", BCON_DOUBLE(1));
    document_add(documents, reply);
}

/* The records that the steps of fuzz_replies.c ask about. */
static void record_docs(bson_t docs[RECORDS], int64_t row, struct arena *mem)
{
    static struct lane_entry entry = {.node = 77, .g = 1, .r = 1};
    struct lane lane = {.number = 1, .name = {"mail", 2, 0}, .entries = &entry, .n_entries = 1};
    struct node node = full_node;
    struct job job = full_job;
    struct submit_chunk chunk = {.submit = "s", .count = 20};
    int64_t first = id_make(1, 10);
    lane.tail = first + 6;
    lane.head = first;
    node.id = 77;
    node.beat = 9;
    job.id = first + row;
    job.state = row % 2 == 0 ? JOB_QUEUED : JOB_DONE;
    docs_make(docs, mem);
    bson_reinit(&docs[LANE]);
    lane_to_doc(&lane, &docs[LANE]);
    bson_reinit(&docs[NODE]);
    node_to_doc(&node, &docs[NODE]);
    bson_reinit(&docs[JOB]);
    job_to_doc(&job, job.id, 1, &chunk, mem, &docs[JOB]);
}

/* One for each kind of step, and form: what changes give, or what cursors give. They have no name
 * to stay by: a minimal corpus holds those that lead somewhere. */
static void replies_seeds(const char *folder, struct arena *mem)
{
    for (int kind = 0; kind < DS_KINDS; kind++)
        for (int form = 0; form < 5; form++) {
            uint8_t head[HEAD_BYTES] = {(uint8_t)kind, (uint8_t)(form % 4 * 0x55)};
            struct documents documents = {.len = 0};
            char name[32];
            for (int64_t row = 0; row < 2; row++) {
                bson_t docs[RECORDS];
                record_docs(docs, row, mem);
                for (int i = 0; i < RECORDS; i++)
                    if (form == 0 && (i == LANE || i == NODE))
                        value_add(&documents, &docs[i]);
                    else if (form == 4 && i == JOB)
                        document_add(&documents, &docs[i]);
                    else if (form == 1 && i != HISTORY && i != STINT)
                        document_add(&documents, &docs[i]);
                    else if (form == 2 && (i == JOB || i == NODE || i == STINT || i == HISTORY))
                        document_add(&documents, &docs[i]);
                    else
                        bson_destroy(&docs[i]);
                counts_add(&documents, form == 3);
            }
            snprintf(name, sizeof(name), "%02d%d", kind, form);
            seed(folder, "replies", name, (struct bytes){head, sizeof(head)},
                 (struct bytes){documents.bytes, documents.len});
        }
}

/* Facts of every kind, as fuzz_recording.c takes them: a file of two readings and what belongs to
 * them, and each fact alone. */
static void recording_seeds(const char *folder, struct arena *mem)
{
    enum { VIEWS_CHOSEN = 7 }; /* the last of them: none */
    static const int64_t at_ms = 1700000000000;
    static const struct wire_beat beat = {0, 900, 50};
    struct node node = full_node;
    struct lane lane = full_lane;
    struct queue queue = full_queue();
    bson_t *body = BCON_NEW("name", BCON_UTF8("one"), "state", BCON_INT32(NODE_WORKING), "lanes",
                            "[", "{", "lane", BCON_INT32(0), "head", BCON_INT64(40), "tail",
                            BCON_INT64(90), "pool", "[", "]", "}", "]");
    node.beat_ms = node.since_ms = node.created_ms = at_ms;
    lane.number = 0;
    lane.head = 50;
    lane.tail = 90;
    const struct wire_fact facts[] = {
        {.kind = WIRE_VERSION,
         .version = {node.id, 1, at_ms - 2000, true, {bson_get_data(body), body->len}}},
        {.kind = WIRE_READING, .reading = {.at_ms = at_ms, .nodes = &node, .n_nodes = 1}},
        {.kind = WIRE_READING, .reading = {.at_ms = at_ms, .lanes = &lane, .n_lanes = 1}},
        {.kind = WIRE_READING, .reading = {.at_ms = at_ms, .queues = &queue, .n_queues = 1}},
        {.kind = WIRE_READING, .reading = {.at_ms = at_ms, .totals = &full_stint, .n_totals = 1}},
        {.kind = WIRE_STINT,
         .stint =
             {.range = {1, 9, false}, .node = 7, .done = 6, .failed = 1, .last_finish_ms = at_ms}},
        {.kind = WIRE_COMPLETE, .complete = 0},
        {.kind = WIRE_TROUBLE, .trouble = {at_ms + 500, "gone"}},
        {.kind = WIRE_READING, .reading = {.at_ms = at_ms + 1000, .beats = &beat, .n_beats = 1}},
    };
    uint8_t all[8192];
    size_t len = 0;
    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        char name[16];
        struct bytes bytes = wire_fact_encode(&facts[i], mem);
        snprintf(name, sizeof(name), "seed-%zu", i);
        seed_numbered(folder, "recording", name, (uint8_t)(1 | (i % VIEWS_CHOSEN) << 1), bytes);
        REQUIRE(len + bytes.len + 2 <= sizeof(all));
        memcpy(all + len, bytes.data, bytes.len);
        len += bytes.len;
        if (i % 3 == 2) {
            memcpy(all + len, "\xff\xff", 2);
            len += 2;
        }
    }
    for (size_t i = 0; i < VIEWS_CHOSEN; i++) {
        char name[16];
        snprintf(name, sizeof(name), "seed-all%zu", i);
        seed_numbered(folder, "recording", name, (uint8_t)(1 | i << 1), (struct bytes){all, len});
    }
    bson_destroy(body);
}

int main(int argc, char **argv)
{
    struct arena mem = {0};
    if (argc != 2)
        return EXIT_FAILURE;
    recording_seeds(argv[1], &mem);
    bson_seeds(argv[1], &mem);
    docs_seeds(argv[1], &mem);
    replies_seeds(argv[1], &mem);
    arena_release(&mem);
    return EXIT_SUCCESS;
}
