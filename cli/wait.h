/* Waiting for jobs to end: what `stint wait` and `stint submit --wait` share. */
#ifndef STINT_WAIT_H
#define STINT_WAIT_H

#include "cli/cli.h"
#include "cli/view.h"

struct wait_request {
    const struct range *ranges; /* borrowed; or none and a batch */
    size_t n_ranges;
    const char *batch;
    int64_t timeout_ms; /* -1: none */
    const char *again;  /* the command that looks again, for a person */
    uint64_t outage_ms; /* how long the store may be away; 0: half a minute */
};

/* Waits until all have ended and prints how many ended which way. Returns the exit status: CLI_OK
 * (all done), CLI_FAILED, CLI_TIMED_OUT, CLI_REFUSED (no such job), 128 + a signal, or one of the
 * datastore's. */
int wait_for(const struct cli *cli, struct datastore *ds, struct interrupt *interrupt,
             const struct wait_request *request);

#endif
