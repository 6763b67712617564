/* The page that a machine without a site of its own shows: an archive of one file, so to speak. */
#ifndef JITSU_WWW_PAGE_H
#define JITSU_WWW_PAGE_H

#include <stddef.h>
#include <stdint.h>

struct page_facts {
    const char *name; /* of the service, or "" */
    size_t name_length;
    uint64_t boot_nanoseconds; /* from the kernel's entry to ready */
    uint64_t memory;           /* bytes that were free then */
};

/* Writes the page's HTML, ended by a NUL, and returns its length; it is less than PAGE_SIZE_MAX. */
#define PAGE_SIZE_MAX 4096
size_t page_write(char text[PAGE_SIZE_MAX], const struct page_facts *facts);

#endif
