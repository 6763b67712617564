/* Connections that the port has accepted in the machine's stead. */
#ifndef JITSU_NET_TAKE_H
#define JITSU_NET_TAKE_H

#include "common/conduit.h"
#include "net/connections.h"

/* Which connection is it? */
struct ends take_ends(const struct conduit_take *take);

/* Makes the connection the machine's: lwIP goes on where the port has stopped, and the application
 * gets a connection that was just opened, with the client's data. If the outcome is not
 * CONDUIT_DONE, nothing has changed and nothing has been sent. */
enum conduit_outcome take_connection(const struct conduit_take *take);

#endif
