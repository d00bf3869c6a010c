/* The finished ranges of one lane, and sums over any stretch of its ids in logarithmic time.
 *
 * Rows of the stints collection, by their first id; they do not overlap, but for a range that was
 * counted twice around a crash: then the first one counts. Which jobs of a range failed or were
 * cancelled a row does not say: they are taken to be spread evenly, each at some id, so that none
 * is ever lost between two stretches. Bounded: past FINISHED_ROWS_MAX rows, neighbours become one,
 * which keeps every sum over whole rows. */
#ifndef STINT_OBSERVER_FINISHED_H
#define STINT_OBSERVER_FINISHED_H

#include "datastore/records.h"

enum { FINISHED_ROWS_MAX = 1 << 18 };

struct finished_row {
    int64_t a, b;                    /* sequence numbers, half open */
    int64_t node;                    /* id */
    int64_t done, failed, cancelled; /* of b - a; the rest led nowhere */
    int64_t first_start_ms, last_finish_ms;
};

struct finished {
    struct finished_row *rows; /* by a */
    size_t n, max;
    size_t crowded; /* so many rows are too many; 0: FINISHED_ROWS_MAX */
    /* Sums over the rows before i; n + 1 of them, made when asked for. */
    struct finished_sum {
        int64_t ids, done, failed, cancelled;
    } * sums;
    size_t n_sums;
    size_t near; /* where the last stretch that was asked for ended: the next is often beside it */
};

struct finished_counts {
    int64_t ids, done, failed, cancelled; /* ids that ended; the rest of them led nowhere */
};

/* A row that is there already is left as it is. Rows by a: many cost as much as one. */
void finished_add(struct finished *finished, const struct finished_row *rows, size_t n);
/* Makes half as many of them, where they meet. */
void finished_merge(struct finished *finished);
void finished_clear(struct finished *finished);

/* Over [a, b). */
struct finished_counts finished_count(struct finished *finished, int64_t a, int64_t b);

/* The row that holds that id, or NULL. */
const struct finished_row *finished_find(const struct finished *finished, int64_t seq);

/* The lowest id from which on all ids below `until` are in rows; `until`: the one before it is in
 * none. */
int64_t finished_from(struct finished *finished, int64_t until);
/* The end of the last row that ends at or before that id; 1: there is none. */
int64_t finished_end_before(const struct finished *finished, int64_t seq);

#endif
