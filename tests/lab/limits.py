#!/usr/bin/env python3
"""Limits: memory, machines, starts at a time; back-off after failures; a crowd of cold services at once."""

import concurrent.futures
import multiprocessing
import os
import statistics
import time

import lab

lab.need("qemu-system-x86_64", "dig", "curl")
WWW = {"ports": [80], "image": lab.image("www.elf"), "memory": "16M"}


def named(name, **more):
    return {**WWW, "name": f"{name}.lab.example", **more}


def over_the_limit_of_machines_queries_get_servfail_until_there_is_room():
    services = [named("one"), named("two")]
    with lab.Daemon(services=services, limits={"machines": 1}) as daemon:
        daemon.curl(f"http://{daemon.address('one.lab.example')}/")
        daemon.resolve("two.lab.example")  # this one may be answered: it is what asks for the machine
        lab.wait_until(lambda: "SERVFAIL" in daemon.dig("two.lab.example", "A"), "the second is refused")
        answer = daemon.dig("two.lab.example", "A")
        assert "EDE" in answer, answer
        refused = daemon.curl(f"http://{daemon.address('two.lab.example')}/", "--max-time", "5", check=False)
        assert refused.returncode in lab.REFUSED, refused  # not a timeout
        assert daemon.rcode("one.lab.example", "A") == "NOERROR"
        daemon.ctl("stop", "one.lab.example")
        daemon.wait_for("one.lab.example", "off")
        lab.wait_until(lambda: daemon.rcode("two.lab.example", "A") == "NOERROR", "there is room again")
        daemon.curl(f"http://{daemon.address('two.lab.example')}/")


def over_the_limit_of_memory_an_idle_machine_makes_room():
    services = [named("one", idle="1s"), named("two")]
    with lab.Daemon(services=services, limits={"memory": "24M"}) as daemon:
        daemon.curl(f"http://{daemon.address('one.lab.example')}/")
        lab.wait_until(lambda: daemon.curl(f"http://{daemon.address('two.lab.example')}/", check=False).returncode == 0,
                       "the second gets the first one's room")
        assert daemon.state("one.lab.example") != "running"


def a_crowd_of_cold_services_is_served_with_four_starts_at_a_time():
    services = [named(f"s{number}") for number in range(100)] + [named("quiet", summon=[])]
    with lab.Daemon(services=services, limits={"starts": 4, "machines": 120, "memory": "4G"}) as daemon:
        def latencies(count, pause):
            taken = []
            for _ in range(count):
                begin = time.monotonic()
                assert daemon.ask("quiet.lab.example") == 0
                taken.append((time.monotonic() - begin) * 1000)
                time.sleep(pause)
            return taken

        def fetch(service):
            assert daemon.resolve(service["name"])
            return daemon.curl(f"http://{service['address']}/", check=False).returncode

        unloaded = latencies(200, 0.002)

        # A process of its own: the crowd's threads would keep a thread of this one from its clock.
        def measure(results, done):
            if os.geteuid() == 0:
                os.nice(-15)  # nor shall two hundred clients keep it from asking
            taken = []
            while not done.poll():
                taken.extend(latencies(20, 0.005))
            results.send(taken)

        fork = multiprocessing.get_context("fork")
        results_here, results_there = fork.Pipe()
        done_there, done_here = fork.Pipe()
        meter = fork.Process(target=measure, args=(results_there, done_there))
        meter.start()
        most_starting = 0
        crowd = daemon.settings["services"][:100]
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            futures = [pool.submit(fetch, service) for service in crowd]
            while not all(future.done() for future in futures):
                most_starting = max(most_starting, daemon.ctl("status")["limits"]["starts"])
            results = [future.result() for future in futures]
        done_here.send(True)
        loaded = results_here.recv()
        meter.join()
        assert results == [0] * 100, results
        assert 1 <= most_starting <= 4, most_starting
        for label, values in (("unloaded", unloaded), ("loaded", loaded)):
            print(f"  unrelated query, {label}: median {statistics.median(values):.2f} ms, "
                  f"99th percentile {statistics.quantiles(values, n=100)[98]:.2f} ms, {len(values)} queries")


def a_failing_machine_is_tried_again_later_and_connections_are_reset_at_once():
    with lab.Daemon(services=[named("bad"), named("good")], files={"not-a-kernel": "hello"}, start=False) as daemon:
        daemon.settings["services"][0]["image"] = os.path.join(daemon.directory, "not-a-kernel")
        daemon.configure()
        daemon.start()
        done = daemon.curl(f"http://{daemon.address('bad.lab.example')}/", check=False)
        assert done.returncode in (52, *lab.REFUSED), done  # reset, not a timeout
        lab.wait_until(lambda: daemon.state("bad.lab.example") == "failed", "it is failed")
        status = daemon.status("bad.lab.example")
        assert "not-a-kernel" in status["error"], status
        assert status["failures"] >= 1
        assert daemon.rcode("bad.lab.example", "A") == "SERVFAIL"
        daemon.curl(f"http://{daemon.address('good.lab.example')}/")
        lab.wait_until(lambda: daemon.ask("bad.lab.example") >= 0
                       and daemon.status("bad.lab.example")["failures"] >= 2, "it is tried again on demand")


lab.run(over_the_limit_of_machines_queries_get_servfail_until_there_is_room,
        over_the_limit_of_memory_an_idle_machine_makes_room,
        a_failing_machine_is_tried_again_later_and_connections_are_reset_at_once,
        a_crowd_of_cold_services_is_served_with_four_starts_at_a_time)
