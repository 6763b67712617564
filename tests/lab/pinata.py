#!/usr/bin/env python3
"""pinata served by jitsud: TLS through the proxy to a machine that is only being started, on all three ports, with nothing told
to it by hand; and the right time after a pause."""

import datetime
import os
import ssl
import subprocess
import tempfile
import time

import certificates
import lab
import unikernel_pinata as pinata
from unikernel_pinata import BACK, CLIENT, SECRET, SERVER, connect, context, everything, s_server, talk

lab.need("qemu-system-x86_64", "openssl")
NAME = "pinata.lab.example"


def daemon_with_secret(**settings):
    """A daemon whose service `address` is a piñata."""
    daemon = lab.Daemon(services=[{"name": NAME, "ports": [SERVER, BACK, CLIENT], "image": lab.image("pinata.elf"),
                                   "memory": "16M", **settings}], start=False)
    files = os.path.join(daemon.directory, "files")
    os.mkdir(files)
    for name, contents in pinata.contents(me, anchor).items():
        daemon.write(os.path.join("files", name), contents)
    archive = os.path.join(daemon.directory, "pinata.cpio")
    subprocess.run([lab.JITSUCTL, "pack", files, "-o", archive], check=True, capture_output=True)
    daemon.settings["services"][0]["ramdisk"] = archive
    daemon.configure()
    daemon.start()
    daemon.address = daemon.address(NAME)
    return daemon


def must_get_it(daemon, identity):
    with connect(daemon, SERVER) as raw:
        assert talk(raw, context(ssl.PROTOCOL_TLS_CLIENT, identity)) == (SECRET, None)


def gives_its_secret_on_all_ports():
    with daemon_with_secret() as daemon:
        must_get_it(daemon, friend)
        with connect(daemon, CLIENT) as raw:
            assert talk(raw, context(ssl.PROTOCOL_TLS_SERVER, friend), server_side=True) == (SECRET, None)
        with s_server("-cert", friend.certificate, "-key", friend.key, "-CAfile", anchor.certificate, "-Verify", "1") as server:
            with connect(daemon, BACK) as raw:
                everything(raw)
            assert server.stdout.read() == SECRET
        with connect(daemon, SERVER) as raw:
            received, error = talk(raw, context(ssl.PROTOCOL_TLS_CLIENT))
            assert received == b"" and error


def knows_the_time_after_a_pause():
    """By a certificate that becomes valid while the machine is suspended."""
    with daemon_with_secret(stop="suspend") as daemon:
        must_get_it(daemon, friend)
        pid = daemon.status(NAME)["pid"]
        daemon.ctl("stop", NAME)
        daemon.wait_for(NAME, "suspended")
        valid = int(time.time()) + 3
        late = anchor.sign("late", start=datetime.datetime.utcfromtimestamp(valid).strftime("%Y%m%d%H%M%SZ"))
        lab.wait_until(lambda: time.time() > valid + 1, "the certificate is valid")
        must_get_it(daemon, late)
        assert daemon.status(NAME)["pid"] == pid


with tempfile.TemporaryDirectory(prefix="jitsu-lab-") as directory:
    pinata.directory = directory
    anchor = pinata.anchor = certificates.self_signed(directory, "trust anchor")
    me = anchor.sign("pinata")
    friend = anchor.sign("friend")
    lab.run(gives_its_secret_on_all_ports, knows_the_time_after_a_pause)
