#include "common/media_type.h"

#include <string.h>
#include <strings.h>

const char *media_type(const char *name, size_t length)
{
    static const struct {
        char suffix[12];
        const char *type;
    } types[] = {
        {"html", "text/html; charset=utf-8"},
        {"css", "text/css; charset=utf-8"},
        {"js", "text/javascript; charset=utf-8"},
        {"png", "image/png"},
        {"jpg", "image/jpeg"},
        {"svg", "image/svg+xml"},
        {"ico", "image/x-icon"},
        {"webp", "image/webp"},
        {"jpeg", "image/jpeg"},
        {"gif", "image/gif"},
        {"avif", "image/avif"},
        {"woff2", "font/woff2"},
        {"woff", "font/woff"},
        {"ttf", "font/ttf"},
        {"otf", "font/otf"},
        {"json", "application/json"},
        {"txt", "text/plain; charset=utf-8"},
        {"htm", "text/html; charset=utf-8"},
        {"xhtml", "application/xhtml+xml"},
        {"xml", "application/xml"},
        {"atom", "application/atom+xml"},
        {"rss", "application/rss+xml"},
        {"md", "text/markdown; charset=utf-8"},
        {"csv", "text/csv; charset=utf-8"},
        {"vtt", "text/vtt; charset=utf-8"},
        {"ics", "text/calendar; charset=utf-8"},
        {"mjs", "text/javascript; charset=utf-8"},
        {"map", "application/json"},
        {"wasm", "application/wasm"},
        {"webmanifest", "application/manifest+json"},
        {"pdf", "application/pdf"},
        {"zip", "application/zip"},
        {"gz", "application/gzip"},
        {"tar", "application/x-tar"},
        {"xz", "application/x-xz"},
        {"mp3", "audio/mpeg"},
        {"ogg", "audio/ogg"},
        {"opus", "audio/ogg"},
        {"wav", "audio/wav"},
        {"flac", "audio/flac"},
        {"m4a", "audio/mp4"},
        {"mp4", "video/mp4"},
        {"webm", "video/webm"},
    };
    size_t start = length;

    while (start > 0 && name[start - 1] != '.' && name[start - 1] != '/')
        start--;
    if (start > 0 && name[start - 1] == '.')
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
            if (strlen(types[i].suffix) == length - start &&
                strncasecmp(types[i].suffix, name + start, length - start) == 0)
                return types[i].type;
    return MEDIA_TYPE_UNKNOWN;
}
