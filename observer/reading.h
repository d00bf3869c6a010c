/* One reading of the store: what it says of nodes, lanes and queues now. The observer makes one
 * every now and then (feed.h); `stint status` and `stint queue list` make one. */
#ifndef STINT_OBSERVER_READING_H
#define STINT_OBSERVER_READING_H

#include "observer/past.h"

enum { READING_STEPS = 4 };

/* all: also the dead. */
void reading_ask(struct ds_step steps[READING_STEPS], bool all);

/* Of steps that were carried out, with what they returned; borrowed from them. ours_ms: this
 * machine's clock, UTC. The reading's time is that of the newest heartbeat where that is later: the
 * store's clock is ahead. */
struct past_reading reading_of(const struct ds_step steps[READING_STEPS], int64_t ours_ms);

/* The cluster now, in one run. Given: *ret_past, which holds *ret_moment. *ret_whole: false when
 * the store holds records that cannot be; they were left out. */
int reading_now(struct datastore *ds, int64_t ours_ms, struct past **ret_past,
                const struct moment **ret_moment, bool *ret_whole, struct error *err)
    __attribute__((warn_unused_result));

#endif
