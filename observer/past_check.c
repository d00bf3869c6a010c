/* What a past takes in: records of a store, or of a recording that anybody may have written. What
 * is let through here can be reckoned with: no sum of it overflows, no id is of a lane that cannot
 * be. Pure. */
#include <math.h>

#include "observer/past_internal.h"

enum { LIST_MAX = 65536, SLOTS_MAX = 1 << 20 };

static const int64_t time_max = INT64_C(1) << 46; /* some 2,000 years */
/* Sums over all nodes and all lanes stay within 63 bits. */
static const int64_t count_max = INT64_C(1) << 46;

bool time_good(int64_t ms)
{
    return ms >= 0 && ms <= time_max;
}

bool count_good(int64_t n)
{
    return n >= 0 && n <= count_max;
}

static bool real_good(double value)
{
    return isfinite(value) && value >= 0 && value < 1e15;
}

static bool range_good(const struct range *range)
{
    return range->a > 0 && range->a < range->b && id_possible(range->b) &&
           id_lane(range->a) == id_lane(range->b - 1) && id_seq(range->a) > 0;
}

bool node_good(const struct node *node)
{
    if (node->id <= 0 || node->state < 0 || node->state >= NODE_STATES ||
        node->n_ranges > LIST_MAX || node->n_running > LIST_MAX || node->slots < 0 ||
        node->slots > SLOTS_MAX || !time_good(node->lease_ms) || !time_good(node->created_ms) ||
        !time_good(node->since_ms) || !time_good(node->beat_ms) || !count_good(node->done) ||
        !count_good(node->failed) || !count_good(node->interrupted) || !real_good(node->rate) ||
        !real_good(node->load))
        return false;
    for (size_t i = 0; i < node->n_ranges; i++)
        if (!range_good(&node->ranges[i].range))
            return false;
    for (size_t i = 0; i < node->n_running; i++)
        if (node->running[i].id <= 0 || !id_possible(node->running[i].id) ||
            !time_good(node->running[i].started_ms))
            return false;
    return true;
}

/* Of [head, tail) and a pool. */
bool lane_good(int32_t number, int64_t head, int64_t tail, const struct range *pool, size_t n_pool)
{
    if (number < 0 || number >= LIMIT_LANES || head > tail || !id_possible(head) ||
        !id_possible(tail) || id_lane(head) != number || id_lane(tail) != number ||
        n_pool > LIST_MAX)
        return false;
    for (size_t i = 0; i < n_pool; i++)
        if (!range_good(&pool[i]) || id_lane(pool[i].a) != number)
            return false;
    return true;
}

bool stint_good(const struct stint_row *row)
{
    int64_t ids = range_good(&row->range) ? row->range.b - row->range.a : -1;
    return ids > 0 && row->done >= 0 && row->failed >= 0 && row->cancelled >= 0 &&
           row->done <= ids && row->failed <= ids && row->cancelled <= ids &&
           time_good(row->first_start_ms) && time_good(row->last_finish_ms);
}

/* Sums over all ranges of a lane. */
bool totals_good(const struct stint_row *row)
{
    return row->range.a > 0 && id_lane(row->range.a) < LIMIT_LANES && count_good(row->done) &&
           count_good(row->failed) && count_good(row->cancelled);
}
