#include "config/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/value.h"

#define EXPECTED_SIZE 256

/* --- what a key expects, in words --- */

static void describe_words(const struct config_key *key, char text[EXPECTED_SIZE])
{
    size_t used = 0;
    for (size_t i = 0; key->words[i]; i++) {
        const char *separator = i == 0 ? "" : key->words[i + 1] ? ", " : " or ";
        used +=
            (size_t)snprintf(text + used, EXPECTED_SIZE - used, "%s'%s'", separator, key->words[i]);
    }
}

static const char *describe(const struct config_key *key, char text[EXPECTED_SIZE])
{
    char least[CONFIG_UNIT_TEXT_SIZE], most[CONFIG_UNIT_TEXT_SIZE];
    switch (key->type) {
    case CONFIG_KEY_NUMBER:
        snprintf(text, EXPECTED_SIZE, "a number from %" PRIu64 " to %" PRIu64, key->least,
                 key->most);
        return text;
    case CONFIG_KEY_SIZE:
        snprintf(text, EXPECTED_SIZE, "a size from %s to %s, such as 32M or 4G",
                 config_size_format(key->least, least), config_size_format(key->most, most));
        return text;
    case CONFIG_KEY_DURATION:
        snprintf(text, EXPECTED_SIZE, "a time from %s to %s, such as 150ms, 10s or 2m",
                 config_duration_format(key->least, least),
                 config_duration_format(key->most, most));
        return text;
    case CONFIG_KEY_WORD:
        describe_words(key, text);
        return text;
    case CONFIG_KEY_PATH:
        return "the path of a file or directory";
    case CONFIG_KEY_MAPPING:
        return "a mapping of keys to values";
    case CONFIG_KEY_MAPPINGS:
        return "a list of mappings";
    case CONFIG_KEY_OWN:
    case CONFIG_KEY_LIST:
        break;
    }
    return key->expected;
}

/* --- single values --- */

static void store(const struct config_key *key, void *object, uint64_t value)
{
    char *member = (char *)object + key->offset;
    uint8_t value8 = (uint8_t)value;
    uint16_t value16 = (uint16_t)value;
    uint32_t value32 = (uint32_t)value;
    switch (key->width) {
    case 1:
        memcpy(member, &value8, 1);
        break;
    case 2:
        memcpy(member, &value16, 2);
        break;
    case 4:
        memcpy(member, &value32, 4);
        break;
    default:
        memcpy(member, &value, 8);
    }
}

static enum config_taken take_number(const struct config_key *key, void *object, const char *text)
{
    uint64_t value;
    int result = key->type == CONFIG_KEY_SIZE       ? config_parse_size(text, &value)
                 : key->type == CONFIG_KEY_DURATION ? config_parse_duration(text, &value)
                                                    : config_number_parse(text, &value);
    if (result != 0 || value < key->least || value > key->most)
        return CONFIG_WRONG;
    store(key, object, value);
    return CONFIG_TAKEN;
}

static enum config_taken take_word(const struct config_key *key, void *object, const char *text)
{
    int number = config_word_parse(key->words, text);
    if (number < 0)
        return CONFIG_WRONG;
    store(key, object, (uint64_t)number);
    return CONFIG_TAKEN;
}

static char *absolute_path(struct config_loading *loading, const struct config_scalar *scalar,
                           const char *key, size_t most)
{
    char path[CONFIG_PATH_MAX];
    if (scalar->length == 0)
        return NULL;
    int length = scalar->text[0] == '/'
                     ? snprintf(path, sizeof path, "%s", scalar->text)
                     : snprintf(path, sizeof path, "%s/%s", loading->directory, scalar->text);
    if (length < 0 || (size_t)length > most) {
        config_fault(loading->faults, scalar->mark,
                     "the path of '%s' is longer than %zu bytes; expected a shorter one", key,
                     most);
        return NULL;
    }
    return config_loading_text(loading, path);
}

char *config_take_path(struct config_loading *loading, const struct config_scalar *scalar,
                       const char *key)
{
    return absolute_path(loading, scalar, key, CONFIG_PATH_MAX - 1);
}

static enum config_taken take_path(struct config_loading *loading, const struct config_key *key,
                                   void *object, const struct config_scalar *scalar)
{
    size_t most = key->most ? key->most : CONFIG_PATH_MAX - 1;
    char *text = absolute_path(loading, scalar, key->name, most);
    if (!text)
        return scalar->length == 0 ? CONFIG_WRONG : CONFIG_REPORTED;
    memcpy((char *)object + key->offset, &text, sizeof text);
    return CONFIG_TAKEN;
}

static void report_wrong(struct config_loading *loading, const struct config_key *key,
                         const struct config_scalar *scalar)
{
    char text[EXPECTED_SIZE];
    if (scalar->length == 0)
        config_fault(loading->faults, scalar->mark, "'%s' has no value; expected %s", key->name,
                     describe(key, text));
    else
        config_fault(loading->faults, scalar->mark, "'%s' is no value for '%s'; expected %s",
                     config_quote(scalar->text).text, key->name, describe(key, text));
}

static void take_scalar(struct config_loading *loading, const struct config_key *key, void *object)
{
    const struct config_scalar *scalar = config_source_scalar(loading->source);
    if (memchr(scalar->text, '\0', scalar->length)) {
        config_fault(loading->faults, scalar->mark,
                     "the value of '%s' contains a NUL character; expected text without",
                     key->name);
        return;
    }
    enum config_taken taken = CONFIG_WRONG;
    switch (key->type) {
    case CONFIG_KEY_NUMBER:
    case CONFIG_KEY_SIZE:
    case CONFIG_KEY_DURATION:
        taken = take_number(key, object, scalar->text);
        break;
    case CONFIG_KEY_WORD:
        taken = take_word(key, object, scalar->text);
        break;
    case CONFIG_KEY_PATH:
        taken = take_path(loading, key, object, scalar);
        break;
    case CONFIG_KEY_OWN:
    case CONFIG_KEY_LIST:
        taken = key->take(loading, object, scalar);
        break;
    case CONFIG_KEY_MAPPING:
    case CONFIG_KEY_MAPPINGS:
        break;
    }
    if (taken == CONFIG_WRONG)
        report_wrong(loading, key, scalar);
}

/* --- nodes of the wrong kind --- */

/* Reports and passes over a node that should have been something else. */
static void refuse_node(struct config_loading *loading, const struct config_key *key,
                        enum config_node node)
{
    char text[EXPECTED_SIZE];
    const char *found = node == CONFIG_NODE_LIST      ? "a list"
                        : node == CONFIG_NODE_MAPPING ? "a mapping"
                                                      : "a single value";
    if (node == CONFIG_NODE_END)
        return;
    if (node != CONFIG_NODE_ALIAS)
        config_fault(loading->faults, config_source_mark(loading->source),
                     "'%s' is %s; expected %s", key->name, found, describe(key, text));
    config_source_skip(loading->source, node);
}

/* --- values of several parts --- */

static void read_entry(struct config_loading *loading, const struct config_schema *schema);

/* A mapping within the entry that is being read. */
static void read_part(struct config_loading *loading, const struct config_schema *schema)
{
    struct config_mark mark = loading->object_mark;
    read_entry(loading, schema);
    loading->object_mark = mark;
}

static void take_item(struct config_loading *loading, const struct config_key *key, void *object,
                      enum config_node node)
{
    if (node == CONFIG_NODE_SCALAR) {
        take_scalar(loading, key, object);
        return;
    }
    if (node == CONFIG_NODE_MAPPING && key->schema) {
        read_part(loading, key->schema);
        return;
    }
    char text[EXPECTED_SIZE];
    if (node != CONFIG_NODE_ALIAS)
        config_fault(loading->faults, config_source_mark(loading->source),
                     "'%s' holds %s; expected %s", key->name,
                     node == CONFIG_NODE_LIST ? "a list" : "a mapping", describe(key, text));
    config_source_skip(loading->source, node);
}

static void read_list(struct config_loading *loading, const struct config_key *key, void *object)
{
    char text[EXPECTED_SIZE];
    struct config_mark mark = config_source_mark(loading->source);
    uint64_t count = 0;
    for (;;) {
        enum config_node node = config_source_next(loading->source);
        if (node == CONFIG_NODE_END)
            return;
        if (node == CONFIG_NODE_LIST_END)
            break;
        if (++count <= key->most) {
            take_item(loading, key, object, node);
            continue;
        }
        if (count == key->most + 1)
            config_fault(loading->faults, config_source_mark(loading->source),
                         "too many items in '%s'; expected at most %" PRIu64, key->name, key->most);
        config_source_skip(loading->source, node);
    }
    if (count < key->least)
        config_fault(loading->faults, mark, "'%s' is an empty list; expected %s", key->name,
                     describe(key, text));
}

static void read_entry(struct config_loading *loading, const struct config_schema *schema)
{
    loading->object_mark = config_source_mark(loading->source);
    void *object = schema->begin(loading);
    if (!object)
        return;
    config_read_mapping(loading, schema, object);
    if (!config_source_stopped(loading->source))
        schema->end(loading, object);
}

static void read_entries(struct config_loading *loading, const struct config_key *key)
{
    for (;;) {
        enum config_node node = config_source_next(loading->source);
        if (node == CONFIG_NODE_END || node == CONFIG_NODE_LIST_END)
            return;
        if (node == CONFIG_NODE_MAPPING) {
            read_entry(loading, key->schema);
            continue;
        }
        if (node != CONFIG_NODE_ALIAS)
            config_fault(loading->faults, config_source_mark(loading->source),
                         "'%s' holds %s; expected %s as a mapping of keys to values", key->name,
                         node == CONFIG_NODE_LIST ? "a list" : "a single value", key->schema->what);
        config_source_skip(loading->source, node);
    }
}

static void read_value(struct config_loading *loading, const struct config_key *key, void *object)
{
    enum config_node node = config_source_next(loading->source);
    bool empty = node == CONFIG_NODE_SCALAR && config_source_scalar(loading->source)->empty;
    if (key->found && node != CONFIG_NODE_END)
        key->found(loading, object, config_source_mark(loading->source));
    switch (key->type) {
    case CONFIG_KEY_MAPPING:
        /* A section whose lines are all commented out is an empty one. */
        if (node == CONFIG_NODE_MAPPING)
            config_read_mapping(loading, key->schema, object);
        else if (!empty)
            refuse_node(loading, key, node);
        return;
    case CONFIG_KEY_MAPPINGS:
        if (node == CONFIG_NODE_LIST)
            read_entries(loading, key);
        else if (!empty)
            refuse_node(loading, key, node);
        return;
    case CONFIG_KEY_LIST:
        if (node == CONFIG_NODE_LIST) {
            read_list(loading, key, object);
            return;
        }
        if (node == CONFIG_NODE_MAPPING && key->schema) {
            read_part(loading, key->schema);
            return;
        }
        break;
    default:
        break;
    }
    if (node == CONFIG_NODE_SCALAR)
        take_scalar(loading, key, object);
    else
        refuse_node(loading, key, node);
}

/* --- keys --- */

/* How many letters must be added, removed or replaced to make `b` of `a`; 32 if one of them is
 * longer than that, as no key is. */
static size_t distance(const char *a, const char *b)
{
    size_t row[33];
    size_t a_length = strlen(a), b_length = strlen(b);
    if (a_length > 32 || b_length > 32)
        return 32;
    for (size_t j = 0; j <= b_length; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            size_t shorter = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            diagonal = row[j];
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[b_length];
}

static const char *nearest_key(const struct config_schema *schema, const char *name)
{
    const char *nearest = NULL;
    size_t least = strlen(name) / 3 + 1;
    for (size_t i = 0; i < schema->count; i++) {
        size_t d = distance(name, schema->keys[i].name);
        if (d <= least && (!nearest || d < least)) {
            nearest = schema->keys[i].name;
            least = d;
        }
    }
    return nearest;
}

static void report_unknown(struct config_loading *loading, const struct config_schema *schema,
                           const struct config_scalar *scalar)
{
    char known[1024];
    size_t used = 0;
    const char *nearest = nearest_key(schema, scalar->text);
    if (nearest) {
        config_fault(loading->faults, scalar->mark, "unknown key '%s' in %s; expected perhaps '%s'",
                     config_quote(scalar->text).text, schema->what, nearest);
        return;
    }
    for (size_t i = 0; i < schema->count; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 schema->keys[i].name);
    config_fault(loading->faults, scalar->mark, "unknown key '%s' in %s; expected one of %s",
                 config_quote(scalar->text).text, schema->what, known);
}

/* The number of the key, or schema->count. */
static size_t find_key(const struct config_schema *schema, const char *name)
{
    size_t i = 0;
    while (i < schema->count && strcmp(schema->keys[i].name, name) != 0)
        i++;
    return i;
}

/* Passes over a key that cannot be used and over its value. */
static void skip_pair(struct config_loading *loading, enum config_node node)
{
    config_source_skip(loading->source, node);
    config_source_skip(loading->source, config_source_next(loading->source));
}

static void report_missing(struct config_loading *loading, const struct config_schema *schema,
                           const uint32_t *lines, struct config_mark mark)
{
    char text[EXPECTED_SIZE];
    for (size_t i = 0; i < schema->count; i++)
        if (schema->keys[i].required && lines[i] == 0)
            config_fault(loading->faults, mark, "%s without '%s'; expected %s", schema->what,
                         schema->keys[i].name, describe(&schema->keys[i], text));
}

void config_read_mapping(struct config_loading *loading, const struct config_schema *schema,
                         void *object)
{
    uint32_t lines[CONFIG_KEYS_MAX] = {0}; /* of the keys found so far */
    struct config_mark mark = config_source_mark(loading->source);
    for (;;) {
        enum config_node node = config_source_next(loading->source);
        if (node == CONFIG_NODE_END)
            return;
        if (node == CONFIG_NODE_MAPPING_END)
            break;
        if (node != CONFIG_NODE_SCALAR) {
            if (node != CONFIG_NODE_ALIAS)
                config_fault(loading->faults, config_source_mark(loading->source),
                             "a list or mapping stands for a key of %s; expected a word",
                             schema->what);
            skip_pair(loading, node);
            continue;
        }
        const struct config_scalar *scalar = config_source_scalar(loading->source);
        size_t i = find_key(schema, scalar->text);
        if (i == schema->count) {
            report_unknown(loading, schema, scalar);
            skip_pair(loading, node);
        } else if (lines[i]) {
            config_fault(loading->faults, scalar->mark,
                         "'%s' is given twice, first in line %u; expected it once", scalar->text,
                         lines[i]);
            skip_pair(loading, node);
        } else {
            lines[i] = scalar->mark.line;
            read_value(loading, &schema->keys[i], object);
        }
    }
    report_missing(loading, schema, lines, mark);
}
