#!/usr/bin/env python3
"""www.elf on an Ethernet of its own (a TAP device in a network namespace): it announces its addresses before it says that it is
ready, answers pings, and serves IPv4 and IPv6 with the device's checksum offload and without."""

import errno
import hashlib
import os
import random
import shutil
import socket
import struct
import subprocess
import tempfile

import ethernet
import lab
from archives import cpio
from ethernet import ADDRESS4, ADDRESS6, HOST4, HOST6, get, listener

TOTAL_RETRANSMISSIONS = 100  # where struct tcp_info has them
FRAME_MAX = 1514
FIN, ACK = 0x01, 0x10
SEGMENT_SIZE_100 = struct.pack("!BBH", 2, 4, 100)
ECHO4, ECHO4_REPLY, ECHO6, ECHO6_REPLY = 8, 0, 128, 129


def ping(family, address, size):
    protocol, request, reply = ((socket.IPPROTO_ICMP, ECHO4, ECHO4_REPLY) if family == socket.AF_INET
                                else (socket.IPPROTO_ICMPV6, ECHO6, ECHO6_REPLY))
    payload = struct.pack("!HH", os.getpid() & 0xffff, 1) + random.randbytes(size)
    message = struct.pack("!BBH", request, 0, 0) + payload
    if family == socket.AF_INET:
        message = struct.pack("!BBH", request, 0, ethernet.checksum(message)) + payload
    with socket.socket(family, socket.SOCK_RAW, protocol) as icmp:
        icmp.settimeout(lab.PATIENCE)
        icmp.sendto(message, (address, 0))
        while True:
            answer = icmp.recv(4096)
            if family == socket.AF_INET:
                answer = answer[(answer[0] & 15) * 4:]
            if answer[0] == reply and answer[4:] == payload:
                return


def announces_itself():
    """Without being asked. (QEMU passes frames on in its own time: not always before the console's lines.)"""
    frames = []
    mac = bytes.fromhex(ethernet.MAC.replace(":", ""))
    address = socket.inet_aton(ADDRESS4)

    def gratuitous():
        frames.extend(ethernet.frames(wire))
        return [frame for frame in frames
                if frame[12:14] == b"\x08\x06" and frame[28:32] == address and frame[38:42] == address]

    with listener() as wire, ethernet.www(ramdisk) as machine:
        machine.wait_for("jitsu: ready")
        first = lab.wait_until(gratuitous, "a gratuitous ARP")[0]
        assert first[:6] == b"\xff" * 6, "the gratuitous ARP is not for everybody"
        assert all(frame[6:12] == mac for frame in frames), "frames with another source"


def has_several_addresses():
    """Each is announced, answered for and served."""
    others = ["10.9.0.20", "10.9.0.21"]
    others6 = ["fd09::20", "fd09::21", "fd09::22", "fd09::23"]
    options = ethernet.OPTIONS + "".join(f" ip={address}/24" for address in others) + "".join(f" ip6={address}/64" for address in others6)
    announced = set()

    def all_announced():
        for frame in ethernet.frames(wire):
            if frame[12:14] == b"\x08\x06" and frame[28:32] == frame[38:42]:
                announced.add(socket.inet_ntop(socket.AF_INET, frame[28:32]))
            elif frame[12:14] == b"\x86\xdd" and frame[20] == 58 and frame[54] == 136:
                announced.add(socket.inet_ntop(socket.AF_INET6, frame[62:78]))
        return announced >= {ADDRESS4, ADDRESS6, *others, *others6}

    with listener() as wire, ethernet.www(ramdisk, options=options) as machine:
        machine.wait_for("jitsu: ready")
        lab.wait_until(all_announced, "all are announced")
        subprocess.run(["ip", "neigh", "flush", "dev", "tap0"], check=True)
        for _ in range(2):
            for address in (ADDRESS4, *others, ADDRESS6, *others6):
                assert get(address, "/small") == b"small"


def does_without_ipv4():
    with listener() as wire, ethernet.www(ramdisk, options=f"ip6={ADDRESS6}/64") as machine:
        machine.wait_for("jitsu: ready")
        lab.wait_until(lambda: ethernet.frames(wire), "a frame that announces the machine")
        assert get(ADDRESS6, "/small") == b"small"


def answers_pings():
    with ethernet.www(ramdisk) as machine:
        machine.wait_for("jitsu: ready")
        for size in 0, 56, 1400:
            ping(socket.AF_INET, ADDRESS4, size)
            ping(socket.AF_INET6, ADDRESS6, size)


def serves(name, *features):
    def test():
        with ethernet.www(ramdisk, features) as machine:
            machine.wait_for("jitsu: ready")
            for address in ADDRESS4, ADDRESS6:
                body = get(address, "/large")
                assert hashlib.sha256(body).digest() == hashlib.sha256(large).digest(), f"{address}: the file is damaged"
                for _ in range(20):
                    assert get(address, "/small") == b"small"
    test.__name__ = name
    return test


def leaves_the_cutting_of_segments_to_the_device():
    """If it can: where not, no frame is longer than Ethernet's."""
    for address, features, long in (ADDRESS4, (), True), (ADDRESS6, (), True), (ADDRESS4, ("host_tso6=off",), False):
        with listener() as wire, ethernet.www(ramdisk, features) as machine:
            machine.wait_for("jitsu: ready")
            assert get(address, "/large") == large, f"{address}: the file is damaged"
            longest = max(len(frame) for frame in ethernet.frames(wire))
            assert (longest > FRAME_MAX) == long, f"{address} {features}: the longest frame has {longest} bytes"


def refuses_other_ports():
    with ethernet.www(ramdisk) as machine:
        machine.wait_for("jitsu: ready")
        for address in ADDRESS4, ADDRESS6:
            try:
                socket.create_connection((address, 81), lab.PATIENCE).close()
            except ConnectionRefusedError:
                continue
            raise AssertionError(f"{address}: port 81 is open")


def connect_from(host, port, address):
    """A connection from that port, once the one before it is over on this side too."""
    def attempt():
        connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.settimeout(lab.PATIENCE)
        try:
            connection.bind((host, port))
            connection.connect((address, 80))
        except OSError as error:
            connection.close()
            if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL):
                raise
            return None
        return connection
    return lab.wait_until(attempt, f"port {port} is free")


def lets_a_client_come_back_from_the_same_port():
    """At once, though the machine, which ended the connection, remembers it."""
    with ethernet.www(ramdisk) as machine:
        machine.wait_for("jitsu: ready")
        for address, host in (ADDRESS4, HOST4), (ADDRESS6, HOST6):
            for _ in range(5):
                with connect_from(host, 40001, address) as connection:
                    connection.sendall(b"GET /small HTTP/1.0\r\n\r\n")
                    answer = b"".join(iter(lambda: connection.recv(4096), b""))
                    retransmissions = struct.unpack_from("I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104),
                                                         TOTAL_RETRANSMISSIONS)[0]
                assert answer.endswith(b"small"), answer
                assert retransmissions == 0, f"{address}: {retransmissions} retransmissions"


def tcp(frame):
    """Of a TCP segment over IPv4: source port, sequence number, acknowledgement, flags; None of anything else."""
    is_tcp = frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_TCP
    return struct.unpack("!HxxIIxB", frame[34:48]) if is_tcp else None


def wait_for_segment(wire, of_machine, wanted):
    found = []
    lab.wait_until(lambda: found.extend(frame for frame in ethernet.frames(wire, of_machine) if tcp(frame) and wanted(*tcp(frame)))
                   or found, "a segment")
    return found[-1]


def send_segment(wire, frame, options=b""):
    """Sends the first 54 bytes of a frame, an IPv4 packet without data or options, with those options of TCP's."""
    packet = bytearray(frame[14:54])
    packet[2:4] = struct.pack("!H", len(packet) + len(options))
    packet[10:12] = bytes(2)
    packet[10:12] = struct.pack("!H", ethernet.checksum(bytes(packet[:20])))
    packet[32] = (20 + len(options)) << 2
    packet[36:38] = bytes(2)
    segment = packet[20:] + options
    pseudo = packet[12:20] + struct.pack("!HH", socket.IPPROTO_TCP, len(segment))
    segment[16:18] = struct.pack("!H", ethernet.checksum(bytes(pseudo + segment)))
    wire.send(frame[:14] + packet[:20] + segment)


def acknowledges_an_end_that_comes_again():
    """The client's, of a connection that is over for the machine: so it is when the machine's last acknowledgement is lost."""
    with listener() as wire, ethernet.www(ramdisk) as machine:
        machine.wait_for("jitsu: ready")
        with socket.create_connection((ADDRESS4, 80), lab.PATIENCE) as connection:
            connection.sendall(b"GET /small HTTP/1.0\r\n\r\n")
            while connection.recv(4096):
                pass
            ethernet.frames(wire)
        end = wait_for_segment(wire, False, lambda port, number, acknowledged, flags: flags & FIN)
        _, number, sent, _ = tcp(end)
        for _ in range(3):  # the first time it may be the acknowledgement that is not lost
            send_segment(wire, end)
            wait_for_segment(wire, True, lambda port, its_number, acknowledged, flags: port == 80 and flags == ACK and
                             its_number == sent and acknowledged == (number + 1) % 2**32)


def does_not_heed_a_segment_size_in_the_middle():
    """It belongs to a connection's beginning; lwIP would heed it, and fail where longer segments wait already."""
    with listener() as wire, ethernet.www(ramdisk, ("host_tso6=off",)) as machine, socket.socket() as connection:
        machine.wait_for("jitsu: ready")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20000)  # so that much has to wait
        connection.settimeout(lab.PATIENCE)
        connection.connect((ADDRESS4, 80))
        connection.sendall(b"GET /large HTTP/1.0\r\n\r\n")
        connection.recv(1)
        last = wait_for_segment(wire, False, lambda port, number, acknowledged, flags: flags == ACK)
        send_segment(wire, last, SEGMENT_SIZE_100)
        assert b"".join(iter(lambda: connection.recv(1 << 20), b"")).endswith(large), "the file is damaged"
        assert get(ADDRESS4, "/small") == b"small"


def sequence_numbers_cannot_be_foreseen():
    """Of connections from the same port, over several boots: no two numbers are near each other."""
    numbers = []
    for _ in range(4):
        with listener() as wire, ethernet.www(ramdisk) as machine:
            machine.wait_for("jitsu: ready")
            with socket.create_connection((ADDRESS4, 80), lab.PATIENCE, source_address=(HOST4, 40000)) as connection:
                # Without a TIME_WAIT here, so that the port can be used again.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for frame in ethernet.frames(wire):
                if frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_TCP and frame[47] & 0x12 == 0x12:
                    numbers.append(struct.unpack("!I", frame[38:42])[0])
    assert len(numbers) == 4, f"{len(numbers)} SYN-ACKs of 4"
    for i, one in enumerate(numbers):
        for other in numbers[:i]:
            assert min((one - other) % 2**32, (other - one) % 2**32) > 10000, f"predictable: {numbers}"


ethernet.enter()
directory = tempfile.mkdtemp(prefix="jitsu-lab-")
try:
    large = random.Random(1).randbytes(8 << 20)
    ramdisk = os.path.join(directory, "site.cpio")
    with open(ramdisk, "wb") as file:
        file.write(cpio({"large": large, "small": b"small"}))
    lab.run(announces_itself, has_several_addresses, does_without_ipv4, answers_pings, serves("serves_both_families"),
            serves("serves_without_offload", "csum=off", "guest_csum=off", "gso=off"),
            serves("serves_without_event_index", "event_idx=off"), leaves_the_cutting_of_segments_to_the_device,
            refuses_other_ports, lets_a_client_come_back_from_the_same_port,
            acknowledges_an_end_that_comes_again, does_not_heed_a_segment_size_in_the_middle, sequence_numbers_cannot_be_foreseen)
finally:
    shutil.rmtree(directory, ignore_errors=True)
