"""A strict HTTP/1.1 client: whatever an answer has that RFC 9110 or RFC 9112 do not allow is a failure of the test."""

import calendar
import re
import time

TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9]) ([ \t\x21-\x7e]*)")
FIELD = re.compile(rb"(" + TOKEN + rb"):[ \t]*([\x21-\x7e](?:[ \t\x21-\x7e]*[\x21-\x7e])?)?[ \t]*")
ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e]*"')
MEDIA_TYPE = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+(; ?[a-z-]+=[\w.+-]+)*")
CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)")
URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})+")
HEAD_LIMIT = 16384


class Violation(AssertionError):
    """The answer is not what HTTP allows."""


def require(condition, what):
    if not condition:
        raise Violation(what)


def parse_date(text):
    """Seconds since the epoch of a date in the one form that may be sent."""
    try:
        parsed = time.strptime(text, "%a, %d %b %Y %H:%M:%S GMT")
    except ValueError:
        raise Violation(f"not an IMF-fixdate: {text!r}") from None
    require(time.strftime("%a, %d %b %Y %H:%M:%S GMT", parsed) == text, f"not an IMF-fixdate: {text!r}")
    return calendar.timegm(parsed)


class Answer:
    def __init__(self, status, fields, body):
        self.status = status
        self.fields = fields  # names in lower case
        self.body = body

    def __getitem__(self, name):
        return self.fields.get(name.lower())


class Connection:
    """Over a connected socket, which it closes in the end. `answer` reads what request() or send() asked for."""

    def __init__(self, connected):
        self.socket = connected
        self.buffer = b""
        self.ended = False
        self.asked = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, method, target, version="1.1", **fields):
        """Sends a request; underscores in names of fields are hyphens, a list is as many fields."""
        lines = [f"{method} {target} HTTP/{version}"]
        if version != "1.0":
            fields = {"Host": "www.example.org", **fields}
        for name, values in fields.items():
            for value in values if isinstance(values, list) else [values]:
                lines.append(f"{name.replace('_', '-')}: {value}")
        self.send_bytes(method, "".join(line + "\r\n" for line in [*lines, ""]).encode("latin-1"))

    def send_bytes(self, method, request):
        self.asked.append(method)
        self.socket.sendall(request)

    def request(self, method, target, **fields):
        self.send(method, target, **fields)
        return self.answer()

    def get(self, target, **fields):
        return self.request("GET", target, **fields)

    def fill(self):
        piece = self.socket.recv(262144)
        self.buffer += piece
        return bool(piece)

    def take(self, length):
        while len(self.buffer) < length:
            require(self.fill(), f"the connection ended {length - len(self.buffer)} bytes early")
        piece, self.buffer = self.buffer[:length], self.buffer[length:]
        return piece

    def take_head(self):
        while b"\r\n\r\n" not in self.buffer:
            require(len(self.buffer) < HEAD_LIMIT, "a head without an end")
            require(self.fill(), f"the connection ended within a head: {self.buffer[:200]!r}")
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        return head.split(b"\r\n")

    def answer(self):
        """Reads the next answer and checks it."""
        require(not self.ended, "another answer after the last one")
        method = self.asked.pop(0)
        status_line, *lines = self.take_head()
        matched = STATUS_LINE.fullmatch(status_line)
        require(matched, f"a status line that is none: {status_line!r}")
        status = int(matched.group(1))
        fields = {}
        for line in lines:
            require(matched := FIELD.fullmatch(line), f"a header field that is none: {line!r}")
            name = matched.group(1).decode().lower()
            require(name not in fields, f"{name} came twice")
            fields[name] = (matched.group(2) or b"").decode()
        answer = Answer(status, fields, self.take(self.body_length(method, status, fields)))
        self.check_connection(fields)
        check_fields(answer)
        return answer

    @staticmethod
    def body_length(method, status, fields):
        require("transfer-encoding" not in fields, "a transfer coding")
        length = fields.get("content-length")
        if status in (204, 304):
            require(length is None, f"Content-Length with {status}")
            return 0
        require(length is not None and re.fullmatch(r"0|[1-9][0-9]*", length), f"Content-Length is {length!r}")
        return 0 if method == "HEAD" else int(length)

    def check_connection(self, fields):
        option = fields.get("connection")
        require(option in ("close", "keep-alive"), f"Connection is {option!r}")
        if option == "close":
            self.ended = True
            self.expect_end()
        else:
            require(self.asked or not self.buffer, f"unasked for: {self.buffer[:100]!r}")

    def expect_end(self):
        """Nothing more comes, and then the end."""
        while self.fill():
            pass
        require(not self.buffer, f"after the last answer: {self.buffer[:100]!r}")


def check_fields(answer):
    """What the status and the fields say must fit together."""
    fields, status = answer.fields, answer.status
    if "date" in fields:
        now = parse_date(fields["date"])
        require("last-modified" not in fields or parse_date(fields["last-modified"]) <= now, "modified in the future")
    if "last-modified" in fields:
        parse_date(fields["last-modified"])
    if "etag" in fields:
        require(ETAG.fullmatch(fields["etag"]), f"ETag is {fields['etag']!r}")
    if "content-type" in fields:
        require(MEDIA_TYPE.fullmatch(fields["content-type"]), f"Content-Type is {fields['content-type']!r}")
    require("content-type" in fields or not answer.body, "a body of no type")
    require(fields.get("content-encoding") in (None, "gzip", "br"), f"Content-Encoding is {fields.get('content-encoding')!r}")
    require("content-encoding" not in fields or fields.get("vary") == "Accept-Encoding", "a coding without Vary")
    require(status != 405 or "allow" in fields, "405 without Allow")
    require((status in (206, 416)) == ("content-range" in fields), f"{status} and Content-Range {fields.get('content-range')!r}")
    if "content-range" in fields:
        matched = CONTENT_RANGE.fullmatch(fields["content-range"])
        require(matched, f"Content-Range is {fields['content-range']!r}")
        first, last, size = (None if number is None else int(number) for number in matched.groups())
        require((status == 206) == (first is not None), f"Content-Range is {fields['content-range']!r} with {status}")
        require(status == 416 or (first <= last < size and int(fields["content-length"]) == last - first + 1),
                f"Content-Range {fields['content-range']!r} with Content-Length {fields['content-length']}")
    if 300 < status < 400 and status != 304:
        require("location" in fields and URI_REFERENCE.fullmatch(fields["location"]), f"Location is {fields.get('location')!r}")
