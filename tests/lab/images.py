"""Tiny kernels for tests of machines that do not do what they should: PVH images of a few hundred bytes, made here."""

import struct

ENTRY = 0x100000
SERIAL = 0x3F8
DEBUG_EXIT = 0x501

# 32-bit code, as PVH enters a kernel.
HALT = b"\xfa\xf4\xeb\xfd"  # cli; again: hlt; jmp again
CRASH = b"\x0f\x0b"  # an invalid opcode, and nobody to handle it


def put(text):
    """Code that prints `text` on the serial port."""
    code = b"\x66\xba" + struct.pack("<H", SERIAL)
    return code + b"".join(b"\xb0" + bytes([byte]) + b"\xee" for byte in text.encode())


def give_up():
    """Code that ends QEMU as a bundled unikernel does when it cannot go on."""
    return b"\x66\xba" + struct.pack("<H", DEBUG_EXIT) + b"\xb0\x10\xee" + HALT


def chatter(text):
    """Code that prints `text` for ever."""
    code = put(text)
    return code + b"\xe9" + struct.pack("<i", -len(code) - 5)


def note(name, kind, content):
    name += b"\0"
    pad = b"\0" * (-len(name) % 4)
    return struct.pack("<III", len(name), len(content), kind) + name + pad + content


def kernel(code, announces=False, pvh=True, memory=0):
    """An ELF image with that code at its entry; with the note of those that say when they are ready, if `announces`."""
    notes = note(b"Xen", 18, struct.pack("<Q", ENTRY)) if pvh else note(b"Other", 1, b"\0\0\0\0")
    if announces:
        notes += note(b"Jitsu", 1, struct.pack("<I", 1))
    start = 0x1000
    header = b"\x7fELF\2\1\1" + b"\0" * 9 + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, ENTRY, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    size = len(code) + len(notes)
    load = struct.pack("<IIQQQQQQ", 1, 7, start, ENTRY, ENTRY, size, size + memory, 4096)
    described = struct.pack("<IIQQQQQQ", 4, 4, start + len(code), ENTRY, ENTRY, len(notes), len(notes), 4)
    return (header + load + described).ljust(start, b"\0") + code + notes
