/* Fail points of a server with MongoDB's test commands (cut.h): one for the whole server. */
#include <mongoc/mongoc.h>
#include <stdlib.h>

#include "tests/support/cut.h"
#include "tests/support/store.h"

/* The codes are of kinds after which the driver does not look for another server first. */
static void fault_append(enum cut_fault fault, bson_t *data)
{
    bson_t concern;
    if (fault != CUT_CONCERN) {
        BSON_APPEND_INT32(data, "errorCode", fault == CUT_REFUSED ? 112 : 1);
        return;
    }
    BSON_APPEND_DOCUMENT_BEGIN(data, "writeConcernError", &concern);
    BSON_APPEND_INT32(&concern, "code", 64);
    BSON_APPEND_UTF8(&concern, "errmsg", "waiting for replication timed out");
    bson_append_document_end(data, &concern);
}

void fail_point_set(enum cut_fault fault, uint32_t k)
{
    static mongoc_client_t *client;
    bson_error_t error;
    bson_t data;
    if (client == NULL)
        client = mongoc_client_new(getenv("STINT_TEST_SECANTUS_URI"));
    ck_assert_ptr_nonnull(client);
    bson_t *command =
        k == 0 ? BCON_NEW("configureFailPoint", BCON_UTF8("failCommand"), "mode", BCON_UTF8("off"))
               : BCON_NEW("configureFailPoint", BCON_UTF8("failCommand"), "mode", "{", "skip",
                          BCON_INT32((int32_t)k - 1), "times", BCON_INT32(1), "}");
    BSON_APPEND_DOCUMENT_BEGIN(command, "data", &data);
    bson_t commands;
    BSON_APPEND_ARRAY_BEGIN(&data, "failCommands", &commands);
    static const char *const names[] = {"find",   "getMore",       "aggregate",
                                        "count",  "insert",        "update",
                                        "delete", "findAndModify", "killCursors"};
    for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char text[16];
        const char *key;
        bson_uint32_to_string(i, &key, text, sizeof(text));
        bson_append_utf8(&commands, key, -1, names[i], -1);
    }
    bson_append_array_end(&data, &commands);
    BSON_APPEND_UTF8(&data, "appName", CUT_APP); /* whoever else uses the server is left alone */
    fault_append(fault, &data);
    bson_append_document_end(command, &data);
    bool good = mongoc_client_command_simple(client, "admin", command, NULL, NULL, &error);
    ck_assert_msg(good, "%s", error.message);
    bson_destroy(command);
}
