/* Goal: the parts of records that SQLite stores as BSON (record_bson.c), from any bytes: refused
 * with nothing set, or read into a record that comes back the same from what is written of it.
 * Method: the first byte chooses the record. Read, write, read and write again: both times the same
 * bytes; and once more over the input itself, as a rewrite does, which keeps unknown fields. */
#include <bson/bson.h>

#include "datastore/record_bson.h"
#include "tests/fuzz/bson_mutator.h"

union record {
    struct meta meta;
    struct queue queue;
    struct lane lane;
    struct node node;
    const struct job_spec *spec;
    const struct job_ending *ending;
};

typedef int read_fn(struct bytes doc, struct arena *mem, union record *ret_record);
typedef struct bytes write_fn(const union record *record, struct bytes old, struct arena *mem);

static int meta_read(struct bytes doc, struct arena *mem, union record *ret_record)
{
    (void)mem;
    return meta_decode(doc, &ret_record->meta);
}

static struct bytes meta_write(const union record *record, struct bytes old, struct arena *mem)
{
    return meta_encode(&record->meta, old, mem);
}

static int queue_read(struct bytes doc, struct arena *mem, union record *ret_record)
{
    (void)mem;
    return queue_decode(doc, &ret_record->queue);
}

static struct bytes queue_write(const union record *record, struct bytes old, struct arena *mem)
{
    return queue_encode(&record->queue, old, mem);
}

static int lane_read(struct bytes doc, struct arena *mem, union record *ret_record)
{
    return lane_decode(doc, mem, &ret_record->lane);
}

static struct bytes lane_write(const union record *record, struct bytes old, struct arena *mem)
{
    return lane_encode(&record->lane, old, mem);
}

static int node_read(struct bytes doc, struct arena *mem, union record *ret_record)
{
    return node_decode(doc, mem, &ret_record->node);
}

static struct bytes node_write(const union record *record, struct bytes old, struct arena *mem)
{
    return node_encode(&record->node, old, mem);
}

static int spec_read(struct bytes doc, struct arena *mem, union record *ret_record)
{
    return spec_decode(doc, mem, &ret_record->spec);
}

static struct bytes spec_write(const union record *record, struct bytes old, struct arena *mem)
{
    (void)old;
    return spec_encode(record->spec, mem);
}

static int ending_read(struct bytes doc, struct arena *mem, union record *ret_record)
{
    return ending_decode(doc, mem, &ret_record->ending);
}

static struct bytes ending_write(const union record *record, struct bytes old, struct arena *mem)
{
    (void)old;
    return ending_encode(record->ending, mem);
}

static const struct {
    read_fn *read;
    write_fn *write;
    bool rewritten; /* over what is there */
} kinds[] = {
    {meta_read, meta_write, true},  {queue_read, queue_write, true},
    {lane_read, lane_write, true},  {node_read, node_write, true},
    {spec_read, spec_write, false}, {ending_read, ending_write, false},
};

/* Every field of `old` is there under its name. */
static void require_kept(struct bytes old, struct bytes now)
{
    bson_t before, after;
    bson_iter_t at, found;
    REQUIRE(bson_init_static(&before, old.data, old.len) && bson_iter_init(&at, &before));
    REQUIRE(bson_init_static(&after, now.data, now.len));
    while (bson_iter_next(&at))
        REQUIRE(bson_iter_init_find(&found, &after, bson_iter_key(&at)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const union record nothing;
    struct bytes input = {data, size}, none = {0};
    struct arena mem = {0};
    union record record, again;
    size_t kind = take_byte(&input) % (sizeof(kinds) / sizeof(kinds[0]));
    memset(&record, 0, sizeof(record));
    memset(&again, 0, sizeof(again));
    int rc = kinds[kind].read(input, &mem, &record);
    REQUIRE(rc == 0 || rc == ERR_CORRUPT);
    if (rc == 0) {
        struct bytes first = kinds[kind].write(&record, none, &mem);
        REQUIRE(kinds[kind].read(first, &mem, &again) == 0);
        REQUIRE(same_bytes(kinds[kind].write(&again, none, &mem), first));
        if (kinds[kind].rewritten) {
            struct bytes over = kinds[kind].write(&record, input, &mem);
            REQUIRE(kinds[kind].read(over, &mem, &again) == 0);
            REQUIRE(same_bytes(kinds[kind].write(&again, none, &mem), first));
            require_kept(input, over);
        }
    } else {
        REQUIRE(memcmp(&record, &nothing, sizeof(record)) == 0);
    }
    arena_release(&mem);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static const char *const names[] = {
        "copying",  "paused",      "weight",  "partitions", "changed",       "by",
        "types",    "pool",        "entries", "host",       "boot",          "pid_ns",
        "queues",   "ranges",      "granted", "running",    "running_types", "requests",
        "cause",    "doorbell",    "version", "rate",       "limits",        "after",
        "cwd",      "env",         "key",     "group",      "run",           "exit",
        "error",    "output",      "result",  "trace",      "timed_out",     "interrupted",
        "tomorrow", "output_total"};
    return mutate_documents(data, size, max_size, seed, 1, names, sizeof(names) / sizeof(names[0]));
}
