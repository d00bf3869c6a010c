/* Goal: after a run those nodes are rung whom it concerns, as many as there is work, waiting ones
 * first; the store is asked about them seldom.
 * Method: made-up runs, nodes and lanes, handed in by a reading function that counts; the bells are
 * real sockets on loopback, time is handed in. */
#include "datastore/bells.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/doorbell.h"

enum { NODES = 6 };

static char queue_names[][LIMIT_NAME_BYTES + 1] = {"default", "mail"};
static char type_names[][LIMIT_NAME_BYTES + 1] = {"exec", "noop"};
static struct node nodes[NODES];
static struct doorbell *doorbells[NODES];
static struct bells *bells;
static unsigned node_reads, lane_reads;
static int read_code;
static uint64_t now_ms;

/* 0, 1, 2 wait, 3 works, 4 is paused; 2 serves mail as well, and 5, which waits, mail alone. */
static void set_up(void)
{
    static const enum node_state states[NODES] = {NODE_WAITING, NODE_WAITING, NODE_WAITING,
                                                  NODE_WORKING, NODE_PAUSED,  NODE_WAITING};
    struct error err;
    for (size_t i = 0; i < NODES; i++) {
        ck_assert_int_eq(doorbell_open(NULL, 0, &doorbells[i], &err), 0);
        nodes[i] = (struct node){.id = (int64_t)i + 1, .state = states[i], .slots = 2};
        nodes[i].queues = i == 5 ? queue_names + 1 : queue_names;
        nodes[i].n_queues = i == 2 ? 2 : 1;
        nodes[i].types = type_names;
        nodes[i].n_types = 2;
        snprintf(nodes[i].doorbell, sizeof(nodes[i].doorbell), "%s",
                 doorbell_address(doorbells[i]));
    }
    ck_assert_int_eq(bells_open(&bells, &err), 0);
    node_reads = lane_reads = 0;
    read_code = 0;
    now_ms = 1000;
}

static void tear_down(void)
{
    bells_close(bells);
    for (size_t i = 0; i < NODES; i++)
        doorbell_close(doorbells[i]);
}

/* Lane 0 is of the default queue, all others of mail. */
static int read_store(void *ctx, struct ds_step *step, struct arena *mem)
{
    (void)ctx;
    if (step->kind == DS_NODES_READ) {
        node_reads++;
        size_t from = 0, to = step->nodes_read.node != 0 ? 0 : NODES;
        ck_assert(step->nodes_read.live_only == (step->nodes_read.node == 0));
        for (size_t i = 0; step->nodes_read.node != 0 && i < NODES; i++)
            if (nodes[i].id == step->nodes_read.node) {
                from = i;
                to = i + 1;
            }
        step->nodes_read.ret_n = to - from;
        step->nodes_read.ret_nodes = arena_copy(mem, nodes + from, (to - from) * sizeof(nodes[0]));
    } else {
        lane_reads++;
        ck_assert_int_eq(step->kind, DS_LANES_READ);
        struct lane *lane = arena_alloc(mem, sizeof(*lane));
        lane->number = step->lanes_read.lane;
        snprintf(lane->name.queue, sizeof(lane->name.queue), "%s",
                 queue_names[lane->number == 0 ? 0 : 1]);
        step->lanes_read.ret_lanes = lane;
        step->lanes_read.ret_n = 1;
    }
    return read_code != 0 || step->kind != DS_NODES_READ || step->nodes_read.ret_n > 0
               ? read_code
               : ERR_NOT_FOUND;
}

static size_t ran(struct ds_step *steps, size_t n)
{
    struct ds_run run = {.steps = steps, .n_steps = n};
    return bells_ran(bells, &run, now_ms, read_store, NULL);
}

/* The nodes that were rung since the last call, as bits. */
static unsigned rung(void)
{
    unsigned bits = 0;
    for (size_t i = 0; i < NODES; i++)
        bits |= doorbell_clear(doorbells[i]) ? 1U << i : 0;
    return bits;
}

static unsigned count(unsigned bits)
{
    return (unsigned)__builtin_popcount(bits);
}

/* n queued rows under reserved ids. */
static size_t submit(int32_t lane, size_t n, const char *type)
{
    static struct job jobs[16];
    static int32_t codes[16];
    const char *const types[] = {type};
    ck_assert_uint_le(n, 16);
    for (size_t i = 0; i < n; i++) {
        jobs[i] = (struct job){.state = JOB_QUEUED, .type = type};
        codes[i] = 0;
    }
    struct ds_step steps[] = {
        {.kind = DS_RESERVE,
         .reserve = {.lane = lane, .count = (int64_t)n, .types = types, .n_types = 1}},
        {.kind = DS_INSERT,
         .insert = {.jobs = jobs, .n_jobs = n, .from_reserve = true, .ret_rc = codes}},
    };
    return ran(steps, 2);
}

START_TEST(a_submit_rings_as_many_as_there_is_work)
{
    ck_assert_uint_eq(submit(0, 1, "exec"), 1);
    unsigned bits = rung();
    ck_assert(count(bits) == 1 && (bits & ~7U) == 0);
    now_ms += 10;
    ck_assert_uint_eq(submit(0, 2, "exec"), 2);
    bits = rung();
    ck_assert(count(bits) == 2 && (bits & ~7U) == 0);
    now_ms += 10;
    ck_assert_uint_eq(submit(0, 4, "exec"), 4); /* the working one, too */
    ck_assert_uint_eq(rung(), 15);
    now_ms += 10;
    ck_assert_uint_eq(submit(0, 16, "exec"), 4);
    ck_assert_uint_eq(rung(), 15);
}
END_TEST

START_TEST(those_who_serve_queue_and_types_are_rung)
{
    ck_assert_uint_eq(submit(7, 10, "noop"), 2);
    ck_assert_uint_eq(rung(), 1U << 2 | 1U << 5);
    now_ms += 10;
    ck_assert_uint_eq(submit(7, 10, "other"), 0);
    ck_assert_uint_eq(rung(), 0);
}
END_TEST

START_TEST(different_submits_wake_different_nodes)
{
    unsigned all = 0;
    for (int i = 0; i < 60; i++, now_ms += 10) {
        ck_assert_uint_eq(submit(0, 1, "exec"), 1);
        all |= rung();
    }
    ck_assert_uint_eq(all, 7);
}
END_TEST

START_TEST(the_store_is_asked_seldom)
{
    for (int i = 0; i < 100; i++, now_ms += 5) /* half a second */
        submit(0, 1, "exec");
    ck_assert_uint_eq(node_reads, 1);
    ck_assert_uint_eq(lane_reads, 1);
    submit(0, 1, "exec");
    ck_assert_uint_eq(node_reads, 2);
    ck_assert_uint_eq(lane_reads, 1);
    /* A lane opened before is known. */
    struct ds_step open = {.kind = DS_LANE_OPEN,
                           .lane_open = {.name = {.queue = "mail"}, .ret_lane = 9}};
    ck_assert_uint_eq(ran(&open, 1), 0);
    rung();
    now_ms += 10;
    ck_assert_uint_eq(submit(9, 9, "exec"), 2);
    ck_assert_uint_eq(lane_reads, 1);
    /* A read that fails is not repeated at once, and what was known goes on serving. */
    now_ms += 1000;
    read_code = ERR_UNAVAILABLE;
    for (int i = 0; i < 10; i++, now_ms += 10)
        ck_assert_uint_eq(submit(0, 1, "exec"), 1);
    ck_assert_uint_eq(node_reads, 3);
}
END_TEST

START_TEST(a_submitter_rings_without_a_read)
{
    struct ds_step open = {.kind = DS_LANE_OPEN,
                           .lane_open = {.name = {.queue = QUEUE_DEFAULT}, .ret_lane = 0}};
    ck_assert_uint_eq(ran(&open, 1), 0);
    ck_assert_uint_eq(rung(), 0);
    ck_assert_uint_eq(node_reads, 1);
    now_ms += 20;
    ck_assert_uint_eq(submit(0, 1, "exec"), 1);
    ck_assert_uint_eq(node_reads, 1);
    ck_assert_uint_eq(lane_reads, 0);
}
END_TEST

START_TEST(what_nobody_waits_for_rings_nobody)
{
    static struct job jobs[3] = {
        {.state = JOB_VOID}, {.state = JOB_QUEUED}, {.state = JOB_BLOCKED}};
    static int32_t codes[3] = {0, ERR_DUPLICATE, 0};
    struct range none = {0};
    struct ds_step steps[] = {
        {.kind = DS_INSERT, .insert = {.jobs = jobs, .n_jobs = 3, .ret_rc = codes}},
        {.kind = DS_INSERT, .rc = ERR_UNAVAILABLE, .insert = {.jobs = jobs, .n_jobs = 3}},
        {.kind = DS_QUEUE_SET, .rc = ERR_CONFLICT},
        {.kind = DS_NODE_ASK, .rc = ERR_SKIPPED, .node_ask = {.node = 1}},
        {.kind = DS_LANE_BURY, .lane_bury = {.estate = &none, .n_estate = 0}},
        {.kind = DS_FINISH},
        {.kind = DS_NODE_WRITE},
        {.kind = DS_CLAIM},
    };
    ck_assert_uint_eq(ran(steps, sizeof(steps) / sizeof(steps[0])), 0);
    ck_assert_uint_eq(rung(), 0);
    ck_assert_uint_eq(node_reads + lane_reads, 0);
}
END_TEST

START_TEST(what_comes_back_rings_others)
{
    struct range two = {.a = id_make(0, 5), .b = id_make(0, 7)};
    struct ds_step give = {.kind = DS_RETURN,
                           .give_back = {.lane = 0, .node = 1, .ranges = &two, .n_ranges = 1}};
    for (int i = 0; i < 30; i++, now_ms += 10) {
        ck_assert_uint_eq(ran(&give, 1), 2);
        ck_assert_uint_eq(rung(), 6); /* never the one that gave it */
    }
    struct ds_step bury = {.kind = DS_LANE_BURY,
                           .lane_bury = {.lane = 7, .estate = &two, .n_estate = 1}};
    ck_assert_uint_eq(ran(&bury, 1), 2);
    ck_assert_uint_eq(rung(), 1U << 2 | 1U << 5);
}
END_TEST

/* A look of node 1 at lane 0, of the default queue, where that many ids wait. */
static size_t look(int64_t ids, int64_t pass_on, bool paused, const char *type)
{
    struct queue queue = {.name = QUEUE_DEFAULT, .paused = paused};
    struct lane lane = {.name = {.queue = QUEUE_DEFAULT},
                        .head = id_make(0, 1),
                        .tail = id_make(0, 1) + ids,
                        .types = &type,
                        .n_types = 1};
    struct ds_step steps[] = {
        {.kind = DS_QUEUES_READ, .queues_read = {.ret_queues = &queue, .ret_n = 1}},
        {.kind = DS_LANES_READ,
         .lanes_read =
             {.lane = -1, .entries_of = 1, .pass_on = pass_on, .ret_lanes = &lane, .ret_n = 1}},
    };
    now_ms += BELLS_READ_MS;
    return ran(steps, 2);
}

START_TEST(who_finds_much_passes_it_on_to_some_who_wait)
{
    ck_assert_uint_eq(look(100, 100, false, "exec"), 2);
    ck_assert_uint_eq(rung(), 6); /* not the one who looked, none who work */
    ck_assert_uint_eq(node_reads, 1);
    ck_assert_uint_eq(lane_reads, 0);
    nodes[3].state = nodes[4].state = NODE_WAITING;
    unsigned all = 0;
    for (int i = 0; i < 60; i++) {
        ck_assert_uint_eq(look(100, 100, false, "exec"), BELLS_PASS_ON);
        all |= rung();
    }
    ck_assert_uint_eq(all, 30);
}
END_TEST

/* Those who are rung would look, find nothing, and pass that on in turn. */
START_TEST(what_others_could_not_claim_is_not_passed_on)
{
    ck_assert_uint_eq(look(99, 100, false, "exec"), 0);
    ck_assert_uint_eq(look(100, 0, false, "exec"), 0);
    ck_assert_uint_eq(look(100, 100, true, "exec"), 0);
    ck_assert_uint_eq(node_reads, 0);
    ck_assert_uint_eq(look(100, 100, false, "other"), 0);
    ck_assert_uint_eq(rung(), 0);
}
END_TEST

START_TEST(who_is_asked_is_rung_and_a_queue_concerns_all)
{
    struct ds_step ask = {.kind = DS_NODE_ASK, .node_ask = {.node = 5}};
    ck_assert_uint_eq(ran(&ask, 1), 1); /* though it is paused */
    ck_assert_uint_eq(rung(), 1U << 4);
    ask.node_ask.node = 99;
    ck_assert_uint_eq(ran(&ask, 1), 0);
    now_ms += 10;
    struct ds_step set = {.kind = DS_QUEUE_SET};
    nodes[1].doorbell[0] = '\0';
    snprintf(nodes[2].doorbell, sizeof(nodes[2].doorbell), "no address at all");
    now_ms += BELLS_READ_MS;
    ck_assert_uint_eq(ran(&set, 1), 4);
    ck_assert_uint_eq(rung(), 63 & ~6U);
}
END_TEST

START_TEST(wants_are_told_with_their_lane)
{
    static struct job slot = {.state = JOB_SLOT};
    slot.id = id_make(3, 8);
    int32_t code = 0;
    struct ds_step steps[] = {
        {.kind = DS_META_READ},
        {.kind = DS_INSERT, .insert = {.jobs = &slot, .n_jobs = 1, .ret_rc = &code}},
        {.kind = DS_NODE_ASK, .node_ask = {.node = 77}},
    };
    struct ds_run run = {.steps = steps, .n_steps = 3};
    struct bell_want wants[LIMIT_RUN_STEPS];
    ck_assert_uint_eq(bells_wanted(&run, wants), 2);
    ck_assert(wants[0].whom == BELL_LANE && wants[0].lane == 3 && wants[0].count == 1);
    ck_assert(wants[1].whom == BELL_NODE && wants[1].node == 77);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bells");
    TCase *tcase = tcase_create("bells");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_submit_rings_as_many_as_there_is_work);
    tcase_add_test(tcase, those_who_serve_queue_and_types_are_rung);
    tcase_add_test(tcase, different_submits_wake_different_nodes);
    tcase_add_test(tcase, the_store_is_asked_seldom);
    tcase_add_test(tcase, a_submitter_rings_without_a_read);
    tcase_add_test(tcase, what_nobody_waits_for_rings_nobody);
    tcase_add_test(tcase, what_comes_back_rings_others);
    tcase_add_test(tcase, who_finds_much_passes_it_on_to_some_who_wait);
    tcase_add_test(tcase, what_others_could_not_claim_is_not_passed_on);
    tcase_add_test(tcase, who_is_asked_is_rung_and_a_queue_concerns_all);
    tcase_add_test(tcase, wants_are_told_with_their_lane);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
