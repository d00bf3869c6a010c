/* Jobs of a moment that no store can be asked about (observer/jobs.h). Pure. */
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
