/* Xen's interface, as the bundled images have it written down, against Xen's own headers:
 * everything here is found out by the compiler. */
#include "platform/xen/interface.h"

#include <stddef.h>

/* Without it, Xen's headers are as they were twenty years ago. */
#define __XEN_INTERFACE_VERSION__ 0x00040900

#include <xen/xen.h>

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/hvm/hvm_op.h>
#include <xen/hvm/params.h>
#include <xen/io/console.h>
#include <xen/io/netif.h>
#include <xen/io/ring.h>
#include <xen/io/xenbus.h>
#include <xen/io/xs_wire.h>
#include <xen/memory.h>
#include <xen/sched.h>

#define SAME_VALUE(ours, theirs) _Static_assert((long)(ours) == (long)(theirs), #theirs)
#define SAME_SIZE(ours, theirs)  _Static_assert(sizeof(ours) == sizeof(theirs), #theirs)
#define SAME_PLACE(ours, our_field, theirs, their_field)                                           \
    _Static_assert(offsetof(ours, our_field) == offsetof(theirs, their_field) &&                   \
                       sizeof(((ours *)0)->our_field) == sizeof(((theirs *)0)->their_field),       \
                   #theirs "." #their_field)

SAME_VALUE(XEN_SELF, DOMID_SELF);
SAME_VALUE(XEN_MEMORY, __HYPERVISOR_memory_op);
SAME_VALUE(XEN_SCHED, __HYPERVISOR_sched_op);
SAME_VALUE(XEN_EVENT, __HYPERVISOR_event_channel_op);
SAME_VALUE(XEN_HVM, __HYPERVISOR_hvm_op);

SAME_VALUE(XEN_MEMORY_MAP, XENMEM_add_to_physmap);
SAME_VALUE(XEN_SPACE_SHARED_INFO, XENMAPSPACE_shared_info);
SAME_VALUE(XEN_SPACE_GRANT_TABLE, XENMAPSPACE_grant_table);
SAME_SIZE(struct xen_map, struct xen_add_to_physmap);
SAME_PLACE(struct xen_map, domain, struct xen_add_to_physmap, domid);
SAME_PLACE(struct xen_map, space, struct xen_add_to_physmap, space);
SAME_PLACE(struct xen_map, index, struct xen_add_to_physmap, idx);
SAME_PLACE(struct xen_map, frame, struct xen_add_to_physmap, gpfn);

SAME_VALUE(XEN_SCHED_SHUTDOWN, SCHEDOP_shutdown);
SAME_VALUE(XEN_SCHED_POLL, SCHEDOP_poll);
SAME_VALUE(XEN_SHUTDOWN_OFF, SHUTDOWN_poweroff);
SAME_VALUE(XEN_SHUTDOWN_REBOOT, SHUTDOWN_reboot);
SAME_VALUE(XEN_SHUTDOWN_SAVE, SHUTDOWN_suspend);
SAME_VALUE(XEN_SHUTDOWN_CRASH, SHUTDOWN_crash);
SAME_SIZE(struct xen_shutdown, struct sched_shutdown);
SAME_SIZE(struct xen_poll, struct sched_poll);
SAME_PLACE(struct xen_poll, ports, struct sched_poll, ports);
SAME_PLACE(struct xen_poll, port_count, struct sched_poll, nr_ports);
SAME_PLACE(struct xen_poll, timeout, struct sched_poll, timeout);

SAME_VALUE(XEN_EVENT_CLOSE, EVTCHNOP_close);
SAME_VALUE(XEN_EVENT_SEND, EVTCHNOP_send);
SAME_VALUE(XEN_EVENT_ALLOC_UNBOUND, EVTCHNOP_alloc_unbound);
SAME_VALUE(XEN_PORT_MAX, EVTCHN_2L_NR_CHANNELS);
SAME_SIZE(struct xen_port, struct evtchn_close);
SAME_SIZE(struct xen_port, struct evtchn_send);
SAME_SIZE(struct xen_unbound_port, struct evtchn_alloc_unbound);
SAME_PLACE(struct xen_unbound_port, domain, struct evtchn_alloc_unbound, dom);
SAME_PLACE(struct xen_unbound_port, remote, struct evtchn_alloc_unbound, remote_dom);
SAME_PLACE(struct xen_unbound_port, port, struct evtchn_alloc_unbound, port);

SAME_VALUE(XEN_HVM_SET_PARAMETER, HVMOP_set_param);
SAME_VALUE(XEN_HVM_GET_PARAMETER, HVMOP_get_param);
SAME_VALUE(XEN_PARAM_CALLBACK, HVM_PARAM_CALLBACK_IRQ);
SAME_VALUE(XEN_PARAM_STORE_FRAME, HVM_PARAM_STORE_PFN);
SAME_VALUE(XEN_PARAM_STORE_PORT, HVM_PARAM_STORE_EVTCHN);
SAME_VALUE(XEN_PARAM_CONSOLE_PAGE, HVM_PARAM_CONSOLE_PFN);
SAME_VALUE(XEN_PARAM_CONSOLE_PORT, HVM_PARAM_CONSOLE_EVTCHN);
SAME_SIZE(struct xen_parameter, struct xen_hvm_param);
SAME_PLACE(struct xen_parameter, domain, struct xen_hvm_param, domid);
SAME_PLACE(struct xen_parameter, index, struct xen_hvm_param, index);
SAME_PLACE(struct xen_parameter, value, struct xen_hvm_param, value);

SAME_SIZE(struct xen_time, struct vcpu_time_info);
SAME_PLACE(struct xen_time, version, struct vcpu_time_info, version);
SAME_PLACE(struct xen_time, stamp, struct vcpu_time_info, tsc_timestamp);
SAME_PLACE(struct xen_time, system, struct vcpu_time_info, system_time);
SAME_PLACE(struct xen_time, multiplier, struct vcpu_time_info, tsc_to_system_mul);
SAME_PLACE(struct xen_time, shift, struct vcpu_time_info, tsc_shift);
SAME_SIZE(struct xen_processor, struct vcpu_info);
SAME_PLACE(struct xen_processor, time, struct vcpu_info, time);
SAME_PLACE(struct xen_shared_info, processors, struct shared_info, vcpu_info);
SAME_PLACE(struct xen_shared_info, pending, struct shared_info, evtchn_pending);
SAME_PLACE(struct xen_shared_info, wall_version, struct shared_info, wc_version);
SAME_PLACE(struct xen_shared_info, wall_seconds, struct shared_info, wc_sec);
SAME_PLACE(struct xen_shared_info, wall_nanoseconds, struct shared_info, wc_nsec);
SAME_PLACE(struct xen_shared_info, wall_seconds_high, struct shared_info, wc_sec_hi);

SAME_VALUE(XEN_GRANT_ACCESS, GTF_permit_access);
SAME_VALUE(XEN_GRANT_READONLY, GTF_readonly);
SAME_VALUE(XEN_GRANT_READING, GTF_reading);
SAME_VALUE(XEN_GRANT_WRITING, GTF_writing);
SAME_VALUE(XEN_GRANT_RESERVED, GNTTAB_NR_RESERVED_ENTRIES);
SAME_SIZE(struct xen_grant, struct grant_entry_v1);
SAME_PLACE(struct xen_grant, flags, struct grant_entry_v1, flags);
SAME_PLACE(struct xen_grant, domain, struct grant_entry_v1, domid);
SAME_PLACE(struct xen_grant, frame, struct grant_entry_v1, frame);

SAME_SIZE(struct xen_console, struct xencons_interface);
SAME_PLACE(struct xen_console, out, struct xencons_interface, out);
SAME_PLACE(struct xen_console, out_taken, struct xencons_interface, out_cons);
SAME_PLACE(struct xen_console, out_given, struct xencons_interface, out_prod);

SAME_VALUE(XEN_STORE_BYTES_MAX, XENSTORE_PAYLOAD_MAX);
SAME_VALUE(XEN_STORE_READ, XS_READ);
SAME_VALUE(XEN_STORE_WATCH, XS_WATCH);
SAME_VALUE(XEN_STORE_WRITE, XS_WRITE);
SAME_VALUE(XEN_STORE_CHANGED, XS_WATCH_EVENT);
SAME_VALUE(XEN_STORE_ERROR, XS_ERROR);
SAME_SIZE(struct xen_store_header, struct xsd_sockmsg);
SAME_PLACE(struct xen_store_header, type, struct xsd_sockmsg, type);
SAME_PLACE(struct xen_store_header, id, struct xsd_sockmsg, req_id);
SAME_PLACE(struct xen_store_header, transaction, struct xsd_sockmsg, tx_id);
SAME_PLACE(struct xen_store_header, length, struct xsd_sockmsg, len);
SAME_PLACE(struct xen_store, requests, struct xenstore_domain_interface, req);
SAME_PLACE(struct xen_store, answers, struct xenstore_domain_interface, rsp);
SAME_PLACE(struct xen_store, requests_taken, struct xenstore_domain_interface, req_cons);
SAME_PLACE(struct xen_store, requests_given, struct xenstore_domain_interface, req_prod);
SAME_PLACE(struct xen_store, answers_taken, struct xenstore_domain_interface, rsp_cons);
SAME_PLACE(struct xen_store, answers_given, struct xenstore_domain_interface, rsp_prod);

SAME_VALUE(XEN_DEVICE_INITIALISING, XenbusStateInitialising);
SAME_VALUE(XEN_DEVICE_INIT_WAIT, XenbusStateInitWait);
SAME_VALUE(XEN_DEVICE_CONNECTED, XenbusStateConnected);
SAME_VALUE(XEN_DEVICE_CLOSING, XenbusStateClosing);
SAME_VALUE(XEN_DEVICE_CLOSED, XenbusStateClosed);

SAME_VALUE(XEN_SEND_CHECKSUM_BLANK, NETTXF_csum_blank);
SAME_VALUE(XEN_SEND_VALIDATED, NETTXF_data_validated);
SAME_VALUE(XEN_SEND_MORE, NETTXF_more_data);
SAME_VALUE(XEN_SEND_EXTRA, NETTXF_extra_info);
SAME_VALUE(XEN_SEND_NULL, NETIF_RSP_NULL);
SAME_VALUE(XEN_SLOTS_MAX, XEN_NETIF_NR_SLOTS_MIN);
SAME_SIZE(struct xen_send_request, struct netif_tx_request);
SAME_PLACE(struct xen_send_request, grant, struct netif_tx_request, gref);
SAME_PLACE(struct xen_send_request, offset, struct netif_tx_request, offset);
SAME_PLACE(struct xen_send_request, flags, struct netif_tx_request, flags);
SAME_PLACE(struct xen_send_request, id, struct netif_tx_request, id);
SAME_PLACE(struct xen_send_request, size, struct netif_tx_request, size);
SAME_SIZE(struct xen_send_response, struct netif_tx_response);
SAME_PLACE(struct xen_send_response, id, struct netif_tx_response, id);
SAME_PLACE(struct xen_send_response, status, struct netif_tx_response, status);
SAME_VALUE(XEN_EXTRA_CUT, XEN_NETIF_EXTRA_TYPE_GSO);
SAME_VALUE(XEN_EXTRA_MORE, XEN_NETIF_EXTRA_FLAG_MORE);
SAME_VALUE(XEN_CUT_TCP4, XEN_NETIF_GSO_TYPE_TCPV4);
SAME_VALUE(XEN_CUT_TCP6, XEN_NETIF_GSO_TYPE_TCPV6);
SAME_SIZE(struct xen_extra, struct netif_extra_info);
SAME_PLACE(struct xen_extra, type, struct netif_extra_info, type);
SAME_PLACE(struct xen_extra, flags, struct netif_extra_info, flags);
SAME_PLACE(struct xen_extra, size, struct netif_extra_info, u.gso.size);
SAME_PLACE(struct xen_extra, kind, struct netif_extra_info, u.gso.type);
SAME_VALUE(XEN_RECEIVE_VALIDATED, NETRXF_data_validated);
SAME_VALUE(XEN_RECEIVE_BLANK, NETRXF_csum_blank);
SAME_VALUE(XEN_RECEIVE_MORE, NETRXF_more_data);
SAME_VALUE(XEN_RECEIVE_EXTRA, NETRXF_extra_info);
SAME_SIZE(struct xen_receive_request, struct netif_rx_request);
SAME_PLACE(struct xen_receive_request, id, struct netif_rx_request, id);
SAME_PLACE(struct xen_receive_request, grant, struct netif_rx_request, gref);
SAME_SIZE(struct xen_receive_response, struct netif_rx_response);
SAME_PLACE(struct xen_receive_response, id, struct netif_rx_response, id);
SAME_PLACE(struct xen_receive_response, offset, struct netif_rx_response, offset);
SAME_PLACE(struct xen_receive_response, flags, struct netif_rx_response, flags);
SAME_PLACE(struct xen_receive_response, status, struct netif_rx_response, status);

/* The rings, as Xen's macros make them, and how many entries they find in a page. */
SAME_PLACE(struct xen_ring, request_given, struct netif_tx_sring, req_prod);
SAME_PLACE(struct xen_ring, request_event, struct netif_tx_sring, req_event);
SAME_PLACE(struct xen_ring, response_given, struct netif_tx_sring, rsp_prod);
SAME_PLACE(struct xen_ring, response_event, struct netif_tx_sring, rsp_event);
SAME_VALUE(sizeof(struct xen_ring), offsetof(struct netif_tx_sring, ring));
SAME_VALUE(sizeof(struct xen_ring), offsetof(struct netif_rx_sring, ring));
SAME_SIZE(union xen_send_slot, union netif_tx_sring_entry);
SAME_SIZE(union xen_receive_slot, union netif_rx_sring_entry);
SAME_VALUE(256, __CONST_RING_SIZE(netif_tx, XEN_PAGE));
SAME_VALUE(256, __CONST_RING_SIZE(netif_rx, XEN_PAGE));

int main(void)
{
    return 0;
}
