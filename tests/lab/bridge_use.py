#!/usr/bin/env python3
"""What counts as use of the bundled unikernels on a bridge, which tell it themselves, and what it is to be suspended unused."""

import contextlib
import socket

import bridge
import bridge_clients as clients
import lab
from bridge_wire import HOLDS, get
from steady_clients import IDLE, Steady, check, keepalive, make_noise


def service(number, **settings):
    return {**bridge.WWW, "name": f"s{number}.lab.example", "address": [f"10.77.0.{20 + number}", f"fd77::{20 + number}"],
            "idle": f"{IDLE}s", "hold": HOLDS[number % 2], **settings}


def open_connections_and_data_keep_it_and_noise_does_not():
    ignoring = {"idle-connections": "ignore"}
    silent, talked_to = service(1), service(2, **ignoring)
    silent_in_vain, kept_alive_in_vain, noisy, far_from = service(3, **ignoring), service(4, **ignoring), service(5, **ignoring), \
        service(6, **{"summon-from": [bridge.PREFIX, bridge.PREFIX6]})
    near_to = service(7, **ignoring, **{"summon-from": [bridge.PREFIX, bridge.PREFIX6]})
    used, unused = [silent, talked_to, near_to], [silent_in_vain, kept_alive_in_vain, noisy, far_from]
    with clients.world(*used, *unused) as (daemon, near, far), contextlib.ExitStack() as stack:
        users = [stack.enter_context(user) for user in (Steady(near, silent), Steady(far, talked_to, get), Steady(near, near_to, get))]
        noise = Steady(near, noisy, lambda _: make_noise(near, noisy))
        for other in noise, Steady(near, silent_in_vain), Steady(near, kept_alive_in_vain, keepalive), Steady(near, far_from), \
                Steady(far, far_from, get):
            stack.enter_context(other)
        check(daemon, used, unused, users)
        assert not noise.failure, noise.failure


def one_suspended_for_silence_keeps_its_connections():
    for number in range(2):
        one = service(number, idle="1s", stop="suspend", **{"idle-connections": "ignore"})
        with clients.world(one) as (daemon, near, far), contextlib.ExitStack() as stack:
            open_ones = [stack.enter_context(host.connect(address)) for host in (near, far) for address in one["address"]]
            page = get(open_ones[0])
            pid = daemon.status(one["name"])["pid"]
            for connection in open_ones:
                daemon.wait_for(one["name"], "suspended")
                assert get(connection) == page
                start = bridge.starts(daemon, one)[-1]
                assert (start["from"], start["cause"]) == ("suspended", "connection"), start
            assert all(get(connection) == page for connection in open_ones)
            assert daemon.status(one["name"])["pid"] == pid


def strangers_do_not_resume_one():
    one = service(1, stop="suspend", **{"summon-from": [bridge.PREFIX, bridge.PREFIX6]})
    with clients.world(one) as (daemon, near, far), near.connect(one["address"][0]) as friend, \
            far.connect(one["address"][0]) as stranger:
        page = get(friend)
        daemon.ctl("stop", one["name"])
        daemon.wait_for(one["name"], "suspended")
        stranger.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert get(friend) == page
        start = bridge.starts(daemon, one)[-1]
        assert start["client"].startswith(bridge.CLIENT + "@"), start
        assert stranger.recv(9) == b"HTTP/1.1 "


def counted_devices():
    """The machines' network devices at which packets are counted now."""
    with open("/proc/net/packet") as file:
        indices = {int(line.split()[4]) for line in file.readlines()[1:]}
    return [name for index, name in socket.if_nameindex() if index in indices and name.startswith("jm-")]


def the_first_byte_is_known():
    for number, settings in (0, {}), (1, {}), (1, {"prewarm": 1}):
        one = service(number, idle="1h", **settings)
        with clients.world(one) as (daemon, near, _):
            daemon.wait_for_spares(one["name"])
            with near.connect(one["address"][0]) as connection:
                lab.wait_until(counted_devices, "its answer is waited for")
                get(connection)
            phases = lab.wait_until(lambda: [event["phases"] for event in daemon.events(one["name"])
                                             if event["cause"] == "first-byte"], "the first byte is told")
            assert len(phases) == 1, phases
            assert phases[0]["spawned"] < phases[0]["entered"] <= phases[0]["ready"] < phases[0]["first_byte"], phases
            lab.wait_until(lambda: not counted_devices(), "no packet of it is counted any longer")


if __name__ == "__main__":
    bridge.enter()
    lab.run(open_connections_and_data_keep_it_and_noise_does_not,
            one_suspended_for_silence_keeps_its_connections,
            strangers_do_not_resume_one,
            the_first_byte_is_known)
