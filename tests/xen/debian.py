#!/usr/bin/env python3
"""Debian's kernel as a guest of Xen: what real systems do."""

import os
import socket
import subprocess
import time

from world import *

COMMANDS = """
nc -ll -p 7 -e /bin/cat &
echo guest: serving
exec httpd -f -p 80 -h /srv
"""
FILES = {"srv/index.html": b"It works.\n", "sbin/poweroff": b"#!/bin/sh\nexec busybox poweroff -f\n"}
CMDLINE = "console=hvc0 quiet panic=-1 rdinit=/init address=%{address}/%{prefixlen}"

# The kernel as it is in memory, which saves it the time of unpacking itself; by itself it would be a PVH guest.
XL = """type = "pv"
kernel = "{kernel}"
ramdisk = "{directory}/ramdisk"
extra = "{extra}"
memory = 96
vif = [ "bridge=br0" ]
{more}
"""
ECHO = 7
TO_DISK = {"suspend-to": "disk"}


def guest(number, **settings):
    return service(number, **{"xl": "guest.cfg", "memory": "96M", "ready": "tcp:80", "ports": [80, ECHO], "hold": "delay", **settings})


@contextlib.contextmanager
def debian(*services, more="", **settings):
    with world(*services, files={"ramdisk": ramdisk(COMMANDS, FILES)}, start=False, **settings) as daemon:
        daemon.write("guest.cfg", XL.format(kernel=os.path.join(DOM0, "vmlinux"), directory=daemon.directory, extra=CMDLINE,
                                            more=more))
        daemon.start()
        yield daemon


def fetch(one, path="/", body=b"It works.\n"):
    with socket.create_connection((one["address"], 80), timeout=lab.PATIENCE) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(body), answer


def repeat(connection, text):
    """What is said is said back."""
    connection.sendall(text)
    answer = b""
    while len(answer) < len(text):
        piece = connection.recv(1 << 16)
        assert piece, f"the connection ended after {answer}"
        answer += piece
    assert answer == text, answer


def prints(daemon, one, text):
    """Whether that line is what jitsuctl tells of its console, now or later."""
    command = [lab.JITSUCTL, "-s", daemon.control, "console", one["name"]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as console:
        found = any(line.strip() == text for line in console.stdout)
        console.kill()
    return found


def a_pv_guest_is_summoned_by_a_query_and_serves_who_waited():
    one = guest(1, idle="5s")
    with debian(one) as daemon:
        assert daemon.resolve(one["name"]) == [one["address"]]
        fetch(one)
        assert daemon.state(one["name"]) == "running"
        assert [event["cause"] for event in daemon.events(one["name"]) if event["to"] == "starting"] == ["dns"]
        assert prints(daemon, one, "guest: serving")
        daemon.wait_for(one["name"], "off")
        assert not domains()


def it_is_saved_to_a_file_and_resumed_with_its_connections():
    one = guest(1, stop="suspend", **TO_DISK, **{"idle-connections": "ignore"})
    with debian(one) as daemon:
        with socket.create_connection((one["address"], ECHO), timeout=lab.PATIENCE) as connection:
            repeat(connection, b"before")
            daemon.ctl("stop", one["name"])
            daemon.wait_for(one["name"], "suspended")
            assert not domains()
            saved = os.path.join(daemon.state_directory, "xen")
            assert [os.path.getsize(os.path.join(saved, name)) > 16 << 20 for name in os.listdir(saved)] == [True]
            daemon.stop()
            daemon.start()
            assert daemon.state(one["name"]) == "suspended"
            begin = time.monotonic()
            repeat(connection, b"after")
            print(f"a saved machine answered after {time.monotonic() - begin:.2f} s")
            assert daemon.state(one["name"]) == "running" and not os.listdir(saved)
            fetch(one)


def what_is_left_of_one_that_cannot_be_resumed_is_gone():
    one = guest(1, stop="suspend", **TO_DISK)
    with debian(one) as daemon:
        fetch(one)
        daemon.ctl("stop", one["name"])
        daemon.wait_for(one["name"], "suspended")
        saved = os.path.join(daemon.state_directory, "xen")
        os.truncate(os.path.join(saved, os.listdir(saved)[0]), 1 << 20)
        daemon.ctl("start", one["name"], check=False)
        daemon.wait_for(one["name"], "failed")
        assert "it cannot be resumed: " in daemon.status(one["name"])["error"]
        lab.wait_until(lambda: not domains() and not os.listdir(saved), "nothing is left")
        lab.wait_until(lambda: daemon.rcode(one["name"], "A") == "NOERROR", "it may be started again")
        fetch(one)


def a_pvh_guest_has_its_disk():
    content = b"on the disk " * 1000
    commands = """
insmod /modules/xen-blkfront.ko
head -c 12 /dev/xvda >/srv/begin
echo changed | dd of=/dev/xvda conv=notrunc,fsync
""" + COMMANDS
    one = service(1, image=os.path.join(DOM0, "vmlinux"), ramdisk="ramdisk", memory="96M", cmdline=CMDLINE, ready="tcp:80",
                  ports=[80], hold="delay", disks=[{"path": "disk"}], **{"boot-timeout": "4m"})
    files = {"ramdisk": ramdisk(commands, FILES), "disk": content.ljust(1 << 20, b"\0")}
    with world(one, files=files) as daemon:
        daemon.ctl("start", one["name"])
        daemon.ctl("wait", one["name"], "--for", "running", "--timeout", "240")
        fetch(one, "/begin", b"on the disk ")
        assert '"type": "pvh"' in run(f"xl list -l {daemon.status(one['name'])['domain']}")
        daemon.ctl("stop", one["name"])
        daemon.wait_for(one["name"], "off")
        with open(os.path.join(daemon.directory, "disk"), "rb") as disk:
            assert disk.read(8) == b"changed\n"
        assert not run("losetup -a")


def one_that_cannot_be_written_is_destroyed():
    one = guest(1, stop="suspend", **TO_DISK)
    with debian(one) as daemon:
        fetch(one)
        saved = os.path.join(daemon.state_directory, "xen")
        run(f"mount -t tmpfs -o size=8m,mode=700 small {saved}")
        try:
            daemon.stop()
            daemon.start()
            daemon.ctl("stop", one["name"])
            daemon.wait_for(one["name"], "off")
            assert not domains() and not os.listdir(saved)
            assert "cannot be suspended: " in daemon.log() and "No space left on device" in daemon.log()
        finally:
            daemon.stop()
            run(f"umount {saved}")


def it_shuts_down_when_it_is_asked_to():
    one = guest(1, stop="shutdown", **{"shutdown-timeout": "60s"})
    with debian(one) as daemon:
        fetch(one)
        begin = time.monotonic()
        daemon.ctl("stop", one["name"])
        daemon.wait_for(one["name"], "off")
        assert "not shut down in time" not in daemon.log() and time.monotonic() - begin < 60
        assert not domains()


lab.run(a_pv_guest_is_summoned_by_a_query_and_serves_who_waited, it_is_saved_to_a_file_and_resumed_with_its_connections,
        what_is_left_of_one_that_cannot_be_resumed_is_gone, one_that_cannot_be_written_is_destroyed, a_pvh_guest_has_its_disk,
        it_shuts_down_when_it_is_asked_to)
