/* Process identity from /proc: boot id, pid namespace, pid and start time tell one process from
 * every other, before and after a restart. Blocking but quick reads; any thread. */
#define _GNU_SOURCE
#include "node/host.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

int64_t host_process_start(int64_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/stat", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    size_t len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    /* The name in parentheses may hold anything: fields are counted from the last one. */
    const char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ' || at[2] == 'Z' || at[2] == 'X')
        return 0; /* a zombie does nothing any more */
    enum { STATE_FIELD = 3, START_FIELD = 22 };
    at += 2;
    for (int field = STATE_FIELD; field < START_FIELD; field++) {
        at = strchr(at, ' ');
        if (at == NULL)
            return 0;
        at++;
    }
    return strtoll(at, NULL, 10);
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
    node->pid_start = host_process_start(node->pid);
    snprintf(node->version, sizeof(node->version), "%s", STINT_VERSION);
}

int host_process_alive(const struct node *self, const struct node *peer)
{
    bool visible = peer->boot_id[0] != '\0' && strcmp(peer->boot_id, self->boot_id) == 0 &&
                   peer->pid_ns != 0 && peer->pid_ns == self->pid_ns && peer->pid_start != 0;
    if (!visible)
        return -1;
    if (kill((pid_t)peer->pid, 0) != 0 && errno == ESRCH)
        return 0;
    return host_process_start(peer->pid) == peer->pid_start ? 1 : 0;
}
