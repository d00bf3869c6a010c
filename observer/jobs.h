/* Jobs are too many to be kept: the view says which it wants to see, and gets a page of them. */
#ifndef STINT_OBSERVER_JOBS_H
#define STINT_OBSERVER_JOBS_H

#include "datastore/arena.h"
#include "datastore/records.h"

/* What is wanted; compared as it is, so zeroed before it is filled. */
struct jobs_ask {
    int64_t a, b;     /* only stored ids of [a, b), of one lane; a == b: all */
    int64_t after_id; /* rows past this in the order asked for; 0: from the start */
    int64_t detail;   /* a job to be shown whole; 0: none */
    uint32_t states;  /* bits 1 << enum job_state; 0: all */
    uint32_t rows;    /* 0: nothing is wanted */
    bool oldest_first;
    bool brief; /* without payloads and output */
};

/* What there was. */
struct jobs_page {
    struct jobs_ask ask; /* what it answers */
    struct job *jobs;
    size_t n;
    bool more;
    const struct job *detail; /* NULL: none, or it is gone */
    int64_t at_ms;            /* when it was read; 0: nothing was, yet */
    bool only_running;        /* there is no more to be had than jobs that ran then */
    struct arena mem;
};

struct moment;

/* Makes a page of the jobs that ran at that moment: all that a recording tells of jobs. What was in
 * it before is released. */
void jobs_of_moment(const struct moment *moment, const struct jobs_ask *ask,
                    struct jobs_page *page);

#endif
