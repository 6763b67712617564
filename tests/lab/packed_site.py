#!/usr/bin/env python3
"""jitsuctl pack by its command line; www.elf serves what it has packed: its media types, tags and compressed files."""

import gzip
import hashlib
import http.client
import json
import os
import re
import subprocess
import tempfile

import lab
from machine import Machine

PAGE = "".join(f"<p>line {number} of a page</p>\n" for number in range(2000)).encode()
SITE = {
    "index.html": b"<!doctype html>\n" + PAGE,
    "guide/LICENSE": "You may, \u00e9 too.\n".encode() * 100,
    "guide/logo": b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>\n",
    "latin1.html": b"<meta charset=latin1>caf\xe9",
    "photo": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "with\ttab.css": b"a{}",
}


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def expect_equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: {got!r}, not {wanted!r}")


def pack(*arguments, status=0, environment=None):
    result = subprocess.run([lab.JITSUCTL, "pack", *arguments], capture_output=True, text=True, cwd=directory,
                            env={**os.environ, **(environment or {})})
    expect_equal(result.returncode, status, f"status of pack {arguments}: {result.stdout}{result.stderr}")
    return result.stdout + result.stderr


def bytes_of(name):
    with open(os.path.join(directory, name), "rb") as file:
        return file.read()


def says_what_it_did():
    line = pack("site", "-o", "site.cpio")
    size = os.path.getsize(os.path.join(directory, "site.cpio"))
    expect(re.fullmatch(r"site\.cpio: 6 files, [\d.]+K; [\d] of them compressed from [\d.]+K to [\d.]+K?, which saves "
                        r"9\d %; archive [\d.]+K\n", line), line)
    said = json.loads(pack("--json", "site", "-o", "site.cpio"))
    expect_equal({name: said[name] for name in ("ok", "files", "bytes", "content_bytes")},
                 {"ok": True, "files": 6, "bytes": size, "content_bytes": sum(map(len, SITE.values()))}, "what JSON says")
    expect(said["compressed_to"] < said["compressed_from"] / 10, said)


def takes_options():
    pack("site", "-o", "site.cpio")
    pack("site", "-o", "plain.cpio", "--no-compress")
    expect(b"index.html.gz" in bytes_of("site.cpio"), "no compressed file")
    expect(b"index.html.gz" not in bytes_of("plain.cpio"), "a compressed file")
    expect("SOURCE_DATE_EPOCH" in pack("site", "-o", "x", status=1, environment={"SOURCE_DATE_EPOCH": "now"}), "no time")
    pack("site", "-o", "early.cpio", environment={"SOURCE_DATE_EPOCH": "1000000000"})
    expect(b"%08x" % 1000000000 in bytes_of("early.cpio"), "the time is not in the archive")
    pack("site", status=2)
    expect("takes one operand" in pack("site", "site", "-o", "x", status=2), "two directories")
    refused = subprocess.run([lab.JITSUCTL, "status", "--no-compress"], capture_output=True, text=True, check=False)
    expect(refused.returncode == 2 and "status does not take --no-compress" in refused.stderr, refused)
    expect_equal(pack("missing", "-o", "x", status=1), "jitsuctl: cannot open missing: No such file or directory\n", "no site")


def get(machine, path, **headers):
    """Returns status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", machine.ports[0], timeout=lab.PATIENCE)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, body


def is_served():
    pack("site", "-o", "site.cpio")
    with Machine(lab.image("www.elf"), ramdisk=os.path.join(directory, "site.cpio")) as machine:
        machine.wait_until_ready()
        for path, name, kind in [("/", "index.html", "text/html; charset=utf-8"),
                                 ("/guide/LICENSE", "guide/LICENSE", "text/plain; charset=utf-8"),
                                 ("/guide/logo", "guide/logo", "image/svg+xml"),
                                 ("/latin1.html", "latin1.html", "text/html"),
                                 ("/photo", "photo", "image/png"),
                                 ("/with%09tab.css", "with\ttab.css", "text/css; charset=utf-8")]:
            status, headers, body = get(machine, path)
            expect_equal((status, body, headers["content-type"]), (200, SITE[name], kind), path)
            if "\t" not in name:
                expect_equal(headers["etag"], '"' + hashlib.sha256(body).hexdigest()[:16] + '"', f"the ETag of {path}")
                expect_equal(get(machine, path, If_None_Match=headers["etag"])[0], 304, f"{path} again")

        _, headers, body = get(machine, "/", Accept_Encoding="gzip")
        expect_equal((headers["content-encoding"], headers["content-type"], gzip.decompress(body)),
                     ("gzip", "text/html; charset=utf-8", SITE["index.html"]), "gzip")
        expect(hashlib.sha256(body).hexdigest()[:16] in headers["etag"], f"the ETag of gzip: {headers['etag']}")
        gzip_length = len(body)
        _, headers, body = get(machine, "/", Accept_Encoding="gzip, br")
        expect_equal((headers["content-encoding"], headers["content-type"]), ("br", "text/html; charset=utf-8"), "br")
        expect(len(body) < gzip_length, f"br has {len(body)} bytes, gzip {gzip_length}")
        expect_equal(body, get(machine, "/index.html.br")[2], "the file of br")
        expect_equal(get(machine, "/.jitsu/index")[0], 404, "the index")


with tempfile.TemporaryDirectory(prefix="jitsu-lab-") as directory:
    for file_name, contents in SITE.items():
        os.makedirs(os.path.join(directory, "site", os.path.dirname(file_name)), exist_ok=True)
        with open(os.path.join(directory, "site", file_name), "wb") as site_file:
            site_file.write(contents)
    lab.run(says_what_it_did, takes_options, is_served)
