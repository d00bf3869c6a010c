/* What a store holds, in a few numbers that two stores can be compared by. */
#ifndef STINT_STORE_DIGEST_H
#define STINT_STORE_DIGEST_H

#include "cli/progress.h"
#include "datastore/datastore.h"

enum { DIGEST_TEXT_BYTES = 33 };

struct store_digest {
    unsigned __int128 sum;
    int64_t queues, lanes, nodes, jobs, slots, voids, chunks, stints, history;
};

/* Reads all of it. *looked grows by the ids looked at, of `whole`. */
int store_digest(struct datastore *ds, struct progress *progress, int64_t *looked, int64_t whole,
                 struct store_digest *ret_digest, struct error *err)
    __attribute__((warn_unused_result));

bool store_digest_equal(const struct store_digest *a, const struct store_digest *b);
char *store_digest_text(char text[DIGEST_TEXT_BYTES], const struct store_digest *digest);

#endif
