/* Finished ranges and their sums (observer/finished.h).
 *
 * Rows come in pages, the newest first: a page is merged with what is there at once. The sums are
 * made again from the first row that changed. Pure. */
#include "observer/finished.h"

#include <stdlib.h>
#include <string.h>

#include "observer/array.h"

/* Index of the first row that ends past that id. */
static size_t row_at(const struct finished *finished, int64_t seq)
{
    return ARRAY_UNTIL(finished->rows, finished->n, b, seq);
}

/* The same, looked for from `near` on. */
static size_t row_near(const struct finished *finished, size_t near, int64_t seq)
{
    enum { STEPS = 8 };
    size_t at = near < finished->n ? near : finished->n;
    for (int i = 0; i < STEPS; i++) {
        if (at < finished->n && finished->rows[at].b <= seq)
            at++;
        else if (at > 0 && finished->rows[at - 1].b > seq)
            at--;
        else
            return at;
    }
    return row_at(finished, seq);
}

/* Each row takes in the one behind it where the two meet. */
void finished_merge(struct finished *finished)
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

static void room_make(struct finished *finished, size_t n)
{
    if (n <= finished->max)
        return;
    finished->max = finished->max > 0 ? finished->max : 64;
    while (finished->max < n)
        finished->max *= 2;
    finished->rows = realloc(finished->rows, finished->max * sizeof(*finished->rows));
    finished->sums = realloc(finished->sums, (finished->max + 1) * sizeof(*finished->sums));
    if (finished->rows == NULL || finished->sums == NULL)
        abort();
}

/* Nothing is there of that row's ids, nor of those below `taken`. */
static bool fits(const struct finished *finished, const struct finished_row *row, int64_t taken)
{
    size_t at = row_at(finished, row->a);
    bool free_there = at == finished->n || finished->rows[at].a >= row->b;
    return row->a < row->b && row->a >= taken && free_there;
}

/* Those that fit are put behind the others first; then both are merged, from the last one on. */
void finished_add(struct finished *finished, const struct finished_row *rows, size_t n)
{
    size_t before = finished->n, fit = 0;
    struct finished_row *fitting = malloc((n + 1) * sizeof(*fitting));
    if (fitting == NULL)
        abort();
    for (size_t i = 0; i < n; i++)
        if (fits(finished, &rows[i], fit > 0 ? fitting[fit - 1].b : INT64_MIN))
            fitting[fit++] = rows[i];
    if (fit > 0) {
        size_t lowest = row_at(finished, fitting[0].a);
        room_make(finished, before + fit);
        if (finished->n_sums > lowest + 1)
            finished->n_sums = lowest + 1;
    }
    finished->n = before + fit;
    for (size_t to = finished->n; fit > 0;) {
        bool old = before > 0 && finished->rows[before - 1].a > fitting[fit - 1].a;
        finished->rows[--to] = old ? finished->rows[--before] : fitting[--fit];
    }
    free(fitting);
    if (finished->n >= (finished->crowded > 0 ? finished->crowded : FINISHED_ROWS_MAX))
        finished_merge(finished);
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
    size_t from = row_near(finished, finished->near, a), to = row_near(finished, from, b);
    finished->near = to;
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
    size_t at = row_near(finished, finished->near, seq);
    bool holds = at < finished->n && finished->rows[at].a <= seq;
    return holds ? &finished->rows[at] : NULL;
}

int64_t finished_from(struct finished *finished, int64_t until)
{
    size_t low = 0, high = row_at(finished, until - 1); /* holds the one before, if any does */
    if (high == finished->n || finished->rows[high].a >= until)
        return until;
    sums_make(finished);
    /* Rows down from there meet as long as their ids are as many as the ids they span. */
    int64_t end = finished->rows[high].b, after = finished->sums[high + 1].ids;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (end - finished->rows[middle].a == after - finished->sums[middle].ids)
            high = middle;
        else
            low = middle + 1;
    }
    return finished->rows[low].a;
}

int64_t finished_end_before(const struct finished *finished, int64_t seq)
{
    size_t at = row_at(finished, seq); /* the first that ends past it */
    return at > 0 ? finished->rows[at - 1].b : 1;
}
