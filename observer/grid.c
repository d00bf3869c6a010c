/* Drawing on a grid of cells (observer/grid.h).
 *
 * Widths of characters come from the C library's wcwidth, which follows the locale: in one that is
 * not UTF-8 the grid is ascii, and everything is one column wide. Pure but for that. */
#include "observer/grid.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum { ELLIPSIS = 0x2026, REPLACEMENT = 0xfffd };

struct grid *grid_new(int width, int height, bool ascii)
{
    assert(width > 0 && height > 0);
    struct grid *grid = calloc(1, sizeof(*grid));
    struct cell *cells = calloc((size_t)width * (size_t)height, sizeof(*cells));
    if (grid == NULL || cells == NULL)
        abort();
    *grid = (struct grid){.width = width, .height = height, .ascii = ascii, .cells = cells};
    grid_clear(grid);
    return grid;
}

void grid_free(struct grid *grid)
{
    if (grid == NULL)
        return;
    free(grid->cells);
    free(grid);
}

void grid_clear(struct grid *grid)
{
    area_fill(grid_area(grid), ' ', (struct pen_style){ROLE_TEXT, ROLE_TEXT, 0});
}

/* ---- areas ---------------------------------------------------------------------------------- */

struct area grid_area(struct grid *grid)
{
    return (struct area){.grid = grid, .width = grid->width, .height = grid->height};
}

static int at_most(int value, int max)
{
    return value < 0 ? 0 : value > max ? max : value;
}

struct area area_rows(struct area area, int from, int height)
{
    from = at_most(from, area.height);
    area.y += from;
    area.height = at_most(height, area.height - from);
    return area;
}

struct area area_columns(struct area area, int from, int width)
{
    from = at_most(from, area.width);
    area.x += from;
    area.width = at_most(width, area.width - from);
    return area;
}

/* ---- cells ---------------------------------------------------------------------------------- */

static struct cell *cell_at(struct area area, int x, int y)
{
    if (x < 0 || y < 0 || x >= area.width || y >= area.height)
        return NULL;
    const struct grid *grid = area.grid;
    assert(area.x + x < grid->width && area.y + y < grid->height);
    return &grid->cells[(area.y + y) * grid->width + area.x + x];
}

/* A wide character that loses a half loses both. */
static void halves_mend(struct area area, int x, int y)
{
    const struct grid *grid = area.grid;
    struct cell *cell = cell_at(area, x, y);
    if (cell->code == 0 && area.x + x > 0)
        cell[-1].code = ' ';
    if (area.x + x + 1 < grid->width && cell[1].code == 0)
        cell[1].code = ' ';
}

static int columns_of(uint32_t code)
{
    if (code < 128)
        return code >= ' ' && code != 127 ? 1 : 0;
    return wcwidth((wchar_t)code);
}

/* What is drawn in place of a character that cannot be. */
static uint32_t drawable(const struct grid *grid, uint32_t code)
{
    if (grid->ascii && code >= 128)
        return code == ELLIPSIS ? '~' : '?';
    return columns_of(code) < 1 ? (grid->ascii ? '?' : REPLACEMENT) : code;
}

static void put(struct area area, int x, int y, uint32_t code, int columns, struct pen_style style)
{
    for (int i = 0; i < columns; i++) {
        struct cell *cell = cell_at(area, x + i, y);
        if (cell == NULL)
            return;
        halves_mend(area, x + i, y);
        *cell = (struct cell){.code = i == 0 ? code : 0,
                              .fore = (uint8_t)style.fore,
                              .back = (uint8_t)style.back,
                              .style = style.style};
    }
}

void area_put(struct area area, int x, int y, uint32_t code, struct pen_style style)
{
    code = drawable(area.grid, code);
    int columns = columns_of(code);
    if (x + columns <= area.width)
        put(area, x, y, code, columns, style);
}

void area_fill(struct area area, uint32_t code, struct pen_style style)
{
    for (int y = 0; y < area.height; y++)
        for (int x = 0; x < area.width; x++)
            area_put(area, x, y, code, style);
}

void area_grey(struct area area)
{
    for (int y = 0; y < area.height; y++)
        for (int x = 0; x < area.width; x++) {
            struct cell *cell = cell_at(area, x, y);
            cell->fore = ROLE_DIM;
            cell->back = ROLE_TEXT;
        }
}

/* ---- text ----------------------------------------------------------------------------------- */

/* The next character of UTF-8 text; what is none is taken byte by byte as U+FFFD. */
static uint32_t utf8_next(const char **text)
{
    const unsigned char *s = (const unsigned char *)*text;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    size_t more = s[0] < 0x80 ? 0 : s[0] >= 0xf0 ? 3 : s[0] >= 0xe0 ? 2 : s[0] >= 0xc0 ? 1 : 4;
    uint32_t code = s[0];
    if (more == 4 || s[0] >= 0xf8) {
        *text += 1;
        return REPLACEMENT;
    }
    if (more > 0)
        code &= 0x3fU >> more;
    for (size_t i = 1; i <= more; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            *text += 1;
            return REPLACEMENT;
        }
        code = code << 6 | (s[i] & 0x3f);
    }
    bool bad = code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000);
    *text += bad ? 1 : more + 1;
    return bad ? REPLACEMENT : code;
}

int text_columns(const char *text)
{
    int columns = 0;
    while (*text != '\0') {
        int wide = columns_of(utf8_next(&text));
        columns += wide > 0 ? wide : 1;
    }
    return columns;
}

/* As it will be drawn there. */
static int columns_drawn(const struct grid *grid, const char *text)
{
    int columns = 0;
    while (*text != '\0')
        columns += columns_of(drawable(grid, utf8_next(&text)));
    return columns;
}

int area_text(struct area area, int x, int y, struct pen_style style, const char *text)
{
    int from = x;
    bool cut = x + columns_drawn(area.grid, text) > area.width;
    while (*text != '\0') {
        uint32_t code = drawable(area.grid, utf8_next(&text));
        int columns = columns_of(code);
        if (cut && x + columns > area.width - 1) {
            area_put(area, x, y, ELLIPSIS, style);
            return x + 1 - from;
        }
        put(area, x, y, code, columns, style);
        x += columns;
    }
    return x - from;
}

int area_text_ends(struct area area, int x, int y, struct pen_style style, const char *text)
{
    size_t len = strlen(text), room = area.width > x ? (size_t)(area.width - x) : 0;
    bool plain = true;
    for (const char *c = text; *c != '\0'; c++)
        plain = plain && (unsigned char)*c < 128;
    if (len <= room || room < 4 || !plain)
        return area_text(area, x, y, style, text);
    size_t head = (room - 1) / 3, tail = room - 1 - head;
    for (size_t i = 0; i < head; i++)
        area_put(area, x + (int)i, y, (uint32_t)text[i], style);
    area_put(area, x + (int)head, y, ELLIPSIS, style);
    return (int)head + 1 + area_text(area, x + (int)head + 1, y, style, text + len - tail);
}

int area_print(struct area area, int x, int y, struct pen_style style, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return area_text(area, x, y, style, text);
}

/* ---- bars and curves ------------------------------------------------------------------------ */

static const char ascii_levels[] = " .:-=+*#@";

/* An eighth of a cell's height, 0..8. */
static uint32_t level_code(const struct grid *grid, int eighths)
{
    if (grid->ascii)
        return (uint32_t)ascii_levels[eighths];
    return eighths == 0 ? ' ' : (uint32_t)(0x2580 + eighths);
}

void area_bar(struct area area, int x, int y, int width, double value, struct pen_style style)
{
    double clean = value > 0 ? (value < 1 ? value : 1) : 0;
    int eighths = (int)lround(clean * width * 8);
    for (int i = 0; i < width; i++, eighths -= 8) {
        uint32_t code = area.grid->ascii ? (eighths >= 4 ? '#' : '.')
                        : eighths >= 8   ? 0x2588
                        : eighths > 0    ? (uint32_t)(0x2590 - eighths)
                                         : ' ';
        area_put(area, x + i, y, code, style);
    }
}

void area_spark(struct area area, int x, int y, const float *values, size_t n, double max,
                struct pen_style style)
{
    for (size_t i = 0; max <= 0 && i < n; i++)
        max = values[i] > max ? values[i] : max;
    for (size_t i = 0; i < n; i++) {
        if (values[i] < 0)
            continue;
        int eighths = max > 0 ? (int)lround(values[i] / max * 8) : 0;
        /* Something is never drawn as nothing. */
        eighths = eighths > 8 ? 8 : eighths < 1 && values[i] > 0 ? 1 : eighths;
        area_put(area, x + (int)i, y, level_code(area.grid, eighths), style);
    }
}

/* ---- as text -------------------------------------------------------------------------------- */

static void code_print(FILE *out, uint32_t code)
{
    if (code < 0x80) {
        fputc((int)code, out);
        return;
    }
    int more = code >= 0x10000 ? 3 : code >= 0x800 ? 2 : 1;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    fputc(lead[more] | (int)(code >> (6 * more)), out);
    for (int i = more - 1; i >= 0; i--)
        fputc(0x80 | (int)(code >> (6 * i) & 0x3f), out);
}

static char role_letter(const struct cell *cell)
{
    static const char letters[] = "tdThkgbwBDFCqpsu0123456789ab";
    static const char reversed[] = "@!$%&*()-_=+[]{}:;<>,./?|^~#";
    static_assert(sizeof(letters) == ROLES + 1, "a letter for each role");
    static_assert(sizeof(reversed) == sizeof(letters), "and another where it is reversed");
    size_t role = cell->back != ROLE_TEXT ? cell->back : cell->fore;
    return (cell->style & STYLE_REVERSE) != 0 ? reversed[role] : letters[role];
}

static char *text_of(const struct grid *grid, bool roles)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        abort();
    for (int y = 0; y < grid->height; y++) {
        const struct cell *row = grid->cells + y * grid->width;
        int end = grid->width;
        while (end > 0 && row[end - 1].code == ' ' &&
               (!roles || (row[end - 1].back == ROLE_TEXT && row[end - 1].style == 0)))
            end--;
        for (int x = 0; x < end; x++)
            if (row[x].code != 0)
                code_print(out, row[x].code);
        fputc('\n', out);
        for (int x = 0; roles && x < end; x++)
            fputc(row[x].code == ' ' && row[x].back == ROLE_TEXT && row[x].style == 0
                      ? ' '
                      : role_letter(&row[x]),
                  out);
        if (roles)
            fputc('\n', out);
    }
    fclose(out);
    return text;
}

char *grid_text(const struct grid *grid)
{
    return text_of(grid, false);
}

char *grid_text_roles(const struct grid *grid)
{
    return text_of(grid, true);
}
