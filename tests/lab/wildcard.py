#!/usr/bin/env python3
"""Wildcard services on a user network: a machine for each label that somebody asks for, with a site of its own; how many there
may be; what becomes of them when they are reaped, when jitsud and its processes restart, and under a flood of labels."""

import ipaddress
import os
import random
import re
import signal
import socket
import string
import subprocess
import tempfile
import threading
import time

import lab
from sites import make_sites

SITES = [f"site-{number}" for number in range(1, 9)] + ["under_score", "0"]


def prefix():
    """62 loopback addresses of this test process's own."""
    return f"127.{64 + (os.getpid() >> 8) % 128}.{os.getpid() & 255}.64/26"


def wildcard(**settings):
    return {"name": "*.apps.lab.example", "instances": 4, "prefix": prefix(), "ports": ["8080:80"],
            "image": lab.image("www.elf"), "ramdisk": os.path.join(directory, "%{label}.cpio"), "ttl": 1, **settings}


def name(label):
    return f"{label}.apps.lab.example"


def known(daemon):
    return sorted(service["name"].partition(".")[0] for service in daemon.ctl("status")["services"]
                  if service["wildcard"])


def address(daemon, label, *options):
    answer = [line for line in daemon.dig("+short", name(label), "A", *options).splitlines() if line[0] != ";"]
    assert len(answer) == 1, f"{label}: {answer}"
    return answer[0]


def page(daemon, label, *options):
    return daemon.curl(f"http://{address(daemon, label, *options)}:8080/").decode()


def starts(daemon, label):
    return [event for event in daemon.events(name(label)) if event["to"] == "starting"]


def a_machine_for_every_label():
    with lab.Daemon([wildcard(instances=len(SITES))], limits={"machines": 32}) as daemon:
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
        assert [event["query"] for event in starts(daemon, "site-1")] == [name("site-1") + " A"]
        whole = daemon.status("*.apps.lab.example")
        assert (whole["instances"], whole["instance_limit"]) == (len(SITES), len(SITES)), whole


def only_names_that_can_have_a_machine_exist():
    zone = """@ 60 SOA ns hostmaster 1 2 3 4 5
@ NS ns
ns A 127.0.0.1
*.apps TXT "of all below"
mail.apps MX 10 mail
deep.site-2.apps TXT "makes site-2.apps exist"
"""
    with lab.Daemon([wildcard(), wildcard(name="*.bare.lab.example", prefix="127.63.0.0/24"),
                     {"name": "site-1.bare.lab.example", "image": lab.image("www.elf")}],
                    zones=[{"name": "lab.example", "file": "lab.zone"}], files={"lab.zone": zone}) as daemon:
        # The file's record at the wildcard holds for all names, machines are there for some only.
        assert daemon.rcode(name("no-site"), "A") == "NOERROR" and daemon.resolve(name("no-site")) == []
        for one in name("no-site"), name("a.b"), name("site-1"):
            assert daemon.resolve(one, "TXT") == ['"of', "all", 'below"'], one
        assert daemon.resolve(name("a.b")) == []
        for one in name("mail"), name("site-2"), name("x.site-2"):
            assert daemon.resolve(one) == [], one
        # Without such records the others do not exist at all, whatever they are asked for.
        for label in "no-site", "site-1.site-1", "a+b", "site-":
            for kind in "A", "AAAA", "TXT":
                assert daemon.rcode(f"{label}.bare.lab.example", kind) == "NXDOMAIN", (label, kind)
        assert daemon.rcode("site-3.bare.lab.example", "TXT") == "NOERROR"
        assert known(daemon) == []
        # AAAA wants the machine, but it has none.
        assert daemon.rcode("site-3.bare.lab.example", "AAAA") == "NOERROR"
        assert daemon.resolve("site-3.bare.lab.example", "AAAA") == []
        assert known(daemon) == ["site-3"] and len(daemon.resolve("site-3.bare.lab.example", "ANY")) == 1
        # A service of that name has its own machine.
        assert daemon.resolve("site-1.bare.lab.example") == [daemon.address("site-1.bare.lab.example")]
        assert daemon.rcode("*.bare.lab.example", "A") == "NOERROR" and daemon.resolve("*.bare.lab.example") == []
        assert known(daemon) == ["site-3"]


def no_more_than_configured_and_again_when_one_is_reaped():
    with lab.Daemon([wildcard(instances=2, idle="10m")]) as daemon:
        first = {label: address(daemon, label) for label in ("site-1", "site-2")}
        refused = daemon.dig(name("site-3"), "A")
        assert "status: SERVFAIL" in refused and "no room for another machine" in refused, refused
        assert known(daemon) == ["site-1", "site-2"]
        # Those that are known are not affected; when one is reaped it is forgotten, and there is room.
        daemon.settings["services"][0]["idle"] = "1s"
        daemon.configure()
        daemon.ctl("reload")
        pages = [page(daemon, "site-2")]
        lab.wait_until(lambda: pages.append(page(daemon, "site-2")) or known(daemon) == ["site-2"], "site-1 is forgotten")
        assert set(pages) == {"this is site-2\n"}
        assert [event["cause"] for event in daemon.events(name("site-1")) if event["to"] == "stopping"] == ["idle"]
        third = address(daemon, "site-3")
        assert third == first["site-1"]
        assert daemon.curl(f"http://{third}:8080/") == b"this is site-3\n"


def a_connection_starts_one_again_while_it_is_known():
    with lab.Daemon([wildcard(ttl=600)]) as daemon:
        assert page(daemon, "site-1") == "this is site-1\n"
        daemon.ctl("stop", name("site-1"))
        daemon.wait_for(name("site-1"), "off")
        assert daemon.curl(f"http://{daemon.status(name('site-1'))['address'][0]}:8080/") == b"this is site-1\n"
        assert [event["cause"] for event in starts(daemon, "site-1")] == ["dns", "connection"]


def an_address_is_nobodys_when_its_instance_is_forgotten():
    with lab.Daemon([wildcard(instances=2, idle="10m")]) as daemon:
        one = address(daemon, "site-1")
        assert page(daemon, "site-1") == "this is site-1\n"
        daemon.ctl("stop", name("site-1"))
        lab.wait_until(lambda: known(daemon) == [], "it is forgotten")
        assert daemon.curl(f"http://{one}:8080/", check=False).returncode in lab.REFUSED
        # The next one gets the address that has been free longer.
        assert address(daemon, "site-2") != one


def commands_work_by_the_names_of_instances():
    with lab.Daemon([wildcard(instances=1)]) as daemon:
        assert daemon.ctl("stop", name("site-4"))["state"] == "off"
        checked = subprocess.run([lab.JITSUD, "-t", "-c", daemon.file], capture_output=True, text=True)
        assert checked.returncode == 0 and "warning" not in checked.stdout + checked.stderr, checked
        daemon.ctl("wait", name("site-4"), "--for", "off")
        waiting = threading.Thread(target=daemon.wait_for, args=(name("site-4"), "running"))
        waiting.start()
        assert daemon.ctl("start", name("site-4"))["was"] == "off"
        waiting.join()
        with subprocess.Popen([lab.JITSUCTL, "-s", daemon.control, "console", name("site-4")], stdout=subprocess.PIPE) as console:
            while b"jitsu: ready" not in console.stdout.readline():
                pass
            console.kill()
        assert [event["cause"] for event in starts(daemon, "site-4")] == ["command"]
        refused = daemon.ctl("start", name("site-5"), check=False)
        assert "all its instances are in use: 1" in refused["error"], refused
        assert "no machine itself" in daemon.ctl("start", "*.apps.lab.example", check=False)["error"]
        assert "would be an instance of *.apps.lab.example" in daemon.ctl("status", name("site-5"), check=False)["error"]
        assert "there is no service" in daemon.ctl("start", name("a.b"), check=False)["error"]
        assert "1 of 1" in daemon.ctl("status", as_json=False)
        daemon.ctl("stop", name("site-4"))
        daemon.wait_for(name("site-4"), "off")


def machines_are_adopted_with_their_addresses():
    with lab.Daemon([wildcard(idle="10m")]) as daemon:
        labels = ["site-1", "site-2", "site-3"]
        addresses = {label: address(daemon, label) for label in labels}
        for label in labels:
            page(daemon, label)
        pids = {label: daemon.status(name(label))["pid"] for label in labels}

        def check(what):
            lab.wait_until(lambda: known(daemon) == labels, f"instances after {what}")
            for label in labels:
                daemon.wait_for(name(label), "running")
                assert address(daemon, label) == addresses[label], (what, label)
                assert daemon.status(name(label))["pid"] == pids[label], (what, label)
                assert page(daemon, label) == f"this is {label}\n"
        daemon.stop()
        daemon.start()
        check("a restart of jitsud")
        os.kill(daemon.role("keeper"), signal.SIGKILL)
        lab.wait_until(lambda: "the keeper has been started again" in daemon.log(), "there is a new keeper")
        check("a death of the keeper")
        daemon.configure()
        daemon.ctl("reload")
        check("a reload")
        daemon.settings["services"][0]["instances"] = 8
        daemon.configure()
        daemon.ctl("reload")
        lab.wait_until(lambda: daemon.status("*.apps.lab.example")["instance_limit"] == 8, "the new configuration")
        for label in labels:
            if name(label) in [service["name"] for service in daemon.ctl("status")["services"]]:
                assert address(daemon, label) == addresses[label]
        daemon.settings["services"] = []
        daemon.configure()
        daemon.ctl("reload")
        lab.wait_until(lambda: not daemon.machines(), "the machines of a wildcard that is gone end")
        assert daemon.rcode(name("site-1")) == "NXDOMAIN"


# Of a resolver: in a flood the socket's buffer is full at times, and datagrams are lost.
PATIENT = ["+tries=30", "+timeout=1"]


class Flood(threading.Thread):
    """Asks for labels at random, as fast as it can, and takes no notice of the answers."""

    def __init__(self, daemon, below):
        super().__init__(daemon=True)
        self.end, self.count, self.answers = False, 0, {}
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.connect(daemon.dns_endpoint)
        self.socket.setblocking(False)
        self.below = b"".join(bytes([len(label)]) + label.encode() for label in below.split(".")) + b"\0\0\1\0\1"

    def run(self):
        while not self.end:
            label = "".join(random.choices(string.ascii_lowercase, k=12)).encode()
            try:
                self.socket.send(random.randbytes(2) + b"\1\0\0\1\0\0\0\0\0\0" + bytes([12]) + label + self.below)
                self.count += 1
                while True:
                    rcode = self.socket.recv(512)[3] & 15
                    self.answers[rcode] = self.answers.get(rcode, 0) + 1
            except OSError:
                pass

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.end = True
        self.join()
        self.socket.close()


def is_sanitized(pid):
    """Then freed memory is kept, to catch its use."""
    with open(f"/proc/{pid}/maps") as maps:
        return "libasan" in maps.read()


def memory_of(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


def a_flood_of_labels_takes_no_more_than_it_is_given():
    anything = wildcard(name="*.any.lab.example", instances=3, prefix="127.62.0.0/24", idle="10m")
    del anything["ramdisk"]
    ordinary = {"name": "www.lab.example", "ports": ["8080:80"], "image": lab.image("www.elf"), "idle": "1s"}
    with lab.Daemon([wildcard(idle="10m"), anything, ordinary], server={"log": "info"}) as daemon:
        assert page(daemon, "site-1") == "this is site-1\n"
        daemon.resolve(ordinary["name"])
        before = memory_of(daemon.role("front"))
        for below, rcode in ("apps.lab.example", 3), ("any.lab.example", 2):
            with Flood(daemon, below) as flood:
                end, slowest, rounds = time.monotonic() + 3, 0, 0
                while time.monotonic() < end:
                    begin = time.monotonic()
                    assert page(daemon, "site-1", *PATIENT) == "this is site-1\n"
                    assert daemon.curl(f"http://{daemon.address(ordinary['name'])}:8080/")
                    assert "NOERROR" in daemon.dig(ordinary["name"], *PATIENT)
                    slowest = max(slowest, time.monotonic() - begin)
                    rounds += 1
                # A site that nobody has asked for yet may have to be asked for more than once.
                lab.wait_until(lambda: "NOERROR" in daemon.dig(name("site-5"), *PATIENT), "a new site beside the flood")
                assert page(daemon, "site-5", *PATIENT) == "this is site-5\n"
            print(f"  {flood.count} labels of *.{below}, answers {flood.answers}; meanwhile {rounds} rounds of real clients, "
                  f"the slowest {slowest * 1000:.0f} ms")
            assert flood.answers.get(rcode, 0) > 0, flood.answers
        after = memory_of(daemon.role("front"))
        print(f"  memory of the front: {before} KiB before, {after} KiB after")
        assert after < before + 8192 or is_sanitized(daemon.role("front")), (before, after)
        services = [service for service in daemon.ctl("status")["services"] if service["wildcard"]]
        assert len([one for one in services if one["wildcard"] == "*.any.lab.example"]) == 3, services
        assert known(daemon).count("site-1") == 1 and len(services) == 5, services


with tempfile.TemporaryDirectory(prefix="jitsu-lab-") as directory:
    os.chmod(directory, 0o755)
    make_sites(directory, SITES)
    lab.run(a_machine_for_every_label,
            only_names_that_can_have_a_machine_exist,
            no_more_than_configured_and_again_when_one_is_reaped,
            a_connection_starts_one_again_while_it_is_known,
            an_address_is_nobodys_when_its_instance_is_forgotten,
            commands_work_by_the_names_of_instances,
            machines_are_adopted_with_their_addresses,
            a_flood_of_labels_takes_no_more_than_it_is_given)
