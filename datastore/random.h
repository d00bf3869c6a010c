/* splitmix64 (Steele, Lea, Flood 2014): numbers from a seed, the same everywhere for ever. For what
 * spreads and chooses; nothing secret may hang on it. */
#ifndef STINT_RANDOM_H
#define STINT_RANDOM_H

#include <stdint.h>

/* Bits of one number spread over another. */
static inline uint64_t random_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static inline uint64_t random_next(uint64_t *state)
{
    return random_mix(*state += 0x9e3779b97f4a7c15U);
}

/* 0..n-1; n > 0 */
static inline uint64_t random_below(uint64_t *state, uint64_t n)
{
    return random_next(state) % n;
}

#endif
