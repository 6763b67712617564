/* The file as a stream of YAML nodes with their places. Only what a configuration needs is let
 * through: one document, no anchors, aliases or tags; those are reported here. */
#ifndef JITSU_CONFIG_SOURCE_H
#define JITSU_CONFIG_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/faults.h"

/* A file larger than this many bytes is refused. */
#define CONFIG_FILE_MAX ((size_t)256 * 1024 * 1024)

enum config_node {
    CONFIG_NODE_END, /* nothing follows, or the source was stopped */
    CONFIG_NODE_SCALAR,
    CONFIG_NODE_ALIAS, /* reported already: to be taken as a value that is wrong */
    CONFIG_NODE_LIST,
    CONFIG_NODE_LIST_END,
    CONFIG_NODE_MAPPING,
    CONFIG_NODE_MAPPING_END,
};

struct config_scalar {
    const char *text; /* valid until the next call of config_source_next() */
    size_t length;    /* a NUL follows; there may be others in the text */
    struct config_mark mark;
    bool empty;    /* nothing was written: `key:` */
    bool literal;  /* the text stands in the file character by character, on one line... */
    uint32_t skip; /* ...this many columns after the mark */
};

struct config_source;

/* Reads from `descriptor`, which stays the caller's; or from memory, if `text` is not NULL. NULL if
 * memory is exhausted. */
struct config_source *config_source_new(int descriptor, const char *text, size_t length,
                                        struct config_faults *faults);
void config_source_free(struct config_source *source);

/* Goes to the next node. After an error in the YAML itself, which is reported, and after
 * config_source_stop(), it is CONFIG_NODE_END for ever. */
enum config_node config_source_next(struct config_source *source);

/* The place of the current node, and the scalar that it is. */
struct config_mark config_source_mark(const struct config_source *source);
const struct config_scalar *config_source_scalar(const struct config_source *source);

/* Passes over the rest of the current node, whose kind is `node`. */
void config_source_skip(struct config_source *source, enum config_node node);

/* Ends the reading early. */
void config_source_stop(struct config_source *source);

/* Was the reading ended before the end of the file? */
bool config_source_stopped(const struct config_source *source);

#endif
