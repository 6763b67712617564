/* HTTP requests as the unikernels read them, whole and cut anywhere. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static struct http_request request;
    int result = http_parse(bytes, length, &request);

    if (result > (int)length || (result == 0 && length >= HTTP_HEAD_MAX))
        abort();
    if (result > 0 && request.method != HTTP_OTHER) {
        if (request.path_length == 0 || request.path_length >= HTTP_PATH_MAX ||
            request.path[0] != '/' || strlen(request.path) != request.path_length ||
            strstr(request.path, "/../") || strstr(request.path, "//"))
            abort();
    }
    for (size_t i = 0; result > 0 && i < request.query.length; i++)
        if ((uint8_t)request.query.at[i] <= ' ' || request.query.at[i] == 0x7f)
            abort();
    /* A head that is whole does not depend on what follows it. */
    if (result > 0 && http_parse(bytes, (size_t)result, &request) != result)
        abort();
    return 0;
}
