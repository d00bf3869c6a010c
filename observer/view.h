/* A view draws one aspect of a moment on an area, and says what can be pointed at in it.
 *
 * Pure: the moment, the view's own state and the area in; cells out. Six of them, in the order of
 * their keys 1 to 6; view_of(kind) gives the table. */
#ifndef STINT_OBSERVER_VIEW_H
#define STINT_OBSERVER_VIEW_H

#include "observer/grid.h"
#include "observer/jobs.h"
#include "observer/moment.h"

enum view_kind {
    VIEW_CLUSTER,
    VIEW_MAP,
    VIEW_TIMELINE,
    VIEW_JOBS,
    VIEW_QUEUES,
    VIEW_EVENTS,
    VIEWS
};

enum { FOCUS_MARKS_MAX = 256 };

/* What all views share, kept while one goes from view to view. */
struct focus {
    int64_t node;                     /* id of the chosen node; 0: none */
    int64_t job;                      /* stored id; 0: none */
    bool detail;                      /* ... and it is to be seen whole */
    int32_t lane;                     /* -1: none */
    char queue[LIMIT_NAME_BYTES + 1]; /* "": none */
    char search[64];
    char filter[64];
    bool control;                   /* Shift letters do something */
    int64_t zoom_ms;                /* width of the timeline; 0: as much as is known of */
    int go_to;                      /* a view to go to, enum view_kind + 1; 0: stay here */
    struct range show;              /* ids that the map is to show; a == b: none */
    int64_t marks[FOCUS_MARKS_MAX]; /* jobs marked */
    size_t n_marks;
    struct jobs_ask ask;          /* what the view of jobs wants to see ... */
    const struct jobs_page *page; /* ... and what there is; NULL: nothing yet */
};

/* What moves in a view; each key means one (keys.h). */
enum move {
    MOVE_UP,
    MOVE_DOWN,
    MOVE_LEFT,
    MOVE_RIGHT,
    MOVE_PAGE_UP,
    MOVE_PAGE_DOWN,
    MOVE_FIRST,
    MOVE_LAST,
    MOVE_IN,   /* Enter: closer, or the detail */
    MOVE_OUT,  /* Esc: back */
    MOVE_NEXT, /* Tab */
    MOVE_MARK, /* Space in lists */
    MOVE_SORT,
    MOVE_ZOOM_IN,
    MOVE_ZOOM_OUT,
    MOVE_SEARCH_NEXT,
    MOVE_ALL,    /* show the quiet events, too */
    MOVE_OWNERS, /* colour what is done by who did it */
    MOVES
};

struct view {
    enum view_kind kind;
    const char *name;
    size_t state_bytes; /* of its own state, zeroed at first */
    void (*draw)(const struct moment *moment, struct focus *focus, void *state, struct area area);
    /* False: it means nothing here. */
    bool (*move)(const struct moment *moment, struct focus *focus, void *state, enum move move);
    /* A click at that cell of the area last drawn on. */
    bool (*click)(const struct moment *moment, struct focus *focus, void *state, int x, int y);
};

const struct view *view_of(enum view_kind kind);

#endif
