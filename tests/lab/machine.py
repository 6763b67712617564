"""A bundled image in a QEMU of its own, without jitsud: for tests of the images themselves."""

import json
import os
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time

import lab

QEMU = os.environ.get("QEMU", "qemu-system-x86_64")


class Machine:
    """A running image. Use it in a `with` statement: QEMU is gone afterwards, whatever happened."""

    def __init__(self, image, memory=8, options="ip=10.0.2.15/24 gw=10.0.2.2", ramdisk=None, network="user", forwards=1,
                 extra=()):
        lab.need(QEMU)
        self.console = b""
        self.ports = []
        self.directory = tempfile.mkdtemp(prefix="jitsu-lab-")
        control = os.path.join(self.directory, "qmp")
        command = [QEMU, "-M", "microvm,acpi=off,pic=off,pit=off,rtc=off,isa-serial=on,x-option-roms=off",
                   "-accel", "tcg", "-m", str(memory), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-device", "isa-debug-exit,iobase=0x501,iosize=4", "-serial", "stdio",
                   "-qmp", f"unix:{control},server=on,wait=off",
                   "-kernel", image, "-append", options, *(["-initrd", ramdisk] if ramdisk else []), *extra]
        if network == "user":
            command += ["-netdev", "user,id=net" + ",hostfwd=tcp:127.0.0.1:0-:80" * forwards]
        elif network:
            command += ["-netdev", network]
        if network:
            command += ["-device", "virtio-net-device,netdev=net"]
        self.started = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.control = None
        self.control_path = control

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if self.control:
            self.control.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def read_console(self):
        """Reads once what comes next. Returns False at the end."""
        if not select.select([self.process.stdout], [], [], lab.PATIENCE)[0]:
            raise AssertionError(f"nothing on the console for {lab.PATIENCE} s after:\n{self.console.decode(errors='replace')}")
        piece = os.read(self.process.stdout.fileno(), 65536)
        self.console += piece
        return bool(piece)

    def wait_for(self, line):
        """Waits until that line is on the console. Returns the seconds since the start of QEMU."""
        while f"\n{line}\n".encode() not in b"\n" + self.console.replace(b"\r", b""):
            if not self.read_console():
                raise AssertionError(f"QEMU ended ({self.process.wait()}) before '{line}':\n"
                                     f"{self.console.decode(errors='replace')}")
        return time.perf_counter() - self.started

    def wait_for_end(self):
        """Waits until the machine has ended. Returns QEMU's exit status."""
        while self.read_console():
            pass
        return self.process.wait(lab.PATIENCE)

    def command(self, name, **arguments):
        """Sends a QMP command and returns what it gave back."""
        if not self.control:
            self.control = socket.socket(socket.AF_UNIX)
            self.control.settimeout(lab.PATIENCE)
            lab.wait_until(lambda: os.path.exists(self.control_path), "QEMU's control socket")
            self.control.connect(self.control_path)
            self.answers = self.control.makefile("r")
            json.loads(self.answers.readline())
            self.command("qmp_capabilities")
        self.control.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
        while True:
            answer = json.loads(self.answers.readline())
            if "error" in answer:
                raise AssertionError(f"{name}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def wait_until_ready(self):
        """Waits for the announcement, and finds the ports at which the machine's port 80 is to be had."""
        seconds = self.wait_for("jitsu: ready")
        text = self.command("human-monitor-command", **{"command-line": "info usernet"})
        self.ports = [int(port) for port in re.findall(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", text)]
        return seconds

    def connect(self):
        """A connection to the machine's port 80. The user network accepts only one at a time on each of its ports, so that
        many connections in a row take turns; and it tells connections apart by the client's port alone, which must
        therefore be one that no other client has: it is bound."""
        self.ports.append(self.ports.pop(0))
        connection = socket.create_connection(("127.0.0.1", self.ports[-1]), lab.PATIENCE, source_address=("127.0.0.1", 0))
        connection.settimeout(lab.PATIENCE)
        return connection

    def processor_time(self):
        """Seconds of processor time that QEMU has used."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
