/* Xenstore: the tree of names and values through which the machine, its backends and the toolstack
 * find each other (Xen's docs/misc/xenstore.txt). Relative paths are those of the machine's own
 * directory. Failures of xenstore itself end the machine. */
#ifndef JITSU_XEN_STORE_H
#define JITSU_XEN_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_PATH_MAX  128u
#define STORE_VALUE_MAX 128u

/* Finds xenstore's ring. Watches of before are forgotten there: after a machine was saved they are
 * to be set again. */
void store_start(void);

/* Its event channel. */
uint32_t store_port(void);

/* Requests are answered in order; to send several before waiting saves as many waits. Each
 * store_ask_...() must be followed by its answer's store_answer...() in the same order. `changed`
 * is called by store_poll() for changes after the answer: a value is to be read after that, too. */
void store_ask_read(const char *directory, const char *name);
void store_ask_write(const char *directory, const char *name, const char *value);
void store_ask_watch(const char *directory, const char *name, void (*changed)(void));

/* Waits for the next answer, whose text is written to `value`, with a NUL, if it fits. Returns
 * false if it is an error (most likely: there is no such name), or does not fit. */
bool store_answer_text(char value[STORE_VALUE_MAX]);

/* The same for a decimal number, and `missing` in case of an error. */
uint32_t store_answer_number(uint32_t missing);

/* The same for whether it worked. */
bool store_answer_done(void);

/* Has something come that store_poll() takes? */
bool store_has_come(void);

/* Calls the functions of watches whose names have changed. Returns whether there were any. */
bool store_poll(void);

/* Waits for something that comes by a watch, at the latest until `deadline`. */
void store_wait(uint64_t deadline);

#endif
