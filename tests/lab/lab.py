"""What the lab tests share: a real jitsud with a configuration of its own, real clients, and nothing left behind.

Binaries come from the environment: JITSUD, JITSUCTL, and UNIKERNELS, the directory of the bundled images; `make check` sets
them. A test is a script; it exits with 0 (passed), 77 (skipped, having said why) or anything else (failed).
"""

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

JITSUD = os.path.abspath(os.environ.get("JITSUD", "jitsud"))
JITSUCTL = os.path.abspath(os.environ.get("JITSUCTL", "jitsuctl"))
UNIKERNELS = os.path.abspath(os.environ.get("UNIKERNELS", "unikernels"))

# The longest that anything may take on the slowest machine: what is waited for comes much sooner, or never.
PATIENCE = 60

# curl's exit status where a connection is refused, or reset while it sends its request or awaits the answer.
REFUSED = (7, 55, 56)

PR_SET_CHILD_SUBREAPER = 36


def image(name):
    """The path of a bundled image; skips the test where the unikernels were not built."""
    path = os.path.join(UNIKERNELS, name)
    if not os.path.exists(path):
        skip(f"{path} is not there (configured with --disable-unikernels?)")
    return path


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            skip(f"{program} is not installed")


def need_backend(name):
    """Skips if jitsud was built without that backend, which the original's command line tells without a file."""
    service = {"libvirt": "dns=a.example,ip=127.0.0.1,name=a", "xen": "dns=a.example,ip=127.0.0.1,kernel=/k,nic=br0"}[name]
    checked = subprocess.run([JITSUD, "--check", "-x", {"xen": "libxl"}.get(name, name), service], capture_output=True, text=True)
    if f"was built without backend '{name}'" in checked.stderr:
        skip(f"this jitsud was built without backend '{name}'")


def free_port(address="127.0.0.1"):
    """A port of that address that is free for TCP and UDP just now."""
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
            stream.bind((address, 0))
            port = stream.getsockname()[1]
            with contextlib.suppress(OSError):
                datagram.bind((address, port))
                return port


def loopback_address(number):
    """An address of 127.0.0.0/8 of this test process's own, so that tests can run side by side."""
    base = os.getpid() % 64516 * 254 + number
    return f"127.{1 + (base >> 16) % 254}.{(base >> 8) & 255}.{base & 255}"


def wait_until(condition, what, patience=PATIENCE):
    """Polls for what no event tells; returns the condition's value."""
    deadline = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {patience} s in vain: {what}")
        time.sleep(0.01)


def command_line(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def parent_of(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    return 0


def state_of(pid):
    with contextlib.suppress(OSError):
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    return "gone"


def descendants(of):
    """All living processes below `of`."""
    parents = {int(entry): parent_of(entry) for entry in os.listdir("/proc") if entry.isdigit()}
    found = []
    frontier = {of}
    while frontier:
        frontier = {pid for pid, parent in parents.items() if parent in frontier}
        found += [pid for pid in frontier if state_of(pid) not in ("Z", "gone")]
    return found


class Daemon:
    """A running jitsud. Use it in a `with` statement: what it started is gone afterwards, whatever happened."""

    def __init__(self, services=(), zones=None, limits=None, server=None, networks=None, text=None,
                 arguments=(), files=None, start=True, systemd=True):
        # Orphans of the daemon become children of this process, where they are found and ended.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.directory = tempfile.mkdtemp(prefix="jitsu-lab-")
        os.chmod(self.directory, 0o755)
        self.run_directory = os.path.join(self.directory, "run")
        self.state_directory = os.path.join(self.directory, "state")
        self.file = os.path.join(self.directory, "jitsud.yaml")
        self.control = os.path.join(self.run_directory, "control.sock")
        self.log_path = os.path.join(self.directory, "log")
        self.arguments = list(arguments)
        self.command = None  # instead of the configuration's file
        self.systemd = systemd
        self.process = None
        self.dns_endpoint = ("127.0.0.1", free_port())
        for name, content in (files or {}).items():
            self.write(name, content)
        self.settings = {
            "server": {"listen": [f"127.0.0.1@{self.dns_endpoint[1]}"], "workers": 1,
                       "run-directory": self.run_directory, "state-directory": self.state_directory,
                       "log": "debug", **(server or {})},
            "zones": zones if zones is not None else [{"name": "bench.example"}, {"name": "lab.example"}],
            "services": [self.complete(number, service) for number, service in enumerate(services)],
        }
        if limits:
            self.settings["limits"] = limits
        if networks:
            self.settings["networks"] = networks
        self.text = text
        self.configure()
        if start:
            try:
                self.start()
            except BaseException:
                self.close()
                raise

    @staticmethod
    def complete(number, service):
        defaults = {"address": loopback_address(number + 1), "accel": "tcg", "idle": "10m"}
        if service.get("name", "").startswith("*."):
            del defaults["address"]
        return {**defaults, **service}

    def write(self, name, content):
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def configure(self):
        """Writes the configuration: JSON is YAML too."""
        self.write("jitsud.yaml", self.text or json.dumps(self.settings, indent=1))

    def start(self):
        """Starts jitsud and waits until it says READY=1, as it would to systemd."""
        environment = dict(os.environ)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind("")  # an abstract address of the kernel's choice
            environment["NOTIFY_SOCKET"] = "@" + notify.getsockname()[1:].decode()
            if not self.systemd:
                del environment["NOTIFY_SOCKET"]
            with open(self.log_path, "ab") as log:
                self.process = subprocess.Popen([JITSUD, *(self.command or ["-f", "-c", self.file]), *self.arguments],
                                                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                env=environment, start_new_session=True)
            if not self.systemd:
                wait_until(lambda: self.answers_control() or self.process.poll() is not None,
                           "jitsud answers on its control socket")
            else:
                notify.settimeout(0.05)
                deadline = time.monotonic() + PATIENCE
                message = b""
                while b"READY=1" not in message and self.process.poll() is None:
                    assert time.monotonic() < deadline, "jitsud never said READY=1"
                    with contextlib.suppress(TimeoutError):
                        message = notify.recv(4096)
        if self.process.poll() is not None:
            raise AssertionError(f"jitsud ended with status {self.process.returncode}:\n{self.log()}")

    def answers_control(self):
        return subprocess.run([JITSUCTL, "-s", self.control, "version"], capture_output=True).returncode == 0

    def stop(self, number=signal.SIGTERM):
        """Tells jitsud to stop and waits for it; machines go on. Returns its exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def log(self):
        with contextlib.suppress(OSError):
            with open(self.log_path, errors="replace") as file:
                return file.read()
        return ""

    def close(self):
        """Ends everything that was started here, and says if something could not be."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
        for pid in self.processes():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not self.processes(), "all processes of the daemon are gone")
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if "AddressSanitizer" in self.log() or "runtime error:" in self.log() or "LeakSanitizer" in self.log():
            print(self.log(), file=sys.stderr)
            raise AssertionError("a sanitizer complained")
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind and not issubclass(kind, SystemExit):
            print(f"--- configuration\n{open(self.file).read()}\n--- log\n{self.log()[-20000:]}", file=sys.stderr)
        self.close()

    # --- its processes ---

    def processes(self):
        """jitsud's own and its machines'."""
        return [pid for pid in descendants(os.getpid())
                if "jitsud" in command_line(pid) or "qemu-system" in command_line(pid)]

    def role(self, name):
        """The pid of the "front" or the "keeper"."""
        return wait_until(lambda: next((pid for pid in self.processes()
                                        if command_line(pid).startswith(f"jitsud: {name}")), None),
                          f"there is a {name}")

    def machines(self, name=None):
        """The pids of QEMU processes, spares among them."""
        return [pid for pid in self.processes() if "qemu-system" in command_line(pid)
                and (name is None or name in command_line(pid))]

    # --- clients ---

    def ctl(self, *arguments, check=True, as_json=True):
        """Runs jitsuctl; returns what it printed: one object, or a list of them if there are several lines."""
        done = subprocess.run([JITSUCTL, "-s", self.control, *(["--json"] if as_json else []), *arguments],
                              capture_output=True, text=True, timeout=2 * PATIENCE)
        if check and done.returncode != 0:
            raise AssertionError(f"jitsuctl {' '.join(arguments)}: exit status {done.returncode}: "
                                 f"{done.stdout}{done.stderr}")
        if not as_json:
            return done.stdout
        with contextlib.suppress(ValueError):
            return json.loads(done.stdout)
        return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]

    def status(self, name):
        return next(service for service in self.ctl("status")["services"] if service["name"] == name)

    def state(self, name):
        return self.status(name)["state"]

    def wait_for(self, name, state):
        self.ctl("wait", name, "--for", state, "--timeout", str(PATIENCE))

    def events(self, name=None):
        """What has happened since the front started."""
        events = self.ctl("events")
        events = events if isinstance(events, list) else [events]
        return [event for event in events if name in (None, event.get("service"))]

    def wait_for_spares(self, name, patience=PATIENCE):
        """Waits until as many spare processes as the service is configured for wait to be used."""
        wanted = next(service for service in self.settings["services"]
                      if service["name"] == name).get("prewarm", 0)

        def waiting():
            used = {service.get("pid") for service in self.ctl("status")["services"]}
            told = {int(pid) for pid in re.findall(r"a prewarmed machine is waiting \(process (\d+)\)", self.log())}
            return len((told & set(self.machines(name))) - used) >= wanted
        wait_until(waiting, f"{wanted} spares of {name}", patience)

    def address(self, name):
        address = next(service for service in self.settings["services"] if service["name"] == name)["address"]
        return address if isinstance(address, str) else address[0]

    def ask(self, name, kind=1):
        """One query over UDP without starting a program; returns the rcode."""
        labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
        packet = b"\x12\x34\0\0\0\1\0\0\0\0\0\0" + labels + b"\0" + bytes([0, kind, 0, 1])
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(PATIENCE)
            client.connect(self.dns_endpoint)
            client.send(packet)
            return client.recv(4096)[3] & 15

    def dig(self, *arguments):
        """dig's whole output."""
        done = subprocess.run(["dig", f"@{self.dns_endpoint[0]}", "-p", str(self.dns_endpoint[1]),
                               "+tries=1", f"+timeout={PATIENCE}", *arguments],
                              capture_output=True, text=True)
        assert done.returncode == 0, f"dig {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def resolve(self, name, kind="A"):
        return self.dig("+short", name, kind).split()

    def rcode(self, *arguments):
        return re.search(r"status: (\w+)", self.dig(*arguments)).group(1)

    def curl(self, url, *arguments, check=True):
        """The body; with check=False the finished process."""
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", str(2 * PATIENCE), *arguments, url],
                              capture_output=True)
        if not check:
            return done
        assert done.returncode == 0, f"curl {url}: {done.returncode} {done.stderr.decode()}"
        return done.stdout


def run(*tests):
    """Runs the test functions in turn; the script's exit status says how they went. Names on the command line choose."""
    chosen = sys.argv[1:]
    failed = 0
    for test in tests:
        if chosen and test.__name__ not in chosen:
            continue
        begin = time.monotonic()
        try:
            test()
            verdict = "ok"
        except SystemExit:
            raise
        except BaseException:
            traceback.print_exc()
            failed += 1
            verdict = "NOT OK"
        print(f"{verdict} {test.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
    sys.exit(1 if failed else 0)
