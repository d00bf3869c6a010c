/* The raw limit of running processes: a bare posix_spawn-and-wait loop, as script/bench measures it
 * beside Stint. Usage: spawn_limit [CONCURRENCY [JOBS]]; prints one JSON object.
 * Each of CONCURRENCY processes spawns /bin/true and waits for it, again and again. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { CONCURRENCY_MAX = 256, JOBS_MAX = 100 * 1000 * 1000 };

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void spawn_and_wait(long jobs)
{
    char path[] = "/bin/true";
    char *const argv[] = {path, NULL};
    for (long i = 0; i < jobs; i++) {
        pid_t pid = 0;
        int status = 0;
        if (posix_spawn(&pid, path, NULL, NULL, argv, environ) != 0 ||
            waitpid(pid, &status, 0) != pid || status != 0)
            _exit(1);
    }
    _exit(0);
}

/* Returns the number in `text`, or -1. */
static long parse(const char *text, long max)
{
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    return errno != 0 || end == text || *end != '\0' || number < 1 || number > max ? -1 : number;
}

int main(int argc, char **argv)
{
    long concurrency = argc > 1 ? parse(argv[1], CONCURRENCY_MAX) : 2;
    long jobs = argc > 2 ? parse(argv[2], JOBS_MAX) : 5000;
    if (concurrency < 0 || jobs < 0) {
        fprintf(stderr, "usage: spawn_limit [CONCURRENCY 1-%d [JOBS]]\n", CONCURRENCY_MAX);
        return 2;
    }
    double start_s = now_s();
    for (long i = 0; i < concurrency; i++) {
        pid_t pid = fork();
        if (pid == 0)
            spawn_and_wait(jobs / concurrency + (i < jobs % concurrency ? 1 : 0));
        if (pid < 0) {
            perror("spawn_limit: fork");
            return 1;
        }
    }
    int failed = 0;
    int status = 0;
    while (wait(&status) > 0)
        failed += status != 0 ? 1 : 0;
    double took_s = now_s() - start_s;
    if (failed > 0) {
        fprintf(stderr, "spawn_limit: %d loops could not run /bin/true\n", failed);
        return 1;
    }
    printf("{\"what\": \"posix_spawn\", \"concurrency\": %ld, \"jobs\": %ld, \"seconds\": %.3f, "
           "\"jobs_per_s\": %.1f}\n",
           concurrency, jobs, took_s, (double)jobs / took_s);
    return 0;
}
