/* Goal: every view looks as it did when somebody looked at it and found it good.
 * Method: one made-up cluster (tests/support/lifelike.h), each view of it drawn at several sizes,
 * with UTF-8 and without, and compared with tests/unit/golden/NAME.txt, which holds below each row
 * the roles of its cells. STINT_GOLDEN=write writes what is drawn now: look at it before it is
 * kept. STINT_PICTURES=FOLDER draws each as an SVG, at several depths of colour. */
#include <check.h>
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/svg.h"
#include "observer/ui.h"
#include "tests/support/lifelike.h"

enum { LARGE_WIDTH = 300, LARGE_HEIGHT = 100 };

static const struct size {
    int width, height;
    bool ascii;
} sizes[] = {{80, 24, false}, {80, 24, true}, {120, 40, false}, {LARGE_WIDTH, LARGE_HEIGHT, false}};

static const struct lifelike_config few = {.nodes = 6, .lanes = 4, .seconds = 80};
static const struct lifelike_config many = {.nodes = 100, .lanes = 10, .seconds = 60};
static const struct lifelike_config lost = {.nodes = 3, .lanes = 2, .seconds = 30, .lost = true};
static const struct lifelike_config still = {.nodes = 3, .lanes = 1, .seconds = 30, .quiet = true};

/* What is drawn: the cluster, the view, and keys pressed in it. */
static const struct scene {
    const char *name;
    const struct lifelike_config *cluster;
    const char *keys;
    int64_t back_ms; /* how long before the end; 0: live */
    unsigned sizes;  /* bits; 0: all */
    bool control;
} scenes[] = {
    {"cluster-few", &few, "1", 0, 0, false},
    {"cluster-many", &many, "1", 0, 0, false},
    {"cluster-still", &still, "1", 0, 1, false},
    {"cluster-lost", &lost, "1", 0, 3, false},
    {"cluster-past", &few, "1", 40000, 3, false},
    {"cluster-detail", &few, "1\r", 0, 3, false},
    {"cluster-confirm", &few, "1jS", 0, 1, true},
    {"cluster-diff", &few, "1(((((d)))))", 0, 5, false},
    {"map-few", &few, "2", 0, 0, false},
    {"map-many", &many, "2", 0, 0, false},
    {"map-lower", &many, "2jjjjjj", 0, 1, false},
    {"map-close", &few, "2g++++++", 0, 3, false},
    {"map-owners", &few, "2o", 0, 3, false},
    {"map-rescue", &few, "2", 2000, 3, false},
    {"timeline-few", &few, "3", 0, 0, false},
    {"timeline-many", &many, "3jjjj", 0, 0, false},
    {"jobs", &few, "4j j ", 0, 7, false},
    {"jobs-detail", &few, "4j\r", 0, 3, false},
    {"jobs-past", &few, "4", 23000, 5, false},
    {"jobs-past-waiting", &few, "4\t", 26000, 1, false},
    {"jobs-past-detail", &few, "4j\r", 26000, 1, false},
    {"queues", &many, "5", 0, 7, false},
    {"events", &few, "6", 0, 0, false},
    {"events-all", &few, "6a", 0, 3, false},
    {"help", &few, "?", 0, 7, true},
};

enum { SCENES = sizeof(scenes) / sizeof(scenes[0]), SIZES = sizeof(sizes) / sizeof(sizes[0]) };

/* Making them takes a while: each is made once. */
static struct past *past_of(const struct lifelike_config *config)
{
    static struct {
        const struct lifelike_config *config;
        struct past *past;
    } made[8];
    size_t i = 0;
    while (made[i].config != NULL && made[i].config != config)
        i++;
    if (made[i].config == NULL) {
        made[i].config = config;
        made[i].past = lifelike_past(config);
    }
    return made[i].past;
}

static void press(struct ui *ui, struct grid *grid, const char *keys)
{
    struct jobs_page page;
    for (const char *key = keys; *key != '\0'; key++) {
        struct jobs_ask ask = ui_jobs_ask(ui);
        lifelike_jobs(&page, &ask);
        ui_jobs_page(ui, &page);
        ui_draw(ui, grid);
        ui_key(ui, *key);
    }
    ui_draw(ui, grid);
    struct jobs_ask ask = ui_jobs_ask(ui);
    lifelike_jobs(&page, &ask);
    ui_jobs_page(ui, &page);
    ui_draw(ui, grid);
    ui_jobs_page(ui, NULL);
}

static struct grid *scene_draw(const struct scene *scene, const struct size *size)
{
    struct grid *grid = grid_new(size->width, size->height, size->ascii);
    struct ui *ui = ui_new(past_of(scene->cluster), scene->control, 0);
    int64_t end_ms = lifelike_end_ms(scene->cluster);
    ui_clock(ui, end_ms);
    if (scene->back_ms != 0)
        ui_stop_at(ui, end_ms - scene->back_ms);
    press(ui, grid, scene->keys);
    ui_free(ui);
    return grid;
}

/* ---- golden files --------------------------------------------------------------------------- */

static void file_name(char *path, size_t bytes, const char *folder, const struct scene *scene,
                      const struct size *size, const char *end)
{
    snprintf(path, bytes, "%s/%s-%dx%d%s%s", folder, scene->name, size->width, size->height,
             size->ascii ? "-ascii" : "", end);
}

static char *file_read(const char *path)
{
    char *text = NULL;
    size_t size = 0;
    FILE *in = fopen(path, "r");
    if (in == NULL || getdelim(&text, &size, '\0', in) < 0) {
        free(text);
        text = strdup("");
    }
    if (in != NULL)
        fclose(in);
    return text;
}

static void file_write(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    ck_assert_msg(out != NULL, "%s: %s", path, strerror(errno));
    fputs(text, out);
    ck_assert_int_eq(fclose(out), 0);
}

/* Says where they differ: the first line, of both. */
static void compare(const char *path, const char *expected, const char *drawn)
{
    size_t line = 1, at = 0, start = 0;
    for (; expected[at] != '\0' && expected[at] == drawn[at]; at++)
        if (drawn[at] == '\n') {
            line++;
            start = at + 1;
        }
    if (expected[at] == drawn[at])
        return;
    ck_abort_msg("%s, line %zu:\n  kept:  %.*s\n  drawn: %.*s\n(STINT_GOLDEN=write keeps it)", path,
                 line, (int)strcspn(expected + start, "\n"), expected + start,
                 (int)strcspn(drawn + start, "\n"), drawn + start);
}

static void pictures(const char *folder, const struct scene *scene, const struct size *size,
                     const struct grid *grid)
{
    static const int depths[] = {0, 8, 256};
    for (size_t i = 0; i < 3; i++) {
        char path[512], end[32];
        snprintf(end, sizeof(end), "-%d.svg", depths[i]);
        file_name(path, sizeof(path), folder, scene, size, end);
        FILE *out = fopen(path, "w");
        ck_assert_ptr_nonnull(out);
        svg_write(grid, depths[i], out);
        fclose(out);
    }
}

START_TEST(views_look_as_they_did)
{
    const struct scene *scene = &scenes[_i];
    const char *source = getenv("STINT_SOURCE"), *how = getenv("STINT_GOLDEN");
    const char *folder = getenv("STINT_PICTURES");
    ck_assert_msg(source != NULL, "STINT_SOURCE says where the golden files are");
    for (int i = 0; i < SIZES; i++) {
        if (scene->sizes != 0 && (scene->sizes & 1U << i) == 0)
            continue;
        struct grid *grid = scene_draw(scene, &sizes[i]);
        char path[512], golden[400];
        snprintf(golden, sizeof(golden), "%s/tests/unit/golden", source);
        file_name(path, sizeof(path), golden, scene, &sizes[i], ".txt");
        char *drawn = grid_text_roles(grid);
        if (folder != NULL)
            pictures(folder, scene, &sizes[i], grid);
        if (how != NULL && strcmp(how, "write") == 0)
            file_write(path, drawn);
        char *expected = file_read(path);
        compare(path, expected, drawn);
        free(expected);
        free(drawn);
        grid_free(grid);
    }
}
END_TEST

int main(void)
{
    setenv("TZ", "UTC", 1);
    if (setlocale(LC_ALL, "C.UTF-8") == NULL) {
        fputs("test_views: no locale C.UTF-8\n", stderr);
        return 1;
    }
    Suite *suite = suite_create("views");
    TCase *tcase = tcase_create("views");
    tcase_add_loop_test(tcase, views_look_as_they_did, 0, SCENES);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
