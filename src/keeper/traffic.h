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
struct traffic;         /* all of it */
struct machine_traffic; /* one machine's */

/* NULL if memory is exhausted. */
struct traffic *traffic_new(struct event_base *base);
/* After all machines' have ended; NULL is allowed. */
void traffic_free(struct traffic *traffic);

/* The machine has sent a client something: the first packet that says more than TCP itself does. */
typedef void traffic_answered_function(void *argument, uint64_t moment);

/* Begins to count for a machine of `service` that has the MAC address `mac`, at its device. NULL
 * with the reason in `error`. */
struct machine_traffic *traffic_begin(struct traffic *traffic, const struct config_service *service,
                                      const char *device, const uint8_t mac[MAC_SIZE],
                                      traffic_answered_function *answered, void *argument,
                                      struct error *error);

/* From now on waits for the next answer. Given up after a thousand packets from clients that got
 * none, as waiting has a cost for each. */
void traffic_await_answer(struct machine_traffic *machine);

/* Has there been any use since this was last asked, or since the beginning? */
bool traffic_was_used(struct machine_traffic *machine);

/* NULL is allowed. */
void traffic_end(struct machine_traffic *machine);

#endif
