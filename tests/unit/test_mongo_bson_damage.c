/* Goal: a document that is no such record is told as damaged, with nothing set, and never read past
 * its end; what a newer program added is passed over.
 * Method: each field of another type; every truncation and every flipped bit; thousands of
 * documents with several bytes changed at random; each in memory of its own, for ASan. */
#include "tests/support/docs.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/error.h"

enum { SMASHED_DOCS = 20000, SMASHED_BYTES_MAX = 4 };

static struct arena mem;

static void setup(void)
{
    mem = (struct arena){0};
}

static void teardown(void)
{
    arena_release(&mem);
}

static const double no_numbers[] = {1.5, 1e300, -1e300, (double)INT32_MAX + 1.0, NAN, INFINITY};

START_TEST(what_is_no_such_number_is_damage)
{
    bson_t *queue = BCON_NEW("_id", BCON_UTF8("q"), "weight", BCON_DOUBLE(no_numbers[_i]));
    bson_t *job = BCON_NEW("_id", BCON_INT64(1), "run", BCON_DOUBLE(no_numbers[_i]));
    ck_assert_int_eq(read_as(QUEUE, queue, &mem), ERR_CORRUPT);
    ck_assert_int_eq(read_as(JOB, job, &mem), ERR_CORRUPT);
    bson_destroy(queue);
    bson_destroy(job);
}
END_TEST

START_TEST(fields_of_tomorrow_are_passed_over)
{
    bson_t docs[RECORDS];
    docs_make(docs, &mem);
    for (int record = 0; record < RECORDS; record++) {
        bson_append_regex(&docs[record], "tomorrow", -1, "x", "");
        ck_assert_int_eq(read_as(record, &docs[record], &mem), 0);
    }
    docs_destroy(docs);
}
END_TEST

/* Looked at by the server or nobody, or (a chunk) by another reader than the record's. */
static bool read_by_none(int record, const char *key)
{
    static const struct {
        int record;
        const char *key;
    } unread[] = {{META, "_id"}, {META, "lane_next"}, {NODE, "live"}, {JOB, "chunk"}};
    for (size_t i = 0; i < sizeof(unread) / sizeof(unread[0]); i++)
        if (unread[i].record == record && strcmp(unread[i].key, key) == 0)
            return true;
    return false;
}

/* The document with one field of another type, to be destroyed. */
static bson_t *retyped(const bson_t *doc, const char *key)
{
    bson_t *other = bson_new();
    bson_iter_t at;
    ck_assert(bson_iter_init(&at, doc));
    while (bson_iter_next(&at))
        if (strcmp(bson_iter_key(&at), key) == 0)
            bson_append_regex(other, key, -1, "x", "");
        else
            bson_append_iter(other, NULL, -1, &at);
    return other;
}

START_TEST(a_field_of_another_type_is_damage)
{
    bson_t docs[RECORDS];
    docs_make(docs, &mem);
    for (int record = 0; record < RECORDS; record++) {
        bson_iter_t at;
        ck_assert(bson_iter_init(&at, &docs[record]));
        while (bson_iter_next(&at)) {
            bson_t *other = retyped(&docs[record], bson_iter_key(&at));
            int want = read_by_none(record, bson_iter_key(&at)) ? 0 : ERR_CORRUPT;
            int rc = read_as(record, other, &mem);
            ck_assert_msg(rc == want, "record %d, %s: %d", record, bson_iter_key(&at), rc);
            bson_destroy(other);
        }
    }
    docs_destroy(docs);
}
END_TEST

START_TEST(what_is_no_such_record_is_damage)
{
    const struct {
        int record;
        bson_t *doc;
    } docs[] = {
        {META, bson_new()},
        {META, BCON_NEW("schema", BCON_INT64(0))},
        {LANE, BCON_NEW("_id", BCON_INT64(LIMIT_LANES))},
        {LANE, BCON_NEW("_id", BCON_INT64(-1))},
        {LANE, BCON_NEW("types", "[", BCON_INT64(1), "]")},
        {LANE, BCON_NEW("pool", "[", "{", "a", BCON_UTF8("x"), "}", "]")},
        {LANE, BCON_NEW("entries", "{", "17", "{", "}", "}")},
        {LANE, BCON_NEW("entries", "{", "n", "{", "}", "}")},
        {LANE, BCON_NEW("entries", "{", "n0", "{", "}", "}")},
        {LANE, BCON_NEW("entries", "{", "n-1", "{", "}", "}")},
        {LANE, BCON_NEW("entries", "{", "n1x", "{", "}", "}")},
        {LANE, BCON_NEW("entries", "{", "n1", BCON_INT64(1), "}")},
        {LANE, BCON_NEW("entries", "{", "n1", "{", "g", BCON_UTF8("x"), "}", "}")},
        {NODE, bson_new()},
        {NODE, BCON_NEW("_id", BCON_INT64(1))},
        {NODE, BCON_NEW("_id", BCON_INT64(1), "state", BCON_UTF8("no such"))},
        {NODE, BCON_NEW("_id", BCON_INT64(0), "state", BCON_UTF8("dead"))},
        {NODE, BCON_NEW("_id", BCON_INT64(1), "state", BCON_UTF8("dead"), "desired",
                        BCON_UTF8("no such"))},
        {JOB, bson_new()},
        {JOB, BCON_NEW("_id", BCON_INT64(0))},
        {JOB, BCON_NEW("_id", BCON_INT64(1), "state", BCON_UTF8("no such"))},
        {JOB, BCON_NEW("_id", BCON_INT64(1), "run", BCON_INT64(-1))},
        {CHUNK, BCON_NEW("chunk", "{", "}")},
        {CHUNK, BCON_NEW("chunk", "{", "submit", BCON_UTF8("s"), "count", BCON_INT64(0), "}")},
        {CHUNK, BCON_NEW("chunk", "{", "count", BCON_INT64(1), "}")},
    };
    for (size_t i = 0; i < sizeof(docs) / sizeof(docs[0]); i++) {
        int rc = read_as(docs[i].record, docs[i].doc, &mem);
        ck_assert_msg(rc == ERR_CORRUPT, "%zu: %d", i, rc);
        bson_destroy(docs[i].doc);
    }
}
END_TEST

/* Somebody cleared a field by hand: whoever compares or prints the type finds a text. */
START_TEST(a_job_without_a_type_has_an_empty_one)
{
    bson_t *doc = BCON_NEW("_id", BCON_INT64(1), "state", BCON_UTF8("queued"));
    struct job_texts texts = {0};
    struct job job;
    ck_assert_int_eq(job_from_doc(doc, &mem, &texts, &job), 0);
    ck_assert_str_eq(job.type, "");
    bson_destroy(doc);
}
END_TEST

/* ---- damage --------------------------------------------------------------------------------- */

/* Reads these bytes as every record; how many refused. */
static int refused(const uint8_t *data, size_t len)
{
    uint8_t *own = malloc(len + 1);
    struct arena scratch = {0};
    bson_t doc;
    int n = 0;
    ck_assert_ptr_nonnull(own);
    memcpy(own, data, len);
    if (bson_init_static(&doc, own, len))
        for (int record = 0; record < READERS; record++)
            n += read_as(record, &doc, &scratch) != 0;
    else
        n = READERS; /* as the driver does */
    arena_release(&scratch);
    free(own);
    return n;
}

START_TEST(a_flipped_byte_is_refused_or_read)
{
    bson_t docs[RECORDS];
    docs_make(docs, &mem);
    for (int record = 0; record < RECORDS; record++) {
        uint8_t *data = arena_copy(&mem, bson_get_data(&docs[record]), docs[record].len);
        for (size_t at = 0; at < docs[record].len; at++)
            for (int bit = 0; bit < 8; bit++) {
                data[at] ^= (uint8_t)(1 << bit);
                (void)refused(data, docs[record].len);
                data[at] ^= (uint8_t)(1 << bit);
            }
    }
    docs_destroy(docs);
}
END_TEST

/* Cut in the middle, with the length and the end of a whole document. */
START_TEST(a_cut_document_is_refused)
{
    bson_t docs[RECORDS];
    docs_make(docs, &mem);
    for (int record = 0; record < RECORDS; record++) {
        bson_iter_t at;
        size_t boundary = 4;
        bool whole[2048] = {[4] = true}; /* between two fields */
        ck_assert(bson_iter_init(&at, &docs[record]));
        while (bson_iter_next(&at))
            whole[boundary = at.next_off] = true;
        ck_assert_uint_lt(boundary, sizeof(whole));
        uint8_t *data = arena_copy(&mem, bson_get_data(&docs[record]), docs[record].len);
        for (uint32_t len = docs[record].len - 1; len > 5; len--) {
            uint32_t le = BSON_UINT32_TO_LE(len);
            bson_t cut;
            uint8_t *own = malloc(len);
            ck_assert_ptr_nonnull(own);
            memcpy(own, data, len);
            memcpy(own, &le, sizeof(le));
            own[len - 1] = 0;
            ck_assert(bson_init_static(&cut, own, len));
            int rc = read_as(record, &cut, &mem);
            ck_assert_msg(rc == ERR_CORRUPT || whole[len - 1], "record %d of %u bytes", record,
                          len);
            free(own);
        }
    }
    docs_destroy(docs);
}
END_TEST

START_TEST(a_smashed_document_is_refused_or_read)
{
    bson_t docs[RECORDS];
    unsigned seed = 20240229;
    int n_refused = 0;
    docs_make(docs, &mem);
    for (int i = 0; i < SMASHED_DOCS; i++) {
        const bson_t *doc = &docs[rand_r(&seed) % RECORDS];
        uint8_t *data = malloc(doc->len);
        ck_assert_ptr_nonnull(data);
        memcpy(data, bson_get_data(doc), doc->len);
        for (int n = 1 + rand_r(&seed) % SMASHED_BYTES_MAX; n > 0; n--)
            data[4 + (size_t)rand_r(&seed) % (doc->len - 5)] = (uint8_t)rand_r(&seed);
        n_refused += refused(data, doc->len);
        free(data);
    }
    ck_assert_int_gt(n_refused, SMASHED_DOCS);
    docs_destroy(docs);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("mongo_bson_damage");
    TCase *tcase = tcase_create("mongo_bson_damage");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, what_is_no_such_number_is_damage, 0,
                        sizeof(no_numbers) / sizeof(no_numbers[0]));
    tcase_add_test(tcase, fields_of_tomorrow_are_passed_over);
    tcase_add_test(tcase, a_field_of_another_type_is_damage);
    tcase_add_test(tcase, what_is_no_such_record_is_damage);
    tcase_add_test(tcase, a_job_without_a_type_has_an_empty_one);
    tcase_add_test(tcase, a_flipped_byte_is_refused_or_read);
    tcase_add_test(tcase, a_cut_document_is_refused);
    tcase_add_test(tcase, a_smashed_document_is_refused_or_read);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
