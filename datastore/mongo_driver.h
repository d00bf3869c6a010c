/* The MongoDB driver, loaded when a store needs it.
 *
 * Linked like any other library it made every start of the program five times as long (it brings
 * 13 libraries) and every node twice as large, whatever its store. So its functions are looked up
 * in a table, and their names stand for its entries: the backend calls them as its manual says. A
 * new one is added to both lists. Thread: any. */
#ifndef STINT_MONGO_DRIVER_H
#define STINT_MONGO_DRIVER_H

#include <mongoc/mongoc.h>

#include "datastore/error.h"

#define MONGO_DRIVER_MAP(X)                                                                        \
    X(mongoc_apm_callbacks_destroy)                                                                \
    X(mongoc_apm_callbacks_new)                                                                    \
    X(mongoc_apm_command_started_get_command_name)                                                 \
    X(mongoc_apm_command_started_get_context)                                                      \
    X(mongoc_apm_set_command_started_cb)                                                           \
    X(mongoc_change_stream_destroy)                                                                \
    X(mongoc_change_stream_error_document)                                                         \
    X(mongoc_change_stream_next)                                                                   \
    X(mongoc_client_command_simple)                                                                \
    X(mongoc_client_get_collection)                                                                \
    X(mongoc_client_get_database)                                                                  \
    X(mongoc_client_get_uri)                                                                       \
    X(mongoc_client_pool_destroy)                                                                  \
    X(mongoc_client_pool_new)                                                                      \
    X(mongoc_client_pool_new_with_error)                                                           \
    X(mongoc_client_pool_pop)                                                                      \
    X(mongoc_client_pool_push)                                                                     \
    X(mongoc_client_pool_set_apm_callbacks)                                                        \
    X(mongoc_client_pool_set_error_api)                                                            \
    X(mongoc_client_read_command_with_opts)                                                        \
    X(mongoc_client_write_command_with_opts)                                                       \
    X(mongoc_collection_aggregate)                                                                 \
    X(mongoc_collection_destroy)                                                                   \
    X(mongoc_collection_find_with_opts)                                                            \
    X(mongoc_cursor_destroy)                                                                       \
    X(mongoc_cursor_error_document)                                                                \
    X(mongoc_cursor_next)                                                                          \
    X(mongoc_cursor_set_batch_size)                                                                \
    X(mongoc_database_destroy)                                                                     \
    X(mongoc_database_watch)                                                                       \
    X(mongoc_init)                                                                                 \
    X(mongoc_log_set_handler)                                                                      \
    X(mongoc_read_concern_destroy)                                                                 \
    X(mongoc_read_concern_new)                                                                     \
    X(mongoc_read_concern_set_level)                                                               \
    X(mongoc_read_prefs_destroy)                                                                   \
    X(mongoc_read_prefs_new)                                                                       \
    X(mongoc_uri_destroy)                                                                          \
    X(mongoc_uri_get_database)                                                                     \
    X(mongoc_uri_get_hosts)                                                                        \
    X(mongoc_uri_get_option_as_int32)                                                              \
    X(mongoc_uri_get_option_as_utf8)                                                               \
    X(mongoc_uri_get_tls)                                                                          \
    X(mongoc_uri_new_with_error)                                                                   \
    X(mongoc_uri_option_is_bool)                                                                   \
    X(mongoc_uri_option_is_int32)                                                                  \
    X(mongoc_uri_option_is_int64)                                                                  \
    X(mongoc_uri_option_is_utf8)                                                                   \
    X(mongoc_uri_set_option_as_bool)                                                               \
    X(mongoc_uri_set_option_as_int32)                                                              \
    X(mongoc_uri_set_option_as_utf8)                                                               \
    X(mongoc_uri_set_read_concern)                                                                 \
    X(mongoc_uri_set_read_prefs_t)                                                                 \
    X(mongoc_write_concern_append)                                                                 \
    X(mongoc_write_concern_destroy)                                                                \
    X(mongoc_write_concern_new)                                                                    \
    X(mongoc_write_concern_set_journal)                                                            \
    X(mongoc_write_concern_set_wmajority)

struct mongo_driver {
#define X(name) __typeof__(name) *name;
    MONGO_DRIVER_MAP(X)
#undef X
};

/* Set once, by the first mongo_driver_load. */
extern struct mongo_driver mongo_driver;

/* To be called before any other of these. ERR_INVALID: it is not installed. */
int mongo_driver_load(struct error *err) __attribute__((warn_unused_result));

#ifndef STINT_MONGO_DRIVER_TABLE
#define mongoc_apm_callbacks_destroy mongo_driver.mongoc_apm_callbacks_destroy
#define mongoc_apm_callbacks_new mongo_driver.mongoc_apm_callbacks_new
#define mongoc_apm_command_started_get_command_name                                                \
    mongo_driver.mongoc_apm_command_started_get_command_name
#define mongoc_apm_command_started_get_context mongo_driver.mongoc_apm_command_started_get_context
#define mongoc_apm_set_command_started_cb mongo_driver.mongoc_apm_set_command_started_cb
#define mongoc_change_stream_destroy mongo_driver.mongoc_change_stream_destroy
#define mongoc_change_stream_error_document mongo_driver.mongoc_change_stream_error_document
#define mongoc_change_stream_next mongo_driver.mongoc_change_stream_next
#define mongoc_client_command_simple mongo_driver.mongoc_client_command_simple
#define mongoc_client_get_collection mongo_driver.mongoc_client_get_collection
#define mongoc_client_get_database mongo_driver.mongoc_client_get_database
#define mongoc_client_get_uri mongo_driver.mongoc_client_get_uri
#define mongoc_client_pool_destroy mongo_driver.mongoc_client_pool_destroy
#define mongoc_client_pool_new mongo_driver.mongoc_client_pool_new
#define mongoc_client_pool_new_with_error mongo_driver.mongoc_client_pool_new_with_error
#define mongoc_client_pool_pop mongo_driver.mongoc_client_pool_pop
#define mongoc_client_pool_push mongo_driver.mongoc_client_pool_push
#define mongoc_client_pool_set_apm_callbacks mongo_driver.mongoc_client_pool_set_apm_callbacks
#define mongoc_client_pool_set_error_api mongo_driver.mongoc_client_pool_set_error_api
#define mongoc_client_read_command_with_opts mongo_driver.mongoc_client_read_command_with_opts
#define mongoc_client_write_command_with_opts mongo_driver.mongoc_client_write_command_with_opts
#define mongoc_collection_aggregate mongo_driver.mongoc_collection_aggregate
#define mongoc_collection_destroy mongo_driver.mongoc_collection_destroy
#define mongoc_collection_find_with_opts mongo_driver.mongoc_collection_find_with_opts
#define mongoc_cursor_destroy mongo_driver.mongoc_cursor_destroy
#define mongoc_cursor_error_document mongo_driver.mongoc_cursor_error_document
#define mongoc_cursor_next mongo_driver.mongoc_cursor_next
#define mongoc_cursor_set_batch_size mongo_driver.mongoc_cursor_set_batch_size
#define mongoc_database_destroy mongo_driver.mongoc_database_destroy
#define mongoc_database_watch mongo_driver.mongoc_database_watch
#define mongoc_init mongo_driver.mongoc_init
#define mongoc_log_set_handler mongo_driver.mongoc_log_set_handler
#define mongoc_read_concern_destroy mongo_driver.mongoc_read_concern_destroy
#define mongoc_read_concern_new mongo_driver.mongoc_read_concern_new
#define mongoc_read_concern_set_level mongo_driver.mongoc_read_concern_set_level
#define mongoc_read_prefs_destroy mongo_driver.mongoc_read_prefs_destroy
#define mongoc_read_prefs_new mongo_driver.mongoc_read_prefs_new
#define mongoc_uri_destroy mongo_driver.mongoc_uri_destroy
#define mongoc_uri_get_database mongo_driver.mongoc_uri_get_database
#define mongoc_uri_get_hosts mongo_driver.mongoc_uri_get_hosts
#define mongoc_uri_get_option_as_int32 mongo_driver.mongoc_uri_get_option_as_int32
#define mongoc_uri_get_option_as_utf8 mongo_driver.mongoc_uri_get_option_as_utf8
#define mongoc_uri_get_tls mongo_driver.mongoc_uri_get_tls
#define mongoc_uri_new_with_error mongo_driver.mongoc_uri_new_with_error
#define mongoc_uri_option_is_bool mongo_driver.mongoc_uri_option_is_bool
#define mongoc_uri_option_is_int32 mongo_driver.mongoc_uri_option_is_int32
#define mongoc_uri_option_is_int64 mongo_driver.mongoc_uri_option_is_int64
#define mongoc_uri_option_is_utf8 mongo_driver.mongoc_uri_option_is_utf8
#define mongoc_uri_set_option_as_bool mongo_driver.mongoc_uri_set_option_as_bool
#define mongoc_uri_set_option_as_int32 mongo_driver.mongoc_uri_set_option_as_int32
#define mongoc_uri_set_option_as_utf8 mongo_driver.mongoc_uri_set_option_as_utf8
#define mongoc_uri_set_read_concern mongo_driver.mongoc_uri_set_read_concern
#define mongoc_uri_set_read_prefs_t mongo_driver.mongoc_uri_set_read_prefs_t
#define mongoc_write_concern_append mongo_driver.mongoc_write_concern_append
#define mongoc_write_concern_destroy mongo_driver.mongoc_write_concern_destroy
#define mongoc_write_concern_new mongo_driver.mongoc_write_concern_new
#define mongoc_write_concern_set_journal mongo_driver.mongoc_write_concern_set_journal
#define mongoc_write_concern_set_wmajority mongo_driver.mongoc_write_concern_set_wmajority
#endif

#endif
