/* Process identity from /proc: boot id, pid namespace, pid and start time tell one process from
 * every other, before and after a restart. Blocking but quick reads; any thread. */
#define _GNU_SOURCE
#include "node/host.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datastore/procfs.h"

void host_name(char ret_name[LIMIT_NAME_BYTES + 1])
{
    char raw[256] = "";
    if (gethostname(raw, sizeof(raw) - 1) != 0)
        raw[0] = '\0';
    size_t n = 0;
    for (const char *p = raw; *p != '\0' && n < LIMIT_NAME_BYTES; p++) {
        char one[2] = {*p, '\0'};
        bool fits = *p == '-' ? n > 0 : name_valid(one);
        ret_name[n++] = fits ? *p : '_';
    }
    ret_name[n] = '\0';
    if (n == 0)
        snprintf(ret_name, LIMIT_NAME_BYTES + 1, "node");
}

/* Start of a process in clock ticks since boot, from its `stat`; 0 for a zombie, which does nothing
 * any more; -1 when it cannot be read. */
static int64_t stat_start(const char *path)
{
    char text[1024];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    struct proc_stat stat;
    if (!proc_stat_parse(text, &stat))
        return -1;
    return stat.state == 'Z' || stat.state == 'X' ? 0 : stat.start;
}

/* Does /proc show this process's own pid namespace? In one made by `unshare --pid` it may still be
 * the outer one, and its numbers are those of other processes. */
static bool proc_is_ours(void)
{
    char link[24];
    ssize_t len = readlink("/proc/self", link, sizeof(link) - 1);
    if (len <= 0)
        return false;
    link[len] = '\0';
    return strtoll(link, NULL, 10) == getpid();
}

static void boot_id(char ret_id[40])
{
    ret_id[0] = '\0';
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file == NULL)
        return;
    if (fgets(ret_id, 40, file) == NULL)
        ret_id[0] = '\0';
    fclose(file);
    ret_id[strcspn(ret_id, "\n")] = '\0';
}

void host_identify(struct node *node)
{
    host_name(node->host);
    boot_id(node->boot_id);
    struct stat ns;
    node->pid_ns = stat("/proc/self/ns/pid", &ns) == 0 ? (int64_t)ns.st_ino : 0;
    node->pid = getpid();
    int64_t start = stat_start("/proc/self/stat");
    node->pid_start = start > 0 ? start : 0;
    snprintf(node->version, sizeof(node->version), "%s", STINT_VERSION);
}

static bool visible(const struct node *self, const struct node *peer)
{
    /* Host, too: two machines woken from one snapshot have one boot id. */
    return peer->boot_id[0] != '\0' && strcmp(peer->boot_id, self->boot_id) == 0 &&
           strcmp(peer->host, self->host) == 0 && peer->pid_ns != 0 &&
           peer->pid_ns == self->pid_ns && peer->pid_start != 0 && peer->pid > 0 &&
           peer->pid <= INT_MAX;
}

static bool is_gone(int64_t pid)
{
    return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

int host_process_alive(const struct node *self, const struct node *peer)
{
    if (!visible(self, peer))
        return -1;
    if (is_gone(peer->pid))
        return 0;
    if (!proc_is_ours())
        return -1;
    char path[64];
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", peer->pid);
    int64_t start = stat_start(path);
    if (start < 0) /* it went meanwhile; or /proc hides other users' processes */
        return is_gone(peer->pid) ? 0 : -1;
    return start == peer->pid_start ? 1 : 0;
}
