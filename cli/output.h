/* What commands print: JSON lines, tables, times. All goes to stdout. */
#ifndef STINT_OUTPUT_H
#define STINT_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "datastore/bytes.h"

/* ---- JSON: one object a line ----------------------------------------------------------------- */

struct json {
    FILE *file;
    bool first; /* no comma before the next value */
};

void json_open(struct json *json, FILE *file);
void json_close(struct json *json); /* ends the line */

/* A field each; a NULL text (or data) gives null. */
void json_text(struct json *json, const char *name, const char *text);
void json_number(struct json *json, const char *name, int64_t value);
void json_real(struct json *json, const char *name, double value);
void json_bool(struct json *json, const char *name, bool value);
void json_null(struct json *json, const char *name);
void json_time(struct json *json, const char *name, int64_t utc_ms); /* 0: null */

/* Bytes that are UTF-8 as a text, else base64 under the name NAME_b64. */
void json_bytes(struct json *json, const char *name, struct bytes bytes);

/* Arrays: json_array_open(name), then elements (fields with a NULL name), json_array_close. */
void json_array_open(struct json *json, const char *name);
void json_array_close(struct json *json);
void json_object_open(struct json *json, const char *name);
void json_object_close(struct json *json);

/* ---- times ----------------------------------------------------------------------------------- */

enum { TIME_TEXT_BYTES = 40 };

/* "2026-03-01T09:30:00.123Z"; "-" for 0. Returns text. */
char *time_format(char text[TIME_TEXT_BYTES], int64_t utc_ms);

/* "12 ms", "3.4 s", "5 min", "2 h", "3 d". Returns text. */
char *duration_format(char text[TIME_TEXT_BYTES], int64_t ms);

/* From one time to the other, likewise. A damaged record may hold any. */
char *span_format(char text[TIME_TEXT_BYTES], int64_t from_ms, int64_t to_ms);

char *size_format(char text[TIME_TEXT_BYTES], double bytes); /* "1.2 MB" */

/* ---- tables ---------------------------------------------------------------------------------- */

enum { TABLE_COLUMNS_MAX = 12 };

/* Rows are kept until table_print, which sets the widths by the longest cell; the next page keeps
 * these widths, and the heading is printed once. */
struct table {
    const char *const *titles; /* borrowed; one a column */
    size_t n_columns;
    uint32_t right; /* bits of the columns of numbers */
    char **cells;
    size_t n_cells, cells_max;
    size_t width[TABLE_COLUMNS_MAX];
    bool headed;
};

void table_open(struct table *table, const char *const *titles, size_t n_columns, uint32_t right);
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(struct table *table);
void table_close(struct table *table); /* prints what waits, and frees */

#endif
