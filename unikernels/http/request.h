/* HTTP/1.1 requests (RFC 9110, RFC 9112), as bytes and nothing more: no connections, no files.
 *
 * What another server on the way might understand in another way is an error: lines that do not end
 * in CRLF, control characters, folded lines, space before a colon, a body of two lengths. */
#ifndef JITSU_HTTP_REQUEST_H
#define JITSU_HTTP_REQUEST_H

#include "jitsu/http.h"

/* Parses the request that `bytes` start with, and points into them. Returns its head's length, 0 if
 * more bytes are needed, or the negative status to answer with: -400, -414, -431, -501 or -505.
 * After an error the connection can only be closed; `request->method` is right for what the answer
 * may contain. */
int http_parse(const uint8_t *bytes, size_t length, struct http_request *request);

#endif
