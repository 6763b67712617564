#!/usr/bin/env python3
"""The control socket and jitsuctl together: the real server, over a summoner double (control-server), and the real client.

JITSUCTL and CONTROL_SERVER in the environment name the two programs.
"""

import contextlib
import html.parser
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
import urllib.error
import urllib.request

JITSUCTL = os.path.abspath(os.environ.get("JITSUCTL", "jitsuctl"))
SERVER = os.path.abspath(os.environ.get("CONTROL_SERVER", "control-server"))

# The longest that anything may take on the slowest machine.
PATIENCE = 60

CLIENTS_MAX = 64
REQUEST_MAX = 65536


class Server:
    """A control server with its own directory; checks at the end that it was well to the last."""

    def __init__(self, services=0):
        self.directory = tempfile.mkdtemp(prefix="jitsu-control-")
        self.socket = os.path.join(self.directory, "control.sock")
        self.process = subprocess.Popen([SERVER, self.socket, str(services)], stdout=subprocess.PIPE,
                                        stderr=open(self.directory + "/errors", "w"), text=True)
        self.stopping = False
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop()
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        errors = open(self.directory + "/errors").read()
        shutil.rmtree(self.directory)
        if kind is None:
            assert status == 0, f"the server ended with {status}: {errors}"
        elif errors:
            print(errors, file=sys.stderr)

    def stop(self):
        """Once: a second signal could find its handler gone."""
        if not self.stopping:
            self.stopping = True
            self.process.send_signal(signal.SIGTERM)

    def ctl(self, *arguments, status=0, environment=None):
        """Runs jitsuctl; checks its exit status; returns what it printed and what it complained."""
        done = subprocess.run([JITSUCTL, "-s", self.socket, *arguments], capture_output=True, timeout=PATIENCE,
                              env={**os.environ, **(environment or {})})
        output, errors = done.stdout.decode(), done.stderr.decode()
        assert done.returncode == status, f"jitsuctl {arguments}: status {done.returncode}\n{output}{errors}"
        return output, errors

    def json(self, *arguments, status=0):
        return [json.loads(line) for line in self.ctl("--json", *arguments, status=status)[0].splitlines()]

    def client(self):
        return Client(self.socket)

    def get(self, path, method="GET"):
        """Status, headers and body of an HTTP request to the metrics listener."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read().decode()


class Client:
    """A client that speaks the protocol by hand."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(PATIENCE)
        self.stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()

    def close(self):
        self.stream.close()
        self.socket.close()

    def send(self, *requests):
        self.socket.sendall(b"".join(json.dumps(request).encode() + b"\n" for request in requests))

    def receive(self):
        """The next line as an object; None at the end."""
        line = self.stream.readline()
        return json.loads(line) if line else None

    def ask(self, command, **members):
        self.send({"command": command, **members})
        return self.receive()


# --- the commands of jitsuctl ---


def test_version():
    with Server() as server:
        ours = subprocess.run([JITSUCTL, "--version"], capture_output=True, text=True, check=True).stdout
        output, _ = server.ctl("version")
        assert output == ours + ours.replace("jitsuctl", "jitsud"), output
        assert server.json("version") == [{"ok": True, "version": ours.split()[1]}]


def test_status_of_all():
    with Server(services=3) as server:
        output, _ = server.ctl("status")
        lines = output.splitlines()
        assert lines[0].split() == ["NAME", "STATE", "ADDRESS", "UPTIME", "LAST", "USE", "CONNS", "STARTS", "MEMORY"]
        assert re.match(r"www\.example\.org +off +127\.0\.0\.1 +- +- +0 +0 +-$", lines[1]), lines[1]
        assert lines[-1] == "0 of 64 machines, 0 of 4G memory, 0 of 4 starting", lines[-1]
        starts = {line.index("127.") for line in lines if "127." in line}
        assert starts == {lines[0].index("ADDRESS")}, "the columns are not aligned"
        assert "\033" not in output, "colour although it is no terminal, or a guest's escape sequence"
        failed = next(i for i, line in enumerate(lines) if " failed " in line)
        assert lines[failed + 1].startswith("  panic: "), "the last error is missing under a failed service"


def test_status_of_one():
    with Server() as server:
        for name in ("www.example.org", "WWW.Example.ORG.", "example.org"):
            output, _ = server.ctl("status", name)
            values = dict(re.split(r": +", line, maxsplit=1) for line in output.splitlines())
            assert values["name"] == "www.example.org"
            assert values["aliases"] == "example.org"
            assert values["ports"] == "80, 8443:443"
            assert values["memory"] == "16M"
        _, errors = server.ctl("status", "nosuch.example.org", status=1)
        assert 'there is no service "nosuch.example.org"' in errors


def test_status_as_json():
    with Server() as server:
        server.ctl("start", "www.example.org")
        server.ctl("wait", "www.example.org")
        status, = server.json("status")
        assert status["ok"] is True
        assert set(status["limits"]) == {"memory", "memory_limit", "machines", "machine_limit", "starts", "start_limit",
                                         "waiting", "held", "held_limit"}
        www, broken = status["services"][:2]
        assert {"name", "aliases", "state", "backend", "network", "hold", "address", "memory", "pid", "domain", "started",
                "last_use", "connections", "starts", "failures", "error"} <= set(www)
        assert (www["name"], www["state"], www["backend"], www["hold"]) == ("www.example.org", "running", "qemu", "proxy")
        assert www["network"] == "loopback" and www["address"] == ["127.0.0.1"] and www["memory"] == 16 << 20
        assert www["pid"] == 4711 and abs(www["started"] - time.time()) < PATIENCE and www["starts"] == 1
        assert broken["pid"] is None and broken["started"] is None and broken["error"] is None
        one, = server.json("status", "www.example.org")
        assert [service["name"] for service in one["services"]] == ["www.example.org"] and "limits" in one
        failed, = server.json("status", "nosuch", status=1)
        assert failed["ok"] is False and "nosuch" in failed["error"]


def test_start_and_stop():
    with Server() as server:
        assert server.ctl("start", "www.example.org")[0] == "www.example.org: off -> starting\n"
        server.ctl("wait", "www.example.org", "--timeout", str(PATIENCE))
        assert server.ctl("start", "www.example.org")[0] == "www.example.org: running already\n"
        assert server.ctl("stop", "www.example.org", "--mode", "suspend")[0] == "www.example.org: running -> suspended\n"
        assert server.ctl("stop", "www.example.org")[0] == "www.example.org: suspended -> off\n"
        assert server.json("start", "www.example.org") == [
            {"ok": True, "service": "www.example.org", "was": "off", "state": "starting"}]
        assert server.ctl("start", "queued.example.org")[0] == "queued.example.org: off, waits for its turn to start\n"
        for command in ("start", "stop"):
            output, errors = server.ctl(command, "refused.example.org", status=1)
            assert output == "" and errors.startswith("jitsuctl: refused.example.org is not "), errors


def test_wait():
    with Server() as server:
        server.ctl("start", "www.example.org")
        assert server.ctl("wait", "www.example.org")[0] == "www.example.org: running\n"
        assert server.ctl("wait", "www.example.org", "--for", "running", "--timeout", "0")[0]
        _, errors = server.ctl("wait", "stuck.example.org", "--timeout", "20ms", status=1)
        assert "timed out while stuck.example.org is off" in errors
        answer, = server.json("wait", "stuck.example.org", "--timeout", "0.01", status=1)
        assert answer["ok"] is False and answer["timed_out"] is True and answer["state"] == "off"


def test_wait_ends_when_the_start_fails():
    with Server() as server, server.client() as waiting:
        waiting.send({"command": "wait", "name": "broken.example.org"})
        server.ctl("start", "broken.example.org")
        answer = waiting.receive()
        assert answer == {"ok": False, "error": "broken.example.org failed: qemu exited with status 1", "state": "failed",
                          "timed_out": False}, answer
        assert "qemu exited" in server.ctl("wait", "broken.example.org", status=1)[1], "it has failed already"
        assert server.ctl("wait", "broken.example.org", "--for", "failed")[0]


def test_events():
    with Server() as server:
        assert server.ctl("events")[0] == ""
        server.ctl("start", "www.example.org")
        with server.client() as client:
            client.send({"command": "events", "follow": True})
            while client.receive()["cause"] != "first-byte":
                pass
        first, ready, byte = server.json("events")
        assert list(first)[:5] == ["number", "time", "service", "from", "to"]
        assert (first["from"], first["to"], first["cause"]) == ("off", "starting", "command")
        assert (first["client"], first["query"]) == ("127.0.0.1@5353", "www.example.org A")
        assert first["phases"] == {"spawned": None, "entered": None, "ready": None, "first_byte": None}
        assert ready["phases"] == {"spawned": 1.2, "entered": 48.123, "ready": 55.0, "first_byte": None}
        assert byte["phases"]["first_byte"] == 58.3 and byte["from"] == byte["to"] == "running"
        assert [event["number"] for event in server.json("events", "-n", "2")] == [2, 3]
        assert server.json("events", "--lines", "0") == []
        lines = server.ctl("events")[0].splitlines()
        assert "off -> starting" in lines[0] and "www.example.org A from 127.0.0.1@5353" in lines[0], lines[0]
        assert lines[2].endswith("wanted 0.0 | spawned 1.2 | entered 48.1 | ready 55.0 | first byte 58.3 ms"), lines[2]


@contextlib.contextmanager
def following(server, *arguments):
    process = subprocess.Popen([JITSUCTL, "-s", server.socket, *arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_events_follow():
    with Server() as server:
        server.ctl("start", "www.example.org")
        with following(server, "--json", "events", "--follow") as process:
            assert json.loads(process.stdout.readline())["to"] == "starting"
            server.ctl("stop", "www.example.org")
            seen = [json.loads(process.stdout.readline()) for _ in range(2)]
            while seen[-1]["to"] != "off":
                seen.append(json.loads(process.stdout.readline()))
            assert [event["number"] for event in seen] == list(range(2, 2 + len(seen))), "events are missing"
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == -signal.SIGINT


def test_a_stream_ends_with_the_server():
    with Server() as server, following(server, "events", "--follow") as process:
        server.ctl("start", "www.example.org")
        process.stdout.readline()
        server.stop()
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 1 and errors == b"jitsuctl: jitsud is stopping\n", errors


def test_console():
    with Server() as server:
        with following(server, "console", "www.example.org") as process:
            server.ctl("start", "www.example.org")
            assert process.stdout.readline().decode() == "www: ready ✓ caf\ufffd\n", "what comes"
        with following(server, "--json", "console", "www.example.org") as process:
            assert json.loads(process.stdout.readline()) == {
                "service": "www.example.org", "text": "www: ready ✓ caf\ufffd\n"}, "what was printed"
        assert 'no service "nosuch"' in server.ctl("console", "nosuch", status=1)[1]


def test_reload():
    with Server() as server:
        assert server.ctl("reload")[0] == "reloaded\n"
        _, errors = server.ctl("reload", status=1)
        assert errors == ('jitsuctl: jitsud.yaml:3:5: unknown key "colour"\n'
                          "jitsuctl: jitsud.yaml:9:1: no zone holds www.example.net\n")
        with server.client() as first, server.client() as second:
            first.send({"command": "reload"})
            first.send({"command": "version"})
            second.send({"command": "reload"})
            answers = [first.receive(), second.receive()]
            assert {"ok": False, "error": "a reload is under way already"} in answers, answers
            assert {"ok": True} in answers


def test_stats():
    with Server() as server:
        stats, = server.json("stats")
        assert stats["ok"] is True and stats["uptime"] >= 0 and stats["services"] == 7
        assert stats["dns"]["queries"]["A"] == {"udp": 41, "tcp": 0}
        assert stats["dns"]["answers"] == {"NOERROR": 40, "NXDOMAIN": 3}
        assert stats["bridges"]["held_frames"] == 3 and stats["bridges"]["handed_over"] == 8
        assert stats["proxy"]["connections"] == 5 and stats["limits"]["machine_limit"] == 64
        assert re.search(r"^  A +41 +0$", server.ctl("stats")[0], re.MULTILINE)


def test_wrong_usage():
    with Server() as server:
        for arguments in ([], ["dance"], ["start"], ["start", "a", "b"], ["reload", "now"], ["status", "--follow"],
                          ["stop", "www.example.org", "--mode", "politely"], ["wait", "x", "--for", "ever"],
                          ["wait", "x", "--timeout", "soon"], ["events", "-n", "-1"], ["pack", "."], ["--nosuch"], ["start", ""]):
            output, errors = server.ctl(*arguments, status=1 if arguments == ["start", ""] else 2)
            assert output == "" and errors.startswith(("jitsuctl: ", JITSUCTL)), errors
        assert "status does not take --follow" in server.ctl("status", "-f", status=2)[1]
        assert "reload does not take --output" in server.ctl("reload", "-o", "x", status=2)[1]


def test_options_stand_anywhere():
    with Server() as server:
        assert json.loads(server.ctl("status", "www.example.org", "--json")[0])["ok"]
        assert json.loads(server.ctl("--json", "--", "status", "www.example.org")[0])["ok"]
        assert server.ctl("--help")[0].startswith("Usage: jitsuctl")
        done = subprocess.run([JITSUCTL, "version"], env={**os.environ, "JITSU_SOCKET": server.socket}, capture_output=True)
        assert done.returncode == 0, "JITSU_SOCKET is not used"


def test_without_a_daemon():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "none.sock")
        done = subprocess.run([JITSUCTL, "-s", path, "status"], capture_output=True, text=True)
        assert done.returncode == 1 and path in done.stderr and "systemctl start jitsud" in done.stderr, done.stderr
        done = subprocess.run([JITSUCTL, "-s", "x" * 200, "status"], capture_output=True, text=True)
        assert done.returncode == 1 and "longer than" in done.stderr, done.stderr


def test_closed_standard_output():
    with Server(services=2000) as server:
        reader, writer = os.pipe()
        os.close(reader)
        for arguments in (["status"], ["--json", "status"], ["stats"]):
            process = subprocess.Popen([JITSUCTL, "-s", server.socket, *arguments], stdout=writer, stderr=subprocess.PIPE)
            _, errors = process.communicate(timeout=PATIENCE)
            assert process.returncode in (1, -signal.SIGPIPE) and errors == b"", (process.returncode, errors)
        os.close(writer)
        with open("/dev/full", "w") as full:
            done = subprocess.run([JITSUCTL, "-s", server.socket, "stats"], stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1 and "cannot write" in done.stderr


def test_completion():
    script = os.path.join(os.path.dirname(__file__), "../../contrib/completion/jitsuctl")
    bash = shutil.which("bash")
    if not bash:
        return

    def complete(*words):
        command = (f'. {script}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _jitsuctl; '
                   'printf "%s\\n" "${COMPREPLY[@]}"')
        path = os.path.dirname(JITSUCTL) + os.pathsep + os.environ["PATH"]
        done = subprocess.run([bash, "-c", command, "bash", "jitsuctl", *words], capture_output=True, text=True,
                              env={**os.environ, "PATH": path})
        assert done.stderr == "", done.stderr
        return done.stdout.split()

    with Server() as server:
        assert complete("sta") == ["status", "start", "stats"]
        assert complete("-s", server.socket, "start", "www") == ["www.example.org"]
        assert complete("stop", "www.example.org", "--mode", "s") == ["shutdown", "suspend"]
        assert complete("wait", "x", "--f") == ["--for"] and "--mode" not in complete("wait", "--")


# --- the protocol, with clients that are not jitsuctl ---


def test_pipelined_requests_are_answered_in_order():
    with Server() as server, server.client() as client:
        client.send({"command": "version"}, {"command": "wait", "name": "stuck.example.org", "timeout": 0.05},
                    {"command": "status", "name": "example.org"}, {"command": "nonsense"}, {"command": "version"})
        answers = [client.receive() for _ in range(5)]
        assert "version" in answers[0] and answers[1]["timed_out"] and answers[2]["services"]
        assert answers[3]["ok"] is False and "version" in answers[4]


def test_garbage_is_refused_and_the_connection_goes_on():
    with Server() as server, server.client() as client:
        for line, expected in (("", "not JSON"), ("{", "not JSON"), ("\0\xff\n"[:2], "not JSON"), ("[]", "object"),
                               ("{}", '"command" is missing'), ('{"command": 1}', "must be a string"),
                               ('{"command": "start"}', 'needs a "name"'), ('{"command": "version", "name": "x"}', "does not take"),
                               ('{"command": "status", "command": "status"}', "not JSON: duplicate"),
                               ('{"command": "wait", "name": "x", "timeout": -1}', "timeout"), ("[" * 3000, "not JSON")):
            client.socket.sendall(line.encode("latin-1") + b"\r\n")
            answer = client.receive()
            assert answer["ok"] is False and expected in answer["error"], (line, answer)
        assert client.ask("version")["ok"]


def test_a_request_may_come_in_pieces_and_end_without_a_line_break():
    with Server() as server, server.client() as client:
        for byte in b'{"command":"version"}':
            client.socket.sendall(bytes([byte]))
        client.socket.shutdown(socket.SHUT_WR)
        assert client.receive()["ok"] and client.receive() is None


def test_a_half_closed_client_still_gets_what_it_asked_for():
    with Server() as server, server.client() as client:
        client.send({"command": "wait", "name": "www.example.org"}, {"command": "events", "follow": True})
        client.socket.shutdown(socket.SHUT_WR)
        server.ctl("start", "www.example.org")
        assert client.receive()["state"] == "running"
        assert client.receive()["to"] == "starting"


def test_too_long_a_request_ends_the_connection():
    with Server() as server, server.client() as client:
        client.socket.sendall(b'{"command":"version"' + b" " * (REQUEST_MAX - 21) + b"}\n")
        assert client.receive()["ok"], "the longest that is allowed"
        with contextlib.suppress(OSError):
            client.socket.sendall(b"x" * (REQUEST_MAX + 1000))
        assert "too long" in client.receive()["error"]
        with contextlib.suppress(OSError):
            assert client.receive() is None


def test_clients_that_vanish():
    with Server(services=3000) as server:
        requests = ({"command": "status"}, {"command": "events", "follow": True},
                    {"command": "console", "name": "www.example.org"}, {"command": "wait", "name": "stuck.example.org"},
                    {"command": "reload"}, {"command": "version"})
        for _ in range(30):
            for request in requests:
                with server.client() as client:
                    client.send(request, request)
                with server.client() as client:
                    client.socket.sendall(b'{"command":')
        server.ctl("start", "www.example.org")
        server.ctl("wait", "www.example.org")


def test_a_slow_stream_is_dropped_and_told_so():
    flood, rounds = 500, 40
    with Server() as server, server.client() as slow, server.client() as quick, server.client() as starter:
        slow.send({"command": "events", "follow": True})
        quick.send({"command": "events", "follow": True})
        for i in range(rounds):
            assert starter.ask("start", name="flood.example.org")["ok"]
            numbers = [quick.receive()["number"] for _ in range(flood)]
            assert numbers == list(range(i * flood + 1, (i + 1) * flood + 1)), "the quick one has gaps"
        lines = slow.stream.readlines()
        last = json.loads(lines[-1])
        assert last["ok"] is False and "fell behind" in last["error"], last
        seen = [json.loads(line)["number"] for line in lines[:-1]]
        assert seen == list(range(1, len(seen) + 1)) and len(seen) < flood * rounds, "what the slow one got has gaps"
        assert starter.ask("version")["ok"]


def test_too_many_clients():
    with Server() as server, contextlib.ExitStack() as stack:
        idle = stack.enter_context(server.client())
        assert idle.ask("version")["ok"]
        waiting = [stack.enter_context(server.client()) for _ in range(CLIENTS_MAX - 1)]
        for client in waiting:
            client.send({"command": "version"}, {"command": "wait", "name": "www.example.org"})
            assert client.receive()["ok"]
        newest = stack.enter_context(server.client())
        newest.send({"command": "version"}, {"command": "wait", "name": "www.example.org"})
        assert newest.receive()["ok"], "the idle client did not make room"
        assert idle.receive() is None
        refused = stack.enter_context(server.client())
        assert "too many clients" in refused.receive()["error"] and refused.receive() is None
        newest.close()
        waiting[0].close()
        # The server may see the next client before it sees that those two have gone.
        deadline = time.monotonic() + 60
        while True:
            try:
                server.ctl("start", "www.example.org")
                break
            except AssertionError as refusal:
                assert "too many clients" in str(refusal) and time.monotonic() < deadline, refusal
        assert waiting[1].receive()["state"] == "running"


def test_a_long_status_does_not_keep_others_waiting():
    services = 5000
    with Server(services) as server, server.client() as reader:
        reader.send({"command": "status"})
        begin = reader.socket.recv(1, socket.MSG_PEEK)
        assert begin == b"{"
        assert server.json("version")[0]["ok"], "answered while the long answer waits for its reader"
        assert len(reader.receive()["services"]) == services + 7
        assert len(server.json("status")[0]["services"]) == services + 7


# --- over HTTP ---


def test_metrics():
    with Server() as server:
        server.ctl("start", "www.example.org")
        server.ctl("wait", "www.example.org")
        status, headers, text = server.get("/metrics")
        assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert 'jitsu_machines{state="running"} 1\n' in text
        assert 'jitsu_start_duration_seconds_count{service="www.example.org",phase="ready"} 1\n' in text
        if shutil.which("promtool"):
            check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
            assert check.returncode == 0 and check.stderr == "", check.stderr


class Page(html.parser.HTMLParser):
    """Collects elements that must balance, text, and whatever would be fetched from elsewhere."""

    VOID = {"meta", "link", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.outside, self.elements = [], "", [], []
        self.feed(text)
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.outside += [value for key, value in attributes
                         if key in ("src", "href", "action") and not value.startswith("data:")]

    def handle_startendtag(self, tag, attributes):
        self.elements.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open}"
        self.open.pop()

    def handle_data(self, data):
        self.text += data


def test_status_page():
    with Server(services=600) as server:
        server.ctl("start", "www.example.org")
        server.ctl("wait", "www.example.org")
        status, headers, text = server.get("/")
        page = Page(text)
        assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.outside == [], f"fetched from elsewhere: {page.outside}"
        assert page.elements.count("script") == 1 and "<script>alert" not in text
        assert "<script>alert(1)</script>.example.org" in page.text, "the name, escaped"
        assert "\033" not in text and "<b>\\" not in text
        assert page.text.index("www.example.org") < page.text.index("stuck.example.org"), "running before off"
        assert "500 shown, 107 more" in page.text
        assert "spawned 1.2" in page.text


def test_other_requests_over_http():
    with Server() as server:
        assert server.get("/nosuch")[0] == 404
        assert server.get("/metrics/")[0] == 404
        status, headers, _ = server.get("/", "POST")
        assert status == 405 and headers["Allow"] == "GET, HEAD"
        assert server.get("/metrics", "DELETE")[0] == 405
        assert server.get("/", "HEAD")[0::2] == (200, "")
        with socket.create_connection(("127.0.0.1", server.port)) as garbage:
            garbage.sendall(b"\0\xff" * 100 + b"\r\n\r\n")
            with contextlib.suppress(OSError):
                garbage.recv(1000)
        assert server.get("/")[0] == 200


def main():
    chosen = sys.argv[1:]
    failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (chosen and name not in chosen):
            continue
        begin = time.monotonic()
        try:
            test()
            verdict = "ok"
        except Exception:
            traceback.print_exc()
            failed += 1
            verdict = "NOT OK"
        print(f"{verdict} {name} ({time.monotonic() - begin:.1f} s)", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
