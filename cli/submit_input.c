/* Input of a bulk submit, line by line.
 *
 * One buffer that grows to the longest line allowed and no further; lines are handed out where they
 * lie in it. Empty lines are passed over. Single-threaded. */
#include "cli/submit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INPUT_BUFFER_BYTES = 256 << 10 };

int input_open(struct submit_input *input, const char *path, bool zero, size_t line_max,
               struct error *err)
{
    char quoted[QUOTE_BYTES];
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    struct stat file;
    if (fd < 0 || fstat(fd, &file) < 0) {
        error_set(err, ERR_INVALID, "cannot read %s: %s",
                  standard ? "standard input" : cli_quote(quoted, path), strerror(errno));
        return ERR_INVALID;
    }
    if (S_ISDIR(file.st_mode)) {
        if (!standard)
            close(fd);
        return error_set(err, ERR_INVALID, "cannot read %s: it is a folder",
                         cli_quote(quoted, path));
    }
    *input = (struct submit_input){
        .fd = fd,
        .name = standard ? "standard input" : path,
        .zero = zero,
        .regular = S_ISREG(file.st_mode),
        .size = S_ISREG(file.st_mode) ? file.st_size : 0,
        .line_max = line_max,
        .buffer = cli_alloc(INPUT_BUFFER_BYTES),
        .buffer_size = INPUT_BUFFER_BYTES,
    };
    return 0;
}

/* Makes room behind `end`; what was handed out is gone. */
static int buffer_room(struct submit_input *input, struct error *err)
{
    size_t waiting = input->end - input->at;
    char quoted[QUOTE_BYTES];
    if (waiting > input->line_max)
        return error_set(err, ERR_LIMIT, "%s, line %lld: longer than %zu bytes",
                         cli_quote(quoted, input->name), (long long)input->line + 1,
                         input->line_max);
    memmove(input->buffer, input->buffer + input->at, waiting);
    input->at = 0;
    input->end = waiting;
    if (waiting == input->buffer_size) {
        input->buffer_size *= 2;
        input->buffer = cli_grow(input->buffer, input->buffer_size);
    }
    return 0;
}

static int buffer_fill(struct submit_input *input, struct error *err)
{
    char quoted[QUOTE_BYTES];
    int rc = buffer_room(input, err);
    if (rc == 0 && !input->regular && input->wait != NULL)
        rc = input->wait(input->ctx);
    if (rc < 0)
        return rc;
    ssize_t n;
    do
        n = read(input->fd, input->buffer + input->end, input->buffer_size - input->end);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return error_set(err, ERR_IO, "cannot read %s: %s", cli_quote(quoted, input->name),
                         strerror(errno));
    input->eof = n == 0;
    input->end += (size_t)n;
    return 0;
}

/* One line, empty ones too. */
static int line_next(struct submit_input *input, struct bytes *ret_line, struct error *err)
{
    size_t seen = 0;
    for (;;) {
        const uint8_t *from = input->buffer + input->at;
        size_t waiting = input->end - input->at;
        const uint8_t *stop =
            waiting > seen ? memchr(from + seen, input->zero ? '\0' : '\n', waiting - seen) : NULL;
        bool rest = stop == NULL && input->eof && waiting > 0;
        if (stop != NULL || rest) {
            size_t len = rest ? waiting : (size_t)(stop - from);
            input->at += len + (rest ? 0 : 1);
            input->bytes += (int64_t)len + (rest ? 0 : 1);
            input->line++;
            *ret_line = (struct bytes){from, len};
            return 1;
        }
        if (input->eof)
            return 0;
        seen = waiting;
        int rc = buffer_fill(input, err);
        if (rc < 0)
            return rc;
    }
}

int input_next(struct submit_input *input, struct bytes *ret_line, struct error *err)
{
    struct bytes line;
    char quoted[QUOTE_BYTES];
    int rc;
    do
        rc = line_next(input, &line, err);
    while (rc == 1 && line.len == 0);
    if (rc != 1)
        return rc;
    if (line.len > input->line_max)
        return error_set(err, ERR_LIMIT, "%s, line %lld: longer than %zu bytes",
                         cli_quote(quoted, input->name), (long long)input->line, input->line_max);
    if (!input->zero && memchr(line.data, '\0', line.len) != NULL)
        return error_set(err, ERR_INVALID,
                         "%s, line %lld: a NUL byte; give -0 when NULs end the lines",
                         cli_quote(quoted, input->name), (long long)input->line);
    *ret_line = line;
    return 1;
}

void input_close(struct submit_input *input)
{
    if (input->fd != STDIN_FILENO && input->buffer != NULL)
        close(input->fd);
    free(input->buffer);
    *input = (struct submit_input){.fd = -1};
}
