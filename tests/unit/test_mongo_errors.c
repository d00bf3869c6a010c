/* Goal: what a server's or the driver's error means for a step, above all whether a write may have
 * been carried out; a URI that cannot be used is told in one line without its secrets; and no URI
 * makes a step wait longer than the lease allows.
 * Method: tables of errors, of replies and of URIs; no server is asked. */
#include <check.h>
#include <stdlib.h>

#include "datastore/mongo_store.h"

/* ---- errors --------------------------------------------------------------------------------- */

static const struct {
    uint32_t domain, code;
    int write, read; /* what it means for each */
    const char *text;
} errors[] = {
    /* Never sent. */
    {MONGOC_ERROR_SERVER_SELECTION, MONGOC_ERROR_SERVER_SELECTION_FAILURE, ERR_UNAVAILABLE,
     ERR_UNAVAILABLE, "No suitable servers found"},
    {MONGOC_ERROR_CLIENT, MONGOC_ERROR_CLIENT_AUTHENTICATE, ERR_UNAVAILABLE, ERR_UNAVAILABLE, ""},
    {MONGOC_ERROR_SASL, 1, ERR_UNAVAILABLE, ERR_UNAVAILABLE, ""},
    {MONGOC_ERROR_SCRAM, MONGOC_ERROR_SCRAM_PROTOCOL_ERROR, ERR_UNAVAILABLE, ERR_UNAVAILABLE, ""},
    {MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_CONNECT, ERR_UNAVAILABLE, ERR_UNAVAILABLE, ""},
    {MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_NAME_RESOLUTION, ERR_UNAVAILABLE, ERR_UNAVAILABLE,
     ""},
    {MONGOC_ERROR_BSON, MONGOC_ERROR_BSON_INVALID, ERR_INVALID, ERR_INVALID, ""},
    {MONGOC_ERROR_COMMAND, MONGOC_ERROR_COMMAND_INVALID_ARG, ERR_INVALID, ERR_INVALID, ""},
    /* Sent, and no answer, or none that says. */
    {MONGOC_ERROR_STREAM, MONGOC_ERROR_STREAM_SOCKET, ERR_UNKNOWN_OUTCOME, ERR_UNAVAILABLE,
     "Failed to read 4 bytes: socket error or timeout"},
    {MONGOC_ERROR_PROTOCOL, MONGOC_ERROR_PROTOCOL_INVALID_REPLY, ERR_UNKNOWN_OUTCOME,
     ERR_UNAVAILABLE, ""},
    {MONGOC_ERROR_WRITE_CONCERN, 64, ERR_UNKNOWN_OUTCOME, ERR_UNAVAILABLE,
     "waiting for replication timed out"},
    {MONGOC_ERROR_WRITE_CONCERN_ERROR, 100, ERR_UNKNOWN_OUTCOME, ERR_UNAVAILABLE, ""},
    /* InternalError: what FerretDB says when PostgreSQL is gone. */
    {MONGOC_ERROR_SERVER, 1, ERR_UNKNOWN_OUTCOME, ERR_UNAVAILABLE, "failed to connect to `host=`"},
    {MONGOC_ERROR_SERVER, 50, ERR_UNKNOWN_OUTCOME, ERR_UNAVAILABLE, "operation exceeded its time"},
    {MONGOC_ERROR_SERVER, 91, ERR_UNKNOWN_OUTCOME, ERR_UNAVAILABLE, "shutdown in progress"},
    {MONGOC_ERROR_SERVER, 189, ERR_UNKNOWN_OUTCOME, ERR_UNAVAILABLE, "primary stepped down"},
    {MONGOC_ERROR_SERVER, 11600, ERR_UNKNOWN_OUTCOME, ERR_UNAVAILABLE, "interrupted at shutdown"},
    {MONGOC_ERROR_SERVER, 11602, ERR_UNKNOWN_OUTCOME, ERR_UNAVAILABLE, "interrupted: step down"},
    {MONGOC_ERROR_SERVER, 4711, ERR_UNKNOWN_OUTCOME, ERR_UNAVAILABLE, "no code of these days"},
    /* Refused before anything was done, or undone. */
    {MONGOC_ERROR_SERVER, 10107, ERR_UNAVAILABLE, ERR_UNAVAILABLE, "not primary"},
    {MONGOC_ERROR_SERVER, 13435, ERR_UNAVAILABLE, ERR_UNAVAILABLE, "not primary"},
    {MONGOC_ERROR_SERVER, 13436, ERR_UNAVAILABLE, ERR_UNAVAILABLE, "not primary or secondary"},
    {MONGOC_ERROR_SERVER, 10058, ERR_UNAVAILABLE, ERR_UNAVAILABLE, "not primary"},
    {MONGOC_ERROR_SERVER, 18, ERR_UNAVAILABLE, ERR_UNAVAILABLE, "Authentication failed."},
    {MONGOC_ERROR_SERVER, 112, ERR_UNAVAILABLE, ERR_UNAVAILABLE, "write conflict"},
    {MONGOC_ERROR_SERVER, 462, ERR_UNAVAILABLE, ERR_UNAVAILABLE, "rate limit"},
    {MONGOC_ERROR_SERVER, 13, ERR_READ_ONLY, ERR_READ_ONLY, "not authorized"},
    {MONGOC_ERROR_SERVER, 8000, ERR_READ_ONLY, ERR_READ_ONLY, "user is not allowed"},
    {MONGOC_ERROR_SERVER, 14031, ERR_FULL, ERR_FULL, "out of disk space"},
    {MONGOC_ERROR_SERVER, 1, ERR_FULL, ERR_FULL, "could not extend file: No space left on device"},
    {MONGOC_ERROR_SERVER, 1, ERR_READ_ONLY, ERR_READ_ONLY, "permission denied for schema"},
    {MONGOC_ERROR_SERVER, 11000, ERR_DUPLICATE, ERR_DUPLICATE, "duplicate key"},
    {MONGOC_ERROR_SERVER, 10334, ERR_LIMIT, ERR_LIMIT, "document too large"},
    {MONGOC_ERROR_SERVER, 2, ERR_INVALID, ERR_INVALID, "bad value"},
    {MONGOC_ERROR_SERVER, 59, ERR_INVALID, ERR_INVALID, "no such command"},
};

enum { ERRORS = sizeof(errors) / sizeof(errors[0]) };

START_TEST(an_error_means)
{
    bson_error_t error;
    bson_set_error(&error, errors[_i].domain, errors[_i].code, "%s", errors[_i].text);
    ck_assert_int_eq(mongo_code_of(&error, NULL, true), errors[_i].write);
    ck_assert_int_eq(mongo_code_of(&error, NULL, false), errors[_i].read);
}
END_TEST

/* The driver turns some codes of servers into its own: the reply's counts. */
START_TEST(the_code_in_a_reply_counts)
{
    bson_error_t error;
    bson_t *reply = BCON_NEW("ok", BCON_DOUBLE(0), "code", BCON_INT32(10107));
    bson_set_error(&error, MONGOC_ERROR_SERVER, 17, "not primary");
    ck_assert_int_eq(mongo_code_of(&error, reply, true), ERR_UNAVAILABLE);
    bson_destroy(reply);
    reply = BCON_NEW("ok", BCON_DOUBLE(0), "code", BCON_UTF8("10107"));
    ck_assert_int_eq(mongo_code_of(&error, reply, true), ERR_UNKNOWN_OUTCOME);
    bson_destroy(reply);
}
END_TEST

/* ---- statements ----------------------------------------------------------------------------- */

static int told(bson_t *reply, struct error *err)
{
    struct mongo_store store = {.shown = "mongodb://h/d", .err = err};
    int rc = mongo_statement_code(&store, reply);
    bson_destroy(reply);
    return rc;
}

static bson_t *one_failed(int code, const char *text)
{
    return BCON_NEW("ok", BCON_DOUBLE(1), "writeErrors", "[", "{", "index", BCON_INT32(0), "code",
                    BCON_INT32(code), "errmsg", BCON_UTF8(text), "}", "]");
}

START_TEST(a_failed_statement_is_told)
{
    struct error err = {0};
    ck_assert_int_eq(told(BCON_NEW("ok", BCON_DOUBLE(1), "n", BCON_INT32(1)), &err), 0);
    ck_assert_int_eq(told(BCON_NEW("writeErrors", "[", "]"), &err), 0);
    ck_assert_int_eq(told(BCON_NEW("writeErrors", BCON_UTF8("x")), &err), 0);
    ck_assert_int_eq(told(one_failed(11000, "duplicate"), &err), ERR_DUPLICATE);
    ck_assert_int_eq(err.code, 0); /* an answer, not trouble */
    ck_assert_int_eq(told(one_failed(13, "not authorized"), &err), ERR_READ_ONLY);
    ck_assert_str_eq(err.text, "mongodb://h/d: this user may not write: not authorized");
    ck_assert_int_eq(told(one_failed(1, "disk full"), &err), ERR_FULL);
    ck_assert_int_eq(told(one_failed(10107, "two\nlines"), &err), ERR_UNAVAILABLE);
    ck_assert_str_eq(err.text, "mongodb://h/d: two lines");
    ck_assert_int_eq(told(one_failed(11602, "interrupted"), &err), ERR_UNKNOWN_OUTCOME);
    ck_assert_int_eq(err.code, ERR_UNKNOWN_OUTCOME);
    /* One that is not as it should be has failed all the same. */
    ck_assert_int_eq(told(BCON_NEW("writeErrors", "[", BCON_INT32(1), "]"), &err),
                     ERR_UNKNOWN_OUTCOME);
    ck_assert_int_eq(told(BCON_NEW("writeErrors", "[", "{", "}", "]"), &err), ERR_UNKNOWN_OUTCOME);
}
END_TEST

/* ---- URIs ----------------------------------------------------------------------------------- */

#define LONG_NAME "0123456789012345678901234567890123456789012345678901234567890123456789"

static const char *const bad_uris[] = {
    "mongodb:",
    "mongodb:/h/d",
    "mongodb://",
    "mongodb:///d",
    "mongodb://:1/d",
    "mongodb://h:0/d",
    "mongodb://h:65536/d",
    "mongodb://h:x/d",
    "mongodb://h,/d?hunter2",
    "mongodb://[::1/d",
    "mongodb://h?x=y",
    "mongodb://h/a b",
    "mongodb://h/a$b",
    "mongodb://h/" LONG_NAME,
    "mongodb://h/d?namespace=",
    "mongodb://h/d?namespace=a/b",
    "mongodb://h/d?namespace=" LONG_NAME,
    "mongodb://h/d?authMechanism=NONE&authMechanismProperties=t:hunter2",
    "mongodb://me:hunter2@/d",
    "mongodb://me:hunter2@h:x/d",
    "mongodb://me:hun:hunter2@h/d",
    "mongodb://me:x/hunter2@h/d",
    "mongodb://me:x?hunter2@h/d",
    "mongodb://me:x@hunter2@h/d",
    "mongodb://me:%hunter2@h/d",
    "mongodb://me:hunter2%zz@h/d",
    "mongodb://me:hunter2@h/d?x",
    "mongodb://me:hunter2@h/d?nonesuch=1",
    "mongodb://me:hunter2@h/d?namespace=a/b",
    "mongodb://me:hunter2@h/d?tls=maybe",
    "mongodb://h/d?tls=true&tlsCertificateKeyFilePassword=%hunter2&w=\xff",
    "mongodb+srv://me:hunter2@h/d",
    "mongodb+srv://me:hunter2@h.example.org:1/d",
    "mongodb://me:hunter2@\n/d",
    "mongodb://h\n/d?namespace=a/b",
};

START_TEST(a_bad_uri_is_told)
{
    struct datastore *ds = NULL;
    struct error err = {0};
    int rc = datastore_open(bad_uris[_i], 0, &ds, &err);
    ck_assert_msg(rc == ERR_INVALID, "%s: %d %s", bad_uris[_i], rc, err.text);
    ck_assert_int_eq(err.code, ERR_INVALID);
    ck_assert_ptr_null(ds);
    ck_assert_uint_gt(strlen(err.text), 0);
    for (const char *at = err.text; *at != '\0'; at++)
        ck_assert_msg((unsigned char)*at >= ' ', "%s", err.text);
    ck_assert_msg(strstr(err.text, "hunter2") == NULL, "%s", err.text);
}
END_TEST

/* ---- time-outs ------------------------------------------------------------------------------ */

static const struct {
    const char *query;
    int32_t within, socket, connect, selection;
} waits[] = {
    {"", 3000, 3000, 1500, 2000},
    {"", 900, 900, 450, 600},
    {"?socketTimeoutMS=600000&connectTimeoutMS=600000&serverSelectionTimeoutMS=600000", 3000, 3000,
     1500, 2000},
    {"?socketTimeoutMS=0&connectTimeoutMS=0&serverSelectionTimeoutMS=0", 3000, 3000, 1500, 2000},
    {"?socketTimeoutMS=-1&connectTimeoutMS=-1&serverSelectionTimeoutMS=-1", 3000, 3000, 1500, 2000},
    {"?socketTimeoutMS=700&connectTimeoutMS=600&serverSelectionTimeoutMS=500", 3000, 700, 600, 500},
};

START_TEST(no_uri_waits_longer_than_the_lease)
{
    char text[200];
    snprintf(text, sizeof(text), "mongodb://h/d%s", waits[_i].query);
    mongoc_uri_t *uri = mongoc_uri_new(text);
    ck_assert_ptr_nonnull(uri);
    mongo_uri_settle(uri, waits[_i].within);
    ck_assert_str_eq(mongoc_uri_get_option_as_utf8(uri, MONGOC_URI_APPNAME, ""), "stint");
    ck_assert_int_eq(mongoc_uri_get_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, 0),
                     waits[_i].socket);
    ck_assert_int_eq(mongoc_uri_get_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS, 0),
                     waits[_i].connect);
    ck_assert_int_eq(mongoc_uri_get_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, 0),
                     waits[_i].selection);
    mongoc_uri_destroy(uri);
}
END_TEST

/* What steps rely on is not for a URI to weaken. */
START_TEST(no_uri_weakens_a_step)
{
    mongoc_uri_t *uri =
        mongoc_uri_new("mongodb://h/d?retryWrites=true&retryReads=true&readConcernLevel=local&"
                       "readPreference=secondary&appName=mine");
    ck_assert_ptr_nonnull(uri);
    mongo_uri_settle(uri, MONGO_TIMEOUT_MS);
    ck_assert_str_eq(mongoc_uri_get_option_as_utf8(uri, MONGOC_URI_APPNAME, ""), "mine");
    ck_assert(!mongoc_uri_get_option_as_bool(uri, MONGOC_URI_RETRYWRITES, true));
    ck_assert(!mongoc_uri_get_option_as_bool(uri, MONGOC_URI_RETRYREADS, true));
    ck_assert_str_eq(mongoc_read_concern_get_level(mongoc_uri_get_read_concern(uri)), "majority");
    ck_assert_int_eq(mongoc_read_prefs_get_mode(mongoc_uri_get_read_prefs_t(uri)),
                     MONGOC_READ_PRIMARY);
    mongoc_uri_destroy(uri);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mongo_errors");
    TCase *tcase = tcase_create("mongo_errors");
    struct error err;
    if (mongo_driver_load(&err) < 0)
        return 1;
    tcase_add_loop_test(tcase, an_error_means, 0, ERRORS);
    tcase_add_test(tcase, the_code_in_a_reply_counts);
    tcase_add_test(tcase, a_failed_statement_is_told);
    tcase_add_loop_test(tcase, a_bad_uri_is_told, 0, sizeof(bad_uris) / sizeof(bad_uris[0]));
    tcase_add_loop_test(tcase, no_uri_waits_longer_than_the_lease, 0,
                        sizeof(waits) / sizeof(waits[0]));
    tcase_add_test(tcase, no_uri_weakens_a_step);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
