/* Error codes and the caller's error buffer, shared by every part of Stint.
 *
 * Functions return 0 or one negative code of this enum. Codes say what a caller can do next; the
 * buffer says, for a person, what happened to which thing and what to do about it (one line). */
#ifndef STINT_ERROR_H
#define STINT_ERROR_H

#define ERROR_MAP(X)                                                                               \
    X(ERR_NOT_FOUND, -1, "not found")                                                              \
    X(ERR_CONFLICT, -2, "the record is not as expected; nothing was written")                      \
    X(ERR_DUPLICATE, -3, "already there")                                                          \
    X(ERR_UNAVAILABLE, -4, "datastore unavailable; nothing was written")                           \
    X(ERR_UNKNOWN_OUTCOME, -5, "no reply; it may have been written or not")                        \
    X(ERR_SKIPPED, -6, "not tried: an earlier step of the run did not succeed")                    \
    X(ERR_FULL, -7, "no space left for the datastore; nothing was written")                        \
    X(ERR_READ_ONLY, -8, "the datastore cannot be written")                                        \
    X(ERR_CORRUPT, -9, "not a Stint datastore, or a damaged one")                                  \
    X(ERR_VERSION, -10, "written by another version of Stint")                                     \
    X(ERR_LIMIT, -11, "past a limit")                                                              \
    X(ERR_INVALID, -12, "invalid argument")                                                        \
    X(ERR_NO_MEMORY, -13, "out of memory")                                                         \
    X(ERR_BUSY, -14, "queue full; try again later")                                                \
    X(ERR_IO, -15, "input/output error")                                                           \
    X(ERR_TIMED_OUT, -16, "timed out")                                                             \
    X(ERR_REFUSED, -17, "refused")

enum stint_error {
#define X(name, value, text) name = value,
    ERROR_MAP(X)
#undef X
};

/* The fixed text of a code; "ok" for 0. Never NULL. */
const char *error_text(int code);

enum { ERROR_BYTES = 512 };

/* Filled by the function that fails; untouched on success. One line, no trailing newline. */
struct error {
    int code;
    char text[ERROR_BYTES];
};

/* Writes `code` and the formatted text to `err` (which may be NULL) and returns `code`. */
int error_set(struct error *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
