/* Numbers and times as text (observer/text.h). Pure but for the time zone. */
#include "observer/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "observer/array.h"

char *text_count(char text[TEXT_BYTES], int64_t n)
{
    char digits[32];
    int len = snprintf(digits, sizeof(digits), "%" PRId64, n), at = 0;
    for (int i = 0; i < len; i++) {
        text[at++] = digits[i];
        int left = len - 1 - i;
        if (left > 0 && left % 3 == 0 && digits[i] != '-')
            text[at++] = ',';
    }
    text[at] = '\0';
    return text;
}

char *text_short(char text[TEXT_BYTES], double n)
{
    static const char units[] = " kMGT";
    size_t unit = 0;
    for (; n >= 999.5 && unit + 1 < sizeof(units) - 1; unit++)
        n /= 1000;
    char suffix[2] = {unit > 0 ? units[unit] : '\0', '\0'};
    bool whole = unit == 0 ? n >= 99.5 || n == (double)(int64_t)n : n >= 9.95;
    snprintf(text, TEXT_BYTES, whole ? "%.0f%s" : "%.1f%s", n, suffix);
    return text;
}

char *text_span(char text[TEXT_BYTES], int64_t ms)
{
    int64_t s = ms / 1000;
    if (ms < 0)
        snprintf(text, TEXT_BYTES, "0ms");
    else if (ms < 1000)
        snprintf(text, TEXT_BYTES, "%" PRId64 "ms", ms);
    else if (s < 60)
        snprintf(text, TEXT_BYTES, "%.1fs", (double)ms / 1000);
    else if (s < 3600)
        snprintf(text, TEXT_BYTES, "%" PRId64 "m%02" PRId64 "s", s / 60, s % 60);
    else if (s < 2 * 86400)
        snprintf(text, TEXT_BYTES, "%" PRId64 "h%02" PRId64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(text, TEXT_BYTES, "%" PRId64 "d", s / 86400);
    return text;
}

char *text_clock(char text[TEXT_BYTES], int64_t utc_ms)
{
    time_t seconds = (time_t)(utc_ms / 1000);
    struct tm tm;
    if (utc_ms == 0 || localtime_r(&seconds, &tm) == NULL ||
        strftime(text, TEXT_BYTES, "%H:%M:%S", &tm) == 0)
        snprintf(text, TEXT_BYTES, "-");
    return text;
}

char *text_when(char text[TEXT_BYTES], int64_t utc_ms, int64_t beside_ms)
{
    time_t seconds = (time_t)(utc_ms / 1000), beside = (time_t)(beside_ms / 1000);
    struct tm tm, other;
    if (utc_ms == 0 || beside_ms == 0 || localtime_r(&seconds, &tm) == NULL ||
        localtime_r(&beside, &other) == NULL ||
        (tm.tm_yday == other.tm_yday && tm.tm_year == other.tm_year) ||
        strftime(text, TEXT_BYTES, "%m-%d %H:%M:%S", &tm) == 0)
        return text_clock(text, utc_ms);
    return text;
}

char *text_brief(char text[TEXT_BYTES], int64_t utc_ms, int64_t beside_ms)
{
    text_when(text, utc_ms, beside_ms);
    if (strlen(text) > strlen("00:00:00"))
        text[strlen("00-00")] = '\0';
    return text;
}

char *text_lane(char text[2 * TEXT_BYTES], const struct lane_name *name)
{
    int len = snprintf(text, 2 * TEXT_BYTES, "%s", name->queue);
    if (name->priority != PRIORITY_DEFAULT)
        len += snprintf(text + len, 2 * TEXT_BYTES - (size_t)len, "/%d", name->priority);
    if (name->partition != 0)
        snprintf(text + len, 2 * TEXT_BYTES - (size_t)len, "#%d", name->partition);
    return text;
}

char *text_id(char text[ID_TEXT_BYTES], const struct moment *moment, int64_t id)
{
    size_t at = ARRAY_BELOW(moment->names, moment->n_names, number, id_lane(id));
    if (at < moment->n_names && moment->names[at].number == id_lane(id))
        return id_format(text, moment->names[at].name, id_seq(id));
    snprintf(text, ID_TEXT_BYTES, "%d:%" PRId64, id_lane(id), id_seq(id));
    return text;
}

int64_t text_to_id(const struct moment *moment, const char *text, int32_t lane)
{
    struct lane_name name;
    int64_t first, last;
    if (id_parse(text, &name, &first, &last) < 0)
        return 0;
    for (size_t i = 0; i < moment->n_lanes; i++) {
        const struct moment_lane *other = &moment->lanes[i];
        bool here = strchr(text, ':') == NULL ? other->number == lane
                                              : strcmp(other->name.queue, name.queue) == 0 &&
                                                    other->name.priority == name.priority &&
                                                    other->name.partition == name.partition;
        if (here && first < other->tail)
            return id_make(other->number, first);
    }
    return 0;
}

void text_add(char *text, size_t size, int code)
{
    enum { CONTROLS_END = 0xa0, TWO = 0x80, THREE = 0x800, FOUR = 0x10000, LAST = 0x10ffff };
    static const int lead[] = {0, 0xc0, 0xe0, 0xf0};
    bool shown = (code >= ' ' && code < 127) || (code >= CONTROLS_END && code <= LAST);
    size_t more = code < TWO ? 0 : code < THREE ? 1 : code < FOUR ? 2 : 3, len = strlen(text);
    if (!shown || len + more + 1 >= size)
        return;
    text[len++] = (char)(lead[more] | code >> (6 * more));
    while (more-- > 0)
        text[len++] = (char)(0x80 | (code >> (6 * more) & 0x3f));
    text[len] = '\0';
}
