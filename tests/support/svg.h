/* A picture of a grid for documents: SVG, as a terminal of so many colours would show it. Pure. */
#ifndef STINT_TEST_SVG_H
#define STINT_TEST_SVG_H

#include <stdio.h>

#include "observer/grid.h"

/* colours: 0, 8, 16, 256 or 1 << 24. */
void svg_write(const struct grid *grid, int colours, FILE *out);

#endif
