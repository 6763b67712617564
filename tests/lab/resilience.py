#!/usr/bin/env python3
"""Any process of jitsud may be killed, and jitsud be restarted: DNS comes back, no machine is lost or started twice, counters
are kept."""

import os
import signal
import socket

import lab

lab.need("qemu-system-x86_64", "dig", "curl")
WWW = {"name": "www.lab.example", "ports": [80], "image": lab.image("www.elf"), "memory": "16M"}
OTHER = {**WWW, "name": "other.lab.example"}


def running(daemon):
    """Starts the first service's machine; returns its pid."""
    daemon.curl(f"http://{daemon.address(WWW['name'])}/")
    return daemon.status(WWW["name"])["pid"]


def assert_same_machine(daemon, pid):
    lab.wait_until(lambda: lab.state_of(pid) not in ("Z", "gone"), "the machine still runs", 1)
    lab.wait_until(lambda: daemon.answers_control() and daemon.state(WWW["name"]) == "running", "the machine is adopted")
    assert daemon.status(WWW["name"])["pid"] == pid
    assert daemon.curl(f"http://{daemon.address(WWW['name'])}/")
    assert daemon.machines(WWW["name"]) == [pid], daemon.machines()
    assert daemon.resolve(WWW["name"]) == [daemon.address(WWW["name"])]


def assert_able(daemon):
    """New machines start, and all of them stop."""
    daemon.curl(f"http://{daemon.address(OTHER['name'])}/")
    for service in (WWW, OTHER):
        daemon.ctl("stop", service["name"])
        daemon.wait_for(service["name"], "off")
    lab.wait_until(lambda: not daemon.machines(), "no machine is left")


def a_killed_keeper_is_replaced_while_connections_go_on():
    with lab.Daemon(services=[WWW, OTHER]) as daemon:
        pid = running(daemon)
        keeper = daemon.role("keeper")
        with socket.create_connection((daemon.address(WWW["name"]), 80)) as connection:
            os.kill(keeper, signal.SIGKILL)
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert connection.recv(15).startswith(b"HTTP/1.1 200")
        assert daemon.resolve(WWW["name"])
        lab.wait_until(lambda: daemon.role("keeper") != keeper, "there is a new keeper")
        assert_same_machine(daemon, pid)
        assert_able(daemon)


def a_killed_front_is_replaced_and_adopts():
    with lab.Daemon(services=[WWW, OTHER]) as daemon:
        pid = running(daemon)
        front = daemon.role("front")
        os.kill(front, signal.SIGKILL)
        lab.wait_until(lambda: daemon.role("front") != front, "there is a new front")
        assert_same_machine(daemon, pid)
        assert daemon.status(WWW["name"])["starts"] == 1
        assert_able(daemon)


def both_killed_at_once_come_back():
    with lab.Daemon(services=[WWW, OTHER]) as daemon:
        pid = running(daemon)
        front, keeper = daemon.role("front"), daemon.role("keeper")
        os.kill(front, signal.SIGKILL)
        os.kill(keeper, signal.SIGKILL)
        lab.wait_until(lambda: daemon.role("front") != front and daemon.role("keeper") != keeper, "both are new")
        assert_same_machine(daemon, pid)
        assert_able(daemon)


def a_killed_supervisor_is_replaced_by_the_keeper():
    with lab.Daemon(services=[WWW, OTHER], systemd=False) as daemon:
        pid = running(daemon)
        front = daemon.role("front")
        daemon.process.kill()
        daemon.process.wait()
        lab.wait_until(lambda: front not in daemon.processes(), "the old front has gone")
        assert_same_machine(daemon, pid)
        assert_able(daemon)


def a_restart_adopts_machines_and_keeps_counters():
    with lab.Daemon(services=[WWW, OTHER]) as daemon:
        pid = running(daemon)
        before = daemon.status(WWW["name"])
        assert daemon.stop() == 0
        assert daemon.processes() == [pid], "the machine alone is left"
        daemon.start()
        assert_same_machine(daemon, pid)
        after = daemon.status(WWW["name"])
        assert after["starts"] == before["starts"] == 1
        assert abs(after["started"] - before["started"]) < 2, (before, after)
        assert_able(daemon)
        assert daemon.stop() == 0
        daemon.start()
        assert daemon.status(WWW["name"])["starts"] == 1
        assert daemon.status(WWW["name"])["state"] == "off"


def a_keeper_killed_while_a_machine_starts_loses_nothing():
    with lab.Daemon(services=[WWW, OTHER]) as daemon:
        for _ in range(5):
            keeper = daemon.role("keeper")
            with socket.create_connection((daemon.address(WWW["name"]), 80)) as connection:
                lab.wait_until(daemon.machines, "the machine's process is there")
                os.kill(keeper, signal.SIGKILL)
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                connection.settimeout(lab.PATIENCE)
                assert connection.recv(15).startswith(b"HTTP/1.1 200")
            assert len(daemon.machines()) == 1, daemon.machines()
            daemon.ctl("stop", WWW["name"])
            daemon.wait_for(WWW["name"], "off")
            lab.wait_until(lambda: not daemon.machines(), "no machine is left")


def a_machine_that_died_meanwhile_is_off_or_failed_and_starts_again():
    with lab.Daemon(services=[WWW]) as daemon:
        pid = running(daemon)
        daemon.stop()
        os.kill(pid, signal.SIGKILL)
        daemon.start()
        assert daemon.state(WWW["name"]) in ("off", "failed")
        lab.wait_until(lambda: daemon.curl(f"http://{daemon.address(WWW['name'])}/", check=False).returncode == 0,
                       "it is served again")


def stop_machines_stops_them():
    with lab.Daemon(services=[WWW], arguments=["--stop-machines"]) as daemon:
        running(daemon)
        assert daemon.stop() == 0
        assert not daemon.processes()


lab.run(a_killed_keeper_is_replaced_while_connections_go_on, a_killed_front_is_replaced_and_adopts,
        both_killed_at_once_come_back, a_killed_supervisor_is_replaced_by_the_keeper,
        a_restart_adopts_machines_and_keeps_counters, a_keeper_killed_while_a_machine_starts_loses_nothing,
        a_machine_that_died_meanwhile_is_off_or_failed_and_starts_again, stop_machines_stops_them)
