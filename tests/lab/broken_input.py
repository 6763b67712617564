#!/usr/bin/env python3
"""Broken input: each a clear message, exit status or failed state, while the other services go on."""

import os
import signal
import socket
import subprocess

import lab

lab.need("qemu-system-x86_64", "dig", "curl")
WWW = {"name": "www.lab.example", "ports": [80], "image": lab.image("www.elf"), "memory": "16M"}
BAD = {**WWW, "name": "bad.lab.example"}


def assert_fails(service, *words):
    """The service fails with these words in its error; the other one is served all the while."""
    with lab.Daemon(services=[service, WWW]) as daemon:
        subprocess.run(["curl", "-sS", "--max-time", "30", f"http://{daemon.address(service['name'])}/"], capture_output=True)
        lab.wait_until(lambda: daemon.status(service["name"])["failures"] > 0, "its failure is noticed")
        status = daemon.status(service["name"])
        assert status["state"] in ("failed", "starting"), status
        for word in words:
            assert word in status["error"], status
        assert daemon.curl(f"http://{daemon.address(WWW['name'])}/")
        assert daemon.rcode(WWW["name"]) == "NOERROR"


def a_missing_image():
    assert_fails({**BAD, "image": "/nonexistent/image.elf"}, "/nonexistent/image.elf", "No such file")


def an_image_that_is_not_a_kernel():
    assert_fails({**BAD, "image": "/bin/true"}, "/bin/true", "PVH")


def an_image_that_ends_before_it_is_ready():
    assert_fails({**BAD, "image": lab.image("probe.elf"), "ready": "console:never said"}, "powered itself off")


def an_image_that_ends_after_it_was_ready():
    assert_fails({**BAD, "image": lab.image("probe.elf")}, "powered itself off")


def an_image_that_never_becomes_ready():
    assert_fails({**BAD, "ready": "console:never said", "boot-timeout": "500ms"}, "not ready within boot")


def an_image_that_does_not_fit_its_memory():
    assert_fails({**BAD, "memory": "1M"}, "memory")


def exit_status_and_log(daemon):
    done = subprocess.run([lab.JITSUD, "-f", "-c", daemon.file], capture_output=True, text=True, timeout=lab.PATIENCE)
    return done.returncode, done.stderr


def a_taken_dns_port_ends_the_start():
    with lab.Daemon(services=[WWW], start=False) as daemon, socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(daemon.dns_endpoint)
        status, log = exit_status_and_log(daemon)
        assert status == 1, (status, log)
        assert f"127.0.0.1@{daemon.dns_endpoint[1]}" in log and "in use" in log, log


def a_second_daemon_is_refused():
    with lab.Daemon(services=[WWW]) as daemon:
        other = os.path.join(daemon.directory, "other.yaml")
        with open(daemon.file) as file, open(other, "w") as copy:
            copy.write(file.read().replace(str(daemon.run_directory), daemon.directory + "/run2"))
        done = subprocess.run([lab.JITSUD, "-f", "-c", other], capture_output=True, text=True, timeout=lab.PATIENCE)
        assert done.returncode == 1 and "in use" in done.stderr, done


def a_taken_service_port_leaves_the_other_services():
    with lab.Daemon(services=[BAD, WWW], start=False) as daemon, socket.socket() as taken:
        taken.bind((daemon.address(BAD["name"]), 80))
        taken.listen()
        daemon.start()
        assert "bad.lab.example: cannot listen on" in daemon.log(), daemon.log()
        assert daemon.curl(f"http://{daemon.address(WWW['name'])}/")


def a_faulty_configuration_tells_every_fault():
    text = "server:\n  listen: 127.0.0.1\n  colour: red\nzones:\n  - {name: lab.example, ttl: soon}\n"
    with lab.Daemon(text=text, start=False) as daemon:
        for arguments in (["-t"], ["-f"]):
            done = subprocess.run([lab.JITSUD, *arguments, "-c", daemon.file], capture_output=True, text=True)
            lines = done.stderr.splitlines()
            assert done.returncode == 1 and len(lines) == 3, done
            for line, place in zip(lines, ("2:11", "3:3", "5:30")):
                assert line.startswith(f"{daemon.file}:{place}: "), (line, place)


def a_broken_reload_leaves_the_old_configuration():
    with lab.Daemon(services=[WWW]) as daemon:
        daemon.write("jitsud.yaml", "nonsense: true\n")
        done = subprocess.run([lab.JITSUCTL, "-s", daemon.control, "reload"], capture_output=True, text=True)
        assert done.returncode == 1 and "jitsud.yaml:1:1:" in done.stderr + done.stdout, done
        daemon.process.send_signal(signal.SIGHUP)
        lab.wait_until(lambda: daemon.log().count("the old configuration stays") == 2, "the second reload fails too")
        assert daemon.curl(f"http://{daemon.address(WWW['name'])}/")


lab.run(a_missing_image, an_image_that_is_not_a_kernel, an_image_that_ends_before_it_is_ready,
        an_image_that_ends_after_it_was_ready, an_image_that_never_becomes_ready, an_image_that_does_not_fit_its_memory,
        a_taken_dns_port_ends_the_start, a_second_daemon_is_refused, a_taken_service_port_leaves_the_other_services,
        a_faulty_configuration_tells_every_fault, a_broken_reload_leaves_the_old_configuration)
