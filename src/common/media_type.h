/* Media types by the ends of files' names. Unikernels use this too. */
#ifndef JITSU_COMMON_MEDIA_TYPE_H
#define JITSU_COMMON_MEDIA_TYPE_H

#include <stddef.h>

/* The type of which nothing is known. */
#define MEDIA_TYPE_UNKNOWN "application/octet-stream"

/* The type to send a file of this name as: a constant text; MEDIA_TYPE_UNKNOWN, compared by its
 * bytes, if the name says nothing. */
const char *media_type(const char *name, size_t length);

#endif
