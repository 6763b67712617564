/* Requests as a site answers them: the answer must be a well-formed one, and what it sends must lie
 * in the site. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/request.h"
#include "http/response.h"
#include "site/answer.h"

#define TAG_A "aaaaaaaaaaaaaaaa"
#define TAG_B "bbbbbbbbbbbbbbbb"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static uint8_t archive[4096];
static size_t archive_length;

static void add(const char *name, const char *contents, unsigned modified)
{
    archive_length +=
        (size_t)snprintf((char *)archive + archive_length, sizeof archive - archive_length,
                         "070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X%s", 0u,
                         0100644u, 0u, 0u, 1u, modified, strlen(contents), 0u, 0u, 0u, 0u,
                         strlen(name) + 1, 0u, name) +
        1;
    archive_length = (archive_length + 3) & ~(size_t)3;
    memcpy(archive + archive_length, contents, strlen(contents));
    archive_length = (archive_length + strlen(contents) + 3) & ~(size_t)3;
}

static const struct site *make_site(void)
{
    static struct site *site;
    const char *problem;
    size_t position;

    if (site)
        return site;
    add(".jitsu/index", "index.html\ttext/html\t" TAG_A "\nindex.html.br\tx/y\t" TAG_B "\n", 0);
    add("index.html", "0123456789", 784111777);
    add("index.html.br", "brotli", 784111777);
    add("index.html.gz", "gz", 784111777);
    add("a", "abc", 0);
    add("dir/index.html", "in a directory", 1);
    add("404.html", "lost and not found", 1);
    add("404.html.gz", "zipped", 1);
    add("TRAILER!!!", "", 0);
    site = site_open(archive, archive_length, &problem, &position);
    if (!site)
        abort();
    return site;
}

static void check(bool holds, const char *what, const struct http_response *response)
{
    if (holds)
        return;
    fprintf(stderr, "%s:\n%.*s\n", what, (int)response->text_length, response->text);
    abort();
}

/* What the head says, line by line. */
struct head {
    int status;
    size_t length; /* with the empty line */
    uint64_t content_length;
    bool has_content_length, has_type;
};

static void read_field(const char *line, size_t length, struct head *head,
                       const struct http_response *response)
{
    const char *colon = memchr(line, ':', length);

    check(colon && colon > line && colon[1] == ' ', "a line is no header field", response);
    for (size_t i = 0; i < length; i++)
        check(line[i] >= ' ' && line[i] <= '~', "a header field has other characters", response);
    if (strncmp(line, "Content-Length: ", 16) == 0) {
        check(!head->has_content_length, "two lengths", response);
        head->has_content_length = true;
        head->content_length = strtoull(line + 16, NULL, 10);
    }
    head->has_type |= strncmp(line, "Content-Type: ", 14) == 0;
}

static struct head read_head(const struct http_response *response)
{
    struct head head = {0};
    const char *at = response->text, *end = at + response->text_length;

    for (bool is_first = true;; is_first = false) {
        const char *line_end = memchr(at, '\r', (size_t)(end - at));
        check(line_end && line_end + 1 < end && line_end[1] == '\n', "a line has no end", response);
        if (line_end == at)
            break;
        if (is_first) {
            check(sscanf(at, "HTTP/1.1 %3d ", &head.status) == 1, "no status line", response);
            check(head.status == response->status, "another status", response);
        } else {
            read_field(at, (size_t)(line_end - at), &head, response);
        }
        at = line_end + 2;
    }
    head.length = (size_t)(at + 2 - response->text);
    return head;
}

static void check_response(const struct http_response *response, enum http_method method)
{
    check(response->is_whole, "it is not whole", response);
    struct head head = read_head(response);
    size_t sent = response->text_length - head.length + response->body_length;

    check(head.status >= 200 && head.status < 600, "an impossible status", response);
    if (head.status == 304) {
        check(sent == 0 && !head.has_content_length, "a body where none may be", response);
        return;
    }
    check(head.has_content_length && head.has_type, "length or type is missing", response);
    check(sent == (method == HTTP_HEAD ? 0 : head.content_length), "another length", response);
    if (response->body_length > 0 && !response->copy)
        check(response->body >= archive &&
                  response->body + response->body_length <= archive + archive_length,
              "what is sent is not of the site", response);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct http_request request;
    struct http_response response;
    const struct site *site = make_site();
    int result = http_parse(bytes, length, &request);

    if (result == 0)
        return 0;
    response_start(&response, &request, result < 0);
    if (result < 0)
        http_error(&response, -result);
    else
        site_answer(site, &request, &response);
    check_response(&response, request.method);
    response_end(&response);
    return 0;
}
