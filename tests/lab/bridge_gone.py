#!/usr/bin/env python3
"""Bridges that are switched off, removed and made again, and jitsud's port on them: everything goes on by itself."""

import contextlib
import os
import re
import signal
import socket
import threading

import bridge
import lab

NAME, ADDRESS = bridge.WWW["name"], bridge.WWW["address"][0]
HOLDS = "delay", "handoff"
REQUEST = b"HEAD / HTTP/1.1\r\nHost: www.lab.example\r\n\r\n"


def remove():
    bridge.run(f"ip link del {bridge.BRIDGE}")


def make_again():
    bridge.make_bridge()
    bridge.run(f"ip link set lan0 master {bridge.BRIDGE}")


def serves(client):
    return b"<html" in client.curl(bridge.url(bridge.WWW)).lower()


def dns_goes_on(daemon):
    assert daemon.resolve(NAME) == [ADDRESS]


def a_bridge_is_down_for_a_while():
    for hold in HOLDS:
        service = {**bridge.WWW, "hold": hold, "summon": ["packet"]}
        with bridge.world(service) as (daemon, client):
            for _ in range(2):
                bridge.run(f"ip link set {bridge.BRIDGE} down")
                dns_goes_on(daemon)
                bridge.run(f"ip link set {bridge.BRIDGE} up")
                assert serves(client)  # off at first, and then running
            assert len(bridge.starts(daemon, service)) == 1
            lab.wait_until(lambda: daemon.log().count(f"bridge {bridge.BRIDGE} is down") == 2, "it is told")


def ask(connection):
    connection.sendall(REQUEST)
    assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


def a_bridge_is_made_again_while_a_machine_runs():
    for hold in HOLDS:
        service = {**bridge.WWW, "hold": hold, "summon": ["packet"]}
        with bridge.world(service) as (daemon, client), socket.create_connection((ADDRESS, 80)) as connection:
            connection.settimeout(lab.PATIENCE)
            ask(connection)
            remove()
            dns_goes_on(daemon)
            make_again()
            ask(connection)
            assert serves(client)
            assert len(bridge.starts(daemon, service)) == 1
            daemon.ctl("stop", NAME)
            daemon.wait_for(NAME, "off")
            assert serves(client), "its port is back, too"


@contextlib.contextmanager
def a_machine_that_starts(daemon, client):
    """For a client that waits; it does not go on meanwhile. The client is served in the end."""
    pages = []
    waiting = threading.Thread(target=lambda: pages.append(serves(client)))
    waiting.start()
    pid = lab.wait_until(lambda: daemon.status(NAME)["pid"], "it starts")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
        waiting.join()
    assert pages == [True]


def a_bridge_is_made_again_while_a_machine_starts():
    for hold in HOLDS:
        with bridge.world({**bridge.WWW, "hold": hold, "summon": ["packet"]}) as (daemon, client):
            with a_machine_that_starts(daemon, client):
                remove()
                dns_goes_on(daemon)
                make_again()


def a_bridge_is_made_again_while_a_machine_is_suspended():
    with bridge.world({**bridge.WWW, "stop": "suspend", "summon": ["packet"]}) as (daemon, client):
        assert serves(client)
        daemon.ctl("stop", NAME)
        daemon.wait_for(NAME, "suspended")
        remove()
        make_again()
        assert serves(client)
        assert [start["from"] for start in bridge.starts(daemon, bridge.WWW)] == ["off", "suspended"]


def a_bridge_is_made_after_jitsud_has_started():
    remove()
    daemon = lab.Daemon(services=[bridge.WWW], networks=[bridge.LAN])
    with daemon:
        dns_goes_on(daemon)
        lab.wait_until(lambda: "packets start no machine on it" in daemon.log(), "it is told")
        daemon.wait_for(NAME, "failed")
        daemon.ctl("reload")  # it need not wait for its back-off
        bridge.make_bridge()
        with bridge.Client() as client:
            assert serves(client)


def a_bridge_of_jitsud_s_is_made_again_by_it():
    remove()
    try:
        with lab.Daemon(services=[{**bridge.WWW, "summon": ["packet"]}], networks=[{**bridge.LAN, "create": "yes"}]) as daemon:
            assert b"<html" in daemon.curl(bridge.url(bridge.WWW)).lower()
            remove()
            assert b"<html" in daemon.curl(bridge.url(bridge.WWW)).lower()
            assert len(bridge.starts(daemon, bridge.WWW)) == 1
            daemon.ctl("stop", NAME)
            daemon.wait_for(NAME, "off")
    finally:
        bridge.make_bridge()


def a_port_is_made_again():
    with bridge.world(bridge.WWW) as (daemon, client):
        for _ in range(2):
            port, = re.findall(r"(jp-\w+)", bridge.run("ip -o link", capture_output=True, text=True).stdout)
            bridge.run(f"ip link del {port}")
            assert serves(client)
            daemon.ctl("stop", NAME)
            daemon.wait_for(NAME, "off")


if __name__ == "__main__":
    bridge.enter()
    lab.run(a_bridge_is_down_for_a_while,
            a_bridge_is_made_again_while_a_machine_runs,
            a_bridge_is_made_again_while_a_machine_starts,
            a_bridge_is_made_again_while_a_machine_is_suspended,
            a_bridge_is_made_after_jitsud_has_started,
            a_bridge_of_jitsud_s_is_made_again_by_it,
            a_port_is_made_again)
