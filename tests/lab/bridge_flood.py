#!/usr/bin/env python3
"""Floods on a bridge network, from a thousand addresses that are nobody's: real clients are served, and the front's memory stays
within what the configuration allows."""

import contextlib
import ctypes
import itertools
import os
import re
import signal
import socket
import struct
import threading
import time

import bridge
import bridge_clients as clients
import ethernet
import images
import lab

ETHERNET_IPV4 = 0x0800
REQUEST = b"GET / HTTP/1.1\r\nHost: www.lab.example\r\nConnection: close\r\n\r\n"
NAME, ADDRESS = bridge.WWW["name"], bridge.WWW["address"][0]
STRANGERS = [f"198.18.{number >> 8}.{number & 255}" for number in range(1, 1001)]
NEIGHBOUR = "10.77.0.150"  # nobody's, too


# --- packets ---

def ip(source, destination, protocol, payload):
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + ends
    return header[:10] + struct.pack("!H", ethernet.checksum(header)) + header[12:] + payload


def tcp(source, destination, port, sequence, acknowledgement, flags, data=b""):
    segment = struct.pack("!HHIIBBHHH", port, 80, sequence & 0xffffffff, acknowledgement & 0xffffffff, 5 << 4, flags, 8192, 0, 0) + data
    ends = socket.inet_aton(source) + socket.inet_aton(destination)
    total = ethernet.checksum(ends + struct.pack("!HH", socket.IPPROTO_TCP, len(segment)) + segment)
    return ip(source, destination, socket.IPPROTO_TCP, segment[:16] + struct.pack("!H", total) + segment[18:])


def openings(address=ADDRESS):
    return [tcp(source, address, port, port * 7919, 0, clients.SYN) for port in range(20000, 20008) for source in STRANGERS]


def datagrams(address):
    return [ip(source, address, socket.IPPROTO_UDP, struct.pack("!HHHH", 5000, 80, 1408, 0) + bytes(1400)) for source in STRANGERS]


class Wire:
    """Sends packets to a machine from its client's wire, in anybody's name."""

    def __init__(self, host, address):
        self.socket = host.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind(("eth0", 0))
        self.own = self.socket.getsockname()[4]
        with host.socket(kind=socket.SOCK_DGRAM) as probe:
            probe.sendto(b"", (address, 9))
        found = lab.wait_until(lambda: re.search(r"lladdr (\S+)", host.run(f"ip neigh show {address}")), "somebody has the address")
        self.machine = bytes.fromhex(found[1].replace(":", ""))

    def frame(self, packet):
        return self.machine + self.own + b"\x08\0" + packet

    def send(self, packet):
        self.socket.send(self.frame(packet))


class Flood(threading.Thread):
    """Sends frames over and over, some ten thousand a second, until it is told to end."""

    def __init__(self, wire, frames):
        super().__init__()
        self.wire, self.frames = wire, frames
        self.ending, self.sent = False, 0

    def run(self):
        for frame in itertools.cycle(self.frames):
            if self.ending:
                return
            self.wire.socket.send(frame)
            self.sent += 1
            if self.sent % 20 == 0:
                time.sleep(0.001)

    def rise(self, count):
        begin = self.sent
        lab.wait_until(lambda: self.sent > begin + count, f"{count} more are sent")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        self.join()
        self.wire.socket.close()


def flood_of_openings(host):
    wire = Wire(host, ADDRESS)
    return Flood(wire, [wire.frame(packet) for packet in openings()])


# Classic BPF: code, where to if true, where to if false; and a value.
LOAD_HALF, JUMP_IF_EQUAL, ACCEPT, DROP = (0x28, 0, 0), (0x15, 0, 1), (0x06, 0, 0, 0xffff), (0x06, 0, 0, 0)
SO_ATTACH_FILTER, TCP_PORT_AT = 26, 14 + 20 + 2


def attach_filter(wire, program):
    """So that a flood's answers do not fill the socket."""
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *instruction) for instruction in program))
    wire.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code)))


class ByHand:
    """A TCP client at NEIGHBOUR that sends exactly what the test says."""

    def __init__(self, host, port):
        self.wire, self.port = Wire(host, ADDRESS), port
        self.received = host.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.received.bind(("eth0", ETHERNET_IPV4))  # what comes; not what the host sends
        self.received.settimeout(0.1)
        attach_filter(self.received, [LOAD_HALF + (TCP_PORT_AT,), JUMP_IF_EQUAL + (port,), ACCEPT, DROP])

    def send(self, flags, sequence, acknowledgement=0, data=b""):
        self.wire.send(tcp(NEIGHBOUR, ADDRESS, self.port, sequence, acknowledgement, flags, data))

    def expect(self, flags):
        """The next segment with these flags: its numbers."""
        to_us = socket.inet_aton(ADDRESS) + socket.inet_aton(NEIGHBOUR) + struct.pack("!HH", 80, self.port)
        deadline = time.monotonic() + lab.PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                frame = self.received.recv(2048)
                if frame[26:38] == to_us and frame[47] == flags:
                    return struct.unpack_from("!II", frame, 38)
                continue
            self.ask()
        raise AssertionError(f"waited in vain for a segment with flags {flags}")

    def ask(self):
        """Who has the machine's address? Whoever asks says where it is."""
        question = struct.pack("!HHBBH", 1, ETHERNET_IPV4, 6, 4, 1) + self.wire.own + socket.inet_aton(NEIGHBOUR)
        self.wire.socket.send(b"\xff" * 6 + self.wire.own + b"\x08\x06" + question + bytes(6) + socket.inet_aton(ADDRESS))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.wire.socket.close()
        self.received.close()


@contextlib.contextmanager
def not_going_on(daemon):
    """The machine has begun to start, and does not go on meanwhile."""
    pid = lab.wait_until(lambda: bridge.halted(daemon, NAME), "it is caught while it starts")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# --- real clients ---

def ask_all(near, far, pause):
    """Forty real clients, one after the other, on both wires and by both versions of IP; all are served."""
    with clients.Crowd() as crowd:
        for number in range(40):
            crowd.open((near, far)[number % 2], bridge.WWW["address"][number // 2 % 2], REQUEST)
            crowd.step(pause)
        for connection in crowd.finish():
            assert connection.is_whole(), (connection.address, connection.failure, connection.answer[:100])


def real_clients_are_served_in_a_flood_of_openings():
    """Before the machine exists, while it boots, while it takes over, and when it runs."""
    for hold in "delay", "handoff":
        with clients.world({**bridge.WWW, "hold": hold}) as (daemon, near, far), flood_of_openings(near) as flood:
            for _ in range(3):
                with not_going_on(daemon):
                    flood.rise(5000)
                    asking = threading.Thread(target=ask_all, args=(near, far, 0.03))
                    asking.start()
                    flood.rise(5000)
                asking.join()
                ask_all(near, far, 0.005)
                daemon.ctl("stop", NAME)


def what_a_real_client_has_sent_is_kept_though_false_ones_crowd():
    """It says once that it is there, and need not send its opening again."""
    with clients.world(bridge.WWW) as (daemon, near, far), ByHand(near, 1000) as client:
        with flood_of_openings(near) as flood, not_going_on(daemon):
            flood.rise(2000)
            client.send(clients.SYN, 1)
            _, number = client.expect(clients.ACK)
            client.send(clients.RST, number)
            flood.rise(20000)
        client.expect(clients.SYN | clients.ACK)


def a_handshake_that_began_with_the_port_s_cookie_ends_with_the_machine():
    with clients.world({**bridge.WWW, "hold": "handoff"}) as (daemon, near, far), ByHand(near, 1000) as client:
        with flood_of_openings(near) as flood, not_going_on(daemon):
            flood.rise(2000)
            client.send(clients.SYN, 1)
            number, _ = client.expect(clients.SYN | clients.ACK)
        daemon.wait_for(NAME, "running")
        lab.wait_until(lambda: daemon.ctl("stats")["bridges"]["connections"] == 0, "all are handed over")
        assert daemon.ctl("stats")["bridges"]["accepted"] == 0
        client.send(clients.ACK, 2, number + 1, REQUEST)
        client.expect(clients.ACK | clients.PSH | clients.FIN)  # the last of the answer


# --- memory ---

HELD = 4 << 20
REST = 2 << 20  # what else the front may come to need
QUARANTINE = 4  # MB
NEVER_READY = {**bridge.WWW, "boot-timeout": "1h"}
DELAYED = [{**NEVER_READY, "name": f"delayed{number}.lab.example", "address": f"10.77.0.{20 + number}", "image": "silent.elf",
            "ready": "tcp:80"} for number in range(3)]
ACCEPTED = [{**NEVER_READY, "name": f"accepted{number}.lab.example", "address": f"10.77.0.{30 + number}", "image": "announces.elf",
             "hold": "handoff"} for number in range(2)]
SILENT = {"silent.elf": images.kernel(images.HALT), "announces.elf": images.kernel(images.HALT, announces=True)}


def arp_questions(wire):
    for source in STRANGERS:
        yield (b"\xff" * 6 + wire.own + b"\x08\x06" + struct.pack("!HHBBH", 1, ETHERNET_IPV4, 6, 4, 1) + wire.own
               + socket.inet_aton(source) + bytes(6) + socket.inet_aton(ADDRESS))


def neighbour_questions(wire):
    target = socket.inet_pton(socket.AF_INET6, bridge.WWW["address"][1])
    group = socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + target[13:]
    for number in range(1000):
        source = socket.inet_pton(socket.AF_INET6, f"fd77::2:{number:x}")
        question = b"\x87\0\0\0" + bytes(4) + target + b"\1\1" + wire.own
        total = ethernet.checksum(source + group + struct.pack("!II", len(question), 58) + question)
        question = question[:2] + struct.pack("!H", total) + question[4:]
        yield b"\x33\x33" + group[12:] + wire.own + b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(question), 58, 255) + source + group + question


def memory_of(pid):
    """What the process has of its own, in bytes."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        return sum(int(size) << 10 for size in re.findall(r"^(?:Private_Clean|Private_Dirty|Swap): +(\d+) kB", file.read(), re.M))


def is_sanitized(pid):
    """Then allocations take a multiple, and some that are over are still taking it."""
    with open(f"/proc/{pid}/maps") as file:
        return "libasan" in file.read()


def send_all(stack, near, service, count):
    """Connections of real clients, who send as much as they can."""
    for _ in range(count):
        connection = stack.enter_context(near.connect(service["address"]))
        connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            connection.send(bytes(1 << 20))


def counters(daemon):
    text = daemon.curl("http://" + daemon.settings["server"]["metrics"].replace("@", ":") + "/metrics").decode()
    return {name: float(value) for name, value in re.findall(r"^(jitsu_\w+) (\S+)$", text, re.M)}


def memory_stays_within_what_is_configured():
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + f":quarantine_size_mb={QUARANTINE}"
    limits = {"held": HELD, "held-connections": 200, "starts": 1 + len(DELAYED) + len(ACCEPTED)}
    with clients.world({**bridge.WWW, "hold": "handoff"}, *DELAYED, *ACCEPTED, limits=limits, files=SILENT,
                       server={"metrics": f"127.0.0.1@{lab.free_port()}"}) as (daemon, near, far), contextlib.ExitStack() as stack:
        front = daemon.role("front")
        ask_all(near, far, 0)
        before = memory_of(front)

        def flood(wire, frames):
            with Flood(wire, list(frames)) as flood:
                flood.rise(10000)
                daemon.ctl("stop", NAME)
                daemon.wait_for(NAME, "off")
                ask_all(near, far, 0)
                held = counters(daemon)
                assert held["jitsu_held_bytes"] <= HELD == held["jitsu_held_limit_bytes"], held
            used = memory_of(front) - before
            assert used <= (4 * HELD + (QUARANTINE << 20) if is_sanitized(front) else HELD) + REST, f"{used} bytes, {held}"

        for service in DELAYED:
            wire = Wire(near, service["address"])
            flood(wire, [wire.frame(packet) for packet in datagrams(service["address"])])
        for service in ACCEPTED:
            send_all(stack, near, service, 100)
        for service in DELAYED[0], ACCEPTED[0]:
            wire = Wire(near, service["address"])
            flood(wire, [wire.frame(packet) for packet in openings(service["address"])])
        for questions in arp_questions, neighbour_questions:
            wire = Wire(near, ADDRESS)
            flood(wire, questions(wire))
        total = counters(daemon)
        assert total["jitsu_held_bytes"] > HELD * 3 / 4, "nothing was at its limit"
        assert total["jitsu_port_dropped_frames_total"] > 0 and total["jitsu_port_cookies_total"] > 0, total


if __name__ == "__main__":
    bridge.enter()
    lab.run(real_clients_are_served_in_a_flood_of_openings,
            what_a_real_client_has_sent_is_kept_though_false_ones_crowd,
            a_handshake_that_began_with_the_port_s_cookie_ends_with_the_machine,
            memory_stays_within_what_is_configured)
