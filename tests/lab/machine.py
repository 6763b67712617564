"""A bundled unikernel by itself, without jitsud: an image in a QEMU of its own, or a process. For tests of the unikernels
themselves."""

import json
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import lab

QEMU = os.environ.get("QEMU", "qemu-system-x86_64")


class Running:
    """What is the same for both. Use it in a `with` statement: nothing is left of it afterwards, whatever happened."""

    address = "127.0.0.1"  # where its ports are to be had

    def start(self, command, **settings):
        self.console = b""
        self.ports = []
        self.started = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **{
            "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **settings})

    def __enter__(self):
        return self

    def read_console(self):
        """Reads once what comes next. Returns False at the end."""
        if not select.select([self.process.stdout], [], [], lab.PATIENCE)[0]:
            raise AssertionError(f"nothing on the console for {lab.PATIENCE} s after:\n{self.console.decode(errors='replace')}")
        piece = os.read(self.process.stdout.fileno(), 65536)
        self.console += piece
        return bool(piece)

    def wait_for(self, line):
        """Waits until that line is on the console. Returns the seconds since the start."""
        while f"\n{line}\n".encode() not in b"\n" + self.console.replace(b"\r", b""):
            if not self.read_console():
                raise AssertionError(f"it ended ({self.process.wait()}) before '{line}':\n"
                                     f"{self.console.decode(errors='replace')}")
        return time.perf_counter() - self.started

    def wait_for_end(self):
        """Waits until it has ended by itself. Returns the exit status."""
        while self.read_console():
            pass
        return self.process.wait(lab.PATIENCE)

    def connect(self):
        """A connection to its port 80. QEMU's user network accepts only one at a time on each of its ports, so that many
        connections in a row take turns; and it tells connections apart by the client's port alone, which must therefore
        be one that no other client has: it is bound."""
        self.ports.append(self.ports.pop(0))
        connection = socket.create_connection((self.address, self.ports[-1]), lab.PATIENCE, source_address=(self.address, 0))
        connection.settimeout(lab.PATIENCE)
        return connection

    def processor_time(self):
        """Seconds of processor time that it (or its QEMU) has used."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Process(Running):
    """A running NAME-unix. Its port 80 is a free one of an address of its own."""

    kind = "unix"
    failure = 1  # the exit status

    def __init__(self, program, memory=None, options=None, more="", ramdisk=None, forwards=None, arguments=(), **settings):
        """`memory`: in MB; `options`: all of them in place of an address and a port; `more`: those besides; `ramdisk`: a
        file; `arguments`: as they are. `forwards` is for machines."""
        self.address = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{random.randint(1, 254)}"
        self.port = 8080
        if options is None:
            options = f"ip={self.address} port={self.port}"
        self.start([program, *options.split(), *more.split(), *([f"memory={memory}M"] if memory else []),
                    *([f"module={ramdisk}"] if ramdisk else []), *arguments], **settings)

    def __exit__(self, kind, *_):
        """Ends it in an orderly way, so that it tells of memory that it has lost, and says if it was not in order."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if kind else signal.SIGTERM)
            if not kind:
                self.wait_for_end()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        complaints = (b"Sanitizer", b"runtime error:")
        if not kind and (any(complaint in self.console for complaint in complaints) or self.process.returncode < 0):
            raise AssertionError(f"exit status {self.process.returncode}:\n{self.console.decode(errors='replace')}")

    def wait_until_ready(self):
        """Waits for the announcement."""
        seconds = self.wait_for("jitsu: ready")
        self.ports = [self.port]
        return seconds

    def descriptors(self):
        """How many descriptors it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Machine(Running):
    """A running image."""

    kind = "pvh"
    failure = 33  # the exit status of QEMU

    def __init__(self, image, memory=8, options="ip=10.0.2.15/24 gw=10.0.2.2", more="", ramdisk=None, network="user",
                 forwards=1, extra=()):
        """`memory`: in MB; `more`: options besides; `forwards`: how many of the host's ports lead to its port 80."""
        lab.need(QEMU)
        self.image = image
        self.directory = tempfile.mkdtemp(prefix="jitsu-lab-")
        control = os.path.join(self.directory, "qmp")
        command = [QEMU, "-M", "microvm,acpi=off,pic=off,pit=off,rtc=off,isa-serial=on,x-option-roms=off",
                   "-accel", "tcg", "-m", str(memory), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                   "-device", "isa-debug-exit,iobase=0x501,iosize=4", "-serial", "stdio",
                   "-qmp", f"unix:{control},server=on,wait=off",
                   "-kernel", image, "-append", f"{options} {more}".strip(), *(["-initrd", ramdisk] if ramdisk else []), *extra]
        if network == "user":
            command += ["-netdev", "user,id=net" + ",hostfwd=tcp:127.0.0.1:0-:80" * forwards]
        elif network:
            command += ["-netdev", network]
        if network:
            command += ["-device", "virtio-net-device,netdev=net"]
        self.start(command)
        self.control = None
        self.control_path = control

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if self.control:
            self.control.close()
        shutil.rmtree(self.directory, ignore_errors=True)

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

    def free_memory(self):
        """Bytes of its heap that are free, read from its memory."""
        symbols = subprocess.run(["nm", self.image + ".debug"], capture_output=True, text=True, check=True).stdout
        address = re.search(r"^([0-9a-f]+) \w free_bytes(\.\w+)*$", symbols, re.MULTILINE).group(1)
        word = self.command("human-monitor-command", **{"command-line": f"xp /gx 0x{address}"})
        return int(word.rpartition("0x")[2], 16)

    def wait_until_ready(self):
        """Waits for the announcement, and finds the ports at which the machine's port 80 is to be had."""
        seconds = self.wait_for("jitsu: ready")
        text = self.command("human-monitor-command", **{"command-line": "info usernet"})
        self.ports = [int(port) for port in re.findall(r"TCP\[HOST_FORWARD\]\s+\d+\s+127\.0\.0\.1\s+(\d+)", text)]
        return seconds


def on_each_platform(name, *tests):
    """Each test once with the image NAME.elf and once with the process NAME-unix: it gets a function that makes one, with the
    settings that both have."""
    def image(**settings):
        return Machine(lab.image(f"{name}.elf"), **settings)

    def process(**settings):
        return Process(lab.image(f"{name}-unix"), **settings)

    def on(platform, test):
        def run():
            test(platform)
        run.__name__ = f"{test.__name__}_as_{platform.__name__}"
        return run
    return [on(platform, test) for test in tests for platform in (image, process)]
