#include "keeper/qemu/usernet.h"

#include <stdio.h>
#include <string.h>

struct row {
    char state[32];
    unsigned source_port, destination_port;
};

/* "  TCP[STATE]   17   127.0.0.1 40000   10.0.2.15    80     0     0" */
static bool parse_row(const char *line, struct row *row)
{
    return sscanf(line, " TCP[%31[A-Z0-9_]] %*d %*45s %5u %*45s %5u", row->state, &row->source_port,
                  &row->destination_port) == 3;
}

/* The next row of `state` for `port` at or after `*text`, which moves behind it. */
static bool next_row(const char **text, const char *state, uint16_t port, struct row *row)
{
    while (*text) {
        const char *line = *text;
        const char *end = strchr(line, '\n');
        *text = end ? end + 1 : NULL;
        if (parse_row(line, row) && strcmp(row->state, state) == 0 && row->destination_port == port)
            return true;
    }
    return false;
}

uint16_t usernet_forward(const char *text, uint16_t port)
{
    struct row row;
    if (!next_row(&text, "HOST_FORWARD", port, &row) || row.source_port > UINT16_MAX)
        return 0;
    return (uint16_t)row.source_port;
}

bool usernet_is_established(const char *text, uint16_t port)
{
    struct row row;
    return next_row(&text, "ESTABLISHED", port, &row);
}
