/* The MongoDB backend's indexes and first records, and the check of what is there.
 *
 * The record `meta` is written last, so that where it is, everything is; making it all twice is
 * harmless. Indexes of jobs are partial and take in few rows: a job that is queued, runs and ends
 * well touches none but that of its id. Thread: the handle's. */
#include "datastore/mongo_bson.h"
#include "datastore/mongo_store.h"

#define UP BCON_INT32(1)

static void index_add(bson_t *list, uint32_t n, const char *name, bson_t *keys, bool unique,
                      bson_t *only)
{
    char text[16];
    const char *key;
    bson_t index;
    bson_uint32_to_string(n, &key, text, sizeof(text));
    bson_append_document_begin(list, key, -1, &index);
    BSON_APPEND_UTF8(&index, "name", name);
    BSON_APPEND_DOCUMENT(&index, "key", keys);
    if (unique)
        BSON_APPEND_BOOL(&index, "unique", true);
    if (only != NULL)
        BSON_APPEND_DOCUMENT(&index, "partialFilterExpression", only);
    bson_append_document_end(list, &index);
    bson_destroy(keys);
    bson_destroy(only);
}

static bson_t *present(const char *field)
{
    return BCON_NEW(field, "{", "$exists", BCON_BOOL(true), "}");
}

/* The indexes of a collection; how many. */
static uint32_t indexes_of(enum mongo_collection in, bson_t *list)
{
    switch (in) {
    case MONGO_LANES:
        index_add(list, 0, "name", BCON_NEW("queue", UP, "priority", UP, "partition", UP), true,
                  NULL);
        return 1;
    case MONGO_NODES:
        index_add(list, 0, "live_name", BCON_NEW("name", UP), true,
                  BCON_NEW("live", BCON_BOOL(true)));
        return 1;
    case MONGO_JOBS:
        index_add(list, 0, "key", BCON_NEW("key", UP), true, present("key"));
        index_add(list, 1, "batch", BCON_NEW("batch", UP, "_id", UP), false, present("batch"));
        index_add(list, 2, "failed", BCON_NEW("state", UP, "_id", UP), false,
                  BCON_NEW("state", BCON_UTF8("failed")));
        index_add(list, 3, "chunk", BCON_NEW("chunk.submit", UP, "chunk.index", UP), true,
                  present("chunk.submit"));
        return 4;
    case MONGO_STINTS:
        index_add(list, 0, "range", BCON_NEW("a", UP, "b", UP, "node", UP), true, NULL);
        return 1;
    case MONGO_HISTORY:
        index_add(list, 0, "version", BCON_NEW("node", UP, "seq", UP), true, NULL);
        return 1;
    default:
        return 0;
    }
}

static int indexes_make(struct mongo_store *store, enum mongo_collection in)
{
    bson_t command = BSON_INITIALIZER, list, reply;
    BSON_APPEND_UTF8(&command, "createIndexes", store->names[in]);
    BSON_APPEND_ARRAY_BEGIN(&command, "indexes", &list);
    uint32_t n = indexes_of(in, &list);
    bson_append_array_end(&command, &list);
    int rc = 0;
    if (n > 0) {
        rc = mongo_command(store, &command, true, &reply);
        bson_destroy(&reply);
    }
    bson_destroy(&command);
    return rc;
}

/* A record that may be there already. */
static int first_record(struct mongo_store *store, enum mongo_collection in, const bson_t *doc)
{
    int rc = mongo_insert_one(store, in, doc);
    return rc == ERR_DUPLICATE ? 0 : rc;
}

int mongo_schema_make(struct mongo_store *store)
{
    bson_t queue_doc = BSON_INITIALIZER, lane_doc = BSON_INITIALIZER, meta_doc = BSON_INITIALIZER;
    const struct lane_name name = {QUEUE_DEFAULT, PRIORITY_DEFAULT, 0};
    int64_t utc_ms = mongo_utc_ms(store);
    int rc = store->read_only ? error_set(store->err, ERR_NOT_FOUND, "%.200s: no Stint store there",
                                          store->shown)
                              : 0;
    for (int in = 0; rc == 0 && in < MONGO_COLLECTIONS; in++)
        rc = indexes_make(store, (enum mongo_collection)in);
    struct queue queue = {.weight = 1, .changed_ms = utc_ms};
    BSON_APPEND_UTF8(&queue_doc, "_id", QUEUE_DEFAULT);
    queue_to_doc(&queue, &queue_doc);
    struct lane lane = mongo_lane_new(LANE_DEFAULT, &name, false);
    lane_to_doc(&lane, &lane_doc);
    const struct meta meta = {.schema_version = SCHEMA_VERSION,
                              .reader_version_min = SCHEMA_VERSION,
                              .writer_version_min = SCHEMA_VERSION,
                              .features = FEATURES_KNOWN,
                              .created_ms = utc_ms};
    meta_to_doc(&meta, LANE_DEFAULT + 1, &meta_doc);
    if (rc == 0)
        rc = first_record(store, MONGO_QUEUES, &queue_doc);
    if (rc == 0)
        rc = first_record(store, MONGO_LANES, &lane_doc);
    if (rc == 0)
        rc = first_record(store, MONGO_META, &meta_doc);
    bson_destroy(&queue_doc);
    bson_destroy(&lane_doc);
    bson_destroy(&meta_doc);
    return rc;
}

static int meta_get(struct mongo_store *store, struct meta *ret_meta)
{
    bson_t *query = BCON_NEW("_id", BCON_UTF8("meta")), doc;
    int rc = mongo_find_one(store, MONGO_META, query, NULL, &doc);
    bson_destroy(query);
    if (rc < 0)
        return rc;
    if (meta_from_doc(&doc, ret_meta) < 0)
        rc = error_set(store->err, ERR_CORRUPT, "%.200s: the record `meta` is damaged",
                       store->shown);
    bson_destroy(&doc);
    return rc;
}

int mongo_schema_check(struct mongo_store *store)
{
    struct meta meta;
    int rc = meta_get(store, &meta);
    if (rc < 0)
        return rc;
    int32_t needed = store->read_only ? meta.reader_version_min : meta.writer_version_min;
    if (needed > SCHEMA_VERSION)
        return error_set(store->err, ERR_VERSION,
                         "%.200s: made by a newer Stint (schema %d, this one knows %d); update "
                         "this program",
                         store->shown, needed, SCHEMA_VERSION);
    return store->copy ? 0 : ds_copying_refuse(&meta, store->shown, store->err);
}

int mongo_meta_read(struct mongo_call *call)
{
    int rc = meta_get(call->store, &call->step->meta_read.ret_meta);
    return rc == ERR_NOT_FOUND ? error_set(call->err, ERR_CORRUPT,
                                           "%.200s: the record `meta` is gone", call->store->shown)
                               : rc;
}
