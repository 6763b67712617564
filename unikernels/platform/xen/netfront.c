/* The driver of Xen's network interfaces (Xen's io/netif.h): frames go through two rings to a
 * backend, most likely the kernel's of dom0, which copies them from and to pages that it is
 * granted.
 *
 * A frame's first bytes, its headers, are copied to a place that is granted for ever: the backend
 * copies them too, a short frame is the machine's own again at once, and no header lies across a
 * page's end. The rest is granted where it lies, page by page, until the backend has answered.
 * Pages for what comes in hold nothing else, and stay granted. */
#include <stdio.h>
#include <string.h>

#include "jitsu/clock.h"
#include "net/device.h"
#include "net/hardware_address.h"
#include "platform/pvh/machine.h"
#include "platform/xen/events.h"
#include "platform/xen/grants.h"
#include "platform/xen/interface.h"
#include "platform/xen/netfront.h"
#include "platform/xen/ring.h"
#include "platform/xen/store.h"

#define FRONTEND "device/vif/0"
#define PATIENCE (30 * CLOCK_SECOND)

#define RING_ENTRIES    256u /* of either ring: what fits into a page, as a power of two */
#define RECEIVE_BUFFERS 128u
#define HEAD_SIZE       128u /* what Linux copies in any case */
#define HEADS_A_PAGE    (XEN_PAGE / HEAD_SIZE)
#define NO_SLOT         UINT16_MAX
_Static_assert(NETFRONT_PAGES == 2 + RING_ENTRIES / HEADS_A_PAGE + RECEIVE_BUFFERS,
               "rings, heads, and buffers");
#define TYPE_AT 12 /* of an Ethernet frame */

/* With their headers, and wherever they begin in a page, they do not have too many pages. */
#define SEGMENT_MAX ((XEN_SLOTS_MAX - 3) * XEN_PAGE)

/* Our entries of the grant table. */
#define GRANT_SEND_RING    8u
#define GRANT_RECEIVE_RING 9u
#define GRANT_HEADS        16u
#define GRANT_RECEIVE      64u
#define GRANT_SEND         256u
_Static_assert(GRANT_SEND_RING >= XEN_GRANT_RESERVED, "entries of our own");
_Static_assert(GRANT_HEADS + RING_ENTRIES / HEADS_A_PAGE <= GRANT_RECEIVE, "they do not overlap");
_Static_assert(GRANT_RECEIVE + RECEIVE_BUFFERS <= GRANT_SEND, "they do not overlap");
_Static_assert(GRANT_SEND + RING_ENTRIES <= GRANTS_MAX, "there are as many");
_Static_assert(sizeof(struct xen_ring) + RING_ENTRIES * sizeof(union xen_send_slot) <= XEN_PAGE,
               "a ring fits into a page");

/* A request to send, by its id. */
struct sending {
    uint16_t first; /* of the frame's requests; NO_SLOT: not under way */
    uint16_t left;  /* in the first: how many are not answered yet */
    bool granted;
    void *owner; /* in the first: of the frame, if it is still to be given back */
};

struct card {
    struct network_device network; /* first: a network_device of this driver is a card */
    bool is_connected;
    bool backend_changed; /* its state is to be looked at */
    uint16_t backend;     /* its domain */
    char directory[STORE_VALUE_MAX];
    uint32_t port;
    struct ring send, receive;
    uint8_t *send_page, *receive_page; /* the rings */
    uint8_t *heads, *buffers;
    struct sending sendings[RING_ENTRIES];
    uint16_t free_ids[RING_ENTRIES];
    uint16_t free_count;
    uint16_t buffer_at[RING_ENTRIES];    /* by the index of its request */
    bool buffer_is_out[RECEIVE_BUFFERS]; /* the network has it */
    bool in_frame, in_extras;            /* responses that belong to the one before */
};

static struct card card;

static union xen_send_slot *send_slot(uint32_t index)
{
    struct xen_ring *shared = card.send.shared;

    return (union xen_send_slot *)(shared + 1) + index % RING_ENTRIES;
}

static union xen_receive_slot *receive_slot(uint32_t index)
{
    struct xen_ring *shared = card.receive.shared;

    return (union xen_receive_slot *)(shared + 1) + index % RING_ENTRIES;
}

/* --- sending --- */

/* What is left of a frame to send. */
struct rest {
    const struct frame_part *part;
    const struct frame_part *end;
    uint32_t offset; /* in the part */
};

/* Where it begins; NULL if nothing is left. */
static const uint8_t *rest_begin(struct rest *rest)
{
    while (rest->part < rest->end && rest->offset == rest->part->length) {
        rest->part++;
        rest->offset = 0;
    }
    return rest->part < rest->end ? (const uint8_t *)rest->part->bytes + rest->offset : NULL;
}

/* The next piece, of at most `most` bytes; of none at the end. */
static struct frame_part next_piece(struct rest *rest, size_t most)
{
    const uint8_t *begin = rest_begin(rest);

    if (!begin)
        return (struct frame_part){0};
    size_t length = rest->part->length - rest->offset;
    struct frame_part piece = {begin, (uint32_t)(length < most ? length : most)};
    rest->offset += piece.length;
    return piece;
}

/* The next piece that lies in one page. */
static struct frame_part next_in_page(struct rest *rest)
{
    return next_piece(rest, XEN_PAGE - (uintptr_t)rest_begin(rest) % XEN_PAGE);
}

/* Takes the frame's head, and copies it to `head` if that is not NULL. */
static void take_head(struct rest *rest, uint8_t *head)
{
    struct frame_part piece;

    for (size_t at = 0; (piece = next_piece(rest, HEAD_SIZE - at)).length > 0; at += piece.length)
        if (head)
            memcpy(head + at, piece.bytes, piece.length);
}

static uint32_t count_pages(struct rest rest)
{
    uint32_t count = 0;

    while (next_in_page(&rest).length > 0)
        count++;
    return count;
}

static uint32_t frame_length(const struct frame *frame)
{
    uint32_t length = 0;

    for (unsigned i = 0; i < frame->part_count; i++)
        length += frame->parts[i].length;
    return length;
}

static uint16_t take_id(uint16_t first)
{
    uint16_t id = card.free_ids[--card.free_count];

    card.sendings[id] = (struct sending){.first = first == NO_SLOT ? id : first};
    card.sendings[card.sendings[id].first].left++;
    return id;
}

static void request_cut(const struct frame *frame, const uint8_t *head)
{
    bool ipv6 = head[TYPE_AT] == 0x86 && head[TYPE_AT + 1] == 0xdd;

    send_slot(card.send.given++)->extra = (struct xen_extra){
        .type = XEN_EXTRA_CUT,
        .size = frame->segment_size,
        .kind = ipv6 ? XEN_CUT_TCP6 : XEN_CUT_TCP4,
    };
}

static void request_rest(uint16_t first, struct rest rest, struct xen_send_request *previous)
{
    struct frame_part piece;

    while ((piece = next_in_page(&rest)).length > 0) {
        uint16_t id = take_id(first);
        card.sendings[id].granted = true;
        grant(GRANT_SEND + id, card.backend, piece.bytes, true);
        previous->flags |= XEN_SEND_MORE;
        previous = &send_slot(card.send.given++)->request;
        *previous = (struct xen_send_request){
            .grant = GRANT_SEND + id,
            .offset = (uint16_t)((uintptr_t)piece.bytes % XEN_PAGE),
            .id = id,
            .size = (uint16_t)piece.length,
        };
    }
}

static bool card_send(struct network_device *network, const struct frame *frame)
{
    const struct rest whole = {frame->parts, frame->parts + frame->part_count, 0};
    struct rest rest = whole;

    if (!card.is_connected) {
        network->events->sent(frame->owner);
        return true;
    }
    take_head(&rest, NULL);
    uint32_t slots = 1 + (frame->segment_size ? 1u : 0u) + count_pages(rest);
    if (ring_room(&card.send) < slots || card.free_count < slots)
        return false;

    uint16_t id = take_id(NO_SLOT);
    uint8_t *head = card.heads + id * HEAD_SIZE;
    rest = whole;
    take_head(&rest, head);
    struct xen_send_request *request = &send_slot(card.send.given++)->request;
    *request = (struct xen_send_request){
        .grant = GRANT_HEADS + id / HEADS_A_PAGE,
        .offset = (uint16_t)(id % HEADS_A_PAGE * HEAD_SIZE),
        .id = id,
        .size = (uint16_t)frame_length(frame),
    };
    if (frame->checksum_from)
        request->flags |= XEN_SEND_CHECKSUM_BLANK | XEN_SEND_VALIDATED;
    if (frame->segment_size) {
        request->flags |= XEN_SEND_EXTRA;
        request_cut(frame, head);
    }
    if (rest_begin(&rest)) {
        card.sendings[id].owner = frame->owner;
        request_rest(id, rest, request);
    } else {
        network->events->sent(frame->owner);
    }
    return true;
}

static void free_id(uint16_t id)
{
    card.free_ids[card.free_count++] = id;
}

/* The backend is done with a request, whatever became of it. Returns false if it still uses the
 * page.
 */
static bool finish_request(uint16_t id)
{
    uint16_t first_id = card.sendings[id].first;
    struct sending *first = &card.sendings[first_id];

    if (card.sendings[id].granted && !grant_end(GRANT_SEND + id))
        return false;
    card.sendings[id].first = NO_SLOT;
    if (id != first_id)
        free_id(id);
    if (--first->left == 0) {
        if (first->owner)
            card.network.events->sent(first->owner);
        free_id(first_id);
    }
    return true;
}

/* Here and below, what the backend could still change is read once, and then looked at. */
static void collect_sent(uint32_t count)
{
    for (; count > 0; count--) {
        struct xen_send_response response =
            *(const volatile struct xen_send_response *)&send_slot(card.send.consumed++)->response;
        if (response.status == XEN_SEND_NULL)
            continue;
        if (response.id >= RING_ENTRIES || card.sendings[response.id].first == NO_SLOT)
            machine_fatal("the network's backend has sent what it was not asked to send");
        if (!finish_request(response.id))
            machine_fatal("the network's backend keeps a page that it has sent");
    }
}

/* --- receiving --- */

static void card_release(struct network_device *network, unsigned buffer)
{
    (void)network;
    card.buffer_is_out[buffer] = false;
    if (!card.is_connected)
        return;
    uint32_t index = card.receive.given++;
    card.buffer_at[index % RING_ENTRIES] = (uint16_t)buffer;
    receive_slot(index)->request = (struct xen_receive_request){
        .id = (uint16_t)(index % RING_ENTRIES),
        .grant = GRANT_RECEIVE + buffer,
    };
}

/* Is the response a frame by itself? Frames of several pages, and those with more to be said of
 * them, are not asked for. */
static bool is_whole(struct xen_receive_response response)
{
    bool whole = !card.in_frame && !(response.flags & (XEN_RECEIVE_MORE | XEN_RECEIVE_EXTRA));

    card.in_frame = response.flags & XEN_RECEIVE_MORE;
    card.in_extras = response.flags & XEN_RECEIVE_EXTRA;
    return whole && response.status > 0 && response.offset + response.status <= (int)XEN_PAGE;
}

static void collect_received(uint32_t count)
{
    for (; count > 0; count--) {
        uint32_t index = card.receive.consumed++;
        unsigned buffer = card.buffer_at[index % RING_ENTRIES];
        union xen_receive_slot slot = *(const volatile union xen_receive_slot *)receive_slot(index);
        card.buffer_is_out[buffer] = true;
        if (card.in_extras) {
            card.in_extras = slot.extra.flags & XEN_EXTRA_MORE;
            card_release(&card.network, buffer);
        } else if (is_whole(slot.response)) {
            card.network.events->received(
                buffer, card.buffers + buffer * XEN_PAGE + slot.response.offset,
                (uint32_t)slot.response.status,
                slot.response.flags & (XEN_RECEIVE_VALIDATED | XEN_RECEIVE_BLANK));
        } else {
            card_release(&card.network, buffer);
        }
    }
}

/* --- the backend comes and goes --- */

static void backend_changed(void)
{
    card.backend_changed = true;
}

static void write_number(const char *name, uint32_t value)
{
    char text[12];

    snprintf(text, sizeof text, "%u", value);
    store_ask_write(FRONTEND, name, text);
}

static uint32_t backend_state(void)
{
    card.backend_changed = false;
    store_ask_read(card.directory, "state");
    return store_answer_number(XEN_DEVICE_CLOSED);
}

static void start_rings(void)
{
    ring_start(&card.send, (struct xen_ring *)card.send_page, RING_ENTRIES);
    ring_start(&card.receive, (struct xen_ring *)card.receive_page, RING_ENTRIES);
    grant(GRANT_SEND_RING, card.backend, card.send_page, false);
    grant(GRANT_RECEIVE_RING, card.backend, card.receive_page, false);
    for (unsigned i = 0; i < RING_ENTRIES / HEADS_A_PAGE; i++)
        grant(GRANT_HEADS + i, card.backend, card.heads + i * XEN_PAGE, true);
    for (unsigned i = 0; i < RECEIVE_BUFFERS; i++)
        grant(GRANT_RECEIVE + i, card.backend, card.buffers + i * XEN_PAGE, false);
    card.in_frame = card.in_extras = false;
    card.is_connected = true;
    for (unsigned i = 0; i < RECEIVE_BUFFERS; i++)
        if (!card.buffer_is_out[i])
            card_release(&card.network, i);
    ring_publish(&card.receive);
}

/* What is said here goes to xenstore at once, and is answered at once. */
static void negotiate(void)
{
    static const char *const features[] = {"feature-sg", "feature-gso-tcpv4", "feature-gso-tcpv6",
                                           "feature-ipv6-csum-offload"};
    enum { FEATURES = sizeof features / sizeof features[0], WRITES = 7 };
    uint32_t has[FEATURES];
    bool done = true;

    store_ask_watch(card.directory, "state", backend_changed);
    for (unsigned i = 0; i < FEATURES; i++)
        store_ask_read(card.directory, features[i]);
    write_number("tx-ring-ref", GRANT_SEND_RING);
    write_number("rx-ring-ref", GRANT_RECEIVE_RING);
    write_number("event-channel", card.port);
    write_number("request-rx-copy", 1);
    write_number("feature-rx-notify", 1);
    write_number("feature-ipv6-csum-offload", 1);
    write_number("state", XEN_DEVICE_CONNECTED);
    store_answer_done(); /* the watch may be set already, from an earlier connection */
    for (unsigned i = 0; i < FEATURES; i++)
        has[i] = store_answer_number(0);
    for (unsigned i = 0; i < WRITES; i++)
        done &= store_answer_done();
    if (!done)
        machine_fatal("xenstore refuses what the network's interface has to say");
    card.network.offloads_checksum = has[3] == 1;
    card.network.cuts_segments = has[0] == 1 && has[1] == 1 && has[2] == 1 && has[3] == 1;
}

static bool find_backend(void)
{
    char address[STORE_VALUE_MAX];

    store_ask_read(FRONTEND, "backend");
    store_ask_read(FRONTEND, "backend-id");
    store_ask_read(FRONTEND, "mac");
    bool found = store_answer_text(card.directory);
    card.backend = (uint16_t)store_answer_number(0);
    bool has_address = store_answer_text(address);
    if (!found)
        return false;
    if (!has_address ||
        !hardware_address_parse(address, strlen(address), card.network.hardware_address))
        machine_fatal("the network interface has no hardware address");
    return true;
}

static bool begin(void)
{
    if (!find_backend())
        return false;
    card.port = events_open(card.backend);
    start_rings();
    negotiate();
    return true;
}

/* Waits for the backend. Returns false if it does not come. */
static bool finish(void)
{
    uint64_t deadline = clock_now() + PATIENCE;

    for (;;) {
        uint32_t state = backend_state();
        if (state == XEN_DEVICE_CONNECTED)
            return true;
        if (state == XEN_DEVICE_CLOSING || state == XEN_DEVICE_CLOSED || clock_now() >= deadline)
            return false;
        store_wait(deadline);
    }
}

/* The backend is gone: what it had not sent is lost, as on any wire. A page that it still has
 * mapped is never used again. */
static void disconnect(void)
{
    card.is_connected = false;
    if (card.port)
        events_close(card.port);
    card.port = 0;
    for (uint16_t id = 0; id < RING_ENTRIES; id++)
        if (card.sendings[id].first != NO_SLOT)
            finish_request(id);
}

static void agree_to_close(void)
{
    write_number("state", XEN_DEVICE_CLOSED);
    store_answer_done();
}

/* The backend has come back. */
static void connect_again(void)
{
    if (!begin())
        return;
    if (finish()) {
        card.network.events->connected();
        return;
    }
    agree_to_close();
    disconnect();
}

/* The backend is asked to go (a device that is taken away), is gone, or has come back. */
static void follow_backend(void)
{
    uint32_t state = backend_state();

    if (state == XEN_DEVICE_CLOSING && card.is_connected)
        agree_to_close();
    else if (state == XEN_DEVICE_CLOSED && card.is_connected)
        disconnect();
    else if (state == XEN_DEVICE_INIT_WAIT && !card.is_connected)
        connect_again();
}

/* --- the driver --- */

static bool card_poll(struct network_device *network)
{
    (void)network;
    bool changed = store_poll();
    if (card.backend_changed)
        follow_backend();
    if (!card.is_connected)
        return changed;
    uint32_t sent = ring_waiting(&card.send), received = ring_waiting(&card.receive);
    if (sent == UINT32_MAX || received == UINT32_MAX)
        machine_fatal("the network's backend has done more than it was asked to do");
    collect_sent(sent);
    collect_received(received);
    return changed || sent > 0 || received > 0;
}

static void card_flush(struct network_device *network)
{
    (void)network;
    if (!card.is_connected)
        return;
    bool wanted = ring_publish(&card.send);
    wanted |= ring_publish(&card.receive);
    if (wanted)
        events_send(card.port);
}

static bool card_arm(struct network_device *network, bool sending)
{
    (void)network;
    if (!card.is_connected)
        return true;
    if (!ring_arm(&card.receive, 1))
        return false;
    if (!sending) {
        ring_disarm(&card.send);
        return true;
    }
    /* Half of what is under way: then there is room for a good many frames at once. */
    return ring_arm(&card.send, (card.send.told - card.send.consumed) / 2 + 1);
}

static const struct network_driver driver = {
    .send = card_send,
    .poll = card_poll,
    .release = card_release,
    .flush = card_flush,
    .arm = card_arm,
};

uint32_t netfront_port(void)
{
    return card.port;
}

bool netfront_begin(uint8_t *pages)
{
    card = (struct card){
        .network =
            {
                .driver = &driver,
                .receive_buffers = RECEIVE_BUFFERS,
                .parts_max = XEN_SLOTS_MAX - 1,
                .part_end = XEN_PAGE,
                .segment_max = SEGMENT_MAX,
            },
    };
    card.send_page = pages;
    card.receive_page = pages + XEN_PAGE;
    card.heads = pages + 2 * XEN_PAGE;
    card.buffers = card.heads + RING_ENTRIES * HEAD_SIZE;
    for (uint16_t id = 0; id < RING_ENTRIES; id++) {
        card.sendings[id].first = NO_SLOT;
        free_id(id);
    }
    return begin();
}

bool netfront_begin_again(void)
{
    card.port = 0; /* it was the other domain's */
    disconnect();
    return begin();
}

struct network_device *netfront_finish(void)
{
    if (!finish())
        machine_fatal("the network's backend does not connect");
    return &card.network;
}
