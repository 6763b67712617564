#include "config/wildcards.h"

#include <string.h>

#include "config/value.h"

void config_found_instances(struct config_loading *loading, void *object, struct config_mark mark)
{
    (void)loading;
    struct config_service_entry *entry = object;
    entry->draft.instances = mark;
}

void config_found_prefix(struct config_loading *loading, void *object, struct config_mark mark)
{
    (void)loading;
    struct config_service_entry *entry = object;
    entry->draft.prefix = mark;
}

enum config_taken config_take_prefix(struct config_loading *loading, void *object,
                                     const struct config_scalar *scalar)
{
    struct config_service_draft *draft = &((struct config_service_entry *)object)->draft;
    struct prefix prefix;
    if (prefix_parse(scalar->text, &prefix) != 0)
        return CONFIG_WRONG;
    if (draft->prefix_count > 0 && draft->prefixes[0].address.family == prefix.address.family) {
        config_fault(loading->faults, scalar->mark,
                     "'%s' is a second one of its kind; expected at most one of IPv4 and one of "
                     "IPv6",
                     scalar->text);
        return CONFIG_REPORTED;
    }
    draft->prefixes[draft->prefix_count++] = prefix;
    return CONFIG_TAKEN;
}

/* --- what does not go together --- */

static bool is_wildcard(const char *name)
{
    return name[0] == '*';
}

static void refuse(struct config_loading *loading, struct config_mark mark, const char *key,
                   const char *why)
{
    if (mark.line)
        config_fault(loading->faults, mark, "'%s' of a wildcard, %s", key, why);
}

/* A label may become part of a path, where it must leave room for the rest. */
static void check_path(struct config_loading *loading, struct config_mark mark, const char *key,
                       const char *path)
{
    size_t length = 0;
    for (const char *at = path; at && *at; at++, length++) {
        size_t known = config_path_placeholder(at);
        if (known) {
            at += known - 1;
            length += CONFIG_NAME_TEXT_MAX;
        } else if (at[0] == '%' && at[1] == '{') {
            config_fault(loading->faults, mark,
                         "unknown placeholder at '%s' in '%s'; expected %%{label} or %%{name}",
                         config_quote(at).text, key);
        }
    }
    if (length >= CONFIG_PATH_MAX)
        config_fault(loading->faults, mark,
                     "'%s' with a name in the place of each placeholder may be longer than %d "
                     "bytes; expected a shorter one",
                     key, CONFIG_PATH_MAX - 1);
}

static void check_wildcard(struct config_loading *loading, const struct config_service_entry *entry)
{
    const struct config_service *service = &entry->service;
    const struct config_service_draft *draft = &entry->draft;
    if (draft->instances.line == 0)
        config_fault(loading->faults, draft->name,
                     "a wildcard without 'instances'; expected how many machines it may have at a "
                     "time, from 1 to %d",
                     CONFIG_INSTANCES_MAX);
    if (draft->address_given)
        config_fault(loading->faults, draft->name,
                     "'address' of a wildcard, whose instances have one each; expected 'prefix', "
                     "or neither");
    if (service->domain || service->xl)
        config_fault(loading->faults, draft->name,
                     "'%s' of a wildcard, for whose instances machines are made; expected 'image'",
                     service->domain ? "domain" : "xl");
    if (service->prewarm > 0)
        refuse(loading, draft->prewarm, "prewarm",
               "whose instances are not known before they are wanted; expected 0");
    if (service->keep == CONFIG_KEEP_ALWAYS)
        refuse(loading, draft->keep, "keep",
               "whose instances are not known before they are wanted; expected 'on-demand'");
    for (size_t i = 0; i < service->alias_count; i++)
        if (!is_wildcard(entry->aliases[i]))
            config_fault(loading->faults, entry->alias_marks[i],
                         "alias '%s' of a wildcard; expected another wildcard, such as "
                         "*.example.net",
                         entry->aliases[i]);
    check_path(loading, draft->image, "image", service->image);
    check_path(loading, draft->ramdisk, "ramdisk", service->ramdisk);
}

/* The first placeholder for a label, or NULL. */
static const char *label_in(const char *text)
{
    return text ? strstr(text, "%{label}") : NULL;
}

static void check_other(struct config_loading *loading, const struct config_service_entry *entry)
{
    const struct config_service_draft *draft = &entry->draft;
    const struct {
        const char *key, *text;
        struct config_mark mark;
    } texts[] = {{"cmdline", entry->service.cmdline, draft->cmdline},
                 {"image", entry->service.image, draft->image},
                 {"ramdisk", entry->service.ramdisk, draft->ramdisk}};
    if (draft->instances.line)
        config_fault(loading->faults, draft->instances,
                     "'instances' is for wildcards, whose name begins with '*.'; expected a "
                     "service without it");
    if (draft->prefix.line)
        config_fault(loading->faults, draft->prefix,
                     "'prefix' is for wildcards, whose name begins with '*.'; expected 'address'");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (label_in(texts[i].text))
            config_fault(loading->faults, texts[i].mark,
                         "%%{label} in '%s' is for wildcards, whose name begins with '*.'; "
                         "expected a service without it",
                         texts[i].key);
}

void config_check_wildcard(struct config_loading *loading, const struct config_service_entry *entry)
{
    const char *name = entry->service.name;
    if (name && is_wildcard(name))
        check_wildcard(loading, entry);
    else if (name)
        check_other(loading, entry);
}
