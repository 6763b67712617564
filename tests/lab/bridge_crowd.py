#!/usr/bin/env python3
"""Crowds on a bridge network: many machines at once."""

import bridge
import bridge_clients as clients
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


if __name__ == "__main__":
    bridge.enter()
    lab.run(many_machines_start_at_once)
