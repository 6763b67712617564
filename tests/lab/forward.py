#!/usr/bin/env python3
"""Names outside the zones, forwarded to a real resolver (dnsmasq), and to worse ones."""

import contextlib
import re
import socket
import struct
import subprocess
import threading

import lab

lab.need("dig", "kdig", "dnsmasq")

# What it knows itself.
RECORDS = ["--local=/example.com/", "--host-record=www.example.com,192.0.2.80,2001:db8::80",
           "--cname=alias.example.com,www.example.com",
           *(f"--txt-record=big.example.com,{'x' * 200}{number}" for number in range(40))]

SERVICES = [{"name": "www.lab.example", "summon": ["packet"], "image": "/nonexistent/image"}]


@contextlib.contextmanager
def program(*arguments):
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def answers(port, name):
    done = subprocess.run(["dig", "@127.0.0.1", "-p", str(port), "+short", "+tries=1", "+timeout=1", name],
                          capture_output=True, text=True)
    return done.returncode == 0 and "192.0.2.80" in done.stdout


@contextlib.contextmanager
def dnsmasq(*arguments):
    port = lab.free_port()
    with program("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", "--pid-file=",
                 f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces", "--user=", "--group=",
                 "--cache-size=0", *arguments):
        lab.wait_until(lambda: answers(port, "www.example.com"), "dnsmasq answers")
        yield port


@contextlib.contextmanager
def authority():
    """Knows example.com; yields its port."""
    with dnsmasq(*RECORDS) as port:
        yield port


@contextlib.contextmanager
def resolver():
    """Asks that one; yields its port."""
    with authority() as behind, dnsmasq(f"--server=127.0.0.1#{behind}") as port:
        yield port


def daemon(**server):
    return lab.Daemon(services=SERVICES, zones=[{"name": "lab.example"}], start=False, server=server)


def start(d, *ports, **forward):
    d.settings["forward"] = {"to": [f"127.0.0.1@{port}" for port in ports], **forward}
    d.configure()
    d.start()


def flags(output):
    return re.search(r"flags: ([\w ]*);", output).group(1).split()


def statistics(d):
    return d.ctl("stats")["dns"]


class Upstream:
    """A UDP socket that a test answers from by hand."""

    def __init__(self):
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(lab.PATIENCE)
        self.port = self.socket.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self):
        return self.socket.recvfrom(4096)

    @staticmethod
    def response(query, address):
        question = query[12:-11]
        record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + socket.inet_aton(address)
        return query[:2] + b"\x81\x80\0\x01\0\x01\0\0\0\0" + question + record

    def answer(self, query, client, address="192.0.2.7"):
        self.socket.sendto(self.response(query, address), client)


def question(number, name):
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\x01\0\x01"


def a_real_resolver_is_asked_over_udp_and_tcp():
    with daemon() as d, resolver() as port:
        start(d, port)
        for transport in ("+notcp", "+tcp"):
            output = d.dig(transport, "www.example.com")
            assert "192.0.2.80" in output and "NOERROR" in output, output
            assert flags(output) == ["qr", "rd", "ra"], output
            assert d.rcode(transport, "nothing.example.com") == "NXDOMAIN"
            assert d.resolve("alias.example.com") == ["www.example.com.", "192.0.2.80"]
            assert "2001:db8::80" in d.resolve("www.example.com", "AAAA")
            output = d.dig(transport, "www.lab.example")
            assert flags(output) == ["qr", "aa", "rd", "ra"], output
        assert d.rcode("+norecurse", "www.example.com") == "REFUSED"
        assert d.rcode("www.example.com", "CH", "TXT") == "REFUSED"
        assert statistics(d)["forwarded"] == 8 and d.state("www.lab.example") == "off"


def long_answers_come_whole_over_tcp():
    with daemon() as d, resolver() as port:
        start(d, port)
        output = d.dig("+noedns", "+ignore", "big.example.com", "TXT")
        assert "tc" in flags(output) and "ANSWER: 0" in output, output
        for arguments in (("+noedns",), ("+bufsize=4096",), ("+tcp",)):
            output = d.dig(*arguments, "big.example.com", "TXT")
            assert "ANSWER: 40" in output and "(TCP)" in output, output
        done = subprocess.run(["kdig", "@127.0.0.1", "-p", str(d.dns_endpoint[1]), "+tcp", "+keepopen",
                               "big.example.com", "TXT", "www.example.com", "A", "www.lab.example", "A"],
                              capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.count("NOERROR") == 3, done


def only_the_clients_that_are_named_are_served():
    with daemon() as d, authority() as port:
        start(d, port, **{"from": ["127.0.0.2/32"]})
        output = d.dig("www.example.com")
        assert "REFUSED" in output and "ra" not in flags(output), output
        assert "192.0.2.80" in d.dig("-b", "127.0.0.2", "www.example.com")
        assert "REFUSED" in d.dig("-b", "127.0.0.3", "+tcp", "www.example.com")
        assert "ra" not in flags(d.dig("-b", "127.0.0.3", "www.lab.example"))


def a_resolver_that_is_gone_is_replaced_by_the_next():
    with daemon() as d, authority() as port:
        start(d, lab.free_port(), port)
        for _ in range(3):
            assert d.resolve("www.example.com") == ["192.0.2.80"]
        assert d.log().count("Connection refused; the others are asked first") == 1, d.log()


def without_any_resolver_our_own_names_go_on():
    with daemon() as d, Upstream() as silent:
        start(d, lab.free_port(), timeout="500ms")
        output = d.dig("www.example.com")
        assert "SERVFAIL" in output and "no upstream resolver answered" in output, output
        assert d.resolve("www.lab.example") == [d.address("www.lab.example")]
        d.settings["forward"]["to"] = [f"127.0.0.1@{silent.port}"]
        d.configure()
        d.ctl("reload")
        output = d.dig("www.example.com")
        assert "SERVFAIL" in output and "no upstream resolver answered" in output, output
        assert len([silent.receive() for _ in range(2)]) == 2  # it was asked, and asked again
        assert statistics(d)["forward_unanswered"] == 2


def forged_answers_are_ignored():
    with daemon() as d, Upstream() as upstream, Upstream() as stranger:
        start(d, upstream.port)
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(lab.PATIENCE)
            client.connect(d.dns_endpoint)
            client.send(question(7, "www.example.com"))
            query, source = upstream.receive()
            stranger.answer(query, source, "192.0.2.66")
            forged = bytearray(upstream.response(query, "192.0.2.66"))
            for place in (0, 1, 15, len(query) - 11 - 3):  # id, name, type
                forged[place] ^= 1
                upstream.socket.sendto(forged, source)
                forged[place] ^= 1
            upstream.answer(query, source)
            answer = client.recv(4096)
            assert answer[:2] == b"\0\x07" and answer.endswith(socket.inet_aton("192.0.2.7")), answer
        assert statistics(d)["forward_strange"] == 4


def hundreds_are_under_way_at_a_time():
    count = 600
    with daemon(workers=2) as d, Upstream() as upstream:
        start(d, upstream.port, timeout="60s", queries=700, **{"client-queries": 700})
        clients = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(6)]
        with contextlib.ExitStack() as stack:
            for client in clients:
                stack.enter_context(client)
                client.settimeout(lab.PATIENCE)
                client.connect(d.dns_endpoint)
            queries = []
            for number in range(count):
                clients[number % 6].send(question(number, f"host{number}.example.com"))
                queries.append(upstream.receive())
            assert len({source for _, source in queries}) == count
            assert d.resolve("www.lab.example") == [d.address("www.lab.example")]
            for query, source in reversed(queries):
                upstream.answer(query, source)
            seen = {struct.unpack(">H", clients[number % 6].recv(4096)[:2])[0] for number in range(count)}
            assert seen == set(range(count))
        assert statistics(d)["forwarded"] == count


def one_client_cannot_take_all():
    with daemon() as d, Upstream() as upstream:
        start(d, upstream.port, timeout="60s", **{"client-queries": 20})
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(lab.PATIENCE)
            client.connect(d.dns_endpoint)
            for number in range(50):
                client.send(question(number, f"host{number}.example.com"))
            refused = [client.recv(4096) for _ in range(30)]
            assert all(answer[3] & 15 == 2 for answer in refused), refused
            other = subprocess.Popen(["dig", "-b", "127.0.0.9", "@127.0.0.1", "-p", str(d.dns_endpoint[1]), "+short",
                                      f"+timeout={lab.PATIENCE}", "www.example.com"], stdout=subprocess.PIPE)
            for _ in range(21):
                query, source = upstream.receive()
                upstream.answer(query, source)
            assert other.communicate()[0] == b"192.0.2.7\n"
        assert statistics(d)["forward_refused"] == 30


def two_that_forward_to_each_other_come_to_an_end():
    with daemon() as one, daemon() as other:
        start(one, other.dns_endpoint[1], timeout="1s")
        start(other, one.dns_endpoint[1], timeout="1s")
        assert one.rcode("www.example.com") == "SERVFAIL"
        assert statistics(one)["forwarded"] + statistics(other)["forwarded"] <= 8


def a_reload_turns_it_on_and_off():
    with daemon() as d, authority() as port:
        d.start()
        assert d.rcode("www.example.com") == "REFUSED"
        d.settings["forward"] = {"to": [f"127.0.0.1@{port}"]}
        d.configure()
        d.ctl("reload")
        assert d.resolve("www.example.com") == ["192.0.2.80"]
        del d.settings["forward"]
        d.configure()
        d.ctl("reload")
        assert d.rcode("www.example.com") == "REFUSED"


def reloads_under_load_lose_no_query():
    with daemon(workers=2) as d, authority() as port:
        start(d, port, queries=2000, **{"client-queries": 2000})
        reloader = threading.Thread(target=lambda: [d.ctl("reload") for _ in range(10)])
        reloader.start()
        while reloader.is_alive():
            with socket.socket(type=socket.SOCK_DGRAM) as client:
                client.settimeout(lab.PATIENCE)
                client.connect(d.dns_endpoint)
                for number in range(50):
                    client.send(question(number, f"host{number}.example.com"))
                    assert client.recv(4096)[3] & 15 == 3
        assert d.log().count("reloaded: ") == 10


lab.run(a_real_resolver_is_asked_over_udp_and_tcp, long_answers_come_whole_over_tcp,
        only_the_clients_that_are_named_are_served, a_resolver_that_is_gone_is_replaced_by_the_next,
        without_any_resolver_our_own_names_go_on, forged_answers_are_ignored, hundreds_are_under_way_at_a_time,
        one_client_cannot_take_all, two_that_forward_to_each_other_come_to_an_end, a_reload_turns_it_on_and_off,
        reloads_under_load_lose_no_query)
