"""A libvirtd of the test's own: with its own configuration, sockets and directories, in a mount and a network namespace
where nothing of the host's is used or disturbed."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys

import lab

URI = "qemu:///system"
DIRECTORIES = ["/run", "/etc/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt"]
LOG = "/var/log/libvirt/libvirtd.log"


def enter():
    """Runs this script again as root of namespaces of its own, prepared for a libvirtd."""
    lab.need_backend("libvirt")
    if os.geteuid() != 0:
        lab.skip("libvirt attaches machines to bridges only as root")
    if not os.environ.get("JITSU_LIBVIRT_NAMESPACE"):
        lab.need("unshare", "nsenter", "ip", "curl", "dig", "qemu-system-x86_64", "libvirtd", "virsh")
        if subprocess.run(["unshare", "--net", "--mount", "ip", "tuntap", "add", "t", "mode", "tap"],
                          capture_output=True).returncode != 0:
            lab.skip("no namespaces or no TAP devices here")
        os.environ["JITSU_LIBVIRT_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])
    run("mount --make-rprivate /")
    for directory in DIRECTORIES:
        os.makedirs(directory, exist_ok=True)
        run(f"mount -t tmpfs -o mode=755 tmpfs {directory}")
    hide_kvm()
    copy_images()
    run("ip link set lo up")


def run(command, **options):
    return subprocess.run(command.split(), check=True, **options)


def hide_kvm():
    """A /dev without kvm: one that opens and then stalls would be found good by libvirt."""
    os.mkdir("/run/dev")
    run("mount -t tmpfs -o mode=755,dev tmpfs /run/dev")
    for name in os.listdir("/dev"):
        source, target = f"/dev/{name}", f"/run/dev/{name}"
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
        elif os.path.isdir(source):
            os.mkdir(target)
            run(f"mount --rbind {source} {target}")
        elif name in ("null", "zero", "full", "random", "urandom", "tty", "ptmx"):
            open(target, "w").close()
            run(f"mount --bind {source} {target}")
    run("mount --move /run/dev /dev")


def copy_images():
    """libvirt gives images to the user of its QEMU, and when it is killed it does not take them back."""
    shutil.copytree(lab.UNIKERNELS, "/run/unikernels", copy_function=shutil.copy,
                    ignore=lambda _, names: [name for name in names if not name.endswith(".elf")])
    run(f"mount --bind /run/unikernels {lab.UNIKERNELS}")


def serve_all():
    """From now on every service of a test is libvirt's, if it does not say otherwise."""
    original = lab.Daemon.complete

    def complete(number, service):
        service = {"backend": "libvirt", **original(number, service)}
        if "domain" in service:
            del service["accel"]
        return service
    lab.Daemon.complete = staticmethod(complete)


def reap(command):
    """Runs the command and ends with its last orphan. libvirt waits until a QEMU that it has killed, and that is not its
    child any more, has been buried, which lab.py, whose children orphans become otherwise, does not do."""
    ctypes.CDLL(None).prctl(lab.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    subprocess.Popen(command)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()


class Libvirtd:
    def __init__(self):
        os.makedirs("/run/libvirt", exist_ok=True)
        with open("/etc/libvirt/libvirtd.conf", "w") as file:
            file.write(f'unix_sock_group = "root"\nauth_unix_rw = "none"\nauth_unix_ro = "none"\nlog_outputs = "3:file:{LOG}"\n')
        with open("/etc/libvirt/qemu.conf", "w") as file:
            # There is no virtlogd here, nor cgroups, nor other namespaces within this one.
            file.write('stdio_handler = "file"\nsecurity_driver = "none"\nnamespaces = []\ncgroup_controllers = []\n')
        self.processes = []
        self.start()

    def start(self):
        command = ["libvirtd", "--config", "/etc/libvirt/libvirtd.conf", "--pid-file", "/run/libvirtd.pid"]
        self.processes.append(subprocess.Popen([sys.executable, __file__, *command], stdin=subprocess.DEVNULL,
                                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        lab.wait_until(lambda: self.virsh("list", check=False).returncode == 0, "libvirtd answers")

    def pid(self):
        with open("/run/libvirtd.pid") as file:
            return int(file.read())

    def kill(self):
        """Kills it; its domains run on."""
        pid = self.pid()
        os.kill(pid, signal.SIGKILL)
        lab.wait_until(lambda: lab.state_of(pid) == "gone", "libvirtd is gone")

    def signal(self, number):
        os.kill(self.pid(), number)

    def virsh(self, *arguments, check=True):
        done = subprocess.run(["virsh", "-q", "-c", URI, *arguments], capture_output=True, text=True)
        assert not check or done.returncode == 0, f"virsh {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done

    def domains(self):
        """The names of those that run or are paused."""
        return self.virsh("list", "--name").stdout.split()

    def log(self):
        with open(LOG, errors="replace") as file:
            return file.read()

    def close(self):
        if self.virsh("list", check=False).returncode == 0:
            for name in self.domains():
                self.virsh("destroy", name, check=False)
        for process in self.processes:
            for pid in lab.descendants(process.pid):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            process.wait(lab.PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind and not issubclass(kind, SystemExit):
            print(f"--- libvirtd\n{self.log()[-5000:]}", file=sys.stderr)
        self.close()


if __name__ == "__main__":
    reap(sys.argv[1:])
