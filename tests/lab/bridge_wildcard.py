#!/usr/bin/env python3
"""Wildcard services on a bridge: each instance has its addresses itself, its clients' packets are held from the first one on,
and the neighbours' knowledge of an address stays true when another instance gets it."""

import os
import signal
import tempfile
import threading

import bridge
import lab
from sites import make_sites

LABELS = [f"site-{number}" for number in range(1, 13)]
PREFIX, PREFIX6 = "10.77.0.64/27", "fd77::40/122"


def wildcard(**settings):
    return {"name": "*.apps.lab.example", "network": "lan", "instances": len(LABELS), "prefix": [PREFIX, PREFIX6], "ports": [80],
            "image": lab.image("www.elf"), "ramdisk": os.path.join(directory, "%{label}.cpio"), "ttl": 1, **settings}


def name(label):
    return f"{label}.apps.lab.example"


def addresses(daemon, label):
    (v4,), (v6,) = daemon.resolve(name(label)), daemon.resolve(name(label), "AAAA")
    assert v4.startswith("10.77.0.") and v6.startswith("fd77::"), (v4, v6)
    return v4, v6


def known(daemon):
    return [service for service in daemon.ctl("status")["services"] if service["wildcard"]]


def each_of_many_clients_gets_its_own_site_at_once(hold):
    with bridge.world(wildcard(hold=hold), limits={"starts": 4}) as (daemon, client):
        pages = {}

        def fetch(label):
            v4, v6 = addresses(daemon, label)
            pages[label] = client.curl(f"http://{v4}/"), client.curl(f"http://[{v6}]/")
        threads = [threading.Thread(target=fetch, args=(label,)) for label in LABELS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for label in LABELS:
            assert pages.get(label) == (f"this is {label}\n".encode(),) * 2, (label, pages.get(label))
        taken = [address for service in known(daemon) for address in service["address"]]
        assert len(set(taken)) == 2 * len(LABELS), taken


def with_delay():
    each_of_many_clients_gets_its_own_site_at_once("delay")


def with_handoff():
    each_of_many_clients_gets_its_own_site_at_once("handoff")


def another_instance_at_the_same_address_is_reached_by_the_same_neighbour():
    with bridge.world(wildcard(instances=1, idle="10m")) as (daemon, client):
        v4, _ = addresses(daemon, "site-1")
        assert client.curl(f"http://{v4}/") == b"this is site-1\n"
        mac = client.run(f"ip neigh show {v4}").split()[4]
        refused = daemon.dig(name("site-2"), "A")
        assert "SERVFAIL" in refused and "no room for another machine" in refused, refused
        daemon.ctl("stop", name("site-1"))
        lab.wait_until(lambda: not known(daemon), "it is forgotten")
        assert daemon.resolve(name("site-2")) == [v4]
        assert client.curl(f"http://{v4}/") == b"this is site-2\n"
        assert client.run(f"ip neigh show {v4}").split()[4] == mac


def packets_start_one_whose_machine_is_off_while_it_is_known():
    with bridge.world(wildcard(summon="packet", ttl=30)) as (daemon, client):
        v4, _ = addresses(daemon, "site-3")
        assert [service["state"] for service in known(daemon)] == ["off"]
        assert client.curl(f"http://{v4}/") == b"this is site-3\n"
        starts = [event for event in daemon.events(name("site-3")) if event["to"] == "starting"]
        assert [event["cause"] for event in starts] == ["connection"], starts
        daemon.ctl("stop", name("site-3"))
        daemon.wait_for(name("site-3"), "off")
        assert client.curl(f"http://{v4}/") == b"this is site-3\n"


def restarts_leave_machine_and_addresses():
    with bridge.world(wildcard(idle="10m")) as (daemon, client):
        v4, v6 = addresses(daemon, "site-4")
        assert client.curl(f"http://{v4}/") == b"this is site-4\n"
        pid = daemon.status(name("site-4"))["pid"]
        daemon.stop()
        daemon.start()
        os.kill(daemon.role("front"), signal.SIGKILL)
        lab.wait_until(lambda: daemon.log().count("adopted") >= 1 and daemon.answers_control(), "a new front")
        daemon.wait_for(name("site-4"), "running")
        assert addresses(daemon, "site-4") == (v4, v6)
        assert client.curl(f"http://[{v6}]/") == b"this is site-4\n"
        assert daemon.status(name("site-4"))["pid"] == pid


if __name__ == "__main__":
    bridge.enter()
    with tempfile.TemporaryDirectory(prefix="jitsu-lab-") as directory:
        os.chmod(directory, 0o755)
        make_sites(directory, LABELS)
        lab.run(with_delay, with_handoff, another_instance_at_the_same_address_is_reached_by_the_same_neighbour,
                packets_start_one_whose_machine_is_off_while_it_is_known, restarts_leave_machine_and_addresses)
