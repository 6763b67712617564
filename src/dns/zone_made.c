#include "dns/zone_made.h"

#include <time.h>

#include "dns/question.h"

#define SOA_REFRESH 3600
#define SOA_RETRY   600
#define SOA_EXPIRE  1209600

static bool is_wildcard(const struct address *address)
{
    static const uint8_t none[16];
    return memcmp(address->bytes, none, sizeof none) == 0;
}

/* Is there a listener that others can reach by the address it is given? */
static bool listens_beyond_loopback(const struct config *config)
{
    for (size_t i = 0; i < config->listen_count; i++)
        if (!is_wildcard(&config->listen[i].address) &&
            !address_is_loopback(&config->listen[i].address))
            return true;
    return false;
}

/* A label before the apex. False if the name would be too long. */
static bool prepend(const char *label, struct name apex, uint8_t *wire, struct name *name)
{
    struct writer writer = writer_over(wire, NAME_WIRE_MAX);
    writer_u8(&writer, (uint8_t)strlen(label));
    writer_bytes(&writer, label, strlen(label));
    writer_bytes(&writer, apex.wire, apex.length);
    if (writer.failed)
        return false;
    *name = name_at(wire);
    return true;
}

static int add_soa(struct draft *draft, struct draft_name *apex, struct name server,
                   struct name mailbox, uint32_t ttl)
{
    uint8_t data[2 * NAME_WIRE_MAX + 20];
    struct writer writer = writer_over(data, sizeof data);
    writer_bytes(&writer, server.wire, server.length);
    writer_bytes(&writer, mailbox.wire, mailbox.length);
    writer_u32(&writer, (uint32_t)time(NULL));
    writer_u32(&writer, SOA_REFRESH);
    writer_u32(&writer, SOA_RETRY);
    writer_u32(&writer, SOA_EXPIRE);
    writer_u32(&writer, ttl);
    return draft_add_record(draft, apex, DNS_TYPE_SOA, ttl, 0, data, writer.position);
}

static int add_addresses(struct draft *draft, struct draft_name *server, uint32_t ttl)
{
    const struct config *config = draft->config;
    bool beyond = listens_beyond_loopback(config);
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct address *address = &config->listen[i].address;
        if (is_wildcard(address) || (beyond && address_is_loopback(address)))
            continue;
        bool ipv4 = address->family == AF_INET;
        if (draft_add_record(draft, server, ipv4 ? DNS_TYPE_A : DNS_TYPE_AAAA, ttl, 0,
                             address->bytes, ipv4 ? 4 : 16) != 0)
            return -1;
    }
    return 0;
}

void zone_made_add(struct draft *draft, uint32_t zone)
{
    const struct config_zone *config = &draft->config->zones[zone];
    uint8_t apex_wire[NAME_WIRE_MAX], server_wire[NAME_WIRE_MAX], mailbox_wire[NAME_WIRE_MAX];
    struct name apex, server, mailbox;

    name_from_text(config->name, apex_wire, &apex);
    if (!prepend("ns", apex, server_wire, &server) ||
        !prepend("hostmaster", apex, mailbox_wire, &mailbox)) {
        draft_error(draft, draft->config->file, 0,
                    "zone %s: its name is too long to put 'hostmaster' before it; give it a file",
                    config->name);
        return;
    }
    struct draft_name *top = draft_find(draft, apex);
    if (add_soa(draft, top, server, mailbox, config->ttl) != 0 ||
        draft_add_record(draft, top, DNS_TYPE_NS, config->ttl, 0, server.wire, server.length) != 0)
        return;

    /* "ns" may be a zone of its own, or a service, and then has its addresses from there. */
    if (draft_zone_of(draft, server) != zone)
        return;
    struct draft_name *at = draft_add(draft, server, zone);
    if (at && !at->service)
        add_addresses(draft, at, config->ttl);
}
