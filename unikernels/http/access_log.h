/* The access log: a line on the console for each request that was answered, if the option `log` is
 * given:
 *
 *     CLIENT "METHOD TARGET" STATUS BYTES
 *
 * BYTES are those of the body. What is no printable ASCII character in the request, and `"` and
 * `\`, is written as \xHH; a long request is cut, and "-" stands for one of which nothing is known.
 */
#ifndef JITSU_HTTP_ACCESS_LOG_H
#define JITSU_HTTP_ACCESS_LOG_H

#include "http/response.h"
#include "jitsu/http.h"
#include "jitsu/stream.h"

#define ACCESS_LOG_LINE_MAX 640

/* Writes the line, with its end, and returns its length. */
size_t access_log_line(const struct stream_address *client, const struct http_request *request,
                       const struct http_response *response, char line[ACCESS_LOG_LINE_MAX]);

#endif
