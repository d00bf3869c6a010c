/* The MongoDB backend's way to a server: commands out, replies in, errors told.
 *
 * What an error means for a write decides whether a job can be lost or doubled, so it stands in
 * one table: a command that was never sent, or that a server refused before it did anything, wrote
 * nothing; any other failure leaves the outcome unknown. A proxy such as FerretDB answers with
 * InternalError when its own database is gone: that too is unknown. Thread: the handle's. */
#include "datastore/mongo_store.h"

#include <assert.h>

#include "datastore/bson_fields.h"

/* Codes of servers (MongoDB: src/mongo/base/error_codes.yml), and what they mean. */
static const struct {
    int server;
    int code;
} refusals[] = {
    {13, ERR_READ_ONLY},                          /* Unauthorized */
    {8000, ERR_READ_ONLY},                        /* AtlasError: of a user without the right */
    {18, ERR_UNAVAILABLE},                        /* AuthenticationFailed */
    {10107, ERR_UNAVAILABLE},                     /* NotWritablePrimary */
    {13435, ERR_UNAVAILABLE},                     /* NotPrimaryNoSecondaryOk */
    {13436, ERR_UNAVAILABLE},                     /* NotPrimaryOrSecondary */
    {10058, ERR_UNAVAILABLE},                     /* LegacyNotPrimary */
    {112, ERR_UNAVAILABLE},                       /* WriteConflict: undone by the server */
    {462, ERR_UNAVAILABLE},                       /* IngressRequestRateLimitExceeded */
    {14031, ERR_FULL},                            /* OutOfDiskSpace */
    {11000, ERR_DUPLICATE},                       /* DuplicateKey */
    {11001, ERR_DUPLICATE},   {10334, ERR_LIMIT}, /* BSONObjectTooLarge */
    {17280, ERR_LIMIT},                           /* KeyTooLong */
    {2, ERR_INVALID},                             /* BadValue */
    {9, ERR_INVALID},                             /* FailedToParse */
    {14, ERR_INVALID},                            /* TypeMismatch */
    {59, ERR_INVALID},                            /* CommandNotFound */
    {115, ERR_INVALID},                           /* CommandNotSupported */
    {238, ERR_INVALID},                           /* NotImplemented */
    {40324, ERR_INVALID},                         /* unknown pipeline stage */
};

static bool disk_full(const char *text)
{
    return strstr(text, "No space left on device") != NULL || strstr(text, "disk full") != NULL;
}

static int server_code(int server, const char *text, bool writes)
{
    /* FerretDB passes on what PostgreSQL says, under a code that says nothing. */
    if (disk_full(text))
        return ERR_FULL;
    if (strstr(text, "permission denied") != NULL)
        return ERR_READ_ONLY;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (refusals[i].server == server)
            return refusals[i].code;
    return writes ? ERR_UNKNOWN_OUTCOME : ERR_UNAVAILABLE;
}

int mongo_code_of(const bson_error_t *error, const bson_t *reply, bool writes)
{
    bson_iter_t at;
    switch (error->domain) {
    case MONGOC_ERROR_SERVER_SELECTION:
    case MONGOC_ERROR_CLIENT:
    case MONGOC_ERROR_SASL:
    case MONGOC_ERROR_SCRAM:
        return ERR_UNAVAILABLE; /* no connection to send it over */
    case MONGOC_ERROR_STREAM:
        return error->code == MONGOC_ERROR_STREAM_SOCKET && writes ? ERR_UNKNOWN_OUTCOME
                                                                   : ERR_UNAVAILABLE;
    case MONGOC_ERROR_BSON:
    case MONGOC_ERROR_COMMAND:
        return ERR_INVALID; /* refused by the driver */
    case MONGOC_ERROR_SERVER:
        if (reply != NULL && bson_iter_init_find(&at, reply, "code") && BSON_ITER_HOLDS_NUMBER(&at))
            return server_code((int)bson_iter_as_int64(&at), error->message, writes);
        return server_code((int)error->code, error->message, writes);
    default:
        return writes ? ERR_UNKNOWN_OUTCOME : ERR_UNAVAILABLE;
    }
}

/* What is not in the server's own words: who lacks which right, and what a server probably wants
 * that has never answered. */
static void put_in_words(const struct mongo_store *store, int code, bool writes, char *line,
                         size_t size)
{
    const char *before = "", *after = "";
    if (strstr(line, "requires authentication") != NULL)
        before = "a user and password are needed: ";
    else if (code == ERR_READ_ONLY)
        before = writes ? "this user may not write: " : "this user may not read: ";
    else if (store->clock_read_ms == 0 && strstr(line, "Failed to read 4 bytes") != NULL)
        after = mongoc_uri_get_tls(mongoc_client_get_uri(store->client))
                    ? "; it hangs up: does it want a certificate (tlsCertificateKeyFile)?"
                    : "; it hangs up: does it want TLS (tls=true)?";
    char said[ERROR_BYTES];
    snprintf(said, sizeof(said), "%s", line);
    snprintf(line, size, "%s%.250s%s", before, said, after);
}

static int tell(struct mongo_store *store, int code, const char *text, bool writes)
{
    char line[ERROR_BYTES];
    snprintf(line, sizeof(line), "%.400s", text);
    for (char *at = line; *at != '\0'; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
    put_in_words(store, code, writes, line, sizeof(line));
    return error_set(store->err, code, "%.200s: %.300s", store->shown, line);
}

static int tell_error(struct mongo_store *store, const bson_error_t *error, const bson_t *reply,
                      bool writes)
{
    int code = mongo_code_of(error, reply, writes);
    /* A guard that a unique index keeps is an answer, not trouble. */
    return code == ERR_DUPLICATE ? code : tell(store, code, error->message, writes);
}

int mongo_damaged(struct mongo_store *store, enum mongo_collection in, int64_t id)
{
    return error_set(store->err, ERR_CORRUPT, "%.200s: document %" PRId64 " of %s is damaged",
                     store->shown, id, store->names[in]);
}

/* ---- commands ------------------------------------------------------------------------------- */

/* Does the reply to a write tell of a change? */
static bool reply_of_change(const bson_t *reply)
{
    bson_iter_t at;
    return (bson_iter_init_find(&at, reply, "n") && bson_iter_as_int64(&at) > 0) ||
           (bson_iter_init_find(&at, reply, "value") && BSON_ITER_HOLDS_DOCUMENT(&at));
}

int mongo_command(struct mongo_store *store, const bson_t *command, bool writes, bson_t *ret_reply)
{
    bson_error_t error;
    /* The driver sends it, and some servers take it, but mongod hangs up. */
    if (command->len > MONGO_COMMAND_BYTES) {
        bson_init(ret_reply);
        return error_set(store->err, ERR_LIMIT, "%.200s: a command of %" PRIu32 " bytes",
                         store->shown, command->len);
    }
    bool good = writes
                    ? mongoc_client_write_command_with_opts(store->client, store->database, command,
                                                            &store->write_opts, ret_reply, &error)
                    : mongoc_client_read_command_with_opts(store->client, store->database, command,
                                                           NULL, NULL, ret_reply, &error);
    if (good && !document_whole(ret_reply, 0)) /* what reads it takes parts of it as they are */
        return tell(store, writes ? ERR_UNKNOWN_OUTCOME : ERR_UNAVAILABLE,
                    "the server's reply is damaged", writes);
    store->wrote = store->wrote || (good && writes && reply_of_change(ret_reply));
    return good ? 0 : tell_error(store, &error, ret_reply, writes);
}

int mongo_write_error_code(struct mongo_store *store, const bson_iter_t *write_error)
{
    bson_iter_t field;
    int server = 0;
    const char *text = "";
    if (bson_iter_recurse(write_error, &field) && bson_iter_find(&field, "code"))
        server = (int)bson_iter_as_int64(&field);
    if (bson_iter_recurse(write_error, &field) && bson_iter_find(&field, "errmsg") &&
        BSON_ITER_HOLDS_UTF8(&field))
        text = bson_iter_utf8(&field, NULL);
    int code = server_code(server, text, true);
    return code == ERR_DUPLICATE ? code : tell(store, code, text, true);
}

int mongo_statement_code(struct mongo_store *store, const bson_t *reply)
{
    bson_iter_t at, errors;
    if (!bson_iter_init_find(&at, reply, "writeErrors") || !BSON_ITER_HOLDS_ARRAY(&at) ||
        !bson_iter_recurse(&at, &errors) || !bson_iter_next(&errors))
        return 0;
    return mongo_write_error_code(store, &errors);
}

static void append_change(bson_t *command, const char *key, struct mongo_change change)
{
    if (change.pipeline)
        bson_append_array(command, key, -1, change.doc);
    else
        bson_append_document(command, key, -1, change.doc);
}

int mongo_find_and_modify(struct mongo_store *store, enum mongo_collection in, const bson_t *query,
                          struct mongo_change change, const bson_t *fields, bson_t *ret_doc)
{
    bson_t command = BSON_INITIALIZER, reply, view;
    bson_iter_t at;
    BSON_APPEND_UTF8(&command, "findAndModify", store->names[in]);
    BSON_APPEND_DOCUMENT(&command, "query", query);
    append_change(&command, "update", change);
    BSON_APPEND_BOOL(&command, "new", true);
    if (change.upsert)
        BSON_APPEND_BOOL(&command, "upsert", true);
    if (fields != NULL)
        BSON_APPEND_DOCUMENT(&command, "fields", fields);
    int rc = mongo_command(store, &command, true, &reply);
    if (rc == 0) {
        const uint8_t *data;
        uint32_t len;
        rc = ERR_NOT_FOUND;
        if (bson_iter_init_find(&at, &reply, "value") && BSON_ITER_HOLDS_DOCUMENT(&at)) {
            bson_iter_document(&at, &len, &data);
            bson_init_static(&view, data, len);
            bson_copy_to(&view, ret_doc);
            rc = 0;
        }
    }
    bson_destroy(&reply);
    bson_destroy(&command);
    return rc;
}

/* A command with one statement: {name: collection, list: [statement]}; *ret_n from its reply. */
static int one_statement(struct mongo_store *store, enum mongo_collection in, const char *name,
                         const char *list, const bson_t *statement, int64_t *ret_n)
{
    bson_t command = BSON_INITIALIZER, array, reply;
    bson_iter_t at;
    bson_append_utf8(&command, name, -1, store->names[in], -1);
    bson_append_array_begin(&command, list, -1, &array);
    BSON_APPEND_DOCUMENT(&array, "0", statement);
    bson_append_array_end(&command, &array);
    int rc = mongo_command(store, &command, true, &reply);
    if (rc == 0)
        rc = mongo_statement_code(store, &reply);
    if (rc == 0 && ret_n != NULL)
        *ret_n = bson_iter_init_find(&at, &reply, "n") ? bson_iter_as_int64(&at) : 0;
    bson_destroy(&reply);
    bson_destroy(&command);
    return rc;
}

int mongo_update(struct mongo_store *store, enum mongo_collection in, const bson_t *query,
                 struct mongo_change change, int64_t *ret_n)
{
    bson_t statement = BSON_INITIALIZER;
    BSON_APPEND_DOCUMENT(&statement, "q", query);
    append_change(&statement, "u", change);
    if (change.many)
        BSON_APPEND_BOOL(&statement, "multi", true);
    if (change.upsert)
        BSON_APPEND_BOOL(&statement, "upsert", true);
    int rc = one_statement(store, in, "update", "updates", &statement, ret_n);
    bson_destroy(&statement);
    return rc;
}

int mongo_insert_one(struct mongo_store *store, enum mongo_collection in, const bson_t *doc)
{
    return one_statement(store, in, "insert", "documents", doc, NULL);
}

int mongo_delete(struct mongo_store *store, enum mongo_collection in, const bson_t *query,
                 int64_t *ret_n)
{
    bson_t statement = BSON_INITIALIZER;
    BSON_APPEND_DOCUMENT(&statement, "q", query);
    BSON_APPEND_INT32(&statement, "limit", 0);
    int rc = one_statement(store, in, "delete", "deletes", &statement, ret_n);
    bson_destroy(&statement);
    return rc;
}

/* ---- reading -------------------------------------------------------------------------------- */

mongoc_cursor_t *mongo_find(struct mongo_store *store, enum mongo_collection in,
                            const bson_t *query, const bson_t *opts)
{
    return mongoc_collection_find_with_opts(store->collections[in], query, opts, NULL);
}

mongoc_cursor_t *mongo_aggregate(struct mongo_store *store, enum mongo_collection in,
                                 const bson_t *pipeline)
{
    return mongoc_collection_aggregate(store->collections[in], MONGOC_QUERY_NONE, pipeline, NULL,
                                       NULL);
}

int mongo_next(struct mongo_store *store, mongoc_cursor_t *cursor, const bson_t **ret_doc)
{
    bson_error_t error;
    const bson_t *reply = NULL;
    if (mongoc_cursor_next(cursor, ret_doc))
        return 1;
    if (!mongoc_cursor_error_document(cursor, &error, &reply))
        return 0;
    return tell_error(store, &error, reply, false);
}

int mongo_find_one(struct mongo_store *store, enum mongo_collection in, const bson_t *query,
                   const bson_t *opts, bson_t *ret_doc)
{
    bson_t with_limit = BSON_INITIALIZER;
    const bson_t *doc;
    if (opts != NULL)
        bson_concat(&with_limit, opts);
    BSON_APPEND_INT64(&with_limit, "limit", 1);
    mongoc_cursor_t *cursor = mongo_find(store, in, query, &with_limit);
    int rc = mongo_next(store, cursor, &doc);
    if (rc == 1)
        bson_copy_to(doc, ret_doc);
    mongoc_cursor_destroy(cursor);
    bson_destroy(&with_limit);
    return rc == 1 ? 0 : rc == 0 ? ERR_NOT_FOUND : rc;
}

int mongo_find_int(struct mongo_store *store, enum mongo_collection in, const bson_t *query,
                   const char *field, const bson_t *opts, int64_t *ret_value)
{
    bson_t *projected = BCON_NEW("projection", "{", field, BCON_INT32(1), "}"), doc;
    bson_iter_t at;
    if (opts != NULL)
        bson_concat(projected, opts);
    int rc = mongo_find_one(store, in, query, projected, &doc);
    bson_destroy(projected);
    if (rc < 0)
        return rc;
    *ret_value = bson_iter_init_find(&at, &doc, field) ? bson_iter_as_int64(&at) : 0;
    bson_destroy(&doc);
    return 0;
}

int mongo_count(struct mongo_store *store, enum mongo_collection in, const bson_t *query,
                int64_t *ret_n)
{
    bson_t *command = BCON_NEW("count", BCON_UTF8(store->names[in]), "query", BCON_DOCUMENT(query));
    bson_t reply;
    bson_iter_t at;
    int rc = mongo_command(store, command, false, &reply);
    *ret_n = rc == 0 && bson_iter_init_find(&at, &reply, "n") ? bson_iter_as_int64(&at) : 0;
    bson_destroy(&reply);
    bson_destroy(command);
    return rc;
}

/* ---- clock ---------------------------------------------------------------------------------- */

int mongo_clock_read(struct mongo_store *store)
{
    bson_t command = BSON_INITIALIZER, reply;
    bson_error_t error;
    bson_iter_t at;
    BSON_APPEND_INT32(&command, "hello", 1);
    int64_t before_ms = mongo_now_ms(CLOCK_BOOTTIME);
    bool good =
        mongoc_client_command_simple(store->client, "admin", &command, NULL, &reply, &error);
    int64_t after_ms = mongo_now_ms(CLOCK_BOOTTIME);
    int rc = good ? 0 : tell_error(store, &error, &reply, false);
    int64_t server_ms = mongo_now_ms(CLOCK_REALTIME);
    if (rc == 0 && bson_iter_init_find(&at, &reply, "localTime") && BSON_ITER_HOLDS_DATE_TIME(&at))
        server_ms = bson_iter_date_time(&at);
    if (rc == 0) {
        store->wake.streams = bson_has_field(&reply, "setName") || bson_has_field(&reply, "msg");
        store->clock_offset_ms = server_ms - (before_ms + (after_ms - before_ms) / 2);
        store->clock_read_ms = after_ms;
    }
    bson_destroy(&reply);
    bson_destroy(&command);
    return rc;
}
