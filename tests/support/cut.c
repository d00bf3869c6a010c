/* What a step comes to when one of its requests is lost (cut.h).
 *
 * For every scenario and every k, the kth request that the step sends is lost: its reply, or it
 * itself, or it comes late, after the step was tried again. The step must say so; "nothing was
 * written" must be true; the same handle must work at once; and a second try must leave what a step
 * that was never cut leaves. */
#include "tests/support/cut.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/scenes.h"

enum { REQUESTS_MAX = 40, CASE_SECONDS = 120, WORKERS = 8 };
/* The driver takes up to a second to connect anew: a late request mostly comes after a second try
 * has ended. */
enum { LATE_MS = 1800, LATE_WAIT_MS = 20000 };

static enum wire_fault fault_of_suite;

struct cut {
    const struct scenario *scenario;
    struct scene *scene;
    struct wire_proxy *proxy;
    struct datastore *ds; /* through the proxy */
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
static void open_cut(struct cut *cut)
{
    char host[64], uri[300];
    int port = 0, rest = 0;
    struct error err;
    const char *direct = cut->scene->s->uri;
    ck_assert_int_eq(sscanf(direct, "mongodb://%63[^:/]:%d%n", host, &port, &rest), 2);
    cut->proxy = wire_proxy_start(host, (uint16_t)port);
    ck_assert_ptr_nonnull(cut->proxy);
    snprintf(uri, sizeof(uri), "mongodb://127.0.0.1:%d%s", wire_proxy_port(cut->proxy),
             direct + rest);
    int rc = datastore_open(uri, DS_COPY, &cut->ds, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
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

/* The try whose kth request is lost; *ret_known: its code tells that nothing was written. */
static int first_try(struct cut *cut, const char *before)
{
    const struct scenario *scenario = cut->scenario;
    int rc = scene_try(cut->scene, cut->ds, NULL);
    if (wire_proxy_fired(cut->proxy, fault_of_suite) == 0) {
        ck_assert_msg(rc == 0, "%s: %d", scenario->name, rc);
        return rc;
    }
    bool known = rc == ERR_UNAVAILABLE;
    ck_assert_msg(rc == 0 || known || (rc == ERR_UNKNOWN_OUTCOME && ds_kind_writes(scenario->kind)),
                  "%s, request %u lost: %d", scenario->name, cut->k, rc);
    /* A read that was lost was repeated by the driver, and the step went on. */
    if ((known && !scenario->voids) ||
        (rc != 0 && fault_of_suite == WIRE_CUT_REQUEST && cut->k == 1))
        assert_unchanged(cut, before);
    return rc;
}

static void second_try(struct cut *cut, bool succeeded)
{
    const struct scenario *scenario = cut->scenario;
    struct ds_step step;
    int rc = scene_try(cut->scene, cut->ds, &step);
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
    ck_assert(wire_proxy_trap(
        cut.proxy, (struct wire_trap){.fault = fault_of_suite, .nth = k, .late_ms = LATE_MS}));
    int rc = first_try(&cut, before);
    bool fired = wire_proxy_fired(cut.proxy, fault_of_suite) > 0;
    if (fired) {
        ck_assert_uint_eq(wire_proxy_fired(cut.proxy, fault_of_suite), 1);
        second_try(&cut, rc == 0);
        if (fault_of_suite == WIRE_LATE)
            ck_assert(wire_proxy_await(cut.proxy, WIRE_LATE_DONE, 1, LATE_WAIT_MS));
        char *got = scene_dump(cut.scene, scenario->leaves);
        assert_same(&cut, got, want);
        free(got);
    }
    free(before);
    wire_proxy_stop(cut.proxy);
    scene_free(cut.scene, cut.ds);
    return fired;
}

START_TEST(every_request_of_a_step_is_lost_once)
{
    const struct scenario *scenario = &scenarios[_i];
    /* That a reply is lost is all that can befall a read. */
    if (fault_of_suite != WIRE_CUT_REPLY && !ds_kind_writes(scenario->kind) && !scenario->voids)
        return;
    char *want = uncut(scenario);
    uint32_t k = 1;
    while (cut_at(scenario, k, want))
        ck_assert_uint_lt(++k, REQUESTS_MAX);
    ck_assert_msg(k > 1, "%s sent nothing", scenario->name);
    free(want);
    scenes_await();
}
END_TEST

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

/* Every WORKERSth scenario. The namespace of its store is this process's own. */
static int worker_main(const char *name, int worker)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, CASE_SECONDS);
    if (worker == 0)
        tcase_add_test(tcase, every_kind_has_a_scenario);
    for (int i = worker; i < (int)n_scenarios; i += WORKERS)
        tcase_add_loop_test(tcase, every_request_of_a_step_is_lost_once, i, i + 1);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cut_main(const char *name, enum wire_fault fault)
{
    int result = EXIT_SUCCESS;
    if (store_kind_of_server() < 0)
        return 77;
    fault_of_suite = fault;
    /* Side by side, since nearly all of the time goes by until the driver connects anew. */
    for (int worker = 0; worker < WORKERS; worker++) {
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
