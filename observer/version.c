/* Reading the bodies of versions. They come from a store or a recording: from outside. A field that
 * is not known is passed over, one that is not what it should be spoils the body. Pure. */
#include "observer/version.h"

#include <bson/bson.h>
#include <string.h>

#include "datastore/id.h"

enum { LIST_MAX = 4096 };

static bool whole_number(const bson_iter_t *it, int64_t *ret)
{
    if (!BSON_ITER_HOLDS_INT32(it) && !BSON_ITER_HOLDS_INT64(it))
        return false;
    *ret = bson_iter_as_int64(it);
    return true;
}

static bool text_take(const bson_iter_t *it, char *to, size_t size)
{
    uint32_t len;
    const char *text = BSON_ITER_HOLDS_UTF8(it) ? bson_iter_utf8(it, &len) : NULL;
    if (text == NULL || len >= size)
        return false;
    memcpy(to, text, len);
    to[len] = '\0';
    return true;
}

static bool list_begin(const bson_iter_t *it, bson_iter_t *ret_items, size_t *ret_n)
{
    bson_iter_t counting;
    if (!BSON_ITER_HOLDS_ARRAY(it) || !bson_iter_recurse(it, ret_items) ||
        !bson_iter_recurse(it, &counting))
        return false;
    for (*ret_n = 0; bson_iter_next(&counting);)
        if (++*ret_n > LIST_MAX)
            return false;
    return true;
}

static bool range_take(const bson_iter_t *it, struct node_range *range)
{
    bson_iter_t fields;
    int64_t returning = 0;
    *range = (struct node_range){0};
    if (!BSON_ITER_HOLDS_DOCUMENT(it) || !bson_iter_recurse(it, &fields))
        return false;
    while (bson_iter_next(&fields)) {
        const char *key = bson_iter_key(&fields);
        if (strcmp(key, "suspect") == 0)
            range->range.suspect = bson_iter_as_bool(&fields);
        else if ((strcmp(key, "a") == 0 && !whole_number(&fields, &range->range.a)) ||
                 (strcmp(key, "b") == 0 && !whole_number(&fields, &range->range.b)) ||
                 (strcmp(key, "returning") == 0 && !whole_number(&fields, &returning)))
            return false;
    }
    range->returning = (uint64_t)returning;
    const struct range *r = &range->range;
    return r->a > 0 && r->a < r->b && id_lane(r->a) == id_lane(r->b - 1) &&
           id_lane(r->a) < LIMIT_LANES;
}

/* ---- fields --------------------------------------------------------------------------------- */

static bool take_ranges(struct version *version, const bson_iter_t *it, struct arena *mem)
{
    bson_iter_t items;
    size_t n;
    if (!list_begin(it, &items, &n))
        return false;
    struct node_range *ranges = arena_alloc(mem, (n + 1) * sizeof(*ranges));
    for (size_t i = 0; i < n; i++)
        if (!bson_iter_next(&items) || !range_take(&items, &ranges[i]))
            return false;
    version->node.ranges = ranges;
    version->node.n_ranges = n;
    return true;
}

static bool take_running(struct version *version, const bson_iter_t *it, struct arena *mem)
{
    bson_iter_t items;
    size_t n;
    if (!list_begin(it, &items, &n))
        return false;
    struct node_running *running = arena_alloc(mem, (n + 1) * sizeof(*running));
    for (size_t i = 0; i < n; i++)
        if (!bson_iter_next(&items) || !whole_number(&items, &running[i].id))
            return false;
    version->node.running = running;
    version->node.n_running = n;
    return true;
}

static bool lane_take(const bson_iter_t *it, struct version_lane *lane, struct arena *mem)
{
    bson_iter_t fields, items;
    int64_t number = -1;
    if (!BSON_ITER_HOLDS_DOCUMENT(it) || !bson_iter_recurse(it, &fields))
        return false;
    while (bson_iter_next(&fields)) {
        const char *key = bson_iter_key(&fields);
        if ((strcmp(key, "lane") == 0 && !whole_number(&fields, &number)) ||
            (strcmp(key, "head") == 0 && !whole_number(&fields, &lane->head)) ||
            (strcmp(key, "tail") == 0 && !whole_number(&fields, &lane->tail)))
            return false;
        if (strcmp(key, "pool") != 0)
            continue;
        if (!list_begin(&fields, &items, &lane->n_pool))
            return false;
        lane->pool = arena_alloc(mem, (lane->n_pool + 1) * sizeof(*lane->pool));
        for (size_t i = 0; i < lane->n_pool; i++) {
            struct node_range range;
            if (!bson_iter_next(&items) || !range_take(&items, &range))
                return false;
            lane->pool[i] = range.range;
        }
    }
    lane->lane = (int32_t)number;
    return number >= 0 && number < LIMIT_LANES && lane->head <= lane->tail &&
           id_lane(lane->head) == number && id_lane(lane->tail) == number;
}

static bool take_lanes(struct version *version, const bson_iter_t *it, struct arena *mem)
{
    bson_iter_t items;
    size_t n;
    if (!list_begin(it, &items, &n))
        return false;
    struct version_lane *lanes = arena_alloc(mem, (n + 1) * sizeof(*lanes));
    memset(lanes, 0, (n + 1) * sizeof(*lanes));
    for (size_t i = 0; i < n; i++)
        if (!bson_iter_next(&items) || !lane_take(&items, &lanes[i], mem))
            return false;
    version->lanes = lanes;
    version->n_lanes = n;
    return true;
}

static bool take_state(struct version *version, const bson_iter_t *it, struct arena *mem)
{
    (void)mem;
    int64_t state;
    if (!whole_number(it, &state) || state < 0 || state >= NODE_STATES)
        return false;
    version->node.state = (enum node_state)state;
    return true;
}

static bool take_desired(struct version *version, const bson_iter_t *it, struct arena *mem)
{
    (void)mem;
    int64_t desired;
    if (!whole_number(it, &desired) || desired < 0 || desired > DESIRED_STOPPED)
        return false;
    version->node.desired = (enum node_desired)desired;
    return true;
}

static bool take_name(struct version *version, const bson_iter_t *it, struct arena *mem)
{
    (void)mem;
    return text_take(it, version->node.name, sizeof(version->node.name));
}

static bool take_host(struct version *version, const bson_iter_t *it, struct arena *mem)
{
    (void)mem;
    return text_take(it, version->node.host, sizeof(version->node.host));
}

static bool take_version(struct version *version, const bson_iter_t *it, struct arena *mem)
{
    (void)mem;
    return text_take(it, version->node.version, sizeof(version->node.version));
}

#define TAKE_NUMBER(field, member, type)                                                           \
    static bool take_##field(struct version *version, const bson_iter_t *it, struct arena *mem)    \
    {                                                                                              \
        (void)mem;                                                                                 \
        int64_t value;                                                                             \
        if (!whole_number(it, &value))                                                             \
            return false;                                                                          \
        version->node.member = (type)value;                                                        \
        return true;                                                                               \
    }
TAKE_NUMBER(slots, slots, int32_t)
TAKE_NUMBER(lease_ms, lease_ms, int64_t)
TAKE_NUMBER(pid, pid, int64_t)
TAKE_NUMBER(created, created_ms, int64_t)
TAKE_NUMBER(since, since_ms, int64_t)
TAKE_NUMBER(done, done, int64_t)
TAKE_NUMBER(failed, failed, int64_t)
TAKE_NUMBER(interrupted, interrupted, int64_t)
#undef TAKE_NUMBER

#define TAKE_REAL(field)                                                                           \
    static bool take_##field(struct version *version, const bson_iter_t *it, struct arena *mem)    \
    {                                                                                              \
        (void)mem;                                                                                 \
        version->node.field = bson_iter_as_double(it);                                             \
        return BSON_ITER_HOLDS_DOUBLE(it) && version->node.field >= 0;                             \
    }
TAKE_REAL(rate)
TAKE_REAL(load)
#undef TAKE_REAL

static const struct {
    const char *name;
    bool (*take)(struct version *version, const bson_iter_t *it, struct arena *mem);
} fields[] = {
    {"name", take_name},       {"host", take_host},         {"version", take_version},
    {"slots", take_slots},     {"lease_ms", take_lease_ms}, {"pid", take_pid},
    {"created", take_created}, {"state", take_state},       {"since", take_since},
    {"desired", take_desired}, {"running", take_running},   {"ranges", take_ranges},
    {"done", take_done},       {"failed", take_failed},     {"interrupted", take_interrupted},
    {"rate", take_rate},       {"load", take_load},         {"lanes", take_lanes},
};

bool version_apply(struct version *version, struct bytes body, struct arena *mem)
{
    bson_t doc;
    bson_iter_t it;
    struct version next = *version;
    if (!bson_init_static(&doc, body.data, body.len) ||
        !bson_validate(&doc, BSON_VALIDATE_UTF8, NULL) || !bson_iter_init(&it, &doc))
        return false;
    while (bson_iter_next(&it))
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
            if (strcmp(bson_iter_key(&it), fields[i].name) == 0 && !fields[i].take(&next, &it, mem))
                return false;
    *version = next;
    return true;
}
