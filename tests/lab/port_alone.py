#!/usr/bin/env python3
"""The port on a real bridge, with a real unikernel and real clients that come before the machine exists, while it becomes
ready, and when it is killed."""

import os
import select
import socket
import subprocess
import threading
import time

import conduit
import ethernet
import lab
from machine import Machine

DELAY, HANDOFF = 0, 1
ANNOUNCE, TCP = 1, 3


class Port:
    """lab-port on the bridge. Use it in a `with` statement."""

    def __init__(self, hold, ready):
        program = os.path.join(os.path.dirname(os.environ["JITSUD"]), "lab-port")
        self.announces = ready == ANNOUNCE
        self.process = subprocess.Popen([program, "port0", str(hold), str(ready)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.text = b""
        self.wait("open")
        for command in "ip link set port0 addrgenmode none", "ip link set port0 master br0", "ip link set port0 up":
            subprocess.run(command.split(), check=True)
        lab.wait_until(conduit.Port.is_forwarding, "the bridge forwards to the port")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(lab.PATIENCE) == 0, "the port failed"
        self.process.stdout.close()

    def say(self, *lines):
        self.process.stdin.write("".join(line + "\n" for line in lines).encode())
        self.process.stdin.flush()

    def wait(self, word):
        """The rest of the next line that begins with the word; those before are forgotten."""
        while True:
            line, end, rest = self.text.partition(b"\n")
            if end:
                self.text = rest
                if line.decode().split()[0] == word:
                    return line.decode().split()[1:]
                continue
            assert select.select([self.process.stdout], [], [], lab.PATIENCE)[0], f"no '{word}' from the port for {lab.PATIENCE} s"
            piece = os.read(self.process.stdout.fileno(), 65536)
            assert piece, "the port has ended"
            self.text += piece

    def start(self):
        if self.announces:
            self.say(f"conduit {conduit.TOKEN.hex()}")
        self.say("starting")
        return Machine(lab.image("www.elf"), memory=32, options=conduit.OPTIONS, network=None, extra=[
            "-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no", "-device", f"virtio-net-device,netdev=net,mac={ethernet.MAC}"])

    def statistics(self):
        self.say("statistics")
        return [int(number) for number in self.wait("statistics")]


class Client(threading.Thread):
    """Sends `count` requests on one connection, begun after `pause` seconds."""

    def __init__(self, address, pause=0.0, count=1):
        super().__init__()
        self.address, self.pause, self.count = address, pause, count
        self.answers, self.failure = 0, None
        self.start()

    def run(self):
        time.sleep(self.pause)
        try:
            with socket.create_connection((self.address, 80), lab.PATIENCE) as connection:
                connection.settimeout(lab.PATIENCE)
                for number in range(self.count):
                    last = "Connection: close\r\n" if number == self.count - 1 else ""
                    connection.sendall(f"GET /{number} HTTP/1.1\r\nHost: a\r\nX-Padding: {'p' * 50}\r\n{last}\r\n".encode())
                answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
                self.answers = answer.count(b"HTTP/1.1 ")
        except OSError as failure:
            self.failure = failure


def cold_start(hold, ready):
    """Clients from before the machine's start until it is ready and longer: each gets all its answers."""
    with Port(hold, ready) as port:
        for turn in range(3):
            subprocess.run("ip neigh flush dev br0".split(), check=True)
            clients = [Client(ethernet.ADDRESS6 if number % 5 == 0 else ethernet.ADDRESS4, 0.002 * number, 1 + number % 2 * 100)
                       for number in range(30)]
            port.wait("wanted")
            with port.start():
                port.wait("ready")
                for client in clients:
                    client.join()
                    assert client.answers == client.count, f"{client.answers} of {client.count} answers; {client.failure}"
                lab.wait_until(lambda: port.statistics()[:2] == [0, 0], "nothing is held any more")
                _, _, handed_over, dropped = port.statistics()
                assert dropped == 0, f"{dropped} frames were dropped"
                assert bool(handed_over) == (hold == HANDOFF), f"{handed_over} connections were handed over"
                port.say("attract")
            port.say("gone")


def delays_until_the_machine_announces_itself():
    cold_start(DELAY, ANNOUNCE)


def delays_until_the_machine_accepts_connections():
    cold_start(DELAY, TCP)


def hands_connections_over():
    cold_start(HANDOFF, ANNOUNCE)


def survives_machines_that_die():
    """A machine that dies while it takes connections over: each client is served by the next one, or told at once."""
    with Port(HANDOFF, ANNOUNCE) as port:
        for turn in range(10):
            clients = [Client(ethernet.ADDRESS4, 0.001 * number, 1 + number % 2 * 30) for number in range(20)]
            port.wait("wanted")
            with port.start() as machine:
                if turn % 2:
                    port.wait("ready")
                time.sleep(0.002 * turn)  # any moment will do
                machine.process.kill()
                machine.process.wait()
            port.say("gone")
            with port.start():
                for client in clients:
                    client.join()
                    assert client.answers == client.count or isinstance(client.failure, ConnectionResetError) or not client.failure, \
                        f"{client.answers} of {client.count} answers; {client.failure}"
                port.say("attract")
            port.say("gone")


conduit.enter()
lab.run(delays_until_the_machine_announces_itself, delays_until_the_machine_accepts_connections, hands_connections_over,
        survives_machines_that_die)
