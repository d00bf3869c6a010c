/* A job that leaves a trace: appends the line "ID RUN [TEXT]" to FILE by one write, so that lines
 * of jobs that run side by side never mix.   helper_append FILE [TEXT] */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *id = getenv("STINT_JOB_ID");
    const char *run = getenv("STINT_RUN");
    if (argc < 2 || id == NULL || run == NULL)
        return 2;

    char line[4096];
    int len = snprintf(line, sizeof(line), "%s %s%s%s\n", id, run, argc > 2 ? " " : "",
                       argc > 2 ? argv[2] : "");
    if (len < 0 || (size_t)len >= sizeof(line))
        return 2;
    int fd = open(argv[1], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || write(fd, line, (size_t)len) != len) {
        perror(argv[1]);
        return 1;
    }
    return close(fd) == 0 ? 0 : 1;
}
