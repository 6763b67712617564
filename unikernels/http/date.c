#include "http/date.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define DAY         INT64_C(86400)
#define LAST_SECOND INT64_C(253402300799) /* of the year 9999 */

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* the epoch was a Thursday */

/* Days from the epoch to a date of the Gregorian calendar. Years are counted from March on, so that
 * the leap day is a year's last. */
static int64_t days_from_date(int64_t year, unsigned month, unsigned day)
{
    year -= month < 3;
    int64_t era = year / 400;
    unsigned year_of_era = (unsigned)(year - era * 400);
    unsigned day_of_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, unsigned *year, unsigned *month, unsigned *day)
{
    days += 719468;
    unsigned era = (unsigned)(days / 146097);
    unsigned day_of_era = (unsigned)(days % 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * day_of_year + 2) / 153;
    *day = day_of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = year_of_era + era * 400 + (*month < 3);
}

struct fields {
    const char *at, *end;
    bool failed;
};

static void skip(struct fields *fields, char separator)
{
    if (fields->at < fields->end && *fields->at == separator)
        fields->at++;
    else
        fields->failed = true;
}

/* `digits` decimal digits; a leading space counts as 0 (asctime's day). */
static unsigned number(struct fields *fields, unsigned digits)
{
    unsigned value = 0;

    for (unsigned i = 0; i < digits; i++) {
        if (fields->at == fields->end ||
            !(isdigit((uint8_t)*fields->at) || (i == 0 && *fields->at == ' '))) {
            fields->failed = true;
            return 0;
        }
        char c = *fields->at++;
        value = value * 10 + (c == ' ' ? 0 : (unsigned)(c - '0'));
    }
    return value;
}

static unsigned month(struct fields *fields)
{
    if (fields->end - fields->at >= 3) {
        for (unsigned i = 0; i < 12; i++) {
            if (memcmp(fields->at, months + 3 * i, 3) == 0) {
                fields->at += 3;
                return i + 1;
            }
        }
    }
    fields->failed = true;
    return 1;
}

static int64_t time_of_day(struct fields *fields)
{
    unsigned hours = number(fields, 2);
    skip(fields, ':');
    unsigned minutes = number(fields, 2);
    skip(fields, ':');
    unsigned seconds = number(fields, 2);
    if (hours > 23 || minutes > 59 || seconds > 60)
        fields->failed = true;
    return hours * INT64_C(3600) + minutes * 60 + seconds;
}

int64_t http_date_parse(const char *text, size_t length)
{
    struct fields fields = {.at = text, .end = text + length};
    const char *comma = memchr(text, ',', length);
    unsigned year, of_year, day;
    int64_t time;

    if (!comma) { /* Sun Nov  6 08:49:37 1994 */
        if (length != 24)
            return -1;
        fields.at += 4;
        of_year = month(&fields);
        skip(&fields, ' ');
        day = number(&fields, 2);
        skip(&fields, ' ');
        time = time_of_day(&fields);
        skip(&fields, ' ');
        year = number(&fields, 4);
    } else {
        bool is_fixed = comma - text == 3;     /* Sun, 06 Nov 1994 08:49:37 GMT */
        char separator = is_fixed ? ' ' : '-'; /* Sunday, 06-Nov-94 08:49:37 GMT */
        fields.at = comma + 1;
        skip(&fields, ' ');
        day = number(&fields, 2);
        skip(&fields, separator);
        of_year = month(&fields);
        skip(&fields, separator);
        year = is_fixed ? number(&fields, 4) : number(&fields, 2);
        if (!is_fixed)
            year += year < 70 ? 2000 : 1900;
        skip(&fields, ' ');
        time = time_of_day(&fields);
        if (fields.end - fields.at != 4 || memcmp(fields.at, " GMT", 4) != 0)
            return -1;
    }
    if (fields.failed || day < 1 || day > 31 || year < 1970)
        return -1;
    return days_from_date(year, of_year, day) * DAY + time;
}

static void put_number(char *text, unsigned number)
{
    text[0] = (char)('0' + number / 10 % 10);
    text[1] = (char)('0' + number % 10);
}

void http_date_format(int64_t seconds, char text[HTTP_DATE_SIZE])
{
    unsigned year, of_year, day;

    if (seconds < 0)
        seconds = 0;
    if (seconds > LAST_SECOND)
        seconds = LAST_SECOND;
    unsigned time = (unsigned)(seconds % DAY);
    date_from_days(seconds / DAY, &year, &of_year, &day);
    memcpy(text, HTTP_DATE_FORM, HTTP_DATE_SIZE);
    memcpy(text, weekdays + 3 * (seconds / DAY % 7), 3);
    put_number(text + 5, day);
    memcpy(text + 8, months + 3 * (of_year - 1), 3);
    put_number(text + 12, year / 100);
    put_number(text + 14, year);
    put_number(text + 17, time / 3600);
    put_number(text + 20, time / 60 % 60);
    put_number(text + 23, time % 60);
}
