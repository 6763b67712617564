#!/usr/bin/env python3
"""What clients of a bridge network see on the wire, on the LAN and behind a router, before the machine exists, while it takes
over, and when it or jitsud is stopped."""

import contextlib
import os
import re
import select
import signal
import socket
import struct
import threading
import time

import bridge
import bridge_clients as clients
import lab
import long_request
import wire_log

ADDRESS, ADDRESS6 = bridge.WWW["address"]
NAME = bridge.WWW["name"]
OTHER = {**bridge.WWW, "name": "other.lab.example", "address": ["10.77.0.12", "fd77::12"]}
REQUEST = b"GET / HTTP/1.1\r\nHost: www.lab.example\r\nConnection: close\r\n\r\n"
HOLDS = "delay", "handoff"
ICMP, ICMPV6 = 1, 58


def get(connection, path="/"):
    """One request on a connection that stays open."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: www.lab.example\r\n\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(1 << 16) or end(answer)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(re.search(rb"Content-Length: (\d+)", head)[1])
    while len(body) < length:
        body += connection.recv(1 << 16) or end(body)
    assert head.startswith(b"HTTP/1.1 200 ") and len(body) == length, answer[:200]
    return body


def end(answer):
    raise AssertionError(f"the connection ended after {answer[-200:]}")


# --- before the machine exists ---

def uploads_that_begin_before_the_machine_exists_arrive_whole():
    assert len(long_request.REQUEST) > 10000
    for hold in HOLDS:
        service = {**bridge.WWW, "hold": hold, "ramdisk": "site.cpio"}
        with clients.world(service, files={"site.cpio": long_request.SITE}) as (daemon, near, far), clients.Crowd() as crowd:
            for address in ADDRESS, ADDRESS6:
                for host in near, far:
                    crowd.open(host, address, long_request.REQUEST)
            for connection in crowd.finish():
                assert not connection.failure, connection.failure
                long_request.check_answer(connection.answer)
            assert len(bridge.starts(daemon, service)) == 1


def stray_segments(address):
    """TCP segments to the service's port that open nothing."""
    for flags in clients.ACK, clients.FIN, clients.FIN | clients.ACK, clients.RST, clients.SYN | clients.ACK, clients.SYN | clients.RST:
        header = struct.pack("!HHIIBBHHH", 40000 + flags, 80, 1000, 2000, 5 << 4, flags, 8192, 0, 0)
        ends = socket.inet_pton(clients.family_of(address), address)
        own = socket.inet_pton(clients.family_of(address), bridge.CLIENT6 if ":" in address else bridge.CLIENT)
        total = sum(struct.unpack(f"!{len(own + ends + header) // 2}H", own + ends + header)) + socket.IPPROTO_TCP + len(header)
        while total >> 16:
            total = (total & 0xffff) + (total >> 16)
        yield header[:16] + struct.pack("!H", ~total & 0xffff) + header[18:]


def scan(host, address, broadcasts):
    """Everything that is no use of the service."""
    family = clients.family_of(address)
    with host.socket(family, socket.SOCK_DGRAM) as datagrams:
        datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        datagrams.sendto(b"scan", (address, 81))
        for group in broadcasts:
            datagrams.sendto(b"anybody?", group)
    for port in 22, 81, 443:
        with host.socket(family) as probe:
            probe.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                probe.connect((address, port))
    with host.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        for segment in stray_segments(address):
            raw.sendto(segment, (address, 0))
    with host.socket(family, socket.SOCK_RAW, ICMPV6 if ":" in address else ICMP) as raw:
        echo = struct.pack("!BBHHH", 128, 0, 0, 1, 1) if ":" in address else struct.pack("!BBHHH", 8, 0, 0xf7fd, 1, 1)
        raw.sendto(echo, (address, 0))


def wait_for_the_port(daemon, host):
    """Until the port has seen everything that was sent before: it starts the other service's machine by a packet sent now."""
    host.connect(OTHER["address"][0]).close()
    daemon.wait_for(OTHER["name"], "running")


def scans_pings_and_broadcasts_start_nothing():
    for hold in HOLDS:
        with clients.world({**bridge.WWW, "hold": hold}, OTHER) as (daemon, near, far):
            for group in "255.255.255.255", "224.0.0.0/4":
                near.run(f"ip route replace {group} dev eth0")
            scan(near, ADDRESS, [("10.77.0.255", 80), ("255.255.255.255", 80), ("224.0.0.251", 80)])
            scan(near, ADDRESS6, [("ff02::1", 80, 0, interface_index(near))])
            wait_for_the_port(daemon, near)
            assert daemon.state(NAME) == "off", daemon.events(NAME)
            assert not bridge.starts(daemon, bridge.WWW)


def interface_index(host):
    with host.inside():
        return socket.if_nametoindex("eth0")


def only_those_whom_summon_from_names_start_the_machine():
    service = {**bridge.WWW, "summon-from": [bridge.PREFIX, bridge.PREFIX6]}
    for hold in HOLDS:
        with clients.world({**service, "hold": hold}, OTHER) as (daemon, near, far), clients.Crowd() as crowd:
            for address in ADDRESS, ADDRESS6:
                crowd.open(far, address, REQUEST)
            wait_for_the_port(daemon, far)
            assert daemon.state(NAME) == "off", daemon.events(NAME)
            with near.connect(ADDRESS6) as connection:
                get(connection)
            assert [start["client"].startswith(bridge.CLIENT6) for start in bridge.starts(daemon, service)] == [True]
            for connection in crowd.finish():  # now that it runs it is there for everybody
                assert connection.is_whole(), (connection.failure, connection.answer[:100])


# --- while it takes over ---

AT_ONCE = 200  # fewer than the port holds frames of one service


def switch_over(hold):
    """A connection in every millisecond from the machine's start to well after it has answered the first."""
    service = {**bridge.WWW, "hold": hold, "prewarm": 1}
    with clients.world(service) as (daemon, near, far):
        for _ in range(3):
            daemon.wait_for_spares(NAME)
            with near.listen() as near_wire, far.listen() as far_wire, wire_log.listen() as everywhere, clients.Crowd() as crowd:
                begin = time.monotonic()
                first_answer = None
                opened = 0
                while not first_answer or time.monotonic() < first_answer + 0.1:
                    if time.monotonic() >= begin + opened * 0.001 and (first_answer or crowd.unopened() < AT_ONCE):
                        crowd.open((near, far)[opened % 2], (ADDRESS, ADDRESS6)[opened // 2 % 2], REQUEST)
                        opened += 1
                    crowd.step(0.0005)
                    if not first_answer and any(connection.answer for connection in crowd.ended):
                        first_answer = time.monotonic()
                    assert time.monotonic() < begin + lab.PATIENCE, "no answer"
                for connection in crowd.finish():
                    assert not connection.failure, f"{connection.address}: {connection.failure}"
                    assert connection.is_whole(), connection.answer[:200]
                ready = [event for event in daemon.events(NAME) if event["to"] == "running"][-1]["time"]
                at_machine = [frame for frame in wire_log.frames(everywhere) if frame.wire.startswith("jm-")]
                for wire in near_wire, far_wire:
                    lost = list(wire_log.lost(wire_log.frames(wire), at_machine, ready))
                    assert not lost, "sent again though the machine was ready:\n" + "\n".join(frame.line(ready) for frame in lost)
            daemon.ctl("stop", NAME)
            daemon.wait_for(NAME, "off")


def delay_loses_no_connection_at_the_switch_over():
    switch_over("delay")


def handoff_loses_no_connection_at_the_switch_over():
    switch_over("handoff")


# --- when the machine is killed ---

def kill_and_check(daemon, talkers):
    os.kill(daemon.status(NAME)["pid"], signal.SIGKILL)
    for talker in talkers:
        talker.check()


def talk(near, far, count, requests):
    return [Talker((near, far)[number % 2], (ADDRESS, ADDRESS6)[number // 2 % 2], requests) for number in range(count)]


def machines_killed_before_they_take_over_leave_no_client_waiting():
    for hold in HOLDS:
        with clients.world({**bridge.WWW, "hold": hold, "ready": "after:1h", "boot-timeout": "1h"}) as (daemon, near, far):
            talkers = talk(near, far, 20, 3)
            lab.wait_until(lambda: daemon.status(NAME).get("pid"), "it starts")
            kill_and_check(daemon, talkers)


MANY = 40  # connections that are handed over


class HandOver:
    """What has passed between the machine and jitsud's port."""

    def __init__(self):
        self.wire, self.has_spoken, self.said_hello, self.taken = wire_log.listen(), False, False, 0

    def close(self):
        self.wire.close()

    def read(self):
        for frame in wire_log.frames(self.wire):
            self.has_spoken = self.has_spoken or frame.wire.startswith("jm-") and not frame.is_outgoing
            if frame.wire.startswith("jp-") and frame.is_outgoing:
                self.said_hello = self.said_hello or frame.conduit_type() == "HELLO"
                self.taken += frame.conduit_type() == "TAKEN"
        return self

    def wait_for(self, condition):
        deadline = time.monotonic() + lab.PATIENCE
        while not condition(self.read()):
            assert time.monotonic() < deadline, "the machine does not get as far as that"
            select.select([self.wire], [], [], 0.1)


# When the machine is killed, and what must not have happened by the time that it is dead.
KILLS = {
    "before HELLO": (lambda seen: seen.has_spoken, lambda seen: seen.said_hello),
    "between HELLO and the first TAKEN": (lambda seen: seen.said_hello, lambda seen: seen.taken > 0),
    "after the first TAKEN": (lambda seen: seen.taken > 0, lambda seen: seen.taken > MANY // 2),
    "after half of them": (lambda seen: seen.taken > MANY // 2, lambda seen: seen.taken == MANY),
    "after the last TAKEN": (lambda seen: seen.taken == MANY, lambda seen: False),
}


def kill_when(arrives, is_too_late):
    """Kills the machine at that point of the hand-over. Returns whether it was early enough."""
    with clients.world({**bridge.WWW, "hold": "handoff"}) as (daemon, near, far):
        machine = lab.wait_until(lambda: daemon.ctl("start", NAME) and bridge.halted(daemon, NAME), "it is caught while it starts")
        with contextlib.closing(HandOver()) as seen:
            talkers = talk(near, far, MANY, 3)
            lab.wait_until(lambda: daemon.ctl("stats")["bridges"]["accepted"] == MANY, "all connections are held")
            os.kill(machine, signal.SIGCONT)
            seen.wait_for(arrives)
            os.kill(machine, signal.SIGKILL)
            for talker in talkers:
                talker.check()
            return not is_too_late(seen.read())


def machines_killed_while_they_take_over_leave_no_client_waiting():
    """What a client has sent is answered by the next machine, or the client is told."""
    for point, conditions in KILLS.items():
        assert any(kill_when(*conditions) for _ in range(10)), f"it was never killed {point}"


def machines_killed_after_they_took_over_reset_their_clients():
    for hold in HOLDS:
        with clients.world({**bridge.WWW, "hold": hold}) as (daemon, near, far):
            with near.connect(ADDRESS) as one, far.connect(ADDRESS6) as other:
                get(one), get(other)
                os.kill(daemon.status(NAME)["pid"], signal.SIGKILL)
                for connection in one, other:
                    try:
                        get(connection)
                        raise AssertionError("who answered?")
                    except ConnectionResetError:
                        pass


def connect_all(near, far):
    """Connections that begin before there is a machine."""
    sockets = []
    for host in near, far:
        for address in ADDRESS, ADDRESS6:
            one = host.socket(clients.family_of(address))
            one.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                one.connect((address, 80))
            sockets.append(one)
    for one in sockets:
        assert select.select([], [one], [], lab.PATIENCE)[1], "it is never accepted"
        one.settimeout(lab.PATIENCE)
    return sockets


def clients_that_only_wait_are_told_that_their_machine_was_killed():
    for hold in HOLDS:
        with clients.world({**bridge.WWW, "hold": hold}) as (daemon, near, far), contextlib.ExitStack() as stack:
            waiting = [stack.enter_context(one) for one in connect_all(near, far)]
            for one in waiting:
                get(one)
            os.kill(daemon.status(NAME)["pid"], signal.SIGKILL)
            for one in waiting:
                try:
                    raise AssertionError(f"who says {one.recv(100)}?")
                except ConnectionResetError:
                    pass


class Talker(threading.Thread):
    """Asks again and again on one connection until it ends."""

    def __init__(self, host, address, requests):
        super().__init__()
        self.host, self.address, self.requests = host, address, requests
        self.answers, self.failure = 0, None
        with host.inside():
            self.socket = socket.socket(clients.family_of(address))
        self.socket.settimeout(lab.PATIENCE)
        # A client that only waits, and that the port has not seen, is told when it next sends something.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
        self.start()

    def run(self):
        try:
            with self.socket as connection:
                connection.connect((self.address, 80))
                for _ in range(self.requests):
                    get(connection)
                    self.answers += 1
        except (OSError, AssertionError) as failure:
            self.failure = failure

    def check(self):
        self.join()
        assert self.answers == self.requests or isinstance(self.failure, (ConnectionResetError, ConnectionRefusedError, BrokenPipeError)), \
            f"{self.address}: {self.answers} of {self.requests} answers; {self.failure!r}"


# --- when jitsud is restarted, and when the machine is suspended ---

def connections_go_on_while_jitsud_is_restarted():
    for hold in HOLDS:
        with clients.world({**bridge.WWW, "hold": hold}) as (daemon, near, far), contextlib.ExitStack() as stack:
            open_ones = [stack.enter_context(host.connect(address)) for host in (near, far) for address in (ADDRESS, ADDRESS6)]
            page = get(open_ones[0])
            assert all(get(connection) == page for connection in open_ones)
            pid = daemon.status(NAME)["pid"]
            daemon.stop()
            assert all(get(connection) == page for connection in open_ones), "while it was not there"
            daemon.start()
            assert all(get(connection) == page for connection in open_ones), "when it was back"
            daemon.wait_for(NAME, "running")
            assert daemon.status(NAME)["pid"] == pid
            with far.connect(ADDRESS) as connection:
                assert get(connection) == page
            assert not bridge.starts(daemon, bridge.WWW)


def end_of(connection):
    """Asks on a connection that may be held by nobody any more; returns whether it was answered, or told at once to try again."""
    try:
        get(connection)
        return "answered"
    except (ConnectionResetError, BrokenPipeError):
        return "reset"


def a_front_that_is_killed_leaves_no_client_waiting_that_speaks():
    """What it had accepted nobody knows; whose opening it had held sends that again."""
    for hold, end in ("delay", "answered"), ("handoff", "reset"):
        with clients.world({**bridge.WWW, "hold": hold, "summon": ["packet"]}) as (daemon, near, far), contextlib.ExitStack() as stack:
            machine = lab.wait_until(lambda: daemon.ctl("start", NAME) and bridge.halted(daemon, NAME), "it is caught while it starts")
            held = [stack.enter_context(host.socket(clients.family_of(address))) for host in (near, far) for address in (ADDRESS, ADDRESS6)]
            for one, address in zip(held, 2 * (ADDRESS, ADDRESS6)):
                one.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    one.connect((address, 80))
            counter = "held_frames" if hold == "delay" else "accepted"
            lab.wait_until(lambda: daemon.ctl("stats")["bridges"][counter] >= len(held), "all are held")
            front = daemon.role("front")
            os.kill(front, signal.SIGKILL)
            lab.wait_until(lambda: daemon.role("front") != front and daemon.answers_control(), "there is another front")
            os.kill(machine, signal.SIGCONT)
            for one in held:
                assert select.select([], [one], [], lab.PATIENCE)[1], "it is never accepted"
                one.settimeout(lab.PATIENCE)
                assert end_of(one) == end
            for host in near, far:
                for address in ADDRESS, ADDRESS6:
                    with host.connect(address) as again:
                        get(again)
            assert daemon.status(NAME)["pid"] == machine


def the_next_packet_of_an_open_connection_resumes_a_suspended_machine():
    for hold in HOLDS:
        with clients.world({**bridge.WWW, "hold": hold, "stop": "suspend"}) as (daemon, near, far), contextlib.ExitStack() as stack:
            open_ones = [stack.enter_context(host.connect(address)) for host in (near, far) for address in (ADDRESS, ADDRESS6)]
            page = get(open_ones[0])
            assert all(get(connection) == page for connection in open_ones)
            pid = daemon.status(NAME)["pid"]
            for connection in open_ones:
                daemon.ctl("stop", NAME)
                daemon.wait_for(NAME, "suspended")
                assert get(connection) == page
                daemon.wait_for(NAME, "running")
                assert all(get(connection) == page for connection in open_ones)
            assert daemon.status(NAME)["pid"] == pid


if __name__ == "__main__":
    bridge.enter()
    lab.run(uploads_that_begin_before_the_machine_exists_arrive_whole,
            scans_pings_and_broadcasts_start_nothing,
            only_those_whom_summon_from_names_start_the_machine,
            delay_loses_no_connection_at_the_switch_over,
            handoff_loses_no_connection_at_the_switch_over,
            machines_killed_before_they_take_over_leave_no_client_waiting,
            machines_killed_while_they_take_over_leave_no_client_waiting,
            machines_killed_after_they_took_over_reset_their_clients,
            clients_that_only_wait_are_told_that_their_machine_was_killed,
            connections_go_on_while_jitsud_is_restarted,
            a_front_that_is_killed_leaves_no_client_waiting_that_speaks,
            the_next_packet_of_an_open_connection_resumes_a_suspended_machine)
