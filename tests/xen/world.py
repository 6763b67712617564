"""What the scenarios in dom0 share: a bridge, services of backend xen on it, and small guests."""

import contextlib
import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lab"))
import archives
import images
import lab

BRIDGE = "br0"
GATEWAY = "10.77.0.1"
LAN = {"name": "lan", "type": "bridge", "bridge": BRIDGE, "prefix": "10.77.0.0/24", "gateway": GATEWAY, "port-address": "10.77.0.2"}

# 32-bit code, as PVH enters a kernel: sti; again: hlt; jmp again.
WAIT = b"\xfb\xf4\xeb\xfd"

# What dom0 was made of: its kernel is the guests', too.
DOM0 = os.environ.get("XEN_DOM0", "xen-dom0")

GUEST = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in {modules}; do insmod /modules/$module.ko || echo "no module $module"; done
ip link set lo up
ip link set eth0 up
for word in $(cat /proc/cmdline); do
    case $word in
    address=*) ip addr add "${{word#address=}}" dev eth0 ;;
    esac
done
{commands}
"""
MODULES = ["xen-netfront", "xen-blkfront"]


def run(command, check=True):
    return subprocess.run(command, shell=True, check=check, capture_output=True, text=True).stdout


def service(number, **settings):
    """A service with a machine of its own on the bridge."""
    return {"name": f"machine{number}.lab.example", "network": "lan", "address": f"10.77.0.{10 + number}", "backend": "xen",
            "accel": "auto", "memory": "16M", "boot-timeout": "2m", **settings}


def make_bridge():
    if not os.path.exists(f"/sys/class/net/{BRIDGE}"):
        run(f"ip link add {BRIDGE} type bridge && ip addr add {GATEWAY}/24 dev {BRIDGE} && ip link set {BRIDGE} up")


def domains():
    """Those besides dom0 that there are: {name: (number, state)}."""
    lines = [line.split() for line in run("xl list").splitlines()[2:]]
    return {words[0]: (int(words[1]), words[4]) for words in lines}


@contextlib.contextmanager
def world(*services, **settings):
    """A jitsud with these services; no domain is left behind."""
    make_bridge()
    try:
        with lab.Daemon(services=services, networks=[LAN], **settings) as daemon:
            yield daemon
    finally:
        for number, _ in domains().values():
            run(f"xl destroy {number}", check=False)


def waiting_kernel(**options):
    """An image that does nothing for ever, and takes little time to begin with that."""
    return images.kernel(WAIT, **options)


# --- Debian's kernel as a guest ---

def kernel():
    return glob.glob(os.path.join(DOM0, "kernel", "boot", "vmlinuz-*"))[0]


def ramdisk(commands, files=None):
    """An archive for Debian's kernel to start from, with these files, {name: contents}, that runs these commands of the shell."""
    content = {"init": GUEST.format(modules=" ".join(MODULES), commands=commands).encode(), **(files or {})}
    parts = {"bin/busybox": os.path.join(DOM0, "tools", "bin", "busybox")}
    for module in MODULES:
        parts[f"modules/{module}.ko"] = glob.glob(os.path.join(DOM0, "kernel", "lib", "modules", "**", f"{module}.ko"),
                                                  recursive=True)[0]
    for name, path in parts.items():
        with open(path, "rb") as file:
            content[name] = file.read()
    directories = {"proc", "sys", "dev", "tmp"}
    for name in content:
        while name := os.path.dirname(name):
            directories.add(name)
    return archives.cpio(content, sorted(directories), file_mode=0o755)
