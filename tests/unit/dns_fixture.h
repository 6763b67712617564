/* For the tests of the DNS room: a configuration built by hand, its table, and questions put to it.
 * Responses are read by ldns, which knows nothing of how we write them. */
#ifndef TESTS_UNIT_DNS_FIXTURE_H
#define TESTS_UNIT_DNS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h> /* before ldns, which makes its own otherwise */
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ldns/ldns.h>

#include "dns/answer.h"
#include "dns/dns.h"

#define FIXTURE_MAX 8 /* zones, services */

struct fixture {
    struct config config;
    struct config_zone zones[FIXTURE_MAX];
    struct config_service services[FIXTURE_MAX];
    struct endpoint listen[4];
    struct dns_host hosts[FIXTURE_MAX];
    struct dns_host *host_pointers[FIXTURE_MAX];
    char files[FIXTURE_MAX][64];
    struct dns_table *table;
    char errors[4096]; /* as reported, a line each; zone files are called ZONE0, ZONE1, ... */
};

/* An empty configuration that listens on 192.0.2.53@53. */
void fixture_init(struct fixture *fixture);
void fixture_free(struct fixture *fixture);

/* Adds a zone; `text` is its file, NULL: none. */
void fixture_zone(struct fixture *fixture, const char *name, const char *text);

/* Adds a service with TTL 60: name, aliases (separated by spaces; "": none), addresses (the same).
 */
struct dns_host *fixture_service(struct fixture *fixture, const char *name, const char *aliases,
                                 const char *addresses);

/* Builds the table; fails the test if there are errors. */
void fixture_build(struct fixture *fixture);

/* Builds the table, which must fail; the errors are then in fixture->errors. */
void fixture_build_fails(struct fixture *fixture);

/* Writes a query: EDNS with that payload size if it is not 0. Returns its length. */
size_t fixture_query(uint8_t *packet, uint16_t id, const char *name, uint16_t type,
                     uint16_t edns_size);

/* Puts a question to the table and returns the response, to be freed with ldns_pkt_free(). */
ldns_pkt *fixture_ask(struct fixture *fixture, const char *name, uint16_t type);

/* The same with EDNS and a largest response. */
ldns_pkt *fixture_ask_sized(struct fixture *fixture, const char *name, uint16_t type,
                            uint16_t edns_size, size_t limit);

/* Fails unless `packet`, the answer to a query, is a response that ldns understands. */
ldns_pkt *fixture_parse(const uint8_t *packet, size_t length);

/* Fails unless the section holds just these records, in this order: "NAME TTL CLASS TYPE DATA"
 * lines, separated by '\n'. */
void assert_section(const ldns_rr_list *section, const char *expected);

/* Asks and checks in one: RCODE and AA as "NOERROR aa", then the three sections. */
void assert_answer(struct fixture *fixture, const char *name, uint16_t type, const char *status,
                   const char *answer, const char *authority, const char *additional);

#endif
