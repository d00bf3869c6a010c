/* Wishes (observer/wishes.h). Each step is guarded by the store and harmless when tried again; what
 * is lost on the way is told, and up to the person to wish again. Thread: the caller's. */
#include "observer/wishes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "observer/text.h"

struct errand {
    struct ui *ui;
    struct ds_run run;
    struct ds_step steps[LIMIT_RUN_STEPS];
    char done[160]; /* what to tell when it is */
};

static void errand_done(struct ds_run *run, void *ctx)
{
    struct errand *errand = ctx;
    size_t cancelled = 0, ended = 0;
    int rc = 0;
    for (size_t i = 0; i < run->n_steps; i++) {
        const struct ds_step *step = &run->steps[i];
        cancelled += step->kind == DS_CANCEL && step->rc == 0 ? 1 : 0;
        ended += step->kind == DS_CANCEL && step->rc == ERR_CONFLICT ? 1 : 0;
        if (rc == 0 && (step->kind != DS_NODE_ASK || run->n_steps == 1) && step->rc != 0 &&
            !(step->kind == DS_CANCEL && step->rc == ERR_CONFLICT))
            rc = step->rc;
    }
    if (rc != 0)
        ui_tell(errand->ui, "it may not have been done: %s",
                run->err.code != 0 ? run->err.text : error_text(rc));
    else if (run->steps[0].kind == DS_CANCEL)
        ui_tell(errand->ui, "%zu cancelled, %zu had ended before", cancelled, ended);
    else
        ui_tell(errand->ui, "%s", errand->done);
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

/* The row first; then whoever may run it is asked to end it, or not to start it. */
static size_t cancel_make(struct errand *errand, int64_t job, const struct moment *moment)
{
    size_t n = 0;
    errand->steps[n++] =
        (struct ds_step){.kind = DS_CANCEL, .independent = true, .cancel = {.id = job}};
    for (size_t i = 0; i < moment->n_live && n < LIMIT_RUN_STEPS; i++) {
        const struct node *node = &moment->nodes[i].node;
        bool holds = false;
        for (size_t k = 0; k < node->n_ranges && !holds; k++)
            holds = range_holds(node->ranges[k].range, job);
        if (holds)
            errand->steps[n++] = (struct ds_step){
                .kind = DS_NODE_ASK,
                .independent = true,
                .node_ask = {.node = node->id,
                             .add_request = true,
                             .request = {.kind = REQUEST_CANCEL, .id = job}},
            };
    }
    return n;
}

static void errand_push(struct async *async, struct errand *errand, size_t n)
{
    errand->run.steps = errand->steps;
    errand->run.n_steps = n;
    errand->run.done = errand_done;
    errand->run.ctx = errand;
    if (n > 0 && async_push(async, &errand->run) == 0)
        return;
    ui_tell(errand->ui, n > 0 ? "too much is under way: try again" : "it is not there any more");
    free(errand);
}

static struct errand *errand_new(struct ui *ui)
{
    struct errand *errand = calloc(1, sizeof(*errand));
    if (errand == NULL)
        abort();
    errand->ui = ui;
    return errand;
}

void wish_start(struct async *async, struct ui *ui, const struct moment *moment,
                const struct wish *wish, const char *who)
{
    if (wish->kind == WISH_JOB_CANCEL) {
        for (size_t i = 0; i < wish->n_jobs; i++) {
            struct errand *errand = errand_new(ui);
            errand_push(async, errand, cancel_make(errand, wish->jobs[i], moment));
        }
        return;
    }
    struct errand *errand = errand_new(ui);
    bool queue = wish->kind == WISH_QUEUE_PAUSE || wish->kind == WISH_QUEUE_RUN;
    errand_push(async, errand,
                queue ? queue_make(errand, wish, moment, who) : node_make(errand, wish, moment));
}
