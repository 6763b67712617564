#!/usr/bin/env python3
"""www.elf and the conduit, with a port in Python between it and Linux clients: the announcement, connections that the port has
accepted and hands over in every state they can be in, the load, and the stop."""

import contextlib
import errno
import hashlib
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import conduit
import ethernet
import lab
from archives import cpio
from conduit import (CLIENT_ENDED, DONE, FULL, HAS_IT, HELLO, LOAD, NO_MORE, NOBODY, NOT_UNDERSTOOD, SETTLED, STOP, STOPPED, TAKE,
                     WINDOW, Connection, Port, read_all)
from ethernet import ADDRESS4, ADDRESS6
from machine import Machine

CLOSE = b"GET /small HTTP/1.0\r\n\r\n"
KEEP = b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n"
LARGE = b"GET /large HTTP/1.0\r\n\r\n"


def machine(memory=32, ramdisk=True, image="www.elf"):
    return Machine(lab.image(image), memory=memory, options=conduit.OPTIONS, ramdisk=site if ramdisk else None, network=None, extra=[
        "-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no",
        "-device", f"virtio-net-device,netdev=net,mac={ethernet.MAC}"])


def connection_to(address, source=None):
    return socket.create_connection((address, 80), lab.PATIENCE, source_address=(source, 0) if source else None)


def body_of(answer):
    return answer.partition(b"\r\n\r\n")[2]


def read_answers(client, count, body=b"small"):
    """So many answers with that body on a connection that is kept."""
    found = b""
    while found.count(b"\r\n\r\n" + body) < count:
        piece = client.recv(1 << 16)
        assert piece, f"the connection ended after {found.count(body)} of {count} answers"
        found += piece


def is_large(answer):
    return hashlib.sha256(body_of(answer)).digest() == hashlib.sha256(large).digest()


def says_hello_until_it_is_heard():
    with Port() as port, machine() as www:
        port.answers = False
        port.wait(lambda: len(port.arrivals) >= 5, "five HELLOs")
        assert all(kind == HELLO for _, kind in port.arrivals)
        times = [when for when, _ in port.arrivals]
        assert times[4] - times[3] > times[1] - times[0], f"no longer pauses: {times}"
        port.answers = True
        features = struct.unpack("!I", port.wait_for_message(HELLO))[0]
        assert features == 7, features
        count = len(port.arrivals)
        port.send(SETTLED)
        assert [kind for _, kind in port.arrivals[count:] if kind == HELLO] == [], "HELLO after it was acknowledged"
        www.wait_for("jitsu: ready")


def demands_a_token():
    for options in "conduit=1:2:3", f"conduit={conduit.PORT_MAC}", f"conduit={conduit.PORT_MAC} token=12":
        with Machine(lab.image("www.elf"), options=f"{ethernet.OPTIONS} {options}") as www:
            assert www.wait_for_end() == 33
            assert b"jitsu: fatal: option" in www.console, www.console


def heeds_nobody_else():
    with Port(accepts=False) as port, machine() as www:
        port.wait_for_message(HELLO)
        stop = struct.pack("!I", 0)
        for source, frame in ((port.mac, port.frame(STOP, stop, port.sequence + 1, token=bytes(16))),
                              (port.mac, port.frame(STOP, stop, port.sequence + 1, version=2)),
                              (port.mac, port.frame(STOP, stop, port.sequence + 1)[:37]),
                              (conduit.mac("52:54:00:00:00:99"), port.frame(STOP, stop, port.sequence + 1))):
            port.write(port.machine_mac, source, conduit.ETHERTYPE, frame)
        port.wait(lambda: conduit.loads(port) and conduit.loads(port)[-1][1] == 4, "four frames are counted")
        with connection_to(ADDRESS4) as client:
            client.sendall(CLOSE)
            assert body_of(read_all(client)) == b"small"
        assert www.process.poll() is None


def tells_its_load():
    with Port(accepts=False) as port, machine():
        port.wait_for_message(HELLO)
        port.send(SETTLED)
        with connection_to(ADDRESS4) as client:
            client.sendall(KEEP)
            read_answers(client, 1)
            port.wait(lambda: any(load[0] == 1 and load[2] == len(KEEP) and load[3] > len("small") for load in conduit.loads(port)),
                      "LOAD with one connection, its request and its answer")
        port.wait(lambda: conduit.loads(port)[-1][0] == 0, "LOAD without connections")
        with contextlib.ExitStack() as stack:
            # One after the other, for three seconds: there are not more LOADs than seconds.
            before, start = len(conduit.loads(port)), time.monotonic()
            while time.monotonic() < start + 3:
                client = stack.enter_context(connection_to(ADDRESS4))
                client.sendall(KEEP)
                read_answers(client, 1)
            count, seconds = len(conduit.loads(port)) - before, time.monotonic() - start
            assert 1 <= count <= seconds + 2, f"{count} LOADs in {seconds:.1f} s"
        # A port that is new is told what it must know.
        port.begin_anew()
        before = len(port.messages)
        port.send(HELLO, bytes(4))
        port.wait_for_message(HELLO, before)
        port.wait_for_message(LOAD, before)


def takes(name, address, before, after=b"", check=lambda answer: body_of(answer) == b"small", ends=False):
    """The client sends `before` to the port and `after` to the machine."""
    def test():
        with Port() as port, connection_to(address) as client:
            client.sendall(before)
            if ends:
                client.shutdown(socket.SHUT_WR)
                port.wait(lambda: any(held.flags & CLIENT_ENDED for held in port.connections.values()), "the client's end")
            port.wait_for_connections(1, len(before))
            with machine():
                port.hand_over()
                if after:
                    client.sendall(after)
                assert check(read_all(client)), "the answer is wrong"
    test.__name__ = name
    return test


def stats_tells_that_its_first_client_had_waited():
    with Port() as port, connection_to(ADDRESS4) as client:
        client.sendall(b"GET /stats.json HTTP/1.0\r\n\r\n")
        port.wait_for_connections(1)
        with machine(ramdisk=False, image="stats.elf"):
            port.hand_over()
            connections = json.loads(body_of(read_all(client)))["connections"]
            assert connections["total"] == connections["open"] == 1, connections
            assert connections["first"]["origin"] == "handed over", connections
            with connection_to(ADDRESS4) as late:
                late.sendall(b"GET / HTTP/1.0\r\n\r\n")
                page = read_all(late)
                assert b"jitsud took the connection, and handed it over" in page, page


def takes_as_much_as_the_window_holds():
    """Requests of exactly a window, and as many again that the client can send only once these were read."""
    request = b"GET /small HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (292 - 37) + b"\r\n\r\n"
    count = WINDOW // len(request)
    assert len(request) * count == WINDOW
    for address in ADDRESS4, ADDRESS6:
        with Port() as port, connection_to(address) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
            client.sendall(request * count * 3)
            port.wait_for_connections(1, WINDOW)
            with machine():
                port.hand_over()
                read_answers(client, count * 3)


def takes_what_the_client_will_send_again():
    """As the port has not acknowledged it."""
    for address in ADDRESS4, ADDRESS6:
        with Port() as port:
            port.acknowledges = False
            with connection_to(address) as client:
                client.sendall(KEEP)
                port.wait(lambda: port.repetitions, "the client sends it again")
                with machine():
                    port.hand_over()
                    read_answers(client, 1)
                    client.sendall(CLOSE)
                    answer = read_all(client)
                    assert answer.count(b"HTTP/1.1 200") == 1 and body_of(answer) == b"small", answer


def takes_a_connection_that_is_half_open():
    """The SYN-ACK was lost; or it was not, and its acknowledgement was."""
    for address in ADDRESS4, ADDRESS6:
        family = socket.AF_INET6 if address == ADDRESS6 else socket.AF_INET
        for arrives in False, True:
            with Port() as port, socket.socket(family) as client:
                port.sends_syn_ack = arrives
                client.setblocking(False)
                client.connect_ex((address, 80))
                port.wait(lambda: port.connections, "the SYN")
                held = next(iter(port.connections.values()))
                if arrives:
                    port.wait_for_connections(1)
                held.state = conduit.SYN_RECEIVED
                client.settimeout(lab.PATIENCE)
                with machine():
                    port.hand_over()
                    with contextlib.suppress(OSError):  # it waits until it is connected
                        client.connect((address, 80))
                    client.sendall(CLOSE)
                    assert body_of(read_all(client)) == b"small"


def takes_hundreds():
    with Port() as port, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connection_to(ADDRESS6 if number % 2 else ADDRESS4)) for number in range(300)]
        for client in clients:
            client.sendall(CLOSE)
        port.wait_for_connections(300, len(CLOSE))
        with machine():
            start = time.monotonic()
            port.hand_over()
            print(f"  300 connections handed over in {time.monotonic() - start:.3f} s with {port.sent_again} repetitions")
            for client in clients:
                assert body_of(read_all(client)) == b"small"


def takes_for_large_answers():
    """Their first segments, which are made before the client's Ethernet address is known, are not lost."""
    with Port() as port, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connection_to(*ends)) for ends in ((ADDRESS4, conduit.NEIGHBOUR4), (ADDRESS6,)) * 2]
        for client in clients:
            client.sendall(LARGE)
        held = port.wait_for_connections(4, len(LARGE))
        with ethernet.listener() as wire, machine():
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            port.hand_over()
            first = {}
            for client in clients:
                assert is_large(read_all(client)), "the file is damaged"
            for frame in ethernet.frames(wire):
                tcp = 34 if frame[12:14] == b"\x08\0" and frame[23] == socket.IPPROTO_TCP else \
                    54 if frame[12:14] == b"\x86\xdd" and frame[20] == socket.IPPROTO_TCP else None
                if tcp and len(frame) > 1000:
                    first.setdefault(*struct.unpack_from("!HI", frame, tcp + 2))
        for connection in held:
            assert first[connection.client_port] == connection.first + 1 & 0xffffffff, "the first segment was lost"


def takes_over_a_bad_conduit():
    choice = random.Random(1)
    with Port() as port, contextlib.ExitStack() as stack:
        port.loses = lambda sending: choice.random() < 0.2
        clients = [stack.enter_context(connection_to(ADDRESS4)) for _ in range(20)]
        for client in clients:
            client.sendall(KEEP * (300 if client is clients[0] else 1))
        port.wait_for_connections(20, len(KEEP))
        port.wait(lambda: any(len(held.data) == 300 * len(KEEP) for held in port.connections.values()), "many requests")
        with machine():
            port.hand_over()
            for client in clients:
                read_answers(client, 300 if client is clients[0] else 1)
        assert port.sent_again > 0


def tells_where_a_connection_came_from():
    with Port() as port, connection_to(ADDRESS4) as client:
        client.sendall(b"GET /stats.json HTTP/1.0\r\n\r\n")
        port.wait_for_connections(1, 10)
        with machine(image="stats.elf", ramdisk=False):
            port.hand_over()
            first = json.loads(body_of(read_all(client)))["connections"]["first"]
            assert first["origin"] == "handed over", first


def keeps_quiet_until_all_is_settled():
    """What comes to the machine before its TAKE is not reset; after SETTLED, what belongs to no connection is."""
    def stray(wire, source_port):
        """An acknowledgement out of the blue. Returns whether it was reset before the machine answered an ARP request."""
        pair = socket.inet_aton("10.9.0.88") + socket.inet_aton(ADDRESS4)
        segment = struct.pack("!HHIIBBHHH", source_port, 80, 1, 1, 0x50, conduit.ACK, 1000, 0, 0)
        check = ethernet.checksum(pair + struct.pack("!HH", socket.IPPROTO_TCP, 20) + segment)
        segment = segment[:16] + struct.pack("!H", check) + segment[18:]
        header = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0) + pair
        header = header[:10] + struct.pack("!H", ethernet.checksum(header)) + header[12:]
        source = conduit.mac("52:54:00:00:00:99")
        ethernet.frames(wire)
        wire.send(conduit.mac(ethernet.MAC) + source + b"\x08\0" + header + segment)
        # So that the machine knows where to send a reset; twice, as it has to ask first.
        seen = []

        def answered():
            wire.send(b"\xff" * 6 + source + b"\x08\x06\0\1\x08\0\6\4\0\1" + source + pair[:4] + bytes(6) + pair[4:])
            seen.extend(ethernet.frames(wire))
            return sum(1 for frame in seen if frame[12:14] == b"\x08\x06" and frame[21] == 2) >= 2
        lab.wait_until(answered, "answers to ARP")
        return any(frame[12:14] == b"\x08\0" and frame[23] == socket.IPPROTO_TCP and frame[47] & conduit.RST and
                   frame[36:38] == struct.pack("!H", source_port) for frame in seen)

    with Port() as port, connection_to(ADDRESS4) as client:
        client.sendall(KEEP[:10])
        port.wait_for_connections(1, 10)
        with ethernet.listener() as wire, machine():
            port.wait_for_message(HELLO)
            with port.changed:
                port.accepts = False
            client.sendall(KEEP[10:])
            assert not stray(wire, 50001)
            port.hand_over()
            read_answers(client, 1)
            assert stray(wire, 50002)


def keeps_what_comes_before_its_connection():
    """Nothing that clients send to the machine before it has their connections has to be sent again."""
    with Port() as port, patient_clients(), contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connection_to(ADDRESS6 if number % 2 else ADDRESS4)) for number in range(40)]
        for client in clients:
            client.sendall(KEEP[:10])
        port.wait_for_connections(len(clients), 10)
        with machine():
            port.wait_for_message(HELLO)
            with port.changed:
                port.accepts = False
            for client in clients:
                for byte in KEEP[10:14]:
                    client.sendall(bytes([byte]))
                client.sendall(KEEP[14:])
            port.hand_over()
            for client in clients:
                read_answers(client, 1)
                assert repetitions(client) == 0, f"{repetitions(client)} segments had to be sent again"


@contextlib.contextmanager
def patient_clients():
    """Clients that send nothing again for longer than anything takes."""
    def set_patience(words):
        for version, prefix in (4, f"{ethernet.ADDRESS4.rpartition('.')[0]}.0/24"), (6, f"{ethernet.ADDRESS6.rpartition(':')[0]}:/64"):
            subprocess.run(f"ip -{version} route replace {prefix} dev br0 {words}".split(), check=True)
    set_patience(f"rto_min {lab.PATIENCE // 2}s")
    try:
        yield
    finally:
        set_patience("")


def repetitions(client):
    return struct.unpack_from("I", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]


def refuses_what_it_cannot_take():
    with Port(accepts=False) as port, machine():
        port.wait_for_message(HELLO)
        stranger = Connection(1000, socket.AF_INET, socket.inet_aton("10.9.0.77"), 1234, 81)
        stranger.state, stranger.send_window = conduit.ESTABLISHED, 1000
        assert port.take(stranger) == NOBODY, "nobody listens on port 81"
        assert port.take(stranger, machine_port=80, machine=socket.inet_aton("10.9.0.3")) == NOBODY, "it is another's address"
        for changes in (dict(state=9), dict(family=5), dict(client_port=0), dict(receive_window=WINDOW + 1), dict(receive_scale=1),
                        dict(flags=1, receive_scale=2), dict(flags=CLIENT_ENDED, state=conduit.SYN_RECEIVED),
                        dict(client=bytes(4)), dict(client=b"\xe0\0\0\1"), dict(client=b"\x0a\x09\0\xff"),
                        dict(client=socket.inet_aton(ADDRESS4)), dict(data=bytes(WINDOW - 9), receive_window=10)):
            outcome = port.take(stranger, **{"machine_port": 80, **changes})
            assert outcome == NOT_UNDERSTOOD, f"{changes}: {outcome}"
        with connection_to(ADDRESS4) as client:
            # The client is connected to the machine by itself.
            source = client.getsockname()
            assert port.take(stranger, machine_port=80, client=socket.inet_aton(source[0]), client_port=source[1]) == HAS_IT
            client.sendall(KEEP)
            read_answers(client, 1)


def survives_nonsense():
    """Messages of all kinds, changed at random, and whole frames; then a port that begins anew, and a client. SEED and MESSAGES in
    the environment vary it."""
    choice = random.Random(int(os.environ.get("SEED", "1")))

    def change(bytes_):
        bytes_ = bytearray(bytes_)
        for _ in range(choice.choice([0, 1, 1, 2, 5])):
            if bytes_:
                bytes_[choice.randrange(min(len(bytes_), 80))] = choice.choice([0, 1, 255, choice.randrange(256)])
        return bytes(bytes_[:choice.randrange(len(bytes_) + 1)] if choice.random() < 0.1 else bytes_)

    with Port(accepts=False) as port, machine() as www:
        port.wait_for_message(HELLO)
        for number in range(int(os.environ.get("MESSAGES", "600"))):
            family = choice.choice([socket.AF_INET, socket.AF_INET6])
            client = socket.inet_aton("10.9.0.77") if family == socket.AF_INET else socket.inet_pton(family, "fd09::77")
            held = Connection(number, family, client, 1000 + number, 80)
            held.state, held.send_window, held.data = choice.choice([1, 2, 2, 2]), choice.randrange(65536), choice.choice([b"", b"GET"])
            if held.state == conduit.SYN_RECEIVED:
                held.data = b""
            port.send(choice.choice([TAKE] * 8 + [HELLO, SETTLED, LOAD, 99]), change(held.take()))
            for _ in range(5):
                payload = port.frame(choice.choice([TAKE, HELLO, 0, 77]), choice.randbytes(choice.choice([0, 4, 70, 1000])),
                                     choice.choice([port.sequence, port.sequence + 1, choice.randrange(1 << 32)]),
                                     choice.choice([0, 0, 1462, choice.randrange(65536)]), choice.choice([4, 70, 65535]))
                payload = payload[:choice.choice([len(payload), len(payload), choice.randrange(len(payload))])]
                # Not CONDUIT_FIRST, which would begin the numbers anew.
                port.write(port.machine_mac, port.mac, conduit.ETHERTYPE, payload[:6] + bytes([choice.choice([0, 0, 254])]) + payload[7:])
        with port.changed:
            port.sequence, port.first = 0x40000000, True
        port.send(HELLO, bytes(4))
        assert www.process.poll() is None, www.console
        with connection_to(ADDRESS4) as client:
            client.sendall(CLOSE)
            assert body_of(read_all(client)) == b"small"


def refuses_what_is_too_much():
    """A machine with little memory, whose clients never take their answers."""
    with Port(accepts=False) as port, machine(memory=8, ramdisk=False):
        port.wait_for_message(HELLO)
        stalled = Connection(1, socket.AF_INET, socket.inet_aton("10.9.0.77"), 1, 80)
        stalled.state, stalled.send_window, stalled.data = conduit.ESTABLISHED, 100, b"GET / HTTP/1.0\r\n\r\n"
        outcomes = []
        while FULL not in outcomes:
            number = len(outcomes) + 1
            outcomes.append(port.take(stalled, id=number, client_port=number))
            assert len(outcomes) < 2500, "no limit"
        assert len(outcomes) > 16 and set(outcomes[:-1]) == {DONE}, outcomes
        port.wait(lambda: conduit.loads(port) and conduit.loads(port)[-1][0] == len(outcomes) - 1, "their number in LOAD")


def stop(port, deadline):
    port.send(STOP, struct.pack("!I", deadline))


def cut(port):
    return struct.unpack("!I", port.wait_for_message(STOPPED))[0]


def is_unanswered(client):
    """Is the client still trying to connect?"""
    try:
        client.getpeername()
    except OSError as error:
        return error.errno == errno.ENOTCONN
    return False


def stops_at_once_when_idle():
    with Port(accepts=False) as port, machine() as www:
        port.wait_for_message(HELLO)
        with connection_to(ADDRESS4) as client, connection_to(ADDRESS6) as silent:
            client.sendall(KEEP)
            read_answers(client, 1)
            stop(port, 1000 * lab.PATIENCE)
            assert client.recv(1) == b"" and silent.recv(1) == b""
            assert cut(port) == 0
            assert www.wait_for_end() == 0


def stops_after_what_is_under_way():
    """A download goes on to its end; nobody new gets in, and is not sent away either; what is half said is heard."""
    with Port(accepts=False) as port, machine() as www:
        port.wait_for_message(HELLO)
        with connection_to(ADDRESS4) as client, connection_to(ADDRESS6) as slow, socket.socket() as late:
            client.sendall(LARGE)
            slow.sendall(KEEP[:20])
            answer = client.recv(1 << 16)
            port.wait(lambda: conduit.loads(port) and conduit.loads(port)[-1][2] == len(LARGE) + 20, "both are known by LOAD")
            stop(port, 1000 * lab.PATIENCE)
            late.setblocking(False)
            late.connect_ex((ADDRESS4, 80))
            stalled = Connection(1, socket.AF_INET, socket.inet_aton("10.9.0.77"), 1, 80)
            stalled.state = conduit.ESTABLISHED
            assert port.take(stalled) == NO_MORE
            slow.sendall(KEEP[20:])
            head, _, body = read_all(slow).partition(b"\r\n\r\n")
            assert body == b"small" and b"Connection: close" in head, head
            assert is_large(answer + read_all(client)), "the file is damaged"
            assert cut(port) == 0
            assert www.wait_for_end() == 0
            assert late.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0, "a new client was refused"
            assert is_unanswered(late), "a new client was accepted"


def stops_at_the_deadline():
    with Port(accepts=False) as port, machine() as www:
        port.wait_for_message(HELLO)
        with connection_to(ADDRESS4) as client:
            client.sendall(LARGE)
            client.recv(1)
            stop(port, 1000 * lab.PATIENCE)
            stop(port, 500)
            assert cut(port) == 1
            assert www.wait_for_end() == 0
            try:
                assert not is_large(b"H" + read_all(client))
                raise AssertionError("the connection ended as if all was well")
            except ConnectionResetError:
                pass


def stops_even_if_nobody_hears_it():
    with Port(accepts=False) as port, machine() as www:
        port.wait_for_message(HELLO)
        port.answers = False
        stop(port, 0)
        assert www.wait_for_end() == 0
        assert [kind for _, kind in port.arrivals].count(STOPPED) > 1


conduit.enter()
directory = tempfile.mkdtemp(prefix="jitsu-lab-")
try:
    large = random.Random(1).randbytes(8 << 20)
    site = os.path.join(directory, "site.cpio")
    with open(site, "wb") as file:
        file.write(cpio({"large": large, "small": b"small"}))
    lab.run(says_hello_until_it_is_heard, demands_a_token, heeds_nobody_else, tells_its_load,
            takes("takes_a_request", ADDRESS4, CLOSE), takes("takes_a_request_by_ipv6", ADDRESS6, CLOSE),
            takes("takes_a_silent_connection", ADDRESS4, b"", CLOSE),
            takes("takes_half_a_request", ADDRESS4, CLOSE[:9], CLOSE[9:]),
            takes("takes_half_a_request_by_ipv6", ADDRESS6, CLOSE[:9], CLOSE[9:]),
            takes("takes_a_client_that_has_ended", ADDRESS4, CLOSE, ends=True),
            takes("takes_a_client_that_has_ended_by_ipv6", ADDRESS6, KEEP, ends=True),
            takes("takes_a_client_that_gave_up", ADDRESS4, b"GET", ends=True, check=lambda answer: answer == b""),
            takes("takes_a_large_download", ADDRESS4, LARGE, check=is_large),
            takes("takes_a_link_local_client", conduit.LINK_LOCAL + "%br0", CLOSE[:9], CLOSE[9:]),
            takes_what_the_client_will_send_again, takes_as_much_as_the_window_holds, takes_a_connection_that_is_half_open, takes_hundreds, takes_for_large_answers,
            takes_over_a_bad_conduit, tells_where_a_connection_came_from, stats_tells_that_its_first_client_had_waited, survives_nonsense, keeps_quiet_until_all_is_settled,
            keeps_what_comes_before_its_connection, refuses_what_it_cannot_take, refuses_what_is_too_much,
            stops_at_once_when_idle, stops_after_what_is_under_way, stops_at_the_deadline, stops_even_if_nobody_hears_it)
finally:
    shutil.rmtree(directory, ignore_errors=True)
