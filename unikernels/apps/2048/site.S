    .section .rodata
    .globl game_archive, game_archive_end
    .balign 16
game_archive:
    .incbin "2048/site.tar"
game_archive_end:

    .section .note.GNU-stack, "", @progbits
