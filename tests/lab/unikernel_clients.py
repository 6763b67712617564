#!/usr/bin/env python3
"""www and clients that it cannot rely on: that vanish, do not read, never end, or are too many. It goes on serving others, and
gets its memory back."""

import contextlib
import os
import random
import resource
import shutil
import socket
import subprocess
import tempfile

import ethernet
import lab
from archives import cpio
from ethernet import ADDRESS4
from machine import Machine

PAGE = random.Random(1).randbytes(100)
LARGE = random.Random(2).randbytes(600000)
VANISHING = "10.9.0.77"
TCP_CLOSE = 7  # of the states in struct tcp_info


@contextlib.contextmanager
def www(more="idle=2", owed=0):
    """www in little memory, which it has back in the end, but for `owed` bytes."""
    with Machine(lab.image("www.elf"), memory=11, options=ethernet.OPTIONS, more=more, ramdisk=ramdisk, network=None, extra=[
            "-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no",
            "-device", f"virtio-net-device,netdev=net,mac={ethernet.MAC}"]) as machine:
        machine.wait_for("jitsu: ready")
        with connect() as connection:
            ask(connection, "page", "Connection: close\r\n")
            read_answer(connection)  # what remembers connections that are over is allocated
        is_served()
        before = machine.free_memory()
        yield machine
        lab.wait_until(lambda: machine.free_memory() >= before - owed, f"{before - owed} bytes are free again", 30)


def connect(source=ethernet.HOST4, buffer=None):
    connection = socket.socket()
    if buffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    connection.settimeout(lab.PATIENCE)
    connection.bind((source, 0))
    connection.connect((ADDRESS4, 80))
    return connection


def ask(connection, path, fields=""):
    connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode())


def is_served():
    for _ in range(20):
        assert ethernet.get(ADDRESS4, "/page") == PAGE


def read_answer(connection):
    """All of it, if the connection is not reset before it begins."""
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 20):
            answer += piece
    return answer


def lets_busy_clients_go_on_where_there_are_too_many():
    with www("idle=20"):
        clients = []
        for _ in range(500):
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                client = connect(buffer=16384)
                clients.append(client)
                ask(client, "large", "Connection: close\r\n")
        answers = []
        for client in clients:
            answers.append(read_answer(client))
            client.close()
        served = [answer for answer in answers if answer]
        print(f"    {len(served)} served, {500 - len(served)} refused")
        assert all(answer.endswith(b"\r\n\r\n" + LARGE) for answer in served), "an answer is cut"
        assert 100 <= len(served) <= 400, f"{len(served)} served of 500"
        is_served()


def ends_clients_that_do_not_read():
    """Whether their answer fits into what may be on its way or not."""
    with www():
        clients = [connect(buffer=16384) for _ in range(60)]
        for number, client in enumerate(clients):
            for _ in range(200 if number % 2 else 1):
                ask(client, "page" if number % 2 else "large")
        is_served()
        lab.wait_until(lambda: all(is_closed(client) for client in clients), "all are reset", 30)
        for client in clients:
            client.close()


def is_closed(connection):
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_CLOSE


def ends_clients_that_never_end():
    with www():
        clients = [connect() for _ in range(60)]
        for number, client in enumerate(clients):
            ask(client, "page", "Connection: close\r\n")
            if number % 2:
                client.shutdown(socket.SHUT_WR)
        is_served()
        for client in clients:
            assert read_answer(client).endswith(PAGE)
        kept = clients  # open until all memory is free again
    for client in kept:
        client.close()


def is_not_worn_out_by_clients_that_vanish():
    """Nothing that is sent to them is ever acknowledged. What is kept of those that were let go of is limited."""
    with www(owed=150000):
        vanished = []
        for _ in range(10):
            subprocess.run(f"ip addr add {VANISHING}/24 dev tap0".split(), check=True)
            clients = [connect(VANISHING) for _ in range(200)]
            for number, client in enumerate(clients):
                if number % 10 == 1:
                    client.sendall(b"GET /page HT")
                elif number % 10 == 2:
                    ask(client, "large")
                elif number % 10 == 3:
                    ask(client, "page", "Connection: close\r\n")
                elif number % 10 == 4:
                    ask(client, "large")
                    client.shutdown(socket.SHUT_WR)
            subprocess.run(f"ip addr del {VANISHING}/24 dev tap0".split(), check=True)
            vanished += clients
            is_served()
    for client in vanished:
        client.close()


ethernet.enter()
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, max(4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
directory = tempfile.mkdtemp(prefix="jitsu-lab-")
try:
    ramdisk = os.path.join(directory, "site.cpio")
    with open(ramdisk, "wb") as file:
        file.write(cpio({"page": PAGE, "large": LARGE}))
    lab.run(lets_busy_clients_go_on_where_there_are_too_many, ends_clients_that_do_not_read, ends_clients_that_never_end,
            is_not_worn_out_by_clients_that_vanish)
finally:
    shutil.rmtree(directory, ignore_errors=True)
