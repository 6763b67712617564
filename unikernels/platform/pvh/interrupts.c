/* Descriptor tables: what the processor does at an interrupt and at an exception. */
#include "platform/pvh/machine.h"
#include "platform/pvh/processor.h"
#include "platform/pvh/vectors.h"

#define CODE_SEGMENT    8
#define TASK_SEGMENT    24
#define TASK_ENTRY      3 /* of the segments: two of them */
#define INTERRUPT_GATE  0x8e
#define EXCEPTION_COUNT 32
#define FAULT_STACK     1 /* of the task state: exceptions have one to themselves */

struct gate {
    uint16_t offset_low;
    uint16_t segment;
    uint8_t stack;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};
_Static_assert(sizeof(struct gate) == 16, "the processor's layout");

struct task_state {
    uint32_t reserved0;
    uint64_t privilege_stack[3];
    uint64_t reserved1;
    uint64_t stack[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t port_map;
} __attribute__((packed));
_Static_assert(sizeof(struct task_state) == 104, "the processor's layout");

static struct gate gates[VECTOR_SPURIOUS + 1];
static struct task_state task_state;
volatile uint32_t timer_interrupts, device_interrupts;

static void set_gate(unsigned vector, uintptr_t handler, uint8_t stack)
{
    gates[vector] = (struct gate){
        .offset_low = (uint16_t)handler,
        .segment = CODE_SEGMENT,
        .stack = stack,
        .type = INTERRUPT_GATE,
        .offset_middle = (uint16_t)(handler >> 16),
    };
}

void interrupts_start(void)
{
    uintptr_t task = (uintptr_t)&task_state;
    const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) table = {sizeof gates - 1, (uintptr_t)gates};

    for (unsigned i = 0; i < EXCEPTION_COUNT; i++)
        set_gate(i, (uintptr_t)exception_vectors + i * EXCEPTION_VECTOR_SIZE, FAULT_STACK);
    set_gate(VECTOR_TIMER, (uintptr_t)timer_vector, 0);
    set_gate(VECTOR_DEVICE, (uintptr_t)device_vector, 0);
    set_gate(VECTOR_SPURIOUS, (uintptr_t)spurious_vector, 0);
    __asm__ volatile("lidt %0" : : "m"(table));

    task_state.stack[FAULT_STACK - 1] = (uintptr_t)fault_stack_end;
    task_state.port_map = sizeof task_state;
    segments[TASK_ENTRY] = (sizeof task_state - 1) | (task & 0xffffff) << 16 |
                           UINT64_C(0x89) << 40 | (task >> 24 & 0xff) << 56;
    segments[TASK_ENTRY + 1] = task >> 32;
    __asm__ volatile("ltr %w0" : : "r"(TASK_SEGMENT));
}
