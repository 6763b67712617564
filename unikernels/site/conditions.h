/* What a request asks of a file besides its name, as its header fields say it. */
#ifndef JITSU_SITE_CONDITIONS_H
#define JITSU_SITE_CONDITIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "jitsu/http.h"

/* bytes=FIRST-LAST, with what is not given as NO_OFFSET: FIRST- or -COUNT (in `last`). */
#define NO_OFFSET UINT64_MAX
struct byte_range {
    uint64_t first, last;
};

/* RFC 9110, section 14.1.2. Returns false if no range is asked for, more than one, or none of
 * bytes, or what is asked for is not understood: then all of the file is sent. */
bool condition_range(const struct http_request *request, struct byte_range *range);

/* Is this the date, or earlier than that, for which the client has the file? `modified` is in
 * seconds since the epoch. */
bool condition_not_modified(const struct http_request *request, int64_t modified);

/* Does the client want a range only of another version of the file than that modified then? */
bool condition_range_is_stale(const struct http_request *request, int64_t modified);

/* Does the client take gzip (RFC 9110, section 12.5.3)? */
bool condition_accepts_gzip(const struct http_request *request);

#endif
