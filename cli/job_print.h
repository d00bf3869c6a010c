/* Jobs as lines of JSON, as rows of a table, and in full. */
#ifndef STINT_JOB_PRINT_H
#define STINT_JOB_PRINT_H

#include "cli/output.h"
#include "cli/view.h"

/* What state to show: `queued` becomes "running" where a node runs it. */
const char *job_shown_state(const struct view *view, const struct job *job);

/* The command line (or payload) on one line, cut to `max` bytes. Given: free it. */
char *job_shown_work(const struct job *job, size_t max);

/* All fields of DESIGN §9. */
void job_print_json(const struct view *view, const struct job *job);

void job_table_open(struct table *table);
void job_table_add(struct table *table, const struct view *view, const struct job *job);

void job_print_full(const struct view *view, const struct job *job);

#endif
