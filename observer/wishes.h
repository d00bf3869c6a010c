/* What --control does: the same steps as the command line takes, off the terminal's thread. */
#ifndef STINT_OBSERVER_WISHES_H
#define STINT_OBSERVER_WISHES_H

#include "datastore/async.h"
#include "observer/ui.h"

/* Starts what was wished for; `ui` is told what came of it, in async_drain. who: "user@host".
 * Borrowed until async_stop: ui. The moment is read now. */
void wish_start(struct async *async, struct ui *ui, const struct moment *moment,
                const struct wish *wish, const char *who);

#endif
