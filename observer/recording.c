/* Writing recordings (observer/recording.h).
 *
 *   facts --> what is new in them --> gathered, some seconds --> a packed frame --> the file
 *
 * A node, lane or queue is written when it is not what it was written as last; of a node that only
 * lived on, its heartbeat alone, in a few bytes. So an idle cluster's recording hardly grows.
 * Readings are cut into as many facts as it takes: a part of one says what it says. Room for the
 * last frame is kept free: a recording that ends at its limit ends in order. Thread: the
 * caller's. */
#include "observer/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datastore/record_bson.h"
#include "observer/array.h"
#include "observer/recording_internal.h"
#include "proto/codec.h"
#include "proto/frame.h"

enum {
    GATHER_BYTES = 256 << 10,
    GATHER_MS = 5000,
    ALIVE_MS = 10000, /* so often it says that time goes on, when nothing else does */
    END_BYTES = 64,
};

static_assert(GATHER_BYTES < LIMIT_FRAME_BYTES / 2, "what comes last may be large");

/* A record as it was written last. */
struct written {
    int64_t key;
    uint32_t number; /* of a node: in the order in which they came up */
    uint64_t beat;
    int64_t beat_ms;
    struct bytes text; /* owned */
};

struct written_list {
    struct written *items; /* by key */
    size_t n, max;
};

struct recording {
    int fd;
    char path[LIMIT_PATH_BYTES];
    size_t bytes, bytes_max;
    struct written_list nodes, lanes, totals; /* the latter two by lane */
    struct queue *queues;                     /* by name */
    size_t n_queues, queues_max;

    struct frame_buffer gathered, frame; /* facts; a frame on its way to the file */
    uint64_t gathered_at_ms;             /* when the first of them was seen; 0: not yet */
    int64_t told_ms, last_ms;            /* the time of the last fact; of the last reading */
    bool trouble;                        /* the last fact was one */
    int failed;                          /* why it is over: ERR_... */
    bool full;
    char why[160];
};

/* ---- the file ------------------------------------------------------------------------------- */

static void over(struct recording *recording, int code, const char *why)
{
    if (recording->why[0] != '\0')
        return;
    recording->failed = code;
    snprintf(recording->why, sizeof(recording->why), "%s", why);
}

static void file_write(struct recording *recording, struct bytes bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(recording->fd, bytes.data, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            int code = errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? ERR_FULL : ERR_IO;
            over(recording, code, strerror(errno));
            return;
        }
        bytes.data += n;
        bytes.len -= (size_t)n;
        recording->bytes += (size_t)n;
    }
}

/* A frame that does not fit any more is not written: then it is full. */
static void frame_write(struct recording *recording, uint16_t type, struct bytes body, size_t spare)
{
    recording->frame.len = 0;
    if (frame_add(&recording->frame, &(struct frame){type, body}, true) < 0)
        return; /* a single fact past all limits: it is left out */
    if (recording->bytes + recording->frame.len + spare > recording->bytes_max) {
        char why[96];
        recording->full = true;
        snprintf(why, sizeof(why), "it has reached its limit of %zu MiB",
                 recording->bytes_max >> 20);
        over(recording, 0, why);
        return;
    }
    file_write(recording, (struct bytes){recording->frame.data, recording->frame.len});
}

static void gathered_write(struct recording *recording)
{
    struct frame_buffer *gathered = &recording->gathered;
    if (gathered->len > 0 && recording->why[0] == '\0')
        frame_write(recording, FRAME_FACTS, (struct bytes){gathered->data, gathered->len},
                    END_BYTES);
    gathered->len = 0;
    recording->gathered_at_ms = 0;
}

static void tell(struct recording *recording, const struct wire_fact *fact)
{
    struct arena mem = {0};
    struct bytes bytes = wire_fact_encode(fact, &mem);
    if (recording->gathered.len + bytes.len > GATHER_BYTES)
        gathered_write(recording);
    frame_buffer_add(&recording->gathered, bytes);
    arena_release(&mem);
}

void recording_tick(struct recording *recording, uint64_t now_ms)
{
    if (recording->gathered.len == 0)
        return;
    if (recording->gathered_at_ms == 0)
        recording->gathered_at_ms = now_ms;
    else if (now_ms - recording->gathered_at_ms >= GATHER_MS)
        gathered_write(recording);
}

/* ---- what is new ---------------------------------------------------------------------------- */

/* Where it is, or belongs. */
static size_t written_at(const struct written_list *list, int64_t key)
{
    return ARRAY_BELOW(list->items, list->n, key, key);
}

static struct written *written_find(const struct written_list *list, int64_t key)
{
    size_t at = written_at(list, key);
    return at < list->n && list->items[at].key == key ? &list->items[at] : NULL;
}

static struct written *written_get(struct written_list *list, int64_t key)
{
    size_t at = written_at(list, key);
    if (at < list->n && list->items[at].key == key)
        return &list->items[at];
    list->items = array_grown(list->items, list->n, &list->max, sizeof(*list->items));
    memmove(list->items + at + 1, list->items + at, (list->n - at) * sizeof(*list->items));
    list->items[at] = (struct written){.key = key, .number = (uint32_t)list->n};
    list->n++;
    return &list->items[at];
}

/* False: it was written like this already. */
static bool written_set(struct written *written, struct bytes text)
{
    if (written->text.len == text.len && memcmp(written->text.data, text.data, text.len) == 0)
        return false;
    free((void *)written->text.data);
    uint8_t *own = malloc(text.len);
    if (own == NULL)
        abort();
    memcpy(own, text.data, text.len);
    written->text = (struct bytes){own, text.len};
    return true;
}

static void written_clear(struct written_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free((void *)list->items[i].text.data);
    free(list->items);
}

/* Two documents and what stands beside them, as one. */
static struct bytes joined(struct bytes doc, const void *beside, size_t len, struct arena *mem)
{
    uint8_t *data = arena_alloc(mem, doc.len + len);
    memcpy(data, doc.data, doc.len);
    memcpy(data + doc.len, beside, len);
    return (struct bytes){data, doc.len + len};
}

/* What a node is but for the fact that it lives. */
static struct bytes node_text(const struct node *node, struct arena *mem)
{
    struct node still = *node;
    int64_t beside[] = {node->state, node->desired};
    still.beat_ms = 0;
    still.load = 0;
    return joined(node_encode(&still, (struct bytes){0}, mem), beside, sizeof(beside), mem);
}

static struct bytes lane_text(const struct lane *lane, struct arena *mem)
{
    struct lane shown = *lane;
    int64_t beside[] = {lane->head, lane->tail, lane->holder};
    shown.n_entries = 0;
    return joined(lane_encode(&shown, (struct bytes){0}, mem), beside, sizeof(beside), mem);
}

/* ---- readings ------------------------------------------------------------------------------- */

/* A part of a reading on its way. */
struct part {
    struct recording *recording;
    struct wire_fact fact;
    struct arena mem;
    struct wire_beat *beats;
    size_t n_beats;
};

static void node_tell(struct part *part, const struct node *node)
{
    struct recording *recording = part->recording;
    struct written *known = written_find(&recording->nodes, node->id);
    if (known == NULL && recording->nodes.n >= RECORDING_NODES_MAX) {
        over(recording, 0, "too many nodes have come and gone");
        return;
    }
    struct written *written = known != NULL ? known : written_get(&recording->nodes, node->id);
    bool changed = written_set(written, node_text(node, &part->mem));
    int64_t later_ms = node->beat_ms - written->beat_ms;
    bool beat = written->beat != node->beat || later_ms != 0;
    written->beat = node->beat;
    written->beat_ms = node->beat_ms;
    if (changed) {
        part->fact.reading.nodes = node;
        part->fact.reading.n_nodes = 1;
        tell(recording, &part->fact);
        part->fact.reading.n_nodes = 0;
    } else if (beat) {
        double load = node->load * 100 + 0.5;
        part->beats[part->n_beats++] = (struct wire_beat){
            written->number, later_ms, load >= 0 && load < UINT32_MAX ? (uint32_t)load : 0};
    }
}

static void lane_tell(struct part *part, const struct lane *lane)
{
    struct written *written = written_get(&part->recording->lanes, lane->number);
    if (!written_set(written, lane_text(lane, &part->mem)))
        return;
    part->fact.reading.lanes = lane;
    part->fact.reading.n_lanes = 1;
    tell(part->recording, &part->fact);
    part->fact.reading.n_lanes = 0;
}

static void totals_tell(struct part *part, const struct stint_row *row)
{
    int64_t numbers[] = {row->done, row->failed, row->cancelled};
    struct written *written = written_get(&part->recording->totals, id_lane(row->range.a));
    if (!written_set(written, (struct bytes){(const uint8_t *)numbers, sizeof(numbers)}))
        return;
    part->fact.reading.totals = row;
    part->fact.reading.n_totals = 1;
    tell(part->recording, &part->fact);
    part->fact.reading.n_totals = 0;
}

static bool queue_known(struct recording *recording, const struct queue *queue)
{
    size_t low = 0, high = recording->n_queues;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(recording->queues[middle].name, queue->name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    struct queue *known = recording->queues + low;
    if (low < recording->n_queues && strcmp(known->name, queue->name) == 0) {
        bool same = known->paused == queue->paused && known->weight == queue->weight &&
                    known->partitions == queue->partitions &&
                    known->changed_ms == queue->changed_ms &&
                    strcmp(known->changed_by, queue->changed_by) == 0;
        *known = *queue;
        return same;
    }
    recording->queues = array_grown(recording->queues, recording->n_queues, &recording->queues_max,
                                    sizeof(*recording->queues));
    memmove(recording->queues + low + 1, recording->queues + low,
            (recording->n_queues - low) * sizeof(*recording->queues));
    recording->queues[low] = *queue;
    recording->n_queues++;
    return false;
}

static void tap_reading(void *ctx, const struct past_reading *reading)
{
    struct recording *recording = ctx;
    if (recording->why[0] != '\0')
        return;
    struct part part = {.recording = recording, .fact = {.kind = WIRE_READING}};
    size_t before = recording->gathered.len;
    part.fact.reading.at_ms = reading->at_ms;
    part.beats = arena_alloc(&part.mem, (reading->n_nodes + 1) * sizeof(*part.beats));
    for (size_t i = 0; i < reading->n_nodes; i++)
        node_tell(&part, &reading->nodes[i]);
    for (size_t i = 0; i < reading->n_lanes; i++)
        lane_tell(&part, &reading->lanes[i]);
    for (size_t i = 0; i < reading->n_queues; i++)
        if (!queue_known(recording, &reading->queues[i])) {
            part.fact.reading.queues = &reading->queues[i];
            part.fact.reading.n_queues = 1;
            tell(recording, &part.fact);
            part.fact.reading.n_queues = 0;
        }
    for (size_t i = 0; i < reading->n_totals; i++)
        totals_tell(&part, &reading->totals[i]);
    bool told = recording->gathered.len != before;
    if (part.n_beats > 0 || recording->trouble ||
        (!told && reading->at_ms - recording->told_ms >= ALIVE_MS)) {
        part.fact.reading.beats = part.beats;
        part.fact.reading.n_beats = part.n_beats;
        tell(recording, &part.fact);
        told = true;
    }
    if (told)
        recording->told_ms = reading->at_ms;
    recording->trouble = false;
    recording->last_ms = reading->at_ms;
    arena_release(&part.mem);
}

/* ---- the other facts ------------------------------------------------------------------------ */

static void tap_version(void *ctx, const struct history_row *row)
{
    tell(ctx, &(struct wire_fact){.kind = WIRE_VERSION, .version = *row});
}

static void tap_stints(void *ctx, const struct stint_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        tell(ctx, &(struct wire_fact){.kind = WIRE_STINT, .stint = rows[i]});
}

static void tap_complete(void *ctx, int32_t lane)
{
    tell(ctx, &(struct wire_fact){.kind = WIRE_COMPLETE, .complete = lane});
}

static void tap_trouble(void *ctx, int64_t at_ms, const char *why)
{
    struct recording *recording = ctx;
    tell(recording, &(struct wire_fact){.kind = WIRE_TROUBLE, .trouble = {at_ms, why}});
    recording->trouble = true;
    recording->last_ms = at_ms;
}

struct feed_tap recording_tap(struct recording *recording)
{
    return (struct feed_tap){
        .ctx = recording,
        .version = tap_version,
        .reading = tap_reading,
        .stints = tap_stints,
        .complete = tap_complete,
        .trouble = tap_trouble,
    };
}

/* ---- beginning and end ---------------------------------------------------------------------- */

const char *recording_over(const struct recording *recording)
{
    return recording->why[0] != '\0' ? recording->why : NULL;
}

size_t recording_bytes(const struct recording *recording)
{
    return recording->bytes;
}

int recording_new(const char *path, const char *store, int64_t at_ms, int64_t since_ms,
                  size_t bytes_max, struct recording **ret_recording, struct error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0 && errno == EEXIST)
        return error_set(err, ERR_DUPLICATE,
                         "there is a file %s already: a recording overwrites nothing", path);
    if (fd < 0)
        return error_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    struct recording *recording = calloc(1, sizeof(*recording));
    if (recording == NULL)
        abort();
    recording->fd = fd;
    recording->bytes_max = bytes_max > RECORDING_BYTES_MIN ? bytes_max : RECORDING_BYTES_MIN;
    recording->last_ms = at_ms;
    snprintf(recording->path, sizeof(recording->path), "%s", path);
    struct wire_start start = {
        .format = RECORDING_FORMAT, .program = STINT_VERSION, .at_ms = at_ms, .since_ms = since_ms};
    struct arena mem = {0};
    snprintf(start.store, sizeof(start.store), "%s", store);
    file_write(recording, (struct bytes){(const uint8_t *)RECORDING_MAGIC, RECORDING_MAGIC_BYTES});
    frame_write(recording, FRAME_START, wire_start_encode(&start, &mem), END_BYTES);
    arena_release(&mem);
    if (recording->why[0] == '\0') {
        *ret_recording = recording;
        return 0;
    }
    int rc = error_set(err, recording->failed, "%s: %s", path, recording->why);
    (void)unlink(path);
    close(fd);
    frame_buffer_release(&recording->frame);
    free(recording);
    return rc;
}

int recording_end(struct recording *recording, struct error *err)
{
    struct arena mem = {0};
    struct wire_end end = {.at_ms = recording->last_ms};
    gathered_write(recording);
    end.full = recording->full;
    if (recording->failed == 0)
        frame_write(recording, FRAME_END, wire_end_encode(&end, &mem), 0);
    arena_release(&mem);
    int closed = close(recording->fd);
    if (closed < 0)
        over(recording, errno == ENOSPC || errno == EDQUOT ? ERR_FULL : ERR_IO, strerror(errno));
    int rc = recording->failed;
    if (rc < 0)
        rc = error_set(err, rc, "the recording %s is not whole: %s", recording->path,
                       recording->why);
    written_clear(&recording->nodes);
    written_clear(&recording->lanes);
    written_clear(&recording->totals);
    free(recording->queues);
    frame_buffer_release(&recording->gathered);
    frame_buffer_release(&recording->frame);
    free(recording);
    return rc;
}
