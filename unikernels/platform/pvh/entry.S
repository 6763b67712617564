/* Where the machine starts: 32-bit protected mode without paging, ebx = the address of the start
 * info (PVH). From here to long mode with SSE, all memory below 4 GiB mapped to itself; then
 * machine_start(start info) in C. */

#define CR0_PE  0x00000001
#define CR0_MP  0x00000002
#define CR0_ET  0x00000010
#define CR0_NE  0x00000020
#define CR0_WP  0x00010000
#define CR0_PG  0x80000000
#define CR4_PAE 0x00000020
#define CR4_OSFXSR     0x00000200
#define CR4_OSXMMEXCPT 0x00000400
#define MSR_EFER 0xc0000080
#define EFER_LME 0x00000100

#define PAGE_PRESENT 0x01
#define PAGE_WRITE   0x02
#define PAGE_UNCACHED 0x18 /* write-through and cache-disable */
#define PAGE_LARGE   0x80

    /* The entry point, for loaders of PVH kernels: XEN_ELFNOTE_PHYS32_ENTRY. */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad pvh_entry

    /* This image announces on its console when it is entered and when it is ready: version 1. */
    .section .note.Jitsu, "a", @note
    .balign 4
    .long 6, 4, 1
    .asciz "Jitsu"
    .balign 4
    .long 1

    .section .text.entry, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    cli
    cld
    rdtsc
    movl %eax, entry_stamp
    movl %edx, entry_stamp + 4
    lidt no_interrupts /* a fault before there are descriptor tables resets the machine */
    movl $stack_end, %esp
    movl %ebx, %esi

    /* What is not set is zero: the page tables' upper levels among it. (Stores in a loop: an emulator
     * takes much longer for `rep stos`.) */
    xorl %eax, %eax
    movl $bss_start, %edi
1:  movl %eax, (%edi)
    movl %eax, 4(%edi)
    movl %eax, 8(%edi)
    movl %eax, 12(%edi)
    addl $16, %edi
    cmpl $bss_end, %edi
    jb 1b

    /* Every 64-bit processor that runs virtual machines can forbid execution; ask all the same. */
    movl $0x80000001, %eax
    cpuid
    shrl $20, %edx
    andl $1, %edx
    movl %edx, no_execute
    movl %edx, %ebp
    shll $31, %ebp /* the upper half of an entry */

    /* 2 MiB pages: 2048 entries map 4 GiB. The devices' quarter is not cached. */
    movl $page_directories, %edi
    movl $(PAGE_PRESENT | PAGE_WRITE | PAGE_LARGE), %eax
2:  movl %eax, (%edi)
    movl %ebp, 4(%edi)
    addl $8, %edi
    addl $0x200000, %eax
    cmpl $(0xc0000000 | PAGE_PRESENT | PAGE_WRITE | PAGE_LARGE), %eax
    jb 2b
    orl $PAGE_UNCACHED, %eax
3:  movl %eax, (%edi)
    movl %ebp, 4(%edi)
    addl $8, %edi
    addl $0x200000, %eax
    jnc 3b
    movl $0, page_directories + 4 /* this code runs in the first of them: paging.c protects it */
    movl $(page_pointers + PAGE_PRESENT + PAGE_WRITE), page_top
    movl $(page_directories + 0x0000 + PAGE_PRESENT + PAGE_WRITE), page_pointers
    movl $(page_directories + 0x1000 + PAGE_PRESENT + PAGE_WRITE), page_pointers + 8
    movl $(page_directories + 0x2000 + PAGE_PRESENT + PAGE_WRITE), page_pointers + 16
    movl $(page_directories + 0x3000 + PAGE_PRESENT + PAGE_WRITE), page_pointers + 24
    movl $page_top, %eax
    movl %eax, %cr3

    movl $(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
    movl %eax, %cr4
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME, %eax
    movl no_execute, %ebx
    shll $11, %ebx
    orl %ebx, %eax
    wrmsr

    movl $(CR0_PG | CR0_WP | CR0_NE | CR0_ET | CR0_MP | CR0_PE), %eax
    movl %eax, %cr0
    lgdt segments_pointer
    ljmp $8, $long_mode

    .code64
long_mode:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $stack_end, %esp
    fninit
    ldmxcsr sse_state
    movl %esi, %edi
    xorl %ebp, %ebp
    call machine_start
    ud2

    .section .rodata
    .balign 4
sse_state:
    .long 0x1f80 /* all exceptions masked, round to nearest */

    /* Code and data for long mode; the task state segment is filled in by interrupts.c. */
    .data
    .balign 8
    .globl segments
segments:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0, 0
segments_pointer:
    .word . - segments - 1
    .long segments

    .globl entry_stamp
    .balign 8
entry_stamp:
    .quad 0
no_interrupts:
    .word 0
    .long 0

    .bss
    .balign 4096
page_top:
    .skip 4096
page_pointers:
    .skip 4096

    .section .unset.tables, "aw", @nobits
    .balign 4096
    .globl page_directories, page_table_image
page_directories:
    .skip 4 * 4096
page_table_image:
    .skip 4096

    .section .unset, "aw", @nobits
    .balign 4096
    .globl stack_guard, stack_end
stack_guard:
    .skip 4096
    .skip 64 * 1024
stack_end:
fault_stack:
    .skip 8192
    .globl fault_stack_end
fault_stack_end:
