#!/usr/bin/env python3
"""pinata, as an image on an Ethernet of its own and as a process: it gives its secret to those that its trust anchor vouches
for, in all three ways, and to nobody else, whatever they do; and it says what is wrong with what it is given to hold."""

import concurrent.futures
import contextlib
import os
import random
import re
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import warnings

import certificates
import ethernet
import lab
from archives import cpio, tar
from machine import Machine, Process

SECRET = b"a secret of " + random.randbytes(8).hex().encode() + b"\n"
SERVER, BACK, CLIENT, BACK_PEER = 10000, 10001, 10002, 40001
ALERT = 21
FATAL = 2
MEMORY = 16


# --- the machine, and those who want its secret ---

def contents(identity, authority, secret=SECRET, **others):
    return {"ca.pem": authority.text(), "cert.pem": identity.text(), "key.pem": identity.text("key"), "secret": secret, **others}


class Ends:
    """Where it is, and where it sees us."""

    def __init__(self, here, there):
        self.here, self.there = here, there


def start(kind, files, archive=cpio, options=None, extra=()):
    """A running one, with the files in its boot module."""
    path = None
    if files is not None:
        path = os.path.join(directory, f"module-{random.getrandbits(32):08x}")
        with open(path, "wb") as file:
            file.write(archive(files))
    if options is None:
        options = f"token={random.randbytes(16).hex()} time={int(time.time())}"
    if kind == "unix":
        machine = Process(lab.image("pinata-unix"), memory=MEMORY, ramdisk=path, options=f"ip=127.0.0.1 ip6=::1 {options}")
        machine.ends = [Ends("127.0.0.1", "127.0.0.1"), Ends("::1", "::1")]
    else:
        machine = Machine(lab.image("pinata.elf"), memory=MEMORY, ramdisk=path, network=None, extra=[
            "-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no",
            "-device", f"virtio-net-device,netdev=net,mac={ethernet.MAC}", *extra], options=f"{ethernet.OPTIONS} {options}")
        machine.ends = [Ends(ethernet.ADDRESS4, ethernet.HOST4), Ends(ethernet.ADDRESS6, ethernet.HOST6)]
    machine.address = machine.ends[0].here
    return machine


def expect_report(machine, port, text, peer=r"[0-9a-f.:]+", peer_port=r"\d+"):
    """Waits for the machine's line about an attempt, of which `text` is the pattern. The line is forgotten then: a later attempt
    may come from the same port."""
    line = re.compile(rf"^pinata: port {port}, {peer} port {peer_port}: (.*?)\r?\n".encode(), re.MULTILINE)
    while not (found := line.search(machine.console)):
        assert machine.read_console(), f"the machine ended:\n{machine.console.decode(errors='replace')}"
    machine.console = machine.console[:found.start()] + machine.console[found.end():]
    told = found[1].decode(errors="replace")
    assert re.match(text, told), f"'{told}' where '{text}' was expected"


def forget_reports(machine, count=0):
    """Forgets the machine's lines so far, after waiting for that many."""
    while machine.console.count(b"\npinata: port ") < count:
        assert machine.read_console(), f"the machine ended:\n{machine.console.decode(errors='replace')}"
    machine.console = b"\n"


def context(side, identity=None, authority=None, oldest=ssl.TLSVersion.TLSv1_2,
            newest=ssl.TLSVersion.MAXIMUM_SUPPORTED, ciphers=None):
    made = ssl.SSLContext(side)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.keylog_filename = os.path.join(directory, "keys")
    made.load_verify_locations(cadata=(authority or anchor).text().decode())
    if identity:
        made.load_cert_chain(identity.certificate, identity.key)
    if ciphers:
        made.set_ciphers(ciphers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version = oldest
        made.maximum_version = newest
    return made


def talk(raw, settings, server_side=False):
    """TLS over a connection until its end. Returns what came, and how it failed if it did."""
    received = b""
    raw.settimeout(lab.PATIENCE)
    try:
        with settings.wrap_socket(raw, server_side=server_side) as tls:
            while piece := tls.recv(65536):
                received += piece
    except (ssl.SSLError, ConnectionError) as error:
        return received, error
    return received, None


def connect(machine, port, address=None):
    return socket.create_connection((address or machine.address, port), lab.PATIENCE)


def hit_server(machine, address=None, **settings):
    """An attempt on port 10000. Returns what talk() does, and the client's port."""
    with connect(machine, SERVER, address) as raw:
        own = raw.getsockname()[1]
        return *talk(raw, context(ssl.PROTOCOL_TLS_CLIENT, **settings)), own


def hit_client(machine, identity, asks=True, **settings):
    """The same on port 10002."""
    made = context(ssl.PROTOCOL_TLS_SERVER, identity, **settings)
    if not asks:
        made.verify_mode = ssl.CERT_NONE
    with connect(machine, CLIENT) as raw:
        own = raw.getsockname()[1]
        return *talk(raw, made, server_side=True), own


def must_fail(machine, port, attempt, reported, alert=None):
    received, error, own = attempt
    assert received == b"", f"{received} was given away"
    assert error is not None, "nothing went wrong"
    if alert:
        assert alert in str(error).upper(), f"'{error}' where {alert} was expected"
    expect_report(machine, port, f"refused: {reported}", peer_port=own)


def must_succeed(machine, port, attempt, name):
    received, error, own = attempt
    assert error is None and received == SECRET, f"{received}, {error}"
    expect_report(machine, port, f"the secret was sent to CN={name}", peer_port=own)


def everything(raw):
    """What still comes on a connection, until its end."""
    raw.settimeout(lab.PATIENCE)
    received = b""
    with contextlib.suppress(ConnectionError):
        while piece := raw.recv(65536):
            received += piece
    return received


# --- the right ones ---

def gives_its_secret_to_the_right_ones(machine):
    for identity in (friend, friend_rsa, friend_384, friend_below):
        must_succeed(machine, SERVER, hit_server(machine, identity=identity), identity.name)
        must_succeed(machine, CLIENT, hit_client(machine, identity), identity.name)
    must_succeed(machine, SERVER, hit_server(machine, machine.ends[1].here, identity=friend), friend.name)
    for identity, name in ((nameless, "no name"), (long_named, "a long name"), (odd_named, r"CN=\?+fri\?end")):
        received, error, own = hit_server(machine, identity=identity)
        assert (received, error) == (SECRET, None), error
        expect_report(machine, SERVER, f"the secret was sent to {name}$", peer_port=own)


def openssl_gets_it_too(machine):
    for extra in (["-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305", "-groups", "X25519:P-256"],
                  ["-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384", "-groups", "P-384:P-256"],
                  ["-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256", "-groups", "P-256"]):
        got = certificates.openssl("s_client", "-connect", f"{machine.address}:{SERVER}", "-cert", friend.certificate,
                                   "-key", friend.key, "-CAfile", anchor.certificate, "-verify_return_error", "-quiet", *extra)
        assert got == SECRET, got
        expect_report(machine, SERVER, f"the secret was sent to CN={friend.name}")


@contextlib.contextmanager
def s_server(*options):
    command = ["openssl", "s_server", "-accept", str(BACK_PEER), "-quiet", "-naccept", "1", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            lab.wait_until(lambda: listens(BACK_PEER), "openssl s_server")
            yield server
        finally:
            server.kill()


def listens(port):
    with open("/proc/net/tcp6") as six, open("/proc/net/tcp") as four:
        return any(f":{port:04X}" in line.split()[1] and line.split()[3] == "0A" for line in [*six, *four])


def connects_back(machine):
    for ends in machine.ends:
        forget_reports(machine)
        with s_server("-cert", friend.certificate, "-key", friend.key, "-CAfile", anchor.certificate, "-Verify", "1",
                      "-verify_return_error") as server:
            with connect(machine, BACK, ends.here) as raw:
                assert everything(raw) == b""
            assert server.stdout.read() == SECRET
        expect_report(machine, BACK, f"the secret was sent to CN={friend.name}", ends.there, BACK_PEER)


def connects_back_to_the_right_ones_only(machine):
    for identity, ask, reported in ((stranger, "-Verify", "the certificate is not from the trust anchor"),
                                    (friend, None, "the server did not ask for our certificate")):
        forget_reports(machine)
        options = ["-cert", identity.certificate, "-key", identity.key, "-CAfile", anchor.certificate]
        with s_server(*options, *([ask, "1"] if ask else [])) as server:
            connect(machine, BACK).close()
            expect_report(machine, BACK, f"refused: {reported}", machine.ends[0].there, BACK_PEER)
            assert SECRET not in server.stdout.read()
    forget_reports(machine)
    connect(machine, BACK).close()
    expect_report(machine, BACK, "refused: nobody accepts the connection", machine.ends[0].there, BACK_PEER)


def thirty_get_it_at_once(machine):
    with concurrent.futures.ThreadPoolExecutor(30) as crowd:
        for attempt in list(crowd.map(lambda _: hit_server(machine, identity=friend), range(30))):
            must_succeed(machine, SERVER, attempt, friend.name)


def nothing_is_resumed(machine):
    settings = context(ssl.PROTOCOL_TLS_CLIENT, friend)
    session = None
    for _ in range(2):
        with connect(machine, SERVER) as raw, settings.wrap_socket(raw, session=session) as tls:
            assert not tls.session_reused and not tls.session.has_ticket
            session = tls.session
            assert tls.recv(1000) == SECRET
        expect_report(machine, SERVER, f"the secret was sent to CN={friend.name}")


# --- the wrong ones ---

def refuses_the_wrong_ones(machine):
    for identity, reported, alert in (
            (None, "there is no certificate", "HANDSHAKE FAILURE"),
            (stranger, "the certificate is not from the trust anchor", "UNKNOWN CA"),
            (impostor, "the certificate is not from the trust anchor", "UNKNOWN CA"),
            (expired, "the certificate has expired", "EXPIRED"),
            (early, "the certificate is not valid yet", "CERTIFICATE"),
            (only_server, "the certificate is for another purpose", "CERTIFICATE")):
        must_fail(machine, SERVER, hit_server(machine, identity=identity), reported, alert)
    for identity, reported, alert in (
            (stranger, "the certificate is not from the trust anchor", "UNKNOWN CA"),
            (impostor, "the certificate is not from the trust anchor", "UNKNOWN CA"),
            (expired, "the certificate has expired", "EXPIRED"),
            (early, "the certificate is not valid yet", "CERTIFICATE"),
            (only_client, "the certificate is for another purpose", "CERTIFICATE")):
        must_fail(machine, CLIENT, hit_client(machine, identity), reported, alert)
    # A server may complete the handshake all the same, before it learns that it will get nothing.
    received, _, own = hit_client(machine, friend, asks=False)
    assert received == b""
    expect_report(machine, CLIENT, "refused: the server did not ask for our certificate", peer_port=own)
    # The client's reset, for what it does not read any more, may overtake its alert.
    must_fail(machine, SERVER, hit_server(machine, identity=friend, authority=other_anchor),
              "(an alert came: unknown authority|the connection was reset)")


def refuses_weak_tls(machine):
    for oldest, newest, ciphers, reported, alert in (
            (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1, "ALL:@SECLEVEL=0", "", "PROTOCOL VERSION"),
            (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0", "", "PROTOCOL VERSION"),
            (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256", "no cipher is common", "HANDSHAKE"),
            (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256", "no cipher is common", "HANDSHAKE")):
        attempt = hit_server(machine, identity=friend, oldest=oldest, newest=newest, ciphers=ciphers)
        must_fail(machine, SERVER, attempt, reported, alert)


def answers_what_is_not_tls_with_an_alert(machine):
    for port in (SERVER, CLIENT):
        for text in (b"GET / HTTP/1.1\r\nHost: pinata\r\n\r\n", b"\0" * 300, b"\x16\x03\x01\xff\xff" + b"x" * 300,
                     random.randbytes(3000)):
            with connect(machine, port) as raw:
                own = raw.getsockname()[1]
                raw.sendall(text)
                records = everything(raw)
                while len(records) > 7 and records[0] != ALERT:
                    records = records[5 + int.from_bytes(records[3:5], "big"):]
                assert records[:2] == bytes([ALERT, 3]) and records[5] == FATAL, records
                expect_report(machine, port, "refused: ", peer_port=own)


# --- handshakes that break off, and others that are tampered with ---

class Handshake:
    """A handshake with the machine whose bytes the test passes on itself, flight by flight."""

    def __init__(self, machine, port):
        self.raw = connect(machine, port)
        self.raw.settimeout(lab.PATIENCE)
        self.own = self.raw.getsockname()[1]
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        side = ssl.PROTOCOL_TLS_CLIENT if port == SERVER else ssl.PROTOCOL_TLS_SERVER
        self.tls = context(side, friend).wrap_bio(self.incoming, self.outgoing, server_side=port != SERVER)

    def next_flight(self):
        """What we are to send next."""
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
            if flight := self.outgoing.read():
                return flight
            piece = self.raw.recv(65536)
            if not piece:
                raise EOFError
            self.incoming.write(piece)


def flights(machine, port):
    """How long each of our flights is, give or take what signatures differ by, in a handshake that comes to its end."""
    handshake = Handshake(machine, port)
    lengths = []
    with handshake.raw:
        for _ in range(2):
            flight = handshake.next_flight()
            lengths.append(len(flight))
            handshake.raw.sendall(flight)
        everything(handshake.raw)
    expect_report(machine, port, "the secret was sent", peer_port=handshake.own)
    return lengths


def break_off(machine, port, number, length, how):
    """Sends our flights before that one, and of it so much."""
    handshake = Handshake(machine, port)
    with handshake.raw as raw:
        for _ in range(number):
            raw.sendall(handshake.next_flight())
        flight = handshake.next_flight()
        raw.sendall(flight[:min(length, len(flight) - 1)])
        if how == "reset":
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            raw.close()
        else:
            raw.shutdown(socket.SHUT_WR)
            handshake.incoming.write(everything(raw))
            with contextlib.suppress(ssl.SSLError):
                handshake.tls.do_handshake()
                assert SECRET not in handshake.tls.read(1000)
    expect_report(machine, port, "refused: ", peer_port=handshake.own)


def survives_handshakes_that_break_off(machine):
    for port in (SERVER, CLIENT):
        for number, length in enumerate(flights(machine, port)):
            cuts = {0, 1, 4, 5, 6, length - 1, *(random.randrange(length) for _ in range(4))}
            for cut in sorted(cuts):
                break_off(machine, port, number, cut, "end")
            break_off(machine, port, number, length // 2, "reset")


def tamper(machine, port, count, number, place):
    """A whole handshake, of whose flights one has a byte changed on its way."""
    handshake = Handshake(machine, port)
    with handshake.raw as raw, contextlib.suppress(ssl.SSLError, ConnectionError):
        with contextlib.suppress(EOFError, TimeoutError):
            for i in range(count):
                flight = handshake.next_flight()
                if i == number:
                    place = min(place, len(flight) - 1)
                    flight = flight[:place] + bytes([flight[place] ^ 0x55]) + flight[place + 1:]
                    raw.settimeout(1)  # a length that was changed may make both wait
                raw.sendall(flight)
        raw.shutdown(socket.SHUT_WR)
        handshake.incoming.write(everything(raw))
        handshake.tls.do_handshake()
        assert SECRET not in handshake.tls.read(1000)
    expect_report(machine, port, "refused: ", peer_port=handshake.own)


def survives_handshakes_that_are_tampered_with(machine):
    for port in (SERVER, CLIENT):
        lengths = flights(machine, port)
        for number, length in enumerate(lengths):
            for place in [random.randrange(5, length) for _ in range(6)]:
                try:
                    tamper(machine, port, len(lengths), number, place)
                except AssertionError as error:
                    raise AssertionError(f"port {port}, flight {number}, byte {place}: {error}") from error


# --- those who take their time, and those who are too many ---

def dawdle(machine, port, drips):
    """Keeps a connection on which too little comes, a byte now and then if it `drips`, until it is closed."""
    hello = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context(ssl.PROTOCOL_TLS_CLIENT, friend).wrap_bio(ssl.MemoryBIO(), hello).do_handshake()
    with connect(machine, port) as raw:
        own = raw.getsockname()[1]
        raw.settimeout(0.5)
        deadline = time.monotonic() + lab.PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                if drips:
                    raw.sendall(hello.read(1))
                if raw.recv(4096) == b"":
                    return machine, port, own
    raise AssertionError(f"{machine.kind}, port {port}: still open after {lab.PATIENCE} s")


def refuses_those_who_take_too_long():
    with start("pvh", contents(me, anchor)) as image, start("unix", contents(me, anchor)) as process:
        image.wait_for("jitsu: ready")
        process.wait_for("jitsu: ready")
        slow = [(machine, port, drips) for machine in (image, process)
                for port, drips in ((SERVER, False), (SERVER, True), (CLIENT, False))]
        with concurrent.futures.ThreadPoolExecutor(len(slow)) as crowd:
            for machine, port, own in list(crowd.map(lambda one: dawdle(*one), slow)):
                expect_report(machine, port, "refused: the handshake took too long", peer_port=own)


def is_let_in(machine):
    received, _, own = hit_server(machine, identity=friend)
    expect_report(machine, SERVER, "", peer_port=own)
    return received == SECRET


def refuses_those_who_are_too_many(machine):
    forget_reports(machine)
    first = connect(machine, SERVER)
    with contextlib.ExitStack() as crowd:
        crowd.enter_context(first)
        for number in range(400):
            raw = crowd.enter_context(socket.socket())
            raw.settimeout(lab.PATIENCE)
            try:
                raw.connect((machine.address, SERVER))
                raw.settimeout(0.005)
                raw.recv(1)
                break
            except ConnectionError:
                break
            except TimeoutError:
                continue
        else:
            raise AssertionError("400 connections at the same time were not too many")
        expect_report(machine, SERVER, "refused: there are too many at the same time", peer_port=raw.getsockname()[1])
        received, error = talk(first, context(ssl.PROTOCOL_TLS_CLIENT, friend))
        assert received == SECRET, error
    forget_reports(machine, number + 1)
    lab.wait_until(lambda: is_let_in(machine), "room after the crowd has gone")


def shows_its_page(machine):
    assert b"secret" in ethernet.get(machine.address, "/")
    assert ethernet.get(machine.address, "/ca.pem") == anchor.text()


def keeps_nothing_that_is_over(machine):
    """In the memory of a machine there is neither what connections were encrypted with, nor a second copy of what it holds."""
    path = os.path.join(directory, "memory")
    machine.command("pmemsave", val=0, size=MEMORY << 20, filename=path)
    with open(path, "rb") as file:
        memory = file.read()
    os.unlink(path)
    with open(os.path.join(directory, "keys")) as file:
        secrets = {bytes.fromhex(line.split()[2]) for line in file if line.startswith("CLIENT_RANDOM")}
    assert len(secrets) > 30 and all(len(secret) == 48 for secret in secrets)
    assert not any(secret in memory for secret in secrets), "a connection's master secret is still there"
    for held in (SECRET, me.text("key").split(b"\n")[1]):
        assert memory.count(held) == 1, f"{held} is there {memory.count(held)} times"


def on(kind):
    """The tests for one kind."""

    def is_hit():
        """One for all that clients may do."""
        with ethernet.listener() as wire, start(kind, contents(me, anchor)) as machine:
            machine.wait_for("jitsu: ready")
            for test in (gives_its_secret_to_the_right_ones, openssl_gets_it_too, connects_back,
                         connects_back_to_the_right_ones_only, nothing_is_resumed, refuses_the_wrong_ones, refuses_weak_tls,
                         answers_what_is_not_tls_with_an_alert, survives_handshakes_that_break_off,
                         survives_handshakes_that_are_tampered_with, thirty_get_it_at_once, shows_its_page):
                begun = time.monotonic()
                test(machine)
                print(f"ok {kind}: {test.__name__} ({time.monotonic() - begun:.1f} s)")
                assert not any(SECRET in frame for frame in ethernet.frames(wire)), "the secret was on the wire"
            if kind == "pvh":
                keeps_nothing_that_is_over(machine)
            refuses_those_who_are_too_many(machine)
            gives_its_secret_to_the_right_ones(machine)

    def speaks_rsa():
        with start(kind, contents(me_rsa, anchor_rsa), archive=tar) as machine:
            machine.wait_for("jitsu: ready")
            for cipher in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"):
                must_succeed(machine, SERVER, hit_server(machine, identity=rsa_friend, authority=anchor_rsa, ciphers=cipher,
                                                         newest=ssl.TLSVersion.TLSv1_2), rsa_friend.name)
            must_succeed(machine, CLIENT, hit_client(machine, rsa_friend, authority=anchor_rsa), rsa_friend.name)

    def says_what_is_wrong_with_its_boot_module():
        broken_boot_modules(kind)

    def judges_by_the_time_that_it_is_told():
        late = 2500000000  # after all certificates here
        with start(kind, contents(me, anchor), options=f"token={random.randbytes(16).hex()} time={late}") as machine:
            machine.wait_for("pinata: others will refuse cert.pem: the certificate has expired")
            machine.wait_for("jitsu: ready")
            must_fail(machine, SERVER, hit_server(machine, identity=friend), "the certificate has expired", "EXPIRED")

    def warns_of_a_certificate_that_others_will_refuse():
        for identity, problem in ((stranger, "is not from the trust anchor"), (early, "is not valid yet"),
                                  (expired, "has expired")):
            with start(kind, contents(identity, anchor)) as machine:
                machine.wait_for(f"pinata: others will refuse cert.pem: the certificate {problem}")
                machine.wait_for("jitsu: ready")
        with start(kind, contents(friend_below, anchor)) as machine:
            machine.wait_for("jitsu: ready")
            assert b"pinata:" not in machine.console

    tests = [is_hit, speaks_rsa, says_what_is_wrong_with_its_boot_module, judges_by_the_time_that_it_is_told,
             warns_of_a_certificate_that_others_will_refuse]
    for test in tests:
        test.__name__ = f"{kind}_{test.__name__}"
    return tests


# --- what it is given ---

def ends_with(kind, reason, files, **how):
    with start(kind, files, **how) as machine:
        status = machine.wait_for_end()
        said = machine.console.decode(errors="replace")
        assert status == machine.failure and f"jitsu: fatal: {reason}" in said, \
            f"status {status} where '{reason}' was expected:\n{said}"


def broken_boot_modules(kind):
    good = contents(me, anchor)
    for name in good:
        ends_with(kind, f"the boot module holds no file {name}", {other: good[other] for other in good if other != name})
    for name, replaced, reason in (
            ("secret", b"", "the boot module's secret is empty"),
            ("ca.pem", b"no certificate", "the boot module's ca.pem is not a certificate in PEM"),
            ("ca.pem", anchor.text() * 2, "the boot module's ca.pem holds more than one certificate"),
            ("ca.pem", me.text(), "the boot module's ca.pem is not the certificate of an authority"),
            ("cert.pem", me.text()[:-100], "the boot module's cert.pem holds a certificate that is broken"),
            ("cert.pem", friend.text(), "the boot module's key.pem does not belong to the certificate"),
            ("key.pem", me.text(), "the boot module's key.pem is not a private key in PEM"),
            ("key.pem", me.text("key").replace(b"M", b"N"), "the boot module's key.pem is broken"),
            ("key.pem", encrypted_key(), "the boot module's key.pem is encrypted")):
        ends_with(kind, reason, {**good, name: replaced})
    ends_with(kind, "the boot module: neither a cpio archive", good, archive=lambda _: b"nonsense" * 100)
    ends_with(kind, "the boot module: the archive is broken", good, archive=lambda files: cpio(files)[:-700])
    ends_with(kind, "there is no boot module", None)


def encrypted_key():
    return certificates.openssl("pkcs8", "-topk8", "-in", me.key, "-passout", "pass:x")


def wants_the_time_and_random_numbers():
    """An image, that is: a process asks the host."""
    good = contents(me, anchor)
    now = int(time.time())
    token = random.randbytes(16).hex()
    ends_with("pvh", "nobody tells the time", good, options=f"token={token}")
    ends_with("pvh", "no random numbers", good, options=f"time={now}")
    ends_with("pvh", "no random numbers", {**good, "seed": b"short"}, options=f"time={now} token={token[1:]}")
    for files, options, extra in (({**good, "seed": random.randbytes(32)}, f"time={now}", ()),
                                  (good, f"time={now}", ("-cpu", "qemu64,+rdrand")),
                                  (good, f"token={token}", ("-machine", "rtc=on"))):
        with start("pvh", files, options=options, extra=extra) as machine:
            machine.wait_for("jitsu: ready")
            must_succeed(machine, SERVER, hit_server(machine, identity=friend), friend.name)


if __name__ == "__main__":
    ethernet.enter()
    lab.need("openssl")
    with tempfile.TemporaryDirectory(prefix="jitsu-lab-") as directory:
        anchor = certificates.self_signed(directory, "trust anchor")
        other_anchor = certificates.self_signed(directory, "other anchor")
        anchor_rsa = certificates.self_signed(directory, "RSA anchor", certificates.RSA)
        me = anchor.sign("pinata")
        me_rsa = anchor_rsa.sign("RSA pinata")
        friend = anchor.sign("friend")
        friend_rsa = anchor.sign("friend with RSA", certificates.RSA)
        friend_384 = anchor.sign("friend with P-384", certificates.EC384)
        friend_below = anchor.sign_authority("authority below").sign("friend from below")
        rsa_friend = anchor_rsa.sign("friend of RSA")
        nameless = anchor.sign("nameless", subject="/O=")
        long_named = anchor.sign("long named", subject="/CN=" + "x" * 64 + "/OU=" + "y" * 64)
        odd_named = anchor.sign("odd named", subject="/CN=\u00e4\u00f6fri\nend")
        stranger = other_anchor.sign("friend of another")
        impostor = certificates.self_signed(directory, "friend by myself", is_authority=False)
        expired = anchor.sign("expired", start="20200101000000Z", end="20210101000000Z")
        early = anchor.sign("early", start="20480101000000Z")
        only_server = anchor.sign("server only", purpose="server")
        only_client = anchor.sign("client only", purpose="client")
        lab.run(*on("pvh"), wants_the_time_and_random_numbers, *on("unix"), refuses_those_who_take_too_long)
