/* What is secret in a store's URI, and how the rest is shown.
 *
 * A password stands before the host (`scheme://user:password@host`), or in the query (settings
 * whose name ends in "password", and authMechanismProperties, which may hold a session's token).
 * Nothing that people, logs or records get to see holds a URI that has not gone through here. */
#ifndef STINT_URI_H
#define STINT_URI_H

#include <stdbool.h>
#include <stddef.h>

/* Whether there is anything to hide. In doubt (a URI that is not well-formed), there is. */
bool uri_has_password(const char *text);

/* The text with *** in the place of what is secret, in each URI that stands in it (a URI ends at
 * white space behind its host); cut to fit `size`, at least 1. Returns `shown`. */
char *uri_redact(char *shown, size_t size, const char *text);

#endif
