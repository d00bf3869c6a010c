/* Copying everything from one store into another (`stint store copy`). */
#ifndef STINT_STORE_COPY_H
#define STINT_STORE_COPY_H

#include "cli/progress.h"
#include "cli/store_digest.h"

struct store_copy {
    struct datastore *from, *to; /* `to` opened with DS_COPY */
    const char *from_uri, *to_uri;
    struct progress *progress;

    bool resumed; /* an earlier try had begun */
    struct store_digest source, copy;
};

/* 0: done and checked, and the copy is free to be used. ERR_CONFLICT: the two differ, as `source`
 * and `copy` say, and the mark stays. Else nothing is wrong with what was copied so far, and the
 * same again goes on. ERR_REFUSED: nodes are alive, or `to` holds something else. */
int store_copy(struct store_copy *copy, struct error *err) __attribute__((warn_unused_result));

#endif
