/* A view of bytes that somebody else owns; not NUL-terminated. */
#ifndef STINT_BYTES_H
#define STINT_BYTES_H

#include <stddef.h>
#include <stdint.h>

struct bytes {
    const uint8_t *data; /* may be NULL when len is 0 */
    size_t len;
};

#endif
