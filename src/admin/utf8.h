/* Text from guests and clients is not always UTF-8; JSON and HTML must be. */
#ifndef JITSU_ADMIN_UTF8_H
#define JITSU_ADMIN_UTF8_H

#include <stddef.h>

/* Bytes that `length` bytes can become: each could be replaced by U+FFFD. */
#define UTF8_ROOM(length) ((length)*3)

/* Copies `length` bytes into `text` (room for UTF8_ROOM(length) bytes, no NUL is added), with what
 * is not UTF-8 replaced by U+FFFD, as the Unicode standard recommends (section 3.9, U+FFFD
 * substitution of maximal subparts). Returns the bytes written. If `unfinished` is not NULL, a
 * sequence that the input ends in the middle of is not written: `*unfinished` says how many bytes
 * it has (at most 3), and they are to be put before what comes next. */
size_t utf8_replace_invalid(const void *bytes, size_t length, char *text, size_t *unfinished);

#endif
