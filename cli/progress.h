/* A line on the terminal that shows how far long work has come. */
#ifndef STINT_PROGRESS_H
#define STINT_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown;       /* stderr is a terminal */
    bool drawn;       /* something stands on the line now */
    const char *verb; /* "submitted" */
    uint64_t began_ms, drawn_ms;
};

void progress_start(struct progress *progress, const char *verb);

/* `part` of `whole` is done (whole 0: unknown), which is `jobs` jobs. Draws at most ten times a
 * second, and nothing in the first half second. */
void progress_show(struct progress *progress, int64_t part, int64_t whole, int64_t jobs);

/* Wipes the line; call it before anything else is printed. */
void progress_clear(struct progress *progress);

#endif
