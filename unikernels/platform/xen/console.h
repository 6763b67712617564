/* Xen's console: a ring that xenconsoled empties. */
#ifndef JITSU_XEN_CONSOLE_H
#define JITSU_XEN_CONSOLE_H

#include <stddef.h>

/* Finds the ring; before and after a machine was saved. */
void xen_console_start(void);

/* console_write() of jitsu/console.h. */
void xen_console_write(const char *text, size_t length);

/* Waits until everything was taken, but not for long. */
void xen_console_drain(void);

#endif
