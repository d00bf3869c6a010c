/* The name of a submit, by which it is found again when it was interrupted.
 *
 * A bulk submit from a file is named by what is asked for and by the file as it stands; a lock on
 * the file keeps two live submits of it from being taken for one. One that is complete is followed
 * by a new one under the next generation of the name: the same command again is new work. But who
 * was killed between the last commit and the printing of the ids has told nobody: a mark, a small
 * file in the state folder, stands from the start of a submit until its ids are out, and says that
 * the complete generation was not acknowledged. Single-threaded. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/hash.h"
#include "cli/submit.h"

enum { GENERATIONS_MAX = 1 << 20 };

static void auto_name(const struct submit_request *request, const struct submit_input *input,
                      const struct stat *file, char name[LIMIT_NAME_BYTES + 1])
{
    const struct submit_plan *plan = &request->plan;
    char here[LIMIT_PATH_BYTES] = "";
    struct hash hash = {HASH_BASIS};
    if (getcwd(here, sizeof(here)) == NULL)
        here[0] = '\0';
    hash_number(&hash, getuid());
    hash_text(&hash, here);
    hash_number(&hash, request->each != NULL);
    hash_number(&hash, input->zero);
    hash_text(&hash, plan->lane.queue);
    hash_number(&hash, plan->lane.priority);
    hash_text(&hash, plan->type);
    hash_text(&hash, plan->batch);
    hash_bytes(&hash, plan->payload);
    hash_bytes(&hash, plan->argv);
    hash_bytes(&hash, plan->spec.env);
    hash_text(&hash, plan->cwd);
    hash_number(&hash, plan->spec.timeout_ms);
    hash_number(&hash, plan->spec.max_attempts);
    hash_number(&hash, (int64_t)file->st_dev);
    hash_number(&hash, (int64_t)file->st_ino);
    hash_number(&hash, file->st_size);
    hash_number(&hash, file->st_mtim.tv_sec);
    hash_number(&hash, file->st_mtim.tv_nsec);
    snprintf(name, LIMIT_NAME_BYTES + 1, "auto-%016" PRIx64 "%016" PRIx64,
             (uint64_t)(hash.value >> 64), (uint64_t)hash.value);
}

/* Nobody finds it again, but a lost reply of our own is read back by it. */
static void random_name(char name[LIMIT_NAME_BYTES + 1])
{
    uint64_t random[2] = {clock_ms(), (uint64_t)getpid()};
    if (getrandom(random, sizeof(random), 0) < 0)
        random[0] ^= (uint64_t)clock_utc_ms();
    snprintf(name, LIMIT_NAME_BYTES + 1, "once-%016" PRIx64 "%016" PRIx64, random[0], random[1]);
}

/* ---- the mark -------------------------------------------------------------------------------- */

/* The path of the mark, one for each store; NULL where there is no home folder. */
static char *mark_path(const char *base, const char *store)
{
    struct hash hash = {HASH_BASIS};
    hash_text(&hash, store);
    char *folder = settings_state_folder();
    char *path = folder != NULL
                     ? cli_format("%s/submits/%s-%016" PRIx64, folder, base, (uint64_t)hash.value)
                     : NULL;
    free(folder);
    return path;
}

/* The generation that the mark names; -1: none. */
static int mark_read(const char *path)
{
    char text[16] = "";
    int64_t generation = -1;
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    return n > 0 && number_parse(text, 0, GENERATIONS_MAX, &generation) == 0 ? (int)generation : -1;
}

static void folder_make(const char *path)
{
    char *folder = cli_copy(path);
    for (char *slash = strchr(folder + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(folder, 0700);
        *slash = '/';
    }
    free(folder);
}

/* Best effort: without it, only a kill in the last moment is not told from an end. */
static void mark_write(const char *path, int generation)
{
    char text[16];
    if (path == NULL)
        return;
    folder_make(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int len = snprintf(text, sizeof(text), "%d", generation);
    if (fd < 0)
        return;
    if (write(fd, text, (size_t)len) != len)
        unlink(path);
    close(fd);
}

void submit_acknowledged(struct submit_naming *naming)
{
    if (naming->mark != NULL)
        unlink(naming->mark);
}

void submit_naming_clear(struct submit_naming *naming)
{
    free(naming->mark);
    *naming = (struct submit_naming){0};
}

/* ---- naming ---------------------------------------------------------------------------------- */

/* The generation to go on with: the first that is not complete, or a complete one that nobody was
 * told of. */
static int generation_take(struct submit_sender *sender, struct submit_naming *naming,
                           const char *base, const char *store, bool *ret_complete,
                           struct error *err)
{
    char name[LIMIT_NAME_BYTES + 1];
    naming->mark = mark_path(base, store);
    int unheard = mark_read(naming->mark);
    for (int generation = 0; generation <= GENERATIONS_MAX; generation++) {
        snprintf(name, sizeof(name), "%.48s.%d", base, generation);
        int rc = sender_name(sender, name, ret_complete, err);
        if (rc < 0 || (*ret_complete && generation == unheard))
            return rc;
        if (*ret_complete)
            continue;
        mark_write(naming->mark, generation);
        return 0;
    }
    return error_set(err, ERR_LIMIT, "this was submitted %d times already; give --token NAME",
                     GENERATIONS_MAX);
}

int submit_name(const struct submit_request *request, const struct submit_input *input,
                struct submit_sender *sender, struct submit_naming *naming, bool *ret_complete,
                struct error *err)
{
    struct stat file;
    char base[LIMIT_NAME_BYTES + 1];
    *naming = (struct submit_naming){.resumable = true};
    *ret_complete = false;
    if (request->token != NULL)
        return sender_name(sender, request->token, ret_complete, err);
    naming->resumable = request->bulk && input->regular &&
                        flock(input->fd, LOCK_EX | LOCK_NB) == 0 && fstat(input->fd, &file) == 0;
    if (naming->resumable) {
        auto_name(request, input, &file, base);
        return generation_take(sender, naming, base, cli_store_uri(request->cli), ret_complete,
                               err);
    }
    if (request->bulk)
        random_name(sender->name); /* a single job is there by the id it was sent with */
    return 0;
}
