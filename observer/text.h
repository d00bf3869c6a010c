/* Numbers and times as the observer writes them: short, and the same in every view. */
#ifndef STINT_OBSERVER_TEXT_H
#define STINT_OBSERVER_TEXT_H

#include <stdint.h>

#include "observer/moment.h"

enum { TEXT_BYTES = 64, ANY_DAY = 1 };

char *text_count(char text[TEXT_BYTES], int64_t n); /* "1,204,332" */
char *text_short(char text[TEXT_BYTES], double n);  /* "999", "1.2k", "34k", "1.2M" */
char *text_span(char text[TEXT_BYTES], int64_t ms); /* "120ms", "3.4s", "5m12s", "2h05m", "3d" */
char *text_clock(char text[TEXT_BYTES], int64_t utc_ms); /* "14:03:22" local; "-" for 0 */
/* With month and day before it where that is another day than that of `beside_ms` or that is
 * ANY_DAY. */
char *text_when(char text[TEXT_BYTES], int64_t utc_ms, int64_t beside_ms);
/* The same in no more than eight columns: of another day only the day, "11-21". */
char *text_brief(char text[TEXT_BYTES], int64_t utc_ms, int64_t beside_ms);
/* A stored id as people write it: "17", "mail:17". */
char *text_id(char text[ID_TEXT_BYTES], const struct moment *moment, int64_t id);
/* The id that a text like "17" or "mail:17" names; without a colon it is of the lane with that
 * number. 0: none, or it was not handed out yet. */
int64_t text_to_id(const struct moment *moment, const char *text, int32_t lane);
char *text_lane(char text[2 * TEXT_BYTES], const struct lane_name *name); /* as ids show it */
/* Adds a character as UTF-8; one that does not fit or is not printable is left out. */
void text_add(char *text, size_t size, int code);

#endif
