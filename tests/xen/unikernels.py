#!/usr/bin/env python3
"""The bundled unikernels as guests in PVH mode, made by xl: what they serve is right, byte for byte and in both directions, also
to many and on bad wires; and they heed the toolstack."""

import contextlib
import hashlib
import json
import os
import random
import re
import socket
import subprocess
import tempfile
import time

from world import *
import certificates

PROGRAMS = os.path.dirname(lab.UNIKERNELS)
ADDRESS, ADDRESS6, HOST6 = "10.77.0.10", "fd00:77::10", "fd00:77::1"
MAC = "00:16:3e:77:00:10"
SIZES = {"small": 300, "page": 5000, "empty": 0, "style": 40000, "large": 6000000}


class Guest:
    """A domain of xl's. Use it in a `with` statement."""

    def __init__(self, image, name="guest", options="", ramdisk=None, memory=16, more=""):
        self.name = name
        self.console = f"/exchange/consoles/guest-{name}.log"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.console)
        path = os.path.join(directory, f"{name}.cfg")
        with open(path, "w") as file:
            file.write(f"""
name = "{name}"
type = "pvh"
kernel = "{lab.image(image)}"
cmdline = "ip={ADDRESS}/24 ip6={ADDRESS6}/64 gw={GATEWAY} {options}"
memory = {memory}
vcpus = 1
vif = ["mac={MAC},bridge={BRIDGE}"]
{f'ramdisk = "{ramdisk}"' if ramdisk else ''}
{more}
""")
        run(f"ip neigh flush dev {BRIDGE}")
        subprocess.run(["xl", "create", "-q", path], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        run(f"xl destroy {self.name}", check=False)
        lab.wait_until(lambda: not domains(), "the domain is gone")

    def said(self):
        with contextlib.suppress(FileNotFoundError):
            with open(self.console, errors="replace") as file:
                return file.read()
        return ""

    def wait_for(self, text):
        lab.wait_until(lambda: text in self.said(), f"'{text}' on the console")

    def is_over(self):
        return self.name not in domains()


def get(path, address=ADDRESS, patience=lab.PATIENCE):
    return subprocess.run(["curl", "-sf", "--max-time", str(patience), f"http://{f'[{address}]' if ':' in address else address}/{path}"],
                          check=True, stdout=subprocess.PIPE).stdout


def www(**settings):
    return Guest("www.elf", ramdisk=site, **settings)


def load(address, requests, connections, patience=30):
    pages = [f"/{name}={os.path.join(directory, name)}:{1 if name == 'large' else 100}" for name in SIZES]
    done = subprocess.run([os.path.join(PROGRAMS, "lab-load"), "-n", str(requests), "-c", str(connections), "-s", str(patience),
                           address, "80", *pages], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(f"    {done.stdout.strip()}")


def every_byte_is_right():
    with www() as guest:
        guest.wait_for("jitsu: ready")
        for address in ADDRESS, ADDRESS6:
            for name, content in contents.items():
                assert get(name, address) == content, f"/{name} of {address}"


def every_byte_arrives():
    """Requests are what goes to it: long ones, many on a connection, before any answer is read."""
    count, name = 1500, "small"
    with www() as guest, socket.create_connection((ADDRESS, 80), lab.PATIENCE) as client:
        client.settimeout(lab.PATIENCE)
        sent, read = 0, b""
        for number in range(count):
            field = hashlib.sha256(str(number).encode()).hexdigest() * 90
            tag = "*" if number % 2 else f'"{field}"'
            request = f"GET /{name} HTTP/1.1\r\nHost: a\r\nIf-None-Match: {tag}\r\n\r\n".encode()
            client.sendall(request)
            sent += len(request)
            if number % 10 == 9:
                while read.count(b"HTTP/1.1 ") < number + 1 or not (read.endswith(b"\r\n\r\n")):
                    read += client.recv(1 << 16)
        assert read.count(b"HTTP/1.1 200 ") == read.count(b"HTTP/1.1 304 ") == count / 2, read[-1000:]
        assert read.count(contents[name]) == count / 2
        print(f"    {sent / 1e6:.1f} MB sent")


def many_at_once_are_served():
    with www(memory=32) as guest:
        guest.wait_for("jitsu: ready")
        load(ADDRESS, 4000, 200)
        load(ADDRESS6, 1000, 50)


def a_bad_wire_costs_time_only():
    """Frames are lost both ways: those to the guest behind its device, those to a client behind its own."""
    with www() as guest:
        guest.wait_for("jitsu: ready")
        number = domains()[guest.name][0]
        run("ip netns add client && ip link add wire type veth peer name inner netns client")
        try:
            run(f"ip link set wire master {BRIDGE} up")
            run("ip -n client addr add 10.77.0.99/24 dev inner && ip -n client link set inner up")
            run(f"tc qdisc add dev vif{number}.0 root netem loss 2% && tc qdisc add dev wire root netem loss 2%")
            for name in "large", "style", "page":
                got = run(f"ip netns exec client curl -sf --max-time {lab.PATIENCE} http://{ADDRESS}/{name} | sha256sum").split()[0]
                assert got == hashlib.sha256(contents[name]).hexdigest(), f"/{name}"
        finally:
            run("ip link del wire; ip netns del client", check=False)


def small_machines_do():
    with www(memory=8) as guest:
        assert get("page") == contents["page"]


def tells_what_it_runs_on():
    with Guest("stats.elf", options="name=statistics.example") as guest:
        guest.wait_for("jitsu: ready")
        figures = json.loads(get("stats.json"))
        assert figures["hypervisor"] == "Xen" and figures["platform"] == "pvh", figures
        assert figures["name"] == "statistics.example" and ADDRESS in json.dumps(figures["addresses"])
        assert 0 < figures["boot"]["ready"] < 60000
        print("    " + ", ".join(f"{phase['name']} {phase['took']:.1f}" for phase in figures["boot"]["phases"]))
        before, begin = figures["since_entry"], time.monotonic()
        time.sleep(1)
        passed = json.loads(get("stats.json"))["since_entry"] - before
        assert abs(passed / 1000 - (time.monotonic() - begin)) < 0.3, f"{passed} ms"


def knows_the_time():
    with www() as guest:
        guest.wait_for("jitsu: ready")
        head = run(f"curl -sI http://{ADDRESS}/small")
        date = re.search(r"(?m)^Date: (.*?)\r?$", head)[1]
        shown = int(run(f"date -d '{date}' +%s"))
        assert abs(shown - time.time()) <= 2, date


def the_game_is_served():
    with Guest("2048.elf"):
        assert b"2048" in get("") and len(get("script.js")) > 1000


def pinata_gives_its_secret_to_the_right_ones():
    anchor = certificates.self_signed(directory, "anchor")
    machine, friend = anchor.sign("machine"), anchor.sign("friend")
    secret = b"a secret of " + random.randbytes(8).hex().encode() + b"\n"
    path = os.path.join(directory, "pinata.cpio")
    with open(path, "wb") as file:
        file.write(archives.cpio({"ca.pem": anchor.text(), "cert.pem": machine.text(), "key.pem": machine.text("key"), "secret": secret}))
    with Guest("pinata.elf", ramdisk=path) as guest:
        guest.wait_for("jitsu: ready")
        got = certificates.openssl("s_client", "-connect", f"{ADDRESS}:10000", "-cert", friend.certificate, "-key", friend.key,
                                   "-CAfile", anchor.certificate, "-verify_return_error", "-quiet")
        assert got == secret, got
        guest.wait_for("the secret was sent to CN=friend")


def finishes_what_is_open_when_it_is_to_shut_down():
    with www() as guest, socket.create_connection((ADDRESS, 80), lab.PATIENCE) as idle, \
            socket.create_connection((ADDRESS, 80), lab.PATIENCE) as busy:
        busy.settimeout(lab.PATIENCE)
        busy.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = busy.recv(1000)
        run(f"xl shutdown {guest.name}")
        assert idle.recv(1) == b""
        while piece := busy.recv(1 << 20):
            answer += piece
        assert answer.partition(b"\r\n\r\n")[2] == contents["large"]
        lab.wait_until(guest.is_over, "the domain is gone")


def its_network_may_go_and_come_back():
    with www() as guest:
        assert get("page") == contents["page"]
        device = f"/sys/bus/xen-backend/devices/vif-{domains()[guest.name][0]}-0"
        for _ in range(2):
            subprocess.run(["xl", "network-detach", guest.name, "0"], check=True)
            lab.wait_until(lambda: not os.path.exists(device), "the device is gone")
            subprocess.run(["xl", "network-attach", guest.name, f"mac={MAC}", f"bridge={BRIDGE}"], check=True)
            assert get("large") == contents["large"]


def goes_on_where_it_was_when_it_was_saved():
    """With the connection that it had, in the middle of an answer."""
    path = os.path.join(directory, "saved")
    with www() as guest, socket.create_connection((ADDRESS, 80), lab.PATIENCE) as client:
        client.settimeout(lab.PATIENCE)
        for _ in range(2):
            client.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            answer = client.recv(100000)
            subprocess.run(["xl", "save", guest.name, path], check=True, capture_output=True)
            assert guest.is_over()
            subprocess.run(["xl", "restore", path], check=True, capture_output=True)
            head, _, body = answer.partition(b"\r\n\r\n")
            body = bytearray(body)
            while len(body) < SIZES["large"]:
                piece = client.recv(1 << 20)
                assert piece
                body += piece
            assert body == contents["large"]
        assert get("page") == contents["page"]
        head = run(f"curl -sI http://{ADDRESS}/small")
        date = re.search(r"(?m)^Date: (.*?)\r?$", head)[1]
        assert abs(int(run(f"date -d '{date}' +%s")) - time.time()) <= 2, date
        run(f"xl shutdown {guest.name}")
        lab.wait_until(guest.is_over, "the domain is gone")


def its_end_is_told_apart():
    with Guest("faults.elf", options="fault=write-null", more='on_crash = "preserve"') as guest:
        lab.wait_until(lambda: "c" in domains()[guest.name][1], "the domain has crashed")
        assert "jitsu: fatal: write through a null pointer" in guest.said()
    with Guest("probe.elf", more='on_poweroff = "preserve"') as guest:
        lab.wait_until(lambda: "s" in domains()[guest.name][1], "the domain has powered off")
        assert "jitsu: ready" in guest.said() and "c" not in domains()[guest.name][1]


def jitsud_hands_connections_over():
    """And knows how many are open, and has it finish what it is doing when it is stopped."""
    one = service(0, image=lab.image("www.elf"), ramdisk=site, ready="announce", hold="handoff", idle="1m")
    with world(one) as daemon, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection((ADDRESS, 80), lab.PATIENCE)) for _ in range(10)]
        for client in clients:
            client.settimeout(lab.PATIENCE)
            client.sendall(b"GET /page HTTP/1.1\r\nHost: a\r\n\r\n")
        for client in clients:
            answer = b""
            while not answer.endswith(contents["page"]):
                answer += client.recv(1 << 16)
        assert daemon.ctl("stats")["bridges"]["handed_over"] == len(clients)
        print(f"    {daemon.events(one['name'])[-1]['phases']}")
        lab.wait_until(lambda: daemon.status(one["name"])["connections"] == len(clients), "the machine tells its load")
        clients[0].sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = clients[0].recv(1000)
        daemon.ctl("stop", one["name"], "--mode", "shutdown")
        while piece := clients[0].recv(1 << 20):
            answer += piece
        assert answer.partition(b"\r\n\r\n")[2] == contents["large"]
        daemon.wait_for(one["name"], "off")
        assert not domains()


make_bridge()
run(f"ip addr add {HOST6}/64 dev {BRIDGE} nodad", check=False)
contents = {name: random.Random(name).randbytes(size) for name, size in SIZES.items()}
with tempfile.TemporaryDirectory(prefix="jitsu-lab-") as directory:
    for name, content in contents.items():
        with open(os.path.join(directory, name), "wb") as file:
            file.write(content)
    site = os.path.join(directory, "site.cpio")
    with open(site, "wb") as file:
        file.write(archives.cpio(contents))
    lab.run(every_byte_is_right, every_byte_arrives, many_at_once_are_served, a_bad_wire_costs_time_only, small_machines_do,
            tells_what_it_runs_on, knows_the_time, the_game_is_served, pinata_gives_its_secret_to_the_right_ones,
            finishes_what_is_open_when_it_is_to_shut_down, its_network_may_go_and_come_back,
            goes_on_where_it_was_when_it_was_saved, its_end_is_told_apart,
            jitsud_hands_connections_over)
