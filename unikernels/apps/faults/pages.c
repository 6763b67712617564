#include "faults/pages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "jitsu/application.h"
#include "jitsu/console.h"
#include "platform/pvh/machine.h"

#define PAGE           UINT64_C(4096)
#define ENTRIES        512u
#define PRESENT        UINT64_C(1)
#define WRITABLE       UINT64_C(2)
#define LARGE          UINT64_C(0x80)
#define NOT_EXECUTABLE (UINT64_C(1) << 63)
#define ADDRESS        UINT64_C(0x000ffffffffff000)
#define TOP_LEVEL      4

#define CR0_WRITE_PROTECT   (UINT64_C(1) << 16)
#define EXTENDED_FEATURES   0xc0000080u
#define EXTENDED_NO_EXECUTE (1u << 11)

struct rights {
    bool write, execute;
};

struct walk {
    uint64_t pages, writable, executable;
    const char *problem; /* NULL: none */
    uint64_t problem_at;
};

static uint64_t *top_table(void)
{
    uint64_t top;

    __asm__ volatile("mov %%cr3, %0" : "=r"(top));
    return (uint64_t *)(top & ADDRESS);
}

static void report(struct walk *walk, const char *problem, uint64_t address)
{
    if (walk->problem)
        return;
    walk->problem = problem;
    walk->problem_at = address;
}

static bool overlap(uint64_t start, uint64_t size, const uint8_t *first, const uint8_t *end)
{
    return start < (uintptr_t)end && start + size > (uintptr_t)first;
}

static void look_at_page(struct walk *walk, uint64_t start, uint64_t size, uint64_t frame,
                         struct rights rights)
{
    walk->pages += size / PAGE;
    walk->writable += rights.write ? size / PAGE : 0;
    walk->executable += rights.execute ? size / PAGE : 0;
    if (start != frame)
        report(walk, "a page is not mapped to itself", start);
    if (rights.write && rights.execute)
        report(walk, "a page can be written and executed", start);
    if (rights.write && overlap(start, size, image_start, constants_end))
        report(walk, "code or constants can be written", start);
    if (rights.execute && !overlap(start, size, image_start, text_end))
        report(walk, "something else than code can be executed", start);
    if (start == 0)
        report(walk, "the first page is mapped", start);
    if (overlap(start, size, stack_guard, stack_guard + PAGE))
        report(walk, "the page below the stack is mapped", start);
}

static void look_at_table(struct walk *walk, const uint64_t *table, int level, uint64_t start,
                          struct rights above)
{
    uint64_t size = PAGE;

    for (int i = 1; i < level; i++)
        size *= ENTRIES;
    for (unsigned i = 0; i < ENTRIES; i++) {
        uint64_t entry = table[i];
        if (!(entry & PRESENT))
            continue;
        struct rights rights = {.write = above.write && entry & WRITABLE,
                                .execute = above.execute && !(entry & NOT_EXECUTABLE)};
        if (level == 1 || entry & LARGE)
            look_at_page(walk, start + i * size, size, entry & ADDRESS, rights);
        else
            look_at_table(walk, (const uint64_t *)(entry & ADDRESS), level - 1, start + i * size,
                          rights);
    }
}

void pages_check(void)
{
    struct walk walk = {0};
    uint64_t control;
    uint32_t features, features_high;
    uint8_t *large = malloc(2 * 1024 * 1024);

    __asm__ volatile("mov %%cr0, %0" : "=r"(control));
    __asm__ volatile("rdmsr" : "=a"(features), "=d"(features_high) : "c"(EXTENDED_FEATURES));
    if (!(control & CR0_WRITE_PROTECT))
        application_fail("write protection is off");
    if (!(features & EXTENDED_NO_EXECUTE))
        application_fail("protection from execution is off");
    if ((uintptr_t)large < (uintptr_t)image_end)
        application_fail("the heap is elsewhere");

    look_at_table(&walk, top_table(), TOP_LEVEL, 0, (struct rights){true, true});
    if (walk.problem)
        application_fail("%s: %lx", walk.problem, walk.problem_at);
    if (walk.executable != (uint64_t)(text_end - image_start) / PAGE)
        application_fail("%lu pages can be executed", walk.executable);
    console_print("pages: %lu mapped, %lu writable, %lu executable, none both\n", walk.pages,
                  walk.writable, walk.executable);
}

void pages_hide(const uint8_t *start, const uint8_t *end)
{
    for (const uint8_t *page = start; page < end; page += PAGE) {
        page_table_image[(uintptr_t)page / PAGE] = 0;
        __asm__ volatile("invlpg (%0)" : : "r"(page) : "memory");
    }
}
