#!/usr/bin/env python3
"""Wildcard services on a user network: a machine for each label that somebody asks for, each with a site of its own; how
many there may be; what becomes of them when they are reaped, and when jitsud or its keeper restarts."""

import ipaddress
import os
import subprocess
import tempfile

import lab

SITES = [f"site-{number}" for number in range(1, 9)] + ["under_score", "0"]


def make_sites(path):
    """An archive for each label, packed as an operator would."""
    for label in SITES:
        site = os.path.join(path, label)
        os.makedirs(site)
        with open(os.path.join(site, "index.html"), "w") as page:
            page.write(f"this is {label}\n")
        subprocess.run([lab.JITSUCTL, "pack", site, "-o", site + ".cpio"], check=True, stdout=subprocess.DEVNULL)


def prefix():
    """64 loopback addresses of this test process's own."""
    return f"127.{64 + (os.getpid() >> 8) % 128}.{os.getpid() & 255}.64/26"


def wildcard(**settings):
    return {"name": "*.apps.lab.example", "instances": 4, "prefix": prefix(), "ports": ["8080:80"],
            "image": lab.image("www.elf"), "ramdisk": os.path.join(directory, "%{label}.cpio"), "ttl": 1, "idle": "10m",
            **settings}


def name(label):
    return f"{label}.apps.lab.example"


def known(daemon):
    return sorted(service["name"].partition(".")[0] for service in daemon.ctl("status")["services"]
                  if service.get("wildcard"))


def address(daemon, label):
    answer = daemon.resolve(name(label))
    assert len(answer) == 1, f"{label}: {answer}"
    return answer[0]


def page(daemon, label):
    return daemon.curl(f"http://{address(daemon, label)}:8080/").decode()


def a_machine_for_every_label():
    with lab.Daemon([wildcard(instances=len(SITES)), {"name": "www.lab.example", "ports": [80], "image": lab.image("www.elf")}],
                    limits={"machines": 32}) as daemon:
        addresses = set()
        for label in SITES:
            assert page(daemon, label) == f"this is {label}\n", label
            addresses.add(address(daemon, label.upper()))
        assert len(addresses) == len(SITES), addresses
        assert all(ipaddress.ip_address(one) in ipaddress.ip_network(prefix()) for one in addresses), addresses
        assert known(daemon) == sorted(SITES)
        status = daemon.status(name("site-1"))
        assert status["state"] == "running" and status["wildcard"] == "*.apps.lab.example", status
        assert status["address"] == [address(daemon, "site-1")], status
        starts = [event for event in daemon.events(name("site-1")) if event["to"] == "starting"]
        assert len(starts) == 1 and starts[0]["query"] == name("site-1") + " A", starts


with tempfile.TemporaryDirectory(prefix="jitsu-lab-") as directory:
    os.chmod(directory, 0o755)
    make_sites(directory)
    lab.run(a_machine_for_every_label)
