#include "config/unbuilt.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum match { EXACTLY, BEGINNING, ANYTHING };

static const struct {
    const char *key;
    enum match match;
    const char *value;
    const char *message;
} unbuilt[] = {
    {"name", BEGINNING, "*.",
     "names with a wildcard are not built yet; expected a whole name such as www.example.org"},
    {"aliases", BEGINNING, "*.",
     "names with a wildcard are not built yet; expected a whole name such as www.example.org"},
};

static bool matches(enum match match, const char *pattern, const char *value)
{
    switch (match) {
    case EXACTLY:
        return strcmp(pattern, value) == 0;
    case BEGINNING:
        return strncmp(pattern, value, strlen(pattern)) == 0;
    case ANYTHING:
        break;
    }
    return true;
}

const char *config_unbuilt(const char *key, const char *value)
{
    for (size_t i = 0; i < sizeof unbuilt / sizeof unbuilt[0]; i++)
        if (strcmp(unbuilt[i].key, key) == 0 && matches(unbuilt[i].match, unbuilt[i].value, value))
            return unbuilt[i].message;
    return NULL;
}
