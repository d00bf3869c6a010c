/* Goal: a stretch of the map is exactly what its ids are, one by one.
 * Method: lanes made at random from a printed seed, with ranges that nodes hold, run, give back or
 * had to leave behind, a pool, and finished ranges, beside an array with an entry for each id. */
#include "observer/axis.h"

#include <check.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "datastore/random.h"

enum { IDS = 400, ROUNDS = 400, ASKED = 50, NODES = 4 };

static int64_t below(uint64_t *seed, int64_t n)
{
    return (int64_t)(random_next(seed) % (uint64_t)n);
}

struct scene {
    struct moment moment;
    struct moment_node nodes[NODES];
    int32_t by_id[NODES];
    struct moment_lane lane;
    struct moment_held held[IDS];
    int64_t running[IDS];
    struct finished finished;
    enum id_kind kinds[IDS + 1]; /* the naive one */
    int32_t holders[IDS + 1];
};

static void put_held(struct scene *scene, uint64_t *seed, int64_t a, int64_t b)
{
    struct moment_held *held = &scene->held[scene->lane.n_held++];
    *held = (struct moment_held){.a = a, .b = b, .node = (int32_t)below(seed, NODES + 1) - 1};
    held->suspect = below(seed, 5) == 0;
    held->returning = held->node >= 0 && below(seed, 5) == 0;
    for (int64_t id = a; id < b; id++) {
        bool runs = held->node >= 0 && below(seed, 6) == 0;
        if (runs)
            scene->running[scene->lane.n_running++] = id;
        scene->holders[id] = held->node;
        scene->kinds[id] = runs              ? ID_RUNNING
                           : held->suspect   ? ID_SUSPECT
                           : held->node < 0  ? ID_POOLED
                           : held->returning ? ID_RETURNING
                                             : ID_GRANTED;
    }
}

/* All jobs of a range end alike here: within one, parts of jobs are test_finished.c's. */
static void put_finished(struct scene *scene, uint64_t *seed, int64_t a, int64_t b)
{
    static const enum id_kind ends[] = {ID_DONE, ID_FAILED, ID_CANCELLED, ID_VOID};
    enum id_kind kind = ends[below(seed, 4)];
    struct finished_row row = {.a = a, .b = b, .node = 1 + below(seed, NODES)};
    row.done = kind == ID_DONE ? b - a : 0;
    row.failed = kind == ID_FAILED ? b - a : 0;
    row.cancelled = kind == ID_CANCELLED ? b - a : 0;
    finished_add(&scene->finished, &row, 1);
    for (int64_t id = a; id < b; id++)
        scene->kinds[id] = kind;
}

static void scene_make(struct scene *scene, uint64_t *seed)
{
    *scene = (struct scene){0};
    for (int i = 0; i < NODES; i++) {
        scene->nodes[i].node.id = i + 1;
        scene->by_id[i] = i;
    }
    scene->moment = (struct moment){.nodes = scene->nodes, .by_id = scene->by_id, .n_nodes = NODES};
    int64_t head = 2 + below(seed, IDS - 2), a = 1;
    for (int64_t id = 0; id <= IDS; id++)
        scene->kinds[id] = id < head ? ID_UNKNOWN : ID_QUEUED;
    while (a < head) {
        int64_t b = a + 1 + below(seed, 15);
        b = b < head ? b : head;
        int64_t what = below(seed, 5);
        if (what < 2)
            put_held(scene, seed, a, b);
        else if (what < 4)
            put_finished(scene, seed, a, b);
        a = b;
    }
    scene->lane.head = head;
    scene->lane.tail = IDS;
    scene->lane.held = scene->held;
    scene->lane.running = scene->running;
    scene->lane.finished = &scene->finished;
}

START_TEST(parts_are_what_their_ids_are)
{
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        uint64_t seed = round;
        static struct scene scene;
        scene_make(&scene, &seed);
        for (int i = 0; i < ASKED; i++) {
            int64_t a = 1 + below(&seed, IDS - 1), b = a + 1 + below(&seed, IDS - a);
            if (i % 3 == 0)
                b = a + 1;
            double counts[ID_KINDS] = {0};
            for (int64_t id = a; id < b; id++)
                counts[scene.kinds[id]]++;
            struct axis_part part = axis_part(&scene.moment, &scene.lane, a, b);
            for (int kind = 0; kind < ID_KINDS; kind++)
                ck_assert_msg(fabs(part.counts[kind] - counts[kind]) < 1e-6,
                              "seed %lu: %f %s of %ld-%ld, not %f", (unsigned long)round,
                              part.counts[kind], id_kind_name((enum id_kind)kind), (long)a, (long)b,
                              counts[kind]);
            if (b == a + 1) {
                ck_assert_int_eq(axis_kind(&part), scene.kinds[a]);
                bool held = scene.kinds[a] == ID_GRANTED || scene.kinds[a] == ID_RUNNING ||
                            scene.kinds[a] == ID_RETURNING;
                if (held)
                    ck_assert_int_eq(part.node, scene.holders[a]);
            }
        }
        finished_clear(&scene.finished);
    }
}
END_TEST

START_TEST(what_is_rare_and_matters_shows)
{
    struct axis_part part = {.counts = {[ID_DONE] = 9000, [ID_FAILED] = 1, [ID_QUEUED] = 9}};
    ck_assert_int_eq(axis_kind(&part), ID_FAILED);
    part.counts[ID_FAILED] = 0;
    ck_assert_int_eq(axis_kind(&part), ID_DONE);
    part.counts[ID_SUSPECT] = 2;
    ck_assert_int_eq(axis_kind(&part), ID_SUSPECT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("axis");
    TCase *tcase = tcase_create("axis");
    tcase_add_test(tcase, parts_are_what_their_ids_are);
    tcase_add_test(tcase, what_is_rare_and_matters_shows);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
