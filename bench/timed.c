/* Runs a command and says, as one JSON line in FILE, what it took: wall clock, processor time and
 * the most memory it held. From a small program, since a child counts its parent's pages until it
 * runs its own.
 *
 *   timed FILE COMMAND ARG...        exit status: the command's */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static long ms_of(struct timeval t)
{
    return t.tv_sec * 1000 + t.tv_usec / 1000;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: timed FILE COMMAND ARG...\n");
        return 2;
    }
    int64_t began = now_us();
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    int status;
    struct rusage use;
    if (pid < 0 || wait4(pid, &status, 0, &use) != pid) {
        perror("timed");
        return 1;
    }
    int64_t wall_us = now_us() - began;
    FILE *file = fopen(argv[1], "w");
    if (file == NULL) {
        perror(argv[1]);
        return 1;
    }
    fprintf(file, "{\"wall_us\":%lld,\"user_ms\":%ld,\"sys_ms\":%ld,\"rss_kb\":%ld}\n",
            (long long)wall_us, ms_of(use.ru_utime), ms_of(use.ru_stime), use.ru_maxrss);
    if (fclose(file) != 0)
        return 1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
