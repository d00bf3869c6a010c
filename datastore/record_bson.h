/* Parts of records as BSON: what a backend keeps beside the fields it has columns for.
 *
 * Encoders return bytes in `mem`. Those of queues, lanes and nodes take the document that is
 * there already (empty: none) and keep what they do not know of it, so that a newer program's
 * fields survive a rewrite. Decoders set only the fields listed; ERR_CORRUPT on anything that is
 * not such a document, and then nothing was set. What they give lives in `mem`. Pure. */
#ifndef STINT_RECORD_BSON_H
#define STINT_RECORD_BSON_H

#include "datastore/arena.h"
#include "datastore/records.h"

/* What has no column: copying. */
struct bytes meta_encode(const struct meta *meta, struct bytes old, struct arena *mem);
int meta_decode(struct bytes doc, struct meta *ret_meta) __attribute__((warn_unused_result));

/* All but the name. */
struct bytes queue_encode(const struct queue *queue, struct bytes old, struct arena *mem);
int queue_decode(struct bytes doc, struct queue *ret_queue) __attribute__((warn_unused_result));

/* types, pool, entries. */
struct bytes lane_encode(const struct lane *lane, struct bytes old, struct arena *mem);
int lane_decode(struct bytes doc, struct arena *mem, struct lane *ret_lane)
    __attribute__((warn_unused_result));

/* All but id, name, state, beat, desired. */
struct bytes node_encode(const struct node *node, struct bytes old, struct arena *mem);
int node_decode(struct bytes doc, struct arena *mem, struct node *ret_node)
    __attribute__((warn_unused_result));

struct bytes spec_encode(const struct job_spec *spec, struct arena *mem);
int spec_decode(struct bytes doc, struct arena *mem, const struct job_spec **ret_spec)
    __attribute__((warn_unused_result));

struct bytes ending_encode(const struct job_ending *ending, struct arena *mem);
int ending_decode(struct bytes doc, struct arena *mem, const struct job_ending **ret_ending)
    __attribute__((warn_unused_result));

#endif
