#!/usr/bin/env python3
"""A hundred machines at once on a bridge: a hundred clients want a hundred services in the same moment."""

import os
import socket

import archives
import bridge
import bridge_clients as clients
import lab

COUNT = 100
REQUEST = "GET /{path} HTTP/1.1\r\nHost: a\r\nConnection: {connection}\r\n\r\n"


class Client:
    """One address on the LAN; asks one service who it is, and keeps the connection open."""

    def __init__(self, host, number, address):
        self.socket = host.socket(clients.family_of(address))
        self.socket.settimeout(2 * lab.PATIENCE)
        self.socket.bind((f"10.77.1.{number}" if "." in address else f"fd77::1:{number}", 0))
        self.socket.setblocking(False)
        self.socket.connect_ex((address, 80))

    def ask(self, path, connection="keep-alive"):
        self.socket.settimeout(2 * lab.PATIENCE)
        self.socket.sendall(REQUEST.format(path=path, connection=connection).encode())

    def answer(self):
        stream = self.socket.makefile("rb")
        status = stream.readline()
        assert status.startswith(b"HTTP/1.1 200 "), status
        length = None
        while (line := stream.readline().strip()):
            name, _, value = line.partition(b": ")
            length = int(value) if name.lower() == b"content-length" else length
        return stream.read(length)


def service(number):
    address = f"10.77.0.{number}" if number % 2 else f"fd77::2:{number}"
    return {**bridge.WWW, "name": f"s{number}.lab.example", "address": address, "memory": "8M", "idle": "5s", "hold": "handoff",
            "ramdisk": f"site{number}.cpio"}


def machine_devices():
    return [name for _, name in socket.if_nameindex() if name.startswith("jm-")]


def wait_for_all(daemon, services, state):
    def missing():
        states = {one["name"]: one["state"] for one in daemon.ctl("status")["services"]}
        return [one["name"] for one in services if states[one["name"]] != state]
    lab.wait_until(lambda: not missing(), f"all are {state}", 2 * lab.PATIENCE)


def all_are_served_and_reaped_and_nothing_is_left():
    services = [service(number) for number in range(3, COUNT + 3)]
    contents = [os.urandom(50000) for _ in services]
    sites = {one["ramdisk"]: archives.cpio({"who": one["name"].encode(), "contents": content})
             for one, content in zip(services, contents)}
    network = {**clients.LAN, "prefix": ["10.77.0.0/23", bridge.PREFIX6]}
    near, _ = clients.hosts()
    with lab.Daemon(services=services, networks=[network], files=sites, limits={"machines": COUNT, "memory": "1G", "starts": 4}) \
            as daemon:
        near.run("ip addr add 10.77.1.254/23 dev eth0")
        for number in range(COUNT):
            near.run(f"ip addr add 10.77.1.{number}/23 dev eth0")
            near.run(f"ip addr add fd77::1:{number}/64 dev eth0 nodad")
        bridge.run(f"ip addr add 10.77.1.255/23 dev {bridge.BRIDGE}")
        crowd = [Client(near, number, one["address"]) for number, one in enumerate(services)]
        for client in crowd:
            client.ask("who")
        for one, client in zip(services, crowd):
            assert client.answer() == one["name"].encode()
        wait_for_all(daemon, services, "running")  # at the same time: their clients' connections keep them
        assert daemon.ctl("stats")["limits"]["machines"] == COUNT
        assert len(daemon.machines()) == len(machine_devices()) == COUNT
        for client in crowd:
            client.ask("contents", "close")
        for content, client in zip(contents, crowd):
            assert client.answer() == content
            client.socket.close()
        wait_for_all(daemon, services, "off")
        events = daemon.events()
        for one in services:
            causes = [event["cause"] for event in events if event["service"] == one["name"]]
            assert sorted(causes) == ["connection", "first-byte", "idle", "ready", "stopped"], (one["name"], causes)
        lab.wait_until(lambda: not daemon.machines() and not machine_devices(), "their processes and devices are gone")
        statistics = daemon.ctl("stats")
        assert statistics["limits"]["machines"] == statistics["limits"]["memory"] == 0, statistics
        assert statistics["bridges"]["held_frames"] == statistics["bridges"]["held_bytes"] == 0, statistics
        assert statistics["bridges"]["handed_over"] == COUNT, statistics
        assert not os.listdir(os.path.join(daemon.run_directory, "machines"))


if __name__ == "__main__":
    bridge.enter()
    lab.run(all_are_served_and_reaped_and_nothing_is_left)
