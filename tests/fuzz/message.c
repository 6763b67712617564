/* Bytes that the other process sent: whatever they are, checking them is safe, and what is accepted
 * is sent on as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "keeper/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct message message;
    if (message_check(bytes, length, &message) != 0)
        return 0;
    if (message_size(&message) != length || memcmp(&message, bytes, length) != 0)
        abort();
    return 0;
}
