/* Which settings an xl.cfg has, and in which lines: libxlutil finds a setting by its name, but
 * does not tell which there are. Pure. */
#ifndef JITSU_KEEPER_XEN_XL_KEYS_H
#define JITSU_KEEPER_XEN_XL_KEYS_H

#include <stddef.h>

struct xl_key {
    const char *name; /* in the bytes given, `length` of them */
    size_t length;
    unsigned line;
};

/* Calls `function` for each setting, in the order of the file. What is no setting is passed over:
 * libxlutil has something to say about that. */
typedef void xl_key_function(void *argument, const struct xl_key *key);
void xl_keys_list(const char *bytes, size_t length, xl_key_function *function, void *argument);

#endif
