/* Fresh stores and short forms of the steps for the contract suite (store.h). A step that should
 * work and does not ends the test here, with the store's kind and its error. */
#define _GNU_SOURCE /* nftw */
#include "tests/support/store.h"

#include <ftw.h>
#include <mongoc/mongoc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datastore/memory.h"

/* STINT_TEST_STORE names the servers' kinds; without it, those that need none are tested. */
static const struct {
    const char *name, *server, *variable;
    bool sqlite, faulty;
} kinds[] = {
    {"memory", "", NULL, false, false},
    {"memory under faulty", "", NULL, false, true},
    {"sqlite", "", NULL, true, false},
    {"sqlite under faulty", "", NULL, true, true},
    {"ferretdb", "ferretdb", "STINT_TEST_FERRETDB_URI", false, false},
    {"ferretdb under faulty", "ferretdb", "STINT_TEST_FERRETDB_URI", false, true},
    {"secantus", "secantus", "STINT_TEST_SECANTUS_URI", false, false},
    {"secantus under faulty", "secantus", "STINT_TEST_SECANTUS_URI", false, true},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static const char *server_wanted(void)
{
    const char *server = getenv("STINT_TEST_STORE");
    return server != NULL ? server : "";
}

/* ---- stores --------------------------------------------------------------------------------- */

static int64_t clock_tick(void *ctx)
{
    return ++((struct store *)ctx)->clock_ms;
}

static struct datastore *uri_handle(struct store *s, unsigned flags)
{
    struct datastore *ds = NULL;
    struct error err = {0};
    int rc = datastore_open(s->uri, flags, &ds, &err);
    ck_assert_msg(rc == 0, "%s: %d %s", s->uri, rc, err.text);
    return ds;
}

static void folder_make(struct store *s)
{
    const char *base = getenv("TMPDIR");
    snprintf(s->folder, sizeof(s->folder), "%s/stint-contract-XXXXXX",
             base != NULL ? base : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(s->folder));
    snprintf(s->uri, sizeof(s->uri), "sqlite:%s/store.db", s->folder);
}

/* Every test finds the store new: the namespace of this program, emptied. */
static void server_make(struct store *s, const char *server)
{
    static const char *const collections[] = {"meta", "queues", "lanes",  "nodes",
                                              "jobs", "stints", "totals", "history"};
    bson_error_t error;
    mongoc_init();
    mongoc_client_t *client = mongoc_client_new(server);
    ck_assert_ptr_nonnull(client);
    for (size_t i = 0; i < sizeof(collections) / sizeof(collections[0]); i++) {
        char name[64];
        bson_t all = BSON_INITIALIZER;
        snprintf(name, sizeof(name), "contract%d.%s", (int)getppid(), collections[i]);
        mongoc_collection_t *collection = mongoc_client_get_collection(client, "stint_test", name);
        ck_assert_msg(mongoc_collection_delete_many(collection, &all, NULL, NULL, &error), "%s: %s",
                      name, error.message);
        mongoc_collection_destroy(collection);
        bson_destroy(&all);
    }
    mongoc_client_destroy(client);
    /* mongodb://HOST/?OPTIONS -> mongodb://HOST/stint_test?OPTIONS&namespace=... */
    const char *query = strchr(server, '?');
    ck_assert_ptr_nonnull(query);
    snprintf(s->uri, sizeof(s->uri), "%.*sstint_test%s&namespace=contract%d", (int)(query - server),
             server, query, (int)getppid());
}

struct store *store_new(int kind)
{
    struct store *s = calloc(1, sizeof(*s));
    ck_assert_ptr_nonnull(s);
    s->name = kinds[kind].name;
    s->sqlite = kinds[kind].sqlite;
    s->faulty = kinds[kind].faulty;
    s->server = kinds[kind].variable != NULL;
    s->slow = strcmp(kinds[kind].server, "secantus") == 0;
    s->clock_ms = 1700000000000;
    if (s->sqlite) {
        folder_make(s);
        s->ds = uri_handle(s, DS_CREATE);
    } else if (s->server) {
        server_make(s, getenv(kinds[kind].variable));
        s->ds = uri_handle(s, DS_CREATE);
    } else {
        s->memory = memory_store_new(clock_tick, s);
        s->ds = memory_open(s->memory);
    }
    if (s->faulty)
        s->ds = faulty_wrap(s->ds, &(struct faulty_plan){0});
    return s;
}

static int entry_delete(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void store_free(struct store *s)
{
    /* A test under faulty in which nothing failed has shown nothing. */
    ck_assert(!s->faulty || faulty_fired(s->ds, DS_KINDS) == s->n_runs);
    arena_release(&s->mem);
    datastore_close(s->ds);
    memory_store_free(s->memory);
    if (s->sqlite)
        nftw(s->folder, entry_delete, 16, FTW_DEPTH | FTW_PHYS);
    free(s);
}

struct datastore *store_handle(struct store *s)
{
    return s->sqlite || s->server ? uri_handle(s, 0) : memory_open(s->memory);
}

/* Says it when there is none. `variable`: NULL for a store that needs none. */
static bool server_there(const char *variable)
{
    const char *uri = variable != NULL ? getenv(variable) : NULL;
    const char *why = getenv("STINT_TEST_NO_SERVERS");
    if (variable == NULL || (uri != NULL && *uri != '\0'))
        return true;
    if (why != NULL && *why != '\0')
        printf("SKIP: %s\n", why);
    else
        printf("SKIP: no server: %s is not set (script/mongodb-servers)\n", variable);
    return false;
}

int store_kind_of_server(void)
{
    for (int kind = 0; kind < KINDS; kind++) {
        bool bare = kinds[kind].variable != NULL && !kinds[kind].faulty;
        if (bare && strcmp(kinds[kind].server, server_wanted()) == 0)
            return server_there(kinds[kind].variable) ? kind : -1;
    }
    printf("SKIP: no server: STINT_TEST_STORE names none (script/mongodb-servers)\n");
    return -1;
}

int contract_main(const char *name, const TTest *const *tests, size_t n_tests)
{
    int from = 0, to = 0;
    while (from < KINDS && strcmp(kinds[from].server, server_wanted()) != 0)
        from++;
    for (to = from; to < KINDS && strcmp(kinds[to].server, server_wanted()) == 0;)
        to++;
    if (from == to) {
        printf("STINT_TEST_STORE names no store: '%s'\n", server_wanted());
        return EXIT_FAILURE;
    }
    if (!server_there(kinds[from].variable))
        return 77;
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    for (size_t i = 0; i < n_tests; i++)
        tcase_add_loop_test(tcase, tests[i], from, to);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- runs ----------------------------------------------------------------------------------- */

static int run_once(struct store *s, struct ds_step *steps, size_t n)
{
    struct ds_run run = {.steps = steps, .n_steps = n, .mem = s->mem};
    int rc = datastore_run(s->ds, &run);
    s->mem = run.mem;
    s->err = run.err;
    return rc;
}

/* The first step of the run is lost on its way: not applied, and the caller cannot always tell. */
static void run_lost(struct store *s, struct ds_step *steps, size_t n)
{
    bool unknown = s->n_runs % 2 != 0 && ds_kind_writes(steps[0].kind);
    struct ds_step *copy = arena_copy(&s->mem, steps, n * sizeof(*steps));
    faulty_set(s->ds, &(struct faulty_plan){
                          .nth = 1, .fault = unknown ? FAULT_CALL_LOST : FAULT_UNAVAILABLE});
    run_once(s, copy, n);
    ck_assert_int_eq(copy[0].rc, unknown ? ERR_UNKNOWN_OUTCOME : ERR_UNAVAILABLE);
    for (size_t i = 1; i < n; i++)
        ck_assert_int_eq(copy[i].rc, ERR_SKIPPED);
    faulty_set(s->ds, &(struct faulty_plan){0});
    s->n_runs++;
}

int do_run(struct store *s, struct ds_step *steps, size_t n)
{
    if (s->faulty)
        run_lost(s, steps, n);
    return run_once(s, steps, n);
}

int do_step(struct store *s, struct ds_step *step)
{
    do_run(s, step, 1);
    return step->rc;
}

static void must(struct store *s, struct ds_step *steps, size_t n)
{
    int rc = do_run(s, steps, n);
    ck_assert_msg(rc == 0, "%s: %s: %d %s", s->name, ds_kind_name(steps[0].kind), rc, s->err.text);
}

/* ---- lanes ---------------------------------------------------------------------------------- */

int32_t lane_make(struct store *s, const char *queue, int32_t priority, int32_t partition)
{
    struct ds_step step = {.kind = DS_LANE_OPEN,
                           .lane_open.name = {.priority = priority, .partition = partition}};
    snprintf(step.lane_open.name.queue, sizeof(step.lane_open.name.queue), "%s", queue);
    must(s, &step, 1);
    return step.lane_open.ret_lane;
}

void queue_make(struct store *s, const char *name, int32_t partitions)
{
    struct ds_step step = {.kind = DS_QUEUE_SET,
                           .queue_set.queue = {.weight = 1, .partitions = partitions}};
    snprintf(step.queue_set.queue.name, sizeof(step.queue_set.queue.name), "%s", name);
    must(s, &step, 1);
}

struct lane lane_now(struct store *s, int32_t lane)
{
    struct ds_step step = {.kind = DS_LANES_READ, .lanes_read.lane = lane};
    must(s, &step, 1);
    ck_assert_uint_eq(step.lanes_read.ret_n, 1);
    return step.lanes_read.ret_lanes[0];
}

const struct lane_entry *entry_now(struct store *s, int32_t lane, int64_t node)
{
    struct lane now = lane_now(s, lane);
    for (size_t i = 0; i < now.n_entries; i++)
        if (now.entries[i].node == node)
            return &now.entries[i];
    return NULL;
}

int64_t reserve(struct store *s, int32_t lane, int64_t count)
{
    static const char *const types[] = {"noop"};
    struct ds_step step = {.kind = DS_RESERVE,
                           .reserve = {.lane = lane, .count = count, .types = types, .n_types = 1}};
    must(s, &step, 1);
    return step.reserve.ret_first;
}

static int64_t submit_jobs(struct store *s, int32_t lane, struct job *jobs, size_t n)
{
    struct ds_step steps[] = {
        {.kind = DS_RESERVE, .reserve = {.lane = lane, .count = (int64_t)n}},
        {.kind = DS_INSERT, .insert = {.jobs = jobs, .n_jobs = n, .from_reserve = true}}};
    must(s, steps, 2);
    for (size_t i = 0; i < n; i++)
        ck_assert_int_eq(steps[1].insert.ret_rc[i], 0);
    return steps[0].reserve.ret_first;
}

int64_t submit(struct store *s, int32_t lane, size_t count)
{
    struct job *jobs = arena_alloc(&s->mem, count * sizeof(*jobs));
    for (size_t i = 0; i < count; i++)
        jobs[i] = (struct job){.run = 1, .type = "noop", .token = (int64_t)i + 1};
    return submit_jobs(s, lane, jobs, count);
}

int64_t submit_job(struct store *s, int32_t lane, const struct job *job)
{
    struct job copy = *job;
    return submit_jobs(s, lane, &copy, 1);
}

int insert_row(struct store *s, const struct job *job)
{
    struct job copy = *job;
    struct ds_step step = {.kind = DS_INSERT, .insert = {.jobs = &copy, .n_jobs = 1}};
    must(s, &step, 1);
    return step.insert.ret_rc[0];
}

static struct ds_step claim_step(int32_t lane, int64_t node, uint64_t g, int64_t want)
{
    return (struct ds_step){
        .kind = DS_CLAIM,
        .claim = {.lane = lane, .node = node, .g = g, .want = want, .make_entry = g == 0}};
}

struct range claim(struct store *s, int32_t lane, int64_t node, uint64_t g, int64_t want)
{
    struct ds_step step = claim_step(lane, node, g, want);
    must(s, &step, 1);
    return step.claim.ret_range;
}

int claim_code(struct store *s, int32_t lane, int64_t node, uint64_t g, int64_t want)
{
    struct ds_step step = claim_step(lane, node, g, want);
    return do_step(s, &step);
}

int give_back(struct store *s, int32_t lane, int64_t node, uint64_t r, struct range range)
{
    struct ds_step step = {
        .kind = DS_RETURN,
        .give_back = {.lane = lane, .node = node, .r = r, .ranges = &range, .n_ranges = 1}};
    return do_step(s, &step);
}

int bury(struct store *s, int32_t lane, struct lane_entry expect, struct range estate)
{
    struct ds_step step = {.kind = DS_LANE_BURY,
                           .lane_bury = {.lane = lane,
                                         .expect = expect,
                                         .estate = &estate,
                                         .n_estate = estate.b > estate.a ? 1 : 0}};
    return do_step(s, &step);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

struct node node_make(int64_t id, const char *name)
{
    struct node node = {.id = id, .slots = 2, .lease_ms = 10000, .state = NODE_WAITING, .beat = 1};
    snprintf(node.name, sizeof(node.name), "%s", name);
    return node;
}

void node_add(struct store *s, int64_t id, const char *name)
{
    struct node node = node_make(id, name);
    struct ds_step step = {.kind = DS_NODE_ADD, .node_add.node = &node};
    must(s, &step, 1);
}

struct node node_now(struct store *s, int64_t id)
{
    struct ds_step step = {.kind = DS_NODES_READ, .nodes_read.node = id};
    must(s, &step, 1);
    ck_assert_uint_eq(step.nodes_read.ret_n, 1);
    return step.nodes_read.ret_nodes[0];
}

int node_kill(struct store *s, int64_t id, uint64_t beat)
{
    struct ds_step step = {.kind = DS_NODE_KILL,
                           .node_kill = {.node = id, .beat = beat, .cause = "buried by test"}};
    return do_step(s, &step);
}

/* ---- jobs ----------------------------------------------------------------------------------- */

bool job_find(struct store *s, int64_t id, struct job *ret_job)
{
    struct ds_step step = {.kind = DS_LOAD,
                           .load = {.range = {.a = id, .b = id + 1}, .rows_max = 1}};
    must(s, &step, 1);
    ck_assert_int_eq(step.load.ret_next, id + 1);
    if (step.load.ret_n == 0)
        return false;
    ck_assert_uint_eq(step.load.ret_n, 1);
    *ret_job = step.load.ret_jobs[0];
    return true;
}

struct job job_now(struct store *s, int64_t id)
{
    struct job job = {0};
    ck_assert(job_find(s, id, &job));
    ck_assert_int_eq(job.id, id);
    return job;
}

uint32_t finish(struct store *s, struct outcome outcome, enum job_state *ret_state)
{
    if (outcome.count == 0)
        outcome.count = 1;
    struct ds_step step = {.kind = DS_FINISH, .finish = {.outcomes = &outcome, .n = 1}};
    must(s, &step, 1);
    if (outcome.ret_accepted > 0 && ret_state != NULL)
        *ret_state = outcome.ret_state;
    return outcome.ret_accepted;
}

int cancel(struct store *s, int64_t id, enum job_state *ret_before)
{
    struct ds_step step = {.kind = DS_CANCEL, .cancel = {.id = id, .ret_before = JOB_STATES}};
    int rc = do_step(s, &step);
    if (ret_before != NULL)
        *ret_before = step.cancel.ret_before;
    return rc;
}

/* ---- assertions ----------------------------------------------------------------------------- */

void assert_range(struct range r, int64_t a, int64_t b, bool suspect)
{
    ck_assert_msg(r.a == a && r.b == b && r.suspect == suspect,
                  "[%lld, %lld)%s instead of [%lld, %lld)%s", (long long)r.a, (long long)r.b,
                  r.suspect ? " suspect" : "", (long long)a, (long long)b,
                  suspect ? " suspect" : "");
}

void assert_bytes(struct bytes got, const void *data, size_t len)
{
    ck_assert_uint_eq(got.len, len);
    ck_assert(len == 0 || memcmp(got.data, data, len) == 0);
}
