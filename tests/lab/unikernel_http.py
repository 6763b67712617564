#!/usr/bin/env python3
"""www and HTTP, as an image and as a process: answers as a strict client wants them, whatever it asks; what curl makes of them; the access log; clients
that are slow, silent, half gone or too many."""

import contextlib
import gzip
import os
import random
import re
import select
import socket
import subprocess
import tempfile

import lab
from http_client import Connection
from machine import on_each_platform

STYLE = "".join(f".class-{number} {{ margin: {number % 17}px }}\n" for number in range(3000)).encode()
NUMBERS = random.Random(3).randbytes(1 << 20)
SITE = {
    "index.html": b"<!doctype html><title>a site</title>\n" + b"<p>of some length\n" * 100,
    "404.html": b"<!doctype html><title>lost</title>\n" + b"<p>and not found\n" * 100,
    "style.css": STYLE,
    "numbers": NUMBERS,
    "empty": b"",
    "guide/index.html": b"<!doctype html><title>a guide</title>\n",
    "with space/index.html": b"<p>space\n",
}


@contextlib.contextmanager
def serving(www, options="", memory=16, forwards=1):
    """The packed site, served."""
    with www(memory=memory, more=options, ramdisk=packed, forwards=forwards) as machine:
        machine.wait_until_ready()
        yield machine


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def expect_equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r:.300}, not {wanted!r:.300}")


# --- a strict client ---

def ask(machine, method, target, **fields):
    with Connection(machine.connect()) as connection:
        return connection.request(method, target, **fields)


def answers_strictly(www):
    """Every kind of request on one connection, as long as it lasts."""
    with serving(www) as machine, Connection(machine.connect()) as connection:
        for path, contents in SITE.items():
            target = "/" + path.replace(" ", "%20")
            for coding in "identity", "gzip", "br", "gzip, br;q=0.5":
                answer = connection.get(target, Accept_Encoding=coding)
                head = connection.request("HEAD", target, Accept_Encoding=coding)
                undated = [{**one.fields, "date": None} for one in (head, answer)]  # the second may have passed meanwhile
                expect_equal((head.status, undated[0]), (answer.status, undated[1]), f"HEAD {path}")
                expect_equal(answer.status, 200, path)
                if answer["content-encoding"] is None:
                    expect_equal(answer.body, contents, path)
                elif answer["content-encoding"] == "gzip":
                    expect_equal(gzip.decompress(answer.body), contents, f"{path}, compressed")
                expect_equal(connection.get(target, Accept_Encoding=coding, If_None_Match=f'"x", W/{answer["etag"]}').status,
                             304, f"{path}, known")
                expect_equal(connection.get(target, Accept_Encoding=coding, If_Match='"other"').status, 412, f"{path}, other")
        statuses = [(connection.request(method, target, **fields).status, wanted, (method, target, fields))
                    for method, target, fields, wanted in [
                        ("GET", "http://elsewhere.example/guide?x", {}, 301),
                        ("GET", "/guide/../.jitsu/index", {}, 404),
                        ("HEAD", "/nothing", {}, 404),
                        ("GET", "/nothing", {"Range": "bytes=0-1", "If_Match": '"x"'}, 404),
                        ("GET", "/numbers", {"Range": "bytes=5-9"}, 206),
                        ("GET", "/numbers", {"Range": "bytes=1048576-"}, 416),
                        ("GET", "/empty", {"Range": "bytes=-1"}, 416),
                        ("GET", "/style.css", {"Range": "bytes=0-0", "Accept_Encoding": "br"}, 206),
                        ("GET", "/style.css", {"Accept_Encoding": ["gzip;q=0", "*"]}, 200),
                        ("GET", "/", {"If_Modified_Since": "Fri, 31 Dec 9999 23:59:59 GMT"}, 304),
                        ("GET", "/", {"If_Unmodified_Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, 412),
                        ("DELETE", "/", {}, 405),
                        ("OPTIONS", "*", {}, 405),
                        ("GET", "/" + "a" * 1000, {}, 404),
                        ("POST", "/", {"Content_Length": "0"}, 405),
                        ("GET", "/", {"Connection": "close"}, 200),
                    ]]
        for got, wanted, request in statuses:
            expect_equal(got, wanted, request)


def answers_broken_requests_once(www):
    """What follows them is not read: nobody knows where it begins."""
    requests = [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\rc\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: b\0c\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nabcd", 405),
        (b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /../../x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /" + b"a" * 1100 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ]
    with serving(www) as machine:
        for request, status in requests:
            with Connection(machine.connect()) as connection:
                connection.send_bytes("GET", request + b"GET /numbers HTTP/1.1\r\nHost: a\r\n\r\n")
                answer = connection.answer()
                expect_equal((answer.status, answer["connection"]), (status, "close"), request[:60])


def keeps_answers_in_order(www):
    """Many requests at once, with answers of all sizes, read slowly or at once."""
    dice = random.Random(5)
    paths = list(SITE)
    with serving(www) as machine:
        for _ in range(5):
            with Connection(machine.connect()) as connection:
                asked = [dice.choice(paths) for _ in range(60)]
                for path in asked:
                    connection.send("GET", "/" + path.replace(" ", "%20"))
                for path in asked:
                    expect_equal(connection.answer().body, SITE[path], path)


def gives_any_range(www):
    dice = random.Random(6)
    size = len(NUMBERS)
    with serving(www) as machine, Connection(machine.connect()) as connection:
        etag = connection.request("HEAD", "/numbers")["etag"]
        for _ in range(200):
            first, last = sorted((dice.randrange(size), dice.randrange(size + 100)))
            first = max(first, last - 5000)
            answer = connection.get("/numbers", Range=f"bytes={first}-{last}", If_Range=etag)
            expect_equal((answer.status, answer.body), (206, NUMBERS[first:last + 1]), f"bytes {first} to {last}")
            expect_equal(answer["content-range"], f"bytes {first}-{min(last, size - 1)}/{size}", "Content-Range")
        expect_equal(connection.get("/numbers", Range="bytes=0-1", If_Range='"other"').status, 200, "another version")
        expect_equal(connection.get("/numbers", Range="bytes=0-1,5-6").status, 200, "two ranges")


def tells_the_date_it_was_told(www):
    with serving(www, "time=784111777") as machine:
        date = ask(machine, "GET", "/")["date"]
        expect(re.fullmatch(r"Sun, 06 Nov 1994 08:(49|50):\d\d GMT", date), f"Date is {date!r}")


# --- curl ---

def curl(machine, *arguments, path="/numbers"):
    url = f"http://{machine.address}:{machine.ports[0]}{path}"
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--max-time", str(2 * lab.PATIENCE), *arguments, url],
                          capture_output=True, cwd=directory)
    expect_equal(done.returncode, 0, f"curl {arguments}: {done.stderr}")
    return done.stdout


def in_directory(name):
    with open(os.path.join(directory, name), "rb") as file:
        return file.read()


def serves_curl(www):
    with serving(www) as machine:
        expect_equal(curl(machine, "--compressed", path="/style.css"), STYLE, "what curl decompresses")
        status = ["-o", os.devnull, "-w", "%{http_code} %{size_download}"]
        sizes = [int(curl(machine, "-H", f"Accept-Encoding: {coding}", *status, path="/style.css").split()[1])
                 for coding in ("br", "gzip", "identity")]
        expect(sizes[0] < sizes[1] < sizes[2] == len(STYLE), f"sizes of br, gzip and neither: {sizes}")
        expect_equal(curl(machine, "--compressed", "-H", "Accept-Encoding: gzip", path="/style.css"), STYLE, "gzip")

        expect_equal(curl(machine, "-r", "100-199"), NUMBERS[100:200], "a range")
        expect_equal(curl(machine, "-r", "-5"), NUMBERS[-5:], "the end")
        with open(os.path.join(directory, "resumed"), "wb") as file:
            file.write(NUMBERS[:300000])
        curl(machine, "-C", "-", "-o", "resumed")
        expect_equal(in_directory("resumed"), NUMBERS, "a download that was resumed")

        expect_equal(curl(machine, "-z", "31 Dec 2037", *status), b"304 0", "curl -z with a later date")
        expect_equal(curl(machine, "-z", "1 Jan 1980", *status), b"200 1048576", "curl -z with an earlier date")
        with contextlib.suppress(FileNotFoundError):
            os.remove(os.path.join(directory, "etag"))
        for expected in b"200 1048576", b"304 0":
            expect_equal(curl(machine, "--etag-save", "etag", "--etag-compare", "etag", *status), expected, "curl by ETag")

        expect_equal(curl(machine, "--http1.0"), NUMBERS, "HTTP/1.0")
        expect(b"Content-Length: 1048576\r\n" in curl(machine, "-I"), "curl -I")
        expect_equal(curl(machine, "-L", path="/guide?x"), SITE["guide/index.html"], "a directory")
        expect_equal(curl(machine, "-L", path="/with%20space"), SITE["with space/index.html"], "a directory with a space")
        expect_equal(curl(machine, *status[2:], "-o", os.devnull, "-d", "a=b", path="/").split()[0], b"405", "a form")
        with open(os.path.join(directory, "form"), "wb") as file:
            file.write(bytes(3 << 20))
        expect_equal(curl(machine, *status[2:], "-o", os.devnull, "--data-binary", "@form", path="/").split()[0], b"405",
                     "a large form")

        url = f"http://{machine.address}:{machine.ports[0]}"
        connects = curl(machine, "-w", "%{num_connects} ", "-o", os.devnull, f"{url}/", "-o", os.devnull, f"{url}/guide/",
                        "-o", os.devnull, path="/nothing").split()
        expect_equal(connects, [b"1", b"0", b"0"], "connections for three requests")


# --- the access log ---

def logs_requests(www):
    with serving(www, "log", forwards=4) as machine:
        ask(machine, "GET", "/guide/?%22\xe9")
        ask(machine, "HEAD", "/numbers", Connection="close")
        with Connection(machine.connect()) as connection:
            connection.send_bytes("GET", b'GET /\x1b[31m"\\ HTTP/1.1\r\n\r\n')
            connection.answer()
        client = "10.0.2.2" if www.__name__ == "image" else machine.address
        machine.wait_for(f'{client} "GET /guide/?%22\\xe9" 200 {len(SITE["guide/index.html"])}')
        machine.wait_for(f'{client} "HEAD /numbers" 200 0')
        while f'{client} "GET /" 400 ' not in machine.console.decode():
            expect(machine.read_console(), "the machine ended")


def goes_on_when_nobody_reads_its_log(www):
    """Lines that the console does not take are lost; answers are not, and later lines neither."""
    with serving(www, "log") as machine, Connection(machine.connect()) as connection:
        for _ in range(40):
            for _ in range(50):
                connection.send("GET", "/empty?" + "x" * 400)
            for _ in range(50):
                expect_equal(connection.answer().status, 200, "an answer")
        expect_equal(connection.get("/nothing").status, 404, "an answer")
        while select.select([machine.process.stdout], [], [], 0.2)[0]:
            machine.read_console()
        expect(machine.console.count(b"\n") < 1500, f"all of {len(machine.console)} bytes were taken")
        expect_equal(connection.get("/guide/").status, 200, "an answer")
        while b'"GET /guide/" 200 ' not in machine.console:
            expect(machine.read_console(), "the machine ended")


# --- clients that take their time ---

def ended_by_the_machine(connection):
    """Does it end the connection, or reset it?"""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def ends_silent_clients_and_serves_others(www):
    """More of them than there may be connections; the machine has little memory."""
    with serving(www, "idle=1", memory=12, forwards=8) as machine:
        silent = [machine.connect() for _ in range(100)]
        for number, connection in enumerate(silent):
            if number % 4 == 1:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
            elif number % 4 == 2:
                connection.shutdown(socket.SHUT_WR)
            elif number % 4 == 3:
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        expect_equal(ask(machine, "GET", "/style.css").body, STYLE, "a file, beside silent clients")
        for number, connection in enumerate(silent):
            if number % 4 == 3:
                while connection.recv(65536):
                    pass
            else:
                expect(ended_by_the_machine(connection), "a silent client is kept")
            connection.close()
        expect_equal(ask(machine, "GET", "/style.css").body, STYLE, "a file, afterwards")


with tempfile.TemporaryDirectory(prefix="jitsu-lab-") as directory:
    lab.need("curl")
    for file_name, file_contents in SITE.items():
        os.makedirs(os.path.join(directory, "site", os.path.dirname(file_name)), exist_ok=True)
        with open(os.path.join(directory, "site", file_name), "wb") as site_file:
            site_file.write(file_contents)
    packed = os.path.join(directory, "site.cpio")
    subprocess.run([lab.JITSUCTL, "pack", os.path.join(directory, "site"), "-o", packed], check=True, stdout=subprocess.DEVNULL)
    lab.run(*on_each_platform("www", answers_strictly, answers_broken_requests_once, keeps_answers_in_order, gives_any_range,
                              tells_the_date_it_was_told, serves_curl, logs_requests, goes_on_when_nobody_reads_its_log, ends_silent_clients_and_serves_others))
