/* A node's core: claims ranges, runs their jobs, records what came of them, watches its neighbours
 * and buries the dead (DESIGN §2, §4, §5, §8).
 *
 * It has no thread, clock or I/O of its own: events come in through the functions below, and what
 * it wants done goes out through node/env.h. Single-threaded; the owner's thread. */
#ifndef STINT_CORE_H
#define STINT_CORE_H

#include "node/env.h"

struct core;

struct core_config {
    /* The identity part of the record (id, name, host, boot_id, pid_ns, pid, pid_start, version,
     * slots, lease_ms, queues, types, doorbell). Copied. */
    const struct node *identity;
    bool name_fixed;          /* somebody chose the name: refuse rather than add a number to it */
    uint64_t stop_timeout_ms; /* how long a graceful stop waits for running jobs */
    uint64_t kill_grace_ms;   /* TERM to KILL */
    uint64_t hole_grace_ms;   /* after which a missing row is declared void */
    size_t few_nodes;         /* so many neighbours and no more are all watched; 0: 16 */
    uint64_t look_ms;         /* how often to look at the lanes without being woken */
    /* The store is a server that wakes nobody, so a wake may fail to come, or come for nothing:
     * look sooner after there was work, and woken not more often than every few ms. */
    bool wake_unsure;
};

enum core_phase {
    CORE_RUNNING,
    CORE_STOPPED, /* stopped gracefully: returned everything, buried itself */
    CORE_FENCED,  /* somebody buried it; its jobs were ended; may start anew as another node */
    CORE_FAILED,  /* cannot go on: core_error says why */
};

struct core *core_new(const struct core_config *config, struct env *env);
void core_free(struct core *core); /* no run may be under way: see core_quiet */

/* Does what is due and returns in how many ms to call again at the latest (events aside). To be
 * called after every other event, too, once a batch of them has been delivered. */
uint64_t core_tick(struct core *core);

void core_woken(struct core *core); /* something may have changed in the store */
void core_job_ended(struct core *core, const struct job_end *end);
void core_peer_gone(struct core *core, int64_t node);

/* Stop: return what is not started, wait for running jobs up to the stop time-out, then interrupt
 * them. at_once: interrupt them now. */
void core_stop(struct core *core, bool at_once);

enum core_phase core_phase(const struct core *core);
const struct error *core_error(const struct core *core);
bool core_quiet(const struct core *core); /* no run under way, no job running */

/* What it is and does now; valid until the next call into the core. */
struct core_view {
    const char *name;
    int64_t id;
    enum node_state state;
    size_t running, held_ranges;
    int64_t done, failed, interrupted;
    uint64_t claims, steps; /* grants taken; datastore steps asked for */
};
struct core_view core_view(const struct core *core);

#endif
