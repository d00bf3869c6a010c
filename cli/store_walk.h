/* Reads everything that a store holds, page by page: what a copy writes and a digest adds up.
 *
 * Each walk hands pages to a function, which may end it with a code. Short outages are waited out.
 * Pages live until the function returns. Single-threaded. */
#ifndef STINT_STORE_WALK_H
#define STINT_STORE_WALK_H

#include "datastore/datastore.h"

enum { WALK_JOBS = 2000, WALK_CHUNKS = 500, WALK_STINTS = 1000, WALK_HISTORY = 32 };

/* At most so many of each a page, by the numbers above. */
typedef int walk_jobs_fn(void *ctx, struct job *jobs, size_t n, struct error *err);
typedef int walk_chunks_fn(void *ctx, const struct submit_chunk *chunks, size_t n,
                           struct error *err);
typedef int walk_stints_fn(void *ctx, const struct stint_row *rows, size_t n, struct error *err);
typedef int walk_history_fn(void *ctx, const struct history_row *rows, size_t n, struct error *err);

/* Rows of all states in `range`, by id. */
int walk_jobs(struct datastore *ds, struct range range, walk_jobs_fn *fn, void *ctx,
              struct error *err) __attribute__((warn_unused_result));
/* By submit and index, as DS_SUBMIT_FIND presents them. */
int walk_chunks(struct datastore *ds, walk_chunks_fn *fn, void *ctx, struct error *err)
    __attribute__((warn_unused_result));
/* Each row once; then, in a walk of their own, the totals. */
int walk_stints(struct datastore *ds, walk_stints_fn *fn, void *ctx, struct error *err)
    __attribute__((warn_unused_result));
int walk_totals(struct datastore *ds, walk_stints_fn *fn, void *ctx, struct error *err)
    __attribute__((warn_unused_result));
/* By node and number. */
int walk_history(struct datastore *ds, walk_history_fn *fn, void *ctx, struct error *err)
    __attribute__((warn_unused_result));

#endif
