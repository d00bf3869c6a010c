/* Looking at messages of MongoDB's wire protocol (wire.h). Bytes come from a network: a cursor
 * refuses whatever lies outside, and what is cut off there is either still to come or not to be
 * seen at all. */
#include "tests/support/wire.h"

#include <string.h>

enum { OP_QUERY = 2004, OP_MSG = 2013 };

enum { FLAG_MORE_TO_COME = 1 << 1 };

enum { SECTION_BODY = 0, SECTION_SEQUENCE = 1 };

enum { BSON_STRING = 2, BSON_DOCUMENT = 3 };

/* What can be read: `at` up to `end`. Reading past the end makes it `cut` for good. */
struct cursor {
    const uint8_t *at, *end;
    bool cut;
};

static void cursor_skip(struct cursor *cursor, size_t n)
{
    if (n > (size_t)(cursor->end - cursor->at)) {
        cursor->cut = true;
        cursor->at = cursor->end;
        return;
    }
    cursor->at += n;
}

static uint32_t u32_at(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint32_t cursor_u32(struct cursor *cursor)
{
    const uint8_t *at = cursor->at;
    cursor_skip(cursor, 4);
    return cursor->cut ? 0 : u32_at(at);
}

static uint8_t cursor_u8(struct cursor *cursor)
{
    const uint8_t *at = cursor->at;
    cursor_skip(cursor, 1);
    return cursor->cut ? 0 : *at;
}

/* The text up to its NUL; "" where it is cut off. One longer than a name may be is shortened. */
static void cursor_name(struct cursor *cursor, char name[WIRE_NAME_BYTES])
{
    const uint8_t *at = cursor->at;
    const uint8_t *nul = memchr(at, 0, (size_t)(cursor->end - at));
    name[0] = '\0';
    if (nul == NULL) {
        cursor_skip(cursor, SIZE_MAX);
        return;
    }
    size_t len = (size_t)(nul - at);
    cursor_skip(cursor, len + 1);
    if (len >= WIRE_NAME_BYTES)
        len = WIRE_NAME_BYTES - 1;
    memcpy(name, at, len);
    name[len] = '\0';
}

/* The command is the name of the first element, its collection the value where that is a string.
 * With OP_QUERY the command may be wrapped in {$query: ...}. */
static void read_body(struct cursor *cursor, struct wire_message *message)
{
    for (int depth = 0; depth < 2; depth++) {
        cursor_skip(cursor, 4);
        uint8_t type = cursor_u8(cursor);
        if (cursor->cut || type == 0)
            return;
        cursor_name(cursor, message->command);
        if (type == BSON_STRING) {
            cursor_skip(cursor, 4);
            cursor_name(cursor, message->collection);
        }
        if (type != BSON_DOCUMENT || strcmp(message->command, "$query") != 0)
            return;
        message->command[0] = '\0';
    }
}

/* The body may stand behind document sequences; drivers put it first. */
static void read_sections(struct cursor *cursor, struct wire_message *message)
{
    while (!cursor->cut && cursor->at < cursor->end) {
        uint8_t kind = cursor_u8(cursor);
        if (kind == SECTION_BODY) {
            read_body(cursor, message);
            return;
        }
        if (kind != SECTION_SEQUENCE)
            return;
        uint32_t size = cursor_u32(cursor);
        if (size < 4)
            return;
        cursor_skip(cursor, size - 4);
    }
    cursor->cut = true;
}

enum wire_seen wire_header(const uint8_t *data, size_t len, struct wire_message *ret)
{
    if (len < WIRE_HEADER_BYTES)
        return WIRE_SHORT;
    struct wire_message message = {
        .length = u32_at(data),
        .request_id = (int32_t)u32_at(data + 4),
        .response_to = (int32_t)u32_at(data + 8),
    };
    if (message.length < WIRE_HEADER_BYTES || message.length > WIRE_MESSAGE_BYTES_MAX)
        return WIRE_BAD;
    if (u32_at(data + 12) == OP_MSG) {
        if (message.length < WIRE_HEADER_BYTES + 4)
            return WIRE_BAD;
        if (len < WIRE_HEADER_BYTES + 4)
            return WIRE_SHORT;
        message.more_to_come = u32_at(data + WIRE_HEADER_BYTES) & FLAG_MORE_TO_COME;
    }
    *ret = message;
    return WIRE_SEEN;
}

enum wire_seen wire_request(const uint8_t *data, size_t len, struct wire_message *ret)
{
    struct wire_message message;
    enum wire_seen seen = wire_header(data, len, &message);
    if (seen != WIRE_SEEN)
        return seen;

    size_t all = message.length < WIRE_HEAD_BYTES ? message.length : WIRE_HEAD_BYTES;
    struct cursor cursor = {.at = data + WIRE_HEADER_BYTES, .end = data + (len < all ? len : all)};
    uint32_t op = u32_at(data + 12);
    if (op == OP_MSG) {
        cursor_skip(&cursor, 4);
        read_sections(&cursor, &message);
    } else if (op == OP_QUERY) {
        char ns[WIRE_NAME_BYTES];
        cursor_skip(&cursor, 4);
        cursor_name(&cursor, ns);
        cursor_skip(&cursor, 8);
        read_body(&cursor, &message);
    }
    if (cursor.cut && len < all)
        return WIRE_SHORT;
    *ret = message;
    return WIRE_SEEN;
}

static bool among(const char *name, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(name, *names) == 0)
            return true;
    return false;
}

bool wire_housekeeping(const char *command)
{
    static const char *const names[] = {
        "hello",        "isMaster",     "ismaster",    "ping",   "buildInfo",        "buildinfo",
        "saslStart",    "saslContinue", "endSessions", "logout", "connectionStatus", "authenticate",
        "getParameter", NULL,
    };
    return among(command, names);
}

bool wire_matches(const char *command, const char *collection, const char *pattern)
{
    static const char *const writes[] = {
        "insert", "update", "delete", "findAndModify", "findandmodify", NULL,
    };
    if (strcmp(pattern, "any") == 0)
        return !wire_housekeeping(command);
    if (strcmp(pattern, "write") == 0)
        return among(command, writes);
    const char *colon = strchr(pattern, ':');
    if (colon == NULL)
        return strcmp(command, pattern) == 0;
    size_t len = (size_t)(colon - pattern);
    return strlen(command) == len && memcmp(command, pattern, len) == 0 &&
           strcmp(collection, colon + 1) == 0;
}
