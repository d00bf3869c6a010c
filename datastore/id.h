/* Job ids and ranges of them.
 *
 * A stored id is an int64: lane << 48 | seq. Sequences start at 1. A range [a, b) is half-open,
 * made of stored ids, and never leaves its lane: b may be one past the lane's last id. */
#ifndef STINT_ID_H
#define STINT_ID_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datastore/limits.h"

enum { ID_SEQ_BITS = 48 };

#define ID_SEQ_MAX ((INT64_C(1) << ID_SEQ_BITS) - 2)

struct range {
    int64_t a;    /* first id */
    int64_t b;    /* one past the last */
    bool suspect; /* came back from a buried node: a job in it may kill whoever runs it */
};

static inline int64_t id_make(int32_t lane, int64_t seq)
{
    assert(lane >= 0 && lane < LIMIT_LANES && seq >= 0 && seq <= ID_SEQ_MAX + 1);
    return ((int64_t)lane << ID_SEQ_BITS) | seq;
}

static inline int32_t id_lane(int64_t id)
{
    return (int32_t)(id >> ID_SEQ_BITS);
}

static inline int64_t id_seq(int64_t id)
{
    return id & ((INT64_C(1) << ID_SEQ_BITS) - 1);
}

/* Of any lane there may be, or one past the last: a record that says otherwise is damaged. What is
 * reckoned with such ids does not overflow. */
static inline bool id_possible(int64_t id)
{
    return id >= 0 && id <= (int64_t)LIMIT_LANES << ID_SEQ_BITS;
}

static inline int64_t range_count(struct range r)
{
    return r.b - r.a;
}

static inline bool range_holds(struct range r, int64_t id)
{
    return id >= r.a && id < r.b;
}

/* Where a lane's ids belong: queue, priority and (0 = none) partition. What an id is shown as. */
struct lane_name {
    char queue[LIMIT_NAME_BYTES + 1];
    int32_t priority;  /* 0 first .. 9 last */
    int32_t partition; /* 0: none; partitions count from 1 */
};

#define QUEUE_DEFAULT "default"
enum { PRIORITY_DEFAULT = 5, LANE_DEFAULT = 0, ID_TEXT_BYTES = 112 };

/* "17" in the default queue at default priority, else "queue[/priority][#partition]:seq".
 * `text` holds ID_TEXT_BYTES. Returns text. */
char *id_format(char text[ID_TEXT_BYTES], const struct lane_name *lane, int64_t seq);

/* The reverse, for one id or for a closed range "a-b" as shown to people ("mail/2:17-2000"):
 * the lane's name and the sequences. One id gives *ret_first == *ret_last.
 * ERR_INVALID on anything else, ids of 0 or past 2^48 - 2 and a > b included. */
int id_parse(const char *text, struct lane_name *ret_lane, int64_t *ret_first, int64_t *ret_last)
    __attribute__((warn_unused_result));

/* True for 1..64 bytes of [A-Za-z0-9._-] not starting with '-': what names of queues, nodes,
 * types, batches and groups are made of. */
bool name_valid(const char *name);

#endif
