/* What a MongoDB-protocol server gives one bare client: the limit that Stint's rates on it are held
 * against, and what a claim costs as the lane's record grows.
 *
 *   raw_mongo URI JOBS INSERT_ROWS UPDATE_ROWS
 *
 * Inserts rows like those of Stint (32 bytes of payload, the indexes as they are), INSERT_ROWS a
 * statement, then sets their outcomes, UPDATE_ROWS a statement, both with majority writes. `serial`
 * is the rate of doing one after the other for every job. Then claims of one id in lanes with 10,
 * 100 and 1,000 entries. Prints one JSON object. Single-threaded. */
#include <inttypes.h>
#include <mongoc/mongoc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "datastore/datastore.h"
#include "datastore/mongo.h"
#include "datastore/mongo_bson.h"

enum { CLAIMS = 200 };

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "raw_mongo: %s: %s\n", what, why);
    exit(1);
}

struct raw {
    mongoc_client_t *client;
    mongoc_collection_t *jobs;
    bson_t opts;
    int64_t n;
};

static void rows_insert(struct raw *raw, int64_t first, int64_t count)
{
    static const uint8_t payload[32] = {1};
    const struct job job = {.run = 1, .type = "noop", .token = 1, .payload = {payload, 32}};
    const bson_t **docs = calloc((size_t)count, sizeof(*docs));
    struct arena mem = {0};
    bson_error_t error;
    for (int64_t i = 0; i < count; i++) {
        bson_t *doc = bson_new();
        job_to_doc(&job, first + i, 1700000000000, NULL, &mem, doc);
        docs[i] = doc;
    }
    if (!mongoc_collection_insert_many(raw->jobs, docs, (size_t)count, &raw->opts, NULL, &error))
        die("insert", error.message);
    for (int64_t i = 0; i < count; i++)
        bson_destroy((bson_t *)docs[i]);
    free(docs);
    arena_release(&mem);
}

static void rows_update(struct raw *raw, int64_t first, int64_t count)
{
    bson_t *query =
        BCON_NEW("_id", "{", "$gte", BCON_INT64(first), "$lt", BCON_INT64(first + count), "}",
                 "state", BCON_UTF8("queued"), "run", BCON_INT32(1));
    bson_t *change =
        BCON_NEW("$set", "{", "state", BCON_UTF8("done"), "started", BCON_DATE_TIME(1700000000001),
                 "finished", BCON_DATE_TIME(1700000000002), "node", BCON_INT64(7), "}");
    bson_error_t error;
    if (!mongoc_collection_update_many(raw->jobs, query, change, &raw->opts, NULL, &error))
        die("update", error.message);
    bson_destroy(change);
    bson_destroy(query);
}

static double rate(struct raw *raw, int64_t rows, void (*work)(struct raw *, int64_t, int64_t))
{
    double began = now_s();
    for (int64_t at = 0; at < raw->n; at += rows)
        work(raw, at + 1, raw->n - at < rows ? raw->n - at : rows);
    return (double)raw->n / (now_s() - began);
}

/* A lane with that many entries: *ret_bytes its record, and the claims a second. */
static double claims(struct raw *raw, struct datastore *ds, const char *database, int entries,
                     uint32_t *ret_bytes)
{
    struct arena mem = {0};
    struct ds_step open = {.kind = DS_LANE_OPEN, .lane_open.name = {.priority = 1}};
    bson_error_t error;
    snprintf(open.lane_open.name.queue, sizeof(open.lane_open.name.queue), "entries%d", entries);
    if (datastore_step(ds, &open, &mem, NULL) != 0)
        die("lane", "cannot be opened");
    int32_t number = open.lane_open.ret_lane;
    struct lane_entry *list = arena_alloc(&mem, (size_t)entries * sizeof(*list));
    for (int i = 0; i < entries; i++)
        list[i] = (struct lane_entry){.node = INT64_C(5000000000000000000) + i, .g = 1000, .r = 10};
    const char *types[] = {"noop"};
    struct lane lane = {.number = number,
                        .name = open.lane_open.name,
                        .tail = id_make(number, 1 << 30),
                        .head = id_make(number, 1),
                        .types = types,
                        .n_types = 1,
                        .entries = list,
                        .n_entries = (size_t)entries};
    bson_t doc = BSON_INITIALIZER, *query = BCON_NEW("_id", BCON_INT64(number));
    lane_to_doc(&lane, &doc);
    *ret_bytes = doc.len;
    mongoc_collection_t *lanes = mongoc_client_get_collection(raw->client, database, "lanes");
    if (!mongoc_collection_replace_one(lanes, query, &doc, &raw->opts, NULL, &error))
        die("lane", error.message);
    double began = now_s();
    for (int i = 0; i < CLAIMS; i++) {
        struct ds_step step = {
            .kind = DS_CLAIM,
            .claim = {.lane = number, .node = list[0].node, .g = 1000 + (uint64_t)i, .want = 1}};
        if (datastore_step(ds, &step, &mem, NULL) != 0)
            die("claim", "refused");
    }
    double took = now_s() - began;
    mongoc_collection_destroy(lanes);
    bson_destroy(query);
    bson_destroy(&doc);
    arena_release(&mem);
    return CLAIMS / took;
}

int main(int argc, char **argv)
{
    struct datastore *ds = NULL;
    struct error err = {0};
    if (argc != 5)
        die("usage", "raw_mongo URI JOBS INSERT_ROWS UPDATE_ROWS");
    int64_t insert_rows = strtoll(argv[3], NULL, 10), update_rows = strtoll(argv[4], NULL, 10);
    struct raw raw = {.n = strtoll(argv[2], NULL, 10)};
    if (raw.n < 1 || insert_rows < 1 || update_rows < 1)
        die("usage", "numbers are from 1 on");
    if (datastore_open(argv[1], DS_CREATE, &ds, &err) < 0) /* makes the indexes */
        die(argv[1], err.text);
    mongoc_uri_t *uri = mongoc_uri_new(argv[1]);
    const char *database = mongoc_uri_get_database(uri);
    database = database != NULL ? database : "stint";
    raw.client = mongoc_client_new_from_uri(uri);
    raw.jobs = mongoc_client_get_collection(raw.client, database, "jobs");
    bson_init(&raw.opts);
    mongoc_write_concern_t *majority = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(majority, 0);
    mongoc_write_concern_append(majority, &raw.opts);
    double inserts = rate(&raw, insert_rows, rows_insert);
    double updates = rate(&raw, update_rows, rows_update);
    printf("{\"insert_per_s\":%.0f,\"update_per_s\":%.0f,\"serial_per_s\":%.0f", inserts, updates,
           1 / (1 / inserts + 1 / updates));
    static const int sizes[] = {10, 100, 1000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint32_t bytes;
        double per_s = claims(&raw, ds, database, sizes[i], &bytes);
        printf(",\"lane_bytes_%d\":%u,\"claims_per_s_%d\":%.0f", sizes[i], bytes, sizes[i], per_s);
    }
    printf("}\n");
    mongoc_write_concern_destroy(majority);
    bson_destroy(&raw.opts);
    mongoc_collection_destroy(raw.jobs);
    mongoc_client_destroy(raw.client);
    mongoc_uri_destroy(uri);
    datastore_close(ds);
    return 0;
}
