/* FNV-1a, 128 bits (Fowler, Noll, Vo; draft-eastlake-fnv): tells things apart by what they hold;
 * no defence against somebody who wants two of them to look alike. Pure. */
#ifndef STINT_HASH_H
#define STINT_HASH_H

#include <stdint.h>
#include <string.h>

#include "datastore/bytes.h"

#define HASH_BASIS ((unsigned __int128)0x6c62272e07bb0142ULL << 64 | 0x62b821756295c58dULL)

struct hash {
    unsigned __int128 value; /* HASH_BASIS at first */
};

static inline void hash_add(struct hash *hash, const void *data, size_t len)
{
    const unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;
    const uint8_t *bytes = data;
    for (size_t i = 0; i < len; i++)
        hash->value = (hash->value ^ bytes[i]) * prime;
}

static inline void hash_number(struct hash *hash, int64_t number)
{
    hash_add(hash, &number, sizeof(number));
}

/* With its length, so that no two lists of texts look alike. */
static inline void hash_bytes(struct hash *hash, struct bytes bytes)
{
    hash_number(hash, (int64_t)bytes.len);
    hash_add(hash, bytes.data, bytes.len);
}

static inline void hash_text(struct hash *hash, const char *text)
{
    hash_number(hash, text != NULL);
    if (text != NULL)
        hash_bytes(hash, (struct bytes){(const uint8_t *)text, strlen(text)});
}

#endif
