/* What a worker asks of the server that it belongs to. */
#ifndef JITSU_DNS_SERVER_H
#define JITSU_DNS_SERVER_H

struct dns_server;

/* The calling worker uses the new table from now on. */
void server_swapped(struct dns_server *server);

#endif
