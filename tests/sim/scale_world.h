/* Thousands of nodes' cores under virtual time, in front of a datastore of finite speed: what
 * tests/sim/scale.c runs. No faults are injected but nodes that are started or killed together.
 *
 * The cores are the production ones, linked unchanged. The store keeps lanes, nodes and queues in
 * the memory datastore; rows of jobs are not kept: one of them is its id, whether it is done, and
 * its run. One world, one thread; from the same plan the same history. */
#ifndef STINT_TESTS_SIM_SCALE_WORLD_H
#define STINT_TESTS_SIM_SCALE_WORLD_H

#include <stdio.h>

#include "node/core.h"

/* How long jobs take. */
enum scale_jobs { JOBS_1MS, JOBS_100MS, JOBS_10S, JOBS_MIX, JOBS_KINDS };

const char *scale_jobs_name(enum scale_jobs jobs);
uint64_t scale_job_ms(enum scale_jobs jobs, int64_t id);

/* A server as the world's datastore. Steps on records take `cpu_us` of one of `cpus`, more for what
 * they read and write; one that writes holds its record until `flush_us` later, and others that
 * want to write it wait. Rows of jobs (loads, outcomes) take their time, too, but none from each
 * other or from the records: they can be spread over any number of servers. */
struct scale_server {
    unsigned cpus;
    uint64_t round_trip_us;
    uint64_t cpu_us;
    uint64_t flush_us;
    uint64_t us_per_kb_read, us_per_kb_written; /* of records */
    uint64_t us_per_kb_passed;                  /* of a record of which a part is read */
    uint64_t us_per_document;                   /* of several that are read, each */
    uint64_t us_per_100_rows;                   /* of jobs */
};

extern const struct scale_server scale_server_default;

struct scale_plan {
    size_t nodes;
    int32_t slots;
    enum scale_jobs jobs;
    int64_t n_jobs;
    uint64_t seed;
    size_t lanes; /* the jobs are spread over so many queues, which all nodes serve; 1 */
    bool wake_sure;
    uint64_t idle_ms;      /* between the start of the nodes and the jobs */
    uint64_t drain_ms_max; /* give up */
    size_t start_extra;    /* nodes started in the middle ... */
    size_t kill;           /* ... and nodes killed a while later */
    uint64_t start_after_ms, kill_after_ms;
    bool ghost; /* when the jobs come a dead node has an entry, and nobody is about to bury it */
    struct scale_server server;
    bool trace; /* tell what the cluster does, second by second */
};

struct scale_result {
    bool drained;
    uint64_t ideal_ms, drain_ms;
    uint64_t begun_ms;    /* until the last of the lanes had its first job started */
    double imbalance_ms;  /* the last slot's last job ended so long after the mean slot's */
    double ops_a_job;     /* on records: lanes, nodes, queues, stints, history */
    double row_ops_a_job; /* loads and outcomes */
    double ops_a_second;  /* on records, while jobs ran */
    double claims_a_second, jobs_a_claim;
    double idle_ops_a_node; /* on records, a second and node, while there were no jobs */
    double idle_kb_a_node;  /* ... and bytes read and written, in KB */
    double kb_a_second;     /* of records, while jobs ran */
    double busy;            /* of the server's processors, while jobs ran */
    size_t lane_bytes_max;
    uint64_t buried_ms;   /* from the kill to the last burial; 0: none */
    uint64_t rescued_ms;  /* ... until no lane has an entry of a dead node */
    uint64_t joined_ms;   /* from their start until each of the new nodes has run a job */
    uint64_t interrupted; /* jobs that ran when their node was killed, by their outcomes */
    uint64_t fenced;      /* nodes that were buried though they were alive */
    uint64_t wall_ms;     /* of this simulation */
};

struct scale_result scale_run(const struct scale_plan *plan);

#endif
