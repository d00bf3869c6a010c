/* Error codes' texts and the caller's error buffer. Pure; any thread. */
#include "datastore/error.h"

#include <stdarg.h>
#include <stdio.h>

const char *error_text(int code)
{
    switch (code) {
    case 0:
        return "ok";
#define X(name, value, text)                                                                       \
    case name:                                                                                     \
        return text;
        ERROR_MAP(X)
#undef X
    default:
        return "unknown error";
    }
}

int error_set(struct error *err, int code, const char *format, ...)
{
    if (err == NULL)
        return code;
    va_list args;
    va_start(args, format);
    err->code = code;
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return code;
}
