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
    bool then;  /* the states are those at the moment shown, not those of now */
};

/* What there was. */
struct jobs_page {
    struct jobs_ask ask; /* what it answers */
    struct job *jobs;
    size_t n;
    bool more;
    const struct job *detail; /* NULL: none, or it is gone */
    int64_t at_ms;            /* when it was read; 0: nothing was, yet */
    int64_t last_id;          /* of the last row read; 0: that of the last job */
    bool only_running;        /* there is no more to be had than jobs that ran then */
    struct arena mem;
};

struct moment;

/* Makes a page of the jobs that ran at that moment: all that a recording tells of jobs. What was in
 * it before is released. */
void jobs_of_moment(const struct moment *moment, const struct jobs_ask *ask,
                    struct jobs_page *page);

/* Makes a page of what rows read now tell of an earlier moment. An outcome is final: so what had
 * ended by then had ended as it has now. Of the others the moment tells which ran; the rest waited.
 * What came after it is left out: outcomes, attempts; and jobs submitted later, unless all are
 * asked for (created_ms tells them). run 0: it cannot be told. Borrows from `now`. */
void jobs_then(const struct moment *moment, const struct jobs_page *now, struct jobs_page *page);

/* Which rows to read for what is asked. */
uint32_t jobs_states_read(const struct jobs_ask *ask);

#endif
