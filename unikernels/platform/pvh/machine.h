/* The parts of the pvh platform, in the order in which machine_start() sets them up. */
#ifndef JITSU_PVH_MACHINE_H
#define JITSU_PVH_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The 16550 at 0x3f8, a PC's console. serial_start() is first of all: everything after it can say
 * what is wrong. */
void serial_start(void);
void serial_write(const char *text, size_t length);

/* Ends the machine with a failure, like platform_fatal(), with a format; registers are shown. */
_Noreturn void machine_fatal(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the machine; the statuses with which QEMU exits are in power.c. */
enum power_off { POWER_OFF_DONE, POWER_OFF_FATAL };
_Noreturn void power_off(enum power_off reason);
_Noreturn void pc_power_off(enum power_off reason);

/* Descriptor tables: from here on an exception is reported. */
void interrupts_start(void);

/* What the loader left at `address` (struct hvm_start_info): command line, boot module and the
 * largest piece of free memory below 3 GiB. */
struct memory_range {
    uint64_t start, end;
};
struct start_info {
    const char *command_line; /* ended by a NUL */
    uint64_t module_start, module_size;
    struct memory_range free;
    uint64_t memory;     /* all that there is below 3 GiB, in bytes */
    uint64_t memory_end; /* behind it */
};
void start_info_read(uint32_t address, struct start_info *info);

/* Makes code and constants read-only and all else not executable, and leaves out the first page,
 * the one below the stack, and what lies between the memory's end and the devices. */
void paging_protect(uint64_t memory_end);

/* Has the processor cache what lies around `address`, above 3 GiB: it is memory, not a device. */
void paging_cache(uintptr_t address);

/* From here on nobody can guess the value that guards the stack (-fstack-protector). A function
 * that was entered before must not return. */
void stack_guard_start(void);

/* Interrupt controllers: only the local APIC's timer and the routed pins interrupt. */
void apic_start(void);
void apic_route(unsigned pin); /* global interrupt number of a device, edge triggered */
#define APIC_TIMER_HERTZ UINT32_C(62500000) /* 1 GHz, divided by 16 */
uint32_t apic_timer_left(void);
void apic_timer_set(uint32_t ticks);

/* clock_now() counts from the entry of the kernel. Where nothing tells the clock's rate, it is
 * measured from clock_start() on: the timer must not be set before clock_now() has been called. */
void clock_start(void);

/* Counted by vectors.S. */
extern volatile uint32_t timer_interrupts, device_interrupts;

/* Symbols of image.ld and entry.S. */
extern uint8_t image_start[], text_end[], constants_end[], image_end[];
extern uint8_t stack_guard[], stack_end[], fault_stack_end[];
extern const uint64_t entry_stamp; /* the time stamp counter then */
extern uint64_t segments[], page_directories[], page_table_image[];

#endif
