/* ICMP's "destination unreachable" for IPv4 (RFC 792) and IPv6 (RFC 4443, section 3.1). */
#ifndef JITSU_HOLD_UNREACHABLE_H
#define JITSU_HOLD_UNREACHABLE_H

#include "hold/ip.h"

/* Writes the IP packet that tells the sender of `packet`, in the name of its destination, that it
 * was not delivered. A UDP datagram's port is called unreachable, which programs are told at once;
 * for anything else the host is. Writes nothing and returns false if there must be no such answer
 * (RFC 1122, section 3.2.2; RFC 4443, section 2.4): to ICMP, to a later fragment, or where source
 * or destination is not one host. */
bool unreachable_write(struct writer *writer, const struct ip_packet *packet);

#endif
