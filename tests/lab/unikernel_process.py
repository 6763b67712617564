#!/usr/bin/env python3
"""Unikernels as processes: what only they have. Directories as sites, the host's limits, signals, and what is wrong with
their arguments. What they serve is tested together with the images."""

import http.client
import os
import resource
import select
import signal
import socket
import subprocess
import tempfile
import time

import lab
from archives import cpio
from machine import Process

WWW = lab.image("www-unix")
BIG = bytes(range(256)) * (32 << 10)  # 8 MiB


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def get(process, path="/", address=None):
    connection = http.client.HTTPConnection(address or process.address, process.port, timeout=lab.PATIENCE)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def write(path, contents):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(contents)
    return path


def in_lab(*parts):
    return os.path.join(lab_directory, *parts)


def download(process, path="/big"):
    """A connection on which an answer has begun to come, and what has come of it."""
    connection = process.connect()
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return connection, connection.recv(1000)


def finish(connection, begun, length):
    """Reads the rest of an answer with a body of that length, and nothing after it. Returns the body."""
    head, _, body = begun.partition(b"\r\n\r\n")
    body = bytearray(body)
    while len(body) < length and (piece := connection.recv(1 << 20)):
        body += piece
    return bytes(body)


def serves_a_directory():
    site = in_lab("a site with spaces")
    write(f"{site}/index.html", b"the index")
    write(f"{site}/sub/deeper/page.html", b"a page")
    write(f"{site}/empty", b"")
    write(f"{site}/big", BIG)
    os.symlink("sub/deeper", f"{site}/link")
    os.symlink("deeper/../deeper/page.html", f"{site}/sub/linked.html")
    with Process(WWW, arguments=[f"site={site}"]) as process:
        process.wait_until_ready()
        # It serves what was there when it started.
        write(f"{site}/index.html", b"another")
        os.truncate(f"{site}/big", 5)
        os.remove(f"{site}/empty")
        for path, contents in {"/": b"the index", "/sub/deeper/page.html": b"a page", "/link/page.html": b"a page",
                               "/sub/linked.html": b"a page", "/empty": b"", "/big": BIG}.items():
            answer, body = get(process, path)
            expect((answer.status, body) == (200, contents), f"{path}: {answer.status}, {len(body)} bytes")
        expect(get(process, "/missing")[0].status == 404, "/missing is there")
    with Process(WWW, arguments=[f"site={in_lab('nothing in here')}"]) as process:
        expect(process.wait_for_end() == 1, "a directory that is not there is served")
    os.mkdir(in_lab("nothing in here"))
    with Process(WWW, arguments=[f"site={in_lab('nothing in here')}"]) as process:
        process.wait_until_ready()
        expect(get(process)[0].status == 404, "/ of an empty directory")


def serves_a_file_that_is_cut_off_later():
    module = write(in_lab("cut.cpio"), cpio({"big": BIG}))
    with Process(WWW, ramdisk=module) as process:
        process.wait_until_ready()
        os.truncate(module, 100)
        expect(get(process, "/big")[1] == BIG, "the file that was loaded")


def serves_all_its_addresses():
    with Process(WWW, more="ip6=::1/128") as process:
        process.wait_until_ready()
        expect(get(process)[0].status == 200, "IPv4")
        expect(get(process, address="::1")[0].status == 200, "IPv6")


def fails(reason, *arguments, options=None, command=(WWW,)):
    with Process(command[0], options=options, arguments=[*command[1:], *arguments]) as process:
        status = process.wait_for_end()
        expect(status == 1, f"{arguments}: exit status {status}")
        expect(f"jitsu: fatal: {reason}".encode() in process.console,
               f"no '{reason}' on the console:\n{process.console.decode()}")


def says_what_is_wrong():
    broken = in_lab("broken")
    write(f"{broken}/absolute/index.html", b"")
    os.symlink("/etc/passwd", f"{broken}/absolute/link")
    write(f"{broken}/up/index.html", b"")
    os.symlink("..", f"{broken}/up/link")
    write(f"{broken}/pipe/index.html", b"")
    os.mkfifo(f"{broken}/pipe/fifo")
    write(f"{broken}/round/index.html", b"")
    os.symlink(".", f"{broken}/round/link")

    fails("no address: option ip=ADDRESS or ip6=ADDRESS is missing", options="port=8080")
    fails("option ip=127.0.0.1/33: ", options="ip=127.0.0.1/33")
    fails("option ip=::1: ", options="ip=::1")
    fails("option ip6=127.0.0.1: ", options="ip6=127.0.0.1")
    fails("cannot listen on 192.0.2.1, port 8080: ", options="ip=192.0.2.1 port=8080")
    fails("option memory=many: ", "memory=many")
    fails("option memory=1M: a size from 2M ", "memory=1M")
    fails("--help: options are words NAME=VALUE", "--help")
    fails(f"site={broken}/none: No such file or directory", f"site={broken}/none")
    fails(f"site={broken}/absolute/index.html: Not a directory", f"site={broken}/absolute/index.html")
    fails(f"site={broken}/absolute: link: a symbolic link that is absolute or leads out of", f"site={broken}/absolute")
    fails(f"site={broken}/up: link: a symbolic link that is absolute or leads out of", f"site={broken}/up")
    fails(f"site={broken}/pipe: fifo: neither a file nor a directory", f"site={broken}/pipe")
    fails(f"site={broken}/round: ", f"site={broken}/round")
    fails(f"module={broken}/none: No such file or directory", f"module={broken}/none")
    fails(f"module={broken}: not a file", f"module={broken}")
    fails("options module= and site=: only one of them", f"module={broken}/none", f"site={broken}/up")


def says_that_a_port_is_in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        fails(f"cannot listen on 127.0.0.1, port {port}: Address already in use", options=f"ip=127.0.0.1 port={port}")


def says_that_a_port_needs_privileges():
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
        first = int(file.read())
    if first <= 99:
        print("    everybody may listen on all ports here: not tried")
        return
    # Should it run as root, then without this privilege.
    command = ["setpriv", "--bounding-set", "-net_bind_service", WWW] if os.geteuid() == 0 else [WWW]
    with subprocess.Popen([*command, "ip=127.0.0.1", "port=99"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        text = process.communicate(timeout=lab.PATIENCE)[1].decode()
    expect(process.returncode == 1 and "port 99: Permission denied (without privileges, try a port from 1024" in text, text)


def refuses_one_too_many_and_serves_the_others():
    module = write(in_lab("big.cpio"), cpio({"big": BIG}))
    with Process(WWW, memory=2, ramdisk=module) as process:
        process.wait_until_ready()
        downloads = []
        try:
            # All keep the process busy: none can make room for another.
            while len(downloads) < 500:
                try:
                    downloads.append(download(process))
                except ConnectionResetError:
                    break
            expect(16 <= len(downloads) < 500, f"{len(downloads)} connections before one was refused")
            for connection, begun in downloads:
                expect(finish(connection, begun, len(BIG)) == BIG, "a download beside a refused connection")
        finally:
            for connection, _ in downloads:
                connection.close()
        expect(get(process, "/big")[1] == BIG, "a download later")


def lives_with_too_few_descriptors():
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))

    with Process(WWW, preexec_fn=few) as process:
        process.wait_until_ready()
        clients = [process.connect() for _ in range(40)]
        try:
            process.wait_for("jitsu: cannot accept connections for now: Too many open files")
            before = process.processor_time()
            time.sleep(1)
            used = process.processor_time() - before
            expect(used < 0.5, f"it used {used:.2f} s of processor time in 1 s for waiting")
        finally:
            for client in clients:
                client.close()
        expect(get(process)[0].status == 200, "the page once there are descriptors again")


def gives_back_all_descriptors():
    module = write(in_lab("big.cpio"), cpio({"big": BIG}))
    with Process(WWW, ramdisk=module) as process:
        process.wait_until_ready()
        before = process.descriptors()
        for number in range(90):
            connection, _ = download(process)
            if number % 3 == 0:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            elif number % 3 == 1:
                connection.shutdown(socket.SHUT_WR)
            connection.close()
            get(process, "/none")
        lab.wait_until(lambda: process.descriptors() == before, "as many descriptors are open as at the start")


def stops(number):
    module = write(in_lab("big.cpio"), cpio({"big": BIG}))
    with Process(WWW, ramdisk=module) as process:
        process.wait_until_ready()
        idle = process.connect()
        connection, begun = download(process)
        half = process.connect()
        half.sendall(b"GET /none HTTP/1.1\r\n")
        with idle, connection, half:
            # All three are known to the process before it is told to stop.
            get(process, "/none")
            process.process.send_signal(number)
            expect(idle.recv(1) == b"", "an idle connection gets something when the process stops")
            try:
                process.connect().close()
                raise AssertionError("it accepts connections though it stops")
            except ConnectionRefusedError:
                pass
            half.sendall(b"Host: a\r\n\r\n")
            answer = b"".join(iter(lambda: half.recv(65536), b""))
            expect(answer.startswith(b"HTTP/1.1 404 ") and b"\r\nConnection: close\r\n" in answer,
                   f"a request that had begun is answered by {answer[:300]!r}")
            expect(process.process.poll() is None, "it ended before all was sent")
            expect(finish(connection, begun, len(BIG)) == BIG, "a download that had begun")
            expect(connection.recv(1) == b"", "the connection stays open after the download")
        expect(process.wait_for_end() == 0, "the exit status")


def finishes_open_requests_when_it_is_told_to_stop():
    stops(signal.SIGTERM)
    stops(signal.SIGINT)


def stops_at_once_when_told_twice():
    module = write(in_lab("big.cpio"), cpio({"big": BIG}))
    process = Process(WWW, ramdisk=module)
    try:
        process.wait_until_ready()
        idle = process.connect()
        connection, _ = download(process)
        get(process, "/none")
        with connection, idle:
            process.process.send_signal(signal.SIGTERM)
            expect(idle.recv(1) == b"", "an idle connection gets something when the process stops")
            process.process.send_signal(signal.SIGTERM)
            expect(process.wait_for_end() == -signal.SIGTERM, "the second signal does not end it")
    finally:
        process.__exit__(AssertionError)


def waits_for_open_requests_only_so_long():
    module = write(in_lab("big.cpio"), cpio({"big": BIG}))
    with Process(WWW, ramdisk=module) as process:
        process.wait_until_ready()
        connection, _ = download(process)
        with connection:
            process.process.send_signal(signal.SIGTERM)
            expect(process.wait_for_end() == 0, "the exit status")
            try:
                rest = sum(map(len, iter(lambda: connection.recv(1 << 20), b"")))
                raise AssertionError(f"the download ends as if it were whole, after {rest} bytes")
            except ConnectionResetError:
                pass


def survives_the_end_of_its_console():
    reader, writer = os.pipe()
    with Process(WWW, more="log", stdout=writer, stderr=writer) as process:
        os.close(writer)
        console = b""
        while b"jitsu: ready\n" not in console:
            expect(select.select([reader], [], [], lab.PATIENCE)[0], "it does not become ready")
            console += os.read(reader, 4096)
        # Nobody reads, until the pipe is full and longer; then nobody can.
        connection = http.client.HTTPConnection(process.address, process.port, timeout=lab.PATIENCE)
        for number in range(2000):
            if number == 1500:
                os.close(reader)
            connection.request("GET", "/" + "x" * 100)
            expect(connection.getresponse().read().startswith(b"<!doctype"), "no answer")
        connection.close()
        process.process.send_signal(signal.SIGTERM)
        expect(process.process.wait(lab.PATIENCE) == 0, "the exit status")


with tempfile.TemporaryDirectory(prefix="jitsu-lab-") as lab_directory:
    lab.run(says_what_is_wrong, says_that_a_port_is_in_use, says_that_a_port_needs_privileges, serves_a_directory,
            serves_a_file_that_is_cut_off_later, serves_all_its_addresses, refuses_one_too_many_and_serves_the_others,
            lives_with_too_few_descriptors, gives_back_all_descriptors, finishes_open_requests_when_it_is_told_to_stop,
            stops_at_once_when_told_twice, waits_for_open_requests_only_so_long, survives_the_end_of_its_console)
