/* Virtio devices over MMIO: both the transport's version 1 (legacy) and 2, and split virtqueues
 * (Virtual I/O Device 1.1, sections 2.6 and 4.2). */
#ifndef JITSU_PVH_VIRTIO_H
#define JITSU_PVH_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_DEVICE_NETWORK 1u

#define VIRTIO_F_ANY_LAYOUT (UINT64_C(1) << 27)
#define VIRTIO_F_EVENT_IDX  (UINT64_C(1) << 29)
#define VIRTIO_F_VERSION_1  (UINT64_C(1) << 32)

#define VIRTQUEUE_DESCRIPTOR_NEXT  1u
#define VIRTQUEUE_DESCRIPTOR_WRITE 2u

struct virtio_device {
    uintptr_t base;
    uint32_t version; /* of the transport */
    unsigned pin;     /* its interrupt */
    uint64_t features;
};

struct virtqueue_descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};

struct virtqueue_used {
    uint32_t descriptor;
    uint32_t length;
};

struct virtqueue_available_ring {
    uint16_t flags;
    uint16_t index;
    uint16_t ring[];
};

struct virtqueue_used_ring {
    uint16_t flags;
    uint16_t index;
    struct virtqueue_used ring[];
};

/* A virtqueue. Its memory is shared with the device; the numbers are the driver's. */
struct virtqueue {
    struct virtqueue_descriptor *descriptors;
    struct virtqueue_available_ring *available;
    volatile struct virtqueue_used_ring *used;
    uintptr_t doorbell;
    uint16_t number;    /* of the device's queues */
    uint16_t size;      /* a power of two */
    uint16_t published; /* of available->index, up to here the device may know */
    uint16_t notified;  /* up to here it does */
    uint16_t seen;      /* of used->index */
    bool event_index;
};

/* Finds the first device of kind `kind` among those that the command line names
 * (virtio_mmio.device=SIZE@BASE:PIN). */
bool virtio_find(uint32_t kind, struct virtio_device *device);

/* Resets the device and agrees with it on features: those of `wanted` that it has. Ends the machine
 * if they cannot agree. */
void virtio_negotiate(struct virtio_device *device, uint64_t wanted);

/* Sets up queue `number`, with at most `size_max` entries. Ends the machine if memory is out. */
void virtqueue_start(struct virtio_device *device, struct virtqueue *queue, uint16_t number,
                     uint16_t size_max);

/* The device may use its queues from here on. */
void virtio_run(struct virtio_device *device);

/* Byte `offset` of the device's own configuration. */
uint8_t virtio_configuration8(const struct virtio_device *device, unsigned offset);

/* Tells the device that it has been heard: only then will it interrupt again. */
void virtio_acknowledge_interrupt(const struct virtio_device *device);

/* Makes the chain that starts at descriptor `head` available; the device is told by
 * virtqueue_notify(), if it wants to be. */
static inline void virtqueue_publish(struct virtqueue *queue, uint16_t head)
{
    queue->available->ring[queue->published & (queue->size - 1)] = head;
    queue->published++;
    __atomic_store_n(&queue->available->index, queue->published, __ATOMIC_RELEASE);
}

void virtqueue_notify(struct virtqueue *queue);

static inline bool virtqueue_has_used(const struct virtqueue *queue)
{
    return __atomic_load_n(&queue->used->index, __ATOMIC_ACQUIRE) != queue->seen;
}

/* The next one that the device has used; only when virtqueue_has_used(). */
static inline struct virtqueue_used virtqueue_take(struct virtqueue *queue)
{
    volatile struct virtqueue_used *used = &queue->used->ring[queue->seen & (queue->size - 1)];

    queue->seen++;
    return (struct virtqueue_used){.descriptor = used->descriptor, .length = used->length};
}

/* Asks for an interrupt once `more` further descriptor chains have been used, counted from those
 * taken. Returns false if they have been already. */
bool virtqueue_arm(struct virtqueue *queue, uint16_t more);

/* Asks for no interrupts. */
void virtqueue_disarm(struct virtqueue *queue);

#endif
