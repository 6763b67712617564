#!/usr/bin/env python3
"""Cold starts on a bridge, one after the other, each through all of jitsud as a client has it: a query by the C library's
resolver, a connection at once, a request, the answer; everything is looked at on the client's wire. Nothing that the machine was
there for is sent twice, refused or reset, every byte is right, and once the machine has spoken jitsud is out of the way. Clients on the LAN, and behind the host that the bridge is on;
IPv4 and IPv6; small pages, large ones, and uploads of 10 KB.

  bridge_cold_starts.py [--starts N] [test ...]     so many starts in each way of holding; a thousand take some minutes

What was on all wires in a start that was not as it should be is printed."""

import contextlib
import ctypes
import errno
import json
import multiprocessing
import os
import queue
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time

import archives
import bridge
import bridge_clients as clients
import lab
import long_request
import wire_log

STARTS = 20
NAME = bridge.WWW["name"]
BEHIND_PREFIX, BEHIND_GATEWAY, BEHIND = "10.99.0.0/24", "10.99.0.1", "10.99.0.100"
BEHIND_GATEWAY6, BEHIND6 = "fd99::1", "fd99::100"
MACHINE_WIRES, PORT_WIRES = "jm-", "jp-"
CLONE_NEWNS, CLONE_NEWNET, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x40000000, 0x1000, 0x4000, 0x40000
TCP_CLOSE, TOTAL_RETRANSMISSIONS = 7, 100  # of struct tcp_info: the state; where that number is

FILES = {"contents": long_request.CONTENTS, "small": bytes(range(200)), "large": os.urandom(150000)}


def get(path):
    return f"GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()


def check_get(path, answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    assert body == FILES[path], f"{len(body)} bytes, not the {len(FILES[path])} of the file"


REQUESTS = {
    "small": (get("small"), lambda answer: check_get("small", answer)),
    "large": (get("large"), lambda answer: check_get("large", answer)),
    "upload": (long_request.REQUEST, long_request.check_answer),
}


# --- clients ---

class Client:
    """A process of its own on a host: the C library resolves by the host's own resolv.conf."""

    def __init__(self, name, host, resolver):
        self.name, self.host = name, host
        self.wire = host.listen()
        self.pipe, other_end = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=self.serve, args=(other_end, resolver), daemon=True)
        self.process.start()
        other_end.close()

    def serve(self, pipe, resolver):
        libc = ctypes.CDLL(None, use_errno=True)
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(f"nameserver {resolver}\n")
            file.flush()
            for succeeded in (libc.setns(self.host.network, CLONE_NEWNET) == 0, libc.unshare(CLONE_NEWNS) == 0,
                              libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0,
                              libc.mount(file.name.encode(), os.path.realpath("/etc/resolv.conf").encode(), None, MS_BIND, None) == 0):
                assert succeeded, os.strerror(ctypes.get_errno())
        while True:
            pipe.send(Fetched(*pipe.recv()))

    def close(self):
        self.process.kill()
        self.process.join()
        self.wire.close()

    def fetch(self, family, kind):
        self.pipe.send((family, kind))
        return self.pipe.recv()


class Fetched:
    """A cold request by name: what failed, if anything, and when things happened, in seconds since it began."""

    def __init__(self, family, kind):
        self.failure, self.port, self.retransmissions = None, 0, 0
        self.closed = float("inf")  # seconds since the epoch
        self.begin = time.time()
        begin = time.perf_counter()
        request, check = REQUESTS[kind]
        try:
            address = socket.getaddrinfo(NAME, 80, family, socket.SOCK_STREAM)[0][4]
            with socket.socket(family) as connection:
                connection.settimeout(lab.PATIENCE)
                connection.connect(address)
                self.connected = time.perf_counter() - begin
                self.port = connection.getsockname()[1]
                connection.sendall(request)
                answer = self.receive(connection, begin)
                connection.shutdown(socket.SHUT_WR)
                while not self.is_closed(connection):
                    assert time.perf_counter() < begin + lab.PATIENCE, "its last segment is not acknowledged"
                    time.sleep(0.001)
                self.closed = time.time()
            check(answer)
        except (OSError, AssertionError) as failure:
            self.failure = repr(failure)

    def receive(self, connection, begin):
        pieces = [connection.recv(1 << 16)]
        self.first_byte = time.perf_counter() - begin
        while pieces[-1]:
            pieces.append(connection.recv(1 << 16))
        return b"".join(pieces)

    def is_closed(self, connection):
        """With the end of both directions acknowledged; notes how much went again."""
        facts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TOTAL_RETRANSMISSIONS + 4)
        self.retransmissions = struct.unpack_from("I", facts, TOTAL_RETRANSMISSIONS)[0]
        return facts[0] == TCP_CLOSE


@contextlib.contextmanager
def all_clients():
    """One on the LAN, and one that the bridge's host routes for."""
    with contextlib.ExitStack() as stack:
        near = stack.enter_context(contextlib.closing(clients.Host(
            "lan0", [f"{bridge.CLIENT}/24", f"{bridge.CLIENT6}/64"], [f"default via {bridge.GATEWAY}", f"default via {bridge.GATEWAY6}"])))
        bridge.run(f"ip link set lan0 master {bridge.BRIDGE} up")
        behind = stack.enter_context(contextlib.closing(clients.Host("behind0", [f"{BEHIND}/24", f"{BEHIND6}/64"])))
        bridge.run(f"ip addr add {BEHIND_GATEWAY}/24 dev behind0")
        bridge.run(f"ip -6 addr add {BEHIND_GATEWAY6}/64 dev behind0 nodad")
        bridge.run("ip link set behind0 up")
        for route in BEHIND_GATEWAY, BEHIND_GATEWAY6:
            behind.run(f"ip route add default via {route}")
        for setting in "ipv4/ip_forward", "ipv6/conf/all/forwarding":
            with open(f"/proc/sys/net/{setting}", "w") as file:
                file.write("1")
        for address in bridge.CLIENT, bridge.CLIENT6, BEHIND, BEHIND6:
            lab.wait_until(lambda: is_reached(address), f"{address} is reached")
        lab.wait_until(lambda: not bridge.run(f"ip -6 addr show dev {bridge.BRIDGE} tentative", capture_output=True).stdout,
                       "the bridge's host may ask for neighbours")
        yield [stack.enter_context(contextlib.closing(Client(name, host, bridge.GATEWAY)))
               for name, host in (("on the LAN", near), ("behind the host", behind))]


def is_reached(address):
    """Whether somebody there refuses a connection from the bridge's host."""
    with socket.socket(clients.family_of(address)) as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((address, 9)) == errno.ECONNREFUSED


# --- the daemon ---

class Control:
    """Connections to jitsud's control socket that stay open: events as they happen, and one to stop machines."""

    def __init__(self, daemon):
        self.commands, self.stream = (self.connect(daemon) for _ in range(2))
        self.answers = self.commands.makefile("r")
        self.stream.sendall(b'{"command": "events", "follow": true}\n')
        self.events = queue.SimpleQueue()
        threading.Thread(target=self.read, daemon=True).start()

    @staticmethod
    def connect(daemon):
        end = socket.socket(socket.AF_UNIX)
        end.connect(daemon.control)
        return end

    def read(self):
        with contextlib.suppress(OSError, ValueError):
            for line in self.stream.makefile("r"):
                self.events.put(json.loads(line))

    def stop(self):
        self.commands.sendall(json.dumps({"command": "stop", "name": NAME}).encode() + b"\n")
        self.answers.readline()

    def wait_for(self, state):
        """The event by which the service comes into that state, and those before it."""
        passed = []
        while not passed or passed[-1].get("to") != state:
            passed.append(self.events.get(timeout=lab.PATIENCE))
        return passed

    def close(self):
        self.commands.close()
        self.stream.close()


# --- what was seen ---

class Seen:
    """A start: what the client has got, and what was on the wires."""

    def __init__(self, client, family, kind, fetched, ready, on_client, elsewhere):
        self.title = f"{client.name}, {'IPv4' if family == socket.AF_INET else 'IPv6'}, {kind}"
        self.fetched, self.ready, self.frames = fetched, ready, sorted(on_client + elsewhere, key=lambda frame: frame.moment)
        own = [frame for frame in on_client if frame.flow and fetched.port in frame.flow]
        self.from_client = [frame for frame in own if frame.flow[1] == fetched.port]
        self.from_machine = [frame for frame in own if frame.flow[1] != fetched.port]
        self.at_machine = [frame for frame in elsewhere if frame.wire.startswith(MACHINE_WIRES)]
        self.repeated = list(wire_log.repeated(self.from_client))
        self.at_port = [frame for frame in elsewhere if frame.wire.startswith(PORT_WIRES)]

    def violations(self):
        if self.fetched.failure:
            yield f"it failed: {self.fetched.failure}"
        for frame in self.from_client + self.from_machine:
            # A SYN that the client sent twice may come to the machine once more when all is over, and be turned away.
            if frame.flags & wire_log.RST and frame.moment < self.fetched.closed:
                yield "a reset"
        for segment in wire_log.lost(self.from_client, self.at_machine, self.ready):
            yield f"the client had to send {'its SYN' if segment.flags & wire_log.SYN else 'a segment'} again"
        for _ in wire_log.repeated(self.from_machine):
            yield "the machine sent a segment again"
        # A frame may cross with the machine's HELLO: what counts is from jitsud's answer to that.
        hello = next((frame.moment for frame in self.at_port if frame.conduit_type() == "HELLO"), None)
        answered = next((frame.moment for frame in self.at_port
                         if frame.conduit_type() and frame.is_outgoing and frame.moment > hello), hello)
        for frame in self.at_port:
            # It may only pass on what it has had before.
            if frame.flow and frame.moment > answered and (frame.is_outgoing or frame.flow[1] == 80):
                yield "jitsud is still in the way"

    def forget_frames(self):
        self.frames = self.from_client = self.from_machine = self.at_machine = self.at_port = None

    def text(self):
        begin = self.fetched.begin
        lines = [(frame.moment, frame.line(begin)) for frame in self.frames if frame.matters()]
        lines.append((self.ready, f"{(self.ready - begin) * 1000:10.3f} ms  ready"))
        return "\n".join(line for _, line in sorted(lines))


def one_start(control, everywhere, client, family, kind):
    for wire in everywhere, client.wire:
        for _ in wire_log.frames(wire):
            pass
    fetched = client.fetch(family, kind)
    ready = control.wait_for("running")[-1]["time"]
    # While the machine is there: what clients are told when it is stopped is another matter.
    on_client, elsewhere = list(wire_log.frames(client.wire, "client")), list(wire_log.frames(everywhere))
    control.stop()
    control.wait_for("off")
    return Seen(client, family, kind, fetched, ready, on_client, elsewhere)


def report(hold, all_seen, found):
    fetched = [seen.fetched for seen in all_seen if not seen.fetched.failure]
    print(f"{hold}: {len(all_seen)} cold starts, {len(all_seen) - len(fetched)} failed; clients sent "
          f"{sum(len(seen.repeated) for seen in all_seen)} segments again (their TCP says "
          f"{sum(each.retransmissions for each in fetched)}); {len(found)} things are wrong", flush=True)
    if fetched:
        for what in "connected", "first_byte":
            times = sorted(getattr(each, what) * 1000 for each in fetched)
            print(f"{hold}: {what.replace('_', ' ')} {statistics.median(times):.1f} ms, at most {times[-1]:.1f} ms", flush=True)


def cold_starts(hold):
    turns = [(client, family, kind) for kind in REQUESTS for family in (socket.AF_INET, socket.AF_INET6) for client in range(2)]
    service = {**bridge.WWW, "hold": hold, "ramdisk": "site.cpio"}
    all_seen, found = [], []
    with all_clients() as hosts, lab.Daemon(services=[service], networks=[bridge.LAN], server={"listen": [f"{bridge.GATEWAY}@53"]},
                                            files={"site.cpio": archives.cpio(FILES)}) as daemon:
        control, everywhere = Control(daemon), wire_log.listen()
        with contextlib.closing(control), everywhere:
            for number in range(STARTS):
                client, family, kind = turns[number % len(turns)]
                seen = one_start(control, everywhere, hosts[client], family, kind)
                all_seen.append(seen)
                violations = [f"{hold}, start {number}, {seen.title}: {violation}" for violation in seen.violations()]
                if violations or seen.repeated:
                    print(*(violations or [f"{hold}, start {number}, {seen.title}: an impatient client"]), seen.text(), sep="\n", flush=True)
                found += violations
                seen.forget_frames()
    report(hold, all_seen, found)
    assert not found, "\n".join(found)


def delay_serves_cold_clients_without_a_loss():
    cold_starts("delay")


def handoff_serves_cold_clients_without_a_loss():
    cold_starts("handoff")


if __name__ == "__main__":
    if "--starts" in sys.argv:
        at = sys.argv.index("--starts")
        STARTS = int(sys.argv[at + 1])
    bridge.enter()
    if "--starts" in sys.argv:
        del sys.argv[at:at + 2]
    lab.run(delay_serves_cold_clients_without_a_loss,
            handoff_serves_cold_clients_without_a_loss)
