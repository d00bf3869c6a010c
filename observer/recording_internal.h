/* What writer and reader of recordings share, and nobody else includes. */
#ifndef STINT_OBSERVER_RECORDING_INTERNAL_H
#define STINT_OBSERVER_RECORDING_INTERNAL_H

/* The file begins with these bytes, which are in no text. */
#define RECORDING_MAGIC "\x89stint\r\n"
enum { RECORDING_MAGIC_BYTES = sizeof(RECORDING_MAGIC) - 1, RECORDING_FORMAT = 1 };

enum recording_frame { FRAME_START = 1, FRAME_FACTS, FRAME_END };

#endif
