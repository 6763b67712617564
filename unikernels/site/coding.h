/* Content codings (RFC 9110, section 8.4.1): files that stand compressed beside others. */
#ifndef JITSU_SITE_CODING_H
#define JITSU_SITE_CODING_H

#include "jitsu/http.h"

/* The one that is preferred comes first. */
enum coding {
    CODING_BROTLI,
    CODING_GZIP,
    CODING_NONE,
};
#define CODINGS CODING_NONE

/* What it adds to a file's name; its name in HTTP. */
extern const char *const coding_suffixes[CODINGS];
extern const char *const coding_names[CODINGS];

/* The coding that the client likes best (RFC 9110, section 12.5.3), of those that have a bit in
 * `available` (1 << CODING_GZIP, say) and none at all. It is CODING_NONE, too, if the client
 * accepts nothing that there is. */
enum coding coding_choose(const struct http_request *request, unsigned available);

#endif
