/* The progress bar of long commands, on stderr and only when that is a terminal.
 * Single-threaded; a caller may ask as often as it likes: drawing is limited here. */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

enum { DRAW_EACH_MS = 100, DRAW_AFTER_MS = 500, BAR_CELLS = 30 };

void progress_start(struct progress *progress, const char *verb)
{
    *progress = (struct progress){
        .shown = isatty(STDERR_FILENO) == 1, .verb = verb, .began_ms = clock_ms()};
}

void progress_show(struct progress *progress, int64_t part, int64_t whole, int64_t jobs)
{
    if (!progress->shown)
        return;
    uint64_t now = clock_ms();
    if (now - progress->began_ms < DRAW_AFTER_MS || now - progress->drawn_ms < DRAW_EACH_MS)
        return;
    progress->drawn_ms = now;
    progress->drawn = true;
    double rate = (double)jobs * 1000 / (double)(now - progress->began_ms);
    char bar[BAR_CELLS + 1] = "";
    if (whole > 0) {
        double share = part < whole ? (double)part / (double)whole : 1;
        size_t full = (size_t)(share * BAR_CELLS);
        memset(bar, '#', full);
        memset(bar + full, '.', BAR_CELLS - full);
        fprintf(stderr, "\r[%s] %3d%%  ", bar, (int)(share * 100));
    } else {
        fputc('\r', stderr);
    }
    fprintf(stderr, "%" PRId64 " %s, %.0f/s\033[K", jobs, progress->verb, rate);
    fflush(stderr);
}

void progress_clear(struct progress *progress)
{
    if (!progress->drawn)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress->drawn = false;
}
