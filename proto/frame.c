/* Frames (proto/frame.h).
 *
 * zlib, as it has both what is needed: a packer whose output is bounded by what the header says,
 * and the CRC; and as it is on every machine already. Memory follows the bytes that came, not those
 * that a header promises, but for the unpacked body, whose limit is that of a frame. Pure. */
#include "proto/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "datastore/limits.h"

enum { FLAG_PACKED = 1, CRC_BYTES = 4 };

/* ---- bytes ---------------------------------------------------------------------------------- */

static void reserve(struct frame_buffer *buffer, size_t more)
{
    if (buffer->max - buffer->len >= more)
        return;
    size_t max = buffer->max > 0 ? buffer->max : 256;
    while (max - buffer->len < more)
        max *= 2;
    uint8_t *data = realloc(buffer->data, max);
    if (data == NULL)
        abort(); /* all users are bounded */
    buffer->data = data;
    buffer->max = max;
}

void frame_buffer_add(struct frame_buffer *buffer, struct bytes bytes)
{
    if (bytes.len == 0)
        return;
    reserve(buffer, bytes.len);
    memcpy(buffer->data + buffer->len, bytes.data, bytes.len);
    buffer->len += bytes.len;
}

void frame_buffer_release(struct frame_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct frame_buffer){0};
}

static void put_number(uint8_t *to, uint32_t number, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(number >> (8 * i));
}

static uint32_t get_number(const uint8_t *from, int bytes)
{
    uint32_t number = 0;
    for (int i = 0; i < bytes; i++)
        number |= (uint32_t)from[i] << (8 * i);
    return number;
}

static uint32_t crc_of(const uint8_t *data, size_t len)
{
    return (uint32_t)crc32(0, data, (uInt)len);
}

/* ---- writing -------------------------------------------------------------------------------- */

/* Packs the body to `at`, where there is room for less than itself. 0: it does not get smaller. */
static size_t packed(uint8_t *at, struct bytes body)
{
    uLongf len = (uLongf)body.len - 1;
    return compress2(at, &len, body.data, (uLong)body.len, Z_DEFAULT_COMPRESSION) == Z_OK ? len : 0;
}

int frame_add(struct frame_buffer *to, const struct frame *frame, bool pack)
{
    struct bytes body = frame->body;
    if (body.len > LIMIT_FRAME_BYTES)
        return ERR_LIMIT;
    reserve(to, FRAME_HEADER_BYTES + body.len);
    uint8_t *header = to->data + to->len, *at = header + FRAME_HEADER_BYTES;
    size_t stored = pack && body.len > 1 ? packed(at, body) : 0;
    put_number(header + 12, frame->type, 2);
    put_number(header + 14, stored > 0 ? FLAG_PACKED : 0, 2);
    if (stored == 0) {
        stored = body.len;
        if (body.len > 0)
            memcpy(at, body.data, body.len);
    }
    put_number(header + 4, (uint32_t)stored, 4);
    put_number(header + 8, (uint32_t)body.len, 4);
    put_number(header, crc_of(header + CRC_BYTES, FRAME_HEADER_BYTES - CRC_BYTES + stored), 4);
    to->len += FRAME_HEADER_BYTES + stored;
    return 0;
}

/* ---- reading -------------------------------------------------------------------------------- */

void frame_reader_add(struct frame_reader *reader, struct bytes piece)
{
    /* What was taken goes when there is more of it than of what stays: each byte moves once. */
    if (reader->at > 0 && reader->at >= reader->in.len / 2) {
        reader->in.len -= reader->at;
        memmove(reader->in.data, reader->in.data + reader->at, reader->in.len);
        reader->at = 0;
    }
    frame_buffer_add(&reader->in, piece);
}

size_t frame_reader_rest(const struct frame_reader *reader)
{
    return reader->in.len - reader->at;
}

void frame_reader_release(struct frame_reader *reader)
{
    frame_buffer_release(&reader->in);
    frame_buffer_release(&reader->plain);
    reader->at = 0;
}

/* To exactly `plain` bytes; false: that is not what it holds. */
static bool unpack(struct frame_reader *reader, struct bytes stored, size_t plain)
{
    uLongf len = (uLongf)plain;
    uLong taken = (uLong)stored.len;
    reader->plain.len = 0;
    reserve(&reader->plain, plain > 0 ? plain : 1);
    if (uncompress2(reader->plain.data, &len, stored.data, &taken) != Z_OK || len != plain ||
        taken != stored.len)
        return false;
    reader->plain.len = plain;
    return true;
}

int frame_next(struct frame_reader *reader, struct frame *ret_frame, struct error *err)
{
    size_t rest = frame_reader_rest(reader);
    if (rest < FRAME_HEADER_BYTES)
        return 0;
    const uint8_t *header = reader->in.data + reader->at;
    size_t stored = get_number(header + 4, 4), plain = get_number(header + 8, 4);
    uint32_t flags = get_number(header + 14, 2);
    if (stored > LIMIT_FRAME_BYTES || plain > LIMIT_FRAME_BYTES)
        return error_set(err, ERR_LIMIT, "a frame says it has %zu bytes; %d is the limit",
                         stored > plain ? stored : plain, LIMIT_FRAME_BYTES);
    if ((flags & ~(uint32_t)FLAG_PACKED) != 0 || (flags == 0 && stored != plain))
        return error_set(err, ERR_CORRUPT, "a frame is damaged: its header makes no sense");
    if (rest - FRAME_HEADER_BYTES < stored)
        return 0;
    if (get_number(header, 4) !=
        crc_of(header + CRC_BYTES, FRAME_HEADER_BYTES - CRC_BYTES + stored))
        return error_set(err, ERR_CORRUPT, "a frame is damaged: its checksum is wrong");
    struct bytes body = {header + FRAME_HEADER_BYTES, stored};
    if (flags == FLAG_PACKED) {
        if (!unpack(reader, body, plain))
            return error_set(err, ERR_CORRUPT, "a frame is damaged: it cannot be unpacked");
        body = (struct bytes){reader->plain.data, plain};
    }
    *ret_frame = (struct frame){.type = (uint16_t)get_number(header + 12, 2), .body = body};
    reader->at += FRAME_HEADER_BYTES + stored;
    return 1;
}
