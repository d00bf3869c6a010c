/* Goal: a doorbell is rung by whoever knows its address, by nobody else, and never more often than
 * agreed; no text in a record makes the ringer send where it must not, or do harm.
 * Method: real sockets on loopback, time handed in; a table of bad addresses and a bounded number
 * of random ones from a fixed seed; a flood of forged datagrams. */
#define _GNU_SOURCE
#include "datastore/doorbell.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECRET "0123456789abcd"

enum { BELLS = 8, MUTATIONS = 200000, FLOOD = 5000 };

static struct doorbell *bell_new(const char *host)
{
    struct doorbell *bell;
    struct error err;
    ck_assert_msg(doorbell_open(host, 27017, &bell, &err) == 0, "%s", err.text);
    ck_assert(doorbell_address_valid(doorbell_address(bell)));
    return bell;
}

static struct ringer *ringer_new(void)
{
    struct ringer *ringer;
    struct error err;
    ck_assert_msg(ringer_open(&ringer, &err) == 0, "%s", err.text);
    return ringer;
}

/* On loopback what was sent is there when sendto has returned. */
static bool readable(const struct doorbell *bell)
{
    struct pollfd p = {.fd = doorbell_fd(bell), .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

static uint16_t port_of(const struct doorbell *bell)
{
    return (uint16_t)strtoul(strchr(doorbell_address(bell), ':') + 1, NULL, 10);
}

static void forge(int fd, const struct doorbell *bell, const void *data, size_t len)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port_of(bell))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)!sendto(fd, data, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
}

START_TEST(a_ring_is_heard_once)
{
    struct doorbell *bell = bell_new("127.0.0.1");
    struct ringer *ringer = ringer_new();
    ck_assert_int_eq(strncmp(doorbell_address(bell), "127.0.0.1:", 10), 0);
    ck_assert(!readable(bell) && !doorbell_clear(bell));
    ck_assert(ringer_ring(ringer, doorbell_address(bell), 1000));
    ck_assert(readable(bell) && doorbell_clear(bell));
    ck_assert(!readable(bell) && !doorbell_clear(bell));
    ck_assert_int_ne(fcntl(doorbell_fd(bell), F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_int_ne(fcntl(doorbell_fd(bell), F_GETFL) & O_NONBLOCK, 0);
    ringer_close(ringer);
    doorbell_close(bell);
}
END_TEST

START_TEST(it_listens_where_the_server_is_reached_from)
{
    static const char *const loopback[] = {NULL, "", "/tmp/mongodb-27017.sock", "127.0.0.1",
                                           "localhost"};
    for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++) {
        struct doorbell *bell = bell_new(loopback[i]);
        const char *address = doorbell_address(bell);
        ck_assert_msg(strncmp(address, "127.0.0.1:", 10) == 0 || strncmp(address, "[::1]:", 6) == 0,
                      "%s", address);
        doorbell_close(bell);
    }
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in6 local = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    bool has_v6 = fd >= 0 && bind(fd, (struct sockaddr *)&local, sizeof(local)) == 0;
    if (fd >= 0)
        close(fd);
    struct doorbell *bell = bell_new("::1");
    struct ringer *ringer = ringer_new();
    const char *expect = has_v6 ? "[::1]:" : "127.0.0.1:";
    ck_assert_int_eq(strncmp(doorbell_address(bell), expect, strlen(expect)), 0);
    ck_assert(ringer_ring(ringer, doorbell_address(bell), 1));
    ck_assert(doorbell_clear(bell));
    ringer_close(ringer);
    doorbell_close(bell);
}
END_TEST

START_TEST(forged_datagrams_do_not_ring)
{
    struct doorbell *bell = bell_new(NULL), *other = bell_new(NULL);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char right[64];
    snprintf(right, sizeof(right), "%s", strchr(doorbell_address(bell), '/') + 1);
    const char *wrong = strchr(doorbell_address(other), '/') + 1;
    ck_assert_str_ne(right, wrong); /* each bell has a secret of its own */
    forge(fd, bell, "", 0);
    forge(fd, bell, wrong, DOORBELL_SECRET_BYTES);
    forge(fd, bell, right, DOORBELL_SECRET_BYTES - 1);
    forge(fd, bell, right, DOORBELL_SECRET_BYTES + 1); /* with its NUL: longer */
    ck_assert(readable(bell) && !doorbell_clear(bell));
    forge(fd, bell, right, DOORBELL_SECRET_BYTES);
    ck_assert(doorbell_clear(bell));
    bool rung = false;
    for (int i = 0; i < FLOOD; i++) {
        char junk[2048];
        memset(junk, i, sizeof(junk));
        forge(fd, bell, junk, (size_t)i % sizeof(junk));
    }
    for (int i = 0; i < FLOOD && readable(bell); i++)
        rung = rung || doorbell_clear(bell);
    ck_assert(!rung && !readable(bell));
    struct ringer *ringer = ringer_new();
    ck_assert(ringer_ring(ringer, doorbell_address(bell), 1) && doorbell_clear(bell));
    ringer_close(ringer);
    close(fd);
    doorbell_close(bell);
    doorbell_close(other);
}
END_TEST

START_TEST(one_address_is_rung_at_most_every_few_ms)
{
    struct doorbell *bell = bell_new(NULL), *other = bell_new(NULL);
    struct ringer *ringer = ringer_new();
    ck_assert(ringer_ring(ringer, doorbell_address(bell), 100));
    for (int i = 0; i < 1000; i++)
        ck_assert(!ringer_ring(ringer, doorbell_address(bell), 100 + DOORBELL_APART_MS - 1));
    ck_assert(ringer_ring(ringer, doorbell_address(other), 101)); /* the limit is each one's own */
    ck_assert(ringer_ring(ringer, doorbell_address(bell), 100 + DOORBELL_APART_MS));
    /* All together: however many addresses a store holds, not more than so many a moment. */
    size_t sent = 0;
    for (unsigned port = 1; port <= 2000; port++) {
        char address[DOORBELL_ADDRESS_BYTES];
        snprintf(address, sizeof(address), "127.0.0.1:%u/" SECRET, 20000 + port);
        sent += ringer_ring(ringer, address, 200) ? 1 : 0;
    }
    ck_assert_uint_gt(sent, 0);
    ck_assert_uint_le(sent, 256);
    ringer_close(ringer);
    doorbell_close(bell);
    doorbell_close(other);
}
END_TEST

START_TEST(some_of_many_are_chosen_at_random)
{
    struct doorbell *bells[BELLS];
    char addresses[BELLS][DOORBELL_ADDRESS_BYTES];
    unsigned heard[BELLS] = {0};
    struct ringer *ringer = ringer_new();
    for (size_t i = 0; i < BELLS; i++) {
        bells[i] = bell_new(NULL);
        snprintf(addresses[i], sizeof(addresses[i]), "%s", doorbell_address(bells[i]));
    }
    const char(*all)[DOORBELL_ADDRESS_BYTES] = (const char(*)[DOORBELL_ADDRESS_BYTES])addresses;
    for (uint64_t round = 1; round <= 400; round++) {
        ck_assert_uint_eq(ringer_ring_some(ringer, all, BELLS, 2, round * 100), 2);
        unsigned now = 0;
        for (size_t i = 0; i < BELLS; i++) {
            unsigned rung = doorbell_clear(bells[i]) ? 1 : 0;
            heard[i] += rung;
            now += rung;
        }
        ck_assert_uint_eq(now, 2);
    }
    for (size_t i = 0; i < BELLS; i++) /* 100 each, give or take far more than chance does */
        ck_assert_msg(heard[i] > 30 && heard[i] < 200, "bell %zu: %u of 800", i, heard[i]);
    ck_assert_uint_eq(ringer_ring_some(ringer, all, BELLS, 1000, 1000000), BELLS);
    ck_assert_uint_eq(ringer_ring_some(ringer, all, BELLS, 0, 2000000), 0);
    ck_assert_uint_eq(ringer_ring_some(ringer, NULL, 0, 3, 3000000), 0);
    for (size_t i = 0; i < BELLS; i++)
        doorbell_close(bells[i]);
    ringer_close(ringer);
}
END_TEST

START_TEST(an_address_is_understood_whole_or_not_at_all)
{
    static const char *const good[] = {
        "127.0.0.1:1/" SECRET,
        "10.1.2.3:65535/" SECRET,
        "[::1]:40123/" SECRET,
        "[2001:db8:1111:2222:3333:4444:5555:6666]:65535/" SECRET,
    };
    static const char *const bad[] = {
        "",
        "/",
        ":",
        "[",
        "]",
        "[]:1/" SECRET,
        ":1/" SECRET,
        "127.0.0.1",
        "127.0.0.1:1",
        "127.0.0.1:1/",
        "127.0.0.1/" SECRET,
        "127.0.0.1:/" SECRET,
        "127.0.0.1:0/" SECRET,
        "127.0.0.1:65536/" SECRET,
        "127.0.0.1:99999/" SECRET,
        "127.0.0.1:100000/" SECRET,
        "127.0.0.1:01/" SECRET,
        "127.0.0.1:+1/" SECRET,
        "127.0.0.1: 1/" SECRET,
        "127.0.0.1:-1/" SECRET,
        "127.0.0.1:1x/" SECRET,
        " 127.0.0.1:1/" SECRET,
        "127.0.0.1:1/" SECRET "0",
        "127.0.0.1:1/" SECRET "\n",
        "127.0.0.1:1/0123456789abc",
        "127.0.0.1:1/0123456789ABCD",
        "127.0.0.1:1/0123456789abc/",
        "127.1:1/" SECRET,
        "0x7f.0.0.1:1/" SECRET,
        "localhost:1/" SECRET,
        "example.org:1/" SECRET,
        /* not one machine */
        "0.0.0.0:1/" SECRET,
        "0.1.2.3:1/" SECRET,
        "224.0.0.1:1/" SECRET,
        "239.9.9.9:1/" SECRET,
        "255.255.255.255:1/" SECRET,
        "240.0.0.1:1/" SECRET,
        "[::]:1/" SECRET,
        "[ff02::1]:1/" SECRET,
        "[::ffff:224.0.0.1]:1/" SECRET,
        "[::ffff:127.0.0.1]:1/" SECRET,
        "[::7f00:1]:1/" SECRET,
        "[fe80::1]:1/" SECRET,
        "[fe80::1%eth0]:1/" SECRET,
        "[127.0.0.1]:1/" SECRET,
        "::1:1/" SECRET,
        "[::1:1/" SECRET,
        "[::1]1/" SECRET,
        "[::1]:1]:2/" SECRET,
        "[2001:db8:1111:2222:3333:4444:5555:6666:7777:8888:9999]:65535/" SECRET,
    };
    struct ringer *ringer = ringer_new();
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        ck_assert_msg(doorbell_address_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ck_assert_msg(!doorbell_address_valid(bad[i]), "%s", bad[i]);
        ck_assert(!ringer_ring(ringer, bad[i], 1000 * (i + 1)));
    }
    char endless[DOORBELL_ADDRESS_BYTES]; /* a field without its NUL */
    memset(endless, '1', sizeof(endless));
    ck_assert(!doorbell_address_valid(endless));
    ringer_close(ringer);
}
END_TEST

/* Valid addresses with a few bytes made random, and random bytes: what is taken for an address
 * reads as one of the two forms; the rest is refused. Sanitizers see that nothing is read beyond
 * it. */
START_TEST(random_bytes_do_no_harm)
{
    static const char *const seeds[] = {"127.0.0.1:40123/" SECRET, "[::1]:40123/" SECRET,
                                        "[2001:db8:1:2:3:4:5:6]:65535/" SECRET};
    uint64_t rng = 1;
    size_t valid = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        char *text = malloc(DOORBELL_ADDRESS_BYTES);
        ck_assert_ptr_nonnull(text);
        memset(text, 0, DOORBELL_ADDRESS_BYTES);
        memcpy(text, seeds[i % 3], strlen(seeds[i % 3]));
        size_t changes = i % 7 == 0 ? DOORBELL_ADDRESS_BYTES : 1 + (size_t)i % 4;
        for (size_t k = 0; k < changes; k++) {
            rng = rng * 6364136223846793005U + 1442695040888963407U;
            size_t at = changes == DOORBELL_ADDRESS_BYTES ? k : (rng >> 40) % 48;
            text[at] = i % 2 == 0 ? (char)(rng >> 33) : "0123456789:/[].af"[(rng >> 33) % 17];
        }
        if (doorbell_address_valid(text)) {
            valid++;
            ck_assert_uint_lt(strnlen(text, DOORBELL_ADDRESS_BYTES), DOORBELL_ADDRESS_BYTES);
            ck_assert_uint_eq(strspn(text, "0123456789abcdefABCDEF.:/[]"), strlen(text));
            ck_assert_uint_eq(strlen(strrchr(text, '/')), DOORBELL_SECRET_BYTES + 1);
        }
        free(text);
    }
    ck_assert_uint_gt(valid, 0);
    ck_assert_uint_lt(valid, MUTATIONS / 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("doorbell");
    TCase *tcase = tcase_create("doorbell");
    tcase_add_test(tcase, a_ring_is_heard_once);
    tcase_add_test(tcase, it_listens_where_the_server_is_reached_from);
    tcase_add_test(tcase, forged_datagrams_do_not_ring);
    tcase_add_test(tcase, one_address_is_rung_at_most_every_few_ms);
    tcase_add_test(tcase, some_of_many_are_chosen_at_random);
    tcase_add_test(tcase, an_address_is_understood_whole_or_not_at_all);
    tcase_add_test(tcase, random_bytes_do_no_harm);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
