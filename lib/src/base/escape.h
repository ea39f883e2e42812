/* escape.h - bytes of a guest made fit for a terminal, a log and JSON */
#ifndef P2H_BASE_ESCAPE_H
#define P2H_BASE_ESCAPE_H

#include "base/buf.h"

/*
 * Appends text as valid UTF-8 on one line: control characters other than tab (NUL and newline too), characters that are invisible or turn the
 * writing direction, and bytes that are no UTF-8 become \xHH, byte by byte. A backslash stays as it is: the result is to be read, not decoded.
 */
void escape_append(struct buf *b, const char *text, size_t len);

/* The same bytes become '?', in place: for a message of one line, whose length is given. */
void escape_line(char *text);

#endif
