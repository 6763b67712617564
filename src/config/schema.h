/* Mappings of the file, described by tables: one row for each key. Reading by the table finds
 * unknown, doubled and missing keys and nodes of the wrong kind in one place. */
#ifndef JITSU_CONFIG_SCHEMA_H
#define JITSU_CONFIG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/loading.h"

#define CONFIG_KEYS_MAX 48 /* in one mapping */

enum config_key_type {
    CONFIG_KEY_NUMBER,
    CONFIG_KEY_SIZE,
    CONFIG_KEY_DURATION,
    CONFIG_KEY_WORD,     /* one of `words`; their number is stored */
    CONFIG_KEY_PATH,     /* made absolute */
    CONFIG_KEY_OWN,      /* read by `take` */
    CONFIG_KEY_LIST,     /* `take` reads each item; one scalar stands for a list of one. An item may
                            be a mapping where there is a `schema`. */
    CONFIG_KEY_MAPPING,  /* by `schema` into the same object */
    CONFIG_KEY_MAPPINGS, /* a list of mappings, each by `schema` */
};

enum config_taken {
    CONFIG_TAKEN,
    CONFIG_WRONG,    /* to be reported with what the key expects */
    CONFIG_REPORTED, /* wrong, and reported by `take` */
};

struct config_schema;

struct config_key {
    const char *name;
    enum config_key_type type;
    bool required;
    uint8_t width;        /* of the member that takes the value, in bytes */
    size_t offset;        /* and where it is in the object */
    uint64_t least, most; /* of the value; of a list: how many items */
    const char *const *words;
    const char *expected; /* for OWN and LIST: "a prefix such as 10.0.0.0/8" */
    enum config_taken (*take)(struct config_loading *loading, void *object,
                              const struct config_scalar *scalar);
    /* Called when the key is found, before its value is taken; may be NULL. */
    void (*found)(struct config_loading *loading, void *object, struct config_mark mark);
    const struct config_schema *schema;
};

/* The member that takes a value, for designated initialisers of struct config_key. */
#define CONFIG_MEMBER(type, member)                                                                \
    .offset = offsetof(type, member), .width = (uint8_t)sizeof(((type *)NULL)->member)

struct config_schema {
    const char *what; /* "a service" */
    const struct config_key *keys;
    size_t count;
    /* Of entries of a list: gives the object to fill for each, and takes it when it is complete. */
    void *(*begin)(struct config_loading *loading);
    void (*end)(struct config_loading *loading, void *object);
};

/* Reads the mapping that the source has just entered. */
void config_read_mapping(struct config_loading *loading, const struct config_schema *schema,
                         void *object);

/* The path as an absolute one; NULL (reported, unless it is empty) if it is none. `key` is its
 * name.
 */
char *config_take_path(struct config_loading *loading, const struct config_scalar *scalar,
                       const char *key);

#endif
