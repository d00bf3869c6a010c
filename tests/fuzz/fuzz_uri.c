/* Goal: a store's URI, whatever somebody types: it opens a store or gives one line of error, and a
 * password in it is in no line that anybody sees.
 * Method: the first byte chooses: a text that is opened as a store (nothing is made, and the
 * driver is kept from the network), or a URI put together with a password, which must be gone from
 * it and from a line that holds it. */
#include "tests/fuzz/fuzz.h"

#define STINT_MONGO_DRIVER_TABLE /* to change an entry of the table */
#include "datastore/mongo_driver.h"

#include "datastore/datastore.h"
#include "datastore/uri.h"

enum { SHOWN_BYTES = 4096 };

/* As far as to the driver's own view of the URI, and no further. */
static mongoc_client_pool_t *no_pool(const mongoc_uri_t *uri, bson_error_t *error)
{
    REQUIRE(mongo_driver.mongoc_uri_get_database(uri) == NULL ||
            strlen(mongo_driver.mongoc_uri_get_database(uri)) < SHOWN_BYTES);
    snprintf(error->message, sizeof(error->message), "not in this test");
    return NULL;
}

static void driver_keep(void)
{
    struct error err;
    if (mongo_driver.mongoc_client_pool_new_with_error != no_pool && mongo_driver_load(&err) == 0)
        mongo_driver.mongoc_client_pool_new_with_error = no_pool;
}

/* Not a name in this folder, of which none is a store. */
static bool names_a_place(const char *text)
{
    return strncmp(text, "mongodb", 7) != 0 && strchr(text, '/') != NULL;
}

static void text_open(const char *text)
{
    struct datastore *ds = NULL;
    struct error err = {0};
    if (names_a_place(text))
        return;
    int rc = datastore_open(text, DS_READ_ONLY, &ds, &err);
    REQUIRE(rc != 0 && ds == NULL);
    if (strpbrk(text, "\r\n") == NULL)
        require_told(rc, &err);
}

static void text_show(const char *text)
{
    char shown[SHOWN_BYTES], small[8];
    uri_redact(shown, sizeof(shown), text);
    REQUIRE(strlen(shown) < sizeof(shown));
    if (!uri_has_password(text))
        REQUIRE(strncmp(shown, text, sizeof(shown) - 1) == 0);
    uri_redact(small, sizeof(small), text);
    REQUIRE(strncmp(small, shown, sizeof(small) - 1) == 0);
}

static bool only_once(const char *text, const char *part)
{
    const char *found = strstr(text, part);
    return found != NULL && strstr(found + 1, part) == NULL;
}

/* SECRET stands in for what the input calls the password: so that it is found wherever it goes. */
static void password_hide(struct bytes input)
{
    static const char secret[] = "hUnTer2";
    static const char *const schemes[] = {"mongodb://", "mongodb+srv://", "MongoDB://"};
    const char *scheme = schemes[take_byte(&input) % 3];
    char *user = take_text(&input, 0), *before = take_text(&input, 0);
    char *after = take_text(&input, 0), *rest = take_rest(&input);
    char *uri = NULL, *line = NULL, shown[SHOWN_BYTES];
    struct datastore *ds;
    struct error err = {0};
    REQUIRE(asprintf(&uri, "%s%s:%s%s%s@host%s", scheme, user, before, secret, after, rest) > 0);
    REQUIRE(asprintf(&line, "cannot open %s: it is down", uri) > 0);
    bool clear = strpbrk(user, ":/?@ \t\r\n") == NULL && strpbrk(before, "/?@ \t\r\n") == NULL &&
                 strpbrk(after, "/?@ \t\r\n") == NULL && only_once(uri, secret) &&
                 strlen(uri) < SHOWN_BYTES / 2;
    if (clear) {
        REQUIRE(uri_has_password(uri) && uri_has_password(line));
        REQUIRE(strstr(uri_redact(shown, sizeof(shown), uri), secret) == NULL);
        REQUIRE(strstr(uri_redact(shown, sizeof(shown), line), secret) == NULL);
        int rc = datastore_open(uri, DS_READ_ONLY, &ds, &err);
        if (strncmp(uri, "mongodb", 7) == 0)
            REQUIRE(rc != 0 && strstr(err.text, secret) == NULL);
    }
    free(uri);
    free(line);
    free(user);
    free(before);
    free(after);
    free(rest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = {data, size};
    driver_keep();
    if (take_byte(&input) % 2 == 0) {
        char *text = take_rest(&input);
        if (strlen(text) < SHOWN_BYTES / 2) {
            text_show(text);
            text_open(text);
        }
        free(text);
    } else {
        password_hide(input);
    }
    return 0;
}
