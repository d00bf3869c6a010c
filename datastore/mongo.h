/* The MongoDB backend: MongoDB, or a server that speaks its protocol (docs/DATASTORE.md).
 *
 * Every step is one or a few commands that change one document each, with majority write concern;
 * no transaction anywhere. Time-outs are below the lease. A write that got no reply has an unknown
 * outcome; one that was never sent, or was refused by a server that is not the primary, has not. */
#ifndef STINT_MONGO_H
#define STINT_MONGO_H

#include "datastore/datastore.h"

enum {
    MONGO_TIMEOUT_MS = 3000, /* for the reply to a command, and to find a server; below the lease */
    MONGO_ROWS = 1000,       /* rows of one insert statement */
    MONGO_ROWS_BYTES = 1 << 20,
    MONGO_COMMAND_BYTES = 16 << 20, /* a document, and a command with all it carries, at most */
};

/* `mongodb://` or `mongodb+srv://`, the database as path (default: stint), and `namespace=NAME`
 * beside the driver's own options. A password in it is never printed. As
 * datastore_open_within; never more than MONGO_TIMEOUT_MS. */
int mongo_open(const char *uri, unsigned flags, uint32_t timeout_ms, struct datastore **ret_ds,
               struct error *err) __attribute__((warn_unused_result));

/* As datastore_drop. */
int mongo_drop(const char *uri, struct error *err) __attribute__((warn_unused_result));

struct mongo_counts {
    uint64_t commands; /* sent, getMore included; hello not */
};

struct mongo_counts mongo_counts_of(const struct datastore *ds);

#endif
