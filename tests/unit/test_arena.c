/* Goal: what an arena hands out is aligned, zeroed or copied, does not move or overlap, and is all
 * freed by one release (AddressSanitizer and LeakSanitizer watch).
 * Method: many allocations of mixed sizes, each filled and looked at again at the end. */
#include "datastore/arena.h"

#include <check.h>
#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

START_TEST(allocations_are_zeroed_aligned_and_apart)
{
    enum { N = 2000 };
    static unsigned char *at[N];
    static size_t size[N];
    struct arena arena = {0};
    for (size_t i = 0; i < N; i++) {
        size[i] = i * i % 997; /* 0 among them */
        at[i] = arena_alloc(&arena, size[i]);
        ck_assert_ptr_nonnull(at[i]);
        ck_assert_uint_eq((uintptr_t)at[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < size[i]; k++)
            ck_assert_uint_eq(at[i][k], 0);
        memset(at[i], (int)(i % 251), size[i]);
    }
    for (size_t i = 0; i < N; i++)
        for (size_t k = 0; k < size[i]; k++)
            ck_assert_uint_eq(at[i][k], i % 251);
    arena_release(&arena);
}
END_TEST

START_TEST(an_allocation_may_be_larger_than_a_block)
{
    struct arena arena = {0};
    unsigned char *small = arena_alloc(&arena, 10);
    unsigned char *large = arena_alloc(&arena, 3 << 20);
    unsigned char *after = arena_alloc(&arena, 10);
    memset(small, 1, 10);
    memset(large, 2, 3 << 20);
    memset(after, 3, 10);
    ck_assert(small[9] == 1 && large[0] == 2 && large[(3 << 20) - 1] == 2 && after[0] == 3);
    ck_assert_uint_ge(arena.bytes, 3 << 20);
    arena_release(&arena);
}
END_TEST

START_TEST(copies_are_copies)
{
    struct arena arena = {0};
    char text[] = "stint";
    char *copy = arena_string(&arena, text);
    char *part = arena_string_n(&arena, text, 3);
    struct bytes bytes = arena_bytes(&arena, (struct bytes){(uint8_t *)text, 4});
    memset(text, 'x', sizeof(text) - 1);
    ck_assert_str_eq(copy, "stint");
    ck_assert_str_eq(part, "sti");
    ck_assert_uint_eq(bytes.len, 4);
    ck_assert(memcmp(bytes.data, "stin", 4) == 0);
    ck_assert_ptr_null(arena_string(&arena, NULL));
    ck_assert_str_eq(arena_string_n(&arena, NULL, 0), "");
    ck_assert_ptr_null(arena_bytes(&arena, (struct bytes){0}).data);
    ck_assert_ptr_nonnull(arena_copy(&arena, NULL, 0));
    arena_release(&arena);
}
END_TEST

START_TEST(an_array_grows_and_keeps_what_it_has)
{
    struct arena arena = {0};
    size_t capacity = 0, moved = 0;
    int64_t *numbers = NULL;
    for (size_t n = 0; n < 1000; n++) {
        int64_t *grown = arena_grow(&arena, numbers, n, &capacity, sizeof(*numbers));
        ck_assert_uint_gt(capacity, n);
        moved += grown != numbers;
        numbers = grown;
        numbers[n] = (int64_t)n;
    }
    for (size_t n = 0; n < 1000; n++)
        ck_assert_int_eq(numbers[n], (int64_t)n);
    ck_assert_uint_lt(moved, 10);
    arena_release(&arena);
}
END_TEST

START_TEST(a_released_arena_is_empty_and_usable)
{
    struct arena arena = {0};
    arena_release(&arena);
    for (int round = 0; round < 3; round++) {
        ck_assert_ptr_nonnull(arena_alloc(&arena, 100));
        ck_assert_uint_ge(arena.bytes, 100);
        arena_release(&arena);
        ck_assert_ptr_null(arena.head);
        ck_assert_uint_eq(arena.bytes, 0);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("arena");
    TCase *tcase = tcase_create("arena");
    tcase_add_test(tcase, allocations_are_zeroed_aligned_and_apart);
    tcase_add_test(tcase, an_allocation_may_be_larger_than_a_block);
    tcase_add_test(tcase, copies_are_copies);
    tcase_add_test(tcase, an_array_grows_and_keeps_what_it_has);
    tcase_add_test(tcase, a_released_arena_is_empty_and_usable);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
