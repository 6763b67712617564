#!/usr/bin/env python3
"""A guest that nobody here wrote, on a bridge: Debian's kernel and busybox. What it is used for is seen in its packets alone."""

import contextlib
import hashlib
import os
import threading
import time

import bridge
import bridge_clients as clients
import debian_guest
import lab
from steady_clients import IDLE, Steady, check, keepalive, make_noise, reasons

COMMANDS = """
nc -ll -p 7 -e /bin/cat &
nc -ll -p 9 -e /bin/ticker &
until [ $(cat /proc/net/tcp /proc/net/tcp6 | grep -c ' 0A ') = 2 ]; do :; done
exec httpd -f -p 80 -h /srv
"""
FILES = {"srv/index.html": b"It works.\n",
         "srv/cgi-bin/digest": b"#!/bin/sh\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\nhead -c $CONTENT_LENGTH | sha256sum\n",
         "bin/ticker": b"#!/bin/sh\nwhile sleep 0.2; do echo tick; done\n"}
ECHO, TICKER = 7, 9

PACKAGES = debian_guest.packages()


def service(number, **settings):
    return {"name": f"legacy{number}.lab.example", "network": "lan", "address": [f"10.77.0.{20 + number}", f"fd77::{20 + number}"],
            "image": PACKAGES.kernel(), "ramdisk": "ramdisk", "memory": "96M", "boot-timeout": "2m", "hold": "delay",
            "ready": "tcp:80", "ports": [80, ECHO, TICKER],
            "cmdline": debian_guest.command_line() + " address=%{address}/%{prefixlen} gateway=%{gateway} "
            f"address=fd77::{20 + number}/64 gateway={clients.ROUTER6}", **settings}


@contextlib.contextmanager
def world(*services, **settings):
    with clients.world(*services, files={"ramdisk": PACKAGES.ramdisk(COMMANDS, FILES)}, **settings) as (daemon, near, far):
        yield daemon, near, far


def get(host, address, path="/", body=b""):
    """One request and its answer's body."""
    method = f"POST {path} HTTP/1.0\r\nContent-Length: {len(body)}" if body else f"GET {path} HTTP/1.0"
    with host.connect(address) as connection:
        connection.sendall(method.encode() + b"\r\n\r\n" + body)
        head, _, answer = connection.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    return answer


def repeat(connection, text=b"still there?"):
    """What is said is said back."""
    connection.sendall(text)
    answer = b""
    while len(answer) < len(text):
        piece = connection.recv(1 << 16)
        assert piece, f"the connection ended after {answer}"
        answer += piece
    assert answer == text, answer


# --- cold starts ---

def a_query_or_a_packet_starts_it_and_nothing_of_what_waits_is_lost():
    asked, sent_to = service(1), service(2)
    upload = os.urandom(10000)
    digest = hashlib.sha256(upload).hexdigest().encode()
    with world(asked, sent_to) as (daemon, near, far):
        assert daemon.resolve(asked["name"]) == asked["address"][:1]
        answers = []
        threads = [threading.Thread(target=lambda host=host, address=address, one=one: answers.append(
            (get(host, address, "/cgi-bin/digest", upload).split()[0], get(host, address)))) for one in (asked, sent_to)
            for host in (near, far) for address in one["address"]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [(digest, FILES["srv/index.html"])] * len(threads), answers
        for one, cause in (asked, "dns"), (sent_to, "connection"):
            assert [event["cause"] for event in bridge.starts(daemon, one)] == [cause], daemon.events(one["name"])
            phases = [event["phases"] for event in daemon.events(one["name"]) if event["cause"] == "first-byte"]
            assert len(phases) == 1 and phases[0]["spawned"] < phases[0]["ready"] < phases[0]["first_byte"], phases


# --- what keeps it running ---

def wildcard(**settings):
    one = service(0, name="*.apps.lab.example", instances=2, prefix="10.77.0.128/29", **settings)
    del one["address"]
    return one


def what_its_clients_do_keeps_it_and_noise_does_not():
    keeping = {"idle": f"{IDLE}s"}
    ignoring = {**keeping, "idle-connections": "ignore"}
    talked_to, read, kept_alive = service(1, **ignoring), service(2, **ignoring), service(3, **keeping)
    silent, kept_alive_in_vain, noisy, far_from = service(4, **keeping), service(5, **ignoring), service(6, **ignoring), \
        service(7, **keeping, **{"summon-from": [bridge.PREFIX, bridge.PREFIX6]})
    used, unused = [talked_to, read, kept_alive], [silent, kept_alive_in_vain, noisy, far_from]
    with world(*used, *unused, wildcard(**ignoring)) as (daemon, near, far), contextlib.ExitStack() as stack:
        instances = [{"name": name, "address": daemon.resolve(name)} for name in ("used.apps.lab.example", "unused.apps.lab.example")]
        used.append(instances[0])
        unused.append(instances[1])
        users = [stack.enter_context(user) for user in (
            Steady(near, talked_to, repeat, ECHO), Steady(near, read, lambda connection: connection.recv(100), TICKER),
            Steady(near, kept_alive, keepalive, ECHO), Steady(near, instances[0], repeat, ECHO))]
        noise = Steady(near, noisy, lambda _: make_noise(near, noisy), ECHO)
        for other in noise, Steady(near, silent, port=ECHO), Steady(near, kept_alive_in_vain, keepalive, ECHO), \
                Steady(near, far_from, port=ECHO), Steady(far, far_from, repeat, ECHO), Steady(near, instances[1], port=ECHO):
            stack.enter_context(other)
        check(daemon, used, unused, users)
        assert not noise.failure, noise.failure


# --- when jitsud is restarted ---

def a_restarted_jitsud_adopts_it_and_goes_on_counting():
    one = service(1, idle=f"{IDLE}s", **{"idle-connections": "ignore"})
    with world(one) as (daemon, near, _):
        with Steady(near, one, repeat, ECHO) as busy:
            daemon.wait_for(one["name"], "running")
            pid = daemon.status(one["name"])["pid"]
            assert daemon.status(one["name"])["connections"] is None
            daemon.stop()
            daemon.start()
            daemon.wait_for(one["name"], "running")
            time.sleep(1.2 * IDLE)
            keeper = daemon.role("keeper")
            os.kill(keeper, 9)
            lab.wait_until(lambda: daemon.role("keeper") != keeper, "there is another keeper")
            time.sleep(1.2 * IDLE)
            assert daemon.status(one["name"])["pid"] == pid and not reasons(daemon, one), daemon.events(one["name"])
        assert not busy.failure, busy.failure
        daemon.wait_for(one["name"], "off")
        assert reasons(daemon, one) == ["idle"]


# --- when it is suspended ---

def the_next_packet_of_a_silent_connection_resumes_it():
    one = service(1, idle="1s", stop="suspend", **{"idle-connections": "ignore"})
    with world(one) as (daemon, near, far), contextlib.ExitStack() as stack:
        open_ones = [stack.enter_context(host.connect(address, ECHO)) for host in (near, far) for address in one["address"]]
        for connection in open_ones:
            repeat(connection)
        pid = daemon.status(one["name"])["pid"]
        for connection in open_ones:
            daemon.wait_for(one["name"], "suspended")
            repeat(connection, os.urandom(3000))
            start = bridge.starts(daemon, one)[-1]
            assert (start["from"], start["cause"]) == ("suspended", "connection"), start
        for connection in open_ones:
            repeat(connection)
        assert daemon.status(one["name"])["pid"] == pid
        assert set(reasons(daemon, one)) == {"idle"}
        first_bytes = [event for event in daemon.events(one["name"]) if event["cause"] == "first-byte"]
        assert len(first_bytes) == len(bridge.starts(daemon, one)), daemon.events(one["name"])


if __name__ == "__main__":
    bridge.enter()
    lab.run(a_query_or_a_packet_starts_it_and_nothing_of_what_waits_is_lost,
            what_its_clients_do_keeps_it_and_noise_does_not,
            a_restarted_jitsud_adopts_it_and_goes_on_counting,
            the_next_packet_of_a_silent_connection_resumes_it)
