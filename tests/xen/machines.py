#!/usr/bin/env python3
"""Domains that jitsud makes, finds again and ends: with guests that do nothing, which takes little time."""

import os
import subprocess
import signal
import time

from world import *

FILES = {"wait.elf": waiting_kernel(), "halt.elf": images.kernel(images.HALT), "broken.elf": b"\x7fELF" + bytes(100)}


def idle(number, **settings):
    return service(number, **{"image": "wait.elf", "ready": "after:10ms", **settings})


def tiny(*services, **settings):
    return world(*services, **{"files": FILES, **settings})


def domain_of(one):
    return "jitsu-" + one["name"]


def number_of(one):
    return domains()[domain_of(one)][0]


def summon(daemon, one, state="running"):
    assert daemon.resolve(one["name"]) == [one["address"]]
    daemon.wait_for(one["name"], state)


def wait_for_log(daemon, text):
    lab.wait_until(lambda: text in daemon.log(), f"'{text}' in the log")


def a_query_makes_a_domain_whose_device_is_on_the_bridge():
    one = idle(1)
    with tiny(one) as daemon:
        assert not domains()
        summon(daemon, one)
        number = number_of(one)
        status = daemon.status(one["name"])
        assert (status["domain"], status["pid"], status["memory"]) == (domain_of(one), None, 16 << 20), status
        device = f"/sys/class/net/vif{number}.0"
        assert os.path.basename(os.readlink(f"{device}/master")) == BRIDGE
        with open(f"{device}/ifalias") as file:
            assert file.read().endswith("machine of machine1.lab.example\n")
        assert run(f"xenstore-read /local/domain/0/backend/vif/{number}/0/hotplug-status") == "connected\n"
        daemon.ctl("stop", one["name"])
        daemon.wait_for(one["name"], "off")
        assert not domains() and not os.path.exists(device)


def nobody_uses_it_and_it_is_reaped():
    one = idle(1, idle="1s")
    with tiny(one) as daemon:
        summon(daemon, one)
        daemon.wait_for(one["name"], "off")
        assert not domains()
        assert [event["cause"] for event in daemon.events(one["name"]) if event["to"] == "stopping"] == ["idle"]


def a_key_in_xenstore_tells_that_it_is_ready():
    one = idle(1, ready="xenstore:data/ready")
    with tiny(one) as daemon:
        assert daemon.resolve(one["name"]) == [one["address"]]
        number = lab.wait_until(lambda: domains().get(domain_of(one)), "there is a domain")[0]
        assert daemon.state(one["name"]) == "starting"
        run(f"xenstore-write /local/domain/{number}/data/ready yes")
        daemon.wait_for(one["name"], "running")


def one_that_is_never_ready_is_destroyed():
    one = idle(1, ready="xenstore:data/ready", **{"boot-timeout": "1s"})
    with tiny(one) as daemon:
        assert daemon.resolve(one["name"]) == [one["address"]]
        daemon.wait_for(one["name"], "failed")
        lab.wait_until(lambda: not domains(), "its domain is gone")


def what_cannot_be_started_says_why():
    broken, huge = idle(1, image="broken.elf"), idle(2, memory="64G")
    with tiny(broken, huge, limits={"memory": "100G"}) as daemon:
        for one in broken, huge:
            daemon.ctl("start", one["name"], check=False)
            daemon.wait_for(one["name"], "failed")
        assert "broken.elf" in daemon.status(broken["name"])["error"]
        assert "MB of free memory, and it needs 65536 MB" in daemon.status(huge["name"])["error"], daemon.status(huge["name"])
        assert not domains()


def its_own_end_is_noticed_and_so_is_that_by_others():
    halted, destroyed = idle(1, image="halt.elf", ready="xenstore:data/ready"), idle(2)
    with tiny(halted, destroyed) as daemon:
        daemon.ctl("start", halted["name"], check=False)
        daemon.wait_for(halted["name"], "failed")
        assert "powered itself off" in daemon.status(halted["name"])["error"]
        summon(daemon, destroyed)
        run(f"xl destroy {number_of(destroyed)}")
        daemon.wait_for(destroyed["name"], "failed")
        assert "somebody else destroyed its domain" in daemon.status(destroyed["name"])["error"]
        lab.wait_until(lambda: not domains(), "no domain is left")


def one_that_does_not_shut_down_is_destroyed():
    one = idle(1, stop="shutdown", **{"shutdown-timeout": "1s"})
    with tiny(one) as daemon:
        summon(daemon, one)
        daemon.ctl("stop", one["name"])
        daemon.wait_for(one["name"], "off")
        assert "it has not shut down in time: destroying it" in daemon.log()
        assert not domains()


def one_that_is_stopped_while_it_is_made_leaves_nothing():
    one = idle(1)
    with tiny(one) as daemon:
        for _ in range(3):
            daemon.ask(one["name"])
            daemon.ctl("stop", one["name"])
            daemon.wait_for(one["name"], "off")
            assert not domains() and not os.listdir(os.path.join(daemon.run_directory, "xen"))


def a_keeper_that_dies_while_it_makes_one_leaves_nothing():
    one = idle(1)
    with tiny(one) as daemon:
        for pause in 0.05, 0.15, 0.25:
            keeper = daemon.role("keeper")
            daemon.ask(one["name"])
            time.sleep(pause)
            os.kill(keeper, signal.SIGKILL)
            lab.wait_until(lambda: daemon.state(one["name"]) in ("failed", "running"), "its fate is known")
            lab.wait_until(lambda: daemon.rcode(one["name"], "A") == "NOERROR" and daemon.state(one["name"]) == "running",
                           "it is started again")
            assert list(domains()) == [domain_of(one)], domains()
            daemon.ctl("stop", one["name"])
            daemon.wait_for(one["name"], "off")
            lab.wait_until(lambda: not domains(), "no domain is left")


def a_slow_start_delays_no_other():
    """A kernel that unpacks itself keeps the toolstack busy for seconds."""
    slow, one, two = idle(1, image=kernel(), memory="128M", cmdline="quiet"), idle(2), idle(3)
    with tiny(slow, one, two) as daemon:
        daemon.ask(slow["name"])
        daemon.ask(one["name"])
        daemon.ask(two["name"])
        daemon.wait_for(one["name"], "running")
        daemon.wait_for(two["name"], "running")
        assert daemon.state(slow["name"]) == "starting"
        daemon.ctl("stop", slow["name"])
        daemon.wait_for(slow["name"], "off")
        assert sorted(domains()) == [domain_of(one), domain_of(two)]


def instances_of_a_wildcard_have_domains_of_their_own():
    wildcard = {**idle(1, name="*.many.lab.example"), "instances": 4}
    del wildcard["address"]
    with tiny(wildcard) as daemon:
        for name in "a.many.lab.example", "b.many.lab.example":
            daemon.ask(name)
            daemon.wait_for(name, "running")
        before = domains()
        assert sorted(before) == ["jitsu-a.many.lab.example", "jitsu-b.many.lab.example"], before
        daemon.stop()
        daemon.start()
        assert daemon.state("a.many.lab.example") == daemon.state("b.many.lab.example") == "running"
        assert {name: number for name, (number, _) in domains().items()} == {name: number for name, (number, _) in before.items()}


def limits_count_it():
    one, two = idle(1), idle(2)
    with tiny(one, two, limits={"machines": 1}) as daemon:
        summon(daemon, one)
        daemon.dig(two["name"], "A")
        assert daemon.rcode(two["name"], "A") == "SERVFAIL"
        assert list(domains()) == [domain_of(one)]


def a_restarted_jitsud_adopts_it():
    one = idle(1)
    with tiny(one) as daemon:
        summon(daemon, one)
        number = number_of(one)
        daemon.stop()
        assert number_of(one) == number
        daemon.start()
        assert daemon.state(one["name"]) == "running" and number_of(one) == number
        os.kill(daemon.role("keeper"), signal.SIGKILL)
        wait_for_log(daemon, "adopted the machine that runs already")
        lab.wait_until(lambda: daemon.log().count("adopted the machine that runs already") == 2, "it is adopted again")
        assert daemon.state(one["name"]) == "running" and number_of(one) == number
        daemon.ctl("stop", one["name"])
        daemon.wait_for(one["name"], "off")
        assert not domains()


def one_that_had_not_begun_to_serve_is_not_adopted():
    one = idle(1, ready="xenstore:data/ready")
    with tiny(one) as daemon:
        assert daemon.resolve(one["name"]) == [one["address"]]
        number = lab.wait_until(lambda: domains().get(domain_of(one)), "there is a domain")[0]
        daemon.stop(signal.SIGTERM)
        daemon.start()
        lab.wait_until(lambda: number not in [other for other, _ in domains().values()], "it is gone")
        assert "had not begun to serve: destroying it" in daemon.log()


def an_xl_file_describes_it():
    one = {**service(1, xl="one.cfg", memory="24M", ready="after:10ms")}
    text = """# made by hand
type = "pvh"
name = "by-hand"
uuid = "7a3f2c1e-0b52-4a80-9f4e-1d2c3b4a5968"
kernel = "{}"
memory = 24
vcpus = 2
vif = [ 'bridge=br0' ]
on_crash = 'destroy'
"""
    with tiny(one, start=False) as daemon:
        daemon.write("one.cfg", text.format(os.path.join(daemon.directory, "wait.elf")))
        daemon.start()
        summon(daemon, one)
        assert list(domains()) == ["by-hand"]
        assert daemon.status(one["name"])["domain"] == "by-hand"
        listed = run("xl vcpu-list by-hand; xl list -v by-hand")
        assert "7a3f2c1e-0b52-4a80-9f4e-1d2c3b4a5968" in listed and len(listed.splitlines()) == 5, listed
        daemon.ctl("stop", one["name"])
        daemon.wait_for(one["name"], "off")
        daemon.write("one.cfg", text.format("/k").replace("destroy", "preserve") + "builder='hvm'\n")
        checked = subprocess.run([lab.JITSUD, "-t", "-c", daemon.file], capture_output=True, text=True)
        assert checked.returncode == 1, checked
        assert "one.cfg:10: jitsud does not know 'builder'" in checked.stderr, checked.stderr
        assert "one.cfg:9: on_crash is 'preserve'" in checked.stderr, checked.stderr
        daemon.ctl("start", one["name"], check=False)
        daemon.wait_for(one["name"], "failed")


def spares_wait_and_are_used_and_replaced():
    one = idle(1, prewarm=1)

    def waiting():
        return [name for name, (_, state) in domains().items() if name.startswith(domain_of(one) + "+") and "p" in state]

    with tiny(one) as daemon:
        spare = lab.wait_until(waiting, "a spare waits")[0]
        begin = time.monotonic()
        summon(daemon, one)
        print(f"a start from a spare: {daemon.events(one['name'])[-1]['phases']} ms, {time.monotonic() - begin:.3f} s in all")
        assert daemon.status(one["name"])["domain"] == spare
        assert [other for other in lab.wait_until(waiting, "another spare waits")] != [spare]
        daemon.stop()
        daemon.start()
        assert daemon.status(one["name"])["state"] == "running" and spare in domains()
        lab.wait_until(lambda: len(domains()) == 2 and waiting(), "one machine and one spare")


def one_that_cannot_be_saved_waits_in_memory():
    one = idle(1, stop="suspend", **{"suspend-to": "disk"})
    with tiny(one) as daemon:
        summon(daemon, one)
        number = number_of(one)
        daemon.ctl("stop", one["name"])
        daemon.wait_for(one["name"], "suspended")
        assert "p" in domains()[domain_of(one)][1]
        assert "its guest does not say that it can be saved" in daemon.log()
        daemon.stop()
        daemon.start()
        assert daemon.state(one["name"]) == "suspended" and number_of(one) == number
        summon(daemon, one)
        assert "p" not in domains()[domain_of(one)][1] and number_of(one) == number


lab.run(a_query_makes_a_domain_whose_device_is_on_the_bridge, nobody_uses_it_and_it_is_reaped,
        a_key_in_xenstore_tells_that_it_is_ready, one_that_is_never_ready_is_destroyed, what_cannot_be_started_says_why,
        its_own_end_is_noticed_and_so_is_that_by_others, one_that_does_not_shut_down_is_destroyed,
        one_that_is_stopped_while_it_is_made_leaves_nothing, a_keeper_that_dies_while_it_makes_one_leaves_nothing,
        a_slow_start_delays_no_other, instances_of_a_wildcard_have_domains_of_their_own, limits_count_it, a_restarted_jitsud_adopts_it,
        one_that_had_not_begun_to_serve_is_not_adopted, an_xl_file_describes_it, spares_wait_and_are_used_and_replaced,
        one_that_cannot_be_saved_waits_in_memory)
