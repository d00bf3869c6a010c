/* Node states and the moves between them (DESIGN §2), stated once and enforced here (I5).
 *
 *     initializing --> waiting <--> working          paused: running jobs end, the rest goes back
 *                         ^           ^
 *                         '-> paused <'              everything --> dead, which is final
 */
#ifndef STINT_LIFECYCLE_H
#define STINT_LIFECYCLE_H

#include <stdbool.h>

#include "datastore/records.h"

/* May a node go from `from` to `to`? Staying where one is always may, but for dead. */
bool lifecycle_allows(enum node_state from, enum node_state to);

#endif
