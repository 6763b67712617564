#include <time.h>

#define DAY_SECONDS              86400
#define DAYS_TO_1970             719468 /* from 0000-03-01, where years are counted from below */
#define DAYS_OF_400              146097
#define DAYS_OF_100              36524
#define DAYS_OF_4                1461
#define DAYS_OF_1                365
#define DAYS_IN_MARCH_TO_JANUARY 306

/* The calendar repeats itself every 400 years. In years that begin in March a leap day is the last
 * of its year, and months are 153 days in five, wherever one starts. */
struct tm *gmtime_r(const time_t *seconds, struct tm *fields)
{
    int64_t day = *seconds / DAY_SECONDS, second = *seconds % DAY_SECONDS;

    if (second < 0) {
        second += DAY_SECONDS;
        day--;
    }
    fields->tm_hour = (int)(second / 3600);
    fields->tm_min = (int)(second / 60 % 60);
    fields->tm_sec = (int)(second % 60);
    fields->tm_wday = (int)(((day + 4) % 7 + 7) % 7); /* 1970 began on a Thursday */
    fields->tm_isdst = 0;

    day += DAYS_TO_1970;
    int64_t era = (day >= 0 ? day : day - (DAYS_OF_400 - 1)) / DAYS_OF_400;
    int in_era = (int)(day - era * DAYS_OF_400);
    int year =
        (in_era - in_era / (DAYS_OF_4 - 1) + in_era / DAYS_OF_100 - in_era / (DAYS_OF_400 - 1)) /
        DAYS_OF_1;
    int in_year = in_era - (DAYS_OF_1 * year + year / 4 - year / 100);
    int month = (5 * in_year + 2) / 153; /* March: 0 */
    fields->tm_mday = in_year - (153 * month + 2) / 5 + 1;
    fields->tm_mon = month < 10 ? month + 2 : month - 10;
    int64_t full_year = year + era * 400 + (month >= 10);
    fields->tm_year = (int)(full_year - 1900);
    int leap = (full_year % 4 == 0 && full_year % 100 != 0) || full_year % 400 == 0;
    fields->tm_yday = month < 10 ? in_year + 59 + leap : in_year - DAYS_IN_MARCH_TO_JANUARY;
    return fields;
}
