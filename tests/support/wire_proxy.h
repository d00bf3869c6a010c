/* A TCP proxy in front of a server of MongoDB's wire protocol, for tests: it counts the requests by
 * command, and loses, holds back or delays what a test wants lost, held back or delayed.
 *
 * It listens on 127.0.0.1 and passes everything on to one server on this machine, each client over
 * a connection of its own, unchanged. It has one thread and serves 256 clients; more wait until one
 * goes. All functions may be called by any thread; what they set holds when they return.
 *
 * A client must be told not to look for the server's other addresses (`directConnection=true`):
 * those lead past the proxy. Messages that are encrypted cannot be seen; compressed ones count as a
 * command without a name. */
#ifndef STINT_TEST_WIRE_PROXY_H
#define STINT_TEST_WIRE_PROXY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum wire_fault {
    /* Set as traps, for the nth request from now on: */
    WIRE_CUT_REPLY,   /* the server carries it out; its reply is lost with the connection */
    WIRE_CUT_REQUEST, /* lost with the connection, before the server saw any of it */
    WIRE_LATE,        /* the client is cut off, and the server sees the request ms later */
    /* Set by a function each: */
    WIRE_DELAY,  /* counts requests */
    WIRE_STALL,  /* counts directions of connections in which something stood still */
    WIRE_REFUSE, /* counts connections that were refused */
    WIRE_KILL,   /* counts connections closed by wire_proxy_kill_all or wire_proxy_refuse */
    /* Counted only: */
    WIRE_LATE_DONE, /* a late request was answered by the server */
    WIRE_FAULTS
};

struct wire_trap {
    enum wire_fault fault; /* one of the first three */
    const char *on;        /* which requests: a pattern of wire_matches; NULL: any. Borrowed */
    uint32_t nth;          /* of these requests; 0: 1 */
    uint32_t times;        /* to be set anew so often when it fired; 0: 1 */
    uint32_t late_ms;      /* WIRE_LATE: after it was taken from the client */
};

struct wire_totals {
    uint64_t connections, open;      /* clients that ever were connected, that are now */
    uint64_t requests, housekeeping; /* disjoint; what was lost on purpose is counted too */
    uint64_t replies;
    uint64_t bytes_to_server, bytes_to_client;
    uint64_t malformed; /* connections closed for what was no message */
};

struct wire_proxy;

/* NULL: it cannot be started, errno says why. server_host: an IPv4 address or "localhost". */
struct wire_proxy *wire_proxy_start(const char *server_host, uint16_t server_port);
/* Closes every connection, ends the thread and frees it. NULL: nothing. */
void wire_proxy_stop(struct wire_proxy *proxy);
uint16_t wire_proxy_port(const struct wire_proxy *proxy);

/* A request fires at most one trap, the oldest that is due; younger ones do not count that request.
 * What expects no reply fires no WIRE_CUT_REPLY. False: there are too many traps, or the trap makes
 * no sense. */
bool wire_proxy_trap(struct wire_proxy *proxy, struct wire_trap trap);
/* Each request is passed on so much later, housekeeping too. */
void wire_proxy_delay(struct wire_proxy *proxy, uint32_t ms);
/* A frozen server: connections are made and bytes taken (up to a buffer), nothing is passed on.
 * When it thaws, it goes on with all that came, even from clients that have gone since. */
void wire_proxy_stall(struct wire_proxy *proxy, bool on);
/* A server that is down: all connections are closed, new ones at once. */
void wire_proxy_refuse(struct wire_proxy *proxy, bool on);
/* Requests held back as late are lost with their connections. */
void wire_proxy_kill_all(struct wire_proxy *proxy);
/* No trap, no delay, no stall, not refusing. The counts stay. */
void wire_proxy_reset(struct wire_proxy *proxy);

/* A fault that closes a connection is counted before its client can see that. */
uint64_t wire_proxy_fired(struct wire_proxy *proxy, enum wire_fault fault);
/* Waits until it fired n times in all. False: it did not in that time. */
bool wire_proxy_await(struct wire_proxy *proxy, enum wire_fault fault, uint64_t n,
                      uint32_t timeout_ms);
/* Requests that match the pattern, lost ones included. */
uint64_t wire_proxy_requests(struct wire_proxy *proxy, const char *pattern);
struct wire_totals wire_proxy_totals(struct wire_proxy *proxy);
/* Lines "NAME COUNT": totals, faults (`fired_late`), commands (`find`), commands by collection
 * (`find:jobs`). */
void wire_proxy_report(struct wire_proxy *proxy, FILE *out);

#endif
