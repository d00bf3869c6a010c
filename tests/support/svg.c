/* Grids as SVG (tests/support/svg.h). Neighbours that look the same are one text, whose length is
 * fixed, so that columns stay columns in whatever font there is; blocks are drawn as rectangles, as
 * fonts leave gaps between them. Pure. */
#include "tests/support/svg.h"

#include <inttypes.h>

#include "observer/palette.h"

enum { WIDE = 9, HIGH = 19, BASE = 14, MARGIN = 10, PAPER = 0x14181d, INK = 0xd6d6d6 };

struct look {
    int32_t fore, back;
    bool bold, underline, dim;
};

/* What a terminal's numbers usually look like. */
static int32_t rgb_of(int32_t colour, int colours, int32_t otherwise)
{
    static const int32_t sixteen[] = {0x2e3436, 0xcc3333, 0x4e9a06, 0xc4a000, 0x3465a4, 0x8c5b96,
                                      0x06989a, 0xd3d7cf, 0x7c8078, 0xef4545, 0x8ae234, 0xfce94f,
                                      0x729fcf, 0xc58fc0, 0x34e2e2, 0xeeeeec};
    static const int32_t steps[] = {0, 95, 135, 175, 215, 255};
    if (colour == COLOUR_DEFAULT || colours < 8)
        return otherwise;
    if (colours >= 1 << 24)
        return colour;
    if (colour < 16)
        return sixteen[colour];
    if (colour >= 232)
        return (8 + 10 * (colour - 232)) * 0x10101;
    colour -= 16;
    return steps[colour / 36] << 16 | steps[colour / 6 % 6] << 8 | steps[colour % 6];
}

static struct look look_of(const struct cell *cell, int colours)
{
    uint8_t fore_style, back_style;
    int32_t fore = palette_colour(cell->fore, colours, &fore_style);
    int32_t back = palette_colour(cell->back, colours, &back_style);
    int style = cell->style | fore_style;
    struct look look = {
        .fore = rgb_of(fore, colours, INK),
        .back = cell->back == ROLE_TEXT ? PAPER : rgb_of(back, colours, PAPER),
        .bold = (style & STYLE_BOLD) != 0,
        .underline = (style & STYLE_UNDERLINE) != 0,
        .dim = (style & PALETTE_DIM) != 0,
    };
    if ((style & STYLE_REVERSE) != 0) {
        int32_t swap = look.fore;
        look.fore = look.back;
        look.back = swap;
    }
    return look;
}

static bool same(const struct look *a, const struct look *b)
{
    return a->fore == b->fore && a->back == b->back && a->bold == b->bold &&
           a->underline == b->underline && a->dim == b->dim;
}

static void rect(FILE *out, double x, double y, double width, double height, int32_t rgb,
                 double opacity)
{
    fprintf(out, "<rect x=\"%g\" y=\"%g\" width=\"%g\" height=\"%g\" fill=\"#%06" PRIx32 "\"", x, y,
            width, height, (uint32_t)rgb);
    if (opacity < 1)
        fprintf(out, " fill-opacity=\"%g\"", opacity);
    fputs("/>\n", out);
}

/* Bars from below, bars from the left, and shades. */
static bool block_draw(FILE *out, uint32_t code, int x, int y, const struct look *look)
{
    double left = MARGIN + x * WIDE, top = MARGIN + y * HIGH;
    double opacity = look->dim ? 0.6 : 1;
    if (code >= 0x2581 && code <= 0x2588) {
        double high = (code - 0x2580) * HIGH / 8.0;
        rect(out, left, top + HIGH - high, WIDE, high, look->fore, opacity);
    } else if (code >= 0x2589 && code <= 0x258f) {
        rect(out, left, top, (0x2590 - code) * WIDE / 8.0, HIGH, look->fore, opacity);
    } else if (code >= 0x2591 && code <= 0x2593) {
        rect(out, left, top, WIDE, HIGH, look->fore, (code - 0x2590) / 4.0);
    } else {
        return false;
    }
    return true;
}

static void code_write(FILE *out, uint32_t code)
{
    if (code == '<' || code == '>' || code == '&' || code >= 0x7f)
        fprintf(out, "&#%" PRIu32 ";", code);
    else
        fputc((int)code, out);
}

static void run_draw(FILE *out, const struct cell *row, int from, int to, int y,
                     const struct look *look)
{
    while (to > from && row[to - 1].code == ' ' && !look->underline)
        to--;
    if (to <= from)
        return;
    fprintf(out,
            "<text x=\"%d\" y=\"%d\" textLength=\"%d\" lengthAdjust=\"spacingAndGlyphs\" "
            "fill=\"#%06" PRIx32 "\"%s%s%s>",
            MARGIN + from * WIDE, MARGIN + y * HIGH + BASE, (to - from) * WIDE,
            (uint32_t)look->fore, look->bold ? " font-weight=\"bold\"" : "",
            look->underline ? " text-decoration=\"underline\"" : "",
            look->dim ? " fill-opacity=\"0.6\"" : "");
    for (int x = from; x < to; x++)
        if (row[x].code != 0)
            code_write(out, row[x].code);
    fputs("</text>\n", out);
}

static void row_draw(FILE *out, const struct grid *grid, int y, int colours)
{
    const struct cell *row = grid->cells + (size_t)y * (size_t)grid->width;
    for (int x = 0, to; x < grid->width; x = to) {
        struct look look = look_of(&row[x], colours), next;
        for (to = x + 1; to < grid->width; to++) {
            next = look_of(&row[to], colours);
            if (!same(&look, &next))
                break;
        }
        if (look.back != PAPER)
            rect(out, MARGIN + x * WIDE, MARGIN + y * HIGH, (to - x) * WIDE, HIGH, look.back, 1);
        int from = x;
        for (int i = x; i < to; i++) {
            if (!block_draw(out, row[i].code, i, y, &look))
                continue;
            run_draw(out, row, from, i, y, &look);
            from = i + 1;
        }
        run_draw(out, row, from, to, y, &look);
    }
}

void svg_write(const struct grid *grid, int colours, FILE *out)
{
    int width = grid->width * WIDE + 2 * MARGIN, height = grid->height * HIGH + 2 * MARGIN;
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" "
            "font-size=\"15\" xml:space=\"preserve\">\n",
            width, height, width, height);
    rect(out, 0, 0, width, height, PAPER, 1);
    for (int y = 0; y < grid->height; y++)
        row_draw(out, grid, y, colours);
    fputs("</svg>\n", out);
}
