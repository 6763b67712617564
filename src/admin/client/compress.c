#include "admin/client/compress.h"

#define ZLIB_CONST /* input is not written to */

#include <brotli/encode.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zlib.h>

#define GZIP_LEVEL       9
#define GZIP_WINDOW_BITS (MAX_WBITS + 16) /* 16: with gzip's header */
#define GZIP_MEMORY      8                /* zlib's default */

/* Keeps `size` bytes of `buffer` if the compressor got to its end, and nothing if it ran out of
 * room. */
static void keep(struct compressed *result, uint8_t *buffer, size_t size, bool finished)
{
    if (!finished) {
        free(buffer);
        return;
    }
    uint8_t *fitting = realloc(buffer, size);
    *result = (struct compressed){fitting ? fitting : buffer, size};
}

int compress_gzip(const uint8_t *bytes, size_t size, size_t limit, struct compressed *result)
{
    z_stream stream = {
        .next_in = bytes,
        .avail_in = (uInt)size,
        .avail_out = (uInt)limit,
    };
    uint8_t *buffer = malloc(limit + 1);

    *result = (struct compressed){0};
    if (!buffer)
        return -1;
    stream.next_out = buffer;
    if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        free(buffer);
        return -1;
    }
    bool finished = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    keep(result, buffer, stream.total_out, finished);
    deflateEnd(&stream);
    return 0;
}

int compress_brotli(const uint8_t *bytes, size_t size, size_t limit, enum compress_kind kind,
                    struct compressed *result)
{
    static const BrotliEncoderMode modes[] = {
        [COMPRESS_BYTES] = BROTLI_MODE_GENERIC,
        [COMPRESS_TEXT] = BROTLI_MODE_TEXT,
        [COMPRESS_FONT] = BROTLI_MODE_FONT,
    };
    BrotliEncoderState *encoder = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    uint8_t *buffer = malloc(limit + 1), *next = buffer;
    size_t room = limit, total = 0;
    int status = -1;

    *result = (struct compressed){0};
    if (!encoder || !buffer)
        goto done;
    BrotliEncoderSetParameter(encoder, BROTLI_PARAM_MODE, modes[kind]);
    BrotliEncoderSetParameter(encoder, BROTLI_PARAM_QUALITY, BROTLI_MAX_QUALITY);
    BrotliEncoderSetParameter(encoder, BROTLI_PARAM_SIZE_HINT, (uint32_t)size);
    if (!BrotliEncoderCompressStream(encoder, BROTLI_OPERATION_FINISH, &size, &bytes, &room, &next,
                                     &total))
        goto done;
    keep(result, buffer, total, BrotliEncoderIsFinished(encoder));
    buffer = NULL;
    status = 0;
done:
    free(buffer);
    if (encoder)
        BrotliEncoderDestroyInstance(encoder);
    return status;
}
