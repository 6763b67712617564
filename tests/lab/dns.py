#!/usr/bin/env python3
"""The DNS server as dig and kdig see it."""

import json
import os
import re
import socket
import subprocess

import lab

lab.need("dig", "kdig")

ZONE = """$ORIGIN example.org.
$TTL 3600
@        SOA  ns hostmaster 7 7200 3600 1209600 300
@        NS   ns
@        MX   10 mail
ns       A    192.0.2.53
mail     A    192.0.2.25
mail     AAAA 2001:db8::25
alias    CNAME mail
toweb    CNAME www
deep.er  TXT  "an empty non-terminal is above"
*.wild   TXT  "from a wildcard"
sub      NS   ns.sub
ns.sub   A    192.0.2.99
big      TXT  "{big}"
         TXT  "{big}1"
         TXT  "{big}2"
         TXT  "{big}3"
         TXT  "{big}4"
         TXT  "{big}5"
         TXT  "{big}6"
""".replace("{big}", "x" * 200)

SERVICES = [{"name": "www.example.org", "aliases": ["example.org", "WWW2.Example.ORG"], "summon": ["packet"],
             "address": ["127.9.9.9", "::1"], "image": "/nonexistent/image", "ttl": 42},
            {"name": "made.example.net", "summon": ["packet"], "image": "/nonexistent/image", "address": "127.9.9.10"}]


def daemon():
    return lab.Daemon(services=SERVICES, files={"example.org.zone": ZONE},
                      zones=[{"name": "example.org", "file": "example.org.zone"}, {"name": "example.net", "ttl": 77}])


def header(output):
    return re.search(r"status: (\w+)", output).group(1), re.search(r"flags: ([\w ]*);", output).group(1).split()


def counts(output):
    return tuple(int(number) for number in re.search(r"ANSWER: (\d+), AUTHORITY: (\d+)", output).groups())


def services_and_zones_are_answered():
    with daemon() as d:
        assert d.resolve("www.example.org") == ["127.9.9.9"]
        assert d.resolve("www.example.org", "AAAA") == ["::1"]
        assert d.resolve("example.org") == ["127.9.9.9"]
        assert d.resolve("www2.example.org") == ["127.9.9.9"]
        assert " 42 " in d.dig("+noall", "+answer", "www.example.org").replace("\t", " ")
        assert d.resolve("mail.example.org") == ["192.0.2.25"]
        assert d.resolve("alias.example.org") == ["mail.example.org.", "192.0.2.25"]
        assert d.resolve("toweb.example.org") == ["www.example.org.", "127.9.9.9"]
        assert d.resolve("x.wild.example.org", "TXT") == ['"from', "a", 'wildcard"']
        assert d.resolve("example.org", "NS") == ["ns.example.org."]
        assert d.resolve("example.org", "SOA")[2] == "7"
        assert d.resolve("made.example.net") == ["127.9.9.10"]
        assert d.resolve("example.net", "SOA") and d.resolve("example.net", "NS")
        status, flags = header(d.dig("www.example.org"))
        assert status == "NOERROR" and "aa" in flags and "ra" not in flags


def negative_answers_carry_the_soa():
    with daemon() as d:
        for arguments, status in ((("www.example.org", "MX"), "NOERROR"), (("er.example.org", "A"), "NOERROR"),
                                  (("made.example.net", "AAAA"), "NOERROR"), (("nothing.example.org", "A"), "NXDOMAIN"),
                                  (("a.b.example.net", "A"), "NXDOMAIN")):
            output = d.dig(*arguments)
            assert header(output)[0] == status, output
            assert counts(output) == (0, 1) and "SOA" in output, output
        output = d.dig("host.sub.example.org")
        assert header(output) == ("NOERROR", ["qr", "rd"]), output
        assert "ns.sub.example.org" in output and "192.0.2.99" in output


def what_is_not_served_is_refused():
    with daemon() as d:
        assert d.rcode("example.com") == "REFUSED"
        assert d.rcode("version.bind", "CH", "TXT") == "REFUSED"
        assert d.rcode("+opcode=notify", "example.org", "SOA") == "NOTIMP"
        assert d.rcode("+opcode=status", "example.org", "SOA") == "NOTIMP"
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(lab.PATIENCE)
            client.connect(d.dns_endpoint)
            client.send(b"\x00\x07\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www")  # the question is cut off
            answer = client.recv(512)
            assert answer[:2] == b"\x00\x07" and answer[3] & 15 == 1, answer


def edns_and_truncation():
    with daemon() as d:
        output = d.dig("+bufsize=4096", "+dnssec", "www.example.org")
        assert "EDNS: version: 0, flags: do; udp: 1232" in output, output
        assert "EDNS" not in d.dig("+noedns", "www.example.org")
        assert d.rcode("+edns=1", "+noednsnegotiation", "www.example.org") == "BADVERS"
        output = d.dig("+noedns", "+ignore", "big.example.org", "TXT")
        assert "tc" in header(output)[1], output
        output = d.dig("+noedns", "big.example.org", "TXT")  # dig asks again over TCP
        assert counts(output)[0] == 7 and "(TCP)" in output, output
        assert counts(d.dig("+tcp", "big.example.org", "TXT"))[0] == 7


def the_names_case_comes_back():
    with daemon() as d:
        output = d.dig("wWw.ExAmPlE.oRg")
        assert ";wWw.ExAmPlE.oRg." in output and "127.9.9.9" in output, output


def tcp_answers_many_questions_on_one_connection():
    with daemon() as d:
        address = [f"@{d.dns_endpoint[0]}", "-p", str(d.dns_endpoint[1])]
        done = subprocess.run(["kdig", *address, "+tcp", "+keepopen", "www.example.org", "A", "mail.example.org", "A",
                               "example.org", "SOA"], capture_output=True, text=True)
        assert done.returncode == 0 and done.stdout.count("NOERROR") == 3, done
        packet = b"\0\x1d" + b"\x00\x01\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04mail\x07example\x03org\0\0\x01\0\x01"
        packet = bytes([0, len(packet) - 2]) + packet[2:]
        with socket.create_connection(d.dns_endpoint, timeout=lab.PATIENCE) as connection:
            connection.sendall(packet * 50)
            received = b""
            while received.count(b"\x04mail\x07example\x03org") < 50:
                chunk = connection.recv(65536)
                assert chunk
                received += chunk


def a_reload_swaps_zones_and_a_broken_one_leaves_the_old():
    with daemon() as d:
        d.write("example.org.zone", ZONE.replace("192.0.2.25", "192.0.2.26"))
        d.ctl("reload")
        assert d.resolve("mail.example.org") == ["192.0.2.26"]
        d.write("example.org.zone", ZONE + "broken A not-an-address\n")
        done = subprocess.run([lab.JITSUCTL, "-s", d.control, "reload"], capture_output=True, text=True)
        assert done.returncode == 1, done
        assert "example.org.zone:" in done.stderr + done.stdout, done
        assert d.resolve("mail.example.org") == ["192.0.2.26"]
        d.write("example.org.zone", ZONE)
        d.settings["services"].append({"name": "new.example.net", "summon": ["packet"], "image": "/nonexistent/image",
                                       "address": "127.9.9.11"})
        d.configure()
        d.ctl("reload")
        assert d.resolve("new.example.net") == ["127.9.9.11"]
        assert d.resolve("mail.example.org") == ["192.0.2.25"]


def reload_fails(d):
    done = subprocess.run([lab.JITSUCTL, "-s", d.control, "reload"], capture_output=True, text=True)
    assert done.returncode == 1, done
    return done.stderr + done.stdout


def a_reload_reads_what_only_root_may_look_at():
    if os.geteuid() != 0:
        print("(skipped: this needs root)")
        return
    with lab.Daemon(start=False) as d:
        closed = os.path.join(d.directory, "closed")
        os.mkdir(closed, 0o700)
        d.file = os.path.join(closed, "jitsud.yaml")
        d.settings["zones"] = [{"name": "example.org", "file": "example.org.zone"}, {"name": "example.net"}]

        def write(zone):
            d.write("closed/example.org.zone", zone)
            d.write("closed/jitsud.yaml", json.dumps(d.settings))
        write(ZONE)
        d.start()
        assert d.resolve("mail.example.org") == ["192.0.2.25"]
        write(ZONE.replace("192.0.2.25", "192.0.2.26"))
        d.ctl("reload")
        assert d.resolve("mail.example.org") == ["192.0.2.26"]
        write(ZONE + "broken A not-an-address\n")
        assert f"{closed}/example.org.zone:{ZONE.count(chr(10)) + 1}: " in reload_fails(d)
        d.settings["zones"] += [{"name": "example.com", "file": "missing.zone"}, {"name": "example.edu", "file": "."}]
        write(ZONE)
        problems = reload_fails(d)
        assert f"{closed}/missing.zone: cannot be opened (zone example.com): No such file" in problems, problems
        assert f"{closed}/. is not a file" in problems, problems
        d.settings["zones"][2:] = [{"name": "example.com", "file": "empty.zone"}]
        d.write("closed/empty.zone", "")
        write(ZONE)
        assert "empty.zone: no SOA record" in reload_fails(d)
        d.settings["zones"][2:] = [{"name": "example.com", "zone": "x"}]
        write(ZONE)
        assert "unknown key 'zone'" in reload_fails(d)
        os.unlink(d.file)
        assert f"cannot open {d.file}: No such file" in reload_fails(d)
        del d.settings["zones"][2]
        write(ZONE)
        d.ctl("reload")
        assert d.resolve("mail.example.org") == ["192.0.2.25"]


lab.run(services_and_zones_are_answered, negative_answers_carry_the_soa, what_is_not_served_is_refused,
        edns_and_truncation, the_names_case_comes_back, tcp_answers_many_questions_on_one_connection,
        a_reload_swaps_zones_and_a_broken_one_leaves_the_old, a_reload_reads_what_only_root_may_look_at)
