/* Frames: bytes cut into pieces that say how long they are, of what type, and whether they arrived
 * as they were sent. What files and sockets of Stint's own formats are made of.
 *
 * A frame is a header of 16 bytes, little-endian, and its body:
 *   crc     u32  CRC-32 (that of zlib) of all that follows, header and body
 *   stored  u32  bytes of the body as it stands here
 *   plain   u32  bytes of the body once it is unpacked; the same when it is not packed
 *   type    u16  what the body means: the business of whoever uses frames
 *   flags   u16  1: packed (zlib); other bits: refused
 * Neither length passes LIMIT_FRAME_BYTES. Each frame stands for itself, so what precedes a damaged
 * one is as good as ever. Pure. */
#ifndef STINT_FRAME_H
#define STINT_FRAME_H

#include <stdbool.h>

#include "datastore/bytes.h"
#include "datastore/error.h"

enum { FRAME_HEADER_BYTES = 16 };

struct frame {
    uint16_t type;
    struct bytes body;
};

/* Bytes that grow. Zeroed is empty. */
struct frame_buffer {
    uint8_t *data;
    size_t len, max;
};

void frame_buffer_add(struct frame_buffer *buffer, struct bytes bytes);
void frame_buffer_release(struct frame_buffer *buffer);

/* Appends a frame; pack: packed where that makes it smaller. ERR_LIMIT: the body is too long, and
 * nothing was appended. */
int frame_add(struct frame_buffer *to, const struct frame *frame, bool pack)
    __attribute__((warn_unused_result));

/* Takes frames out of bytes that come in pieces of any size. Zeroed is empty. Holds at most one
 * frame, the piece added last, and one unpacked body. */
struct frame_reader {
    struct frame_buffer in;
    size_t at; /* of `in`: taken so far */
    struct frame_buffer plain;
};

void frame_reader_add(struct frame_reader *reader, struct bytes piece);

/* 1: a frame, whose body lives until the next call; 0: it takes more bytes; ERR_CORRUPT or
 * ERR_LIMIT: what comes is no frame, and nothing after it is to be trusted. */
int frame_next(struct frame_reader *reader, struct frame *ret_frame, struct error *err)
    __attribute__((warn_unused_result));

/* Bytes that were added and not taken: 0 where the last frame ended with the last byte. */
size_t frame_reader_rest(const struct frame_reader *reader);
void frame_reader_release(struct frame_reader *reader);

#endif
