#include "platform/pvh/virtio.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "jitsu/options.h"
#include "platform/pvh/machine.h"
#include "platform/pvh/processor.h"

#define MAGIC_VALUE         0x000
#define VERSION             0x004
#define DEVICE_ID           0x008
#define DEVICE_FEATURES     0x010
#define DEVICE_FEATURES_SEL 0x014
#define DRIVER_FEATURES     0x020
#define DRIVER_FEATURES_SEL 0x024
#define GUEST_PAGE_SIZE     0x028 /* version 1 */
#define QUEUE_SEL           0x030
#define QUEUE_NUM_MAX       0x034
#define QUEUE_NUM           0x038
#define QUEUE_ALIGN         0x03c /* version 1 */
#define QUEUE_PFN           0x040 /* version 1 */
#define QUEUE_READY         0x044
#define QUEUE_NOTIFY        0x050
#define INTERRUPT_STATUS    0x060
#define INTERRUPT_ACK       0x064
#define STATUS              0x070
#define QUEUE_DESC_LOW      0x080
#define QUEUE_DESC_HIGH     0x084
#define QUEUE_DRIVER_LOW    0x090
#define QUEUE_DRIVER_HIGH   0x094
#define QUEUE_DEVICE_LOW    0x0a0
#define QUEUE_DEVICE_HIGH   0x0a4
#define CONFIGURATION       0x100

#define MAGIC              0x74726976u
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u

#define AVAILABLE_NO_INTERRUPT 1u
#define USED_NO_NOTIFY         1u

#define PAGE 4096u

/* A number in the C notation, decimal or with 0x; *text moves behind it. */
static uint64_t parse_number(const char **text, const char *end)
{
    uint64_t value = 0;
    unsigned base = 10;

    if (end - *text > 2 && (*text)[0] == '0' && (*text)[1] == 'x') {
        base = 16;
        *text += 2;
    }
    for (; *text < end && isxdigit((uint8_t) * *text); (*text)++) {
        int c = tolower((uint8_t) * *text);
        unsigned digit = (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        if (digit >= base)
            break;
        value = value * base + digit;
    }
    return value;
}

/* SIZE@BASE:PIN; what follows does not matter. */
static bool parse_device(struct option option, struct virtio_device *device)
{
    const char *at = option.value, *end = option.value + option.length;

    (void)parse_number(&at, end);
    if (at == end || *at++ != '@')
        return false;
    uint64_t base = parse_number(&at, end);
    if (at == end || *at++ != ':' || base >= UINT64_C(1) << 32)
        return false;
    *device =
        (struct virtio_device){.base = (uintptr_t)base, .pin = (unsigned)parse_number(&at, end)};
    return true;
}

bool virtio_find(uint32_t kind, struct virtio_device *device)
{
    struct option option;
    size_t position = 0;

    while ((option = option_next("virtio_mmio.device", &position)).value) {
        if (!parse_device(option, device))
            machine_fatal("virtio_mmio.device=%.*s: SIZE@BASE:PIN is expected", (int)option.length,
                          option.value);
        if (device_read32(device->base + MAGIC_VALUE) != MAGIC)
            continue;
        device->version = device_read32(device->base + VERSION);
        if (device_read32(device->base + DEVICE_ID) == kind &&
            (device->version == 1 || device->version == 2))
            return true;
    }
    return false;
}

static void set_status(const struct virtio_device *device, uint32_t status)
{
    device_write32(device->base + STATUS, status);
}

void virtio_negotiate(struct virtio_device *device, uint64_t wanted)
{
    uint32_t status = STATUS_ACKNOWLEDGE | STATUS_DRIVER;

    set_status(device, 0);
    set_status(device, status);
    device_write32(device->base + DEVICE_FEATURES_SEL, 0);
    uint64_t offered = device_read32(device->base + DEVICE_FEATURES);
    if (device->version == 2) {
        device_write32(device->base + DEVICE_FEATURES_SEL, 1);
        offered |= (uint64_t)device_read32(device->base + DEVICE_FEATURES) << 32;
        wanted |= VIRTIO_F_VERSION_1;
        if (!(offered & VIRTIO_F_VERSION_1))
            machine_fatal("the virtio device does not offer version 1");
    }
    device->features = offered & wanted;
    device_write32(device->base + DRIVER_FEATURES_SEL, 0);
    device_write32(device->base + DRIVER_FEATURES, (uint32_t)device->features);
    if (device->version == 1) {
        device_write32(device->base + GUEST_PAGE_SIZE, PAGE);
        return;
    }
    device_write32(device->base + DRIVER_FEATURES_SEL, 1);
    device_write32(device->base + DRIVER_FEATURES, (uint32_t)(device->features >> 32));
    status |= STATUS_FEATURES_OK;
    set_status(device, status);
    if (!(device_read32(device->base + STATUS) & STATUS_FEATURES_OK))
        machine_fatal("the virtio device refuses the driver's features");
}

void virtio_run(struct virtio_device *device)
{
    set_status(device, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK |
                           (device->version == 2 ? STATUS_FEATURES_OK : 0));
}

static void write_address(uintptr_t low_register, const volatile void *address)
{
    device_write32(low_register, (uint32_t)(uintptr_t)address);
    device_write32(low_register + 4, (uint32_t)((uintptr_t)address >> 32));
}

void virtqueue_start(struct virtio_device *device, struct virtqueue *queue, uint16_t number,
                     uint16_t size_max)
{
    device_write32(device->base + QUEUE_SEL, number);
    uint32_t size = device_read32(device->base + QUEUE_NUM_MAX);
    if (size == 0)
        machine_fatal("the virtio device has no queue %u", number);
    size = size < size_max ? size : size_max;

    /* The layout that version 1 demands: descriptors, available ring, and the used ring on a page
     * of its own. Each ring ends in a word for the event index. */
    size_t before_used = size * sizeof(struct virtqueue_descriptor) +
                         sizeof(struct virtqueue_available_ring) + (size + 1) * sizeof(uint16_t);
    size_t used = (before_used + PAGE - 1) & ~(size_t)(PAGE - 1);
    size_t total = used + sizeof(struct virtqueue_used_ring) +
                   size * sizeof(struct virtqueue_used) + sizeof(uint16_t);
    uint8_t *memory = malloc(total + PAGE);
    if (!memory)
        machine_fatal("no memory for a queue of the virtio device");
    memory = (uint8_t *)(((uintptr_t)memory + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
    memset(memory + size * sizeof(struct virtqueue_descriptor), 0,
           total - size * sizeof(struct virtqueue_descriptor));
    *queue = (struct virtqueue){
        .descriptors = (void *)memory,
        .available = (void *)(memory + size * sizeof(struct virtqueue_descriptor)),
        .used = (void *)(memory + used),
        .doorbell = device->base + QUEUE_NOTIFY,
        .number = number,
        .size = (uint16_t)size,
        .event_index = device->features & VIRTIO_F_EVENT_IDX,
    };
    virtqueue_disarm(queue);

    device_write32(device->base + QUEUE_NUM, size);
    if (device->version == 1) {
        device_write32(device->base + QUEUE_ALIGN, PAGE);
        device_write32(device->base + QUEUE_PFN, (uint32_t)((uintptr_t)memory / PAGE));
        return;
    }
    write_address(device->base + QUEUE_DESC_LOW, queue->descriptors);
    write_address(device->base + QUEUE_DRIVER_LOW, queue->available);
    write_address(device->base + QUEUE_DEVICE_LOW, queue->used);
    device_write32(device->base + QUEUE_READY, 1);
}

uint8_t virtio_configuration8(const struct virtio_device *device, unsigned offset)
{
    return device_read8(device->base + CONFIGURATION + offset);
}

void virtio_acknowledge_interrupt(const struct virtio_device *device)
{
    uint32_t pending = device_read32(device->base + INTERRUPT_STATUS);

    if (pending)
        device_write32(device->base + INTERRUPT_ACK, pending);
}

/* The word behind the available ring: interrupt when the used index passes it. */
static uint16_t *used_event(struct virtqueue *queue)
{
    return &queue->available->ring[queue->size];
}

/* The word behind the used ring: the device wants to be told when the available index passes it. */
static uint16_t available_event(const struct virtqueue *queue)
{
    return *(volatile uint16_t *)&queue->used->ring[queue->size];
}

void virtqueue_notify(struct virtqueue *queue)
{
    if (queue->published == queue->notified)
        return;
    /* What was published must be seen before the device's wish is read. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    bool wanted;
    if (queue->event_index)
        wanted = (uint16_t)(queue->published - available_event(queue) - 1) <
                 (uint16_t)(queue->published - queue->notified);
    else
        wanted = !(queue->used->flags & USED_NO_NOTIFY);
    queue->notified = queue->published;
    if (wanted)
        device_write32(queue->doorbell, queue->number);
}

bool virtqueue_arm(struct virtqueue *queue, uint16_t more)
{
    if (queue->event_index)
        *(volatile uint16_t *)used_event(queue) = (uint16_t)(queue->seen + more - 1);
    else
        *(volatile uint16_t *)&queue->available->flags = 0;
    /* The wish must be seen before the ring is read. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return (uint16_t)(queue->used->index - queue->seen) < more;
}

void virtqueue_disarm(struct virtqueue *queue)
{
    /* With the event index: one that has just been passed is not passed again for 65535 more. */
    if (queue->event_index)
        *(volatile uint16_t *)used_event(queue) = (uint16_t)(queue->seen - 1);
    else
        *(volatile uint16_t *)&queue->available->flags = AVAILABLE_NO_INTERRUPT;
}
