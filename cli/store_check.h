/* Reads a whole datastore and looks for records that do not fit together. */
#ifndef STINT_STORE_CHECK_H
#define STINT_STORE_CHECK_H

#include "datastore/datastore.h"

struct store_check {
    void (*problem)(void *ctx, const char *text); /* one line each, borrowed */
    void *ctx;
    int64_t problems, jobs, lanes, nodes;
};

/* Page by page. 0 also when problems were found. */
int store_check(struct datastore *ds, struct store_check *check, struct error *err)
    __attribute__((warn_unused_result));

#endif
