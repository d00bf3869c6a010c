/* Goal: dropping a namespace takes away all that is in it and nothing beside it; it can be tried
 * again, and a store that is in no namespace is never dropped.
 * Method: the same test on every kind of store that has a URI: three stores side by side, each with
 * jobs; one is dropped. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/store.h"

/* The store's URI with that namespace; "": with none. */
static void uri_of(const struct store *s, const char *namespace, char *uri, size_t size)
{
    const char *old = strstr(s->uri, "namespace=");
    int len = old != NULL ? (int)(old - s->uri) - 1 : (int)strlen(s->uri);
    char mark = old != NULL ? old[-1] : '?';
    if (namespace[0] != '\0')
        snprintf(uri, size, "%.*s%cnamespace=%s", len, s->uri, mark, namespace);
    else
        snprintf(uri, size, "%.*s", len, s->uri);
}

static int open_code(const char *uri, unsigned flags, struct datastore **ret_ds)
{
    struct error err = {0};
    return datastore_open(uri, flags, ret_ds, &err);
}

static int drop_code(const char *uri)
{
    struct error err = {0};
    int rc = datastore_drop(uri, &err);
    ck_assert_msg(rc == 0 || err.text[0] != '\0', "%s: %d without a text", uri, rc);
    return rc;
}

static int64_t tail_of(struct datastore *ds)
{
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_LANES_READ, .lanes_read.lane = 0};
    ck_assert_int_eq(datastore_step(ds, &step, &mem, NULL), 0);
    int64_t tail = step.lanes_read.ret_lanes[0].tail;
    arena_release(&mem);
    return tail;
}

static void reserve_in(struct datastore *ds, int64_t count)
{
    struct arena mem = {0};
    struct ds_step step = {.kind = DS_RESERVE, .reserve = {.lane = 0, .count = count}};
    ck_assert_int_eq(datastore_step(ds, &step, &mem, NULL), 0);
    arena_release(&mem);
}

CONTRACT_TEST(a_namespace_is_dropped_and_its_neighbours_are_not, s)
{
    char dropped[400], beside[400], name[64];
    struct datastore *ds = NULL, *other = NULL;
    if (s->uri[0] == '\0')
        return; /* nothing to be named by */
    int64_t first = submit(s, LANE_DEFAULT, 5);
    snprintf(name, sizeof(name), "drop%d", (int)getpid());
    uri_of(s, name, dropped, sizeof(dropped));
    snprintf(name, sizeof(name), "drop%d2", (int)getpid()); /* the longer of two names */
    uri_of(s, name, beside, sizeof(beside));
    ck_assert_int_eq(open_code(dropped, DS_CREATE, &ds), 0);
    ck_assert_int_eq(open_code(beside, DS_CREATE, &other), 0);
    reserve_in(ds, 3);
    reserve_in(other, 7);
    int64_t tail = tail_of(other);
    datastore_close(ds);
    ck_assert_int_eq(drop_code(dropped), 0);
    ck_assert_int_eq(open_code(dropped, 0, &ds), ERR_NOT_FOUND);
    ck_assert_int_eq(drop_code(dropped), 0);

    ck_assert_int_eq(tail_of(other), tail);
    datastore_close(other);
    ck_assert_int_eq(lane_now(s, LANE_DEFAULT).tail, first + 5);
    ck_assert_int_eq(job_now(s, first + 4).state, JOB_QUEUED);
    /* What comes there next is new. */
    ck_assert_int_eq(open_code(dropped, DS_CREATE, &ds), 0);
    ck_assert_int_eq(tail_of(ds), 1);
    datastore_close(ds);
    ck_assert_int_eq(drop_code(dropped), 0);
    ck_assert_int_eq(drop_code(beside), 0);
}

CONTRACT_TEST(what_is_in_no_namespace_is_not_dropped, s)
{
    char uri[400];
    if (s->uri[0] == '\0')
        return;
    int64_t id = submit(s, LANE_DEFAULT, 1);
    uri_of(s, "", uri, sizeof(uri));
    ck_assert_int_eq(drop_code(uri), ERR_INVALID);
    ck_assert_int_eq(job_now(s, id).state, JOB_QUEUED);
}

int main(void)
{
    const TTest *const tests[] = {
        a_namespace_is_dropped_and_its_neighbours_are_not,
        what_is_in_no_namespace_is_not_dropped,
    };
    return contract_main("drop", tests, sizeof(tests) / sizeof(tests[0]));
}
