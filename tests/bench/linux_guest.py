"""A Debian kernel with nginx as a guest: what the images are compared with. Everything in it comes from Debian's packages, which
are downloaded and unpacked, not installed."""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lab"))
import debian_guest

PACKAGES = ["nginx", "nginx-common", "libc6", "libcrypt1", "libpcre2-8-0", "libssl3", "zlib1g"]

# Where it differs from the bundled images: Debian's kernel finds virtio-mmio devices through ACPI only, and measures its clock
# against a PIT.
MACHINE = "acpi=on,pit=on"

EMPTY_DIRECTORIES = ["run", "var/log/nginx", "var/lib/nginx", "usr/share/nginx"]

# By port: a file sent by the kernel, or read and written by nginx. The faster one counts.
PORTS = {"sendfile": 80, "no sendfile": 81}

COMMANDS = """
echo 4096 >/proc/sys/net/core/somaxconn
echo 0 >/proc/sys/net/ipv4/tcp_slow_start_after_idle
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
    return debian_guest.command_line() + f" address={address}"


def prepare(directory):
    """Downloads the packages by apt-get and leaves them unpacked in `directory`."""
    return debian_guest.Packages(directory, [debian_guest.BUSYBOX, *PACKAGES])


def prepared(directory):
    if not os.path.isdir(directory):
        sys.exit(f"{directory}: there is no such directory; run with --prepare first")
    return prepare(directory)


def kernel(directory):
    return prepared(directory).kernel()


def libraries(packages):
    """The paths in the guest of the libraries that nginx is linked with, and where they are here."""
    found = {}
    needed = [packages.find("usr/sbin/nginx")]
    for path in needed:
        listing = subprocess.run(["objdump", "-p", path], check=True, capture_output=True, text=True).stdout
        for line in listing.splitlines():
            name = line.split()[-1] if "NEEDED" in line else None
            if name and name not in found:
                found[name] = packages.find(f"**/{name}")
                needed.append(found[name])
    return {("lib64/" if name.startswith("ld-") else "lib/") + name: path for name, path in found.items()}


def initramfs(directory, site):
    """An archive for the kernel to start from: busybox, nginx, and the site's files, {name: contents}."""
    packages = prepared(directory)
    content = {"etc/nginx/nginx.conf": NGINX.format(ports=PORTS).encode(),
               "etc/passwd": b"root:x:0:0::/:/bin/sh\n", "etc/group": b"root:x:0:\n"}
    for name, path in {"bin/nginx": packages.find("usr/sbin/nginx"), "etc/nginx/mime.types": packages.find("etc/nginx/mime.types"),
                       **libraries(packages)}.items():
        with open(path, "rb") as file:
            content[name] = file.read()
    content.update({f"srv/{name}": body for name, body in site.items()})
    return packages.ramdisk(COMMANDS, content, EMPTY_DIRECTORIES)
