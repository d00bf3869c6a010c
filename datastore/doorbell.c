/* Doorbells: datagrams that wake nodes (doorbell.h).
 *
 *   record.doorbell "host:port/secret"  <- doorbell_address         ringer_ring -> "secret" -> fd
 *
 * The datagram is the secret and nothing else. The ringer's sockets are not connected, so what the
 * network says about an address that is gone never comes back to us; they may not broadcast.
 * Invariants: an address is used only when every byte of it was understood; a ringer sends at most
 * one datagram to an address in DOORBELL_APART_MS, and RECENT_MAX to all together.
 * Threads: a bell is one thread's, a ringer another's; they share nothing. */
#define _GNU_SOURCE
#include "datastore/doorbell.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "datastore/random.h"

enum {
    CLEAR_MAX = 256,  /* datagrams read at once: a flood must not hold the loop */
    RECENT_MAX = 256, /* rings within DOORBELL_APART_MS */
    HOST_BYTES = INET6_ADDRSTRLEN,
};

static_assert(sizeof("[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535/") + DOORBELL_SECRET_BYTES <=
                  DOORBELL_ADDRESS_BYTES,
              "the longest address fits a record");

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct doorbell {
    int fd;
    char address[DOORBELL_ADDRESS_BYTES];
    char secret[DOORBELL_SECRET_BYTES + 1];
};

struct recent {
    uint64_t address; /* its hash */
    uint64_t at_ms;
};

struct ringer {
    int v4, v6; /* -1: this machine has none */
    uint64_t random;
    struct recent recent[RECENT_MAX];
    size_t n_recent;
};

static socklen_t address_len(const union address *address)
{
    return address->any.sa_family == AF_INET6 ? sizeof(address->v6) : sizeof(address->v4);
}

static int udp_socket(int family)
{
    return socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* ---- the side that waits --------------------------------------------------------------------- */

/* The address of ours that a packet to `server` would leave from. */
static bool local_address(const struct addrinfo *server, union address *ret_local)
{
    union address local = {0};
    socklen_t len = sizeof(local);
    int fd = udp_socket(server->ai_family);
    bool ok = fd >= 0 && connect(fd, server->ai_addr, server->ai_addrlen) == 0 &&
              getsockname(fd, &local.any, &len) == 0;
    if (fd >= 0)
        close(fd);
    /* A link's own address means nothing without the name of the link. */
    if (!ok || (local.any.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&local.v6.sin6_addr)))
        return false;
    if (local.any.sa_family == AF_INET6)
        local.v6.sin6_port = 0;
    else
        local.v4.sin_port = 0;
    *ret_local = local;
    return true;
}

static union address address_towards(const char *server_host, uint16_t port)
{
    union address local = {.v4 = {.sin_family = AF_INET}};
    local.v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV}, *found;
    char service[8];
    snprintf(service, sizeof(service), "%u", port != 0 ? (unsigned)port : 9U);
    if (server_host == NULL || server_host[0] == '\0' || strchr(server_host, '/') != NULL ||
        getaddrinfo(server_host, service, &hints, &found) != 0)
        return local;
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next)
        if ((at->ai_family == AF_INET || at->ai_family == AF_INET6) && local_address(at, &local))
            break;
    freeaddrinfo(found);
    return local;
}

static void secret_make(char secret[DOORBELL_SECRET_BYTES + 1])
{
    uint8_t bytes[DOORBELL_SECRET_BYTES / 2];
    /* So few bytes come whole, or not at all before the machine has any randomness: it waits. */
    while (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        ;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(secret + 2 * i, 3, "%02x", bytes[i]);
}

/* Binds to a free port and writes the bell's address. */
static bool bell_bind(struct doorbell *bell, union address local)
{
    char host[HOST_BYTES];
    socklen_t len = address_len(&local);
    bool six = local.any.sa_family == AF_INET6;
    bell->fd = udp_socket(local.any.sa_family);
    if (bell->fd < 0 || bind(bell->fd, &local.any, len) != 0 ||
        getsockname(bell->fd, &local.any, &len) != 0)
        return false;
    const void *number = six ? (const void *)&local.v6.sin6_addr : &local.v4.sin_addr;
    if (inet_ntop(local.any.sa_family, number, host, sizeof(host)) == NULL)
        return false;
    uint16_t port = ntohs(six ? local.v6.sin6_port : local.v4.sin_port);
    snprintf(bell->address, sizeof(bell->address), six ? "[%s]:%u/%s" : "%s:%u/%s", host,
             (unsigned)port, bell->secret);
    return true;
}

int doorbell_open(const char *server_host, uint16_t port, struct doorbell **ret_bell,
                  struct error *err)
{
    struct doorbell *bell = calloc(1, sizeof(*bell));
    if (bell == NULL)
        return error_set(err, ERR_NO_MEMORY, "doorbell: out of memory");
    secret_make(bell->secret);
    if (!bell_bind(bell, address_towards(server_host, port))) {
        int rc = error_set(err, ERR_IO, "doorbell: cannot listen for datagrams: %m");
        doorbell_close(bell);
        return rc;
    }
    *ret_bell = bell;
    return 0;
}

void doorbell_close(struct doorbell *bell)
{
    if (bell == NULL)
        return;
    if (bell->fd >= 0)
        close(bell->fd);
    free(bell);
}

const char *doorbell_address(const struct doorbell *bell)
{
    return bell->address;
}

int doorbell_fd(const struct doorbell *bell)
{
    return bell->fd;
}

bool doorbell_clear(struct doorbell *bell)
{
    bool rung = false;
    for (int i = 0; i < CLEAR_MAX; i++) {
        char got[DOORBELL_SECRET_BYTES + 1]; /* one more, so that a longer one is seen to be */
        ssize_t len = recv(bell->fd, got, sizeof(got), MSG_DONTWAIT);
        if (len < 0)
            break;
        rung = rung || (len == DOORBELL_SECRET_BYTES &&
                        memcmp(got, bell->secret, DOORBELL_SECRET_BYTES) == 0);
    }
    return rung;
}

/* ---- understanding an address ---------------------------------------------------------------- */

static bool one_machine_v4(struct in_addr number)
{
    uint32_t a = ntohl(number.s_addr);
    return a >> 24 != 0 && a >> 28 < 0xe; /* neither "this network" nor multicast and beyond */
}

static bool one_machine_v6(const struct in6_addr *number)
{
    return !IN6_IS_ADDR_UNSPECIFIED(number) && !IN6_IS_ADDR_MULTICAST(number) &&
           !IN6_IS_ADDR_LINKLOCAL(number) && !IN6_IS_ADDR_V4MAPPED(number) &&
           !IN6_IS_ADDR_V4COMPAT(number);
}

static bool host_parse(const char *text, bool six, union address *ret_to)
{
    if (!six) {
        ret_to->v4.sin_family = AF_INET;
        return inet_pton(AF_INET, text, &ret_to->v4.sin_addr) == 1 &&
               one_machine_v4(ret_to->v4.sin_addr);
    }
    ret_to->v6.sin6_family = AF_INET6;
    return inet_pton(AF_INET6, text, &ret_to->v6.sin6_addr) == 1 &&
           one_machine_v6(&ret_to->v6.sin6_addr);
}

/* Digits without a leading zero; 0: not a port. */
static uint16_t port_parse(const char *text, size_t len)
{
    uint32_t port = 0;
    if (len < 1 || len > 5 || text[0] == '0')
        return 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        port = port * 10 + (uint32_t)(text[i] - '0');
    }
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* host:port/secret; *ret_secret points into the text. */
static bool address_parse(const char *text, union address *ret_to, const char **ret_secret)
{
    char host[HOST_BYTES];
    if (strnlen(text, DOORBELL_ADDRESS_BYTES) == DOORBELL_ADDRESS_BYTES)
        return false;
    const char *slash = strchr(text, '/');
    bool six = text[0] == '[';
    const char *from = six ? text + 1 : text;
    const char *end = strchr(from, six ? ']' : ':');
    if (slash == NULL || end == NULL || end > slash || (size_t)(end - from) >= sizeof(host))
        return false;
    memcpy(host, from, (size_t)(end - from));
    host[end - from] = '\0';
    const char *colon = six ? end + 1 : end;
    union address to = {0};
    if (*colon != ':' || !host_parse(host, six, &to))
        return false;
    uint16_t port = port_parse(colon + 1, (size_t)(slash - colon - 1));
    if (port == 0 || strlen(slash + 1) != DOORBELL_SECRET_BYTES ||
        strspn(slash + 1, "0123456789abcdef") != DOORBELL_SECRET_BYTES)
        return false;
    if (six)
        to.v6.sin6_port = htons(port);
    else
        to.v4.sin_port = htons(port);
    *ret_to = to;
    *ret_secret = slash + 1;
    return true;
}

bool doorbell_address_valid(const char *address)
{
    union address to;
    const char *secret;
    return address_parse(address, &to, &secret);
}

/* ---- the side that rings --------------------------------------------------------------------- */

int ringer_open(struct ringer **ret_ringer, struct error *err)
{
    struct ringer *ringer = calloc(1, sizeof(*ringer));
    if (ringer == NULL)
        return error_set(err, ERR_NO_MEMORY, "doorbell: out of memory");
    ringer->v4 = udp_socket(AF_INET);
    ringer->v6 = udp_socket(AF_INET6);
    if (ringer->v4 < 0 && ringer->v6 < 0) {
        int rc = error_set(err, ERR_IO, "doorbell: no socket for datagrams: %m");
        ringer_close(ringer);
        return rc;
    }
    if (getrandom(&ringer->random, sizeof(ringer->random), GRND_NONBLOCK) < 0)
        ringer->random = (uint64_t)getpid() << 32 ^ (uint64_t)time(NULL);
    *ret_ringer = ringer;
    return 0;
}

void ringer_close(struct ringer *ringer)
{
    if (ringer == NULL)
        return;
    if (ringer->v4 >= 0)
        close(ringer->v4);
    if (ringer->v6 >= 0)
        close(ringer->v6);
    free(ringer);
}

/* FNV-1a over what names the place: family, number, port. */
static uint64_t address_hash(const union address *to)
{
    uint64_t hash = 0xcbf29ce484222325U;
    const uint8_t *bytes = (const uint8_t *)to;
    for (size_t i = 0; i < address_len(to); i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3U;
    return hash;
}

/* True where a ring there may go out now; it is then counted as one. */
static bool may_ring(struct ringer *ringer, uint64_t address, uint64_t now_ms)
{
    size_t kept = 0;
    bool just_now = false;
    for (size_t i = 0; i < ringer->n_recent; i++) {
        struct recent recent = ringer->recent[i];
        if (now_ms - recent.at_ms >= DOORBELL_APART_MS)
            continue;
        just_now = just_now || recent.address == address;
        ringer->recent[kept++] = recent;
    }
    ringer->n_recent = kept;
    if (just_now || kept == RECENT_MAX)
        return false;
    ringer->recent[ringer->n_recent++] = (struct recent){.address = address, .at_ms = now_ms};
    return true;
}

bool ringer_ring(struct ringer *ringer, const char *address, uint64_t now_ms)
{
    union address to;
    const char *secret;
    if (!address_parse(address, &to, &secret) || !may_ring(ringer, address_hash(&to), now_ms))
        return false;
    int fd = to.any.sa_family == AF_INET6 ? ringer->v6 : ringer->v4;
    return fd >= 0 && sendto(fd, secret, DOORBELL_SECRET_BYTES, MSG_DONTWAIT | MSG_NOSIGNAL,
                             &to.any, address_len(&to)) == DOORBELL_SECRET_BYTES;
}

size_t ringer_ring_some(struct ringer *ringer, const char (*addresses)[DOORBELL_ADDRESS_BYTES],
                        size_t n, size_t want, uint64_t now_ms)
{
    size_t rung = 0;
    if (want > DOORBELL_RINGS_MAX)
        want = DOORBELL_RINGS_MAX;
    /* Each in turn with the chance that leaves `want` chosen of all (Knuth, selection sampling). */
    for (size_t i = 0; i < n && want > 0; i++) {
        if (random_next(&ringer->random) % (n - i) >= want)
            continue;
        want--;
        rung += ringer_ring(ringer, addresses[i], now_ms) ? 1 : 0;
    }
    return rung;
}
