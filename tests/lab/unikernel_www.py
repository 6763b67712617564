#!/usr/bin/env python3
"""www by itself, as an image in QEMU and as a process: it boots in 8 MB and serves its page; it serves a site as HTTP/1.1
wants it, many clients at once, and large files; it says what is wrong with what it is given."""

import hashlib
import http.client
import os
import random
import selectors
import socket
import struct
import subprocess
import tempfile
import time

import lab
from archives import cpio, tar
from machine import Machine, Process

WWW = lab.image("www.elf")
WWW_PROCESS = lab.image("www-unix")
PROBE = lab.image("probe.elf")
MODIFIED_TEXT = "Sun, 06 Nov 1994 08:49:37 GMT"
SITE = {
    "index.html": b"<h1>a site</h1>\n",
    "style.css": b"h1 { color: red }\n",
    "sub/index.html": b"<h1>below</h1>\n",
    "digits.txt": bytes(b"0123456789" * 10000),
    "empty.txt": b"",
}


def in_file(contents):
    path = os.path.join(lab_directory, f"ramdisk-{random.getrandbits(32):08x}")
    with open(path, "wb") as file:
        file.write(contents)
    return path


def exchange(machine, request):
    """Sends bytes, then the end, and returns all that comes back."""
    with machine.connect() as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def get(machine, path, method="GET", **headers):
    connection = http.client.HTTPConnection(machine.address, machine.ports[0], timeout=lab.PATIENCE)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def expect_equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, not {wanted!r}")


def serves_its_page_in_8_mb(www):
    for _ in range(5):
        with www(memory=8, more="name=www.example.org") as machine:
            machine.wait_until_ready()
            expect(machine.console.startswith(b"jitsu: entered\n"), f"the console begins with {machine.console[:40]!r}")
            answer, body = get(machine, "/")
            expect_equal(answer.status, 200, "the page's status")
            expect_equal(answer.headers["Content-Type"], "text/html; charset=utf-8", "the page's type")
            expect(b"www.example.org" in body and body.endswith(b"</html>\n"), "the page is not the page")
            expect_equal(get(machine, "/other")[0].status, 404, "another page's status")


def serves_a_site(archive):
    def test(www):
        with www(ramdisk=in_file(archive(SITE))) as machine:
            machine.wait_until_ready()
            for path, contents in SITE.items():
                answer, body = get(machine, "/" + path)
                expect_equal((answer.status, body), (200, contents), path)
                expect_equal(answer.headers["Last-Modified"], MODIFIED_TEXT, f"{path}: Last-Modified")
                answer, body = get(machine, "/" + path, "HEAD")
                expect_equal((answer.status, body), (200, b""), f"HEAD {path}")
                expect_equal(answer.headers["Content-Length"], str(len(contents)), f"HEAD {path}: length")
            expect_equal(get(machine, "/")[1], SITE["index.html"], "/")
            answer, _ = get(machine, "/sub?x")
            expect_equal((answer.status, answer.headers["Location"]), (301, "/sub/?x"), "/sub")
            expect_equal(get(machine, "/sub/")[1], SITE["sub/index.html"], "/sub/")
            speaks_http(machine)
    test.__name__ = f"serves_a_site_from_{archive.__name__}"
    return test


def speaks_http(machine):
    digits = SITE["digits.txt"]
    expect_equal(get(machine, "/none")[0].status, 404, "a file that is not there")
    expect_equal(get(machine, "/%2e%2e/etc/passwd")[0].status, 400, "a path out of the site")
    answer, _ = get(machine, "/", "DELETE")
    expect_equal((answer.status, answer.headers["Allow"]), (405, "GET, HEAD"), "DELETE")
    expect(exchange(machine, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 "), "nonsense is not answered by 400")
    long = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n"
    expect(exchange(machine, long).startswith(b"HTTP/1.1 431 "), "a long head is not answered by 431")

    answer, body = get(machine, "/digits.txt", Range="bytes=5-24")
    expect_equal((answer.status, body), (206, digits[5:25]), "a range")
    expect_equal(answer.headers["Content-Range"], f"bytes 5-24/{len(digits)}", "a range's header")
    expect_equal(get(machine, "/digits.txt", Range="bytes=-7")[1], digits[-7:], "the last bytes")
    answer, _ = get(machine, "/digits.txt", Range=f"bytes={len(digits)}-")
    expect_equal(answer.status, 416, "a range beyond the end")
    answer, _ = get(machine, "/digits.txt", Range="bytes=0-1", If_Range="Sat, 05 Nov 1994 08:49:37 GMT")
    expect_equal(answer.status, 200, "a range of another version")
    answer, body = get(machine, "/", If_Modified_Since=MODIFIED_TEXT)
    expect_equal((answer.status, body), (304, b""), "what has not changed")
    answer, _ = get(machine, "/", If_Modified_Since="Sat, 05 Nov 1994 08:49:37 GMT")
    expect_equal(answer.status, 200, "what has changed")

    connection = http.client.HTTPConnection(machine.address, machine.ports[0], timeout=lab.PATIENCE)
    connection.connect()
    kept = connection.sock
    for _ in range(20):
        connection.request("GET", "/digits.txt")
        expect_equal(connection.getresponse().read(), digits, "an answer on a kept connection")
        expect(connection.sock is kept, "the connection was not kept")
    connection.close()
    answer, _ = get(machine, "/", Connection="close")
    expect_equal(answer.headers["Connection"], "close", "the answer to Connection: close")

    pipelined = (b"GET /digits.txt HTTP/1.1\r\nHost: a\r\n\r\n" * 30 +
                 b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + b"GET /style.css HTTP/1.0\r\n\r\n")
    answers = exchange(machine, pipelined)
    expect_equal(answers.count(digits), 30, "answers to pipelined requests")
    expect_equal(answers.count(b"HTTP/1.1 200 OK\r\n"), 32, "heads of answers to pipelined requests")
    expect(answers.endswith(SITE["style.css"]), "the last pipelined answer is not last")

    # A request that comes byte by byte, and a client that ends its half at once.
    with machine.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET /style.css HTTP/1.0\r\n\r\n":
            connection.sendall(bytes([byte]))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    expect(answer.endswith(SITE["style.css"]), "a request in pieces")
    # The body of a request that is refused does not make the answer disappear.
    post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300000
    expect(exchange(machine, post).startswith(b"HTTP/1.1 405 "), "POST with a body")


def serves_200_clients_at_once(www):
    digits = SITE["digits.txt"]
    with www(memory=16, ramdisk=in_file(cpio(SITE)), forwards=40) as machine:
        machine.wait_until_ready()
        connections = []
        selector = selectors.DefaultSelector()
        try:
            # All are open before the first of them asks.
            for _ in range(200):
                connections.append(machine.connect())
            for connection in connections:
                connection.sendall(b"GET /digits.txt HTTP/1.0\r\n\r\n")
                connection.setblocking(False)
                selector.register(connection, selectors.EVENT_READ, bytearray())
            while selector.get_map():
                events = selector.select(lab.PATIENCE)
                expect(events, f"{len(selector.get_map())} of 200 clients wait in vain")
                for key, _ in events:
                    piece = key.fileobj.recv(65536)
                    key.data.extend(piece)
                    if not piece:
                        expect(key.data.endswith(b"\r\n\r\n" + digits), "a client got something else")
                        selector.unregister(key.fileobj)
        finally:
            for connection in connections:
                connection.close()


def does_not_run_out_of_connections(www):
    """Idle clients give way to new ones, however many there are."""
    with www(memory=8, forwards=40) as machine:
        machine.wait_until_ready()
        idle = []
        try:
            for number in range(400):
                idle.append(machine.connect())
                if number % 50 == 49:
                    expect_equal(get(machine, "/")[0].status, 200, f"the page beside {number + 1} idle clients")
        finally:
            for connection in idle:
                connection.close()


def survives_clients_that_go_away(www):
    big = {"big": bytes(3 << 20)}
    with www(memory=16, ramdisk=in_file(cpio(big)), forwards=40) as machine:
        machine.wait_until_ready()
        for _ in range(150):
            with machine.connect() as connection:
                connection.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
                connection.recv(10)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        expect_equal(len(get(machine, "/big")[1]), 3 << 20, "the file after 150 resets")


def ends_clients_that_keep_it_waiting(www):
    with www(more="idle=1") as machine:
        machine.wait_until_ready()
        with machine.connect() as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHo")
            expect_equal(connection.recv(100), b"", "what a client gets who never ends its request")


def serves_a_large_file(www):
    contents = random.Random(1).randbytes(64 << 20)
    with www(memory=80, ramdisk=in_file(cpio({"large": contents, **SITE}))) as machine:
        machine.wait_until_ready()
        began = time.perf_counter()
        answer, body = get(machine, "/large")
        seconds = time.perf_counter() - began
        expect_equal(answer.status, 200, "status")
        expect_equal(hashlib.sha256(body).hexdigest(), hashlib.sha256(contents).hexdigest(), "the file's checksum")
        print(f"    64 MiB in {seconds:.2f} s")
        answer, body = get(machine, "/large", Range="bytes=60000000-60000999")
        expect_equal((answer.status, body), (206, contents[60000000:60001000]), "a range of it")


def sleeps_when_idle(www):
    with www() as machine:
        machine.wait_until_ready()
        get(machine, "/")
        before = machine.processor_time()
        time.sleep(2)
        used = machine.processor_time() - before
        expect(used < 1, f"an idle machine used {used:.2f} s of processor time in 2 s")


def speaks_both_transports():
    for legacy in "true", "false":
        with Machine(WWW, extra=["-global", f"virtio-mmio.force-legacy={legacy}"]) as machine:
            machine.wait_until_ready()
            expect_equal(get(machine, "/")[0].status, 200, f"the page with force-legacy={legacy}")


def fails(www, reason, **settings):
    with www(**settings) as machine:
        expect_equal(machine.wait_for_end(), machine.failure, f"the exit status ({reason})")
        line = f"\njitsu: fatal: {reason}"
        expect(line.encode() in machine.console, f"no '{reason}' on the console:\n{machine.console.decode()}")


def says_what_is_wrong(www):
    fails(www, "no address", options="")
    fails(www, "option ip=10.0.2.300/24: ", options="ip=10.0.2.300/24")
    fails(www, "option port=http: a number from 1 to 65535 is expected", more="port=http")
    fails(www, "the boot module: neither a cpio archive (newc) nor a tar archive", ramdisk=in_file(os.urandom(4096)))
    fails(www, "the boot module: the archive is broken or cut off (at byte ", ramdisk=in_file(cpio(SITE)[:-300]))


def needs_a_network_device():
    fails(image, "no network device", network=None)


def probe_finds_out_and_powers_off():
    with Machine(PROBE, network=None, options="") as machine:
        machine.wait_for("jitsu: ready")
        expect_equal(machine.wait_for_end(), 0, "QEMU's exit status")


def is_small():
    size = os.path.getsize(WWW)
    expect(size <= 200 * 1000, f"www.elf has {size} bytes")
    notes = subprocess.run(["readelf", "-n", WWW], capture_output=True, text=True).stdout
    expect("Xen" in notes and "Jitsu" in notes, f"the notes of www.elf: {notes}")


def image(**settings):
    return Machine(WWW, **settings)


def process(**settings):
    return Process(WWW_PROCESS, **settings)


def on_each_platform(*tests):
    """Each test once with the image and once with the process."""
    def on(platform, test):
        def run():
            test(platform)
        run.__name__ = f"{test.__name__}_as_{platform.__name__}"
        return run
    return [on(platform, test) for test in tests for platform in (image, process)]


with tempfile.TemporaryDirectory(prefix="jitsu-lab-") as lab_directory:
    lab.run(is_small, probe_finds_out_and_powers_off, speaks_both_transports, needs_a_network_device,
            *on_each_platform(serves_its_page_in_8_mb, serves_a_site(cpio), serves_a_site(tar), serves_200_clients_at_once,
                              does_not_run_out_of_connections, survives_clients_that_go_away,
                              ends_clients_that_keep_it_waiting, serves_a_large_file, sleeps_when_idle,
                              says_what_is_wrong))
