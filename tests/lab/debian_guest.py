"""A guest that nobody here wrote: Debian's kernel with a RAM disk of busybox, both from Debian's packages, which are fetched by
apt-get and unpacked, not installed."""

import contextlib
import glob
import os
import re
import shutil
import subprocess
import tempfile

import archives
import lab

KERNEL = "linux-image-cloud-amd64"  # names the package that has the kernel
BUSYBOX = "busybox-static"
MODULES = ["virtio_ring", "virtio", "virtio_mmio", "failover", "net_failover", "virtio_net"]  # in the order of loading

# The processor's own clock, which the emulator passes on as it is, and no protection of the kernel against its programs: as fast
# as it can be.
COMMAND_LINE = "console=ttyS0 quiet panic=-1 nokaslr mitigations=off tsc=reliable clocksource=tsc random.trust_cpu=on " \
    "tsc_early_khz={khz}"

# Up to its network and the service's own commands.
INIT = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in {modules}; do insmod /modules/$module.ko || exec echo "jitsu: fatal: $module"; done
ip link set lo up
echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
ip link set eth0 up
for word in $(cat /proc/cmdline); do
    case $word in
    address=*) ip addr add "${{word#address=}}" dev eth0 ;;
    gateway=*:*) ip -6 route add default via "${{word#gateway=}}" ;;
    gateway=*) ip route add default via "${{word#gateway=}}" ;;
    esac
done
{commands}
"""


def command_line():
    with open("/proc/cpuinfo") as file:
        megahertz = re.search(r"^cpu MHz\s*: ([\d.]+)", file.read(), re.MULTILINE)
    return COMMAND_LINE.format(khz=round(float(megahertz[1]) * 1000))


class Packages:
    """Debian's packages, unpacked in a directory that is kept for the next test; fetched if they are not there."""

    def __init__(self, directory, packages=(BUSYBOX,)):
        self.files = os.path.join(directory, "files")
        self.apt = ["-qq", "-o", "APT::Sandbox::User=root"]
        if os.path.exists(self.files):
            return
        os.makedirs(directory, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=directory) as scratch:
            self.fetch(scratch, packages)
            unpacked = os.path.join(scratch, "files")
            for package in glob.glob(os.path.join(scratch, "*.deb")):
                subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
            with contextlib.suppress(OSError):  # another test was faster
                os.rename(unpacked, self.files)

    def fetch(self, directory, packages):
        """By the machine's own lists of packages, or, if there are none or they are old, by new ones."""
        try:
            self.download(directory, packages)
        except subprocess.CalledProcessError:
            for part in "lists/partial", "cache/archives/partial":
                os.makedirs(os.path.join(directory, part))
            self.apt += ["-o", f"Dir::State::lists={directory}/lists", "-o", f"Dir::Cache={directory}/cache"]
            subprocess.run(["apt-get", *self.apt, "update"], check=True, capture_output=True, text=True)
            self.download(directory, packages)

    def download(self, directory, packages):
        lines = subprocess.run(["apt-cache", *self.apt, "depends", KERNEL], check=True, capture_output=True, text=True).stdout
        kernel = re.findall(r"Depends: (linux-image-\S+)", lines)[:1]
        subprocess.run(["apt-get", *self.apt, "download", *kernel, *packages], check=True, capture_output=True, text=True, cwd=directory)

    def find(self, pattern):
        return glob.glob(os.path.join(self.files, pattern), recursive=True)[0]

    def kernel(self):
        return self.find("boot/vmlinuz-*")

    def ramdisk(self, commands, files, empty_directories=()):
        """An archive for the kernel to start from, with these files, {name: contents}, that runs these commands of the shell."""
        content = {"init": INIT.format(modules=" ".join(MODULES), commands=commands).encode(), **files}
        for name, path in {"bin/busybox": self.find("bin/busybox"),
                           **{f"modules/{name}.ko": self.find(f"lib/modules/**/{name}.ko") for name in MODULES}}.items():
            with open(path, "rb") as file:
                content[name] = file.read()
        directories = {"proc", "sys", "dev", "tmp", *empty_directories}
        for name in [*content, *empty_directories]:
            while name := os.path.dirname(name):
                directories.add(name)
        return archives.cpio(content, sorted(directories), file_mode=0o755)


def packages():
    """Those of the guest; skips the test where they cannot be had."""
    for program in "apt-get", "apt-cache", "dpkg-deb":
        lab.need(program)
    try:
        return Packages(os.path.abspath(os.environ.get("DEBIAN_GUEST", "debian-guest")))
    except (subprocess.CalledProcessError, OSError) as failure:
        lab.skip(f"Debian's packages of a kernel and busybox cannot be fetched: {getattr(failure, 'stderr', None) or failure}")
