/* The table of keys (observer/keys.h). The first entry that fits counts: so what holds in some
 * views only stands before what holds everywhere. */
#include "observer/keys.h"

#define IN(view) (1U << VIEW_##view)

static const struct key keys[] = {
    {{'1'}, "1", CMD_VIEW, VIEW_CLUSTER, "Cluster: the nodes", "Views", false, 0},
    {{'2'}, "2", CMD_VIEW, VIEW_MAP, "Map: the ids of each lane", "Views", false, 0},
    {{'3'}, "3", CMD_VIEW, VIEW_TIMELINE, "Timeline: nodes and rates over time", "Views", false, 0},
    {{'4'}, "4", CMD_VIEW, VIEW_JOBS, "Jobs: a list, and each in detail", "Views", false, 0},
    {{'5'}, "5", CMD_VIEW, VIEW_QUEUES, "Queues", "Views", false, 0},
    {{'6'}, "6", CMD_VIEW, VIEW_EVENTS, "Events", "Views", false, 0},
    {{':'}, ":", CMD_GO_TO, 0, "go to a view by name", "Views", false, 0},

    {{KEYS_UP, 'k', KEYS_WHEEL_UP}, "up k", CMD_MOVE, MOVE_UP, "up", "Moving", false, 0},
    {{KEYS_DOWN, 'j', KEYS_WHEEL_DOWN}, "down j", CMD_MOVE, MOVE_DOWN, "down", "Moving", false, 0},
    {{KEYS_LEFT, 'h'},
     "left h",
     CMD_MOVE,
     MOVE_LEFT,
     "left; else a second back in time",
     "Moving",
     false,
     0},
    {{KEYS_RIGHT, 'l'},
     "right l",
     CMD_MOVE,
     MOVE_RIGHT,
     "right; else a second on",
     "Moving",
     false,
     0},
    {{KEYS_PAGE_UP}, "PgUp", CMD_MOVE, MOVE_PAGE_UP, "a page up", "Moving", false, 0},
    {{KEYS_PAGE_DOWN}, "PgDn", CMD_MOVE, MOVE_PAGE_DOWN, "a page down", "Moving", false, 0},
    {{'g', KEYS_HOME}, "g Home", CMD_MOVE, MOVE_FIRST, "to the first", "Moving", false, 0},
    {{'G', KEYS_END}, "G End", CMD_MOVE, MOVE_LAST, "to the last", "Moving", false, 0},
    {{'\r', '\n'}, "Enter", CMD_MOVE, MOVE_IN, "in: closer, or the detail", "Moving", false, 0},
    {{KEYS_ESC, KEYS_BACKSPACE}, "Esc", CMD_MOVE, MOVE_OUT, "out", "Moving", false, 0},
    {{'\t'}, "Tab", CMD_MOVE, MOVE_NEXT, "to the next part", "Moving", false, 0},
    {{'+', '='}, "+", CMD_MOVE, MOVE_ZOOM_IN, "closer", "Moving", false, 0},
    {{'-', '_'}, "-", CMD_MOVE, MOVE_ZOOM_OUT, "farther", "Moving", false, 0},
    {{'o'},
     "o",
     CMD_MOVE,
     MOVE_OWNERS,
     "colour done ids by who did them",
     "Moving",
     false,
     IN(MAP)},

    {{'/'}, "/", CMD_SEARCH, 0, "search", "Lists", false, 0},
    {{'n'},
     "n",
     CMD_MOVE,
     MOVE_SEARCH_NEXT,
     "to the next that was searched for",
     "Lists",
     false,
     0},
    {{'\\'}, "\\", CMD_FILTER, 0, "show only what holds this text", "Lists", false, 0},
    {{'s'}, "s", CMD_MOVE, MOVE_SORT, "sort by the next column, or turn round", "Lists", false, 0},
    {{'a'},
     "a",
     CMD_MOVE,
     MOVE_ALL,
     "all events, or those that matter",
     "Lists",
     false,
     IN(EVENTS)},
    {{' '}, "Space", CMD_MOVE, MOVE_MARK, "mark this job", "Lists", false, IN(JOBS)},

    {{' '}, "Space", CMD_STOP_TIME, 0, "stop time; go on", "Time", false, 0},
    {{'L'}, "L", CMD_LIVE, 0, "live again", "Time", false, 0},
    {{'('}, "(", CMD_TIME_BACK, 0, "10 seconds back", "Time", false, 0},
    {{')'}, ")", CMD_TIME_ON, 0, "10 seconds on", "Time", false, 0},
    {{','}, ",", CMD_EVENT_BACK, 0, "to the event before", "Time", false, 0},
    {{'.'}, ".", CMD_EVENT_ON, 0, "to the next event", "Time", false, 0},
    {{'['}, "[", CMD_SLOWER, 0, "slower", "Time", false, 0},
    {{']'}, "]", CMD_FASTER, 0, "faster", "Time", false, 0},
    {{'d'}, "d", CMD_DIFF, 0, "compare with this moment; again: no more", "Time", false, 0},

    {{'P'}, "P", CMD_PAUSE, 0, "pause this node", "Control", true, IN(CLUSTER)},
    {{'R'}, "R", CMD_RESUME, 0, "resume this node", "Control", true, IN(CLUSTER)},
    {{'S'}, "S", CMD_STOP, 0, "stop this node", "Control", true, IN(CLUSTER)},
    {{'P'}, "P", CMD_PAUSE, 0, "pause this queue", "Control", true, IN(QUEUES)},
    {{'R'}, "R", CMD_RESUME, 0, "resume this queue", "Control", true, IN(QUEUES)},
    {{'C'}, "C", CMD_CANCEL, 0, "cancel this job, or those marked", "Control", true, IN(JOBS)},

    {{'?'}, "?", CMD_HELP, 0, "this help", "Other", false, 0},
    {{12}, "^L", CMD_REDRAW, 0, "draw the screen anew", "Other", false, 0},
    {{'q', 3}, "q ^C", CMD_QUIT, 0, "quit", "Other", false, 0},
};

const struct key *keys_all(size_t *ret_n)
{
    *ret_n = sizeof(keys) / sizeof(keys[0]);
    return keys;
}

const struct key *keys_find(int code, enum view_kind view, bool control)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct key *key = &keys[i];
        bool here = key->views == 0 || (key->views & 1U << view) != 0;
        for (size_t k = 0; k < 3 && here && (control || !key->control); k++)
            if (key->codes[k] == code && code != KEYS_NONE)
                return key;
    }
    return NULL;
}
