/* The records and their documents (docs.h): every field has a value of its own. */
#include "tests/support/docs.h"

#include <check.h>
#include <string.h>
#include <sys/resource.h>

#include "datastore/error.h"

const struct meta full_meta = {.schema_version = 3,
                               .reader_version_min = 1,
                               .writer_version_min = 2,
                               .features = INT64_C(1) << 40,
                               .created_ms = 1700000000001};

struct queue full_queue(void)
{
    struct queue queue = {.paused = true,
                          .weight = 3,
                          .partitions = 4,
                          .changed_ms = 1700000000002,
                          .changed_by = "u@h"};
    memset(queue.name, 'q', LIMIT_NAME_BYTES);
    return queue;
}

static const char *lane_types[] = {"exec", "noop"};
static struct range pool[] = {{10, 20, false}, {20, 25, true}};
static struct lane_entry entries[] = {{77, UINT64_C(1) << 40, {1, 9, true}, 2},
                                      {INT64_MAX, 1, {30, 31, false}, 0}};
const struct lane full_lane = {.number = LIMIT_LANES - 1,
                               .name = {"mail", 9, 4096},
                               .tail = (int64_t)LIMIT_LANES << 48,
                               .head = INT64_C(1) << 50,
                               .holder = 77,
                               .exclusive = true,
                               .types = lane_types,
                               .n_types = 2,
                               .pool = pool,
                               .n_pool = 2,
                               .entries = entries,
                               .n_entries = 2};

static char queues[][LIMIT_NAME_BYTES + 1] = {"default", "mail"};
static char types[][LIMIT_NAME_BYTES + 1] = {"exec"};
static struct node_range ranges[] = {{{1, 9, true}, 0}, {{20, 30, false}, 4}};
static struct node_grant granted[] = {{LIMIT_LANES - 1, UINT64_C(12) << 40}};
static struct node_running running[] = {{5, 2, 1700000000123, "exec"}, {6, 1, 0, "noop"}};
static struct node_request requests[] = {{9, REQUEST_SHED, 6, 4}, {10, REQUEST_CANCEL, 7, 0}};
const struct node full_node = {.id = INT64_MAX,
                               .name = "one",
                               .host = "h",
                               .boot_id = "8c1b",
                               .pid_ns = 1,
                               .pid = 2,
                               .pid_start = 3,
                               .version = "1.2.3",
                               .slots = LIMIT_SLOTS,
                               .lease_ms = 5000,
                               .queues = queues,
                               .n_queues = 2,
                               .types = types,
                               .n_types = 1,
                               .doorbell = "127.0.0.1:9",
                               .created_ms = 6,
                               .state = NODE_PAUSED,
                               .since_ms = 7,
                               .beat = 8,
                               .ranges = ranges,
                               .n_ranges = 2,
                               .granted = granted,
                               .n_granted = 1,
                               .running = running,
                               .n_running = 2,
                               .done = 10,
                               .failed = 11,
                               .interrupted = 12,
                               .rate = 1.5,
                               .load = 0.25,
                               .desired = DESIRED_STOPPED,
                               .request_seq = 10,
                               .requests = requests,
                               .n_requests = 2,
                               .cause = "stopped"};

static const struct job_limit limits[] = {{RLIMIT_NOFILE, 64}, {RLIMIT_AS, UINT64_MAX}};
static const int64_t after[] = {3, 4};
const struct job_spec full_spec = {.max_attempts = LIMIT_ATTEMPTS,
                                   .max_interruptions = 2,
                                   .timeout_ms = 1000,
                                   .backoff_ms = 2000,
                                   .run_at_ms = 1700000000003,
                                   .cwd = "/tmp",
                                   .env = {(const uint8_t *)"A=1\0B=2", 8},
                                   .limits = limits,
                                   .n_limits = 2,
                                   .key = "only one",
                                   .group = "g",
                                   .after = after,
                                   .n_after = 2,
                                   .copy_of = 17};

static const struct job_attempt trace[] = {{.run = 1,
                                            .interrupted = true,
                                            .node = 77,
                                            .started_ms = 100,
                                            .finished_ms = 200,
                                            .exit_code = -1,
                                            .signal = 9,
                                            .error = "node died",
                                            .output = {(const uint8_t *)"out", 3}}};

const struct job_ending full_ending = {.exit_code = 3,
                                       .timed_out = true,
                                       .user_ms = 4,
                                       .sys_ms = 5,
                                       .maxrss_kb = 6,
                                       .result = {(const uint8_t *)"\0r", 2},
                                       .output = {(const uint8_t *)"o", 1},
                                       .output_total = 1 << 20,
                                       .error = "exit status 3",
                                       .trace = trace,
                                       .n_trace = 1};

const struct submit_chunk full_chunk = {
    .submit = "bulk", .index = 10000, .count = LIMIT_BATCH_JOBS, .last = true};

const struct job full_job = {.id = 5,
                             .state = JOB_FAILED,
                             .run = 2,
                             .interruptions = 1,
                             .type = "exec",
                             .payload = {(const uint8_t *)"\0in", 3},
                             .argv = {(const uint8_t *)"a\0b", 4},
                             .token = INT64_MIN,
                             .created_ms = 1700000000004,
                             .started_ms = 1700000000005,
                             .finished_ms = 1700000000006,
                             .node = 77,
                             .slot = 6,
                             .due_ms = 1700000000007,
                             .batch = "b",
                             .spec = &full_spec,
                             .ending = &full_ending};

const struct stint_row full_stint = {{5, 9, false}, 77, 2, 1, 1, 1700000000008, 1700000000009};
const struct history_row full_history = {77, 3, 1700000000010, true, {(const uint8_t *)"abc", 3}};

void docs_make(bson_t docs[RECORDS], struct arena *mem)
{
    struct queue queue = full_queue();
    for (size_t i = 0; i < RECORDS; i++)
        bson_init(&docs[i]);
    meta_to_doc(&full_meta, 12, &docs[META]);
    bson_append_utf8(&docs[QUEUE], "_id", -1, queue.name, -1);
    queue_to_doc(&queue, &docs[QUEUE]);
    lane_to_doc(&full_lane, &docs[LANE]);
    node_to_doc(&full_node, &docs[NODE]);
    job_to_doc(&full_job, full_job.id, full_job.created_ms, &full_chunk, mem, &docs[JOB]);
    stint_to_doc(&full_stint, &docs[STINT]);
    history_to_doc(&full_history, &docs[HISTORY]);
}

void docs_destroy(bson_t docs[RECORDS])
{
    for (size_t i = 0; i < RECORDS; i++)
        bson_destroy(&docs[i]);
}

/* Any record as read from any document: whoever refuses must have set nothing. */
union record {
    struct meta meta;
    struct queue queue;
    struct lane lane;
    struct node node;
    struct job job;
    struct stint_row stint;
    struct history_row history;
    struct submit_chunk chunk;
};

int read_as(int record, const bson_t *doc, struct arena *into)
{
    static const union record untouched; /* with its padding */
    union record got;
    struct job_texts texts = {0};
    int64_t version;
    int rc = ERR_INVALID;
    memset(&got, 0, sizeof(got));
    switch (record) {
    case META:
        rc = meta_from_doc(doc, &got.meta);
        break;
    case QUEUE:
        rc = queue_from_doc(doc, &got.queue);
        break;
    case LANE:
        rc = lane_from_doc(doc, into, &got.lane, &version);
        break;
    case NODE:
        rc = node_from_doc(doc, into, &got.node);
        break;
    case JOB:
        rc = job_from_doc(doc, into, &texts, &got.job);
        break;
    case STINT:
        rc = stint_from_doc(doc, &got.stint);
        break;
    case HISTORY:
        rc = history_from_doc(doc, into, &got.history);
        break;
    case CHUNK:
        rc = chunk_from_doc(doc, into, &got.chunk);
        break;
    }
    ck_assert(rc == 0 || rc == ERR_CORRUPT || (rc == ERR_NOT_FOUND && record == CHUNK));
    if (rc != 0)
        ck_assert_mem_eq(&got, &untouched, sizeof(got));
    return rc;
}
