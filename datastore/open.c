/* A URI's way to a backend.
 *
 * `sqlite:PATH` or a bare path, with `?namespace=NAME` (several clusters side by side: the file is
 * PATH.NAME) and `?frozen_ms=N` (datastore/sqlite_lock.h; tests shorten it).
 * Thread: the caller's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/datastore.h"
#include "datastore/mongo.h"
#include "datastore/sqlite.h"

#define FROZEN_MS_MAX 3600000

/* "namespace=x&frozen_ms=n" */
static int query_parse(const char *uri, const char *query, char *ret_namespace, size_t size,
                       int64_t *ret_frozen_ms, struct error *err)
{
    while (*query != '\0') {
        size_t len = strcspn(query, "&"), key_len = strcspn(query, "=&");
        const char *value = query + key_len + (key_len < len ? 1 : 0);
        size_t value_len = (size_t)(query + len - value);
        char text[LIMIT_NAME_BYTES + 1] = "", *end = text;
        if (value_len < sizeof(text))
            memcpy(text, value, value_len);
        if (key_len == strlen("namespace") && strncmp(query, "namespace", key_len) == 0) {
            if (!name_valid(text))
                return error_set(err, ERR_INVALID,
                                 "%.300s: a namespace is 1 to %d of [A-Za-z0-9._-]", uri,
                                 LIMIT_NAME_BYTES);
            snprintf(ret_namespace, size, "%s", text);
        } else if (key_len == strlen("frozen_ms") && strncmp(query, "frozen_ms", key_len) == 0) {
            *ret_frozen_ms = strtol(text, &end, 10);
            if (end == text || *end != '\0' || *ret_frozen_ms < 1 || *ret_frozen_ms > FROZEN_MS_MAX)
                return error_set(err, ERR_INVALID, "%.300s: frozen_ms is 1 to %d", uri,
                                 FROZEN_MS_MAX);
        } else {
            return error_set(err, ERR_INVALID, "%.300s: unknown setting '%.*s'; known: namespace",
                             uri, (int)(key_len < 60 ? key_len : 60), query);
        }
        query += len + (query[len] == '&' ? 1 : 0);
    }
    return 0;
}

/* What a URI of an embedded store says. */
struct place {
    char path[LIMIT_PATH_BYTES], namespace[LIMIT_NAME_BYTES + 1];
    int64_t frozen_ms;
};

static int place_parse(const char *uri, const char *rest, struct place *ret_place,
                       struct error *err)
{
    struct place place = {.frozen_ms = SQLITE_FROZEN_MS_DEFAULT};
    size_t len = strcspn(rest, "?");
    if (len == 0)
        return error_set(err, ERR_INVALID, "%.300s: no path; write sqlite:PATH", uri);
    if (len + LIMIT_NAME_BYTES + 2 > sizeof(place.path))
        return error_set(err, ERR_INVALID, "%.100s...: the path is too long", uri);
    if (rest[len] == '?') {
        int rc = query_parse(uri, rest + len + 1, place.namespace, sizeof(place.namespace),
                             &place.frozen_ms, err);
        if (rc < 0)
            return rc;
    }
    snprintf(place.path, sizeof(place.path), "%.*s%s%s", (int)len, rest,
             place.namespace[0] != '\0' ? "." : "", place.namespace);
    *ret_place = place;
    return 0;
}

static int open_sqlite(const char *uri, const char *rest, unsigned flags, struct datastore **ret_ds,
                       struct error *err)
{
    struct place place;
    int rc = place_parse(uri, rest, &place, err);
    if (rc < 0)
        return rc;
    struct sqlite_options options = {
        .path = place.path, .flags = flags, .frozen_ms = place.frozen_ms};
    return sqlite_open(&options, ret_ds, err);
}

static int drop_sqlite(const char *uri, const char *rest, struct error *err)
{
    struct place place;
    int rc = place_parse(uri, rest, &place, err);
    if (rc == 0 && place.namespace[0] == '\0')
        rc = error_set(err, ERR_INVALID, "%.300s: only a namespace can be dropped", uri);
    return rc == 0 ? sqlite_drop(place.path, err) : rc;
}

int datastore_open(const char *uri, unsigned flags, struct datastore **ret_ds, struct error *err)
{
    return datastore_open_within(uri, flags, 0, ret_ds, err);
}

static bool is_mongo(const char *uri)
{
    return strncmp(uri, "mongodb:", strlen("mongodb:")) == 0 ||
           strncmp(uri, "mongodb+srv:", strlen("mongodb+srv:")) == 0;
}

/* What stands behind `sqlite:`, or a bare path. */
static int path_of(const char *uri, const char **ret_rest, struct error *err)
{
    bool named = strncmp(uri, "sqlite:", strlen("sqlite:")) == 0;
    const char *scheme_end = named ? NULL : strstr(uri, "://");
    if (scheme_end != NULL && memchr(uri, '/', (size_t)(scheme_end - uri)) == NULL)
        return error_set(err, ERR_INVALID,
                         "unknown kind of store '%.*s'; use sqlite:PATH or "
                         "mongodb://HOST/DATABASE",
                         (int)(scheme_end - uri < 60 ? scheme_end - uri : 60), uri);
    *ret_rest = named ? uri + strlen("sqlite:") : uri;
    return 0;
}

int datastore_open_within(const char *uri, unsigned flags, uint32_t timeout_ms,
                          struct datastore **ret_ds, struct error *err)
{
    const char *rest;
    if (is_mongo(uri))
        return mongo_open(uri, flags, timeout_ms, ret_ds, err);
    int rc = path_of(uri, &rest, err);
    return rc == 0 ? open_sqlite(uri, rest, flags, ret_ds, err) : rc;
}

int datastore_drop(const char *uri, struct error *err)
{
    const char *rest;
    if (is_mongo(uri))
        return mongo_drop(uri, err);
    int rc = path_of(uri, &rest, err);
    return rc == 0 ? drop_sqlite(uri, rest, err) : rc;
}
