#include "platform/xen/grants.h"

#include "platform/xen/shared_info.h"

static struct xen_grant table[GRANTS_MAX] __attribute__((aligned(XEN_PAGE)));

void grants_map(void)
{
    /* The last first: then the table grows once. */
    for (unsigned page = GRANTS_PAGES; page-- > 0;)
        page_map(XEN_SPACE_GRANT_TABLE, page, (uint8_t *)table + page * XEN_PAGE);
}

void grant(uint32_t number, uint16_t domain, const void *address, bool read_only)
{
    uint16_t flags = XEN_GRANT_ACCESS | (read_only ? XEN_GRANT_READONLY : 0);

    table[number].frame = (uint32_t)((uintptr_t)address / XEN_PAGE);
    table[number].domain = domain;
    __atomic_store_n(&table[number].flags, flags, __ATOMIC_RELEASE);
}

bool grant_end(uint32_t number)
{
    uint16_t flags = __atomic_load_n(&table[number].flags, __ATOMIC_RELAXED);

    do {
        if (flags & (XEN_GRANT_READING | XEN_GRANT_WRITING))
            return false;
    } while (!__atomic_compare_exchange_n(&table[number].flags, &flags, 0, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_RELAXED));
    return true;
}
