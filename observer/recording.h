/* Recordings: what an observer learned of a cluster, in a file, to be looked at later and elsewhere
 * (docs/RECORDING.md). No jobs' contents and no secrets are in it.
 *
 * Bounded: a writer ends its recording at `bytes_max`, a reader takes what makes sense up to the
 * first damage. Each on one thread. */
#ifndef STINT_OBSERVER_RECORDING_H
#define STINT_OBSERVER_RECORDING_H

#include "observer/feed.h"

enum {
    RECORDING_BYTES_MAX = 256 << 20,
    RECORDING_NODES_MAX = 1 << 16, /* nodes that ever came up in one */
};

/* ---- writing -------------------------------------------------------------------------------- */

struct recording;

/* Begins a recording in a new file. store: without its password. since_ms: where the past begins
 * (past_since). bytes_max: how long the file gets at most; not below RECORDING_BYTES_MIN.
 * ERR_DUPLICATE: there is such a file already; it is left as it is. ERR_IO, ERR_FULL. */
enum { RECORDING_BYTES_MIN = 1024 };
int recording_new(const char *path, const char *store, int64_t at_ms, int64_t since_ms,
                  size_t bytes_max, struct recording **ret_recording, struct error *err)
    __attribute__((warn_unused_result));

/* What to give to feed_tap. Borrows the recording. */
struct feed_tap recording_tap(struct recording *recording);

/* Writes what has gathered, when that is some seconds old. now_ms: a monotonic clock. */
void recording_tick(struct recording *recording, uint64_t now_ms);

/* Why nothing more is recorded; NULL: it is. */
const char *recording_over(const struct recording *recording);

/* How long the file is. */
size_t recording_bytes(const struct recording *recording);

/* Ends the recording and frees it. ERR_IO, ERR_FULL: not all of it is in the file; err says why. */
int recording_end(struct recording *recording, struct error *err);

/* ---- reading -------------------------------------------------------------------------------- */

struct replay;

/* What it says of itself; store lives as long as the replay. */
struct replay_about {
    const char *store, *program;
    int64_t at_ms; /* when it began */
};

/* ERR_NOT_FOUND, ERR_IO; ERR_CORRUPT: not a recording; ERR_VERSION: of a newer program. */
int replay_open(const char *path, struct replay **ret_replay, struct replay_about *ret_about,
                struct error *err) __attribute__((warn_unused_result));

/* Puts the next facts into the past. 1: there may be more; 0: that was all; ERR_CORRUPT, ERR_IO,
 * ERR_LIMIT: there is no more that could be read, and err says until when it goes. */
int replay_step(struct replay *replay, struct past *past, struct error *err)
    __attribute__((warn_unused_result));

/* The last time it tells of, so far. */
int64_t replay_last_ms(const struct replay *replay);
/* It was ended since it was full. */
bool replay_full(const struct replay *replay);
/* How much of the file has been read, 0..1. */
double replay_part(const struct replay *replay);
void replay_free(struct replay *replay);

#endif
