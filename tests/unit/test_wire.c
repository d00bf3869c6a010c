/* Goal: of whatever comes over a connection it is seen where a message ends and which command it
 * carries, or that more is needed, or that it is no message; and nothing beyond the bytes is read.
 * Method: messages made here, each looked at from every prefix, in memory of exactly that size (so
 * that AddressSanitizer sees a byte too far); and noise. */
#include "tests/support/wire.h"

#include <bson/bson.h>
#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { OP_QUERY = 2004, OP_COMPRESSED = 2012, OP_MSG = 2013 };

struct text {
    uint8_t data[16384];
    size_t len;
};

static void put(struct text *text, const void *data, size_t len)
{
    ck_assert_uint_le(len, sizeof(text->data) - text->len);
    memcpy(text->data + text->len, data, len);
    text->len += len;
}

static void put_u32(struct text *text, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                        (uint8_t)(value >> 24)};
    put(text, bytes, sizeof(bytes));
}

static void begin(struct text *text, uint32_t op)
{
    text->len = 0;
    put_u32(text, 0);
    put_u32(text, 77);
    put_u32(text, 33);
    put_u32(text, op);
}

static void end(struct text *text)
{
    size_t len = text->len;
    text->len = 0;
    put_u32(text, (uint32_t)len);
    text->len = len;
}

static void put_bson(struct text *text, bson_t *doc)
{
    put(text, bson_get_data(doc), doc->len);
    bson_destroy(doc);
}

static void put_section(struct text *text, bson_t *doc)
{
    put(text, "", 1);
    put_bson(text, doc);
}

static void put_sequence(struct text *text, size_t size)
{
    static const uint8_t zeros[8192];
    put(text, "\1", 1);
    put_u32(text, (uint32_t)size);
    put(text, zeros, size - 4);
}

/* In memory of its own, without a byte to spare. */
static enum wire_seen look(const uint8_t *data, size_t len, struct wire_message *ret)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, data, len);
    enum wire_seen seen = wire_request(copy, len, ret);
    free(copy);
    return seen;
}

/* Whatever the prefix, either more is needed or all is seen. */
static struct wire_message seen_from_any_prefix(const struct text *text)
{
    struct wire_message whole;
    ck_assert_int_eq(look(text->data, text->len, &whole), WIRE_SEEN);
    ck_assert_uint_eq(whole.length, text->len);
    ck_assert_int_eq(whole.request_id, 77);
    ck_assert_int_eq(whole.response_to, 33);
    bool done = false;
    for (size_t len = 0; len <= text->len; len++) {
        struct wire_message part;
        enum wire_seen seen = look(text->data, len, &part);
        ck_assert(seen == WIRE_SEEN || (seen == WIRE_SHORT && !done));
        done = seen == WIRE_SEEN;
        if (done) {
            ck_assert_str_eq(part.command, whole.command);
            ck_assert_str_eq(part.collection, whole.collection);
        }
    }
    return whole;
}

START_TEST(a_command_and_its_collection_are_seen)
{
    struct text text;
    begin(&text, OP_MSG);
    put_u32(&text, 0);
    put_section(&text, BCON_NEW("findAndModify", "lanes", "upsert", BCON_BOOL(true)));
    put_sequence(&text, 100);
    end(&text);
    struct wire_message message = seen_from_any_prefix(&text);
    ck_assert_str_eq(message.command, "findAndModify");
    ck_assert_str_eq(message.collection, "lanes");
    ck_assert(!message.more_to_come);

    begin(&text, OP_MSG);
    put_u32(&text, 1 << 1);
    put_section(&text, BCON_NEW("getMore", BCON_INT64(5), "collection", "jobs"));
    end(&text);
    message = seen_from_any_prefix(&text);
    ck_assert_str_eq(message.command, "getMore");
    ck_assert_str_eq(message.collection, "");
    ck_assert(message.more_to_come);
}
END_TEST

START_TEST(the_body_may_stand_behind_a_sequence)
{
    struct text text;
    begin(&text, OP_MSG);
    put_u32(&text, 0);
    put_sequence(&text, 300);
    put_section(&text, BCON_NEW("insert", "jobs"));
    end(&text);
    ck_assert_str_eq(seen_from_any_prefix(&text).command, "insert");
}
END_TEST

START_TEST(old_queries_are_seen)
{
    for (int wrapped = 0; wrapped < 2; wrapped++) {
        struct text text;
        begin(&text, OP_QUERY);
        put_u32(&text, 0);
        put(&text, "admin.$cmd", sizeof("admin.$cmd"));
        put_u32(&text, 0);
        put_u32(&text, UINT32_MAX);
        if (wrapped)
            put_bson(&text, BCON_NEW("$query", "{", "isMaster", BCON_INT32(1), "}"));
        else
            put_bson(&text, BCON_NEW("isMaster", BCON_INT32(1)));
        end(&text);
        ck_assert_str_eq(seen_from_any_prefix(&text).command, "isMaster");
    }
}
END_TEST

START_TEST(what_cannot_be_seen_has_no_name)
{
    struct text text;
    begin(&text, OP_COMPRESSED);
    put_sequence(&text, 50);
    end(&text);
    ck_assert_str_eq(seen_from_any_prefix(&text).command, "");

    begin(&text, OP_MSG);
    put_u32(&text, 0);
    end(&text);
    ck_assert_str_eq(seen_from_any_prefix(&text).command, "");

    /* Too far from the front. */
    begin(&text, OP_MSG);
    put_u32(&text, 0);
    put_sequence(&text, WIRE_HEAD_BYTES);
    put_section(&text, BCON_NEW("insert", "jobs"));
    end(&text);
    ck_assert_str_eq(seen_from_any_prefix(&text).command, "");
}
END_TEST

START_TEST(a_long_name_is_shortened)
{
    char name[200];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct text text;
    begin(&text, OP_MSG);
    put_u32(&text, 0);
    put_section(&text, BCON_NEW("insert", name));
    end(&text);
    struct wire_message message = seen_from_any_prefix(&text);
    ck_assert_uint_eq(strlen(message.collection), WIRE_NAME_BYTES - 1);
}
END_TEST

START_TEST(no_message_is_told_from_one)
{
    const uint32_t lengths[] = {0, 15, 19, WIRE_MESSAGE_BYTES_MAX + 1, UINT32_MAX};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct text text;
        begin(&text, OP_MSG);
        put_u32(&text, 0);
        text.len = 0;
        put_u32(&text, lengths[i]);
        struct wire_message message;
        ck_assert_int_eq(look(text.data, 20, &message), WIRE_BAD);
    }
}
END_TEST

START_TEST(noise_is_survived)
{
    uint64_t rng = 88172645463325252u;
    for (int round = 0; round < 20000; round++) {
        uint8_t noise[128];
        for (size_t i = 0; i < sizeof(noise); i++) {
            rng ^= rng << 13, rng ^= rng >> 7, rng ^= rng << 17;
            noise[i] = (uint8_t)(rng & 3 ? rng >> 60 : rng >> 24);
        }
        /* Of a length and kind that are looked into. */
        struct text head;
        begin(&head, round & 1 ? OP_MSG : OP_QUERY);
        memcpy(noise, head.data, WIRE_HEADER_BYTES);
        noise[0] = (uint8_t)(rng >> 32);
        size_t len = (rng >> 40) % sizeof(noise);
        struct wire_message message;
        enum wire_seen seen = look(noise, len, &message);
        if (seen == WIRE_SEEN) {
            ck_assert_ptr_nonnull(memchr(message.command, 0, WIRE_NAME_BYTES));
            ck_assert_ptr_nonnull(memchr(message.collection, 0, WIRE_NAME_BYTES));
        }
        if (len >= WIRE_HEADER_BYTES && len >= noise[0])
            ck_assert_int_ne(seen, WIRE_SHORT);
    }
}
END_TEST

START_TEST(patterns_match_what_they_say)
{
    ck_assert(wire_matches("insert", "jobs", "any"));
    ck_assert(wire_matches("", "", "any"));
    ck_assert(!wire_matches("hello", "", "any"));
    ck_assert(wire_matches("hello", "", "hello"));
    ck_assert(wire_matches("findAndModify", "lanes", "write"));
    ck_assert(!wire_matches("find", "lanes", "write"));
    ck_assert(wire_matches("find", "lanes", "find:lanes"));
    ck_assert(!wire_matches("find", "lanes", "find:lane"));
    ck_assert(!wire_matches("find", "lanes", "findAndModify:lanes"));
    ck_assert(!wire_matches("findAndModify", "lanes", "find:lanes"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire");
    TCase *tcase = tcase_create("wire");
    tcase_add_test(tcase, a_command_and_its_collection_are_seen);
    tcase_add_test(tcase, the_body_may_stand_behind_a_sequence);
    tcase_add_test(tcase, old_queries_are_seen);
    tcase_add_test(tcase, what_cannot_be_seen_has_no_name);
    tcase_add_test(tcase, a_long_name_is_shortened);
    tcase_add_test(tcase, no_message_is_told_from_one);
    tcase_add_test(tcase, noise_is_survived);
    tcase_add_test(tcase, patterns_match_what_they_say);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
