"""What was on several wires, for people: frames with the wire that each was seen on, and connections' segments, and which of
these were repeated."""

import contextlib
import socket
import struct

ETHERNET_ALL = 3
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
PACKET_OUTGOING = 4
IPV4, ARP, IPV6, CONDUIT = 0x0800, 0x0806, 0x86dd, 0x88b5
ICMPV6 = 58
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
CONDUIT_TYPES = "acknowledgement", "HELLO", "TAKE", "TAKEN", "LOAD", "STOP", "STOPPED", "SETTLED"
SNAPPED = 128  # bytes of a frame: all its headers


class Frame:
    """One that was seen: `moment` in seconds since the epoch, `flow` (source, port, destination, port) if it is a TCP segment."""

    def __init__(self, moment, wire, is_outgoing, start):
        self.moment, self.wire, self.is_outgoing, self.start = moment, wire, is_outgoing, start
        self.kind = int.from_bytes(start[12:14], "big")
        self.flow, self.flags, self.length = None, 0, 0
        if self.kind == IPV4 and start[23] == socket.IPPROTO_TCP:
            begin = 14 + (start[14] & 15) * 4
            self.read_segment(start[26:30], start[30:34], start[begin:], int.from_bytes(start[16:18], "big") - (begin - 14))
        elif self.kind == IPV6 and start[20] == socket.IPPROTO_TCP:
            self.read_segment(start[22:38], start[38:54], start[54:], int.from_bytes(start[18:20], "big"))

    def read_segment(self, source, destination, header, length):
        source_port, destination_port, self.sequence, self.acknowledged = struct.unpack_from("!HHII", header)
        self.flow = address_text(source), source_port, address_text(destination), destination_port
        self.flags, self.window = header[13], int.from_bytes(header[14:16], "big")
        self.length = length - (header[12] >> 4) * 4

    def space(self):
        """How many sequence numbers it takes."""
        return self.length + bool(self.flags & SYN) + bool(self.flags & FIN)

    def matters(self):
        """It is a segment, or of importance to where the bridge sends these."""
        return self.flow or self.kind in (ARP, CONDUIT) or self.is_neighbour()

    def is_neighbour(self):
        return self.kind == IPV6 and self.start[20] == ICMPV6 and self.start[54] in (135, 136)

    def conduit_type(self):
        """The name of its type if it is a frame of the conduit, or None."""
        if self.kind != CONDUIT or self.start[14:18] != b"JTSU":
            return None
        return CONDUIT_TYPES[self.start[19]] if self.start[19] < len(CONDUIT_TYPES) else str(self.start[19])

    def text(self):
        if self.flow:
            names = [name for name, flag in (("SYN", SYN), ("FIN", FIN), ("RST", RST), ("PSH", PSH), ("ACK", ACK)) if self.flags & flag]
            return (f"{self.flow[0]} {self.flow[1]} > {self.flow[2]} {self.flow[3]}  {' '.join(names)}  {self.sequence} "
                    f"+{self.length}  acknowledges {self.acknowledged}  window {self.window}")
        if self.kind == ARP:
            operation, _, sender, _, target = struct.unpack_from("!H6s4s6s4s", self.start, 20)
            words = "asks for" if operation == 1 else "answers"
            return f"ARP  {address_text(sender)} {words} {address_text(target)}"
        if self.conduit_type():
            return "conduit  {}  piece at {} of {} bytes".format(self.conduit_type(), *struct.unpack_from("!HH", self.start, 14 + 34))
        if self.is_neighbour():
            word = "asks for" if self.start[54] == 135 else "answers for"
            return f"neighbour  {address_text(self.start[22:38])} {word} {address_text(self.start[62:78])}"
        return f"type {self.kind:04x}"

    def line(self, begin):
        ends = ":".join(f"{byte:02x}" for byte in self.start[6:12]), ":".join(f"{byte:02x}" for byte in self.start[:6])
        return f"{(self.moment - begin) * 1000:10.3f} ms  {self.wire:16} {'<' if self.is_outgoing else '>'}  {ends[0]} {ends[1]}  {self.text()}"


def address_text(address):
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def listen(make_socket=socket.socket, interface=None):
    """A socket that gets every frame on that interface, or on all, with its time."""
    wire = make_socket(socket.AF_PACKET, socket.SOCK_RAW, 0 if interface else socket.htons(ETHERNET_ALL))
    wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    wire.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    if interface:
        wire.bind((interface, ETHERNET_ALL))
    wire.setblocking(False)
    return wire


def frames(wire, name=None):
    """What a listening socket has got since it was asked last; `name` in place of the interface's own."""
    with contextlib.suppress(BlockingIOError):
        while True:
            start, ancillary, _, sender = wire.recvmsg(SNAPPED, 64)
            seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2])
            yield Frame(seconds + nanoseconds / 1e9, name or sender[0], sender[2] == PACKET_OUTGOING, start)


def repeated(segments):
    """Those of the segments of connections, seen on one wire, whose sequence numbers had all or in part been sent before, with
    the first that they repeat."""
    sent = {}
    for segment in segments:
        if not segment.flow or not segment.space() or segment.flags & RST:
            continue
        pieces = sent.setdefault(segment.flow, [])
        for before in pieces:
            begin = (segment.sequence - before.sequence + (1 << 31)) % (1 << 32) - (1 << 31)
            if -segment.space() < begin < before.space():
                yield segment, before
                break
        pieces.append(segment)


def lost(on_client, at_machine, ready):
    """The segments that clients had to send again since the machine was ready because it had not got them: the frames on the
    clients' wire, and on the machine's. One that it has got and is slow to answer makes its client impatient; that is no loss."""
    got = {}
    for frame in at_machine:
        if frame.flow and frame.is_outgoing:
            got.setdefault((frame.flow, frame.sequence), frame.moment)
    for again, before in repeated(frame for frame in on_client if frame.is_outgoing):
        if again.moment > ready and got.get((before.flow, before.sequence), again.moment) >= again.moment:
            yield again
