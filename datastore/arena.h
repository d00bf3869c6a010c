/* A bump allocator: many small allocations, one release. Not thread-safe; one owner at a time.
 *
 * Rows and records that a datastore hands out live in the arena of the run that asked for them. */
#ifndef STINT_ARENA_H
#define STINT_ARENA_H

#include <stddef.h>

#include "datastore/bytes.h"

struct arena_block;

struct arena {
    struct arena_block *head; /* newest block first */
    size_t bytes;             /* handed out so far */
};

/* All return memory that lives until arena_release; they abort when the machine has none left
 * (bounded callers only: every caller's total is bounded by a limit). */
void *arena_alloc(struct arena *arena, size_t size); /* aligned for any type; zeroed */
char *arena_string(struct arena *arena, const char *text);           /* NULL stays NULL */
char *arena_string_n(struct arena *arena, const char *text, size_t len); /* adds the NUL */
struct bytes arena_bytes(struct arena *arena, struct bytes from);    /* a copy */
void *arena_copy(struct arena *arena, const void *from, size_t size);

/* Room for one more behind the n items of `size` bytes: the same array, or a copy twice as large.
 * *capacity: items it has room for, 0 at first (then items may be NULL). */
void *arena_grow(struct arena *arena, void *items, size_t n, size_t *capacity, size_t size);

/* Frees everything; the arena is empty and usable again. A zeroed struct is an empty arena. */
void arena_release(struct arena *arena);

#endif
