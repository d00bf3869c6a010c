/* A job that tells when it began: writes CLOCK_REALTIME in microseconds, 8 bytes, into FILE (a
 * FIFO) as the first thing it does. bench/latency.c listens.   helper_stamp FILE */
#include <fcntl.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (argc != 2)
        return 2;
    int64_t us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    int fd = open(argv[1], O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, &us, sizeof(us)) == sizeof(us) ? 0 : 1;
}
