/* Jobs of a moment that no store can be asked about, or that is over (observer/jobs.h). Pure. */
#include "observer/jobs.h"

#include <stdlib.h>

#include "observer/moment.h"

static int by_id(const void *a, const void *b)
{
    const struct job *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_id_down(const void *a, const void *b)
{
    return by_id(b, a);
}

void jobs_of_moment(const struct moment *moment, const struct jobs_ask *ask, struct jobs_page *page)
{
    size_t n = 0;
    arena_release(&page->mem);
    *page = (struct jobs_page){.ask = *ask, .at_ms = moment->at_ms, .only_running = true};
    page->ask.brief = false;
    for (size_t i = 0; i < moment->n_nodes; i++)
        n += moment->nodes[i].node.n_running;
    page->jobs = arena_alloc(&page->mem, (n + 1) * sizeof(*page->jobs));
    for (size_t i = 0; i < moment->n_nodes; i++) {
        const struct node *node = &moment->nodes[i].node;
        for (size_t k = 0; k < node->n_running; k++)
            page->jobs[page->n++] = (struct job){
                .id = node->running[k].id,
                .state = JOB_QUEUED, /* as its row would say */
                .run = node->running[k].run,
                .type = arena_string(&page->mem, node->running[k].type),
                .started_ms = node->running[k].started_ms,
            };
    }
    qsort(page->jobs, page->n, sizeof(*page->jobs), ask->oldest_first ? by_id : by_id_down);
    for (size_t i = 0; i < page->n; i++)
        if (page->jobs[i].id == ask->detail)
            page->detail = &page->jobs[i];
}

/* ---- rows of now, seen from then ------------------------------------------------------------- */

/* Who had waited by then may have ended since. */
uint32_t jobs_states_read(const struct jobs_ask *ask)
{
    return ask->then && (ask->states & 1U << JOB_QUEUED) != 0 ? 0 : ask->states;
}

/* How it ran then; NULL: it was not seen to. */
static const struct node_running *running_of(const struct moment *moment, int64_t id)
{
    for (size_t i = 0; i < moment->n_nodes; i++)
        for (size_t k = 0; k < moment->nodes[i].node.n_running; k++)
            if (moment->nodes[i].node.running[k].id == id)
                return &moment->nodes[i].node.running[k];
    return NULL;
}

/* Earlier runs that were over by then, as an ending that has nothing else. */
static const struct job_ending *ending_then(const struct job *job, int64_t at_ms, size_t *ret_n,
                                            struct arena *mem)
{
    size_t n = 0;
    while (job->ending != NULL && n < job->ending->n_trace &&
           job->ending->trace[n].finished_ms <= at_ms)
        n++;
    *ret_n = n;
    if (n == 0)
        return NULL;
    struct job_ending *ending = arena_alloc(mem, sizeof(*ending));
    *ending = (struct job_ending){.exit_code = -1, .trace = job->ending->trace, .n_trace = n};
    return ending;
}

static struct job job_then(const struct moment *moment, const struct job *job, struct arena *mem)
{
    struct job then = *job;
    bool ended = job_state_finished(job->state);
    if (ended && job->finished_ms <= moment->at_ms)
        return then;
    const struct node_running *running = running_of(moment, job->id);
    bool last_run = ended && job->started_ms != 0 && job->started_ms <= moment->at_ms;
    bool all_runs = job->ending != NULL && (int64_t)job->ending->n_trace == job->run - 1;
    size_t n_over;
    then.ending = ending_then(job, moment->at_ms, &n_over, mem);
    then.interruptions = 0;
    for (size_t i = 0; i < n_over; i++)
        then.interruptions += then.ending->trace[i].interrupted ? 1 : 0;
    /* In these two states a job is from the start, or after a run that failed. */
    if (ended || job->run > 1)
        then.state = JOB_QUEUED;
    then.run = running != NULL             ? running->run
               : last_run || job->run == 1 ? job->run
               : all_runs                  ? (int32_t)n_over + 1
                                           : 0;
    then.started_ms = last_run ? job->started_ms : running != NULL ? running->started_ms : 0;
    then.node = last_run ? job->node : 0;
    then.finished_ms = 0;
    return then;
}

void jobs_then(const struct moment *moment, const struct jobs_page *now, struct jobs_page *page)
{
    arena_release(&page->mem);
    struct arena mem = {0};
    *page = *now;
    page->jobs = arena_alloc(&mem, (now->n + 1) * sizeof(*page->jobs));
    page->last_id = now->n > 0 ? now->jobs[now->n - 1].id : 0;
    page->n = 0;
    for (size_t i = 0; i < now->n; i++) {
        const struct job *job = &now->jobs[i];
        struct job then = job_then(moment, job, &mem);
        bool there = job->created_ms <= moment->at_ms;
        if (now->ask.states == 0 || (there && (now->ask.states & 1U << then.state) != 0))
            page->jobs[page->n++] = then;
    }
    if (now->detail != NULL) {
        struct job *detail = arena_alloc(&mem, sizeof(*detail));
        *detail = job_then(moment, now->detail, &mem);
        page->detail = detail;
    }
    page->mem = mem;
}
