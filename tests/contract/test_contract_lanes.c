/* Goal: queues and lanes keep the contract of datastore.h: each step with its guard met and missed.
 * Method: the same tests on every kind of store (tests/support/store.h); what a step says is read
 * back from the lane's record. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/store.h"

enum { NODE_A = 101, NODE_B = 202 };

/* ---- meta and queues ------------------------------------------------------------------------ */

CONTRACT_TEST(a_fresh_store_says_its_version, s)
{
    struct ds_step step = {.kind = DS_META_READ};
    ck_assert_int_eq(do_step(s, &step), 0);
    const struct meta *meta = &step.meta_read.ret_meta;
    ck_assert_int_eq(meta->schema_version, SCHEMA_VERSION);
    ck_assert_int_le(meta->reader_version_min, SCHEMA_VERSION);
    ck_assert_int_le(meta->writer_version_min, SCHEMA_VERSION);
    ck_assert_int_eq(meta->features & ~(int64_t)FEATURES_KNOWN, 0);
    ck_assert_int_gt(meta->created_ms, 0);
}

static int queue_set(struct store *s, struct queue queue, bool create_only, bool alter_only)
{
    struct ds_step step = {
        .kind = DS_QUEUE_SET,
        .queue_set = {.queue = queue, .create_only = create_only, .alter_only = alter_only}};
    return do_step(s, &step);
}

static struct queue queue_now(struct store *s, const char *name)
{
    struct ds_step step = {.kind = DS_QUEUES_READ};
    ck_assert_int_eq(do_step(s, &step), 0);
    for (size_t i = 0; i < step.queues_read.ret_n; i++)
        if (strcmp(step.queues_read.ret_queues[i].name, name) == 0)
            return step.queues_read.ret_queues[i];
    ck_abort_msg("no queue '%s'", name);
}

CONTRACT_TEST(a_queue_is_made_once_and_changed, s)
{
    struct queue mail = {.name = "mail", .weight = 3, .partitions = 4, .changed_by = "me@here"};
    ck_assert_int_eq(queue_set(s, mail, false, true), ERR_NOT_FOUND);
    ck_assert_int_eq(queue_set(s, mail, true, false), 0);
    ck_assert_int_eq(queue_set(s, mail, true, false), ERR_DUPLICATE);
    struct queue now = queue_now(s, "mail");
    ck_assert_int_eq(now.weight, 3);
    ck_assert_int_eq(now.partitions, 4);
    ck_assert(!now.paused);
    ck_assert_str_eq(now.changed_by, "me@here");
    ck_assert_int_gt(now.changed_ms, 0);
    mail.paused = true;
    mail.weight = 7;
    ck_assert_int_eq(queue_set(s, mail, false, true), 0);
    ck_assert(queue_now(s, "mail").paused);
    ck_assert_int_eq(queue_now(s, "mail").weight, 7);
    mail.paused = false;
    ck_assert_int_eq(queue_set(s, mail, false, false), 0);
    ck_assert(!queue_now(s, "mail").paused);
}

CONTRACT_TEST(partitions_of_a_queue_never_change, s)
{
    struct queue queue = {.name = "ord", .weight = 1, .partitions = 4};
    ck_assert_int_eq(queue_set(s, queue, true, false), 0);
    queue.partitions = 5;
    queue.paused = true;
    ck_assert_int_eq(queue_set(s, queue, false, false), ERR_CONFLICT);
    ck_assert_int_eq(queue_set(s, queue, false, true), ERR_CONFLICT);
    ck_assert_int_eq(queue_now(s, "ord").partitions, 4);
    ck_assert(!queue_now(s, "ord").paused);
}

CONTRACT_TEST(queues_are_listed_by_name, s)
{
    queue_make(s, "zeta", 0);
    queue_make(s, "alpha", 0);
    queue_make(s, "mail", 0);
    struct ds_step step = {.kind = DS_QUEUES_READ};
    ck_assert_int_eq(do_step(s, &step), 0);
    static const char *const names[] = {"alpha", "default", "mail", "zeta"};
    ck_assert_uint_eq(step.queues_read.ret_n, 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_str_eq(step.queues_read.ret_queues[i].name, names[i]);
}

/* ---- lanes ---------------------------------------------------------------------------------- */

CONTRACT_TEST(a_lane_is_found_again_by_its_name, s)
{
    ck_assert_int_eq(lane_make(s, QUEUE_DEFAULT, PRIORITY_DEFAULT, 0), LANE_DEFAULT);
    int32_t mail = lane_make(s, "mail", 5, 0), first = lane_make(s, "mail", 0, 0);
    ck_assert_int_ne(mail, LANE_DEFAULT);
    ck_assert_int_ne(mail, first);
    ck_assert_int_eq(lane_make(s, "mail", 5, 0), mail);
    ck_assert_int_eq(lane_make(s, "mail", 0, 0), first);
    struct lane lane = lane_now(s, first);
    ck_assert_int_eq(lane.number, first);
    ck_assert_str_eq(lane.name.queue, "mail");
    ck_assert_int_eq(lane.name.priority, 0);
    ck_assert_int_eq(lane.name.partition, 0);
    ck_assert(!lane.exclusive);
    ck_assert_int_eq(lane.head, id_make(first, 1));
    ck_assert_int_eq(lane.tail, id_make(first, 1));
    ck_assert_uint_eq(lane.n_pool + lane.n_entries + lane.n_types, 0);
    struct queue queue = queue_now(s, "mail");
    ck_assert_int_eq(queue.weight, 1);
    ck_assert_int_eq(queue.partitions, 0);
}

CONTRACT_TEST(partitions_make_exclusive_lanes, s)
{
    queue_make(s, "ord", 3);
    int32_t one = lane_make(s, "ord", 5, 1), three = lane_make(s, "ord", 5, 3);
    ck_assert_int_ne(one, three);
    ck_assert(lane_now(s, one).exclusive && lane_now(s, three).exclusive);
    ck_assert_int_eq(lane_now(s, three).name.partition, 3);
    ck_assert_int_eq(lane_make(s, "ord", 5, 3), three);
}

CONTRACT_TEST(a_lane_name_out_of_bounds_is_invalid, s)
{
    static const struct lane_name bad[] = {{"", 5, 0},   {"a/b", 5, 0}, {"-a", 5, 0},
                                           {"a", -1, 0}, {"a", 5, -1},  {"a", LIMIT_PRIORITIES, 0}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ds_step step = {.kind = DS_LANE_OPEN, .lane_open.name = bad[i]};
        ck_assert_int_eq(do_step(s, &step), ERR_INVALID);
    }
    struct ds_step step = {.kind = DS_LANES_READ, .lanes_read.lane = -1};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.lanes_read.ret_n, 1);
}

CONTRACT_TEST(lanes_are_listed_by_number, s)
{
    for (int32_t p = 0; p < 5; p++)
        lane_make(s, "mail", p, 0);
    struct ds_step step = {.kind = DS_LANES_READ, .lanes_read.lane = -1};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.lanes_read.ret_n, 6);
    for (size_t i = 1; i < 6; i++)
        ck_assert_int_lt(step.lanes_read.ret_lanes[i - 1].number,
                         step.lanes_read.ret_lanes[i].number);
    step = (struct ds_step){.kind = DS_LANES_READ, .lanes_read.lane = 99};
    ck_assert_int_eq(do_step(s, &step), ERR_NOT_FOUND);
}

CONTRACT_TEST(lanes_are_read_with_one_nodes_entry_alone, s)
{
    submit(s, LANE_DEFAULT, 30);
    int64_t nodes[] = {NODE_A, NODE_B};
    for (size_t i = 0; i < 2; i++)
        claim(s, LANE_DEFAULT, nodes[i], 0, 10);
    struct lane all = lane_now(s, LANE_DEFAULT);
    ck_assert_uint_eq(all.n_entries, 2);
    for (size_t i = 0; i < 2; i++) {
        struct ds_step step = {.kind = DS_LANES_READ,
                               .lanes_read = {.lane = -1, .entries_of = nodes[i]}};
        ck_assert_int_eq(do_step(s, &step), 0);
        const struct lane *lane = &step.lanes_read.ret_lanes[0];
        ck_assert_uint_eq(lane->n_entries, 1);
        ck_assert_int_eq(lane->entries[0].node, nodes[i]);
        ck_assert_int_eq(lane->entries[0].last.a, (int64_t)i * 10 + 1);
        ck_assert_uint_eq(lane->entries[0].g, 1);
        ck_assert_str_eq(lane->name.queue, all.name.queue);
        ck_assert_int_eq(lane->name.priority, all.name.priority);
        ck_assert_int_eq(lane->head, all.head);
        ck_assert_int_eq(lane->tail, all.tail);
        ck_assert_uint_eq(lane->n_types, all.n_types);
    }
    struct ds_step step = {.kind = DS_LANES_READ,
                           .lanes_read = {.lane = LANE_DEFAULT, .entries_of = 77}};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_uint_eq(step.lanes_read.ret_lanes[0].n_entries, 0);
}

/* ---- reserve -------------------------------------------------------------------------------- */

CONTRACT_TEST(reserved_ids_follow_one_another, s)
{
    int32_t mail = lane_make(s, "mail", 5, 0);
    ck_assert_int_eq(reserve(s, LANE_DEFAULT, 3), 1);
    ck_assert_int_eq(reserve(s, LANE_DEFAULT, 1), 4);
    ck_assert_int_eq(reserve(s, mail, LIMIT_BATCH_JOBS), id_make(mail, 1));
    ck_assert_int_eq(reserve(s, LANE_DEFAULT, 2), 5);
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).tail, 7);
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).head, 1);
    ck_assert_int_eq(lane_now(s, mail).tail, id_make(mail, LIMIT_BATCH_JOBS + 1));
}

CONTRACT_TEST(a_reservation_out_of_bounds_takes_nothing, s)
{
    struct ds_step step = {.kind = DS_RESERVE, .reserve = {.lane = 9, .count = 1}};
    ck_assert_int_eq(do_step(s, &step), ERR_NOT_FOUND);
    static const int64_t counts[] = {0, -1, LIMIT_BATCH_JOBS + 1};
    for (size_t i = 0; i < 3; i++) {
        step = (struct ds_step){.kind = DS_RESERVE, .reserve.count = counts[i]};
        ck_assert_int_eq(do_step(s, &step), ERR_INVALID);
    }
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).tail, 1);
}

CONTRACT_TEST(a_lane_remembers_every_type_once, s)
{
    static const char *const first[] = {"exec", "noop"}, *const second[] = {"noop", "mail"};
    struct ds_step step = {.kind = DS_RESERVE,
                           .reserve = {.count = 1, .types = first, .n_types = 2}};
    ck_assert_int_eq(do_step(s, &step), 0);
    step.reserve.types = second;
    ck_assert_int_eq(do_step(s, &step), 0);
    struct lane lane = lane_now(s, LANE_DEFAULT);
    ck_assert_uint_eq(lane.n_types, 3);
    ck_assert_str_eq(lane.types[0], "exec");
    ck_assert_str_eq(lane.types[1], "noop");
    ck_assert_str_eq(lane.types[2], "mail");
}

CONTRACT_TEST(types_of_a_lane_are_bounded, s)
{
    char names[LIMIT_TYPES + 1][16];
    const char *types[LIMIT_TYPES + 1];
    for (int i = 0; i <= LIMIT_TYPES; i++) {
        snprintf(names[i], sizeof(names[i]), "t%d", i);
        types[i] = names[i];
    }
    struct ds_step step = {.kind = DS_RESERVE,
                           .reserve = {.count = 1, .types = types, .n_types = LIMIT_TYPES}};
    ck_assert_int_eq(do_step(s, &step), 0);
    step.reserve.types = types + LIMIT_TYPES;
    step.reserve.n_types = 1;
    ck_assert_int_eq(do_step(s, &step), ERR_LIMIT);
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).tail, 2);
    ck_assert_uint_eq(lane_now(s, LANE_DEFAULT).n_types, LIMIT_TYPES);
}

/* ---- claim ---------------------------------------------------------------------------------- */

CONTRACT_TEST(a_claim_grants_from_the_head_up_to_the_tail, s)
{
    submit(s, LANE_DEFAULT, 10);
    assert_range(claim(s, LANE_DEFAULT, NODE_A, 0, 4), 1, 5, false);
    assert_range(claim(s, LANE_DEFAULT, NODE_B, 0, 100), 5, 11, false);
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).head, 11);
    const struct lane_entry *entry = entry_now(s, LANE_DEFAULT, NODE_A);
    ck_assert_uint_eq(entry->g, 1);
    assert_range(entry->last, 1, 5, false);
    assert_range(entry_now(s, LANE_DEFAULT, NODE_B)->last, 5, 11, false);
}

CONTRACT_TEST(a_claim_of_nothing_writes_nothing, s)
{
    struct range none = claim(s, LANE_DEFAULT, NODE_A, 0, 4);
    ck_assert_int_eq(range_count(none), 0);
    ck_assert_ptr_null(entry_now(s, LANE_DEFAULT, NODE_A));
    submit(s, LANE_DEFAULT, 1);
    claim(s, LANE_DEFAULT, NODE_A, 0, 4);
    ck_assert_int_eq(range_count(claim(s, LANE_DEFAULT, NODE_A, 1, 4)), 0);
    ck_assert_uint_eq(entry_now(s, LANE_DEFAULT, NODE_A)->g, 1);
}

CONTRACT_TEST(a_claim_is_guarded_by_its_grant_number, s)
{
    submit(s, LANE_DEFAULT, 10);
    ck_assert_int_eq(claim_code(s, LANE_DEFAULT, NODE_A, 5, 1), ERR_NOT_FOUND); /* no entry */
    ck_assert_int_eq(claim_code(s, 77, NODE_A, 0, 1), ERR_NOT_FOUND);
    claim(s, LANE_DEFAULT, NODE_A, 0, 2);
    ck_assert_int_eq(claim_code(s, LANE_DEFAULT, NODE_A, 0, 1), ERR_CONFLICT);
    ck_assert_int_eq(claim_code(s, LANE_DEFAULT, NODE_A, 2, 1), ERR_CONFLICT);
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).head, 3);
    assert_range(claim(s, LANE_DEFAULT, NODE_A, 1, 1), 3, 4, false);
    ck_assert_int_eq(claim_code(s, LANE_DEFAULT, NODE_A, 2, 0), ERR_INVALID);
    ck_assert_int_eq(claim_code(s, LANE_DEFAULT, NODE_A, 2, LIMIT_GRANT_JOBS + 1), ERR_INVALID);
}

CONTRACT_TEST(a_node_that_dropped_its_entry_goes_on_with_its_numbers, s)
{
    submit(s, LANE_DEFAULT, 4);
    struct ds_step step = {
        .kind = DS_CLAIM,
        .claim = {.node = NODE_A, .g = 41, .r = 17, .want = 2, .make_entry = true}};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_eq(step.claim.ret_backlog, 2);
    ck_assert_uint_eq(entry_now(s, LANE_DEFAULT, NODE_A)->g, 42);
    ck_assert_uint_eq(entry_now(s, LANE_DEFAULT, NODE_A)->r, 17);
}

/* ---- return --------------------------------------------------------------------------------- */

CONTRACT_TEST(returned_ranges_are_granted_before_the_head, s)
{
    submit(s, LANE_DEFAULT, 20);
    claim(s, LANE_DEFAULT, NODE_A, 0, 10);
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_A, 0, (struct range){6, 11, false}), 0);
    struct ds_step step = {.kind = DS_CLAIM,
                           .claim = {.node = NODE_B, .want = 3, .make_entry = true}};
    ck_assert_int_eq(do_step(s, &step), 0);
    assert_range(step.claim.ret_range, 6, 9, false);
    ck_assert_int_eq(step.claim.ret_backlog, 12);
    assert_range(claim(s, LANE_DEFAULT, NODE_B, 1, 5), 9, 11, false);
    assert_range(claim(s, LANE_DEFAULT, NODE_B, 2, 5), 11, 16, false);
}

CONTRACT_TEST(a_return_is_guarded_by_its_number, s)
{
    submit(s, LANE_DEFAULT, 10);
    claim(s, LANE_DEFAULT, NODE_A, 0, 10);
    struct range tail = {8, 11, false};
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_B, 0, tail), ERR_NOT_FOUND);
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_A, 1, tail), ERR_CONFLICT);
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_A, 0, tail), 0);
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_A, 0, tail), ERR_CONFLICT);
    struct lane lane = lane_now(s, LANE_DEFAULT);
    ck_assert_uint_eq(lane.n_pool, 1);
    assert_range(lane.pool[0], 8, 11, false);
    ck_assert_uint_eq(entry_now(s, LANE_DEFAULT, NODE_A)->r, 1);
}

CONTRACT_TEST(the_pool_merges_what_touches_and_is_equally_suspect, s)
{
    submit(s, LANE_DEFAULT, 100);
    claim(s, LANE_DEFAULT, NODE_A, 0, 100);
    struct range ranges[] = {{30, 40, false}, {10, 20, false}, {50, 60, false}, {60, 70, true}};
    struct ds_step step = {.kind = DS_RETURN,
                           .give_back = {.node = NODE_A, .ranges = ranges, .n_ranges = 4}};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_A, 1, (struct range){20, 30, false}), 0);
    struct lane lane = lane_now(s, LANE_DEFAULT);
    ck_assert_uint_eq(lane.n_pool, 3);
    assert_range(lane.pool[0], 10, 40, false);
    assert_range(lane.pool[1], 50, 60, false);
    assert_range(lane.pool[2], 60, 70, true);
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_A, 2, (struct range){70, 75, true}), 0);
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_A, 3, (struct range){75, 80, false}), 0);
    lane = lane_now(s, LANE_DEFAULT);
    ck_assert_uint_eq(lane.n_pool, 4);
    assert_range(lane.pool[2], 60, 75, true);
    assert_range(lane.pool[3], 75, 80, false);
    /* A grant keeps the mark. */
    claim(s, LANE_DEFAULT, NODE_B, 0, 30);
    claim(s, LANE_DEFAULT, NODE_B, 1, 10);
    assert_range(claim(s, LANE_DEFAULT, NODE_B, 2, 100), 60, 75, true);
    assert_range(entry_now(s, LANE_DEFAULT, NODE_B)->last, 60, 75, true);
}

/* Fills the pool with single ids 1, 3, 5, ...; NODE_A holds the rest. */
static uint64_t pool_fill(struct store *s)
{
    submit(s, LANE_DEFAULT, 2 * LIMIT_POOL_RANGES + 10);
    claim(s, LANE_DEFAULT, NODE_A, 0, 2 * LIMIT_POOL_RANGES + 10);
    uint64_t r = 0;
    for (int64_t at = 0; at < LIMIT_POOL_RANGES; at += LIMIT_RETURN_RANGES) {
        struct range ranges[LIMIT_RETURN_RANGES];
        for (int64_t i = 0; i < LIMIT_RETURN_RANGES; i++)
            ranges[i] = (struct range){2 * (at + i) + 1, 2 * (at + i) + 2, false};
        struct ds_step step = {
            .kind = DS_RETURN,
            .give_back = {
                .node = NODE_A, .r = r++, .ranges = ranges, .n_ranges = LIMIT_RETURN_RANGES}};
        ck_assert_int_eq(do_step(s, &step), 0);
    }
    ck_assert_uint_eq(lane_now(s, LANE_DEFAULT).n_pool, LIMIT_POOL_RANGES);
    return r;
}

CONTRACT_TEST(a_full_pool_refuses_what_does_not_melt_into_it, s)
{
    uint64_t r = pool_fill(s);
    struct range far = {2 * LIMIT_POOL_RANGES + 5, 2 * LIMIT_POOL_RANGES + 6, false};
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_A, r, far), ERR_LIMIT);
    ck_assert_uint_eq(entry_now(s, LANE_DEFAULT, NODE_A)->r, r);
    struct lane_entry expect = *entry_now(s, LANE_DEFAULT, NODE_A);
    ck_assert_int_eq(bury(s, LANE_DEFAULT, expect, far), ERR_LIMIT);
    ck_assert_ptr_nonnull(entry_now(s, LANE_DEFAULT, NODE_A));
    struct range between = {2, 3, false};
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_A, r, between), 0);
    ck_assert_uint_eq(lane_now(s, LANE_DEFAULT).n_pool, LIMIT_POOL_RANGES - 1);
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_A, r + 1, far), 0);
}

CONTRACT_TEST(a_return_out_of_bounds_is_invalid, s)
{
    submit(s, LANE_DEFAULT, 40);
    claim(s, LANE_DEFAULT, NODE_A, 0, 40);
    struct range ranges[LIMIT_RETURN_RANGES + 1];
    for (int64_t i = 0; i <= LIMIT_RETURN_RANGES; i++)
        ranges[i] = (struct range){2 * i + 1, 2 * i + 2, false};
    struct ds_step step = {.kind = DS_RETURN, .give_back = {.node = NODE_A, .ranges = ranges}};
    ck_assert_int_eq(do_step(s, &step), ERR_INVALID);
    step.give_back.n_ranges = LIMIT_RETURN_RANGES + 1;
    ck_assert_int_eq(do_step(s, &step), ERR_INVALID);
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_A, 0, (struct range){5, 5, false}),
                     ERR_INVALID);
    ck_assert_uint_eq(lane_now(s, LANE_DEFAULT).n_pool, 0);
}

/* ---- entries and burials -------------------------------------------------------------------- */

CONTRACT_TEST(an_entry_is_dropped_at_its_grant_number_only, s)
{
    submit(s, LANE_DEFAULT, 2);
    claim(s, LANE_DEFAULT, NODE_A, 0, 1);
    struct ds_step step = {.kind = DS_ENTRY_DROP, .entry_drop = {.node = NODE_A, .g = 0}};
    ck_assert_int_eq(do_step(s, &step), ERR_CONFLICT);
    ck_assert_ptr_nonnull(entry_now(s, LANE_DEFAULT, NODE_A));
    step.entry_drop.g = 1;
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_ptr_null(entry_now(s, LANE_DEFAULT, NODE_A));
    ck_assert_int_eq(do_step(s, &step), ERR_NOT_FOUND);
}

CONTRACT_TEST(a_burial_takes_the_estate_once, s)
{
    submit(s, LANE_DEFAULT, 30);
    claim(s, LANE_DEFAULT, NODE_A, 0, 10);
    claim(s, LANE_DEFAULT, NODE_B, 0, 10);
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_A, 0, (struct range){1, 5, false}), 0);
    struct lane_entry expect = {.node = NODE_A, .g = 1, .r = 0};
    struct range estate = {5, 11, false};
    ck_assert_int_eq(bury(s, LANE_DEFAULT, expect, estate), ERR_CONFLICT); /* r moved on */
    expect.r = 1;
    expect.g = 0;
    ck_assert_int_eq(bury(s, LANE_DEFAULT, expect, estate), ERR_CONFLICT);
    ck_assert_uint_eq(lane_now(s, LANE_DEFAULT).n_pool, 1);
    expect.g = 1;
    ck_assert_int_eq(bury(s, LANE_DEFAULT, expect, estate), 0);
    struct lane lane = lane_now(s, LANE_DEFAULT);
    ck_assert_uint_eq(lane.n_pool, 2);
    assert_range(lane.pool[0], 1, 5, false);
    assert_range(lane.pool[1], 5, 11, true);
    ck_assert_uint_eq(lane.n_entries, 1);
    ck_assert_int_eq(bury(s, LANE_DEFAULT, expect, estate), ERR_NOT_FOUND);
    /* The buried node is fenced. */
    ck_assert_int_eq(claim_code(s, LANE_DEFAULT, NODE_A, 1, 1), ERR_NOT_FOUND);
    ck_assert_int_eq(give_back(s, LANE_DEFAULT, NODE_A, 1, (struct range){5, 6, false}),
                     ERR_NOT_FOUND);
}

CONTRACT_TEST(a_node_without_an_estate_is_buried_too, s)
{
    submit(s, LANE_DEFAULT, 3);
    claim(s, LANE_DEFAULT, NODE_A, 0, 3);
    struct lane_entry expect = {.node = NODE_A, .g = 1};
    ck_assert_int_eq(bury(s, LANE_DEFAULT, expect, (struct range){0}), 0);
    ck_assert_ptr_null(entry_now(s, LANE_DEFAULT, NODE_A));
    ck_assert_uint_eq(lane_now(s, LANE_DEFAULT).n_pool, 0);
}

/* ---- exclusive lanes ------------------------------------------------------------------------ */

static int32_t exclusive_lane(struct store *s)
{
    queue_make(s, "ord", 2);
    int32_t lane = lane_make(s, "ord", 5, 1);
    submit(s, lane, 10);
    return lane;
}

CONTRACT_TEST(only_the_holder_of_an_exclusive_lane_is_granted, s)
{
    int32_t lane = exclusive_lane(s);
    struct range mine = claim(s, lane, NODE_A, 0, 4);
    ck_assert_int_eq(range_count(mine), 4);
    ck_assert_int_eq(lane_now(s, lane).holder, NODE_A);
    ck_assert_int_eq(range_count(claim(s, lane, NODE_B, 0, 4)), 0);
    ck_assert_ptr_null(entry_now(s, lane, NODE_B));
    ck_assert_int_eq(range_count(claim(s, lane, NODE_A, 1, 4)), 4);
    /* A return keeps the holder unless it says so. */
    ck_assert_int_eq(give_back(s, lane, NODE_A, 0, mine), 0);
    ck_assert_int_eq(lane_now(s, lane).holder, NODE_A);
    struct range rest = {mine.b, mine.b + 4, false};
    struct ds_step step = {.kind = DS_RETURN,
                           .give_back = {.lane = lane,
                                         .node = NODE_A,
                                         .r = 1,
                                         .ranges = &rest,
                                         .n_ranges = 1,
                                         .clear_holder = true}};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_eq(lane_now(s, lane).holder, 0);
    assert_range(claim(s, lane, NODE_B, 0, 100), mine.a, mine.a + 8, false);
    ck_assert_int_eq(lane_now(s, lane).holder, NODE_B);
}

CONTRACT_TEST(a_burial_and_a_drop_clear_the_holder, s)
{
    int32_t lane = exclusive_lane(s);
    struct range mine = claim(s, lane, NODE_A, 0, 4);
    ck_assert_int_eq(bury(s, lane, (struct lane_entry){.node = NODE_A, .g = 1}, mine), 0);
    ck_assert_int_eq(lane_now(s, lane).holder, 0);
    claim(s, lane, NODE_B, 0, 4);
    ck_assert_int_eq(lane_now(s, lane).holder, NODE_B);
    struct ds_step step = {.kind = DS_ENTRY_DROP,
                           .entry_drop = {.lane = lane, .node = NODE_B, .g = 1}};
    ck_assert_int_eq(do_step(s, &step), 0);
    ck_assert_int_eq(lane_now(s, lane).holder, 0);
}

int main(void)
{
    const TTest *const tests[] = {
        a_fresh_store_says_its_version,
        a_queue_is_made_once_and_changed,
        partitions_of_a_queue_never_change,
        queues_are_listed_by_name,
        a_lane_is_found_again_by_its_name,
        partitions_make_exclusive_lanes,
        a_lane_name_out_of_bounds_is_invalid,
        lanes_are_listed_by_number,
        lanes_are_read_with_one_nodes_entry_alone,
        reserved_ids_follow_one_another,
        a_reservation_out_of_bounds_takes_nothing,
        a_lane_remembers_every_type_once,
        types_of_a_lane_are_bounded,
        a_claim_grants_from_the_head_up_to_the_tail,
        a_claim_of_nothing_writes_nothing,
        a_claim_is_guarded_by_its_grant_number,
        a_node_that_dropped_its_entry_goes_on_with_its_numbers,
        returned_ranges_are_granted_before_the_head,
        a_return_is_guarded_by_its_number,
        the_pool_merges_what_touches_and_is_equally_suspect,
        a_full_pool_refuses_what_does_not_melt_into_it,
        a_return_out_of_bounds_is_invalid,
        an_entry_is_dropped_at_its_grant_number_only,
        a_burial_takes_the_estate_once,
        a_node_without_an_estate_is_buried_too,
        only_the_holder_of_an_exclusive_lane_is_granted,
        a_burial_and_a_drop_clear_the_holder,
    };
    return contract_main("lanes", tests, sizeof(tests) / sizeof(tests[0]));
}
