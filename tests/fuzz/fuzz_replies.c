/* Goal: whatever a server of the MongoDB protocol replies, each step of the backend gives what it
 * found, within the limits of what was asked, or a code, with one line where that is trouble.
 * Method: the driver's functions are replaced: a command, and each document of a cursor, takes the
 * next document of the input, or fails as one byte of it says. The first 32 bytes choose the step,
 * what is asked, and these bytes. */
#include <stdlib.h>

#define STINT_MONGO_DRIVER_TABLE /* its entries are set here */
#include "datastore/mongo_driver.h"

#include "datastore/mongo_store.h"
#include "tests/fuzz/bson_mutator.h"

enum { HEAD_BYTES = 32, TAGS = 24, ROWS = 6, LANE = 1, NODE = 77 };

enum tag { TAG_DOCUMENT, TAG_NOTHING, TAG_REFUSED, TAG_LOST, TAG_KINDS };

/* What the driver is made of: one server, one cursor at a time. */
static struct server {
    struct bytes documents;
    uint8_t tags[TAGS];
    size_t n_events;
    bson_t row; /* that the cursor stands at */
    bson_error_t cursor_error;
    bool cursor_failed;
} server;

static uint8_t event_next(void)
{
    return server.tags[server.n_events++ % TAGS];
}

/* A copy of the next document, to be destroyed. False: none is left, or it is none. */
static bool document_next(bson_t *ret_doc)
{
    bson_t view;
    size_t len = document_bytes(server.documents);
    if (len == 0)
        return false;
    struct bytes bytes = take_bytes(&server.documents, len);
    REQUIRE(bson_init_static(&view, bytes.data, bytes.len));
    bson_copy_to(&view, ret_doc);
    return true;
}

static void error_make(uint8_t tag, bson_error_t *error)
{
    static const uint32_t codes[] = {1, 13, 112, 11000, 10334, 10107, 50, 59};
    bool lost = tag % TAG_KINDS == TAG_LOST;
    *error = (bson_error_t){.domain = lost ? MONGOC_ERROR_STREAM : MONGOC_ERROR_SERVER,
                            .code = lost ? MONGOC_ERROR_STREAM_SOCKET : codes[tag / TAG_KINDS % 8]};
    snprintf(error->message, sizeof(error->message), "%s",
             tag / 32 % 2 == 0 ? "E1: as\nit says" : "disk full");
}

static bool reply_make(bson_t *reply, bson_error_t *error)
{
    uint8_t tag = event_next();
    bool good = tag % TAG_KINDS <= TAG_NOTHING;
    if (tag % TAG_KINDS != TAG_DOCUMENT || !document_next(reply)) {
        bson_init(reply);
        bson_append_int32(reply, "ok", -1, good);
        bson_append_int32(reply, "n", -1, 1);
    }
    if (!good)
        error_make(tag, error);
    return good;
}

static bool write_command(mongoc_client_t *client, const char *database, const bson_t *command,
                          const bson_t *opts, bson_t *reply, bson_error_t *error)
{
    (void)client, (void)database, (void)opts;
    REQUIRE(bson_validate(command, BSON_VALIDATE_NONE, NULL));
    return reply_make(reply, error);
}

static bool read_command(mongoc_client_t *client, const char *database, const bson_t *command,
                         const mongoc_read_prefs_t *prefs, const bson_t *opts, bson_t *reply,
                         bson_error_t *error)
{
    (void)prefs;
    return write_command(client, database, command, opts, reply, error);
}

static bool simple_command(mongoc_client_t *client, const char *database, const bson_t *command,
                           const mongoc_read_prefs_t *prefs, bson_t *reply, bson_error_t *error)
{
    return read_command(client, database, command, prefs, NULL, reply, error);
}

static void *cursor_open(void)
{
    bson_destroy(&server.row);
    bson_init(&server.row);
    server.cursor_failed = false;
    return &server;
}

static mongoc_cursor_t *find(mongoc_collection_t *collection, const bson_t *filter,
                             const bson_t *opts, const mongoc_read_prefs_t *prefs)
{
    (void)collection, (void)prefs;
    REQUIRE(filter != NULL && opts != NULL);
    return cursor_open();
}

static mongoc_cursor_t *aggregate(mongoc_collection_t *collection, mongoc_query_flags_t flags,
                                  const bson_t *pipeline, const bson_t *opts,
                                  const mongoc_read_prefs_t *prefs)
{
    (void)collection, (void)flags, (void)opts, (void)prefs;
    REQUIRE(pipeline != NULL);
    return cursor_open();
}

static bool cursor_next(mongoc_cursor_t *cursor, const bson_t **ret_doc)
{
    uint8_t tag = event_next();
    bson_t row;
    (void)cursor;
    server.cursor_failed = tag % TAG_KINDS > TAG_NOTHING;
    if (server.cursor_failed)
        error_make(tag, &server.cursor_error);
    if (tag % TAG_KINDS != TAG_DOCUMENT || !document_next(&row))
        return false;
    bson_destroy(&server.row);
    bson_copy_to(&row, &server.row);
    bson_destroy(&row);
    *ret_doc = &server.row;
    return true;
}

static bool cursor_error(mongoc_cursor_t *cursor, bson_error_t *error, const bson_t **ret_reply)
{
    (void)cursor;
    if (!server.cursor_failed)
        return false;
    *error = server.cursor_error;
    *ret_reply = &server.row;
    return true;
}

static void cursor_destroy(mongoc_cursor_t *cursor)
{
    (void)cursor;
}

static void cursor_batch(mongoc_cursor_t *cursor, uint32_t size)
{
    (void)cursor, (void)size;
}

static const mongoc_uri_t *client_uri(const mongoc_client_t *client)
{
    (void)client;
    return NULL;
}

static bool uri_tls(const mongoc_uri_t *uri)
{
    (void)uri;
    return false;
}

static void driver_make(void)
{
    mongo_driver = (struct mongo_driver){
        .mongoc_client_write_command_with_opts = write_command,
        .mongoc_client_read_command_with_opts = read_command,
        .mongoc_client_command_simple = simple_command,
        .mongoc_collection_find_with_opts = find,
        .mongoc_collection_aggregate = aggregate,
        .mongoc_cursor_next = cursor_next,
        .mongoc_cursor_error_document = cursor_error,
        .mongoc_cursor_destroy = cursor_destroy,
        .mongoc_cursor_set_batch_size = cursor_batch,
        .mongoc_client_get_uri = client_uri,
        .mongoc_uri_get_tls = uri_tls,
    };
}

/* ---- what is asked --------------------------------------------------------------------------- */

/* What steps are given: plain, and the same each time. */
struct asked {
    struct job jobs[ROWS];
    struct outcome outcomes[ROWS];
    struct node node;
    struct lane lane;
    struct submit_chunk chunk;
    struct stint_row stint;
    struct history_row history;
    struct range range;
    struct node_range held;
    int32_t codes[ROWS];
    struct ds_step before;
};

static const char *const types[] = {"exec"};
static const struct job_spec keyed = {.key = "k"};

static void asked_make(struct asked *asked, uint8_t flags)
{
    int64_t first = id_make(LANE, 10);
    *asked = (struct asked){
        .range = {first, first + ROWS, false},
        .chunk = {.submit = "s", .id = first, .count = ROWS, .last = true},
        .stint = {{first, first + 4, false}, NODE, 1, 2, 1, 5, 6},
        .history = {NODE, 1, 5, true, {(const uint8_t *)"body", 4}},
        .lane = {.number = LANE, .name = {"mail", 2, 0}, .head = first, .tail = first + ROWS},
        .node = {.id = NODE, .name = "one", .state = NODE_WORKING, .beat = 9},
    };
    asked->held.range = asked->range;
    asked->node.ranges = &asked->held;
    asked->node.n_ranges = 1;
    for (size_t i = 0; i < ROWS; i++) {
        asked->jobs[i] = (struct job){.id = first + (int64_t)i,
                                      .run = 1,
                                      .type = "exec",
                                      .token = 100 + (int64_t)i,
                                      .spec = flags & 1 ? &keyed : NULL};
        asked->outcomes[i] = (struct outcome){.id = first + (int64_t)i,
                                              .count = 1,
                                              .run = 1,
                                              .kind = (enum outcome_kind)((i + flags) % 4),
                                              .node = NODE};
    }
}

static void lanes_ask(struct ds_step *step, struct asked *asked, uint8_t flags)
{
    switch (step->kind) {
    case DS_LANE_OPEN:
        step->lane_open.name = asked->lane.name;
        break;
    case DS_LANES_READ:
        step->lanes_read.lane = flags & 1 ? -1 : LANE;
        break;
    case DS_RESERVE:
        step->reserve = (struct ds_reserve){LANE, ROWS, types, 1, 0};
        break;
    case DS_CLAIM:
        step->claim = (struct ds_claim){LANE, NODE, 1, 1, flags & 1, 4, {0}, 0};
        break;
    case DS_RETURN:
        step->give_back = (struct ds_give_back){LANE, NODE, 1, &asked->range, 1, flags & 1};
        break;
    case DS_ENTRY_DROP:
        step->entry_drop = (struct ds_entry_drop){LANE, NODE, 1};
        break;
    case DS_LANE_BURY:
        step->lane_bury = (struct ds_lane_bury){LANE, {NODE, 1, {0}, 1}, &asked->range, 1};
        break;
    case DS_LANE_PUT:
        step->lane_put.lane = &asked->lane;
        break;
    default:
        break;
    }
}

static void nodes_ask(struct ds_step *step, struct asked *asked, uint8_t flags)
{
    switch (step->kind) {
    case DS_NODE_ADD:
        step->node_add = (struct ds_node_add){&asked->node, flags & 1};
        break;
    case DS_NODE_WRITE:
        step->node_write = (struct ds_node_write){.node = &asked->node, .accept = flags & 1};
        asked->before.kind = DS_CLAIM;
        asked->before.claim =
            (struct ds_claim){LANE, NODE, 1, 1, false, 4, {asked->range.a, asked->range.b, 0}, 0};
        break;
    case DS_NODE_ASK:
        step->node_ask = (struct ds_node_ask){.node = NODE,
                                              .set_desired = flags & 1,
                                              .desired = DESIRED_PAUSED,
                                              .add_request = flags & 2,
                                              .request = {.id = asked->range.a}};
        break;
    case DS_NODE_KILL:
        step->node_kill = (struct ds_node_kill){.node = NODE, .beat = 9, .cause = "x"};
        break;
    case DS_NODE_CLEAR:
        step->node_clear = (struct ds_node_clear){NODE, LANE};
        break;
    case DS_NODE_DELETE:
        step->node_delete.node = NODE;
        break;
    case DS_NODES_READ:
        step->nodes_read =
            (struct ds_nodes_read){.node = flags & 1 ? NODE : 0, .live_only = (flags & 2) != 0};
        break;
    default:
        break;
    }
}

static void jobs_ask(struct ds_step *step, struct asked *asked, uint8_t flags)
{
    switch (step->kind) {
    case DS_INSERT:
        step->insert = (struct ds_insert){.jobs = asked->jobs,
                                          .n_jobs = ROWS,
                                          .from_reserve = flags & 2,
                                          .chunk = flags & 4 ? &asked->chunk : NULL,
                                          .ret_rc = asked->codes};
        asked->before.kind = DS_RESERVE;
        asked->before.reserve = (struct ds_reserve){LANE, ROWS, types, 1, asked->range.a};
        break;
    case DS_SUBMIT_FIND:
        step->submit_find.submit = "s";
        break;
    case DS_LOAD:
        step->load = (struct ds_load){.range = asked->range, .rows_max = 4, .brief = flags & 1};
        break;
    case DS_FINISH:
        step->finish = (struct ds_finish){asked->outcomes, ROWS};
        break;
    case DS_CANCEL:
        step->cancel = (struct ds_cancel){.id = asked->range.a};
        break;
    case DS_JOBS_READ:
        step->jobs_read = (struct ds_jobs_read){.states = flags & 1 ? 3 : 0,
                                                .type = flags & 2 ? "exec" : NULL,
                                                .batch = flags & 4 ? "b" : NULL,
                                                .key = flags & 8 ? "k" : NULL,
                                                .newest_first = flags & 16,
                                                .rows_max = ROWS,
                                                .brief = flags & 32};
        step->jobs_read.range = flags & 64 ? asked->range : (struct range){0};
        break;
    case DS_SCAN:
        step->scan = (struct ds_scan){.range = asked->range, .batch = flags & 1 ? "b" : NULL};
        break;
    default:
        break;
    }
}

static void logs_ask(struct ds_step *step, struct asked *asked, uint8_t flags)
{
    switch (step->kind) {
    case DS_QUEUE_SET:
        step->queue_set = (struct ds_queue_set){
            {.name = "mail", .weight = 1}, flags & 1, (flags & 3) == 2, flags & 4};
        break;
    case DS_STINTS_ADD:
        step->stints_add = (struct ds_stints_add){&asked->stint, 1, flags % 3};
        break;
    case DS_STINTS_READ:
        step->stints_read = (struct ds_stints_read){
            .lane = flags & 1 ? -1 : LANE, .totals_only = flags & 2, .rows_max = ROWS};
        break;
    case DS_HISTORY_ADD:
        step->history_add = (struct ds_history_add){&asked->history, 1, 3, 2};
        break;
    case DS_HISTORY_READ:
        step->history_read = (struct ds_history_read){.node = flags & 1, .rows_max = ROWS};
        if ((flags & 3) == 3)
            step->history_read.from_ms = step->history_read.until_ms = 5;
        break;
    case DS_COPY_MARK:
        step->copy_mark = (struct ds_copy_mark){"sqlite:x", flags & 1, 5};
        break;
    case DS_CHUNKS_ADD:
        step->chunks_add = (struct ds_chunks_add){&asked->chunk, 1};
        break;
    case DS_SUBMITS_READ:
        step->submits_read = (struct ds_submits_read){flags & 1 ? "a" : NULL, ROWS, NULL, 0};
        break;
    default:
        break;
    }
}

/* ---- what comes of it ------------------------------------------------------------------------ */

static void require_jobs(const struct job *jobs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        REQUIRE(jobs[i].id > 0 && jobs[i].type != NULL && strlen(jobs[i].type) < SIZE_MAX);
}

/* Of a step that succeeded. */
static void require_result(const struct ds_step *step, const struct asked *asked)
{
    int64_t counted = 0;
    switch (step->kind) {
    case DS_LOAD:
        REQUIRE(step->load.ret_n <= step->load.rows_max);
        require_jobs(step->load.ret_jobs, step->load.ret_n);
        for (size_t i = 1; i < step->load.ret_n; i++)
            REQUIRE(step->load.ret_jobs[i - 1].id <= step->load.ret_jobs[i].id);
        break;
    case DS_JOBS_READ:
        REQUIRE(step->jobs_read.ret_n <= step->jobs_read.rows_max);
        require_jobs(step->jobs_read.ret_jobs, step->jobs_read.ret_n);
        break;
    case DS_SCAN:
        for (size_t i = 0; i < JOB_STATES; i++)
            counted += step->scan.ret_counts[i];
        REQUIRE(counted >= 0);
        break;
    case DS_LANES_READ:
        for (size_t i = 0; i < step->lanes_read.ret_n; i++)
            REQUIRE(step->lanes_read.ret_lanes[i].number >= 0 &&
                    step->lanes_read.ret_lanes[i].number < LIMIT_LANES);
        break;
    case DS_LANE_OPEN:
        REQUIRE(step->lane_open.ret_lane >= 0 && step->lane_open.ret_lane < LIMIT_LANES);
        break;
    case DS_NODES_READ:
        for (size_t i = 0; i < step->nodes_read.ret_n; i++)
            REQUIRE(step->nodes_read.ret_nodes[i].id > 0);
        break;
    case DS_INSERT:
        for (size_t i = 0; i < ROWS; i++)
            REQUIRE(asked->codes[i] == 0 || asked->codes[i] == ERR_DUPLICATE);
        break;
    default:
        break;
    }
}

static void step_try(enum ds_kind kind, uint8_t flags)
{
    static mongo_step_fn *const steps[DS_KINDS] = {
#define X(kind, member, writes) [kind] = mongo_##member,
        DS_STEP_MAP(X)
#undef X
    };
    struct mongo_store store = {.base.class = &mongo_class,
                                .copy = flags & 128,
                                .shown = "mongodb://h/d",
                                .database = "d",
                                .clock_read_ms = 1};
    struct asked asked;
    struct arena mem = {0};
    struct error err = {0};
    struct ds_step step = {.kind = kind};
    for (size_t i = 0; i < MONGO_COLLECTIONS; i++)
        snprintf(store.names[i], sizeof(store.names[i]), "c%zu", i);
    bson_init(&store.write_opts);
    asked_make(&asked, flags);
    lanes_ask(&step, &asked, flags);
    nodes_ask(&step, &asked, flags);
    jobs_ask(&step, &asked, flags);
    logs_ask(&step, &asked, flags);
    store.err = &err;
    struct mongo_call call = {
        .store = &store, .step = &step, .before = &asked.before, .mem = &mem, .err = &err};
    int rc = steps[kind](&call);
    REQUIRE(rc <= 0 && strcmp(error_text(rc), "unknown error") != 0);
    if (rc == 0)
        require_result(&step, &asked);
    if (err.code != 0)
        require_told(err.code, &err);
    bson_destroy(&store.write_opts);
    arena_release(&mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = {data, size};
    if (mongo_driver.mongoc_cursor_next == NULL)
        driver_make();
    server = (struct server){.n_events = 0};
    bson_init(&server.row);
    struct bytes head = take_bytes(&input, HEAD_BYTES);
    uint8_t kind = take_byte(&head), flags = take_byte(&head);
    for (size_t i = 0; i < TAGS; i++)
        server.tags[i] = take_byte(&head);
    server.documents = input;
    step_try((enum ds_kind)(kind % DS_KINDS), flags);
    bson_destroy(&server.row);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static const char *const names[] = {"ok",
                                        "n",
                                        "value",
                                        "writeErrors",
                                        "index",
                                        "code",
                                        "errmsg",
                                        "_id",
                                        "nModified",
                                        "upserted",
                                        "lastErrorObject",
                                        "tail",
                                        "head",
                                        "pool",
                                        "entries",
                                        "n77",
                                        "state",
                                        "beat",
                                        "chunk",
                                        "token",
                                        "queued",
                                        "done",
                                        "run",
                                        "key",
                                        "count",
                                        "slot",
                                        "submit",
                                        "id",
                                        "localTime",
                                        "cursor",
                                        "types",
                                        "entry",
                                        "pool_version",
                                        "schema",
                                        "lane_next",
                                        "copying",
                                        "created",
                                        "requests",
                                        "granted",
                                        "a"};
    return mutate_documents(data, size, max_size, seed, HEAD_BYTES, names,
                            sizeof(names) / sizeof(names[0]));
}
