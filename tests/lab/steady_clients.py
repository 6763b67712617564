"""Clients of a bridge network that do something again and again, by which its machines are used, or not."""

import socket
import struct
import threading

import bridge
import bridge_clients as clients
import bridge_wire
import lab

IDLE = 4  # the services' idle time


class Steady(threading.Thread):
    """Connects, and does something several times in the idle time, until it is told to end."""

    def __init__(self, host, one, action=lambda connection: None, port=80):
        super().__init__()
        self.host, self.address, self.action, self.port = host, one["address"][0], action, port
        self.ending, self.failure = threading.Event(), None

    def run(self):
        try:
            with self.host.connect(self.address, self.port) as connection:
                while not self.ending.wait(IDLE / 20):
                    self.action(connection)
        except (OSError, AssertionError) as failure:
            self.failure = failure

    def end(self):
        self.ending.set()
        self.join()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.end()


def keepalive(connection):
    """The kernel asks every second whether the other end is still there, be it slow to answer. Setting this again would make it
    ask at once."""
    if not connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (socket.TCP_KEEPCNT, 100), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPIDLE, 1):
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def ask_who_has(host, address):
    """ARP to everybody, and to the machine."""
    with host.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind(("eth0", 0))
        own = wire.getsockname()[4]
        neighbours = host.run(f"ip neigh show {address}").split()
        machine = bytes.fromhex(neighbours[neighbours.index("lladdr") + 1].replace(":", ""))
        question = struct.pack("!HHBBH6s4s6s4s", 1, 0x800, 6, 4, 1, own, socket.inet_aton(bridge.CLIENT), bytes(6),
                               socket.inet_aton(address))
        for destination in b"\xff" * 6, machine:
            wire.send(destination + own + b"\x08\x06" + question)


def make_noise(host, one):
    """Everything that is no use: for one with idle-connections: ignore, as there are segments of no connection."""
    for address in one["address"]:
        bridge_wire.scan(host, address, [("10.77.0.255", 80)] if "." in address else [])
    ask_who_has(host, one["address"][0])


def reasons(daemon, one):
    """Why the service's machine was stopped."""
    return [event["cause"] for event in daemon.events(one["name"]) if event["to"] == "stopping"]


def check(daemon, used, unused, users):
    """Of the services' machines, the unused ones are stopped, and the others when those who use them have ended."""
    for one in unused:
        lab.wait_until(lambda: reasons(daemon, one) == ["idle"], f"{one['name']} is idle")
    for user in users:
        assert not user.failure, (user.address, user.failure)
    for one in used:
        assert daemon.state(one["name"]) == "running" and not reasons(daemon, one), daemon.events(one["name"])
    for user in users:
        user.end()
        assert not user.failure, user.failure
    for one in used:
        daemon.wait_for(one["name"], "off")
        assert reasons(daemon, one) == ["idle"], daemon.events(one["name"])
    for one in used + unused:
        assert len(bridge.starts(daemon, one)) == 1, daemon.events(one["name"])
