/* One client of the proxy and its connection to the server (wire_proxy.h).
 *
 * Messages stream through: a request is looked at once its head is there, and from then on it is
 * known what becomes of all its bytes. Only a late request is kept whole. A request with a fault
 * that waits for the server's answer is the last of its link. Runs in the proxy's thread, under its
 * lock. */
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/wire_proxy_internal.h"

/* ---- life ----------------------------------------------------------------------------------- */

static void at_once(int fd)
{
    int one = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

struct link *link_new(struct wire_proxy *proxy, int client)
{
    int server = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server < 0)
        goto close_client;
    bool connecting = false;
    if (connect(server, (const struct sockaddr *)&proxy->server, sizeof(proxy->server)) != 0) {
        if (errno != EINPROGRESS)
            goto close_server;
        connecting = true;
    }
    struct link *link = calloc(1, sizeof(*link));
    if (link == NULL)
        goto close_server;
    at_once(client);
    at_once(server);
    link->proxy = proxy;
    link->client = client;
    link->server = server;
    link->connecting = connecting;
    link->hit = link->awaiting = WIRE_FAULTS;
    link->late_due_ms = NEVER;
    return link;

close_server:
    close(server);
close_client:
    close(client);
    return NULL;
}

void link_free(struct link *link)
{
    if (link->client >= 0)
        close(link->client);
    close(link->server);
    free(link->late);
    free(link);
}

void link_doom(struct link *link)
{
    if (link->doomed)
        return;
    link->doomed = true;
    if (link->client >= 0)
        shutdown(link->client, SHUT_RDWR);
    shutdown(link->server, SHUT_RDWR);
}

static void lose_client(struct link *link)
{
    if (link->client >= 0)
        close(link->client);
    link->client = -1;
    link->up.eof = true;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

static size_t flow_have(const struct flow *flow)
{
    return flow->end - flow->begin;
}

/* False: the connection is broken. */
static bool flow_read(struct flow *flow, int fd)
{
    if (flow->begin > 0) {
        memmove(flow->data, flow->data + flow->begin, flow_have(flow));
        flow->end -= flow->begin;
        flow->begin = 0;
    }
    if (flow->end == FLOW_BYTES)
        return true;
    ssize_t n = recv(fd, flow->data + flow->end, FLOW_BYTES - flow->end, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    if (n == 0)
        flow->eof = true;
    flow->end += (size_t)n;
    return true;
}

/* Bytes written, 0: it cannot be now, -1: broken. */
static ssize_t write_some(int fd, const uint8_t *data, size_t len)
{
    ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

static void flow_wrote(struct flow *flow, size_t n)
{
    assert(n <= flow->cleared);
    flow->begin += n;
    flow->cleared -= n;
}

static void keep(struct link *link, const uint8_t *data, size_t n)
{
    assert(n <= link->late_len - link->late_have);
    memcpy(link->late + link->late_have, data, n);
    link->late_have += n;
}

/* Deals with what is there of the message under way. Nothing is cleared when it is called. */
static void flow_take(struct link *link, struct flow *flow)
{
    size_t n = flow_have(flow) < flow->left ? flow_have(flow) : (size_t)flow->left;
    flow->left -= n;
    if (flow->fate == FATE_PASS) {
        flow->cleared = n;
        return;
    }
    if (flow->fate == FATE_KEEP)
        keep(link, flow->data + flow->begin, n);
    flow->begin += n;
}

/* Everything stands still. That counts once for each stall. */
static void flow_stall(struct link *link, struct flow *flow)
{
    if (flow->stalled || flow_have(flow) == 0)
        return;
    flow->stalled = true;
    proxy_fire(link->proxy, WIRE_STALL);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* False: it is not due, or not there. */
static bool see_request(struct link *link)
{
    struct wire_proxy *proxy = link->proxy;
    struct flow *up = &link->up;
    if (!link->seen) {
        switch (wire_request(up->data + up->begin, flow_have(up), &link->request)) {
        case WIRE_SHORT:
            return false;
        case WIRE_BAD:
            proxy->totals.malformed++;
            link_doom(link);
            return false;
        case WIRE_SEEN:
            break;
        }
        link->seen = true;
        proxy_count(proxy, &link->request);
        link->hit = proxy_spring(proxy, &link->request, &link->hit_ms);
        link->due_ms = proxy->now_ms + proxy->delay_ms;
        if (proxy->delay_ms > 0)
            proxy_fire(proxy, WIRE_DELAY);
    }
    return link->due_ms <= proxy->now_ms;
}

static void await_answer(struct link *link, enum wire_fault fault)
{
    link->awaiting = fault;
    link->awaited_id = link->request.request_id;
}

/* The request at the front goes its way. */
static void begin_request(struct link *link)
{
    link->seen = false;
    link->up.left = link->request.length;
    link->up.fate = FATE_PASS;
    if (link->hit == WIRE_CUT_REQUEST) {
        proxy_fire(link->proxy, WIRE_CUT_REQUEST);
        link_doom(link);
    } else if (link->hit == WIRE_CUT_REPLY) {
        await_answer(link, WIRE_CUT_REPLY);
    } else if (link->hit == WIRE_LATE) {
        link->late = malloc(link->request.length);
        if (link->late == NULL) {
            link_doom(link);
            return;
        }
        link->late_len = link->request.length;
        link->late_unanswered = link->request.more_to_come;
        link->up.fate = FATE_KEEP;
        await_answer(link, WIRE_LATE);
    }
}

static void late_complete(struct link *link)
{
    link->late_due_ms = link->proxy->now_ms + link->hit_ms;
    proxy_fire(link->proxy, WIRE_LATE);
    lose_client(link);
}

/* Of the request that a fault waits for: no more of this client's requests are looked at. */
static bool request_is_last(const struct link *link)
{
    return link->awaiting != WIRE_FAULTS && link->up.left == 0 && link->up.cleared == 0;
}

static void pump_up(struct link *link)
{
    struct flow *up = &link->up;
    while (!link->doomed && !link->connecting && !request_is_last(link)) {
        if (link->proxy->stalling) {
            flow_stall(link, up);
            return;
        }
        up->stalled = false;
        if (up->cleared > 0) {
            ssize_t n = write_some(link->server, up->data + up->begin, up->cleared);
            if (n < 0)
                link_doom(link);
            if (n <= 0)
                return;
            flow_wrote(up, (size_t)n);
            link->proxy->totals.bytes_to_server += (uint64_t)n;
            continue;
        }
        if (flow_have(up) == 0)
            return;
        if (up->left == 0) {
            if (!see_request(link))
                return;
            begin_request(link);
            continue;
        }
        flow_take(link, up);
        if (up->fate == FATE_KEEP && up->left == 0)
            late_complete(link);
    }
}

/* The late request, when its time has come. */
static void pump_late(struct link *link)
{
    struct wire_proxy *proxy = link->proxy;
    while (!link->doomed && link->late_due_ms <= proxy->now_ms && !proxy->stalling &&
           link->late_sent < link->late_len) {
        ssize_t n = write_some(link->server, link->late + link->late_sent,
                               link->late_len - link->late_sent);
        if (n < 0)
            link_doom(link);
        if (n <= 0)
            return;
        link->late_sent += (size_t)n;
        proxy->totals.bytes_to_server += (uint64_t)n;
        if (link->late_sent == link->late_len && link->late_unanswered) {
            proxy_fire(proxy, WIRE_LATE_DONE);
            shutdown(link->server, SHUT_WR); /* it ends when the server has read that, too */
            link->shut = true;
        }
    }
}

/* ---- replies -------------------------------------------------------------------------------- */

static void answered(struct link *link)
{
    proxy_fire(link->proxy, link->awaiting == WIRE_LATE ? WIRE_LATE_DONE : link->awaiting);
    link_doom(link);
}

/* False: its head is not there. */
static bool begin_reply(struct link *link)
{
    struct flow *down = &link->down;
    struct wire_message reply;
    enum wire_seen seen = wire_header(down->data + down->begin, flow_have(down), &reply);
    if (seen == WIRE_BAD) {
        link->proxy->totals.malformed++;
        link_doom(link);
    }
    if (seen != WIRE_SEEN)
        return false;
    link->proxy->totals.replies++;
    bool awaited = link->awaiting != WIRE_FAULTS && reply.response_to == link->awaited_id;
    down->fate = awaited ? FATE_DROP : FATE_PASS;
    down->left = reply.length;
    return true;
}

static void write_reply(struct link *link, ssize_t *ret_n)
{
    struct flow *down = &link->down;
    *ret_n = (ssize_t)down->cleared; /* without a client it leads nowhere */
    if (link->client >= 0) {
        *ret_n = write_some(link->client, down->data + down->begin, down->cleared);
        if (*ret_n < 0) {
            lose_client(link);
            *ret_n = (ssize_t)down->cleared;
        } else {
            link->proxy->totals.bytes_to_client += (uint64_t)*ret_n;
        }
    }
    flow_wrote(down, (size_t)*ret_n);
}

static void pump_down(struct link *link)
{
    struct flow *down = &link->down;
    while (!link->doomed) {
        if (link->proxy->stalling) {
            flow_stall(link, down);
            return;
        }
        down->stalled = false;
        if (down->cleared > 0) {
            ssize_t n;
            write_reply(link, &n);
            if (n == 0)
                return;
            continue;
        }
        if (flow_have(down) == 0)
            return;
        if (down->left == 0) {
            if (!begin_reply(link))
                return;
            continue;
        }
        flow_take(link, down);
        if (down->fate == FATE_DROP && down->left == 0)
            answered(link);
    }
}

/* ---- turns ---------------------------------------------------------------------------------- */

/* A side that has ended ends the other one, once all that it sent has gone there. What is left then
 * is the beginning of a message without its end. */
static void pass_ends(struct link *link)
{
    if (link->doomed || link->connecting || link->proxy->stalling)
        return;
    if (link->down.eof && link->down.cleared == 0) {
        link_doom(link);
        return;
    }
    if (!link->up.eof || link->up.cleared > 0 || link->seen)
        return;
    if ((link->awaiting == WIRE_CUT_REPLY && link->up.left == 0) || link->late_due_ms != NEVER)
        return;
    /* A client that closed its socket still reads as one that only sends no more. */
    if (link->client < 0 || link->awaiting == WIRE_LATE)
        link_doom(link);
    else if (!link->shut)
        shutdown(link->server, SHUT_WR);
    link->shut = true;
}

void link_interest(const struct link *link, struct pollfd fds[2])
{
    bool stalling = link->proxy->stalling;
    bool late_due = link->late_due_ms <= link->proxy->now_ms && link->late_sent < link->late_len;
    short client = 0, server = 0;
    if (!link->up.eof && flow_have(&link->up) < FLOW_BYTES && !request_is_last(link))
        client |= POLLIN;
    if (!stalling && link->down.cleared > 0)
        client |= POLLOUT;
    if (!link->down.eof && flow_have(&link->down) < FLOW_BYTES)
        server |= POLLIN;
    if (link->connecting || (!stalling && (link->up.cleared > 0 || late_due)))
        server |= POLLOUT;
    /* Ends are reported even where nothing is asked for: then the descriptor is left out. */
    fds[0] = (struct pollfd){.fd = client == 0 ? -1 : link->client, .events = client};
    fds[1] = (struct pollfd){.fd = server == 0 ? -1 : link->server, .events = server};
}

uint64_t link_due_ms(const struct link *link)
{
    uint64_t due = NEVER;
    if (link->proxy->stalling)
        return due;
    if (link->seen)
        due = link->due_ms;
    if (link->late_sent < link->late_len && link->late_due_ms < due)
        due = link->late_due_ms;
    /* What is past waits for the server, not for the time. */
    return due > link->proxy->now_ms ? due : NEVER;
}

static void finish_connect(struct link *link)
{
    int error = 0;
    socklen_t len = sizeof(error);
    if (getsockopt(link->server, SOL_SOCKET, SO_ERROR, &error, &len) != 0 || error != 0)
        link_doom(link);
    link->connecting = false;
}

void link_turn(struct link *link, const struct pollfd fds[2])
{
    short client = fds[0].revents, server = fds[1].revents;
    if (link->connecting && server != 0)
        finish_connect(link);
    if (client != 0 && link->client >= 0) {
        if (!(client & POLLIN) && (client & (POLLERR | POLLHUP)))
            lose_client(link);
        else if ((client & POLLIN) && !flow_read(&link->up, link->client))
            lose_client(link);
    }
    if (!link->doomed && server != 0 && !link->connecting) {
        if (!(server & POLLIN) && (server & (POLLERR | POLLHUP)))
            link->down.eof = true;
        else if ((server & POLLIN) && !flow_read(&link->down, link->server))
            link->down.eof = true;
    }
    pump_up(link);
    pump_late(link);
    pump_down(link);
    pass_ends(link);
}
