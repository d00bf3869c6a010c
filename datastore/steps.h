/* What each guarded step does to one record in memory (DESIGN §4, §5): the executable statement of
 * the protocol's single-record changes, shared by the backends that read a record, change it and
 * write it back under a lock. Pure: no I/O, no clock.
 *
 * Each takes the stored record and the step, returns the step's code, and changes the record only
 * when it returns 0 (`ret_changed` false: rc 0 but nothing to write). New arrays are made in `mem`;
 * old ones are left alone. */
#ifndef STINT_STEPS_H
#define STINT_STEPS_H

#include "datastore/datastore.h"

int step_reserve(struct lane *lane, struct ds_reserve *step, struct arena *mem);
int step_claim(struct lane *lane, struct ds_claim *step, struct arena *mem, bool *ret_changed);
int step_give_back(struct lane *lane, const struct ds_give_back *step, struct arena *mem);
int step_entry_drop(struct lane *lane, const struct ds_entry_drop *step, struct arena *mem);
int step_lane_bury(struct lane *lane, const struct ds_lane_bury *step, struct arena *mem);

/* accepted: the run's DS_CLAIM when step->accept (its code was 0), else NULL. */
int step_node_write(struct node *node, struct ds_node_write *step, const struct ds_claim *accepted,
                    int64_t utc_ms, struct arena *mem);
int step_node_ask(struct node *node, const struct ds_node_ask *step, struct arena *mem,
                  bool *ret_changed);
int step_node_kill(struct node *node, const struct ds_node_kill *step, int64_t utc_ms);
int step_node_clear(struct node *node, const struct ds_node_clear *step, struct arena *mem);

/* The tail of a lane; ERR_NOT_FOUND: there is none of that number. */
typedef int lane_tail_fn(void *ctx, int32_t lane, int64_t *ret_tail);

/* Whether a batch may be inserted: its sizes, its chunk, and that its ids were reserved (others
 * would be handed out again). before: the run's step before it, or NULL. */
int step_insert_check(const struct ds_insert *insert, const struct ds_step *before,
                      lane_tail_fn *tail_of, void *ctx, struct error *err);

/* The id of the batch's i-th row. */
int64_t step_insert_id(const struct ds_insert *insert, const struct ds_step *before, size_t i);

/* Whether outcomes are well-formed and within the limits. */
int step_finish_check(const struct ds_finish *finish);

/* One row's outcome (outcome->count is not looked at): true when accepted and the row changed. */
bool step_finish(struct job *job, const struct outcome *outcome, struct arena *mem);
int step_cancel(struct job *job, struct ds_cancel *step, int64_t utc_ms);

/* Deep copies into an arena. */
/* Keeps that node's entry alone (0: all stay). */
void lane_entries_keep(struct lane *lane, int64_t node);

struct lane lane_copy(const struct lane *lane, struct arena *mem);
struct node node_copy(const struct node *node, struct arena *mem);
struct job job_copy(const struct job *job, struct arena *mem);

/* Adds a range to an ascending pool, merging with neighbours that touch and are equally suspect.
 * The result is a new array in `mem`. Overlap is a bug (assertion): an id is in one place. */
void pool_add(struct range **pool, size_t *n_pool, struct range range, struct arena *mem);

#endif
