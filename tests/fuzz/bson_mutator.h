/* Changes BSON documents so that they stay documents, for targets whose input is some bytes and
 * then documents, one behind the other: libFuzzer's own changes leave hardly any length right.
 *
 * One document, and one element in it at any depth, is chosen; it goes, comes twice, gets another
 * name, value or type, or has a new one before it. All else is copied. Every third change is
 * libFuzzer's own, so that damaged documents come, too. */
#ifndef STINT_FUZZ_BSON_MUTATOR_H
#define STINT_FUZZ_BSON_MUTATOR_H

#include <bson/bson.h>
#include <math.h>

#include "datastore/random.h"

#include "tests/fuzz/fuzz.h"

/* libFuzzer's; not there where inputs are replayed. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));

enum { MUTATED_DEPTH_MAX = 6, MUTATED_VALUE_BYTES = 256 };

struct mutation {
    uint64_t random;
    size_t at;                /* elements to pass before the one that is changed */
    const char *const *names; /* that documents have */
    size_t n_names;
};

static inline uint64_t mutation_random(struct mutation *mutation, uint64_t below)
{
    return random_below(&mutation->random, below);
}

static inline int64_t mutation_number(struct mutation *mutation)
{
    static const int64_t numbers[] = {0,         1,         -1,        2,        64,   INT32_MAX,
                                      INT32_MIN, INT64_MAX, INT64_MIN, 1L << 48, 4095, 65536};
    uint64_t chosen = mutation_random(mutation, 16);
    if (chosen < sizeof(numbers) / sizeof(numbers[0]))
        return numbers[chosen];
    return (int64_t)mutation_random(mutation, UINT64_MAX) >> mutation_random(mutation, 64);
}

/* Of `from`, changed by libFuzzer. */
static inline size_t mutation_bytes(const uint8_t *from, size_t len,
                                    uint8_t to[MUTATED_VALUE_BYTES])
{
    len = len < MUTATED_VALUE_BYTES ? len : MUTATED_VALUE_BYTES;
    if (len > 0)
        memcpy(to, from, len);
    return LLVMFuzzerMutate != NULL ? LLVMFuzzerMutate(to, len, MUTATED_VALUE_BYTES) : len;
}

static inline void mutation_put_new(struct mutation *mutation, bson_t *to, const char *name)
{
    static const double reals[] = {0.5, -1, 1e300, NAN, INFINITY};
    static const uint8_t bytes[4] = {0, 1, 0xff, 'a'};
    bson_t child;
    int64_t number = mutation_number(mutation);
    switch (mutation_random(mutation, 10)) {
    case 0:
        bson_append_int32(to, name, -1, (int32_t)number);
        break;
    case 1:
        bson_append_double(to, name, -1, reals[mutation_random(mutation, 5)]);
        break;
    case 2:
        bson_append_double(to, name, -1, (double)number);
        break;
    case 3:
        bson_append_utf8(to, name, -1,
                         mutation->names[mutation_random(mutation, mutation->n_names)], -1);
        break;
    case 4:
        bson_append_binary(to, name, -1, BSON_SUBTYPE_BINARY, bytes, number & 3);
        break;
    case 5:
        bson_append_document_begin(to, name, -1, &child);
        bson_append_int64(&child, "0", -1, number);
        bson_append_document_end(to, &child);
        break;
    case 6:
        bson_append_array_begin(to, name, -1, &child);
        bson_append_int64(&child, "0", -1, number);
        bson_append_array_end(to, &child);
        break;
    case 7:
        bson_append_bool(to, name, -1, number & 1);
        break;
    case 8:
        bson_append_date_time(to, name, -1, number);
        break;
    default:
        bson_append_int64(to, name, -1, number);
    }
}

/* The same type with another value. */
static inline void mutation_put_changed(struct mutation *mutation, bson_t *to,
                                        const bson_iter_t *at)
{
    uint8_t bytes[MUTATED_VALUE_BYTES];
    const char *name = bson_iter_key(at);
    const uint8_t *data;
    bson_subtype_t subtype;
    uint32_t len;
    size_t n;
    switch (bson_iter_type(at)) {
    case BSON_TYPE_INT64:
        bson_append_int64(to, name, -1, mutation_number(mutation));
        break;
    case BSON_TYPE_UTF8:
        data = (const uint8_t *)bson_iter_utf8(at, &len);
        n = mutation_bytes(data, len, bytes);
        bson_append_utf8(to, name, -1, (const char *)bytes, (int)n);
        break;
    case BSON_TYPE_BINARY:
        bson_iter_binary(at, &subtype, &len, &data);
        n = mutation_bytes(data, len, bytes);
        bson_append_binary(to, name, -1, subtype, bytes, (uint32_t)n);
        break;
    default:
        mutation_put_new(mutation, to, name);
    }
}

static inline void mutation_apply(struct mutation *mutation, bson_t *to, const bson_iter_t *at)
{
    const char *other = mutation->names[mutation_random(mutation, mutation->n_names)];
    switch (mutation_random(mutation, 8)) {
    case 0: /* it goes */
        break;
    case 1:
        bson_append_iter(to, NULL, -1, at);
        bson_append_iter(to, NULL, -1, at);
        break;
    case 2:
        bson_append_iter(to, other, -1, at);
        break;
    case 3:
        mutation_put_new(mutation, to, bson_iter_key(at));
        break;
    case 4:
        mutation_put_new(mutation, to, other);
        bson_append_iter(to, NULL, -1, at);
        break;
    default:
        mutation_put_changed(mutation, to, at);
    }
}

static inline bool mutation_nested(const bson_iter_t *at)
{
    return BSON_ITER_HOLDS_DOCUMENT(at) || BSON_ITER_HOLDS_ARRAY(at);
}

static inline size_t mutation_count(bson_iter_t at, int depth)
{
    size_t n = 0;
    bson_iter_t child;
    while (bson_iter_next(&at)) {
        n++;
        if (depth < MUTATED_DEPTH_MAX && mutation_nested(&at) && bson_iter_recurse(&at, &child))
            n += mutation_count(child, depth + 1);
    }
    return n;
}

static inline void mutation_copy(struct mutation *mutation, bson_iter_t at, int depth, bson_t *to)
{
    while (bson_iter_next(&at)) {
        bson_iter_t inside;
        bson_t child;
        bool here = mutation->at-- == 0;
        if (here)
            mutation_apply(mutation, to, &at);
        else if (depth < MUTATED_DEPTH_MAX && mutation_nested(&at) &&
                 bson_iter_recurse(&at, &inside)) {
            bool array = BSON_ITER_HOLDS_ARRAY(&at);
            if (array)
                bson_append_array_begin(to, bson_iter_key(&at), -1, &child);
            else
                bson_append_document_begin(to, bson_iter_key(&at), -1, &child);
            mutation_copy(mutation, inside, depth + 1, &child);
            if (array)
                bson_append_array_end(to, &child);
            else
                bson_append_document_end(to, &child);
        } else {
            bson_append_iter(to, NULL, -1, &at);
        }
    }
}

/* The length of the document at the front; 0: there is none. */
static inline size_t document_bytes(struct bytes input)
{
    bson_t doc;
    uint32_t len = 0;
    if (input.len < 5)
        return 0;
    memcpy(&len, input.data, sizeof(len));
    len = BSON_UINT32_FROM_LE(len);
    return len >= 5 && len <= input.len && bson_init_static(&doc, input.data, len) ? len : 0;
}

/* Changes one of the documents behind the first `before` bytes; returns the new size, 0: none. */
static inline size_t mutation_of_document(struct mutation *mutation, uint8_t *data, size_t size,
                                          size_t max_size, size_t before)
{
    size_t from = before, n = 0, len;
    bson_t doc, changed = BSON_INITIALIZER;
    bson_iter_t at;
    while (from < size && (len = document_bytes((struct bytes){data + from, size - from})) > 0) {
        n++;
        from += len;
    }
    if (n == 0)
        return 0;
    size_t chosen = mutation_random(mutation, n);
    for (from = before; chosen > 0; chosen--)
        from += document_bytes((struct bytes){data + from, size - from});
    len = document_bytes((struct bytes){data + from, size - from});
    bool good = bson_init_static(&doc, data + from, len) &&
                bson_validate(&doc, BSON_VALIDATE_NONE, NULL) && bson_iter_init(&at, &doc);
    size_t elements = good ? mutation_count(at, 0) : 0;
    if (elements == 0) {
        mutation_put_new(mutation, &changed,
                         mutation->names[mutation_random(mutation, mutation->n_names)]);
    } else {
        mutation->at = mutation_random(mutation, elements);
        mutation_copy(mutation, at, 0, &changed);
    }
    size_t rest = size - from - len, now = 0;
    if (from + changed.len + rest <= max_size) {
        memmove(data + from + changed.len, data + from + len, rest);
        memcpy(data + from, bson_get_data(&changed), changed.len);
        now = from + changed.len + rest;
    }
    bson_destroy(&changed);
    return now;
}

/* For LLVMFuzzerCustomMutator. `names`: of fields that are understood. */
static inline size_t mutate_documents(uint8_t *data, size_t size, size_t max_size, unsigned seed,
                                      size_t before, const char *const *names, size_t n_names)
{
    struct mutation mutation = {.random = seed, .names = names, .n_names = n_names};
    size_t now = 0;
    for (uint64_t times = 1 + mutation_random(&mutation, 3);
         size >= before && times > 0 && mutation_random(&mutation, 3) > 0; times--) {
        size_t next = mutation_of_document(&mutation, data, now > 0 ? now : size, max_size, before);
        now = next > 0 ? next : now;
    }
    return now > 0 ? now : LLVMFuzzerMutate(data, size, max_size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#endif
