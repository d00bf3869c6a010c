/* Goal: the proxy passes everything on unchanged, whatever its size; each fault does to a request
 * what it says, no more often than it was set, and says so; and it stops at any moment.
 * Method: a server made here, which writes down what it was told to do before it answers, and
 * clients that send one message after another. Runs under ThreadSanitizer too. Waits are for
 * conditions, with a bound; of times only that they are not too short is asserted. */
#include "tests/support/wire_proxy.h"

#include <arpa/inet.h>
#include <bson/bson.h>
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/wire.h"

enum {
    WAIT_MS = 120000,
    SERVED_MAX = 32, /* connections in all */
    BIG = 45 << 20,
    OP_MSG = 2013,
    FLAG_MORE_TO_COME = 1 << 1,
    FLAG_EXHAUST_ALLOWED = 1 << 16,
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- messages ------------------------------------------------------------------------------- */

/* {COMMAND: COLLECTION}, and behind it a sequence of `pad` bytes that can be told apart (0: none).
 * To be freed. */
static uint8_t *message_make(int32_t id, int32_t to, uint32_t flags, const char *command,
                             const char *collection, uint32_t pad, uint32_t *ret_len)
{
    bson_t *doc = BCON_NEW(command, BCON_UTF8(collection));
    uint32_t len = 21 + doc->len + (pad > 0 ? 5 + pad : 0);
    uint8_t *data = malloc(len);
    ck_assert_ptr_nonnull(data);
    int32_t head[] = {(int32_t)len, id, to, OP_MSG, (int32_t)flags};
    memcpy(data, head, sizeof(head));
    data[20] = 0;
    memcpy(data + 21, bson_get_data(doc), doc->len);
    if (pad > 0) {
        uint8_t *at = data + 21 + doc->len;
        uint32_t size = pad + 4;
        *at++ = 1;
        memcpy(at, &size, 4);
        for (uint32_t i = 0; i < pad; i++)
            at[4 + i] = (uint8_t)(i * 2654435761u >> 24);
    }
    bson_destroy(doc);
    *ret_len = len;
    return data;
}

static bool send_all(int fd, const uint8_t *data, size_t len)
{
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, data + sent, len - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        sent += (size_t)n;
    }
    return true;
}

/* To be freed; NULL: the connection has ended. */
static uint8_t *receive(int fd, uint32_t *ret_len)
{
    uint32_t len;
    if (recv(fd, &len, 4, MSG_WAITALL) != 4)
        return NULL;
    uint8_t *data = malloc(len);
    ck_assert_ptr_nonnull(data);
    memcpy(data, &len, 4);
    for (size_t have = 4; have < len;) {
        ssize_t n = recv(fd, data + have, len - have, 0);
        if (n <= 0) {
            free(data);
            return NULL;
        }
        have += (size_t)n;
    }
    *ret_len = len;
    return data;
}

/* ---- a server ------------------------------------------------------------------------------- */

struct server {
    pthread_t acceptor;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int listener;
    uint16_t port;
    int served[SERVED_MAX];
    pthread_t threads[SERVED_MAX];
    size_t n_served;
    size_t ended;
    uint64_t applied;   /* requests but hello */
    uint64_t wrong;     /* requests that came changed */
    int64_t applied_ms; /* the last */
};

struct served {
    struct server *server;
    int fd;
};

/* hello is answered three times when that is allowed; find by a big reply; what says that nothing
 * more than itself is wanted, by nothing; all else by a small one. */
static bool serve_one(struct server *server, int fd, const uint8_t *data, uint32_t len)
{
    struct wire_message request;
    ck_assert_int_eq(wire_request(data, len, &request), WIRE_SEEN);
    uint32_t flags, again_len;
    memcpy(&flags, data + 16, 4);
    bool hello = strcmp(request.command, "hello") == 0;
    bool big = strcmp(request.collection, "big") == 0;

    uint8_t *again =
        message_make(request.request_id, 0, flags, request.command, request.collection,
                     big && strcmp(request.command, "insert") == 0 ? BIG : 0, &again_len);
    bool same = again_len == len && memcmp(again, data, len) == 0;
    free(again);
    pthread_mutex_lock(&server->lock);
    server->wrong += !same;
    server->applied += !hello;
    server->applied_ms = now_ms();
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
    if (flags & FLAG_MORE_TO_COME)
        return true;

    int replies = hello && (flags & FLAG_EXHAUST_ALLOWED) ? 3 : 1;
    int32_t to = request.request_id;
    bool sent = true;
    for (int i = 0; i < replies && sent; i++) {
        int32_t id = 1000000 + request.request_id * 10 + i;
        uint32_t reply_len;
        uint8_t *reply =
            message_make(id, to, i + 1 < replies ? FLAG_MORE_TO_COME : 0, "ok", request.command,
                         big && strcmp(request.command, "find") == 0 ? BIG : 0, &reply_len);
        sent = send_all(fd, reply, reply_len);
        free(reply);
        to = id;
    }
    return sent;
}

static void *serve(void *ctx)
{
    struct served *served = ctx;
    uint32_t len;
    uint8_t *data;
    while ((data = receive(served->fd, &len)) != NULL) {
        bool more = serve_one(served->server, served->fd, data, len);
        free(data);
        if (!more)
            break;
    }
    shutdown(served->fd, SHUT_RDWR);
    pthread_mutex_lock(&served->server->lock);
    served->server->ended++;
    pthread_cond_broadcast(&served->server->changed);
    pthread_mutex_unlock(&served->server->lock);
    free(served);
    return NULL;
}

static void *accept_all(void *ctx)
{
    struct server *server = ctx;
    int fd;
    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        struct served *served = malloc(sizeof(*served));
        ck_assert_ptr_nonnull(served);
        *served = (struct served){.server = server, .fd = fd};
        pthread_mutex_lock(&server->lock);
        ck_assert_uint_lt(server->n_served, SERVED_MAX);
        server->served[server->n_served] = fd;
        ck_assert_int_eq(pthread_create(&server->threads[server->n_served], NULL, serve, served),
                         0);
        server->n_served++;
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

static void server_start(struct server *server)
{
    *server = (struct server){0};
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(address);
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(server->listener, (struct sockaddr *)&address, len), 0);
    ck_assert_int_eq(listen(server->listener, 64), 0);
    ck_assert_int_eq(getsockname(server->listener, (struct sockaddr *)&address, &len), 0);
    server->port = ntohs(address.sin_port);
    ck_assert_int_eq(pthread_create(&server->acceptor, NULL, accept_all, server), 0);
}

static void server_stop(struct server *server)
{
    shutdown(server->listener, SHUT_RDWR);
    pthread_join(server->acceptor, NULL);
    close(server->listener);
    for (size_t i = 0; i < server->n_served; i++) {
        shutdown(server->served[i], SHUT_RDWR);
        pthread_join(server->threads[i], NULL);
        close(server->served[i]);
    }
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->changed);
}

static uint64_t applied(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    uint64_t n = server->applied;
    pthread_mutex_unlock(&server->lock);
    return n;
}

/* Waits until *what, one of the server's numbers, is n. */
static void await_number(struct server *server, const uint64_t *what, uint64_t n)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += WAIT_MS / 1000;
    pthread_mutex_lock(&server->lock);
    int error = 0;
    while (*what < n && error == 0)
        error = pthread_cond_timedwait(&server->changed, &server->lock, &until);
    ck_assert_uint_eq(*what, n);
    pthread_mutex_unlock(&server->lock);
}

/* ---- fixture and client --------------------------------------------------------------------- */

struct fixture {
    struct server server;
    struct wire_proxy *proxy;
};

static struct fixture *fixture;

static void set_up(void)
{
    fixture = malloc(sizeof(*fixture));
    ck_assert_ptr_nonnull(fixture);
    server_start(&fixture->server);
    fixture->proxy = wire_proxy_start("127.0.0.1", fixture->server.port);
    ck_assert_ptr_nonnull(fixture->proxy);
}

static void tear_down(void)
{
    wire_proxy_stop(fixture->proxy);
    server_stop(&fixture->server);
    ck_assert_uint_eq(fixture->server.wrong, 0);
    free(fixture);
}

static int client_new(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval bound = {.tv_sec = WAIT_MS / 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound));
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(wire_proxy_port(fixture->proxy))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static bool ask(int fd, int32_t id, uint32_t flags, const char *command, const char *collection)
{
    bool big = strcmp(collection, "big") == 0 && strcmp(command, "insert") == 0;
    uint32_t len;
    uint8_t *data = message_make(id, 0, flags, command, collection, big ? BIG : 0, &len);
    bool sent = send_all(fd, data, len);
    free(data);
    return sent;
}

/* True: the right answer came; false: the connection has ended. A time-out is neither. */
static bool answer(int fd, int32_t id, const char *command, const char *collection)
{
    int64_t from_ms = now_ms();
    uint32_t len, expect_len;
    uint8_t *data = receive(fd, &len);
    if (data == NULL) {
        ck_assert_int_lt(now_ms() - from_ms, WAIT_MS - 1000);
        return false;
    }
    bool big = strcmp(collection, "big") == 0 && strcmp(command, "find") == 0;
    uint8_t *expect =
        message_make(1000000 + id * 10, id, 0, "ok", command, big ? BIG : 0, &expect_len);
    ck_assert_uint_eq(len, expect_len);
    ck_assert_int_eq(memcmp(data, expect, len), 0);
    free(data);
    free(expect);
    return true;
}

static bool call(int fd, int32_t id, const char *command, const char *collection)
{
    return ask(fd, id, 0, command, collection) && answer(fd, id, command, collection);
}

/* Nothing to read, and the connection has not ended. */
static bool silent(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static uint64_t fired(enum wire_fault fault)
{
    return wire_proxy_fired(fixture->proxy, fault);
}

/* ---- passing on ----------------------------------------------------------------------------- */

START_TEST(everything_is_passed_on_and_counted)
{
    int a = client_new(), b = client_new();
    ck_assert(call(a, 1, "hello", ""));
    ck_assert(call(a, 2, "insert", "jobs"));
    ck_assert(call(b, 3, "insert", "lanes"));
    ck_assert(call(b, 4, "find", "jobs"));
    ck_assert_uint_eq(wire_proxy_requests(fixture->proxy, "insert"), 2);
    ck_assert_uint_eq(wire_proxy_requests(fixture->proxy, "insert:jobs"), 1);
    ck_assert_uint_eq(wire_proxy_requests(fixture->proxy, "any"), 3);
    struct wire_totals totals = wire_proxy_totals(fixture->proxy);
    ck_assert_uint_eq(totals.requests, 3);
    ck_assert_uint_eq(totals.housekeeping, 1);
    ck_assert_uint_eq(totals.replies, 4);
    ck_assert_uint_eq(totals.connections, 2);
    ck_assert_uint_eq(totals.open, 2);
    ck_assert_uint_eq(applied(&fixture->server), 3);

    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    wire_proxy_report(fixture->proxy, out);
    fclose(out);
    ck_assert_ptr_nonnull(strstr(text, "\nrequests 3\n"));
    ck_assert_ptr_nonnull(strstr(text, "\nfired_late 0\n"));
    ck_assert_ptr_nonnull(strstr(text, "\ninsert 2\n"));
    ck_assert_ptr_nonnull(strstr(text, "\ninsert:lanes 1\n"));
    free(text);
    close(a);
    close(b);
    await_number(&fixture->server, &fixture->server.ended, 2);
}
END_TEST

START_TEST(the_biggest_messages_pass_both_ways)
{
    int fd = client_new();
    ck_assert(call(fd, 1, "insert", "big"));
    ck_assert(call(fd, 2, "find", "big"));
    struct wire_totals totals = wire_proxy_totals(fixture->proxy);
    ck_assert_uint_gt(totals.bytes_to_server, BIG);
    ck_assert_uint_gt(totals.bytes_to_client, BIG);
    close(fd);
}
END_TEST

START_TEST(replies_that_were_not_asked_for_one_by_one_pass)
{
    int fd = client_new();
    ck_assert(ask(fd, 1, FLAG_EXHAUST_ALLOWED, "hello", ""));
    for (int i = 0; i < 3; i++) {
        uint32_t len;
        uint8_t *reply = receive(fd, &len);
        ck_assert_ptr_nonnull(reply);
        free(reply);
    }
    ck_assert(ask(fd, 2, FLAG_MORE_TO_COME, "insert", "jobs"));
    ck_assert(call(fd, 3, "insert", "jobs"));
    ck_assert_uint_eq(applied(&fixture->server), 2);
    close(fd);
}
END_TEST

START_TEST(what_is_no_message_ends_its_connection)
{
    int fd = client_new();
    ck_assert(send_all(fd, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18));
    ck_assert(!answer(fd, 1, "", ""));
    ck_assert_uint_eq(wire_proxy_totals(fixture->proxy).malformed, 1);
    close(fd);
}
END_TEST

START_TEST(no_server_ends_the_connection)
{
    struct wire_proxy *proxy = fixture->proxy;
    struct server gone;
    server_start(&gone);
    server_stop(&gone);
    fixture->proxy = wire_proxy_start("localhost", gone.port);
    ck_assert_ptr_nonnull(fixture->proxy);
    int fd = client_new();
    ck_assert(!call(fd, 1, "hello", ""));
    close(fd);
    wire_proxy_stop(fixture->proxy);
    fixture->proxy = proxy;
    ck_assert_ptr_null(wire_proxy_start("nowhere.invalid", 1));
}
END_TEST

/* ---- faults --------------------------------------------------------------------------------- */

/* The nth that matches, on whatever connection; then nothing more. */
START_TEST(a_cut_reply_was_applied)
{
    static const char *const collections[] = {"jobs", "big"};
    const char *collection = collections[_i];
    struct wire_trap trap = {.fault = WIRE_CUT_REPLY, .on = "insert", .nth = 2};
    ck_assert(wire_proxy_trap(fixture->proxy, trap));
    int a = client_new(), b = client_new();
    ck_assert(call(a, 1, "insert", collection));
    ck_assert(call(a, 2, "update", collection));
    ck_assert_uint_eq(fired(WIRE_CUT_REPLY), 0);
    ck_assert(!call(b, 3, "insert", collection));
    ck_assert_uint_eq(fired(WIRE_CUT_REPLY), 1);
    ck_assert_uint_eq(applied(&fixture->server), 3);
    ck_assert(call(a, 4, "insert", collection));
    ck_assert_uint_eq(fired(WIRE_CUT_REPLY), 1);
    close(a);
    close(b);
}
END_TEST

START_TEST(a_cut_reply_may_be_big)
{
    ck_assert(wire_proxy_trap(fixture->proxy, (struct wire_trap){.fault = WIRE_CUT_REPLY}));
    int fd = client_new();
    ck_assert(call(fd, 1, "hello", ""));
    uint64_t before = wire_proxy_totals(fixture->proxy).bytes_to_client;
    ck_assert(!call(fd, 2, "find", "big"));
    ck_assert_uint_eq(wire_proxy_totals(fixture->proxy).bytes_to_client, before);
    ck_assert_uint_eq(fired(WIRE_CUT_REPLY), 1);
    close(fd);
}
END_TEST

START_TEST(what_gets_no_reply_has_none_to_cut)
{
    ck_assert(wire_proxy_trap(fixture->proxy, (struct wire_trap){.fault = WIRE_CUT_REPLY}));
    int fd = client_new();
    ck_assert(ask(fd, 1, FLAG_MORE_TO_COME, "insert", "jobs"));
    ck_assert(!call(fd, 2, "insert", "jobs"));
    ck_assert_uint_eq(applied(&fixture->server), 2);
    ck_assert_uint_eq(fired(WIRE_CUT_REPLY), 1);
    close(fd);
}
END_TEST

START_TEST(a_cut_request_was_not_applied)
{
    struct wire_trap trap = {.fault = WIRE_CUT_REQUEST, .on = "write", .times = 2};
    ck_assert(wire_proxy_trap(fixture->proxy, trap));
    int a = client_new(), b = client_new(), c = client_new();
    ck_assert(call(a, 1, "find", "jobs"));
    ck_assert(!call(a, 2, "insert", "big"));
    ck_assert(!call(b, 3, "update", "jobs"));
    ck_assert(call(c, 4, "insert", "jobs"));
    ck_assert_uint_eq(fired(WIRE_CUT_REQUEST), 2);
    await_number(&fixture->server, &fixture->server.ended, 2); /* of a and b; c stays */
    ck_assert_uint_eq(applied(&fixture->server), 2);
    close(a);
    close(b);
    close(c);
}
END_TEST

START_TEST(traps_take_turns)
{
    struct wire_trap first = {.fault = WIRE_CUT_REQUEST, .on = "insert"};
    struct wire_trap second = {.fault = WIRE_CUT_REPLY, .on = "insert:jobs"};
    ck_assert(wire_proxy_trap(fixture->proxy, first));
    ck_assert(wire_proxy_trap(fixture->proxy, second));
    int a = client_new(), b = client_new();
    ck_assert(!call(a, 1, "insert", "jobs"));
    ck_assert_uint_eq(applied(&fixture->server), 0);
    ck_assert(!call(b, 2, "insert", "jobs"));
    ck_assert_uint_eq(applied(&fixture->server), 1);
    ck_assert(wire_proxy_trap(fixture->proxy, first));
    wire_proxy_reset(fixture->proxy);
    int c = client_new();
    ck_assert(call(c, 3, "insert", "jobs"));
    ck_assert(!wire_proxy_trap(fixture->proxy, (struct wire_trap){.fault = WIRE_STALL}));
    close(a);
    close(b);
    close(c);
}
END_TEST

START_TEST(a_late_request_is_applied_when_its_client_has_gone)
{
    static const char *const collections[] = {"jobs", "big"};
    const uint32_t late_ms = 300;
    struct wire_trap trap = {.fault = WIRE_LATE, .on = "insert", .late_ms = late_ms};
    ck_assert(wire_proxy_trap(fixture->proxy, trap));
    int a = client_new(), b = client_new();
    ck_assert(call(a, 1, "hello", ""));
    int64_t from_ms = now_ms();
    ck_assert(!call(a, 2, "insert", collections[_i]));
    ck_assert_uint_eq(fired(WIRE_LATE), 1);
    ck_assert(call(b, 3, "update", "jobs")); /* overtakes it */
    ck_assert(wire_proxy_await(fixture->proxy, WIRE_LATE_DONE, 1, WAIT_MS));
    ck_assert_uint_eq(applied(&fixture->server), 2);
    pthread_mutex_lock(&fixture->server.lock);
    ck_assert_int_ge(fixture->server.applied_ms - from_ms, late_ms);
    pthread_mutex_unlock(&fixture->server.lock);
    await_number(&fixture->server, &fixture->server.ended, 1);
    close(a);
    close(b);
}
END_TEST

START_TEST(a_late_request_without_reply_is_applied)
{
    struct wire_trap trap = {.fault = WIRE_LATE, .late_ms = 1};
    ck_assert(wire_proxy_trap(fixture->proxy, trap));
    int fd = client_new();
    ck_assert(ask(fd, 1, FLAG_MORE_TO_COME, "insert", "jobs"));
    await_number(&fixture->server, &fixture->server.applied, 1);
    await_number(&fixture->server, &fixture->server.ended, 1);
    ck_assert_uint_eq(fired(WIRE_LATE_DONE), 1);
    close(fd);
}
END_TEST

START_TEST(a_slow_server_delays_each_request)
{
    int fd = client_new();
    wire_proxy_delay(fixture->proxy, 100);
    int64_t from_ms = now_ms();
    ck_assert(call(fd, 1, "hello", ""));
    ck_assert(call(fd, 2, "insert", "jobs"));
    ck_assert_int_ge(now_ms() - from_ms, 200);
    ck_assert_uint_eq(fired(WIRE_DELAY), 2);
    wire_proxy_delay(fixture->proxy, 0);
    ck_assert(call(fd, 3, "insert", "jobs"));
    ck_assert_uint_eq(fired(WIRE_DELAY), 2);
    close(fd);
}
END_TEST

START_TEST(a_frozen_server_goes_on_when_it_thaws)
{
    int a = client_new(), b = client_new();
    ck_assert(call(a, 1, "insert", "jobs"));
    ck_assert(call(b, 2, "insert", "jobs"));
    wire_proxy_stall(fixture->proxy, true);
    ck_assert(ask(a, 3, 0, "insert", "jobs"));
    ck_assert(ask(b, 4, 0, "insert", "jobs"));
    int c = client_new(); /* connections are still made */
    ck_assert(ask(c, 5, 0, "insert", "jobs"));
    ck_assert(wire_proxy_await(fixture->proxy, WIRE_STALL, 3, WAIT_MS));
    close(b); /* gives up; its request is carried out all the same */
    ck_assert(silent(a) && silent(c));
    ck_assert_uint_eq(applied(&fixture->server), 2);
    wire_proxy_stall(fixture->proxy, false);
    ck_assert(answer(a, 3, "insert", "jobs"));
    ck_assert(answer(c, 5, "insert", "jobs"));
    await_number(&fixture->server, &fixture->server.applied, 5);
    ck_assert_uint_eq(fired(WIRE_STALL), 3);
    close(a);
    close(c);
}
END_TEST

START_TEST(a_reply_stands_still_in_its_middle)
{
    int fd = client_new();
    ck_assert(ask(fd, 1, 0, "find", "big"));
    char byte;
    ck_assert_int_eq(recv(fd, &byte, 1, MSG_PEEK), 1); /* it has begun, and nobody reads on */
    wire_proxy_stall(fixture->proxy, true);
    uint64_t passed = wire_proxy_totals(fixture->proxy).bytes_to_client;
    ck_assert_uint_lt(passed, BIG);
    ck_assert(wire_proxy_await(fixture->proxy, WIRE_STALL, 1, WAIT_MS));
    for (uint64_t left = passed; left > 0;) {
        char part[4096];
        ssize_t n = recv(fd, part, left < sizeof(part) ? left : sizeof(part), 0);
        ck_assert_int_gt(n, 0);
        left -= (uint64_t)n;
    }
    /* There is room for more now, but a turn of the loop (for another client) brings none. */
    int other = client_new();
    ck_assert(ask(other, 2, 0, "insert", "jobs"));
    ck_assert(wire_proxy_await(fixture->proxy, WIRE_STALL, 2, WAIT_MS));
    ck_assert_uint_eq(wire_proxy_totals(fixture->proxy).bytes_to_client, passed);
    wire_proxy_stall(fixture->proxy, false);
    ck_assert_int_eq(recv(fd, &byte, 1, 0), 1);
    ck_assert(answer(other, 2, "insert", "jobs"));
    close(fd);
    close(other);
}
END_TEST

START_TEST(a_server_that_is_down_refuses)
{
    int a = client_new();
    ck_assert(call(a, 1, "insert", "jobs"));
    wire_proxy_refuse(fixture->proxy, true);
    ck_assert(!answer(a, 2, "insert", "jobs"));
    ck_assert_uint_eq(fired(WIRE_KILL), 1);
    int b = client_new();
    ck_assert(!call(b, 2, "insert", "jobs"));
    ck_assert_uint_eq(fired(WIRE_REFUSE), 1);
    wire_proxy_refuse(fixture->proxy, false);
    int c = client_new();
    ck_assert(call(c, 3, "insert", "jobs"));
    ck_assert_uint_eq(applied(&fixture->server), 2);
    close(a);
    close(b);
    close(c);
}
END_TEST

START_TEST(all_connections_can_be_killed)
{
    int fds[4];
    for (int i = 0; i < 4; i++) {
        fds[i] = client_new();
        ck_assert(call(fds[i], i, "insert", "jobs"));
    }
    wire_proxy_kill_all(fixture->proxy);
    ck_assert_uint_eq(fired(WIRE_KILL), 4);
    for (int i = 0; i < 4; i++) {
        ck_assert(!answer(fds[i], i, "insert", "jobs"));
        close(fds[i]);
    }
    await_number(&fixture->server, &fixture->server.ended, 4);
    int fd = client_new();
    ck_assert(call(fd, 9, "insert", "jobs"));
    close(fd);
}
END_TEST

START_TEST(it_stops_whatever_is_under_way)
{
    int a = client_new(), b = client_new(), c = client_new();
    ck_assert(call(a, 1, "insert", "jobs"));
    struct wire_trap trap = {.fault = WIRE_LATE, .late_ms = 3600 * 1000};
    ck_assert(wire_proxy_trap(fixture->proxy, trap));
    ck_assert(!call(a, 2, "insert", "jobs"));
    wire_proxy_stall(fixture->proxy, true);
    ck_assert(ask(b, 3, 0, "insert", "jobs"));
    ck_assert(wire_proxy_await(fixture->proxy, WIRE_STALL, 1, WAIT_MS));
    wire_proxy_stop(fixture->proxy);
    fixture->proxy = NULL;
    ck_assert(!answer(b, 3, "insert", "jobs"));
    close(a);
    close(b);
    close(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire_proxy");
    TCase *tcase = tcase_create("wire_proxy");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, everything_is_passed_on_and_counted);
    tcase_add_test(tcase, the_biggest_messages_pass_both_ways);
    tcase_add_test(tcase, replies_that_were_not_asked_for_one_by_one_pass);
    tcase_add_test(tcase, what_is_no_message_ends_its_connection);
    tcase_add_test(tcase, no_server_ends_the_connection);
    tcase_add_loop_test(tcase, a_cut_reply_was_applied, 0, 2);
    tcase_add_test(tcase, a_cut_reply_may_be_big);
    tcase_add_test(tcase, what_gets_no_reply_has_none_to_cut);
    tcase_add_test(tcase, a_cut_request_was_not_applied);
    tcase_add_test(tcase, traps_take_turns);
    tcase_add_loop_test(tcase, a_late_request_is_applied_when_its_client_has_gone, 0, 2);
    tcase_add_test(tcase, a_late_request_without_reply_is_applied);
    tcase_add_test(tcase, a_slow_server_delays_each_request);
    tcase_add_test(tcase, a_frozen_server_goes_on_when_it_thaws);
    tcase_add_test(tcase, a_reply_stands_still_in_its_middle);
    tcase_add_test(tcase, a_server_that_is_down_refuses);
    tcase_add_test(tcase, all_connections_can_be_killed);
    tcase_add_test(tcase, it_stops_whatever_is_under_way);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
