/* The report of what ends the machine against its will: the reason in words on a line of its own,
 * then registers, and return addresses from the stack for whoever has the image's symbols. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jitsu/application.h"
#include "jitsu/console.h"
#include "platform/platform.h"
#include "platform/pvh/machine.h"
#include "platform/pvh/processor.h"
#include "platform/pvh/vectors.h"

#define REASON_MAX 256
#define PAGE       4096u

#define PAGE_FAULT_PRESENT (1u << 0)
#define PAGE_FAULT_WRITE   (1u << 1)
#define PAGE_FAULT_EXECUTE (1u << 4)

#define STACK_WORDS_READ 512u
#define CALLS_SHOWN      8u

enum exception {
    EXCEPTION_DIVISION = 0,
    EXCEPTION_INSTRUCTION = 6,
    EXCEPTION_DOUBLE = 8,
    EXCEPTION_STACK = 12,
    EXCEPTION_PROTECTION = 13,
    EXCEPTION_PAGE = 14,
};

/* As vectors.S pushes them. */
struct registers {
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t vector, code;
    uint64_t rip, cs, flags, rsp, ss;
};

/* Of platform_fatal() and machine_fatal(), which raise an exception to have the registers shown. */
static char given_reason[REASON_MAX];

/* One line of printable characters, whatever was formatted into it. */
static void print_reason(const char *reason)
{
    char line[REASON_MAX];
    size_t length = strnlen(reason, sizeof line);

    for (size_t i = 0; i < length; i++)
        line[i] = reason[i] >= ' ' && reason[i] <= '~' ? reason[i] : '?';
    console_write("\njitsu: fatal: ", 15);
    console_write(line, length);
    console_write("\n", 1);
}

static bool lies_in(uintptr_t address, const uint8_t *start, const uint8_t *end)
{
    return address >= (uintptr_t)start && address < (uintptr_t)end;
}

static const char *place(uintptr_t address, uint64_t code)
{
    if (!(code & PAGE_FAULT_PRESENT))
        return "memory that is not there";
    if (lies_in(address, image_start, text_end))
        return "code";
    if (lies_in(address, text_end, constants_end))
        return "constants";
    if (lies_in(address, stack_guard, stack_end))
        return "the stack";
    return address >= (uintptr_t)image_end ? "the heap" : "data";
}

static void describe_page_fault(char text[REASON_MAX], const struct registers *r)
{
    bool executed = r->code & PAGE_FAULT_EXECUTE, wrote = r->code & PAGE_FAULT_WRITE;
    uintptr_t address = fault_address();
    const char *action = executed ? "execution of" : wrote ? "write to" : "read of";

    if (address < PAGE)
        snprintf(text, REASON_MAX, "%s through a null pointer (address %lx) at %lx",
                 executed ? "call"
                 : wrote  ? "write"
                          : "read",
                 address, r->rip);
    else if (lies_in(address, stack_guard, stack_guard + PAGE))
        snprintf(text, REASON_MAX, "stack overflow at %lx", r->rip);
    else
        snprintf(text, REASON_MAX, "%s %s (address %lx) at %lx", action, place(address, r->code),
                 address, r->rip);
}

static void describe(char text[REASON_MAX], const struct registers *r)
{
    const char *what = "unexpected exception";

    switch (r->vector) {
    case EXCEPTION_DIVISION:
        what = "division by zero, or with too large a result,";
        break;
    case EXCEPTION_INSTRUCTION:
        what = "invalid instruction";
        break;
    case EXCEPTION_DOUBLE:
        what = "double fault";
        break;
    case EXCEPTION_STACK:
        what = "stack pointer out of bounds";
        break;
    case EXCEPTION_PROTECTION:
        what = "wild address, or data that is not aligned,";
        break;
    case EXCEPTION_PAGE:
        describe_page_fault(text, r);
        return;
    }
    snprintf(text, REASON_MAX, "%s at %lx", what, r->rip);
}

static void print_registers(const struct registers *r)
{
    console_print("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
    console_print("rsi %016lx rdi %016lx rbp %016lx rsp %016lx\n", r->rsi, r->rdi, r->rbp, r->rsp);
    console_print("r8  %016lx r9  %016lx r10 %016lx r11 %016lx\n", r->r8, r->r9, r->r10, r->r11);
    console_print("r12 %016lx r13 %016lx r14 %016lx r15 %016lx\n", r->r12, r->r13, r->r14, r->r15);
    console_print("rip %016lx flags %lx cr2 %lx vector %lu code %lx\n", r->rip, r->flags,
                  fault_address(), r->vector, r->code);
}

/* What looks like a return address, the innermost call first. Some may be left from calls that are
 * over. */
static void print_calls(const struct registers *r)
{
    const uint8_t *top = (const uint8_t *)((r->rsp + 7) & ~UINT64_C(7));
    unsigned shown = 0;

    if (!lies_in((uintptr_t)top, stack_guard + PAGE, stack_end))
        return;
    console_print("calls");
    for (unsigned i = 0; i < STACK_WORDS_READ && top < stack_end && shown < CALLS_SHOWN; i++) {
        uint64_t word = *(const uint64_t *)top;
        if (lies_in(word, image_start, text_end)) {
            console_print(" %lx", word);
            shown++;
        }
        top += sizeof word;
    }
    console_print("\n");
}

void exception_report(const struct registers *r)
{
    static bool reporting;

    /* A fault in here: what can be said has been said. */
    if (reporting)
        power_off(POWER_OFF_FATAL);
    reporting = true;
    if (given_reason[0]) {
        print_reason(given_reason);
    } else {
        char text[REASON_MAX];
        describe(text, r);
        print_reason(text);
    }
    print_registers(r);
    print_calls(r);
    power_off(POWER_OFF_FATAL);
}

static _Noreturn void raise_exception(void)
{
    __asm__ volatile("ud2");
    __builtin_unreachable();
}

_Noreturn void machine_fatal(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(given_reason, sizeof given_reason, format, arguments);
    va_end(arguments);
    raise_exception();
}

_Noreturn void platform_fatal(const char *reason)
{
    machine_fatal("%s", reason);
}

_Noreturn void application_fail(const char *format, ...)
{
    char text[REASON_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    print_reason(text);
    power_off(POWER_OFF_FATAL);
}

_Noreturn void abort(void)
{
    machine_fatal("the program called abort()");
}
