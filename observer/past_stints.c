/* Finished ranges of all lanes, and the stretches of ids where some may be missing. What is kept of
 * them is bounded: past PAST_ROWS_MAX neighbours become one, first where there are most. One
 * thread. */
#include <stdlib.h>

#include "observer/array.h"
#include "observer/past_internal.h"

/* ---- facts ---------------------------------------------------------------------------------- */

static void rows_fewer(struct past *past)
{
    struct lane_track *most = past->lanes[0];
    for (size_t i = 1; i < past->n_lanes; i++)
        if (past->lanes[i]->finished.n > most->finished.n)
            most = past->lanes[i];
    past->rows -= most->finished.n;
    finished_merge(&most->finished);
    past->rows += most->finished.n;
}

static int row_compare(const void *a, const void *b)
{
    const struct finished_row *x = a, *y = b;
    return (x->a > y->a) - (x->a < y->a);
}

/* Of one lane. */
static void rows_add(struct past *past, struct lane_track *lane, struct finished_row *rows,
                     size_t n)
{
    qsort(rows, n, sizeof(*rows), row_compare);
    past->rows -= lane->finished.n;
    finished_add(&lane->finished, rows, n);
    past->rows += lane->finished.n;
}

bool past_add_stints(struct past *past, const struct stint_row *rows, size_t n)
{
    bool good = true;
    struct finished_row *own = malloc((n + 1) * sizeof(*own));
    if (own == NULL)
        abort();
    if (past->n_lanes > 0 && past->rows + n > PAST_ROWS_MAX)
        rows_fewer(past);
    for (size_t i = 0, k = 0; i < n; i++) {
        const struct stint_row *row = &rows[i];
        if (stint_good(row) && past->rows + k < PAST_ROWS_MAX)
            own[k++] = (struct finished_row){.a = id_seq(row->range.a),
                                             .b = id_seq(row->range.b - 1) + 1,
                                             .node = row->node,
                                             .done = row->done,
                                             .failed = row->failed,
                                             .cancelled = row->cancelled,
                                             .first_start_ms = row->first_start_ms,
                                             .last_finish_ms = row->last_finish_ms};
        else
            good = false;
        bool last = i + 1 == n || id_lane(rows[i + 1].range.a) != id_lane(row->range.a);
        if (last && k > 0)
            rows_add(past, lane_get(past, id_lane(row->range.a)), own, k);
        k = last ? 0 : k;
    }
    free(own);
    return good;
}

void past_stints_complete(struct past *past, int32_t lane)
{
    lane_get(past, lane)->complete = true;
}

/* ---- what is there -------------------------------------------------------------------------- */

bool past_has_stint(const struct past *past, const struct stint_row *row)
{
    const struct lane_track *lane = lane_find(past, id_lane(row->range.a));
    return lane != NULL && finished_find(&lane->finished, id_seq(row->range.a)) != NULL;
}

bool past_is_complete(const struct past *past, int32_t lane)
{
    const struct lane_track *track = lane_find(past, lane);
    return track != NULL && track->complete;
}

int64_t past_head(const struct past *past, int32_t lane)
{
    const struct lane_track *track = lane_find(past, lane);
    return track != NULL && track->n > 0 ? track->states[track->n - 1].head : 1;
}

/* What nodes and the pool have of a lane, as sequence numbers; ascending and apart. */
struct taken {
    struct range *ranges;
    size_t n, max;
};

static void taken_add(struct taken *taken, const struct range *range)
{
    taken->ranges = array_grown(taken->ranges, taken->n, &taken->max, sizeof(*taken->ranges));
    taken->ranges[taken->n++] =
        (struct range){.a = id_seq(range->a), .b = id_seq(range->b - 1) + 1};
}

static int range_compare(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return (x->a > y->a) - (x->a < y->a);
}

static struct taken taken_gather(const struct past *past, const struct lane_track *lane)
{
    struct taken taken = {0};
    for (size_t i = 0; i < past->n_tracks; i++) {
        const struct track *track = past->tracks[i];
        const struct state *last = track->n > 0 ? &track->states[track->n - 1] : NULL;
        if (last == NULL || last->state == NODE_DEAD)
            continue;
        const struct node_range *ranges = (const struct node_range *)last->ranges->data;
        for (size_t k = 0; k < last->ranges->n; k++)
            if (id_lane(ranges[k].range.a) == lane->number)
                taken_add(&taken, &ranges[k].range);
    }
    const struct block *pool = lane->n > 0 ? lane->states[lane->n - 1].pool : NULL;
    for (size_t i = 0; pool != NULL && i < pool->n; i++)
        taken_add(&taken, &((const struct range *)pool->data)[i]);
    size_t kept = 0;
    if (taken.n > 0)
        qsort(taken.ranges, taken.n, sizeof(*taken.ranges), range_compare);
    for (size_t i = 0; i < taken.n; i++) {
        struct range *range = &taken.ranges[i], *last = kept > 0 ? &taken.ranges[kept - 1] : NULL;
        if (last == NULL || range->a > last->b)
            taken.ranges[kept++] = *range;
        else if (range->b > last->b)
            last->b = range->b;
    }
    taken.n = kept;
    return taken;
}

/* From where on all ids below `until` are taken; *ret_end: the end of what is taken before that. */
static int64_t taken_from(const struct taken *taken, int64_t until, int64_t *ret_end)
{
    size_t at = ARRAY_BELOW(taken->ranges, taken->n, a, until);
    *ret_end = at > 0 ? taken->ranges[at - 1].b : 1;
    return at > 0 && *ret_end >= until ? taken->ranges[at - 1].a : until;
}

size_t past_stints_gaps(const struct past *past, int32_t lane, int64_t below, struct range *gaps,
                        size_t max)
{
    struct lane_track *track = lane_find(past, lane);
    size_t n = 0;
    if (track == NULL)
        return 0;
    struct taken taken = taken_gather(past, track);
    for (int64_t until = below; n < max && until > 1;) {
        int64_t end, from = taken_from(&taken, finished_from(&track->finished, until), &end);
        if (from == until) {
            int64_t ended = finished_end_before(&track->finished, until - 1);
            from = end > ended ? end : ended;
            gaps[n++] = (struct range){.a = from, .b = until};
        }
        until = from;
    }
    free(taken.ranges);
    return n;
}
