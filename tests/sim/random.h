/* The simulator's randomness: splitmix64 (Steele, Lea, Flood 2014), small enough to be the same
 * everywhere for ever. */
#ifndef STINT_SIM_RANDOM_H
#define STINT_SIM_RANDOM_H

#include <stdint.h>

static inline uint64_t random_next(uint64_t *rng)
{
    uint64_t z = *rng += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* 0..n-1; n > 0 */
static inline uint64_t random_below(uint64_t *rng, uint64_t n)
{
    return random_next(rng) % n;
}

#endif
