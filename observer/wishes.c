/* Wishes (observer/wishes.h). Each step is guarded by the store and harmless when tried again; what
 * is lost on the way is told, and up to the person to wish again. Thread: the caller's. */
#include "observer/wishes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observer/text.h"

/* What came of all jobs that were to be cancelled at once. */
struct tally {
    size_t errands; /* still under way */
    size_t cancelled, ended, not_known;
    char why[160]; /* of one of those not known */
};

struct errand {
    struct ui *ui;
    struct tally *tally; /* NULL: it is no cancel; the last errand frees it */
    struct ds_run run;
    struct ds_step steps[LIMIT_RUN_STEPS];
    char done[160]; /* what to tell when it is */
};

static void tally_over(struct ui *ui, struct tally *tally)
{
    if (--tally->errands > 0)
        return;
    if (tally->not_known > 0)
        ui_tell(ui, "%zu cancelled, %zu had ended before, %zu may not have been: %s",
                tally->cancelled, tally->ended, tally->not_known, tally->why);
    else
        ui_tell(ui, "%zu cancelled, %zu had ended before", tally->cancelled, tally->ended);
    ui_tell_held(ui);
    free(tally);
}

static void cancel_done(struct ds_run *run, void *ctx)
{
    struct errand *errand = ctx;
    struct tally *tally = errand->tally;
    for (size_t i = 0; i < run->n_steps; i++) {
        const struct ds_step *step = &run->steps[i];
        if (step->kind != DS_CANCEL)
            continue;
        size_t *count = step->rc == 0              ? &tally->cancelled
                        : step->rc == ERR_CONFLICT ? &tally->ended
                                                   : &tally->not_known;
        ++*count;
        if (count == &tally->not_known)
            snprintf(tally->why, sizeof(tally->why), "%.150s",
                     run->err.code != 0 ? run->err.text : error_text(step->rc));
    }
    tally_over(errand->ui, tally);
    arena_release(&run->mem);
    free(errand);
}

static void errand_done(struct ds_run *run, void *ctx)
{
    struct errand *errand = ctx;
    int rc = run->steps[0].rc;
    if (rc != 0)
        ui_tell(errand->ui, "it may not have been done: %s",
                run->err.code != 0 ? run->err.text : error_text(rc));
    else
        ui_tell(errand->ui, "%s", errand->done);
    ui_tell_held(errand->ui);
    arena_release(&run->mem);
    free(errand);
}

static size_t node_make(struct errand *errand, const struct wish *wish, const struct moment *moment)
{
    int32_t at = moment_node_index(moment, wish->node);
    enum node_desired desired = wish->kind == WISH_NODE_PAUSE  ? DESIRED_PAUSED
                                : wish->kind == WISH_NODE_STOP ? DESIRED_STOPPED
                                                               : DESIRED_RUN;
    snprintf(errand->done, sizeof(errand->done), "node %s was asked to %s",
             at >= 0 ? moment->nodes[at].node.name : "?",
             desired == DESIRED_PAUSED    ? "pause"
             : desired == DESIRED_STOPPED ? "stop"
                                          : "go on");
    errand->steps[0] = (struct ds_step){
        .kind = DS_NODE_ASK,
        .node_ask = {.node = wish->node, .set_desired = true, .desired = desired},
    };
    return 1;
}

static size_t queue_make(struct errand *errand, const struct wish *wish,
                         const struct moment *moment, const char *who)
{
    for (size_t i = 0; i < moment->n_queues; i++) {
        if (strcmp(moment->queues[i].queue.name, wish->queue) != 0)
            continue;
        errand->steps[0] = (struct ds_step){
            .kind = DS_QUEUE_SET,
            .queue_set = {.queue = moment->queues[i].queue, .alter_only = true},
        };
        struct queue *queue = &errand->steps[0].queue_set.queue;
        queue->paused = wish->kind == WISH_QUEUE_PAUSE;
        snprintf(queue->changed_by, sizeof(queue->changed_by), "%s", who);
        snprintf(errand->done, sizeof(errand->done), "queue %s is %s", wish->queue,
                 queue->paused ? "paused" : "open again");
        return 1;
    }
    return 0;
}

static struct errand *errand_new(struct ui *ui)
{
    struct errand *errand = calloc(1, sizeof(*errand));
    if (errand == NULL)
        abort();
    errand->ui = ui;
    return errand;
}

/* False: nothing will come of it. */
static bool errand_push(struct async *async, struct errand *errand,
                        void (*done)(struct ds_run *run, void *ctx))
{
    errand->run.steps = errand->steps;
    errand->run.done = done;
    errand->run.ctx = errand;
    return async_push(async, &errand->run) == 0;
}

/* The row first; then whoever may run it is asked to end it, or not to start it. False: it does not
 * fit in beside the others. */
static bool cancel_add(struct errand *errand, int64_t job, const struct moment *moment)
{
    size_t n = errand->run.n_steps, first = n;
    if (n == LIMIT_RUN_STEPS)
        return false;
    errand->steps[n++] =
        (struct ds_step){.kind = DS_CANCEL, .independent = true, .cancel = {.id = job}};
    for (size_t i = 0; i < moment->n_live; i++) {
        const struct node *node = &moment->nodes[i].node;
        bool holds = false;
        for (size_t k = 0; k < node->n_ranges && !holds; k++)
            holds = range_holds(node->ranges[k].range, job);
        if (!holds)
            continue;
        if (n == LIMIT_RUN_STEPS && first > 0)
            return false;
        if (n < LIMIT_RUN_STEPS)
            errand->steps[n++] = (struct ds_step){
                .kind = DS_NODE_ASK,
                .independent = true,
                .node_ask = {.node = node->id,
                             .add_request = true,
                             .request = {.kind = REQUEST_CANCEL, .id = job}},
            };
    }
    errand->run.n_steps = n;
    return true;
}

/* As many jobs as fit go together: all that can be marked are few runs. */
static void cancel_start(struct async *async, struct ui *ui, const struct moment *moment,
                         const struct wish *wish)
{
    struct tally *tally = calloc(1, sizeof(*tally));
    if (tally == NULL)
        abort();
    tally->errands = 1; /* this one, until all are under way */
    for (size_t i = 0; i < wish->n_jobs;) {
        struct errand *errand = errand_new(ui);
        size_t first = i;
        errand->tally = tally;
        while (i < wish->n_jobs && cancel_add(errand, wish->jobs[i], moment))
            i++;
        if (errand_push(async, errand, cancel_done)) {
            tally->errands++;
            continue;
        }
        tally->not_known += i - first;
        snprintf(tally->why, sizeof(tally->why), "too much is under way: try again");
        free(errand);
    }
    tally_over(ui, tally);
}

void wish_start(struct async *async, struct ui *ui, const struct moment *moment,
                const struct wish *wish, const char *who)
{
    if (wish->kind == WISH_JOB_CANCEL) {
        cancel_start(async, ui, moment, wish);
        return;
    }
    struct errand *errand = errand_new(ui);
    bool queue = wish->kind == WISH_QUEUE_PAUSE || wish->kind == WISH_QUEUE_RUN;
    size_t n = queue ? queue_make(errand, wish, moment, who) : node_make(errand, wish, moment);
    errand->run.n_steps = n;
    if (n > 0 && errand_push(async, errand, errand_done))
        return;
    ui_tell(ui, n > 0 ? "too much is under way: try again" : "it is not there any more");
    free(errand);
}
