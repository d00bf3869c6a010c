/* The little of MongoDB's wire protocol that wire_proxy.c needs: where a message ends, what it
 * answers, and which command a request carries. Pure: it looks at bytes, and never beyond the
 * first WIRE_HEAD_BYTES of a message.
 *
 * Formats: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/ (OP_MSG, OP_QUERY,
 * OP_REPLY). A compressed message has no command that could be seen here. */
#ifndef STINT_TEST_WIRE_H
#define STINT_TEST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_HEADER_BYTES = 16,
    WIRE_HEAD_BYTES = 4096,
    WIRE_NAME_BYTES = 64,
    /* What servers take is 48,000,000; a little more is let through for them to refuse. */
    WIRE_MESSAGE_BYTES_MAX = 50 << 20,
};

enum wire_seen {
    WIRE_SHORT, /* more bytes are needed to tell */
    WIRE_SEEN,
    WIRE_BAD, /* this is no message */
};

struct wire_message {
    uint32_t length; /* of all of it, header included */
    int32_t request_id, response_to;
    bool more_to_come;                /* a request that gets no reply; a reply that others follow */
    char command[WIRE_NAME_BYTES];    /* "": could not be seen */
    char collection[WIRE_NAME_BYTES]; /* "": the command names none */
};

/* Both look at the message at the front of `data`; *ret is set with WIRE_SEEN only. wire_header
 * leaves command and collection empty. */
enum wire_seen wire_header(const uint8_t *data, size_t len, struct wire_message *ret);
enum wire_seen wire_request(const uint8_t *data, size_t len, struct wire_message *ret);

/* What a driver asks on its own: hello, ping, log in and out. */
bool wire_housekeeping(const char *command);

/* Is the request one of these? `pattern` is "any" (all but housekeeping), "write" (insert, update,
 * delete, findAndModify), COMMAND or COMMAND:COLLECTION. */
bool wire_matches(const char *command, const char *collection, const char *pattern);

#endif
