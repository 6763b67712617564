#!/usr/bin/env python3
"""www under heavy traffic: a hundred thousand requests, on kept and on new connections, and less on a wire that loses,
doubles, delays and reorders frames. Every byte is right, nothing stalls, and no memory is lost."""

import contextlib
import os
import random
import shutil
import subprocess
import tempfile

import ethernet
import lab
from archives import cpio
from ethernet import ADDRESS4, ADDRESS6, get
from machine import Machine

PROGRAMS = os.path.dirname(lab.UNIKERNELS)
WWW = lab.image("www.elf")
WEIGHTS = {"small": 60, "page": 30, "empty": 5, "style": 20, "large": 1}
SIZES = {"small": 300, "page": 5000, "empty": 0, "style": 40000, "large": 700000}
LOSSY_HOST, LOSSY_ADDRESS = "10.10.0.1", "10.10.0.2"
DOWNLOADS, SEGMENT = 20, 1460
FORGETTING = 60  # seconds, at most, until no connection is left


def load(address, requests, connections, patience=10, seed=1):
    pages = [f"/{name}={os.path.join(directory, name)}:{weight}" for name, weight in WEIGHTS.items()]
    done = subprocess.run([os.path.join(PROGRAMS, "lab-load"), "-n", str(requests), "-c", str(connections), "-s", str(patience), "-S", str(seed), address, "80",
                           *pages], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    print(f"    {done.stdout.strip()}")
    assert int(done.stdout.split()[0]) >= requests, done.stdout


def machine_on(device, options=ethernet.OPTIONS, features=()):
    return Machine(WWW, memory=32, options=options, ramdisk=ramdisk, network=None, extra=[
        "-netdev", f"tap,id=net,ifname={device},script=no,downscript=no",
        "-device", ",".join([f"virtio-net-device,netdev=net,mac={ethernet.MAC}", *features])])


@contextlib.contextmanager
def lossy_wire(*arguments):
    """From tap2, which is this host's, to tap1, where a machine may be."""
    for command in "ip tuntap add tap1 mode tap", "ip link set tap1 up arp off addrgenmode none":
        subprocess.run(command.split(), check=True)
    with subprocess.Popen([os.path.join(PROGRAMS, "lab-lossy_wire"), "tap2", "tap1", *arguments], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as wire:
        try:
            assert wire.stdout.readline() == "ready\n", "the lossy wire is not ready"
            for command in f"ip addr add {LOSSY_HOST}/24 dev tap2", "ip link set tap2 up":
                subprocess.run(command.split(), check=True)
            yield wire
        finally:
            wire.stdin.close()
            print(f"    {wire.stdout.read().strip()}")
            wire.wait(lab.PATIENCE)
            subprocess.run("ip tuntap del tap1 mode tap".split(), check=True)


def survives_a_lossy_wire(name, *features):
    def test():
        with lossy_wire("-l", "10", "-d", "5", "-r", "100", "-t", "0.3"):
            with machine_on("tap1", f"ip={LOSSY_ADDRESS}/24", features) as machine:
                machine.wait_for("jitsu: ready")
                load(LOSSY_ADDRESS, 3000, 64, patience=60)
    test.__name__ = name
    return test


def duplicates():
    """Segments that this host has received twice so far."""
    with open("/proc/net/netstat") as file:
        names, values = [line.split() for line in file if line.startswith("TcpExt:")]
    counted = dict(zip(names, values))
    return int(counted["TCPDSACKOldSent"]) + int(counted["TCPDSACKOfoSent"])


def recovers_large_downloads_from_loss():
    """Every byte is right, and little more than what was lost goes again."""
    with lossy_wire("-l", "10", "-t", "0.3"):
        with machine_on("tap1", f"ip={LOSSY_ADDRESS}/24", ["host_tso6=off"]) as machine:
            machine.wait_for("jitsu: ready")
            before = duplicates()
            for _ in range(DOWNLOADS):
                assert get(LOSSY_ADDRESS, "/large") == contents["large"]
            again = duplicates() - before
            segments = DOWNLOADS * len(contents["large"]) // SEGMENT
            print(f"    {again} of {segments} segments came twice")
            assert again < segments / 10


def answers_a_hundred_thousand_requests():
    loaded.wait_for("jitsu: ready")
    load(ADDRESS4, 200, 8)  # what it keeps for good is allocated
    found["before"] = loaded.free_memory()
    load(ADDRESS4, 50000, 64)
    load(ADDRESS6, 30000, 64)
    load(ADDRESS4, 20000, 1)


def has_lost_no_memory():
    lab.wait_until(lambda: loaded.free_memory() >= found["before"], "as much memory is free as before", FORGETTING)


ethernet.enter()
directory = tempfile.mkdtemp(prefix="jitsu-lab-")
try:
    contents = {name: random.Random(name).randbytes(size) for name, size in SIZES.items()}
    for name, content in contents.items():
        with open(os.path.join(directory, name), "wb") as file:
            file.write(content)
    ramdisk = os.path.join(directory, "site.cpio")
    with open(ramdisk, "wb") as file:
        file.write(cpio(contents))
    found = {}
    with machine_on("tap0") as loaded:
        lab.run(answers_a_hundred_thousand_requests, survives_a_lossy_wire("survives_a_lossy_wire"),
                survives_a_lossy_wire("survives_a_lossy_wire_without_offload", "csum=off", "guest_csum=off", "gso=off"),
                recovers_large_downloads_from_loss, has_lost_no_memory)
finally:
    shutil.rmtree(directory, ignore_errors=True)
