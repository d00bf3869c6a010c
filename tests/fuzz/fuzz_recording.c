/* Recordings of the observer: a file as it is, or, by the first byte, facts that are put into
 * frames whose checksums are right, since no fuzzer guesses those.
 *
 * What must hold: whoever refuses says so in one line; what was let through can be drawn, in every
 * view (one at a time, by the first byte) and at any time, and takes no more memory than it may. */
#include "observer/recording.h"
#include "observer/ui.h"
#include "proto/codec.h"
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

enum { PAST_BYTES = 4 << 20, WIDTH = 90, HEIGHT = 30 };

static void frame_put(struct frame_buffer *out, uint16_t type, struct bytes body)
{
    if (body.len <= LIMIT_FRAME_BYTES)
        REQUIRE(frame_add(out, &(struct frame){type, body}, true) == 0);
}

/* A file of these facts: a frame for each part that ends with 0xff 0xff. */
static void file_of(struct frame_buffer *out, struct bytes facts)
{
    struct arena mem = {0};
    struct wire_start start = {.format = 1, .program = "x", .store = "sqlite:x"};
    struct wire_end end = {.at_ms = 1700000060000};
    frame_buffer_add(out, (struct bytes){(const uint8_t *)"\x89stint\r\n", 8});
    frame_put(out, 1, wire_start_encode(&start, &mem));
    for (const uint8_t *cut; facts.len > 0;) {
        cut = memmem(facts.data, facts.len, "\xff\xff", 2);
        struct bytes part =
            take_bytes(&facts, cut != NULL ? (size_t)(cut - facts.data) : facts.len);
        if (cut != NULL)
            (void)take_bytes(&facts, 2);
        frame_put(out, 2, part);
    }
    frame_put(out, 3, wire_end_encode(&end, &mem));
    arena_release(&mem);
}

static void draw(struct past *past, enum view_kind view)
{
    int64_t first_ms = past_first_ms(past), last_ms = past_last_ms(past);
    struct ui *ui = ui_new(past, false, last_ms > 0 ? last_ms : 1);
    struct grid *grid = grid_new(WIDTH, HEIGHT, false);
    ui_go(ui, view);
    ui_clock(ui, last_ms);
    ui_draw(ui, grid);
    ui_stop_at(ui, first_ms + (last_ms - first_ms) / 2);
    ui_key(ui, '\r');
    ui_draw(ui, grid);
    ui_key(ui, '+');
    ui_key(ui, KEYS_DOWN);
    ui_key(ui, ',');
    ui_draw(ui, grid);
    grid_free(grid);
    ui_free(ui);
}

static void replay(const char *path, int view)
{
    struct error err = {0};
    struct replay *replay;
    struct replay_about about;
    int rc = replay_open(path, &replay, &about, &err);
    if (rc < 0) {
        require_told(rc, &err);
        return;
    }
    struct past *past = past_new(about.store, PAST_BYTES);
    while ((rc = replay_step(replay, past, &err)) > 0)
        REQUIRE(!past_too_much(past));
    if (rc < 0)
        require_told(rc, &err);
    REQUIRE(replay_last_ms(replay) <= past_last_ms(past));
    if (view < VIEWS)
        draw(past, (enum view_kind)view);
    past_free(past);
    replay_free(replay);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = {data, size};
    struct frame_buffer out = {0};
    char path[FILE_PATH_BYTES];
    uint8_t with = take_byte(&input);
    if ((with & 1) == 0)
        frame_buffer_add(&out, input);
    else
        file_of(&out, input);
    int fd = file_make((struct bytes){out.data, out.len}, path);
    replay(path, with >> 1 & 7);
    close(fd);
    frame_buffer_release(&out);
    return 0;
}
