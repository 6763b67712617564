#!/usr/bin/env python3
"""A service's life with real machines: summoned by a query, by a connection, by command; reaped; kept; prewarmed."""

import json
import socket
import subprocess
import threading
import time

import lab

lab.need("qemu-system-x86_64", "dig", "curl")
WWW = {"name": "www.lab.example", "ports": [80], "image": lab.image("www.elf"), "memory": "16M"}


def a_query_starts_the_machine_and_the_page_comes_back():
    with lab.Daemon(services=[WWW]) as daemon:
        assert daemon.state(WWW["name"]) == "off"
        address = daemon.resolve(WWW["name"])
        assert address == [daemon.address(WWW["name"])], address
        page = daemon.curl(f"http://{address[0]}/")
        assert b"<html" in page.lower(), page
        assert daemon.state(WWW["name"]) == "running"

        events = daemon.events(WWW["name"])
        start = next(event for event in events if event["to"] == "starting")
        assert start["from"] == "off" and start["cause"] == "dns", start
        assert start["client"].startswith("127.0.0.1"), start
        assert start["query"] == "www.lab.example A", start
        phases = lab.wait_until(lambda: next((event["phases"] for event in daemon.events(WWW["name"])
                                              if event["phases"].get("first_byte")), None),
                                "the first byte is in an event")
        assert 0 < phases["spawned"] < phases["entered"] < phases["ready"] < phases["first_byte"], phases


def a_connection_starts_the_machine_without_a_query():
    with lab.Daemon(services=[WWW]) as daemon:
        assert b"<html" in daemon.curl(f"http://{daemon.address(WWW['name'])}/").lower()
        start = next(event for event in daemon.events() if event["to"] == "starting")
        assert start["cause"] == "connection", start


def summon_says_what_starts_a_machine():
    only_packet = {**WWW, "name": "packet.lab.example", "summon": ["packet"]}
    only_dns = {**WWW, "name": "dns.lab.example", "summon": ["dns"]}
    nothing = {**WWW, "name": "nothing.lab.example", "summon": []}
    with lab.Daemon(services=[only_packet, only_dns, nothing]) as daemon:
        for service in (only_packet, only_dns, nothing):
            assert daemon.resolve(service["name"]) == [daemon.address(service["name"])]
        daemon.wait_for(only_dns["name"], "running")
        assert daemon.state(only_packet["name"]) == "off"
        assert daemon.state(nothing["name"]) == "off"
        daemon.curl(f"http://{daemon.address(only_packet['name'])}/")
        refused = daemon.curl(f"http://{daemon.address(nothing['name'])}/", check=False)
        assert refused.returncode != 0
        assert daemon.state(nothing["name"]) == "off"
        daemon.ctl("start", nothing["name"])
        daemon.wait_for(nothing["name"], "running")
        daemon.curl(f"http://{daemon.address(nothing['name'])}/")


def an_idle_machine_is_stopped_and_an_open_connection_prevents_it():
    kept = {**WWW, "name": "kept.lab.example", "idle": "1s"}
    ignored = {**WWW, "name": "ignored.lab.example", "idle": "1s", "idle-connections": "ignore"}
    with lab.Daemon(services=[kept, ignored]) as daemon:
        connections = [socket.create_connection((daemon.address(service["name"]), 80)) for service in (kept, ignored)]
        for service in (kept, ignored):
            daemon.wait_for(service["name"], "running")
        daemon.wait_for(ignored["name"], "off")
        assert daemon.state(kept["name"]) == "running"
        stop = next(event for event in daemon.events(ignored["name"]) if event["to"] == "stopping")
        assert stop["cause"] == "idle", stop
        for connection in connections:
            connection.close()
        daemon.wait_for(kept["name"], "off")
        lab.wait_until(lambda: not daemon.machines(), "no machine is left")


def queries_count_as_use():
    service = {**WWW, "idle": "3s"}
    with lab.Daemon(services=[service]) as daemon:
        # A host that is too busy to ask often enough tells nothing: then the machine may rightly be stopped.
        for _ in range(5):
            daemon.resolve(service["name"])
            daemon.wait_for(service["name"], "running")
            seen = len(daemon.events(service["name"]))
            longest, last = 0, time.monotonic()
            end = last + 7
            while time.monotonic() < end:
                assert daemon.ask(service["name"]) == 0
                longest, last = max(longest, time.monotonic() - last), time.monotonic()
                time.sleep(0.2)
            if longest < 1.5:
                states = [event["to"] for event in daemon.events(service["name"])[seen:]]
                assert "stopping" not in states, states
                return
        lab.skip("this host is too busy for the test of idle times")


def commands_start_stop_wait_and_are_refused():
    with lab.Daemon(services=[WWW]) as daemon:
        daemon.ctl("start", WWW["name"])
        daemon.ctl("wait", WWW["name"], "--timeout", "60")
        status = daemon.status(WWW["name"])
        assert status["pid"] in daemon.machines(), status
        daemon.ctl("stop", WWW["name"])
        daemon.wait_for(WWW["name"], "off")
        done = subprocess.run([lab.JITSUCTL, "-s", daemon.control, "start", "nobody.example"], capture_output=True, text=True)
        assert done.returncode == 1 and "nobody.example" in done.stderr, done
        done = subprocess.run([lab.JITSUCTL, "-s", daemon.control, "fly"], capture_output=True)
        assert done.returncode == 2, done
        done = subprocess.run([lab.JITSUCTL, "-s", daemon.control, "wait", WWW["name"], "--timeout", "0.2"],
                              capture_output=True)
        assert done.returncode == 1, done


def events_follow_streams_every_transition():
    with lab.Daemon(services=[WWW]) as daemon:
        follower = subprocess.Popen([lab.JITSUCTL, "-s", daemon.control, "--json", "events", "--follow"],
                                    stdout=subprocess.PIPE, text=True)
        try:
            daemon.resolve(WWW["name"])
            daemon.curl(f"http://{daemon.address(WWW['name'])}/")
            daemon.ctl("stop", WWW["name"])
            seen = []
            while not seen or seen[-1] != ("stopping", "off"):
                event = json.loads(follower.stdout.readline())
                seen.append((event["from"], event["to"]))
            assert [pair for pair in seen if pair != ("running", "running")] == [
                ("off", "starting"), ("starting", "running"), ("running", "stopping"), ("stopping", "off")], seen
        finally:
            follower.kill()
            follower.communicate()


def when_ready_keeps_the_answer_until_the_machine_is_ready():
    service = {**WWW, "answer": "when-ready"}
    with lab.Daemon(services=[service]) as daemon:
        assert daemon.resolve(service["name"]) == [daemon.address(service["name"])]
        assert daemon.state(service["name"]) == "running"
        assert daemon.resolve(service["name"]) == [daemon.address(service["name"])]


def keep_always_starts_by_itself_and_again_after_a_death():
    service = {**WWW, "keep": "always", "idle": "1s"}
    with lab.Daemon(services=[service]) as daemon:
        daemon.wait_for(service["name"], "running")
        first = daemon.status(service["name"])["pid"]
        subprocess.run(["kill", "-9", str(first)], check=True)
        lab.wait_until(lambda: daemon.status(service["name"]).get("pid") not in (None, 0, first)
                       and daemon.state(service["name"]) == "running", "the machine runs again")


def a_prewarmed_machine_is_used_and_replaced():
    service = {**WWW, "prewarm": 1}
    with lab.Daemon(services=[service]) as daemon:
        daemon.wait_for_spares(service["name"])
        spares = daemon.machines()
        assert daemon.state(service["name"]) == "off"
        daemon.curl(f"http://{daemon.address(service['name'])}/")
        assert daemon.status(service["name"])["pid"] in spares
        daemon.wait_for_spares(service["name"])


def a_suspended_machine_is_resumed_by_a_connection():
    service = {**WWW, "stop": "suspend"}
    with lab.Daemon(services=[service]) as daemon:
        daemon.curl(f"http://{daemon.address(service['name'])}/")
        pid = daemon.status(service["name"])["pid"]
        daemon.ctl("stop", service["name"])
        daemon.wait_for(service["name"], "suspended")
        daemon.curl(f"http://{daemon.address(service['name'])}/")
        assert daemon.state(service["name"]) == "running"
        assert daemon.status(service["name"])["pid"] == pid


def a_foreign_port_is_ready_when_it_accepts():
    service = {**WWW, "ready": "tcp:80", "cmdline": "ip=%{address}/%{prefixlen} gw=%{gateway} name=%{name}"}
    with lab.Daemon(services=[service]) as daemon:
        assert b"<html" in daemon.curl(f"http://{daemon.address(service['name'])}/").lower()


def two_hundred_cold_requests_never_fail():
    service = {**WWW, "prewarm": 2}
    rounds = 20
    with lab.Daemon(services=[service]) as daemon:
        for _ in range(rounds):
            results = []
            threads = [threading.Thread(target=lambda: results.append(
                daemon.curl(f"http://{daemon.address(service['name'])}/", check=False).returncode)) for _ in range(10)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert results == [0] * 10, results
            daemon.ctl("stop", service["name"])
            daemon.wait_for(service["name"], "off")
        assert daemon.status(service["name"])["starts"] == rounds


lab.run(a_query_starts_the_machine_and_the_page_comes_back, a_connection_starts_the_machine_without_a_query,
        summon_says_what_starts_a_machine, an_idle_machine_is_stopped_and_an_open_connection_prevents_it,
        queries_count_as_use, commands_start_stop_wait_and_are_refused, events_follow_streams_every_transition,
        when_ready_keeps_the_answer_until_the_machine_is_ready, keep_always_starts_by_itself_and_again_after_a_death,
        a_prewarmed_machine_is_used_and_replaced, a_suspended_machine_is_resumed_by_a_connection,
        a_foreign_port_is_ready_when_it_accepts, two_hundred_cold_requests_never_fail)
