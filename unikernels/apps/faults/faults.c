/* faults: does what a correct program never does, so that a test can see how the machine ends. It
 * is no service, knows the pvh platform's insides, and is not installed.
 *
 * Options: fault=KIND, to do that at once. Without it, faults serves HTTP on port 80: GET /KIND
 * does it then; GET /memory?BYTES copies as many bytes into an answer. leave=BYTES: as many are
 * left of the machine's memory before it serves. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "faults/pages.h"
#include "jitsu/application.h"
#include "jitsu/console.h"
#include "jitsu/http.h"
#include "jitsu/memory.h"
#include "jitsu/options.h"
#include "platform/pvh/machine.h"

#define UNMAPPED      0x90000000u /* above the memory, below the devices */
#define NOT_CANONICAL UINT64_C(0x1234567890abcdef)
#define FRAME         (256 * 1024)

typedef void code(void);

static volatile uint64_t zero; /* hidden from the compiler */
static const uint8_t return_instruction = 0xc3;
static uint8_t data_code[16];

static void *at(uintptr_t address)
{
    return (void *)(address + zero);
}

static uint8_t read_byte(uintptr_t address)
{
    return *(volatile uint8_t *)at(address);
}

static void write_byte(uintptr_t address)
{
    *(volatile uint8_t *)at(address) = 1;
}

static void run(const void *instructions)
{
    code *function;
    uintptr_t address = (uintptr_t)instructions + zero;

    memcpy(&function, &address, sizeof function);
    function();
}

static void read_null(void)
{
    read_byte(0);
}

static void write_null(void)
{
    write_byte(8);
}

static void call_null(void)
{
    run(NULL);
}

static void write_code(void)
{
    write_byte((uintptr_t)image_start + 64);
}

static void write_constant(void)
{
    write_byte((uintptr_t)&return_instruction);
}

static void run_data(void)
{
    data_code[0] = return_instruction;
    run(data_code);
}

static void run_stack(void)
{
    volatile uint8_t instructions[16];

    instructions[0] = return_instruction;
    run((const void *)(uintptr_t)instructions);
}

/* Above the second megabyte, where pages are large. */
static void run_heap(void)
{
    uint8_t *instructions = malloc(4 * 1024 * 1024);

    if (!instructions)
        application_fail("this fault needs more memory");
    instructions[3 * 1024 * 1024] = return_instruction;
    run(instructions + 3 * 1024 * 1024);
}

static void read_unmapped(void)
{
    read_byte(UNMAPPED);
}

static void jump_wild(void)
{
    run((const void *)(uintptr_t)NOT_CANONICAL);
}

static void jump_unmapped(void)
{
    run((const void *)(uintptr_t)UNMAPPED);
}

static void divide(void)
{
    volatile uint64_t seven = 7;

    console_print("%lu\n", seven / zero);
}

static void misalign(void)
{
    static uint8_t bytes[64] __attribute__((aligned(16)));

    __asm__ volatile("movaps (%0), %%xmm0" : : "r"(bytes + 1 + zero) : "xmm0", "memory");
}

static uint64_t depth(uint64_t level)
{
    volatile uint64_t frame[64];

    frame[level % 64] = level;
    if (zero)
        return frame[0];
    return depth(level + 1 + zero) + frame[(level + 1) % 64];
}

static void recurse(void)
{
    depth(0);
}

/* A frame that would reach over the page below the stack. */
static __attribute__((noinline)) void use_large_frame(void)
{
    volatile uint8_t frame[FRAME];

    frame[zero] = 1;
    console_print("%u\n", frame[zero]);
}

static __attribute__((noinline)) void smash(void)
{
    volatile char buffer[16];
    volatile char *end = buffer;

    for (size_t i = 0; i < 40 + zero; i++)
        end[i] = 'x';
    console_print("%c\n", buffer[0]);
}

static void fail_assertion(void)
{
    assert(zero == 1);
}

static void fail_in_network(void)
{
    platform_fatal("a segment without an end");
}

static void fail_politely(void)
{
    application_fail("option taste=%s: something else\nis expected", "\x01sour");
}

/* Small pieces, until there is nothing left that anything could be done with. */
static void exhaust(size_t left)
{
    while (memory_free() > left && malloc(1024))
        ;
}

static void exhaust_all(void)
{
    exhaust(0);
    if (malloc(1024 * 1024))
        application_fail("there is memory left");
    assert(malloc(2048));
}

static void free_twice(void)
{
    void *block = malloc(100);

    void *volatile same = block;
    free(block);
    free(same);
}

static void overrun_heap(void)
{
    char *volatile block = malloc(100);

    memset(block, 'x', 140);
    free(block);
}

static void privileged_instruction(void)
{
    __asm__ volatile("ud2");
}

/* The processor cannot even push where it was. */
static void lose_stack(void)
{
    __asm__ volatile("mov %0, %%rsp; push %0" : : "r"(NOT_CANONICAL) : "memory");
}

/* The report's texts cannot be read: it faults itself. */
static void fault_in_report(void)
{
    pages_hide(text_end, constants_end);
    write_null();
}

static void lose_tables(void)
{
    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) none = {0, 0};

    __asm__ volatile("lidt %0" : : "m"(none));
    write_null();
}

static const struct fault {
    const char *kind;
    void (*function)(void);
} faults[] = {
    {"read-null", read_null},
    {"write-null", write_null},
    {"call-null", call_null},
    {"write-code", write_code},
    {"write-constant", write_constant},
    {"run-data", run_data},
    {"run-stack", run_stack},
    {"run-heap", run_heap},
    {"read-unmapped", read_unmapped},
    {"jump-wild", jump_wild},
    {"jump-unmapped", jump_unmapped},
    {"divide", divide},
    {"misalign", misalign},
    {"recurse", recurse},
    {"large-frame", use_large_frame},
    {"smash", smash},
    {"assert", fail_assertion},
    {"abort", abort},
    {"network", fail_in_network},
    {"fail", fail_politely},
    {"memory", exhaust_all},
    {"free-twice", free_twice},
    {"overrun-heap", overrun_heap},
    {"instruction", privileged_instruction},
    {"lose-stack", lose_stack},
    {"in-report", fault_in_report},
    {"lose-tables", lose_tables},
    {"pages", pages_check},
};

/* Returns whether there is such a kind, and it did not end the machine. */
static bool do_fault(const char *kind, size_t length)
{
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (strlen(faults[i].kind) == length && memcmp(faults[i].kind, kind, length) == 0) {
            faults[i].function();
            return true;
        }
    }
    return false;
}

static void answer(const struct http_request *request, struct http_response *response)
{
    /* Some bytes: the image itself. */
    const size_t most = (size_t)(constants_end - image_start);

    if (request->query.length > 1) {
        size_t length = 0;
        for (size_t i = 1; i < request->query.length; i++)
            length = length * 10 + (size_t)(request->query.at[i] - '0');
        http_reply(response, 200, "application/octet-stream", image_start,
                   length < most ? length : most, STREAM_COPY);
    } else if (do_fault(request->path + 1, request->path_length - 1)) {
        http_error(response, 500);
    } else {
        http_error(response, 404);
    }
}

void application_main(void)
{
    struct option kind = option_get("fault");

    if (kind.value) {
        if (!do_fault(kind.value, kind.length))
            application_fail("there is no such fault");
        return;
    }
    http_listen(80, answer);
    exhaust(option_number("leave", UINT32_MAX, 0, UINT32_MAX));
    network_serve();
}
