/* Queues, lanes and nodes to the MongoDB backend's documents and back; jobs: mongo_bson_jobs.c.
 * Pure. */
#include "datastore/mongo_bson.h"

#include <inttypes.h>
#include <stdlib.h>

#include "datastore/bson_fields.h"

static const char *const desired_names[] = {
    [DESIRED_RUN] = "run", [DESIRED_PAUSED] = "paused", [DESIRED_STOPPED] = "stopped"};
static const char *const request_names[] = {[REQUEST_CANCEL] = "cancel", [REQUEST_SHED] = "shed"};

/* One of `names`; the first where the field is missing. */
static int word(struct reader *reader, const char *key, const char *const *names, int n)
{
    bson_iter_t at;
    if (!find(reader, key, BSON_TYPE_UTF8, &at))
        return 0;
    for (int i = 0; i < n; i++)
        if (strcmp(names[i], bson_iter_utf8(&at, NULL)) == 0)
            return i;
    reader->damaged = true;
    return 0;
}

static void range_put(bson_t *doc, struct range range)
{
    put_int(doc, "a", range.a);
    put_int(doc, "b", range.b);
    if (range.suspect)
        put_bool(doc, "suspect", true);
}

static struct range range_get(struct reader *reader)
{
    struct range range = {number(reader, "a"), number(reader, "b"), number(reader, "suspect") != 0};
    reader->damaged = reader->damaged || !id_possible(range.a) || !id_possible(range.b);
    return range;
}

/* ---- meta and queues ------------------------------------------------------------------------ */

void meta_to_doc(const struct meta *meta, int32_t lane_next, bson_t *doc)
{
    put_text(doc, "_id", "meta");
    put_int(doc, "schema", meta->schema_version);
    put_int(doc, "reader_min", meta->reader_version_min);
    put_int(doc, "writer_min", meta->writer_version_min);
    put_int(doc, "features", meta->features);
    put_date(doc, "created", meta->created_ms);
    put_int(doc, "lane_next", lane_next);
}

int meta_from_doc(const bson_t *doc, struct meta *ret_meta)
{
    struct reader reader;
    reader_on(&reader, doc, NULL);
    struct meta meta = {.schema_version = number32(&reader, "schema"),
                        .reader_version_min = number32(&reader, "reader_min"),
                        .writer_version_min = number32(&reader, "writer_min"),
                        .features = number(&reader, "features"),
                        .created_ms = number(&reader, "created")};
    get_name(&reader, "copying", meta.copying, sizeof(meta.copying));
    if (reader.damaged || meta.schema_version < 1)
        return ERR_CORRUPT;
    *ret_meta = meta;
    return 0;
}

void queue_to_doc(const struct queue *queue, bson_t *doc)
{
    put_bool(doc, "paused", queue->paused);
    put_int(doc, "weight", queue->weight);
    put_int(doc, "partitions", queue->partitions);
    put_date(doc, "changed", queue->changed_ms);
    put_text(doc, "by", queue->changed_by);
}

int queue_from_doc(const bson_t *doc, struct queue *ret_queue)
{
    struct reader reader;
    reader_on(&reader, doc, NULL);
    struct queue queue = {.paused = number(&reader, "paused") != 0,
                          .weight = number32(&reader, "weight"),
                          .partitions = number32(&reader, "partitions"),
                          .changed_ms = number(&reader, "changed")};
    get_name(&reader, "_id", queue.name, sizeof(queue.name));
    get_name(&reader, "by", queue.changed_by, sizeof(queue.changed_by));
    if (reader.damaged)
        return ERR_CORRUPT;
    *ret_queue = queue;
    return 0;
}

/* ---- lanes ---------------------------------------------------------------------------------- */

const char *entry_path(char *text, int64_t node, const char *field)
{
    snprintf(text, ENTRY_PATH_BYTES, "entries.n%" PRId64 "%s%s", node, field != NULL ? "." : "",
             field != NULL ? field : "");
    return text;
}

void pool_to_doc(const struct range *pool, size_t n, bson_t *doc)
{
    struct list list;
    bson_t element;
    list_begin(doc, "pool", &list);
    for (size_t i = 0; i < n; i++) {
        element_begin(&list, &element);
        range_put(&element, pool[i]);
        bson_append_document_end(&list.array, &element);
    }
    list_end(doc, &list);
}

static void entries_put(const struct lane *lane, bson_t *doc)
{
    bson_t entries, entry;
    bson_append_document_begin(doc, "entries", -1, &entries);
    for (size_t i = 0; i < lane->n_entries; i++) {
        char path[ENTRY_PATH_BYTES];
        const char *key = entry_path(path, lane->entries[i].node, NULL) + strlen("entries.");
        bson_append_document_begin(&entries, key, -1, &entry);
        put_int(&entry, "g", (int64_t)lane->entries[i].g);
        put_int(&entry, "r", (int64_t)lane->entries[i].r);
        range_put(&entry, lane->entries[i].last);
        bson_append_document_end(&entries, &entry);
    }
    bson_append_document_end(doc, &entries);
}

void lane_to_doc(const struct lane *lane, bson_t *doc)
{
    struct list list;
    put_int(doc, "_id", lane->number);
    put_text(doc, "queue", lane->name.queue);
    put_int(doc, "priority", lane->name.priority);
    put_int(doc, "partition", lane->name.partition);
    put_bool(doc, "exclusive", lane->exclusive);
    put_int(doc, "tail", lane->tail);
    put_int(doc, "head", lane->head);
    put_int(doc, "holder", lane->holder);
    list_begin(doc, "types", &list);
    for (size_t i = 0; i < lane->n_types; i++)
        list_text(&list, lane->types[i]);
    list_end(doc, &list);
    pool_to_doc(lane->pool, lane->n_pool, doc);
    put_int(doc, "pool_version", 0);
    entries_put(lane, doc);
}

static void pool_get(struct reader *reader, struct lane *lane)
{
    bson_iter_t items;
    lane->n_pool = get_list(reader, "pool", BSON_TYPE_DOCUMENT, &items);
    lane->pool = arena_alloc(reader->mem, (lane->n_pool + 1) * sizeof(*lane->pool));
    for (size_t i = 0; i < lane->n_pool; i++) {
        struct reader element;
        element_next(reader, &items, &element);
        lane->pool[i] = range_get(&element);
        reader->damaged = reader->damaged || element.damaged;
    }
}

/* "n17" -> 17. */
static bool entry_node(const char *key, int64_t *ret_node)
{
    char *end;
    *ret_node = key[0] == 'n' ? strtoll(key + 1, &end, 10) : 0;
    return *ret_node > 0 && *end == '\0';
}

static void entries_get(struct reader *reader, struct lane *lane)
{
    bson_iter_t at, items;
    struct reader entries;
    const uint8_t *data;
    uint32_t len;
    if (!find(reader, "entries", BSON_TYPE_DOCUMENT, &at))
        return;
    bson_iter_document(&at, &len, &data);
    entries.mem = reader->mem;
    entries.damaged = !bson_init_static(&entries.doc, data, len);
    size_t n = entries.damaged ? 0 : bson_count_keys(&entries.doc);
    lane->entries = arena_alloc(reader->mem, (n + 1) * sizeof(*lane->entries));
    if (entries.damaged || !bson_iter_init(&items, &entries.doc)) {
        reader->damaged = true;
        return;
    }
    while (bson_iter_next(&items) && lane->n_entries < n) {
        struct lane_entry *entry = &lane->entries[lane->n_entries];
        struct reader fields = {.mem = reader->mem};
        if (!BSON_ITER_HOLDS_DOCUMENT(&items) || !entry_node(bson_iter_key(&items), &entry->node)) {
            reader->damaged = true;
            return;
        }
        bson_iter_document(&items, &len, &data);
        fields.damaged = !bson_init_static(&fields.doc, data, len);
        entry->g = (uint64_t)number(&fields, "g");
        entry->r = (uint64_t)number(&fields, "r");
        entry->last = range_get(&fields);
        lane->n_entries++;
        reader->damaged = reader->damaged || fields.damaged;
    }
}

static void lane_types_get(struct reader *reader, struct lane *lane)
{
    bson_iter_t items;
    lane->n_types = get_list(reader, "types", BSON_TYPE_UTF8, &items);
    lane->types = arena_alloc(reader->mem, (lane->n_types + 1) * sizeof(*lane->types));
    for (size_t i = 0; i < lane->n_types && bson_iter_next(&items); i++)
        lane->types[i] = arena_string(reader->mem, bson_iter_utf8(&items, NULL));
}

int lane_from_doc(const bson_t *doc, struct arena *mem, struct lane *ret_lane,
                  int64_t *ret_pool_version)
{
    struct reader reader;
    reader_on(&reader, doc, mem);
    struct lane lane = {.number = number32(&reader, "_id"),
                        .name.priority = number32(&reader, "priority"),
                        .name.partition = number32(&reader, "partition"),
                        .exclusive = number(&reader, "exclusive") != 0,
                        .tail = number(&reader, "tail"),
                        .head = number(&reader, "head"),
                        .holder = number(&reader, "holder")};
    get_name(&reader, "queue", lane.name.queue, sizeof(lane.name.queue));
    lane_types_get(&reader, &lane);
    pool_get(&reader, &lane);
    entries_get(&reader, &lane);
    int64_t pool_version = number(&reader, "pool_version");
    if (reader.damaged || lane.number < 0 || lane.number >= LIMIT_LANES ||
        !id_possible(lane.head) || !id_possible(lane.tail))
        return ERR_CORRUPT;
    *ret_lane = lane;
    if (ret_pool_version != NULL)
        *ret_pool_version = pool_version;
    return 0;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

static void node_lists_put(const struct node *node, bson_t *doc)
{
    struct list list;
    bson_t element;
    list_begin(doc, "ranges", &list);
    for (size_t i = 0; i < node->n_ranges; i++) {
        element_begin(&list, &element);
        range_put(&element, node->ranges[i].range);
        put_nonzero(&element, "returning", (int64_t)node->ranges[i].returning);
        bson_append_document_end(&list.array, &element);
    }
    list_end(doc, &list);
    list_begin(doc, "granted", &list);
    for (size_t i = 0; i < node->n_granted; i++) {
        element_begin(&list, &element);
        put_int(&element, "lane", node->granted[i].lane);
        put_int(&element, "g", (int64_t)node->granted[i].g);
        bson_append_document_end(&list.array, &element);
    }
    list_end(doc, &list);
    list_begin(doc, "running", &list);
    for (size_t i = 0; i < node->n_running; i++) {
        element_begin(&list, &element);
        put_int(&element, "id", node->running[i].id);
        put_int(&element, "run", node->running[i].run);
        put_text(&element, "type", node->running[i].type);
        put_date(&element, "started", node->running[i].started_ms);
        bson_append_document_end(&list.array, &element);
    }
    list_end(doc, &list);
}

void node_own_to_doc(const struct node *node, bson_t *doc)
{
    put_text(doc, "state", node_state_name(node->state));
    put_date(doc, "since", node->since_ms);
    put_int(doc, "beat", (int64_t)node->beat);
    node_lists_put(node, doc);
    put_int(doc, "done", node->done);
    put_int(doc, "failed", node->failed);
    put_int(doc, "interrupted", node->interrupted);
    bson_append_double(doc, "rate", -1, node->rate);
    bson_append_double(doc, "load", -1, node->load);
}

void request_to_doc(const struct node_request *request, bson_t *doc)
{
    put_int(doc, "seq", (int64_t)request->seq);
    put_text(doc, "kind", request_names[request->kind]);
    put_int(doc, "id", request->id);
    put_nonzero(doc, "from", request->from);
}

void node_to_doc(const struct node *node, bson_t *doc)
{
    struct list list;
    bson_t element;
    put_int(doc, "_id", node->id);
    put_text(doc, "name", node->name);
    if (node->state != NODE_DEAD)
        put_bool(doc, "live", true); /* the unique index of names looks at these only */
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
    put_date(doc, "created", node->created_ms);
    node_own_to_doc(node, doc);
    put_date(doc, "beat_at", node->beat_ms);
    put_text(doc, "desired", desired_names[node->desired]);
    put_int(doc, "request_seq", (int64_t)node->request_seq);
    list_begin(doc, "requests", &list);
    for (size_t i = 0; i < node->n_requests; i++) {
        element_begin(&list, &element);
        request_to_doc(&node->requests[i], &element);
        bson_append_document_end(&list.array, &element);
    }
    list_end(doc, &list);
    put_text(doc, "cause", node->cause);
}

static void node_ranges_get(struct reader *reader, struct node *node)
{
    bson_iter_t items;
    struct reader element;
    node->n_ranges = get_list(reader, "ranges", BSON_TYPE_DOCUMENT, &items);
    node->ranges = arena_alloc(reader->mem, (node->n_ranges + 1) * sizeof(*node->ranges));
    for (size_t i = 0; i < node->n_ranges; i++) {
        element_next(reader, &items, &element);
        node->ranges[i].range = range_get(&element);
        node->ranges[i].returning = (uint64_t)number(&element, "returning");
        reader->damaged = reader->damaged || element.damaged;
    }
    node->n_granted = get_list(reader, "granted", BSON_TYPE_DOCUMENT, &items);
    node->granted = arena_alloc(reader->mem, (node->n_granted + 1) * sizeof(*node->granted));
    for (size_t i = 0; i < node->n_granted; i++) {
        element_next(reader, &items, &element);
        node->granted[i] = (struct node_grant){.lane = number32(&element, "lane"),
                                               .g = (uint64_t)number(&element, "g")};
        reader->damaged = reader->damaged || element.damaged;
    }
}

static void node_running_get(struct reader *reader, struct node *node)
{
    bson_iter_t items;
    struct reader element;
    node->n_running = get_list(reader, "running", BSON_TYPE_DOCUMENT, &items);
    node->running = arena_alloc(reader->mem, (node->n_running + 1) * sizeof(*node->running));
    for (size_t i = 0; i < node->n_running; i++) {
        struct node_running *running = &node->running[i];
        element_next(reader, &items, &element);
        running->id = number(&element, "id");
        running->run = number32(&element, "run");
        running->started_ms = number(&element, "started");
        get_name(&element, "type", running->type, sizeof(running->type));
        reader->damaged = reader->damaged || element.damaged;
    }
}

static void node_requests_get(struct reader *reader, struct node *node)
{
    bson_iter_t items;
    struct reader element;
    node->request_seq = (uint64_t)number(reader, "request_seq");
    node->n_requests = get_list(reader, "requests", BSON_TYPE_DOCUMENT, &items);
    node->requests = arena_alloc(reader->mem, (node->n_requests + 1) * sizeof(*node->requests));
    for (size_t i = 0; i < node->n_requests; i++) {
        element_next(reader, &items, &element);
        node->requests[i] = (struct node_request){
            .seq = (uint64_t)number(&element, "seq"),
            .kind = (enum request_kind)word(&element, "kind", request_names, 2),
            .id = number(&element, "id"),
            .from = number(&element, "from")};
        reader->damaged = reader->damaged || element.damaged;
    }
}

static void node_identity_get(struct reader *reader, struct node *node)
{
    node->id = number(reader, "_id");
    get_name(reader, "name", node->name, sizeof(node->name));
    get_name(reader, "host", node->host, sizeof(node->host));
    get_name(reader, "boot", node->boot_id, sizeof(node->boot_id));
    node->pid_ns = number(reader, "pid_ns");
    node->pid = number(reader, "pid");
    node->pid_start = number(reader, "pid_start");
    get_name(reader, "version", node->version, sizeof(node->version));
    node->slots = number32(reader, "slots");
    node->lease_ms = number(reader, "lease_ms");
    node->queues = get_names(reader, "queues", &node->n_queues);
    node->types = get_names(reader, "types", &node->n_types);
    get_name(reader, "doorbell", node->doorbell, sizeof(node->doorbell));
    node->created_ms = number(reader, "created");
}

int node_from_doc(const bson_t *doc, struct arena *mem, struct node *ret_node)
{
    struct reader reader;
    bson_iter_t at;
    struct node node = {0};
    reader_on(&reader, doc, mem);
    node_identity_get(&reader, &node);
    int state = find(&reader, "state", BSON_TYPE_UTF8, &at)
                    ? node_state_parse(bson_iter_utf8(&at, NULL))
                    : -1;
    node.state = state >= 0 ? (enum node_state)state : NODE_DEAD;
    node.since_ms = number(&reader, "since");
    node.beat = (uint64_t)number(&reader, "beat");
    node.beat_ms = number(&reader, "beat_at");
    node_ranges_get(&reader, &node);
    node_running_get(&reader, &node);
    node.done = number(&reader, "done");
    node.failed = number(&reader, "failed");
    node.interrupted = number(&reader, "interrupted");
    node.rate = fraction(&reader, "rate");
    node.load = fraction(&reader, "load");
    node.desired = (enum node_desired)word(&reader, "desired", desired_names, 3);
    node_requests_get(&reader, &node);
    get_name(&reader, "cause", node.cause, sizeof(node.cause));
    if (reader.damaged || state < 0 || node.id <= 0)
        return ERR_CORRUPT;
    *ret_node = node;
    return 0;
}
