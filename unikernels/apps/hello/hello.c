/* hello: the smallest web application, as an example. unikernels/README says what to do with it. */
#include <stdio.h>

#include "jitsu/application.h"
#include "jitsu/http.h"
#include "jitsu/options.h"

static void answer(const struct http_request *request, struct http_response *response)
{
    char text[HTTP_PATH_MAX + 32];
    int length = snprintf(text, sizeof text, "Hello, you asked for %s\n", request->path);

    http_reply(response, 200, "text/plain; charset=utf-8", text, (size_t)length, STREAM_COPY);
}

void application_main(void)
{
    http_listen((uint16_t)option_number("port", 80, 1, 65535), answer);
    network_serve();
}
