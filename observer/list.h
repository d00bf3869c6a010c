/* A list with columns, a chosen row, sorting, search and filter: what most views are made of.
 * Pure. */
#ifndef STINT_OBSERVER_LIST_H
#define STINT_OBSERVER_LIST_H

#include "observer/view.h"

enum { LIST_COLUMNS_MAX = 16 };

struct list_column {
    const char *title;
    int width; /* at least; of what is left over each gets `grow` parts */
    int grow;
    int priority; /* in a narrow terminal the highest leave first; 0: never */
    bool right;   /* numbers */
    bool drawing; /* a bar or a curve: in the chosen row it stays as it is */
};

struct list {
    const struct list_column *columns;
    size_t n_columns;
    size_t n; /* rows */
    void *ctx;
    int64_t (*key)(void *ctx, size_t row); /* tells rows apart while they move */
    void (*draw)(void *ctx, size_t row, size_t column, struct area cell);
    int (*compare)(void *ctx, size_t a, size_t b, size_t column); /* NULL: no sorting */
    /* A text to search and filter by; in `text`. */
    void (*text)(void *ctx, size_t row, char *text, size_t size);
};

/* Zeroed at first. */
struct list_state {
    int64_t chosen; /* key; 0: the first */
    size_t top;
    size_t sort;   /* 0: as given; else column + 1 */
    size_t height; /* as last drawn */
};

/* Returns the row that is chosen, SIZE_MAX when there is none. */
size_t list_draw(const struct list *list, struct list_state *state, const struct focus *focus,
                 struct area area);
/* False: it is there already, or there is nothing of the kind. */
bool list_move(const struct list *list, struct list_state *state, const struct focus *focus,
               enum move move);
bool list_click(const struct list *list, struct list_state *state, const struct focus *focus,
                int y);
/* Whether `part` is in `text`, whatever the case. "": yes. */
bool list_holds(const char *text, const char *part);

#endif
