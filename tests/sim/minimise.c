/* Making a broken run smaller: first the plan, field by field, each with a few seeds, as a smaller
 * plan has another history; then, the plan being fixed, the troubles, in ever smaller chunks (delta
 * debugging, Zeller and Hildebrandt 2002). One thread. */
#include "tests/sim/minimise.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS_TRIED = 25 };

struct search {
    struct finding *best;
    unsigned runs_left;
    uint64_t troubles; /* of the best */
};

static bool run(struct finding *finding, FILE *trace, struct cluster_tally *ret_tally,
                uint64_t *ret_troubles)
{
    struct cluster *cluster = cluster_new(&finding->plan, trace);
    if (finding->only != NULL)
        cluster_only(cluster, finding->only, finding->n_only);
    bool ok = cluster_run(cluster);
    snprintf(finding->broken, sizeof(finding->broken), "%s", cluster_broken(cluster));
    if (ret_tally != NULL)
        *ret_tally = *cluster_tally(cluster);
    *ret_troubles = cluster_troubles(cluster);
    cluster_free(cluster);
    return !ok;
}

bool finding_run(struct finding *finding, FILE *trace, struct cluster_tally *ret_tally)
{
    uint64_t troubles;
    return run(finding, trace, ret_tally, &troubles);
}

void finding_free(struct finding *finding)
{
    free(finding->only);
    finding->only = NULL;
}

/* Takes the candidate for the best when it breaks, too. */
static bool better(struct search *search, const struct finding *candidate)
{
    struct finding tried = *candidate;
    uint64_t troubles;
    if (search->runs_left == 0)
        return false;
    search->runs_left--;
    if (!run(&tried, NULL, NULL, &troubles))
        return false;
    *search->best = tried;
    search->troubles = troubles;
    return true;
}

/* ---- the plan ------------------------------------------------------------------------------ */

static bool plan_better(struct search *search, const struct plan_field *field, uint64_t value)
{
    struct finding candidate = *search->best;
    *(uint64_t *)((char *)&candidate.plan + field->offset) = value;
    if (candidate.plan.hosts > candidate.plan.nodes)
        candidate.plan.hosts = candidate.plan.nodes;
    uint64_t seed = candidate.plan.seed;
    for (uint64_t i = 0; i < SEEDS_TRIED; i++) {
        candidate.plan.seed = seed + i;
        if (better(search, &candidate))
            return true;
    }
    return false;
}

static bool field_smaller(struct search *search, const struct plan_field *field)
{
    uint64_t value = *(const uint64_t *)((const char *)&search->best->plan + field->offset);
    if (value <= field->least || field->offset == offsetof(struct cluster_plan, seed))
        return false;
    uint64_t half = value / 2 > field->least ? value / 2 : field->least;
    return plan_better(search, field, field->least) ||
           (half > field->least && plan_better(search, field, half)) ||
           (value < 10 && value - 1 > half && plan_better(search, field, value - 1));
}

static void plan_minimise(struct search *search)
{
    size_t n;
    const struct plan_field *fields = plan_fields(&n);
    for (bool smaller = true; smaller && search->runs_left > 0;) {
        smaller = false;
        for (size_t i = 0; i < n; i++)
            smaller = field_smaller(search, &fields[i]) || smaller;
    }
}

/* ---- the troubles -------------------------------------------------------------------------- */

/* Without those from `from` to `to`. */
static bool without(struct search *search, size_t from, size_t to)
{
    struct finding candidate = *search->best;
    size_t n = candidate.n_only - (to - from);
    uint64_t *old = search->best->only;
    candidate.only = malloc((n + 1) * sizeof(uint64_t));
    assert(candidate.only != NULL);
    memcpy(candidate.only, old, from * sizeof(uint64_t));
    memcpy(candidate.only + from, old + to, (candidate.n_only - to) * sizeof(uint64_t));
    candidate.n_only = n;
    bool taken = better(search, &candidate);
    free(taken ? old : candidate.only);
    return taken;
}

static void troubles_minimise(struct search *search)
{
    struct finding *best = search->best;
    best->n_only = search->troubles;
    best->only = malloc((best->n_only + 1) * sizeof(uint64_t));
    assert(best->only != NULL);
    for (size_t i = 0; i < best->n_only; i++)
        best->only[i] = i;
    for (size_t chunk = best->n_only; chunk > 0; chunk /= 2)
        for (size_t to = best->n_only; to > 0;) { /* the last ones first: they come too late */
            size_t from = to > chunk ? to - chunk : 0;
            without(search, from, to);
            to = from;
        }
}

void finding_minimise(struct finding *finding, unsigned runs_max)
{
    struct search search = {.best = finding, .runs_left = runs_max};
    if (!better(&search, finding))
        return;
    plan_minimise(&search);
    if (search.runs_left < runs_max / 4)
        search.runs_left = runs_max / 4;
    troubles_minimise(&search);
}

char *finding_arguments(const struct finding *finding)
{
    char plan[PLAN_TEXT_BYTES];
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert(out != NULL);
    plan_print(&finding->plan, plan, sizeof(plan));
    fprintf(out, "--plan '%s'", plan);
    if (finding->only != NULL)
        fputs(" --only ", out);
    for (size_t i = 0; finding->only != NULL && i < finding->n_only; i++)
        fprintf(out, "%s%" PRIu64, i > 0 ? "," : "", finding->only[i]);
    if (finding->only != NULL && finding->n_only == 0)
        fputs("none", out);
    fclose(out);
    return text;
}
