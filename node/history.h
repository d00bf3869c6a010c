/* Versions of a node's own record, from which an observer rebuilds what the node was at any time
 * (DESIGN §3): whole at first and once a minute, in between only what changed. Pure.
 *
 * A body is a BSON document of these fields, in a delta of those that changed since the last:
 *   name host version queues types slots lease_ms pid created   of the incarnation; never change
 *   state (int), since (UTC ms), desired (int)
 *   running   [id, ...]
 *   ranges    [{a, b, suspect: true where it is, returning: number where it is given back}, ...]
 *   granted   [{lane, g}, ...]
 *   done, failed, interrupted, rate, load
 *   lanes     [{lane, head, tail, pool: [{a, b, suspect}, ...]}, ...] as the node last saw them
 * Replay: start from a whole version, replace field by field; a gap in the numbers (a version that
 * was never written) makes the deltas up to the next whole one useless. */
#ifndef STINT_HISTORY_H
#define STINT_HISTORY_H

#include "datastore/arena.h"
#include "datastore/records.h"

enum {
    HISTORY_GAP_MS_MIN = 1000,      /* between two versions */
    HISTORY_WHOLE_MS = 60000,       /* between two whole ones, at most, while things change; and
                                 between two times that old ones are dropped */
    HISTORY_DELTAS_MS = 10 * 60000, /* how long deltas are kept at least */
    HISTORY_BYTES_MAX = 4 << 20,    /* of versions kept of one node */
    HISTORY_ROWS_MAX = 4096,
};

/* A lane as the node last saw it; borrowed during the call. */
struct history_lane {
    int32_t lane;
    int64_t head, tail;
    const struct range *pool;
    size_t n_pool;
};

struct history;

struct history *history_new(void);          /* aborts when the machine has no memory left */
void history_free(struct history *history); /* NULL is fine */

/* Makes the next version of this record, numbered from 1. now_ms: UTC by the datastore's clock.
 * Returns 1 with a row, its body in `mem`; 0 when nothing worth a version changed, or the last one
 * is younger than HISTORY_GAP_MS_MIN. (The load alone is not worth one.) */
int history_version(struct history *history, const struct node *self,
                    const struct history_lane *lanes, size_t n_lanes, int64_t now_ms,
                    struct history_row *ret_row, struct arena *mem);

/* The last version may not have reached the store and is given up: the next one is whole. */
void history_lost(struct history *history);

/* What a DS_HISTORY_ADD of this node is to drop, so that what is kept of it stays within bounds; 0:
 * nothing, most times, since a store may have to look at all of its versions for that. */
void history_thin(struct history *history, int64_t now_ms, int64_t *ret_thin_before_ms,
                  int64_t *ret_drop_before_ms);

#endif
