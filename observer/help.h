/* The help: all keys of the table (keys.h), group by group, in as many columns as there is room
 * for. Pure. */
#ifndef STINT_OBSERVER_HELP_H
#define STINT_OBSERVER_HELP_H

#include "observer/grid.h"
#include "observer/view.h"

struct help {
    bool control;       /* keys that need --control are there */
    size_t from, shown; /* the first of its keys on the screen, and how many are */
};

void help_move(struct help *help, enum move move);

/* Ends with a full page: what was moved beyond that is taken back. */
void help_draw(struct help *help, struct area area);

#endif
