/* Blocking datastore calls kept off the event loop: worker threads carry out runs.
 *
 * Two threads, each with a handle of its own: one for runs that write (in the order pushed, urgent
 * ones first; everything waiting is handed to the backend at once, which commits it together) and
 * one for runs that only read. Runs come back through a completion list; `async_fd` is an eventfd
 * that becomes readable when it is not empty. Worker threads touch nothing else of the caller's. */
#ifndef STINT_ASYNC_H
#define STINT_ASYNC_H

#include <stdint.h>

#include "datastore/datastore.h"

struct async;

/* Makes one handle; called once for each worker, on the caller's thread. */
typedef int (*async_open_fn)(void *ctx, struct datastore **ret_ds, struct error *err);

int async_start(async_open_fn open, void *ctx, struct async **ret_async, struct error *err)
    __attribute__((warn_unused_result));

/* Hands a run over; run->done(run, run->ctx) is called by async_drain on the caller's thread.
 * ERR_BUSY when LIMIT_ASYNC_RUNS wait already (the caller keeps the run). */
int async_push(struct async *async, struct ds_run *run) __attribute__((warn_unused_result));

int async_fd(const struct async *async);

/* Calls `done` for every run that has come back. Returns how many. */
size_t async_drain(struct async *async);

/* How long the oldest run under way has been with its worker, in ms; 0 when idle. */
uint64_t async_stuck_ms(const struct async *async);

/* The writing worker's wake descriptor (see datastore_class), -1 where there is none. */
int async_wake_fd(const struct async *async);
bool async_wake_clear(struct async *async);

/* Where others can make it readable (see datastore_class); "": nowhere. */
const char *async_doorbell(const struct async *async);

/* Waits for the runs under way (each is bounded), calls `done` for all, joins, closes. */
void async_stop(struct async *async);

#endif
