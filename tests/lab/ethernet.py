"""An Ethernet for one machine: a TAP device in a network namespace of the test's own."""

import contextlib
import http.client
import os
import socket
import struct
import subprocess
import sys

import lab
from machine import Machine

MAC = "52:54:00:0a:0b:0c"
ADDRESS4, HOST4 = "10.9.0.2", "10.9.0.1"
ADDRESS6, HOST6 = "fd09::2", "fd09::1"
OPTIONS = f"ip={ADDRESS4}/24 ip6={ADDRESS6}/64 gw={HOST4} gw={HOST6}"
ETHERNET_ALL = 3
PACKET_OUTGOING, PACKET_LOOPBACK = 4, 5  # this host's own; the second is what it sends to a group that it is in


def enter():
    """Runs the test's script again where it is root of a network of its own, and makes that network."""
    if not os.environ.get("JITSU_TAP_NAMESPACE"):
        lab.need("unshare", "ip")
        unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
        if subprocess.run([*unshare, "ip", "tuntap", "add", "tap0", "mode", "tap"], capture_output=True).returncode != 0:
            lab.skip("no network namespaces or no TAP devices here")
        os.environ["JITSU_TAP_NAMESPACE"] = "1"
        os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])
    for command in ("ip link set lo up", "ip tuntap add tap0 mode tap", f"ip addr add {HOST4}/24 dev tap0",
                    f"ip -6 addr add {HOST6}/64 dev tap0 nodad", "ip link set tap0 up"):
        subprocess.run(command.split(), check=True)


def www(ramdisk, features=(), options=OPTIONS):
    """www.elf on the wire; `features` are properties of its network device."""
    return Machine(lab.image("www.elf"), memory=32, options=options, ramdisk=ramdisk, network=None, extra=[
        "-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no",
        "-device", ",".join([f"virtio-net-device,netdev=net,mac={MAC}", *features])])


@contextlib.contextmanager
def listener():
    """A socket that gets every frame on the wire, and sends some."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as wire:  # so that it gets none of another wire's before
        wire.bind(("tap0", ETHERNET_ALL))
        yield wire


def frames(wire, of_machine=True):
    """The frames on the wire so far, of the machine's or to it."""
    found = []
    wire.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            frame, sender = wire.recvfrom(2048)
            if (sender[2] not in (PACKET_OUTGOING, PACKET_LOOPBACK)) == of_machine:
                found.append(frame)
    wire.setblocking(True)
    return found


def get(address, path):
    connection = http.client.HTTPConnection(address, 80, timeout=lab.PATIENCE)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    assert answer.status == 200, f"http://[{address}]{path}: {answer.status}"
    return body


def checksum(message):
    """The Internet checksum (RFC 1071)."""
    message += b"\0" * (len(message) % 2)
    total = sum(struct.unpack(f"!{len(message) // 2}H", message))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
