#!/usr/bin/env python3
"""A thousand domains of libvirt's driver for tests, which holds them in the keeper's own process: half of them run when jitsud
begins, and are adopted; the others are started by queries, beside machines that jitsud makes there; all are stopped when idle."""

import lab

COUNT = 1000
RUNNING, SHUT_OFF = 1, 5  # virDomainState


def domain(number):
    state = RUNNING if number % 2 else SHUT_OFF
    return f"""<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'><test:runstate>{state}</test:runstate>
<name>d{number}</name><memory>8192</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"""


def service(number, uri):
    return {"name": f"s{number}.lab.example", "backend": "libvirt", "connect": uri, "domain": f"d{number}", "memory": "8M",
            "ready": "after:0"}


def states(daemon):
    return [service["state"] for service in daemon.ctl("status")["services"]]


def a_thousand_domains_are_found_started_and_stopped():
    daemon = lab.Daemon(limits={"machines": COUNT, "memory": "16G", "starts": 64}, start=False)
    with daemon:
        uri = "test://" + daemon.write("node.xml", "<node>" + "".join(map(domain, range(COUNT))) + "</node>")
        daemon.settings["services"] = [{**service(number, uri), "address": lab.loopback_address(number + 1), "idle": "1h"}
                                       for number in range(COUNT)]
        daemon.configure()
        daemon.start()
        lab.wait_until(lambda: states(daemon).count("running") == COUNT / 2, "those that run are adopted")
        assert daemon.ctl("status")["limits"]["machines"] == COUNT / 2
        for number in range(0, COUNT, 2):
            assert daemon.ask(f"s{number}.lab.example") == 0
        lab.wait_until(lambda: states(daemon).count("running") == COUNT, "all run")
        assert all(service["domain"] == service["name"].replace("s", "d").split(".")[0]
                   for service in daemon.ctl("status")["services"])
        for entry in daemon.settings["services"]:
            entry["idle"] = "1s"
        daemon.configure()
        daemon.ctl("reload")
        lab.wait_until(lambda: states(daemon).count("off") == COUNT, "all are idle, and stopped")
        assert daemon.ctl("status")["limits"]["machines"] == 0


def several_connections_stand_side_by_side():
    daemon = lab.Daemon(start=False)
    with daemon:
        uris = ["test://" + daemon.write(f"node{number}.xml", f"<node>{domain(0)}</node>") for number in range(8)]
        dead = "qemu+unix:///system?socket=" + daemon.directory + "/nobody-is-there"
        daemon.settings["services"] = [{**service(0, uri), "name": f"s{number}.lab.example", "idle": "1h",
                                        "address": lab.loopback_address(number + 1)}
                                       for number, uri in enumerate([*uris, dead])]
        daemon.configure()
        daemon.start()
        for number in range(len(uris) + 1):
            daemon.ask(f"s{number}.lab.example")
        for number in range(len(uris)):
            daemon.wait_for(f"s{number}.lab.example", "running")
        last = f"s{len(uris)}.lab.example"
        daemon.wait_for(last, "failed")
        assert dead in daemon.status(last)["error"], daemon.status(last)


lab.Daemon.complete = staticmethod(lambda number, service: service)

if __name__ == "__main__":
    lab.need_backend("libvirt")
    lab.run(a_thousand_domains_are_found_started_and_stopped,
            several_connections_stand_side_by_side)
