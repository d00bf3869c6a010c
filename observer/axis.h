/* The axis of ids of one lane: what is in any stretch of it. What the map draws. */
#ifndef STINT_OBSERVER_AXIS_H
#define STINT_OBSERVER_AXIS_H

#include "observer/moment.h"

enum id_kind {
    ID_UNKNOWN, /* below head, and in no place that is known: not read yet */
    ID_DONE,
    ID_FAILED,
    ID_CANCELLED,
    ID_VOID,    /* ended without ever holding a job */
    ID_GRANTED, /* held by a node, and not seen to run */
    ID_RUNNING,
    ID_RETURNING, /* held, on its way back to the pool */
    ID_SUSPECT,   /* rescued from a dead node: in the pool, or held again */
    ID_POOLED,
    ID_QUEUED, /* nobody's yet */
    ID_HOLE,   /* not ended, and the store has no row of it: told by who reads rows */
    ID_KINDS
};

const char *id_kind_name(enum id_kind kind);

struct axis_part {
    double counts[ID_KINDS]; /* ids of each kind; together b - a */
    int32_t node;            /* index of the node that holds most of it, or did it; -1: none */
};

/* Of [a, b), sequence numbers; 1 <= a < b <= tail. */
struct axis_part axis_part(const struct moment *moment, const struct moment_lane *lane, int64_t a,
                           int64_t b);

/* The kind that there is most of; but what is rare and matters shows: failed and running jobs, and
 * ids rescued, as soon as there are any. */
enum id_kind axis_kind(const struct axis_part *part);

#endif
