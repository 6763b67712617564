#!/usr/bin/env python3
"""Who answers for a machine's addresses on a bridge, as the frames on the kernel's wires show it: jitsud's port while the machine
is off, the machine alone once it is there, and the port again before it goes; and what clients are told if it does not come."""

import collections
import contextlib
import ipaddress
import re
import select
import socket
import struct
import time

import bridge
import bridge_clients as clients
import ethernet
import images
import lab
import wire_log

NAME, (ADDRESS, ADDRESS6) = bridge.WWW["name"], bridge.WWW["address"]
NOBODY, NOBODY6 = "10.77.0.99", "fd77::99"
HOLDS = "delay", "handoff"
REQUEST = b"GET / HTTP/1.1\r\nHost: www.lab.example\r\nConnection: close\r\n\r\n"
OWN_MAC = bytes.fromhex("020000000a0a")
ALL_NODES, UNSPECIFIED = "ff02::1", ("0.0.0.0", "::")
ADVERTISEMENT, OVERRIDE, SOLICITED = 136, 0x20, 0x40
ICMP_ECHO, ICMPV6_ECHO = 8, 128
PORT_UNREACHABLE = {socket.AF_INET: (3, 3), socket.AF_INET6: (1, 4)}  # type and code


# --- what is asked ---

def packed(address):
    return socket.inet_pton(clients.family_of(address), address)


def ipv6_frame(destination, source, message, sender, receiver):
    """An ICMPv6 message, whose checksum is filled in."""
    ends = packed(sender) + packed(receiver)
    total = ethernet.checksum(ends + struct.pack("!II", len(message), wire_log.ICMPV6) + message)
    header = struct.pack("!HIHBB", wire_log.IPV6, 6 << 28, len(message), wire_log.ICMPV6, 255)
    return destination + source + header + ends + message[:2] + struct.pack("!H", total) + message[4:]


def question(target, sender, source=OWN_MAC):
    """An ARP request, or a neighbour solicitation; from an unspecified sender it looks for a duplicate."""
    if ":" not in target:
        return b"\xff" * 6 + source + struct.pack("!HHHBBH", wire_log.ARP, 1, wire_log.IPV4, 6, 4, 1) + source + packed(sender) + \
            bytes(6) + packed(target)
    group = packed("ff02::1:ff00:0")[:13] + packed(target)[13:]
    option = b"" if sender in UNSPECIFIED else b"\1\1" + source
    return ipv6_frame(b"\x33\x33" + group[12:], source, struct.pack("!BBHI", 135, 0, 0, 0) + packed(target) + option, sender,
                      socket.inet_ntop(socket.AF_INET6, group))


def ping(address, mac, sender):
    echo = struct.pack("!BBHHH", ICMPV6_ECHO if ":" in address else ICMP_ECHO, 0, 0, 1, 1)
    if ":" in address:
        return ipv6_frame(mac, OWN_MAC, echo, sender, address)
    echo = echo[:2] + struct.pack("!H", ethernet.checksum(echo)) + echo[4:]
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(echo), 0, 0, 64, socket.IPPROTO_ICMP, 0, packed(sender), packed(address))
    header = header[:10] + struct.pack("!H", ethernet.checksum(header)) + header[12:]
    return mac + OWN_MAC + struct.pack("!H", wire_log.IPV4) + header + echo


# --- what is said ---

Claim = collections.namedtuple("Claim", "address mac source to")


def claim(frame):
    """Whose the frame says the address is, or None: an ARP message of its sender's, or a neighbour advertisement."""
    if frame.kind == wire_log.ARP:
        mac, sender, _, target = struct.unpack_from("!6s4s6s4s", frame.start, 22)
        return Claim(wire_log.address_text(sender), mac, frame.start[6:12], wire_log.address_text(target))
    if frame.is_neighbour() and frame.start[54] == ADVERTISEMENT:
        return Claim(wire_log.address_text(frame.start[62:78]), frame.start[80:86], frame.start[6:12],
                     wire_log.address_text(frame.start[38:54]))
    return None


def claims_from(wires):
    """What was said since it was asked last, with the kind of the wire that it came from."""
    return [(frame.wire[:3], claim(frame)) for frame in wire_log.frames(wires) if not frame.is_outgoing and claim(frame)]


class Asker:
    """Hosts without a kernel on the wire of a client: each question comes from an address of its own."""

    def __init__(self, host):
        self.wire, self.count, self.marks = host.listen(), 0, set()

    def close(self):
        self.wire.close()

    def name(self, like):
        """Another address to ask from, of the same version."""
        self.count += 1
        return f"fd77::a:{self.count:x}" if ":" in like else f"10.77.0.{120 + self.count}"

    def send(self, *frames):
        for frame in frames:
            self.wire.send(frame)

    def claims_until(self, is_enough):
        """All claims of others that have been made, when there are enough."""
        claims = []
        deadline = time.monotonic() + lab.PATIENCE
        while not is_enough(claims):
            assert time.monotonic() < deadline, f"waited in vain; {claims}"
            select.select([self.wire], [], [], 0.1)
            claims += [claim(frame) for frame in wire_log.frames(self.wire) if not frame.is_outgoing and claim(frame)]
        return claims

    def ask(self, *frames, marker=ADDRESS, answered=()):
        """Sends these, and then asks for `marker`. Returns what was said by the time that this is answered, and those who are to be."""
        mark = self.name(marker)
        self.marks.add(mark)
        self.send(*frames, question(marker, mark))
        claims = self.claims_until(lambda claims: {mark, *answered} <= {each.to for each in claims})
        return self.others(claims, mark)

    @staticmethod
    def others(claims, mark):
        """Without the mark, and what is said to the clients' kernels."""
        kernels = bridge.CLIENT, bridge.CLIENT6, clients.ROUTER, clients.ROUTER6, bridge.GATEWAY, bridge.GATEWAY6
        return [each for each in claims if each.to not in (mark, *kernels) and each.address in (ADDRESS, ADDRESS6, NOBODY, NOBODY6)]


@contextlib.contextmanager
def asked_world(*services, **settings):
    with clients.world(*services, **settings) as (daemon, near, far), contextlib.closing(Asker(near)) as asker:
        yield daemon, near, asker


def mac_of_machine(daemon):
    """As its virtual hardware has it."""
    mac = re.search(r"mac=([0-9a-f:]{17})", lab.command_line(daemon.status(NAME)["pid"]))[1]
    return bytes.fromhex(mac.replace(":", ""))


def serve(host, address):
    """Once, whether it runs already or not."""
    with clients.Crowd() as crowd:
        connection = crowd.open(host, address, REQUEST)
        crowd.finish()
        assert connection.is_whole(), (connection.failure, connection.answer[:100])


def machine_wire():
    return next(name for _, name in socket.if_nameindex() if name.startswith("jm-"))


# --- while it is off ---

def the_port_answers_once_for_a_machine_that_is_off_and_only_for_it():
    for hold in HOLDS:
        with asked_world({**bridge.WWW, "hold": hold}) as (daemon, near, asker), wire_log.listen() as everywhere:
            senders = {address: asker.name(address) for address in (ADDRESS, ADDRESS6, NOBODY, NOBODY6)}
            answers = asker.ask(*(question(address, sender) for address, sender in senders.items()),
                                answered=[senders[ADDRESS], senders[ADDRESS6]])
            mac = answers[0].mac
            assert sorted(answers) == sorted(Claim(address, mac, mac, senders[address]) for address in (ADDRESS, ADDRESS6)), answers

            # Looked at for duplicates; or as the machine itself would ask, whom the bridge would send no answer.
            list(wire_log.frames(everywhere))
            probes = question(ADDRESS, "0.0.0.0"), question(ADDRESS6, "::")
            assert asker.ask(*probes) == []
            assert asker.ask(*(question(address, asker.name(address), mac) for address in (ADDRESS, ADDRESS6))) == []
            assert asker.ask(question(ADDRESS, ADDRESS, mac), question(ADDRESS6, ADDRESS6, mac)) == []
            assert {said.to for wire, said in claims_from(everywhere) if wire == "jp-"} <= asker.marks

            assert asker.ask(*(ping(address, mac, asker.name(address)) for address in (ADDRESS, ADDRESS6))) == []
            assert daemon.state(NAME) == "off" and not bridge.starts(daemon, bridge.WWW), daemon.events(NAME)
            serve(near, ADDRESS)
            assert mac == mac_of_machine(daemon)


# --- while it is there ---

def only_the_machine_answers_once_it_is_ready():
    for hold in HOLDS:
        with asked_world({**bridge.WWW, "hold": hold}) as (daemon, near, asker), wire_log.listen() as everywhere:
            serve(near, ADDRESS), serve(near, ADDRESS6)
            mac = mac_of_machine(daemon)
            list(wire_log.frames(everywhere))
            senders = {address: asker.name(address) for address in (ADDRESS, ADDRESS6)}
            answers = asker.ask(*(question(address, sender) for address, sender in senders.items()), marker=bridge.PORT_ADDRESS,
                                answered=senders.values())
            expected = sorted(Claim(address, mac, mac, sender) for address, sender in senders.items())
            assert sorted(said for said in answers if said.to in senders.values()) == expected, answers
            from_wires = claims_from(everywhere)
            from_port = [said.address for wire, said in from_wires if wire == "jp-"]
            assert set(from_port) == {bridge.PORT_ADDRESS}, from_port
            assert sorted(said for wire, said in from_wires if wire == "jm-" and said.to in senders.values()) == expected, from_wires


# --- before it goes ---

def check_announced(daemon, wire, device, mac):
    daemon.wait_for(NAME, "off")
    lab.wait_until(lambda: device not in [name for _, name in socket.if_nameindex()], "its device is gone")
    wire.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # that it is gone
    sent = [(claim(frame), frame.start) for frame in wire_log.frames(wire, device) if frame.is_outgoing and claim(frame)]
    said = [each for each, _ in sent]
    assert Claim(ADDRESS, mac, mac, ADDRESS) in said, said  # a gratuitous ARP
    assert Claim(ADDRESS6, mac, mac, ALL_NODES) in said, said
    flags = {start[58] & (SOLICITED | OVERRIDE) for each, start in sent if each.address == ADDRESS6 and each.to == ALL_NODES}
    assert flags == {OVERRIDE}, flags


def the_port_announces_itself_before_a_machine_that_is_told_to_stop_is_gone():
    for hold in HOLDS:
        with asked_world({**bridge.WWW, "hold": hold}) as (daemon, near, _):
            serve(near, ADDRESS)
            mac, device = mac_of_machine(daemon), machine_wire()
            with wire_log.listen(interface=device) as wire:
                daemon.ctl("stop", NAME)
                check_announced(daemon, wire, device, mac)


def the_port_announces_itself_before_an_idle_machine_is_gone():
    with asked_world({**bridge.WWW, "idle": "1s"}) as (daemon, near, _):
        with near.connect(ADDRESS) as connection:  # as long as this is open it is not idle
            daemon.wait_for(NAME, "running")
            mac, device = mac_of_machine(daemon), machine_wire()
            wire = wire_log.listen(interface=device)
        with wire:
            check_announced(daemon, wire, device, mac)


# --- if it does not come ---

def unreachables(frames):
    """The ICMP errors of the service's: version, type and code, to whom, and when."""
    for frame in frames:
        start = frame.start
        if frame.is_outgoing:
            continue
        if frame.kind == wire_log.IPV4 and start[23] == socket.IPPROTO_ICMP and start[26:30] == packed(ADDRESS):
            begin = 14 + (start[14] & 15) * 4
            yield socket.AF_INET, (start[begin], start[begin + 1]), start[30:34], frame.moment
        if frame.kind == wire_log.IPV6 and start[20] == wire_log.ICMPV6 and start[22:38] == packed(ADDRESS6) and start[54] < 128:
            yield socket.AF_INET6, (start[54], start[55]), start[38:54], frame.moment


def refused(client):
    client.settimeout(lab.PATIENCE)
    try:
        raise AssertionError(f"who says {client.recv(100)}?")
    except (ConnectionRefusedError, ConnectionResetError):
        return True


def a_start_that_fails_tells_all_whose_packets_were_held():
    for hold in HOLDS:
        service = {**bridge.WWW, "image": "silent.elf", "hold": hold, "ready": "announce", "boot-timeout": "2s"}
        with clients.world(service, files={"silent.elf": images.kernel(images.HALT, announces=True)}) as (daemon, near, far), \
                near.listen() as wire, contextlib.ExitStack() as stack:
            held = []
            for address in ADDRESS, ADDRESS6:
                for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
                    client = stack.enter_context(near.socket(clients.family_of(address), kind))
                    client.setblocking(False)
                    with contextlib.suppress(BlockingIOError):
                        client.connect((address, 80))
                    if kind == socket.SOCK_DGRAM:
                        client.send(b"anybody?")
                    held.append(client)
            daemon.wait_for(NAME, "failed")
            assert all(refused(client) for client in held)
            frames = list(wire_log.frames(wire))
            told = sorted(unreachables(frames))
            assert [each[:3] for each in told] == sorted((family, PORT_UNREACHABLE[family], packed(own)) for family, own in
                                  ((socket.AF_INET, bridge.CLIENT), (socket.AF_INET6, bridge.CLIENT6))), told
            resets = {frame.flow[0] for frame in frames if frame.flow and frame.flags & wire_log.RST and not frame.is_outgoing}
            assert resets == {ADDRESS, ADDRESS6}, resets
            start, = bridge.starts(daemon, service)
            assert all(moment > start["time"] + 1 for *_, moment in told), "not held for as long as it may take to boot"


# --- addresses of jitsud's choice ---

def a_service_without_an_address_gets_one_of_the_prefix_and_is_served():
    near, _ = clients.hosts()
    with lab.Daemon(services=[bridge.WWW], networks=[clients.LAN], start=False) as daemon:
        del daemon.settings["services"][0]["address"]
        daemon.configure()
        daemon.start()
        address, = daemon.resolve(NAME)
        taken = bridge.GATEWAY, bridge.PORT_ADDRESS, clients.ROUTER
        assert ipaddress.ip_address(address) in ipaddress.ip_network(bridge.PREFIX) and address not in taken, address
        serve(near, address)


if __name__ == "__main__":
    bridge.enter()
    lab.run(the_port_answers_once_for_a_machine_that_is_off_and_only_for_it,
            only_the_machine_answers_once_it_is_ready,
            the_port_announces_itself_before_a_machine_that_is_told_to_stop_is_gone,
            the_port_announces_itself_before_an_idle_machine_is_gone,
            a_start_that_fails_tells_all_whose_packets_were_held,
            a_service_without_an_address_gets_one_of_the_prefix_and_is_served)
