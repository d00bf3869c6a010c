/* Goal: the files that a user writes: a config file, a file with a store's URI, lines to be
 * submitted. Read as they say, or refused with one line.
 * Method: the first byte chooses the kind of file. Settings that were read are written as a file
 * and read again; lines are compared with a split by hand. */
#include "tests/fuzz/fuzz.h"

#include <ctype.h>

#include "cli/submit.h"

enum { LINE_MAX = 64 };

static const struct {
    enum setting which;
    const char *key;
} keys[] = {
#define X(kind, key, variable) {kind, key},
    SETTING_MAP(X)
#undef X
};

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

static void require_settings_again(const struct settings *settings)
{
    char *text = NULL, path[FILE_PATH_BYTES];
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    struct settings again = {0};
    struct error err = {0};
    REQUIRE(file != NULL);
    for (size_t i = 0; i < KEYS; i++)
        if (settings->value[keys[i].which] != NULL)
            fprintf(file, "  %s=\t%s \n# %s\n", keys[i].key, settings->value[keys[i].which],
                    keys[i].key);
    fclose(file);
    int fd = file_make((struct bytes){(const uint8_t *)text, len}, path);
    REQUIRE(settings_read_file(&again, path, &err) == 0);
    for (size_t i = 0; i < KEYS; i++) {
        const char *a = settings->value[keys[i].which], *b = again.value[keys[i].which];
        REQUIRE((a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0));
    }
    settings_clear(&again);
    close(fd);
    free(text);
}

static void config_look(struct bytes input)
{
    char path[FILE_PATH_BYTES];
    struct settings settings = {0};
    struct error err = {0};
    int fd = file_make(input, path), rc = settings_read_file(&settings, path, &err);
    if (rc == 0) {
        for (size_t i = 0; i < SETTINGS; i++) {
            const char *value = settings.value[i];
            size_t len = value != NULL ? strlen(value) : 0;
            REQUIRE(len == 0 || (!isspace(value[0] == '\v' || value[0] == '\f' ? 'x' : value[0]) &&
                                 strchr(" \t\r\n", value[len - 1]) == NULL));
        }
        require_settings_again(&settings);
    } else {
        REQUIRE(rc == ERR_INVALID);
        require_told(rc, &err);
    }
    settings_clear(&settings);
    close(fd);
}

static void uri_file_look(struct bytes input)
{
    char path[FILE_PATH_BYTES], named[FILE_PATH_BYTES + 1], *uri = NULL;
    struct error err = {0};
    bool exposed = false;
    int fd = file_make(input, path);
    snprintf(named, sizeof(named), "@%s", path);
    int rc = store_uri_resolve(named, &uri, &exposed, &err);
    if (rc == 0) {
        size_t len = strlen(uri);
        REQUIRE(len > 0 && uri[0] != '@' && strpbrk(uri, "\n") == NULL);
        REQUIRE(memmem(input.data, input.len, uri, len) != NULL);
        REQUIRE(!exposed || uri_has_password(uri));
    } else {
        REQUIRE(rc == ERR_INVALID);
        require_told(rc, &err);
    }
    free(uri);
    close(fd);
}

/* The line that begins at *at, by hand; empty ones are passed over. False: there is none. */
static bool line_by_hand(struct bytes *rest, char stop, struct bytes *ret_line)
{
    while (rest->len > 0) {
        const uint8_t *end = memchr(rest->data, stop, rest->len);
        *ret_line = take_bytes(rest, end != NULL ? (size_t)(end - rest->data) : rest->len);
        if (end != NULL)
            (void)take_byte(rest);
        if (ret_line->len > 0)
            return true;
    }
    return false;
}

static void lines_look(struct bytes input)
{
    char path[FILE_PATH_BYTES];
    bool zero = take_byte(&input) % 2 == 1;
    struct bytes rest = input, line, want;
    struct submit_input lines;
    struct error err = {0};
    int fd = file_make(input, path), rc;
    REQUIRE(input_open(&lines, path, zero, LINE_MAX, &err) == 0);
    REQUIRE(lines.regular && lines.size == (int64_t)input.len);
    while ((rc = input_next(&lines, &line, &err)) == 1) {
        REQUIRE(line_by_hand(&rest, zero ? '\0' : '\n', &want) && same_bytes(line, want));
        REQUIRE(line.len <= LINE_MAX && (zero || memchr(line.data, '\0', line.len) == NULL));
    }
    if (rc < 0) {
        REQUIRE(line_by_hand(&rest, zero ? '\0' : '\n', &want));
        REQUIRE(want.len > LINE_MAX || memchr(want.data, '\0', want.len) != NULL);
        require_told(rc, &err);
    } else {
        REQUIRE(!line_by_hand(&rest, zero ? '\0' : '\n', &want));
        REQUIRE(lines.bytes == (int64_t)input.len);
    }
    input_close(&lines);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const looks[])(struct bytes) = {config_look, uri_file_look, lines_look};
    struct bytes input = {data, size};
    size_t kind = take_byte(&input) % 3;
    looks[kind](input);
    return 0;
}
