/* Waiting out a short outage of the store: which codes may pass, for how long, and what a second
 * try of a step must know of the first.
 *
 * Only for steps that may be carried out twice (datastore.h says of each what that comes to).
 * Single-threaded. */
#include "cli/cli.h"

#include <time.h>

enum { PATIENCE_MS = 10000, PAUSE_MS_MIN = 20, PAUSE_MS_MAX = 500 };

bool cli_passing(int rc)
{
    return rc == ERR_UNAVAILABLE || rc == ERR_BUSY || rc == ERR_UNKNOWN_OUTCOME;
}

bool cli_try_again(struct patience *patience, int rc)
{
    uint64_t now_ms = clock_ms();
    if (patience->pause_ms == 0)
        *patience = (struct patience){.began_ms = now_ms, .pause_ms = PAUSE_MS_MIN};
    if (!cli_passing(rc) || now_ms - patience->began_ms > PATIENCE_MS)
        return false;
    struct timespec pause = {.tv_sec = (time_t)(patience->pause_ms / 1000),
                             .tv_nsec = (long)(patience->pause_ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
    patience->pause_ms =
        patience->pause_ms * 2 < PAUSE_MS_MAX ? patience->pause_ms * 2 : PAUSE_MS_MAX;
    return true;
}

int cli_step(struct datastore *ds, struct ds_step *step, struct arena *mem, bool *ret_unsure,
             struct error *err)
{
    const struct ds_step asked = *step;
    struct patience patience = {0};
    bool unsure = false;
    int rc;
    for (;;) {
        err->code = 0;
        rc = datastore_step(ds, step, mem, err);
        if (rc < 0 && err->code == 0)
            error_set(err, rc, "%s", error_text(rc));
        if (!cli_passing(rc) || !cli_try_again(&patience, rc))
            break;
        unsure = unsure || rc == ERR_UNKNOWN_OUTCOME;
        *step = asked;
    }
    if (ret_unsure != NULL)
        *ret_unsure = unsure;
    return rc;
}
