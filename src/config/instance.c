/* The instances of wildcards. */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "config/value.h"

static const char label_placeholder[] = "%{label}", name_placeholder[] = "%{name}";

bool config_is_label_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool config_label_is_good(const char *label, size_t length)
{
    if (length == 0 || length > CONFIG_LABEL_MAX || label[0] == '-' || label[length - 1] == '-')
        return false;
    for (size_t i = 0; i < length; i++)
        if (!config_is_label_character(label[i]))
            return false;
    return true;
}

/* --- which --- */

static int compare(const struct address *a, const struct address *b)
{
    return memcmp(a, b, sizeof *a);
}

/* By the order of first addresses. */
long config_find_place(const struct config_places *places, const struct address *addresses,
                       size_t count)
{
    uint32_t from = 0, to = places->count;
    if (count != places->address_count)
        return -1;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        int order = compare(config_place(places, middle), &addresses[0]);
        if (order == 0)
            return count == 1 || compare(config_place(places, middle) + 1, &addresses[1]) == 0
                       ? (long)middle
                       : -1;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return -1;
}

/* --- making one --- */

size_t config_path_placeholder(const char *at)
{
    if (strncmp(at, label_placeholder, sizeof label_placeholder - 1) == 0)
        return sizeof label_placeholder - 1;
    if (strncmp(at, name_placeholder, sizeof name_placeholder - 1) == 0)
        return sizeof name_placeholder - 1;
    return 0;
}

static bool has_placeholder(const char *path)
{
    for (; path && *path; path++)
        if (config_path_placeholder(path))
            return true;
    return false;
}

bool config_has_files_of_instances(const struct config_service *wildcard)
{
    return has_placeholder(wildcard->image) || has_placeholder(wildcard->ramdisk);
}

/* Replaces what stands for the instance. Returns the length with the NUL; more than `size` if it
 * did not fit. */
static size_t replace(const char *path, const char *name, const char *label, char *text,
                      size_t size)
{
    size_t used = 0;
    while (*path) {
        size_t known = config_path_placeholder(path);
        const char *value = path;
        size_t length = 1;
        if (known) {
            value = known == sizeof label_placeholder - 1 ? label : name;
            length = strlen(value);
        }
        if (used + length >= size)
            return size + 1;
        memcpy(text + used, value, length);
        used += length;
        path += known ? known : 1;
    }
    text[used] = '\0';
    return used + 1;
}

struct texts {
    char name[CONFIG_NAME_TEXT_MAX], image[CONFIG_PATH_MAX], ramdisk[CONFIG_PATH_MAX];
    char aliases[CONFIG_ALIASES_MAX][CONFIG_NAME_TEXT_MAX];
};

/* The name that `wildcard` becomes with the label. */
static int put_label(const char *wildcard, const char *label, char name[CONFIG_NAME_TEXT_MAX],
                     struct error *error)
{
    size_t length = strlen(label), rest = strlen(wildcard + 1);
    if (length + rest >= CONFIG_NAME_TEXT_MAX)
        return error_set(error, "'%s' is too long a label for %s", label, wildcard);
    memcpy(name, label, length);
    memcpy(name + length, wildcard + 1, rest + 1);
    return 0;
}

static int put_texts(const struct config_service *wildcard, const char *label, struct texts *texts,
                     struct error *error)
{
    if (!config_label_is_good(label, strlen(label)))
        return error_set(error, "no instance of %s can be called so", wildcard->name);
    if (put_label(wildcard->name, label, texts->name, error) != 0)
        return -1;
    for (size_t i = 0; i < wildcard->alias_count; i++)
        if (put_label(wildcard->aliases[i], label, texts->aliases[i], error) != 0)
            return -1;
    if ((wildcard->image && replace(wildcard->image, texts->name, label, texts->image,
                                    sizeof texts->image) > sizeof texts->image) ||
        (wildcard->ramdisk && replace(wildcard->ramdisk, texts->name, label, texts->ramdisk,
                                      sizeof texts->ramdisk) > sizeof texts->ramdisk))
        return error_set(error, "the path of its image or ramdisk is too long");
    return 0;
}

/* Copies the text to `*end`, which moves behind it. */
static char *pack(char **end, const char *text)
{
    char *copy = *end;
    size_t size = strlen(text) + 1;
    memcpy(copy, text, size);
    *end += size;
    return copy;
}

static struct config_service *pack_all(const struct config_service *wildcard,
                                       const struct texts *texts, uint32_t place)
{
    size_t pointers = wildcard->alias_count * sizeof(char *);
    size_t size = strlen(texts->name) + strlen(texts->image) + strlen(texts->ramdisk) + 3;
    for (size_t i = 0; i < wildcard->alias_count; i++)
        size += strlen(texts->aliases[i]) + 1;
    struct config_service *instance = malloc(sizeof *instance + pointers + size);
    if (!instance)
        return NULL;
    *instance = *wildcard;
    instance->aliases = (char **)(instance + 1);
    char *end = (char *)instance->aliases + pointers;
    instance->name = pack(&end, texts->name);
    if (wildcard->image)
        instance->image = pack(&end, texts->image);
    if (wildcard->ramdisk)
        instance->ramdisk = pack(&end, texts->ramdisk);
    for (size_t i = 0; i < wildcard->alias_count; i++)
        instance->aliases[i] = pack(&end, texts->aliases[i]);
    instance->addresses = (struct address *)config_place(wildcard->places, place);
    instance->address_count = wildcard->places->address_count;
    return instance;
}

struct config_service *config_instance_new(const struct config_service *wildcard, const char *label,
                                           uint32_t place, struct error *error)
{
    struct texts *texts = calloc(1, sizeof *texts);
    struct config_service *instance = NULL;
    if (!texts) {
        error_set(error, "memory is exhausted");
        return NULL;
    }
    if (put_texts(wildcard, label, texts, error) == 0) {
        instance = pack_all(wildcard, texts, place);
        if (!instance)
            error_set(error, "memory is exhausted");
    }
    free(texts);
    return instance;
}
