/* One full record of each kind as a document of the MongoDB backend, and a reader of any. */
#ifndef STINT_TEST_DOCS_H
#define STINT_TEST_DOCS_H

#include "datastore/mongo_bson.h"

enum { META, QUEUE, LANE, NODE, JOB, STINT, HISTORY, RECORDS, CHUNK = RECORDS, READERS };

extern const struct meta full_meta;
struct queue full_queue(void);
extern const struct lane full_lane;
extern const struct node full_node;
extern const struct job_spec full_spec;
extern const struct job_ending full_ending;
extern const struct submit_chunk full_chunk;
extern const struct job full_job;
extern const struct stint_row full_stint;
extern const struct history_row full_history;

/* The documents of all of them; the job carries the chunk. */
void docs_make(bson_t docs[RECORDS], struct arena *mem);
void docs_destroy(bson_t docs[RECORDS]);

/* Reads a document as that record, or as the CHUNK in a job's. Asserts that who refuses it has set
 * nothing. The reader's code. */
int read_as(int record, const bson_t *doc, struct arena *mem);

#endif
