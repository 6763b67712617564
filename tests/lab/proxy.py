#!/usr/bin/env python3
"""Connections through the proxy to a real machine: waiting, half-close, back-pressure, large transfers, resets."""

import hashlib
import os
import socket
import subprocess
import time

import lab

lab.need("qemu-system-x86_64", "curl")
NAME = "www.lab.example"
SERVICE = {"name": NAME, "ports": ["8080:80"], "image": lab.image("www.elf"), "memory": "128M"}


def daemon_with_file(size):
    """A daemon whose site holds `large`, of `size` random bytes; and their digest."""
    daemon = lab.Daemon(services=[SERVICE], start=False)
    site = os.path.join(daemon.directory, "site")
    os.mkdir(site)
    content = os.urandom(1 << 20) * (size >> 20)
    daemon.write("site/large", content)
    daemon.write("site/index.html", "<html>small</html>\n")
    archive = os.path.join(daemon.directory, "site.cpio")
    subprocess.run([lab.JITSUCTL, "pack", site, "-o", archive], check=True)
    daemon.settings["services"][0]["ramdisk"] = archive
    daemon.configure()
    daemon.start()
    return daemon, hashlib.sha256(content).hexdigest()


def a_request_that_is_half_closed_while_waiting_is_served():
    with lab.Daemon(services=[SERVICE]) as daemon:
        with socket.create_connection((daemon.address(NAME), 8080), timeout=lab.PATIENCE) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        assert answer.startswith(b"HTTP/1.1 200"), answer[:100]


def a_crowd_that_waits_for_one_machine_is_served():
    with lab.Daemon(services=[SERVICE]) as daemon:
        crowd = [socket.create_connection((daemon.address(NAME), 8080), timeout=lab.PATIENCE) for _ in range(50)]
        for connection in crowd:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for connection in crowd:
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
            connection.close()
        assert daemon.status(NAME)["starts"] == 1


def large_transfers_arrive_whole():
    daemon, digest = daemon_with_file(32 << 20)
    with daemon:
        for _ in range(8):
            body = daemon.curl(f"http://{daemon.address(NAME)}:8080/large")
            assert hashlib.sha256(body).hexdigest() == digest, len(body)


def a_slow_reader_takes_no_memory_and_gets_everything():
    daemon, digest = daemon_with_file(32 << 20)
    with daemon:
        front = daemon.role("front")

        def resident():
            with open(f"/proc/{front}/statm") as file:
                return int(file.read().split()[1]) * 4096

        daemon.curl(f"http://{daemon.address(NAME)}:8080/")
        before = resident()
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            connection.connect((daemon.address(NAME), 8080))
            connection.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            received = b""
            while len(received) < 1 << 20:
                received += connection.recv(65536)
                time.sleep(0.002)
            assert resident() - before < 8 << 20
            while chunk := connection.recv(1 << 20):
                received += chunk
        assert hashlib.sha256(received.partition(b"\r\n\r\n")[2]).hexdigest() == digest


def a_start_that_fails_resets_who_waits():
    with lab.Daemon(services=[{**SERVICE, "image": "/nonexistent/image.elf"}]) as daemon:
        try:
            with socket.create_connection((daemon.address(NAME), 8080), timeout=lab.PATIENCE) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
                assert not connection.recv(1)
                raise AssertionError("closed in order, not reset")
        except (ConnectionResetError, BrokenPipeError):
            pass  # as soon as it was accepted, at the latest now


def a_machine_that_dies_resets_its_connections():
    with lab.Daemon(services=[SERVICE]) as daemon:
        daemon.curl(f"http://{daemon.address(NAME)}:8080/")
        with socket.create_connection((daemon.address(NAME), 8080), timeout=lab.PATIENCE) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(15).startswith(b"HTTP/1.1 200")
            os.kill(daemon.status(NAME)["pid"], 9)
            try:
                while connection.recv(65536):
                    pass
            except ConnectionResetError:
                pass
        lab.wait_until(lambda: daemon.state(NAME) == "failed", "its death is noticed")
        assert "signal" in daemon.status(NAME)["error"].lower(), daemon.status(NAME)


lab.run(a_request_that_is_half_closed_while_waiting_is_served, a_crowd_that_waits_for_one_machine_is_served,
        large_transfers_arrive_whole, a_slow_reader_takes_no_memory_and_gets_everything,
        a_start_that_fails_resets_who_waits, a_machine_that_dies_resets_its_connections)
