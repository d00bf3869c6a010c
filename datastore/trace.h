/* A datastore that tells what it is asked: a decorator over any other. One line a step, after its
 * run: what, its main arguments, its code, what it gave. */
#ifndef STINT_TRACE_H
#define STINT_TRACE_H

#include <stdio.h>

#include "datastore/datastore.h"

/* Taken: inner (closed with the handle). Borrowed until the handle is closed: out. Given: a handle,
 * to be closed. Several handles may write to one `out`: a line is written whole. */
struct datastore *trace_wrap(struct datastore *inner, FILE *out);

/* The line of one step that was carried out. */
void trace_step(FILE *out, const struct ds_step *step);

#endif
