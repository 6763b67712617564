/* Durations and sizes for people, the same in jitsuctl and on the status page. */
#ifndef JITSU_ADMIN_TEXT_H
#define JITSU_ADMIN_TEXT_H

#include <stdint.h>

/* Room for any of these texts, with its NUL. */
#define TEXT_SIZE 48

/* "450 ms", "12 s", "3 m 05 s", "2 h 10 m", "3 d 4 h"; returns `text`. */
const char *text_duration(double seconds, char text[TEXT_SIZE]);

/* "16M", "1.5G", "512K", "100"; returns `text`. */
const char *text_size(uint64_t bytes, char text[TEXT_SIZE]);

#endif
