/* What SQLite itself gives on Stint's tables, under Stint's lock, at Stint's durability: two bare
 * processes, one inserting noop jobs of 32 bytes in batches, the other marking those done in
 * batches as soon as they are committed. The limit that script/bench compares Stint with.
 *
 *   raw_pair PATH JOBS INSERT_BATCH OUTCOME_BATCH      makes PATH; one JSON line on stdout */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "datastore/sqlite_store.h"

struct pair {
    const char *path;
    int64_t jobs, insert_batch, outcome_batch;
};

static struct sqlite_store *store_open(const struct pair *pair)
{
    struct sqlite_options options = {
        .path = pair->path, .flags = DS_CREATE, .frozen_ms = SQLITE_FROZEN_MS_DEFAULT};
    struct datastore *ds;
    struct error err;
    if (sqlite_open(&options, &ds, &err) < 0) {
        fprintf(stderr, "raw_pair: %s\n", err.text);
        exit(EXIT_FAILURE);
    }
    return (struct sqlite_store *)ds;
}

static void must(struct sqlite_store *store, int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "raw_pair: %s\n", sqlite3_errmsg(store->db));
    exit(EXIT_FAILURE);
}

static void turn_begin(struct sqlite_store *store)
{
    struct error err;
    must(store, sqlite_lock_take(&store->lock, &err));
    must(store, sql_run(store, sql_use(store, SQL_BEGIN_WRITE)));
}

static void turn_end(struct sqlite_store *store)
{
    must(store, sql_run(store, sql_use(store, SQL_COMMIT)));
    sqlite_checkpoint_if_due(store);
    sqlite_lock_give(&store->lock);
}

static void insert_row(struct sqlite_store *store, int64_t id, int64_t now_ms)
{
    static const uint8_t payload[32] = "thirty-two bytes of a noop's job";
    sqlite3_stmt *stmt = sql_use(store, SQL_JOB_ADD);
    for (int at = 12; at <= 19; at++)
        sqlite3_bind_null(stmt, at);
    bind_int(stmt, 1, id);
    bind_int(stmt, 2, JOB_STATE_BASE + JOB_QUEUED);
    bind_int(stmt, 3, 1);
    bind_text(stmt, 4, "noop");
    bind_bytes(stmt, 5, (struct bytes){payload, sizeof(payload)});
    bind_int(stmt, 6, INT64_MAX - id);
    bind_int(stmt, 7, now_ms);
    bind_int(stmt, 8, NO_TIME);
    bind_int(stmt, 9, NO_TIME);
    bind_int(stmt, 10, NO_NODE);
    bind_int(stmt, 11, 0);
    must(store, sql_run(store, stmt));
}

static struct sqlite_counts submit_all(const struct pair *pair, int told_fd)
{
    struct sqlite_store *store = store_open(pair);
    for (int64_t id = 1; id <= pair->jobs;) {
        int64_t now_ms = clock_now_ms(CLOCK_REALTIME);
        turn_begin(store);
        for (int64_t i = 0; i < pair->insert_batch && id <= pair->jobs; i++)
            insert_row(store, id++, now_ms);
        turn_end(store);
        if (write(told_fd, &id, sizeof(id)) != (ssize_t)sizeof(id))
            exit(EXIT_FAILURE);
    }
    struct sqlite_counts counts = sqlite_counts_of(&store->base);
    datastore_close(&store->base);
    return counts;
}

static void mark_done(struct sqlite_store *store, int64_t first, int64_t last)
{
    int64_t now_ms = clock_now_ms(CLOCK_REALTIME);
    sqlite3_stmt *stmt = sql_use(store, SQL_JOBS_DONE);
    turn_begin(store);
    bind_int(stmt, 1, first);
    bind_int(stmt, 2, last);
    bind_int(stmt, 3, now_ms);
    bind_int(stmt, 4, now_ms);
    bind_int(stmt, 5, INT64_C(0x7123456789abcdef));
    bind_int(stmt, 6, 1);
    must(store, sql_run(store, stmt));
    if (sqlite3_changes64(store->db) != last - first + 1)
        exit(EXIT_FAILURE);
    turn_end(store);
}

static struct sqlite_counts finish_all(const struct pair *pair, int told_fd)
{
    struct sqlite_store *store = store_open(pair);
    int64_t done = 0, inserted = 0, end = 0;
    while (done < pair->jobs) {
        if (inserted - done < pair->outcome_batch && inserted < pair->jobs) {
            if (read(told_fd, &end, sizeof(end)) != (ssize_t)sizeof(end))
                exit(EXIT_FAILURE);
            inserted = end - 1;
            continue;
        }
        int64_t left = inserted - done;
        int64_t n = left < pair->outcome_batch ? left : pair->outcome_batch;
        mark_done(store, done + 1, done + n);
        done += n;
    }
    struct sqlite_counts counts = sqlite_counts_of(&store->base);
    datastore_close(&store->base);
    return counts;
}

/* The child submits and leaves its counts in the pipe, behind the last id. */
static int pair_run(const struct pair *pair)
{
    int told[2], counted[2];
    struct sqlite_counts theirs;
    datastore_close(&store_open(pair)->base); /* made before either starts */
    if (pipe(told) < 0 || pipe(counted) < 0)
        return EXIT_FAILURE;
    int64_t began_ms = clock_now_ms(CLOCK_MONOTONIC);
    pid_t child = fork();
    if (child < 0)
        return EXIT_FAILURE;
    if (child == 0) {
        theirs = submit_all(pair, told[1]);
        _exit(write(counted[1], &theirs, sizeof(theirs)) == (ssize_t)sizeof(theirs) ? 0 : 1);
    }
    close(told[1]);
    close(counted[1]);
    struct sqlite_counts own = finish_all(pair, told[0]);
    int64_t took_ms = clock_now_ms(CLOCK_MONOTONIC) - began_ms;
    int status = 0;
    if (read(counted[0], &theirs, sizeof(theirs)) != (ssize_t)sizeof(theirs) ||
        waitpid(child, &status, 0) != child || status != 0)
        return EXIT_FAILURE;
    printf("{\"jobs\":%" PRId64 ",\"insert_batch\":%" PRId64 ",\"outcome_batch\":%" PRId64
           ",\"seconds\":%.3f,\"jobs_per_s\":%.0f,\"commits\":%" PRIu64 ",\"checkpoints\":%" PRIu64
           ",\"fsyncs\":%" PRIu64 ",\"sqlite\":\"%s\"}\n",
           pair->jobs, pair->insert_batch, pair->outcome_batch, (double)took_ms / 1000,
           (double)pair->jobs * 1000 / (double)(took_ms > 0 ? took_ms : 1),
           own.commits + theirs.commits, own.checkpoints + theirs.checkpoints,
           own.syncs + theirs.syncs, sqlite3_libversion());
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct pair pair = {.path = argc == 5 ? argv[1] : NULL};
    if (argc == 5) {
        pair.jobs = strtoll(argv[2], NULL, 10);
        pair.insert_batch = strtoll(argv[3], NULL, 10);
        pair.outcome_batch = strtoll(argv[4], NULL, 10);
    }
    if (pair.jobs < 1 || pair.insert_batch < 1 || pair.outcome_batch < 1) {
        fprintf(stderr, "usage: raw_pair PATH JOBS INSERT_BATCH OUTCOME_BATCH\n");
        return 2;
    }
    return pair_run(&pair);
}
