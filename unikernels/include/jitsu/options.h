/* The machine's command line: words separated by spaces, each NAME=VALUE or NAME. Where a name
 * comes twice, the last one counts. */
#ifndef JITSU_OPTIONS_H
#define JITSU_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

struct option {
    const char *value; /* not ended by a NUL; "" if the word has no `=` */
    size_t length;
};

/* The value of the option `name`, or {NULL, 0} if it is not given. It stays where it is as long as
 * the machine runs. */
struct option option_get(const char *name);

/* Goes through all options of that name: `*position` starts at 0. After the last: {NULL, 0}. */
struct option option_next(const char *name, size_t *position);

/* The option's value as a decimal number from `least` to `most`, `missing` if it is not given. Ends
 * the machine with a message that names the option if it is anything else. */
uint64_t option_number(const char *name, uint64_t missing, uint64_t least, uint64_t most);

#endif
