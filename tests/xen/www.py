#!/usr/bin/env python3
"""The bundled web server under Xen, through the whole jitsud: summoned, held, handed over, fetched, reaped, adopted."""

import os
import signal
import socket
import time

from world import *

WWW = {**service(1, memory="16M", ports=[80], image=lab.image("www.elf")), "ready": "announce"}
SITE = archives.cpio({"index.html": b"<html>A page.\n", "large": bytes(range(256)) * 4096})


def site(*services, **settings):
    return world(*[{**WWW, "ramdisk": "site.cpio", **one} for one in services], files={"site.cpio": SITE}, **settings)


def connect(patience=lab.PATIENCE, address=WWW["address"]):
    return socket.create_connection((address, 80), timeout=patience)


def fetch(connection, path="/"):
    """The body of the answer to one request; the connection stays."""
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: www\r\n\r\n".encode())
    stream = connection.makefile("rb")
    assert stream.readline().startswith(b"HTTP/1.1 200 ")
    length = 0
    while (line := stream.readline().strip()):
        name, _, value = line.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    return stream.read(length)


def causes(daemon, state):
    return [event["cause"] for event in daemon.events(WWW["name"]) if event["to"] == state]


def a_cold_page_is_held_until_the_machine_is_ready():
    with site({"hold": "delay"}) as daemon:
        assert daemon.resolve(WWW["name"]) == [WWW["address"]]
        with connect() as connection:
            assert fetch(connection) == b"<html>A page.\n"
            assert fetch(connection, "/large") == bytes(range(256)) * 4096
        assert causes(daemon, "starting") == ["dns"]
        phases = daemon.events(WWW["name"])[-1]["phases"]
        print(f"phases of a cold page: {phases} ms")
        assert phases["entered"] and phases["first_byte"], phases


def a_connection_is_handed_over_with_what_was_said_on_it():
    with site({"hold": "handoff"}) as daemon:
        with connect() as connection:
            assert fetch(connection) == b"<html>A page.\n"
            assert causes(daemon, "starting") == ["connection"]
            assert fetch(connection, "/large") == bytes(range(256)) * 4096
        assert daemon.ctl("stats")["bridges"]["handed_over"] == 1, daemon.ctl("stats")


def it_is_reaped_and_summoned_again():
    with site({"idle": "1s"}) as daemon:
        for _ in range(2):
            with connect() as connection:
                assert fetch(connection) == b"<html>A page.\n"
            daemon.wait_for(WWW["name"], "off")
            assert not domains()
        assert causes(daemon, "stopping") == ["idle", "idle"]


def it_finishes_what_it_is_at_when_it_is_asked_to_stop():
    with site({"stop": "shutdown", "shutdown-timeout": "60s"}) as daemon:
        with connect() as connection:
            fetch(connection)
            daemon.ctl("stop", WWW["name"])
            daemon.wait_for(WWW["name"], "off")
        assert "not shut down in time" not in daemon.log()
        assert not domains()


def a_restarted_jitsud_adopts_it_and_its_connections_go_on():
    with site({}) as daemon:
        with connect() as connection:
            fetch(connection)
            before = domains()
            daemon.stop()
            assert fetch(connection) == b"<html>A page.\n"
            daemon.start()
            assert daemon.state(WWW["name"]) == "running" and list(domains()) == list(before)
            os.kill(daemon.role("keeper"), signal.SIGKILL)
            lab.wait_until(lambda: daemon.log().count("adopted the machine that runs already") == 2, "it is adopted again")
            assert fetch(connection) == b"<html>A page.\n"
        daemon.ctl("stop", WWW["name"])
        daemon.wait_for(WWW["name"], "off")
        assert not domains()


def a_spare_serves_sooner():
    with site({"prewarm": 1}) as daemon:
        lab.wait_until(lambda: "a prewarmed machine is waiting" in daemon.log(), "a spare waits")
        begin = time.monotonic()
        with connect() as connection:
            assert fetch(connection) == b"<html>A page.\n"
        print(f"a page from a spare: {time.monotonic() - begin:.3f} s, phases {daemon.events(WWW['name'])[-1]['phases']} ms")


def a_suspended_one_keeps_its_connections():
    for where in "memory", "disk":
        with site({"stop": "suspend", "suspend-to": where, "idle-connections": "ignore"}) as daemon:
            with connect() as connection:
                fetch(connection)
                daemon.ctl("stop", WWW["name"])
                daemon.wait_for(WWW["name"], "suspended")
                assert bool(domains()) == (where == "memory"), domains()
                begin = time.monotonic()
                assert fetch(connection) == b"<html>A page.\n"
                print(f"suspended to {where}, it answered after {time.monotonic() - begin:.3f} s")
                assert daemon.state(WWW["name"]) == "running"


if __name__ == "__main__":
    lab.run(a_cold_page_is_held_until_the_machine_is_ready, a_connection_is_handed_over_with_what_was_said_on_it,
            it_is_reaped_and_summoned_again, it_finishes_what_it_is_at_when_it_is_asked_to_stop,
            a_restarted_jitsud_adopts_it_and_its_connections_go_on, a_spare_serves_sooner, a_suspended_one_keeps_its_connections)
