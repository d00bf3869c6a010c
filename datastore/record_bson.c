/* Parts of records to BSON and back.
 *
 * Lists of numbers are flat arrays with a fixed count of numbers for each element: small, and quick
 * to read. Decoding looks every field up by name in whatever order it comes and checks each one's
 * type; a field that is not there is 0. Pure; any thread. */
#include "datastore/record_bson.h"

#include <string.h>

#include "datastore/bson_fields.h"

/* ---- meta ----------------------------------------------------------------------------------- */

struct bytes meta_encode(const struct meta *meta, struct bytes old, struct arena *mem)
{
    bson_t doc = BSON_INITIALIZER;
    put_text(&doc, "copying", meta->copying);
    keep_unknown(&doc, old);
    return seal(&doc, mem);
}

int meta_decode(struct bytes doc, struct meta *ret_meta)
{
    struct reader reader;
    char copying[sizeof(ret_meta->copying)] = "";
    reader_init(&reader, doc, NULL);
    get_name(&reader, "copying", copying, sizeof(copying));
    if (!reader.damaged)
        memcpy(ret_meta->copying, copying, sizeof(copying));
    return verdict(&reader);
}

/* ---- queues --------------------------------------------------------------------------------- */

struct bytes queue_encode(const struct queue *queue, struct bytes old, struct arena *mem)
{
    bson_t doc = BSON_INITIALIZER;
    put_int(&doc, "paused", queue->paused);
    put_int(&doc, "weight", queue->weight);
    put_int(&doc, "partitions", queue->partitions);
    put_int(&doc, "changed", queue->changed_ms);
    put_text(&doc, "by", queue->changed_by);
    keep_unknown(&doc, old);
    return seal(&doc, mem);
}

int queue_decode(struct bytes doc, struct queue *ret_queue)
{
    struct reader reader;
    reader_init(&reader, doc, NULL);
    struct queue queue = *ret_queue;
    queue.paused = get_int(&reader, "paused") != 0;
    queue.weight = get_int32(&reader, "weight");
    queue.partitions = get_int32(&reader, "partitions");
    queue.changed_ms = get_int(&reader, "changed");
    get_name(&reader, "by", queue.changed_by, sizeof(queue.changed_by));
    if (!reader.damaged)
        *ret_queue = queue;
    return verdict(&reader);
}

/* ---- lanes ---------------------------------------------------------------------------------- */

static void list_range(struct list *list, struct range range)
{
    list_int(list, range.a);
    list_int(list, range.b);
    list_int(list, range.suspect);
}

static struct range range_of(struct reader *reader, const int64_t values[3])
{
    reader->damaged = reader->damaged || !id_possible(values[0]) || !id_possible(values[1]);
    return (struct range){values[0], values[1], values[2] != 0};
}

enum { POOL_STRIDE = 3, ENTRY_STRIDE = 6 };

struct bytes lane_encode(const struct lane *lane, struct bytes old, struct arena *mem)
{
    bson_t doc = BSON_INITIALIZER;
    struct list list;
    list_begin(&doc, "types", &list);
    for (size_t i = 0; i < lane->n_types; i++)
        list_text(&list, lane->types[i]);
    list_end(&doc, &list);
    list_begin(&doc, "pool", &list);
    for (size_t i = 0; i < lane->n_pool; i++)
        list_range(&list, lane->pool[i]);
    list_end(&doc, &list);
    list_begin(&doc, "entries", &list);
    for (size_t i = 0; i < lane->n_entries; i++) {
        list_int(&list, lane->entries[i].node);
        list_int(&list, (int64_t)lane->entries[i].g);
        list_int(&list, (int64_t)lane->entries[i].r);
        list_range(&list, lane->entries[i].last);
    }
    list_end(&doc, &list);
    keep_unknown(&doc, old);
    return seal(&doc, mem);
}

static void types_read(struct reader *reader, struct lane *lane)
{
    bson_iter_t items;
    lane->n_types = get_list(reader, "types", BSON_TYPE_UTF8, &items);
    lane->types = arena_alloc(reader->mem, (lane->n_types + 1) * sizeof(*lane->types));
    for (size_t i = 0; i < lane->n_types && bson_iter_next(&items); i++)
        lane->types[i] = arena_string(reader->mem, bson_iter_utf8(&items, NULL));
}

int lane_decode(struct bytes doc, struct arena *mem, struct lane *ret_lane)
{
    struct reader reader;
    reader_init(&reader, doc, mem);
    struct lane lane = *ret_lane;
    types_read(&reader, &lane);
    const int64_t *pool = get_ints(&reader, "pool", POOL_STRIDE, &lane.n_pool);
    const int64_t *entries = get_ints(&reader, "entries", ENTRY_STRIDE, &lane.n_entries);
    if (reader.damaged)
        return ERR_CORRUPT;
    lane.pool = arena_alloc(mem, (lane.n_pool + 1) * sizeof(*lane.pool));
    for (size_t i = 0; i < lane.n_pool; i++)
        lane.pool[i] = range_of(&reader, pool + i * POOL_STRIDE);
    lane.entries = arena_alloc(mem, (lane.n_entries + 1) * sizeof(*lane.entries));
    for (size_t i = 0; i < lane.n_entries; i++) {
        const int64_t *at = entries + i * ENTRY_STRIDE;
        lane.entries[i] = (struct lane_entry){.node = at[0],
                                              .g = (uint64_t)at[1],
                                              .r = (uint64_t)at[2],
                                              .last = range_of(&reader, at + 3)};
    }
    if (reader.damaged)
        return ERR_CORRUPT;
    *ret_lane = lane;
    return 0;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

enum { HELD_STRIDE = 4, GRANT_STRIDE = 2, RUNNING_STRIDE = 3, REQUEST_STRIDE = 4 };

static void node_put_set_once(bson_t *doc, const struct node *node)
{
    put_text(doc, "host", node->host);
    put_text(doc, "boot", node->boot_id);
    put_int(doc, "pid_ns", node->pid_ns);
    put_int(doc, "pid", node->pid);
    put_int(doc, "pid_start", node->pid_start);
    put_text(doc, "version", node->version);
    put_int(doc, "slots", node->slots);
    put_int(doc, "lease_ms", node->lease_ms);
    put_names(doc, "queues", node->queues, node->n_queues);
    put_names(doc, "types", node->types, node->n_types);
    put_text(doc, "doorbell", node->doorbell);
    put_int(doc, "created", node->created_ms);
}

static void node_put_lists(bson_t *doc, const struct node *node)
{
    struct list list;
    list_begin(doc, "ranges", &list);
    for (size_t i = 0; i < node->n_ranges; i++) {
        list_range(&list, node->ranges[i].range);
        list_int(&list, (int64_t)node->ranges[i].returning);
    }
    list_end(doc, &list);
    list_begin(doc, "granted", &list);
    for (size_t i = 0; i < node->n_granted; i++) {
        list_int(&list, node->granted[i].lane);
        list_int(&list, (int64_t)node->granted[i].g);
    }
    list_end(doc, &list);
    list_begin(doc, "running", &list);
    for (size_t i = 0; i < node->n_running; i++) {
        list_int(&list, node->running[i].id);
        list_int(&list, node->running[i].run);
        list_int(&list, node->running[i].started_ms);
    }
    list_end(doc, &list);
    list_begin(doc, "running_types", &list);
    for (size_t i = 0; i < node->n_running; i++)
        list_text(&list, node->running[i].type);
    list_end(doc, &list);
}

static void node_put_requests(bson_t *doc, const struct node *node)
{
    struct list list;
    put_int(doc, "request_seq", (int64_t)node->request_seq);
    list_begin(doc, "requests", &list);
    for (size_t i = 0; i < node->n_requests; i++) {
        list_int(&list, (int64_t)node->requests[i].seq);
        list_int(&list, node->requests[i].kind);
        list_int(&list, node->requests[i].id);
        list_int(&list, node->requests[i].from);
    }
    list_end(doc, &list);
}

struct bytes node_encode(const struct node *node, struct bytes old, struct arena *mem)
{
    bson_t doc = BSON_INITIALIZER;
    node_put_set_once(&doc, node);
    put_int(&doc, "since", node->since_ms);
    put_int(&doc, "beat_at", node->beat_ms);
    node_put_lists(&doc, node);
    put_int(&doc, "done", node->done);
    put_int(&doc, "failed", node->failed);
    put_int(&doc, "interrupted", node->interrupted);
    bson_append_double(&doc, "rate", -1, node->rate);
    bson_append_double(&doc, "load", -1, node->load);
    node_put_requests(&doc, node);
    put_text(&doc, "cause", node->cause);
    keep_unknown(&doc, old);
    return seal(&doc, mem);
}

static void node_get_set_once(struct reader *reader, struct node *node)
{
    get_name(reader, "host", node->host, sizeof(node->host));
    get_name(reader, "boot", node->boot_id, sizeof(node->boot_id));
    node->pid_ns = get_int(reader, "pid_ns");
    node->pid = get_int(reader, "pid");
    node->pid_start = get_int(reader, "pid_start");
    get_name(reader, "version", node->version, sizeof(node->version));
    node->slots = get_int32(reader, "slots");
    node->lease_ms = get_int(reader, "lease_ms");
    node->queues = get_names(reader, "queues", &node->n_queues);
    node->types = get_names(reader, "types", &node->n_types);
    get_name(reader, "doorbell", node->doorbell, sizeof(node->doorbell));
    node->created_ms = get_int(reader, "created");
}

static void node_get_running(struct reader *reader, struct node *node)
{
    size_t n_types;
    const int64_t *at = get_ints(reader, "running", RUNNING_STRIDE, &node->n_running);
    const char(*types)[LIMIT_NAME_BYTES + 1] = get_names(reader, "running_types", &n_types);
    if (n_types != node->n_running)
        reader->damaged = true;
    node->running = arena_alloc(reader->mem, (node->n_running + 1) * sizeof(*node->running));
    for (size_t i = 0; i < node->n_running && !reader->damaged; i++, at += RUNNING_STRIDE) {
        struct node_running *running = &node->running[i];
        *running = (struct node_running){.id = at[0], .run = (int32_t)at[1], .started_ms = at[2]};
        memcpy(running->type, types[i], sizeof(running->type));
    }
}

static void node_get_lists(struct reader *reader, struct node *node)
{
    const int64_t *at = get_ints(reader, "ranges", HELD_STRIDE, &node->n_ranges);
    node->ranges = arena_alloc(reader->mem, (node->n_ranges + 1) * sizeof(*node->ranges));
    for (size_t i = 0; i < node->n_ranges; i++, at += HELD_STRIDE)
        node->ranges[i] = (struct node_range){.range = range_of(reader, at),
                                              .returning = (uint64_t)at[POOL_STRIDE]};
    at = get_ints(reader, "granted", GRANT_STRIDE, &node->n_granted);
    node->granted = arena_alloc(reader->mem, (node->n_granted + 1) * sizeof(*node->granted));
    for (size_t i = 0; i < node->n_granted; i++, at += GRANT_STRIDE)
        node->granted[i] = (struct node_grant){.lane = (int32_t)at[0], .g = (uint64_t)at[1]};
    node_get_running(reader, node);
    at = get_ints(reader, "requests", REQUEST_STRIDE, &node->n_requests);
    node->requests = arena_alloc(reader->mem, (node->n_requests + 1) * sizeof(*node->requests));
    for (size_t i = 0; i < node->n_requests; i++, at += REQUEST_STRIDE)
        node->requests[i] = (struct node_request){
            .seq = (uint64_t)at[0], .kind = (enum request_kind)at[1], .id = at[2], .from = at[3]};
}

int node_decode(struct bytes doc, struct arena *mem, struct node *ret_node)
{
    struct reader reader;
    reader_init(&reader, doc, mem);
    struct node node = *ret_node;
    node_get_set_once(&reader, &node);
    node.since_ms = get_int(&reader, "since");
    node.beat_ms = get_int(&reader, "beat_at");
    node_get_lists(&reader, &node);
    node.done = get_int(&reader, "done");
    node.failed = get_int(&reader, "failed");
    node.interrupted = get_int(&reader, "interrupted");
    node.rate = get_double(&reader, "rate");
    node.load = get_double(&reader, "load");
    node.request_seq = (uint64_t)get_int(&reader, "request_seq");
    get_name(&reader, "cause", node.cause, sizeof(node.cause));
    if (!reader.damaged)
        *ret_node = node;
    return verdict(&reader);
}

/* ---- jobs: spec ----------------------------------------------------------------------------- */

enum { LIMIT_STRIDE = 2 };

struct bytes spec_encode(const struct job_spec *spec, struct arena *mem)
{
    bson_t doc = BSON_INITIALIZER;
    struct list list;
    put_nonzero(&doc, "max_attempts", spec->max_attempts);
    put_nonzero(&doc, "max_interruptions", spec->max_interruptions);
    put_nonzero(&doc, "timeout_ms", spec->timeout_ms);
    put_nonzero(&doc, "backoff_ms", spec->backoff_ms);
    put_nonzero(&doc, "run_at", spec->run_at_ms);
    put_text(&doc, "cwd", spec->cwd);
    put_bytes(&doc, "env", spec->env);
    put_text(&doc, "key", spec->key);
    put_text(&doc, "group", spec->group);
    put_nonzero(&doc, "copy_of", spec->copy_of);
    if (spec->n_limits > 0) {
        list_begin(&doc, "limits", &list);
        for (size_t i = 0; i < spec->n_limits; i++) {
            list_int(&list, spec->limits[i].resource);
            list_int(&list, (int64_t)spec->limits[i].value);
        }
        list_end(&doc, &list);
    }
    if (spec->n_after > 0) {
        list_begin(&doc, "after", &list);
        for (size_t i = 0; i < spec->n_after; i++)
            list_int(&list, spec->after[i]);
        list_end(&doc, &list);
    }
    return seal(&doc, mem);
}

int spec_decode(struct bytes doc, struct arena *mem, const struct job_spec **ret_spec)
{
    struct reader reader;
    reader_init(&reader, doc, mem);
    struct job_spec *spec = arena_alloc(mem, sizeof(*spec));
    spec->max_attempts = get_int32(&reader, "max_attempts");
    spec->max_interruptions = get_int32(&reader, "max_interruptions");
    spec->timeout_ms = get_int(&reader, "timeout_ms");
    spec->backoff_ms = get_int(&reader, "backoff_ms");
    spec->run_at_ms = get_int(&reader, "run_at");
    spec->cwd = get_text(&reader, "cwd");
    spec->env = get_bytes(&reader, "env");
    spec->key = get_text(&reader, "key");
    spec->group = get_text(&reader, "group");
    spec->copy_of = get_int(&reader, "copy_of");
    const int64_t *at = get_ints(&reader, "limits", LIMIT_STRIDE, &spec->n_limits);
    struct job_limit *limits = arena_alloc(mem, (spec->n_limits + 1) * sizeof(*limits));
    for (size_t i = 0; i < spec->n_limits; i++, at += LIMIT_STRIDE)
        limits[i] = (struct job_limit){.resource = (int32_t)at[0], .value = (uint64_t)at[1]};
    spec->limits = limits;
    spec->after = get_ints(&reader, "after", 1, &spec->n_after);
    if (!reader.damaged)
        *ret_spec = spec;
    return verdict(&reader);
}

/* ---- jobs: ending --------------------------------------------------------------------------- */

static void attempt_put(struct list *trace, const struct job_attempt *attempt)
{
    char text[16];
    bson_t doc;
    bson_append_document_begin(&trace->array, list_key(trace, text), -1, &doc);
    put_int(&doc, "run", attempt->run);
    put_nonzero(&doc, "interrupted", attempt->interrupted);
    put_nonzero(&doc, "node", attempt->node);
    put_nonzero(&doc, "started", attempt->started_ms);
    put_nonzero(&doc, "finished", attempt->finished_ms);
    put_nonzero(&doc, "exit", attempt->exit_code);
    put_nonzero(&doc, "signal", attempt->signal);
    put_nonzero(&doc, "timed_out", attempt->timed_out);
    put_text(&doc, "error", attempt->error);
    put_bytes(&doc, "output", attempt->output);
    bson_append_document_end(&trace->array, &doc);
}

struct bytes ending_encode(const struct job_ending *ending, struct arena *mem)
{
    bson_t doc = BSON_INITIALIZER;
    struct list trace;
    put_nonzero(&doc, "exit", ending->exit_code);
    put_nonzero(&doc, "signal", ending->signal);
    put_nonzero(&doc, "timed_out", ending->timed_out);
    put_nonzero(&doc, "user_ms", ending->user_ms);
    put_nonzero(&doc, "sys_ms", ending->sys_ms);
    put_nonzero(&doc, "maxrss_kb", ending->maxrss_kb);
    put_bytes(&doc, "result", ending->result);
    put_bytes(&doc, "output", ending->output);
    put_nonzero(&doc, "output_total", (int64_t)ending->output_total);
    put_text(&doc, "error", ending->error);
    if (ending->n_trace > 0) {
        list_begin(&doc, "trace", &trace);
        for (size_t i = 0; i < ending->n_trace; i++)
            attempt_put(&trace, &ending->trace[i]);
        list_end(&doc, &trace);
    }
    return seal(&doc, mem);
}

static struct job_attempt attempt_get(struct reader *outer, const bson_iter_t *at)
{
    const uint8_t *data;
    uint32_t len;
    bson_iter_document(at, &len, &data);
    struct reader reader = {.mem = outer->mem};
    reader.damaged = !bson_init_static(&reader.doc, data, len);
    struct job_attempt attempt = {.run = get_int32(&reader, "run"),
                                  .interrupted = get_int(&reader, "interrupted") != 0,
                                  .node = get_int(&reader, "node"),
                                  .started_ms = get_int(&reader, "started"),
                                  .finished_ms = get_int(&reader, "finished"),
                                  .exit_code = get_int32(&reader, "exit"),
                                  .signal = get_int32(&reader, "signal"),
                                  .timed_out = get_int(&reader, "timed_out") != 0,
                                  .error = get_text(&reader, "error"),
                                  .output = get_bytes(&reader, "output")};
    outer->damaged = outer->damaged || reader.damaged;
    return attempt;
}

int ending_decode(struct bytes doc, struct arena *mem, const struct job_ending **ret_ending)
{
    struct reader reader;
    reader_init(&reader, doc, mem);
    struct job_ending *ending = arena_alloc(mem, sizeof(*ending));
    ending->exit_code = get_int32(&reader, "exit");
    ending->signal = get_int32(&reader, "signal");
    ending->timed_out = get_int(&reader, "timed_out") != 0;
    ending->user_ms = get_int(&reader, "user_ms");
    ending->sys_ms = get_int(&reader, "sys_ms");
    ending->maxrss_kb = get_int(&reader, "maxrss_kb");
    ending->result = get_bytes(&reader, "result");
    ending->output = get_bytes(&reader, "output");
    ending->output_total = (uint64_t)get_int(&reader, "output_total");
    ending->error = get_text(&reader, "error");
    bson_iter_t items;
    ending->n_trace = get_list(&reader, "trace", BSON_TYPE_DOCUMENT, &items);
    struct job_attempt *trace = arena_alloc(mem, (ending->n_trace + 1) * sizeof(*trace));
    for (size_t i = 0; i < ending->n_trace && bson_iter_next(&items); i++)
        trace[i] = attempt_get(&reader, &items);
    ending->trace = trace;
    if (!reader.damaged)
        *ret_ending = ending;
    return verdict(&reader);
}
