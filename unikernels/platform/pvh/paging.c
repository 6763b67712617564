/* The protection of memory; entry.S has mapped it all, to itself. */
#include "platform/pvh/machine.h"

#define PAGE           4096u
#define PAGES          512u
#define LARGE_PAGE     (PAGE * PAGES)
#define DEVICES        (UINT64_C(3) << 30)
#define PRESENT        UINT64_C(1)
#define WRITABLE       UINT64_C(2)
#define UNCACHED       UINT64_C(0x18)
#define NOT_EXECUTABLE (UINT64_C(1) << 63)

/* Set by entry.S where the processor knows it. */
uint32_t no_execute __attribute__((section(".data")));

static uint64_t page_flags(uintptr_t page, uint64_t data)
{
    if (page == 0 || page == (uintptr_t)stack_guard)
        return 0;
    if (page < (uintptr_t)image_start || page >= (uintptr_t)constants_end)
        return data | WRITABLE;
    return page < (uintptr_t)text_end ? PRESENT : data;
}

static void forget_translations(void)
{
    uintptr_t top;

    __asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(top) : : "memory");
}

void paging_protect(uint64_t memory_end)
{
    uint64_t data = PRESENT | (no_execute ? NOT_EXECUTABLE : 0);

    for (uintptr_t i = 0; i < PAGES; i++) {
        uint64_t flags = page_flags(i * PAGE, data);
        page_table_image[i] = flags ? i * PAGE | flags : 0;
    }
    page_directories[0] = (uintptr_t)page_table_image | PRESENT | WRITABLE;
    for (size_t i = (memory_end + LARGE_PAGE - 1) / LARGE_PAGE; i < DEVICES / LARGE_PAGE; i++)
        page_directories[i] = 0;

    forget_translations();
}

void paging_cache(uintptr_t address)
{
    page_directories[address / LARGE_PAGE] &= ~UNCACHED;
    forget_translations();
}
