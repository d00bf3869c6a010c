/* A bump allocator over malloc'ed blocks. A block is large enough for a page of rows, so that the
 * usual run costs a handful of mallocs. Under AddressSanitizer a gap follows each piece, so that it
 * sees a read or write past the end of one. Pure; whoever owns the arena. */
#include "datastore/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __has_feature /* clang */
#if __has_feature(address_sanitizer)
#define ARENA_GUARDED
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) /* gcc */
#define ARENA_GUARDED
#endif
#ifdef ARENA_GUARDED
#include <sanitizer/asan_interface.h>
enum { GAP_BYTES = alignof(max_align_t) };
#else
#define ASAN_POISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
enum { GAP_BYTES = 0 };
#endif

enum { BLOCK_BYTES_MIN = 4 << 10, BLOCK_BYTES_MAX = 256 << 10, GROW_ITEMS_MIN = 8 };

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    alignas(max_align_t) unsigned char data[];
};

static struct arena_block *block_add(struct arena *arena, size_t size)
{
    /* Blocks double, so that a small run stays small and a page needs few of them. */
    size_t want = arena->head != NULL ? arena->head->size * 2 : BLOCK_BYTES_MIN;
    if (want > BLOCK_BYTES_MAX)
        want = BLOCK_BYTES_MAX;
    if (want < size)
        want = size;
    struct arena_block *block = malloc(sizeof(*block) + want);
    if (block == NULL) {
        fprintf(stderr, "stint: out of memory (%zu bytes)\n", want);
        abort();
    }
    block->size = want;
    block->used = 0;
    block->next = arena->head;
    arena->head = block;
    return block;
}

static void *take(struct arena *arena, size_t size)
{
    size_t aligned = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    struct arena_block *block = arena->head;
    if (block == NULL || block->size - block->used < aligned + GAP_BYTES)
        block = block_add(arena, aligned + GAP_BYTES);
    unsigned char *at = block->data + block->used;
    block->used += aligned + GAP_BYTES;
    arena->bytes += aligned;
    ASAN_POISON_MEMORY_REGION(at + size, aligned - size + GAP_BYTES);
    return at;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    return memset(take(arena, size), 0, size);
}

void *arena_copy(struct arena *arena, const void *from, size_t size)
{
    void *to = take(arena, size);
    if (size > 0)
        memcpy(to, from, size);
    return to;
}

void *arena_grow(struct arena *arena, void *items, size_t n, size_t *capacity, size_t size)
{
    if (n < *capacity)
        return items;
    *capacity = *capacity > 0 ? 2 * *capacity : GROW_ITEMS_MIN;
    void *fresh = arena_alloc(arena, *capacity * size);
    if (n > 0)
        memcpy(fresh, items, n * size);
    return fresh;
}

char *arena_string_n(struct arena *arena, const char *text, size_t len)
{
    char *to = take(arena, len + 1);
    if (len > 0)
        memcpy(to, text, len);
    to[len] = '\0';
    return to;
}

char *arena_string(struct arena *arena, const char *text)
{
    return text != NULL ? arena_string_n(arena, text, strlen(text)) : NULL;
}

struct bytes arena_bytes(struct arena *arena, struct bytes from)
{
    if (from.len == 0)
        return (struct bytes){0};
    return (struct bytes){arena_copy(arena, from.data, from.len), from.len};
}

void arena_release(struct arena *arena)
{
    for (struct arena_block *block = arena->head, *next; block != NULL; block = next) {
        next = block->next;
        free(block);
    }
    *arena = (struct arena){0};
}
