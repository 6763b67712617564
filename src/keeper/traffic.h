/* What machines on bridge networks are used for. The kernel counts, at the machine's network device
 * in the host, the packets that traffic_filter.h lets through; nobody reads them, so that traffic
 * costs jitsud nothing. Only the first that the machine sends its clients after a start is waited
 * for. Works for any device that the host sends a machine's frames by, whoever made it. */
#ifndef JITSU_KEEPER_TRAFFIC_H
#define JITSU_KEEPER_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "config/config.h"
#include "keeper/device_name.h"

struct event_base;
struct traffic; /* one machine's */

/* The machine has sent a client something: the first packet that says more than TCP itself does;
 * or, with `moment` 0, this is not waited for any longer. May end the traffic. */
typedef void traffic_answered_function(void *argument, uint64_t moment);

/* Begins to count for a machine of `service` that has the MAC address `mac`, at its device. NULL
 * with the reason in `error`. */
struct traffic *traffic_begin(struct event_base *base, const struct config_service *service,
                              const char *device, const uint8_t mac[MAC_SIZE],
                              traffic_answered_function *answered, void *argument,
                              struct error *error);

/* From now on waits for the next answer. Given up after a thousand packets from clients that got
 * none, as waiting has a cost for each. */
void traffic_await_answer(struct traffic *traffic);

/* Has there been any use since this was last asked, or since the beginning? */
bool traffic_was_used(struct traffic *traffic);

/* NULL is allowed. */
void traffic_end(struct traffic *traffic);

#endif
