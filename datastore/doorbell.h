/* Doorbells: how a waiting node is woken where the store cannot do it.
 *
 * A node that waits opens a doorbell, a UDP socket with a secret, and publishes its address in its
 * record. Whoever wrote something that concerns it sends one datagram there with that secret.
 * Whoever can read the store can ring, and nobody else: a stray or forged packet does nothing.
 *
 * A hint, never needed for correctness: a datagram may be lost, come twice, or ring for nothing.
 * The bell belongs to the thread that waits, the ringer to the thread that writes. */
#ifndef STINT_DOORBELL_H
#define STINT_DOORBELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datastore/error.h"

enum {
    DOORBELL_ADDRESS_BYTES = 64, /* with its NUL; as in struct node */
    DOORBELL_SECRET_BYTES = 14,  /* hexadecimal digits: 56 bits */
    DOORBELL_RINGS_MAX = 64,     /* datagrams of one call */
    DOORBELL_APART_MS = 5,       /* between two rings at one address */
};

/* ---- the side that waits ---- */

struct doorbell;

/* Listens on the local address from which that server is reached (a name or a number, looked up;
 * a socket's path, NULL or one that cannot be reached: on loopback).
 * Given: *ret_bell, to be closed. ERR_IO. */
int doorbell_open(const char *server_host, uint16_t port, struct doorbell **ret_bell,
                  struct error *err) __attribute__((warn_unused_result));
void doorbell_close(struct doorbell *bell); /* NULL: nothing */

/* "127.0.0.1:40123/5f3a09c1d2e47b" or "[::1]:40123/..."; lives as long as the bell. */
const char *doorbell_address(const struct doorbell *bell);

/* Readable when there may have been a ring. */
int doorbell_fd(const struct doorbell *bell);

/* Reads the descriptor empty (of a flood, a part). True: it was rung. */
bool doorbell_clear(struct doorbell *bell);

/* ---- the side that rings ---- */

struct ringer;

/* Given: *ret_ringer, to be closed. ERR_IO. */
int ringer_open(struct ringer **ret_ringer, struct error *err) __attribute__((warn_unused_result));
void ringer_close(struct ringer *ringer); /* NULL: nothing */

/* Rings at one address. Never blocks, never fails loudly: false where nothing was sent, because the
 * address is none, it was rung just now, or the machine did not take the datagram.
 * now_ms: any monotonic clock, the same at each call. */
bool ringer_ring(struct ringer *ringer, const char *address, uint64_t now_ms);

/* Rings at `want` of the addresses (all, where that is more; DOORBELL_RINGS_MAX at most), chosen at
 * random, so that those who ring at once wake different nodes. Returns how many were sent. */
size_t ringer_ring_some(struct ringer *ringer, const char (*addresses)[DOORBELL_ADDRESS_BYTES],
                        size_t n, size_t want, uint64_t now_ms);

/* Would anything be sent there? What a record says is not trusted: only a numeric address of one
 * machine, with port and secret, counts. */
bool doorbell_address_valid(const char *address);

#endif
