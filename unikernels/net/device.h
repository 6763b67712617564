/* The seam between the network (lwIP's glue beside this file) and a driver of a network device, of
 * which each platform has at least one. Neither knows the other's insides: lwIP's buffers do not
 * appear here, nor do rings and descriptors. */
#ifndef JITSU_NET_DEVICE_H
#define JITSU_NET_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETWORK_FRAME_MAX 1514u /* an Ethernet frame without its check sequence */

struct network_device;

struct frame_part {
    const void *bytes;
    uint32_t length;
};

/* A frame to send. */
struct frame {
    const struct frame_part *parts;
    unsigned part_count;
    /* Not 0: the device is to fill in the checksum of everything from this offset on, at
     * `checksum_at` from there; that of the pseudo header is in place (`offloads_checksum` only).
     */
    uint16_t checksum_from;
    uint16_t checksum_at;
    /* Not 0: the device is to cut the TCP segment, whose headers end at `headers_length`, into ones
     * of `segment_size` bytes (`cuts_segments` only; `checksum_from` is set as well). */
    uint16_t segment_size;
    uint16_t headers_length;
    /* Given back by `sent` when the device has read all parts, which must stay until then. */
    void *owner;
};

/* What a driver calls, from poll() and send(). `sent` may be called before send() returns. */
struct network_events {
    /* A frame has come, in buffer `buffer` of the driver's `receive_buffers`, which is the
     * receiver's until it calls release(). `checksum_good`: no need to verify TCP's or UDP's. */
    void (*received)(unsigned buffer, void *bytes, uint32_t length, bool checksum_good);
    void (*sent)(void *owner);
    /* The device is connected again, perhaps to another network than it was. */
    void (*connected)(void);
    /* Somebody asks the machine, by ways of the platform's own, to end what it is doing, and power
     * off. */
    void (*finish)(void);
};

struct network_driver {
    /* Takes a frame; the device may not hear of it before flush(). Returns false if there is no
     * room: try again after poll() has called `sent`. */
    bool (*send)(struct network_device *device, const struct frame *frame);

    /* Reports what has come and what has been sent. Returns whether there was anything. */
    bool (*poll)(struct network_device *device);

    /* Gives a receive buffer back. */
    void (*release)(struct network_device *device, unsigned buffer);

    /* Tells the device of frames to send and of buffers given back. */
    void (*flush)(struct network_device *device);

    /* Asks for an interrupt at the next frame received (and sent, if `sending`). Returns false if
     * there is something to poll() already. */
    bool (*arm)(struct network_device *device, bool sending);
};

struct network_device {
    const struct network_driver *driver;
    const struct network_events *events; /* set by the network before the first call */
    uint8_t hardware_address[6];
    bool offloads_checksum; /* it can fill in TCP's and UDP's checksums */
    bool cuts_segments;     /* it takes TCP segments that are longer than a frame may be */
    uint16_t headroom;      /* that many bytes before the first part are the driver's to write to */
    unsigned receive_buffers; /* how many there are */
    unsigned parts_max;       /* of a frame */
    uint32_t part_end;    /* not 0: a part counts anew at each multiple of it that it goes beyond */
    uint16_t segment_max; /* not 0: bytes of TCP's data that a segment may have at most */
};

#endif
