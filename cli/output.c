/* What commands print: JSON lines, tables, times.
 *
 * JSON strings are escaped by libbson, which refuses what is not UTF-8; such bytes go out as base64
 * under another name, so that every line is valid JSON. The controls that it passes on are escaped
 * here: someone may look at the line on a terminal. Cells of tables lose control characters: a
 * job's name must not move the reader's cursor. Write errors show in ferror(stdout), which main()
 * looks at. Single-threaded. */
#define _GNU_SOURCE
#include "cli/output.h"

#include <assert.h>
#include <bson/bson.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"

/* ---- JSON ------------------------------------------------------------------------------------ */

/* Escaped, in quotes; false (and nothing written) for bytes that are not UTF-8. */
static bool string_write(FILE *file, const char *text, size_t len)
{
    if (len == 0) {
        fputs("\"\"", file);
        return true;
    }
    char *escaped = bson_utf8_escape_for_json(text, (ssize_t)len);
    if (escaped == NULL)
        return false;
    fputc('"', file);
    for (const unsigned char *at = (const unsigned char *)escaped; *at != '\0'; at++) {
        bool wide = at[0] == 0xc2 && at[1] < 0xa0; /* U+0080..U+009F */
        if (wide || *at == 0x7f)
            fprintf(file, "\\u00%02x", wide ? *++at : *at);
        else
            fputc(*at, file);
    }
    fputc('"', file);
    bson_free(escaped);
    return true;
}

static void name_write(struct json *json, const char *name)
{
    if (!json->first)
        fputc(',', json->file);
    json->first = false;
    if (name != NULL)
        fprintf(json->file, "\"%s\":", name);
}

static void base64_write(FILE *file, struct bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    fputc('"', file);
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t b = (uint32_t)bytes.data[i] << 16;
        b |= left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0;
        b |= left > 2 ? (uint32_t)bytes.data[i + 2] : 0;
        fputc(digits[b >> 18], file);
        fputc(digits[b >> 12 & 63], file);
        fputc(left > 1 ? digits[b >> 6 & 63] : '=', file);
        fputc(left > 2 ? digits[b & 63] : '=', file);
    }
    fputc('"', file);
}

void json_open(struct json *json, FILE *file)
{
    *json = (struct json){.file = file, .first = true};
    fputc('{', file);
}

void json_close(struct json *json)
{
    fputs("}\n", json->file);
}

void json_text(struct json *json, const char *name, const char *text)
{
    if (text == NULL)
        json_null(json, name);
    else
        json_bytes(json, name, (struct bytes){(const uint8_t *)text, strlen(text)});
}

void json_bytes(struct json *json, const char *name, struct bytes bytes)
{
    char other[64];
    if (bytes.data == NULL) {
        json_null(json, name);
        return;
    }
    if (bson_utf8_validate((const char *)bytes.data, bytes.len, true)) {
        name_write(json, name);
        string_write(json->file, (const char *)bytes.data, bytes.len);
        return;
    }
    snprintf(other, sizeof(other), "%s_b64", name != NULL ? name : "");
    name_write(json, name != NULL ? other : NULL);
    base64_write(json->file, bytes);
}

void json_number(struct json *json, const char *name, int64_t value)
{
    name_write(json, name);
    fprintf(json->file, "%" PRId64, value);
}

void json_real(struct json *json, const char *name, double value)
{
    if (!isfinite(value)) {
        json_null(json, name);
        return;
    }
    name_write(json, name);
    fprintf(json->file, "%.3f", value);
}

void json_bool(struct json *json, const char *name, bool value)
{
    name_write(json, name);
    fputs(value ? "true" : "false", json->file);
}

void json_null(struct json *json, const char *name)
{
    name_write(json, name);
    fputs("null", json->file);
}

void json_time(struct json *json, const char *name, int64_t utc_ms)
{
    char text[TIME_TEXT_BYTES];
    json_text(json, name, utc_ms != 0 ? time_format(text, utc_ms) : NULL);
}

static void nest(struct json *json, const char *name, char bracket)
{
    name_write(json, name);
    fputc(bracket, json->file);
    json->first = true;
}

static void unnest(struct json *json, char bracket)
{
    fputc(bracket, json->file);
    json->first = false;
}

void json_array_open(struct json *json, const char *name)
{
    nest(json, name, '[');
}

void json_array_close(struct json *json)
{
    unnest(json, ']');
}

void json_object_open(struct json *json, const char *name)
{
    nest(json, name, '{');
}

void json_object_close(struct json *json)
{
    unnest(json, '}');
}

/* ---- times and sizes ------------------------------------------------------------------------- */

char *time_format(char text[TIME_TEXT_BYTES], int64_t utc_ms)
{
    time_t seconds = (time_t)(utc_ms / 1000);
    struct tm tm;
    char day[32];
    if (utc_ms <= 0 || gmtime_r(&seconds, &tm) == NULL || tm.tm_year > 9999 - 1900)
        snprintf(text, TIME_TEXT_BYTES, "-");
    else if (strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) > 0)
        snprintf(text, TIME_TEXT_BYTES, "%s.%03dZ", day, (int)(utc_ms % 1000));
    return text;
}

char *duration_format(char text[TIME_TEXT_BYTES], int64_t ms)
{
    if (ms < 1000)
        snprintf(text, TIME_TEXT_BYTES, "%" PRId64 " ms", ms > 0 ? ms : 0);
    else if (ms < 100 * 1000)
        snprintf(text, TIME_TEXT_BYTES, "%.1f s", (double)ms / 1000);
    else if (ms < 100 * 60 * 1000)
        snprintf(text, TIME_TEXT_BYTES, "%" PRId64 " min", ms / 60000);
    else if (ms < 100 * 3600 * 1000)
        snprintf(text, TIME_TEXT_BYTES, "%" PRId64 " h", ms / 3600000);
    else
        snprintf(text, TIME_TEXT_BYTES, "%" PRId64 " d", ms / 86400000);
    return text;
}

char *span_format(char text[TIME_TEXT_BYTES], int64_t from_ms, int64_t to_ms)
{
    int64_t ms;
    if (__builtin_sub_overflow(to_ms, from_ms, &ms))
        ms = INT64_MAX;
    return duration_format(text, ms);
}

char *size_format(char text[TIME_TEXT_BYTES], double bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double value = bytes;
    size_t unit = 0;
    for (; value >= 1000 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
        value /= 1000;
    snprintf(text, TIME_TEXT_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* Characters of a clean text: continuation bytes take no column. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

void table_open(struct table *table, const char *const *titles, size_t n_columns, uint32_t right)
{
    assert(n_columns <= TABLE_COLUMNS_MAX);
    *table = (struct table){.titles = titles, .n_columns = n_columns, .right = right};
    for (size_t i = 0; i < n_columns; i++)
        table->width[i] = strlen(titles[i]);
}

void table_cell(struct table *table, const char *format, ...)
{
    if (table->n_cells == table->cells_max) {
        table->cells_max = table->cells_max > 0 ? table->cells_max * 2 : 64;
        table->cells = cli_grow(table->cells, table->cells_max * sizeof(*table->cells));
    }
    char *text = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    text_clean(text);
    size_t column = table->n_cells % table->n_columns, width = text_width(text);
    if (width > table->width[column])
        table->width[column] = width;
    table->cells[table->n_cells++] = text;
}

static void row_print(const struct table *table, const char *const *cells)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        size_t fill = table->width[i] - text_width(cells[i]);
        bool last = i + 1 == table->n_columns;
        if (table->right >> i & 1)
            printf("%*s%s", (int)fill, "", cells[i]);
        else
            printf("%s%*s", cells[i], last ? 0 : (int)fill, "");
        fputs(last ? "\n" : "  ", stdout);
    }
}

void table_print(struct table *table)
{
    assert(table->n_cells % table->n_columns == 0);
    if (!table->headed)
        row_print(table, table->titles);
    table->headed = true;
    for (size_t i = 0; i < table->n_cells; i += table->n_columns)
        row_print(table, (const char *const *)table->cells + i);
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i]);
    table->n_cells = 0;
}

void table_close(struct table *table)
{
    table_print(table);
    free(table->cells);
    *table = (struct table){0};
}
