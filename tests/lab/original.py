#!/usr/bin/env python3
"""The command line of the original Jitsu, with real machines: the same daemon, without a file."""

import os
import signal
import subprocess
import time

import lab
from typed import Original

lab.need("dig", "curl")

NAME = "www.lab.example"


def site(daemon):
    os.makedirs(os.path.join(daemon.directory, "site"))
    daemon.write("site/index.html", "summoned as in 2015")
    archive = os.path.join(daemon.directory, "site.cpio")
    subprocess.run([lab.JITSUCTL, "pack", os.path.join(daemon.directory, "site"), "-o", archive], check=True,
                   stdout=subprocess.DEVNULL)
    return archive


def qemu(*options, **more):
    """One that serves a site on a user network."""
    d = Original(["-x", "qemu", "-f", "0.0.0.0", *options], [{"dns": NAME, "ip": lab.loopback_address(1)}], **more)
    d.command[-1] += f",name=www,kernel={lab.image('www.elf')},ramdisk={site(d)},memory=16384,port=8080:80"
    return d


def page(daemon):
    return daemon.curl(f"http://{daemon.address(NAME)}:8080/")


def a_service_of_the_command_line_is_summoned():
    with qemu("-t", "17") as d:
        d.start()
        assert d.state(NAME) == "off"
        assert d.resolve(NAME) == [d.address(NAME)]
        assert " 17 " in d.dig("+noall", "+answer", NAME).replace("\t", " ")
        assert page(d) == b"summoned as in 2015"
        assert d.state(NAME) == "running"
        assert d.rcode("lab.example") == "REFUSED"
        assert os.path.exists(os.path.join(d.state_directory, "state.db"))


def a_domain_of_libvirt_is_summoned_before_the_answer():
    """The original's own way: the domain is started, then the answer waits a little."""
    with Original(["-c", "test:///default", "-f", "0.0.0.0", "-d", "0.3"],
                  [{"dns": NAME, "ip": lab.loopback_address(1), "name": "test"}]) as d:
        checked = subprocess.run([lab.JITSUD, "--check", *d.command], capture_output=True, text=True)
        if "built without backend 'libvirt'" in checked.stderr:
            print("(skipped: built without libvirt)")
            return
        d.start()
        lab.wait_until(lambda: d.state(NAME) == "running", "the test driver's only domain is found, which runs from the beginning")
        d.ctl("stop", NAME)
        d.wait_for(NAME, "off")
        begin = time.monotonic()
        assert d.resolve(NAME) == [d.address(NAME)]
        assert time.monotonic() - begin >= 0.3, "the answer did not wait"
        assert d.state(NAME) == "running"


def other_names_are_forwarded():
    lab.need("dnsmasq")
    port = lab.free_port()
    resolver = subprocess.Popen(["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
                                 "--conf-file=/dev/null", "--pid-file=", f"--port={port}", "--bind-interfaces",
                                 "--listen-address=127.0.0.1", "--user=", "--group=",
                                 "--host-record=mail.lab.example,192.0.2.25"])
    try:
        with Original(["-x", "qemu", "-f", "127.0.0.1", "-p", str(port)],
                      [{"dns": NAME, "ip": lab.loopback_address(1), "kernel": "/nonexistent/image"}]) as d:
            d.start()
            lab.wait_until(lambda: d.resolve("mail.lab.example") == ["192.0.2.25"], "the resolver answers")
            assert d.resolve(NAME) == [d.address(NAME)]
    finally:
        resolver.terminate()
        resolver.wait()


def there_is_nothing_to_reload():
    with qemu() as d:
        d.start()
        done = subprocess.run([lab.JITSUCTL, "-s", d.control, "reload"], capture_output=True, text=True)
        assert done.returncode == 1 and "nothing to read again" in done.stderr, done
        d.process.send_signal(signal.SIGHUP)
        lab.wait_until(lambda: d.log().count("asked to reload, but") == 2, "the log tells of the signal")
        assert d.resolve(NAME) == [d.address(NAME)]


def processes_that_are_started_again_know_it():
    with qemu() as d:
        d.start()
        assert page(d)
        machine = d.status(NAME)["pid"]
        for role in ("front", "keeper"):
            pid = d.role(role)
            os.kill(pid, signal.SIGKILL)
            lab.wait_until(lambda: d.role(role) != pid, f"there is a new {role}")
            lab.wait_until(d.answers_control, "the front answers")
            lab.wait_until(lambda: d.status(NAME).get("pid") == machine, "the machine is known")
            assert page(d) == b"summoned as in 2015"


def a_keeper_that_takes_the_supervisors_place_reads_it_again():
    with qemu(systemd=False) as d:
        d.start()
        assert page(d)
        machine = d.status(NAME)["pid"]
        front = d.role("front")
        d.process.kill()
        d.process.wait()
        lab.wait_until(lambda: front not in d.processes(), "the old front has gone")
        lab.wait_until(d.answers_control, "jitsud is back")
        lab.wait_until(lambda: d.status(NAME).get("pid") == machine, "the machine is known")
        assert page(d) == b"summoned as in 2015"


def what_is_printed_is_a_file_for_the_same():
    with qemu("-t", "17") as d:
        done = subprocess.run([lab.JITSUD, "--print-configuration", *d.command], capture_output=True, text=True,
                              check=True)
        d.write("jitsud.yaml", done.stdout)
        checked = subprocess.run([lab.JITSUD, "-t", "-c", d.file], capture_output=True, text=True)
        assert checked.returncode == 0 and "good: 1 zones, 1 services" in checked.stdout, checked
        checked = subprocess.run([lab.JITSUD, "--check", *d.command], capture_output=True, text=True)
        assert checked.returncode == 0 and "good: 1 zones, 1 services" in checked.stdout, checked
        d.command = None
        d.start()
        assert page(d) == b"summoned as in 2015"


def faults_name_what_was_typed():
    done = subprocess.run([lab.JITSUD, "-x", "qemu", "-m", "gently", "dns=a.example,ip=127.0.0.1,kernel=/k,colour=red"],
                          capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == "", done
    assert done.stderr.startswith("jitsud: -m: 'gently' is no mode"), done
    assert "\njitsud: dns=a.example,...: 'colour' is no key of backend 'qemu'" in done.stderr, done
    done = subprocess.run([lab.JITSUD, "-x", "qemu", "-q"], capture_output=True, text=True)
    assert done.returncode == 2, done


lab.run(a_service_of_the_command_line_is_summoned, a_domain_of_libvirt_is_summoned_before_the_answer,
        other_names_are_forwarded, there_is_nothing_to_reload, processes_that_are_started_again_know_it,
        a_keeper_that_takes_the_supervisors_place_reads_it_again, what_is_printed_is_a_file_for_the_same,
        faults_name_what_was_typed)
