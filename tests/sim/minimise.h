/* A run that broke an invariant, made small enough to be read: fewer nodes, jobs, kinds of trouble,
 * and of what is left only the troubles without which it does not break. */
#ifndef STINT_SIM_MINIMISE_H
#define STINT_SIM_MINIMISE_H

#include "tests/sim/cluster.h"

struct finding {
    struct cluster_plan plan;
    uint64_t *only; /* numbers of the troubles that happen, ascending; NULL: all */
    size_t n_only;
    char broken[256];
};

/* Runs it. True: an invariant is broken, and finding->broken says which. ret_tally may be NULL. */
bool finding_run(struct finding *finding, FILE *trace, struct cluster_tally *ret_tally);

/* Makes it smaller for as long as it stays broken and `runs_max` runs have not been made. Any
 * invariant will do: what matters is that one is broken. */
void finding_minimise(struct finding *finding, unsigned runs_max);

void finding_free(struct finding *finding);

/* The arguments of the simulator that run it again. To be freed by the caller. */
char *finding_arguments(const struct finding *finding);

#endif
