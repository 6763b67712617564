/* Errors as values: a message for a person, filled in by the function that failed. */
#ifndef JITSU_COMMON_ERROR_H
#define JITSU_COMMON_ERROR_H

#define ERROR_TEXT_SIZE 512

/* A failure in words: what failed, on what, why. Starts in lower case, ends without a full stop. */
struct error {
    char text[ERROR_TEXT_SIZE];
};

/* Writes a formatted message into `error` (which may be NULL) and returns -1, so that a caller can
 * `return error_set(...)`. A longer message is cut at ERROR_TEXT_SIZE - 1 bytes. */
int error_set(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, with ": " and strerror(errno) appended. errno is kept. */
int error_set_errno(struct error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
