#include "admin/client/decompress.h"

#define ZLIB_CONST /* input is not written to */

#include <brotli/decode.h>
#include <stdbool.h>
#include <string.h>
#include <zlib.h>

#define PIECE            32768
#define GZIP_WINDOW_BITS (MAX_WBITS + 16) /* 16: with gzip's header */

/* The bytes that are still to come out. */
struct expected {
    const uint8_t *bytes;
    size_t size;
};

static bool take(struct expected *expected, const uint8_t *piece, size_t length)
{
    if (length > expected->size || memcmp(expected->bytes, piece, length) != 0)
        return false;
    expected->bytes += length;
    expected->size -= length;
    return true;
}

enum holding gzip_holds(const uint8_t *coded, size_t coded_size, const uint8_t *bytes, size_t size)
{
    z_stream stream = {.next_in = coded, .avail_in = (uInt)coded_size};
    struct expected expected = {bytes, size};
    uint8_t piece[PIECE];
    int status = inflateInit2(&stream, GZIP_WINDOW_BITS);
    bool same = true;

    if (status != Z_OK)
        return HOLDS_UNKNOWN;
    while (status == Z_OK && same) {
        stream.next_out = piece;
        stream.avail_out = sizeof piece;
        status = inflate(&stream, Z_NO_FLUSH);
        same = take(&expected, piece, sizeof piece - stream.avail_out);
        /* A file may have several members (RFC 1952 section 2.2). */
        if (status == Z_STREAM_END && stream.avail_in > 0)
            status = inflateReset(&stream);
    }
    inflateEnd(&stream);
    if (status == Z_MEM_ERROR)
        return HOLDS_UNKNOWN;
    return same && status == Z_STREAM_END && expected.size == 0 ? HOLDS_SAME : HOLDS_OTHER;
}

enum holding brotli_holds(const uint8_t *coded, size_t coded_size, const uint8_t *bytes,
                          size_t size)
{
    BrotliDecoderState *decoder = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    BrotliDecoderResult status = BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
    struct expected expected = {bytes, size};
    uint8_t piece[PIECE];
    bool same = true;

    if (!decoder)
        return HOLDS_UNKNOWN;
    while (status == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT && same) {
        uint8_t *next = piece;
        size_t room = sizeof piece;
        status = BrotliDecoderDecompressStream(decoder, &coded_size, &coded, &room, &next, NULL);
        same = take(&expected, piece, sizeof piece - room);
    }
    BrotliDecoderDestroyInstance(decoder);
    return same && status == BROTLI_DECODER_RESULT_SUCCESS && coded_size == 0 && expected.size == 0
               ? HOLDS_SAME
               : HOLDS_OTHER;
}
