/* Drops the database that a URI names, with all that a test has left in it: the stores of a test on
 * a server. Exit status 0 when it is gone, also when it never was there.
 *
 *   helper_mongo_drop URI */
#include <mongoc/mongoc.h>
#include <stdio.h>
#include <stdlib.h>

static int drop(const mongoc_uri_t *uri)
{
    bson_error_t error;
    mongoc_client_t *client = mongoc_client_new_from_uri(uri);
    mongoc_database_t *database = mongoc_client_get_database(client, mongoc_uri_get_database(uri));
    bool gone = mongoc_database_drop(database, &error);
    if (!gone)
        fprintf(stderr, "cannot drop %s: %s\n", mongoc_uri_get_database(uri), error.message);
    mongoc_database_destroy(database);
    mongoc_client_destroy(client);
    return gone ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    mongoc_init();
    mongoc_uri_t *uri = argc == 2 ? mongoc_uri_new(argv[1]) : NULL;
    int status = EXIT_FAILURE;
    if (uri == NULL || mongoc_uri_get_database(uri) == NULL)
        fprintf(stderr, "usage: helper_mongo_drop URI, with the name of a database\n");
    else
        status = drop(uri);
    mongoc_uri_destroy(uri);
    mongoc_cleanup();
    return status;
}
