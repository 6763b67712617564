/* The console: standard output, line by line.
 *
 * A reader that stalls must not stall the process: it is waited for, but not for long, and once it
 * has been given up only what it takes at once is written, until it reads again. */
#include "jitsu/console.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "platform/unix/process.h"

#define PATIENCE_MS 100

/* A pipe that is ready takes at least PIPE_BUF bytes without blocking. */
static char line[4096];
static size_t line_length;
static bool given_up;

void console_flush(void)
{
    struct pollfd output = {.fd = STDOUT_FILENO, .events = POLLOUT};

    if (line_length == 0)
        return;
    given_up = poll(&output, 1, given_up ? 0 : PATIENCE_MS) != 1;
    if (!given_up && write(STDOUT_FILENO, line, line_length) < 0)
        given_up = true;
    line_length = 0;
}

void console_write(const char *text, size_t length)
{
    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        size_t count = end ? (size_t)(end - text) + 1 : length;
        if (count > sizeof line - line_length)
            count = sizeof line - line_length;
        memcpy(line + line_length, text, count);
        line_length += count;
        if (line[line_length - 1] == '\n' || line_length == sizeof line)
            console_flush();
        text += count;
        length -= count;
    }
}
