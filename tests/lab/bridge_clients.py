"""Clients of a bridge network, on the LAN and behind a router, with sockets that this process uses."""

import atexit
import contextlib
import ctypes
import errno
import functools
import os
import re
import select
import socket
import subprocess
import time

import bridge
import lab
import wire_log

ROUTER, ROUTER6 = "10.77.0.254", "fd77::fe"
FAR_PREFIX, FAR_ROUTER, FAR_CLIENT = "10.88.0.0/24", "10.88.0.1", "10.88.0.100"
FAR_PREFIX6, FAR_ROUTER6, FAR_CLIENT6 = "fd88::/64", "fd88::1", "fd88::100"
LAN = {**bridge.LAN, "gateway": [ROUTER, ROUTER6]}

CLONE_NEWNET = 0x40000000

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


class Host:
    """A network of its own, with one wire, eth0, to an interface of the caller's network."""

    def __init__(self, wire, addresses, routes=()):
        self.process = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
        self.process.stdout.readline()
        self.wire = wire
        self.network = os.open(f"/proc/{self.process.pid}/ns/net", os.O_RDONLY)
        bridge.run(f"ip link add {wire} type veth peer name eth0 netns {self.process.pid}")
        self.run("ip link set lo up")
        self.add("eth0", addresses)
        for route in routes:
            self.run(f"ip route add {route}")

    def add(self, device, addresses):
        for address in addresses:
            self.run(f"ip addr add {address} dev {device}" + (" nodad" if ":" in address else ""))
        self.run(f"ip link set {device} up")

    def command(self, *words):
        return ["nsenter", f"--net=/proc/{self.process.pid}/ns/net", *words]

    def run(self, command):
        return subprocess.run(self.command(*command.split()), check=True, capture_output=True, text=True).stdout

    @contextlib.contextmanager
    def inside(self):
        """What the calling thread opens meanwhile is of this host's network."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as own:
            assert libc.setns(self.network, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(own.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, protocol=0):
        with self.inside():
            return socket.socket(family, kind, protocol)

    def connect(self, address, port=80):
        """A connection with everybody's patience."""
        client = self.socket(family_of(address))
        client.settimeout(lab.PATIENCE)
        try:
            client.connect((address, port))
        except BaseException:
            client.close()
            raise
        return client

    def listen(self):
        """A socket that gets every frame on the host's wire, with its time, until it is closed."""
        return wire_log.listen(self.socket, "eth0")

    def close(self):
        os.close(self.network)
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        subprocess.run(["ip", "link", "del", self.wire], capture_output=True)


@functools.cache
def hosts():
    """One client on the LAN, and one behind a router that is on the LAN; both until the script's end."""
    def host(*arguments):
        new = Host(*arguments)
        atexit.register(new.close)
        return new
    near = host("lan0", [f"{bridge.CLIENT}/24", f"{bridge.CLIENT6}/64"])
    near.run(f"ip route add {FAR_PREFIX} via {ROUTER}")
    near.run(f"ip -6 route add {FAR_PREFIX6} via {ROUTER6}")
    router = host("lan1", [f"{ROUTER}/24", f"{ROUTER6}/64"])
    for wire in "lan0", "lan1":
        bridge.run(f"ip link set {wire} master {bridge.BRIDGE} up")
    for setting in "ipv4/ip_forward", "ipv6/conf/all/forwarding":
        subprocess.run(router.command("sh", "-c", f"echo 1 >/proc/sys/net/{setting}"), check=True)
    far = host("far0", [f"{FAR_CLIENT}/24", f"{FAR_CLIENT6}/64"])
    bridge.run(f"ip link set far0 netns {router.process.pid}")
    router.add("far0", [f"{FAR_ROUTER}/24", f"{FAR_ROUTER6}/64"])
    far.run(f"ip route add default via {FAR_ROUTER}")
    far.run(f"ip -6 route add default via {FAR_ROUTER6}")
    for address in bridge.CLIENT, bridge.CLIENT6:
        lab.wait_until(lambda: is_reached(far, address), "the bridge forwards what the router sends")
    return near, far


def is_reached(host, address):
    """Whether somebody there refuses a connection."""
    with host.socket(family_of(address)) as probe:
        probe.settimeout(0.2)
        return probe.connect_ex((address, 9)) == errno.ECONNREFUSED


@contextlib.contextmanager
def world(*services, **settings):
    near, far = hosts()
    with lab.Daemon(services=services, networks=[LAN], **settings) as daemon:
        yield daemon, near, far


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


# --- many connections at once ---

class Connection:
    """One request, from connect() to the end of its answer."""

    def __init__(self, host, address, request, port=80):
        self.address, self.request, self.answer = address, request, b""
        self.failure, self.is_open = None, False
        self.socket = host.socket(family_of(address))
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self.socket.connect((address, port))

    def step(self, events):
        """Goes on; returns whether it is at its end."""
        try:
            if not self.is_open:
                error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if error:
                    raise OSError(error, os.strerror(error))
                self.is_open = True
            if events & select.EPOLLOUT and self.request:
                self.request = self.request[self.socket.send(self.request):]
            if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                piece = self.socket.recv(1 << 16)
                self.answer += piece
                if not piece:
                    self.socket.close()
                    return True
        except BlockingIOError:
            pass
        except OSError as failure:
            self.failure = failure
            self.socket.close()
            return True
        return False

    def is_whole(self):
        head, _, body = self.answer.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        return head.startswith(b"HTTP/1.1 200 ") and length and len(body) == int(length[1])


class Crowd:
    """Connections that go on side by side."""

    def __init__(self):
        self.poll, self.active, self.ended = select.epoll(), {}, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for connection in self.active.values():
            connection.socket.close()
        self.poll.close()

    def open(self, *arguments):
        connection = Connection(*arguments)
        self.active[connection.socket.fileno()] = connection
        self.poll.register(connection.socket, select.EPOLLIN | select.EPOLLOUT)
        return connection

    def unopened(self):
        return sum(not connection.is_open for connection in self.active.values())

    def step(self, patience):
        """Waits for at most so many seconds for something to do, and does it."""
        for descriptor, events in self.poll.poll(patience):
            connection = self.active[descriptor]
            had_request = bool(connection.request)
            if connection.step(events):
                del self.active[descriptor]
                self.ended.append(connection)
            elif had_request and not connection.request:
                self.poll.modify(descriptor, select.EPOLLIN)

    def finish(self):
        """Until all are at their end."""
        deadline = time.monotonic() + lab.PATIENCE
        while self.active:
            assert time.monotonic() < deadline, f"{len(self.active)} of {len(self.active) + len(self.ended)} connections hang: " \
                + ", ".join(f"{each.address} open: {each.is_open}, {len(each.answer)} bytes" for each in list(self.active.values())[:5])
            self.step(0.1)
        return self.ended
