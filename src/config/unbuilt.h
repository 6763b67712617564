/* What the format has but this version of jitsud cannot do yet. To build one of them means to
 * delete its line in unbuilt.c. */
#ifndef JITSU_CONFIG_UNBUILT_H
#define JITSU_CONFIG_UNBUILT_H

/* Why `value` of `key` is refused, as a message for the operator, or NULL if it is not. */
const char *config_unbuilt(const char *key, const char *value);

#endif
