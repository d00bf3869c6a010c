/* Measures a cluster of simulated nodes: docs/SCALE.md.
 *
 *   scale [--nodes N] [--jobs 1ms|100ms|10s|mix] [--slots N] [--ideal S] [--lanes N] [--sure]
 *         [--seed N] [--start N] [--kill N] [--trace] [--json]
 *
 * Prints one line (or JSON object) for the cluster asked for. script/scale makes the table and the
 * plot of many. */
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/scale_world.h"

static const struct option options[] = {
    {"nodes", required_argument, NULL, 'n'}, {"jobs", required_argument, NULL, 'j'},
    {"slots", required_argument, NULL, 's'}, {"ideal", required_argument, NULL, 'i'},
    {"lanes", required_argument, NULL, 'l'}, {"sure", no_argument, NULL, 'w'},
    {"seed", required_argument, NULL, 'r'},  {"start", required_argument, NULL, 'a'},
    {"kill", required_argument, NULL, 'k'},  {"trace", no_argument, NULL, 't'},
    {"json", no_argument, NULL, 'J'},        {0},
};

static const double mean_ms[JOBS_KINDS] = {1, 100, 10000, 82};

static enum scale_jobs jobs_parse(const char *text)
{
    static const char *const names[JOBS_KINDS] = {"1ms", "100ms", "10s", "mix"};
    for (int i = 0; i < JOBS_KINDS; i++)
        if (strcmp(names[i], text) == 0)
            return (enum scale_jobs)i;
    fprintf(stderr, "scale: no such jobs: %s\n", text);
    exit(2);
}

static void show(const struct scale_plan *plan, const struct scale_result *r, bool json)
{
    const char *format =
        json ? "{\"nodes\":%zu,\"lanes\":%zu,\"slots\":%d,\"jobs\":\"%s\",\"n_jobs\":%" PRId64
               ",\"drained\":%d,\"ideal_s\":%.1f,\"drain_s\":%.2f,\"ratio\":%.3f,"
               "\"imbalance_s\":%.2f,\"ops_a_job\":%.6f,\"row_ops_a_job\":%.5f,"
               "\"ops_a_second\":%.0f,\"kb_a_second\":%.0f,\"busy\":%.3f,"
               "\"claims_a_second\":%.1f,\"jobs_a_claim\":%.1f,\"lane_bytes\":%zu,"
               "\"idle_ops_a_node\":%.3f,\"idle_kb_a_node\":%.2f,\"buried_ms\":%" PRIu64
               ",\"rescued_ms\":%" PRIu64 ",\"joined_ms\":%" PRIu64 ",\"interrupted\":%" PRIu64
               ",\"fenced\":%" PRIu64 ",\"wall_ms\":%" PRIu64 "}\n"
             : "%zu nodes, %zu lanes, %d slots, jobs of %s: %" PRId64
               " (all done: %d), ideal %.1f s, took %.2f s: %.3f; imbalance %.2f s\n"
               "  ops a job %.6f (rows %.5f), ops/s %.0f, KB/s %.0f, server busy %.3f\n"
               "  claims/s %.1f of %.1f jobs; lane record %zu bytes; idle: %.3f ops/s and node, "
               "%.2f KB/s\n  buried %" PRIu64 " ms, rescued %" PRIu64 " ms, joined %" PRIu64
               " ms, interrupted %" PRIu64 ", fenced %" PRIu64 "; wall %" PRIu64 " ms\n";
    printf(format, plan->nodes, plan->lanes, plan->slots, scale_jobs_name(plan->jobs), plan->n_jobs,
           r->drained, (double)r->ideal_ms / 1e3, (double)r->drain_ms / 1e3,
           (double)r->drain_ms / (double)r->ideal_ms, r->imbalance_ms / 1e3, r->ops_a_job,
           r->row_ops_a_job, r->ops_a_second, r->kb_a_second, r->busy, r->claims_a_second,
           r->jobs_a_claim, r->lane_bytes_max, r->idle_ops_a_node, r->idle_kb_a_node, r->buried_ms,
           r->rescued_ms, r->joined_ms, r->interrupted, r->fenced, r->wall_ms);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct scale_plan plan = {.nodes = 10,
                              .slots = 2,
                              .jobs = JOBS_100MS,
                              .seed = 1,
                              .lanes = 1,
                              .idle_ms = 30000,
                              .server = scale_server_default};
    bool json = false;
    double ideal_s = 60;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 'n':
            plan.nodes = strtoull(optarg, NULL, 10);
            break;
        case 'j':
            plan.jobs = jobs_parse(optarg);
            break;
        case 's':
            plan.slots = (int32_t)strtol(optarg, NULL, 10);
            break;
        case 'i':
            ideal_s = strtod(optarg, NULL);
            break;
        case 'l':
            plan.lanes = strtoull(optarg, NULL, 10);
            break;
        case 'w':
            plan.wake_sure = true;
            break;
        case 'r':
            plan.seed = strtoull(optarg, NULL, 10);
            break;
        case 'a':
            plan.start_extra = strtoull(optarg, NULL, 10);
            break;
        case 'k':
            plan.kill = strtoull(optarg, NULL, 10);
            break;
        case 't':
            plan.trace = true;
            break;
        case 'J':
            json = true;
            break;
        default:
            return 2;
        }
    }
    int64_t slots = (int64_t)plan.nodes * plan.slots;
    plan.n_jobs = (int64_t)(ideal_s * 1000 / mean_ms[plan.jobs]) * slots;
    plan.n_jobs -= plan.n_jobs % (int64_t)plan.lanes;
    plan.drain_ms_max = (uint64_t)(ideal_s * 4000) + 60000;
    plan.start_after_ms = (uint64_t)(ideal_s * 300);
    plan.kill_after_ms = (uint64_t)(ideal_s * 500);
    struct scale_result result = scale_run(&plan);
    show(&plan, &result, json);
    return 0;
}
