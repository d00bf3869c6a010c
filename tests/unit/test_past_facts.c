/* What is known of a cluster over time (observer/past.h), and the versions it is made of.
 *
 * Goal: a moment is right whatever came first, what a store says now or what nodes wrote before;
 * who had nothing to say is no less alive; what is not kept moves nothing; nonsense is passed over.
 * Method: small clusters of one or two nodes, told in different orders; a made-up one told as the
 * feed tells it, what is now before what was; damaged versions. */
#include "observer/past.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/history.h"
#include "observer/diff.h"
#include "observer/ui.h"
#include "observer/version.h"
#include "tests/support/lifelike.h"

enum { T = 1000 };
#define NOW_MS INT64_C(1700000600000)

/* A node whose versions are made as a node makes them. */
struct writer {
    struct node node;
    struct node_range ranges[4];
    struct node_running running[4];
    struct history *history;
    struct history_row rows[64];
    size_t n;
    struct arena mem;
};

static void writer_begin(struct writer *writer, int64_t id, const char *name, int64_t at_ms)
{
    memset(writer, 0, sizeof(*writer));
    writer->history = history_new();
    writer->node = (struct node){.id = id,
                                 .slots = 4,
                                 .lease_ms = 5000,
                                 .created_ms = at_ms,
                                 .since_ms = at_ms,
                                 .beat_ms = at_ms,
                                 .state = NODE_WAITING,
                                 .ranges = writer->ranges,
                                 .running = writer->running};
    strncpy(writer->node.name, name, sizeof(writer->node.name) - 1);
    strncpy(writer->node.host, "box", sizeof(writer->node.host) - 1);
}

static void writer_end(struct writer *writer)
{
    history_free(writer->history);
    arena_release(&writer->mem);
}

/* Writes its record, and a version of it if that is worth one. */
static void write_at(struct writer *writer, int64_t at_ms, const struct history_lane *lane)
{
    writer->node.beat++;
    writer->node.beat_ms = at_ms;
    ck_assert_uint_lt(writer->n, 64);
    writer->n += (size_t)history_version(writer->history, &writer->node, lane, lane != NULL, at_ms,
                                         &writer->rows[writer->n], &writer->mem);
}

static void holds(struct writer *writer, int64_t a, int64_t b)
{
    writer->ranges[writer->node.n_ranges++] = (struct node_range){{a, b, false}, 0};
}

static void tell_versions(struct past *past, const struct writer *writer)
{
    for (size_t i = 0; i < writer->n; i++)
        ck_assert(past_add_version(past, &writer->rows[i]));
}

static void tell_reading(struct past *past, const struct writer *writer, int64_t at_ms, bool all)
{
    struct past_reading reading = {
        .at_ms = at_ms, .nodes = &writer->node, .n_nodes = writer != NULL, .all = all};
    ck_assert(past_add_reading(past, &reading));
}

static const struct moment *at(struct past *past, int64_t at_ms)
{
    return past_moment(past, at_ms, 60000, 600000, false);
}

static size_t count(const struct moment *moment, enum event_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < moment->n_events; i++)
        n += moment->events[i].kind == kind;
    for (size_t i = 0; i < moment->n_traffic; i++)
        n += moment->traffic[i].kind == kind;
    return n;
}

/* ---- order ---------------------------------------------------------------------------------- */

/* Claims at 1 s, has failures at 2 s, is done at 3 s. */
static void busy_life(struct writer *writer)
{
    writer_begin(writer, 7, "alpha", NOW_MS);
    write_at(writer, NOW_MS, NULL);
    holds(writer, 1, 11);
    writer->node.state = NODE_WORKING;
    write_at(writer, NOW_MS + 1 * T, NULL);
    writer->node.failed = 3;
    write_at(writer, NOW_MS + 2 * T, NULL);
    writer->node.n_ranges = 0;
    writer->node.done = 7;
    writer->node.state = NODE_WAITING;
    write_at(writer, NOW_MS + 3 * T, NULL);
}

static void check_busy_life(struct past *past)
{
    const struct moment *moment = at(past, NOW_MS + 9 * T);
    ck_assert_uint_eq(count(moment, EVENT_NODE_CAME), 1);
    ck_assert_uint_eq(count(moment, EVENT_CLAIMED), 1);
    ck_assert_uint_eq(count(moment, EVENT_FAILED), 1);
    ck_assert_uint_eq(count(moment, EVENT_FINISHED), 1);
    for (size_t i = 1; i < moment->n_events; i++)
        ck_assert_int_le(moment->events[i - 1].at_ms, moment->events[i].at_ms);
    ck_assert_int_eq(moment->done, 7);
    moment = at(past, NOW_MS + 1500);
    ck_assert_uint_eq(moment->nodes[0].node.n_ranges, 1);
    ck_assert_int_eq(moment->nodes[0].node.state, NODE_WORKING);
    ck_assert_int_eq(past_event_after(past, NOW_MS + 1 * T), NOW_MS + 2 * T);
}

START_TEST(each_thing_happened_once_whatever_came_first)
{
    struct writer writer;
    struct past *past = past_new("", 64 << 20);
    busy_life(&writer);
    if (_i == 0)
        tell_versions(past, &writer);
    tell_reading(past, &writer, NOW_MS + 3 * T + 100, true);
    at(past, NOW_MS + 4 * T); /* somebody looks in between */
    if (_i == 1)
        tell_versions(past, &writer);
    for (size_t i = 0; _i == 2 && i < writer.n; i++) {
        past_add_version(past, &writer.rows[i]);
        at(past, NOW_MS + 4 * T);
    }
    tell_reading(past, &writer, NOW_MS + 3 * T + 600, true);
    check_busy_life(past);
    writer_end(&writer);
    past_free(past);
}
END_TEST

/* Of the one event that tells of failures. */
static int64_t failures(const struct moment *moment)
{
    int64_t n = 0;
    ck_assert_uint_eq(count(moment, EVENT_FAILED), 1);
    for (size_t i = 0; i < moment->n_events; i++)
        n += moment->events[i].kind == EVENT_FAILED ? moment->events[i].count : 0;
    return n;
}

/* One fails each second; what came to be known when is another matter. */
START_TEST(failures_are_counted_once_and_not_before_they_were)
{
    static const int orders[][6] = {
        {1, 2, 3, 4, 5, 6}, {6, 5, 4, 3, 2, 1}, {1, 6, 3, 2, 5, 4}, {1, 2, 6, 4, 3, 5}};
    struct writer writer;
    struct past *past = past_new("", 64 << 20);
    writer_begin(&writer, 7, "alpha", NOW_MS);
    tell_reading(past, &writer, NOW_MS, false);
    for (int i = 0; i < 6; i++) {
        writer.node.failed = orders[_i][i];
        writer.node.beat_ms = NOW_MS + orders[_i][i] * T;
        tell_reading(past, &writer, NOW_MS + 6 * T, false);
        at(past, NOW_MS + 8 * T); /* somebody looks in between */
    }
    ck_assert_int_eq(failures(at(past, NOW_MS + 8 * T)), 6);
    for (int i = 1; i <= 6; i++)
        ck_assert_int_eq(failures(at(past, NOW_MS + i * T + 500)), i);
    ck_assert_uint_eq(count(at(past, NOW_MS + 500), EVENT_FAILED), 0);
    const struct moment *moment = at(past, NOW_MS + 1 * T);
    ck_assert_str_eq(moment->events[moment->n_events - 1].text, "1 job failed on alpha");
    writer_end(&writer);
    past_free(past);
}
END_TEST

/* ---- the feed's order, on a large cluster --------------------------------------------------- */

/* Versions, kept until all readings are over; a node's one after the other, as a store has them. */
struct kept {
    struct past *past;
    struct history_row rows[8192];
    size_t n;
    struct arena mem;
};

static void keep_version(void *ctx, const struct history_row *row)
{
    struct kept *kept = ctx;
    ck_assert_uint_lt(kept->n, 8192);
    kept->rows[kept->n] = *row;
    kept->rows[kept->n++].body = arena_bytes(&kept->mem, row->body);
}

static void pass_reading(void *ctx, const struct past_reading *reading)
{
    past_add_reading(((struct kept *)ctx)->past, reading);
}

static void pass_stints(void *ctx, const struct stint_row *rows, size_t n)
{
    past_add_stints(((struct kept *)ctx)->past, rows, n);
}

static void pass_complete(void *ctx, int32_t lane)
{
    past_stints_complete(((struct kept *)ctx)->past, lane);
}

static void pass_trouble(void *ctx, int64_t at_ms, const char *why)
{
    past_add_trouble(((struct kept *)ctx)->past, at_ms, why);
}

static int by_node(const void *a, const void *b)
{
    const struct history_row *x = a, *y = b;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static char *picture(struct past *past, enum view_kind view, int64_t at_ms)
{
    struct ui *ui = ui_new(past, false, past_last_ms(past));
    struct grid *grid = grid_new(150, 60, false);
    ui_go(ui, view);
    ui_stop_at(ui, at_ms);
    ui_draw(ui, grid);
    char *text = grid_text(grid);
    grid_free(grid);
    ui_free(ui);
    return text;
}

START_TEST(a_past_read_backwards_is_the_same)
{
    static struct kept kept;
    struct lifelike_config config = {.nodes = 8, .lanes = 4, .seconds = 180};
    struct feed_tap tap = {.ctx = &kept,
                           .version = keep_version,
                           .reading = pass_reading,
                           .stints = pass_stints,
                           .complete = pass_complete,
                           .trouble = pass_trouble};
    kept.past = past_new("sqlite:/var/lib/stint/stint.db", 256 << 20);
    config.tap = &tap;
    struct past *in_order = lifelike_past(&config);
    qsort(kept.rows, kept.n, sizeof(kept.rows[0]), by_node);
    for (size_t i = 0; i < kept.n; i++)
        ck_assert(past_add_version(kept.past, &kept.rows[i]));
    int64_t first_ms = past_first_ms(in_order), last_ms = past_last_ms(in_order);
    static const enum view_kind views[] = {VIEW_CLUSTER, VIEW_MAP, VIEW_TIMELINE, VIEW_EVENTS};
    for (size_t v = 0; v < 4; v++)
        for (int64_t at_ms = first_ms; at_ms <= last_ms; at_ms += (last_ms - first_ms) / 9) {
            char *one = picture(in_order, views[v], at_ms);
            char *other = picture(kept.past, views[v], at_ms);
            size_t same = 0;
            while (one[same] == other[same] && one[same] != '\0')
                same++;
            ck_assert_msg(one[same] == other[same], "view %d, %d s: %.60s, not %.60s",
                          (int)views[v], (int)((at_ms - first_ms) / 1000), other + same,
                          one + same);
            free(one);
            free(other);
        }
    past_free(in_order);
    past_free(kept.past);
    arena_release(&kept.mem);
}
END_TEST

/* ---- silence and death ---------------------------------------------------------------------- */

START_TEST(who_had_nothing_to_say_was_alive)
{
    struct writer writer;
    struct past *past = past_new("", 64 << 20);
    writer_begin(&writer, 7, "alpha", NOW_MS - 3600 * T);
    write_at(&writer, NOW_MS - 3600 * T, NULL);
    writer.node.beat_ms = NOW_MS - 200; /* it beats, and nothing else */
    tell_reading(past, &writer, NOW_MS, true);
    tell_versions(past, &writer);
    const struct moment *moment = at(past, NOW_MS - 300 * T);
    ck_assert_uint_eq(moment->n_live, 1);
    ck_assert_int_ge(moment->nodes[0].node.beat_ms, NOW_MS - 305 * T);
    ck_assert_uint_eq(moment->nodes[0].n_spans, 1);
    ck_assert_int_eq(moment->nodes[0].spans[0].to_ms, NOW_MS - 300 * T);
    writer_end(&writer);
    past_free(past);
}
END_TEST

START_TEST(who_died_was_silent_since_its_last_heartbeat)
{
    struct writer writer;
    struct past *past = past_new("", 64 << 20);
    writer_begin(&writer, 7, "alpha", NOW_MS - 300 * T);
    write_at(&writer, NOW_MS - 300 * T, NULL);
    writer.node.state = NODE_DEAD;
    writer.node.beat_ms = NOW_MS - 30 * T;
    writer.node.since_ms = NOW_MS - 20 * T;
    strncpy(writer.node.cause, "crashed", sizeof(writer.node.cause) - 1);
    tell_reading(past, &writer, NOW_MS, true);
    tell_versions(past, &writer);
    ck_assert_int_eq(at(past, NOW_MS - 22 * T)->nodes[0].node.beat_ms, NOW_MS - 30 * T);
    ck_assert_uint_eq(at(past, NOW_MS - 22 * T)->n_live, 1);
    const struct moment *moment = at(past, NOW_MS - 10 * T);
    ck_assert_uint_eq(moment->n_live, 0);
    ck_assert_str_eq(moment->nodes[0].node.cause, "crashed");
    ck_assert_uint_eq(count(moment, EVENT_NODE_DIED), 1);
    writer_end(&writer);
    past_free(past);
}
END_TEST

/* A record goes some time after its node's death; its versions may be there still. */
START_TEST(whose_record_is_gone_is_dead)
{
    struct writer writer, other;
    struct past *past = past_new("", 64 << 20);
    writer_begin(&writer, 7, "alpha", NOW_MS - 500 * T);
    holds(&writer, 1, 11);
    write_at(&writer, NOW_MS - 500 * T, NULL);
    writer_begin(&other, 8, "beta", NOW_MS);
    tell_versions(past, &writer);
    tell_reading(past, &other, NOW_MS, false);
    ck_assert_uint_eq(at(past, NOW_MS)->n_live, 2); /* nobody said that these are all */
    tell_reading(past, &other, NOW_MS + T, true);
    ck_assert_uint_eq(at(past, NOW_MS + T)->n_live, 1);
    ck_assert_uint_eq(at(past, NOW_MS - 500 * T)->n_live, 1);
    writer_end(&writer);
    writer_end(&other);
    past_free(past);
}
END_TEST

/* What a node tells of a lane it saw some time ago: by then another had taken from the pool. */
START_TEST(who_looked_earlier_tells_nothing_new)
{
    struct writer first, second;
    struct range pool[] = {{id_make(0, 5), id_make(0, 9), false}};
    struct history_lane fresh = {0, id_make(0, 50), id_make(0, 90), NULL, 0};
    struct history_lane stale = {0, id_make(0, 40), id_make(0, 90), pool, 1};
    struct lane lane = {.number = 0, .name = {"default", 5, 0}};
    struct past *past = past_new("", 64 << 20);
    lane.head = lane.tail = id_make(0, 90);
    writer_begin(&first, 7, "alpha", NOW_MS);
    writer_begin(&second, 8, "beta", NOW_MS);
    write_at(&first, NOW_MS, &fresh);
    write_at(&second, NOW_MS + 1, &stale);
    tell_versions(past, _i == 0 ? &first : &second);
    tell_versions(past, _i == 0 ? &second : &first);
    struct past_reading now = {.at_ms = NOW_MS + T, .lanes = &lane, .n_lanes = 1};
    ck_assert(past_add_reading(past, &now));
    const struct moment *moment = at(past, NOW_MS + 2);
    ck_assert_uint_eq(moment->n_lanes, 1);
    ck_assert_int_eq(moment->lanes[0].head, 50);
    ck_assert_uint_eq(moment->lanes[0].n_held, 0);
    writer_end(&first);
    writer_end(&second);
    past_free(past);
}
END_TEST

static void assert_gaps(struct past *past, int64_t below, const char *expected)
{
    struct range gaps[8];
    char text[160] = "";
    size_t len = 0, n = past_stints_gaps(past, 2, below, gaps, 8);
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%d-%d", i > 0 ? " " : "",
                                (int)gaps[i].a, (int)gaps[i].b);
    ck_assert_str_eq(text, expected);
    size_t fewer = past_stints_gaps(past, 2, below, gaps, 1);
    ck_assert_uint_eq(fewer, n > 0 ? 1 : 0);
}

/* A job that takes long holds one range; what ended behind it is not looked for again. */
START_TEST(what_is_held_has_not_ended)
{
    struct writer writer;
    struct past *past = past_new("", 64 << 20);
    struct stint_row rows[] = {{.range = {id_make(2, 1), id_make(2, 5), false}},
                               {.range = {id_make(2, 9), id_make(2, 20), false}},
                               {.range = {id_make(2, 25), id_make(2, 40), false}}};
    ck_assert(past_add_stints(past, rows, 3));
    assert_gaps(past, 60, "40-60 20-25 5-9");
    assert_gaps(past, 40, "20-25 5-9");
    assert_gaps(past, 23, "20-23 5-9");
    assert_gaps(past, 9, "5-9");
    assert_gaps(past, 5, "");
    writer_begin(&writer, 7, "alpha", NOW_MS);
    holds(&writer, id_make(2, 5), id_make(2, 9));
    holds(&writer, id_make(2, 40), id_make(2, 50));
    tell_reading(past, &writer, NOW_MS, true);
    assert_gaps(past, 60, "50-60 20-25");
    rows[0].range = (struct range){id_make(2, 20), id_make(2, 25), false};
    ck_assert(past_add_stints(past, rows, 1));
    assert_gaps(past, 60, "50-60");
    assert_gaps(past, 45, "");
    writer.node.state = NODE_DEAD; /* what it held is another's by now */
    writer.node.since_ms = writer.node.beat_ms = NOW_MS + T;
    tell_reading(past, &writer, NOW_MS + T, true);
    assert_gaps(past, 60, "40-60 5-9");
    writer_end(&writer);
    past_free(past);
}
END_TEST

/* ---- bounds --------------------------------------------------------------------------------- */

START_TEST(what_was_before_is_one_state)
{
    struct writer writer;
    struct history_lane lane = {0};
    struct past *past = past_new("", 64 << 20);
    past_since(past, NOW_MS - 10 * T);
    writer_begin(&writer, 7, "alpha", NOW_MS - 50 * T);
    for (int i = 50; i >= 0; i--) {
        writer.node.done++;
        lane.head = id_make(0, 1 + writer.node.done);
        lane.tail = id_make(0, 1000);
        write_at(&writer, NOW_MS - i * T, &lane);
    }
    tell_reading(past, &writer, NOW_MS, true);
    tell_versions(past, &writer);
    ck_assert_int_eq(past_first_ms(past), NOW_MS - 10 * T);
    ck_assert_int_eq(at(past, NOW_MS - 10 * T)->nodes[0].node.done, 41);
    ck_assert_int_eq(at(past, NOW_MS - 5 * T)->nodes[0].node.done, 46);
    ck_assert_uint_eq(at(past, NOW_MS - 20 * T)->n_nodes, 0);
    ck_assert_uint_eq(count(at(past, NOW_MS), EVENT_NODE_CAME), 0);
    writer_end(&writer);
    past_free(past);
}
END_TEST

START_TEST(memory_is_bounded_and_what_is_new_stays)
{
    struct writer writer;
    struct past *past = past_new("", 256 << 10);
    writer_begin(&writer, 7, "alpha", NOW_MS);
    for (int i = 0; i < 20000; i++) {
        writer.node.n_ranges = 0;
        holds(&writer, 1 + 10 * i, 9 + 10 * i);
        writer.node.done = i;
        writer.node.beat_ms = NOW_MS + i * T;
        tell_reading(past, &writer, NOW_MS + i * T, false);
        if (i % 100 == 0)
            at(past, NOW_MS + i * T);
    }
    at(past, NOW_MS);
    ck_assert_uint_lt(past_bytes(past), 1 << 20);
    ck_assert(!past_too_much(past));
    const struct moment *moment = at(past, NOW_MS + 19999 * T);
    ck_assert_int_eq(moment->nodes[0].node.done, 19999);
    ck_assert_int_gt(moment->first_ms, NOW_MS + 15000 * T);
    writer_end(&writer);
    past_free(past);
}
END_TEST

START_TEST(nonsense_is_passed_over)
{
    struct writer writer;
    struct past *past = past_new("", 64 << 20);
    writer_begin(&writer, 7, "alpha", NOW_MS);
    struct node good = writer.node;
    struct {
        int64_t *field, value;
    } bad[] = {
        {&writer.node.id, -1},           {&writer.node.beat_ms, INT64_MAX},
        {&writer.node.since_ms, -5},     {&writer.node.done, INT64_MAX},
        {&writer.node.failed, -1},       {&writer.ranges[0].range.b, INT64_MAX},
        {&writer.ranges[0].range.a, -3}, {&writer.running[0].id, INT64_MAX},
    };
    writer.node.n_running = 1;
    writer.running[0].id = 3;
    holds(&writer, 1, 11);
    good = writer.node;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t was = *bad[i].field;
        *bad[i].field = bad[i].value;
        struct past_reading reading = {.at_ms = NOW_MS, .nodes = &writer.node, .n_nodes = 1};
        ck_assert_msg(!past_add_reading(past, &reading), "%zu", i);
        *bad[i].field = was;
    }
    ck_assert_uint_eq(at(past, NOW_MS)->n_nodes, 0);
    ck_assert_int_eq(good.id, writer.node.id);
    tell_reading(past, &writer, NOW_MS, false);
    ck_assert_uint_eq(at(past, NOW_MS)->n_nodes, 1);
    writer_end(&writer);
    past_free(past);
}
END_TEST

/* ---- versions ------------------------------------------------------------------------------- */

/* Damage of every byte and every cut: refused with nothing changed, or a record that a past can
 * take or refuse. */
/* Whether that is in the picture of a view at that time. */
static bool shown(struct past *past, enum view_kind view, int64_t at_ms, const char *text)
{
    char *drawn = picture(past, view, at_ms);
    bool is = strstr(drawn, text) != NULL;
    free(drawn);
    return is;
}

START_TEST(before_any_lane_was_seen_nothing_is_said_of_jobs)
{
    struct writer writer;
    struct past *past = past_new("", 64 << 20);
    struct lane lane = {.number = 0, .name = {"default", 5, 0}};
    struct past_reading now = {.at_ms = NOW_MS + 9 * T, .lanes = &lane, .n_lanes = 1};
    lane.head = id_make(0, 40);
    lane.tail = id_make(0, 90);
    writer_begin(&writer, 7, "alpha", NOW_MS);
    write_at(&writer, NOW_MS, NULL);
    tell_versions(past, &writer);
    ck_assert(shown(past, VIEW_MAP, NOW_MS + T, "No job was ever submitted here."));
    ck_assert(shown(past, VIEW_QUEUES, NOW_MS + T, "There is no queue yet"));
    ck_assert(past_add_reading(past, &now));
    ck_assert(shown(past, VIEW_MAP, NOW_MS + T, "Nothing is known of jobs at that time."));
    ck_assert(shown(past, VIEW_QUEUES, NOW_MS + T, "Nothing is known of queues at that time."));
    ck_assert(shown(past, VIEW_CLUSTER, NOW_MS + T, " ? waiting"));
    ck_assert(shown(past, VIEW_CLUSTER, NOW_MS + 9 * T, " 50 waiting"));

    struct diff_base *then = diff_base_new(at(past, NOW_MS + T));
    struct grid *grid = grid_new(150, DIFF_ROWS, false);
    diff_draw(then, at(past, NOW_MS + 9 * T), grid_area(grid));
    char *text = grid_text(grid);
    ck_assert_ptr_nonnull(strstr(text, "waiting ?"));
    ck_assert_ptr_nonnull(strstr(text, "nothing is known of queues at one of the two"));
    free(text);
    grid_free(grid);
    diff_base_free(then);
    writer_end(&writer);
    past_free(past);
}
END_TEST

START_TEST(damaged_versions_do_no_harm)
{
    struct writer writer;
    struct range pool[] = {{5, 9, true}};
    struct history_lane lane = {0, id_make(0, 40), id_make(0, 90), pool, 1};
    writer_begin(&writer, 7, "alpha", NOW_MS);
    holds(&writer, 1, 11);
    writer.node.n_running = 2;
    writer.running[0].id = 3;
    writer.running[1].id = 4;
    write_at(&writer, NOW_MS, &lane);
    struct history_row row = writer.rows[0];
    uint8_t *body = malloc(row.body.len);
    memcpy(body, row.body.data, row.body.len);
    for (size_t i = 0; i < row.body.len; i++)
        for (int with = 0; with < 256; with += 15) {
            struct past *past = past_new("", 64 << 20);
            body[i] ^= (uint8_t)with;
            row.body.data = body;
            past_add_version(past, &row);
            free(picture(past, VIEW_MAP, NOW_MS));
            past_free(past);
            body[i] ^= (uint8_t)with;
        }
    for (size_t len = 0; len < row.body.len; len++) {
        struct arena mem = {0};
        struct version version = {.node = {.id = 5, .done = 77}};
        ck_assert(!version_apply(&version, (struct bytes){body, len}, &mem));
        ck_assert_int_eq(version.node.done, 77);
        ck_assert_ptr_null(version.node.ranges);
        arena_release(&mem);
    }
    free(body);
    writer_end(&writer);
}
END_TEST

START_TEST(after_a_gap_only_a_whole_version_counts)
{
    struct writer writer;
    struct past *past = past_new("", 64 << 20);
    writer_begin(&writer, 7, "alpha", NOW_MS);
    for (int i = 0; i < 4; i++) {
        writer.node.done = i;
        if (i == 3)
            history_lost(writer.history);
        write_at(&writer, NOW_MS + i * T, NULL);
    }
    ck_assert(past_add_version(past, &writer.rows[0]));
    ck_assert(past_add_version(past, &writer.rows[2]));
    ck_assert_int_eq(at(past, NOW_MS + 9 * T)->done, 0);
    ck_assert(writer.rows[3].whole);
    ck_assert(past_add_version(past, &writer.rows[3]));
    ck_assert_int_eq(at(past, NOW_MS + 9 * T)->done, 3);
    writer_end(&writer);
    past_free(past);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("past_facts");
    TCase *tcase = tcase_create("past_facts");
    tcase_add_loop_test(tcase, each_thing_happened_once_whatever_came_first, 0, 3);
    tcase_add_loop_test(tcase, failures_are_counted_once_and_not_before_they_were, 0, 4);
    tcase_add_test(tcase, a_past_read_backwards_is_the_same);
    tcase_add_test(tcase, who_had_nothing_to_say_was_alive);
    tcase_add_test(tcase, who_died_was_silent_since_its_last_heartbeat);
    tcase_add_test(tcase, whose_record_is_gone_is_dead);
    tcase_add_loop_test(tcase, who_looked_earlier_tells_nothing_new, 0, 2);
    tcase_add_test(tcase, what_is_held_has_not_ended);
    tcase_add_test(tcase, what_was_before_is_one_state);
    tcase_add_test(tcase, memory_is_bounded_and_what_is_new_stays);
    tcase_add_test(tcase, nonsense_is_passed_over);
    tcase_add_test(tcase, before_any_lane_was_seen_nothing_is_said_of_jobs);
    tcase_add_test(tcase, damaged_versions_do_no_harm);
    tcase_add_test(tcase, after_a_gap_only_a_whole_version_counts);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
