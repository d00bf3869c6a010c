/* A cluster that never was, with everything in its past that a view has to draw: nodes that work,
 * wait, pause, stop, crash and are buried; ranges claimed, given back, rescued and taken over; jobs
 * that fail; queues in a hurry and queues at rest; a store that was away for a while.
 *
 * Made of the facts a store would tell (observer/past.h), step by step, the same from the same
 * numbers. The versions are those that a node would write. */
#ifndef STINT_TEST_LIFELIKE_H
#define STINT_TEST_LIFELIKE_H

#include "observer/feed.h"
#include "observer/jobs.h"

#define LIFELIKE_START_MS INT64_C(1700000000000) /* 2023-11-14 22:13:20 UTC */

struct lifelike_config {
    int nodes;                  /* 3 .. 100 */
    int lanes;                  /* 1 .. 10 */
    int seconds;                /* of history */
    int speed;                  /* jobs a second and node; 0: 40 */
    bool quiet;                 /* nobody dies, pauses or stops, and nothing fails */
    bool lost;                  /* and now the store cannot be read */
    const struct feed_tap *tap; /* is told of each fact, with all its functions; NULL: nobody is */
};

/* To be freed with past_free. */
struct past *lifelike_past(const struct lifelike_config *config);
int64_t lifelike_end_ms(const struct lifelike_config *config);

/* A page of jobs as such a cluster has; one of them in detail. What it points to is constant. */
void lifelike_jobs(struct jobs_page *page, const struct jobs_ask *ask);

#endif
