/* Jobs for tests of the executor: a reaper with one slot, requests, helper programs (the test
 * itself run again as `TEST --helper MODE TOKEN`), and counting what is left of them. */
#ifndef STINT_TEST_JOBS_H
#define STINT_TEST_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datastore/limits.h"
#include "node/exec.h"

enum {
    BOUND_MS = 120000, /* for anything to happen at all */
    TREE = 300,        /* processes of the fork bomb at a time */
    HARES = 5,         /* that never stay */
};

extern char self_path[LIMIT_PATH_BYTES]; /* set by main */
extern char token[64]; /* of this test; in each job's environment, or in its arguments */
extern struct reaper *reaper;
extern struct exec_slot *slot;

/* The helper modes; for main. */
int help(int argc, char **argv);

/* Fixture: token, reaper and slot; then: nothing with the token is left. */
void set_up(void);
void tear_down(void);

uint64_t now_ms(void);
void nap(void);
void sleep_for_ever(void); /* or four minutes */

/* Processes with the token in environment or arguments. */
int count_marked(void);
void wait_until_marked(int low, int high);

/* The strings up to NULL, one after another in `text`. */
struct bytes strings_of(char *text, size_t size, const char *const *strings);

/* Requests with the token in the environment; valid until the next one is made. */
struct exec_request request_for(const char *a, const char *b, const char *c, const char *d);
struct exec_request shell(const char *script);
struct exec_request helper(const char *mode);

/* On the fixture's slot. */
void start(const struct exec_request *request);
struct exec_result run(struct exec_request request);

/* Runs it, with longer and longer time-outs until the job had time to print "ready": what a job
 * does about TERM counts from there on, and on a busy machine it may take long to get there. */
struct exec_result run_out_of_time(struct exec_request request);

/* Returns what exec_slot_ready says once it says anything. */
int await(struct exec_slot *from, struct exec_result *result);

void assert_output(const struct exec_result *result, const char *text);

#endif
