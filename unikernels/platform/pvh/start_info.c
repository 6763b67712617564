/* What the loader tells (PVH, struct hvm_start_info): checked, and copied where it must last. */
#include <string.h>

#include "platform/pvh/machine.h"

#define MAGIC            0x336ec578u
#define COMMAND_LINE_MAX 4096u
#define ENTRIES_MAX      256u
#define MEMORY_RAM       1u
#define MAPPED_END       (UINT64_C(3) << 30) /* above it are devices, up to 4 GiB */

struct hvm_start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules;
    uint64_t command_line;
    uint64_t acpi_root;
    uint64_t memory_map; /* from version 1 on */
    uint32_t memory_map_count;
    uint32_t reserved;
};

struct hvm_module {
    uint64_t address;
    uint64_t size;
    uint64_t command_line;
    uint64_t reserved;
};

struct hvm_memory {
    uint64_t address;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
};

_Static_assert(sizeof(struct hvm_start_info) == 56, "PVH's layout");
_Static_assert(sizeof(struct hvm_module) == 32, "PVH's layout");
_Static_assert(sizeof(struct hvm_memory) == 24, "PVH's layout");

static char command_line[COMMAND_LINE_MAX];

static bool mapped(uint64_t start, uint64_t size)
{
    return size <= MAPPED_END && start <= MAPPED_END - size;
}

static uint64_t size_of(const struct memory_range *range)
{
    return range->end - range->start;
}

/* The larger of the two pieces that are left of `range` without `taken`. */
static struct memory_range without(struct memory_range range, struct memory_range taken)
{
    if (taken.end <= range.start || taken.start >= range.end)
        return range;
    struct memory_range before = {range.start,
                                  taken.start > range.start ? taken.start : range.start};
    struct memory_range after = {taken.end < range.end ? taken.end : range.end, range.end};
    return size_of(&before) >= size_of(&after) ? before : after;
}

static void read_memory_map(const struct hvm_start_info *loader, struct start_info *info)
{
    const struct hvm_memory *entries = (const struct hvm_memory *)loader->memory_map;
    const struct memory_range module = {info->module_start, info->module_start + info->module_size};

    info->memory_end = module.end;
    if (loader->version < 1 || loader->memory_map == 0 || loader->memory_map_count > ENTRIES_MAX ||
        !mapped(loader->memory_map, loader->memory_map_count * sizeof *entries))
        machine_fatal("the loader gives no memory map");
    for (uint32_t i = 0; i < loader->memory_map_count; i++) {
        const struct hvm_memory *entry = &entries[i];
        if (entry->type != MEMORY_RAM || entry->address >= MAPPED_END)
            continue;
        uint64_t room = MAPPED_END - entry->address;
        struct memory_range range = {entry->address,
                                     entry->address + (entry->size < room ? entry->size : room)};
        info->memory += size_of(&range);
        if (range.end > info->memory_end)
            info->memory_end = range.end;
        range = without(range, (struct memory_range){0, (uintptr_t)image_end});
        if (module.end > module.start)
            range = without(range, module);
        if (size_of(&range) > size_of(&info->free))
            info->free = range;
    }
    if (size_of(&info->free) == 0)
        machine_fatal("no free memory");
}

void start_info_read(uint32_t address, struct start_info *info)
{
    const struct hvm_start_info *loader = (const struct hvm_start_info *)(uintptr_t)address;

    *info = (struct start_info){.command_line = command_line};
    if (!mapped(address, sizeof *loader) || loader->magic != MAGIC)
        machine_fatal("not started by a loader of PVH kernels");

    if (loader->command_line && mapped(loader->command_line, COMMAND_LINE_MAX)) {
        const char *text = (const char *)loader->command_line;
        size_t length = strnlen(text, COMMAND_LINE_MAX);
        if (length == COMMAND_LINE_MAX)
            machine_fatal("command line longer than %u bytes", COMMAND_LINE_MAX - 1);
        memcpy(command_line, text, length);
    }
    if (loader->module_count > 0 && mapped(loader->modules, sizeof(struct hvm_module))) {
        const struct hvm_module *module = (const struct hvm_module *)loader->modules;
        if (!mapped(module->address, module->size))
            machine_fatal("the boot module lies above 3 GiB");
        info->module_start = module->address;
        info->module_size = module->size;
    }
    read_memory_map(loader, info);
}
