/* A fresh store of each backend for the contract suite, and short forms of the steps.
 *
 * A contract test runs once for each backend, bare and under faulty. Under faulty, each run that a
 * short form makes fails first, in turn with ERR_UNAVAILABLE and with ERR_UNKNOWN_OUTCOME, without
 * being applied, and is then tried again: what a test asserts must hold all the same. */
#ifndef STINT_TEST_STORE_H
#define STINT_TEST_STORE_H

#include <check.h>

#include "datastore/datastore.h"
#include "datastore/faulty.h"

struct memory_store;

struct store {
    const char *name;
    struct datastore *ds;
    bool faulty;      /* ds is a faulty handle, and every run fails once first */
    bool sqlite;      /* it can be opened by `uri`, by any process */
    bool server;      /* likewise; a server keeps it */
    bool slow;        /* ... that is none for many rows */
    struct arena mem; /* results of all steps so far */
    struct error err; /* of the last run */
    char uri[256];
    char folder[200];
    struct memory_store *memory;
    int64_t clock_ms;
    uint64_t n_runs;
};

/* Makes a store of that kind (the loop's number); asserts that it works. */
struct store *store_new(int kind);
void store_free(struct store *s);
/* The kind that is the server STINT_TEST_STORE names, bare; -1, told as a skip: it is not there. */
int store_kind_of_server(void);
/* One more handle on the same store, bare; to be closed by the caller. */
struct datastore *store_handle(struct store *s);

/* Defines a test that is run on each kind of store: CONTRACT_TEST(name, s) { ... s ... } */
#define CONTRACT_TEST(name, s)                                                                     \
    static void name##_body(struct store *s);                                                      \
    START_TEST(name)                                                                               \
    {                                                                                              \
        struct store *store_of_test = store_new(_i);                                               \
        name##_body(store_of_test);                                                                \
        store_free(store_of_test);                                                                 \
    }                                                                                              \
    END_TEST                                                                                       \
    static void name##_body(struct store *s)

/* Runs the tests on every kind of store, or those of the server that STINT_TEST_STORE names;
 * returns the exit status, 77 where that server is not there. */
int contract_main(const char *suite, const TTest *const *tests, size_t n_tests);

/* ---- steps ---------------------------------------------------------------------------------- */

/* Both return the code: of the run's first failed step, of the step. */
int do_run(struct store *s, struct ds_step *steps, size_t n);
int do_step(struct store *s, struct ds_step *step);

/* The short forms below assert rc 0 where they do not return a code. */
int32_t lane_make(struct store *s, const char *queue, int32_t priority, int32_t partition);
void queue_make(struct store *s, const char *name, int32_t partitions);
struct lane lane_now(struct store *s, int32_t lane);
/* NULL where the lane has none. */
const struct lane_entry *entry_now(struct store *s, int32_t lane, int64_t node);
int64_t reserve(struct store *s, int32_t lane, int64_t count);
/* count noop jobs, reserved and inserted in one run; the first id. */
int64_t submit(struct store *s, int32_t lane, size_t count);
/* One job as given, in that lane; its id. */
int64_t submit_job(struct store *s, int32_t lane, const struct job *job);
/* One row with the id it names; the row's code. */
int insert_row(struct store *s, const struct job *job);
/* make_entry when g is 0. */
struct range claim(struct store *s, int32_t lane, int64_t node, uint64_t g, int64_t want);
int claim_code(struct store *s, int32_t lane, int64_t node, uint64_t g, int64_t want);
int give_back(struct store *s, int32_t lane, int64_t node, uint64_t r, struct range range);
int bury(struct store *s, int32_t lane, struct lane_entry expect, struct range estate);
struct node node_make(int64_t id, const char *name);
void node_add(struct store *s, int64_t id, const char *name);
struct node node_now(struct store *s, int64_t id);
int node_kill(struct store *s, int64_t id, uint64_t beat);
/* The row, through DS_LOAD; false: there is none. */
bool job_find(struct store *s, int64_t id, struct job *ret_job);
struct job job_now(struct store *s, int64_t id);
/* ret_accepted; *ret_state (may be NULL) where it is not 0. */
uint32_t finish(struct store *s, struct outcome outcome, enum job_state *ret_state);
int cancel(struct store *s, int64_t id, enum job_state *ret_before);

void assert_range(struct range r, int64_t a, int64_t b, bool suspect);
void assert_bytes(struct bytes got, const void *data, size_t len);

#endif
