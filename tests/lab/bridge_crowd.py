#!/usr/bin/env python3
"""Crowds on a bridge network: many machines at once, and a thousand hosts that open connections and never go on."""

import itertools
import re
import socket
import struct
import threading
import time

import bridge
import bridge_clients as clients
import ethernet
import lab

REQUEST = b"GET / HTTP/1.1\r\nHost: www.lab.example\r\nConnection: close\r\n\r\n"
MACHINES = 24


def many_machines_start_at_once():
    for hold in "delay", "handoff":
        services = [{**bridge.WWW, "name": f"s{number}.lab.example", "address": [f"10.77.0.{100 + number}", f"fd77::1:{number}"],
                     "hold": hold} for number in range(1, MACHINES + 1)]
        with clients.world(*services, limits={"starts": MACHINES}) as (daemon, near, far), clients.Crowd() as crowd:
            for service in services:
                for address in service["address"]:
                    crowd.open(near, address, REQUEST)
                    crowd.open(far, address, REQUEST)
            for connection in crowd.finish():
                assert connection.is_whole(), (connection.address, connection.failure, connection.answer[:100])
            assert all(len(bridge.starts(daemon, service)) == 1 for service in services)


def opening(source, port):
    """An Ethernet frame's payload: a SYN to the service from an address that is nobody's."""
    source, destination = socket.inet_aton(source), socket.inet_aton(bridge.WWW["address"][0])
    tcp = struct.pack("!HHIIBBHHH", port, 80, port * 7919, 0, 5 << 4, clients.SYN, 8192, 0, 0)
    pseudo_header = source + destination + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", ethernet.checksum(pseudo_header + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0, source, destination)
    return ip[:10] + struct.pack("!H", ethernet.checksum(ip)) + ip[12:] + tcp


class Flood(threading.Thread):
    """SYNs from a thousand addresses, one in every half millisecond, until it is told to end."""

    def __init__(self, host):
        super().__init__()
        self.ending, self.sent = False, 0
        self.wire = host.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.wire.bind(("eth0", 0))
        own = self.wire.getsockname()[4]
        table = host.run(f"ip neigh show {bridge.WWW['address'][0]}")
        machine = bytes.fromhex(re.search(r"lladdr (\S+)", table)[1].replace(":", ""))
        self.header = machine + own + b"\x08\0"

    def run(self):
        sources = [f"198.18.{number >> 8}.{number & 255}" for number in range(1, 1001)]
        for port in itertools.count(20000):
            for source in sources:
                if self.ending:
                    self.wire.close()
                    return
                self.wire.send(self.header + opening(source, port))
                self.sent += 1
                time.sleep(0.0005)


def real_clients_are_served_in_a_flood_of_openings():
    service = {**bridge.WWW, "hold": "handoff"}
    name = service["name"]
    with clients.world(service) as (daemon, near, far):
        near.connect(service["address"][0]).close()  # so that the flood knows where to
        daemon.wait_for(name, "running")
        flood = Flood(near)
        daemon.ctl("stop", name)
        daemon.wait_for(name, "off")
        flood.start()
        try:
            for _ in range(2):
                lab.wait_until(lambda: flood.sent > 1500, "the flood rises")
                with clients.Crowd() as crowd:
                    for number in range(40):
                        crowd.open((near, far)[number % 2], service["address"][number // 2 % 2], REQUEST)
                        crowd.step(0.005)
                    for connection in crowd.finish():
                        assert connection.is_whole(), (connection.address, connection.failure, connection.answer[:100])
                daemon.wait_for(name, "running")
                daemon.ctl("stop", name)
                flood.sent = 0
        finally:
            flood.ending = True
            flood.join()


if __name__ == "__main__":
    bridge.enter()
    lab.run(many_machines_start_at_once,
            real_clients_are_served_in_a_flood_of_openings)
