/* What the fuzz targets share.
 *
 * A target is one function that libFuzzer calls with bytes of its making (clang, preset `fuzz`),
 * and replay.c with those kept in corpus/NAME (every other build). It says what must hold with
 * REQUIRE and keeps nothing from one call to the next. An input that begins with a number chooses
 * by it what is parsed. One thread. */
#ifndef STINT_FUZZ_H
#define STINT_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "datastore/arena.h"
#include "datastore/bytes.h"
#include "datastore/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An assertion that says more: a property that does not hold is a find, like a crash. */
#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* ---- taking an input apart ------------------------------------------------------------------- */

/* The first byte; 0 where nothing is left. */
static inline uint8_t take_byte(struct bytes *input)
{
    if (input->len == 0)
        return 0;
    input->len--;
    return *input->data++;
}

static inline int64_t take_number(struct bytes *input)
{
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number |= (uint64_t)take_byte(input) << (8 * i);
    return (int64_t)number;
}

/* At most `len` bytes. */
static inline struct bytes take_bytes(struct bytes *input, size_t len)
{
    struct bytes taken = {input->data, len < input->len ? len : input->len};
    input->data += taken.len;
    input->len -= taken.len;
    return taken;
}

/* With a NUL, in memory of its own: to be freed. Bytes behind a NUL in it are not seen. */
static inline char *text_of(struct bytes taken)
{
    char *text = malloc(taken.len + 1);
    REQUIRE(text != NULL);
    if (taken.len > 0)
        memcpy(text, taken.data, taken.len);
    text[taken.len] = '\0';
    return text;
}

/* What stands before the next `stop`, which goes, too; else all. As text_of. */
static inline char *take_text(struct bytes *input, uint8_t stop)
{
    const uint8_t *end = input->len > 0 ? memchr(input->data, stop, input->len) : NULL;
    struct bytes taken = take_bytes(input, end != NULL ? (size_t)(end - input->data) : input->len);
    (void)take_byte(input);
    return text_of(taken);
}

static inline char *take_rest(struct bytes *input)
{
    return text_of(take_bytes(input, input->len));
}

/* ---- the world ------------------------------------------------------------------------------- */

/* What goes to stdout or stderr meanwhile. */
struct caught {
    FILE **stream, *real;
    char *text; /* to be freed */
    size_t len;
};

static inline void catch_begin(struct caught *caught, FILE **stream)
{
    *caught = (struct caught){.stream = stream, .real = *stream};
    *stream = open_memstream(&caught->text, &caught->len);
    REQUIRE(*stream != NULL);
}

static inline void catch_end(struct caught *caught)
{
    fclose(*caught->stream);
    *caught->stream = caught->real;
}

enum { FILE_PATH_BYTES = 32 };

/* A file without a name that holds `bytes`: its descriptor, to be closed, and a path to it. */
static inline int file_make(struct bytes bytes, char path[FILE_PATH_BYTES])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    REQUIRE(fd >= 0 && write(fd, bytes.data, bytes.len) == (ssize_t)bytes.len);
    REQUIRE(lseek(fd, 0, SEEK_SET) == 0);
    snprintf(path, FILE_PATH_BYTES, "/proc/self/fd/%d", fd);
    return fd;
}

/* ---- properties ------------------------------------------------------------------------------ */

static inline bool same_bytes(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* Whoever refuses says why, on one line. */
static inline void require_told(int rc, const struct error *err)
{
    REQUIRE(rc < 0 && err->code == rc);
    REQUIRE(err->text[0] != '\0' && memchr(err->text, '\0', sizeof(err->text)) != NULL);
    REQUIRE(strpbrk(err->text, "\r\n") == NULL);
}

/* One message as commands print it: a line, of which a terminal shows all. */
static inline void require_message(const struct caught *caught)
{
    REQUIRE(caught->len > 7 && strncmp(caught->text, "stint: ", 7) == 0);
    for (size_t i = 0; i + 1 < caught->len; i++)
        REQUIRE((unsigned char)caught->text[i] >= ' ' && caught->text[i] != 0x7f);
    REQUIRE(caught->text[caught->len - 1] == '\n');
}

#endif
