/* What the observer shows and what keys do: everything but the terminal and the datastore.
 *
 * Pure: keys and a clock in, pictures and wishes out. One thread. */
#ifndef STINT_OBSERVER_UI_H
#define STINT_OBSERVER_UI_H

#include "observer/keys.h"
#include "observer/past.h"

struct ui;

/* What is to be done outside. */
enum wish_kind {
    WISH_NONE,
    WISH_QUIT,
    WISH_REDRAW,
    WISH_NODE_RUN, /* --control, and confirmed */
    WISH_NODE_PAUSE,
    WISH_NODE_STOP,
    WISH_QUEUE_RUN,
    WISH_QUEUE_PAUSE,
    WISH_JOB_CANCEL,
};

struct wish {
    enum wish_kind kind;
    int64_t node;
    const int64_t *jobs; /* stored ids; borrowed until the next call into the ui */
    size_t n_jobs;
    char queue[LIMIT_NAME_BYTES + 1];
};

/* Borrowed until freed: past. ends_ms: where time ends (a recording); 0: it goes on. */
struct ui *ui_new(struct past *past, bool control, int64_t ends_ms);
void ui_free(struct ui *ui);
/* Time ends later, as more of a recording has been read. */
void ui_end_at(struct ui *ui, int64_t ends_ms);

/* store_ms: the datastore's clock. To be called before ui_draw and ui_key. */
void ui_clock(struct ui *ui, int64_t store_ms);

struct wish ui_key(struct ui *ui, int code);
struct wish ui_click(struct ui *ui, int x, int y);
void ui_draw(struct ui *ui, struct grid *grid);
const struct moment *ui_moment(struct ui *ui); /* what is shown; until the next call */

/* All nodes of the cluster as plain text, for scripts. To be freed. */
char *ui_text(struct ui *ui, int width, bool ascii);

/* A key asked for what is before all that is known, or close to it; once for each such key. */
bool ui_wants_earlier(struct ui *ui);

/* A line at the bottom for a few seconds. */
void ui_tell(struct ui *ui, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What was told last stays until a key is pressed: who wished for something may look elsewhere when
 * it is done. */
void ui_tell_held(struct ui *ui);

/* Which jobs are wanted (rows 0: none), and the page that there is. Borrowed: page. */
struct jobs_ask ui_jobs_ask(const struct ui *ui);
void ui_jobs_page(struct ui *ui, const struct jobs_page *page);

/* For tests and `--at`. */
void ui_go(struct ui *ui, enum view_kind view);
void ui_stop_at(struct ui *ui, int64_t at_ms);

#endif
