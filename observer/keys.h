/* What every key does: one table, from which the keys work, the help is made, and the tests press.
 * Pure. */
#ifndef STINT_OBSERVER_KEYS_H
#define STINT_OBSERVER_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "observer/view.h"

/* Keys that are no characters. */
enum key_code {
    KEYS_NONE = 0,
    KEYS_ESC = 27,
    KEYS_BACKSPACE = 127,
    KEYS_UP = 0x110000, /* past Unicode */
    KEYS_DOWN,
    KEYS_LEFT,
    KEYS_RIGHT,
    KEYS_PAGE_UP,
    KEYS_PAGE_DOWN,
    KEYS_HOME,
    KEYS_END,
    KEYS_CLICK,
    KEYS_WHEEL_UP,
    KEYS_WHEEL_DOWN,
    KEYS_RESIZE,
};

enum command {
    CMD_NONE,
    CMD_VIEW, /* to the view of the table's number */
    CMD_MOVE, /* of the table's move */
    CMD_QUIT,
    CMD_HELP,
    CMD_SEARCH,
    CMD_FILTER,
    CMD_GO_TO, /* `:` and a name */
    CMD_STOP_TIME,
    CMD_LIVE,
    CMD_TIME_BACK,
    CMD_TIME_ON,
    CMD_EVENT_BACK,
    CMD_EVENT_ON,
    CMD_SLOWER,
    CMD_FASTER,
    CMD_DIFF, /* this moment is what others are compared with */
    CMD_REDRAW,
    /* with --control only */
    CMD_PAUSE,
    CMD_RESUME,
    CMD_STOP,
    CMD_CANCEL,
};

struct key {
    int codes[3];
    const char *shown; /* how it is written in the help */
    enum command command;
    int arg; /* of CMD_VIEW and CMD_MOVE */
    const char *help;
    const char *group;
    bool control;   /* with --control only */
    unsigned views; /* bits 1 << enum view_kind where it holds; 0: everywhere */
};

const struct key *keys_all(size_t *ret_n);
/* What that key does in that view; NULL: nothing. */
const struct key *keys_find(int code, enum view_kind view, bool control);

#endif
