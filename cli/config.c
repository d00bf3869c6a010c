/* Settings: what the config file says, and the environment over it; flags come on top (options.c).
 *
 * The file holds `key = value` lines and # comments; an unknown key is an error, since a misspelt
 * one would be silently without effect. STINT_* variables that are no settings are left alone: a
 * job finds its own there. Single-threaded, at start. */
#define _GNU_SOURCE
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *key;
    const char *variable;
} names[SETTINGS] = {
#define X(kind, key, variable) [kind] = {key, variable},
    SETTING_MAP(X)
#undef X
};

enum { CONFIG_LINE_BYTES = LIMIT_PATH_BYTES + 256 };

static void settings_put(struct settings *settings, enum setting which, const char *value)
{
    free(settings->value[which]);
    settings->value[which] = cli_copy(value);
}

static char *trim(char *text)
{
    text += strspn(text, " \t\r\n");
    for (size_t n = strlen(text); n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL; n--)
        text[n - 1] = '\0';
    return text;
}

/* In the config file, `@PATH` counts from the folder of that file. */
static void store_put(struct settings *settings, const char *value, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *whole = NULL;
    if (value[0] == '@' && value[1] != '\0' && value[1] != '/' && slash != NULL)
        whole = cli_format("@%.*s%s", (int)(slash - path) + 1, path, value + 1);
    settings_put(settings, SETTING_STORE, whole != NULL ? whole : value);
    free(whole);
}

static int line_read(struct settings *settings, char *line, const char *path, int number,
                     struct error *err)
{
    char quoted[QUOTE_BYTES];
    char *key = trim(line);
    if (*key == '\0' || *key == '#')
        return 0;
    char *equals = strchr(key, '=');
    if (equals == NULL)
        return error_set(err, ERR_INVALID, "%s:%d: a line must be `key = value`, not '%s'", path,
                         number, cli_quote(quoted, key));
    *equals = '\0';
    char *value = trim(equals + 1);
    key = trim(key);
    for (int i = SETTING_NONE + 1; i < SETTINGS; i++)
        if (strcmp(key, names[i].key) == 0) {
            if (i == SETTING_STORE)
                store_put(settings, value, path);
            else
                settings_put(settings, (enum setting)i, value);
            return 0;
        }
    return error_set(err, ERR_INVALID,
                     "%s:%d: unknown key '%s'; known are store, queue, slots, lease, stop-timeout",
                     path, number, cli_quote(quoted, key));
}

static bool others_read(FILE *file)
{
    struct stat st;
    return fstat(fileno(file), &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0;
}

int settings_read_file(struct settings *settings, const char *path, struct error *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return error_set(err, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO,
                         "cannot read the config file %s: %s", path, strerror(errno));
    char line[CONFIG_LINE_BYTES];
    int rc = 0;
    for (int number = 1; rc == 0 && fgets(line, sizeof(line), file) != NULL; number++) {
        if (strchr(line, '\n') == NULL && !feof(file))
            rc = error_set(err, ERR_INVALID, "%s:%d: a line longer than %zu bytes", path, number,
                           sizeof(line) - 2);
        else
            rc = line_read(settings, line, path, number, err);
    }
    if (rc == 0 && ferror(file))
        rc = error_set(err, ERR_IO, "cannot read the config file %s: %s", path, strerror(errno));
    const char *store = settings->value[SETTING_STORE];
    if (rc == 0 && store != NULL && uri_has_password(store) && others_read(file))
        settings->exposed = cli_copy(path);
    fclose(file);
    return rc;
}

/* `variable`/rest, else ~/`under`/rest; NULL without a home folder. XDG voids relative paths. */
static char *xdg_path(const char *variable, const char *under, const char *rest)
{
    const char *base = getenv(variable), *home = getenv("HOME");
    if (base != NULL && base[0] == '/')
        return cli_format("%s/%s", base, rest);
    return home != NULL && home[0] == '/' ? cli_format("%s/%s/%s", home, under, rest) : NULL;
}

int settings_load(struct settings *settings, struct error *err)
{
    const char *named = getenv("STINT_CONFIG");
    bool must = named != NULL && named[0] != '\0';
    char *path = must ? cli_copy(named) : xdg_path("XDG_CONFIG_HOME", ".config", "stint/config");
    int rc = path != NULL ? settings_read_file(settings, path, err) : ERR_NOT_FOUND;
    free(path);
    if (rc < 0 && (must || rc != ERR_NOT_FOUND))
        return rc;
    for (int i = SETTING_NONE + 1; i < SETTINGS; i++) {
        char *value = getenv(names[i].variable);
        if (value == NULL || value[0] == '\0')
            continue;
        settings_put(settings, (enum setting)i, value);
        if (i != SETTING_STORE)
            continue;
        free(settings->exposed);
        settings->exposed = NULL;
        /* What this process was given can be read (`ps e`) as long as it, or a child, lives: so
         * too by the jobs of a node. */
        if (uri_has_password(value))
            explicit_bzero(value, strlen(value));
    }
    return 0;
}

void settings_clear(struct settings *settings)
{
    for (int i = 0; i < SETTINGS; i++)
        free(settings->value[i]);
    free(settings->exposed);
    *settings = (struct settings){0};
}

char *settings_state_folder(void)
{
    return xdg_path("XDG_STATE_HOME", ".local/state", "stint");
}

int settings_default_store(char **ret_uri, struct error *err)
{
    char *folder = settings_state_folder();
    if (folder == NULL)
        return error_set(err, ERR_NOT_FOUND,
                         "no store is named and $HOME is not set; give --store "
                         "sqlite:PATH or set $STINT_STORE");
    *ret_uri = cli_format("sqlite:%s/stint.db", folder);
    free(folder);
    return 0;
}

/* ---- a URI out of a file --------------------------------------------------------------------- */

int store_uri_resolve(const char *named, char **ret_uri, bool *ret_exposed, struct error *err)
{
    char line[CONFIG_LINE_BYTES], quoted[QUOTE_BYTES];
    *ret_exposed = false;
    if (named[0] != '@') {
        *ret_uri = cli_copy(named);
        return 0;
    }
    const char *path = named + 1;
    cli_quote(quoted, path);
    FILE *file = path[0] != '\0' ? fopen(path, "re") : NULL;
    if (file == NULL)
        return error_set(err, ERR_INVALID, "cannot read the store's URI from '%s': %s", quoted,
                         path[0] != '\0' ? strerror(errno) : "write @PATH");
    errno = 0;
    bool read = fgets(line, sizeof(line), file) != NULL;
    int why = ferror(file) ? errno : 0;
    bool whole = read && (strchr(line, '\n') != NULL || feof(file)), exposed = others_read(file);
    fclose(file);
    if (why != 0)
        return error_set(err, ERR_INVALID, "cannot read the store's URI from %s: %s", quoted,
                         strerror(why));
    char *uri = read ? trim(line) : line;
    if (!whole || *uri == '\0' || *uri == '@')
        return error_set(err, ERR_INVALID, "the first line of %s must be the store's URI%s", quoted,
                         !read || *uri == '\0' ? ", it is empty" : "");
    *ret_uri = cli_copy(uri);
    *ret_exposed = exposed && uri_has_password(uri);
    explicit_bzero(line, sizeof(line));
    return 0;
}
