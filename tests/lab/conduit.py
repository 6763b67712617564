"""A port in Python: on a bridge between the machine and a real client, it answers ARP and neighbour discovery in the machine's
stead, accepts connections and holds what clients send, and speaks the conduit (src/common/conduit.h, written here anew, so that
two readings of it meet)."""

import fcntl
import os
import select
import socket
import struct
import subprocess
import threading
import time

import ethernet
import lab

PORT_MAC = "52:54:00:70:6f:72"
TOKEN = bytes(range(16))
NEIGHBOUR4 = "10.9.0.7"  # the host's too, and not the gateway's: the machine does not ask for it by itself
LINK_LOCAL = "fe80::5054:ff:fe0a:b0c"  # the machine's, from its Ethernet address
OPTIONS = f"{ethernet.OPTIONS} conduit={PORT_MAC} token={TOKEN.hex()}"

ETHERTYPE, MAGIC, VERSION, FIRST = 0x88b5, 0x4a545355, 1, 1
HEADER = struct.Struct("!IBBBBII16sHHH")
ACKNOWLEDGEMENT, HELLO, TAKE, TAKEN, LOAD, STOP, STOPPED, SETTLED = range(8)
DONE, HAS_IT, NOBODY, FULL, NOT_UNDERSTOOD, NO_MORE = range(6)
SYN_RECEIVED, ESTABLISHED = 1, 2
SCALED, SACK, CLIENT_ENDED = 1, 2, 4
PIECE_MAX = 1500 - HEADER.size
WINDOW = 64240

IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86dd
FIN, SYN, RST, ACK = 1, 2, 4, 16
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 2, 0x1000


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def enter():
    """As ethernet.enter(), and puts a bridge between the host, the machine's device and the port's."""
    ethernet.enter()
    for command in ("ip addr flush dev tap0", "ip link add br0 type bridge mcast_snooping 0", "ip link set tap0 master br0",
                    f"ip addr add {ethernet.HOST4}/24 dev br0", f"ip addr add {NEIGHBOUR4}/24 dev br0", "ip link set br0 up",
                    f"ip -6 addr add {ethernet.HOST6}/64 dev br0 nodad"):
        if subprocess.run(command.split()).returncode != 0:
            lab.skip("no bridges here")


class Connection:
    """A connection that the port has accepted and holds."""

    def __init__(self, number, family, client, client_port, machine_port, machine=None):
        self.id, self.family, self.client = number, family, client
        self.client_port, self.machine_port = client_port, machine_port
        self.machine = machine or socket.inet_pton(family, ethernet.ADDRESS4 if family == socket.AF_INET else ethernet.ADDRESS6)
        self.state, self.flags, self.send_scale, self.segment_max = SYN_RECEIVED, 0, 0, 0
        self.first = 0xfffff000 + number * 77 & 0xffffffff  # of ours; some pass the end of the numbers
        self.send_window = 0
        self.receive_start = 0  # the client's first byte
        self.data = b""
        self.frozen = False

    @property
    def receive_next(self):
        return self.receive_start + len(self.data) + (1 if self.flags & CLIENT_ENDED else 0) & 0xffffffff

    def take(self, **changes):
        """The body of TAKE."""
        fields = dict(id=self.id, family=4 if self.family == socket.AF_INET else 6, state=self.state, flags=self.flags,
                      send_scale=self.send_scale, receive_scale=0, segment_max=self.segment_max, machine=self.machine,
                      client=self.client, machine_port=self.machine_port, client_port=self.client_port,
                      send_next=self.first + 1 & 0xffffffff, receive_next=self.receive_next, send_window=self.send_window,
                      receive_window=WINDOW - len(self.data) - (1 if self.flags & CLIENT_ENDED else 0), round_trip=1, data=self.data)
        fields.update(changes)
        return struct.pack("!IBBBBBBH16s16sHHIIIIH", fields["id"], fields["family"], fields["state"], fields["flags"],
                           fields["send_scale"], fields["receive_scale"], 0, fields["segment_max"], fields["machine"],
                           fields["client"], fields["machine_port"], fields["client_port"], fields["send_next"],
                           fields["receive_next"], fields["send_window"], fields["receive_window"],
                           fields["round_trip"]) + fields["data"]


class Port:
    """Use it in a `with` statement. A thread of its own reads what comes; `loses(sending)` says which frames of the conduit
    are lost; `answers` is whether the conduit's messages are acknowledged, `accepts` whether connections are."""

    def __init__(self, accepts=True):
        self.device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(self.device, TUNSETIFF, struct.pack("16sH22x", b"port0", IFF_TAP | IFF_NO_PI))
        for command in "ip link set port0 master br0", "ip link set port0 up":
            subprocess.run(command.split(), check=True)
        lab.wait_until(self.is_forwarding, "the bridge forwards to the port")
        self.mac, self.machine_mac = mac(PORT_MAC), mac(ethernet.MAC)
        self.changed = threading.Condition()
        self.connections = {}
        self.messages = []    # (type, body) as they came
        self.arrivals = []    # (time, type) of all the machine's frames of the conduit
        self.loses = lambda sending: False
        self.accepts = accepts
        self.answers = self.sends_syn_ack = self.acknowledges = True
        self.repetitions = 0  # of segments, by clients
        self.sequence, self.first, self.acknowledged = 0x7fffffff, True, 0
        self.received, self.pieces = 0, b""
        self.sent_again = self.came_again = 0
        self.ending, self.failure = False, None
        if accepts:
            self.attract()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    @staticmethod
    def is_forwarding():
        return b" state forwarding " in subprocess.run("ip -d link show port0".split(), capture_output=True, check=True).stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ending = True
        self.thread.join()
        os.close(self.device)

    def wait(self, condition, what):
        with self.changed:
            came = self.changed.wait_for(lambda: self.failure or condition(), lab.PATIENCE)
            if self.failure:
                raise self.failure
            assert came, f"waited {lab.PATIENCE} s in vain: {what}"

    def read(self):
        try:
            self.read_frames()
        except Exception as failure:
            with self.changed:
                self.failure = failure
                self.changed.notify_all()

    def read_frames(self):
        while not self.ending:
            if not select.select([self.device], [], [], 0.05)[0]:
                continue
            frame = os.read(self.device, 2048)
            kind = struct.unpack_from("!H", frame, 12)[0]
            with self.changed:
                if kind == ETHERTYPE and frame[:6] == self.mac:
                    self.read_conduit(frame[14:])
                elif frame[6:12] == self.machine_mac:
                    continue  # the machine's own, flooded
                self.client_mac = frame[6:12]
                if kind == ARP:
                    self.read_arp(frame)
                elif kind == IPV4 and frame[23] == socket.IPPROTO_TCP:
                    self.read_tcp(socket.AF_INET, frame[26:30], frame[30:34], frame[14 + (frame[14] & 15) * 4:
                                                                                  14 + struct.unpack_from("!H", frame, 16)[0]])
                elif kind == IPV6 and frame[20] == socket.IPPROTO_TCP:
                    self.read_tcp(socket.AF_INET6, frame[22:38], frame[38:54], frame[54:54 + struct.unpack_from("!H", frame, 18)[0]])
                elif kind == IPV6 and frame[20] == socket.IPPROTO_ICMPV6 and frame[54] == 135:
                    self.read_solicitation(frame)
                self.changed.notify_all()

    def write(self, destination, source, kind, payload):
        os.write(self.device, destination + source + struct.pack("!H", kind) + payload)

    # --- in the machine's stead ---

    def attract(self):
        """A gratuitous ARP: the bridge sends the machine's frames here."""
        address = socket.inet_aton(ethernet.ADDRESS4)
        self.write(b"\xff" * 6, self.machine_mac, ARP, b"\0\1\x08\0\6\4\0\1" + self.machine_mac + address + bytes(6) + address)

    def read_arp(self, frame):
        if self.accepts and frame[20:22] == b"\0\1" and frame[38:42] == socket.inet_aton(ethernet.ADDRESS4):
            self.write(self.client_mac, self.machine_mac, ARP, b"\0\1\x08\0\6\4\0\2" + self.machine_mac + frame[38:42] +
                       frame[22:28] + frame[28:32])

    def read_solicitation(self, frame):
        target = frame[62:78]
        if not self.accepts or target not in [socket.inet_pton(socket.AF_INET6, address) for address in (ethernet.ADDRESS6, LINK_LOCAL)]:
            return
        message = struct.pack("!BBHI", 136, 0, 0, 0x60000000) + target + b"\2\1" + self.machine_mac
        pseudo = target + frame[22:38] + struct.pack("!II", len(message), socket.IPPROTO_ICMPV6)
        message = message[:2] + struct.pack("!H", ethernet.checksum(pseudo + message)) + message[4:]
        self.write(self.client_mac, self.machine_mac, IPV6,
                   struct.pack("!IHBB", 0x60000000, len(message), socket.IPPROTO_ICMPV6, 255) + target + frame[22:38] + message)

    def send_segment(self, connection, flags, options=b""):
        segment = struct.pack("!HHIIBBHHH", connection.machine_port, connection.client_port,
                              connection.first + (0 if flags & SYN else 1) & 0xffffffff, connection.receive_next,
                              (20 + len(options)) // 4 << 4, flags,
                              WINDOW - len(connection.data) - (1 if connection.flags & CLIENT_ENDED else 0), 0, 0) + options
        addresses = connection.machine + connection.client
        check = ethernet.checksum(addresses + struct.pack("!II", len(segment), socket.IPPROTO_TCP) + segment)
        segment = segment[:16] + struct.pack("!H", check) + segment[18:]
        if connection.family == socket.AF_INET:
            header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses
            header = header[:10] + struct.pack("!H", ethernet.checksum(header)) + header[12:]
            self.write(self.client_mac, self.machine_mac, IPV4, header + segment)
        else:
            self.write(self.client_mac, self.machine_mac, IPV6, struct.pack("!IHBB", 0x60000000, len(segment), socket.IPPROTO_TCP, 64) +
                       addresses + segment)

    def read_tcp(self, family, source, destination, segment):
        client_port, machine_port, sequence, acknowledgement, offset, flags, window = struct.unpack_from("!HHIIBBH", segment)
        key = (source, client_port, machine_port)
        connection = self.connections.get(key)
        if not self.accepts or flags & RST:
            return
        if flags & SYN and not connection:
            connection = self.connections[key] = Connection(len(self.connections) + 1, family, source, client_port,
                                                                  machine_port, destination)
            connection.receive_start = sequence + 1 & 0xffffffff
            connection.send_window = window
            connection.options = self.read_options(connection, segment[20:(offset >> 4) * 4])
        if not connection or connection.frozen:
            return
        if flags & SYN:
            if self.sends_syn_ack:
                self.send_segment(connection, SYN | ACK, connection.options)
            return
        connection.state = ESTABLISHED
        connection.send_window = window << connection.send_scale
        data = segment[(offset >> 4) * 4:]
        if sequence == connection.receive_next and not connection.flags & CLIENT_ENDED:
            room = WINDOW - len(connection.data)
            connection.data += data[:room]
            if flags & FIN and len(data) < room:
                connection.flags |= CLIENT_ENDED
        elif data:
            self.repetitions += 1
        if not self.acknowledges:
            return
        if data or flags & FIN:
            self.send_segment(connection, ACK)

    @staticmethod
    def read_options(connection, options):
        """Takes what the client offers; returns what a unikernel would answer."""
        while options and options[0] != 0:
            if options[0] == 1:
                options = options[1:]
                continue
            kind, length = options[0], options[1]
            if kind == 2:
                connection.segment_max = struct.unpack_from("!H", options, 2)[0]
            elif kind == 3:
                connection.flags |= SCALED
                connection.send_scale = options[2]
            elif kind == 4:
                connection.flags |= SACK
            options = options[length:]
        offered = struct.pack("!BBH", 2, 4, 1460 if connection.family == socket.AF_INET else 1440)
        if connection.flags & SCALED:
            offered += b"\1\3\3\0"
        if connection.flags & SACK:
            offered += b"\4\2\1\1"
        return offered

    # --- the conduit ---

    def read_conduit(self, payload):
        magic, version, kind, flags, _, sequence, acknowledgement, token, total, offset, length = HEADER.unpack_from(payload)
        assert (magic, version, token) == (MAGIC, VERSION, TOKEN), "a frame that is not of this conduit"
        if self.loses(False):
            return
        self.arrivals.append((time.monotonic(), kind))
        if acknowledgement == self.sequence:
            self.acknowledged = acknowledgement
        if kind == ACKNOWLEDGEMENT or not self.answers:
            return
        if self.received and sequence == self.received:
            self.came_again += 1
            self.send_frames(ACKNOWLEDGEMENT, b"", 0)
            return
        assert not self.received or sequence == self.received + 1, f"message {sequence} after {self.received}"
        assert offset == 0 and length == total, "the machine's messages are short"
        assert bool(flags & FIRST) == (sequence == 1), "FIRST"
        self.received = sequence
        self.messages.append((kind, payload[HEADER.size:HEADER.size + length]))
        self.send_frames(ACKNOWLEDGEMENT, b"", 0)

    def frame(self, kind, body, sequence, offset=0, total=None, token=TOKEN, version=VERSION):
        return HEADER.pack(MAGIC, version, kind, FIRST if self.first and sequence else 0, 0, sequence, self.received, token,
                           len(body) if total is None else total, offset, len(body)) + body

    def send_frames(self, kind, body, sequence):
        for offset in range(0, max(len(body), 1), PIECE_MAX):
            if not self.loses(True):
                self.write(self.machine_mac, self.mac, ETHERTYPE,
                           self.frame(kind, body[offset:offset + PIECE_MAX], sequence, offset, len(body)))

    def send(self, kind, body=b""):
        """Sends a message and waits until it is acknowledged."""
        patience, deadline = 0.02, time.monotonic() + lab.PATIENCE
        with self.changed:
            self.sequence += 1
            self.send_frames(kind, body, self.sequence)
            while not self.changed.wait_for(lambda: self.acknowledged == self.sequence, patience):
                assert time.monotonic() < deadline, "no acknowledgement"
                patience = min(2 * patience, 1)
                self.sent_again += 1
                self.send_frames(kind, body, self.sequence)
            self.first = False

    def begin_anew(self):
        """Forgets what an earlier port has said and heard."""
        with self.changed:
            self.sequence, self.first, self.received = 0x1234567, True, 0

    def wait_for_message(self, kind, after=0):
        """Waits for a message of that type, the first beyond `after` messages. Returns its body."""
        def find():
            return next((body for found, body in self.messages[after:] if found == kind), None)
        self.wait(lambda: find() is not None, f"message {kind}")
        return find()

    def wait_for_connections(self, count, data=0):
        """Waits until so many clients' connections are established and have sent so much, each."""
        self.wait(lambda: sum(1 for connection in self.connections.values()
                              if connection.state == ESTABLISHED and len(connection.data) >= data) >= count,
                  f"{count} connections with {data} bytes")
        return list(self.connections.values())

    def take(self, connection, **changes):
        """Hands the connection over; returns the outcome."""
        with self.changed:
            connection.frozen = True
            before = len(self.messages)
        self.send(TAKE, connection.take(**changes))
        number, outcome = struct.unpack("!IB", self.wait_for_message(TAKEN, before))
        assert number == changes.get("id", connection.id), "TAKEN of another connection"
        return outcome

    def hand_over(self):
        """All connections, as jitsud does once the machine is ready."""
        self.wait_for_message(HELLO)
        with self.changed:
            held = list(self.connections.values())
            self.accepts = False
            for connection in held:
                connection.frozen = True
        for connection in held:
            outcome = self.take(connection)
            assert outcome == DONE, f"connection {connection.id}: outcome {outcome}"
        self.send(SETTLED)


def loads(port):
    return [struct.unpack("!IIQQ", body) for kind, body in port.messages if kind == LOAD]


def read_all(client):
    return b"".join(iter(lambda: client.recv(1 << 16), b""))
