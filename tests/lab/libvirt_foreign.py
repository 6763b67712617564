#!/usr/bin/env python3
"""A guest that nobody here wrote, as a domain of libvirt's: the scenarios of foreign.py that a backend has a part in."""

import bridge
import foreign
import lab
import libvirtd

if __name__ == "__main__":
    libvirtd.enter()
    bridge.make_bridge()
    libvirtd.serve_all()
    with libvirtd.Libvirtd():
        lab.run(foreign.a_restarted_jitsud_adopts_it_and_goes_on_counting,
                foreign.the_next_packet_of_a_silent_connection_resumes_it)
