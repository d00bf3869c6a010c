/* Arrays that grow, and arrays in the order of a number in each item: what the observer keeps its
 * facts in. */
#ifndef STINT_OBSERVER_ARRAY_H
#define STINT_OBSERVER_ARRAY_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* Room for one more than n items of that size; aborts when the machine has no memory left. */
static inline void *array_grown(void *items, size_t n, size_t *max, size_t size)
{
    if (n < *max)
        return items;
    *max = *max > 0 ? *max * 2 : 8;
    items = realloc(items, *max * size);
    if (items == NULL)
        abort();
    return items;
}

/* `key` is the number in the first item; the items, `size` bytes apart, are in its order. How many
 * have one below `bound`. */
static inline size_t array_below(const int64_t *key, size_t n, size_t size, int64_t bound)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (*(const int64_t *)((const char *)key + middle * size) < bound)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How many have one that is not above it. */
static inline size_t array_until(const int64_t *key, size_t n, size_t size, int64_t bound)
{
    return bound == INT64_MAX ? n : array_below(key, n, size, bound + 1);
}

/* The same for an array of structs, by a member. */
#define ARRAY_BELOW(items, n, member, bound)                                                       \
    ((n) > 0 ? array_below(&(items)->member, n, sizeof(*(items)), bound) : 0)
#define ARRAY_UNTIL(items, n, member, bound)                                                       \
    ((n) > 0 ? array_until(&(items)->member, n, sizeof(*(items)), bound) : 0)

#endif
