/* Dates in HTTP (RFC 9110, section 5.6.7). */
#ifndef JITSU_HTTP_DATE_H
#define JITSU_HTTP_DATE_H

#include <stddef.h>
#include <stdint.h>

#define HTTP_DATE_FORM "Day, 00 Mon 0000 00:00:00 GMT"
#define HTTP_DATE_SIZE sizeof HTTP_DATE_FORM /* with its NUL */

/* Seconds since the epoch of a date in one of the three forms; -1 if it is none, or before the
 * epoch. */
int64_t http_date_parse(const char *text, size_t length);

/* Writes "Sun, 06 Nov 1994 08:49:37 GMT". `seconds` is from 0 to the end of the year 9999. */
void http_date_format(int64_t seconds, char text[HTTP_DATE_SIZE]);

#endif
