/* Where a selftest does what it does: a namespace of its own beside the user's store, and a folder
 * under the XDG state directory.
 *
 * The name is random, so nothing can be there before. Leftovers of a selftest that was killed are
 * found by their folders: the file `owner` names the store, and its lock is free only when its
 * selftest is dead, whose nodes died with it. Those in the same store are removed; of others, this
 * says where they are. A folder is removed last, so what is half removed is found again.
 * Single-threaded. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/selftest.h"

#define NAME_BEGIN "selftest-"
enum { UNOWNED_S = 60, LEFTOVERS_MAX = 100 };

/* ---- URIs ------------------------------------------------------------------------------------ */

static bool is_server(const char *uri)
{
    return strncmp(uri, "mongodb:", 8) == 0 || strncmp(uri, "mongodb+srv:", 12) == 0;
}

/* The URI without what selftest sets itself: given. */
static char *uri_base(const char *uri)
{
    static const char *const own[] = {"namespace=", "frozen_ms="};
    size_t len = strcspn(uri, "?");
    char *base = cli_format("%.*s", (int)len, uri);
    const char *at = uri + len, *joint = "?";
    while (*at != '\0') {
        size_t piece = strcspn(++at, "&");
        bool dropped = piece == 0;
        for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
            dropped = dropped || strncmp(at, own[i], strlen(own[i])) == 0;
        if (!dropped) {
            char *longer = cli_format("%s%s%.*s", base, joint, (int)piece, at);
            free(base);
            base = longer;
            joint = "&";
        }
        at += piece;
    }
    return base;
}

/* The same store whatever the current folder is: given. */
static char *uri_settle(const char *uri)
{
    char here[LIMIT_PATH_BYTES];
    char *base = uri_base(uri);
    const char *path = strncmp(base, "sqlite:", 7) == 0 ? base + 7 : base;
    if (is_server(uri) || path[0] == '/' || strstr(uri, "://") != NULL ||
        getcwd(here, sizeof(here)) == NULL)
        return base;
    char *whole = cli_format("sqlite:%s/%s", here, path);
    free(base);
    return whole;
}

/* frozen_ms 0: as it is by default. */
static char *uri_scratch(const char *base, const char *name, int64_t frozen_ms)
{
    const char *joint = strchr(base, '?') != NULL ? "&" : "?";
    if (is_server(base) || frozen_ms == 0)
        return cli_format("%s%snamespace=%s", base, joint, name);
    return cli_format("%s%snamespace=%s&frozen_ms=%" PRId64, base, joint, name, frozen_ms);
}

/* ---- folders --------------------------------------------------------------------------------- */

static int entry_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static bool folder_remove(const char *folder)
{
    return nftw(folder, entry_remove, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT;
}

/* Where all selftests of this user have their folders: given, made. NULL after an error. */
static char *folders_root(void)
{
    char *state = settings_state_folder();
    if (state == NULL) {
        cli_error(CLI_USAGE, "selftest keeps its notes under the XDG state directory, and $HOME is "
                             "not set; set it, or $XDG_STATE_HOME");
        return NULL;
    }
    char *root = cli_format("%s/selftest", state);
    free(state);
    for (char *slash = strchr(root + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL)
            *slash = '\0';
        bool made = mkdir(root, 0700) == 0 || errno == EEXIST;
        int why = errno;
        if (slash != NULL)
            *slash = '/';
        if (slash == NULL && !made) {
            cli_error(CLI_REFUSED, "cannot make the folder %s: %s", root, strerror(why));
            free(root);
            return NULL;
        }
        if (slash == NULL)
            return root;
    }
}

/* ---- leftovers ------------------------------------------------------------------------------- */

/* Its owner file, locked; -1: it is in use, or just being made, or no selftest's. */
static int leftover_take(const char *folder, char store[LIMIT_PATH_BYTES])
{
    char *path = cli_format("%s/owner", folder);
    struct stat st;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    free(path);
    if (fd < 0)
        return -1;
    ssize_t n = -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0)
        n = pread(fd, store, LIMIT_PATH_BYTES - 1, 0);
    if (n < 0 || (n == 0 && st.st_mtime > time(NULL) - UNOWNED_S)) {
        close(fd);
        return -1;
    }
    store[n] = '\0';
    return fd;
}

/* What a dead selftest has left: removed where it lies in this store. */
static void leftover_remove(const struct scratch *scratch, const char *shown, const char *root,
                            const char *name)
{
    char store[LIMIT_PATH_BYTES];
    char *folder = cli_format("%s/%s", root, name);
    struct error err = {0};
    int fd = leftover_take(folder, store);
    if (fd >= 0 && store[0] != '\0' && strcmp(store, shown) != 0) {
        cli_note("%s was killed and has left the namespace of its name in %s; a selftest there "
                 "removes it",
                 name, store);
    } else if (fd >= 0) {
        char *uri = uri_scratch(scratch->base, name, 0);
        int rc = store[0] != '\0' ? datastore_drop(uri, &err) : 0;
        free(uri);
        if (rc < 0)
            cli_note("%s was killed, and what it has left cannot be removed: %s", name, err.text);
        else if (!folder_remove(folder))
            cli_note("cannot remove %s: %s", folder, strerror(errno));
        else
            cli_note("removed what %s, which was killed, had left", name);
    }
    if (fd >= 0)
        close(fd);
    free(folder);
}

void scratch_leftovers(const struct scratch *scratch)
{
    char shown[LIMIT_PATH_BYTES];
    char *root =
        cli_format("%.*s", (int)(strrchr(scratch->folder, '/') - scratch->folder), scratch->folder);
    DIR *dir = opendir(root);
    char *names[LEFTOVERS_MAX];
    size_t n = 0;
    uri_redact(shown, sizeof(shown), scratch->base);
    for (struct dirent *entry; dir != NULL && n < LEFTOVERS_MAX && (entry = readdir(dir)) != NULL;)
        if (strncmp(entry->d_name, NAME_BEGIN, strlen(NAME_BEGIN)) == 0 &&
            name_valid(entry->d_name))
            names[n++] = cli_copy(entry->d_name);
    if (dir != NULL)
        closedir(dir);
    for (size_t i = 0; i < n; i++) {
        leftover_remove(scratch, shown, root, names[i]);
        free(names[i]);
    }
    free(root);
}

/* ---- its own --------------------------------------------------------------------------------- */

/* Locked first, then written: an empty one is being made just now. */
static bool owner_make(struct scratch *scratch, const char *shown)
{
    char *path = scratch_path(scratch, "owner");
    ssize_t len = (ssize_t)strlen(shown);
    scratch->owner = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    free(path);
    return scratch->owner >= 0 && flock(scratch->owner, LOCK_EX | LOCK_NB) == 0 &&
           write(scratch->owner, shown, (size_t)len) == len;
}

int scratch_make(struct scratch *scratch, const char *store, int64_t frozen_ms)
{
    char shown[LIMIT_PATH_BYTES];
    uint64_t random = 0;
    scratch->owner = -1;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return cli_error(CLI_FAILED, "no random numbers to be had: %s", strerror(errno));
    snprintf(scratch->name, sizeof(scratch->name), NAME_BEGIN "%016" PRIx64, random);
    scratch->base = uri_settle(store);
    scratch->uri = uri_scratch(scratch->base, scratch->name, frozen_ms);
    uri_redact(shown, sizeof(shown), scratch->base);
    char *root = folders_root();
    if (root == NULL)
        return CLI_USAGE;
    scratch->folder = cli_format("%s/%s", root, scratch->name);
    free(root);
    if (mkdir(scratch->folder, 0700) == 0 && owner_make(scratch, shown))
        return CLI_OK;
    int status =
        cli_error(CLI_REFUSED, "cannot make the folder %s: %s", scratch->folder, strerror(errno));
    (void)folder_remove(scratch->folder);
    free(scratch->folder);
    scratch->folder = NULL;
    return status;
}

/* Looked at first: where the store cannot be reached, there is nothing to be removed from it. */
int scratch_open(struct scratch *scratch, struct datastore **ret_ds)
{
    struct datastore *ds = NULL;
    struct error err = {0};
    int rc = datastore_open(scratch->uri, 0, &ds, &err);
    if (rc == 0) {
        datastore_close(ds);
        return cli_error(CLI_REFUSED, "there is a namespace %s already", scratch->name);
    }
    if (rc != ERR_NOT_FOUND)
        return cli_error(rc == ERR_INVALID ? CLI_USAGE : CLI_UNREACHABLE, "%s", err.text);
    scratch->used = true;
    return cli_open_uri(scratch->uri, DS_CREATE, ret_ds);
}

int scratch_remove(struct scratch *scratch)
{
    struct error err = {0};
    if (scratch->folder == NULL)
        return CLI_OK;
    if (scratch->used && datastore_drop(scratch->uri, &err) < 0)
        return cli_error(cli_status_of(err.code),
                         "the namespace %s stays, the next selftest "
                         "removes it: %s",
                         scratch->name, err.text);
    if (!folder_remove(scratch->folder))
        return cli_error(CLI_FAILED, "cannot remove %s: %s", scratch->folder, strerror(errno));
    return CLI_OK;
}

void scratch_clear(struct scratch *scratch)
{
    if (scratch->owner >= 0 && scratch->folder != NULL)
        close(scratch->owner);
    free(scratch->base);
    free(scratch->uri);
    free(scratch->folder);
    *scratch = (struct scratch){.owner = -1};
}

char *scratch_path(const struct scratch *scratch, const char *name)
{
    return cli_format("%s/%s", scratch->folder, name);
}
