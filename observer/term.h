/* The terminal, by ncurses: shows grids, gives keys, and is left as it was, on a crash too. The
 * only file that knows ncurses. One at a time; the caller's thread. */
#ifndef STINT_OBSERVER_TERM_H
#define STINT_OBSERVER_TERM_H

#include "datastore/error.h"
#include "observer/grid.h"

/* ERR_UNAVAILABLE: no terminal, or one that ncurses does not know. */
int term_open(struct error *err) __attribute__((warn_unused_result));
void term_close(void);

void term_size(int *ret_width, int *ret_height); /* now: asks the terminal */
bool term_ascii(void);                           /* its characters are not UTF-8 */
int term_colours(void);                          /* how many: 0, 8, 16, 256, 1 << 24 */

void term_show(const struct grid *grid);
void term_redraw(void); /* the next show draws every cell */

/* The next key (keys.h), without waiting; KEYS_NONE: there is none; -1: the terminal is gone. For
 * KEYS_CLICK also where. */
int term_key(int *ret_x, int *ret_y);

#endif
