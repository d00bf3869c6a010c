/* What is set and counted in the proxy, its thread and its loop (wire_proxy.h).
 *
 * Whoever calls takes the lock, so what is set holds for all that the thread does from then on; the
 * bell makes it look again. Closing connections from outside is done by shutdown(2) alone: the
 * descriptors are the thread's, which may be waiting on them. */
#define _GNU_SOURCE
#include "tests/support/wire_proxy.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/wire_proxy_internal.h"

enum { ACCEPT_REST_MS = 50 };

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- what the links ask --------------------------------------------------------------------- */

void proxy_fire(struct wire_proxy *proxy, enum wire_fault fault)
{
    proxy->fired[fault]++;
    pthread_cond_broadcast(&proxy->fired_more);
}

/* The last place is for all that find no place of their own. */
static struct tally *tally_of(struct wire_proxy *proxy, const char *command, const char *collection)
{
    for (size_t i = 0; i < proxy->n_tallies; i++) {
        struct tally *tally = &proxy->tallies[i];
        if (strcmp(tally->command, command) == 0 && strcmp(tally->collection, collection) == 0)
            return tally;
    }
    if (proxy->n_tallies == TALLIES_MAX)
        return &proxy->tallies[TALLIES_MAX - 1];
    struct tally *tally = &proxy->tallies[proxy->n_tallies++];
    bool last = proxy->n_tallies == TALLIES_MAX;
    snprintf(tally->command, sizeof(tally->command), "%s", last ? "other" : command);
    snprintf(tally->collection, sizeof(tally->collection), "%s", last ? "" : collection);
    return tally;
}

void proxy_count(struct wire_proxy *proxy, const struct wire_message *request)
{
    if (wire_housekeeping(request->command))
        proxy->totals.housekeeping++;
    else
        proxy->totals.requests++;
    tally_of(proxy, request->command, request->collection)->n++;
}

static void trap_used(struct wire_proxy *proxy, size_t i)
{
    struct trap *trap = &proxy->traps[i];
    trap->to_go = trap->nth;
    if (--trap->times > 0)
        return;
    proxy->n_traps--;
    memmove(trap, trap + 1, (proxy->n_traps - i) * sizeof(*trap));
}

enum wire_fault proxy_spring(struct wire_proxy *proxy, const struct wire_message *request,
                             uint32_t *ret_late_ms)
{
    for (size_t i = 0; i < proxy->n_traps; i++) {
        struct trap *trap = &proxy->traps[i];
        if (trap->fault == WIRE_CUT_REPLY && request->more_to_come)
            continue;
        if (!wire_matches(request->command, request->collection, trap->on) || --trap->to_go > 0)
            continue;
        enum wire_fault fault = trap->fault;
        *ret_late_ms = trap->late_ms;
        trap_used(proxy, i);
        return fault;
    }
    return WIRE_FAULTS;
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void accept_client(struct wire_proxy *proxy)
{
    int client = accept4(proxy->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            proxy->accept_rest_ms = proxy->now_ms + ACCEPT_REST_MS;
        return;
    }
    if (proxy->refusing) {
        struct linger reset = {.l_onoff = 1};
        (void)setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        proxy_fire(proxy, WIRE_REFUSE);
        close(client);
        return;
    }
    proxy->totals.connections++;
    struct link *link = link_new(proxy, client);
    if (link != NULL)
        proxy->links[proxy->n_links++] = link;
}

static int poll_timeout(const struct wire_proxy *proxy)
{
    uint64_t due = proxy->accept_rest_ms > proxy->now_ms ? proxy->accept_rest_ms : NEVER;
    for (size_t i = 0; i < proxy->n_links; i++) {
        uint64_t link_due = link_due_ms(proxy->links[i]);
        if (link_due < due)
            due = link_due;
    }
    if (due == NEVER)
        return -1;
    return due - proxy->now_ms < INT32_MAX ? (int)(due - proxy->now_ms) : INT32_MAX;
}

static void close_doomed(struct wire_proxy *proxy)
{
    size_t kept = 0;
    for (size_t i = 0; i < proxy->n_links; i++) {
        struct link *link = proxy->links[i];
        if (link->doomed)
            link_free(link);
        else
            proxy->links[kept++] = link;
    }
    proxy->n_links = kept;
}

static void turn(struct wire_proxy *proxy, struct pollfd *fds)
{
    bool accepting = proxy->n_links < LINKS_MAX && proxy->accept_rest_ms <= proxy->now_ms;
    fds[0] = (struct pollfd){.fd = proxy->bell, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = accepting ? proxy->listener : -1, .events = POLLIN};
    size_t n = proxy->n_links;
    for (size_t i = 0; i < n; i++)
        link_interest(proxy->links[i], fds + 2 + 2 * i);
    int timeout = poll_timeout(proxy);

    pthread_mutex_unlock(&proxy->lock);
    int ready = poll(fds, 2 + 2 * n, timeout);
    pthread_mutex_lock(&proxy->lock);

    proxy->now_ms = clock_ms();
    for (size_t i = 0; ready < 0 && i < 2 + 2 * n; i++)
        fds[i].revents = 0;
    if (fds[0].revents != 0) {
        uint64_t rung;
        (void)!read(proxy->bell, &rung, sizeof(rung));
    }
    for (size_t i = 0; i < n; i++)
        link_turn(proxy->links[i], fds + 2 + 2 * i);
    if (fds[1].revents != 0)
        accept_client(proxy);
    close_doomed(proxy);
}

static void *run(void *ctx)
{
    struct wire_proxy *proxy = ctx;
    struct pollfd fds[2 + 2 * LINKS_MAX];
    pthread_mutex_lock(&proxy->lock);
    proxy->now_ms = clock_ms();
    while (!proxy->stopping)
        turn(proxy, fds);
    for (size_t i = 0; i < proxy->n_links; i++)
        link_free(proxy->links[i]);
    proxy->n_links = 0;
    pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

/* ---- start and stop ------------------------------------------------------------------------- */

static bool address_of(const char *host, uint16_t port, struct sockaddr_in *ret)
{
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &ret->sin_addr) == 1)
        return true;
    errno = EINVAL;
    return false;
}

static bool open_listener(struct wire_proxy *proxy)
{
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (proxy->listener < 0 || !address_of("127.0.0.1", 0, &address) ||
        bind(proxy->listener, (const struct sockaddr *)&address, len) != 0 ||
        listen(proxy->listener, LINKS_MAX) != 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&address, &len) != 0)
        return false;
    proxy->port = ntohs(address.sin_port);
    return true;
}

/* Without signals: those are for the threads of whoever uses this. */
static int start_thread(struct wire_proxy *proxy)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&proxy->thread, NULL, run, proxy);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct wire_proxy *wire_proxy_start(const char *server_host, uint16_t server_port)
{
    struct wire_proxy *proxy = calloc(1, sizeof(*proxy));
    if (proxy == NULL)
        return NULL;
    proxy->listener = -1;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&proxy->fired_more, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&proxy->lock, NULL);

    int error = 0;
    proxy->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (proxy->bell < 0 || !address_of(server_host, server_port, &proxy->server) ||
        !open_listener(proxy))
        error = errno;
    else
        error = start_thread(proxy);
    if (error == 0)
        return proxy;

    if (proxy->listener >= 0)
        close(proxy->listener);
    if (proxy->bell >= 0)
        close(proxy->bell);
    pthread_mutex_destroy(&proxy->lock);
    pthread_cond_destroy(&proxy->fired_more);
    free(proxy);
    errno = error;
    return NULL;
}

static void lock(struct wire_proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
}

static void unlock(struct wire_proxy *proxy)
{
    pthread_mutex_unlock(&proxy->lock);
}

/* After something was set: the thread is to look again. */
static void unlock_and_ring(struct wire_proxy *proxy)
{
    uint64_t one = 1;
    (void)!write(proxy->bell, &one, sizeof(one));
    unlock(proxy);
}

void wire_proxy_stop(struct wire_proxy *proxy)
{
    if (proxy == NULL)
        return;
    lock(proxy);
    proxy->stopping = true;
    unlock_and_ring(proxy);
    pthread_join(proxy->thread, NULL);
    close(proxy->listener);
    close(proxy->bell);
    pthread_mutex_destroy(&proxy->lock);
    pthread_cond_destroy(&proxy->fired_more);
    free(proxy);
}

uint16_t wire_proxy_port(const struct wire_proxy *proxy)
{
    return proxy->port;
}

/* ---- faults --------------------------------------------------------------------------------- */

bool wire_proxy_trap(struct wire_proxy *proxy, struct wire_trap trap)
{
    const char *on = trap.on != NULL ? trap.on : "any";
    if (trap.fault > WIRE_LATE || strlen(on) >= PATTERN_BYTES)
        return false;
    lock(proxy);
    bool room = proxy->n_traps < TRAPS_MAX;
    if (room) {
        struct trap *set = &proxy->traps[proxy->n_traps++];
        *set = (struct trap){
            .fault = trap.fault,
            .nth = trap.nth > 0 ? trap.nth : 1,
            .times = trap.times > 0 ? trap.times : 1,
            .late_ms = trap.late_ms,
        };
        set->to_go = set->nth;
        memcpy(set->on, on, strlen(on) + 1);
    }
    unlock(proxy);
    return room;
}

void wire_proxy_delay(struct wire_proxy *proxy, uint32_t ms)
{
    lock(proxy);
    proxy->delay_ms = ms;
    unlock(proxy);
}

void wire_proxy_stall(struct wire_proxy *proxy, bool on)
{
    lock(proxy);
    proxy->stalling = on;
    unlock_and_ring(proxy);
}

static void kill_links(struct wire_proxy *proxy)
{
    for (size_t i = 0; i < proxy->n_links; i++) {
        if (!proxy->links[i]->doomed)
            proxy_fire(proxy, WIRE_KILL);
        link_doom(proxy->links[i]);
    }
}

void wire_proxy_refuse(struct wire_proxy *proxy, bool on)
{
    lock(proxy);
    proxy->refusing = on;
    if (on)
        kill_links(proxy);
    unlock_and_ring(proxy);
}

void wire_proxy_kill_all(struct wire_proxy *proxy)
{
    lock(proxy);
    kill_links(proxy);
    unlock_and_ring(proxy);
}

void wire_proxy_reset(struct wire_proxy *proxy)
{
    lock(proxy);
    proxy->n_traps = 0;
    proxy->delay_ms = 0;
    proxy->stalling = proxy->refusing = false;
    unlock_and_ring(proxy);
}

/* ---- counts --------------------------------------------------------------------------------- */

uint64_t wire_proxy_fired(struct wire_proxy *proxy, enum wire_fault fault)
{
    assert(fault < WIRE_FAULTS);
    lock(proxy);
    uint64_t n = proxy->fired[fault];
    unlock(proxy);
    return n;
}

bool wire_proxy_await(struct wire_proxy *proxy, enum wire_fault fault, uint64_t n,
                      uint32_t timeout_ms)
{
    assert(fault < WIRE_FAULTS);
    uint64_t until_ms = clock_ms() + timeout_ms;
    struct timespec until = {
        .tv_sec = (time_t)(until_ms / 1000),
        .tv_nsec = (long)(until_ms % 1000) * 1000000,
    };
    lock(proxy);
    int error = 0;
    while (proxy->fired[fault] < n && error == 0)
        error = pthread_cond_timedwait(&proxy->fired_more, &proxy->lock, &until);
    bool enough = proxy->fired[fault] >= n;
    unlock(proxy);
    return enough;
}

uint64_t wire_proxy_requests(struct wire_proxy *proxy, const char *pattern)
{
    uint64_t n = 0;
    lock(proxy);
    for (size_t i = 0; i < proxy->n_tallies; i++) {
        const struct tally *tally = &proxy->tallies[i];
        if (wire_matches(tally->command, tally->collection, pattern))
            n += tally->n;
    }
    unlock(proxy);
    return n;
}

struct wire_totals wire_proxy_totals(struct wire_proxy *proxy)
{
    lock(proxy);
    struct wire_totals totals = proxy->totals;
    totals.open = proxy->n_links;
    unlock(proxy);
    return totals;
}

/* A command's line comes once, where it is first seen. */
static void report_command(const struct wire_proxy *proxy, size_t i, FILE *out)
{
    const char *command = proxy->tallies[i].command;
    uint64_t n = 0;
    for (size_t j = 0; j < proxy->n_tallies; j++) {
        if (strcmp(proxy->tallies[j].command, command) != 0)
            continue;
        if (j < i)
            return;
        n += proxy->tallies[j].n;
    }
    fprintf(out, "%s %ju\n", command[0] != '\0' ? command : "unseen", (uintmax_t)n);
}

void wire_proxy_report(struct wire_proxy *proxy, FILE *out)
{
    static const char *const names[WIRE_FAULTS] = {
        [WIRE_CUT_REPLY] = "cut_reply", [WIRE_CUT_REQUEST] = "cut_request",
        [WIRE_LATE] = "late",           [WIRE_DELAY] = "delay",
        [WIRE_STALL] = "stall",         [WIRE_REFUSE] = "refuse",
        [WIRE_KILL] = "kill",           [WIRE_LATE_DONE] = "late_done",
    };
    struct wire_totals totals = wire_proxy_totals(proxy);
    const struct {
        const char *name;
        uint64_t n;
    } lines[] = {
        {"connections", totals.connections},
        {"open", totals.open},
        {"requests", totals.requests},
        {"housekeeping", totals.housekeeping},
        {"replies", totals.replies},
        {"bytes_to_server", totals.bytes_to_server},
        {"bytes_to_client", totals.bytes_to_client},
        {"malformed", totals.malformed},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        fprintf(out, "%s %ju\n", lines[i].name, (uintmax_t)lines[i].n);
    lock(proxy);
    for (size_t i = 0; i < WIRE_FAULTS; i++)
        fprintf(out, "fired_%s %ju\n", names[i], (uintmax_t)proxy->fired[i]);
    for (size_t i = 0; i < proxy->n_tallies; i++)
        report_command(proxy, i, out);
    for (size_t i = 0; i < proxy->n_tallies; i++) {
        const struct tally *tally = &proxy->tallies[i];
        if (tally->collection[0] != '\0')
            fprintf(out, "%s:%s %ju\n", tally->command, tally->collection, (uintmax_t)tally->n);
    }
    unlock(proxy);
}
