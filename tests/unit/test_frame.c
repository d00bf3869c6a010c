/* Frames (proto/frame.h).
 *
 * Goal: what was framed comes back, in pieces of any size; whatever is damaged, cut, or says it is
 * huge gives all that precedes it and one clear line, in little memory. Method: frames of every
 * length and kind; every single bit of a small file changed; every cut. */
#include "proto/frame.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/limits.h"

static uint64_t seed = 1;

static uint8_t any_byte(void)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (uint8_t)(seed >> 56);
}

static void body_make(uint8_t *body, size_t len, bool repeating)
{
    for (size_t i = 0; i < len; i++)
        body[i] = repeating ? (uint8_t)(i / 100) : any_byte();
}

START_TEST(what_was_framed_comes_back)
{
    static const size_t lens[] = {0, 1, 2, 15, 16, 17, 255, 4096, 70000, LIMIT_FRAME_BYTES};
    enum { LENS = sizeof(lens) / sizeof(lens[0]) };
    static const size_t pieces[] = {1, 7, 4096, SIZE_MAX};
    bool repeating = _i % 2 == 1, pack = _i / 2 % 2 == 1;
    size_t piece = pieces[_i / 4], n = piece == 1 ? LENS - 1 : LENS;
    struct frame_buffer out = {0};
    uint8_t *body = malloc(LIMIT_FRAME_BYTES);
    for (size_t i = 0; i < n; i++) {
        seed = i + 1;
        body_make(body, lens[i], repeating);
        ck_assert_int_eq(
            frame_add(&out, &(struct frame){(uint16_t)(i * 1000), {body, lens[i]}}, pack), 0);
    }
    struct frame_reader reader = {0};
    struct frame frame;
    struct error err = {0};
    size_t i = 0;
    for (size_t at = 0; at < out.len;) {
        size_t len = piece < out.len - at ? piece : out.len - at;
        frame_reader_add(&reader, (struct bytes){out.data + at, len});
        at += len;
        for (int rc; (rc = frame_next(&reader, &frame, &err)) != 0; i++) {
            ck_assert_int_eq(rc, 1);
            seed = i + 1;
            body_make(body, lens[i], repeating);
            ck_assert_uint_eq(frame.type, i * 1000);
            ck_assert_uint_eq(frame.body.len, lens[i]);
            ck_assert(lens[i] == 0 || memcmp(frame.body.data, body, lens[i]) == 0);
        }
    }
    ck_assert_uint_eq(i, n);
    ck_assert_uint_eq(frame_reader_rest(&reader), 0);
    frame_reader_release(&reader);
    frame_buffer_release(&out);
    free(body);
}
END_TEST

START_TEST(what_repeats_gets_small_and_what_does_not_stays)
{
    struct frame_buffer out = {0};
    uint8_t body[10000];
    body_make(body, sizeof(body), true);
    ck_assert_int_eq(frame_add(&out, &(struct frame){1, {body, sizeof(body)}}, true), 0);
    ck_assert_uint_lt(out.len, 500);
    out.len = 0;
    body_make(body, sizeof(body), false);
    ck_assert_int_eq(frame_add(&out, &(struct frame){1, {body, sizeof(body)}}, true), 0);
    ck_assert_uint_eq(out.len, FRAME_HEADER_BYTES + sizeof(body));
    frame_buffer_release(&out);
}
END_TEST

START_TEST(a_body_past_the_limit_is_refused)
{
    struct frame_buffer out = {0};
    uint8_t *body = calloc(1, LIMIT_FRAME_BYTES + 1);
    ck_assert_int_eq(frame_add(&out, &(struct frame){1, {body, LIMIT_FRAME_BYTES + 1}}, true),
                     ERR_LIMIT);
    ck_assert_uint_eq(out.len, 0);
    free(body);
}
END_TEST

enum { SMALL = 3 };

/* Three frames, the second one packed. Where the second and the third begin. */
static void small_make(struct frame_buffer *out, size_t *ret_second, size_t *ret_third)
{
    uint8_t body[300];
    body_make(body, sizeof(body), true);
    ck_assert_int_eq(frame_add(out, &(struct frame){1, {(const uint8_t *)"first", 5}}, true), 0);
    *ret_second = out->len;
    ck_assert_int_eq(frame_add(out, &(struct frame){2, {body, sizeof(body)}}, true), 0);
    *ret_third = out->len;
    ck_assert_uint_lt(*ret_third - *ret_second, sizeof(body));
    ck_assert_int_eq(frame_add(out, &(struct frame){3, {NULL, 0}}, true), 0);
}

/* How many frames there are before it ends; the code it ends with. */
static int read_frames(const uint8_t *data, size_t len, size_t *ret_n, struct error *err)
{
    struct frame_reader reader = {0};
    struct frame frame;
    int rc;
    *err = (struct error){0};
    frame_reader_add(&reader, (struct bytes){data, len});
    for (*ret_n = 0; (rc = frame_next(&reader, &frame, err)) == 1; ++*ret_n)
        ck_assert_uint_eq(frame.type, *ret_n + 1);
    frame_reader_release(&reader);
    return rc;
}

START_TEST(damage_anywhere_costs_that_frame_and_what_follows)
{
    struct frame_buffer out = {0};
    struct error err;
    size_t second, third, n;
    small_make(&out, &second, &third);
    for (size_t at = 0; at < out.len; at++)
        for (int bit = 0; bit < 8; bit++) {
            out.data[at] ^= (uint8_t)(1 << bit);
            int rc = read_frames(out.data, out.len, &n, &err);
            /* A length that has grown may ask for bytes that will never come. */
            ck_assert_int_le(rc, 0);
            ck_assert_uint_eq(n, at < second ? 0 : at < third ? 1 : 2);
            ck_assert(rc == 0 || (err.code == rc && strchr(err.text, '\n') == NULL));
            out.data[at] ^= (uint8_t)(1 << bit);
        }
    for (size_t len = 0; len <= out.len; len++) {
        ck_assert_int_eq(read_frames(out.data, len, &n, &err), 0);
        ck_assert_uint_eq(n, len < second ? 0 : len < third ? 1 : len < out.len ? 2 : SMALL);
    }
    frame_buffer_release(&out);
}
END_TEST

/* A header may promise what it wants: nothing is set aside for it. */
START_TEST(huge_lengths_are_refused_at_once)
{
    static const uint32_t lens[] = {LIMIT_FRAME_BYTES + 1, 1U << 31, UINT32_MAX};
    for (int field = 4; field <= 8; field += 4)
        for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
            struct frame_reader reader = {0};
            struct frame frame;
            struct error err = {0};
            uint8_t header[FRAME_HEADER_BYTES] = {0};
            memcpy(header + field, &lens[i], sizeof(lens[i]));
            frame_reader_add(&reader, (struct bytes){header, sizeof(header)});
            ck_assert_int_eq(frame_next(&reader, &frame, &err), ERR_LIMIT);
            ck_assert_uint_lt(reader.in.max + reader.plain.max, 4096);
            frame_reader_release(&reader);
        }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("frame");
    TCase *tcase = tcase_create("frame");
    tcase_add_loop_test(tcase, what_was_framed_comes_back, 0, 16);
    tcase_add_test(tcase, what_repeats_gets_small_and_what_does_not_stays);
    tcase_add_test(tcase, a_body_past_the_limit_is_refused);
    tcase_add_test(tcase, damage_anywhere_costs_that_frame_and_what_follows);
    tcase_add_test(tcase, huge_lengths_are_refused_at_once);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
