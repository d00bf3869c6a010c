/* What roles look like, for each number of colours a terminal has. Pure. */
#ifndef STINT_OBSERVER_PALETTE_H
#define STINT_OBSERVER_PALETTE_H

#include "observer/grid.h"

enum { COLOUR_DEFAULT = -1 };

/* The terminal's number of that colour: 0xRRGGBB where there are 1 << 24. COLOUR_DEFAULT: the
 * terminal's own. ret_style: what is shown besides (bits of enum cell_style, and PALETTE_DIM). */
enum { PALETTE_DIM = 8 };
int32_t palette_colour(enum role role, int colours, uint8_t *ret_style);

#endif
