/* Insides of the proxy, shared by its parts and included by nobody else:
 *   wire_proxy.c        what is set and counted, the thread and its loop
 *   wire_proxy_link.c   one client, its connection to the server, and what becomes of its requests
 *
 * One lock guards all of it. The thread holds it except while it waits in poll(2). */
#ifndef STINT_TEST_WIRE_PROXY_INTERNAL_H
#define STINT_TEST_WIRE_PROXY_INTERNAL_H

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>

#include "tests/support/wire.h"
#include "tests/support/wire_proxy.h"

enum {
    LINKS_MAX = 256,
    TRAPS_MAX = 16,
    TALLIES_MAX = 128,
    FLOW_BYTES = 64 << 10,
    PATTERN_BYTES = 2 * WIRE_NAME_BYTES,
};

#define NEVER UINT64_MAX

static_assert(FLOW_BYTES >= 2 * WIRE_HEAD_BYTES, "the head of a message must fit into the buffer");

/* What becomes of the message under way. */
enum fate { FATE_PASS, FATE_DROP, FATE_KEEP };

/* One direction: `cleared` bytes at the front may be written; behind them, `left` bytes belong to
 * the message under way; behind those, the next one begins. */
struct flow {
    uint8_t data[FLOW_BYTES];
    size_t begin, cleared, end;
    uint64_t left;
    enum fate fate;
    bool eof;     /* nothing more is to come */
    bool stalled; /* what stands at the front was counted as stalled */
};

struct link {
    struct wire_proxy *proxy;
    int client, server;    /* client -1: gone */
    bool connecting, shut; /* to the server: not connected yet; told that no more will come */
    bool doomed;           /* to be closed at the end of this turn of the loop */
    struct flow up, down;

    /* The request at the front of `up`, once it was seen: */
    bool seen;
    struct wire_message request;
    enum wire_fault hit; /* WIRE_FAULTS: none */
    uint32_t hit_ms;
    uint64_t due_ms;

    /* A fault that waits for the server's answer to `awaited_id`. */
    enum wire_fault awaiting; /* WIRE_FAULTS: none */
    int32_t awaited_id;
    uint8_t *late; /* the request held back */
    size_t late_len, late_have, late_sent;
    uint64_t late_due_ms; /* NEVER: it is not complete yet */
    bool late_unanswered; /* it gets no reply */
};

struct tally {
    char command[WIRE_NAME_BYTES], collection[WIRE_NAME_BYTES];
    uint64_t n;
};

struct trap {
    enum wire_fault fault;
    char on[PATTERN_BYTES];
    uint32_t nth, times, late_ms;
    uint32_t to_go;
};

struct wire_proxy {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t fired_more;
    struct sockaddr_in server;
    uint16_t port;
    int listener, bell; /* bell: an eventfd that ends the wait */
    bool stopping;
    uint64_t now_ms;         /* of this turn of the loop */
    uint64_t accept_rest_ms; /* descriptors are scarce: no accept before */

    struct link *links[LINKS_MAX];
    size_t n_links;
    struct trap traps[TRAPS_MAX];
    size_t n_traps;
    uint32_t delay_ms;
    bool stalling, refusing;

    uint64_t fired[WIRE_FAULTS];
    struct wire_totals totals;
    struct tally tallies[TALLIES_MAX];
    size_t n_tallies;
};

/* wire_proxy.c */
void proxy_fire(struct wire_proxy *proxy, enum wire_fault fault);
void proxy_count(struct wire_proxy *proxy, const struct wire_message *request);
/* The trap that this request fires; WIRE_FAULTS: none. */
enum wire_fault proxy_spring(struct wire_proxy *proxy, const struct wire_message *request,
                             uint32_t *ret_late_ms);

/* wire_proxy_link.c: takes the client; NULL: there is no memory or no connection. */
struct link *link_new(struct wire_proxy *proxy, int client);
void link_free(struct link *link);
/* To be closed by the thread; both sides see it at once. */
void link_doom(struct link *link);
/* What to wait for; [0] the client, [1] the server. */
void link_interest(const struct link *link, struct pollfd fds[2]);
uint64_t link_due_ms(const struct link *link); /* NEVER: at no time */
/* Does whatever can be done now. */
void link_turn(struct link *link, const struct pollfd fds[2]);

#endif
