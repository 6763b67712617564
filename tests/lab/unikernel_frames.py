#!/usr/bin/env python3
"""www.elf and broken frames: those of real conversations and of neighbour discovery, changed at random, with checksums put right
so that they get far in. They end neither the machine nor its service. SEED and FRAMES in the environment vary it."""

import os
import random
import shutil
import socket
import struct
import tempfile
import threading
import time

import ethernet
import lab
from archives import cpio
from ethernet import ADDRESS4, ADDRESS6, checksum, get, listener

SEED = int(os.environ.get("SEED", "1"))
FRAMES = int(os.environ.get("FRAMES", "20000"))
BATCH = 100  # fewer than the machine has receive buffers
ETHERNET, IPV4, TCP, ICMP, ICMP6 = 14, b"\x08\x00", 6, 1, 58
ROUTER_ADVERTISEMENT, SOLICITATION, ADVERTISEMENT, REDIRECT, LISTENER_QUERY = 134, 135, 136, 137, 130


def neighbour_discovery(source_mac, choice):
    """A message of the kinds that carry options, with options that may be anything."""
    target = socket.inet_pton(socket.AF_INET6, ADDRESS6)
    options = b"".join(bytes([choice.choice([1, 2, 3, 5, 25, 31, choice.randrange(256)]), choice.choice([0, 1, 1, 2, 4, 200])]) +
                       choice.randbytes(choice.choice([6, 6, 14, 30])) for _ in range(choice.randrange(5)))
    kind = choice.choice([ROUTER_ADVERTISEMENT, SOLICITATION, ADVERTISEMENT, REDIRECT, LISTENER_QUERY, choice.randrange(256)])
    body = {
        ROUTER_ADVERTISEMENT: choice.randbytes(12) + options,
        SOLICITATION: bytes(4) + target + options,
        ADVERTISEMENT: choice.randbytes(4) + choice.choice([target, choice.randbytes(16)]) + options,
        REDIRECT: bytes(4) + choice.randbytes(16) + target + options,
        LISTENER_QUERY: choice.randbytes(4) + choice.choice([bytes(16), choice.randbytes(16)]),
    }.get(kind, choice.randbytes(choice.randrange(80)))
    source, group = socket.inet_pton(socket.AF_INET6, "fe80::1"), socket.inet_pton(socket.AF_INET6, "ff02::1")
    message = bytes([kind, 0, 0, 0]) + body
    pseudo = source + group + struct.pack("!II", len(message), ICMP6)
    message = message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]
    return (b"\x33\x33\0\0\0\1" + source_mac + b"\x86\xdd" + struct.pack("!IHBB", 0x60000000, len(message), ICMP6, 255) +
            source + group + message)


def put_checksums_right(frame):
    """IPv4's, and TCP's and ICMP's over it."""
    header = (frame[ETHERNET] & 15) * 4 if len(frame) > ETHERNET + 20 else 0
    segment = ETHERNET + header
    if frame[12:14] != IPV4 or header < 20 or len(frame) < segment + 20:
        return frame
    frame = bytearray(frame)
    frame[24:26] = b"\0\0"
    frame[24:26] = struct.pack("!H", checksum(bytes(frame[ETHERNET:segment])))
    end = max(min(ETHERNET + struct.unpack("!H", frame[16:18])[0], len(frame)), segment + 20)
    at, pseudo = {TCP: (16, bytes(frame[26:34]) + struct.pack("!HH", TCP, end - segment)), ICMP: (2, b"")}.get(frame[23], (0, b""))
    if at:
        frame[segment + at:segment + at + 2] = b"\0\0"
        frame[segment + at:segment + at + 2] = struct.pack("!H", checksum(pseudo + bytes(frame[segment:end])))
    return bytes(frame)


def change(frame, choice):
    frame = bytearray(frame)
    for _ in range(choice.choice([0, 1, 1, 2, 4, 8])):
        at = choice.randrange(12, min(len(frame), 90))
        frame[at] = choice.choice([0, 255, choice.randrange(256), frame[at] ^ 1 << choice.randrange(8)])
    if choice.random() < 0.15:
        frame = frame[:choice.randrange(ETHERNET, len(frame) + 1)]
    return put_checksums_right(bytes(frame)) if choice.random() < 0.7 else bytes(frame)


def survives_broken_frames():
    choice = random.Random(SEED)
    with listener() as wire, ethernet.www(ramdisk) as machine:
        machine.wait_for("jitsu: ready")
        for address in ADDRESS4, ADDRESS6:
            get(address, "/")
        seeds = ethernet.frames(wire, of_machine=False)
        source_mac = wire.getsockname()[4]
        for sent in range(FRAMES):
            seed = neighbour_discovery(source_mac, choice) if choice.random() < 0.3 else choice.choice(seeds)
            wire.send(change(seed, choice))
            if sent % BATCH == BATCH - 1:
                # It answers ARP after it has seen all of the batch.
                ethernet.frames(wire)
                wire.send(b"\xff" * 6 + source_mac + b"\x08\x06\0\1\x08\0\6\4\0\1" + source_mac +
                          socket.inet_aton(ethernet.HOST4) + bytes(6) + socket.inet_aton(ADDRESS4))
                lab.wait_until(lambda: machine.process.poll() is not None or
                               any(frame[12:14] == b"\x08\x06" for frame in ethernet.frames(wire)),
                               f"an answer to ARP after {sent} frames (SEED={SEED})")
                assert machine.process.poll() is None, \
                    f"the machine ended after {sent} frames (SEED={SEED}): {machine.wait_for_end()} {machine.console}"
        for address in ADDRESS4, ADDRESS6:
            assert get(address, "/") == b"small"


def opening(source_mac, choice):
    """A SYN from an address somewhere behind the router, where nobody will answer."""
    source, port = b"\xc6" + bytes([18 + choice.randrange(2)]) + choice.randbytes(2), choice.randrange(1024, 65536)
    segment = struct.pack("!HHIIBBHHH", port, 80, choice.randrange(1 << 32), 0, 5 << 4, 2, 64240, 0, 0)
    packet = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, TCP, 0) + source + socket.inet_aton(ADDRESS4) + segment
    return put_checksums_right(bytes.fromhex(ethernet.MAC.replace(":", "")) + source_mac + IPV4 + packet)


def serves_clients_beside_a_flood():
    """Of connections that are begun and not opened."""
    choice = random.Random(SEED)
    over = threading.Event()

    def flood():
        sent = 0
        while not over.is_set():
            for opening in openings:
                wire.send(opening)
            sent += len(openings)
            if sent >= 2000:
                flooded.set()
            time.sleep(0.005)

    with listener() as wire, ethernet.www(ramdisk) as machine:
        machine.wait_for("jitsu: ready")
        flooded = threading.Event()
        openings = [opening(wire.getsockname()[4], choice) for _ in range(200)]
        flooding = threading.Thread(target=flood)
        flooding.start()
        try:
            assert flooded.wait(lab.PATIENCE)
            for _ in range(20):
                for address in ADDRESS4, ADDRESS6:
                    assert get(address, "/") == b"small"
        finally:
            over.set()
            flooding.join()


ethernet.enter()
directory = tempfile.mkdtemp(prefix="jitsu-lab-")
try:
    ramdisk = os.path.join(directory, "site.cpio")
    with open(ramdisk, "wb") as file:
        file.write(cpio({"index.html": b"small"}))
    lab.run(survives_broken_frames, serves_clients_beside_a_flood)
finally:
    shutil.rmtree(directory, ignore_errors=True)
