/* Media types by the ends of files' names. */
#ifndef JITSU_HTTP_MEDIA_TYPE_H
#define JITSU_HTTP_MEDIA_TYPE_H

#include <stddef.h>

/* The type to send a file of this name as; "application/octet-stream" if nothing is known. */
const char *media_type(const char *name, size_t length);

#endif
