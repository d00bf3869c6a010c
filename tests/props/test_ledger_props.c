/* Goal: the ledger keeps its invariants (DESIGN §6) whatever happens to nodes, submitters and the
 * store.
 * Method: whole clusters under virtual time, many seeds; the invariants are checked on the records
 * after every step that writes. A failure prints its seed; STINT_SEED=N runs that seed alone and
 * writes every step to stderr. */
#include <check.h>
#include <inttypes.h>
#include <stdlib.h>

#include "tests/support/cluster.h"

enum { SEEDS = 1000 };

/* Seeds that once found something. */
static const uint64_t kept[] = {1};

static struct cluster_tally total;

static void tally_add(const struct cluster_tally *tally)
{
    const uint64_t *from = (const uint64_t *)tally;
    uint64_t *to = (uint64_t *)&total;
    for (size_t i = 0; i < sizeof(total) / sizeof(*to); i++)
        to[i] += from[i];
}

static void run_seed(uint64_t seed, FILE *trace)
{
    struct cluster_plan plan = cluster_plan_of(seed);
    struct cluster *cluster = cluster_new(&plan, trace);
    for (size_t i = 0; i < plan.nodes; i++)
        cluster_start(cluster, i);
    bool ok = cluster_until(cluster, plan.quiet_ms) && cluster_finish(cluster);
    if (!ok)
        ck_abort_msg("%s (seed %" PRIu64 "; again with STINT_SEED=%" PRIu64 ")",
                     cluster_broken(cluster), seed, seed);
    tally_add(cluster_tally(cluster));
    cluster_free(cluster);
}

START_TEST(invariants_hold)
{
    const char *one = getenv("STINT_SEED");
    if (one != NULL) {
        run_seed(strtoull(one, NULL, 10), stderr);
        return;
    }
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        run_seed(kept[i], NULL);
    const char *first = getenv("STINT_FIRST_SEED"), *count = getenv("STINT_SEEDS");
    uint64_t from = first != NULL ? strtoull(first, NULL, 10) : 1000;
    uint64_t n = count != NULL ? strtoull(count, NULL, 10) : SEEDS;
    for (uint64_t seed = from; seed < from + n; seed++)
        run_seed(seed, NULL);
    printf("steps %" PRIu64 " starts %" PRIu64 " crashes %" PRIu64 " freezes %" PRIu64
           " buried %" PRIu64 " fenced %" PRIu64 " interrupted %" PRIu64 " voided %" PRIu64 "\n",
           total.steps, total.starts, total.crashes, total.freezes, total.buried, total.fenced,
           total.interrupted, total.voided);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ledger properties");
    TCase *tcase = tcase_create("clusters");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, invariants_hold);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
