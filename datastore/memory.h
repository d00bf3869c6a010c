/* The memory datastore: the executable specification of datastore/datastore.h, and what the
 * simulator runs on. It reads no clock and draws nothing at random: the same calls in the same
 * order give the same records.
 *
 * Any number of handles share one store, each used by one thread at a time. A step is atomic; other
 * handles' steps may come between two steps of a run. */
#ifndef STINT_MEMORY_H
#define STINT_MEMORY_H

#include "datastore/datastore.h"

struct memory_store;

/* An empty store with the default queue and lane. utc_ms is the store's clock; it is called under
 * the store's lock, once for each step, and must not call the store. Never fails. */
struct memory_store *memory_store_new(int64_t (*utc_ms)(void *ctx), void *ctx);

/* All handles must be closed. NULL is fine. */
void memory_store_free(struct memory_store *store);

/* A handle; datastore_close frees it. The store must outlive it. */
struct datastore *memory_open(struct memory_store *store);

/* Carries out step i of a run, those before it having been carried out, and returns its code (rc is
 * the caller's to set): for the simulator, which lets others in between any two steps. */
int memory_step(struct datastore *memory, struct ds_run *run, size_t i);

#endif
