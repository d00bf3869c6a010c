/* Finds what is secret in URIs by the places where it can stand, not by a parser of each scheme: a
 * password with an unescaped '/', '?' or '@' makes a URI that no parser takes, and it is the error
 * about it that would show the password.
 * Pure; any thread. */
#define _GNU_SOURCE /* strcasestr */
#include "datastore/uri.h"

#include <string.h>
#include <strings.h>

/* A stretch of text. */
struct piece {
    const char *at, *end;
};

static size_t len_of(struct piece piece)
{
    return (size_t)(piece.end - piece.at);
}

/* The first of `chars`, else the end. */
static const char *first_of(struct piece in, const char *chars)
{
    const char *at = in.at;
    while (at < in.end && strchr(chars, *at) == NULL)
        at++;
    return at;
}

static const char *last_of(struct piece in, char c)
{
    for (const char *at = in.end; at > in.at; at--)
        if (at[-1] == c)
            return at - 1;
    return NULL;
}

/* "host", "host:123", "[::1]:123", several after commas. */
static bool host_list(struct piece text)
{
    while (text.at < text.end) {
        struct piece host = {text.at, first_of(text, ",")};
        if (*host.at == '[')
            host.at = first_of(host, "]");
        for (const char *digit = first_of(host, ":") + 1; digit < host.end; digit++)
            if (*digit < '0' || *digit > '9')
                return false;
        text.at = host.end < text.end ? host.end + 1 : host.end;
    }
    return true;
}

/* What stands between the user's name and the host. `uri`: what follows "://". Only the value of a
 * setting can hold an '@' that has nothing to do with it. */
static bool user_secret(struct piece uri, struct piece *ret_secret)
{
    struct piece authority = {uri.at, first_of(uri, "/?")};
    struct piece query = {first_of(uri, "?"), uri.end};
    const char *at = last_of(authority, '@');
    if (at == NULL)
        at = last_of((struct piece){uri.at, first_of(query, "=&")}, '@');
    if (at == NULL && !host_list(authority))
        at = last_of(uri, '@');
    if (at == NULL)
        return false;
    const char *colon = first_of((struct piece){uri.at, at}, ":");
    *ret_secret = (struct piece){colon + 1, at};
    return colon < at;
}

static bool key_secret(struct piece key)
{
    static const char ending[] = "password", whole[] = "authMechanismProperties";
    size_t len = len_of(key), tail = sizeof(ending) - 1;
    return (len >= tail && strncasecmp(key.end - tail, ending, tail) == 0) ||
           (len == sizeof(whole) - 1 && strncasecmp(key.at, whole, len) == 0);
}

/* Where the text goes; size 0: nowhere, it is only looked at. */
struct out {
    char *to;
    size_t size, used;
    bool secret;
};

static void put(struct out *out, struct piece piece)
{
    size_t room = out->size > out->used ? out->size - out->used - 1 : 0;
    size_t n = len_of(piece) < room ? len_of(piece) : room;
    if (n > 0)
        memcpy(out->to + out->used, piece.at, n);
    out->used += n;
}

static void hide(struct out *out)
{
    static const char stars[] = "***";
    out->secret = true;
    put(out, (struct piece){stars, stars + sizeof(stars) - 1});
}

/* One URI from what follows its "://". */
static void uri_walk(struct piece uri, struct out *out)
{
    struct piece secret;
    const char *at = uri.at;
    if (user_secret(uri, &secret)) {
        put(out, (struct piece){at, secret.at});
        hide(out);
        at = secret.end;
    }
    const char *query = first_of((struct piece){at, uri.end}, "?");
    put(out, (struct piece){at, query});
    for (at = query; at < uri.end;) {
        struct piece setting = {at + 1, first_of((struct piece){at + 1, uri.end}, "&;")};
        const char *equals = first_of(setting, "=");
        bool hidden = equals < setting.end && key_secret((struct piece){setting.at, equals});
        put(out, (struct piece){at, hidden ? equals + 1 : setting.end});
        if (hidden)
            hide(out);
        at = setting.end;
    }
}

/* Behind the next "://", or what a person may write for it; NULL: there is none. */
static const char *uri_begin(const char *text)
{
    static const char *const schemes[] = {"://", "mongodb:", "mongodb+srv:"};
    const char *first = NULL, *begin = NULL;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        const char *found = strcasestr(text, schemes[i]);
        if (found == NULL || (first != NULL && found >= first))
            continue;
        first = found;
        begin = found + strlen(schemes[i]);
        begin += strspn(begin, "/");
    }
    return begin;
}

/* A URI ends at white space, unless that stands before the '@' of its host: in a password. */
static const char *uri_end(const char *uri)
{
    static const char white[] = " \t\r\n";
    const char *host = last_of((struct piece){uri, uri + strcspn(uri, "/?")}, '@');
    return (host != NULL ? host : uri) + strcspn(host != NULL ? host : uri, white);
}

static void walk(const char *text, struct out *out)
{
    const char *at = text;
    for (const char *begin; (begin = uri_begin(at)) != NULL;) {
        struct piece uri = {begin, uri_end(begin)};
        put(out, (struct piece){at, uri.at});
        uri_walk(uri, out);
        at = uri.end;
    }
    put(out, (struct piece){at, at + strlen(at)});
}

bool uri_has_password(const char *text)
{
    struct out out = {0};
    walk(text, &out);
    return out.secret;
}

char *uri_redact(char *shown, size_t size, const char *text)
{
    struct out out = {.to = shown, .size = size};
    walk(text, &out);
    shown[out.used] = '\0';
    return shown;
}
