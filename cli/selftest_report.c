/* How a selftest tells what it has found: a table for people, one object with --json.
 * Single-threaded. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/output.h"
#include "cli/selftest.h"

static const struct {
    const char *key, *text;
} wrongs[WRONGS] = {
#define X(kind, key, text) {key, text},
    WRONG_MAP(X)
#undef X
};

static const char *const fault_keys[FAULT_KINDS] = {
    [FAULT_KILL] = "kills", [FAULT_FREEZE] = "freezes",        [FAULT_NAP] = "short_freezes",
    [FAULT_STOP] = "stops", [FAULT_CUT] = "submitters_killed",
};

static int us_compare(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Share 50: the median; 100: the highest. In ms. */
static int64_t times_ms(struct times *times, size_t share)
{
    if (times->n == 0)
        return 0;
    qsort(times->us, times->n, sizeof(*times->us), us_compare);
    return times->us[(times->n - 1) * share / 100] / 1000;
}

static int64_t wrong_count(const struct selftest *test)
{
    int64_t n = 0;
    for (size_t i = 0; i < WRONGS; i++)
        n += test->verdict.wrong[i];
    return n;
}

/* What is measured of recoveries. A killed node's process is seen to be gone by those on the same
 * machine; a frozen one is there, and gets six leases. Two heartbeats: half a lease. */
struct recovery {
    const char *key, *text;
    struct times *times;
    int64_t bound_ms; /* promised; 0: it depends on what else there is to run */
};

enum { RECOVERIES = 4 };

static void recoveries_make(struct selftest *test, struct recovery ret_all[RECOVERIES])
{
    struct verdict *v = &test->verdict;
    int64_t killed_ms = test->lease_ms * 3 / 2, frozen_ms = test->lease_ms * 13 / 2;
    const struct recovery all[RECOVERIES] = {
        {"kill_to_burial", "kill -9 until buried", &v->buried_killed, killed_ms},
        {"kill_to_restart", "kill -9 until its jobs run again", &v->restarted_killed, 0},
        {"freeze_to_burial", "freeze until buried", &v->buried_frozen, frozen_ms},
        {"freeze_to_restart", "freeze until its jobs run again", &v->restarted_frozen, 0},
    };
    for (size_t i = 0; i < RECOVERIES; i++)
        ret_all[i] = all[i];
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void json_recoveries(struct selftest *test, struct json *json)
{
    struct recovery all[RECOVERIES];
    recoveries_make(test, all);
    json_object_open(json, "recovery_ms");
    for (size_t i = 0; i < RECOVERIES; i++) {
        json_object_open(json, all[i].key);
        json_number(json, "n", (int64_t)all[i].times->n);
        json_number(json, "p50", times_ms(all[i].times, 50));
        json_number(json, "max", times_ms(all[i].times, 100));
        if (all[i].bound_ms > 0)
            json_number(json, "bound", all[i].bound_ms);
        else
            json_null(json, "bound");
        json_object_close(json);
    }
    json_object_close(json);
}

static void json_report(struct selftest *test, const char *shown)
{
    const struct verdict *v = &test->verdict;
    struct json json;
    json_open(&json, stdout);
    json_text(&json, "selftest", test->scratch.name);
    json_text(&json, "store", shown);
    json_text(&json, "backend", test->ds->class->name);
    json_bool(&json, "ok", wrong_count(test) == 0);
    json_number(&json, "seed", (int64_t)test->seed);
    json_number(&json, "nodes", test->n_nodes);
    json_number(&json, "slots", test->slots);
    json_number(&json, "lease_ms", test->lease_ms);
    json_number(&json, "ran_ms", v->ran_ms);
    json_number(&json, "drained_ms", v->drained_ms);
    json_number(&json, "submitted", test->feed.accepted);
    json_number(&json, "submits", test->feed.submits);
    json_number(&json, "submits_again", test->feed.again);
    json_number(&json, "done", v->done);
    json_number(&json, "failed", v->failed);
    json_number(&json, "failed_interrupted", v->failed_interrupted);
    for (size_t i = 0; i < WRONGS; i++)
        json_number(&json, wrongs[i].key, v->wrong[i]);
    json_number(&json, "executions", v->executions);
    json_number(&json, "executed_again", v->again);
    json_number(&json, "same_run_again", v->same_run_again);
    json_number(&json, "done_again", v->done_again);
    json_number(&json, "interruptions", v->interruptions);
    for (size_t i = 0; i < FAULT_KINDS; i++)
        json_number(&json, fault_keys[i], test->fleet.done[i]);
    json_number(&json, "nodes_started", test->fleet.starts);
    json_number(&json, "killed_by_others", test->fleet.killed_frozen);
    json_number(&json, "ended_by_themselves", test->fleet.ended);
    json_number(&json, "buried_unasked", v->unasked);
    json_recoveries(test, &json);
    json_array_open(&json, "findings");
    for (size_t i = 0; i < v->n_texts; i++)
        json_text(&json, NULL, v->texts[i]);
    json_array_close(&json);
    json_close(&json);
}

/* ---- for people ------------------------------------------------------------------------------ */

static void line(struct table *table, const char *what, int64_t n, const char *more)
{
    table_cell(table, "%s", what);
    table_cell(table, "%" PRId64, n);
    table_cell(table, "%s", more);
}

static void faults_print(const struct selftest *test, struct table *table)
{
    const struct fleet *fleet = &test->fleet;
    char *more =
        cli_format("%d past burial, %d shorter", fleet->done[FAULT_FREEZE], fleet->done[FAULT_NAP]);
    line(table, "nodes killed with -9", fleet->done[FAULT_KILL], "");
    line(table, "nodes frozen", fleet->done[FAULT_FREEZE] + fleet->done[FAULT_NAP], more);
    line(table, "nodes stopped", fleet->done[FAULT_STOP], "gracefully");
    line(table, "submitters killed with -9", fleet->done[FAULT_CUT],
         "and run again with the same token");
    line(table, "nodes started", fleet->starts, "");
    if (fleet->killed_frozen > 0)
        line(table, "killed by others", fleet->killed_frozen,
             "a frozen node that held the store's lock, or out of memory");
    if (fleet->ended > 0)
        line(table, "nodes ended by themselves", fleet->ended,
             "with an error, and were started again");
    if (test->verdict.unasked > 0)
        line(table, "buried without a fault", test->verdict.unasked, test->verdict.unasked_one);
    free(more);
}

static void counts_print(const struct selftest *test)
{
    static const char *const titles[] = {"WHAT", "COUNT", ""};
    const struct verdict *v = &test->verdict;
    struct table table;
    char *more = cli_format("%" PRId64 " done, %" PRId64 " failed as they were to, %" PRId64
                            " failed after too many interruptions",
                            v->done, v->failed, v->failed_interrupted);
    table_open(&table, titles, 3, 1 << 1);
    line(&table, "jobs submitted", test->feed.accepted, more);
    for (size_t i = 0; i < WRONGS; i++)
        line(&table, wrongs[i].text, v->wrong[i], "");
    free(more);
    more = cli_format("after a death or freeze: %" PRId64 " at the same run; %" PRId64
                      " jobs came to their end twice",
                      v->same_run_again, v->done_again);
    line(&table, "executions", v->executions, "");
    line(&table, "executed again", v->again > 0 ? v->again : 0, more);
    free(more);
    faults_print(test, &table);
    table_close(&table);
}

static void recoveries_print(struct selftest *test)
{
    static const char *const titles[] = {"RECOVERY", "N", "P50", "MAX", "BOUND"};
    struct recovery all[RECOVERIES];
    struct table table;
    recoveries_make(test, all);
    table_open(&table, titles, 5, 0x1e);
    for (size_t i = 0; i < RECOVERIES; i++) {
        char p50[TIME_TEXT_BYTES], max[TIME_TEXT_BYTES], bound[TIME_TEXT_BYTES];
        bool any = all[i].times->n > 0;
        table_cell(&table, "%s", all[i].text);
        table_cell(&table, "%zu", all[i].times->n);
        table_cell(&table, "%s", any ? duration_format(p50, times_ms(all[i].times, 50)) : "-");
        table_cell(&table, "%s", any ? duration_format(max, times_ms(all[i].times, 100)) : "-");
        table_cell(&table, "%s",
                   all[i].bound_ms > 0 ? duration_format(bound, all[i].bound_ms) : "-");
    }
    table_close(&table);
}

void report_print(struct selftest *test)
{
    char shown[LIMIT_PATH_BYTES];
    const struct verdict *v = &test->verdict;
    uri_redact(shown, sizeof(shown), test->scratch.base);
    if (test->cli->json) {
        json_report(test, shown);
        return;
    }
    printf("%s beside %s (%s): %" PRId64 " nodes with %" PRId64 " slots, lease %" PRId64
           " ms, %.0f s and %.0f s to drain, seed %" PRIu64 "\n\n",
           test->scratch.name, shown, test->ds->class->name, test->n_nodes, test->slots,
           test->lease_ms, (double)v->ran_ms / 1000, (double)v->drained_ms / 1000, test->seed);
    counts_print(test);
    printf("\n");
    recoveries_print(test);
    for (size_t i = 0; i < v->n_texts; i++)
        printf("%s%s\n", i == 0 ? "\n" : "", v->texts[i]);
    if (wrong_count(test) > (int64_t)v->n_texts)
        printf("and %" PRId64 " more\n", wrong_count(test) - (int64_t)v->n_texts);
}

int report_status(const struct selftest *test)
{
    const struct verdict *v = &test->verdict;
    if (wrong_count(test) == 0)
        return CLI_OK;
    return cli_error(CLI_FAILED, "%" PRId64 " findings (seed %" PRIu64 "), the first: %s",
                     wrong_count(test), test->seed, v->n_texts > 0 ? v->texts[0] : "");
}
