/* An HTTP/1.1 server (RFC 9110, RFC 9112) for applications that answer requests at once, from what
 * they have in memory.
 *
 * It keeps connections, reads requests, and ends clients that keep it waiting; the application says
 * what the answer is:
 *
 *     static void answer(const struct http_request *request, struct http_response *response)
 *     {
 *         http_reply(response, 200, "text/plain", "hello\n", 6, STREAM_IN_PLACE);
 *     }
 *
 * after http_listen(80, answer) and network_serve(). */
#ifndef JITSU_HTTP_H
#define JITSU_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jitsu/stream.h"

#define HTTP_HEAD_MAX 8192u /* bytes of a request's head; more is 431 */
#define HTTP_PATH_MAX 1024u /* bytes of a decoded path, with its NUL; more is 414 */
#define HTTP_LIST_MAX 512u  /* bytes of the lists that came in several fields; more is 431 */

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_OTHER, /* one that exists: 405, most likely */
};

/* The header fields whose values an answer may depend on. */
enum http_field {
    HTTP_ACCEPT_ENCODING,
    HTTP_IF_MATCH,
    HTTP_IF_MODIFIED_SINCE,
    HTTP_IF_NONE_MATCH,
    HTTP_IF_RANGE,
    HTTP_IF_UNMODIFIED_SINCE,
    HTTP_RANGE,
    HTTP_FIELDS,
};

/* A piece of the request, not ended by a NUL; `at` is NULL if it was not given. */
struct http_text {
    const char *at;
    size_t length;
};

/* A request, as long as the answer is being made. */
struct http_request {
    enum http_method method;
    bool keep_alive; /* the client does not mind if the connection stays open after the answer */
    bool has_body;   /* one follows, which is not read */
    char path[HTTP_PATH_MAX]; /* decoded; starts with '/'; no empty, `.` or `..` segment is in it;
                                 ended by a NUL, and no other is in it */
    size_t path_length;
    struct http_text query; /* from the '?' on; no control character or space is in it */
    /* Without the space around them. A list that came in several fields is one here; of other
     * fields only one may come, else it is as if none was given (none of these must be heeded). */
    struct http_text fields[HTTP_FIELDS];
    struct http_text line; /* METHOD TARGET as they came; of a request that cannot be understood,
                              all of its first line, up to where it is broken */
    char lists[HTTP_LIST_MAX]; /* where lists were put together */
    size_t lists_length;
};

struct http_response;

/* Answers a request, before it returns: by http_reply() or http_error(), or by http_begin(), any
 * number of http_header(), and http_body() or http_no_body(). */
typedef void http_answer(const struct http_request *request, struct http_response *response);

/* Serves HTTP on `port`. There is one `answer` in a machine, which may serve several ports. */
void http_listen(uint16_t port, http_answer *answer);

/* Begins an answer with a status, 200 to 599. */
void http_begin(struct http_response *response, int status);

/* Adds a header field. What the connection and the body need is added by itself. There is room for
 * about 1500 bytes in all; what does not fit is a mistake of the application's and ends the
 * machine.
 */
void http_header(struct http_response *response, const char *name, const char *value);

/* Ends an answer with a body of a media type (NULL: none is said). `how`: STREAM_COPY or
 * STREAM_IN_PLACE (jitsu/stream.h). Where the method is HEAD it is not sent, but described. */
void http_body(struct http_response *response, const char *type, const void *bytes, size_t length,
               unsigned how);

/* Ends an answer that has no body by its status: 204 or 304. */
void http_no_body(struct http_response *response);

/* The whole of an answer without header fields of its own. */
void http_reply(struct http_response *response, int status, const char *type, const void *bytes,
                size_t length, unsigned how);

/* The whole of an answer with a small page that tells a person what the status means. */
void http_error(struct http_response *response, int status);

/* Ends an answer that was begun with that page. */
void http_error_page(struct http_response *response);

#endif
