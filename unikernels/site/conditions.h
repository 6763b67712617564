/* What a request asks of a file besides its name, as its header fields say it. */
#ifndef JITSU_SITE_CONDITIONS_H
#define JITSU_SITE_CONDITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "jitsu/http.h"

/* What a version of a file is known by. */
struct validators {
    const char *etag; /* a strong one, with its quotes; "": there is none */
    int64_t modified; /* seconds since the epoch; 0: not known */
};

/* If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since, in the order of RFC 9110,
 * section 13.2.2. Returns 0 if the file is to be sent, else the status to answer with: 304 (the
 * client has it) or 412 (the client wants another version). */
int condition_check(const struct http_request *request, const struct validators *file);

/* bytes=FIRST-LAST, with what is not given as NO_OFFSET: FIRST- or -COUNT (in `last`). */
#define NO_OFFSET UINT64_MAX
struct byte_range {
    uint64_t first, last;
};

/* RFC 9110, section 14.2. Returns false if no range is asked for, or more than one, or none of
 * bytes, or only of another version of the file (If-Range), or what is asked for is not understood:
 * then all of the file is sent. */
bool condition_range(const struct http_request *request, const struct validators *file,
                     struct byte_range *range);

#endif
