/* What is in a stretch of a lane's ids (observer/axis.h).
 *
 * What is held or pooled is laid over what is finished: at any moment an id below head that nobody
 * holds has ended by then, whenever it was recorded. So the finished ranges need no look at time.
 * Pure. */
#include "observer/axis.h"

#include "observer/array.h"

static const char *const names[ID_KINDS] = {
    [ID_UNKNOWN] = "unknown",     [ID_DONE] = "done",           [ID_FAILED] = "failed",
    [ID_CANCELLED] = "cancelled", [ID_VOID] = "void",           [ID_GRANTED] = "granted",
    [ID_RUNNING] = "running",     [ID_RETURNING] = "returning", [ID_SUSPECT] = "rescued",
    [ID_POOLED] = "pooled",       [ID_QUEUED] = "queued",       [ID_HOLE] = "without a row",
};

const char *id_kind_name(enum id_kind kind)
{
    return names[kind];
}

/* How many of the ascending numbers are in [a, b). */
static size_t count_between(const int64_t *numbers, size_t n, int64_t a, int64_t b)
{
    return array_below(numbers, n, sizeof(*numbers), b) -
           array_below(numbers, n, sizeof(*numbers), a);
}

static size_t held_at(const struct moment_lane *lane, int64_t a)
{
    return ARRAY_UNTIL(lane->held, lane->n_held, b, a);
}

static void finished_put(const struct moment_lane *lane, struct axis_part *part, int64_t a,
                         int64_t b)
{
    if (a >= b)
        return;
    struct finished_counts counts = finished_count(lane->finished, a, b);
    part->counts[ID_DONE] += (double)counts.done;
    part->counts[ID_FAILED] += (double)counts.failed;
    part->counts[ID_CANCELLED] += (double)counts.cancelled;
    part->counts[ID_VOID] += (double)(counts.ids - counts.done - counts.failed - counts.cancelled);
    part->counts[ID_UNKNOWN] += (double)(b - a - counts.ids);
}

static void held_put(const struct moment_lane *lane, struct axis_part *part,
                     const struct moment_held *held, int64_t a, int64_t b)
{
    double running =
        held->node >= 0 ? (double)count_between(lane->running, lane->n_running, a, b) : 0;
    enum id_kind kind = held->suspect     ? ID_SUSPECT
                        : held->node < 0  ? ID_POOLED
                        : held->returning ? ID_RETURNING
                                          : ID_GRANTED;
    part->counts[ID_RUNNING] += running;
    part->counts[kind] += (double)(b - a) - running;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

struct axis_part axis_part(const struct moment *moment, const struct moment_lane *lane, int64_t a,
                           int64_t b)
{
    struct axis_part part = {.node = -1};
    int64_t most = 0, at = a, below = smaller(b, lane->head);
    for (size_t i = held_at(lane, a); i < lane->n_held && lane->held[i].a < below; i++) {
        const struct moment_held *held = &lane->held[i];
        int64_t from = larger(held->a, at), to = smaller(held->b, below);
        finished_put(lane, &part, at, from);
        held_put(lane, &part, held, from, to);
        if (held->node >= 0 && to - from > most) {
            most = to - from;
            part.node = held->node;
        }
        at = to;
    }
    finished_put(lane, &part, at, below);
    if (b > lane->head)
        part.counts[ID_QUEUED] += (double)(b - larger(a, lane->head));
    const struct finished_row *row = part.node < 0 ? finished_find(lane->finished, a) : NULL;
    if (row != NULL)
        part.node = moment_node_index(moment, row->node);
    return part;
}

enum id_kind axis_kind(const struct axis_part *part)
{
    static const enum id_kind first[] = {ID_FAILED, ID_SUSPECT, ID_RUNNING};
    for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++)
        if (part->counts[first[i]] >= 0.5)
            return first[i];
    enum id_kind most = ID_UNKNOWN;
    for (enum id_kind kind = 0; kind < ID_KINDS; kind++)
        if (part->counts[kind] > part->counts[most])
            most = kind;
    return most;
}
