/* HTTP/1.1 requests (RFC 9110, RFC 9112), as bytes and nothing more: no connections, no files. */
#ifndef JITSU_WWW_HTTP_H
#define JITSU_WWW_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEAD_MAX 8192u /* bytes of a request's head; more is 431 */
#define HTTP_PATH_MAX 1024u /* bytes of a decoded path, with its NUL; more is 414 */

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_OTHER, /* a method that exists, but not here: 405 */
};

/* bytes=FIRST-LAST, with what is not given as HTTP_NO_OFFSET: FIRST- or -COUNT (in `last`). */
#define HTTP_NO_OFFSET UINT64_MAX
struct http_range {
    bool given;
    uint64_t first, last;
};

struct http_request {
    enum http_method method;
    bool keep_alive; /* the connection stays open after the answer */
    bool has_body;   /* what follows the head is a body, not a request */
    bool accepts_gzip;
    bool if_none_match;        /* the header is there */
    int64_t if_modified_since; /* seconds since the epoch; -1: not given, or not understood */
    int64_t if_range;          /* the same; -2: given, but no date */
    struct http_range range;   /* only one range, only of bytes; else it is as if not given */
    char path[HTTP_PATH_MAX];  /* decoded, starts with '/', no empty, `.` or `..` segment in it;
                                  ended  by a NUL, and no other in it */
    size_t path_length;
    const char
        *query; /* from the '?' on, in the bytes given to http_parse(); "" if there is none */
    size_t query_length;
};

/* Parses the request that `bytes` start with. Returns its head's length, 0 if more bytes are
 * needed, or the negative status to answer with: -400, -414, -431, -501 or -505. After an error the
 * connection can only be closed; `request->method` is right for what the answer may contain. */
int http_parse(const uint8_t *bytes, size_t length, struct http_request *request);

/* The reason phrase of a status that this server sends. */
const char *http_reason(int status);

#endif
