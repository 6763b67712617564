/* For tests of the running DNS server: one that serves a fixture on loopback, and clients of it. */
#ifndef TESTS_UNIT_DNS_CLIENT_H
#define TESTS_UNIT_DNS_CLIENT_H

#include "dns_fixture.h"

#include <semaphore.h>

#include "common/address.h"

/* How long anything may take before a test fails. */
#define PATIENCE_MILLISECONDS 20000

struct serving {
    struct fixture fixture;
    struct dns_server *server;
    struct endpoint endpoint;       /* where it listens */
    sem_t wanted;                   /* posted for each wanted name */
    struct dns_want want;           /* the last of them */
    sem_t asked;                    /* posted when it is asked about a label */
    char label[NAME_LABEL_MAX + 1]; /* the last of them */
    uint16_t asked_type;
    unsigned asker;   /* the worker */
    sem_t retired;    /* posted when no worker sees an instance any more, which is then freed */
    bool hold_worker; /* the worker that says so waits for `go_on` */
    sem_t go_on;
    struct dns_server_options options;
};

/* Begins a fixture with the zone example.org, in which big.example.org has 2,000 bytes of TXT
 * records, and the service www.example.org with 10.0.0.1. More may be added before serve(). */
void serving_init(struct serving *serving);

/* Serves it on `address` ("127.0.0.1") with that many workers. */
void serve(struct serving *serving, const char *address, unsigned workers);
void serving_stop(struct serving *serving);

/* A socket connected to the server at `address`. */
int client_open(const struct serving *serving, const char *address, int type);

/* Sends a query over UDP. */
void client_ask(int client, uint16_t id, const char *name, uint16_t type);

/* The next response over UDP. */
ldns_pkt *client_receive(int client);

/* The same over TCP. client_read_end() waits for the end of the stream, or a reset, instead. */
void client_write(int client, uint16_t id, const char *name, uint16_t type);
ldns_pkt *client_read(int client);
void client_read_end(int client);

/* Fail unless the response has that id and RCODE; free it. */
void assert_response(ldns_pkt *response, uint16_t id, ldns_pkt_rcode rcode);
void assert_failure(ldns_pkt *response, uint16_t id, uint16_t extended, const char *text);

/* Fails if a response is there, or on its way, over UDP: asks something else, whose answer must
 * come next. With one worker, responses come in the order in which they are sent. */
void assert_silence(int client);

#endif
