/* What the processor jumps to. The wake-up interrupts only count: whoever slept looks for itself. */

#define APIC_END_OF_INTERRUPT 0xfee000b0

    .text
    .macro wake_vector name, counter
    .globl \name
\name:
    pushq %rax
    movl $APIC_END_OF_INTERRUPT, %eax
    movl $0, (%rax)
    incl \counter(%rip)
    popq %rax
    iretq
    .endm

    wake_vector timer_vector, timer_interrupts
    wake_vector device_vector, device_interrupts

    .globl spurious_vector
spurious_vector:
    iretq

    /* Exceptions never return: their registers go to exception_report(). Those for which the
     * processor pushes no error code push 0 for one. */
    .macro exception number, has_code
exception_\number:
    .if !\has_code
    pushq $0
    .endif
    pushq $\number
    jmp exception_common
    .balign 16
    .endm

    .balign 16
    .globl exception_vectors
exception_vectors:
    .altmacro
    .set number, 0
    .rept 32
    .if (number == 8) || ((number >= 10) && (number <= 14)) || (number == 17) || (number == 21) || (number == 29) || (number == 30)
    exception %number, 1
    .else
    exception %number, 0
    .endif
    .set number, number + 1
    .endr

exception_common:
    pushq %r15
    pushq %r14
    pushq %r13
    pushq %r12
    pushq %r11
    pushq %r10
    pushq %r9
    pushq %r8
    pushq %rbp
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rbx
    pushq %rax
    movq %rsp, %rdi
    cld
    andq $-16, %rsp
    call exception_report
    ud2
