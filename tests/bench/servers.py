"""Servers under test, the load on them, and what it costs them: shared by the benchmarks of DNS."""

import os
import re
import signal
import socket
import subprocess
import sys
import time

ZONE = "bench.example"

# A server and its load get different processors, where there are two: then neither displaces the other.
CPUS = sorted(os.sched_getaffinity(0))
SERVER_CPUS, LOAD_CPUS = (CPUS[:1], CPUS[1:]) if len(CPUS) > 1 else (CPUS, CPUS)


def tree(pid):
    """The process and all that it started."""
    pids = [pid]
    for each in pids:
        for task in tasks(each):
            try:
                with open(f"/proc/{each}/task/{task}/children") as children:
                    pids += [int(child) for child in children.read().split()]
            except OSError:
                pass
    return pids


def tasks(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def cpu_nanoseconds(pid):
    """CPU time of all threads of all processes of a server, to the nanosecond."""
    total = 0
    for each in tree(pid):
        for task in tasks(each):
            try:
                with open(f"/proc/{each}/task/{task}/schedstat") as schedstat:
                    total += int(schedstat.read().split()[0])
            except OSError:
                pass
    return total


def free_port():
    """A port of 127.0.0.1 that is free for UDP and TCP just now."""
    while True:
        udp, tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
        with udp, tcp:
            udp.bind(("127.0.0.1", 0))
            try:
                tcp.bind(udp.getsockname())
            except OSError:
                continue
            return udp.getsockname()[1]


def write(path, text):
    with open(path, "w") as file:
        file.write(text)
    return path


class Server:
    """One server under test, running in a directory of its own."""

    def __init__(self, name, directory, names):
        self.name = name
        self.port = free_port()
        self.directory = os.path.join(directory, name)
        os.mkdir(self.directory)
        self.names = names
        self.process = None

    def prepare(self):
        """Writes what the server reads; before start(), so that it is not part of the time that takes."""

    def path(self, *parts):
        return os.path.join(self.directory, *parts)

    def zone_file(self, records=True):
        text = f"$TTL 60\n@ IN SOA ns hostmaster 1 3600 600 1209600 60\n@ NS ns\nns A 127.0.0.1\n"
        if records:
            text += "".join(f"{name} A 127.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}\n" for i, name in enumerate(self.names))
        return write(self.path(f"{ZONE}.zone"), text)

    def start(self):
        self.log = open(self.path("log"), "w")
        self.process = subprocess.Popen(self.command(), stdout=self.log, stderr=self.log, cwd=self.directory,
                                        preexec_fn=lambda: os.sched_setaffinity(0, SERVER_CPUS))
        for _ in range(300):
            if self.answers():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        with open(self.path("log")) as log:
            sys.exit(f"{self.name} does not answer:\n{log.read()}")

    def answers(self):
        name = b"".join(bytes([len(label)]) + label.encode() for label in f"{self.names[0]}.{ZONE}".split("."))
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(0.2)
            try:
                client.connect(("127.0.0.1", self.port))
                client.send(b"\x12\x34\0\0\0\1\0\0\0\0\0\0" + name + b"\0\0\1\0\1")
                return client.recv(512)[:2] == b"\x12\x34"
            except OSError:
                return False

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()


class Ours(Server):
    def __init__(self, directory, names, program, name="ours"):
        super().__init__(name, directory, names)
        self.program = program

    def prepare(self):
        services = "".join(
            f"  - {{name: {name}.{ZONE}, network: loopback, address: 127.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}, ports: [8080:80], "
            f"image: /bin/true, memory: 16M, ttl: 60, summon: [packet]}}\n"
            for i, name in enumerate(self.names))
        write(self.path("jitsud.yaml"), f"""
server:
  listen: 127.0.0.1@{self.port}
  workers: 1
  run-directory: {self.path("run")}
  state-directory: {self.path("state")}
networks: [{{name: loopback, type: user}}]
zones: [{{name: {ZONE}, file: {self.zone_file(records=False)}, ttl: 60}}]
services:
{services}""")

    def command(self):
        file = self.path("jitsud.yaml")
        if os.path.basename(self.program) == "jitsud":
            return [self.program, "-f", "-c", file]
        return [self.program, file]


def measure(server, queries, seconds, rate):
    """One run of dnsperf: (nanoseconds of server CPU per answered query, answered queries per second)."""
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(server.port), "-d", queries, "-l", str(seconds), "-c", "4", "-q", "200"]
    if rate:
        command += ["-Q", str(rate)]
    before = cpu_nanoseconds(server.process.pid)
    output = subprocess.run(command, check=True, capture_output=True, text=True,
                            preexec_fn=lambda: os.sched_setaffinity(0, LOAD_CPUS)).stdout
    used = cpu_nanoseconds(server.process.pid) - before
    completed = int(re.search(r"Queries completed:\s+(\d+)", output).group(1))
    per_second = float(re.search(r"Queries per second:\s+([\d.]+)", output).group(1))
    return used / completed, per_second
