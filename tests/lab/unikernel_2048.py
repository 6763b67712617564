#!/usr/bin/env python3
"""2048 by itself, as an image in QEMU and as a process: it serves the game's files, as they are in the source, from what it
carries. tests/lab/browser.py plays it."""

import functools
import gzip
import http.client
import os

import lab
from machine import Machine, Process

IMAGE = lab.image("2048.elf")
PROGRAM = lab.image("2048-unix")
SITE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "unikernels", "apps", "2048", "site")
TYPES = {"index.html": "text/html; charset=utf-8", "style.css": "text/css; charset=utf-8",
         "script.js": "text/javascript; charset=utf-8", "game.js": "text/javascript; charset=utf-8"}


def image():
    return Machine(IMAGE, memory=8)


def process():
    return Process(PROGRAM)


def get(machine, path, **headers):
    connection = http.client.HTTPConnection(machine.address, machine.ports[0], timeout=lab.PATIENCE)
    connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def serves_the_files_of_the_source(start):
    assert sorted(os.listdir(SITE)) == sorted(TYPES)
    with start() as machine:
        machine.wait_until_ready()
        for name, media_type in TYPES.items():
            with open(os.path.join(SITE, name), "rb") as file:
                source = file.read()
            answer, body = get(machine, f"/{name}")
            assert (answer.status, answer.headers["Content-Type"], body) == (200, media_type, source), answer.headers
            answer, body = get(machine, f"/{name}", Accept_Encoding="gzip")
            assert answer.headers["Content-Encoding"] == "gzip" and len(body) < len(source) / 2, answer.headers
            assert answer.headers["Content-Type"] == media_type and gzip.decompress(body) == source, answer.headers
        assert get(machine, "/")[1] == get(machine, "/index.html")[1]
        assert [get(machine, path)[0].status for path in ("/nothing", "/.jitsu/index", "/.jitsu/")] == [404, 404, 404]


def sends_a_file_only_once(start):
    with start() as machine:
        machine.wait_until_ready()
        tags = set()
        for name in TYPES:
            for coding in "identity", "gzip":
                tag = get(machine, f"/{name}", Accept_Encoding=coding)[0].headers["ETag"]
                answer, body = get(machine, f"/{name}", Accept_Encoding=coding, If_None_Match=tag)
                assert (answer.status, body) == (304, b""), (name, coding, answer.status)
                assert get(machine, f"/{name}", Accept_Encoding=coding, If_None_Match='"other"')[0].status == 200
                tags.add(tag)
        assert len(tags) == 2 * len(TYPES), tags


def is_small():
    size = os.path.getsize(IMAGE)
    assert size <= 250 * 1024, f"2048.elf has {size} bytes"


def on_each_platform(*tests):
    for test in tests:
        for start in image, process:
            run = functools.partial(test, start)
            run.__name__ = f"{test.__name__}_{start.__name__}"
            yield run


lab.run(is_small, *on_each_platform(serves_the_files_of_the_source, sends_a_file_only_once))
