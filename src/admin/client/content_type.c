#include "admin/client/content_type.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/media_type.h"

#define UTF8_PARAMETER "; charset=utf-8"

/* A byte that begins a sequence, or stands alone. The ranges are those of the Unicode standard's
 * table 3-7: they leave out overlong forms, surrogates, and what is beyond U+10FFFF. */
static void begin_sequence(struct content *content, uint8_t byte)
{
    content->lowest = 0x80;
    content->highest = 0xbf;
    if (byte >= 0xc2 && byte <= 0xdf) {
        content->continuation = 1;
    } else if (byte >= 0xe0 && byte <= 0xef) {
        content->continuation = 2;
        if (byte == 0xe0)
            content->lowest = 0xa0;
        else if (byte == 0xed)
            content->highest = 0x9f;
    } else if (byte >= 0xf0 && byte <= 0xf4) {
        content->continuation = 3;
        if (byte == 0xf0)
            content->lowest = 0x90;
        else if (byte == 0xf4)
            content->highest = 0x8f;
    } else {
        content->not_utf8 = true;
    }
}

static void continue_sequence(struct content *content, uint8_t byte)
{
    if (byte < content->lowest || byte > content->highest)
        content->not_utf8 = true;
    content->continuation--;
    content->lowest = 0x80;
    content->highest = 0xbf;
}

/* Tab, line feed, form feed, carriage return and escape are found in text, the others are not. */
static bool is_binary(uint8_t byte)
{
    return byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\f' && byte != '\r' &&
           byte != 0x1b;
}

void content_add(struct content *content, const uint8_t *bytes, size_t length)
{
    size_t room = CONTENT_START - content->start_length;
    size_t first = length < room ? length : room;

    memcpy(content->start + content->start_length, bytes, first);
    content->start_length += first;
    for (size_t i = 0; i < length && !(content->not_utf8 && content->binary); i++) {
        if (content->continuation > 0)
            continue_sequence(content, bytes[i]);
        else if (bytes[i] >= 0x80)
            begin_sequence(content, bytes[i]);
        if (is_binary(bytes[i]))
            content->binary = true;
    }
}

/* Formats that have their name in fixed bytes at a fixed place. */
static const char *type_by_signature(const struct content *content)
{
    static const struct {
        unsigned offset, length;
        const char *bytes, *type;
    } signatures[] = {
        {0, 8, "\x89PNG\r\n\x1a\n", "image/png"},
        {0, 3, "\xff\xd8\xff", "image/jpeg"},
        {0, 4, "GIF8", "image/gif"},
        {8, 4, "WEBP", "image/webp"},
        {4, 8, "ftypavif", "image/avif"},
        {0, 4, "\0\0\1\0", "image/x-icon"},
        {0, 5, "%PDF-", "application/pdf"},
        {0, 4, "wOF2", "font/woff2"},
        {0, 4, "wOFF", "font/woff"},
        {0, 4, "OTTO", "font/otf"},
        {0, 5, "\0\1\0\0\0", "font/ttf"},
        {0, 4, "\0asm", "application/wasm"},
        {0, 2, "\x1f\x8b", "application/gzip"},
        {0, 4, "PK\3\4", "application/zip"},
        {0, 6,
         "\xfd"
         "7zXZ",
         "application/x-xz"},
        {257, 5, "ustar", "application/x-tar"},
        {4, 4, "ftyp", "video/mp4"},
        {0, 4, "\x1a\x45\xdf\xa3", "video/webm"},
        {0, 4, "OggS", "audio/ogg"},
        {0, 4, "fLaC", "audio/flac"},
        {0, 3, "ID3", "audio/mpeg"},
        {8, 4, "WAVE", "audio/wav"},
    };

    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++)
        if (content->start_length >= signatures[i].offset + signatures[i].length &&
            memcmp(content->start + signatures[i].offset, signatures[i].bytes,
                   signatures[i].length) == 0)
            return signatures[i].type;
    return NULL;
}

struct text {
    const char *bytes;
    size_t length;
};

static bool starts_with(struct text text, const char *start)
{
    size_t length = strlen(start);
    return text.length >= length && strncasecmp(text.bytes, start, length) == 0;
}

static struct text without(struct text text, size_t count)
{
    return (struct text){text.bytes + count, text.length - count};
}

/* Skips to behind `end`, or to the end of the text. */
static struct text behind(struct text text, const char *end)
{
    const char *found = memmem(text.bytes, text.length, end, strlen(end));
    return without(text, found ? (size_t)(found - text.bytes) + strlen(end) : text.length);
}

static struct text without_space(struct text text)
{
    size_t count = 0;
    while (count < text.length && memchr(" \t\n\f\r", text.bytes[count], 5))
        count++;
    return without(text, count);
}

/* What begins with the first tag or document type of a text in HTML or XML; anything else is
 * returned as it is. */
static struct text first_tag(struct text text, bool *is_xml)
{
    if (starts_with(text, "\xef\xbb\xbf"))
        text = without(text, 3);
    text = without_space(text);
    *is_xml = starts_with(text, "<?xml");
    for (;;) {
        if (starts_with(text, "<?"))
            text = without_space(behind(text, "?>"));
        else if (starts_with(text, "<!--"))
            text = without_space(behind(text, "-->"));
        else if (*is_xml && starts_with(text, "<!doctype"))
            text = without_space(behind(text, ">"));
        else
            return text;
    }
}

/* The name is `tag`, and ends there. */
static bool is_tag(struct text text, const char *tag)
{
    return starts_with(text, tag) && text.length > strlen(tag) &&
           memchr(" \t\n\f\r>/", text.bytes[strlen(tag)], 7);
}

/* `text` has no binary bytes. */
static const char *type_of_text(struct text text)
{
    static const char *const html[] = {"<html",  "<head", "<title", "<meta", "<link", "<script",
                                       "<style", "<body", "<main",  "<div",  "<p",    "<h1",
                                       "<table", "<a",    "<b",     "<br",   "<ul"};
    bool is_xml;
    struct text tag = first_tag(text, &is_xml);

    if (is_tag(tag, "<svg") || is_tag(tag, "<!doctype svg"))
        return "image/svg+xml";
    if (is_tag(tag, "<rss"))
        return "application/rss+xml";
    if (is_tag(tag, "<feed"))
        return "application/atom+xml";
    if (is_xml)
        return is_tag(tag, "<html") ? "application/xhtml+xml" : "application/xml";
    if (is_tag(tag, "<!doctype html"))
        return "text/html";
    for (size_t i = 0; i < sizeof html / sizeof html[0]; i++)
        if (is_tag(tag, html[i]))
            return "text/html";
    return "text/plain";
}

static const char *type_by_contents(const struct content *content)
{
    struct text text = {(const char *)content->start, content->start_length};
    const char *type = type_by_signature(content);

    if (type)
        return type;
    return content->binary ? MEDIA_TYPE_UNKNOWN : type_of_text(text);
}

void content_type(const struct content *content, const char *name, char type[CONTENT_TYPE_SIZE])
{
    const char *known = media_type(name, strlen(name));
    bool is_utf8 = !content->not_utf8 && content->continuation == 0;

    if (strcmp(known, MEDIA_TYPE_UNKNOWN) == 0)
        known = type_by_contents(content);
    int length = (int)strcspn(known, ";");
    snprintf(type, CONTENT_TYPE_SIZE, "%.*s%s", length, known,
             is_utf8 && strncmp(known, "text/", 5) == 0 ? UTF8_PARAMETER : "");
}

static bool is_any_of(const char *type, const char *const *types, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

bool content_type_compresses(const char *type, enum compress_kind *kind)
{
    static const char *const texts[] = {"application/json", "application/xml"};
    static const char *const fonts[] = {"font/otf", "font/ttf"};
    static const char *const others[] = {"application/wasm", "application/x-tar", "image/x-icon"};

#define IS_ANY_OF(types) is_any_of(type, types, sizeof types / sizeof types[0])
    if (strncmp(type, "text/", 5) == 0 || ends_with(type, "+xml") || ends_with(type, "+json") ||
        IS_ANY_OF(texts))
        *kind = COMPRESS_TEXT;
    else if (IS_ANY_OF(fonts))
        *kind = COMPRESS_FONT;
    else if (IS_ANY_OF(others))
        *kind = COMPRESS_BYTES;
    else
        return false;
#undef IS_ANY_OF
    return true;
}
