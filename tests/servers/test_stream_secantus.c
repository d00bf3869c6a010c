/* Goal: where change streams do not work though the server announced what they need, nodes are
 * woken now and then all the same; and one that works again after a long while is followed again.
 * Method: a fail point refuses to open one, for longer than anybody would try a few times. */
#include <mongoc/mongoc.h>
#include <poll.h>
#include <stdlib.h>

#include "tests/support/store.h"

#define APP "stint-stream"

/* QUIET_MS is well above the time between two tries: who is quiet for so long is followed, and then
 * nothing but a change wakes. */
enum { REFUSALS = 8, EACH_MS = 60000, QUIET_MS = 5000, WAKE_MS = 60000, OPEN_TRIES = 8 };

/* Change streams of clients with that appName are refused from now on, or no more. */
static void streams_refused(bool refused)
{
    bson_error_t error;
    mongoc_client_t *client = mongoc_client_new(getenv("STINT_TEST_SECANTUS_URI"));
    bson_t *command = BCON_NEW("configureFailPoint", BCON_UTF8("failCommand"), "mode",
                               BCON_UTF8(refused ? "alwaysOn" : "off"), "data", "{", "failCommands",
                               "[", BCON_UTF8("aggregate"), "]", "errorCode", BCON_INT32(13),
                               "appName", BCON_UTF8(APP), "}");
    ck_assert_ptr_nonnull(client);
    bool good = mongoc_client_command_simple(client, "admin", command, NULL, NULL, &error);
    ck_assert_msg(good, "%s", error.message);
    bson_destroy(command);
    mongoc_client_destroy(client);
}

static bool woken(struct datastore *ds, int timeout_ms)
{
    struct pollfd fd = {.fd = ds->class->wake_fd(ds), .events = POLLIN};
    ck_assert_int_ge(fd.fd, 0);
    return poll(&fd, 1, timeout_ms) == 1 && ds->class->wake_clear(ds);
}

START_TEST(a_stream_is_tried_until_it_works)
{
    int kind = store_kind_of_server();
    ck_assert_int_ge(kind, 0);
    struct store *s = store_new(kind);
    struct datastore *listener;
    char uri[320];
    snprintf(uri, sizeof(uri), "%s&appName=" APP, s->uri);
    streams_refused(true);
    ck_assert_int_eq(datastore_open(uri, 0, &listener, &s->err), 0);
    for (int i = 0; i < REFUSALS; i++)
        ck_assert_msg(woken(listener, EACH_MS), "not woken after %d refusals", i);
    streams_refused(false);
    /* The wake of its opening, then quiet. */
    bool quiet = false;
    for (int i = 0; i < OPEN_TRIES && !quiet; i++)
        quiet = !woken(listener, QUIET_MS);
    ck_assert_msg(quiet, "it is not followed again");
    submit(s, LANE_DEFAULT, 1);
    ck_assert(woken(listener, WAKE_MS));
    datastore_close(listener);
    store_free(s);
}
END_TEST

int main(void)
{
    if (store_kind_of_server() < 0)
        return 77;
    Suite *suite = suite_create("stream");
    TCase *tcase = tcase_create("stream");
    tcase_add_test(tcase, a_stream_is_tried_until_it_works);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
