/* Lists (observer/list.h). The rows that pass the filter, in the order asked for, are worked out
 * anew for each picture: there are few enough. Pure. */
#define _GNU_SOURCE
#include "observer/list.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct pen_style head_style = {ROLE_HEAD, ROLE_TEXT, STYLE_UNDERLINE};

bool list_holds(const char *text, const char *part)
{
    return part[0] == '\0' || strcasestr(text, part) != NULL;
}

/* ---- rows shown ----------------------------------------------------------------------------- */

struct order {
    const struct list *list;
    size_t column;
};

static int order_compare(const void *a, const void *b, void *ctx)
{
    const struct order *order = ctx;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    int by = order->list->compare(order->list->ctx, x, y, order->column);
    return by != 0 ? by : x < y ? -1 : 1;
}

/* To be freed. */
static size_t *rows_shown(const struct list *list, const struct list_state *state,
                          const struct focus *focus, size_t *ret_n)
{
    size_t *rows = malloc((list->n + 1) * sizeof(*rows)), n = 0;
    if (rows == NULL)
        abort();
    for (size_t i = 0; i < list->n; i++) {
        char text[512] = "";
        if (focus->filter[0] != '\0')
            list->text(list->ctx, i, text, sizeof(text));
        if (list_holds(text, focus->filter))
            rows[n++] = i;
    }
    if (state->sort > 0 && list->compare != NULL)
        qsort_r(rows, n, sizeof(*rows), order_compare, &(struct order){list, state->sort - 1});
    *ret_n = n;
    return rows;
}

/* Where the chosen row stands among those shown: at the first where it is gone. */
static size_t chosen_at(const struct list *list, const struct list_state *state, const size_t *rows,
                        size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list->key(list->ctx, rows[i]) == state->chosen)
            return i;
    return 0;
}

/* ---- drawing -------------------------------------------------------------------------------- */

static void widths_make(const struct list *list, int width, int widths[LIST_COLUMNS_MAX])
{
    int sum = 0, grow = 0, worst;
    for (size_t i = 0; i < list->n_columns; i++) {
        widths[i] = list->columns[i].width;
        sum += widths[i] + 1;
    }
    while (sum > width) {
        size_t out = SIZE_MAX;
        worst = 0;
        for (size_t i = 0; i < list->n_columns; i++)
            if (widths[i] > 0 && list->columns[i].priority > worst) {
                worst = list->columns[i].priority;
                out = i;
            }
        if (out == SIZE_MAX)
            break;
        sum -= widths[out] + 1;
        widths[out] = 0;
    }
    for (size_t i = 0; i < list->n_columns; i++)
        grow += widths[i] > 0 ? list->columns[i].grow : 0;
    int left = width - sum;
    for (size_t i = 0; i < list->n_columns && grow > 0 && left > 0; i++)
        if (widths[i] > 0)
            widths[i] += left * list->columns[i].grow / grow;
}

static void heads_draw(const struct list *list, const struct list_state *state,
                       const int widths[LIST_COLUMNS_MAX], struct area area)
{
    int x = 0;
    for (size_t i = 0; i < list->n_columns; i++) {
        if (widths[i] == 0)
            continue;
        struct area cell = area_columns(area, x, widths[i]);
        const char *title = list->columns[i].title;
        int space = widths[i] - text_columns(title);
        struct pen_style style = head_style;
        if (state->sort == i + 1)
            style.style |= STYLE_BOLD | STYLE_REVERSE;
        area_text(cell, list->columns[i].right && space > 0 ? space : 0, 0, style, title);
        x += widths[i] + 1;
    }
}

/* The chosen row is one bar: colours of its cells would make a patchwork of it. But a curve with
 * light and dark exchanged would say the opposite. */
static void row_mark(const struct list *list, const int widths[LIST_COLUMNS_MAX], struct area area)
{
    bool drawing[LIST_COLUMNS_MAX] = {false};
    int ends[LIST_COLUMNS_MAX], x = 0;
    size_t n = 0;
    for (size_t i = 0; i < list->n_columns; i++) {
        if (widths[i] == 0)
            continue;
        x += widths[i] + 1;
        drawing[n] = list->columns[i].drawing;
        ends[n] = drawing[n] ? x - 1 : x; /* the space behind belongs to the bar */
        n++;
    }
    if (n > 0)
        ends[n - 1] = area.width;
    x = 0;
    for (size_t i = 0; i < n; i++)
        for (; x < ends[i] && x < area.width; x++) {
            struct cell *cell = &area.grid->cells[area.y * area.grid->width + area.x + x];
            if (drawing[i])
                continue;
            cell->fore = cell->back = ROLE_TEXT;
            cell->style = STYLE_REVERSE;
        }
}

/* More rows above or below, at the right edge. */
static void more_draw(const struct list_state *state, size_t n, struct area area)
{
    bool ascii = area.grid->ascii;
    struct pen_style style = {ROLE_KEY, ROLE_TEXT, 0};
    if (state->top > 0)
        area_put(area, area.width - 1, 1, ascii ? '^' : 0x25b4, style);
    if (state->top + state->height < n)
        area_put(area, area.width - 1, area.height - 1, ascii ? 'v' : 0x25be, style);
}

size_t list_draw(const struct list *list, struct list_state *state, const struct focus *focus,
                 struct area area)
{
    int widths[LIST_COLUMNS_MAX];
    size_t n;
    size_t *rows = rows_shown(list, state, focus, &n), chosen = SIZE_MAX;
    widths_make(list, area.width, widths);
    heads_draw(list, state, widths, area_rows(area, 0, 1));
    state->height = area.height > 1 ? (size_t)area.height - 1 : 1;
    size_t at = chosen_at(list, state, rows, n);
    if (n > 0) {
        chosen = rows[at];
        state->chosen = list->key(list->ctx, chosen);
    }
    if (at < state->top)
        state->top = at;
    if (at >= state->top + state->height)
        state->top = at - state->height + 1;
    if (state->top + state->height > n)
        state->top = n > state->height ? n - state->height : 0;
    for (size_t i = 0; i < state->height && state->top + i < n; i++) {
        struct area row = area_rows(area, 1 + (int)i, 1);
        int x = 0;
        for (size_t k = 0; k < list->n_columns; k++) {
            if (widths[k] == 0)
                continue;
            list->draw(list->ctx, rows[state->top + i], k, area_columns(row, x, widths[k]));
            x += widths[k] + 1;
        }
        if (state->top + i == at && row.height > 0)
            row_mark(list, widths, row);
    }
    if (area.height > 1)
        more_draw(state, n, area);
    free(rows);
    return chosen;
}

/* ---- moving --------------------------------------------------------------------------------- */

static size_t search_from(const struct list *list, const struct focus *focus, const size_t *rows,
                          size_t n, size_t at)
{
    for (size_t i = 1; i <= n && focus->search[0] != '\0'; i++) {
        char text[512] = "";
        size_t row = (at + i) % n;
        list->text(list->ctx, rows[row], text, sizeof(text));
        if (list_holds(text, focus->search))
            return row;
    }
    return SIZE_MAX;
}

bool list_move(const struct list *list, struct list_state *state, const struct focus *focus,
               enum move move)
{
    size_t n;
    size_t *rows = rows_shown(list, state, focus, &n), to = SIZE_MAX;
    size_t at = chosen_at(list, state, rows, n), page = state->height > 1 ? state->height - 1 : 1;
    if (move == MOVE_UP)
        to = at > 0 ? at - 1 : 0;
    else if (move == MOVE_DOWN)
        to = at + 1 < n ? at + 1 : at;
    else if (move == MOVE_PAGE_UP)
        to = at > page ? at - page : 0;
    else if (move == MOVE_PAGE_DOWN)
        to = at + page < n ? at + page : n - 1;
    else if (move == MOVE_FIRST)
        to = 0;
    else if (move == MOVE_LAST)
        to = n - 1;
    else if (move == MOVE_SEARCH_NEXT && n > 0)
        to = search_from(list, focus, rows, n, at);
    bool moved = to < n && (to != at || move == MOVE_SEARCH_NEXT);
    if (to < n)
        state->chosen = list->key(list->ctx, rows[to]);
    free(rows);
    if (move == MOVE_SORT && list->compare != NULL) {
        state->sort = (state->sort + 1) % (list->n_columns + 1);
        return true;
    }
    return moved;
}

bool list_click(const struct list *list, struct list_state *state, const struct focus *focus, int y)
{
    size_t n, row = state->top + (size_t)(y > 0 ? y - 1 : 0);
    size_t *rows = rows_shown(list, state, focus, &n);
    bool there = y > 0 && (size_t)y <= state->height && row < n;
    if (there)
        state->chosen = list->key(list->ctx, rows[row]);
    free(rows);
    return there;
}
