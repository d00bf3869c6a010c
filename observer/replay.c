/* Reading recordings (observer/recording.h). The file is from outside: whatever is in it, this
 * takes what makes sense, up to the first thing that does not, within bounded memory. Thread: the
 * caller's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "observer/recording.h"
#include "observer/recording_internal.h"
#include "observer/text.h"
#include "proto/codec.h"
#include "proto/frame.h"

enum { PIECE_BYTES = 64 << 10 };

/* A node, in the order in which they came up. */
struct seen {
    int64_t id, beat_ms;
};

struct replay {
    int fd;
    char path[LIMIT_PATH_BYTES];
    uint64_t file_bytes, read_bytes;
    struct frame_reader frames;
    struct wire_start start;
    struct seen *seen;
    uint32_t *by_id; /* indices in `seen`, by id */
    size_t n_seen, max_seen;
    int64_t last_ms;
    bool ended, full;
};

/* ---- the file ------------------------------------------------------------------------------- */

/* 1: a frame; 0: the file ends here. */
static int next_frame(struct replay *replay, struct frame *ret_frame, struct error *err)
{
    static const char *const broken = "it breaks off within a frame";
    for (;;) {
        int rc = frame_next(&replay->frames, ret_frame, err);
        if (rc != 0)
            return rc;
        uint8_t piece[PIECE_BYTES];
        ssize_t n = read(replay->fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_set(err, ERR_IO, "%s", strerror(errno));
        if (n == 0)
            return frame_reader_rest(&replay->frames) > 0
                       ? error_set(err, ERR_CORRUPT, "%s", broken)
                       : 0;
        replay->read_bytes += (uint64_t)n;
        frame_reader_add(&replay->frames, (struct bytes){piece, (size_t)n});
    }
}

/* Takes the start. */
static int begin(struct replay *replay, struct error *err)
{
    char magic[RECORDING_MAGIC_BYTES];
    struct frame frame;
    struct error inner = {0};
    ssize_t n = read(replay->fd, magic, sizeof(magic));
    if (n < 0)
        return error_set(err, ERR_IO, "%s: %s", replay->path, strerror(errno));
    if (n != sizeof(magic) || memcmp(magic, RECORDING_MAGIC, sizeof(magic)) != 0)
        return error_set(err, ERR_CORRUPT, "%s is not a recording of stint observe", replay->path);
    int rc = next_frame(replay, &frame, &inner);
    if (rc < 0)
        return error_set(err, rc, "%s is damaged at its very start: %.200s", replay->path,
                         inner.text);
    if (rc == 0 || frame.type != FRAME_START || wire_start_decode(frame.body, &replay->start) < 0)
        return error_set(err, ERR_CORRUPT, "%s is damaged at its very start", replay->path);
    if (replay->start.format > RECORDING_FORMAT)
        return error_set(err, ERR_VERSION, "%s was written by a newer program (%s)", replay->path,
                         replay->start.program);
    return 0;
}

int replay_open(const char *path, struct replay **ret_replay, struct replay_about *ret_about,
                struct error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int rc = error_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path,
                           strerror(errno));
        if (fd >= 0)
            close(fd);
        return rc;
    }
    struct replay *replay = calloc(1, sizeof(*replay));
    if (replay == NULL)
        abort();
    replay->fd = fd;
    replay->file_bytes = st.st_size > 0 ? (uint64_t)st.st_size : 0;
    snprintf(replay->path, sizeof(replay->path), "%s", path);
    int rc = begin(replay, err);
    if (rc < 0) {
        replay_free(replay);
        return rc;
    }
    *ret_replay = replay;
    *ret_about = (struct replay_about){.store = replay->start.store,
                                       .program = replay->start.program,
                                       .at_ms = replay->start.at_ms};
    return 0;
}

void replay_free(struct replay *replay)
{
    close(replay->fd);
    frame_reader_release(&replay->frames);
    free(replay->seen);
    free(replay->by_id);
    free(replay);
}

/* ---- facts ---------------------------------------------------------------------------------- */

static size_t seen_at(const struct replay *replay, int64_t id)
{
    size_t low = 0, high = replay->n_seen;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (replay->seen[replay->by_id[middle]].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* False: there are too many. */
static bool see(struct replay *replay, const struct node *node)
{
    size_t at = seen_at(replay, node->id);
    if (at < replay->n_seen && replay->seen[replay->by_id[at]].id == node->id) {
        replay->seen[replay->by_id[at]].beat_ms = node->beat_ms;
        return true;
    }
    if (replay->n_seen >= RECORDING_NODES_MAX)
        return false;
    if (replay->n_seen == replay->max_seen) {
        replay->max_seen = replay->max_seen > 0 ? 2 * replay->max_seen : 16;
        replay->seen = realloc(replay->seen, replay->max_seen * sizeof(*replay->seen));
        replay->by_id = realloc(replay->by_id, replay->max_seen * sizeof(*replay->by_id));
        if (replay->seen == NULL || replay->by_id == NULL)
            abort();
    }
    memmove(replay->by_id + at + 1, replay->by_id + at,
            (replay->n_seen - at) * sizeof(*replay->by_id));
    replay->by_id[at] = (uint32_t)replay->n_seen;
    replay->seen[replay->n_seen++] = (struct seen){node->id, node->beat_ms};
    return true;
}

/* The heartbeats told in short. NULL: of nodes that never came up. */
static struct past_beat *beats_of(struct replay *replay, const struct wire_reading *from,
                                  struct arena *mem)
{
    struct past_beat *beats = arena_alloc(mem, (from->n_beats + 1) * sizeof(*beats));
    for (size_t i = 0; i < from->n_beats; i++) {
        const struct wire_beat *beat = &from->beats[i];
        if (beat->node >= replay->n_seen)
            return NULL;
        struct seen *seen = &replay->seen[beat->node];
        if (__builtin_add_overflow(seen->beat_ms, beat->later_ms, &seen->beat_ms))
            return NULL;
        beats[i] = (struct past_beat){
            .node = seen->id, .beat_ms = seen->beat_ms, .load = (double)beat->load / 100};
    }
    return beats;
}

static bool reading_take(struct replay *replay, struct past *past, const struct wire_reading *from,
                         struct arena *mem)
{
    for (size_t i = 0; i < from->n_nodes; i++)
        if (!see(replay, &from->nodes[i]))
            return false;
    struct past_reading reading = {
        .at_ms = from->at_ms,
        .nodes = from->nodes,
        .n_nodes = from->n_nodes,
        .lanes = from->lanes,
        .n_lanes = from->n_lanes,
        .queues = from->queues,
        .n_queues = from->n_queues,
        .beats = beats_of(replay, from, mem),
        .n_beats = from->n_beats,
        .totals = from->totals,
        .n_totals = from->n_totals,
    };
    return reading.beats != NULL && past_add_reading(past, &reading);
}

static bool fact_take(struct replay *replay, struct past *past, const struct wire_fact *fact,
                      struct arena *mem)
{
    switch (fact->kind) {
    case WIRE_READING:
        return reading_take(replay, past, &fact->reading, mem);
    case WIRE_VERSION:
        /* What a store held that was not understood was recorded as it was. */
        (void)past_add_version(past, &fact->version);
        return true;
    case WIRE_STINT:
        return past_add_stints(past, &fact->stint, 1);
    case WIRE_COMPLETE:
        past_stints_complete(past, fact->complete);
        return true;
    case WIRE_TROUBLE:
        return past_add_trouble(past, fact->trouble.at_ms, fact->trouble.why);
    }
    return true;
}

static int facts_take(struct replay *replay, struct past *past, struct bytes body,
                      struct error *err)
{
    struct arena mem = {0};
    struct wire_fact *facts;
    size_t n;
    int rc = wire_facts_decode(body, &mem, &facts, &n);
    if (rc < 0)
        error_set(err, rc, "%s",
                  rc == ERR_LIMIT ? "a frame would take too much memory"
                                  : "a frame does not hold what it should");
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (!fact_take(replay, past, &facts[i], &mem))
            rc = error_set(err, ERR_CORRUPT, "it tells what cannot be");
    arena_release(&mem);
    if (rc == 0 && past_too_much(past))
        rc = error_set(err, ERR_LIMIT, "it tells more than fits in memory");
    if (past_last_ms(past) > replay->last_ms)
        replay->last_ms = past_last_ms(past);
    return rc;
}

/* ---- all of it ------------------------------------------------------------------------------ */

static int step(struct replay *replay, struct past *past, struct error *err)
{
    struct frame frame;
    struct wire_end end;
    if (replay->last_ms == 0)
        past_since(past, replay->start.since_ms);
    int rc = next_frame(replay, &frame, err);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return replay->ended ? 0 : error_set(err, ERR_CORRUPT, "it was not ended in order");
    if (replay->ended)
        return error_set(err, ERR_CORRUPT, "there is more behind its end");
    if (frame.type == FRAME_FACTS)
        rc = facts_take(replay, past, frame.body, err);
    else if (frame.type == FRAME_END && wire_end_decode(frame.body, &end) < 0)
        rc = error_set(err, ERR_CORRUPT, "its end does not hold what it should");
    else if (frame.type == FRAME_END) {
        replay->ended = true;
        replay->full = end.full;
        if (!past_add_time(past, end.at_ms))
            return error_set(err, ERR_CORRUPT, "its end tells what cannot be");
        replay->last_ms = past_last_ms(past);
    }
    return rc < 0 ? rc : 1;
}

int replay_step(struct replay *replay, struct past *past, struct error *err)
{
    char clock[TEXT_BYTES];
    struct error inner = {0};
    int rc = step(replay, past, &inner);
    if (rc >= 0)
        return rc;
    if (replay->last_ms == 0)
        return error_set(err, rc, "%s: nothing can be read of it: %.200s", replay->path,
                         inner.text);
    return error_set(err, rc, "%s: what can be read ends at %s: %.200s", replay->path,
                     text_when(clock, replay->last_ms, ANY_DAY), inner.text);
}

int64_t replay_last_ms(const struct replay *replay)
{
    return replay->last_ms;
}

bool replay_full(const struct replay *replay)
{
    return replay->full;
}

double replay_part(const struct replay *replay)
{
    double part =
        replay->file_bytes > 0 ? (double)replay->read_bytes / (double)replay->file_bytes : 1;
    return part < 1 ? part : 1;
}
