/* Ids as people write them. Pure; any thread. */
#include "datastore/id.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datastore/error.h"

bool name_valid(const char *name)
{
    size_t len = strlen(name);
    return len >= 1 && len <= LIMIT_NAME_BYTES && name[0] != '-' &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

char *id_format(char text[ID_TEXT_BYTES], const struct lane_name *lane, int64_t seq)
{
    bool plain_queue = strcmp(lane->queue, QUEUE_DEFAULT) == 0;
    char priority[16] = "", partition[16] = "";
    if (lane->priority != PRIORITY_DEFAULT)
        snprintf(priority, sizeof(priority), "/%" PRId32, lane->priority);
    if (lane->partition != 0)
        snprintf(partition, sizeof(partition), "#%" PRId32, lane->partition);
    if (plain_queue && priority[0] == '\0' && partition[0] == '\0')
        snprintf(text, ID_TEXT_BYTES, "%" PRId64, seq);
    else
        snprintf(text, ID_TEXT_BYTES, "%s%s%s:%" PRId64, lane->queue, priority, partition, seq);
    return text;
}

/* Reads digits only (no sign, no space) up to `max`; moves *at past them. */
static int number_take(const char **at, int64_t max, int64_t *ret_value)
{
    int64_t value = 0;
    const char *p = *at;
    if (*p < '0' || *p > '9')
        return ERR_INVALID;
    for (; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (*p - '0');
        if (value > max)
            return ERR_INVALID;
    }
    *at = p;
    *ret_value = value;
    return 0;
}

/* "queue[/priority][#partition]" in text[0..len) */
static int lane_name_parse(const char *text, size_t len, struct lane_name *ret_lane)
{
    size_t name_len = strcspn(text, "/#:");
    if (name_len > LIMIT_NAME_BYTES || name_len > len)
        return ERR_INVALID;
    struct lane_name lane = {.priority = PRIORITY_DEFAULT};
    memcpy(lane.queue, text, name_len);
    if (!name_valid(lane.queue))
        return ERR_INVALID;
    const char *at = text + name_len;
    int64_t value;
    if (*at == '/') {
        at++;
        if (number_take(&at, LIMIT_PRIORITIES - 1, &value) < 0)
            return ERR_INVALID;
        lane.priority = (int32_t)value;
    }
    if (*at == '#') {
        at++;
        if (number_take(&at, LIMIT_LANES, &value) < 0 || value == 0)
            return ERR_INVALID;
        lane.partition = (int32_t)value;
    }
    if (at != text + len)
        return ERR_INVALID;
    *ret_lane = lane;
    return 0;
}

int id_parse(const char *text, struct lane_name *ret_lane, int64_t *ret_first, int64_t *ret_last)
{
    struct lane_name lane = {.queue = QUEUE_DEFAULT, .priority = PRIORITY_DEFAULT};
    const char *colon = strchr(text, ':');
    if (colon != NULL && lane_name_parse(text, (size_t)(colon - text), &lane) < 0)
        return ERR_INVALID;
    const char *at = colon != NULL ? colon + 1 : text;
    int64_t first, last;
    if (number_take(&at, ID_SEQ_MAX, &first) < 0 || first == 0)
        return ERR_INVALID;
    last = first;
    if (*at == '-') {
        at++;
        if (number_take(&at, ID_SEQ_MAX, &last) < 0 || last < first)
            return ERR_INVALID;
    }
    if (*at != '\0')
        return ERR_INVALID;
    *ret_lane = lane;
    *ret_first = first;
    *ret_last = last;
    return 0;
}
