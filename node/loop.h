/* The event loop that drives one core with real time, processes and a datastore. */
#ifndef STINT_LOOP_H
#define STINT_LOOP_H

#include "datastore/async.h"
#include "node/core.h"
#include "node/reaper.h"

struct loop_config {
    struct core_config core; /* identity borrowed during loop_run */
    struct async *async;     /* borrowed */
    struct reaper *reaper;   /* borrowed */
    /* Called once the record is in the store (its name may have got a number), and, if that was
     * called, once it is over. */
    void (*started)(void *ctx, const struct core_view *view);
    void (*over)(void *ctx, const struct core_view *view);
    void *ctx;
};

/* Runs one incarnation to its end and tells which (core_phase); `err` says why when it is FENCED or
 * FAILED. `stopped` remembers across incarnations that a signal asked to stop. */
enum core_phase loop_run(const struct loop_config *config, bool *stopped, struct error *err);

#endif
