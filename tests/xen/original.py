#!/usr/bin/env python3
"""The original's own command line on the original's own hypervisor: a unikernel, started by libxl."""

import os
import subprocess

from world import *
from typed import Original  # found by what `world` has done

NAME, ADDRESS = "www.lab.example", "10.77.0.11"


def a_unikernel_is_summoned_by_its_name():
    make_bridge()
    try:
        with Original(["-x", "libxl", "-f", "0.0.0.0", "-t", "1"],
                      [{"dns": NAME, "ip": ADDRESS, "name": "www", "kernel": lab.image("www.elf"), "memory": "16384",
                        "nic": BRIDGE, "port": "80", "ramdisk": "site.cpio"}],
                      files={"site.cpio": archives.cpio({"index.html": b"Summoned by libxl.\n"})}) as daemon:
            daemon.command[-1] = daemon.command[-1].replace("site.cpio", os.path.join(daemon.directory, "site.cpio"))
            daemon.start()
            assert daemon.resolve(NAME) == [ADDRESS]
            assert daemon.curl(f"http://{ADDRESS}/") == b"Summoned by libxl.\n"
            assert daemon.events(NAME)[0]["cause"] == "dns"
            assert daemon.status(NAME)["backend"] == "xen" and len(domains()) == 1
            daemon.wait_for(NAME, "off")  # twice the TTL after its last use
            assert not domains()
    finally:
        for number, _ in domains().values():
            run(f"xl destroy {number}", check=False)


def what_is_not_supported_is_said():
    done = subprocess.run([lab.JITSUD, "-x", "libxl", f"dns={NAME},ip={ADDRESS},kernel=/k,nic={BRIDGE},script=vif-fast"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and "'script' is not supported" in done.stderr, done


if __name__ == "__main__":
    lab.run(a_unikernel_is_summoned_by_its_name, what_is_not_supported_is_said)
