/* The parts of the process that stands for a machine: a Linux process on host sockets. */
#ifndef JITSU_PLATFORM_UNIX_PROCESS_H
#define JITSU_PLATFORM_UNIX_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* clock.c: the process has been started now. Called once, first. */
void clock_start(void);

/* memory.c: how much the option memory= lets the application use. Called once, after
 * options_start(). */
void memory_start(void);

/* module.c: loads the boot module that `file` names (module=FILE), or packs the directory `site`
 * (site=DIR); both may be NULL. Ends the process with a reason if that fails. */
void module_start(const char *file, const char *site);

/* pack.c: writes an archive of what is in the directory `path` to `descriptor`. Ends the process
 * with a reason if that fails. */
void pack_site(const char *path, int descriptor);

/* console.c: what was written and did not end in a new line yet goes out. */
void console_flush(void);

#endif
