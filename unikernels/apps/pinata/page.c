#include "pinata/page.h"

#include <string.h>

#include "jitsu/http.h"
#include "jitsu/options.h"

static const char page[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>Piñata</title>\n"
    "<style>\n"
    "body { font: 1.1em/1.5 sans-serif; max-width: 38em; margin: 3em auto; padding: 0 1em }\n"
    "dt { font-weight: bold }\n"
    "</style>\n"
    "<h1>Piñata</h1>\n"
    "<p>This machine holds a secret. Whoever has a certificate that descends from its "
    "<a href=\"/ca.pem\">trust anchor</a>, and the key to it, is given the secret, over TLS. "
    "Nobody else is: hit it as hard as you like.\n"
    "<dl>\n"
    "<dt>Port 10000</dt><dd>it is a TLS server, and demands your certificate</dd>\n"
    "<dt>Port 10001</dt><dd>it connects back to your port 40001, as a TLS client</dd>\n"
    "<dt>Port 10002</dt><dd>it is a TLS client over the connection that you made</dd>\n"
    "</dl>\n"
    "<p>There is no other program in it: a unikernel, of an application, TLS, TCP/IP and drivers, "
    "of less than half a megabyte.\n"
    "</html>\n";

static struct tls_text authority;

static bool is(const struct http_request *request, const char *path)
{
    return strcmp(request->path, path) == 0;
}

static void answer(const struct http_request *request, struct http_response *response)
{
    if (request->method == HTTP_OTHER)
        http_error(response, 405);
    else if (is(request, "/"))
        http_reply(response, 200, "text/html; charset=utf-8", page, sizeof page - 1,
                   STREAM_IN_PLACE);
    else if (is(request, "/ca.pem"))
        http_reply(response, 200, "application/x-pem-file", authority.bytes, authority.length,
                   STREAM_IN_PLACE);
    else
        http_error(response, 404);
}

void page_listen(const struct contents *contents)
{
    authority = contents->authority;
    http_listen((uint16_t)option_number("port", 80, 1, 65535), answer);
}
