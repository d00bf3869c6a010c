/* Recordings (observer/recording.h).
 *
 * Goal: a replay shows what was there, at every time; what did not change is not written again; no
 * secret is in it; a file that is damaged, cut or no recording gives what precedes the damage, and
 * one clear line. Method: a made-up cluster is recorded while it happens, and the pictures of both
 * pasts are compared; random facts of 1,000 readings; every byte of a small file damaged, and every
 * cut. */
#define _GNU_SOURCE
#include "observer/recording.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "observer/ui.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "tests/support/docs.h"
#include "tests/support/lifelike.h"

static char folder[] = "/tmp/stint-recording.XXXXXX";
static char path[64];

static void folder_make(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/x.stint", folder);
}

static void folder_drop(void)
{
    (void)unlink(path);
    (void)rmdir(folder);
    memset(folder + strlen(folder) - 6, 'X', 6);
}

/* ---- helpers -------------------------------------------------------------------------------- */

static struct recording *begin(size_t bytes_max)
{
    struct recording *recording;
    struct error err = {0};
    int rc = recording_new(path, "sqlite:/s.db", LIFELIKE_START_MS, 0, bytes_max, &recording, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    return recording;
}

static void end(struct recording *recording)
{
    struct error err = {0};
    ck_assert_msg(recording_end(recording, &err) == 0, "%s", err.text);
}

static size_t file_bytes(void)
{
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    return (size_t)st.st_size;
}

/* The whole file; to be freed. */
static uint8_t *file_read(size_t *ret_len)
{
    *ret_len = file_bytes();
    uint8_t *data = malloc(*ret_len);
    FILE *file = fopen(path, "rbe");
    ck_assert_uint_eq(fread(data, 1, *ret_len, file), *ret_len);
    fclose(file);
    return data;
}

static void file_write(const uint8_t *data, size_t len)
{
    FILE *file = fopen(path, "wbe");
    ck_assert_uint_eq(fwrite(data, 1, len, file), len);
    fclose(file);
}

/* All of the file into a past. The code it ended with; with a clear line, if that is not 0. */
static int replay_all(struct past *past, int64_t *ret_last_ms, bool *ret_full)
{
    struct replay *replay;
    struct replay_about about;
    struct error err = {0};
    int rc = replay_open(path, &replay, &about, &err);
    *ret_last_ms = 0;
    if (rc == 0) {
        ck_assert_str_eq(about.store, "sqlite:/s.db");
        while ((rc = replay_step(replay, past, &err)) > 0)
            ck_assert(replay_part(replay) >= 0 && replay_part(replay) <= 1);
        *ret_last_ms = replay_last_ms(replay);
        *ret_full = replay_full(replay);
        replay_free(replay);
    }
    ck_assert(rc == 0 || (err.code == rc && strstr(err.text, path) != NULL));
    ck_assert_ptr_null(strchr(err.text, '\n'));
    return rc;
}

static char *picture(struct past *past, enum view_kind view, int64_t at_ms, int64_t end_ms)
{
    struct ui *ui = ui_new(past, false, end_ms);
    struct grid *grid = grid_new(140, 60, false);
    ui_clock(ui, end_ms);
    ui_go(ui, view);
    ui_stop_at(ui, at_ms);
    ui_draw(ui, grid);
    char *text = grid_text(grid);
    grid_free(grid);
    ui_free(ui);
    return text;
}

/* Both show the same, in every view, at times all over. */
static void compare(struct past *a, struct past *b, int64_t from_ms, int64_t end_ms)
{
    for (int view = 0; view < VIEWS; view++)
        for (int i = 0; i <= 10; i++) {
            int64_t at_ms = from_ms + (end_ms - from_ms) * i / 10;
            char *one = picture(a, (enum view_kind)view, at_ms, end_ms);
            char *other = picture(b, (enum view_kind)view, at_ms, end_ms);
            size_t same = 0;
            while (one[same] == other[same] && one[same] != '\0')
                same++;
            ck_assert_msg(one[same] == other[same], "view %d at %d: %.60s, not %.60s", view, i,
                          other + same, one + same);
            free(one);
            free(other);
        }
}

/* ---- what was there ------------------------------------------------------------------------- */

START_TEST(a_replay_shows_what_was_there)
{
    static const struct lifelike_config configs[] = {
        {.nodes = 5, .lanes = 3, .seconds = 300},
        {.nodes = 20, .lanes = 10, .seconds = 60, .lost = true},
        {.nodes = 3, .lanes = 1, .seconds = 120, .quiet = true},
    };
    struct lifelike_config config = configs[_i];
    struct recording *recording = begin(RECORDING_BYTES_MAX);
    struct feed_tap tap = recording_tap(recording);
    config.tap = &tap;
    struct past *seen = lifelike_past(&config);
    struct past *again = past_new("sqlite:/var/lib/stint/stint.db", 256 << 20);
    end(recording);
    int64_t last_ms;
    bool full;
    ck_assert_int_eq(replay_all(again, &last_ms, &full), 0);
    ck_assert(!full);
    ck_assert_int_eq(past_first_ms(again), past_first_ms(seen));
    ck_assert_int_eq(last_ms, lifelike_end_ms(&config) - 400);
    past_add_time(seen, last_ms);
    compare(seen, again, past_first_ms(seen), last_ms);
    past_free(seen);
    past_free(again);
}
END_TEST

/* ---- what is written ------------------------------------------------------------------------ */

static uint64_t seed;

static int64_t below(int64_t n)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (int64_t)((seed >> 33) % (uint64_t)n);
}

enum { CLUSTER = 12 };

/* A cluster of which anything may change from one reading to the next. */
struct cluster {
    struct node nodes[CLUSTER];
    struct node_range ranges[CLUSTER][2];
    struct node_running running[CLUSTER][3];
    struct lane lanes[3];
    struct range pools[3][2];
    struct queue queues[2];
    struct stint_row totals[3];
    struct past_reading reading;
};

static void cluster_begin(struct cluster *cluster)
{
    memset(cluster, 0, sizeof(*cluster));
    for (int i = 0; i < CLUSTER; i++) {
        struct node *node = &cluster->nodes[i];
        *node = (struct node){.id = 1 + below(INT64_MAX - 1), .slots = 4, .lease_ms = 5000};
        snprintf(node->name, sizeof(node->name), "n%d", i);
        snprintf(node->doorbell, sizeof(node->doorbell), "127.0.0.1:%d/SECRET", 1000 + i);
        node->beat_ms = node->created_ms = node->since_ms = LIFELIKE_START_MS;
        node->ranges = cluster->ranges[i];
        node->running = cluster->running[i];
        for (int k = 0; k < 3; k++)
            snprintf(cluster->running[i][k].type, sizeof(cluster->running[i][k].type), "exec");
    }
    for (int i = 0; i < 3; i++) {
        struct lane *lane = &cluster->lanes[i];
        *lane = (struct lane){.number = i, .name = {"q", i, 0}, .pool = cluster->pools[i]};
        lane->head = lane->tail = id_make(i, 1);
        cluster->totals[i].range = (struct range){id_make(i, 1), id_make(i, 2), false};
    }
    for (int i = 0; i < 2; i++)
        snprintf(cluster->queues[i].name, sizeof(cluster->queues[i].name), "q%d", i);
    cluster->reading = (struct past_reading){.at_ms = LIFELIKE_START_MS,
                                             .nodes = cluster->nodes,
                                             .n_nodes = CLUSTER,
                                             .lanes = cluster->lanes,
                                             .n_lanes = 3,
                                             .queues = cluster->queues,
                                             .n_queues = 2,
                                             .totals = cluster->totals,
                                             .n_totals = 3};
}

static void node_change(struct cluster *cluster, int i)
{
    struct node *node = &cluster->nodes[i];
    node->beat++;
    node->beat_ms += 1 + below(900);
    node->load = (double)below(1000) / 100;
    if (below(3) > 0)
        return;
    node->state = (enum node_state)below(NODE_DEAD);
    node->since_ms = node->beat_ms;
    node->done += below(100);
    node->failed += below(2);
    node->rate = (double)below(1000) / 10;
    node->n_ranges = (size_t)below(3);
    node->n_running = (size_t)below(4);
    for (size_t k = 0; k < node->n_ranges; k++) {
        int64_t a = 1 + 1000 * i + 400 * (int64_t)k + below(100);
        node->ranges[k] = (struct node_range){
            {id_make(0, a), id_make(0, a + 1 + below(200)), below(2) > 0}, (uint64_t)below(2)};
    }
    for (size_t k = 0; k < node->n_running; k++)
        node->running[k].id = id_make(0, 1 + 1000 * i + below(500));
}

static void cluster_change(struct cluster *cluster)
{
    cluster->reading.at_ms += 1 + below(1000);
    for (int i = 0; i < CLUSTER; i++)
        if (below(2) > 0)
            node_change(cluster, i);
    struct lane *lane = &cluster->lanes[below(3)];
    lane->tail += below(1000);
    lane->head += below(lane->tail - lane->head + 1);
    lane->n_pool = (size_t)below(3);
    for (size_t k = 0; k < lane->n_pool; k++)
        lane->pool[k] = (struct range){id_make(lane->number, 1 + 100 * (int64_t)k),
                                       id_make(lane->number, 50 + 100 * (int64_t)k), k == 1};
    cluster->totals[below(3)].done += below(100);
    if (below(20) == 0) {
        struct queue *queue = &cluster->queues[below(2)];
        queue->paused = !queue->paused;
        queue->changed_ms = cluster->reading.at_ms;
    }
}

START_TEST(a_thousand_random_facts_come_back)
{
    static struct cluster cluster;
    seed = (uint64_t)_i + 1;
    cluster_begin(&cluster);
    struct recording *recording = begin(RECORDING_BYTES_MAX);
    struct feed_tap tap = recording_tap(recording);
    struct past *seen = past_new("sqlite:/s.db", 256 << 20);
    struct past *again = past_new("sqlite:/s.db", 256 << 20);
    for (int i = 0; i < 1000; i++) {
        struct stint_row row = {.range = {id_make(1, 1 + 10 * i), id_make(1, 6 + 10 * i), false}};
        row.done = below(6);
        row.last_finish_ms = cluster.reading.at_ms;
        if (below(50) == 0) {
            tap.trouble(tap.ctx, cluster.reading.at_ms, "gone");
            past_add_trouble(seen, cluster.reading.at_ms, "gone");
        }
        cluster_change(&cluster);
        tap.reading(tap.ctx, &cluster.reading);
        past_add_reading(seen, &cluster.reading);
        tap.stints(tap.ctx, &row, 1);
        past_add_stints(seen, &row, 1);
        recording_tick(recording, (uint64_t)i * 500);
    }
    end(recording);
    int64_t last_ms;
    bool full;
    ck_assert_int_eq(replay_all(again, &last_ms, &full), 0);
    ck_assert_int_eq(last_ms, past_last_ms(seen));
    compare(seen, again, past_first_ms(seen), last_ms);
    past_free(seen);
    past_free(again);
}
END_TEST

/* No doorbell, which lets whoever knows it ring; looked for in what is in the frames. */
START_TEST(no_secret_is_in_it)
{
    static struct cluster cluster;
    cluster_begin(&cluster);
    struct recording *recording = begin(RECORDING_BYTES_MAX);
    struct feed_tap tap = recording_tap(recording);
    tap.reading(tap.ctx, &cluster.reading);
    end(recording);
    size_t len, frames = 0;
    uint8_t *data = file_read(&len);
    struct frame_reader reader = {0};
    struct frame frame;
    struct error err;
    frame_reader_add(&reader, (struct bytes){data + 8, len - 8});
    for (; frame_next(&reader, &frame, &err) == 1; frames++)
        ck_assert_ptr_null(memmem(frame.body.data, frame.body.len, "SECRET", 6));
    ck_assert_uint_eq(frames, 3);
    frame_reader_release(&reader);
    free(data);
}
END_TEST

/* An hour of a cluster in which nothing happens but heartbeats. */
START_TEST(an_idle_cluster_takes_little)
{
    static struct cluster cluster;
    cluster_begin(&cluster);
    struct recording *recording = begin(RECORDING_BYTES_MAX);
    struct feed_tap tap = recording_tap(recording);
    for (int i = 0; i < 7200; i++) {
        cluster.reading.at_ms += 500;
        for (int k = 0; k < CLUSTER && i % 2 == 0; k++) {
            cluster.nodes[k].beat++;
            cluster.nodes[k].beat_ms += 1000;
        }
        tap.reading(tap.ctx, &cluster.reading);
        recording_tick(recording, (uint64_t)i * 500);
    }
    size_t bytes = recording_bytes(recording);
    end(recording);
    printf("an idle hour of %d nodes: %zu bytes\n", CLUSTER, bytes);
    ck_assert_uint_lt(bytes, 100000);
    struct past *past = past_new("", 256 << 20);
    int64_t last_ms;
    bool full;
    ck_assert_int_eq(replay_all(past, &last_ms, &full), 0);
    ck_assert_int_eq(last_ms, cluster.reading.at_ms);
    const struct moment *moment = past_moment(past, last_ms, 60000, 0, false);
    ck_assert_uint_eq(moment->n_live, CLUSTER);
    ck_assert_int_eq(moment->nodes[3].node.beat_ms, cluster.nodes[3].beat_ms);
    past_free(past);
}
END_TEST

START_TEST(it_ends_in_order_at_its_limit)
{
    static struct cluster cluster;
    size_t limit = (size_t)_i * 1777 + RECORDING_BYTES_MIN;
    seed = 7;
    cluster_begin(&cluster);
    struct recording *recording = begin(limit);
    struct feed_tap tap = recording_tap(recording);
    for (int i = 0; i < 2000; i++) {
        cluster_change(&cluster);
        tap.reading(tap.ctx, &cluster.reading);
        recording_tick(recording, (uint64_t)i * 3000);
    }
    ck_assert_ptr_nonnull(recording_over(recording));
    end(recording);
    ck_assert_uint_le(file_bytes(), limit);
    struct past *past = past_new("", 256 << 20);
    int64_t last_ms;
    bool full = false;
    ck_assert_int_eq(replay_all(past, &last_ms, &full), 0);
    ck_assert(full);
    past_free(past);
}
END_TEST

START_TEST(nothing_is_overwritten)
{
    struct recording *recording;
    struct error err = {0};
    file_write((const uint8_t *)"precious", 8);
    ck_assert_int_eq(recording_new(path, "", 1, 0, RECORDING_BYTES_MAX, &recording, &err),
                     ERR_DUPLICATE);
    ck_assert_uint_eq(file_bytes(), 8);
}
END_TEST

START_TEST(a_full_disk_is_told)
{
    struct error err = {0};
    static struct cluster cluster;
    struct recording *recording = begin(RECORDING_BYTES_MAX);
    struct feed_tap tap = recording_tap(recording);
    cluster_begin(&cluster);
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    /* The recording's descriptor is the one opened last before. */
    int other = dup2(fd, fd - 1);
    ck_assert_int_eq(other, fd - 1);
    tap.reading(tap.ctx, &cluster.reading);
    recording_tick(recording, 1);
    recording_tick(recording, 10001);
    ck_assert_ptr_nonnull(recording_over(recording));
    tap.reading(tap.ctx, &cluster.reading); /* does no harm */
    ck_assert_int_eq(recording_end(recording, &err), ERR_FULL);
    ck_assert_ptr_nonnull(strstr(err.text, "No space left"));
    close(fd);
}
END_TEST

/* ---- damage --------------------------------------------------------------------------------- */

/* A small recording with several frames. */
static uint8_t *small(size_t *ret_len)
{
    static struct cluster cluster;
    seed = 3;
    cluster_begin(&cluster);
    struct recording *recording = begin(RECORDING_BYTES_MAX);
    struct feed_tap tap = recording_tap(recording);
    for (int i = 0; i < 6; i++) {
        cluster_change(&cluster);
        cluster.reading.n_nodes = 3;
        tap.reading(tap.ctx, &cluster.reading);
        recording_tick(recording, (uint64_t)i * 3000);
    }
    end(recording);
    return file_read(ret_len);
}

START_TEST(damage_at_any_byte_is_told_and_ends_it)
{
    size_t len;
    uint8_t *data = small(&len);
    int64_t whole_ms, last_ms;
    bool full;
    struct past *past = past_new("", 256 << 20);
    ck_assert_int_eq(replay_all(past, &whole_ms, &full), 0);
    past_free(past);
    for (size_t at = 0; at < len; at++) {
        data[at] ^= 0x41;
        file_write(data, len);
        past = past_new("", 256 << 20);
        ck_assert_int_lt(replay_all(past, &last_ms, &full), 0);
        ck_assert_int_le(last_ms, whole_ms);
        past_free(past);
        data[at] ^= 0x41;
    }
    free(data);
}
END_TEST

START_TEST(a_cut_anywhere_is_told)
{
    size_t len;
    int64_t last_ms, before_ms = 0;
    bool full;
    uint8_t *data = small(&len);
    for (size_t cut = 0; cut < len; cut++) {
        file_write(data, cut);
        struct past *past = past_new("", 256 << 20);
        ck_assert_int_lt(replay_all(past, &last_ms, &full), 0);
        ck_assert_int_ge(last_ms, before_ms); /* a longer one tells no less */
        before_ms = last_ms;
        past_free(past);
    }
    ck_assert_int_gt(before_ms, 0);
    data = realloc(data, len + 1);
    data[len] = 0;
    file_write(data, len + 1);
    struct past *past = past_new("", 256 << 20);
    ck_assert_int_lt(replay_all(past, &last_ms, &full), 0);
    past_free(past);
    free(data);
}
END_TEST

static int replay_facts(struct bytes body)
{
    struct arena mem = {0};
    struct wire_start start = {.format = 1, .store = "sqlite:/s.db"};
    struct frame_buffer out = {0};
    frame_buffer_add(&out, (struct bytes){(const uint8_t *)"\x89stint\r\n", 8});
    ck_assert_int_eq(frame_add(&out, &(struct frame){1, wire_start_encode(&start, &mem)}, true), 0);
    ck_assert_int_eq(frame_add(&out, &(struct frame){2, body}, true), 0);
    file_write(out.data, out.len);
    struct past *past = past_new("", 64 << 20);
    int64_t last_ms;
    bool full;
    int rc = replay_all(past, &last_ms, &full);
    past_free(past);
    frame_buffer_release(&out);
    arena_release(&mem);
    return rc;
}

/* Millions of empty messages, each of them two bytes. */
START_TEST(a_bomb_is_refused)
{
    uint8_t *body = malloc(LIMIT_FRAME_BYTES);
    for (size_t i = 0; i < LIMIT_FRAME_BYTES; i += 2) {
        body[i] = 0x0a; /* field 1, of a length */
        body[i + 1] = 0;
    }
    struct arena mem = {0};
    struct wire_fact *facts;
    size_t n;
    ck_assert_int_lt(wire_facts_decode((struct bytes){body, LIMIT_FRAME_BYTES}, &mem, &facts, &n),
                     0);
    ck_assert_uint_le(mem.bytes, 64 << 20);
    arena_release(&mem);
    ck_assert_int_lt(replay_facts((struct bytes){body, LIMIT_FRAME_BYTES}), 0);
    free(body);
}
END_TEST

/* What is well-formed and makes no sense. */
START_TEST(what_cannot_be_is_refused)
{
    struct arena mem = {0};
    struct node node = full_node;
    struct lane lane = full_lane;
    struct wire_beat beat = {5, 1000, 0};
    struct wire_fact reading = {.kind = WIRE_READING, .reading = {.at_ms = LIFELIKE_START_MS}};
    struct wire_fact fact = reading;
    fact.reading.at_ms = INT64_MAX;
    ck_assert_int_lt(replay_facts(wire_fact_encode(&fact, &mem)), 0);
    fact = reading;
    fact.reading.beats = &beat;
    fact.reading.n_beats = 1;
    ck_assert_int_lt(replay_facts(wire_fact_encode(&fact, &mem)), 0);
    fact = reading;
    fact.reading.nodes = &node;
    fact.reading.n_nodes = 1;
    node.id = 7;
    node.done = INT64_MAX;
    ck_assert_int_lt(replay_facts(wire_fact_encode(&fact, &mem)), 0);
    fact = reading;
    fact.reading.lanes = &lane;
    fact.reading.n_lanes = 1;
    lane.head = lane.tail = id_make(3, 5); /* of another lane */
    ck_assert_int_lt(replay_facts(wire_fact_encode(&fact, &mem)), 0);
    fact =
        (struct wire_fact){.kind = WIRE_STINT, .stint = {.range = {INT64_MIN, INT64_MAX, false}}};
    ck_assert_int_lt(replay_facts(wire_fact_encode(&fact, &mem)), 0);
    fact = (struct wire_fact){.kind = WIRE_COMPLETE, .complete = LIMIT_LANES};
    ck_assert_int_lt(replay_facts(wire_fact_encode(&fact, &mem)), 0);
    /* What is left: it was not ended in order. */
    ck_assert_int_eq(replay_facts(wire_fact_encode(&reading, &mem)), ERR_CORRUPT);
    arena_release(&mem);
}
END_TEST

START_TEST(another_file_is_no_recording)
{
    struct replay *replay;
    struct replay_about about;
    struct error err = {0};
    file_write((const uint8_t *)"SQLite format 3", 16);
    ck_assert_int_eq(replay_open(path, &replay, &about, &err), ERR_CORRUPT);
    ck_assert_ptr_nonnull(strstr(err.text, "is not a recording"));
    ck_assert_int_eq(replay_open("/nowhere/at/all", &replay, &about, &err), ERR_NOT_FOUND);
    ck_assert_int_lt(replay_open("/tmp", &replay, &about, &err), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recording");
    TCase *tcase = tcase_create("recording");
    tcase_add_checked_fixture(tcase, folder_make, folder_drop);
    tcase_add_loop_test(tcase, a_replay_shows_what_was_there, 0, 3);
    tcase_add_loop_test(tcase, a_thousand_random_facts_come_back, 0, 3);
    tcase_add_test(tcase, no_secret_is_in_it);
    tcase_add_test(tcase, an_idle_cluster_takes_little);
    tcase_add_loop_test(tcase, it_ends_in_order_at_its_limit, 0, 6);
    tcase_add_test(tcase, nothing_is_overwritten);
    tcase_add_test(tcase, a_full_disk_is_told);
    tcase_add_test(tcase, damage_at_any_byte_is_told_and_ends_it);
    tcase_add_test(tcase, a_cut_anywhere_is_told);
    tcase_add_test(tcase, a_bomb_is_refused);
    tcase_add_test(tcase, what_cannot_be_is_refused);
    tcase_add_test(tcase, another_file_is_no_recording);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
