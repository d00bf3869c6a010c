/* Goal: processes that share one SQLite file, each with a handle of its own, never get the same
 * ids, never lose any, and never record an outcome twice (I1, I2, I9).
 * Method: submitters and claimers run at once, in processes of their own; what each was given is
 * noted in shared memory by id, where a second taker is seen at once; at the end the store is read
 * back whole. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/store.h"

enum { PROCESSES = 4, SQLITE_BARE = 2, IDS_MAX = 20000 };

/* Shared by the processes of one test. */
struct shared {
    atomic_int submitters; /* still at work */
    atomic_int winners;
    atomic_long finished;
    atomic_int reserved[IDS_MAX]; /* 1 + number of the process that was given the id */
    atomic_int holder[IDS_MAX];   /* 1 + number of the process that the id is granted to now */
    atomic_int outcomes[IDS_MAX];
};

typedef void work_fn(struct store *s, struct datastore *ds, struct shared *shared, int number);

/* In a child: an assertion of Check would be reported by the wrong process. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static struct shared *shared_new(void)
{
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(shared != MAP_FAILED);
    return shared;
}

/* Runs PROCESSES processes at once and waits for them; even numbers do `even`. */
static void run_processes(struct store *s, struct shared *shared, work_fn *even, work_fn *odd)
{
    datastore_close(s->ds); /* no handle crosses a fork */
    pid_t pids[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        ck_assert_int_ge(pids[i], 0);
        if (pids[i] == 0) {
            struct datastore *ds = NULL;
            struct error err = {0};
            int rc = datastore_open(s->uri, 0, &ds, &err);
            if (rc < 0)
                fprintf(stderr, "%s\n", err.text);
            MUST(rc == 0);
            (i % 2 == 0 ? even : odd)(s, ds, shared, i);
            datastore_close(ds);
            _exit(0);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = -1;
        ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
        ck_assert_int_eq(status, 0);
    }
    s->ds = store_handle(s);
}

static int run(struct datastore *ds, struct arena *mem, struct ds_step *steps, size_t n)
{
    struct ds_run r = {.steps = steps, .n_steps = n, .mem = *mem};
    int rc = datastore_run(ds, &r);
    *mem = r.mem;
    for (size_t i = 0; rc < 0 && rc != ERR_DUPLICATE && i < n; i++)
        fprintf(stderr, "%s: %d %s\n", ds_kind_name(steps[i].kind), steps[i].rc, r.err.text);
    return rc;
}

/* ---- submitting and claiming ---------------------------------------------------------------- */

static void submit_many(struct store *s, struct datastore *ds, struct shared *shared, int number)
{
    (void)s;
    for (int round = 0; round < 60; round++) {
        struct arena mem = {0};
        size_t n = (size_t)(1 + (round * 7 + number) % 40);
        struct job *jobs = arena_alloc(&mem, n * sizeof(*jobs));
        for (size_t i = 0; i < n; i++)
            jobs[i] = (struct job){.run = 1, .type = "noop", .token = number + 1};
        struct ds_step steps[] = {
            {.kind = DS_RESERVE, .reserve.count = (int64_t)n},
            {.kind = DS_INSERT, .insert = {.jobs = jobs, .n_jobs = n, .from_reserve = true}}};
        MUST(run(ds, &mem, steps, 2) == 0);
        int64_t first = steps[0].reserve.ret_first;
        MUST(first >= 1 && first + (int64_t)n < IDS_MAX);
        for (size_t i = 0; i < n; i++) {
            MUST(steps[1].insert.ret_rc[i] == 0);
            MUST(atomic_exchange(&shared->reserved[first + (int64_t)i], number + 1) == 0);
        }
        arena_release(&mem);
    }
    atomic_fetch_sub(&shared->submitters, 1);
}

struct claimer {
    struct datastore *ds;
    struct shared *shared;
    struct node node;
    int number;
    uint64_t g, r;
    struct arena mem;
};

static struct range claim_some(struct claimer *c)
{
    c->node.beat++;
    struct ds_step steps[] = {
        {.kind = DS_CLAIM,
         .claim = {.node = c->node.id,
                   .g = c->g,
                   .r = c->r,
                   .want = 1 + (int64_t)(c->g * 5) % 50,
                   .make_entry = c->g == 0}},
        {.kind = DS_NODE_WRITE, .node_write = {.node = &c->node, .accept = true}}};
    MUST(run(c->ds, &c->mem, steps, 2) == 0);
    struct range range = steps[0].claim.ret_range;
    c->g += range_count(range) > 0;
    for (int64_t id = range.a; id < range.b; id++)
        MUST(atomic_exchange(&c->shared->holder[id], c->number + 1) == 0);
    return range;
}

/* Gives back the last third of a grant now and then; the rest remains. */
static void return_some(struct claimer *c, struct range *range)
{
    if (c->g % 4 != 0 || range_count(*range) < 3)
        return;
    struct range tail = {range->b - range_count(*range) / 3, range->b, false};
    for (int64_t id = tail.a; id < tail.b; id++)
        MUST(atomic_exchange(&c->shared->holder[id], 0) == c->number + 1);
    struct ds_step step = {
        .kind = DS_RETURN,
        .give_back = {.node = c->node.id, .r = c->r, .ranges = &tail, .n_ranges = 1}};
    MUST(run(c->ds, &c->mem, &step, 1) == 0);
    c->r++;
    range->b = tail.a;
}

static void finish_all(struct claimer *c, struct range range)
{
    uint32_t count = (uint32_t)range_count(range);
    struct outcome outcome = {.id = range.a, .count = count, .run = 1, .node = c->node.id};
    struct ds_step step = {.kind = DS_FINISH, .finish = {.outcomes = &outcome, .n = 1}};
    MUST(run(c->ds, &c->mem, &step, 1) == 0);
    MUST(outcome.ret_accepted == count); /* SQLite has no holes: each id granted has its row */
    for (int64_t id = range.a; id < range.b; id++)
        MUST(atomic_fetch_add(&c->shared->outcomes[id], 1) == 0);
    atomic_fetch_add(&c->shared->finished, count);
}

static void claim_many(struct store *s, struct datastore *ds, struct shared *shared, int number)
{
    (void)s;
    struct claimer c = {.ds = ds, .shared = shared, .number = number};
    c.node = (struct node){.id = number + 1, .slots = 1, .lease_ms = 10000, .state = NODE_WAITING};
    snprintf(c.node.name, sizeof(c.node.name), "node-%d", number);
    struct ds_step add = {.kind = DS_NODE_ADD, .node_add.node = &c.node};
    MUST(run(ds, &c.mem, &add, 1) == 0);
    for (bool last = false;;) {
        struct range range = claim_some(&c);
        if (range_count(range) > 0) {
            return_some(&c, &range);
            finish_all(&c, range);
        } else if (last) {
            break;
        } else {
            last = atomic_load(&shared->submitters) == 0;
        }
        arena_release(&c.mem);
    }
    arena_release(&c.mem);
}

START_TEST(ids_are_given_out_once_and_none_is_lost)
{
    struct store *s = store_new(SQLITE_BARE);
    struct shared *shared = shared_new();
    atomic_store(&shared->submitters, PROCESSES / 2);
    run_processes(s, shared, submit_many, claim_many);
    struct lane lane = lane_now(s, LANE_DEFAULT);
    ck_assert_int_gt(lane.tail, PROCESSES * 60);
    for (int64_t id = 1; id < IDS_MAX; id++) {
        ck_assert_int_eq(atomic_load(&shared->reserved[id]) != 0, id < lane.tail);
        ck_assert(atomic_load(&shared->reserved[id]) == 0 ||
                  job_now(s, id).token == atomic_load(&shared->reserved[id]));
    }
    /* A claimer may leave while the other is about to return something: the rest is in the pool. */
    int64_t left = lane.tail - lane.head;
    for (size_t i = 0; i < lane.n_pool; i++)
        left += range_count(lane.pool[i]);
    ck_assert_int_eq(atomic_load(&shared->finished) + left, lane.tail - 1);
    int64_t done = 0;
    for (int64_t id = 1; id < lane.tail; id++) {
        bool is_done = job_now(s, id).state == JOB_DONE;
        ck_assert_int_eq(is_done, atomic_load(&shared->outcomes[id]));
        done += is_done;
    }
    ck_assert_int_eq(done, atomic_load(&shared->finished));
    munmap(shared, sizeof(*shared));
    store_free(s);
}
END_TEST

/* ---- races for one thing -------------------------------------------------------------------- */

static void take_name(struct store *s, struct datastore *ds, struct shared *shared, int number)
{
    (void)s;
    struct arena mem = {0};
    struct node node = {.id = number + 1, .name = "alpha", .slots = 1, .state = NODE_WAITING};
    struct ds_step add = {.kind = DS_NODE_ADD, .node_add.node = &node};
    int rc = run(ds, &mem, &add, 1);
    MUST(rc == 0 || rc == ERR_DUPLICATE);
    atomic_fetch_add(&shared->winners, rc == 0);
    arena_release(&mem);
}

START_TEST(one_of_many_gets_a_name)
{
    struct store *s = store_new(SQLITE_BARE);
    struct shared *shared = shared_new();
    run_processes(s, shared, take_name, take_name);
    ck_assert_int_eq(atomic_load(&shared->winners), 1);
    munmap(shared, sizeof(*shared));
    store_free(s);
}
END_TEST

static void take_key(struct store *s, struct datastore *ds, struct shared *shared, int number)
{
    (void)s;
    static const struct job_spec spec = {.key = "once"};
    for (int round = 0; round < 20; round++) {
        struct arena mem = {0};
        struct job job = {.run = 1, .type = "noop", .token = number + 1, .spec = &spec};
        struct ds_step steps[] = {
            {.kind = DS_RESERVE, .reserve.count = 1},
            {.kind = DS_INSERT, .insert = {.jobs = &job, .n_jobs = 1, .from_reserve = true}}};
        MUST(run(ds, &mem, steps, 2) == 0);
        atomic_fetch_add(&shared->winners, steps[1].insert.ret_rc[0] == 0);
        arena_release(&mem);
    }
}

START_TEST(one_of_many_gets_a_key)
{
    struct store *s = store_new(SQLITE_BARE);
    struct shared *shared = shared_new();
    run_processes(s, shared, take_key, take_key);
    ck_assert_int_eq(atomic_load(&shared->winners), 1);
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).tail, PROCESSES * 20 + 1);
    munmap(shared, sizeof(*shared));
    store_free(s);
}
END_TEST

static void open_lanes(struct store *s, struct datastore *ds, struct shared *shared, int number)
{
    (void)s;
    (void)number;
    for (int i = 0; i < 20; i++) {
        struct arena mem = {0};
        struct ds_step step = {.kind = DS_LANE_OPEN, .lane_open.name = {.priority = 5}};
        snprintf(step.lane_open.name.queue, sizeof(step.lane_open.name.queue), "q%d", i);
        MUST(run(ds, &mem, &step, 1) == 0);
        int lane = step.lane_open.ret_lane, unset = 0;
        if (!atomic_compare_exchange_strong(&shared->holder[i], &unset, lane))
            MUST(unset == lane); /* all are told the same number */
        arena_release(&mem);
    }
}

START_TEST(a_lane_has_one_number)
{
    struct store *s = store_new(SQLITE_BARE);
    struct shared *shared = shared_new();
    run_processes(s, shared, open_lanes, open_lanes);
    struct ds_step step = {.kind = DS_LANES_READ, .lanes_read.lane = -1};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.lanes_read.ret_n, 21);
    munmap(shared, sizeof(*shared));
    store_free(s);
}
END_TEST

/* ---- namespaces ----------------------------------------------------------------------------- */

START_TEST(namespaces_of_one_file_are_apart)
{
    struct store *s = store_new(SQLITE_BARE);
    submit(s, LANE_DEFAULT, 3);
    node_add(s, 1, "alpha");
    struct datastore *bare = s->ds, *other = NULL;
    size_t len = strlen(s->uri);
    snprintf(s->uri + len, sizeof(s->uri) - len, "?namespace=two");
    struct error err = {0};
    ck_assert_msg(datastore_open(s->uri, DS_CREATE, &other, &err) == 0, "%s", err.text);
    s->ds = other;
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).tail, 1);
    struct job none;
    ck_assert(!job_find(s, 1, &none));
    node_add(s, 1, "alpha");
    ck_assert_int_eq(submit(s, LANE_DEFAULT, 5), 1);
    datastore_close(other);
    s->ds = bare;
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).tail, 4);
    ck_assert_int_eq(cancel(s, 4, NULL), ERR_NOT_FOUND);
    store_free(s);
}
END_TEST

START_TEST(what_was_written_is_there_after_the_last_handle_is_closed)
{
    struct store *s = store_new(SQLITE_BARE);
    int64_t id = submit(s, LANE_DEFAULT, 3);
    finish(s, (struct outcome){.id = id, .run = 1}, NULL);
    datastore_close(s->ds);
    s->ds = store_handle(s);
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).tail, 4);
    ck_assert_int_eq(job_now(s, id).state, JOB_DONE);
    ck_assert_int_eq(job_now(s, id + 1).state, JOB_QUEUED);
    store_free(s);
}
END_TEST

START_TEST(a_read_only_handle_writes_nothing)
{
    struct store *s = store_new(SQLITE_BARE);
    int64_t id = submit(s, LANE_DEFAULT, 3);
    struct datastore *own = s->ds, *reader = NULL;
    struct error err = {0};
    ck_assert_msg(datastore_open(s->uri, DS_READ_ONLY, &reader, &err) == 0, "%s", err.text);
    s->ds = reader;
    ck_assert_int_eq(job_now(s, id).state, JOB_QUEUED);
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).tail, 4);
    ck_assert_int_eq(cancel(s, id, NULL), ERR_READ_ONLY);
    ck_assert_int_eq(claim_code(s, LANE_DEFAULT, 1, 0, 1), ERR_READ_ONLY);
    datastore_close(reader);
    s->ds = own;
    ck_assert_int_eq(job_now(s, id).state, JOB_QUEUED);
    store_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("processes");
    TCase *tcase = tcase_create("processes");
    tcase_add_test(tcase, ids_are_given_out_once_and_none_is_lost);
    tcase_add_test(tcase, one_of_many_gets_a_name);
    tcase_add_test(tcase, one_of_many_gets_a_key);
    tcase_add_test(tcase, a_lane_has_one_number);
    tcase_add_test(tcase, namespaces_of_one_file_are_apart);
    tcase_add_test(tcase, what_was_written_is_there_after_the_last_handle_is_closed);
    tcase_add_test(tcase, a_read_only_handle_writes_nothing);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
