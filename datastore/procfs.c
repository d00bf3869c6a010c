/* The forms of files in /proc (proc(5)).
 *
 * Fields are counted, not named: a line that has too few, or a number that is none, is no such
 * line. Pure; any thread. */
#include "datastore/procfs.h"

#include <stdlib.h>
#include <string.h>

/* The number at *at, and what stands behind it is skipped. False: there is none. */
static bool number_take(const char **at, int64_t *ret_number)
{
    char *end;
    const char *digit = **at == '-' ? *at + 1 : *at;
    if (*digit < '0' || *digit > '9')
        return false;
    *ret_number = strtoll(*at, &end, 10);
    *at = end;
    return true;
}

bool proc_stat_parse(const char *line, struct proc_stat *ret_stat)
{
    enum { PARENT = 4, GROUP = 5, USER = 14, SYSTEM = 15, START = 22 };
    int64_t field[START + 1];
    /* The name in parentheses may hold anything: fields are counted from the last one. */
    const char *at = strrchr(line, ')');
    if (at == NULL || at[1] != ' ' || at[2] == '\0')
        return false;
    char state = at[2];
    at += 3;
    for (int i = PARENT; i <= START; i++)
        if (*at++ != ' ' || !number_take(&at, &field[i]))
            return false;
    int64_t cpu_ticks;
    if (__builtin_add_overflow(field[USER], field[SYSTEM], &cpu_ticks))
        return false;
    *ret_stat = (struct proc_stat){.state = state,
                                   .parent = field[PARENT],
                                   .group = field[GROUP],
                                   .cpu_ticks = cpu_ticks,
                                   .start = field[START]};
    return true;
}

/* Goes past that word and the spaces around it. */
static bool word_skip(const char **at, const char *word)
{
    size_t len = strlen(word);
    *at += strspn(*at, " ");
    if (strncmp(*at, word, len) != 0)
        return false;
    *at += len;
    *at += strspn(*at, " ");
    return true;
}

bool proc_lock_parse(const char *line, int64_t *ret_pid, uint64_t *ret_inode)
{
    /* "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF"; waiters have "->" after the colon. */
    static const char hex[] = "0123456789abcdef";
    const char *at = line + strspn(line, "0123456789");
    int64_t pid, inode;
    if (at == line || !word_skip(&at, ":") || !word_skip(&at, "FLOCK") ||
        !word_skip(&at, "ADVISORY") || !word_skip(&at, "WRITE") || !number_take(&at, &pid) ||
        pid <= 0 || *at != ' ')
        return false;
    for (int part = 0; part < 2; part++) { /* of the device */
        at += 1 + strspn(at + 1, hex);
        if (*at != ':')
            return false;
    }
    at++;
    if (!number_take(&at, &inode) || inode < 0)
        return false;
    *ret_pid = pid;
    *ret_inode = (uint64_t)inode;
    return true;
}

int64_t proc_child_next(const char **at)
{
    char *end;
    int64_t pid = strtoll(*at, &end, 10);
    if (end == *at || *end == '\0' || pid <= 0 || pid > INT32_MAX)
        return 0;
    *at = end;
    return pid;
}
