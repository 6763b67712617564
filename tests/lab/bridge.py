#!/usr/bin/env python3
"""Bridge networks with real machines: a client on the LAN side of a bridge, whose packets come before the machine exists."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import images
import lab

BRIDGE, PREFIX, GATEWAY, PORT_ADDRESS, CLIENT = "br0", "10.77.0.0/24", "10.77.0.1", "10.77.0.2", "10.77.0.100"
PREFIX6, GATEWAY6, CLIENT6 = "fd77::/64", "fd77::1", "fd77::100"
LAN = {"name": "lan", "type": "bridge", "bridge": BRIDGE, "prefix": [PREFIX, PREFIX6], "gateway": [GATEWAY, GATEWAY6],
       "port-address": PORT_ADDRESS}
WWW = {"name": "www.lab.example", "network": "lan", "address": ["10.77.0.10", "fd77::10"], "ports": [80],
       "image": lab.image("www.elf"), "memory": "16M", "boot-timeout": "60s"}
STATS = {**WWW, "name": "stats.lab.example", "address": "10.77.0.11", "image": lab.image("stats.elf")}


def run(command, **options):
    return subprocess.run(command.split(), check=True, **options)


def enter():
    """Runs this script again in a network of its own, where it is root, and makes a bridge and a client's network."""
    if os.geteuid() != 0:
        lab.skip("jitsud attaches machines to bridges only as root")
    if not os.environ.get("JITSU_BRIDGE_NAMESPACE"):
        lab.need("unshare", "nsenter", "ip", "curl", "dig", "qemu-system-x86_64")
        if subprocess.run(["unshare", "--net", "ip", "tuntap", "add", "t", "mode", "tap"], capture_output=True).returncode != 0:
            lab.skip("no network namespaces or no TAP devices here")
        os.environ["JITSU_BRIDGE_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    run("ip link set lo up")
    make_bridge()


def make_bridge():
    run(f"ip link add {BRIDGE} type bridge")
    run(f"ip addr add {GATEWAY}/24 dev {BRIDGE}")
    run(f"ip -6 addr add {GATEWAY6}/64 dev {BRIDGE} nodad")
    run(f"ip link set {BRIDGE} up")


class Client:
    """A host on the LAN: a network of its own, with one wire to the bridge."""

    def __init__(self, bridge=BRIDGE):
        self.process = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
        self.process.stdout.readline()
        run(f"ip link add lan0 type veth peer name eth0 netns {self.process.pid}")
        run(f"ip link set lan0 master {bridge} up")
        self.run("ip link set lo up")
        self.run(f"ip addr add {CLIENT}/24 dev eth0")
        self.run(f"ip -6 addr add {CLIENT6}/64 dev eth0 nodad")
        self.run("ip link set eth0 up")

    def command(self, *words):
        return ["nsenter", f"--net=/proc/{self.process.pid}/ns/net", *words]

    def run(self, command):
        return subprocess.run(self.command(*command.split()), check=True, capture_output=True, text=True).stdout

    def curl(self, url, *arguments, check=True):
        done = subprocess.run(self.command("curl", "-sS", "--noproxy", "*", "--max-time", str(2 * lab.PATIENCE), *arguments, url),
                              capture_output=True)
        if not check:
            return done
        assert done.returncode == 0, f"curl {url}: {done.returncode} {done.stderr.decode()}"
        return done.stdout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        subprocess.run(["ip", "link", "del", "lan0"], capture_output=True)


@contextlib.contextmanager
def world(*services, network=LAN, **settings):
    with lab.Daemon(services=services, networks=[network], **settings) as daemon, Client() as client:
        yield daemon, client


def url(service, path="/"):
    address = service["address"] if isinstance(service["address"], str) else service["address"][0]
    return f"http://{address}{path}"


def starts(daemon, service):
    return [event for event in daemon.events(service["name"]) if event["to"] == "starting"]


def a_machine_has_several_addresses_of_each_version():
    addresses = [f"10.77.0.{10 + number}" for number in range(4)] + [f"fd77::{10 + number}" for number in range(4)]
    for hold in "delay", "handoff":
        service = {**WWW, "address": addresses, "hold": hold}
        with world(service) as (daemon, client):
            pages = []
            machine = lab.wait_until(lambda: daemon.ctl("start", service["name"]) and halted(daemon, service["name"]), "it is caught while it starts")
            threads = [threading.Thread(target=lambda host=host: pages.append(client.curl(f"http://{host}/")))
                       for host in (f"[{address}]" if ":" in address else address for address in addresses)]
            for thread in threads:
                thread.start()
            counter = "held_frames" if hold == "delay" else "accepted"
            lab.wait_until(lambda: daemon.ctl("stats")["bridges"][counter] >= len(addresses), "all are held")
            os.kill(machine, signal.SIGCONT)
            for thread in threads:
                thread.join()
            assert len(pages) == len(addresses) and len(set(pages)) == 1 and b"<html" in pages[0].lower()
            client.run("ip neigh flush all")  # the machine itself is asked now
            for address in reversed(addresses):
                assert client.curl(f"http://[{address}]/" if ":" in address else f"http://{address}/") == pages[0]
            assert hold == "delay" or daemon.ctl("stats")["bridges"]["handed_over"] == len(addresses)


def halted(daemon, name):
    """The process of the machine that starts, stopped; or None if it was too late for that, or does not start: to be tried again."""
    pid = daemon.status(name)["pid"]
    with contextlib.suppress(TypeError, ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        now = daemon.status(name)
        if (now["state"], now["pid"]) == ("starting", pid):
            return pid
        os.kill(pid, signal.SIGCONT)
        daemon.ctl("stop", name)
    return None


def delay_holds_the_first_packets_of_a_query_s_client():
    with world(WWW) as (daemon, client):
        assert daemon.resolve(WWW["name"]) == ["10.77.0.10"]
        assert b"<html" in client.curl(url(WWW)).lower()
        assert daemon.state(WWW["name"]) == "running"
        assert [event["cause"] for event in starts(daemon, WWW)] == ["dns"]


def a_packet_starts_the_machine_without_a_query():
    with world(WWW) as (daemon, client):
        assert b"<html" in client.curl(url(WWW)).lower()
        start = starts(daemon, WWW)[0]
        assert start["cause"] == "connection" and start["client"].startswith(CLIENT), start


def ipv6_is_held_too():
    with world(WWW) as (daemon, client):
        assert b"<html" in client.curl("http://[fd77::10]/").lower()
        assert starts(daemon, WWW)[0]["client"].startswith(CLIENT6)


def the_host_itself_is_a_client_too():
    with world(WWW) as (daemon, _):
        assert b"<html" in daemon.curl(url(WWW)).lower()


def delay_probes_the_machine_s_port():
    service = {**WWW, "ready": "tcp:80"}
    with world(service) as (daemon, client):
        assert b"<html" in client.curl(url(service)).lower()
        assert daemon.state(service["name"]) == "running"


def delay_waits_for_the_machine_s_arp():
    service = {**WWW, "ready": "arp"}
    with world(service) as (daemon, client):
        daemon.ctl("start", service["name"])
        daemon.wait_for(service["name"], "running")
        assert b"<html" in client.curl(url(service)).lower()


def handoff_hands_the_connection_over():
    service = {**STATS, "hold": "handoff"}
    with world(service, server={"metrics": f"127.0.0.1@{lab.free_port()}"}) as (daemon, client):
        page = json.loads(client.curl(url(service, "/stats.json")))
        assert "handed over" in json.dumps(page), page
        # The client may have its answer before jitsud has read that the machine has the connection.
        lab.wait_until(lambda: daemon.ctl("stats")["bridges"]["handed_over"] == 1, "the connection has been handed over")
        metrics = daemon.curl("http://" + daemon.settings["server"]["metrics"].replace("@", ":") + "/metrics").decode()
        assert 'jitsu_handed_over_total{service="stats.lab.example"} 1' in metrics, metrics
        assert re.search(r"^jitsu_held_frames 0$", metrics, re.M), metrics
        counters = daemon.ctl("stats")["bridges"]
        assert (counters["accepted"], counters["handed_over"], counters["held_frames"]) == (1, 1, 0), counters


def handoff_takes_many_connections_while_the_machine_boots():
    service = {**WWW, "hold": "handoff"}
    with world(service) as (daemon, client):
        pages = []
        threads = [threading.Thread(target=lambda: pages.append(client.curl(url(service)))) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(pages) == 20 and len(set(pages)) == 1 and b"<html" in pages[0].lower()
        assert len(starts(daemon, service)) == 1


def an_idle_machine_is_stopped_and_the_next_packet_starts_it_again():
    for hold in ("delay", "handoff"):
        service = {**WWW, "idle": "1s", "hold": hold}
        with world(service) as (daemon, client):
            for _ in range(3):
                assert b"<html" in client.curl(url(service)).lower()
                daemon.wait_for(service["name"], "off")
            assert len(starts(daemon, service)) == 3


def a_shutdown_lets_the_machine_finish():
    service = {**WWW, "stop": "shutdown"}
    with world(service) as (daemon, client):
        assert b"<html" in client.curl(url(service)).lower()
        begin = time.monotonic()
        daemon.ctl("stop", service["name"])
        daemon.wait_for(service["name"], "off")
        assert time.monotonic() - begin < 10, "it was destroyed after shutdown-timeout instead"
        assert b"<html" in client.curl(url(service)).lower()


def a_suspended_machine_goes_on_at_the_next_packet():
    service = {**WWW, "stop": "suspend"}
    with world(service) as (daemon, client):
        assert b"<html" in client.curl(url(service)).lower()
        pid = daemon.status(service["name"])["pid"]
        daemon.ctl("stop", service["name"])
        daemon.wait_for(service["name"], "suspended")
        assert b"<html" in client.curl(url(service)).lower()
        assert daemon.status(service["name"])["pid"] == pid


def a_suspended_machine_keeps_its_connections():
    service = {**WWW, "stop": "suspend"}
    with world(service) as (daemon, _), socket.create_connection((WWW["address"][0], 80)) as connection:
        for start in ("off", "suspended"):
            connection.sendall(b"HEAD / HTTP/1.1\r\nHost: www.lab.example\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
            last = starts(daemon, service)[-1]
            assert (last["from"], last["cause"]) == (start, "connection"), last
            daemon.ctl("stop", service["name"])
            daemon.wait_for(service["name"], "suspended")


def a_start_that_fails_refuses_clients_at_once():
    for hold in ("delay", "handoff"):
        service = {**WWW, "image": "/nowhere/kernel", "hold": hold}
        with world(service) as (daemon, client):
            begin = time.monotonic()
            done = client.curl(url(service), check=False)
            assert done.returncode in lab.REFUSED, done
            assert time.monotonic() - begin < 5, "not at once"
            assert daemon.state(service["name"]) == "failed"


def handoff_waits_for_the_machine_to_speak_whatever_makes_it_ready():
    with world({**WWW, "hold": "handoff", "ready": "after:0"}) as (_, client):
        assert b"<html" in client.curl(url(WWW)).lower()


def handoff_to_an_image_that_takes_nothing_over_fails_and_says_so():
    service = {**WWW, "image": "other.elf", "hold": "handoff", "ready": "tcp:80"}
    with world(service, files={"other.elf": images.kernel(images.HALT)}) as (daemon, client):
        assert client.curl(url(service), check=False).returncode in lab.REFUSED
        assert "expected 'delay'" in daemon.status(service["name"])["error"], daemon.status(service["name"])


def a_port_that_cannot_be_tried_is_said():
    service = {**WWW, "address": "10.77.0.10", "ready": "tcp:80"}
    network = {key: value for key, value in LAN.items() if key != "port-address"}
    with world(service, network=network) as (daemon, client):
        assert client.curl(url(service), check=False).returncode in lab.REFUSED
        assert "address of the port's own" in daemon.status(service["name"])["error"], daemon.status(service["name"])


def an_open_connection_keeps_the_machine():
    service = {**WWW, "idle": "1s"}
    with world(service) as (daemon, _), socket.create_connection((WWW["address"][0], 80)):
        daemon.wait_for(service["name"], "running")
        lab.wait_until(lambda: daemon.status(service["name"])["connections"] == 1, "the machine tells of its connection")
        time.sleep(3)
        assert daemon.state(service["name"]) == "running"


def a_machine_that_dies_is_replaced_for_the_next_client():
    for hold in ("delay", "handoff"):
        service = {**WWW, "hold": hold}
        with world(service) as (daemon, client):
            assert b"<html" in client.curl(url(service)).lower()
            os.kill(daemon.status(service["name"])["pid"], signal.SIGKILL)
            daemon.wait_for(service["name"], "failed")
            assert client.curl(url(service), check=False).returncode in lab.REFUSED
            lab.wait_until(lambda: client.curl(url(service), check=False).returncode == 0, "it is started again")


def what_is_sent_before_the_machine_exists_arrives_whole():
    service = {**WWW, "hold": "handoff"}
    request = b"GET /?" + b"x" * 1500 + b" HTTP/1.1\r\nHost: www.lab.example\r\nConnection: close\r\n\r\n"
    with world(service) as (daemon, _), socket.create_connection((WWW["address"][0], 80)) as connection:
        for begin in range(0, len(request), 100):
            connection.sendall(request[begin:begin + 100])
        answer = connection.makefile("rb").read()
        assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]
        assert len(starts(daemon, service)) == 1


def a_restarted_front_adopts_machine_and_port():
    service = {**WWW, "idle": "1h"}
    with world(service) as (daemon, client):
        assert b"<html" in client.curl(url(service)).lower()
        pid = daemon.status(service["name"])["pid"]
        daemon.stop()
        assert b"<html" in client.curl(url(service)).lower()
        daemon.start()
        daemon.wait_for(service["name"], "running")
        assert daemon.status(service["name"])["pid"] == pid
        assert b"<html" in client.curl(url(service)).lower()
        daemon.ctl("stop", service["name"])
        daemon.wait_for(service["name"], "off")
        assert b"<html" in client.curl(url(service)).lower()


def a_restarted_keeper_finds_the_port_as_it_was():
    with world(WWW) as (daemon, client):
        keeper = daemon.role("keeper")
        os.kill(keeper, signal.SIGKILL)
        lab.wait_until(lambda: daemon.role("keeper") != keeper, "there is another keeper")
        assert b"<html" in client.curl(url(WWW)).lower()


def a_reload_brings_a_service_and_takes_one_away():
    other = {**WWW, "name": "other.lab.example", "address": "10.77.0.12"}
    with world(WWW) as (daemon, client):
        assert b"<html" in client.curl(url(WWW)).lower()
        daemon.settings["services"].append(daemon.complete(1, other))
        daemon.configure()
        daemon.ctl("reload")
        assert b"<html" in client.curl(url(other)).lower()
        daemon.settings["services"] = [{**daemon.settings["services"][0], "address": "10.77.0.13"}]
        daemon.configure()
        daemon.ctl("reload")
        daemon.ctl("stop", WWW["name"])
        daemon.wait_for(WWW["name"], "off")
        assert b"<html" in client.curl("http://10.77.0.13/").lower()


def jitsud_makes_the_bridge_and_removes_it():
    run(f"ip link del {BRIDGE}")
    try:
        with lab.Daemon(services=[WWW], networks=[{**LAN, "create": "yes"}]) as daemon:
            assert BRIDGE in run("ip -br link", capture_output=True, text=True).stdout
            assert b"<html" in daemon.curl(url(WWW)).lower()
            daemon.ctl("stop", WWW["name"])
            daemon.wait_for(WWW["name"], "off")
            daemon.stop()
            assert BRIDGE not in run("ip -br link", capture_output=True, text=True).stdout
    finally:
        make_bridge()


def the_check_says_what_is_in_the_way():
    daemon = lab.Daemon(services=[{**WWW, "network": "lan"}], networks=[{**LAN, "bridge": "nowhere0"}], start=False)
    with daemon:
        done = subprocess.run([lab.JITSUD, "-t", "-c", daemon.file], capture_output=True, text=True)
        assert done.returncode == 0 and "there is no bridge nowhere0" in done.stdout + done.stderr, done
        daemon.settings["networks"] = [LAN]
        daemon.configure()
        done = subprocess.run([lab.JITSUD, "-t", "-c", daemon.file], capture_output=True, text=True)
        assert done.returncode == 0 and "warning" not in done.stdout + done.stderr, done


if __name__ == "__main__":
    enter()
    lab.run(delay_holds_the_first_packets_of_a_query_s_client,
            a_packet_starts_the_machine_without_a_query,
            ipv6_is_held_too,
            the_host_itself_is_a_client_too,
            delay_probes_the_machine_s_port,
            delay_waits_for_the_machine_s_arp,
            handoff_hands_the_connection_over,
            handoff_takes_many_connections_while_the_machine_boots,
            a_machine_has_several_addresses_of_each_version,
            an_idle_machine_is_stopped_and_the_next_packet_starts_it_again,
            a_shutdown_lets_the_machine_finish,
            a_suspended_machine_goes_on_at_the_next_packet,
            a_suspended_machine_keeps_its_connections,
            a_start_that_fails_refuses_clients_at_once,
            handoff_waits_for_the_machine_to_speak_whatever_makes_it_ready,
            handoff_to_an_image_that_takes_nothing_over_fails_and_says_so,
            a_port_that_cannot_be_tried_is_said,
            an_open_connection_keeps_the_machine,
            a_machine_that_dies_is_replaced_for_the_next_client,
            what_is_sent_before_the_machine_exists_arrives_whole,
            a_restarted_front_adopts_machine_and_port,
            a_restarted_keeper_finds_the_port_as_it_was,
            a_reload_brings_a_service_and_takes_one_away,
            jitsud_makes_the_bridge_and_removes_it,
            the_check_says_what_is_in_the_way)
