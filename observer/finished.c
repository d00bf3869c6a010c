/* Finished ranges and their sums (observer/finished.h).
 *
 * Rows come nearly in order, as they are read: an insert at the end is the common case. The sums
 * are made again from the first row that changed. Pure. */
#include "observer/finished.h"

#include <stdlib.h>
#include <string.h>

#include "observer/array.h"

/* Index of the first row that ends past that id. */
static size_t row_at(const struct finished *finished, int64_t seq)
{
    return ARRAY_UNTIL(finished->rows, finished->n, b, seq);
}

/* Each row takes in the one behind it where the two meet. */
static void neighbours_merge(struct finished *finished)
{
    size_t kept = 0;
    for (size_t i = 0; i < finished->n; i++) {
        struct finished_row row = finished->rows[i];
        const struct finished_row *next = &finished->rows[i + 1];
        if (i + 1 < finished->n && next->a == row.b) {
            row.node = next->b - next->a > row.b - row.a ? next->node : row.node;
            row.b = next->b;
            row.done += next->done;
            row.failed += next->failed;
            row.cancelled += next->cancelled;
            if (next->first_start_ms < row.first_start_ms)
                row.first_start_ms = next->first_start_ms;
            if (next->last_finish_ms > row.last_finish_ms)
                row.last_finish_ms = next->last_finish_ms;
            i++;
        }
        finished->rows[kept++] = row;
    }
    finished->n = kept;
    finished->n_sums = 0;
    /* Where few of them meet, this is not tried again with every row. */
    finished->crowded = kept > FINISHED_ROWS_MAX / 2 ? 2 * kept : FINISHED_ROWS_MAX;
}

void finished_add(struct finished *finished, const struct finished_row *row)
{
    size_t at = row_at(finished, row->a);
    bool free_there = at == finished->n || finished->rows[at].a >= row->b;
    if (row->a >= row->b || !free_there)
        return;
    if (finished->n == finished->max) {
        finished->max = finished->max > 0 ? finished->max * 2 : 64;
        finished->rows = realloc(finished->rows, finished->max * sizeof(*finished->rows));
        finished->sums = realloc(finished->sums, (finished->max + 1) * sizeof(*finished->sums));
        if (finished->rows == NULL || finished->sums == NULL)
            abort();
    }
    memmove(finished->rows + at + 1, finished->rows + at,
            (finished->n - at) * sizeof(*finished->rows));
    finished->rows[at] = *row;
    finished->n++;
    if (finished->n_sums > at + 1)
        finished->n_sums = at + 1;
    if (finished->n >= (finished->crowded > 0 ? finished->crowded : FINISHED_ROWS_MAX))
        neighbours_merge(finished);
}

void finished_clear(struct finished *finished)
{
    free(finished->rows);
    free(finished->sums);
    *finished = (struct finished){0};
}

static void sums_make(struct finished *finished)
{
    if (finished->n_sums == 0) {
        finished->sums[0] = (struct finished_sum){0};
        finished->n_sums = 1;
    }
    for (size_t i = finished->n_sums; i <= finished->n; i++) {
        const struct finished_row *row = &finished->rows[i - 1];
        struct finished_sum sum = finished->sums[i - 1];
        sum.ids += row->b - row->a;
        sum.done += row->done;
        sum.failed += row->failed;
        sum.cancelled += row->cancelled;
        finished->sums[i] = sum;
    }
    finished->n_sums = finished->n + 1;
}

/* Of `n` ids, `some` are spread evenly: how many of them are among the first `at`. */
static int64_t spread(int64_t some, int64_t n, int64_t at)
{
    return n > 0 ? (int64_t)((double)some * (double)at / (double)n + 0.5) : 0;
}

/* Adds the part of that row which is before `seq`, or takes it away (sign): the failed ones among
 * all ids, the cancelled ones among the others, the done ones among what is left. */
static void part_add(struct finished_counts *counts, const struct finished_row *row, int64_t seq,
                     int64_t sign)
{
    if (seq <= row->a)
        return;
    int64_t n = row->b - row->a, at = seq - row->a;
    int64_t failed = spread(row->failed, n, at);
    int64_t cancelled = spread(row->cancelled, n - row->failed, at - failed);
    int64_t done = spread(row->done, n - row->failed - row->cancelled, at - failed - cancelled);
    counts->ids += sign * at;
    counts->failed += sign * failed;
    counts->cancelled += sign * cancelled;
    counts->done += sign * done;
}

struct finished_counts finished_count(struct finished *finished, int64_t a, int64_t b)
{
    struct finished_counts counts = {0};
    if (finished == NULL || finished->n == 0 || a >= b)
        return counts;
    sums_make(finished);
    size_t from = row_at(finished, a), to = row_at(finished, b);
    const struct finished_sum *low = &finished->sums[from], *high = &finished->sums[to];
    counts = (struct finished_counts){
        .ids = high->ids - low->ids,
        .done = high->done - low->done,
        .failed = high->failed - low->failed,
        .cancelled = high->cancelled - low->cancelled,
    };
    if (from < finished->n)
        part_add(&counts, &finished->rows[from], a, -1);
    if (to < finished->n)
        part_add(&counts, &finished->rows[to], b, 1);
    return counts;
}

const struct finished_row *finished_find(const struct finished *finished, int64_t seq)
{
    if (finished == NULL)
        return NULL;
    size_t at = row_at(finished, seq);
    bool holds = at < finished->n && finished->rows[at].a <= seq;
    return holds ? &finished->rows[at] : NULL;
}

int64_t finished_gap(struct finished *finished, int64_t from)
{
    size_t low = row_at(finished, from), high = finished->n;
    if (low == high || finished->rows[low].a > from)
        return from;
    sums_make(finished);
    /* Rows from the first on meet as long as their ids are as many as the ids they span. */
    int64_t first = finished->rows[low].a, before = finished->sums[low].ids;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        int64_t ids = finished->sums[middle + 1].ids - before;
        if (finished->rows[middle].b - first == ids)
            low = middle;
        else
            high = middle;
    }
    return finished->rows[low].b;
}
