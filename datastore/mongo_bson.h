/* Records as documents of the MongoDB backend, and back: whole documents with names that a person
 * reads in a shell, times as dates, states as words.
 *
 * Writers append to a document that the caller has begun. Readers give records whose pointers live
 * in `mem`; ERR_CORRUPT, and nothing set, for a document that is not such a record. Numbers may
 * come back in any width, since a shell writes doubles. Fields that are not known here are left
 * alone by every update of the backend. Pure. */
#ifndef STINT_MONGO_BSON_H
#define STINT_MONGO_BSON_H

#include <bson/bson.h>

#include "datastore/arena.h"
#include "datastore/records.h"

enum { ENTRY_PATH_BYTES = 48 };

/* "entries.nID" and, with a field, "entries.nID.FIELD": where a lane keeps a node's entry. `text`
 * holds ENTRY_PATH_BYTES. Returns text. */
const char *entry_path(char *text, int64_t node, const char *field);

void meta_to_doc(const struct meta *meta, int32_t lane_next, bson_t *doc);
int meta_from_doc(const bson_t *doc, struct meta *ret_meta) __attribute__((warn_unused_result));

/* Without the name; `_id` is the name. */
void queue_to_doc(const struct queue *queue, bson_t *doc);
int queue_from_doc(const bson_t *doc, struct queue *ret_queue) __attribute__((warn_unused_result));

/* pool_version is no part of a lane elsewhere: it moves with every change of the pool, so that a
 * change worked out from what was read can be guarded. */
void lane_to_doc(const struct lane *lane, bson_t *doc);
void pool_to_doc(const struct range *pool, size_t n, bson_t *doc); /* the field `pool` */
int lane_from_doc(const bson_t *doc, struct arena *mem, struct lane *ret_lane,
                  int64_t *ret_pool_version) __attribute__((warn_unused_result));

/* node_own_to_doc: what the node itself writes (DS_NODE_WRITE), without beat_at. */
void node_to_doc(const struct node *node, bson_t *doc);
void node_own_to_doc(const struct node *node, bson_t *doc);
void request_to_doc(const struct node_request *request, bson_t *doc);
int node_from_doc(const bson_t *doc, struct arena *mem, struct node *ret_node)
    __attribute__((warn_unused_result));

/* chunk: what the first row of a batch carries, or NULL. */
void job_to_doc(const struct job *job, int64_t id, int64_t created_ms,
                const struct submit_chunk *chunk, struct arena *mem, bson_t *doc);
const char *job_unique_key(const struct job *job); /* NULL: it has none (any more) */
void ending_to_doc(const struct job_ending *ending, const char *key, struct arena *mem,
                   bson_t *doc);

/* Types and batches repeat from row to row: the last ones are kept once. */
struct job_texts {
    const char *type, *batch;
};
int job_from_doc(const bson_t *doc, struct arena *mem, struct job_texts *texts, struct job *ret_job)
    __attribute__((warn_unused_result));
void chunk_to_doc(const struct submit_chunk *chunk, bson_t *doc); /* the field `chunk` */
/* The chunk of a first row; ERR_NOT_FOUND where it carries none. */
int chunk_from_doc(const bson_t *doc, struct arena *mem, struct submit_chunk *ret_chunk)
    __attribute__((warn_unused_result));

void stint_to_doc(const struct stint_row *row, bson_t *doc);
int stint_from_doc(const bson_t *doc, struct stint_row *ret_row)
    __attribute__((warn_unused_result));
void history_to_doc(const struct history_row *row, bson_t *doc);
int history_from_doc(const bson_t *doc, struct arena *mem, struct history_row *ret_row)
    __attribute__((warn_unused_result));

#endif
