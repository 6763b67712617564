#!/usr/bin/env python3
"""www.elf on an Ethernet of its own (a TAP device in a network namespace): it announces its addresses before it says that it is
ready, answers pings, and serves IPv4 and IPv6 with the device's checksum offload and without."""

import contextlib
import hashlib
import http.client
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

import lab
from archives import cpio
from machine import Machine

MAC = "52:54:00:0a:0b:0c"
ADDRESS4, HOST4 = "10.9.0.2", "10.9.0.1"
ADDRESS6, HOST6 = "fd09::2", "fd09::1"
OPTIONS = f"ip={ADDRESS4}/24 ip6={ADDRESS6}/64 gw={HOST4} gw={HOST6}"
ETHERNET_ALL = 3
PACKET_OUTGOING = 4
ECHO4, ECHO4_REPLY, ECHO6, ECHO6_REPLY = 8, 0, 128, 129


def enter_namespace():
    """Runs this script again where it is root of a network of its own."""
    if os.environ.get("JITSU_TAP_NAMESPACE"):
        return
    lab.need("unshare", "ip")
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    make = "ip link set lo up && ip tuntap add tap0 mode tap"
    if subprocess.run([*unshare, "sh", "-c", make], capture_output=True).returncode != 0:
        lab.skip("no network namespaces or no TAP devices here")
    os.environ["JITSU_TAP_NAMESPACE"] = "1"
    os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])


def run(command):
    subprocess.run(command.split(), check=True)


def tap(extra=(), options=OPTIONS):
    return Machine(lab.image("www.elf"), memory=32, options=options, ramdisk=ramdisk, network=None, extra=[
        "-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no",
        "-device", f"virtio-net-device,netdev=net,mac={MAC}" + "".join(f",{item}" for item in extra)])


@contextlib.contextmanager
def listener():
    """A socket that gets every frame on the wire."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERNET_ALL)) as wire:
        wire.bind(("tap0", 0))
        wire.settimeout(lab.PATIENCE)
        yield wire


def frames_of_machine(wire):
    """What the machine has sent so far."""
    frames = []
    wire.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            frame, sender = wire.recvfrom(2048)
            if sender[2] != PACKET_OUTGOING:
                frames.append(frame)
    return frames


def get(address, path):
    connection = http.client.HTTPConnection(address, 80, timeout=lab.PATIENCE)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, f"http://[{address}]{path}: {answer.status}"
    return body


def checksum(message):
    total = sum(struct.unpack(f"!{len(message) // 2}H", message))
    total = (total & 0xffff) + (total >> 16)
    return ~((total & 0xffff) + (total >> 16)) & 0xffff


def ping(family, address, size):
    protocol, request, reply = ((socket.IPPROTO_ICMP, ECHO4, ECHO4_REPLY) if family == socket.AF_INET
                                else (socket.IPPROTO_ICMPV6, ECHO6, ECHO6_REPLY))
    payload = struct.pack("!HH", os.getpid() & 0xffff, 1) + random.randbytes(size)
    message = struct.pack("!BBH", request, 0, 0) + payload
    if family == socket.AF_INET:
        message = struct.pack("!BBH", request, 0, checksum(message)) + payload
    with socket.socket(family, socket.SOCK_RAW, protocol) as icmp:
        icmp.settimeout(lab.PATIENCE)
        icmp.sendto(message, (address, 0))
        while True:
            answer = icmp.recv(4096)
            if family == socket.AF_INET:
                answer = answer[(answer[0] & 15) * 4:]
            if answer[0] == reply and answer[4:] == payload:
                return


def announces_itself_before_it_is_ready():
    with listener() as wire, tap() as machine:
        machine.wait_for("jitsu: ready")
        frames = frames_of_machine(wire)
        mac = bytes.fromhex(MAC.replace(":", ""))
        assert frames and all(frame[6:12] == mac for frame in frames), "frames with another source"
        address = socket.inet_aton(ADDRESS4)
        gratuitous = [frame for frame in frames
                      if frame[12:14] == b"\x08\x06" and frame[28:32] == address and frame[38:42] == address]
        assert gratuitous and gratuitous[0][:6] == b"\xff" * 6, "no gratuitous ARP"


def does_without_ipv4():
    with listener() as wire, tap(options=f"ip6={ADDRESS6}/64") as machine:
        machine.wait_for("jitsu: ready")
        assert frames_of_machine(wire), "no frame of the machine's before it is ready"
        assert get(ADDRESS6, "/small") == b"small"


def answers_pings():
    with tap() as machine:
        machine.wait_for("jitsu: ready")
        for size in 0, 56, 1400:
            ping(socket.AF_INET, ADDRESS4, size)
            ping(socket.AF_INET6, ADDRESS6, size)


def serves(name, *extra):
    def test():
        with tap(extra) as machine:
            machine.wait_for("jitsu: ready")
            for address in ADDRESS4, ADDRESS6:
                body = get(address, "/large")
                assert hashlib.sha256(body).digest() == hashlib.sha256(large).digest(), f"{address}: the file is damaged"
                for _ in range(20):
                    assert get(address, "/small") == b"small"
    test.__name__ = name
    return test


def refuses_other_ports():
    with tap() as machine:
        machine.wait_for("jitsu: ready")
        for address in ADDRESS4, ADDRESS6:
            try:
                socket.create_connection((address, 81), lab.PATIENCE).close()
            except ConnectionRefusedError:
                continue
            raise AssertionError(f"{address}: port 81 is open")


def sequence_numbers_cannot_be_foreseen():
    """Of connections from the same port, over several boots: no two numbers are near each other."""
    numbers = []
    for _ in range(4):
        with listener() as wire, tap() as machine:
            machine.wait_for("jitsu: ready")
            with socket.create_connection((ADDRESS4, 80), lab.PATIENCE, source_address=(HOST4, 40000)) as connection:
                # Without a TIME_WAIT here, so that the port can be used again.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for frame in frames_of_machine(wire):
                if frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_TCP and frame[47] & 0x12 == 0x12:
                    numbers.append(struct.unpack("!I", frame[38:42])[0])
    assert len(numbers) == 4, f"{len(numbers)} SYN-ACKs of 4"
    for i, one in enumerate(numbers):
        for other in numbers[:i]:
            assert min((one - other) % 2**32, (other - one) % 2**32) > 10000, f"predictable: {numbers}"


enter_namespace()
run("ip link set lo up")
run("ip tuntap add tap0 mode tap")
run(f"ip addr add {HOST4}/24 dev tap0")
run(f"ip -6 addr add {HOST6}/64 dev tap0 nodad")
run("ip link set tap0 up")
directory = tempfile.mkdtemp(prefix="jitsu-lab-")
try:
    large = random.Random(1).randbytes(8 << 20)
    ramdisk = os.path.join(directory, "site.cpio")
    with open(ramdisk, "wb") as file:
        file.write(cpio({"large": large, "small": b"small"}))
    lab.run(announces_itself_before_it_is_ready, does_without_ipv4, answers_pings, serves("serves_both_families"),
            serves("serves_without_offload", "csum=off", "guest_csum=off", "gso=off"),
            serves("serves_without_event_index", "event_idx=off"),
            refuses_other_ports, sequence_numbers_cannot_be_foreseen)
finally:
    shutil.rmtree(directory, ignore_errors=True)
