/* The help, drawn from the table of keys (observer/help.h). Pure. */
#include "observer/help.h"

#include <string.h>

#include "observer/keys.h"

enum { WIDE = 100, COLUMN = 50, COLUMN_MIN = 20 };

static const struct pen_style plain = {ROLE_TEXT, ROLE_TEXT, 0};
static const struct pen_style strong = {ROLE_TITLE, ROLE_TEXT, STYLE_BOLD};
static const struct pen_style keycap = {ROLE_KEY, ROLE_TEXT, STYLE_BOLD};

static size_t keys_count(const struct help *help)
{
    size_t n, count = 0;
    const struct key *keys = keys_all(&n);
    for (size_t i = 0; i < n; i++)
        count += help->control || !keys[i].control;
    return count;
}

/* How many keys there is room for from that one on; draws them if told to. */
static size_t page(const struct help *help, size_t from, struct area area, bool draw)
{
    size_t n, at = 0, shown = 0;
    const struct key *keys = keys_all(&n);
    const char *group = "";
    int y = 0, x = 0, column = area.width >= WIDE ? area.width / (area.width / COLUMN) : area.width;
    for (size_t i = 0; i < n; i++) {
        const struct key *key = &keys[i];
        if ((key->control && !help->control) || at++ < from)
            continue;
        bool fresh = strcmp(group, key->group) != 0;
        if (y + (fresh ? 2 : 1) > area.height) {
            x += column;
            y = 0;
            if (x + COLUMN_MIN > area.width)
                break;
            fresh = true;
        }
        struct area part = area_columns(area, x, column - 1);
        if (fresh && draw)
            area_text(part, 1, y, strong, key->group);
        y += fresh;
        group = key->group;
        if (draw) {
            area_text(part, 3, y, keycap, key->shown);
            area_text(part, 13, y, plain, key->help);
        }
        y++;
        shown++;
    }
    return shown;
}

void help_move(struct help *help, enum move move)
{
    size_t n = keys_count(help), by = help->shown > 1 ? help->shown : 1;
    switch (move) {
    case MOVE_FIRST:
        help->from = 0;
        break;
    case MOVE_LAST:
        help->from = n;
        break;
    case MOVE_UP:
        help->from -= help->from > 0;
        break;
    case MOVE_DOWN:
        help->from++;
        break;
    case MOVE_PAGE_UP:
        help->from -= by < help->from ? by : help->from;
        break;
    case MOVE_PAGE_DOWN:
        help->from += by;
        break;
    default:
        break;
    }
    if (help->from > n)
        help->from = n;
}

void help_draw(struct help *help, struct area area)
{
    size_t n = keys_count(help);
    while (help->from > 0 && help->from - 1 + page(help, help->from - 1, area, false) >= n)
        help->from--;
    help->shown = page(help, help->from, area, true);
}
