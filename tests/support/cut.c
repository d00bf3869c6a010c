/* What a step comes to when one of its requests is lost (cut.h).
 *
 * For every scenario and every k, the kth request that the step sends is lost: its reply, or it
 * itself, or it comes late, after the step was tried again; or the server fails it. The step must
 * say so; "nothing was written" must be true; the same handle must work at once; and a second try
 * must leave what a step that was never cut leaves. */
#include "tests/support/cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datastore/mongo.h"
#include "tests/support/scenes.h"
#include "tests/support/wire_proxy.h"

enum { REQUESTS_MAX = 40, WORKERS = 8, TRIES_MAX = 5 };
/* The driver takes up to a second to connect anew: a late request mostly comes after a second try
 * has ended. */
enum { LATE_MS = 1800, LATE_WAIT_MS = 120000 };

static enum cut_fault fault_of_suite;

static const enum wire_fault wire_faults[] = {
    [CUT_REPLY] = WIRE_CUT_REPLY, [CUT_REQUEST] = WIRE_CUT_REQUEST, [CUT_LATE] = WIRE_LATE};

static bool by_proxy(void)
{
    return fault_of_suite <= CUT_LATE;
}

struct cut {
    const struct scenario *scenario;
    struct scene *scene;
    struct wire_proxy *proxy; /* NULL: the server itself fails */
    struct datastore *ds;     /* through the proxy */
    uint64_t n_commands;      /* that ds had sent before */
    uint32_t k;
};

/* What the scenario comes to when nothing is lost; to be freed. */
static char *uncut(const struct scenario *scenario)
{
    struct scene *scene = scene_new(scenario);
    struct ds_step step;
    ck_assert_int_eq(scene_try(scene, scene->s->ds, &step), 0);
    if (scenario->look != NULL)
        scenario->look(scene, &step);
    char *text = scene_dump(scene, scenario->leaves);
    scene_free(scene, NULL);
    return text;
}

/* mongodb://HOST:PORT/... through the proxy. */
static void proxy_start(struct cut *cut, char *uri, size_t size)
{
    char host[64];
    int port = 0, rest = 0;
    const char *direct = cut->scene->s->uri;
    ck_assert_int_eq(sscanf(direct, "mongodb://%63[^:/]:%d%n", host, &port, &rest), 2);
    cut->proxy = wire_proxy_start(host, (uint16_t)port);
    ck_assert_ptr_nonnull(cut->proxy);
    snprintf(uri, size, "mongodb://127.0.0.1:%d%s", wire_proxy_port(cut->proxy), direct + rest);
}

static void open_cut(struct cut *cut)
{
    char uri[300];
    struct error err;
    if (by_proxy())
        proxy_start(cut, uri, sizeof(uri));
    else
        snprintf(uri, sizeof(uri), "%s&appName=" CUT_APP, cut->scene->s->uri);
    int rc = datastore_open(uri, DS_COPY, &cut->ds, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
}

static void arm(struct cut *cut)
{
    cut->n_commands = mongo_counts_of(cut->ds).commands;
    if (by_proxy())
        ck_assert(
            wire_proxy_trap(cut->proxy, (struct wire_trap){.fault = wire_faults[fault_of_suite],
                                                           .nth = cut->k,
                                                           .late_ms = LATE_MS}));
    else
        fail_point_set(fault_of_suite, cut->k);
}

static bool fired(const struct cut *cut)
{
    if (by_proxy())
        return wire_proxy_fired(cut->proxy, wire_faults[fault_of_suite]) > 0;
    return mongo_counts_of(cut->ds).commands >= cut->n_commands + cut->k;
}

static void assert_same(const struct cut *cut, const char *got, const char *want)
{
    ck_assert_msg(strcmp(got, want) == 0, "%s, request %u lost:\n%s\ninstead of\n%s",
                  cut->scenario->name, cut->k, got, want);
}

static void assert_unchanged(const struct cut *cut, const char *before)
{
    char *now = scene_dump(cut->scene, false);
    assert_same(cut, now, before);
    free(now);
}

static const bool not_carried_out[] = {
    [CUT_REQUEST] = true, [CUT_REFUSED] = true, [CUT_INTERNAL] = true, [CUT_CONCERN] = false};

/* The try whose kth request is lost; *ret_known: its code tells that nothing was written. */
static int first_try(struct cut *cut, const char *before)
{
    const struct scenario *scenario = cut->scenario;
    int rc = scene_try(cut->scene, cut->ds, NULL);
    if (!by_proxy())
        fail_point_set(fault_of_suite, 0);
    if (!fired(cut)) {
        ck_assert_msg(rc == 0, "%s: %d", scenario->name, rc);
        return rc;
    }
    bool known = rc == ERR_UNAVAILABLE;
    ck_assert_msg(rc == 0 || known || (rc == ERR_UNKNOWN_OUTCOME && ds_kind_writes(scenario->kind)),
                  "%s, request %u lost: %d", scenario->name, cut->k, rc);
    /* A read that was lost was repeated by the driver, and the step went on. */
    if ((known && !scenario->voids) || (rc != 0 && cut->k == 1 && not_carried_out[fault_of_suite]))
        assert_unchanged(cut, before);
    return rc;
}

static void second_try(struct cut *cut, bool succeeded)
{
    const struct scenario *scenario = cut->scenario;
    struct ds_step step;
    int rc = scene_try(cut->scene, cut->ds, &step);
    /* A server on a busy machine may not answer in time by itself: then this was one more try. */
    for (int i = 0; i < TRIES_MAX && (rc == ERR_UNKNOWN_OUTCOME || rc == ERR_UNAVAILABLE); i++) {
        succeeded = false;
        rc = scene_try(cut->scene, cut->ds, &step);
    }
    ck_assert_msg((rc == 0 && !(succeeded && scenario->again != 0)) || rc == scenario->again,
                  "%s again, request %u was lost: %d", scenario->name, cut->k, rc);
    if (scenario->look != NULL)
        scenario->look(cut->scene, &step);
}

/* False: the step sends fewer than k requests. */
static bool cut_at(const struct scenario *scenario, uint32_t k, const char *want)
{
    struct cut cut = {.scenario = scenario, .scene = scene_new(scenario), .k = k};
    open_cut(&cut);
    char *before = scene_dump(cut.scene, false);
    arm(&cut);
    int rc = first_try(&cut, before);
    bool was_cut = fired(&cut);
    if (was_cut) {
        if (by_proxy())
            ck_assert_uint_eq(wire_proxy_fired(cut.proxy, wire_faults[fault_of_suite]), 1);
        second_try(&cut, rc == 0);
        if (fault_of_suite == CUT_LATE)
            ck_assert(wire_proxy_await(cut.proxy, WIRE_LATE_DONE, 1, LATE_WAIT_MS));
        char *got = scene_dump(cut.scene, scenario->leaves);
        assert_same(&cut, got, want);
        free(got);
    }
    free(before);
    wire_proxy_stop(cut.proxy);
    scene_free(cut.scene, cut.ds);
    return was_cut;
}

static void lose_each(const struct scenario *scenario)
{
    /* That a reply is lost is all that can befall a read. */
    if (fault_of_suite != CUT_REPLY && !ds_kind_writes(scenario->kind) && !scenario->voids)
        return;
    char *want = uncut(scenario);
    uint32_t k = 1;
    while (cut_at(scenario, k, want))
        ck_assert_uint_lt(++k, REQUESTS_MAX);
    ck_assert_msg(k > 1, "%s sent nothing", scenario->name);
    free(want);
}

START_TEST(every_request_of_a_step_is_lost_once)
{
    lose_each(&scenarios[_i]);
    scenes_await();
}
END_TEST

/* One after another, since there is one fail point; in one process, to wait once at the end. */
START_TEST(every_command_of_every_step_is_failed_once)
{
    for (size_t i = 0; i < n_scenarios; i++)
        lose_each(&scenarios[i]);
    scenes_await();
}
END_TEST

/* ---- the making of a store ------------------------------------------------------------------ */

/* A namespace of its own, in which there is nothing yet, is made anew by `uri`. False: fewer than k
 * requests were sent. */
static bool make_cut_at(struct cut *cut, const char *want)
{
    struct scene *scene = cut->scene;
    char through[300], uri[sizeof(scene->s->uri) + 16];
    struct error err = {0};
    struct datastore *ds = NULL;
    snprintf(uri, sizeof(uri), "%s.made%u", scene->s->uri, cut->k);
    proxy_start(cut, through, sizeof(through) - 16);
    snprintf(through + strlen(through), 16, ".made%u", cut->k);
    ck_assert(wire_proxy_trap(cut->proxy, (struct wire_trap){.fault = wire_faults[fault_of_suite],
                                                             .nth = cut->k,
                                                             .late_ms = LATE_MS}));
    int rc = datastore_open(through, DS_CREATE, &ds, &err);
    bool was_cut = wire_proxy_fired(cut->proxy, wire_faults[fault_of_suite]) > 0;
    ck_assert_msg(rc == 0 || (was_cut && (rc == ERR_UNAVAILABLE || rc == ERR_UNKNOWN_OUTCOME)),
                  "request %u: %d %s", cut->k, rc, err.text);
    ck_assert((ds != NULL) == (rc == 0));
    datastore_close(ds);
    rc = datastore_open(uri, DS_CREATE, &scene->reader, &err);
    ck_assert_msg(rc == 0, "request %u was lost: %d %s", cut->k, rc, err.text);
    if (was_cut && fault_of_suite == CUT_LATE)
        ck_assert(wire_proxy_await(cut->proxy, WIRE_LATE_DONE, 1, LATE_WAIT_MS));
    char *got = scene_dump(scene, false);
    assert_same(cut, got, want);
    free(got);
    wire_proxy_stop(cut->proxy);
    datastore_close(scene->reader);
    return was_cut;
}

START_TEST(every_request_of_a_stores_making_is_lost_once)
{
    static const struct scenario making = {.kind = DS_META_READ, .name = "making a store"};
    struct scene scene = {.s = store_new(store_kind_of_server())};
    struct cut cut = {.scenario = &making, .scene = &scene, .k = 1};
    scene.reader = scene.s->ds;
    char *want = scene_dump(&scene, false);
    while (make_cut_at(&cut, want))
        ck_assert_uint_lt(++cut.k, REQUESTS_MAX);
    ck_assert_uint_gt(cut.k, 1);
    free(want);
    store_free(scene.s);
}
END_TEST

/* ---- all of them ---------------------------------------------------------------------------- */

START_TEST(every_kind_has_a_scenario)
{
    for (int kind = 0; kind < DS_KINDS; kind++) {
        size_t i = 0;
        while (i < n_scenarios && scenarios[i].kind != (enum ds_kind)kind)
            i++;
        ck_assert_msg(i < n_scenarios, "%s has none", ds_kind_name((enum ds_kind)kind));
    }
}
END_TEST

/* Every WORKERSth scenario, or all. The namespace of its store is this process's own. */
static int worker_main(const char *name, int worker)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    if (worker == 0)
        tcase_add_test(tcase, every_kind_has_a_scenario);
    if (worker == WORKERS)
        tcase_add_test(tcase, every_request_of_a_stores_making_is_lost_once);
    if (!by_proxy())
        tcase_add_test(tcase, every_command_of_every_step_is_failed_once);
    for (int i = worker; by_proxy() && worker < WORKERS && i < (int)n_scenarios; i += WORKERS)
        tcase_add_loop_test(tcase, every_request_of_a_step_is_lost_once, i, i + 1);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cut_main(const char *name, enum cut_fault fault)
{
    int result = EXIT_SUCCESS;
    if (store_kind_of_server() < 0)
        return 77;
    fault_of_suite = fault;
    /* Side by side, since nearly all of the time goes by until the driver connects anew. */
    if (!by_proxy())
        return worker_main(name, 0); /* there is one fail point for all */
    for (int worker = 0; worker <= WORKERS; worker++) {
        pid_t pid = fork();
        if (pid == 0)
            exit(worker_main(name, worker));
        result = pid < 0 ? EXIT_FAILURE : result;
    }
    int status;
    while (wait(&status) > 0)
        result = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS ? result : EXIT_FAILURE;
    return result;
}
