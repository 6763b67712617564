"""A Debian kernel with nginx as a guest: what the images are compared with. Everything in it comes from Debian's packages, which
are downloaded and unpacked, not installed."""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import archives

KERNEL = "linux-image-cloud-amd64"  # names the package that has the kernel
PACKAGES = ["nginx", "nginx-common", "busybox-static", "libc6", "libcrypt1", "libpcre2-8-0", "libssl3", "zlib1g"]
MODULES = ["virtio_ring", "virtio", "virtio_mmio", "failover", "net_failover", "virtio_net"]  # in the order of loading

# Where it differs from the bundled images: Debian's kernel finds virtio-mmio devices through ACPI only, and measures its clock
# against a PIT.
MACHINE = "acpi=on,pit=on"
# The processor's own clock, which the emulator passes on as it is, and no protection of the kernel against its programs: as fast
# as it can be.
COMMAND_LINE = "console=ttyS0 quiet panic=-1 nokaslr mitigations=off tsc=reliable clocksource=tsc random.trust_cpu=on " \
    "tsc_early_khz={khz}"

EMPTY_DIRECTORIES = ["proc", "sys", "dev", "run", "tmp", "var/log/nginx", "var/lib/nginx", "usr/share/nginx"]

# By port: a file sent by the kernel, or read and written by nginx. The faster one counts.
PORTS = {"sendfile": 80, "no sendfile": 81}

INIT = """#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in {modules}; do insmod /modules/$module.ko || exec echo "jitsu: fatal: $module"; done
echo 4096 >/proc/sys/net/core/somaxconn
echo 0 >/proc/sys/net/ipv4/tcp_slow_start_after_idle
ip link set lo up
ip link set eth0 up
for word in $(cat /proc/cmdline); do
    case $word in
    address=*) ip addr add "${{word#address=}}" dev eth0 ;;
    esac
done
nginx || exec echo "jitsu: fatal: nginx"
echo "jitsu: ready"
exec sleep 1000000
"""

NGINX = """
user root;
worker_processes 1;
error_log /dev/null crit;
pid /run/nginx.pid;
events {{
    use epoll;
    worker_connections 4096;
    multi_accept on;
    accept_mutex off;
}}
http {{
    include /etc/nginx/mime.types;
    access_log off;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    keepalive_timeout 600;
    open_file_cache max=1000 inactive=1h;
    open_file_cache_valid 1h;
    open_file_cache_min_uses 1;
    server_tokens off;
    root /srv;
    server {{ listen {ports[sendfile]} backlog=4096; sendfile on; sendfile_max_chunk 0; }}
    server {{ listen {ports[no sendfile]} backlog=4096; sendfile off; output_buffers 2 256k; }}
}}
"""


def command_line(address):
    with open("/proc/cpuinfo") as file:
        megahertz = re.search(r"^cpu MHz\s*: ([\d.]+)", file.read(), re.MULTILINE)
    return COMMAND_LINE.format(khz=round(float(megahertz[1]) * 1000)) + f" address={address}"


def run(*command, cwd):
    subprocess.run(command, check=True, cwd=cwd, stdout=subprocess.DEVNULL)


def kernel_package():
    lines = subprocess.run(["apt-cache", "depends", KERNEL], check=True, capture_output=True, text=True).stdout.splitlines()
    return next(line.split()[-1] for line in lines if "Depends: linux-image-" in line)


def prepare(directory):
    """Downloads the packages by apt-get and leaves the kernel and unpacked files in `directory`."""
    os.makedirs(directory, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as downloads:
        run("apt-get", "download", "-o", "APT::Sandbox::User=root", kernel_package(), *PACKAGES, cwd=downloads)
        files = os.path.join(directory, "files")
        shutil.rmtree(files, ignore_errors=True)
        for package in glob.glob(os.path.join(downloads, "*.deb")):
            run("dpkg-deb", "-x", package, files, cwd=downloads)


def only(pattern):
    found = glob.glob(pattern, recursive=True)
    if not found:
        sys.exit(f"{pattern}: there is no such file; run with --prepare first")
    return found[0]


def kernel(directory):
    return only(os.path.join(directory, "files", "boot", "vmlinuz-*"))


def libraries(files):
    """The paths in the guest of the libraries that nginx is linked with, and where they are here."""
    found = {}
    needed = [only(f"{files}/usr/sbin/nginx")]
    for path in needed:
        listing = subprocess.run(["objdump", "-p", path], check=True, capture_output=True, text=True).stdout
        for line in listing.splitlines():
            name = line.split()[-1] if "NEEDED" in line else None
            if name and name not in found:
                found[name] = only(f"{files}/**/{name}")
                needed.append(found[name])
    return {("lib64/" if name.startswith("ld-") else "lib/") + name: path for name, path in found.items()}


def initramfs(directory, site):
    """An archive for the kernel to start from: busybox, nginx, and the site's files, {name: contents}."""
    files = os.path.join(directory, "files")
    parts = {"bin/busybox": only(f"{files}/bin/busybox"), "bin/nginx": only(f"{files}/usr/sbin/nginx"),
             "etc/nginx/mime.types": only(f"{files}/etc/nginx/mime.types"), **libraries(files)}
    parts.update({f"modules/{name}.ko": only(f"{files}/lib/modules/**/{name}.ko") for name in MODULES})
    content = {"init": INIT.format(modules=" ".join(MODULES)).encode(),
               "etc/nginx/nginx.conf": NGINX.format(ports=PORTS).encode(),
               "etc/passwd": b"root:x:0:0::/:/bin/sh\n", "etc/group": b"root:x:0:\n"}
    for name, path in parts.items():
        with open(path, "rb") as file:
            content[name] = file.read()
    content.update({f"srv/{name}": body for name, body in site.items()})
    directories = set(EMPTY_DIRECTORIES)
    for name in [*content, *EMPTY_DIRECTORIES]:
        while name := os.path.dirname(name):
            directories.add(name)
    return archives.cpio(content, sorted(directories), file_mode=0o755)
