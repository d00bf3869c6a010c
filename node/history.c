/* Versions of a node's own record (node/history.h).
 *
 * Each field is encoded as a document of its own and compared with what the version before said, so
 * that what a field is made of is said once and a delta needs no rules beside "the bytes differ".
 * A ring remembers when versions were made and what they weigh: the store is never asked how much
 * it keeps of this node.
 * Invariants: a row is whole or follows the row numbered one less; the ring's sum is what the store
 * keeps of this node at most (bytes of rows, and ROW_OVERHEAD for each). Thread: the caller's. */
#include "node/history.h"

#include <assert.h>
#include <bson/bson.h>
#include <stdlib.h>

enum { ROW_OVERHEAD = 64 };

/* What fields are made from. */
struct source {
    const struct node *self;
    const struct history_lane *lanes;
    size_t n_lanes;
};

/* ---- fields ---------------------------------------------------------------------------------- */

static void put_name(bson_t *doc, const char *name, const struct source *from)
{
    BSON_APPEND_UTF8(doc, name, from->self->name);
}

static void put_host(bson_t *doc, const char *name, const struct source *from)
{
    BSON_APPEND_UTF8(doc, name, from->self->host);
}

static void put_version(bson_t *doc, const char *name, const struct source *from)
{
    BSON_APPEND_UTF8(doc, name, from->self->version);
}

static void put_names(bson_t *doc, const char *name, char (*names)[LIMIT_NAME_BYTES + 1], size_t n)
{
    bson_t list;
    BSON_APPEND_ARRAY_BEGIN(doc, name, &list);
    for (size_t i = 0; i < n; i++) {
        char buffer[16];
        const char *key;
        bson_uint32_to_string((uint32_t)i, &key, buffer, sizeof(buffer));
        BSON_APPEND_UTF8(&list, key, names[i]);
    }
    bson_append_array_end(doc, &list);
}

static void put_queues(bson_t *doc, const char *name, const struct source *from)
{
    put_names(doc, name, from->self->queues, from->self->n_queues);
}

static void put_types(bson_t *doc, const char *name, const struct source *from)
{
    put_names(doc, name, from->self->types, from->self->n_types);
}

#define PUT_NUMBER(field, member)                                                                  \
    static void put_##field(bson_t *doc, const char *name, const struct source *from)              \
    {                                                                                              \
        BSON_APPEND_INT64(doc, name, (int64_t)from->self->member);                                 \
    }
PUT_NUMBER(slots, slots)
PUT_NUMBER(lease_ms, lease_ms)
PUT_NUMBER(pid, pid)
PUT_NUMBER(created, created_ms)
PUT_NUMBER(state, state)
PUT_NUMBER(since, since_ms)
PUT_NUMBER(desired, desired)
PUT_NUMBER(done, done)
PUT_NUMBER(failed, failed)
PUT_NUMBER(interrupted, interrupted)
#undef PUT_NUMBER

/* Digits that nobody reads would make a version of every breath. */
static double rounded(double value, double parts)
{
    return (double)(int64_t)(value * parts + 0.5) / parts;
}

static void put_rate(bson_t *doc, const char *name, const struct source *from)
{
    BSON_APPEND_DOUBLE(doc, name, rounded(from->self->rate, 10));
}

static void put_load(bson_t *doc, const char *name, const struct source *from)
{
    BSON_APPEND_DOUBLE(doc, name, rounded(from->self->load, 100));
}

static void put_running(bson_t *doc, const char *name, const struct source *from)
{
    bson_t list;
    BSON_APPEND_ARRAY_BEGIN(doc, name, &list);
    for (size_t i = 0; i < from->self->n_running; i++) {
        char buffer[16];
        const char *key;
        bson_uint32_to_string((uint32_t)i, &key, buffer, sizeof(buffer));
        BSON_APPEND_INT64(&list, key, from->self->running[i].id);
    }
    bson_append_array_end(doc, &list);
}

static void put_range(bson_t *list, size_t i, struct range range, uint64_t returning)
{
    char buffer[16];
    const char *key;
    bson_t item;
    bson_uint32_to_string((uint32_t)i, &key, buffer, sizeof(buffer));
    BSON_APPEND_DOCUMENT_BEGIN(list, key, &item);
    BSON_APPEND_INT64(&item, "a", range.a);
    BSON_APPEND_INT64(&item, "b", range.b);
    if (range.suspect)
        BSON_APPEND_BOOL(&item, "suspect", true);
    if (returning != 0)
        BSON_APPEND_INT64(&item, "returning", (int64_t)returning);
    bson_append_document_end(list, &item);
}

static void put_ranges(bson_t *doc, const char *name, const struct source *from)
{
    bson_t list;
    BSON_APPEND_ARRAY_BEGIN(doc, name, &list);
    for (size_t i = 0; i < from->self->n_ranges; i++)
        put_range(&list, i, from->self->ranges[i].range, from->self->ranges[i].returning);
    bson_append_array_end(doc, &list);
}

static void put_granted(bson_t *doc, const char *name, const struct source *from)
{
    bson_t list, item;
    BSON_APPEND_ARRAY_BEGIN(doc, name, &list);
    for (size_t i = 0; i < from->self->n_granted; i++) {
        char buffer[16];
        const char *key;
        bson_uint32_to_string((uint32_t)i, &key, buffer, sizeof(buffer));
        BSON_APPEND_DOCUMENT_BEGIN(&list, key, &item);
        BSON_APPEND_INT32(&item, "lane", from->self->granted[i].lane);
        BSON_APPEND_INT64(&item, "g", (int64_t)from->self->granted[i].g);
        bson_append_document_end(&list, &item);
    }
    bson_append_array_end(doc, &list);
}

static void put_lane(bson_t *list, size_t i, const struct history_lane *lane)
{
    char buffer[16];
    const char *key;
    bson_t item, pool;
    bson_uint32_to_string((uint32_t)i, &key, buffer, sizeof(buffer));
    BSON_APPEND_DOCUMENT_BEGIN(list, key, &item);
    BSON_APPEND_INT32(&item, "lane", lane->lane);
    BSON_APPEND_INT64(&item, "head", lane->head);
    BSON_APPEND_INT64(&item, "tail", lane->tail);
    BSON_APPEND_ARRAY_BEGIN(&item, "pool", &pool);
    for (size_t k = 0; k < lane->n_pool; k++)
        put_range(&pool, k, lane->pool[k], 0);
    bson_append_array_end(&item, &pool);
    bson_append_document_end(list, &item);
}

static void put_lanes(bson_t *doc, const char *name, const struct source *from)
{
    bson_t list;
    BSON_APPEND_ARRAY_BEGIN(doc, name, &list);
    for (size_t i = 0; i < from->n_lanes; i++)
        put_lane(&list, i, &from->lanes[i]);
    bson_append_array_end(doc, &list);
}

static const struct field {
    const char *name;
    void (*put)(bson_t *doc, const char *name, const struct source *from);
    bool light; /* a change of this alone is not worth a version */
} fields[] = {
    {"name", put_name, false},         {"host", put_host, false},
    {"version", put_version, false},   {"queues", put_queues, false},
    {"types", put_types, false},       {"slots", put_slots, false},
    {"lease_ms", put_lease_ms, false}, {"pid", put_pid, false},
    {"created", put_created, false},   {"state", put_state, false},
    {"since", put_since, false},       {"desired", put_desired, false},
    {"running", put_running, false},   {"ranges", put_ranges, false},
    {"granted", put_granted, false},   {"done", put_done, false},
    {"failed", put_failed, false},     {"interrupted", put_interrupted, false},
    {"rate", put_rate, false},         {"load", put_load, true},
    {"lanes", put_lanes, false},
};

enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

/* ---- versions -------------------------------------------------------------------------------- */

struct version {
    int64_t at_ms;
    uint32_t bytes;
    bool whole;
};

struct history {
    bson_t last[FIELDS]; /* what the newest version says */
    int64_t seq;         /* its number; 0: none yet */
    int64_t at_ms, whole_at_ms;
    bool want_whole;

    struct version ring[HISTORY_ROWS_MAX]; /* in the store, oldest first from `first` */
    size_t first, n;
    size_t bytes; /* their sum */
    int64_t drop_before_ms;
    int64_t thinned_at_ms, dropped_before_ms; /* when and what was last told to go */
};

struct history *history_new(void)
{
    struct history *history = calloc(1, sizeof(*history));
    if (history == NULL)
        abort();
    for (size_t i = 0; i < FIELDS; i++)
        bson_init(&history->last[i]);
    history->want_whole = true;
    return history;
}

void history_free(struct history *history)
{
    if (history == NULL)
        return;
    for (size_t i = 0; i < FIELDS; i++)
        bson_destroy(&history->last[i]);
    free(history);
}

void history_lost(struct history *history)
{
    history->want_whole = true;
}

static void ring_drop_first(struct history *history)
{
    history->bytes -= history->ring[history->first].bytes;
    history->first = (history->first + 1) % HISTORY_ROWS_MAX;
    history->n--;
}

static void ring_add(struct history *history, const struct history_row *row)
{
    if (history->n == HISTORY_ROWS_MAX) {
        history->drop_before_ms = history->ring[history->first].at_ms + 1;
        ring_drop_first(history);
    }
    size_t at = (history->first + history->n++) % HISTORY_ROWS_MAX;
    history->ring[at] = (struct version){
        .at_ms = row->at_ms,
        .bytes = (uint32_t)row->body.len + ROW_OVERHEAD,
        .whole = row->whole,
    };
    history->bytes += history->ring[at].bytes;
}

/* Encodes every field; returns whether the change is worth a version. */
static bool fields_encode(const struct history *history, const struct source *from,
                          bson_t now[FIELDS], bool changed[FIELDS])
{
    bool worth = false;
    for (size_t i = 0; i < FIELDS; i++) {
        bson_init(&now[i]);
        fields[i].put(&now[i], fields[i].name, from);
        changed[i] = !bson_equal(&now[i], &history->last[i]);
        worth = worth || (changed[i] && !fields[i].light);
    }
    return worth;
}

static void row_make(struct history *history, const bson_t now[FIELDS], const bool changed[FIELDS],
                     struct history_row *ret_row, struct arena *mem)
{
    bson_t body = BSON_INITIALIZER;
    for (size_t i = 0; i < FIELDS; i++)
        if (ret_row->whole || changed[i])
            bson_concat(&body, &now[i]);
    ret_row->body = arena_bytes(mem, (struct bytes){bson_get_data(&body), body.len});
    bson_destroy(&body);
    history->seq = ret_row->seq;
    history->at_ms = ret_row->at_ms;
    history->want_whole = false;
    if (ret_row->whole)
        history->whole_at_ms = ret_row->at_ms;
    ring_add(history, ret_row);
}

/* Has that long passed? A clock that was set back counts as a long time. */
static bool passed(int64_t since_ms, int64_t now_ms, int64_t span_ms)
{
    return now_ms < since_ms || now_ms - since_ms >= span_ms;
}

int history_version(struct history *history, const struct node *self,
                    const struct history_lane *lanes, size_t n_lanes, int64_t now_ms,
                    struct history_row *ret_row, struct arena *mem)
{
    if (history->seq > 0 && !passed(history->at_ms, now_ms, HISTORY_GAP_MS_MIN))
        return 0;
    struct source from = {self, lanes, n_lanes};
    bson_t now[FIELDS];
    bool changed[FIELDS];
    bool worth = fields_encode(history, &from, now, changed) || history->want_whole;
    if (worth) {
        *ret_row = (struct history_row){
            .node = self->id,
            .seq = history->seq + 1,
            .at_ms = now_ms,
            .whole = history->want_whole || passed(history->whole_at_ms, now_ms, HISTORY_WHOLE_MS),
        };
        row_make(history, now, changed, ret_row, mem);
    }
    for (size_t i = 0; i < FIELDS; i++) {
        if (worth) {
            bson_destroy(&history->last[i]);
            bson_steal(&history->last[i], &now[i]);
        } else {
            bson_destroy(&now[i]);
        }
    }
    return worth ? 1 : 0;
}

/* ---- what may go ----------------------------------------------------------------------------- */

/* Takes the deltas out of the ring that thinning takes out of the store. */
static void ring_thin(struct history *history, int64_t thin_before_ms)
{
    size_t n = history->n, kept = 0;
    for (size_t i = 0; i < n; i++) {
        struct version version = history->ring[(history->first + i) % HISTORY_ROWS_MAX];
        if (!version.whole && version.at_ms < thin_before_ms) {
            history->bytes -= version.bytes;
            continue;
        }
        history->ring[(history->first + kept++) % HISTORY_ROWS_MAX] = version;
    }
    history->n = kept;
}

void history_thin(struct history *history, int64_t now_ms, int64_t *ret_thin_before_ms,
                  int64_t *ret_drop_before_ms)
{
    *ret_thin_before_ms = *ret_drop_before_ms = 0;
    bool over =
        history->bytes > HISTORY_BYTES_MAX || history->drop_before_ms != history->dropped_before_ms;
    if (!over && !passed(history->thinned_at_ms, now_ms, HISTORY_WHOLE_MS))
        return;
    history->thinned_at_ms = now_ms;
    *ret_thin_before_ms = now_ms - HISTORY_DELTAS_MS;
    ring_thin(history, *ret_thin_before_ms);
    while (history->bytes > HISTORY_BYTES_MAX && history->n > 1) {
        int64_t at_ms = history->ring[history->first].at_ms;
        if (at_ms >= history->drop_before_ms)
            history->drop_before_ms = at_ms + 1;
        ring_drop_first(history);
    }
    *ret_drop_before_ms = history->dropped_before_ms = history->drop_before_ms;
}
