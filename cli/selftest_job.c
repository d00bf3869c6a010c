/* What jobs of a selftest do, and how they note it.
 *
 * A job's process appends a line of fixed length to one file when it begins and when it ends, each
 * by one write: so there is a record of executions that owes nothing to the store. What a job of
 * which number does follows from the seed alone. Single-threaded; selftest_job is a process of its
 * own, one of very many: it does nothing else. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "datastore/random.h"

#include "cli/selftest.h"

#define NOTE_FORMAT "%c %010" PRIu32 " %012" PRId64 " %06" PRId32 " %010" PRId32 " %016" PRId64
enum { NOTE_BYTES = 85, HANG_S = 3600, TIMEOUT_MS = 1000 };

/* ---- what they do ---------------------------------------------------------------------------- */

static const struct {
    uint32_t share; /* of a thousand */
    int32_t ms_min, ms_max;
    struct work work;
} kinds[] = {
    {700, 0, 4, {.kind = "quick", .max_attempts = 1}},
    {220, 20, 250, {.kind = "short", .max_attempts = 1}},
    {12, 1500, 3000, {.kind = "long", .max_attempts = 1}},
    {40, 0, 20, {.kind = "flaky", .max_attempts = 3, .bad_attempts = 2}},
    {12, 0, 4, {.kind = "broken", .max_attempts = 2, .bad_attempts = 2}},
    {8,
     0,
     0,
     {.kind = "stuck",
      .max_attempts = 1,
      .bad_attempts = 1,
      .hangs = true,
      .timeout_ms = TIMEOUT_MS}},
    {8,
     0,
     0,
     {.kind = "stuck-once",
      .max_attempts = 2,
      .bad_attempts = 1,
      .hangs = true,
      .timeout_ms = TIMEOUT_MS}},
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

struct work work_of(uint64_t seed, uint32_t number)
{
    uint64_t state = seed ^ (uint64_t)number << 32;
    uint64_t share = random_next(&state) % 1000, span;
    size_t i = 0;
    while (i + 1 < KINDS && share >= kinds[i].share)
        share -= kinds[i++].share;
    struct work work = kinds[i].work;
    span = (uint64_t)(kinds[i].ms_max - kinds[i].ms_min) + 1;
    work.ms = kinds[i].ms_min + (int32_t)(random_next(&state) % span);
    return work;
}

/* ---- noting it ------------------------------------------------------------------------------- */

struct note {
    char what; /* 'S' or 'E' */
    struct execution execution;
    int64_t at_us;
};

static bool note_write(const char *path, const struct note *note)
{
    const struct execution *e = &note->execution;
    char line[NOTE_BYTES + 1];
    int len = snprintf(line, sizeof(line), NOTE_FORMAT " %-23.23s\n", note->what, e->number, e->id,
                       e->run, e->pid, note->at_us, e->node);
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC); /* made before: it is not made anew */
    bool written = len == NOTE_BYTES && fd >= 0 && write(fd, line, (size_t)len) == len;
    if (!written)
        fprintf(stderr, "cannot write the note into %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return written;
}

static int64_t number_of(const char *text)
{
    int64_t value = 0;
    return text != NULL && number_parse(text, 0, INT64_MAX / 16, &value) == 0 ? value : -1;
}

static void sleep_ms(int64_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&left, &left) < 0 && errno == EINTR)
        continue;
}

static const struct work *kind_named(const char *name)
{
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].work.kind, name) == 0)
            return &kinds[i].work;
    return NULL;
}

int selftest_job(int argc, char **argv)
{
    enum { NO_NOTE = 9 };
    const char *node = getenv("STINT_NODE");
    const struct work *work = argc == 4 ? kind_named(argv[2]) : NULL;
    int64_t id = number_of(getenv("STINT_JOB_ID")), run = number_of(getenv("STINT_RUN"));
    int64_t attempt = number_of(getenv("STINT_ATTEMPT"));
    int64_t number = argc == 4 ? number_of(argv[1]) : -1, ms = argc == 4 ? number_of(argv[3]) : -1;
    if (work == NULL || id < 0 || run < 0 || attempt < 0 || number < 0 || ms < 0 || node == NULL) {
        fprintf(stderr, "stint: '" SELFTEST_JOB "' is what `stint selftest` runs as its jobs\n");
        return CLI_USAGE;
    }
    struct note note = {.what = 'S', .at_us = now_us()};
    note.execution = (struct execution){
        .id = id, .number = (uint32_t)number, .run = (int32_t)run, .pid = getpid()};
    snprintf(note.execution.node, sizeof(note.execution.node), "%s", node);
    if (!note_write(argv[0], &note))
        return NO_NOTE;
    bool bad = attempt <= work->bad_attempts;
    sleep_ms(bad && work->hangs ? HANG_S * 1000 : ms);
    printf("%s job %" PRId64 ", run %" PRId64 "\n", work->kind, number, run);
    fflush(stdout);
    note.what = 'E';
    note.at_us = now_us();
    return !note_write(argv[0], &note) ? NO_NOTE : bad ? CLI_FAILED : CLI_OK;
}

/* ---- reading them ---------------------------------------------------------------------------- */

static bool note_parse(const char line[NOTE_BYTES + 1], struct note *ret_note)
{
    struct note note = {0};
    struct execution *e = &note.execution;
    if (line[NOTE_BYTES - 1] != '\n' ||
        sscanf(line, "%c %" SCNu32 " %" SCNd64 " %" SCNd32 " %" SCNd32 " %" SCNd64 " %23s",
               &note.what, &e->number, &e->id, &e->run, &e->pid, &note.at_us, e->node) != 7)
        return false;
    *ret_note = note;
    return note.what == 'S' || note.what == 'E';
}

#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

/* Executions together: by id, run and process, a start before its end. */
static int note_compare(const void *a, const void *b)
{
    const struct note *x = a, *y = b;
    int order = ORDER(x->execution.id, y->execution.id);
    order = order != 0 ? order : ORDER(x->execution.run, y->execution.run);
    order = order != 0 ? order : strcmp(x->execution.node, y->execution.node);
    order = order != 0 ? order : ORDER(x->execution.pid, y->execution.pid);
    order = order != 0 ? order : ORDER(x->at_us, y->at_us);
    return order != 0 ? order : ORDER(y->what, x->what);
}

static int execution_compare(const void *a, const void *b)
{
    const struct execution *x = a, *y = b;
    int order = ORDER(x->id, y->id);
    order = order != 0 ? order : ORDER(x->run, y->run);
    return order != 0 ? order : ORDER(x->start_us, y->start_us);
}

static bool same_process(const struct execution *a, const struct execution *b)
{
    return a->id == b->id && a->run == b->run && a->pid == b->pid && strcmp(a->node, b->node) == 0;
}

static struct execution *executions_make(struct note *notes, size_t n, size_t *ret_n,
                                         int64_t *ret_strange)
{
    struct execution *all = cli_alloc((n + 1) * sizeof(*all));
    size_t made = 0;
    qsort(notes, n, sizeof(*notes), note_compare);
    for (size_t i = 0; i < n; i++) {
        struct execution *last = made > 0 ? &all[made - 1] : NULL;
        if (notes[i].what == 'S') {
            all[made] = notes[i].execution;
            all[made++].start_us = notes[i].at_us;
        } else if (last != NULL && last->end_us == 0 && same_process(last, &notes[i].execution)) {
            last->end_us = notes[i].at_us;
        } else {
            *ret_strange += 1;
        }
    }
    qsort(all, made, sizeof(*all), execution_compare);
    *ret_n = made;
    return all;
}

int notes_read(const char *path, struct execution **ret_executions, size_t *ret_n,
               int64_t *ret_strange, struct error *err)
{
    char line[NOTE_BYTES + 1] = "";
    size_t n = 0, max = 0, len;
    struct note *notes = NULL;
    int64_t strange = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_set(err, ERR_IO, "cannot read the notes in %s: %s", path, strerror(errno));
    while ((len = fread(line, 1, NOTE_BYTES, file)) > 0) {
        if (n == max) {
            max = max > 0 ? max * 2 : 1024;
            notes = cli_grow(notes, max * sizeof(*notes));
        }
        if (len == NOTE_BYTES && note_parse(line, &notes[n]))
            n++;
        else
            strange++;
    }
    bool failed = ferror(file) != 0;
    fclose(file);
    if (!failed) {
        *ret_executions = executions_make(notes, n, ret_n, &strange);
        *ret_strange = strange;
    }
    free(notes);
    return failed ? error_set(err, ERR_IO, "cannot read the notes in %s", path) : 0;
}
