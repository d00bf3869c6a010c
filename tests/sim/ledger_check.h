/* Reads a whole store and says whether the ledger's invariants hold (DESIGN §6): I1, I2, I4, I5,
 * and that nodes start only what they may. It keeps what it saw, to tell what changed since.
 *
 * It knows nothing of what nodes have in memory: only records count. One thread. */
#ifndef STINT_TEST_LEDGER_CHECK_H
#define STINT_TEST_LEDGER_CHECK_H

#include "datastore/datastore.h"

struct ledger_check;

/* What was last seen of an id. */
struct ledger_row {
    bool there;
    enum job_state state;
    int32_t run, interruptions;
    int64_t token, node, finished_ms;
    uint32_t named; /* bit k: some node's record said that it runs it at run k */
};

/* A row that is new (not `there` before), or came to another state or run. */
typedef void ledger_changed_fn(void *ctx, int64_t id, const struct ledger_row *before,
                               const struct ledger_row *after);

/* Borrowed until freed: ds; now_ms, the clock. */
struct ledger_check *ledger_check_new(struct datastore *ds, const uint64_t *now_ms);
void ledger_check_free(struct ledger_check *check);

/* Borrowed: ctx. Who is told may say that it is broken. */
void ledger_check_tell(struct ledger_check *check, ledger_changed_fn *changed, void *ctx);

/* True when everything holds. Once false, always false. */
bool ledger_check_all(struct ledger_check *check);

/* May this node start this job now? Its own record, alive, must name a range with it, and name the
 * job too when the range is suspect; no dead node's record may name the job at this run. */
bool ledger_check_start(struct ledger_check *check, int64_t node, const struct job *job);

/* Nothing is left to do: no job queued, no id to hand out, no entry of a dead node. To be asked
 * after ledger_check_all. */
bool ledger_check_drained(const struct ledger_check *check);

/* NULL for an id never reserved. */
const struct ledger_row *ledger_check_row(const struct ledger_check *check, int64_t id);

/* For how long that node's counter has not moved, in the store. */
uint64_t ledger_check_silent_ms(const struct ledger_check *check, int64_t node);

/* "": nothing is broken. */
const char *ledger_check_broken(const struct ledger_check *check);
void ledger_check_break(struct ledger_check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
