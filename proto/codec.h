/* Messages of stint.proto as structs, and back: what a recording is made of.
 *
 * Encoders give bytes in `mem`. Decoders take bytes of any origin: ERR_CORRUPT, and nothing set,
 * for what is no such message; what they give lives in `mem`, which they bound (see codec.c). What
 * they give is well-formed, but may make no sense: who uses it looks (observer/past_check.c).
 * Pure. */
#ifndef STINT_CODEC_H
#define STINT_CODEC_H

#include "datastore/arena.h"
#include "datastore/error.h"
#include "datastore/records.h"

struct wire_start {
    uint32_t format;
    char program[32];
    char store[256];
    int64_t at_ms, since_ms;
};

struct wire_end {
    int64_t at_ms;
    bool full;
};

struct wire_beat {
    uint32_t node; /* in the order in which nodes came up */
    int64_t later_ms;
    uint32_t load; /* hundredths */
};

struct wire_reading {
    int64_t at_ms;
    const struct node *nodes; /* without the doorbell, and with nothing of it when decoded */
    size_t n_nodes;
    const struct lane *lanes; /* without entries */
    size_t n_lanes;
    const struct queue *queues;
    size_t n_queues;
    const struct wire_beat *beats;
    size_t n_beats;
    const struct stint_row *totals;
    size_t n_totals;
};

enum wire_kind { WIRE_READING, WIRE_VERSION, WIRE_STINT, WIRE_COMPLETE, WIRE_TROUBLE };

struct wire_fact {
    enum wire_kind kind;
    union {
        struct wire_reading reading;
        struct history_row version;
        struct stint_row stint;
        int32_t complete; /* a lane */
        struct {
            int64_t at_ms;
            const char *why;
        } trouble;
    };
};

struct bytes wire_start_encode(const struct wire_start *start, struct arena *mem);
int wire_start_decode(struct bytes bytes, struct wire_start *ret_start)
    __attribute__((warn_unused_result));

struct bytes wire_end_encode(const struct wire_end *end, struct arena *mem);
int wire_end_decode(struct bytes bytes, struct wire_end *ret_end)
    __attribute__((warn_unused_result));

/* The bytes of several facts, one behind the other, are those of all of them. */
struct bytes wire_fact_encode(const struct wire_fact *fact, struct arena *mem);
/* Facts of a kind that is not known are left out. ERR_LIMIT: they would take too much memory. */
int wire_facts_decode(struct bytes bytes, struct arena *mem, struct wire_fact **ret_facts,
                      size_t *ret_n) __attribute__((warn_unused_result));

#endif
