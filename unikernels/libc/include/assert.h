/* C's <assert.h>: a condition that does not hold ends the machine with a message. */
#ifndef JITSU_LIBC_ASSERT_H
#define JITSU_LIBC_ASSERT_H

#include "platform/platform.h"

#define ASSERT_TEXT_OF(number) #number
#define ASSERT_TEXT(number)    ASSERT_TEXT_OF(number)

#define assert(condition)                                                                          \
    ((condition) ? (void)0                                                                         \
                 : platform_fatal("assertion failed: " #condition ", " __FILE__                    \
                                  ":" ASSERT_TEXT(__LINE__)))

#endif
