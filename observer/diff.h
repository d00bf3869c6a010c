/* What changed from one moment to another, in a few lines. Pure. */
#ifndef STINT_OBSERVER_DIFF_H
#define STINT_OBSERVER_DIFF_H

#include "observer/grid.h"
#include "observer/moment.h"

enum { DIFF_ROWS = 3 }; /* all of it, its nodes, its queues */

/* What is kept of a moment to compare others with. */
struct diff_base;
struct diff_base *diff_base_new(const struct moment *moment);
void diff_base_free(struct diff_base *base);

/* Of its rows as many as the area has. */
void diff_draw(const struct diff_base *base, const struct moment *now, struct area area);

#endif
