/* What all backends share: names of steps, and the plain way to carry out a run or one step.
 * Pure but for the backend called; thread: the handle's. */
#include "datastore/datastore.h"

#include <assert.h>

static const struct {
    const char *name;
    bool writes;
} kinds[DS_KINDS] = {
#define X(kind, member, is_write) [kind] = {#member, is_write},
    DS_STEP_MAP(X)
#undef X
};

const char *ds_kind_name(enum ds_kind kind)
{
    return (unsigned)kind < DS_KINDS ? kinds[kind].name : "?";
}

bool ds_kind_writes(enum ds_kind kind)
{
    assert((unsigned)kind < DS_KINDS);
    return kinds[kind].writes;
}

bool ds_kind_rings(enum ds_kind kind)
{
    switch (kind) {
    case DS_QUEUE_SET:
    case DS_LANE_OPEN:
    case DS_INSERT:
    case DS_RETURN:
    case DS_LANE_BURY:
    case DS_NODE_ASK:
    case DS_NODE_KILL:
    case DS_FINISH:
    case DS_CANCEL:
        return true;
    default:
        return false;
    }
}

bool ds_code_is_trouble(int rc)
{
    return rc != 0 && rc != ERR_NOT_FOUND && rc != ERR_CONFLICT && rc != ERR_DUPLICATE &&
           rc != ERR_BUSY && rc != ERR_SKIPPED;
}

bool ds_run_writes(const struct ds_run *run)
{
    for (size_t i = 0; i < run->n_steps; i++)
        if (ds_kind_writes(run->steps[i].kind))
            return true;
    return false;
}

int ds_run_code(const struct ds_run *run)
{
    for (size_t i = 0; i < run->n_steps; i++)
        if (run->steps[i].rc != 0 && !run->steps[i].independent)
            return run->steps[i].rc;
    return 0;
}

int ds_copying_refuse(const struct meta *meta, const char *shown, struct error *err)
{
    if (meta->copying[0] == '\0')
        return 0;
    return error_set(err, ERR_REFUSED,
                     "%.150s: an unfinished copy of %.200s; run `stint store copy` again to "
                     "complete it",
                     shown, meta->copying);
}

int datastore_run(struct datastore *ds, struct ds_run *run)
{
    assert(run->n_steps >= 1 && run->n_steps <= LIMIT_RUN_STEPS);
    ds->class->run(ds, &run, 1);
    return ds_run_code(run);
}

int datastore_step(struct datastore *ds, struct ds_step *step, struct arena *mem, struct error *err)
{
    struct ds_run run = {.steps = step, .n_steps = 1, .mem = *mem};
    ds->class->run(ds, &(struct ds_run *){&run}, 1);
    *mem = run.mem;
    if (step->rc != 0 && err != NULL)
        *err = run.err.code != 0
                   ? run.err
                   : (error_set(&run.err, step->rc, "%s", error_text(step->rc)), run.err);
    return step->rc;
}

bool ds_history_read_valid(const struct ds_history_read *read)
{
    return read->rows_max >= 1 && (read->node != 0 || (read->from_ms == 0 && read->until_ms == 0));
}
