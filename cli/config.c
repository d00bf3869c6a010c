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
            settings_put(settings, (enum setting)i, value);
            return 0;
        }
    return error_set(err, ERR_INVALID,
                     "%s:%d: unknown key '%s'; known are store, queue, slots, lease, stop-timeout",
                     path, number, cli_quote(quoted, key));
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
        const char *value = getenv(names[i].variable);
        if (value != NULL && value[0] != '\0')
            settings_put(settings, (enum setting)i, value);
    }
    return 0;
}

void settings_clear(struct settings *settings)
{
    for (int i = 0; i < SETTINGS; i++)
        free(settings->value[i]);
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

bool uri_has_password(const char *uri)
{
    const char *host = strstr(uri, "://");
    if (host == NULL)
        return false;
    host += 3;
    size_t authority = strcspn(host, "/?");
    const char *at = memrchr(host, '@', authority);
    return at != NULL && memchr(host, ':', (size_t)(at - host)) != NULL;
}
