/* Reading the datastore for the observer (observer/feed.h).
 *
 *   reading   nodes, lanes, queues: every poll_ms. Living nodes only; all of them when one is
 *             missing, and once in a while
 *   history   versions of a stretch of time: from before we came, once; what was missed in an
 *             outage; what was earlier, when somebody goes there. Of the nodes that have records,
 *             as these stay for a day; of longer ago, of all that have versions
 *   stints    finished ranges of lanes in which something ended, from the newest down, in the
 *             stretches of ids of which none is known; at leisure, as there may be millions
 *   jobs      the page that is looked at, as long as it is
 *
 * One run of each kind is under way at most. Thread: the caller's. */
#include "observer/feed.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "datastore/error.h"
#include "observer/array.h"
#include "observer/reading.h"

enum {
    ALL_NODES_MS = 10000,          /* between readings of dead ones, too */
    HISTORY_ROWS = 1024,           /* of a page of one node */
    HISTORY_STEPS = READING_STEPS, /* nodes of one run */
    EARLIER_MS_MIN = 600000,
    MISSED_MS = 120000,        /* how long before an outage to begin again */
    RECORDS_MS = 23 * 3600000, /* dead nodes have their records so long */
    STINTS_PAGE = 2048,
    WIDTH_MIN = 1024, /* ids, as above */
    WIDTH_FIRST = 1 << 16,
    STINTS_GAPS = READING_STEPS, /* stretches of ids of one run */
    STINTS_EMPTY_MAX = 64,       /* runs that found nothing, and then a lane is left for later */
    STINTS_REST = 8,             /* so many times as long as a full page took, there is none */
    STINTS_REST_MS_MAX = 500,
    RETRY_MS = 1000,
    TAP_BEFORE_MS = 120000, /* a whole version is no longer ago than a minute */
};

struct unread {
    int64_t node;
    int64_t after_seq; /* its rows past this are still to be read */
};

/* A stretch of time whose versions are read, node by node. */
struct pass {
    bool under_way;
    int64_t from_ms, until_ms; /* as in DS_HISTORY_READ */
    bool listing;              /* all nodes that have versions are still to be found */
    struct unread *nodes;      /* theirs */
    size_t n_nodes, max;
    size_t next;  /* those before have been read */
    bool tap;     /* what is read is new */
    bool earlier; /* there was something before it */
};

/* Reading the finished ranges of a lane. */
struct lane_reading {
    bool due;               /* something ended since the last round began */
    bool under_way;         /* a round is */
    int64_t below;          /* where it goes on, downward: a sequence number */
    int64_t width;          /* ids asked about at a time: about as many as a page tells of */
    int empty;              /* runs of this round that found nothing, one after another */
    struct stint_row total; /* at the last reading */
    int64_t head;           /* likewise */
};

struct reader {
    struct feed *feed;
    struct ds_run run;
    struct ds_step steps[READING_STEPS];
    bool under_way;
    uint64_t due_ms;
};

struct feed {
    struct async *async;
    struct past *past;
    struct feed_config config;
    struct feed_tap tap;
    uint64_t now_ms;
    int64_t store_ahead_ms; /* the store's clock, against ours */
    bool lost;              /* the store cannot be read */
    int64_t from_ms;        /* since then the past is read; 0: nothing was read yet */
    int64_t lost_ms;        /* since then something was missed; 0: nothing was */

    struct reader reading;
    uint64_t all_at_ms; /* when all nodes were read last */
    bool want_all;
    size_t n_live;  /* at the last reading */
    int64_t *nodes; /* at the last one of all */
    size_t n_nodes, nodes_max;
    bool nodes_old; /* others may have come meanwhile */

    struct reader history;
    struct pass pass;
    bool first_passed; /* the first one has begun */
    bool all_read;     /* there is nothing earlier, or no room for it */

    struct reader stints;
    struct lane_reading *lanes; /* by number */
    int32_t n_lanes, lanes_max;
    int32_t lane_next;        /* whose turn it is */
    uint64_t stints_began_ms; /* the run under way */
    bool stints_more;         /* it asks about a part of a stretch */

    struct reader jobs;
    struct jobs_ask ask, asked; /* wanted; under way */
    struct jobs_page page;
};

static int64_t utc_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t feed_store_ms(const struct feed *feed)
{
    return utc_ms() + feed->store_ahead_ms;
}

/* ---- trouble -------------------------------------------------------------------------------- */

static void trouble(struct feed *feed, const struct ds_run *run, int rc)
{
    const char *why = run->err.code != 0 ? run->err.text : error_text(rc);
    int64_t at_ms = feed_store_ms(feed);
    if (!feed->lost && feed->tap.trouble != NULL)
        feed->tap.trouble(feed->tap.ctx, at_ms, why);
    if (!feed->lost && feed->lost_ms == 0)
        feed->lost_ms = at_ms;
    feed->nodes_old = true;
    feed->all_at_ms = 0;
    feed->lost = true;
    past_add_trouble(feed->past, at_ms, why);
}

/* True when it is to be used; its results are released by reader_over. */
static bool returned(struct reader *reader)
{
    int rc = ds_run_code(&reader->run);
    reader->under_way = false;
    if (rc != 0) {
        trouble(reader->feed, &reader->run, rc);
        reader->due_ms = reader->feed->now_ms + RETRY_MS;
    }
    return rc == 0;
}

static void reader_over(struct reader *reader)
{
    arena_release(&reader->run.mem);
}

static void reader_push(struct reader *reader, size_t n_steps,
                        void (*done)(struct ds_run *run, void *ctx))
{
    reader->run.steps = reader->steps;
    reader->run.n_steps = n_steps;
    reader->run.done = done;
    reader->run.ctx = reader;
    reader->run.err = (struct error){0};
    if (async_push(reader->feed->async, &reader->run) == 0)
        reader->under_way = true;
    else
        reader->due_ms = reader->feed->now_ms + RETRY_MS;
}

/* ---- now ------------------------------------------------------------------------------------ */

static void nodes_note(struct feed *feed, const struct past_reading *reading)
{
    feed->n_nodes = 0;
    feed->nodes_old = false;
    for (size_t i = 0; i < reading->n_nodes; i++) {
        feed->nodes =
            array_grown(feed->nodes, feed->n_nodes, &feed->nodes_max, sizeof(*feed->nodes));
        feed->nodes[feed->n_nodes++] = reading->nodes[i].id;
    }
}

static struct lane_reading *lane_reading(struct feed *feed, int32_t number)
{
    if (number < 0 || number >= LIMIT_LANES)
        return NULL;
    if (number >= feed->lanes_max) {
        int32_t max = 2 * (number + 1);
        feed->lanes = realloc(feed->lanes, (size_t)max * sizeof(*feed->lanes));
        if (feed->lanes == NULL)
            abort();
        memset(feed->lanes + feed->lanes_max, 0,
               (size_t)(max - feed->lanes_max) * sizeof(*feed->lanes));
        feed->lanes_max = max;
    }
    feed->n_lanes = number < feed->n_lanes ? feed->n_lanes : number + 1;
    return &feed->lanes[number];
}

static bool same_total(const struct stint_row *a, const struct stint_row *b)
{
    return a->done == b->done && a->failed == b->failed && a->cancelled == b->cancelled &&
           a->last_finish_ms == b->last_finish_ms && a->range.a == b->range.a &&
           a->range.b == b->range.b;
}

/* Where sums or heads have changed, there may be finished ranges. */
static void lanes_note(struct feed *feed, const struct past_reading *reading)
{
    for (size_t i = 0; i < reading->n_lanes; i++) {
        struct lane_reading *lane = lane_reading(feed, reading->lanes[i].number);
        if (lane == NULL || lane->head == reading->lanes[i].head)
            continue;
        lane->head = reading->lanes[i].head;
        lane->due = true;
    }
    for (size_t i = 0; i < reading->n_totals; i++) {
        const struct stint_row *total = &reading->totals[i];
        struct lane_reading *lane = lane_reading(feed, id_lane(total->range.a));
        if (lane == NULL || same_total(&lane->total, total))
            continue;
        lane->total = *total;
        lane->due = true;
    }
    /* Of ranges that led nowhere the sums say nothing. */
    for (int32_t i = 0; reading->all && i < feed->n_lanes; i++)
        feed->lanes[i].due = true;
}

static void reading_done(struct ds_run *run, void *ctx)
{
    struct reader *reader = ctx;
    struct feed *feed = reader->feed;
    if (returned(reader)) {
        int64_t now_ms = utc_ms();
        struct past_reading reading = reading_of(run->steps, now_ms + feed->store_ahead_ms);
        feed->store_ahead_ms = reading.at_ms - now_ms;
        if (feed->from_ms == 0) {
            feed->from_ms = reading.at_ms - feed->config.since_ms;
            feed->from_ms = feed->from_ms > 1 ? feed->from_ms : 1;
            past_since(feed->past, feed->from_ms);
        }
        if (reading.all)
            nodes_note(feed, &reading);
        if (feed->tap.reading != NULL)
            feed->tap.reading(feed->tap.ctx, &reading);
        past_add_reading(feed->past, &reading);
        feed->want_all = !reading.all && reading.n_nodes < feed->n_live;
        if (!reading.all)
            feed->n_live = reading.n_nodes;
        feed->lost = false;
        lanes_note(feed, &reading);
        reader->due_ms = feed->want_all ? 0 : feed->now_ms + feed->config.poll_ms;
    }
    reader_over(reader);
}

static void reading_start(struct feed *feed)
{
    bool all =
        feed->want_all || feed->all_at_ms == 0 || feed->now_ms - feed->all_at_ms >= ALL_NODES_MS;
    if (all)
        feed->all_at_ms = feed->now_ms;
    reading_ask(feed->reading.steps, all);
    reader_push(&feed->reading, READING_STEPS, reading_done);
}

/* ---- before --------------------------------------------------------------------------------- */

static void pass_begin(struct feed *feed, int64_t from_ms, int64_t until_ms, bool listing)
{
    struct pass *pass = &feed->pass;
    pass->under_way = true;
    pass->from_ms = from_ms > 1 ? from_ms : 1;
    pass->until_ms = until_ms;
    pass->listing = listing || feed->n_nodes > LIMIT_NODES;
    pass->n_nodes = pass->next = 0;
    pass->tap = until_ms == 0;
    pass->earlier = false;
    for (size_t i = 0; i < feed->n_nodes && !pass->listing; i++) {
        pass->nodes = array_grown(pass->nodes, pass->n_nodes, &pass->max, sizeof(*pass->nodes));
        pass->nodes[pass->n_nodes++] = (struct unread){feed->nodes[i], 0};
    }
    past_versions_again(feed->past);
}

static void pass_end(struct feed *feed)
{
    struct pass *pass = &feed->pass;
    pass->under_way = false;
    if (pass->until_ms != 0 && !pass->earlier)
        feed->all_read = true;
}

enum feed_earlier feed_earlier(struct feed *feed)
{
    if (!feed_caught_up(feed))
        return FEED_EARLIER_BUSY;
    int64_t span_ms = feed_store_ms(feed) - feed->from_ms;
    int64_t from_ms = feed->from_ms - (span_ms > EARLIER_MS_MIN ? span_ms : EARLIER_MS_MIN);
    if (feed->all_read || feed->from_ms <= 1 || !past_since(feed->past, from_ms))
        return FEED_EARLIER_NONE;
    pass_begin(feed, from_ms, feed->from_ms, true);
    feed->from_ms = feed->pass.from_ms;
    return FEED_EARLIER_ASKED;
}

bool feed_caught_up(const struct feed *feed)
{
    return feed->from_ms != 0 && !feed->pass.under_way && feed->lost_ms == 0 && !feed->lost &&
           feed->first_passed && !feed->nodes_old;
}

static void nodes_found(struct feed *feed, const struct ds_history_read *read)
{
    struct pass *pass = &feed->pass;
    pass->listing = read->ret_n > 0;
    if (!pass->listing)
        return;
    pass->nodes = array_grown(pass->nodes, pass->n_nodes, &pass->max, sizeof(*pass->nodes));
    pass->nodes[pass->n_nodes++] = (struct unread){read->ret_rows[0].node, 0};
}

/* A page of the node at that place among them. */
static void versions_take(struct feed *feed, const struct ds_history_read *read, size_t at)
{
    struct pass *pass = &feed->pass;
    for (size_t i = 0; i < read->ret_n; i++) {
        const struct history_row *row = &read->ret_rows[i];
        pass->earlier = pass->earlier || row->at_ms <= pass->from_ms;
        /* Older ones are read for what they say of the time where the past begins. */
        if (pass->tap && feed->tap.version != NULL && row->at_ms >= feed->from_ms - TAP_BEFORE_MS)
            feed->tap.version(feed->tap.ctx, row);
        past_add_version(feed->past, row);
    }
    struct unread unread = pass->nodes[at];
    if (read->ret_n == read->rows_max) {
        pass->nodes[at].after_seq = read->ret_rows[read->ret_n - 1].seq;
    } else {
        pass->nodes[at] = pass->nodes[pass->next];
        pass->nodes[pass->next++] = unread;
    }
}

static void history_done(struct ds_run *run, void *ctx)
{
    struct reader *reader = ctx;
    struct feed *feed = reader->feed;
    if (returned(reader)) {
        size_t from = feed->pass.next;
        if (feed->pass.listing)
            nodes_found(feed, &run->steps[0].history_read);
        else
            for (size_t i = 0; i < run->n_steps; i++)
                versions_take(feed, &run->steps[i].history_read, from + i);
        if (!feed->pass.listing && feed->pass.next == feed->pass.n_nodes)
            pass_end(feed);
        reader->due_ms = feed->now_ms;
    }
    reader_over(reader);
}

/* The next stretch to be read; false: none is. */
static bool pass_due(struct feed *feed)
{
    if (feed->pass.under_way)
        return true;
    bool old = feed_store_ms(feed) - feed->from_ms > RECORDS_MS;
    if (!feed->first_passed)
        pass_begin(feed, feed->from_ms, 0, old);
    else if (feed->lost_ms != 0)
        pass_begin(feed, feed->lost_ms - MISSED_MS, 0, old);
    feed->first_passed = true;
    feed->lost_ms = 0;
    return feed->pass.under_way;
}

static void history_start(struct feed *feed)
{
    size_t n = 0;
    if (feed->nodes_old || !pass_due(feed))
        return;
    const struct pass *pass = &feed->pass;
    if (pass->listing)
        feed->history.steps[n++] = (struct ds_step){
            .kind = DS_HISTORY_READ,
            .history_read = {.after_node =
                                 pass->n_nodes > 0 ? pass->nodes[pass->n_nodes - 1].node : 0,
                             .rows_max = 1},
        };
    for (size_t i = pass->next; !pass->listing && i < pass->n_nodes && n < HISTORY_STEPS; i++)
        feed->history.steps[n++] = (struct ds_step){
            .kind = DS_HISTORY_READ,
            .history_read = {.node = pass->nodes[i].node,
                             .after_seq = pass->nodes[i].after_seq,
                             .from_ms = pass->from_ms,
                             .until_ms = pass->until_ms,
                             .rows_max = HISTORY_ROWS},
        };
    if (n == 0)
        pass_end(feed);
    else
        reader_push(&feed->history, n, history_done);
}

/* ---- finished ranges ------------------------------------------------------------------------ */

static void stints_tap(const struct feed *feed, const struct stint_row *rows, size_t n)
{
    for (size_t i = 0; feed->tap.stints != NULL && i < n; i++)
        if (!past_has_stint(feed->past, &rows[i]))
            feed->tap.stints(feed->tap.ctx, &rows[i], 1);
}

static void round_end(struct feed *feed, int32_t number)
{
    struct lane_reading *lane = &feed->lanes[number];
    bool all = lane->below <= 1;
    lane->under_way = false;
    feed->lane_next = number + 1;
    if (!all)
        return;
    if (!past_is_complete(feed->past, number) && feed->tap.complete != NULL)
        feed->tap.complete(feed->tap.ctx, number);
    past_stints_complete(feed->past, number);
}

/* A stretch of ids, and whether all that is there of it has been read. */
static bool stretch_take(struct feed *feed, const struct ds_stints_read *read)
{
    struct lane_reading *lane = &feed->lanes[read->lane];
    stints_tap(feed, read->ret_rows, read->ret_n);
    past_add_stints(feed->past, read->ret_rows, read->ret_n);
    bool full = read->ret_n == read->rows_max;
    lane->below = id_seq(full ? read->ret_rows[read->ret_n - 1].range.a : read->after_id + 1);
    lane->empty = read->ret_n > 0 ? 0 : lane->empty;
    if (full && lane->width > WIDTH_MIN)
        lane->width /= 2;
    else if (read->ret_n < read->rows_max / 4 && lane->width < ID_SEQ_MAX / 4)
        lane->width *= 4;
    return !full;
}

static void stints_done(struct ds_run *run, void *ctx)
{
    struct reader *reader = ctx;
    struct feed *feed = reader->feed;
    if (returned(reader)) {
        bool all = true;
        for (size_t i = 0; all && i < run->n_steps; i++)
            all = stretch_take(feed, &run->steps[i].stints_read);
        uint64_t rest_ms =
            all && !feed->stints_more ? 0 : (feed->now_ms - feed->stints_began_ms) * STINTS_REST;
        reader->due_ms =
            feed->now_ms + (rest_ms < STINTS_REST_MS_MAX ? rest_ms : STINTS_REST_MS_MAX);
    }
    reader_over(reader);
}

/* The next lane in which something is to be read; -1: none. */
static int32_t lane_due(struct feed *feed)
{
    for (int32_t i = 0; i < feed->n_lanes; i++) {
        int32_t number = (feed->lane_next + i) % feed->n_lanes;
        struct lane_reading *lane = &feed->lanes[number];
        if (!lane->under_way && !lane->due)
            continue;
        feed->lane_next = number;
        if (!lane->under_way)
            *lane = (struct lane_reading){.under_way = true,
                                          .below = past_head(feed->past, number),
                                          .width = lane->width,
                                          .total = lane->total,
                                          .head = lane->head};
        return number;
    }
    return -1;
}

/* A server may sort all rows of a stretch for a page of them, so what is asked about is not much
 * more than a page; of a stretch that is cut so the rest comes next. */
static void stretches_ask(struct feed *feed, int32_t number, const struct range *gaps, size_t n)
{
    struct lane_reading *lane = &feed->lanes[number];
    size_t n_steps = 0;
    lane->width = lane->width != 0 ? lane->width : WIDTH_FIRST;
    feed->stints_more = false;
    while (n_steps < n && !feed->stints_more) {
        const struct range *gap = &gaps[n_steps];
        feed->stints_more = gap->b - gap->a > lane->width;
        int64_t from = feed->stints_more ? gap->b - lane->width : gap->a;
        feed->stints.steps[n_steps++] = (struct ds_step){
            .kind = DS_STINTS_READ,
            .stints_read = {.lane = number,
                            .after_id = id_make(number, from) - 1,
                            .before_id = id_make(number, gap->b),
                            .newest_first = true,
                            .rows_max = STINTS_PAGE},
        };
    }
    feed->stints_began_ms = feed->now_ms;
    reader_push(&feed->stints, n_steps, stints_done);
}

/* Lanes that have nothing left to read are done with here; so many in one go. */
static void stints_start(struct feed *feed)
{
    for (int tries = 0; tries < STINTS_EMPTY_MAX; tries++) {
        int32_t number = lane_due(feed);
        if (number < 0)
            break;
        struct lane_reading *lane = &feed->lanes[number];
        struct range gaps[STINTS_GAPS];
        size_t n = past_stints_gaps(feed->past, number, lane->below, gaps, STINTS_GAPS);
        if (n == 0)
            lane->below = 1;
        if (n == 0 || lane->empty++ == STINTS_EMPTY_MAX) {
            round_end(feed, number);
            continue;
        }
        stretches_ask(feed, number, gaps, n);
        return;
    }
    feed->stints.due_ms = feed->now_ms + feed->config.poll_ms;
}

/* ---- jobs ----------------------------------------------------------------------------------- */

static void jobs_done(struct ds_run *run, void *ctx)
{
    struct reader *reader = ctx;
    struct feed *feed = reader->feed;
    if (returned(reader)) {
        const struct ds_jobs_read *list = &run->steps[0].jobs_read;
        const struct ds_jobs_read *one = run->n_steps > 1 ? &run->steps[1].jobs_read : NULL;
        arena_release(&feed->page.mem);
        feed->page = (struct jobs_page){
            .ask = feed->asked,
            .jobs = list->ret_jobs,
            .n = list->ret_n,
            .more = list->ret_more || list->ret_n == feed->asked.rows,
            .detail =
                one != NULL && run->steps[1].rc == 0 && one->ret_n > 0 ? &one->ret_jobs[0] : NULL,
            .at_ms = feed->ask.rows > 0 ? feed_store_ms(feed) : 0,
            .mem = run->mem,
        };
        run->mem = (struct arena){0};
        reader->due_ms = feed->now_ms + 2 * feed->config.poll_ms;
    }
    reader_over(reader);
}

static void jobs_start(struct feed *feed)
{
    size_t n = 1;
    feed->asked = feed->ask;
    feed->jobs.steps[0] = (struct ds_step){
        .kind = DS_JOBS_READ,
        .jobs_read = {.range = {.a = feed->ask.a, .b = feed->ask.b},
                      .brief = feed->ask.brief,
                      .states = jobs_states_read(&feed->ask),
                      .after_id = feed->ask.after_id,
                      .newest_first = !feed->ask.oldest_first,
                      .rows_max =
                          feed->ask.rows < LIMIT_PAGE_JOBS ? feed->ask.rows : LIMIT_PAGE_JOBS},
    };
    if (feed->ask.detail != 0)
        feed->jobs.steps[n++] = (struct ds_step){
            .kind = DS_JOBS_READ,
            .independent = true,
            .jobs_read = {.range = {.a = feed->ask.detail, .b = feed->ask.detail + 1},
                          .rows_max = 1},
        };
    reader_push(&feed->jobs, n, jobs_done);
}

void feed_want_jobs(struct feed *feed, const struct jobs_ask *ask)
{
    if (memcmp(ask, &feed->ask, sizeof(*ask)) == 0)
        return;
    feed->ask = *ask;
    feed->jobs.due_ms = 0;
    if (ask->rows == 0) /* who looks again is not to mark jobs on a page of long ago */
        feed->page.at_ms = 0;
}

const struct jobs_page *feed_jobs(const struct feed *feed)
{
    return &feed->page;
}

/* ---- all of it ------------------------------------------------------------------------------ */

struct feed *feed_new(struct async *async, struct past *past, const struct feed_config *config)
{
    struct feed *feed = calloc(1, sizeof(*feed));
    if (feed == NULL)
        abort();
    feed->async = async;
    feed->past = past;
    feed->config = *config;
    feed->reading.feed = feed->history.feed = feed->stints.feed = feed->jobs.feed = feed;
    return feed;
}

void feed_tap(struct feed *feed, const struct feed_tap *tap)
{
    feed->tap = *tap;
}

static uint64_t wait_ms(const struct reader *reader, uint64_t now_ms)
{
    if (reader->under_way)
        return UINT64_MAX;
    return reader->due_ms > now_ms ? reader->due_ms - now_ms : 0;
}

uint64_t feed_tick(struct feed *feed, uint64_t now_ms)
{
    feed->now_ms = now_ms;
    uint64_t wait = UINT64_MAX;
    if (wait_ms(&feed->reading, now_ms) == 0)
        reading_start(feed);
    bool there = past_last_ms(feed->past) != 0;
    if (there && !feed->lost && wait_ms(&feed->history, now_ms) == 0)
        history_start(feed);
    if (there && !feed->lost && wait_ms(&feed->stints, now_ms) == 0)
        stints_start(feed);
    if (there && !feed->lost && feed->ask.rows > 0 && wait_ms(&feed->jobs, now_ms) == 0)
        jobs_start(feed);
    const struct reader *readers[] = {&feed->reading, &feed->stints, &feed->jobs};
    size_t n = feed->lost || !there ? 1 : feed->ask.rows > 0 ? 3 : 2; /* those that may begin */
    for (size_t i = 0; i < n; i++) {
        uint64_t own = wait_ms(readers[i], now_ms);
        wait = own < wait ? own : wait;
    }
    return wait;
}

void feed_free(struct feed *feed)
{
    arena_release(&feed->page.mem);
    free(feed->pass.nodes);
    free(feed->nodes);
    free(feed->lanes);
    free(feed);
}
