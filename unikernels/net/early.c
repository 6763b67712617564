#include "net/early.h"

#include "common/cursor.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip.h"
#include "lwip/prot/ip4.h"
#include "net/hooks.h"
#include "net/network.h"

#define WAITING_MAX 256u /* then it is for the clients to send again */

struct segment {
    struct pbuf *frame;
    struct ends ends;
    uint64_t connection; /* its hash */
    bool checksum_good;
};

static struct segment waiting[WAITING_MAX]; /* the oldest first */
static size_t count;
static uint64_t newest; /* the connection that was taken last, while the port does not know; or 0 */

static uint64_t hash_of(const struct ends *ends)
{
    return network_connection_hash(&ends->machine, ends->machine_port, &ends->client,
                                   ends->client_port);
}

/* Returns false if it is no TCP segment, or one that opens a connection. */
static bool read_segment(const struct pbuf *frame, struct ends *ends)
{
    struct reader reader = reader_over(frame->payload, frame->len);
    const uint8_t *client = NULL, *machine = NULL;
    uint8_t protocol = 0;
    size_t size = 0;

    reader_skip(&reader, SIZEOF_ETH_HDR - sizeof(uint16_t));
    uint16_t type = reader_u16(&reader);
    if (type == ETHTYPE_IP) {
        size_t header_length = (reader_u8(&reader) & 0xfu) * 4;
        reader_skip(&reader, 8);
        protocol = reader_u8(&reader);
        reader_skip(&reader, 2);
        client = reader_take(&reader, size = 4);
        machine = reader_take(&reader, size);
        reader_skip(&reader, header_length - IP_HLEN);
    } else if (type == ETHTYPE_IPV6) {
        reader_skip(&reader, 6);
        protocol = reader_u8(&reader);
        reader_skip(&reader, 1);
        client = reader_take(&reader, size = 16);
        machine = reader_take(&reader, size);
    }
    ends->client_port = reader_u16(&reader);
    ends->machine_port = reader_u16(&reader);
    reader_skip(&reader, 9); /* numbers, header length */
    uint8_t flags = reader_u8(&reader);
    if (reader.failed || protocol != IP_PROTO_TCP || flags & TCP_SYN)
        return false;
    ends->client = connections_address(client, size);
    ends->machine = connections_address(machine, size);
    return true;
}

static bool others_wait(uint64_t connection)
{
    for (size_t i = 0; i < count; i++)
        if (waiting[i].connection == connection)
            return true;
    return false;
}

bool early_keep(struct pbuf *frame, bool checksum_good)
{
    struct segment segment = {.frame = frame, .checksum_good = checksum_good};

    if (count == WAITING_MAX || !read_segment(frame, &segment.ends))
        return false;
    segment.connection = hash_of(&segment.ends);
    if (connections_find(tcp_active_pcbs, &segment.ends) && segment.connection != newest &&
        !others_wait(segment.connection))
        return false;
    waiting[count++] = segment;
    return true;
}

void early_taken(const struct ends *ends)
{
    newest = hash_of(ends);
}

/* Those of connections that are there, or all. */
static void release(bool all)
{
    size_t left = count;

    newest = 0;
    count = 0;
    for (size_t i = 0; i < left; i++) {
        struct segment segment = waiting[i];
        if (all || connections_find(tcp_active_pcbs, &segment.ends))
            network_input(segment.frame, segment.checksum_good);
        else
            waiting[count++] = segment;
    }
}

void early_release(void)
{
    release(false);
}

void early_release_all(void)
{
    release(true);
}
