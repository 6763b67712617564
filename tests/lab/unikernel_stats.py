#!/usr/bin/env python3
"""stats by itself, as an image in QEMU and as a process: it shows its own boot, phase by phase, its memory and its
connections, as a page and as JSON."""

import functools
import http.client
import json
import os

import lab
from machine import Machine, Process

IMAGE = lab.image("stats.elf")
PROGRAM = lab.image("stats-unix")
NAME = "stats.lab.example"
PHASES = {
    "pvh": ["processor", "console", "memory", "interrupts", "clock", "network device", "addresses", "application", "ready"],
    "unix": ["process", "module", "application", "ready"],
}


def image(**settings):
    return Machine(IMAGE, **settings)


def process(**settings):
    return Process(PROGRAM, **settings)


def get(machine, path, method="GET"):
    connection = http.client.HTTPConnection(machine.address, machine.ports[0], timeout=lab.PATIENCE)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def figures(machine):
    answer, body = get(machine, "/stats.json")
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json", answer.headers
    return json.loads(body)


def phases_follow_each_other_until_it_is_ready(start):
    with start() as machine:
        machine.wait_until_ready()
        facts = figures(machine)
        phases = facts["boot"]["phases"]
        assert [phase["name"] for phase in phases] == PHASES[machine.kind], phases
        began = 0
        for phase in phases:
            assert phase["took"] >= 0 and abs(began + phase["took"] - phase["ended"]) < 0.002, (began, phase)
            began = phase["ended"]
        assert began == facts["boot"]["ready"] < facts["since_entry"] < figures(machine)["since_entry"]


def memory_and_connections_add_up(start):
    with start(memory=8) as machine:
        machine.wait_until_ready()
        first = figures(machine)
        memory, connections = first["memory"], first["connections"]
        assert memory["used"] + memory["free"] == memory["total"], memory
        assert 7 << 20 < memory["total"] <= 8 << 20, memory
        assert connections["open"] == connections["total"] == 1 < connections["limit"], connections
        assert connections["first"]["origin"] == "accepted" and connections["first"]["after_ready"] > 0, connections
        assert first["name"] is None and len(first["addresses"]) == 1, first
        assert (first["image"], first["platform"]) == ("stats", machine.kind), first
        assert first["hypervisor"] == {"pvh": "QEMU (TCG)", "unix": "Linux"}[machine.kind], first
        with machine.connect():
            second = figures(machine)["connections"]
            assert second["open"] >= 2 and second["total"] == 3 and second["first"] == connections["first"], second
        # The host's malloc() keeps some of what it was given back: it has had its share after a while.
        for _ in range(100):
            settled = figures(machine)["memory"]["free"]
        for _ in range(300):
            figures(machine)
        lab.wait_until(lambda: figures(machine)["memory"]["free"] >= settled - 16384, "all memory comes back")


def the_page_shows_it_to_people(start):
    with start(more=f"name=<i>{NAME}&\"") as machine:
        machine.wait_until_ready()
        answer, body = get(machine, "/")
        page = body.decode()
        assert answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8", answer.headers
        assert answer.headers["Cache-Control"] == "no-store", answer.headers
        facts = figures(machine)
        assert facts["name"] == f"<i>{NAME}&\""
        for phase in facts["boot"]["phases"]:
            assert f"<strong>{phase['name']}</strong>" in page, phase
        assert f"&#60;i&#62;{NAME}&#38;&#34;" in page and "<i>stats" not in page
        assert facts["addresses"][0] in page and page.endswith("</html>\n")
        answer, body = get(machine, "/", "HEAD")
        assert (answer.status, body) == (200, b"")
        assert [get(machine, "/", "POST")[0].status, get(machine, "/other")[0].status] == [405, 404]


def is_small():
    size = os.path.getsize(IMAGE)
    assert size <= 220 * 1024, f"stats.elf has {size} bytes"


def on_each_platform(*tests):
    for test in tests:
        for start in image, process:
            run = functools.partial(test, start)
            run.__name__ = f"{test.__name__}_{start.__name__}"
            yield run


lab.run(is_small, *on_each_platform(phases_follow_each_other_until_it_is_ready, memory_and_connections_add_up,
                                    the_page_shows_it_to_people))
