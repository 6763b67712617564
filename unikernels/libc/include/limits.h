/* The part of C's <limits.h> that lwIP uses. */
#ifndef JITSU_LIBC_LIMITS_H
#define JITSU_LIBC_LIMITS_H

#define CHAR_BIT 8
#define INT_MAX  __INT_MAX__
#define INT_MIN  (-INT_MAX - 1)
#define UINT_MAX (INT_MAX * 2u + 1)
#define LONG_MAX __LONG_MAX__
#define LONG_MIN (-LONG_MAX - 1)

#endif
