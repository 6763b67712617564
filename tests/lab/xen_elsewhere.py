#!/usr/bin/env python3
"""Services of backend xen on a host that is no dom0: said when the configuration is checked and when one is to start; all else goes on."""

import os
import subprocess

import images
import lab

LAN = {"name": "lan", "type": "bridge", "bridge": "jitsu-none0", "prefix": "10.77.0.0/24"}
XEN = {"name": "xen.lab.example", "network": "lan", "address": "10.77.0.10", "backend": "xen", "accel": "auto", "memory": "16M"}
ELSEWHERE = "this is not dom0 of a running Xen"
GOOD = 'kernel = "/boot/vmlinuz"\nmemory = 16\n'
BAD = 'kernel = "vmlinuz"\nmemory = 16\non_reboot = "restart"\nusb = 1\n'


def check(daemon):
    return subprocess.run([lab.JITSUD, "-t", "-c", daemon.file], capture_output=True, text=True)


def a_check_warns_and_a_start_fails_with_the_reason():
    user = {"name": "user", "type": "user"}
    other = {"name": "other.lab.example", "network": "user", "image": lab.image("www.elf"), "ports": [8080]}
    with lab.Daemon(services=[{**XEN, "image": "wait.elf", "prewarm": 1}, other], networks=[LAN, user],
                    files={"wait.elf": images.kernel(images.HALT)}) as daemon:
        checked = check(daemon)
        assert checked.returncode == 0 and f"warning: backend xen, of 1 services: {ELSEWHERE}" in checked.stderr, checked
        daemon.ctl("start", XEN["name"], check=False)
        daemon.wait_for(XEN["name"], "failed")
        assert ELSEWHERE in daemon.status(XEN["name"])["error"], daemon.status(XEN["name"])
        lab.wait_until(lambda: "cannot prewarm a machine: " + ELSEWHERE in daemon.log(), "a spare fails, too")
        daemon.ctl("start", other["name"])
        daemon.wait_for(other["name"], "running")


def the_errors_of_an_xl_file_are_those_of_the_configuration():
    with lab.Daemon(services=[{**XEN, "xl": "a.cfg"}], networks=[LAN], files={"a.cfg": GOOD}, start=False) as daemon:
        checked = check(daemon)
        assert checked.returncode == 0, checked
        path = daemon.write("a.cfg", BAD)
        checked = check(daemon)
        assert checked.returncode == 1, checked
        for error in (f"{path}:4: jitsud does not know 'usb'", f"{path}:1: 'kernel' is 'vmlinuz'; expected an absolute path",
                      f"{path}:3: on_reboot is 'restart'"):
            assert error in checked.stderr, checked.stderr
        daemon.write("a.cfg", GOOD.replace("16", "17"))
        checked = check(daemon)
        assert checked.returncode == 1 and "memory is 17M, and 16M in jitsud.yaml" in checked.stderr, checked


lab.need_backend("xen")
if os.path.exists("/dev/xen/privcmd"):
    lab.skip("this is dom0 of a running Xen")
lab.run(a_check_warns_and_a_start_fails_with_the_reason, the_errors_of_an_xl_file_are_those_of_the_configuration)
