#!/usr/bin/env python3
"""hello, as an image in QEMU and as a process: what unikernels/README tells people to write does what it says."""

import functools
import http.client
import os
import textwrap

import lab
from machine import Machine, Process

UNIKERNELS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "unikernels")


def image():
    return Machine(lab.image("hello.elf"))


def process():
    return Process(lab.image("hello-unix"))


def is_what_the_readme_shows():
    with open(os.path.join(UNIKERNELS, "apps", "hello", "hello.c"), encoding="utf-8") as file:
        program = file.read().split("*/\n", 1)[1]
    with open(os.path.join(UNIKERNELS, "README"), encoding="utf-8") as file:
        assert textwrap.indent(program, "    ") in file.read(), "unikernels/README shows something else than hello.c"


def says_hello(start):
    with start() as machine:
        machine.wait_until_ready()
        for path in "/", "/somewhere/else":
            connection = http.client.HTTPConnection(machine.address, machine.ports[0], timeout=lab.PATIENCE)
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200, f"{path}: {answer.status}"
            assert answer.read() == f"Hello, you asked for {path}\n".encode(), path
            connection.close()


def on(start):
    test = functools.partial(says_hello, start)
    test.__name__ = f"says_hello_as_{'an' if start is image else 'a'}_{start.__name__}"
    return test


lab.run(is_what_the_readme_shows, on(image), on(process))
