/* Goal: the small texts that people, configurations and the kernel give: what is accepted comes
 * back the same from what is printed of it, and nothing else is accepted.
 * Method: the first byte chooses the kind of text. */
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>

#include "cli/submit.h"
#include "datastore/doorbell.h"
#include "datastore/procfs.h"

static bool only(const char *text, const char *characters)
{
    return text[strspn(text, characters)] == '\0';
}

static bool same_lane(const struct lane_name *a, const struct lane_name *b)
{
    return strcmp(a->queue, b->queue) == 0 && a->priority == b->priority &&
           a->partition == b->partition;
}

static void id_look(const char *text)
{
    struct lane_name lane, again;
    int64_t first, last, a, b;
    char shown[2 * ID_TEXT_BYTES];
    int rc = id_parse(text, &lane, &first, &last);
    REQUIRE(rc == 0 || rc == ERR_INVALID);
    if (rc != 0)
        return;
    REQUIRE(first >= 1 && first <= last && last <= ID_SEQ_MAX);
    REQUIRE(name_valid(lane.queue) && lane.priority >= 0 && lane.priority < LIMIT_PRIORITIES);
    REQUIRE(lane.partition >= 0 && lane.partition <= LIMIT_LANES);
    (void)id_make(LIMIT_LANES - 1, last); /* asserts */
    id_format(shown, &lane, first);
    REQUIRE(id_parse(shown, &again, &a, &b) == 0);
    REQUIRE(same_lane(&lane, &again) && a == first && b == first);
    snprintf(shown + strlen(shown), ID_TEXT_BYTES, "-%" PRId64, last);
    REQUIRE(id_parse(shown, &again, &a, &b) == 0);
    REQUIRE(same_lane(&lane, &again) && a == first && b == last);
}

static void name_look(const char *text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(text);
    bool good = len >= 1 && len <= LIMIT_NAME_BYTES && text[0] != '-' && only(text, letters);
    REQUIRE(name_valid(text) == good);
    int node = node_state_parse(text), job = job_state_parse(text);
    REQUIRE(node < 0 || strcmp(node_state_name((enum node_state)node), text) == 0);
    REQUIRE(job < 0 || strcmp(job_state_name((enum job_state)job), text) == 0);
}

static void number_look(const char *text)
{
    int64_t value = -7, again;
    char shown[32];
    int rc = number_parse(text, 0, INT64_MAX, &value);
    REQUIRE(rc == 0 || (rc == ERR_INVALID && value == -7));
    if (rc != 0)
        return;
    snprintf(shown, sizeof(shown), "%" PRId64, value);
    REQUIRE(only(text, "0123456789"));
    REQUIRE(number_parse(shown, value, value, &again) == 0 && again == value);
    REQUIRE(value == 0 || number_parse(shown, 0, value - 1, &again) == ERR_INVALID);
    REQUIRE(value == INT64_MAX || number_parse(shown, value + 1, INT64_MAX, &again) < 0);
}

static void duration_look(const char *text)
{
    int64_t ms, again;
    char shown[32];
    int rc = duration_parse(text, &ms);
    REQUIRE(rc == 0 || rc == ERR_INVALID);
    if (rc != 0)
        return;
    REQUIRE(ms >= 0 && ms <= DURATION_MS_MAX);
    snprintf(shown, sizeof(shown), "%" PRId64 ".%03ds", ms / 1000, (int)(ms % 1000));
    REQUIRE(duration_parse(shown, &again) == 0 && again == ms);
}

static void setting_look(const char *text)
{
    struct error err = {0};
    struct job_limit limit;
    const char *equals = strchr(text, '=');
    int rc = rlimit_parse(text, &limit, &err);
    if (rc != 0)
        require_told(rc, &err);
    else
        REQUIRE(limit.resource >= 0 && limit.resource < 16 && equals != NULL &&
                strtoull(equals + 1, NULL, 10) == limit.value);
    err = (struct error){0};
    rc = env_check(text, strlen(text), &err);
    REQUIRE((rc == 0) == (equals != NULL && equals != text));
    if (rc != 0)
        require_told(rc, &err);
}

static void doorbell_look(const char *text)
{
    if (!doorbell_address_valid(text))
        return;
    const char *slash = strchr(text, '/');
    REQUIRE(strlen(text) < DOORBELL_ADDRESS_BYTES && only(text, "[]:.0123456789abcdefABCDEF/"));
    REQUIRE(slash != NULL && strlen(slash + 1) == DOORBELL_SECRET_BYTES);
    REQUIRE(strncmp(text, "0.0.0.0:", 8) != 0 && strncmp(text, "255.255.255.255:", 16) != 0);
}

/* ---- /proc ----------------------------------------------------------------------------------- */

static void stat_look(const char *text)
{
    struct proc_stat stat = {.start = -7};
    if (!proc_stat_parse(text, &stat))
        REQUIRE(stat.start == -7);
}

/* A process may call itself anything. */
static void stat_named(struct bytes input)
{
    struct proc_stat stat;
    int32_t parent = (int32_t)take_number(&input), group = (int32_t)take_number(&input);
    int64_t ticks = take_number(&input) >> 2, start = take_number(&input);
    char *name = take_rest(&input), *line = NULL;
    REQUIRE(asprintf(&line,
                     "12 (%s) S %d %d 1 0 -1 4194304 102 0 0 0 %" PRId64 " %" PRId64
                     " 0 0 20 0 1 0 %" PRId64 " 3133440 412 18446744073709551615 0\n",
                     name, parent, group, ticks, ticks, start) > 0);
    REQUIRE(proc_stat_parse(line, &stat));
    REQUIRE(stat.state == 'S' && stat.parent == parent && stat.group == group);
    REQUIRE(stat.cpu_ticks == 2 * ticks && stat.start == start);
    free(line);
    free(name);
}

static void lock_look(const char *text)
{
    int64_t pid, pid_again;
    uint64_t inode, inode_again;
    char line[128];
    if (!proc_lock_parse(text, &pid, &inode))
        return;
    REQUIRE(pid > 0);
    snprintf(line, sizeof(line), "1: FLOCK  ADVISORY  WRITE %" PRId64 " fe:00:%" PRIu64 " 0 EOF\n",
             pid, inode);
    REQUIRE(proc_lock_parse(line, &pid_again, &inode_again));
    REQUIRE(pid == pid_again && inode == inode_again);
}

static void children_look(const char *text)
{
    const char *at = text;
    size_t n = 0;
    for (int64_t pid; (pid = proc_child_next(&at)) != 0; n++)
        REQUIRE(pid > 0 && pid <= INT32_MAX && at > text && *at != '\0' && n < strlen(text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const looks[])(const char *) = {
        id_look,       name_look, number_look, duration_look, setting_look,
        doorbell_look, stat_look, lock_look,   children_look,
    };
    enum { LOOKS = sizeof(looks) / sizeof(looks[0]) };
    struct bytes input = {data, size};
    size_t kind = take_byte(&input) % (LOOKS + 1);
    if (kind == LOOKS) {
        stat_named(input);
    } else {
        char *text = take_rest(&input);
        looks[kind](text);
        free(text);
    }
    return 0;
}
