#!/usr/bin/env python3
"""Machines from libvirt, with a libvirtd and QEMU machines of the test's own: the scenarios of bridge networks with another
backend, and what only libvirt has."""

import sys

import bridge
import lab
import libvirtd

WWW = bridge.WWW

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


def in_peace(server, test):
    """The test, begun when libvirt has buried what the one before left."""
    def begun():
        lab.wait_until(lambda: not server.domains(), "no domain is left of the test before")
        test()
    begun.__name__ = test.__name__
    return begun


def complete(number, service):
    """Every service of a test is libvirt's, if it does not say otherwise."""
    return {"backend": "libvirt", **complete.original(number, service)}


complete.original = lab.Daemon.complete


if __name__ == "__main__":
    libvirtd.enter()
    bridge.make_bridge()
    lab.Daemon.complete = staticmethod(complete)
    with libvirtd.Libvirtd() as server:
        lab.run(*[in_peace(server, test) for test in SCENARIOS])
