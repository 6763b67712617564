/* The machine's page tables, looked at from within. */
#ifndef JITSU_FAULTS_PAGES_H
#define JITSU_FAULTS_PAGES_H

#include <stdint.h>

/* Goes through all page tables as the processor would, and says on the console what is mapped how.
 * Ends the machine with a failure if a page can be written and executed, if code can be written, or
 * if a page is mapped that is to catch mistakes. */
void pages_check(void);

/* Takes the pages from `start` to `end`, which lie in the image, out of the map. */
void pages_hide(const uint8_t *start, const uint8_t *end);

#endif
