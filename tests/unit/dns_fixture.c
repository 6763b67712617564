#include "dns_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void fixture_init(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    struct config *config = &fixture->config;
    config->file = (char *)"jitsud.yaml";
    config->zones = fixture->zones;
    config->services = fixture->services;
    config->listen = fixture->listen;
    config->listen_count = 1;
    assert_int_equal(endpoint_parse("192.0.2.53@53", &fixture->listen[0]), 0);
    for (size_t i = 0; i < FIXTURE_MAX; i++)
        fixture->host_pointers[i] = &fixture->hosts[i];
}

void fixture_free(struct fixture *fixture)
{
    dns_table_free(fixture->table);
    fixture->table = NULL;
    for (size_t i = 0; i < fixture->config.zone_count; i++)
        if (fixture->zones[i].file)
            unlink(fixture->zones[i].file);
    for (size_t i = 0; i < fixture->config.service_count; i++) {
        for (uint16_t alias = 0; alias < fixture->services[i].alias_count; alias++)
            free(fixture->services[i].aliases[alias]);
        free(fixture->services[i].aliases);
        free(fixture->services[i].addresses);
    }
}

void fixture_zone(struct fixture *fixture, const char *name, const char *text)
{
    size_t i = fixture->config.zone_count++;
    fixture->zones[i] = (struct config_zone){.name = (char *)name, .ttl = 30};
    if (!text)
        return;
    snprintf(fixture->files[i], sizeof fixture->files[i], "%s/jitsu-zone-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    int descriptor = mkstemp(fixture->files[i]);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, text, strlen(text)), strlen(text));
    close(descriptor);
    fixture->zones[i].file = fixture->files[i];
}

struct dns_host *fixture_service(struct fixture *fixture, const char *name, const char *aliases,
                                 const char *addresses)
{
    size_t i = fixture->config.service_count++;
    struct config_service *service = &fixture->services[i];
    char text[512], *rest;

    *service = (struct config_service){.name = (char *)name, .ttl = 60, .line = 10 + (uint32_t)i};
    service->aliases = calloc(CONFIG_ALIASES_MAX, sizeof(char *));
    service->addresses = calloc(CONFIG_ADDRESSES_MAX, sizeof *service->addresses);
    snprintf(text, sizeof text, "%s", aliases);
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        service->aliases[service->alias_count++] = strdup(word);
    snprintf(text, sizeof text, "%s", addresses);
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        assert_int_equal(address_parse(word, &service->addresses[service->address_count++]), 0);
    fixture->hosts[i].summons = true;
    return &fixture->hosts[i];
}

/* Keeps an error, with the name of a temporary zone file replaced. */
static void collect(void *argument, const char *text)
{
    struct fixture *fixture = argument;
    size_t used = strlen(fixture->errors), left = sizeof fixture->errors - used;
    char *at = fixture->errors + used;
    for (size_t i = 0; i < fixture->config.zone_count; i++) {
        const char *file = fixture->zones[i].file;
        const char *found = file ? strstr(text, file) : NULL;
        if (found) {
            snprintf(at, left, "%.*sZONE%zu%s\n", (int)(found - text), text, i,
                     found + strlen(file));
            return;
        }
    }
    snprintf(at, left, "%s\n", text);
}

void fixture_build(struct fixture *fixture)
{
    fixture->table = dns_table_build(&fixture->config, fixture->host_pointers, collect, fixture);
    assert_string_equal(fixture->errors, "");
    assert_non_null(fixture->table);
}

void fixture_build_fails(struct fixture *fixture)
{
    fixture->table = dns_table_build(&fixture->config, fixture->host_pointers, collect, fixture);
    assert_null(fixture->table);
    assert_string_not_equal(fixture->errors, "");
}

size_t fixture_query(uint8_t *packet, uint16_t id, const char *name, uint16_t type,
                     uint16_t edns_size)
{
    struct writer writer = writer_over(packet, 512);
    ldns_rdf *wire = ldns_dname_new_frm_str(name); /* keeps the case */
    assert_non_null(wire);
    writer_u16(&writer, id);
    writer_u16(&writer, 0x0100); /* RD */
    writer_u16(&writer, 1);
    writer_u32(&writer, 0);
    writer_u16(&writer, edns_size > 0);
    writer_bytes(&writer, ldns_rdf_data(wire), ldns_rdf_size(wire));
    writer_u16(&writer, type);
    writer_u16(&writer, 1);
    if (edns_size > 0) {
        writer_u8(&writer, 0);
        writer_u16(&writer, 41);
        writer_u16(&writer, edns_size);
        writer_u32(&writer, 0);
        writer_u16(&writer, 0);
    }
    ldns_rdf_deep_free(wire);
    assert_false(writer.failed);
    return writer.position;
}

ldns_pkt *fixture_parse(const uint8_t *packet, size_t length)
{
    ldns_pkt *response = NULL;
    assert_int_equal(ldns_wire2pkt(&response, packet, length), LDNS_STATUS_OK);
    assert_true(ldns_pkt_qr(response));
    return response;
}

ldns_pkt *fixture_ask_sized(struct fixture *fixture, const char *name, uint16_t type,
                            uint16_t edns_size, size_t limit)
{
    static uint8_t packet[UINT16_MAX];
    struct question question;
    struct answer answer;
    size_t length = fixture_query(packet, 0x1234, name, type, edns_size);
    assert_true(question_parse(&question, packet, length, fixture->table->seed));
    answer_find(fixture->table, &question, &answer);
    length = answer_write(&answer, &question, packet, limit);
    assert_true(length <= limit);
    return fixture_parse(packet, length);
}

ldns_pkt *fixture_ask(struct fixture *fixture, const char *name, uint16_t type)
{
    return fixture_ask_sized(fixture, name, type, 0, UINT16_MAX);
}

void assert_section(const ldns_rr_list *section, const char *expected)
{
    char text[8192] = "";
    size_t used = 0;
    for (size_t i = 0; i < ldns_rr_list_rr_count(section); i++) {
        char *record = ldns_rr2str(ldns_rr_list_rr(section, i));
        for (char *c = record; *c; c++)
            if (*c == '\t')
                *c = ' ';
        used += (size_t)snprintf(text + used, sizeof text - used, "%s", record);
        free(record);
    }
    if (used > 0)
        text[used - 1] = '\0'; /* the last line break */
    assert_string_equal(text, expected);
}

void assert_answer(struct fixture *fixture, const char *name, uint16_t type, const char *status,
                   const char *answer, const char *authority, const char *additional)
{
    ldns_pkt *packet = fixture_ask(fixture, name, type);
    char *rcode = ldns_pkt_rcode2str(ldns_pkt_get_rcode(packet));
    char actual[64];
    snprintf(actual, sizeof actual, "%s%s", rcode, ldns_pkt_aa(packet) ? " aa" : "");
    free(rcode);
    assert_string_equal(actual, status);
    assert_section(ldns_pkt_answer(packet), answer);
    assert_section(ldns_pkt_authority(packet), authority);
    assert_section(ldns_pkt_additional(packet), additional);
    assert_int_equal(ldns_pkt_id(packet), 0x1234);
    assert_false(ldns_pkt_ra(packet));
    assert_true(ldns_pkt_rd(packet));
    ldns_pkt_free(packet);
}
