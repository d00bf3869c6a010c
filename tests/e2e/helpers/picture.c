/* Draws what the observer shows of a recording, after some keys, as SVG: the pictures in
 * docs/OBSERVER.md are made with it (script/pictures).
 *
 *   helper_picture RECORDING WIDTHxHEIGHT KEYS [COLOURS] > FILE.svg
 *
 * KEYS as they would be typed, from the recording's end on; COLOURS: 0, 8, 16, 256 or 16777216. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "observer/recording.h"
#include "observer/ui.h"
#include "tests/support/svg.h"

enum { PAST_BYTES = 256 << 20, SIZE_MAX_CELLS = 1000 };

static int draw(struct past *past, int64_t end_ms, const char *keys, struct grid *grid, int colours)
{
    struct ui *ui = ui_new(past, false, 0);
    struct jobs_page page = {0};
    ui_clock(ui, end_ms);
    ui_jobs_page(ui, &page);
    ui_draw(ui, grid);
    for (; *keys != '\0'; keys++) {
        ui_key(ui, *keys);
        ui_draw(ui, grid);
    }
    svg_write(grid, colours, stdout);
    ui_free(ui);
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    int width = 0, height = 0, rc = 1;
    struct error err = {0};
    struct replay *replay;
    struct replay_about about;
    if (setlocale(LC_ALL, "C.UTF-8") == NULL || argc < 4 ||
        sscanf(argv[2], "%dx%d", &width, &height) != 2 || width < 1 || height < 1 ||
        width > SIZE_MAX_CELLS || height > SIZE_MAX_CELLS) {
        fputs("helper_picture: RECORDING WIDTHxHEIGHT KEYS [COLOURS]\n", stderr);
        return 2;
    }
    if (replay_open(argv[1], &replay, &about, &err) < 0) {
        fprintf(stderr, "helper_picture: %s\n", err.text);
        return 1;
    }
    struct past *past = past_new(about.store, PAST_BYTES);
    while (rc > 0)
        rc = replay_step(replay, past, &err);
    if (rc < 0)
        fprintf(stderr, "helper_picture: %s\n", err.text);
    struct grid *grid = grid_new(width, height, false);
    int colours = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 256;
    int status = draw(past, replay_last_ms(replay), argv[3], grid, colours);
    grid_free(grid);
    past_free(past);
    replay_free(replay);
    return rc < 0 ? 1 : status;
}
