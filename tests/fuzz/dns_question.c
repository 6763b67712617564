/* Any packet put to a small table: it is answered or not, and a response keeps its size, its id and
 * its form, as ldns reads it. */
#include <stdbool.h> /* before ldns, which makes its own otherwise */

#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#include "dns/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

static const char zone[] =
    "@ SOA ns hostmaster 1 3600 600 86400 300\n"
    "@ NS ns\n"
    "ns A 192.0.2.1\n"
    "alias CNAME www\n"
    "loop CNAME loop\n"
    "*.w CNAME a.w.b\n"
    "sub NS ns.sub\n"
    "ns.sub AAAA 2001:db8::1\n"
    "big TXT \"0123456789012345678901234567890123456789012345678901234567890123456789\"\n"
    "big TXT \"1123456789012345678901234567890123456789012345678901234567890123456789\"\n"
    "big TXT \"2123456789012345678901234567890123456789012345678901234567890123456789\"\n"
    "big TXT \"3123456789012345678901234567890123456789012345678901234567890123456789\"\n"
    "big TXT \"4123456789012345678901234567890123456789012345678901234567890123456789\"\n"
    "big TXT \"5123456789012345678901234567890123456789012345678901234567890123456789\"\n"
    "a.b.c.d.e TYPE65280 \\# 1 00\n";

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void report(void *argument, const char *text)
{
    (void)argument;
    fprintf(stderr, "%s\n", text);
    abort();
}

static const struct dns_table *build(void)
{
    char file[] = "/tmp/jitsu-fuzz-zone-XXXXXX";
    int descriptor = mkstemp(file);
    check(descriptor >= 0 && write(descriptor, zone, sizeof zone - 1) == sizeof zone - 1);
    close(descriptor);

    struct address addresses[2];
    check(address_parse("10.0.0.1", &addresses[0]) == 0);
    check(address_parse("2001:db8::80", &addresses[1]) == 0);
    struct config_zone zones[] = {{.name = (char *)"example", .file = file, .ttl = 60},
                                  {.name = (char *)"made.example", .ttl = 60}};
    struct config_service services[] = {
        {.name = (char *)"www.example", .addresses = addresses, .address_count = 2, .ttl = 60},
        {.name = (char *)"*.apps.example"}};
    struct config config = {.file = (char *)"fuzz",
                            .zones = zones,
                            .zone_count = 2,
                            .services = services,
                            .service_count = 2};
    static struct dns_host host, wildcard;
    wildcard.instances = dns_instances_new(1);
    check(wildcard.instances != NULL);
    dns_instances_add(wildcard.instances, dns_instance_new(&services[0], "known"));
    const struct dns_table *table =
        dns_table_build(&config, (struct dns_host *[]){&host, &wildcard}, report, NULL);
    unlink(file);
    return table;
}

static void check_response(const uint8_t *query, const uint8_t *response, size_t length,
                           size_t limit, const struct question *question)
{
    check(length >= DNS_HEADER_SIZE && length <= limit);
    check(memcmp(query, response, 2) == 0);
    check(response[2] & 0x80);
    check((response[2] & 0x79) == (query[2] & 0x79));
    check(memcmp(query + DNS_HEADER_SIZE, response + DNS_HEADER_SIZE,
                 question->end - DNS_HEADER_SIZE) == 0);
    ldns_pkt *packet = NULL;
    check(ldns_wire2pkt(&packet, response, length) == LDNS_STATUS_OK);
    check((bool)ldns_pkt_edns(packet) == question->has_edns);
    ldns_pkt_free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    static const struct dns_table *table;
    static const struct extended_error extended = {14, "the machine did not start"};
    if (!table)
        table = build();
    for (int failing = 0; failing < 2; failing++) {
        uint8_t *packet = malloc(length > DNS_UDP_SIZE_MAX ? length : DNS_UDP_SIZE_MAX);
        struct question question;
        struct answer answer;
        check(packet != NULL);
        memcpy(packet, bytes, length);
        if (question_parse(&question, packet, length, table->seed)) {
            answer_find(table, &question, &answer);
            if (failing)
                answer_fail(&answer, &extended);
            size_t written = answer_write(&answer, &question, packet, question.udp_size);
            check_response(bytes, packet, written, question.udp_size, &question);
        }
        free(packet);
    }
    return 0;
}
