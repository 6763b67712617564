"""A bridge with a client that is near or far, in a network of the benchmark's own: what first-byte and switch-over share."""

import contextlib
import ctypes
import os
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import bridge
import lab

CLONE_NEWNET = 0x40000000
TOTAL_RETRANSMISSIONS = 100  # where struct tcp_info has them
PATIENCE = 30


def enter():
    """Runs the script again in a network of its own, with a bridge (see tests/lab/bridge.py)."""
    lossy_wire()
    bridge.enter()


def lossy_wire():
    path = os.path.join(os.path.dirname(lab.JITSUD), "lab-lossy_wire")
    if not os.path.exists(path):
        lab.skip(f"{path} is not there (make lab-lossy_wire)")
    return path


class Client(bridge.Client):
    """A host whose packets take half of `round_trip` milliseconds each way: it is behind a router of the bridge, so to speak,
    and what neighbours ask each other takes no time. A near one has its wire to the bridge, and nothing in between."""

    device = "eth0"

    def __init__(self, round_trip):
        super().__init__()
        self.wire = None
        if round_trip > 0:
            self.begin_far_away(round_trip)

    def begin_far_away(self, round_trip):
        self.device = "far0"
        self.run("ip addr flush dev eth0")
        self.run("ip link set eth0 arp off")  # else it would answer in the name of the far end
        self.wire = subprocess.Popen(self.command(lossy_wire(), self.device, "eth0", "-n", "-t", str(round_trip / 2)),
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.wire.stdout.readline() == "ready\n", "the wire is not ready"
        self.run(f"ip link set {self.device} addrgenmode none")
        self.run(f"ip addr add {bridge.CLIENT}/24 dev {self.device}")
        self.run(f"ip link set {self.device} up")

    def __exit__(self, *details):
        if self.wire:
            self.wire.communicate()
        super().__exit__(*details)

    @contextlib.contextmanager
    def network(self):
        """This thread is in the client's network meanwhile: sockets that it makes stay there."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as own, open(f"/proc/{self.process.pid}/ns/net") as other:
            if libc.setns(other.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                yield
            finally:
                libc.setns(own.fileno(), CLONE_NEWNET)

    def socket(self):
        with self.network():
            connection = socket.socket()
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def forget_neighbours(self):
        self.run(f"ip neigh flush dev {self.device}")


def retransmissions(connection):
    """Of segments that the client had to send again."""
    return struct.unpack_from("I", connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), TOTAL_RETRANSMISSIONS)[0]
