/* The memory datastore's append-only records: finished ranges and nodes' history.
 * Thread: the caller's, under the store's lock. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "datastore/memory_store.h"

/* ---- finished ranges ------------------------------------------------------------------------ */

static void stint_add(struct keyed_array *stints, const struct stint_row *row)
{
    size_t at = keyed_at(stints, row->range.a);
    for (; at < stints->n && stints->items[at]->key == row->range.a; at++) {
        const struct stint_row *old = &((const struct stint_record *)stints->items[at])->row;
        if (old->range.b == row->range.b && old->node == row->node)
            return;
    }
    struct stint_record *record = calloc(1, sizeof(*record));
    assert(record != NULL);
    record->keyed.key = row->range.a;
    record->row = *row;
    keyed_insert(stints, at, &record->keyed);
}

int memory_stints_add(struct memory_call *call)
{
    const struct ds_stints_add *add = &call->step->stints_add;
    for (size_t i = 0; i < add->n; i++)
        if (add->rows[i].range.a < 1 || add->rows[i].range.a >= add->rows[i].range.b)
            return ERR_INVALID;
    if (add->part != STINTS_BOTH && call->store->meta.copying[0] == '\0')
        return ERR_CONFLICT;
    if (add->part == STINTS_TOTALS)
        return 0; /* the rows are summed up when somebody asks */
    for (size_t i = 0; i < add->n; i++)
        stint_add(&call->store->stints, &add->rows[i]);
    return 0;
}

static void totals_add(struct stint_row *total, const struct stint_row *row)
{
    if (row->range.b > total->range.b)
        total->range.b = row->range.b;
    total->done += row->done;
    total->failed += row->failed;
    total->cancelled += row->cancelled;
    if (row->first_start_ms != 0 &&
        (total->first_start_ms == 0 || row->first_start_ms < total->first_start_ms))
        total->first_start_ms = row->first_start_ms;
    if (row->last_finish_ms > total->last_finish_ms)
        total->last_finish_ms = row->last_finish_ms;
}

int memory_stints_read(struct memory_call *call)
{
    struct ds_stints_read *read = &call->step->stints_read;
    const struct keyed_array *stints = &call->store->stints;
    if (read->rows_max < 1)
        return ERR_INVALID;
    size_t from = keyed_at(stints, read->after_id + 1), until = stints->n;
    if (!read->totals_only && read->before_id != 0)
        until = keyed_at(stints, read->before_id);
    bool down = read->newest_first && !read->totals_only;
    size_t left = until > from ? until - from : 0, most = left;
    most = most < read->rows_max ? most : read->rows_max;
    struct stint_row *rows = arena_alloc(call->mem, (most + 1) * sizeof(*rows));
    size_t n = 0;
    for (size_t i = 0; i < left; i++) {
        size_t at = down ? until - 1 - i : from + i;
        const struct stint_row *row = &((const struct stint_record *)stints->items[at])->row;
        int32_t lane = id_lane(row->range.a);
        if (read->lane >= 0 && lane != read->lane)
            continue;
        if (read->totals_only && n > 0 && id_lane(rows[n - 1].range.a) == lane) {
            totals_add(&rows[n - 1], row);
            continue;
        }
        if (n == read->rows_max)
            break;
        rows[n] = *row;
        if (read->totals_only)
            rows[n].node = 0;
        n++;
    }
    read->ret_rows = rows;
    read->ret_n = n;
    return 0;
}

/* ---- history -------------------------------------------------------------------------------- */

static struct history_list *history_list_of(struct keyed_array *history, int64_t node)
{
    size_t at = keyed_at(history, node);
    if (at < history->n && history->items[at]->key == node)
        return (struct history_list *)history->items[at];
    struct history_list *list = calloc(1, sizeof(*list));
    assert(list != NULL);
    list->keyed.key = node;
    keyed_insert(history, at, &list->keyed);
    return list;
}

static void history_add(struct history_list *list, const struct history_row *row)
{
    size_t at = keyed_at(&list->versions, row->seq);
    if (at < list->versions.n && list->versions.items[at]->key == row->seq)
        return;
    struct history_record *record = calloc(1, sizeof(*record) + row->body.len);
    assert(record != NULL);
    record->keyed.key = row->seq;
    record->row = *row;
    record->row.body.data = record->body;
    if (row->body.len > 0)
        memcpy(record->body, row->body.data, row->body.len);
    keyed_insert(&list->versions, at, &record->keyed);
}

static void history_thin(struct history_list *list, int64_t thin_before_ms, int64_t drop_before_ms)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->versions.n; i++) {
        struct history_record *record = (struct history_record *)list->versions.items[i];
        const struct history_row *row = &record->row;
        if (row->at_ms < drop_before_ms || (!row->whole && row->at_ms < thin_before_ms))
            free(record);
        else
            list->versions.items[kept++] = &record->keyed;
    }
    list->versions.n = kept;
}

void memory_history_drop(struct memory_store *store, int64_t node)
{
    history_thin(history_list_of(&store->history, node), INT64_MAX, INT64_MAX);
}

int memory_history_add(struct memory_call *call)
{
    const struct ds_history_add *add = &call->step->history_add;
    struct keyed_array *history = &call->store->history;
    for (size_t i = 0; i < add->n; i++)
        history_add(history_list_of(history, add->rows[i].node), &add->rows[i]);
    for (size_t i = 0; i < add->n; i++)
        if (i == 0 || add->rows[i].node != add->rows[i - 1].node)
            history_thin(history_list_of(history, add->rows[i].node), add->thin_before_ms,
                         add->drop_before_ms);
    return 0;
}

/* The numbers that a stretch of time comes to (datastore.h): from *from on, below *until. */
static void history_stretch(const struct history_list *list, const struct ds_history_read *read,
                            int64_t *from, int64_t *until)
{
    *from = 0;
    *until = INT64_MAX;
    for (size_t i = 0; i < list->versions.n; i++) {
        const struct history_row *row =
            &((const struct history_record *)list->versions.items[i])->row;
        if (!row->whole)
            continue;
        if (read->from_ms != 0 && row->at_ms <= read->from_ms)
            *from = row->seq;
        if (read->until_ms != 0 && row->at_ms >= read->until_ms && row->seq < *until)
            *until = row->seq;
    }
}

int memory_history_read(struct memory_call *call)
{
    struct ds_history_read *read = &call->step->history_read;
    const struct keyed_array *history = &call->store->history;
    if (!ds_history_read_valid(read))
        return ERR_INVALID;
    size_t n = 0, most = 0;
    for (size_t i = 0; i < history->n; i++)
        most += ((const struct history_list *)history->items[i])->versions.n;
    most = most < read->rows_max ? most : read->rows_max;
    read->ret_rows = arena_alloc(call->mem, most * sizeof(*read->ret_rows));
    for (size_t i = 0; i < history->n; i++) {
        const struct history_list *list = (const struct history_list *)history->items[i];
        if (read->node != 0 ? list->keyed.key != read->node : list->keyed.key <= read->after_node)
            continue;
        int64_t from, until;
        history_stretch(list, read, &from, &until);
        from = from > read->after_seq ? from : read->after_seq + 1;
        for (size_t at = keyed_at(&list->versions, from); at < list->versions.n && n < most; at++) {
            const struct history_record *record =
                (const struct history_record *)list->versions.items[at];
            if (record->row.seq >= until)
                break;
            read->ret_rows[n] = record->row;
            read->ret_rows[n++].body = arena_bytes(call->mem, record->row.body);
        }
    }
    read->ret_n = n;
    return 0;
}

void memory_logs_clear(struct memory_store *store)
{
    for (size_t i = 0; i < store->stints.n; i++)
        free(store->stints.items[i]);
    free(store->stints.items);
    for (size_t i = 0; i < store->history.n; i++) {
        struct history_list *list = (struct history_list *)store->history.items[i];
        for (size_t at = 0; at < list->versions.n; at++)
            free(list->versions.items[at]);
        free(list->versions.items);
        free(list);
    }
    free(store->history.items);
}
