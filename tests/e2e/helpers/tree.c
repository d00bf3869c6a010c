/* A job that tries to leave processes behind: it starts one of each kind below, makes FILE once all
 * are there, and waits to be killed. Each carries MARK in its arguments, for the test to count.
 *   child        in the job's own process group
 *   stubborn     ignores TERM, INT and HUP
 *   session      in a session of its own
 *   daemon       double-forked, in a session of its own, its parent gone
 *   bare         the same without any environment
 *
 *   helper_tree MARK FILE */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct kind {
    const char *name;
    bool stubborn, session, orphan, bare;
};

static const struct kind kinds[] = {
    {"child", false, false, false, false},  {"stubborn", true, false, false, false},
    {"session", false, true, false, false}, {"daemon", false, true, true, false},
    {"bare", true, true, true, true},
};

/* The started program: tells through `fd` that it is there, and waits. */
static int stay(const struct kind *kind, int fd)
{
    if (kind->stubborn) {
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        signal(SIGHUP, SIG_IGN);
    }
    if (write(fd, "x", 1) != 1)
        return 1;
    close(fd);
    for (;;)
        pause();
}

static void start(const struct kind *kind, char *self, char *mark, int fd)
{
    pid_t pid = fork();
    if (pid != 0) {
        if (pid > 0 && kind->orphan)
            waitpid(pid, NULL, 0);
        return;
    }
    if (kind->session)
        setsid();
    if (kind->orphan && fork() != 0)
        _exit(0);
    char fd_text[16];
    snprintf(fd_text, sizeof(fd_text), "%d", fd);
    char *args[] = {self, mark, (char *)kind->name, fd_text, NULL};
    char *none[] = {NULL};
    extern char **environ;
    execve("/proc/self/exe", args, kind->bare ? none : environ);
    _exit(127);
}

int main(int argc, char **argv)
{
    const size_t n = sizeof(kinds) / sizeof(kinds[0]);
    if (argc == 4) {
        for (size_t i = 0; i < n; i++)
            if (strcmp(argv[2], kinds[i].name) == 0)
                return stay(&kinds[i], (int)strtol(argv[3], NULL, 10));
        return 2;
    }
    int ready[2];
    if (argc != 3 || pipe(ready) != 0)
        return 2;
    for (size_t i = 0; i < n; i++)
        start(&kinds[i], argv[0], argv[1], ready[1]);
    for (size_t i = 0; i < n; i++) {
        char byte;
        if (read(ready[0], &byte, 1) != 1)
            return 1;
    }
    int fd = open(argv[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return 1;
    close(fd);
    for (;;)
        pause();
}
