#include "site/conditions.h"

#include <string.h>

#include "http/date.h"
#include "http/text.h"

/* Takes the next entity tag of a list. Returns false at its end, or where it is broken. */
static bool next_tag(struct http_text *list, struct http_text *tag, bool *is_weak)
{
    while (list->length > 0 && memchr(" \t,", list->at[0], 3))
        list->at++, list->length--;
    *is_weak = list->length > 1 && list->at[0] == 'W' && list->at[1] == '/';
    if (*is_weak)
        list->at += 2, list->length -= 2;
    if (list->length == 0 || list->at[0] != '"')
        return false;
    const char *end = memchr(list->at + 1, '"', list->length - 1);
    if (!end)
        return false;
    *tag = (struct http_text){list->at, (size_t)(end + 1 - list->at)};
    *list = (struct http_text){end + 1, list->length - tag->length};
    return true;
}

/* Is the file among those of a list of entity tags, or `*`? Weak ones count only if `weakly`
 * (RFC 9110, section 8.8.3.2). */
static bool matches(struct http_text list, const char *etag, bool weakly)
{
    struct http_text tag;
    bool is_weak;

    if (http_equals(list, "*"))
        return true;
    while (next_tag(&list, &tag, &is_weak))
        if ((weakly || !is_weak) && http_equals(tag, etag))
            return true;
    return false;
}

/* -1 if it is none. */
static int64_t date(struct http_text text)
{
    return text.at ? http_date_parse(text.at, text.length) : -1;
}

/* May it be this version? */
static bool is_wanted(const struct http_request *request, const struct validators *file)
{
    struct http_text list = request->fields[HTTP_IF_MATCH];

    if (list.at)
        return matches(list, file->etag, false);
    int64_t since = date(request->fields[HTTP_IF_UNMODIFIED_SINCE]);
    return since < 0 || file->modified == 0 || file->modified <= since;
}

static bool client_has_it(const struct http_request *request, const struct validators *file)
{
    struct http_text list = request->fields[HTTP_IF_NONE_MATCH];

    if (list.at)
        return matches(list, file->etag, true);
    int64_t since = date(request->fields[HTTP_IF_MODIFIED_SINCE]);
    return since >= 0 && file->modified != 0 && file->modified <= since;
}

int condition_check(const struct http_request *request, const struct validators *file)
{
    if (!is_wanted(request, file))
        return 412;
    return client_has_it(request, file) ? 304 : 0;
}

/* Is the version the one that If-Range names, if it names one? */
static bool is_same_version(const struct http_request *request, const struct validators *file)
{
    struct http_text value = request->fields[HTTP_IF_RANGE];

    if (!value.at)
        return true;
    if (memchr(value.at, '"', value.length))
        return http_equals(value, file->etag);
    return file->modified != 0 && date(value) == file->modified;
}

/* FIRST-LAST, FIRST- or -COUNT. */
static bool parse_positions(struct http_text value, struct byte_range *range)
{
    struct http_text first, last;

    *range = (struct byte_range){.first = NO_OFFSET, .last = NO_OFFSET};
    if (!http_next_piece(&value, '-', &first) || !http_next_piece(&value, '-', &last) || value.at)
        return false;
    first = http_trim(first);
    last = http_trim(last);
    if ((first.length > 0 && !http_number(first, &range->first)) ||
        (last.length > 0 && !http_number(last, &range->last)))
        return false;
    return first.length == 0 ? last.length > 0 : last.length == 0 || range->first <= range->last;
}

bool condition_range(const struct http_request *request, const struct validators *file,
                     struct byte_range *range)
{
    struct http_text value = request->fields[HTTP_RANGE], unit;

    if (!http_next_piece(&value, '=', &unit) || !http_equals_any_case(http_trim(unit), "bytes") ||
        !value.at || memchr(value.at, ',', value.length))
        return false;
    return is_same_version(request, file) && parse_positions(value, range);
}
