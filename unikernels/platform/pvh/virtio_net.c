/* The driver of virtio network devices (Virtual I/O Device 1.1, section 5.1). */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "net/device.h"
#include "platform/pvh/machine.h"
#include "platform/pvh/virtio.h"
#include "platform/pvh/virtio_net.h"

#define FEATURE_CSUM       (UINT64_C(1) << 0)
#define FEATURE_GUEST_CSUM (UINT64_C(1) << 1)
#define FEATURE_MAC        (UINT64_C(1) << 5)
#define FEATURE_HOST_TSO4  (UINT64_C(1) << 11)
#define FEATURE_HOST_TSO6  (UINT64_C(1) << 12)
#define FEATURE_HOST_TSO   (FEATURE_HOST_TSO4 | FEATURE_HOST_TSO6)

#define HEADER_NEEDS_CHECKSUM 1u
#define HEADER_CHECKSUM_VALID 2u
#define SEGMENTS_TCP4         1u
#define SEGMENTS_TCP6         4u

#define RECEIVE_QUEUE       0
#define SEND_QUEUE          1
#define RECEIVE_BUFFERS     128u
#define SEND_DESCRIPTORS    256u
#define PARTS_MAX           8u
#define RECEIVE_BUFFER_SIZE 1536u
#define TYPE_AT             12 /* of an Ethernet frame */

struct header {
    uint8_t flags;
    uint8_t segmentation;
    uint16_t header_length;
    uint16_t segment_size;
    uint16_t checksum_start;
    uint16_t checksum_offset;
    uint16_t buffer_count; /* only with version 1 */
};
_Static_assert(sizeof(struct header) == 12, "virtio's layout");
_Static_assert(sizeof(struct header) + NETWORK_FRAME_MAX <= RECEIVE_BUFFER_SIZE,
               "a buffer holds a frame");

struct card {
    struct network_device network; /* first: a network_device of this driver is a card */
    struct virtio_device virtio;
    struct virtqueue receive, send;
    uint8_t *buffers;
    uint16_t header_size;
    uint16_t free_head; /* of the send queue's descriptors, a list by their `next` */
    uint16_t free_count;
    uint32_t interrupts_heard;
    void *owners[SEND_DESCRIPTORS]; /* by the first descriptor of a frame */
};

static struct card *card_of(struct network_device *network)
{
    return (struct card *)network;
}

static uint8_t *receive_buffer(const struct card *card, unsigned buffer)
{
    return card->buffers + (size_t)buffer * RECEIVE_BUFFER_SIZE;
}

static bool is_ipv6(const uint8_t *frame)
{
    return frame[TYPE_AT] == 0x86 && frame[TYPE_AT + 1] == 0xdd;
}

static void fill_header(const struct card *card, struct header *header, const struct frame *frame)
{
    memset(header, 0, card->header_size);
    if (frame->checksum_from) {
        header->flags = HEADER_NEEDS_CHECKSUM;
        header->checksum_start = frame->checksum_from;
        header->checksum_offset = frame->checksum_at;
    }
    if (frame->segment_size) {
        const uint8_t *bytes = (const uint8_t *)header + card->header_size;
        header->segmentation = is_ipv6(bytes) ? SEGMENTS_TCP6 : SEGMENTS_TCP4;
        header->header_length = frame->headers_length;
        header->segment_size = frame->segment_size;
    }
}

static bool card_send(struct network_device *network, const struct frame *frame)
{
    struct card *card = card_of(network);
    struct virtqueue *queue = &card->send;
    uint16_t head = card->free_head, at = head, last = head;

    if (card->free_count < frame->part_count)
        return false;
    for (unsigned i = 0; i < frame->part_count; i++) {
        struct virtqueue_descriptor *descriptor = &queue->descriptors[at];
        descriptor->address = (uintptr_t)frame->parts[i].bytes;
        descriptor->length = frame->parts[i].length;
        descriptor->flags = VIRTQUEUE_DESCRIPTOR_NEXT;
        last = at;
        at = descriptor->next;
    }
    queue->descriptors[last].flags = 0;
    card->free_head = at;
    card->free_count = (uint16_t)(card->free_count - frame->part_count);

    struct virtqueue_descriptor *first = &queue->descriptors[head];
    first->address -= card->header_size;
    first->length += card->header_size;
    fill_header(card, (struct header *)first->address, frame);
    card->owners[head] = frame->owner;
    virtqueue_publish(queue, head);
    return true;
}

static void collect_sent(struct card *card)
{
    struct virtqueue *queue = &card->send;

    while (virtqueue_has_used(queue)) {
        uint16_t head = (uint16_t)virtqueue_take(queue).descriptor & (SEND_DESCRIPTORS - 1);
        uint16_t last = head;
        uint16_t count = 1;
        for (; queue->descriptors[last].flags & VIRTQUEUE_DESCRIPTOR_NEXT; count++)
            last = queue->descriptors[last].next;
        queue->descriptors[last].next = card->free_head;
        card->free_head = head;
        card->free_count = (uint16_t)(card->free_count + count);
        card->network.events->sent(card->owners[head]);
    }
}

static void collect_received(struct card *card)
{
    struct virtqueue *queue = &card->receive;

    while (virtqueue_has_used(queue)) {
        struct virtqueue_used used = virtqueue_take(queue);
        unsigned buffer = used.descriptor % RECEIVE_BUFFERS;
        uint8_t *bytes = receive_buffer(card, buffer);
        if (used.length <= card->header_size || used.length > RECEIVE_BUFFER_SIZE) {
            virtqueue_publish(queue, (uint16_t)buffer);
            continue;
        }
        uint8_t flags = ((const struct header *)bytes)->flags;
        card->network.events->received(buffer, bytes + card->header_size,
                                       used.length - card->header_size,
                                       flags & (HEADER_NEEDS_CHECKSUM | HEADER_CHECKSUM_VALID));
    }
}

static bool card_poll(struct network_device *network)
{
    struct card *card = card_of(network);

    if (card->interrupts_heard != device_interrupts) {
        card->interrupts_heard = device_interrupts;
        virtio_acknowledge_interrupt(&card->virtio);
    }
    bool sent = virtqueue_has_used(&card->send);
    bool received = virtqueue_has_used(&card->receive);
    if (sent)
        collect_sent(card);
    if (received)
        collect_received(card);
    return sent || received;
}

static void card_release(struct network_device *network, unsigned buffer)
{
    virtqueue_publish(&card_of(network)->receive, (uint16_t)buffer);
}

static void card_flush(struct network_device *network)
{
    struct card *card = card_of(network);

    virtqueue_notify(&card->send);
    virtqueue_notify(&card->receive);
}

static bool card_arm(struct network_device *network, bool sending)
{
    struct card *card = card_of(network);
    uint16_t under_way = (uint16_t)(card->send.published - card->send.seen);

    if (!virtqueue_arm(&card->receive, 1))
        return false;
    if (!sending) {
        virtqueue_disarm(&card->send);
        return true;
    }
    /* Half of what is under way: then there is room for a good many frames at once. */
    return virtqueue_arm(&card->send, (uint16_t)(under_way / 2 + 1));
}

static const struct network_driver driver = {
    .send = card_send,
    .poll = card_poll,
    .release = card_release,
    .flush = card_flush,
    .arm = card_arm,
};

static void start_receive(struct card *card)
{
    struct virtqueue *queue = &card->receive;

    virtqueue_start(&card->virtio, queue, RECEIVE_QUEUE, RECEIVE_BUFFERS);
    card->buffers = malloc((size_t)queue->size * RECEIVE_BUFFER_SIZE);
    if (!card->buffers)
        machine_fatal("no memory for the network's receive buffers");
    for (uint16_t i = 0; i < queue->size; i++) {
        queue->descriptors[i] = (struct virtqueue_descriptor){
            .address = (uintptr_t)receive_buffer(card, i),
            .length = RECEIVE_BUFFER_SIZE,
            .flags = VIRTQUEUE_DESCRIPTOR_WRITE,
        };
        virtqueue_publish(queue, i);
    }
    card->network.receive_buffers = queue->size;
}

static void start_send(struct card *card)
{
    struct virtqueue *queue = &card->send;

    virtqueue_start(&card->virtio, queue, SEND_QUEUE, SEND_DESCRIPTORS);
    for (uint16_t i = 0; i < queue->size; i++)
        queue->descriptors[i].next = (uint16_t)(i + 1);
    card->free_count = queue->size;
}

struct network_device *virtio_network_device(void)
{
    static struct card card;

    if (!virtio_find(VIRTIO_DEVICE_NETWORK, &card.virtio))
        return NULL;
    virtio_negotiate(&card.virtio, FEATURE_CSUM | FEATURE_GUEST_CSUM | FEATURE_MAC |
                                       FEATURE_HOST_TSO | VIRTIO_F_EVENT_IDX | VIRTIO_F_ANY_LAYOUT);
    uint64_t features = card.virtio.features;
    if (!(features & (VIRTIO_F_ANY_LAYOUT | VIRTIO_F_VERSION_1)))
        machine_fatal("the network device wants its headers apart from the frames: it is too old");
    if (!(features & FEATURE_MAC))
        machine_fatal("the network device has no hardware address");

    card.header_size = sizeof(struct header);
    if (!(features & VIRTIO_F_VERSION_1))
        card.header_size = offsetof(struct header, buffer_count);
    card.network = (struct network_device){
        .driver = &driver,
        .offloads_checksum = features & FEATURE_CSUM,
        .cuts_segments = (features & FEATURE_HOST_TSO) == FEATURE_HOST_TSO,
        .headroom = card.header_size,
        .parts_max = PARTS_MAX,
    };
    for (unsigned i = 0; i < sizeof card.network.hardware_address; i++)
        card.network.hardware_address[i] = virtio_configuration8(&card.virtio, i);
    start_receive(&card);
    start_send(&card);
    apic_route(card.virtio.pin);
    virtio_run(&card.virtio);
    virtqueue_notify(&card.receive);
    return &card.network;
}
