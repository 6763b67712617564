/* What is around a guest's drivers under Xen: a xenstore, a network backend's end of the rings,
 * grants and event channels, all in this process. Everything is done when the guest waits or sends
 * an event.
 */
#ifndef XEN_WORLD_H
#define XEN_WORLD_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/device.h"
#include "platform/xen/interface.h"

#define WORLD_NAMES    64
#define WORLD_TEXT_MAX 128
#define WORLD_GRANTS   512
#define WORLD_DOMAIN   7 /* the network's backend */

struct world {
    struct xen_store store;
    struct {
        char path[WORLD_TEXT_MAX], value[WORLD_TEXT_MAX];
        char token[16]; /* "": nobody watches it */
    } names[WORLD_NAMES];
    size_t name_count;
    size_t store_piece; /* as many bytes of an answer are given at a time; 0: as many as fit */
    uint8_t request[sizeof(struct xen_store_header) + XEN_STORE_BYTES_MAX + 1];
    size_t request_length;
    uint8_t answers[8192];
    size_t answers_begin, answers_end;

    struct {
        const uint8_t *page; /* NULL: nobody may use it */
        uint16_t domain;
        bool read_only;
        bool is_mapped; /* by the backend: it cannot be taken back */
    } grants[WORLD_GRANTS];

    bool backend_is_dead; /* it does not connect by itself */
    uint32_t next_port;
    uint64_t now;
    unsigned events; /* that the guest sent to the backend */
    char fatal[256];
    jmp_buf *on_fatal;

    /* What the driver has reported. */
    unsigned received, sent, connected;
    uint8_t frame[4096];
    uint32_t frame_length;
    bool frame_is_good;
    unsigned frame_buffer;
    void *owners[1024];
};

extern struct world world;

/* An empty world, with a network interface whose backend has all features. */
void world_start(void);

/* Sets a name's value (a new one, perhaps), of which those who watch it are told. */
void world_set(const char *path, const char *value);

/* The value; NULL if there is no such name. */
const char *world_get(const char *path);

/* Runs `action`. Returns whether it ended the machine: then world.fatal says why. */
bool world_ends(void (*action)(void));

/* The network interface, connected to this backend and reporting here. */
struct network_device *world_network(void);

/* The backend's end of the rings. */
struct xen_ring *world_send_ring(void);
struct xen_ring *world_receive_ring(void);
union xen_send_slot *world_send_slot(uint32_t index);
union xen_receive_slot *world_receive_slot(uint32_t index);

/* The bytes that a request to send means. */
const uint8_t *world_bytes(const struct xen_send_request *request);

/* Answers request `id`. */
void world_answer(uint16_t id, int16_t status);

/* Writes a frame to the next page that the guest has given. */
void world_receive(const void *bytes, size_t length, uint16_t flags);

#endif
