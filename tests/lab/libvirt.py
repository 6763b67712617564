#!/usr/bin/env python3
"""Machines from libvirt, with a libvirtd and QEMU machines of the test's own: the scenarios of bridge networks with another
backend, and what only libvirt has."""

import contextlib
import os
import re
import signal
import socket
import tempfile
import threading
import time

import bridge
import lab
import libvirtd

WWW = bridge.WWW

# Seconds for which libvirtd is away; a minute is much for every run.
GONE = float(os.environ.get("JITSU_LIBVIRTD_GONE", "5"))

# Of bridge.py, run as they are there.
SCENARIOS = [
    bridge.delay_holds_the_first_packets_of_a_query_s_client,
    bridge.a_packet_starts_the_machine_without_a_query,
    bridge.ipv6_is_held_too,
    bridge.delay_probes_the_machine_s_port,
    bridge.delay_waits_for_the_machine_s_arp,
    bridge.handoff_hands_the_connection_over,
    bridge.handoff_takes_many_connections_while_the_machine_boots,
    bridge.an_idle_machine_is_stopped_and_the_next_packet_starts_it_again,
    bridge.a_shutdown_lets_the_machine_finish,
    bridge.a_suspended_machine_goes_on_at_the_next_packet,
    bridge.a_suspended_machine_keeps_its_connections,
    bridge.a_start_that_fails_refuses_clients_at_once,
    bridge.an_open_connection_keeps_the_machine,
    bridge.a_machine_that_dies_is_replaced_for_the_next_client,
    bridge.what_is_sent_before_the_machine_exists_arrives_whole,
    bridge.a_restarted_front_adopts_machine_and_port,
    bridge.a_reload_brings_a_service_and_takes_one_away,
]


STATS = bridge.STATS
LEGACY = {"name": "legacy.lab.example", "network": "lan", "address": "10.77.0.20", "ports": [80], "domain": "legacy",
          "mac": "52:54:00:77:00:20", "boot-timeout": "60s"}

# As an operator would have it: of jitsud's making only by its image.
LEGACY_XML = f"""<domain type='qemu'><name>legacy</name><memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='microvm'>hvm</type><kernel>{lab.image("www.elf")}</kernel>
<cmdline>ip=10.77.0.20/24 gw=10.77.0.1 name=legacy token=00112233445566778899aabbccddeeff</cmdline></os>
<cpu mode='custom' match='exact' check='none'><model>qemu64</model><feature policy='require' name='rdrand'/></cpu>
<on_reboot>destroy</on_reboot><devices><controller type='usb' model='none'/><memballoon model='none'/>
<interface type='bridge'><mac address='52:54:00:77:00:20'/><source bridge='{bridge.BRIDGE}'/><model type='virtio'/>
<address type='virtio-mmio'/></interface></devices></domain>"""


def is_page(body):
    return b"<html" in body.lower()


def fetch_at_last(client, service):
    """A client that tries again when it is refused, as it is while libvirt is away."""
    lab.wait_until(lambda: is_page(client.curl(bridge.url(service), check=False).stdout), f"{service['name']} is served")


@contextlib.contextmanager
def legacy_world(*services, legacy=LEGACY, **settings):
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write(LEGACY_XML)
        file.flush()
        server.virsh("define", file.name)
    try:
        with bridge.world(legacy, *services, **settings) as (daemon, client):
            yield daemon, client
    finally:
        server.virsh("destroy", "legacy", check=False)
        server.virsh("undefine", "legacy")


def an_existing_domain_is_started_held_for_and_stopped():
    with legacy_world() as (daemon, client):
        assert is_page(client.curl(bridge.url(LEGACY)))
        assert server.domains() == ["legacy"]
        assert daemon.status(LEGACY["name"])["domain"] == "legacy"
        daemon.ctl("stop", LEGACY["name"], "--mode", "suspend")
        daemon.wait_for(LEGACY["name"], "suspended")
        assert server.virsh("domstate", "legacy").stdout.strip() == "paused"
        assert is_page(client.curl(bridge.url(LEGACY)))
        daemon.ctl("stop", LEGACY["name"])
        daemon.wait_for(LEGACY["name"], "off")
        assert not server.domains()


def what_others_do_to_a_domain_is_noticed():
    name = LEGACY["name"]
    with legacy_world(limits={"machines": 1}) as (daemon, client):
        server.virsh("start", "legacy")
        daemon.wait_for(name, "running")
        assert daemon.ctl("status")["limits"]["machines"] == 1
        assert is_page(client.curl(bridge.url(LEGACY)))
        server.virsh("suspend", "legacy")
        daemon.wait_for(name, "suspended")
        server.virsh("resume", "legacy")
        daemon.wait_for(name, "running")
        server.virsh("destroy", "legacy")
        daemon.wait_for(name, "failed")
        assert "somebody else destroyed it" in daemon.status(name)["error"]
        assert daemon.ctl("status")["limits"]["machines"] == 0
        server.virsh("start", "legacy")
        # `jitsuctl wait` gives up where it finds a machine failed, as this one is until libvirt tells of it.
        lab.wait_until(lambda: daemon.status(name)["state"] == "running", "it runs again")
        assert daemon.status(name)["starts"] == 0


def a_domain_that_somebody_else_started_is_adopted_at_the_start():
    with legacy_world(start=False) as (daemon, client):
        server.virsh("start", "legacy")
        daemon.start()
        daemon.wait_for(LEGACY["name"], "running")
        assert is_page(client.curl(bridge.url(LEGACY)))


def a_prewarmed_domain_is_resumed():
    service = {**WWW, "prewarm": 1}
    with bridge.world(service) as (daemon, client):
        lab.wait_until(lambda: "a prewarmed machine is waiting" in daemon.log(), "a spare domain waits")
        [spare] = server.domains()
        assert server.virsh("domstate", spare).stdout.strip() == "paused"
        assert is_page(client.curl(bridge.url(service)))
        assert daemon.status(service["name"])["domain"] == spare
        lab.wait_until(lambda: len(server.domains()) == 2, "the next spare is made")
        daemon.stop()
        lab.wait_until(lambda: server.domains() == [spare], "spares end with jitsud, machines do not")
        daemon.start()
        daemon.wait_for(service["name"], "running")


def suspended_to_disk_a_machine_is_no_process_and_goes_on():
    service = {**WWW, "suspend-to": "disk", "stop": "suspend"}
    existing = {**LEGACY, "suspend-to": "disk"}
    with legacy_world(service, legacy=existing) as (daemon, client):
        for machine in service, existing:
            name = machine["name"]
            assert is_page(client.curl(bridge.url(machine)))
            with socket.create_connection((machine["address"] if machine is existing else machine["address"][0], 80),
                                          timeout=lab.PATIENCE) as connection:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(1)
                daemon.ctl("stop", name, "--mode", "suspend")
                daemon.wait_for(name, "suspended")
                assert not server.domains()
                assert is_page(client.curl(bridge.url(machine)))
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                while connection.recv(65536):
                    pass
            daemon.ctl("stop", name, "--mode", "suspend")
            daemon.wait_for(name, "suspended")
        daemon.stop()
        daemon.start()
        for machine in service, existing:
            daemon.wait_for(machine["name"], "suspended")
            assert is_page(client.curl(bridge.url(machine)))
            daemon.ctl("stop", machine["name"], "--mode", "suspend")
            daemon.wait_for(machine["name"], "suspended")
            daemon.ctl("stop", machine["name"], "--mode", "destroy")
            daemon.wait_for(machine["name"], "off")
        assert not os.listdir(os.path.join(daemon.state_directory, "libvirt"))
        assert "managed save: no" in re.sub(r" +", " ", server.virsh("dominfo", "legacy").stdout.lower())


class Questions(threading.Thread):
    """Asks all the time, and keeps what was answered."""

    def __init__(self, daemon, name):
        super().__init__()
        self.daemon_, self.name_ = daemon, name
        self.rcodes, self.slowest, self.ended = [], 0, threading.Event()

    def run(self):
        while not self.ended.wait(0.01):
            begin = time.monotonic()
            self.rcodes.append(self.daemon_.ask(self.name_))
            self.slowest = max(self.slowest, time.monotonic() - begin)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.join()


def libvirtd_may_go_and_come_back():
    qemu = {**STATS, "name": "qemu.lab.example", "address": "10.77.0.12", "backend": "qemu"}
    with bridge.world(WWW, STATS, qemu) as (daemon, client), Questions(daemon, "lab.example") as questions:
        assert is_page(client.curl(bridge.url(WWW)))
        pid = daemon.status(WWW["name"])["pid"]
        server.kill()
        gone = time.monotonic()
        # What runs serves on; another backend's machines come and go; what needs libvirt fails at once, saying why.
        assert is_page(client.curl(bridge.url(WWW)))
        for _ in range(3):
            assert is_page(client.curl(bridge.url(qemu)))
            daemon.ctl("stop", qemu["name"])
            daemon.wait_for(qemu["name"], "off")
        daemon.ctl("start", STATS["name"], check=False)
        daemon.wait_for(STATS["name"], "failed")
        assert "libvirt qemu:///system: " in daemon.status(STATS["name"])["error"]
        asked_to_stop = daemon.ctl("stop", WWW["name"], check=False)
        assert daemon.state(WWW["name"]) == "stopping", asked_to_stop
        assert client.curl(bridge.url(WWW, "/"), "--max-time", "1", check=False)  # wanted again meanwhile
        time.sleep(max(0, gone + GONE - time.monotonic()))
        answered = len(questions.rcodes)
        server.start()
        fetch_at_last(client, STATS)
        fetch_at_last(client, WWW)
        assert daemon.status(WWW["name"])["pid"] != pid
        assert sorted(server.domains()) == ["jitsu-stats.lab.example", "jitsu-www.lab.example"]
        assert len(daemon.machines("jitsu-")) == 2
        assert answered > 10 and set(questions.rcodes) == {0} and questions.slowest < lab.PATIENCE / 4


def a_restarted_libvirtd_starts_nothing_twice():
    services = [{**WWW, "name": f"s{number}.lab.example", "address": f"10.77.0.{30 + number}"} for number in range(6)]
    with bridge.world(*services, limits={"starts": 6}) as (daemon, client):
        for round_ in range(2):
            for service in services:
                daemon.ask(service["name"])
            lab.wait_until(lambda: daemon.machines("jitsu-"), "the first machine exists")
            server.kill()
            server.start()
            for service in services:
                fetch_at_last(client, service)
            assert len(daemon.machines("jitsu-")) == len(services) == len(server.domains())
            for service in services:
                daemon.ctl("stop", service["name"])
            for service in services:
                daemon.wait_for(service["name"], "off")
            lab.wait_until(lambda: not server.domains() and not daemon.machines("jitsu-"), "all are gone")


def a_start_that_loses_its_keeper_is_begun_anew():
    with bridge.world(WWW) as (daemon, client):
        for _ in range(3):
            daemon.ask(WWW["name"])
            lab.wait_until(lambda: daemon.machines("jitsu-"), "a QEMU has been started")
            os.kill(daemon.role("keeper"), signal.SIGKILL)
            fetch_at_last(client, WWW)
            daemon.wait_for(WWW["name"], "running")
            assert len(server.domains()) == len(daemon.machines("jitsu-")) == 1
            daemon.ctl("stop", WWW["name"])
            daemon.wait_for(WWW["name"], "off")


def a_libvirtd_that_hangs_holds_up_nobody():
    qemu = {**STATS, "name": "qemu.lab.example", "address": "10.77.0.12", "backend": "qemu"}
    with bridge.world(WWW, qemu) as (daemon, client):
        server.signal(signal.SIGSTOP)
        try:
            daemon.ask(WWW["name"])
            daemon.wait_for(WWW["name"], "starting")
            assert is_page(client.curl(bridge.url(qemu)))
            daemon.ctl("stop", qemu["name"])
            daemon.wait_for(qemu["name"], "off")
            assert daemon.state(WWW["name"]) == "starting"
        finally:
            server.signal(signal.SIGCONT)
        assert is_page(client.curl(bridge.url(WWW)))
        assert len(daemon.machines("jitsu-")) == 1


def machines_are_adopted_although_libvirtd_is_away():
    with bridge.world(WWW) as (daemon, client):
        assert is_page(client.curl(bridge.url(WWW)))
        pid = daemon.status(WWW["name"])["pid"]
        daemon.stop()
        server.kill()
        daemon.start()
        daemon.wait_for(WWW["name"], "running")
        assert daemon.status(WWW["name"])["pid"] == pid
        assert is_page(client.curl(bridge.url(WWW)))
        server.start()
        lab.wait_until(lambda: daemon.log().count("connected, ") == 2, "jitsud is connected again")
        daemon.ctl("stop", WWW["name"])
        daemon.wait_for(WWW["name"], "off")
        assert not server.domains()


def a_template_of_the_operator_s_describes_the_domain():
    template = f"""<domain type='qemu'><name>whatever</name><memory unit='KiB'>%{{memory}}</memory><vcpu>%{{vcpus}}</vcpu>
<title>%{{name}} &amp; more</title>
<os><type arch='x86_64' machine='microvm'>hvm</type><kernel>%{{image}}</kernel><cmdline>%{{cmdline}}</cmdline></os>
<cpu mode='custom' match='exact' check='none'><model>qemu64</model><feature policy='require' name='rdrand'/></cpu>
<on_reboot>destroy</on_reboot><devices><controller type='usb' model='none'/><memballoon model='none'/>
<serial type='unix'><source mode='connect' path='%{{console}}'/></serial>
<interface type='bridge'><mac address='%{{mac}}'/><source bridge='%{{bridge}}'/><target dev='%{{device}}'/>
<model type='virtio'/><address type='virtio-mmio'/></interface></devices></domain>"""
    service = {**WWW, "domain-xml": "domain.xml", "hold": "handoff", "cmdline": "motd='<&>'"}
    with bridge.world(service, files={"domain.xml": template}) as (daemon, client):
        assert is_page(client.curl(bridge.url(service)))
        assert f"{WWW['name']} &amp; more" in server.virsh("dumpxml", "jitsu-www.lab.example").stdout
        assert daemon.events(service["name"])[-1]["phases"]["entered"]
        daemon.ctl("stop", service["name"])
        daemon.wait_for(service["name"], "off")
        daemon.write("domain.xml", "<domain>%{nothing}</domain>")
        daemon.ctl("start", service["name"], check=False)
        daemon.wait_for(service["name"], "failed")
        assert "unknown placeholder" in daemon.status(service["name"])["error"]


OWN = [
    an_existing_domain_is_started_held_for_and_stopped,
    what_others_do_to_a_domain_is_noticed,
    a_domain_that_somebody_else_started_is_adopted_at_the_start,
    a_prewarmed_domain_is_resumed,
    suspended_to_disk_a_machine_is_no_process_and_goes_on,
    a_template_of_the_operator_s_describes_the_domain,
    libvirtd_may_go_and_come_back,
    a_restarted_libvirtd_starts_nothing_twice,
    a_start_that_loses_its_keeper_is_begun_anew,
    a_libvirtd_that_hangs_holds_up_nobody,
    machines_are_adopted_although_libvirtd_is_away,
]


def in_peace(test):
    """The test, begun when libvirt has buried what the one before left."""
    def begun():
        lab.wait_until(lambda: not server.domains(), "no domain is left of the test before")
        test()
    begun.__name__ = test.__name__
    return begun


if __name__ == "__main__":
    libvirtd.enter()
    bridge.make_bridge()
    libvirtd.serve_all()
    with libvirtd.Libvirtd() as server:
        lab.run(*[in_peace(test) for test in SCENARIOS + OWN])
