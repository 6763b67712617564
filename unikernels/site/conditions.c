#include "site/conditions.h"

#include <string.h>

#include "http/date.h"
#include "http/text.h"

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

bool condition_range(const struct http_request *request, struct byte_range *range)
{
    struct http_text value = request->fields[HTTP_RANGE], unit;

    if (!http_next_piece(&value, '=', &unit) || !http_equals_any_case(http_trim(unit), "bytes") ||
        !value.at || memchr(value.at, ',', value.length))
        return false;
    return parse_positions(value, range);
}

static int64_t date(struct http_text text)
{
    return text.at ? http_date_parse(text.at, text.length) : -1;
}

bool condition_not_modified(const struct http_request *request, int64_t modified)
{
    int64_t since = date(request->fields[HTTP_IF_MODIFIED_SINCE]);

    return since >= 0 && !request->fields[HTTP_IF_NONE_MATCH].at && modified > 0 &&
           modified <= since;
}

bool condition_range_is_stale(const struct http_request *request, int64_t modified)
{
    struct http_text value = request->fields[HTTP_IF_RANGE];

    return value.at && (modified == 0 || date(value) != modified);
}

bool condition_accepts_gzip(const struct http_request *request)
{
    struct http_text list = request->fields[HTTP_ACCEPT_ENCODING], member, coding, weight;

    while (http_next_piece(&list, ',', &member)) {
        if (!http_next_piece(&member, ';', &coding) ||
            !http_equals_any_case(http_trim(coding), "gzip"))
            continue;
        if (!http_next_piece(&member, ';', &weight))
            return true;
        weight = http_trim(weight);
        for (size_t i = 0; i < weight.length; i++)
            if (weight.at[i] >= '1' && weight.at[i] <= '9')
                return true;
        return false;
    }
    return false;
}
