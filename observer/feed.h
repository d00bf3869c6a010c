/* What keeps the past up to date: reads the datastore now and then, and nothing else.
 *
 * Everything goes through async.h, so the terminal never waits for a store; the facts reach the
 * past in async_drain, on the caller's thread. Reads only (I8). */
#ifndef STINT_OBSERVER_FEED_H
#define STINT_OBSERVER_FEED_H

#include "datastore/async.h"
#include "observer/jobs.h"
#include "observer/past.h"

struct feed;

/* Told of each fact before it goes into the past: what a recording is made of. Any may be NULL. */
struct feed_tap {
    void *ctx;
    void (*version)(void *ctx, const struct history_row *row);
    void (*reading)(void *ctx, const struct past_reading *reading);
    void (*stints)(void *ctx, const struct stint_row *rows, size_t n); /* new ones only */
    void (*complete)(void *ctx, int32_t lane); /* once for each lane: past_stints_complete */
    void (*trouble)(void *ctx, int64_t at_ms, const char *why);
};

struct feed_config {
    int64_t since_ms; /* how much of the past to read at first */
    uint64_t poll_ms; /* between two readings */
};

/* Borrowed until freed: async, past. */
struct feed *feed_new(struct async *async, struct past *past, const struct feed_config *config);
void feed_tap(struct feed *feed, const struct feed_tap *tap); /* copied */

/* Which jobs to read, again with every poll while rows is not 0; and what there is of them. */
void feed_want_jobs(struct feed *feed, const struct jobs_ask *ask);
const struct jobs_page *feed_jobs(const struct feed *feed);

/* More of the past is wanted than has been read: as much again, at least ten minutes. */
enum feed_earlier {
    FEED_EARLIER_ASKED,
    FEED_EARLIER_BUSY, /* what is under way comes first; ask again */
    FEED_EARLIER_NONE, /* all that is kept has been read, or there is no room for more */
};
enum feed_earlier feed_earlier(struct feed *feed);
/* All of the past that was asked for is there. */
bool feed_caught_up(const struct feed *feed);

/* Asks for what is due. now_ms: a monotonic clock. Returns in how many ms to call again. */
uint64_t feed_tick(struct feed *feed, uint64_t now_ms);

/* The datastore's clock, as far as it is known: UTC in ms. */
int64_t feed_store_ms(const struct feed *feed);

/* No run of it is under way any more (async_stop sees to that). */
void feed_free(struct feed *feed);

#endif
