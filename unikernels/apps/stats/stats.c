/* stats: shows how its machine booted, phase by phase, and how it is: a page at / for people, and
 * /stats.json for programs.
 *
 * Options: port=N (80), name=NAME (of the service). */
#include <string.h>

#include "jitsu/application.h"
#include "jitsu/http.h"
#include "jitsu/options.h"
#include "stats/facts.h"
#include "stats/json.h"
#include "stats/page.h"
#include "stats/text.h"

#define TEXT_MAX (24 * 1024)

static void answer(const struct http_request *request, struct http_response *response)
{
    static char bytes[TEXT_MAX];
    struct text text = {.at = bytes, .size = sizeof bytes};
    bool page = strcmp(request->path, "/") == 0, json = strcmp(request->path, "/stats.json") == 0;

    if (!page && !json) {
        http_error(response, 404);
        return;
    }
    if (request->method == HTTP_OTHER) {
        http_error(response, 405);
        return;
    }
    struct facts facts = facts_now();
    (page ? page_write : json_write)(&text, &facts);
    if (text.overrun) {
        http_error(response, 500);
        return;
    }
    http_begin(response, 200);
    http_header(response, "Cache-Control", "no-store");
    if (page)
        http_header(response, "Content-Security-Policy",
                    "default-src 'none'; style-src 'unsafe-inline'; img-src data:");
    http_body(response, page ? "text/html; charset=utf-8" : "application/json", text.at,
              text.length, STREAM_COPY);
}

void application_main(void)
{
    http_listen((uint16_t)option_number("port", 80, 1, 65535), answer);
    network_serve();
}
