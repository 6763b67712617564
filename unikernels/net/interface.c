/* lwIP's network interface on a network_device. */
#include <stdlib.h>
#include <string.h>

#include "common/conduit.h"
#include "jitsu/application.h"
#include "jitsu/boot.h"
#include "jitsu/clock.h"
#include "jitsu/options.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"
#include "net/addresses4.h"
#include "net/advertisement.h"
#include "net/conduit.h"
#include "net/device.h"
#include "net/hooks.h"
#include "net/network.h"
#include "net/stop.h"
#include "netif/ethernet.h"
#include "platform/platform.h"

#define BACKLOG_SIZE         1024u /* frames that wait for room at the device; a power of two */
#define PARTS_MAX            8u
#define ADDRESS_TEXT_SIZE    64
#define SEGMENT_MAX          (UINT16_MAX - 255u) /* with headers it still is a packet */
#define FINISH_TIME          (10 * CLOCK_SECOND) /* for requests that are open */
#define TCP_CHECKSUM_AT      16
#define TCP_HEADER_LENGTH_AT 12

/* lwIP's view of one of the driver's receive buffers. */
struct receive_buffer {
    struct pbuf_custom pbuf; /* first: lwIP gives it back */
};

static struct netif interface;
static struct network_device *device;
static struct receive_buffer *receive_buffers;
static unsigned receive_buffers_held;
static struct pbuf *backlog[BACKLOG_SIZE];
static uint32_t backlog_first, backlog_end;
static ip6_addr_t gateway6;
static bool has_gateway6;

static void frame_sent(void *owner)
{
    pbuf_free(owner);
}

/* The sum of what TCP's checksum covers besides the segment, into the segment's checksum: the
 * device adds the rest. Returns the segment's offset, or 0 if the frame is no TCP segment. */
static uint16_t prepare_checksum(struct pbuf *frame)
{
    uint8_t *bytes = frame->payload;
    uint16_t type = (uint16_t)(bytes[12] << 8 | bytes[13]);
    const uint8_t *addresses;
    size_t addresses_length;
    uint16_t from;

    if (type == ETHTYPE_IP && bytes[SIZEOF_ETH_HDR + 9] == IP_PROTO_TCP) {
        from = (uint16_t)(SIZEOF_ETH_HDR + (bytes[SIZEOF_ETH_HDR] & 0xf) * 4);
        addresses = bytes + SIZEOF_ETH_HDR + 12;
        addresses_length = 8;
    } else if (type == ETHTYPE_IPV6 && bytes[SIZEOF_ETH_HDR + 6] == IP_PROTO_TCP) {
        from = SIZEOF_ETH_HDR + IP6_HLEN;
        addresses = bytes + SIZEOF_ETH_HDR + 8;
        addresses_length = 32;
    } else {
        return 0;
    }
    LWIP_ASSERT("TCP's header is in one piece with those before it", from + TCP_HLEN <= frame->len);
    uint32_t sum = network_checksum(addresses, (int)addresses_length);
    sum += lwip_htons(IP_PROTO_TCP);
    sum += lwip_htons((uint16_t)(frame->tot_len - from));
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    uint16_t folded = (uint16_t)sum;
    memcpy(bytes + from + TCP_CHECKSUM_AT, &folded, sizeof folded);
    return from;
}

/* A TCP segment that is longer than a frame: the device is to cut it. */
static void prepare_cutting(struct frame *frame, const struct pbuf *pbuf)
{
    const uint8_t *tcp = (const uint8_t *)pbuf->payload + frame->checksum_from;

    frame->headers_length = (uint16_t)(frame->checksum_from + (tcp[TCP_HEADER_LENGTH_AT] >> 4) * 4);
    frame->segment_size = (uint16_t)(NETWORK_FRAME_MAX - frame->headers_length);
}

static bool send_now(struct pbuf *pbuf)
{
    struct frame_part parts[PARTS_MAX];
    struct frame frame = {.parts = parts, .checksum_at = TCP_CHECKSUM_AT, .owner = pbuf};

    for (const struct pbuf *part = pbuf; part; part = part->next)
        if (part->len > 0)
            parts[frame.part_count++] = (struct frame_part){part->payload, part->len};
    if (device->offloads_checksum)
        frame.checksum_from = prepare_checksum(pbuf);
    if (pbuf->tot_len > NETWORK_FRAME_MAX && frame.checksum_from)
        prepare_cutting(&frame, pbuf);
    return device->driver->send(device, &frame);
}

/* How many parts of the device's the frame has. */
static unsigned count_parts(const struct pbuf *pbuf)
{
    unsigned count = 0;

    for (; pbuf; pbuf = pbuf->next) {
        uintptr_t begin = (uintptr_t)pbuf->payload, last = begin + pbuf->len - 1;
        if (pbuf->len > 0)
            count += 1 + (unsigned)(last / device->part_end - begin / device->part_end);
    }
    return count;
}

/* Can the device take it as it is: room for its header in front, and not too many parts? */
static bool fits_device(struct pbuf *pbuf)
{
    if (pbuf_clen(pbuf) > (device->parts_max < PARTS_MAX ? device->parts_max : PARTS_MAX))
        return false;
    if (device->part_end && count_parts(pbuf) > device->parts_max)
        return false;
    if (pbuf_add_header(pbuf, device->headroom) != 0)
        return false;
    pbuf_remove_header(pbuf, device->headroom);
    return true;
}

static err_t interface_output(struct netif *netif, struct pbuf *pbuf)
{
    (void)netif;
    if (fits_device(pbuf))
        pbuf_ref(pbuf);
    else if (!(pbuf = pbuf_clone(PBUF_RAW_TX, PBUF_RAM, pbuf)))
        return ERR_MEM;
    if (backlog_first == backlog_end && send_now(pbuf))
        return ERR_OK;
    if (backlog_end - backlog_first == BACKLOG_SIZE) {
        pbuf_free(pbuf);
        return ERR_MEM;
    }
    backlog[backlog_end++ % BACKLOG_SIZE] = pbuf;
    return ERR_OK;
}

static void receive_buffer_free(struct pbuf *pbuf)
{
    struct receive_buffer *buffer = (struct receive_buffer *)pbuf;

    receive_buffers_held--;
    device->driver->release(device, (unsigned)(buffer - receive_buffers));
}

/* The frame in place while most buffers are with the device; else a copy, so that connections whose
 * data nobody takes cannot keep the device from receiving at all. */
static struct pbuf *wrap(unsigned number, void *bytes, uint16_t length)
{
    struct receive_buffer *buffer = &receive_buffers[number];

    receive_buffers_held++;
    buffer->pbuf.custom_free_function = receive_buffer_free;
    struct pbuf *pbuf =
        pbuf_alloced_custom(PBUF_RAW, length, PBUF_REF, &buffer->pbuf, bytes, length);
    if (receive_buffers_held <= device->receive_buffers / 2)
        return pbuf;
    struct pbuf *copy = pbuf_clone(PBUF_RAW, PBUF_RAM, pbuf);
    pbuf_free(pbuf);
    return copy;
}

static bool is_of_conduit(const struct eth_hdr *header)
{
    return header->type == PP_HTONS(CONDUIT_ETHERTYPE) && !(header->dest.addr[0] & 1);
}

static bool is_for_us(const struct eth_hdr *header)
{
    bool is_group = header->dest.addr[0] & 1;

    if (!is_group && memcmp(header->dest.addr, interface.hwaddr, ETH_HWADDR_LEN) != 0)
        return false;
    return header->type != PP_HTONS(ETHTYPE_IPV6) || network_speaks_ipv6();
}

static void frame_received(unsigned number, void *bytes, uint32_t length, bool checksum_good)
{
    if (length < SIZEOF_ETH_HDR || length > NETWORK_FRAME_MAX || !is_for_us(bytes)) {
        device->driver->release(device, number);
        return;
    }
    if (is_of_conduit(bytes)) {
        conduit_receive(bytes, length);
        device->driver->release(device, number);
        return;
    }
    struct pbuf *pbuf = wrap(number, bytes, (uint16_t)length);
    if (pbuf && !conduit_keeps(pbuf, checksum_good))
        network_input(pbuf, checksum_good);
}

void network_input(struct pbuf *pbuf, bool checksum_good)
{
    time_wait_collect();
    uint16_t flags = NETIF_CHECKSUM_ENABLE_ALL;
    if (device->offloads_checksum)
        flags &= (uint16_t)~NETIF_CHECKSUM_GEN_TCP;
    if (checksum_good)
        flags &= (uint16_t)~NETIF_CHECKSUM_CHECK_TCP;
    NETIF_SET_CHECKSUM_CTRL(&interface, flags);
    addresses4_show(&interface, pbuf);
    if (interface.input(pbuf, &interface) != ERR_OK)
        pbuf_free(pbuf);
}

void network_send(const uint8_t destination[6], uint16_t type, const void *payload, size_t length)
{
    struct pbuf *pbuf = pbuf_alloc(PBUF_RAW_TX, (u16_t)(SIZEOF_ETH_HDR + length), PBUF_RAM);

    if (!pbuf)
        return;
    struct eth_hdr *header = pbuf->payload;
    memcpy(header->dest.addr, destination, ETH_HWADDR_LEN);
    memcpy(header->src.addr, interface.hwaddr, ETH_HWADDR_LEN);
    header->type = lwip_htons(type);
    memcpy(header + 1, payload, length);
    interface.linkoutput(&interface, pbuf);
    pbuf_free(pbuf);
}

size_t network_segment_size(bool ipv6)
{
    return (size_t)interface.mtu - (ipv6 ? IP6_HLEN : IP_HLEN) - TCP_HLEN;
}

size_t network_segment_max(void)
{
    if (!device->cuts_segments)
        return 0;
    return device->segment_max ? device->segment_max : SEGMENT_MAX;
}

/* Says where the machine is now. */
static void connected(void)
{
    netif_set_link_down(&interface);
    netif_set_link_up(&interface);
}

/* The platform's own wish that the machine end, which knows no deadline. */
static void finish(void)
{
    stop_begin(clock_now() + FINISH_TIME);
}

bool network_speaks_ipv6(void)
{
    return interface.flags & NETIF_FLAG_MLD6;
}

bool network_poll(void)
{
    bool progress = device->driver->poll(device);

    while (backlog_first != backlog_end && send_now(backlog[backlog_first % BACKLOG_SIZE]))
        backlog_first++;
    return progress;
}

void network_flush(void)
{
    device->driver->flush(device);
}

bool network_arm(void *unused)
{
    (void)unused;
    return device->driver->arm(device, backlog_first != backlog_end);
}

const ip6_addr_t *network_gateway6(struct netif *netif, const ip6_addr_t *destination)
{
    (void)netif;
    (void)destination;
    return has_gateway6 ? &gateway6 : NULL;
}

/* The option's address, and the prefix length behind its slash if `prefix` is not NULL. */
static void parse_address(const char *name, struct option option, ip_addr_t *address,
                          unsigned *prefix)
{
    char text[ADDRESS_TEXT_SIZE];
    char *slash = NULL;
    bool good = option.length < sizeof text;

    if (good) {
        memcpy(text, option.value, option.length);
        text[option.length] = '\0';
        slash = strchr(text, '/');
        if (slash)
            *slash++ = '\0';
        good = ipaddr_aton(text, address) && !slash == !prefix;
    }
    if (good && prefix) {
        *prefix = (unsigned)atoi(slash);
        good = *slash != '\0' && *prefix <= (IP_IS_V6(address) ? 128 : 32);
    }
    if (!good)
        application_fail("option %s=%.*s: %s is expected", name, (int)option.length, option.value,
                         prefix ? "ADDRESS/LENGTH" : "ADDRESS");
}

static void set_address4(struct option option)
{
    ip_addr_t address;
    unsigned prefix;
    ip4_addr_t mask, none = {0};

    parse_address("ip", option, &address, &prefix);
    if (!IP_IS_V4(&address))
        application_fail("option ip: an IPv4 address is expected (ip6= for IPv6)");
    mask.addr = prefix == 0 ? 0 : lwip_htonl(0xffffffffu << (32 - prefix));
    if (ip4_addr_isany_val(*netif_ip4_addr(&interface)))
        netif_set_addr(&interface, ip_2_ip4(&address), &mask, &none);
    else if (!ip4_addr_netcmp(ip_2_ip4(&address), netif_ip4_addr(&interface), &mask) ||
             !ip4_addr_cmp(&mask, netif_ip4_netmask(&interface)))
        application_fail("option ip=%.*s: an address of the same network as the first is expected",
                         (int)option.length, option.value);
    if (!addresses4_add(ip_2_ip4(&address)))
        application_fail("more IPv4 addresses than %u", ADDRESSES4_MAX);
}

static void set_addresses4(void)
{
    struct option option;
    ip_addr_t gateway;
    size_t position = 0;

    while ((option = option_next("ip", &position)).value)
        set_address4(option);
    position = 0;
    while ((option = option_next("gw", &position)).value) {
        parse_address("gw", option, &gateway, NULL);
        if (IP_IS_V4(&gateway))
            netif_set_gw(&interface, ip_2_ip4(&gateway));
    }
}

static void set_gateway6(void)
{
    struct option option;
    ip_addr_t address;
    size_t position = 0;

    while ((option = option_next("gw", &position)).value) {
        parse_address("gw", option, &address, NULL);
        if (IP_IS_V6(&address)) {
            gateway6 = *ip_2_ip6(&address);
            has_gateway6 = true;
        }
    }
}

/* A machine without an IPv6 address of its own does not speak IPv6 at all. */
static void set_addresses6(void)
{
    struct option option;
    ip_addr_t address;
    unsigned prefix;
    size_t position = 0;
    s8_t index;

    if (!option_get("ip6").value)
        return;
    interface.flags |= NETIF_FLAG_MLD6;
    netif_create_ip6_linklocal_address(&interface, 1);
    netif_ip6_addr_set_state(&interface, 0, IP6_ADDR_PREFERRED);
    while ((option = option_next("ip6", &position)).value) {
        parse_address("ip6", option, &address, &prefix);
        if (!IP_IS_V6(&address))
            application_fail("option ip6: an IPv6 address is expected");
        if (netif_add_ip6_address(&interface, ip_2_ip6(&address), &index) != ERR_OK)
            application_fail("more IPv6 addresses than %d", LWIP_IPV6_NUM_ADDRESSES - 1);
        netif_ip6_addr_set_state(&interface, index, IP6_ADDR_PREFERRED);
        advertise(&interface, netif_ip6_addr(&interface, index));
    }
    set_gateway6();
}

static err_t interface_initialise(struct netif *netif)
{
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = interface_output;
    netif->mtu = 1500;
    netif->hwaddr_len = ETH_HWADDR_LEN;
    memcpy(netif->hwaddr, device->hardware_address, ETH_HWADDR_LEN);
    netif->flags =
        NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
    if (device->offloads_checksum)
        NETIF_SET_CHECKSUM_CTRL(netif, NETIF_CHECKSUM_ENABLE_ALL & ~NETIF_CHECKSUM_GEN_TCP);
    return ERR_OK;
}

void network_start(void)
{
    static const struct network_events events = {
        .received = frame_received, .sent = frame_sent, .connected = connected, .finish = finish};

    if (device)
        return;
    if (!option_get("ip").value && !option_get("ip6").value)
        application_fail("no address: option ip=ADDRESS/LENGTH or ip6=ADDRESS/LENGTH is missing");
    device = platform_network_device();
    if (!device)
        application_fail("no network device");
    device->events = &events;
    receive_buffers = calloc(device->receive_buffers, sizeof *receive_buffers);
    if (!receive_buffers)
        platform_fatal("no memory for the network");
    boot_phase("network device");

    lwip_init();
    netif_add_noaddr(&interface, NULL, interface_initialise, ethernet_input);
    netif_set_default(&interface);
    set_addresses4();
    /* From here on addresses are announced as they become valid. */
    netif_set_up(&interface);
    addresses4_announce(&interface);
    set_addresses6();
    /* The first answer most likely goes through the gateway: ask for it already. */
    if (!ip4_addr_isany_val(*netif_ip4_gw(&interface)))
        etharp_request(&interface, netif_ip4_gw(&interface));
    network_flush();
    boot_phase("addresses");
}
