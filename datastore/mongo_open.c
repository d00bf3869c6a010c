/* The MongoDB backend's way from a URI to an open handle.
 *
 * The URI goes to the driver but for our own `namespace`; what the ledger's safety rests on is set
 * whatever it says: majority reads and writes, from the primary, no retries behind our back (a
 * retried step would look like somebody else's, a retried read takes another time-out), time-outs
 * below the lease. What is shown of a URI has no password.
 * Thread: the caller's; the driver's own threads take no signals. */
#define _GNU_SOURCE /* memrchr */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "datastore/mongo_store.h"
#include "datastore/uri.h"

/* Beside the flags of datastore.h: a handle on what may be no store, or a part of one. */
enum { OPEN_BARE = 1 << 16 };

/* ---- the URI -------------------------------------------------------------------------------- */

/* Without what is secret, and without options. */
static void uri_show(const char *uri, char *to, size_t size)
{
    uri_redact(to, size, uri);
    to[strcspn(to, "?")] = '\0';
}

/* The URI without `namespace=NAME`, to be freed; the name goes to `namespace`. */
static char *namespace_take(const char *uri, char namespace[LIMIT_NAME_BYTES + 1],
                            const char *shown, struct error *err)
{
    char *rest = strdup(uri);
    char *query = rest != NULL ? strchr(rest, '?') : NULL;
    if (rest == NULL) {
        error_set(err, ERR_NO_MEMORY, "out of memory");
        return NULL;
    }
    for (char *at = query != NULL ? query + 1 : NULL; at != NULL && *at != '\0';) {
        size_t len = strcspn(at, "&"), key = strlen("namespace=");
        char *next = at + len + (at[len] == '&' ? 1 : 0);
        if (strncmp(at, "namespace=", key) != 0) {
            at = next;
            continue;
        }
        snprintf(namespace, LIMIT_NAME_BYTES + 1, "%.*s", (int)(len - key), at + key);
        if (len - key > LIMIT_NAME_BYTES || !name_valid(namespace)) {
            error_set(err, ERR_INVALID, "%.200s: a namespace is 1 to %d of [A-Za-z0-9._-]", shown,
                      LIMIT_NAME_BYTES);
            free(rest);
            return NULL;
        }
        memmove(at, next, strlen(next) + 1);
    }
    /* "?" or a trailing "&" that is left over. */
    size_t len = strlen(rest);
    while (query != NULL && len > 0 && (rest[len - 1] == '?' || rest[len - 1] == '&'))
        rest[--len] = '\0';
    return rest;
}

static bool option_known(const char *key)
{
    static const char *const others[] = {
        MONGOC_URI_AUTHMECHANISM,      MONGOC_URI_AUTHMECHANISMPROPERTIES,
        MONGOC_URI_AUTHSOURCE,         MONGOC_URI_COMPRESSORS,
        MONGOC_URI_GSSAPISERVICENAME,  MONGOC_URI_READCONCERNLEVEL,
        MONGOC_URI_READPREFERENCETAGS, MONGOC_URI_W,
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcasecmp(key, others[i]) == 0)
            return true;
    return mongoc_uri_option_is_bool(key) || mongoc_uri_option_is_int32(key) ||
           mongoc_uri_option_is_int64(key) || mongoc_uri_option_is_utf8(key);
}

/* The driver goes on without an option it does not know: without TLS, if that was misspelt. */
static int options_check(const char *uri, const char *shown, struct error *err)
{
    const char *at = strchr(uri, '?');
    while (at != NULL && *at != '\0') {
        char key[40];
        size_t len = strcspn(++at, "=&");
        snprintf(key, sizeof(key), "%.*s", (int)len, at);
        if (len > 0 && (len >= sizeof(key) || !option_known(key)))
            return error_set(err, ERR_INVALID, "%.200s: no such option of a MongoDB URI: %.40s",
                             shown, key);
        at += strcspn(at, "&");
    }
    return 0;
}

/* The driver says "Failed initialize TLS state", once the time for a server is over. */
static int files_check(const mongoc_uri_t *uri, const char *shown, struct error *err)
{
    static const char *const keys[] = {MONGOC_URI_TLSCAFILE, MONGOC_URI_TLSCERTIFICATEKEYFILE};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *file = mongoc_uri_get_option_as_utf8(uri, keys[i], NULL);
        if (file != NULL && access(file, R_OK) < 0)
            return error_set(err, ERR_INVALID, "%.200s: %s=%.200s: %s", shown, keys[i], file,
                             strerror(errno));
    }
    return 0;
}

/* What the driver would take for a host or an option, or tell with the password in it. */
static int uri_check(const char *uri, const char *shown, struct error *err)
{
    const char *user = strstr(uri, "://");
    for (const char *at = uri; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ')
            return error_set(err, ERR_INVALID,
                             "a MongoDB URI with white space or a control character in it; in a "
                             "password, ' ' is %%20");
    if (user == NULL || !uri_has_password(uri))
        return 0;
    user += strlen("://");
    size_t authority = strcspn(user, "/?");
    const char *host = memrchr(user, '@', authority);
    host = host != NULL ? host : strrchr(user, '@');
    const char *secret = host != NULL ? memchr(user, ':', (size_t)(host - user)) : NULL;
    if (secret != NULL && secret + 1 + strcspn(secret + 1, ":/?@") < host)
        return error_set(err, ERR_INVALID,
                         "%.200s: in a password, ':' is %%3A, '/' %%2F, '?' %%3F, '@' %%40, and "
                         "'%%' is %%25",
                         shown);
    return 0;
}

static mongoc_uri_t *uri_parse(const char *text, const char *shown, struct error *err)
{
    bson_error_t error = {0};
    mongoc_uri_t *uri = mongoc_uri_new_with_error(text, &error);
    if (uri == NULL) {
        error_set(err, ERR_INVALID, "%.200s: not a MongoDB URI: %.250s", shown, error.message);
    } else if (options_check(text, shown, err) < 0 || files_check(uri, shown, err) < 0) {
        mongoc_uri_destroy(uri);
        uri = NULL;
    }
    return uri;
}

static void timeout_cap(mongoc_uri_t *uri, const char *option, int32_t ms)
{
    int32_t given = mongoc_uri_get_option_as_int32(uri, option, 0);
    if (given <= 0 || given > ms)
        mongoc_uri_set_option_as_int32(uri, option, ms);
}

void mongo_uri_settle(mongoc_uri_t *uri, int32_t timeout_ms)
{
    timeout_cap(uri, MONGOC_URI_SOCKETTIMEOUTMS, timeout_ms);
    timeout_cap(uri, MONGOC_URI_CONNECTTIMEOUTMS, timeout_ms / 2);
    timeout_cap(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, timeout_ms * 2 / 3);
    timeout_cap(uri, MONGOC_URI_HEARTBEATFREQUENCYMS, MONGO_TIMEOUT_MS);
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false);
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYREADS, false);
    if (mongoc_uri_get_option_as_utf8(uri, MONGOC_URI_APPNAME, NULL) == NULL)
        mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_APPNAME, "stint");
    mongoc_read_concern_t *read = mongoc_read_concern_new();
    mongoc_read_concern_set_level(read, MONGOC_READ_CONCERN_LEVEL_MAJORITY);
    mongoc_uri_set_read_concern(uri, read);
    mongoc_read_concern_destroy(read);
    mongoc_read_prefs_t *from = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    mongoc_uri_set_read_prefs_t(uri, from);
    mongoc_read_prefs_destroy(from);
}

/* ---- the handle ----------------------------------------------------------------------------- */

static void on_command(const mongoc_apm_command_started_t *event)
{
    struct mongo_store *store = mongoc_apm_command_started_get_context(event);
    if (strcmp(mongoc_apm_command_started_get_command_name(event), "hello") != 0)
        store->counts.commands++;
}

static int pool_open(struct mongo_store *store, const mongoc_uri_t *uri, struct error *err)
{
    bson_error_t error;
    store->pool = mongoc_client_pool_new_with_error(uri, &error);
    if (store->pool == NULL)
        return error_set(err, ERR_INVALID, "%.200s: %.300s", store->shown, error.message);
    mongoc_client_pool_set_error_api(store->pool, MONGOC_ERROR_API_VERSION_2);
    mongoc_apm_callbacks_t *callbacks = mongoc_apm_callbacks_new();
    mongoc_apm_set_command_started_cb(callbacks, on_command);
    mongoc_client_pool_set_apm_callbacks(store->pool, callbacks, store);
    mongoc_apm_callbacks_destroy(callbacks);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    store->client = mongoc_client_pool_pop(store->pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return 0;
}

static void collections_open(struct mongo_store *store, const char *namespace)
{
    static const char *const names[MONGO_COLLECTIONS] = {
#define X(name, text) [MONGO_##name] = text,
        MONGO_COLLECTION_MAP(X)
#undef X
    };
    for (size_t i = 0; i < MONGO_COLLECTIONS; i++) {
        snprintf(store->names[i], sizeof(store->names[i]), "%s%s%s", namespace,
                 namespace[0] != '\0' ? "." : "", names[i]);
        store->collections[i] =
            mongoc_client_get_collection(store->client, store->database, store->names[i]);
    }
    mongoc_write_concern_t *majority = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(majority, MONGO_TIMEOUT_MS);
    mongoc_write_concern_set_journal(majority, true);
    mongoc_write_concern_append(majority, &store->write_opts);
    mongoc_write_concern_destroy(majority);
}

static int settle_in(struct mongo_store *store, unsigned flags, struct error *err)
{
    store->err = err;
    int rc = mongo_clock_read(store);
    if (rc == 0)
        rc = mongo_schema_check(store);
    if (rc == ERR_NOT_FOUND && (flags & DS_CREATE) != 0)
        rc = mongo_schema_make(store);
    else if (rc == ERR_NOT_FOUND)
        error_set(err, ERR_NOT_FOUND, "%.200s: no Stint store there; `stint store init` makes one",
                  store->shown);
    store->err = NULL;
    return rc;
}

static int store_open(const mongoc_uri_t *uri, const char *namespace, const char *shown,
                      unsigned flags, struct datastore **ret_ds, struct error *err)
{
    struct mongo_store *store = calloc(1, sizeof(*store));
    if (store == NULL)
        return error_set(err, ERR_NO_MEMORY, "out of memory");
    store->base.class = &mongo_class;
    store->read_only = (flags & DS_READ_ONLY) != 0;
    store->copy = (flags & DS_COPY) != 0;
    bson_init(&store->write_opts);
    snprintf(store->shown, sizeof(store->shown), "%s", shown);
    const mongoc_host_list_t *hosts = mongoc_uri_get_hosts(uri);
    if (hosts != NULL) {
        snprintf(store->wake.host, sizeof(store->wake.host), "%s", hosts->host);
        store->wake.port = hosts->port;
    }
    const char *database = mongoc_uri_get_database(uri);
    database = database != NULL ? database : "stint";
    int rc =
        strlen(database) < sizeof(store->database)
            ? 0
            : error_set(err, ERR_INVALID, "%.200s: the name of the database is too long", shown);
    if (rc == 0) {
        snprintf(store->database, sizeof(store->database), "%s", database);
        rc = pool_open(store, uri, err);
    }
    if (rc == 0) {
        collections_open(store, namespace);
        rc = (flags & OPEN_BARE) != 0 ? 0 : settle_in(store, flags, err);
    }
    if (rc == 0)
        *ret_ds = &store->base;
    else
        mongo_class.close(&store->base);
    return rc;
}

static int open_uri(const char *uri, unsigned flags, uint32_t timeout_ms, struct datastore **ret_ds,
                    struct error *err)
{
    char shown[200], namespace[LIMIT_NAME_BYTES + 1] = "";
    uri_show(uri, shown, sizeof(shown));
    if (mongo_driver_load(err) < 0 || uri_check(uri, shown, err) < 0)
        return err->code;
    char *text = namespace_take(uri, namespace, shown, err);
    if (text == NULL)
        return err->code;
    mongoc_uri_t *parsed = NULL;
    if ((flags & OPEN_BARE) != 0 && namespace[0] == '\0')
        error_set(err, ERR_INVALID, "%.200s: only a namespace can be dropped", shown);
    else
        parsed = uri_parse(text, shown, err);
    free(text);
    if (parsed == NULL)
        return err->code;
    bool shorter = timeout_ms > 0 && timeout_ms < MONGO_TIMEOUT_MS;
    mongo_uri_settle(parsed, shorter ? (int32_t)timeout_ms : MONGO_TIMEOUT_MS);
    int rc = store_open(parsed, namespace, shown, flags, ret_ds, err);
    mongoc_uri_destroy(parsed);
    return rc;
}

int mongo_open(const char *uri, unsigned flags, uint32_t timeout_ms, struct datastore **ret_ds,
               struct error *err)
{
    return open_uri(uri, flags & ~(unsigned)OPEN_BARE, timeout_ms, ret_ds, err);
}

/* ---- dropping ------------------------------------------------------------------------------- */

static int collection_drop(struct mongo_store *store, const char *name)
{
    enum { NAMESPACE_NOT_FOUND = 26 };
    bson_t command = BSON_INITIALIZER, reply;
    bson_iter_t at;
    BSON_APPEND_UTF8(&command, "drop", name);
    int rc = mongo_command(store, &command, true, &reply);
    if (rc < 0 && bson_iter_init_find(&at, &reply, "code") &&
        bson_iter_as_int64(&at) == NAMESPACE_NOT_FOUND)
        rc = 0;
    bson_destroy(&reply);
    bson_destroy(&command);
    return rc;
}

/* Twice: a command of a client that was killed may have made one anew meanwhile. */
int mongo_drop(const char *uri, struct error *err)
{
    struct datastore *ds = NULL;
    struct error trouble = {0};
    int rc = open_uri(uri, OPEN_BARE, 0, &ds, err);
    if (rc < 0)
        return rc;
    struct mongo_store *store = (struct mongo_store *)ds;
    store->err = &trouble;
    for (size_t i = 0; rc == 0 && i < 2 * (size_t)MONGO_COLLECTIONS; i++)
        rc = collection_drop(store, store->names[i % MONGO_COLLECTIONS]);
    store->err = NULL;
    if (rc < 0)
        *err = trouble;
    datastore_close(ds);
    return rc;
}
