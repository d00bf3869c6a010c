/* Fields of BSON documents, written and read: what record_bson.c and mongo_bson.c share.
 *
 * A writer appends one field at a time. A reader looks fields up by name in whatever order they
 * come, checks each one's type and remembers whether anything was amiss, so that a decoder asks
 * once, at the end; a field that is not there is 0. Pure. */
#ifndef STINT_BSON_FIELDS_H
#define STINT_BSON_FIELDS_H

#include <bson/bson.h>
#include <stdio.h>
#include <string.h>

#include "datastore/arena.h"
#include "datastore/error.h"
#include "datastore/limits.h"

/* ---- writing -------------------------------------------------------------------------------- */

static inline void put_int(bson_t *doc, const char *key, int64_t value)
{
    bson_append_int64(doc, key, -1, value);
}

static inline void put_nonzero(bson_t *doc, const char *key, int64_t value)
{
    if (value != 0)
        put_int(doc, key, value);
}

/* A text is what a program said, or a person typed: not always UTF-8, which servers and other
 * readers insist on. Then its bytes are kept as such. */
static inline void put_text(bson_t *doc, const char *key, const char *text)
{
    size_t len = text != NULL ? strlen(text) : 0;
    if (text == NULL)
        return;
    if (bson_utf8_validate(text, len, false))
        bson_append_utf8(doc, key, -1, text, (int)len);
    else
        bson_append_binary(doc, key, -1, BSON_SUBTYPE_BINARY, (const uint8_t *)text, (uint32_t)len);
}

static inline void put_bytes(bson_t *doc, const char *key, struct bytes bytes)
{
    if (bytes.len > 0)
        bson_append_binary(doc, key, -1, BSON_SUBTYPE_BINARY, bytes.data, (uint32_t)bytes.len);
}

struct list {
    bson_t array;
    uint32_t n;
};

static inline void list_begin(bson_t *doc, const char *key, struct list *list)
{
    bson_append_array_begin(doc, key, -1, &list->array);
    list->n = 0;
}

static inline const char *list_key(struct list *list, char text[16])
{
    const char *key;
    bson_uint32_to_string(list->n++, &key, text, 16);
    return key;
}

static inline void list_int(struct list *list, int64_t value)
{
    char text[16];
    bson_append_int64(&list->array, list_key(list, text), -1, value);
}

static inline void list_text(struct list *list, const char *value)
{
    char text[16];
    bson_append_utf8(&list->array, list_key(list, text), -1, value, -1);
}

static inline void list_end(bson_t *doc, struct list *list)
{
    bson_append_array_end(doc, &list->array);
}

static inline void put_names(bson_t *doc, const char *key, char (*names)[LIMIT_NAME_BYTES + 1],
                             size_t n)
{
    struct list list;
    list_begin(doc, key, &list);
    for (size_t i = 0; i < n; i++)
        list_text(&list, names[i]);
    list_end(doc, &list);
}

/* Appends the fields of `old` that `doc` does not have. */
static inline void keep_unknown(bson_t *doc, struct bytes old)
{
    bson_t before;
    bson_iter_t at, known;
    if (old.len == 0 || !bson_init_static(&before, old.data, old.len) ||
        !bson_iter_init(&at, &before))
        return;
    while (bson_iter_next(&at))
        if (!bson_iter_init_find(&known, doc, bson_iter_key(&at))) /* a dot is no path here */
            bson_append_iter(doc, NULL, -1, &at);
}

static inline struct bytes seal(bson_t *doc, struct arena *mem)
{
    struct bytes bytes = {arena_copy(mem, bson_get_data(doc), doc->len), doc->len};
    bson_destroy(doc);
    return bytes;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* A reader that remembers whether anything was amiss, so that callers ask once, at the end. */
struct reader {
    bson_t doc;
    struct arena *mem;
    bool damaged;
};

/* Is it whole, with all documents within it, to the last byte? (bson_validate is not asked: at a
 * text that is no UTF-8 it stops and calls the rest good, whatever it is.) Deeper ones than
 * libbson writes are none of ours. */
static inline bool document_whole(const bson_t *doc, int depth)
{
    enum { DEPTH_MAX = 100 };
    bson_iter_t at;
    uint32_t end = 4; /* of the last field; first there is the length */
    if (depth > DEPTH_MAX || !bson_iter_init(&at, doc))
        return false;
    while (bson_iter_next(&at)) {
        const uint8_t *data = NULL;
        uint32_t len = 0, code_len;
        bson_t part;
        end = at.next_off;
        if (BSON_ITER_HOLDS_DOCUMENT(&at))
            bson_iter_document(&at, &len, &data);
        else if (BSON_ITER_HOLDS_ARRAY(&at))
            bson_iter_array(&at, &len, &data);
        else if (BSON_ITER_HOLDS_CODEWSCOPE(&at))
            (void)bson_iter_codewscope(&at, &code_len, &len, &data);
        else
            continue;
        if (data == NULL || !bson_init_static(&part, data, len) ||
            !document_whole(&part, depth + 1))
            return false;
    }
    return end == doc->len - 1;
}

/* In place: a static bson_t points into itself, so a reader must not be copied. */
static inline void reader_init(struct reader *reader, struct bytes doc, struct arena *mem)
{
    reader->mem = mem;
    reader->damaged = doc.data == NULL || !bson_init_static(&reader->doc, doc.data, doc.len) ||
                      !document_whole(&reader->doc, 0);
}

/* Finds a field and checks its type. */
static inline bool find(struct reader *reader, const char *key, bson_type_t type,
                        bson_iter_t *ret_at)
{
    if (reader->damaged || !bson_iter_init_find(ret_at, &reader->doc, key))
        return false;
    if (bson_iter_type(ret_at) == type)
        return true;
    reader->damaged = true;
    return false;
}

static inline int64_t get_int(struct reader *reader, const char *key)
{
    bson_iter_t at;
    return find(reader, key, BSON_TYPE_INT64, &at) ? bson_iter_int64(&at) : 0;
}

static inline int32_t get_int32(struct reader *reader, const char *key)
{
    int64_t value = get_int(reader, key);
    if (value < INT32_MIN || value > INT32_MAX) {
        reader->damaged = true;
        return 0;
    }
    return (int32_t)value;
}

static inline double get_double(struct reader *reader, const char *key)
{
    bson_iter_t at;
    return find(reader, key, BSON_TYPE_DOUBLE, &at) ? bson_iter_double(&at) : 0;
}

/* A text as put_text writes it, valid as long as the document; false: no text. */
static inline bool text_of(const bson_iter_t *at, const char **ret_text, uint32_t *ret_len)
{
    bson_subtype_t subtype;
    const uint8_t *bytes;
    if (BSON_ITER_HOLDS_BINARY(at)) {
        bson_iter_binary(at, &subtype, ret_len, &bytes);
        *ret_text = (const char *)bytes;
        return true;
    }
    if (!BSON_ITER_HOLDS_UTF8(at))
        return false;
    *ret_text = bson_iter_utf8(at, ret_len);
    return true;
}

static inline const char *get_text(struct reader *reader, const char *key)
{
    bson_iter_t at;
    const char *text;
    uint32_t len;
    if (reader->damaged || !bson_iter_init_find(&at, &reader->doc, key))
        return NULL;
    if (text_of(&at, &text, &len))
        return arena_string_n(reader->mem, text, len);
    reader->damaged = true;
    return NULL;
}

static inline void get_name(struct reader *reader, const char *key, char *to, size_t size)
{
    bson_iter_t at;
    const char *text;
    uint32_t len;
    if (reader->damaged || !bson_iter_init_find(&at, &reader->doc, key))
        return;
    if (text_of(&at, &text, &len))
        snprintf(to, size, "%.*s", (int)len, text);
    else
        reader->damaged = true;
}

static inline struct bytes get_bytes(struct reader *reader, const char *key)
{
    bson_iter_t at;
    bson_subtype_t subtype;
    uint32_t len;
    const uint8_t *data;
    if (!find(reader, key, BSON_TYPE_BINARY, &at))
        return (struct bytes){0};
    bson_iter_binary(&at, &subtype, &len, &data);
    return arena_bytes(reader->mem, (struct bytes){data, len});
}

/* Opens an array and counts what is in it; elements of another type than `type` are damage. */
static inline size_t get_list(struct reader *reader, const char *key, bson_type_t type,
                              bson_iter_t *ret_items)
{
    bson_iter_t at, count;
    if (!find(reader, key, BSON_TYPE_ARRAY, &at) || !bson_iter_recurse(&at, ret_items) ||
        !bson_iter_recurse(&at, &count))
        return 0;
    size_t n = 0;
    for (; bson_iter_next(&count); n++)
        reader->damaged = reader->damaged || bson_iter_type(&count) != type;
    return reader->damaged ? 0 : n;
}

/* A flat list with `stride` numbers an element; *ret_n elements. */
static inline const int64_t *get_ints(struct reader *reader, const char *key, size_t stride,
                                      size_t *ret_n)
{
    bson_iter_t items;
    size_t n = get_list(reader, key, BSON_TYPE_INT64, &items);
    if (n % stride != 0)
        reader->damaged = true;
    int64_t *values = arena_alloc(reader->mem, (n + 1) * sizeof(*values));
    for (size_t i = 0; i < n && bson_iter_next(&items); i++)
        values[i] = bson_iter_int64(&items);
    *ret_n = reader->damaged ? 0 : n / stride;
    return values;
}

static inline void *get_names(struct reader *reader, const char *key, size_t *ret_n)
{
    bson_iter_t items;
    size_t n = get_list(reader, key, BSON_TYPE_UTF8, &items);
    char(*names)[LIMIT_NAME_BYTES + 1] = arena_alloc(reader->mem, (n + 1) * sizeof(*names));
    for (size_t i = 0; i < n && bson_iter_next(&items); i++)
        snprintf(names[i], sizeof(names[i]), "%s", bson_iter_utf8(&items, NULL));
    *ret_n = n;
    return names;
}

static inline int verdict(const struct reader *reader)
{
    return reader->damaged ? ERR_CORRUPT : 0;
}

/* ---- as a person or a server writes them ---------------------------------------------------- */

static inline void put_date(bson_t *doc, const char *key, int64_t ms)
{
    if (ms != 0)
        bson_append_date_time(doc, key, -1, ms);
}

static inline void put_bool(bson_t *doc, const char *key, bool value)
{
    bson_append_bool(doc, key, -1, value);
}

/* True where `at` is a number; a shell writes doubles. */
static inline bool number_at(const bson_iter_t *at, int64_t *ret_value)
{
    switch (bson_iter_type(at)) {
    case BSON_TYPE_INT64:
        *ret_value = bson_iter_int64(at);
        return true;
    case BSON_TYPE_INT32:
        *ret_value = bson_iter_int32(at);
        return true;
    case BSON_TYPE_BOOL:
        *ret_value = bson_iter_bool(at);
        return true;
    case BSON_TYPE_DATE_TIME:
        *ret_value = bson_iter_date_time(at);
        return true;
    case BSON_TYPE_DOUBLE: {
        double value = bson_iter_double(at);
        *ret_value = (int64_t)(value > -9e18 && value < 9e18 ? value : 0);
        return value == (double)*ret_value;
    }
    default:
        return false;
    }
}

static inline int64_t number(struct reader *reader, const char *key)
{
    bson_iter_t at;
    int64_t value = 0;
    if (reader->damaged || !bson_iter_init_find(&at, &reader->doc, key))
        return 0;
    if (!number_at(&at, &value))
        reader->damaged = true;
    return value;
}

static inline int32_t number32(struct reader *reader, const char *key)
{
    int64_t value = number(reader, key);
    if (value < INT32_MIN || value > INT32_MAX)
        reader->damaged = true;
    return reader->damaged ? 0 : (int32_t)value;
}

static inline double fraction(struct reader *reader, const char *key)
{
    bson_iter_t at;
    if (reader->damaged || !bson_iter_init_find(&at, &reader->doc, key))
        return 0;
    if (!BSON_ITER_HOLDS_NUMBER(&at))
        reader->damaged = true;
    return bson_iter_as_double(&at);
}

static inline void reader_on(struct reader *reader, const bson_t *doc, struct arena *mem)
{
    reader_init(reader, (struct bytes){bson_get_data(doc), doc->len}, mem);
}

/* The next element of a list of documents, as a reader of its own. */
static inline void element_next(struct reader *outer, bson_iter_t *items,
                                struct reader *ret_element)
{
    const uint8_t *data;
    uint32_t len;
    ret_element->mem = outer->mem;
    ret_element->damaged = true;
    if (!bson_iter_next(items))
        return;
    bson_iter_document(items, &len, &data);
    ret_element->damaged = !bson_init_static(&ret_element->doc, data, len);
}

/* An element of a list of documents. */
static inline void element_begin(struct list *list, bson_t *element)
{
    char text[16];
    const char *key = list_key(list, text);
    bson_append_document_begin(&list->array, key, -1, element);
}

#endif
