/* grubenv.h - GRUB 2's environment block: a heading, lines "name=value", '#' up to its size (GRUB manual, "Environment block") */
#ifndef P2H_PARSE_GRUBENV_H
#define P2H_PARSE_GRUBENV_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/* The value as it stands there, escapes included; NULL: no environment block, or the name is not set. Not NUL-terminated. */
const char *grubenv_get(const char *text, size_t len, const char *name, size_t *ret_len);

/*
 * The block with another value for the name, or without it (value NULL); everything else and the size stay. value must have no backslash and no
 * line end, which the format escapes. False, and out is empty: no environment block, or the new value finds no room.
 */
bool grubenv_set(const char *text, size_t len, const char *name, const char *value, struct buf *out);

#endif
