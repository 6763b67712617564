/* Contents of any bytes get a type that an index line can hold, however they are cut into pieces.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "admin/client/content_type.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void type_of(const uint8_t *bytes, size_t length, size_t piece, char type[CONTENT_TYPE_SIZE])
{
    struct content content = {0};

    for (size_t at = 0; at < length; at += piece) {
        size_t count = length - at < piece ? length - at : piece;
        /* In a block of its own, so that reading beyond its end shows. */
        uint8_t *copy = malloc(count);
        if (!copy)
            abort();
        memcpy(copy, bytes + at, count);
        content_add(&content, copy, count);
        free(copy);
    }
    content_type(&content, "file", type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char whole[CONTENT_TYPE_SIZE], in_pieces[CONTENT_TYPE_SIZE];

    if (size == 0)
        return 0;
    type_of(data + 1, size - 1, size, whole);
    type_of(data + 1, size - 1, data[0] + 1u, in_pieces);
    if (strcmp(whole, in_pieces) != 0 || strchr(whole, '\n') || strchr(whole, '\t') ||
        !strchr(whole, '/'))
        abort();
    return 0;
}
