/* A picture of characters: what a view draws on, what a terminal or a test shows.
 *
 * Pure. Colours are roles, not numbers: the terminal's depth decides what a role looks like
 * (palette.h). Whatever is drawn outside is cut off. Text is UTF-8; a character that takes two
 * columns takes two cells. */
#ifndef STINT_OBSERVER_GRID_H
#define STINT_OBSERVER_GRID_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a cell means. Shape and letter say the same, for who sees no colours. */
enum role {
    ROLE_TEXT,
    ROLE_DIM,
    ROLE_TITLE,
    ROLE_HEAD, /* heads of columns */
    ROLE_KEY,  /* a key that can be pressed */
    ROLE_GOOD,
    ROLE_BUSY,
    ROLE_WARN,
    ROLE_BAD,
    ROLE_DONE,
    ROLE_FAILED,
    ROLE_CANCELLED,
    ROLE_QUEUED,
    ROLE_POOLED,
    ROLE_SUSPECT,
    ROLE_UNKNOWN,
    ROLE_NODE, /* the first of NODE_COLOURS that tell nodes apart */
    ROLE_NODE_LAST = ROLE_NODE + 11,
    ROLES
};

enum { NODE_COLOURS = ROLE_NODE_LAST - ROLE_NODE + 1 };

enum cell_style { STYLE_BOLD = 1, STYLE_REVERSE = 2, STYLE_UNDERLINE = 4 };

struct cell {
    uint32_t code;      /* Unicode; 0: the second half of the one before */
    uint8_t fore, back; /* enum role; back ROLE_TEXT: the terminal's own */
    uint8_t style;
};

struct grid {
    int width, height;
    bool ascii;         /* only characters below 128 may be drawn: glyph() chooses */
    struct cell *cells; /* row by row */
};

struct grid *grid_new(int width, int height, bool ascii);
void grid_free(struct grid *grid);
void grid_clear(struct grid *grid);

/* A part of a grid with coordinates of its own, from 0. */
struct area {
    struct grid *grid;
    int x, y, width, height;
};

struct area grid_area(struct grid *grid);
struct area area_rows(struct area area, int from, int height); /* cut to fit */
struct area area_columns(struct area area, int from, int width);

struct pen_style {
    enum role fore, back;
    uint8_t style;
};

void area_put(struct area area, int x, int y, uint32_t code, struct pen_style style);
/* Returns the columns it took. Cut at the area's edge, with an ellipsis where cut is true. */
int area_text(struct area area, int x, int y, struct pen_style style, const char *text);
/* The same; of what is too long the beginning and the end stay, as names are often told apart by
 * their ends. Text of more than ASCII is cut as by area_text. */
int area_text_ends(struct area area, int x, int y, struct pen_style style, const char *text);
int area_print(struct area area, int x, int y, struct pen_style style, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void area_grey(struct area area); /* what is there loses its colours */
void area_fill(struct area area, uint32_t code, struct pen_style style);

/* Eighths and the like, with ASCII where the grid wants it. value 0..1. */
void area_bar(struct area area, int x, int y, int width, double value, struct pen_style style);
/* One column a value; < 0 draws nothing. max <= 0: the highest of them. */
void area_spark(struct area area, int x, int y, const float *values, size_t n, double max,
                struct pen_style style);

int text_columns(const char *text);

/* The grid as text: rows with spaces at their ends cut off, each with a newline. To be freed. */
char *grid_text(const struct grid *grid);
/* The same with the roles: below each row one with a letter for each role, a sign where it is
 * reversed. For golden tests. */
char *grid_text_roles(const struct grid *grid);

#endif
