/* Xen's interface for guests, as far as it is used here: of a 64-bit guest in PVH mode. The names
 * in the comments are those of Xen's own headers (xen/include/public), with which tests/unit
 * compares what is written here. */
#ifndef JITSU_XEN_INTERFACE_H
#define JITSU_XEN_INTERFACE_H

#include <stdint.h>

#define XEN_PAGE     4096u
#define XEN_SELF     0x7ff0u /* DOMID_SELF */
#define XEN_PORT_MAX 4096u   /* event channels' ports, with two-level bitmaps */

/* Hypercalls (xen.h) and what they take. */
#define XEN_MEMORY 12u /* __HYPERVISOR_memory_op */
#define XEN_SCHED  29u /* __HYPERVISOR_sched_op */
#define XEN_EVENT  32u /* __HYPERVISOR_event_channel_op */
#define XEN_HVM    34u /* __HYPERVISOR_hvm_op */

/* memory.h: struct xen_add_to_physmap, with which a page of Xen's takes the place of one of the
 * guest's. */
#define XEN_MEMORY_MAP        7u /* XENMEM_add_to_physmap */
#define XEN_SPACE_SHARED_INFO 0u
#define XEN_SPACE_GRANT_TABLE 1u
struct xen_map {
    uint16_t domain;
    uint16_t size;
    uint32_t space;
    uint64_t index;
    uint64_t frame;
};

/* sched.h */
#define XEN_SCHED_SHUTDOWN  2u /* takes struct xen_shutdown */
#define XEN_SCHED_POLL      3u /* takes struct xen_poll */
#define XEN_SHUTDOWN_OFF    0u
#define XEN_SHUTDOWN_REBOOT 1u
#define XEN_SHUTDOWN_SAVE   2u /* SHUTDOWN_suspend */
#define XEN_SHUTDOWN_CRASH  3u
struct xen_shutdown {
    uint32_t reason;
};
struct xen_poll {
    const uint32_t *ports;
    uint32_t port_count;
    uint64_t timeout; /* of the system time, in nanoseconds; 0: none */
};

/* event_channel.h */
#define XEN_EVENT_CLOSE         3u /* takes struct xen_port */
#define XEN_EVENT_SEND          4u /* takes struct xen_port */
#define XEN_EVENT_ALLOC_UNBOUND 6u
struct xen_port {
    uint32_t port;
};
struct xen_unbound_port {
    uint16_t domain;
    uint16_t remote;
    uint32_t port; /* out */
};

/* hvm/hvm_op.h and hvm/params.h */
#define XEN_HVM_SET_PARAMETER  0u /* HVMOP_set_param */
#define XEN_HVM_GET_PARAMETER  1u /* HVMOP_get_param */
#define XEN_PARAM_CALLBACK     0u /* HVM_PARAM_CALLBACK_IRQ */
#define XEN_PARAM_STORE_FRAME  1u
#define XEN_PARAM_STORE_PORT   2u
#define XEN_PARAM_CONSOLE_PAGE 17u
#define XEN_PARAM_CONSOLE_PORT 18u
struct xen_parameter {
    uint16_t domain;
    uint16_t pad;
    uint32_t index;
    uint64_t value;
};

/* xen.h: the page that is shared with Xen. */
struct xen_time {
    uint32_t version; /* odd while it is being changed */
    uint32_t pad;
    uint64_t stamp; /* the time stamp counter when the system time was `system` */
    uint64_t system;
    uint32_t multiplier; /* nanoseconds << 32 a count, before `shift` */
    int8_t shift;
    uint8_t flags;
    uint8_t pad2[2];
};
struct xen_processor {
    uint8_t upcall_pending;
    uint8_t pad[7];
    uint64_t pending_words;
    uint64_t architecture[2];
    struct xen_time time;
};
struct xen_shared_info {
    struct xen_processor processors[32];
    uint64_t pending[XEN_PORT_MAX / 64];
    uint64_t mask[XEN_PORT_MAX / 64];
    uint32_t wall_version; /* as that of the time */
    uint32_t wall_seconds; /* since the epoch, when the system time was 0 */
    uint32_t wall_nanoseconds;
    uint32_t wall_seconds_high;
};

/* grant_table.h: version 1 */
#define XEN_GRANT_ACCESS   1u /* GTF_permit_access */
#define XEN_GRANT_READONLY 4u
#define XEN_GRANT_READING  8u
#define XEN_GRANT_WRITING  16u
#define XEN_GRANT_RESERVED 8u /* the first entries are not ours */
struct xen_grant {
    uint16_t flags;
    uint16_t domain;
    uint32_t frame;
};

/* io/console.h */
struct xen_console {
    uint8_t in[1024];
    uint8_t out[2048];
    uint32_t in_taken, in_given;
    uint32_t out_taken, out_given;
};

/* io/xs_wire.h */
#define XEN_STORE_BYTES_MAX 4096u
enum xen_store_type {
    XEN_STORE_DIRECTORY = 1,
    XEN_STORE_READ = 2,
    XEN_STORE_WATCH = 4,
    XEN_STORE_WRITE = 11,
    XEN_STORE_CHANGED = 15, /* XS_WATCH_EVENT */
    XEN_STORE_ERROR = 16,
};
struct xen_store_header {
    uint32_t type;
    uint32_t id;
    uint32_t transaction;
    uint32_t length;
};
struct xen_store {
    uint8_t requests[1024];
    uint8_t answers[1024];
    uint32_t requests_taken, requests_given;
    uint32_t answers_taken, answers_given;
};

/* io/ring.h: what comes before a ring's entries. */
struct xen_ring {
    uint32_t request_given, request_event;
    uint32_t response_given, response_event;
    uint8_t pad[48];
};

/* io/xenbus.h */
enum xen_device_state {
    XEN_DEVICE_INITIALISING = 1,
    XEN_DEVICE_INIT_WAIT = 2,
    XEN_DEVICE_CONNECTED = 4,
    XEN_DEVICE_CLOSING = 5,
    XEN_DEVICE_CLOSED = 6,
};

/* io/netif.h */
#define XEN_SEND_CHECKSUM_BLANK 1u
#define XEN_SEND_VALIDATED      2u
#define XEN_SEND_MORE           4u
#define XEN_SEND_EXTRA          8u
#define XEN_SEND_NULL           1   /* the status of an extra's response */
#define XEN_SLOTS_MAX           18u /* of a frame */
struct xen_send_request {
    uint32_t grant;
    uint16_t offset;
    uint16_t flags;
    uint16_t id;
    uint16_t size; /* of the whole frame in the first, of the slot in others */
};
struct xen_send_response {
    uint16_t id;
    int16_t status;
};
#define XEN_EXTRA_CUT  1u /* XEN_NETIF_EXTRA_TYPE_GSO */
#define XEN_EXTRA_MORE 1u
#define XEN_CUT_TCP4   1u
#define XEN_CUT_TCP6   2u
struct xen_extra {
    uint8_t type;
    uint8_t flags;
    uint16_t size;
    uint8_t kind;
    uint8_t pad;
    uint16_t features;
};
union xen_send_slot {
    struct xen_send_request request;
    struct xen_send_response response;
    struct xen_extra extra;
};

#define XEN_RECEIVE_VALIDATED 1u
#define XEN_RECEIVE_BLANK     2u
#define XEN_RECEIVE_MORE      4u
#define XEN_RECEIVE_EXTRA     8u
struct xen_receive_request {
    uint16_t id;
    uint16_t pad;
    uint32_t grant;
};
struct xen_receive_response {
    uint16_t id;
    uint16_t offset;
    uint16_t flags;
    int16_t status; /* length, or negative */
};
union xen_receive_slot {
    struct xen_receive_request request;
    struct xen_receive_response response;
    struct xen_extra extra;
};

#endif
