/* A node without a history (node/history.h), in the place of node/history.c: `stint_no_history` is
 * the program with this linked in, and script/bench measures against it what the history costs. */
#include "node/history.h"

struct history {
    char none;
};

struct history *history_new(void)
{
    static struct history history;
    return &history;
}

void history_free(struct history *history)
{
    (void)history;
}

int history_version(struct history *history, const struct node *self,
                    const struct history_lane *lanes, size_t n_lanes, int64_t now_ms,
                    struct history_row *ret_row, struct arena *mem)
{
    (void)history, (void)self, (void)lanes, (void)n_lanes, (void)now_ms, (void)ret_row, (void)mem;
    return 0;
}

void history_lost(struct history *history)
{
    (void)history;
}

void history_thin(struct history *history, int64_t now_ms, int64_t *ret_thin_before_ms,
                  int64_t *ret_drop_before_ms)
{
    (void)history, (void)now_ms;
    *ret_thin_before_ms = *ret_drop_before_ms = 0;
}
