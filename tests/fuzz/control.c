/* A line from a client of the control socket: reading it is safe, and what is accepted is in
 * bounds. */
#include <stdlib.h>
#include <string.h>

#include "admin/control_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct control_request request;
    struct error error = {""};

    if (control_request_parse((const char *)bytes, length, &request, &error) != 0) {
        if (error.text[0] == '\0' || !memchr(error.text, '\0', sizeof error.text))
            abort();
        return 0;
    }
    if (request.command >= CONTROL_COMMANDS || request.state >= MACHINE_STATES ||
        strnlen(request.name, sizeof request.name) == sizeof request.name)
        abort();
    return 0;
}
